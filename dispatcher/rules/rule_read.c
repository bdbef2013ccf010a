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

/* A template that names fields can only be judged with an event; one that gives no duration then
 * gives no due time. */
static void check_due(struct rule_reader *reader, const struct document_node *node,
                      const struct template *due)
{
    assert(!due || node);
    int64_t duration_ms;
    if (due && template_is_literal(due) && !rule_read_duration(node->text, &duration_ms))
        rule_complain(reader, node,
                      "due is a duration such as 30m, 4h or 2d, or a template for one");
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
        rule_check_lane(reader, node, buffer_peek(&text));
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
        rule_complain(reader, node,
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
    review->queue = rule_find_template(reader, node, "queue", "queue");
    review->reason = rule_find_template(reader, node, "reason", "reason");
    review->priority = rule_find_template(reader, node, "priority", "priority");
    review->title = rule_find_template(reader, node, "title", "title");
    review->body = rule_find_template(reader, node, "body", "body");
    review->due = rule_find_template(reader, node, "due", "due");
    const struct document_node *state = document_find(node, "state");
    if (state)
        review->item = rule_read_item(reader, state);
    check_queue(reader, document_find(node, "queue"), review->queue);
    if (!document_find(node, "queue"))
        rule_complain(reader, node, "review without a queue");
    if (!document_find(node, "reason"))
        rule_complain(reader, node, "review without a reason");
    if (review->due)
        check_due(reader, document_find(node, "due"), review->due);
    const struct document_node *decisions = document_find(node, "decisions");
    if (decisions)
        read_decisions(reader, decisions, review);
    review->self = rule_read_boolean(reader, node, "self", false);
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
        rule->sample_by = rule_find_template(reader, node, "by", "sample.by");
    }
    rule->sampled = true;
    if (!rate || !read_rate(rate, &rule->sample_rate))
        rule_complain(reader, node,
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
        rule_complain(reader, node, "missing is skip, skip-rule or dead-letter");
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
        rule_complain(reader, given ? given : node, "a test has `given`: an event");
    else
        test->given = emit(reader, given);
    if (!expect || expect->kind != DOCUMENT_SEQUENCE)
        rule_complain(reader, expect ? expect : node,
                      "a test has `expect`: a list of notifications, [] for none");
    else
        test->expect = emit(reader, expect);
}

static void read_tests(struct rule_reader *reader, const struct document_node *node,
                       struct rule *rule)
{
    assert(!rule->tests);
    if (node->kind != DOCUMENT_SEQUENCE || node->count > RULE_TESTS_LIMIT) {
        rule_complain(reader, node, "tests is a list of at most 100 tests");
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
        rule_complain(reader, node, "a rule without a name");
        return;
    }
    rule->name = rule_read_text(reader, name, "name", RULE_NAME_LIMIT);
    if (rule->name.size == 0 && name->kind == DOCUMENT_STRING && name->text.size == 0)
        rule_complain(reader, name, "a rule without a name");
    if (memchr(rule->name.data, 0, rule->name.size))
        rule_complain(reader, name, "a text cannot hold a NUL");
}

bool rule_is_shadow(const struct document_node *node)
{
    const struct document_node *shadow = document_find(node, "shadow");
    return shadow && !(shadow->kind == DOCUMENT_BOOLEAN && !shadow->boolean);
}

/* Whether there is such a rule is known when all are read (rule_set.c). */
static void read_shadow(struct rule_reader *reader, const struct document_node *node,
                        struct rule *rule)
{
    if (node->kind == DOCUMENT_BOOLEAN)
        return;
    if (node->kind != DOCUMENT_STRING || node->text.size == 0)
        rule_complain(reader, node,
                      "shadow is true, false or the name of the rule in whose place this is tried");
    else
        rule->instead_of = rule_read_text(reader, node, "shadow", RULE_NAME_LIMIT);
}

/* Of every member but those that say for which events it is. Numbers that JSON cannot say as they
 * are spelled make it unknown, which is always right. */
static uint64_t hash_action(const struct rule_reader *reader, const struct document_node *node)
{
    static const char *const others[] = {"name",   "description", "enabled", "when",
                                         "sample", "stop",        "shadow",  "tests"};
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
    static const char *const keys[] = {"name",   "description", "enabled", "when", "rooms",
                                       "notify", "review",      "sample",  "stop", "missing",
                                       "shadow", "tests",       NULL};
    rule->line = node->line;
    rule->column = node->column;
    rule->enabled = true;
    rule->name = bytes_of("", 0);
    rule->twin = RULE_NONE;
    document_check_keys(node, keys, "a rule", reader->problems);
    if (node->kind != DOCUMENT_MAPPING)
        return;
    read_name(reader, node, rule);
    rule->enabled = rule_read_boolean(reader, node, "enabled", true);
    rule->stop = rule_read_boolean(reader, node, "stop", false);
    rule_read_notifies(reader, node, rule);

    const struct document_node *part = document_find(node, "description");
    if (part)
        rule->description = rule_read_text(reader, part, "description", RULE_TEXT_LIMIT);
    if ((part = document_find(node, "review")))
        read_review(reader, part, rule);
    if ((part = document_find(node, "sample")))
        read_sample(reader, part, rule);
    if ((part = document_find(node, "missing")))
        read_missing(reader, part, rule);
    if ((part = document_find(node, "shadow")))
        read_shadow(reader, part, rule);
    if ((part = document_find(node, "tests")))
        read_tests(reader, part, rule);
    rule->action = hash_action(reader, node);
    if (!document_find(node, "rooms") && !document_find(node, "notify") &&
        !document_find(node, "review") && !rule->stop)
        rule_complain(reader, node, "a rule does something: rooms, notify, review or stop");
    rule->sample_salt = rule->name;
    /* One that is tried ends nothing, not even for others that are tried. */
    if (rule_is_shadow(node))
        rule->stop = false;
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
        template_free(notify->order);
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
