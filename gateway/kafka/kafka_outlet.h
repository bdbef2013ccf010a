/* Implements the port of client_events.h: produces clients' events to a topic, and tells when the
 * broker has them. For the event loop's thread. Not a transaction: an event may come twice, with
 * one id, if its sender did not hear of the first.
 *
 * A record is a CloudEvent in binary mode: key = user (or the session without one), value = the
 * client's JSON, headers content-type, ce_specversion, ce_id, ce_source, ce_type, ce_time,
 * ce_tenantid, ce_userid, ce_session, ce_room, traceparent, tracestate (those that there are).
 * deploy/docs/client-events.md says what each is. Commands about reviews have the review's home as
 * their key, and the partition that Kafka's own clients choose for it, as the dispatcher does. */
#ifndef GATEWAY_KAFKA_KAFKA_OUTLET_H
#define GATEWAY_KAFKA_KAFKA_OUTLET_H

#include "client_events.h"
#include "kafka_settings.h"
#include "status.h"

struct kafka_outlet;

struct kafka_outlet_config {
    const struct kafka_settings *settings; /* borrowed until it is closed */
    const char *client_id;
    const char *topic;
    const char *review_log; /* the topic of commands about reviews; NULL: there are none */
    unsigned messages;      /* on their way at most */
    uint64_t bytes;         /* likewise: keys, values and headers */
    int64_t timeout_ms;     /* what the broker has not taken by then has failed */
};

enum status kafka_outlet_open(const struct kafka_outlet_config *config,
                              struct kafka_outlet **outlet, struct error *error) MUST_CHECK;
/* Gives what is on its way some time. NULL is fine. */
void kafka_outlet_close(struct kafka_outlet *outlet);

/* The pointer that goes with it is the outlet. */
extern const struct outlet_ops kafka_outlet_ops;

struct kafka_outlet_stats {
    uint64_t refused;         /* beyond messages or bytes */
    uint64_t messages, bytes; /* on their way now */
};
const struct kafka_outlet_stats *kafka_outlet_stats(const struct kafka_outlet *outlet);

/* For the loop: service when the descriptor is readable. */
int kafka_outlet_descriptor(const struct kafka_outlet *outlet);
void kafka_outlet_service(struct kafka_outlet *outlet);

#endif
