/* What is written of who is here, and taken out again. */
#include "presence_fixture.h"

START_TEST(faulty_records_are_counted_and_passed_over)
{
    world_begin(10, 100);
    reads("nonsense", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{}");
    ck_assert_uint_eq(presence_stats(world.presence)->faulty[PRESENCE_FAULTY_KEY], 1);
    ck_assert_uint_eq(presence_stats(world.presence)->faulty[PRESENCE_FAULTY_VALUE], 1);
    ck_assert_uint_eq(presence_stats(world.presence)->rooms, 0);
    world_end();
}
END_TEST

START_TEST(what_is_written)
{
    struct presence_write write;
    world_begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    ck_assert(presence_next_write(world.presence, world.now_ms, &write));
    ck_assert(bytes_equal_string(write.key, world.own)); /* the beat comes first */
    ck_assert(presence_next_write(world.presence, world.now_ms, &write));
    ck_assert(!presence_next_write(world.presence, world.now_ms, &write));
    leave(ann);
    pass(LINGER + 400);
    ck_assert(!presence_next_write(world.presence, world.now_ms, &write)); /* one batch at a time */
    presence_written(world.presence, false, world.now_ms); /* lost: again, as it is now */
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    ck_assert_str_eq(written(), "");
    world_end();
}
END_TEST

START_TEST(a_removal_that_was_lost_is_written_again)
{
    struct presence_write write;
    world_begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    written();
    leave(ann);
    pass(LINGER + 400);
    while (presence_next_write(world.presence, world.now_ms, &write))
        ;
    presence_written(world.presence, false, world.now_ms);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    world_end();
}
END_TEST

/* One user after the other comes into a room of his own and leaves it, while the broker does not take
 * anything: what is left of them is bounded by a batch. */
START_TEST(rooms_that_the_log_never_held_are_not_kept)
{
    enum { PASSERS = 3 * PRESENCE_WRITES_MOST, AT_ONCE = 50 };
    struct presence_seat *seats[AT_ONCE];
    struct presence_write write;
    world_begin(10, 100);
    for (unsigned i = 0; i < PASSERS;) {
        for (unsigned j = 0; j < AT_ONCE; j++, i++) {
            seats[j] = enter_task("acme", i, "ann");
        }
        pass(400);
        unsigned count = 0;
        while (presence_next_write(world.presence, world.now_ms, &write))
            count++;
        for (unsigned j = 0; j < AT_ONCE; j++)
            leave(seats[j]);
        pass(LINGER + 400);
        if (count)
            presence_written(world.presence, false, world.now_ms);
    }
    ck_assert_uint_le(presence_stats(world.presence)->unwritten, PRESENCE_WRITES_MOST);
    ck_assert_uint_le(presence_stats(world.presence)->rooms, PRESENCE_WRITES_MOST);
    ck_assert_uint_gt(presence_stats(world.presence)->unwritten, 0); /* it may hold these */
    for (unsigned i = 0; i < 3; i++)
        written();
    pass(400);
    ck_assert_uint_eq(presence_stats(world.presence)->unwritten, 0);
    ck_assert_uint_eq(presence_stats(world.presence)->rooms, 0);
    world_end();
}
END_TEST

/* Nothing of it was even handed out. */
START_TEST(a_room_that_was_not_handed_out_is_not_kept)
{
    world_begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    ck_assert_uint_eq(presence_stats(world.presence)->unwritten, 1);
    leave(ann);
    pass(LINGER + 400);
    ck_assert_uint_eq(presence_stats(world.presence)->unwritten, 0);
    ck_assert_uint_eq(presence_stats(world.presence)->rooms, 0);
    ck_assert_str_eq(written(), "");
    world_end();
}
END_TEST

START_TEST(who_was_taken_for_gone_writes_again)
{
    world_begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    written();
    reads("[\"07000000000000000000000000000000\",\"acme\",\"task:1\"]", NULL);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":1,\"users\":[\"ann\"]} ");
    leave(ann);
    world_end();
}
END_TEST

START_TEST(who_is_long_gone_is_swept)
{
    world_begin(10, 100);
    beats(1);
    reads_another("bob");
    written();
    beats(2 * PRESENCE_SWEEP_AFTER);
    world.now_ms += 5000;
    struct presence_write write;
    ck_assert(presence_next_write(world.presence, world.now_ms, &write)); /* the own beat */
    ck_assert(presence_next_write(world.presence, world.now_ms, &write));
    ck_assert(bytes_equal_string(write.key, "[\"w\",\"acme\",\"task:1\"]"));
    ck_assert(!write.has_value);
    ck_assert(!presence_next_write(world.presence, world.now_ms, &write));
    presence_written(world.presence, true, world.now_ms);
    reads("[\"w\",\"acme\",\"task:1\"]", NULL);
    beats(1);
    world.now_ms += 5000;
    ck_assert(presence_next_write(world.presence, world.now_ms, &write));
    ck_assert(presence_next_write(world.presence, world.now_ms, &write));
    ck_assert(bytes_equal_string(write.key, "[\"w\"]"));
    reads("[\"w\"]", NULL);
    pass(400);
    ck_assert_uint_eq(presence_stats(world.presence)->rooms, 0);
    world_end();
}
END_TEST

START_TEST(a_batch_has_a_limit)
{
    static struct presence_seat *seats[PRESENCE_WRITES_MOST + 10];
    struct presence_write write;
    unsigned count = 0;
    world_begin(10, 100);
    for (size_t i = 0; i < sizeof(seats) / sizeof(seats[0]); i++)
        seats[i] = enter_task("acme", i, "ann");
    pass(200);
    while (presence_next_write(world.presence, world.now_ms, &write))
        count++;
    ck_assert_uint_eq(count, PRESENCE_WRITES_MOST);
    presence_written(world.presence, true, world.now_ms);
    world.now_ms += PRESENCE_WRITE_MS;
    for (count = 0; presence_next_write(world.presence, world.now_ms, &write);)
        count++;
    ck_assert_uint_eq(count, 11);
    for (size_t i = 0; i < sizeof(seats) / sizeof(seats[0]); i++)
        leave(seats[i]);
    world_end();
}
END_TEST

TEST_PROGRAM("presence_written", faulty_records_are_counted_and_passed_over, what_is_written,
             a_removal_that_was_lost_is_written_again, rooms_that_the_log_never_held_are_not_kept,
             a_room_that_was_not_handed_out_is_not_kept, who_was_taken_for_gone_writes_again,
             who_is_long_gone_is_swept, a_batch_has_a_limit)
