/* The parts of the pattern language that stand alone: numbers, addresses, case, wildcards. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "pattern_address.h"
#include "pattern_fold.h"
#include "pattern_number.h"
#include "pattern_wildcard.h"

#include "suite.h"

static uint64_t state = 1;

static uint64_t random_word(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool is_comparable(const char *literal)
{
    struct bytes text = bytes_of_string(literal);
    return number_is_comparable(text, number_value(text));
}

START_TEST(a_literal_has_the_value_of_the_nearest_double)
{
    static const char *const literals[] = {"0",
                                           "-0",
                                           "1",
                                           "-1.5",
                                           "1e22",
                                           "1e23",
                                           "123456789012345",
                                           "9007199254740993",
                                           "1e-22",
                                           "5e-324",
                                           "2e-324",
                                           "3e-324",
                                           "1.7976931348623157e308",
                                           "1.7976931348623159e308",
                                           "1e400",
                                           "-1e400",
                                           "1e-400",
                                           "0.1",
                                           "0.30000000000000004",
                                           "100000000000000000000000",
                                           "0.00001e5",
                                           "2.2250738585072011e-308",
                                           "1e99999999999999999999",
                                           "0e99999999999999999999",
                                           "1e-99999999999999999999",
                                           "179769313486231580793728971405301e276"};
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        double value = number_value(bytes_of_string(literals[i]));
        ck_assert_msg(value == strtod(literals[i], NULL), "%s: %.17g", literals[i], value);
        ck_assert(value != 0 || !signbit(value) || strtod(literals[i], NULL) != 0 ||
                  strcspn(literals[i], "123456789") < strcspn(literals[i], "e"));
    }
}
END_TEST

START_TEST(a_very_long_literal_is_rounded_by_its_last_digit)
{
    /* 2^53 + 1 lies midway between two doubles: what follows decides, however far behind. */
    static char literal[3000] = "9007199254740993.";
    size_t size = strlen(literal);
    memset(literal + size, '0', 2000);
    size += 2000;
    ck_assert(number_value(bytes_of(literal, size)) == 9007199254740992.0);
    literal[size++] = '1';
    ck_assert(number_value(bytes_of(literal, size)) == 9007199254740994.0);
}
END_TEST

START_TEST(random_literals_agree_with_strtod)
{
    for (int i = 0; i < 60000; i++) {
        char literal[64];
        uint64_t bits = random_word();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        int digits = 1 + (int)(random_word() % 20);
        if (i % 2)
            (void)snprintf(literal, sizeof(literal), "%.*e", digits - 1, value);
        else
            (void)snprintf(literal, sizeof(literal), "%.*f", digits,
                           (double)(int64_t)(bits % 2000000000) / 1e4);
        ck_assert_msg(number_value(bytes_of_string(literal)) == strtod(literal, NULL), "%s",
                      literal);
    }
}
END_TEST

START_TEST(only_the_shortest_spelling_of_a_double_is_comparable)
{
    static const char *const yes[] = {"0",
                                      "-0.0",
                                      "0e5",
                                      "1",
                                      "1.0",
                                      "1e0",
                                      "123456789012345",
                                      "0.30000000000000004",
                                      "1e22",
                                      "1e23",
                                      "5e-324",
                                      "1.7976931348623157e308",
                                      "2.2250738585072014e-308",
                                      "9007199254740992",
                                      "9007199254740994",
                                      "5.684341886080802e-14",
                                      "1.000000000000000000000000",
                                      "100000000000000000000",
                                      "4.35",
                                      "2e-323",
                                      "0.00000000000000000000000000000000001"};
    static const char *const no[] = {"9007199254740993",
                                     "1e400",
                                     "1e-400",
                                     "0.1000000000000000055511151231257827",
                                     "0.33333333333333331",
                                     "4.9e-324",
                                     "4.94e-324",
                                     "5.6843418860808015e-14",
                                     "4.3499999999999996",
                                     "123456789.123456789",
                                     "12345678901234567890",
                                     "1e99999999999999999999",
                                     "1.79769313486231571e308"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        ck_assert_msg(is_comparable(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        ck_assert_msg(!is_comparable(no[i]), "%s", no[i]);
}
END_TEST

/* The digits of the decimals with `count` digits around a double that read back as it, by trying.
 */
START_TEST(of_all_spellings_of_a_random_double_exactly_the_shortest_is_comparable)
{
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = random_word();
        if (i % 4 == 0)
            bits &= ~(uint64_t)0 << 52; /* powers of two, where the interval is lopsided */
        double value;
        memcpy(&value, &bits, sizeof(value));
        value = fabs(value);
        if (!isfinite(value) || value == 0)
            continue;
        unsigned found = 0, shortest = 0;
        for (int digits = 1; digits <= 17; digits++) {
            char text[40], near[40];
            (void)snprintf(text, sizeof(text), "%.*e", digits - 1, value);
            char *exponent = strchr(text, 'e');
            long long mantissa = 0;
            for (char *at = text; at < exponent; at++)
                mantissa = *at == '.' ? mantissa : mantissa * 10 + (*at - '0');
            for (int step = -2; step <= 2; step++) {
                (void)snprintf(near, sizeof(near), "%llde%ld", mantissa + step,
                               strtol(exponent + 1, NULL, 10) - (digits - 1));
                if ((mantissa + step) % 10 == 0 || strtod(near, NULL) != value)
                    continue;
                shortest = shortest ? shortest : (unsigned)digits;
                found += is_comparable(near);
                ck_assert_msg(!is_comparable(near) || (unsigned)digits == shortest, "%s", near);
            }
        }
        ck_assert_msg(found == 1, "%.17g has %u comparable spellings", value, found);
    }
}
END_TEST

static bool same_address(const char *a, const char *b)
{
    struct address left, right;
    return address_parse(bytes_of_string(a), &left) && address_parse(bytes_of_string(b), &right) &&
           memcmp(left.data, right.data, ADDRESS_SIZE) == 0;
}

START_TEST(spellings_of_one_address_are_equal)
{
    ck_assert(same_address("10.0.0.1", "010.00.0.001"));
    ck_assert(same_address("::1", "0:0:0:0:0:0:0:1"));
    ck_assert(same_address("::", "0::0"));
    ck_assert(same_address("2001:DB8::A", "2001:0db8:0:0::000a"));
    ck_assert(same_address("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"));
    ck_assert(same_address("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"));
    ck_assert(same_address("::ffff:a00:1", "10.0.0.1"));
    ck_assert(!same_address("::a00:1", "10.0.0.1"));
    ck_assert(!same_address("::1", "::2"));
}
END_TEST

START_TEST(what_resembles_an_address_is_none)
{
    static const char *const texts[] = {"",
                                        "1",
                                        "a",
                                        ":",
                                        ":::",
                                        "1.2.3",
                                        "1.2.3.4.5",
                                        "1.2.3.256",
                                        "1.2.3.",
                                        ".1.2.3",
                                        "1..2.3",
                                        "1.2.3.4 ",
                                        " 1.2.3.4",
                                        "1.2.3.-4",
                                        "1.2.3.0x4",
                                        "12:30",
                                        "1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:8:9",
                                        "1::2::3",
                                        "1:2:3:4:5:6:7:8::",
                                        "::1:2:3:4:5:6:7:8",
                                        "1:2:3:4::5:6:7:8",
                                        "12345::",
                                        "g::",
                                        "::1%eth0",
                                        "[::1]",
                                        "::ffff:10.0.0.1",
                                        "1:",
                                        ":1",
                                        "1:2:3:4:5:6:7:",
                                        "::1:",
                                        "deadbeef",
                                        "99999999999999999999.1.1.1"};
    struct address address;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_msg(!address_parse(bytes_of_string(texts[i]), &address), "%s", texts[i]);
}
END_TEST

START_TEST(a_block_holds_addresses_of_its_family_bit_by_bit)
{
    struct address block, address;
    unsigned bits = 0;
    for (unsigned size = 0; size < 128; size++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa/%u", size);
        ck_assert_ptr_null(address_parse_block(bytes_of_string(text), &block, &bits));
        ck_assert_uint_eq(bits, size);
        for (unsigned flipped = 0; flipped < 128; flipped++) {
            ck_assert(
                address_parse(BYTES_LITERAL("aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa"), &address));
            address.data[1 + flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
            ck_assert_int_eq(address_in_block(&address, &block, bits), flipped >= size);
        }
    }
    ck_assert_ptr_null(address_parse_block(BYTES_LITERAL("::/0"), &block, &bits));
    ck_assert(address_parse(BYTES_LITERAL("10.0.0.1"), &address));
    ck_assert(!address_in_block(&address, &block, bits));
}
END_TEST

/* 'e' the pattern is the text, 'p' its beginning, 's' its end, '-' none of these. */
static const char *fold_of(const char *pattern, const char *text)
{
    static char out[4];
    size_t size = 0;
    struct arena arena = {0};
    struct fold fold = fold_compile(bytes_of_string(pattern), &arena);
    size_t front = fold_match_front(&fold, bytes_of_string(text));
    size_t back = fold_match_back(&fold, bytes_of_string(text));
    if (front == strlen(text))
        out[size++] = 'e';
    if (front != SIZE_MAX)
        out[size++] = 'p';
    if (back != SIZE_MAX)
        out[size++] = 's';
    out[size] = '\0';
    ck_assert_int_eq(front == strlen(text), back == strlen(text));
    arena_deinit(&arena);
    return out;
}

START_TEST(case_is_folded_as_the_pattern_says)
{
    ck_assert_str_eq(fold_of("aB-1", "Ab-1"), "eps");
    ck_assert_str_eq(fold_of("ab", "ABC"), "p");
    ck_assert_str_eq(fold_of("bc", "ABC"), "s");
    ck_assert_str_eq(fold_of("ab", "a"), "");
    ck_assert_str_eq(fold_of("", "a"), "ps");
    ck_assert_str_eq(fold_of("", ""), "eps");
    ck_assert_str_eq(fold_of("ß", "SS"), "eps");
    ck_assert_str_eq(fold_of("ß", "ss"), "");
    ck_assert_str_eq(fold_of("ßß", "SSß"), "eps");
    ck_assert_str_eq(fold_of("ss", "ß"), "");
    ck_assert_str_eq(fold_of("\xe2\x84\xaa", "k"), "eps"); /* KELVIN SIGN */
    ck_assert_str_eq(fold_of("\xe2\x84\xaa", "K"), "");
    ck_assert_str_eq(fold_of("İ", "i̇"), "eps");
    ck_assert_str_eq(fold_of("ǅ", "ǅ"), "eps");
    ck_assert_str_eq(fold_of("ǅ", "Ǆ"), "eps");
    ck_assert_str_eq(fold_of("ǅ", "ǆ"), "eps");
    ck_assert_str_eq(fold_of("Ǆ", "ǅ"), "");
    ck_assert_str_eq(fold_of("𐐀😀", "𐐨😀"), "eps");
    ck_assert_str_eq(fold_of("é\xed\xa0\x80", "É\xed\xa0\x80"), "eps");
}
END_TEST

START_TEST(the_table_of_case_is_in_order_and_maps_both_ways)
{
    for (size_t i = 1; i < fold_special_count; i++)
        ck_assert_uint_lt(fold_specials[i - 1].code, fold_specials[i].code);
    unsigned pairs = 0;
    for (unsigned letter = 'a'; letter <= 'z'; letter++) {
        const char lower[] = {(char)letter, 0}, upper[] = {(char)(letter - 32), 0};
        pairs +=
            strcmp(fold_of(lower, upper), "eps") == 0 && strcmp(fold_of(upper, lower), "eps") == 0;
    }
    ck_assert_uint_eq(pairs, 26);
}
END_TEST

static bool naive_wild(const char *pattern, const char *text)
{
    if (!*pattern)
        return !*text;
    if (*pattern == '*')
        return naive_wild(pattern + 1, text) || (*text && naive_wild(pattern, text + 1));
    pattern += *pattern == '\\';
    return *pattern == *text && naive_wild(pattern + 1, text + 1);
}

START_TEST(random_wildcards_agree_with_backtracking)
{
    unsigned matches = 0;
    for (int i = 0; i < 60000; i++) {
        static const char *const parts[] = {"a", "b", "*", "\\*", "\\\\", "a"};
        char pattern[40] = "", text[12] = "";
        size_t count = random_word() % 7, length = random_word() % 9;
        for (size_t k = 0; k < count; k++)
            strcat(pattern, parts[random_word() % 6]); /* NOLINT: seven parts of two bytes fit */
        for (size_t k = 0; k < length; k++)
            text[k] = "ab*\\a"[random_word() % 5];
        struct arena arena = {0};
        struct wildcard wildcard;
        if (!wildcard_compile(bytes_of_string(pattern), &arena, &wildcard)) {
            bool got = wildcard_match(&wildcard, bytes_of_string(text));
            ck_assert_msg(got == naive_wild(pattern, text), "%s on %s: %d", pattern, text, got);
            matches += got;
        } else {
            ck_assert_msg(strstr(pattern, "**") != NULL, "%s", pattern);
        }
        arena_deinit(&arena);
    }
    ck_assert_uint_gt(matches, 1000);
}
END_TEST

TEST_PROGRAM("pattern parts", a_literal_has_the_value_of_the_nearest_double,
             a_very_long_literal_is_rounded_by_its_last_digit, random_literals_agree_with_strtod,
             only_the_shortest_spelling_of_a_double_is_comparable,
             of_all_spellings_of_a_random_double_exactly_the_shortest_is_comparable,
             spellings_of_one_address_are_equal, what_resembles_an_address_is_none,
             a_block_holds_addresses_of_its_family_bit_by_bit, case_is_folded_as_the_pattern_says,
             the_table_of_case_is_in_order_and_maps_both_ways,
             random_wildcards_agree_with_backtracking)
