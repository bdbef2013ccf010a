/* Timers of reviews: when they fire, and the records of the log that say so.
 *
 *     opened, claimed      a timer is set, part of the review from now on      review_log.c
 *     its time has come    it is taken away, and a record written for it       here
 *     the record is read   the claim is over; rules get the event              review_log.c
 *
 * The second is one transaction, the third another, and both are the owner's of the partition. So each
 * timer leads to one record, and each record counts once, in the order of the log: before it the
 * review is not late, whatever the clock says. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "instant.h"
#include "json.h"
#include "pipeline_private.h"

static int64_t after(int64_t from_ms, int64_t duration_ms)
{
    assert(from_ms > 0 && duration_ms >= 0);
    return from_ms < INT64_MAX - duration_ms ? from_ms + duration_ms : INT64_MAX;
}

int64_t review_late_time(const struct pipeline *pipeline, const struct review_subject *subject)
{
    int64_t due_ms;
    if (!pipeline->settings.review_times.fire || !instant_parse(subject->due_time, &due_ms))
        return 0;
    return due_ms > 0 ? due_ms : 1; /* long ago, and not never */
}

int64_t review_lapse_time(const struct pipeline *pipeline, const struct review_status *status,
                          int64_t now_ms)
{
    const struct review_times *times = &pipeline->settings.review_times;
    if (!times->fire || times->claim_ms == 0 || status->state != REVIEW_CLAIMED || now_ms <= 0)
        return 0;
    return after(now_ms, times->claim_ms);
}

/* Reminders count from when it was told, not from when it should have been: after an outage they do
 * not come all at once. */
static struct review_timers timers_after_late(const struct review_times *times,
                                              const struct review_timers *timers, int64_t now_ms)
{
    struct review_timers next = *timers;
    next.late_count++;
    next.late_ms = times->remind_ms > 0 && next.late_count <= times->reminders
                       ? after(now_ms, times->remind_ms)
                       : 0;
    return next;
}

static void append_subject_text(struct buffer *json, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    buffer_append_format(json, ",\"%s\":", name);
    json_write_string(json, text);
}

static void write_late(const struct review *review, const struct review_subject *subject,
                       uint32_t times, struct buffer *json)
{
    buffer_append_format(json, ",\"times\":%" PRIu32, times);
    append_subject_text(json, "state", bytes_of_string(review_state_name(review->status.state)));
    append_subject_text(json, "by", review->status.by);
    append_subject_text(json, "queue", subject->queue);
    append_subject_text(json, "reason", subject->reason);
    append_subject_text(json, "rule", subject->rule);
    append_subject_text(json, "priority", subject->priority);
    append_subject_text(json, "title", subject->title);
    append_subject_text(json, "dueTime", subject->due_time);
}

/* The review's timer that is first. */
static void fire_one(struct pipeline *pipeline, struct reviews *reviews,
                     const struct review *review, int64_t now_ms, struct batch *batch)
{
    struct arena *arena = &batch->arena;
    struct buffer *json = &pipeline->text;
    struct review_timers next = review->timers;
    struct review_subject subject;
    struct review_event event = {.subject = &subject};
    char id[REVIEW_ID_SIZE + 1];
    char text[REVIEW_ID_SIZE + 32];
    const struct review_id name = review->id;
    bool sound = review_subject_read(arena_copy(arena, review->text), arena, &subject);
    assert(sound && review_timers_first(&review->timers) > 0);
    (void)sound;
    review_id_write(name, id);
    buffer_clear(json);
    buffer_append_format(json, "{\"review\":\"%s\",\"version\":%" PRIu32, id,
                         review->status.version);
    if (review_timers_first(&review->timers) == review->timers.lapse_ms) {
        next.lapse_ms = 0;
        event.type = REVIEW_TYPE_LAPSED;
        snprintf(text, sizeof(text), "%s.lapsed.%" PRIu32, id, review->status.version);
    } else {
        next = timers_after_late(&pipeline->settings.review_times, &review->timers, now_ms);
        write_late(review, &subject, next.late_count, json);
        /* Rules may ask for another review because this one is late, and so on. */
        event.hops = subject.hops < 9 ? subject.hops + 1 : 9;
        event.type = REVIEW_TYPE_LATE;
        snprintf(text, sizeof(text), "%s.late.%" PRIu32, id, next.late_count);
    }
    buffer_append_byte(json, '}');
    assert(buffer_size(json) <= REVIEW_TIMER_LIMIT); /* parts of what has REVIEW_TEXT_LIMIT */
    event.value = arena_copy(arena, buffer_peek(json));
    event.id = arena_copy(arena, bytes_of_string(text));
    char time[INSTANT_TEXT_SIZE];
    if (instant_format(now_ms, time))
        event.time = arena_copy(arena, bytes_of_string(time));
    reviews_set_timers(reviews, name, &next);
    review_event_log(pipeline, batch, name.task, &event);
}

size_t pipeline_fire_timers(struct pipeline *pipeline, struct partition_state *state,
                            int64_t now_ms, size_t most, struct batch *batch)
{
    struct reviews *reviews = partition_state_reviews(state);
    const struct review *review;
    size_t count = 0;
    assert(pipeline->settings.review_times.fire && now_ms > 0);
    while (count < most && (review = reviews_first_due(reviews)) &&
           review_timers_first(&review->timers) <= now_ms) {
        fire_one(pipeline, reviews, review, now_ms, batch);
        count++;
    }
    return count;
}

void pipeline_ask_time(const struct pipeline *pipeline, int32_t partition, struct batch *batch)
{
    const struct review_event event = {
        .type = REVIEW_TYPE_TICK, .id = BYTES_LITERAL("tick"), .value = BYTES_LITERAL("{}")};
    struct output *output = review_event_add(batch, &event);
    assert(partition >= 0 && partition < pipeline->settings.review_log_partitions);
    output->topic = pipeline->settings.review_log;
    output->partition = partition;
    output->partition_count = pipeline->settings.review_log_partitions;
}
