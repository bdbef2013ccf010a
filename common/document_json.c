/* The reader of texts that are strict JSON as a whole, on our own scanner: libyaml would read most
 * of them too, but not keep the spelling, nor take every escape.
 *
 * The invariant: start and end of a node are its bytes in the source, so that document_emit_json()
 * can give them back as they were. */
#include "document_private.h"
#include "json.h"
#include "unicode.h"

/* Line and column of offsets that only grow: counting from the beginning for each node would be
 * quadratic in the size of the text. */
struct json_place {
    struct bytes text;
    size_t offset;
    unsigned line;
    unsigned column;
};

static void place_advance(struct json_place *place, size_t offset)
{
    while (place->offset < offset) {
        uint8_t byte = place->text.data[place->offset++];
        if (byte == '\n') {
            place->line++;
            place->column = 1;
        } else if ((place->text.data[place->offset] & 0xC0) != 0x80) {
            place->column++; /* that was a character's last byte; the text ends with a NUL */
        }
    }
}

static enum document_kind kind_of(enum json_token token)
{
    if (token == JSON_NUMBER)
        return DOCUMENT_NUMBER;
    if (token == JSON_NULL)
        return DOCUMENT_NULL;
    return token == JSON_TRUE || token == JSON_FALSE ? DOCUMENT_BOOLEAN : DOCUMENT_STRING;
}

/* Text without escapes stays a slice of the source; only what has to be decoded costs memory. */
static enum status add_scalar(struct document_builder *builder, const struct json_scanner *scanner,
                              enum json_token token, struct document_node *node)
{
    node->kind = kind_of(token);
    node->boolean = token == JSON_TRUE;
    node->quoted = node->kind == DOCUMENT_STRING;
    node->end = json_position(scanner);
    if (node->quoted)
        node->end = node->start + scanner->raw.size + 2; /* a key's token includes its colon */
    node->text = scanner->raw;
    if (scanner->escaped) {
        uint8_t *decoded = arena_alloc(&builder->document->arena, scanner->raw.size + 1);
        node->text = bytes_of(decoded, json_unescape(scanner->raw, decoded));
    }
    return document_builder_add(builder, node, 0);
}

/* The scanner has checked the grammar: a bracket that closes has a frame that is open. */
static enum status add_token(struct document_builder *builder, struct json_scanner *scanner,
                             enum json_token token, struct json_place *place)
{
    if (token == JSON_OBJECT_END || token == JSON_ARRAY_END) {
        builder->frames[builder->depth - 1].node->end = json_position(scanner);
        return document_builder_close(builder);
    }
    place_advance(place, scanner->start);
    struct document_node *node =
        document_builder_node(builder, DOCUMENT_MAPPING, place->line, place->column);
    node->start = scanner->start;
    if (token != JSON_OBJECT && token != JSON_ARRAY)
        return add_scalar(builder, scanner, token, node);
    node->kind = token == JSON_OBJECT ? DOCUMENT_MAPPING : DOCUMENT_SEQUENCE;
    return document_builder_open(builder, node);
}

enum status document_read_json(struct document_builder *builder)
{
    struct document *document = builder->document;
    struct json_scanner scanner;
    json_init(&scanner, document->text, builder->limits.depth);
    struct json_place place = {.text = document->text, .line = 1, .column = 1};
    for (;;) {
        enum json_token token = json_next(&scanner);
        if (token == JSON_END)
            return STATUS_OK;
        if (token == JSON_ERROR) {
            unsigned line, column;
            json_line_column(document->text, scanner.problem_offset, &line, &column);
            error_set_at(builder->error, line, column, "%s", scanner.problem);
            return scanner.status;
        }
        enum status status = add_token(builder, &scanner, token, &place);
        if (status != STATUS_OK)
            return status;
    }
}
