/* The log of reviews: a record in, and what becomes of its review out.
 *
 *     opened  ->  the review is open: update                      to its rooms
 *     closed  ->  the task's reviews are closed: an update each   to its rooms
 *     lapsed  ->  the claim is over: update                       to its rooms
 *     late    ->  the review is alive: an event for the rules
 *     command ->  accepted: update                                to its rooms
 *                           and, if it decides, the decision      to its topic
 *                 wrong by itself: refusal                        to its rooms
 *                 stale, foreign, unknown, void: nothing
 *
 * All of it is in the transaction of the record: what screens show, what backends get and what is
 * remembered is one. A record that is not well formed is counted and passed over: the log has no dead
 * letters, since a command that comes again later would say what nobody means any more. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "instant.h"
#include "json.h"
#include "partition_state_private.h"
#include "pipeline_private.h"

/* A command that waited longer than this is what a person meant then, who has looked elsewhere
 * since, and whose rights may be others. */
enum { VOID_AFTER_MS = 30000 };

/* The record at hand is about a review of this. */
static void begin_subject(struct job *job, const struct review_subject *subject)
{
    char time[INSTANT_TEXT_SIZE];
    job->owner = (struct room_owner){.tenant = subject->tenant, .user = subject->user};
    job->task_id = subject->task;
    if (instant_format(job->record->timestamp_ms, time))
        job->time = arena_copy(&job->batch->arena, bytes_of_string(time));
}

/* One notification for each lane of the review's rooms. A room that the layout does not have any
 * more is left out in silence: it was told when the alert was made. */
static void publish(struct job *job, const struct review_subject *subject, struct draft *draft)
{
    for (size_t i = 0; i < subject->room_count; i++)
        draft_add_known_room(job, draft, subject->rooms[i]);
    const struct draft *large = draft_finish(job);
    assert(!large); /* by the limits of its parts: settings_finish() */
    (void)large;
    job->drafts = NULL;
    job->drafts_end = &job->drafts;
}

static struct bytes id_text(struct job *job, struct review_id id)
{
    char text[REVIEW_ID_SIZE + 1];
    review_id_write(id, text);
    return arena_copy(&job->batch->arena, bytes_of(text, REVIEW_ID_SIZE));
}

/* What may be decided, as long as something may. */
static struct bytes decisions_text(struct job *job, const struct review_subject *subject,
                                   const struct review_status *status)
{
    struct buffer *json = &job->pipeline->text;
    buffer_clear(json);
    if (status->state < REVIEW_DECIDED)
        json_write_strings(json, subject->decisions, subject->decision_count);
    return arena_copy(&job->batch->arena, buffer_peek(json));
}

static void tell_update(struct job *job, const struct review_subject *subject, struct review_id id,
                        const struct review_status *status, const struct review_command *command)
{
    char event_id[REVIEW_ID_SIZE + 16];
    struct review_update *update = arena_alloc(&job->batch->arena, sizeof(struct review_update));
    struct draft *draft = draft_begin(job, NOTIFICATION_REVIEW_UPDATED);
    *update = (struct review_update){
        .id = id_text(job, id),
        .version = status->version,
        .state = bytes_of_string(review_state_name(status->state)),
        .by = status->by,
        .queue = subject->queue,
        .reason = subject->reason,
        .priority = subject->priority,
        .title = subject->title,
        .task_id = subject->task,
        .due_time = subject->due_time,
        .tenant_id = subject->tenant,
        .project_id = subject->project,
        .user_id = subject->user,
        .type = subject->type,
        .decisions = decisions_text(job, subject, status),
    };
    if (command) {
        update->command = command->command;
        update->decision = command->act == REVIEW_DECIDE ? command->decision : bytes_of(NULL, 0);
    }
    int size = snprintf(event_id, sizeof(event_id), "%.*s.%" PRIu32, BYTES_PRINT(update->id),
                        status->version);
    assert(size > 0 && (size_t)size < sizeof(event_id));
    job->event_id = arena_copy(&job->batch->arena, bytes_of(event_id, (size_t)size));
    draft->update = update;
    draft->item =
        (struct notification_item){.key = update->id, .removed = status->state >= REVIEW_DECIDED};
    begin_subject(job, subject);
    publish(job, subject, draft);
}

static void tell_refusal(struct job *job, const struct review_subject *subject, struct review_id id,
                         const struct review_command *command, enum review_outcome outcome)
{
    struct review_refusal *refusal = arena_alloc(&job->batch->arena, sizeof(struct review_refusal));
    struct draft *draft = draft_begin(job, NOTIFICATION_REVIEW_REFUSED);
    assert(review_is_refused(outcome));
    *refusal = (struct review_refusal){
        .id = id_text(job, id),
        .command = command->command,
        .by = command->actor,
        .reason = bytes_of_string(review_outcome_name(outcome)),
        .task_id = subject->task,
    };
    job->event_id = command->command.size > 0 ? command->command : refusal->id;
    /* Parts of the notification's id: a command's id is its sender's. */
    draft->queue = refusal->id;
    draft->reason = command->source;
    draft->refusal = refusal;
    begin_subject(job, subject);
    publish(job, subject, draft);
}

/* --- What the backend gets --- */

static void append_text(struct buffer *json, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    buffer_append_format(json, ",\"%s\":", name);
    json_write_string(json, text);
}

/* A CloudEvent whose id is the review and its version: who gets it twice knows it again. It may be
 * an event for rules like any other: it is the task's, by its task's user. */
static void add_decision(struct job *job, const struct review_subject *subject,
                         const struct review_command *command)
{
    struct arena *arena = &job->batch->arena;
    struct buffer *json = &job->pipeline->text;
    struct bytes event_id = job->event_id;
    assert(command->act == REVIEW_DECIDE && event_id.size > REVIEW_ID_SIZE);
    buffer_clear(json);
    buffer_append_format(json, "{\"review\":\"%.*s\",\"version\":%" PRIu32, REVIEW_ID_SIZE,
                         (const char *)event_id.data, command->version + 1);
    append_text(json, "decision", command->decision);
    append_text(json, "comment", command->comment);
    append_text(json, "by", command->actor);
    append_text(json, "queue", subject->queue);
    append_text(json, "reason", subject->reason);
    append_text(json, "rule", subject->rule);
    if (command->data.size > 0) {
        buffer_append_string(json, ",\"data\":");
        buffer_append(json, command->data);
    }
    buffer_append_byte(json, '}');

    const struct review_event event = {.type = "review.decided",
                                       .id = event_id,
                                       .time = job->time,
                                       .value = arena_copy(arena, buffer_peek(json)),
                                       .subject = subject};
    struct output *output = review_event_add(job->batch, &event);
    output->topic = job->pipeline->settings.review_decisions_topic;
    output->key = arena_copy(arena, subject->task);
    output->has_key = true;
    job->batch->counts.reviews_decided++;
}

/* --- Records --- */

static enum review_outcome open_review(struct job *job, const struct review_record *read)
{
    struct reviews *reviews = partition_state_reviews(job->state);
    if (reviews_find(reviews, read->id))
        return REVIEW_REPEATED;
    if (!reviews_open(reviews, read->id, read->text,
                      review_late_time(job->pipeline, &read->subject))) {
        const struct review_command nobodys = {.source = BYTES_LITERAL("reviews")};
        tell_refusal(job, &read->subject, read->id, &nobodys, REVIEW_REFUSED_LIMIT);
        return REVIEW_REFUSED_LIMIT;
    }
    tell_update(job, &read->subject, read->id, &reviews_find(reviews, read->id)->status, NULL);
    job->batch->counts.reviews_opened++;
    return REVIEW_ACCEPTED;
}

/* What is kept of a review was read once already, when it was opened or restored. */
static void read_kept_subject(struct job *job, const struct review *review,
                              struct review_subject *subject)
{
    /* A copy: the review is gone when it is told that it is. */
    struct bytes text = arena_copy(&job->batch->arena, review->text);
    bool sound = review_subject_read(text, &job->batch->arena, subject);
    assert(sound);
    (void)sound;
}

/* All reviews of the task, of which there are few (reviews_limits.per_task). */
static enum review_outcome close_reviews(struct job *job, struct fingerprint task)
{
    struct reviews *reviews = partition_state_reviews(job->state);
    const struct review *review = reviews_find_of_task(reviews, task);
    /* Alerts that events of this log have led to. */
    partition_state_close_reviews(job->state, task);
    if (!review)
        return REVIEW_UNKNOWN;
    for (; review; review = reviews_find_of_task(reviews, task)) {
        struct review_subject subject;
        const struct review_id id = review->id;
        const struct review_status closed = {.state = REVIEW_CLOSED,
                                             .version = review->status.version + 1};
        read_kept_subject(job, review, &subject);
        reviews_set(reviews, id, &closed, 0);
        tell_update(job, &subject, id, &closed, NULL);
        job->batch->counts.reviews_closed++;
    }
    return REVIEW_ACCEPTED;
}

static enum review_outcome command_review(struct job *job, const struct review_record *read)
{
    struct reviews *reviews = partition_state_reviews(job->state);
    const struct review *review = reviews_find(reviews, read->id);
    struct review_subject subject;
    struct review_status after;
    if (passed_ms(job->record->timestamp_ms, job->pipeline->log_now_ms) > VOID_AFTER_MS)
        return REVIEW_VOID;
    if (!review)
        return REVIEW_UNKNOWN;
    read_kept_subject(job, review, &subject);
    enum review_outcome outcome = review_judge(&review->status, &subject, &read->command, &after);
    if (review_is_refused(outcome))
        tell_refusal(job, &subject, read->id, &read->command, outcome);
    if (outcome != REVIEW_ACCEPTED)
        return outcome;
    reviews_set(reviews, read->id, &after,
                review_lapse_time(job->pipeline, &after, job->record->timestamp_ms));
    tell_update(job, &subject, read->id, &after, &read->command);
    if (after.state == REVIEW_DECIDED)
        add_decision(job, &subject, &read->command);
    return outcome;
}

/* However long the record was on its way: it names the claim that it is about. */
static enum review_outcome lapse_review(struct job *job, const struct review_record *read)
{
    struct reviews *reviews = partition_state_reviews(job->state);
    const struct review *review = reviews_find(reviews, read->id);
    struct review_subject subject;
    struct review_status after;
    if (!review)
        return REVIEW_UNKNOWN;
    if (!review_lapse(&review->status, read->version, &after))
        return REVIEW_STALE;
    read_kept_subject(job, review, &subject);
    reviews_set(reviews, read->id, &after, 0);
    tell_update(job, &subject, read->id, &after, NULL);
    job->batch->counts.reviews_lapsed++;
    return REVIEW_ACCEPTED;
}

/* The review itself stays as it is, and so does its version: who decides at this moment decides what
 * he saw. */
static enum review_outcome tell_late(struct job *job, const struct review_record *read)
{
    if (!reviews_find(partition_state_reviews(job->state), read->id))
        return REVIEW_UNKNOWN;
    job->batch->counts.reviews_late++;
    return REVIEW_ACCEPTED;
}

bool review_log_process(struct job *job)
{
    struct review_record read;
    enum review_outcome outcome = REVIEW_MALFORMED;
    assert(!job->values && !job->drafts);
    review_record_read(job->record, &job->batch->arena, &read);
    /* Of a partition that is not ours any more nothing is committed either. */
    if (!job->state)
        return false;
    switch (read.kind) {
    case REVIEW_RECORD_OPENED:
        outcome = open_review(job, &read);
        break;
    case REVIEW_RECORD_CLOSED:
        outcome = close_reviews(job, read.id.task);
        break;
    case REVIEW_RECORD_COMMAND:
        outcome = command_review(job, &read);
        break;
    case REVIEW_RECORD_LATE:
        outcome = tell_late(job, &read);
        break;
    case REVIEW_RECORD_LAPSED:
        outcome = lapse_review(job, &read);
        break;
    case REVIEW_RECORD_TICK:
        return false;
    case REVIEW_RECORD_OTHER:
        break;
    }
    job->batch->counts.review_records[outcome]++;
    return read.kind == REVIEW_RECORD_LATE && outcome == REVIEW_ACCEPTED;
}
