/* Cross-origin rules (Fetch standard, "CORS protocol"): which fields an answer carries, and what a
 * preflight is told, as the middleware does it that the JavaScript servers use; and which pages may
 * ask at all, since a browser sends what it must not show, and opens a WebSocket from anywhere. Not
 * a router: http_server applies it to the routes that have one. */
#ifndef GATEWAY_HTTP_HTTP_CORS_H
#define GATEWAY_HTTP_HTTP_CORS_H

#include "http_request.h"

/* Borrowed for as long as a route uses it. */
struct http_cors {
    const char *const *origins; /* NULL-terminated; a single "*": any. Compared exactly */
    const char *methods;        /* NULL: GET,HEAD,PUT,PATCH,POST,DELETE */
    const char *headers;        /* NULL: what the preflight asks for */
    const char *max_age;        /* seconds, as text; NULL: none */
    bool credentials;
};

enum { HTTP_CORS_FIELDS = 6 };

/* The origin to allow for this request: "*", an entry of `origins`, or NULL. */
const char *http_cors_origin(const struct http_cors *cors, const struct http_request *request);

/* The fields of an ordinary answer; returns their number. `origin`: from http_cors_origin(). */
size_t http_cors_fields(const struct http_cors *cors, const char *origin,
                        struct http_field fields[HTTP_CORS_FIELDS]);

/* The fields of the 204 answer to OPTIONS. They borrow from the request. */
size_t http_cors_preflight(const struct http_cors *cors, const struct http_request *request,
                           struct http_field fields[HTTP_CORS_FIELDS]);

/* The pages that may use a route. Borrowed for as long as a route uses it. */
struct http_origins {
    const char *const *listed; /* NULL-terminated; a single "*": any. Compared exactly */
    bool loopback; /* those of this machine too, and of others none but the listed; else also the
                      page that comes from where it asks */
};

/* Whether the request comes from such a page, or from no page: it has no Origin field. */
bool http_origins_admit(const struct http_origins *origins, const struct http_request *request);

#endif
