/* The server as a whole: which request goes where, handshakes over polling, the turn, and its end.
 *
 * Calls from below (a request, bytes, a timer) only change sessions and put them on the dirty
 * list. The turn goes over that list once, and writes: so all that a turn of the loop brought
 * for a client goes out in one write, and no application is called from inside its own call.
 * Sessions and links that ended are freed last, when nothing of the turn can point to them any
 * more. */
#include "engineio_server.h"

#include <assert.h>
#include <stdio.h>

#include "engineio_private.h"
#include "http_response.h"
#include "mem.h"

/* ---- Handshake ---- */

/* The answer carries the session id, and the first poll follows it: the application may already
 * speak, it is queued. */
static void open_polling(struct engineio_server *server, struct http_exchange *exchange,
                         const struct http_request *request, int64_t now_ms)
{
    struct address_place place = {0};
    assert(!engineio_is_full(server));
    if (!http_exchange_admit(exchange, request, now_ms, &place))
        return;
    struct engineio_session *session = engineio_session_open(server, request, now_ms);
    session->place = place;
    assert(session->state == SESSION_OPEN);
    polling_attach(session);
    struct buffer *out = &server->scratch;
    buffer_clear(out);
    engineio_session_append_open(session, false, out);
    char text[SESSION_COOKIE_SIZE];
    const char *cookie = engineio_session_cookie(session, text);
    struct http_field fields[] = {http_field_of("Cache-Control", "no-store"),
                                  http_field_of("Set-Cookie", cookie)};
    http_exchange_answer(exchange,
                         &(struct http_answer){.code = 200,
                                               .content_type = "text/plain; charset=UTF-8",
                                               .fields = fields,
                                               .field_count = cookie ? 2 : 1,
                                               .body = buffer_peek(out)});
    session->connection = server->config.ops->opened(server->config.application, session, now_ms);
}

/* Full is looked at before the address is counted: a place that is taken would have to be given
 * back. */
static void engineio_handshake(struct engineio_server *server, struct http_exchange *exchange,
                               const struct http_request *request, bool websocket, int64_t now_ms)
{
    if (engineio_is_full(server))
        engineio_refuse_full(server, exchange);
    else if (websocket)
        engineio_websocket_request(server, NULL, exchange, request, now_ms);
    else
        open_polling(server, exchange, request, now_ms);
}

/* ---- Requests ---- */

/* The checks stand in the order of the JavaScript server: clients and their tests know which error
 * wins. */
static void engineio_handle_request(void *route, struct http_exchange *exchange,
                                    const struct http_request *request, int64_t now_ms)
{
    struct engineio_server *server = route;
    /* Other upgrades are offers that a server may leave alone (RFC 9110, 7.8): h2c is offered to
     * everybody by some. */
    bool upgrade = request->upgrade && http_request_has_token(request, "upgrade", "websocket");
    struct request_parameters parameters = engineio_read_parameters(server, request, now_ms);
    const char *message = NULL;
    if (!parameters.known) {
        engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_UNKNOWN_TRANSPORT, NULL);
    } else if (parameters.names_session) {
        if (!parameters.session && !upgrade && parameters.version_fits)
            forward_request(server, exchange, request, buffer_peek(&parameters.sid));
        else if (!parameters.session && parameters.websocket && parameters.version_fits)
            remote_upgrade_request(server, exchange, request, buffer_peek(&parameters.sid), now_ms);
        else if (!parameters.session)
            engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
        else if (!engineio_fits_session(&parameters, upgrade))
            engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_BAD_REQUEST, NULL);
        else if (upgrade)
            engineio_websocket_request(server, parameters.session, exchange, request, now_ms);
        else
            polling_request(parameters.session, exchange, request, now_ms);
    } else if (request->method != HTTP_GET) {
        engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_BAD_HANDSHAKE_METHOD, NULL);
    } else if (parameters.websocket != upgrade) {
        engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    } else if (server->config.ops->allow &&
               !server->config.ops->allow(server->config.application, request, &message)) {
        server->stats.refused++;
        engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_FORBIDDEN, message);
    } else if (!parameters.version_fits) {
        engineio_refuse(exchange, upgrade, ENGINEIO_ERROR_UNSUPPORTED_PROTOCOL_VERSION, NULL);
    } else {
        engineio_handshake(server, exchange, request, upgrade, now_ms);
    }
    buffer_deinit(&parameters.sid);
}

/* ---- Turns ---- */

enum {
    LEFT_MS = 100
}; /* how long a session stays that its client closed, see engineio_session_is_left() */

/* What a session has to say, by whatever carries it now. A closing one tells its application first:
 * that may queue its last words, which still go out. */
static void session_flush(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state != SESSION_DEAD && !session->link == !!session->polling);
    if (session->state == SESSION_CLOSING && !session->told_closed) {
        engineio_session_tell_closed(session, now_ms);
        timer_wheel_set(session->server->wheel, &session->timer,
                        now_ms + (engineio_session_is_left(session)
                                      ? LEFT_MS
                                      : session->server->config.close_timeout_ms));
    }
    if (session->link && buffer_size(&session->link->held) && !session->deaf)
        link_hear_held(session->link, now_ms);
    if (session->state == SESSION_DEAD)
        return;
    if (session->link)
        link_flush(session->link, now_ms);
    else if (session->polling->take)
        engineio_migrate_out(session, now_ms);
    else
        polling_flush(session, now_ms);
}

/* Links first: a dead session has none, but a probe that failed leaves one without a session. */
static void free_dead(struct engineio_server *server)
{
    while (server->dead_links) {
        struct link *link = server->dead_links;
        assert(!link->wire);
        server->dead_links = link->next_dead;
        websocket_reader_deinit(&link->reader);
        buffer_deinit(&link->held);
        free(link);
    }
    while (server->dead) {
        struct engineio_session *session = server->dead;
        assert(session->state == SESSION_DEAD && !session->link && !session->polling);
        server->dead = session->next_dirty;
        buffer_deinit(&session->queue);
        free(session->handshake);
        free(session);
    }
}

/* The list is taken off before it is walked: what is marked from now on, from inside a call, has
 * its turn in the next round of the loop, which follows at once. */
void engineio_server_turn(struct engineio_server *server, int64_t now_ms)
{
    struct engineio_session *list = server->dirty;
    server->dirty = NULL;
    server->dirty_tail = &server->dirty;
    while (list) {
        struct engineio_session *session = list;
        list = session->next_dirty;
        session->dirty = false;
        if (session->state != SESSION_DEAD) {
            session_flush(session, now_ms);
            continue;
        }
        session->next_dirty = server->dead;
        server->dead = session;
    }
    free_dead(server);
}

int64_t engineio_server_deadline_ms(const struct engineio_server *server)
{
    return server->dirty ? 0 : INT64_MAX;
}

/* ---- The server ---- */

enum { BASE64_SLACK = 3 }; /* see engineio_polling.c */

static void config_default(int64_t *value, int64_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

struct engineio_server *engineio_server_new(const struct engineio_config *config,
                                            struct http_server *http, struct timer_wheel *wheel)
{
    assert(config->path && config->random && config->ops && config->ping_interval_ms &&
           config->ping_timeout_ms);
    assert(bytes_of_string(config->sid_prefix).size + SID_KEY_SIZE < ENGINEIO_SID_SIZE);
    struct engineio_server *server = mem_new(struct engineio_server);
    server->config = *config;
    server->http = http;
    server->wheel = wheel;
    server->dirty_tail = &server->dirty;
    config_default(&server->config.upgrade_timeout_ms, 10000);
    config_default(&server->config.close_timeout_ms, 30000);
    if (!server->config.write_bytes)
        server->config.write_bytes = 65536;
    if (!server->config.compress_bytes)
        server->config.compress_bytes = 1024;
    if (!server->config.payload_packets)
        server->config.payload_packets = 10000;
    server->poll_bytes = config->max_payload_bytes + config->max_payload_bytes / BASE64_SLACK;
    if (config->compress)
        server->compressor = poll_compressor_new();
    http_server_add_route(http, &(struct http_route){
                                    .path = config->path,
                                    .body_bytes = server->poll_bytes,
                                    .cors = config->cors,
                                    .origins = config->origins,
                                    .request = engineio_handle_request,
                                    .body = engineio_handle_body,
                                    .aborted = engineio_handle_aborted,
                                    .route = server,
                                });
    return server;
}

/* The turn after the ends tells applications, and frees what has ended. */
void engineio_server_free(struct engineio_server *server)
{
    if (!server)
        return;
    struct engineio_session *session, *next;
    HASH_ITER(hh, server->sessions, session, next)
        engineio_session_end(session, ENGINEIO_CLOSE_SERVER, server->wheel->now_ms);
    engineio_server_turn(server, server->wheel->now_ms);
    forwards_free(server);
    remote_upgrades_free(server);
    poll_compressor_free(server->compressor);
    buffer_deinit(&server->scratch);
    buffer_deinit(&server->decoded);
    free(server);
}

/* Deadlines of pongs have moved with the clock. Pings have to move back: a client counts from the
 * last ping it got, and would give up in its own time. */
void engineio_server_woke(struct engineio_server *server, int64_t span_ms, int64_t now_ms)
{
    struct engineio_session *session, *next;
    assert(span_ms > 0);
    HASH_ITER(hh, server->sessions, session, next) {
        int64_t in_ms = engineio_session_ping_in_ms(session, now_ms) - span_ms;
        assert(session->server == server);
        if (session->state == SESSION_OPEN && session->heartbeat == HEARTBEAT_WAIT_PING)
            engineio_session_plan_ping_in(session, in_ms > 0 ? in_ms : 0, now_ms);
    }
}

void engineio_server_drain(struct engineio_server *server)
{
    server->draining = true;
}

/* The oldest are first in the table, which keeps the order of insertion. */
unsigned engineio_server_send_away(struct engineio_server *server, unsigned count)
{
    struct engineio_session *session, *next;
    unsigned sent = 0;
    HASH_ITER(hh, server->sessions, session, next) {
        if (sent == count)
            break;
        if (session->state != SESSION_OPEN)
            continue;
        engineio_session_close(session);
        sent++;
    }
    return sent;
}

const struct engineio_stats *engineio_server_stats(const struct engineio_server *server)
{
    return &server->stats;
}
