/* The domain's lane_source over librdkafka: the live consumer, and the order of work in a turn.
 *
 * Threads: the loop alone. librdkafka's own threads fetch into a queue and signal a descriptor;
 * whatever would block is asked on the worker (kafka_ends.h).
 *
 * The invariant: whoever signals is heard. librdkafka signals only when its queue becomes filled,
 * so that who stops before it is empty has to signal the descriptor himself. */
#include "kafka_source.h"

#include <assert.h>
#include <string.h>

#include "event_descriptor.h"
#include "kafka_source_private.h"
#include "log.h"
#include "mem.h"

enum { BATCH = 128 };

/* --- Live reading ----------------------------------------------------------------------------- */

static struct kafka_lane *lane_of(struct kafka_source *source, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    struct kafka_lane *last = source->last;
    /* By name: a topic's handle may be another's by now, at the same address. */
    if (last && last->partition == message->partition && strcmp(last->topic, topic) == 0)
        return last;
    return source->last = kafka_lanes_named(&source->lanes, topic, message->partition);
}

/* Once for each lane and revision: every record of that producer says so. */
static void log_layout(const struct kafka_source *source, struct kafka_lane *entry,
                       const struct lane_record *record)
{
    if (record->layout == 0 || record->layout == entry->other_layout ||
        record->layout == layout_revision(source->config.layout))
        return;
    entry->other_layout = record->layout;
    log_warning("a producer has another layout than this gateway",
                LOG_STRING("topic", entry->topic), LOG_INTEGER("partition", entry->partition),
                LOG_INTEGER("offset", record->offset), LOG_UNSIGNED("layout", record->layout),
                LOG_UNSIGNED("ours", layout_revision(source->config.layout)));
}

static void source_take_record(struct kafka_source *source, struct kafka_lane *entry,
                               const rd_kafka_message_t *message)
{
    struct lane_record record;
    /* Given already. Positions only grow, whatever librdkafka gives again after an assignment. */
    if (message->offset < entry->position)
        return;
    kafka_record_view(message, &record);
    entry->position = message->offset + 1;
    source->stats.records++;
    source->stats.record_bytes += record.value.size;
    kafka_watch_heard(source, entry);
    log_layout(source, entry, &record);
    /* By clocks of two machines: below zero means no more than that they differ. */
    if (source->config.record_age && record.timestamp_ms > 0) {
        int64_t age_ms = source->wall_ms - record.timestamp_ms;
        metric_histogram_observe(source->config.record_age,
                                 age_ms > 0 ? (uint64_t)age_ms * 1000 : 0);
    }
    /* While it is being verified, a record may be of a log that was made anew: only the ends make
     * the lane available again. */
    if (!entry->verify)
        kafka_lane_available(source, entry);
    hub_record(source->hub, entry->lane, &record);
}

/* End of partition. It passes over what is no record (markers of transactions, aborted records),
 * where no message would ever move the position. */
static void source_take_end(struct kafka_source *source, struct kafka_lane *entry, int64_t end)
{
    if (end > entry->position)
        entry->position = end;
    kafka_watch_heard(source, entry);
    if (entry->verify)
        return;
    kafka_lane_available(source, entry);
    hub_lane_position(source->hub, entry->lane, entry->position);
}

static void take_trouble(struct kafka_source *source, struct kafka_lane *entry,
                         const rd_kafka_message_t *message)
{
    source->stats.errors++;
    log_warning("lane read failed", LOG_STRING("topic", entry->topic),
                LOG_INTEGER("partition", entry->partition),
                LOG_STRING("code", rd_kafka_err2name(message->err)));
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        kafka_lane_broken(source, entry, "truncated");
        return;
    }
    /* Deleted, perhaps to be created again, or a broker that does not know yet: its ends will tell.
     */
    entry->verify = true;
    kafka_lane_ask_at(source, entry, source->now_ms);
}

static void source_take_message(struct kafka_source *source, const rd_kafka_message_t *message)
{
    struct kafka_lane *entry = message->rkt ? lane_of(source, message) : NULL;
    if (!entry ||
        !entry->reading) /* closed meanwhile, or an error of no lane: told by live_error */
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        source_take_record(source, entry, message);
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        source_take_end(source, entry, message->offset);
    else
        take_trouble(source, entry, message);
}

/* True: the budget is used up and there may be more. The budget is there so that clients are served
 * in between; batches, so that the queue's lock is taken once for many. */
static bool drain_live(struct kafka_source *source)
{
    rd_kafka_message_t *batch[BATCH];
    unsigned budget = source->config.records_per_turn;
    while (source->live.handle && budget > 0) {
        ssize_t count = rd_kafka_consume_batch_queue(source->live.queue, 0, batch,
                                                     budget < BATCH ? budget : BATCH);
        if (count <= 0)
            return false;
        for (ssize_t i = 0; i < count; i++) {
            source_take_message(source, batch[i]);
            rd_kafka_message_destroy(batch[i]);
        }
        budget -= (unsigned)count;
    }
    return budget == 0;
}

/* --- What the hub asks ------------------------------------------------------------------------ */

static struct kafka_lane *entry_of(const struct kafka_source *source, const struct lane *lane)
{
    struct kafka_lane *entry = kafka_lanes_find(&source->lanes, lane);
    assert(entry);
    return entry;
}

static void open_lane(void *context, struct lane *lane, const char *topic, int32_t partition)
{
    struct kafka_source *source = context;
    struct kafka_lane *entry = kafka_lanes_add(&source->lanes, lane, topic, partition);
    const struct layout_topic *configured =
        layout_topic_find(source->config.layout, bytes_of_string(topic));
    entry->partition_count = configured ? configured->partition_count : 1;
    source->stats.lanes++;
    kafka_lane_ask_at(source, entry, 0);
}

static void reopen_lane(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    kafka_lane_start_over(source, entry_of(source, lane));
}

/* From the hub, perhaps in the middle of a drain: `last` must not keep the entry alive, and records
 * of it that are in the batch find no lane then. */
static void close_lane(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    struct kafka_lane *entry = entry_of(source, lane);
    if (source->scans)
        kafka_scan_cancel(source->scans, lane);
    if (entry->reading)
        kafka_lane_start_over(source, entry);
    source->stats.unavailable -= entry->unavailable;
    source->stats.lanes--;
    source->last = NULL;
    kafka_lanes_remove(&source->lanes, entry);
}

static void lane_ask_ends(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    struct kafka_lane *entry = entry_of(source, lane);
    entry->ends_wanted = true;
    kafka_lane_ask_at(source, entry, 0);
}

static void scan_lane(void *context, struct lane *lane, int64_t from, int64_t to)
{
    struct kafka_source *source = context;
    const struct kafka_lane *entry = entry_of(source, lane);
    assert(source->scans && from <= to);
    kafka_scan_start(source->scans, lane, entry->topic, entry->partition, from, to);
}

static void scan_resume(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    kafka_scan_resume(source->scans, lane);
}

static void scan_cancel(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    entry_of(source, lane)->scan_status = STATUS_OK;
    kafka_scan_cancel(source->scans, lane);
}

static struct kafka_states_log log_of(const struct kafka_lane *entry)
{
    return (struct kafka_states_log){entry->lane, entry->topic, entry->partition,
                                     entry->partition_count};
}

static void ask_state_ends(void *context, struct lane *lane, bool of_lane, unsigned question)
{
    struct kafka_source *source = context;
    const struct kafka_states_log log = log_of(entry_of(source, lane));
    kafka_states_ask(source->states, &log, of_lane, question);
}

static void read_kept_log(void *context, struct lane *lane, int64_t from, int64_t to)
{
    struct kafka_source *source = context;
    const struct kafka_states_log log = log_of(entry_of(source, lane));
    kafka_states_read(source->states, &log, from, to);
}

static void cancel_state(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    kafka_states_cancel(source->states, lane);
}

const struct lane_source_ops kafka_source_ops = {.open = open_lane,
                                                 .close = close_lane,
                                                 .reopen = reopen_lane,
                                                 .ends = lane_ask_ends,
                                                 .scan = scan_lane,
                                                 .scan_resume = scan_resume,
                                                 .scan_cancel = scan_cancel,
                                                 .state_ends = ask_state_ends,
                                                 .state_read = read_kept_log,
                                                 .state_cancel = cancel_state};

/* --- Life and turns --------------------------------------------------------------------------- */

enum status kafka_source_open(const struct kafka_source_config *config,
                              struct kafka_source **source, struct error *error)
{
    struct kafka_source *made = mem_new(struct kafka_source);
    made->config = *config;
    made->lanes.seed = config->hash_seed;
    made->ask_ms = INT64_MAX;
    made->probe_ms = 0; /* the broker is looked for at once */
    enum status status = kafka_asker_open(config->settings, config->client_id, &made->asker, error);
    if (status == STATUS_OK)
        *source = made;
    else
        free(made);
    return status;
}

/* The descriptor last, because librdkafka writes to it until its handles have ended. */
void kafka_source_close(struct kafka_source *source)
{
    if (!source)
        return;
    kafka_asker_stop(&source->asker);
    kafka_ends_round_free(source->round);
    kafka_scan_pool_close(source->scans);
    kafka_states_close(source->states);
    kafka_client_close(&source->live);
    kafka_lanes_deinit(&source->lanes);
    kafka_asker_close(&source->asker);
    free(source);
}

void kafka_source_attach(struct kafka_source *source, struct hub *hub)
{
    source->hub = hub;
}

int kafka_source_descriptor(const struct kafka_source *source)
{
    return source->asker.descriptor;
}

/* Cleared before anything is looked at: what comes later signals again. Answers first, since they
 * decide about lanes whose records follow; entries are freed last. */
void kafka_source_service(struct kafka_source *source, int64_t now_ms, int64_t wall_ms)
{
    source->now_ms = now_ms;
    source->wall_ms = wall_ms;
    event_descriptor_clear(source->asker.descriptor);
    worker_collect(source->asker.worker);
    bool more = drain_live(source);
    if (source->scans)
        more = kafka_scan_service(source->scans, now_ms) || more;
    if (source->states)
        more = kafka_states_service(source->states, now_ms) || more;
    kafka_watch_run(source);
    kafka_rounds_run(source);
    kafka_lanes_reap(&source->lanes);
    if (more)
        event_descriptor_signal(source->asker.descriptor);
}

void kafka_source_service_live(struct kafka_source *source, int64_t now_ms, int64_t wall_ms)
{
    source->now_ms = now_ms;
    source->wall_ms = wall_ms;
    if (drain_live(source))
        event_descriptor_signal(source->asker.descriptor);
}

int64_t kafka_source_deadline_ms(const struct kafka_source *source)
{
    int64_t deadline = source->scans ? kafka_scan_deadline_ms(source->scans) : INT64_MAX;
    if (source->states && kafka_states_deadline_ms(source->states) < deadline)
        deadline = kafka_states_deadline_ms(source->states);
    /* Nothing of ours is due before its answer, which wakes the loop. */
    if (source->round)
        return deadline;
    if (source->ask_ms < deadline)
        deadline = source->ask_ms;
    return source->probe_ms < deadline ? source->probe_ms : deadline;
}

bool kafka_source_ready(const struct kafka_source *source, const char **detail)
{
    bool ready = source->answered && !source->away;
    *detail = ready ? (source->mock ? "embedded broker: at least once only" : "reached")
              : source->answered ? "broker away"
                                 : "broker not reached yet";
    return ready;
}

bool kafka_source_was_reached(const struct kafka_source *source)
{
    return source->answered;
}

bool kafka_source_is_mock(const struct kafka_source *source)
{
    return source->mock;
}

const struct kafka_source_stats *kafka_source_stats(const struct kafka_source *source)
{
    return &source->stats;
}

static const struct kafka_scan_stats no_scans;

const struct kafka_scan_stats *kafka_source_scan_stats(const struct kafka_source *source)
{
    return source->scans ? kafka_scan_stats(source->scans) : &no_scans;
}

const struct kafka_scan_stats *kafka_source_state_stats(const struct kafka_source *source)
{
    return source->states ? kafka_states_stats(source->states) : &no_scans;
}
