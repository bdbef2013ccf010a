#include "hostile_world.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>

#include "decoded.h"
#include "from_yaml.h"
#include "hub_state.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"

struct hostile_world world;

enum {
    PEER_PORT = 8081,
    ROUNDS_MOST = 2000, /* more until there is rest: a gateway that spins */
    /* What sessions, wires and the log hold; and what is kept decoded, in all forms of a message. */
    MEMORY_MOST = (3 << 20) + HOSTILE_GATEWAYS * 5 * DECODED_BYTES,
};

/* The sanitizer's own count, where there is one. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t memory_now(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                   : mallinfo2().uordblks;
}

static void fill_random(void *context, uint8_t *out, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(world.random++ * 37);
}

/* --- lanes --- */

static struct hostile_log *log_named(const char *topic, int32_t partition)
{
    for (unsigned i = 0; i < world.log_count; i++)
        if (strcmp(world.logs[i].topic, topic) == 0 && world.logs[i].partition == partition)
            return &world.logs[i];
    assert(world.log_count < HOSTILE_LANES);
    struct hostile_log *log = &world.logs[world.log_count++];
    (void)snprintf(log->topic, sizeof(log->topic), "%s", topic);
    log->partition = partition;
    return log;
}

static struct hostile_reading *reading_of(struct hostile_gateway *gateway, const struct lane *lane)
{
    for (unsigned i = 0; i < HOSTILE_LANES; i++)
        if (gateway->readings[i].lane == lane)
            return &gateway->readings[i];
    assert(!"the hub names a lane that it closed, or more lanes than there are");
    return NULL;
}

static void open_lane(void *source, struct lane *lane, const char *topic, int32_t partition)
{
    *reading_of(source, NULL) =
        (struct hostile_reading){.lane = lane, .log = log_named(topic, partition), .asked = true};
}

static void close_lane(void *source, struct lane *lane)
{
    *reading_of(source, lane) = (struct hostile_reading){0};
}

static void reopen_lane(void *source, struct lane *lane)
{
    struct hostile_reading *reading = reading_of(source, lane);
    *reading = (struct hostile_reading){.lane = lane, .log = reading->log, .asked = true};
}

static void ask_ends(void *source, struct lane *lane)
{
    reading_of(source, lane)->ends_wanted = true;
}

static void scan_lane(void *source, struct lane *lane, int64_t from, int64_t to)
{
    struct hostile_reading *reading = reading_of(source, lane);
    assert(!reading->scanning && from < to);
    reading->scanning = true;
    reading->from = from;
    reading->to = to;
}

static void resume_scan(void *source, struct lane *lane)
{
    reading_of(source, lane)->scanning = true;
}

static void cancel_scan(void *source, struct lane *lane)
{
    reading_of(source, lane)->scanning = false;
}

static const struct lane_source_ops source_ops = {.open = open_lane,
                                                  .close = close_lane,
                                                  .reopen = reopen_lane,
                                                  .ends = ask_ends,
                                                  .scan = scan_lane,
                                                  .scan_resume = resume_scan,
                                                  .scan_cancel = cancel_scan};

static struct lane_record record_at(const struct hostile_log *log, int64_t offset)
{
    const struct hostile_record *record = &log->records[offset];
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = record->timestamp_ms,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(&record->value)};
}

static bool scan_on(struct hostile_gateway *gateway, struct hostile_reading *reading)
{
    if (!reading->scanning)
        return false;
    while (reading->scanning) {
        if (reading->from >= reading->to || reading->from >= reading->log->end) {
            reading->scanning = false;
            hub_scan_ended(gateway->hub, reading->lane, STATUS_OK, 0);
            break;
        }
        struct lane_record record = record_at(reading->log, reading->from++);
        if (!hub_scan_record(gateway->hub, reading->lane, &record))
            reading->scanning = false; /* paused */
    }
    return true;
}

static bool read_lane(struct hostile_gateway *gateway, struct hostile_reading *reading)
{
    struct hostile_log *log = reading->log;
    bool moved = false;
    if (reading->asked && !log->closed) {
        reading->asked = false;
        reading->position = log->end;
        hub_lane_opened(gateway->hub, reading->lane, 0, log->end);
        moved = true;
    }
    if (reading->asked)
        return false;
    for (; reading->lane && reading->position < log->end; moved = true) {
        struct lane_record record = record_at(log, reading->position++);
        hub_record(gateway->hub, reading->lane, &record);
    }
    if (reading->lane && reading->ends_wanted) {
        reading->ends_wanted = false;
        hub_lane_ends(gateway->hub, reading->lane, 0, log->end);
        moved = true;
    }
    return (reading->lane && scan_on(gateway, reading)) || moved;
}

static bool read_lanes(struct hostile_gateway *gateway)
{
    bool moved = false;
    for (unsigned i = 0; i < HOSTILE_LANES && !gateway->stale; i++)
        if (gateway->readings[i].lane)
            moved = read_lane(gateway, &gateway->readings[i]) || moved;
    return moved;
}

/* What the hub has asked for since. */
static bool lanes_wait(const struct hostile_gateway *gateway)
{
    for (unsigned i = 0; i < HOSTILE_LANES && !gateway->stale; i++) {
        const struct hostile_reading *reading = &gateway->readings[i];
        if (reading->lane &&
            (reading->asked ? !reading->log->closed : reading->scanning || reading->ends_wanted))
            return true;
    }
    return false;
}

void hostile_world_publish(const char *room, bool witnessed, size_t data_bytes)
{
    bool review = strncmp(room, "review:", 7) == 0;
    char topic[64], data[4096];
    struct bytes rooms[] = {bytes_of_string(room), BYTES_LITERAL(HOSTILE_WITNESS_ROOM)};
    if (world.records == HOSTILE_RECORDS)
        return;
    (void)snprintf(topic, sizeof(topic), review ? "fanout.review.%s" : "fanout.tenant", room + 7);
    struct hostile_log *log = log_named(topic, 0);
    witnessed = witnessed && !review;
    int size = snprintf(data, sizeof(data), "{\"%c\":%u,\"text\":\"%0*d\"}", witnessed ? 'n' : 'x',
                        witnessed ? ++world.witnessed : 0,
                        (int)(data_bytes < 3000 ? data_bytes : 3000), 0);
    struct notification notification = {
        .id = BYTES_LITERAL("n"),
        .time = BYTES_LITERAL("2026-01-01T00:00:00Z"),
        .rooms = rooms,
        .room_count = witnessed && !bytes_equal(rooms[0], rooms[1]) ? 2 : 1,
        .item = {bytes_of(&"abcdefgh"[size % 8], 1), size % 3 == 0},
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {.status = BYTES_LITERAL("x"), .data = bytes_of(data, (size_t)size)}};
    struct hostile_record *record = &log->records[log->end++];
    record->timestamp_ms = world.now_ms;
    notification_encode(&notification, &record->value);
    world.records++;
}

void hostile_world_set_stale(unsigned index, bool stale)
{
    struct hostile_gateway *gateway = &world.gateways[index];
    if (!gateway->alive || gateway->stale == stale)
        return;
    gateway->stale = stale;
    for (unsigned i = 0; i < HOSTILE_LANES; i++) {
        struct hostile_reading *reading = &gateway->readings[i];
        if (!reading->lane || reading->asked)
            continue;
        if (stale)
            hub_lane_unavailable(gateway->hub, reading->lane, "away", world.now_ms);
        else
            hub_lane_position(gateway->hub, reading->lane, reading->position);
    }
}

/* --- who clients are, and where their events go --- */

static const struct {
    const char *token, *claims;
    int64_t lifetime_ms; /* 0: for ever */
} tokens[] = {
    {"good", "{\"sub\":\"usr_h\",\"tenant\":\"acme\"}", 0},
    {"other", "{\"sub\":\"usr_o\",\"tenant\":\"acme\"}", 0},
    {"soon", "{\"sub\":\"usr_h\",\"tenant\":\"acme\"}", 1000},
    {"less", "{\"sub\":\"usr_h\"}", 0},
    {"witness", "{\"sub\":\"usr_w\",\"tenant\":\"acme\"}", 0},
};

static enum identity_verdict ask(void *identifier, const struct identity_question *question,
                                 struct identity_waiter *waiter, struct identity *identity)
{
    struct hostile_gateway *gateway = identifier;
    if (bytes_equal_string(question->token, "late"))
        for (unsigned i = 0; i < HOSTILE_ASKED; i++)
            if (!gateway->asked[i]) {
                gateway->asked[i] = waiter;
                return IDENTITY_UNDECIDED;
            }
    if (bytes_equal_string(question->token, "late") ||
        bytes_equal_string(question->token, "trouble")) {
        *identity = (struct identity){.reason = "no_keys"};
        return IDENTITY_TROUBLE;
    }
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
        if (bytes_equal_string(question->token, tokens[i].token)) {
            *identity = (struct identity){
                .claims = claims_of_text(bytes_of_string(tokens[i].claims)),
                .expires_ms =
                    tokens[i].lifetime_ms ? world.now_ms + tokens[i].lifetime_ms : INT64_MAX};
            return IDENTITY_KNOWN;
        }
    *identity = (struct identity){.reason = "token_invalid"};
    return IDENTITY_REFUSED;
}

static void cancel(void *identifier, struct identity_waiter *waiter)
{
    struct hostile_gateway *gateway = identifier;
    for (unsigned i = 0; i < HOSTILE_ASKED; i++)
        if (gateway->asked[i] == waiter) {
            gateway->asked[i] = NULL;
            return;
        }
    assert(!"cancelled what was not asked");
}

static const struct identity_ops identity_ops = {.ask = ask, .cancel = cancel};

void hostile_world_decide(unsigned index, bool known)
{
    struct hostile_gateway *gateway = &world.gateways[index];
    for (unsigned i = 0; i < HOSTILE_ASKED; i++) {
        struct identity_waiter *waiter = gateway->asked[i];
        if (!waiter)
            continue;
        struct identity identity = {.claims = claims_of_text(bytes_of_string(tokens[0].claims)),
                                    .expires_ms = INT64_MAX,
                                    .reason = known ? NULL : "token_invalid"};
        gateway->asked[i] = NULL;
        waiter->decided(waiter, known ? IDENTITY_KNOWN : IDENTITY_REFUSED, &identity);
        return;
    }
}

static enum status send_event(void *outlet, const struct outlet_record *record,
                              struct outlet_waiter *waiter)
{
    struct hostile_gateway *gateway = outlet;
    assert(record->event.size > 0 && record->user.size > 0);
    for (unsigned i = 0; i < HOSTILE_WAITERS; i++)
        if (!gateway->waiters[i]) {
            gateway->waiters[i] = waiter;
            return STATUS_OK;
        }
    return STATUS_LIMIT;
}

static void forget_event(void *outlet, struct outlet_waiter *waiter)
{
    struct hostile_gateway *gateway = outlet;
    for (unsigned i = 0; i < HOSTILE_WAITERS; i++)
        if (gateway->waiters[i] == waiter) {
            gateway->waiters[i] = NULL;
            return;
        }
    assert(!"forgot what was not sent");
}

static const struct outlet_ops outlet_ops = {.send = send_event, .forget = forget_event};

void hostile_world_answer_event(unsigned index, bool good)
{
    struct hostile_gateway *gateway = &world.gateways[index];
    for (unsigned i = 0; i < HOSTILE_WAITERS; i++) {
        struct outlet_waiter *waiter = gateway->waiters[i];
        if (!waiter)
            continue;
        gateway->waiters[i] = NULL;
        waiter->done(waiter, good ? STATUS_OK : STATUS_UNAVAILABLE);
        return;
    }
}

/* --- gateways --- */

static struct wire *dial(void *dialer, const struct peer_address *address)
{
    const struct hostile_gateway *from = dialer;
    unsigned to = address->ip[15] - 1u;
    assert(address->port == PEER_PORT && to < HOSTILE_GATEWAYS);
    struct hostile_wire *near = hostile_wire_dial(
        from->index, world.gateways[to].alive ? world.gateways[to].peer_http : NULL, to,
        world.now_ms);
    return &near->wire;
}

static const struct http_server_config http_config = {
    .limits = {.request_line_bytes = 2048,
               .head_bytes = 4096,
               .field_count = 32,
               .body_bytes = HOSTILE_POST_BYTES},
    .head_timeout_ms = 1000,
    .body_timeout_ms = 2000,
    .idle_timeout_ms = 3000,
    .pipeline_bytes = 2048,
};

static void open_hub(struct hostile_gateway *gateway)
{
    const struct hub_config config = {
        .layout = world.layout,
        .policy = world.policy,
        .ring_bytes = 4096,
        .queue_messages = 4,
        .answers = 32,
        .answer_bytes = 4096,
        .rooms_per_session = 5,
        .rooms_per_record = 8,
        .lanes_per_session = 3,
        .sessions = 10,
        .pending_joins = 3,
        .lane_linger_ms = 2000,
        .open_timeout_ms = 1000,
        .behind_timeout_ms = 10000,
        .truncation_confirm_ms = 500,
        .cursor_lag_bytes = 2048,
        .catch_up_bytes = 1 << 20,
        .scans = 1,
        .read_back_bytes = 8192,
        .history = {.messages = 6,
                    .bytes = 1 << 16,
                    .age_ms = INT64_MAX,
                    .buffered = 8192,
                    .tenant_buffered = 6000,
                    .session_buffered = 4000},
        .state = {.items = 5, .chunk_bytes = 500},
        .recovery = true,
        .keys = {BYTES_LITERAL("a key of thirty-two bytes, or more")},
        .key_count = 1,
    };
    gateway->hub = hub_new(&config, &source_ops, gateway);
}

static void open_socketio(struct hostile_gateway *gateway)
{
    static const char *const namespaces[] = {"/", NULL};
    const struct socketio_adapter_config adapter = {.hub = gateway->hub,
                                                    .identity_ops = &identity_ops,
                                                    .identifier = gateway,
                                                    .events = gateway->events,
                                                    .wheel = &world.wheel,
                                                    .random = fill_random,
                                                    .expiry_grace_ms = 500};
    gateway->adapter = socketio_adapter_new(&adapter);
    const struct socketio_config config = {
        .engineio = {.path = "/socket.io/",
                     .ping_interval_ms = 300,
                     .ping_timeout_ms = 200,
                     .max_payload_bytes = HOSTILE_POST_BYTES,
                     .payload_packets = 2000,
                     .poll_packets = 16,
                     .queue_bytes = 4096,
                     .write_bytes = 4096,
                     .upgrade_timeout_ms = 500,
                     .close_timeout_ms = 1000,
                     .sessions = 12,
                     .random = fill_random},
        .namespaces = namespaces,
        .limits = {.json_depth = 16, .namespace_bytes = 64, .packet_bytes = 60000},
        .connect_timeout_ms = 1000,
        .attachments_timeout_ms = 200,
        .ops = &socketio_adapter_ops,
        .application = gateway->adapter,
    };
    gateway->socketio = socketio_server_new(&config, gateway->http, &world.wheel);
}

static void open_streams(struct hostile_gateway *gateway)
{
    const struct wire_clients_config clients = {.hub = gateway->hub,
                                                .identity_ops = &identity_ops,
                                                .identifier = gateway,
                                                .wheel = &world.wheel,
                                                .random = fill_random,
                                                .write_bytes = 4096,
                                                .expiry_grace_ms = 500};
    const struct websocket_adapter_config websocket = {.clients = clients,
                                                       .events = gateway->events,
                                                       .path = "/ws",
                                                       .message_bytes = 4096,
                                                       .queue_bytes = 4096,
                                                       .requests = 4,
                                                       .rooms = 8,
                                                       .json_depth = 16,
                                                       .query_token = true,
                                                       .hello_timeout_ms = 1000,
                                                       .message_timeout_ms = 400,
                                                       .ping_interval_ms = 300,
                                                       .ping_timeout_ms = 200,
                                                       .write_timeout_ms = 2000};
    const struct sse_adapter_config sse = {.clients = clients,
                                           .path = "/sse",
                                           .rooms = 4,
                                           .retry_ms = 2000,
                                           .open_timeout_ms = 1500,
                                           .heartbeat_ms = 300,
                                           .write_timeout_ms = 2000};
    gateway->websocket = websocket_adapter_new(&websocket, gateway->http);
    gateway->sse = sse_adapter_new(&sse, gateway->http);
}

static void open_peers(struct hostile_gateway *gateway)
{
    static const struct peer_dialer_ops dialer_ops = {dial};
    const uint8_t boot[PEER_BOOT_BYTES] = {++world.boots};
    const struct bytes secret = BYTES_LITERAL("shared by both");
    char address[24];
    (void)snprintf(address, sizeof(address), "10.0.0.%u", gateway->index + 1);
    bool parsed = peer_address_parse(address, &gateway->identity.own) &&
                  peer_network_parse("10.0.0.0/24", &gateway->identity.networks[0]);
    assert(parsed);
    (void)parsed;
    gateway->identity.own.port = PEER_PORT;
    gateway->identity.network_count = 1;
    peer_identity_init(&gateway->identity, &secret, 1, boot);
    const struct peer_client_config config = {.identity = &gateway->identity,
                                              .dialer_ops = &dialer_ops,
                                              .dialer = gateway,
                                              .connections = 2,
                                              .waiting = 4,
                                              .answer_bytes = 1 << 16};
    gateway->peer_http = http_server_new(&http_config, &world.wheel);
    gateway->peers = peer_client_new(&config, &world.wheel);
    engineio_server_set_peers(socketio_engineio(gateway->socketio),
                              &(struct engineio_peers){.identity = &gateway->identity,
                                                       .client = gateway->peers,
                                                       .http = gateway->peer_http,
                                                       .timeout_ms = 100});
}

void hostile_world_boot(unsigned index)
{
    struct hostile_gateway *gateway = &world.gateways[index];
    if (gateway->alive)
        return;
    *gateway = (struct hostile_gateway){.alive = true, .index = index};
    const struct client_events_config events = {.outlet_ops = &outlet_ops,
                                                .outlet = gateway,
                                                .payload_bytes = 2000,
                                                .pending = 3,
                                                .rate = 10,
                                                .burst = 5,
                                                .random = fill_random};
    gateway->events = client_events_new(&events);
    gateway->http = http_server_new(&http_config, &world.wheel);
    open_hub(gateway);
    open_socketio(gateway);
    open_streams(gateway);
    open_peers(gateway);
}

void hostile_world_kill(unsigned index)
{
    struct hostile_gateway *gateway = &world.gateways[index];
    if (!gateway->alive)
        return;
    hostile_wires_break(index);
    socketio_server_free(gateway->socketio);
    socketio_adapter_free(gateway->adapter);
    websocket_adapter_free(gateway->websocket);
    sse_adapter_free(gateway->sse);
    http_server_free(gateway->http);
    http_server_free(gateway->peer_http);
    peer_client_free(gateway->peers);
    assert(hub_stats(gateway->hub)->sessions == 0);
    assert(hub_stats(gateway->hub)->history_bytes == 0);
    hub_free(gateway->hub);
    client_events_free(gateway->events);
    gateway->alive = false;
}

/* --- time and rest --- */

/* As the gateway's chores, in their order (infra/gateway_turn.c). */
static bool turn(struct hostile_gateway *gateway)
{
    struct wire_clients *clients[] = {websocket_adapter_clients(gateway->websocket),
                                      sse_adapter_clients(gateway->sse)};
    struct engineio_server *engineio = socketio_engineio(gateway->socketio);
    bool moved = read_lanes(gateway);
    for (size_t i = 0; i < 2; i++)
        wire_clients_set_time(clients[i], world.now_ms, world.now_ms);
    socketio_adapter_set_time(gateway->adapter, world.now_ms, world.now_ms);
    hub_run(gateway->hub, world.now_ms);
    engineio_server_turn(engineio, world.now_ms);
    for (size_t i = 0; i < 2; i++)
        wire_clients_turn(clients[i]);
    return moved || lanes_wait(gateway) || hub_deadline_ms(gateway->hub) <= world.now_ms ||
           engineio_server_deadline_ms(engineio) <= world.now_ms ||
           wire_clients_deadline_ms(clients[0]) <= world.now_ms ||
           wire_clients_deadline_ms(clients[1]) <= world.now_ms;
}

void hostile_world_run(void)
{
    bool moved = true;
    for (unsigned rounds = 0; moved; rounds++) {
        assert(rounds < ROUNDS_MOST);
        timer_wheel_advance(&world.wheel, world.now_ms);
        moved = false;
        for (unsigned i = 0; i < HOSTILE_GATEWAYS; i++)
            if (world.gateways[i].alive)
                moved = turn(&world.gateways[i]) || moved;
        moved = hostile_wires_move(world.now_ms) || moved;
        moved = moved || timer_wheel_deadline_ms(&world.wheel) <= world.now_ms;
    }
}

/* --- what must hold --- */

static void check_session(const struct session *session)
{
    const struct hub_config *config = &session->hub->config;
    assert(session->queue.messages <= config->queue_messages);
    /* What ends it stands behind the last. */
    assert(session->queue.count - session->queue.messages <= config->answers + 1);
    assert(session->queue.answer_bytes <= config->answer_bytes + ROOM_NAME_LIMIT +
                                              sizeof(struct queue_item) + sizeof(struct control));
    assert(session->room_count <= config->rooms_per_session);
    assert(session->place_count <= config->lanes_per_session);
    assert((unsigned)session->joins.count + session->histories <= config->pending_joins);
}

static void check_hub(const struct hub *hub)
{
    const struct hub_stats *stats = hub_stats(hub);
    const struct session *session;
    assert(stats->sessions <= hub->config.sessions);
    assert(stats->queued_messages <= stats->sessions * hub->config.queue_messages);
    assert(stats->history_bytes <= hub->config.history.buffered);
    assert(stats->lanes <= HOSTILE_LANES);
    DL_FOREACH(hub->sessions, session)
        check_session(session);
}

void hostile_world_check(void)
{
    for (unsigned i = 0; i < HOSTILE_GATEWAYS; i++)
        if (world.gateways[i].alive)
            check_hub(world.gateways[i].hub);
    assert(memory_now() <= world.memory + MEMORY_MOST);
}

/* --- beginning and end --- */

static void configure(void)
{
    world.layout =
        layout_from_yaml("tenant: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "task: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "review: {topic: \"fanout.review.{key}\", partitions: 1}\n",
                         "review: [legal, a, b, c, d]");
    world.policy = policy_from_yaml("connect: [\"user:{sub}\"]\n"
                                    "join: [\"task:*\", \"review:*\", \"nowhere:*\"]\n"
                                    "events: [\"task.*\"]");
}

void hostile_world_start(void)
{
    memset(&world, 0, sizeof(world));
    world.now_ms = 1000;
    world.random = 1;
    timer_wheel_init(&world.wheel, world.now_ms);
    configure();
    for (unsigned i = 0; i < HOSTILE_GATEWAYS; i++)
        hostile_world_boot(i);
    world.memory = memory_now();
    hostile_world_run();
}

void hostile_world_stop(void)
{
    for (unsigned i = 0; i < HOSTILE_GATEWAYS; i++)
        hostile_world_kill(i);
    assert(world.wheel.count == 0);
    hostile_wires_free();
    for (unsigned i = 0; i < world.log_count; i++)
        for (int64_t offset = 0; offset < world.logs[i].end; offset++)
            buffer_deinit(&world.logs[i].records[offset].value);
    policy_free(world.policy);
    layout_free(world.layout);
}
