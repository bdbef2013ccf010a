#include "ws_json.h"

#include "suite.h"

static const struct ws_json_limits limits = {.json_depth = 5, .rooms = 3, .id_bytes = 8};

static enum status decode(const char *text, struct ws_json_message *message)
{
    return ws_json_decode(bytes_of_string(text), &limits, message);
}

START_TEST(messages_are_read)
{
    struct ws_json_message m;
    auto_buffer struct buffer scratch = {0};
    struct bytes room;
    ck_assert_int_eq(
        decode("{\"type\":\"connect\",\"id\":1,\"token\":\"a\\/b\",\"cursor\":\"c\"}", &m),
        STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_CONNECT);
    ck_assert(bytes_equal_string(m.id, "1"));
    ck_assert(bytes_equal_string(ws_json_string(m.token, &scratch), "a/b"));
    ck_assert(bytes_equal_string(ws_json_string(m.cursor, &scratch), "c"));
    ck_assert(!m.heartbeat);
    ck_assert_int_eq(decode("{\"type\":\"connect\",\"session\":\"s\",\"heartbeat\":true,"
                            "\"auth\":{\"user\":\"u\"}}",
                            &m),
                     STATUS_OK);
    ck_assert(m.heartbeat);
    ck_assert(bytes_equal_string(ws_json_string(m.session, &scratch), "s"));
    ck_assert(bytes_equal_string(m.auth, "{\"user\":\"u\"}"));
    ck_assert_int_eq(decode("{\"type\":\"pong\"}", &m), STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_PONG);
    ck_assert_int_eq(decode("{\"type\":\"connect\"}", &m), STATUS_OK);
    ck_assert_uint_eq(ws_json_string(m.cursor, &scratch).size, 0);
    ck_assert_int_eq(
        decode(" { \"rooms\" : [ \"task:42\" , \"a,\\\"b\" ] , \"type\" : \"subscribe\" } ", &m),
        STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_SUBSCRIBE);
    ck_assert_uint_eq(m.room_count, 2);
    ck_assert(ws_json_next_room(&m.rooms, &scratch, &room));
    ck_assert(bytes_equal_string(room, "task:42"));
    ck_assert(ws_json_next_room(&m.rooms, &scratch, &room));
    ck_assert(bytes_equal_string(room, "a,\"b"));
    ck_assert(!ws_json_next_room(&m.rooms, &scratch, &room));
    ck_assert_int_eq(decode("{\"type\":\"event\",\"id\":\"x\",\"event\":\"say\","
                            "\"data\":{\"b\":1.50,\"a\":[]},\"later\":{\"id\":2}}",
                            &m),
                     STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_EVENT);
    ck_assert(bytes_equal_string(m.id, "\"x\""));
    ck_assert(bytes_equal_string(m.data, "{\"b\":1.50,\"a\":[]}"));
    ck_assert_int_eq(decode("{\"type\":\"unsubscribe\",\"rooms\":[\"\"]}", &m), STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_UNSUBSCRIBE);
    ck_assert_int_eq(decode("{\"type\":\"token\",\"token\":\"t\"}", &m), STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_TOKEN);
    ck_assert_int_eq(decode("{\"\\u0074ype\":\"p\\u0069ng\"}", &m), STATUS_OK);
    ck_assert_int_eq(m.kind, WS_JSON_PING);
}
END_TEST

START_TEST(what_is_no_message_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"type\":1}",
        "{\"type\":\"ping\"",
        "{\"type\":\"ping\"}x",
        "{\"type\":\"ping\",\"type\":\"ping\"}",
        "{\"type\":\"ping\",\"id\":null}",
        "{\"type\":\"ping\",\"id\":{}}",
        "{\"type\":\"subscribe\"}",
        "{\"type\":\"subscribe\",\"rooms\":[]}",
        "{\"type\":\"subscribe\",\"rooms\":\"a\"}",
        "{\"type\":\"subscribe\",\"rooms\":[1]}",
        "{\"type\":\"subscribe\",\"rooms\":[\"a\",[]]}",
        "{\"type\":\"event\"}",
        "{\"type\":\"event\",\"event\":1}",
        "{\"type\":\"token\"}",
        "{\"type\":\"token\",\"token\":null}",
        "{\"type\":\"connect\",\"cursor\":1}",
        "{\"type\":\"connect\",\"session\":{}}",
        "{\"type\":\"connect\",\"auth\":\"u\"}",
        "{\"type\":\"connect\",\"heartbeat\":1}",
    };
    struct ws_json_message message;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(decode(bad[i], &message) == STATUS_MALFORMED, "%s", bad[i]);
}
END_TEST

START_TEST(limits_are_inclusive)
{
    struct ws_json_message m;
    ck_assert_int_eq(decode("{\"type\":\"subscribe\",\"rooms\":[\"a\",\"b\",\"c\"]}", &m),
                     STATUS_OK);
    ck_assert_int_eq(decode("{\"type\":\"subscribe\",\"rooms\":[\"a\",\"b\",\"c\",\"d\"]}", &m),
                     STATUS_LIMIT);
    ck_assert_int_eq(decode("{\"type\":\"ping\",\"id\":12345678}", &m), STATUS_OK);
    ck_assert_int_eq(decode("{\"type\":\"ping\",\"id\":123456789}", &m), STATUS_TOO_LARGE);
    ck_assert_int_eq(decode("{\"type\":\"ping\",\"x\":[[[[]]]]}", &m), STATUS_OK);
    ck_assert_int_eq(decode("{\"type\":\"ping\",\"x\":[[[[[]]]]]}", &m), STATUS_TOO_DEEP);
}
END_TEST

START_TEST(an_unknown_type_can_be_answered)
{
    struct ws_json_message message;
    ck_assert_int_eq(decode("{\"type\":\"dance\",\"id\":7}", &message), STATUS_UNSUPPORTED);
    ck_assert(bytes_equal_string(message.id, "7"));
}
END_TEST

static void expect_text(struct buffer *out, const char *expected)
{
    buffer_append_byte(out, 0);
    ck_assert_str_eq((const char *)out->data, expected);
    buffer_clear(out);
}

START_TEST(answers_are_written)
{
    auto_buffer struct buffer out = {0};
    struct bytes none = {0}, id = BYTES_LITERAL("\"x\"");
    struct ws_json_welcome welcome = {.id = BYTES_LITERAL("1"),
                                      .sid = BYTES_LITERAL("s"),
                                      .session = BYTES_LITERAL("p"),
                                      .cursor = BYTES_LITERAL("c"),
                                      .recovered = true,
                                      .ping_interval_ms = 25000,
                                      .ping_timeout_ms = 20000};
    ws_json_append_welcome(&out, &welcome);
    expect_text(&out, "{\"type\":\"welcome\",\"id\":1,\"sid\":\"s\",\"session\":\"p\","
                      "\"recovered\":true,\"pingIntervalMs\":25000,\"pingTimeoutMs\":20000,"
                      "\"cursor\":\"c\"}");
    welcome = (struct ws_json_welcome){.sid = BYTES_LITERAL("s"),
                                       .reason = BYTES_LITERAL("too_far"),
                                       .ping_interval_ms = 1,
                                       .ping_timeout_ms = 2};
    ws_json_append_welcome(&out, &welcome);
    expect_text(&out, "{\"type\":\"welcome\",\"sid\":\"s\",\"recovered\":false,"
                      "\"reason\":\"too_far\",\"pingIntervalMs\":1,\"pingTimeoutMs\":2}");
    ws_json_append_ack(&out, id, BYTES_LITERAL("{\"a\":1}"));
    expect_text(&out, "{\"type\":\"ack\",\"id\":\"x\",\"data\":{\"a\":1}}");
    ws_json_append_history_ack(&out, id, 3, false);
    expect_text(&out,
                "{\"type\":\"ack\",\"id\":\"x\",\"history\":{\"count\":3,\"complete\":false}}");
    ws_json_append_history(&out, BYTES_LITERAL("task:\"1"), BYTES_LITERAL("e"),
                           BYTES_LITERAL("{}"));
    ws_json_append_tail(&out, BYTES_LITERAL("c"));
    expect_text(&out, "{\"type\":\"history\",\"room\":\"task:\\\"1\",\"event\":\"e\",\"data\":{},"
                      "\"cursor\":\"c\"}");
    ws_json_append_state_ack(&out, id, 3, false, 17);
    expect_text(&out, "{\"type\":\"ack\",\"id\":\"x\",\"state\":{\"count\":3,\"complete\":false,"
                      "\"since\":17}}");
    auto_buffer struct buffer list = {0};
    ws_json_append_item(&list, BYTES_LITERAL("e"), BYTES_LITERAL("{}"));
    ws_json_append_item(&list, BYTES_LITERAL("e"), BYTES_LITERAL("{}"));
    ws_json_append_state(&out, BYTES_LITERAL("task:\"1"), true, buffer_peek(&list));
    ws_json_append_tail(&out, BYTES_LITERAL("c"));
    expect_text(&out,
                "{\"type\":\"state\",\"room\":\"task:\\\"1\",\"first\":true,\"items\":["
                "{\"event\":\"e\",\"data\":{}},{\"event\":\"e\",\"data\":{}}],\"cursor\":\"c\"}");
    ws_json_append_error(&out, none, "bad", BYTES_LITERAL("a \"b\""), 0);
    expect_text(&out,
                "{\"type\":\"error\",\"error\":{\"code\":\"bad\",\"message\":\"a \\\"b\\\"\"}}");
    ws_json_append_error(&out, BYTES_LITERAL("7"), "rate_limited", BYTES_LITERAL("no"), 3);
    expect_text(
        &out,
        "{\"type\":\"error\",\"id\":7,\"error\":{\"code\":\"rate_limited\",\"message\":\"no\","
        "\"retryAfter\":3}}");
    ws_json_append_rooms_error(&out, BYTES_LITERAL("2"), "not_allowed", BYTES_LITERAL("no \"way\""),
                               2, BYTES_LITERAL("[{\"room\":\"a:b\",\"code\":\"not_allowed\"}]"));
    expect_text(&out,
                "{\"type\":\"error\",\"id\":2,\"error\":{\"code\":\"not_allowed\","
                "\"message\":\"no \\\"way\\\"\",\"retryAfter\":2,\"rooms\":[{\"room\":\"a:b\","
                "\"code\":\"not_allowed\"}]}}");
    ws_json_append_subscribed(&out, BYTES_LITERAL("task:\"1"), BYTES_LITERAL("c"));
    expect_text(&out, "{\"type\":\"subscribed\",\"room\":\"task:\\\"1\",\"cursor\":\"c\"}");
    ws_json_append_unsubscribed(&out, BYTES_LITERAL("task:\"1"), "not_allowed", BYTES_LITERAL("c"));
    expect_text(&out, "{\"type\":\"unsubscribed\",\"room\":\"task:\\\"1\","
                      "\"reason\":\"not_allowed\",\"cursor\":\"c\"}");
    ws_json_append_presence(&out, BYTES_LITERAL("{\"room\":\"a:1\",\"count\":0}"),
                            BYTES_LITERAL("c"));
    expect_text(&out, "{\"type\":\"presence\",\"room\":\"a:1\",\"count\":0,\"cursor\":\"c\"}");
    ws_json_append_stale(&out, 1234567890123, BYTES_LITERAL("c"));
    expect_text(&out, "{\"type\":\"stale\",\"since\":1234567890123,\"cursor\":\"c\"}");
    ws_json_append_live(&out, none);
    expect_text(&out, "{\"type\":\"live\"}");
    ws_json_append_token_expired(&out, 30000);
    expect_text(&out, "{\"type\":\"token_expired\",\"graceMs\":30000}");
    ws_json_append_ping(&out);
    expect_text(&out, "{\"type\":\"ping\"}");
    ws_json_append_pong(&out, none);
    expect_text(&out, "{\"type\":\"pong\"}");
    ws_json_append_cursor(&out, BYTES_LITERAL("c"));
    expect_text(&out, "{\"type\":\"cursor\",\"cursor\":\"c\"}");
    ws_json_begin_notification(&out, BYTES_LITERAL("task.status"));
    buffer_append_string(&out, "{\"a\":1}");
    size_t body = buffer_size(&out);
    ws_json_append_tail(&out, BYTES_LITERAL("cur"));
    ck_assert_uint_eq(buffer_size(&out) - body, ws_json_tail_size(3));
    expect_text(&out, "{\"type\":\"notification\",\"event\":\"task.status\",\"data\":{\"a\":1},"
                      "\"cursor\":\"cur\"}");
    ws_json_append_tail(&out, none);
    ck_assert_uint_eq(buffer_size(&out), ws_json_tail_size(0));
}
END_TEST

TEST_PROGRAM("ws_json", messages_are_read, what_is_no_message_is_refused, limits_are_inclusive,
             an_unknown_type_can_be_answered, answers_are_written)
