#include "returning.h"

#include <stdio.h>

#include "from_yaml.h"
#include "notification.h"
#include "suite.h"

enum { LAG = 2000, RING = 1000 };

const char acme[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\"}";
const char access_all[] = "{join: ['task:*', 'project:*']}";

struct returning_world world;

void world_reset(void)
{
    memset(&world, 0, sizeof(world));
    world.takes = -1;
}

void world_publish_forged(unsigned count, const char *room_name, const struct forged *forged)
{
    for (; count; count--, world.end++) {
        auto_buffer struct buffer value = {0};
        struct bytes room = bytes_of_string(room_name);
        char body[RECORD];
        memset(body, 'x', sizeof(body));
        struct notification notification = {.id = BYTES_LITERAL("1"),
                                            .rooms = &room,
                                            .room_count = 1,
                                            .type = NOTIFICATION_CLIENT,
                                            .client = {.body = bytes_of(body, sizeof(body))}};
        notification_encode(&notification, &value);
        auto_buffer struct buffer hashes = {0};
        if (forged)
            notification_append_room_hash(
                &hashes, room_hash(BYTES_LITERAL("acme"), bytes_of_string(forged->room)));
        struct lane_record record = {.offset = world.end,
                                     .timestamp_ms = 1,
                                     .key = bytes_of_string(forged ? forged->key : "acme"),
                                     .value = buffer_peek(&value),
                                     .room_hashes = buffer_peek(&hashes)};
        if (world.source.lane && !world.source.asked)
            hub_record(world.hub, world.source.lane, &record);
    }
}

void world_publish(unsigned count, const char *room_name)
{
    world_publish_forged(count, room_name, NULL);
}

/* --- the client: what it is told, in words */

static void keep_text(char out[TEXT_BYTES], struct bytes text)
{
    ck_assert_uint_lt(text.size, TEXT_BYTES);
    if (text.size)
        snprintf(out, TEXT_BYTES, "%.*s", BYTES_PRINT(text));
}

static void tell(const char *word, struct bytes detail, const char *reason)
{
    size_t size = strlen(world.told);
    snprintf(world.told + size, sizeof(world.told) - size, "%s%s%.*s%s%s; ", word,
             detail.size ? " " : "", BYTES_PRINT(detail), reason ? ": " : "", reason ? reason : "");
}

static void ready(struct session *session, void *connection)
{
    static const char *const words[] = {[DELIVERY_NOTIFICATION] = "notification",
                                        [DELIVERY_JOINED] = "joined",
                                        [DELIVERY_JOIN_REFUSED] = "refused",
                                        [DELIVERY_LEFT] = "left",
                                        [DELIVERY_REFRESHED] = "refreshed",
                                        [DELIVERY_CURSOR] = "cursor",
                                        [DELIVERY_CLOSE] = "close",
                                        [DELIVERY_REFUSED] = "turned away"};
    struct delivery delivery;
    (void)connection;
    while (world.takes && session_next(session, &delivery)) {
        world.takes -= world.takes > 0;
        keep_text(world.private_id, delivery.private_id);
        keep_text(world.cursor, delivery.cursor);
        char reason[64] = "";
        if (delivery.claim)
            snprintf(reason, sizeof(reason), "%s (%s)", delivery.reason, delivery.claim);
        if (delivery.kind == DELIVERY_OPENED)
            tell(delivery.recovered ? "recovered" : "fresh", bytes_of("", 0), delivery.reason);
        else if (delivery.kind == DELIVERY_PRESENCE)
            tell("presence", bytes_skip(delivery.body, 8), NULL); /* {"room": */
        else
            tell(words[delivery.kind], delivery.room, reason[0] ? reason : delivery.reason);
    }
}

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static const struct transport_ops transport = {
    .name = "test", .slot = TRANSPORT_SLOT_SSE, .encode = encode, .ready = ready};

void client_take(void)
{
    ready(world.session, NULL);
}

void world_turn(int64_t later_ms)
{
    hand_open(&world.source, world.hub, 0, world.end);
    hub_run(world.hub, world.now_ms += later_ms);
}

void client_open(const char *claims)
{
    struct session_request request = {.transport = &transport,
                                      .claims = claims_of_text(bytes_of_string(claims)),
                                      .private_id = bytes_of_string(world.private_id),
                                      .cursor = bytes_of_string(world.cursor),
                                      .now_ms = world.now_ms};
    world.told[0] = 0;
    world.session = hub_open_session(world.hub, &request);
}

void client_connect(const char *claims)
{
    client_open(claims);
    world_turn(1);
    world_turn(1);
}

void client_cut_off(void)
{
    session_close(world.session);
    world.session = NULL;
    world.takes = -1;
    world_turn(1);
}

void client_join(const char *room, uint64_t request)
{
    session_join(world.session, bytes_of_string(room), request, world.now_ms);
    world_turn(1);
}

/* --- gateways */

void gateway_start(struct gateway *gateway, const char *rooms_yaml, const char *access_yaml)
{
    gateway->layout = layout_from_yaml(rooms_yaml, NULL);
    gateway->policy = access_yaml ? policy_from_yaml(access_yaml) : hand_policy();
    struct hub_config config = hand_config(gateway->layout, gateway->policy);
    config.ring_bytes = RING;
    config.lane_linger_ms = LINGER_MS;
    config.cursor_lag_bytes = world.lag ? world.lag : LAG;
    config.catch_up_bytes = HORIZON;
    config.read_back_bytes = 0;
    config.history = (struct history_limits){.messages = 8,
                                             .bytes = 1 << 20,
                                             .age_ms = INT64_MAX,
                                             .buffered = 1 << 20,
                                             .tenant_buffered = 1 << 20,
                                             .session_buffered = 1 << 20};
    if (world.rooms)
        config.rooms_per_session = world.rooms;
    if (config.answers < config.rooms_per_session)
        config.answers = config.rooms_per_session;
    config.quotas = world.quotas;
    static const char *const kinds[] = {"task", "user"};
    if (world.presence)
        config.presence = (struct presence_limits){.kinds = kinds,
                                                   .kind_count = 2,
                                                   .users = 10,
                                                   .entries = 100,
                                                   .tenant_entries = 100,
                                                   .linger_ms = 1000};
    world.hub = hub_new(&config, &hand_source_ops, &world.source);
}

void gateway_end(struct gateway *gateway)
{
    session_close(world.session);
    hub_free(world.hub);
    layout_free(gateway->layout);
    policy_free(gateway->policy);
}

void world_begin(struct gateway *gateway, const char *access_yaml)
{
    world_reset();
    gateway_start(gateway, NULL, access_yaml);
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
}
