/* Points in time, of which the first is found at once: a binary heap of what the caller owns. Not a
 * clock, and not what is to happen.
 *
 * Adding and removing take steps by the logarithm of how many there are. */
#ifndef DISPATCHER_CORE_DEADLINES_H
#define DISPATCHER_CORE_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of something of the caller's; zeroed, it is in no heap. */
struct deadline {
    int64_t at_ms; /* not to be changed while it is in a heap */
    size_t place;  /* the heap's: 1 is the first; 0: in none */
};

/* Zeroed, it is empty. */
struct deadlines {
    struct deadline **heap; /* heap[place - 1] */
    size_t count;
    size_t capacity;
};

void deadlines_add(struct deadlines *deadlines, struct deadline *deadline);

/* One that is in no heap is left alone. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);

/* NULL: there is none. */
struct deadline *deadlines_first(const struct deadlines *deadlines);

/* It is empty. */
void deadlines_deinit(struct deadlines *deadlines);

#endif
