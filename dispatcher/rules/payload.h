/* The data of a custom event as a rule writes it: JSON in which each text is a template. Not a
 * language: nothing is computed.
 *
 *     data: {id: "{data.orderId}", lines: "{data.lines}", note: "order {data.number}", urgent: false}
 *
 * A text that is one field and nothing else gives the field's value as it stands in the event: a
 * number with all its digits, an object, a list. Where the event has no such field, its default, as
 * a text; without one a member is left out, an element of a list is null, and so is the whole, as
 * JavaScript's JSON.stringify() has it. Any other text gives a text. */
#ifndef DISPATCHER_RULES_PAYLOAD_H
#define DISPATCHER_RULES_PAYLOAD_H

#include "buffer.h"
#include "document.h"
#include "field_set.h"

struct payload;
struct rule_reader;

enum { PAYLOAD_NODES_LIMIT = 256, PAYLOAD_DEPTH_LIMIT = 8 };

/* NULL: something is wrong, and was added to the reader's problems. */
struct payload *payload_read(struct rule_reader *reader, const struct document_node *node);
void payload_free(struct payload *payload);

/* Appends the JSON text. False: it would be longer than `limit` bytes, and part of it is there. */
bool payload_render(const struct payload *payload, const struct field_value *values, size_t limit,
                    struct buffer *out) MUST_CHECK;

#endif
