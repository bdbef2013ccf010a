#include "item_orders.h"

#include <stdio.h>

#include "partition_state.h"
#include "suite.h"

static const struct item_order none = {0};

/* An item like any other, from a number. */
static struct fingerprint id(uint64_t number)
{
    return (struct fingerprint){.high = number * 31, .low = number};
}

static struct item_order number(int64_t value)
{
    return (struct item_order){.value = value};
}

static struct item_order instant(int64_t value)
{
    return (struct item_order){.is_time = true, .value = value};
}

/* --- Orders --- */

START_TEST(an_order_is_a_whole_number_or_a_time)
{
    static const struct {
        const char *text;
        bool is_time;
        int64_t value;
        const char *written;
    } cases[] = {
        {"0", false, 0, "0"},
        {"-0", false, 0, "0"},
        {"0042", false, 42, "42"},
        {"-7", false, -7, "-7"},
        {"9223372036854775807", false, INT64_MAX, "9223372036854775807"},
        {"-9223372036854775808", false, INT64_MIN, "-9223372036854775808"},
        {"2026-03-02T08:01:56.419Z", true, 1772438516419, "2026-03-02T08:01:56.419Z"},
        {"2026-03-02t09:01:56.419999+01:00", true, 1772438516419, "2026-03-02T08:01:56.419Z"},
        {"1969-12-31T23:59:59Z", true, -1000, "-1000"},
    };
    static const char *const others[] = {"",
                                         "-",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "1.0",
                                         "1e3",
                                         "0x10",
                                         "9223372036854775808",
                                         "-9223372036854775809",
                                         "18446744073709551616",
                                         "99999999999999999999999999",
                                         "2026-03-02",
                                         "2026\r03\r02T08:01:56Z",
                                         "2026-03-02T08\03201\03256Z",
                                         "2026-03-02T08:01:56",
                                         "soon",
                                         "1\xd9\xa0"};
    char text[ITEM_ORDER_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct item_order order = none;
        ck_assert_msg(item_order_read(bytes_of_string(cases[i].text), &order), "%s", cases[i].text);
        ck_assert_int_eq(order.is_time, cases[i].is_time);
        ck_assert_int_eq(order.value, cases[i].value);
        item_order_write(order, text);
        ck_assert_str_eq(text, cases[i].written);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct item_order order = number(5);
        ck_assert_msg(!item_order_read(bytes_of_string(others[i]), &order), "%s", others[i]);
        ck_assert_int_eq(order.value, 5);
    }
    ck_assert(item_order_is_before(number(1), number(2)));
    ck_assert(!item_order_is_before(number(2), number(2)));
    ck_assert(item_order_is_before(instant(INT64_MIN), instant(INT64_MAX)));
    ck_assert(!item_order_is_before(number(1), instant(2)));
    ck_assert(!item_order_is_before(instant(1), number(2)));
}
END_TEST

/* --- Items --- */

/* What the last flush has told: of each item its order, or that it is forgotten. */
static struct {
    size_t told, forgotten;
    uint64_t last_forgotten;
} flushed;

static void note_flushed(void *context, struct fingerprint item, const struct told_order *told)
{
    (void)context;
    if (told) {
        flushed.told++;
        return;
    }
    flushed.forgotten++;
    flushed.last_forgotten = item.low;
}

static void flush(struct item_orders *orders)
{
    flushed.told = flushed.forgotten = 0;
    item_orders_flush(orders, note_flushed, NULL);
}

static void commit(struct item_orders *orders)
{
    flush(orders);
    item_orders_commit(orders);
}

/* The order that is known of an item; INT64_MIN: none is. */
static int64_t known(const struct item_orders *orders, uint64_t item, int64_t time_ms)
{
    const struct item_order *order = item_orders_find(orders, id(item), time_ms);
    return order ? order->value : INT64_MIN;
}

START_TEST(of_an_item_the_greatest_order_is_known)
{
    struct item_orders *orders = item_orders_new(1000, 100, 1);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(known(orders, 1, 5000), round == 0 ? INT64_MIN : 7);
        item_orders_tell(orders, id(1), number(7), 5000);
        item_orders_tell(orders, id(1), number(3), 5000); /* of another rule of the event */
        ck_assert_int_eq(known(orders, 1, 5000), 7);
        ck_assert_int_eq(known(orders, 2, 5000), INT64_MIN);
        commit(orders);
    }
    /* What cannot be compared takes its place. */
    item_orders_tell(orders, id(1), instant(3), 5000);
    commit(orders);
    ck_assert(item_orders_find(orders, id(1), 5000)->is_time);
    ck_assert_int_eq(known(orders, 1, 5000), 3);
    ck_assert_uint_eq(item_orders_count(orders), 1);
    item_orders_free(orders);
}
END_TEST

START_TEST(an_order_is_known_for_a_window)
{
    struct item_orders *orders = item_orders_new(1000, 100, 1);
    item_orders_tell(orders, id(1), number(7), 5000);
    commit(orders);
    ck_assert_int_eq(known(orders, 1, 4000), 7);
    ck_assert_int_eq(known(orders, 1, 5999), 7);
    ck_assert_int_eq(known(orders, 1, 6000), INT64_MIN);
    /* What is late does not make it longer, what is equal does. */
    item_orders_tell(orders, id(1), number(6), 5900);
    ck_assert(!item_orders_are_changed(orders));
    ck_assert_int_eq(known(orders, 1, 6000), INT64_MIN);
    item_orders_tell(orders, id(1), number(7), 5900);
    ck_assert_int_eq(known(orders, 1, 6000), 7);
    /* When it has passed, the item begins anew. */
    item_orders_tell(orders, id(1), number(1), 9000);
    commit(orders);
    ck_assert_int_eq(known(orders, 1, 9000), 1);
    /* Times are the producers'. */
    item_orders_tell(orders, id(2), number(1), INT64_MIN);
    ck_assert_int_eq(known(orders, 2, INT64_MAX), INT64_MIN);
    item_orders_tell(orders, id(2), number(2), INT64_MAX);
    ck_assert_int_eq(known(orders, 2, INT64_MIN), 2);
    item_orders_free(orders);

    orders = item_orders_new(0, 100, 1);
    item_orders_tell(orders, id(1), number(7), 5000);
    ck_assert(!item_orders_are_changed(orders));
    ck_assert_int_eq(known(orders, 1, 5000), INT64_MIN);
    item_orders_restore(orders, id(1), &(struct told_order){.order = {.value = 7}});
    ck_assert_uint_eq(item_orders_count(orders), 0);
    item_orders_free(orders);
}
END_TEST

START_TEST(a_rollback_leaves_the_last_commit)
{
    struct item_orders *orders = item_orders_new(1000, 2, 1);
    item_orders_tell(orders, id(1), number(10), 5000);
    item_orders_tell(orders, id(2), number(20), 5000);
    commit(orders);
    for (int round = 0; round < 2; round++) {
        item_orders_tell(orders, id(2), number(21), 5000);
        item_orders_tell(orders, id(3), number(30), 5000);
        flush(orders);
        ck_assert_uint_eq(flushed.forgotten, 1);
        ck_assert_uint_eq(flushed.last_forgotten, 1);
        item_orders_rollback(orders);
        ck_assert(!item_orders_are_changed(orders));
        ck_assert_int_eq(known(orders, 1, 5000), 10);
        ck_assert_int_eq(known(orders, 2, 5000), 20);
        ck_assert_int_eq(known(orders, 3, 5000), INT64_MIN);
    }
    /* What the flush had told to go has not gone, and does not later. */
    item_orders_commit(orders);
    ck_assert_uint_eq(item_orders_count(orders), 2);
    item_orders_free(orders);
}
END_TEST

START_TEST(beyond_the_limit_those_told_of_longest_ago_are_forgotten)
{
    struct item_orders *orders = item_orders_new(1000, 3, 1);
    for (uint64_t item = 0; item < 3; item++) {
        item_orders_tell(orders, id(item), number(1), 5000);
        commit(orders);
    }
    item_orders_tell(orders, id(0), number(2), 5000); /* so 1 is the oldest */
    item_orders_tell(orders, id(3), number(1), 5000);
    commit(orders);
    ck_assert_uint_eq(flushed.told, 2);
    ck_assert_uint_eq(flushed.forgotten, 1);
    ck_assert_uint_eq(flushed.last_forgotten, 1);
    ck_assert_uint_eq(item_orders_crowded_out(orders), 1);
    ck_assert_int_eq(known(orders, 1, 5000), INT64_MIN);
    ck_assert_int_eq(known(orders, 0, 5000), 2);
    /* Of more than the limit in one commit all stay, until the next. */
    for (uint64_t item = 10; item < 20; item++)
        item_orders_tell(orders, id(item), number(1), 5000);
    commit(orders);
    ck_assert_uint_eq(item_orders_count(orders), 10);
    ck_assert_int_eq(known(orders, 10, 5000), 1);
    for (uint64_t item = 20; item < 30; item++) {
        item_orders_tell(orders, id(item), number(1), 5000);
        commit(orders);
        ck_assert_uint_le(flushed.forgotten, 2);
    }
    ck_assert_uint_eq(item_orders_count(orders), 3);
    item_orders_free(orders);
}
END_TEST

START_TEST(what_is_past_goes_as_others_are_told_of)
{
    struct item_orders *orders = item_orders_new(1000, 100, 1);
    for (uint64_t item = 0; item < 10; item++)
        item_orders_tell(orders, id(item), number(1), 5000);
    commit(orders);
    item_orders_tell(orders, id(10), number(1), 5999);
    commit(orders);
    ck_assert_uint_eq(flushed.forgotten, 0);
    item_orders_tell(orders, id(10), number(1), 6000);
    commit(orders);
    ck_assert_uint_eq(flushed.forgotten, 2);
    ck_assert_uint_eq(item_orders_crowded_out(orders), 0);
    /* One record whose time is far ahead, among others, makes none old. */
    item_orders_tell(orders, id(11), number(1), INT64_MAX);
    item_orders_tell(orders, id(12), number(1), 5500);
    commit(orders);
    ck_assert_uint_eq(flushed.forgotten, 0);
    ck_assert_uint_eq(item_orders_count(orders), 11);
    item_orders_free(orders);
}
END_TEST

/* --- In the changelog --- */

enum { ITEMS = 12, LOG = 4000, KEY_SIZE = 21, VALUE_SIZE = 17 };

static struct logged_record {
    uint8_t key[KEY_SIZE];
    uint8_t value[VALUE_SIZE];
    bool has_value;
} records[LOG];
static size_t record_count;

static void append_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    (void)context;
    ck_assert_uint_lt(record_count, LOG);
    ck_assert_uint_eq(key.size, KEY_SIZE);
    ck_assert_uint_eq(value.size, has_value ? VALUE_SIZE : 0);
    struct logged_record *record = &records[record_count++];
    memcpy(record->key, key.data, KEY_SIZE);
    if (has_value)
        memcpy(record->value, value.data, VALUE_SIZE);
    record->has_value = has_value;
}

/* Leaves the last of each key, and of what is forgotten nothing. */
static void compact(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < record_count; i++) {
        bool later = !records[i].has_value;
        for (size_t k = i + 1; k < record_count && !later; k++)
            later = memcmp(records[i].key, records[k].key, KEY_SIZE) == 0;
        if (!later)
            records[kept++] = records[i];
    }
    record_count = kept;
}

static const struct partition_state_settings settings = {
    .reviews_per_task = 1, .order_window_ms = 500, .order_items = 8, .hash_seed = 5};

static struct partition_state *restored(void)
{
    struct partition_state *state = partition_state_new(&settings, 9);
    for (size_t i = 0; i < record_count; i++)
        ck_assert_int_eq(partition_state_restore(
                             state, bytes_of(records[i].key, KEY_SIZE),
                             bytes_of(records[i].value, records[i].has_value ? VALUE_SIZE : 0),
                             records[i].has_value),
                         PARTITION_STATE_TAKEN);
    return state;
}

/* As a list that is searched: the last is the one told of last. */
struct model {
    struct {
        int item;
        struct told_order told;
    } items[ITEMS];
    size_t count;
};

static struct told_order *find_modelled(struct model *model, int item)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->items[i].item == item)
            return &model->items[i].told;
    return NULL;
}

static void remove_modelled(struct model *model, size_t at)
{
    memmove(&model->items[at], &model->items[at + 1],
            (--model->count - at) * sizeof(model->items[0]));
}

/* The batch of one item at a time, as it is committed. */
static void commit_modelled(struct model *model, int item, struct told_order told)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->items[i].item == item)
            remove_modelled(model, i);
    model->items[model->count].item = item;
    model->items[model->count++].told = told;
    for (int i = 0;
         i < 2 && (model->count > settings.order_items ||
                   told.time_ms - model->items[0].told.time_ms >= settings.order_window_ms);
         i++)
        remove_modelled(model, 0);
}

/* Random work with aborts and crashes: a memory that was restored from the changelog, compacted or not,
 * knows what the one knew that wrote it, and forgets the same next. */
START_TEST(a_restored_memory_knows_the_orders)
{
    unsigned seed = 20261130 + (unsigned)_i;
    struct partition_state *state = partition_state_new(&settings, 9);
    struct model model = {0};
    int64_t time_ms = 10000;
    record_count = 0;
    for (int step = 0; step < 600; step++) {
        struct item_orders *orders = partition_state_orders(state);
        int item = rand_r(&seed) % ITEMS;
        time_ms += rand_r(&seed) % 60;
        const struct told_order told = {
            .order = {.is_time = rand_r(&seed) % 8 == 0, .value = rand_r(&seed) % 20},
            .time_ms = time_ms};
        const struct told_order *before = find_modelled(&model, item);
        bool is_known = before && time_ms - before->time_ms < settings.order_window_ms;
        const struct item_order *found = item_orders_find(orders, id((uint64_t)item), time_ms);
        ck_assert_msg(is_known == (found != NULL), "seed %u, step %d", seed, step);
        if (found)
            ck_assert_int_eq(found->value, before->order.value);
        bool late = is_known && item_order_is_before(told.order, before->order);
        size_t written = record_count;
        item_orders_tell(orders, id((uint64_t)item), told.order, time_ms);
        partition_state_flush(state, append_record, NULL);
        if (rand_r(&seed) % 4 == 0) {
            partition_state_rollback(state);
            record_count = written;
            continue;
        }
        partition_state_commit(state);
        if (!late)
            commit_modelled(&model, item, told);
        if (rand_r(&seed) % 8 == 0)
            compact();
        if (rand_r(&seed) % 8 == 0) {
            partition_state_free(state);
            state = restored();
        }
        ck_assert_uint_eq(item_orders_count(partition_state_orders(state)), model.count);
    }
    partition_state_free(state);
}
END_TEST

START_TEST(records_that_no_dispatcher_wrote_change_no_order)
{
#define ITEM "0123456789abcdef"
    static const struct {
        struct bytes key;
        struct bytes value;
        enum partition_state_record taken;
    } cases[] = {
        {BYTES_LITERAL("O\t\0\0\0" ITEM), BYTES_LITERAL("\2\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
         PARTITION_STATE_MALFORMED},
        {BYTES_LITERAL("O\t\0\0\0" ITEM), BYTES_LITERAL("\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0"),
         PARTITION_STATE_MALFORMED},
        {BYTES_LITERAL("O\t\0\0\0" ITEM), BYTES_LITERAL("\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0"),
         PARTITION_STATE_MALFORMED},
        {BYTES_LITERAL("O\t\0\0\0" ITEM), BYTES_LITERAL(""), PARTITION_STATE_MALFORMED},
        {BYTES_LITERAL("O\t\0\0\0" ITEM "0"), BYTES_LITERAL("\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
         PARTITION_STATE_MALFORMED},
        {BYTES_LITERAL("O\t\0\0\0"), BYTES_LITERAL("\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
         PARTITION_STATE_MALFORMED},
        {BYTES_LITERAL("O\1\0\0\0" ITEM), BYTES_LITERAL("\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
         PARTITION_STATE_FOREIGN},
        {BYTES_LITERAL("O\t\0\0\0" ITEM), BYTES_LITERAL("\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
         PARTITION_STATE_TAKEN},
    };
    struct partition_state *state = partition_state_new(&settings, 9);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(partition_state_restore(state, cases[i].key, cases[i].value, true),
                         cases[i].taken);
        ck_assert_uint_eq(item_orders_count(partition_state_orders(state)),
                          cases[i].taken == PARTITION_STATE_TAKEN);
    }
    ck_assert_int_eq(partition_state_restore(state, cases[0].key, bytes_of(NULL, 0), false),
                     PARTITION_STATE_TAKEN);
    ck_assert_uint_eq(item_orders_count(partition_state_orders(state)), 0);
    partition_state_free(state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("item_orders");
    TCase *tcase = tcase_create("item_orders");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, an_order_is_a_whole_number_or_a_time);
    tcase_add_test(tcase, of_an_item_the_greatest_order_is_known);
    tcase_add_test(tcase, an_order_is_known_for_a_window);
    tcase_add_test(tcase, a_rollback_leaves_the_last_commit);
    tcase_add_test(tcase, beyond_the_limit_those_told_of_longest_ago_are_forgotten);
    tcase_add_test(tcase, what_is_past_goes_as_others_are_told_of);
    tcase_add_loop_test(tcase, a_restored_memory_knows_the_orders, 0, 20);
    tcase_add_test(tcase, records_that_no_dispatcher_wrote_change_no_order);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
