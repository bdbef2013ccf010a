/* What is queued for a session whose client asks and does not read. */
#include <stdio.h>

#include "from_yaml.h"
#include "hand_source.h"
#include "layout.h"
#include "policy.h"
#include "suite.h"

enum { ANSWERS = 16, ROOMS_MOST = 8 };

static struct {
    struct hub *hub;
    struct hand_source source;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    unsigned woken;
} world;

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void ready(struct session *session, void *connection)
{
    (void)session, (void)connection;
    world.woken++;
}

static const struct transport_ops transport = {.name = "test", .encode = encode, .ready = ready};

static void configure(void)
{
    memset(&world, 0, sizeof(world));
    world.layout =
        layout_from_yaml("user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "task: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}",
                         NULL);
    world.policy = policy_from_yaml("connect: [\"user:{sub}\"]\njoin: [\"task:*\"]");
    world.config = hand_config(world.layout, world.policy);
    world.config.answers = ANSWERS;
    world.config.rooms_per_session = ROOMS_MOST;
    world.config.history =
        (struct history_limits){10, 1 << 20, INT64_MAX, 1 << 20, 1 << 20, 1 << 20};
}

static struct session *start(void)
{
    struct delivery delivery;
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}"))};
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
    struct session *session = hub_open_session(world.hub, &request);
    hand_open(&world.source, world.hub, 0, 0);
    hub_run(world.hub, 1);
    ck_assert(session_next(session, &delivery));
    ck_assert_int_eq(delivery.kind, DELIVERY_OPENED);
    ck_assert(!session_next(session, &delivery));
    return session;
}

static void finish(struct session *session)
{
    session_close(session);
    hub_free(world.hub);
    layout_free(world.layout);
    policy_free(world.policy);
}

static void leave(struct session *session, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        session_leave(session, BYTES_LITERAL("task:1"), i + 1);
}

/* All that is left, which is nothing but the end. */
static void check_is_ended(struct session *session)
{
    struct delivery delivery;
    ck_assert(session_has_ended(session));
    ck_assert(session_next(session, &delivery));
    ck_assert_int_eq(delivery.kind, DELIVERY_CLOSE);
    ck_assert_str_eq(delivery.reason, "too_many_answers");
    ck_assert(delivery.overflow && delivery.transient);
    ck_assert(!session_next(session, &delivery));
    ck_assert_uint_eq(hub_stats(world.hub)->overflowed, 1);
    ck_assert_uint_eq(hub_stats(world.hub)->rooms, 0);
}

static unsigned take_answers(struct session *session)
{
    struct delivery delivery;
    unsigned taken = 0;
    while (session_next(session, &delivery)) {
        ck_assert_int_eq(delivery.kind, DELIVERY_LEFT);
        ck_assert_uint_eq(delivery.request, ++taken);
    }
    return taken;
}

START_TEST(as_many_answers_wait_as_may)
{
    configure();
    struct session *session = start();
    for (int i = 0; i < 3; i++) {
        leave(session, ANSWERS);
        hub_run(world.hub, 2);
        ck_assert(!session_has_ended(session));
        ck_assert_uint_eq(take_answers(session), ANSWERS);
    }
    finish(session);
}
END_TEST

START_TEST(one_more_ends_the_session)
{
    configure();
    struct session *session = start();
    leave(session, ANSWERS + 1);
    hub_run(world.hub, 2);
    check_is_ended(session);
    leave(session, 10); /* nobody answers any more */
    hub_run(world.hub, 3);
    ck_assert(!session_has_ended(session));
    finish(session);
}
END_TEST

START_TEST(answers_are_bounded_by_bytes_too)
{
    configure();
    world.config.answer_bytes = 1000;
    struct session *session = start();
    char room[256];
    memset(room, 'x', sizeof(room)); /* no room, whose name is kept for the answer */
    for (int i = 0; i < 4; i++)
        session_join(session, bytes_of(room, sizeof(room)), 1, 1);
    hub_run(world.hub, 2);
    check_is_ended(session);
    finish(session);
}
END_TEST

/* Who did not look at what was there is told of the end nevertheless. */
START_TEST(who_does_not_read_hears_of_the_end)
{
    configure();
    struct session *session = start();
    leave(session, 1);
    hub_run(world.hub, 2);
    unsigned woken = world.woken;
    leave(session, 3 * ANSWERS);
    hub_run(world.hub, 3);
    ck_assert_uint_eq(world.woken, woken + 1);
    check_is_ended(session);
    finish(session);
}
END_TEST

/* Four long-polling requests of 9,999 packets each, and nothing is polled. */
START_TEST(a_flood_of_joins_and_leaves_is_kept_small)
{
    configure();
    struct session *session = start();
    for (unsigned i = 0; i < 4 * 9999; i++)
        if (i % 2)
            session_leave(session, BYTES_LITERAL("task:1"), i);
        else
            session_join(session, BYTES_LITERAL("task:1"), i + 1, 1);
    hub_run(world.hub, 2);
    check_is_ended(session);
    finish(session);
}
END_TEST

START_TEST(histories_that_nobody_reads_are_given_back)
{
    configure();
    struct session *session = start();
    struct history_request past = {.since_ms = INT64_MIN, .last = 5};
    leave(session, ANSWERS - 2);
    for (unsigned i = 0; i < 4; i++)
        session_join_with_history(session, BYTES_LITERAL("task:1"), 100 + i, &past, 1, 1);
    hub_run(world.hub, 2);
    hub_run(world.hub, 3);
    check_is_ended(session);
    ck_assert_uint_eq(hub_stats(world.hub)->histories_waiting, 0);
    ck_assert_uint_eq(hub_stats(world.hub)->history_bytes, 0);
    finish(session);
}
END_TEST

/* Beyond any count of 16 bits. */
START_TEST(a_limit_of_any_size_is_kept_in_order)
{
    enum { MANY = 200000 };
    configure();
    world.config.answers = MANY;
    world.config.answer_bytes = 1 << 30;
    struct session *session = start();
    leave(session, MANY);
    hub_run(world.hub, 2);
    ck_assert_uint_eq(take_answers(session), MANY);
    leave(session, MANY + 1);
    hub_run(world.hub, 3);
    check_is_ended(session);
    finish(session);
}
END_TEST

/* The broker comes and goes while nobody reads. */
START_TEST(news_of_the_broker_is_bounded_too)
{
    configure();
    struct session *session = start();
    for (int64_t i = 0; i < 100; i++) {
        hub_lane_unavailable(world.hub, world.source.lane, "away", i + 1);
        hub_lane_position(world.hub, world.source.lane, 0);
    }
    hub_run(world.hub, 2);
    check_is_ended(session);
    finish(session);
}
END_TEST

TEST_PROGRAM("queue", as_many_answers_wait_as_may, one_more_ends_the_session,
             answers_are_bounded_by_bytes_too, who_does_not_read_hears_of_the_end,
             a_flood_of_joins_and_leaves_is_kept_small, histories_that_nobody_reads_are_given_back,
             a_limit_of_any_size_is_kept_in_order, news_of_the_broker_is_bounded_too)
