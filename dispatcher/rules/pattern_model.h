/* One event pattern after reading: alternatives of fields of tests. Internal to pattern*.c and
 * matcher*.c; it borrows from the arena that it was read into. */
#ifndef DISPATCHER_RULES_PATTERN_MODEL_H
#define DISPATCHER_RULES_PATTERN_MODEL_H

#include "arena.h"
#include "pattern.h"
#include "pattern_address.h"
#include "pattern_fold.h"
#include "pattern_wildcard.h"

/* What one matcher of a leaf asks of one value of the field. */
enum test_kind {
    TEST_TEXT,     /* a string equal to text */
    TEST_BLOCK,    /* a string that is an address in block/bits; a plain address: all bits */
    TEST_NUMBER,   /* a comparable number equal to low */
    TEST_SPELLING, /* a number spelled as text, which is not comparable */
    TEST_TRUE,
    TEST_FALSE,
    TEST_NULL,
    TEST_PREFIX, /* a string that starts with text */
    TEST_SUFFIX,
    TEST_FOLD, /* a string that is fold (pattern_fold.h); text is its source */
    TEST_FOLD_PREFIX,
    TEST_FOLD_SUFFIX,
    TEST_WILDCARD,
    TEST_RANGE, /* a finite number, its nearest double in [low, high] */
    TEST_BUT,   /* any value for which none of the excluded tests holds */
    TEST_EXISTS,
    TEST_ABSENT, /* not of a value: that there is none */
};

struct test {
    enum test_kind kind;
    struct bytes text;
    double low;
    double high;
    struct address block;
    unsigned bits;
    struct fold fold;
    struct wildcard wildcard;
    struct test *excluded; /* TEST_BUT: TEXT, NUMBER, PREFIX, SUFFIX, FOLD or WILDCARD */
    size_t excluded_count;
};

/* A field of the pattern: one of the tests must hold for one of the values at the path. */
struct leaf {
    struct bytes path;   /* keys joined by '.', decoded */
    struct bytes source; /* the leaf's JSON without white space, for people and to see equal ones */
    size_t offset;       /* of the leaf in the pattern's text */
    struct test *tests;
    size_t test_count;
};

/* Leaves of which all must hold; indexes into the pattern's leaves, ascending by path. */
struct alternative {
    uint32_t *leaves;
    size_t leaf_count;
};

/* The pattern holds if one alternative does. */
struct pattern {
    struct leaf *leaves;
    size_t leaf_count;
    struct alternative *alternatives;
    size_t alternative_count;
};

/* Reads and checks. On failure `pattern` is untouched (what went into the arena stays there) and
 * `error` (may be NULL) says why. */
enum status pattern_read(struct bytes json, const struct pattern_limits *limits,
                         struct arena *arena, struct pattern *pattern,
                         struct pattern_error *error) MUST_CHECK;

/* The order in which fields are processed: of the UTF-16 code units of the path. */
int pattern_path_order(struct bytes a, struct bytes b);

#endif
