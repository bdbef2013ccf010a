/* Runs the cases of tests/data/rules: one JSON object per line with `pattern` and `event` (their
 * text as it stands, so that spellings and duplicate keys count) or `pattern_raw` and `event_raw`
 * (strings that hold the text), and `want`: true, false or "error". */
#include "json.h"
#include "matcher.h"
#include "mem.h"

#include <stdio.h>

#include "suite.h"

enum { CASES_MAX = 4000 };

struct rule_case {
    struct bytes id;
    struct buffer pattern;
    struct buffer event;
    char want; /* 't', 'f' or 'e' */
};

static struct rule_case cases[CASES_MAX];
static size_t case_count;

static const char *const files[] = {"tests/data/rules/cases.jsonl", "tests/data/rules/more.jsonl"};
static struct buffer contents[sizeof(files) / sizeof(files[0])];

static struct buffer read_file(const char *name)
{
    struct buffer buffer = {0};
    FILE *file = fopen(name, "rb");
    ck_assert_msg(file != NULL, "%s", name);
    for (size_t size = 1; size > 0;) {
        size = fread(buffer_reserve(&buffer, 65536), 1, 65536, file);
        buffer_commit(&buffer, size);
    }
    (void)fclose(file);
    return buffer;
}

/* The text under `name`, or what the string under `raw_name` holds. */
static struct buffer text_of(struct bytes line, const char *name, const char *raw_name)
{
    struct buffer text = {0};
    struct bytes raw;
    if (json_find(line, bytes_of_string(name), &raw) == STATUS_OK) {
        buffer_append(&text, raw);
        return text;
    }
    ck_assert_int_eq(json_find(line, bytes_of_string(raw_name), &raw), STATUS_OK);
    json_unescape_append(bytes_of(raw.data + 1, raw.size - 2), &text);
    return text;
}

static void load_cases(void)
{
    if (case_count > 0)
        return;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        contents[i] = read_file(files[i]);
        struct bytes rest = buffer_peek(&contents[i]);
        while (rest.size > 0) {
            const uint8_t *end = memchr(rest.data, '\n', rest.size);
            ck_assert(end != NULL);
            struct bytes line = bytes_of(rest.data, (size_t)(end - rest.data));
            rest = bytes_skip(rest, line.size + 1);
            ck_assert_msg(json_validate(line, 200, NULL) == STATUS_OK, "%.*s", BYTES_PRINT(line));
            ck_assert_uint_lt(case_count, CASES_MAX);
            struct rule_case *item = &cases[case_count++];
            struct bytes want;
            ck_assert_int_eq(json_find(line, BYTES_LITERAL("id"), &item->id), STATUS_OK);
            ck_assert_int_eq(json_find(line, BYTES_LITERAL("want"), &want), STATUS_OK);
            item->want = (char)(want.data[0] == '"' ? 'e' : want.data[0]);
            item->pattern = text_of(line, "pattern", "pattern_raw");
            item->event = text_of(line, "event", "event_raw");
        }
    }
}

static void free_cases(void)
{
    for (size_t i = 0; i < case_count; i++) {
        buffer_deinit(&cases[i].pattern);
        buffer_deinit(&cases[i].event);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        buffer_deinit(&contents[i]);
    case_count = 0;
}

static char judge(const struct rule_case *item, struct matcher_scratch *scratch)
{
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    struct pattern_error why = {0};
    unsigned rule = 0;
    if (matcher_builder_add(builder, buffer_peek(&item->pattern), &rule, &why)) {
        matcher_builder_free(builder);
        ck_assert(why.status != STATUS_OK && why.text[0]);
        ck_assert_uint_le(why.offset, buffer_size(&item->pattern));
        return 'e';
    }
    struct matcher *matcher = matcher_build(builder);
    struct matcher_result result = {0};
    struct matcher_error error = {0};
    struct bytes event = buffer_peek(&item->event);
    enum status status = matcher_match(matcher, scratch, event, &result, &error);
    char got = status ? 'e' : result.count == 1 ? 't' : 'f';
    auto_buffer struct buffer text = {0};
    enum status explained = matcher_explain(matcher, scratch, event, 0, &text, NULL);
    ck_assert_int_eq(explained, status);
    ck_assert_int_eq(bytes_equal_string(buffer_peek(&text), "matches"), got == 't');
    matcher_free(matcher);
    return got;
}

START_TEST(every_case_has_the_answer_it_wants)
{
    load_cases();
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    size_t wrong = 0;
    for (size_t i = 0; i < case_count; i++) {
        char got = judge(&cases[i], scratch);
        if (got == cases[i].want)
            continue;
        wrong++;
        printf("%.*s: pattern %.*s, event %.*s: wanted %c, got %c\n", BYTES_PRINT(cases[i].id),
               BYTES_PRINT(buffer_peek(&cases[i].pattern)),
               BYTES_PRINT(buffer_peek(&cases[i].event)), cases[i].want, got);
    }
    printf("%zu cases, %zu wrong\n", case_count, wrong);
    ck_assert_uint_eq(wrong, 0);
    matcher_scratch_free(scratch);
    free_cases();
}
END_TEST

/* All valid patterns in one matcher, every valid event: the case's own rule must answer as it does
 * alone, whatever the others do, and every answer must be that of the rule alone. */
START_TEST(rules_do_not_disturb_one_another)
{
    load_cases();
    struct matcher_builder *all = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    struct matcher **alone = mem_resize(NULL, case_count, sizeof(void *));
    size_t rule_count = 0;
    for (size_t i = 0; i < case_count; i++) {
        struct bytes pattern = buffer_peek(&cases[i].pattern);
        unsigned rule = 0;
        if (matcher_builder_add(all, pattern, &rule, NULL))
            continue;
        ck_assert_uint_eq(rule, rule_count);
        struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
        ck_assert_int_eq(matcher_builder_add(builder, pattern, &rule, NULL), STATUS_OK);
        alone[rule_count++] = matcher_build(builder);
    }
    struct matcher *matcher = matcher_build(all);
    ck_assert_uint_eq(matcher_rule_count(matcher), rule_count);
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    struct matcher_scratch *single = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    for (size_t i = 0; i < case_count; i++) {
        struct bytes event = buffer_peek(&cases[i].event);
        struct matcher_result result = {0}, one = {0};
        if (matcher_match(matcher, scratch, event, &result, NULL))
            continue;
        for (size_t rule = 0, at = 0; rule < rule_count; rule++) {
            ck_assert_int_eq(matcher_match(alone[rule], single, event, &one, NULL), STATUS_OK);
            bool together = at < result.count && result.rules[at] == rule;
            at += together;
            ck_assert_msg(together == (one.count == 1), "event of %.*s, rule %zu",
                          BYTES_PRINT(cases[i].id), rule);
        }
    }
    for (size_t i = 0; i < rule_count; i++)
        matcher_free(alone[i]);
    free(alone);
    matcher_free(matcher);
    matcher_scratch_free(scratch);
    matcher_scratch_free(single);
    free_cases();
}
END_TEST

TEST_PROGRAM("pattern cases", every_case_has_the_answer_it_wants, rules_do_not_disturb_one_another)
