/* A small HTTP server for /livez, /readyz and /metrics, in a thread of its own (libmicrohttpd's).
 * Not for clients, and not for the gateway, which serves the same on its own port. */
#ifndef COMMON_EDGE_HEALTH_HTTP_H
#define COMMON_EDGE_HEALTH_HTTP_H

#include "health.h"
#include "metrics.h"
#include "status.h"

enum { HEALTH_CHECKS_LIMIT = 16 };

struct health_http_options {
    const char *address; /* NULL: all, IPv4 and IPv6 where there is IPv6 */
    uint16_t port;       /* 0: any free one */
    struct metrics *metrics;
    /* Called by the server's thread. Fills up to HEALTH_CHECKS_LIMIT checks, whose strings must
     * stay valid until its next call, and returns their number. NULL: always healthy. */
    size_t (*ready)(void *context, struct health_check *checks);
    size_t (*live)(void *context, struct health_check *checks);
    void *context;
};

struct health_http;

/* At most 32 connections, 10 s each. STATUS_UNAVAILABLE: the port is in use; STATUS_IO. */
enum status health_http_open(const struct health_http_options *options, struct health_http **server,
                             struct error *error) MUST_CHECK;
uint16_t health_http_port(const struct health_http *server);
/* Returns when its thread has ended. NULL is fine. */
void health_http_close(struct health_http *server);

#endif
