/* What event.c and the files of each format share: where a record's value begins, and what its
 * content type says. Kept apart so that those files need not know one another. */
#include <assert.h>
#include <strings.h>

#include "event_private.h"
#include "json.h"

/* From the end: Kafka lets a name stand twice, and the last to write a header knew of those
 * before (KIP-82). */
bool record_find_header(const struct record *record, const char *name, struct bytes *value)
{
    assert(name[0] != 0);
    size_t size = strlen(name);
    for (size_t i = record->header_count; i > 0; i--) {
        const struct record_header *header = &record->headers[i - 1];
        if (header->name.size == size &&
            strncasecmp((const char *)header->name.data, name, size) == 0) {
            *value = header->value;
            return true;
        }
    }
    return false;
}

bool event_content_type(const struct record *record, struct bytes *content_type)
{
    *content_type = record->content_type;
    return content_type->size > 0 ||
           (record_find_header(record, "content-type", content_type) && content_type->size > 0);
}

bool event_type_is_batch(struct bytes type)
{
    return event_type_is(type, "application/cloudevents-batch+json") ||
           event_type_is(type, "application/cloudevents-batch");
}

/* Parameters never decide what the format is; the character set is looked at by itself
 * (event.c). */
struct bytes event_media_type(struct bytes content_type)
{
    size_t size = 0;
    while (size < content_type.size && content_type.data[size] != ';' &&
           content_type.data[size] != ' ')
        size++;
    return bytes_of(content_type.data, size);
}

bool event_type_is(struct bytes type, const char *name)
{
    return type.size == strlen(name) && strncasecmp((const char *)type.data, name, type.size) == 0;
}

bool event_type_is_json(struct bytes content_type)
{
    static const char suffix[] = "+json";
    size_t suffix_size = sizeof(suffix) - 1;
    if (event_type_is(content_type, "application/json") || event_type_is(content_type, "text/json"))
        return true;
    return content_type.size > suffix_size &&
           strncasecmp((const char *)content_type.data + content_type.size - suffix_size, suffix,
                       suffix_size) == 0;
}

/* Confluent's wire format: 0 and four bytes of schema id, or 1 and sixteen. Neither JSON nor a
 * protobuf message begins with 0 or 1, so no event without a frame is ever cut. The id itself is
 * of no use: the schema is known, and asking a registry would be a call to the outside for each
 * new id. */
enum schema_framing event_skip_framing(struct bytes *value)
{
    static const struct bytes mark = BYTES_LITERAL("\xEF\xBB\xBF");
    enum schema_framing framing = FRAMING_NONE;
    size_t prefix = value->size == 0 ? 0 : value->data[0] == 0 ? 5 : value->data[0] == 1 ? 17 : 0;
    if (prefix > 0 && value->size > prefix) {
        *value = bytes_skip(*value, prefix);
        framing = FRAMING_PREFIX;
    }
    if (bytes_start_with(*value, mark))
        *value = bytes_skip(*value, mark.size);
    return framing;
}

void event_append_key(struct buffer *out, struct bytes name)
{
    assert(buffer_size(out) > 0); /* the object's brace, at least */
    if (out->data[out->end - 1] != '{')
        buffer_append_byte(out, ',');
    json_write_string(out, name);
    buffer_append_byte(out, ':');
}
