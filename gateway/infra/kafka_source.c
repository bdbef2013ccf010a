#include "kafka_source.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "event_descriptor.h"
#include "kafka_client.h"
#include "kafka_ends.h"
#include "kafka_lanes.h"
#include "log.h"
#include "mem.h"
#include "worker.h"

enum {
    BATCH = 128,
    RETRY_FIRST_MS = 100,
    RETRY_LAST_MS = 1000,
    PROBE_SOON_MS = 250,  /* after a sign of trouble */
    PROBE_AWAY_MS = 1000, /* while the broker is away */
    SHORT_MS = 5000,      /* a log that ends below the position is believed after so long */
    SCAN_STALL_MS = 30000,
};

struct kafka_source {
    struct kafka_source_config config;
    struct hub *hub;
    int descriptor;
    struct worker *worker;
    struct kafka_client asking; /* the worker's */
    struct kafka_client live;   /* opened when the broker has answered for the first time */
    struct kafka_scan_pool *scans;
    struct kafka_lanes lanes;
    struct kafka_ends_round *round; /* under way, or NULL */
    bool answered;                  /* the broker did, once */
    bool mock;
    bool away;
    bool trouble; /* librdkafka reported some since the broker last answered */
    unsigned failures;
    int64_t ask_ms;   /* when a lane needs the next round; INT64_MAX: none does */
    int64_t probe_ms; /* when the next round is due anyway */
    int64_t away_since_wall_ms;
    int64_t now_ms;
    int64_t wall_ms;
    struct kafka_lane *last; /* where the last record belonged */
    const void *last_topic;  /* the rd_kafka_topic_t it came with */
    struct kafka_source_stats stats;
};

/* --- One lane
 * --------------------------------------------------------------------------------------------- */

static void live_change(struct kafka_source *source, const struct kafka_lane *entry, bool assign)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, entry->topic, entry->partition)->offset =
        entry->position;
    rd_kafka_error_t *error = assign ? rd_kafka_incremental_assign(source->live.handle, list)
                                     : rd_kafka_incremental_unassign(source->live.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!error)
        return;
    log_error("assignment failed", LOG_STRING("topic", entry->topic),
              LOG_INTEGER("partition", entry->partition),
              LOG_STRING("error", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
    source->stats.errors++;
}

/* The lane's ends are asked for at this time, or as soon as the round under way is over. */
static void ask_at(struct kafka_source *source, struct kafka_lane *entry, int64_t time_ms)
{
    entry->retry_ms = time_ms;
    if (time_ms < source->ask_ms)
        source->ask_ms = time_ms;
    event_descriptor_signal(source->descriptor);
}

static void start_over(struct kafka_source *source, struct kafka_lane *entry)
{
    if (entry->reading) {
        live_change(source, entry, false);
        entry->reading = false;
        source->stats.reading--;
    }
    entry->verify = false;
    entry->short_since_ms = 0;
    entry->attempts = 0;
    ask_at(source, entry, 0);
}

static void lane_unavailable(struct kafka_source *source, struct kafka_lane *entry,
                             const char *reason)
{
    if (entry->unavailable && strcmp(entry->reason, reason) == 0)
        return;
    if (!entry->unavailable)
        source->stats.unavailable++;
    entry->unavailable = true;
    entry->reason = reason;
    if (!source->away) /* else one line said it for all */
        log_warning("lane unavailable", LOG_STRING("topic", entry->topic),
                    LOG_INTEGER("partition", entry->partition), LOG_STRING("reason", reason));
    hub_lane_unavailable(source->hub, entry->lane, reason,
                         source->away ? source->away_since_wall_ms : source->wall_ms);
}

static void lane_available(struct kafka_source *source, struct kafka_lane *entry)
{
    entry->attempts = 0;
    if (!entry->unavailable)
        return;
    entry->unavailable = false;
    source->stats.unavailable--;
    if (strcmp(entry->reason, KAFKA_ENDS_BROKER) != 0)
        log_info("lane available", LOG_STRING("topic", entry->topic),
                 LOG_INTEGER("partition", entry->partition));
}

/* The hub asks for the lane again from inside hub_lane_broken(), if it still wants it. */
static void lane_broken(struct kafka_source *source, struct kafka_lane *entry, const char *reason)
{
    log_warning("lane broken", LOG_STRING("topic", entry->topic),
                LOG_INTEGER("partition", entry->partition),
                LOG_INTEGER("position", entry->position), LOG_STRING("reason", reason));
    source->stats.broken++;
    start_over(source, entry);
    hub_lane_broken(source->hub, entry->lane, reason);
}

static void lane_opened(struct kafka_source *source, struct kafka_lane *entry,
                        const struct kafka_ends_request *answer)
{
    entry->first = answer->first;
    entry->position = answer->end;
    entry->reading = true;
    entry->verify = false;
    live_change(source, entry, true);
    lane_available(source, entry);
    source->stats.opened++;
    source->stats.reading++;
    hub_lane_opened(source->hub, entry->lane, answer->first, answer->end);
}

/* The broker was away: is the log still the one that was read? */
static void lane_verified(struct kafka_source *source, struct kafka_lane *entry,
                          const struct kafka_ends_request *answer)
{
    if (answer->first > entry->position) {
        lane_broken(source, entry, "overtaken_by_retention");
        return;
    }
    if (answer->end < entry->position) {
        if (entry->short_since_ms == 0)
            entry->short_since_ms = source->now_ms;
        if (source->now_ms - entry->short_since_ms >= SHORT_MS)
            lane_broken(source, entry, "truncated");
        else
            ask_at(source, entry, source->now_ms + RETRY_LAST_MS);
        return;
    }
    entry->verify = false;
    entry->short_since_ms = 0;
    lane_available(source, entry);
    hub_lane_position(source->hub, entry->lane, entry->position);
}

/* --- Rounds: what the broker is asked
 * --------------------------------------------------------------------- */

static bool lane_asks(const struct kafka_lane *entry)
{
    return !entry->reading || entry->verify || entry->ends_wanted ||
           entry->scan_status != STATUS_OK;
}

static void lane_refused(struct kafka_source *source, struct kafka_lane *entry,
                         const struct kafka_ends_request *answer)
{
    int64_t pause = RETRY_FIRST_MS;
    for (unsigned i = 0; i < entry->attempts && pause < RETRY_LAST_MS; i++)
        pause *= 2;
    entry->attempts++;
    ask_at(source, entry, source->now_ms + (pause < RETRY_LAST_MS ? pause : RETRY_LAST_MS));
    source->stats.retries++;
    if (!entry->reading || entry->verify)
        lane_unavailable(source, entry, answer->reason);
}

static void lane_answer(struct kafka_source *source, struct kafka_lane *entry,
                        const struct kafka_ends_request *answer)
{
    if (answer->status != STATUS_OK) {
        lane_refused(source, entry, answer);
        return;
    }
    enum status scan_status = entry->scan_status;
    bool ends_wanted = entry->ends_wanted;
    entry->first = answer->first;
    entry->scan_status = STATUS_OK;
    entry->ends_wanted = false;
    entry->attempts = 0;
    if (scan_status != STATUS_OK)
        hub_scan_ended(source->hub, entry->lane, scan_status, answer->first);
    if (ends_wanted && entry->lane)
        hub_lane_ends(source->hub, entry->lane, answer->first, answer->end);
    if (!entry->lane)
        return;
    if (!entry->reading)
        lane_opened(source, entry, answer);
    else if (entry->verify)
        lane_verified(source, entry, answer);
}

static void broker_away(struct kafka_source *source)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    source->failures++;
    source->probe_ms = source->now_ms + PROBE_AWAY_MS;
    if (source->away)
        return;
    /* One failure without any other sign may be a process that was stopped meanwhile. */
    if (source->answered && !source->trouble && source->failures < 2) {
        source->probe_ms = source->now_ms;
        return;
    }
    source->away = true;
    source->away_since_wall_ms = source->wall_ms;
    source->stats.broker_lost++;
    log_error("broker away", LOG_STRING("state", source->answered ? "lost" : "not reached yet"));
    KAFKA_LANES_FOREACH(&source->lanes, entry, scratch)
    {
        entry->verify = entry->reading;
        lane_unavailable(source, entry, KAFKA_ENDS_BROKER);
    }
}

/* Called by librdkafka from inside a drain, so on the loop. */
static void live_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct kafka_source *source = opaque;
    (void)client;
    source->stats.errors++;
    log_warning("kafka", LOG_STRING("code", rd_kafka_err2name((rd_kafka_resp_err_t)code)),
                LOG_STRING("reason", reason));
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        source->trouble = true;
    if (source->probe_ms > source->now_ms + PROBE_SOON_MS)
        source->probe_ms = source->now_ms + PROBE_SOON_MS;
}

static bool scan_record(void *context, struct lane *lane, const struct lane_record *record)
{
    const struct kafka_source *source = context;
    return hub_scan_record(source->hub, lane, record);
}

/* The hub wants to know where the log begins now; if the scan failed, that must be asked for. */
static void scan_ended(void *context, struct lane *lane, enum status status)
{
    struct kafka_source *source = context;
    struct kafka_lane *entry = kafka_lanes_find(&source->lanes, lane);
    assert(entry);
    if (status == STATUS_OK) {
        hub_scan_ended(source->hub, lane, status, entry->first);
        return;
    }
    log_warning("scan ended early", LOG_STRING("topic", entry->topic),
                LOG_INTEGER("partition", entry->partition),
                LOG_STRING("reason", status_text(status)));
    entry->scan_status = status;
    ask_at(source, entry, 0);
}

static bool open_clients(struct kafka_source *source)
{
    struct kafka_client_options options = {.settings = source->config.settings,
                                           .client_id = source->config.client_id,
                                           .purpose = KAFKA_PURPOSE_LIVE,
                                           .mock = source->mock,
                                           .wake_descriptor = source->descriptor,
                                           .on_error = live_error,
                                           .opaque = source};
    struct error error;
    if (kafka_client_open(&options, &source->live, &error) != STATUS_OK) {
        log_error("live consumer failed", LOG_STRING("error", error.text));
        return false;
    }
    struct kafka_scan_pool_config scans = {.settings = source->config.settings,
                                           .client_id = source->config.client_id,
                                           .wake_descriptor = source->descriptor,
                                           .consumers = source->config.scans,
                                           .mock = source->mock,
                                           .stall_ms = SCAN_STALL_MS,
                                           .record = scan_record,
                                           .ended = scan_ended,
                                           .context = source};
    source->scans = kafka_scan_pool_open(&scans);
    return true;
}

static void broker_here(struct kafka_source *source, const struct kafka_ends_round *round)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    if (round->ask_mock)
        source->mock = round->mock;
    if (!source->live.handle && !open_clients(source)) {
        source->probe_ms = source->now_ms + PROBE_AWAY_MS;
        return;
    }
    if (!source->answered || source->away) {
        if (source->mock)
            log_warning("embedded broker reached: in memory, without transactions, at least once");
        else
            log_info("broker reached");
        KAFKA_LANES_FOREACH(&source->lanes, entry, scratch)
        {
            if (lane_asks(entry))
                ask_at(source, entry, 0);
        }
    }
    source->answered = true;
    source->away = false;
    source->trouble = false;
    source->failures = 0;
    source->probe_ms = source->now_ms + source->config.probe_interval_ms;
}

static void round_done(struct worker_job *job)
{
    struct kafka_ends_round *round = (struct kafka_ends_round *)job;
    struct kafka_source *source = round->owner;
    source->round = NULL;
    if (round->status == STATUS_OK)
        broker_here(source, round);
    else
        broker_away(source);
    for (size_t i = 0; i < round->count; i++) {
        const struct kafka_ends_request *answer = &round->requests[i];
        struct kafka_lane *entry =
            kafka_lanes_named(&source->lanes, answer->topic, answer->partition);
        if (!entry || entry->id != answer->id)
            continue;
        if (source->live.handle)
            lane_answer(source, entry, answer);
        else
            ask_at(source, entry, source->now_ms + RETRY_LAST_MS);
    }
    kafka_ends_round_free(round);
}

/* Takes up every lane that is due, and finds out when the next one will be. */
static void start_round(struct kafka_source *source)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    struct kafka_ends_round *round = kafka_ends_round_new(source->asking.handle);
    round->job.done = round_done;
    round->owner = source;
    round->ask_mock = !source->answered;
    source->ask_ms = INT64_MAX;
    KAFKA_LANES_FOREACH(&source->lanes, entry, scratch)
    {
        if (!lane_asks(entry))
            continue;
        if (entry->retry_ms > source->now_ms || round->count == KAFKA_ENDS_REQUESTS_LIMIT) {
            if (entry->retry_ms < source->ask_ms)
                source->ask_ms = entry->retry_ms;
            continue;
        }
        struct kafka_ends_request *request = kafka_ends_add(round, entry->topic, entry->partition);
        request->id = entry->id;
        request->partition_count = entry->partition_count;
    }
    source->round = round;
    worker_submit(source->worker, &round->job);
}

/* --- Live reading
 * ----------------------------------------------------------------------------------------- */

static struct kafka_lane *lane_of(struct kafka_source *source, const rd_kafka_message_t *message)
{
    if (source->last && source->last_topic == message->rkt &&
        source->last->partition == message->partition)
        return source->last;
    struct kafka_lane *entry =
        kafka_lanes_named(&source->lanes, rd_kafka_topic_name(message->rkt), message->partition);
    source->last = entry;
    source->last_topic = message->rkt;
    return entry;
}

static void take_record(struct kafka_source *source, struct kafka_lane *entry,
                        const rd_kafka_message_t *message)
{
    struct lane_record record;
    if (message->offset < entry->position)
        return;
    kafka_record_view(message, &record);
    entry->position = message->offset + 1;
    source->stats.records++;
    source->stats.record_bytes += record.value.size;
    if (source->config.record_age && record.timestamp_ms > 0) {
        int64_t age_ms = source->wall_ms - record.timestamp_ms;
        metric_histogram_observe(source->config.record_age,
                                 age_ms > 0 ? (uint64_t)age_ms * 1000 : 0);
    }
    if (!entry->verify)
        lane_available(source, entry);
    hub_record(source->hub, entry->lane, &record);
}

static void take_end(struct kafka_source *source, struct kafka_lane *entry, int64_t end)
{
    if (end > entry->position)
        entry->position = end;
    if (!entry->verify)
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
        lane_broken(source, entry, "truncated");
        return;
    }
    /* Deleted, perhaps to be created again, or a broker that does not know yet: its ends will tell.
     */
    entry->verify = true;
    ask_at(source, entry, source->now_ms);
}

static void take_message(struct kafka_source *source, const rd_kafka_message_t *message)
{
    struct kafka_lane *entry = message->rkt ? lane_of(source, message) : NULL;
    if (!entry ||
        !entry->reading) /* closed meanwhile, or an error of no lane: told by live_error */
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        take_record(source, entry, message);
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        take_end(source, entry, message->offset);
    else
        take_trouble(source, entry, message);
}

/* True: the budget is used up and there may be more. */
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
            take_message(source, batch[i]);
            rd_kafka_message_destroy(batch[i]);
        }
        budget -= (unsigned)count;
    }
    return budget == 0;
}

/* --- What the hub asks
 * ------------------------------------------------------------------------------------ */

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
    ask_at(source, entry, 0);
}

static void reopen_lane(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    start_over(source, entry_of(source, lane));
}

static void close_lane(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    struct kafka_lane *entry = entry_of(source, lane);
    if (source->scans)
        kafka_scan_cancel(source->scans, lane);
    if (entry->reading)
        start_over(source, entry);
    source->stats.unavailable -= entry->unavailable;
    source->stats.lanes--;
    source->last = NULL;
    kafka_lanes_remove(&source->lanes, entry);
}

static void ask_ends(void *context, struct lane *lane)
{
    struct kafka_source *source = context;
    struct kafka_lane *entry = entry_of(source, lane);
    entry->ends_wanted = true;
    ask_at(source, entry, 0);
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

const struct lane_source_ops kafka_source_ops = {.open = open_lane,
                                                 .close = close_lane,
                                                 .reopen = reopen_lane,
                                                 .ends = ask_ends,
                                                 .scan = scan_lane,
                                                 .scan_resume = scan_resume,
                                                 .scan_cancel = scan_cancel};

/* --- Life and turns
 * --------------------------------------------------------------------------------------- */

enum status kafka_source_open(const struct kafka_source_config *config,
                              struct kafka_source **source, struct error *error)
{
    struct kafka_source *made = mem_new(struct kafka_source);
    made->config = *config;
    made->ask_ms = INT64_MAX;
    made->probe_ms = 0; /* the broker is looked for at once */
    struct kafka_client_options asking = {.settings = config->settings,
                                          .client_id = config->client_id,
                                          .purpose = KAFKA_PURPOSE_ASKING};
    enum status status = event_descriptor_open(&made->descriptor, error);
    if (status != STATUS_OK)
        goto failed;
    status = kafka_client_open(&asking, &made->asking, error);
    if (status != STATUS_OK)
        goto failed_client;
    status = worker_open(made->descriptor, &made->worker, error);
    if (status != STATUS_OK)
        goto failed_worker;
    event_descriptor_signal(made->descriptor);
    *source = made;
    return STATUS_OK;

failed_worker:
    kafka_client_close(&made->asking);
failed_client:
    close(made->descriptor);
failed:
    free(made);
    return status;
}

void kafka_source_close(struct kafka_source *source)
{
    if (!source)
        return;
    worker_close(source->worker);
    kafka_ends_round_free(source->round);
    kafka_scan_pool_close(source->scans);
    kafka_client_close(&source->live);
    kafka_client_close(&source->asking);
    kafka_lanes_deinit(&source->lanes);
    close(source->descriptor);
    free(source);
}

void kafka_source_attach(struct kafka_source *source, struct hub *hub)
{
    source->hub = hub;
}

int kafka_source_descriptor(const struct kafka_source *source)
{
    return source->descriptor;
}

void kafka_source_service(struct kafka_source *source, int64_t now_ms, int64_t wall_ms)
{
    source->now_ms = now_ms;
    source->wall_ms = wall_ms;
    event_descriptor_clear(source->descriptor);
    worker_collect(source->worker);
    bool more = drain_live(source);
    if (source->scans)
        more = kafka_scan_service(source->scans, now_ms) || more;
    if (!source->round && (source->ask_ms <= now_ms || source->probe_ms <= now_ms))
        start_round(source);
    kafka_lanes_reap(&source->lanes);
    if (more)
        event_descriptor_signal(source->descriptor);
}

int64_t kafka_source_deadline_ms(const struct kafka_source *source)
{
    int64_t deadline = source->scans ? kafka_scan_deadline_ms(source->scans) : INT64_MAX;
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

bool kafka_source_is_mock(const struct kafka_source *source)
{
    return source->mock;
}

const struct kafka_source_stats *kafka_source_stats(const struct kafka_source *source)
{
    return &source->stats;
}

const struct kafka_scan_stats *kafka_source_scan_stats(const struct kafka_source *source)
{
    static const struct kafka_scan_stats none;
    return source->scans ? kafka_scan_stats(source->scans) : &none;
}
