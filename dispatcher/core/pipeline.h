/* One record in; notifications, or a dead letter, out. Pure: the same records, rules and settings
 * give the same outputs, ids included, so that work that is done again after an abort or a crash is
 * the same work.
 *
 * Of one event, the rules that matched and have the same type of notification add their rooms to
 * one notification per lane; a review alert is a type of its own for each queue and reason, a custom
 * event for each name and data. The
 * title, body and severity are those of the first rule in the file that has them. */
#ifndef DISPATCHER_CORE_PIPELINE_H
#define DISPATCHER_CORE_PIPELINE_H

#include "batch.h"
#include "layout.h"
#include "partition_state.h"
#include "rule_set.h"

struct pipeline_limits {
    size_t event_bytes;         /* larger: dead letter, too-large */
    size_t notification_bytes;  /* larger: dead letter, limit */
    unsigned events_per_record; /* of a batch (event_batch.h); more: dead letter, limit */
    unsigned rooms_per_event;   /* more: dead letter, limit */
    unsigned rooms_per_list;    /* of a room's template; more: dead letter, limit */
    unsigned values;            /* at paths that patterns name; more: dead letter, limit */
    uint64_t steps;             /* of the matcher (matcher.h); more: dead letter, limit */
    unsigned hops; /* an event that has come this often through a dispatcher: dead letter, loop; at
                      most PIPELINE_HOPS_MAX */
};

enum { PIPELINE_HOPS_MAX = 8, EVENT_ID_LIMIT = 512 /* bytes of an event's id */ };

#define PIPELINE_LIMITS_DEFAULT                   \
    ((struct pipeline_limits){                    \
        .event_bytes = (size_t)512 * 1024,        \
        .notification_bytes = (size_t)900 * 1024, \
        .events_per_record = 1000,                \
        .rooms_per_event = 100,                   \
        .rooms_per_list = 100,                    \
        .values = 100000,                         \
        .steps = 2000000,                         \
        .hops = 3,                                \
    })

enum audit_level {
    AUDIT_OFF,
    AUDIT_REVIEWS, /* decisions that asked for a review */
    AUDIT_MATCHED, /* and those in which a rule matched, and dead letters and duplicates */
    AUDIT_ALL,
};

/* How long what lasts, of reviews that have a life. Zeroed: nothing happens by itself. */
struct review_times {
    bool fire;         /* reviews that open, and claims, get timers */
    int64_t claim_ms;  /* after it a claim is over; 0: it never is */
    int64_t remind_ms; /* after it a late review is told to be late once more; 0: it is told once */
    uint32_t reminders; /* so often at most */
};

/* Timers that fire in one batch: people's commands come first, however many are overdue. */
enum { PIPELINE_TIMERS_PER_BATCH = 100 };

struct pipeline_settings {
    const struct layout *layout;
    struct pipeline_limits limits;
    const char *dead_letter_topic;
    const char *audit_topic;
    enum audit_level audit;
    const char *const *review_closed_by; /* names of events that close the reviews of their task */
    size_t review_closed_by_count;
    /* The log of reviews, which is one of the topics that are read, its partitions, and where
     * decisions go; NULL: alerts have no life of their own. */
    const char *review_log;
    int32_t review_log_partitions;
    const char *review_decisions_topic;
    struct review_times review_times;
    bool keeps_items;   /* what is about an item goes to the state topic of its lane as well */
    uint64_t hash_seed; /* random, of this process alone: decides nothing but where things lie */
};

struct pipeline;

/* What the matcher gets of them, for whoever asks it as the pipeline does. */
struct matcher_limits pipeline_matcher_limits(const struct pipeline_limits *limits);

/* The settings' layout and texts must outlive the pipeline. */
struct pipeline *pipeline_new(const struct pipeline_settings *settings);
void pipeline_free(struct pipeline *pipeline);

/* From now on these rules judge; the caller keeps them alive until others are given or the pipeline
 * is freed. */
void pipeline_use_rules(struct pipeline *pipeline, const struct rule_set *rules);
const struct rule_set *pipeline_rules(const struct pipeline *pipeline);

/* From now on decisions say which rules take an event, and no rule does anything. */
void pipeline_judge_only(struct pipeline *pipeline);

/* For tests of rules: asks this rule alone, and does not sample. Undone by pipeline_use_rules(). */
void pipeline_ask_only(struct pipeline *pipeline, unsigned rule);

/* What was decided about a record. Borrowed from the batch. */
struct decision {
    struct bytes event_id;
    /* The event as rules see it, one JSON text: borrowed of the record or, until its next one, of
     * the pipeline. Empty: it did not come to rules. */
    struct bytes judged;
    const uint32_t *rules; /* indexes of the rules that matched, in the order of the file */
    size_t rule_count;
    size_t first_output;                /* its outputs in the batch: from here to the batch's end */
    const struct skipped_room *skipped; /* the first ROOM_SKIPS_TOLD */
    size_t skipped_count;               /* all */
    const char *remarks[EVENT_REMARK_COUNT]; /* for a person; NULL: nothing to say */
    bool tombstone;                          /* no event: nothing was done */
    bool duplicate;                          /* seen before: nothing was done */
    bool dead;
    enum dead_reason reason;
    const char *problem; /* if dead: for a person */
};

/* Appends what was left out, as a JSON array: {"rule", "room", "reason", "problem"} each; at the
 * end
 * {"more": n} if there was more. For the audit and for people. */
void decision_skipped_json(const struct decision *decision, const struct rule_set *rules,
                           struct buffer *json);

/* Appends the remarks as a JSON object: {"time": "...", ...}. */
void decision_remarks_json(const struct decision *decision, struct buffer *json);

/* Judges one record and appends its outputs and counts. The parts of `record` that outputs borrow
 * must outlive the batch's content. `state` (of the record's partition; may be NULL) is asked and
 * changed: the caller commits it or rolls it back with the batch. */
void pipeline_process(struct pipeline *pipeline, struct partition_state *state,
                      const struct record *record, struct batch *batch, struct decision *decision);

/* Whether, from now on; at first as the settings say. */
void pipeline_keep_items(struct pipeline *pipeline, bool keep);

/* Whether reviews have a life, from now on; at first if the settings name their log. */
void pipeline_keep_reviews(struct pipeline *pipeline, bool keep);

/* What time it is here, in ms since 1970; at first 0: that is not known. What is remembered goes by the
 * times of records, which are their producers' word: one that is ahead of this counts as of now. */
void pipeline_set_time(struct pipeline *pipeline, int64_t now_ms);

/* What time it is by the log of reviews, in ms since 1970: a command that is 30 s older is void. At
 * first 0: none is. */
void pipeline_set_log_time(struct pipeline *pipeline, int64_t now_ms);

/* Appends a record to the log for each timer that was to fire by now, at most so many, and takes it out
 * of the state. What comes of it is judged when that record is read: pipeline_process(). How many. */
size_t pipeline_fire_timers(struct pipeline *pipeline, struct partition_state *state,
                            int64_t now_ms, size_t most, struct batch *batch);

/* Appends a record to this partition of the log that says nothing: that it was appended, and when, is
 * what whoever sends it wants to know. */
void pipeline_ask_time(const struct pipeline *pipeline, int32_t partition, struct batch *batch);

/* Appends the records that keep what has changed in a state since its last commit. */
void pipeline_flush_state(struct partition_state *state, const char *topic, int32_t partition,
                          struct batch *batch);

/* The dead letter for a record that went through pipeline_process() but cannot be produced. A record
 * of the log of reviews has none: it is counted as malformed. */
void pipeline_reject(struct pipeline *pipeline, const struct record *record, const char *problem,
                     struct batch *batch);

#endif
