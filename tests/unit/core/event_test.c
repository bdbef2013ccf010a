#include "event.h"

#include "instant.h"
#include "mem.h"
#include "suite.h"
#include "task_event.pb-c.h"

#define TEXT(literal) BYTES_LITERAL(literal)
#define HEADER(name, value)                       \
    {                                             \
        BYTES_LITERAL(name), BYTES_LITERAL(value) \
    }

static struct record record_of(struct bytes value, const struct record_header *headers,
                               size_t header_count)
{
    return (struct record){.topic = TEXT("tasks.events"),
                           .value = value,
                           .has_value = true,
                           .headers = headers,
                           .header_count = header_count};
}

static void assert_event(const struct record *record, enum event_format format,
                         const char *expected)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes json;
    enum event_format found;
    struct error error = {0};
    ck_assert_msg(event_canonical(record, &scratch, &json, &found, &error) == STATUS_OK, "%s",
                  error.text);
    ck_assert_int_eq(found, format);
    ck_assert_msg(bytes_equal_string(json, expected), "%.*s", BYTES_PRINT(json));
}

static void assert_refused(const struct record *record, enum status status)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes json;
    enum event_format format;
    struct error error = {0};
    ck_assert_int_eq(event_canonical(record, &scratch, &json, &format, &error), status);
    ck_assert_int_ne(error.text[0], 0);
}

START_TEST(json_is_taken_as_it_is)
{
    static const struct record_header types[][1] = {
        {HEADER("content-type", "application/json")},
        {HEADER("Content-Type", "application/json; charset=utf-8")},
        {HEADER("content-type", "application/vnd.task+json")},
        {HEADER("content-type", "TEXT/JSON")},
        {HEADER("content-type", "")},
    };
    struct bytes value = TEXT("{\"id\": 1e400}");
    struct record record = record_of(value, NULL, 0);
    assert_event(&record, EVENT_JSON, "{\"id\": 1e400}");
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        record = record_of(value, types[i], 1);
        assert_event(&record, EVENT_JSON, "{\"id\": 1e400}");
    }
}
END_TEST

START_TEST(other_content_types_are_refused)
{
    static const struct record_header types[][1] = {
        {HEADER("content-type", "text/plain")},
        {HEADER("content-type", "application/xml")},
        {HEADER("content-type", "application/cloudevents-batch+json")},
        {HEADER("content-type", "+json")},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct record record = record_of(TEXT("{}"), types[i], 1);
        assert_refused(&record, STATUS_UNSUPPORTED);
    }
    struct record record = record_of(bytes_of(NULL, 0), NULL, 0);
    record.has_value = false;
    assert_refused(&record, STATUS_UNSUPPORTED);
}
END_TEST

START_TEST(a_structured_cloud_event_becomes_an_event)
{
    static const struct record_header headers[] = {
        HEADER("content-type", "application/cloudevents+json; charset=UTF-8")};
    struct record record = record_of(
        TEXT("{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\",\"type\":\"task.created\","
             "\"subject\":\"42\",\"time\":\"2026-03-02T08:01:56Z\",\"tenantid\":\"acme\","
             "\"userid\":\"u\",\"projectid\":\"p\",\"tasktype\":\"ocr\",\"priority\":\"high\","
             "\"nothing\":null,\"data\":{\"n\":12345678901234567890, \"z\":1}}"),
        headers, 1);
    assert_event(
        &record, EVENT_CLOUD_STRUCTURED,
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\",\"event\":\"task.created\","
        "\"taskId\":\"42\",\"time\":\"2026-03-02T08:01:56Z\",\"tenantId\":\"acme\","
        "\"userId\":\"u\",\"projectId\":\"p\",\"type\":\"ocr\",\"priority\":\"high\","
        "\"data\":{\"n\":12345678901234567890, \"z\":1}}");
    record.value = TEXT("{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\",\"type\":\"t\","
                        "\"subject\":\"doc\",\"taskid\":\"42\"}");
    assert_event(&record, EVENT_CLOUD_STRUCTURED,
                 "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\",\"event\":\"t\","
                 "\"subject\":\"doc\",\"taskId\":\"42\"}");
}
END_TEST

START_TEST(a_cloud_event_that_is_none_is_refused)
{
    static const struct record_header headers[] = {
        HEADER("content-type", "application/cloudevents+json")};
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{}x",
        "{\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}",
        "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\"}",
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}",
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\"}",
        "{\"specversion\":\"1.0\",\"id\":null,\"source\":\"s\",\"type\":\"t\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct record record = record_of(bytes_of_string(texts[i]), headers, 1);
        assert_refused(&record, STATUS_MALFORMED);
    }
}
END_TEST

#define BINARY(type)                                                                         \
    HEADER("ce_specversion", "1.0"), HEADER("ce_id", "e\"1"), HEADER("ce_source", "/s"),     \
        HEADER("ce_type", "task.created"), HEADER("ce_subject", "42"), HEADER("other", "x"), \
        HEADER("content-type", type)
#define BINARY_START                                                                           \
    "{\"specversion\":\"1.0\",\"id\":\"e\\\"1\",\"source\":\"/s\",\"event\":\"task.created\"," \
    "\"taskId\":\"42\""

START_TEST(a_binary_cloud_event_becomes_an_event)
{
    static const struct record_header json[] = {BINARY("application/json")};
    static const struct record_header text[] = {BINARY("text/plain; charset=utf-8")};
    static const struct record_header other[] = {BINARY("application/octet-stream")};
    static const struct record_header none[] = {BINARY("")};
    struct record record = record_of(TEXT("{\"n\": 1.0}"), json, 7);
    assert_event(&record, EVENT_CLOUD_BINARY, BINARY_START ",\"data\":{\"n\": 1.0}}");
    record = record_of(TEXT("[1]"), none, 7);
    assert_event(&record, EVENT_CLOUD_BINARY, BINARY_START ",\"data\":[1]}");
    record = record_of(TEXT("a \"b\""), text, 7);
    assert_event(&record, EVENT_CLOUD_BINARY, BINARY_START ",\"data\":\"a \\\"b\\\"\"}");
    record = record_of(TEXT("\xff\x00\x01\x02"), other, 7);
    assert_event(&record, EVENT_CLOUD_BINARY, BINARY_START ",\"data_base64\":\"/wABAg==\"}");
    record = record_of(bytes_of(NULL, 0), json, 7);
    record.has_value = false;
    assert_event(&record, EVENT_CLOUD_BINARY, BINARY_START "}");
    record = record_of(TEXT("{\"n\": 1.0"), json, 7);
    assert_refused(&record, STATUS_MALFORMED);
    record = record_of(TEXT("1}, {"), json, 7);
    assert_refused(&record, STATUS_MALFORMED);
    record = record_of(TEXT("{}"), json + 1, 6);
    assert_refused(&record, STATUS_MALFORMED);
}
END_TEST

static void pack(const Smartstack__V1__TaskEvent *event, struct buffer *out)
{
    size_t size = smartstack__v1__task_event__get_packed_size(event);
    buffer_commit(out, smartstack__v1__task_event__pack(event, buffer_reserve(out, size)));
}

START_TEST(a_protobuf_event_becomes_an_event)
{
    static const struct record_header headers[] = {
        HEADER("content-type", "application/x-protobuf")};
    static char *tags[] = {(char *)(uintptr_t) "a", (char *)(uintptr_t) "b"};
    static uint8_t data[] = "{\"z\":1,\"a\":12345678901234567890}";
    static uint8_t extra[] = " {\"seq\": 7 , \"k\\n\":[]} ";
    static const char expected[] =
        "{\"id\":\"e1\",\"event\":\"task.created\",\"tenantId\":\"acme\",\"taskId\":\"42\","
        "\"progress\":0,\"tags\":[\"a\",\"b\"],\"data\":{\"z\":1,\"a\":12345678901234567890},"
        "\"seq\":7,\"k\\n\":[]}";
    Smartstack__V1__TaskEvent event = SMARTSTACK__V1__TASK_EVENT__INIT;
    event.id = (char *)(uintptr_t) "e1";
    event.event = (char *)(uintptr_t) "task.created";
    event.tenant_id = (char *)(uintptr_t) "acme";
    event.task_id = (char *)(uintptr_t) "42";
    event.progress_known_case = SMARTSTACK__V1__TASK_EVENT__PROGRESS_KNOWN_PROGRESS;
    event.n_tags = 2;
    event.tags = tags;
    event.data = (ProtobufCBinaryData){sizeof(data) - 1, data};
    event.extra = (ProtobufCBinaryData){sizeof(extra) - 1, extra};
    auto_buffer struct buffer value = {0};
    pack(&event, &value);
    struct record record = record_of(buffer_peek(&value), headers, 1);
    assert_event(&record, EVENT_PROTOBUF, expected);

    /* Confluent's wire format: a schema id, and the first message as 0 or as the list [0]. */
    static const struct bytes prefixes[] = {BYTES_LITERAL("\0\0\0\0\7\0"),
                                            BYTES_LITERAL("\0\0\0\0\7\2\0")};
    for (size_t i = 0; i < 2; i++) {
        auto_buffer struct buffer framed = {0};
        buffer_append(&framed, prefixes[i]);
        buffer_append(&framed, buffer_peek(&value));
        record = record_of(buffer_peek(&framed), headers, 1);
        assert_event(&record, EVENT_PROTOBUF, expected);
    }
}
END_TEST

START_TEST(a_protobuf_event_that_is_none_is_refused)
{
    static const struct record_header headers[] = {HEADER("content-type", "application/protobuf")};
    static const struct bytes values[] = {
        BYTES_LITERAL("{}"),
        BYTES_LITERAL("\x0a\x05x"),
        BYTES_LITERAL("\0"),
        BYTES_LITERAL("\0\0\0\0\1"),
        BYTES_LITERAL("\0\0\0\0\1\4\0"),
        BYTES_LITERAL("\0\0\0\0\1\1"),
        BYTES_LITERAL("\x72\x01{"),
        BYTES_LITERAL("\x7a\x02[]"),
        BYTES_LITERAL("\x7a\x03{}}"),
        BYTES_LITERAL("\x61\0\0\0\0\0\0\xf0\x7f"), /* progress: infinity */
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct record record = record_of(values[i], headers, 1);
        assert_refused(&record, STATUS_MALFORMED);
    }
}
END_TEST

START_TEST(instants_are_read_and_written)
{
    static const struct {
        const char *text;
        int64_t instant_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-03-02T08:01:56.419Z", 1772438516419},
        {"2026-03-02t08:01:56.4191234z", 1772438516419},
        {"2026-03-02T09:01:56.419+01:00", 1772438516419},
        {"2000-02-29T23:59:60Z", 951868800000},
        {"1969-12-31T23:59:59Z", -1000},
    };
    static const char *const bad[] = {
        "",
        "2026-03-02",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-03-02T24:00:00Z",
        "2026-03-02T08:01:56",
        "2026-03-02T08:01:56.Z",
        "2026-03-02T08:01:56Zx",
        "2026-03-02T08:01:56+0100",
        "2026-03-02 08:01:56Z",
        "20260302T080156Z",
    };
    char text[INSTANT_TEXT_SIZE];
    int64_t instant_ms;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(instant_parse(bytes_of_string(cases[i].text), &instant_ms), "%s",
                      cases[i].text);
        ck_assert_int_eq(instant_ms, cases[i].instant_ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!instant_parse(bytes_of_string(bad[i]), &instant_ms), "%s", bad[i]);
    ck_assert(instant_format(1772438516419, text));
    ck_assert_str_eq(text, "2026-03-02T08:01:56.419Z");
    for (int64_t ms = 0; ms < 253402300800000; ms += 86399999 * INT64_C(37)) {
        ck_assert(instant_format(ms, text));
        ck_assert(instant_parse(bytes_of_string(text), &instant_ms));
        ck_assert_int_eq(instant_ms, ms);
    }
    ck_assert(!instant_format(-1, text));
    ck_assert(!instant_format(253402300800000, text));
}
END_TEST

TEST_PROGRAM("event", json_is_taken_as_it_is, other_content_types_are_refused,
             a_structured_cloud_event_becomes_an_event, a_cloud_event_that_is_none_is_refused,
             a_binary_cloud_event_becomes_an_event, a_protobuf_event_becomes_an_event,
             a_protobuf_event_that_is_none_is_refused, instants_are_read_and_written)
