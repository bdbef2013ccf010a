/* Reading a pattern: objects, paths and $or.
 *
 * A pattern becomes alternatives: lists of leaves of which all must hold. They are built while the
 * text is read: an object adds its leaves to every alternative there is, a $or makes copies of all
 * of them for each of its branches.
 *
 *     {"a": [1], "$or": [{"b": [2]}, {"c": [3]}]}        a=1 b=2  |  a=1 c=3
 *
 * Their number is the product of the branches of each $or, and so is limited as it grows, not
 * afterwards.
 *
 * The meaning is EventBridge's, also where that surprises: a key twice counts once, the last time;
 * a path is its keys joined by dots. What EventBridge refuses is refused here, with a text that
 * says what to write.
 *
 * Invariant: there is at least one alternative at any time, and every one has been given all
 * leaves read so far on its way. The first error stands; what follows it may only be its
 * consequence. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "mem.h"
#include "pattern_private.h"

/* An alternative while the text is read: later leaves replace earlier ones of the same path. */
struct pattern_draft {
    uint32_t *leaves;
    size_t count;
};

struct drafts {
    struct pattern_draft *items;
    size_t count;
};

static void drafts_free(struct drafts *drafts)
{
    for (size_t i = 0; i < drafts->count; i++)
        free(drafts->items[i].leaves);
    free(drafts->items);
    *drafts = (struct drafts){0};
}

/* Leaves are indexes: copies of an alternative share the leaves themselves. */
static struct pattern_draft draft_copy(const struct pattern_draft *from)
{
    struct pattern_draft draft = {mem_resize(NULL, from->count + 1, sizeof(uint32_t)), from->count};
    if (from->count > 0)
        memcpy(draft.leaves, from->leaves, from->count * sizeof(uint32_t));
    return draft;
}

static struct drafts drafts_copy(const struct drafts *from)
{
    assert(from->count > 0);
    struct drafts drafts = {mem_resize(NULL, from->count, sizeof(struct pattern_draft)),
                            from->count};
    for (size_t i = 0; i < from->count; i++)
        drafts.items[i] = draft_copy(&from->items[i]);
    return drafts;
}

/* Moves all of `from` behind `to`. */
static void drafts_take(struct drafts *to, struct drafts *from)
{
    assert(to != from && from->count > 0);
    to->items = mem_resize(to->items, to->count + from->count, sizeof(struct pattern_draft));
    memcpy(to->items + to->count, from->items, from->count * sizeof(struct pattern_draft));
    to->count += from->count;
    free(from->items);
    *from = (struct drafts){0};
}

/* The first error is told: later ones may only follow from it. */
static enum status fail_pattern(struct pattern_parser *parser, enum status status, size_t offset,
                                const char *format, va_list arguments)
{
    struct pattern_error *error = parser->error;
    assert(error && status != STATUS_OK);
    if (error->status == STATUS_OK) {
        error->status = status;
        error->offset = offset;
        (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    }
    return error->status;
}

enum status parser_fail_at(struct pattern_parser *parser, enum status status, size_t offset,
                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    status = fail_pattern(parser, status, offset, format, arguments);
    va_end(arguments);
    return status;
}

enum status parser_fail(struct pattern_parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    enum status status =
        fail_pattern(parser, STATUS_INVALID, parser->scanner.start, format, arguments);
    va_end(arguments);
    return status;
}

/* Reading goes on after what was wrong has been skipped as a JSON value, so that an author sees
 * all mistakes of a pattern at once. Where the text itself is broken nothing after it can be
 * trusted, and that is the end. */
bool parser_recover(struct pattern_parser *parser, enum status status,
                    const struct json_scanner *before)
{
    if (status != STATUS_INVALID || !parser->all)
        return false;
    assert(parser->error->status == STATUS_INVALID);
    if (parser->all_count < parser->all_max)
        parser->all[parser->all_count] = *parser->error;
    parser->all_count++;
    parser->scanner = *before;
    if (json_value(&parser->scanner, NULL) == JSON_ERROR)
        return false;
    *parser->error = (struct pattern_error){0};
    return true;
}

/* Every token is read here, so that no broken text goes unnoticed. */
enum json_token parser_next(struct pattern_parser *parser)
{
    enum json_token token = json_next(&parser->scanner);
    if (token == JSON_ERROR)
        (void)parser_fail_at(parser, parser->scanner.status, parser->scanner.problem_offset, "%s",
                             parser->scanner.problem);
    return token;
}

/* Decoding makes a text no longer, so the room of the raw one suffices. */
struct bytes parser_text(struct pattern_parser *parser)
{
    struct bytes raw = parser->scanner.raw;
    uint8_t *text = arena_alloc(parser->arena, raw.size + 1);
    return bytes_of(text, json_unescape(raw, text));
}

/* The next UTF-16 code unit of WTF-8 text; the second half of a pair is kept in *low. */
static unsigned next_unit(struct bytes *text, unsigned *low)
{
    unsigned unit = *low;
    assert(unit || text->size > 0);
    *low = 0;
    if (unit)
        return unit;
    const uint8_t *at = text->data;
    unsigned lead = at[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    unsigned code = lead < 0x80 ? lead : lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (at[i] & 0x3fu);
    *text = bytes_skip(*text, size);
    if (code < 0x10000)
        return code;
    *low = 0xdc00 + ((code - 0x10000) & 0x3ff);
    return 0xd800 + ((code - 0x10000) >> 10);
}

/* As Java compares strings, and so as EventBridge orders fields: characters beyond U+FFFF come
 * before those from U+E000 on, which the order of UTF-8 bytes would not give. */
int pattern_path_order(struct bytes a, struct bytes b)
{
    unsigned low_a = 0, low_b = 0;
    while ((a.size > 0 || low_a) && (b.size > 0 || low_b)) {
        unsigned unit_a = next_unit(&a, &low_a), unit_b = next_unit(&b, &low_b);
        if (unit_a != unit_b)
            return unit_a < unit_b ? -1 : 1;
    }
    bool more_a = a.size > 0 || low_a, more_b = b.size > 0 || low_b;
    return (int)more_a - (int)more_b;
}

/* Names that a field inside a $or branch must not have: EventBridge keeps them for matchers,
 * also some that it may add later, and a pattern must mean the same here and there. */
static bool is_reserved_key(struct bytes key)
{
    static const char *const names[] = {"exactly",
                                        "prefix",
                                        "suffix",
                                        "equals-ignore-case",
                                        "wildcard",
                                        "numeric",
                                        "anything-but",
                                        "cidr",
                                        "exists",
                                        "=",
                                        "<",
                                        "<=",
                                        ">",
                                        ">=",
                                        "regex",
                                        "not-wildcard",
                                        "not-equals-ignore-case",
                                        "date-after",
                                        "date-on-or-after",
                                        "date-before",
                                        "date-on-or-before",
                                        "in-date-range",
                                        "ip-address-in-range",
                                        "ip-address-not-in-range"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal_string(key, names[i]))
            return true;
    return false;
}

/* A key twice in a pattern: the last one counts, as in JSON texts of events. */
static enum status set_leaf(struct pattern_parser *parser, struct pattern_draft *draft,
                            uint32_t leaf)
{
    struct bytes path = parser->leaves[leaf].path;
    assert(draft->count <= parser->limits->fields_max);
    for (size_t i = 0; i < draft->count; i++)
        if (bytes_equal(parser->leaves[draft->leaves[i]].path, path)) {
            draft->leaves[i] = leaf;
            return STATUS_OK;
        }
    if (draft->count == parser->limits->fields_max)
        return parser_fail_at(parser, STATUS_LIMIT, parser->leaves[leaf].offset,
                              "more than %u fields in one alternative", parser->limits->fields_max);
    draft->leaves = mem_resize(draft->leaves, draft->count + 1, sizeof(uint32_t));
    draft->leaves[draft->count++] = leaf;
    return STATUS_OK;
}

/* Reads a leaf at the current path into every alternative. */
static enum status read_leaf(struct pattern_parser *parser, struct drafts *drafts)
{
    assert(drafts->count > 0 && parser->leaf_count <= parser->leaf_capacity);
    struct leaf leaf = {.path = arena_copy(parser->arena, buffer_peek(&parser->path))};
    enum status status = parser_leaf(parser, &leaf);
    if (status)
        return status;
    if (parser->leaf_count == parser->leaf_capacity) {
        parser->leaf_capacity = parser->leaf_capacity ? 2 * parser->leaf_capacity : 16;
        parser->leaves =
            mem_resize(parser->leaves, parser->leaf_capacity, sizeof(parser->leaves[0]));
    }
    parser->leaves[parser->leaf_count] = leaf;
    for (size_t i = 0; i < drafts->count && !status; i++)
        status = set_leaf(parser, &drafts->items[i], (uint32_t)parser->leaf_count);
    parser->leaf_count++;
    return status;
}

static enum status read_object(struct pattern_parser *parser, struct drafts *drafts, bool root,
                               bool in_or);

/* Reads the branches of a $or: each goes on from a copy of the alternatives so far. */
static enum status read_or(struct pattern_parser *parser, struct drafts *drafts, bool root)
{
    size_t key = parser->scanner.start, branches = 0;
    assert(drafts->count > 0 && drafts->count <= parser->limits->alternatives_max);
    if (parser_next(parser) != JSON_ARRAY)
        return parser_fail(parser, "$or takes a list of at least two objects");
    struct drafts all = {0};
    enum status status = STATUS_OK;
    for (enum json_token token; !status && (token = parser_next(parser)) != JSON_ARRAY_END;) {
        if (token != JSON_OBJECT) {
            status = parser_fail(parser, "a branch of $or must be an object");
            break;
        }
        struct drafts branch = drafts_copy(drafts);
        status = read_object(parser, &branch, root, true);
        if (!status && all.count + branch.count > parser->limits->alternatives_max)
            status =
                parser_fail_at(parser, STATUS_LIMIT, key, "$or gives more than %u alternatives",
                               parser->limits->alternatives_max);
        if (!status)
            drafts_take(&all, &branch);
        drafts_free(&branch);
        branches++;
    }
    if (!status && branches < 2)
        status = parser_fail_at(parser, STATUS_INVALID, key, "$or takes at least two objects");
    if (status) {
        drafts_free(&all);
        return status;
    }
    drafts_free(drafts);
    *drafts = all;
    return STATUS_OK;
}

/* A value where a list or an object is due: what was meant is shown. */
static enum status refuse_value(struct pattern_parser *parser, struct bytes name)
{
    struct bytes shown =
        bytes_skip(bytes_of(parser->scanner.text.data, json_position(&parser->scanner)),
                   parser->scanner.start);
    if (shown.size > 60)
        return parser_fail(parser, "a field takes a list of matchers or an object of fields");
    if (is_reserved_key(name))
        return parser_fail(parser,
                           "a field takes a list of matchers or an object of fields; a matcher "
                           "stands in a list: [{\"%.*s\": %.*s}]",
                           BYTES_PRINT(name), BYTES_PRINT(shown));
    return parser_fail(parser,
                       "a field takes a list of matchers or an object of fields: write [%.*s]",
                       BYTES_PRINT(shown));
}

/* Reads what stands at the key that is the last token. */
static enum status read_member(struct pattern_parser *parser, struct drafts *drafts, bool root,
                               bool in_or)
{
    auto_buffer struct buffer key = {0};
    json_unescape_append(parser->scanner.raw, &key);
    struct bytes name = buffer_peek(&key);
    if (bytes_equal_string(name, "$or"))
        return read_or(parser, drafts, root);
    if (in_or && is_reserved_key(name))
        return parser_fail(parser, "\"%.*s\" is no field name inside $or", BYTES_PRINT(name));
    /* The path is one buffer that grows on the way in and is cut on the way out. */
    size_t parent = buffer_size(&parser->path);
    if (!root)
        buffer_append_byte(&parser->path, '.');
    if (name.size > 0)
        buffer_append(&parser->path, name);
    enum status status;
    enum json_token token = parser_next(parser);
    if (token == JSON_OBJECT)
        status = read_object(parser, drafts, false, in_or);
    else if (token == JSON_ARRAY)
        status = read_leaf(parser, drafts);
    else
        status = refuse_value(parser, name);
    assert(buffer_size(&parser->path) >= parent);
    parser->path.end = parser->path.start + parent;
    return status;
}

/* Reads an object whose '{' is the last token. `root`: its keys have no parent. */
static enum status read_object(struct pattern_parser *parser, struct drafts *drafts, bool root,
                               bool in_or)
{
    size_t start = parser->scanner.start, members = 0;
    enum status status = STATUS_OK;
    for (enum json_token token; !status && (token = parser_next(parser)) != JSON_OBJECT_END;) {
        if (token == JSON_ERROR)
            return parser->error->status;
        const struct json_scanner before = parser->scanner;
        size_t path_size = buffer_size(&parser->path);
        /* The alternatives may be half changed by a member that fails, and stay so: after an
         * error they are only there to find further errors. */
        status = read_member(parser, drafts, root, in_or);
        if (parser_recover(parser, status, &before)) {
            parser->path.end = parser->path.start + path_size;
            status = STATUS_OK;
        }
        members++;
    }
    if (!status && members == 0)
        status = parser_fail_at(parser, STATUS_INVALID, start, "an empty object");
    return status;
}

static int order_leaves(const void *a, const void *b, void *leaves)
{
    const struct leaf *all = leaves;
    return pattern_path_order(all[*(const uint32_t *)a].path, all[*(const uint32_t *)b].path);
}

static void finish_pattern(struct pattern_parser *parser, const struct drafts *drafts,
                           struct pattern *pattern)
{
    assert(!parser->all);
    struct arena *arena = parser->arena;
    pattern->leaf_count = parser->leaf_count;
    pattern->leaves = ARENA_ARRAY(arena, struct leaf, parser->leaf_count);
    memcpy(pattern->leaves, parser->leaves, parser->leaf_count * sizeof(struct leaf));
    assert(drafts->count > 0 && parser->error->status == STATUS_OK);
    pattern->alternative_count = drafts->count;
    pattern->alternatives = ARENA_ARRAY(arena, struct alternative, drafts->count);
    for (size_t i = 0; i < drafts->count; i++) {
        const struct pattern_draft *draft = &drafts->items[i];
        struct alternative *alternative = &pattern->alternatives[i];
        /* Ordered by path: equal alternatives of different rules become one, however their
         * authors ordered them. */
        alternative->leaf_count = draft->count;
        alternative->leaves = ARENA_ARRAY(arena, uint32_t, draft->count);
        memcpy(alternative->leaves, draft->leaves, draft->count * sizeof(uint32_t));
        qsort_r(alternative->leaves, draft->count, sizeof(uint32_t), order_leaves, pattern->leaves);
    }
}

/* Reads all of the pattern's text, whose first error is in parser->error. */
static enum status read_alternatives(struct pattern_parser *parser, struct bytes json,
                                     struct drafts *drafts)
{
    assert(drafts->count == 0);
    const struct pattern_draft empty = {0};
    json_init(&parser->scanner, json, parser->limits->depth_max);
    if (json.size > parser->limits->size_max)
        return parser_fail_at(parser, STATUS_TOO_LARGE, 0, "larger than %zu bytes",
                              parser->limits->size_max);
    if (parser_next(parser) != JSON_OBJECT)
        return parser_fail_at(parser, STATUS_INVALID, parser->scanner.start,
                              "a pattern is an object");
    drafts->items = mem_resize(NULL, 1, sizeof(struct pattern_draft));
    drafts->items[drafts->count++] = draft_copy(&empty);
    enum status status = read_object(parser, drafts, true, false);
    if (!status && parser_next(parser) != JSON_END)
        status = parser->error->status;
    return status;
}

/* The error is the parser's own until the end, so that the caller's stays as it is on success. */
enum status pattern_read(struct bytes json, const struct pattern_limits *limits,
                         struct arena *arena, struct pattern *pattern, struct pattern_error *error)
{
    struct pattern_error first = {0};
    struct pattern_parser parser = {.arena = arena, .limits = limits, .error = &first};
    struct drafts drafts = {0};
    enum status status = read_alternatives(&parser, json, &drafts);
    if (!status)
        finish_pattern(&parser, &drafts, pattern);
    else if (error)
        *error = first;
    drafts_free(&drafts);
    buffer_deinit(&parser.path);
    free(parser.leaves);
    return status;
}

static size_t stars_of_test(const struct test *test)
{
    size_t stars = test->kind == TEST_WILDCARD ? test->wildcard.count - 1 : 0;
    for (size_t i = 0; test->kind == TEST_BUT && i < test->excluded_count; i++)
        if (test->excluded[i].kind == TEST_WILDCARD)
            stars += test->excluded[i].wildcard.count - 1;
    return stars;
}

size_t pattern_stars(struct bytes json)
{
    auto_arena struct arena arena = {0};
    const struct pattern_limits limits = PATTERN_LIMITS_DEFAULT;
    struct pattern pattern = {0};
    size_t most = 0;
    enum status status = pattern_read(json, &limits, &arena, &pattern, NULL);
    assert(status == STATUS_OK);
    (void)status;
    for (size_t i = 0; i < pattern.leaf_count; i++) {
        size_t stars = 0;
        for (size_t k = 0; k < pattern.leaves[i].test_count; k++)
            stars += stars_of_test(&pattern.leaves[i].tests[k]);
        most = stars > most ? stars : most;
    }
    return most;
}

/* The error that ended the reading is told last, after those that were skipped. */
size_t pattern_check(struct bytes json, const struct pattern_limits *limits,
                     struct pattern_error *errors, size_t max)
{
    auto_arena struct arena arena = {0};
    struct pattern_error last = {0};
    struct pattern_parser parser = {
        .arena = &arena, .limits = limits, .error = &last, .all = errors, .all_max = max};
    struct drafts drafts = {0};
    if (read_alternatives(&parser, json, &drafts) != STATUS_OK && last.status != STATUS_OK) {
        if (parser.all_count < max)
            errors[parser.all_count] = last;
        parser.all_count++;
    }
    drafts_free(&drafts);
    buffer_deinit(&parser.path);
    free(parser.leaves);
    return parser.all_count < max ? parser.all_count : max;
}
