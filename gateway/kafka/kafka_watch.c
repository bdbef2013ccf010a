/* Lanes that stand still although their log goes on. To librdkafka a connection on which no answer
 * to Fetch comes looks like a quiet log; the end of the log, asked on another handle, tells the two
 * apart.
 *
 * First the lane is assigned again, then the whole consumer is replaced. That is dear, since every
 * lane is fetched anew, and so each replacement in a row waits twice as long; anything that is
 * heard through the new one ends the row. */
#include <assert.h>

#include "kafka_end.h"
#include "kafka_source_private.h"
#include "log.h"

#define REASON_STALLED "read_stalled"

enum {
    LOOK_MS = 1000,      /* between looks at a lane that is behind */
    RENEWALS_DOUBLED = 4 /* in a row; each makes the wait for the next twice as long */
};

/* --- Lanes ------------------------------------------------------------------------------------ */

/* Any record of any lane: the connection lives. */
void kafka_watch_heard(struct kafka_source *source, struct kafka_lane *entry)
{
    source->heard_ms = source->now_ms;
    source->renewals = 0;
    entry->stalls = 0;
}

/* If something came meanwhile, of other lanes, it may be this one alone that is left out. */
static void read_anew(struct kafka_source *source, struct kafka_lane *entry, int64_t since_ms)
{
    bool alone = source->heard_ms > since_ms && entry->stalls == 0;
    entry->stalls++;
    if (!alone) {
        source->renewal_wanted = true;
        return;
    }
    /* Off and on: librdkafka refuses to be given a partition that it has. It then begins a new
     * fetch at the position. */
    kafka_lane_assign(source, entry, false);
    kafka_lane_assign(source, entry, true);
}

void kafka_watch_look(struct kafka_source *source, struct kafka_lane *entry, int64_t end)
{
    assert(entry->reading);
    int64_t since_ms = entry->stall.since_ms;
    bool stands =
        stall_look(&entry->stall, entry->position, end, source->now_ms, source->config.stall_ms);
    if (entry->stall.since_ms != 0)
        kafka_lane_ask_at(source, entry, source->now_ms + LOOK_MS);
    if (!stands)
        return;
    source->stats.stalled++;
    log_warning("lane stands still, reading it anew", LOG_STRING("topic", entry->topic),
                LOG_INTEGER("partition", entry->partition),
                LOG_INTEGER("position", entry->position), LOG_INTEGER("end", end));
    kafka_lane_unavailable(source, entry, REASON_STALLED);
    read_anew(source, entry, since_ms);
}

/* --- The consumer ----------------------------------------------------------------------------- */

static int64_t patience_ms(const struct kafka_source *source)
{
    unsigned doubled = source->renewals < RENEWALS_DOUBLED ? source->renewals : RENEWALS_DOUBLED;
    return source->config.stall_ms << doubled;
}

/* What the old one still holds was fetched from positions that the new one begins at. */
void kafka_watch_run(struct kafka_source *source)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    struct kafka_client old = source->live;
    /* Old handles may take long to end: no more than a few of them at a time. */
    bool wanted = source->renewal_wanted && kafka_ends_pending() < KAFKA_ENDS_MOST;
    source->renewal_wanted = false;
    if (!wanted ||
        (source->renewals > 0 && source->now_ms - source->renewed_ms < patience_ms(source)))
        return;
    assert(old.handle);
    if (kafka_rounds_open_live(source) != STATUS_OK)
        return; /* the next look asks again */
    source->renewals++;
    source->renewed_ms = source->now_ms;
    source->stats.renewed++;
    source->last = NULL;
    log_warning("consumer replaced, nothing came through it");
    kafka_client_abandon(&old);
    KAFKA_LANES_FOREACH(&source->lanes, entry, scratch)
    {
        if (entry->reading)
            kafka_lane_assign(source, entry, true);
    }
}
