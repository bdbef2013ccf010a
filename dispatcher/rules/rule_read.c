/* One rule from its node: every key checked, every problem told with its place.
 *
 * Nothing here stops at what is wrong: a part that cannot be read is left empty and a problem is
 * added, so that an operator sees everything in one round. A rule set with a problem is never used
 * (rule_set.c), so the rest of the reading may go on with a rule that is half there, and only must
 * not fall over it.
 *
 * What can be known without an event is checked here and not when events come: names of rooms,
 * kinds of the layout, durations, rates. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "rule_set_private.h"

static void complain(struct rule_reader *reader, const struct document_node *node, const char *text)
{
    problems_add(reader->problems, node->line, node->column, "%s", text);
}

/* YAML reads 42 and true as a number and a boolean; where a text is due, their spelling is it. */
struct bytes rule_read_text(struct rule_reader *reader, const struct document_node *node,
                            const char *what, size_t limit)
{
    if (node->kind != DOCUMENT_STRING && node->kind != DOCUMENT_NUMBER &&
        node->kind != DOCUMENT_BOOLEAN) {
        problems_add(reader->problems, node->line, node->column, "%s is a text, not %s", what,
                     document_kind_text(node->kind));
    } else if (node->text.size > limit) {
        problems_add(reader->problems, node->line, node->column, "%s is longer than %zu bytes",
                     what, limit);
    } else {
        return arena_copy(&reader->set->arena, node->text);
    }
    return bytes_of("", 0);
}

/* A problem inside a template is told at its own column, so the text of a quoted scalar begins
 * one further. In a text with escapes that is not exact; the line is. */
struct template *rule_read_template(struct rule_reader *reader, const struct document_node *node,
                                    const char *what)
{
    struct template *template = NULL;
    struct error error = {0};
    if (node->kind == DOCUMENT_NULL || node->kind == DOCUMENT_MAPPING ||
        node->kind == DOCUMENT_SEQUENCE || node->text.size > RULE_TEXT_LIMIT ||
        memchr(node->text.data, 0, node->text.size)) {
        rule_read_text(reader, node, what, RULE_TEXT_LIMIT);
        if (node->kind == DOCUMENT_STRING && node->text.size <= RULE_TEXT_LIMIT)
            complain(reader, node, "a text cannot hold a NUL");
        return NULL;
    }
    if (template_parse(node->text, reader->set->fields, &template, &error) != STATUS_OK) {
        unsigned within = error.column > 0 ? error.column - 1 : 0;
        problems_add(reader->problems, node->line, node->column + within + (node->quoted ? 1 : 0),
                     "%s: %s", what, error.text);
        return NULL;
    }
    return template;
}

/* NULL is "not given", and also "given, but wrong": the problem is told already. */
static struct template *find_template(struct rule_reader *reader,
                                      const struct document_node *mapping, const char *key,
                                      const char *what)
{
    const struct document_node *node = document_find(mapping, key);
    return node ? rule_read_template(reader, node, what) : NULL;
}

/* What says nothing names no item, whatever the event. */
static struct template *read_item(struct rule_reader *reader, const struct document_node *node)
{
    struct template *template = rule_read_template(reader, node, "an item");
    if (template && template_source(template).size == 0)
        complain(reader, node, "an item is named by a text such as \"{taskId}\"");
    return template;
}

/* Only true and false: a string "false" would be taken for true by somebody. */
static bool read_boolean(struct rule_reader *reader, const struct document_node *mapping,
                         const char *key, bool otherwise)
{
    const struct document_node *node = document_find(mapping, key);
    if (!node)
        return otherwise;
    if (node->kind != DOCUMENT_BOOLEAN) {
        problems_add(reader->problems, node->line, node->column, "%s is true or false, not %s", key,
                     document_kind_text(node->kind));
        return otherwise;
    }
    return node->boolean;
}

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

/* A room that is the same for every event can be told now to have no lane: its topic's name is not
 * allowed. */
static void check_lane(struct rule_reader *reader, const struct document_node *node,
                       struct bytes name)
{
    static const struct room_owner owner = {BYTES_LITERAL("x"), BYTES_LITERAL("x")};
    struct room_name room;
    struct lane_name lane;
    struct error error = {0};
    if (reader->layout && room_parse(name, &room, NULL) == STATUS_OK &&
        layout_lane(reader->layout, &room, &owner, &lane, &error) == STATUS_DENIED)
        problems_add(reader->problems, node->line, node->column, "room %.*s: %s", BYTES_PRINT(name),
                     error.text);
}

static void read_rule_rooms(struct rule_reader *reader, const struct document_node *node,
                            struct rule_notify *notify)
{
    if (node->kind != DOCUMENT_SEQUENCE || node->count == 0 || node->count > RULE_ROOMS_LIMIT) {
        complain(reader, node, "rooms is a list of 1 to 32 rooms such as \"task:{taskId}\"");
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
            check_lane(reader, room, room->text);
        assert(notify->room_count < node->count && node->count <= RULE_ROOMS_LIMIT);
        notify->rooms[notify->room_count++] = template;
    }
}

/* `state: KEY`, or `state: {item: KEY, remove: true}`. */
static void read_state(struct rule_reader *reader, const struct document_node *node,
                       struct rule_notify *notify)
{
    static const char *const keys[] = {"item", "remove", NULL};
    const struct document_node *item = node;
    if (node->kind == DOCUMENT_MAPPING) {
        document_check_keys(node, keys, "state", reader->problems);
        notify->removes_item = read_boolean(reader, node, "remove", false);
        item = document_find(node, "item");
    }
    if (!item)
        complain(reader, node, "state without an item");
    else
        notify->item = read_item(reader, item);
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
        complain(reader, node, "title, body and severity belong to `type: notification`");
    if (!is_custom && (document_find(node, "event") || document_find(node, "data")))
        complain(reader, node, "event and data belong to `type: custom`");
    if (is_client && !document_find(node, "title"))
        complain(reader, node, "a notification has a title");
    if (is_custom && !document_find(node, "event"))
        complain(reader, node, "a custom one has an event: the name that pages know");
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
        complain(
            reader, type,
            "type is task.status, notification or custom (a review alert comes from `review`)");
    const struct document_node *rooms = document_find(node, "rooms");
    if (!rooms)
        complain(reader, node, "notify without rooms");
    else
        read_rule_rooms(reader, rooms, notify);

    const struct document_node *state = document_find(node, "state");
    if (state)
        read_state(reader, state, notify);
    notify->title = find_template(reader, node, "title", "title");
    notify->body = find_template(reader, node, "body", "body");
    notify->severity = find_template(reader, node, "severity", "severity");
    const struct document_node *event = document_find(node, "event");
    const struct document_node *data = document_find(node, "data");
    if (event)
        read_event(reader, event, notify);
    if (data)
        notify->payload = payload_read(reader, data);
    check_members(reader, node, notify);
}

/* `notify` is one mapping or a list of them; `rooms` beside it is short for a task.status. */
static void read_notifies(struct rule_reader *reader, const struct document_node *node,
                          struct rule *rule)
{
    const struct document_node *notify = document_find(node, "notify");
    const struct document_node *rooms = document_find(node, "rooms");
    bool is_list = notify && notify->kind == DOCUMENT_SEQUENCE;
    size_t count = !notify ? 0 : is_list ? notify->count : 1;
    if (count > RULE_NOTIFY_LIMIT || (is_list && count == 0)) {
        complain(reader, notify, "notify is a mapping or a list of 1 to 8 of them");
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

/* A template that names fields can only be judged with an event; one that gives no duration then
 * gives no due time. */
static void check_due(struct rule_reader *reader, const struct document_node *node,
                      const struct template *due)
{
    assert(!due || node);
    int64_t duration_ms;
    if (due && template_is_literal(due) && !rule_read_duration(node->text, &duration_ms))
        complain(reader, node, "due is a duration such as 30m, 4h or 2d, or a template for one");
}

/* A queue becomes a room, review:<queue>, so what it may be called is what a room may be called. */
static void check_queue(struct rule_reader *reader, const struct document_node *node,
                        const struct template *queue)
{
    auto_buffer struct buffer text = {0};
    struct room_name room;
    struct error error = {0};
    if (!queue)
        return;
    assert(node);
    buffer_append_string(&text, "review:");
    template_fill(queue, BYTES_LITERAL("x"), &text);
    if (room_parse(buffer_peek(&text), &room, &error) != STATUS_OK)
        problems_add(reader->problems, node->line, node->column, "queue, as the room %.*s: %s",
                     BYTES_PRINT(buffer_peek(&text)), error.text);
    else if (template_is_literal(queue))
        check_lane(reader, node, buffer_peek(&text));
}

/* Names for programs, which clients send and backends compare. */
static bool is_decision(const struct document_node *node)
{
    if (node->kind != DOCUMENT_STRING || node->text.size == 0 ||
        node->text.size > RULE_DECISION_SIZE)
        return false;
    for (size_t i = 0; i < node->text.size; i++) {
        uint8_t byte = node->text.data[i];
        if (!(byte >= 'a' && byte <= 'z') && !byte_is_digit(byte) && byte != '-' && byte != '_')
            return false;
    }
    return true;
}

static void read_decisions(struct rule_reader *reader, const struct document_node *node,
                           struct rule_review *review)
{
    bool sound =
        node->kind == DOCUMENT_SEQUENCE && node->count >= 1 && node->count <= RULE_DECISIONS_LIMIT;
    for (size_t i = 0; sound && i < node->count; i++)
        sound = is_decision(node->entries[i].value);
    if (!sound) {
        complain(reader, node,
                 "decisions is a list of 1 to 16 names of a-z, 0-9, - and _ such as approve");
        return;
    }
    struct bytes *names = arena_alloc(&reader->set->arena, node->count * sizeof(struct bytes));
    for (size_t i = 0; i < node->count; i++)
        names[i] = arena_copy(&reader->set->arena, node->entries[i].value->text);
    review->decisions = names;
    review->decision_count = node->count;
}

static void read_review(struct rule_reader *reader, const struct document_node *node,
                        struct rule *rule)
{
    assert(!rule->review);
    static const char *const keys[] = {"queue", "reason", "priority",  "title", "body",
                                       "due",   "state",  "decisions", "self",  NULL};
    if (!document_check_keys(node, keys, "review", reader->problems) ||
        node->kind != DOCUMENT_MAPPING)
        return;
    struct rule_review *review = arena_alloc(&reader->set->arena, sizeof(struct rule_review));
    rule->review = review;
    review->queue = find_template(reader, node, "queue", "queue");
    review->reason = find_template(reader, node, "reason", "reason");
    review->priority = find_template(reader, node, "priority", "priority");
    review->title = find_template(reader, node, "title", "title");
    review->body = find_template(reader, node, "body", "body");
    review->due = find_template(reader, node, "due", "due");
    const struct document_node *state = document_find(node, "state");
    if (state)
        review->item = read_item(reader, state);
    check_queue(reader, document_find(node, "queue"), review->queue);
    if (!document_find(node, "queue"))
        complain(reader, node, "review without a queue");
    if (!document_find(node, "reason"))
        complain(reader, node, "review without a reason");
    if (review->due)
        check_due(reader, document_find(node, "due"), review->due);
    const struct document_node *decisions = document_find(node, "decisions");
    if (decisions)
        read_decisions(reader, decisions, review);
    review->self = read_boolean(reader, node, "self", false);
}

/* Up to two digits or 100, perhaps a fraction, and %: as rules.schema.json has it. */
static bool read_percent(struct bytes text, double *percent)
{
    char copy[32];
    size_t digits = 0;
    if (text.size < 2 || text.size >= sizeof(copy) || text.data[text.size - 1] != '%')
        return false;
    text.size--;
    while (digits < text.size && byte_is_digit(text.data[digits]))
        digits++;
    bool has_fraction = digits < text.size;
    if (digits == 0 || digits > 3 || (has_fraction && text.data[digits] != '.') ||
        (has_fraction && digits + 1 == text.size))
        return false;
    for (size_t i = digits + 1; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    snprintf(copy, sizeof(copy), "%.*s", BYTES_PRINT(text));
    *percent = strtod(copy, NULL);
    return *percent <= 100 && (digits < 3 || *percent >= 100);
}

/* A percentage, or a plain number from 0 to 1: `5` is neither, and is refused rather than taken
 * for 500 %. */
static bool read_rate(const struct document_node *node, double *rate)
{
    double percent;
    if (node->kind == DOCUMENT_NUMBER)
        return document_read_number(node, rate) && *rate >= 0 && *rate <= 1;
    if (node->kind != DOCUMENT_STRING || !read_percent(node->text, &percent))
        return false;
    *rate = percent / 100;
    return true;
}

/* A rate that cannot be read leaves 0: the rule set is not used, so nothing is lost by it. */
static void read_sample(struct rule_reader *reader, const struct document_node *node,
                        struct rule *rule)
{
    assert(!rule->sampled);
    static const char *const keys[] = {"rate", "by", NULL};
    const struct document_node *rate = node;
    if (node->kind == DOCUMENT_MAPPING) {
        document_check_keys(node, keys, "sample", reader->problems);
        rate = document_find(node, "rate");
        rule->sample_by = find_template(reader, node, "by", "sample.by");
    }
    rule->sampled = true;
    if (!rate || !read_rate(rate, &rule->sample_rate))
        complain(reader, node,
                 "sample is a part of the events: 5%, 0.05 or {rate: 5%, by: \"{taskId}\"}");
}

static void read_missing(struct rule_reader *reader, const struct document_node *node,
                         struct rule *rule)
{
    if (node->kind == DOCUMENT_STRING && bytes_equal_string(node->text, "skip"))
        rule->missing = RULE_MISSING_SKIP;
    else if (node->kind == DOCUMENT_STRING && bytes_equal_string(node->text, "skip-rule"))
        rule->missing = RULE_MISSING_SKIP_RULE;
    else if (node->kind == DOCUMENT_STRING && bytes_equal_string(node->text, "dead-letter"))
        rule->missing = RULE_MISSING_DEAD_LETTER;
    else
        complain(reader, node, "missing is skip, skip-rule or dead-letter");
}

/* As JSON: an event of a test is put through the same reader as events from Kafka. */
static struct bytes emit(struct rule_reader *reader, const struct document_node *node)
{
    auto_buffer struct buffer json = {0};
    struct error error = {0};
    if (document_emit_json(reader->document, node, &json, NULL, &error) != STATUS_OK)
        problems_add_error(reader->problems, &error);
    return arena_copy(&reader->set->arena, buffer_peek(&json));
}

/* `given` and `expect` are only checked for their kind here; rule_tests.c runs them. */
static void read_test(struct rule_reader *reader, const struct document_node *node,
                      struct rule_test *test)
{
    static const char *const keys[] = {"name", "given", "expect", NULL};
    test->line = node->line;
    test->column = node->column;
    if (!document_check_keys(node, keys, "a test", reader->problems) ||
        node->kind != DOCUMENT_MAPPING)
        return;
    const struct document_node *name = document_find(node, "name");
    const struct document_node *given = document_find(node, "given");
    const struct document_node *expect = document_find(node, "expect");
    if (name)
        test->name = rule_read_text(reader, name, "a test's name", RULE_TEXT_LIMIT);
    if (!given || given->kind != DOCUMENT_MAPPING)
        complain(reader, given ? given : node, "a test has `given`: an event");
    else
        test->given = emit(reader, given);
    if (!expect || expect->kind != DOCUMENT_SEQUENCE)
        complain(reader, expect ? expect : node,
                 "a test has `expect`: a list of notifications, [] for none");
    else
        test->expect = emit(reader, expect);
}

static void read_tests(struct rule_reader *reader, const struct document_node *node,
                       struct rule *rule)
{
    assert(!rule->tests);
    if (node->kind != DOCUMENT_SEQUENCE || node->count > RULE_TESTS_LIMIT) {
        complain(reader, node, "tests is a list of at most 100 tests");
        return;
    }
    rule->tests = arena_alloc(&reader->set->arena, node->count * sizeof(struct rule_test));
    for (size_t i = 0; i < node->count; i++)
        read_test(reader, node->entries[i].value, &rule->tests[rule->test_count++]);
}

/* The name goes into notifications, audit records and labels of metrics, and it salts the
 * sampling: two rules with one name would sample the same events. */
static void read_name(struct rule_reader *reader, const struct document_node *node,
                      struct rule *rule)
{
    const struct document_node *name = document_find(node, "name");
    rule->name = bytes_of("", 0);
    if (!name) {
        complain(reader, node, "a rule without a name");
        return;
    }
    rule->name = rule_read_text(reader, name, "name", RULE_NAME_LIMIT);
    if (rule->name.size == 0 && name->kind == DOCUMENT_STRING && name->text.size == 0)
        complain(reader, name, "a rule without a name");
    if (memchr(rule->name.data, 0, rule->name.size))
        complain(reader, name, "a text cannot hold a NUL");
}

/* Of every member but those that say for which events it is. Numbers that JSON cannot say as they
 * are spelled make it unknown, which is always right. */
static uint64_t hash_action(const struct rule_reader *reader, const struct document_node *node)
{
    static const char *const others[] = {"name",   "description", "enabled", "when",
                                         "sample", "stop",        "tests"};
    auto_buffer struct buffer text = {0};
    for (size_t i = 0; i < node->count; i++) {
        struct bytes key = node->entries[i].key->text;
        bool counts = true;
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            counts &= !bytes_equal_string(key, others[k]);
        if (!counts)
            continue;
        json_write_string(&text, key);
        if (document_emit_json(reader->document, node->entries[i].value, &text, NULL, NULL) !=
            STATUS_OK)
            return 0;
    }
    uint64_t hash = XXH3_64bits(buffer_peek(&text).data, buffer_size(&text));
    return hash != 0 ? hash : 1;
}

/* A node that is no mapping is told by document_check_keys(), and gives a rule that is empty but
 * sound enough to be freed. */
void rule_read(struct rule_reader *reader, const struct document_node *node, struct rule *rule)
{
    static const char *const keys[] = {"name",  "description", "enabled", "when",
                                       "rooms", "notify",      "review",  "sample",
                                       "stop",  "missing",     "tests",   NULL};
    rule->line = node->line;
    rule->column = node->column;
    rule->enabled = true;
    rule->name = bytes_of("", 0);
    document_check_keys(node, keys, "a rule", reader->problems);
    if (node->kind != DOCUMENT_MAPPING)
        return;
    read_name(reader, node, rule);
    rule->enabled = read_boolean(reader, node, "enabled", true);
    rule->stop = read_boolean(reader, node, "stop", false);
    read_notifies(reader, node, rule);

    const struct document_node *part = document_find(node, "description");
    if (part)
        rule->description = rule_read_text(reader, part, "description", RULE_TEXT_LIMIT);
    if ((part = document_find(node, "review")))
        read_review(reader, part, rule);
    if ((part = document_find(node, "sample")))
        read_sample(reader, part, rule);
    if ((part = document_find(node, "missing")))
        read_missing(reader, part, rule);
    if ((part = document_find(node, "tests")))
        read_tests(reader, part, rule);
    rule->action = hash_action(reader, node);
    if (!document_find(node, "rooms") && !document_find(node, "notify") &&
        !document_find(node, "review") && !rule->stop)
        complain(reader, node, "a rule does something: rooms, notify, review or stop");
}

/* Templates have memory of their own; everything else of a rule is the set's arena's. */
void rule_deinit(struct rule *rule)
{
    for (size_t i = 0; i < rule->notify_count; i++) {
        struct rule_notify *notify = &rule->notify[i];
        for (size_t k = 0; k < notify->room_count; k++)
            template_free(notify->rooms[k]);
        template_free(notify->title);
        template_free(notify->body);
        template_free(notify->severity);
        template_free(notify->event);
        payload_free(notify->payload);
        template_free(notify->item);
    }
    if (rule->review) {
        template_free(rule->review->queue);
        template_free(rule->review->reason);
        template_free(rule->review->priority);
        template_free(rule->review->title);
        template_free(rule->review->body);
        template_free(rule->review->due);
        template_free(rule->review->item);
    }
    template_free(rule->sample_by);
}

/* Thirteen digits cannot overflow, and the limit is asked before the product is made. */
bool rule_read_duration(struct bytes text, int64_t *duration_ms)
{
    static const struct {
        const char *unit;
        int64_t factor_ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const int64_t limit_ms = INT64_C(3660) * 86400000;

    int64_t number = 0;
    size_t digits = 0;
    while (digits < text.size && digits < 13 && byte_is_digit(text.data[digits]))
        number = number * 10 + (text.data[digits++] - '0');
    if (digits == 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_equal_string(bytes_skip(text, digits), units[i].unit)) {
            if (number > limit_ms / units[i].factor_ms)
                return false;
            *duration_ms = number * units[i].factor_ms;
            return true;
        }
    }
    return false;
}
