/* Pages whose body is made when they are asked for: /livez, /readyz, /metrics. GET and HEAD only.
 * Not for what a client may change or what takes time. */
#ifndef GATEWAY_TRANSPORT_HTTP_PAGES_H
#define GATEWAY_TRANSPORT_HTTP_PAGES_H

#include "http_server.h"

struct http_pages;

struct http_page {
    const char *path; /* borrowed */
    /* Appends the body, sets *content_type (static) and returns the code. */
    unsigned (*render)(void *context, struct buffer *body, const char **content_type);
    void *context;
};

enum { HTTP_PAGES = 8 };

/* Frees with free(), after http_server_free(). */
struct http_pages *http_pages_new(struct http_server *http, const struct http_page *pages,
                                  size_t count);

#endif
