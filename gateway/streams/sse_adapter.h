/* Server-sent events as a transport of the domain: an EventSource per session. No decision of its
 * own (hub.h).
 *
 *      GET /sse?room=task:42&room=task:43        since= and last=: with history; state=1: with state
 *        Accept: text/event-stream
 *        Authorization: Bearer ...               or a cookie
 *        Last-Event-ID: ...                      on return
 *
 *      200 text/event-stream
 *        event: history    data: {"room":...,"event":...,"data":...}   if it was asked for
 *        event: state      data: {"room":...,"first":...,"items":[{"event":...,"data":...}]}   likewise
 *        event: session    data: {"sid":...,"recovered":...}   all rooms of the query are joined;
 *                          with "history":{"count":...,"complete":...} if that was asked for, or
 *                          "state":{"count":...,"complete":...,"since":...}
 *        event: task.status | notification | review.alert      data: the notification
 *        event: unsubscribed, stale, live, token_expired       as in the other transports
 *        id:               private id and cursor, with every event that moves the client; alone if
 *                          nothing but the cursor is new
 *        :                 the heart's beat
 *
 * or, before the stream begins, JSON {"error":{"code":...}} with 400, 401, 403, 404, 406.
 *
 * Trouble of ours is not an error to an EventSource: it never comes back from one (HTML standard,
 * 9.2.3). A client that asks for text/event-stream by name gets a stream that says when to come
 * again and ends; any other gets 503. */
#ifndef GATEWAY_STREAMS_SSE_ADAPTER_H
#define GATEWAY_STREAMS_SSE_ADAPTER_H

#include "http_server.h"
#include "wire_client.h"

struct sse_adapter;

struct sse_adapter_config {
    struct wire_clients_config clients;
    const char *path;                   /* borrowed, as what follows */
    const struct http_cors *cors;       /* NULL: off */
    const struct http_origins *origins; /* of pages that may connect; NULL: any */
    const char *cookie;                 /* name of the cookie that holds a token; NULL: none does */
    unsigned rooms;                     /* of one request */
    uint32_t retry_ms;       /* when a client comes again: around this, each at another time */
    int64_t open_timeout_ms; /* from the request to the stream */
    int64_t heartbeat_ms;
    int64_t write_timeout_ms; /* a client that takes nothing at all for so long is closed */
};

/* Registers its path. */
struct sse_adapter *sse_adapter_new(const struct sse_adapter_config *config,
                                    struct http_server *http);
/* Ends all streams. Before http_server_free(). NULL is fine. */
void sse_adapter_free(struct sse_adapter *adapter);
/* Time, turns, draining, stats. */
struct wire_clients *sse_adapter_clients(struct sse_adapter *adapter);

#endif
