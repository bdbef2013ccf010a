/* When the broker is asked, and what its answers mean for all lanes together: whether it is here or
 * away. One round is under way at most; what becomes due meanwhile goes into the next.
 *
 * The invariant: away is judged by questions of ours. librdkafka's errors only make us ask
 * sooner. */
#include <assert.h>

#include "kafka_source_private.h"
#include "log.h"

enum {
    PROBE_SOON_MS = 250,  /* after a sign of trouble */
    PROBE_AWAY_MS = 1000, /* while the broker is away */
    SCAN_STALL_MS = 30000,
    SCAN_SHORT_MS = 5000,
};

/* Twice in the time in which a lane may stand still. */
static int64_t look_interval_ms(const struct kafka_source *source)
{
    int64_t half_ms = source->config.stall_ms / 2;
    return half_ms < source->config.probe_interval_ms ? half_ms : source->config.probe_interval_ms;
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
        /* Records that come now are of before: each lane is compared with its log when the broker
         * is back. */
        entry->verify = entry->reading;
        kafka_lane_unavailable(source, entry, KAFKA_ENDS_BROKER);
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
        /* Then one silence is enough to make it away. */
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
    kafka_lane_ask_at(source, entry, 0);
}

enum status kafka_rounds_open_live(struct kafka_source *source)
{
    struct kafka_client_options options = {.settings = source->config.settings,
                                           .client_id = source->config.client_id,
                                           .purpose = KAFKA_PURPOSE_LIVE,
                                           .mock = source->mock,
                                           .wake_descriptor = source->asker.descriptor,
                                           .on_error = live_error,
                                           .opaque = source};
    struct error error;
    struct kafka_client opened;
    enum status status = kafka_client_open(&options, &opened, &error);
    if (status != STATUS_OK) {
        log_error("live consumer failed", LOG_STRING("error", error.text));
        return status;
    }
    source->live = opened;
    return STATUS_OK;
}

/* Not before the broker has answered: whether it is the embedded one decides how they are set
 * up. */
static bool round_open_clients(struct kafka_source *source)
{
    if (kafka_rounds_open_live(source) != STATUS_OK)
        return false;
    struct kafka_scan_pool_config scans = {.settings = source->config.settings,
                                           .client_id = source->config.client_id,
                                           .wake_descriptor = source->asker.descriptor,
                                           .consumers = source->config.scans,
                                           .purpose = KAFKA_PURPOSE_SCAN,
                                           .mock = source->mock,
                                           .stall_ms = SCAN_STALL_MS,
                                           .short_ms = SCAN_SHORT_MS,
                                           .record = scan_record,
                                           .ended = scan_ended,
                                           .context = source};
    source->scans = kafka_scan_pool_open(&scans);
    struct kafka_states_config states = {.settings = source->config.settings,
                                         .client_id = source->config.client_id,
                                         .hub = source->hub,
                                         .worker = source->asker.worker,
                                         .wake_descriptor = source->asker.descriptor,
                                         .loads = source->config.scans,
                                         .stall_ms = SCAN_STALL_MS,
                                         .mock = source->mock};
    source->states = kafka_states_open(&states);
    return true;
}

static void broker_here(struct kafka_source *source, const struct kafka_ends_round *round)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    if (round->ask_mock)
        source->mock = round->mock;
    if (!source->live.handle && !round_open_clients(source)) {
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
            if (kafka_lane_asks(entry))
                kafka_lane_ask_at(source, entry, 0);
        }
    }
    source->answered = true;
    source->away = false;
    source->trouble = false;
    source->failures = 0;
    source->probe_ms = source->now_ms + look_interval_ms(source);
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
        /* Closed meanwhile, or begun anew: the answer is about another life of it. */
        if (!entry || entry->id != answer->id)
            continue;
        if (source->live.handle)
            kafka_lane_answer(source, entry, answer);
        else
            kafka_lane_ask_at(source, entry, source->now_ms + PROBE_AWAY_MS);
    }
    kafka_ends_round_free(round);
}

/* Lanes that need an answer, and those that were not looked at for a while: librdkafka does not
 * tell of a topic that was deleted, or only after minutes. */
static bool lane_is_due(struct kafka_source *source, struct kafka_lane *entry)
{
    if (!kafka_lane_asks(entry))
        return source->now_ms - entry->checked_ms >= look_interval_ms(source);
    if (entry->retry_ms <= source->now_ms)
        return true;
    if (entry->retry_ms < source->ask_ms)
        source->ask_ms = entry->retry_ms;
    return false;
}

/* Takes up every lane that is due, and finds out when the next one will be. */
static void start_round(struct kafka_source *source)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    struct kafka_ends_round *round = kafka_ends_round_new(source->asker.client.handle);
    round->job.done = round_done;
    round->owner = source;
    round->worker = source->asker.worker;
    /* Once is enough: a cluster does not become another kind of cluster. */
    round->ask_mock = !source->answered;
    source->ask_ms = INT64_MAX;
    KAFKA_LANES_FOREACH(&source->lanes, entry, scratch)
    {
        if (!lane_is_due(source, entry))
            continue;
        if (round->count == KAFKA_ENDS_REQUESTS_LIMIT) {
            source->ask_ms = source->now_ms; /* the next round */
            break;
        }
        struct kafka_ends_request *request = kafka_ends_add(round, entry->topic, entry->partition);
        request->id = entry->id;
        request->partition_count = entry->partition_count;
        entry->checked_ms = source->now_ms;
        entry->asked_position = entry->position;
    }
    source->round = round;
    worker_submit(source->asker.worker, &round->job);
}

void kafka_rounds_run(struct kafka_source *source)
{
    if (!source->round && (source->ask_ms <= source->now_ms || source->probe_ms <= source->now_ms))
        start_round(source);
}
