/* What event.c is made of, a file per format. Not for others. Each appends a JSON text to `out`. */
#ifndef DISPATCHER_CORE_EVENT_PARTS_H
#define DISPATCHER_CORE_EVENT_PARTS_H

#include "buffer.h"
#include "record.h"
#include "status.h"

enum status cloud_event_from_json(struct bytes text, struct buffer *out,
                                  struct error *error) MUST_CHECK;

/* `content_type` is that of the data, without parameters; empty: there is none. */
enum status cloud_event_from_headers(const struct record *record, struct bytes content_type,
                                     struct buffer *out, struct error *error) MUST_CHECK;

enum status task_event_from_protobuf(struct bytes value, struct buffer *out,
                                     struct error *error) MUST_CHECK;

/* application/json, text/json, and any type with the suffix +json. */
bool content_type_is_json(struct bytes content_type);

/* Appends `,"name":` (without the comma after an opening brace); the name is escaped. */
void json_member(struct buffer *out, struct bytes name);

#endif
