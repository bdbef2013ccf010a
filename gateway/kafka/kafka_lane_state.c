/* What happens to one lane, from the hub's wish to read it until that ends.
 *
 *     asking --- its ends are known ---> reading --- something is odd ---> reading, verify
 *       ^  ^                                ^                                 |       |
 *       |  |- not now: again, 100 ms to 1 s |------ it is the same log -------|       |
 *       |------------------ broken: the log is another one ---------------------------|
 *
 * The invariant: a position only grows while `reading`, and what is between two positions was given
 * to the hub. Where that cannot be kept (retention, a log that was cut or made anew) the lane is
 * broken, which the hub tells its sessions: they are never moved on silently.
 *
 * Entries have an id, which changes whenever their past is over: an answer with another id is
 * dropped. */
#include <string.h>

#include "event_descriptor.h"
#include "kafka_source_private.h"
#include "log.h"

enum {
    RETRY_FIRST_MS = 100,
    RETRY_LAST_MS = 1000,
    SHORT_MS = 5000,   /* a log that ends below the position is believed after so long */
    MISSING_MS = 1500, /* a topic that was not there for so long was deleted */
};

/* Incremental: rd_kafka_assign() would begin every other lane's fetching anew. */
void kafka_lane_assign(struct kafka_source *source, const struct kafka_lane *entry, bool assign)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, entry->topic, entry->partition)->offset =
        entry->position;
    rd_kafka_error_t *error = assign ? rd_kafka_incremental_assign(source->live.handle, list)
                                     : rd_kafka_incremental_unassign(source->live.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!error)
        return;
    log_error("assignment failed", LOG_STRING("topic", entry->topic),
              LOG_INTEGER("partition", entry->partition),
              LOG_STRING("error", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
    source->stats.errors++;
}

/* The signal is for what is due at once; for later times it costs a turn, in which the deadline is
 * looked at again. */
void kafka_lane_ask_at(struct kafka_source *source, struct kafka_lane *entry, int64_t time_ms)
{
    entry->retry_ms = time_ms;
    if (time_ms < source->ask_ms)
        source->ask_ms = time_ms;
    event_descriptor_signal(source->asker.descriptor);
}

void kafka_lane_start_over(struct kafka_source *source, struct kafka_lane *entry)
{
    if (entry->reading) {
        kafka_lane_assign(source, entry, false);
        entry->reading = false;
        source->stats.reading--;
    }
    entry->id = ++source->lanes.last_id; /* an answer under way is about the past */
    entry->verify = false;
    entry->short_since_ms = 0;
    entry->missing_since_ms = 0;
    entry->attempts = 0;
    entry->stall = (struct stall){0};
    entry->stalls = 0;
    kafka_lane_ask_at(source, entry, 0);
}

/* Told once for each reason: retries are frequent, and clients hear of each telling. */
void kafka_lane_unavailable(struct kafka_source *source, struct kafka_lane *entry,
                            const char *reason)
{
    if (entry->unavailable && strcmp(entry->reason, reason) == 0)
        return;
    if (!entry->unavailable)
        source->stats.unavailable++;
    entry->unavailable = true;
    entry->reason = reason;
    if (!source->away) /* else one line said it for all */
        log_warning("lane unavailable", LOG_STRING("topic", entry->topic),
                    LOG_INTEGER("partition", entry->partition), LOG_STRING("reason", reason));
    hub_lane_unavailable(source->hub, entry->lane, reason,
                         source->away ? source->away_since_wall_ms : source->wall_ms);
}

void kafka_lane_available(struct kafka_source *source, struct kafka_lane *entry)
{
    entry->attempts = 0;
    if (!entry->unavailable)
        return;
    entry->unavailable = false;
    source->stats.unavailable--;
    /* One line of the broker says it for all of them. */
    if (strcmp(entry->reason, KAFKA_ENDS_BROKER) != 0)
        log_info("lane available", LOG_STRING("topic", entry->topic),
                 LOG_INTEGER("partition", entry->partition));
}

/* The hub asks for the lane again from inside hub_lane_broken(), if it still wants it. */
void kafka_lane_broken(struct kafka_source *source, struct kafka_lane *entry, const char *reason)
{
    log_warning("lane broken", LOG_STRING("topic", entry->topic),
                LOG_INTEGER("partition", entry->partition),
                LOG_INTEGER("position", entry->position), LOG_STRING("reason", reason));
    source->stats.broken++;
    kafka_lane_start_over(source, entry);
    hub_lane_broken(source->hub, entry->lane, reason);
}

/* In this order: the hub may ask for a scan from inside hub_lane_opened(), which must find the lane
 * as it is going to be. */
static void lane_opened(struct kafka_source *source, struct kafka_lane *entry,
                        const struct kafka_ends_request *answer)
{
    entry->first = answer->first;
    entry->position = answer->end;
    entry->reading = true;
    entry->verify = false;
    entry->missing_since_ms = 0;
    entry->checked_ms = source->now_ms;
    kafka_lane_assign(source, entry, true);
    kafka_lane_available(source, entry);
    source->stats.opened++;
    source->stats.reading++;
    hub_lane_opened(source->hub, entry->lane, answer->first, answer->end);
}

/* Is the log still the one that is read? What arrived since the question is no sign of less. */
static void lane_verified(struct kafka_source *source, struct kafka_lane *entry,
                          const struct kafka_ends_request *answer)
{
    if (answer->first > entry->position) {
        kafka_lane_broken(source, entry, "overtaken_by_retention");
        return;
    }
    /* The new log may be longer than the old one was: its offsets tell nothing. */
    if (entry->missing_since_ms != 0 && source->now_ms - entry->missing_since_ms >= MISSING_MS) {
        kafka_lane_broken(source, entry, "recreated");
        return;
    }
    entry->missing_since_ms = 0;
    /* `asked_position`, and not the position: records may have come while the question was under
     * way. */
    if (answer->end < entry->asked_position) {
        if (entry->short_since_ms == 0)
            entry->short_since_ms = source->now_ms;
        if (source->now_ms - entry->short_since_ms < SHORT_MS) {
            entry->verify = true;
            kafka_lane_ask_at(source, entry, source->now_ms + RETRY_LAST_MS);
        } else {
            kafka_lane_broken(source, entry, "truncated");
        }
        return;
    }
    entry->short_since_ms = 0;
    kafka_watch_look(source, entry, answer->end);
    if (!entry->verify)
        return;
    entry->verify = false;
    kafka_lane_available(source, entry);
    hub_lane_position(source->hub, entry->lane, entry->position);
}

/* All else is routine, which can wait for the interval. */
bool kafka_lane_asks(const struct kafka_lane *entry)
{
    return !entry->reading || entry->verify || entry->ends_wanted ||
           entry->scan_status != STATUS_OK || entry->stall.since_ms != 0;
}

static void lane_refused(struct kafka_source *source, struct kafka_lane *entry,
                         const struct kafka_ends_request *answer)
{
    int64_t pause = RETRY_FIRST_MS;
    for (unsigned i = 0; i < entry->attempts && pause < RETRY_LAST_MS; i++)
        pause *= 2;
    entry->attempts++;
    kafka_lane_ask_at(source, entry,
                      source->now_ms + (pause < RETRY_LAST_MS ? pause : RETRY_LAST_MS));
    source->stats.retries++;
    if (answer->status == STATUS_NOT_FOUND && entry->missing_since_ms == 0)
        entry->missing_since_ms = source->now_ms;
    if (!entry->reading || entry->verify)
        kafka_lane_unavailable(source, entry, answer->reason);
}

void kafka_lane_answer(struct kafka_source *source, struct kafka_lane *entry,
                       const struct kafka_ends_request *answer)
{
    if (answer->status != STATUS_OK) {
        bool routine = !kafka_lane_asks(entry);
        if (routine && answer->status == STATUS_UNAVAILABLE)
            return; /* librdkafka goes on by itself, and the broker is judged as a whole */
        entry->verify = entry->verify || routine;
        lane_refused(source, entry, answer);
        return;
    }
    enum status scan_status = entry->scan_status;
    bool ends_wanted = entry->ends_wanted;
    entry->first = answer->first;
    entry->scan_status = STATUS_OK;
    entry->ends_wanted = false;
    entry->attempts = 0;
    if (scan_status != STATUS_OK)
        hub_scan_ended(source->hub, entry->lane, scan_status, answer->first);
    if (ends_wanted && entry->lane)
        hub_lane_ends(source->hub, entry->lane, answer->first, answer->end);
    /* hub_scan_ended() and hub_lane_ends() may close the lane: its memory stays until the
     * reaping. */
    if (!entry->lane)
        return;
    if (!entry->reading)
        lane_opened(source, entry, answer);
    else
        lane_verified(source, entry, answer);
}
