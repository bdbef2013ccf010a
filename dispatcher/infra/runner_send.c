/* Sending a batch, and what each way of failing means for it.
 *
 *     DONE       the state is committed, the batch forgotten
 *     AGAIN      the same again after a pause that grows; after some failures, in halves
 *     POISONED   the record to blame becomes a dead letter; if none is known, halves
 *     LOST       a new producer, and the state as the changelog has it
 *
 * Invariant: the state is committed if and only if the transaction was. Where that is not known,
 * the state is read anew rather than guessed. */
#include <stdio.h>
#include <string.h>

#include "clocks.h"
#include "log.h"
#include "runner_private.h"

enum { BACKOFF_FIRST_MS = 50, BACKOFF_LIMIT_MS = 2000, HALVE_AFTER = 3 };

/* The next offset of each partition of the batch; of one whose timers fire and of which nothing was
 * read, the committed one once more. */
static rd_kafka_topic_partition_list_t *batch_offsets(const struct runner *runner)
{
    rd_kafka_topic_partition_list_t *list =
        runner->timer_offsets ? rd_kafka_topic_partition_list_copy(runner->timer_offsets)
                              : rd_kafka_topic_partition_list_new(16);
    rd_kafka_topic_partition_t *element = NULL;
    const rd_kafka_message_t *before = NULL;
    for (size_t i = 0; i < runner->count; i++) {
        const rd_kafka_message_t *message = runner->messages[i];
        bool same =
            before && before->partition == message->partition && before->rkt == message->rkt;
        if (!same) {
            const char *topic = rd_kafka_topic_name(message->rkt);
            element = rd_kafka_topic_partition_list_find(list, topic, message->partition);
            if (!element)
                element = rd_kafka_topic_partition_list_add(list, topic, message->partition);
        }
        element->offset = message->offset + 1;
        before = message;
    }
    return list;
}

static bool is_review_log(const struct runner *runner, const struct output *output)
{
    const char *log = runner->options.settings->review_log;
    return output->kind == OUTPUT_REVIEW && log && strcmp(log, output->topic) == 0;
}

/* Runs of outputs to one topic ask once. A topic that may not be made for a notification is that
 * record's fault (a room of it leads there); one of ours is waited for. */
bool runner_ensure_topics(struct runner *runner)
{
    const char *last = NULL;
    int32_t last_count = 0;
    for (size_t i = 0; i < runner->batch.output_count; i++) {
        const struct output *output = &runner->batch.outputs[i];
        struct error error = {0};
        if (last && output->partition_count <= last_count && strcmp(last, output->topic) == 0)
            continue;
        const struct topic_request request = {.name = output->topic,
                                              .partition_count = output->partition_count,
                                              .kind = output->kind == OUTPUT_ITEM ? TOPIC_OF_ITEMS
                                                      : is_review_log(runner, output)
                                                          ? TOPIC_OF_REVIEWS
                                                          : TOPIC_OF_RECORDS};
        enum status status = topics_ensure(runner->topics, &request, &error);
        if (status == STATUS_OK) {
            last = output->topic;
            last_count = output->partition_count;
            continue;
        }
        if (status == STATUS_DENIED && output->kind == OUTPUT_NOTIFICATION) {
            runner_reject(runner, runner->sources[i], error.text);
            return false;
        }
        if (dispatcher_health_fail(runner->options.health, DISPATCHER_CHECK_TOPICS, "%s",
                                   error.text))
            log_warning("waiting", LOG_STRING("reason", error.text));
        runner_pause(runner, BACKOFF_LIMIT_MS / 4);
        return false;
    }
    dispatcher_health_pass(runner->options.health, DISPATCHER_CHECK_TOPICS);
    return true;
}

/* Doubles up to a limit that is short beside what a person notices: a broker that is back is
 * used at once. */
static void back_off(struct runner *runner)
{
    unsigned shift = runner->failures < 6 ? runner->failures : 6;
    int64_t pause_ms = (int64_t)BACKOFF_FIRST_MS << shift;
    runner_pause(runner, pause_ms < BACKOFF_LIMIT_MS ? pause_ms : BACKOFF_LIMIT_MS);
}

/* The next batch has half as many records, so that the record that spoils them is found. */
static void halve(struct runner *runner)
{
    if (runner->suspects == 0)
        runner->suspects = runner->count;
    size_t half = runner->count / 2;
    runner->limit = half > 0 ? half : 1;
}

/* A batch of one has its culprit whatever the report says. */
static void take_poison(struct runner *runner, const struct producer_result *result)
{
    int culprit = runner->count == 1 ? 0 : result->culprit;
    if (culprit < 0) {
        halve(runner);
        return;
    }
    runner_reject(runner, culprit, result->error.text);
    runner->suspects = 0;
}

/* A failure is one turn's work: the reaction, then everything is given back and read again. */
static void take_failure(struct runner *runner, const struct producer_result *result)
{
    runner->failures++;
    metric_counter_add(runner->options.metrics->aborted, 1);
    log_warning("transaction aborted", LOG_UNSIGNED("records", runner->count),
                LOG_STRING("error", result->error.text),
                LOG_UNSIGNED("failures", runner->failures));
    switch (result->outcome) {
    case PRODUCER_DONE:
        break;
    case PRODUCER_AGAIN:
        dispatcher_health_fail(runner->options.health, DISPATCHER_CHECK_PRODUCER, "%s",
                               result->error.text);
        if (runner->failures > HALVE_AFTER)
            halve(runner);
        topics_forget(runner->topics);
        back_off(runner);
        break;
    case PRODUCER_POISONED:
        take_poison(runner, result);
        break;
    case PRODUCER_LOST:
        dispatcher_health_fail(runner->options.health, DISPATCHER_CHECK_PRODUCER, "%s",
                               result->error.text);
        /* It may have been committed after all: what is remembered is what can be read. */
        state_store_rollback(runner->store);
        if (!runner_reopen_producer(runner) || !runner_restore_state(runner))
            return;
        break;
    }
    runner_give_back(runner);
}

/* The limit grows again only when the suspects of a search have been sent, or the next batch
 * would hide the culprit among thousands once more. */
static void count_success(struct runner *runner, int64_t began_us)
{
    struct dispatcher_metrics *metrics = runner->options.metrics;
    int64_t now_ms = wall_ms();
    runner->sent_us = monotonic_us();
    metric_counter_add(metrics->committed, 1);
    metric_histogram_observe(metrics->batch_bytes, runner->bytes);
    metric_histogram_observe(metrics->stage_commit, (uint64_t)(runner->sent_us - began_us));
    dispatcher_metrics_count(metrics, &runner->batch, pipeline_rules(runner->pipeline));
    for (size_t i = 0; i < runner->count; i++) {
        rd_kafka_timestamp_type_t type;
        int64_t timestamp_ms = rd_kafka_message_timestamp(runner->messages[i], &type);
        if (timestamp_ms > 0 && now_ms >= timestamp_ms)
            metric_histogram_observe(metrics->stage_total,
                                     (uint64_t)(now_ms - timestamp_ms) * 1000);
    }
    size_t configured = (size_t)runner->options.settings->batch_events;
    runner->suspects -= runner->suspects < runner->count ? runner->suspects : runner->count;
    if (runner->suspects == 0)
        runner->limit = runner->limit * 2 < configured ? runner->limit * 2 : configured;
    runner->failures = 0;
    state_store_commit(runner->store);
    runner_learn_time(runner);
    dispatcher_health_pass(runner->options.health, DISPATCHER_CHECK_PRODUCER);
    runner_forget(runner);
}

/* Outputs, offsets and state are one transaction, or are repeated as one. */
bool runner_send(struct runner *runner)
{
    int64_t began_us = monotonic_us();
    struct producer_result result;
    rd_kafka_topic_partition_list_t *offsets = batch_offsets(runner);
    const struct producer_batch batch = {
        .outputs = runner->batch.outputs,
        .sources = runner->sources,
        .count = runner->batch.output_count,
        .offsets = offsets,
        .consumer = consumer_client(runner->consumer),
    };
    producer_send(runner->producer, &batch, &result);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (result.outcome == PRODUCER_DONE)
        count_success(runner, began_us);
    else
        take_failure(runner, &result);
    return result.outcome == PRODUCER_DONE;
}
