/* Templates, taken apart once when the rules are read and put together for each event.
 *
 *     "task:{taskId} of {user|somebody}"     "task:"  {taskId}  " of "  {user|somebody}
 *
 * Fields are slots of a field set, so putting a text together looks nothing up. The grammar is as
 * small as it can be, and every brace that is not part of it is an error: a brace that is forgotten
 * must not become part of a room's name.
 *
 * Invariant: parts lie in `text` one after another, unescaped; the source is kept beside it for
 * people and for the paths of fields. */
#include "template.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"

enum { PARTS_LIMIT = 64 };

/* A literal, or a field with what stands in for it. */
struct part {
    bool is_field;
    bool has_default;
    unsigned slot;
    struct bytes text; /* literal or default; borrows from the template's text */
    struct bytes path; /* of a field; borrows from the source */
};

struct template
{
    uint8_t *source;
    size_t source_size;
    uint8_t *text; /* unescaped literals and defaults, one after another */
    size_t text_size;
    struct part *parts;
    size_t count;
};

struct template_parser {
    struct bytes input;
    size_t at;
    struct field_set *fields;
    struct template *template;
    struct error *error;
};

/* The column is within the template; whoever reads the file adds where that begins. */
static enum status fail_template(const struct template_parser *parser, size_t at,
                                 const char *reason)
{
    error_set(parser->error, STATUS_MALFORMED, "%s", reason);
    if (parser->error)
        parser->error->column = (unsigned)at + 1;
    return STATUS_MALFORMED;
}

static struct part *add_template_part(struct template_parser *parser)
{
    assert(parser->template->text_size <= parser->input.size);
    struct template *template = parser->template;
    assert(template->count < PARTS_LIMIT);
    template->parts = mem_resize(template->parts, template->count + 1, sizeof(struct part));
    struct part *part = &template->parts[template->count++];
    *part = (struct part){.text = bytes_of(template->text + template->text_size, 0)};
    return part;
}

/* A part that is being added to is the last one, so its text grows at the end of all text. */
static void add_byte(struct template_parser *parser, struct part *part, uint8_t byte)
{
    assert(parser->template->text_size <= parser->input.size);
    parser->template->text[parser->template->text_size++] = byte;
    part->text.size++;
}

/* After the opening brace: up to and with the closing one. */
static enum status parse_field(struct template_parser *parser)
{
    assert(parser->at > 0); /* the brace stands before */
    size_t start = parser->at;
    const uint8_t *data = parser->input.data;
    size_t end = start;
    while (end < parser->input.size && data[end] != '}' && data[end] != '{' && data[end] != '|')
        end++;
    struct part *part = add_template_part(parser);
    part->is_field = true;
    size_t close = end;
    if (close < parser->input.size && data[close] == '|') {
        part->has_default = true;
        for (close++; close < parser->input.size && data[close] != '}' && data[close] != '{';
             close++)
            add_byte(parser, part, data[close]);
    }
    if (close == parser->input.size)
        return fail_template(parser, start - 1, "`{` without `}` (write {{ for a brace)");
    if (data[close] == '{')
        return fail_template(parser, close, "`{` inside a field");
    if (end == start)
        return fail_template(parser, start - 1, "a field without a name (write {{ for a brace)");
    /* The path borrows from the template and not from the input, which the caller may free. */
    part->path = bytes_of(parser->template->source + start, end - start);
    enum status status =
        field_set_add(parser->fields, bytes_of(data + start, end - start), &part->slot);
    if (status != STATUS_OK)
        return fail_template(parser, start, "a field's name is at most 1,000 bytes");
    parser->at = close + 1;
    return STATUS_OK;
}

/* A doubled brace is looked for first: {{ never begins a field. */
static enum status parse_parts(struct template_parser *parser)
{
    struct part *literal = NULL;
    while (parser->at < parser->input.size) {
        uint8_t byte = parser->input.data[parser->at];
        bool doubled =
            parser->at + 1 < parser->input.size && parser->input.data[parser->at + 1] == byte;
        if (parser->template->count >= PARTS_LIMIT)
            return fail_template(parser, parser->at, "more than 64 parts");
        if (byte == '}' && !doubled)
            return fail_template(parser, parser->at, "`}` without `{` (write }} for a brace)");
        if (byte == '{' && !doubled) {
            parser->at++;
            enum status status = parse_field(parser);
            if (status != STATUS_OK)
                return status;
            literal = NULL;
            continue;
        }
        if (!literal)
            literal = add_template_part(parser);
        add_byte(parser, literal, byte);
        parser->at += byte == '{' || byte == '}' ? 2 : 1;
    }
    assert(parser->at == parser->input.size);
    return STATUS_OK;
}

/* On failure the fields that were added stay in the set: slots are never taken back, and a file
 * with a mistake is dropped with its set. */
enum status template_parse(struct bytes text, struct field_set *fields, struct template **template,
                           struct error *error)
{
    struct template_parser parser = {
        .input = text, .fields = fields, .template = mem_new(struct template), .error = error};
    parser.template->text = mem_alloc(text.size + 1);
    parser.template->source = (uint8_t *)mem_string(text);
    parser.template->source_size = text.size;
    enum status status = parse_parts(&parser);
    if (status != STATUS_OK) {
        template_free(parser.template);
        return status;
    }
    assert(parser.template->text_size <= text.size);
    *template = parser.template;
    return STATUS_OK;
}

void template_free(struct template *template)
{
    if (!template)
        return;
    free(template->source);
    free(template->text);
    free(template->parts);
    free(template);
}

/* Writes what there is, also when a field is missing: whether such a text may be used is for the
 * caller, who gets the reason that matters most. */
enum template_result template_render_element(const struct template *template,
                                             const struct field_value *values, unsigned list,
                                             const struct field_value *element, struct buffer *out)
{
    bool complete = true;
    bool unfit = false;
    assert(list == TEMPLATE_NO_LIST || element);
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        const struct field_value *value =
            part->is_field && part->slot == list ? element : &values[part->slot];
        if (part->is_field && field_value_text(value, out, &unfit))
            continue;
        if (part->is_field && !part->has_default)
            complete = false;
        buffer_append(out, part->text);
    }
    return !complete ? TEMPLATE_FIELD_MISSING : unfit ? TEMPLATE_UNFIT : TEMPLATE_DONE;
}

enum template_result template_render(const struct template *template,
                                     const struct field_value *values, struct buffer *out)
{
    return template_render_element(template, values, TEMPLATE_NO_LIST, NULL, out);
}

unsigned template_list(const struct template *template, const struct field_value *values)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        if (part->is_field && values[part->slot].kind == JSON_ARRAY)
            return part->slot;
    }
    return TEMPLATE_NO_LIST;
}

/* As field_value_text(), without making the text. */
static bool has_text(const struct field_value *value)
{
    return value->kind == JSON_STRING || value->kind == JSON_NUMBER || value->kind == JSON_TRUE ||
           value->kind == JSON_FALSE;
}

struct bytes template_missing(const struct template *template, const struct field_value *values,
                              unsigned list)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        if (part->is_field && !part->has_default && part->slot != list &&
            !has_text(&values[part->slot]))
            return part->path;
    }
    return bytes_of(NULL, 0);
}

struct bytes template_source(const struct template *template)
{
    return bytes_of(template->source, template->source_size);
}

void template_fill(const struct template *template, struct bytes stand_in, struct buffer *out)
{
    for (size_t i = 0; i < template->count; i++)
        buffer_append(out, template->parts[i].is_field ? stand_in : template->parts[i].text);
}

bool template_names(const struct template *template, unsigned slot)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].is_field && template->parts[i].slot == slot)
            return true;
    return false;
}

bool template_is_field(const struct template *template, unsigned *slot)
{
    if (template->count != 1 || !template->parts[0].is_field)
        return false;
    *slot = template->parts[0].slot;
    return true;
}

/* Braces that are doubled make no second part, so one part is all of it. */
bool template_is_literal(const struct template *template)
{
    assert(template->count == 0 || template->parts);
    return template->count == 0 || (template->count == 1 && !template->parts[0].is_field);
}
