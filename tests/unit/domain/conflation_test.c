#include "conflation.h"

#include <stdio.h>

#include "hand_source.h"
#include "mem.h"
#include "policy.h"
#include "room.h"
#include "suite.h"

enum { QUEUE = 4, LOG = 400 };

static char progress[] = "task.progress", running[] = "task.updated/running", any[] = "*/waiting",
            moved[] = "order.moved";
static char *const items[] = {progress, running, any, moved};

/* --- what is declared */

static bool names(const struct conflation *conflation, const char *event, const char *status)
{
    struct notification notification = {.type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.task_id = BYTES_LITERAL("1"),
                                                        .event = bytes_of_string(event),
                                                        .status = bytes_of_string(status)}};
    return conflation_names(conflation, &notification);
}

START_TEST(names_events_and_statuses)
{
    struct conflation *conflation;
    auto_problems struct problems problems = {0};
    ck_assert(conflation_new(items, 4, &conflation, &problems) == STATUS_OK);
    ck_assert(names(conflation, "task.progress", ""));
    ck_assert(names(conflation, "task.progress", "running"));
    ck_assert(names(conflation, "task.updated", "running"));
    ck_assert(!names(conflation, "task.updated", "done"));
    ck_assert(names(conflation, "task.updated", "waiting"));
    ck_assert(!names(conflation, "task.completed", "completed"));
    ck_assert(!names(NULL, "task.progress", "running"));
    struct notification late = {
        .type = NOTIFICATION_TASK_STATUS,
        .late = true,
        .task_status = {.task_id = BYTES_LITERAL("1"), .event = BYTES_LITERAL("task.progress")}};
    ck_assert(!conflation_names(conflation, &late));
    struct notification without_task = {.type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    struct notification other = {.type = NOTIFICATION_CLIENT};
    ck_assert(!conflation_names(conflation, &without_task));
    ck_assert(!conflation_names(conflation, &other));
    struct notification custom = {.type = NOTIFICATION_CUSTOM,
                                  .custom = {.event = BYTES_LITERAL("order.moved")}};
    ck_assert(!conflation_names(conflation, &custom)); /* about nothing that could go on */
    custom.custom.task_id = BYTES_LITERAL("1");
    ck_assert(conflation_names(conflation, &custom));
    custom.custom = (struct custom_event){.event = BYTES_LITERAL("order.moved")};
    custom.item.key = BYTES_LITERAL("1");
    ck_assert(conflation_names(conflation, &custom));
    custom.custom.event = BYTES_LITERAL("order.other");
    ck_assert(!conflation_names(conflation, &custom));
    conflation_free(conflation);
}
END_TEST

START_TEST(refuses_what_is_no_rule)
{
    static char every[] = "*", all[] = "*/*", empty[] = "", bare[] = "/running", open[] = "task/",
                twice[] = "a/b/c";
    char *const bad[] = {every, all, empty, bare, open, twice};
    struct conflation *conflation;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        auto_problems struct problems problems = {0};
        ck_assert_msg(conflation_new(&bad[i], 1, &conflation, &problems) == STATUS_INVALID, "%s",
                      bad[i]);
        ck_assert_uint_eq(problems.count, 1);
        ck_assert_ptr_null(conflation);
    }
    auto_problems struct problems problems = {0};
    ck_assert(conflation_new(NULL, 0, &conflation, &problems) == STATUS_OK);
    ck_assert_ptr_null(conflation);
}
END_TEST

/* --- one lane, a hub at a time, and a client whose socket can block */

struct entry {
    char
        what; /* p: progress, i and j: progress of an item of that name, c: completed; custom events:
                  m: order.moved, n: order.moved of an item, s: order.shipped */
    char task;
    const char *room;
};

static struct {
    struct hub *hub;
    struct layout *layout;
    struct policy *policy;
    struct conflation *conflation;
    struct hand_source source;
    struct session *session;
    struct entry log[LOG];
    int64_t end, now_ms;
    bool blocked, recovered;
    char private_id[1024], cursor[1024], got[4096];
} world;

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    const struct entry *entry = &world.log[offset];
    char id[32];
    struct bytes room = bytes_of_string(entry->room);
    snprintf(id, sizeof(id), "#%c%c%lld#", entry->what, entry->task, (long long)offset);
    struct notification notification = {
        .id = bytes_of_string(id),
        .rooms = &room,
        .room_count = 1,
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {
            .task_id = bytes_of(&entry->task, 1),
            .event = bytes_of_string(entry->what == 'c' ? "task.completed" : "task.progress")}};
    char data[40];
    snprintf(data, sizeof(data), "\"%s\"", id);
    if (strchr("mns", entry->what)) {
        notification.type = NOTIFICATION_CUSTOM;
        notification.custom = (struct custom_event){
            .event = bytes_of_string(entry->what == 's' ? "order.shipped" : "order.moved"),
            .task_id = bytes_of(&entry->task, 1),
            .data = bytes_of_string(data)};
    }
    if (strchr("ijn", entry->what))
        notification.item.key = bytes_of(&entry->what, 1);
    notification_encode(&notification, value);
    size_t size = buffer_size(value);
    notification_append_room_hash(value, room_hash(BYTES_LITERAL("acme"), room));
    struct bytes both = buffer_peek(value);
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = 1,
                                .key = BYTES_LITERAL("acme"),
                                .value = bytes_of(both.data, size),
                                .room_hashes = bytes_skip(both, size)};
}

/* "pA cA": a word for each record, in the client's own room, or with + in another that it is in. */
static void publish(const char *words)
{
    for (; *words; words += 2 + (words[2] == '+'), words += *words == ' ') {
        ck_assert(world.end < LOG);
        world.log[world.end] =
            (struct entry){words[0], words[1], words[2] == '+' ? "tenant:acme" : "user:usr_1"};
        hand_arrive(&world.source, world.hub, world.end++, record_at);
    }
}

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void keep_text(char out[1024], struct bytes text)
{
    if (text.size)
        snprintf(out, 1024, "%.*s", BYTES_PRINT(text));
}

/* One step, or all. What came is in world.got: "pA0 cA1 ". */
static void take(struct session *session, unsigned most)
{
    struct delivery delivery;
    while (!world.blocked && most && session_next(session, &delivery)) {
        keep_text(world.private_id, delivery.private_id);
        keep_text(world.cursor, delivery.cursor);
        if (delivery.kind == DELIVERY_OPENED) {
            world.recovered = delivery.recovered;
            continue;
        }
        ck_assert(delivery.kind == DELIVERY_NOTIFICATION);
        const char *id = memchr(delivery.body.data, '#', delivery.body.size);
        size_t size = strlen(world.got);
        snprintf(world.got + size, sizeof(world.got) - size, "%.*s ", (int)strcspn(id + 1, "#"),
                 id + 1);
        most--;
    }
}

static void ready(struct session *session, void *connection)
{
    (void)connection;
    take(session, UINT32_MAX);
}

static const struct transport_ops transport = {
    .name = "test", .slot = TRANSPORT_SLOT_SSE, .encode = encode, .ready = ready};

static void turn(void)
{
    hand_open(&world.source, world.hub, 0, world.end);
    hub_run(world.hub, ++world.now_ms);
    while (world.source.scanning) {
        hand_read_back(&world.source, world.hub, 0, UINT32_MAX, record_at);
        hub_run(world.hub, ++world.now_ms);
    }
}

static void start_gateway(void)
{
    struct hub_config config = hand_config(world.layout, world.policy);
    config.conflation = world.conflation;
    config.queue_messages = QUEUE;
    world.hub = hub_new(&config, &hand_source_ops, &world.source);
}

static void connect(void)
{
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .private_id = bytes_of_string(world.private_id),
        .cursor = bytes_of_string(world.cursor),
        .now_ms = world.now_ms};
    world.session = hub_open_session(world.hub, &request);
    turn();
}

static void begin(void)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
    ck_assert(layout_new(&source, &world.layout, &problems) == STATUS_OK);
    world.policy = hand_policy();
    ck_assert(conflation_new(items, 4, &world.conflation, &problems) == STATUS_OK);
    start_gateway();
    connect();
}

static void end_gateway(void)
{
    session_close(world.session);
    hub_free(world.hub);
    world.source.scanning = false;
}

static void finish(void)
{
    end_gateway();
    layout_free(world.layout);
    policy_free(world.policy);
    conflation_free(world.conflation);
}

static void block(void)
{
    world.blocked = true;
}

/* The session is told by itself only once; who has left something takes it up on its own. */
static void unblock(void)
{
    world.blocked = false;
    take(world.session, UINT32_MAX);
    turn();
}

START_TEST(a_client_at_the_head_gets_each)
{
    begin();
    publish("pA pA pA"); /* in one turn */
    turn();
    publish("pA");
    turn();
    publish("pA cA pA");
    turn();
    ck_assert_str_eq(world.got, "pA0 pA1 pA2 pA3 pA4 cA5 pA6 ");
    ck_assert_uint_eq(hub_stats(world.hub)->conflated, 0);
    finish();
}
END_TEST

START_TEST(a_slow_client_gets_the_latest)
{
    begin();
    block();
    publish("pA pA pB pA pB pA pA pB pA");
    turn();
    unblock();
    ck_assert_str_eq(world.got, "pB7 pA8 ");
    ck_assert_uint_eq(hub_stats(world.hub)->conflated, 7);
    ck_assert_uint_eq(hub_stats(world.hub)->queued_messages, 0);
    publish("pA pA");
    turn();
    ck_assert_str_eq(world.got, "pB7 pA8 pA9 pA10 "); /* at the head again */
    finish();
}
END_TEST

START_TEST(nothing_is_overtaken)
{
    begin();
    block();
    publish("pA pA cA pA pA pB cB pB+ pB pB+ pB+ pA");
    turn();
    unblock();
    /* What went to other rooms stands for itself, and parts what lies before and after it. */
    ck_assert_str_eq(world.got, "pA1 cA2 pB5 cB6 pB7 pB8 pB10 pA11 ");
    finish();
}
END_TEST

/* Or a page would show for ever what an item was before. */
START_TEST(what_has_become_of_an_item_is_given)
{
    begin();
    block();
    publish("pA iA iA jA jA iA pA pA");
    turn();
    unblock();
    ck_assert_str_eq(world.got, "iA2 jA4 iA5 pA7 ");
    finish();
}
END_TEST

/* What else is told of the task goes to other handlers of the page, and gives way by itself. */
START_TEST(a_custom_event_gives_way_to_the_next_of_its_name_and_item)
{
    begin();
    block();
    publish("mA pA mA pA nA mB sA nA mA+ sA mA");
    turn();
    unblock();
    ck_assert_str_eq(world.got, "mA2 pA3 mB5 sA6 nA7 mA8 sA9 mA10 ");
    finish();
}
END_TEST

START_TEST(the_same_from_a_ring_and_from_a_scan)
{
    begin();
    publish("cA");
    turn();
    session_close(world.session); /* the lane lingers: from its ring */
    publish("pA pA cB pA");
    connect();
    ck_assert(world.recovered);
    ck_assert_str_eq(world.got, "cA0 cB3 pA4 ");

    end_gateway(); /* a gateway that has read nothing */
    publish("pA pA cB pB pA pB pA cA");
    world.got[0] = 0;
    start_gateway();
    connect();
    ck_assert(world.recovered);
    /* As much as its queue holds is read together. */
    ck_assert_str_eq(world.got, "pA6 cB7 pB8 pB10 pA11 cA12 ");
    finish();
}
END_TEST

START_TEST(the_cursor_loses_nothing)
{
    begin();
    block();
    publish("pA pA pB pC pA pB cC pA pC");
    turn();
    world.blocked = false;
    take(world.session, 1);
    ck_assert_str_eq(world.got, "pC3 ");
    session_close(world.session);
    connect();
    ck_assert(world.recovered);
    ck_assert_str_eq(world.got, "pC3 pB5 cC6 pA7 pC8 ");
    finish();
}
END_TEST

/* Nobody is in the room for a while: what is published then is not decoded for its rooms. */
START_TEST(what_nobody_saw_parts_too)
{
    char cursor[1024];
    begin();
    publish("cB");
    turn();
    memcpy(cursor, world.cursor, sizeof(cursor));
    publish("pA");
    turn();
    session_close(world.session);
    publish("cA");
    connect();
    publish("pA");
    turn();
    ck_assert_str_eq(world.got, "cB0 pA1 cA2 pA3 ");
    session_close(world.session);
    memcpy(world.cursor, cursor, sizeof(cursor)); /* one that saw less */
    world.got[0] = 0;
    connect();
    ck_assert_str_eq(world.got, "pA1 cA2 pA3 ");
    finish();
}
END_TEST

TEST_PROGRAM("conflation", names_events_and_statuses, refuses_what_is_no_rule,
             a_client_at_the_head_gets_each, a_slow_client_gets_the_latest, nothing_is_overtaken,
             what_has_become_of_an_item_is_given,
             a_custom_event_gives_way_to_the_next_of_its_name_and_item,
             the_same_from_a_ring_and_from_a_scan, the_cursor_loses_nothing,
             what_nobody_saw_parts_too)
