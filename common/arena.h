/* Memory that is given back all at once: what one batch, or one decoded message, needs. Single
 * pieces are never freed. Not for anything that outlives the next arena_reset().
 *
 * A zeroed struct is an empty arena. Growth aborts on exhaustion (mem.h). */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "bytes.h"

struct arena {
    struct arena_block *newest;
    size_t used;     /* of the newest block */
    size_t total;    /* capacity of all blocks */
    size_t reserved; /* the size a first block gets, if larger than what it must hold; 0: a small
                        default */
};

/* `size` zeroed bytes, aligned for any type; never NULL. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));

/* A zeroed array. */
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), (count) * sizeof(type)))

/* The same, not zeroed: for what is filled at once. */
void *arena_raw(struct arena *arena, size_t size) __attribute__((returns_nonnull));

/* A copy of `bytes` with a NUL after it (not counted in its size). */
struct bytes arena_copy(struct arena *arena, struct bytes bytes);

/* The same for libraries that take an allocator: `arena` is a struct arena, and what is released
 * stays until the arena is reset. */
void *arena_allocate(void *arena, size_t size);
void arena_release(void *arena, void *piece);

/* Gives back every piece. Keeps the memory, in one block, so that an arena that is reset after each
 * batch soon stops allocating. */
void arena_reset(struct arena *arena);

/* Frees the memory and leaves an empty arena. */
void arena_deinit(struct arena *arena);
#define auto_arena __attribute__((cleanup(arena_deinit)))

#endif
