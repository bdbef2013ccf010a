/* Whether the partitions that are ours are read: a connection through which no answer to Fetch
 * comes looks, to librdkafka, like an input without new records. Asks, on another handle, where the
 * partitions end. Not what to do about it (runner_watch.c). */
#ifndef DISPATCHER_INFRA_INPUT_WATCH_H
#define DISPATCHER_INFRA_INPUT_WATCH_H

#include <librdkafka/rdkafka.h>

struct input_watch;

/* `limit_ms`: for how long a partition may be behind without a step. */
struct input_watch *input_watch_new(int64_t limit_ms);
void input_watch_free(struct input_watch *watch);

struct input_state {
    int behind;  /* partitions of which not everything has come */
    int stalled; /* those of them that have stood still for the limit, again */
    int again;   /* those of them that did so before, and have made no step since */
};

/* One look at all that is assigned to `consumer`. Blocks for one answer on `asking`, at most a
 * second; without one, nothing is known and nothing is counted. Adds those that are stalled to
 * `stalled`. */
void input_watch_look(struct input_watch *watch, rd_kafka_t *consumer, rd_kafka_t *asking,
                      int64_t now_ms, struct input_state *state,
                      rd_kafka_topic_partition_list_t *stalled);

#endif
