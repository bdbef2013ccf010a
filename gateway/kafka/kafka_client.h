/* librdkafka handles as the gateway needs them: what they are configured to, in one place. Not what
 * is done with them. */
#ifndef GATEWAY_KAFKA_KAFKA_CLIENT_H
#define GATEWAY_KAFKA_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "kafka_settings.h"
#include "lane_source.h"
#include "status.h"

enum kafka_purpose {
    KAFKA_PURPOSE_LIVE,   /* reads lanes as they grow */
    KAFKA_PURPOSE_SCAN,   /* reads pieces of the past, with little memory */
    KAFKA_PURPOSE_LOAD,   /* reads whole state topics */
    KAFKA_PURPOSE_ASKING, /* metadata and ends, from a worker thread */
    KAFKA_PURPOSE_MARKS   /* likewise, but ends are high watermarks */
};

/* Bytes of values that a scan, or a load, reads ahead; in KiB as text, for librdkafka. */
enum { KAFKA_SCAN_QUEUE_BYTES = 64 * 1024, KAFKA_LOAD_QUEUE_BYTES = 1024 * 1024 };
#define KAFKA_SCAN_QUEUE_KIB "64"
#define KAFKA_LOAD_QUEUE_KIB "1024"

struct kafka_client_options {
    const struct kafka_settings *settings;
    const char *client_id;
    enum kafka_purpose purpose;
    bool mock;           /* a produce does not wake the mock cluster's waiting fetch: ask often */
    int wake_descriptor; /* LIVE, SCAN, LOAD: an eventfd, written when the consumer's queue fills */
    /* Called from whatever thread polls; NULL: errors are logged only. */
    void (*on_error)(rd_kafka_t *client, int code, const char *reason, void *opaque);
    void *opaque;
};

struct kafka_client {
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue; /* the consumer's queue; NULL if ASKING or MARKS */
};

enum status kafka_client_open(const struct kafka_client_options *options,
                              struct kafka_client *client, struct error *error) MUST_CHECK;
/* Blocks, usually for some milliseconds: at the end, or on a worker. A zeroed client is fine. */
void kafka_client_close(struct kafka_client *client);
/* Does not block: what is left to do is done on a thread of its own (kafka_end.h). */
void kafka_client_abandon(struct kafka_client *client);

/* What a lane's record is; borrowed from the message. */
void kafka_record_view(const rd_kafka_message_t *message, struct lane_record *record);

#endif
