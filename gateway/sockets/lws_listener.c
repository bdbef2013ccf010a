/* Who comes in, at which pace, and who is turned away; and connections that this gateway makes to
 * others.
 *
 * We accept ourselves and hand the sockets over: libwebsockets has no pace, and no word to say to
 * those for whom there is no place.
 *
 * The invariant: stats.connections counts what adopt() has made and connection_ended() has not
 * freed yet, also connections that are only closing still: they hold descriptors. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "log.h"
#include "lws_server_private.h"
#include "mem.h"

enum {
    ACCEPTS_PER_TURN = 4,
    SPARE_WAIT_MS = 100,  /* until accepting is tried again with no descriptor at all */
    ACCEPT_SLACK_MS = 10, /* unused time that is saved up for accepting */
};

/* ---- Accepting ---- */

bool lws_server_is_full(const struct lws_server *server)
{
    return server->stats.connections >= server->stats.connections_most;
}

/* Not over TLS: an answer in the clear would be no answer. One try: who is turned away may not cost
 * a wait. */
static void refuse_connection(struct lws_server *server, int descriptor)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    server->stats.refused++;
    if (!server->tls)
        (void)!send(descriptor, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(descriptor);
    log_warning("connection refused: limit reached",
                LOG_UNSIGNED("connections", server->stats.connections));
}

/* Without a descriptor left, accept() would fail for ever while the loop spins: use the spare one
 * to turn clients away. */
static void refuse_with_spare(struct lws_server *server, int64_t now_ms)
{
    if (server->spare < 0) { /* somebody else was quicker: without one, wait */
        server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
        server->resume_ms = now_ms + SPARE_WAIT_MS;
        lws_loop_pause_watch(server->listener, true);
        return;
    }
    close(server->spare);
    int descriptor = accept4(server->descriptor, NULL, NULL, SOCK_CLOEXEC);
    if (descriptor >= 0)
        refuse_connection(server, descriptor);
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Takes the descriptor; NULL: it is closed, by libwebsockets. While it adopts, libwebsockets may
 * already call back: the state is NEW still, and lws_connection_callback() leaves such a connection
 * alone. */
static struct lws_connection *adopt(struct lws_server *server, int descriptor)
{
    struct lws_connection *connection = mem_new(struct lws_connection);
    connection->wire.ops = &lws_connection_ops;
    connection->wire.secure = server->tls;
    connection->server = server;
    lws_adopt_desc_t adoption = {.vh = server->vhost, .vh_prot_name = "wire"};
    adoption.type = LWS_ADOPT_SOCKET | (server->tls ? LWS_ADOPT_ALLOW_SSL : 0);
    adoption.fd.sockfd = descriptor;
    adoption.opaque = connection;
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adoption);
    if (!wsi) {
        server->stats.refused++;
        free(connection);
        return NULL;
    }
    connection->wsi = wsi;
    lws_connection_move(connection, CONNECTION_OPEN);
    server->stats.connections++;
    return connection;
}

static void open_connection(struct lws_server *server, int descriptor)
{
    struct lws_connection *connection = adopt(server, descriptor);
    if (!connection)
        return;
    connection->wire.writable = true;
    server->stats.accepted++;
    server->acceptor.opened(server->acceptor.acceptor, &connection->wire,
                            lws_loop_now_ms(server->loop));
    /* The acceptor has taken it or has closed it: nobody forgets one. */
    assert(connection->wire.receiver_ops || connection->state != CONNECTION_OPEN);
}

/* Connections wait in the kernel's queue. */
static bool may_accept(struct lws_server *server, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000, earliest_us = now_us - (int64_t)ACCEPT_SLACK_MS * 1000;
    if (server->accepts_per_second == 0)
        return true;
    /* After an idle hour, an hour's connections may not come at once. */
    if (server->accept_due_us < earliest_us)
        server->accept_due_us = earliest_us;
    if (server->accept_due_us > now_us) {
        server->resume_ms = server->accept_due_us / 1000 + 1;
        server->stats.held_back++;
        lws_loop_pause_watch(server->listener, true);
        return false;
    }
    return true;
}

/* A few in each turn, so that a storm of clients does not keep live delivery waiting: the socket
 * stays readable, and the loop comes back. */
void lws_accept(void *context, int64_t now_ms)
{
    struct lws_server *server = context;
    for (int i = 0; i < ACCEPTS_PER_TURN && server->listener; i++) {
        if (!may_accept(server, now_ms))
            return;
        int descriptor = accept4(server->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
            /* Everything else is nothing: a client that has left again, or nobody there any
             * more. */
            if (errno == EMFILE || errno == ENFILE)
                refuse_with_spare(server, now_ms);
            return;
        }
        if (server->accepts_per_second)
            server->accept_due_us += 1000000 / server->accepts_per_second;
        if (lws_server_is_full(server))
            refuse_connection(server, descriptor);
        else
            open_connection(server, descriptor);
    }
}

/* ---- Dialing ---- */

struct wire *lws_server_dial(struct lws_server *server, const struct peer_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)}};
    bool four = memcmp(address->ip, mapped, sizeof(mapped)) == 0;
    memcpy(&to.v6.sin6_addr, address->ip, sizeof(address->ip));
    if (four) {
        to.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&to.v4.sin_addr, address->ip + sizeof(mapped), sizeof(to.v4.sin_addr));
    }
    /* Peers have a listener of their own, without TLS: they prove who they are with a secret. */
    assert(!server->tls);
    if (lws_server_is_full(server))
        return NULL;
    int on = 1,
        descriptor = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return NULL;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower without */
    if (connect(descriptor, &to.any, four ? sizeof(to.v4) : sizeof(to.v6)) != 0 &&
        errno != EINPROGRESS) {
        close(descriptor);
        return NULL;
    }
    struct lws_connection *connection = adopt(server, descriptor);
    if (!connection)
        return NULL;
    /* `writable` stays false until the socket has connected. */
    connection->connecting = true;
    return &connection->wire;
}
