#include "lws_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>
#include <utlist.h>

#include "listen_socket.h"
#include "log.h"
#include "mem.h"

enum {
    LINGER_DEFAULT_MS = 2000,
    ACCEPTS_PER_TURN = 4,
    SPARE_WAIT_MS = 100,           /* until accepting is tried again with no descriptor at all */
    ACCEPT_SLACK_MS = 10,          /* unused time that is saved up for accepting */
    WRITE_MOST = 64 * 1024 * 1024, /* libwebsockets' own chunking must never cut a write of ours */
};

/* The list that a connection is on follows from its state; connection_move() keeps both together. */
enum lws_connection_state {
    CONNECTION_NEW,       /* none */
    CONNECTION_OPEN,      /* open */
    CONNECTION_FLUSHING,  /* closing: closed by its receiver; kept bytes are still going out */
    CONNECTION_LINGERING, /* closing: our direction is shut down; reading, and dropping, until the
                             peer closes */
    CONNECTION_DOOMED,    /* doomed: closed by its receiver, ends at the end of the turn */
    CONNECTION_BROKEN,    /* doomed: a write failed; the receiver has still to be told */
};

struct lws_connection {
    struct wire wire; /* first */
    struct lws_server *server;
    struct lws *wsi;
    struct lws_connection *prev, *next;
    int64_t deadline_ms;
    uint8_t state;
    bool wanted;      /* the receiver waits for `writable` */
    bool established; /* has been read from */
    bool connecting;  /* dialled, and not yet known whether it is answered */
};

struct lws_server {
    struct lws_loop *loop;
    struct lws_vhost *vhost;
    struct lws_watch *listener;
    struct wire_acceptor acceptor;
    struct lws_server_stats stats;
    struct lws_connection *open;
    struct lws_connection
        *closing; /* in the order of deadlines: the linger time is the same for all */
    struct lws_connection *doomed;
    int64_t linger_ms;
    unsigned accepts_per_second;
    int64_t accept_due_us; /* when the next one may be */
    int64_t resume_ms;     /* the listener is paused until then; INT64_MAX: it is not */
    int descriptor;
    int spare; /* a descriptor to give up when there is no other left */
    uint16_t port;
    bool tls;
    char *certificate_file;
    char *key_file;
};

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

static void connection_move(struct lws_connection *connection, enum lws_connection_state state)
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

static void linger(struct lws_connection *connection)
{
    /* Not close(): with bytes of the peer unread it would send a reset, which may overtake our
     * answer. */
    if (connection->server->tls || shutdown(lws_get_socket_fd(connection->wsi), SHUT_WR) != 0) {
        connection_move(connection, CONNECTION_DOOMED);
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
    if (lws_write(connection->wsi, mutable_pointer(bytes.data), bytes.size, LWS_WRITE_RAW) < 0) {
        connection_move(connection, CONNECTION_BROKEN);
        return;
    }
    stats->writes++;
    stats->bytes_written += bytes.size;
    if (lws_partial_buffered(connection->wsi)) {
        stats->partial_writes++;
        wire->writable = false;
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
        connection_move(connection, CONNECTION_DOOMED);
        return;
    }
    connection->deadline_ms =
        lws_loop_now_ms(connection->server->loop) + connection->server->linger_ms;
    bool flushed = wire->writable;
    connection_move(connection, CONNECTION_FLUSHING);
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
    else if (strncmp(text, "::ffff:", 7) == 0)
        memmove(text, text + 7, strlen(text + 7) + 1);
}

static const struct wire_ops connection_ops = {
    .write = connection_write,
    .want_writable = connection_want_writable,
    .close = connection_close,
    .peer = connection_peer,
};

/* ---- What libwebsockets tells ---- */

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
        connection_move(connection, CONNECTION_BROKEN);
    return false;
}

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
    connection_move(connection, CONNECTION_NEW);
    server->stats.closed++;
    server->stats.connections--;
    if (tell && connection->wire.receiver_ops)
        connection->wire.receiver_ops->closed(connection->wire.receiver,
                                              lws_loop_now_ms(server->loop));
    free(connection);
}

static int wire_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
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

/* ---- Accepting ---- */

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

/* Takes the descriptor; NULL: it is closed. */
static struct lws_connection *adopt(struct lws_server *server, int descriptor)
{
    struct lws_connection *connection = mem_new(struct lws_connection);
    connection->wire.ops = &connection_ops;
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
    connection_move(connection, CONNECTION_OPEN);
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
    assert(connection->wire.receiver_ops || connection->state != CONNECTION_OPEN);
}

/* Who has to wait does so in the kernel's queue. */
static bool may_accept(struct lws_server *server, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000, earliest_us = now_us - (int64_t)ACCEPT_SLACK_MS * 1000;
    if (server->accepts_per_second == 0)
        return true;
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

static void accept_some(void *context, int64_t now_ms)
{
    struct lws_server *server = context;
    for (int i = 0; i < ACCEPTS_PER_TURN && server->listener; i++) {
        if (!may_accept(server, now_ms))
            return;
        int descriptor = accept4(server->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
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
    connection->connecting = true;
    return &connection->wire;
}

/* ---- The end of a turn ---- */

static void end_connections(void *context, int64_t now_ms)
{
    struct lws_server *server = context;
    if (server->resume_ms <= now_ms) {
        server->resume_ms = INT64_MAX;
        if (server->listener)
            lws_loop_pause_watch(server->listener, false);
    }
    while (server->closing && server->closing->deadline_ms <= now_ms)
        connection_move(server->closing, CONNECTION_DOOMED);
    while (server->doomed) /* connection_ended() takes it off the list */
        lws_set_timeout(server->doomed->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

static int64_t end_connections_deadline_ms(void *context)
{
    struct lws_server *server = context;
    if (server->doomed)
        return 0;
    if (server->closing && server->closing->deadline_ms < server->resume_ms)
        return server->closing->deadline_ms;
    return server->resume_ms;
}

/* ---- Opening and closing ---- */

static uint64_t connections_most(const struct lws_server_config *config)
{
    struct rlimit limit = {.rlim_cur = 1024};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t reserve = config->descriptor_reserve ? config->descriptor_reserve : LWS_SERVER_RESERVE;
    uint64_t most = limit.rlim_cur > reserve ? limit.rlim_cur - reserve : 1;
    return config->connections && config->connections < most ? config->connections : most;
}

static struct lws_vhost *create_vhost(struct lws_server *server)
{
    static const struct lws_protocols protocols[] = {
        {.name = "wire", .callback = wire_callback, .tx_packet_size = WRITE_MOST}, {.name = NULL}};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = server->tls ? "tls" : "plain",
        .protocols = protocols,
    };
    if (server->tls) {
        info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = server->certificate_file;
        info.ssl_private_key_filepath = server->key_file;
        /* Any protocol that a client offers and libwebsockets accepts would take the connection
         * away from the raw role. So none is negotiated, and clients speak HTTP/1.1. */
        info.alpn = "none";
    }
    return lws_create_vhost(lws_loop_context(server->loop), &info);
}

enum status lws_server_open(struct lws_loop *loop, const struct lws_server_config *config,
                            struct lws_server **out, struct error *error)
{
    assert(!config->certificate_file == !config->key_file && config->acceptor.opened);
    int descriptor = listen_socket_open(config, error);
    if (descriptor < 0)
        return descriptor == -EADDRINUSE ? STATUS_EXISTS : STATUS_IO;
    struct lws_server *server = mem_new(struct lws_server);
    server->loop = loop;
    server->acceptor = config->acceptor;
    server->linger_ms = config->linger_ms ? config->linger_ms : LINGER_DEFAULT_MS;
    server->descriptor = descriptor;
    server->port = listen_socket_port(descriptor);
    server->stats.connections_most = connections_most(config);
    server->accepts_per_second = config->accepts_per_second;
    server->resume_ms = INT64_MAX;
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (config->certificate_file) {
        server->tls = true;
        server->certificate_file = mem_string(bytes_of_string(config->certificate_file));
        server->key_file = mem_string(bytes_of_string(config->key_file));
    }
    lws_loop_add_chore(loop,
                       &(struct lws_chore){end_connections, end_connections_deadline_ms, server});
    server->vhost = create_vhost(server);
    if (server->vhost)
        server->listener = lws_loop_watch(loop, descriptor, accept_some, server);
    if (!server->listener) {
        lws_server_close(server);
        return error_set(error, STATUS_INVALID, "cannot serve port %u%s", (unsigned)config->port,
                         config->certificate_file ? ": is the certificate or its key unusable?"
                                                  : "");
    }
    *out = server;
    return STATUS_OK;
}

int lws_server_reserve(const struct lws_server_config *config, uint16_t *port, struct error *error)
{
    int on = 1;
    struct lws_server_config reserved = *config;
    reserved.backlog = -1;
    int descriptor = listen_socket_open(&reserved, error);
    if (descriptor < 0)
        return descriptor;
    /* Only now: bound without it, the port is nobody else's. */
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
        int failure = errno;
        close(descriptor);
        (void)error_set(error, STATUS_IO, "port %u cannot be shared: %s", (unsigned)config->port,
                        strerror(failure));
        return -failure;
    }
    *port = listen_socket_port(descriptor);
    return descriptor;
}

void lws_server_stop_accepting(struct lws_server *server)
{
    if (!server->listener)
        return;
    lws_loop_unwatch(server->listener);
    server->listener = NULL;
    close(server->descriptor);
    server->descriptor = -1;
}

void lws_server_close(struct lws_server *server)
{
    if (!server)
        return;
    lws_server_stop_accepting(server);
    while (server->open)
        connection_move(server->open, CONNECTION_BROKEN);
    end_connections(server, INT64_MAX);
    if (server->vhost)
        lws_vhost_destroy(server->vhost);
    assert(server->stats.connections == 0);
    lws_loop_remove_chores(server->loop, server);
    if (server->descriptor >= 0)
        close(server->descriptor);
    if (server->spare >= 0)
        close(server->spare);
    free(server->certificate_file);
    free(server->key_file);
    free(server);
}

uint16_t lws_server_port(const struct lws_server *server)
{
    return server->port;
}

const struct lws_server_stats *lws_server_stats(const struct lws_server *server)
{
    return &server->stats;
}

bool lws_server_is_full(const struct lws_server *server)
{
    return server->stats.connections >= server->stats.connections_most;
}

enum status lws_server_reload_certificate(struct lws_server *server, struct error *error)
{
    assert(server->tls);
    if (lws_tls_cert_updated(lws_loop_context(server->loop), server->certificate_file,
                             server->key_file, NULL, 0, NULL, 0) != 0)
        return error_set(error, STATUS_INVALID,
                         "%s or %s cannot be used; the old certificate stays in force",
                         server->certificate_file, server->key_file);
    return STATUS_OK;
}
