#include "websocket_frame.h"

#include "http_response.h"
#include "random.h"
#include "suite.h"

enum { LIMIT = 70000, FIN = 0x80 };

/* A client's frame: `first` is FIN, RSV and opcode. */
static void add_frame(struct buffer *out, unsigned first, struct bytes payload)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t header[WEBSOCKET_HEADER_MAX];
    size_t size = websocket_write_header(header, WEBSOCKET_TEXT, payload.size);
    header[0] = (uint8_t)first;
    header[1] |= 0x80;
    buffer_append(out, bytes_of(header, size));
    buffer_append(out, bytes_of(mask, 4));
    for (size_t i = 0; i < payload.size; i++)
        buffer_append_byte(out, payload.data[i] ^ mask[i % 4]);
}

static void add(struct buffer *out, unsigned first, const char *payload)
{
    add_frame(out, first, bytes_of_string(payload));
}

static void transcribe(struct bytes input, size_t piece, struct buffer *out)
{
    static const char *const names[] = {[WEBSOCKET_TEXT] = "text",
                                        [WEBSOCKET_BINARY] = "binary",
                                        [WEBSOCKET_CLOSE] = "close",
                                        [WEBSOCKET_PING] = "ping",
                                        [WEBSOCKET_PONG] = "pong"};
    struct websocket_reader reader;
    struct websocket_item item;
    enum status status = STATUS_INCOMPLETE;
    websocket_reader_init(&reader, LIMIT);
    while (input.size && status == STATUS_INCOMPLETE) {
        struct bytes part = bytes_of(input.data, piece < input.size ? piece : input.size);
        input = bytes_skip(input, part.size);
        while ((status = websocket_reader_next(&reader, &part, &item)) == STATUS_OK) {
            buffer_append_format(out, "%s", names[item.opcode]);
            if (item.opcode == WEBSOCKET_CLOSE)
                buffer_append_format(out, " %u", item.close_code);
            if (item.payload.size > 200)
                buffer_append_format(out, " %zu bytes\n", item.payload.size);
            else
                buffer_append_format(out, " %.*s\n", BYTES_PRINT(item.payload));
        }
        ck_assert(status != STATUS_INCOMPLETE || part.size == 0);
    }
    if (status == STATUS_INCOMPLETE && websocket_reader_is_inside(&reader))
        buffer_append_string(out, "more\n");
    else if (status == STATUS_INCOMPLETE)
        ck_assert_uint_eq(websocket_reader_memory(&reader), 0);
    else if (status == STATUS_MALFORMED || status == STATUS_TOO_LARGE)
        buffer_append_format(out, "error %u\n", websocket_reader_close_code(&reader));
    websocket_reader_deinit(&reader);
}

static void expect(struct buffer *input, const char *expected)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 5, 13};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        auto_buffer struct buffer out = {0};
        transcribe(buffer_peek(input), pieces[i], &out);
        buffer_append_byte(&out, 0);
        ck_assert_msg(strcmp((const char *)out.data, expected) == 0,
                      "in pieces of %zu gave:\n%sinstead of:\n%s", pieces[i],
                      (const char *)out.data, expected);
    }
    buffer_clear(input);
}

START_TEST(messages_and_control_frames_are_given)
{
    auto_buffer struct buffer in = {0};
    add(&in, FIN | WEBSOCKET_TEXT, "hello");
    add(&in, FIN | WEBSOCKET_BINARY, "\xff\xfe");
    add(&in, FIN | WEBSOCKET_TEXT, "");
    add(&in, FIN | WEBSOCKET_PING, "p");
    add(&in, FIN | WEBSOCKET_PONG, "");
    expect(&in, "text hello\nbinary \xff\xfe\ntext \nping p\npong \n");
}
END_TEST

START_TEST(fragments_are_joined_around_control_frames)
{
    auto_buffer struct buffer in = {0};
    add(&in, WEBSOCKET_TEXT, "h\xc3");
    add(&in, FIN | WEBSOCKET_PING, "in between");
    add(&in, WEBSOCKET_CONTINUATION, "");
    add(&in, FIN | WEBSOCKET_PONG, "");
    add(&in, WEBSOCKET_CONTINUATION, "\xa4");
    add(&in, FIN | WEBSOCKET_CONTINUATION, "llo");
    add(&in, FIN | WEBSOCKET_TEXT, "next");
    expect(&in, "ping in between\npong \ntext h\xc3\xa4llo\ntext next\n");
    add(&in, WEBSOCKET_BINARY, "");
    add(&in, FIN | WEBSOCKET_PING, "x");
    expect(&in, "ping x\nmore\n");
}
END_TEST

START_TEST(sequence_errors_are_refused)
{
    auto_buffer struct buffer in = {0};
    add(&in, FIN | WEBSOCKET_CONTINUATION, "alone");
    expect(&in, "error 1002\n");
    add(&in, WEBSOCKET_TEXT, "a");
    add(&in, FIN | WEBSOCKET_TEXT, "b");
    expect(&in, "error 1002\n");
    add(&in, FIN | WEBSOCKET_TEXT, "a");
    add(&in, FIN | WEBSOCKET_CONTINUATION, "b");
    expect(&in, "text a\nerror 1002\n");
    add(&in, WEBSOCKET_PING, "fragmented");
    expect(&in, "error 1002\n");
    for (unsigned opcode = 3; opcode < 16; opcode++) {
        if (opcode >= 8 && opcode <= 10)
            continue;
        add(&in, FIN | opcode, "unknown");
        expect(&in, "error 1002\n");
    }
    for (unsigned bit = 0x10; bit < 0x80; bit <<= 1) {
        add(&in, FIN | bit | WEBSOCKET_TEXT, "reserved");
        expect(&in, "error 1002\n");
    }
}
END_TEST

START_TEST(unmasked_and_ill_sized_frames_are_refused)
{
    auto_buffer struct buffer in = {0};
    buffer_append(&in, BYTES_LITERAL("\x81\x05hello"));
    expect(&in, "error 1002\n");
    buffer_append(&in, BYTES_LITERAL("\x81\xfe\x00\x7d\0\0\0\0"));
    expect(&in, "error 1002\n");
    buffer_append(&in, BYTES_LITERAL("\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"));
    expect(&in, "error 1002\n");
    buffer_append(&in, BYTES_LITERAL("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0"));
    expect(&in, "error 1002\n");
    buffer_append(&in, BYTES_LITERAL("\x89\xfe\x00\x7e\0\0\0\0"));
    expect(&in, "error 1002\n");
}
END_TEST

START_TEST(the_limit_is_over_all_fragments_and_found_from_the_header)
{
    static uint8_t large[LIMIT + 1];
    memset(large, 'a', sizeof(large));
    auto_buffer struct buffer in = {0};
    add_frame(&in, FIN | WEBSOCKET_BINARY, bytes_of(large, LIMIT));
    expect(&in, "binary 70000 bytes\n");
    add_frame(&in, WEBSOCKET_BINARY, bytes_of(large, LIMIT - 10));
    add(&in, FIN | WEBSOCKET_PING, "not counted");
    add_frame(&in, FIN | WEBSOCKET_CONTINUATION, bytes_of(large, 10));
    expect(&in, "ping not counted\nbinary 70000 bytes\n");
    add_frame(&in, WEBSOCKET_TEXT, bytes_of(large, LIMIT - 10));
    add_frame(&in, FIN | WEBSOCKET_CONTINUATION, bytes_of(large, 11));
    expect(&in, "error 1009\n");
    /* 2^40 bytes announced, none sent. */
    buffer_append(&in, BYTES_LITERAL("\x82\xff\0\0\x01\0\0\0\0\0\0\0\0\0"));
    expect(&in, "error 1009\n");
}
END_TEST

START_TEST(a_refused_frame_costs_no_memory)
{
    struct websocket_reader reader;
    struct websocket_item item;
    websocket_reader_init(&reader, LIMIT);
    struct bytes input = BYTES_LITERAL("\x82\xff\0\0\x01\0\0\0\0\0\0\0\0\0 and more");
    ck_assert_int_eq(websocket_reader_next(&reader, &input, &item), STATUS_TOO_LARGE);
    ck_assert_uint_eq(websocket_reader_memory(&reader), 0);
    ck_assert_int_eq(websocket_reader_next(&reader, &input, &item), STATUS_TOO_LARGE);
    websocket_reader_deinit(&reader);
    /* A frame within the limit that never comes holds what came, not what it announced. */
    websocket_reader_init(&reader, LIMIT);
    input = BYTES_LITERAL("\x82\xff\0\0\0\0\0\x01\x11\x00\0\0\0\0twelve bytes");
    ck_assert_int_eq(websocket_reader_next(&reader, &input, &item), STATUS_INCOMPLETE);
    ck_assert_uint_le(websocket_reader_memory(&reader), 1024);
    ck_assert_uint_le(sizeof(reader), 100);
    websocket_reader_deinit(&reader);
}
END_TEST

START_TEST(text_must_be_utf8_and_is_refused_early)
{
    auto_buffer struct buffer in = {0};
    add(&in, FIN | WEBSOCKET_TEXT, "a\xc0");
    expect(&in, "error 1007\n");
    add(&in, FIN | WEBSOCKET_TEXT, "cut \xe2\x82");
    expect(&in, "error 1007\n");
    add(&in, WEBSOCKET_TEXT, "cut \xe2\x82");
    add(&in, FIN | WEBSOCKET_CONTINUATION, "(");
    expect(&in, "error 1007\n");
    /* In the middle of a frame and of a message. */
    add(&in, WEBSOCKET_TEXT,
        "abc\xff"
        "defghijklm");
    in.end -= 8;
    expect(&in, "error 1007\n");
    add(&in, FIN | WEBSOCKET_TEXT, "\xed\xa0\x80");
    expect(&in, "error 1007\n");
    add(&in, FIN | WEBSOCKET_BINARY, "\xff");
    expect(&in, "binary \xff\n");
}
END_TEST

START_TEST(close_frames_are_checked)
{
    auto_buffer struct buffer in = {0};
    add(&in, FIN | WEBSOCKET_CLOSE,
        "\x03\xe8"
        "bye");
    add(&in, FIN | WEBSOCKET_TEXT, "ignored");
    expect(&in, "close 1000 bye\n");
    add(&in, FIN | WEBSOCKET_CLOSE, "");
    expect(&in, "close 1005 \n");
    add(&in, FIN | WEBSOCKET_CLOSE, "x");
    expect(&in, "error 1002\n");
    add(&in, FIN | WEBSOCKET_CLOSE, "\x03\xed");
    expect(&in, "error 1002\n");
    add(&in, FIN | WEBSOCKET_CLOSE, "\x03\xe8\xff");
    expect(&in, "error 1007\n");
    add(&in, WEBSOCKET_TEXT, "unfinished");
    add(&in, FIN | WEBSOCKET_CLOSE, "\x0b\xb8");
    expect(&in, "close 3000 \n");
    static const unsigned bad[] = {0,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert(!websocket_close_code_is_valid(bad[i]));
}
END_TEST

START_TEST(random_messages_arrive_whole_however_they_are_cut)
{
    uint64_t state = random_seed();
    for (int round = 0; round < 60; round++) {
        auto_buffer struct buffer in = {0}, sent = {0}, got = {0};
        for (int message = 0; message < 8; message++) {
            size_t fragments = 1 + random_below(&state, 4), size = 0;
            for (size_t i = 0; i < fragments; i++) {
                uint8_t part[300];
                size_t part_size = random_below(&state, sizeof(part));
                for (size_t j = 0; j < part_size; j++)
                    part[j] = (uint8_t)random_next(&state);
                add_frame(&in, (i + 1 == fragments ? FIN : 0u) | (i ? 0u : WEBSOCKET_BINARY),
                          bytes_of(part, part_size));
                buffer_append(&sent, bytes_of(part, part_size));
                size += part_size;
                if (random_below(&state, 3) == 0)
                    add(&in, FIN | WEBSOCKET_PING, "between");
            }
            buffer_append_format(&sent, "|%zu|", size);
        }
        struct websocket_reader reader;
        struct websocket_item item;
        websocket_reader_init(&reader, LIMIT);
        struct bytes rest = buffer_peek(&in);
        while (rest.size) {
            size_t size = 1 + random_below(&state, 100);
            struct bytes part = bytes_of(rest.data, size < rest.size ? size : rest.size);
            rest = bytes_skip(rest, part.size);
            enum status status;
            while ((status = websocket_reader_next(&reader, &part, &item)) == STATUS_OK) {
                if (item.opcode != WEBSOCKET_BINARY)
                    continue;
                buffer_append(&got, item.payload);
                buffer_append_format(&got, "|%zu|", item.payload.size);
            }
            ck_assert_int_eq(status, STATUS_INCOMPLETE);
        }
        ck_assert(bytes_equal(buffer_peek(&got), buffer_peek(&sent)));
        websocket_reader_deinit(&reader);
    }
}
END_TEST

static void expect_header(uint64_t size, struct bytes expected)
{
    uint8_t out[WEBSOCKET_HEADER_MAX];
    size_t written = websocket_write_header(out, WEBSOCKET_TEXT, size);
    ck_assert_uint_eq(written, websocket_header_size(size));
    ck_assert(bytes_equal(bytes_of(out, written), expected));
}

START_TEST(headers_take_the_shortest_form)
{
    expect_header(0, BYTES_LITERAL("\x81\x00"));
    expect_header(125, BYTES_LITERAL("\x81\x7d"));
    expect_header(126, BYTES_LITERAL("\x81\x7e\x00\x7e"));
    expect_header(65535, BYTES_LITERAL("\x81\x7e\xff\xff"));
    expect_header(65536, BYTES_LITERAL("\x81\x7f\0\0\0\0\0\x01\0\0"));
    expect_header(UINT64_C(0x0102030405060708),
                  BYTES_LITERAL("\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08"));
}
END_TEST

START_TEST(close_frames_are_written_and_their_reason_is_cut_between_characters)
{
    auto_buffer struct buffer out = {0};
    websocket_append_close(&out, 1001, "bye");
    ck_assert(bytes_equal(buffer_peek(&out), BYTES_LITERAL("\x88\x05\x03\xe9"
                                                           "bye")));
    buffer_clear(&out);
    websocket_append_close(&out, WEBSOCKET_CLOSE_NO_CODE, "");
    ck_assert(bytes_equal(buffer_peek(&out), BYTES_LITERAL("\x88\x00")));
    char reason[200];
    for (size_t pad = 118; pad <= 123; pad++) {
        memset(reason, 'r', pad);
        memcpy(reason + pad, "\xf0\x9f\x98\x80", sizeof("\xf0\x9f\x98\x80"));
        buffer_clear(&out);
        websocket_append_close(&out, 1000, reason);
        struct bytes frame = buffer_peek(&out);
        ck_assert_uint_le(frame.size, 127);
        ck_assert(utf8_is_valid(bytes_skip(frame, 4)));
        ck_assert_uint_eq(frame.size, pad + 4 <= 123 ? pad + 8 : pad + 4);
    }
}
END_TEST

static struct http_request request_of(struct http_reader *reader, const char *fields)
{
    static const struct http_limits limits = {1000, 4000, 50, 1000};
    auto_buffer struct buffer text = {0};
    struct http_item item = {0};
    buffer_append_format(&text, "%s\r\n", fields);
    http_reader_init(reader, &limits);
    http_reader_feed(reader, buffer_peek(&text));
    ck_assert_int_eq(http_reader_next(reader, &item), STATUS_OK);
    return item.request;
}

static enum status handshake(const char *head)
{
    struct http_reader reader;
    struct http_request request = request_of(&reader, head);
    struct bytes key;
    enum status status = websocket_check_handshake(&request, &key);
    if (status == STATUS_OK)
        ck_assert(bytes_equal_string(key, "dGhlIHNhbXBsZSBub25jZQ=="));
    http_reader_deinit(&reader);
    return status;
}

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define UPGRADE "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

START_TEST(handshakes_are_checked)
{
    ck_assert_int_eq(handshake(GET UPGRADE KEY VERSION), STATUS_OK);
    ck_assert_int_eq(handshake(GET UPGRADE KEY), STATUS_UNSUPPORTED);
    ck_assert_int_eq(handshake(GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n"), STATUS_UNSUPPORTED);
    ck_assert_int_eq(handshake(GET UPGRADE VERSION), STATUS_MALFORMED);
    ck_assert_int_eq(handshake(GET UPGRADE KEY KEY VERSION), STATUS_MALFORMED);
    ck_assert_int_eq(handshake(GET KEY VERSION), STATUS_MALFORMED);
    ck_assert_int_eq(handshake(GET "Upgrade: h2c\r\nConnection: upgrade\r\n" KEY VERSION),
                     STATUS_MALFORMED);
    ck_assert_int_eq(handshake(GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n"),
                     STATUS_MALFORMED);
    ck_assert_int_eq(
        handshake(GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n"),
        STATUS_MALFORMED);
    ck_assert_int_eq(
        handshake(GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXh4\r\n"),
        STATUS_MALFORMED);
    ck_assert_int_eq(handshake("POST / HTTP/1.1\r\nHost: h\r\n" UPGRADE KEY VERSION),
                     STATUS_MALFORMED);
    ck_assert_int_eq(handshake("GET / HTTP/1.0\r\n" UPGRADE KEY VERSION), STATUS_MALFORMED);
}
END_TEST

START_TEST(handshakes_are_answered)
{
    struct bytes key = BYTES_LITERAL("dGhlIHNhbXBsZSBub25jZQ==");
    auto_buffer struct buffer out = {0};
    struct http_field field = http_field_of("Set-Cookie", "io=1");
    websocket_append_handshake(&out, key, BYTES_LITERAL("smartstack.v1.json"), &field, 1);
    ck_assert(bytes_equal_string(
        buffer_peek(&out),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Sec-WebSocket-Protocol: smartstack.v1.json\r\nSet-Cookie: io=1\r\n\r\n"));
}
END_TEST

START_TEST(subprotocols_are_compared_exactly)
{
    struct http_reader reader;
    struct http_request request = request_of(
        &reader,
        GET "Sec-WebSocket-Protocol: a, smartstack.v1.json\r\nSEC-websocket-protocol: b\r\n");
    ck_assert(websocket_offers_protocol(&request, "smartstack.v1.json"));
    ck_assert(websocket_offers_protocol(&request, "b"));
    ck_assert(!websocket_offers_protocol(&request, "Smartstack.v1.json"));
    ck_assert(!websocket_offers_protocol(&request, "smartstack"));
    http_reader_deinit(&reader);
}
END_TEST

TEST_PROGRAM("websocket_frame", messages_and_control_frames_are_given,
             fragments_are_joined_around_control_frames, sequence_errors_are_refused,
             unmasked_and_ill_sized_frames_are_refused,
             the_limit_is_over_all_fragments_and_found_from_the_header,
             a_refused_frame_costs_no_memory, text_must_be_utf8_and_is_refused_early,
             close_frames_are_checked, random_messages_arrive_whole_however_they_are_cut,
             headers_take_the_shortest_form,
             close_frames_are_written_and_their_reason_is_cut_between_characters,
             handshakes_are_checked, handshakes_are_answered, subprotocols_are_compared_exactly)
