/* Reads the topic of the backend's orders (order.h) into the hub: from its beginning, and then for
 * ever. For the event loop's thread, with a consumer of its own; not a consumer group.
 *
 * The topic has one partition: orders are in one order. A log that was cut, or made anew, is read
 * from its beginning again; what is in force stays so until its time is over. An order that is one
 * too many is offered again until it is taken, and what lies behind it waits. */
#ifndef GATEWAY_KAFKA_KAFKA_ORDERS_H
#define GATEWAY_KAFKA_KAFKA_ORDERS_H

#include "hub.h"
#include "kafka_settings.h"
#include "status.h"

struct kafka_orders;

struct kafka_orders_config {
    const struct kafka_settings *settings; /* borrowed until it is closed */
    const char *client_id;                 /* borrowed until it is closed */
    const char *topic;                     /* borrowed until it is closed */
    struct hub *hub;
    int64_t probe_interval_ms; /* how often it is asked where the topic ends */
    int64_t stall_ms;          /* nothing has come for so long, and there is more: read anew */
};

enum status kafka_orders_open(const struct kafka_orders_config *config,
                              struct kafka_orders **orders, struct error *error) MUST_CHECK;
/* Waits for the worker, at most some seconds. NULL is fine. */
void kafka_orders_close(struct kafka_orders *orders);

/* For the loop: service when the descriptor is readable or the deadline has passed. */
int kafka_orders_descriptor(const struct kafka_orders *orders);
void kafka_orders_service(struct kafka_orders *orders, int64_t now_ms, int64_t wall_ms);
int64_t kafka_orders_deadline_ms(const struct kafka_orders *orders);

/* Whether all orders there were at the start are known, and further ones will be. While the broker
 * is away they will not, and it says so no more: it is away for all gateways. `detail` is text for a
 * person, static. */
bool kafka_orders_ready(const struct kafka_orders *orders, const char **detail);

struct kafka_orders_stats {
    uint64_t records;                   /* with the faulty ones */
    uint64_t faulty[ORDER_FAULT_COUNT]; /* by enum order_fault; passed over */
    uint64_t begun;                     /* how often the topic was read from its beginning */
};
const struct kafka_orders_stats *kafka_orders_stats(const struct kafka_orders *orders);

#endif
