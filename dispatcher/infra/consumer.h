/* The Kafka consumer of the dispatcher: a member of its group, reading committed records of the
 * input topics. It commits nothing: offsets go with the outputs (producer.h). Not a loop. One
 * thread.
 *
 * A partition that has no committed offset is read from its beginning: an event that was there
 * before the dispatcher is an event all the same. */
#ifndef DISPATCHER_INFRA_CONSUMER_H
#define DISPATCHER_INFRA_CONSUMER_H

#include <librdkafka/rdkafka.h>

#include "arena.h"
#include "event.h"
#include "kafka_settings.h"
#include "status.h"

/* Called from within consumer_poll() and consumer_close(). */
struct consumer_events {
    /* Before records of these partitions come. It may set the offsets to begin at; without one,
     * that is the committed offset. */
    void (*assigned)(void *context, rd_kafka_topic_partition_list_t *partitions);
    /* They are another's from now on (if `lost`, have been for a while): what was read of them and
     * not yet sent must be forgotten. */
    void (*revoked)(void *context, const rd_kafka_topic_partition_list_t *partitions, bool lost);
    void *context;
};

struct consumer_options {
    const struct kafka_settings *kafka;
    const char *group;
    const char *instance; /* the same after a restart: static membership, see README.md */
    const char *const *topics;
    size_t topic_count;
    const char *first_topic; /* one of them, whose records come before all others; NULL: none */
    struct consumer_events events;
};

struct consumer;

/* A client that has not joined yet. STATUS_FATAL: a bad configuration;
 * STATUS_UNAVAILABLE: not now. */
enum status consumer_open(const struct consumer_options *options, struct consumer **consumer,
                          struct error *error) MUST_CHECK;

/* Joins the group; the topics should be there. STATUS_FATAL: they cannot be subscribed to. */
enum status consumer_join(struct consumer *consumer, struct error *error) MUST_CHECK;

/* Leaves the group, so that the others take over at once. NULL is fine. */
void consumer_close(struct consumer *consumer);

/* The same, but does not wait for what may take as long as a connection that nobody answers on. */
void consumer_abandon(struct consumer *consumer);

rd_kafka_t *consumer_client(const struct consumer *consumer);

/* The next record, of the first topic if there is one, owned by the caller (rd_kafka_message_destroy()), or NULL: none within the time.
 */
rd_kafka_message_t *consumer_poll(struct consumer *consumer, int timeout_ms);

/* One of the first topic that is there already, or NULL. Not more than a batch in a row: the group is
 * heard by consumer_poll() alone. */
rd_kafka_message_t *consumer_poll_first(struct consumer *consumer);

/* The message as the record that the core reads. It borrows from the message, but for its list of
 * headers, which is in the arena. */
void consumer_read_record(const rd_kafka_message_t *message, struct arena *arena,
                          struct record *record);

/* Reads again from the committed offsets of these partitions; where there is none, from the offset
 * given. Those that are no longer ours are left alone. STATUS_UNAVAILABLE: not now; nothing was
 * read in between that may be used. */
enum status consumer_rewind(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions,
                            int timeout_ms) MUST_CHECK;

/* Why the client can never read again, e.g. another member with its instance name; NULL: it can. */
const char *consumer_fatal(const struct consumer *consumer, char *text, size_t size);

/* Sets the committed offset of each partition that has one. Waits for transactions that are open on
 * them, and up to the time. */
enum status consumer_find_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
                                    int timeout_ms) MUST_CHECK;

struct consumer_state {
    bool joined; /* it has been given its partitions (maybe none) */
    int partitions;
    bool connected; /* to at least one broker, as far as is known */
    int64_t lag;    /* records of its partitions not yet read */
};

/* Asks the client's own knowledge, not a broker. */
void consumer_state(const struct consumer *consumer, struct consumer_state *state);

/* While no broker could be reached: asks whether one can, waiting up to timeout_ms. */
void consumer_check_connection(struct consumer *consumer, int timeout_ms);

#endif
