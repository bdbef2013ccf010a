/* AWS EventBridge event patterns: what limits them and how an error in one is told. Patterns are
 * added to a matcher (matcher.h), which is for all patterns of a rules file together. PATTERNS.md
 * says what is accepted and what it means.
 *
 * The pattern comes as JSON text, because number spellings, duplicate keys and lone surrogates
 * matter and survive in nothing else. */
#ifndef DISPATCHER_RULES_PATTERN_H
#define DISPATCHER_RULES_PATTERN_H

#include "bytes.h"
#include "status.h"

struct pattern_limits {
    size_t size_max;           /* bytes of the pattern's text */
    unsigned depth_max;        /* open brackets of the text, at most JSON_DEPTH_MAX */
    unsigned fields_max;       /* fields that one alternative names */
    unsigned alternatives_max; /* after $or is multiplied out */
};

#define PATTERN_LIMITS_DEFAULT          \
    ((struct pattern_limits){           \
        .size_max = (size_t)256 * 1024, \
        .depth_max = 100,               \
        .fields_max = 256,              \
        .alternatives_max = 1000,       \
    })

/* Why a pattern is refused, for a person. json_line_column() turns the offset into line and column
 * when the text is the file's own. */
struct pattern_error {
    enum status status; /* STATUS_INVALID, or _MALFORMED, _TOO_DEEP, _TOO_LARGE, _LIMIT */
    size_t offset;      /* of the byte in the pattern's text that is wrong */
    char text[256];     /* always terminated; does not repeat the place */
};

/* Everything that is wrong with a pattern, up to `max` errors in the order of the text, and how many
 * they are; 0: it is good. Behind an error that spoils the text (no JSON, a limit) nothing is looked
 * at. */
size_t pattern_check(struct bytes json, const struct pattern_limits *limits,
                     struct pattern_error *errors, size_t max) MUST_CHECK;

/* More stars in the wildcards of one field EventBridge may refuse as too complex: it does not say
 * where its limit is; patterns of 6 were taken, patterns of 8 were not. Here they cost what their
 * text costs. */
enum { PATTERN_PORTABLE_STARS = 7 };

/* The most stars that the wildcards of one field have together, of a pattern that is good within
 * the default limits. */
size_t pattern_stars(struct bytes json);

#endif
