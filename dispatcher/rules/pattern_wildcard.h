/* The wildcard operator: '*' is any run of bytes, "\*" a star, "\\" a backslash; the whole value
 * must match. */
#ifndef DISPATCHER_RULES_PATTERN_WILDCARD_H
#define DISPATCHER_RULES_PATTERN_WILDCARD_H

#include "arena.h"
#include "bytes.h"

/* The literal texts between the stars: count is the number of stars plus one. */
struct wildcard {
    struct bytes *pieces;
    size_t count;
};

/* Returns NULL, or what is wrong. Memory from the arena. */
const char *wildcard_compile(struct bytes text, struct arena *arena, struct wildcard *wildcard);

/* Linear in the size of the value times at most the size of the pieces. */
bool wildcard_match(const struct wildcard *wildcard, struct bytes value);

#endif
