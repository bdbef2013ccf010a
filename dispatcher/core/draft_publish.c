/* From drafts to notifications: what each says, and one record for each lane of its rooms.
 *
 *     draft            lanes of its rooms        outputs
 *
 *     task.status -+-> task:42, user:7 (a) --> notification
 *                  +-> project:9       (b) --> notification
 *
 * Invariant: content and id depend on the event, the rules and the lane alone, so that an event
 * that is handled again, by whomever, gives the same records. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "pipeline_private.h"

/* --- Content --- */

/* As it stands in the event, byte for byte: clients get numbers with all their digits, and
 * nothing is parsed and written again for each notification. */
struct bytes draft_event_data(const struct job *job)
{
    const struct field_value *data = &job->values[EVENT_FIELD_DATA];
    if (data->kind == JSON_ERROR)
        return bytes_of(NULL, 0);
    if (data->kind == JSON_STRING) /* with its quotes */
        return bytes_of(data->raw.data - 1, data->raw.size + 2);
    return data->raw;
}

/* The event's own status; without one, the last word of its name: task.completed is completed. */
static struct bytes task_status_of(struct job *job, struct bytes event)
{
    struct bytes status = job_text(job, EVENT_FIELD_STATUS);
    if (status.size > 0 || event.size == 0)
        return status;
    const uint8_t *dot = memrchr(event.data, '.', event.size);
    return dot ? bytes_skip(event, (size_t)(dot + 1 - event.data)) : event;
}

/* Defaults stand here and not in the templates, so that a rule that leaves the severity out and
 * one whose field is empty look the same to clients. */
static struct bytes or_else(struct bytes text, const char *otherwise)
{
    return text.size > 0 ? text : bytes_of_string(otherwise);
}

/* Empty: the review has no life of its own, and nothing can be done about it here. */
static struct bytes review_id_of(struct job *job, const struct draft *draft)
{
    char text[REVIEW_ID_SIZE + 1];
    if (draft->review_text.size == 0)
        return bytes_of(NULL, 0);
    review_id_write(draft->review_id, text);
    return arena_copy(&job->batch->arena, bytes_of(text, REVIEW_ID_SIZE));
}

/* What clients see of an event is what this function names: a new field of the event does not
 * reach them by itself. `data` is the exception, and the producer's own. */
static void fill_notification(struct job *job, const struct draft *draft, struct notification *view)
{
    bool of_rules = draft->rules != NULL; /* else of the log of reviews: there is no event */
    struct bytes none = bytes_of(NULL, 0);
    struct bytes event = of_rules ? job_text(job, EVENT_FIELD_EVENT) : none;
    struct bytes task_id = job->task_id;
    struct bytes type = of_rules ? job_text(job, EVENT_FIELD_TYPE) : none;
    struct bytes priority = of_rules ? job_text(job, EVENT_FIELD_PRIORITY) : none;
    struct bytes project_id = of_rules ? job_text(job, EVENT_FIELD_PROJECT) : none;
    assert(of_rules == (!draft->update && !draft->refusal));
    switch (draft->type) {
    case NOTIFICATION_TASK_STATUS:
        view->task_status = (struct task_status_update){
            .event = event,
            .task_id = task_id,
            .type = type,
            .status = task_status_of(job, event),
            .priority = priority,
            .project_id = project_id,
            .user_id = job->owner.user,
            .tenant_id = job->owner.tenant,
            .data = draft_event_data(job),
        };
        view->task_status.has_progress = job->has_progress;
        view->task_status.progress = job->progress;
        break;
    case NOTIFICATION_CLIENT:
        view->client = (struct client_notification){
            .title = draft->title,
            .body = draft->body,
            .severity = or_else(draft->severity, "info"),
            .task_id = task_id,
            .data = draft_event_data(job),
        };
        break;
    case NOTIFICATION_REVIEW_ALERT:
        assert(draft->rules);
        view->review = (struct review_alert){
            .queue = draft->queue,
            .reason = draft->reason,
            .priority = draft->priority.size > 0 ? draft->priority : or_else(priority, "normal"),
            .title = draft->title,
            .body = draft->body,
            .task_id = task_id,
            .due_time = draft->due_time,
            .rule = draft->rules->name,
            .data = draft_event_data(job),
            .tenant_id = job->owner.tenant,
            .project_id = project_id,
            .user_id = job->owner.user,
            .type = type,
            .event = event,
            .review_id = review_id_of(job, draft),
        };
        break;
    case NOTIFICATION_REVIEW_UPDATED:
        assert(draft->update);
        view->review_update = *draft->update;
        break;
    case NOTIFICATION_REVIEW_REFUSED:
        assert(draft->refusal);
        view->review_refusal = *draft->refusal;
        break;
    case NOTIFICATION_CUSTOM:
        view->custom = (struct custom_event){
            .event = draft->custom.event, .task_id = task_id, .data = draft->custom.data};
        break;
    }
}

/* --- Lanes --- */

/* With its size before it, so that no two lists of parts are one text. */
static void add_id_part(struct buffer *text, struct bytes part)
{
    for (unsigned shift = 0; shift < 32; shift += 8)
        buffer_append_byte(text, (uint8_t)(part.size >> shift));
    buffer_append(text, part);
}

/* The same whenever, and by whomever, the same event is handled again. Uses the pipeline's text. */
static struct bytes make_notification_id(struct job *job, const struct draft *draft,
                                         const struct lane_name *lane)
{
    bool has_source = job->values && job->values[EVENT_FIELD_SOURCE].kind == JSON_STRING;
    struct bytes source = has_source ? job_text(job, EVENT_FIELD_SOURCE) : bytes_of(NULL, 0);
    struct buffer *text = &job->pipeline->text;
    char id[33];
    buffer_clear(text);
    add_id_part(text, job->owner.tenant);
    add_id_part(text, source);
    add_id_part(text, job->event_id);
    add_id_part(text, bytes_of_string(notification_type_name(draft->type)));
    add_id_part(text, bytes_of_string(lane->topic));
    add_id_part(text, lane_name_key(lane));
    add_id_part(text, draft->queue);
    add_id_part(text, draft->reason);
    /* Parts more and not empty ones, so that ids of what has no item are what they were. */
    if (draft->item.key.size > 0) {
        add_id_part(text, draft->item.key);
        add_id_part(text, bytes_of_string(draft->item.removed ? "removed" : ""));
    }
    if (draft->late)
        add_id_part(text, bytes_of_string("late"));
    if (draft->type == NOTIFICATION_CUSTOM) {
        add_id_part(text, draft->custom.event);
        add_id_part(text, draft->custom.data);
    }
    XXH128_hash_t hash = XXH3_128bits(buffer_peek(text).data, buffer_size(text));
    snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
    return arena_copy(&job->batch->arena, bytes_of(id, 32));
}

/* Trace headers come last and only if they are printable (pipeline.c). The gateway reads the
 * others to route without decoding the notification. */
static void add_headers(struct job *job, const struct notification_envelope *envelope,
                        struct output *output)
{
    struct notification_headers *encoded =
        arena_raw(&job->batch->arena, sizeof(struct notification_headers));
    notification_headers_encode(envelope, encoded);
    struct record_header *headers =
        arena_raw(&job->batch->arena, (encoded->count + 2) * sizeof(struct record_header));
    size_t count = 0;
    for (; count < encoded->count; count++)
        headers[count] = (struct record_header){bytes_of_string(encoded->items[count].name),
                                                encoded->items[count].value};
    if (job->traceparent.size > 0)
        headers[count++] = (struct record_header){BYTES_LITERAL("traceparent"), job->traceparent};
    if (job->tracestate.size > 0)
        headers[count++] = (struct record_header){BYTES_LITERAL("tracestate"), job->tracestate};
    output->headers = headers;
    output->header_count = count;
    assert(count <= encoded->count + 2);
}

static void note_published(struct job *job, const struct notification *view,
                           const struct lane_name *lane)
{
    assert(!*job->published_end);
    struct published *published = arena_alloc(&job->batch->arena, sizeof(struct published));
    *published = (struct published){.id = view->id,
                                    .type = view->type,
                                    .event = notification_event(view),
                                    .item = view->item,
                                    .late = view->late,
                                    .lane = lane};
    *job->published_end = published;
    job->published_end = &published->next;
}

/* Rooms are named in the notification and hashed in its headers, in one order: the gateway
 * passes over a record by the hashes and is sure by the names. */
static const struct bytes *list_rooms(struct job *job, const struct draft_lane *lane,
                                      struct buffer *hashes)
{
    struct bytes *rooms = arena_raw(&job->batch->arena, lane->room_count * sizeof(struct bytes));
    size_t count = 0;
    for (const struct draft_room *room = lane->rooms; room; room = room->next) {
        rooms[count++] = room->name;
        notification_append_room_hash(hashes, room_hash(lane_name_scope(&lane->name), room->name));
    }
    assert(count == lane->room_count);
    return rooms;
}

/* The record that was added last once more, for the state topic of its lane: the same value and
 * headers, so that whoever reads the one can read the other. */
static void keep_item(struct job *job, const struct draft_lane *lane,
                      const struct notification *view)
{
    struct buffer *text = &job->pipeline->text;
    struct output *output = batch_add(job->batch);
    assert(job->batch->output_count >= 2 && view->item.key.size > 0);
    *output = job->batch->outputs[job->batch->output_count - 2];
    assert(output->kind == OUTPUT_NOTIFICATION && output->topic == lane->name.topic);
    buffer_clear(text);
    buffer_append_string(text, lane->name.topic);
    buffer_append_string(text, LAYOUT_STATE_SUFFIX);
    output->kind = OUTPUT_ITEM;
    output->topic = (const char *)arena_copy(&job->batch->arena, buffer_peek(text)).data;
    buffer_clear(text);
    notification_state_key(view, lane_name_scope(&lane->name), text);
    output->key = arena_copy(&job->batch->arena, buffer_peek(text));
}

/* The pipeline's text serves three times, each content copied before the next: id, room hashes,
 * encoding. False: the notification is larger than the limit, and nothing was added for this
 * lane. */
static bool publish_lane(struct job *job, const struct draft_lane *lane,
                         const struct bytes *rule_names, struct notification *view)
{
    struct pipeline *pipeline = job->pipeline;
    const struct draft *draft = lane->draft;
    assert(lane->room_count > 0);
    view->id = make_notification_id(job, draft, &lane->name);
    buffer_clear(&pipeline->text);
    view->room_count = lane->room_count;
    view->rooms = list_rooms(job, lane, &pipeline->text);
    view->rules = rule_names;
    view->rule_count = draft->rule_count;
    struct notification_envelope envelope = {
        .has_type = true,
        .type = draft->type,
        .room_hashes = arena_copy(&job->batch->arena, buffer_peek(&pipeline->text)),
        .layout = layout_revision(pipeline->settings.layout),
        .hops = job->hops + 1,
        .item_hash = draft->item.key.size > 0 ? notification_item_hash(draft->item.key) : 0,
        .item_removed = draft->item.removed,
    };
    buffer_clear(&pipeline->text);
    notification_encode(view, &pipeline->text);
    if (buffer_size(&pipeline->text) > pipeline->settings.limits.notification_bytes)
        return false;

    struct output *output = batch_add(job->batch);
    output->kind = OUTPUT_NOTIFICATION;
    output->topic = lane->name.topic;
    output->partition = lane->name.partition;
    output->partition_count = lane->name.partition_count;
    output->key = lane_name_key(&lane->name);
    output->has_key = true;
    output->value = arena_copy(&job->batch->arena, buffer_peek(&pipeline->text));
    output->has_value = true;
    add_headers(job, &envelope, output);
    note_published(job, view, &lane->name);
    if (view->item.key.size > 0 && pipeline->settings.keeps_items)
        keep_item(job, lane, view);
    job->batch->counts.notifications[draft->type]++;
    return true;
}

/* All lanes of a draft share its content; only id and rooms differ. */
static bool finish_draft(struct job *job, struct draft *draft)
{
    struct notification view = {
        .time = job->time,
        .event_id = job->event_id,
        .rules_revision = rule_set_revision(job->pipeline->rules),
        .traceparent = job->traceparent,
        .tracestate = job->tracestate,
        .item = draft->item,
        .late = draft->late,
        .type = draft->type,
    };
    struct bytes *names = arena_raw(&job->batch->arena, draft->rule_count * sizeof(struct bytes));
    size_t count = 0;
    for (const struct draft_rule *rule = draft->rules; rule; rule = rule->next)
        names[count++] = rule->name;
    assert(count == draft->rule_count);
    fill_notification(job, draft, &view);
    for (const struct draft_lane *lane = draft->lanes; lane; lane = lane->next)
        if (!publish_lane(job, lane, names, &view))
            return false;
    return true;
}

/* A review that is open already is passed over here and not when it is drafted: its rules still
 * count as matched, and the audit names it. */
const struct draft *draft_finish(struct job *job)
{
    for (struct draft *draft = job->drafts; draft; draft = draft->next)
        if (!draft->is_open && !finish_draft(job, draft))
            return draft;
    return NULL;
}
