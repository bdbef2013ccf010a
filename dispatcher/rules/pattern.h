/* An AWS EventBridge event pattern, read and checked; not its evaluation, which is matcher.h's for
 * all patterns of a rules file together. What is accepted and what it means is in README.md
 * ("Event patterns").
 *
 * The pattern comes as JSON text, because number spellings, duplicate keys and lone surrogates
 * matter and survive in nothing else. */
#ifndef RULES_PATTERN_H
#define RULES_PATTERN_H

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

struct pattern;

/* Reads and checks a pattern. The text is copied where it is needed. On failure `pattern` is
 * untouched and `error` (may be NULL) says why; otherwise the caller frees it. */
enum status pattern_new(struct bytes json, const struct pattern_limits *limits,
                        struct pattern **pattern, struct pattern_error *error) MUST_CHECK;

/* NULL is fine. */
void pattern_free(struct pattern *pattern);

#endif
