/* Timers of reviews: which fire in this batch, and by which clock.
 *
 *     a timer seems due, by the broker's clock or ours
 *         the clocks agree     it fires if it is due by the broker's
 *         else, or not known   a record is written to the log, and the broker's answer says what time it is
 *
 * Invariant: whatever is written for a timer, or to learn the time, goes with the committed offset of
 * its partition, in the name of a member of the group. So the broker refuses it of one whose partition
 * is another's by now, as it refuses what comes of records. A partition of which nothing was ever
 * committed has no review, and fires nothing. */
#include <assert.h>

#include "clocks.h"
#include "log.h"
#include "runner_private.h"

enum { COMMITTED_TIMEOUT_MS = 5000, AGAIN_AFTER_MS = 2000 };

/* By whichever clock is ahead. */
static int64_t latest_now(const struct runner *runner)
{
    int64_t now_ms = log_clock_now(&runner->clock, monotonic_ms());
    int64_t ours_ms = wall_ms();
    return ours_ms > now_ms ? ours_ms : now_ms;
}

static bool clock_agrees(const struct runner *runner)
{
    return log_clock_agrees(&runner->clock, monotonic_ms(), wall_ms());
}

/* While the record to blame for a failure is looked for, a batch is of records alone. */
bool runner_timers_are_due(const struct runner *runner)
{
    int64_t first_ms = runner->options.settings->review_timers && runner->store
                           ? state_store_deadline(runner->store)
                           : 0;
    if (first_ms == 0 || (runner->failures > 0 && runner->count > 0) ||
        monotonic_ms() < runner->timers_after_ms)
        return false;
    return first_ms <= (clock_agrees(runner) ? log_clock_now(&runner->clock, monotonic_ms())
                                             : latest_now(runner));
}

/* The partitions that have one, with their committed offsets; NULL: there is none, or it is not
 * known. */
static rd_kafka_topic_partition_list_t *find_offsets(struct runner *runner, int64_t now_ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    struct partition_state *state;
    const char *topic;
    int32_t partition;
    for (size_t i = 0; (state = state_store_at(runner->store, i, &topic, &partition)); i++) {
        int64_t first_ms = partition_state_deadline(state);
        if (first_ms > 0 && first_ms <= now_ms)
            rd_kafka_topic_partition_list_add(list, topic, partition);
    }
    bool known = list->cnt > 0 && consumer_find_committed(consumer_client(runner->consumer), list,
                                                          COMMITTED_TIMEOUT_MS) == STATUS_OK;
    for (int i = list->cnt; known && i-- > 0;)
        if (list->elems[i].offset < 0)
            rd_kafka_topic_partition_list_del_by_idx(list, i);
    if (known && list->cnt > 0)
        return list;
    rd_kafka_topic_partition_list_destroy(list);
    return NULL;
}

/* Each time another partition is the first: one with thousands must not keep the others waiting. */
static void fire_of_each(struct runner *runner, int64_t now_ms)
{
    const rd_kafka_topic_partition_list_t *list = runner->timer_offsets;
    size_t count = (size_t)list->cnt;
    size_t left = PIPELINE_TIMERS_PER_BATCH;
    size_t first = runner->timers_turn++;
    assert(count > 0);
    for (size_t i = 0; i < count && left > 0; i++) {
        const rd_kafka_topic_partition_t *element = &list->elems[(first + i) % count];
        struct partition_state *state =
            state_store_find(runner->store, bytes_of_string(element->topic), element->partition);
        assert(state && element->offset >= 0);
        left -= pipeline_fire_timers(runner->pipeline, state, now_ms, left, &runner->batch);
    }
}

void runner_fire_timers(struct runner *runner)
{
    runner_forget_timers(runner);
    if (!runner_timers_are_due(runner))
        return;
    bool agrees = clock_agrees(runner);
    int64_t now_ms = agrees ? log_clock_now(&runner->clock, monotonic_ms()) : latest_now(runner);
    runner->timer_offsets = find_offsets(runner, now_ms);
    if (!runner->timer_offsets || !agrees)
        runner->timers_after_ms = monotonic_ms() + AGAIN_AFTER_MS;
    if (!runner->timer_offsets)
        return;
    if (agrees) {
        fire_of_each(runner, now_ms);
    } else {
        pipeline_ask_time(runner->pipeline, runner->timer_offsets->elems[0].partition,
                          &runner->batch);
        runner->asks_time = true;
    }
}

void runner_forget_timers(struct runner *runner)
{
    if (runner->timer_offsets)
        rd_kafka_topic_partition_list_destroy(runner->timer_offsets);
    runner->timer_offsets = NULL;
    runner->asks_time = false;
}

/* Once for each time that it begins. */
static void tell_clock(struct runner *runner, bool known)
{
    bool agrees = clock_agrees(runner);
    metric_gauge_set(runner->options.metrics->clock_differs, agrees ? 0 : 1);
    if (!agrees && !runner->clock_is_told && known)
        log_warning(
            "timers of reviews do not fire here: this machine's clock is not the broker's",
            LOG_INTEGER("ahead_ms", wall_ms() - log_clock_now(&runner->clock, monotonic_ms())));
    else if (!agrees && !runner->clock_is_told)
        log_warning("timers of reviews do not fire: their log does not tell the broker's time, set "
                    "message.timestamp.type=LogAppendTime",
                    LOG_STRING("topic", runner->options.settings->review_log));
    else if (agrees && runner->clock_is_told)
        log_info("timers of reviews fire again: this machine's clock is the broker's");
    runner->clock_is_told = !agrees;
    if (agrees)
        runner->timers_after_ms = 0;
}

void runner_learn_time(struct runner *runner)
{
    int64_t appended_ms;
    int64_t heard_ms;
    bool known = producer_appended(runner->producer, &appended_ms, &heard_ms);
    if (!runner->options.settings->review_timers)
        return;
    if (known)
        log_clock_set(&runner->clock, appended_ms, heard_ms);
    if (known || runner->asks_time)
        tell_clock(runner, known);
}
