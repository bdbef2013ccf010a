/* Records of a lane that are whatever a producer may have written: key, headers, value, timestamp,
 * and offsets with gaps and steps back; live and on scans, with sessions in rooms that come, go,
 * ask for histories and do not always read. Whatever comes, a session is given only notifications
 * that name a room it has asked for, in the order of the log (and of logs, when one takes the
 * place of another), and queues keep their limits. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_input.h"
#include "hand_source.h"
#include "hub_state.h"
#include "json.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "room.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SESSIONS = 4, ROOMS = 6, LONG_BYTES = 70000, OPERATIONS = 200 };
static const char *const room_names[ROOMS] = {"task:1", "task:2",   "task:3",
                                              "user:u", "tenant:t", "task:\xc3\xa9"};

/* What a record's id says of it. */
struct origin {
    unsigned log; /* how many were broken before */
    int64_t offset;
    unsigned rooms; /* one bit each */
};

/* A member of the lane, and what it was given. */
struct reader {
    struct session *session;
    struct origin last; /* of the notifications */
    unsigned asked;     /* rooms, ever, one bit each */
    unsigned requests;  /* so far */
    bool open;
};

static struct {
    struct bytes input;
    struct hub *hub;
    struct layout *layout;
    struct policy *policy;
    struct hand_source source;
    struct reader readers[SESSIONS];
    int64_t now_ms, end;
    unsigned log;
    uint8_t random;
} lane;

static uint8_t next(void)
{
    return fuzz_byte(&lane.input);
}

#define PICK(array) FUZZ_PICK(&lane.input, array)

/* --- what sessions are given --- */

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    struct body_part part = message_view_append_json(view, out);
    struct bytes json = bytes_of(buffer_peek(out).data + part.start, part.size);
    enum status status = json_validate(json, JSON_DEPTH_MAX, NULL);
    assert(status == STATUS_OK);
    (void)status;
    return part;
}

static void append_item(struct buffer *list, struct bytes event, struct bytes body)
{
    (void)event;
    buffer_append(list, body);
}

static void ready(struct session *session, void *connection)
{
    (void)session, (void)connection;
}

static const struct transport_ops transport = {.name = "fuzz",
                                               .slot = TRANSPORT_SLOT_WEBSOCKET_JSON,
                                               .encode = encode,
                                               .ready = ready,
                                               .append_item = append_item};

/* Tells ids that make_value() wrote from those that chance made, or changed. */
static uint32_t origin_check(const struct origin *origin)
{
    const uint64_t numbers[] = {origin->log, (uint64_t)origin->offset, origin->rooms};
    return (uint32_t)room_hash(bytes_of(numbers, sizeof(numbers)), BYTES_LITERAL("origin"));
}

static bool read_origin(struct bytes json, struct origin *origin)
{
    char text[100];
    static const char before[] = "\"id\":\"log ";
    const char *at = memmem(json.data, json.size, before, sizeof(before) - 1);
    if (!at)
        return false;
    size_t size = (size_t)((const char *)json.data + json.size - at) - (sizeof(before) - 1);
    (void)snprintf(text, sizeof(text), "%.*s", (int)(size < 90 ? size : 90),
                   at + sizeof(before) - 1);
    uint32_t check;
    return sscanf(text, "%u at %" SCNd64 " of %u, %" SCNu32, &origin->log, &origin->offset,
                  &origin->rooms, &check) == 4 &&
           check == origin_check(origin);
}

static void take(struct reader *reader, const struct delivery *delivery)
{
    struct origin origin, last = reader->last;
    if (delivery->kind == DELIVERY_OPENED)
        reader->open = true;
    if (delivery->kind == DELIVERY_HISTORY || delivery->kind == DELIVERY_STATE)
        assert(reader->asked != 0);
    if (delivery->kind != DELIVERY_NOTIFICATION || !read_origin(delivery->body, &origin))
        return;
    assert(reader->open && (origin.rooms & reader->asked));
    assert(origin.log > last.log || (origin.log == last.log && origin.offset > last.offset));
    reader->last = origin;
}

static void leave(struct reader *reader)
{
    if (reader->session)
        session_close(reader->session);
    *reader = (struct reader){.last.offset = -1};
}

static void read_all(struct reader *reader, unsigned most)
{
    struct delivery delivery;
    while (reader->session && most-- && session_next(reader->session, &delivery)) {
        take(reader, &delivery);
        if (delivery.kind == DELIVERY_CLOSE || delivery.kind == DELIVERY_REFUSED)
            leave(reader);
    }
}

static void come(struct reader *reader)
{
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"tenant\":\"t\",\"sub\":\"u\"}")),
        .now_ms = lane.now_ms,
        .wall_ms = lane.now_ms};
    request.random[0] = ++lane.random;
    leave(reader);
    reader->asked = 1u << 3 | 1u << 4; /* given at connect */
    reader->session = hub_open_session(lane.hub, &request);
}

/* --- records --- */

/* Stands for bytes that are longer than an input may be. */
static const uint8_t long_bytes[LONG_BYTES];

static struct bytes pick_key(void)
{
    switch (next() % 8) {
    case 0:
        return bytes_of(long_bytes, (size_t)257 * next());
    case 1:
        return bytes_of(long_bytes, LONG_BYTES);
    case 2:
        return bytes_of(NULL, 0);
    case 3:
        return fuzz_bytes(&lane.input, 16);
    default:
        return BYTES_LITERAL("t");
    }
}

static void make_value(int64_t offset, unsigned rooms, size_t data_bytes, bool custom,
                       struct buffer *value)
{
    struct bytes names[ROOMS];
    size_t count = 0;
    char id[100], data[8192];
    const struct origin origin = {lane.log, offset, rooms};
    (void)snprintf(id, sizeof(id), "log %u at %" PRId64 " of %u, %" PRIu32, lane.log, offset, rooms,
                   origin_check(&origin));
    int size = snprintf(data, sizeof(data), "\"%0*d\"", (int)data_bytes, 0);
    for (unsigned i = 0; i < ROOMS; i++)
        if (rooms & 1u << i)
            names[count++] = bytes_of_string(room_names[i]);
    struct notification notification = {.id = bytes_of_string(id),
                                        .rooms = names,
                                        .room_count = count,
                                        .item = {bytes_of(&"abc"[offset % 3], 1), offset % 5 == 0},
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.data = bytes_of(data, (size_t)size)}};
    /* Of a custom event clients get the data alone. */
    char own[120];
    (void)snprintf(own, sizeof(own), "{\"id\":\"%s\"}", id);
    if (custom) {
        notification.type = NOTIFICATION_CUSTOM;
        notification.custom =
            (struct custom_event){.event = BYTES_LITERAL("own"), .data = bytes_of_string(own)};
    }
    notification_encode(&notification, value);
}

/* As it was written, cut off, changed in one place, or anything. */
static void pick_value(int64_t offset, unsigned rooms, struct buffer *value)
{
    uint8_t how = next();
    if (how % 8 == 7) {
        buffer_append(value, fuzz_bytes(&lane.input, 100));
        return;
    }
    make_value(offset, rooms, how & 16 ? 32u * next() : 1, how & 32, value);
    if (how % 8 == 6)
        value->end = value->start + next() % buffer_size(value);
    if (how % 8 == 5)
        value->data[value->start + next() % buffer_size(value)] = next();
}

static void pick_hashes(struct bytes key, unsigned rooms, struct buffer *hashes)
{
    uint8_t how = next();
    for (unsigned i = 0; i < ROOMS && how % 8 != 7; i++)
        if (rooms & 1u << i)
            notification_append_room_hash(hashes, room_hash(key, bytes_of_string(room_names[i])));
    if (how % 8 == 6)
        buffer_append(hashes, fuzz_bytes(&lane.input, 64));
    if (how % 8 == 5)
        buffer_append(hashes,
                      bytes_of(long_bytes, (size_t)8 * next() * next() % sizeof(long_bytes)));
}

struct made {
    struct lane_record record;
    struct buffer value, hashes;
};

static void make(struct made *made, int64_t offset)
{
    static const int64_t times_ms[] = {0, 1, 1000, -1, INT64_MAX, INT64_MIN};
    unsigned rooms = next() % (1u << ROOMS);
    struct bytes key = pick_key();
    pick_value(offset, rooms, &made->value);
    pick_hashes(key, rooms, &made->hashes);
    struct bytes layout = fuzz_bytes(&lane.input, 4);
    (void)fuzz_bytes(&lane.input, 4); /* so that inputs of the corpus keep their meaning */
    made->record = (struct lane_record){.offset = offset,
                                        .timestamp_ms = PICK(times_ms),
                                        .key = key,
                                        .value = buffer_peek(&made->value),
                                        .room_hashes = buffer_peek(&made->hashes),
                                        .layout = layout.size > 0 ? layout.data[0] % 4 : 0};
}

static void unmake(struct made *made)
{
    buffer_deinit(&made->value);
    buffer_deinit(&made->hashes);
}

static void arrive(void)
{
    static const int64_t steps[] = {1, 1, 1, 1, 2, 100, 0, -1, -50, 1LL << 40};
    struct made made = {0};
    int64_t step = PICK(steps), offset = lane.end + step - 1;
    if (!lane.source.lane || lane.source.asked || offset < 0 || offset > 1LL << 60)
        return;
    make(&made, offset);
    hub_record(lane.hub, lane.source.lane, &made.record);
    unmake(&made);
    if (offset >= lane.end)
        lane.end = offset + 1;
}

static void scan_some(void)
{
    unsigned count = 1 + next() % 20;
    while (lane.source.scanning && count--) {
        struct hand_source *source = &lane.source;
        struct made made = {0};
        source->from += next() % 4;
        if (source->from >= source->to) {
            source->scanning = false;
            hub_scan_ended(lane.hub, source->lane, next() % 8 ? STATUS_OK : STATUS_NOT_FOUND,
                           next() % 8 ? 0 : source->to);
            return;
        }
        make(&made, source->from++);
        bool more = hub_scan_record(lane.hub, source->lane, &made.record);
        unmake(&made);
        if (!more)
            source->scanning = false;
    }
}

/* --- operations --- */

static struct reader *pick_reader(void)
{
    struct reader *reader = &PICK(lane.readers);
    if (!reader->session)
        come(reader);
    return reader;
}

static void ask(void)
{
    struct reader *reader = pick_reader();
    unsigned room = next() % ROOMS;
    struct bytes name = bytes_of_string(room_names[room]);
    struct history_request history = {.since_ms = next() & 1 ? INT64_MIN : 0, .last = next() % 16};
    if (history.last == 15)
        history = (struct history_request){.since_ms = INT64_MIN, .state = true};
    if (!reader->session)
        return;
    switch (next() % 3) {
    case 0:
        session_leave(reader->session, name, ++reader->requests);
        return;
    case 1:
        session_join(reader->session, name, ++reader->requests, lane.now_ms);
        break;
    default:
        session_join_with_history(reader->session, name, ++reader->requests, &history, lane.now_ms,
                                  lane.now_ms);
    }
    reader->asked |= 1u << room;
}

/* What a source says of the lane itself. */
static void tell(void)
{
    struct hand_source *source = &lane.source;
    if (!source->lane)
        return;
    switch (next() % 6) {
    case 0:
        hub_lane_unavailable(lane.hub, source->lane, "away", lane.now_ms);
        break;
    case 1:
        hub_lane_position(lane.hub, source->lane, lane.end);
        break;
    case 2:
        if (source->asked_ends) {
            source->asked_ends = false;
            hub_lane_ends(lane.hub, source->lane, next() % (lane.end + 1), lane.end);
        }
        break;
    case 3:
        source->scanning = false;
        hub_lane_broken(lane.hub, source->lane, "recreated");
        lane.end = 0;
        lane.log++;
        break;
    default:
        hand_open(source, lane.hub, 0, lane.end);
    }
}

static void pass(void)
{
    static const int64_t spans_ms[] = {1, 100, 1000, 40000};
    lane.now_ms += PICK(spans_ms);
}

static void read_some(void)
{
    read_all(pick_reader(), next());
}

static void go(void)
{
    leave(&PICK(lane.readers));
}

static void check(void)
{
    const struct hub_stats *stats = hub_stats(lane.hub);
    const struct session *session;
    assert(stats->queued_messages <= (uint64_t)SESSIONS * lane.hub->config.queue_messages);
    assert(stats->history_bytes <= lane.hub->config.history.buffered);
    DL_FOREACH(lane.hub->sessions, session) {
        assert(session->queue.messages <= lane.hub->config.queue_messages);
        assert(session->room_count <= lane.hub->config.rooms_per_session);
    }
}

static struct document *parse(const char *yaml)
{
    struct document *document;
    enum status status = document_parse(bytes_of_string(yaml), NULL, &document, NULL);
    assert(status == STATUS_OK);
    (void)status;
    return document;
}

/* With records keyed by their tenant, or by their room. */
static void start(bool room_keyed)
{
    auto_problems struct problems problems = {0};
    struct document *rooms = room_keyed
                                 ? parse("tenant: {topic: t, key: \"{room}\", partitions: 1}\n"
                                         "user: {topic: t, key: \"{room}\", partitions: 1}\n"
                                         "task: {topic: t, key: \"{room}\", partitions: 1}\n")
                                 : parse("tenant: {topic: t, key: \"{tenant}\", partitions: 1}\n"
                                         "user: {topic: t, key: \"{tenant}\", partitions: 1}\n"
                                         "task: {topic: t, key: \"{tenant}\", partitions: 1}\n");
    struct document *access =
        parse("{connect: ['user:{sub}', 'tenant:{tenant}'], join: ['task:*', 'project:*']}");
    struct layout_source source = {.rooms = document_root(rooms)};
    enum status status = layout_new(&source, &lane.layout, &problems);
    assert(status == STATUS_OK);
    status = policy_new(document_root(access), lane.layout, &lane.policy, &problems);
    assert(status == STATUS_OK);
    (void)status;
    document_free(rooms);
    document_free(access);
    struct hub_config config = hand_config(lane.layout, lane.policy);
    config.ring_bytes = 4096;
    config.queue_messages = 3;
    config.read_back_bytes = 4096;
    config.lane_linger_ms = 500;
    config.open_timeout_ms = 2000;
    config.behind_timeout_ms = 5000;
    config.history = (struct history_limits){.messages = 5,
                                             .bytes = 1 << 16,
                                             .age_ms = INT64_MAX,
                                             .buffered = 4096,
                                             .tenant_buffered = 3000,
                                             .session_buffered = 2000};
    config.state = (struct state_limits){.items = 2, .chunk_bytes = 300};
    lane.hub = hub_new(&config, &hand_source_ops, &lane.source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const operations[])(void) = {arrive, arrive, arrive, scan_some, ask,
                                               ask,    tell,   pass,   read_some, go};
    memset(&lane, 0, sizeof(lane));
    lane.input = bytes_of(data, size);
    for (size_t i = 0; i < SESSIONS; i++)
        lane.readers[i].last.offset = -1;
    start(next() & 1);
    for (unsigned i = 0; i < OPERATIONS && lane.input.size; i++) {
        PICK(operations)();
        hub_run(lane.hub, lane.now_ms);
        check();
    }
    for (size_t i = 0; i < SESSIONS; i++)
        leave(&lane.readers[i]);
    hub_run(lane.hub, lane.now_ms);
    assert(hub_stats(lane.hub)->sessions == 0 && hub_stats(lane.hub)->history_bytes == 0);
    hub_free(lane.hub);
    policy_free(lane.policy);
    layout_free(lane.layout);
    return 0;
}
