/* Items: what a notification says of one, and what goes to state topics. */
#include <stdio.h>

#include "pipeline_common.h"

static const char item_rules[] =
    "rules:\n"
    "  - {name: all, when: {event: [{prefix: task.}]}, notify: {rooms: ['task:{taskId}', "
    "'project:{projectId}'], state: '{taskId}'}}\n"
    "  - {name: more, when: {event: [{prefix: task.}]}, notify: {rooms: ['user:{userId}'], "
    "state: {item: '{taskId}'}}}\n"
    "  - {name: done, when: {event: [task.completed]}, notify: {rooms: ['project:{projectId}'], "
    "state: {item: '{taskId}', remove: true}}}\n"
    "  - {name: passing, when: {event: [task.completed]}, rooms: ['project:{projectId}']}\n";

START_TEST(a_notification_says_one_thing_of_one_item)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, item_rules);
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.batch.output_count, 3);
    const char *text = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(text, "\"rooms\":[\"task:42\",\"project:p1\",\"user:u1\"],");
    ASSERT_HAS(text, "\"item\":{\"key\":\"42\"},");
    /* In the order of the rules: whoever folds them has the project without the task. */
    text = fixture_json(&fixture, 1, &json);
    ASSERT_HAS(text, "\"rooms\":[\"project:p1\"],\"eventId\":\"e1\",\"rules\":[\"done\"]");
    ASSERT_HAS(text, "\"item\":{\"key\":\"42\",\"removed\":true},");
    text = fixture_json(&fixture, 2, &json);
    ASSERT_HAS(text, "\"rules\":[\"passing\"]");
    ck_assert_ptr_null(strstr(text, "\"item\""));
    /* Each has its own id. */
    for (size_t i = 0; i < 3; i++)
        ck_assert(!bytes_equal(bytes_of(fixture.batch.outputs[i].value.data + 2, 32),
                               bytes_of(fixture.batch.outputs[(i + 1) % 3].value.data + 2, 32)));

    struct notification_envelope envelope = {0};
    const struct bytes header = fixture_header(&fixture.batch.outputs[1], "item");
    notification_header_decode(&envelope, BYTES_LITERAL("item"), header);
    ck_assert_uint_eq(envelope.item_hash, notification_item_hash(BYTES_LITERAL("42")));
    ck_assert(envelope.item_removed);
    ck_assert_uint_eq(fixture_header(&fixture.batch.outputs[2], "item").size, 0);
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_review_has_the_item_of_the_first_rule_that_names_one)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(
        &fixture,
        "rules:\n"
        "  - {name: a, when: {event: [task.completed]}, review: {queue: legal, reason: r}}\n"
        "  - {name: b, when: {event: [task.completed]}, review: {queue: legal, reason: r, "
        "state: 'review:{taskId}'}}\n"
        "  - {name: c, when: {event: [task.completed]}, review: {queue: legal, reason: r, "
        "state: 'other:{taskId}'}}\n");
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.batch.output_count, 2);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"item\":{\"key\":\"review:42\"}");
    ASSERT_HAS(fixture_json(&fixture, 1, &json), "\"item\":{\"key\":\"review:42\"}");
    fixture_close(&fixture);
}
END_TEST

/* The rooms are told, and it is counted that they keep nothing. */
static void assert_no_item(const char *template, const char *problem)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    char text[1000];
    snprintf(text, sizeof(text),
             "rules: [{name: a, when: {event: [task.completed]}, notify: {rooms: "
             "['task:{taskId}'], state: {item: '%s', remove: true}}}]",
             template);
    fixture_open(&fixture, text);
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ck_assert_ptr_null(strstr(fixture_json(&fixture, 0, &json), "\"item\""));
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_ITEM], 1);
    ck_assert_uint_eq(fixture.decision.skipped_count, 1);
    ck_assert(bytes_equal_string(fixture.decision.skipped->room, template));
    ck_assert_msg(bytes_equal_string(fixture.decision.skipped->problem, problem), "%.*s",
                  BYTES_PRINT(fixture.decision.skipped->problem));
    fixture_close(&fixture);
}

START_TEST(an_item_that_cannot_be_known_is_left_out_and_counted)
{
    char longer[NOTIFICATION_ITEM_KEY_LIMIT + 2] = "";
    memset(longer, 'k', sizeof(longer) - 1);
    assert_no_item("{data.none}", "the event has no data.none");
    assert_no_item("{data.none|}", "its key has 0 bytes, and not 1 to 256");
    assert_no_item(longer, "its key has 257 bytes, and not 1 to 256");
}
END_TEST

START_TEST(missing_says_what_becomes_of_an_item)
{
    struct fixture fixture;
    fixture_open(&fixture,
                 "rules: [{name: a, missing: dead-letter, when: {event: [task.completed]}, "
                 "notify: {rooms: ['task:{taskId}'], state: '{data.none}'}}]");
    fixture_feed(&fixture, event);
    ck_assert(fixture.decision.dead);
    ck_assert_int_eq(fixture.decision.reason, DEAD_FIELD_MISSING);
    fixture_close(&fixture);
    fixture_open(&fixture, "rules: [{name: a, missing: skip-rule, when: {event: [task.completed]}, "
                           "review: {queue: legal, reason: r, state: '{data.none}'}}]");
    fixture_feed(&fixture, event);
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    fixture_close(&fixture);
}
END_TEST

/* Feeds events into one batch, as the runner does. */
static void feed_batch(struct fixture *fixture, const char *const *events)
{
    batch_reset(&fixture->batch);
    for (; *events; events++) {
        struct record record = {.topic = BYTES_LITERAL("tasks.events"),
                                .partition = 3,
                                .offset = fixture->offset++,
                                .timestamp_ms = 1772438516419,
                                .value = bytes_of_string(*events),
                                .has_value = true};
        pipeline_process(fixture->pipeline, NULL, &record, &fixture->batch, &fixture->decision);
    }
    batch_supersede_items(&fixture->batch, 1);
}

static void fixture_open_keeping(struct fixture *fixture, const char *rules_text)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .keeps_items = true};
    fixture_open_with(fixture, rules_text, &settings);
}

START_TEST(an_item_goes_to_the_state_of_its_lane_as_well)
{
    struct fixture fixture;
    fixture_open_keeping(&fixture, item_rules);
    feed_batch(&fixture, (const char *const[]){event, NULL});
    ck_assert_uint_eq(fixture.batch.output_count, 5);
    const struct output *outputs = fixture.batch.outputs;
    for (size_t i = 0; i < 4; i += 2) {
        const struct output *lane = &outputs[i], *kept = &outputs[i + 1];
        ck_assert_int_eq(lane->kind, OUTPUT_NOTIFICATION);
        ck_assert_int_eq(kept->kind, OUTPUT_ITEM);
        ck_assert_str_eq(kept->topic, "fanout.tenant.state");
        ck_assert_int_eq(kept->partition, lane->partition);
        ck_assert_int_eq(kept->partition_count, lane->partition_count);
        ck_assert(bytes_equal(kept->value, lane->value));
        ck_assert_uint_eq(kept->header_count, lane->header_count);
        ck_assert_uint_eq(fixture_header(kept, "layout").size, 8);
        ck_assert_uint_eq(fixture_header(kept, "item").size, 9);
        ck_assert(kept->has_value && kept->has_key); /* what is removed has a record, too */
        ck_assert(bytes_start_with(kept->key, BYTES_LITERAL("\4\0\0\0acme\2\0\0\00042")));
        ck_assert_uint_eq(kept->key.size, 4 + 4 + 4 + 2 + 16);
        ck_assert(!kept->superseded);
    }
    /* Other rooms: another key. */
    ck_assert(!bytes_equal(outputs[1].key, outputs[3].key));
    ck_assert_int_eq(outputs[4].kind, OUTPUT_NOTIFICATION); /* about no item */
    ck_assert_uint_eq(fixture.batch.counts.items, 2);

    pipeline_keep_items(fixture.pipeline, false);
    feed_batch(&fixture, (const char *const[]){event, NULL});
    ck_assert_uint_eq(fixture.batch.output_count, 3);
    fixture_close(&fixture);
}
END_TEST

#define STEP(event_name, task, project)                                      \
    "{\"event\":\"" event_name "\",\"tenantId\":\"acme\",\"taskId\":\"" task \
    "\",\"projectId\":\"" project "\"}"

/* Which are produced: "+" or "-" for each item of the batch, in order. */
static const char *kept_of(const struct fixture *fixture)
{
    static char text[32];
    size_t size = 0;
    for (size_t i = 0; i < fixture->batch.output_count; i++)
        if (fixture->batch.outputs[i].kind == OUTPUT_ITEM)
            text[size++] = fixture->batch.outputs[i].superseded ? '-' : '+';
    text[size] = '\0';
    return text;
}

START_TEST(of_a_batch_the_last_of_each_item_and_rooms_is_kept)
{
    struct fixture fixture;
    static const char some_rules[] =
        "rules:\n"
        "  - {name: a, when: {event: [a, b]}, notify: {rooms: ['task:{taskId}', "
        "'project:{projectId}'], state: '{taskId}'}}\n"
        "  - {name: b, when: {event: [r]}, notify: {rooms: ['task:{taskId}', "
        "'project:{projectId}'], state: {item: '{taskId}', remove: true}}}\n"
        "  - {name: c, when: {event: [c]}, notify: {rooms: ['project:{projectId}'], "
        "state: '{taskId}'}}\n";
    fixture_open_keeping(&fixture, some_rules);
    /* Of one key; a removal is a state like any other. */
    feed_batch(&fixture, (const char *const[]){STEP("a", "1", "p"), STEP("b", "1", "p"),
                                               STEP("r", "1", "p"), NULL});
    ck_assert_str_eq(kept_of(&fixture), "--+");
    ck_assert_uint_eq(fixture.batch.counts.items_superseded, 2);
    feed_batch(&fixture, (const char *const[]){STEP("r", "1", "p"), STEP("a", "1", "p"), NULL});
    ck_assert_str_eq(kept_of(&fixture), "-+");
    /* Other items, rooms and tenants stand for themselves, where they stand. */
    feed_batch(&fixture,
               (const char *const[]){STEP("a", "1", "p"), STEP("a", "2", "p"), STEP("a", "1", "q"),
                                     STEP("c", "1", "p"), STEP("b", "1", "p"), NULL});
    ck_assert_str_eq(kept_of(&fixture), "-++++");
    /* The next batch knows nothing of it. */
    feed_batch(&fixture, (const char *const[]){STEP("a", "1", "p"), NULL});
    ck_assert_str_eq(kept_of(&fixture), "+");
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_dead_letter_takes_back_its_items)
{
    struct fixture fixture;
    fixture_open_keeping(&fixture, "rules:\n"
                                   "  - {name: a, when: {event: [a, b]}, notify: {rooms: "
                                   "['task:{taskId}'], state: '{taskId}'}}\n"
                                   "  - {name: b, missing: dead-letter, when: {event: [b]}, rooms: "
                                   "['user:{userId}']}\n");
    feed_batch(&fixture, (const char *const[]){STEP("a", "1", "p"), STEP("b", "1", "p"), NULL});
    ck_assert(fixture.decision.dead);
    /* What the record before it has told stays. */
    ck_assert_str_eq(kept_of(&fixture), "+");
    fixture_close(&fixture);
}
END_TEST

START_TEST(the_audit_tells_of_items)
{
    struct fixture fixture;
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL};
    fixture_open_with(&fixture, item_rules, &settings);
    fixture_feed(&fixture, event);
    struct bytes audit = audit_of(&fixture);
    ck_assert(bytes_contain(audit, ",\"item\":\"42\"},{"));
    ck_assert(bytes_contain(audit, ",\"item\":\"42\",\"removed\":true},{"));
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("pipeline_items", a_notification_says_one_thing_of_one_item,
             a_review_has_the_item_of_the_first_rule_that_names_one,
             an_item_that_cannot_be_known_is_left_out_and_counted,
             missing_says_what_becomes_of_an_item, an_item_goes_to_the_state_of_its_lane_as_well,
             of_a_batch_the_last_of_each_item_and_rooms_is_kept, a_dead_letter_takes_back_its_items,
             the_audit_tells_of_items)
