/* What the files of the server of sockets share. Not for others.
 *
 *   lws_server.c       opening, the end of a turn, closing
 *   lws_listener.c     who comes in, who is turned away, whom this gateway dials
 *   listen_socket.c    what is listened on
 *   lws_connection.c   connections as wires */
#ifndef GATEWAY_SOCKETS_LWS_SERVER_PRIVATE_H
#define GATEWAY_SOCKETS_LWS_SERVER_PRIVATE_H

#include <libwebsockets.h>

#include "lws_server.h"

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

/* listen_socket.c: where it listens, shared with whom, and what accepted sockets inherit */
/* Returns the descriptor, which is the caller's; negative, an errno: `error` says why. */
int listen_socket_open(const struct lws_server_config *config, struct error *error);
/* 0: it has none. */
uint16_t listen_socket_port(int descriptor);

/* lws_connection.c */
extern const struct wire_ops lws_connection_ops;
/* The only writer of a connection's state, but for changes that leave it on its list. */
void lws_connection_move(struct lws_connection *connection, enum lws_connection_state state);
/* lws_protocols.callback */
int lws_connection_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t size);

/* lws_listener.c */
/* lws_loop_watch_listener(): the listening socket is readable. */
void lws_accept(void *context, int64_t now_ms);

#endif
