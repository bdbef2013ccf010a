/* The answers of /livez and /readyz: named checks in, JSON body out. Not a server. */
#ifndef COMMON_HEALTH_H
#define COMMON_HEALTH_H

#include "buffer.h"

struct health_check {
    const char *name; /* e.g. "kafka" */
    bool healthy;
    const char *detail; /* for a person; NULL: none */
};

#define HEALTH_CONTENT_TYPE "application/json"

/* Appends {"status":"ok","checks":{"kafka":{"status":"ok","detail":"..."}}}, with "failed" in place
 * of "ok" where it is. Returns whether all are healthy: then the HTTP status is 200, else 503.
 */
bool health_render(const struct health_check *checks, size_t count, struct buffer *out);

#endif
