/* Manual reviews over time: one per task, queue and reason is open, until an event of the task
 * closes it.
 *
 * Asked before the notifications are made (review_check()) and told after them
 * (review_remember()), since a record that becomes a dead letter in between must leave no review
 * open: its alert was never sent. */
#include <assert.h>

#include "pipeline_private.h"

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

/* The draft stays, marked: other rules still join it, and the audit tells of it. */
void review_check(struct job *job)
{
    if (!has_state(job))
        return;
    for (struct draft *draft = job->drafts; draft; draft = draft->next) {
        if (draft->type != NOTIFICATION_REVIEW_ALERT ||
            !partition_state_review_is_open(job->state, task_fingerprint(job),
                                            review_of(job, draft), job->record->timestamp_ms))
            continue;
        assert(!draft->is_open);
        draft->is_open = true;
        job->batch->counts.reviews_open++;
    }
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
    if (closes_reviews(job))
        partition_state_close_reviews(job->state, task_fingerprint(job));
    for (const struct draft *draft = job->drafts; draft; draft = draft->next)
        if (draft->type == NOTIFICATION_REVIEW_ALERT && !draft->is_open &&
            !partition_state_open_review(job->state, task_fingerprint(job), review_of(job, draft),
                                         job->record->timestamp_ms))
            job->batch->counts.reviews_unremembered++;
}
