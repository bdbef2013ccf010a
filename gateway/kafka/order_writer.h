/* Writes an order of the backend into its topic, and makes that topic: for the command line
 * (`gateway --control`), not for a running gateway. Blocks. */
#ifndef GATEWAY_KAFKA_ORDER_WRITER_H
#define GATEWAY_KAFKA_ORDER_WRITER_H

#include "kafka_settings.h"
#include "order.h"
#include "status.h"

struct order_writer_config {
    const struct kafka_settings *settings;
    const char *topic;
    int timeout_ms;
};

/* Where it was written. */
struct order_place {
    int32_t partition;
    int64_t offset;
};

/* Returns when the broker has it. STATUS_UNAVAILABLE, STATUS_DENIED, STATUS_NOT_FOUND: there is no
 * such topic; with the reason. */
enum status order_write(const struct order_writer_config *config, const struct order *order,
                        struct order_place *place, struct error *error) MUST_CHECK;

/* Makes the topic: one partition, compacted, and what is older than orders live (`age_ms`) is
 * deleted. STATUS_EXISTS: it is there. */
enum status order_topic_create(const struct order_writer_config *config, int64_t age_ms,
                               struct error *error) MUST_CHECK;

#endif
