/* Who waits for a lane's position to reach an offset: the nearest first. A heap of elements that
 * stand in their owners, so that a record that reaches nobody costs one comparison, and one that
 * reaches somebody costs nothing for all the others. */
#ifndef GATEWAY_DOMAIN_WAITS_H
#define GATEWAY_DOMAIN_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: waits for nothing. Read by anyone, written by waits.c. */
struct waiter {
    int64_t at;
    size_t place; /* in the heap, from 1; 0: in none */
};

/* Zeroed: nobody waits. */
struct waits {
    struct waiter **items; /* borrowed; no child is nearer than its parent */
    size_t count, capacity;
};

static inline bool wait_is_set(const struct waiter *wait)
{
    return wait->place != 0;
}

/* `wait` must be in no heap, and stay where it is in memory until it is removed. */
void waits_add(struct waits *waits, struct waiter *wait, int64_t at);
/* Nothing happens if it is in none. */
void waits_remove(struct waits *waits, struct waiter *wait);
/* One that waits for `position` or less, taken out; NULL: there is none. */
struct waiter *waits_take(struct waits *waits, int64_t position);
/* Nobody may wait any more. */
void waits_deinit(struct waits *waits);

static inline bool waits_reach(const struct waits *waits, int64_t position)
{
    return waits->count > 0 && waits->items[0]->at <= position;
}

#endif
