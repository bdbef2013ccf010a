/* Manual reviews over time: one per task, queue and reason is open, until an event of the task
 * closes it. */
#include "pipeline_parts.h"

/* A task is its tenant's: two tenants may have tasks of one name. */
static struct fingerprint task_of(const struct passage *passage)
{
    const struct bytes parts[] = {passage->owner.tenant, passage->task_id};
    return fingerprint_of(passage->pipeline->fingerprinter, parts, 2);
}

/* Another queue is another review: other people look at it. */
static struct fingerprint review_of(const struct passage *passage, const struct draft *draft)
{
    const struct bytes parts[] = {draft->queue, draft->reason};
    return fingerprint_of(passage->pipeline->fingerprinter, parts, 2);
}

static bool has_memory(const struct passage *passage)
{
    return passage->memory != NULL && passage->task_id.size > 0;
}

void review_check(struct passage *passage)
{
    if (!has_memory(passage))
        return;
    for (struct draft *draft = passage->drafts; draft != NULL; draft = draft->next) {
        if (draft->type != NOTIFICATION_REVIEW_ALERT ||
            !memory_review_is_open(passage->memory, task_of(passage), review_of(passage, draft),
                                   passage->record->timestamp_ms))
            continue;
        draft->is_open = true;
        passage->batch->counts.reviews_open++;
    }
}

static bool closes_reviews(struct passage *passage)
{
    const struct pipeline_settings *settings = &passage->pipeline->settings;
    struct bytes event = passage_text(passage, EVENT_FIELD_EVENT);
    for (size_t i = 0; i < settings->review_closed_by_count; i++)
        if (bytes_equal_string(event, settings->review_closed_by[i]))
            return true;
    return false;
}

void review_remember(struct passage *passage)
{
    if (!has_memory(passage))
        return;
    if (closes_reviews(passage))
        memory_close_reviews(passage->memory, task_of(passage));
    for (const struct draft *draft = passage->drafts; draft != NULL; draft = draft->next)
        if (draft->type == NOTIFICATION_REVIEW_ALERT && !draft->is_open &&
            !memory_open_review(passage->memory, task_of(passage), review_of(passage, draft),
                                passage->record->timestamp_ms))
            passage->batch->counts.reviews_unremembered++;
}
