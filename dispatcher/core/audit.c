/* The audit record of a decision: which rules matched, why there is a review, what was published.
 * JSON; README.md has its form.
 *
 * It is an output of the same batch as the notifications that it tells about, so one transaction
 * commits both: an audit that says "published" and no notification, or the reverse, cannot be
 * read by anybody. The record is written once the decision stands and never changes it. */
#include <assert.h>
#include <inttypes.h>

#include "json.h"
#include "pipeline_private.h"

/* By the rules that matched, not by the drafts: a review that is open already has no alert, and
 * the audit is where one finds out why. */
static bool asks_for_review(const struct job *job)
{
    for (size_t i = 0; i < job->decision->rule_count; i++)
        if (rule_set_at(job->pipeline->rules, job->decision->rules[i])->review)
            return true;
    return false;
}

static bool is_wanted(const struct job *job)
{
    const struct decision *decision = job->decision;
    switch (job->pipeline->settings.audit) {
    case AUDIT_OFF:
        return false;
    case AUDIT_REVIEWS:
        return asks_for_review(job);
    case AUDIT_MATCHED:
        return decision->rule_count > 0 || decision->dead || decision->duplicate;
    case AUDIT_ALL:
        return true;
    }
    return false;
}

/* One word for each event, in this order: a dead letter is one whatever had matched before it
 * became one, and a duplicate ends before rules are chosen, so that it is neither matched nor
 * unmatched. */
static const char *outcome_of(const struct decision *decision)
{
    assert(!decision->dead || decision->problem);
    assert(!(decision->dead && decision->tombstone));
    return decision->dead             ? "dead-letter"
           : decision->tombstone      ? "tombstone"
           : decision->duplicate      ? "duplicate"
           : decision->rule_count > 0 ? "matched"
                                      : "unmatched";
}

/* What the event does not have is left out, so that a reader can tell "none" from a text that is
 * empty. */
static void append_audit_text(struct buffer *json, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    buffer_append_format(json, ",\"%s\":", name);
    json_write_string(json, text);
}

static void append_rules(const struct job *job, struct buffer *json)
{
    buffer_append_string(json, ",\"rules\":[");
    for (size_t i = 0; i < job->decision->rule_count; i++) {
        if (i > 0)
            buffer_append_byte(json, ',');
        json_write_string(json, rule_set_at(job->pipeline->rules, job->decision->rules[i])->name);
    }
    buffer_append_byte(json, ']');
}

/* Also those that were open already, and so were not sent: who asks why no alert came finds it. */
static void append_reviews(const struct job *job, struct buffer *json)
{
    bool some = false;
    for (const struct draft *draft = job->drafts; draft; draft = draft->next) {
        if (draft->type != NOTIFICATION_REVIEW_ALERT)
            continue;
        buffer_append_string(json, some ? ",{\"queue\":" : ",\"reviews\":[{\"queue\":");
        json_write_string(json, draft->queue);
        buffer_append_string(json, ",\"reason\":");
        json_write_string(json, draft->reason);
        buffer_append_string(json, draft->is_open ? ",\"alreadyOpen\":true}" : "}");
        some = true;
    }
    if (some)
        buffer_append_byte(json, ']');
}

/* Only part of them is listed (ROOM_SKIPS_TOLD): a rule with a bad template must not make audit
 * records larger than the events that they are about. */
static void append_skipped(const struct job *job, struct buffer *json)
{
    if (job->decision->skipped_count == 0)
        return;
    assert(job->decision->skipped);
    buffer_append_string(json, ",\"skipped\":");
    decision_skipped_json(job->decision, job->pipeline->rules, json);
}

static void append_remarks(const struct job *job, struct buffer *json)
{
    bool some = false;
    for (size_t i = 0; i < EVENT_REMARK_COUNT; i++)
        some = some || job->decision->remarks[i];
    if (!some)
        return;
    buffer_append_string(json, ",\"remarks\":");
    decision_remarks_json(job->decision, json);
}

/* Of a dead letter nothing was published, whatever had been made before it became one. */
static void append_published(const struct job *job, struct buffer *json)
{
    const struct published *published = job->decision->dead ? NULL : job->published;
    assert(!published || job->drafts);
    buffer_append_string(json, ",\"notifications\":[");
    for (; published; published = published->next) {
        buffer_append_string(json, "{\"id\":");
        json_write_string(json, published->id);
        buffer_append_format(json, ",\"type\":\"%s\",\"topic\":\"%s\",\"partition\":%" PRId32,
                             notification_type_name(published->type), published->lane->topic,
                             published->lane->partition);
        if (published->type == NOTIFICATION_CUSTOM)
            append_audit_text(json, "event", published->event);
        append_audit_text(json, "item", published->item.key);
        buffer_append_string(json, published->item.removed ? ",\"removed\":true}"
                                   : published->late       ? ",\"late\":true}"
                                                           : "}");
        if (published->next)
            buffer_append_byte(json, ',');
    }
    buffer_append_byte(json, ']');
}

/* Keyed by the task, so that the decisions about one task lie in one partition, in order; a
 * record without a task has its own key. An event that was refused before its id was read has
 * one by now: where it came from (job_make_dead_letter()). */
void audit_add(struct job *job)
{
    const struct decision *decision = job->decision;
    const struct record *record = job->record;
    struct buffer *json = &job->pipeline->text;
    if (!is_wanted(job))
        return;
    assert(decision->event_id.size > 0 || decision->tombstone);
    buffer_clear(json);
    buffer_append_string(json, "{\"eventId\":");
    json_write_string(json, decision->event_id);
    append_audit_text(json, "time", job->time);
    append_audit_text(json, "taskId", job->task_id);
    append_audit_text(json, "tenantId", job->owner.tenant);
    buffer_append_string(json, ",\"origin\":{\"topic\":");
    json_write_string(json, record->topic);
    buffer_append_format(json, ",\"partition\":%" PRId32 ",\"offset\":%" PRId64 "}",
                         record->partition, record->offset);
    append_audit_text(json, "rulesRevision", rule_set_revision(job->pipeline->rules));
    append_audit_text(json, "outcome", bytes_of_string(outcome_of(decision)));
    append_rules(job, json);
    append_reviews(job, json);
    append_skipped(job, json);
    append_remarks(job, json);
    append_published(job, json);
    if (decision->dead) {
        append_audit_text(json, "reason", bytes_of_string(dead_reason_name(decision->reason)));
        append_audit_text(json, "problem", bytes_of_string(decision->problem));
    }
    buffer_append_byte(json, '}');

    struct arena *arena = &job->batch->arena;
    struct bytes key = job->task_id.size > 0 ? job->task_id : decision->event_id;
    struct output *output = batch_add(job->batch);
    output->kind = OUTPUT_AUDIT;
    output->topic = job->pipeline->settings.audit_topic;
    output->key = arena_copy(arena, key);
    output->has_key = true;
    output->value = arena_copy(arena, buffer_peek(json));
    output->has_value = true;
    output->headers = NULL;
}

void decision_skipped_json(const struct decision *decision, const struct rule_set *rules,
                           struct buffer *json)
{
    size_t told = 0;
    buffer_append_byte(json, '[');
    for (const struct skipped_room *skipped = decision->skipped; skipped; skipped = skipped->next) {
        buffer_append_string(json, told++ == 0 ? "{\"rule\":" : ",{\"rule\":");
        json_write_string(json, rule_set_at(rules, skipped->rule)->name);
        append_audit_text(json, "room", skipped->room);
        append_audit_text(json, "reason", bytes_of_string(room_skip_name(skipped->reason)));
        append_audit_text(json, "problem", skipped->problem);
        buffer_append_byte(json, '}');
    }
    assert(told <= ROOM_SKIPS_TOLD && told <= decision->skipped_count);
    if (decision->skipped_count > told)
        buffer_append_format(json, ",{\"more\":%zu}", decision->skipped_count - told);
    buffer_append_byte(json, ']');
}

void decision_remarks_json(const struct decision *decision, struct buffer *json)
{
    bool some = false;
    buffer_append_byte(json, '{');
    for (int i = 0; i < EVENT_REMARK_COUNT; i++) {
        if (!decision->remarks[i])
            continue;
        buffer_append_format(json, "%s\"%s\":", some ? "," : "",
                             event_remark_name((enum event_remark)i));
        json_write_string(json, bytes_of_string(decision->remarks[i]));
        some = true;
    }
    buffer_append_byte(json, '}');
}
