/* Records of the log of reviews, which dispatchers and gateways write: CloudEvents in binary mode,
 * their JSON one flat object. What stands in one may be anything: it is checked here and nowhere
 * later.
 *
 *     review.opened                            a dispatcher: what the review is about
 *     review.closed                            a dispatcher: all reviews of the task are over
 *     review.late                              a dispatcher: a timer, which is an event for rules, too
 *     review.lapsed                            a dispatcher: a timer, the claim is over
 *     review.tick                              a dispatcher, to learn what time it is there
 *     review.claim, review.release,
 *     review.decide                            a gateway: a person's command
 */
#ifndef DISPATCHER_CORE_REVIEW_RECORD_H
#define DISPATCHER_CORE_REVIEW_RECORD_H

#include "arena.h"
#include "event.h"
#include "fingerprint.h"
#include "review_command.h"
#include "review_id.h"

/* Of those that dispatchers write. */
#define REVIEW_TYPE_OPENED "review.opened"
#define REVIEW_TYPE_CLOSED "review.closed"
#define REVIEW_TYPE_LATE "review.late"
#define REVIEW_TYPE_LAPSED "review.lapsed"
#define REVIEW_TYPE_TICK "review.tick"

/* The task, and which of its reviews. */
struct review_id {
    struct fingerprint task;
    uint64_t instance;
};

void review_id_write(struct review_id id, char text[REVIEW_ID_SIZE + 1]);
bool review_id_read(struct bytes text, struct review_id *id) MUST_CHECK;

enum {
    REVIEW_ROOMS_LIMIT = 3, /* of the queue, the task and its user */
    REVIEW_DECISIONS_LIMIT = 16,
    REVIEW_DECISION_SIZE = 64, /* bytes of a decision's name */
    REVIEW_TEXT_LIMIT = 4096,  /* bytes of what a review is about, as JSON */
    REVIEW_TIMER_LIMIT =
        2 * REVIEW_TEXT_LIMIT, /* bytes of a timer's record: some of that, and more */
};

#define REVIEW_SUBJECT_TEXTS(X) \
    X(tenant, "tenantId")       \
    X(task, "taskId")           \
    X(user, "userId")           \
    X(project, "projectId")     \
    X(type, "type")             \
    X(queue, "queue")           \
    X(reason, "reason")         \
    X(priority, "priority")     \
    X(title, "title")           \
    X(due_time, "dueTime")      \
    X(rule, "rule")

/* What a review is about, from its opening to its end: its rule may be another tomorrow. */
struct review_subject {
#define X(name, json) struct bytes name;
    REVIEW_SUBJECT_TEXTS(X)
#undef X
    struct bytes rooms[REVIEW_ROOMS_LIMIT]; /* the first is the queue's */
    size_t room_count;                      /* at least 1 */
    struct bytes decisions[REVIEW_DECISIONS_LIMIT];
    size_t decision_count; /* at least 1 */
    bool self;             /* the task's user may decide */
    unsigned hops;         /* how often dispatchers had handled what led to it: 0 to 9 */
};

/* Appends it as JSON, which review_subject_read() reads. */
void review_subject_write(const struct review_subject *subject, struct buffer *json);

/* Texts are in the arena, or borrowed of `json`. False: it is none. */
bool review_subject_read(struct bytes json, struct arena *arena,
                         struct review_subject *subject) MUST_CHECK;

struct review_command {
    enum review_act act;
    struct bytes command; /* its id */
    struct bytes source;  /* whose id that is */
    uint32_t version;     /* that the person saw */
    bool take;            /* of a claim: from whomever has it */
    struct bytes tenant;
    struct bytes actor;
    struct bytes room;
    struct bytes decision;
    struct bytes comment;
    struct bytes data; /* JSON that goes with the decision; empty: none */
};

enum review_record_kind {
    REVIEW_RECORD_OPENED,
    REVIEW_RECORD_CLOSED,
    REVIEW_RECORD_COMMAND,
    REVIEW_RECORD_LATE,
    REVIEW_RECORD_LAPSED,
    REVIEW_RECORD_TICK,  /* says nothing but when it was appended */
    REVIEW_RECORD_OTHER, /* none of these, or not well formed */
};

struct review_record {
    enum review_record_kind kind;
    struct review_id id;           /* of a closing: its task */
    struct bytes text;             /* of an opening: its JSON */
    struct review_subject subject; /* of an opening */
    struct review_command command;
    uint32_t version; /* of a timer: the review's when it fired */
};

void review_record_read(const struct record *record, struct arena *arena,
                        struct review_record *read);

#endif
