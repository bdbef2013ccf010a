#include "token_expiry.h"

#include "pack.h"
#include "suite.h"

enum { GRACE_MS = 1000 };

static struct timer_wheel wheel;
static struct token_times times;
static struct token_expiry expiry;
static unsigned expired, over;

static void fire(struct timer *timer, int64_t now_ms)
{
    ck_assert_ptr_eq(timer, &expiry.timer);
    times.now_ms = now_ms;
    if (token_expiry_is_over(&expiry, &times))
        over++;
    else
        expired++;
}

static void start(void)
{
    times = (struct token_times){
        .wheel = &wheel, .grace_ms = GRACE_MS, .now_ms = 50, .wall_ms = 1000000};
    timer_wheel_init(&wheel, times.now_ms);
    expiry = (struct token_expiry){.timer.fire = fire};
    expired = over = 0;
}

static void assert_at(int64_t now_ms, unsigned expired_by_then, unsigned over_by_then)
{
    timer_wheel_advance(&wheel, now_ms);
    ck_assert_uint_eq(expired, expired_by_then);
    ck_assert_uint_eq(over, over_by_then);
}

START_TEST(a_token_expires_and_after_the_grace_it_is_over)
{
    start();
    token_expiry_set(&expiry, &times, 1000000 + 300);
    assert_at(349, 0, 0);
    assert_at(350, 1, 0);
    assert_at(350 + GRACE_MS - 1, 1, 0);
    assert_at(350 + GRACE_MS, 1, 1);
    ck_assert(!timer_is_set(&expiry.timer));
}
END_TEST

START_TEST(another_token_ends_the_grace)
{
    start();
    token_expiry_set(&expiry, &times, 0); /* long ago */
    assert_at(51, 1, 0);
    times.wall_ms += 1;
    token_expiry_set(&expiry, &times, times.wall_ms + 5000);
    ck_assert(!expiry.expired);
    assert_at(51 + GRACE_MS, 1, 0);
    assert_at(51 + 5000, 2, 0);
    assert_at(51 + 5000 + GRACE_MS, 2, 1);
}
END_TEST

START_TEST(one_without_an_end_never_expires)
{
    start();
    token_expiry_set(&expiry, &times, 1000000 + 300);
    token_expiry_set(&expiry, &times, INT64_MAX);
    ck_assert(!timer_is_set(&expiry.timer));
    assert_at(100000, 0, 0);
}
END_TEST

START_TEST(what_is_left_moves_along)
{
    auto_buffer struct buffer state = {0};
    start();
    token_expiry_set(&expiry, &times, 1000000 + 300);
    assert_at(350, 1, 0);
    times.now_ms = 750;
    token_expiry_pack(&expiry, &times, &state);
    buffer_append_string(&state, "rest");

    /* Another gateway: its clocks are its own. */
    struct bytes packed = buffer_peek(&state);
    start();
    ck_assert(token_expiry_unpack(&expiry, &times, &packed));
    ck_assert(bytes_equal_string(packed, "rest"));
    ck_assert(expiry.expired && expiry.expires_ms == 1000300);
    assert_at(50 + GRACE_MS - 400 - 1, 0, 0);
    assert_at(50 + GRACE_MS - 400, 0, 1);
}
END_TEST

START_TEST(another_gateways_word_is_held_against_the_limits)
{
    static const uint64_t bad[][3] = {
        {1000300, 1, GRACE_MS + 1}, {1000300, 2, 0}, {(uint64_t)INT64_MAX + 1, 0, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        auto_buffer struct buffer state = {0};
        start();
        for (size_t j = 0; j < 3; j++)
            pack_number(&state, bad[i][j]);
        struct bytes packed = buffer_peek(&state);
        ck_assert(!token_expiry_unpack(&expiry, &times, &packed));
        ck_assert(!timer_is_set(&expiry.timer));
    }
}
END_TEST

TEST_PROGRAM("token_expiry", a_token_expires_and_after_the_grace_it_is_over,
             another_token_ends_the_grace, one_without_an_end_never_expires,
             what_is_left_moves_along, another_gateways_word_is_held_against_the_limits)
