/* Encoding of Socket.IO 5's packets. Payloads pass as they are; only texts of ours are escaped.
 *
 * An event is written in two parts, because most of it is the same for every client: the body once
 * for a message, shared by all who get it, and the tail with the client's own cursor.
 *
 *     2["notification",{...}      the body, once
 *                           ,"cursor"]   the tail, each
 * */
#include <assert.h>

#include "json.h"
#include "socketio_packet.h"

void socketio_append_head(struct buffer *out, const struct socketio_packet *packet)
{
    struct bytes name_space = packet->name_space;
    buffer_append_byte(out, (uint8_t)('0' + packet->type));
    if (packet->type == SOCKETIO_BINARY_EVENT || packet->type == SOCKETIO_BINARY_ACK) {
        assert(packet->attachment_count >= 1 &&
               packet->attachment_count <= SOCKETIO_MAX_ATTACHMENTS);
        buffer_append_format(out, "%u-", packet->attachment_count);
    }
    /* The main namespace is not named, as the official encoder has it. */
    if (name_space.size && !bytes_equal_string(name_space, "/")) {
        assert(name_space.data[0] == '/' && !memchr(name_space.data, ',', name_space.size));
        buffer_append(out, name_space);
        buffer_append_byte(out, ',');
    }
    if (packet->has_ack_id)
        buffer_append_format(out, "%llu", (unsigned long long)packet->ack_id);
}

void socketio_append_packet(struct buffer *out, const struct socketio_packet *packet)
{
    socketio_append_head(out, packet);
    buffer_append(out, packet->payload);
}

/* sid and pid are made by us, of letters that need no escape. With a pid the stock client keeps
 * offsets and offers them when it comes back (connection state recovery). */
void socketio_append_connect(struct buffer *out, struct bytes name_space, struct bytes sid,
                             struct bytes pid)
{
    assert(sid.size > 0);
    socketio_append_head(
        out, &(struct socketio_packet){.type = SOCKETIO_CONNECT, .name_space = name_space});
    buffer_append(out, BYTES_LITERAL("{\"sid\":\""));
    buffer_append(out, sid);
    if (pid.size) {
        buffer_append(out, BYTES_LITERAL("\",\"pid\":\""));
        buffer_append(out, pid);
    }
    buffer_append(out, BYTES_LITERAL("\"}"));
}

void socketio_append_connect_error(struct buffer *out, struct bytes name_space,
                                   struct bytes message, struct bytes data)
{
    socketio_append_head(
        out, &(struct socketio_packet){.type = SOCKETIO_CONNECT_ERROR, .name_space = name_space});
    buffer_append(out, BYTES_LITERAL("{\"message\":"));
    json_write_string(out, message);
    if (data.size) {
        buffer_append(out, BYTES_LITERAL(",\"data\":"));
        buffer_append(out, data);
    }
    buffer_append_byte(out, '}');
}

void socketio_append_disconnect(struct buffer *out, struct bytes name_space)
{
    socketio_append_head(
        out, &(struct socketio_packet){.type = SOCKETIO_DISCONNECT, .name_space = name_space});
}

void socketio_append_ack(struct buffer *out, struct bytes name_space, uint64_t ack_id,
                         struct bytes arguments, uint32_t attachment_count)
{
    assert(attachment_count <= SOCKETIO_MAX_ATTACHMENTS);
    socketio_append_head(out, &(struct socketio_packet){
                                  .type = attachment_count ? SOCKETIO_BINARY_ACK : SOCKETIO_ACK,
                                  .name_space = name_space,
                                  .has_ack_id = true,
                                  .ack_id = ack_id,
                                  .attachment_count = attachment_count,
                              });
    buffer_append_byte(out, '[');
    buffer_append(out, arguments);
    buffer_append_byte(out, ']');
}

static void append_name_and_arguments(struct buffer *out, struct bytes name, struct bytes arguments)
{
    buffer_append_byte(out, '[');
    json_write_string(out, name);
    if (arguments.size) {
        buffer_append_byte(out, ',');
        buffer_append(out, arguments);
    }
}

void socketio_append_event_body(struct buffer *out, struct bytes name_space, struct bytes name,
                                struct bytes arguments)
{
    socketio_append_head(
        out, &(struct socketio_packet){.type = SOCKETIO_EVENT, .name_space = name_space});
    append_name_and_arguments(out, name, arguments);
}

/* The stock client takes the last argument of an event for the offset to come back with, if it is a
 * text. So the cursor is the last argument, and not a member somewhere inside. */
void socketio_append_event_tail(struct buffer *out, struct bytes cursor)
{
    if (cursor.size) {
        buffer_append(out, BYTES_LITERAL(",\""));
        buffer_append(out, cursor);
        buffer_append_byte(out, '"');
    }
    buffer_append_byte(out, ']');
}

void socketio_append_event(struct buffer *out, const struct socketio_event *event)
{
    assert(event->attachment_count <= SOCKETIO_MAX_ATTACHMENTS);
    socketio_append_head(
        out, &(struct socketio_packet){
                 .type = event->attachment_count ? SOCKETIO_BINARY_EVENT : SOCKETIO_EVENT,
                 .name_space = event->name_space,
                 .has_ack_id = event->has_ack_id,
                 .ack_id = event->ack_id,
                 .attachment_count = event->attachment_count,
             });
    append_name_and_arguments(out, event->name, event->arguments);
    socketio_append_event_tail(out, event->cursor);
}

void socketio_append_placeholder(struct buffer *out, uint32_t index)
{
    assert(index < SOCKETIO_MAX_ATTACHMENTS);
    buffer_append_format(out, "{\"_placeholder\":true,\"num\":%u}", index);
}
