/* One hostile client against two gateways, with all transports, beside honest clients that must not
 * notice: each byte of the input is an operation or what it is done with. After every operation the
 * gateways are at rest, within their limits (hostile_world.h), and the honest have got everything,
 * once and in order (hostile_witness.h). At the end the client is gone and nothing of it is left.
 */
#include <assert.h>
#include <stdio.h>

#include "fuzz_input.h"
#include "hostile_text.h"
#include "hostile_witness.h"
#include "hostile_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    OPERATIONS = 120, /* of one input: more are not done */
    PASSED_MS = 40000,
    SIDS = 4,
    FRAME_BYTES = 60000, /* of what is sent at once */
    SECRET_SIZE = 1024,
    WITNESS_SESSIONS = 3,
};

/* What the client has, and what it has been told. */
static struct client {
    struct bytes input;
    struct hostile_wire *wires[HOSTILE_WIRES];
    char sids[SIDS][ENGINEIO_SID_SIZE];
    unsigned sid_count;
    char private_id[SECRET_SIZE], cursor[SECRET_SIZE], stream_id[2 * SECRET_SIZE];
    int64_t passed_ms;
} client;

/* --- the input --- */

static uint8_t next(void)
{
    return fuzz_byte(&client.input);
}

#define PICK(array) FUZZ_PICK(&client.input, array)

static unsigned pick_gateway(void)
{
    unsigned gateway = next() & 1;
    return world.gateways[gateway].alive ? gateway : 0;
}

static const char *pick_room(void)
{
    static const char *const rooms[] = {HOSTILE_WITNESS_ROOM,
                                        "task:1",
                                        "task:2",
                                        "task:3",
                                        "task:4",
                                        "task:5",
                                        "task:6",
                                        "user:usr_h",
                                        "user:usr_w",
                                        "review:legal",
                                        "review:a",
                                        "review:b",
                                        "review:c",
                                        "review:d",
                                        "review:unknown",
                                        "nowhere:x",
                                        "tenant:acme",
                                        "task:\\u0000",
                                        "task:",
                                        ":",
                                        ""};
    return PICK(rooms);
}

static const char *pick_token(void)
{
    static const char *const tokens[] = {"good", "good", "good", "other",  "soon",
                                         "less", "late", "bad",  "trouble"};
    return PICK(tokens);
}

/* A secret as it came, changed in one place, or cut off. */
static void append_secret(struct buffer *out, const char *secret)
{
    char text[2 * SECRET_SIZE];
    size_t size = strlen(secret);
    uint8_t how = next();
    memcpy(text, secret, size + 1);
    if (how & 1 && size)
        text[next() % size] = (char)('0' + next() % 64);
    if (how & 2 && size)
        size = next() % size;
    buffer_append(out, bytes_of(text, size));
}

/* What '$' and a letter stand for in the templates. */
static void append_value(struct buffer *out, char letter)
{
    size_t size;
    switch (letter) {
    case 't':
        buffer_append_string(out, pick_token());
        break;
    case 'r':
        buffer_append_string(out, pick_room());
        break;
    case 'n':
        buffer_append_format(out, "%u", next());
        break;
    case 'p':
        append_secret(out, client.private_id);
        break;
    case 'c':
        append_secret(out, client.cursor);
        break;
    case 'l': /* long */
        size = (size_t)16 * next();
        for (size_t i = 0; i < size; i++)
            buffer_append_byte(out, 'x');
        break;
    default: /* bytes of the input */
        buffer_append(out, fuzz_bytes(&client.input, 63));
    }
}

static void append_template(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '$')
            append_value(out, *++text);
        else
            buffer_append_byte(out, (uint8_t)*text);
    }
}

static const char *const templates[] = {
    /* Engine.IO and Socket.IO */
    "40{\"token\":\"$t\"}",
    "40{\"token\":\"$t\",\"pid\":\"$p\",\"offset\":\"$c\"}",
    "42$n[\"subscribe\",\"$r\"]",
    "42$n[\"subscribe\",{\"room\":\"$r\"},{\"last\":$n}]",
    "42$n[\"subscribe\",\"$r\",{\"state\":true}]",
    "42$n[\"unsubscribe\",\"$r\"]",
    "42[\"subscribe\",\"$r\"]",
    "42[\"unsubscribe\",\"$r\"]",
    "42$n[\"token\",\"$t\"]",
    "42$n[\"task.cancel\",{\"a\":$n},{\"id\":\"$n\",\"room\":\"$r\"}]",
    "42$n[\"task.$l\",\"$l\"]",
    "42[\"task.cancel\"]",
    "451-[\"task.cancel\",{\"_placeholder\":true,\"num\":0}]",
    "452-$n[\"subscribe\",{\"_placeholder\":true,\"num\":$n}]",
    "bAQIDBA==",
    "40",
    "40/other,{}",
    "41",
    "43$n[]",
    "44{}",
    "42[[[[[[[[[[[[[[[[[[[[[[[[",
    "2",
    "3",
    "1",
    "5",
    "6",
    "2probe",
    "4",
    "",
    "4$x",
    /* smartstack.v1.json */
    "{\"type\":\"connect\",\"token\":\"$t\",\"heartbeat\":true}",
    "{\"type\":\"connect\",\"token\":\"$t\",\"session\":\"$p\",\"cursor\":\"$c\"}",
    "{\"type\":\"subscribe\",\"id\":$n,\"rooms\":[\"$r\",\"$r\",\"$r\"]}",
    "{\"type\":\"subscribe\",\"id\":$n,\"rooms\":[\"$r\",\"$r\"],\"last\":$n}",
    "{\"type\":\"unsubscribe\",\"id\":$n,\"rooms\":[\"$r\",\"$r\"]}",
    "{\"type\":\"event\",\"id\":$n,\"event\":\"task.cancel\",\"data\":$n,\"eventId\":\"$n\"}",
    "{\"type\":\"event\",\"event\":\"task.$l\",\"data\":\"$l\",\"room\":\"$r\"}",
    "{\"type\":\"token\",\"id\":$n,\"token\":\"$t\"}",
    "{\"type\":\"ping\",\"id\":$n}",
    "{\"type\":\"pong\"}",
    "{$x}",
    "$x",
};

/* One of the templates, and how often. */
static unsigned take_text(struct buffer *text)
{
    static const unsigned times[] = {1, 1, 1, 1, 2, 3, 5, 10, 50, 300, 2000};
    append_template(text, PICK(templates));
    return PICK(times);
}

/* --- wires --- */

static void send_to(struct hostile_wire *wire, const struct buffer *bytes)
{
    static const size_t steps[] = {4096, 4096, 1024, 100, 1};
    size_t step = PICK(steps);
    hostile_wire_send(wire, buffer_peek(bytes), buffer_size(bytes) > 4096 ? 4096 : step,
                      world.now_ms);
}

static void leave(struct hostile_wire **slot)
{
    if (*slot)
        hostile_wire_let_go(*slot);
    *slot = NULL;
}

/* A new connection in place of another, and its first bytes. */
static struct hostile_wire *open_wire(unsigned gateway, const struct buffer *bytes)
{
    struct hostile_wire **slot = &PICK(client.wires);
    leave(slot);
    *slot = hostile_wire_open(world.gateways[gateway].http, gateway, world.now_ms);
    send_to(*slot, bytes);
    return *slot;
}

/* NULL: there is none. */
static struct hostile_wire **pick_wire(void)
{
    size_t first = next();
    for (size_t i = 0; i < HOSTILE_WIRES; i++) {
        struct hostile_wire **slot = &client.wires[(first + i) % HOSTILE_WIRES];
        if (*slot && !(*slot)->closed)
            return slot;
    }
    return NULL;
}

static void copy_until(char *to, size_t size, struct bytes from, char end)
{
    const uint8_t *at = memchr(from.data, end, from.size);
    size_t length = at ? (size_t)(at - from.data) : 0;
    if (length == 0 || length >= size)
        return;
    memcpy(to, from.data, length);
    to[length] = '\0';
}

/* What stands behind `before`. */
static void learn(struct bytes text, const char *before, char *to, size_t size)
{
    const uint8_t *at = text.size ? memmem(text.data, text.size, before, strlen(before)) : NULL;
    if (at)
        copy_until(to, size, bytes_skip(text, (size_t)(at - text.data) + strlen(before)),
                   before[0] == '\n' ? '\n' : '"');
}

/* The last argument of an event. */
static void learn_cursor(struct bytes text)
{
    static const char end[] = "\"]";
    if (text.size < 4 || memcmp(text.data + text.size - 2, end, 2) != 0)
        return;
    const uint8_t *at = memrchr(text.data, ',', text.size);
    if (at && text.data + text.size - at > 2)
        copy_until(client.cursor, sizeof(client.cursor),
                   bytes_skip(text, (size_t)(at - text.data) + 2), '"');
}

static void read_wire(struct hostile_wire *wire)
{
    struct bytes text = buffer_peek(&wire->out);
    if (wire->full || text.size == 0)
        return;
    learn(text, "0{\"sid\":\"", client.sids[client.sid_count % SIDS], ENGINEIO_SID_SIZE);
    if (memmem(text.data, text.size, "0{\"sid\":\"", 9))
        client.sid_count++;
    learn(text, "\"pid\":\"", client.private_id, SECRET_SIZE);
    learn(text, "\"session\":\"", client.private_id, SECRET_SIZE);
    learn(text, "\"cursor\":\"", client.cursor, SECRET_SIZE);
    learn(text, "\nid: ", client.stream_id, sizeof(client.stream_id));
    learn_cursor(text);
    buffer_clear(&wire->out);
}

/* --- what it does --- */

static void target_of(char target[192], const char *transport)
{
    (void)snprintf(target, 192, "/socket.io/?EIO=4&transport=%s&sid=%s", transport,
                   client.sids[next() % SIDS]);
}

static void post(void)
{
    auto_buffer struct buffer packet = {0}, body = {0}, request = {0};
    char target[192];
    target_of(target, "polling");
    unsigned times = take_text(&packet);
    for (unsigned i = 0; i < times; i++) {
        if (buffer_size(&body) + 1 + buffer_size(&packet) > HOSTILE_POST_BYTES)
            break;
        if (i)
            buffer_append_byte(&body, 0x1e);
        buffer_append(&body, buffer_peek(&packet));
    }
    hostile_append_post(&request, target, buffer_peek(&body));
    open_wire(pick_gateway(), &request);
}

static void poll(void)
{
    auto_buffer struct buffer request = {0};
    char target[192];
    target_of(target, "polling");
    hostile_append_request(&request, target, HOSTILE_GET, NULL);
    open_wire(pick_gateway(), &request);
}

static void settle(void)
{
    do {
        hostile_world_run();
        for (size_t i = 0; i < HOSTILE_WIRES; i++)
            if (client.wires[i])
                read_wire(client.wires[i]);
    } while (hostile_witnesses_read());
}

static void begin_polling(void)
{
    auto_buffer struct buffer request = {0}, connect = {0};
    unsigned gateway = pick_gateway();
    hostile_append_request(&request, "/socket.io/?EIO=4&transport=polling", HOSTILE_GET, NULL);
    open_wire(gateway, &request);
    settle();
    buffer_clear(&request);
    append_template(&connect, templates[next() & 1]);
    char target[192];
    (void)snprintf(target, sizeof(target), "/socket.io/?EIO=4&transport=polling&sid=%s",
                   client.sids[(client.sid_count + SIDS - 1) % SIDS]);
    hostile_append_post(&request, target, buffer_peek(&connect));
    open_wire(gateway, &request);
}

static void append_text_frame(struct buffer *out, const char *text)
{
    hostile_append_frame(out, 1, bytes_of_string(text));
}

/* At the session's gateway or at the other, as far as `steps` says. */
static void upgrade(void)
{
    auto_buffer struct buffer request = {0}, frames = {0};
    char target[192];
    unsigned gateway = pick_gateway(), steps = next();
    target_of(target, "websocket");
    hostile_append_request(&request, target, HOSTILE_UPGRADE, NULL);
    struct hostile_wire *wire = open_wire(gateway, &request);
    if (steps & 1)
        append_text_frame(&frames, "2probe");
    if (steps & 2)
        append_text_frame(&frames, "5");
    if (steps & 4) {
        auto_buffer struct buffer text = {0};
        unsigned times = take_text(&text);
        for (unsigned i = 0; i < times && buffer_size(&frames) < FRAME_BYTES; i++)
            hostile_append_frame(&frames, 1, buffer_peek(&text));
    }
    if (steps & 8)
        settle();
    hostile_wire_send(wire, buffer_peek(&frames), 4096, world.now_ms);
}

static void open_websocket(void)
{
    static const struct {
        const char *target;
        enum hostile_request kind;
        unsigned first; /* of the templates */
    } ways[] = {{"/socket.io/?EIO=4&transport=websocket", HOSTILE_UPGRADE, 0},
                {"/socket.io/?EIO=4&transport=websocket", HOSTILE_UPGRADE, 1},
                {"/ws", HOSTILE_UPGRADE, 30},
                {"/ws", HOSTILE_UPGRADE, 31},
                {"/ws?token=good", HOSTILE_UPGRADE_PROTOBUF, 0}};
    size_t way = next() % (sizeof(ways) / sizeof(ways[0]));
    auto_buffer struct buffer bytes = {0}, text = {0};
    hostile_append_request(&bytes, ways[way].target, ways[way].kind, NULL);
    struct hostile_wire *wire = open_wire(pick_gateway(), &bytes);
    buffer_clear(&bytes);
    append_template(&text, templates[ways[way].first]);
    if (ways[way].kind == HOSTILE_UPGRADE)
        hostile_append_frame(&bytes, 1, buffer_peek(&text));
    else
        hostile_append_frame(&bytes, 2, BYTES_LITERAL("\x12\x06\x0a\x04good")); /* Connect */
    hostile_wire_send(wire, buffer_peek(&bytes), 4096, world.now_ms);
}

static void open_stream(void)
{
    auto_buffer struct buffer request = {0}, target = {0}, fields = {0};
    uint8_t how = next();
    buffer_append_string(&target, "/sse?");
    for (unsigned i = how & 7; i; i--)
        append_template(&target, "room=$r&");
    if (how & 8)
        append_template(&target, "last=$n&");
    if (how & 16)
        buffer_append_string(&target, "since=2026-01-01T00:00:00Z");
    buffer_append_byte(&target, 0);
    hostile_append_request(&request, (const char *)buffer_peek(&target).data,
                           how & 32 ? HOSTILE_GET : HOSTILE_STREAM, pick_token());
    if (how & 64) { /* before the empty line */
        append_secret(&fields, client.stream_id);
        struct bytes head = buffer_peek(&request);
        auto_buffer struct buffer whole = {0};
        buffer_append(&whole, bytes_of(head.data, head.size - 2));
        buffer_append_format(&whole, "Last-Event-ID: %.*s\r\n\r\n",
                             BYTES_PRINT(buffer_peek(&fields)));
        open_wire(pick_gateway(), &whole);
        return;
    }
    open_wire(pick_gateway(), &request);
}

static void send_frames(void)
{
    static const unsigned opcodes[] = {1, 1, 1, 1, 1, 1, 2, 8, 9, 10, 0, 3};
    auto_buffer struct buffer text = {0}, frames = {0};
    struct hostile_wire **slot = pick_wire();
    unsigned opcode = PICK(opcodes), times = take_text(&text);
    if (!slot)
        return;
    if (opcode >= 8 && buffer_size(&text) > 125) /* or the first ends it */
        opcode = 1;
    for (unsigned i = 0; i < times && buffer_size(&frames) < FRAME_BYTES; i++)
        hostile_append_frame(&frames, opcode, buffer_peek(&text));
    send_to(*slot, &frames);
}

static void send_bytes(void)
{
    auto_buffer struct buffer bytes = {0};
    struct hostile_wire **slot = pick_wire();
    bool fresh = next() & 1;
    append_template(&bytes, "$x");
    if (fresh || !slot)
        open_wire(pick_gateway(), &bytes);
    else
        send_to(*slot, &bytes);
}

static void block(void)
{
    struct hostile_wire **slot = pick_wire();
    if (!slot)
        return;
    if ((*slot)->full)
        hostile_wire_drain(*slot);
    else
        (*slot)->full = true;
}

static void cut(void)
{
    struct hostile_wire **slot = pick_wire();
    if (slot)
        leave(slot);
}

static void publish(void)
{
    static const char *const rooms[] = {HOSTILE_WITNESS_ROOM, "task:1",       "task:2",
                                        "user:usr_h",         "review:legal", "review:a"};
    static const unsigned times[] = {1, 1, 2, 5, 10, 40};
    static const size_t sizes[] = {1, 1, 100, 1000, 3000};
    const char *room = PICK(rooms);
    unsigned count = PICK(times);
    size_t size = PICK(sizes);
    bool witnessed = next() & 1;
    while (count--)
        hostile_world_publish(room, witnessed || room == rooms[0], size);
}

static void pass(int64_t ms)
{
    int64_t until_ms = world.now_ms + ms;
    while (world.now_ms < until_ms) {
        int64_t due_ms = timer_wheel_deadline_ms(&world.wheel);
        for (unsigned i = 0; i < HOSTILE_GATEWAYS; i++)
            if (world.gateways[i].alive && hub_deadline_ms(world.gateways[i].hub) < due_ms)
                due_ms = hub_deadline_ms(world.gateways[i].hub);
        world.now_ms = due_ms <= world.now_ms ? world.now_ms + 1
                       : due_ms < until_ms    ? due_ms
                                              : until_ms;
        settle();
    }
}

static void pass_some(void)
{
    static const int64_t spans_ms[] = {1, 10, 35, 100, 250, 501, 1100, 2500, 11000};
    int64_t ms = PICK(spans_ms);
    if (client.passed_ms + ms > PASSED_MS)
        return;
    client.passed_ms += ms;
    pass(ms);
}

static void answer(void)
{
    uint8_t how = next();
    if (how & 1)
        hostile_world_answer_event(pick_gateway(), how & 2);
    else
        hostile_world_decide(pick_gateway(), how & 2);
}

/* The broker comes and goes, or a topic is not there. */
static void disturb(void)
{
    uint8_t how = next();
    unsigned gateway = pick_gateway();
    if (how & 1)
        hostile_world_set_stale(gateway, how & 2);
    else if (world.log_count > 1)
        world.logs[1 + (how >> 2) % (world.log_count - 1)].closed = how & 2;
}

static void kill_or_boot(void)
{
    if (!world.gateways[1].alive)
        hostile_world_boot(1);
    else if (next() & 1)
        hostile_world_kill(1);
}

static void operate(void)
{
    static void (*const operations[])(void) = {
        post,           post,        poll,        begin_polling, upgrade,
        open_websocket, open_stream, send_frames, send_frames,   send_frames,
        send_bytes,     block,       cut,         publish,       publish,
        pass_some,      answer,      disturb,     kill_or_boot};
    PICK(operations)();
}

/* Whatever it has done, nothing of it is left but what lingers. */
static void finish(void)
{
    for (size_t i = 0; i < HOSTILE_WIRES; i++)
        leave(&client.wires[i]);
    hostile_world_set_stale(0, false);
    hostile_world_set_stale(1, false);
    pass(5000);
    hostile_witnesses_check();
    hostile_world_check();
    const struct hub_stats *stats = hub_stats(world.gateways[0].hub);
    assert(stats->sessions == WITNESS_SESSIONS);
    assert(stats->queued_messages == 0 && stats->history_bytes == 0);
    assert(!world.gateways[1].alive || hub_stats(world.gateways[1].hub)->sessions == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hostile_world_start();
    hostile_witnesses_enter();
    client = (struct client){.input = bytes_of(data, size)};
    for (unsigned i = 0; i < OPERATIONS && client.input.size; i++) {
        operate();
        settle();
        hostile_world_check();
        if (!world.gateways[0].stale)
            hostile_witnesses_check();
    }
    finish();
    hostile_witnesses_leave();
    hostile_world_run();
    hostile_world_stop();
    return 0;
}
