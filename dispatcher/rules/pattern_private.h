/* What pattern.c (objects and $or) and pattern_leaf.c (matchers) share while reading a pattern. */
#ifndef DISPATCHER_RULES_PATTERN_PRIVATE_H
#define DISPATCHER_RULES_PATTERN_PRIVATE_H

#include "json.h"
#include "pattern_model.h"

struct pattern_parser {
    struct json_scanner scanner;
    struct arena *arena;
    const struct pattern_limits *limits;
    struct pattern_error *error; /* never NULL */
    struct pattern_error *all;   /* of pattern_check(): errors after which reading went on; NULL:
                                    the first error ends it */
    size_t all_count;
    size_t all_max;
    struct buffer path;  /* of the object being read */
    struct leaf *leaves; /* grown by doubling */
    size_t leaf_count;
    size_t leaf_capacity;
};

/* Whether reading may go on after this status: then the error is put aside, and what `before` was
 * about to read is skipped. */
bool parser_recover(struct pattern_parser *parser, enum status status,
                    const struct json_scanner *before) MUST_CHECK;

/* Records the error at the last token, unless one is recorded, and returns its status. */
enum status parser_fail(struct pattern_parser *parser, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same with a place and a kind. */
enum status parser_fail_at(struct pattern_parser *parser, enum status status, size_t offset,
                           const char *format, ...) PRINTF_LIKE(4, 5);

/* The next token; JSON_ERROR has been recorded. */
enum json_token parser_next(struct pattern_parser *parser);

/* The last key or string, decoded, in the arena. */
struct bytes parser_text(struct pattern_parser *parser);

/* Reads a leaf whose '[' is the last token. */
enum status parser_leaf(struct pattern_parser *parser, struct leaf *leaf) MUST_CHECK;

#endif
