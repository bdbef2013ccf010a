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

START_TEST(the_content_type_of_a_topic_is_the_only_one)
{
    static const struct record_header octets[] = {HEADER("content-type", "image/png")};
    static const struct record_header json[] = {HEADER("content-type", "application/json")};
    const struct bytes protobuf = TEXT("\x0a\x01x");
    struct record record = record_of(TEXT("{\"id\":1}"), octets, 1);
    assert_refused(&record, STATUS_UNSUPPORTED);
    record.content_type = BYTES_LITERAL("application/json");
    assert_event(&record, EVENT_JSON, "{\"id\":1}");
    record = record_of(protobuf, json, 1);
    record.content_type = BYTES_LITERAL("application/protobuf");
    assert_event(&record, EVENT_PROTOBUF, "{\"id\":\"x\"}");
    record.header_count = 0;
    assert_event(&record, EVENT_PROTOBUF, "{\"id\":\"x\"}");
    record.content_type = BYTES_LITERAL("application/cloudevents+json");
    record.value = TEXT("{\"id\":1}");
    assert_refused(&record, STATUS_MALFORMED);
}
END_TEST

START_TEST(content_types_that_are_read_are_known)
{
    static const char *const read[] = {
        "application/json",        "application/json; charset=utf-8",   "application/x.y+json",
        "Application/CloudEvents", "application/cloudevents+json",      "text/json",
        "application/x-protobuf",  "application/cloudevents-batch+json"};
    static const char *const other[] = {"",
                                        "json",
                                        "avro/binary",
                                        "application/cloudevents+avro",
                                        "text/plain",
                                        "application/json; charset=latin1"};
    for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++)
        ck_assert_msg(event_reads_type(bytes_of_string(read[i])), "%s", read[i]);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        ck_assert_msg(!event_reads_type(bytes_of_string(other[i])), "%s", other[i]);
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
    assert_event(&record, EVENT_CLOUD_BINARY, BINARY_START ",\"data\":{\"base64\":\"/wABAg==\"}}");
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

START_TEST(what_is_plainly_a_time_is_taken)
{
    static const struct {
        const char *text;
        int64_t instant_ms;
    } cases[] = {
        {"1772438516419", 1772438516419},
        {"1772438516", 1772438516000},
        {"1772438516.419", 1772438516419},
        {"100000000", 100000000000},
        {"2026-03-02T08:01:56", 1772438516000},
        {"2026-03-02 08:01:56.419", 1772438516419},
        {"2026-03-02 08:01:56Z", 1772438516000},
        {"2026-03-02T09:01:56.419+0100", 1772438516419},
        {"2026-03-02T07:01:56-0100", 1772438516000},
    };
    static const char *const bad[] = {
        "",
        "0",
        "56",
        "99999999",
        "100000000000000",
        "1772438516419000",
        "-1772438516419",
        "1.7e12",
        "2026-03-02",
        "02.03.2026 08:01:56",
        "Mon, 02 Mar 2026 08:01:56 GMT",
        "2026-03-02T08:01",
        "2026-02-30T08:01:56",
        "2026-03-02T08:01:56 ",
        "tomorrow, at half past ten",
        "1772438516419 ",
    };
    int64_t instant_ms;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(instant_guess(bytes_of_string(cases[i].text), &instant_ms), "%s",
                      cases[i].text);
        ck_assert_msg(instant_ms == cases[i].instant_ms, "%s: %lld", cases[i].text,
                      (long long)instant_ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!instant_guess(bytes_of_string(bad[i]), &instant_ms), "%s", bad[i]);
}
END_TEST

static const struct record_header structured[] = {
    HEADER("content-type", "application/cloudevents+json")};
#define STRUCTURED(rest) \
    TEXT("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"" rest "}")
#define STRUCTURED_START "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"event\":\"t\""

START_TEST(base64_data_of_a_structured_event_is_what_it_holds)
{
    struct record record =
        record_of(STRUCTURED(",\"data_base64\":\"eyJuIjogMS4wfQ==\""), structured, 1);
    assert_event(&record, EVENT_CLOUD_STRUCTURED, STRUCTURED_START ",\"data\":{\"n\": 1.0}}");
    record.value = STRUCTURED(
        ",\"data_base64\":\"eyJuIjogMS4wfQ==\",\"datacontenttype\":\"application\\/json\"");
    assert_event(&record, EVENT_CLOUD_STRUCTURED,
                 STRUCTURED_START
                 ",\"datacontenttype\":\"application\\/json\",\"data\":{\"n\": 1.0}}");
    record.value =
        STRUCTURED(",\"datacontenttype\":\"text/plain; charset=utf-8\",\"data_base64\":\"w6kh\"");
    assert_event(&record, EVENT_CLOUD_STRUCTURED,
                 STRUCTURED_START
                 ",\"datacontenttype\":\"text/plain; charset=utf-8\",\"data\":\"\xc3\xa9!\"}");
    record.value = STRUCTURED(",\"datacontenttype\":\"image/png\",\"data_base64\":\"\\/wABAg==\"");
    assert_event(&record, EVENT_CLOUD_STRUCTURED,
                 STRUCTURED_START
                 ",\"datacontenttype\":\"image/png\",\"data\":{\"base64\":\"/wABAg==\"}}");
    record.value = STRUCTURED(",\"data_base64\":\"\"");
    assert_event(&record, EVENT_CLOUD_STRUCTURED, STRUCTURED_START ",\"data\":\"\"}");
    /* Version 0.3 said so in another attribute. */
    record.value =
        TEXT("{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"data\":"
             "\"eyJuIjogMS4wfQ==\",\"datacontentencoding\":\"base64\"}");
    assert_event(&record, EVENT_CLOUD_STRUCTURED,
                 "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"event\":\"t\","
                 "\"datacontentencoding\":\"base64\",\"data\":{\"n\": 1.0}}");
    static const struct bytes bad[] = {
        STRUCTURED(",\"data_base64\":\"eyJuIjogMS4wfQ=\""),
        STRUCTURED(",\"data_base64\":\"e===\""),
        STRUCTURED(",\"data_base64\":\"ab==cdef\""),
        STRUCTURED(",\"data_base64\":\" YWJj\""),
        STRUCTURED(",\"data_base64\":5"),
        STRUCTURED(",\"data_base64\":\"YWJj\",\"data\":1"),
        STRUCTURED(",\"data_base64\":\"eyJu\""),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        record.value = bad[i];
        assert_refused(&record, STATUS_MALFORMED);
    }
}
END_TEST

START_TEST(every_spelling_of_a_cloud_event_is_one)
{
    static const struct record_header bare[] = {HEADER("content-type", "application/cloudevents")};
    static const struct record_header charset[] = {
        HEADER("Content-Type", "Application/CloudEvents+JSON; charset=\"UTF-8\"")};
    const struct record_header *const headers[] = {bare, charset, structured};
    for (size_t i = 0; i < 3; i++) {
        struct record record = record_of(STRUCTURED(",\"\\u0064ata\":7"), headers[i], 1);
        assert_event(&record, EVENT_CLOUD_STRUCTURED, STRUCTURED_START ",\"data\":7}");
        record.value = TEXT(
            "\xEF\xBB\xBF{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}");
        assert_event(&record, EVENT_CLOUD_STRUCTURED, STRUCTURED_START "}");
        record.value = TEXT(
            "\0\0\0\0\7{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}");
        assert_event(&record, EVENT_CLOUD_STRUCTURED, STRUCTURED_START "}");
        /* The type is the event: an extension of that name is no second one. */
        record.value = STRUCTURED(",\"event\":\"other\"");
        assert_event(&record, EVENT_CLOUD_STRUCTURED, STRUCTURED_START "}");
    }
}
END_TEST

START_TEST(forms_that_are_not_read_are_told)
{
    static const struct {
        const char *type;
        const char *word;
    } cases[] = {
        {"application/cloudevents-batch+json", "a batch"},
        {"application/cloudevents+avro", "only JSON"},
        {"application/cloudevents+protobuf", "only JSON"},
        {"application/cloudevents+xml", "only JSON"},
        {"application/json; charset=utf-16", "only UTF-8"},
        {"application/avro", "not an event"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct record_header headers[] = {
            {BYTES_LITERAL("content-type"), bytes_of_string(cases[i].type)}};
        struct record record = record_of(TEXT("{}"), headers, 1);
        auto_buffer struct buffer scratch = {0};
        struct bytes json;
        enum event_format format;
        struct error error = {0};
        ck_assert_int_eq(event_canonical(&record, &scratch, &json, &format, &error),
                         STATUS_UNSUPPORTED);
        ck_assert_msg(strstr(error.text, cases[i].word) != NULL, "%s", error.text);
    }
    struct record record =
        record_of(TEXT("{\"specversion\":\"2.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}"),
                  structured, 1);
    assert_refused(&record, STATUS_UNSUPPORTED);
}
END_TEST

START_TEST(framing_is_passed_over)
{
    static const struct bytes values[] = {
        BYTES_LITERAL("\0\0\0\0\7{\"id\":1}"),
        BYTES_LITERAL("\1ABCDEFGHIJKLMNOP{\"id\":1}"),
        BYTES_LITERAL("\xEF\xBB\xBF{\"id\":1}"),
        BYTES_LITERAL("\0\0\0\0\7\xEF\xBB\xBF{\"id\":1}"),
    };
    static const struct record_header json[] = {HEADER("content-type", "application/json")};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct record record = record_of(values[i], NULL, 0);
        assert_event(&record, EVENT_JSON, "{\"id\":1}");
        record = record_of(values[i], json, 1);
        assert_event(&record, EVENT_JSON, "{\"id\":1}");
    }
}
END_TEST

START_TEST(protobuf_is_known_by_its_framing)
{
    static const struct record_header schema[] = {
        HEADER("__value_schema_id", "\1ABCDEFGHIJKLMNOP\0")};
    Smartstack__V1__TaskEvent event = SMARTSTACK__V1__TASK_EVENT__INIT;
    event.id = (char *)(uintptr_t) "e1";
    auto_buffer struct buffer value = {0};
    pack(&event, &value);
    static const struct bytes prefixes[] = {
        BYTES_LITERAL("\0\0\0\0\7\0"), BYTES_LITERAL("\0\0\0\0\7\2\0"),
        BYTES_LITERAL("\0\0\0\0\7\1\0"), BYTES_LITERAL("\1ABCDEFGHIJKLMNOP\0")};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        auto_buffer struct buffer framed = {0};
        buffer_append(&framed, prefixes[i]);
        buffer_append(&framed, buffer_peek(&value));
        struct record record = record_of(buffer_peek(&framed), NULL, 0);
        assert_event(&record, EVENT_PROTOBUF, "{\"id\":\"e1\"}");
    }
    struct record record = record_of(buffer_peek(&value), schema, 1);
    assert_event(&record, EVENT_PROTOBUF, "{\"id\":\"e1\"}");
    record = record_of(TEXT("{\"id\":1}"), schema, 1);
    assert_event(&record, EVENT_JSON, "{\"id\":1}");
    record = record_of(TEXT("\0\0\0\0\7\2Hneither"), NULL, 0);
    assert_refused(&record, STATUS_MALFORMED);
}
END_TEST

START_TEST(a_text_with_a_nul_is_not_cut)
{
    static const struct record_header headers[] = {HEADER("content-type", "application/protobuf")};
    static const struct bytes values[] = {
        BYTES_LITERAL("\x2a\x06t\0evil"),      /* tenant_id */
        BYTES_LITERAL("\x0a\x01x\x42\x02\0y"), /* task_id, after another field */
        BYTES_LITERAL("\x2a\x02t\0\x2a\x01t"), /* replaced by a later one: all the same */
        BYTES_LITERAL("\x6a\x03z\0b"),         /* tags */
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct record record = record_of(values[i], headers, 1);
        assert_refused(&record, STATUS_MALFORMED);
    }
    /* A field that nobody knows may hold anything. */
    struct record record = record_of(TEXT("\x0a\x01x\xfa\x07\x03"
                                          "a\0b"),
                                     headers, 1);
    assert_event(&record, EVENT_PROTOBUF, "{\"id\":\"x\"}");
}
END_TEST

START_TEST(only_a_record_without_value_and_event_is_a_tombstone)
{
    static const struct record_header json[] = {BINARY("application/json")};
    struct record record = record_of(bytes_of(NULL, 0), NULL, 0);
    ck_assert(!event_is_tombstone(&record)); /* an empty value is a value */
    record.has_value = false;
    ck_assert(event_is_tombstone(&record));
    record.headers = json;
    record.header_count = 7;
    ck_assert(!event_is_tombstone(&record));
}
END_TEST

TEST_PROGRAM("event", what_is_plainly_a_time_is_taken,
             base64_data_of_a_structured_event_is_what_it_holds,
             every_spelling_of_a_cloud_event_is_one, forms_that_are_not_read_are_told,
             framing_is_passed_over, protobuf_is_known_by_its_framing, a_text_with_a_nul_is_not_cut,
             only_a_record_without_value_and_event_is_a_tombstone, json_is_taken_as_it_is,
             other_content_types_are_refused, the_content_type_of_a_topic_is_the_only_one,
             content_types_that_are_read_are_known, a_structured_cloud_event_becomes_an_event,
             a_cloud_event_that_is_none_is_refused, a_binary_cloud_event_becomes_an_event,
             a_protobuf_event_becomes_an_event, a_protobuf_event_that_is_none_is_refused,
             instants_are_read_and_written)
