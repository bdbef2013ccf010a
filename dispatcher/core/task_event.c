/* A protobuf TaskEvent as JSON: the proto3 mapping, but for `data` and `extra`, which are JSON text
 * already.
 *
 * It goes through JSON though it was parsed already, since rules are patterns over JSON: one form
 * for all events means that a rule does not care how its event was produced. Unknown fields are
 * dropped, as by any proto3 reader that is older than the writer.
 *
 * Memory of the message is an arena's, freed when the text is made; a hostile message cannot
 * make it larger than its own size allows. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "event_private.h"
#include "json.h"
#include "task_event.pb-c.h"

#define TEXTS(X)                  \
    X(id, "id")                   \
    X(event, "event")             \
    X(time, "time")               \
    X(source, "source")           \
    X(tenant_id, "tenantId")      \
    X(project_id, "projectId")    \
    X(user_id, "userId")          \
    X(task_id, "taskId")          \
    X(type, "type")               \
    X(priority, "priority")       \
    X(status, "status")           \
    X(traceparent, "traceparent") \
    X(tracestate, "tracestate")

/* Which message of its schema this is, before the message in Confluent's wire format: a zigzag
 * count and as many indexes, a single 0 standing for the first message. (Old serialisers wrote
 * plain numbers: 1 and 0 for the first message. No zigzag count is odd.) */
static bool skip_message_index(struct bytes *value)
{
    struct bytes rest = *value;
    if (rest.size == 0 || rest.data[0] >= 0x80)
        return false;
    unsigned count = (rest.data[0] & 1) != 0 ? rest.data[0] : rest.data[0] >> 1;
    rest = bytes_skip(rest, 1);
    for (; count > 0; count--) {
        while (rest.size > 0 && rest.data[0] >= 0x80)
            rest = bytes_skip(rest, 1);
        if (rest.size == 0)
            return false;
        rest = bytes_skip(rest, 1);
    }
    assert(rest.size < value->size);
    *value = rest;
    return true;
}

/* --- Texts --- */

/* At most ten bytes; what a longer one would mean is not defined. */
static bool read_varint(struct bytes *rest, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < 64 && rest->size > 0; shift += 7) {
        uint8_t byte = rest->data[0];
        *rest = bytes_skip(*rest, 1);
        *number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The next field of a message and, if it is length-delimited, its content. False: not well formed,
 * which unpacking has found as well. */
static bool next_field(struct bytes *rest, uint64_t *field, bool *delimited, struct bytes *content)
{
    uint64_t key;
    uint64_t size = 0;
    if (!read_varint(rest, &key))
        return false;
    *field = key >> 3;
    *delimited = (key & 7) == 2;
    *content = bytes_of(NULL, 0);
    switch (key & 7) {
    case 0:
        return read_varint(rest, &size);
    case 1:
        size = 8;
        break;
    case 2:
        if (!read_varint(rest, &size))
            return false;
        break;
    case 5:
        size = 4;
        break;
    default:
        return false;
    }
    if (size > rest->size)
        return false;
    *content = bytes_of(rest->data, (size_t)size);
    *rest = bytes_skip(*rest, (size_t)size);
    return true;
}

/* Unpacked texts end with a NUL, so one that holds a NUL would be taken for what stands before it.
 * The name of such a field, or NULL. */
static const char *find_text_with_nul(struct bytes message)
{
    const ProtobufCMessageDescriptor *descriptor = &smartstack__v1__task_event__descriptor;
    uint64_t number;
    bool delimited;
    struct bytes content;
    while (message.size > 0 && next_field(&message, &number, &delimited, &content)) {
        if (!delimited || content.size == 0 || number > INT32_MAX ||
            !memchr(content.data, 0, content.size))
            continue;
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(descriptor, (unsigned)number);
        if (field && field->type == PROTOBUF_C_TYPE_STRING)
            return field->name;
    }
    return NULL;
}

/* Empty and absent are one in proto3. */
static void append_member_text(struct buffer *out, const char *name, const char *text)
{
    if (text[0] == 0)
        return;
    event_append_key(out, bytes_of_string(name));
    json_write_string(out, bytes_of_string(text));
}

/* The fewest digits that read back as the same double: 0.1 stays 0.1, so that rules and people
 * see what was sent. */
static void append_progress(struct buffer *out, double progress)
{
    assert(isfinite(progress));
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, progress);
        if (strtod(text, NULL) == progress)
            break;
    }
    event_append_key(out, BYTES_LITERAL("progress"));
    buffer_append_string(out, text);
}

static void append_tags(struct buffer *out, char **tags, size_t count)
{
    if (count == 0)
        return;
    assert(tags);
    event_append_key(out, BYTES_LITERAL("tags"));
    for (size_t i = 0; i < count; i++) {
        buffer_append_byte(out, i == 0 ? '[' : ',');
        json_write_string(out, bytes_of_string(tags[i]));
    }
    buffer_append_byte(out, ']');
}

/* The members of an object's text, without its braces. A key that the event has already then
 * stands twice, and event_keys.c settles it as for any other event: `extra` comes last, so it
 * wins, except over the members that say who the event is about. */
static enum status append_members(struct buffer *out, struct bytes object, struct error *error)
{
    assert(buffer_size(out) > 0); /* the event's brace */
    struct json_scanner scanner;
    json_init(&scanner, object, JSON_DEPTH_MAX);
    enum json_token token = json_next(&scanner);
    while (token == JSON_OBJECT || token == JSON_KEY) {
        if (token == JSON_KEY) {
            struct bytes key = bytes_of(scanner.raw.data - 1, scanner.raw.size + 2);
            struct bytes value;
            if (json_value(&scanner, &value) == JSON_ERROR)
                break;
            if (out->data[out->end - 1] != '{')
                buffer_append_byte(out, ',');
            buffer_append(out, key);
            buffer_append_byte(out, ':');
            buffer_append(out, value);
        }
        token = json_next(&scanner);
    }
    if (token != JSON_OBJECT_END || json_next(&scanner) != JSON_END)
        return error_set(error, STATUS_MALFORMED, "TaskEvent.extra is not a JSON object");
    return STATUS_OK;
}

/* Members in the order of the table, which is that of the schema. `data` and `extra` are checked
 * to be JSON before they are joined in, or one of them could close the object and go on as it
 * likes. */
static enum status append_event(const Smartstack__V1__TaskEvent *event, struct buffer *out,
                                struct error *error)
{
    assert(buffer_size(out) == 0);
    buffer_append_byte(out, '{');
#define X(field, name) append_member_text(out, name, event->field);
    TEXTS(X)
#undef X
    if (event->progress_known_case == SMARTSTACK__V1__TASK_EVENT__PROGRESS_KNOWN_PROGRESS) {
        if (!isfinite(event->progress))
            return error_set(error, STATUS_MALFORMED, "TaskEvent.progress is not a finite number");
        append_progress(out, event->progress);
    }
    append_tags(out, event->tags, event->n_tags);
    if (event->data.len > 0) {
        struct bytes data = bytes_of(event->data.data, event->data.len);
        size_t offset = 0;
        if (json_validate(data, JSON_DEPTH_MAX, &offset) != STATUS_OK)
            return error_set(error, STATUS_MALFORMED, "TaskEvent.data is not JSON: byte %zu",
                             offset);
        event_append_key(out, BYTES_LITERAL("data"));
        buffer_append(out, data);
    }
    if (event->extra.len > 0) {
        enum status status =
            append_members(out, bytes_of(event->extra.data, event->extra.len), error);
        if (status != STATUS_OK)
            return status;
    }
    buffer_append_byte(out, '}');
    return STATUS_OK;
}

/* Without a frame there is no index: a bare TaskEvent is the message itself. */
enum status task_event_from_protobuf(struct bytes value, enum schema_framing framing,
                                     struct buffer *out, struct error *error)
{
    if (framing == FRAMING_PREFIX && !skip_message_index(&value))
        return error_set(error, STATUS_MALFORMED,
                         "neither JSON nor a TaskEvent follows the schema id");
    auto_arena struct arena arena = {.reserved = value.size * 2 + 2048};
    ProtobufCAllocator allocator = {arena_allocate, arena_release, &arena};
    Smartstack__V1__TaskEvent *event =
        smartstack__v1__task_event__unpack(&allocator, value.size, value.data);
    if (!event)
        return error_set(error, STATUS_MALFORMED, "not a TaskEvent");
    const char *name = find_text_with_nul(value);
    if (name)
        return error_set(error, STATUS_MALFORMED, "TaskEvent.%s holds a NUL", name);
    return append_event(event, out, error);
}
