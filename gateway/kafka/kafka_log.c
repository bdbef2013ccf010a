/* One compacted topic of one partition, read from its beginning and then for ever, by every gateway:
 * no group, no lanes.
 *
 * A log that was cut, or made anew, is read from its beginning again. What its reader does not take
 * is held, and with it all that follows, and offered again. A consumer that stands still while the
 * log goes on is replaced (kafka_watch.c does so for lanes).
 *
 * Threads: the loop; questions run on the worker, as rounds (kafka_ends.h). */
#include "kafka_log.h"

#include <assert.h>

#include "event_descriptor.h"
#include "kafka_asker.h"
#include "kafka_ends.h"
#include "log.h"
#include "mem.h"
#include "stall.h"

enum {
    RECORDS_A_TURN = 500,
    ASK_AGAIN_MS = 1000, /* after something that did not work, and for a record that is held */
    SHORT_MS = 5000,     /* a log that ends before what was read is believed after so long: a new
                          * leader may know less of it for a moment */
};

#define REASON_PARTITIONS "more_than_one_partition"

struct kafka_log {
    struct kafka_log_config config;
    struct kafka_asker asker;
    struct kafka_client live;
    struct kafka_ends_round *round; /* under way, or NULL */
    int64_t ask_ms;
    bool mock;
    bool asked;     /* the broker has answered */
    bool reading;   /* `live` is assigned the partition */
    bool renew;     /* it is to be replaced, once its messages are not looked at */
    bool again;     /* and then read from its beginning, though it is the same log */
    int64_t target; /* where the log ended when it was read first; below 0: not known */
    bool known;     /* it was read that far */
    int64_t position;
    int64_t asked_position; /* when the question was asked */
    int64_t short_since_ms; /* the log has been said to end before it; 0: it does not */
    struct stall stall;
    rd_kafka_message_t *held; /* not taken */
    int64_t retry_ms;
    const char *trouble; /* NULL: none; static */
    int64_t now_ms;
    uint64_t begun;
};

/* --- what comes ------------------------------------------------------------------------------- */

/* False: it is held. */
static bool take_record(struct kafka_log *log, const rd_kafka_message_t *message)
{
    struct lane_record view;
    kafka_record_view(message, &view);
    if (!log->config.ops->take(log->config.context, &view, message->payload != NULL))
        return false;
    log->position = message->offset + 1;
    return true;
}

/* False: it is held, and what follows waits. */
static bool take_log_message(struct kafka_log *log, const rd_kafka_message_t *message)
{
    /* An error of the client and not of the partition: the next round of questions will show it. */
    if (!message->rkt || !log->reading)
        return true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return message->offset < log->position || take_record(log, message);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        /* The end moves on over what is no record: markers of transactions, and what was compacted
         * away. */
        if (message->offset > log->position)
            log->position = message->offset;
        return true;
    }
    log_warning("topic not read", LOG_STRING("topic", log->config.topic),
                LOG_STRING("code", rd_kafka_err2name(message->err)));
    log->renew = true;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        log->position = -1; /* cut: from its beginning */
    return true;
}

static bool retry_log_held(struct kafka_log *log)
{
    if (!log->held)
        return true;
    if (log->now_ms < log->retry_ms)
        return false;
    if (!take_log_message(log, log->held)) {
        log->retry_ms = log->now_ms + ASK_AGAIN_MS;
        return false;
    }
    rd_kafka_message_destroy(log->held);
    log->held = NULL;
    log_info("topic is read on", LOG_STRING("topic", log->config.topic),
             LOG_INTEGER("position", log->position));
    return true;
}

static void hold_record(struct kafka_log *log, rd_kafka_message_t *message)
{
    assert(!log->held);
    log->held = message;
    log->retry_ms = log->now_ms + ASK_AGAIN_MS;
    log->config.ops->held(log->config.context);
}

/* True: there may be more. */
static bool drain_log(struct kafka_log *log)
{
    rd_kafka_message_t *message = NULL;
    unsigned left = RECORDS_A_TURN;
    if (!log->live.handle || !retry_log_held(log))
        return false;
    /* One at a time, so that nothing has to be given back when one is held. */
    for (; left > 0 && !log->renew; left--) {
        if (rd_kafka_consume_batch_queue(log->live.queue, 0, &message, 1) != 1)
            return false;
        if (!take_log_message(log, message)) {
            hold_record(log, message);
            return false;
        }
        rd_kafka_message_destroy(message);
    }
    return left == 0;
}

/* --- the consumer ----------------------------------------------------------------------------- */

static void stop_log(struct kafka_log *log)
{
    if (log->held)
        rd_kafka_message_destroy(log->held); /* it comes again */
    log->held = NULL;
    log->reading = false;
    log->renew = false;
    log->stall = (struct stall){0};
    if (log->live.handle)
        kafka_client_abandon(&log->live);
    log->ask_ms = log->now_ms;
}

static void start_log(struct kafka_log *log, int64_t first, int64_t end)
{
    struct kafka_client_options options = {.settings = log->config.settings,
                                           .client_id = log->config.client_id,
                                           .purpose = KAFKA_PURPOSE_LIVE,
                                           .mock = log->mock,
                                           .wake_descriptor = log->asker.descriptor};
    struct error error;
    assert(!log->reading && !log->live.handle && first <= end);
    if (kafka_client_open(&options, &log->live, &error) != STATUS_OK) {
        log_error("topic not read", LOG_STRING("error", error.text));
        return;
    }
    /* The log does not go on where it was read: all of it again. */
    if (log->position < first || log->position > end) {
        if (log->begun > 0 && log->config.ops->begins)
            log->config.ops->begins(log->config.context);
        log->position = first;
        log->begun++;
    } else if (log->again) {
        log->position = first;
        log->begun++;
    }
    log->again = false;
    if (log->target < 0)
        log->target = end;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, log->config.topic, 0)->offset = log->position;
    rd_kafka_resp_err_t code = rd_kafka_assign(log->live.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    log->reading = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!log->reading)
        stop_log(log);
    event_descriptor_signal(log->asker.descriptor); /* what came before is not told */
}

void kafka_log_read_again(struct kafka_log *log)
{
    log->again = log->renew = true;
    event_descriptor_signal(log->asker.descriptor);
}

/* --- where the topic ends --------------------------------------------------------------------- */

static const char *log_trouble_of(const struct kafka_ends_request *answer)
{
    if (answer->status != STATUS_OK)
        return answer->reason;
    return answer->partitions == 1 ? NULL : REASON_PARTITIONS;
}

static void log_answered(struct kafka_log *log, const struct kafka_ends_request *answer)
{
    /* Asked for one after the other (the end first): retention may have moved the beginning beyond
     * it. */
    int64_t first = answer->first, end = answer->end > first ? answer->end : first;
    const char *trouble = log_trouble_of(answer);
    if (trouble && trouble != log->trouble)
        log_warning("topic not read", LOG_STRING("topic", log->config.topic),
                    LOG_STRING("reason", trouble));
    log->trouble = trouble;
    log->ask_ms = log->now_ms + (trouble ? ASK_AGAIN_MS : log->config.probe_interval_ms);
    if (trouble)
        return;
    log->asked = true;
    bool is_short = log->asked_position > end;
    if (!is_short)
        log->short_since_ms = 0;
    else if (log->short_since_ms == 0)
        log->short_since_ms = log->now_ms;
    if (is_short && log->now_ms - log->short_since_ms < SHORT_MS) {
        log->ask_ms = log->now_ms + ASK_AGAIN_MS;
        return;
    }
    if (is_short && log->reading) { /* made anew: asked at once, and read from its beginning */
        stop_log(log);
        return;
    }
    if (!log->reading) {
        start_log(log, first, end);
    } else if (!log->held &&
               stall_look(&log->stall, log->position, end, log->now_ms, log->config.stall_ms)) {
        log_warning("topic stands still, reading it anew", LOG_STRING("topic", log->config.topic),
                    LOG_INTEGER("position", log->position), LOG_INTEGER("end", end));
        stop_log(log);
    }
    if (log->stall.since_ms != 0 && log->ask_ms > log->now_ms + ASK_AGAIN_MS)
        log->ask_ms = log->now_ms + ASK_AGAIN_MS;
}

static void log_round_done(struct worker_job *job)
{
    struct kafka_ends_round *round = (struct kafka_ends_round *)job;
    struct kafka_log *log = round->owner;
    assert(log->round == round && round->count == 1);
    log->round = NULL;
    if (round->status == STATUS_OK && round->ask_mock)
        log->mock = round->mock;
    log_answered(log, &round->requests[0]);
    kafka_ends_round_free(round);
}

static void ask_for_log_end(struct kafka_log *log)
{
    struct kafka_ends_round *round = kafka_ends_round_new(log->asker.client.handle);
    round->job.done = log_round_done;
    round->owner = log;
    round->worker = log->asker.worker;
    round->ask_mock = !log->asked;
    log->asked_position = log->position;
    kafka_ends_add(round, log->config.topic, 0)->partition_count = 1;
    log->round = round;
    worker_submit(log->asker.worker, &round->job);
}

/* --- life and turns --------------------------------------------------------------------------- */

enum status kafka_log_open(const struct kafka_log_config *config, struct kafka_log **log,
                           struct error *error)
{
    struct kafka_log *made = mem_new(struct kafka_log);
    made->config = *config;
    made->target = -1;
    made->position = -1;
    enum status status = kafka_asker_open(config->settings, config->client_id, &made->asker, error);
    if (status == STATUS_OK)
        *log = made;
    else
        free(made);
    return status;
}

void kafka_log_close(struct kafka_log *log)
{
    if (!log)
        return;
    kafka_asker_stop(&log->asker);
    kafka_ends_round_free(log->round);
    if (log->held)
        rd_kafka_message_destroy(log->held);
    kafka_client_close(&log->live);
    kafka_asker_close(&log->asker);
    free(log);
}

int kafka_log_descriptor(const struct kafka_log *log)
{
    return log->asker.descriptor;
}

void kafka_log_service(struct kafka_log *log, int64_t now_ms)
{
    log->now_ms = now_ms;
    event_descriptor_clear(log->asker.descriptor);
    worker_collect(log->asker.worker);
    bool more = drain_log(log);
    log->known = log->known || (log->target >= 0 && log->position >= log->target);
    if (log->renew)
        stop_log(log);
    if (!log->round && log->ask_ms <= now_ms)
        ask_for_log_end(log);
    if (more)
        event_descriptor_signal(log->asker.descriptor);
}

int64_t kafka_log_deadline_ms(const struct kafka_log *log)
{
    int64_t deadline = log->round ? INT64_MAX : log->ask_ms;
    return log->held && log->retry_ms < deadline ? log->retry_ms : deadline;
}

struct kafka_log_state kafka_log_state(const struct kafka_log *log)
{
    return (struct kafka_log_state){.known = log->known,
                                    .holds = log->held != NULL,
                                    .broker_away = log->trouble &&
                                                   strcmp(log->trouble, KAFKA_ENDS_BROKER) == 0,
                                    .trouble = log->trouble,
                                    .position = log->position,
                                    .begun = log->begun};
}
