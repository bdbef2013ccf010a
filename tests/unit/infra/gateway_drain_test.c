#include "gateway_drain.h"

#include <limits.h>

#include "suite.h"

/* How many may go from 0 to `until_ms`, asked every `step_ms`. */
static unsigned count_moved(struct drain_pace *pace, int64_t until_ms, int64_t step_ms)
{
    unsigned count = 0;
    for (int64_t now_ms = step_ms; now_ms <= until_ms; now_ms += step_ms)
        count += drain_pace_take(pace, now_ms);
    return count;
}

START_TEST(the_pace_is_kept_however_often_one_asks)
{
    for (int64_t step_ms = 1; step_ms <= 100; step_ms++) {
        struct drain_pace fast = {.per_second = 1000}, slow = {.per_second = 3};
        unsigned moved = count_moved(&fast, 1000, step_ms);
        ck_assert_uint_le(moved, 1000);
        ck_assert_uint_ge(moved, 900);
        moved = count_moved(&slow, 10000, step_ms);
        ck_assert_uint_le(moved, 30);
        ck_assert_uint_ge(moved, 24);
    }
}
END_TEST

START_TEST(time_in_which_nobody_asked_is_not_made_up_for)
{
    struct drain_pace pace = {.per_second = 1000};
    ck_assert_uint_eq(drain_pace_take(&pace, 60000), 100);
    ck_assert_uint_eq(drain_pace_take(&pace, 60001), 1);
    struct drain_pace slow = {.per_second = 2};
    ck_assert_uint_eq(drain_pace_take(&slow, 60000), 1);
    ck_assert_uint_eq(drain_pace_take(&slow, 60400), 0);
    ck_assert_uint_eq(drain_pace_take(&slow, 60500), 1);
}
END_TEST

START_TEST(without_a_pace_all_go_at_once)
{
    struct drain_pace pace = {.per_second = 0};
    ck_assert_uint_eq(drain_pace_take(&pace, 1), UINT_MAX);
}
END_TEST

TEST_PROGRAM("gateway_drain", the_pace_is_kept_however_often_one_asks,
             time_in_which_nobody_asked_is_not_made_up_for, without_a_pace_all_go_at_once)
