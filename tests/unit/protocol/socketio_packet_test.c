#include "socketio_packet.h"

#include "random.h"
#include "suite.h"

static const struct socketio_limits limits = {
    .json_depth = 8, .namespace_bytes = 32, .packet_bytes = 1000};

static void write_packet(struct buffer *out, const struct socketio_packet *packet)
{
    static const char *const names[] = {"connect", "disconnect", "event", "ack",
                                        "error",   "event",      "ack"};
    buffer_append_format(out, "%s %.*s", names[packet->type], BYTES_PRINT(packet->name_space));
    if (packet->has_ack_id)
        buffer_append_format(out, " id=%llu", (unsigned long long)packet->ack_id);
    if (packet->attachment_count)
        buffer_append_format(out, " attachments=%u", packet->attachment_count);
    if (packet->event.size)
        buffer_append_format(out, " %.*s", BYTES_PRINT(packet->event));
    if (packet->argument_count)
        buffer_append_format(out, " %u: %.*s", packet->argument_count,
                             BYTES_PRINT(packet->arguments));
    else if (packet->payload.size && !packet->event.size)
        buffer_append_format(out, " %.*s", BYTES_PRINT(packet->payload));
}

static void expect(const char *text, const char *expected)
{
    struct socketio_packet packet;
    auto_buffer struct buffer out = {0};
    enum status status = socketio_decode(bytes_of_string(text), &limits, &packet);
    if (status)
        buffer_append_string(&out, status_text(status));
    else
        write_packet(&out, &packet);
    buffer_append_byte(&out, 0);
    ck_assert_msg(strcmp((const char *)out.data, expected) == 0, "%s gave: %s", text,
                  (const char *)out.data);
    if (status)
        return;
    buffer_clear(&out);
    socketio_append_packet(&out, &packet);
    struct socketio_packet again;
    ck_assert_int_eq(socketio_decode(buffer_peek(&out), &limits, &again), STATUS_OK);
    ck_assert(again.type == packet.type && again.ack_id == packet.ack_id &&
              again.has_ack_id == packet.has_ack_id &&
              again.attachment_count == packet.attachment_count);
    ck_assert(bytes_equal(again.payload, packet.payload));
    ck_assert(bytes_equal(again.name_space, packet.name_space));
}

START_TEST(packets_are_read)
{
    expect("0", "connect /");
    expect("0{}", "connect / {}");
    expect("0{\"token\":\"123\"}", "connect / {\"token\":\"123\"}");
    expect("0/custom,", "connect /custom");
    expect("0/custom", "connect /custom");
    expect("0/custom?a=b,{\"x\":1}", "connect /custom?a=b {\"x\":1}");
    expect("0/", "connect /");
    expect("1", "disconnect /");
    expect("1/custom", "disconnect /custom");
    expect("1/custom,", "disconnect /custom");
    expect("2[\"a\"]", "event / \"a\"");
    expect("2[\"a\",1,\"2\",{\"3\":[true]}]", "event / \"a\" 3: 1,\"2\",{\"3\":[true]}");
    expect("2/n,[\"a\" , 1 ,2 ] ", "event /n \"a\" 2: 1 ,2");
    expect("256[\"a\"]", "event / id=56 \"a\"");
    expect("2/n,0[\"a\"]", "event /n id=0 \"a\"");
    expect("29007199254740991[\"a\"]", "event / id=9007199254740991 \"a\"");
    expect("2[1]", "event / 1");
    expect("2[\"\"]", "event / \"\"");
    expect("2", "event /");
    expect("2/n", "event /n");
    expect("356[1,\"2\"]", "ack / id=56 2: 1,\"2\"");
    expect("30[]", "ack / id=0 []");
    expect("4{\"message\":\"x\"}", "error / {\"message\":\"x\"}");
    expect("4/n,\"x\"", "error /n \"x\"");
    expect("51-[\"a\",{\"_placeholder\":true,\"num\":0}]",
           "event / attachments=1 \"a\" 1: {\"_placeholder\":true,\"num\":0}");
    expect("510-/n,7[\"a\",[{\"_placeholder\":true,\"num\":9}]]",
           "event /n id=7 attachments=10 \"a\" 1: [{\"_placeholder\":true,\"num\":9}]");
    expect("61-3[{\"num\":0,\"_placeholder\":true}]",
           "ack / id=3 attachments=1 1: {\"num\":0,\"_placeholder\":true}");
    /* Fewer placeholders than attachments, as the JavaScript parser takes it. */
    expect("52-[\"a\"]", "event / attachments=2 \"a\"");
    /* Numbers, order and duplicates of keys, and escapes pass as they are. */
    expect("2[\"a\",{\"b\":1,\"a\":12345678901234567890.10,\"b\":\"\\ud800\"}]",
           "event / \"a\" 1: {\"b\":1,\"a\":12345678901234567890.10,\"b\":\"\\ud800\"}");
}
END_TEST

START_TEST(what_is_no_packet_is_refused)
{
    static const char *const bad[] = {
        "",
        "abc",
        "7",
        "9[\"a\"]",
        "-1",
        "0[]",
        "0null",
        "0\"a\"",
        "01",
        "0{}x",
        "0{",
        "0/n,[]",
        "0 1",
        "1{}",
        "1[]",
        "1/n,{}",
        "11",
        "2{}",
        "2[]",
        "2null",
        "2\"a\"",
        "2[null]",
        "2[true]",
        "2[{}]",
        "2[[]]",
        "2[\"a\"",
        "2[\"a\",]",
        "2[\"a\"]]",
        "2abc[\"a\"]",
        "2[\"a\"]x",
        "2['a']",
        "2[\"a\xff\"]",
        "2[\"a\n\"]",
        "2[\"a\",01]",
        "2[\"a\",NaN]",
        "2-[\"a\"]",
        "2 [\"a\"]",
        "0\t{}",
        "2 ",
        "29007199254740992[\"a\"]",
        "299999999999999999999999[\"a\"]",
        "3[1]",
        "3",
        "31",
        "31{}",
        "31null",
        "31[1",
        "3a[]",
        "4",
        "4[]",
        "4null",
        "41",
        "41{}",
        "/n",
        "2/\xff,[\"a\"]",
        "2[\"connect\"]",
        "2[\"connect_error\",1]",
        "2[\"disconnect\"]",
        "2[\"disconnecting\"]",
        "2[\"newListener\"]",
        "2[\"removeListener\"]",
        "2[\"\\u0063onnect\"]",
        "51-[\"connect\",{\"_placeholder\":true,\"num\":0}]",
        "5[\"a\"]",
        "5-[\"a\"]",
        "50-[\"a\"]",
        "511-[\"a\"]",
        "51[\"a\"]",
        "51.5-[\"a\"]",
        "5-1-[\"a\"]",
        "51-",
        "5a-[\"a\"]",
        "5 1-[\"a\"]",
        "51",
        "599999999999999999999-[\"a\"]",
        "61-[1]",
        "61-1",
        "60-1[]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]",
        "51-[\"a\",{\"_placeholder\":true}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true}]",
        "52-[\"a\",{\"num\":0},{\"_placeholder\":true}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":[0]}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":0,\"num\":1}]",
        "51-[\"a\",{\"_placeholder\":false,\"_\\u0070laceholder\":true,\"num\":2}]",
        "51-[\"a\",[1,{\"x\":{\"_placeholder\":true,\"x\":{\"num\":0}}}]]",
        "61-1[{\"_placeholder\":true,\"num\":99999999999999999999}]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect(bad[i], "malformed input");
}
END_TEST

START_TEST(what_only_looks_like_a_placeholder_passes)
{
    static const char *const good[] = {
        "51-[\"a\",{\"_placeholder\":false,\"num\":5}]",
        "51-[\"a\",{\"_placeholder\":\"true\",\"num\":5}]",
        "51-[\"a\",{\"_placeholder\":{\"_placeholder\":true,\"num\":0},\"num\":5}]",
        "51-[\"a\",{\"num\":5,\"x\":{\"_placeholder\":true,\"num\":0}}]",
        "51-[\"a\",{\"_placeholder\":true,\"_placeholder\":false,\"num\":5}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":5,\"num\":0}]",
        "51-[\"a\",\"_placeholder\",true,\"num\",5,{\"_placeholder\":[true]}]",
        "2[\"a\",{\"_placeholder\":true,\"num\":5}]",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct socketio_packet packet;
        ck_assert_msg(socketio_decode(bytes_of_string(good[i]), &limits, &packet) == STATUS_OK,
                      "%s", good[i]);
    }
}
END_TEST

START_TEST(limits_are_inclusive)
{
    expect("2[\"a\",[[[[[[[]]]]]]]]", "event / \"a\" 1: [[[[[[[]]]]]]]");
    expect("2[\"a\",[[[[[[[[]]]]]]]]]", status_text(STATUS_TOO_DEEP));
    expect("0/123456789012345678901234567890x,", "connect /123456789012345678901234567890x");
    expect("0/123456789012345678901234567890xy,", status_text(STATUS_TOO_LARGE));
    char text[1100];
    struct socketio_packet packet;
    memset(text, ' ', sizeof(text));
    memcpy(text, "2[\"a\"]", sizeof("2[\"a\"]") - 1);
    ck_assert_int_eq(socketio_decode(bytes_of(text, 1000), &limits, &packet), STATUS_OK);
    ck_assert_int_eq(socketio_decode(bytes_of(text, 1001), &limits, &packet), STATUS_TOO_LARGE);
}
END_TEST

#define BINARY "52-1[\"a\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]"

START_TEST(attachments_are_collected)
{
    struct socketio_decoder decoder;
    struct socketio_packet packet;
    socketio_decoder_init(&decoder, &limits);
    for (int round = 0; round < 2; round++) {
        char text[] = BINARY, one[] = "\1\2", two[] = "";
        ck_assert(!socketio_decoder_is_collecting(&decoder));
        ck_assert_int_eq(socketio_decoder_text(&decoder, bytes_of_string(text), &packet),
                         STATUS_INCOMPLETE);
        ck_assert(socketio_decoder_is_collecting(&decoder));
        ck_assert_int_eq(socketio_decoder_binary(&decoder, bytes_of_string(one), &packet),
                         STATUS_INCOMPLETE);
        struct bytes held;
        const struct bytes *attachments;
        uint32_t count;
        ck_assert(socketio_decoder_peek(&decoder, &held, &attachments, &count));
        ck_assert(bytes_equal_string(held, BINARY) && count == 1);
        memset(text, 'x', sizeof(text) - 1); /* the input is not needed any more */
        memset(one, 'x', sizeof(one) - 1);
        ck_assert_int_eq(socketio_decoder_binary(&decoder, bytes_of_string(two), &packet),
                         STATUS_OK);
        ck_assert_int_eq(packet.type, SOCKETIO_BINARY_EVENT);
        ck_assert(bytes_equal_string(packet.event, "\"a\""));
        ck_assert_uint_eq(packet.attachment_count, 2);
        ck_assert(bytes_equal_string(packet.attachments[0], "\1\2"));
        ck_assert_uint_eq(packet.attachments[1].size, 0);
        ck_assert(!socketio_decoder_is_collecting(&decoder));
        ck_assert_uint_gt(socketio_decoder_memory(&decoder), 0);
    }
    ck_assert_int_eq(socketio_decoder_text(&decoder, BYTES_LITERAL("2[\"b\"]"), &packet),
                     STATUS_OK);
    ck_assert_uint_eq(socketio_decoder_memory(&decoder), 0);
    socketio_decoder_deinit(&decoder);
}
END_TEST

START_TEST(text_between_attachments_and_binary_without_header_are_refused)
{
    struct socketio_decoder decoder;
    struct socketio_packet packet;
    socketio_decoder_init(&decoder, &limits);
    ck_assert_int_eq(socketio_decoder_binary(&decoder, BYTES_LITERAL("x"), &packet),
                     STATUS_MALFORMED);
    ck_assert_int_eq(socketio_decoder_text(&decoder, BYTES_LITERAL(BINARY), &packet),
                     STATUS_INCOMPLETE);
    ck_assert_int_eq(socketio_decoder_text(&decoder, BYTES_LITERAL("2[\"b\"]"), &packet),
                     STATUS_MALFORMED);
    ck_assert(!socketio_decoder_is_collecting(&decoder));
    ck_assert_int_eq(socketio_decoder_text(&decoder, BYTES_LITERAL("51-[\"a\"]"), &packet),
                     STATUS_INCOMPLETE);
    ck_assert_int_eq(socketio_decoder_binary(&decoder, BYTES_LITERAL("x"), &packet), STATUS_OK);
    ck_assert_int_eq(socketio_decoder_binary(&decoder, BYTES_LITERAL("x"), &packet),
                     STATUS_MALFORMED);
    ck_assert_int_eq(socketio_decoder_text(&decoder, BYTES_LITERAL("51-{}"), &packet),
                     STATUS_MALFORMED);
    ck_assert_uint_eq(socketio_decoder_memory(&decoder), 0);
    socketio_decoder_deinit(&decoder);
}
END_TEST

START_TEST(the_sum_of_the_attachments_is_limited)
{
    static uint8_t zeros[1000];
    struct bytes head = BYTES_LITERAL("52-[\"a\"]");
    struct socketio_decoder decoder;
    struct socketio_packet packet;
    socketio_decoder_init(&decoder, &limits);
    for (size_t extra = 0; extra < 2; extra++) {
        ck_assert_int_eq(socketio_decoder_text(&decoder, head, &packet), STATUS_INCOMPLETE);
        ck_assert_int_eq(socketio_decoder_binary(&decoder, bytes_of(zeros, 500), &packet),
                         STATUS_INCOMPLETE);
        ck_assert_int_eq(
            socketio_decoder_binary(&decoder, bytes_of(zeros, 500 - head.size + extra), &packet),
            extra ? STATUS_TOO_LARGE : STATUS_OK);
    }
    ck_assert(!socketio_decoder_is_collecting(&decoder));
    ck_assert_int_eq(socketio_decoder_text(&decoder, head, &packet), STATUS_INCOMPLETE);
    socketio_decoder_deinit(&decoder);
}
END_TEST

START_TEST(event_names_are_compared_and_given_unescaped)
{
    struct socketio_packet packet;
    auto_buffer struct buffer out = {0};
    ck_assert_int_eq(socketio_decode(BYTES_LITERAL("2[\"\\u0061\\/\xc3\xa4\"]"), &limits, &packet),
                     STATUS_OK);
    ck_assert(socketio_event_is(&packet, "a/\xc3\xa4"));
    ck_assert(!socketio_event_is(&packet, "a/"));
    socketio_append_event_name(&packet, &out);
    ck_assert(bytes_equal_string(buffer_peek(&out), "a/\xc3\xa4"));
    ck_assert_int_eq(socketio_decode(BYTES_LITERAL("2[12]"), &limits, &packet), STATUS_OK);
    ck_assert(!socketio_event_is(&packet, "12"));
    ck_assert_int_eq(socketio_decode(BYTES_LITERAL("2"), &limits, &packet), STATUS_OK);
    ck_assert(!socketio_event_is(&packet, ""));
    ck_assert_int_eq(socketio_decode(BYTES_LITERAL("2[\"\"]"), &limits, &packet), STATUS_OK);
    ck_assert(socketio_event_is(&packet, ""));
}
END_TEST

START_TEST(arguments_are_taken_one_by_one)
{
    struct socketio_packet packet;
    ck_assert_int_eq(
        socketio_decode(BYTES_LITERAL("2[\"a\", 1 , \"x,y]\" ,{\"b\":[1,2]},null\n,[[]] ]"),
                        &limits, &packet),
        STATUS_OK);
    static const char *const expected[] = {"1", "\"x,y]\"", "{\"b\":[1,2]}", "null", "[[]]"};
    struct bytes rest = packet.arguments, argument;
    ck_assert_uint_eq(packet.argument_count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(socketio_next_argument(&rest, &argument));
        ck_assert(bytes_equal_string(argument, expected[i]));
    }
    ck_assert(!socketio_next_argument(&rest, &argument));
}
END_TEST

static void expect_text(struct buffer *out, const char *expected)
{
    buffer_append_byte(out, 0);
    ck_assert_str_eq((const char *)out->data, expected);
    buffer_clear(out);
}

START_TEST(packets_are_written)
{
    auto_buffer struct buffer out = {0};
    struct bytes none = {0}, root = BYTES_LITERAL("/"), name_space = BYTES_LITERAL("/n?a");
    socketio_append_connect(&out, root, BYTES_LITERAL("abc"), none);
    expect_text(&out, "0{\"sid\":\"abc\"}");
    socketio_append_connect(&out, name_space, BYTES_LITERAL("abc"), BYTES_LITERAL("p"));
    expect_text(&out, "0/n?a,{\"sid\":\"abc\",\"pid\":\"p\"}");
    socketio_append_connect_error(&out, BYTES_LITERAL("/random"),
                                  BYTES_LITERAL("Invalid namespace"), none);
    expect_text(&out, "4/random,{\"message\":\"Invalid namespace\"}");
    socketio_append_connect_error(&out, root, BYTES_LITERAL("a\"b"), BYTES_LITERAL("{\"c\":1}"));
    expect_text(&out, "4{\"message\":\"a\\\"b\",\"data\":{\"c\":1}}");
    socketio_append_disconnect(&out, name_space);
    expect_text(&out, "1/n?a,");
    socketio_append_ack(&out, none, 456, BYTES_LITERAL("1,\"2\""), 0);
    expect_text(&out, "3456[1,\"2\"]");
    socketio_append_ack(&out, name_space, 0, none, 2);
    expect_text(&out, "62-/n?a,0[]");
    socketio_append_event_body(&out, root, BYTES_LITERAL("auth"), BYTES_LITERAL("{}"));
    expect_text(&out, "2[\"auth\",{}");
    socketio_append_event_body(&out, name_space, BYTES_LITERAL("a\nb"), none);
    expect_text(&out, "2/n?a,[\"a\\nb\"");
    socketio_append_event_tail(&out, none);
    ck_assert_uint_eq(buffer_size(&out), socketio_event_tail_size(0));
    expect_text(&out, "]");
    socketio_append_event_tail(&out, BYTES_LITERAL("cursor"));
    ck_assert_uint_eq(buffer_size(&out), socketio_event_tail_size(6));
    expect_text(&out, ",\"cursor\"]");
    struct socketio_event event = {.name_space = root,
                                   .name = BYTES_LITERAL("e"),
                                   .arguments = BYTES_LITERAL("1"),
                                   .cursor = BYTES_LITERAL("c"),
                                   .has_ack_id = true,
                                   .ack_id = 7,
                                   .attachment_count = 1};
    socketio_append_event(&out, &event);
    expect_text(&out, "51-7[\"e\",1,\"c\"]");
    socketio_append_placeholder(&out, 3);
    expect_text(&out, "{\"_placeholder\":true,\"num\":3}");
}
END_TEST

static void random_json(uint64_t *state, struct buffer *out, int depth)
{
    static const char *const scalars[] = {"1",    "-0.5e3", "true",         "false",
                                          "null", "\"\"",   "\"a\\u00e4\"", "12345678901234567890"};
    size_t kind = random_below(state, depth > 0 ? 10 : 8), count = random_below(state, 4);
    if (kind < 8) {
        buffer_append_string(out, scalars[kind]);
        return;
    }
    buffer_append_byte(out, kind == 8 ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(out, i ? "," : "");
        if (kind == 9)
            buffer_append_format(out, "\"k%zu\":", i);
        random_json(state, out, depth - 1);
    }
    buffer_append_byte(out, kind == 8 ? ']' : '}');
}

START_TEST(reading_undoes_writing)
{
    uint64_t state = random_seed();
    static const char *const name_spaces[] = {"/", "/n", "/admin?x=y", "/a/b"};
    for (int round = 0; round < 3000; round++) {
        auto_buffer struct buffer text = {0}, arguments = {0}, name = {0};
        size_t count = random_below(&state, 4);
        for (size_t i = 0; i < count; i++) {
            buffer_append_string(&arguments, i ? "," : "");
            random_json(&state, &arguments, 3);
        }
        struct socketio_event event = {
            .name_space = bytes_of_string(name_spaces[random_below(&state, 4)]),
            .name = BYTES_LITERAL("na\"me"),
            .arguments = buffer_peek(&arguments),
            .has_ack_id = random_below(&state, 2),
            .ack_id = random_next(&state) >> (11 + random_below(&state, 50)),
            .attachment_count = (uint32_t)random_below(&state, 11),
        };
        socketio_append_event(&text, &event);
        struct socketio_packet packet;
        ck_assert_int_eq(socketio_decode(buffer_peek(&text), &limits, &packet), STATUS_OK);
        ck_assert_int_eq(packet.type,
                         event.attachment_count ? SOCKETIO_BINARY_EVENT : SOCKETIO_EVENT);
        ck_assert(packet.has_ack_id == event.has_ack_id);
        ck_assert(!event.has_ack_id || packet.ack_id == event.ack_id);
        ck_assert(packet.attachment_count == event.attachment_count);
        ck_assert(packet.argument_count == count);
        ck_assert(bytes_equal(packet.name_space, event.name_space));
        ck_assert(bytes_equal(packet.arguments, event.arguments));
        socketio_append_event_name(&packet, &name);
        ck_assert(bytes_equal(buffer_peek(&name), event.name));
        auto_buffer struct buffer again = {0};
        socketio_append_packet(&again, &packet);
        ck_assert(bytes_equal(buffer_peek(&again), buffer_peek(&text)));
    }
}
END_TEST

TEST_PROGRAM("socketio_packet", packets_are_read, what_is_no_packet_is_refused,
             what_only_looks_like_a_placeholder_passes, limits_are_inclusive,
             attachments_are_collected,
             text_between_attachments_and_binary_without_header_are_refused,
             the_sum_of_the_attachments_is_limited, event_names_are_compared_and_given_unescaped,
             arguments_are_taken_one_by_one, packets_are_written, reading_undoes_writing)
