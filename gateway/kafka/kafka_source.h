/* Lanes read from Kafka: lane_source.h over librdkafka, for the event loop's thread. One consumer
 * reads all lanes live, by manual assignment; a pool reads what catch-up needs (kafka_scan.h); a
 * worker thread asks what blocks (kafka_ends.h). Not a consumer group: it commits nothing and
 * shares nothing.
 *
 * What a lane goes through:
 *
 *      open() --> RESOLVING --ends known:--> READING --broker away:--> READING ON
 *                  |  ^  ^    hub_lane_opened  | ^    hub_lane_unavailable  |  |
 *                  |  |  |                     | '--back: hub_lane_position-'  |
 *                  |  |  |                     |                               |
 *                  '--'  '---------------------'---log cut: hub_lane_broken----'
 *      topic missing or broker away: hub_lane_unavailable, and again later
 *
 * Reading is not interrupted while the broker is away: librdkafka goes on by itself where it was.
 * A record or a position of an unavailable lane means that it can be read again. After
 * hub_lane_broken the source opens the lane anew: hub_lane_opened comes again.
 *
 * A connection through which nothing comes looks to librdkafka, for a while or for ever, like lanes
 * without new records. So where lanes end is asked for on another handle: one whose end is ahead of
 * its position, which does not move for stall_ms, is told unavailable and read anew from there; if
 * that does not help, or nothing at all has come meanwhile, by a new consumer.
 *
 * The loop calls kafka_source_service() when the descriptor is readable or the deadline has passed;
 * calls to the hub come from there only. */
#ifndef GATEWAY_KAFKA_KAFKA_SOURCE_H
#define GATEWAY_KAFKA_KAFKA_SOURCE_H

#include "hub.h"
#include "kafka_scan.h"
#include "kafka_settings.h"
#include "lane_source.h"
#include "layout.h"
#include "metrics.h"
#include "status.h"

struct kafka_source;

struct kafka_source_config {
    const struct kafka_settings *settings; /* borrowed until it is closed */
    const struct layout *layout;           /* borrowed until it is closed */
    const char *client_id;                 /* borrowed until it is closed */
    uint64_t hash_seed;                    /* random, of the table of lanes */
    unsigned scans;            /* consumers for catch-up, and as many for state topics */
    unsigned records_per_turn; /* live records handed over before the loop may turn */
    int64_t probe_interval_ms; /* how often the broker is asked whether it is there */
    int64_t stall_ms;          /* a lane that is behind and gets nothing for so long is read anew */
    struct metric_histogram *record_age; /* how old records are when they arrive; may be NULL */
};

struct kafka_source_stats {
    uint64_t records, record_bytes, opened, retries, broken, broker_lost, errors;
    uint64_t stalled, renewed;            /* lanes that stood still; consumers replaced for that */
    uint64_t lanes, reading, unavailable; /* now */
};

enum status kafka_source_open(const struct kafka_source_config *config,
                              struct kafka_source **source, struct error *error) MUST_CHECK;
/* Waits for the worker, at most some seconds. NULL is fine. */
void kafka_source_close(struct kafka_source *source);

/* What a hub is made with; the pointer that goes with it is the source. */
extern const struct lane_source_ops kafka_source_ops;
/* Before the first service. */
void kafka_source_attach(struct kafka_source *source, struct hub *hub);

int kafka_source_descriptor(const struct kafka_source *source);
void kafka_source_service(struct kafka_source *source, int64_t now_ms, int64_t wall_ms);
/* What is live only, in between. */
void kafka_source_service_live(struct kafka_source *source, int64_t now_ms, int64_t wall_ms);
int64_t kafka_source_deadline_ms(const struct kafka_source *source);

/* Whether the broker answers; `detail` is text for a person, static. */
bool kafka_source_ready(const struct kafka_source *source, const char **detail);
/* Whether it has answered since the start. */
bool kafka_source_was_reached(const struct kafka_source *source);
/* Whether it is librdkafka's mock cluster; false until the broker has answered. */
bool kafka_source_is_mock(const struct kafka_source *source);

const struct kafka_source_stats *kafka_source_stats(const struct kafka_source *source);
const struct kafka_scan_stats *kafka_source_scan_stats(const struct kafka_source *source);
/* The same, of state topics. */
const struct kafka_scan_stats *kafka_source_state_stats(const struct kafka_source *source);

#endif
