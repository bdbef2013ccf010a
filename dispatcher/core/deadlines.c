/* Invariant: none is before its parent, heap[place / 2 - 1]; each knows its place. */
#include "deadlines.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"

enum { CAPACITY_FIRST = 16 };

static void put(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    deadlines->heap[place - 1] = deadline;
    deadline->place = place;
}

/* To the place where it belongs, from one that is free and not below it. */
static void rise(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    for (; place > 1; place /= 2) {
        struct deadline *parent = deadlines->heap[place / 2 - 1];
        if (parent->at_ms <= deadline->at_ms)
            break;
        put(deadlines, place, parent);
    }
    put(deadlines, place, deadline);
}

static void sink(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    for (size_t child = 2 * place; child <= deadlines->count; child = 2 * place) {
        if (child < deadlines->count &&
            deadlines->heap[child]->at_ms < deadlines->heap[child - 1]->at_ms)
            child++;
        if (deadline->at_ms <= deadlines->heap[child - 1]->at_ms)
            break;
        put(deadlines, place, deadlines->heap[child - 1]);
        place = child;
    }
    put(deadlines, place, deadline);
}

void deadlines_add(struct deadlines *deadlines, struct deadline *deadline)
{
    assert(deadline->place == 0);
    if (deadlines->count == deadlines->capacity) {
        deadlines->capacity = deadlines->capacity ? 2 * deadlines->capacity : CAPACITY_FIRST;
        deadlines->heap =
            mem_resize(deadlines->heap, deadlines->capacity, sizeof(struct deadline *));
    }
    rise(deadlines, ++deadlines->count, deadline);
}

/* The last takes its place, and may belong above it or below. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;
    assert(place <= deadlines->count && deadlines->heap[place - 1] == deadline);
    struct deadline *last = deadlines->heap[--deadlines->count];
    deadline->place = 0;
    if (last == deadline)
        return;
    if (last->at_ms < deadline->at_ms)
        rise(deadlines, place, last);
    else
        sink(deadlines, place, last);
}

struct deadline *deadlines_first(const struct deadlines *deadlines)
{
    assert(deadlines->count == 0 || deadlines->heap[0]->place == 1);
    return deadlines->count ? deadlines->heap[0] : NULL;
}

void deadlines_deinit(struct deadlines *deadlines)
{
    assert(deadlines->count == 0);
    free(deadlines->heap);
    *deadlines = (struct deadlines){0};
}
