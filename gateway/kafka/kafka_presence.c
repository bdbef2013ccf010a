/* Presence over Kafka: one topic, read by kafka_log.h, and a producer.
 *
 * A batch is what presence_next_write() gives at a time; the next one is asked for when the broker has
 * answered for each record of this one, or given none for WRITE_TIMEOUT_MS. So records of one key
 * are never on their way twice, and nothing piles up while the broker is away.
 *
 * Threads: the loop. Reports come from rd_kafka_poll(), which is called there. */
#include "kafka_presence.h"

#include <assert.h>

#include "kafka_log.h"
#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"

#define WRITE_TIMEOUT_MS "5000"

struct kafka_presence {
    struct kafka_presence_config config;
    struct kafka_log *log;
    rd_kafka_t *producer;
    rd_kafka_queue_t *queue;
    uint64_t on_way; /* records of the batch without an answer */
    bool batch;      /* one was begun, and presence has not heard of it */
    bool failed;     /* something of it was */
    bool troubled;   /* the batch before was not written: that was told */
    struct kafka_presence_stats stats;
};

/* --- reading ---------------------------------------------------------------------------------- */

static bool take_presence_record(void *context, const struct lane_record *record, bool has_value)
{
    const struct kafka_presence *presence = context;
    presence_read(presence->config.presence, record->offset, record->key, has_value, record->value);
    return true;
}

static void presence_begins(void *context)
{
    const struct kafka_presence *presence = context;
    log_warning("presence is read from the beginning of its topic again",
                LOG_STRING("topic", presence->config.topic));
    presence_log_begins(presence->config.presence);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void presence_reported(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_presence *presence = opaque;
    (void)producer;
    assert(presence->on_way > 0);
    presence->on_way--;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        uintptr_t number = (uintptr_t)message->_private;
        if (number != PRESENCE_NO_NUMBER && message->offset >= 0)
            presence_landed(presence->config.presence, (uint32_t)number, message->offset);
        return;
    }
    if (!presence->failed && !presence->troubled)
        log_warning("presence not written", LOG_STRING("topic", presence->config.topic),
                    LOG_STRING("code", rd_kafka_err2name(message->err)));
    presence->failed = true;
}

static bool produce_presence(struct kafka_presence *presence, const struct presence_write *write)
{
    /* Without a value: that key is over, and compaction removes it. */
    const struct bytes value = write->has_value ? write->value : bytes_of(NULL, 0);
    void *number = (void *)(uintptr_t)write->number; /* for presence_reported() */
    rd_kafka_vu_t values[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = presence->config.topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = number},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = (void *)(uintptr_t)write->key.data, .size = write->key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = (void *)(uintptr_t)value.data, .size = value.size}},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(presence->producer, values, sizeof(values) / sizeof(values[0]));
    if (!error)
        return true;
    rd_kafka_error_destroy(error);
    return false;
}

/* The batch has been answered for. */
static void end_batch(struct kafka_presence *presence, int64_t now_ms)
{
    if (!presence->batch || presence->on_way)
        return;
    if (presence->troubled && !presence->failed)
        log_info("presence is written again", LOG_STRING("topic", presence->config.topic));
    presence->stats.batches_failed += presence->failed;
    presence->troubled = presence->failed;
    presence->batch = false;
    presence_written(presence->config.presence, !presence->failed, now_ms);
}

static void write_batch(struct kafka_presence *presence, int64_t now_ms)
{
    struct presence_write write;
    rd_kafka_poll(presence->producer, 0);
    end_batch(presence, now_ms);
    while (presence_next_write(presence->config.presence, now_ms, &write)) {
        if (!presence->batch)
            presence->failed = false;
        presence->batch = true;
        if (produce_presence(presence, &write))
            presence->on_way++;
        else
            presence->failed = true;
    }
    end_batch(presence, now_ms); /* if nothing of it is on its way */
}

/* --- life and turns --------------------------------------------------------------------------- */

static enum status open_presence_producer(struct kafka_presence *presence, struct error *error)
{
    static const uint64_t one = 1;
    char text[256];
    rd_kafka_conf_t *conf = kafka_settings_conf(presence->config.settings, KAFKA_ROLE_PRODUCER,
                                                presence->config.client_id);
    kafka_conf_set(conf, "message.timeout.ms", WRITE_TIMEOUT_MS);
    kafka_conf_set(conf, "linger.ms", "1"); /* a batch is there at once */
    rd_kafka_conf_set_dr_msg_cb(conf, presence_reported);
    rd_kafka_conf_set_opaque(conf, presence);
    presence->producer = kafka_oidc_new_client(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!presence->producer) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, STATUS_INVALID, "cannot make a Kafka producer: %s", text);
    }
    presence->queue = rd_kafka_queue_get_main(presence->producer);
    rd_kafka_queue_io_event_enable(presence->queue, kafka_log_descriptor(presence->log), &one,
                                   sizeof(one));
    return STATUS_OK;
}

enum status kafka_presence_open(const struct kafka_presence_config *config,
                                struct kafka_presence **presence, struct error *error)
{
    static const struct kafka_log_ops ops = {.take = take_presence_record,
                                             .begins = presence_begins};
    struct kafka_presence *made = mem_new(struct kafka_presence);
    made->config = *config;
    struct kafka_log_config log = {.settings = config->settings,
                                   .client_id = config->client_id,
                                   .topic = config->topic,
                                   .ops = &ops,
                                   .context = made,
                                   .probe_interval_ms = config->probe_interval_ms,
                                   .stall_ms = config->stall_ms};
    enum status status = kafka_log_open(&log, &made->log, error);
    if (status == STATUS_OK)
        status = open_presence_producer(made, error);
    if (status == STATUS_OK) {
        *presence = made;
        return STATUS_OK;
    }
    kafka_log_close(made->log);
    free(made);
    return status;
}

void kafka_presence_close(struct kafka_presence *presence)
{
    if (!presence)
        return;
    rd_kafka_queue_io_event_enable(presence->queue, -1, NULL, 0);
    rd_kafka_purge(presence->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(presence->producer, 0);
    rd_kafka_queue_destroy(presence->queue);
    rd_kafka_destroy(presence->producer);
    kafka_log_close(presence->log);
    free(presence);
}

int kafka_presence_descriptor(const struct kafka_presence *presence)
{
    return kafka_log_descriptor(presence->log);
}

void kafka_presence_service(struct kafka_presence *presence, int64_t now_ms)
{
    kafka_log_service(presence->log, now_ms);
    if (presence_wants_log(presence->config.presence)) {
        log_info("presence is read again, there is space for what was left out",
                 LOG_STRING("topic", presence->config.topic));
        kafka_log_read_again(presence->log);
    }
    presence->stats.begun = kafka_log_state(presence->log).begun;
    write_batch(presence, now_ms);
}

int64_t kafka_presence_deadline_ms(const struct kafka_presence *presence)
{
    int64_t log_ms = kafka_log_deadline_ms(presence->log);
    int64_t write_ms = presence_write_deadline_ms(presence->config.presence);
    return log_ms < write_ms ? log_ms : write_ms;
}

struct kafka_presence_stats kafka_presence_stats(const struct kafka_presence *presence)
{
    return presence->stats;
}
