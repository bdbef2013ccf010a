/* Topics that outputs need: looked up, created if that is wanted, and then known.
 *
 * Creating a topic is asking for it: a topic that is there already is the same success, so
 * dispatchers that start together need no agreement. What a broker allows is its own affair; what
 * it refuses for good (a name, a policy, a right) is STATUS_DENIED and ends the waiting, everything
 * else is "not now".
 *
 * Invariant: what is known here was there with at least as many partitions as were asked for,
 * and is asked again after topics_forget(), which follows a failed batch. */
#include "topics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "log.h"
#include "mem.h"

enum { KNOWN_LIMIT = 100000, LEADER_WAIT_MS = 10000, LEADER_STEP_MS = 50 };

/* A restore reads a partition of the state topic whole, so what is no longer true must go soon. By
 * Kafka's defaults the newest gigabyte, or week, is in a segment that is never compacted, half of
 * the rest may be waste, and a tombstone stays for a day after it has done its work. */
struct topic_property {
    const char *name;
    const char *value;
};

static const struct topic_property of_changes[] = {
    {"cleanup.policy", "compact"},
    {"segment.bytes", "16777216"},
    {"segment.ms", "600000"},
    {"min.cleanable.dirty.ratio", "0.1"},
    {"max.compaction.lag.ms", "1800000"},
    {"delete.retention.ms", "600000"},
    {NULL, NULL},
};

/* Gateways load a partition of it whole. What was removed has a record like any other, and is gone
 * from the disk a day later. retention.ms is added (set_properties()). */
static const struct topic_property of_items[] = {
    {"cleanup.policy", "compact,delete"},
    {"segment.bytes", "16777216"},
    {"segment.ms", "600000"},
    {"min.cleanable.dirty.ratio", "0.1"},
    {"max.compaction.lag.ms", "86400000"},
    {NULL, NULL},
};

struct known {
    UT_hash_handle hh;
    int32_t partition_count;
    char name[]; /* the key */
};

struct topics {
    struct topics_options options;
    struct known *known;
};

void topics_forget(struct topics *topics)
{
    struct known *entry;
    struct known *next;
    HASH_ITER(hh, topics->known, entry, next) {
        HASH_DEL(topics->known, entry);
        free(entry);
    }
}

struct topics *topics_new(const struct topics_options *options)
{
    struct topics *topics = mem_new(struct topics);
    topics->options = *options;
    return topics;
}

void topics_free(struct topics *topics)
{
    if (!topics)
        return;
    topics_forget(topics);
    free(topics);
}

/* What was learned through another client may be old. */
void topics_use_client(struct topics *topics, rd_kafka_t *client)
{
    topics->options.client = client;
    topics_forget(topics);
}

/* Topics may be as many as tenants; when there are too many known ones all are forgotten, which
 * costs one look-up each. */
static void remember_topic(struct topics *topics, const char *name, int32_t partition_count)
{
    size_t size = strlen(name);
    if (HASH_COUNT(topics->known) >= KNOWN_LIMIT)
        topics_forget(topics);
    struct known *entry = mem_alloc(sizeof(*entry) + size + 1);
    memcpy(entry->name, name, size + 1);
    entry->partition_count = partition_count;
    HASH_ADD_STR(topics->known, name, entry);
}

/* A topic without a leader is not there yet: what is produced to it would only wait. */
enum status topics_look_up(rd_kafka_t *client, const char *name, int timeout_ms,
                           int32_t *partition_count, struct error *error)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    if (!topic)
        return error_set(error, STATUS_DENIED, "topic %s: %s", name,
                         rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, timeout_ms);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(error, STATUS_UNAVAILABLE, "topic %s: %s", name, rd_kafka_err2str(code));

    enum status status = STATUS_OK;
    const rd_kafka_metadata_topic_t *found = &metadata->topics[0];
    if (metadata->topic_cnt != 1 || found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        status = error_set(error, STATUS_NOT_FOUND, "topic %s does not exist", name);
    } else if (found->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
               found->err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
        status =
            error_set(error, STATUS_DENIED, "topic %s: %s", name, rd_kafka_err2str(found->err));
    } else if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = error_set(error, STATUS_UNAVAILABLE, "topic %s: %s", name,
                           rd_kafka_err2str(found->err));
    } else {
        *partition_count = found->partition_cnt;
        for (int i = 0; i < found->partition_cnt; i++)
            if (found->partitions[i].leader < 0)
                status = error_set(error, STATUS_UNAVAILABLE,
                                   "topic %s: partition %d has no leader", name, i);
    }
    rd_kafka_metadata_destroy(metadata);
    return status;
}

static enum status look_up(struct topics *topics, const char *name, int32_t *partition_count,
                           struct error *error)
{
    return topics_look_up(topics->options.client, name, topics->options.timeout_ms, partition_count,
                          error);
}

/* An answer may fail as a whole, or for the topic. */
static enum status read_result(rd_kafka_event_t *event, const char *name, bool *created,
                               struct error *error)
{
    if (!event)
        return error_set(error, STATUS_UNAVAILABLE, "topic %s: no answer to its creation", name);
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *text = rd_kafka_event_error_string(event);
    size_t count = 0;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && result) {
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(result, &count);
        if (count == 1) {
            code = rd_kafka_topic_result_error(results[0]);
            text = rd_kafka_topic_result_error_string(results[0]);
        }
    }
    *created = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (*created || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return STATUS_OK;
    bool permanent = code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                     code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
                     code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION ||
                     code == RD_KAFKA_RESP_ERR_POLICY_VIOLATION ||
                     code == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS ||
                     code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR;
    return error_set(error, permanent ? STATUS_DENIED : STATUS_UNAVAILABLE,
                     "topic %s cannot be created: %s", name, text);
}

/* What is old is judged by gateways, by the time of each record, and Kafka drops whole segments:
 * twice as late, so that it never takes what a gateway would still show. */
static void set_properties(const struct topics *topics, enum topic_kind kind,
                           rd_kafka_NewTopic_t *topic)
{
    static const struct topic_property of_reviews[] = {
        {"message.timestamp.type", "LogAppendTime"},
        {NULL, NULL},
    };
    const struct topic_property *property = kind == TOPIC_OF_CHANGES   ? of_changes
                                            : kind == TOPIC_OF_ITEMS   ? of_items
                                            : kind == TOPIC_OF_REVIEWS ? of_reviews
                                                                       : NULL;
    char text[32];
    for (; property && property->name; property++)
        (void)rd_kafka_NewTopic_set_config(topic, property->name, property->value);
    if (kind != TOPIC_OF_ITEMS)
        return;
    assert(topics->options.state_retention_ms > 0);
    snprintf(text, sizeof(text), "%" PRId64, 2 * topics->options.state_retention_ms);
    (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", text);
}

/* The replication factor below 1 is the broker's default. The timeout is the broker's for the
 * work; the answer is waited for a little longer. */
static enum status create(struct topics *topics, const struct topic_request *request,
                          struct error *error)
{
    char text[256];
    int partitions = request->partition_count > 0 ? request->partition_count
                     : request->created_count > 0 ? request->created_count
                                                  : 1;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        request->name, partitions, topics->options.replication_factor, text, sizeof(text));
    if (!topic)
        return error_set(error, STATUS_DENIED, "topic %s: %s", request->name, text);
    set_properties(topics, request->kind, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(topics->options.client);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(topics->options.client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, topics->options.timeout_ms, text,
                                                    sizeof(text));
    rd_kafka_CreateTopics(topics->options.client, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, topics->options.timeout_ms + 1000);
    bool created = false;
    enum status status = read_result(event, request->name, &created, error);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    if (created)
        log_info("topic created", LOG_STRING("topic", request->name),
                 LOG_INTEGER("partitions", partitions));
    return status;
}

/* Only for topics in which partitions are chosen by number, not by key: there more of them move
 * nothing. */
static enum status add_partitions(struct topics *topics, const struct topic_request *request,
                                  struct error *error)
{
    char text[256];
    rd_kafka_NewPartitions_t *partitions = rd_kafka_NewPartitions_new(
        request->name, (size_t)request->partition_count, text, sizeof(text));
    if (!partitions)
        return error_set(error, STATUS_DENIED, "topic %s: %s", request->name, text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(topics->options.client);
    rd_kafka_CreatePartitions(topics->options.client, &partitions, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, topics->options.timeout_ms);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(partitions);
    /* What came of it is seen when the topic is looked up again. */
    return error_set(error, STATUS_UNAVAILABLE, "topic %s is to have %d partitions", request->name,
                     (int)request->partition_count);
}

/* A topic that was just created is known a little later, and has leaders a little later still. */
static enum status wait_for(struct topics *topics, const char *name, int32_t *partition_count,
                            struct error *error)
{
    enum status status = STATUS_UNAVAILABLE;
    for (int waited_ms = 0; waited_ms < LEADER_WAIT_MS; waited_ms += LEADER_STEP_MS) {
        status = look_up(topics, name, partition_count, error);
        if (status != STATUS_NOT_FOUND && status != STATUS_UNAVAILABLE)
            return status;
        rd_kafka_poll(topics->options.client, LEADER_STEP_MS);
    }
    return status == STATUS_NOT_FOUND ? STATUS_UNAVAILABLE : status;
}

/* Fewer partitions than needed are added only where they are chosen by number. Elsewhere that
 * would move keys to other partitions, so an operator has to do it. */
enum status topics_ensure(struct topics *topics, const struct topic_request *request,
                          struct error *error)
{
    struct known *entry = NULL;
    HASH_FIND_STR(topics->known, request->name, entry);
    if (entry && entry->partition_count >= request->partition_count)
        return STATUS_OK;

    /* Created without asking first whether it is there: asking may make a broker create it, with a
     * partition count of its own. */
    int32_t partition_count = 0;
    enum status status = topics->options.create ? create(topics, request, error) : STATUS_OK;
    bool refused = status == STATUS_DENIED;
    if (status == STATUS_OK && topics->options.create)
        status = wait_for(topics, request->name, &partition_count, error);
    else if (status == STATUS_OK || refused)
        status = look_up(topics, request->name, &partition_count, refused ? NULL : error);
    if (status == STATUS_NOT_FOUND) /* somebody else is to create it, or nobody can */
        return refused ? STATUS_DENIED : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        return status;
    bool by_number = request->kind == TOPIC_OF_CHANGES || request->kind == TOPIC_OF_ITEMS;
    if (partition_count < request->partition_count && by_number && topics->options.create)
        return add_partitions(topics, request, error);
    if (partition_count < request->partition_count)
        return error_set(error, STATUS_INVALID, "topic %s has %d partitions, %d are needed",
                         request->name, (int)partition_count, (int)request->partition_count);
    if (!entry)
        remember_topic(topics, request->name, partition_count);
    else
        entry->partition_count = partition_count;
    return STATUS_OK;
}
