/* A record, copied once out of the source's memory, and then shared by reference. Its decoded
 * form and its frames are made when they are needed for the first time: most records of a lane
 * name nobody who is here, and those are never decoded.
 *
 * Whatever is wrong with a record is found here and becomes its fault; nothing further in has to
 * check again. */
#include "message.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mem.h"
#include "narrow.h"
#include "room.h"

/* A body for a transport, in memory of its own. */
struct transport_frame {
    struct bytes event;            /* static, or of the message's value */
    struct body_part notification; /* in `body` */
    size_t size;
    uint8_t body[];
};

/* Nearly always room enough for the names of JSON and what a transport puts around it. */
enum { FRAME_ROOM = 512 };

/* One allocation: head, hashes of rooms, scope, value. */
static uint8_t *message_scope(struct message *message)
{
    return (uint8_t *)(message->room_hashes + message->room_count);
}

static struct bytes message_value(struct message *message)
{
    return bytes_of(message_scope(message) + message->scope_size, message->value_size);
}

/* Two bytes by which a later reader of the same offset recognises the record. */
static uint16_t record_check(const struct lane_record *record)
{
    uint64_t hash = XXH3_64bits_withSeed(record->value.data, record->value.size,
                                         (uint64_t)record->timestamp_ms);
    /* 0 says in a cursor that there is nothing to verify. */
    uint16_t check = (uint16_t)(hash ^ hash >> 16);
    return check ? check : 1;
}

/* Decodes; the fault, or that there is none. */
static enum record_fault decode_value(struct bytes value, size_t rooms_most,
                                      struct notification **notification)
{
    struct notification *decoded;
    if (notification_decode(value, &decoded) != STATUS_OK)
        return RECORD_BAD_VALUE;
    /* The value names more rooms than the header said: whom it was for is not known. */
    if (decoded->room_count > rooms_most) {
        notification_free(decoded);
        return RECORD_BAD_ROOMS;
    }
    *notification = decoded;
    return RECORD_SOUND;
}

/* What a record says before its value is decoded. */
struct record_head {
    enum record_fault fault;
    struct bytes scope;
    struct bytes value;
    size_t rooms;
};

static struct record_head read_record_head(const struct lane_record *record, enum lane_scope rule,
                                           unsigned rooms_limit)
{
    struct record_head head = {.value = record->value, .rooms = record->room_hashes.size / 8};
    bool whole = record->room_hashes.size % 8 == 0;
    if (record->key.size > LAYOUT_KEY_LIMIT || !lane_scope_take(rule, record->key, &head.scope))
        head.fault = RECORD_BAD_KEY;
    /* Without the header the value says how many there are, whoever is here. */
    else if (whole && head.rooms == 0 && !notification_count_rooms(record->value, &head.rooms))
        head.fault = RECORD_BAD_VALUE;
    else if (!whole || head.rooms > rooms_limit)
        head.fault = RECORD_BAD_ROOMS;
    if (head.fault)
        return (struct record_head){.fault = head.fault};
    return head;
}

/* The value is copied although the source has it: librdkafka's memory of a whole batch would be
 * held for one record. The hashes of the rooms are still to be written. */
static struct message *copy_record(uint32_t lane_id, const struct lane_record *record,
                                   const struct record_head *head)
{
    struct message *message =
        mem_alloc(sizeof(*message) + 8 * head->rooms + head->scope.size + head->value.size);
    message->references = 1;
    message->lane_id = lane_id;
    message->offset = record->offset;
    message->timestamp_ms = record->timestamp_ms;
    message->check = record_check(record);
    message->fault = narrow_8(head->fault);
    message->room_count = narrow_32(head->rooms);
    message->scope_size = narrow_32(head->scope.size);
    message->value_size = head->value.size;
    if (head->scope.size)
        memcpy(message_scope(message), head->scope.data, head->scope.size);
    if (head->value.size)
        memcpy(message_scope(message) + head->scope.size, head->value.data, head->value.size);
    return message;
}

/* A record without the header (another producer's, an older one's) is decoded to find its rooms.
 * False: it cannot be. */
static bool take_rooms(struct message *message, const struct lane_record *record)
{
    if (record->room_hashes.size == 0 && !message_decode(message))
        return false;
    for (uint32_t i = 0; i < message->room_count; i++) {
        uint64_t hash;
        if (record->room_hashes.size == 0) {
            hash = room_hash(message_rooms_scope(message), message->notification->rooms[i]);
        } else {
            hash = bytes_read_little_endian(record->room_hashes.data + 8 * (size_t)i, 8);
        }
        message->room_hashes[i] = hash;
    }
    return true;
}

struct message *message_new(uint32_t lane_id, const struct lane_record *record,
                            enum lane_scope rule, unsigned rooms_limit)
{
    struct record_head head = read_record_head(record, rule, rooms_limit);
    assert(head.rooms <= rooms_limit && head.scope.size <= LAYOUT_KEY_LIMIT);
    struct message *message = copy_record(lane_id, record, &head);
    if (!message->fault && !take_rooms(message, record)) {
        head = (struct record_head){.fault = message->fault};
        message_unref(message);
        message = copy_record(lane_id, record, &head);
    }
    return message;
}

struct message *message_ref(struct message *message)
{
    assert(message->references > 0);
    message->references++;
    return message;
}

/* Frames and the decoded form are the message's, so they live as long as anybody holds it. */
void message_unref(struct message *message)
{
    if (!message)
        return;
    assert(message->references > 0);
    if (--message->references)
        return;
    notification_free(message->notification);
    for (size_t i = 0; i < TRANSPORT_SLOT_COUNT; i++)
        free(message->frames[i]);
    free(message);
}

struct bytes message_rooms_scope(const struct message *message)
{
    return bytes_of((const uint8_t *)(message->room_hashes + message->room_count),
                    message->scope_size);
}

size_t message_record_bytes(const struct message *message)
{
    return sizeof(*message) + 8 * (size_t)message->room_count + message->scope_size +
           message->value_size;
}

size_t message_bytes(const struct message *message)
{
    assert(message->references > 0);
    size_t size = message_record_bytes(message);
    for (size_t i = 0; i < TRANSPORT_SLOT_COUNT; i++)
        if (message->frames[i])
            size += sizeof(struct transport_frame) + message->frames[i]->size;
    return size;
}

/* A value that cannot be decoded makes the record faulty from then on: it is tried once. */
bool message_decode(struct message *message)
{
    if (!message->notification && !message->fault)
        message->fault = narrow_8(
            decode_value(message_value(message), message->room_count, &message->notification));
    assert(!message->fault == (message->notification != NULL));
    return !message->fault;
}

void message_forget_decoded(struct message *message)
{
    notification_free(message->notification);
    message->notification = NULL;
}

void message_forget_frame(struct message *message, enum transport_slot slot)
{
    assert(slot < TRANSPORT_SLOT_COUNT);
    free(message->frames[slot]);
    message->frames[slot] = NULL;
}

bool message_names_room(struct message *message, struct bytes scope, struct bytes name)
{
    assert(name.size > 0);
    if (!bytes_equal(message_rooms_scope(message), scope) || !message_decode(message))
        return false;
    for (size_t i = 0; i < message->notification->room_count; i++)
        if (bytes_equal(message->notification->rooms[i], name))
            return true;
    return false;
}

/* The head first, then whatever the transport appends behind it: the memory that was written to is
 * the frame's. */
static struct transport_frame *make_frame(struct message *message,
                                          const struct transport_ops *transport)
{
    auto_buffer struct buffer out = {0};
    bool decoded = message_decode(message);
    assert(decoded);
    (void)decoded;
    struct bytes event = notification_event(message->notification);
    struct message_view view = {
        .event = event, .notification = message->notification, .protobuf = message_value(message)};
    buffer_reserve(&out, sizeof(struct transport_frame) + message->value_size + FRAME_ROOM);
    buffer_commit(&out, sizeof(struct transport_frame));
    struct body_part part = transport->encode(&view, &out);
    size_t size = buffer_size(&out) - sizeof(struct transport_frame);
    assert(part.start >= sizeof(struct transport_frame) && part.start <= buffer_size(&out));
    assert(part.size <= buffer_size(&out) - part.start);
    part.start -= sizeof(struct transport_frame);
    struct transport_frame *frame = buffer_take(&out);
    frame->event = event;
    frame->notification = part;
    frame->size = size;
    return frame;
}

/* Once for each way of reaching clients, then shared by all of them: what is a client's own, its
 * cursor, stands beside it. */
struct bytes message_frame(struct message *message, const struct transport_ops *transport)
{
    struct transport_frame *frame = message->frames[transport->slot];
    if (!frame)
        frame = message->frames[transport->slot] = make_frame(message, transport);
    return bytes_of(frame->body, frame->size);
}

struct bytes message_framed_notification(const struct message *message, enum transport_slot slot,
                                         struct bytes *event)
{
    const struct transport_frame *frame = message->frames[slot];
    assert(frame);
    *event = frame->event;
    return bytes_of(frame->body + frame->notification.start, frame->notification.size);
}
