/* The form of a dead letter: the record as it was (key, value, headers), and headers that say why
 * it is here and where it came from. Not the decision. */
#ifndef DISPATCHER_CORE_DEAD_LETTER_H
#define DISPATCHER_CORE_DEAD_LETTER_H

#include "batch.h"

#define DEAD_LETTER_HEADER_PREFIX "dead-letter-"
#define DEAD_LETTER_HEADER_REASON "dead-letter-reason"   /* dead_reason_name() */
#define DEAD_LETTER_HEADER_PROBLEM "dead-letter-problem" /* for a person */
#define DEAD_LETTER_HEADER_TOPIC \
    "dead-letter-topic" /* the origin: topic, partition and offset in decimal */
#define DEAD_LETTER_HEADER_PARTITION "dead-letter-partition"
#define DEAD_LETTER_HEADER_OFFSET "dead-letter-offset"
#define DEAD_LETTER_HEADER_PART \
    "dead-letter-part" /* of an event of a batch: which, from 1; the letter is that event alone */
#define DEAD_LETTER_HEADER_RULES "dead-letter-rules-revision"
#define DEAD_LETTER_HEADER_CUT \
    "dead-letter-value-bytes" /* the value was too large to be kept: its size */
#define DEAD_LETTER_HEADER_RULE "dead-letter-rule" /* the rule at hand, if there was one */
#define DEAD_LETTER_HEADER_TIME \
    "dead-letter-time" /* when it became one, in milliseconds since 1970, if it was moved since */

/* Of an event that was sent again: how often. It stays with the event, so that a letter that comes
 * back is not sent again for ever. */
#define DEAD_LETTER_HEADER_ATTEMPTS "redrive-attempts"

struct dead_letter {
    const char *topic; /* of the dead letters */
    enum dead_reason reason;
    const char *problem;
    struct bytes rules_revision;
    struct bytes rule;  /* empty: none */
    size_t value_limit; /* a larger value is left out */
};

/* Appends the dead letter of `record`. Headers of an earlier time in the dead-letter topic are
 * replaced. */
void dead_letter_add(const struct dead_letter *letter, const struct record *record,
                     struct batch *batch);

/* Whether a header is one of those above, so that redrive leaves it out. */
bool dead_letter_owns_header(struct bytes name);

#endif
