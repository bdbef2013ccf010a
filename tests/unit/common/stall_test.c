#include "stall.h"

#include "suite.h"

START_TEST(who_has_read_all_does_not_stand_still)
{
    struct stall stall = {0};
    for (int64_t now = 1; now < 100; now++)
        ck_assert(!stall_look(&stall, 7, now % 2 ? 7 : 3, now, 10));
}
END_TEST

START_TEST(who_is_behind_without_a_step_stands_still_once_in_each_limit)
{
    struct stall stall = {0};
    ck_assert(!stall_look(&stall, 7, 8, 100, 10));
    ck_assert(!stall_look(&stall, 7, 20, 109, 10));
    ck_assert(stall_look(&stall, 7, 20, 110, 10));
    ck_assert(!stall_look(&stall, 7, 20, 119, 10));
    ck_assert(stall_look(&stall, 7, 20, 125, 10));
}
END_TEST

START_TEST(every_step_begins_the_time_anew)
{
    struct stall stall = {0};
    for (int64_t i = 0; i < 50; i++)
        ck_assert(!stall_look(&stall, i, 1000, 100 + i * 9, 10));
    ck_assert(!stall_look(&stall, 1000, 1000, 1000, 10));
    ck_assert_int_eq(stall.since_ms, 0);
    ck_assert(!stall_look(&stall, 1000, 1001, 5000, 10));
    /* Backwards is a step, too: a reader that was sent back. */
    ck_assert(!stall_look(&stall, 900, 1001, 5009, 10));
    ck_assert(!stall_look(&stall, 900, 1001, 5018, 10));
    ck_assert(stall_look(&stall, 900, 1001, 5019, 10));
}
END_TEST

TEST_PROGRAM("stall", who_has_read_all_does_not_stand_still,
             who_is_behind_without_a_step_stands_still_once_in_each_limit,
             every_step_begins_the_time_anew)
