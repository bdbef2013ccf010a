/* A task event in one form, however it was produced: the JSON text that rules see. Not yet judged:
 * that the text is valid JSON is for the matcher to say.
 *
 * Told apart by headers:
 *   content-type application/cloudevents+json           CloudEvents, structured mode
 *   a header ce_specversion or ce_type                  CloudEvents, binary mode; content-type is
 * that of the data content-type application/protobuf, .../x-protobuf   TaskEvent, also with
 * Confluent's prefix content-type application/json, text/json, .../...+json, or none       JSON as
 * it is, not copied
 *
 * CloudEvents attributes become members so: type -> event; subject -> taskId unless there is an
 * extension taskid; extensions taskid, tenantid, projectid, userid -> taskId, tenantId, projectId,
 * userId; tasktype -> type; any other attribute under its own name. The data becomes `data`, byte
 * for byte if it is JSON; text/... becomes a JSON string; anything else becomes `data_base64`. */
#ifndef DISPATCHER_CORE_EVENT_H
#define DISPATCHER_CORE_EVENT_H

#include "buffer.h"
#include "record.h"
#include "status.h"

enum event_format {
    EVENT_JSON,
    EVENT_CLOUD_STRUCTURED,
    EVENT_CLOUD_BINARY,
    EVENT_PROTOBUF,
};

enum { EVENT_FORMAT_COUNT = 4 };

/* "json", "cloudevents", "cloudevents-binary", "protobuf": for metrics and the audit. Static. */
const char *event_format_name(enum event_format format);

/* The JSON text of the record's event: the record's own bytes, or made in `scratch`, which is
 * cleared first. On failure `error` says why, for the dead letter: STATUS_MALFORMED, or
 * STATUS_UNSUPPORTED (another content type, no value). */
enum status event_canonical(const struct record *record, struct buffer *scratch, struct bytes *json,
                            enum event_format *format, struct error *error) MUST_CHECK;

#endif
