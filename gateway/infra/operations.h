/* /livez, /readyz and /metrics on the gateway's own port. What is asked there is decided elsewhere:
 * checks are given by the owner, series by whoever counts. */
#ifndef GATEWAY_INFRA_OPERATIONS_H
#define GATEWAY_INFRA_OPERATIONS_H

#include "health.h"
#include "http_server.h"
#include "metrics.h"

enum { OPERATIONS_CHECKS_LIMIT = 8 };

struct operations {
    struct metrics *metrics;
    /* Fills in up to OPERATIONS_CHECKS_LIMIT checks; their strings live until the next call. */
    size_t (*ready)(void *context, struct health_check *checks);
    size_t (*live)(void *context, struct health_check *checks); /* NULL: that it answers is all */
    void *context;
};

/* `operations` is borrowed until the server is freed. */
void operations_add_routes(struct operations *operations, struct http_server *http);

#endif
