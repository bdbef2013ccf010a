/* Random patterns and events, judged by the matcher and by the naive one. PATTERN_SEED replays a
 * seed, PATTERN_ROUNDS sets how many are tried. */
#include "buffer.h"
#include "matcher.h"
#include "pattern_naive.h"

#include <stdio.h>

#include "suite.h"

static uint64_t state;

static unsigned below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % limit);
}

#define PICK(list) ((list)[below(sizeof(list) / sizeof((list)[0]))])

static const char *const keys[] = {"a", "b", "c", "d", "a", "b", "r", "a.b", "b.a", "", "r.a.b"};
static const char *const strings[] = {"x",        "xy",
                                      "xyz",      "zyx",
                                      "y",        "",
                                      "X",        "xY",
                                      "10.0.0.1", "10.0.0.2",
                                      "::1",      "a*b",
                                      "a\\\\b",   "ß",
                                      "SS",       "straße",
                                      "É",        "é",
                                      "σ",        "ς",
                                      "Σ",        "ı",
                                      "I",        "İ",
                                      "i\\u0307", "ﬁ",
                                      "FI",       "😀",
                                      "10.1.0.1", "2001:db8::1",
                                      "true",     "1",
                                      "xxyyxx",   "0:0:0:0:0:0:0:1"};
static const char *const numbers[] = {"0",
                                      "-0",
                                      "1",
                                      "1.0",
                                      "10e-1",
                                      "2",
                                      "-1",
                                      "0.5",
                                      "5e-1",
                                      "3",
                                      "1e3",
                                      "1000",
                                      "0.1",
                                      "0.30000000000000004",
                                      "0.3",
                                      "9007199254740993",
                                      "9007199254740992",
                                      "1e400",
                                      "-1e400",
                                      "5e-324",
                                      "4.9E-324",
                                      "0.1000000000000000055511151231257827",
                                      "1e-400",
                                      "100"};
/* Those that a double holds exactly. */
static const char *const operands[] = {
    "0", "1", "-1", "2", "0.5", "0.3", "1e3", "100", "3", "1.0", "9007199254740992", "5e-324"};
static const char *const wildcards[] = {"*",  "x*",      "*x",      "x*y*z", "*y*",       "",
                                        "xy", "a\\\\*b", "*\\\\**", "x*x",   "a\\\\\\\\b"};
static const char *const blocks[] = {"10.0.0.0/8", "10.0.0.0/24",   "10.0.0.0/31", "0.0.0.0/0",
                                     "::/0",       "2001:db8::/32", "::1/127"};

static void add(struct buffer *out, const char *text)
{
    buffer_append_string(out, text);
}

static void add_string(struct buffer *out)
{
    buffer_append_format(out, "\"%s\"", PICK(strings));
}

static void add_scalar(struct buffer *out)
{
    static const char *const literals[] = {"true", "false", "null"};
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        add(out, PICK(numbers));
        break;
    case 3:
        add(out, PICK(literals));
        break;
    default:
        add_string(out);
        break;
    }
}

static void add_value(struct buffer *out, unsigned depth);

static void add_object(struct buffer *out, unsigned depth)
{
    unsigned count = below(5);
    add(out, "{");
    for (unsigned i = 0; i < count; i++) {
        buffer_append_format(out, "%s\"%s\":", i ? "," : "", PICK(keys));
        add_value(out, depth + 1);
    }
    add(out, "}");
}

static void add_value(struct buffer *out, unsigned depth)
{
    unsigned kind = below(10);
    if (depth >= 4 || kind < 4) {
        add_scalar(out);
    } else if (kind < 7) {
        add_object(out, depth);
    } else {
        unsigned count = below(5);
        add(out, "[");
        for (unsigned i = 0; i < count; i++) {
            add(out, i ? "," : "");
            add_value(out, depth + 1);
        }
        add(out, "]");
    }
}

static void add_list(struct buffer *out, void (*element)(struct buffer *))
{
    unsigned count = 1 + below(3);
    if (count == 1 && below(2)) {
        element(out);
        return;
    }
    add(out, "[");
    for (unsigned i = 0; i < count; i++) {
        add(out, i ? "," : "");
        element(out);
    }
    add(out, "]");
}

static void add_operand(struct buffer *out)
{
    add(out, PICK(operands));
}

static void add_wildcard(struct buffer *out)
{
    buffer_append_format(out, "\"%s\"", PICK(wildcards));
}

static void add_filled(struct buffer *out)
{
    static const char *const filled[] = {"x", "xy", "y", "z", "10", "é", "1"};
    buffer_append_format(out, "\"%s\"", PICK(filled));
}

static void add_anything_but(struct buffer *out)
{
    add(out, "{\"anything-but\":");
    switch (below(6)) {
    case 0:
        add_list(out, add_operand);
        break;
    case 1:
        add(out, "{\"prefix\":");
        add_list(out, add_filled);
        add(out, "}");
        break;
    case 2:
        add(out, "{\"suffix\":");
        add_list(out, add_filled);
        add(out, "}");
        break;
    case 3:
        add(out, "{\"equals-ignore-case\":");
        add_list(out, add_string);
        add(out, "}");
        break;
    case 4:
        add(out, "{\"wildcard\":");
        add_list(out, add_wildcard);
        add(out, "}");
        break;
    default:
        add_list(out, add_string);
        break;
    }
    add(out, "}");
}

static void add_numeric(struct buffer *out)
{
    static const char *const ranges[] = {"[\">\",0,\"<=\",1]", "[\">=\",0.5,\"<\",3]",
                                         "[\">\",-1,\"<\",1000]"};
    static const char *const comparisons[] = {"<", "<=", ">", ">=", "="};
    if (below(3) == 0)
        buffer_append_format(out, "{\"numeric\":%s}", PICK(ranges));
    else
        buffer_append_format(out, "{\"numeric\":[\"%s\",%s]}", PICK(comparisons), PICK(operands));
}

static void add_matcher(struct buffer *out)
{
    static const char *const affixes[] = {"prefix", "suffix"};
    static const char *const texts[] = {"prefix", "suffix", "equals-ignore-case", "exactly"};
    switch (below(13)) {
    case 0:
    case 1:
    case 2:
        add_scalar(out);
        break;
    case 3:
    case 4:
        buffer_append_format(out, "{\"%s\":\"%s\"}", PICK(texts), PICK(strings));
        break;
    case 5:
        buffer_append_format(out, "{\"%s\":{\"equals-ignore-case\":\"%s\"}}", PICK(affixes),
                             PICK(strings));
        break;
    case 6:
        buffer_append_format(out, "{\"wildcard\":\"%s\"}", PICK(wildcards));
        break;
    case 7:
        buffer_append_format(out, "{\"cidr\":\"%s\"}", PICK(blocks));
        break;
    case 8:
        add_numeric(out);
        break;
    case 9:
        add(out, "{\"exists\":true}");
        break;
    case 10:
        add(out, "{\"exists\":false}");
        break;
    default:
        add_anything_but(out);
        break;
    }
}

static void add_fields(struct buffer *out, unsigned depth)
{
    unsigned count = 1 + below(3);
    add(out, "{");
    for (unsigned i = 0; i < count; i++) {
        add(out, i ? "," : "");
        unsigned kind = below(16);
        if (kind == 0 && depth < 3) {
            unsigned branches = 2 + below(2);
            add(out, "\"$or\":[");
            for (unsigned k = 0; k < branches; k++) {
                add(out, k ? "," : "");
                add_fields(out, depth + 1);
            }
            add(out, "]");
            continue;
        }
        buffer_append_format(out, "\"%s\":", PICK(keys));
        if (kind < 5 && depth < 3) {
            add_fields(out, depth + 1);
            continue;
        }
        unsigned matchers = 1 + below(2);
        add(out, "[");
        for (unsigned k = 0; k < matchers; k++) {
            add(out, k ? "," : "");
            add_matcher(out);
        }
        add(out, "]");
    }
    add(out, "}");
}

/* --- arrays: few keys and values, so that consistency decides ------------------------------ */

static const char *const array_keys[] = {"a", "b", "c", "d", "s", "t", "r"};

static void add_elements(struct buffer *out, unsigned depth);

static void add_element(struct buffer *out, unsigned depth)
{
    unsigned count = 1 + below(4);
    add(out, "{");
    for (unsigned i = 0; i < count; i++) {
        bool inner = depth < 3 && below(3) == 0;
        buffer_append_format(out, "%s\"%s\":", i ? "," : "",
                             inner ? array_keys[4 + below(3)] : array_keys[below(4)]);
        if (inner)
            add_elements(out, depth + 1);
        else
            buffer_append_format(out, "%u", below(2));
    }
    add(out, "}");
}

static void add_elements(struct buffer *out, unsigned depth)
{
    unsigned count = 1 + below(3);
    if (below(6) == 0) {
        add_element(out, depth);
        return;
    }
    add(out, "[");
    for (unsigned i = 0; i < count; i++) {
        add(out, i ? "," : "");
        unsigned kind = below(10);
        if (kind == 0)
            buffer_append_format(out, "%u", below(2));
        else if (kind == 1 && depth < 3)
            add_elements(out, depth + 1);
        else
            add_element(out, depth);
    }
    add(out, "]");
}

static void add_array_event(struct buffer *out)
{
    unsigned count = 1 + below(3);
    add(out, "{");
    for (unsigned i = 0; i < count; i++) {
        buffer_append_format(out, "%s\"%s\":", i ? "," : "", array_keys[4 + below(3)]);
        add_elements(out, 0);
    }
    add(out, "}");
}

static void add_array_fields(struct buffer *out, unsigned depth)
{
    static const char *const leaves[] = {
        "[0]", "[1]", "[1]", "[0,1]", "[{\"exists\":false}]", "[{\"exists\":false},1]"};
    unsigned count = depth == 0 ? 1 + below(2) : 1 + below(4);
    add(out, "{");
    for (unsigned i = 0; i < count; i++) {
        bool inner = depth == 0 || (depth < 3 && below(4) == 0);
        buffer_append_format(out, "%s\"%s\":", i ? "," : "",
                             inner ? array_keys[4 + below(3)] : array_keys[below(4)]);
        if (inner)
            add_array_fields(out, depth + 1);
        else
            add(out, PICK(leaves));
    }
    add(out, "}");
}

enum { PATTERNS_MAX = 300, EVENTS_PER_SET = 12 };

static size_t try_set(unsigned patterns, bool arrays, struct matcher_scratch *scratch)
{
    static struct buffer texts[PATTERNS_MAX];
    size_t matches = 0;
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    for (unsigned i = 0; i < patterns; i++) {
        struct pattern_error error = {0};
        unsigned rule = 0;
        buffer_clear(&texts[i]);
        if (arrays)
            add_array_fields(&texts[i], 0);
        else
            add_fields(&texts[i], 0);
        struct bytes text = buffer_peek(&texts[i]);
        ck_assert_msg(matcher_builder_add(builder, text, &rule, &error) == STATUS_OK,
                      "%.*s: %s at %zu", BYTES_PRINT(text), error.text, error.offset);
    }
    struct matcher *matcher = matcher_build(builder);
    for (unsigned n = 0; n < EVENTS_PER_SET; n++) {
        auto_buffer struct buffer event = {0};
        if (arrays)
            add_array_event(&event);
        else
            add_object(&event, 0);
        struct matcher_result result = {0};
        struct matcher_error error = {0};
        ck_assert_msg(matcher_match(matcher, scratch, buffer_peek(&event), &result, &error) ==
                          STATUS_OK,
                      "%.*s: %s", BYTES_PRINT(buffer_peek(&event)), error.problem);
        matches += result.count;
        for (unsigned rule = 0, at = 0; rule < patterns; rule++) {
            bool got = at < result.count && result.rules[at] == rule;
            at += got;
            ck_assert_msg(got == naive_match(buffer_peek(&texts[rule]), buffer_peek(&event)),
                          "the matcher says %d: %.*s on %.*s", got,
                          BYTES_PRINT(buffer_peek(&texts[rule])), BYTES_PRINT(buffer_peek(&event)));
        }
    }
    matcher_free(matcher);
    for (unsigned i = 0; i < patterns; i++)
        buffer_deinit(&texts[i]);
    return matches;
}

START_TEST(the_matcher_agrees_with_the_naive_one)
{
    const char *seed = getenv("PATTERN_SEED"), *rounds = getenv("PATTERN_ROUNDS");
    unsigned first = seed ? (unsigned)strtoul(seed, NULL, 10) : 1;
    unsigned count = rounds ? (unsigned)strtoul(rounds, NULL, 10) : 60;
    size_t matches = 0;
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    for (unsigned i = 0; i < count; i++) {
        state = first + i;
        printf("PATTERN_SEED=%u PATTERN_ROUNDS=1\r", first + i);
        /* Few rules and many: the index has several levels only with many. */
        static const unsigned sizes[] = {1, 3, 30, PATTERNS_MAX};
        matches += try_set(PICK(sizes), i % 2, scratch);
    }
    printf("%u sets from seed %u, %zu matches\n", count, first, matches);
    ck_assert_uint_gt(matches, count);
    matcher_scratch_free(scratch);
}
END_TEST

TEST_PROGRAM("random patterns", the_matcher_agrees_with_the_naive_one)
