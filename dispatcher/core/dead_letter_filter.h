/* Which dead letters somebody means: by reason, rule, time, key and how often they were tried. Pure:
 * a letter is the record that dead_letter.h describes. */
#ifndef DISPATCHER_CORE_DEAD_LETTER_FILTER_H
#define DISPATCHER_CORE_DEAD_LETTER_FILTER_H

#include "buffer.h"
#include "event.h"

/* What a letter says of itself. Borrowed from the record; what it does not say is empty, or -1. */
struct dead_letter_view {
    struct bytes reason;
    struct bytes problem;
    struct bytes rule;
    struct bytes topic; /* where it came from */
    int64_t partition;
    int64_t offset;
    int64_t time_ms;     /* when it became a dead letter */
    int64_t value_bytes; /* of a value that was too large to be kept; -1: it is here */
    uint64_t attempts;   /* how often it was sent again */
};

void dead_letter_read(const struct record *record, struct dead_letter_view *letter);

/* NULL and the extreme times: any. */
struct dead_letter_filter {
    const char *reason;
    const char *rule;
    const char *key;
    int64_t from_ms; /* first */
    int64_t to_ms;   /* beyond */
};

bool dead_letter_matches(const struct dead_letter_filter *filter, const struct record *record,
                         const struct dead_letter_view *letter);

/* Appends the letter as one JSON object; with `whole`, its headers and value as well (text as a
 * JSON string if it is UTF-8, else base64). */
void dead_letter_to_json(const struct record *record, const struct dead_letter_view *letter,
                         bool whole, struct buffer *json);

#endif
