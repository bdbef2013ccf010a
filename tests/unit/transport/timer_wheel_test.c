#include "timer_wheel.h"

#include <stdio.h>

#include "suite.h"

enum { TIMERS = 500 };

static struct timer_wheel wheel;
static struct timer timers[TIMERS];
static int64_t fired_ms[TIMERS];
static int64_t last_deadline_ms;

static void note(struct timer *timer, int64_t now_ms)
{
    ck_assert_int_le(timer->deadline_ms, now_ms);
    fired_ms[timer - timers] = now_ms;
    last_deadline_ms = timer->deadline_ms;
}

static void start(int64_t now_ms)
{
    timer_wheel_init(&wheel, now_ms);
    for (int i = 0; i < TIMERS; i++) {
        timers[i] = (struct timer){.fire = note};
        fired_ms[i] = -1;
    }
}

START_TEST(a_timer_fires_at_its_millisecond_whatever_the_distance)
{
    const int64_t distances[] = {1,    2,      63,     64,    65,      4095,    4096,
                                 4097, 262143, 262144, 25000, 1000000, 1 << 30, 2000000000};
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        start(123456789);
        int64_t deadline_ms = 123456789 + distances[i];
        timer_wheel_set(&wheel, &timers[0], deadline_ms);
        for (int64_t next; (next = timer_wheel_deadline_ms(&wheel)) < deadline_ms;) {
            timer_wheel_advance(&wheel, next);
            ck_assert_int_eq(fired_ms[0], -1);
        }
        timer_wheel_advance(&wheel, deadline_ms - 1);
        ck_assert_int_eq(fired_ms[0], -1);
        timer_wheel_advance(&wheel, deadline_ms);
        ck_assert_int_eq(fired_ms[0], deadline_ms);
        ck_assert_int_eq(timer_wheel_deadline_ms(&wheel), INT64_MAX);
        ck_assert_uint_eq(wheel.count, 0);
    }
}
END_TEST

START_TEST(random_operations_agree_with_a_plain_array)
{
    unsigned seed = 20240611;
    start(1000);
    int64_t expected[TIMERS];
    for (int i = 0; i < TIMERS; i++)
        expected[i] = -1;
    int64_t now_ms = 1000;
    int wrong = 0;
    for (int step = 0; step < 100000; step++) {
        int i = rand_r(&seed) % TIMERS;
        switch (rand_r(&seed) % 4) {
        case 0:
        case 1:
            expected[i] = now_ms - 5 + rand_r(&seed) % (rand_r(&seed) % 8 ? 300 : 500000);
            timer_wheel_set(&wheel, &timers[i], expected[i]);
            break;
        case 2:
            expected[i] = -1;
            timer_wheel_cancel(&wheel, &timers[i]);
            break;
        default:
            now_ms += rand_r(&seed) % (rand_r(&seed) % 50 ? 20 : 20000);
            last_deadline_ms = 0;
            timer_wheel_advance(&wheel, now_ms);
            int64_t earliest_ms = INT64_MAX;
            for (int k = 0; k < TIMERS; k++) {
                if (expected[k] >= 0 && expected[k] <= now_ms)
                    expected[k] = -1;
                wrong += (expected[k] >= 0) != timer_is_set(&timers[k]);
                if (expected[k] >= 0 && expected[k] < earliest_ms)
                    earliest_ms = expected[k];
            }
            ck_assert_int_eq(wrong, 0);
            ck_assert_int_le(timer_wheel_deadline_ms(&wheel), earliest_ms);
            break;
        }
    }
}
END_TEST

static void set_again(struct timer *timer, int64_t now_ms)
{
    note(timer, now_ms);
    timer_wheel_set(&wheel, timer, now_ms + 10);
    timer_wheel_cancel(&wheel, &timers[1]);
}

START_TEST(a_firing_timer_may_set_itself_and_cancel_its_neighbour)
{
    start(0);
    timers[0].fire = set_again;
    timer_wheel_set(&wheel, &timers[0], 100);
    timer_wheel_set(&wheel, &timers[1], 100);
    timer_wheel_advance(&wheel, 100);
    ck_assert_int_eq(fired_ms[1], -1);
    timer_wheel_advance(&wheel, 110);
    ck_assert_int_eq(fired_ms[0], 110);
    ck_assert_uint_eq(wheel.count, 1);
}
END_TEST

TEST_PROGRAM("timer_wheel", a_timer_fires_at_its_millisecond_whatever_the_distance,
             random_operations_agree_with_a_plain_array,
             a_firing_timer_may_set_itself_and_cancel_its_neighbour)
