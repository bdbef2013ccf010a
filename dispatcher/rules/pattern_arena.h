/* Memory that lives exactly as long as one matcher is in an arena. Not for events: matching
 * allocates nothing from it. */
#ifndef RULES_PATTERN_ARENA_H
#define RULES_PATTERN_ARENA_H

#include "arena.h"

/* A zeroed array. */
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), (count) * sizeof(type)))

#endif
