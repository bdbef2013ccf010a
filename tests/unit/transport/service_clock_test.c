#include "service_clock.h"

#include "suite.h"

START_TEST(time_passes_as_it_is_while_turns_are_punctual)
{
    struct service_clock clock;
    service_clock_init(&clock, 1000, 200);
    service_clock_plan(&clock, 26000);
    ck_assert_int_eq(service_clock_read(&clock, 20000), 20000);
    ck_assert_int_eq(service_clock_read(&clock, 26150), 26150);
    ck_assert_uint_eq(clock.gaps, 0);
}
END_TEST

START_TEST(a_gap_is_cut_out_and_nothing_is_due_in_the_turn_after_it)
{
    struct service_clock clock;
    service_clock_init(&clock, 1000, 200);
    service_clock_plan(&clock, 5000);
    ck_assert_int_eq(service_clock_read(&clock, 35000), 4999);
    service_clock_plan(&clock, 5000);
    ck_assert_int_eq(service_clock_sleep_ms(&clock, 35000), 1);
    ck_assert_int_eq(service_clock_read(&clock, 35001), 5000);
    ck_assert_int_eq(service_clock_read(&clock, 36001 - 900), 5100);
    ck_assert_uint_eq(clock.gaps, 1);
}
END_TEST

START_TEST(a_stop_in_the_middle_of_a_turn_is_cut_out_as_well)
{
    struct service_clock clock;
    service_clock_init(&clock, 0, 200);
    ck_assert_int_eq(service_clock_read(&clock, 100), 100);
    service_clock_plan(&clock, 90);
    ck_assert_int_eq(service_clock_read(&clock, 9000), 100);
    ck_assert_int_eq(service_clock_read(&clock, 9005), 105);
}
END_TEST

START_TEST(a_sleep_without_a_deadline_is_no_gap)
{
    struct service_clock clock;
    service_clock_init(&clock, 0, 200);
    service_clock_plan(&clock, INT64_MAX);
    ck_assert_int_eq(service_clock_sleep_ms(&clock, 10), -1);
    ck_assert_int_eq(service_clock_read(&clock, 9000000), 9000000);
}
END_TEST

TEST_PROGRAM("service_clock", time_passes_as_it_is_while_turns_are_punctual,
             a_gap_is_cut_out_and_nothing_is_due_in_the_turn_after_it,
             a_stop_in_the_middle_of_a_turn_is_cut_out_as_well,
             a_sleep_without_a_deadline_is_no_gap)
