/* A notification's three forms: the value of a record (protobuf), its headers, and JSON for
 * clients. The headers repeat what a gateway needs to pass a record over without decoding it:
 * type, rooms and item as hashes, and the layout they are true for. Nothing is kept between
 * calls, so that any thread may. */
#include "notification.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "arena.h"
#include "json.h"
#include "notification.pb-c.h"
#include "notification_private.h"
#include "unicode.h"

const char *notification_type_name(enum notification_type type)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        NOTIFICATION_TYPES(X)
#undef X
    };
    static_assert(sizeof(names) / sizeof(names[0]) == NOTIFICATION_TYPE_COUNT, "count the types");
    assert((unsigned)type < NOTIFICATION_TYPE_COUNT);
    return names[type];
}

bool notification_type_named(struct bytes name, enum notification_type *type)
{
    for (unsigned i = 0; i < NOTIFICATION_TYPE_COUNT; i++) {
        if (bytes_equal_string(name, notification_type_name((enum notification_type)i))) {
            *type = (enum notification_type)i;
            return true;
        }
    }
    return false;
}

/* --- Names of events --- */

/* What a name of a custom event would be taken for, by the stock Socket.IO client, by an
 * EventSource, or as one of ours. The names of the other types are looked up. */
static const char *const reserved_events[] = {
    /* the client's own */
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    "open", "error",
    /* what happens to a session */
    "session", "cursor", "history", "state", "presence", "subscribed", "unsubscribed", "stale",
    "live", "token_expired", "unavailable"};

static bool is_reserved_event(struct bytes name)
{
    enum notification_type type;
    for (size_t i = 0; i < sizeof(reserved_events) / sizeof(reserved_events[0]); i++)
        if (bytes_equal_string(name, reserved_events[i]))
            return true;
    return notification_type_named(name, &type) && type != NOTIFICATION_CUSTOM;
}

const char *notification_event_problem(struct bytes name)
{
    if (name.size == 0 || name.size > NOTIFICATION_EVENT_LIMIT)
        return "an event's name has 1 to 100 bytes";
    static_assert(NOTIFICATION_EVENT_LIMIT == 100, "as the text says");
    if (is_reserved_event(name))
        return "an event of this name means something else to clients";
    while (name.size) {
        uint32_t code;
        size_t size = unicode_decode(name, &code);
        if (size == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == '"' ||
            code == '\\')
            return "an event's name is UTF-8 without control characters, quotation marks and "
                   "backslashes";
        name = bytes_skip(name, size);
    }
    return NULL;
}

struct bytes notification_event(const struct notification *notification)
{
    if (notification->type == NOTIFICATION_CUSTOM)
        return notification->custom.event;
    return bytes_of_string(notification_type_name(notification->type));
}

/* --- Value --- */

/* protobuf-c wants terminated strings, hence a copy. The empty one is its own constant, by whose
 * address it knows what to leave out of the value. The casts take `const` away from what packing
 * only reads. */
static char *packed_text(struct arena *arena, struct bytes bytes)
{
    if (bytes.size == 0)
        return (char *)(uintptr_t)protobuf_c_empty_string;
    return (char *)(uintptr_t)arena_copy(arena, bytes).data;
}

static char **texts_of(struct arena *arena, const struct bytes *list, size_t count)
{
    char **texts = arena_raw(arena, count * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        texts[i] = packed_text(arena, list[i]);
    return texts;
}

static ProtobufCBinaryData packed_data(struct bytes data)
{
    return (ProtobufCBinaryData){.len = data.size, .data = (uint8_t *)(uintptr_t)data.data};
}

/* Lives on the caller's stack beside the message that points into it: packing allocates for texts
 * alone. */
union content {
    ProtobufCMessage base;
    Smartstack__V1__TaskStatusUpdate task_status;
    Smartstack__V1__ClientNotification client;
    Smartstack__V1__ManualReviewAlert review;
    Smartstack__V1__ReviewUpdate review_update;
    Smartstack__V1__ReviewRefusal review_refusal;
    Smartstack__V1__CustomEvent custom;
};

static void pack_fields(const struct notification *view, struct arena *arena,
                        union content *content)
{
    const struct notification_fields *fields = &notification_fields[view->type];
    protobuf_c_message_init(fields->message, &content->base);
    for (size_t i = 0; i < fields->text_count; i++) {
        const struct notification_text *text = &fields->texts[i];
        char **packed = (void *)((uint8_t *)content + text->message);
        if (text->json)
            *packed = packed_text(arena, *notification_bytes(view, text->view));
    }
    if (fields->data.number > 0) {
        ProtobufCBinaryData *packed = (void *)((uint8_t *)content + fields->data.message);
        *packed = packed_data(*notification_bytes(view, fields->data.view));
    }
}

/* One of the messages, as a oneof. Its struct is the caller's, since `message` only points to
 * it. */
static void pack_content(const struct notification *view, struct arena *arena,
                         Smartstack__V1__Notification *message, union content *content)
{
    assert(view->type != NOTIFICATION_CUSTOM || !notification_event_problem(view->custom.event));
    pack_fields(view, arena, content);
    /* A oneof, since proto3 cannot tell 0 from nothing, and a task at 0 % is not a task without
     * progress. */
    if (view->type == NOTIFICATION_TASK_STATUS && view->task_status.has_progress) {
        content->task_status.progress_known_case =
            SMARTSTACK__V1__TASK_STATUS_UPDATE__PROGRESS_KNOWN_PROGRESS;
        content->task_status.progress = view->task_status.progress;
    }
    if (view->type == NOTIFICATION_REVIEW_UPDATED)
        content->review_update.version = view->review_update.version;
    message->content_case =
        (Smartstack__V1__Notification__ContentCase)notification_fields[view->type].number;
    message->task_status = &content->task_status; /* the pointers to all kinds are one union */
}

void notification_encode(const struct notification *notification, struct buffer *value)
{
    auto_arena struct arena arena = {0};
    Smartstack__V1__Notification message;
    Smartstack__V1__Item item;
    union content content;

    assert(notification->item.key.size <= NOTIFICATION_ITEM_KEY_LIMIT);
    smartstack__v1__notification__init(&message);
    message.id = packed_text(&arena, notification->id);
    message.time = packed_text(&arena, notification->time);
    message.n_rooms = notification->room_count;
    message.rooms = texts_of(&arena, notification->rooms, notification->room_count);
    message.event_id = packed_text(&arena, notification->event_id);
    message.n_rules = notification->rule_count;
    message.rules = texts_of(&arena, notification->rules, notification->rule_count);
    message.rules_revision = packed_text(&arena, notification->rules_revision);
    message.traceparent = packed_text(&arena, notification->traceparent);
    message.tracestate = packed_text(&arena, notification->tracestate);
    if (notification->item.key.size > 0) {
        smartstack__v1__item__init(&item);
        item.key = packed_text(&arena, notification->item.key);
        item.removed = notification->item.removed;
        message.item = &item;
    }
    message.late = notification->late;
    pack_content(notification, &arena, &message, &content);

    size_t size = smartstack__v1__notification__get_packed_size(&message);
    size_t packed = smartstack__v1__notification__pack(&message, buffer_reserve(value, size));
    /* The size was taken from the same struct: between the two calls nothing may touch it. */
    assert(packed == size);
    buffer_commit(value, packed);
}

/* --- Headers --- */

uint64_t notification_item_hash(struct bytes key)
{
    assert(key.size > 0);
    uint64_t hash = XXH3_64bits(key.data, key.size);
    return hash ? hash : 1;
}

void notification_append_room_hash(struct buffer *room_hashes, uint64_t hash)
{
    bytes_write_little_endian(buffer_reserve(room_hashes, 8), hash, 8);
    buffer_commit(room_hashes, 8);
}

static void add_record_header(struct notification_headers *headers, const char *name,
                              struct bytes value)
{
    assert(headers->count < NOTIFICATION_HEADERS_MAX);
    headers->items[headers->count++] = (struct notification_header){name, value};
}

void notification_headers_encode(const struct notification_envelope *envelope,
                                 struct notification_headers *headers)
{
    static const char digits[] = "0123456789";
    /* One digit: nine is nine or more. */
    unsigned hops = envelope->hops < 9 ? envelope->hops : 9;

    headers->count = 0;
    bytes_write_little_endian(headers->layout, envelope->layout, 8);
    add_record_header(headers, NOTIFICATION_HEADER_CONTENT_TYPE,
                      BYTES_LITERAL("application/protobuf"));
    if (envelope->has_type)
        add_record_header(headers, NOTIFICATION_HEADER_TYPE,
                          bytes_of_string(notification_type_name(envelope->type)));
    add_record_header(headers, NOTIFICATION_HEADER_ROOMS, envelope->room_hashes);
    add_record_header(headers, NOTIFICATION_HEADER_LAYOUT, bytes_of(headers->layout, 8));
    add_record_header(headers, NOTIFICATION_HEADER_HOPS, bytes_of(digits + hops, 1));
    if (envelope->item_hash == 0)
        return;
    bytes_write_little_endian(headers->item, envelope->item_hash, 8);
    headers->item[8] = envelope->item_removed;
    add_record_header(headers, NOTIFICATION_HEADER_ITEM,
                      bytes_of(headers->item, NOTIFICATION_HEADER_ITEM_SIZE));
}

/* Any writer of the topic writes headers: one that does not have the right form is as if it were
 * not there, and the record is then judged by its value. Unknown names are left alone, for those
 * who come later. */
void notification_header_decode(struct notification_envelope *envelope, struct bytes name,
                                struct bytes value)
{
    if (bytes_equal_string(name, NOTIFICATION_HEADER_ROOMS)) {
        envelope->room_hashes = value;
    } else if (bytes_equal_string(name, NOTIFICATION_HEADER_LAYOUT)) {
        if (value.size == 8)
            envelope->layout = bytes_read_little_endian(value.data, 8);
    } else if (bytes_equal_string(name, NOTIFICATION_HEADER_TYPE)) {
        if (notification_type_named(value, &envelope->type))
            envelope->has_type = true;
    } else if (bytes_equal_string(name, NOTIFICATION_HEADER_HOPS)) {
        if (value.size == 1 && value.data[0] >= '0' && value.data[0] <= '9')
            envelope->hops = value.data[0] - '0';
    } else if (bytes_equal_string(name, NOTIFICATION_HEADER_ITEM)) {
        if (value.size == NOTIFICATION_HEADER_ITEM_SIZE && value.data[8] <= 1) {
            envelope->item_hash = bytes_read_little_endian(value.data, 8);
            envelope->item_removed = value.data[8] == 1;
        }
    }
}

uint64_t notification_room_hash(const struct notification_envelope *envelope, size_t index)
{
    assert(index < notification_room_hash_count(envelope));
    return bytes_read_little_endian(envelope->room_hashes.data + 8 * index, 8);
}

/* --- Key of a state topic's record --- */

enum { SIZE_BYTES = 4, ROOMS_HASH_BYTES = 16 };

/* With its size before it, so that no two lists of parts are one text. */
static void append_sized(struct buffer *out, struct bytes part)
{
    bytes_write_little_endian(buffer_reserve(out, SIZE_BYTES), part.size, SIZE_BYTES);
    buffer_commit(out, SIZE_BYTES);
    buffer_append(out, part);
}

void notification_state_key(const struct notification *notification, struct bytes scope,
                            struct buffer *key)
{
    auto_buffer struct buffer rooms = {0};
    XXH128_canonical_t hash;
    static_assert(sizeof(hash.digest) == ROOMS_HASH_BYTES, "the key has so many bytes");
    assert(notification->item.key.size > 0 && notification->room_count > 0);
    for (size_t i = 0; i < notification->room_count; i++)
        append_sized(&rooms, notification->rooms[i]);
    XXH128_canonicalFromHash(&hash, XXH3_128bits(buffer_peek(&rooms).data, buffer_size(&rooms)));
    append_sized(key, scope);
    append_sized(key, notification->item.key);
    buffer_append(key, bytes_of(hash.digest, ROOMS_HASH_BYTES));
}

static bool take_sized(struct bytes *rest, struct bytes *part)
{
    if (rest->size < SIZE_BYTES)
        return false;
    uint64_t size = bytes_read_little_endian(rest->data, SIZE_BYTES);
    if (size > rest->size - SIZE_BYTES)
        return false;
    *part = bytes_of(rest->data + SIZE_BYTES, (size_t)size);
    *rest = bytes_skip(*rest, SIZE_BYTES + (size_t)size);
    return true;
}

bool notification_state_scope(struct bytes key, struct bytes *scope)
{
    struct bytes found, item;
    if (!take_sized(&key, &found) || !take_sized(&key, &item) || item.size == 0 ||
        item.size > NOTIFICATION_ITEM_KEY_LIMIT || key.size != ROOMS_HASH_BYTES)
        return false;
    *scope = found;
    return true;
}

/* --- JSON --- */

/* `name` is written as it is: ours, without a character to escape. The comma is left out after an
 * opening brace. */
static void append_name(struct buffer *json, const char *name)
{
    /* The buffer has the opening brace already: there is always a byte before. */
    if (json->data[json->end - 1] != '{')
        buffer_append_byte(json, ',');
    buffer_append_byte(json, '"');
    buffer_append_string(json, name);
    buffer_append(json, BYTES_LITERAL("\":"));
}

static void append_json_text(struct buffer *json, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    append_name(json, name);
    json_write_string(json, text);
}

/* What is empty is left out, as proto3's JSON form has it: so both forms say the same. */
static void append_texts(struct buffer *json, const char *name, const struct bytes *list,
                         size_t count)
{
    if (count == 0)
        return;
    append_name(json, name);
    json_write_strings(json, list, count);
}

static void append_data(struct buffer *json, const char *name, struct bytes data)
{
    if (data.size == 0)
        return;
    append_name(json, name);
    buffer_append(json, data);
}

/* The fewest digits that read back as the same double. */
static void append_number(struct buffer *json, const char *name, double number)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    append_name(json, name);
    buffer_append_string(json, text);
}

static void append_item(struct buffer *json, const struct notification_item *item)
{
    if (item->key.size == 0)
        return;
    append_name(json, "item");
    buffer_append_byte(json, '{');
    append_json_text(json, "key", item->key);
    if (item->removed)
        buffer_append_string(json, ",\"removed\":true");
    buffer_append_byte(json, '}');
}

static void append_content(const struct notification *view, struct buffer *json)
{
    const struct notification_fields *fields = &notification_fields[view->type];
    append_name(json, fields->json);
    buffer_append_byte(json, '{');
    for (size_t i = 0; i < fields->text_count; i++)
        if (fields->texts[i].json)
            append_json_text(json, fields->texts[i].json,
                             *notification_bytes(view, fields->texts[i].view));
    if (view->type == NOTIFICATION_TASK_STATUS && view->task_status.has_progress)
        append_number(json, "progress", view->task_status.progress);
    if (view->type == NOTIFICATION_REVIEW_UPDATED && view->review_update.version > 0)
        append_number(json, "version", view->review_update.version);
    if (fields->data.number > 0)
        append_data(json, fields->data.json, *notification_bytes(view, fields->data.view));
    buffer_append_byte(json, '}');
}

void notification_to_json(const struct notification *notification, struct buffer *json)
{
    buffer_append_byte(json, '{');
    append_json_text(json, "id", notification->id);
    append_json_text(json, "time", notification->time);
    append_texts(json, "rooms", notification->rooms, notification->room_count);
    append_json_text(json, "eventId", notification->event_id);
    append_texts(json, "rules", notification->rules, notification->rule_count);
    append_json_text(json, "rulesRevision", notification->rules_revision);
    append_json_text(json, "traceparent", notification->traceparent);
    append_json_text(json, "tracestate", notification->tracestate);
    append_item(json, &notification->item);
    if (notification->late)
        buffer_append_string(json, ",\"late\":true");
    append_content(notification, json);
    buffer_append_byte(json, '}');
}

void notification_argument_to_json(const struct notification *notification, struct buffer *json)
{
    if (notification->type != NOTIFICATION_CUSTOM)
        notification_to_json(notification, json);
    else if (notification->custom.data.size > 0)
        buffer_append(json, notification->custom.data);
    else
        buffer_append_string(json, "null");
}
