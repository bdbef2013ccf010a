/* The series of /metrics. Not what is counted: the runner says when. */
#ifndef DISPATCHER_INFRA_DISPATCHER_METRICS_H
#define DISPATCHER_INFRA_DISPATCHER_METRICS_H

#include "batch.h"
#include "metrics.h"
#include "rule_set.h"

struct dispatcher_metrics {
    struct metrics *registry;
    struct metric_counter *records;
    struct metric_counter *formats[EVENT_FORMAT_COUNT];
    struct metric_counter *matched;
    struct metric_counter *duplicates;
    struct metric_counter *tombstones;
    struct metric_counter *remarks[EVENT_REMARK_COUNT];
    struct metric_counter *reviews_open;
    struct metric_counter *reviews_unremembered;
    struct metric_counter *review_records[REVIEW_OUTCOME_COUNT];
    struct metric_counter *reviews_opened;
    struct metric_counter *reviews_decided;
    struct metric_counter *reviews_closed;
    struct metric_counter *reviews_late;
    struct metric_counter *reviews_lapsed;
    struct metric_gauge *reviews_alive;
    struct metric_gauge *review_timers;
    struct metric_gauge *clock_differs;
    struct metric_counter *notifications[NOTIFICATION_TYPE_COUNT];
    struct metric_counter *dead[DEAD_REASON_COUNT];
    struct metric_counter *room_skips[ROOM_SKIP_COUNT];
    struct metric_counter *items_kept;
    struct metric_counter *items_superseded;
    struct metric_counter *orders_crowded_out;
    struct metric_counter_set *rule_matches;
    struct metric_counter_set *findings[SHADOW_VERDICT_COUNT];
    struct metric_counter *shadow_unjudged;
    struct metric_counter *committed;
    struct metric_counter *aborted;
    struct metric_counter *reopened;
    struct metric_counter *rewinds;
    struct metric_counter *input_stalled;
    struct metric_counter *state_malformed;
    struct metric_counter *consumer_renewed;
    struct metric_counter *reloads_good;
    struct metric_counter *reloads_bad;
    struct metric_histogram *batch_records;
    struct metric_histogram *batch_bytes;
    struct metric_histogram *stage_wait;    /* record's timestamp to its processing */
    struct metric_histogram *stage_process; /* of a batch: rules */
    struct metric_histogram *stage_commit;  /* of a batch: produce and commit */
    struct metric_histogram *stage_total;   /* record's timestamp to commit */
    struct metric_gauge *lag;
    struct metric_gauge *partitions;
    struct metric_gauge *events_remembered;
    struct metric_gauge *reviews_remembered;
    struct metric_gauge *orders_remembered;
    struct metric_gauge *rules;
    struct metric_gauge *shadow_rules;
};

void dispatcher_metrics_init(struct dispatcher_metrics *metrics);
void dispatcher_metrics_deinit(struct dispatcher_metrics *metrics);

/* Counts what a batch that was committed came to. */
void dispatcher_metrics_count(struct dispatcher_metrics *metrics, const struct batch *batch,
                              const struct rule_set *rules);

#endif
