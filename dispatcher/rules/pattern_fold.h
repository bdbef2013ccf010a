/* Ignore-case as event patterns mean it: the pattern decides. Each character of the pattern may
 * appear as itself, or as its full lower-case or upper-case mapping (Unicode, no locale, no
 * context; it may be several characters). Nothing else is folded, so it is not symmetric: the
 * pattern "ß" matches "ß" and "SS", the pattern "ss" does not match "ß". */
#ifndef DISPATCHER_RULES_PATTERN_FOLD_H
#define DISPATCHER_RULES_PATTERN_FOLD_H

#include "arena.h"
#include "bytes.h"

/* Code points from first to last by step; lower and upper are added to give the mapping. */
struct fold_range {
    uint32_t first;
    uint32_t last;
    uint32_t step;
    int32_t lower;
    int32_t upper;
};

/* A code point with a mapping of several characters; both in UTF-8. */
struct fold_special {
    uint32_t code;
    const char *lower;
    const char *upper;
};

/* pattern_fold_table.c; both ascending. */
extern const struct fold_range fold_ranges[];
extern const size_t fold_range_count;
extern const struct fold_special fold_specials[];
extern const size_t fold_special_count;

/* One character of the pattern: the 1 to 3 ways in which it may appear. */
struct fold_character {
    struct bytes ways[3];
    unsigned count;
};

struct fold {
    struct fold_character *characters;
    size_t count;
};

/* Compiles text (UTF-8 or WTF-8); memory from the arena. */
struct fold fold_compile(struct bytes text, struct arena *arena);

/* How many bytes at the front (at the end) of `text` are the whole pattern; SIZE_MAX: it is not
 * there. */
size_t fold_match_front(const struct fold *fold, struct bytes text);
size_t fold_match_back(const struct fold *fold, struct bytes text);

/* Whether all of it is ASCII, so that folding is asking for ASCII lower case on both sides. */
bool fold_is_ascii(struct bytes text);

#endif
