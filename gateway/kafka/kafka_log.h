/* Reads a compacted topic of one partition, from its beginning, and then for ever. For the event loop's
 * thread, with a consumer of its own; not a consumer group. Not what its records mean: orders
 * (kafka_orders.h) and presence (kafka_presence.h) do.
 *
 *      ASKING --the topic's end is known:--> READING --there:--> known
 *         ^                                     |
 *         '---broker away, topic missing, consumer stands still, log cut---'
 *
 * A log that was cut, or made anew, is read from its beginning again. */
#ifndef GATEWAY_KAFKA_KAFKA_LOG_H
#define GATEWAY_KAFKA_KAFKA_LOG_H

#include "kafka_settings.h"
#include "lane_source.h"
#include "status.h"

struct kafka_log;

struct kafka_log_ops {
    /* A record; without a value if `has_value` is false. False: not now, and what follows waits; it
     * is offered again every second. */
    bool (*take)(void *context, const struct lane_record *record, bool has_value);
    /* The first time that one is not taken. */
    void (*held)(void *context);
    /* It is read from its beginning again. NULL: that does not matter. */
    void (*begins)(void *context);
};

struct kafka_log_config {
    const struct kafka_settings *settings; /* these are borrowed until it is closed */
    const char *client_id;
    const char *topic;
    const struct kafka_log_ops *ops;
    void *context;
    int64_t probe_interval_ms; /* how often it is asked where the topic ends */
    int64_t stall_ms;          /* nothing has come for so long, and there is more: read anew */
};

enum status kafka_log_open(const struct kafka_log_config *config, struct kafka_log **log,
                           struct error *error) MUST_CHECK;
/* Waits for the worker, at most some seconds. NULL is fine. */
void kafka_log_close(struct kafka_log *log);

/* From its beginning, as soon as it is serviced. ops.begins is not called: it is the same log. */
void kafka_log_read_again(struct kafka_log *log);

/* For the loop: service when the descriptor is readable or the deadline has passed. */
int kafka_log_descriptor(const struct kafka_log *log);
void kafka_log_service(struct kafka_log *log, int64_t now_ms);
int64_t kafka_log_deadline_ms(const struct kafka_log *log);

struct kafka_log_state {
    bool known;          /* it was read to where it ended at the start */
    bool holds;          /* a record that is not taken */
    bool broker_away;    /* that is the trouble */
    const char *trouble; /* why it is not read now, a text for people, static; NULL: it is */
    int64_t position;    /* the next offset; below 0: none yet */
    uint64_t begun;      /* how often it was read from its beginning */
};
struct kafka_log_state kafka_log_state(const struct kafka_log *log);

#endif
