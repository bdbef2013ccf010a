#include "json.h"

#include "suite.h"

/* What a text scans to, one letter per token; '!' is the error. */
static const char *tokens_of(struct bytes text, unsigned depth_max, struct json_scanner *scanner)
{
    static const char letters[] = "!.{}[]ksntf0";
    static char out[256];
    size_t size = 0;
    json_init(scanner, text, depth_max);
    for (;;) {
        enum json_token token = json_next(scanner);
        ck_assert_uint_lt(size, sizeof(out) - 1);
        out[size++] = letters[token];
        if (token == JSON_END || token == JSON_ERROR)
            break;
    }
    out[size] = '\0';
    return out;
}

static const char *scan(const char *text)
{
    struct json_scanner scanner;
    return tokens_of(bytes_of_string(text), 8, &scanner);
}

START_TEST(every_kind_of_value_is_a_token)
{
    ck_assert_str_eq(scan("{\"a\":[1,-2.5e+3,\"x\",true,false,null,{}],\"b\":{\"c\":[]}}"),
                     "{k[nnstf0{}]k{k[]}}.");
    ck_assert_str_eq(scan(" \t\r\n{ \"a\" : 1 , \"b\"\n:\r[ ] } "), "{knk[]}.");
    ck_assert_str_eq(scan("0"), "n.");
    ck_assert_str_eq(scan("\"\""), "s.");
    ck_assert_str_eq(scan("{\"a\":1,\"a\":2}"), "{knkn}.");
}
END_TEST

static const struct {
    const char *text;
    size_t offset;
} broken[] = {
    {"", 0},
    {" ", 1},
    {"{", 1},
    {"[", 1},
    {"[1", 2},
    {"[1,", 3},
    {"[1,]", 3},
    {"[,1]", 1},
    {"[1 2]", 3},
    {"]", 0},
    {"[}", 1},
    {"[1}", 2},
    {"{\"a\":1]", 6},
    {"{\"a\"}", 4},
    {"{\"a\":}", 5},
    {"{\"a\":1,}", 7},
    {"{a:1}", 1},
    {"{1:1}", 1},
    {"{'a':1}", 1},
    {"[1]x", 3},
    {"[1] 1", 4},
    {"{}{}", 2},
    {"01", 1},
    {"-", 1},
    {"-01", 2},
    {"1.", 2},
    {".5", 0},
    {"1.e5", 2},
    {"1e", 2},
    {"1e+", 3},
    {"+1", 0},
    {"1.5.5", 3},
    {"0x10", 1},
    {"NaN", 0},
    {"Infinity", 0},
    {"nul", 0},
    {"truE", 0},
    {"True", 0},
    {"nullx", 4},
    {"\"", 1},
    {"\"a", 2},
    {"\"\\", 1},
    {"\"\\\"", 3},
    {"\"\\x\"", 1},
    {"\"\\u12g4\"", 1},
    {"\"\\u123", 1},
    {"\"a\nb\"", 2},
    {"\"a\x1f\"", 2},
    {"[1]//c", 3},
    {"[/**/1]", 1},
    {"\xef\xbb\xbf[1]", 0},
    {"\"\x80\"", 1},
    {"\"\xc0\x80\"", 1},
    {"\"\xc1\xbf\"", 1},
    {"\"\xe0\x9f\xbf\"", 1},
    {"\"\xed\xa0\x80\"", 1},
    {"\"\xf0\x8f\xbf\xbf\"", 1},
    {"\"\xf4\x90\x80\x80\"", 1},
    {"\"\xf5\x80\x80\x80\"", 1},
    {"\"\xc3\"", 1},
    {"\"\xe2\x82\"", 1},
    {"\"\xf0\x9f\x98\"", 1},
    {"\"0123456789abcdef0123\xff\"", 21},
};

START_TEST(broken_texts_are_refused_at_the_right_byte)
{
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        size_t offset = 999;
        enum status status = json_validate(bytes_of_string(broken[i].text), 8, &offset);
        ck_assert_msg(status == STATUS_MALFORMED && offset == broken[i].offset,
                      "%s: status %d, offset %zu, wanted %zu", broken[i].text, status, offset,
                      broken[i].offset);
        struct json_scanner scanner;
        const char *tokens = tokens_of(bytes_of_string(broken[i].text), 8, &scanner);
        ck_assert_msg(tokens[strlen(tokens) - 1] == '!', "%s: %s", broken[i].text, tokens);
        ck_assert(scanner.problem != NULL);
        ck_assert_int_eq(json_next(&scanner), JSON_ERROR);
    }
}
END_TEST

/* A copy that ends where the heap block ends, so that the sanitizer sees a byte read too far. */
static bool valid_copy(const char *text, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    enum status status = json_validate(bytes_of(copy, size), 8, NULL);
    free(copy);
    return status == STATUS_OK;
}

START_TEST(no_proper_prefix_of_an_object_is_valid)
{
    static const char text[] = "{\"k\\u00e9y\":[1.5e3,\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and "
                               "more than sixteen bytes\",true,null,false,{\"a\":[]}]}";
    size_t size = sizeof(text) - 1;
    ck_assert(valid_copy(text, size));
    for (size_t cut = 0; cut < size; cut++)
        ck_assert_msg(!valid_copy(text, cut), "cut at %zu", cut);
}
END_TEST

START_TEST(special_bytes_are_seen_at_every_position_of_a_long_string)
{
    char text[80];
    for (size_t length = 1; length < 64; length++)
        for (size_t place = 0; place < length; place++)
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'a', sizeof(text));
                text[0] = '"';
                text[1 + place] = (char)byte;
                text[1 + length] = '"';
                bool good = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                if (byte == '\\' && place + 1 == length)
                    continue; /* it escapes the closing quote */
                ck_assert_msg(valid_copy(text, length + 2) == good, "%zu %zu %d", length, place,
                              byte);
            }
}
END_TEST

START_TEST(depth_is_limited)
{
    struct json_scanner scanner;
    ck_assert_str_eq(tokens_of(BYTES_LITERAL("[[[]]]"), 3, &scanner), "[[[]]].");
    ck_assert_str_eq(tokens_of(BYTES_LITERAL("[[{}]]"), 2, &scanner), "[[!");
    ck_assert_int_eq(scanner.status, STATUS_TOO_DEEP);
    ck_assert_uint_eq(scanner.problem_offset, 2);
    char text[2 * JSON_DEPTH_MAX + 2];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    ck_assert_int_eq(json_validate(bytes_of(text + 1, sizeof(text) - 2), JSON_DEPTH_MAX, NULL),
                     STATUS_OK);
    ck_assert_int_eq(json_validate(bytes_of(text, sizeof(text)), JSON_DEPTH_MAX, NULL),
                     STATUS_TOO_DEEP);
}
END_TEST

START_TEST(an_array_splits_into_whole_elements)
{
    static const char *const wanted[] = {"\"event\"", "{\"a\": [1]}", "[ ]",
                                         "-1.5",      "null",         "\"\\\"\""};
    struct json_scanner scanner;
    json_init(&scanner, BYTES_LITERAL(" [\"event\", {\"a\": [1]},[ ],-1.5 , null,\"\\\"\"] "), 4);
    ck_assert_int_eq(json_next(&scanner), JSON_ARRAY);
    struct bytes raw;
    size_t count = 0;
    for (enum json_token token; (token = json_value(&scanner, &raw)) != JSON_ARRAY_END; count++) {
        ck_assert_int_ne(token, JSON_ERROR);
        ck_assert(bytes_equal_string(raw, wanted[count]));
    }
    ck_assert_uint_eq(count, 6);
    ck_assert_int_eq(json_next(&scanner), JSON_END);
}
END_TEST

START_TEST(a_value_is_checked_although_it_is_passed_over)
{
    struct json_scanner scanner;
    json_init(&scanner, BYTES_LITERAL("[{\"a\":[1,{\"b\":tru}]}]"), 8);
    ck_assert_int_eq(json_next(&scanner), JSON_ARRAY);
    ck_assert_int_eq(json_value(&scanner, NULL), JSON_ERROR);
    ck_assert_uint_eq(scanner.problem_offset, 14);
}
END_TEST

static bool decodes_to(const char *raw, struct bytes wanted)
{
    auto_buffer struct buffer out = {0};
    json_unescape_append(bytes_of_string(raw), &out);
    return bytes_equal(buffer_peek(&out), wanted);
}

START_TEST(escapes_are_decoded)
{
    ck_assert(decodes_to("", BYTES_LITERAL("")));
    ck_assert(decodes_to("plain", BYTES_LITERAL("plain")));
    ck_assert(decodes_to("\\\"\\\\\\/\\b\\f\\n\\r\\t", BYTES_LITERAL("\"\\/\b\f\n\r\t")));
    ck_assert(decodes_to("x\\u0000y", BYTES_LITERAL("x\0y")));
    ck_assert(decodes_to("\\u00e9\\u20AC", BYTES_LITERAL("\xc3\xa9\xe2\x82\xac")));
    ck_assert(decodes_to("\\ud83d\\ude00!", BYTES_LITERAL("\xf0\x9f\x98\x80!")));
    ck_assert(decodes_to("\\uD800", BYTES_LITERAL("\xed\xa0\x80")));
    ck_assert(decodes_to("\\ud800\\ud83d\\ude00", BYTES_LITERAL("\xed\xa0\x80\xf0\x9f\x98\x80")));
    ck_assert(decodes_to("\\udc00\\ud800x", BYTES_LITERAL("\xed\xb0\x80\xed\xa0\x80x")));
    ck_assert(decodes_to("\\ud800\\n", BYTES_LITERAL("\xed\xa0\x80\n")));
}
END_TEST

START_TEST(written_strings_are_valid_and_decode_to_themselves)
{
    char text[256 + 16];
    size_t size = 0;
    for (int byte = 0; byte < 128; byte++)
        text[size++] = (char)byte;
    memcpy(text + size, "\xc3\xa9\xed\x9f\xbf\xf0\x9f\x98\x80", 9);
    size += 9;
    auto_buffer struct buffer out = {0};
    json_write_string(&out, bytes_of(text, size));
    ck_assert_int_eq(json_validate(buffer_peek(&out), 1, NULL), STATUS_OK);
    struct bytes written = buffer_peek(&out);
    auto_buffer struct buffer back = {0};
    json_unescape_append(bytes_of(written.data + 1, written.size - 2), &back);
    ck_assert(bytes_equal(buffer_peek(&back), bytes_of(text, size)));

    buffer_clear(&out);
    json_write_string(&out, BYTES_LITERAL("\xed\xa0\x80 \x01\n\xed\xbf\xbf"));
    ck_assert(bytes_equal_string(buffer_peek(&out), "\"\\ud800 \\u0001\\n\\udfff\""));
}
END_TEST

static bool finds(const char *document, const char *path, const char *wanted)
{
    struct bytes raw = BYTES_LITERAL("untouched");
    enum status status = json_find(bytes_of_string(document), bytes_of_string(path), &raw);
    if (!wanted)
        return status == STATUS_NOT_FOUND && bytes_equal_string(raw, "untouched");
    return status == STATUS_OK && bytes_equal_string(raw, wanted);
}

START_TEST(a_value_is_found_by_its_path)
{
    static const char *const text = "{\"x\":[{\"a\":0}],\"a\":{\"b\":{\"c\":1},\"b.d\":[2, "
                                    "3]},\"a.b.e\":\"4\",\"\\u0066\":null,"
                                    "\"a.b\":{\"c\":9,\"g\":{}},\"\":{\"\":5}}";
    ck_assert(finds(text, "a.b.c", "1"));
    ck_assert(finds(text, "a.b.d", "[2, 3]"));
    ck_assert(finds(text, "a.b.e", "\"4\""));
    ck_assert(finds(text, "a.b.g", "{}"));
    ck_assert(finds(text, "a.b", "{\"c\":1}"));
    ck_assert(finds(text, "f", "null"));
    ck_assert(finds(text, ".", "5"));
    ck_assert(finds(text, "", "{\"\":5}"));
    ck_assert(finds(text, "x.a", NULL));
    ck_assert(finds(text, "a.b.x", NULL));
    ck_assert(finds(text, "a.", NULL));
    ck_assert(finds(text, "a.b.c.d", NULL));
    ck_assert(finds("[1]", "a", NULL));
    struct bytes raw;
    ck_assert_int_eq(json_find(BYTES_LITERAL("{\"b\":1,}"), BYTES_LITERAL("a"), &raw),
                     STATUS_MALFORMED);
}
END_TEST

START_TEST(places_are_counted_in_characters)
{
    struct bytes text = BYTES_LITERAL("{\n \"\xc3\xa9\": x");
    unsigned line = 0, column = 0;
    json_line_column(text, 0, &line, &column);
    ck_assert(line == 1 && column == 1);
    json_line_column(text, text.size - 1, &line, &column);
    ck_assert(line == 2 && column == 7);
}
END_TEST

TEST_PROGRAM("json", every_kind_of_value_is_a_token, broken_texts_are_refused_at_the_right_byte,
             no_proper_prefix_of_an_object_is_valid,
             special_bytes_are_seen_at_every_position_of_a_long_string, depth_is_limited,
             an_array_splits_into_whole_elements, a_value_is_checked_although_it_is_passed_over,
             escapes_are_decoded, written_strings_are_valid_and_decode_to_themselves,
             a_value_is_found_by_its_path, places_are_counted_in_characters)
