/* What pipeline.c is made of. Not for others. */
#ifndef DISPATCHER_CORE_PIPELINE_PARTS_H
#define DISPATCHER_CORE_PIPELINE_PARTS_H

#include "pipeline.h"

struct pipeline {
    struct pipeline_settings settings;
    const struct rule_set *rules;
    struct matcher_scratch *scratch;
    struct fingerprinter *fingerprinter;
    struct field_values values; /* of the last event */
    bool asks_one;              /* rule alone: */
    unsigned only;
    struct buffer event_text; /* of an event that was not plain JSON */
    struct buffer text;       /* short-lived */
};

/* One event on its way. */
struct passage {
    struct pipeline *pipeline;
    struct memory *memory; /* may be NULL */
    const struct record *record;
    struct batch *batch;
    struct decision *decision;
    const struct field_value *values; /* by slot; NULL until they are read */
    struct bytes event_id;
    struct bytes time;
    int64_t time_ms;
    bool has_time;
    struct room_owner owner;
    struct bytes traceparent;
    struct bytes tracestate;
    unsigned hops;
    struct bytes task_id;
    struct draft *drafts;
    struct published *published; /* in order */
    struct published **published_end;
    unsigned room_count;
    bool has_own_id;
    struct batch_counts counts_before;
};

/* A notification that was made. */
struct published {
    struct published *next;
    struct bytes id;
    enum notification_type type;
    const struct lane_name *lane;
};

/* A room that a draft has, and where it lives. */
struct draft_room {
    struct draft_room *next;
    struct bytes name;
    const struct lane_name *lane;
};

struct draft_rule {
    struct draft_rule *next;
    struct bytes name;
};

/* A notification before it is cut into lanes. */
struct draft {
    struct draft *next;
    enum notification_type type;
    struct bytes queue; /* of a review; else empty */
    struct bytes reason;
    struct draft_room *rooms;
    struct draft_rule *rules;
    unsigned room_count;
    unsigned rule_count;
    struct bytes title;
    struct bytes body;
    struct bytes severity;
    struct bytes priority;
    struct bytes due_time;
    bool is_open; /* a review that is open already: no alert */
};

/* Why a rule could not do all it was to do; the policy is the rule's. */
enum draft_result {
    DRAFT_DONE,
    DRAFT_FIELD_MISSING, /* rule->missing is dead-letter, or skip-rule: nothing of it was added */
    DRAFT_TOO_MANY_ROOMS,
};

/* Adds what a rule that matched asks for to the drafts. */
enum draft_result draft_apply(struct passage *passage, const struct rule *rule) MUST_CHECK;

/* Makes the notifications of all drafts. False: one is larger than the limit. */
bool draft_finish(struct passage *passage) MUST_CHECK;

/* Appends the audit record, if the settings want one. */
void audit_add(struct passage *passage);

/* One review per task, queue and reason is open at a time: marks the drafts of reviews that are
 * open already. */
void review_check(struct passage *passage);

/* Remembers the reviews that were asked for, and those that the event closes. */
void review_remember(struct passage *passage);

/* The text of an event's field, empty if it has none. Borrows from the event or the batch. */
struct bytes passage_text(struct passage *passage, enum event_field field);

#endif
