/* The fields of an event that somebody wants, found in one pass over its JSON text. Not the pattern
 * engine: it compares nothing.
 *
 * A path is the keys from the root joined with dots, as in patterns: {"a":{"b":1}} and {"a.b":1}
 * both have a.b; arrays add nothing to the path. The first value at a path is its value. */
#ifndef DISPATCHER_RULES_FIELD_SET_H
#define DISPATCHER_RULES_FIELD_SET_H

#include "bytes.h"
#include "json.h"
#include "status.h"

enum { FIELD_DEPTH_LIMIT = 100, FIELD_PATH_LIMIT = 1000 /* bytes */ };

struct field_value {
    enum json_token
        kind;         /* JSON_ERROR: the event has no such field; a container: raw is all of it */
    struct bytes raw; /* as in the text; a string without its quotes */
    bool escaped;     /* a string whose raw text holds escapes */
};

struct field_set;
struct field_set *field_set_new(void);
void field_set_free(struct field_set *set);

/* The slot of a path, the same for the same path. STATUS_INVALID: empty, or longer than
 * FIELD_PATH_LIMIT. */
enum status field_set_add(struct field_set *set, struct bytes path, unsigned *slot) MUST_CHECK;
unsigned field_set_count(const struct field_set *set);

/* The values of one event, by slot; used again for the next, so that an event costs what it holds
 * and not what the rules name. A zeroed struct is empty. */
struct field_values {
    struct field_value *items;
    size_t capacity;
    uint32_t *filled; /* slots that the last event had */
    size_t filled_count;
    uint32_t *objects; /* of each path: the object whose key led to it last */
    size_t object_capacity;
    uint32_t object_count;
    bool repeats_keys; /* an object has a key on the way to a wanted path twice */
    size_t steps;      /* tokens read and table entries looked at: what the last event cost */
};
void field_values_deinit(struct field_values *values);

/* Fills `values` for this set. The raw texts borrow from `json`, which must be valid UTF-8.
 * STATUS_MALFORMED or STATUS_TOO_DEEP: not one valid JSON object; then the values are unspecified.
 */
enum status field_set_extract(const struct field_set *set, struct bytes json,
                              struct field_values *values) MUST_CHECK;

/* Appends what a person would call the value: a string's characters, a number or boolean as it is
 * spelled. False, and nothing appended: null, an array, an object, or no such field. NUL and lone
 * surrogates, which no client takes, become U+FFFD; then *unfit (may be NULL) is set: different
 * values may have this text, so that it is no name of anything. */
bool field_value_text(const struct field_value *value, struct buffer *out, bool *unfit) MUST_CHECK;

#endif
