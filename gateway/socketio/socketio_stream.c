/* What clients are told: each step of a session's stream as packets of Socket.IO.
 *
 * A notification is framed once for all clients ("name",{...}), and only the head, the brackets
 * and the cursor are each client's own: they are handed to the writer as parts, and copied once.
 * Every event ends with the cursor, since the stock client takes any trailing string for its new
 * offset: an event without one would overwrite the cursor that the client holds. */
#include <assert.h>
#include <string.h>

#include "json.h"
#include "socketio_adapter_private.h"

/* "2" or "2/admin,": the packet type and the namespace. */
static struct bytes packet_head(struct adapter_socket *socket, const struct socketio_packet *packet)
{
    struct buffer *head = &socket->adapter->head;
    struct socketio_packet own = *packet;
    own.name_space = socketio_socket_namespace(socket->socket);
    buffer_clear(head);
    socketio_append_head(head, &own);
    return buffer_peek(head);
}

/* An event whose arguments are `body` ("name",...) and, as the last, the cursor. */
static void write_event(struct adapter_socket *socket, struct engineio_writer *writer,
                        struct bytes body, struct bytes cursor)
{
    static const struct socketio_packet event = {.type = SOCKETIO_EVENT};
    struct bytes parts[] = {
        packet_head(socket, &event), BYTES_LITERAL("["), body, BYTES_LITERAL(",\""), cursor,
        BYTES_LITERAL("\"]")};
    assert(body.size > 0 && body.data[0] == '"');
    if (cursor.size == 0) {
        parts[3] = BYTES_LITERAL("]");
        parts[5] = bytes_of("", 0);
    }
    engineio_writer_text(writer, parts, 6);
}

/* An ack has an array of arguments; ours has one. */
static void append_refusal(struct buffer *text, const struct delivery *delivery)
{
    assert(delivery->reason);
    buffer_append_byte(text, '[');
    refusal_append_answer(text, delivery->reason, delivery->claim, delivery->retry_after_ms);
    buffer_append_byte(text, ']');
}

/* The answer to what `delivery` is about. */
static void write_ack(struct adapter_socket *socket, struct engineio_writer *writer,
                      const struct delivery *delivery)
{
    uint64_t request = delivery->request;
    const char *problem = delivery->reason;
    if (problem)
        socketio_adapter_note(socket, problem, delivery->claim, false);
    if (request == REQUEST_SILENT || request == 0)
        return;
    struct buffer *text = &socket->adapter->text;
    struct socketio_packet ack = {.type = SOCKETIO_ACK, .has_ack_id = true, .ack_id = request - 1};
    buffer_clear(text);
    if (problem)
        append_refusal(text, delivery);
    else if (delivery->has_history)
        buffer_append_format(text, "[{\"ok\":true,\"history\":{\"count\":%u,\"complete\":%s}}]",
                             delivery->history_count,
                             delivery->history_complete ? "true" : "false");
    else if (delivery->has_state)
        buffer_append_format(
            text, "[{\"ok\":true,\"state\":{\"count\":%u,\"complete\":%s,\"since\":%lld}}]",
            delivery->history_count, delivery->history_complete ? "true" : "false",
            (long long)delivery->since_ms);
    else
        buffer_append_string(text, "[{\"ok\":true}]");
    struct bytes parts[] = {packet_head(socket, &ack), buffer_peek(text)};
    engineio_writer_text(writer, parts, 2);
}

/* Members of an object, which stays open. Names of events need no escapes. */
static void append_event_members(struct buffer *out, struct bytes event, struct bytes notification)
{
    assert(event.size > 0 && notification.size > 0);
    buffer_append_string(out, "\"event\":\"");
    buffer_append(out, event);
    buffer_append_string(out, "\",\"data\":");
    buffer_append(out, notification);
}

/* One from before a join: the event `history`, whose argument says what it was. */
static void stream_write_history(struct adapter_socket *socket, struct engineio_writer *writer,
                                 const struct delivery *delivery)
{
    struct buffer *text = &socket->adapter->text;
    buffer_clear(text);
    buffer_append_string(text, "\"history\",{\"room\":");
    json_write_string(text, delivery->room);
    buffer_append_byte(text, ',');
    append_event_members(text, delivery->event, delivery->body);
    buffer_append_byte(text, '}');
    write_event(socket, writer, buffer_peek(text), delivery->cursor);
}

/* {"event":"name","data":{notification}}, one behind the other. */
static void socketio_append_item(struct buffer *list, struct bytes event, struct bytes notification)
{
    buffer_append_string(list, buffer_size(list) ? ",{" : "{");
    append_event_members(list, event, notification);
    buffer_append_byte(list, '}');
}

static void stream_write_state(struct adapter_socket *socket, struct engineio_writer *writer,
                               const struct delivery *delivery)
{
    struct buffer *text = &socket->adapter->text;
    assert(delivery->room.size > 0);
    buffer_clear(text);
    buffer_append_string(text, "\"state\",{\"room\":");
    json_write_string(text, delivery->room);
    buffer_append_format(text, ",\"first\":%s,\"items\":[", delivery->first ? "true" : "false");
    buffer_append(text, delivery->body);
    buffer_append_string(text, "]}");
    write_event(socket, writer, buffer_peek(text), delivery->cursor);
}

/* "subscribed",{"room":"task:42"} */
static struct bytes room_body(struct socketio_adapter *adapter, const char *event,
                              const struct delivery *delivery)
{
    struct buffer *text = &adapter->text;
    assert(event[0] && delivery->room.size > 0);
    buffer_clear(text);
    buffer_append_format(text, "\"%s\",{\"room\":", event);
    json_write_string(text, delivery->room);
    if (delivery->reason)
        buffer_append_format(text, ",\"reason\":\"%s\"", delivery->reason);
    buffer_append_byte(text, '}');
    return buffer_peek(text);
}

/* The answer to CONNECT: then, if what was missed could not be made up, an event that says so. The
 * client itself finds `recovered` by comparing its private id. */
static void write_opened(struct adapter_socket *socket, struct engineio_writer *writer,
                         const struct delivery *delivery)
{
    assert(delivery->kind == DELIVERY_OPENED);
    if (delivery->continued) {
        socketio_socket_continue(socket->socket);
        return;
    }
    socketio_writer_accept(socket->socket, writer, delivery->public_id, delivery->private_id);
    if (delivery->recovered || !delivery->reason)
        return;
    struct buffer *text = &socket->adapter->text;
    buffer_clear(text);
    buffer_append_format(text, "\"session\",{\"recovered\":false,\"reason\":\"%s\"}",
                         delivery->reason);
    write_event(socket, writer, buffer_peek(text), delivery->cursor);
}

/* The broker is away, or a lane stands still: what is shown may be old, since this time. */
static void write_stale(struct adapter_socket *socket, struct engineio_writer *writer,
                        const struct delivery *delivery)
{
    struct buffer *text = &socket->adapter->text;
    assert(delivery->kind == DELIVERY_STALE);
    buffer_clear(text);
    buffer_append_format(text, "\"stale\",{\"since\":%lld}", (long long)delivery->since_ms);
    write_event(socket, writer, buffer_peek(text), delivery->cursor);
}

/* One that asks and does not read hears why, as far as it reads now: an event, and the reason of
 * the WebSocket's end. */
static void stream_end(struct adapter_socket *socket, const struct delivery *delivery)
{
    assert(delivery->reason);
    if (delivery->overflow)
        socketio_adapter_end_overflowed(socket, delivery->reason);
    else
        socketio_adapter_end(socket, delivery->reason, delivery->transient);
}

/* Who is in a room, or who came and went: one text for all who are told. */
static void stream_write_presence(struct adapter_socket *socket, struct engineio_writer *writer,
                                  const struct delivery *delivery)
{
    struct buffer *text = &socket->adapter->text;
    assert(delivery->body.size > 0);
    buffer_clear(text);
    buffer_append_string(text, "\"presence\",");
    buffer_append(text, delivery->body);
    write_event(socket, writer, buffer_peek(text), delivery->cursor);
}

/* One step. What ends the socket ends the stream: the caller does not look at it again. */
bool socketio_stream_write(struct adapter_socket *socket, struct engineio_writer *writer,
                           const struct delivery *delivery)
{
    struct socketio_adapter *adapter = socket->adapter;
    switch (delivery->kind) {
    case DELIVERY_OPENED:
        write_opened(socket, writer, delivery);
        break;
    case DELIVERY_NOTIFICATION:
        write_event(socket, writer, delivery->body, delivery->cursor);
        break;
    case DELIVERY_HISTORY:
        stream_write_history(socket, writer, delivery);
        break;
    case DELIVERY_STATE:
        stream_write_state(socket, writer, delivery);
        engineio_writer_close(writer); /* thousands may open one room at once */
        break;
    case DELIVERY_JOINED: /* the cursor that names the room goes first (hazards 2) */
        write_event(socket, writer, room_body(adapter, "subscribed", delivery), delivery->cursor);
        write_ack(socket, writer, delivery);
        break;
    case DELIVERY_JOIN_REFUSED:
    case DELIVERY_REFRESHED:
        write_ack(socket, writer, delivery);
        break;
    case DELIVERY_LEFT:
        write_event(socket, writer, room_body(adapter, "unsubscribed", delivery), delivery->cursor);
        write_ack(socket, writer, delivery);
        break;
    case DELIVERY_PRESENCE:
        stream_write_presence(socket, writer, delivery);
        break;
    case DELIVERY_CURSOR:
        write_event(socket, writer, BYTES_LITERAL("\"cursor\""), delivery->cursor);
        break;
    case DELIVERY_STALE:
        write_stale(socket, writer, delivery);
        break;
    case DELIVERY_LIVE:
        write_event(socket, writer, BYTES_LITERAL("\"live\",{}"), delivery->cursor);
        break;
    case DELIVERY_REFUSED:
        socketio_adapter_turn_away(socket, delivery->reason, delivery->claim, delivery->transient);
        return false;
    case DELIVERY_CLOSE:
        stream_end(socket, delivery);
        return false;
    }
    return true;
}

/* Until the writer is full or the session has nothing more. What is not asked for stays where it
 * is, in the ring of its lane or in Kafka: a slow client costs no memory. */
bool socketio_stream_pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    struct adapter_socket *socket = context;
    struct delivery delivery;
    (void)now_ms;
    if (!socket->session)
        return false;
    while (engineio_writer_has_room(writer)) {
        if (!session_next(socket->session, &delivery))
            return false;
        if (!socketio_stream_write(socket, writer, &delivery))
            return false;
    }
    return true;
}

/* The session has something to say. Its end does not wait for the client to read: who asks and does
 * not read would never hear of it. */
static void stream_ready(struct session *session, void *connection)
{
    struct adapter_socket *socket = connection;
    struct delivery delivery;
    assert(socket->session == session);
    if (session_has_ended(session) && session_next(session, &delivery))
        stream_end(socket, &delivery); /* also while nobody polls, or the socket is full */
    else
        socketio_socket_wake(socket->socket);
}

/* "name",{notification}. A name holds nothing that JSON would have to escape. */
static struct body_part socketio_encode(const struct message_view *view, struct buffer *out)
{
    buffer_append_byte(out, '"');
    buffer_append(out, view->event);
    buffer_append_string(out, "\",");
    return message_view_append_json(view, out);
}

const struct transport_ops socketio_stream_transport = {.name = "socketio",
                                                        .slot = TRANSPORT_SLOT_SOCKETIO,
                                                        .encode = socketio_encode,
                                                        .ready = stream_ready,
                                                        .append_item = socketio_append_item};
