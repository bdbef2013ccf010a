/* The reader of YAML, on libyaml's events.
 *
 * libyaml refuses the escape of a surrogate ("\ud83d"), two of which are how JSON writes what lies
 * beyond the Basic Multilingual Plane. So each such escape is replaced, before parsing, by that of
 * a private-use character which the text does not hold in any form: as many bytes, so that no place
 * moves. Where it comes out of a double-quoted scalar it becomes what was meant; where it comes out
 * of any other scalar, unchanged, the original spelling is put back. */
#include <assert.h>
#include <stdlib.h>
#include <yaml.h>

#include "document_private.h"
#include "json.h"
#include "mem.h"
#include "unicode.h"

enum { ANCHORS_LIMIT = 256, ESCAPE_SIZE = 6 /* \uXXXX */ };

/* The escape of a surrogate. */
struct surrogate {
    size_t index; /* in characters, as libyaml counts */
    uint8_t spelling[ESCAPE_SIZE];
    uint32_t unit;
};

/* An alias shares its anchor's node, and a text of a few lines can stand for billions of nodes that
 * way. Hence each anchor knows how much it stands for, and each alias counts as if it were written
 * out. */
struct anchor {
    char *name;
    const struct document_node *node;
    size_t nodes;    /* in it, with itself; while it is open: before it */
    size_t bytes;    /* of its scalars; while it is open: before it */
    unsigned height; /* collections in it, with itself */
    bool open;
};

struct yaml_reader {
    struct document_builder *builder;
    yaml_parser_t parser;
    struct surrogate *surrogates;
    size_t surrogate_count;
    size_t surrogate_next;
    uint32_t stand_in; /* the private-use character */
    struct anchor anchors[ANCHORS_LIMIT];
    int anchor_count;
    size_t bytes;       /* of scalars so far, with what aliases repeat */
    size_t alias_bytes; /* of it, what aliases repeat */
};

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four hexadecimal digits at `at`, or -1. */
static int read_hex_unit(struct bytes text, size_t at)
{
    if (text.size < at + 4)
        return -1;
    int value = 0;
    for (size_t i = at; i < at + 4; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The surrogate whose escape is here, its backslash not escaped itself; 0: there is none. */
static uint32_t surrogate_at(struct bytes text, size_t at)
{
    if (text.size < at + ESCAPE_SIZE || text.data[at] != '\\' || text.data[at + 1] != 'u')
        return 0;
    int unit = read_hex_unit(text, at + 2);
    if (unit < 0xD800 || unit > 0xDFFF)
        return 0;
    size_t backslashes = 0;
    while (backslashes < at && text.data[at - 1 - backslashes] == '\\')
        backslashes++;
    return backslashes % 2 ? 0 : (uint32_t)unit;
}

/* A private-use character that is nowhere in the text, neither itself nor as four hexadecimal
 * digits; 0: there is none. */
static uint32_t choose_stand_in(struct bytes text)
{
    enum { FIRST = 0xE000, LAST = 0xF8FF };
    bool used[LAST - FIRST + 1] = {false};
    for (size_t i = 0; i < text.size; i++) {
        int unit = read_hex_unit(text, i);
        if (unit >= FIRST && unit <= LAST)
            used[unit - FIRST] = true;
        uint32_t code;
        if (text.data[i] >= 0xEE && unicode_decode(bytes_skip(text, i), &code) && code >= FIRST &&
            code <= LAST)
            used[code - FIRST] = true;
    }
    for (uint32_t i = 0; i <= LAST - FIRST; i++) {
        if (!used[i])
            return FIRST + i;
    }
    return 0;
}

/* Fills reader->surrogates and puts stand-ins into a copy of the text. */
static void replace_surrogates(struct yaml_reader *reader, uint8_t *copy, size_t size)
{
    struct bytes text = bytes_of(copy, size);
    if (!memmem(copy, size, "\\ud", 3) && !memmem(copy, size, "\\uD", 3))
        return;
    reader->stand_in = choose_stand_in(text);
    size_t capacity = 0;
    for (size_t at = 0, index = 0; reader->stand_in && at < size; at++) {
        uint32_t unit = surrogate_at(text, at);
        if (unit) {
            if (reader->surrogate_count == capacity) {
                capacity = capacity ? capacity * 2 : 16;
                reader->surrogates =
                    mem_resize(reader->surrogates, capacity, sizeof(*reader->surrogates));
            }
            struct surrogate *found = &reader->surrogates[reader->surrogate_count++];
            *found = (struct surrogate){.index = index, .unit = unit};
            memcpy(found->spelling, copy + at, ESCAPE_SIZE);
            char spelling[ESCAPE_SIZE + 1];
            snprintf(spelling, sizeof(spelling), "\\u%04X", reader->stand_in);
            memcpy(copy + at, spelling, ESCAPE_SIZE);
        }
        if ((copy[at] & 0xC0) != 0x80)
            index++;
    }
}

/* The next recorded escape inside a scalar's source. */
static const struct surrogate *take_surrogate(struct yaml_reader *reader, const yaml_event_t *event)
{
    while (reader->surrogate_next < reader->surrogate_count &&
           reader->surrogates[reader->surrogate_next].index < event->start_mark.index)
        reader->surrogate_next++; /* it stood in a comment */
    assert(reader->surrogate_next < reader->surrogate_count);
    return &reader->surrogates[reader->surrogate_next++];
}

/* The low half of a pair, if that is the next escape and follows without a gap; it is taken. */
static uint32_t take_low_half(struct yaml_reader *reader, const struct surrogate *high)
{
    const struct surrogate *low = high + 1;
    if (reader->surrogate_next == reader->surrogate_count || high->unit >= 0xDC00 ||
        low->unit < 0xDC00 || low->index != high->index + ESCAPE_SIZE)
        return 0;
    reader->surrogate_next++;
    return low->unit;
}

/* A scalar's value in the arena, with the surrogates put back. A lone one is written in the manner
 * of UTF-8, as json_unescape() does. */
static struct bytes scalar_text(struct yaml_reader *reader, const yaml_event_t *event)
{
    struct arena *arena = &reader->builder->document->arena;
    struct bytes value = bytes_of(event->data.scalar.value, event->data.scalar.length);
    if (!reader->surrogate_count)
        return arena_copy(arena, value);
    uint8_t encoded[UNICODE_ENCODED_LIMIT];
    char escape[ESCAPE_SIZE + 1];
    struct bytes stand_in = bytes_of(encoded, unicode_encode(reader->stand_in, encoded));
    snprintf(escape, sizeof(escape), "\\u%04X", reader->stand_in);
    bool decodes = event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    uint8_t *text = arena_alloc(arena, value.size + 1); /* it only shrinks */
    size_t size = 0;
    while (value.size) {
        if (decodes && bytes_start_with(value, stand_in)) {
            const struct surrogate *high = take_surrogate(reader, event);
            uint32_t low = take_low_half(reader, high);
            uint32_t code =
                low ? 0x10000 + ((high->unit - 0xD800) << 10) + low - 0xDC00 : high->unit;
            size += unicode_encode(code, text + size);
            value = bytes_skip(value, stand_in.size * (low ? 2 : 1));
        } else if (!decodes && bytes_start_with(value, bytes_of(escape, ESCAPE_SIZE))) {
            memcpy(text + size, take_surrogate(reader, event)->spelling, ESCAPE_SIZE);
            size += ESCAPE_SIZE;
            value = bytes_skip(value, ESCAPE_SIZE);
        } else {
            text[size++] = value.data[0];
            value = bytes_skip(value, 1);
        }
    }
    return bytes_of(text, size);
}

static enum status fail_yaml(struct yaml_reader *reader, const yaml_event_t *event,
                             const char *text)
{
    return error_set_at(reader->builder->error, (unsigned)event->start_mark.line + 1,
                        (unsigned)event->start_mark.column + 1, "%s", text);
}

/* Whether the character at a parser's mark, which counts characters, is a tab. */
static bool is_tab(struct bytes text, size_t index)
{
    size_t at = 0;
    for (; at < text.size && index > 0; at++)
        if (at + 1 == text.size || (text.data[at + 1] & 0xC0) != 0x80)
            index--;
    return at < text.size && text.data[at] == '\t';
}

/* libyaml's words, with its place, which is 0-based. A reader's error (bytes that are not UTF-8)
 * has an offset and no mark. */
static enum status fail_in_parser(struct yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    struct error *error = reader->builder->error;
    if (parser->error == YAML_READER_ERROR) {
        unsigned line, column;
        json_line_column(reader->builder->document->text, parser->problem_offset, &line, &column);
        error_set_at(error, line, column, "%s", parser->problem);
        return STATUS_MALFORMED;
    }
    error_set_at(error, (unsigned)parser->problem_mark.line + 1,
                 (unsigned)parser->problem_mark.column + 1, "%s%s%s%s",
                 parser->problem ? parser->problem : "not YAML", parser->context ? ", " : "",
                 parser->context ? parser->context : "",
                 is_tab(reader->builder->document->text, parser->problem_mark.index)
                     ? ": a tab; YAML is indented with spaces"
                     : "");
    return STATUS_MALFORMED;
}

/* Remembers what an anchor names; -1: there is none. */
static enum status note_anchor(struct yaml_reader *reader, const yaml_event_t *event,
                               const yaml_char_t *name, const struct document_node *node,
                               int *index)
{
    *index = -1;
    if (!name)
        return STATUS_OK;
    if (reader->anchor_count == ANCHORS_LIMIT)
        return fail_yaml(reader, event, "too many anchors");
    *index = reader->anchor_count++;
    reader->anchors[*index] =
        (struct anchor){.name = mem_string(bytes_of_string((const char *)name)),
                        .node = node,
                        .nodes = reader->builder->nodes,
                        .bytes = reader->bytes,
                        .open = true};
    return STATUS_OK;
}

static void close_anchor(struct yaml_reader *reader, int index, unsigned height)
{
    if (index < 0)
        return;
    struct anchor *anchor = &reader->anchors[index];
    anchor->open = false;
    anchor->nodes = reader->builder->nodes - anchor->nodes;
    anchor->bytes = reader->bytes - anchor->bytes;
    anchor->height = height;
}

static enum status on_alias(struct yaml_reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct anchor *anchor = NULL;
    /* Backwards: an anchor may be defined again, and the last one counts. */
    for (int i = reader->anchor_count; i-- && !anchor;) {
        if (strcmp(reader->anchors[i].name, name) == 0)
            anchor = &reader->anchors[i];
    }
    if (!anchor)
        return fail_yaml(reader, event, "an alias of an anchor that is not defined before it");
    if (anchor->open)
        return fail_yaml(reader, event, "an alias inside of what it stands for");
    struct document_builder *builder = reader->builder;
    reader->bytes += anchor->bytes;
    reader->alias_bytes += anchor->bytes;
    if (reader->alias_bytes > builder->limits.text_bytes ||
        builder->nodes + anchor->nodes > builder->limits.nodes) {
        fail_yaml(reader, event, "aliases repeat more than the limit");
        return STATUS_TOO_LARGE;
    }
    builder->nodes += anchor->nodes - 1; /* the builder counts one itself */
    return document_builder_add(builder, anchor->node, anchor->height);
}

static bool is_tag(const yaml_char_t *tag, const char *name)
{
    return strcmp((const char *)tag, name) == 0;
}

/* The anchor is noted before the node is added, and closed after it: what it stands for is the
 * difference of the counts. */
static enum status on_scalar(struct yaml_reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *tag = event->data.scalar.tag;
    /* A tag could ask for a type that no reader of ours has; "!" and !!str only say that it is a
     * text. */
    if (tag && !is_tag(tag, "!") && !is_tag(tag, YAML_STR_TAG))
        return fail_yaml(reader, event, "a tag other than !!str");
    struct document_node *node = document_builder_node(reader->builder, DOCUMENT_STRING,
                                                       (unsigned)event->start_mark.line + 1,
                                                       (unsigned)event->start_mark.column + 1);
    int anchor;
    enum status status = note_anchor(reader, event, event->data.scalar.anchor, node, &anchor);
    if (status != STATUS_OK)
        return status;
    node->text = scalar_text(reader, event);
    node->quoted = tag || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!node->quoted)
        node->kind = document_plain_kind(node->text, &node->boolean);
    reader->bytes += node->text.size;
    status = document_builder_add(reader->builder, node, 0);
    close_anchor(reader, anchor, 0);
    return status;
}

static enum status on_open(struct yaml_reader *reader, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (tag && !is_tag(tag, mapping ? YAML_MAP_TAG : YAML_SEQ_TAG))
        return fail_yaml(reader, event, "a tag other than !!str");
    struct document_builder *builder = reader->builder;
    struct document_node *node = document_builder_node(
        builder, mapping ? DOCUMENT_MAPPING : DOCUMENT_SEQUENCE,
        (unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1);
    int anchor;
    enum status status =
        note_anchor(reader, event,
                    mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                    node, &anchor);
    if (status == STATUS_OK)
        status = document_builder_open(builder, node);
    if (status == STATUS_OK)
        builder->frames[builder->depth - 1].anchor = anchor;
    return status;
}

/* The anchor first: it counts up to here, and the frame is gone afterwards. */
static enum status on_close(struct yaml_reader *reader)
{
    const struct document_frame *frame = &reader->builder->frames[reader->builder->depth - 1];
    close_anchor(reader, frame->anchor, frame->height + 1);
    return document_builder_close(reader->builder);
}

static enum status on_event(struct yaml_reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event);
    case YAML_ALIAS_EVENT:
        return on_alias(reader, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_open(reader, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(reader);
    case YAML_DOCUMENT_START_EVENT:
        if (reader->builder->document->root)
            return fail_yaml(reader, event, "a second document in one text");
        return STATUS_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return STATUS_OK;
}

static enum status read_yaml_events(struct yaml_reader *reader)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event))
            return fail_in_parser(reader);
        /* Looked at before the event is deleted, which clears it. */
        bool last = event.type == YAML_STREAM_END_EVENT;
        enum status status = on_event(reader, &event);
        yaml_event_delete(&event);
        if (status != STATUS_OK || last)
            return status;
    }
}

enum status document_read_yaml(struct document_builder *builder)
{
    struct document *document = builder->document;
    struct yaml_reader *reader = mem_new(struct yaml_reader);
    reader->builder = builder;
    auto_free char *copy = mem_string(document->text);
    replace_surrogates(reader, (uint8_t *)copy, document->text.size);
    int made = yaml_parser_initialize(&reader->parser);
    assert(made);
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)copy, document->text.size);
    enum status status = read_yaml_events(reader);
    /* An empty file, or one of comments alone, is null. */
    if (status == STATUS_OK && !document->root)
        document->root = document_builder_node(builder, DOCUMENT_NULL, 1, 1);
    /* Also after an error: the parser owns what it had begun. */
    yaml_parser_delete(&reader->parser);
    for (int i = 0; i < reader->anchor_count; i++)
        free(reader->anchors[i].name);
    free(reader->surrogates);
    free(reader);
    return status;
}
