/* A binary heap whose elements know where they stand, so that one can be taken out of the
 * middle. */
#include "waits.h"

#include <assert.h>

#include "mem.h"

/* Children of place p, counted from 1, are 2p and 2p + 1. */
static void waits_put(struct waits *waits, size_t place, struct waiter *wait)
{
    assert(place >= 1 && place <= waits->count);
    waits->items[place - 1] = wait;
    wait->place = place;
}

/* `place` is free; `wait` goes up from there as far as it must. */
static void waits_rise(struct waits *waits, size_t place, struct waiter *wait)
{
    for (; place > 1 && waits->items[place / 2 - 1]->at > wait->at; place /= 2)
        waits_put(waits, place, waits->items[place / 2 - 1]);
    waits_put(waits, place, wait);
}

/* Likewise down, past the nearer of two children. */
static void waits_sink(struct waits *waits, size_t place, struct waiter *wait)
{
    for (size_t child; (child = 2 * place) <= waits->count; place = child) {
        if (child < waits->count && waits->items[child]->at < waits->items[child - 1]->at)
            child++;
        if (waits->items[child - 1]->at >= wait->at)
            break;
        waits_put(waits, place, waits->items[child - 1]);
    }
    waits_put(waits, place, wait);
}

/* Never shrinks while it lives: it is as large as the most that ever waited at once. */
void waits_add(struct waits *waits, struct waiter *wait, int64_t at)
{
    assert(!wait_is_set(wait));
    if (waits->count == waits->capacity) {
        waits->capacity = waits->capacity ? 2 * waits->capacity : 4;
        waits->items = mem_resize(waits->items, waits->capacity, sizeof(struct waiter *));
    }
    wait->at = at;
    waits->count++;
    waits_rise(waits, waits->count, wait);
}

void waits_remove(struct waits *waits, struct waiter *wait)
{
    size_t place = wait->place;
    if (!wait_is_set(wait))
        return;
    assert(place <= waits->count && waits->items[place - 1] == wait);
    struct waiter *last = waits->items[--waits->count];
    wait->place = 0;
    if (last == wait)
        return;
    /* The last element comes from anywhere below: it may have to go either way. */
    waits_rise(waits, place, last);
    waits_sink(waits, last->place, last);
}

struct waiter *waits_take(struct waits *waits, int64_t position)
{
    if (!waits_reach(waits, position))
        return NULL;
    struct waiter *first = waits->items[0];
    waits_remove(waits, first);
    return first;
}

void waits_deinit(struct waits *waits)
{
    assert(waits->count == 0);
    free(waits->items);
    *waits = (struct waits){0};
}
