/* What the lane source's own files share. Nobody else includes this.
 *
 *   kafka_lane_state.c  what happens to one lane
 *   kafka_watch.c       lanes that stand still
 *   kafka_rounds.c      what the broker is asked, and what follows from its answers
 *   kafka_source.c      live reading, what the hub asks, life and turns */
#ifndef GATEWAY_KAFKA_KAFKA_SOURCE_PRIVATE_H
#define GATEWAY_KAFKA_KAFKA_SOURCE_PRIVATE_H

#include "kafka_asker.h"
#include "kafka_ends.h"
#include "kafka_lanes.h"
#include "kafka_source.h"
#include "kafka_states.h"
#include "worker.h"

struct kafka_source {
    struct kafka_source_config config;
    struct hub *hub;
    struct kafka_asker asker;
    struct kafka_client live; /* opened when the broker has answered for the first time */
    struct kafka_scan_pool *scans;
    struct kafka_states *states; /* opened with the scans */
    struct kafka_lanes lanes;
    struct kafka_ends_round *round; /* under way, or NULL */
    bool answered;                  /* the broker did, once */
    bool mock;
    bool away;
    bool trouble; /* librdkafka reported some since the broker last answered */
    unsigned failures;
    int64_t heard_ms;    /* when the live consumer last gave something */
    int64_t renewed_ms;  /* when it was last replaced */
    unsigned renewals;   /* in a row, without hearing anything */
    bool renewal_wanted; /* in this turn, once no list is being walked */
    int64_t ask_ms;      /* when a lane needs the next round; INT64_MAX: none does */
    int64_t probe_ms;    /* when the next round is due anyway */
    int64_t away_since_wall_ms;
    int64_t now_ms;
    int64_t wall_ms;
    struct kafka_lane *last; /* where the last record belonged */
    struct kafka_source_stats stats;
};

/* The lane's ends are asked for at this time, or as soon as the round under way is over. */
void kafka_lane_ask_at(struct kafka_source *source, struct kafka_lane *entry, int64_t time_ms);
/* No longer read; its ends are wanted. */
void kafka_lane_start_over(struct kafka_source *source, struct kafka_lane *entry);
void kafka_lane_unavailable(struct kafka_source *source, struct kafka_lane *entry,
                            const char *reason);
void kafka_lane_available(struct kafka_source *source, struct kafka_lane *entry);
void kafka_lane_broken(struct kafka_source *source, struct kafka_lane *entry, const char *reason);
/* Assigned to the live consumer from its position on, or no longer. */
void kafka_lane_assign(struct kafka_source *source, const struct kafka_lane *entry, bool assign);
/* Whether something waits for its ends. */
bool kafka_lane_asks(const struct kafka_lane *entry);
void kafka_lane_answer(struct kafka_source *source, struct kafka_lane *entry,
                       const struct kafka_ends_request *answer);

/* The lane's log ended there a moment ago: is it read? */
void kafka_watch_look(struct kafka_source *source, struct kafka_lane *entry, int64_t end);
/* A record or the end of the log came: it is. */
void kafka_watch_heard(struct kafka_source *source, struct kafka_lane *entry);
/* Replaces the live consumer, if that is wanted. Not while its messages are looked at. */
void kafka_watch_run(struct kafka_source *source);

enum status kafka_rounds_open_live(struct kafka_source *source) MUST_CHECK;
/* Starts a round if one is due and none is under way. */
void kafka_rounds_run(struct kafka_source *source);

#endif
