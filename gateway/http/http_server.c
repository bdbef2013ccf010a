#include "http_server.h"

#include <assert.h>
#include <stdio.h>

#include <utlist.h>

#include "http_response.h"
#include "mem.h"

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

/* ---- The end of a connection ---- */

static void exchange_free(struct http_exchange *exchange)
{
    assert(exchange->phase == PHASE_DEAD && !exchange->inside);
    timer_wheel_cancel(exchange->server->wheel, &exchange->timer);
    http_reader_deinit(&exchange->reader);
    buffer_deinit(&exchange->body);
    exchange->server->stats.connections--;
    DL_DELETE(exchange->server->exchanges, exchange);
    free(exchange);
}

static void exchange_end(struct http_exchange *exchange)
{
    exchange->phase = PHASE_DEAD;
    if (!exchange->inside)
        exchange_free(exchange);
}

static void close_wire(struct http_exchange *exchange, enum wire_end how)
{
    wire_close(exchange->wire, how);
    exchange_end(exchange);
}

static bool is_owed(const struct http_exchange *exchange)
{
    return exchange->phase == PHASE_BODY || exchange->phase == PHASE_HANDLING;
}

static void tell_aborted(struct http_exchange *exchange, enum http_abort reason, int64_t now_ms)
{
    const struct http_route *route = exchange->route;
    exchange->route = NULL;
    if (route && route->aborted)
        route->aborted(route->route, exchange, reason, now_ms);
}

/* ---- Answers ---- */

static bool write_answer(struct http_exchange *exchange, const struct http_answer *answer,
                         bool close)
{
    struct http_server *server = exchange->server;
    assert(answer->code >= 100 && answer->code <= 599);
    server->stats.answers[answer->code / 100 % 6]++;
    if (!exchange->wire->writable)
        return false; /* broken: the next call up is `closed` */
    struct http_field fields[24];
    size_t count = answer->field_count;
    assert(count + HTTP_CORS_FIELDS <= sizeof(fields) / sizeof(fields[0]));
    for (size_t i = 0; i < count; i++)
        fields[i] = answer->fields[i];
    count += http_exchange_cors_fields(exchange, fields + count);
    struct http_response response = {
        .code = answer->code,
        .framing =
            answer->code == 204 || answer->code == 304 ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH,
        .content_length = answer->body.size,
        .minor_version = exchange->minor_version,
        .close = close,
        .date = server->date[0] ? server->date : NULL,
        .content_type = answer->content_type,
    };
    buffer_clear(&server->scratch);
    http_response_write_head(&server->scratch, &response, fields, count);
    if (!exchange->head_method)
        buffer_append(&server->scratch, answer->body);
    wire_write(exchange->wire, buffer_peek(&server->scratch));
    return true;
}

static void time_phase(struct http_exchange *exchange, enum timing timing, int64_t deadline_ms)
{
    exchange->timing = (uint8_t)timing;
    if (timing == TIMING_NONE)
        timer_wheel_cancel(exchange->server->wheel, &exchange->timer);
    else
        timer_wheel_set(exchange->server->wheel, &exchange->timer, deadline_ms);
}

void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
    assert(is_owed(exchange));
    struct http_server *server = exchange->server;
    bool close = answer->close || !exchange->keep_alive || server->draining;
    bool written = write_answer(exchange, answer, close);
    exchange->route = NULL;
    exchange->context = NULL;
    if (close && written) {
        close_wire(exchange, WIRE_FLUSH);
        return;
    }
    if (exchange->phase == PHASE_BODY) {
        http_reader_discard(&exchange->reader, server->config.limits.body_bytes);
        exchange->phase = PHASE_DROPPING;
    } else {
        exchange->phase = PHASE_HEAD;
    }
    /* What waits behind it is parsed in a later turn, so that no route is called from inside its
     * own answer. */
    if (exchange->inside)
        return;
    if (exchange->phase == PHASE_DROPPING || http_reader_buffered(&exchange->reader))
        time_phase(exchange, TIMING_RESUME, 0);
    else
        time_phase(exchange, TIMING_IDLE, server->wheel->now_ms + server->config.idle_timeout_ms);
}

void http_exchange_drop(struct http_exchange *exchange)
{
    assert(is_owed(exchange));
    exchange->route = NULL;
    close_wire(exchange, WIRE_ABORT);
}

struct refusals *http_server_refusals(const struct http_server *server)
{
    return server->config.refusals;
}

void http_exchange_note_refusal(const struct http_exchange *exchange, const char *transport,
                                const char *word)
{
    refusals_note(exchange->server->config.refusals,
                  &(struct refusal_note){
                      .transport = transport, .word = word, .ends = true, .wire = exchange->wire});
}

static struct bytes write_problem(struct buffer *body, const char *word)
{
    buffer_append_string(body, "{\"error\":");
    refusal_append_json(body, word, NULL);
    buffer_append_string(body, "}\n");
    return buffer_peek(body);
}

static void refuse_with_answer(struct http_exchange *exchange, struct http_answer *answer,
                               const char *word)
{
    auto_buffer struct buffer body = {0};
    http_exchange_note_refusal(exchange, "http", word);
    answer->content_type = "application/json";
    answer->body = write_problem(&body, word);
    http_exchange_answer(exchange, answer);
}

void http_exchange_refuse(struct http_exchange *exchange, unsigned code, const char *word)
{
    refuse_with_answer(exchange, &(struct http_answer){.code = code}, word);
}

void http_exchange_refuse_finally(struct http_exchange *exchange, unsigned code, const char *word,
                                  const struct http_field *field)
{
    refuse_with_answer(
        exchange,
        &(struct http_answer){
            .code = code, .fields = field, .field_count = field ? 1 : 0, .close = true},
        word);
}

bool http_exchange_enter(const struct http_exchange *exchange, const struct http_request *request,
                         int64_t now_ms, struct address_place *place, int64_t *retry_after_ms)
{
    assert(is_owed(exchange));
    return address_quotas_enter(exchange->server->config.addresses, exchange->wire, request, now_ms,
                                place, retry_after_ms);
}

void http_exchange_refuse_crowd(struct http_exchange *exchange, int64_t retry_after_ms)
{
    char seconds[24];
    assert(retry_after_ms > 0);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)((retry_after_ms - 1) / 1000 + 1));
    struct http_field retry = http_field_of("Retry-After", seconds);
    http_exchange_refuse_finally(exchange, 429, "rate_limited", &retry);
}

bool http_exchange_admit(struct http_exchange *exchange, const struct http_request *request,
                         int64_t now_ms, struct address_place *place)
{
    int64_t retry_after_ms;
    if (http_exchange_enter(exchange, request, now_ms, place, &retry_after_ms))
        return true;
    http_exchange_refuse_crowd(exchange, retry_after_ms);
    return false;
}

struct wire *http_exchange_take(struct http_exchange *exchange, unsigned code, struct buffer *rest)
{
    assert(exchange->phase == PHASE_BODY && exchange->inside);
    assert(code == 0 || (code >= 100 && code < 600));
    if (code)
        exchange->server->stats.answers[code / 100]++;
    http_reader_upgrade(&exchange->reader, rest);
    exchange->phase = PHASE_DEAD;
    exchange->route = NULL;
    return exchange->wire;
}

void http_exchange_set_context(struct http_exchange *exchange, void *context)
{
    assert(is_owed(exchange));
    exchange->context = context;
}

void *http_exchange_context(const struct http_exchange *exchange)
{
    return exchange->context;
}

size_t http_exchange_cors_fields(const struct http_exchange *exchange,
                                 struct http_field fields[HTTP_CORS_FIELDS])
{
    const struct http_route *route = exchange->route;
    return route && route->cors ? http_cors_fields(route->cors, exchange->allow_origin, fields) : 0;
}

void http_exchange_peer(const struct http_exchange *exchange, char text[WIRE_PEER_SIZE])
{
    exchange->wire->ops->peer(exchange->wire, text);
}

/* ---- Requests ---- */

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

static void begin_request(struct http_exchange *exchange, const struct http_request *request,
                          int64_t now_ms)
{
    struct http_server *server = exchange->server;
    assert(exchange->phase == PHASE_HEAD);
    server->stats.requests++;
    exchange->phase = PHASE_BODY;
    exchange->keep_alive = request->keep_alive;
    exchange->minor_version = (uint8_t)request->minor_version;
    exchange->head_method = request->method == HTTP_HEAD;
    exchange->context = NULL;
    exchange->allow_origin = NULL;
    exchange->route = find_route(server, request->path);
    exchange->has_body = request->has_body;
    time_phase(exchange, TIMING_BODY, now_ms + server->config.body_timeout_ms);
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

static void end_request(struct http_exchange *exchange, int64_t now_ms)
{
    if (exchange->phase == PHASE_DROPPING) {
        exchange->phase = PHASE_HEAD;
        return;
    }
    assert(exchange->phase == PHASE_BODY);
    exchange->phase = PHASE_HANDLING;
    time_phase(exchange, TIMING_NONE, 0);
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
    struct http_answer answer = {
        .code = code, .content_type = "application/json", .body = write_problem(&body, word)};
    http_exchange_note_refusal(exchange, "http", word);
    bool written = may_answer && write_answer(exchange, &answer, true);
    if (owed)
        tell_aborted(exchange, HTTP_ABORT_REFUSED, now_ms);
    close_wire(exchange, written ? WIRE_FLUSH : WIRE_ABORT);
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
        time_phase(exchange, TIMING_HEAD, now_ms + config->head_timeout_ms);
    else if (exchange->timing != TIMING_IDLE)
        time_phase(exchange, TIMING_IDLE, now_ms + config->idle_timeout_ms);
}

static void exchange_process(struct http_exchange *exchange, int64_t now_ms)
{
    assert(!exchange->inside);
    exchange->inside = true;
    while (exchange->phase != PHASE_HANDLING && exchange->phase != PHASE_DEAD) {
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
        exchange_free(exchange);
    else
        time_waiting(exchange, now_ms);
}

static void timed_out(struct timer *timer, int64_t now_ms)
{
    struct http_exchange *exchange =
        (struct http_exchange *)((char *)timer - offsetof(struct http_exchange, timer));
    enum timing timing = (enum timing)exchange->timing;
    exchange->timing = TIMING_NONE;
    switch (timing) {
    case TIMING_RESUME:
        if (exchange->phase == PHASE_DROPPING)
            time_phase(exchange, TIMING_BODY, now_ms + exchange->server->config.body_timeout_ms);
        exchange_process(exchange, now_ms);
        break;
    case TIMING_IDLE:
        close_wire(exchange, WIRE_FLUSH);
        break;
    case TIMING_HEAD:
    case TIMING_BODY:
        exchange->server->stats.timeouts++;
        if (exchange->phase == PHASE_HEAD && http_reader_is_idle(&exchange->reader))
            close_wire(exchange, WIRE_FLUSH); /* a connection that never asked anything */
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
    tell_aborted(exchange, HTTP_ABORT_CLOSED, now_ms);
    close_wire(exchange, WIRE_ABORT);
}

static void exchange_writable(void *receiver, int64_t now_ms)
{
    struct http_exchange *exchange = receiver;
    assert(exchange->phase != PHASE_DEAD);
    if (exchange->phase == PHASE_HEAD)
        exchange_process(exchange, now_ms);
}

static void exchange_closed(void *receiver, int64_t now_ms)
{
    struct http_exchange *exchange = receiver;
    assert(exchange->phase != PHASE_DEAD);
    if (is_owed(exchange)) {
        exchange->server->stats.aborted++;
        tell_aborted(exchange, HTTP_ABORT_CLOSED, now_ms);
    }
    exchange_end(exchange);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = exchange_bytes,
    .writable = exchange_writable,
    .closed = exchange_closed,
};

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
    time_phase(exchange, TIMING_HEAD, now_ms + server->config.head_timeout_ms);
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
        tell_aborted(exchange, HTTP_ABORT_CLOSED, server->wheel->now_ms);
        close_wire(exchange, WIRE_ABORT);
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

void http_server_drain(struct http_server *server)
{
    server->draining = true;
    struct http_exchange *exchange, *next;
    DL_FOREACH_SAFE(server->exchanges, exchange, next)
        if (exchange->phase == PHASE_HEAD && http_reader_is_idle(&exchange->reader) &&
            exchange->timing == TIMING_IDLE)
            close_wire(exchange, WIRE_FLUSH);
}

const struct http_server_stats *http_server_stats(const struct http_server *server)
{
    return &server->stats;
}
