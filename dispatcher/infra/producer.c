/* A batch's outputs and offsets as one transaction, and what became of it.
 *
 *     begin -> outputs -> offsets -> commit      PRODUCER_DONE
 *       |         |          |         |
 *       |         +----------+---------+-- abort -> PRODUCER_AGAIN, or PRODUCER_POISONED
 *       +------------------------------------------> PRODUCER_LOST
 *                                      +-- undecided -> PRODUCER_LOST
 *
 * The hard part is to know whom to blame. An error of a record (too large, not allowed) would come
 * back for ever if the batch were only repeated, and an error of the broker must not make a dead
 * letter of a good record. So errors are told apart by their code, and delivery reports name the
 * record.
 *
 * Invariant: after any outcome but PRODUCER_LOST no transaction is open. After PRODUCER_LOST it
 * is not known whether the batch was committed; only a new handle, and what it finds committed,
 * tells. */
#include "producer.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"

enum { COMMIT_TIMEOUT_MS = 30000, ABORT_TIMEOUT_MS = 30000, CLOSE_TIMEOUT_MS = 5000 };

/* How often a commit is asked for, within COMMIT_TIMEOUT_MS; then it is left to a new handle, which
 * learns how it ended. By then the broker has aborted what it had of it, and records of a topic
 * that was deleted and created again may stay in the client for ever. */
enum { COMMIT_ATTEMPTS = 2 };

struct producer {
    struct producer_options options;
    rd_kafka_t *client;
    size_t record_limit;
    bool lost;               /* a call of the handle's is under way for ever: it takes no other */
    rd_kafka_topic_t *topic; /* of the last output: outputs to one topic often follow each other */
    /* When a record of this batch was last appended, by the broker; 0: it did not say; and when we heard. */
    int64_t appended_ms;
    int64_t appended_at_ms;
    /* What deliveries of this batch failed by themselves, not because the batch was given up. */
    rd_kafka_resp_err_t failed;
    int culprit; /* whose output it was */
    bool
        culprits; /* and another's: a broker refuses all that came in one request with the guilty */
};

static bool purged(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

static bool is_of_record(rd_kafka_resp_err_t code);

/* Of topics with LogAppendTime the broker's answer says what time it was there. */
static void note_time(struct producer *producer, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t time_ms = rd_kafka_message_timestamp(message, &type);
    if (type != RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME || time_ms <= 0)
        return;
    producer->appended_ms = time_ms;
    producer->appended_at_ms = monotonic_ms();
}

/* The first error of a record stays: those after it often follow from it. An error of a record
 * replaces one of the broker, since it is what can be mended. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;
    int source = (int)(intptr_t)message->_private;
    (void)client;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        note_time(producer, message);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || purged(message->err))
        return;
    if (is_of_record(producer->failed)) {
        producer->culprits = producer->culprits || source != producer->culprit;
    } else if (producer->failed == RD_KAFKA_RESP_ERR_NO_ERROR || is_of_record(message->err)) {
        producer->failed = message->err;
        producer->culprit = source;
    }
}

struct producer *producer_new(const struct producer_options *options)
{
    struct producer *producer = mem_new(struct producer);
    producer->options = *options;
    return producer;
}

/* With transactions nothing that is queued counts any more. Without them it may be all there is
 * of a batch, and so is waited for a while. */
static void close_producer_client(struct producer *producer)
{
    if (!producer->client)
        return;
    if (producer->topic)
        rd_kafka_topic_destroy(producer->topic);
    producer->topic = NULL;
    if (producer->options.transactional_id) /* nothing is left that counts */
        (void)rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(producer->client, CLOSE_TIMEOUT_MS);
    rd_kafka_destroy(producer->client);
    producer->client = NULL;
}

void producer_free(struct producer *producer)
{
    if (!producer)
        return;
    close_producer_client(producer);
    free(producer);
}

rd_kafka_t *producer_client(const struct producer *producer)
{
    return producer->client;
}

size_t producer_record_limit(const struct producer *producer)
{
    return producer->record_limit;
}

bool producer_appended(const struct producer *producer, int64_t *appended_ms, int64_t *heard_ms)
{
    *appended_ms = producer->appended_ms;
    *heard_ms = producer->appended_at_ms;
    return producer->appended_ms > 0;
}

void producer_poll(struct producer *producer)
{
    if (producer->client)
        rd_kafka_poll(producer->client, 0);
}

/* librdkafka has checked the number when it took the settings. */
static size_t configured_size(const struct producer *producer, const char *property,
                              size_t otherwise)
{
    const char *text =
        kafka_settings_get(producer->options.kafka, KAFKA_ROLE_TRANSACTIONAL_PRODUCER, property);
    return text ? (size_t)strtoull(text, NULL, 10) : otherwise;
}

/* The client stays when the broker is only slow: initialisation is asked for again. */
static enum status initialise(struct producer *producer, int timeout_ms, struct error *error)
{
    rd_kafka_error_t *failure = rd_kafka_init_transactions(producer->client, timeout_ms);
    if (!failure)
        return STATUS_OK;
    bool fatal = rd_kafka_error_is_fatal(failure) != 0;
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    bool denied = code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
                  code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    enum status status =
        error_set(error, denied ? STATUS_FATAL : STATUS_UNAVAILABLE, "transactions (%s): %s",
                  producer->options.transactional_id, rd_kafka_error_string(failure));
    bool keep = rd_kafka_error_is_retriable(failure) && !fatal;
    rd_kafka_error_destroy(failure);
    if (!keep)
        close_producer_client(producer);
    return status;
}

/* The limit of a record is what the broker's settings leave for its value. */
static enum status create_client(struct producer *producer, struct error *error)
{
    char text[512];
    bool transactional = producer->options.transactional_id != NULL;
    rd_kafka_conf_t *conf = kafka_settings_conf(
        producer->options.kafka,
        transactional ? KAFKA_ROLE_TRANSACTIONAL_PRODUCER : KAFKA_ROLE_PRODUCER, "dispatcher");
    if (transactional)
        kafka_conf_set(conf, "transactional.id", producer->options.transactional_id);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, producer);
    producer->client = kafka_oidc_new_client(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!producer->client) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, kafka_new_status(), "Kafka producer: %s", text);
    }
    /* Headers, key and framing are not counted in the value's limits. */
    size_t limit = configured_size(producer, "message.max.bytes", 1000000);
    producer->record_limit = limit > 2048 ? limit - 1024 : limit / 2;
    return STATUS_OK;
}

/* A handle that only failed to be initialised is tried again as it is: its fencing may have
 * happened already. */
enum status producer_open(struct producer *producer, int timeout_ms, struct error *error)
{
    if (producer->client && (producer->lost || rd_kafka_fatal_error(producer->client, NULL, 0) !=
                                                   RD_KAFKA_RESP_ERR_NO_ERROR))
        close_producer_client(producer);
    producer->lost = false;
    if (!producer->client) {
        enum status status = create_client(producer, error);
        if (status != STATUS_OK)
            return status;
    }
    return producer->options.transactional_id ? initialise(producer, timeout_ms, error) : STATUS_OK;
}

/* --- One batch --- */

/* Errors that say something of the record; with others, the same batch may pass next time. A topic
 * or partition that has gone is none: it is waited for. Nor is a timestamp that the broker does not
 * take, which is this machine's clock: dead letters would have the same one. */
static bool is_of_record(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR__INVALID_ARG;
}

static void fail_batch(struct producer_result *result, enum producer_outcome outcome,
                       const char *what, const char *why)
{
    result->outcome = outcome;
    error_set(&result->error, STATUS_UNAVAILABLE, "%s: %s", what, why);
}

/* Three codes for one thing, by the request in which it was noticed. */
static bool is_fenced(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* The code of the call, and that of the handle: a call may fail for a reason that sounds
 * harmless when the handle has died before. */
static void fail_with_kafka(struct producer *producer, struct producer_result *result,
                            const char *what, rd_kafka_error_t *failure)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(producer->client, text, sizeof(text));
    bool lost = rd_kafka_error_is_fatal(failure) || fatal != RD_KAFKA_RESP_ERR_NO_ERROR;
    fail_batch(result, lost ? PRODUCER_LOST : PRODUCER_AGAIN, what, rd_kafka_error_string(failure));
    result->fenced = lost && (is_fenced(code) || is_fenced(fatal));
    if (!lost && is_of_record(code))
        result->outcome = PRODUCER_POISONED;
    rd_kafka_error_destroy(failure);
}

/* Once all delivery reports are in: whether a record is to blame, and which. */
static void find_culprit(struct producer *producer, struct producer_result *result)
{
    if (producer->failed == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP)
        error_set(&result->error, STATUS_UNAVAILABLE,
                  "the broker does not take the time of records: do its clocks and this machine's "
                  "agree?");
    if (result->outcome == PRODUCER_DONE || result->outcome == PRODUCER_LOST ||
        !is_of_record(producer->failed))
        return;
    result->outcome = PRODUCER_POISONED;
    if (result->culprit < 0 && !producer->culprits)
        result->culprit = producer->culprit;
    error_set(&result->error, STATUS_INVALID, "%s", rd_kafka_err2str(producer->failed));
}

/* Outputs to one topic often follow each other, and librdkafka takes a lock to find one by its
 * name. */
static rd_kafka_topic_t *topic_of(struct producer *producer, const char *name)
{
    if (producer->topic && strcmp(rd_kafka_topic_name(producer->topic), name) == 0)
        return producer->topic;
    if (producer->topic)
        rd_kafka_topic_destroy(producer->topic);
    producer->topic = rd_kafka_topic_new(producer->client, name, NULL);
    return producer->topic;
}

/* Copied by librdkafka, as the batch's memory is reset while messages may still be on their way.
 * Headers are its own once the message is taken, and ours to free if it is not. */
static rd_kafka_resp_err_t produce(struct producer *producer, const struct output *output,
                                   int source)
{
    rd_kafka_topic_t *topic = topic_of(producer, output->topic);
    if (!topic)
        return rd_kafka_last_error();
    rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count);
    for (size_t i = 0; i < output->header_count; i++)
        (void)rd_kafka_header_add(headers, (const char *)output->headers[i].name.data,
                                  (ssize_t)output->headers[i].name.size,
                                  output->headers[i].value.data,
                                  (ssize_t)output->headers[i].value.size);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->client, RD_KAFKA_V_RKT(topic),
        RD_KAFKA_V_PARTITION(output->partition < 0 ? RD_KAFKA_PARTITION_UA : output->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(output->has_key ? output->key.data : NULL,
                       output->has_key ? output->key.size : 0),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)(output->has_value ? output->value.data : NULL),
                         output->has_value ? output->value.size : 0),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE((void *)(intptr_t)source), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers);
    return code;
}

/* Produces the items, or all others. False: `result` says why. A full queue is not an error but the
 * pace of the broker: reports are served until there is room. */
static bool produce_part(struct producer *producer, const struct producer_batch *batch, bool items,
                         struct producer_result *result)
{
    for (size_t i = 0; i < batch->count; i++) {
        rd_kafka_resp_err_t code;
        const struct output *output = &batch->outputs[i];
        if ((output->kind == OUTPUT_ITEM) != items || output->superseded)
            continue;
        while ((code = produce(producer, output, batch->sources[i])) ==
               RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(producer->client, 10);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail_batch(result, is_of_record(code) ? PRODUCER_POISONED : PRODUCER_AGAIN, "produce",
                       rd_kafka_err2str(code));
            result->culprit = is_of_record(code) ? batch->sources[i] : -1;
            return false;
        }
        if (i % 256 == 255)
            rd_kafka_poll(producer->client, 0);
    }
    return true;
}

/* An abort that fails leaves the transaction open, and nothing can be begun then: the handle is
 * lost. */
static void abort_transaction(struct producer *producer, struct producer_result *result)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        rd_kafka_error_t *failure = rd_kafka_abort_transaction(producer->client, ABORT_TIMEOUT_MS);
        if (!failure)
            return;
        bool again = rd_kafka_error_is_retriable(failure) != 0;
        log_warning("transaction could not be aborted",
                    LOG_STRING("error", rd_kafka_error_string(failure)));
        if (!again) {
            result->outcome = PRODUCER_LOST;
            result->fenced = result->fenced || is_fenced(rd_kafka_error_code(failure));
        }
        rd_kafka_error_destroy(failure);
        if (!again)
            break;
    }
    result->outcome = PRODUCER_LOST;
}

/* librdkafka takes a list that has none, sends nothing and says that all is well: whoever is no
 * member any more could commit what he likes. */
static bool has_offsets(const rd_kafka_topic_partition_list_t *offsets)
{
    for (int i = 0; i < offsets->cnt; i++)
        if (offsets->elems[i].offset < 0)
            return false;
    return offsets->cnt > 0;
}

/* NULL: it is no member now. Of metadata without a member's name the broker asks nothing. The name
 * may be lost or another at any time, in librdkafka's thread; one that is the same before and after
 * is that of the metadata, as no name comes twice. */
static rd_kafka_consumer_group_metadata_t *membership(rd_kafka_t *consumer)
{
    char *before = rd_kafka_memberid(consumer);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
    char *after = rd_kafka_memberid(consumer);
    bool is_member = before && after && before[0] && strcmp(before, after) == 0;
    rd_kafka_mem_free(consumer, before);
    rd_kafka_mem_free(consumer, after);
    if (is_member || !group)
        return group;
    rd_kafka_consumer_group_metadata_destroy(group);
    return NULL;
}

/* In the name of the group: the broker refuses offsets of a member that has been replaced, which
 * is what keeps two dispatchers from committing one batch, or a timer from firing twice. */
static bool send_offsets(struct producer *producer, const struct producer_batch *batch,
                         struct producer_result *result)
{
    if (!has_offsets(batch->offsets)) {
        fail_batch(result, PRODUCER_AGAIN, "offsets", "there is none of a partition");
        return false;
    }
    rd_kafka_consumer_group_metadata_t *group = membership(batch->consumer);
    if (!group) {
        fail_batch(result, PRODUCER_AGAIN, "offsets", "not a member of the group");
        return false;
    }
    rd_kafka_error_t *failure = rd_kafka_send_offsets_to_transaction(
        producer->client, batch->offsets, group, COMMIT_TIMEOUT_MS);
    rd_kafka_consumer_group_metadata_destroy(group);
    if (!failure)
        return true;
    fail_with_kafka(producer, result, "offsets", failure);
    return false;
}

static bool commit(struct producer *producer, struct producer_result *result)
{
    rd_kafka_error_t *failure;
    for (int attempt = 1;; attempt++) {
        failure =
            rd_kafka_commit_transaction(producer->client, COMMIT_TIMEOUT_MS / COMMIT_ATTEMPTS);
        if (!failure)
            return true;
        /* What can be tried again may have happened already: the same call must be made again. */
        if (!rd_kafka_error_is_retriable(failure) || attempt == COMMIT_ATTEMPTS)
            break;
        log_warning("transaction not committed yet",
                    LOG_STRING("error", rd_kafka_error_string(failure)));
        rd_kafka_error_destroy(failure);
    }
    bool undecided = rd_kafka_error_is_retriable(failure) != 0;
    fail_with_kafka(producer, result, "commit", failure);
    if (undecided)
        result->outcome = PRODUCER_LOST; /* a new handle learns how it ended */
    return false;
}

static void send_transaction(struct producer *producer, const struct producer_batch *batch,
                             struct producer_result *result)
{
    rd_kafka_error_t *failure = rd_kafka_begin_transaction(producer->client);
    if (failure) {
        fail_with_kafka(producer, result, "begin", failure);
        result->outcome = PRODUCER_LOST;
        producer->lost = true;
        return;
    }
    /* The records come first: the client announces their partitions and sends them while it waits
     * for the answers about the offsets. */
    if (produce_part(producer, batch, false, result) &&
        produce_part(producer, batch, true, result) && send_offsets(producer, batch, result) &&
        commit(producer, result))
        return;
    if (result->outcome != PRODUCER_LOST)
        abort_transaction(producer, result);
    rd_kafka_poll(producer->client, 0);
    find_culprit(producer, result);
    producer->lost = result->outcome == PRODUCER_LOST;
}

/* Waits for all delivery reports of the batch. What has none in time is given up: its late report
 * would be taken for one of the next batch, and blame a record that has the same index there. */
static rd_kafka_resp_err_t flush_outputs(struct producer *producer)
{
    int timeout_ms = producer->options.flush_timeout_ms > 0 ? producer->options.flush_timeout_ms
                                                            : COMMIT_TIMEOUT_MS;
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->client, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    (void)rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    producer->lost =
        rd_kafka_flush(producer->client, CLOSE_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR;
    return code;
}

/* Sent and confirmed. False: `result` says why not. */
static bool produce_confirmed(struct producer *producer, const struct producer_batch *batch,
                              bool items, struct producer_result *result)
{
    bool sent = produce_part(producer, batch, items, result);
    rd_kafka_resp_err_t code = flush_outputs(producer);
    if (producer->lost)
        fail_batch(result, PRODUCER_LOST, "produce", rd_kafka_err2str(code));
    if (!sent || producer->lost)
        return false;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = producer->failed;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    fail_batch(result, PRODUCER_AGAIN, "produce", rd_kafka_err2str(code));
    find_culprit(producer, result);
    if (rd_kafka_fatal_error(producer->client, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
        result->outcome = PRODUCER_LOST;
    return false;
}

static bool has_items(const struct producer_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->outputs[i].kind == OUTPUT_ITEM)
            return true;
    return false;
}

/* Without transactions: everything is sent and confirmed before the offsets are, and items
 * before their lanes: whoever has read a lane to some place then finds in the state topic all
 * that it holds up to there. What is sent again after a failure is told by the lane again as
 * well. */
static void send_plainly(struct producer *producer, const struct producer_batch *batch,
                         struct producer_result *result)
{
    if (has_items(batch) && !produce_confirmed(producer, batch, true, result))
        return;
    if (!produce_confirmed(producer, batch, false, result))
        return;
    rd_kafka_resp_err_t code = rd_kafka_commit(batch->consumer, batch->offsets, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_batch(result, PRODUCER_AGAIN, "offsets", rd_kafka_err2str(code));
}

void producer_send(struct producer *producer, const struct producer_batch *batch,
                   struct producer_result *result)
{
    assert(producer->client && !producer->lost);
    *result = (struct producer_result){.outcome = PRODUCER_DONE, .culprit = -1};
    producer->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    producer->culprit = -1;
    producer->culprits = false;
    producer->appended_ms = 0;
    if (producer->options.transactional_id)
        send_transaction(producer, batch, result);
    else
        send_plainly(producer, batch, result);
}
