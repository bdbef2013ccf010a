/* A source of lanes that does nothing by itself: what the hub asks is noted, and answered when a
 * test says so. For one lane. */
#ifndef TESTS_UNIT_DOMAIN_HAND_SOURCE_H
#define TESTS_UNIT_DOMAIN_HAND_SOURCE_H

#include "hub.h"

struct hand_source {
    struct lane *lane; /* that was opened last; NULL: none */
    bool asked;        /* to open it, or anew */
    bool asked_ends;
    bool scanning;
    int64_t from, to;                /* of the scan: the next record to give, and the end */
    unsigned closed, scans, scanned; /* lanes, scans, records of scans */
    /* Of the lane's state topic: what was asked last, and what is to be read. */
    bool asked_state, asked_lane_end, reading_state;
    unsigned question;
    int64_t state_from, state_to;
    unsigned state_reads, state_cancels;
};

/* Of a struct hand_source. */
extern const struct lane_source_ops hand_source_ops;

/* Settings under which nothing happens by limit or time; a test sets what it is about. */
struct hub_config hand_config(const struct layout *layout, const struct policy *policy);

/* Everybody reads tasks, projects and all of his tenant. To be freed. */
struct policy *hand_policy(void);

/* Answers, if asked: the log is [first, end). */
void hand_open(struct hand_source *source, struct hub *hub, int64_t first, int64_t end);

/* `value` holds what the record borrows. */
typedef struct lane_record hand_record_fn(int64_t offset, struct buffer *value);

/* A record that has been published, which is read if the lane is. */
void hand_arrive(struct hand_source *source, struct hub *hub, int64_t offset,
                 hand_record_fn *record_at);

/* So many records of a scan, as long as it runs; the log begins at `first`. */
void hand_read_back(struct hand_source *source, struct hub *hub, int64_t first, unsigned records,
                    hand_record_fn *record_at);

#endif
