#include "message.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mem.h"
#include "room.h"

struct frame {
    size_t size;
    uint8_t data[];
};

static uint8_t *scope_of(struct message *message)
{
    return (uint8_t *)(message->room_hashes + message->room_count);
}

static struct bytes value_of(struct message *message)
{
    return bytes_of(scope_of(message) + message->scope_size, message->value_size);
}

/* Two bytes by which a later reader of the same offset recognises the record. */
static uint16_t record_check(const struct lane_record *record)
{
    uint64_t hash = XXH3_64bits_withSeed(record->value.data, record->value.size,
                                         (uint64_t)record->timestamp_ms);
    uint16_t check = (uint16_t)(hash ^ hash >> 16);
    return check ? check : 1;
}

/* A record without the header (another producer's, an older one's) is decoded to find its rooms. */
static void hash_rooms(struct message *message, struct bytes scope)
{
    for (uint16_t i = 0; i < message->room_count; i++)
        message->room_hashes[i] = room_hash(scope, message->notification->rooms[i]);
}

struct message *message_new(uint32_t lane_id, const struct lane_record *record, bool room_keyed,
                            unsigned rooms_limit)
{
    struct bytes scope = room_keyed ? bytes_of("", 0) : record->key;
    size_t rooms = record->room_hashes.size / 8;
    bool malformed = record->room_hashes.size % 8 != 0;
    struct notification *notification = NULL;
    if (!malformed && rooms == 0) {
        malformed = notification_decode(record->value, &notification) != STATUS_OK;
        rooms = malformed ? 0 : notification->room_count;
    }
    if (rooms > rooms_limit) {
        malformed = true;
        rooms = 0;
    }
    assert(scope.size <= UINT16_MAX && record->value.size <= UINT32_MAX);
    struct message *message =
        mem_alloc(sizeof(*message) + 8 * rooms + scope.size + record->value.size);
    message->references = 1;
    message->lane_id = lane_id;
    message->offset = record->offset;
    message->timestamp_ms = record->timestamp_ms;
    message->check = record_check(record);
    message->room_count = (uint16_t)rooms;
    message->value_size = (uint32_t)record->value.size;
    message->scope_size = (uint16_t)scope.size;
    message->malformed = malformed;
    message->notification = notification;
    if (scope.size)
        memcpy(scope_of(message), scope.data, scope.size);
    if (record->value.size)
        memcpy(scope_of(message) + scope.size, record->value.data, record->value.size);
    if (notification && !malformed)
        hash_rooms(message, scope);
    else
        for (size_t i = 0; i < rooms; i++) {
            uint64_t hash;
            memcpy(&hash, record->room_hashes.data + 8 * i, 8);
            message->room_hashes[i] = le64toh(hash);
        }
    return message;
}

struct message *message_ref(struct message *message)
{
    message->references++;
    return message;
}

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

size_t message_record_bytes(const struct message *message)
{
    return sizeof(*message) + 8 * (size_t)message->room_count + message->scope_size +
           message->value_size;
}

size_t message_bytes(const struct message *message)
{
    size_t size = message_record_bytes(message);
    for (size_t i = 0; i < TRANSPORT_SLOT_COUNT; i++)
        if (message->frames[i])
            size += sizeof(struct frame) + message->frames[i]->size;
    return size;
}

bool message_decode(struct message *message)
{
    if (!message->notification && !message->malformed)
        message->malformed =
            notification_decode(value_of(message), &message->notification) != STATUS_OK;
    return !message->malformed;
}

void message_forget_decoded(struct message *message)
{
    notification_free(message->notification);
    message->notification = NULL;
}

bool message_names_room(struct message *message, struct bytes scope, struct bytes name)
{
    if (!bytes_equal(bytes_of(scope_of(message), message->scope_size), scope) ||
        !message_decode(message))
        return false;
    for (size_t i = 0; i < message->notification->room_count; i++)
        if (bytes_equal(message->notification->rooms[i], name))
            return true;
    return false;
}

struct bytes message_frame(struct message *message, const struct transport_ops *transport)
{
    struct frame *frame = message->frames[transport->slot];
    if (!frame) {
        auto_buffer struct buffer json = {0};
        auto_buffer struct buffer out = {0};
        bool decoded = message_decode(message);
        assert(decoded);
        (void)decoded;
        notification_to_json(message->notification, &json);
        const char *event = notification_event_name(message->notification->type);
        struct message_view view = {.event = bytes_of_string(event),
                                    .json = buffer_peek(&json),
                                    .protobuf = value_of(message)};
        transport->encode(&view, &out);
        frame = mem_alloc(sizeof(*frame) + buffer_size(&out));
        frame->size = buffer_size(&out);
        memcpy(frame->data, buffer_peek(&out).data, frame->size);
        message->frames[transport->slot] = frame;
    }
    return bytes_of(frame->data, frame->size);
}
