/* The values that a rule is made of: texts, templates, booleans, durations. What cannot be read is
 * told with its place, and left empty. */
#include <string.h>

#include "rule_set_private.h"

void rule_complain(struct rule_reader *reader, const struct document_node *node, const char *text)
{
    problems_add(reader->problems, node->line, node->column, "%s", text);
}

/* YAML reads 42 and true as a number and a boolean; where a text is due, their spelling is it. */
struct bytes rule_read_text(struct rule_reader *reader, const struct document_node *node,
                            const char *what, size_t limit)
{
    if (node->kind != DOCUMENT_STRING && node->kind != DOCUMENT_NUMBER &&
        node->kind != DOCUMENT_BOOLEAN) {
        problems_add(reader->problems, node->line, node->column, "%s is a text, not %s", what,
                     document_kind_text(node->kind));
    } else if (node->text.size > limit) {
        problems_add(reader->problems, node->line, node->column, "%s is longer than %zu bytes",
                     what, limit);
    } else {
        return arena_copy(&reader->set->arena, node->text);
    }
    return bytes_of("", 0);
}

/* A problem inside a template is told at its own column, so the text of a quoted scalar begins
 * one further. In a text with escapes that is not exact; the line is. */
struct template *rule_read_template(struct rule_reader *reader, const struct document_node *node,
                                    const char *what)
{
    struct template *template = NULL;
    struct error error = {0};
    if (node->kind == DOCUMENT_NULL || node->kind == DOCUMENT_MAPPING ||
        node->kind == DOCUMENT_SEQUENCE || node->text.size > RULE_TEXT_LIMIT ||
        memchr(node->text.data, 0, node->text.size)) {
        rule_read_text(reader, node, what, RULE_TEXT_LIMIT);
        if (node->kind == DOCUMENT_STRING && node->text.size <= RULE_TEXT_LIMIT)
            rule_complain(reader, node, "a text cannot hold a NUL");
        return NULL;
    }
    if (template_parse(node->text, reader->set->fields, &template, &error) != STATUS_OK) {
        unsigned within = error.column > 0 ? error.column - 1 : 0;
        problems_add(reader->problems, node->line, node->column + within + (node->quoted ? 1 : 0),
                     "%s: %s", what, error.text);
        return NULL;
    }
    return template;
}

/* NULL is "not given", and also "given, but wrong": the problem is told already. */
struct template *rule_find_template(struct rule_reader *reader, const struct document_node *mapping,
                                    const char *key, const char *what)
{
    const struct document_node *node = document_find(mapping, key);
    return node ? rule_read_template(reader, node, what) : NULL;
}

/* What says nothing names no item, whatever the event. */
struct template *rule_read_item(struct rule_reader *reader, const struct document_node *node)
{
    struct template *template = rule_read_template(reader, node, "an item");
    if (template && template_source(template).size == 0)
        rule_complain(reader, node, "an item is named by a text such as \"{taskId}\"");
    return template;
}

/* Only true and false: a string "false" would be taken for true by somebody. */
bool rule_read_boolean(struct rule_reader *reader, const struct document_node *mapping,
                       const char *key, bool otherwise)
{
    const struct document_node *node = document_find(mapping, key);
    if (!node)
        return otherwise;
    if (node->kind != DOCUMENT_BOOLEAN) {
        problems_add(reader->problems, node->line, node->column, "%s is true or false, not %s", key,
                     document_kind_text(node->kind));
        return otherwise;
    }
    return node->boolean;
}

/* A room that is the same for every event can be told now to have no lane: its topic's name is not
 * allowed. */
void rule_check_lane(struct rule_reader *reader, const struct document_node *node,
                     struct bytes name)
{
    static const struct room_owner owner = {BYTES_LITERAL("x"), BYTES_LITERAL("x")};
    struct room_name room;
    struct lane_name lane;
    struct error error = {0};
    if (reader->layout && room_parse(name, &room, NULL) == STATUS_OK &&
        layout_lane(reader->layout, &room, &owner, &lane, &error) == STATUS_DENIED)
        problems_add(reader->problems, node->line, node->column, "room %.*s: %s", BYTES_PRINT(name),
                     error.text);
}

/* Thirteen digits cannot overflow, and the limit is asked before the product is made. */
bool rule_read_duration(struct bytes text, int64_t *duration_ms)
{
    static const struct {
        const char *unit;
        int64_t factor_ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const int64_t limit_ms = INT64_C(3660) * 86400000;

    int64_t number = 0;
    size_t digits = 0;
    while (digits < text.size && digits < 13 && byte_is_digit(text.data[digits]))
        number = number * 10 + (text.data[digits++] - '0');
    if (digits == 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_equal_string(bytes_skip(text, digits), units[i].unit)) {
            if (number > limit_ms / units[i].factor_ms)
                return false;
            *duration_ms = number * units[i].factor_ms;
            return true;
        }
    }
    return false;
}
