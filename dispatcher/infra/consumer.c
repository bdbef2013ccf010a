/* The group member that reads events.
 *
 * It stores and commits no offset: offsets go with the outputs (producer.c), so what was read and
 * what came of it are committed together. Partitions come and go within a poll, and the runner is
 * told before the assignment takes effect: before records come, it has read what is remembered of
 * the partition; when the partition has gone, nothing of it is left in the batch.
 *
 * Invariant: after a failure the position of each partition is its committed offset again,
 * whatever was read since (consumer_rewind()). */
#include "consumer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kafka_end.h"
#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"

enum { CLOSE_TIMEOUT_MS = 10000 };

/* After so many records of the first topic in a row the others are looked at, and the group is
 * heard: librdkafka calls back only where its own queue is polled. */
enum { FIRST_RUN_LIMIT = 256 };

struct consumer {
    struct consumer_options options;
    rd_kafka_t *client;
    bool joined;
    bool all_brokers_down;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *first; /* to which the partitions of the first topic are forwarded; or NULL */
    unsigned first_run;      /* records taken from it in a row */
    int wake_descriptor;     /* an eventfd, written when a queue that was empty fills */
};

/* One line, cut at the end of the text: a group may have thousands of partitions. */
static void log_partitions(const char *message, const rd_kafka_topic_partition_list_t *partitions)
{
    char text[512];
    size_t size = 0;
    text[0] = 0;
    for (int i = 0; i < partitions->cnt && size < sizeof(text); i++) {
        int written = snprintf(text + size, sizeof(text) - size, "%s%s-%d", i == 0 ? "" : " ",
                               partitions->elems[i].topic, (int)partitions->elems[i].partition);
        size += written > 0 ? (size_t)written : 0;
    }
    log_info(message, LOG_INTEGER("count", partitions->cnt), LOG_STRING("partitions", text));
}

static void report(const char *what, rd_kafka_error_t *failure)
{
    if (!failure)
        return;
    log_error(what, LOG_STRING("error", rd_kafka_error_string(failure)));
    rd_kafka_error_destroy(failure);
}

/* A queue of one's own for the first topic: in the consumer's own queue its records would stand
 * behind all that was fetched before them. Before the partition is fetched from, since a partition
 * whose queue the application has forwarded keeps it so. */
static void forward_first(struct consumer *consumer,
                          const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt && consumer->first; i++) {
        const rd_kafka_topic_partition_t *partition = &partitions->elems[i];
        if (strcmp(partition->topic, consumer->options.first_topic) != 0)
            continue;
        rd_kafka_queue_t *queue =
            rd_kafka_queue_get_partition(consumer->client, partition->topic, partition->partition);
        if (!queue)
            continue;
        rd_kafka_queue_forward(queue, consumer->first);
        rd_kafka_queue_destroy(queue);
    }
}

/* Cooperative: partitions are added and taken one by one, and those that stay are read on. When
 * partitions are lost others may have them already, and the batch with their records must not be
 * sent. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct consumer *consumer = opaque;
    const struct consumer_events *events = &consumer->options.events;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        log_partitions("partitions assigned", partitions);
        events->assigned(events->context, partitions);
        forward_first(consumer, partitions);
        report("assignment failed", rd_kafka_incremental_assign(client, partitions));
        consumer->joined = true;
        return;
    }
    bool lost = rd_kafka_assignment_lost(client) != 0;
    log_partitions(lost ? "partitions lost" : "partitions revoked", partitions);
    events->revoked(events->context, partitions, lost);
    report("unassignment failed", rd_kafka_incremental_unassign(client, partitions));
    if (lost || code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        consumer->joined = false;
}

/* None of these ends anything: librdkafka tries again by itself. What is fatal is asked for
 * (consumer_fatal()). */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct consumer *consumer = opaque;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        consumer->all_brokers_down = true;
        log_warning("no broker can be reached", LOG_STRING("error", reason));
    } else {
        log_warning("Kafka consumer", LOG_STRING("error", reason));
    }
}

/* Left to itself, librdkafka asks for more as soon as it has an answer: under load one request for
 * every record or two, most of them while a transaction is under way and nobody reads. So no more
 * is asked for while records wait; the broker answers the next request with all that came
 * meanwhile. Without a back-off of its own, the client would look again only after a second. */
static void fetch_between_batches(const struct consumer_options *options, rd_kafka_conf_t *conf)
{
    const struct kafka_settings *kafka = options->kafka;
    /* With a first topic, a request for it alone would stand at the broker, waiting for records,
     * while the others' queue has run empty: a broker answers one request at a time. */
    if (options->first_topic || !kafka_has_queue_backoff() ||
        kafka_settings_get(kafka, KAFKA_ROLE_CONSUMER, "queued.min.messages") ||
        kafka_settings_get(kafka, KAFKA_ROLE_CONSUMER, "fetch.queue.backoff.ms"))
        return;
    kafka_conf_set(conf, "queued.min.messages", "1");
    kafka_conf_set(conf, "fetch.queue.backoff.ms", "2");
}

enum status consumer_open(const struct consumer_options *options, struct consumer **consumer,
                          struct error *error)
{
    static const uint64_t one = 1;
    char text[512];
    struct consumer *made = mem_new(struct consumer);
    made->options = *options;
    made->wake_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made->wake_descriptor < 0) {
        free(made);
        return error_set(error, STATUS_UNAVAILABLE, "Kafka consumer: no eventfd");
    }
    rd_kafka_conf_t *conf = kafka_settings_conf(options->kafka, KAFKA_ROLE_CONSUMER, "dispatcher");
    kafka_conf_set(conf, "group.id", options->group);
    /* A member that comes back under its instance name gets its partitions back at once; without
     * one, the group would wait for the one that was killed until its session times out. */
    kafka_conf_set(conf, "group.instance.id", options->instance);
    if (!kafka_settings_get(options->kafka, KAFKA_ROLE_CONSUMER, "session.timeout.ms"))
        kafka_conf_set(conf, "session.timeout.ms", "10000");
    kafka_conf_set(conf, "partition.assignment.strategy", "cooperative-sticky");
    kafka_conf_set(conf, "auto.offset.reset", "earliest");
    kafka_conf_set(conf, "enable.auto.commit", "false");
    kafka_conf_set(conf, "enable.auto.offset.store", "false");
    kafka_conf_set(conf, "enable.partition.eof", "false");
    kafka_conf_set(conf, "isolation.level", "read_committed");
    fetch_between_batches(options, conf);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, made);
    made->client = kafka_oidc_new_client(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!made->client) {
        enum status status = kafka_new_status();
        rd_kafka_conf_destroy(conf);
        close(made->wake_descriptor);
        free(made);
        return error_set(error, status, "Kafka consumer: %s", text);
    }
    rd_kafka_poll_set_consumer(made->client);
    made->queue = rd_kafka_queue_get_consumer(made->client);
    /* Written only when an empty queue fills, so consumer_poll() looks at the queue before it
     * waits. */
    rd_kafka_queue_io_event_enable(made->queue, made->wake_descriptor, &one, sizeof(one));
    if (options->first_topic) {
        made->first = rd_kafka_queue_new(made->client);
        rd_kafka_queue_io_event_enable(made->first, made->wake_descriptor, &one, sizeof(one));
    }
    *consumer = made;
    return STATUS_OK;
}

/* Apart from opening: the broker and the topics are asked for first, through this client, and a
 * member that is not ready would get partitions that it cannot read. */
enum status consumer_join(struct consumer *consumer, struct error *error)
{
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)consumer->options.topic_count);
    for (size_t i = 0; i < consumer->options.topic_count; i++)
        rd_kafka_topic_partition_list_add(topics, consumer->options.topics[i],
                                          RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STATUS_OK;
    return error_set(error, STATUS_FATAL, "subscription: %s", rd_kafka_err2str(code));
}

/* What is left in it holds on to its partitions, and they to the queue. */
static void drop_first(struct consumer *consumer)
{
    rd_kafka_message_t *message;
    if (!consumer->first)
        return;
    while ((message = rd_kafka_consume_queue(consumer->first, 0)))
        rd_kafka_message_destroy(message);
    rd_kafka_queue_destroy(consumer->first);
    consumer->first = NULL;
}

/* The descriptor is taken from the queue first, or librdkafka might write to a number that is
 * another file's by then. */
static void leave_group(struct consumer *consumer)
{
    rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(consumer->queue);
    if (consumer->first)
        rd_kafka_queue_io_event_enable(consumer->first, -1, NULL, 0);
    (void)rd_kafka_consumer_close(consumer->client);
    drop_first(consumer);
    close(consumer->wake_descriptor);
}

void consumer_close(struct consumer *consumer)
{
    if (!consumer)
        return;
    leave_group(consumer);
    rd_kafka_destroy(consumer->client);
    free(consumer);
}

/* Of a client that may never end: that is waited for elsewhere (kafka_end.c), so that a new one
 * can take its place at once. */
void consumer_abandon(struct consumer *consumer)
{
    leave_group(consumer);
    kafka_end_later(consumer->client, 0);
    free(consumer);
}

rd_kafka_t *consumer_client(const struct consumer *consumer)
{
    return consumer->client;
}

/* librdkafka waits until a time of the wall clock: set back by an hour meanwhile, it would wait for
 * an hour. */
static void wait_for_queue(const struct consumer *consumer, int timeout_ms)
{
    uint64_t count;
    struct pollfd descriptor = {.fd = consumer->wake_descriptor, .events = POLLIN};
    if (poll(&descriptor, 1, timeout_ms) > 0)
        (void)!read(consumer->wake_descriptor, &count, sizeof(count));
}

/* What is there. */
static rd_kafka_message_t *take_first_record(struct consumer *consumer)
{
    rd_kafka_message_t *message = NULL;
    if (consumer->first && consumer->first_run < FIRST_RUN_LIMIT)
        message = rd_kafka_consume_queue(consumer->first, 0);
    if (message) {
        consumer->first_run++;
        return message;
    }
    bool more = consumer->first_run == FIRST_RUN_LIMIT;
    consumer->first_run = 0;
    message = rd_kafka_consumer_poll(consumer->client, 0);
    return !message && more ? rd_kafka_consume_queue(consumer->first, 0) : message;
}

/* Errors are told and passed over; what ends the client shows in consumer_fatal(). */
static rd_kafka_message_t *pass_record(struct consumer *consumer, rd_kafka_message_t *message)
{
    if (!message)
        return NULL;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        consumer->all_brokers_down = false;
        return message;
    }
    if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF &&
        message->err != RD_KAFKA_RESP_ERR__FATAL)
        log_warning("records cannot be read now",
                    LOG_STRING("topic", message->rkt ? rd_kafka_topic_name(message->rkt) : ""),
                    LOG_INTEGER("partition", message->partition),
                    LOG_STRING("error", rd_kafka_message_errstr(message)));
    rd_kafka_message_destroy(message);
    return NULL;
}

/* Looks before it waits: the descriptor tells only that an empty queue has filled. */
rd_kafka_message_t *consumer_poll(struct consumer *consumer, int timeout_ms)
{
    rd_kafka_message_t *message = take_first_record(consumer);
    if (!message && timeout_ms > 0) {
        wait_for_queue(consumer, timeout_ms);
        message = take_first_record(consumer);
    }
    return pass_record(consumer, message);
}

rd_kafka_message_t *consumer_poll_first(struct consumer *consumer)
{
    return consumer->first ? pass_record(consumer, rd_kafka_consume_queue(consumer->first, 0))
                           : NULL;
}

/* Leaves in the list what is assigned now. */
static void keep_assigned(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (rd_kafka_assignment(consumer->client, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (int i = partitions->cnt - 1; i >= 0; i--)
        if (!rd_kafka_topic_partition_list_find(assigned, partitions->elems[i].topic,
                                                partitions->elems[i].partition))
            (void)rd_kafka_topic_partition_list_del_by_idx(partitions, i);
    rd_kafka_topic_partition_list_destroy(assigned);
}

/* All or none counts: a partition that stayed ahead would skip what was given back. */
static enum status seek_partitions(struct consumer *consumer,
                                   rd_kafka_topic_partition_list_t *partitions, int timeout_ms)
{
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(consumer->client, partitions, timeout_ms);
    bool failed = failure != NULL;
    if (failed)
        rd_kafka_error_destroy(failure);
    for (int i = 0; i < partitions->cnt; i++)
        failed = failed || partitions->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR;
    return failed ? STATUS_UNAVAILABLE : STATUS_OK;
}

/* Fails when one of them fails: an offset that is not known must not be taken for one that is
 * not there, or the partition would be read from its beginning. */
enum status consumer_find_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *partitions,
                                    int timeout_ms)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(partitions);
    rd_kafka_resp_err_t code = rd_kafka_committed(client, committed, timeout_ms);
    enum status status = code == RD_KAFKA_RESP_ERR_NO_ERROR ? STATUS_OK : STATUS_UNAVAILABLE;
    for (int i = 0; i < partitions->cnt && status == STATUS_OK; i++)
        if (committed->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = STATUS_UNAVAILABLE;
    for (int i = 0; i < partitions->cnt && status == STATUS_OK; i++)
        if (committed->elems[i].offset >= 0)
            partitions->elems[i].offset = committed->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(committed);
    return status;
}

enum status consumer_rewind(struct consumer *consumer, rd_kafka_topic_partition_list_t *partitions,
                            int timeout_ms)
{
    keep_assigned(consumer, partitions);
    if (partitions->cnt == 0)
        return STATUS_OK;
    enum status status = consumer_find_committed(consumer->client, partitions, timeout_ms);
    return status == STATUS_OK ? seek_partitions(consumer, partitions, timeout_ms) : status;
}

const char *consumer_fatal(const struct consumer *consumer, char *text, size_t size)
{
    return rd_kafka_fatal_error(consumer->client, text, size) == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL
                                                                                            : text;
}

/* The lag counts aborted records and markers too; it is exact where it matters, at 0. */
void consumer_state(const struct consumer *consumer, struct consumer_state *state)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    *state = (struct consumer_state){.joined = consumer->joined,
                                     .connected = !consumer->all_brokers_down};
    if (rd_kafka_assignment(consumer->client, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    (void)rd_kafka_position(consumer->client, assigned);
    for (int i = 0; i < assigned->cnt; i++) {
        int64_t low;
        int64_t high;
        if (rd_kafka_get_watermark_offsets(consumer->client, assigned->elems[i].topic,
                                           assigned->elems[i].partition, &low,
                                           &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
            high < 0)
            continue;
        int64_t position = assigned->elems[i].offset >= 0 ? assigned->elems[i].offset : high;
        state->lag += high > position ? high - position : 0;
    }
    state->partitions = assigned->cnt;
    rd_kafka_topic_partition_list_destroy(assigned);
}

/* librdkafka tells when all brokers are gone but not when one is back. */
void consumer_check_connection(struct consumer *consumer, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (!consumer->all_brokers_down)
        return;
    if (rd_kafka_metadata(consumer->client, 0, NULL, &metadata, timeout_ms) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_metadata_destroy(metadata);
    consumer->all_brokers_down = false;
    log_info("a broker answers again");
}

/* --- Records --- */

/* Only the list is copied; names and values stay in the message, which the batch keeps. */
static const struct record_header *copy_headers(struct arena *arena,
                                                const rd_kafka_message_t *message, size_t *count)
{
    rd_kafka_headers_t *headers = NULL;
    *count = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return NULL;
    size_t size = rd_kafka_header_cnt(headers);
    struct record_header *copies = arena_raw(arena, size * sizeof(struct record_header));
    for (size_t i = 0; i < size; i++) {
        const char *name;
        const void *value;
        size_t value_size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &value_size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        copies[(*count)++] =
            (struct record_header){bytes_of_string(name), bytes_of(value, value_size)};
    }
    return copies;
}

void consumer_read_record(const rd_kafka_message_t *message, struct arena *arena,
                          struct record *record)
{
    rd_kafka_timestamp_type_t type;
    *record = (struct record){
        .topic = bytes_of_string(rd_kafka_topic_name(message->rkt)),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = bytes_of(message->key, message->key_len),
        .has_key = message->key != NULL,
        .value = bytes_of(message->payload, message->len),
        .has_value = message->payload != NULL,
    };
    record->headers = copy_headers(arena, message, &record->header_count);
}
