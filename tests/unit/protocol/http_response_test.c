#include "http_response.h"

#include <time.h>

#include "random.h"
#include "suite.h"

static void expect_text(struct buffer *out, const char *expected)
{
    buffer_append_byte(out, 0);
    ck_assert_str_eq((const char *)out->data, expected);
    buffer_clear(out);
}

START_TEST(heads_are_written)
{
    auto_buffer struct buffer out = {0};
    http_response_write(
        &out, &(struct http_response){.code = 200, .minor_version = 1, .content_type = "text/html"},
        NULL, 0, BYTES_LITERAL("ok"));
    expect_text(&out, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok");
    struct http_field fields[] = {http_field_of("Vary", "Origin"), http_field_of("X", "")};
    http_response_write(&out,
                        &(struct http_response){.code = 400,
                                                .minor_version = 0,
                                                .close = true,
                                                .date = "Sun, 06 Nov 1994 08:49:37 GMT"},
                        fields, 2, BYTES_LITERAL(""));
    expect_text(&out, "HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Length: 0\r\nConnection: close\r\nVary: Origin\r\nX: \r\n\r\n");
    http_response_write_head(
        &out, &(struct http_response){.code = 204, .framing = HTTP_FRAMING_NONE}, NULL, 0);
    expect_text(&out, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
    http_response_write_head(
        &out, &(struct http_response){.code = 200, .framing = HTTP_FRAMING_CLOSE}, NULL, 0);
    expect_text(&out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    http_response_write_continue(&out);
    expect_text(&out, "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert_str_eq(http_reason(799), "Unknown");
}
END_TEST

START_TEST(streams_are_chunked)
{
    auto_buffer struct buffer out = {0};
    http_response_write_head(
        &out,
        &(struct http_response){.code = 200, .minor_version = 1, .framing = HTTP_FRAMING_CHUNKED},
        NULL, 0);
    expect_text(&out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_response_write_chunk(&out, BYTES_LITERAL("0123456789abcdef+"));
    http_response_write_chunk(&out, BYTES_LITERAL(""));
    http_response_write_last_chunk(&out);
    expect_text(&out, "11\r\n0123456789abcdef+\r\n0\r\n\r\n");
}
END_TEST

START_TEST(dates_agree_with_the_library)
{
    uint64_t state = random_seed();
    for (int i = 0; i < 20000; i++) {
        int64_t seconds = i < 2 ? i * INT64_C(253402300799)
                                : (int64_t)random_below(&state, UINT64_C(253402300800));
        char ours[HTTP_DATE_SIZE], theirs[64];
        struct tm parts;
        time_t moment = (time_t)seconds;
        ck_assert_ptr_nonnull(gmtime_r(&moment, &parts));
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        http_date(seconds, ours);
        ck_assert_str_eq(ours, theirs);
    }
}
END_TEST

START_TEST(values_that_split_a_response_are_told)
{
    ck_assert(http_value_is_safe(BYTES_LITERAL("a b\tc \xc3\xa4")));
    ck_assert(!http_value_is_safe(BYTES_LITERAL("a\r\nb")));
    ck_assert(!http_value_is_safe(BYTES_LITERAL("a\nb")));
    ck_assert(!http_value_is_safe(BYTES_LITERAL("a\0b")));
    ck_assert(!http_value_is_safe(BYTES_LITERAL("a\x7f")));
}
END_TEST

TEST_PROGRAM("http_response", heads_are_written, streams_are_chunked, dates_agree_with_the_library,
             values_that_split_a_response_are_told)
