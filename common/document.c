/* Trees of nodes, and the stack that both readers build them with. A reader turns its library's
 * events into calls of the builder; limits and nesting are looked after here, once.
 *
 * The invariant: a node is never changed after its frame has closed, so that an alias can share it;
 * and it is never freed on its own: one arena holds the text, the nodes and their entries. */
#include "document.h"

#include <assert.h>

#include "document_private.h"
#include "mem.h"

const struct document_limits document_limits_default = {
    .text_bytes = 4 << 20, .nodes = 500000, .depth = 100};

struct document_node *document_builder_node(struct document_builder *builder,
                                            enum document_kind kind, unsigned line, unsigned column)
{
    struct document *document = builder->document;
    struct document_node_link *link = arena_alloc(&document->arena, sizeof(*link));
    link->next = document->nodes;
    document->nodes = link;
    struct document_node *node = &link->node;
    node->kind = kind;
    node->line = line;
    node->column = column;
    return node;
}

/* In a mapping, nodes come by turns: a key, then its value. */
static enum status add_to_frame(struct document_builder *builder, struct document_frame *frame,
                                const struct document_node *node)
{
    if (frame->node->kind == DOCUMENT_MAPPING && !frame->key) {
        if (node->kind == DOCUMENT_MAPPING || node->kind == DOCUMENT_SEQUENCE)
            return error_set_at(builder->error, node->line, node->column,
                                "a key must be a scalar, not %s", document_kind_text(node->kind));
        frame->key = node;
        return STATUS_OK;
    }
    if (frame->count == frame->capacity) {
        frame->capacity = frame->capacity ? frame->capacity * 2 : 8;
        frame->entries = mem_resize(frame->entries, frame->capacity, sizeof(*frame->entries));
    }
    frame->entries[frame->count++] = (struct document_entry){frame->key, node};
    frame->key = NULL;
    return STATUS_OK;
}

/* `height` is what hangs below the node already: an alias brings a whole subtree along, which must
 * not carry the document beyond its depth unseen. */
enum status document_builder_add(struct document_builder *builder, const struct document_node *node,
                                 unsigned height)
{
    if (++builder->nodes > builder->limits.nodes) {
        error_set_at(builder->error, node->line, node->column, "more than %zu nodes",
                     builder->limits.nodes);
        return STATUS_TOO_LARGE;
    }
    if (builder->depth + height > builder->limits.depth) {
        error_set_at(builder->error, node->line, node->column, "nested deeper than %u",
                     builder->limits.depth);
        return STATUS_TOO_DEEP;
    }
    if (builder->depth == 0) {
        builder->document->root = node;
        return STATUS_OK;
    }
    struct document_frame *frame = &builder->frames[builder->depth - 1];
    if (frame->height < height)
        frame->height = height;
    return add_to_frame(builder, frame, node);
}

/* Added to its parent now, although its own entries come later: its place in the order is here. */
enum status document_builder_open(struct document_builder *builder, struct document_node *node)
{
    enum status status = document_builder_add(builder, node, 1);
    if (status != STATUS_OK)
        return status;
    builder->frames[builder->depth++] =
        (struct document_frame){.node = node, .height = 0, .anchor = -1};
    return STATUS_OK;
}

enum status document_builder_close(struct document_builder *builder)
{
    assert(builder->depth > 0);
    struct document_frame *frame = &builder->frames[--builder->depth];
    assert(!frame->key);
    if (frame->count) {
        size_t size = frame->count * sizeof(*frame->entries);
        /* Entries grow on the heap while the frame is open: in an arena, each growth would leave
         * the old array behind. */
        struct document_entry *entries = arena_alloc(&builder->document->arena, size);
        memcpy(entries, frame->entries, size);
        frame->node->entries = entries;
        frame->node->count = frame->count;
    }
    free(frame->entries);
    frame->entries = NULL;
    if (builder->depth) {
        struct document_frame *parent = &builder->frames[builder->depth - 1];
        if (parent->height < frame->height + 1)
            parent->height = frame->height + 1;
    }
    return STATUS_OK;
}

/* JSON's other values are read as YAML, with the same result. */
static bool text_looks_like_json(struct bytes text)
{
    size_t at = 0;
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t' ||
                              text.data[at] == '\r' || text.data[at] == '\n'))
        at++;
    return at < text.size && (text.data[at] == '{' || text.data[at] == '[');
}

/* Runs one reader on a fresh document. */
static enum status read_as(struct bytes text, const struct document_limits *limits, bool json,
                           struct document **document, struct error *error)
{
    struct document *made = mem_new(struct document);
    /* A copy, with a NUL behind it: nodes of JSON are slices of it, and the caller may free his. */
    made->text = arena_copy(&made->arena, text);
    made->json = json;
    struct document_builder builder = {.document = made, .limits = *limits, .error = error};
    builder.frames = mem_resize(NULL, limits->depth + 1, sizeof(*builder.frames));
    enum status status = json ? document_read_json(&builder) : document_read_yaml(&builder);
    /* What was still open when a reader gave up. */
    for (unsigned i = 0; i < builder.depth; i++)
        free(builder.frames[i].entries);
    free(builder.frames);
    if (status != STATUS_OK) {
        document_free(made);
        if (error)
            error->status = status;
        return status;
    }
    *document = made;
    return STATUS_OK;
}

static bool is_further(const struct error *a, const struct error *b)
{
    return a->line > b->line || (a->line == b->line && a->column > b->column);
}

enum status document_parse(struct bytes text, const struct document_limits *limits,
                           struct document **document, struct error *error)
{
    if (!limits)
        limits = &document_limits_default;
    assert(limits->depth <= DOCUMENT_DEPTH_LIMIT);
    if (text.size > limits->text_bytes)
        return error_set(error, STATUS_TOO_LARGE, "a text of %zu bytes; the limit is %zu",
                         text.size, limits->text_bytes);
    /* A byte order mark, as editors of Windows write it. */
    if (bytes_start_with(text, BYTES_LITERAL("\xEF\xBB\xBF")))
        text = bytes_skip(text, 3);
    struct error json_error = {0}, yaml_error = {0};
    if (text_looks_like_json(text)) {
        enum status status = read_as(text, limits, true, document, &json_error);
        /* A limit that JSON runs into is final. What is only malformed may be YAML in flow style,
         * {a: 1}, which begins alike. */
        if (status != STATUS_MALFORMED) {
            if (status != STATUS_OK && error)
                *error = json_error;
            return status;
        }
    }
    enum status status = read_as(text, limits, false, document, &yaml_error);
    if (status != STATUS_OK && error)
        /* Neither: the reader that came further understood what the author meant. */
        *error = is_further(&json_error, &yaml_error) ? json_error : yaml_error;
    return status;
}

void document_free(struct document *document)
{
    if (!document)
        return;
    /* The arena lies inside what is freed. */
    struct arena arena = document->arena;
    free(document);
    arena_deinit(&arena);
}

const struct document_node *document_root(const struct document *document)
{
    return document->root;
}

/* Places of a variable's text would be taken for places in the file. */
void document_forget_places(struct document *document)
{
    for (struct document_node_link *link = document->nodes; link; link = link->next) {
        link->node.line = 0;
        link->node.column = 0;
    }
}

const char *document_kind_text(enum document_kind kind)
{
    switch (kind) {
    case DOCUMENT_NULL:
        return "null";
    case DOCUMENT_BOOLEAN:
        return "a boolean";
    case DOCUMENT_NUMBER:
        return "a number";
    case DOCUMENT_STRING:
        return "a string";
    case DOCUMENT_SEQUENCE:
        return "a list";
    case DOCUMENT_MAPPING:
        return "a mapping";
    }
    return "";
}

/* Linear: mappings that are looked into have a dozen keys. Those with thousands (tenants) are
 * walked, and duplicates are found by sorting. */
const struct document_node *document_find(const struct document_node *mapping, const char *key)
{
    if (!mapping || mapping->kind != DOCUMENT_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->count; i++) {
        if (bytes_equal_string(mapping->entries[i].key->text, key))
            return mapping->entries[i].value;
    }
    return NULL;
}
