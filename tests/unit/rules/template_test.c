#include "field_set.h"

#include <stdio.h>

#include "mem.h"
#include "suite.h"
#include "template.h"

#define TEXT(literal) BYTES_LITERAL(literal)

static enum status extract_one(struct bytes path, struct bytes json, struct field_value *value)
{
    struct field_set *set = field_set_new();
    struct field_values values = {0};
    unsigned slot;
    ck_assert_int_eq(field_set_add(set, path, &slot), STATUS_OK);
    enum status status = field_set_extract(set, json, &values);
    *value = values.items[slot];
    field_values_deinit(&values);
    field_set_free(set);
    return status;
}

static void assert_field(const char *path, const char *json, const char *raw)
{
    struct field_value value;
    ck_assert_int_eq(extract_one(bytes_of_string(path), bytes_of_string(json), &value), STATUS_OK);
    if (raw == NULL) {
        ck_assert_msg(value.kind == JSON_ERROR, "%s in %s", path, json);
        return;
    }
    ck_assert_msg(bytes_equal_string(value.raw, raw), "%s in %s: %.*s", path, json,
                  BYTES_PRINT(value.raw));
}

START_TEST(a_field_is_found_by_its_path)
{
    assert_field("a", "{\"a\":1}", "1");
    assert_field("a.b", "{\"a\":{\"b\":\"x\"}}", "x");
    assert_field("a.b", "{\"a.b\":true}", "true");
    assert_field("a.b.c", "{\"a.b\":{\"c\":3}}", "3");
    assert_field("a.b.c", "{\"a\":{\"b.c\":3}}", "3");
    assert_field("a", "{\"b\":{\"a\":1}}", NULL);
    assert_field("a", "{}", NULL);
    assert_field("a", "{ \"a\" : { \"b\" : [1, 2] } }", "{ \"b\" : [1, 2] }");
    assert_field("a.b", "{\"a\":5}", NULL);
    assert_field("a", "{\"\\u0061\":1}", "1");
}
END_TEST

START_TEST(the_first_value_at_a_path_is_its_value)
{
    assert_field("a", "{\"a\":1,\"a\":2}", "1");
    assert_field("a.b", "{\"a\":{\"c\":0},\"a\":{\"b\":2}}", "2");
    assert_field("a.b", "{\"a\":[{\"c\":1},{\"b\":2},{\"b\":3}]}", "2");
    assert_field("a.b", "{\"a\":[[{\"b\":2}]]}", "2");
    assert_field("a", "{\"a\":[1,2]}", "[1,2]");
}
END_TEST

START_TEST(a_container_and_what_is_in_it_are_both_found)
{
    struct field_set *set = field_set_new();
    unsigned whole;
    unsigned inside;
    struct field_values values = {0};
    ck_assert_int_eq(field_set_add(set, TEXT("data"), &whole), STATUS_OK);
    ck_assert_int_eq(field_set_add(set, TEXT("data.n"), &inside), STATUS_OK);
    ck_assert_int_eq(field_set_extract(set, TEXT("{\"data\":{\"n\":[7],\"m\":{}}}"), &values),
                     STATUS_OK);
    ck_assert(bytes_equal_string(values.items[whole].raw, "{\"n\":[7],\"m\":{}}"));
    ck_assert(bytes_equal_string(values.items[inside].raw, "[7]"));
    unsigned again;
    ck_assert_int_eq(field_set_add(set, TEXT("data.n"), &again), STATUS_OK);
    ck_assert_uint_eq(again, inside);
    ck_assert_uint_eq(field_set_count(set), 2);
    field_values_deinit(&values);
    field_set_free(set);
}
END_TEST

START_TEST(only_one_json_object_is_extracted_from)
{
    static const char *const texts[] = {"",    "1",       "[]",         "{",
                                        "{}x", "{\"a\"}", "{\"a\":1,}", "{\"a\":tru}"};
    struct field_value value;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_int_ne(extract_one(TEXT("a"), bytes_of_string(texts[i]), &value), STATUS_OK);
    auto_buffer struct buffer deep = {0};
    for (int i = 0; i < 200; i++)
        buffer_append_string(&deep, "{\"a\":");
    ck_assert_int_ne(extract_one(TEXT("a.a"), buffer_peek(&deep), &value), STATUS_OK);
}
END_TEST

/* Values are used again: what an event lacks is not what the one before it had. */
START_TEST(no_value_is_left_from_the_event_before)
{
    struct field_set *set = field_set_new();
    struct field_values values = {0};
    unsigned a;
    unsigned b;
    ck_assert_int_eq(field_set_add(set, TEXT("a"), &a), STATUS_OK);
    ck_assert_int_eq(field_set_extract(set, TEXT("{\"a\":1}"), &values), STATUS_OK);
    ck_assert_int_eq(field_set_add(set, TEXT("b"), &b), STATUS_OK);
    ck_assert_int_eq(field_set_extract(set, TEXT("{\"b\":2}"), &values), STATUS_OK);
    ck_assert_int_eq(values.items[a].kind, JSON_ERROR);
    ck_assert(bytes_equal_string(values.items[b].raw, "2"));
    ck_assert_int_ne(field_set_extract(set, TEXT("{\"a\":2"), &values), STATUS_OK);
    ck_assert_int_eq(field_set_extract(set, TEXT("{}"), &values), STATUS_OK);
    ck_assert_int_eq(values.items[a].kind, JSON_ERROR);
    ck_assert_int_eq(values.items[b].kind, JSON_ERROR);
    field_values_deinit(&values);
    field_set_free(set);
}
END_TEST

/* What an event of 30 keys costs when rules name so many fields. */
static size_t steps_with(unsigned fields)
{
    struct field_set *set = field_set_new();
    struct field_values values = {0};
    auto_buffer struct buffer event = {0};
    char path[32];
    unsigned slot;
    for (unsigned i = 0; i < fields; i++) {
        snprintf(path, sizeof(path), "data.field-%u", i);
        ck_assert_int_eq(field_set_add(set, bytes_of_string(path), &slot), STATUS_OK);
        ck_assert_uint_eq(slot, i);
    }
    buffer_append_string(&event, "{\"data\":{");
    for (unsigned i = 0; i < 30; i++)
        buffer_append_format(&event, "%s\"field-%u\":%u", i == 0 ? "" : ",", i * 7, i);
    buffer_append_string(&event, "}}");
    ck_assert_int_eq(field_set_extract(set, buffer_peek(&event), &values), STATUS_OK);
    ck_assert_uint_eq(values.filled_count, 30);
    size_t steps = values.steps;
    field_values_deinit(&values);
    field_set_free(set);
    return steps;
}

START_TEST(an_event_costs_what_it_holds_and_not_what_rules_name)
{
    size_t few = steps_with(300);
    size_t many = steps_with(100000);
    ck_assert_msg(many < 2 * few && many < 200, "%zu, then %zu", few, many);
}
END_TEST

static bool render(const char *text, const char *json, struct buffer *out)
{
    struct field_set *set = field_set_new();
    struct template *template = NULL;
    struct error error = {0};
    struct field_values values = {0};
    ck_assert_msg(template_parse(bytes_of_string(text), set, &template, &error) == STATUS_OK,
                  "%s: %s", text, error.text);
    ck_assert_int_eq(field_set_extract(set, bytes_of_string(json), &values), STATUS_OK);
    buffer_clear(out);
    bool complete = template_render(template, values.items, out) != TEMPLATE_FIELD_MISSING;
    field_values_deinit(&values);
    template_free(template);
    field_set_free(set);
    return complete;
}

static void assert_text(const char *text, const char *json, const char *expected)
{
    auto_buffer struct buffer out = {0};
    ck_assert_msg(render(text, json, &out), "%s is complete", text);
    ck_assert_msg(bytes_equal_string(buffer_peek(&out), expected), "%s: %.*s", text,
                  BYTES_PRINT(buffer_peek(&out)));
}

START_TEST(fields_are_put_into_the_text)
{
    assert_text("task:{taskId}", "{\"taskId\":\"42\"}", "task:42");
    assert_text("{a}{a}-{b.c}", "{\"a\":1.50,\"b\":{\"c\":false}}", "1.501.50-false");
    assert_text("{a}", "{\"a\":\"\\u00e9\\n\\ud83d\\ude00\"}", "\xc3\xa9\n\xf0\x9f\x98\x80");
    assert_text("", "{}", "");
    assert_text("{{a}} {{", "{}", "{a} {");
}
END_TEST

START_TEST(what_no_client_could_take_is_replaced)
{
    assert_text("{a}", "{\"a\":\"x\\u0000y\"}", "x\xef\xbf\xbdy");
    assert_text("{a}", "{\"a\":\"\\u0000\\u0000\"}", "\xef\xbf\xbd\xef\xbf\xbd");
    assert_text("{a}", "{\"a\":\"\\ud83dz\"}", "\xef\xbf\xbdz");
}
END_TEST

START_TEST(a_default_stands_in_for_a_missing_field)
{
    auto_buffer struct buffer out = {0};
    assert_text("{a|none}", "{}", "none");
    assert_text("{a|}", "{}", "");
    assert_text("{a|x y}", "{\"a\":null}", "x y");
    assert_text("{a|x}", "{\"a\":[]}", "x");
    assert_text("{a|x}", "{\"a\":{}}", "x");
    assert_text("{a|x}", "{\"a\":\"\"}", "");
    ck_assert(!render("v:{a}", "{\"a\":null}", &out));
    ck_assert(bytes_equal_string(buffer_peek(&out), "v:"));
}
END_TEST

START_TEST(a_wrong_template_is_refused_with_its_place)
{
    static const struct {
        const char *text;
        unsigned column;
    } cases[] = {{"a{b", 2}, {"a}b", 2}, {"{}", 1}, {"{a{b}}", 3}, {"{|x}", 1}, {"{a|{b}}", 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct field_set *set = field_set_new();
        struct template *template = NULL;
        struct error error = {0};
        ck_assert_int_eq(template_parse(bytes_of_string(cases[i].text), set, &template, &error),
                         STATUS_MALFORMED);
        ck_assert_msg(error.column == cases[i].column, "%s: %u %s", cases[i].text, error.column,
                      error.text);
        field_set_free(set);
    }
}
END_TEST

TEST_PROGRAM("template", a_field_is_found_by_its_path, the_first_value_at_a_path_is_its_value,
             no_value_is_left_from_the_event_before,
             an_event_costs_what_it_holds_and_not_what_rules_name,
             a_container_and_what_is_in_it_are_both_found, only_one_json_object_is_extracted_from,
             fields_are_put_into_the_text, what_no_client_could_take_is_replaced,
             a_default_stands_in_for_a_missing_field, a_wrong_template_is_refused_with_its_place)
