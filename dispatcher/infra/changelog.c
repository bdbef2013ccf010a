/* The changelog's reader: one partition of the state topic from its beginning to where it ends now.
 *
 * Two clients. One reads committed records: what an aborted transaction wrote never happened. But
 * it meets its end before a transaction that is still open, so it cannot say whether it has seen
 * everything; the other one sees uncommitted records too, and is only asked where the partition
 * really ends. Reading is done when the first has come that far. A state that was read only in part
 * would let an event through twice, so there is no partial result.
 *
 * Nothing is written here: records of state are outputs like others, in the transaction of their
 * batch. */
#include "changelog.h"

#include <stdlib.h>

#include "clocks.h"
#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"

enum { POLL_MS = 100, SILENCE_MS = 5000, ASK_TIMEOUT_MS = 5000 };

struct changelog {
    const struct kafka_settings *kafka;
    const char *topic;
    rd_kafka_t *client;
    rd_kafka_t *asking; /* sees what is not committed, too: only asked where a partition ends */
};

/* A consumer without a group: it is assigned its partition by hand, commits nothing and is
 * rebalanced by nobody. The group's name is only what librdkafka insists on. */
static rd_kafka_t *open_changelog_reader(const struct kafka_settings *kafka, const char *isolation,
                                         struct error *error)
{
    char text[512];
    rd_kafka_conf_t *conf = kafka_settings_conf(kafka, KAFKA_ROLE_CONSUMER, "dispatcher");
    kafka_conf_set(conf, "group.id", "smartstack-dispatcher-state"); /* never joined */
    kafka_conf_set(conf, "enable.auto.commit", "false");
    kafka_conf_set(conf, "enable.partition.eof", "true");
    kafka_conf_set(conf, "isolation.level", isolation);
    kafka_conf_set(conf, "auto.offset.reset", "earliest");
    /* The end of a partition is told by an answer without records, and a broker would hold that
     * back. */
    kafka_conf_set(conf, "fetch.wait.max.ms", "10");
    rd_kafka_t *client = kafka_oidc_new_client(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!client) {
        rd_kafka_conf_destroy(conf);
        error_set(error, STATUS_FATAL, "Kafka consumer: %s", text);
        return NULL;
    }
    rd_kafka_poll_set_consumer(client);
    return client;
}

static void close_reader(rd_kafka_t *client)
{
    (void)rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

/* The clients are kept from one partition to the next: connecting costs more than reading most
 * states. */
enum status changelog_open(const struct kafka_settings *kafka, const char *topic,
                           struct changelog **changelog, struct error *error)
{
    rd_kafka_t *client = open_changelog_reader(kafka, "read_committed", error);
    if (!client)
        return STATUS_FATAL;
    rd_kafka_t *asking = open_changelog_reader(kafka, "read_uncommitted", error);
    if (!asking) {
        close_reader(client);
        return STATUS_FATAL;
    }
    *changelog = mem_new(struct changelog);
    **changelog =
        (struct changelog){.kafka = kafka, .topic = topic, .client = client, .asking = asking};
    return STATUS_OK;
}

void changelog_close(struct changelog *changelog)
{
    if (!changelog)
        return;
    close_reader(changelog->client);
    close_reader(changelog->asking);
    free(changelog);
}

/* librdkafka's own may wait for ever for a partition whose broker was away for long. */
static void renew_client(struct changelog *changelog)
{
    rd_kafka_t *client = open_changelog_reader(changelog->kafka, "read_committed", NULL);
    if (!client)
        return;
    close_reader(changelog->client);
    changelog->client = client;
}

/* A partition below 0 takes the assignment back, so that nothing is fetched between two reads. */
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

/* The end that a reader of committed records meets is before a transaction that is open; this one,
 * the leader's high watermark of now, is behind it. */
static enum status ask_end(struct changelog *changelog, int32_t partition, int64_t *end)
{
    int64_t low;
    int64_t high = -1;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        changelog->asking, changelog->topic, partition, &low, &high, ASK_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0) {
        *end = high;
        return STATUS_OK;
    }
    log_warning("state is not read, its end is not known", LOG_STRING("topic", changelog->topic),
                LOG_INTEGER("partition", partition), LOG_STRING("error", rd_kafka_err2str(code)));
    return STATUS_UNAVAILABLE;
}

/* Fails rather than waits for long: the caller tries again, and looks meanwhile whether it is
 * told to stop. A partition that is not there (yet) is a failure as well, as the topic may just
 * have been made. */
enum status changelog_read(struct changelog *changelog, int32_t partition, int timeout_ms,
                           const volatile sig_atomic_t *stop, changelog_record_fn *take,
                           void *context)
{
    int64_t end = 0;
    int64_t end_ms = monotonic_ms() + timeout_ms;
    if (ask_end(changelog, partition, &end) != STATUS_OK)
        return STATUS_UNAVAILABLE;
    int64_t now_ms = monotonic_ms();
    int64_t heard_ms = now_ms;
    bool whole = false;
    bool failed = !assign(changelog, partition);
    while (!whole && !failed && *stop == 0 && now_ms < end_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(changelog->client, POLL_MS);
        now_ms = monotonic_ms();
        if (!message && now_ms - heard_ms > SILENCE_MS) {
            log_warning("state is not read, trying anew", LOG_STRING("topic", changelog->topic),
                        LOG_INTEGER("partition", partition), LOG_INTEGER("end", end));
            renew_client(changelog);
            return STATUS_UNAVAILABLE;
        }
        if (!message)
            continue;
        heard_ms = now_ms;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(context, bytes_of(message->key, message->key_len),
                 bytes_of(message->payload, message->len), message->payload != NULL);
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            whole = message->offset >= end;
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
