/* Text with fields of the event in it: `task:{taskId}`, `{data.title|a task} is done`. Not an
 * expression language.
 *
 *   {path}          the value of the field (field_set.h)
 *   {path|default}  the default, which may be empty, if the event has no such field or it is null,
 * an array or an object
 *   {{ and }}       one brace
 *
 * What a field that is missing without a default means is the caller's: a room is left out, a text
 * has nothing there. */
#ifndef DISPATCHER_RULES_TEMPLATE_H
#define DISPATCHER_RULES_TEMPLATE_H

#include "buffer.h"
#include "field_set.h"

struct template;

/* Parses `text` (copied), adding its paths to `fields`, which must be used to extract the values.
 * STATUS_MALFORMED with the reason and, as error->column, the 1-based byte in `text`. */
enum status template_parse(struct bytes text, struct field_set *fields, struct template **template,
                           struct error *error) MUST_CHECK;
void template_free(struct template *template);

enum template_result {
    TEMPLATE_DONE,
    TEMPLATE_FIELD_MISSING, /* a field without a default; its place stays empty */
    TEMPLATE_UNFIT,         /* a field's text is no name (field_value_text()) */
};

/* Appends the text. */
enum template_result template_render(const struct template *template,
                                     const struct field_value *values, struct buffer *out);

/* The path of the first field without a default that is missing; empty: none is. */
struct bytes template_missing(const struct template *template, const struct field_value *values);

/* The text it was parsed from. */
struct bytes template_source(const struct template *template);

/* Appends the text with `stand_in` for every field: what it looks like, without an event. */
void template_fill(const struct template *template, struct bytes stand_in, struct buffer *out);

/* Whether the field of this slot stands in the text. */
bool template_names(const struct template *template, unsigned slot);

/* The text holds no fields: it is the same for every event. */
bool template_is_literal(const struct template *template);

#endif
