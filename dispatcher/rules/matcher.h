/* All event patterns of a rules file as one structure: an event's text goes in, the numbers of the
 * matching rules come out. Not rules: what is to be done about a match is rule.h's.
 *
 *     struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
 *     for each rule: matcher_builder_add(builder, json, &number, &error)    numbers count from 0
 *     struct matcher *matcher = matcher_build(builder);                    frees the builder
 *     struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
 *     for each event: matcher_match(matcher, scratch, event, &result, &error)
 *
 * The matcher is immutable and may be shared between threads; a scratch belongs to one user at a
 * time, may serve any number of matchers in turn, and keeps the memory it has grown to, so that
 * matching allocates nothing once warm. Each rule is judged alone: the presence of others never
 * changes its answer. */
#ifndef DISPATCHER_RULES_MATCHER_H
#define DISPATCHER_RULES_MATCHER_H

#include "buffer.h"
#include "bytes.h"
#include "pattern.h"
#include "status.h"

struct matcher_builder;
struct matcher;
struct matcher_scratch;

struct matcher_builder *matcher_builder_new(const struct pattern_limits *limits);

/* Adds the pattern of the next rule and gives its number: 0, 1, 2, … On failure nothing is added
 * and `error` (may be NULL) says why. */
enum status matcher_builder_add(struct matcher_builder *builder, struct bytes pattern_json,
                                unsigned *rule, struct pattern_error *error) MUST_CHECK;

/* NULL is fine; needed only if the matcher is not built. */
void matcher_builder_free(struct matcher_builder *builder);

/* Compiles what was added (also nothing) and frees the builder. */
struct matcher *matcher_build(struct matcher_builder *builder);

/* NULL is fine. */
void matcher_free(struct matcher *matcher);

unsigned matcher_rule_count(const struct matcher *matcher);

struct matcher_limits {
    size_t event_size_max;    /* bytes of an event */
    unsigned event_depth_max; /* open brackets, at most JSON_DEPTH_MAX */
    unsigned values_max;      /* values that an event may have at the paths which rules name */
    uint64_t steps_max; /* what a hostile event may cost. A step is a value tested (one more for
                           each 64 bytes of a text that is searched), a rule checked, something that
                           a look-up tells of a value, or an element tried to find one of each array
                           that satisfies a rule: some nanoseconds each */
};

#define MATCHER_LIMITS_DEFAULT                 \
    ((struct matcher_limits){                  \
        .event_size_max = (size_t)1024 * 1024, \
        .event_depth_max = 256,                \
        .values_max = 100000,                  \
        .steps_max = 2000000,                  \
    })

struct matcher_scratch *matcher_scratch_new(const struct matcher_limits *limits);

/* NULL is fine. */
void matcher_scratch_free(struct matcher_scratch *scratch);

struct matcher_result {
    const uint32_t *rules; /* ascending, each once; borrowed until the scratch is used again */
    size_t count;
    bool repeats_keys; /* an object has a key on the way to a named path twice, and all its values
                          were judged; other readers of the event may see only the last */
};

/* Which of the limits an event met. */
enum matcher_limit { MATCHER_LIMIT_NONE, MATCHER_LIMIT_VALUES, MATCHER_LIMIT_STEPS };

enum { MATCHER_NO_RULE = UINT32_MAX };

/* Why an event could not be judged. */
struct matcher_error {
    enum status status;
    size_t offset;       /* of the byte in the event that is wrong; its size if none is */
    const char *problem; /* static text */
    enum matcher_limit limit;
    uint32_t rule; /* one that was being judged when the limit was met; MATCHER_NO_RULE */
};

/* Judges one event, which must be one JSON object (RFC 8259, UTF-8): all of it is checked, also
 * what no rule names. STATUS_MALFORMED, _TOO_DEEP, _TOO_LARGE (event_size_max), or _LIMIT
 * (values_max, steps_max); then `result` is untouched and `error` (may be NULL) is filled. */
enum status matcher_match(const struct matcher *matcher, struct matcher_scratch *scratch,
                          struct bytes event, struct matcher_result *result,
                          struct matcher_error *error) MUST_CHECK;

/* Appends to `text` one line (without its end) for a person: that the rule matches, or the first of
 * its conditions, in the order of their paths, that does not hold, what it wants and what was
 * there; of several alternatives, about the one that came furthest. Fails as matcher_match() does,
 * leaving `text` untouched. */
enum status matcher_explain(const struct matcher *matcher, struct matcher_scratch *scratch,
                            struct bytes event, unsigned rule, struct buffer *text,
                            struct matcher_error *error) MUST_CHECK;

#endif
