/* Templates of topics and keys, split once at start. At run time they only copy: there is nothing
 * to look up and nothing that could be wrong but the length.
 *
 * The invariant: `text` is the template's own copy, and the literals of its parts point into it. */
#include "layout_template.h"

#include <assert.h>

#include "mem.h"

/* By the enum, so that a place without a name would show as an empty one, and never be found. */
static const char *const names[LAYOUT_PLACE_COUNT] = {
    [LAYOUT_PLACE_LITERAL] = "",  [LAYOUT_PLACE_KIND] = "kind",     [LAYOUT_PLACE_KEY] = "key",
    [LAYOUT_PLACE_ROOM] = "room", [LAYOUT_PLACE_TENANT] = "tenant", [LAYOUT_PLACE_USER] = "user"};

const char *layout_place_text(enum layout_place place)
{
    assert((unsigned)place < LAYOUT_PLACE_COUNT);
    return names[place];
}

/* The placeholder with this name; LAYOUT_PLACE_LITERAL: there is none. */
static enum layout_place placeholder_of(struct bytes name)
{
    for (unsigned place = LAYOUT_PLACE_KIND; place < LAYOUT_PLACE_COUNT; place++) {
        if (bytes_equal_string(name, names[place]))
            return (enum layout_place)place;
    }
    return LAYOUT_PLACE_LITERAL;
}

/* A lone '}' ends a literal too, and is then refused: it is a slip of the hand more often than a
 * wish. */
static size_t literal_size(struct bytes rest)
{
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '{' && rest.data[size] != '}')
        size++;
    return size;
}

/* Splits the part at the front of `rest`; its size, or 0 with an error. */
static size_t split_part(struct bytes rest, struct layout_part *part, struct error *error)
{
    size_t size = literal_size(rest);
    if (size) {
        *part = (struct layout_part){LAYOUT_PLACE_LITERAL, bytes_of(rest.data, size)};
        return size;
    }
    const uint8_t *end = rest.data[0] == '{' ? memchr(rest.data, '}', rest.size) : NULL;
    if (!end) {
        (void)error_set(error, STATUS_INVALID, "a brace without its partner");
        return 0;
    }
    struct bytes name = bytes_of(rest.data + 1, (size_t)(end - rest.data) - 1);
    enum layout_place place = placeholder_of(name);
    if (place == LAYOUT_PLACE_LITERAL) {
        (void)error_set(error, STATUS_INVALID,
                        "unknown placeholder {%.*s}; there are {tenant}, {user}, {kind}, {key} and "
                        "{room}",
                        BYTES_PRINT(name));
        return 0;
    }
    *part = (struct layout_part){.place = place};
    return name.size + 2;
}

enum status layout_template_init(struct layout_template *made, struct bytes text,
                                 struct error *error)
{
    if (text.size < 1 || text.size > LAYOUT_TEMPLATE_LIMIT)
        return error_set(error, STATUS_INVALID, "a template has 1 to %d bytes",
                         LAYOUT_TEMPLATE_LIMIT);
    struct layout_template split = {.text = mem_string(text)};
    struct bytes rest = bytes_of(split.text, text.size);
    while (rest.size) {
        if (split.count == LAYOUT_PARTS_LIMIT) {
            free(split.text);
            return error_set(error, STATUS_INVALID, "a template of more than %d parts",
                             LAYOUT_PARTS_LIMIT);
        }
        size_t size = split_part(rest, &split.parts[split.count], error);
        if (size == 0) {
            free(split.text);
            return STATUS_INVALID;
        }
        enum layout_place place = split.parts[split.count++].place;
        /* Which placeholders there are is asked for at every lane: a mask, and no search. */
        if (place != LAYOUT_PLACE_LITERAL)
            split.uses |= LAYOUT_USES(place);
        rest = bytes_skip(rest, size);
    }
    *made = split;
    return STATUS_OK;
}

void layout_template_deinit(struct layout_template *made)
{
    free(made->text);
    *made = (struct layout_template){0};
}

bool layout_template_expand(const struct layout_template *made, const struct layout_values *values,
                            uint8_t *out, size_t limit, size_t *size)
{
    size_t used = 0;
    for (size_t i = 0; i < made->count; i++) {
        const struct layout_part *part = &made->parts[i];
        struct bytes piece =
            part->place == LAYOUT_PLACE_LITERAL ? part->literal : values->of[part->place];
        /* Refused and not cut: a key that is cut would be another owner's. */
        if (piece.size > limit - used)
            return false;
        if (piece.size)
            memcpy(out + used, piece.data, piece.size);
        used += piece.size;
    }
    *size = used;
    return true;
}
