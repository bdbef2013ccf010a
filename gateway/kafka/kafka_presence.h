/* The topic of presence: what other gateways write of who is in their rooms is read into presence.h,
 * and what this one has to say is written. For the event loop's thread. */
#ifndef GATEWAY_KAFKA_KAFKA_PRESENCE_H
#define GATEWAY_KAFKA_KAFKA_PRESENCE_H

#include "kafka_settings.h"
#include "presence.h"
#include "status.h"

struct kafka_presence;

struct kafka_presence_config {
    const struct kafka_settings *settings; /* these are borrowed until it is closed */
    const char *client_id;
    const char *topic;
    struct presence *presence;
    int64_t probe_interval_ms; /* as in kafka_log.h */
    int64_t stall_ms;
};

enum status kafka_presence_open(const struct kafka_presence_config *config,
                                struct kafka_presence **presence, struct error *error) MUST_CHECK;
/* What is on its way is given up: that this gateway is gone the others notice. NULL is fine. */
void kafka_presence_close(struct kafka_presence *presence);

/* For the loop: service when the descriptor is readable or the deadline has passed. */
int kafka_presence_descriptor(const struct kafka_presence *presence);
void kafka_presence_service(struct kafka_presence *presence, int64_t now_ms);
int64_t kafka_presence_deadline_ms(const struct kafka_presence *presence);

struct kafka_presence_stats {
    uint64_t batches_failed; /* not all of it was taken by the broker */
    uint64_t begun;          /* how often the topic was read from its beginning */
};
struct kafka_presence_stats kafka_presence_stats(const struct kafka_presence *presence);

#endif
