/* Requests of this gateway to others: HTTP/1.1 over wires that it dials, one request at a time per
 * connection, connections kept for the next. Pure: dialling is a port. The caller knows
 * what the requests mean (engineio_peers.c).
 *
 * A request is tried once. When its connection fails, or nothing comes in time, it has failed,
 * whether or not the peer has read it: repeating is never safe for all of them. Limits: connections
 * per peer, of which polls that are held leave some to the others, and requests that wait for one.
 */
#ifndef GATEWAY_ENGINEIO_PEER_CLIENT_H
#define GATEWAY_ENGINEIO_PEER_CLIENT_H

#include "http_reply.h"
#include "peer_sid.h"
#include "timer_wheel.h"
#include "wire.h"

struct peer_client;
struct peer;
struct peer_channel;

struct peer_dialer_ops {
    /* A wire to this address, not writable until it is connected (ask for it by
     * wire_want_writable()); `closed` tells that it could not be. The caller attaches a receiver at
     * once. NULL: not possible now. */
    struct wire *(*dial)(void *dialer, const struct peer_address *address);
};

struct peer_client_config {
    const struct peer_identity *identity;     /* borrowed */
    const struct peer_dialer_ops *dialer_ops; /* borrowed */
    void *dialer;
    unsigned connections;    /* to one peer */
    unsigned waiting;        /* requests that may wait for a connection to one peer */
    uint64_t buffered;       /* bytes of requests that have not gone out, to all; 0: 64 MiB */
    uint64_t answer_bytes;   /* of an answer's body */
    int64_t idle_timeout_ms; /* of a connection; shorter than the peer's own. 0: 30 s */
};

struct peer_client_stats {
    uint64_t dialed, requests, failed, refused, timeouts;
    uint64_t connections; /* now */
    uint64_t buffered;    /* likewise: bytes that have not gone out */
};

/* One request; embedded by its owner, zeroed but for `answered`. */
struct peer_request {
    /* The answer, borrowed during the call; NULL: there is none. The request is over, and may be
     * freed. Never from inside peer_client_send(). */
    void (*answered)(struct peer_request *request, const struct http_reply *reply, int64_t now_ms);
    struct peer_client *client; /* private, as what follows; NULL: not under way */
    struct peer *peer;
    struct peer_channel *channel;
    struct peer_request *prev, *next;
    struct buffer text;
    struct timer timer;
    bool held;
};

struct peer_message {
    struct peer_address address;
    const char *method;
    struct bytes path;   /* "/peer/poll" */
    struct bytes query;  /* behind '?'; may be empty */
    struct bytes fields; /* lines, each with its CRLF; may be empty */
    struct bytes body;
    int64_t timeout_ms;
    bool held; /* the peer may keep it waiting, as a poll */
};

struct peer_client *peer_client_new(const struct peer_client_config *config,
                                    struct timer_wheel *wheel);
/* Requests that are under way are forgotten: nobody is answered. NULL is fine. */
void peer_client_free(struct peer_client *client);
/* Everything is copied. `answered` follows, unless peer_client_cancel() is called before. */
void peer_client_send(struct peer_client *client, struct peer_request *request,
                      const struct peer_message *message);
/* Nobody waits any more: the connection is cut, and so the peer hears of it. A request that is not
 * under way is left alone. */
void peer_client_cancel(struct peer_request *request);
const struct peer_client_stats *peer_client_stats(const struct peer_client *client);

/* The field that carries the token: see peer_identity_knows(). */
#define PEER_TOKEN_FIELD "x-smartstack-peer"

#endif
