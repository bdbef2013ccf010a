#include "pipeline_fixture.h"
#include "pipeline_private.h"

#include <stdio.h>

#include "dead_letter.h"
#include "json.h"
#include "unicode.h"

#define EVENT_START                                                                      \
    "{\"id\":\"e1\",\"event\":\"task.completed\",\"time\":\"2026-03-02T08:01:56.419Z\"," \
    "\"tenantId\":\"acme\",\"projectId\":\"p1\",\"userId\":\"u1\",\"taskId\":\"42\","    \
    "\"type\":\"ocr\",\"priority\":\"low\""

static const char event[] = EVENT_START ",\"data\":{\"confidence\":0.50,\"progress\":100}}";

static const char rules[] =
    "rules:\n"
    "  - {name: a, when: {event: [{prefix: task.}]}, rooms: ['task:{taskId}', 'user:{userId}']}\n"
    "  - {name: b, when: {event: [task.completed]}, rooms: ['user:{userId}', "
    "'project:{projectId}']}\n"
    "  - {name: c, when: {event: [task.failed]}, rooms: ['tenant:{tenantId}']}\n";

static const char review_rules[] = "rules:\n"
                                   "  - name: r\n"
                                   "    when: {event: [task.completed]}\n"
                                   "    review: {queue: legal, reason: 'confidence "
                                   "{data.confidence}', due: 4h, title: '{type}'}\n";

START_TEST(rules_of_one_type_add_their_rooms_to_one_notification)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, rules);
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.decision.rule_count, 2);
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    const char *text = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(text, "\"time\":\"2026-03-02T08:01:56.419Z\",\"rooms\":[\"task:42\",\"user:u1\","
                     "\"project:p1\"],\"eventId\":\"e1\",\"rules\":[\"a\",\"b\"]");
    ASSERT_HAS(
        text,
        "\"taskStatus\":{\"event\":\"task.completed\",\"taskId\":\"42\",\"type\":\"ocr\","
        "\"status\":\"completed\",\"priority\":\"low\",\"projectId\":\"p1\",\"userId\":\"u1\","
        "\"tenantId\":\"acme\",\"progress\":100,\"data\":{\"confidence\":0.50,\"progress\":100}}");
    const struct output *output = &fixture.batch.outputs[0];
    ck_assert_str_eq(output->topic, "fanout.tenant");
    ck_assert(bytes_equal_string(output->key, "acme"));
    ck_assert_int_eq(output->partition_count, 8);
    ck_assert(output->partition >= 0 && output->partition < 8);
    ck_assert_uint_eq(fixture_header(output, "rooms").size, 24);
    ck_assert(bytes_equal_string(fixture_header(output, "type"), "task.status"));
    ck_assert(bytes_equal_string(fixture_header(output, "hops"), "1"));
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_review_is_one_alert_per_lane)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, review_rules);
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.batch.output_count, 2);
    ck_assert_str_eq(fixture.batch.outputs[0].topic, "fanout.review.legal");
    ck_assert_str_eq(fixture.batch.outputs[1].topic, "fanout.tenant");
    const char *text = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(text, "\"rooms\":[\"review:legal\"]");
    ASSERT_HAS(text, "\"reviewAlert\":{\"queue\":\"legal\",\"reason\":\"confidence "
                     "0.50\",\"priority\":\"low\",\"title\":\"ocr\",\"taskId\":\"42\",\"dueTime\":"
                     "\"2026-03-02T12:01:56.419Z\",\"rule\":\"r\",\"tenantId\":\"acme\"");
    text = fixture_json(&fixture, 1, &json);
    ASSERT_HAS(text, "\"rooms\":[\"task:42\",\"user:u1\"]");
    ck_assert_uint_eq(fixture.batch.counts.notifications[NOTIFICATION_REVIEW_ALERT], 2);
    fixture_close(&fixture);
}
END_TEST

START_TEST(the_same_event_gives_the_same_records)
{
    struct fixture fixture;
    auto_buffer struct buffer first = {0};
    fixture_open(&fixture, review_rules);
    fixture_feed(&fixture, event);
    buffer_append(&first, fixture.batch.outputs[0].value);
    buffer_append(&first, fixture.batch.outputs[1].value);
    fixture_feed(&fixture, event);
    auto_buffer struct buffer second = {0};
    buffer_append(&second, fixture.batch.outputs[0].value);
    buffer_append(&second, fixture.batch.outputs[1].value);
    ck_assert(bytes_equal(buffer_peek(&first), buffer_peek(&second)));
    ck_assert(!bytes_equal(bytes_of(fixture.batch.outputs[0].value.data + 2, 32),
                           bytes_of(fixture.batch.outputs[1].value.data + 2, 32)));
    fixture_close(&fixture);
}
END_TEST

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

/* --- state topics --- */

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

START_TEST(an_event_that_no_rule_matches_leads_to_nothing)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    fixture_feed(&fixture, "{\"id\":\"x\",\"event\":\"other\"}");
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert(!fixture.decision.dead);
    ck_assert(bytes_equal_string(fixture.decision.event_id, "x"));
    fixture_close(&fixture);
}
END_TEST

START_TEST(an_event_without_id_and_time_gets_those_of_its_record)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, rules);
    fixture.offset = 17;
    fixture_feed(&fixture, "{\"event\":\"task.failed\",\"time\":5,\"tenantId\":\"acme\"}");
    ck_assert(bytes_equal_string(fixture.decision.event_id, "tasks.events-3-17"));
    const char *text = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(text, "\"time\":\"2026-03-02T08:01:56.419Z\"");
    ASSERT_HAS(text, "\"eventId\":\"tasks.events-3-17\"");
    fixture_close(&fixture);
}
END_TEST

START_TEST(rooms_that_cannot_be_are_left_out_and_counted)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, "rules: [{name: a, when: {event: [x]}, rooms: ['task:{taskId}', "
                           "'user:{userId}', 'review:{data.q}']}]");
    fixture_feed(&fixture, "{\"event\":\"x\",\"taskId\":\"1\",\"tenantId\":\"t\",\"userId\":"
                           "\"a\\u0001\",\"data\":{\"q\":\"secret\"}}");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"rooms\":[\"task:1\"]");
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_INVALID], 1);
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_DENIED], 1);
    fixture_feed(&fixture, "{\"event\":\"x\",\"taskId\":\"1\"}");
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_NO_OWNER], 1);
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_FIELD_MISSING], 2);
    fixture_close(&fixture);
}
END_TEST

START_TEST(missing_says_what_becomes_of_the_event)
{
    struct fixture fixture;
    fixture_open(&fixture, "rules:\n"
                           "  - {name: a, when: {event: [x]}, missing: skip-rule, rooms: "
                           "['tenant:{tenantId}', 'task:{taskId}']}\n"
                           "  - {name: b, when: {event: [y]}, missing: dead-letter, rooms: "
                           "['tenant:{tenantId}', 'task:{taskId}']}\n");
    fixture_feed(&fixture, "{\"event\":\"x\",\"tenantId\":\"t\"}");
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    fixture_feed(&fixture, "{\"event\":\"x\",\"tenantId\":\"t\",\"taskId\":\"1\"}");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    fixture_feed(&fixture, "{\"event\":\"y\",\"tenantId\":\"t\"}");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ck_assert_int_eq(fixture.batch.outputs[0].kind, OUTPUT_DEAD_LETTER);
    ck_assert_int_eq(fixture.decision.reason, DEAD_FIELD_MISSING);
    fixture_close(&fixture);
}
END_TEST

START_TEST(stop_keeps_later_rules_from_being_asked)
{
    struct fixture fixture;
    fixture_open(&fixture, "rules:\n"
                           "  - {name: a, when: {event: [x]}, stop: true}\n"
                           "  - {name: b, when: {event: [x, y]}, rooms: ['tenant:{tenantId}']}\n"
                           "  - {name: c, when: {event: [y]}, enabled: false, stop: true}\n");
    fixture_feed(&fixture, "{\"event\":\"x\",\"tenantId\":\"t\"}");
    ck_assert_uint_eq(fixture.decision.rule_count, 1);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    fixture_feed(&fixture, "{\"event\":\"y\",\"tenantId\":\"t\"}");
    ck_assert_uint_eq(fixture.decision.rule_count, 1);
    ck_assert_uint_eq(fixture.decision.rules[0], 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(the_first_rule_that_has_a_title_gives_it)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, "rules:\n"
                           "  - {name: a, when: {event: [x]}, notify: {type: notification, title: "
                           "'{none}', rooms: ['task:1']}}\n"
                           "  - {name: b, when: {event: [x]}, notify: {type: notification, title: "
                           "'B {id}', severity: error, rooms: ['user:2']}}\n"
                           "  - {name: c, when: {event: [x]}, notify: {type: notification, title: "
                           "C, body: c, severity: info, rooms: ['user:2']}}\n");
    fixture_feed(&fixture, "{\"event\":\"x\",\"id\":\"9\",\"tenantId\":\"t\"}");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ASSERT_HAS(fixture_json(&fixture, 0, &json),
               "\"clientNotification\":{\"title\":\"B 9\",\"body\":\"c\",\"severity\":\"error\"}");
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_cannot_be_processed_becomes_a_dead_letter)
{
    static const struct record_header headers[] = {
        {BYTES_LITERAL("mine"), BYTES_LITERAL("kept")},
        {BYTES_LITERAL("dead-letter-reason"), BYTES_LITERAL("an old one")},
    };
    struct fixture fixture;
    fixture_open(&fixture, rules);
    struct record record = {.value = BYTES_LITERAL("{\"event\":"),
                            .has_value = true,
                            .key = BYTES_LITERAL("k"),
                            .has_key = true,
                            .headers = headers,
                            .header_count = 2};
    fixture_feed_record(&fixture, &record);
    ck_assert(fixture.decision.dead);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    const struct output *output = &fixture.batch.outputs[0];
    ck_assert_str_eq(output->topic, "tasks.dead-letter");
    ck_assert(bytes_equal(output->value, record.value));
    ck_assert(bytes_equal(output->key, record.key));
    ck_assert(bytes_equal_string(fixture_header(output, "mine"), "kept"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_REASON), "malformed"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_TOPIC), "tasks.events"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_PARTITION), "3"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_OFFSET), "0"));
    ck_assert_uint_eq(fixture_header(output, DEAD_LETTER_HEADER_RULES).size, 16);
    ck_assert_uint_gt(fixture_header(output, DEAD_LETTER_HEADER_PROBLEM).size, 0);
    fixture_close(&fixture);
}
END_TEST

START_TEST(malformed_events_are_dead_letters)
{
    static const char *const texts[] = {
        "", "1", "[]", "{\"a\":1}x", "{\"a\":\"\xff\"}", "{\"a\":01}", "{'a':1}"};
    struct fixture fixture;
    fixture_open(&fixture, rules);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fixture_feed(&fixture, texts[i]);
        ck_assert_msg(fixture.decision.dead && fixture.decision.reason == DEAD_MALFORMED, "%s",
                      texts[i]);
    }
    auto_buffer struct buffer deep = {0};
    for (int i = 0; i < 101; i++)
        buffer_append_string(&deep, "{\"a\":");
    buffer_append_byte(&deep, '1');
    for (int i = 0; i < 101; i++)
        buffer_append_byte(&deep, '}');
    buffer_append_byte(&deep, 0);
    fixture_feed(&fixture, (const char *)buffer_peek(&deep).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    fixture_close(&fixture);
}
END_TEST

START_TEST(limits_have_their_answers)
{
    const struct pipeline_settings settings = {
        .limits = {.event_bytes = 600, .notification_bytes = 600, .rooms_per_event = 2, .hops = 1},
        .dead_letter_topic = "dead"};
    static const struct record_header twice[] = {{BYTES_LITERAL("hops"), BYTES_LITERAL("2")}};
    struct fixture fixture;
    fixture_open_with(&fixture, rules, &settings);
    fixture_feed(&fixture, event); /* three rooms */
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    ck_assert_uint_eq(fixture.batch.output_count, 1);

    struct record record = {.value =
                                BYTES_LITERAL("{\"event\":\"task.failed\",\"tenantId\":\"t\"}"),
                            .has_value = true,
                            .headers = twice,
                            .header_count = 1};
    fixture_feed_record(&fixture, &record);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LOOP);

    auto_buffer struct buffer large = {0};
    buffer_append_string(&large, "{\"event\":\"task.failed\",\"tenantId\":\"t\",\"data\":\"");
    while (buffer_size(&large) < 550)
        buffer_append_byte(&large, 'x');
    auto_buffer struct buffer larger = {0};
    buffer_append(&larger, buffer_peek(&large));
    buffer_append_format(&larger, "%0200d\"}%c", 0, 0);
    buffer_append_format(&large, "\"}%c", 0);
    fixture_feed(&fixture, (const char *)buffer_peek(&large).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    fixture_feed(&fixture, (const char *)buffer_peek(&larger).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_TOO_LARGE);
    ck_assert(!fixture.batch.outputs[0].has_value);
    ck_assert(bytes_equal_string(fixture_header(&fixture.batch.outputs[0], DEAD_LETTER_HEADER_CUT),
                                 "752"));
    fixture_close(&fixture);
}
END_TEST

START_TEST(trace_context_is_carried)
{
    static const struct record_header headers[] = {
        {BYTES_LITERAL("traceparent"), BYTES_LITERAL("00-aa-bb-01")},
        {BYTES_LITERAL("tracestate"), BYTES_LITERAL("x=\n")},
    };
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, rules);
    struct record record = {
        .value = BYTES_LITERAL(
            "{\"event\":\"task.failed\",\"tenantId\":\"t\",\"traceparent\":\"other\"}"),
        .has_value = true,
        .headers = headers,
        .header_count = 2};
    fixture_feed_record(&fixture, &record);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"traceparent\":\"00-aa-bb-01\",\"taskStatus\"");
    ck_assert(bytes_equal_string(fixture_header(&fixture.batch.outputs[0], "traceparent"),
                                 "00-aa-bb-01"));
    record.header_count = 0;
    fixture_feed_record(&fixture, &record);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"traceparent\":\"other\"");
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_rejected_record_is_a_dead_letter_with_its_problem)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    struct record record = {
        .topic = BYTES_LITERAL("t"), .value = BYTES_LITERAL("{}"), .has_value = true};
    pipeline_reject(fixture.pipeline, &record, "broker says no", &fixture.batch);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ck_assert(bytes_equal_string(
        fixture_header(&fixture.batch.outputs[0], DEAD_LETTER_HEADER_PROBLEM), "broker says no"));
    ck_assert_uint_eq(fixture.batch.counts.dead[DEAD_REJECTED], 1);
    fixture_close(&fixture);
}
END_TEST

static const struct partition_state_settings remembered = {.dedupe_window_ms = 60000,
                                                           .dedupe_entries = 1000,
                                                           .review_window_ms = 3600000,
                                                           .review_tasks = 100,
                                                           .reviews_per_task = 16};

START_TEST(an_event_that_was_seen_before_is_dropped)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    fixture.state = partition_state_new(&remembered, 0);
    fixture_feed(&fixture, event);
    ck_assert(!fixture.decision.duplicate);
    fixture_feed(&fixture, event);
    ck_assert(fixture.decision.duplicate);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_uint_eq(fixture.batch.counts.duplicates, 1);
    fixture_feed(&fixture, "{\"id\":\"e1\",\"source\":\"other\",\"event\":\"task.failed\"}");
    ck_assert(!fixture.decision.duplicate);
    fixture.later_ms = 60000;
    fixture_feed(&fixture, event);
    ck_assert(!fixture.decision.duplicate);
    /* Two tenants' backends give ids without knowing of each other. */
    fixture_feed(&fixture, "{\"id\":\"tn\",\"event\":\"task.failed\",\"tenantId\":\"acme\"}");
    ck_assert(!fixture.decision.duplicate);
    fixture_feed(&fixture, "{\"id\":\"tn\",\"event\":\"task.failed\",\"tenantId\":\"globex\"}");
    ck_assert(!fixture.decision.duplicate);
    fixture_feed(&fixture, "{\"id\":\"tn\",\"event\":\"task.failed\",\"tenantId\":\"globex\"}");
    ck_assert(fixture.decision.duplicate);
    /* Without an id of its own an event is always another. */
    fixture_feed(&fixture, "{\"event\":\"task.failed\"}");
    fixture_feed(&fixture, "{\"event\":\"task.failed\"}");
    ck_assert(!fixture.decision.duplicate);
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_dead_letter_may_come_again)
{
    struct fixture fixture;
    fixture_open(&fixture, "rules: [{name: a, when: {event: [x]}, missing: dead-letter, rooms: "
                           "['task:{taskId}']}]");
    fixture.state = partition_state_new(&remembered, 0);
    for (int i = 0; i < 2; i++) {
        fixture_feed(&fixture, "{\"id\":\"1\",\"event\":\"x\"}");
        ck_assert(fixture.decision.dead && !fixture.decision.duplicate);
    }
    fixture_close(&fixture);
}
END_TEST

static const char open_rules[] =
    "rules:\n"
    "  - {name: r, when: {event: [a]}, review: {queue: legal, reason: '{data.why}'}}\n";

static size_t review_of(struct fixture *fixture, const char *tenant, const char *task,
                        const char *why)
{
    char text[256];
    snprintf(text, sizeof(text),
             "{\"event\":\"a\",\"tenantId\":\"%s\",\"taskId\":\"%s\",\"data\":{\"why\":\"%s\"}}",
             tenant, task, why);
    fixture_feed(fixture, text);
    return fixture->batch.output_count;
}

START_TEST(one_review_per_task_and_reason_is_open)
{
    static const char *const closed_by[] = {"review.completed"};
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .review_closed_by = closed_by,
                                               .review_closed_by_count = 1};
    struct fixture fixture;
    fixture_open_with(&fixture, open_rules, &settings);
    fixture.state = partition_state_new(&remembered, 0);
    ck_assert_uint_eq(review_of(&fixture, "t", "1", "pii"), 2);
    ck_assert_uint_eq(review_of(&fixture, "t", "1", "pii"), 0);
    ck_assert_uint_eq(fixture.batch.counts.reviews_open, 1);
    ck_assert_uint_eq(review_of(&fixture, "t", "1", "cost"), 2);
    ck_assert_uint_eq(review_of(&fixture, "t", "2", "pii"), 2);
    ck_assert_uint_eq(review_of(&fixture, "u", "1", "pii"), 2);
    fixture_feed(&fixture, "{\"event\":\"review.completed\",\"tenantId\":\"t\",\"taskId\":\"1\"}");
    ck_assert_uint_eq(review_of(&fixture, "t", "1", "pii"), 2);
    ck_assert_uint_eq(review_of(&fixture, "u", "1", "pii"), 0);
    fixture.later_ms = 3600000;
    ck_assert_uint_eq(review_of(&fixture, "u", "1", "pii"), 2);
    fixture_close(&fixture);
}
END_TEST

static const char last_rules[] =
    "rules:\n"
    "  - {name: first, when: {data: {state: [one]}}, rooms: ['task:1']}\n"
    "  - {name: last, when: {data: {state: [two]}}, rooms: ['task:{data.room}']}\n";

/* Patterns, rooms and clients see one value of a key that stands there twice: the last. */
START_TEST(of_equal_keys_the_last_counts_for_everybody)
{
    static const char *const events[] = {
        "{\"tenantId\":\"t\",\"data\":{\"state\":\"one\",\"room\":\"a\",\"state\":\"two\",\"room\":"
        "\"b\"}}",
        "{\"tenantId\":\"t\",\"data\":{\"state\":\"one\"},\"data\":{\"state\":\"two\",\"room\":"
        "\"b\"}}",
        "{\"tenantId\":\"t\",\"data\":{\"state\":\"one\",\"st\\u0061te\":\"two\",\"room\":\"b\"}}",
        "{\"tenantId\":\"t\",\"data\":5,\"data\" : {\"state\":\"two\" "
        ",\"x\":{\"y\":1,\"y\":2},\"room\":\"b\"}}",
    };
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, last_rules);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        fixture_feed(&fixture, events[i]);
        ck_assert_msg(!fixture.decision.dead, "%s", fixture.decision.problem);
        ck_assert_uint_eq(fixture.decision.rule_count, 1);
        ck_assert_uint_eq(fixture.decision.rules[0], 1);
        const char *text = fixture_json(&fixture, 0, &json);
        ASSERT_HAS(text, "\"rooms\":[\"task:b\"]");
        ck_assert_msg(strstr(text, "one") == NULL && strstr(text, "\"y\":1") == NULL, "%s", text);
    }
    /* The same key in other objects is another. */
    fixture_feed(
        &fixture,
        "{\"tenantId\":\"t\",\"data\":[{\"state\":\"one\"},{\"state\":\"two\",\"room\":\"b\"}]}");
    ck_assert_uint_eq(fixture.decision.rule_count, 2);
    fixture_close(&fixture);
}
END_TEST

START_TEST(who_an_event_is_about_is_said_once_and_plainly)
{
    static const struct {
        const char *event;
        const char *word;
    } cases[] = {
        {"{\"id\":\"1\",\"id\":\"2\"}", "has id twice"},
        {"{\"tenantId\":\"a\",\"x\":1,\"tenantI\\u0064\":\"b\"}", "has tenantId twice"},
        {"{\"taskId\":\"a\",\"taskId\":\"a\"}", "has taskId twice"},
        {"{\"userId\":null,\"userId\":\"a\"}", "has userId twice"},
        {"{\"source\":\"a\",\"source\":\"b\"}", "has source twice"},
        {"{\"tenantId\":\"t\\u0000evil\"}", "tenantId holds"},
        {"{\"id\":\"\\ud800\"}", "id holds"},
        {"{\"taskId\":\"x\\udc00y\"}", "taskId holds"},
    };
    struct fixture fixture;
    fixture_open(&fixture, last_rules);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_feed(&fixture, cases[i].event);
        ck_assert_msg(fixture.decision.dead, "%s", cases[i].event);
        ck_assert_int_eq(fixture.decision.reason, DEAD_MALFORMED);
        ASSERT_HAS(fixture.decision.problem, cases[i].word);
    }
    fixture_feed(
        &fixture,
        "{\"id\":\"\\ud83d\\ude00\",\"tenantId\":\"t\",\"data\":{\"id\":1,\"id\":2,\"state\":"
        "\"one\"}}");
    ck_assert(!fixture.decision.dead);
    /* Elsewhere such a text is no room. */
    fixture_feed(&fixture,
                 "{\"tenantId\":\"t\",\"data\":{\"state\":\"two\",\"room\":\"a\\u0000\"}}");
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_INVALID], 1);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_tombstone_is_counted_and_no_event)
{
    struct fixture fixture;
    fixture_open(&fixture, last_rules);
    struct record record = {.has_value = false};
    fixture_feed_record(&fixture, &record);
    ck_assert(!fixture.decision.dead && fixture.decision.tombstone);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_uint_eq(fixture.batch.counts.tombstones, 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(times_and_percentages_are_taken_where_they_are_plain_else_told)
{
    static const struct {
        const char *member;
        const char *shown; /* in the notification; begins with ! if it must not be there */
        const char *remark;
    } cases[] = {
        {"\"time\":1772438516419", "\"time\":\"2026-03-02T08:01:56.419Z\"", NULL},
        {"\"time\":\"1772438516\"", "\"time\":\"2026-03-02T08:01:56.000Z\"", NULL},
        {"\"time\":\"2026-03-02T08:01:56\"", "\"time\":\"2026-03-02T08:01:56.000Z\"", NULL},
        {"\"time\":\"2026-03-02T09:01:56+01:00\"", "\"time\":\"2026-03-02T09:01:56+01:00\"", NULL},
        {"\"time\":\"soon\"", "\"time\":\"2026-03-02T08:01:56.419Z\"",
         "the record's is taken: soon"},
        {"\"time\":[1]", "\"time\":\"2026-03-02T08:01:56.419Z\"", "the record's is taken"},
        {"\"time\":null", "\"time\":\"2026-03-02T08:01:56.419Z\"", NULL},
        {"\"progress\":40.5", "\"progress\":40.5", NULL},
        {"\"progress\":\"42\"", "\"progress\":42", NULL},
        {"\"progress\":\"42.5%\"", "\"progress\":42.5", NULL},
        {"\"data\":{\"progress\":\"7\"}", "\"progress\":7,", NULL},
        {"\"progress\":140", "!progress",
         "progress is no percentage (0 to 100), it is left out: 140"},
        {"\"progress\":-1", "!progress", "progress is no percentage"},
        {"\"progress\":\"half\"", "!progress", "progress is no percentage"},
        {"\"progress\":\"0x10\"", "!progress", "progress is no percentage"},
        {"\"progress\":1e999", "!progress", "progress is no percentage"},
    };
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    char text[256];
    fixture_open(&fixture, "rules: [{name: r, when: {event: [a]}, rooms: ['task:{taskId}']}]");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\",%s}",
                 cases[i].member);
        fixture_feed(&fixture, text);
        ck_assert(!fixture.decision.dead);
        const char *shown = fixture_json(&fixture, 0, &json);
        if (cases[i].shown[0] == '!')
            ck_assert_msg(strstr(shown, cases[i].shown + 1) == NULL, "%s", shown);
        else
            ASSERT_HAS(shown, cases[i].shown);
        const char *time = fixture.decision.remarks[REMARK_TIME];
        const char *remark = time != NULL ? time : fixture.decision.remarks[REMARK_PROGRESS];
        ck_assert_msg((remark != NULL) == (cases[i].remark != NULL), "%s", text);
        if (remark != NULL)
            ASSERT_HAS(remark, cases[i].remark);
        ck_assert_uint_eq(fixture.batch.counts.remarks[REMARK_TIME] +
                              fixture.batch.counts.remarks[REMARK_PROGRESS],
                          remark != NULL);
    }
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_is_left_out_is_told_with_its_reason)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(
        &fixture,
        "rules:\n"
        "  - {name: typo, when: {event: [a]}, rooms: ['task:{taskID}', 'task:{taskId}']}\n"
        "  - {name: alert, when: {event: [a]}, review: {queue: '{data.team}', reason: r}}\n");
    fixture_feed(&fixture, "{\"event\":\"a\",\"taskId\":\"1\"}");
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.decision.skipped_count, 3);
    decision_skipped_json(&fixture.decision, fixture.rules, &json);
    buffer_append_byte(&json, 0);
    ck_assert_str_eq((const char *)buffer_peek(&json).data,
                     "[{\"rule\":\"typo\",\"room\":\"task:{taskID}\",\"reason\":\"field-missing\","
                     "\"problem\":\"the event has no taskID\"},"
                     "{\"rule\":\"typo\",\"room\":\"task:1\",\"reason\":\"no-owner\","
                     "\"problem\":\"no tenant, to whom rooms of this kind belong (tenantId or "
                     "userId of the event)\"},"
                     "{\"rule\":\"alert\",\"room\":\"{data.team}\",\"reason\":\"field-missing\","
                     "\"problem\":\"the event has no data.team\"}]");
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_is_told_of_an_event_is_bounded)
{
    struct fixture fixture;
    auto_buffer struct buffer rules_text = {0};
    auto_buffer struct buffer json = {0};
    buffer_append_string(&rules_text, "rules: [");
    for (int i = 0; i < 100; i++)
        buffer_append_format(&rules_text, "%s{name: r%d, when: {event: [a]}, rooms: ['task:{x}']}",
                             i == 0 ? "" : ",", i);
    buffer_append_string(&rules_text, "]");
    buffer_append_byte(&rules_text, 0);
    fixture_open(&fixture, (const char *)buffer_peek(&rules_text).data);
    fixture_feed(&fixture, "{\"event\":\"a\"}");
    ck_assert_uint_eq(fixture.decision.skipped_count, 100);
    decision_skipped_json(&fixture.decision, fixture.rules, &json);
    ck_assert(bytes_contain(buffer_peek(&json), ",{\"more\":80}]"));
    ck_assert_uint_lt(buffer_size(&json), 3000);
    fixture_close(&fixture);
}
END_TEST

/* Rules that each ask for a room, or for a review, of their own: the whole costs in proportion. */
static uint64_t steps_of_rules(unsigned rule_count, const char *form)
{
    struct fixture fixture;
    auto_buffer struct buffer text = {0};
    struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                         .dead_letter_topic = "dead"};
    settings.limits.rooms_per_event = 10000;
    settings.limits.notification_bytes = 10 << 20;
    buffer_append_string(&text, "rules: [");
    for (unsigned i = 0; i < rule_count; i++) {
        buffer_append_format(&text, "%s{name: r%u, when: {event: [a]}, ", i == 0 ? "" : ",", i);
        for (const char *at = form; *at != 0; at++)
            if (*at == '#')
                buffer_append_format(&text, "%u", i);
            else
                buffer_append_byte(&text, (uint8_t)*at);
        buffer_append_byte(&text, '}');
    }
    buffer_append_string(&text, "]");
    buffer_append_byte(&text, 0);
    fixture_open_with(&fixture, (const char *)buffer_peek(&text).data, &settings);
    fixture_feed(&fixture, "{\"event\":\"a\",\"tenantId\":\"t\"}");
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.decision.rule_count, rule_count);
    uint64_t steps = fixture.pipeline->drafts.steps + fixture.pipeline->rooms.steps +
                     fixture.pipeline->lanes.steps;
    fixture_close(&fixture);
    return steps;
}

START_TEST(rules_that_match_cost_in_proportion)
{
    static const char *const forms[] = {"rooms: ['task:#']", "review: {queue: legal, reason: r#}"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t few = steps_of_rules(100, forms[i]);
        uint64_t many = steps_of_rules(2000, forms[i]);
        ck_assert_msg(many < 40 * few && many < 2000UL * 30, "%s: %lu, then %lu", forms[i],
                      (unsigned long)few, (unsigned long)many);
    }
}
END_TEST

static uint64_t steps_of_repetitions(unsigned count)
{
    struct fixture fixture;
    auto_buffer struct buffer text = {0};
    fixture_open(&fixture, rules);
    buffer_append_string(&text, "{\"event\":\"task.started\"");
    for (unsigned i = 0; i < count; i++)
        buffer_append_string(&text, ",\"time\":1");
    buffer_append_string(&text, "}");
    buffer_append_byte(&text, 0);
    fixture_feed(&fixture, (const char *)buffer_peek(&text).data);
    ck_assert(!fixture.decision.dead);
    uint64_t steps = fixture.pipeline->keys.steps;
    fixture_close(&fixture);
    return steps;
}

START_TEST(a_key_that_is_repeated_costs_in_proportion)
{
    uint64_t few = steps_of_repetitions(100);
    uint64_t many = steps_of_repetitions(2000);
    ck_assert_msg(few >= 100 && many < 40 * few, "%lu, then %lu", (unsigned long)few,
                  (unsigned long)many);
}
END_TEST

/* The problem of the dead letter that an event became. */
static const char *problem_of(struct fixture *fixture, const char *rules_text,
                              struct buffer *event_text, const struct pipeline_limits *limits)
{
    const struct pipeline_settings settings = {.limits = *limits, .dead_letter_topic = "dead"};
    buffer_append_byte(event_text, 0);
    fixture_open_with(fixture, rules_text, &settings);
    fixture_feed(fixture, (const char *)buffer_peek(event_text).data);
    return fixture->decision.dead ? fixture->decision.problem : "";
}

START_TEST(a_dead_letter_names_the_limit_and_the_rule)
{
    static const char *const texts[] = {
        "rules: [{name: plain, when: {event: [b]}, stop: true},"
        "        {name: big, when: {n: [{numeric: ['>', 5]}]}, stop: true}]",
        "rules: [{name: plain, when: {event: [b]}, stop: true},"
        "        {name: big, when: {n: [{wildcard: 'a*b*c'}]}, stop: true}]",
        "rules: [{name: plain, when: {event: [b]}, stop: true},"
        "        {name: big, when: {n: [{anything-but: [0, 1, 2, 3, 4, 5, 6, 7]}]}, stop: true}]",
    };
    for (size_t i = 0; i < 6; i++) {
        struct fixture fixture;
        auto_buffer struct buffer event_text = {0};
        struct pipeline_limits limits = PIPELINE_LIMITS_DEFAULT;
        bool values = i >= 3;
        if (values)
            limits.values = 50;
        else
            limits.steps = 50;
        buffer_append_string(&event_text, "{\"n\":[");
        for (int n = 0; n < 100; n++)
            buffer_append_format(&event_text, "%s%d", n == 0 ? "" : ",", n % 8);
        buffer_append_string(&event_text, "],\"x\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}");
        const char *problem = problem_of(&fixture, texts[i % 3], &event_text, &limits);
        ASSERT_HAS(problem, values ? "dispatcher.limits.values" : "dispatcher.limits.steps");
        ASSERT_HAS(problem, "at rule big");
        ASSERT_HAS(problem, "50");
        fixture_close(&fixture);
    }
}
END_TEST

/* What rules and events of a normal size need is within the defaults. */
START_TEST(the_defaults_hold_many_ranges_and_many_wildcards)
{
    const struct pipeline_limits limits = PIPELINE_LIMITS_DEFAULT;
    for (int kind = 0; kind < 2; kind++) {
        struct fixture fixture;
        auto_buffer struct buffer rules_text = {0};
        auto_buffer struct buffer event_text = {0};
        int rule_count = kind == 0 ? 1000 : 3000;
        buffer_append_string(&rules_text, "rules: [");
        for (int i = 0; i < rule_count; i++)
            buffer_append_format(&rules_text,
                                 kind == 0 ? "%s{name: r%d, stop: true, when: {lines: {price: "
                                             "[{numeric: ['>=', %d, '<', 5000]}]}}}"
                                           : "%s{name: r%d, stop: true, when: {files: [{wildcard: "
                                             "'*/report-%d-*.pdf'}]}}",
                                 i == 0 ? "" : ",", i, i);
        buffer_append_string(&rules_text, "]");
        buffer_append_byte(&rules_text, 0);
        buffer_append_string(&event_text, kind == 0 ? "{\"lines\":[" : "{\"files\":[");
        for (int i = 0; i < (kind == 0 ? 200 : 50); i++)
            buffer_append_format(&event_text,
                                 kind == 0 ? "%s{\"price\":%d.5,\"quantity\":1}"
                                           : "%s\"/archive/2026/report-%d-of-the-year.pdf\"",
                                 i == 0 ? "" : ",", kind == 0 ? 500 + i * 10 : i);
        buffer_append_string(&event_text, "]}");
        const char *problem =
            problem_of(&fixture, (const char *)buffer_peek(&rules_text).data, &event_text, &limits);
        ck_assert_str_eq(problem, "");
        ck_assert_uint_ge(fixture.decision.rule_count, 1);
        fixture_close(&fixture);
    }
}
END_TEST

START_TEST(another_queue_is_another_review)
{
    struct fixture fixture;
    fixture_open(&fixture, "rules: [{name: r, when: {event: [a]}, review: {queue: '{data.team}', "
                           "reason: escalated}}]");
    fixture.state = partition_state_new(&remembered, 0);
    for (int round = 0; round < 2; round++) {
        const size_t alerts = round == 0 ? 1 : 0;
        fixture_feed(&fixture, "{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\",\"data\":"
                               "{\"team\":\"legal\"}}");
        ck_assert_uint_eq(fixture.batch.counts.notifications[NOTIFICATION_REVIEW_ALERT] > 0,
                          alerts);
        fixture_feed(&fixture, "{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\",\"data\":"
                               "{\"team\":\"finance\"}}");
        ck_assert_uint_eq(fixture.batch.counts.notifications[NOTIFICATION_REVIEW_ALERT] > 0,
                          alerts);
    }
    fixture_close(&fixture);
}
END_TEST

static struct bytes audit_of(const struct fixture *fixture)
{
    const struct output *output = &fixture->batch.outputs[fixture->batch.output_count - 1];
    ck_assert_uint_gt(fixture->batch.output_count, 0);
    ck_assert_int_eq(output->kind, OUTPUT_AUDIT);
    ck_assert_int_eq(json_validate(output->value, 10, NULL), STATUS_OK);
    return output->value;
}

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

START_TEST(every_decision_can_be_audited)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL};
    struct fixture fixture;
    fixture_open_with(&fixture, review_rules, &settings);
    fixture.state = partition_state_new(&remembered, 0);
    fixture_feed(&fixture, event);
    struct bytes audit = audit_of(&fixture);
    ck_assert(bytes_contain(
        audit,
        "{\"eventId\":\"e1\",\"time\":\"2026-03-02T08:01:56.419Z\",\"taskId\":\"42\",\"tenantId\":"
        "\"acme\",\"origin\":{\"topic\":\"tasks.events\",\"partition\":3,\"offset\":0}"));
    ck_assert(bytes_contain(
        audit, "\"outcome\":\"matched\",\"rules\":[\"r\"],\"reviews\":[{\"queue\":\"legal\","
               "\"reason\":\"confidence 0.50\"}],\"notifications\":[{\"id\":\""));
    ck_assert(bytes_equal_string(fixture.batch.outputs[2].key, "42"));
    fixture_feed(&fixture, event);
    ck_assert(bytes_contain(audit_of(&fixture), "\"outcome\":\"duplicate\",\"rules\":[]"));
    ck_assert(
        bytes_contain(audit_of(&fixture), "\"taskId\":\"42\",\"tenantId\":\"acme\",\"origin\""));
    fixture_feed(&fixture, "{\"event\":\"other\"}");
    ck_assert(bytes_contain(audit_of(&fixture), "\"outcome\":\"unmatched\""));
    fixture_feed(&fixture, "{");
    ck_assert(bytes_contain(audit_of(&fixture), "\"outcome\":\"dead-letter\""));
    ck_assert(bytes_contain(audit_of(&fixture), "\"reason\":\"malformed\",\"problem\":\""));
    fixture_close(&fixture);
}
END_TEST

#define NINE "123456789"
#define FIFTY_NINE NINE " " NINE " " NINE " " NINE " " NINE " " NINE

/* Whatever an event holds and wherever its texts are cut: what is told of it is UTF-8. */
START_TEST(what_is_told_of_an_event_is_utf8)
{
    static const struct {
        const char *type;
        const char *event;
        const char *told;
    } cases[] = {
        {"application/json", "{\"event\":\"a\",\"time\":\"" FIFTY_NINE "\u00e9\"}",
         "is taken: " FIFTY_NINE "\"}"},
        {"application/json", "{\"event\":\"a\",\"progress\":\"" FIFTY_NINE "\u00e9\"}",
         "is left out: " FIFTY_NINE "\"}"},
        {"image/\xff\xe9\x1b[2J", "", "content type image/\ufffd\ufffd\ufffd[2J is not an event"},
        {"text/plain; charset=\xe9", "", "charset=\ufffd: only UTF-8 is read"},
        {"application/cloudevents+json",
         "{\"specversion\":\"2" NINE NINE "\u00e9\",\"id\":\"1\","
         "\"source\":\"s\",\"type\":\"t\"}",
         "of version 2" NINE NINE "\""},
    };
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL};
    struct fixture fixture;
    fixture_open_with(&fixture, "rules: [{name: r, when: {event: [a]}, rooms: ['tenant:t']}]",
                      &settings);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct record_header type = {BYTES_LITERAL("content-type"),
                                           bytes_of_string(cases[i].type)};
        struct record record = {.value = bytes_of_string(cases[i].event),
                                .has_value = true,
                                .headers = &type,
                                .header_count = 1};
        fixture_feed_record(&fixture, &record);
        ck_assert_msg(unicode_is_valid(audit_of(&fixture)), "%zu", i);
        ck_assert_msg(bytes_contain(audit_of(&fixture), cases[i].told), "%zu: %.*s", i,
                      BYTES_PRINT(audit_of(&fixture)));
    }
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("pipeline", an_item_goes_to_the_state_of_its_lane_as_well,
             of_a_batch_the_last_of_each_item_and_rooms_is_kept, a_dead_letter_takes_back_its_items,
             a_notification_says_one_thing_of_one_item,
             a_review_has_the_item_of_the_first_rule_that_names_one,
             an_item_that_cannot_be_known_is_left_out_and_counted,
             missing_says_what_becomes_of_an_item, the_audit_tells_of_items,
             rules_of_one_type_add_their_rooms_to_one_notification, a_review_is_one_alert_per_lane,
             the_same_event_gives_the_same_records, an_event_that_no_rule_matches_leads_to_nothing,
             an_event_without_id_and_time_gets_those_of_its_record,
             rooms_that_cannot_be_are_left_out_and_counted, missing_says_what_becomes_of_the_event,
             stop_keeps_later_rules_from_being_asked, the_first_rule_that_has_a_title_gives_it,
             what_cannot_be_processed_becomes_a_dead_letter, malformed_events_are_dead_letters,
             limits_have_their_answers, trace_context_is_carried,
             a_rejected_record_is_a_dead_letter_with_its_problem,
             an_event_that_was_seen_before_is_dropped, a_dead_letter_may_come_again,
             one_review_per_task_and_reason_is_open, another_queue_is_another_review,
             of_equal_keys_the_last_counts_for_everybody,
             who_an_event_is_about_is_said_once_and_plainly, a_tombstone_is_counted_and_no_event,
             times_and_percentages_are_taken_where_they_are_plain_else_told,
             what_is_left_out_is_told_with_its_reason, what_is_told_of_an_event_is_bounded,
             rules_that_match_cost_in_proportion, a_key_that_is_repeated_costs_in_proportion,
             a_dead_letter_names_the_limit_and_the_rule,
             the_defaults_hold_many_ranges_and_many_wildcards, every_decision_can_be_audited,
             what_is_told_of_an_event_is_utf8)
