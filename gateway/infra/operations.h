/* /livez, /readyz and /metrics on a port of their own, for those who run the gateway, and the two
 * first, without their details, on the port of clients, for load balancers. The
 * answers are made elsewhere: the owner gives the checks, the counting parts the series. */
#ifndef GATEWAY_INFRA_OPERATIONS_H
#define GATEWAY_INFRA_OPERATIONS_H

#include "health.h"
#include "http_server.h"
#include "lws_server.h"
#include "metrics.h"

struct operations;

enum {
    OPERATIONS_CHECKS_LIMIT = 8,
    OPERATIONS_CONNECTIONS_LIMIT = 32, /* at its port; more are refused */
};

struct operations_config {
    const char *address;
    uint16_t port;
    bool share_port; /* with the other workers */
    struct metrics *metrics;
    /* Fills in up to OPERATIONS_CHECKS_LIMIT checks; their strings live until the next call. */
    size_t (*ready)(void *context, struct health_check *checks);
    size_t (*live)(void *context, struct health_check *checks);
    void *context;
};

/* Loop and wheel are borrowed. STATUS_EXISTS: the port is in use; STATUS_IO. */
enum status operations_open(const struct operations_config *config, struct lws_loop *loop,
                            struct timer_wheel *wheel, struct operations **operations,
                            struct error *error) MUST_CHECK;
/* NULL is fine. Not from inside a callback. */
void operations_close(struct operations *operations);
uint16_t operations_port(const struct operations *operations);

/* /livez and /readyz for everybody: whether, and not why. `operations` is borrowed until the server
 * is freed. */
void operations_add_public_routes(struct operations *operations, struct http_server *http);

#endif
