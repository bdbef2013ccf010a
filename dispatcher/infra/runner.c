/* The loop of the dispatcher: read a batch, judge it, send it; between two batches look after
 * everything else.
 *
 *     attend -> collect -> judge -> topics are there? -> send -> attend ...
 *                          timers    no: give back       failed: give back
 *
 * One thread does all of it, one batch at a time: nothing is read while a transaction is under way.
 * What would be gained by overlapping is small beside what it would cost to know which of two
 * batches an error belongs to.
 *
 * Invariant: at the beginning of a turn the batch is empty, the state is that of the last
 * commit, and the position of each partition is its committed offset. Every failure comes back
 * to that (runner_give_back()). */
#include "runner.h"

#include <stdlib.h>
#include <sys/random.h>

#include "clocks.h"
#include "log.h"
#include "mem.h"
#include "runner_private.h"

enum { STATE_EVERY_MS = 500, CONNECTION_TIMEOUT_MS = 500 };

/* Looks every half second and not at every turn: it asks librdkafka for all partitions. */
static void report_state(struct runner *runner)
{
    struct dispatcher_health *health = runner->options.health;
    struct consumer_state state;
    if (!runner_keep_consumer(runner) || !runner_watch(runner))
        return;
    consumer_check_connection(runner->consumer, CONNECTION_TIMEOUT_MS);
    consumer_state(runner->consumer, &state);
    metric_gauge_set(runner->options.metrics->lag, state.lag);
    metric_gauge_set(runner->options.metrics->partitions, state.partitions);
    metric_gauge_set(runner->options.metrics->events_remembered,
                     (int64_t)state_store_event_count(runner->store));
    metric_gauge_set(runner->options.metrics->reviews_remembered,
                     (int64_t)state_store_review_count(runner->store));
    metric_gauge_set(runner->options.metrics->reviews_alive,
                     (int64_t)state_store_living_count(runner->store));
    metric_gauge_set(runner->options.metrics->orders_remembered,
                     (int64_t)state_store_order_count(runner->store));
    metric_gauge_set(runner->options.metrics->review_timers,
                     (int64_t)state_store_timed_count(runner->store));
    if (state.joined)
        dispatcher_health_pass(health, DISPATCHER_CHECK_GROUP);
    else
        dispatcher_health_fail(health, DISPATCHER_CHECK_GROUP, "joining group %s",
                               runner->options.settings->group);
    if (!state.connected)
        dispatcher_health_fail(health, DISPATCHER_CHECK_KAFKA, "no broker can be reached");
    else if (runner->stands_still)
        dispatcher_health_fail(health, DISPATCHER_CHECK_KAFKA,
                               "there are records that do not come");
    else
        dispatcher_health_pass(health, DISPATCHER_CHECK_KAFKA);
}

static void use_rules(struct runner *runner)
{
    const struct rule_set *rules = rules_file_rules(runner->options.rules);
    const struct rule_set *tried = rule_set_shadows(rules);
    struct pipeline_settings settings =
        settings_pipeline(runner->options.settings, runner->options.layout);
    settings.hash_seed = runner->hash_seed;
    if (!runner->pipeline)
        runner->pipeline = pipeline_new(&settings);
    pipeline_use_rules(runner->pipeline, rules);
    shadow_free(runner->shadow);
    runner->shadow = shadow_new(&settings, rules);
    metric_gauge_set(runner->options.metrics->rules, rule_set_count(rules));
    metric_gauge_set(runner->options.metrics->shadow_rules, tried ? rule_set_count(tried) : 0);
}

/* Between two batches only, so that a batch is judged by one set of rules. A file that is wrong
 * changes nothing: the old rules stay in force, and the metric tells. */
static void reload_rules(struct runner *runner)
{
    auto_problems struct problems problems = {0};
    struct rules_file *file = runner->options.rules;
    struct rule_set *old = NULL;
    switch (rules_file_reload(file, &old, &problems)) {
    case RULES_SAME:
        log_info("rules are unchanged",
                 LOG_BYTES("revision", rule_set_revision(rules_file_rules(file))));
        break;
    case RULES_NEW:
        use_rules(runner);
        log_info("rules reloaded", LOG_BYTES("before", rule_set_revision(old)),
                 LOG_BYTES("revision", rule_set_revision(rules_file_rules(file))),
                 LOG_UNSIGNED("rules", rule_set_count(rules_file_rules(file))));
        rule_set_free(old);
        metric_counter_add(runner->options.metrics->reloads_good, 1);
        break;
    case RULES_BAD:
        metric_counter_add(runner->options.metrics->reloads_bad, 1);
        for (size_t i = 0; i < problems.count; i++)
            log_error("rules file is wrong, the old rules stay in force",
                      LOG_UNSIGNED("line", problems.items[i].line),
                      LOG_UNSIGNED("column", problems.items[i].column),
                      LOG_STRING("problem", problems.items[i].text));
        break;
    }
}

/* What must not wait for events: health, deliveries, rules. The flag of a signal is cleared
 * before the file is read, so that a signal that comes meanwhile is not lost. */
static void attend(struct runner *runner)
{
    int64_t now_ms = monotonic_ms();
    const struct settings *settings = runner->options.settings;
    dispatcher_health_alive(runner->options.health, now_ms);
    producer_poll(runner->producer);
    if (now_ms >= runner->next_state_ms) {
        runner->next_state_ms = now_ms + STATE_EVERY_MS;
        report_state(runner);
    }
    bool reload = *runner->options.reload != 0;
    if (settings->rules_check_ms > 0 && now_ms >= runner->next_rules_ms) {
        runner->next_rules_ms = now_ms + settings->rules_check_ms;
        reload = reload || rules_file_changed(runner->options.rules);
    }
    if (reload) {
        *runner->options.reload = 0;
        reload_rules(runner);
    }
}

/* A batch is judged before the topics are looked at: which ones it needs is what the rules say. */
static void turn(struct runner *runner)
{
    attend(runner);
    if (runner_stopped(runner)) /* maybe without a consumer */
        return;
    runner_collect(runner);
    if (runner->count == 0 && !runner_timers_are_due(runner))
        return;
    int64_t began_us = monotonic_us();
    runner_judge(runner);
    if (runner->count == 0 && runner->batch.output_count == 0) /* no timer could fire */
        return;
    metric_histogram_observe(runner->options.metrics->stage_process,
                             (uint64_t)(monotonic_us() - began_us));
    if (!runner_ensure_topics(runner))
        runner_give_back(runner);
    else
        (void)runner_send(runner);
}

/* The consumer goes first: leaving the group calls back, which needs the batch and the states. */
static void runner_free(struct runner *runner)
{
    runner_forget(runner);
    runner_forget_timers(runner);
    consumer_close(runner->consumer);
    input_watch_free(runner->watch);
    topics_free(runner->topics);
    producer_free(runner->producer);
    state_store_free(runner->store);
    changelog_close(runner->changelog);
    pipeline_free(runner->pipeline);
    shadow_free(runner->shadow);
    batch_deinit(&runner->batch);
    free(runner->messages);
    free(runner->sources);
    free(runner->input_topics);
    free(runner);
}

/* The seed is new for each process: whoever sends events must not know where they lie in our
 * tables. */
enum status runner_run(const struct runner_options *options, struct error *error)
{
    struct runner *runner = mem_new(struct runner);
    runner->options = *options;
    if (getrandom(&runner->hash_seed, sizeof(runner->hash_seed), 0) != sizeof(runner->hash_seed))
        abort(); /* never for so few bytes: getrandom(2) */
    runner->limit = (size_t)options->settings->batch_events;
    runner->messages = mem_resize(NULL, runner->limit, sizeof(rd_kafka_message_t *));
    runner->watch = input_watch_new(options->settings->stall_ms);
    use_rules(runner);
    dispatcher_health_pass(options->health, DISPATCHER_CHECK_RULES);

    if (runner_start(runner))
        while (!runner_stopped(runner))
            turn(runner);
    enum status status = runner->fatal.status;
    if (status != STATUS_OK)
        *error = runner->fatal;
    log_info("stopping");
    runner_free(runner);
    return status;
}
