/* The lanes a source has been asked for, found by the hub's handle or by topic and partition. Plain
 * state: what happens to a lane is decided in kafka_source.c. */
#ifndef GATEWAY_KAFKA_KAFKA_LANES_H
#define GATEWAY_KAFKA_KAFKA_LANES_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "stall.h"
#include "status.h"

struct lane;

struct kafka_lane {
    struct lane *lane; /* the hub's; NULL: closed, freed by kafka_lanes_reap() */
    uint64_t id;       /* of this opening: answers to an earlier one are dropped */
    bool reading;      /* assigned to the live consumer */
    bool verify;       /* reading, but its ends are to be compared with the position */
    bool ends_wanted;  /* the hub asked for the ends */
    bool unavailable;  /* told the hub so */
    const char *reason;
    unsigned attempts;
    struct stall stall;       /* whether reading stands still although the log grows */
    unsigned stalls;          /* in a row */
    int64_t retry_ms;         /* when its ends are asked for next, if they are wanted */
    int64_t short_since_ms;   /* the log's end was met below the position; 0: no */
    int64_t missing_since_ms; /* the topic was there and is not; 0: no */
    uint64_t other_layout;    /* of a producer that was logged; 0: none yet */
    int64_t first;
    int64_t position;        /* the next offset to arrive */
    int64_t asked_position;  /* the position when the ends were asked for */
    int64_t checked_ms;      /* and when that was */
    enum status scan_status; /* a scan ended so: the hub is told with the log's first offset */
    int32_t partition_count; /* configured */
    struct kafka_lane *next_closed;
    UT_hash_handle by_lane;
    UT_hash_handle by_name;
    int32_t partition; /* with what follows, the key of by_name */
    char topic[];
};

struct kafka_lanes {
    struct kafka_lane *by_lane;
    struct kafka_lane *by_name;
    struct kafka_lane *closed;
    uint64_t last_id;
    uint64_t seed; /* random */
};

struct kafka_lane *kafka_lanes_add(struct kafka_lanes *lanes, struct lane *lane, const char *topic,
                                   int32_t partition);
/* Out of both tables at once; freed by the next reap, so that whoever is working on it sees
 * lane == NULL. */
void kafka_lanes_remove(struct kafka_lanes *lanes, struct kafka_lane *entry);
void kafka_lanes_reap(struct kafka_lanes *lanes);
void kafka_lanes_deinit(struct kafka_lanes *lanes);

struct kafka_lane *kafka_lanes_find(const struct kafka_lanes *lanes, const struct lane *lane);
struct kafka_lane *kafka_lanes_named(const struct kafka_lanes *lanes, const char *topic,
                                     int32_t partition);

#define KAFKA_LANES_FOREACH(lanes, entry, scratch) \
    HASH_ITER(by_lane, (lanes)->by_lane, entry, scratch)

#endif
