/* Who may do what to a review, as it is now: the state machine, and nothing that remembers.
 *
 *               claim                     decide
 *      OPEN ------------> CLAIMED ----------------------> DECIDED (forgotten)
 *       ^ <------------     | ^  claim with `take`,
 *       | release, lapse    +-+  by another              either, at any time: CLOSED (forgotten),
 *       +-- decide ---------------------> DECIDED          by an event of the backend
 *
 * A command names the version that the person saw. It is accepted if that is the review's version
 * and the state allows it; then the version is one more. Else nothing happens: the update that made
 * the command stale is on its way to the same screen, and is the answer.
 *
 * A claim lapses, too, when the log says that its time is over: a record that names the version of the
 * claim, and so is a command of nobody. No clock is asked here, or a review would be another's for
 * one dispatcher than for the next.
 *
 * Invariant: each accepted command, lapse and closing, and nothing else, makes the version one more. Of any number of
 * commands that name one version, at most one is accepted: the first in the log. A review that is
 * claimed says by whom; one that is open does not. */
#ifndef DISPATCHER_CORE_REVIEW_JUDGE_H
#define DISPATCHER_CORE_REVIEW_JUDGE_H

#include "review_record.h"

enum review_state {
    REVIEW_OPEN,
    REVIEW_CLAIMED,
    REVIEW_DECIDED,
    REVIEW_CLOSED, /* by the backend: there is nothing to decide any more */
};

/* "open", "claimed", "decided" or "closed". Static. */
const char *review_state_name(enum review_state state);

struct review_status {
    enum review_state state;
    uint32_t version; /* 1 when it opens */
    struct bytes by;  /* who has it, or has decided; else empty */
};

/* What becomes of a record of the log: labels of a metric. Those that
 * are refused are told to the review's rooms with this word. */
#define REVIEW_OUTCOMES(X)                         \
    X(REVIEW_ACCEPTED, "accepted")                 \
    X(REVIEW_REPEATED, "repeated")                 \
    X(REVIEW_STALE, "stale")                       \
    X(REVIEW_UNKNOWN, "unknown")                   \
    X(REVIEW_FOREIGN, "foreign")                   \
    X(REVIEW_VOID, "void")                         \
    X(REVIEW_MALFORMED, "malformed")               \
    X(REVIEW_REFUSED_CLAIMED, "claimed")           \
    X(REVIEW_REFUSED_NOT_CLAIMED, "not_claimed")   \
    X(REVIEW_REFUSED_DECISION, "unknown_decision") \
    X(REVIEW_REFUSED_OWN_TASK, "own_task")         \
    X(REVIEW_REFUSED_LIMIT, "limit")

enum review_outcome {
#define X(name, text) name,
    REVIEW_OUTCOMES(X)
#undef X
        REVIEW_OUTCOME_COUNT
};

/* Wrong by itself: told to the review's rooms. */
static inline bool review_is_refused(enum review_outcome outcome)
{
    return outcome >= REVIEW_REFUSED_CLAIMED && outcome < REVIEW_OUTCOME_COUNT;
}

const char *review_outcome_name(enum review_outcome outcome);

/* Judges a command about this review. REVIEW_ACCEPTED: `after` is what the review is from now on,
 * its text borrowed of the command. Else `after` is what it was. */
enum review_outcome review_judge(const struct review_status *now,
                                 const struct review_subject *subject,
                                 const struct review_command *command,
                                 struct review_status *after) MUST_CHECK;

/* The time of the claim that has had the review since this version is over, says a record of the log.
 * True: `after` is open. False: that claim is no more. */
bool review_lapse(const struct review_status *now, uint32_t version,
                  struct review_status *after) MUST_CHECK;

#endif
