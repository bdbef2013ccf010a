/* What a client says about a review: the events review.claim, review.release and review.decide, and the
 * JSON that goes with them. Gateways write them to the log of reviews by the review's home, dispatchers
 * judge them (dispatcher/core/review_log.c). Both read them by this: what a dispatcher could not read, a
 * gateway refuses, since nobody else could tell the client. */
#ifndef COMMON_REVIEW_COMMAND_H
#define COMMON_REVIEW_COMMAND_H

#include "arena.h"
#include "bytes.h"
#include "status.h"

enum { REVIEW_COMMAND_LIMIT = 4096 }; /* bytes of the JSON: decision, comment and all */

enum review_act { REVIEW_CLAIM, REVIEW_RELEASE, REVIEW_DECIDE };

/* Whether an event of this name is a command. */
bool review_act_named(struct bytes event, enum review_act *act);

struct review_payload {
    struct bytes review; /* valid: review_id.h */
    uint32_t version;    /* that the person saw: at least 1 */
    bool take;           /* of a claim: from whomever has it */
    struct bytes decision;
    struct bytes comment;
    struct bytes data; /* JSON that goes with the decision; empty: none */
};

/* Texts are in the arena, or borrowed of `json`. False: it is none. Other members may be anything. */
bool review_payload_read(struct bytes json, enum review_act act, struct arena *arena,
                         struct review_payload *payload) MUST_CHECK;

#endif
