#include "document.h"

#include "mem.h"
#include "suite.h"

/* Parses or fails the test. */
static struct document *parsed(const char *text)
{
    struct document *document = NULL;
    struct error error = {0};
    enum status status = document_parse(bytes_of_string(text), NULL, &document, &error);
    ck_assert_msg(status == STATUS_OK, "%u:%u: %s in\n%s", error.line, error.column, error.text,
                  text);
    return document;
}

static struct error refused(const char *text)
{
    struct document *document = NULL;
    struct error error = {0};
    enum status status = document_parse(bytes_of_string(text), NULL, &document, &error);
    ck_assert_msg(status != STATUS_OK, "accepted:\n%s", text);
    ck_assert_ptr_null(document);
    ck_assert_int_eq(status, error.status);
    return error;
}

static void emits(const char *text, const char *json)
{
    struct document *document = parsed(text);
    auto_buffer struct buffer out = {0};
    struct error error = {0};
    enum status status = document_emit_json(document, document_root(document), &out, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", text, error.text);
    buffer_append_byte(&out, '\0');
    ck_assert_str_eq((const char *)buffer_peek(&out).data, json);
    document_free(document);
}

static void refuses_to_emit(const char *text, unsigned line, unsigned column, const char *part)
{
    struct document *document = parsed(text);
    auto_buffer struct buffer out = {0};
    buffer_append_string(&out, "before");
    struct error error = {0};
    ck_assert_int_ne(document_emit_json(document, document_root(document), &out, NULL, &error),
                     STATUS_OK);
    ck_assert_uint_eq(error.line, line);
    ck_assert_uint_eq(error.column, column);
    ck_assert_msg(strstr(error.text, part) != NULL, "%s", error.text);
    ck_assert(bytes_equal_string(buffer_peek(&out), "before"));
    document_free(document);
}

START_TEST(plain_scalars_have_the_kinds_of_the_core_schema)
{
    static const struct {
        const char *text;
        enum document_kind kind;
    } cases[] = {
        {"", DOCUMENT_NULL},           {"~", DOCUMENT_NULL},
        {"null", DOCUMENT_NULL},       {"Null", DOCUMENT_NULL},
        {"nULL", DOCUMENT_STRING},     {"true", DOCUMENT_BOOLEAN},
        {"FALSE", DOCUMENT_BOOLEAN},   {"yes", DOCUMENT_STRING},
        {"on", DOCUMENT_STRING},       {"0", DOCUMENT_NUMBER},
        {"-12", DOCUMENT_NUMBER},      {"+1", DOCUMENT_NUMBER},
        {".8", DOCUMENT_NUMBER},       {"1.", DOCUMENT_NUMBER},
        {"1.5e-3", DOCUMENT_NUMBER},   {"1e3", DOCUMENT_NUMBER},
        {"0x1F", DOCUMENT_NUMBER},     {"0o17", DOCUMENT_NUMBER},
        {"007", DOCUMENT_NUMBER},      {".inf", DOCUMENT_NUMBER},
        {"-.INF", DOCUMENT_NUMBER},    {".nan", DOCUMENT_NUMBER},
        {"-.nan", DOCUMENT_STRING},    {"1_000", DOCUMENT_STRING},
        {"0b11", DOCUMENT_STRING},     {"1e", DOCUMENT_STRING},
        {".", DOCUMENT_STRING},        {"+", DOCUMENT_STRING},
        {"-", DOCUMENT_SEQUENCE},      {"+-1", DOCUMENT_STRING},
        {"1.2.3", DOCUMENT_STRING},    {"0x", DOCUMENT_STRING},
        {"-0x1", DOCUMENT_STRING},     {"12:30", DOCUMENT_STRING},
        {"'12'", DOCUMENT_STRING},     {"\"true\"", DOCUMENT_STRING},
        {"!!str 12", DOCUMENT_STRING}, {"|\n  12", DOCUMENT_STRING},
        {"1e+5", DOCUMENT_NUMBER},     {"2026-03-02", DOCUMENT_STRING},
        {".e3", DOCUMENT_STRING},      {"+.5", DOCUMENT_NUMBER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct document *document = parsed(cases[i].text);
        ck_assert_msg(document_root(document)->kind == cases[i].kind, "%s: %s", cases[i].text,
                      document_kind_text(document_root(document)->kind));
        document_free(document);
    }
}
END_TEST

START_TEST(nodes_know_their_line_and_column_in_characters)
{
    struct document *document = parsed("# ü\na: 1\nb:\n  - 'ä€😀': {c: x}\n");
    const struct document_node *list = document_find(document_root(document), "b");
    ck_assert_uint_eq(list->count, 1);
    const struct document_entry *entry = &list->entries[0].value->entries[0];
    ck_assert_uint_eq(entry->key->line, 4);
    ck_assert_uint_eq(entry->key->column, 5);
    ck_assert_uint_eq(entry->value->column, 12);
    const struct document_node *leaf = document_find(entry->value, "c");
    ck_assert_uint_eq(leaf->column, 16);
    ck_assert_ptr_null(document_find(entry->value, "d"));
    document_free(document);

    document = parsed(" {\n \"a\" : [ \"ä\", {\"ü\":7} ]\n}");
    const struct document_node *array = document_find(document_root(document), "a");
    ck_assert_uint_eq(array->line, 2);
    ck_assert_uint_eq(array->column, 8);
    const struct document_node *seven = array->entries[1].value->entries[0].value;
    ck_assert_uint_eq(seven->line, 2);
    ck_assert_uint_eq(seven->column, 20);
    document_free(document);
}
END_TEST

START_TEST(strict_json_is_taken_in_full_fidelity)
{
    const char *text = "{\"a\":1,\"a\":[1.50, 1E400,\"\\ud83d\\ude00\",\"\\ud800\"] , \"\":{}}";
    emits(text, text);
    struct document *document = parsed(text);
    const struct document_node *root = document_root(document);
    ck_assert_uint_eq(root->count, 3);
    const struct document_node *list = root->entries[1].value;
    ck_assert(bytes_equal_string(list->entries[0].value->text, "1.50"));
    ck_assert(bytes_equal_string(list->entries[2].value->text, "😀"));
    ck_assert(bytes_equal_string(list->entries[3].value->text, "\xED\xA0\x80"));
    auto_buffer struct buffer out = {0};
    auto_document_map struct document_map map = {0};
    ck_assert_int_eq(document_emit_json(document, list, &out, &map, NULL), STATUS_OK);
    ck_assert(
        bytes_equal_string(buffer_peek(&out), "[1.50, 1E400,\"\\ud83d\\ude00\",\"\\ud800\"]"));
    unsigned line, column;
    document_map_find(&map, 7, &line, &column);
    ck_assert_uint_eq(line, 1);
    ck_assert_uint_eq(column, 19);
    /* A key's own source, too. */
    auto_buffer struct buffer key = {0};
    ck_assert_int_eq(document_emit_json(document, root->entries[0].key, &key, NULL, NULL),
                     STATUS_OK);
    ck_assert(bytes_equal_string(buffer_peek(&key), "\"a\""));
    document_free(document);
}
END_TEST

START_TEST(json_pasted_into_yaml_is_emitted_as_json)
{
    emits("{a: [1, 2.0, 1e3, \"x\"], 'b': ~, c: yes}",
          "{\"a\":[1,2.0,1e3,\"x\"],\"b\":null,\"c\":\"yes\"}");
    emits("when: {\"data\":{\"confidence\":[{\"numeric\":[\"<\",0.8]}]}}\n",
          "{\"when\":{\"data\":{\"confidence\":[{\"numeric\":[\"<\",0.8]}]}}}");
    emits("when: {\n\t\t\"a\":\t[\"x\"]\n\t}\n", "{\"when\":{\"a\":[\"x\"]}}");
    emits("a: \"tab\\tquote\\\" nul\\0 slash\\/ \\x41\"\nb: 'it''s \"q\" \\n'\n",
          "{\"a\":\"tab\\tquote\\\" nul\\u0000 slash/ A\",\"b\":\"it's \\\"q\\\" \\\\n\"}");
    emits("1: a\ntrue: b\n~: c\n", "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\"}");
    emits("[.8, -.8, +1, 1., 0x10, 0o17, +.5e3, 1.e3, -0, -1.]",
          "[0.8,-0.8,1,1.0,16,15,0.5e3,1.0e3,-0,-1.0]");
    emits("", "null");
}
END_TEST

START_TEST(surrogate_pairs_work_in_yaml_double_quotes)
{
    emits("- \"\\ud83d\\ude00\"\n- a\n", "[\"😀\",\"a\"]");
    emits("- \"x\\uD83D\\uDE00y\\ud83d\\ude01\\ud83d\\ude02\" # \\ud83d\\ude03\n- "
          "\"\\ud83d\\ude04\"\n",
          "[\"x😀y😁😂\",\"😄\"]");
    /* Elsewhere the same letters are only letters. */
    emits("- '\\ud83d\\ude00'\n- \\ud83d\\ude00\n- |-\n  \\ud83d\\ude00\n",
          "[\"\\\\ud83d\\\\ude00\",\"\\\\ud83d\\\\ude00\",\"\\\\ud83d\\\\ude00\"]");
    emits("- \"\\\\ud83d\\\\ude00\"\n", "[\"\\\\ud83d\\\\ude00\"]");
    /* The stand-in avoids what the text holds. */
    emits("- \"\\ue000\\ue000 \\uE001\"\n- \"\xEE\x80\x82 \\ud83d\\ude00\"\n",
          "[\"\xEE\x80\x80\xEE\x80\x80 \xEE\x80\x81\",\"\xEE\x80\x82 😀\"]");
    struct document *document = parsed("a: [\"\\ud83d\\ude00\", b]\n");
    const struct document_node *list = document_find(document_root(document), "a");
    ck_assert_uint_eq(list->entries[1].value->column, 21);
    document_free(document);
    /* A lone one stays itself. */
    emits("- \"\\ud83d\"\n- \"\\ude00\\ud83d\"\n- \"\\ud83d\\n\\ude00\"\n",
          "[\"\\ud83d\",\"\\ude00\\ud83d\",\"\\ud83d\\n\\ude00\"]");
    emits("- \"\\\\\\ud83d\\ude00\"\n", "[\"\\\\😀\"]");
    struct error error = refused("a: \"\\ud83\"\n");
    ck_assert_uint_eq(error.line, 1);
}
END_TEST

START_TEST(numbers_that_json_cannot_say_are_refused_with_their_place)
{
    refuses_to_emit("a:\n  - .inf\n", 2, 5, "no JSON number");
    refuses_to_emit("a: [1, 007]\n", 1, 8, "leading zeros");
    refuses_to_emit("a: 1_000\n", 1, 4, "YAML 1.1");
    refuses_to_emit("a: -0b1\n", 1, 4, "YAML 1.1");
    refuses_to_emit("a: 0xfffffffffffffffff\n", 1, 4, "64 bits");
    emits("a: '1_000'\nb: _1\nc: 1_a\n", "{\"a\":\"1_000\",\"b\":\"_1\",\"c\":\"1_a\"}");
}
END_TEST

START_TEST(offsets_of_emitted_json_lead_back_to_the_yaml)
{
    const char *text = "rules:\n  - when:\n      a: [x, 'y']\n      bb: {prefix: z}\n";
    struct document *document = parsed(text);
    const struct document_node *rules = document_find(document_root(document), "rules");
    const struct document_node *when = document_find(rules->entries[0].value, "when");
    auto_buffer struct buffer out = {0};
    buffer_append_string(&out, "....");
    auto_document_map struct document_map map = {0};
    ck_assert_int_eq(document_emit_json(document, when, &out, &map, NULL), STATUS_OK);
    buffer_append_byte(&out, '\0');
    const char *json = (const char *)buffer_peek(&out).data + 4;
    ck_assert_str_eq(json, "{\"a\":[\"x\",\"y\"],\"bb\":{\"prefix\":\"z\"}}");
    static const struct {
        const char *part;
        unsigned line, column;
    } cases[] = {{"{\"a", 3, 7}, {"\"a\"", 3, 7}, {"[", 3, 10},     {"\"x", 3, 11},
                 {"\"y", 3, 14}, {"\"bb", 4, 7},  {"refix", 4, 12}, {"\"z\"}}", 4, 20}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned line, column;
        document_map_find(&map, (size_t)(strstr(json, cases[i].part) - json), &line, &column);
        ck_assert_msg(line == cases[i].line && column == cases[i].column, "%s: %u:%u",
                      cases[i].part, line, column);
    }
    document_free(document);
}
END_TEST

START_TEST(aliases_share_and_are_bounded)
{
    emits("a: &x [1, {b: 2}]\nc: *x\nd: &y z\ne: *y\n",
          "{\"a\":[1,{\"b\":2}],\"c\":[1,{\"b\":2}],\"d\":\"z\",\"e\":\"z\"}");
    auto_buffer struct buffer laughs = {0};
    buffer_append_string(&laughs, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 30; i++) {
        buffer_append_format(&laughs, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            buffer_append_format(&laughs, "%s*a%d", j ? ", " : "", i - 1);
        buffer_append_string(&laughs, "]\n");
    }
    struct document *document = NULL;
    struct error error;
    ck_assert_int_eq(document_parse(buffer_peek(&laughs), NULL, &document, &error),
                     STATUS_TOO_LARGE);
    ck_assert_uint_ne(error.line, 0);
    error = refused("a: &a [1, *a]\n");
    ck_assert_uint_eq(error.column, 11);
    refused("a: *b\n");
    /* Nesting by aliases is nesting. */
    buffer_clear(&laughs);
    buffer_append_string(&laughs, "a0: &a0 [x]\n");
    for (int i = 1; i < 120; i++)
        buffer_append_format(&laughs, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    ck_assert_int_eq(document_parse(buffer_peek(&laughs), NULL, &document, &error),
                     STATUS_TOO_DEEP);
}
END_TEST

START_TEST(limits_are_errors_with_a_place)
{
    struct document_limits limits = {.text_bytes = 100, .nodes = 10, .depth = 3};
    struct document *document = NULL;
    struct error error;
    static const char *const deep[] = {"[[[[1]]]]", "a: {b: {c: {d: 1}}}"};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(document_parse(bytes_of_string(deep[i]), &limits, &document, &error),
                         STATUS_TOO_DEEP);
    static const char *const many[] = {"[1,2,3,4,5,6,7,8,9,10]", "[a,b,c,d,e,f,g,h,i,j]"};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(document_parse(bytes_of_string(many[i]), &limits, &document, &error),
                         STATUS_TOO_LARGE);
    char large[200];
    memset(large, ' ', sizeof(large));
    ck_assert_int_eq(document_parse(bytes_of(large, sizeof(large)), &limits, &document, &error),
                     STATUS_TOO_LARGE);
    limits.depth = DOCUMENT_DEPTH_LIMIT;
    auto_buffer struct buffer brackets = {0};
    for (int i = 0; i < 200000; i++)
        buffer_append_byte(&brackets, '[');
    ck_assert_int_eq(document_parse(buffer_peek(&brackets), NULL, &document, &error),
                     STATUS_TOO_DEEP);
}
END_TEST

START_TEST(errors_name_what_is_wrong_where)
{
    struct error error = refused("a: 1\n b: 2\n");
    ck_assert_uint_eq(error.line, 2);
    error = refused("{\"a\": 1,\n \"b\": tru\x01}");
    ck_assert_uint_eq(error.line, 2);
    error = refused("a: b\n---\nc: d\n");
    ck_assert(strstr(error.text, "second document") != NULL);
    error = refused("a: \xFF\n");
    ck_assert_uint_eq(error.line, 1);
    ck_assert_uint_eq(error.column, 4);
    error = refused("? [a]\n: b\n");
    ck_assert(strstr(error.text, "key") != NULL);
    error = refused("a: !!int 1\n");
    ck_assert_uint_eq(error.column, 4);
    refused("a: !!binary x\n");
    refused("a: [1, 2\n");
    refused("a: \"x\n");
}
END_TEST

START_TEST(keys_are_checked_all_at_once)
{
    struct document *document = parsed("a: 1\nb: 2\nx: 3\na: 4\ny: 5\n");
    auto_problems struct problems problems = {0};
    static const char *const names[] = {"a", "b", NULL};
    ck_assert(!document_check_keys(document_root(document), names, "rule", &problems));
    problems_sort(&problems);
    auto_buffer struct buffer out = {0};
    problems_render(&problems, "f.yaml", &out);
    buffer_append_byte(&out, '\0');
    ck_assert_str_eq((const char *)buffer_peek(&out).data,
                     "f.yaml:3:1: rule: unknown key \"x\"; expected a or b\n"
                     "f.yaml:4:1: rule: the key \"a\" stands here twice (first in line 1)\n"
                     "f.yaml:5:1: rule: unknown key \"y\"; expected a or b\n");
    ck_assert_uint_eq(document_find_duplicate(document_root(document))->line, 4);
    ck_assert(!document_check_keys(document_find(document_root(document), "b"), names, "rule.b",
                                   &problems));
    document_free(document);
}
END_TEST

START_TEST(numbers_are_read_as_values)
{
    static const struct {
        const char *text;
        bool is_integer;
        int64_t integer;
    } cases[] = {{"42", true, 42},
                 {"-0x1", false, 0},
                 {"0x7fffffffffffffff", true, INT64_MAX},
                 {"0x8000000000000000", false, 0},
                 {"9223372036854775807", true, INT64_MAX},
                 {"9223372036854775808", false, 0},
                 {"1e3", true, 1000},
                 {"1.5", false, 0},
                 {"1e300", false, 0},
                 {".nan", false, 0},
                 {"'1'", false, 0},
                 {"0o17", true, 15}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct document *document = parsed(cases[i].text);
        int64_t value = 0;
        ck_assert_msg(document_read_integer(document_root(document), &value) == cases[i].is_integer,
                      "%s", cases[i].text);
        ck_assert_int_eq(value, cases[i].integer);
        document_free(document);
    }
    struct document *document = parsed("[.5, 1e999, 0x10]");
    const struct document_entry *entries = document_root(document)->entries;
    double number = 0;
    ck_assert(document_read_number(entries[0].value, &number) && number == 0.5);
    ck_assert(!document_read_number(entries[1].value, &number));
    ck_assert(document_read_number(entries[2].value, &number) && number == 16);
    document_free(document);
}
END_TEST

/* Whatever the bytes, parsing ends without a fault, and what it accepts can be emitted as JSON that
 * reads the same. */
START_TEST(random_texts_do_no_harm)
{
    static const char *const pieces[] = {"{",        "}",
                                         "[",        "]",
                                         ",",        ":",
                                         ": ",       "\n",
                                         "\n  ",     "- ",
                                         "a",        "\"",
                                         "'",        "\\ud83d\\ude00",
                                         "\\uE000",  "&a ",
                                         "*a",       "1",
                                         ".5",       "|\n",
                                         "#",        "\\",
                                         "\xC3\xA4", "\xEE\x80\x80",
                                         "!!str ",   "\"k\":",
                                         "null",     "\"\\ud83d\\ude00\"",
                                         "? ",       "---\n",
                                         "\xFF",     "\t"};
    unsigned seed = 20260302;
    for (int round = 0; round < 20000; round++) {
        auto_buffer struct buffer text = {0};
        unsigned state = seed + (unsigned)round;
        for (int i = rand_r(&state) % 24; i >= 0; i--)
            buffer_append_string(
                &text, pieces[(unsigned)rand_r(&state) % (sizeof(pieces) / sizeof(pieces[0]))]);
        struct document *document = NULL, *again = NULL;
        if (document_parse(buffer_peek(&text), NULL, &document, NULL) != STATUS_OK)
            continue;
        auto_buffer struct buffer first = {0}, second = {0};
        if (document_emit_json(document, document_root(document), &first, NULL, NULL) ==
            STATUS_OK) {
            ck_assert_msg(document_parse(buffer_peek(&first), NULL, &again, NULL) == STATUS_OK,
                          "round %d: %.*s", round, BYTES_PRINT(buffer_peek(&first)));
            ck_assert_int_eq(document_emit_json(again, document_root(again), &second, NULL, NULL),
                             STATUS_OK);
            ck_assert_msg(bytes_equal(buffer_peek(&first), buffer_peek(&second)), "round %d: %.*s",
                          round, BYTES_PRINT(buffer_peek(&first)));
            document_free(again);
        }
        document_free(document);
    }
}
END_TEST

TEST_PROGRAM("document", plain_scalars_have_the_kinds_of_the_core_schema,
             nodes_know_their_line_and_column_in_characters, strict_json_is_taken_in_full_fidelity,
             json_pasted_into_yaml_is_emitted_as_json, surrogate_pairs_work_in_yaml_double_quotes,
             numbers_that_json_cannot_say_are_refused_with_their_place,
             offsets_of_emitted_json_lead_back_to_the_yaml, aliases_share_and_are_bounded,
             limits_are_errors_with_a_place, errors_name_what_is_wrong_where,
             keys_are_checked_all_at_once, numbers_are_read_as_values, random_texts_do_no_harm)
