/* The state topics of lanes (layout.h): where they end, and what is in them, for views
 * (state_load.h). Not lanes, which kafka_source.h reads; part of that source.
 *
 * Ends are high watermarks, asked on a handle of its own with isolation.level=read_uncommitted. On
 * any other, a producer's included, ListOffsets answers with the last stable offset, which may lie
 * before a record whose other half is visible in its lane; and the watermark that comes with a fetch
 * may go back when the leader changes. Records are read committed. */
#ifndef GATEWAY_KAFKA_KAFKA_STATES_H
#define GATEWAY_KAFKA_KAFKA_STATES_H

#include "kafka_scan.h"
#include "worker.h"

struct hub;
struct kafka_states;
struct lane;

struct kafka_states_config {
    const struct kafka_settings *settings; /* these are borrowed until it is closed */
    const char *client_id;
    struct hub *hub;
    struct worker *worker; /* questions are its jobs */
    int wake_descriptor;   /* an eventfd */
    unsigned loads;        /* state topics that are read at a time; each takes up to 2 MiB */
    int64_t stall_ms;      /* one that gives nothing for so long is read anew */
    bool mock;             /* the embedded broker: there are no state topics */
};

/* A lane's log. */
struct kafka_states_log {
    struct lane *lane;
    const char *topic; /* the lane's own */
    int32_t partition;
    int32_t partition_count; /* configured */
};

struct kafka_states *kafka_states_open(const struct kafka_states_config *config);
/* The worker has ended. NULL is fine. */
void kafka_states_close(struct kafka_states *states);

/* As lane_source_ops.state_ends, .state_read and .state_cancel. */
void kafka_states_ask(struct kafka_states *states, const struct kafka_states_log *log, bool of_lane,
                      unsigned question);
void kafka_states_read(struct kafka_states *states, const struct kafka_states_log *log,
                       int64_t from, int64_t to);
void kafka_states_cancel(struct kafka_states *states, struct lane *lane);

/* For the source's turn. True: there is more. */
bool kafka_states_service(struct kafka_states *states, int64_t now_ms);
int64_t kafka_states_deadline_ms(const struct kafka_states *states);

const struct kafka_scan_stats *kafka_states_stats(const struct kafka_states *states);

#endif
