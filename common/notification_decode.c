/* The value of a record, read where it stands: the view points into it, and nothing is copied.
 * protobuf-c, which writes values, would copy each text to end it with a NUL.
 *
 * A value is read twice. The first time its fields are counted, so that one allocation holds the
 * view and its lists. The second time they are taken; by then each is known to be whole.
 *
 * Of a field that comes twice the last one counts, as protobuf has it. Fields without a meaning
 * here are passed over: a later version may have more. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "json.h"
#include "mem.h"
#include "notification.h"
#include "notification_private.h"
#include "unicode.h"

/* --- Fields of protobuf ------------------------------------------------------------------------ */

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };
enum { VARINT_SIZE_LIMIT = 10, KEY_SIZE_LIMIT = 5 };

struct wire_field {
    uint64_t number;
    enum wire_type type;
    uint64_t varint;      /* of a WIRE_VARINT */
    struct bytes content; /* of the others */
};

/* Seven bits in each byte, the lowest first; the last one has its highest bit clear. */
static bool take_wire_varint(struct bytes *rest, size_t size_limit, uint64_t *number)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size_limit && i < rest->size; i++) {
        sum |= (uint64_t)(rest->data[i] & 0x7f) << (7 * i);
        if (rest->data[i] < 0x80) {
            *number = sum;
            *rest = bytes_skip(*rest, i + 1);
            return true;
        }
    }
    return false;
}

/* Takes the field at the front; false: no whole field stands there. */
static bool take_wire_field(struct bytes *rest, struct wire_field *field)
{
    uint64_t key;
    uint64_t size = 0;
    if (!take_wire_varint(rest, KEY_SIZE_LIMIT, &key) || key >> 3 == 0)
        return false;
    *field = (struct wire_field){.number = key >> 3, .type = (enum wire_type)(key & 7)};
    switch (field->type) {
    case WIRE_VARINT:
        return take_wire_varint(rest, VARINT_SIZE_LIMIT, &field->varint);
    case WIRE_LENGTH:
        if (!take_wire_varint(rest, KEY_SIZE_LIMIT, &size))
            return false;
        break;
    case WIRE_FIXED64:
        size = 8;
        break;
    case WIRE_FIXED32:
        size = 4;
        break;
    default: /* groups, which proto3 does not have, and what has no meaning */
        return false;
    }
    if (size > rest->size)
        return false;
    field->content = bytes_of(rest->data, size);
    *rest = bytes_skip(*rest, size);
    return true;
}

static bool field_content(const struct wire_field *field, struct bytes *content)
{
    if (field->type != WIRE_LENGTH)
        return false;
    *content = field->content;
    return true;
}

/* JSON has no word for a number that is infinite or none: then it is as if it were not given. */
static bool field_progress(const struct wire_field *field, struct task_status_update *update)
{
    if (field->type != WIRE_FIXED64)
        return false;
    uint64_t bits = bytes_read_little_endian(field->content.data, 8);
    memcpy(&update->progress, &bits, sizeof(bits));
    update->has_progress = isfinite(update->progress);
    if (!update->has_progress)
        update->progress = 0;
    return true;
}

/* --- The kinds of content ---------------------------------------------------------------------- */

enum { FIELD_PROGRESS = 9, FIELD_TASK_STATUS_DATA = 10 };
enum { FIELD_CLIENT_DATA = 5 };
enum { FIELD_REVIEW_DATA = 9 };
enum { FIELD_UPDATE_VERSION = 2 };
enum { FIELD_CUSTOM_DATA = 3 };

static bool decode_task_status(struct bytes rest, struct task_status_update *update)
{
    struct wire_field field;
    bool sound = true;
    *update = (struct task_status_update){0};
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        switch (field.number) {
#define X(name, json, number)                         \
    case number:                                      \
        sound = field_content(&field, &update->name); \
        break;
            TASK_STATUS_TEXTS(X)
#undef X
        case FIELD_PROGRESS:
            sound = field_progress(&field, update);
            break;
        case FIELD_TASK_STATUS_DATA:
            sound = field_content(&field, &update->data);
            break;
        }
    }
    return sound;
}

static bool decode_client(struct bytes rest, struct client_notification *client)
{
    struct wire_field field;
    bool sound = true;
    *client = (struct client_notification){0};
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        switch (field.number) {
#define X(name, json, number)                         \
    case number:                                      \
        sound = field_content(&field, &client->name); \
        break;
            CLIENT_TEXTS(X)
#undef X
        case FIELD_CLIENT_DATA:
            sound = field_content(&field, &client->data);
            break;
        }
    }
    return sound;
}

static bool decode_review(struct bytes rest, struct review_alert *review)
{
    struct wire_field field;
    bool sound = true;
    *review = (struct review_alert){0};
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        switch (field.number) {
#define X(name, json, number)                         \
    case number:                                      \
        sound = field_content(&field, &review->name); \
        break;
            REVIEW_TEXTS(X)
#undef X
        case FIELD_REVIEW_DATA:
            sound = field_content(&field, &review->data);
            break;
        }
    }
    return sound;
}

static bool decode_review_update(struct bytes rest, struct review_update *update)
{
    struct wire_field field;
    bool sound = true;
    *update = (struct review_update){0};
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        switch (field.number) {
#define X(name, json, number)                         \
    case number:                                      \
        sound = field_content(&field, &update->name); \
        break;
            REVIEW_UPDATE_TEXTS(X)
#undef X
        case FIELD_UPDATE_VERSION:
            sound = field.type == WIRE_VARINT;
            update->version = (uint32_t)field.varint; /* as protobuf has it: the low bits */
            break;
        }
    }
    return sound;
}

static bool decode_custom(struct bytes rest, struct custom_event *custom)
{
    struct wire_field field;
    bool sound = true;
    *custom = (struct custom_event){0};
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        switch (field.number) {
#define X(name, json, number)                         \
    case number:                                      \
        sound = field_content(&field, &custom->name); \
        break;
            CUSTOM_TEXTS(X)
#undef X
        case FIELD_CUSTOM_DATA:
            sound = field_content(&field, &custom->data);
            break;
        }
    }
    return sound;
}

static bool decode_review_refusal(struct bytes rest, struct review_refusal *refusal)
{
    struct wire_field field;
    bool sound = true;
    *refusal = (struct review_refusal){0};
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        switch (field.number) {
#define X(name, json, number)                          \
    case number:                                       \
        sound = field_content(&field, &refusal->name); \
        break;
            REVIEW_REFUSAL_TEXTS(X)
#undef X
        }
    }
    return sound;
}

/* A part of an item leaves the parts before it as they are: so protobuf joins messages. */
static bool decode_item(struct bytes rest, struct notification_item *item)
{
    enum { FIELD_KEY = 1, FIELD_REMOVED = 2 };
    struct wire_field field;
    bool sound = true;
    while (rest.size && sound) {
        if (!take_wire_field(&rest, &field))
            return false;
        if (field.number == FIELD_KEY) {
            sound = field_content(&field, &item->key);
        } else if (field.number == FIELD_REMOVED) {
            sound = field.type == WIRE_VARINT;
            item->removed = field.varint != 0;
        }
    }
    return sound;
}

/* --- Notification ------------------------------------------------------------------------------ */

enum {
    FIELD_ID = 1,
    FIELD_TIME = 2,
    FIELD_ROOMS = 3,
    FIELD_EVENT_ID = 4,
    FIELD_RULES = 5,
    FIELD_RULES_REVISION = 6,
    FIELD_TRACEPARENT = 7,
    FIELD_TRACESTATE = 8,
    FIELD_ITEM = 9,
    FIELD_TASK_STATUS = 10,
    FIELD_CLIENT = 11,
    FIELD_REVIEW = 12,
    FIELD_REVIEW_UPDATE = 13,
    FIELD_REVIEW_REFUSAL = 14,
    FIELD_CUSTOM = 15
};

/* The view first, since its address is the caller's. */
struct decoded_notification {
    struct notification view;
    bool has_content;
    struct bytes lists[]; /* the rooms, then the rules */
};

/* A oneof: of several members the last one counts, whole. */
static bool decode_content(const struct wire_field *field, struct decoded_notification *decoded)
{
    struct notification *view = &decoded->view;
    if (field->type != WIRE_LENGTH)
        return false;
    decoded->has_content = true;
    switch (field->number) {
    case FIELD_TASK_STATUS:
        view->type = NOTIFICATION_TASK_STATUS;
        return decode_task_status(field->content, &view->task_status);
    case FIELD_CLIENT:
        view->type = NOTIFICATION_CLIENT;
        return decode_client(field->content, &view->client);
    case FIELD_REVIEW:
        view->type = NOTIFICATION_REVIEW_ALERT;
        return decode_review(field->content, &view->review);
    case FIELD_REVIEW_UPDATE:
        view->type = NOTIFICATION_REVIEW_UPDATED;
        return decode_review_update(field->content, &view->review_update);
    case FIELD_REVIEW_REFUSAL:
        view->type = NOTIFICATION_REVIEW_REFUSED;
        return decode_review_refusal(field->content, &view->review_refusal);
    default:
        assert(field->number == FIELD_CUSTOM);
        view->type = NOTIFICATION_CUSTOM;
        return decode_custom(field->content, &view->custom);
    }
}

/* `rooms` and `rules` are the view's lists, which are long enough. */
static bool decode_field(const struct wire_field *field, struct decoded_notification *decoded,
                         struct bytes *rooms, struct bytes *rules)
{
    struct notification *view = &decoded->view;
    switch (field->number) {
    case FIELD_ID:
        return field_content(field, &view->id);
    case FIELD_TIME:
        return field_content(field, &view->time);
    case FIELD_ROOMS:
        return field_content(field, &rooms[view->room_count++]);
    case FIELD_EVENT_ID:
        return field_content(field, &view->event_id);
    case FIELD_RULES:
        return field_content(field, &rules[view->rule_count++]);
    case FIELD_RULES_REVISION:
        return field_content(field, &view->rules_revision);
    case FIELD_TRACEPARENT:
        return field_content(field, &view->traceparent);
    case FIELD_TRACESTATE:
        return field_content(field, &view->tracestate);
    case FIELD_ITEM:
        return field->type == WIRE_LENGTH && decode_item(field->content, &view->item);
    case FIELD_TASK_STATUS:
    case FIELD_CLIENT:
    case FIELD_REVIEW:
    case FIELD_REVIEW_UPDATE:
    case FIELD_REVIEW_REFUSAL:
    case FIELD_CUSTOM:
        return decode_content(field, decoded);
    }
    return true;
}

/* Whether the value consists of whole fields, and how many of them are in lists. */
static bool count_lists(struct bytes rest, size_t *rooms, size_t *rules)
{
    *rooms = *rules = 0;
    while (rest.size) {
        struct wire_field field;
        if (!take_wire_field(&rest, &field))
            return false;
        *rooms += field.number == FIELD_ROOMS;
        *rules += field.number == FIELD_RULES;
    }
    return true;
}

bool notification_count_rooms(struct bytes value, size_t *count)
{
    size_t rules;
    return count_lists(value, count, &rules);
}

static bool decode_fields(struct bytes rest, struct decoded_notification *decoded, size_t rooms)
{
    struct notification *view = &decoded->view;
    view->rooms = decoded->lists;
    view->rules = decoded->lists + rooms;
    while (rest.size) {
        struct wire_field field;
        bool whole = take_wire_field(&rest, &field);
        assert(whole); /* count_lists() has passed over it */
        if (!whole || !decode_field(&field, decoded, decoded->lists, decoded->lists + rooms))
            return false;
    }
    assert(view->room_count == rooms);
    /* Nobody could say what is removed: it is no item. */
    if (view->item.key.size == 0)
        view->item = (struct notification_item){0};
    return true;
}

/* --- What can be given to clients -------------------------------------------------------------- */

/* A text goes to clients as JSON in UTF-8: one that cannot would end the connection of each that is
 * given it. A lone surrogate in the manner of UTF-8 is written as an escape. A NUL is in no text of
 * ours, and would end it for a client that reads protobuf in C. */
static bool text_is_sound(struct bytes text)
{
    while (text.size) {
        uint32_t code;
        size_t size = text.data[0] < 0x80 ? text.data[0] != 0 : unicode_decode(text, &code);
        if (size == 0 && text.size >= 3 && text.data[0] == 0xed && text.data[1] >= 0xa0 &&
            text.data[1] <= 0xbf && (text.data[2] & 0xc0) == 0x80)
            size = 3;
        if (size == 0)
            return false;
        text = bytes_skip(text, size);
    }
    return true;
}

static bool texts_are_sound(const struct bytes *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!text_is_sound(texts[i]))
            return false;
    return true;
}

/* `data` goes out as it is, in the middle of our JSON: what is malformed would break all that is
 * around it. */
static bool data_is_sound(struct bytes data)
{
    return data.size == 0 || json_validate(data, JSON_DEPTH_MAX, NULL) == STATUS_OK;
}

static bool content_is_sound(const struct notification *view)
{
    switch (view->type) {
    case NOTIFICATION_TASK_STATUS:
#define X(field, json, number)                   \
    if (!text_is_sound(view->task_status.field)) \
        return false;
        TASK_STATUS_TEXTS(X)
#undef X
        return data_is_sound(view->task_status.data);
    case NOTIFICATION_CLIENT:
#define X(field, json, number)              \
    if (!text_is_sound(view->client.field)) \
        return false;
        CLIENT_TEXTS(X)
#undef X
        return data_is_sound(view->client.data);
    case NOTIFICATION_REVIEW_ALERT:
#define X(field, json, number)              \
    if (!text_is_sound(view->review.field)) \
        return false;
        REVIEW_TEXTS(X)
#undef X
        return data_is_sound(view->review.data);
    case NOTIFICATION_REVIEW_UPDATED:
#define X(field, json, number)                     \
    if (!text_is_sound(view->review_update.field)) \
        return false;
        REVIEW_UPDATE_TEXTS(X)
#undef X
        return true;
    case NOTIFICATION_REVIEW_REFUSED:
#define X(field, json, number)                      \
    if (!text_is_sound(view->review_refusal.field)) \
        return false;
        REVIEW_REFUSAL_TEXTS(X)
#undef X
        return true;
    case NOTIFICATION_CUSTOM:
        /* Whatever writes the lane: no name may pass for an event of ours or of the client's. */
        return !notification_event_problem(view->custom.event) &&
               text_is_sound(view->custom.task_id) && data_is_sound(view->custom.data);
    }
    return false;
}

static bool is_sound(const struct notification *view)
{
    const struct bytes texts[] = {
        view->id,          view->time,       view->event_id, view->rules_revision,
        view->traceparent, view->tracestate, view->item.key};
    return view->item.key.size <= NOTIFICATION_ITEM_KEY_LIMIT &&
           texts_are_sound(texts, sizeof(texts) / sizeof(texts[0])) &&
           texts_are_sound(view->rooms, view->room_count) &&
           texts_are_sound(view->rules, view->rule_count) && content_is_sound(view);
}

enum status notification_decode(struct bytes value, struct notification **notification)
{
    size_t rooms;
    size_t rules;
    if (!count_lists(value, &rooms, &rules))
        return STATUS_MALFORMED;
    struct decoded_notification *decoded =
        mem_alloc(sizeof(*decoded) + (rooms + rules) * sizeof(decoded->lists[0]));
    enum status status = STATUS_OK;
    bool whole = decode_fields(value, decoded, rooms);
    if (whole && !decoded->has_content) /* or one of a kind that a later version has */
        status = STATUS_UNSUPPORTED;
    else if (!whole || !is_sound(&decoded->view))
        status = STATUS_MALFORMED;
    if (status != STATUS_OK) {
        free(decoded);
        return status;
    }
    *notification = &decoded->view;
    return STATUS_OK;
}

void notification_free(struct notification *notification)
{
    free(notification); /* the first member of what was allocated */
}
