#include "memory.h"

#include <stdio.h>
#include <xxhash.h>

#include "mem.h"
#include "suite.h"

static const struct memory_settings settings = {.dedupe_window_ms = 1000,
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

static struct memory *restore(const struct changelog *log, uint32_t domain)
{
    struct memory *memory = memory_new(&settings, domain);
    for (size_t i = 0; i < log->count; i++)
        memory_restore(memory, bytes_of(log->entries[i].key, log->entries[i].key_size),
                       bytes_of(log->entries[i].value, log->entries[i].value_size),
                       log->entries[i].has_value);
    return memory;
}

START_TEST(an_event_is_seen_within_the_window)
{
    struct memory *memory = memory_new(&settings, 0);
    ck_assert(!memory_has_seen(memory, id(7), 10000));
    memory_note(memory, id(7), 10000);
    ck_assert(memory_has_seen(memory, id(7), 10000));
    ck_assert(memory_has_seen(memory, id(7), 10999));
    ck_assert(!memory_has_seen(memory, id(7), 11000));
    ck_assert(memory_has_seen(memory, id(7), 9001));
    ck_assert(!memory_has_seen(memory, id(7), 9000));
    ck_assert(!memory_has_seen(memory, id(8), 10000));
    memory_free(memory);
}
END_TEST

START_TEST(a_rollback_forgets_what_was_not_committed)
{
    static struct changelog log;
    struct memory *memory = memory_new(&settings, 0);
    memory_note(memory, id(1), 10000);
    memory_flush(memory, append, &log);
    memory_commit(memory);
    memory_note(memory, id(2), 10500);
    memory_note(memory, id(1), 11500); /* again, after the window */
    ck_assert(memory_open_review(memory, id(5), id(1), 10500));
    memory_flush(memory, append, &log);
    memory_rollback(memory);
    ck_assert(memory_has_seen(memory, id(1), 10000));
    ck_assert(!memory_has_seen(memory, id(1), 11500));
    ck_assert(!memory_has_seen(memory, id(2), 10500));
    ck_assert(!memory_review_is_open(memory, id(5), id(1), 10500));
    ck_assert_uint_eq(memory_event_count(memory), 1);
    ck_assert_uint_eq(memory_review_count(memory), 0);
    clear(&log);
    memory_free(memory);
}
END_TEST

START_TEST(a_review_is_open_until_it_is_closed_or_forgotten)
{
    struct memory *memory = memory_new(&settings, 0);
    ck_assert(memory_open_review(memory, id(5), id(1), 1000));
    ck_assert(memory_open_review(memory, id(5), id(2), 2000));
    ck_assert(memory_review_is_open(memory, id(5), id(1), 5999));
    ck_assert(!memory_review_is_open(memory, id(5), id(1), 6000));
    ck_assert(memory_review_is_open(memory, id(5), id(2), 6000));
    ck_assert(!memory_review_is_open(memory, id(6), id(1), 1000));
    memory_commit(memory);
    memory_close_reviews(memory, id(5));
    ck_assert(!memory_review_is_open(memory, id(5), id(2), 2000));
    memory_rollback(memory);
    ck_assert(memory_review_is_open(memory, id(5), id(2), 2000));
    memory_close_reviews(memory, id(5));
    memory_commit(memory);
    memory_rollback(memory);
    ck_assert(!memory_review_is_open(memory, id(5), id(2), 2000));
    memory_free(memory);
}
END_TEST

START_TEST(limits_hold)
{
    static struct changelog log;
    struct memory *memory = memory_new(&settings, 0);
    for (uint64_t task = 0; task < 3; task++)
        ck_assert(memory_open_review(memory, id(task), id(1), 0));
    ck_assert(!memory_open_review(memory, id(3), id(1), 0));
    for (uint64_t reason = 2; reason <= 16; reason++)
        ck_assert(memory_open_review(memory, id(0), id(reason), 0));
    ck_assert(!memory_open_review(memory, id(0), id(17), 0));
    ck_assert(
        memory_open_review(memory, id(0), id(17), 5000)); /* the others are forgotten by then */
    for (uint64_t event = 0; event < 1000; event++) {
        memory_note(memory, id(event), 0);
        memory_flush(memory, append, &log);
        memory_commit(memory);
        ck_assert_uint_le(memory_event_count(memory), 101);
    }
    clear(&log);
    memory_free(memory);
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
    struct memory *memory = memory_new(&settings, 9);
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
            ck_assert_msg(memory_has_seen(memory, id((uint64_t)event), time_ms) == duplicate,
                          "seed %d step %d", 20260302 + _i, step);
            if (!duplicate) {
                memory_note(memory, id((uint64_t)event), time_ms);
                noted[event] = time_ms;
            }
        }
        memory_flush(memory, append, &transaction);
        if (rand_r(&seed) % 4 == 0) {
            memory_rollback(memory);
            clear(&transaction);
            continue;
        }
        memory_commit(memory);
        memcpy(last, noted, sizeof(last));
        for (size_t i = 0; i < transaction.count; i++)
            log.entries[log.count++] = transaction.entries[i];
        transaction.count = 0;
        if (rand_r(&seed) % 10 == 0)
            compact(&log);
        if (rand_r(&seed) % 10 == 0) {
            size_t count = memory_event_count(memory);
            memory_free(memory);
            memory = restore(&log, 9);
            ck_assert_uint_eq(memory_event_count(memory), count);
        }
    }
    struct memory *other = restore(&log, 8);
    ck_assert_uint_eq(memory_event_count(other), 0);
    memory_free(other);
    memory_free(memory);
    clear(&log);
}
END_TEST

START_TEST(records_that_are_not_ours_are_left_alone)
{
    struct memory *memory = memory_new(&settings, 0);
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
        ck_assert_int_eq(memory_restore(memory, malformed[i].key, malformed[i].value,
                                        malformed[i].value.data != NULL),
                         MEMORY_MALFORMED);
    ck_assert_int_eq(memory_restore(memory, BYTES_LITERAL("E\1\0\0\0\1\0\0\0\0\0\0\0"),
                                    BYTES_LITERAL("0123456789abcdef01234567"), true),
                     MEMORY_FOREIGN);
    ck_assert_int_eq(memory_restore(memory, BYTES_LITERAL("E\0\0\0\0\1\0\0\0\0\0\0\0"),
                                    bytes_of(NULL, 0), false),
                     MEMORY_TAKEN);
    ck_assert_uint_eq(memory_event_count(memory), 0);
    memory_free(memory);
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
    struct memory_settings large = settings;
    size_t count = craft(crafted, 1000);
    large.review_tasks = 10000;
    size_t longest[2];
    for (unsigned i = 0; i < 2; i++) {
        large.hash_seed = i == 0 ? 0 : UINT64_C(0x9e3779b97f4a7c15);
        struct memory *memory = memory_new(&large, 0);
        for (size_t k = 0; k < count; k++) {
            memory_note(memory, crafted[k], 0);
            ck_assert(memory_open_review(memory, crafted[k], id(1), 0));
        }
        memory_commit(memory);
        longest[i] = memory_longest_chain(memory);
        memory_free(memory);
    }
    ck_assert_uint_eq(longest[0], 1000); /* so the fingerprints are crafted well */
    ck_assert_uint_le(longest[1], 25);
}
END_TEST

START_TEST(the_seed_enters_no_record)
{
    static struct changelog logs[2];
    for (unsigned i = 0; i < 2; i++) {
        struct memory_settings seeded = settings;
        seeded.hash_seed = (uint64_t)i * 77;
        struct memory *memory = memory_new(&seeded, 9);
        memory_note(memory, id(1), 100);
        ck_assert(memory_open_review(memory, id(2), id(3), 100));
        memory_flush(memory, append, &logs[i]);
        memory_free(memory);
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
    struct memory_settings large = settings;
    large.review_tasks = 50000;
    struct memory *memory = memory_new(&large, 0);
    for (uint64_t task = 0; task < 20000; task++)
        ck_assert(memory_open_review(memory, id(task), id(1), 0));
    memory_commit(memory);
    for (uint64_t task = 0; task < 20000; task++) {
        memory_close_reviews(memory, id(task));
        ck_assert(memory_open_review(memory, id(task), id(2), 0));
    }
    ck_assert_uint_le(memory_longest_chain(memory), 25);
    memory_rollback(memory);
    for (uint64_t task = 0; task < 20000; task++) {
        ck_assert(memory_review_is_open(memory, id(task), id(1), 0));
        ck_assert(!memory_review_is_open(memory, id(task), id(2), 0));
    }
    memory_free(memory);
}
END_TEST

/* Whoever produces an event chooses its time. */
START_TEST(times_may_be_as_far_apart_as_numbers_go)
{
    struct memory *memory = memory_new(&settings, 0);
    memory_note(memory, id(1), INT64_MIN);
    memory_note(memory, id(2), INT64_MAX);
    ck_assert(!memory_has_seen(memory, id(1), INT64_MAX));
    ck_assert(!memory_has_seen(memory, id(2), INT64_MIN));
    ck_assert(memory_has_seen(memory, id(2), INT64_MAX - 999));
    ck_assert(memory_open_review(memory, id(3), id(1), INT64_MIN));
    ck_assert(!memory_review_is_open(memory, id(3), id(1), INT64_MAX));
    ck_assert(memory_open_review(memory, id(4), id(1), INT64_MAX));
    ck_assert(memory_review_is_open(memory, id(4), id(1), INT64_MIN));
    memory_commit(memory);
    memory_free(memory);
}
END_TEST

START_TEST(what_was_rolled_back_does_not_move_the_window)
{
    static struct changelog log;
    struct memory *memory = memory_new(&settings, 0);
    memory_note(memory, id(1), 10000);
    memory_flush(memory, append, &log);
    memory_commit(memory);
    memory_note(memory, id(2), 99999);
    memory_flush(memory, append, &log);
    memory_rollback(memory);
    memory_note(memory, id(3), 10500);
    memory_flush(memory, append, &log);
    memory_commit(memory);
    ck_assert(memory_has_seen(memory, id(1), 10500));
    clear(&log);
    memory_free(memory);
}
END_TEST

/* The last number of all, in a changelog that somebody else wrote to. */
START_TEST(numbers_begin_anew_behind_the_last)
{
    static const uint8_t key[13] = {'E',  0,    0,    0,    0,    0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t value[24] = {1};
    static struct changelog log;
    struct memory *memory = memory_new(&settings, 0);
    append(&log, bytes_of(key, sizeof(key)), bytes_of(value, sizeof(value)), true);
    memory_restore(memory, bytes_of(key, sizeof(key)), bytes_of(value, sizeof(value)), true);
    for (uint64_t event = 5; event < 9; event++) {
        memory_note(memory, id(event), 10000 + 600 * (int64_t)event);
        memory_flush(memory, append, &log);
        memory_commit(memory);
    }
    struct memory *again = restore(&log, 0);
    ck_assert_uint_eq(memory_event_count(memory), 2); /* the others have left */
    ck_assert_uint_eq(memory_event_count(again), 2);
    ck_assert(memory_has_seen(again, id(8), 14800) && memory_has_seen(again, id(7), 14800));
    clear(&log);
    memory_free(again);
    memory_free(memory);
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
