/* Listening sockets and clients' connections: implements wire.h over libwebsockets. It accepts by
 * itself (SO_REUSEPORT, a limit with a reserve of descriptors) and hands each connection to
 * libwebsockets as a raw socket, plain or TLS; HTTP and WebSocket are the transport's. The only
 * file that calls lws_write().
 *
 * Traps of libwebsockets 4.1 and 4.3 that it keeps away from: sorted timers (none is set for an
 * idle connection), back-to- back writes behind a partial one (never written), and a readable
 * socket with a partial write pending, over which its raw role would spin (reading stops until the
 * rest has gone). */
#ifndef GATEWAY_SOCKETS_LWS_SERVER_H
#define GATEWAY_SOCKETS_LWS_SERVER_H

#include "lws_loop.h"
#include "peer_sid.h"
#include "status.h"
#include "wire.h"

struct lws_server;

/* Descriptors that clients do not get: Kafka's connections, files, other ports. */
enum { LWS_SERVER_RESERVE = 256 };

struct lws_server_config {
    const char *address;         /* NULL: all, IPv4 and IPv6 where there is IPv6 */
    uint16_t port;               /* 0: any free one, see lws_server_port() */
    bool share_port;             /* SO_REUSEPORT: other processes of ours listen on it too */
    int backlog;                 /* 0: 4096, the kernel may lower it; negative: do not listen */
    unsigned accepts_per_second; /* 0: as many as come */
    unsigned connections;        /* 0: what descriptors allow */
    unsigned descriptor_reserve; /* kept free for everything else; 0: LWS_SERVER_RESERVE */
    int send_buffer_bytes;       /* SO_SNDBUF; 0: the kernel's choice, which hides slow clients */
    int64_t linger_ms; /* how long a closed connection may flush, and wait for the peer to close; 0:
                          2000 */
    const char *certificate_file; /* PEM; NULL: no TLS */
    const char *key_file;
    struct wire_acceptor acceptor;
};

struct lws_server_stats {
    uint64_t accepted;
    uint64_t refused;   /* beyond the limit, or no descriptor */
    uint64_t held_back; /* times that connections had to wait for their second */
    uint64_t closed;
    uint64_t bytes_read;
    uint64_t bytes_written;
    uint64_t writes;
    uint64_t partial_writes;
    uint64_t connections;      /* now */
    uint64_t connections_most; /* at a time: as configured, or what descriptors allow */
};

/* Adds a chore to the loop: open it after the chores that may close wires. */
enum status lws_server_open(struct lws_loop *loop, const struct lws_server_config *config,
                            struct lws_server **server, struct error *error) MUST_CHECK;
/* Takes address and port for processes that will share it, without listening: the descriptor, to be
 * closed by the caller; negative: `error` says why. Fails if anybody else listens there, unless
 * share_port is set. */
int lws_server_reserve(const struct lws_server_config *config, uint16_t *port,
                       struct error *error) MUST_CHECK;
/* No more connections are accepted; those that exist go on. */
void lws_server_stop_accepting(struct lws_server *server);
/* Ends every connection at once; their receivers hear `closed`. NULL is fine. Not from inside a
 * callback. */
void lws_server_close(struct lws_server *server);

/* A connection of our own to another gateway, plain, counted with the server's. Not writable until
 * it is connected; `closed` tells that it could not be. NULL: no descriptor left, or no way there.
 * The caller attaches a receiver at once. */
struct wire *lws_server_dial(struct lws_server *server, const struct peer_address *address);

uint16_t lws_server_port(const struct lws_server *server);
const struct lws_server_stats *lws_server_stats(const struct lws_server *server);
/* Connections that come from now on are refused. */
bool lws_server_is_full(const struct lws_server *server);

/* Reads the certificate and key files again; connections that exist keep theirs. */
enum status lws_server_reload_certificate(struct lws_server *server,
                                          struct error *error) MUST_CHECK;

#endif
