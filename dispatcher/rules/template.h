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

/* Appends the text. False: a field without a default is missing; its place stays empty. */
bool template_render(const struct template *template, const struct field_value *values,
                     struct buffer *out);

/* Appends the text with `stand_in` for every field: what it looks like, without an event. */
void template_fill(const struct template *template, struct bytes stand_in, struct buffer *out);

/* The text holds no fields: it is the same for every event. */
bool template_is_literal(const struct template *template);

#endif
