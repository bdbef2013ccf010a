/* Names of rooms with claims in them: `task:{tasks}`, `team:{teams}:*`. A template is expanded,
 * to the rooms of a token at connect, or matched against a room that a client asks for; both go
 * through the pieces once, from the left.
 *
 * Between two claims there is text, so that a room can be cut into values in few ways, and
 * values are compared whole. A value may hold any text: it cannot reach beyond its place, since
 * the room's kind stands in the template itself. */
#include "policy_template.h"

#include <assert.h>

#include "mem.h"
#include "narrow.h"
#include "room.h"

void policy_names_deinit(struct policy_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    names->count = 0;
}

enum status policy_names_add(struct policy_names *names, struct bytes name, unsigned *field,
                             struct error *error)
{
    for (size_t i = 0; i < names->count; i++) {
        if (bytes_equal_string(name, names->items[i])) {
            *field = narrow_32(i);
            return STATUS_OK;
        }
    }
    /* What makes a good room key makes a good name: text without control characters. */
    if (!room_key_valid(name) || memchr(name.data, '{', name.size) ||
        memchr(name.data, '}', name.size))
        return error_set(error, STATUS_INVALID,
                         "the name of a claim must be 1 to %d bytes of text without braces",
                         ROOM_KEY_LIMIT);
    if (names->count + names->reserved >= CLAIMS_NAMES_LIMIT)
        return error_set(error, STATUS_LIMIT, "more than %zu different claims are named",
                         CLAIMS_NAMES_LIMIT - names->reserved);
    *field = narrow_32(names->count);
    names->items[names->count++] = mem_string(name);
    return STATUS_OK;
}

/* --- Parsing --------------------------------------------------------------------------------- */

static enum status add_claim(struct policy_template *template, struct bytes name,
                             struct policy_names *names, struct error *error)
{
    if (template->count >= 2 * POLICY_TEMPLATE_CLAIMS_LIMIT)
        return error_set(error, STATUS_INVALID, "more than %d claims in one template",
                         POLICY_TEMPLATE_CLAIMS_LIMIT);
    struct policy_piece piece = {.is_claim = true};
    enum status status = policy_names_add(names, name, &piece.field, error);
    if (status != STATUS_OK)
        return status;
    /* Two claims side by side could be cut apart in several ways. */
    if (template->count > 0 && template->pieces[template->count - 1].is_claim)
        return error_set(error, STATUS_INVALID, "text is needed between two claims");
    template->pieces[template->count++] = piece;
    return STATUS_OK;
}

static void add_literal(struct policy_template *template, struct bytes text)
{
    assert(template->count < 2 * POLICY_TEMPLATE_CLAIMS_LIMIT + 1);
    if (text.size > 0)
        template->pieces[template->count++] = (struct policy_piece){.literal = text};
}

/* The kind decides about the lane, and must not come out of a token. */
static enum status check_kind(const struct policy_template *template, struct error *error)
{
    if (template->count > 0 && !template->pieces[0].is_claim) {
        struct bytes text = template->pieces[0].literal;
        const uint8_t *colon = memchr(text.data, ':', text.size);
        if (colon && room_kind_valid(bytes_of(text.data, (size_t)(colon - text.data))))
            return STATUS_OK;
    }
    return error_set(error, STATUS_INVALID,
                     "a template begins with a kind, as in \"task:{claim}\"");
}

static enum status check_template_room(struct bytes text, struct error *error)
{
    struct room_name room;
    return room_parse(text, &room, error);
}

static enum status parse_pieces(struct policy_template *template, struct bytes text,
                                struct policy_names *names, struct error *error)
{
    while (text.size > 0) {
        const uint8_t *open = memchr(text.data, '{', text.size);
        size_t literal = open ? (size_t)(open - text.data) : text.size;
        if (memchr(text.data, '}', literal))
            return error_set(error, STATUS_INVALID, "`}` without `{`");
        add_literal(template, bytes_of(text.data, literal));
        text = bytes_skip(text, literal);
        if (!open)
            return STATUS_OK;
        const uint8_t *close = memchr(text.data, '}', text.size);
        if (!close)
            return error_set(error, STATUS_INVALID, "`{` without `}`");
        size_t size = (size_t)(close - text.data);
        enum status status = add_claim(template, bytes_of(text.data + 1, size - 1), names, error);
        if (status != STATUS_OK)
            return status;
        text = bytes_skip(text, size + 1);
    }
    return STATUS_OK;
}

enum status policy_template_init(struct policy_template *template, struct bytes text,
                                 bool may_be_open, struct policy_names *names, struct error *error)
{
    if (text.size > ROOM_NAME_LIMIT || memchr(text.data, 0, text.size))
        return error_set(error, STATUS_INVALID, "not a room: more than %d bytes, or a NUL",
                         ROOM_NAME_LIMIT);
    struct policy_template made = {.text = mem_string(text)};
    struct bytes rest = bytes_of(made.text, text.size);
    made.open = rest.size > 0 && rest.data[rest.size - 1] == '*';
    if (made.open)
        rest.size--;
    enum status status = STATUS_OK;
    if (made.open && !may_be_open)
        status = error_set(error, STATUS_INVALID, "`*` has no meaning in rooms given at connect");
    else if (rest.size > 0 && memchr(rest.data, '*', rest.size))
        status = error_set(error, STATUS_INVALID, "`*` only at the end");
    if (status == STATUS_OK)
        status = parse_pieces(&made, rest, names, error);
    if (status == STATUS_OK)
        status = check_kind(&made, error);
    if (status == STATUS_OK && made.count == 1 && !made.open)
        status = check_template_room(rest, error);
    if (status == STATUS_OK)
        *template = made;
    else
        policy_template_deinit(&made);
    return status;
}

/* Pieces borrow from the text. */
void policy_template_deinit(struct policy_template *template)
{
    free(template->text);
    template->text = NULL;
    template->count = 0;
}

struct bytes policy_template_kind(const struct policy_template *template)
{
    assert(template->count > 0 && !template->pieces[0].is_claim);
    struct bytes text = template->pieces[0].literal;
    const uint8_t *colon = memchr(text.data, ':', text.size);
    assert(colon);
    return bytes_of(text.data, (size_t)(colon - text.data));
}

/* --- Use -------------------------------------------------------------------------------------- */

struct expansion {
    const struct policy_template *template;
    const struct claims *claims;
    unsigned *budget;
    policy_room_fn *each;
    void *context;
    uint8_t text[ROOM_NAME_LIMIT];
};

static void expand_from(struct expansion *expansion, unsigned index, size_t size);

/* One way of filling the piece; the others are tried over it. */
static void expand_with(struct expansion *expansion, unsigned index, size_t size,
                        struct bytes value)
{
    /* Longer than any room: it is none, as one whose name cannot be parsed is none. */
    if (size + value.size > sizeof(expansion->text))
        return;
    memcpy(expansion->text + size, value.data, value.size);
    expand_from(expansion, index + 1, size + value.size);
}

/* Recursion: as deep as a template has pieces. */
static void expand_from(struct expansion *expansion, unsigned index, size_t size)
{
    assert(index <= expansion->template->count && size <= sizeof(expansion->text));
    if (*expansion->budget == 0)
        return;
    if (index == expansion->template->count) {
        struct room_name room;
        if (room_parse(bytes_of(expansion->text, size), &room, NULL) != STATUS_OK)
            return;
        (*expansion->budget)--;
        expansion->each(expansion->context, room.name);
        return;
    }
    const struct policy_piece *piece = &expansion->template->pieces[index];
    if (!piece->is_claim) {
        expand_with(expansion, index, size, piece->literal);
        return;
    }
    size_t position = 0;
    struct bytes value;
    while (claims_next(expansion->claims, piece->field, &position, &value))
        expand_with(expansion, index, size, value);
}

void policy_template_expand(const struct policy_template *template, const struct claims *claims,
                            unsigned *budget, policy_room_fn *each, void *context)
{
    assert(!template->open);
    struct expansion expansion = {
        .template = template, .claims = claims, .budget = budget, .each = each, .context = context};
    expand_from(&expansion, 0, 0);
}

/* Tries each value of a claim that fits: as deep as a template has pieces, and no wider than a
 * claim has values. */
static bool match_from(const struct policy_template *template, const struct claims *claims,
                       unsigned index, struct bytes rest)
{
    if (index == template->count)
        /* `*` is some text, not none: `task:*` is no room by itself. */
        return template->open ? rest.size > 0 : rest.size == 0;
    const struct policy_piece *piece = &template->pieces[index];
    if (!piece->is_claim)
        return bytes_start_with(rest, piece->literal) &&
               match_from(template, claims, index + 1, bytes_skip(rest, piece->literal.size));
    size_t position = 0;
    struct bytes value;
    while (claims_next(claims, piece->field, &position, &value))
        if (bytes_start_with(rest, value) &&
            match_from(template, claims, index + 1, bytes_skip(rest, value.size)))
            return true;
    return false;
}

bool policy_template_match(const struct policy_template *template, const struct claims *claims,
                           struct bytes room)
{
    return match_from(template, claims, 0, room);
}
