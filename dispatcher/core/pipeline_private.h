/* What pipeline.c is made of. Not for others. */
#ifndef DISPATCHER_CORE_PIPELINE_PRIVATE_H
#define DISPATCHER_CORE_PIPELINE_PRIVATE_H

#include "lookup.h"
#include "pipeline.h"

struct pipeline {
    struct pipeline_settings settings;
    const struct rule_set *rules;
    struct matcher_scratch *scratch;
    struct fingerprinter *fingerprinter;
    struct field_values values; /* of the last event */
    bool asks_one;              /* rule alone: */
    unsigned only;
    bool judges_only;         /* no rule does anything */
    struct buffer event_text; /* of an event that was not plain JSON */
    struct buffer last_keys;  /* of an event that has a key twice */
    struct buffer text;       /* short-lived */
    struct lookup drafts;     /* of the event at hand: struct draft, draft_room and draft_lane */
    struct lookup rooms;
    struct lookup lanes;
    struct lookup keys; /* of an event that has a key twice */
    bool keeps_reviews;
    int64_t now_ms;     /* 0: not known */
    int64_t log_now_ms; /* by the log of reviews */
};

/* One event on its way. */
struct job {
    struct pipeline *pipeline;
    struct partition_state *state; /* may be NULL */
    const struct record *record;
    int64_t recorded_ms; /* the record's time, and not ahead of now: by it things are remembered */
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
    double progress;
    bool has_progress;
    unsigned hops;
    struct bytes task_id;
    uint32_t rule; /* the index of the one that is being applied */
    struct draft *drafts;
    struct draft **drafts_end;
    unsigned draft_count;
    const struct skipped_room **skipped_end;
    struct published *published; /* in order */
    struct published **published_end;
    unsigned room_count;
    bool has_own_id;
    struct bytes blamed; /* the rule at hand when the event became a dead letter; empty: none */
    struct batch_counts counts_before;
};

/* A notification that was made. */
struct published {
    struct published *next;
    struct bytes id;
    enum notification_type type;
    struct bytes event; /* as clients know it */
    struct notification_item item;
    bool late;
    const struct lane_name *lane;
};

/* A room that a draft has. */
struct draft_room {
    struct draft_room *next;
    const struct draft *draft;
    struct bytes name;
};

/* The rooms of a draft that live in one lane: one notification. */
struct draft_lane {
    struct draft_lane *next;
    const struct draft *draft;
    struct lane_name name;
    struct draft_room *rooms; /* in order */
    struct draft_room **rooms_end;
    unsigned room_count;
};

struct draft_rule {
    struct draft_rule *next;
    struct bytes name;
};

/* Of a custom event. */
struct draft_custom {
    struct bytes event; /* its name */
    struct bytes data;  /* JSON text, or empty */
};

/* By what the notifications of a draft's item are ordered. */
struct draft_order {
    bool is_known; /* else they are told as they come, and nothing of it is remembered */
    struct fingerprint item;
    struct item_order order;
};

/* A notification before it is cut into lanes. */
struct draft {
    struct draft *next;
    enum notification_type type;
    struct bytes queue; /* of a review; else empty */
    struct bytes reason;
    struct notification_item item;
    struct draft_order order;
    bool late;                  /* older than what its item was told with: it has none here */
    struct draft_custom custom; /* of a custom event; else empty */
    unsigned number;            /* of this event */
    struct draft_lane *lanes;
    struct draft_lane **lanes_end;
    struct draft_rule *rules;
    struct draft_rule **rules_end;
    uint32_t last_rule; /* the index of the last of `rules` */
    unsigned rule_count;
    struct bytes title;
    struct bytes body;
    struct bytes severity;
    struct bytes priority;
    struct bytes due_time;
    bool is_open;                         /* a review that is open already: no alert */
    const struct rule_review *terms;      /* of the first rule that asked for the review */
    struct review_id review_id;           /* if it has a life of its own: */
    struct bytes review_text;             /* what it is about, for its log; empty: it has none */
    const struct review_update *update;   /* of NOTIFICATION_REVIEW_UPDATED */
    const struct review_refusal *refusal; /* of NOTIFICATION_REVIEW_REFUSED */
};

/* Why a rule could not do all it was to do; the policy is the rule's. */
enum draft_result {
    DRAFT_DONE,
    DRAFT_FIELD_MISSING, /* rule->missing is dead-letter, or skip-rule: nothing of it was added */
    DRAFT_TOO_MANY_ROOMS,
    DRAFT_LIST_TOO_LONG, /* of which rooms are to be made */
    DRAFT_TOO_LARGE,     /* the data of a custom event */
};

/* Adds what a rule that matched asks for to the drafts. */
enum draft_result draft_apply(struct job *job, const struct rule *rule) MUST_CHECK;

/* After DRAFT_FIELD_MISSING: the path of the field. */
struct bytes draft_missing_field(const struct job *job, const struct rule *rule);

enum { DRAFT_PROBLEM_SIZE = 256 };

/* Whether a notification of the item of this key is late with `order`, and then why, for a person;
 * else the draft may take the order. */
bool draft_order_is_late(struct job *job, struct bytes key, struct draft_order *order,
                         char problem[DRAFT_PROBLEM_SIZE]) MUST_CHECK;
void draft_take_order(struct draft *draft, const struct draft_order *order);

/* Once the event is through: what its items were told with. */
void draft_remember_orders(struct job *job);

/* The event's `data` as JSON text, as it stands in the event; empty: none. */
struct bytes draft_event_data(const struct job *job);

/* Makes the notifications of all drafts. The draft of one that is larger than the limit; else NULL.
 */
const struct draft *draft_finish(struct job *job) MUST_CHECK;

/* A draft that no rule asked for; and a room of it, which is passed over if the layout does not have
 * it. */
struct draft *draft_begin(struct job *job, enum notification_type type);
void draft_add_known_room(struct job *job, struct draft *draft, struct bytes name);

/* Appends the audit record, if the settings want one. */
void audit_add(struct job *job);

/* One review per task, queue and reason is open at a time: marks the drafts of reviews that are
 * open already. */
void review_check(struct job *job);

/* Remembers the reviews that were asked for, and those that the event closes. */
void review_remember(struct job *job);

/* A record of the log of reviews. True: it is an event for rules as well. */
bool review_log_process(struct job *job);

/* When a review that opens is late, and when a claim ends that began now; 0: never. */
int64_t review_late_time(const struct pipeline *pipeline, const struct review_subject *subject);
int64_t review_lapse_time(const struct pipeline *pipeline, const struct review_status *status,
                          int64_t now_ms);

/* Texts are the batch's, or static. */
struct review_event {
    const char *type;
    struct bytes id;
    struct bytes time;                    /* empty: none */
    struct bytes value;                   /* JSON */
    const struct review_subject *subject; /* NULL: it is said in the value */
    unsigned hops; /* how often dispatchers have handled what led to it; 0 to 9 */
};

/* The output, without topic and key; good until the next. */
struct output *review_event_add(struct batch *batch, const struct review_event *event);

/* To the home of the task in the log. */
void review_event_log(const struct pipeline *pipeline, struct batch *batch, struct fingerprint task,
                      const struct review_event *event);

/* What a record without an id of its own is called: no other one has this place. In the batch. */
struct bytes job_origin(struct job *job);

/* Makes a dead letter of the job's record; once at most. `problem` is for a person. */
void job_make_dead_letter(struct job *job, enum dead_reason reason, const char *problem);
void job_make_dead_letter_format(struct job *job, enum dead_reason reason, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Of a notification that this rule would make. */
void job_make_size_letter(struct job *job, struct bytes rule);
void job_make_limit_letter(struct job *job, const struct matcher_error *error);
/* The word for it. Not STATUS_OK. */
enum dead_reason dead_reason_of(enum status status);

/* The text of an event's field, empty if it has none. Borrows from the event or the batch. */
struct bytes job_text(struct job *job, enum event_field field);

/* A copy of a text for people in which what is no UTF-8, or no printable character, is replaced
 * (U+FFFD): it holds what others sent, and goes into JSON and to terminals. */
const char *job_told(struct job *job, const char *text);

/* The event's time, progress and trace, as far as it has them; else a remark. */
void job_read_time(struct job *job);
void job_read_progress(struct job *job);
void job_read_trace(struct job *job);

#endif
