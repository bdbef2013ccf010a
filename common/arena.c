/* Memory that is given piece by piece and taken back all at once. For what lives exactly as long as
 * one thing: a decoded message, a document, an event on its way through the dispatcher.
 *
 * The invariant: pieces never move and never overlap; `used` is about the newest block alone. The
 * older blocks are full, or were too small for the last piece: what was left of them is lost until
 * the arena is reset. */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "mem.h"

#define ARENA_BLOCK_MIN 4096

struct arena_block {
    struct arena_block *older;
    size_t capacity;
    alignas(max_align_t) uint8_t data[];
};

/* Blocks double (each is as large as all before together), so that their number is logarithmic. */
static void add_block(struct arena *arena, size_t size)
{
    size_t capacity = arena->total > ARENA_BLOCK_MIN ? arena->total : ARENA_BLOCK_MIN;
    /* A caller that knows what it needs gets that and not a page: many need far less. */
    if (!arena->newest && arena->reserved)
        capacity = arena->reserved;
    if (size > capacity)
        capacity = size;
    struct arena_block *block = mem_resize(NULL, 1, sizeof(*block) + capacity);
    block->older = arena->newest;
    block->capacity = capacity;
    arena->newest = block;
    arena->used = 0;
    arena->total += capacity;
}

void *arena_raw(struct arena *arena, size_t size)
{
    const size_t alignment = alignof(max_align_t);
    size_t needed = (size + alignment - 1) / alignment * alignment;
    /* Rounding up has wrapped: the true size makes malloc() refuse, and the process end. A piece of
     * no bytes still has an address of its own. */
    if (needed < size || needed == 0)
        needed = size == 0 ? alignment : size;
    if (!arena->newest || arena->newest->capacity - arena->used < needed)
        add_block(arena, needed);
    void *piece = arena->newest->data + arena->used;
    arena->used += needed;
    return piece;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(arena_raw(arena, size), 0, size);
}

void *arena_allocate(void *arena, size_t size)
{
    return arena_raw(arena, size);
}

/* For protobuf-c, which frees what it has made when it fails halfway. The arena has it all still,
 * and frees it at once later. */
void arena_release(void *arena, void *piece)
{
    (void)arena;
    (void)piece;
}

struct bytes arena_copy(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_raw(arena, bytes.size + 1);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = 0;
    return bytes_of(copy, bytes.size);
}

/* After a few rounds there is one block that fits, and a round costs no allocation at all. */
void arena_reset(struct arena *arena)
{
    if (arena->newest && arena->newest->older) {
        size_t total = arena->total;
        size_t reserved = arena->reserved;
        arena_deinit(arena);
        arena->reserved = reserved;
        add_block(arena, total);
    }
    arena->used = 0;
}

void arena_deinit(struct arena *arena)
{
    struct arena_block *block = arena->newest;
    while (block) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
    *arena = (struct arena){0};
}
