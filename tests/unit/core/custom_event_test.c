/* Events of the application's own, and rooms that are made of a list. */
#include "pipeline_fixture.h"

#include <stdio.h>

static const char event[] =
    "{\"id\":\"e1\",\"event\":\"order.updated\",\"tenantId\":\"acme\",\"userId\":\"u1\","
    "\"taskId\":\"42\",\"data\":{\"no\":\"A-7\",\"total\":12345678901234567890.50,\"state\":"
    "\"shipped\","
    "\"lines\":[ {\"sku\":1} ],\"none\":null,\"quote\":\"a\\\"b\\u00fc\",\"paid\":true,"
    "\"watchers\":[\"u2\",\"u3\",7,\"u2\"]}}";

/* A file of one rule that tells of the event whatever stands in `notify`. */
static const char *rule_of(const char *notify, char text[1024])
{
    snprintf(text, 1024, "rules: [{name: r, when: {event: [order.updated]}, notify: %s}]", notify);
    return text;
}

static void assert_custom(const char *notify, const char *expected)
{
    char text[1024], content[1024];
    auto_buffer struct buffer json = {0};
    struct fixture fixture;
    fixture_open(&fixture, rule_of(notify, text));
    fixture_feed(&fixture, event);
    ck_assert_msg(!fixture.decision.dead, "%s", fixture.decision.problem);
    snprintf(content, sizeof(content), "\"customEvent\":%s}", expected);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), content);
    ck_assert(bytes_equal_string(fixture_header(&fixture.batch.outputs[0], "type"), "custom"));
    ck_assert_uint_eq(fixture.batch.counts.notifications[NOTIFICATION_CUSTOM], 1);
    fixture_close(&fixture);
}

static void assert_data(const char *data, const char *expected)
{
    char notify[600], content[600];
    snprintf(notify, sizeof(notify),
             "{type: custom, event: order.shipped, rooms: ['task:{taskId}'], data: %s}", data);
    snprintf(content, sizeof(content),
             "{\"event\":\"order.shipped\",\"taskId\":\"42\",\"data\":%s}", expected);
    assert_custom(notify, content);
}

START_TEST(without_data_it_has_that_of_the_event)
{
    assert_custom(
        "{type: custom, event: order.shipped, rooms: ['task:{taskId}']}",
        "{\"event\":\"order.shipped\",\"taskId\":\"42\",\"data\":{\"no\":\"A-7\","
        "\"total\":12345678901234567890.50,\"state\":\"shipped\",\"lines\":[ {\"sku\":1} ],"
        "\"none\":null,\"quote\":\"a\\\"b\\u00fc\",\"paid\":true,"
        "\"watchers\":[\"u2\",\"u3\",7,\"u2\"]}}");
}
END_TEST

START_TEST(a_field_is_given_as_it_stands_in_the_event)
{
    assert_data("'{data.total}'", "12345678901234567890.50");
    assert_data("'{data.lines}'", "[ {\"sku\":1} ]");
    assert_data("'{data.quote}'", "\"a\\\"b\\u00fc\"");
    assert_data("'{data.paid}'", "true");
    assert_data("'{data.none}'", "null");
    assert_data("'{data.nothing}'", "null");
    assert_data("'{data.none|some}'", "\"some\"");
    assert_data("'{data.nothing|}'", "\"\"");
}
END_TEST

START_TEST(what_a_rule_writes_is_json_with_the_fields_put_in)
{
    assert_data("'Order {data.no}'", "\"Order A-7\"");
    assert_data("'{data.quote}!{data.nothing}'", "\"a\\\"b\xc3\xbc!\"");
    assert_data(
        "{n: 1.50, yes: true, no: null, text: 'a \"b\"', deep: {list: [1, '{data.no}', []], "
        "e: {}}}",
        "{\"n\":1.50,\"yes\":true,\"no\":null,\"text\":\"a \\\"b\\\"\","
        "\"deep\":{\"list\":[1,\"A-7\",[]],\"e\":{}}}");
    /* As JSON.stringify() does with undefined. */
    assert_data("{a: '{data.nothing}', b: '{data.none}', c: ['{data.nothing}'], d: "
                "'{data.nothing|x}', e: '{data.nothing}!'}",
                "{\"b\":null,\"c\":[null],\"d\":\"x\",\"e\":\"!\"}");
}
END_TEST

START_TEST(a_name_may_come_from_the_event)
{
    assert_custom("{type: custom, event: 'order.{data.state}', rooms: ['task:{taskId}'], data: 1}",
                  "{\"event\":\"order.shipped\",\"taskId\":\"42\",\"data\":1}");
}
END_TEST

START_TEST(a_name_that_cannot_be_is_left_out_and_told)
{
    static const struct {
        const char *name;
        enum room_skip reason;
        const char *told;
    } cases[] = {{"{data.reserved}", ROOM_SKIP_EVENT, "means something else"},
                 {"{data.line}", ROOM_SKIP_EVENT, "control characters"},
                 {"{data.unfit}", ROOM_SKIP_INVALID, "surrogate"},
                 {"{data.nothing}", ROOM_SKIP_FIELD_MISSING, "no data.nothing"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024], notify[300];
        struct fixture fixture;
        snprintf(notify, sizeof(notify),
                 "[{type: custom, event: '%s', rooms: ['task:{taskId}']}, {rooms: "
                 "['task:{taskId}']}]",
                 cases[i].name);
        fixture_open(&fixture, rule_of(notify, text));
        fixture_feed(&fixture,
                     "{\"event\":\"order.updated\",\"tenantId\":\"acme\",\"taskId\":\"1\","
                     "\"data\":{\"reserved\":\"disconnect\",\"line\":\"a\\nb\",\"unfit\":"
                     "\"\\ud800\"}}");
        ck_assert_uint_eq(fixture.batch.output_count, 1); /* the other notify of the rule */
        ck_assert_uint_eq(fixture.decision.skipped_count, 1);
        ck_assert_int_eq(fixture.decision.skipped->reason, cases[i].reason);
        ck_assert_msg(bytes_contain(fixture.decision.skipped->problem, cases[i].told), "%.*s",
                      BYTES_PRINT(fixture.decision.skipped->problem));
        fixture_close(&fixture);
    }
}
END_TEST

START_TEST(rules_that_say_the_same_share_a_notification_and_others_do_not)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(
        &fixture,
        "rules:\n"
        "- {name: a, when: {event: [order.updated]}, notify: {type: custom, event: e, rooms: "
        "['task:{taskId}'], data: {n: 1}}}\n"
        "- {name: b, when: {event: [order.updated]}, notify: {type: custom, event: e, rooms: "
        "['user:{userId}'], data: {n: 1}}}\n"
        "- {name: c, when: {event: [order.updated]}, notify: {type: custom, event: e, rooms: "
        "['user:{userId}'], data: {n: 2}}}\n"
        "- {name: d, when: {event: [order.updated]}, notify: {type: custom, event: f, rooms: "
        "['user:{userId}'], data: {n: 1}}}\n"
        "- {name: e, when: {event: [order.updated]}, notify: {type: custom, event: f, rooms: "
        "['user:{userId}'], data: {n: 1}, state: '{taskId}'}}\n");
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.batch.output_count, 4);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"rooms\":[\"task:42\",\"user:u1\"]");
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"rules\":[\"a\",\"b\"]");
    ASSERT_HAS(fixture_json(&fixture, 3, &json), "\"item\":{\"key\":\"42\"}");
    char ids[4][33];
    for (size_t i = 0; i < 4; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%.32s", fixture_json(&fixture, i, &json) + 7);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(ids[k], ids[i]);
    }
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_list_gives_a_room_for_each_of_its_elements)
{
    char text[1024];
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture,
                 rule_of("{rooms: ['user:{data.watchers}', 'task:{taskId}-{data.watchers}', "
                         "'user:{data.watchers}']}",
                         text));
    fixture_feed(&fixture, event);
    ASSERT_HAS(fixture_json(&fixture, 0, &json),
               "\"rooms\":[\"user:u2\",\"user:u3\",\"user:7\",\"task:42-u2\",\"task:42-u3\","
               "\"task:42-7\"]");
    /* What is no name is left out and told; the others are told all the same. */
    fixture_feed(&fixture,
                 "{\"event\":\"order.updated\",\"tenantId\":\"t\",\"taskId\":\"1\",\"data\":"
                 "{\"watchers\":[\"a\",null,{\"id\":1},[2],\"\\u0000\",\"\",true]}}");
    ASSERT_HAS(fixture_json(&fixture, 0, &json),
               "\"rooms\":[\"user:a\",\"user:true\",\"task:1-a\",");
    ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_INVALID], 14);
    ck_assert_ptr_nonnull(fixture.decision.skipped);
    ck_assert(bytes_contain(fixture.decision.skipped->problem, "no text, number or boolean"));
    /* Nobody watches: no room is missing. */
    fixture_feed(&fixture,
                 "{\"event\":\"order.updated\",\"tenantId\":\"t\",\"taskId\":\"1\",\"data\":"
                 "{\"watchers\":[]}}");
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_uint_eq(fixture.decision.skipped_count, 0);
    fixture_close(&fixture);
}
END_TEST

/* Or each room of the one would meet each of the other. */
START_TEST(of_two_lists_in_one_room_the_second_is_missing)
{
    char text[1024];
    struct fixture fixture;
    fixture_open(&fixture, rule_of("{rooms: ['user:{data.watchers}{data.lines}']}", text));
    fixture_feed(&fixture, event);
    ck_assert_uint_eq(fixture.decision.skipped_count, 1);
    ck_assert_int_eq(fixture.decision.skipped->reason, ROOM_SKIP_FIELD_MISSING);
    ck_assert(bytes_contain(fixture.decision.skipped->problem, "no data.lines"));
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_list_is_there_for_missing_and_its_length_is_bounded)
{
    auto_buffer struct buffer json = {0};
    const struct pipeline_settings settings = {
        .limits = PIPELINE_LIMITS_DEFAULT, .dead_letter_topic = "dead", .audit_topic = "audit"};
    struct pipeline_settings few = settings;
    struct fixture fixture;
    few.limits.rooms_per_list = 4;
    fixture_open_with(&fixture,
                      "rules: [{name: r, when: {event: [order.updated]}, missing: dead-letter, "
                      "rooms: ['user:{data.watchers}']}]",
                      &few);
    fixture_feed(&fixture, event); /* four elements */
    ck_assert(!fixture.decision.dead);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"rooms\":[\"user:u2\",");
    fixture_feed(&fixture, "{\"event\":\"order.updated\",\"tenantId\":\"t\",\"data\":{\"watchers\":"
                           "[1,1,1,1,1]}}");
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    ASSERT_HAS(fixture.decision.problem, "dispatcher.limits.rooms_per_list), at rule r");
    fixture_feed(&fixture, "{\"event\":\"order.updated\",\"tenantId\":\"t\",\"data\":{}}");
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_FIELD_MISSING);
    ASSERT_HAS(fixture.decision.problem, "needs data.watchers");
    fixture_close(&fixture);
}
END_TEST

/* Each field of 400 bytes stands in the data many times: what is made stops at the limit. */
START_TEST(data_that_grows_beyond_the_limit_is_a_dead_letter)
{
    auto_buffer struct buffer rules = {0};
    auto_buffer struct buffer large = {0};
    const struct pipeline_settings settings = {.limits = {.event_bytes = 10000,
                                                          .notification_bytes = 2000,
                                                          .rooms_per_event = 10,
                                                          .rooms_per_list = 10,
                                                          .values = 1000,
                                                          .steps = 100000,
                                                          .hops = 1},
                                               .dead_letter_topic = "dead"};
    struct fixture fixture;
    buffer_append_string(&rules, "rules: [{name: r, when: {event: [order.updated]}, notify: {type: "
                                 "custom, event: e, rooms: ['tenant:t'], data: [");
    for (int i = 0; i < 250; i++)
        buffer_append_string(&rules, "'{data}',");
    buffer_append_string(&rules, "]}}]");
    buffer_append_byte(&rules, 0);
    buffer_append_format(
        &large, "{\"event\":\"order.updated\",\"tenantId\":\"t\",\"data\":\"%0400d\"}%c", 0, 0);
    fixture_open_with(&fixture, (const char *)buffer_peek(&rules).data, &settings);
    fixture_feed(&fixture, (const char *)buffer_peek(&large).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    ASSERT_HAS(fixture.decision.problem, "dispatcher.limits.notification_size), at rule r");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("custom_event", without_data_it_has_that_of_the_event,
             a_field_is_given_as_it_stands_in_the_event,
             what_a_rule_writes_is_json_with_the_fields_put_in, a_name_may_come_from_the_event,
             a_name_that_cannot_be_is_left_out_and_told,
             rules_that_say_the_same_share_a_notification_and_others_do_not,
             a_list_gives_a_room_for_each_of_its_elements,
             of_two_lists_in_one_room_the_second_is_missing,
             a_list_is_there_for_missing_and_its_length_is_bounded,
             data_that_grows_beyond_the_limit_is_a_dead_letter)
