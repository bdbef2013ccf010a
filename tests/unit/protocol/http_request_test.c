#include "http_request.h"

#include "suite.h"

static const struct http_limits small = {
    .request_line_bytes = 60, .head_bytes = 200, .field_count = 4, .body_bytes = 10};
static const struct http_limits large = {
    .request_line_bytes = 2000, .head_bytes = 8000, .field_count = 64, .body_bytes = 1000000};

static void write_head(struct buffer *out, const struct http_request *request)
{
    buffer_append_format(out, "%.*s %.*s", BYTES_PRINT(request->method_name),
                         BYTES_PRINT(request->path));
    if (request->query.size)
        buffer_append_format(out, " ?%.*s", BYTES_PRINT(request->query));
    buffer_append_format(
        out, " 1.%u%s%s%s%s", request->minor_version, request->keep_alive ? " keep" : " close",
        request->upgrade ? " upgrade" : "", request->expect_continue ? " expect" : "",
        request->chunked ? " chunked" : "");
    if (request->content_length)
        buffer_append_format(out, " length=%llu", (unsigned long long)request->content_length);
    buffer_append_string(out, "\n");
}

/* What a reader gives for the input, as text; body pieces run together. */
static void transcribe(const struct http_limits *limits, struct bytes input, size_t piece,
                       struct buffer *out)
{
    struct http_reader reader;
    struct http_item item;
    enum status status = STATUS_INCOMPLETE;
    bool in_body = false;
    http_reader_init(&reader, limits);
    while (input.size && (status == STATUS_INCOMPLETE)) {
        size_t size = piece < input.size ? piece : input.size;
        http_reader_feed(&reader, bytes_of(input.data, size));
        input = bytes_skip(input, size);
        while ((status = http_reader_next(&reader, &item)) == STATUS_OK) {
            if (in_body && item.kind != HTTP_ITEM_BODY)
                buffer_append_string(out, "\n");
            if (item.kind == HTTP_ITEM_HEAD) {
                write_head(out, &item.request);
            } else if (item.kind == HTTP_ITEM_BODY) {
                buffer_append(out, item.body);
            } else {
                buffer_append_string(out, "end\n");
            }
            in_body = item.kind == HTTP_ITEM_BODY;
        }
    }
    if (in_body)
        buffer_append_string(out, "\n");
    if (status != STATUS_INCOMPLETE)
        buffer_append_format(out, "error %u\n", http_reader_answer(&reader));
    else if (!http_reader_is_idle(&reader))
        buffer_append_string(out, "more\n");
    else
        ck_assert_ptr_null(reader.input.data);
    http_reader_deinit(&reader);
}

static void expect(const struct http_limits *limits, struct bytes input, const char *expected)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        auto_buffer struct buffer out = {0};
        transcribe(limits, input, pieces[i], &out);
        buffer_append_byte(&out, 0);
        ck_assert_msg(strcmp((const char *)out.data, expected) == 0,
                      "%.*s\nin pieces of %zu gave:\n%sinstead of:\n%s", BYTES_PRINT(input),
                      pieces[i], (const char *)out.data, expected);
    }
}

#define EXPECT(input, expected) expect(&large, BYTES_LITERAL(input), expected)
#define HOST "Host: h\r\n"

START_TEST(requests_are_read)
{
    EXPECT("GET / HTTP/1.1\r\n" HOST "\r\n", "GET / 1.1 keep\nend\n");
    EXPECT("GET /a/b?x=1&y=%20 HTTP/1.1\r\nhost:h\r\n\r\n", "GET /a/b ?x=1&y=%20 1.1 keep\nend\n");
    EXPECT("POST /p HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
           "POST /p 1.1 keep length=5\nhello\nend\n");
    EXPECT("POST /p HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "POST /p 1.1 keep\nend\n");
    EXPECT("M-SEARCH * HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * 1.1 keep\nend\n");
    EXPECT("BREW /pot HTTP/1.1\r\n" HOST "\r\n", "BREW /pot 1.1 keep\nend\n");
    EXPECT("GET http://h:80/x?y HTTP/1.1\r\n" HOST "\r\n", "GET /x ?y 1.1 keep\nend\n");
    EXPECT("GET HTTPS://h?y HTTP/1.1\r\n" HOST "\r\n", "GET / ?y 1.1 keep\nend\n");
    EXPECT("GET http://[::1]:80/x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /x 1.1 keep\nend\n");
    EXPECT("GET http://h HTTP/1.1\r\n" HOST "\r\n", "GET / 1.1 keep\nend\n");
    EXPECT("GET /?a?b HTTP/1.1\r\n" HOST "\r\n", "GET / ?a?b 1.1 keep\nend\n");
    EXPECT("\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET / 1.1 keep\nend\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "Empty:\r\nUtf: \xc3\xa4\r\nTab:\ta\tb \r\n\r\n",
           "GET / 1.1 keep\nend\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "\r", "more\n");
}
END_TEST

START_TEST(persistence_follows_version_and_connection)
{
    EXPECT("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close\nend\n");
    EXPECT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 keep\nend\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "GET / 1.1 close\nend\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "Connection: x, CLOSE ,keep-alive\r\n\r\n",
           "GET / 1.1 close\nend\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", "GET / 1.1 keep\nend\n");
}
END_TEST

START_TEST(chunked_bodies_are_decoded)
{
#define CHUNKED "POST /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_OF_CHUNKED "POST /p 1.1 keep chunked\n"
    EXPECT(CHUNKED "5\r\nhello\r\n0\r\n\r\n", HEAD_OF_CHUNKED "hello\nend\n");
    EXPECT(CHUNKED "0\r\n\r\n", HEAD_OF_CHUNKED "end\n");
    EXPECT(CHUNKED "3\r\nhel\r\n002\r\nlo\r\n000\r\n\r\n", HEAD_OF_CHUNKED "hello\nend\n");
    EXPECT(CHUNKED "A;x=y;z=\"q;\\\"\\\\\";e\r\n0123456789\r\n0;last\r\n\r\n",
           HEAD_OF_CHUNKED "0123456789\nend\n");
    EXPECT(CHUNKED "2\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n", HEAD_OF_CHUNKED "\r\n\nend\n");
    EXPECT(CHUNKED "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
           HEAD_OF_CHUNKED "a\nend\nGET / 1.1 keep\nend\n");
}
END_TEST

START_TEST(bad_chunks_are_refused)
{
#define BAD_CHUNK(text) EXPECT(CHUNKED text, HEAD_OF_CHUNKED "error 400\n")
    BAD_CHUNK("\r\n");
    BAD_CHUNK("g\r\n");
    BAD_CHUNK("0x5\r\nhello\r\n");
    BAD_CHUNK("-1\r\n");
    BAD_CHUNK("+5\r\nhello\r\n");
    BAD_CHUNK(" 5\r\nhello\r\n");
    BAD_CHUNK("5 \r\nhello\r\n");
    BAD_CHUNK("5\nhello\r\n");
    BAD_CHUNK("5;a\nb\r\nhello\r\n");
    BAD_CHUNK("5;\r\nhello\r\n");
    BAD_CHUNK("5;a=\r\nhello\r\n");
    BAD_CHUNK("5;=b\r\nhello\r\n");
    BAD_CHUNK("5;a b\r\nhello\r\n");
    BAD_CHUNK("5;a=\"b\r\nhello\r\n");
    BAD_CHUNK("5;a=\"b\"c\r\nhello\r\n");
    BAD_CHUNK("5;a=\"b\\\"\r\nhello\r\n");
    BAD_CHUNK("5\rhello\r\n");
    BAD_CHUNK("1000000000000000\r\n");
    BAD_CHUNK("ffffffffffffffffffff\r\n");
    EXPECT(CHUNKED "5\r\nhelloX\r\n", HEAD_OF_CHUNKED "hello\nerror 400\n");
    EXPECT(CHUNKED "5\r\nhello\n0\r\n\r\n", HEAD_OF_CHUNKED "hello\nerror 400\n");
    EXPECT(CHUNKED "5\r\nhello0\r\n\r\n", HEAD_OF_CHUNKED "hello\nerror 400\n");
    BAD_CHUNK("0\r\nno colon\r\n\r\n");
    BAD_CHUNK("0\r\nA: b\r\n folded\r\n\r\n");
    BAD_CHUNK("0\r\n\n");
}
END_TEST

START_TEST(ambiguous_framing_is_refused)
{
#define REFUSED(fields, code) \
    EXPECT("POST / HTTP/1.1\r\n" HOST fields "\r\nabcde", "error " #code "\n")
    REFUSED("Content-Length: 5\r\nContent-Length: 5\r\n", 400);
    REFUSED("Content-Length: 5\r\nContent-Length: 6\r\n", 400);
    REFUSED("Content-Length: 5, 5\r\n", 400);
    REFUSED("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400);
    REFUSED("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400);
    REFUSED("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400);
    REFUSED("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400);
    REFUSED("Transfer-Encoding: gzip, chunked\r\n", 501);
    REFUSED("Transfer-Encoding: chunked, chunked\r\n", 501);
    REFUSED("Transfer-Encoding: identity\r\n", 501);
    REFUSED("Transfer-Encoding: xchunked\r\n", 501);
    REFUSED("Transfer-Encoding: \"chunked\"\r\n", 501);
    REFUSED("Transfer-Encoding:\r\n", 501);
    REFUSED("Transfer-Encoding: \x0b"
            "chunked\r\n",
            400);
    REFUSED("Content-Length: -5\r\n", 400);
    REFUSED("Content-Length: +5\r\n", 400);
    REFUSED("Content-Length: 5a\r\n", 400);
    REFUSED("Content-Length: 0x5\r\n", 400);
    REFUSED("Content-Length: 5 5\r\n", 400);
    REFUSED("Content-Length:\r\n", 400);
    REFUSED("Content-Length: 99999999999999999999\r\n", 400);
    REFUSED("Expect: something\r\n", 417);
    EXPECT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "error 400\n");
}
END_TEST

START_TEST(malformed_heads_are_refused)
{
    EXPECT("GET / HTTP/1.1\nHost: h\n\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\nHost: h\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "\tfolded\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n Host: h\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\nHost : h\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST ": nameless\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "N(me: x\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "A: x\0y\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "A: x\x7fy\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "error 400\n");
    EXPECT("GET  / HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET /  HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.1 \r\n" HOST "\r\n", "error 400\n");
    EXPECT(" GET / HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET\t/ HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET /#a HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET a HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET * HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET http://a\"/x HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET http://a@b/x HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET http:///x HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET / http/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET / HTTP/1.10\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET / HTTP/01.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET /\r\n" HOST "\r\n", "error 400\n");
    EXPECT("GET / HTTP/2.0\r\n" HOST "\r\n", "error 505\n");
    EXPECT("GET / HTTP/1.2\r\n" HOST "\r\n", "error 505\n");
    EXPECT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "error 505\n");
    EXPECT("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "error 400\n");
    EXPECT("\x16\x03\x01\x02", "error 400\n");
}
END_TEST

START_TEST(limits_of_the_head_are_inclusive)
{
    auto_buffer struct buffer line = {0};
    for (size_t extra = 0; extra < 2; extra++) {
        buffer_clear(&line);
        buffer_append_string(&line, "GET /");
        for (size_t i = 0; i < 60 - 14 + extra; i++)
            buffer_append_byte(&line, 'x');
        buffer_append_string(&line, " HTTP/1.1\r\n");
        ck_assert_uint_eq(buffer_size(&line), 62 + extra);
        expect(&small, buffer_peek(&line), extra ? "error 414\n" : "more\n");
    }
    for (size_t extra = 0; extra < 2; extra++) {
        buffer_clear(&line);
        buffer_append_string(&line, "GET / HTTP/1.0\r\nA: ");
        while (buffer_size(&line) < 196 + extra)
            buffer_append_byte(&line, 'x');
        buffer_append_string(&line, "\r\n\r\n");
        expect(&small, buffer_peek(&line), extra ? "error 431\n" : "GET / 1.0 close\nend\n");
    }
    expect(&small, BYTES_LITERAL("GET / HTTP/1.0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n"),
           "GET / 1.0 close\nend\n");
    expect(&small, BYTES_LITERAL("GET / HTTP/1.0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n"),
           "error 431\n");
}
END_TEST

START_TEST(limit_of_the_body_is_inclusive_and_found_from_the_length_alone)
{
    expect(&small, BYTES_LITERAL("POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\n0123456789"),
           "POST / 1.0 close length=10\n0123456789\nend\n");
    expect(&small, BYTES_LITERAL("POST / HTTP/1.0\r\nContent-Length: 11\r\n\r\n"),
           "POST / 1.0 close length=11\nerror 413\n");
#define SMALL_CHUNKED "POST /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
    expect(&small, BYTES_LITERAL(SMALL_CHUNKED "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"),
           HEAD_OF_CHUNKED "0123456789\nend\n");
    expect(&small, BYTES_LITERAL(SMALL_CHUNKED "5\r\n01234\r\n6\r\n"),
           HEAD_OF_CHUNKED "01234\nerror 413\n");
    expect(&small, BYTES_LITERAL(SMALL_CHUNKED "7fffffffffffffff\r\n"),
           HEAD_OF_CHUNKED "error 400\n");
    expect(&small, BYTES_LITERAL(SMALL_CHUNKED "7ffffffffffffff\r\n"),
           HEAD_OF_CHUNKED "error 413\n");
}
END_TEST

START_TEST(chunk_extensions_and_trailers_are_bounded)
{
    auto_buffer struct buffer input = {0};
    buffer_append_string(&input, SMALL_CHUNKED);
    for (int i = 0; i < 6; i++)
        buffer_append_string(&input, "1;0123456789012345678901234567890123456789\r\nx\r\n");
    expect(&small, buffer_peek(&input), HEAD_OF_CHUNKED "xxxx\nerror 431\n");
    buffer_clear(&input);
    buffer_append_string(&input, SMALL_CHUNKED "0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n");
    expect(&small, buffer_peek(&input), HEAD_OF_CHUNKED "error 431\n");
}
END_TEST

static enum status next_kind(struct http_reader *reader, enum http_item_kind kind)
{
    struct http_item item;
    enum status status = http_reader_next(reader, &item);
    if (status == STATUS_OK)
        ck_assert_int_eq(item.kind, kind);
    return status;
}

START_TEST(a_body_too_large_can_be_dropped_and_the_connection_kept)
{
    struct http_reader reader;
    http_reader_init(&reader, &small);
    http_reader_feed(&reader, BYTES_LITERAL("POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n"
                                            "0123456789"));
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_HEAD), STATUS_OK);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_BODY), STATUS_TOO_LARGE);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_BODY), STATUS_TOO_LARGE);
    ck_assert_uint_eq(http_reader_answer(&reader), 413);
    http_reader_discard(&reader, 11);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_INCOMPLETE);
    http_reader_feed(&reader, BYTES_LITERAL("aGET / HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_OK);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_HEAD), STATUS_OK);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_OK);
    ck_assert(http_reader_is_idle(&reader));
    http_reader_deinit(&reader);
}
END_TEST

START_TEST(a_chunked_body_too_large_can_be_dropped_within_bounds)
{
    for (int extra = 0; extra < 2; extra++) {
        struct http_reader reader;
        http_reader_init(&reader, &small);
        http_reader_feed(&reader, BYTES_LITERAL(SMALL_CHUNKED "3\r\nabc\r\n"));
        ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_HEAD), STATUS_OK);
        ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_BODY), STATUS_OK);
        http_reader_feed(&reader, BYTES_LITERAL("8\r\n01234567\r\n2\r\n89\r\n0\r\n\r\n"));
        ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_BODY), STATUS_TOO_LARGE);
        http_reader_discard(&reader, extra ? 9 : 10);
        ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), extra ? STATUS_TOO_LARGE : STATUS_OK);
        ck_assert_uint_eq(http_reader_answer(&reader), extra ? 413 : 0);
        if (extra)
            ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_TOO_LARGE);
        http_reader_deinit(&reader);
    }
}
END_TEST

START_TEST(a_route_may_have_a_body_limit_of_its_own)
{
    struct http_reader reader;
    http_reader_init(&reader, &small);
    http_reader_feed(&reader, BYTES_LITERAL("POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n"
                                            "0123456789a"));
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_HEAD), STATUS_OK);
    http_reader_limit_body(&reader, 11);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_BODY), STATUS_OK);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_OK);
    http_reader_feed(&reader,
                     BYTES_LITERAL("POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n"));
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_HEAD), STATUS_OK);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_BODY), STATUS_TOO_LARGE);
    http_reader_deinit(&reader);
}
END_TEST

START_TEST(pipelined_requests_wait_for_their_turn)
{
    struct http_reader reader;
    http_reader_init(&reader, &large);
    http_reader_feed(&reader, BYTES_LITERAL("GET /1 HTTP/1.1\r\n" HOST "\r\n"
                                            "GET /2 HTTP/1.1\r\n" HOST "\r\n"));
    struct http_item item;
    for (int i = 1; i <= 2; i++) {
        ck_assert_int_eq(http_reader_next(&reader, &item), STATUS_OK);
        ck_assert_int_eq(item.kind, HTTP_ITEM_HEAD);
        ck_assert(bytes_equal_string(item.request.path, i == 1 ? "/1" : "/2"));
        ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_OK);
        ck_assert_uint_eq(http_reader_buffered(&reader), i == 1 ? 28 : 0);
        ck_assert(http_reader_is_idle(&reader) == (i == 2));
    }
    ck_assert_int_eq(http_reader_next(&reader, &item), STATUS_INCOMPLETE);
    http_reader_deinit(&reader);
}
END_TEST

START_TEST(bytes_behind_an_upgrade_belong_to_the_new_protocol)
{
    struct http_reader reader;
    http_reader_init(&reader, &large);
    http_reader_feed(&reader,
                     BYTES_LITERAL("GET /s HTTP/1.1\r\n" HOST
                                   "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
                                   "\x81\x80"));
    struct http_item item;
    ck_assert_int_eq(http_reader_next(&reader, &item), STATUS_OK);
    ck_assert(item.request.upgrade);
    auto_buffer struct buffer rest = {0};
    http_reader_upgrade(&reader, &rest);
    ck_assert(bytes_equal_string(buffer_peek(&rest), "\x81\x80"));
    ck_assert_int_eq(http_reader_next(&reader, &item), STATUS_CLOSED);
    http_reader_deinit(&reader);
}
END_TEST

START_TEST(upgrade_and_expect_need_http_1_1)
{
    EXPECT("GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
           "GET / 1.1 keep upgrade\nend\n");
    EXPECT("GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n", "GET / 1.1 keep\nend\n");
    EXPECT("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
           "GET / 1.0 close\nend\n");
    EXPECT("PUT / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
           "PUT / 1.1 keep expect length=1\na\nend\n");
    EXPECT("PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n", "PUT / 1.1 keep\nend\n");
    EXPECT("PUT / HTTP/1.0\r\nExpect: what\r\n\r\n", "PUT / 1.0 close\nend\n");
}
END_TEST

START_TEST(an_idle_reader_is_small_and_owns_nothing)
{
    ck_assert_uint_le(sizeof(struct http_reader), 100);
    struct http_reader reader;
    http_reader_init(&reader, &large);
    ck_assert(http_reader_is_idle(&reader));
    http_reader_feed(&reader, BYTES_LITERAL("GET / HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert(!http_reader_is_idle(&reader));
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_HEAD), STATUS_OK);
    ck_assert_int_eq(next_kind(&reader, HTTP_ITEM_END), STATUS_OK);
    ck_assert_ptr_null(reader.input.data);
    http_reader_deinit(&reader);
}
END_TEST

static struct http_request parse(const char *text, struct http_reader *reader)
{
    struct http_item item = {0};
    http_reader_init(reader, &large);
    http_reader_feed(reader, bytes_of_string(text));
    ck_assert_int_eq(http_reader_next(reader, &item), STATUS_OK);
    return item.request;
}

START_TEST(fields_and_cookies_are_looked_up)
{
    struct http_reader reader;
    struct http_request request = parse(
        "GET / HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-one: 2\r\nAccept-Encoding: br;q=1, GZIP\r\n"
        "Accept-Encoding: deflate\r\nCookie: a=1; token=\"t=2\"; b\r\nCookie: c=3;token=9\r\n\r\n",
        &reader);
    struct bytes value;
    ck_assert(http_request_field(&request, "X-ONE", &value));
    ck_assert(bytes_equal_string(value, "1"));
    ck_assert_uint_eq(http_request_count(&request, "x-one"), 2);
    ck_assert(!http_request_field(&request, "x-on", &value));
    ck_assert(http_request_has_token(&request, "accept-encoding", "gzip"));
    ck_assert(http_request_has_token(&request, "accept-encoding", "deflate"));
    ck_assert(!http_request_has_token(&request, "accept-encoding", "br"));
    ck_assert(http_request_cookie(&request, "token", &value));
    ck_assert(bytes_equal_string(value, "t=2"));
    ck_assert(http_request_cookie(&request, "c", &value));
    ck_assert(bytes_equal_string(value, "3"));
    ck_assert(http_request_cookie(&request, "b", &value));
    ck_assert_uint_eq(value.size, 0);
    ck_assert(!http_request_cookie(&request, "d", &value));
    http_reader_deinit(&reader);
}
END_TEST

static void expect_parameter(const char *query, const char *name, const char *expected)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes value;
    ck_assert_int_eq(http_query_parameter(bytes_of_string(query), name, &scratch, &value),
                     STATUS_OK);
    ck_assert_msg(bytes_equal_string(value, expected), "%s of %s is %.*s", name, query,
                  BYTES_PRINT(value));
}

START_TEST(query_parameters_are_decoded)
{
    expect_parameter("EIO=4&transport=polling", "EIO", "4");
    expect_parameter("EIO=4&transport=polling", "transport", "polling");
    expect_parameter("a=1&a=2", "a", "1");
    expect_parameter("&&a=b+c%2Bd%c3%A4", "a", "b c+d\xc3\xa4");
    expect_parameter("%61b=1", "ab", "1");
    expect_parameter("a", "a", "");
    expect_parameter("a=&b=2", "a", "");
    expect_parameter("a=b=c", "a", "b=c");
    auto_buffer struct buffer scratch = {0};
    struct bytes value;
    static const char *const malformed[] = {"a=%", "a=%1", "a=%g0", "a=xx%0"};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        ck_assert_int_eq(http_query_parameter(bytes_of_string(malformed[i]), "a", &scratch, &value),
                         STATUS_MALFORMED);
    ck_assert_int_eq(http_query_parameter(BYTES_LITERAL("aa=1&%=2"), "a", &scratch, &value),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(http_query_parameter(BYTES_LITERAL(""), "a", &scratch, &value),
                     STATUS_NOT_FOUND);
}
END_TEST

TEST_PROGRAM("http_request", requests_are_read, persistence_follows_version_and_connection,
             chunked_bodies_are_decoded, bad_chunks_are_refused, ambiguous_framing_is_refused,
             malformed_heads_are_refused, limits_of_the_head_are_inclusive,
             limit_of_the_body_is_inclusive_and_found_from_the_length_alone,
             chunk_extensions_and_trailers_are_bounded,
             a_body_too_large_can_be_dropped_and_the_connection_kept,
             a_chunked_body_too_large_can_be_dropped_within_bounds,
             a_route_may_have_a_body_limit_of_its_own, pipelined_requests_wait_for_their_turn,
             bytes_behind_an_upgrade_belong_to_the_new_protocol, upgrade_and_expect_need_http_1_1,
             an_idle_reader_is_small_and_owns_nothing, fields_and_cookies_are_looked_up,
             query_parameters_are_decoded)
