#include "event.h"

#include <assert.h>
#include <strings.h>

#include "event_parts.h"
#include "json.h"

const char *event_format_name(enum event_format format)
{
    static const char *const names[EVENT_FORMAT_COUNT] = {
        [EVENT_JSON] = "json",
        [EVENT_CLOUD_STRUCTURED] = "cloudevents",
        [EVENT_CLOUD_BINARY] = "cloudevents-binary",
        [EVENT_PROTOBUF] = "protobuf",
    };
    assert((unsigned)format < EVENT_FORMAT_COUNT);
    return names[format];
}

/* The media type alone: "application/json; charset=utf-8" is application/json. */
static struct bytes media_type(struct bytes content_type)
{
    size_t size = 0;
    while (size < content_type.size && content_type.data[size] != ';' &&
           content_type.data[size] != ' ')
        size++;
    return bytes_of(content_type.data, size);
}

static bool type_is(struct bytes type, const char *name)
{
    return type.size == strlen(name) && strncasecmp((const char *)type.data, name, type.size) == 0;
}

bool content_type_is_json(struct bytes content_type)
{
    static const char suffix[] = "+json";
    size_t suffix_size = sizeof(suffix) - 1;
    if (type_is(content_type, "application/json") || type_is(content_type, "text/json"))
        return true;
    return content_type.size > suffix_size &&
           strncasecmp((const char *)content_type.data + content_type.size - suffix_size, suffix,
                       suffix_size) == 0;
}

void json_member(struct buffer *out, struct bytes name)
{
    if (out->data[out->end - 1] != '{')
        buffer_append_byte(out, ',');
    json_write_string(out, name);
    buffer_append_byte(out, ':');
}

static enum status format_of(const struct record *record, struct bytes *content_type,
                             enum event_format *format, struct error *error)
{
    struct bytes value;
    bool has_type = record_find_header(record, "content-type", &value) && value.size > 0;
    *content_type = has_type ? media_type(value) : bytes_of(NULL, 0);
    if (has_type && type_is(*content_type, "application/cloudevents+json")) {
        *format = EVENT_CLOUD_STRUCTURED;
    } else if (record_find_header(record, "ce_specversion", &value) ||
               record_find_header(record, "ce_type", &value)) {
        *format = EVENT_CLOUD_BINARY;
    } else if (has_type && (type_is(*content_type, "application/protobuf") ||
                            type_is(*content_type, "application/x-protobuf"))) {
        *format = EVENT_PROTOBUF;
    } else if (!has_type || (content_type_is_json(*content_type) &&
                             !type_is(*content_type, "application/cloudevents-batch+json"))) {
        *format = EVENT_JSON;
    } else {
        return error_set(error, STATUS_UNSUPPORTED, "content type %.*s is not an event",
                         (int)(content_type->size < 100 ? content_type->size : 100),
                         (const char *)content_type->data);
    }
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

    buffer_clear(scratch);
    switch (found) {
    case EVENT_JSON:
        break;
    case EVENT_CLOUD_STRUCTURED:
        status = cloud_event_from_json(record->value, scratch, error);
        break;
    case EVENT_CLOUD_BINARY:
        status = cloud_event_from_headers(record, content_type, scratch, error);
        break;
    case EVENT_PROTOBUF:
        status = task_event_from_protobuf(record->value, scratch, error);
        break;
    }
    if (status != STATUS_OK)
        return status;
    *json = found == EVENT_JSON ? record->value : buffer_peek(scratch);
    *format = found;
    return STATUS_OK;
}
