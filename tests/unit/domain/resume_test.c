/* What a client finds when it comes back: rules that random worlds do not reach. */
#include <stdio.h>

#include "cursor.h"
#include "hand_source.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

enum {
    HORIZON = 20000,
    LAG = 2000,
    LINGER_MS = 60000,
    RECORD = 100,
    TEXT_BYTES = 1 << 16 /* more than any text of ours */
};

static struct {
    struct hub *hub;
    struct hand_source source;
    struct session *session;
    int64_t end, now_ms;
    unsigned rooms; /* of a session; 0: any number */
    int takes;      /* deliveries that the client still gets before it is cut off; -1: any number */
    const struct quotas_config *quotas;
    char private_id[TEXT_BYTES], cursor[TEXT_BYTES], told[TEXT_BYTES];
} world;

/* Records of somebody else's room, in the client's lane. */
struct forged {
    const char *key;
    const char *room; /* whose hash, with acme's, stands in the header */
};

static void publish_forged(unsigned count, const char *room_name, const struct forged *forged)
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

static void publish(unsigned count, const char *room_name)
{
    publish_forged(count, room_name, NULL);
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
        else
            tell(words[delivery.kind], delivery.room, reason[0] ? reason : delivery.reason);
    }
}

static void encode(const struct message_view *view, struct buffer *out)
{
    buffer_append(out, view->json);
}

static const struct transport_ops transport = {"test", TRANSPORT_SLOT_SSE, encode, ready};

static void turn(int64_t later_ms)
{
    hand_open(&world.source, world.hub, 0, world.end);
    hub_run(world.hub, world.now_ms += later_ms);
}

static void open_session(const char *claims)
{
    struct session_request request = {.transport = &transport,
                                      .claims = bytes_of_string(claims),
                                      .private_id = bytes_of_string(world.private_id),
                                      .cursor = bytes_of_string(world.cursor),
                                      .now_ms = world.now_ms};
    world.told[0] = 0;
    world.session = hub_open_session(world.hub, &request);
}

static void connect(const char *claims)
{
    open_session(claims);
    turn(1);
    turn(1);
}

static void cut_off(void)
{
    session_close(world.session);
    world.session = NULL;
    world.takes = -1;
    turn(1);
}

static void join(const char *room, uint64_t request)
{
    session_join(world.session, bytes_of_string(room), request, world.now_ms);
    turn(1);
}

/* --- gateways, whose configuration may differ */

struct gateway {
    struct layout *layout;
    struct policy *policy;
};

static void start(struct gateway *gateway, const char *rooms_yaml, const char *access_yaml)
{
    struct document *rooms = NULL, *access = NULL;
    struct error error;
    auto_problems struct problems problems = {0};
    if (rooms_yaml)
        ck_assert(document_parse(bytes_of_string(rooms_yaml), NULL, &rooms, &error) == STATUS_OK);
    if (access_yaml)
        ck_assert(document_parse(bytes_of_string(access_yaml), NULL, &access, &error) == STATUS_OK);
    struct layout_source source = {.rooms = rooms ? document_root(rooms) : NULL};
    ck_assert(layout_new(&source, &gateway->layout, &problems) == STATUS_OK);
    if (access)
        ck_assert(policy_new(document_root(access), gateway->layout, &gateway->policy, &problems) ==
                  STATUS_OK);
    else
        gateway->policy = hand_policy();
    document_free(rooms);
    document_free(access);
    struct hub_config config = hand_config(gateway->layout, gateway->policy);
    config.ring_bytes = 1000;
    config.lane_linger_ms = LINGER_MS;
    config.cursor_lag_bytes = LAG;
    config.catch_up_bytes = HORIZON;
    config.read_back_bytes = 0;
    config.history = (struct history_limits){
        .messages = 8, .bytes = 1 << 20, .age_ms = INT64_MAX, .buffered = 1 << 20};
    if (world.rooms)
        config.rooms_per_session = world.rooms;
    if (config.answers < config.rooms_per_session)
        config.answers = config.rooms_per_session;
    config.quotas = world.quotas;
    world.hub = hub_new(&config, &hand_source_ops, &world.source);
}

static void end(struct gateway *gateway)
{
    session_close(world.session);
    hub_free(world.hub);
    layout_free(gateway->layout);
    policy_free(gateway->policy);
}

static const char acme[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\"}";
static const char access_all[] = "{join: ['task:*', 'project:*']}";

static void begin(struct gateway *gateway, const char *access_yaml)
{
    memset(&world, 0, sizeof(world));
    world.takes = -1;
    start(gateway, NULL, access_yaml);
    connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
}

START_TEST(a_room_that_is_not_allowed_any_more_is_told)
{
    struct gateway gateway;
    begin(&gateway, access_all);
    join("task:1", 1);
    join("project:1", 2);
    end(&gateway);
    start(&gateway, NULL, "{join: ['task:*']}");
    connect(acme);
    ck_assert_str_eq(world.told, "recovered; left project:1: not_allowed; ");
    ck_assert(session_is_in(world.session, BYTES_LITERAL("task:1")));
    ck_assert(!session_is_in(world.session, BYTES_LITERAL("project:1")));
    publish(1, "project:1");
    turn(1);
    ck_assert_str_eq(world.told, "recovered; left project:1: not_allowed; ");
    end(&gateway);
}
END_TEST

/* The cursor of a notification does not name the room any more: whoever loses the connection behind
 * it would never hear. */
START_TEST(a_lost_room_is_told_before_anything_else)
{
    struct gateway gateway;
    begin(&gateway, access_all);
    join("task:1", 1);
    join("project:1", 2);
    end(&gateway);
    start(&gateway, NULL, "{join: ['task:*']}");
    open_session(acme);
    hand_open(&world.source, world.hub, 0, world.end);
    publish(1, "task:1");
    turn(1);
    ck_assert_str_eq(world.told, "recovered; left project:1: not_allowed; notification; ");
    end(&gateway);
}
END_TEST

/* Two rooms of one hash are two rooms, and so are rooms of one name of two tenants. */
START_TEST(a_hash_is_not_a_room)
{
    struct gateway gateway;
    begin(&gateway, access_all);
    join("task:1", 1);
    world.told[0] = 0;
    publish_forged(1, "task:2", &(struct forged){"acme", "task:1"});
    publish_forged(1, "task:1", &(struct forged){"other", "task:1"});
    turn(1);
    ck_assert_str_eq(world.told, "");
    publish_forged(1, "task:1", &(struct forged){"acme", "task:1"});
    turn(1);
    ck_assert_str_eq(world.told, "notification; ");
    end(&gateway);
}
END_TEST

START_TEST(another_layout_gives_a_fresh_session)
{
    static const char user_only[] = "{connect: ['user:{sub}']}";
    struct gateway gateway;
    begin(&gateway, user_only);
    end(&gateway);
    start(&gateway, "{user: {topic: fanout.elsewhere, key: '{tenant}'}}", user_only);
    connect(acme);
    ck_assert_str_eq(world.told, "fresh: layout; ");
    end(&gateway);
}
END_TEST

START_TEST(somebody_elses_session_is_not_continued)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    session_close(world.session);
    connect("{\"sub\":\"usr_2\",\"tenant\":\"acme\"}");
    ck_assert_str_eq(world.told, "fresh: other_principal; ");
    session_close(world.session);
    connect("{\"sub\":\"usr_2\",\"tenant\":\"other\"}");
    ck_assert_str_eq(world.told, "fresh: other_principal; ");
    end(&gateway);
}
END_TEST

/* A copied tab, or a connection that is not yet known to be dead: both are served. */
START_TEST(one_private_id_may_live_twice)
{
    struct gateway gateway;
    begin(&gateway, access_all);
    join("task:1", 1);
    struct session *first = world.session;
    connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    world.told[0] = 0;
    publish(1, "task:1");
    turn(1);
    ck_assert_str_eq(world.told, "notification; notification; ");
    session_close(first);
    end(&gateway);
}
END_TEST

/* A broker's new leader may know the end of the log a little late. */
START_TEST(what_is_queued_of_a_log_that_broke_says_nothing_of_the_next)
{
    struct gateway gateway;
    begin(&gateway, "{connect: [], join: ['task:*']}");
    join("task:1", 1);
    publish(50, "task:2");
    world.takes = 0; /* its socket blocks */
    publish(1, "task:1");
    session_leave(world.session, BYTES_LITERAL("task:1"), 2);
    hub_lane_broken(world.hub, world.source.lane, "truncated");
    world.end = 3;
    join("task:1", 3);
    world.takes = -1;
    ready(world.session, NULL);
    ck_assert_str_eq(world.told,
                     "fresh; joined task:1; notification; left task:1; joined task:1; ");
    session_close(world.session);
    connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    end(&gateway);
}
END_TEST

START_TEST(an_end_that_comes_late_is_waited_for)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    publish(3, "user:usr_1");
    turn(1);
    end(&gateway);
    start(&gateway, NULL, NULL);
    world.end = 2;
    connect(acme);
    hub_lane_ends(world.hub, world.source.lane, 0, 2);
    turn(1);
    ck_assert_str_eq(world.told, "");
    publish(1, "user:usr_1");
    hub_lane_ends(world.hub, world.source.lane, 0, 3);
    turn(1);
    ck_assert_str_eq(world.told, "recovered; ");
    end(&gateway);
}
END_TEST

START_TEST(who_is_too_far_behind_starts_afresh)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    publish(1, "user:usr_1");
    turn(1);
    session_close(world.session);
    publish(HORIZON / RECORD * 2, "user:usr_2");
    connect(acme);
    ck_assert_str_eq(world.told, "fresh: too_far; ");
    end(&gateway);
}
END_TEST

START_TEST(a_quiet_client_gets_a_newer_cursor)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    publish(1, "user:usr_1");
    turn(1);
    world.told[0] = 0;
    for (unsigned i = 0; i < 3; i++)
        turn(1000);
    ck_assert_str_eq(world.told, "");
    publish(HORIZON / RECORD * 2, "user:usr_2"); /* nothing for this client */
    for (unsigned i = 0; i < 12; i++)
        turn(1000);
    ck_assert_str_eq(world.told, "cursor; ");
    session_close(world.session);
    connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    end(&gateway);
}
END_TEST

START_TEST(joining_again_changes_nothing)
{
    struct gateway gateway;
    begin(&gateway, access_all);
    world.told[0] = 0;
    join("task:1", 1);
    join("task:1", 2);
    publish(1, "task:1");
    turn(1);
    ck_assert_str_eq(world.told, "joined task:1; joined task:1; notification; ");
    session_leave(world.session, BYTES_LITERAL("task:1"), 3);
    publish(1, "task:1");
    turn(1);
    ck_assert_str_eq(world.told, "joined task:1; joined task:1; notification; left task:1; ");
    end(&gateway);
}
END_TEST

START_TEST(a_lane_without_sessions_is_read_on_for_a_while)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    session_close(world.session);
    turn(LINGER_MS - 1000);
    ck_assert_uint_eq(world.source.closed, 0);
    connect(acme); /* finds it open */
    ck_assert_str_eq(world.told, "recovered; ");
    session_close(world.session);
    turn(1);
    turn(LINGER_MS);
    ck_assert_uint_eq(world.source.closed, 1);
    connect(acme);
    end(&gateway);
}
END_TEST

/* A stock client that is refused stays away: one queue that nobody has configured does not cost it
 * the others. */
START_TEST(a_room_that_there_is_not_is_left_out_and_told)
{
    static const char queues[] =
        "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"reviewQueues\":[\"nowhere\"]}";
    struct gateway gateway;
    begin(&gateway, "{connect: ['user:{sub}', 'review:{reviewQueues}']}");
    session_close(world.session);
    world.private_id[0] = 0;
    connect(queues);
    ck_assert_str_eq(world.told, "fresh; left review:nowhere: no_such_room; ");
    ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1")));
    ck_assert_uint_eq(hub_stats(world.hub)->rooms_left_out, 1);
    end(&gateway);
}
END_TEST

/* Whoever is cut off before it was told of them all starts afresh, and is told; with the cursor of
 * CONNECT's answer as without it, as the stock client comes, which keeps those of events alone. */
START_TEST(a_room_left_out_is_told_over_every_cut)
{
    static const char queues[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\","
                                 "\"reviewQueues\":[\"here\",\"there\"]}";
    static const char again[] = "fresh: unknown_session; left review:here: no_such_room; "
                                "left review:there: no_such_room; ";
    enum { ALL = 3 /* OPENED, and a room each */ };
    struct gateway gateway;
    begin(&gateway, "{connect: ['review:{reviewQueues}', 'user:{sub}'], join: ['task:*']}");
    for (int cursors = 0; cursors <= ALL; cursors++) {
        cut_off();
        world.private_id[0] = world.cursor[0] = 0;
        world.takes = cursors ? cursors : 1;
        connect(queues);
        ck_assert_int_eq(world.takes, 0);
        cut_off();
        if (cursors == 0)
            world.cursor[0] = 0;
        connect(queues);
        ck_assert_str_eq(world.told, cursors < ALL ? again : "recovered; ");
        ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1")));
        join("task:1", 1);
        cut_off();
        connect(queues);
        ck_assert_str_eq(world.told, "recovered; ");
        ck_assert(session_is_in(world.session, BYTES_LITERAL("task:1")));
    }
    end(&gateway);
}
END_TEST

/* Nor is it forgotten when a lane breaks while another is waited for: by a session that is new, and
 * by those that come back and start afresh, by which the walk over the lane comes twice. */
START_TEST(a_room_left_out_is_told_though_a_lane_breaks)
{
    static const char claims[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\","
                                 "\"reviewQueues\":[\"nowhere\"],\"projects\":[\"a\"]}";
    static const char rooms[] =
        "{project: {topic: fanout.project, key: '{tenant}', partitions: 1}}";
    struct gateway gateway;
    memset(&world, 0, sizeof(world));
    world.takes = -1;
    start(&gateway, rooms,
          "{connect: ['user:{sub}', 'review:{reviewQueues}', 'project:{projects}']}");
    connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    struct session *first = world.session;
    struct lane *lane = world.source.lane;
    world.private_id[0] = world.cursor[0] = 0;
    open_session(claims);
    ck_assert_ptr_ne(world.source.lane, lane);
    hub_lane_broken(world.hub, lane, "truncated");
    hub_lane_opened(world.hub, lane, 0, 0);
    turn(1);
    ck_assert_str_eq(world.told, "close: truncated; fresh; left review:nowhere: no_such_room; ");
    ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1")));
    session_close(first);
    end(&gateway);
    start(&gateway, rooms,
          "{connect: ['user:{sub}', 'review:{reviewQueues}', 'project:{projects}']}");
    world.takes = 0;
    open_session("{\"sub\":\"usr_2\",\"tenant\":\"acme\"}");
    struct session *other = world.session;
    lane = world.source.lane;
    world.takes = -1;
    open_session(claims);
    first = world.session;
    open_session(claims);
    session_close(other);
    hub_lane_opened(world.hub, lane, 0, 0);
    hub_lane_broken(world.hub, lane, "truncated");
    hub_lane_opened(world.hub, lane, 0, 0);
    turn(1);
    ck_assert_str_eq(world.told, "fresh: truncated; left review:nowhere: no_such_room; "
                                 "fresh: truncated; left review:nowhere: no_such_room; ");
    session_close(first);
    end(&gateway);
}
END_TEST

START_TEST(more_rooms_than_a_session_may_have_are_left_out_and_told)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    end(&gateway);
    world.private_id[0] = 0;
    world.rooms = 2;
    start(&gateway, NULL, "{connect: ['task:{tasks}']}");
    connect("{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"tasks\":[\"1\",\"2\",\"3\"]}");
    ck_assert_str_eq(world.told, "fresh; left task:3: too_many_rooms; ");
    end(&gateway);
}
END_TEST

/* --- long names: what a cursor can bring back --- */

enum { MANY = 100 }; /* rooms of a session */

static void name_long(char name[ROOM_NAME_LIMIT + 1], const char *kind, unsigned number)
{
    snprintf(name, ROOM_NAME_LIMIT + 1, "%s:%0*u", kind, ROOM_KEY_LIMIT, number);
}

/* Joins rooms of the longest names until one is refused; how many it is in. */
static unsigned join_long(const char *kind)
{
    char name[ROOM_NAME_LIMIT + 1], refused[ROOM_NAME_LIMIT + 64];
    for (unsigned i = 0; i < MANY; i++) {
        name_long(name, kind, i);
        world.told[0] = 0;
        join(name, i + 1);
        if (session_is_in(world.session, bytes_of_string(name)))
            continue;
        snprintf(refused, sizeof(refused), "refused %s: too_many_rooms; ", name);
        ck_assert_str_eq(world.told, refused);
        return i;
    }
    return MANY;
}

static void begin_many(struct gateway *gateway)
{
    begin(gateway, access_all);
    end(gateway);
    world.private_id[0] = 0;
    world.rooms = MANY;
    start(gateway, NULL, "{connect: ['user:{sub}'], join: ['task:*', 'project:*']}");
    connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
}

START_TEST(a_session_is_given_no_more_rooms_than_it_can_come_back_with)
{
    struct gateway gateway;
    char name[ROOM_NAME_LIMIT + 1] = "";
    begin_many(&gateway);
    unsigned rooms = join_long("task");
    publish(1, "user:usr_1");
    turn(1);
    session_close(world.session);
    connect(acme);
    ck_assert_str_eq(world.told, "recovered; "); /* and nothing twice */
    for (unsigned i = 0; i < rooms; i++) {
        name_long(name, "task", i);
        ck_assert(session_is_in(world.session, bytes_of_string(name)));
    }
    ck_assert_uint_ge(rooms, 40);
    ck_assert_uint_lt(rooms, MANY);
    /* What it leaves makes room. */
    session_leave(world.session, bytes_of_string(name), 1);
    ck_assert_uint_eq(join_long("project"), 1);
    end(&gateway);
}
END_TEST

START_TEST(lost_rooms_count_until_the_client_was_told)
{
    struct gateway gateway;
    char name[ROOM_NAME_LIMIT + 1];
    begin_many(&gateway);
    (void)join_long("task");
    end(&gateway);
    start(&gateway, NULL, "{connect: ['user:{sub}'], join: ['project:*']}");
    world.takes = 1;
    connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    name_long(name, "project", 1);
    session_join(world.session, bytes_of_string(name), 1, world.now_ms);
    ck_assert(!session_is_in(world.session, bytes_of_string(name)));
    world.takes = -1;
    ready(world.session, NULL); /* told of all */
    join(name, 2);
    ck_assert(session_is_in(world.session, bytes_of_string(name)));
    end(&gateway);
}
END_TEST

START_TEST(long_rooms_of_the_claims_are_left_out_and_told)
{
    struct gateway gateway;
    char name[ROOM_NAME_LIMIT + 1];
    auto_buffer struct buffer claims = {0};
    begin(&gateway, NULL);
    end(&gateway);
    world.private_id[0] = 0;
    world.rooms = MANY;
    start(&gateway, NULL,
          "{connect: ['user:{sub}', 'task:{tasks}', 'project:{tasks}', 'user:{tasks}']}");
    buffer_append_string(&claims, "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"tasks\":[");
    for (unsigned i = 0; i < 18; i++) /* of what is read of a token, nearly all */
        buffer_append_format(&claims, "%s\"%0*u\"", i ? "," : "", ROOM_KEY_LIMIT, i);
    buffer_append_string(&claims, "]}");
    auto_free char *text = mem_string(buffer_peek(&claims));
    connect(text);
    name_long(name, "task", 0);
    ck_assert(session_is_in(world.session, bytes_of_string(name)));
    ck_assert(strstr(world.told, ": too_many_rooms; "));
    session_close(world.session);
    connect(text);
    ck_assert_int_eq(strncmp(world.told, "recovered; ", 11), 0);
    ck_assert(session_is_in(world.session, bytes_of_string(name)));
    end(&gateway);
}
END_TEST

/* What it was given since cannot be known: to go on from the private id's own positions would give
 * it twice, and leave the rooms out that it has joined. */
START_TEST(a_cursor_that_is_too_long_gives_a_fresh_session)
{
    struct gateway gateway;
    begin(&gateway, NULL);
    publish(1, "user:usr_1");
    turn(1);
    session_close(world.session);
    memset(world.cursor, 'A', CURSOR_TEXT_LIMIT + 1);
    world.cursor[CURSOR_TEXT_LIMIT + 1] = 0;
    connect(acme);
    ck_assert_str_eq(world.told, "fresh: unknown_session; ");
    end(&gateway);
}
END_TEST

/* The word and the claim, by the name that the configuration gives it. */
START_TEST(a_claim_that_is_missing_is_named)
{
    struct gateway gateway;
    memset(&world, 0, sizeof(world));
    world.takes = -1;
    start(&gateway, NULL, "{connect: ['user:{sub}'], tenant_claim: org}");
    connect("{\"sub\":\"usr_1\",\"tenantId\":\"acme\"}");
    ck_assert_str_eq(world.told, "turned away: tenant_missing (org); ");
    end(&gateway);
    start(&gateway, "{user: {topic: fanout.user, key: '{user}'}}", "{connect: ['user:{uid}']}");
    connect("{\"uid\":\"usr_1\"}");
    ck_assert_str_eq(world.told, "turned away: user_missing (sub); ");
    end(&gateway);
}
END_TEST

/* --- quotas of all sessions of a user */

START_TEST(what_a_user_may_ask_for_is_bounded_over_his_sessions)
{
    static const struct quotas_config quotas = {
        .limits = {[QUOTA_USER] = {[QUOTA_SESSIONS] = 2, [QUOTA_SUBSCRIBES] = 1}},
        .burst_s = 2,
        .quiet_most = 10};
    struct gateway gateway;
    memset(&world, 0, sizeof(world));
    world.quotas = &quotas;
    world.takes = -1;
    start(&gateway, NULL, access_all);
    connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    struct session *first = world.session;
    world.private_id[0] = world.cursor[0] = 0;
    connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    struct session *second = world.session;
    connect(acme);
    ck_assert_str_eq(world.told, "turned away: rate_limited; ");
    ck_assert_uint_eq(hub_stats(world.hub)->quota_refused[QUOTA_USER][QUOTA_SESSIONS], 1);
    session_close(world.session); /* who was not let in does not count */
    world.session = first;
    world.told[0] = 0;
    join("task:1", 1);
    join("task:2", 2);
    world.session = second;
    join("task:1", 3);
    ck_assert_str_eq(world.told, "joined task:1; joined task:2; refused task:1: rate_limited; ");
    turn(1000);
    join("task:1", 4);
    ck_assert_ptr_nonnull(strstr(world.told, "rate_limited; joined task:1; "));
    session_close(first);
    world.private_id[0] = world.cursor[0] = 0;
    connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    session_close(second);
    end(&gateway);
}
END_TEST

/* --- rights that change */

static const char by_claims[] =
    "{connect: ['user:{sub}', 'project:{projects}', "
    "'review:{reviewQueues}'], join: [{room: 'task:*', if: {role: member}}]}";

#define CLAIMS(more) "{\"sub\":\"usr_1\",\"tenant\":\"acme\"" more "}"

static const char *refresh(const char *claims)
{
    return session_refresh(world.session, bytes_of_string(claims), 7, world.now_ms);
}

static void begin_with(struct gateway *gateway, const char *claims)
{
    static const char rooms[] = "{review: {topic: fanout.review, key: '{tenant}', partitions: 1}}";
    unsigned most = world.rooms;
    memset(&world, 0, sizeof(world));
    world.rooms = most;
    world.takes = -1;
    start(gateway, rooms, by_claims);
    connect(claims);
    ck_assert_str_eq(world.told, "fresh; ");
    world.told[0] = 0;
}

static void is_told(const char *expected)
{
    turn(1);
    ck_assert_str_eq(world.told, expected);
    world.told[0] = 0;
}

START_TEST(a_fresh_token_takes_and_gives_rooms)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"projects\":[\"a\",\"b\"],\"role\":\"member\""));
    join("task:1", 1);
    is_told("joined task:1; ");
    publish(1, "task:1"); /* owed before, and given before it is told */
    ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"b\",\"c\"]")));
    publish(1, "task:1");
    publish(1, "project:a");
    publish(1, "project:c");
    is_told("notification; left project:a: not_allowed; left task:1: not_allowed; "
            "joined project:c; refreshed; notification; ");
    join("task:1", 2);
    join("project:a", 3);
    is_told("refused task:1: not_allowed; refused project:a: not_allowed; ");
    ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"a\",\"b\",\"c\"],\"role\":\"member\"")));
    is_told("joined project:a; refreshed; ");
    join("task:1", 4);
    publish(1, "project:a");
    is_told("joined task:1; notification; ");
    end(&gateway);
}
END_TEST

START_TEST(another_users_token_changes_nothing)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"role\":\"member\""));
    ck_assert_str_eq(refresh("{\"sub\":\"usr_2\",\"tenant\":\"acme\",\"role\":\"x\"}"),
                     "other_principal");
    ck_assert_str_eq(refresh("{\"sub\":\"usr_1\",\"tenant\":\"other\"}"), "other_principal");
    ck_assert_str_eq(refresh("{\"sub\":\"usr_1\"}"), "other_principal");
    ck_assert_str_eq(refresh("[]"), "bad_claims");
    join("task:1", 1);
    is_told("joined task:1; ");
    session_close(world.session);
    world.session = NULL;
    turn(1);
    connect(CLAIMS(""));
    end(&gateway);
}
END_TEST

/* What was lost comes back with the rights, what the client has left does not; what was lost and is
 * not given again is not told again. */
START_TEST(rights_that_changed_between_two_connections_count)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"projects\":[\"a\",\"b\"]"));
    session_leave(world.session, BYTES_LITERAL("project:b"), 1);
    is_told("left project:b; ");
    ck_assert_ptr_null(refresh(CLAIMS("")));
    is_told("left project:a: not_allowed; refreshed; ");
    session_close(world.session);
    connect(CLAIMS(""));
    ck_assert_str_eq(world.told, "recovered; ");
    session_close(world.session);
    connect(CLAIMS(",\"projects\":[\"a\",\"b\",\"c\"]"));
    ck_assert_str_eq(world.told, "recovered; joined project:a; joined project:c; ");
    world.told[0] = 0;
    publish(1, "project:a");
    publish(1, "project:b");
    is_told("notification; ");
    session_close(world.session);
    connect(CLAIMS(",\"projects\":[\"a\",\"b\",\"c\"]"));
    ck_assert_str_eq(world.told, "recovered; ");
    session_close(world.session);
    connect(CLAIMS(",\"projects\":[\"c\"]"));
    ck_assert_str_eq(world.told, "recovered; left project:a: not_allowed; ");
    end(&gateway);
}
END_TEST

/* The client gets so many deliveries more, and comes back with these claims. */
static void cut_off_after(int deliveries, const char *claims)
{
    world.takes = deliveries;
    turn(1);
    cut_off();
    connect(claims);
}

/* Cut off between what was owed and the word of what is lost, or between the answer to its return
 * and that word, a client that no token gives the rooms again is told nevertheless, once. */
START_TEST(a_lost_room_is_told_over_every_cut)
{
    static const char lost[] = "recovered; left project:a: not_allowed; left task:1: not_allowed; ";
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"projects\":[\"a\"],\"role\":\"member\""));
    join("task:1", 1);
    is_told("joined task:1; ");
    publish(3, "task:1"); /* owed: the cursors of these are made after the loss */
    ck_assert_ptr_null(refresh(CLAIMS("")));
    cut_off_after(1, CLAIMS(""));
    ck_assert_str_eq(world.told, lost);
    for (int taken = 1; taken <= 3; taken++) { /* the return's answer; a word; both words */
        cut_off();
        world.private_id[0] = world.cursor[0] = 0;
        connect(CLAIMS(",\"projects\":[\"a\"],\"role\":\"member\""));
        join("task:1", 1);
        cut_off();
        world.takes = taken;
        connect(CLAIMS(""));
        ck_assert_uint_eq((unsigned)world.takes, 0);
        cut_off();
        connect(CLAIMS(""));
        ck_assert_str_eq(world.told, taken == 1   ? lost
                                     : taken == 2 ? "recovered; left task:1: not_allowed; "
                                                  : "recovered; ");
        world.told[0] = 0;
        publish(1, "project:a");
        publish(1, "task:1");
        is_told("");
        cut_off();
        connect(CLAIMS(""));
        ck_assert_str_eq(world.told, "recovered; ");
    }
    end(&gateway);
}
END_TEST

/* What `connect` gives is given again, what was joined is to be asked for again. */
START_TEST(a_lost_room_is_told_before_it_is_given_again)
{
    static const char all[] = CLAIMS(",\"projects\":[\"a\"],\"role\":\"member\"");
    struct gateway gateway;
    begin_with(&gateway, all);
    join("task:1", 1);
    is_told("joined task:1; ");
    publish(1, "task:1");
    ck_assert_ptr_null(refresh(CLAIMS("")));
    cut_off_after(1, all);
    ck_assert_str_eq(world.told, "recovered; left project:a: not_allowed; "
                                 "left task:1: not_allowed; joined project:a; ");
    cut_off();
    connect(all);
    ck_assert_str_eq(world.told, "recovered; ");
    end(&gateway);
}
END_TEST

/* Of whoever loses more than a session may have, before it is told of the first, the connection is
 * ended; its cursor names what it had. */
START_TEST(more_lost_rooms_than_a_cursor_names_end_the_session)
{
    struct gateway gateway;
    world.rooms = 2;
    begin_with(&gateway, CLAIMS(""));
    for (int i = 0; i < 3; i++) { /* a room each time, and none of the private id's */
        world.takes = 0;
        ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"a\"]")));
        ck_assert_ptr_null(refresh(CLAIMS("")));
    }
    ck_assert_str_eq(refresh(CLAIMS("")), "not_connected");
    world.takes = -1;
    is_told("close: too_many_answers; ");
    ck_assert_uint_eq(hub_stats(world.hub)->overflowed, 1);
    end(&gateway);
    world.rooms = 0;
}
END_TEST

static const char *claims_with_projects(char kind, unsigned count)
{
    static char text[4096];
    size_t size = (size_t)snprintf(text, sizeof(text),
                                   "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"projects\":[");
    for (unsigned i = 0; i < count; i++)
        size +=
            (size_t)snprintf(text + size, sizeof(text) - size, "%s\"%c%u\"", i ? "," : "", kind, i);
    snprintf(text + size, sizeof(text) - size, "]}");
    return text;
}

/* To be ended for what it was told, before it was let in, would not help: its cursor stays. */
START_TEST(more_lost_rooms_than_can_be_told_give_a_fresh_session)
{
    enum { ROOMS = 64 /* as many as answers */, OF_CONNECT = 50, TIMES = 4 };
    struct gateway gateway;
    world.rooms = ROOMS;
    begin_with(&gateway, claims_with_projects('a', OF_CONNECT));
    publish(1, "user:usr_1"); /* is owed, and comes with a cursor that names what is lost here */
    world.takes = 0;
    for (int i = 0; i < TIMES; i++) {
        auto_free char *both = mem_string(bytes_of_string(claims_with_projects('a', OF_CONNECT)));
        size_t size = strlen(both);
        char more[4096];
        snprintf(more, sizeof(more), "%.*s,\"b1\",\"b2\",\"b3\",\"b4\",\"b5\",\"b6\"]}",
                 (int)size - 2, both);
        ck_assert_ptr_null(refresh(more));
        ck_assert_ptr_null(refresh(both));
    }
    world.takes = 1;
    ready(world.session, NULL);
    ck_assert_str_eq(world.told, "notification; ");
    cut_off();
    connect(CLAIMS(""));
    ck_assert_str_eq(world.told, "fresh: unknown_session; ");
    cut_off();
    connect(CLAIMS(""));
    ck_assert_str_eq(world.told, "recovered; ");
    end(&gateway);
    world.rooms = 0;
}
END_TEST

START_TEST(a_join_that_waits_is_judged_by_the_new_claims)
{
    static const struct history_request history = {.since_ms = INT64_MIN, .last = 1};
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"role\":\"member\""));
    session_join_with_history(world.session, BYTES_LITERAL("task:1"), 5, &history, world.now_ms, 1);
    ck_assert_ptr_null(refresh(CLAIMS("")));
    turn(1);
    ck_assert(!session_is_in(world.session, BYTES_LITERAL("task:1")));
    ck_assert_msg(strstr(world.told, "left task:1: not_allowed; refreshed; "), "%s", world.told);
    ck_assert(strstr(world.told, "refused task:1: not_allowed; "));
    ck_assert(!strstr(world.told, "joined"));
    end(&gateway);
}
END_TEST

/* Who is given a room whose lane does not come is let go, as at connect: it returns to all of it.
 */
START_TEST(a_room_that_is_given_and_does_not_come_ends_the_session)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(""));
    ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"a\"]")));
    is_told("joined project:a; refreshed; ");
    struct bytes claims =
        BYTES_LITERAL(CLAIMS(",\"projects\":[\"a\"],\"reviewQueues\":[\"legal\"]"));
    ck_assert_ptr_null(session_refresh(world.session, claims, 8, world.now_ms));
    hub_run(world.hub, world.now_ms += 1); /* the second lane is not answered */
    ck_assert_str_eq(world.told, "refreshed; ");
    hub_run(world.hub, world.now_ms += 100000);
    ck_assert_str_eq(world.told, "refreshed; close: unavailable; ");
    ck_assert_str_eq(refresh(CLAIMS("")), "not_connected");
    end(&gateway);
}
END_TEST

TEST_PROGRAM("resume", what_a_user_may_ask_for_is_bounded_over_his_sessions,
             a_fresh_token_takes_and_gives_rooms, another_users_token_changes_nothing,
             rights_that_changed_between_two_connections_count, a_lost_room_is_told_over_every_cut,
             a_lost_room_is_told_before_it_is_given_again,
             more_lost_rooms_than_a_cursor_names_end_the_session,
             more_lost_rooms_than_can_be_told_give_a_fresh_session,
             a_join_that_waits_is_judged_by_the_new_claims,
             a_room_that_is_given_and_does_not_come_ends_the_session,
             a_room_that_there_is_not_is_left_out_and_told, a_room_left_out_is_told_over_every_cut,
             a_room_left_out_is_told_though_a_lane_breaks,
             more_rooms_than_a_session_may_have_are_left_out_and_told,
             a_session_is_given_no_more_rooms_than_it_can_come_back_with,
             lost_rooms_count_until_the_client_was_told,
             long_rooms_of_the_claims_are_left_out_and_told,
             a_cursor_that_is_too_long_gives_a_fresh_session, a_claim_that_is_missing_is_named,
             a_room_that_is_not_allowed_any_more_is_told, a_lost_room_is_told_before_anything_else,
             a_hash_is_not_a_room, another_layout_gives_a_fresh_session,
             somebody_elses_session_is_not_continued, one_private_id_may_live_twice,
             an_end_that_comes_late_is_waited_for,
             what_is_queued_of_a_log_that_broke_says_nothing_of_the_next,
             who_is_too_far_behind_starts_afresh, a_quiet_client_gets_a_newer_cursor,
             joining_again_changes_nothing, a_lane_without_sessions_is_read_on_for_a_while)
