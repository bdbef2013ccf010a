/* Reading patterns: what is refused, why and where; limits; the order of paths. */
#include "pattern_model.h"

#include "buffer.h"

#include "suite.h"

static const struct {
    const char *json;
    size_t offset;
    const char *text; /* part of the message */
} refused[] = {
    {"", 0, "expected a value"},
    {"[]", 0, "a pattern is an object"},
    {"{}", 0, "an empty object"},
    {"{\"a\":{}}", 5, "an empty object"},
    {"{\"a\":[]}", 5, "an empty list"},
    {"{\"a\":\"x\"}", 5, "a list of matchers or an object"},
    {"{\"a\":[\"x\",[1]]}", 10, "a list where a matcher is due"},
    {"{\"a\":[{}]}", 7, "an empty object where a matcher"},
    {"{\"a\":[{\"regex\":\"x\"}]}", 7, "no operator \"regex\""},
    {"{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}", 20, "exactly one operator"},
    {"{\"a\":[{\"prefix\":1}]}", 16, "prefix takes a string"},
    {"{\"a\":[{\"prefix\":{\"suffix\":\"x\"}}]}", 17, "equals-ignore-case"},
    {"{\"a\":[{\"wildcard\":\"a**\"}]}", 18, "two '*' in a row"},
    {"{\"a\":[{\"wildcard\":\"\\\\x\"}]}", 18, "backslash"},
    {"{\"a\":[{\"numeric\":[\"<\",1,\">\",0]}]}", 24, "numeric takes"},
    {"{\"a\":[{\"numeric\":[\">\",5,\"<\",5]}]}", 28, "less than the upper"},
    {"{\"a\":[{\"numeric\":[\"!=\",5]}]}", 18, "not a comparison"},
    {"{\"a\":[{\"numeric\":[\"<\",1e400]}]}", 22, "cannot hold this number"},
    {"{\"a\":[{\"anything-but\":[\"x\",1]}]}", 27, "only strings or only numbers"},
    {"{\"a\":[{\"anything-but\":{\"prefix\":\"\"}}]}", 32, "no empty string"},
    {"{\"a\":[{\"exists\":1}]}", 16, "true or false"},
    {"{\"a\":[{\"cidr\":\"10.0.0.0/32\"}]}", 14, "0 to 31"},
    {"{\"a\":[{\"cidr\":\"::/128\"}]}", 14, "0 to 127"},
    {"{\"a\":[{\"cidr\":\"x/8\"}]}", 14, "not an IPv4 or IPv6 address"},
    {"{\"$or\":[{\"a\":[1]}]}", 1, "at least two"},
    {"{\"x\":[1],\"$or\":5}", 15, "at least two"},
    {"{\"$or\":[{\"a\":[1]},{\"cidr\":[1]}]}", 19, "no field name inside $or"},
    {"{\"$or\":[{\"a\":[1]},7]}", 18, "must be an object"},
    {"{\"a\":[\"x\"]} x", 12, "text after"},
    {"{\"a\":[\"x\",]}", 10, "expected a value"},
    {"{\"a\":[\"\\ud8\"]}", 7, "escape"},
};

START_TEST(what_is_refused_is_told_with_its_place)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct arena arena = {0};
        struct pattern pattern = {0};
        struct pattern_error error = {0};
        enum status status = pattern_read(bytes_of_string(refused[i].json), &PATTERN_LIMITS_DEFAULT,
                                          &arena, &pattern, &error);
        ck_assert_msg(status != STATUS_OK && status == error.status, "%s", refused[i].json);
        ck_assert_msg(error.offset == refused[i].offset && strstr(error.text, refused[i].text),
                      "%s: %s at %zu", refused[i].json, error.text, error.offset);
        ck_assert_uint_eq(pattern.leaf_count, 0);
        arena_deinit(&arena);
    }
}
END_TEST

static enum status read_limited(struct bytes json, const struct pattern_limits *limits,
                                struct pattern *pattern)
{
    struct arena arena = {0};
    struct pattern_error error = {0};
    enum status status = pattern_read(json, limits, &arena, pattern, &error);
    ck_assert_int_eq(error.status, status);
    arena_deinit(&arena);
    return status;
}

START_TEST(limits_are_limits)
{
    struct pattern_limits limits = PATTERN_LIMITS_DEFAULT;
    struct pattern pattern = {0};
    struct bytes three = BYTES_LITERAL("{\"a\":[1],\"b\":{\"c\":[2]},\"d\":[3]}");
    limits.fields_max = 3;
    limits.size_max = three.size;
    limits.depth_max = 3;
    ck_assert_int_eq(read_limited(three, &limits, &pattern), STATUS_OK);
    limits.fields_max = 2;
    ck_assert_int_eq(read_limited(three, &limits, &pattern), STATUS_LIMIT);
    limits.fields_max = 3;
    limits.size_max--;
    ck_assert_int_eq(read_limited(three, &limits, &pattern), STATUS_TOO_LARGE);
    limits.size_max++;
    limits.depth_max = 2;
    ck_assert_int_eq(read_limited(three, &limits, &pattern), STATUS_TOO_DEEP);
}
END_TEST

START_TEST(alternatives_multiply_up_to_their_limit)
{
    auto_buffer struct buffer json = {0};
    for (int i = 0; i < 5; i++)
        buffer_append_format(&json, "%s\"x%d\":{\"$or\":[{\"a\":[1]},{\"b\":[1]},{\"c\":[1]}]}",
                             i ? "," : "{", i);
    buffer_append_string(&json, "}");
    struct pattern_limits limits = PATTERN_LIMITS_DEFAULT;
    struct pattern pattern = {0};
    limits.alternatives_max = 243;
    ck_assert_int_eq(read_limited(buffer_peek(&json), &limits, &pattern), STATUS_OK);
    ck_assert_uint_eq(pattern.alternative_count, 243);
    limits.alternatives_max = 242;
    ck_assert_int_eq(read_limited(buffer_peek(&json), &limits, &pattern), STATUS_LIMIT);
}
END_TEST

START_TEST(paths_are_ordered_as_utf_16)
{
    static const char *const ascending[] = {"",  "a",   "a.b",          "a.c", "aa", "b",
                                            "é", "퟿", "\xed\xa0\x80", "𐀀",   "😀",  "\xed\xb0\x80",
                                            "�"};
    size_t count = sizeof(ascending) / sizeof(ascending[0]);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            int order =
                pattern_path_order(bytes_of_string(ascending[i]), bytes_of_string(ascending[k]));
            ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k), "%zu and %zu", i, k);
        }
}
END_TEST

TEST_PROGRAM("pattern", what_is_refused_is_told_with_its_place, limits_are_limits,
             alternatives_multiply_up_to_their_limit, paths_are_ordered_as_utf_16)
