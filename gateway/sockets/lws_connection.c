/* A connection as a wire (wire.h): what its receiver tells it, and what libwebsockets tells of it.
 * libwebsockets has the raw role here: bytes in, bytes out. Its own HTTP and WebSocket are not
 * used, so that one parser of ours sees every byte, and a delivery is one write().
 *
 *     NEW -> OPEN -> FLUSHING -> LINGERING -> DOOMED -> (freed)
 *              |---------------------------------^
 *              |---> BROKEN: the receiver is told, once, when it is freed
 *
 * The invariant: a connection is on the list of its state, and once it is open it is freed in one
 * place, connection_ended(), from libwebsockets' RAW_CLOSE. An earlier end only moves it
 * to `doomed`, which is emptied at the end of the turn: nobody is freed while he is on the stack.
 *
 * Threads: the loop's alone. */
#include <assert.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libwebsockets.h>
#include <utlist.h>

#include "lws_server_private.h"

static struct lws_connection *connection_of(struct wire *wire)
{
    return (struct lws_connection *)wire;
}

/* ---- States ---- */

static struct lws_connection **connection_list(struct lws_connection *connection)
{
    switch ((enum lws_connection_state)connection->state) {
    case CONNECTION_NEW:
        return NULL;
    case CONNECTION_OPEN:
        return &connection->server->open;
    case CONNECTION_FLUSHING:
    case CONNECTION_LINGERING:
        return &connection->server->closing;
    case CONNECTION_DOOMED:
    case CONNECTION_BROKEN:
        return &connection->server->doomed;
    }
    return NULL;
}

void lws_connection_move(struct lws_connection *connection, enum lws_connection_state state)
{
    struct lws_connection **from = connection_list(connection);
    if (from)                         /* then it is on that list */
        DL_DELETE(*from, connection); // NOLINT(clang-analyzer-core.NullDereference)
    connection->state = (uint8_t)state;
    struct lws_connection **to = connection_list(connection);
    if (to)
        DL_APPEND(*to, connection);
    if (state != CONNECTION_OPEN)
        connection->wire.writable = false;
}

/* Over TLS there is no half-close that we could ask libwebsockets for; it sends close_notify
 * itself. */
static void linger(struct lws_connection *connection)
{
    /* Not close(): with bytes of the peer unread it would send a reset, which may overtake our
     * answer. */
    if (connection->server->tls || shutdown(lws_get_socket_fd(connection->wsi), SHUT_WR) != 0) {
        lws_connection_move(connection, CONNECTION_DOOMED);
        return;
    }
    lws_rx_flow_control(connection->wsi, 1);
    connection->state = CONNECTION_LINGERING; /* same list, same deadline */
}

/* ---- wire_ops ---- */

/* lws_write() takes a mutable pointer for the sake of the framing that LWS_WRITE_RAW switches off.
 */
static unsigned char *mutable_pointer(const uint8_t *data)
{
    union {
        const uint8_t *in;
        unsigned char *out;
    } pointer = {data};
    return pointer.out;
}

static void connection_write(struct wire *wire, struct bytes bytes)
{
    struct lws_connection *connection = connection_of(wire);
    assert(connection->state == CONNECTION_OPEN && wire->writable);
    if (bytes.size == 0)
        return;
    struct lws_server_stats *stats = &connection->server->stats;
    /* What the kernel does not take libwebsockets copies and sends on its own: it returns the whole
     * size all the same. So this is the last write until it has got rid of that copy. */
    if (lws_write(connection->wsi, mutable_pointer(bytes.data), bytes.size, LWS_WRITE_RAW) < 0) {
        lws_connection_move(connection, CONNECTION_BROKEN);
        return;
    }
    stats->writes++;
    stats->bytes_written += bytes.size;
    if (lws_partial_buffered(connection->wsi)) {
        stats->partial_writes++;
        wire->writable = false;
        /* A client that does not read our answers is not asked for more questions. */
        lws_rx_flow_control(connection->wsi, 0);
    }
}

static void connection_want_writable(struct wire *wire)
{
    struct lws_connection *connection = connection_of(wire);
    if (connection->state != CONNECTION_OPEN || connection->wanted)
        return;
    connection->wanted = true;
    lws_callback_on_writable(connection->wsi);
}

/* May be called from inside of any callback of this connection, and by the domain at any time. From
 * here on nothing more is told to the receiver, which is about to be freed. */
static void connection_close(struct wire *wire, enum wire_end how)
{
    struct lws_connection *connection = connection_of(wire);
    wire->receiver_ops = NULL;
    if (connection->state == CONNECTION_BROKEN) {
        connection->state = CONNECTION_DOOMED; /* same list */
        return;
    }
    assert(connection->state == CONNECTION_OPEN);
    if (how == WIRE_ABORT) {
        lws_connection_move(connection, CONNECTION_DOOMED);
        return;
    }
    connection->deadline_ms =
        lws_loop_now_ms(connection->server->loop) + connection->server->linger_ms;
    bool flushed = wire->writable;
    lws_connection_move(connection, CONNECTION_FLUSHING);
    if (flushed)
        linger(connection);
}

static void connection_peer(const struct wire *wire, char text[WIRE_PEER_SIZE])
{
    const struct lws_connection *connection = (const struct lws_connection *)wire;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    text[0] = '\0';
    if (getpeername(lws_get_socket_fd(connection->wsi), (struct sockaddr *)&address, &size) != 0)
        return;
    if (getnameinfo((struct sockaddr *)&address, size, text, WIRE_PEER_SIZE, NULL, 0,
                    NI_NUMERICHOST) != 0)
        text[0] = '\0';
    /* Our socket is of IPv6 for both: IPv4 comes mapped, and operators know it unmapped. */
    else if (strncmp(text, "::ffff:", 7) == 0)
        memmove(text, text + 7, strlen(text + 7) + 1);
}

const struct wire_ops lws_connection_ops = {
    .write = connection_write,
    .want_writable = connection_want_writable,
    .close = connection_close,
    .peer = connection_peer,
};

/* ---- What libwebsockets tells ---- */

/* `bytes` is libwebsockets' own buffer, one for all connections: it is gone when this returns. */
static void received(struct lws_connection *connection, struct bytes bytes)
{
    if (!connection->established) {
        connection->established = true;
        if (connection->server->tls) /* the time limit of the handshake would go on running */
            lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    }
    if (connection->state != CONNECTION_OPEN || bytes.size == 0)
        return;
    connection->server->stats.bytes_read += bytes.size;
    connection->wire.receiver_ops->bytes(connection->wire.receiver, bytes,
                                         lws_loop_now_ms(connection->server->loop));
}

/* False: nobody answered. */
static bool has_connected(struct lws_connection *connection)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    if (getsockopt(lws_get_socket_fd(connection->wsi), SOL_SOCKET, SO_ERROR, &failure, &size) ==
            0 &&
        failure == 0) {
        connection->connecting = false;
        return true;
    }
    if (connection->state == CONNECTION_OPEN)
        lws_connection_move(connection, CONNECTION_BROKEN);
    return false;
}

/* Nothing may be written while libwebsockets has a part of the last write left: it calls again. */
static void became_writable(struct lws_connection *connection)
{
    if (lws_partial_buffered(connection->wsi) ||
        (connection->connecting && !has_connected(connection)))
        return;
    if (connection->state == CONNECTION_FLUSHING) {
        linger(connection);
        return;
    }
    if (connection->state != CONNECTION_OPEN)
        return;
    if (!connection->wire.writable) {
        connection->wire.writable = true;
        lws_rx_flow_control(connection->wsi, 1);
    }
    if (!connection->wanted)
        return;
    connection->wanted = false;
    connection->wire.receiver_ops->writable(connection->wire.receiver,
                                            lws_loop_now_ms(connection->server->loop));
}

static void connection_ended(struct lws_connection *connection)
{
    struct lws_server *server = connection->server;
    bool tell = connection->state == CONNECTION_OPEN || connection->state == CONNECTION_BROKEN;
    /* Off every list: it was on one for each state but this. */
    lws_connection_move(connection, CONNECTION_NEW);
    server->stats.closed++;
    server->stats.connections--;
    if (tell && connection->wire.receiver_ops)
        connection->wire.receiver_ops->closed(connection->wire.receiver,
                                              lws_loop_now_ms(server->loop));
    free(connection);
}

/* libwebsockets calls with dozens of reasons, among them some for the virtual host, which has no
 * connection. Always 0: anything else would make it close the connection under our hands, at a
 * point of its own choice. */
int lws_connection_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t size)
{
    (void)user;
    struct lws_connection *connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (!connection)
        return 0;
    struct lws_loop *loop = connection->server->loop;
    if (reason == LWS_CALLBACK_RAW_RX) {
        received(connection, bytes_of(in, size));
    } else if (reason == LWS_CALLBACK_RAW_WRITEABLE) {
        became_writable(connection);
    } else if (reason == LWS_CALLBACK_RAW_CLOSE) {
        lws_set_opaque_user_data(wsi, NULL);
        if (connection->state == CONNECTION_NEW)
            return 0; /* told from inside adopt() */
        connection_ended(connection);
    } else {
        return 0;
    }
    lws_loop_breathe(loop);
    return 0;
}
