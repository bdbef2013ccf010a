/* Dead letters told apart, and told. */
#include "dead_letter_filter.h"

#include "dead_letter.h"
#include "json.h"
#include "suite.h"

#define HEADER(name, value)                       \
    {                                             \
        BYTES_LITERAL(name), BYTES_LITERAL(value) \
    }

static const struct record_header headers[] = {
    HEADER("content-type", "application/json"),
    HEADER(DEAD_LETTER_HEADER_REASON, "limit"),
    HEADER(DEAD_LETTER_HEADER_PROBLEM, "more than 50 steps, at rule big"),
    HEADER(DEAD_LETTER_HEADER_RULE, "big"),
    HEADER(DEAD_LETTER_HEADER_TOPIC, "tasks.events"),
    HEADER(DEAD_LETTER_HEADER_PARTITION, "3"),
    HEADER(DEAD_LETTER_HEADER_OFFSET, "12"),
    HEADER(DEAD_LETTER_HEADER_ATTEMPTS, "2"),
};
enum { HEADER_COUNT = sizeof(headers) / sizeof(headers[0]) };

static struct record letter_record(void)
{
    return (struct record){.topic = BYTES_LITERAL("tasks.dead-letter"),
                           .partition = 1,
                           .offset = 7,
                           .timestamp_ms = 1772438516419,
                           .key = BYTES_LITERAL("task-1"),
                           .has_key = true,
                           .value = BYTES_LITERAL("{\"id\":1}"),
                           .has_value = true,
                           .headers = headers,
                           .header_count = HEADER_COUNT};
}

static bool matches(const struct dead_letter_filter *filter)
{
    const struct record record = letter_record();
    struct dead_letter_view letter;
    dead_letter_read(&record, &letter);
    return dead_letter_matches(filter, &record, &letter);
}

START_TEST(a_letter_says_what_it_is)
{
    const struct record record = letter_record();
    struct dead_letter_view letter;
    dead_letter_read(&record, &letter);
    ck_assert(bytes_equal_string(letter.reason, "limit"));
    ck_assert(bytes_equal_string(letter.rule, "big"));
    ck_assert(bytes_equal_string(letter.topic, "tasks.events"));
    ck_assert_int_eq(letter.partition, 3);
    ck_assert_int_eq(letter.offset, 12);
    ck_assert_uint_eq(letter.attempts, 2);
    ck_assert_int_eq(letter.value_bytes, -1);
    ck_assert_int_eq(letter.time_ms, 1772438516419);
}
END_TEST

START_TEST(numbers_that_are_none_are_not_there)
{
    static const struct record_header bad[] = {
        HEADER(DEAD_LETTER_HEADER_PARTITION, "-1"),
        HEADER(DEAD_LETTER_HEADER_OFFSET, "9999999999999999999999"),
        HEADER(DEAD_LETTER_HEADER_ATTEMPTS, "2 "),
        HEADER(DEAD_LETTER_HEADER_TIME, "soon"),
    };
    struct record record = letter_record();
    struct dead_letter_view letter;
    record.headers = bad;
    record.header_count = 4;
    dead_letter_read(&record, &letter);
    ck_assert_int_eq(letter.partition, -1);
    ck_assert_int_eq(letter.offset, -1);
    ck_assert_uint_eq(letter.attempts, 0);
    ck_assert_int_eq(letter.time_ms, record.timestamp_ms);
}
END_TEST

START_TEST(each_part_of_a_filter_decides)
{
    const struct dead_letter_filter any = {.from_ms = INT64_MIN, .to_ms = INT64_MAX};
    struct dead_letter_filter filter = any;
    ck_assert(matches(&filter));
    filter.reason = "limit";
    filter.rule = "big";
    filter.key = "task-1";
    filter.from_ms = 1772438516419;
    filter.to_ms = 1772438516420;
    ck_assert(matches(&filter));
    struct dead_letter_filter others[5] = {filter, filter, filter, filter, filter};
    others[0].reason = "malformed";
    others[1].rule = "bi";
    others[2].key = "task-2";
    others[3].from_ms = 1772438516420;
    others[4].to_ms = 1772438516419;
    for (size_t i = 0; i < 5; i++)
        ck_assert_msg(!matches(&others[i]), "%zu", i);
}
END_TEST

START_TEST(a_letter_is_told_as_json)
{
    static const struct record_header odd[] = {HEADER("x", "\xff")};
    struct record record = letter_record();
    struct dead_letter_view letter;
    auto_buffer struct buffer json = {0};
    dead_letter_read(&record, &letter);
    dead_letter_to_json(&record, &letter, false, &json);
    ck_assert_msg(
        bytes_equal_string(
            buffer_peek(&json),
            "{\"letter\":\"1:7\",\"time\":\"2026-03-02T08:01:56.419Z\",\"reason\":\"limit\","
            "\"rule\":\"big\",\"problem\":\"more than 50 steps, at rule big\",\"key\":\"task-1\","
            "\"topic\":\"tasks.events\",\"partition\":3,\"offset\":12,\"attempts\":2}"),
        "%.*s", BYTES_PRINT(buffer_peek(&json)));
    record.headers = odd;
    record.header_count = 1;
    buffer_clear(&json);
    dead_letter_to_json(&record, &letter, true, &json);
    ck_assert_int_eq(json_validate(buffer_peek(&json), 10, NULL), STATUS_OK);
    buffer_append_byte(&json, 0);
    ck_assert_ptr_nonnull(strstr((const char *)buffer_peek(&json).data,
                                 "\"headers\":[[\"x\",{\"base64\":\"/w==\"}]],\"value\":"
                                 "\"{\\\"id\\\":1}\"}"));
}
END_TEST

TEST_PROGRAM("letter filter", a_letter_says_what_it_is, numbers_that_are_none_are_not_there,
             each_part_of_a_filter_decides, a_letter_is_told_as_json)
