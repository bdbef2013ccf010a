#include "adapter_fixture.h"

#include <check.h>
#include <stdio.h>

#include "from_yaml.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"

struct adapter_fixture fixture;
char fixture_cursor[1024], fixture_session[1024], fixture_id[2048];

enum { LANES = 4, RECORDS = 4096 };

struct fake_lane {
    struct lane *lane; /* NULL: not wanted */
    char topic[128];
    int32_t partition;
    bool asked; /* to be opened */
    bool scanning;
    int64_t from, to;
    int64_t end;
    struct buffer *records[RECORDS];
};

static struct fake_lane lanes[LANES];
static struct layout *layout;
static struct policy *policy;

/* --- lanes */

static struct fake_lane *lane_named(const char *topic, int32_t partition)
{
    for (size_t i = 0; i < LANES; i++) {
        if (lanes[i].topic[0] == 0) {
            snprintf(lanes[i].topic, sizeof(lanes[i].topic), "%s", topic);
            lanes[i].partition = partition;
        }
        if (strcmp(lanes[i].topic, topic) == 0 && lanes[i].partition == partition)
            return &lanes[i];
    }
    ck_abort_msg("too many lanes");
    return NULL;
}

static struct fake_lane *lane_of(const struct lane *lane)
{
    for (size_t i = 0; i < LANES; i++)
        if (lanes[i].lane == lane)
            return &lanes[i];
    ck_abort_msg("no such lane");
    return NULL;
}

static void open_lane(void *source, struct lane *lane, const char *topic, int32_t partition)
{
    (void)source;
    struct fake_lane *own = lane_named(topic, partition);
    own->lane = lane;
    own->asked = true;
}

static void close_lane(void *source, struct lane *lane)
{
    (void)source;
    struct fake_lane *own = lane_of(lane);
    own->lane = NULL;
    own->asked = own->scanning = false;
}

static void reopen_lane(void *source, struct lane *lane)
{
    (void)source;
    lane_of(lane)->asked = true;
}

static void ask_ends(void *source, struct lane *lane)
{
    (void)source;
    hub_lane_ends(fixture.hub, lane, 0, lane_of(lane)->end);
}

static void scan_lane(void *source, struct lane *lane, int64_t from, int64_t to)
{
    (void)source;
    struct fake_lane *own = lane_of(lane);
    own->scanning = true;
    own->from = from;
    own->to = to;
}

static void resume_scan(void *source, struct lane *lane)
{
    (void)source;
    lane_of(lane)->scanning = true;
}

static void cancel_scan(void *source, struct lane *lane)
{
    (void)source;
    lane_of(lane)->scanning = false;
}

static const struct lane_source_ops source_ops = {.open = open_lane,
                                                  .close = close_lane,
                                                  .reopen = reopen_lane,
                                                  .ends = ask_ends,
                                                  .scan = scan_lane,
                                                  .scan_resume = resume_scan,
                                                  .scan_cancel = cancel_scan};

static struct lane_record record_at(const struct fake_lane *own, int64_t offset)
{
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = 1,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(own->records[offset])};
}

static void scan_on(struct fake_lane *own)
{
    while (own->scanning) {
        if (own->from >= own->to || own->from >= own->end) {
            own->scanning = false;
            hub_scan_ended(fixture.hub, own->lane, STATUS_OK, 0);
            return;
        }
        struct lane_record record = record_at(own, own->from++);
        if (!hub_scan_record(fixture.hub, own->lane, &record))
            own->scanning = false; /* paused */
    }
}

static void serve_lanes(void)
{
    for (size_t i = 0; i < LANES; i++) {
        struct fake_lane *own = &lanes[i];
        bool closed = fixture.all_closed || (fixture.review_closed && strstr(own->topic, "review"));
        if (own->lane && own->asked && !closed) {
            own->asked = false;
            fixture.opened++;
            hub_lane_opened(fixture.hub, own->lane, 0, own->end);
        }
        if (own->lane)
            scan_on(own);
    }
}

/* `event`: of a custom one; NULL: a task's status. */
static void publish_about(const char *room, const char *event, struct notification_item item)
{
    struct fake_lane *own = lane_named("fanout.tenant", 0);
    struct bytes rooms[] = {bytes_of_string(room)};
    char data[32];
    snprintf(data, sizeof(data), "{\"n\":%lld}", (long long)++fixture.published);
    struct notification notification = {
        .id = BYTES_LITERAL("n"),
        .time = BYTES_LITERAL("2026-01-01T00:00:00Z"),
        .rooms = rooms,
        .room_count = 1,
        .item = item,
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {.status = BYTES_LITERAL("progress"), .data = bytes_of_string(data)}};
    if (event) {
        notification.type = NOTIFICATION_CUSTOM;
        notification.custom =
            (struct custom_event){.event = bytes_of_string(event), .data = bytes_of_string(data)};
    }
    ck_assert_int_lt(own->end, RECORDS);
    struct buffer *value = mem_new(struct buffer);
    notification_encode(&notification, value);
    own->records[own->end++] = value;
    struct lane_record record = record_at(own, own->end - 1);
    if (own->lane && !own->asked)
        hub_record(fixture.hub, own->lane, &record);
}

void fixture_publish(const char *room, bool turn)
{
    publish_about(room, NULL, (struct notification_item){0});
    if (turn)
        fake_turn();
}

void fixture_publish_item(const char *room, const char *key, bool removed)
{
    publish_about(room, NULL, (struct notification_item){bytes_of_string(key), removed});
    fake_turn();
}

void fixture_emit(const char *room, const char *event)
{
    publish_about(room, event, (struct notification_item){0});
    fake_turn();
}

void fixture_set_stale(bool stale)
{
    struct fake_lane *own = lane_named("fanout.tenant", 0);
    if (stale)
        hub_lane_unavailable(fixture.hub, own->lane, "away", world.now_ms);
    else
        hub_lane_position(fixture.hub, own->lane, own->end);
    fake_turn();
}

/* --- tokens */

static const char claims_1[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\"}";
static const char claims_2[] = "{\"sub\":\"usr_2\",\"tenant\":\"acme\"}";

static enum identity_verdict ask(void *identifier, const struct identity_question *question,
                                 struct identity_waiter *waiter, struct identity *identity)
{
    (void)identifier;
    bool soon = bytes_equal_string(question->token, "soon");
    if (bytes_equal_string(question->token, "late")) {
        ck_assert_ptr_null(fixture.asked);
        fixture.asked = waiter;
        return IDENTITY_UNDECIDED;
    }
    if (bytes_equal_string(question->token, "trouble")) {
        *identity = (struct identity){.reason = "no_keys"};
        return IDENTITY_TROUBLE;
    }
    if (bytes_equal_string(question->token, "good") || soon ||
        bytes_equal_string(question->token, "other")) {
        bool other = bytes_equal_string(question->token, "other");
        *identity = (struct identity){
            .claims = claims_of_text(bytes_of_string(other ? claims_2 : claims_1)),
            .expires_ms = soon ? world.now_ms + 1000 : INT64_MAX};
        return IDENTITY_KNOWN;
    }
    if (bytes_start_with(question->token, BYTES_LITERAL("teams-"))) {
        static char claims[256];
        int size =
            snprintf(claims, sizeof(claims), "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"teams\":[");
        for (size_t i = strlen("teams-"); i < question->token.size; i++)
            size += snprintf(claims + size, sizeof(claims) - (size_t)size, "%s\"%c\"",
                             i > strlen("teams-") ? "," : "", question->token.data[i]);
        snprintf(claims + size, sizeof(claims) - (size_t)size, "]}");
        *identity = (struct identity){.claims = claims_of_text(bytes_of_string(claims)),
                                      .expires_ms = INT64_MAX};
        return IDENTITY_KNOWN;
    }
    if (bytes_equal_string(question->token, "tenantless")) {
        *identity =
            (struct identity){.claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\"}")),
                              .expires_ms = INT64_MAX};
        return IDENTITY_KNOWN;
    }
    *identity =
        (struct identity){.reason = question->token.size ? "token_invalid" : "token_missing"};
    return IDENTITY_REFUSED;
}

static void cancel(void *identifier, struct identity_waiter *waiter)
{
    (void)identifier;
    ck_assert_ptr_eq(fixture.asked, waiter);
    fixture.asked = NULL;
}

static const struct identity_ops identity_ops = {.ask = ask, .cancel = cancel};

void fixture_decide(bool known)
{
    struct identity_waiter *waiter = fixture.asked;
    struct identity identity = {.claims = claims_of_text(bytes_of_string(claims_1)),
                                .expires_ms = INT64_MAX,
                                .reason = known ? NULL : "token_invalid"};
    fixture.asked = NULL;
    waiter->decided(waiter, known ? IDENTITY_KNOWN : IDENTITY_REFUSED, &identity);
    fake_turn();
}

/* --- the world */

static const struct wire_clients_config clients_config = {.identity_ops = &identity_ops,
                                                          .random = fake_random,
                                                          .write_bytes = 65536,
                                                          .expiry_grace_ms = 500};

static const struct websocket_adapter_config websocket_defaults = {.path = "/ws",
                                                                   .message_bytes = 4096,
                                                                   .queue_bytes = 4096,
                                                                   .requests = 4,
                                                                   .refusals = 3,
                                                                   .refusals_ms = 60000,
                                                                   .rooms = 8,
                                                                   .json_depth = 8,
                                                                   .hello_timeout_ms = 1000,
                                                                   .message_timeout_ms = 400,
                                                                   .ping_interval_ms = 300,
                                                                   .ping_timeout_ms = 200,
                                                                   .write_timeout_ms = 2000};
static const struct sse_adapter_config sse_defaults = {.path = "/sse",
                                                       .rooms = 8,
                                                       .retry_ms = 2000,
                                                       .open_timeout_ms = 3000,
                                                       .heartbeat_ms = 300,
                                                       .write_timeout_ms = 2000};
static const struct hub_config hub_defaults = {.ring_bytes = 1 << 20,
                                               .queue_messages = 16,
                                               .answers = 64,
                                               .answer_bytes = 16384,
                                               .rooms_per_session = 16,
                                               .rooms_per_record = 16,
                                               .lanes_per_session = 4,
                                               .sessions = 8,
                                               .pending_joins = 8,
                                               .lane_linger_ms = 100000,
                                               .open_timeout_ms = 1000,
                                               .behind_timeout_ms = 10000,
                                               .truncation_confirm_ms = 1000,
                                               .cursor_lag_bytes = 4096,
                                               .catch_up_bytes = 1 << 30,
                                               .scans = 2,
                                               .history = {.messages = 10,
                                                           .bytes = 1 << 20,
                                                           .age_ms = INT64_MAX,
                                                           .buffered = 1 << 20,
                                                           .tenant_buffered = 1 << 20,
                                                           .session_buffered = 1 << 20},
                                               .state = {.items = 10, .chunk_bytes = 400},
                                               .recovery = true,
                                               .key_count = 1};
struct websocket_adapter_config fixture_websocket;
struct sse_adapter_config fixture_sse;
struct hub_config fixture_hub;

static __attribute__((constructor)) void set_defaults(void)
{
    fixture_websocket = websocket_defaults;
    fixture_sse = sse_defaults;
    fixture_hub = hub_defaults;
}

static void turn(void)
{
    struct wire_clients *clients[] = {websocket_adapter_clients(fixture.websocket),
                                      sse_adapter_clients(fixture.sse)};
    for (size_t i = 0; i < 2; i++)
        wire_clients_set_time(clients[i], world.now_ms, world.now_ms);
    socketio_adapter_set_time(fixture.socketio, world.now_ms, world.now_ms);
    for (int round = 0; round < 8; round++) { /* what a loop would do without waiting */
        serve_lanes();
        hub_run(fixture.hub, world.now_ms);
        for (size_t i = 0; i < 2; i++)
            wire_clients_turn(clients[i]);
        engineio_server_turn(socketio_engineio(world.socketio), world.now_ms);
    }
}

static void configure(void)
{
    layout = layout_from_yaml("tenant: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                              "user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                              "team: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                              "task: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                              "review: {topic: \"fanout.review.{key}\", partitions: 1}\n",
                              "review: [legal]");
    policy = policy_from_yaml("connect: [\"user:{sub}\", \"team:{teams}\"]\n"
                              "join: [\"task:*\", \"review:legal\", \"nowhere:*\"]");
}

static void start_socketio(void)
{
    static const char *const namespaces[] = {"/", NULL};
    const struct socketio_adapter_config config = {.hub = fixture.hub,
                                                   .identity_ops = &identity_ops,
                                                   .wheel = &world.wheel,
                                                   .random = fake_random,
                                                   .expiry_grace_ms = 500};
    fixture.socketio = socketio_adapter_new(&config);
    fake_engineio.path = "/socket.io/";
    fake_socketio.namespaces = namespaces;
    fake_socketio.ops = &socketio_adapter_ops;
    fake_socketio.application = fixture.socketio;
}

void fixture_start(bool byte_by_byte)
{
    fixture = (struct adapter_fixture){0};
    fixture_cursor[0] = fixture_session[0] = fixture_id[0] = 0;
    configure();
    fixture_hub.layout = layout;
    fixture_hub.policy = policy;
    fixture_hub.keys[0] = BYTES_LITERAL("a key of thirty-two bytes, or more");
    fixture.hub = hub_new(&fixture_hub, &source_ops, NULL);
    start_socketio();
    fake_start(NULL, byte_by_byte);
    fixture_websocket.clients = fixture_sse.clients = clients_config;
    fixture_websocket.clients.hub = fixture_sse.clients.hub = fixture.hub;
    fixture_websocket.clients.wheel = fixture_sse.clients.wheel = &world.wheel;
    fixture.websocket = websocket_adapter_new(&fixture_websocket, world.http);
    fixture.sse = sse_adapter_new(&fixture_sse, world.http);
    world.others = turn;
    turn();
}

void fixture_stop(void)
{
    for (struct fake_wire *wire = world.wires; wire; wire = wire->next)
        if (!wire->closed)
            fake_cut(wire);
    fake_turn();
    ck_assert_uint_eq(websocket_adapter_clients(fixture.websocket)->stats.connections, 0);
    ck_assert_uint_eq(sse_adapter_clients(fixture.sse)->stats.connections, 0);
    ck_assert_uint_eq(hub_stats(fixture.hub)->sessions, 0);
    world.others = NULL;
    websocket_adapter_free(fixture.websocket);
    sse_adapter_free(fixture.sse);
    fake_stop();
    socketio_adapter_free(fixture.socketio);
    hub_free(fixture.hub);
    policy_free(policy);
    layout_free(layout);
    for (size_t i = 0; i < LANES; i++) {
        for (int64_t offset = 0; offset < lanes[i].end; offset++) {
            buffer_deinit(lanes[i].records[offset]);
            free(lanes[i].records[offset]);
        }
        lanes[i] = (struct fake_lane){0};
    }
    fake_fields = "";
    set_defaults();
}

/* --- masking */

struct masked {
    const char *before, *word;
    char *last;
    size_t size;
    char end;
};

static const struct masked masks[] = {
    {"\"cursor\":\"", "cursor", fixture_cursor, sizeof(fixture_cursor), '"'},
    {"\"session\":\"", "session", fixture_session, sizeof(fixture_session), '"'},
    {"\"sid\":\"", "sid", NULL, 0, '"'},
    {"\nid: ", "id", fixture_id, sizeof(fixture_id), '\n'},
};

static const struct masked *mask_at(const char *text)
{
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
        if (strncmp(text, masks[i].before, strlen(masks[i].before)) == 0)
            return &masks[i];
    return NULL;
}

static const char *mask_value(const struct masked *mask, const char *text, struct buffer *out)
{
    size_t size = (size_t)(strchr(text, mask->end) - text);
    bool same = mask->last && strlen(mask->last) == size && memcmp(mask->last, text, size) == 0;
    buffer_append_format(out, "<%s%s>", same ? "same " : "", mask->word);
    if (mask->last) {
        ck_assert_uint_lt(size, mask->size);
        memcpy(mask->last, text, size);
        mask->last[size] = '\0';
    }
    return text + size;
}

const char *fixture_mask(const char *text)
{
    auto_buffer struct buffer out = {0};
    while (*text) {
        const struct masked *mask = mask_at(text);
        if (!mask) {
            buffer_append_byte(&out, (uint8_t)*text++);
            continue;
        }
        buffer_append_string(&out, mask->before);
        text = mask_value(mask, text + strlen(mask->before), &out);
    }
    buffer_append_byte(&out, '\0');
    ck_assert_uint_lt(buffer_size(&out), sizeof(world.text));
    memcpy(world.text, out.data, buffer_size(&out));
    return world.text;
}
