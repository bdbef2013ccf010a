#include "utf8.h"

#include "suite.h"

static const char *const valid[] = {
    "",
    "plain",
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "eight by\xc3\xa4tes and more",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
};

static const char *const invalid[] = {
    "\x80",             /* continuation alone */
    "\xc0\xaf",         /* overlong */
    "\xc1\xbf",         /* overlong */
    "\xe0\x9f\xbf",     /* overlong */
    "\xf0\x8f\xbf\xbf", /* overlong */
    "\xed\xa0\x80",     /* surrogate */
    "\xed\xbf\xbf",     /* surrogate */
    "\xf4\x90\x80\x80", /* above U+10FFFF */
    "\xf5\x80\x80\x80",
    "\xff",
    "\xfe",
    "\xc3(",
    "\xe2\x82(",
    "aaaaaaaaaaaaaaa\xc3(",
    "\xf0\x9f\x98\xc3\xa4",
};

static const char *const unfinished[] = {"\xc3", "\xe2\x82", "\xf0\x9f\x98", "eight by\xe2"};

static bool is_valid_in_pieces(const char *text, size_t piece)
{
    struct utf8_validator validator = {0};
    struct bytes rest = bytes_of_string(text);
    while (rest.size) {
        size_t size = piece < rest.size ? piece : rest.size;
        if (!utf8_validator_feed(&validator, bytes_of(rest.data, size)))
            return false;
        rest = bytes_skip(rest, size);
    }
    return utf8_validator_is_complete(&validator);
}

START_TEST(texts_are_judged_alike_however_they_are_cut)
{
    for (size_t piece = 1; piece < 20; piece++) {
        for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
            ck_assert_msg(is_valid_in_pieces(valid[i], piece), "valid %zu by %zu", i, piece);
        for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
            ck_assert_msg(!is_valid_in_pieces(invalid[i], piece), "invalid %zu by %zu", i, piece);
        for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++)
            ck_assert_msg(!is_valid_in_pieces(unfinished[i], piece), "cut %zu by %zu", i, piece);
    }
}
END_TEST

START_TEST(an_unfinished_text_is_not_yet_wrong)
{
    for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
        struct utf8_validator validator = {0};
        ck_assert(utf8_validator_feed(&validator, bytes_of_string(unfinished[i])));
        ck_assert(!utf8_validator_is_complete(&validator));
    }
}
END_TEST

/* Every code point, encoded by hand. */
START_TEST(every_code_point_is_judged_by_its_number)
{
    for (uint32_t code = 0x80; code < 0x110000 + 0x1000; code++) {
        uint8_t text[4];
        size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t i = size - 1; i > 0; i--)
            text[i] = 0x80 | (code >> (6 * (size - 1 - i)) & 0x3f);
        text[0] = (uint8_t)((0xf00 >> size & 0xff) | code >> (6 * (size - 1)));
        bool good = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
        if (utf8_is_valid(bytes_of(text, size)) != good)
            ck_abort_msg("U+%X", code);
    }
}
END_TEST

TEST_PROGRAM("utf8", texts_are_judged_alike_however_they_are_cut,
             an_unfinished_text_is_not_yet_wrong, every_code_point_is_judged_by_its_number)
