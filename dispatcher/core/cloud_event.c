/* CloudEvents 1.0 as the JSON text that rules see, in structured mode (JSON event format) and
 * binary mode (Kafka protocol binding, 3.2). event.h has the table of what becomes of each
 * attribute.
 *
 * Both modes go over the attributes twice: the first pass notes which there are, since whether
 * `subject` is the task depends on `taskid`, which may come later; the second writes. An event that
 * lacks a required attribute is refused between the two, so the second pass writes only what is a
 * CloudEvent.
 *
 * Version 0.3 is read too, since SDKs still send it; of what is read here it differs only in how it
 * marks base64. */
#include <assert.h>
#include <strings.h>

#include "base64.h"
#include "event_private.h"
#include "json.h"
#include "unicode.h"

enum { NAME_LIMIT = 256 /* bytes of an attribute's name */ };

/* Which member an attribute becomes; empty: none. `subject` is not here: it gives way to `taskid`.
 */
static struct bytes member_of(struct bytes attribute)
{
    static const struct {
        const char *attribute;
        const char *member;
    } names[] = {
        {"type", "event"},
        {"taskid", "taskId"},
        {"tenantid", "tenantId"},
        {"projectid", "projectId"},
        {"userid", "userId"},
        {"tasktype", "type"},
        {"event", ""}, /* the type is the event: an extension of this name cannot be a second */
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal_string(attribute, names[i].attribute))
            return bytes_of_string(names[i].member);
    return attribute;
}

/* What every CloudEvent must have (section 3.1 of the specification), and what decides about other
 * attributes. Texts are as they stand in a JSON text. */
struct attributes {
    bool id;
    bool source;
    bool type;
    bool taskid;
    bool event;
    bool data;
    bool base64; /* of version 0.3: `data` is encoded so */
    struct bytes version;
    struct bytes content_type;
    struct bytes data_base64;
    bool has_data_base64;
};

/* Called for every attribute of an event. One that stands twice leaves its last value here; that
 * a key stands twice in the text is settled later, for all formats alike (event_keys.c). */
static void note_attribute(struct attributes *attributes, struct bytes name, struct bytes value)
{
    attributes->id |= bytes_equal_string(name, "id");
    attributes->source |= bytes_equal_string(name, "source");
    attributes->type |= bytes_equal_string(name, "type");
    attributes->taskid |= bytes_equal_string(name, "taskid");
    attributes->event |= bytes_equal_string(name, "event");
    attributes->data |= bytes_equal_string(name, "data");
    if (bytes_equal_string(name, "specversion"))
        attributes->version = value;
    if (bytes_equal_string(name, "datacontenttype"))
        attributes->content_type = value;
    if (bytes_equal_string(name, "datacontentencoding"))
        attributes->base64 = bytes_equal_string(value, "base64");
}

/* The version's minor number is not looked at: by the specification, 1.x adds nothing that a
 * reader of 1.0 must know. What stands in the error is cut, since it comes from a producer. */
static enum status check_attributes(const struct attributes *attributes, struct error *error)
{
    struct bytes version = attributes->version;
    const char *missing = version.size == 0     ? "specversion"
                          : !attributes->id     ? "id"
                          : !attributes->source ? "source"
                          : !attributes->type   ? "type"
                                                : NULL;
    if (missing)
        return error_set(error, STATUS_MALFORMED, "CloudEvent without %s", missing);
    if (!bytes_start_with(version, BYTES_LITERAL("1.")) && !bytes_equal_string(version, "0.3"))
        return error_set(error, STATUS_UNSUPPORTED, "CloudEvents of version %.*s",
                         (int)unicode_cut(version, 20), (const char *)version.data);
    if (attributes->data && attributes->has_data_base64)
        return error_set(error, STATUS_MALFORMED, "CloudEvent with both data and data_base64");
    return STATUS_OK;
}

static struct bytes member_name(const struct attributes *attributes, struct bytes attribute)
{
    if (bytes_equal_string(attribute, "subject") && !attributes->taskid)
        return BYTES_LITERAL("taskId");
    return member_of(attribute);
}

/* --- Data, of both modes --- */

/* Media types are compared without regard to case (RFC 2045, 5.1). */
static bool type_ends(struct bytes type, const char *suffix)
{
    size_t size = strlen(suffix);
    return type.size >= size &&
           strncasecmp((const char *)type.data + type.size - size, suffix, size) == 0;
}

static bool is_text_type(struct bytes type)
{
    return (type.size > 5 && strncasecmp((const char *)type.data, "text/", 5) == 0) ||
           type_ends(type, "/xml") || type_ends(type, "+xml");
}

/* Without a content type, what looks like JSON must be JSON. */
static bool data_looks_like_json(struct bytes data)
{
    size_t at = 0;
    while (at < data.size && (data.data[at] == ' ' || data.data[at] == '\t' ||
                              data.data[at] == '\r' || data.data[at] == '\n'))
        at++;
    if (at == data.size)
        return false;
    return data.data[at] == '{' || data.data[at] == '[' || data.data[at] == '"' ||
           json_validate(data, JSON_DEPTH_MAX, NULL) == STATUS_OK;
}

/* What the data is decides how rules see it: JSON as it is, so that rules name fields inside it;
 * text as one string; anything else as base64, under a key that no rule takes for the data
 * itself. Nothing is refused for being binary: a rule may match by the attributes alone. */
static enum status append_event_data(struct bytes data, struct bytes content_type,
                                     struct buffer *out, struct error *error)
{
    struct bytes unframed = data;
    event_skip_framing(&unframed);
    event_append_key(out, BYTES_LITERAL("data"));
    if (event_type_is_json(content_type) ||
        (content_type.size == 0 && data_looks_like_json(unframed))) {
        size_t offset = 0;
        if (json_validate(unframed, JSON_DEPTH_MAX, &offset) != STATUS_OK)
            return error_set(error, STATUS_MALFORMED, "the data is not JSON: byte %zu", offset);
        buffer_append(out, unframed);
    } else if ((content_type.size == 0 || is_text_type(content_type)) && unicode_is_valid(data)) {
        json_write_string(out, data);
    } else {
        buffer_append_string(out, "{\"base64\":\"");
        base64_encode(data, out);
        buffer_append_string(out, "\"}");
    }
    return STATUS_OK;
}

/* --- Structured mode --- */

/* A member of a structured event: the decoded name, the first token of the value, and its text. */
struct cloud_member {
    uint8_t decoded[NAME_LIMIT];
    struct bytes name;
    enum json_token kind;
    struct bytes value;
};

/* The text of a string value without its quotes. */
static struct bytes inside(const struct cloud_member *member)
{
    assert(member->kind == JSON_STRING && member->value.size >= 2);
    return bytes_of(member->value.data + 1, member->value.size - 2);
}

/* The next member after `{` or another; JSON_KEY, or what stands there instead. A name that is too
 * long to be an attribute's is left as it is spelled. */
static enum json_token next_member(struct json_scanner *scanner, struct cloud_member *member)
{
    enum json_token token = json_next(scanner);
    if (token != JSON_KEY)
        return token;
    member->name = scanner->raw;
    if (scanner->escaped && scanner->raw.size <= sizeof(member->decoded))
        member->name = bytes_of(member->decoded, json_unescape(scanner->raw, member->decoded));
    assert(member->name.size <= scanner->raw.size);
    member->kind = json_value(scanner, &member->value);
    return member->kind == JSON_ERROR ? JSON_ERROR : JSON_KEY;
}

/* The value of data_base64 stays encoded until all attributes are known: what is inside is JSON
 * or text by the content type, which may come after it. */
static enum status note_member(struct attributes *attributes, const struct cloud_member *member,
                               struct error *error)
{
    assert(member->kind != JSON_NULL);
    bool is_text = member->kind == JSON_STRING;
    note_attribute(attributes, member->name, is_text ? inside(member) : member->value);
    if (!bytes_equal_string(member->name, "data_base64"))
        return STATUS_OK;
    if (!is_text)
        return error_set(error, STATUS_MALFORMED, "data_base64 is not a text");
    attributes->has_data_base64 = true;
    attributes->data_base64 = inside(member);
    return STATUS_OK;
}

/* An attribute without a member of ours (member_of() gives an empty name) is dropped, but one
 * whose own name is empty is kept: it is legal JSON and rules may name it. */
static void write_member(struct attributes *attributes, const struct cloud_member *member,
                         struct buffer *out)
{
    assert(attributes->type && member->kind != JSON_NULL);
    struct bytes name = member_name(attributes, member->name);
    bool is_data = bytes_equal_string(member->name, "data");
    if (bytes_equal_string(member->name, "data_base64") ||
        (name.size == 0 && member->name.size > 0))
        return;
    if (is_data && attributes->base64 && member->kind == JSON_STRING) {
        attributes->data_base64 = inside(member);
        attributes->has_data_base64 = true;
        return;
    }
    event_append_key(out, name);
    buffer_append(out, member->value);
}

/* One pass over the members of a structured event. With `out` NULL it only notes them. */
static enum status walk(struct bytes text, struct attributes *attributes, struct buffer *out,
                        struct error *error)
{
    struct json_scanner scanner;
    struct cloud_member member;
    json_init(&scanner, text, JSON_DEPTH_MAX);
    if (json_next(&scanner) == JSON_OBJECT) {
        enum json_token token;
        while ((token = next_member(&scanner, &member)) == JSON_KEY) {
            enum status status = STATUS_OK;
            if (member.kind == JSON_NULL)
                continue; /* as if it were not there (JSON event format, 2.2) */
            if (!out)
                status = note_member(attributes, &member, error);
            else
                write_member(attributes, &member, out);
            if (status != STATUS_OK)
                return status;
        }
        if (token == JSON_OBJECT_END && json_next(&scanner) == JSON_END)
            return STATUS_OK;
    }
    return error_set(error, STATUS_MALFORMED, "not a JSON object: %s at byte %zu",
                     scanner.problem ? scanner.problem : "another value", scanner.problem_offset);
}

/* The binary data of a structured event (JSON event format, 3.1.3): what it holds is as good as
 * data in binary mode. */
static enum status append_base64_data(const struct attributes *attributes, struct buffer *out,
                                      struct error *error)
{
    assert(attributes->has_data_base64);
    auto_buffer struct buffer text = {0};
    auto_buffer struct buffer content_type = {0};
    auto_buffer struct buffer data = {0};
    json_unescape_append(attributes->data_base64, &text);
    json_unescape_append(attributes->content_type, &content_type);
    if (base64_decode(buffer_peek(&text), &data) != STATUS_OK)
        return error_set(error, STATUS_MALFORMED, "data_base64 is not base64");
    return append_event_data(buffer_peek(&data), event_media_type(buffer_peek(&content_type)), out,
                             error);
}

/* Looked for only in texts that hold the word; an event of ours has `event`. */
bool cloud_event_is_inside(struct bytes text)
{
    static const char word[] = "\"specversion\"";
    struct attributes attributes = {0};

    return text.size > 0 && text.data[0] == '{' &&
           memmem(text.data, text.size, word, sizeof(word) - 1) &&
           walk(text, &attributes, NULL, NULL) == STATUS_OK && !attributes.event &&
           check_attributes(&attributes, NULL) == STATUS_OK;
}

/* On failure `out` holds half an event, which event_canonical() does not give to anybody. */
enum status cloud_event_from_json(struct bytes text, struct buffer *out, struct error *error)
{
    struct attributes attributes = {0};
    enum status status = walk(text, &attributes, NULL, error);
    if (status == STATUS_OK)
        status = check_attributes(&attributes, error);
    if (status != STATUS_OK)
        return status;
    assert(attributes.type && attributes.source && attributes.id);
    assert(buffer_size(out) == 0);
    buffer_append_byte(out, '{');
    status = walk(text, &attributes, out, error);
    if (status == STATUS_OK && attributes.has_data_base64)
        status = append_base64_data(&attributes, out, error);
    buffer_append_byte(out, '}');
    return status;
}

/* --- Binary mode --- */

/* The attribute that a header holds, in lower case, as all names are. */
static bool attribute_name(const struct record_header *header, uint8_t lower[NAME_LIMIT],
                           struct bytes *name)
{
    if (header->name.size <= 3 || header->name.size > NAME_LIMIT ||
        strncasecmp((const char *)header->name.data, "ce_", 3) != 0)
        return false;
    *name = bytes_of(lower, header->name.size - 3);
    assert(name->size > 0 && name->size < NAME_LIMIT);
    for (size_t i = 0; i < name->size; i++) {
        uint8_t byte = header->name.data[i + 3];
        lower[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
    }
    return true;
}

/* Attributes come as headers, which Kafka does not check: any bytes may be there. Values are
 * strings in the result whatever they look like, since headers have no types. */
enum status cloud_event_from_headers(const struct record *record, struct bytes content_type,
                                     struct buffer *out, struct error *error)
{
    struct attributes attributes = {0};
    uint8_t lower[NAME_LIMIT];
    struct bytes name;
    for (size_t i = 0; i < record->header_count; i++)
        if (attribute_name(&record->headers[i], lower, &name))
            note_attribute(&attributes, name, record->headers[i].value);
    enum status status = check_attributes(&attributes, error);
    if (status != STATUS_OK)
        return status;

    assert(attributes.type && attributes.source && attributes.id);
    assert(buffer_size(out) == 0);
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < record->header_count; i++) {
        if (!attribute_name(&record->headers[i], lower, &name))
            continue;
        if (!unicode_is_valid(name) || !unicode_is_valid(record->headers[i].value))
            return error_set(error, STATUS_MALFORMED, "a CloudEvents header is not UTF-8");
        if (member_name(&attributes, name).size == 0)
            continue;
        event_append_key(out, member_name(&attributes, name));
        json_write_string(out, record->headers[i].value);
    }
    /* The record's content-type header is the data's in this mode; some producers give it as an
     * attribute. */
    if (content_type.size == 0)
        content_type = event_media_type(attributes.content_type);
    if (record->has_value && record->value.size > 0)
        status = append_event_data(record->value, content_type, out, error);
    buffer_append_byte(out, '}');
    return status;
}
