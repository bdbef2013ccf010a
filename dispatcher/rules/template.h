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

#include <limits.h>

#include "buffer.h"
#include "field_set.h"

struct template;

/* Parses `text` (copied), adding its paths to `fields`, which must be used to extract the values.
 * STATUS_MALFORMED with the reason and, as error->column, the 1-based byte in `text`. */
enum status template_parse(struct bytes text, struct field_set *fields, struct template **template,
                           struct error *error) MUST_CHECK;
void template_free(struct template *template);

/* Of a name that may be made of a list: no value is an array. */
#define TEMPLATE_NO_LIST UINT_MAX

enum template_result {
    TEMPLATE_DONE,
    TEMPLATE_FIELD_MISSING, /* a field without a default; its place stays empty */
    TEMPLATE_UNFIT,         /* a field's text is no name (field_value_text()) */
};

/* Appends the text. */
enum template_result template_render(const struct template *template,
                                     const struct field_value *values, struct buffer *out);

/* The same with `element` for the value of slot `list`. */
enum template_result template_render_element(const struct template *template,
                                             const struct field_value *values, unsigned list,
                                             const struct field_value *element, struct buffer *out);

/* The slot of the first field whose value is an array; TEMPLATE_NO_LIST: none is. */
unsigned template_list(const struct template *template, const struct field_value *values);

/* The path of the first field without a default that is missing, the one of slot `list` (or
 * TEMPLATE_NO_LIST) aside; empty: none is. */
struct bytes template_missing(const struct template *template, const struct field_value *values,
                              unsigned list);

/* The text it was parsed from. */
struct bytes template_source(const struct template *template);

/* Appends the text with `stand_in` for every field: what it looks like, without an event. */
void template_fill(const struct template *template, struct bytes stand_in, struct buffer *out);

/* Whether the field of this slot stands in the text. */
bool template_names(const struct template *template, unsigned slot);

/* Whether the text is one field and nothing else, and its slot. */
bool template_is_field(const struct template *template, unsigned *slot);

/* The text holds no fields: it is the same for every event. */
bool template_is_literal(const struct template *template);

#endif
