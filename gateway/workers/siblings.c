#include "siblings.h"

#include <assert.h>
#include <sys/mman.h>

#include "gateway_settings.h"
#include "mem.h"

struct place {
    int64_t told_ms; /* 0: not up */
    uint64_t ready;
    uint64_t values[SIBLING_VALUES];
};

struct siblings {
    unsigned count;
    struct place places[];
};

static size_t size_of(unsigned count)
{
    return sizeof(struct siblings) + count * sizeof(struct place);
}

static struct place *place_of(const struct seat *seat)
{
    return &seat->siblings->places[seat->index];
}

struct siblings *siblings_new(unsigned count)
{
    assert(count > 0 && count <= GATEWAY_WORKERS_LIMIT);
    struct siblings *siblings =
        mmap(NULL, size_of(count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (siblings == MAP_FAILED)
        return NULL;
    siblings->count = count;
    return siblings;
}

void siblings_free(struct siblings *siblings)
{
    if (siblings)
        munmap(siblings, size_of(siblings->count));
}

void siblings_tell(const struct seat *seat, int64_t now_ms, bool ready, struct metrics *metrics,
                   const uint64_t *base)
{
    struct place *place = place_of(seat);
    metrics_copy(metrics, base, place->values);
    __atomic_store_n(&place->ready, ready, __ATOMIC_RELAXED);
    __atomic_store_n(&place->told_ms, now_ms, __ATOMIC_RELEASE);
}

uint64_t *siblings_base(const struct seat *seat, size_t count)
{
    assert(count <= SIBLING_VALUES);
    uint64_t *base = mem_alloc(count * sizeof(*base));
    memcpy(base, place_of(seat)->values, count * sizeof(*base));
    return base;
}

void siblings_gone(const struct seat *seat)
{
    __atomic_store_n(&place_of(seat)->told_ms, 0, __ATOMIC_RELEASE);
}

static int64_t told_ms(const struct place *place)
{
    return __atomic_load_n(&place->told_ms, __ATOMIC_ACQUIRE);
}

bool siblings_is_up(const struct seat *seat)
{
    return told_ms(place_of(seat)) != 0;
}

void siblings_sum(const struct siblings *siblings, struct metrics *total)
{
    struct metrics_part parts[GATEWAY_WORKERS_LIMIT];
    for (unsigned i = 0; i < siblings->count; i++)
        parts[i] = (struct metrics_part){.values = siblings->places[i].values,
                                         .alive = told_ms(&siblings->places[i]) != 0};
    metrics_sum(total, parts, siblings->count);
}

struct siblings_state siblings_look(const struct siblings *siblings, int64_t now_ms)
{
    struct siblings_state state = {.first_lazy = -1, .first_unready = -1};
    for (unsigned i = 0; i < siblings->count; i++) {
        const struct place *place = &siblings->places[i];
        int64_t told = told_ms(place);
        if (told == 0)
            continue;
        state.up++;
        if (now_ms - told > SIBLING_STUCK_MS && state.first_lazy < 0)
            state.first_lazy = (int)i;
        if (!__atomic_load_n(&place->ready, __ATOMIC_RELAXED) && state.first_unready < 0)
            state.first_unready = (int)i;
    }
    return state;
}

unsigned siblings_count(const struct siblings *siblings)
{
    return siblings->count;
}
