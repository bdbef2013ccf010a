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
    if (!field_value_text(value, text, NULL))
        return bytes_of(NULL, 0);
    return arena_copy(arena_of(passage), buffer_peek(text));
}

/* The text of a template, in the batch's arena; NULL gives nothing. */
static enum template_result render(struct passage *passage, const struct template *template,
                                   struct bytes *out)
{
    struct buffer *text = &passage->pipeline->text;
    *out = bytes_of(NULL, 0);
    if (template == NULL)
        return TEMPLATE_DONE;
    buffer_clear(text);
    enum template_result result = template_render(template, passage->values, text);
    *out = arena_copy(arena_of(passage), buffer_peek(text));
    return result;
}

static bool is_complete(const struct passage *passage, const struct template *template)
{
    return template_missing(template, passage->values).size == 0;
}

/* The first template without which the rule's `missing` lets it do nothing; NULL: all are complete.
 */
static const struct template *find_incomplete(const struct passage *passage,
                                              const struct rule *rule)
{
    for (size_t i = 0; i < rule->notify_count; i++)
        for (size_t k = 0; k < rule->notify[i].room_count; k++)
            if (!is_complete(passage, rule->notify[i].rooms[k]))
                return rule->notify[i].rooms[k];
    if (rule->review == NULL)
        return NULL;
    if (!is_complete(passage, rule->review->queue))
        return rule->review->queue;
    return is_complete(passage, rule->review->reason) ? NULL : rule->review->reason;
}

struct bytes draft_missing_field(const struct passage *passage, const struct rule *rule)
{
    const struct template *incomplete = find_incomplete(passage, rule);
    assert(incomplete != NULL);
    return template_missing(incomplete, passage->values);
}

/* --- What is left out
 * -------------------------------------------------------------------------------------------- */

static void skip(struct passage *passage, enum room_skip reason, struct bytes room,
                 const char *problem)
{
    struct decision *decision = passage->decision;
    passage->batch->counts.room_skips[reason]++;
    if (decision->skipped_count++ >= ROOM_SKIPS_TOLD)
        return;
    struct skipped_room *skipped =
        (struct skipped_room *)arena_alloc(arena_of(passage), sizeof(struct skipped_room));
    *skipped = (struct skipped_room){
        .rule = passage->rule,
        .reason = reason,
        .room = room,
        .problem = arena_copy(arena_of(passage), bytes_of_string(problem)),
    };
    *passage->skipped_end = skipped;
    passage->skipped_end = &skipped->next;
}

/* A room or a review whose template did not give a name. */
static void skip_template(struct passage *passage, const struct template *template,
                          enum template_result result)
{
    char text[256];
    struct bytes missing = template_missing(template, passage->values);
    assert(result != TEMPLATE_DONE);
    if (result == TEMPLATE_UNFIT) {
        skip(passage, ROOM_SKIP_INVALID, template_source(template),
             "a field holds U+0000 or half a surrogate pair");
        return;
    }
    snprintf(text, sizeof(text), "the event has no %.*s",
             (int)(missing.size < 200 ? missing.size : 200), (const char *)missing.data);
    skip(passage, ROOM_SKIP_FIELD_MISSING, template_source(template), text);
}

/* A room that has no lane. */
static void skip_lane(struct passage *passage, enum room_skip reason, struct bytes room,
                      const char *problem)
{
    char text[640];
    snprintf(text, sizeof(text), "%s (tenantId or userId of the event)", problem);
    skip(passage, reason, room, reason == ROOM_SKIP_NO_OWNER ? text : problem);
}

/* --- Drafts
 * ------------------------------------------------------------------------------------------------------
 */

static struct draft *new_draft(struct passage *passage, enum notification_type type,
                               struct bytes queue, struct bytes reason)
{
    struct draft *draft = (struct draft *)arena_alloc(arena_of(passage), sizeof(struct draft));
    *draft = (struct draft){
        .type = type, .queue = queue, .reason = reason, .number = passage->draft_count++};
    draft->lanes_end = &draft->lanes;
    draft->rules_end = &draft->rules;
    *passage->drafts_end = draft;
    passage->drafts_end = &draft->next;
    return draft;
}

static struct draft *find_draft(struct passage *passage, enum notification_type type,
                                struct bytes queue, struct bytes reason)
{
    struct lookup *drafts = &passage->pipeline->drafts;
    uint64_t hash = lookup_hash(drafts, lookup_hash(drafts, (uint64_t)type, queue), reason);
    struct draft *draft;
    for (uint32_t at = 0; (draft = (struct draft *)lookup_next(drafts, hash, &at)) != NULL;)
        if (draft->type == type && bytes_equal(draft->queue, queue) &&
            bytes_equal(draft->reason, reason))
            return draft;
    draft = new_draft(passage, type, queue, reason);
    lookup_add(drafts, hash, draft);
    return draft;
}

/* Rules come in the order of the file, each perhaps several times in a row. */
static void add_rule(struct passage *passage, struct draft *draft, struct bytes name)
{
    if (draft->rule_count > 0 && draft->last_rule == passage->rule)
        return;
    struct draft_rule *rule =
        (struct draft_rule *)arena_alloc(arena_of(passage), sizeof(struct draft_rule));
    rule->name = name;
    *draft->rules_end = rule;
    draft->rules_end = &rule->next;
    draft->last_rule = passage->rule;
    draft->rule_count++;
}

static enum room_skip skip_of(enum status status)
{
    return status == STATUS_NOT_FOUND ? ROOM_SKIP_UNKNOWN_KIND
           : status == STATUS_DENIED  ? ROOM_SKIP_DENIED
                                      : ROOM_SKIP_NO_OWNER;
}

static bool lane_is_same(const struct lane_name *a, const struct lane_name *b)
{
    return lane_name_same(a, b) && bytes_equal(lane_name_scope(a), lane_name_scope(b));
}

static struct draft_lane *find_lane(struct passage *passage, struct draft *draft,
                                    const struct lane_name *name)
{
    struct lookup *lanes = &passage->pipeline->lanes;
    uint64_t salt = (uint64_t)draft->number << 32 | (uint32_t)name->partition;
    uint64_t hash = lookup_hash(lanes, lookup_hash(lanes, salt, bytes_of_string(name->topic)),
                                lane_name_scope(name));
    struct draft_lane *lane;
    for (uint32_t at = 0; (lane = (struct draft_lane *)lookup_next(lanes, hash, &at)) != NULL;)
        if (lane->draft == draft && lane_is_same(&lane->name, name))
            return lane;
    lane = (struct draft_lane *)arena_raw(arena_of(passage), sizeof(struct draft_lane));
    *lane = (struct draft_lane){.draft = draft, .name = *name};
    lane->rooms_end = &lane->rooms;
    *draft->lanes_end = lane;
    draft->lanes_end = &lane->next;
    lookup_add(lanes, hash, lane);
    return lane;
}

static bool has_room(struct passage *passage, const struct draft *draft, struct bytes name,
                     uint64_t hash)
{
    const struct draft_room *room;
    for (uint32_t at = 0; (room = (const struct draft_room *)lookup_next(&passage->pipeline->rooms,
                                                                         hash, &at)) != NULL;)
        if (room->draft == draft && bytes_equal(room->name, name))
            return true;
    return false;
}

/* False: the event has too many rooms. A room that cannot be is counted and left out. */
static bool add_room(struct passage *passage, struct draft *draft, struct bytes name)
{
    struct room_name parsed;
    struct lane_name lane_name;
    struct error error = {0};
    uint64_t hash = lookup_hash(&passage->pipeline->rooms, draft->number, name);
    if (has_room(passage, draft, name, hash))
        return true;
    if (room_parse(name, &parsed, &error) != STATUS_OK) {
        skip(passage, ROOM_SKIP_INVALID, name, error.text);
        return true;
    }
    enum status status = layout_lane(passage->pipeline->settings.layout, &parsed, &passage->owner,
                                     &lane_name, &error);
    if (status != STATUS_OK) {
        skip_lane(passage, skip_of(status), name, error.text);
        return true;
    }
    if (++passage->room_count > passage->pipeline->settings.limits.rooms_per_event)
        return false;
    struct draft_lane *lane = find_lane(passage, draft, &lane_name);
    struct draft_room *room =
        (struct draft_room *)arena_alloc(arena_of(passage), sizeof(struct draft_room));
    *room = (struct draft_room){.draft = draft, .name = name};
    *lane->rooms_end = room;
    lane->rooms_end = &room->next;
    lane->room_count++;
    lookup_add(&passage->pipeline->rooms, hash, room);
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
        enum template_result result = render(passage, notify->rooms[i], &name);
        if (result != TEMPLATE_DONE)
            skip_template(passage, notify->rooms[i], result);
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
    if (due == NULL || !passage->has_time || render(passage, due, &text) != TEMPLATE_DONE ||
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
    enum template_result queue_result = render(passage, review->queue, &queue);
    enum template_result reason_result = render(passage, review->reason, &reason);
    if (queue_result != TEMPLATE_DONE) {
        skip_template(passage, review->queue, queue_result);
        return true;
    }
    if (reason_result != TEMPLATE_DONE) {
        skip_template(passage, review->reason, reason_result);
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
    const struct template *incomplete =
        rule->missing == RULE_MISSING_SKIP ? NULL : find_incomplete(passage, rule);
    if (incomplete != NULL) {
        skip_template(passage, incomplete, TEMPLATE_FIELD_MISSING);
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
        view->task_status.has_progress = passage->has_progress;
        view->task_status.progress = passage->progress;
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
    bool has_source = passage->values[EVENT_FIELD_SOURCE].kind == JSON_STRING;
    struct bytes source =
        has_source ? passage_text(passage, EVENT_FIELD_SOURCE) : bytes_of(NULL, 0);
    struct buffer *text = &passage->pipeline->text;
    char id[33];
    buffer_clear(text);
    add_part(text, passage->owner.tenant);
    add_part(text, source);
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

static void note_published(struct passage *passage, const struct notification *view,
                           const struct lane_name *lane)
{
    struct published *published =
        (struct published *)arena_alloc(arena_of(passage), sizeof(struct published));
    *published = (struct published){.id = view->id, .type = view->type, .lane = lane};
    *passage->published_end = published;
    passage->published_end = &published->next;
}

static const struct bytes *list_rooms(struct passage *passage, const struct draft_lane *lane,
                                      struct buffer *hashes)
{
    struct bytes *rooms =
        (struct bytes *)arena_raw(arena_of(passage), lane->room_count * sizeof(struct bytes));
    size_t count = 0;
    for (const struct draft_room *room = lane->rooms; room != NULL; room = room->next) {
        rooms[count++] = room->name;
        notification_append_room_hash(hashes, room_hash(lane_name_scope(&lane->name), room->name));
    }
    assert(count == lane->room_count);
    return rooms;
}

static bool publish_lane(struct passage *passage, const struct draft_lane *lane,
                         const struct bytes *rule_names, struct notification *view)
{
    struct pipeline *pipeline = passage->pipeline;
    const struct draft *draft = lane->draft;
    assert(lane->room_count > 0);
    view->id = make_id(passage, draft, &lane->name);
    buffer_clear(&pipeline->text);
    view->room_count = lane->room_count;
    view->rooms = list_rooms(passage, lane, &pipeline->text);
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
    output->topic = lane->name.topic;
    output->partition = lane->name.partition;
    output->partition_count = lane->name.partition_count;
    output->key = lane_name_key(&lane->name);
    output->has_key = true;
    output->value = arena_copy(arena_of(passage), buffer_peek(&pipeline->text));
    output->has_value = true;
    add_headers(passage, &envelope, output);
    note_published(passage, view, &lane->name);
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
    for (const struct draft_lane *lane = draft->lanes; lane != NULL; lane = lane->next)
        if (!publish_lane(passage, lane, names, &view))
            return false;
    return true;
}

const struct draft *draft_finish(struct passage *passage)
{
    for (struct draft *draft = passage->drafts; draft != NULL; draft = draft->next)
        if (!draft->is_open && !finish_draft(passage, draft))
            return draft;
    return NULL;
}
