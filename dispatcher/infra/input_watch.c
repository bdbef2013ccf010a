/* Whether the input is read: partitions that grow and of which nothing comes.
 *
 * A client of Kafka can be connected, be a member, have its partitions, and get nothing, without an
 * error: after a broker was away in an unlucky moment. Nothing in it tells that apart from an input
 * that is quiet. So another client is asked where the partitions end, and a partition whose end is
 * beyond what was read, and of which nothing has come for a while, stands still. What is done about
 * it is the runner's (runner_watch.c).
 *
 * Invariant: a partition is judged by its progress since it was assigned; what was known of an
 * assignment is forgotten with it. */
#include "input_watch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "stall.h"

enum { ASK_TIMEOUT_MS = 1000 };

struct watched {
    char *topic;
    int32_t partition;
    struct stall stall;
    bool again;
};

/* Names, not librdkafka's list: that one holds on to its consumer's partitions, whose end would
 * wait for it. */
struct input_watch {
    int64_t limit_ms;
    struct watched *watched; /* as assigned at the last look */
    int count;
};

struct input_watch *input_watch_new(int64_t limit_ms)
{
    assert(limit_ms > 0);
    struct input_watch *watch = mem_new(struct input_watch);
    watch->limit_ms = limit_ms;
    return watch;
}

static void forget_watched(struct input_watch *watch)
{
    for (int i = 0; i < watch->count; i++)
        free(watch->watched[i].topic);
    free(watch->watched);
    watch->watched = NULL;
    watch->count = 0;
}

void input_watch_free(struct input_watch *watch)
{
    if (!watch)
        return;
    forget_watched(watch);
    free(watch);
}

/* Another order counts as another assignment, which only makes watching begin anew. */
static bool is_same(const struct input_watch *watch,
                    const rd_kafka_topic_partition_list_t *assigned)
{
    bool same = watch->count == assigned->cnt;
    for (int i = 0; i < assigned->cnt && same; i++)
        same = watch->watched[i].partition == assigned->elems[i].partition &&
               strcmp(watch->watched[i].topic, assigned->elems[i].topic) == 0;
    return same;
}

/* What is assigned otherwise than before is watched from now on. */
static void use_partitions(struct input_watch *watch,
                           const rd_kafka_topic_partition_list_t *assigned)
{
    if (is_same(watch, assigned))
        return;
    forget_watched(watch);
    watch->count = assigned->cnt;
    watch->watched = mem_alloc((size_t)assigned->cnt * sizeof(struct watched));
    for (int i = 0; i < assigned->cnt; i++) {
        watch->watched[i].topic = mem_string(bytes_of_string(assigned->elems[i].topic));
        watch->watched[i].partition = assigned->elems[i].partition;
    }
}

/* Asked of the producer's connections: the consumer may be what is broken. All partitions in one
 * request for each broker. */
static rd_kafka_topic_partition_list_t *
ask_partition_ends(rd_kafka_t *asking, const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_copy(partitions);
    for (int i = 0; i < ends->cnt; i++)
        ends->elems[i].offset = RD_KAFKA_OFFSET_END; /* as a time, to ListOffsets, it is the end */
    if (rd_kafka_offsets_for_times(asking, ends, ASK_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return ends;
    rd_kafka_topic_partition_list_destroy(ends);
    return NULL;
}

/* How far the partition is read: what was handed over, or where the last answer to Fetch said that
 * it ends. The latter alone is known of one whose last records are of aborted transactions. */
static int64_t progress_of(rd_kafka_t *consumer, const rd_kafka_topic_partition_t *partition)
{
    int64_t low;
    int64_t high = 0;
    int64_t position = partition->offset > 0 ? partition->offset : 0;
    if (rd_kafka_get_watermark_offsets(consumer, partition->topic, partition->partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return position;
    return high > position ? high : position;
}

/* Whether reading stands still there. */
static bool judge_progress(struct watched *watched, int64_t limit_ms, int64_t progress, int64_t end,
                           int64_t now_ms, struct input_state *state)
{
    int64_t before = watched->stall.progress;
    bool stands = stall_look(&watched->stall, progress, end, now_ms, limit_ms);
    state->behind += watched->stall.since_ms != 0;
    if (watched->stall.since_ms == 0 || watched->stall.progress != before)
        watched->again = false;
    if (!stands)
        return false;
    state->stalled++;
    state->again += watched->again;
    watched->again = true;
    return true;
}

/* A partition whose end is not known is not judged: its broker is away, which is another
 * trouble, and told elsewhere. */
void input_watch_look(struct input_watch *watch, rd_kafka_t *consumer, rd_kafka_t *asking,
                      int64_t now_ms, struct input_state *state,
                      rd_kafka_topic_partition_list_t *stalled)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    *state = (struct input_state){0};
    if (rd_kafka_assignment(consumer, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    use_partitions(watch, assigned);
    rd_kafka_topic_partition_list_t *ends =
        assigned->cnt > 0 ? ask_partition_ends(asking, assigned) : NULL;
    if (ends)
        (void)rd_kafka_position(consumer, assigned);
    for (int i = 0; ends && i < assigned->cnt; i++) {
        struct watched *watched = &watch->watched[i];
        int64_t progress = progress_of(consumer, &assigned->elems[i]);
        if (ends->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR && ends->elems[i].offset >= 0 &&
            judge_progress(watched, watch->limit_ms, progress, ends->elems[i].offset, now_ms,
                           state))
            rd_kafka_topic_partition_list_add(stalled, watched->topic, watched->partition)->offset =
                progress;
    }
    rd_kafka_topic_partition_list_destroy(assigned);
    if (ends)
        rd_kafka_topic_partition_list_destroy(ends);
}
