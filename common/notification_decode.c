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
#include <stddef.h>
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

enum { FIELD_PROGRESS = 9, FIELD_UPDATE_VERSION = 2 };

/* Where the view has the text or data of this number; NULL: it is neither. */
static struct bytes *content_bytes(struct notification *view, uint64_t number)
{
    const struct notification_fields *fields = &notification_fields[view->type];
    size_t place;
    if (number < fields->text_count && fields->texts[number].json)
        place = fields->texts[number].view;
    else if (number == fields->data.number)
        place = fields->data.view;
    else
        return NULL;
    return (void *)((uint8_t *)view + place);
}

static bool decode_content_field(const struct wire_field *field, struct notification *view)
{
    struct bytes *bytes = content_bytes(view, field->number);
    if (bytes)
        return field_content(field, bytes);
    if (view->type == NOTIFICATION_TASK_STATUS && field->number == FIELD_PROGRESS)
        return field_progress(field, &view->task_status);
    if (view->type == NOTIFICATION_REVIEW_UPDATED && field->number == FIELD_UPDATE_VERSION) {
        view->review_update.version =
            (uint32_t)field->varint; /* as protobuf has it: the low bits */
        return field->type == WIRE_VARINT;
    }
    return true;
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
    FIELD_LATE = 16
};

/* The view first, since its address is the caller's. */
struct decoded_notification {
    struct notification view;
    bool has_content;
    struct bytes lists[]; /* the rooms, then the rules */
};

/* A oneof: of several members the last one counts, whole. */
static bool decode_content(enum notification_type type, struct bytes rest,
                           struct decoded_notification *decoded)
{
    enum { CONTENT_AT = offsetof(struct notification, task_status) }; /* up to the end */
    struct notification *view = &decoded->view;
    if (decoded->has_content)
        memset((uint8_t *)view + CONTENT_AT, 0, sizeof(*view) - CONTENT_AT);
    decoded->has_content = true;
    view->type = type;
    while (rest.size) {
        struct wire_field field;
        if (!take_wire_field(&rest, &field) || !decode_content_field(&field, view))
            return false;
    }
    return true;
}

/* A field that is not the notification's own. */
static bool decode_kind(const struct wire_field *field, struct decoded_notification *decoded)
{
    for (unsigned type = 0; type < NOTIFICATION_TYPE_COUNT; type++)
        if (field->number == notification_fields[type].number)
            return field->type == WIRE_LENGTH &&
                   decode_content((enum notification_type)type, field->content, decoded);
    return true;
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
    case FIELD_LATE:
        view->late = field->varint != 0;
        return field->type == WIRE_VARINT;
    }
    return decode_kind(field, decoded);
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

/* How many bytes at the front are ASCII and not NUL. Of most texts that is all, and they are judged
 * by words of eight. */
static size_t ascii_size(struct bytes text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    size_t size = 0;
    for (; text.size - size >= sizeof(uint64_t); size += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.data + size, sizeof(word));
        /* Less one, a NUL has its high bit, and no other byte of ASCII gets it but behind a NUL. */
        if ((word | (word - ones)) & highs)
            break;
    }
    while (size < text.size && text.data[size] > 0 && text.data[size] < 0x80)
        size++;
    return size;
}

/* A text goes to clients as JSON in UTF-8: one that cannot would end the connection of each that is
 * given it. A lone surrogate in the manner of UTF-8 is written as an escape. A NUL is in no text of
 * ours, and would end it for a client that reads protobuf in C. */
static bool text_is_sound(struct bytes text)
{
    for (;;) {
        uint32_t code;
        text = bytes_skip(text, ascii_size(text));
        if (text.size == 0)
            return true;
        size_t size = text.data[0] ? unicode_decode(text, &code) : 0;
        if (size == 0 && text.size >= 3 && text.data[0] == 0xed && text.data[1] >= 0xa0 &&
            text.data[1] <= 0xbf && (text.data[2] & 0xc0) == 0x80)
            size = 3;
        if (size == 0)
            return false;
        text = bytes_skip(text, size);
    }
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
    const struct notification_fields *fields = &notification_fields[view->type];
    /* Whatever writes the lane: no name may pass for an event of ours or of the client's. */
    if (view->type == NOTIFICATION_CUSTOM && notification_event_problem(view->custom.event))
        return false;
    for (size_t i = 0; i < fields->text_count; i++)
        if (fields->texts[i].json &&
            !text_is_sound(*notification_bytes(view, fields->texts[i].view)))
            return false;
    return fields->data.number == 0 || data_is_sound(*notification_bytes(view, fields->data.view));
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
