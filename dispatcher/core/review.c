/* Manual reviews over time: one per task, queue and reason is open, until an event of the task
 * closes it.
 *
 * Asked before the notifications are made (review_check()) and told after them
 * (review_remember()), since a record that becomes a dead letter in between must leave no review
 * open: its alert was never sent.
 *
 * Whether an alert is sent again is one thing, and known here; what people do about the review is
 * another, and judged by whoever has its home in the log of reviews (review_log.c), to which the
 * opening and the closing are written. The input may be partitioned otherwise tomorrow; the log is
 * ours. */
#include <assert.h>

#include "json.h"
#include "pipeline_private.h"

/* What people are asked for unless the rule says it. */
static const struct bytes default_decisions[] = {BYTES_LITERAL("approve"), BYTES_LITERAL("reject")};

/* A task is its tenant's: two tenants may have tasks of one name. */
static struct fingerprint task_fingerprint(const struct job *job)
{
    assert(job->task_id.size > 0);
    const struct bytes parts[] = {job->owner.tenant, job->task_id};
    return fingerprint_of(job->pipeline->fingerprinter, parts, 2);
}

/* Another queue is another review: other people look at it. */
static struct fingerprint review_of(const struct job *job, const struct draft *draft)
{
    assert(draft->type == NOTIFICATION_REVIEW_ALERT);
    const struct bytes parts[] = {draft->queue, draft->reason};
    return fingerprint_of(job->pipeline->fingerprinter, parts, 2);
}

/* Without a task there is nothing that a review could be open for: its alerts are all sent. */
static bool has_state(const struct job *job)
{
    return job->state && job->task_id.size > 0;
}

/* Which opening of which review: the record has one place, and of a batch the event has an id in it, so
 * no review ever opens twice under one id. */
static struct review_id make_review_id(const struct job *job, const struct draft *draft)
{
    const struct record *record = job->record;
    uint8_t place[12];
    bytes_write_little_endian(place, (uint64_t)record->partition, 4);
    bytes_write_little_endian(place + 4, (uint64_t)record->offset, 8);
    const struct bytes parts[] = {record->topic, bytes_of(place, sizeof(place)), draft->queue,
                                  draft->reason, job->event_id};
    enum { PARTS = sizeof(parts) / sizeof(parts[0]) };
    return (struct review_id){
        .task = task_fingerprint(job),
        .instance = fingerprint_of(job->pipeline->fingerprinter, parts, PARTS).low,
    };
}

/* The rooms that the alert goes to, the queue's first. */
static void list_review_rooms(const struct draft *draft, struct review_subject *subject)
{
    for (const struct draft_lane *lane = draft->lanes; lane; lane = lane->next)
        for (const struct draft_room *room = lane->rooms; room; room = room->next) {
            assert(subject->room_count < REVIEW_ROOMS_LIMIT);
            subject->rooms[subject->room_count++] = room->name;
        }
}

static bool is_room_of_queue(struct bytes room, struct bytes queue)
{
    const struct bytes kind = BYTES_LITERAL(REVIEW_ROOM_KIND ":");
    return bytes_start_with(room, kind) && bytes_equal(bytes_skip(room, kind.size), queue);
}

static void list_decisions(const struct draft *draft, struct review_subject *subject)
{
    const struct rule_review *terms = draft->terms;
    const struct bytes *decisions = default_decisions;
    size_t count = sizeof(default_decisions) / sizeof(default_decisions[0]);
    if (terms->decision_count > 0) {
        decisions = terms->decisions;
        count = terms->decision_count;
    }
    assert(count <= REVIEW_DECISIONS_LIMIT);
    memcpy(subject->decisions, decisions, count * sizeof(decisions[0]));
    subject->decision_count = count;
}

/* A review lives if there is a room from which it can be commanded, and if what it is about is short
 * enough to be kept. Else its alert is sent as ever, without an id. */
static void give_life(struct job *job, struct draft *draft)
{
    struct buffer *text = &job->pipeline->text;
    struct review_subject subject = {
        .tenant = job->owner.tenant,
        .task = job->task_id,
        .user = job->owner.user,
        .project = job_text(job, EVENT_FIELD_PROJECT),
        .type = job_text(job, EVENT_FIELD_TYPE),
        .queue = draft->queue,
        .reason = draft->reason,
        .priority =
            draft->priority.size > 0 ? draft->priority : job_text(job, EVENT_FIELD_PRIORITY),
        .title = draft->title,
        .due_time = draft->due_time,
        .rule = draft->rules->name,
        .self = draft->terms->self,
        .hops = job->hops,
    };
    assert(draft->terms && job->task_id.size > 0 && draft->review_text.size == 0);
    if (subject.priority.size == 0)
        subject.priority = BYTES_LITERAL("normal");
    list_review_rooms(draft, &subject);
    list_decisions(draft, &subject);
    if (subject.room_count == 0 || !is_room_of_queue(subject.rooms[0], draft->queue))
        return;
    buffer_clear(text);
    review_subject_write(&subject, text);
    if (buffer_size(text) > REVIEW_TEXT_LIMIT) {
        job->batch->counts.review_records[REVIEW_REFUSED_LIMIT]++;
        return;
    }
    draft->review_id = make_review_id(job, draft);
    draft->review_text = arena_copy(&job->batch->arena, buffer_peek(text));
}

/* A CloudEvent to the task's home in the log. */
static void write_log(struct job *job, const char *type, struct bytes id, struct bytes value)
{
    const struct review_event event = {.type = type, .id = id, .time = job->time, .value = value};
    review_event_log(job->pipeline, job->batch, task_fingerprint(job), &event);
}

static void log_opening(struct job *job, const struct draft *draft)
{
    char id[REVIEW_ID_SIZE + 1];
    review_id_write(draft->review_id, id);
    write_log(job, REVIEW_TYPE_OPENED, arena_copy(&job->batch->arena, bytes_of(id, REVIEW_ID_SIZE)),
              draft->review_text);
}

/* Whether or not one is known to be open here: it may have been opened by another partition. */
static void log_closing(struct job *job)
{
    struct buffer *text = &job->pipeline->text;
    struct bytes event = job_text(job, EVENT_FIELD_EVENT);
    buffer_clear(text);
    buffer_append_string(text, "{\"event\":");
    json_write_string(text, event);
    buffer_append_byte(text, '}');
    write_log(job, REVIEW_TYPE_CLOSED, job->event_id,
              arena_copy(&job->batch->arena, buffer_peek(text)));
}

/* The draft stays, marked: other rules still join it, and the audit tells of it. */
void review_check(struct job *job)
{
    if (!has_state(job))
        return;
    for (struct draft *draft = job->drafts; draft; draft = draft->next) {
        if (draft->type != NOTIFICATION_REVIEW_ALERT ||
            !partition_state_review_is_open(job->state, task_fingerprint(job),
                                            review_of(job, draft), job->recorded_ms))
            continue;
        assert(!draft->is_open);
        draft->is_open = true;
        job->batch->counts.reviews_open++;
    }
    if (job->pipeline->keeps_reviews)
        for (struct draft *draft = job->drafts; draft; draft = draft->next)
            if (draft->type == NOTIFICATION_REVIEW_ALERT && !draft->is_open)
                give_life(job, draft);
}

static bool closes_reviews(struct job *job)
{
    const struct pipeline_settings *settings = &job->pipeline->settings;
    struct bytes event = job_text(job, EVENT_FIELD_EVENT);
    for (size_t i = 0; i < settings->review_closed_by_count; i++)
        if (bytes_equal_string(event, settings->review_closed_by[i]))
            return true;
    return false;
}

/* The closing first: an event that both closes the reviews of its task and asks for one leaves that
 * one open. */
void review_remember(struct job *job)
{
    assert(!job->decision->dead);
    if (!has_state(job))
        return;
    if (closes_reviews(job)) {
        partition_state_close_reviews(job->state, task_fingerprint(job));
        if (job->pipeline->keeps_reviews)
            log_closing(job);
    }
    for (const struct draft *draft = job->drafts; draft; draft = draft->next)
        if (draft->review_text.size > 0)
            log_opening(job, draft);
    for (const struct draft *draft = job->drafts; draft; draft = draft->next)
        if (draft->type == NOTIFICATION_REVIEW_ALERT && !draft->is_open &&
            !partition_state_open_review(job->state, task_fingerprint(job), review_of(job, draft),
                                         job->recorded_ms))
            job->batch->counts.reviews_unremembered++;
}
