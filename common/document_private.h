/* What the files of document.h share, and nobody else includes. */
#ifndef COMMON_DOCUMENT_PRIVATE_H
#define COMMON_DOCUMENT_PRIVATE_H

#include "arena.h"
#include "document.h"

struct document_node_link {
    struct document_node_link *next;
    struct document_node node;
};

struct document {
    struct arena arena; /* text, nodes, entries, scalars */
    struct bytes text;  /* without byte order mark */
    bool json;
    const struct document_node *root;
    struct document_node_link *nodes; /* all of them, newest first */
};

/* A collection whose end has not come yet. */
struct document_frame {
    struct document_node *node;
    struct document_entry *entries;
    size_t count;
    size_t capacity;
    const struct document_node *key; /* read, its value not yet */
    unsigned height;                 /* of the deepest collection inside */
    int anchor;                      /* its index, or -1 */
};

/* Both readers build through this: it counts against the limits. */
struct document_builder {
    struct document *document;
    struct document_limits limits;
    size_t nodes;
    struct document_frame *frames;
    unsigned depth;
    struct error *error;
};

struct document_node *document_builder_node(struct document_builder *builder,
                                            enum document_kind kind, unsigned line,
                                            unsigned column);
/* A node has been read: makes it a key, a value or the root. */
enum status document_builder_add(struct document_builder *builder, const struct document_node *node,
                                 unsigned height) MUST_CHECK;
enum status document_builder_open(struct document_builder *builder,
                                  struct document_node *node) MUST_CHECK;
enum status document_builder_close(struct document_builder *builder) MUST_CHECK;

enum status document_read_json(struct document_builder *builder) MUST_CHECK;
enum status document_read_yaml(struct document_builder *builder) MUST_CHECK;

/* How the spelling of a plain scalar relates to JSON's numbers. */
enum document_number {
    DOCUMENT_NUMBER_NONE,         /* not a number */
    DOCUMENT_NUMBER_JSON,         /* a JSON number as it is */
    DOCUMENT_NUMBER_DECIMAL,      /* +1, .8, 1. */
    DOCUMENT_NUMBER_LEADING_ZERO, /* 007: octal to some, decimal to others, often meant as text */
    DOCUMENT_NUMBER_RADIX,        /* 0x10, 0o17 */
    DOCUMENT_NUMBER_SPECIAL,      /* .inf, .nan */
    DOCUMENT_NUMBER_LEGACY,       /* 1_000, 0b1: a string in YAML 1.2, a number in YAML 1.1 */
};

enum document_number document_number_form(struct bytes spelling);

/* The kind of a plain scalar by the YAML 1.2 core schema. */
enum document_kind document_plain_kind(struct bytes spelling, bool *boolean);

/* Appends a number (or a scalar of DOCUMENT_NUMBER_LEGACY form) as JSON, or says why not. */
enum status document_emit_number(const struct document_node *node, struct buffer *out,
                                 struct error *error) MUST_CHECK;

#endif
