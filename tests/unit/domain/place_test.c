#include "place.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub_state.h"
#include "scan.h"
#include "suite.h"

enum { FIRST = 10, FROM = 50, HEAD = 100, HEAD_CHECK = 77 };

/* One lane, whose ring is empty and begins at FROM. */
static struct {
    struct hub hub;
    struct lane lane;
    struct session session;
} world;

static void begin(bool open)
{
    memset(&world, 0, sizeof(world));
    world.session.hub = world.lane.hub = &world.hub;
    world.lane.open = open;
    if (!open)
        return;
    world.lane.first = FIRST;
    world.lane.position = HEAD;
    world.lane.head = (struct position){HEAD, HEAD_CHECK};
    world.lane.ring.from = FROM;
}

static struct place *make(void)
{
    return place_new(&world.lane, &world.session, 0);
}

static struct place *make_resumed(int64_t next, uint16_t check)
{
    struct place *place = make();
    place_resume(place, (struct position){next, check});
    return place;
}

static void check_nobody_is_left(void)
{
    ck_assert_ptr_null(world.lane.places);
    ck_assert_uint_eq(world.lane.place_count, 0);
    ck_assert_ptr_null(world.lane.scan.places);
    ck_assert_ptr_null(world.lane.doubtful_places);
    ck_assert_uint_eq(world.lane.places_ahead.count, 0);
    waits_deinit(&world.lane.places_ahead);
}

START_TEST(a_place_in_an_open_lane_is_at_its_head)
{
    begin(true);
    struct place *place = make();
    ck_assert_uint_eq(place->state, PLACE_LIVE);
    ck_assert_int_eq(place->next, HEAD);
    ck_assert_int_eq(place_position(place).next, HEAD);
    ck_assert_uint_eq(place_position(place).check, HEAD_CHECK);
    place_free(place);
    check_nobody_is_left();
}
END_TEST

START_TEST(a_place_in_a_lane_that_opens_is_at_its_head_then)
{
    begin(false);
    struct place *place = make();
    ck_assert_uint_eq(place->state, PLACE_OPENING);
    world.lane.open = true;
    world.lane.position = HEAD;
    world.lane.head = (struct position){HEAD, 0};
    place_open(place);
    ck_assert_uint_eq(place->state, PLACE_LIVE);
    ck_assert_int_eq(place->next, HEAD);
    place_free(place);
    check_nobody_is_left();
}
END_TEST

START_TEST(a_cursor_is_judged_before_its_place_gets_anything)
{
    begin(true);
    struct place *place = make_resumed(60, 5);
    ck_assert_uint_eq(place->state, PLACE_OPENING);
    ck_assert_int_eq(place->next, 60);
    ck_assert_uint_eq(place->check, 5);
    ck_assert_int_eq(place_position(place).next, 60);
    place_verified(place);
    place_read_ring(place);
    ck_assert_uint_eq(place->state, PLACE_BEHIND);
    place_free(place);
    check_nobody_is_left();
}
END_TEST

/* Where a lane ends is not always behind a record: what a cursor can be checked by is. */
START_TEST(a_position_is_behind_the_last_record)
{
    begin(true);
    struct place *place = make();
    struct place *ahead = make_resumed(HEAD + 3, 0);
    place_give_history(place, (struct position){HEAD + 1, 0});
    place_go_live(ahead);
    world.lane.position = HEAD + 2;
    ck_assert_int_eq(place_position(place).next, HEAD);
    ck_assert_uint_eq(place_position(place).check, HEAD_CHECK);
    ck_assert_int_eq(place_position(ahead).next, HEAD + 3); /* of this gateway */
    place_free(place);
    place_free(ahead);
    check_nobody_is_left();
}
END_TEST

/* Whatever a cursor says of the record before the first. */
START_TEST(before_the_first_record_there_is_nothing_to_verify)
{
    begin(true);
    struct place *place = make_resumed(0, 5);
    ck_assert_uint_eq(place->check, 0);
    place_free(place);
}
END_TEST

START_TEST(what_is_queued_holds_the_position_back)
{
    begin(true);
    struct place *place = make();
    struct message message = {.offset = HEAD + 2, .check = 9};
    place_queue(place, &message);
    world.lane.position = HEAD + 5;
    world.lane.head = (struct position){HEAD + 5, 11};
    ck_assert_int_eq(place->next, HEAD + 3);
    ck_assert_int_eq(place_position(place).next, HEAD);
    place_unqueue(place);
    place_give(place, &message);
    ck_assert_int_eq(place->given.next, HEAD + 3);
    ck_assert_uint_eq(place->given.check, 9);
    ck_assert_int_eq(place_position(place).next, HEAD + 5); /* nothing is owed */
    place_free(place);
}
END_TEST

START_TEST(a_session_that_is_behind_is_counted_once)
{
    begin(true);
    struct place *one = make(), *two = make_resumed(60, 0), *lost = make_resumed(20, 0);
    const uint64_t *count = &world.hub.stats.sessions_behind;
    ck_assert_uint_eq(*count, 0);
    place_fall_behind(one, HEAD);
    ck_assert_uint_eq(*count, 1);
    place_read_ring(two);
    place_await_scan(lost);
    ck_assert_uint_eq(*count, 1);
    place_go_live(one);
    place_lose(lost, PLACE_RETENTION);
    ck_assert_uint_eq(*count, 1);
    place_free(two);
    ck_assert_uint_eq(*count, 0);
    place_free(one);
    place_free(lost);
    ck_assert_uint_eq(*count, 0);
    check_nobody_is_left();
}
END_TEST

START_TEST(it_falls_behind_and_comes_to_the_head_again)
{
    begin(true);
    struct place *place = make();
    place_fall_behind(place, HEAD + 7);
    world.lane.position = HEAD + 20;
    world.lane.head = (struct position){HEAD + 20, 3};
    ck_assert_uint_eq(place->state, PLACE_BEHIND);
    ck_assert_int_eq(place->next, HEAD + 7);
    ck_assert_int_eq(place_position(place).next, HEAD); /* what was given */
    place_advance(place, HEAD + 12);
    place_advance(place, HEAD + 9); /* never back */
    ck_assert_int_eq(place->next, HEAD + 12);
    place_go_live(place);
    ck_assert_uint_eq(place->state, PLACE_LIVE);
    ck_assert_int_eq(place->next, HEAD + 20);
    ck_assert_int_eq(place->live_from, HEAD + 20);
    place_free(place);
}
END_TEST

START_TEST(only_those_that_need_the_scan_are_in_its_list)
{
    begin(true);
    struct place *early = make_resumed(20, 0), *late = make_resumed(60, 0);
    place_await_scan(early);
    place_read_ring(late);
    ck_assert_ptr_eq(world.lane.scan.places, early);
    ck_assert_ptr_null(early->list_next);
    place_await_scan(early); /* once more: for the next one */
    ck_assert_ptr_null(early->list_next);
    place_advance(early, FROM);
    place_read_ring(early);
    ck_assert_ptr_null(world.lane.scan.places);
    place_free(early);
    place_free(late);
    check_nobody_is_left();
}
END_TEST

START_TEST(a_place_ahead_is_taken_when_the_lane_has_come_to_it)
{
    begin(true);
    struct place *far = make_resumed(HEAD + 9, 1), *near = make_resumed(HEAD + 4, 1);
    place_doubt(far);
    place_doubt(near);
    ck_assert_ptr_nonnull(world.lane.doubtful_places);
    place_doubt_no_more(near);
    place_doubt_no_more(far);
    place_wait_ahead(far);
    place_wait_ahead(near);
    ck_assert_ptr_null(place_take_arrived(&world.lane));
    world.lane.position = HEAD + 5;
    ck_assert_ptr_eq(place_take_arrived(&world.lane), near);
    ck_assert_ptr_null(place_take_arrived(&world.lane));
    place_free(far); /* while it waits */
    place_free(near);
    check_nobody_is_left();
}
END_TEST

START_TEST(whoever_goes_while_in_doubt_is_not_asked_for)
{
    begin(true);
    struct place *place = make_resumed(HEAD + 9, 0);
    place_doubt(place);
    place_free(place);
    check_nobody_is_left();
}
END_TEST

START_TEST(it_reaches_what_it_has_been_offered)
{
    begin(true);
    struct place *live = make(), *behind = make_resumed(60, 0), *ahead = make_resumed(HEAD + 5, 0);
    place_read_ring(behind);
    place_go_live(ahead);
    ck_assert_int_eq(place_reach(live), HEAD);
    ck_assert_uint_eq(place_reached(live).check, HEAD_CHECK);
    ck_assert_int_eq(place_reach(behind), 60);
    ck_assert_int_eq(place_reach(ahead), HEAD + 5);
    ck_assert_uint_eq(place_reached(behind).check, 0); /* the ring has no record there */
    place_free(live);
    place_free(behind);
    place_free(ahead);
}
END_TEST

START_TEST(each_loss_has_its_word)
{
    static const char *const words[] = {"retention", "too_far", "recreated", "truncated"};
    begin(true);
    for (unsigned i = PLACE_RETENTION; i <= PLACE_TRUNCATED; i++) {
        struct place *place = make_resumed(20, 0);
        place_lose(place, (enum place_loss)i);
        ck_assert_uint_eq(place->state, PLACE_LOST);
        ck_assert_str_eq(place_loss_text(place), words[i]);
        place_free(place);
    }
    check_nobody_is_left();
}
END_TEST

/* --- what is not in the table */

static void live_awaits_scan(void)
{
    struct place *place = make();
    place->lane->ring.from = HEAD + 1;
    place_await_scan(place);
}

static void live_is_lost(void)
{
    place_lose(make(), PLACE_RETENTION);
}

static void scanning_reopens(void)
{
    struct place *place = make_resumed(20, 0);
    place_await_scan(place);
    world.lane.open = false;
    place_reopen(place);
}

static void lost_goes_live(void)
{
    struct place *place = make_resumed(60, 0);
    place_lose(place, PLACE_RECREATED);
    place_go_live(place);
}

static void behind_is_lost(void)
{
    struct place *place = make_resumed(60, 0);
    place_read_ring(place);
    place_lose(place, PLACE_RECREATED);
}

static void unverified_goes_live(void)
{
    place_go_live(make_resumed(HEAD, 4));
}

static void doubtful_goes_on(void)
{
    struct place *place = make_resumed(HEAD + 3, 0);
    place_doubt(place);
    place_go_live(place);
}

static void queues_what_it_had(void)
{
    place_queue(make(), &(struct message){.offset = HEAD - 1});
}

static void gives_what_was_not_offered(void)
{
    place_give(make(), &(struct message){.offset = HEAD});
}

static bool aborts(void (*act)(void))
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        begin(true);
        act();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

START_TEST(a_change_that_is_not_in_the_table_is_our_error)
{
    ck_assert(aborts(live_awaits_scan)); /* it falls behind first */
    ck_assert(aborts(live_is_lost));
    ck_assert(aborts(scanning_reopens));
    ck_assert(aborts(behind_is_lost));
    ck_assert(aborts(lost_goes_live));
    ck_assert(aborts(unverified_goes_live));
    ck_assert(aborts(doubtful_goes_on));
    ck_assert(aborts(queues_what_it_had));
    ck_assert(aborts(gives_what_was_not_offered));
}
END_TEST

TEST_PROGRAM("place", a_place_in_an_open_lane_is_at_its_head,
             a_place_in_a_lane_that_opens_is_at_its_head_then,
             a_cursor_is_judged_before_its_place_gets_anything,
             a_position_is_behind_the_last_record,
             before_the_first_record_there_is_nothing_to_verify,
             what_is_queued_holds_the_position_back, a_session_that_is_behind_is_counted_once,
             it_falls_behind_and_comes_to_the_head_again,
             only_those_that_need_the_scan_are_in_its_list,
             a_place_ahead_is_taken_when_the_lane_has_come_to_it,
             whoever_goes_while_in_doubt_is_not_asked_for, it_reaches_what_it_has_been_offered,
             each_loss_has_its_word, a_change_that_is_not_in_the_table_is_our_error)
