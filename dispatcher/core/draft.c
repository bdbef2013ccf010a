/* From rules that matched to notifications: rooms are gathered per type, then cut into lanes. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "instant.h"
#include "pipeline_parts.h"

static struct arena *arena_of(const struct passage *passage)
{
    return &passage->batch->arena;
}

struct bytes passage_text(struct passage *passage, enum event_field field)
{
    const struct field_value *value = &passage->values[field];
    if (value->kind == JSON_STRING && !value->escaped)
        return value->raw;
    struct buffer *text = &passage->pipeline->text;
    buffer_clear(text);
    if (!field_value_text(value, text))
        return bytes_of(NULL, 0);
    return arena_copy(arena_of(passage), buffer_peek(text));
}

/* The text of a template, in the batch's arena; NULL gives nothing. */
static bool render(struct passage *passage, const struct template *template, struct bytes *out)
{
    struct buffer *text = &passage->pipeline->text;
    *out = bytes_of(NULL, 0);
    if (template == NULL)
        return true;
    buffer_clear(text);
    bool complete = template_render(template, passage->values, text);
    *out = arena_copy(arena_of(passage), buffer_peek(text));
    return complete;
}

static bool is_complete(struct passage *passage, const struct template *template)
{
    struct buffer *text = &passage->pipeline->text;
    buffer_clear(text);
    return template_render(template, passage->values, text);
}

/* Whether nothing that the rule's `missing` is about is missing. */
static bool rule_is_complete(struct passage *passage, const struct rule *rule)
{
    for (size_t i = 0; i < rule->notify_count; i++)
        for (size_t k = 0; k < rule->notify[i].room_count; k++)
            if (!is_complete(passage, rule->notify[i].rooms[k]))
                return false;
    return rule->review == NULL || (is_complete(passage, rule->review->queue) &&
                                    is_complete(passage, rule->review->reason));
}

static struct draft *find_draft(struct passage *passage, enum notification_type type,
                                struct bytes queue, struct bytes reason)
{
    struct draft **place = &passage->drafts;
    while (*place != NULL && !((*place)->type == type && bytes_equal((*place)->queue, queue) &&
                               bytes_equal((*place)->reason, reason)))
        place = &(*place)->next;
    if (*place == NULL) {
        *place = (struct draft *)arena_alloc(arena_of(passage), sizeof(struct draft));
        (*place)->type = type;
        (*place)->queue = queue;
        (*place)->reason = reason;
    }
    return *place;
}

static void add_rule(struct passage *passage, struct draft *draft, struct bytes name)
{
    struct draft_rule **place = &draft->rules;
    for (; *place != NULL; place = &(*place)->next)
        if (bytes_equal((*place)->name, name))
            return;
    *place = (struct draft_rule *)arena_alloc(arena_of(passage), sizeof(struct draft_rule));
    (*place)->name = name;
    draft->rule_count++;
}

static enum room_skip skip_of(enum status status)
{
    return status == STATUS_NOT_FOUND ? ROOM_SKIP_UNKNOWN_KIND
           : status == STATUS_DENIED  ? ROOM_SKIP_DENIED
                                      : ROOM_SKIP_NO_OWNER;
}

/* False: the event has too many rooms. A room that cannot be is counted and left out. */
static bool add_room(struct passage *passage, struct draft *draft, struct bytes name)
{
    struct room_name room;
    uint64_t *skips = passage->batch->counts.room_skips;
    struct draft_room **place = &draft->rooms;
    for (; *place != NULL; place = &(*place)->next)
        if (bytes_equal((*place)->name, name))
            return true;
    if (room_parse(name, &room, NULL) != STATUS_OK) {
        skips[ROOM_SKIP_INVALID]++;
        return true;
    }
    struct lane_name *lane =
        (struct lane_name *)arena_raw(arena_of(passage), sizeof(struct lane_name));
    enum status status =
        layout_lane(passage->pipeline->settings.layout, &room, &passage->owner, lane, NULL);
    if (status != STATUS_OK) {
        skips[skip_of(status)]++;
        return true;
    }
    if (++passage->room_count > passage->pipeline->settings.limits.rooms_per_event)
        return false;
    *place = (struct draft_room *)arena_alloc(arena_of(passage), sizeof(struct draft_room));
    (*place)->name = name;
    (*place)->lane = lane;
    draft->room_count++;
    return true;
}

static bool add_event_room(struct passage *passage, struct draft *draft, const char *kind,
                           struct bytes key)
{
    struct buffer *text = &passage->pipeline->text;
    if (key.size == 0)
        return true;
    buffer_clear(text);
    buffer_append_string(text, kind);
    buffer_append_byte(text, ':');
    buffer_append(text, key);
    return add_room(passage, draft, arena_copy(arena_of(passage), buffer_peek(text)));
}

static bool apply_notify(struct passage *passage, const struct rule *rule,
                         const struct rule_notify *notify)
{
    const struct bytes none = bytes_of(NULL, 0);
    struct draft *draft = find_draft(passage, notify->type, none, none);
    for (size_t i = 0; i < notify->room_count; i++) {
        struct bytes name;
        if (!render(passage, notify->rooms[i], &name))
            passage->batch->counts.room_skips[ROOM_SKIP_FIELD_MISSING]++;
        else if (!add_room(passage, draft, name))
            return false;
    }
    add_rule(passage, draft, rule->name);
    if (draft->title.size == 0)
        (void)render(passage, notify->title, &draft->title);
    if (draft->body.size == 0)
        (void)render(passage, notify->body, &draft->body);
    if (draft->severity.size == 0)
        (void)render(passage, notify->severity, &draft->severity);
    return true;
}

static struct bytes due_time(struct passage *passage, const struct template *due)
{
    struct bytes text;
    int64_t duration_ms;
    char instant[INSTANT_TEXT_SIZE];
    if (due == NULL || !passage->has_time || !render(passage, due, &text) ||
        !rule_read_duration(text, &duration_ms) ||
        !instant_format(passage->time_ms + duration_ms, instant))
        return bytes_of(NULL, 0);
    return arena_copy(arena_of(passage), bytes_of_string(instant));
}

static bool apply_review(struct passage *passage, const struct rule *rule)
{
    const struct rule_review *review = rule->review;
    struct bytes queue;
    struct bytes reason;
    bool complete = render(passage, review->queue, &queue);
    complete = render(passage, review->reason, &reason) && complete;
    if (!complete) {
        passage->batch->counts.room_skips[ROOM_SKIP_FIELD_MISSING]++;
        return true;
    }
    struct draft *draft = find_draft(passage, NOTIFICATION_REVIEW_ALERT, queue, reason);
    bool fits = add_event_room(passage, draft, "review", queue) &&
                add_event_room(passage, draft, "task", passage->task_id) &&
                add_event_room(passage, draft, "user", passage->owner.user);
    add_rule(passage, draft, rule->name);
    if (draft->priority.size == 0 && review->priority != NULL)
        (void)render(passage, review->priority, &draft->priority);
    if (draft->title.size == 0)
        (void)render(passage, review->title, &draft->title);
    if (draft->body.size == 0)
        (void)render(passage, review->body, &draft->body);
    if (draft->due_time.size == 0)
        draft->due_time = due_time(passage, review->due);
    return fits;
}

enum draft_result draft_apply(struct passage *passage, const struct rule *rule)
{
    if (rule->missing != RULE_MISSING_SKIP && !rule_is_complete(passage, rule)) {
        passage->batch->counts.room_skips[ROOM_SKIP_FIELD_MISSING]++;
        return rule->missing == RULE_MISSING_SKIP_RULE ? DRAFT_DONE : DRAFT_FIELD_MISSING;
    }
    for (size_t i = 0; i < rule->notify_count; i++)
        if (!apply_notify(passage, rule, &rule->notify[i]))
            return DRAFT_TOO_MANY_ROOMS;
    if (rule->review != NULL && !apply_review(passage, rule))
        return DRAFT_TOO_MANY_ROOMS;
    return DRAFT_DONE;
}

/* --- Content
 * ----------------------------------------------------------------------------------------------------
 */

static struct bytes data_of(const struct passage *passage)
{
    const struct field_value *data = &passage->values[EVENT_FIELD_DATA];
    if (data->kind == JSON_ERROR)
        return bytes_of(NULL, 0);
    if (data->kind == JSON_STRING) /* with its quotes */
        return bytes_of(data->raw.data - 1, data->raw.size + 2);
    return data->raw;
}

static bool read_progress(const struct passage *passage, double *progress)
{
    const struct field_value *value = &passage->values[EVENT_FIELD_PROGRESS];
    char text[64];
    if (value->kind != JSON_NUMBER)
        value = &passage->values[EVENT_FIELD_DATA_PROGRESS];
    if (value->kind != JSON_NUMBER || value->raw.size >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", BYTES_PRINT(value->raw));
    double number = strtod(text, NULL);
    if (!(number > -1e300 && number < 1e300))
        return false;
    *progress = number;
    return true;
}

/* The event's own status; without one, the last word of its name: task.completed is completed. */
static struct bytes status_of(struct passage *passage, struct bytes event)
{
    struct bytes status = passage_text(passage, EVENT_FIELD_STATUS);
    if (status.size > 0 || event.size == 0)
        return status;
    const uint8_t *dot = (const uint8_t *)memrchr(event.data, '.', event.size);
    return dot == NULL ? event : bytes_skip(event, (size_t)(dot + 1 - event.data));
}

static struct bytes or_else(struct bytes text, const char *otherwise)
{
    return text.size > 0 ? text : bytes_of_string(otherwise);
}

static void fill_content(struct passage *passage, const struct draft *draft,
                         struct notification *view)
{
    struct bytes event = passage_text(passage, EVENT_FIELD_EVENT);
    struct bytes task_id = passage->task_id;
    struct bytes type = passage_text(passage, EVENT_FIELD_TYPE);
    struct bytes priority = passage_text(passage, EVENT_FIELD_PRIORITY);
    struct bytes project_id = passage_text(passage, EVENT_FIELD_PROJECT);
    assert(draft->rules != NULL); /* a draft is begun for a rule */
    switch (draft->type) {
    case NOTIFICATION_TASK_STATUS:
        view->task_status = (struct task_status_update){
            .event = event,
            .task_id = task_id,
            .type = type,
            .status = status_of(passage, event),
            .priority = priority,
            .project_id = project_id,
            .user_id = passage->owner.user,
            .tenant_id = passage->owner.tenant,
            .data = data_of(passage),
        };
        view->task_status.has_progress = read_progress(passage, &view->task_status.progress);
        break;
    case NOTIFICATION_CLIENT:
        view->client = (struct client_notification){
            .title = draft->title,
            .body = draft->body,
            .severity = or_else(draft->severity, "info"),
            .task_id = task_id,
            .data = data_of(passage),
        };
        break;
    case NOTIFICATION_REVIEW_ALERT:
        view->review = (struct review_alert){
            .queue = draft->queue,
            .reason = draft->reason,
            .priority = draft->priority.size > 0 ? draft->priority : or_else(priority, "normal"),
            .title = draft->title,
            .body = draft->body,
            .task_id = task_id,
            .due_time = draft->due_time,
            .rule = draft->rules->name,
            .data = data_of(passage),
            .tenant_id = passage->owner.tenant,
            .project_id = project_id,
            .user_id = passage->owner.user,
            .type = type,
            .event = event,
        };
        break;
    }
}

/* --- Lanes
 * ------------------------------------------------------------------------------------------------------
 */

/* With its size before it, so that no two lists of parts are one text. */
static void add_part(struct buffer *text, struct bytes part)
{
    for (unsigned shift = 0; shift < 32; shift += 8)
        buffer_append_byte(text, (uint8_t)(part.size >> shift));
    buffer_append(text, part);
}

/* The same whenever, and by whomever, the same event is handled again. Uses the pipeline's text. */
static struct bytes make_id(struct passage *passage, const struct draft *draft,
                            const struct lane_name *lane)
{
    const struct field_value *source = &passage->values[EVENT_FIELD_SOURCE];
    struct buffer *text = &passage->pipeline->text;
    char id[33];
    buffer_clear(text);
    add_part(text, source->kind == JSON_STRING ? source->raw : bytes_of(NULL, 0));
    add_part(text, passage->event_id);
    add_part(text, bytes_of_string(notification_event_name(draft->type)));
    add_part(text, bytes_of_string(lane->topic));
    add_part(text, lane_name_key(lane));
    add_part(text, draft->queue);
    add_part(text, draft->reason);
    XXH128_hash_t hash = XXH3_128bits(buffer_peek(text).data, buffer_size(text));
    snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
    return arena_copy(arena_of(passage), bytes_of(id, 32));
}

static void add_headers(struct passage *passage, const struct notification_envelope *envelope,
                        struct output *output)
{
    struct notification_headers *encoded = (struct notification_headers *)arena_raw(
        arena_of(passage), sizeof(struct notification_headers));
    notification_headers_encode(envelope, encoded);
    struct record_header *headers = (struct record_header *)arena_raw(
        arena_of(passage), (encoded->count + 2) * sizeof(struct record_header));
    size_t count = 0;
    for (; count < encoded->count; count++)
        headers[count] = (struct record_header){bytes_of_string(encoded->items[count].name),
                                                encoded->items[count].value};
    if (passage->traceparent.size > 0)
        headers[count++] =
            (struct record_header){BYTES_LITERAL("traceparent"), passage->traceparent};
    if (passage->tracestate.size > 0)
        headers[count++] = (struct record_header){BYTES_LITERAL("tracestate"), passage->tracestate};
    output->headers = headers;
    output->header_count = count;
}

static bool lane_is_same(const struct lane_name *a, const struct lane_name *b)
{
    return lane_name_same(a, b) && bytes_equal(lane_name_scope(a), lane_name_scope(b));
}

/* The rooms of the first one's lane, taken out of the draft's list. */
static size_t take_lane(struct draft *draft, const struct lane_name *lane, struct bytes *rooms,
                        struct buffer *hashes)
{
    size_t count = 0;
    struct draft_room **place = &draft->rooms;
    while (*place != NULL) {
        struct draft_room *room = *place;
        if (!lane_is_same(room->lane, lane)) {
            place = &room->next;
            continue;
        }
        rooms[count++] = room->name;
        notification_append_room_hash(hashes, room_hash(lane_name_scope(lane), room->name));
        *place = room->next;
    }
    return count;
}

static void note_published(struct passage *passage, const struct notification *view,
                           const struct lane_name *lane)
{
    struct published *published =
        (struct published *)arena_alloc(arena_of(passage), sizeof(struct published));
    *published = (struct published){.id = view->id, .type = view->type, .lane = lane};
    *passage->published_end = published;
    passage->published_end = &published->next;
}

static bool publish_lane(struct passage *passage, struct draft *draft,
                         const struct bytes *rule_names, struct notification *view)
{
    struct pipeline *pipeline = passage->pipeline;
    const struct lane_name *lane = draft->rooms->lane;
    struct bytes *rooms =
        (struct bytes *)arena_raw(arena_of(passage), draft->room_count * sizeof(struct bytes));
    view->id = make_id(passage, draft, lane);
    buffer_clear(&pipeline->text);
    view->room_count = take_lane(draft, lane, rooms, &pipeline->text);
    view->rooms = rooms;
    view->rules = rule_names;
    view->rule_count = draft->rule_count;
    struct notification_envelope envelope = {
        .has_type = true,
        .type = draft->type,
        .room_hashes = arena_copy(arena_of(passage), buffer_peek(&pipeline->text)),
        .layout = layout_revision(pipeline->settings.layout),
        .hops = passage->hops + 1,
    };
    buffer_clear(&pipeline->text);
    notification_encode(view, &pipeline->text);
    if (buffer_size(&pipeline->text) > pipeline->settings.limits.notification_bytes)
        return false;

    struct output *output = batch_add(passage->batch);
    output->kind = OUTPUT_NOTIFICATION;
    output->topic = lane->topic;
    output->partition = lane->partition;
    output->partition_count = lane->partition_count;
    output->key = lane_name_key(lane);
    output->has_key = true;
    output->value = arena_copy(arena_of(passage), buffer_peek(&pipeline->text));
    output->has_value = true;
    add_headers(passage, &envelope, output);
    note_published(passage, view, lane);
    passage->batch->counts.notifications[draft->type]++;
    return true;
}

static bool finish_draft(struct passage *passage, struct draft *draft)
{
    struct notification view = {
        .time = passage->time,
        .event_id = passage->event_id,
        .rules_revision = rule_set_revision(passage->pipeline->rules),
        .traceparent = passage->traceparent,
        .tracestate = passage->tracestate,
        .type = draft->type,
    };
    struct bytes *names =
        (struct bytes *)arena_raw(arena_of(passage), draft->rule_count * sizeof(struct bytes));
    size_t count = 0;
    for (const struct draft_rule *rule = draft->rules; rule != NULL; rule = rule->next)
        names[count++] = rule->name;
    assert(count == draft->rule_count);
    fill_content(passage, draft, &view);
    while (draft->rooms != NULL)
        if (!publish_lane(passage, draft, names, &view))
            return false;
    return true;
}

bool draft_finish(struct passage *passage)
{
    for (struct draft *draft = passage->drafts; draft != NULL; draft = draft->next)
        if (!draft->is_open && !finish_draft(passage, draft))
            return false;
    return true;
}
