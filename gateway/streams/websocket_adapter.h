/* Raw WebSocket as a transport of the domain: clients without Socket.IO, by the subprotocols
 * smartstack.v1.json and smartstack.v1.protobuf (gateway/protocol/README.md says what a client
 * sends and sees). No decision of its own (hub.h).
 *
 *      GET /ws, Upgrade            -> 101, or 400, 403, 426, 503
 *      connect                     -> welcome, or error and a close
 *      subscribe, unsubscribe      -> cursor, then ack or error
 *      token, event, ping          -> ack, error, pong
 *
 * Close codes: 1000 the client wanted it; 1002, 1003, 1007, 1009 it sent what must not be sent;
 * 1008 with the reason hello_timeout, connect_first, too_many_refusals or too_many_answers; 1012
 * this gateway ends and 1013 it has trouble: come back as you are; 4401 the token was refused or
 * has expired: come back with another; 4403 who this is may not be here. */
#ifndef GATEWAY_STREAMS_WEBSOCKET_ADAPTER_H
#define GATEWAY_STREAMS_WEBSOCKET_ADAPTER_H

#include "client_events.h"
#include "http_server.h"
#include "wire_client.h"

struct websocket_adapter;

enum {
    WEBSOCKET_CLOSE_UNAUTHORIZED = 4401, /* bring another token */
    WEBSOCKET_CLOSE_FORBIDDEN = 4403,    /* do not come back as this */
};

struct websocket_adapter_config {
    struct wire_clients_config clients;
    struct client_events *events;       /* borrowed; NULL: clients send none */
    const char *path;                   /* borrowed */
    const struct http_origins *origins; /* of pages that may connect; borrowed; NULL: any */
    uint64_t message_bytes;             /* largest message of a client */
    size_t queue_bytes;                 /* answers that wait; beyond it the connection is closed */
    unsigned requests;                  /* subscriptions not yet answered; more are refused */
    uint32_t rooms;                     /* of one message */
    uint32_t json_depth;
    bool query_token;    /* take a token from the query's `token` too */
    const char *cookie;  /* and from this cookie; NULL: from none */
    unsigned refusals;   /* so many tokens of one connection may be refused within refusals_ms, then
                          it is closed; 0: 5 */
    int64_t refusals_ms; /* 0: 60 s */
    int64_t hello_timeout_ms;   /* from the upgrade to the welcome */
    int64_t message_timeout_ms; /* for all fragments of a message to arrive */
    int64_t ping_interval_ms;
    int64_t ping_timeout_ms;
    int64_t write_timeout_ms; /* a client that takes nothing at all for so long is closed */
};

/* Registers its path. All that the configuration points to is borrowed. */
struct websocket_adapter *websocket_adapter_new(const struct websocket_adapter_config *config,
                                                struct http_server *http);
/* Ends all connections. Before http_server_free(). NULL is fine. */
void websocket_adapter_free(struct websocket_adapter *adapter);
/* Time, turns, draining, stats. */
struct wire_clients *websocket_adapter_clients(struct websocket_adapter *adapter);

#endif
