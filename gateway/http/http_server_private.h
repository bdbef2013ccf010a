/* What the files of the HTTP server share. Not for others.
 *
 *   http_server.c     connections, requests as they are read, deadlines
 *   http_exchange.c   answers, and how a connection ends */
#ifndef GATEWAY_HTTP_HTTP_SERVER_PRIVATE_H
#define GATEWAY_HTTP_HTTP_SERVER_PRIVATE_H

#include "http_server.h"

/*   HEAD --head--> BODY --end--> HANDLING --answer--> HEAD
 *     |             |               |
 *     '-------------'---------------'--> DEAD: closed, refused or taken. Freed when nobody is inside
 *                                        the connection */
enum exchange_phase {
    PHASE_HEAD,     /* between requests, or in the middle of a head */
    PHASE_BODY,     /* the route has seen the head, the body is being read */
    PHASE_DROPPING, /* the same, but the request is answered: the rest of its body is dropped */
    PHASE_HANDLING, /* read; the route owes an answer */
    PHASE_DEAD,
};

enum timing { TIMING_NONE, TIMING_IDLE, TIMING_HEAD, TIMING_BODY, TIMING_RESUME };

struct http_exchange {
    struct http_server *server;
    struct wire *wire;
    const struct http_route *route; /* in BODY and HANDLING */
    void *context;
    const char *allow_origin;
    struct http_exchange *prev, *next;
    struct timer timer;
    struct http_reader reader;
    struct buffer body;
    uint8_t phase;
    uint8_t timing; /* what the timer is for */
    uint8_t minor_version;
    bool inside;     /* exchange_process() is running */
    bool keep_alive; /* these three are of the present request */
    bool head_method;
    bool has_body;
};

struct http_server {
    struct http_server_config config;
    struct timer_wheel *wheel;
    struct http_route routes[HTTP_ROUTES];
    size_t route_count;
    struct http_exchange *exchanges;
    struct http_server_stats stats;
    struct buffer scratch; /* the answer being written */
    bool draining;
    char date[HTTP_DATE_SIZE];
};

/* http_exchange.c */
/* Frees it; nobody may be inside of it, and its phase is DEAD. */
void http_exchange_free(struct http_exchange *exchange);
/* DEAD from now on, and freed as soon as nobody is inside of it. The wire is another's, or gone. */
void http_exchange_end(struct http_exchange *exchange);
/* The same, and the wire is closed. */
void http_exchange_close(struct http_exchange *exchange, enum wire_end how);
/* A route has seen the request and has not answered it. */
bool http_exchange_is_owed(const struct http_exchange *exchange);
/* Its route hears that no answer is wanted any more. */
void http_exchange_tell_aborted(struct http_exchange *exchange, enum http_abort reason,
                                int64_t now_ms);
/* Writes the answer and changes nothing else; false: the wire is broken, its end follows. */
bool http_exchange_write(struct http_exchange *exchange, const struct http_answer *answer,
                         bool close);
/* {"error":{...}}, appended to `body`, of which the whole is returned. */
struct bytes http_exchange_write_problem(struct buffer *body, const char *word);
/* What the timer is for from now on; deadline_ms counts unless that is nothing. */
void http_exchange_time(struct http_exchange *exchange, enum timing timing, int64_t deadline_ms);

#endif
