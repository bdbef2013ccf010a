/* The state machine of a review. The checks stand in this order: is it his to command at all, is it
 * about what he saw, and only then whether he may. So a command that comes late is never called
 * wrong: the person could not know. */
#include "review_judge.h"

#include <assert.h>

const char *review_state_name(enum review_state state)
{
    static const char *const names[] = {[REVIEW_OPEN] = "open",
                                        [REVIEW_CLAIMED] = "claimed",
                                        [REVIEW_DECIDED] = "decided",
                                        [REVIEW_CLOSED] = "closed"};
    assert((unsigned)state <= REVIEW_CLOSED);
    return names[state];
}

const char *review_outcome_name(enum review_outcome outcome)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        REVIEW_OUTCOMES(X)
#undef X
    };
    assert((unsigned)outcome < REVIEW_OUTCOME_COUNT);
    return names[outcome];
}

/* The room is the gateway's word that the session was in it: the queue's, and not one of the other
 * rooms that are told of the review. */
static bool is_of_its_queue(const struct review_subject *subject,
                            const struct review_command *command)
{
    assert(subject->room_count > 0);
    return bytes_equal(command->tenant, subject->tenant) &&
           bytes_equal(command->room, subject->rooms[0]);
}

static bool may_be_decided_so(const struct review_subject *subject, struct bytes decision)
{
    for (size_t i = 0; i < subject->decision_count; i++)
        if (bytes_equal(subject->decisions[i], decision))
            return true;
    return false;
}

static bool is_another(const struct review_status *now, struct bytes actor)
{
    return now->state == REVIEW_CLAIMED && !bytes_equal(now->by, actor);
}

static enum review_outcome judge_state(const struct review_status *now,
                                       const struct review_subject *subject,
                                       const struct review_command *command)
{
    bool own = command->act != REVIEW_RELEASE && !subject->self && subject->user.size > 0 &&
               bytes_equal(command->actor, subject->user);
    assert(now->state == REVIEW_OPEN || now->state == REVIEW_CLAIMED);
    if (own)
        return REVIEW_REFUSED_OWN_TASK;
    if (is_another(now, command->actor) && !(command->act == REVIEW_CLAIM && command->take))
        return REVIEW_REFUSED_CLAIMED;
    switch (command->act) {
    case REVIEW_CLAIM:
        return now->state == REVIEW_CLAIMED && !is_another(now, command->actor) ? REVIEW_REPEATED
                                                                                : REVIEW_ACCEPTED;
    case REVIEW_RELEASE:
        return now->state == REVIEW_CLAIMED ? REVIEW_ACCEPTED : REVIEW_REFUSED_NOT_CLAIMED;
    case REVIEW_DECIDE:
        return may_be_decided_so(subject, command->decision) ? REVIEW_ACCEPTED
                                                             : REVIEW_REFUSED_DECISION;
    }
    return REVIEW_MALFORMED;
}

/* Who sends the same again because he heard no answer names the version before: he has it. */
static bool is_repeated(const struct review_status *now, const struct review_command *command)
{
    return command->act == REVIEW_CLAIM && now->state == REVIEW_CLAIMED &&
           command->version == now->version - 1 && bytes_equal(now->by, command->actor);
}

static struct review_status status_after(const struct review_status *now,
                                         const struct review_command *command)
{
    struct review_status after = {.version = now->version + 1, .by = command->actor};
    after.state = command->act == REVIEW_CLAIM     ? REVIEW_CLAIMED
                  : command->act == REVIEW_RELEASE ? REVIEW_OPEN
                                                   : REVIEW_DECIDED;
    if (after.state == REVIEW_OPEN)
        after.by = bytes_of(NULL, 0);
    return after;
}

enum review_outcome review_judge(const struct review_status *now,
                                 const struct review_subject *subject,
                                 const struct review_command *command, struct review_status *after)
{
    assert(now->version >= 1 && (now->by.size > 0) == (now->state == REVIEW_CLAIMED));
    *after = *now;
    if (!is_of_its_queue(subject, command))
        return REVIEW_FOREIGN;
    if (command->version != now->version)
        return is_repeated(now, command) ? REVIEW_REPEATED : REVIEW_STALE;
    if (now->version >= UINT32_MAX - 1) /* the last one is left for its closing */
        return REVIEW_STALE;
    enum review_outcome outcome = judge_state(now, subject, command);
    if (outcome == REVIEW_ACCEPTED)
        *after = status_after(now, command);
    assert(after->version - now->version == (outcome == REVIEW_ACCEPTED));
    return outcome;
}

/* The last version is left for the closing, as with commands; such a claim stays. */
bool review_lapse(const struct review_status *now, uint32_t version, struct review_status *after)
{
    assert(now->version >= 1 && (now->by.size > 0) == (now->state == REVIEW_CLAIMED));
    if (now->state != REVIEW_CLAIMED || now->version != version || version >= UINT32_MAX - 1)
        return false;
    *after = (struct review_status){.state = REVIEW_OPEN, .version = version + 1};
    return true;
}
