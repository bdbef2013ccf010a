#include "fake_wire.h"

#include <check.h>
#include <stdio.h>

#include "mem.h"

struct fake_world world;
const char *fake_fields = "";

void fake_random(void *context, uint8_t *out, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(world.random++ * 37);
}

struct http_server_config fake_http = {
    .limits = {.request_line_bytes = 8192,
               .head_bytes = 16384,
               .field_count = 100,
               .body_bytes = 65536},
    .head_timeout_ms = 10000,
    .body_timeout_ms = 20000,
    .idle_timeout_ms = 60000,
    .pipeline_bytes = 4096,
};

struct engineio_config fake_engineio = {
    .path = "/engine.io/",
    .ping_interval_ms = 300,
    .ping_timeout_ms = 200,
    .max_payload_bytes = 1000000,
    .queue_bytes = 1 << 20,
    .random = fake_random,
};

struct socketio_config fake_socketio = {
    .limits = {.json_depth = 64, .namespace_bytes = 128, .packet_bytes = 1000000},
    .connect_timeout_ms = 1000,
    .attachments_timeout_ms = 100,
};

/* ---- The wire ---- */

static void take_write(struct wire *wire, struct bytes bytes)
{
    struct fake_wire *fake = (struct fake_wire *)wire;
    ck_assert(wire->writable && !fake->closed);
    buffer_append(&fake->out, bytes);
    fake->writes++;
    if (fake->full)
        wire->writable = false;
}

static void take_want(struct wire *wire)
{
    ((struct fake_wire *)wire)->wanted = true;
}

static void take_close(struct wire *wire, enum wire_end how)
{
    struct fake_wire *fake = (struct fake_wire *)wire;
    ck_assert(!fake->closed);
    fake->closed = true;
    fake->aborted = how == WIRE_ABORT;
    wire->receiver_ops = NULL;
}

static void take_peer(const struct wire *wire, char text[WIRE_PEER_SIZE])
{
    (void)wire;
    snprintf(text, WIRE_PEER_SIZE, "192.0.2.1");
}

static const struct wire_ops ops = {take_write, take_want, take_close, take_peer};

struct fake_wire *fake_open(void)
{
    struct fake_wire *wire = mem_new(struct fake_wire);
    wire->wire.ops = &ops;
    wire->wire.writable = true;
    wire->next = world.wires;
    world.wires = wire;
    struct wire_acceptor acceptor = http_server_acceptor(world.http);
    acceptor.opened(acceptor.acceptor, &wire->wire, world.now_ms);
    return wire;
}

void fake_send(struct fake_wire *wire, struct bytes bytes)
{
    size_t step = world.byte_by_byte ? 1 : bytes.size;
    for (size_t i = 0; i < bytes.size && !wire->closed; i += step) {
        wire->wire.receiver_ops->bytes(wire->wire.receiver, bytes_of(bytes.data + i, step),
                                       world.now_ms);
        fake_turn();
    }
}

void fake_cut(struct fake_wire *wire)
{
    wire->wire.writable = false;
    if (!wire->closed)
        wire->wire.receiver_ops->closed(wire->wire.receiver, world.now_ms);
    wire->closed = true;
    fake_turn();
}

void fake_drain(struct fake_wire *wire)
{
    wire->full = false;
    wire->wire.writable = true;
    if (wire->wanted && !wire->closed) {
        wire->wanted = false;
        wire->wire.receiver_ops->writable(wire->wire.receiver, world.now_ms);
    }
    fake_turn();
}

const char *fake_take(struct fake_wire *wire)
{
    struct bytes content = buffer_peek(&wire->out);
    ck_assert(content.size < sizeof(world.text));
    if (content.size)
        memcpy(world.text, content.data, content.size);
    world.text[content.size] = '\0';
    buffer_clear(&wire->out);
    return world.text;
}

/* ---- The world ---- */

void fake_turn(void)
{
    timer_wheel_advance(&world.wheel, world.now_ms);
    if (world.engineio)
        engineio_server_turn(world.engineio, world.now_ms);
    if (world.others)
        world.others();
    for (struct fake_wire *wire = world.wires; wire; wire = wire->next) {
        if (!wire->wanted || wire->closed || !wire->wire.writable)
            continue;
        wire->wanted = false;
        wire->wire.receiver_ops->writable(wire->wire.receiver, world.now_ms);
        fake_turn();
        return;
    }
}

void fake_pass(int64_t ms)
{
    int64_t until_ms = world.now_ms + ms;
    while (world.now_ms < until_ms) {
        int64_t next_ms = timer_wheel_deadline_ms(&world.wheel);
        world.now_ms = next_ms <= world.now_ms ? world.now_ms + 1
                       : next_ms < until_ms    ? next_ms
                                               : until_ms;
        fake_turn();
    }
}

void fake_begin(bool byte_by_byte)
{
    world.now_ms = 1000;
    world.byte_by_byte = byte_by_byte;
    world.random = 1;
    timer_wheel_init(&world.wheel, world.now_ms);
}

void fake_start(const struct engineio_application_ops *application, bool byte_by_byte)
{
    fake_begin(byte_by_byte);
    world.http = http_server_new(&fake_http, &world.wheel);
    if (application) {
        struct engineio_config config = fake_engineio;
        config.ops = application;
        world.engineio = engineio_server_new(&config, world.http, &world.wheel);
    } else {
        struct socketio_config config = fake_socketio;
        config.engineio = fake_engineio;
        world.socketio = socketio_server_new(&config, world.http, &world.wheel);
        world.engineio = socketio_engineio(world.socketio);
    }
}

void fake_stop(void)
{
    if (world.socketio)
        socketio_server_free(world.socketio);
    else
        engineio_server_free(world.engineio);
    http_server_free(world.http);
    fake_forget();
}

void fake_forget(void)
{
    world.engineio = NULL;
    world.socketio = NULL;
    world.http = NULL;
    world.others = NULL;
    ck_assert_uint_eq(world.wheel.count, 0);
    while (world.wires) {
        struct fake_wire *wire = world.wires;
        world.wires = wire->next;
        ck_assert(wire->closed);
        buffer_deinit(&wire->out);
        free(wire);
    }
}

/* ---- HTTP ---- */

struct fake_wire *fake_request(const char *method, const char *target, const char *body)
{
    struct fake_wire *wire = fake_open();
    struct buffer text = {0};
    buffer_append_format(&text, "%s %s HTTP/1.1\r\nHost: test\r\n%s", method, target, fake_fields);
    if (body)
        buffer_append_format(&text, "Content-Length: %zu\r\n", strlen(body));
    buffer_append_string(&text, "\r\n");
    if (body)
        buffer_append_string(&text, body);
    fake_send(wire, buffer_peek(&text));
    buffer_deinit(&text);
    fake_turn();
    return wire;
}

const char *fake_answer(struct fake_wire *wire, unsigned code)
{
    const char *text = fake_take(wire);
    unsigned got = 0;
    ck_assert_msg(sscanf(text, "HTTP/1.1 %u", &got) == 1 && got == code, "not %u: %s", code, text);
    const char *body = strstr(text, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    return body + 4;
}

const char *fake_ask(const char *method, const char *target, const char *body, unsigned code)
{
    struct fake_wire *wire = fake_request(method, target, body);
    const char *answer = fake_answer(wire, code);
    if (!wire->closed)
        fake_cut(wire);
    return answer;
}

const char *fake_handshake(char sid[64])
{
    char target[128];
    snprintf(target, sizeof(target), "%s?EIO=4&transport=polling", fake_engineio.path);
    const char *body = fake_ask("GET", target, NULL, 200);
    ck_assert_int_eq(sscanf(body, "0{\"sid\":\"%63[^\"]\"", sid), 1);
    return sid;
}

/* ---- WebSocket ---- */

void fake_append_frame(struct buffer *out, unsigned opcode, struct bytes payload)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    buffer_append_byte(out, (uint8_t)(0x80 | opcode));
    if (payload.size < 126) {
        buffer_append_byte(out, (uint8_t)(0x80 | payload.size));
    } else {
        ck_assert_uint_le(payload.size, UINT16_MAX);
        buffer_append_byte(out, 0x80 | 126);
        buffer_append_byte(out, (uint8_t)(payload.size >> 8));
        buffer_append_byte(out, (uint8_t)payload.size);
    }
    buffer_append(out, bytes_of(mask, 4));
    for (size_t i = 0; i < payload.size; i++)
        buffer_append_byte(out, payload.data[i] ^ mask[i % 4]);
}

static void send_frame(struct fake_wire *wire, unsigned opcode, struct bytes payload)
{
    struct buffer frame = {0};
    fake_append_frame(&frame, opcode, payload);
    fake_send(wire, buffer_peek(&frame));
    buffer_deinit(&frame);
}

void fake_frame(struct fake_wire *wire, const char *text)
{
    send_frame(wire, 1, bytes_of_string(text));
}

void fake_binary_frame(struct fake_wire *wire, struct bytes payload)
{
    send_frame(wire, 2, payload);
}

struct fake_wire *fake_upgrade(const char *target, const struct buffer *behind)
{
    struct fake_wire *wire = fake_open();
    struct buffer text = {0};
    buffer_append_format(
        &text,
        "GET %s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
        target, fake_fields);
    if (behind)
        buffer_append(&text, buffer_peek(behind));
    fake_send(wire, buffer_peek(&text));
    buffer_deinit(&text);
    return wire;
}

static size_t append_shown(struct buffer *shown, struct bytes rest)
{
    ck_assert_uint_ge(rest.size, 2);
    unsigned opcode = rest.data[0] & 0x0f;
    size_t size = rest.data[1] & 0x7f, header = 2;
    if (size == 126) {
        size = (size_t)rest.data[2] << 8 | rest.data[3];
        header = 4;
    } else if (size == 127) {
        size = (size_t)rest.data[6] << 24 | (size_t)rest.data[7] << 16 | (size_t)rest.data[8] << 8 |
               rest.data[9];
        header = 10;
    }
    ck_assert_uint_ge(rest.size, header + size);
    if (buffer_size(shown))
        buffer_append_byte(shown, '|');
    if (opcode == 1)
        buffer_append(shown, bytes_of(rest.data + header, size));
    else if (opcode == 2)
        buffer_append_format(shown, "<binary %zu>", size);
    else if (opcode == 8)
        buffer_append_format(shown, "<close %u>",
                             size >= 2 ? (unsigned)rest.data[header] << 8 | rest.data[header + 1]
                                       : 1005U);
    else
        buffer_append_format(shown, "<%u %.*s>", opcode, (int)size,
                             (const char *)rest.data + header);
    return header + size;
}

const char *fake_frames(struct fake_wire *wire)
{
    struct buffer shown = {0};
    struct bytes rest = buffer_peek(&wire->out);
    if (bytes_start_with(rest, BYTES_LITERAL("HTTP/1.1 101"))) {
        const uint8_t *end = memmem(rest.data, rest.size, "\r\n\r\n", 4);
        ck_assert_ptr_nonnull(end);
        rest = bytes_skip(rest, (size_t)(end - rest.data) + 4);
    }
    while (rest.size)
        rest = bytes_skip(rest, append_shown(&shown, rest));
    ck_assert(buffer_size(&shown) < sizeof(world.text));
    if (buffer_size(&shown))
        memcpy(world.text, buffer_peek(&shown).data, buffer_size(&shown));
    world.text[buffer_size(&shown)] = '\0';
    buffer_deinit(&shown);
    buffer_clear(&wire->out);
    return world.text;
}
