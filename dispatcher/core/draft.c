/* From rules that matched to drafts of notifications.
 *
 *     rules that matched     drafts                lanes of a draft
 *
 *     rule 1: task.status -> task.status      -+-> task:42, user:7 (a)
 *     rule 4: task.status /                    +-> project:9       (b)
 *     rule 4: review      -> review "legal"   ---> review:legal, ...
 *
 * All rules add their rooms to drafts, one for each type and item (for reviews, each queue and
 * reason; for custom events, each name and data as well). A draft is cut by the lane in which a room lives, since a notification is one record of
 * one topic and partition (draft_publish.c). So a client that is in two rooms of one lane gets one
 * notification, however many rules named its rooms.
 *
 * Invariant: drafts, lanes and rooms are found by a hash of what they are and kept in the order
 * in which they were first named. The order of the rules file therefore decides the order of the
 * outputs, and the same event gives the same records, ids included, whenever it is done again. */
#include <assert.h>
#include <stdio.h>

#include "instant.h"
#include "pipeline_private.h"
#include "unicode.h"

static struct arena *arena_of(const struct job *job)
{
    return &job->batch->arena;
}

/* The text of a template, in the batch's arena; NULL gives nothing. */
static enum template_result render(struct job *job, const struct template *template,
                                   struct bytes *out)
{
    struct buffer *text = &job->pipeline->text;
    *out = bytes_of(NULL, 0);
    if (!template)
        return TEMPLATE_DONE;
    assert(job->values);
    buffer_clear(text);
    enum template_result result = template_render(template, job->values, text);
    *out = arena_copy(arena_of(job), buffer_peek(text));
    return result;
}

/* Asked before anything of a rule is added: a rule whose `missing` is not skip does all or
 * nothing. */
static bool is_complete(const struct job *job, const struct template *template)
{
    return template_missing(template, job->values, TEMPLATE_NO_LIST).size == 0;
}

/* A room may be made of a list: then that field is there, however few elements it has. */
static struct bytes missing_of_room(const struct job *job, const struct template *room)
{
    return template_missing(room, job->values, template_list(room, job->values));
}

/* The first template without which the rule's `missing` lets it do nothing; NULL: all are complete.
 */
static const struct template *find_incomplete(const struct job *job, const struct rule *rule)
{
    for (size_t i = 0; i < rule->notify_count; i++)
        for (size_t k = 0; k < rule->notify[i].room_count; k++)
            if (missing_of_room(job, rule->notify[i].rooms[k]).size > 0)
                return rule->notify[i].rooms[k];
    for (size_t i = 0; i < rule->notify_count; i++) {
        if (rule->notify[i].item && !is_complete(job, rule->notify[i].item))
            return rule->notify[i].item;
        if (rule->notify[i].order && !is_complete(job, rule->notify[i].order))
            return rule->notify[i].order;
        if (rule->notify[i].event && !is_complete(job, rule->notify[i].event))
            return rule->notify[i].event;
    }
    if (!rule->review)
        return NULL;
    if (rule->review->item && !is_complete(job, rule->review->item))
        return rule->review->item;
    if (!is_complete(job, rule->review->queue))
        return rule->review->queue;
    return is_complete(job, rule->review->reason) ? NULL : rule->review->reason;
}

struct bytes draft_missing_field(const struct job *job, const struct rule *rule)
{
    const struct template *incomplete = find_incomplete(job, rule);
    assert(incomplete);
    struct bytes missing = missing_of_room(job, incomplete);
    return missing.size > 0 ? missing : template_missing(incomplete, job->values, TEMPLATE_NO_LIST);
}

/* --- What is left out --- */

/* Counted always, told only for the first few: the counts are for metrics, the list for a person
 * who reads the audit of this event. The end of the list is kept, since rules skip rooms in the
 * order of the file and that is how it is to be read. */
static void skip_room(struct job *job, enum room_skip reason, struct bytes room,
                      const char *problem)
{
    struct decision *decision = job->decision;
    assert((unsigned)reason < ROOM_SKIP_COUNT);
    assert(decision->skipped_count == 0 || decision->skipped);
    job->batch->counts.room_skips[reason]++;
    if (decision->skipped_count++ >= ROOM_SKIPS_TOLD)
        return;
    struct skipped_room *skipped = arena_alloc(arena_of(job), sizeof(struct skipped_room));
    *skipped = (struct skipped_room){
        .rule = job->rule,
        .reason = reason,
        .room = room,
        .problem = bytes_of_string(job_told(job, problem)),
    };
    *job->skipped_end = skipped;
    job->skipped_end = &skipped->next;
}

/* Why a template gave no name, in `text` if it needs one. `list`: of what its value was an
 * element, if it was. */
static const char *problem_of(const struct job *job, const struct template *template, unsigned list,
                              enum template_result result, char text[DRAFT_PROBLEM_SIZE])
{
    assert(result != TEMPLATE_DONE);
    if (result == TEMPLATE_UNFIT)
        return "a field holds U+0000 or half a surrogate pair";
    struct bytes missing = template_missing(template, job->values, list);
    /* Cut: a path may have FIELD_PATH_LIMIT bytes, and the template, which is told too, holds
     * all of it. */
    snprintf(text, DRAFT_PROBLEM_SIZE, "the event has no %.*s", (int)unicode_cut(missing, 200),
             (const char *)missing.data);
    return text;
}

/* A room whose template did not give a name; `list` is the field that is there although it is no
 * text. */
static void skip_room_template(struct job *job, const struct template *template, unsigned list,
                               enum template_result result)
{
    char text[DRAFT_PROBLEM_SIZE];
    skip_room(job, result == TEMPLATE_UNFIT ? ROOM_SKIP_INVALID : ROOM_SKIP_FIELD_MISSING,
              template_source(template), problem_of(job, template, list, result, text));
}

/* The same of a review, or of an event's name. */
static void skip_template(struct job *job, const struct template *template,
                          enum template_result result)
{
    skip_room_template(job, template, TEMPLATE_NO_LIST, result);
}

/* A room that an element of a list did not give, though nothing else is missing. */
static void skip_element(struct job *job, const struct template *template, unsigned list,
                         enum template_result result)
{
    char text[DRAFT_PROBLEM_SIZE];
    assert(result == TEMPLATE_UNFIT || template_missing(template, job->values, list).size == 0);
    skip_room(job, ROOM_SKIP_INVALID, template_source(template),
              result == TEMPLATE_UNFIT ? problem_of(job, template, list, result, text)
                                       : "an element of the list is no text, number or boolean");
}

/* The key of the item that a template names; empty: none. Where it cannot be known the rooms are
 * told all the same, and keep nothing of it: that is counted, since what they show is not right
 * then. */
static struct bytes item_key(struct job *job, const struct template *template)
{
    char text[DRAFT_PROBLEM_SIZE];
    const struct bytes none = bytes_of(NULL, 0);
    struct bytes key;
    if (!template)
        return none;
    enum template_result result = render(job, template, &key);
    if (result == TEMPLATE_DONE && key.size > 0 && key.size <= NOTIFICATION_ITEM_KEY_LIMIT)
        return key;
    if (result == TEMPLATE_DONE)
        snprintf(text, sizeof(text), "its key has %zu bytes, and not 1 to %d", key.size,
                 NOTIFICATION_ITEM_KEY_LIMIT);
    skip_room(job, ROOM_SKIP_ITEM, template_source(template),
              result == TEMPLATE_DONE ? text
                                      : problem_of(job, template, TEMPLATE_NO_LIST, result, text));
    return none;
}

/* Whether a notification of the item comes late. An order that is none is counted and told, and the
 * rooms are told all the same: rather a step back than news that nobody gets. */
static bool is_late(struct job *job, const struct rule_notify *notify, struct bytes item,
                    struct draft_order *order)
{
    char problem[DRAFT_PROBLEM_SIZE];
    struct bytes text;
    if (!notify->order || item.size == 0)
        return false;
    enum template_result result = render(job, notify->order, &text);
    if (result != TEMPLATE_DONE || !item_order_read(text, &order->order)) {
        skip_room(job, ROOM_SKIP_ORDER, template_source(notify->order),
                  result == TEMPLATE_DONE
                      ? "it is neither a whole number of 64 bits nor a time (RFC 3339)"
                      : problem_of(job, notify->order, TEMPLATE_NO_LIST, result, problem));
        return false;
    }
    if (!draft_order_is_late(job, item, order, problem))
        return false;
    skip_room(job, ROOM_SKIP_LATE, item, problem);
    return true;
}

/* A room that has no lane. */
static void skip_lane(struct job *job, enum room_skip reason, struct bytes room,
                      const char *problem)
{
    char text[640];
    snprintf(text, sizeof(text), "%s (tenantId or userId of the event)", problem);
    skip_room(job, reason, room, reason == ROOM_SKIP_NO_OWNER ? text : problem);
}

/* --- Drafts --- */

/* The number goes into the notification's id, so drafts are numbered in the order of the rules: the
 * same event gives the same ids whenever it is read. */
struct draft *draft_begin(struct job *job, enum notification_type type)
{
    struct draft *draft = arena_alloc(arena_of(job), sizeof(struct draft));
    *draft = (struct draft){.type = type, .number = job->draft_count++};
    assert(!*job->drafts_end);
    draft->lanes_end = &draft->lanes;
    draft->rules_end = &draft->rules;
    *job->drafts_end = draft;
    job->drafts_end = &draft->next;
    return draft;
}

/* Rules that ask for the same review share it: one for each queue and reason. */
static struct draft *find_review(struct job *job, struct bytes queue, struct bytes reason)
{
    struct lookup *drafts = &job->pipeline->drafts;
    uint64_t salt = NOTIFICATION_REVIEW_ALERT;
    uint64_t hash = lookup_hash(drafts, lookup_hash(drafts, salt, queue), reason);
    struct draft *draft;
    for (uint32_t at = 0; (draft = lookup_next(drafts, hash, &at));)
        if (draft->type == NOTIFICATION_REVIEW_ALERT && bytes_equal(draft->queue, queue) &&
            bytes_equal(draft->reason, reason))
            return draft;
    draft = draft_begin(job, NOTIFICATION_REVIEW_ALERT);
    draft->queue = queue;
    draft->reason = reason;
    lookup_add(drafts, hash, draft);
    return draft;
}

/* Rules that say the same of one item share a notification, and so do those that name none, and
 * those that are late: the rooms of one rule are not to show, or lose, what another's do. `custom`:
 * of a custom event, what it is called and says; else empty. */
static struct draft *find_draft(struct job *job, enum notification_type type,
                                const struct notification_item *item, bool late,
                                const struct draft_custom *custom)
{
    struct lookup *drafts = &job->pipeline->drafts;
    assert(type != NOTIFICATION_REVIEW_ALERT && (item->key.size > 0 || !item->removed));
    assert(!late || item->key.size == 0);
    assert((type == NOTIFICATION_CUSTOM) == (custom->event.size > 0));
    uint64_t hash =
        lookup_hash(drafts, (uint64_t)type << 2 | (uint64_t)late << 1 | item->removed, item->key);
    if (type == NOTIFICATION_CUSTOM)
        hash = lookup_hash(drafts, lookup_hash(drafts, hash, custom->event), custom->data);
    struct draft *draft;
    for (uint32_t at = 0; (draft = lookup_next(drafts, hash, &at));)
        if (draft->type == type && draft->late == late && draft->item.removed == item->removed &&
            bytes_equal(draft->item.key, item->key) &&
            bytes_equal(draft->custom.event, custom->event) &&
            bytes_equal(draft->custom.data, custom->data))
            return draft;
    draft = draft_begin(job, type);
    draft->item = *item;
    draft->late = late;
    draft->custom = *custom;
    lookup_add(drafts, hash, draft);
    return draft;
}

/* Rules come in the order of the file, each perhaps several times in a row. */
static void add_draft_rule(struct job *job, struct draft *draft, struct bytes name)
{
    if (draft->rule_count > 0 && draft->last_rule == job->rule)
        return;
    assert(draft->rule_count == 0 || draft->last_rule < job->rule);
    struct draft_rule *rule = arena_alloc(arena_of(job), sizeof(struct draft_rule));
    rule->name = name;
    *draft->rules_end = rule;
    draft->rules_end = &rule->next;
    draft->last_rule = job->rule;
    draft->rule_count++;
}

/* The layout refuses a room for one of three reasons; what is none of the others is a room whose
 * lane depends on a tenant or user that the event does not have. */
static enum room_skip skip_of(enum status status)
{
    assert(status != STATUS_OK);
    return status == STATUS_NOT_FOUND ? ROOM_SKIP_UNKNOWN_KIND
           : status == STATUS_DENIED  ? ROOM_SKIP_DENIED
                                      : ROOM_SKIP_NO_OWNER;
}

/* The same partition is not enough: two scopes may share one, and their clients must not see
 * each other's rooms in a notification. */
static bool lane_is_same(const struct lane_name *a, const struct lane_name *b)
{
    return lane_name_same(a, b) && bytes_equal(lane_name_scope(a), lane_name_scope(b));
}

/* The scope is part of the hash, as of the comparison: an event of a tenant must not meet a lane
 * of another in the table. */
static struct draft_lane *find_lane(struct job *job, struct draft *draft,
                                    const struct lane_name *name)
{
    struct lookup *lanes = &job->pipeline->lanes;
    assert(draft->number < job->draft_count && name->partition >= 0);
    uint64_t salt = (uint64_t)draft->number << 32 | (uint32_t)name->partition;
    uint64_t hash = lookup_hash(lanes, lookup_hash(lanes, salt, bytes_of_string(name->topic)),
                                lane_name_scope(name));
    struct draft_lane *lane;
    for (uint32_t at = 0; (lane = lookup_next(lanes, hash, &at));)
        if (lane->draft == draft && lane_is_same(&lane->name, name))
            return lane;
    lane = arena_raw(arena_of(job), sizeof(struct draft_lane));
    *lane = (struct draft_lane){.draft = draft, .name = *name};
    lane->rooms_end = &lane->rooms;
    *draft->lanes_end = lane;
    draft->lanes_end = &lane->next;
    lookup_add(lanes, hash, lane);
    return lane;
}

/* A room is told once by each draft, however many rules name it. */
static bool has_room(struct job *job, const struct draft *draft, struct bytes name, uint64_t hash)
{
    const struct draft_room *room;
    for (uint32_t at = 0; (room = lookup_next(&job->pipeline->rooms, hash, &at));)
        if (room->draft == draft && bytes_equal(room->name, name))
            return true;
    return false;
}

static void put_room(struct job *job, struct draft *draft, struct bytes name, uint64_t hash,
                     const struct lane_name *lane_name)
{
    struct draft_lane *lane = find_lane(job, draft, lane_name);
    struct draft_room *room = arena_alloc(arena_of(job), sizeof(struct draft_room));
    *room = (struct draft_room){.draft = draft, .name = name};
    assert(!*lane->rooms_end && (lane->room_count == 0) == !lane->rooms);
    *lane->rooms_end = room;
    lane->rooms_end = &room->next;
    lane->room_count++;
    lookup_add(&job->pipeline->rooms, hash, room);
}

void draft_add_known_room(struct job *job, struct draft *draft, struct bytes name)
{
    struct room_name parsed;
    struct lane_name lane_name;
    uint64_t hash = lookup_hash(&job->pipeline->rooms, draft->number, name);
    if (!has_room(job, draft, name, hash) && room_parse(name, &parsed, NULL) == STATUS_OK &&
        layout_lane(job->pipeline->settings.layout, &parsed, &job->owner, &lane_name, NULL) ==
            STATUS_OK)
        put_room(job, draft, name, hash, &lane_name);
}

/* False: the event has too many rooms. A room that cannot be is counted and left out. */
static bool add_room(struct job *job, struct draft *draft, struct bytes name)
{
    struct room_name parsed;
    struct lane_name lane_name;
    struct error error = {0};
    uint64_t hash = lookup_hash(&job->pipeline->rooms, draft->number, name);
    if (has_room(job, draft, name, hash))
        return true;
    if (room_parse(name, &parsed, &error) != STATUS_OK) {
        skip_room(job, ROOM_SKIP_INVALID, name, error.text);
        return true;
    }
    enum status status =
        layout_lane(job->pipeline->settings.layout, &parsed, &job->owner, &lane_name, &error);
    if (status != STATUS_OK) {
        skip_lane(job, skip_of(status), name, error.text);
        return true;
    }
    /* Rooms that are left out cost nothing further, so they do not count against the limit. */
    if (++job->room_count > job->pipeline->settings.limits.rooms_per_event)
        return false;
    put_room(job, draft, name, hash, &lane_name);
    return true;
}

/* A room of the event itself and not of a template: no key, no room, and nothing that was
 * missing. */
static bool add_event_room(struct job *job, struct draft *draft, const char *kind, struct bytes key)
{
    struct buffer *text = &job->pipeline->text;
    if (key.size == 0)
        return true;
    buffer_clear(text);
    buffer_append_string(text, kind);
    buffer_append_byte(text, ':');
    buffer_append(text, key);
    return add_room(job, draft, arena_copy(arena_of(job), buffer_peek(text)));
}

/* A room for each element of a list. */
static enum draft_result add_listed_rooms(struct job *job, struct draft *draft,
                                          const struct template *room, unsigned list)
{
    struct buffer *text = &job->pipeline->text;
    struct json_scanner scanner;
    struct field_value element;
    size_t count = 0;
    json_init(&scanner, job->values[list].raw, JSON_DEPTH_MAX);
    scanner.utf8_trusted = true; /* the matcher has read it */
    element.kind = json_next(&scanner);
    assert(element.kind == JSON_ARRAY);
    while ((element.kind = json_value(&scanner, NULL)) != JSON_ARRAY_END) {
        assert(element.kind != JSON_ERROR); /* the event was read as a whole */
        if (++count > job->pipeline->settings.limits.rooms_per_list)
            return DRAFT_LIST_TOO_LONG;
        element.raw = scanner.raw;
        element.escaped = scanner.escaped;
        buffer_clear(text);
        enum template_result result =
            template_render_element(room, job->values, list, &element, text);
        if (result != TEMPLATE_DONE)
            skip_element(job, room, list, result);
        else if (!add_room(job, draft, arena_copy(arena_of(job), buffer_peek(text))))
            return DRAFT_TOO_MANY_ROOMS;
    }
    return DRAFT_DONE;
}

static enum draft_result add_notify_room(struct job *job, struct draft *draft,
                                         const struct template *room)
{
    struct bytes name;
    unsigned list = template_list(room, job->values);
    if (list != TEMPLATE_NO_LIST && missing_of_room(job, room).size == 0)
        return add_listed_rooms(job, draft, room, list);
    enum template_result result =
        list == TEMPLATE_NO_LIST ? render(job, room, &name) : TEMPLATE_FIELD_MISSING;
    if (result != TEMPLATE_DONE)
        skip_room_template(job, room, list, result);
    else if (!add_room(job, draft, name))
        return DRAFT_TOO_MANY_ROOMS;
    return DRAFT_DONE;
}

/* What a custom event is called and says. *made false: its name cannot be, and nobody is told. */
static enum draft_result make_custom(struct job *job, const struct rule_notify *notify,
                                     struct draft_custom *custom, bool *made)
{
    size_t limit = job->pipeline->settings.limits.notification_bytes;
    struct buffer *text = &job->pipeline->text;
    *made = notify->type != NOTIFICATION_CUSTOM;
    if (*made)
        return DRAFT_DONE;
    enum template_result result = render(job, notify->event, &custom->event);
    if (result != TEMPLATE_DONE) {
        skip_template(job, notify->event, result);
        return DRAFT_DONE;
    }
    const char *problem = notification_event_problem(custom->event);
    if (problem) {
        skip_room(job, ROOM_SKIP_EVENT, custom->event, problem);
        return DRAFT_DONE;
    }
    *made = true;
    custom->data = draft_event_data(job);
    if (!notify->payload)
        return DRAFT_DONE;
    buffer_clear(text);
    if (!payload_render(notify->payload, job->values, limit, text))
        return DRAFT_TOO_LARGE;
    custom->data = arena_copy(arena_of(job), buffer_peek(text));
    return DRAFT_DONE;
}

/* Title, body and severity are those of the first rule in the file that has them, so that a later
 * rule that adds rooms does not change what the others read. */
static enum draft_result apply_notify(struct job *job, const struct rule *rule,
                                      const struct rule_notify *notify)
{
    assert(notify->type != NOTIFICATION_REVIEW_ALERT);
    struct draft_custom custom = {0};
    bool made;
    enum draft_result made_result = make_custom(job, notify, &custom, &made);
    if (made_result != DRAFT_DONE || !made)
        return made_result;
    struct notification_item item = {.key = item_key(job, notify->item)};
    item.removed = item.key.size > 0 && notify->removes_item;
    struct draft_order order = {0};
    bool late = is_late(job, notify, item.key, &order);
    if (late && !notify->marks_late)
        return DRAFT_DONE;
    if (late) /* so nobody's board goes back */
        item = (struct notification_item){0};
    struct draft *draft = find_draft(job, notify->type, &item, late, &custom);
    draft_take_order(draft, &order);
    for (size_t i = 0; i < notify->room_count; i++) {
        enum draft_result result = add_notify_room(job, draft, notify->rooms[i]);
        if (result != DRAFT_DONE)
            return result;
    }
    /* After the rooms: a rule whose rooms were all left out still names itself, as it does in
     * the audit. */
    add_draft_rule(job, draft, rule->name);
    if (draft->title.size == 0)
        (void)render(job, notify->title, &draft->title);
    if (draft->body.size == 0)
        (void)render(job, notify->body, &draft->body);
    if (draft->severity.size == 0)
        (void)render(job, notify->severity, &draft->severity);
    return DRAFT_DONE;
}

/* When a review is due, from the event's own time: a batch that is done again says the same. */
static struct bytes due_time(struct job *job, const struct template *due)
{
    struct bytes text;
    int64_t duration_ms;
    char instant[INSTANT_TEXT_SIZE];
    if (!due || !job->has_time || render(job, due, &text) != TEMPLATE_DONE ||
        !rule_read_duration(text, &duration_ms) ||
        !instant_format(job->time_ms + duration_ms, instant))
        return bytes_of(NULL, 0);
    return arena_copy(arena_of(job), bytes_of_string(instant));
}

/* A review tells its queue, the task and the user. One without a queue or a reason is none: nobody
 * would see it, or know it again. */
static bool apply_review(struct job *job, const struct rule *rule)
{
    const struct rule_review *review = rule->review;
    assert(review->queue && review->reason);
    struct bytes queue;
    struct bytes reason;
    enum template_result queue_result = render(job, review->queue, &queue);
    enum template_result reason_result = render(job, review->reason, &reason);
    if (queue_result != TEMPLATE_DONE) {
        skip_template(job, review->queue, queue_result);
        return true;
    }
    if (reason_result != TEMPLATE_DONE) {
        skip_template(job, review->reason, reason_result);
        return true;
    }
    struct draft *draft = find_review(job, queue, reason);
    bool fits = add_event_room(job, draft, "review", queue) &&
                add_event_room(job, draft, "task", job->task_id) &&
                add_event_room(job, draft, "user", job->owner.user);
    add_draft_rule(job, draft, rule->name);
    if (!draft->terms)
        draft->terms = review;
    if (draft->priority.size == 0 && review->priority)
        (void)render(job, review->priority, &draft->priority);
    if (draft->title.size == 0)
        (void)render(job, review->title, &draft->title);
    if (draft->body.size == 0)
        (void)render(job, review->body, &draft->body);
    if (draft->due_time.size == 0)
        draft->due_time = due_time(job, review->due);
    if (draft->item.key.size == 0)
        draft->item.key = item_key(job, review->item);
    return fits;
}

/* `missing` is looked at before anything is added, so that a rule that is skipped leaves no draft
 * behind in which its name would stand. */
enum draft_result draft_apply(struct job *job, const struct rule *rule)
{
    const struct template *incomplete =
        rule->missing == RULE_MISSING_SKIP ? NULL : find_incomplete(job, rule);
    assert(job->values && job->rule < rule_set_count(job->pipeline->rules));
    if (incomplete) {
        skip_template(job, incomplete, TEMPLATE_FIELD_MISSING);
        return rule->missing == RULE_MISSING_SKIP_RULE ? DRAFT_DONE : DRAFT_FIELD_MISSING;
    }
    for (size_t i = 0; i < rule->notify_count; i++) {
        enum draft_result result = apply_notify(job, rule, &rule->notify[i]);
        if (result != DRAFT_DONE)
            return result;
    }
    if (rule->review && !apply_review(job, rule))
        return DRAFT_TOO_MANY_ROOMS;
    return DRAFT_DONE;
}
