/* For the command line: writes one order, or makes their topic. A program of its own by design,
 * which blocks, waits for the broker's word, and ends. The gateway only reads the topic; so the
 * right to write orders need not be the gateway's. */
#include "order_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kafka_oidc.h"

enum { DAY_MS = 86400000, NUMBER_SIZE = 24, STEP_MS = 100 };

static enum status status_of_code(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        return STATUS_NOT_FOUND;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        return STATUS_DENIED;
    return code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? STATUS_EXISTS : STATUS_UNAVAILABLE;
}

static rd_kafka_t *open_order_producer(const struct order_writer_config *config, void *opaque,
                                       void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *,
                                                           void *),
                                       struct error *error)
{
    char text[256];
    rd_kafka_conf_t *conf =
        kafka_settings_conf(config->settings, KAFKA_ROLE_PRODUCER, "smartstack-orders");
    char timeout[NUMBER_SIZE];
    snprintf(timeout, sizeof(timeout), "%d", config->timeout_ms);
    kafka_conf_set(conf, "message.timeout.ms", timeout);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, opaque);
    rd_kafka_t *handle = kafka_oidc_new_client(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (handle)
        return handle;
    rd_kafka_conf_destroy(conf);
    error_set(error, STATUS_INVALID, "cannot make a Kafka client: %s", text);
    return NULL;
}

/* --- an order --------------------------------------------------------------------------------- */

struct order_report {
    bool done;
    rd_kafka_resp_err_t code;
    struct order_place place;
};

static void order_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    struct order_report *report = opaque;
    (void)handle;
    report->done = true;
    report->code = message->err;
    report->place = (struct order_place){message->partition, message->offset};
}

/* A lifted order is a record without a value: compaction then removes both. */
static rd_kafka_resp_err_t produce_order(rd_kafka_t *handle, const char *topic,
                                         const struct order *order)
{
    auto_buffer struct buffer key = {0};
    auto_buffer struct buffer value = {0};
    order_append_key(order, &key);
    if (!order->lifted)
        order_append_value(order, &value);
    struct bytes name = buffer_peek(&key), text = buffer_peek(&value);
    /* librdkafka copies, and takes what is not constant. */
    void *content = order->lifted ? NULL : (void *)(uintptr_t)text.data;
    return rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(name.data, name.size),
                             RD_KAFKA_V_VALUE(content, text.size),
                             RD_KAFKA_V_HEADER("content-type", "application/json", -1),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
}

enum status order_write(const struct order_writer_config *config, const struct order *order,
                        struct order_place *place, struct error *error)
{
    struct order_report report = {0};
    rd_kafka_t *handle = open_order_producer(config, &report, order_delivered, error);
    if (!handle)
        return STATUS_INVALID;
    rd_kafka_resp_err_t code = produce_order(handle, config->topic, order);
    /* librdkafka gives up by itself at message.timeout.ms and says so: a step more, to hear it. */
    for (int left_ms = config->timeout_ms + STEP_MS; !code && !report.done && left_ms > 0;
         left_ms -= STEP_MS)
        rd_kafka_poll(handle, STEP_MS);
    if (!code)
        code = report.done ? report.code : RD_KAFKA_RESP_ERR__TIMED_OUT;
    /* Without this rd_kafka_destroy() could wait for a broker that does not answer. */
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(handle, 0); /* what is told of it now, `report` is still here for */
    rd_kafka_destroy(handle);
    if (code)
        return error_set(error, status_of_code(code), "topic %s: %s", config->topic,
                         rd_kafka_err2str(code));
    *place = report.place;
    return STATUS_OK;
}

/* --- the topic -------------------------------------------------------------------------------- */

/* Compacted, so that a gateway that starts reads each order once; and deleted by age, a day after
 * no order can be in force any more. Segments are short, because compaction leaves the one that is
 * being written alone. */
static void set_topic_properties(rd_kafka_NewTopic_t *topic, int64_t age_ms)
{
    char retention[NUMBER_SIZE];
    snprintf(retention, sizeof(retention), "%" PRId64, age_ms + DAY_MS);
    const struct {
        const char *name, *value;
    } properties[] = {
        {"cleanup.policy", "compact,delete"},
        {"retention.ms", retention},
        {"segment.ms", "600000"},
        {"min.cleanable.dirty.ratio", "0.1"},
        {"max.compaction.lag.ms", "1800000"},
        {"delete.retention.ms", "86400000"},
    };
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        (void)rd_kafka_NewTopic_set_config(topic, properties[i].name, properties[i].value);
}

static rd_kafka_resp_err_t creation_result(rd_kafka_event_t *event)
{
    size_t count;
    if (!event)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (rd_kafka_event_error(event))
        return rd_kafka_event_error(event);
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    return count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

enum status order_topic_create(const struct order_writer_config *config, int64_t age_ms,
                               struct error *error)
{
    char text[256];
    rd_kafka_t *handle = open_order_producer(config, NULL, NULL, error);
    if (!handle)
        return STATUS_INVALID;
    /* -1 replicas: the broker's default. */
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(config->topic, 1, -1, text, sizeof(text));
    if (!topic) {
        rd_kafka_destroy(handle);
        return error_set(error, STATUS_INVALID, "topic %s: %s", config->topic, text);
    }
    set_topic_properties(topic, age_ms);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, config->timeout_ms, text,
                                                    sizeof(text));
    rd_kafka_CreateTopics(handle, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, config->timeout_ms);
    rd_kafka_resp_err_t code = creation_result(event);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_destroy(handle);
    if (code)
        return error_set(error, status_of_code(code), "topic %s: %s", config->topic,
                         rd_kafka_err2str(code));
    return STATUS_OK;
}
