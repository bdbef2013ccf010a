/* The batch: from records read to outputs, and back to the partitions if it cannot be sent. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "event_batch.h"
#include "log.h"
#include "mem.h"
#include "runner_private.h"

enum { IDLE_POLL_MS = 100, REWIND_TIMEOUT_MS = 5000, REWIND_RETRY_MS = 500, CLOCK_EVERY = 32 };

/* Who decides about one review decides about the next soon: for so long after a command, a batch of
 * events is a share of what it may be, as the next command waits for its end. */
enum { PEOPLE_STAY_US = 10 * 1000000, SHARE_BESIDE_PEOPLE = 8 };

static void add_message(struct runner *runner, rd_kafka_message_t *message)
{
    assert(runner->count < runner->limit && !message->err);
    runner->messages[runner->count++] = message;
    runner->bytes += message->len + message->key_len;
}

/* The last record may go beyond the bytes: there is always room for one, however large. */
static bool batch_is_full(const struct runner *runner, size_t most)
{
    return runner->count >= most || runner->bytes >= (size_t)runner->options.settings->batch_bytes;
}

static bool is_review_command(const struct runner *runner, const rd_kafka_message_t *message)
{
    const char *log = runner->options.settings->review_log;
    return log && strcmp(rd_kafka_topic_name(message->rkt), log) == 0;
}

/* People wait for what commands about reviews come to: those that are there end the batch, and do
 * not wait for thousands of events beside them. */
static void end_with_commands(struct runner *runner)
{
    int64_t gap_us = runner->options.settings->commit_gap_ms * 1000;
    int64_t now_us = monotonic_us();
    rd_kafka_message_t *message;
    while (!batch_is_full(runner, runner->limit) &&
           (message = consumer_poll_first(runner->consumer)))
        add_message(runner, message);
    if (runner->count == 0)
        return;
    runner->had_first = true;
    runner->people_until_us = now_us + PEOPLE_STAY_US;
    runner_heard(runner, now_us / 1000);
    if (now_us - runner->sent_us < gap_us)
        runner_pause(runner, (gap_us - (now_us - runner->sent_us) + 999) / 1000);
}

static size_t most_events(const struct runner *runner, int64_t now_us)
{
    size_t share = (size_t)runner->options.settings->batch_events / SHARE_BESIDE_PEOPLE + 1;
    return now_us < runner->people_until_us && share < runner->limit ? share : runner->limit;
}

/* Takes what is there, and waits only as long as a transaction must not begin yet anyway. A
 * batch grows by itself under load: while one is sent, the next one fills. The clock is read for
 * some records only, as it costs as much as taking a record from the queue. */
void runner_collect(struct runner *runner)
{
    const struct settings *settings = runner->options.settings;
    int64_t gap_us = settings->commit_gap_ms * 1000;
    bool ends = !runner->had_first; /* events have every other batch at least */
    runner->had_first = false;
    if (ends)
        end_with_commands(runner);
    if (runner->count > 0)
        return;
    rd_kafka_message_t *message = consumer_poll(runner->consumer, IDLE_POLL_MS);
    if (!message)
        return;
    int64_t now_us = monotonic_us();
    runner_heard(runner, now_us / 1000);
    int64_t end_us = now_us + settings->batch_ms * 1000;
    size_t most = most_events(runner, now_us);
    for (;;) {
        if (message)
            add_message(runner, message);
        if (message && ends && is_review_command(runner, message)) {
            end_with_commands(runner);
            return;
        }
        if (runner->count % CLOCK_EVERY == 0 || !message)
            now_us = monotonic_us();
        if (batch_is_full(runner, most) || now_us >= end_us)
            return;
        message = consumer_poll(runner->consumer, 0);
        if (message)
            continue;
        now_us = monotonic_us();
        if (now_us - runner->sent_us >= gap_us)
            return;
        int64_t rest_ms = (gap_us - (now_us - runner->sent_us) + 999) / 1000;
        message = consumer_poll(runner->consumer, (int)rest_ms);
    }
}

/* There are few, and hardly ever any. */
static const struct rejected *find_rejected(const struct runner *runner,
                                            const struct record *record)
{
    for (size_t i = 0; i < runner->rejected_count; i++) {
        const struct rejected *rejected = &runner->rejected[i];
        if (rejected->partition == record->partition && rejected->offset == record->offset &&
            bytes_equal_string(record->topic, rejected->topic))
            return rejected;
    }
    return NULL;
}

/* Outputs without a record of their own (state) have source -1: an error of theirs is nobody's
 * fault. */
static void note_sources(struct runner *runner, size_t from, int source)
{
    if (runner->batch.output_count > runner->source_capacity) {
        runner->source_capacity = runner->batch.output_count * 2;
        runner->sources = mem_resize(runner->sources, runner->source_capacity, sizeof(int));
    }
    for (size_t i = from; i < runner->batch.output_count; i++)
        runner->sources[i] = source;
}

/* Bounded as every line of the log: an event's first room, and some events. */
static void log_skipped(const struct runner *runner, const struct record *record,
                        const struct decision *decision)
{
    const struct rule_set *rules = pipeline_rules(runner->pipeline);
    const struct skipped_room *skipped = decision->skipped;
    log_info("room left out", LOG_BYTES("rule", rule_set_at(rules, skipped->rule)->name),
             LOG_BYTES("room", skipped->room), LOG_STRING("why", room_skip_name(skipped->reason)),
             LOG_BYTES("reason", skipped->problem), LOG_UNSIGNED("rooms", decision->skipped_count),
             LOG_BYTES("event", decision->event_id), LOG_BYTES("topic", record->topic),
             LOG_INTEGER("partition", record->partition), LOG_INTEGER("offset", record->offset));
}

static void log_remarks(const struct record *record, const struct decision *decision)
{
    for (size_t i = 0; i < EVENT_REMARK_COUNT; i++)
        if (decision->remarks[i])
            log_info("event is not as it says", LOG_STRING("reason", decision->remarks[i]),
                     LOG_BYTES("event", decision->event_id), LOG_BYTES("topic", record->topic),
                     LOG_INTEGER("partition", record->partition),
                     LOG_INTEGER("offset", record->offset));
}

/* Bounded likewise: what differs is counted, and here are some of the events. */
static void log_findings(const struct runner *runner, size_t first, const struct record *record,
                         const struct decision *decision)
{
    const struct rule_set *tried = rule_set_shadows(pipeline_rules(runner->pipeline));
    for (size_t i = first; i < runner->batch.finding_count; i++) {
        const struct shadow_finding *finding = &runner->batch.findings[i];
        if (finding->verdict != SHADOW_SAME)
            log_info("rule in shadow differs",
                     LOG_BYTES("rule", rule_set_at(tried, finding->rule)->name),
                     LOG_STRING("verdict", shadow_verdict_name(finding->verdict)),
                     LOG_BYTES("event", decision->event_id), LOG_BYTES("topic", record->topic),
                     LOG_INTEGER("partition", record->partition),
                     LOG_INTEGER("offset", record->offset));
    }
}

/* Each event of a record, in order; all of them are outputs of the one record, whose offset is
 * committed with them. */
static void judge_record(struct runner *runner, const struct record *record)
{
    const struct event_batch_limits limits = {
        .bytes = (size_t)runner->options.settings->event_bytes,
        .events = (unsigned)runner->options.settings->events_per_record};
    struct partition_state *state =
        state_store_find(runner->store, record->topic, record->partition);
    struct event_batch events;
    event_batch_open(&events, record, &limits, &runner->batch.arena);
    while (event_batch_next(&events)) {
        struct decision decision = {0};
        size_t findings = runner->batch.finding_count;
        pipeline_process(runner->pipeline, state, &events.event, &runner->batch, &decision);
        if (decision.skipped)
            log_skipped(runner, record, &decision);
        log_remarks(record, &decision);
        shadow_judge(runner->shadow, &events.event, &decision, &runner->batch);
        log_findings(runner, findings, record, &decision);
    }
}

/* The clock of the log of reviews is the broker's. Ours may be behind it, and is then not believed; if
 * it is ahead by as much as commands may wait, they are all void, which the log and a metric tell. A
 * time that is not the broker's word, or is of another batch, says nothing: whoever was ahead once
 * would void what all others say from then on. */
static void tell_log_time(struct runner *runner, int64_t now_ms)
{
    const char *log = runner->options.settings->review_log;
    int64_t newest_ms = 0;
    for (size_t i = 0; log && i < runner->count; i++) {
        rd_kafka_timestamp_type_t type;
        int64_t time_ms = rd_kafka_message_timestamp(runner->messages[i], &type);
        if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME && time_ms > newest_ms &&
            strcmp(rd_kafka_topic_name(runner->messages[i]->rkt), log) == 0)
            newest_ms = time_ms;
    }
    if (newest_ms > 0)
        log_clock_see(&runner->clock, newest_ms, monotonic_ms());
    pipeline_set_log_time(runner->pipeline, now_ms > newest_ms ? now_ms : newest_ms);
}

static void log_void(const struct runner *runner)
{
    uint64_t count = runner->batch.counts.review_records[REVIEW_VOID];
    if (count > 0)
        log_warning(
            "commands about reviews are void: they were in their log for more than 30 s, or "
            "this machine's clock is ahead of the broker's",
            LOG_UNSIGNED("commands", count));
}

/* The state is flushed last, as it belongs to all records of the batch, and its records are
 * outputs of the same transaction. */
void runner_judge(struct runner *runner)
{
    int64_t now_ms = wall_ms();
    batch_reset(&runner->batch);
    pipeline_set_time(runner->pipeline, now_ms);
    tell_log_time(runner, now_ms);
    for (size_t i = 0; i < runner->count; i++) {
        struct record record;
        size_t before = runner->batch.output_count;
        consumer_read_record(runner->messages[i], &runner->batch.arena, &record);
        record.content_type =
            input_types_find(&runner->options.settings->content_types, record.topic);
        if (record.timestamp_ms > 0 && now_ms > record.timestamp_ms)
            metric_histogram_observe(runner->options.metrics->stage_wait,
                                     (uint64_t)(now_ms - record.timestamp_ms) * 1000);
        const struct rejected *rejected =
            runner->rejected_count == 0 ? NULL : find_rejected(runner, &record);
        if (rejected)
            pipeline_reject(runner->pipeline, &record, rejected->problem, &runner->batch);
        else
            judge_record(runner, &record);
        note_sources(runner, before, (int)i);
    }
    log_void(runner);
    size_t before = runner->batch.output_count;
    runner_fire_timers(runner);
    batch_supersede_items(&runner->batch, runner->hash_seed);
    state_store_flush(runner->store, &runner->batch);
    note_sources(runner, before, -1);
}

/* Known by its place and not by its content: the same bytes may stand elsewhere and be fine. It
 * is read again and becomes a dead letter then, so that its other outputs are made anew without
 * it. */
void runner_reject(struct runner *runner, int index, const char *problem)
{
    assert(index >= 0 && (size_t)index < runner->count);
    const rd_kafka_message_t *message = runner->messages[index];
    if (runner->rejected_count == REJECTED_LIMIT) {
        /* Most were sent long ago; those that were not are found again, in batches whose rejected
         * records all have a place here. */
        runner->rejected_count = 0;
        runner->limit = runner->limit < REJECTED_LIMIT / 2 ? runner->limit : REJECTED_LIMIT / 2;
    }
    struct rejected *rejected = &runner->rejected[runner->rejected_count++];
    snprintf(rejected->topic, sizeof(rejected->topic), "%s", rd_kafka_topic_name(message->rkt));
    snprintf(rejected->problem, sizeof(rejected->problem), "%s", problem);
    rejected->partition = message->partition;
    rejected->offset = message->offset;
    log_warning("record cannot be sent, it becomes a dead letter",
                LOG_STRING("topic", rejected->topic), LOG_INTEGER("partition", rejected->partition),
                LOG_INTEGER("offset", rejected->offset), LOG_STRING("reason", problem));
}

void runner_forget(struct runner *runner)
{
    for (size_t i = 0; i < runner->count; i++)
        rd_kafka_message_destroy(runner->messages[i]);
    runner->count = 0;
    runner->bytes = 0;
}

/* Order is kept: records of one partition must stay in the order of their offsets. */
void runner_drop(struct runner *runner, const rd_kafka_topic_partition_list_t *partitions)
{
    size_t kept = 0;
    for (size_t i = 0; i < runner->count; i++) {
        rd_kafka_message_t *message = runner->messages[i];
        bool dropped = false;
        for (int k = 0; k < partitions->cnt && !dropped; k++)
            dropped = partitions->elems[k].partition == message->partition &&
                      strcmp(partitions->elems[k].topic, rd_kafka_topic_name(message->rkt)) == 0;
        if (!dropped) {
            runner->messages[kept++] = message;
            continue;
        }
        assert(runner->bytes >= message->len + message->key_len);
        runner->bytes -= message->len + message->key_len;
        rd_kafka_message_destroy(message);
    }
    runner->count = kept;
    assert(kept > 0 || runner->bytes == 0);
}

/* Where to read from if the partition has no committed offset yet. */
static rd_kafka_topic_partition_list_t *first_offsets(const struct runner *runner)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < runner->count; i++) {
        const rd_kafka_message_t *message = runner->messages[i];
        const char *topic = rd_kafka_topic_name(message->rkt);
        if (!rd_kafka_topic_partition_list_find(list, topic, message->partition))
            rd_kafka_topic_partition_list_add(list, topic, message->partition)->offset =
                message->offset;
    }
    return list;
}

/* Tries for as long as it takes: to go on without it would skip the batch. */
void runner_give_back(struct runner *runner)
{
    rd_kafka_topic_partition_list_t *list = first_offsets(runner);
    runner_forget(runner);
    state_store_rollback(runner->store);
    metric_counter_add(runner->options.metrics->rewinds, 1);
    while (!runner_stopped(runner)) {
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        if (consumer_rewind(runner->consumer, list, REWIND_TIMEOUT_MS) == STATUS_OK)
            break;
        log_warning("records cannot be read again yet");
        runner_pause(runner, REWIND_RETRY_MS);
    }
    rd_kafka_topic_partition_list_destroy(list);
}
