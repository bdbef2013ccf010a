/* That the topics we produce to are there, with enough partitions, and known to the producer. Not
 * where rooms live, which the layout says. Its calls block: they are made outside transactions. */
#ifndef DISPATCHER_INFRA_TOPICS_H
#define DISPATCHER_INFRA_TOPICS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "status.h"

struct topics_options {
    rd_kafka_t *client;     /* of the producer, so that its metadata is warm; borrowed */
    bool create;            /* may create them */
    int replication_factor; /* -1: the broker's default */
    int timeout_ms;         /* of one request */
    int64_t state_retention_ms;
};

/* Of what kind it is to be, if it must be created. */
enum topic_kind {
    TOPIC_OF_RECORDS, /* as the broker makes them */
    TOPIC_OF_CHANGES, /* ours: compacted, partitions by number */
    TOPIC_OF_ITEMS,   /* the state of lanes: compacted, and what is old goes; by number */
    TOPIC_OF_REVIEWS, /* their log: the broker's time in its records; by key, never more partitions */
};

struct topics;
struct topics *topics_new(const struct topics_options *options);
void topics_free(struct topics *topics);

/* Another producer, after the first was lost. All that was known is asked again. */
void topics_use_client(struct topics *topics, rd_kafka_t *client);

/* All that was known is asked again: it may be otherwise now. */
void topics_forget(struct topics *topics);

struct topic_request {
    const char *name;
    int32_t partition_count; /* at least; 0: any */
    int32_t created_count;   /* if it must be created and any will do */
    enum topic_kind kind;    /* where partitions are chosen by number it may be given more */
};

/* STATUS_OK at once for what was found before. STATUS_UNAVAILABLE: not now (try again).
 * STATUS_DENIED: it is not there and must not or cannot be created. STATUS_INVALID: it has fewer
 * partitions than it must. `error` says what a person needs. */
enum status topics_ensure(struct topics *topics, const struct topic_request *request,
                          struct error *error) MUST_CHECK;

/* Asks a broker for a topic, through any client. STATUS_NOT_FOUND: there is none;
 * STATUS_UNAVAILABLE: no answer, or a partition without a leader; STATUS_DENIED. */
enum status topics_look_up(rd_kafka_t *client, const char *name, int timeout_ms,
                           int32_t *partition_count, struct error *error) MUST_CHECK;

#endif
