/* HTTP/1.1 over wires: one request at a time per connection, routed by path prefix, answered now or
 * later. Pure: bytes and time in, bytes out. It holds the limits and deadlines of heads and bodies
 * and the rules of keep-alive and pipelining; what a request means is its route's business. Not
 * here: WebSocket and Engine.IO; an upgrade hands the wire over.
 *
 *      head complete -> request()  -> the route answers, or returns without an answer
 *      body complete -> body()        (only if there is a body and no answer yet) -> the route
 * answers, now or later the client went away, or the body was refused, before the answer ->
 * aborted()
 *
 * Later requests of a connection wait, unparsed and bounded, until the answer is out. Calls into a
 * route never come from inside http_exchange_answer(). */
#ifndef GATEWAY_HTTP_HTTP_SERVER_H
#define GATEWAY_HTTP_HTTP_SERVER_H

#include "address_quotas.h"
#include "buffer.h"
#include "http_cors.h"
#include "http_request.h"
#include "refusals.h"
#include "timer_wheel.h"
#include "wire.h"

struct http_server;
struct http_exchange; /* a request that is not answered yet */

struct http_server_config {
    struct http_limits limits; /* body_bytes: for routes that name no limit */
    int64_t head_timeout_ms; /* from its first byte (for the first request: from the connection) to
                                the end of a head */
    int64_t body_timeout_ms; /* from the head to the end of the body */
    int64_t idle_timeout_ms; /* between requests */
    size_t
        pipeline_bytes; /* kept behind a request that is not answered; more closes the connection */
    struct refusals *refusals;        /* where refusals are counted; borrowed; NULL: nowhere */
    struct address_quotas *addresses; /* of clients; borrowed; NULL: there are none */
};

enum http_abort {
    HTTP_ABORT_CLOSED,  /* the client closed the connection, or we did for what it sent */
    HTTP_ABORT_REFUSED, /* the body was too large, malformed or too slow; the answer has been sent
                         */
};

struct http_route {
    const char *path;             /* borrowed; a prefix if it ends with '/', else the whole path */
    uint64_t body_bytes;          /* 0: the server's limit */
    const struct http_cors *cors; /* NULL: off. If on, OPTIONS never reaches the route */
    const struct http_origins *origins; /* NULL: pages from anywhere; others get 403 */
    void (*request)(void *route, struct http_exchange *exchange, const struct http_request *request,
                    int64_t now_ms);
    void (*body)(void *route, struct http_exchange *exchange, struct bytes body,
                 int64_t now_ms); /* NULL: no bodies */
    void (*aborted)(void *route, struct http_exchange *exchange, enum http_abort reason,
                    int64_t now_ms);
    void *route;
};

struct http_answer {
    unsigned code;
    const char *content_type; /* NULL: none */
    const struct http_field *fields;
    size_t field_count;
    struct bytes body;
    bool close; /* end the connection after it */
};

struct http_server_stats {
    uint64_t requests;
    uint64_t answers[6]; /* by the first digit of the code */
    uint64_t timeouts;
    uint64_t malformed;
    uint64_t aborted;     /* by the client, before the answer */
    uint64_t connections; /* now; without upgraded ones */
};

enum { HTTP_ROUTES = 32 };

/* The wheel is borrowed; its owner advances it. */
struct http_server *http_server_new(const struct http_server_config *config,
                                    struct timer_wheel *wheel);
/* Closes what connections are left (their routes hear aborted()). NULL is fine. */
void http_server_free(struct http_server *server);

/* Copied. The longest matching path wins. At most HTTP_ROUTES. */
void http_server_add_route(struct http_server *server, const struct http_route *route);
/* Where wires are given to the server. */
struct wire_acceptor http_server_acceptor(struct http_server *server);
/* The Date field of answers from now on (http_date()); copied. Without a call there is none. */
void http_server_set_date(struct http_server *server, const char *date);
/* From now on every answer ends its connection, and idle ones are closed. */
void http_server_drain(struct http_server *server);
const struct http_server_stats *http_server_stats(const struct http_server *server);

/* ---- What a route may do with an exchange ---- */

/* Sends the answer; the exchange is gone. */
void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer);
/* Ends the connection without an answer, at once; the exchange is gone. aborted() is not called. */
void http_exchange_drop(struct http_exchange *exchange);
/* Takes the wire out of HTTP; the exchange is gone. Only from inside request(), and no answer has
 * been sent. The bytes that came behind the head are moved to `rest`, an empty buffer. The
 * request's slices are gone. The caller attaches a receiver and sends the answer, which is counted as
 * `code`; 0: it is not known yet, and is not counted. */
struct wire *http_exchange_take(struct http_exchange *exchange, unsigned code, struct buffer *rest);
/* A pointer of the route's, NULL at first. */
void http_exchange_set_context(struct http_exchange *exchange, void *context);
void *http_exchange_context(const struct http_exchange *exchange);
/* The fields that cross-origin rules add to this exchange's answer, for an answer that the caller
 * writes itself. */
size_t http_exchange_cors_fields(const struct http_exchange *exchange,
                                 struct http_field fields[HTTP_CORS_FIELDS]);
/* For logs. */
void http_exchange_peer(const struct http_exchange *exchange, char text[WIRE_PEER_SIZE]);

/* A refusal with a body that says why: {"error":{"code":"not_found","message":"..."}}. */
void http_exchange_refuse(struct http_exchange *exchange, unsigned code, const char *word);
/* The same, with fields, and the end of the connection. */
void http_exchange_refuse_finally(struct http_exchange *exchange, unsigned code, const char *word,
                                  const struct http_field *field);
/* Counts the session that this request would open with its client's address, before its token is
 * looked at. False: there are too many, `retry_after_ms` says when to come again, and the caller
 * refuses; by http_exchange_refuse_crowd(), unless it has a form of its own: 429 and Retry-After. */
bool http_exchange_enter(const struct http_exchange *exchange, const struct http_request *request,
                         int64_t now_ms, struct address_place *place,
                         int64_t *retry_after_ms) MUST_CHECK;
void http_exchange_refuse_crowd(struct http_exchange *exchange, int64_t retry_after_ms);
/* Both. */
bool http_exchange_admit(struct http_exchange *exchange, const struct http_request *request,
                         int64_t now_ms, struct address_place *place) MUST_CHECK;
/* Counts a refusal that the caller answers in its own form. */
void http_exchange_note_refusal(const struct http_exchange *exchange, const char *transport,
                                const char *word);
/* Where the server counts refusals; NULL: nowhere. */
struct refusals *http_server_refusals(const struct http_server *server);

#endif
