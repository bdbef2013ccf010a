#include "scan.h"

#include "hub_state.h"
#include "suite.h"

enum { FROM = 100, HEAD = 120, SESSIONS = 4, QUEUE = 2 };

/* One lane whose ring begins at FROM, and sessions that need what lies before it. */
static struct {
    struct hub hub;
    struct lane lane;
    struct session sessions[SESSIONS];
    struct place *places[SESSIONS];
    int64_t asked_from, asked_to;
} world;

static void on_scan(void *source, struct lane *lane, int64_t from, int64_t to)
{
    (void)source, (void)lane;
    world.asked_from = from;
    world.asked_to = to;
}

static const struct lane_source_ops source_ops = {.scan = on_scan};

static void begin(void)
{
    memset(&world, 0, sizeof(world));
    world.hub.source_ops = &source_ops;
    world.hub.config.queue_messages = QUEUE;
    world.hub.config.ring_bytes = world.hub.config.read_back_bytes = 1 << 20;
    world.hub.config.history.bytes = 1 << 20;
    world.lane = (struct lane){.hub = &world.hub, .id = 1, .open = true, .position = HEAD};
    world.lane.ring.from = FROM;
    for (int i = 0; i < SESSIONS; i++)
        world.sessions[i].hub = &world.hub;
}

/* The session's place waits for a scan. */
static struct place *await(int session, int64_t next, uint16_t check)
{
    struct place *place = place_new(&world.lane, &world.sessions[session], 0);
    place_resume(place, (struct position){next, check});
    place_await_scan(place);
    world.places[session] = place;
    return place;
}

static void finish(void)
{
    for (int i = 0; i < SESSIONS; i++)
        if (world.places[i])
            place_free(world.places[i]);
    ck_assert_uint_eq(world.lane.scan.readers, 0);
    if (world.lane.scan.running)
        scan_end(&world.lane);
    scan_unwant(&world.lane);
    scan_keep_no_more(&world.lane);
    ring_clear(&world.lane.ring, 0);
    ck_assert_ptr_null(world.hub.scans.wanted);
    ck_assert_ptr_null(world.hub.scans.running);
    ck_assert_ptr_null(world.hub.scans.keeping);
}

static void start(void)
{
    int64_t from = scan_gather(&world.lane);
    ck_assert_int_lt(from, INT64_MAX);
    scan_begin(&world.lane, from);
}

static void give(int64_t offset)
{
    struct lane_record record = {.offset = offset, .value = BYTES_LITERAL("x")};
    scan_note(&world.lane, message_new(1, &record, LANE_SCOPE_NONE, 10), 1);
}

START_TEST(all_who_can_read_start_together_at_the_lowest)
{
    begin();
    await(0, 50, 0);
    await(1, 40, 9); /* needs the record before it as well */
    world.sessions[2].queue.messages = QUEUE;
    await(2, 10, 0); /* can take nothing now */
    start();
    ck_assert_int_eq(world.asked_from, 39);
    ck_assert_int_eq(world.asked_to, FROM);
    ck_assert_uint_eq(world.lane.scan.readers, 2);
    ck_assert(!world.places[2]->reader.reading);
    ck_assert_uint_eq(world.hub.scans.running_count, 1);
    finish();
}
END_TEST

START_TEST(nobody_who_can_read_is_no_scan)
{
    begin();
    ck_assert_int_eq(scan_gather(&world.lane), INT64_MAX);
    world.sessions[0].queue.messages = QUEUE;
    await(0, 50, 0);
    ck_assert_int_eq(scan_gather(&world.lane), INT64_MAX);
    scan_want_another(&world.lane);
    ck_assert(!world.lane.scan.wanted);
    world.sessions[0].queue.messages = 0;
    scan_want_another(&world.lane);
    ck_assert(world.lane.scan.wanted);
    finish();
}
END_TEST

START_TEST(cursors_are_verified_in_the_order_of_the_log)
{
    begin();
    struct place *late = await(0, 60, 1), *early = await(1, 40, 1), *gone = await(2, 45, 1);
    start();
    scan_leave(gone);
    ck_assert_ptr_null(scan_take_check(&world.lane, 38));
    ck_assert_ptr_eq(scan_take_check(&world.lane, 39), early);
    ck_assert_ptr_null(scan_take_check(&world.lane, 58));
    ck_assert_ptr_eq(scan_take_check(&world.lane, 100), late);
    ck_assert_ptr_null(scan_take_check(&world.lane, INT64_MAX - 1));
    finish();
}
END_TEST

START_TEST(a_pause_gives_those_that_are_full_and_no_others)
{
    begin();
    for (int i = 0; i < SESSIONS; i++)
        await(i, 50, 0);
    start();
    ck_assert_ptr_null(scan_take_full(&world.lane));
    scan_fill(world.places[2]);
    scan_fill(world.places[2]); /* it is already */
    scan_fill(world.places[3]);
    ck_assert(world.lane.scan.paused);
    ck_assert_ptr_eq(scan_take_full(&world.lane), world.places[3]);
    ck_assert_ptr_eq(scan_take_full(&world.lane), world.places[2]);
    ck_assert_ptr_null(scan_take_full(&world.lane));
    scan_unpause(&world.lane);
    ck_assert(!world.lane.scan.paused);
    finish();
}
END_TEST

START_TEST(what_was_read_goes_in_front_of_the_ring_and_is_given_back)
{
    begin();
    await(0, 50, 0);
    start();
    for (int64_t offset = 50; offset < FROM; offset += 10)
        give(offset);
    ck_assert(scan_keeps_all(&world.lane));
    ck_assert_int_eq(world.lane.scan.next, 91);
    scan_complete(&world.lane);
    scan_end(&world.lane);
    ck_assert_int_eq(world.lane.ring.from, 50);
    ck_assert_uint_eq(world.lane.ring.count, 5);
    ck_assert(world.lane.scan.keeps);
    ck_assert_int_gt(world.lane.scan.keeps_until_ms, world.hub.now_ms);
    world.hub.config.ring_bytes = 1; /* its share */
    scan_leave(world.places[0]);
    scan_keep_no_more(&world.lane);
    ck_assert_uint_eq(world.lane.ring.count, 1);
    finish();
}
END_TEST

START_TEST(what_does_not_fit_pauses_the_scan)
{
    begin();
    world.hub.config.read_back_bytes = 1;
    await(0, 50, 0);
    start();
    give(50);
    ck_assert(!world.lane.scan.paused);
    give(51); /* the one before it goes */
    ck_assert(!scan_keeps_all(&world.lane));
    ck_assert(world.lane.scan.paused);
    finish();
}
END_TEST

/* A history asked, and guessed at how many records its bytes are. */
START_TEST(a_scan_without_sessions_is_given_up_when_it_is_too_large)
{
    begin();
    world.hub.config.history.bytes = 1;
    scan_begin(&world.lane, 50);
    give(50);
    give(51);
    ck_assert(!world.lane.scan.useless);
    give(52);
    ck_assert(world.lane.scan.useless && world.lane.scan.paused);
    finish();
}
END_TEST

TEST_PROGRAM("scan", all_who_can_read_start_together_at_the_lowest, nobody_who_can_read_is_no_scan,
             cursors_are_verified_in_the_order_of_the_log,
             a_pause_gives_those_that_are_full_and_no_others,
             what_was_read_goes_in_front_of_the_ring_and_is_given_back,
             what_does_not_fit_pauses_the_scan,
             a_scan_without_sessions_is_given_up_when_it_is_too_large)
