/* /livez, /readyz and /metrics: on a port of their own with all details, and on that of clients
 * with no more than a code, for load balancers that can only look there.
 *
 * Our own HTTP server and not libmicrohttpd as in the dispatcher: the loop is here already, and
 * that it answers is what /livez is to show. */
#include "operations.h"

#include <assert.h>

#include "mem.h"

enum {
    HEAD_TIMEOUT_MS = 10000,
    IDLE_TIMEOUT_MS = 120000, /* longer than scrapers pause: they keep their connection */
    HEAD_BYTES = 8192,
};

struct operations {
    struct operations_config config;
    struct http_server *http;
    struct lws_server *sockets;
};

/* Nothing on this port changes anything, and it has no body to read. */
static bool is_reading(struct http_exchange *exchange, const struct http_request *request)
{
    if (request->method == HTTP_GET || request->method == HTTP_HEAD)
        return true;
    http_exchange_refuse(exchange, 405, "method");
    return false;
}

static void operations_answer(struct http_exchange *exchange, unsigned code,
                              const char *content_type, struct bytes body)
{
    /* A proxy that answered a probe from its cache would keep a dead gateway in service. */
    static const struct http_field fields[] = {
        {BYTES_LITERAL("Cache-Control"), BYTES_LITERAL("no-store")}};
    const struct http_answer answer = {.code = code,
                                       .content_type = content_type,
                                       .fields = fields,
                                       .field_count = 1,
                                       .body = body};
    http_exchange_answer(exchange, &answer);
}

/* The port of clients tells whether, and not why: details name brokers. */
static void answer_health(struct http_exchange *exchange, const struct health_check *checks,
                          size_t count, bool details)
{
    auto_buffer struct buffer body = {0};
    assert(count <= OPERATIONS_CHECKS_LIMIT);
    bool healthy = health_render(checks, count, &body);
    if (details)
        operations_answer(exchange, healthy ? 200 : 503, HEALTH_CONTENT_TYPE, buffer_peek(&body));
    else
        operations_answer(exchange, healthy ? 200 : 503, "text/plain",
                          healthy ? BYTES_LITERAL("ok\n") : BYTES_LITERAL("unavailable\n"));
}

/* That the loop turns is the first thing that is asked. */
static void answer_live(const struct operations *operations, struct http_exchange *exchange,
                        const struct http_request *request, bool details)
{
    struct health_check checks[OPERATIONS_CHECKS_LIMIT];
    if (is_reading(exchange, request))
        answer_health(exchange, checks, operations->config.live(operations->config.context, checks),
                      details);
}

static void answer_ready(const struct operations *operations, struct http_exchange *exchange,
                         const struct http_request *request, bool details)
{
    struct health_check checks[OPERATIONS_CHECKS_LIMIT];
    if (is_reading(exchange, request))
        answer_health(exchange, checks,
                      operations->config.ready(operations->config.context, checks), details);
}

/* Two of each: routes have one function, and what differs is only who may see details. */
static void on_live(void *route, struct http_exchange *exchange, const struct http_request *request,
                    int64_t now_ms)
{
    (void)now_ms;
    answer_live(route, exchange, request, true);
}

static void on_ready(void *route, struct http_exchange *exchange,
                     const struct http_request *request, int64_t now_ms)
{
    (void)now_ms;
    answer_ready(route, exchange, request, true);
}

static void on_public_live(void *route, struct http_exchange *exchange,
                           const struct http_request *request, int64_t now_ms)
{
    (void)now_ms;
    answer_live(route, exchange, request, false);
}

static void on_public_ready(void *route, struct http_exchange *exchange,
                            const struct http_request *request, int64_t now_ms)
{
    (void)now_ms;
    answer_ready(route, exchange, request, false);
}

/* Rendered on the loop, in one go: a few hundred lines, every fifteen seconds or so. */
static void on_metrics(void *route, struct http_exchange *exchange,
                       const struct http_request *request, int64_t now_ms)
{
    const struct operations *operations = route;
    auto_buffer struct buffer body = {0};
    (void)now_ms;
    if (!is_reading(exchange, request))
        return;
    metrics_render(operations->config.metrics, &body);
    operations_answer(exchange, 200, METRICS_CONTENT_TYPE, buffer_peek(&body));
}

static void add_routes(struct http_server *http, const struct http_route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        http_server_add_route(http, &routes[i]);
}

/* Never /metrics: figures of the whole are no business of clients. */
void operations_add_public_routes(struct operations *operations, struct http_server *http)
{
    const struct http_route routes[] = {
        {.path = "/livez", .request = on_public_live, .route = operations},
        {.path = "/readyz", .request = on_public_ready, .route = operations}};
    add_routes(http, routes, sizeof(routes) / sizeof(routes[0]));
}

/* Small limits: whoever asks here sends a line and a few fields. */
static void make_http(struct operations *operations, struct timer_wheel *wheel)
{
    const struct http_server_config config = {
        .limits = {.request_line_bytes = HEAD_BYTES / 4,
                   .head_bytes = HEAD_BYTES,
                   .field_count = 100,
                   .body_bytes = 0},
        .head_timeout_ms = HEAD_TIMEOUT_MS,
        .body_timeout_ms = HEAD_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .pipeline_bytes = HEAD_BYTES,
    };
    const struct http_route routes[] = {
        {.path = "/livez", .request = on_live, .route = operations},
        {.path = "/readyz", .request = on_ready, .route = operations},
        {.path = "/metrics", .request = on_metrics, .route = operations}};
    operations->http = http_server_new(&config, wheel);
    add_routes(operations->http, routes, sizeof(routes) / sizeof(routes[0]));
}

enum status operations_open(const struct operations_config *config, struct lws_loop *loop,
                            struct timer_wheel *wheel, struct operations **operations,
                            struct error *error)
{
    /* The address has a default, the loopback one: details are never shown to everybody by
     * mistake. */
    assert(config->metrics && config->ready && config->live && config->address);
    struct operations *made = mem_new(struct operations);
    made->config = *config;
    make_http(made, wheel);
    const struct lws_server_config sockets = {.address = config->address,
                                              .port = config->port,
                                              /* Workers share it too: whichever is asked answers
                                               * for all of them (gateway_metrics.c). */
                                              .share_port = config->share_port,
                                              .connections = OPERATIONS_CONNECTIONS_LIMIT,
                                              .acceptor = http_server_acceptor(made->http)};
    enum status status = lws_server_open(loop, &sockets, &made->sockets, error);
    if (status != STATUS_OK) {
        operations_close(made);
        return status;
    }
    *operations = made;
    return STATUS_OK;
}

void operations_close(struct operations *operations)
{
    if (!operations)
        return;
    http_server_free(operations->http);
    lws_server_close(operations->sockets);
    free(operations);
}

uint16_t operations_port(const struct operations *operations)
{
    return lws_server_port(operations->sockets);
}
