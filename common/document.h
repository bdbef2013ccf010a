/* A YAML or JSON text as a tree whose nodes know their place. Not a schema, not an editor: what
 * keys mean is the reader's business (edge/config.h, layout.h, the rules).
 *
 * A text that is strict JSON as a whole (it begins with { or [) is read as JSON, in full fidelity:
 * any escape, the spelling of numbers, duplicate keys in order. Everything else is YAML, read by
 * libyaml, with scalars typed by the YAML 1.2 core schema: `yes`, `on` and `1_000` are strings,
 * `.8`, `0x10` and `+1` numbers. In YAML:
 *   - "\ud83d\ude00" (a surrogate pair as JSON writes it; a lone one, too) is accepted in double
 *     quotes, so that JSON can be pasted into a YAML file;
 *   - an alias is the node it refers to, shared; what aliases repeat counts against the limits, and
 * a node cannot contain itself;
 *   - keys are scalars; one document per text; no tags but !!str; `<<` is an ordinary key.
 * Duplicate keys are kept, in order: document_find_duplicate() tells. */
#ifndef COMMON_DOCUMENT_H
#define COMMON_DOCUMENT_H

#include "buffer.h"
#include "bytes.h"
#include "problems.h"
#include "status.h"

enum document_kind {
    DOCUMENT_NULL,
    DOCUMENT_BOOLEAN,
    DOCUMENT_NUMBER,
    DOCUMENT_STRING,
    DOCUMENT_SEQUENCE,
    DOCUMENT_MAPPING,
};

struct document_entry;

/* A node lives as long as its document. Read only. */
struct document_node {
    enum document_kind kind;
    bool boolean;    /* the value of a DOCUMENT_BOOLEAN */
    bool quoted;     /* a scalar in quotes or of block style: always DOCUMENT_STRING */
    unsigned line;   /* 1-based */
    unsigned column; /* 1-based, in characters */
    size_t start;    /* JSON documents only: where its source begins and ends, in bytes */
    size_t end;
    struct bytes text; /* scalar: a string's value (it may hold NUL), any other's spelling */
    size_t count;      /* sequence: elements; mapping: entries */
    const struct document_entry *entries;
};

struct document_entry {
    const struct document_node *key;   /* mapping: a scalar of any kind; sequence: NULL */
    const struct document_node *value; /* never NULL */
};

struct document_limits {
    size_t text_bytes; /* of the text; and, again, of what aliases repeat */
    size_t nodes;      /* with what aliases repeat */
    unsigned depth;    /* of collections; at most DOCUMENT_DEPTH_LIMIT */
};

enum { DOCUMENT_DEPTH_LIMIT = 500 };

/* 4 MiB, 500,000 nodes, 100 deep. */
extern const struct document_limits document_limits_default;

struct document;

/* Parses and copies `text` (UTF-8, a byte order mark is skipped). An empty text is one
 * DOCUMENT_NULL. `error` has line and column. limits NULL: the default. The caller frees *document.
 */
enum status document_parse(struct bytes text, const struct document_limits *limits,
                           struct document **document, struct error *error) MUST_CHECK;
void document_free(struct document *document);
const struct document_node *document_root(const struct document *document);

/* Sets line and column of all nodes to 0: for a text that is no file, so that a place in it would
 * mislead. */
void document_forget_places(struct document *document);

/* "null", "boolean", ..., with an article: "a mapping". Static. */
const char *document_kind_text(enum document_kind kind);

/* The value of the first entry of a mapping with this key, or NULL. */
const struct document_node *document_find(const struct document_node *mapping, const char *key);

/* The first key of this mapping (not of those inside) that stands there twice: the second one's key
 * node; NULL if there is none. */
const struct document_node *document_find_duplicate(const struct document_node *mapping);

/* Adds a problem for each duplicate key of a mapping and each that is not in `names`
 * (NULL-terminated; NULL: any). `what` names the mapping, e.g. "rules[2].notify". A node that is
 * not a mapping is one problem. Returns whether there was none. */
bool document_check_keys(const struct document_node *mapping, const char *const *names,
                         const char *what, struct problems *problems);

/* A number without fraction in range (decimal, 0x and 0o forms); a float form of integral value
 * such as 1e3 is one. False: it is not. */
bool document_read_integer(const struct document_node *node, int64_t *value) MUST_CHECK;
/* A finite number. */
bool document_read_number(const struct document_node *node, double *value) MUST_CHECK;

/* Where the parts of an emitted JSON text stand in the source. A zeroed struct is empty. */
struct document_map {
    struct document_map_entry *entries; /* YAML: ascending by offset */
    size_t count;
    struct bytes source; /* JSON: the whole source, in which the emitted text began at `start`, so
                            that positions are exact. Borrowed from the document */
    size_t start;
};
void document_map_deinit(struct document_map *map);
#define auto_document_map __attribute__((cleanup(document_map_deinit)))

/* Appends the node as JSON text. In a JSON document that is its source text, verbatim. In YAML:
 * compact, numbers as they are spelled where that is JSON, else normalised (`.8` 0.8, `0x10` 16,
 * `+1` 1, `1.` 1.0); refused with a place are what JSON cannot say (.inf, .nan), numbers with
 * leading zeros (007) and plain scalars that only YAML 1.1 took for numbers (1_000, 0b1): quote
 * them or write them out. `map` may be NULL; otherwise it is replaced. On failure `out` is as
 * before. */
enum status document_emit_json(const struct document *document, const struct document_node *node,
                               struct buffer *out, struct document_map *map,
                               struct error *error) MUST_CHECK;

/* Line and column of what is at byte `offset` (from the first byte that document_emit_json
 * appended): exact in a JSON document, else the start of the scalar or collection there. */
void document_map_find(const struct document_map *map, size_t offset, unsigned *line,
                       unsigned *column);

#endif
