/* Asking the broker where lanes begin and end, and whether it is there at all: a job for a worker,
 * since every such call of librdkafka blocks (query_watermark_offsets on a consumer waits behind
 * its long-polled fetch). Ends are last stable offsets: what a read_committed reader can reach. */
#ifndef GATEWAY_KAFKA_KAFKA_ENDS_H
#define GATEWAY_KAFKA_KAFKA_ENDS_H

#include <librdkafka/rdkafka.h>

#include "worker.h"

enum { KAFKA_ENDS_TIMEOUT_MS = 3000, KAFKA_ENDS_REQUESTS_LIMIT = 1024 };

#define KAFKA_ENDS_BROKER "broker_away" /* the reason when nobody answers */

struct kafka_ends_request {
    uint64_t id; /* the asker's */
    char *topic; /* owned by the round */
    int32_t partition;
    int32_t partition_count; /* configured: fewer is an error, more are ignored (hazards 8) */

    /* Filled in. STATUS_OK; STATUS_NOT_FOUND: no such topic; STATUS_INVALID: fewer partitions than
     * configured; STATUS_DENIED: not authorised; STATUS_UNAVAILABLE: broker or leader away. */
    enum status status;
    const char *reason; /* static text if not OK */
    int32_t partitions; /* that the topic has; 0: not known */
    int64_t first;
    int64_t end;
};

/* Everything that is asked at once. A round without requests asks only whether the broker is there.
 */
struct kafka_ends_round {
    struct worker_job job;       /* done() is the asker's */
    rd_kafka_t *client;          /* used by nobody else meanwhile */
    const struct worker *worker; /* its end ends the round early; may be NULL */
    bool ask_mock;
    struct kafka_ends_request *requests;
    size_t count;
    void *owner;

    enum status status; /* STATUS_OK: the broker answered; STATUS_UNAVAILABLE */
    bool mock;          /* if ask_mock */
};

struct kafka_ends_round *kafka_ends_round_new(rd_kafka_t *client);
void kafka_ends_round_free(struct kafka_ends_round *round);

/* Adds a request and returns it, zeroed but for the arguments. The topic is copied. */
struct kafka_ends_request *kafka_ends_add(struct kafka_ends_round *round, const char *topic,
                                          int32_t partition);

#endif
