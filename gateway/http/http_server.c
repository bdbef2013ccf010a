/* HTTP/1.1 connections: requests are read one behind the other, and each is handed to its route.
 *
 * One connection is one exchange, which is used again for each request. Pipelined requests wait
 * in the reader until the one before is answered, and only so much of them; meanwhile nothing is
 * parsed. All deadlines are absolute: a client that sends a byte now and then gains nothing
 * (slowloris). */
#include "http_server.h"

#include <assert.h>

#include <utlist.h>

#include "http_response.h"
#include "http_server_private.h"
#include "mem.h"

/* ---- Requests ---- */

/* The longest path that fits wins. There are few (HTTP_ROUTES), so they are compared one by one. */
static const struct http_route *find_route(const struct http_server *server, struct bytes path)
{
    const struct http_route *best = NULL;
    size_t best_size = 0;
    for (size_t i = 0; i < server->route_count; i++) {
        const struct http_route *route = &server->routes[i];
        struct bytes own = bytes_of_string(route->path);
        bool prefix = own.data[own.size - 1] == '/';
        if ((prefix ? bytes_start_with(path, own) : bytes_equal(path, own)) &&
            own.size > best_size) {
            best = route;
            best_size = own.size;
        }
    }
    return best;
}

/* A preflight is answered here, for every route that has CORS: routes see real requests only. */
static void answer_preflight(struct http_exchange *exchange, const struct http_request *request)
{
    const struct http_cors *cors = exchange->route->cors;
    struct http_field fields[HTTP_CORS_FIELDS];
    size_t count = http_cors_preflight(cors, request, fields);
    assert(cors && request->method == HTTP_OPTIONS);
    exchange->route = NULL; /* the ordinary fields do not belong into it */
    http_exchange_answer(
        exchange, &(struct http_answer){.code = 204, .fields = fields, .field_count = count});
}

/* The head is there, the body may not be. What can be refused is refused now, before a body of a
 * megabyte comes; the origin is judged before the route learns of the request. */
static void begin_request(struct http_exchange *exchange, const struct http_request *request,
                          int64_t now_ms)
{
    struct http_server *server = exchange->server;
    assert(exchange->phase == PHASE_HEAD && buffer_size(&exchange->body) == 0);
    server->stats.requests++;
    exchange->phase = PHASE_BODY;
    exchange->keep_alive = request->keep_alive;
    exchange->minor_version = (uint8_t)request->minor_version;
    exchange->head_method = request->method == HTTP_HEAD;
    exchange->context = NULL;
    exchange->allow_origin = NULL;
    exchange->route = find_route(server, request->path);
    exchange->has_body = request->has_body;
    http_exchange_time(exchange, TIMING_BODY, now_ms + server->config.body_timeout_ms);
    const struct http_route *route = exchange->route;
    if (!route) {
        http_exchange_refuse(exchange, 404, "not_found");
        return;
    }
    if (route->body_bytes)
        http_reader_limit_body(&exchange->reader, route->body_bytes);
    if (route->cors) {
        exchange->allow_origin = http_cors_origin(route->cors, request);
        if (request->method == HTTP_OPTIONS) {
            answer_preflight(exchange, request);
            return;
        }
    }
    if (route->origins && !http_origins_admit(route->origins, request)) {
        http_exchange_refuse(exchange, 403, "origin_not_allowed");
        return;
    }
    bool expects = request->expect_continue && request->has_body;
    route->request(route->route, exchange, request, now_ms);
    if (expects && exchange->phase == PHASE_BODY && exchange->wire->writable) {
        buffer_clear(&server->scratch);
        http_response_write_continue(&server->scratch);
        wire_write(exchange->wire, buffer_peek(&server->scratch));
    }
}

/* The request is whole. A route without `body` never asked for one. */
static void end_request(struct http_exchange *exchange, int64_t now_ms)
{
    if (exchange->phase == PHASE_DROPPING) {
        exchange->phase = PHASE_HEAD;
        return;
    }
    assert(exchange->phase == PHASE_BODY);
    exchange->phase = PHASE_HANDLING;
    http_exchange_time(exchange, TIMING_NONE, 0);
    const struct http_route *route = exchange->route;
    if (!exchange->has_body)
        return;
    if (!route->body) {
        http_exchange_refuse(exchange, 400, "bad_request"); /* no route here takes one */
        return;
    }
    struct buffer body =
        exchange->body; /* the answer may free the exchange, and the body is still borrowed then */
    exchange->body = (struct buffer){0};
    route->body(route->route, exchange, buffer_peek(&body), now_ms);
    buffer_deinit(&body);
}

/* What the reader of requests, or the clock, has to say against one. */
static const char *input_problem(unsigned code)
{
    switch (code) {
    case 408:
        return "http_timeout";
    case 413:
        return "too_large";
    case 414:
    case 431:
        return "head_too_large";
    default:
        return "bad_http";
    }
}

/* Answers what was not a request, or took too long, and ends the connection. */
static void refuse_input(struct http_exchange *exchange, unsigned code, int64_t now_ms)
{
    bool owed = exchange->phase == PHASE_BODY;
    bool may_answer = owed || exchange->phase == PHASE_HEAD;
    assert(code >= 400);
    if (!owed) {
        exchange->minor_version = 1;
        exchange->head_method = false;
    }
    const char *word = input_problem(code);
    auto_buffer struct buffer body = {0};
    struct http_answer answer = {.code = code,
                                 .content_type = "application/json",
                                 .body = http_exchange_write_problem(&body, word)};
    http_exchange_note_refusal(exchange, "http", word);
    bool written = may_answer && http_exchange_write(exchange, &answer, true);
    if (owed)
        http_exchange_tell_aborted(exchange, HTTP_ABORT_REFUSED, now_ms);
    http_exchange_close(exchange, written ? WIRE_FLUSH : WIRE_ABORT);
}

static void exchange_item(struct http_exchange *exchange, const struct http_item *item,
                          int64_t now_ms)
{
    switch (item->kind) {
    case HTTP_ITEM_HEAD:
        begin_request(exchange, &item->request, now_ms);
        break;
    case HTTP_ITEM_BODY:
        if (exchange->phase == PHASE_BODY)
            buffer_append(&exchange->body, item->body);
        break;
    case HTTP_ITEM_END:
        end_request(exchange, now_ms);
        break;
    }
}

/* The deadline of a connection that waits for the client. That of a head is absolute: more bytes do
 * not move it. */
static void time_waiting(struct http_exchange *exchange, int64_t now_ms)
{
    const struct http_server_config *config = &exchange->server->config;
    if (exchange->phase != PHASE_HEAD || exchange->timing == TIMING_HEAD)
        return;
    if (!http_reader_is_idle(&exchange->reader))
        http_exchange_time(exchange, TIMING_HEAD, now_ms + config->head_timeout_ms);
    else if (exchange->timing != TIMING_IDLE)
        http_exchange_time(exchange, TIMING_IDLE, now_ms + config->idle_timeout_ms);
}

/* Reads as long as there is something to read and nobody is owed an answer. `inside` keeps the
 * exchange alive while routes answer, drop or take it from within. */
static void exchange_process(struct http_exchange *exchange, int64_t now_ms)
{
    assert(!exchange->inside);
    exchange->inside = true;
    while (exchange->phase != PHASE_HANDLING && exchange->phase != PHASE_DEAD) {
        /* A client that does not read its answers is not read either: the wire would have to keep
         * them. */
        if (exchange->phase == PHASE_HEAD && !exchange->wire->writable) {
            wire_want_writable(exchange->wire);
            break;
        }
        struct http_item item;
        enum status status = http_reader_next(&exchange->reader, &item);
        if (status == STATUS_INCOMPLETE)
            break;
        if (status == STATUS_OK) {
            exchange_item(exchange, &item, now_ms);
            continue;
        }
        exchange->server->stats.malformed++;
        refuse_input(exchange, http_reader_answer(&exchange->reader), now_ms);
    }
    exchange->inside = false;
    if (exchange->phase == PHASE_DEAD)
        http_exchange_free(exchange);
    else
        time_waiting(exchange, now_ms);
}

/* What the time was for was decided when it was set, not now: the phase may have moved on. */
static void timed_out(struct timer *timer, int64_t now_ms)
{
    struct http_exchange *exchange =
        (struct http_exchange *)((char *)timer - offsetof(struct http_exchange, timer));
    enum timing timing = (enum timing)exchange->timing;
    exchange->timing = TIMING_NONE;
    switch (timing) {
    case TIMING_RESUME:
        if (exchange->phase == PHASE_DROPPING)
            http_exchange_time(exchange, TIMING_BODY,
                               now_ms + exchange->server->config.body_timeout_ms);
        exchange_process(exchange, now_ms);
        break;
    case TIMING_IDLE:
        http_exchange_close(exchange, WIRE_FLUSH);
        break;
    case TIMING_HEAD:
    case TIMING_BODY:
        exchange->server->stats.timeouts++;
        if (exchange->phase == PHASE_HEAD && http_reader_is_idle(&exchange->reader))
            http_exchange_close(exchange, WIRE_FLUSH); /* a connection that never asked anything */
        else
            refuse_input(exchange, 408, now_ms);
        break;
    case TIMING_NONE:
        assert(false);
    }
}

/* ---- The wire's side ---- */

static void exchange_bytes(void *receiver, struct bytes bytes, int64_t now_ms)
{
    struct http_exchange *exchange = receiver;
    assert(bytes.size > 0 && exchange->phase != PHASE_DEAD);
    http_reader_feed(&exchange->reader, bytes);
    bool blocked = exchange->phase == PHASE_HANDLING ||
                   (exchange->phase == PHASE_HEAD && !exchange->wire->writable);
    if (!blocked) {
        exchange_process(exchange, now_ms);
        return;
    }
    if (http_reader_buffered(&exchange->reader) <= exchange->server->config.pipeline_bytes)
        return;
    exchange->server->stats.malformed++;
    /* An answer is owed to the request before, so there is no place for one to these. */
    http_exchange_note_refusal(exchange, "http", "too_many_requests");
    http_exchange_tell_aborted(exchange, HTTP_ABORT_CLOSED, now_ms);
    http_exchange_close(exchange, WIRE_ABORT);
}

static void exchange_writable(void *receiver, int64_t now_ms)
{
    struct http_exchange *exchange = receiver;
    assert(exchange->phase != PHASE_DEAD);
    if (exchange->phase == PHASE_HEAD)
        exchange_process(exchange, now_ms);
}

/* The client or the world ended it. A route that is owed hears of it, once. */
static void exchange_closed(void *receiver, int64_t now_ms)
{
    struct http_exchange *exchange = receiver;
    assert(exchange->phase != PHASE_DEAD);
    if (http_exchange_is_owed(exchange)) {
        exchange->server->stats.aborted++;
        http_exchange_tell_aborted(exchange, HTTP_ABORT_CLOSED, now_ms);
    }
    http_exchange_end(exchange);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = exchange_bytes,
    .writable = exchange_writable,
    .closed = exchange_closed,
};

/* A new connection: it has the time of a head to say anything at all. */
static void exchange_opened(void *acceptor, struct wire *wire, int64_t now_ms)
{
    struct http_server *server = acceptor;
    struct http_exchange *exchange = mem_new(struct http_exchange);
    exchange->server = server;
    exchange->wire = wire;
    exchange->timer.fire = timed_out;
    http_reader_init(&exchange->reader, &server->config.limits);
    DL_APPEND(server->exchanges, exchange);
    server->stats.connections++;
    wire_attach(wire, &receiver_ops, exchange);
    http_exchange_time(exchange, TIMING_HEAD, now_ms + server->config.head_timeout_ms);
}

/* ---- The server ---- */

struct http_server *http_server_new(const struct http_server_config *config,
                                    struct timer_wheel *wheel)
{
    struct http_server *server = mem_new(struct http_server);
    assert(config->head_timeout_ms > 0 && config->body_timeout_ms > 0);
    server->config = *config;
    server->wheel = wheel;
    return server;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    while (server->exchanges) {
        struct http_exchange *exchange = server->exchanges;
        http_exchange_tell_aborted(exchange, HTTP_ABORT_CLOSED, server->wheel->now_ms);
        http_exchange_close(exchange, WIRE_ABORT);
    }
    buffer_deinit(&server->scratch);
    free(server);
}

void http_server_add_route(struct http_server *server, const struct http_route *route)
{
    assert(server->route_count < HTTP_ROUTES && route->path[0] == '/' && route->request);
    server->routes[server->route_count++] = *route;
}

struct wire_acceptor http_server_acceptor(struct http_server *server)
{
    return (struct wire_acceptor){exchange_opened, server};
}

void http_server_set_date(struct http_server *server, const char *date)
{
    assert(strlen(date) < HTTP_DATE_SIZE);
    strcpy(server->date, date);
}

/* Idle connections go now; the others are told to close by their next answer. */
void http_server_drain(struct http_server *server)
{
    server->draining = true;
    struct http_exchange *exchange, *next;
    DL_FOREACH_SAFE(server->exchanges, exchange, next)
        if (exchange->phase == PHASE_HEAD && http_reader_is_idle(&exchange->reader) &&
            exchange->timing == TIMING_IDLE)
            http_exchange_close(exchange, WIRE_FLUSH);
}

struct refusals *http_server_refusals(const struct http_server *server)
{
    return server->config.refusals;
}

const struct http_server_stats *http_server_stats(const struct http_server *server)
{
    return &server->stats;
}
