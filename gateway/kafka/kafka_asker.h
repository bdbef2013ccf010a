/* What asks the broker beside what reads: a client that nobody else uses, the worker that its calls
 * block, and the descriptor by which the loop hears of both. */
#ifndef GATEWAY_KAFKA_KAFKA_ASKER_H
#define GATEWAY_KAFKA_KAFKA_ASKER_H

#include "kafka_client.h"
#include "worker.h"

struct kafka_asker {
    int descriptor; /* an eventfd, signalled at the beginning */
    struct kafka_client client;
    struct worker *worker;
};

enum status kafka_asker_open(const struct kafka_settings *settings, const char *client_id,
                             struct kafka_asker *asker, struct error *error) MUST_CHECK;
/* Two steps, since between them goes whatever else writes to the descriptor, until it has ended: no
 * job runs after the first, no thread of librdkafka's after the second. */
void kafka_asker_stop(struct kafka_asker *asker);
void kafka_asker_close(struct kafka_asker *asker);

#endif
