/* Running the tests that stand in a rules file: each is an event of its own, put through the same
 * pipeline as events from Kafka and compared with what the test expects.
 *
 * No second way of judging is written here, so a test cannot pass that the dispatcher would
 * fail. What a test leaves out of a notification is not compared. Everything that fails is told
 * with the line of the test; a failed test is a problem of the file, like a key that is
 * misspelled. */
#include "rule_tests.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* A notification as a test sees it: all lanes of one kind together. */
struct made {
    struct made *next;
    struct notification *notification; /* of the first lane */
    struct bytes *rooms;               /* of all lanes */
    size_t room_count;
};

struct trial {
    const struct rule *rule;
    const struct rule_test *test;
    struct problems *problems;
    struct pipeline *pipeline;
    struct batch batch;
    struct made *seen;
    size_t seen_count;
};

static void fail_trial(struct trial *trial, const char *format, ...) PRINTF_LIKE(2, 3);

static void fail_trial(struct trial *trial, const char *format, ...)
{
    assert(trial->rule && trial->test);
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    problems_add(trial->problems, trial->test->line, trial->test->column,
                 "rule %.*s, test %.*s: %s", BYTES_PRINT(trial->rule->name),
                 BYTES_PRINT(trial->test->name), text);
}

/* What a draft is made by (draft.c): two notifications of one draft differ only in their lane. */
static bool is_same_kind(const struct notification *a, const struct notification *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == NOTIFICATION_REVIEW_ALERT)
        return bytes_equal(a->review.queue, b->review.queue) &&
               bytes_equal(a->review.reason, b->review.reason);
    if (a->type == NOTIFICATION_CUSTOM && (!bytes_equal(a->custom.event, b->custom.event) ||
                                           !bytes_equal(a->custom.data, b->custom.data)))
        return false;
    return a->item.removed == b->item.removed && bytes_equal(a->item.key, b->item.key);
}

/* Rooms of several lanes end in one list, in the order in which they were published, which is
 * that of the rules. */
static void add_rooms(struct trial *trial, struct made *seen,
                      const struct notification *notification)
{
    assert(notification->room_count > 0); /* else it had no lane */
    struct bytes *rooms = arena_alloc(
        &trial->batch.arena, (seen->room_count + notification->room_count) * sizeof(struct bytes));
    for (size_t i = 0; i < seen->room_count; i++)
        rooms[i] = seen->rooms[i];
    for (size_t i = 0; i < notification->room_count; i++)
        rooms[seen->room_count + i] = arena_copy(&trial->batch.arena, notification->rooms[i]);
    seen->rooms = rooms;
    seen->room_count += notification->room_count;
}

/* Decoded from what would be produced, so that the test sees what a gateway would see. */
static void see(struct trial *trial, struct bytes value)
{
    struct notification *notification = NULL;
    enum status status = notification_decode(value, &notification);
    assert(status == STATUS_OK);
    struct made **place = &trial->seen;
    while (*place && !is_same_kind((*place)->notification, notification))
        place = &(*place)->next;
    if (*place) {
        add_rooms(trial, *place, notification);
        notification_free(notification);
        return;
    }
    *place = arena_alloc(&trial->batch.arena, sizeof(struct made));
    (*place)->notification = notification;
    add_rooms(trial, *place, notification);
    trial->seen_count++;
}

/* As JSON values: the order of keys does not count, that of lists does; 1 and 1.0 are one
 * number. */
static bool is_equal(const struct document_node *a, const struct document_node *b)
{
    double left;
    double right;
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case DOCUMENT_NULL:
        return true;
    case DOCUMENT_BOOLEAN:
        return a->boolean == b->boolean;
    case DOCUMENT_NUMBER:
        return bytes_equal(a->text, b->text) ||
               (document_read_number(a, &left) && document_read_number(b, &right) && left == right);
    case DOCUMENT_STRING:
        return bytes_equal(a->text, b->text);
    case DOCUMENT_SEQUENCE:
        for (size_t i = 0; i < a->count; i++)
            if (!is_equal(a->entries[i].value, b->entries[i].value))
                return false;
        return true;
    case DOCUMENT_MAPPING:
        for (size_t i = 0; i < a->count; i++) {
            size_t k = 0;
            while (k < b->count && !bytes_equal(a->entries[i].key->text, b->entries[k].key->text))
                k++;
            if (k == b->count || !is_equal(a->entries[i].value, b->entries[k].value))
                return false;
        }
        return true;
    }
    return false;
}

/* Their order counts: it follows from the order of the rules and of their rooms, which the
 * author of the test has before him. */
static bool rooms_are(const struct document_node *wanted, const struct made *seen)
{
    if (wanted->kind != DOCUMENT_SEQUENCE || wanted->count != seen->room_count)
        return false;
    for (size_t i = 0; i < wanted->count; i++)
        if (!bytes_equal(wanted->entries[i].value->text, seen->rooms[i]))
            return false;
    return true;
}

/* The mapping with the notification's own fields: {"id":..., "taskStatus":{this}}. */
static const struct document_node *content_of(const struct document_node *root)
{
    static const char *const names[] = {"taskStatus",   "clientNotification", "reviewAlert",
                                        "reviewUpdate", "reviewRefusal",      "customEvent"};
    static_assert(sizeof(names) / sizeof(names[0]) == NOTIFICATION_TYPE_COUNT, "each content");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct document_node *content = document_find(root, names[i]);
        if (content)
            return content;
    }
    return root;
}

/* Every member that differs is told, not only the first, so that a test is mended in one round. */
static void compare_one(struct trial *trial, const struct document_node *wanted,
                        const struct made *seen)
{
    assert(wanted->kind == DOCUMENT_MAPPING);
    auto_buffer struct buffer text = {0};
    struct document *document = NULL;
    notification_to_json(seen->notification, &text);
    if (document_parse(buffer_peek(&text), NULL, &document, NULL) != STATUS_OK) {
        fail_trial(trial, "the notification cannot be compared");
        return;
    }
    const struct document_node *root = document_root(document);
    const struct document_node *content = content_of(root);
    for (size_t i = 0; i < wanted->count; i++) {
        struct bytes name = wanted->entries[i].key->text;
        const struct document_node *value = wanted->entries[i].value;
        char key[64];
        snprintf(key, sizeof(key), "%.*s", BYTES_PRINT(name));
        bool is_item = bytes_equal_string(name, "item");
        const struct document_node *is = document_find(is_item ? root : content, key);
        bool same =
            bytes_equal_string(name, "type")
                ? bytes_equal_string(value->text, notification_type_name(seen->notification->type))
            : bytes_equal_string(name, "rooms") ? rooms_are(value, seen)
                                                : is && is_equal(value, is);
        if (!same)
            fail_trial(trial, "`%s` is not as expected in %.*s", key,
                       (int)(buffer_size(&text) < 200 ? buffer_size(&text) : 200),
                       (const char *)buffer_peek(&text).data);
    }
    document_free(document);
}

/* In order: notifications are expected as the rule's entries name them. */
static void compare(struct trial *trial)
{
    struct document *document = NULL;
    if (document_parse(trial->test->expect, NULL, &document, NULL) != STATUS_OK) {
        fail_trial(trial, "the expectation cannot be read");
        return;
    }
    const struct document_node *list = document_root(document);
    const struct made *seen = trial->seen;
    if (list->count != trial->seen_count) {
        fail_trial(trial, "%zu notifications instead of %zu", trial->seen_count, list->count);
    } else {
        for (size_t i = 0; i < list->count; i++, seen = seen->next) {
            assert(seen); /* as many as in the list */
            if (list->entries[i].value->kind != DOCUMENT_MAPPING)
                fail_trial(trial, "each expected notification is a mapping");
            else
                compare_one(trial, list->entries[i].value, seen);
        }
    }
    document_free(document);
}

static void try_rule(struct trial *trial)
{
    assert(trial->rule->enabled);
    /* Without a time of its own: a test must give the same result tomorrow. */
    const struct record record = {.topic = BYTES_LITERAL("test"),
                                  .timestamp_ms = -1,
                                  .value = trial->test->given,
                                  .has_value = true};
    struct decision decision;
    batch_reset(&trial->batch);
    trial->seen = NULL;
    trial->seen_count = 0;
    pipeline_process(trial->pipeline, NULL, &record, &trial->batch, &decision);
    if (decision.dead) {
        fail_trial(trial, "the event becomes a dead letter: %s", decision.problem);
        return;
    }
    for (size_t i = 0; i < trial->batch.output_count; i++)
        if (trial->batch.outputs[i].kind == OUTPUT_NOTIFICATION)
            see(trial, trial->batch.outputs[i].value);
    compare(trial);
    for (struct made *seen = trial->seen; seen; seen = seen->next)
        notification_free(seen->notification);
}

/* A rule that is not enabled has no number in the matcher, so it cannot be tried. */
size_t rule_tests_run(const struct rule_set *rules, const struct pipeline_settings *settings,
                      struct problems *problems)
{
    size_t count = 0;
    struct pipeline_settings alone = *settings;
    alone.audit = AUDIT_OFF;
    struct trial trial = {.problems = problems, .pipeline = pipeline_new(&alone)};
    pipeline_use_rules(trial.pipeline, rules);
    for (unsigned i = 0; i < rule_set_count(rules); i++) {
        trial.rule = rule_set_at(rules, i);
        pipeline_ask_only(trial.pipeline, i);
        for (size_t k = 0; trial.rule->enabled && k < trial.rule->test_count; k++, count++) {
            trial.test = &trial.rule->tests[k];
            try_rule(&trial);
        }
    }
    batch_deinit(&trial.batch);
    pipeline_free(trial.pipeline);
    if (rule_set_shadows(rules))
        count += rule_tests_run(rule_set_shadows(rules), settings, problems);
    return count;
}
