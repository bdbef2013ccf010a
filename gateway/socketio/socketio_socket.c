/* What the application says to a socket, and asks of it: each call is one packet, or an end.
 * After a call that ends the socket it is gone for the application, which is not told so again. */
#include <assert.h>

#include "socketio_server_private.h"

/* ---- Asking ---- */

struct bytes socketio_socket_namespace(const struct socketio_socket *socket)
{
    return bytes_of_string(socket->name);
}

struct engineio_session *socketio_socket_session(const struct socketio_socket *socket)
{
    return socket->connection->session;
}

/* ---- Answers to CONNECT ---- */

/* CONNECT, queued as any packet: for applications without a stream. */
void socketio_socket_accept(struct socketio_socket *socket, struct bytes sid, struct bytes pid)
{
    assert(!socket->accepted && !socket->gone);
    socket->accepted = true;
    socketio_append_connect(socketio_begin_text(socket->connection->server),
                            bytes_of_string(socket->name), sid, pid);
    socketio_connection_send(socket->connection);
}

/* CONNECT in the stream, so that it stands in front of what was missed. */
void socketio_writer_accept(struct socketio_socket *socket, struct engineio_writer *writer,
                            struct bytes sid, struct bytes pid)
{
    assert(!socket->accepted && !socket->gone);
    socket->accepted = true;
    struct buffer *out = socketio_begin_text(socket->connection->server);
    socketio_append_connect(out, bytes_of_string(socket->name), sid, pid);
    struct bytes text = buffer_peek(out);
    engineio_writer_text(writer, &text, 1);
}

void socketio_socket_refuse(struct socketio_socket *socket, struct bytes message, struct bytes data)
{
    assert(!socket->accepted && !socket->gone);
    socket->connection->server->stats.connects_refused++;
    socketio_append_connect_error(socketio_begin_text(socket->connection->server),
                                  bytes_of_string(socket->name), message, data);
    socketio_connection_send(socket->connection);
    socketio_socket_retire(socket);
    struct socketio_connection *connection = socket->connection;
    socketio_connection_count_refusal(connection);
    /* In no namespace again, as at the beginning: it has as long to be let into one. */
    if (!socketio_connection_has_socket(connection) && !connection->closing)
        timer_wheel_set(connection->server->wheel, &connection->timer,
                        connection->server->wheel->now_ms +
                            connection->server->config.connect_timeout_ms);
}

void socketio_socket_continue(struct socketio_socket *socket)
{
    assert(socket->waiting);
    socket->waiting = false;
    if (--socket->connection->waiting == 0)
        engineio_session_listen(socket->connection->session);
}

/* ---- Packets ---- */

void socketio_socket_tell(struct socketio_socket *socket, const char *word)
{
    const struct socketio_connection *connection = socket->connection;
    assert(!socket->gone);
    /* A polling client may not have fetched the answer to CONNECT yet, and reads no close frame. */
    if (socket->accepted || !engineio_session_is_websocket(connection->session))
        socketio_connection_tell(socket->connection, bytes_of_string(socket->name), word);
}

/* The namespace is the socket's, whatever the event says. */
void socketio_socket_emit(struct socketio_socket *socket, const struct socketio_event *event,
                          const struct bytes *attachments)
{
    struct socketio_event own = *event;
    assert(!socket->gone);
    own.name_space = bytes_of_string(socket->name);
    socketio_append_event(socketio_begin_text(socket->connection->server), &own);
    socketio_connection_send(socket->connection);
    socketio_connection_send_attachments(socket->connection, attachments, event->attachment_count);
}

void socketio_socket_ack(struct socketio_socket *socket, uint64_t ack_id, struct bytes arguments,
                         const struct bytes *attachments, uint32_t attachment_count)
{
    assert(!socket->gone);
    socketio_append_ack(socketio_begin_text(socket->connection->server),
                        bytes_of_string(socket->name), ack_id, arguments, attachment_count);
    socketio_connection_send(socket->connection);
    socketio_connection_send_attachments(socket->connection, attachments, attachment_count);
}

/* Asked for what it has at the end of the turn, or when the client can take more. */
void socketio_socket_wake(struct socketio_socket *socket)
{
    assert(!socket->gone);
    socket->awake = true;
    engineio_session_wake(socket->connection->session);
}

/* ---- Ends ---- */

void socketio_socket_count_refusal(struct socketio_socket *socket)
{
    assert(!socket->gone);
    socketio_connection_count_refusal(socket->connection);
}

/* The stock client takes DISCONNECT for final: it does not come back by itself. */
void socketio_socket_disconnect(struct socketio_socket *socket)
{
    assert(!socket->gone);
    socketio_append_disconnect(socketio_begin_text(socket->connection->server),
                               bytes_of_string(socket->name));
    socketio_connection_send(socket->connection);
    socketio_socket_retire(socket);
}

void socketio_socket_close_transport(struct socketio_socket *socket, unsigned code,
                                     const char *word)
{
    struct socketio_connection *connection = socket->connection;
    assert(!socket->gone && word);
    socketio_socket_retire(socket);
    connection->closing = true;
    engineio_session_close_for(connection->session, code, word);
}

/* No packet more: the queue that is full is the one it would go into. Engine.IO says why. */
void socketio_socket_close_overflowed(struct socketio_socket *socket)
{
    struct socketio_connection *connection = socket->connection;
    assert(!socket->gone);
    socketio_socket_retire(socket);
    connection->closing = true;
    engineio_session_overflow(connection->session);
}
