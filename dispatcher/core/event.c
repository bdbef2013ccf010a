/* Which of the four formats a record is in, and its event as one JSON text.
 *
 * The record is believed in this order: what its headers say, then what its value looks like. A
 * wrong guess must end as a dead letter and not as another event, so only what no other format can
 * begin with is guessed: JSON begins with a brace, a framed message with a zero. What a header says
 * is not doubted: an event with a content type that is not read here is refused, since its producer
 * meant something by it.
 *
 * The JSON text is not judged here; the matcher reads all of it anyway (event.h). */
#include "event.h"

#include <assert.h>
#include <strings.h>

#include "event_private.h"
#include "json.h"
#include "unicode.h"

const char *event_format_name(enum event_format format)
{
    static const char *const names[EVENT_FORMAT_COUNT] = {
        [EVENT_JSON] = "json",
        [EVENT_CLOUD_STRUCTURED] = "cloudevents",
        [EVENT_CLOUD_BINARY] = "cloudevents-binary",
        [EVENT_PROTOBUF] = "protobuf",
        [EVENT_CLOUD_BATCH] = "cloudevents-batch",
    };
    assert((unsigned)format < EVENT_FORMAT_COUNT);
    return names[format];
}

bool event_type_is_utf8(struct bytes content_type)
{
    static const char name[] = "charset=";
    for (size_t at = event_media_type(content_type).size; at + sizeof(name) - 1 < content_type.size;
         at++) {
        if (strncasecmp((const char *)content_type.data + at, name, sizeof(name) - 1) != 0)
            continue;
        struct bytes value = bytes_skip(content_type, at + sizeof(name) - 1);
        if (value.size > 0 && value.data[0] == '"')
            value = bytes_skip(value, 1);
        return (value.size >= 5 && strncasecmp((const char *)value.data, "utf-8", 5) == 0) ||
               (value.size >= 4 && strncasecmp((const char *)value.data, "utf8", 4) == 0) ||
               (value.size >= 8 && strncasecmp((const char *)value.data, "us-ascii", 8) == 0);
    }
    return true;
}

/* There is no registered type; these are the ones that producers use. */
static bool is_protobuf(struct bytes type)
{
    return event_type_is(type, "application/protobuf") ||
           event_type_is(type, "application/x-protobuf") ||
           event_type_is(type, "application/vnd.google.protobuf");
}

bool event_reads_type(struct bytes content_type)
{
    const struct bytes type = event_media_type(content_type);
    return event_type_is_utf8(content_type) &&
           (event_type_is_json(type) || event_type_is(type, "application/cloudevents") ||
            event_type_is_batch(type) || is_protobuf(type));
}

/* The text is for whoever looks at the dead letter, mostly the producer: it names what would be
 * read. The type is cut, since it is the producer's to choose. */
static enum status refuse_type(struct bytes type, struct error *error)
{
    static const char cloud[] = "application/cloudevents";
    int size = (int)unicode_cut(type, 100);
    if (event_type_is(type, "application/cloudevents-batch+json"))
        return error_set(error, STATUS_UNSUPPORTED, "a batch of CloudEvents where one is read");
    if (type.size > sizeof(cloud) - 1 &&
        strncasecmp((const char *)type.data, cloud, sizeof(cloud) - 1) == 0)
        return error_set(error, STATUS_UNSUPPORTED,
                         "a CloudEvent as %.*s: only JSON is read (application/cloudevents+json), "
                         "or binary mode",
                         size, (const char *)type.data);
    return error_set(error, STATUS_UNSUPPORTED, "content type %.*s is not an event", size,
                     (const char *)type.data);
}

/* Either header is enough: an event that lacks the other one is a malformed CloudEvent, and is
 * to be told so, rather than be read as plain JSON. */
static bool is_binary_cloud_event(const struct record *record)
{
    struct bytes value;
    return record_find_header(record, "ce_specversion", &value) ||
           record_find_header(record, "ce_type", &value);
}

/* A CloudEvent in binary mode may well have no data. */
bool event_is_tombstone(const struct record *record)
{
    return !record->has_value && !is_binary_cloud_event(record);
}

/* Without a content type: what is framed, or has its schema in a header, may be protobuf. */
static enum event_format guess_format(const struct record *record)
{
    struct bytes value = record->value;
    struct bytes schema;
    enum schema_framing framing = event_skip_framing(&value);
    if (framing == FRAMING_NONE && !record_find_header(record, "__value_schema_id", &schema))
        return EVENT_JSON;
    return value.size > 0 && value.data[0] == '{' ? EVENT_JSON : EVENT_PROTOBUF;
}

/* Asked before the content type decides: some SDKs give the type of the data in structured mode. */
static bool holds_cloud_event(const struct record *record)
{
    struct bytes value = record->value;
    event_skip_framing(&value);
    return cloud_event_is_inside(value);
}

/* The order is that of the table in event.h; the type is given to whoever reads the data. */
static enum status format_of(const struct record *record, struct bytes *type,
                             enum event_format *format, struct error *error)
{
    struct bytes value;
    bool has_type = event_content_type(record, &value);
    *type = has_type ? event_media_type(value) : bytes_of(NULL, 0);
    if (has_type && !event_type_is_utf8(value))
        return error_set(error, STATUS_UNSUPPORTED, "content type %.*s: only UTF-8 is read",
                         (int)unicode_cut(value, 100), (const char *)value.data);
    bool structured = event_type_is(*type, "application/cloudevents+json") ||
                      event_type_is(*type, "application/cloudevents");
    bool binary = !structured && is_binary_cloud_event(record);
    if (structured || (!binary && holds_cloud_event(record)))
        *format = EVENT_CLOUD_STRUCTURED;
    else if (binary)
        *format = EVENT_CLOUD_BINARY;
    else if (is_protobuf(*type))
        *format = EVENT_PROTOBUF;
    else if (!has_type)
        *format = guess_format(record);
    else if (event_type_is_json(*type) &&
             !event_type_is(*type, "application/cloudevents-batch+json"))
        *format = EVENT_JSON;
    else
        return refuse_type(*type, error);
    return STATUS_OK;
}

enum status event_canonical(const struct record *record, struct buffer *scratch, struct bytes *json,
                            enum event_format *format, struct error *error)
{
    struct bytes content_type;
    enum event_format found = EVENT_JSON;
    enum status status = format_of(record, &content_type, &found, error);
    if (status != STATUS_OK)
        return status;
    if (found != EVENT_CLOUD_BINARY && !record->has_value)
        return error_set(error, STATUS_UNSUPPORTED, "the record has no value");

    struct bytes value = record->value;
    /* In binary mode the value is the data, whose framing is passed over where the data is read. */
    enum schema_framing framing =
        found == EVENT_CLOUD_BINARY ? FRAMING_NONE : event_skip_framing(&value);
    buffer_clear(scratch);
    switch (found) {
    case EVENT_JSON:
        break;
    case EVENT_CLOUD_BATCH: /* nothing here finds it */
    case EVENT_CLOUD_STRUCTURED:
        status = cloud_event_from_json(value, scratch, error);
        break;
    case EVENT_CLOUD_BINARY:
        status = cloud_event_from_headers(record, content_type, scratch, error);
        break;
    case EVENT_PROTOBUF:
        status = task_event_from_protobuf(value, framing, scratch, error);
        break;
    }
    if (status != STATUS_OK)
        return status;
    assert(found == EVENT_JSON || buffer_size(scratch) > 0);
    assert((unsigned)found < EVENT_FORMAT_COUNT);
    *json = found == EVENT_JSON ? value : buffer_peek(scratch);
    *format = found;
    return STATUS_OK;
}
