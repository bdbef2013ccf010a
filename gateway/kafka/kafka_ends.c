/* One round of questions to the broker: which topics there are, and where the logs of some lanes
 * begin and end. All of these calls block, so that a round is a job of the worker
 * (threads/worker.h).
 *
 * Threads: from worker_submit() until done() a round is the worker's, with the handle that it asks
 * through. That handle is used by rounds alone, and there is one round at a time.
 *
 * The invariant: each request has an answer after a round: a status, and a first and an end if it
 * is STATUS_OK. */
#include "kafka_ends.h"

#include <assert.h>

#include "kafka_settings.h"
#include "mem.h"

#define REASON_LEADER "no_leader"
#define REASON_TOPIC "topic_missing"
#define REASON_PARTITIONS "too_few_partitions"
#define REASON_DENIED "not_authorised"

static void ends_fail(struct kafka_ends_request *request, enum status status, const char *reason)
{
    request->status = status;
    request->reason = reason;
}

static void fail_with_code(struct kafka_ends_request *request, rd_kafka_resp_err_t code)
{
    /* Every other code is some way of "not now". */
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        ends_fail(request, STATUS_NOT_FOUND, REASON_TOPIC);
    else if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        ends_fail(request, STATUS_DENIED, REASON_DENIED);
    else if (code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
             code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
        ends_fail(request, STATUS_UNAVAILABLE, REASON_LEADER);
    else
        ends_fail(request, STATUS_UNAVAILABLE, KAFKA_ENDS_BROKER);
}

struct topic_facts {
    rd_kafka_resp_err_t code;
    int partition_count;
};

/* librdkafka leaves out what it did not ask about: absent is unknown. */
static struct topic_facts find_topic(const struct rd_kafka_metadata *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0)
            return (struct topic_facts){.code = metadata->topics[i].err,
                                        .partition_count = metadata->topics[i].partition_cnt};
    return (struct topic_facts){.code = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC};
}

static void judge_topic(struct kafka_ends_request *request, const struct topic_facts *facts)
{
    request->partitions = facts->partition_count;
    if (facts->code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_with_code(request, facts->code);
    else if (facts->partition_count == 0)
        ends_fail(request, STATUS_NOT_FOUND, REASON_TOPIC);
    /* With fewer partitions than configured, some keys have none. With more all is well: writers
     * and readers go by the configured number. */
    else if (facts->partition_count < request->partition_count ||
             facts->partition_count <= request->partition)
        ends_fail(request, STATUS_INVALID, REASON_PARTITIONS);
}

/* Requests for one topic usually stand together. */
static bool begins_topic(const struct kafka_ends_round *round, size_t i)
{
    return i == 0 || strcmp(round->requests[i - 1].topic, round->requests[i].topic) != 0;
}

static void judge_topics(struct kafka_ends_round *round, const struct rd_kafka_metadata *metadata)
{
    struct topic_facts facts = {0};
    for (size_t i = 0; i < round->count; i++) {
        if (begins_topic(round, i))
            facts = find_topic(metadata, round->requests[i].topic);
        judge_topic(&round->requests[i], &facts);
    }
}

/* librdkafka asks about the topics that it has handles of: all in one request. */
static rd_kafka_topic_t **name_topics(const struct kafka_ends_round *round, size_t *count)
{
    rd_kafka_topic_t **topics = mem_alloc(round->count * sizeof(rd_kafka_topic_t *));
    *count = 0;
    for (size_t i = 0; i < round->count; i++) {
        rd_kafka_topic_t *topic =
            begins_topic(round, i)
                ? rd_kafka_topic_new(round->client, round->requests[i].topic, NULL)
                : NULL;
        if (topic)
            topics[(*count)++] = topic;
    }
    return topics;
}

static rd_kafka_topic_partition_list_t *requested_partitions(const struct kafka_ends_round *round,
                                                             int64_t logical_offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)round->count);
    for (size_t i = 0; i < round->count; i++) {
        const struct kafka_ends_request *request = &round->requests[i];
        if (request->status == STATUS_OK &&
            !rd_kafka_topic_partition_list_find(list, request->topic, request->partition))
            rd_kafka_topic_partition_list_add(list, request->topic, request->partition)->offset =
                logical_offset;
    }
    return list;
}

/* ListOffsets takes -2 and -1, librdkafka's OFFSET_BEGINNING and OFFSET_END, as times: one request
 * for each leader instead of two for each lane. */
static void ask_offsets(struct kafka_ends_round *round, int64_t logical_offset)
{
    rd_kafka_topic_partition_list_t *list = requested_partitions(round, logical_offset);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (list->cnt > 0)
        code = rd_kafka_offsets_for_times(round->client, list, KAFKA_ENDS_TIMEOUT_MS);
    for (size_t i = 0; i < round->count; i++) {
        struct kafka_ends_request *request = &round->requests[i];
        if (request->status != STATUS_OK)
            continue;
        const rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(list, request->topic, request->partition);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail_with_code(request, code);
        else if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail_with_code(request, found->err);
        else if (found->offset < 0)
            ends_fail(request, STATUS_UNAVAILABLE, REASON_LEADER);
        else if (logical_offset == RD_KAFKA_OFFSET_END)
            request->end = found->offset;
        else
            request->first = found->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static enum status ask_broker(struct kafka_ends_round *round)
{
    rd_kafka_poll(round->client, 0); /* its error events have no other reader */
    if (round->ask_mock &&
        kafka_is_mock(round->client, KAFKA_ENDS_TIMEOUT_MS, &round->mock) != STATUS_OK)
        return STATUS_UNAVAILABLE;
    size_t count;
    rd_kafka_topic_t **topics = name_topics(round, &count);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(round->client, 0, NULL, &metadata, KAFKA_ENDS_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        judge_topics(round, metadata);
        rd_kafka_metadata_destroy(metadata);
    }
    while (count > 0)
        rd_kafka_topic_destroy(topics[--count]);
    free(topics);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? STATUS_OK : STATUS_UNAVAILABLE;
}

/* An end waits for one answer at most. */
static bool is_given_up(const struct kafka_ends_round *round)
{
    return round->worker && worker_is_closing(round->worker);
}

static void run_round(struct worker_job *job)
{
    struct kafka_ends_round *round = (struct kafka_ends_round *)job;
    round->status = ask_broker(round);
    if (round->status != STATUS_OK) {
        for (size_t i = 0; i < round->count; i++)
            ends_fail(&round->requests[i], STATUS_UNAVAILABLE, KAFKA_ENDS_BROKER);
        return;
    }
    /* The end first: a lane that is cut meanwhile shows first > end rather than a gap. */
    if (!is_given_up(round))
        ask_offsets(round, RD_KAFKA_OFFSET_END);
    if (!is_given_up(round))
        ask_offsets(round, RD_KAFKA_OFFSET_BEGINNING);
}

struct kafka_ends_round *kafka_ends_round_new(rd_kafka_t *client)
{
    struct kafka_ends_round *round = mem_new(struct kafka_ends_round);
    round->job.run = run_round;
    round->client = client;
    return round;
}

void kafka_ends_round_free(struct kafka_ends_round *round)
{
    if (!round)
        return;
    for (size_t i = 0; i < round->count; i++)
        free(round->requests[i].topic);
    free(round->requests);
    free(round);
}

/* The request holds until the next one is added. */
struct kafka_ends_request *kafka_ends_add(struct kafka_ends_round *round, const char *topic,
                                          int32_t partition)
{
    assert(round->count < KAFKA_ENDS_REQUESTS_LIMIT);
    if ((round->count & (round->count - 1)) == 0) /* doubles */
        round->requests = mem_resize(round->requests, round->count ? round->count * 2 : 1,
                                     sizeof(*round->requests));
    struct kafka_ends_request *request = &round->requests[round->count++];
    *request = (struct kafka_ends_request){.partition = partition};
    request->topic = mem_string(bytes_of_string(topic));
    return request;
}
