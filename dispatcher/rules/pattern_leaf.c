/* Reading a leaf: its matchers and their operators.
 *
 * A leaf is a list, [matcher, matcher, ...], of which one must hold; each becomes a test
 * (pattern_model.h). What can be settled while reading is: numbers are doubles or spellings,
 * wildcards are cut into pieces, texts that ignore case are compiled, so that matching only
 * compares.
 *
 * What an operator takes is EventBridge's. Errors say what it takes instead of what was wrong
 * with it: most are made by people who write an operator for the first time. */
#include <assert.h>
#include <float.h>
#include <math.h>

#include "mem.h"
#include "pattern_number.h"
#include "pattern_private.h"

/* Tests while a list of them is read. */
struct tests {
    struct test *items;
    size_t count;
};

/* Doubles at every power of two, so that no capacity has to be kept. */
static void add_test(struct tests *tests, const struct test *test)
{
    if ((tests->count & (tests->count - 1)) == 0)
        tests->items =
            mem_resize(tests->items, tests->count ? 2 * tests->count : 1, sizeof(tests->items[0]));
    tests->items[tests->count++] = *test;
}

/* Moves the list into the arena. */
static struct test *keep_tests(struct pattern_parser *parser, struct tests *tests)
{
    assert(!tests->items == (tests->count == 0));
    struct test *kept = ARENA_ARRAY(parser->arena, struct test, tests->count);
    if (tests->count > 0)
        memcpy(kept, tests->items, tests->count * sizeof(tests->items[0]));
    free(tests->items);
    tests->items = NULL;
    return kept;
}

/* The number that is the last token, as a test of equality. A number that its double does not
 * tell apart from others of its length is compared as it is spelled (number_is_comparable()). */
static struct test number_test(struct pattern_parser *parser)
{
    struct bytes literal = parser->scanner.raw;
    struct test test = {.kind = TEST_NUMBER, .low = number_value(literal)};
    if (!number_is_comparable(literal, test.low)) {
        test.kind = TEST_SPELLING;
        test.text = arena_copy(parser->arena, literal);
    }
    return test;
}

/* A bound that a double does not hold would let through what the author has excluded, so it is
 * refused. */
static enum status operand_number(struct pattern_parser *parser, double *value)
{
    if (parser_next(parser) != JSON_NUMBER)
        return parser_fail(parser, "expected a number");
    struct test test = number_test(parser);
    if (test.kind != TEST_NUMBER)
        return parser_fail(parser, "a double cannot hold this number exactly");
    *value = test.low;
    return STATUS_OK;
}

/* One of < <= > >= and its number: narrows the range. All ranges are closed: an open bound is
 * the next double on the other side. */
static enum status read_bound(struct pattern_parser *parser, struct bytes op, struct test *test,
                              double *operand)
{
    assert(op.size == 1 || op.size == 2);
    enum status status = operand_number(parser, operand);
    if (status)
        return status;
    bool open = op.size == 1;
    if (op.data[0] == '>')
        test->low = open ? nextafter(*operand, INFINITY) : *operand;
    else
        test->high = open ? nextafter(*operand, -INFINITY) : *operand;
    return STATUS_OK;
}

/* ["=", n], [bound, n] or [lower, n, upper, m] with n < m. */
static enum status read_numeric(struct pattern_parser *parser, struct test *test)
{
    static const char *const usage = "numeric takes [\"=\", n], one bound, or a lower bound (> or "
                                     ">=) and then an upper bound (< or <=)";
    double first = 0, second = 0;
    if (parser_next(parser) != JSON_ARRAY || parser_next(parser) != JSON_STRING)
        return parser_fail(parser, "%s", usage);
    struct bytes op = parser_text(parser);
    /* Finite bounds: a number of an event that is beyond every double is in no range. */
    *test = (struct test){.kind = TEST_RANGE, .low = -DBL_MAX, .high = DBL_MAX};
    bool equal = bytes_equal_string(op, "=");
    bool lower = bytes_equal_string(op, ">") || bytes_equal_string(op, ">=");
    bool upper = bytes_equal_string(op, "<") || bytes_equal_string(op, "<=");
    if (!equal && !lower && !upper)
        return parser_fail(parser, "not a comparison: %s", usage);
    enum status status =
        equal ? operand_number(parser, &test->low) : read_bound(parser, op, test, &first);
    if (status)
        return status;
    if (equal)
        test->kind = TEST_NUMBER;
    enum json_token token = parser_next(parser);
    if (token == JSON_ARRAY_END)
        return STATUS_OK;
    op = token == JSON_STRING && lower ? parser_text(parser) : (struct bytes){0};
    if (!bytes_equal_string(op, "<") && !bytes_equal_string(op, "<="))
        return parser_fail(parser, "%s", usage);
    status = read_bound(parser, op, test, &second);
    if (status)
        return status;
    if (!(first < second))
        return parser_fail(parser, "the lower bound must be less than the upper bound");
    return parser_next(parser) == JSON_ARRAY_END ? STATUS_OK : parser_fail(parser, "%s", usage);
}

static const struct operator_kind {
    const char *name;
    enum test_kind kind;
    bool excludable; /* may stand inside anything-but */
} string_operators[] = {
    {"prefix", TEST_PREFIX, true},           {"suffix", TEST_SUFFIX, true},
    {"equals-ignore-case", TEST_FOLD, true}, {"wildcard", TEST_WILDCARD, true},
    {"exactly", TEST_TEXT, false},           {"cidr", TEST_BLOCK, false},
};

/* numeric, anything-but and exists take other things than a string and are not in the table. */
static const struct operator_kind *find_operator(struct bytes name)
{
    for (size_t i = 0; i < sizeof(string_operators) / sizeof(string_operators[0]); i++)
        if (bytes_equal_string(name, string_operators[i].name))
            return &string_operators[i];
    return NULL;
}

/* Compiles the string that is the last token as the operand of an operator. The text is kept
 * beside what was compiled: it tells equal tests apart from others. */
static enum status string_operand(struct pattern_parser *parser, enum test_kind kind,
                                  struct test *test)
{
    const char *problem = NULL;
    *test = (struct test){.kind = kind, .text = parser_text(parser)};
    if (kind == TEST_FOLD || kind == TEST_FOLD_PREFIX || kind == TEST_FOLD_SUFFIX)
        test->fold = fold_compile(test->text, parser->arena);
    else if (kind == TEST_WILDCARD)
        problem = wildcard_compile(test->text, parser->arena, &test->wildcard);
    else if (kind == TEST_BLOCK)
        problem = address_parse_block(test->text, &test->block, &test->bits);
    return problem ? parser_fail(parser, "%s", problem) : STATUS_OK;
}

/* The object {"equals-ignore-case": "s"} as operand of prefix or suffix; its '{' was read. */
static enum status read_fold_operand(struct pattern_parser *parser, enum test_kind kind,
                                     struct test *test)
{
    assert(kind == TEST_PREFIX || kind == TEST_SUFFIX);
    static const char *const usage =
        "takes a string or an object with only \"equals-ignore-case\" and a string";
    if (parser_next(parser) != JSON_KEY ||
        !bytes_equal_string(parser_text(parser), "equals-ignore-case") ||
        parser_next(parser) != JSON_STRING)
        return parser_fail(parser, "%s", usage);
    kind = kind == TEST_PREFIX ? TEST_FOLD_PREFIX : TEST_FOLD_SUFFIX;
    enum status status = string_operand(parser, kind, test);
    if (!status && parser_next(parser) != JSON_OBJECT_END)
        status = parser_fail(parser, "%s", usage);
    return status;
}

static enum status read_string_operator(struct pattern_parser *parser,
                                        const struct operator_kind *op, struct test *test)
{
    bool affix = op->kind == TEST_PREFIX || op->kind == TEST_SUFFIX;
    enum json_token token = parser_next(parser);
    if (token == JSON_OBJECT && affix)
        return read_fold_operand(parser, op->kind, test);
    if (token != JSON_STRING)
        return parser_fail(parser, "%s takes a string", op->name);
    return string_operand(parser, op->kind, test);
}

/* One element of what anything-but excludes; the token was read. */
static enum status exclude(struct pattern_parser *parser, const struct operator_kind *op,
                           enum json_token token, struct tests *tests)
{
    assert(!op || op->excludable);
    struct test test;
    enum status status = STATUS_OK;
    if (token == JSON_NUMBER && !op) {
        test = number_test(parser);
        if (test.kind != TEST_NUMBER)
            return parser_fail(parser, "a double cannot hold this number exactly");
    } else if (token == JSON_STRING) {
        status = string_operand(parser, op ? op->kind : TEST_TEXT, &test);
        if (!status && op && test.text.size == 0 &&
            (op->kind == TEST_PREFIX || op->kind == TEST_SUFFIX))
            status = parser_fail(parser, "anything-but %s takes no empty string", op->name);
    } else {
        return parser_fail(parser, op ? "anything-but with an operator takes strings"
                                      : "anything-but takes strings or numbers");
    }
    if (!status && tests->count > 0 && tests->items[0].kind != test.kind)
        status = parser_fail(parser, "anything-but takes only strings or only numbers");
    if (!status)
        add_test(tests, &test);
    return status;
}

/* One string or number or a list of them; the first token was read. */
static enum status exclude_all(struct pattern_parser *parser, const struct operator_kind *op,
                               enum json_token token, struct tests *tests)
{
    if (token != JSON_ARRAY)
        return exclude(parser, op, token, tests);
    while ((token = parser_next(parser)) != JSON_ARRAY_END) {
        enum status status = exclude(parser, op, token, tests);
        if (status)
            return status;
    }
    if (tests->count == 0)
        return parser_fail(parser, "an empty list");
    return STATUS_OK;
}

/* Excluded tests are in a list of their own, which belongs to nobody until it is moved into the
 * arena: it is freed on each way out. */
static enum status read_anything_but(struct pattern_parser *parser, struct test *test)
{
    static const char *const usage = "anything-but takes strings, numbers, or an object with one "
                                     "of prefix, suffix, equals-ignore-case, wildcard";
    struct tests tests = {0};
    enum status status;
    enum json_token token = parser_next(parser);
    if (token == JSON_OBJECT) {
        token = parser_next(parser);
        const struct operator_kind *op =
            token == JSON_KEY ? find_operator(parser_text(parser)) : NULL;
        if (op && op->excludable)
            status = exclude_all(parser, op, parser_next(parser), &tests);
        else
            status = parser_fail(parser, "%s", usage);
        if (!status && parser_next(parser) != JSON_OBJECT_END)
            status = parser_fail(parser, "%s", usage);
    } else {
        status = exclude_all(parser, NULL, token, &tests);
    }
    if (status) {
        free(tests.items);
        return status;
    }
    assert(tests.count > 0);
    *test = (struct test){.kind = TEST_BUT, .excluded_count = tests.count};
    test->excluded = keep_tests(parser, &tests);
    return STATUS_OK;
}

/* {"operator": operand}; its '{' was read. */
static enum status read_operator(struct pattern_parser *parser, struct test *test)
{
    enum json_token token = parser_next(parser);
    if (token != JSON_KEY)
        return parser_fail(parser, "an empty object where a matcher is due");
    struct bytes name = parser_text(parser);
    const struct operator_kind *op = find_operator(name);
    enum status status = STATUS_OK;
    if (op) {
        status = read_string_operator(parser, op, test);
    } else if (bytes_equal_string(name, "numeric")) {
        status = read_numeric(parser, test);
    } else if (bytes_equal_string(name, "anything-but")) {
        status = read_anything_but(parser, test);
    } else if (bytes_equal_string(name, "exists")) {
        token = parser_next(parser);
        *test = (struct test){.kind = token == JSON_TRUE ? TEST_EXISTS : TEST_ABSENT};
        if (token != JSON_TRUE && token != JSON_FALSE)
            status = parser_fail(parser, "exists takes true or false");
    } else {
        status = parser_fail(parser, "there is no operator \"%.*s\"", BYTES_PRINT(name));
    }
    if (!status && parser_next(parser) != JSON_OBJECT_END)
        status = parser_fail(parser, "a matcher has exactly one operator");
    return status;
}

/* One element of a leaf. */
static enum status read_matcher(struct pattern_parser *parser, enum json_token token,
                                struct test *test)
{
    *test = (struct test){.kind = TEST_TEXT};
    switch (token) {
    case JSON_STRING:
        test->text = parser_text(parser);
        /* A string that is an address matches every spelling of the address, as in EventBridge. */
        if (address_parse(test->text, &test->block)) {
            test->kind = TEST_BLOCK;
            test->bits = address_bits(&test->block);
        }
        return STATUS_OK;
    case JSON_NUMBER:
        *test = number_test(parser);
        return STATUS_OK;
    case JSON_TRUE:
        test->kind = TEST_TRUE;
        return STATUS_OK;
    case JSON_FALSE:
        test->kind = TEST_FALSE;
        return STATUS_OK;
    case JSON_NULL:
        test->kind = TEST_NULL;
        return STATUS_OK;
    case JSON_OBJECT:
        return read_operator(parser, test);
    case JSON_ARRAY:
    case JSON_ERROR:
    case JSON_END:
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
    case JSON_KEY:
        break;
    }
    return parser_fail(parser, "a list where a matcher is due");
}

/* A copy without the white space between tokens. Equal leaves of different rules get equal
 * sources by it, and so one condition (matcher_builder.c), however their authors laid them out. */
static struct bytes compact(struct bytes source, struct arena *arena)
{
    uint8_t *out = arena_alloc(arena, source.size), *end = out;
    bool in_string = false;
    for (size_t i = 0; i < source.size; i++) {
        uint8_t byte = source.data[i];
        if (in_string && byte == '\\') {
            *end++ = byte;
            *end++ = source.data[++i];
            continue;
        }
        if (byte == '"')
            in_string = !in_string;
        if (in_string || byte > ' ')
            *end++ = byte;
    }
    assert(!in_string && (size_t)(end - out) <= source.size);
    return bytes_of(out, (size_t)(end - out));
}

enum status parser_leaf(struct pattern_parser *parser, struct leaf *leaf)
{
    struct tests tests = {0};
    size_t start = parser->scanner.start, matchers = 0;
    for (;; matchers++) {
        const struct json_scanner before = parser->scanner;
        enum json_token token = parser_next(parser);
        struct test test;
        if (token == JSON_ARRAY_END)
            break;
        enum status status = read_matcher(parser, token, &test);
        if (!status)
            add_test(&tests, &test);
        else if (!parser_recover(parser, status, &before)) {
            free(tests.items);
            return status;
        }
    }
    if (matchers == 0)
        return parser_fail_at(parser, STATUS_INVALID, start, "an empty list");
    assert(tests.count <= matchers);
    leaf->offset = start;
    leaf->test_count = tests.count;
    leaf->tests = keep_tests(parser, &tests);
    leaf->source = compact(
        bytes_of(parser->scanner.text.data + start, json_position(&parser->scanner) - start),
        parser->arena);
    return STATUS_OK;
}
