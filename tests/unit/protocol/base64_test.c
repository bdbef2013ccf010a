#include "base64.h"

#include "random.h"
#include "suite.h"

static void expect_text(const char *plain, const char *encoded)
{
    auto_buffer struct buffer out = {0};
    base64_encode(bytes_of_string(plain), &out);
    ck_assert(bytes_equal_string(buffer_peek(&out), encoded));
    ck_assert_uint_eq(base64_encoded_size(strlen(plain)), strlen(encoded));
    buffer_clear(&out);
    ck_assert_int_eq(base64_decode(bytes_of_string(encoded), &out), STATUS_OK);
    ck_assert(bytes_equal_string(buffer_peek(&out), plain));
}

START_TEST(vectors_of_the_specification)
{
    expect_text("", "");
    expect_text("f", "Zg==");
    expect_text("fo", "Zm8=");
    expect_text("foo", "Zm9v");
    expect_text("foob", "Zm9vYg==");
    expect_text("fooba", "Zm9vYmE=");
    expect_text("foobar", "Zm9vYmFy");
}
END_TEST

START_TEST(the_url_alphabet_is_written_without_padding)
{
    static const struct {
        const char *plain, *encoded;
    } cases[] = {{"", ""},
                 {"f", "Zg"},
                 {"fo", "Zm8"},
                 {"foo", "Zm9v"},
                 {"\xfb\xff\xfe", "-__-"},
                 {"\xfb\xef", "--8"},
                 {"foob", "Zm9vYg"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_buffer struct buffer out = {0};
        buffer_append_string(&out, "+/=");
        base64_encode_url(bytes_of_string(cases[i].plain), &out);
        ck_assert(bytes_equal_string(bytes_skip(buffer_peek(&out), 3), cases[i].encoded));
        ck_assert(bytes_start_with(buffer_peek(&out), BYTES_LITERAL("+/=")));
    }
}
END_TEST

START_TEST(what_is_not_base64_is_refused_and_appends_nothing)
{
    static const char *const bad[] = {
        "Z",        "Zg",       "Zg=",          "Zg===",     "====", "Z===",
        "Zm 9",     "Zm9v\n",   "Zm9v\n\n\n\n", "Zm-v",      "Zm_v", "=m9v",
        "Zm9=Zm9v", " Zm9v   ", "Zg==Zg==",     "\xc3\xa4zz"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        auto_buffer struct buffer out = {0};
        buffer_append_string(&out, "kept");
        ck_assert_msg(base64_decode(bytes_of_string(bad[i]), &out) == STATUS_MALFORMED, "%s",
                      bad[i]);
        ck_assert(bytes_equal_string(buffer_peek(&out), "kept"));
    }
}
END_TEST

START_TEST(line_ends_are_passed_over_where_lines_are_allowed)
{
    static const char *const texts[] = {"Zm9v\nYg==\n", "Zm9vYg==\n", "Zm9v\r\nYg==\r\n",
                                        "Z\nm9vYg=\n=", "\n\nZm9vYg=="};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        auto_buffer struct buffer out = {0};
        ck_assert_int_eq(base64_decode_lines(bytes_of_string(texts[i]), &out), STATUS_OK);
        ck_assert_msg(bytes_equal_string(buffer_peek(&out), "foob"), "%s", texts[i]);
    }
    auto_buffer struct buffer out = {0};
    ck_assert_int_eq(base64_decode_lines(BYTES_LITERAL("\n"), &out), STATUS_OK);
    ck_assert_uint_eq(buffer_size(&out), 0);
}
END_TEST

START_TEST(decoding_undoes_encoding)
{
    uint64_t state = random_seed();
    for (size_t size = 0; size < 600; size++) {
        uint8_t bytes[600];
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_next(&state);
        auto_buffer struct buffer text = {0}, back = {0};
        base64_encode(bytes_of(bytes, size), &text);
        ck_assert_int_eq(base64_decode(buffer_peek(&text), &back), STATUS_OK);
        ck_assert(bytes_equal(buffer_peek(&back), bytes_of(bytes, size)));
    }
}
END_TEST

START_TEST(decoding_undoes_encoding_in_lines)
{
    uint64_t state = random_seed();
    for (size_t size = 1; size < 600; size++) {
        uint8_t bytes[600];
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_next(&state);
        auto_buffer struct buffer text = {0}, lines = {0}, back = {0};
        base64_encode(bytes_of(bytes, size), &text);
        size_t width = 1 + random_next(&state) % 100;
        for (struct bytes rest = buffer_peek(&text); rest.size;) {
            size_t part = rest.size < width ? rest.size : width;
            buffer_append(&lines, bytes_of(rest.data, part));
            buffer_append_string(&lines, "\r\n");
            rest = bytes_skip(rest, part);
        }
        ck_assert_int_eq(base64_decode_lines(buffer_peek(&lines), &back), STATUS_OK);
        ck_assert(bytes_equal(buffer_peek(&back), bytes_of(bytes, size)));
    }
}
END_TEST

TEST_PROGRAM("base64", vectors_of_the_specification, the_url_alphabet_is_written_without_padding,
             what_is_not_base64_is_refused_and_appends_nothing,
             line_ends_are_passed_over_where_lines_are_allowed, decoding_undoes_encoding,
             decoding_undoes_encoding_in_lines)
