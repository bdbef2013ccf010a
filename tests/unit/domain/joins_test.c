#include "joins.h"

#include "hub_state.h"
#include "suite.h"

enum { TIMEOUT_MS = 1000 };

static struct {
    struct hub hub;
    struct lane lanes[2];
    struct session sessions[2];
    struct place *places[2][2]; /* of a session, in a lane */
} world;

static void begin(void)
{
    memset(&world, 0, sizeof(world));
    world.hub.config.open_timeout_ms = TIMEOUT_MS;
    world.hub.config.answers = 100;
    world.hub.config.answer_bytes = 100000;
    for (int i = 0; i < 2; i++) {
        world.lanes[i].hub = world.sessions[i].hub = &world.hub;
        world.sessions[i].state = SESSION_OPEN;
    }
    for (int i = 0; i < 4; i++)
        world.places[i / 2][i % 2] = place_new(&world.lanes[i % 2], &world.sessions[i / 2], 0);
}

static void finish(void)
{
    ck_assert_ptr_null(world.hub.pending);
    for (int i = 0; i < 4; i++) {
        session_queue_clear(&world.sessions[i / 2].queue);
        place_free(world.places[i / 2][i % 2]);
    }
}

static struct pending_request *add(int session, int lane, const char *room)
{
    return joins_add(&world.sessions[session], world.places[session][lane], bytes_of_string(room),
                     10 * (uint64_t)session + (uint64_t)lane + 1);
}

START_TEST(a_join_is_listed_where_it_is_looked_for)
{
    begin();
    struct pending_request *first = add(0, 0, "task:1");
    world.hub.now_ms = 5;
    struct pending_request *second = add(0, 1, "task:2"), *other = add(1, 0, "task:1");
    ck_assert_ptr_eq(world.hub.pending, first); /* by deadline */
    ck_assert_int_eq(first->deadline_ms, TIMEOUT_MS);
    ck_assert_ptr_eq(first->next, second);
    ck_assert_int_eq(second->deadline_ms, TIMEOUT_MS + 5);
    ck_assert_uint_eq(world.sessions[0].joins.count, 2); /* of the session */
    ck_assert_ptr_eq(world.sessions[0].joins.first, first);
    ck_assert_ptr_eq(first->own_next, second);
    ck_assert_ptr_eq(world.places[0][0]->joins, first); /* and of its place */
    ck_assert_ptr_null(first->place_next);
    ck_assert_ptr_eq(world.places[1][0]->joins, other);
    joins_remove(first);
    ck_assert_ptr_null(world.places[0][0]->joins);
    ck_assert_ptr_eq(world.hub.pending, second);
    ck_assert_uint_eq(world.sessions[0].joins.count, 1);
    joins_remove(other);
    joins_remove(second);
    finish();
}
END_TEST

START_TEST(what_has_come_to_its_end_is_confirmed)
{
    begin();
    struct history *history = history_new(&world.hub, NULL, 1, false);
    history_set_whole(history, (struct position){0}, true, INT64_MIN);
    joins_confirm(add(0, 0, "task:1"), history);
    joins_confirm(add(0, 1, "task:22"), NULL);
    const struct queue_item *item = session_queue_first(&world.sessions[0].queue);
    ck_assert_int_eq(item->kind, ITEM_JOINED);
    ck_assert_uint_eq(item->control->request, 1);
    ck_assert_ptr_eq(item->control->history, history);
    ck_assert(
        bytes_equal_string(bytes_of(item->control->room, item->control->room_size), "task:1"));
    ck_assert_uint_eq(world.sessions[0].queue.count, 2);
    ck_assert_uint_eq(world.sessions[0].histories, 1);
    ck_assert_uint_eq(world.sessions[0].joins.count, 0);
    finish();
}
END_TEST

START_TEST(an_opening_waits_among_joins)
{
    begin();
    struct session_opening opening = {0};
    struct pending_request *join = add(0, 0, "task:1");
    world.sessions[1].opening = &opening;
    joins_expect_open(&world.sessions[1]);
    ck_assert_ptr_eq(join->next, opening.pending);
    ck_assert_ptr_null(opening.pending->place);
    ck_assert_uint_eq(world.sessions[1].joins.count, 0); /* it has asked for none */
    joins_open_over(&world.sessions[1]);
    joins_open_over(&world.sessions[1]); /* and again */
    ck_assert_ptr_null(opening.pending);
    ck_assert_ptr_null(join->next);
    joins_remove(join);
    finish();
}
END_TEST

TEST_PROGRAM("joins", a_join_is_listed_where_it_is_looked_for,
             what_has_come_to_its_end_is_confirmed, an_opening_waits_among_joins)
