/* `notify` of a rule, and `rooms`, which is short for one: which rooms are told what. */
#include <assert.h>

#include "rule_set_private.h"

/* A room's template is tried with `x` for every field: what is wrong then is wrong always. A
 * kind that is itself a template cannot be looked up in the layout before there is an event, and a
 * field that is all of the room (`{room}` of a client's event) cannot be wrong before. */
static void check_rule_room(struct rule_reader *reader, const struct document_node *node,
                            const struct template *template)
{
    auto_buffer struct buffer text = {0};
    struct room_name room;
    struct error error = {0};
    template_fill(template, BYTES_LITERAL("x"), &text);
    if (!template_is_literal(template) && bytes_equal_string(buffer_peek(&text), "x"))
        return;
    if (room_parse(buffer_peek(&text), &room, &error) != STATUS_OK) {
        problems_add(reader->problems, node->line, node->column, "room %.*s: %s",
                     BYTES_PRINT(node->text), error.text);
        return;
    }
    bool kind_is_literal = bytes_start_with(node->text, room.kind);
    if (reader->layout && kind_is_literal && !layout_has_kind(reader->layout, room.kind))
        problems_add(reader->problems, node->line, node->column,
                     "room %.*s: the layout has no kind of room called %.*s",
                     BYTES_PRINT(node->text), BYTES_PRINT(room.kind));
}

static void read_rule_rooms(struct rule_reader *reader, const struct document_node *node,
                            struct rule_notify *notify)
{
    if (node->kind != DOCUMENT_SEQUENCE || node->count == 0 || node->count > RULE_ROOMS_LIMIT) {
        rule_complain(reader, node, "rooms is a list of 1 to 32 rooms such as \"task:{taskId}\"");
        return;
    }
    notify->rooms = arena_alloc(&reader->set->arena, node->count * sizeof(struct template *));
    for (size_t i = 0; i < node->count; i++) {
        const struct document_node *room = node->entries[i].value;
        struct template *template = rule_read_template(reader, room, "a room");
        /* Told already; the other rooms are read all the same. */
        if (!template)
            continue;
        check_rule_room(reader, room, template);
        if (template_is_literal(template))
            rule_check_lane(reader, room, room->text);
        assert(notify->room_count < node->count && node->count <= RULE_ROOMS_LIMIT);
        notify->rooms[notify->room_count++] = template;
    }
}

/* What is the same for every event orders nothing. */
static void read_order(struct rule_reader *reader, const struct document_node *node,
                       struct rule_notify *notify)
{
    notify->order = rule_read_template(reader, node, "order");
    if (notify->order && template_is_literal(notify->order))
        rule_complain(reader, node,
                      "order names a field that has a whole number or a time, such as \"{seq}\"");
}

static void read_late(struct rule_reader *reader, const struct document_node *node,
                      struct rule_notify *notify)
{
    bool is_text = node->kind == DOCUMENT_STRING;
    notify->marks_late = is_text && bytes_equal_string(node->text, "mark");
    if (!notify->marks_late && !(is_text && bytes_equal_string(node->text, "drop")))
        rule_complain(reader, node, "late is drop or mark");
}

/* `state: KEY`, or `state: {item: KEY, remove: true, order: VALUE, late: mark}`. */
static void read_state(struct rule_reader *reader, const struct document_node *node,
                       struct rule_notify *notify)
{
    static const char *const keys[] = {"item", "remove", "order", "late", NULL};
    const struct document_node *item = node;
    if (node->kind == DOCUMENT_MAPPING) {
        document_check_keys(node, keys, "state", reader->problems);
        notify->removes_item = rule_read_boolean(reader, node, "remove", false);
        item = document_find(node, "item");
        const struct document_node *order = document_find(node, "order");
        const struct document_node *late = document_find(node, "late");
        if (order)
            read_order(reader, order, notify);
        if (late)
            read_late(reader, late, notify);
        if (late && !order)
            rule_complain(reader, late, "late without an order: nothing is");
    }
    if (!item)
        rule_complain(reader, node, "state without an item");
    else
        notify->item = rule_read_item(reader, item);
}

/* A name that is the same for every event is known now; of another, what is around its fields. */
static void read_event(struct rule_reader *reader, const struct document_node *node,
                       struct rule_notify *notify)
{
    auto_buffer struct buffer name = {0};
    notify->event = rule_read_template(reader, node, "event");
    if (!notify->event)
        return;
    template_fill(notify->event, BYTES_LITERAL("x"), &name);
    const char *problem = notification_event_problem(buffer_peek(&name));
    if (problem)
        problems_add(reader->problems, node->line, node->column, "event %.*s: %s",
                     BYTES_PRINT(node->text), problem);
}

/* What only one type has. */
static void check_members(struct rule_reader *reader, const struct document_node *node,
                          const struct rule_notify *notify)
{
    bool is_client = notify->type == NOTIFICATION_CLIENT;
    bool is_custom = notify->type == NOTIFICATION_CUSTOM;
    if (!is_client && (document_find(node, "title") || document_find(node, "body") ||
                       document_find(node, "severity")))
        rule_complain(reader, node, "title, body and severity belong to `type: notification`");
    if (!is_custom && (document_find(node, "event") || document_find(node, "data")))
        rule_complain(reader, node, "event and data belong to `type: custom`");
    if (is_client && !document_find(node, "title"))
        rule_complain(reader, node, "a notification has a title");
    if (is_custom && !document_find(node, "event"))
        rule_complain(reader, node, "a custom one has an event: the name that pages know");
    if (is_custom && notify->marks_late)
        rule_complain(reader, document_find(node, "state"),
                      "late: mark is not for `type: custom`: its data cannot say that it is late");
}

/* The others are told of by reviews. */
static bool is_rules_type(enum notification_type type)
{
    return type == NOTIFICATION_TASK_STATUS || type == NOTIFICATION_CLIENT ||
           type == NOTIFICATION_CUSTOM;
}

/* A review has its own key because it has its own life (open, closed); a notify of that type
 * would be an alert without one. */
static void read_notify(struct rule_reader *reader, const struct document_node *node,
                        struct rule_notify *notify)
{
    static const char *const keys[] = {"type",     "rooms", "state", "title", "body",
                                       "severity", "event", "data",  NULL};
    notify->type = NOTIFICATION_TASK_STATUS;
    if (!document_check_keys(node, keys, "notify", reader->problems) ||
        node->kind != DOCUMENT_MAPPING)
        return;
    const struct document_node *type = document_find(node, "type");
    if (type &&
        (type->kind != DOCUMENT_STRING || !notification_type_named(type->text, &notify->type) ||
         !is_rules_type(notify->type)))
        rule_complain(
            reader, type,
            "type is task.status, notification or custom (a review alert comes from `review`)");
    const struct document_node *rooms = document_find(node, "rooms");
    if (!rooms)
        rule_complain(reader, node, "notify without rooms");
    else
        read_rule_rooms(reader, rooms, notify);

    const struct document_node *state = document_find(node, "state");
    if (state)
        read_state(reader, state, notify);
    notify->title = rule_find_template(reader, node, "title", "title");
    notify->body = rule_find_template(reader, node, "body", "body");
    notify->severity = rule_find_template(reader, node, "severity", "severity");
    const struct document_node *event = document_find(node, "event");
    const struct document_node *data = document_find(node, "data");
    if (event)
        read_event(reader, event, notify);
    if (data)
        notify->payload = payload_read(reader, data);
    check_members(reader, node, notify);
}

/* `notify` is one mapping or a list of them; `rooms` beside it is short for a task.status. */
void rule_read_notifies(struct rule_reader *reader, const struct document_node *node,
                        struct rule *rule)
{
    const struct document_node *notify = document_find(node, "notify");
    const struct document_node *rooms = document_find(node, "rooms");
    bool is_list = notify && notify->kind == DOCUMENT_SEQUENCE;
    size_t count = !notify ? 0 : is_list ? notify->count : 1;
    if (count > RULE_NOTIFY_LIMIT || (is_list && count == 0)) {
        rule_complain(reader, notify, "notify is a mapping or a list of 1 to 8 of them");
        return;
    }
    /* One more than the list has, for `rooms` beside it. */
    rule->notify = arena_alloc(&reader->set->arena, (count + 1) * sizeof(struct rule_notify));
    assert(rule->notify_count == 0);
    if (rooms) {
        rule->notify[0].type = NOTIFICATION_TASK_STATUS;
        read_rule_rooms(reader, rooms, &rule->notify[rule->notify_count++]);
    }
    for (size_t i = 0; i < count; i++)
        read_notify(reader, is_list ? notify->entries[i].value : notify,
                    &rule->notify[rule->notify_count++]);
}
