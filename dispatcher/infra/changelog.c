#include "changelog.h"

#include <stdlib.h>

#include "clocks.h"
#include "log.h"
#include "mem.h"

enum { POLL_MS = 100, SILENCE_MS = 5000 };

struct changelog {
    const struct kafka_settings *kafka;
    const char *topic;
    rd_kafka_t *client;
};

static rd_kafka_t *open_client(const struct kafka_settings *kafka, struct error *error)
{
    char text[512];
    rd_kafka_conf_t *conf = kafka_settings_conf(kafka, KAFKA_ROLE_CONSUMER, "dispatcher");
    kafka_conf_set(conf, "group.id", "smartstack-dispatcher-state"); /* never joined */
    kafka_conf_set(conf, "enable.auto.commit", "false");
    kafka_conf_set(conf, "enable.partition.eof", "true");
    kafka_conf_set(conf, "isolation.level", "read_committed");
    kafka_conf_set(conf, "auto.offset.reset", "earliest");
    /* The end of a partition is told by an answer without records, and a broker would hold that
     * back. */
    kafka_conf_set(conf, "fetch.wait.max.ms", "10");
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (client == NULL) {
        rd_kafka_conf_destroy(conf);
        error_set(error, STATUS_FATAL, "Kafka consumer: %s", text);
        return NULL;
    }
    rd_kafka_poll_set_consumer(client);
    return client;
}

static void close_client(rd_kafka_t *client)
{
    (void)rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

enum status changelog_open(const struct kafka_settings *kafka, const char *topic,
                           struct changelog **changelog, struct error *error)
{
    rd_kafka_t *client = open_client(kafka, error);
    if (client == NULL)
        return STATUS_FATAL;
    *changelog = mem_new(struct changelog);
    **changelog = (struct changelog){.kafka = kafka, .topic = topic, .client = client};
    return STATUS_OK;
}

void changelog_close(struct changelog *changelog)
{
    if (changelog == NULL)
        return;
    close_client(changelog->client);
    free(changelog);
}

/* librdkafka's own may wait for ever for a partition whose broker was away for long. */
static void renew_client(struct changelog *changelog)
{
    rd_kafka_t *client = open_client(changelog->kafka, NULL);
    if (client == NULL)
        return;
    close_client(changelog->client);
    changelog->client = client;
}

static bool assign(struct changelog *changelog, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (partition >= 0)
        rd_kafka_topic_partition_list_add(list, changelog->topic, partition)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(changelog->client, partition >= 0 ? list : NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The end that a reader of committed records meets is before a transaction that is open; the high
 * watermark is behind it. What lay behind it at the first end must have been read. */
static bool is_whole(struct changelog *changelog, const rd_kafka_message_t *end, int64_t *target)
{
    int64_t low;
    int64_t high;
    if (*target < 0) {
        if (rd_kafka_get_watermark_offsets(changelog->client, changelog->topic, end->partition,
                                           &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return false;
        *target = high;
    }
    return end->offset >= *target;
}

enum status changelog_read(struct changelog *changelog, int32_t partition, int timeout_ms,
                           const volatile sig_atomic_t *stop, changelog_record_fn *take,
                           void *context)
{
    int64_t now_ms = monotonic_ms();
    int64_t end_ms = now_ms + timeout_ms;
    int64_t heard_ms = now_ms;
    int64_t target = -1;
    bool whole = false;
    bool failed = !assign(changelog, partition);
    while (!whole && !failed && *stop == 0 && now_ms < end_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(changelog->client, POLL_MS);
        now_ms = monotonic_ms();
        if (message == NULL && now_ms - heard_ms > SILENCE_MS) {
            log_warning("state is not read, trying anew", LOG_STRING("topic", changelog->topic),
                        LOG_INTEGER("partition", partition), LOG_INTEGER("end", target));
            renew_client(changelog);
            return STATUS_UNAVAILABLE;
        }
        if (message == NULL)
            continue;
        heard_ms = now_ms;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(context, bytes_of(message->key, message->key_len),
                 bytes_of(message->payload, message->len), message->payload != NULL);
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            whole = is_whole(changelog, message, &target);
        } else {
            log_warning("state cannot be read now", LOG_STRING("topic", changelog->topic),
                        LOG_INTEGER("partition", partition),
                        LOG_STRING("error", rd_kafka_message_errstr(message)));
            failed = message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
                     message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                     message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        }
        rd_kafka_message_destroy(message);
    }
    (void)assign(changelog, -1);
    return whole ? STATUS_OK : STATUS_UNAVAILABLE;
}
