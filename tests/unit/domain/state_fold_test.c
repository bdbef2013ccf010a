#include "state_fold.h"

#include <stdio.h>

#include "hub_state.h"
#include "suite.h"

static struct hub hub;
static struct state_fold fold;
static int64_t offset;

static struct message *make_message(void)
{
    struct lane_record record = {.offset = offset++, .key = BYTES_LITERAL("k")};
    return message_new(1, &record, LANE_SCOPE_NONE, 10);
}

/* The offset of the message that it takes the place of; -1: none. */
static int64_t let_go(struct message *message)
{
    int64_t was = message ? message->offset : -1;
    message_unref(message);
    return was;
}

static int64_t put(struct bytes key)
{
    struct message *message = make_message();
    struct message *before = state_fold_put(&fold, &hub, key, message);
    message_unref(message);
    return let_go(before);
}

static int64_t drop(struct bytes key)
{
    return let_go(state_fold_remove(&fold, &hub, key));
}

static int64_t oldest(void)
{
    return let_go(state_fold_take_oldest(&fold));
}

static void begin(void)
{
    fold = (struct state_fold){0};
    offset = 0;
}

START_TEST(the_newest_of_each_item_is_kept_in_the_order_of_the_lane)
{
    begin();
    ck_assert_int_eq(put(BYTES_LITERAL("a")), -1);
    ck_assert_int_eq(put(BYTES_LITERAL("b")), -1);
    ck_assert_int_eq(put(BYTES_LITERAL("c")), -1);
    ck_assert_int_eq(put(BYTES_LITERAL("a")), 0);
    ck_assert_uint_eq(fold.count, 3);
    ck_assert_int_eq(oldest(), 1);
    ck_assert_int_eq(oldest(), 2);
    ck_assert_int_eq(oldest(), 3);
    ck_assert_int_eq(oldest(), -1);
    ck_assert_uint_eq(fold.count, 0);
}
END_TEST

START_TEST(what_was_taken_out_is_gone_until_it_comes_again)
{
    begin();
    ck_assert_int_eq(drop(BYTES_LITERAL("a")), -1);
    put(BYTES_LITERAL("a"));
    put(BYTES_LITERAL("b"));
    ck_assert_int_eq(drop(BYTES_LITERAL("a")), 0);
    ck_assert_int_eq(drop(BYTES_LITERAL("a")), -1);
    ck_assert_uint_eq(fold.count, 1);
    put(BYTES_LITERAL("a"));
    ck_assert_int_eq(oldest(), 1);
    ck_assert_int_eq(oldest(), 2);
    ck_assert_int_eq(oldest(), -1);
}
END_TEST

START_TEST(keys_are_compared_whole)
{
    begin();
    put(BYTES_LITERAL("a"));
    ck_assert_int_eq(put(BYTES_LITERAL("aa")), -1);
    ck_assert_int_eq(put(BYTES_LITERAL("A")), -1);
    ck_assert_uint_eq(fold.count, 3);
    for (int64_t i = 0; i < 3; i++)
        ck_assert_int_eq(oldest(), i);
}
END_TEST

/* A random stream, against a model that looks through all of it: whatever was taken for a limit,
 * what is left is what has changed last. */
START_TEST(what_is_left_has_changed_last)
{
    enum { ITEMS = 20, STEPS = 3000 };
    uint64_t random = 1;
    for (unsigned limit = 1; limit <= ITEMS; limit += 3) {
        int64_t newest[ITEMS];
        begin();
        memset(newest, 0xff, sizeof(newest));
        for (unsigned step = 0; step < STEPS; step++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            unsigned item = (unsigned)(random >> 33) % ITEMS;
            char text[8];
            int size = snprintf(text, sizeof(text), "i%u", item);
            struct bytes key = bytes_of(text, (size_t)size);
            if (random >> 60 < 5) {
                drop(key);
                newest[item] = -1;
            } else {
                newest[item] = offset;
                put(key);
            }
            if (fold.count > limit)
                oldest();
        }
        unsigned kept = fold.count;
        int64_t first = INT64_MAX, before = -1;
        for (int64_t at; (at = oldest()) >= 0; before = at) {
            unsigned item = 0;
            while (item < ITEMS && newest[item] != at)
                item++;
            ck_assert_uint_lt(item, ITEMS); /* nothing old, nothing that was taken out */
            ck_assert_int_gt(at, before);
            first = at < first ? at : first;
        }
        for (unsigned item = 0; item < ITEMS; item++)
            kept -= newest[item] >= first;
        ck_assert_uint_eq(kept, 0); /* and nothing is missing from there on */
    }
}
END_TEST

TEST_PROGRAM("state_fold", the_newest_of_each_item_is_kept_in_the_order_of_the_lane,
             what_was_taken_out_is_gone_until_it_comes_again, keys_are_compared_whole,
             what_is_left_has_changed_last)
