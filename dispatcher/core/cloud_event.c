/* CloudEvents 1.0, in structured mode (JSON event format) and binary mode (Kafka protocol
 * binding, 3.2). */
#include <openssl/evp.h>
#include <strings.h>

#include "event_parts.h"
#include "json.h"
#include "unicode.h"

/* Which member an attribute becomes. `subject` is not here: it gives way to `taskid`. */
static struct bytes member_of(struct bytes attribute)
{
    static const struct {
        const char *attribute;
        const char *member;
    } names[] = {
        {"type", "event"},          {"taskid", "taskId"}, {"tenantid", "tenantId"},
        {"projectid", "projectId"}, {"userid", "userId"}, {"tasktype", "type"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal_string(attribute, names[i].attribute))
            return bytes_of_string(names[i].member);
    return attribute;
}

/* What every CloudEvent must have (section 3.1 of the specification), and whether subject names the
 * task. */
struct attributes {
    bool specversion;
    bool id;
    bool source;
    bool type;
    bool taskid;
};

static void note(struct attributes *attributes, struct bytes name)
{
    attributes->specversion |= bytes_equal_string(name, "specversion");
    attributes->id |= bytes_equal_string(name, "id");
    attributes->source |= bytes_equal_string(name, "source");
    attributes->type |= bytes_equal_string(name, "type");
    attributes->taskid |= bytes_equal_string(name, "taskid");
}

static enum status check(const struct attributes *attributes, struct error *error)
{
    const char *missing = !attributes->specversion ? "specversion"
                          : !attributes->id        ? "id"
                          : !attributes->source    ? "source"
                          : !attributes->type      ? "type"
                                                   : NULL;
    if (missing == NULL)
        return STATUS_OK;
    return error_set(error, STATUS_MALFORMED, "CloudEvent without %s", missing);
}

static struct bytes name_of(const struct attributes *attributes, struct bytes attribute)
{
    if (bytes_equal_string(attribute, "subject") && !attributes->taskid)
        return BYTES_LITERAL("taskId");
    return member_of(attribute);
}

/* One pass over the members of a structured event. With `out` NULL it only notes their names. */
static enum status walk(struct bytes text, struct attributes *attributes, struct buffer *out,
                        struct error *error)
{
    struct json_scanner scanner;
    json_init(&scanner, text, 100);
    if (json_next(&scanner) == JSON_OBJECT) {
        enum json_token token;
        while ((token = json_next(&scanner)) == JSON_KEY) {
            struct bytes key = scanner.raw;
            struct bytes value;
            bool plain = !scanner.escaped; /* attribute names are a-z and 0-9 */
            enum json_token kind = json_value(&scanner, &value);
            if (kind == JSON_ERROR)
                break;
            if (!plain || kind == JSON_NULL)
                continue; /* null: as if it were not there (JSON event format, 2.2) */
            if (out == NULL) {
                note(attributes, key);
                continue;
            }
            json_member(out, name_of(attributes, key));
            buffer_append(out, value);
        }
        if (token == JSON_OBJECT_END && json_next(&scanner) == JSON_END)
            return STATUS_OK;
    }
    return error_set(error, STATUS_MALFORMED, "not a JSON object: %s at byte %zu",
                     scanner.problem == NULL ? "another value" : scanner.problem,
                     scanner.problem_offset);
}

enum status cloud_event_from_json(struct bytes text, struct buffer *out, struct error *error)
{
    struct attributes attributes = {0};
    enum status status = walk(text, &attributes, NULL, error);
    if (status == STATUS_OK)
        status = check(&attributes, error);
    if (status != STATUS_OK)
        return status;
    buffer_append_byte(out, '{');
    status = walk(text, &attributes, out, error);
    buffer_append_byte(out, '}');
    return status;
}

static bool attribute_name(const struct record_header *header, struct bytes *name)
{
    if (header->name.size <= 3 || strncasecmp((const char *)header->name.data, "ce_", 3) != 0)
        return false;
    *name = bytes_skip(header->name, 3);
    return true;
}

static bool is_utf8(struct bytes text)
{
    uint32_t code;
    while (text.size > 0) {
        size_t size = unicode_decode(text, &code);
        if (size == 0)
            return false;
        text = bytes_skip(text, size);
    }
    return true;
}

static void append_base64(struct buffer *out, struct bytes data)
{
    uint8_t *place = buffer_reserve(out, (data.size + 2) / 3 * 4 + 1); /* and a NUL */
    buffer_commit(out, (size_t)EVP_EncodeBlock(place, data.data, (int)data.size));
}

static enum status append_data(const struct record *record, struct bytes content_type,
                               struct buffer *out, struct error *error)
{
    if (!record->has_value || record->value.size == 0)
        return STATUS_OK;
    if (content_type.size == 0 || content_type_is_json(content_type)) {
        size_t offset = 0;
        if (json_validate(record->value, 100, &offset) != STATUS_OK)
            return error_set(error, STATUS_MALFORMED, "the data is not JSON: byte %zu", offset);
        json_member(out, BYTES_LITERAL("data"));
        buffer_append(out, record->value);
        return STATUS_OK;
    }
    if (content_type.size > 5 && strncasecmp((const char *)content_type.data, "text/", 5) == 0 &&
        is_utf8(record->value)) {
        json_member(out, BYTES_LITERAL("data"));
        json_write_string(out, record->value);
        return STATUS_OK;
    }
    json_member(out, BYTES_LITERAL("data_base64"));
    buffer_append_byte(out, '"');
    append_base64(out, record->value);
    buffer_append_byte(out, '"');
    return STATUS_OK;
}

enum status cloud_event_from_headers(const struct record *record, struct bytes content_type,
                                     struct buffer *out, struct error *error)
{
    struct attributes attributes = {0};
    struct bytes name;
    for (size_t i = 0; i < record->header_count; i++)
        if (attribute_name(&record->headers[i], &name))
            note(&attributes, name);
    enum status status = check(&attributes, error);
    if (status != STATUS_OK)
        return status;

    buffer_append_byte(out, '{');
    for (size_t i = 0; i < record->header_count; i++) {
        if (!attribute_name(&record->headers[i], &name))
            continue;
        if (!is_utf8(name) || !is_utf8(record->headers[i].value))
            return error_set(error, STATUS_MALFORMED, "a CloudEvents header is not UTF-8");
        json_member(out, name_of(&attributes, name));
        json_write_string(out, record->headers[i].value);
    }
    status = append_data(record, content_type, out, error);
    buffer_append_byte(out, '}');
    return status;
}
