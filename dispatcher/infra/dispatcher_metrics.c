/* The dispatcher's series, all made at start: one that has counted nothing yet is there with 0, so
 * that an alert on it works from the first scrape.
 *
 * Counts of a batch are added when it is committed. What is aborted and done again is counted
 * once, so the sums agree with what stands in the topics. */
#include "dispatcher_metrics.h"

#include "process_metrics.h"

#define NAME(text) "smartstack_dispatcher_" text

enum { RULE_SERIES_LIMIT = 500, SHADOW_SERIES_LIMIT = 100 };

/* One series for each value of an enum; only rules are an open set, and so are limited: what is
 * beyond RULE_SERIES_LIMIT is counted together. */
static void init_pipeline_series(struct dispatcher_metrics *metrics)
{
    struct metrics *registry = metrics->registry;
    for (int i = 0; i < EVENT_FORMAT_COUNT; i++)
        metrics->formats[i] =
            metrics_counter(registry, NAME("events_total"), "Events by the format they came in.",
                            METRIC_LABELS("format", event_format_name((enum event_format)i)));
    for (int i = 0; i < NOTIFICATION_TYPE_COUNT; i++)
        metrics->notifications[i] = metrics_counter(
            registry, NAME("notifications_total"), "Notifications published, by type.",
            METRIC_LABELS("type", notification_type_name((enum notification_type)i)));
    for (int i = 0; i < DEAD_REASON_COUNT; i++)
        metrics->dead[i] =
            metrics_counter(registry, NAME("dead_letters_total"), "Dead letters, by reason.",
                            METRIC_LABELS("reason", dead_reason_name((enum dead_reason)i)));
    for (int i = 0; i < ROOM_SKIP_COUNT; i++)
        metrics->room_skips[i] = metrics_counter(
            registry, NAME("rooms_skipped_total"),
            "Rooms that a rule named and no notification got, items, and what is late.",
            METRIC_LABELS("reason", room_skip_name((enum room_skip)i)));
    const char *items = NAME("items_total");
    const char *items_help = "Records for state topics: kept, or superseded by a later one of the "
                             "same batch.";
    metrics->items_kept =
        metrics_counter(registry, items, items_help, METRIC_LABELS("outcome", "kept"));
    metrics->items_superseded =
        metrics_counter(registry, items, items_help, METRIC_LABELS("outcome", "superseded"));
    metrics->orders_crowded_out = metrics_counter(
        registry, NAME("item_orders_crowded_out_total"),
        "Items whose order was forgotten for want of room, before dispatcher.order.window.", NULL);
    metrics->matched = metrics_counter(registry, NAME("matched_total"),
                                       "Events that at least one rule matched.", NULL);
    metrics->duplicates = metrics_counter(registry, NAME("duplicates_total"),
                                          "Events dropped because they were seen before.", NULL);
    metrics->tombstones = metrics_counter(registry, NAME("tombstones_total"),
                                          "Records without a value: no events.", NULL);
    for (int i = 0; i < EVENT_REMARK_COUNT; i++)
        metrics->remarks[i] = metrics_counter(
            registry, NAME("fields_replaced_total"),
            "Fields of events that were not what they say they are, replaced or left out.",
            METRIC_LABELS("field", event_remark_name((enum event_remark)i)));
    metrics->rule_matches =
        metrics_counter_set(registry, NAME("rule_matches_total"), "Events that a rule matched.",
                            "rule", RULE_SERIES_LIMIT);
}

/* A series set has one label, so each verdict is a name. */
static void init_shadow_series(struct dispatcher_metrics *metrics)
{
    static const struct {
        const char *name;
        const char *help;
    } series[SHADOW_VERDICT_COUNT] = {
        [SHADOW_SAME] =
            {NAME("shadow_same_total"),
             "Events of which a rule in shadow makes what the rule makes in whose place "
             "it is tried."},
        [SHADOW_CHANGED] = {NAME("shadow_changed_total"),
                            "Events that both take, and of which they make different things."},
        [SHADOW_MORE] = {NAME("shadow_more_total"),
                         "Events that a rule in shadow takes and the other, if there is one, does "
                         "not."},
        [SHADOW_LESS] = {NAME("shadow_less_total"),
                         "Events that a rule takes and the one in its shadow does not."},
        [SHADOW_DEAD] = {NAME("shadow_dead_total"),
                         "Events that a rule in shadow would have made dead letters."},
    };
    for (int i = 0; i < SHADOW_VERDICT_COUNT; i++)
        metrics->findings[i] = metrics_counter_set(metrics->registry, series[i].name,
                                                   series[i].help, "rule", SHADOW_SERIES_LIMIT);
    metrics->shadow_unjudged = metrics_counter(
        metrics->registry, NAME("shadow_unjudged_total"),
        "Events on which the rules in shadow met dispatcher.limits, all together.", NULL);
}

static void init_review_series(struct dispatcher_metrics *metrics)
{
    struct metrics *registry = metrics->registry;
    for (int i = 0; i < REVIEW_OUTCOME_COUNT; i++)
        metrics->review_records[i] =
            metrics_counter(registry, NAME("review_records_total"),
                            "Records of the log of reviews, by what became of them.",
                            METRIC_LABELS("outcome", review_outcome_name((enum review_outcome)i)));
    const char *reviews = NAME("reviews_total");
    const char *reviews_help = "Reviews with a life: opened, decided by people, closed by the "
                               "backend, told to be late, claims over by time.";
    metrics->reviews_opened =
        metrics_counter(registry, reviews, reviews_help, METRIC_LABELS("event", "opened"));
    metrics->reviews_decided =
        metrics_counter(registry, reviews, reviews_help, METRIC_LABELS("event", "decided"));
    metrics->reviews_closed =
        metrics_counter(registry, reviews, reviews_help, METRIC_LABELS("event", "closed"));
    metrics->reviews_late =
        metrics_counter(registry, reviews, reviews_help, METRIC_LABELS("event", "late"));
    metrics->reviews_lapsed =
        metrics_counter(registry, reviews, reviews_help, METRIC_LABELS("event", "lapsed"));
    metrics->review_timers = metrics_gauge(registry, NAME("review_timers"),
                                           "Reviews with a timer that is to fire.", NULL, 1);
    metrics->clock_differs = metrics_gauge(
        registry, NAME("review_clock_differs"),
        "1: this machine's clock is not the broker's, and timers of reviews do not fire here.",
        NULL, 1);
    metrics->reviews_alive = metrics_gauge(registry, NAME("reviews_alive"),
                                           "Reviews that are open or claimed.", NULL, 1);
    metrics->reviews_open =
        metrics_counter(registry, NAME("reviews_already_open_total"),
                        "Review alerts left out because such a review is open.", NULL);
    metrics->reviews_unremembered = metrics_counter(
        registry, NAME("reviews_unremembered_total"),
        "Reviews beyond dispatcher.review.tasks: their alerts may be repeated.", NULL);
}

/* The stages answer where the time goes: `wait` is Kafka and the backlog, `process` the rules,
 * `commit` the broker. */
static void init_transaction_series(struct dispatcher_metrics *metrics)
{
    struct metrics *registry = metrics->registry;
    const char *transactions = NAME("transactions_total");
    const char *transactions_help = "Batches, by how they ended.";
    const char *stages = NAME("stage_seconds");
    const char *stages_help = "Time: wait (produced to read), process and commit (of a batch), "
                              "total (produced to committed).";
    metrics->records =
        metrics_counter(registry, NAME("records_total"),
                        "Records processed; of a batch of CloudEvents, its events.", NULL);
    metrics->committed = metrics_counter(registry, transactions, transactions_help,
                                         METRIC_LABELS("outcome", "committed"));
    metrics->aborted = metrics_counter(registry, transactions, transactions_help,
                                       METRIC_LABELS("outcome", "aborted"));
    metrics->reopened = metrics_counter(registry, NAME("producer_reopened_total"),
                                        "Producers replaced after a fatal error.", NULL);
    metrics->rewinds = metrics_counter(registry, NAME("rewinds_total"),
                                       "Times that records were read again.", NULL);
    metrics->input_stalled = metrics_counter(
        registry, NAME("input_stalled_total"),
        "Times that an input partition grew and nothing of it came for dispatcher.read_stall.",
        NULL);
    metrics->state_malformed = metrics_counter(
        registry, NAME("state_malformed_total"),
        "Records of the state topic that are none of a dispatcher's, left alone.", NULL);
    metrics->consumer_renewed =
        metrics_counter(registry, NAME("consumer_renewed_total"),
                        "Consumers replaced because the input stood still.", NULL);
    metrics->batch_records = metrics_histogram(registry, NAME("batch_records"),
                                               "Records of a transaction, counted likewise.", NULL,
                                               &metric_buckets_count);
    metrics->batch_bytes = metrics_histogram(registry, NAME("batch_bytes"),
                                             "Bytes of a transaction's records: keys and values.",
                                             NULL, &metric_buckets_bytes);
    metrics->stage_wait = metrics_histogram(
        registry, stages, stages_help, METRIC_LABELS("stage", "wait"), &metric_buckets_latency);
    metrics->stage_process = metrics_histogram(
        registry, stages, stages_help, METRIC_LABELS("stage", "process"), &metric_buckets_latency);
    metrics->stage_commit = metrics_histogram(
        registry, stages, stages_help, METRIC_LABELS("stage", "commit"), &metric_buckets_latency);
    metrics->stage_total = metrics_histogram(
        registry, stages, stages_help, METRIC_LABELS("stage", "total"), &metric_buckets_latency);
    metrics->lag = metrics_gauge(registry, NAME("lag_records"),
                                 "Records of its partitions that are not yet read.", NULL, 1);
    metrics->partitions =
        metrics_gauge(registry, NAME("partitions"), "Input partitions it has.", NULL, 1);
}

void dispatcher_metrics_init(struct dispatcher_metrics *metrics)
{
    metrics->registry = metrics_new();
    init_pipeline_series(metrics);
    init_shadow_series(metrics);
    init_review_series(metrics);
    init_transaction_series(metrics);
    metrics->reloads_good =
        metrics_counter(metrics->registry, NAME("rules_reloads_total"),
                        "Reloads of the rules file.", METRIC_LABELS("outcome", "good"));
    metrics->reloads_bad =
        metrics_counter(metrics->registry, NAME("rules_reloads_total"),
                        "Reloads of the rules file.", METRIC_LABELS("outcome", "bad"));
    metrics->events_remembered = metrics_gauge(metrics->registry, NAME("events_remembered"),
                                               "Events that would be known again.", NULL, 1);
    metrics->reviews_remembered = metrics_gauge(metrics->registry, NAME("open_review_tasks"),
                                                "Tasks with open reviews.", NULL, 1);
    metrics->orders_remembered =
        metrics_gauge(metrics->registry, NAME("item_orders_remembered"),
                      "Items of which it is known with which order they were told.", NULL, 1);
    metrics->rules = metrics_gauge(metrics->registry, NAME("rules"), "Rules in force.", NULL, 1);
    metrics->shadow_rules = metrics_gauge(metrics->registry, NAME("shadow_rules"),
                                          "Rules in shadow: judged, and nothing more.", NULL, 1);
    process_metrics_register(metrics->registry, SMARTSTACK_VERSION);
}

void dispatcher_metrics_deinit(struct dispatcher_metrics *metrics)
{
    metrics_free(metrics->registry);
    *metrics = (struct dispatcher_metrics){0};
}

/* By the rules that judged the batch: its indexes mean nothing to a set that was loaded since. */
void dispatcher_metrics_count(struct dispatcher_metrics *metrics, const struct batch *batch,
                              const struct rule_set *rules)
{
    const struct batch_counts *counts = &batch->counts;
    metric_counter_add(metrics->records, counts->records);
    metric_counter_add(metrics->matched, counts->matched);
    metric_counter_add(metrics->duplicates, counts->duplicates);
    metric_counter_add(metrics->tombstones, counts->tombstones);
    for (int i = 0; i < EVENT_REMARK_COUNT; i++)
        metric_counter_add(metrics->remarks[i], counts->remarks[i]);
    metric_counter_add(metrics->reviews_open, counts->reviews_open);
    metric_counter_add(metrics->reviews_unremembered, counts->reviews_unremembered);
    for (int i = 0; i < REVIEW_OUTCOME_COUNT; i++)
        metric_counter_add(metrics->review_records[i], counts->review_records[i]);
    metric_counter_add(metrics->reviews_opened, counts->reviews_opened);
    metric_counter_add(metrics->reviews_decided, counts->reviews_decided);
    metric_counter_add(metrics->reviews_closed, counts->reviews_closed);
    metric_counter_add(metrics->reviews_late, counts->reviews_late);
    metric_counter_add(metrics->reviews_lapsed, counts->reviews_lapsed);
    for (int i = 0; i < EVENT_FORMAT_COUNT; i++)
        metric_counter_add(metrics->formats[i], counts->formats[i]);
    for (int i = 0; i < NOTIFICATION_TYPE_COUNT; i++)
        metric_counter_add(metrics->notifications[i], counts->notifications[i]);
    for (int i = 0; i < DEAD_REASON_COUNT; i++)
        metric_counter_add(metrics->dead[i], counts->dead[i]);
    for (int i = 0; i < ROOM_SKIP_COUNT; i++)
        metric_counter_add(metrics->room_skips[i], counts->room_skips[i]);
    metric_counter_add(metrics->items_kept, counts->items - counts->items_superseded);
    metric_counter_add(metrics->items_superseded, counts->items_superseded);
    metric_counter_add(metrics->orders_crowded_out, counts->orders_crowded_out);
    for (size_t i = 0; i < batch->rule_match_count; i++) {
        const struct rule *rule = rule_set_at(rules, batch->rule_matches[i]);
        metric_counter_add(metric_counter_set_get(metrics->rule_matches, rule->name), 1);
    }
    for (size_t i = 0; i < batch->finding_count; i++) {
        const struct shadow_finding *finding = &batch->findings[i];
        const struct rule *rule = rule_set_at(rule_set_shadows(rules), finding->rule);
        metric_counter_add(metric_counter_set_get(metrics->findings[finding->verdict], rule->name),
                           1);
    }
    metric_counter_add(metrics->shadow_unjudged, counts->shadow_unjudged);
    metric_histogram_observe(metrics->batch_records, counts->records);
}
