#include "sse_event.h"

#include "suite.h"

static void expect_text(struct buffer *out, const char *expected)
{
    buffer_append_byte(out, 0);
    ck_assert_str_eq((const char *)out->data, expected);
    buffer_clear(out);
}

START_TEST(events_are_written_in_two_parts)
{
    auto_buffer struct buffer out = {0};
    sse_append_body(&out, BYTES_LITERAL("task.status"), BYTES_LITERAL("{\"a\":1}"));
    sse_append_tail(&out, BYTES_LITERAL("cursor"));
    expect_text(&out, "event: task.status\ndata: {\"a\":1}\nid: cursor\n\n");
    sse_append_body(&out, BYTES_LITERAL(""), BYTES_LITERAL(""));
    sse_append_tail(&out, BYTES_LITERAL(""));
    expect_text(&out, "data: \n\n");
    for (size_t size = 0; size < 3; size++) {
        sse_append_tail(&out, bytes_of("abc", size));
        ck_assert_uint_eq(buffer_size(&out), sse_tail_size(size));
        buffer_clear(&out);
    }
}
END_TEST

START_TEST(line_ends_in_data_cannot_forge_fields)
{
    auto_buffer struct buffer out = {0};
    sse_append_body(&out, BYTES_LITERAL("e"), BYTES_LITERAL("a\nid: x\r\nb\rc\n\n"));
    expect_text(&out, "event: e\ndata: a\ndata: id: x\ndata: b\ndata: c\ndata: \ndata: \n");
    sse_append_comment(&out, BYTES_LITERAL("a\nevent: b"));
    expect_text(&out, ": a\n: event: b\n\n");
}
END_TEST

START_TEST(json_of_several_lines_becomes_one_line)
{
    auto_buffer struct buffer out = {0};
    sse_begin_body(&out, BYTES_LITERAL("e"));
    buffer_append_string(&out, "\r{\"a\":\r\n1}\n");
    sse_end_body(&out, 11);
    expect_text(&out, "event: e\ndata:  {\"a\":  1} \n");
    sse_begin_body(&out, BYTES_LITERAL("e"));
    buffer_append_string(&out, "1");
    sse_end_body(&out, 1);
    expect_text(&out, "event: e\ndata: 1\n");
}
END_TEST

START_TEST(an_event_is_wrapped_as_history)
{
    auto_buffer struct buffer out = {0};
    sse_append_history(&out, BYTES_LITERAL("task:\"1"), BYTES_LITERAL("e"),
                       BYTES_LITERAL("{\"a\":1}"));
    expect_text(&out, "event: history\ndata: {\"room\":\"task:\\\"1\",\"event\":\"e\","
                      "\"data\":{\"a\":1}}\n");
}
END_TEST

START_TEST(events_are_wrapped_as_items)
{
    auto_buffer struct buffer list = {0};
    auto_buffer struct buffer out = {0};
    sse_append_item(&list, BYTES_LITERAL("e"), BYTES_LITERAL("{\"a\":1}"));
    sse_append_item(&list, BYTES_LITERAL("e"), BYTES_LITERAL("{\"a\":1}"));
    sse_append_state(&out, BYTES_LITERAL("task:\"1"), false, buffer_peek(&list));
    expect_text(&out,
                "event: state\ndata: {\"room\":\"task:\\\"1\",\"first\":false,\"items\":["
                "{\"event\":\"e\",\"data\":{\"a\":1}},{\"event\":\"e\",\"data\":{\"a\":1}}]}\n");
    sse_append_state(&out, BYTES_LITERAL("task:1"), true, bytes_of("", 0));
    expect_text(&out, "event: state\ndata: {\"room\":\"task:1\",\"first\":true,\"items\":[]}\n");
}
END_TEST

START_TEST(cursor_and_delay_stand_alone)
{
    auto_buffer struct buffer out = {0};
    sse_append_cursor(&out, BYTES_LITERAL("c"));
    expect_text(&out, "id: c\n\n");
    sse_append_retry(&out, 3000);
    expect_text(&out, "retry: 3000\n\n");
}
END_TEST

static void expect_id(const char *head, const char *expected)
{
    static const struct http_limits limits = {1000, 4000, 50, 1000};
    struct http_reader reader;
    struct http_item item;
    auto_buffer struct buffer scratch = {0};
    struct bytes id;
    http_reader_init(&reader, &limits);
    http_reader_feed(&reader, bytes_of_string(head));
    ck_assert_int_eq(http_reader_next(&reader, &item), STATUS_OK);
    bool found = sse_last_event_id(&item.request, &scratch, &id);
    ck_assert(found == (expected != NULL));
    if (found)
        ck_assert(bytes_equal_string(id, expected));
    http_reader_deinit(&reader);
}

START_TEST(a_returning_client_says_where_it_stands)
{
    expect_id("GET /sse HTTP/1.0\r\n\r\n", NULL);
    expect_id("GET /sse HTTP/1.0\r\nLast-Event-ID: abc\r\n\r\n", "abc");
    expect_id("GET /sse?lastEventId=a%20b HTTP/1.0\r\n\r\n", "a b");
    expect_id("GET /sse?lastEventId=q HTTP/1.0\r\nlast-event-id: field\r\n\r\n", "field");
    expect_id("GET /sse?lastEventId=a%0ab HTTP/1.0\r\n\r\n", NULL);
    expect_id("GET /sse?lastEventId= HTTP/1.0\r\nLast-Event-ID:\r\n\r\n", NULL);
}
END_TEST

TEST_PROGRAM("sse_event", events_are_written_in_two_parts, line_ends_in_data_cannot_forge_fields,
             json_of_several_lines_becomes_one_line, an_event_is_wrapped_as_history,
             events_are_wrapped_as_items, cursor_and_delay_stand_alone,
             a_returning_client_says_where_it_stands)
