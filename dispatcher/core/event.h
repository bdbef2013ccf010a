/* A task event in one form, however it was produced: the JSON text that rules see. Not yet judged:
 * that the text is valid JSON is for the matcher to say.
 *
 * Told apart in this order:
 *
 *   content-type application/cloudevents-batch+json  CloudEvents, many in a record: event_batch.h
 *                                                    has made records of them before
 *   content-type application/cloudevents[+json]      CloudEvents, structured mode
 *   a header ce_specversion or ce_type               CloudEvents, binary mode
 *   a JSON object with specversion, id, source
 *     and type, and without event                    CloudEvents, structured mode
 *   content-type application/protobuf, .../x-protobuf
 *     or application/vnd.google.protobuf             TaskEvent
 *   content-type application/json, text/json, +json  JSON as it is, not copied
 *   no content-type                                  JSON; or a TaskEvent, if it is framed and
 *                                                    does not begin with {
 *
 * (The third: SDKs that give the data's content type in structured mode.) In binary mode
 * content-type is that of the data. A content type that the record's topic has by configuration
 * counts as if the record had it as a header, and no other.
 *
 * Confluent's framing (0 and a schema id of four bytes, or 1 and one of sixteen, before the value;
 * or in a header of its own) and a byte order mark are passed over, whatever the content type.
 *
 * CloudEvents attributes become members so: type -> event; subject -> taskId unless there is an
 * extension taskid; extensions taskid, tenantid, projectid, userid -> taskId, tenantId, projectId,
 * userId; tasktype -> type; any other attribute under its own name (but not `event`, which is the
 * type's). The data becomes `data`: byte for byte if it is JSON, a JSON string if it is text, else
 * {"base64": "..."}. */
#ifndef DISPATCHER_CORE_EVENT_H
#define DISPATCHER_CORE_EVENT_H

#include "buffer.h"
#include "status.h"

/* A record as it was consumed: what of Kafka the pure core sees. Everything is borrowed. */
struct record_header {
    struct bytes name;
    struct bytes value;
};

struct record {
    struct bytes topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; below 0: the record has none */
    struct bytes key;
    bool has_key;
    struct bytes value;
    bool has_value;
    const struct record_header *headers;
    size_t header_count;
    struct bytes content_type; /* its topic's, over that of its headers; empty: there is none */
    /* event_batch.h: */
    unsigned part;             /* which event of the record's batch it is, from 1; 0: all of it */
    const struct error *fault; /* why it is no batch although it says so; NULL: it is sound */
};

/* The value of the last header of this name, compared without regard to ASCII case; false: there is
 * none. */
bool record_find_header(const struct record *record, const char *name, struct bytes *value);

enum event_format {
    EVENT_JSON,
    EVENT_CLOUD_STRUCTURED,
    EVENT_CLOUD_BINARY,
    EVENT_PROTOBUF,
    EVENT_CLOUD_BATCH, /* one of a batch: structured, for whoever reads it */
};

enum { EVENT_FORMAT_COUNT = 5 };

/* "json", "cloudevents", "cloudevents-binary", "protobuf", "cloudevents-batch": for metrics and the audit. Static. */
const char *event_format_name(enum event_format format);

/* Whether records of this content type are read, a batch of CloudEvents included. */
bool event_reads_type(struct bytes content_type);

/* A record that says that its key is no more: it has no value, and no event in its headers. */
bool event_is_tombstone(const struct record *record);

/* The JSON text of the record's event: the record's own bytes, or made in `scratch`, which is
 * cleared first. On failure `error` says why, for the dead letter: STATUS_MALFORMED, or
 * STATUS_UNSUPPORTED (another content type, character set or version, no value). A batch has gone
 * through event_batch.h. */
enum status event_canonical(const struct record *record, struct buffer *scratch, struct bytes *json,
                            enum event_format *format, struct error *error) MUST_CHECK;

#endif
