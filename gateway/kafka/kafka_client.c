/* Handles of librdkafka as the gateway wants them, and records as the domain sees them. For live
 * reading, reading of the past, and asking; each on a handle of its own, since a
 * handle has one connection to each broker, on which a slow answer holds up those behind it.
 *
 * The invariant: where to read from is ours. No group is joined, nothing is committed, and
 * librdkafka never chooses an offset: what it cannot read it has to say.
 *
 * Threads: the loop calls all of this. librdkafka's threads touch nothing of ours but the event
 * descriptor. */
#include "kafka_client.h"

#include <assert.h>

#include "kafka_end.h"
#include "kafka_oidc.h"
#include "mem.h"
#include "notification.h"

static void set_default_property(rd_kafka_conf_t *conf, const struct kafka_settings *settings,
                                 const char *property, const char *value)
{
    if (!kafka_settings_get(settings, KAFKA_ROLE_CONSUMER, property))
        kafka_conf_set(conf, property, value);
}

static bool is_asking(const struct kafka_client_options *options)
{
    return options->purpose == KAFKA_PURPOSE_ASKING || options->purpose == KAFKA_PURPOSE_MARKS;
}

static void set_client_properties(rd_kafka_conf_t *conf, const struct kafka_client_options *options)
{
    const struct kafka_settings *settings = options->settings;
    /* Manual assignment asks for a group although nothing is ever done with it. */
    set_default_property(conf, settings, "group.id", "smartstack-gateway");
    /* Set, not defaulted: with other values the gateway would be wrong, whatever its configuration
     * says. */
    kafka_conf_set(conf, "enable.auto.commit", "false");
    kafka_conf_set(conf, "enable.auto.offset.store", "false");
    kafka_conf_set(conf, "enable.partition.eof", "true");
    kafka_conf_set(conf, "auto.offset.reset", "error");
    kafka_conf_set(conf, "isolation.level",
                   options->purpose == KAFKA_PURPOSE_MARKS ? "read_uncommitted" : "read_committed");
    kafka_conf_set(conf, "max.poll.interval.ms", "86400000"); /* a stopped process wakes up whole */
    if (is_asking(options))
        return;
    /* Else librdkafka, once it has met a full queue, looks again only after up to a second. */
    if (kafka_has_queue_backoff())
        set_default_property(conf, settings, "fetch.queue.backoff.ms", "2");
    /* Who reads up to an end, and no further, hears of it from a fetch that found nothing: behind the
     * last record stands a transaction's marker. */
    if (options->mock || options->purpose == KAFKA_PURPOSE_SCAN ||
        options->purpose == KAFKA_PURPOSE_LOAD)
        set_default_property(conf, settings, "fetch.wait.max.ms", "10");
    if (options->purpose == KAFKA_PURPOSE_SCAN) {
        /* What is fetched beyond a scan's end is thrown away. */
        kafka_conf_set(conf, "queued.max.messages.kbytes", KAFKA_SCAN_QUEUE_KIB);
        kafka_conf_set(conf, "fetch.message.max.bytes", "131072");
    } else if (options->purpose == KAFKA_PURPOSE_LOAD) {
        kafka_conf_set(conf, "queued.max.messages.kbytes", KAFKA_LOAD_QUEUE_KIB);
    } else
        set_default_property(conf, settings, "queued.max.messages.kbytes", "16384");
}

enum status kafka_client_open(const struct kafka_client_options *options,
                              struct kafka_client *client, struct error *error)
{
    rd_kafka_conf_t *conf =
        kafka_settings_conf(options->settings, KAFKA_ROLE_CONSUMER, options->client_id);
    set_client_properties(conf, options);
    if (options->on_error)
        rd_kafka_conf_set_error_cb(conf, options->on_error);
    rd_kafka_conf_set_opaque(conf, options->opaque);
    char text[256];
    rd_kafka_t *handle = kafka_oidc_new_client(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!handle) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, STATUS_INVALID, "cannot make a Kafka client: %s", text);
    }
    *client = (struct kafka_client){.handle = handle};
    if (is_asking(options))
        return STATUS_OK;
    /* Errors and logs then come through the one queue too, which is drained without
     * rd_kafka_poll(). */
    rd_kafka_poll_set_consumer(handle);
    client->queue = rd_kafka_queue_get_consumer(handle);
    /* Written only when the queue goes from empty to filled: who drains it asks until it is empty,
     * or signals itself. What came before this call was not told: the first look is the caller's.
     */
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(client->queue, options->wake_descriptor, &one, sizeof(one));
    return STATUS_OK;
}

/* In this order: a signal from a thread of librdkafka after the descriptor has been closed could go
 * to whoever has its number by then. */
static void drop_queue(struct kafka_client *client)
{
    if (!client->queue)
        return;
    rd_kafka_queue_io_event_enable(client->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(client->queue);
    client->queue = NULL;
}

/* NO_CONSUMER_CLOSE: no group was joined, so that there is nothing to close, and closing waits. */
void kafka_client_abandon(struct kafka_client *client)
{
    assert(client->handle);
    drop_queue(client);
    kafka_end_later(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    *client = (struct kafka_client){0};
}

void kafka_client_close(struct kafka_client *client)
{
    if (!client->handle)
        return;
    drop_queue(client);
    rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    *client = (struct kafka_client){0};
}

/* Borrows from the message, whose end is the end of the view. */
void kafka_record_view(const rd_kafka_message_t *message, struct lane_record *record)
{
    rd_kafka_timestamp_type_t type;
    *record = (struct lane_record){
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = bytes_of(message->key, message->key ? message->key_len : 0),
        .value = bytes_of(message->payload, message->payload ? message->len : 0),
    };
    rd_kafka_headers_t *headers;
    /* librdkafka parses headers only here, at the first asking. */
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    struct notification_envelope envelope = {0};
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        notification_header_decode(&envelope, bytes_of_string(name),
                                   bytes_of(value, value ? size : 0));
    record->room_hashes = envelope.room_hashes;
    record->layout = envelope.layout;
    record->about_item = envelope.item_hash != 0;
}
