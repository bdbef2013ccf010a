/* The matcher's own promises: results, reuse, limits, errors, explanations, no allocation. */
#include "matcher.h"

#include "suite.h"

/* --- allocations are counted: the linker routes them here ---------------------------------- */

static size_t allocations;

/* The names are the linker's (--wrap). */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    allocations++;
    return __real_reallocarray(old, count, size);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

static struct matcher *matcher_of(const char *const *patterns, size_t count)
{
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    for (size_t i = 0; i < count; i++) {
        unsigned rule = 99;
        struct pattern_error error = {0};
        enum status status =
            matcher_builder_add(builder, bytes_of_string(patterns[i]), &rule, &error);
        ck_assert_msg(status == STATUS_OK, "%s: %s", patterns[i], error.text);
        ck_assert_uint_eq(rule, i);
    }
    return matcher_build(builder);
}

#define MATCHER(...)                               \
    matcher_of((const char *const[]){__VA_ARGS__}, \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* The rules that match, as "0 2 5". */
static const char *rules_of(const struct matcher *matcher, struct matcher_scratch *scratch,
                            const char *event)
{
    static char out[512];
    struct matcher_result result = {0};
    struct matcher_error error = {0};
    enum status status = matcher_match(matcher, scratch, bytes_of_string(event), &result, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", event, error.problem);
    auto_buffer struct buffer text = {0};
    for (size_t i = 0; i < result.count; i++)
        buffer_append_format(&text, "%s%u", i ? " " : "", result.rules[i]);
    ck_assert_uint_lt(buffer_size(&text), sizeof(out));
    if (buffer_size(&text) > 0)
        memcpy(out, buffer_peek(&text).data, buffer_size(&text));
    out[buffer_size(&text)] = '\0';
    return out;
}

START_TEST(matching_rules_come_ascending_and_once)
{
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    struct matcher *matcher = MATCHER(
        "{\"a\":[\"x\",{\"prefix\":\"x\"},{\"exists\":true}]}", "{\"b\":[1]}", "{\"a\":[\"x\"]}",
        "{\"$or\":[{\"a\":[\"x\"]},{\"a\":[\"y\"]}]}", "{\"a\":[\"x\"]}");
    ck_assert_uint_eq(matcher_rule_count(matcher), 5);
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"b\":[1,1.0],\"a\":[\"x\",\"y\",\"x\"]}"),
                     "0 1 2 3 4");
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"a\":\"y\"}"), "0 3");
    ck_assert_str_eq(rules_of(matcher, scratch, "{}"), "");
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}
END_TEST

START_TEST(a_scratch_serves_matchers_in_turn)
{
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    struct matcher *none = matcher_of(NULL, 0), *one = MATCHER("{\"a\":[1]}");
    struct matcher *more = MATCHER("{\"b\":[1]}", "{\"c\":[{\"exists\":false}]}", "{\"a\":[2]}");
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(rules_of(none, scratch, "{\"a\":1}"), "");
        ck_assert_str_eq(rules_of(one, scratch, "{\"a\":1}"), "0");
        ck_assert_str_eq(rules_of(more, scratch, "{\"a\":2}"), "1 2");
        ck_assert_str_eq(rules_of(one, scratch, "{\"a\":2}"), "");
    }
    matcher_free(none);
    matcher_free(one);
    matcher_free(more);
    matcher_scratch_free(scratch);
}
END_TEST

START_TEST(a_refused_pattern_leaves_the_builder_as_it_was)
{
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    unsigned rule = 7;
    ck_assert_int_eq(matcher_builder_add(builder, BYTES_LITERAL("{\"a\":[]}"), &rule, NULL),
                     STATUS_INVALID);
    ck_assert_uint_eq(rule, 7);
    ck_assert_int_eq(matcher_builder_add(builder, BYTES_LITERAL("{\"a\":[1]}"), &rule, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(rule, 0);
    struct matcher *matcher = matcher_build(builder);
    ck_assert_uint_eq(matcher_rule_count(matcher), 1);
    matcher_free(matcher);
}
END_TEST

static void check_error(const struct matcher_limits *limits, const char *event, enum status wanted,
                        size_t offset)
{
    struct matcher_scratch *scratch = matcher_scratch_new(limits);
    struct matcher *matcher = MATCHER("{\"a\":[1]}", "{\"b\":{\"c\":[1]}}");
    struct matcher_result result = {.rules = NULL, .count = 77};
    struct matcher_error error = {0};
    enum status status = matcher_match(matcher, scratch, bytes_of_string(event), &result, &error);
    ck_assert_msg(status == wanted && error.status == wanted && error.offset == offset,
                  "%s: %d at %zu: %s", event, status, error.offset, error.problem);
    ck_assert_uint_eq(result.count, 77);
    ck_assert_ptr_nonnull(error.problem);
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}

START_TEST(an_event_that_cannot_be_judged_says_where)
{
    struct matcher_limits limits = MATCHER_LIMITS_DEFAULT;
    check_error(&limits, "", STATUS_MALFORMED, 0);
    check_error(&limits, " [1]", STATUS_MALFORMED, 1);
    check_error(&limits, "\"a\"", STATUS_MALFORMED, 0);
    check_error(&limits, "{\"a\":1", STATUS_MALFORMED, 6);
    check_error(&limits, "{\"a\":1}}", STATUS_MALFORMED, 7);
    check_error(&limits, "{\"x\":{\"y\":[1,{\"z\":01}]}}", STATUS_MALFORMED, 19);
    check_error(&limits, "{\"x\":\"\xff\"}", STATUS_MALFORMED, 6);
    check_error(&limits, "{\"b\":{\"c\":[1,2}}", STATUS_MALFORMED, 14);
    limits.event_depth_max = 2;
    check_error(&limits, "{\"x\":[[1]]}", STATUS_TOO_DEEP, 6);
    check_error(&limits, "{\"b\":{\"c\":[1]}}", STATUS_TOO_DEEP, 10);
    limits.event_size_max = 8;
    check_error(&limits, "{\"a\": 12}", STATUS_TOO_LARGE, 9);
    limits.event_size_max = 100;
    limits.values_max = 3;
    check_error(&limits, "{\"a\":[1,2,3,4]}", STATUS_LIMIT, 13);
}
END_TEST

/* --- array consistency with large events --------------------------------------------------- */

/* {"name":[{"x":1,"y":0}, … {"x":0,"y":1}, …]}: each element has one of the two. */
static void add_halves(struct buffer *event, const char *name, unsigned count)
{
    buffer_append_format(event, "\"%s\":[", name);
    for (unsigned i = 0; i < count; i++)
        buffer_append_format(event, "%s{\"x\":%d,\"y\":%d}", i ? "," : "", i % 2, (i + 1) % 2);
    buffer_append_string(event, "]");
}

START_TEST(a_search_that_fails_ends_soon)
{
    /* Ten arrays of a thousand elements; in the last, no element has both fields. In all
     * combinations that would be 500^9 choices. */
    auto_buffer struct buffer pattern = {0}, event = {0};
    for (int i = 0; i < 10; i++) {
        buffer_append_format(&pattern, "%s\"r%d\":{\"x\":[1]%s}", i ? "," : "{", i,
                             i == 9 ? ",\"y\":[1]" : "");
        buffer_append_string(&event, i ? "," : "{");
        char name[8] = {'r', (char)('0' + i), 0};
        add_halves(&event, name, 1000);
    }
    buffer_append_string(&pattern, "}");
    buffer_append_string(&event, "}");
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    unsigned rule = 0;
    ck_assert_int_eq(matcher_builder_add(builder, buffer_peek(&pattern), &rule, NULL), STATUS_OK);
    struct matcher *matcher = matcher_build(builder);
    struct matcher_limits limits = MATCHER_LIMITS_DEFAULT;
    limits.steps_max = 100000;
    struct matcher_scratch *scratch = matcher_scratch_new(&limits);
    struct matcher_result result = {0};
    ck_assert_int_eq(matcher_match(matcher, scratch, buffer_peek(&event), &result, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(result.count, 0);
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}
END_TEST

START_TEST(too_much_work_for_one_event_is_an_error)
{
    struct matcher *matcher = MATCHER("{\"r\":{\"x\":[1],\"y\":[1]}}");
    auto_buffer struct buffer event = {0};
    buffer_append_string(&event, "{");
    add_halves(&event, "r", 1000);
    buffer_append_string(&event, "}");
    struct matcher_limits limits = MATCHER_LIMITS_DEFAULT;
    limits.steps_max = 500;
    struct matcher_scratch *scratch = matcher_scratch_new(&limits);
    struct matcher_result result = {.rules = NULL, .count = 77};
    struct matcher_error error = {0};
    ck_assert_int_eq(matcher_match(matcher, scratch, buffer_peek(&event), &result, &error),
                     STATUS_LIMIT);
    ck_assert_int_eq(error.status, STATUS_LIMIT);
    ck_assert_uint_eq(result.count, 77);
    /* The scratch is as good as new. */
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"r\":[{\"x\":1},{\"x\":1,\"y\":1}]}"), "0");
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"r\":[{\"x\":1},{\"y\":1}]}"), "");
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}
END_TEST

/* --- many rules ---------------------------------------------------------------------------- */

START_TEST(each_of_many_rules_is_found)
{
    enum { COUNT = 3000 };
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    auto_buffer struct buffer text = {0};
    static const char *const shapes[][2] = {
        {"{\"t\":[\"t", "\"],\"e\":[\"x\"]}"},
        {"{\"t\":[{\"prefix\":\"t", "\"}],\"e\":[\"x\"],\"p\":[{\"anything-but\":\"low\"}]}"},
        {"{\"n\":[{\"numeric\":[\"=\",", "]}],\"e\":[{\"suffix\":\"x\"}]}"},
        {"{\"n\":[{\"numeric\":[\">\",", "]}],\"e\":[\"y\"]}"},
        {"{\"d\":{\"k\":[\"k", "\"],\"v\":[{\"numeric\":[\"<\",5]}]}}"},
    };
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned rule = 0;
        buffer_clear(&text);
        buffer_append_format(&text, "%s%u%s", shapes[i % 5][0], i / 5, shapes[i % 5][1]);
        ck_assert_int_eq(matcher_builder_add(builder, buffer_peek(&text), &rule, NULL), STATUS_OK);
    }
    struct matcher *matcher = matcher_build(builder);
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"t\":\"t123\",\"e\":\"x\",\"p\":\"high\"}"),
                     "6 61 615 616");
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"t\":\"t599\",\"e\":\"x\",\"p\":\"low\"}"),
                     "2995");
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"n\":300.0,\"e\":\"xx\"}"), "1502");
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"n\":2.5,\"e\":\"y\"}"), "3 8 13");
    ck_assert_str_eq(
        rules_of(matcher, scratch, "{\"d\":[{\"k\":\"k7\",\"v\":9},{\"k\":\"k8\",\"v\":1}]}"),
        "44");
    /* More than a few matches are read off the bit set. */
    struct matcher_result result = {0};
    ck_assert_int_eq(
        matcher_match(matcher, scratch, BYTES_LITERAL("{\"n\":1e9,\"e\":\"y\"}"), &result, NULL),
        STATUS_OK);
    ck_assert_uint_eq(result.count, COUNT / 5);
    for (unsigned i = 0; i < result.count; i++)
        ck_assert_uint_eq(result.rules[i], 5 * i + 3);
    ck_assert_str_eq(rules_of(matcher, scratch, "{\"n\":0.5,\"e\":\"y\"}"), "3");
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}
END_TEST

START_TEST(a_warm_scratch_allocates_nothing)
{
    static const char *const events[] = {
        "{\"a\":\"x\\u0041\",\"b\":[{\"c\":1,\"d\":2},{\"c\":1,\"d\":1}],\"e\":\"10.0.0.1\"}",
        "{\"a\":\"XA\",\"b\":[{\"c\":1},{\"d\":1}],\"e\":\"10.1.0.1\",\"f\":123456789.123456789}",
        "{\"x\":{\"y\":[1,2,{\"z\":[[[]]]}]},\"f\":0.30000000000000004}"};
    struct matcher *matcher =
        MATCHER("{\"a\":[{\"equals-ignore-case\":\"xa\"}]}", "{\"b\":{\"c\":[1],\"d\":[1]}}",
                "{\"e\":[{\"cidr\":\"10.0.0.0/16\"}]}", "{\"f\":[{\"numeric\":[\">\",0]},0.3]}",
                "{\"b\":{\"c\":[1],\"z\":[{\"exists\":false}]},\"a\":[{\"wildcard\":\"x*\"}]}");
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    struct matcher_result result = {0};
    size_t cold = 0, warm = 0;
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < 3; i++) {
            size_t before = allocations;
            enum status status =
                matcher_match(matcher, scratch, bytes_of_string(events[i]), &result, NULL);
            *(round == 0 ? &cold : &warm) += allocations - before;
            ck_assert_int_eq(status, STATUS_OK);
        }
    ck_assert_uint_gt(cold, 0);
    ck_assert_uint_eq(warm, 0);
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}
END_TEST

/* --- explanations -------------------------------------------------------------------------- */

static void check_explained(const char *pattern, const char *event, const char *wanted)
{
    struct matcher *matcher = MATCHER("{\"other\":[1]}", pattern);
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    auto_buffer struct buffer text = {0};
    ck_assert_int_eq(matcher_explain(matcher, scratch, bytes_of_string(event), 1, &text, NULL),
                     STATUS_OK);
    ck_assert_msg(bytes_equal_string(buffer_peek(&text), wanted), "%.*s",
                  BYTES_PRINT(buffer_peek(&text)));
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}

START_TEST(the_first_condition_that_fails_is_explained)
{
    check_explained("{\"b\":[1],\"a\":[\"x\"]}", "{\"a\":\"x\",\"b\":1}", "matches");
    check_explained("{\"b\":[1],\"a\":[\"x\"]}", "{\"a\":\"y\",\"b\":2}",
                    "a: wanted [\"x\"], there was \"y\"");
    check_explained("{\"b\": [ 1 ],\"a\":[\"x\"]}", "{\"a\":\"x\",\"b\":[2,\"a\\n\",null]}",
                    "b: wanted [1], there was 2, \"a\\n\", null");
    check_explained("{\"d\":{\"c\":[{\"numeric\": [\"<\", 0.8]}]}}", "{\"d\":1}",
                    "d.c: wanted [{\"numeric\":[\"<\",0.8]}], there was nothing");
    check_explained("{\"a\":[1]}", "{\"a\":[2,3,4,5,6,7,8]}",
                    "a: wanted [1], there was 2, 3, 4, 5, 6, …");
    check_explained("{\"a\":[{\"exists\":false}]}", "{\"a\":false}",
                    "a: wanted [{\"exists\":false}], there was false");
    check_explained("{\"\":[1]}", "{}", "\"\": wanted [1], there was nothing");
    check_explained("{\"r\":{\"x\":[1],\"y\":[2]},\"t\":[3]}",
                    "{\"t\":3,\"r\":[{\"x\":1},{\"y\":2}]}",
                    "no single array element has all of r.x [1], r.y [2]");
    check_explained("{\"$or\":[{\"a\":[1],\"b\":[2]},{\"a\":[3],\"b\":[4]}]}", "{\"a\":3,\"b\":5}",
                    "b: wanted [4], there was 5 (the closest of 2 alternatives)");
}
END_TEST

START_TEST(long_values_are_cut_in_explanations)
{
    static char event[1000] = "{\"a\":\"";
    for (size_t size = 6; size < 900; size += 2)
        memcpy(event + size, "\xc3\xa9", 2);
    memcpy(event + 900, "\"}", 3);
    struct matcher *matcher = MATCHER("{\"a\":[1]}");
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    auto_buffer struct buffer text = {0};
    ck_assert_int_eq(matcher_explain(matcher, scratch, bytes_of_string(event), 0, &text, NULL),
                     STATUS_OK);
    struct bytes shown = buffer_peek(&text);
    ck_assert_uint_lt(shown.size, 300);
    /* Cut between characters: é is whole, then the ellipsis. */
    ck_assert(memcmp(shown.data + shown.size - 5, "\xc3\xa9\xe2\x80\xa6", 5) == 0);
    ck_assert_int_eq(matcher_explain(matcher, scratch, BYTES_LITERAL("{"), 0, &text, NULL),
                     STATUS_MALFORMED);
    ck_assert_uint_eq(buffer_size(&text), shown.size);
    matcher_free(matcher);
    matcher_scratch_free(scratch);
}
END_TEST

TEST_PROGRAM("matcher", matching_rules_come_ascending_and_once, a_scratch_serves_matchers_in_turn,
             a_refused_pattern_leaves_the_builder_as_it_was,
             an_event_that_cannot_be_judged_says_where, a_search_that_fails_ends_soon,
             too_much_work_for_one_event_is_an_error, each_of_many_rules_is_found,
             a_warm_scratch_allocates_nothing, the_first_condition_that_fails_is_explained,
             long_values_are_cut_in_explanations)
