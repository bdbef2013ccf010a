/* From an event to notifications: rooms, rules, what is remembered. */
#include <stdio.h>

#include "pipeline_common.h"

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

static void emit_nothing(void *context, struct bytes key, struct bytes value, bool has_value)
{
    (void)context, (void)key, (void)value, (void)has_value;
}

/* The time of a record is its producer's word. */
START_TEST(one_clock_that_is_ahead_does_not_make_all_others_old)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    fixture.state = partition_state_new(&remembered, 0);
    fixture_set_time(&fixture, 1000);
    fixture_feed(&fixture, event);
    partition_state_flush(fixture.state, emit_nothing, NULL);
    partition_state_commit(fixture.state);
    fixture.later_ms = INT64_C(365) * 86400000;
    fixture_feed(&fixture, "{\"id\":\"e9\",\"event\":\"task.failed\"}");
    partition_state_flush(fixture.state, emit_nothing, NULL);
    partition_state_commit(fixture.state);
    fixture.later_ms = 1000;
    fixture_feed(&fixture, event);
    ck_assert(fixture.decision.duplicate);
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

TEST_PROGRAM("pipeline", rules_of_one_type_add_their_rooms_to_one_notification,
             a_review_is_one_alert_per_lane, the_same_event_gives_the_same_records,
             an_event_that_no_rule_matches_leads_to_nothing,
             an_event_without_id_and_time_gets_those_of_its_record,
             rooms_that_cannot_be_are_left_out_and_counted, missing_says_what_becomes_of_the_event,
             stop_keeps_later_rules_from_being_asked, the_first_rule_that_has_a_title_gives_it,
             trace_context_is_carried, an_event_that_was_seen_before_is_dropped,
             one_clock_that_is_ahead_does_not_make_all_others_old, a_dead_letter_may_come_again,
             one_review_per_task_and_reason_is_open, of_equal_keys_the_last_counts_for_everybody,
             who_an_event_is_about_is_said_once_and_plainly, a_tombstone_is_counted_and_no_event,
             another_queue_is_another_review)
