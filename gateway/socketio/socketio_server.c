/* Socket.IO as the application of an Engine.IO server: messages in, sockets asked for what they
 * have to say, turns among namespaces. What a packet means is socketio_packets.c, what is said is
 * socketio_socket.c.
 *
 * Two tables of operations: with an application that can move its sockets sessions may migrate
 * to other gateways, else they stay (the echo of the protocol's own suites has no state to
 * move). */
#include "socketio_server.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "base64.h"
#include "mem.h"
#include "socketio_server_private.h"

/* ---- The Engine.IO application ---- */

/* Origins and the like: the application may refuse before there is a session. */
static bool allow(void *application, const struct http_request *request, const char **message)
{
    struct socketio_server *server = application;
    return !server->config.ops->allow ||
           server->config.ops->allow(server->config.application, request, message);
}

/* One message of Engine.IO is a packet's text or one of its attachments. The attachments have a
 * deadline together, which begins with the text. */
static void connection_message(void *context, struct bytes data, bool binary, int64_t now_ms)
{
    struct socketio_connection *connection = context;
    struct socketio_server *server = connection->server;
    assert(connection->waiting == 0);
    if (connection->closing)
        return;
    bool was_collecting = socketio_decoder_is_collecting(&connection->decoder);
    struct socketio_packet packet;
    enum status status = binary ? socketio_decoder_binary(&connection->decoder, data, &packet)
                                : socketio_decoder_text(&connection->decoder, data, &packet);
    if (status == STATUS_OK) {
        if (was_collecting)
            timer_wheel_cancel(server->wheel, &connection->timer);
        socketio_connection_take(connection, &packet, now_ms);
    } else if (status != STATUS_INCOMPLETE || !connection->sockets) {
        socketio_connection_refuse_message(connection, status, &packet);
    } else if (!was_collecting) {
        timer_wheel_set(server->wheel, &connection->timer,
                        now_ms + server->config.attachments_timeout_ms);
    }
    socketio_connection_remove_gone(connection);
}

/* Namespaces are asked one behind the other until the writer is full. `awake` is cleared before the
 * call, since the application may wake the socket again from inside. */
static bool connection_pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    struct socketio_connection *connection = context;
    bool more = false;
    struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket) {
        if (!socket->awake || socket->gone)
            continue;
        if (!engineio_writer_has_room(writer)) {
            more = true;
            break;
        }
        socket->awake = false;
        if (connection->server->config.ops->pull(socket->context, writer, now_ms) && !socket->gone)
            socket->awake = more = true;
    }
    socketio_connection_remove_gone(connection);
    /* Several namespaces take turns: who was first is last next time. */
    if (more && connection->sockets && connection->sockets->next) {
        socket = connection->sockets;
        DL_DELETE(connection->sockets, socket);
        DL_APPEND(connection->sockets, socket);
    }
    return more;
}

/* The client, the network or this server ended the session: for its sockets that is one thing. */
static void connection_closed(void *context, enum engineio_close reason, int64_t now_ms)
{
    socketio_connection_end(context, SOCKETIO_DISCONNECT_TRANSPORT, reason, now_ms);
}

/* As for one whose domain's queue of answers is full. */
static void connection_overflowed(void *context)
{
    struct socketio_connection *connection = context;
    socketio_connection_tell_anywhere(connection, "too_many_answers");
}

static const struct engineio_application_ops staying_ops = {
    .allow = allow,
    .opened = socketio_connection_new,
    .message = connection_message,
    .pull = connection_pull,
    .overflowed = connection_overflowed,
    .closed = connection_closed,
};

static const struct engineio_application_ops moving_ops = {
    .allow = allow,
    .opened = socketio_connection_new,
    .message = connection_message,
    .pull = connection_pull,
    .overflowed = connection_overflowed,
    .migrate_out = socketio_connection_migrate_out,
    .migrate_in = socketio_connection_migrate_in,
    .closed = connection_closed,
};

/* ---- The server ---- */

/* What is left at zero gets the value of the JavaScript server where that has one. */
struct socketio_server *socketio_server_new(const struct socketio_config *config,
                                            struct http_server *http, struct timer_wheel *wheel)
{
    assert(config->namespaces && config->ops);
    struct socketio_server *server = mem_new(struct socketio_server);
    server->config = *config;
    server->wheel = wheel;
    if (!server->config.connect_timeout_ms)
        server->config.connect_timeout_ms = 45000;
    if (!server->config.attachments_timeout_ms)
        server->config.attachments_timeout_ms = 30000;
    if (!server->config.refusals)
        server->config.refusals = 5;
    assert(server->config.refusals <= UINT16_MAX); /* a connection counts them in so many bits */
    if (!server->config.refusals_ms)
        server->config.refusals_ms = 60000;
    server->refusals = http_server_refusals(http);
    server->config.engineio.ops = config->ops->migrate_out ? &moving_ops : &staying_ops;
    server->config.engineio.application = server;
    server->engineio = engineio_server_new(&server->config.engineio, http, wheel);
    return server;
}

/* Ends every session, and so every connection, before what they use goes. */
void socketio_server_free(struct socketio_server *server)
{
    if (!server)
        return;
    engineio_server_free(server->engineio);
    buffer_deinit(&server->scratch);
    free(server);
}

struct engineio_server *socketio_engineio(struct socketio_server *server)
{
    return server->engineio;
}

const struct socketio_stats *socketio_server_stats(const struct socketio_server *server)
{
    return &server->stats;
}

void socketio_new_id(struct socketio_server *server, char id[SOCKETIO_ID_SIZE])
{
    uint8_t random[(SOCKETIO_ID_SIZE - 1) / 4 * 3];
    server->config.engineio.random(server->config.engineio.random_context, random, sizeof(random));
    struct buffer *out = socketio_begin_text(server);
    base64_encode_url(bytes_of(random, sizeof(random)), out);
    assert(buffer_size(out) == SOCKETIO_ID_SIZE - 1);
    memcpy(id, buffer_peek(out).data, SOCKETIO_ID_SIZE - 1);
    id[SOCKETIO_ID_SIZE - 1] = '\0';
}
