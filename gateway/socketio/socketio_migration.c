/* A connection's way to another gateway and from there. Its form: each socket's name and state,
 * whether it has still to connect to a namespace in time, then a packet that is not complete.
 *
 * What comes in is another gateway's, perhaps of another version or configuration: a namespace
 * that is not known here, or a decoder that does not want more, means that the session cannot go
 * on, and its client comes back with its cursor. */
#include <utlist.h>

#include "pack.h"
#include "socketio_server_private.h"

/* ---- Out ---- */

/* A packet whose attachments are on their way: the client sends the rest to the other gateway. */
static void pack_decoder(const struct socketio_decoder *decoder, struct buffer *state)
{
    struct bytes text;
    const struct bytes *attachments;
    uint32_t count;
    if (!socketio_decoder_peek(decoder, &text, &attachments, &count))
        return;
    pack_bytes(state, text);
    for (uint32_t i = 0; i < count; i++)
        pack_bytes(state, attachments[i]);
}

/* All sockets go, or none: STATUS_INCOMPLETE, while one of them waits for something that comes
 * here, keeps the connection. */
static enum status pack_sockets(struct socketio_connection *connection,
                                struct engineio_writer *writer, struct buffer *state,
                                int64_t now_ms)
{
    const struct socketio_application_ops *ops = connection->server->config.ops;
    struct socketio_socket *socket;
    auto_buffer struct buffer own = {0};
    unsigned count = 0;
    DL_FOREACH(connection->sockets, socket)
        count += !socket->gone;
    pack_number(state, count);
    DL_FOREACH(connection->sockets, socket) {
        if (socket->gone)
            continue;
        buffer_clear(&own);
        enum status status = ops->migrate_out(socket->context, writer, &own, now_ms);
        if (status == STATUS_OK && !socket->accepted)
            status = STATUS_INCOMPLETE;
        if (status != STATUS_OK)
            return status;
        assert(socket->accepted && !socket->gone);
        pack_bytes(state, bytes_of_string(socket->name));
        pack_bytes(state, buffer_peek(&own));
    }
    return STATUS_OK;
}

/* Sockets may end while they are asked: who goes is looked at again afterwards. */
enum status socketio_connection_migrate_out(void *context, struct engineio_writer *writer,
                                            struct buffer *state, int64_t now_ms)
{
    struct socketio_connection *connection = context;
    enum status status = pack_sockets(connection, writer, state, now_ms);
    socketio_connection_remove_gone(connection);
    if (connection->closing)
        return STATUS_CLOSED;
    if (status != STATUS_OK)
        return status;
    /* Whether it has still to connect to a namespace, in time. */
    pack_number(state, timer_is_set(&connection->timer) &&
                           !socketio_decoder_is_collecting(&connection->decoder));
    pack_decoder(&connection->decoder, state);
    assert(!connection->closing && connection->waiting == 0);
    socketio_connection_end(connection, SOCKETIO_DISCONNECT_MOVED, ENGINEIO_CLOSE_SERVER, now_ms);
    return STATUS_OK;
}

/* ---- In ---- */

/* Accepted already, as far as the client knows; `waiting` until their sessions are open here, and
 * until then the client is not listened to. */
static bool take_sockets(struct socketio_connection *connection, struct bytes *state,
                         int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    uint64_t count;
    if (!unpack_number(state, &count))
        return false;
    for (; count; count--) {
        struct bytes wanted, own;
        if (!unpack_bytes(state, &wanted) || !unpack_bytes(state, &own))
            return false;
        const char *name = socketio_find_namespace(server, wanted);
        if (!name || socketio_connection_find(connection, wanted))
            return false;
        struct socketio_socket *socket = socketio_connection_add(connection, name);
        socket->accepted = true;
        socket->waiting = true;
        connection->waiting++;
        void *made =
            server->config.ops->migrate_in(server->config.application, socket, own, now_ms);
        if (!socket->gone)
            socket->context = made;
    }
    return true;
}

/* The pieces are decoded again: so nothing is in the decoder that a client could not have sent. */
static bool take_decoder(struct socketio_connection *connection, struct bytes *state,
                         int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    struct socketio_packet packet;
    struct bytes piece;
    uint64_t timed;
    if (!unpack_limited(state, 1, &timed))
        return false;
    if (!timed)
        timer_wheel_cancel(server->wheel, &connection->timer);
    if (state->size == 0)
        return true;
    if (!unpack_bytes(state, &piece) ||
        socketio_decoder_text(&connection->decoder, piece, &packet) != STATUS_INCOMPLETE)
        return false;
    while (state->size)
        if (!unpack_bytes(state, &piece) ||
            socketio_decoder_binary(&connection->decoder, piece, &packet) != STATUS_INCOMPLETE)
            return false;
    assert(socketio_decoder_is_collecting(&connection->decoder));
    timer_wheel_set(server->wheel, &connection->timer,
                    now_ms + server->config.attachments_timeout_ms);
    return true;
}

/* A connection like any other, which then gets its past. */
void *socketio_connection_migrate_in(void *application, struct engineio_session *session,
                                     struct bytes state, int64_t now_ms)
{
    struct socketio_connection *connection = socketio_connection_new(application, session, now_ms);
    if (!take_sockets(connection, &state, now_ms) || !take_decoder(connection, &state, now_ms)) {
        socketio_connection_end(connection, SOCKETIO_DISCONNECT_TRANSPORT, ENGINEIO_CLOSE_SERVER,
                                now_ms);
        return NULL;
    }
    socketio_connection_remove_gone(connection);
    assert(connection->session == session);
    if (connection->waiting == 0)
        engineio_session_listen(session);
    return connection;
}
