#include "engineio_server.h"

#include <assert.h>
#include <stdio.h>

#include "engineio_private.h"
#include "http_response.h"
#include "mem.h"

const char *engineio_close_text(enum engineio_close reason)
{
    static const char *const texts[ENGINEIO_CLOSE_COUNT] = {
        [ENGINEIO_CLOSE_CLIENT] = "client",
        [ENGINEIO_CLOSE_TRANSPORT] = "transport",
        [ENGINEIO_CLOSE_PING_TIMEOUT] = "ping_timeout",
        [ENGINEIO_CLOSE_PROTOCOL] = "protocol",
        [ENGINEIO_CLOSE_OVERFLOW] = "overflow",
        [ENGINEIO_CLOSE_SERVER] = "server",
    };
    assert(reason < ENGINEIO_CLOSE_COUNT);
    return texts[reason];
}

/* ---- Refusals ---- */

static const char *error_word(enum engineio_error error)
{
    switch (error) {
    case ENGINEIO_ERROR_UNKNOWN_TRANSPORT:
        return "unknown_transport";
    case ENGINEIO_ERROR_UNKNOWN_SID:
        return "unknown_sid";
    case ENGINEIO_ERROR_BAD_HANDSHAKE_METHOD:
        return "bad_handshake_method";
    case ENGINEIO_ERROR_BAD_REQUEST:
        return "bad_request";
    case ENGINEIO_ERROR_FORBIDDEN:
        return "forbidden";
    case ENGINEIO_ERROR_UNSUPPORTED_PROTOCOL_VERSION:
        return "unsupported_protocol_version";
    }
    assert(!"an error of Engine.IO");
    return NULL;
}

static void answer_json(struct http_exchange *exchange, enum engineio_error error,
                        const char *message)
{
    struct buffer body = {0};
    engineio_append_error(&body, error, message);
    http_exchange_answer(exchange, &(struct http_answer){.code = engineio_error_http_code(error),
                                                         .content_type = "application/json",
                                                         .body = buffer_peek(&body)});
    buffer_deinit(&body);
}

void answer_error(struct http_exchange *exchange, enum engineio_error error, const char *message)
{
    http_exchange_note_refusal(exchange, "engineio", error_word(error));
    answer_json(exchange, error, message);
}

void answer_problem(struct http_exchange *exchange, const char *word)
{
    http_exchange_note_refusal(exchange, "engineio", word);
    answer_json(exchange, ENGINEIO_ERROR_BAD_REQUEST, refusal_message(word));
}

void refuse_request(struct http_exchange *exchange, bool upgrade, enum engineio_error error,
                    const char *message)
{
    if (!upgrade) {
        answer_error(exchange, error, message);
        return;
    }
    http_exchange_note_refusal(exchange, "engineio", error_word(error));
    /* A client that asked for a WebSocket is told in the words of the JavaScript server. */
    http_exchange_answer(
        exchange, &(struct http_answer){
                      .code = engineio_error_http_code(error),
                      .content_type = "text/html",
                      .body = bytes_of_string(message ? message : engineio_error_message(error)),
                      .close = true});
}

/* ---- Handshake ---- */

const char *session_cookie(const struct engineio_session *session, char cookie[SESSION_COOKIE_SIZE])
{
    if (!session->server->config.cookie)
        return NULL;
    char sid[ENGINEIO_SID_SIZE];
    engineio_session_sid(session, sid);
    snprintf(cookie, SESSION_COOKIE_SIZE, "%s=%s; Path=/; HttpOnly; SameSite=Lax",
             session->server->config.cookie, sid);
    return cookie;
}

static void open_polling(struct engineio_server *server, struct http_exchange *exchange,
                         const struct http_request *request, int64_t now_ms)
{
    struct address_place place = {0};
    assert(!engineio_is_full(server));
    if (!http_exchange_admit(exchange, request, now_ms, &place))
        return;
    struct engineio_session *session = session_open(server, request, now_ms);
    session->place = place;
    polling_attach(session);
    struct buffer *out = &server->scratch;
    buffer_clear(out);
    session_append_open(session, false, out);
    char text[SESSION_COOKIE_SIZE];
    const char *cookie = session_cookie(session, text);
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

bool engineio_is_full(const struct engineio_server *server)
{
    return server->draining ||
           (server->config.sessions &&
            server->stats.polling + server->stats.websocket + server->stats.remote_upgrades >=
                server->config.sessions);
}

void refuse_full(struct engineio_server *server, struct http_exchange *exchange)
{
    struct http_field retry = http_field_of("Retry-After", "1");
    server->stats.refused++;
    http_exchange_refuse_finally(exchange, 503, server->draining ? "ending" : "too_many_sessions",
                                 &retry);
}

static void engineio_handshake(struct engineio_server *server, struct http_exchange *exchange,
                               const struct http_request *request, bool websocket, int64_t now_ms)
{
    if (engineio_is_full(server))
        refuse_full(server, exchange);
    else if (websocket)
        websocket_request(server, NULL, exchange, request, now_ms);
    else
        open_polling(server, exchange, request, now_ms);
}

/* ---- Checks, in the order of the JavaScript server: clients and their tests know which error wins
 * ---- */

/* A deadline that has passed counts, although its timer may not have fired yet in this turn. */
static void expire_if_due(struct engineio_session *session, int64_t now_ms)
{
    if (!session || session->state != SESSION_OPEN)
        return;
    int64_t deadline_ms = session->timer.deadline_ms;
    if (session->heartbeat == HEARTBEAT_WAIT_PING)
        deadline_ms += session->server->config.ping_timeout_ms;
    if (deadline_ms <= now_ms)
        session_end_for(session, ENGINEIO_CLOSE_PING_TIMEOUT, now_ms);
}

struct parameters read_parameters(struct engineio_server *server,
                                  const struct http_request *request, int64_t now_ms)
{
    struct parameters parameters = {0};
    auto_buffer struct buffer scratch = {0};
    struct bytes value;
    if (http_query_parameter(request->query, "transport", &scratch, &value) == STATUS_OK) {
        parameters.websocket =
            bytes_equal(value, BYTES_LITERAL("websocket")) && !server->config.no_websocket;
        parameters.known = parameters.websocket || (bytes_equal(value, BYTES_LITERAL("polling")) &&
                                                    !server->config.no_polling);
    }
    buffer_clear(&scratch);
    if (http_query_parameter(request->query, "EIO", &scratch, &value) == STATUS_OK)
        parameters.version_fits = bytes_equal(value, BYTES_LITERAL("4"));
    buffer_clear(&scratch);
    if (http_query_parameter(request->query, "sid", &scratch, &value) == STATUS_OK && value.size) {
        parameters.names_session = true;
        parameters.session = session_find(server, value);
        expire_if_due(parameters.session, now_ms);
        struct engineio_session *session = parameters.session;
        if (!session || session->state == SESSION_DEAD ||
            (session_is_left(session) && request->method != HTTP_GET)) {
            parameters.session = NULL;
            buffer_append(&parameters.sid, value);
        }
    }
    return parameters;
}

bool fits_session(const struct parameters *parameters, bool upgrade)
{
    assert(upgrade || parameters->session);
    if (upgrade)
        return parameters->websocket && parameters->version_fits;
    return parameters->version_fits && !parameters->websocket && parameters->session->polling;
}

static void engineio_handle_request(void *route, struct http_exchange *exchange,
                                    const struct http_request *request, int64_t now_ms)
{
    struct engineio_server *server = route;
    /* Other upgrades are offers that a server may leave alone (RFC 9110, 7.8): h2c is offered to
     * everybody by some. */
    bool upgrade = request->upgrade && http_request_has_token(request, "upgrade", "websocket");
    struct parameters parameters = read_parameters(server, request, now_ms);
    const char *message = NULL;
    if (!parameters.known) {
        refuse_request(exchange, upgrade, ENGINEIO_ERROR_UNKNOWN_TRANSPORT, NULL);
    } else if (parameters.names_session) {
        if (!parameters.session && !upgrade && parameters.version_fits)
            forward_request(server, exchange, request, buffer_peek(&parameters.sid));
        else if (!parameters.session && parameters.websocket && parameters.version_fits)
            remote_upgrade_request(server, exchange, request, buffer_peek(&parameters.sid), now_ms);
        else if (!parameters.session)
            refuse_request(exchange, upgrade, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
        else if (!fits_session(&parameters, upgrade))
            refuse_request(exchange, upgrade, ENGINEIO_ERROR_BAD_REQUEST, NULL);
        else if (upgrade)
            websocket_request(server, parameters.session, exchange, request, now_ms);
        else
            polling_request(parameters.session, exchange, request, now_ms);
    } else if (request->method != HTTP_GET) {
        refuse_request(exchange, upgrade, ENGINEIO_ERROR_BAD_HANDSHAKE_METHOD, NULL);
    } else if (parameters.websocket != upgrade) {
        refuse_request(exchange, upgrade, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    } else if (server->config.ops->allow &&
               !server->config.ops->allow(server->config.application, request, &message)) {
        server->stats.refused++;
        refuse_request(exchange, upgrade, ENGINEIO_ERROR_FORBIDDEN, message);
    } else if (!parameters.version_fits) {
        refuse_request(exchange, upgrade, ENGINEIO_ERROR_UNSUPPORTED_PROTOCOL_VERSION, NULL);
    } else {
        engineio_handshake(server, exchange, request, upgrade, now_ms);
    }
    buffer_deinit(&parameters.sid);
}

void handle_body(void *route, struct http_exchange *exchange, struct bytes body, int64_t now_ms)
{
    (void)route;
    struct exchange_owner *owner = http_exchange_context(exchange);
    assert(owner);
    owner->body(owner, exchange, body, now_ms);
}

void handle_aborted(void *route, struct http_exchange *exchange, enum http_abort reason,
                    int64_t now_ms)
{
    (void)route;
    struct exchange_owner *owner = http_exchange_context(exchange);
    if (owner)
        owner->aborted(owner, exchange, reason, now_ms);
}

/* ---- Turns ---- */

enum { LEFT_MS = 100 }; /* how long a session stays that its client closed, see session_is_left() */

static void session_flush(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state != SESSION_DEAD && !session->link == !!session->polling);
    if (session->state == SESSION_CLOSING && !session->told_closed) {
        session_tell_closed(session, now_ms);
        timer_wheel_set(session->server->wheel, &session->timer,
                        now_ms + (session_is_left(session)
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
                                    .body = handle_body,
                                    .aborted = handle_aborted,
                                    .route = server,
                                });
    return server;
}

void engineio_server_free(struct engineio_server *server)
{
    if (!server)
        return;
    struct engineio_session *session, *next;
    HASH_ITER(hh, server->sessions, session, next)
        session_end_for(session, ENGINEIO_CLOSE_SERVER, server->wheel->now_ms);
    engineio_server_turn(server, server->wheel->now_ms);
    forwards_free(server);
    remote_upgrades_free(server);
    poll_compressor_free(server->compressor);
    buffer_deinit(&server->scratch);
    buffer_deinit(&server->decoded);
    free(server);
}

void engineio_server_woke(struct engineio_server *server, int64_t span_ms, int64_t now_ms)
{
    struct engineio_session *session, *next;
    assert(span_ms > 0);
    HASH_ITER(hh, server->sessions, session, next) {
        int64_t in_ms = session_ping_in_ms(session, now_ms) - span_ms;
        if (session->state == SESSION_OPEN && session->heartbeat == HEARTBEAT_WAIT_PING)
            session_plan_ping_in(session, in_ms > 0 ? in_ms : 0, now_ms);
    }
}

void engineio_server_drain(struct engineio_server *server)
{
    server->draining = true;
}

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
