/* A tree of what the rule writes, walked for each event. What does not depend on the event is
 * JSON text since the rules were read, so that an event costs its fields. */
#include "payload.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"
#include "rule_set_private.h"

struct payload_node {
    enum {
        PAYLOAD_LITERAL, /* `json` */
        PAYLOAD_FIELD,   /* the value of `slot`, or the text of `template` */
        PAYLOAD_TEXT,    /* the text of `template` */
        PAYLOAD_OBJECT,
        PAYLOAD_ARRAY
    } kind;
    unsigned slot;
    struct bytes name; /* of a member: a JSON string and the colon, in the arena; else empty */
    struct bytes json;
    struct template *template;
    struct payload_node *children; /* in the arena */
    size_t count;
};

struct payload {
    struct payload_node root;
    size_t node_count;
};

/* --- Reading ----------------------------------------------------------------------------------- */

/* The document is not known to be small: its nodes are counted before their children are read. */
struct payload_reader {
    struct rule_reader *rules;
    struct payload *payload;
};

static bool read_payload_node(struct payload_reader *reader, const struct document_node *node,
                              unsigned depth, struct payload_node *into);

static bool read_payload_text(struct payload_reader *reader, const struct document_node *node,
                              struct payload_node *into)
{
    into->template = rule_read_template(reader->rules, node, "data");
    if (!into->template)
        return false;
    into->kind = template_is_field(into->template, &into->slot) ? PAYLOAD_FIELD : PAYLOAD_TEXT;
    return true;
}

static bool read_payload_literal(struct payload_reader *reader, const struct document_node *node,
                                 struct payload_node *into)
{
    auto_buffer struct buffer json = {0};
    struct error error = {0};
    if (document_emit_json(reader->rules->document, node, &json, NULL, &error) != STATUS_OK) {
        problems_add_error(reader->rules->problems, &error);
        return false;
    }
    into->kind = PAYLOAD_LITERAL;
    into->json = arena_copy(&reader->rules->set->arena, buffer_peek(&json));
    return true;
}

static struct bytes template_member(struct payload_reader *reader, struct bytes key)
{
    auto_buffer struct buffer name = {0};
    json_write_string(&name, key);
    buffer_append_byte(&name, ':');
    return arena_copy(&reader->rules->set->arena, buffer_peek(&name));
}

/* All children are read, whatever is wrong with one: an operator mends a file in one round. */
static bool read_payload_children(struct payload_reader *reader, const struct document_node *node,
                                  unsigned depth, struct payload_node *into)
{
    bool is_object = node->kind == DOCUMENT_MAPPING;
    bool sound = !is_object || document_check_keys(node, NULL, "data", reader->rules->problems);
    into->kind = is_object ? PAYLOAD_OBJECT : PAYLOAD_ARRAY;
    into->children =
        arena_alloc(&reader->rules->set->arena, node->count * sizeof(struct payload_node));
    for (size_t i = 0; i < node->count; i++) {
        struct payload_node *child = &into->children[into->count++];
        if (is_object)
            child->name = template_member(reader, node->entries[i].key->text);
        sound &= read_payload_node(reader, node->entries[i].value, depth + 1, child);
    }
    return sound;
}

static bool read_payload_node(struct payload_reader *reader, const struct document_node *node,
                              unsigned depth, struct payload_node *into)
{
    bool is_container = node->kind == DOCUMENT_MAPPING || node->kind == DOCUMENT_SEQUENCE;
    reader->payload->node_count += 1 + node->count;
    if (depth > PAYLOAD_DEPTH_LIMIT || reader->payload->node_count > PAYLOAD_NODES_LIMIT) {
        problems_add(reader->rules->problems, node->line, node->column,
                     "data has at most %d values, %d deep", PAYLOAD_NODES_LIMIT,
                     PAYLOAD_DEPTH_LIMIT);
        return false;
    }
    reader->payload->node_count -= node->count; /* each counts itself */
    if (is_container)
        return read_payload_children(reader, node, depth, into);
    return node->kind == DOCUMENT_STRING ? read_payload_text(reader, node, into)
                                         : read_payload_literal(reader, node, into);
}

struct payload *payload_read(struct rule_reader *reader, const struct document_node *node)
{
    struct payload *payload = mem_new(struct payload);
    struct payload_reader own = {.rules = reader, .payload = payload};
    if (!read_payload_node(&own, node, 1, &payload->root)) {
        payload_free(payload);
        return NULL;
    }
    assert(payload->node_count >= 1 && payload->node_count <= PAYLOAD_NODES_LIMIT);
    return payload;
}

/* Nodes are the arena's; templates have memory of their own. */
static void free_templates(struct payload_node *node)
{
    template_free(node->template);
    for (size_t i = 0; i < node->count; i++)
        free_templates(&node->children[i]);
}

void payload_free(struct payload *payload)
{
    if (!payload)
        return;
    free_templates(&payload->root);
    free(payload);
}

/* --- Rendering --------------------------------------------------------------------------------- */

struct payload_writer {
    const struct field_value *values;
    struct buffer *out;
    struct buffer text; /* of one template */
    size_t end;         /* the most bytes that `out` may have */
};

/* As it stands in the event, but for the quotes, which a string's value is kept without. */
static void append_field(struct payload_writer *writer, const struct field_value *value)
{
    const char *quote = value->kind == JSON_STRING ? "\"" : "";
    assert(value->kind != JSON_ERROR);
    buffer_append_string(writer->out, quote);
    buffer_append(writer->out, value->raw);
    buffer_append_string(writer->out, quote);
}

static bool takes_default(const struct payload_writer *writer, const struct payload_node *node)
{
    enum json_token kind = writer->values[node->slot].kind;
    assert(node->kind == PAYLOAD_FIELD);
    return (kind == JSON_ERROR || kind == JSON_NULL) &&
           template_missing(node->template, writer->values, TEMPLATE_NO_LIST).size == 0;
}

/* Fields that are missing leave their places empty, as in every text. */
static void append_template(struct payload_writer *writer, const struct template *template)
{
    buffer_clear(&writer->text);
    (void)template_render(template, writer->values, &writer->text);
    json_write_string(writer->out, buffer_peek(&writer->text));
}

/* Whether there is anything to be said. */
static bool has_value(const struct payload_writer *writer, const struct payload_node *node)
{
    return node->kind != PAYLOAD_FIELD || writer->values[node->slot].kind != JSON_ERROR ||
           takes_default(writer, node);
}

static bool render_node(struct payload_writer *writer, const struct payload_node *node);

static bool render_children(struct payload_writer *writer, const struct payload_node *node)
{
    bool is_object = node->kind == PAYLOAD_OBJECT;
    bool first = true;
    buffer_append_byte(writer->out, is_object ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        const struct payload_node *child = &node->children[i];
        if (is_object && !has_value(writer, child))
            continue;
        if (!first)
            buffer_append_byte(writer->out, ',');
        first = false;
        buffer_append(writer->out, child->name);
        if (!render_node(writer, child))
            return false;
    }
    buffer_append_byte(writer->out, is_object ? '}' : ']');
    return true;
}

/* Looked at after each value: so no more than one lies beyond the limit. */
static bool render_node(struct payload_writer *writer, const struct payload_node *node)
{
    bool fits = true;
    switch (node->kind) {
    case PAYLOAD_LITERAL:
        buffer_append(writer->out, node->json);
        break;
    case PAYLOAD_FIELD:
        if (!has_value(writer, node))
            buffer_append_string(writer->out, "null");
        else if (takes_default(writer, node))
            append_template(writer, node->template);
        else
            append_field(writer, &writer->values[node->slot]);
        break;
    case PAYLOAD_TEXT:
        append_template(writer, node->template);
        break;
    case PAYLOAD_OBJECT:
    case PAYLOAD_ARRAY:
        fits = render_children(writer, node);
        break;
    }
    return fits && buffer_size(writer->out) <= writer->end;
}

bool payload_render(const struct payload *payload, const struct field_value *values, size_t limit,
                    struct buffer *out)
{
    assert(payload && values);
    struct payload_writer writer = {.values = values, .out = out, .end = buffer_size(out) + limit};
    bool fits = render_node(&writer, &payload->root);
    buffer_deinit(&writer.text);
    return fits;
}
