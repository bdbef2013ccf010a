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

TEST_PROGRAM("base64", vectors_of_the_specification,
             what_is_not_base64_is_refused_and_appends_nothing, decoding_undoes_encoding)
