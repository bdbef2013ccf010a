/* A server: opening, closing, and the end of a turn, where connections really end. The order in
 * which things are freed is libwebsockets': connections, then the virtual host, then (in
 * lws_loop_free()) the context. */
#include "lws_server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "lws_server_private.h"
#include "mem.h"

enum {
    LINGER_DEFAULT_MS = 2000,
    WRITE_MOST = 64 * 1024 * 1024, /* libwebsockets' own chunking must never cut a write of ours */
};

/* ---- The end of a turn ---- */

static void end_connections(void *context, int64_t now_ms)
{
    struct lws_server *server = context;
    if (server->resume_ms <= now_ms) {
        server->resume_ms = INT64_MAX;
        if (server->listener)
            lws_loop_pause_watch(server->listener, false);
    }
    /* All wait equally long, so that the list is in the order of their deadlines. */
    while (server->closing && server->closing->deadline_ms <= now_ms)
        lws_connection_move(server->closing, CONNECTION_DOOMED);
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

/* Less than what is configured if the system gives less: refusing with an answer is better than
 * accept() failing. The reserve is for Kafka, files and peers. */
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
        {.name = "wire", .callback = lws_connection_callback, .tx_packet_size = WRITE_MOST},
        {.name = NULL}};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = server->tls ? "tls" : "plain",
        .protocols = protocols,
    };
    if (server->tls) {
        /* Without _SERVER it would be a virtual host for outgoing connections, and have no
         * certificate. */
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
    /* Before anything can be accepted, and so be closed. */
    lws_loop_add_chore(loop,
                       &(struct lws_chore){end_connections, end_connections_deadline_ms, server});
    server->vhost = create_vhost(server);
    if (server->vhost)
        server->listener = lws_loop_watch_listener(loop, descriptor, lws_accept, server);
    if (!server->listener) {
        lws_server_close(server);
        return error_set(error, STATUS_INVALID, "cannot serve port %u%s", (unsigned)config->port,
                         config->certificate_file ? ": is the certificate or its key unusable?"
                                                  : "");
    }
    *out = server;
    return STATUS_OK;
}

/* Worker processes share a port by SO_REUSEPORT. The supervisor binds it as well, without
 * listening: so it is ours before the first worker, and while none of them lives. */
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

/* The watch has a descriptor of its own (lws_loop_watch_listener() duplicates it), which is closed
 * at the end of the turn: until then the kernel takes connections into its queue still, and resets
 * them then. */
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
        /* Broken, not doomed: their receivers are told, and free what they have. */
        lws_connection_move(server->open, CONNECTION_BROKEN);
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

/* For connections to come; those that are open keep what they have negotiated. */
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
