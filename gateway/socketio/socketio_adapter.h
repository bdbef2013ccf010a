/* Socket.IO as a transport of the domain: what a session's stream says becomes CONNECT answers,
 * events and acks, and what the stock client asks becomes joins and leaves. Not the protocol
 * (socketio_server.h), and no decision of its own (hub.h).
 *
 * What a client sees, in each namespace (requests are events with an ack, answered by {ok:true} or
 * {ok:false, error:{code, message}}; codes and messages: refusals.h):
 *
 * - CONNECT {token?, pid?, offset?, ...}: CONNECT {sid, pid}, or CONNECT_ERROR {message,
 *   data:{code, message}}
 * - "subscribe" (room | {room}, {since?, last?, state?}?): the event "subscribed" {room}, then the ack.
 *   With options, "history" {room, event, data} for each of the room's notifications since that time
 *   or of its last so many before them, and the ack has history:{count, complete}; with {state:true},
 *   "state" {room, first, items:[{event, data}]} with the newest notification of each of the room's
 *   items before them, in one or more events, and the ack has state:{count, complete, since}
 * - "unsubscribe" (room | {room}): the event "unsubscribed" {room}, then the ack
 * - "token" (token | {token}): the ack; the session goes on with the new expiry
 * - an event that the policy knows (payload, {id?, room?, traceparent?, tracestate?}): the ack once
 *   the broker has it (client_events.h)
 *
 * - notifications: "task.status" | "notification" | "review.alert" (notification)
 * - "unsubscribed" {room, reason}: a room was lost
 * - "session" {recovered:false, reason}, right after CONNECT: what was missed could not be made up
 * - "stale" {since}, "live" {}: the broker is away, or back with nothing lost
 * - "cursor": only a newer cursor, nothing to handle
 * - "token_expired" {graceMs}: answer with "token" in time, or the connection is closed
 * - "error" {code, message}: why the connection is about to end (over WebSocket the close frame
 *   says so too), or what an event without an ack has come to
 *
 * Every event but the last two ends with the cursor as its last argument, which the client keeps by
 * itself and returns at its next CONNECT. */
#ifndef GATEWAY_SOCKETIO_SOCKETIO_ADAPTER_H
#define GATEWAY_SOCKETIO_SOCKETIO_ADAPTER_H

#include "client_events.h"
#include "hub.h"
#include "identity.h"
#include "socketio_server.h"

struct socketio_adapter;

struct socketio_adapter_config {
    struct hub *hub;                         /* borrowed */
    const struct identity_ops *identity_ops; /* borrowed, as the identifier */
    void *identifier;
    struct client_events *events; /* borrowed; NULL: clients send none */
    struct timer_wheel *wheel;    /* borrowed */
    void (*random)(void *random_context, uint8_t *out, size_t size);
    void *random_context;
    const char *cookie;        /* name, in which a handshake may bring a token; NULL: none. The
                                  Engine.IO server has to keep it (handshake_cookie) */
    int64_t expiry_grace_ms;   /* from token_expired to the end */
    struct refusals *refusals; /* where they are counted; borrowed; NULL: nowhere */
};

struct socketio_adapter_stats {
    uint64_t expired, refreshed;
};

struct socketio_adapter *socketio_adapter_new(const struct socketio_adapter_config *config);
/* After the Socket.IO server was freed. */
void socketio_adapter_free(struct socketio_adapter *adapter);
/* The application that a Socket.IO server is configured with; its context is the adapter. */
extern const struct socketio_application_ops socketio_adapter_ops;
/* Wall-clock and monotonic time of this turn. */
void socketio_adapter_set_time(struct socketio_adapter *adapter, int64_t now_ms, int64_t wall_ms);
const struct socketio_adapter_stats *socketio_adapter_stats(const struct socketio_adapter *adapter);

#endif
