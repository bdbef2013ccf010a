#include "partition_state.h"

#include <stdio.h>
#include <xxhash.h>

#include "mem.h"
#include "suite.h"

static const struct partition_state_settings settings = {.dedupe_window_ms = 1000,
                                                         .dedupe_entries = 100,
                                                         .review_window_ms = 5000,
                                                         .review_tasks = 3,
                                                         .reviews_per_task = 16};

/* A fingerprint like any other, from a number. */
static struct fingerprint id(uint64_t number)
{
    return (struct fingerprint){.high = number * 31, .low = number};
}

/* A changelog as a broker keeps it: what was emitted and committed, in order. */
enum { LOG_LIMIT = 20000 };
struct entry {
    uint8_t key[24];
    size_t key_size;
    uint8_t *value;
    size_t value_size;
    bool has_value;
};
struct changelog {
    struct entry entries[LOG_LIMIT];
    size_t count;
};

static void append(void *context, struct bytes key, struct bytes value, bool has_value)
{
    struct changelog *log = (struct changelog *)context;
    ck_assert_uint_lt(log->count, LOG_LIMIT);
    struct entry *entry = &log->entries[log->count++];
    memcpy(entry->key, key.data, key.size);
    entry->key_size = key.size;
    entry->value = (uint8_t *)mem_alloc(value.size + 1);
    if (value.size > 0)
        memcpy(entry->value, value.data, value.size);
    entry->value_size = value.size;
    entry->has_value = has_value;
}

static void clear(struct changelog *log)
{
    while (log->count > 0)
        free(log->entries[--log->count].value);
}

/* Leaves the last record of each key, as compaction does. */
static void compact(struct changelog *log)
{
    size_t kept = 0;
    for (size_t i = 0; i < log->count; i++) {
        bool later = !log->entries[i].has_value;
        for (size_t k = i + 1; k < log->count && !later; k++)
            later = log->entries[i].key_size == log->entries[k].key_size &&
                    memcmp(log->entries[i].key, log->entries[k].key, log->entries[i].key_size) == 0;
        if (later)
            free(log->entries[i].value);
        else
            log->entries[kept++] = log->entries[i];
    }
    log->count = kept;
}

static struct partition_state *restore(const struct changelog *log, uint32_t domain)
{
    struct partition_state *state = partition_state_new(&settings, domain);
    for (size_t i = 0; i < log->count; i++)
        partition_state_restore(state, bytes_of(log->entries[i].key, log->entries[i].key_size),
                                bytes_of(log->entries[i].value, log->entries[i].value_size),
                                log->entries[i].has_value);
    return state;
}

START_TEST(an_event_is_seen_within_the_window)
{
    struct partition_state *state = partition_state_new(&settings, 0);
    ck_assert(!partition_state_has_seen(state, id(7), 10000));
    partition_state_note(state, id(7), 10000);
    ck_assert(partition_state_has_seen(state, id(7), 10000));
    ck_assert(partition_state_has_seen(state, id(7), 10999));
    ck_assert(!partition_state_has_seen(state, id(7), 11000));
    ck_assert(partition_state_has_seen(state, id(7), 9001));
    ck_assert(!partition_state_has_seen(state, id(7), 9000));
    ck_assert(!partition_state_has_seen(state, id(8), 10000));
    partition_state_free(state);
}
END_TEST

START_TEST(a_rollback_forgets_what_was_not_committed)
{
    static struct changelog log;
    struct partition_state *state = partition_state_new(&settings, 0);
    partition_state_note(state, id(1), 10000);
    partition_state_flush(state, append, &log);
    partition_state_commit(state);
    partition_state_note(state, id(2), 10500);
    partition_state_note(state, id(1), 11500); /* again, after the window */
    ck_assert(partition_state_open_review(state, id(5), id(1), 10500));
    partition_state_flush(state, append, &log);
    partition_state_rollback(state);
    ck_assert(partition_state_has_seen(state, id(1), 10000));
    ck_assert(!partition_state_has_seen(state, id(1), 11500));
    ck_assert(!partition_state_has_seen(state, id(2), 10500));
    ck_assert(!partition_state_review_is_open(state, id(5), id(1), 10500));
    ck_assert_uint_eq(partition_state_event_count(state), 1);
    ck_assert_uint_eq(partition_state_review_count(state), 0);
    clear(&log);
    partition_state_free(state);
}
END_TEST

START_TEST(a_review_is_open_until_it_is_closed_or_forgotten)
{
    struct partition_state *state = partition_state_new(&settings, 0);
    ck_assert(partition_state_open_review(state, id(5), id(1), 1000));
    ck_assert(partition_state_open_review(state, id(5), id(2), 2000));
    ck_assert(partition_state_review_is_open(state, id(5), id(1), 5999));
    ck_assert(!partition_state_review_is_open(state, id(5), id(1), 6000));
    ck_assert(partition_state_review_is_open(state, id(5), id(2), 6000));
    ck_assert(!partition_state_review_is_open(state, id(6), id(1), 1000));
    partition_state_commit(state);
    partition_state_close_reviews(state, id(5));
    ck_assert(!partition_state_review_is_open(state, id(5), id(2), 2000));
    partition_state_rollback(state);
    ck_assert(partition_state_review_is_open(state, id(5), id(2), 2000));
    partition_state_close_reviews(state, id(5));
    partition_state_commit(state);
    partition_state_rollback(state);
    ck_assert(!partition_state_review_is_open(state, id(5), id(2), 2000));
    partition_state_free(state);
}
END_TEST

START_TEST(limits_hold)
{
    static struct changelog log;
    struct partition_state *state = partition_state_new(&settings, 0);
    for (uint64_t task = 0; task < 3; task++)
        ck_assert(partition_state_open_review(state, id(task), id(1), 0));
    ck_assert(!partition_state_open_review(state, id(3), id(1), 0));
    for (uint64_t reason = 2; reason <= 16; reason++)
        ck_assert(partition_state_open_review(state, id(0), id(reason), 0));
    ck_assert(!partition_state_open_review(state, id(0), id(17), 0));
    ck_assert(partition_state_open_review(state, id(0), id(17),
                                          5000)); /* the others are forgotten by then */
    for (uint64_t event = 0; event < 1000; event++) {
        partition_state_note(state, id(event), 0);
        partition_state_flush(state, append, &log);
        partition_state_commit(state);
        ck_assert_uint_le(partition_state_event_count(state), 101);
    }
    clear(&log);
    partition_state_free(state);
}
END_TEST

/* Random work with aborts and crashes: a memory that was restored from the changelog, compacted or
 * not, answers as the one that wrote it, and as a model that keeps everything. */
START_TEST(a_restored_memory_knows_what_was_committed)
{
    static struct changelog log;
    static struct changelog transaction;
    static int64_t last[50];
    unsigned seed = 20260302 + (unsigned)_i;
    struct partition_state *state = partition_state_new(&settings, 9);
    int64_t time_ms = 10000;
    for (int i = 0; i < 50; i++)
        last[i] = -100000;
    for (int step = 0; step < 300; step++) {
        int64_t noted[50];
        memcpy(noted, last, sizeof(last));
        for (int n = rand_r(&seed) % 8; n > 0; n--) {
            int event = rand_r(&seed) % 50;
            time_ms += rand_r(&seed) % 40;
            bool duplicate = time_ms - noted[event] < settings.dedupe_window_ms;
            ck_assert_msg(partition_state_has_seen(state, id((uint64_t)event), time_ms) ==
                              duplicate,
                          "seed %d step %d", 20260302 + _i, step);
            if (!duplicate) {
                partition_state_note(state, id((uint64_t)event), time_ms);
                noted[event] = time_ms;
            }
        }
        partition_state_flush(state, append, &transaction);
        if (rand_r(&seed) % 4 == 0) {
            partition_state_rollback(state);
            clear(&transaction);
            continue;
        }
        partition_state_commit(state);
        memcpy(last, noted, sizeof(last));
        for (size_t i = 0; i < transaction.count; i++)
            log.entries[log.count++] = transaction.entries[i];
        transaction.count = 0;
        if (rand_r(&seed) % 10 == 0)
            compact(&log);
        if (rand_r(&seed) % 10 == 0) {
            size_t count = partition_state_event_count(state);
            partition_state_free(state);
            state = restore(&log, 9);
            ck_assert_uint_eq(partition_state_event_count(state), count);
        }
    }
    struct partition_state *other = restore(&log, 8);
    ck_assert_uint_eq(partition_state_event_count(other), 0);
    partition_state_free(other);
    partition_state_free(state);
    clear(&log);
}
END_TEST

START_TEST(records_that_are_not_ours_are_left_alone)
{
    struct partition_state *state = partition_state_new(&settings, 0);
    static const struct {
        struct bytes key;
        struct bytes value;
    } malformed[] = {
        {BYTES_LITERAL("x"), BYTES_LITERAL("y")},
        {{NULL, 0}, {NULL, 0}},
        {BYTES_LITERAL(""), BYTES_LITERAL("")},
        {BYTES_LITERAL("E"), BYTES_LITERAL("")},
        {BYTES_LITERAL("E\0\0\0\0\1\0\0\0\0\0\0\0"), BYTES_LITERAL("odd")},
        {BYTES_LITERAL("z\0\0\0\0\1\0\0\0\0\0\0\0"), BYTES_LITERAL("0123456789abcdef01234567")},
        /* of an older version */
        {BYTES_LITERAL("e\0\0\0\0\1\0\0\0\0\0\0\0"), BYTES_LITERAL("0123456789abcdef")},
        {BYTES_LITERAL("R\0\0\0\0\1\0\0\0\0\0\0\0"), BYTES_LITERAL("0123456789abcdef01234567")},
    };
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        ck_assert_int_eq(partition_state_restore(state, malformed[i].key, malformed[i].value,
                                                 malformed[i].value.data != NULL),
                         PARTITION_STATE_MALFORMED);
    ck_assert_int_eq(partition_state_restore(state, BYTES_LITERAL("E\1\0\0\0\1\0\0\0\0\0\0\0"),
                                             BYTES_LITERAL("0123456789abcdef01234567"), true),
                     PARTITION_STATE_FOREIGN);
    ck_assert_int_eq(partition_state_restore(state, BYTES_LITERAL("E\0\0\0\0\1\0\0\0\0\0\0\0"),
                                             bytes_of(NULL, 0), false),
                     PARTITION_STATE_TAKEN);
    ck_assert_uint_eq(partition_state_event_count(state), 0);
    partition_state_free(state);
}
END_TEST

/* Fingerprints that would share one bucket of a table of up to 4096 if the seed were 0. */
static size_t craft(struct fingerprint *crafted, size_t count)
{
    size_t found = 0;
    for (uint64_t number = 0; found < count; number++) {
        struct fingerprint candidate = id(number);
        if ((XXH3_64bits_withSeed(&candidate, sizeof(candidate), 0) & 0xfff) == 0)
            crafted[found++] = candidate;
    }
    return found;
}

START_TEST(who_chooses_the_ids_cannot_make_look_ups_long)
{
    static struct fingerprint crafted[1000];
    struct partition_state_settings large = settings;
    size_t count = craft(crafted, 1000);
    large.review_tasks = 10000;
    large.order_window_ms = 1000;
    large.order_items = 10000;
    size_t longest[2];
    for (unsigned i = 0; i < 2; i++) {
        large.hash_seed = i == 0 ? 0 : UINT64_C(0x9e3779b97f4a7c15);
        struct partition_state *state = partition_state_new(&large, 0);
        for (size_t k = 0; k < count; k++) {
            partition_state_note(state, crafted[k], 0);
            ck_assert(partition_state_open_review(state, crafted[k], id(1), 0));
            item_orders_tell(partition_state_orders(state), crafted[k],
                             (struct item_order){.value = 1}, 0);
        }
        partition_state_commit(state);
        longest[i] = partition_state_longest_chain(state);
        partition_state_free(state);
    }
    ck_assert_uint_eq(longest[0], 1000); /* so the fingerprints are crafted well */
    ck_assert_uint_le(longest[1], 25);
}
END_TEST

START_TEST(the_seed_enters_no_record)
{
    static struct changelog logs[2];
    for (unsigned i = 0; i < 2; i++) {
        struct partition_state_settings seeded = settings;
        seeded.hash_seed = (uint64_t)i * 77;
        struct partition_state *state = partition_state_new(&seeded, 9);
        partition_state_note(state, id(1), 100);
        ck_assert(partition_state_open_review(state, id(2), id(3), 100));
        partition_state_flush(state, append, &logs[i]);
        partition_state_free(state);
    }
    ck_assert_uint_eq(logs[0].count, 2);
    ck_assert_uint_eq(logs[1].count, 2);
    for (size_t k = 0; k < 2; k++) {
        const struct entry *a = &logs[0].entries[k];
        const struct entry *b = &logs[1].entries[k];
        ck_assert_mem_eq(a->key, b->key, a->key_size);
        ck_assert_uint_eq(a->value_size, b->value_size);
        ck_assert_mem_eq(a->value, b->value, a->value_size);
    }
    clear(&logs[0]);
    clear(&logs[1]);
}
END_TEST

/* Each review of a batch costs the same: what is tentative is found by its task. */
START_TEST(a_batch_of_many_reviews_is_undone_and_done)
{
    struct partition_state_settings large = settings;
    large.review_tasks = 50000;
    struct partition_state *state = partition_state_new(&large, 0);
    for (uint64_t task = 0; task < 20000; task++)
        ck_assert(partition_state_open_review(state, id(task), id(1), 0));
    partition_state_commit(state);
    for (uint64_t task = 0; task < 20000; task++) {
        partition_state_close_reviews(state, id(task));
        ck_assert(partition_state_open_review(state, id(task), id(2), 0));
    }
    ck_assert_uint_le(partition_state_longest_chain(state), 25);
    partition_state_rollback(state);
    for (uint64_t task = 0; task < 20000; task++) {
        ck_assert(partition_state_review_is_open(state, id(task), id(1), 0));
        ck_assert(!partition_state_review_is_open(state, id(task), id(2), 0));
    }
    partition_state_free(state);
}
END_TEST

/* Whoever produces an event chooses its time. */
START_TEST(times_may_be_as_far_apart_as_numbers_go)
{
    struct partition_state *state = partition_state_new(&settings, 0);
    partition_state_note(state, id(1), INT64_MIN);
    partition_state_note(state, id(2), INT64_MAX);
    ck_assert(!partition_state_has_seen(state, id(1), INT64_MAX));
    ck_assert(!partition_state_has_seen(state, id(2), INT64_MIN));
    ck_assert(partition_state_has_seen(state, id(2), INT64_MAX - 999));
    ck_assert(partition_state_open_review(state, id(3), id(1), INT64_MIN));
    ck_assert(!partition_state_review_is_open(state, id(3), id(1), INT64_MAX));
    ck_assert(partition_state_open_review(state, id(4), id(1), INT64_MAX));
    ck_assert(partition_state_review_is_open(state, id(4), id(1), INT64_MIN));
    partition_state_commit(state);
    partition_state_free(state);
}
END_TEST

START_TEST(what_was_rolled_back_does_not_move_the_window)
{
    static struct changelog log;
    struct partition_state *state = partition_state_new(&settings, 0);
    partition_state_note(state, id(1), 10000);
    partition_state_flush(state, append, &log);
    partition_state_commit(state);
    partition_state_note(state, id(2), 99999);
    partition_state_flush(state, append, &log);
    partition_state_rollback(state);
    partition_state_note(state, id(3), 10500);
    partition_state_flush(state, append, &log);
    partition_state_commit(state);
    ck_assert(partition_state_has_seen(state, id(1), 10500));
    clear(&log);
    partition_state_free(state);
}
END_TEST

/* The last number of all, in a changelog that somebody else wrote to. */
START_TEST(numbers_begin_anew_behind_the_last)
{
    static const uint8_t key[13] = {'E',  0,    0,    0,    0,    0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t value[24] = {1};
    static struct changelog log;
    struct partition_state *state = partition_state_new(&settings, 0);
    append(&log, bytes_of(key, sizeof(key)), bytes_of(value, sizeof(value)), true);
    partition_state_restore(state, bytes_of(key, sizeof(key)), bytes_of(value, sizeof(value)),
                            true);
    for (uint64_t event = 5; event < 9; event++) {
        partition_state_note(state, id(event), 10000 + 600 * (int64_t)event);
        partition_state_flush(state, append, &log);
        partition_state_commit(state);
    }
    struct partition_state *again = restore(&log, 0);
    ck_assert_uint_eq(partition_state_event_count(state), 2); /* the others have left */
    ck_assert_uint_eq(partition_state_event_count(again), 2);
    ck_assert(partition_state_has_seen(again, id(8), 14800) &&
              partition_state_has_seen(again, id(7), 14800));
    clear(&log);
    partition_state_free(again);
    partition_state_free(state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, an_event_is_seen_within_the_window);
    tcase_add_test(tcase, a_rollback_forgets_what_was_not_committed);
    tcase_add_test(tcase, a_review_is_open_until_it_is_closed_or_forgotten);
    tcase_add_test(tcase, limits_hold);
    tcase_add_loop_test(tcase, a_restored_memory_knows_what_was_committed, 0, 20);
    tcase_add_test(tcase, records_that_are_not_ours_are_left_alone);
    tcase_add_test(tcase, who_chooses_the_ids_cannot_make_look_ups_long);
    tcase_add_test(tcase, the_seed_enters_no_record);
    tcase_add_test(tcase, a_batch_of_many_reviews_is_undone_and_done);
    tcase_add_test(tcase, times_may_be_as_far_apart_as_numbers_go);
    tcase_add_test(tcase, what_was_rolled_back_does_not_move_the_window);
    tcase_add_test(tcase, numbers_begin_anew_behind_the_last);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
