/* How a record becomes a dead letter: what it had led to is taken back, and the letter says why, in
 * words for a person, and by which rule. What a letter looks like is dead_letter.h's. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dead_letter.h"
#include "pipeline_private.h"

/* What an event without an id is called: no other record has this place. */
struct bytes job_origin(struct job *job)
{
    const struct record *record = job->record;
    char text[300];
    int size = snprintf(text, sizeof(text), "%.*s-%" PRId32 "-%" PRId64, BYTES_PRINT(record->topic),
                        record->partition, record->offset);
    if (record->part > 0)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "-%u", record->part);
    assert(size > 0 && (size_t)size < sizeof(text)); /* Kafka's names have at most 249 bytes */
    return arena_copy(&job->batch->arena, bytes_of(text, (size_t)size));
}

/* Called once for a record at most, wherever it stands: the outputs are cut back to what they
 * were before it. Counts of what happened stay (remarks, rooms left out); those of notifications
 * go, as they did not happen. The audit record, if any, comes after it and stays. */
void job_make_dead_letter(struct job *job, enum dead_reason reason, const char *problem)
{
    const struct pipeline_settings *settings = &job->pipeline->settings;
    struct decision *decision = job->decision;
    assert(!decision->dead && decision->first_output <= job->batch->output_count);
    /* What the event had led to so far is not to be. */
    job->batch->output_count = decision->first_output;
    memcpy(job->batch->counts.notifications, job->counts_before.notifications,
           sizeof(job->counts_before.notifications));
    if (decision->event_id.size == 0)
        decision->event_id = job_origin(job);
    decision->dead = true;
    decision->reason = reason;
    decision->problem = job_told(job, problem);
    const struct dead_letter letter = {
        .topic = settings->dead_letter_topic,
        .reason = reason,
        .problem = decision->problem,
        .rules_revision = rule_set_revision(job->pipeline->rules),
        .rule = job->blamed,
        .value_limit = settings->limits.notification_bytes,
    };
    dead_letter_add(&letter, job->record, job->batch);
}

void job_make_dead_letter_format(struct job *job, enum dead_reason reason, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    job_make_dead_letter(job, reason, text);
}

/* What is no word of its own in the dead letter's header is malformed: the text says the rest. */
enum dead_reason dead_reason_of(enum status status)
{
    assert(status != STATUS_OK);
    return status == STATUS_UNSUPPORTED                          ? DEAD_UNSUPPORTED
           : status == STATUS_TOO_LARGE                          ? DEAD_TOO_LARGE
           : status == STATUS_LIMIT || status == STATUS_TOO_DEEP ? DEAD_LIMIT
                                                                 : DEAD_MALFORMED;
}

void job_make_size_letter(struct job *job, struct bytes rule)
{
    job_make_dead_letter_format(job, DEAD_LIMIT,
                                "a notification would be larger than %zu bytes "
                                "(dispatcher.limits.notification_size), at rule %.*s",
                                job->pipeline->settings.limits.notification_bytes,
                                BYTES_PRINT(rule));
}

/* The limits exist because one event can be made to cost as much as a million others. The text
 * names the rule at hand: often one costly pattern is the cause and not the event. */
void job_make_limit_letter(struct job *job, const struct matcher_error *error)
{
    assert(error->limit != MATCHER_LIMIT_NONE);
    const struct pipeline *pipeline = job->pipeline;
    const struct pipeline_limits *limits = &pipeline->settings.limits;
    struct bytes rule = BYTES_LITERAL("-");
    if (error->rule != MATCHER_NO_RULE) {
        unsigned index = rule_set_rule_of(pipeline->rules, error->rule);
        rule = rule_set_at(pipeline->rules, index)->name;
        job->blamed = rule;
    }
    if (error->limit == MATCHER_LIMIT_VALUES)
        job_make_dead_letter_format(
            job, DEAD_LIMIT,
            "more than %u values at paths that rules name (dispatcher.limits.values), at rule "
            "%.*s",
            limits->values, BYTES_PRINT(rule));
    else
        job_make_dead_letter_format(job, DEAD_LIMIT,
                                    "judging the event takes more than %" PRIu64
                                    " steps (dispatcher.limits.steps), at rule %.*s",
                                    limits->steps, BYTES_PRINT(rule));
}
