#include "operations.h"

static bool is_reading(struct http_exchange *exchange, const struct http_request *request)
{
    if (request->method == HTTP_GET || request->method == HTTP_HEAD)
        return true;
    http_exchange_refuse(exchange, 405, "method");
    return false;
}

static void answer(struct http_exchange *exchange, unsigned code, const char *content_type,
                   struct bytes body)
{
    static const struct http_field fields[] = {
        {BYTES_LITERAL("Cache-Control"), BYTES_LITERAL("no-store")}};
    const struct http_answer answer = {.code = code,
                                       .content_type = content_type,
                                       .fields = fields,
                                       .field_count = 1,
                                       .body = body};
    http_exchange_answer(exchange, &answer);
}

static void answer_health(struct http_exchange *exchange, const struct health_check *checks,
                          size_t count)
{
    auto_buffer struct buffer body = {0};
    bool healthy = health_render(checks, count, &body);
    answer(exchange, healthy ? 200 : 503, HEALTH_CONTENT_TYPE, buffer_peek(&body));
}

static void on_live(void *route, struct http_exchange *exchange, const struct http_request *request,
                    int64_t now_ms)
{
    const struct operations *operations = route;
    struct health_check checks[OPERATIONS_CHECKS_LIMIT];
    (void)now_ms;
    /* The loop turns: that is what is asked. */
    if (is_reading(exchange, request))
        answer_health(exchange, checks,
                      operations->live ? operations->live(operations->context, checks) : 0);
}

static void on_ready(void *route, struct http_exchange *exchange,
                     const struct http_request *request, int64_t now_ms)
{
    const struct operations *operations = route;
    struct health_check checks[OPERATIONS_CHECKS_LIMIT];
    (void)now_ms;
    if (is_reading(exchange, request))
        answer_health(exchange, checks, operations->ready(operations->context, checks));
}

static void on_metrics(void *route, struct http_exchange *exchange,
                       const struct http_request *request, int64_t now_ms)
{
    const struct operations *operations = route;
    auto_buffer struct buffer body = {0};
    (void)now_ms;
    if (!is_reading(exchange, request))
        return;
    metrics_render(operations->metrics, &body);
    answer(exchange, 200, METRICS_CONTENT_TYPE, buffer_peek(&body));
}

void operations_add_routes(struct operations *operations, struct http_server *http)
{
    const struct http_route routes[] = {
        {.path = "/livez", .request = on_live, .route = operations},
        {.path = "/readyz", .request = on_ready, .route = operations},
        {.path = "/metrics", .request = on_metrics, .route = operations}};
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        http_server_add_route(http, &routes[i]);
}
