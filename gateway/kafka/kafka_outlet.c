/* Clients' events to their topic: a producer that acknowledges once the broker has a record. The
 * event waits with librdkafka, and its session does not: it is told later, through a waiter.
 *
 * The invariant: librdkafka gives a report for every record that it has accepted, and
 * kafka_outlet_close() waits for the last of them. So `sent` is freed in delivered() alone, and
 * stats.messages comes back to 0. A waiter that goes before the report takes itself out of `sent`.
 *
 * Threads: the loop. Reports come from rd_kafka_poll(), which is called there. */
#include "kafka_outlet.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "clocks.h"
#include "event_descriptor.h"
#include "instant.h"
#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"

enum { CLOSE_MS = 500, HEADERS = 12, RECORD_OVERHEAD = 512 };

struct kafka_outlet {
    int descriptor;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    rd_kafka_topic_t *review_log; /* or NULL */
    rd_kafka_queue_t *queue;
    uint64_t messages_most, bytes_most;
    struct kafka_outlet_stats stats;
};

/* What travels with a message. */
struct outlet_message {
    struct outlet_waiter *waiter; /* NULL: forgotten */
    uint64_t bytes;
};

/* --- The broker's answers --------------------------------------------------------------------- */

static enum status outlet_status(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STATUS_OK;
    /* The only one that the client can do something about. */
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return STATUS_TOO_LARGE;
    return STATUS_UNAVAILABLE;
}

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_outlet *outlet = opaque;
    struct outlet_message *sent = message->_private;
    struct outlet_waiter *waiter = sent->waiter;
    (void)producer;
    assert(outlet->stats.messages > 0 && outlet->stats.bytes >= sent->bytes);
    outlet->stats.messages--;
    outlet->stats.bytes -= sent->bytes;
    free(sent);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warning("client event not delivered",
                    LOG_STRING("code", rd_kafka_err2name(message->err)));
    if (!waiter)
        return;
    /* Before done(): the waiter may be freed in there. */
    waiter->pending = NULL;
    waiter->done(waiter, outlet_status(message->err));
}

void kafka_outlet_service(struct kafka_outlet *outlet)
{
    event_descriptor_clear(outlet->descriptor);
    while (rd_kafka_poll(outlet->producer, 0) > 0)
        ;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void outlet_add_header(rd_kafka_headers_t *headers, const char *name, struct bytes value)
{
    /* An absent header and an empty one would have to be told apart by the reader. */
    if (value.size > 0)
        rd_kafka_header_add(headers, name, -1, value.data, (ssize_t)value.size);
}

static rd_kafka_headers_t *headers_of(const struct outlet_record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    char time[INSTANT_TEXT_SIZE];
    bool has_time = instant_format(wall_ms(), time);
    assert(record->id.size > 0 && record->source.size > 0 && record->event.size > 0);
    outlet_add_header(headers, "content-type", BYTES_LITERAL("application/json"));
    outlet_add_header(headers, "ce_specversion", BYTES_LITERAL("1.0"));
    outlet_add_header(headers, "ce_id", record->id);
    outlet_add_header(headers, "ce_source", record->source);
    outlet_add_header(headers, "ce_type", record->event);
    if (has_time)
        outlet_add_header(headers, "ce_time", bytes_of_string(time));
    outlet_add_header(headers, "ce_tenantid", record->tenant);
    outlet_add_header(headers, "ce_userid", record->user);
    outlet_add_header(headers, "ce_session", record->session);
    outlet_add_header(headers, "ce_room", record->room);
    outlet_add_header(headers, "traceparent", record->traceparent);
    outlet_add_header(headers, "tracestate", record->tracestate);
    return headers;
}

/* What librdkafka keeps of it; names of headers are short. */
static uint64_t bytes_of_record(const struct outlet_record *record)
{
    return 2 * record->user.size + record->event.size + record->payload.size + record->id.size +
           record->source.size + record->tenant.size + 2 * record->session.size +
           record->room.size + record->traceparent.size + record->tracestate.size +
           record->review_home.size + RECORD_OVERHEAD;
}

static enum status send_record(void *context, const struct outlet_record *record,
                               struct outlet_waiter *waiter)
{
    struct kafka_outlet *outlet = context;
    uint64_t bytes = bytes_of_record(record);
    /* Counted here, so that a metric can show it; librdkafka's own queue has the same limits
     * (configure()). */
    if (outlet->stats.messages >= outlet->messages_most ||
        bytes > outlet->bytes_most - outlet->stats.bytes) {
        outlet->stats.refused++;
        return STATUS_LIMIT;
    }
    /* Events of one user stay in order, over all of their sessions. */
    struct bytes key = record->user.size > 0 ? record->user : record->session;
    rd_kafka_topic_t *topic = outlet->topic;
    if (record->review_home.size > 0) {
        assert(outlet->review_log);
        key = record->review_home;
        topic = outlet->review_log;
    }
    struct outlet_message *sent = mem_new(struct outlet_message);
    rd_kafka_headers_t *headers = headers_of(record);
    sent->waiter = waiter;
    sent->bytes = bytes;
    rd_kafka_vu_t values[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = (void *)(uintptr_t)key.data, .size = key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = (void *)(uintptr_t)record->payload.data, .size = record->payload.size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = sent},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(outlet->producer, values, sizeof(values) / sizeof(values[0]));
    if (!error) {
        waiter->pending = sent;
        outlet->stats.messages++;
        outlet->stats.bytes += bytes;
        return STATUS_OK;
    }
    enum status status = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL
                             ? STATUS_LIMIT
                             : outlet_status(rd_kafka_error_code(error));
    log_warning("client event not accepted",
                LOG_STRING("code", rd_kafka_err2name(rd_kafka_error_code(error))));
    rd_kafka_error_destroy(error);
    /* Only now: produceva() takes them if it succeeds, and leaves them if it fails. */
    rd_kafka_headers_destroy(headers);
    free(sent);
    return status;
}

static void outlet_forget(void *context, struct outlet_waiter *waiter)
{
    struct outlet_message *sent = waiter->pending;
    (void)context;
    assert(sent && sent->waiter == waiter);
    sent->waiter = NULL;
    waiter->pending = NULL;
}

const struct outlet_ops kafka_outlet_ops = {.send = send_record, .forget = outlet_forget};

/* --- Life ------------------------------------------------------------------------------------- */

const struct kafka_outlet_stats *kafka_outlet_stats(const struct kafka_outlet *outlet)
{
    return &outlet->stats;
}

static rd_kafka_conf_t *configure(const struct kafka_outlet_config *config,
                                  struct kafka_outlet *outlet)
{
    char number[24];
    rd_kafka_conf_t *conf =
        kafka_settings_conf(config->settings, KAFKA_ROLE_PRODUCER, config->client_id);
    snprintf(number, sizeof(number), "%lld", (long long)config->timeout_ms);
    kafka_conf_set(conf, "message.timeout.ms", number);
    snprintf(number, sizeof(number), "%u", config->messages);
    kafka_conf_set(conf, "queue.buffering.max.messages", number);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)(config->bytes / 1024 + 1));
    kafka_conf_set(conf, "queue.buffering.max.kbytes", number);
    /* A millisecond in which what comes in one turn becomes one request. */
    if (!kafka_settings_get(config->settings, KAFKA_ROLE_PRODUCER, "linger.ms"))
        kafka_conf_set(conf, "linger.ms", "1");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, outlet);
    return conf;
}

/* Whatever partitioner the configuration names for others: a review's home is one partition for all
 * programs. */
static rd_kafka_topic_t *open_review_log(rd_kafka_t *producer, const char *name)
{
    char text[128];
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(producer);
    rd_kafka_conf_res_t result =
        rd_kafka_topic_conf_set(conf, "partitioner", "murmur2", text, sizeof(text));
    assert(result == RD_KAFKA_CONF_OK);
    (void)result;
    return rd_kafka_topic_new(producer, name, conf);
}

enum status kafka_outlet_open(const struct kafka_outlet_config *config,
                              struct kafka_outlet **outlet, struct error *error)
{
    char text[256];
    struct kafka_outlet *made = mem_new(struct kafka_outlet);
    made->messages_most = config->messages;
    made->bytes_most = config->bytes;
    enum status status = event_descriptor_open(&made->descriptor, error);
    if (status != STATUS_OK)
        goto failed;
    rd_kafka_conf_t *conf = configure(config, made);
    made->producer = kafka_oidc_new_client(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!made->producer) {
        rd_kafka_conf_destroy(conf);
        status = error_set(error, STATUS_INVALID, "cannot make a Kafka producer: %s", text);
        goto failed_producer;
    }
    /* Kept from the start, so that the first event finds the topic's leaders known. */
    made->topic = rd_kafka_topic_new(made->producer, config->topic, NULL);
    if (!made->topic) {
        status = error_set(error, STATUS_INVALID, "%s: not a topic", config->topic);
        goto failed_topic;
    }
    if (config->review_log)
        made->review_log = open_review_log(made->producer, config->review_log);
    if (config->review_log && !made->review_log) {
        status = error_set(error, STATUS_INVALID, "%s: not a topic", config->review_log);
        goto failed_log;
    }
    static const uint64_t one = 1;
    made->queue = rd_kafka_queue_get_main(made->producer);
    rd_kafka_queue_io_event_enable(made->queue, made->descriptor, &one, sizeof(one));
    event_descriptor_signal(made->descriptor);
    *outlet = made;
    return STATUS_OK;

failed_log:
    rd_kafka_topic_destroy(made->topic);
failed_topic:
    rd_kafka_destroy(made->producer);
failed_producer:
    close(made->descriptor);
failed:
    free(made);
    return status;
}

void kafka_outlet_close(struct kafka_outlet *outlet)
{
    if (!outlet)
        return;
    rd_kafka_queue_io_event_enable(outlet->queue, -1, NULL, 0);
    /* What cannot be sent in that time is purged, and then reported: each `sent` has to come
     * back. */
    if (rd_kafka_flush(outlet->producer, CLOSE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_purge(outlet->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(outlet->producer, CLOSE_MS);
    }
    /* References first: rd_kafka_destroy() could wait for them. */
    rd_kafka_queue_destroy(outlet->queue);
    rd_kafka_topic_destroy(outlet->topic);
    if (outlet->review_log)
        rd_kafka_topic_destroy(outlet->review_log);
    rd_kafka_destroy(outlet->producer);
    close(outlet->descriptor);
    free(outlet);
}

int kafka_outlet_descriptor(const struct kafka_outlet *outlet)
{
    return outlet->descriptor;
}
