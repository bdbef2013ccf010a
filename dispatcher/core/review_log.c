/* The log of reviews: a record in, and what becomes of its review out.
 *
 *     opened  ->  the review is open: update                      to its rooms
 *     closed  ->  the task's reviews are closed: an update each   to its rooms
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

static void add_header(struct record_header *headers, size_t *count, const char *name,
                       struct bytes value)
{
    if (value.size > 0)
        headers[(*count)++] = (struct record_header){bytes_of_string(name), value};
}

/* A CloudEvent whose id is the review and its version: who gets it twice knows it again. It may be
 * an event for rules like any other: it is the task's, by its task's user. */
static void add_decision(struct job *job, const struct review_subject *subject,
                         const struct review_command *command)
{
    enum { HEADERS = 11 };
    struct arena *arena = &job->batch->arena;
    struct buffer *json = &job->pipeline->text;
    struct record_header *headers = arena_raw(arena, HEADERS * sizeof(struct record_header));
    struct bytes event_id = job->event_id;
    size_t count = 0;
    assert(command->act == REVIEW_DECIDE && event_id.size > REVIEW_ID_SIZE);
    add_header(headers, &count, "content-type", BYTES_LITERAL("application/json"));
    add_header(headers, &count, "ce_specversion", BYTES_LITERAL("1.0"));
    add_header(headers, &count, "ce_id", event_id);
    add_header(headers, &count, "ce_source", BYTES_LITERAL("reviews"));
    add_header(headers, &count, "ce_type", BYTES_LITERAL("review.decided"));
    add_header(headers, &count, "ce_time", job->time);
    add_header(headers, &count, "ce_taskid", subject->task);
    add_header(headers, &count, "ce_tenantid", subject->tenant);
    add_header(headers, &count, "ce_projectid", subject->project);
    add_header(headers, &count, "ce_userid", subject->user);
    add_header(headers, &count, "ce_tasktype", subject->type);
    assert(count <= HEADERS);

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

    struct output *output = batch_add(job->batch);
    output->kind = OUTPUT_REVIEW;
    output->topic = job->pipeline->settings.review_decisions_topic;
    output->key = arena_copy(arena, subject->task);
    output->has_key = true;
    output->value = arena_copy(arena, buffer_peek(json));
    output->has_value = true;
    output->headers = headers;
    output->header_count = count;
    job->batch->counts.reviews_decided++;
}

/* --- Records --- */

static enum review_outcome open_review(struct job *job, const struct review_record *read)
{
    struct reviews *reviews = partition_state_reviews(job->state);
    if (reviews_find(reviews, read->id))
        return REVIEW_REPEATED;
    if (!reviews_open(reviews, read->id, read->text)) {
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
    if (!review)
        return REVIEW_UNKNOWN;
    for (; review; review = reviews_find_of_task(reviews, task)) {
        struct review_subject subject;
        const struct review_id id = review->id;
        const struct review_status closed = {.state = REVIEW_CLOSED,
                                             .version = review->status.version + 1};
        read_kept_subject(job, review, &subject);
        reviews_set(reviews, id, &closed);
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
    reviews_set(reviews, read->id, &after);
    tell_update(job, &subject, read->id, &after, &read->command);
    if (after.state == REVIEW_DECIDED)
        add_decision(job, &subject, &read->command);
    return outcome;
}

void review_log_process(struct job *job)
{
    struct review_record read;
    enum review_outcome outcome = REVIEW_MALFORMED;
    assert(!job->values && !job->drafts);
    review_record_read(job->record, &job->batch->arena, &read);
    /* Of a partition that is not ours any more nothing is committed either. */
    if (!job->state)
        return;
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
    case REVIEW_RECORD_OTHER:
        break;
    }
    job->batch->counts.review_records[outcome]++;
}
