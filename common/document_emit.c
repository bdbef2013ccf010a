/* From nodes back to JSON text, and from offsets in it back to places in the source. Schemas, rules
 * and Jansson read JSON text alone; the operator who wrote YAML wants to hear of his line.
 *
 * The invariant: the map's entries stand in ascending order of offset, since they are noted as the
 * text is written, and document_map_find() halves its way through them. */
#include "document_private.h"
#include "json.h"
#include "mem.h"

struct document_map_entry {
    size_t offset;
    unsigned line;
    unsigned column;
};

struct emitter {
    struct buffer *out;
    struct document_map *map; /* may be NULL */
    size_t base;              /* size of `out` before */
    size_t capacity;          /* of the map's entries */
    struct error *error;
};

void document_map_deinit(struct document_map *map)
{
    free(map->entries);
    *map = (struct document_map){0};
}

static void note_place(struct emitter *emitter, const struct document_node *node)
{
    struct document_map *map = emitter->map;
    if (!map)
        return;
    if (map->count == emitter->capacity) {
        emitter->capacity = emitter->capacity ? emitter->capacity * 2 : 32;
        map->entries = mem_resize(map->entries, emitter->capacity, sizeof(*map->entries));
    }
    map->entries[map->count++] = (struct document_map_entry){
        buffer_size(emitter->out) - emitter->base, node->line, node->column};
}

static enum status emit_node(struct emitter *emitter, const struct document_node *node);

static enum status emit_entries(struct emitter *emitter, const struct document_node *node)
{
    bool mapping = node->kind == DOCUMENT_MAPPING;
    buffer_append_byte(emitter->out, mapping ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        const struct document_entry *entry = &node->entries[i];
        if (i)
            buffer_append_byte(emitter->out, ',');
        if (entry->key) {
            note_place(emitter, entry->key);
            json_write_string(emitter->out, entry->key->text);
            buffer_append_byte(emitter->out, ':');
        }
        enum status status = emit_node(emitter, entry->value);
        if (status != STATUS_OK)
            return status;
    }
    buffer_append_byte(emitter->out, mapping ? '}' : ']');
    return STATUS_OK;
}

/* Recursion is as deep as the document, which has a limit. */
static enum status emit_node(struct emitter *emitter, const struct document_node *node)
{
    note_place(emitter, node);
    switch (node->kind) {
    case DOCUMENT_NULL:
        buffer_append_string(emitter->out, "null");
        return STATUS_OK;
    case DOCUMENT_BOOLEAN:
        buffer_append_string(emitter->out, node->boolean ? "true" : "false");
        return STATUS_OK;
    case DOCUMENT_NUMBER:
        return document_emit_number(node, emitter->out, emitter->error);
    case DOCUMENT_STRING:
        /* 1_000: a string for us, a number for whoever wrote it. It is refused rather than
         * guessed. */
        if (!node->quoted && document_number_form(node->text) == DOCUMENT_NUMBER_LEGACY)
            return document_emit_number(node, emitter->out, emitter->error);
        json_write_string(emitter->out, node->text);
        return STATUS_OK;
    case DOCUMENT_SEQUENCE:
    case DOCUMENT_MAPPING:
        return emit_entries(emitter, node);
    }
    return STATUS_OK;
}

enum status document_emit_json(const struct document *document, const struct document_node *node,
                               struct buffer *out, struct document_map *map, struct error *error)
{
    struct document_map fresh = {0};
    /* A text that is JSON is given as it stands: byte for byte, so that no number loses a digit on
     * the way. Its places need no map: counting lines in the source is enough. */
    if (document->json) {
        fresh.source = document->text;
        fresh.start = node->start;
        buffer_append(out, bytes_of(document->text.data + node->start, node->end - node->start));
    } else {
        struct emitter emitter = {out, map ? &fresh : NULL, buffer_size(out), 0, error};
        enum status status = emit_node(&emitter, node);
        if (status != STATUS_OK) {
            /* A failed call leaves its output as it was. */
            out->end = out->start + emitter.base;
            document_map_deinit(&fresh);
            return status;
        }
    }
    if (map) {
        document_map_deinit(map);
        *map = fresh;
    }
    return STATUS_OK;
}

/* An offset inside of a value is found with the entry before it: the nearest place that the author
 * has written. */
void document_map_find(const struct document_map *map, size_t offset, unsigned *line,
                       unsigned *column)
{
    if (map->source.data) {
        json_line_column(map->source, map->start + offset, line, column);
        return;
    }
    size_t low = 0, high = map->count; /* the last entry at or before offset is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (map->entries[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    *line = map->count ? map->entries[low].line : 0;
    *column = map->count ? map->entries[low].column : 0;
}
