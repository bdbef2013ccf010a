/* Shared memory, mapped before the fork, a place for each worker. No lock, since a worker may die
 * at any instruction, and a lock that it held would be held for ever: each word is whole by itself,
 * and numbers of different moments are good enough for metrics.
 *
 * The invariant: a place has one writer, the worker that lives in it; the supervisor writes it only
 * after that one has been reaped. */
#include "scoreboard.h"

#include <assert.h>
#include <sys/mman.h>

#include "gateway_settings.h"
#include "mem.h"

struct scoreboard_entry {
    int64_t told_ms; /* 0: not up */
    uint64_t ready;
    uint64_t values[SCOREBOARD_VALUES];
};

struct scoreboard {
    unsigned count;
    struct scoreboard_entry places[];
};

static size_t size_of(unsigned count)
{
    return sizeof(struct scoreboard) + count * sizeof(struct scoreboard_entry);
}

static struct scoreboard_entry *own_entry(const struct scoreboard_slot *slot)
{
    return &slot->scoreboard->places[slot->index];
}

struct scoreboard *scoreboard_new(unsigned count)
{
    assert(count > 0 && count <= GATEWAY_WORKERS_LIMIT);
    struct scoreboard *scoreboard =
        mmap(NULL, size_of(count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (scoreboard == MAP_FAILED)
        return NULL;
    scoreboard->count = count;
    return scoreboard;
}

void scoreboard_free(struct scoreboard *scoreboard)
{
    if (scoreboard)
        munmap(scoreboard, size_of(scoreboard->count));
}

void scoreboard_tell(const struct scoreboard_slot *slot, int64_t now_ms, bool ready,
                     struct metrics *metrics, const uint64_t *base)
{
    struct scoreboard_entry *place = own_entry(slot);
    metrics_copy(metrics, base, place->values);
    __atomic_store_n(&place->ready, ready, __ATOMIC_RELAXED);
    /* Last: who sees the time sees the numbers that go with it, or later ones. */
    __atomic_store_n(&place->told_ms, now_ms, __ATOMIC_RELEASE);
}

/* Copied at the start: from its first word on, the new process writes over what is here. */
uint64_t *scoreboard_base(const struct scoreboard_slot *slot, size_t count)
{
    assert(count <= SCOREBOARD_VALUES);
    uint64_t *base = mem_alloc(count * sizeof(*base));
    memcpy(base, own_entry(slot)->values, count * sizeof(*base));
    return base;
}

void scoreboard_gone(const struct scoreboard_slot *slot)
{
    __atomic_store_n(&own_entry(slot)->told_ms, 0, __ATOMIC_RELEASE);
}

static int64_t told_ms(const struct scoreboard_entry *place)
{
    return __atomic_load_n(&place->told_ms, __ATOMIC_ACQUIRE);
}

bool scoreboard_is_up(const struct scoreboard_slot *slot)
{
    return told_ms(own_entry(slot)) != 0;
}

void scoreboard_sum(const struct scoreboard *scoreboard, struct metrics *total)
{
    struct metrics_part parts[GATEWAY_WORKERS_LIMIT];
    for (unsigned i = 0; i < scoreboard->count; i++)
        parts[i] = (struct metrics_part){.values = scoreboard->places[i].values,
                                         .alive = told_ms(&scoreboard->places[i]) != 0};
    metrics_sum(total, parts, scoreboard->count);
}

struct scoreboard_state scoreboard_look(const struct scoreboard *scoreboard, int64_t now_ms)
{
    struct scoreboard_state state = {.first_lazy = -1, .first_unready = -1};
    for (unsigned i = 0; i < scoreboard->count; i++) {
        const struct scoreboard_entry *place = &scoreboard->places[i];
        int64_t told = told_ms(place);
        if (told == 0)
            continue;
        state.up++;
        if (now_ms - told > SCOREBOARD_STUCK_MS && state.first_lazy < 0)
            state.first_lazy = (int)i;
        if (!__atomic_load_n(&place->ready, __ATOMIC_RELAXED) && state.first_unready < 0)
            state.first_unready = (int)i;
    }
    return state;
}

unsigned scoreboard_count(const struct scoreboard *scoreboard)
{
    return scoreboard->count;
}
