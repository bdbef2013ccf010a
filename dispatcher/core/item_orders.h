/* By what the notifications of an item are ordered, whatever the order in which their events come;
 * and the greatest order that each item was told with. Not who is told (draft_order.c), and not the
 * form in which it is kept (partition_state.h).
 *
 * Changes are tentative until they are committed. Each costs the same however many items there
 * are. */
#ifndef DISPATCHER_CORE_ITEM_ORDERS_H
#define DISPATCHER_CORE_ITEM_ORDERS_H

#include "fingerprint.h"
#include "status.h"

struct item_order {
    bool is_time; /* then in ms since 1970; else a number that the event has */
    int64_t value;
};

enum { ITEM_ORDER_TEXT_SIZE = 25 /* -9223372036854775808, or a time; and a NUL */ };

/* Reads a whole number that fits, or a time of RFC 3339, of which what is finer than a millisecond
 * is cut off. */
bool item_order_read(struct bytes text, struct item_order *order) MUST_CHECK;
void item_order_write(struct item_order order, char text[ITEM_ORDER_TEXT_SIZE]);

/* A number and a time cannot be compared: neither is before the other. */
static inline bool item_order_is_before(struct item_order a, struct item_order b)
{
    return a.is_time == b.is_time && a.value < b.value;
}

/* What an item was told with last, and when: by the time of records, in ms since 1970. */
struct told_order {
    struct item_order order;
    int64_t time_ms;
};

struct item_orders;

/* `window_ms`: for so long after it was told last an item's order is known; 0: nothing is remembered.
 * `most`: with more items than that those are forgotten that were told of longest ago. */
struct item_orders *item_orders_new(int64_t window_ms, size_t most, uint64_t hash_seed);
void item_orders_free(struct item_orders *orders);

/* NULL: not known. Borrowed until the next change. */
const struct item_order *item_orders_find(const struct item_orders *orders, struct fingerprint item,
                                          int64_t time_ms);

/* The item is told with this order. Of several that can be compared the greatest counts. */
void item_orders_tell(struct item_orders *orders, struct fingerprint item, struct item_order order,
                      int64_t time_ms);

/* Calls `emit` for each item that was told of since the last commit, and, with NULL, for each that is
 * forgotten with this one: at most two for each that was told of, so that nothing has to wait for
 * many at once. */
typedef void item_orders_emit_fn(void *context, struct fingerprint item,
                                 const struct told_order *told);
void item_orders_flush(struct item_orders *orders, item_orders_emit_fn *emit, void *context);

/* How many of those that the last flush has told to be forgotten go for want of room. */
size_t item_orders_crowded_out(const struct item_orders *orders);

/* The flushed records are written; or they are not, and all is as at the last commit. */
void item_orders_commit(struct item_orders *orders);
void item_orders_rollback(struct item_orders *orders);

/* An item as it was emitted, in place of what is known of it; NULL: it is forgotten. Not between a
 * change and its commit. */
void item_orders_restore(struct item_orders *orders, struct fingerprint item,
                         const struct told_order *told);

bool item_orders_are_changed(const struct item_orders *orders);
size_t item_orders_count(const struct item_orders *orders);

/* How many entries the longest look-up passes: what the seed keeps short. */
size_t item_orders_longest_chain(const struct item_orders *orders);

#endif
