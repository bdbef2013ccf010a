/* An input that stands still: it is told, and read again; if that does not help, or nothing at all
 * comes, by a new consumer. */
#include "clocks.h"
#include "kafka_end.h"
#include "log.h"
#include "runner_private.h"

enum {
    SEEK_TIMEOUT_MS = 1000,
    RENEWALS_DOUBLED = 4 /* in a row; each makes the wait for the next twice as long */
};

static void tell_stalled(struct runner *runner, const rd_kafka_topic_partition_list_t *stalled)
{
    runner->stands_still = true;
    metric_counter_add(runner->options.metrics->input_stalled, (uint64_t)stalled->cnt);
    for (int i = 0; i < stalled->cnt; i++)
        log_warning("input stands still, reading it anew",
                    LOG_STRING("topic", stalled->elems[i].topic),
                    LOG_INTEGER("partition", stalled->elems[i].partition),
                    LOG_INTEGER("position", stalled->elems[i].offset));
}

/* Each renewal that has not helped doubles the wait: a consumer that leaves and joins disturbs
 * the whole group. Clients whose end is still waited for are limited as well, since each keeps
 * its connections. */
static bool may_renew(const struct runner *runner, int64_t now_ms)
{
    unsigned doubled = runner->renewals < RENEWALS_DOUBLED ? runner->renewals : RENEWALS_DOUBLED;
    return kafka_ends_pending() < KAFKA_ENDS_MOST &&
           (runner->renewals == 0 ||
            now_ms - runner->renewed_ms >= runner->options.settings->stall_ms << doubled);
}

/* Reading anew from the committed offset is tried first, as it disturbs nobody; it is enough
 * when librdkafka has only lost its place. When nothing at all comes, or it stands again, the
 * client itself is taken for broken. */
static bool help(struct runner *runner, bool alone, rd_kafka_topic_partition_list_t *stalled,
                 int64_t now_ms)
{
    if (alone && consumer_rewind(runner->consumer, stalled, SEEK_TIMEOUT_MS) == STATUS_OK)
        return true;
    if (!may_renew(runner, now_ms))
        return true;
    runner->renewals++;
    runner->renewed_ms = now_ms;
    metric_counter_add(runner->options.metrics->consumer_renewed, 1);
    log_warning("consumer replaced, nothing came through it");
    return runner_replace_consumer(runner);
}

bool runner_watch(struct runner *runner)
{
    int64_t now_ms = monotonic_ms();
    int64_t limit_ms = runner->options.settings->stall_ms;
    if (now_ms < runner->next_watch_ms)
        return true;
    rd_kafka_topic_partition_list_t *stalled = rd_kafka_topic_partition_list_new(0);
    struct input_state state;
    input_watch_look(runner->watch, consumer_client(runner->consumer),
                     producer_client(runner->producer), now_ms, &state, stalled);
    runner->next_watch_ms = now_ms + limit_ms / (state.behind > 0 ? 4 : 2);
    bool goes_on = true;
    if (state.behind == 0)
        runner->stands_still = false;
    if (state.stalled > 0) {
        tell_stalled(runner, stalled);
        /* If something came meanwhile, it may be these partitions alone that are left out. */
        bool alone = state.again == 0 && now_ms - runner->heard_ms < limit_ms;
        goes_on = help(runner, alone, stalled, now_ms);
    }
    rd_kafka_topic_partition_list_destroy(stalled);
    return goes_on;
}
