#include "waits.h"

#include "suite.h"

enum { MANY = 500 };

static struct waiter all[MANY];
static struct waits waits;

static uint32_t chance(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void check_heap(void)
{
    for (size_t i = 0; i < waits.count; i++) {
        ck_assert_uint_eq(waits.items[i]->place, i + 1);
        if (i > 0)
            ck_assert_int_le(waits.items[(i + 1) / 2 - 1]->at, waits.items[i]->at);
    }
}

START_TEST(the_nearest_is_taken_first)
{
    for (size_t i = 0; i < MANY; i++)
        waits_add(&waits, &all[i], (int64_t)(chance() % 100));
    check_heap();
    ck_assert_ptr_null(waits_take(&waits, -1));
    int64_t last = 0;
    size_t taken = 0;
    for (int64_t position = 0; position < 100; position++)
        for (const struct waiter *wait; (wait = waits_take(&waits, position)); taken++) {
            ck_assert_int_ge(wait->at, last);
            ck_assert_int_le(wait->at, position);
            ck_assert(!wait_is_set(wait));
            last = wait->at;
        }
    ck_assert_uint_eq(taken, MANY);
    waits_deinit(&waits);
}
END_TEST

START_TEST(whoever_goes_is_not_waited_for)
{
    for (int round = 0; round < 2000; round++) {
        struct waiter *wait = &all[chance() % MANY];
        if (wait_is_set(wait))
            waits_remove(&waits, wait);
        else
            waits_add(&waits, wait, (int64_t)(chance() % 1000) - 500);
        check_heap();
    }
    for (size_t i = 0; i < MANY; i++)
        waits_remove(&waits, &all[i]);
    ck_assert(!waits_reach(&waits, INT64_MAX));
    waits_remove(&waits, &all[0]); /* and again */
    waits_deinit(&waits);
}
END_TEST

TEST_PROGRAM("waits", the_nearest_is_taken_first, whoever_goes_is_not_waited_for)
