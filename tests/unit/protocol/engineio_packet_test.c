#include "engineio_packet.h"

#include "random.h"
#include "suite.h"

static void transcribe(struct bytes body, uint32_t max_packets, struct buffer *out)
{
    struct engineio_payload_reader reader;
    auto_buffer struct buffer scratch = {0};
    enum status status = engineio_payload_init(&reader, body, max_packets);
    while (status == STATUS_OK) {
        struct engineio_packet packet;
        status = engineio_payload_next(&reader, &scratch, &packet);
        if (status == STATUS_OK)
            buffer_append_format(out, "%d%s%.*s|", packet.type, packet.binary ? "b" : "",
                                 BYTES_PRINT(packet.data));
    }
    if (status != STATUS_NOT_FOUND)
        buffer_append_string(out, status_text(status));
    buffer_append_byte(out, 0);
}

static void expect(struct bytes body, const char *expected)
{
    auto_buffer struct buffer out = {0};
    transcribe(body, 5, &out);
    ck_assert_str_eq((const char *)out.data, expected);
}
#define EXPECT(body, expected) expect(BYTES_LITERAL(body), expected)

START_TEST(payloads_are_read)
{
    EXPECT("4hello", "4hello|");
    EXPECT("4test1\x1e"
           "4test2\x1e"
           "4test3",
           "4test1|4test2|4test3|");
    EXPECT("4hello\x1e"
           "bAQIDBA==",
           "4hello|4b\1\2\3\4|");
    EXPECT("bAQID\nBA==\n\x1e"
           "bAQID\r\nBA==\r\n",
           "4b\1\2\3\4|4b\1\2\3\4|");
    EXPECT("3", "3|");
    EXPECT("2probe", "2probe|");
    EXPECT("4", "4|");
    EXPECT("b", "4b|");
    EXPECT("4\xe2\x82\xac\x1e"
           "1",
           "4\xe2\x82\xac|1|");
    EXPECT("0\x1e"
           "1\x1e"
           "2\x1e"
           "5\x1e"
           "6",
           "0|1|2|5|6|");
    EXPECT("4bAQ", "4bAQ|");
}
END_TEST

START_TEST(bad_payloads_are_refused)
{
    EXPECT("", "malformed input");
    EXPECT("abc", "malformed input");
    EXPECT("7", "malformed input");
    EXPECT("/", "malformed input");
    EXPECT("4a\x1e", "4a|malformed input");
    EXPECT("\x1e"
           "4a",
           "malformed input");
    EXPECT("4a\x1e\x1e"
           "4b",
           "4a|malformed input");
    EXPECT("4a\x1e"
           "bAQ",
           "4a|malformed input");
    EXPECT("bAQ= ", "malformed input");
    EXPECT("4\xff", "malformed input");
    EXPECT("1\x1e"
           "1\x1e"
           "1\x1e"
           "1\x1e"
           "1\x1e"
           "1",
           "1|1|1|1|1|a configured limit is reached");
}
END_TEST

START_TEST(packets_are_written)
{
    auto_buffer struct buffer out = {0};
    size_t start = 3;
    buffer_append_string(&out, "xyz");
    engineio_append_separator(&out, start);
    engineio_append_packet(&out, ENGINEIO_MESSAGE, BYTES_LITERAL("a"));
    engineio_append_separator(&out, start);
    engineio_append_binary(&out, BYTES_LITERAL("\1\2\3\4"));
    engineio_append_separator(&out, start);
    engineio_append_packet(&out, ENGINEIO_NOOP, BYTES_LITERAL(""));
    ck_assert(bytes_equal_string(buffer_peek(&out), "xyz4a\x1e"
                                                    "bAQIDBA==\x1e"
                                                    "6"));
    ck_assert_uint_eq(engineio_packet_size(false, 1), 2);
    ck_assert_uint_eq(engineio_packet_size(true, 4), 9);
}
END_TEST

START_TEST(the_handshake_has_exactly_the_five_keys)
{
    auto_buffer struct buffer out = {0};
    struct engineio_handshake handshake = {BYTES_LITERAL("abc-_1"), true, 300, 200, 1000000};
    engineio_append_open(&out, &handshake);
    ck_assert(bytes_equal_string(buffer_peek(&out),
                                 "0{\"sid\":\"abc-_1\",\"upgrades\":[\"websocket\"],"
                                 "\"pingInterval\":300,\"pingTimeout\":200,"
                                 "\"maxPayload\":1000000}"));
    buffer_clear(&out);
    handshake.websocket_upgrade = false;
    engineio_append_open(&out, &handshake);
    ck_assert(bytes_equal_string(buffer_peek(&out),
                                 "0{\"sid\":\"abc-_1\",\"upgrades\":[],\"pingInterval\":300,"
                                 "\"pingTimeout\":200,\"maxPayload\":1000000}"));
}
END_TEST

START_TEST(refusals_are_json)
{
    auto_buffer struct buffer out = {0};
    engineio_append_error(&out, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
    engineio_append_error(&out, ENGINEIO_ERROR_FORBIDDEN, "a \"quote\"");
    ck_assert(bytes_equal_string(buffer_peek(&out),
                                 "{\"code\":1,\"message\":\"Session ID unknown\"}"
                                 "{\"code\":4,\"message\":\"a \\\"quote\\\"\"}"));
    for (int code = 0; code <= 5; code++)
        ck_assert_uint_eq(engineio_error_http_code((enum engineio_error)code),
                          code == 4 ? 403 : 400);
}
END_TEST

START_TEST(reading_undoes_writing)
{
    uint64_t state = random_seed();
    for (int round = 0; round < 500; round++) {
        enum { MOST = 20 };
        auto_buffer struct buffer payload = {0}, scratch = {0};
        struct engineio_packet packets[MOST];
        static char texts[MOST][64];
        size_t count = 1 + random_below(&state, MOST);
        for (size_t i = 0; i < count; i++) {
            bool binary = random_below(&state, 3) == 0;
            size_t size = random_below(&state, sizeof(texts[i]));
            for (size_t j = 0; j < size; j++)
                texts[i][j] =
                    (char)(binary ? random_next(&state) : 0x20 + random_below(&state, 95));
            struct bytes data = bytes_of(texts[i], size);
            packets[i] = (struct engineio_packet){
                binary ? ENGINEIO_MESSAGE : (enum engineio_packet_type)random_below(&state, 7),
                binary, data};
            engineio_append_separator(&payload, 0);
            size_t before = buffer_size(&payload);
            if (binary)
                engineio_append_binary(&payload, data);
            else
                engineio_append_packet(&payload, packets[i].type, data);
            ck_assert_uint_eq(buffer_size(&payload) - before, engineio_packet_size(binary, size));
        }
        struct engineio_payload_reader reader;
        ck_assert_int_eq(engineio_payload_init(&reader, buffer_peek(&payload), MOST), STATUS_OK);
        struct engineio_packet packet;
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_eq(engineio_payload_next(&reader, &scratch, &packet), STATUS_OK);
            ck_assert_int_eq(packet.type, packets[i].type);
            ck_assert_int_eq(packet.binary, packets[i].binary);
            ck_assert(bytes_equal(packet.data, packets[i].data));
        }
        ck_assert_int_eq(engineio_payload_next(&reader, &scratch, &packet), STATUS_NOT_FOUND);
    }
}
END_TEST

TEST_PROGRAM("engineio_packet", payloads_are_read, bad_payloads_are_refused, packets_are_written,
             the_handshake_has_exactly_the_five_keys, refusals_are_json, reading_undoes_writing)
