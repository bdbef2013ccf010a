/* Memory that lives exactly as long as one matcher: handed out in pieces, freed at once. Not for
 * events: matching allocates nothing from it. */
#ifndef RULES_PATTERN_ARENA_H
#define RULES_PATTERN_ARENA_H

#include "bytes.h"

struct arena_chunk;

/* A zeroed struct is an empty arena. */
struct arena {
    struct arena_chunk *chunks;
};

/* `size` zeroed bytes, aligned for any type; never NULL. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));

/* A copy; its data is never NULL. */
struct bytes arena_copy(struct arena *arena, struct bytes bytes);

/* A zeroed array. */
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), (count) * sizeof(type)))

void arena_deinit(struct arena *arena);

#endif
