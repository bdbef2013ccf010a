/* An exchange as its route sees it: how it is answered, refused or taken over by another protocol,
 * and how its connection ends. Nothing here reads: that is http_server.c, which calls the routes.
 *
 * A route owes one answer for each request: exactly one of answer, drop, take and being told
 * `aborted`. It may give it from inside its call or any time later. An exchange may not be freed
 * while http_server reads from it (`inside`); it is DEAD then, and freed on the way out. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "http_response.h"
#include "http_server_private.h"

/* ---- The end of a connection ---- */

/* The exchange leaves all that could still call it, the timer and the server's list. The wire is
 * not touched: it is closed already, or another protocol's. */
void http_exchange_free(struct http_exchange *exchange)
{
    assert(exchange->phase == PHASE_DEAD && !exchange->inside);
    timer_wheel_cancel(exchange->server->wheel, &exchange->timer);
    http_reader_deinit(&exchange->reader);
    buffer_deinit(&exchange->body);
    exchange->server->stats.connections--;
    DL_DELETE(exchange->server->exchanges, exchange);
    free(exchange);
}

void http_exchange_end(struct http_exchange *exchange)
{
    assert(exchange->phase != PHASE_DEAD);
    exchange->phase = PHASE_DEAD;
    if (!exchange->inside)
        http_exchange_free(exchange);
}

/* After this nothing is heard of the wire: `closed` comes only where somebody else ends it. */
void http_exchange_close(struct http_exchange *exchange, enum wire_end how)
{
    wire_close(exchange->wire, how);
    http_exchange_end(exchange);
}

bool http_exchange_is_owed(const struct http_exchange *exchange)
{
    return exchange->phase == PHASE_BODY || exchange->phase == PHASE_HANDLING;
}

/* The route is forgotten before it is told: so it hears of the end once, and cannot answer any
 * more. */
void http_exchange_tell_aborted(struct http_exchange *exchange, enum http_abort reason,
                                int64_t now_ms)
{
    const struct http_route *route = exchange->route;
    exchange->route = NULL;
    if (route && route->aborted)
        route->aborted(route->route, exchange, reason, now_ms);
}

/* ---- Answers ---- */

bool http_exchange_write(struct http_exchange *exchange, const struct http_answer *answer,
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

void http_exchange_time(struct http_exchange *exchange, enum timing timing, int64_t deadline_ms)
{
    exchange->timing = (uint8_t)timing;
    assert(timing == TIMING_NONE || deadline_ms >= 0);
    if (timing == TIMING_NONE)
        timer_wheel_cancel(exchange->server->wheel, &exchange->timer);
    else
        timer_wheel_set(exchange->server->wheel, &exchange->timer, deadline_ms);
}

/* After it the connection reads on. A body that is still coming is dropped: to leave it unread
 * would make the kernel reset the connection, and the answer be lost. */
void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
    assert(http_exchange_is_owed(exchange));
    struct http_server *server = exchange->server;
    bool close = answer->close || !exchange->keep_alive || server->draining;
    bool written = http_exchange_write(exchange, answer, close);
    exchange->route = NULL;
    exchange->context = NULL;
    buffer_deinit(&exchange->body); /* what came of a body that nobody took */
    if (close && written) {
        http_exchange_close(exchange, WIRE_FLUSH);
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
        http_exchange_time(exchange, TIMING_RESUME, 0);
    else
        http_exchange_time(exchange, TIMING_IDLE,
                           server->wheel->now_ms + server->config.idle_timeout_ms);
}

void http_exchange_drop(struct http_exchange *exchange)
{
    assert(http_exchange_is_owed(exchange));
    exchange->route = NULL;
    http_exchange_close(exchange, WIRE_ABORT);
}

/* ---- Refusals ---- */

void http_exchange_note_refusal(const struct http_exchange *exchange, const char *transport,
                                const char *word)
{
    assert(word && transport);
    refusals_note(exchange->server->config.refusals,
                  &(struct refusal_note){
                      .transport = transport, .word = word, .ends = true, .wire = exchange->wire});
}

struct bytes http_exchange_write_problem(struct buffer *body, const char *word)
{
    buffer_append_string(body, "{\"error\":");
    refusal_append_json(body, word, NULL);
    buffer_append_string(body, "}\n");
    return buffer_peek(body);
}

/* Refusals explain themselves: a word for programs, a text for people, in JSON whatever was asked
 * for. */
static void refuse_with_answer(struct http_exchange *exchange, struct http_answer *answer,
                               const char *word)
{
    auto_buffer struct buffer body = {0};
    assert(answer->code >= 400 && answer->body.size == 0);
    http_exchange_note_refusal(exchange, "http", word);
    answer->content_type = "application/json";
    answer->body = http_exchange_write_problem(&body, word);
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

/* ---- The client's address ---- */

bool http_exchange_enter(const struct http_exchange *exchange, const struct http_request *request,
                         int64_t now_ms, struct address_place *place, int64_t *retry_after_ms)
{
    assert(http_exchange_is_owed(exchange));
    return address_quotas_enter(exchange->server->config.addresses, exchange->wire, request, now_ms,
                                place, retry_after_ms);
}

/* Seconds rounded up: a client that waits so long is not too early. */
void http_exchange_refuse_crowd(struct http_exchange *exchange, int64_t retry_after_ms)
{
    char seconds[24];
    assert(retry_after_ms > 0);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)((retry_after_ms - 1) / 1000 + 1));
    struct http_field retry = http_field_of("Retry-After", seconds);
    http_exchange_refuse_finally(exchange, 429, "rate_limited", &retry);
}

/* For routes that have nothing of their own to say to an address that asks too much. */
bool http_exchange_admit(struct http_exchange *exchange, const struct http_request *request,
                         int64_t now_ms, struct address_place *place)
{
    int64_t retry_after_ms;
    if (http_exchange_enter(exchange, request, now_ms, place, &retry_after_ms))
        return true;
    http_exchange_refuse_crowd(exchange, retry_after_ms);
    return false;
}

/* ---- What routes keep and ask ---- */

/* The wire goes to another protocol, with what came behind the request (a client may send on before
 * it has read the 101). Only from inside the route's call: later the reader may have gone on. */
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

/* The context belongs to the present request: the next one of the connection begins without. */
void http_exchange_set_context(struct http_exchange *exchange, void *context)
{
    assert(http_exchange_is_owed(exchange));
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
