/* Orders of items, in two tables.
 *
 *     items     item -> its order     as of the last commit; the one told of longest ago first
 *     changes   item -> its order     of those that were told of since
 *
 * Who asks looks into the changes first. A commit moves them behind the items, a rollback drops
 * them; so neither costs more than what was told.
 *
 * Invariant: an item is in each table once at most, and the order of `items` is that in which
 * their last records stand in the changelog: what is restored is forgotten in the same order. */
#include "item_orders.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "instant.h"
#include "mem.h"
#include "partition_state_private.h"

/* Forgotten for each that was told of. One would do to hold a limit; the second makes up for a
 * limit that was lowered. */
enum { FORGOTTEN_FOR_EACH = 2 };

struct told_item {
    UT_hash_handle hh; /* of one of the tables */
    struct fingerprint id;
    struct told_order told;
};

struct item_orders {
    int64_t window_ms;
    size_t most;
    uint64_t hash_seed;
    struct told_item *items;
    struct told_item *changes;
    size_t leaving; /* with the next commit, from the front of what does not move to the end */
    size_t crowded_out;
};

/* --- Orders --- */

static bool read_order_number(struct bytes text, int64_t *number)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    struct bytes digits = bytes_skip(text, negative ? 1 : 0);
    int64_t sum = 0;
    for (size_t i = 0; i < digits.size; i++) {
        int digit = digits.data[i] - '0';
        if (!byte_is_digit(digits.data[i]) || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, digit, &sum)) /* downwards: there is one more below 0 */
            return false;
    }
    if (digits.size == 0 || (!negative && sum == INT64_MIN))
        return false;
    *number = negative ? sum : -sum;
    return true;
}

bool item_order_read(struct bytes text, struct item_order *order)
{
    struct item_order read = {0};
    if (!read_order_number(text, &read.value)) {
        read.is_time = true;
        if (!instant_parse(text, &read.value))
            return false;
    }
    *order = read;
    return true;
}

void item_order_write(struct item_order order, char text[ITEM_ORDER_TEXT_SIZE])
{
    static_assert((int)ITEM_ORDER_TEXT_SIZE >= (int)INSTANT_TEXT_SIZE, "a time fits");
    if (!order.is_time || !instant_format(order.value, text))
        snprintf(text, ITEM_ORDER_TEXT_SIZE, "%" PRId64, order.value);
}

/* --- Items --- */

struct item_orders *item_orders_new(int64_t window_ms, size_t most, uint64_t hash_seed)
{
    assert(window_ms >= 0);
    struct item_orders *orders = mem_new(struct item_orders);
    orders->window_ms = window_ms;
    orders->most = most;
    orders->hash_seed = hash_seed;
    return orders;
}

static void drop_items(struct told_item **table)
{
    struct told_item *item;
    struct told_item *next;
    HASH_ITER(hh, *table, item, next) {
        HASH_DEL(*table, item);
        free(item);
    }
    assert(!*table);
}

void item_orders_free(struct item_orders *orders)
{
    if (!orders)
        return;
    drop_items(&orders->items);
    drop_items(&orders->changes);
    free(orders);
}

static struct told_item *find_told(const struct item_orders *orders, struct told_item *table,
                                   struct fingerprint id)
{
    struct told_item *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, table, &id, sizeof(id), fingerprint_hash(id, orders->hash_seed),
                          found);
    return found;
}

/* As the last of its table, which does not have it. */
static void append_told(const struct item_orders *orders, struct told_item **table,
                        struct told_item *item)
{
    assert(!find_told(orders, *table, item->id));
    HASH_ADD_BYHASHVALUE(hh, *table, id, sizeof(item->id),
                         fingerprint_hash(item->id, orders->hash_seed), item);
}

static struct told_item *new_told(struct fingerprint id, struct told_order told)
{
    struct told_item *item = mem_new(struct told_item);
    item->id = id;
    item->told = told;
    return item;
}

static void forget_told(struct told_item **table, struct told_item *item)
{
    if (!item)
        return;
    assert(*table);
    HASH_DEL(*table, item);
    free(item);
}

static bool is_past(const struct item_orders *orders, const struct told_item *item, int64_t time_ms)
{
    return passed_ms(item->told.time_ms, time_ms) >= (uint64_t)orders->window_ms;
}

/* One whose window has passed is left where it is: it goes when it is the oldest. */
const struct item_order *item_orders_find(const struct item_orders *orders, struct fingerprint id,
                                          int64_t time_ms)
{
    const struct told_item *item = find_told(orders, orders->changes, id);
    if (!item)
        item = find_told(orders, orders->items, id);
    return item && !is_past(orders, item, time_ms) ? &item->told.order : NULL;
}

/* What is late changes nothing, not even the time: an order that was wrong, and far ahead, is so
 * for one window only. */
void item_orders_tell(struct item_orders *orders, struct fingerprint id, struct item_order order,
                      int64_t time_ms)
{
    const struct item_order *before = item_orders_find(orders, id, time_ms);
    if (orders->window_ms == 0 || (before && item_order_is_before(order, *before)))
        return;
    const struct told_order told = {.order = order, .time_ms = time_ms};
    struct told_item *change = find_told(orders, orders->changes, id);
    if (change)
        change->told = told;
    else
        append_told(orders, &orders->changes, new_told(id, told));
}

/* --- Commits --- */

/* By the time of the change that says the least: one record whose time is far ahead does not make
 * all others old. */
static int64_t oldest_change(const struct item_orders *orders)
{
    int64_t time_ms = INT64_MAX;
    for (const struct told_item *change = orders->changes; change; change = change->hh.next)
        if (change->told.time_ms < time_ms)
            time_ms = change->told.time_ms;
    return time_ms;
}

/* From the front, and over those that move to the end: they are as many as the changes at most. */
static void flush_leaving(struct item_orders *orders, size_t left, item_orders_emit_fn *emit,
                          void *context)
{
    int64_t now_ms = oldest_change(orders);
    size_t may_leave = (size_t)FORGOTTEN_FOR_EACH * HASH_COUNT(orders->changes);
    for (const struct told_item *item = orders->items; item && orders->leaving < may_leave;
         item = item->hh.next) {
        bool past = is_past(orders, item, now_ms);
        if (find_told(orders, orders->changes, item->id))
            continue;
        if (!past && left <= orders->most)
            break;
        emit(context, item->id, NULL);
        orders->leaving++;
        orders->crowded_out += !past;
        assert(left > 0);
        left--;
    }
}

/* Decides what the commit will do, and does nothing. What was told since the last commit stays, even
 * if that is more than the limit: the next one makes up for it. */
void item_orders_flush(struct item_orders *orders, item_orders_emit_fn *emit, void *context)
{
    size_t left = HASH_COUNT(orders->items);
    for (const struct told_item *change = orders->changes; change; change = change->hh.next) {
        emit(context, change->id, &change->told);
        left += !find_told(orders, orders->items, change->id);
    }
    orders->leaving = orders->crowded_out = 0;
    if (orders->changes)
        flush_leaving(orders, left, emit, context);
}

void item_orders_commit(struct item_orders *orders)
{
    struct told_item *change;
    struct told_item *next;
    HASH_ITER(hh, orders->changes, change, next) {
        HASH_DEL(orders->changes, change);
        forget_told(&orders->items, find_told(orders, orders->items, change->id));
        append_told(orders, &orders->items, change);
    }
    for (; orders->leaving > 0; orders->leaving--)
        forget_told(&orders->items, orders->items);
    assert(!orders->changes);
}

void item_orders_rollback(struct item_orders *orders)
{
    drop_items(&orders->changes);
    orders->leaving = 0;
}

/* The limit is not applied: what was kept is forgotten with a record that says so, as items are
 * told of. */
void item_orders_restore(struct item_orders *orders, struct fingerprint id,
                         const struct told_order *told)
{
    assert(!item_orders_are_changed(orders));
    forget_told(&orders->items, find_told(orders, orders->items, id));
    if (told && orders->window_ms > 0)
        append_told(orders, &orders->items, new_told(id, *told));
}

bool item_orders_are_changed(const struct item_orders *orders)
{
    return orders->changes;
}

size_t item_orders_count(const struct item_orders *orders)
{
    return HASH_COUNT(orders->items);
}

size_t item_orders_crowded_out(const struct item_orders *orders)
{
    return orders->crowded_out;
}

size_t item_orders_longest_chain(const struct item_orders *orders)
{
    size_t items = table_longest_chain(orders->items ? orders->items->hh.tbl : NULL);
    size_t changes = table_longest_chain(orders->changes ? orders->changes->hh.tbl : NULL);
    return items > changes ? items : changes;
}
