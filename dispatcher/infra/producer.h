/* The Kafka producer of the dispatcher: a batch's outputs and the consumed offsets, together or not
 * at all. Not a policy: what a failure means for the batch is the runner's.
 *
 * Exactly once: one transaction. At least once (a broker without transactions): outputs, then
 * offsets. All calls block; one thread. */
#ifndef DISPATCHER_INFRA_PRODUCER_H
#define DISPATCHER_INFRA_PRODUCER_H

#include <librdkafka/rdkafka.h>

#include "batch.h"
#include "kafka_settings.h"
#include "status.h"

struct producer_options {
    const struct kafka_settings *kafka;
    const char *transactional_id; /* NULL: at least once */
    int flush_timeout_ms; /* at least once: outputs unconfirmed by then are given up; 0: 30 s */
};

enum producer_outcome {
    PRODUCER_DONE,
    PRODUCER_AGAIN, /* aborted, through no fault of the records: do the same again, after a while */
    PRODUCER_POISONED, /* aborted, maybe because of a record: `culprit` if it is known */
    PRODUCER_LOST,     /* the handle is dead (fenced, fatal): producer_reopen() */
};

struct producer_result {
    enum producer_outcome outcome;
    int culprit;        /* index of the input record, or -1 */
    bool fenced;        /* another producer with our transactional id */
    struct error error; /* unless done */
};

struct producer;

/* Connects nothing yet. */
struct producer *producer_new(const struct producer_options *options);
void producer_free(struct producer *producer);

/* Opens a handle, in place of one that is there, and makes it ready: fences and aborts what an
 * earlier one with this transactional id left open. STATUS_UNAVAILABLE: not now, try again;
 * STATUS_FATAL: `error` says why it will never do. */
enum status producer_open(struct producer *producer, int timeout_ms,
                          struct error *error) MUST_CHECK;

/* Valid after producer_open() until the next. */
rd_kafka_t *producer_client(const struct producer *producer);

/* A larger record is never sent. */
size_t producer_record_limit(const struct producer *producer);

struct producer_batch {
    const struct output *outputs;
    const int *sources; /* of each output: the index of the input record that it comes from */
    size_t count;
    /* To commit; next offset per partition. With transactions at least one, and all known: without,
     * nothing would keep one that is no member of the group any more from sending. */
    const rd_kafka_topic_partition_list_t *offsets;
    rd_kafka_t *consumer;
};

/* Sends a batch. Topics and partitions must be known to be there. */
void producer_send(struct producer *producer, const struct producer_batch *batch,
                   struct producer_result *result);

/* What time it was by the broker when it took the last record of the last batch, if a topic of it has
 * LogAppendTime, and by our monotonic clock when we heard; in ms. False: it was not told. */
bool producer_appended(const struct producer *producer, int64_t *appended_ms, int64_t *heard_ms);

/* Serves callbacks. */
void producer_poll(struct producer *producer);

#endif
