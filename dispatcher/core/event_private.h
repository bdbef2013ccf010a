/* What event.c is made of: a file per format (cloud_event.c, task_event.c), each of which appends a
 * JSON text to `out`, and what they share (event_content.c). Not for others. */
#ifndef DISPATCHER_CORE_EVENT_PRIVATE_H
#define DISPATCHER_CORE_EVENT_PRIVATE_H

#include "buffer.h"
#include "event.h"
#include "status.h"

/* What stands before the event in a record's value. */
enum schema_framing {
    FRAMING_NONE,
    FRAMING_PREFIX, /* Confluent's: before protobuf, the message's place in its schema follows */
};

/* Passes over Confluent's prefix (its schema id, that is) and a byte order mark. */
enum schema_framing event_skip_framing(struct bytes *value);

/* Whether a JSON text is a CloudEvent in structured mode though no header says so. */
bool cloud_event_is_inside(struct bytes text);

enum status cloud_event_from_json(struct bytes text, struct buffer *out,
                                  struct error *error) MUST_CHECK;

/* `content_type` is that of the data, without parameters; empty: there is none. */
enum status cloud_event_from_headers(const struct record *record, struct bytes content_type,
                                     struct buffer *out, struct error *error) MUST_CHECK;

enum status task_event_from_protobuf(struct bytes value, enum schema_framing framing,
                                     struct buffer *out, struct error *error) MUST_CHECK;

/* The record's content type, parameters included; false: it has none. */
bool event_content_type(const struct record *record, struct bytes *content_type);

/* A batch of CloudEvents. Not told from other CloudEvents by event_type_is_json(). */
bool event_type_is_batch(struct bytes type);

/* "application/json; charset=utf-8" is application/json. */
struct bytes event_media_type(struct bytes content_type);

/* Only UTF-8, and ASCII within it, is read: whether the type names no other character set. */
bool event_type_is_utf8(struct bytes content_type);

/* Media types are compared without regard to case. */
bool event_type_is(struct bytes type, const char *name);

/* application/json, text/json, and any type with the suffix +json. */
bool event_type_is_json(struct bytes content_type);

/* Appends `,"name":` (without the comma after an opening brace); the name is escaped. */
void event_append_key(struct buffer *out, struct bytes name);

#endif
