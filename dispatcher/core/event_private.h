/* What event.c is made of, a file per format. Not for others. Each appends a JSON text to `out`. */
#ifndef DISPATCHER_CORE_EVENT_PARTS_H
#define DISPATCHER_CORE_EVENT_PARTS_H

#include "buffer.h"
#include "record.h"
#include "status.h"

/* What stands before the event in a record's value. */
enum schema_framing {
    FRAMING_NONE,
    FRAMING_PREFIX, /* Confluent's: before protobuf, the message's place in its schema follows */
};

/* Passes over Confluent's prefix (its schema id, that is) and a byte order mark. */
enum schema_framing skip_framing(struct bytes *value);

/* Whether a JSON text is a CloudEvent in structured mode though no header says so. */
bool cloud_event_is_inside(struct bytes text);

enum status cloud_event_from_json(struct bytes text, struct buffer *out,
                                  struct error *error) MUST_CHECK;

/* `content_type` is that of the data, without parameters; empty: there is none. */
enum status cloud_event_from_headers(const struct record *record, struct bytes content_type,
                                     struct buffer *out, struct error *error) MUST_CHECK;

/* Appends the member `data` for data that is not a JSON value in a JSON text already. */
enum status append_data(struct bytes data, struct bytes content_type, struct buffer *out,
                        struct error *error) MUST_CHECK;

enum status task_event_from_protobuf(struct bytes value, enum schema_framing framing,
                                     struct buffer *out, struct error *error) MUST_CHECK;

/* "application/json; charset=utf-8" is application/json. */
struct bytes media_type(struct bytes content_type);

/* application/json, text/json, and any type with the suffix +json. */
bool content_type_is_json(struct bytes content_type);

/* Appends `,"name":` (without the comma after an opening brace); the name is escaped. */
void json_member(struct buffer *out, struct bytes name);

#endif
