/* What a request says of the session it is for, whoever sent it: a client, or another gateway on
 * a client's behalf. The rest of the request goes to the owner of its exchange, which the first
 * part found. */
#include <assert.h>

#include "engineio_private.h"

/* ---- Parameters ---- */

/* A deadline that has passed counts, although its timer may not have fired yet in this turn. */
static void expire_if_due(struct engineio_session *session, int64_t now_ms)
{
    if (!session || session->state != SESSION_OPEN)
        return;
    int64_t deadline_ms = session->timer.deadline_ms;
    if (session->heartbeat == HEARTBEAT_WAIT_PING)
        deadline_ms += session->server->config.ping_timeout_ms;
    if (deadline_ms <= now_ms)
        engineio_session_end(session, ENGINEIO_CLOSE_PING_TIMEOUT, now_ms);
}

/* A session that is over, or whose client has closed it and does not fetch the answer, is as good
 * as not here: its id is kept, since another gateway may have it. */
struct request_parameters engineio_read_parameters(struct engineio_server *server,
                                                   const struct http_request *request,
                                                   int64_t now_ms)
{
    struct request_parameters parameters = {0};
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
        parameters.session = engineio_session_find(server, value);
        expire_if_due(parameters.session, now_ms);
        struct engineio_session *session = parameters.session;
        if (!session || session->state == SESSION_DEAD ||
            (engineio_session_is_left(session) && request->method != HTTP_GET)) {
            parameters.session = NULL;
            buffer_append(&parameters.sid, value);
        }
    }
    assert(!parameters.session || buffer_size(&parameters.sid) == 0);
    return parameters;
}

/* Polls of a session that has its WebSocket are refused, as by the JavaScript server. */
bool engineio_fits_session(const struct request_parameters *parameters, bool upgrade)
{
    assert(upgrade || parameters->session);
    if (upgrade)
        return parameters->websocket && parameters->version_fits;
    return parameters->version_fits && !parameters->websocket && parameters->session->polling;
}

/* ---- The exchange goes on, or ends ---- */

void engineio_handle_body(void *route, struct http_exchange *exchange, struct bytes body,
                          int64_t now_ms)
{
    (void)route;
    struct exchange_owner *owner = http_exchange_context(exchange);
    assert(owner);
    owner->body(owner, exchange, body, now_ms);
}

/* Without an owner nobody waits: the request was answered, or refused, before its end. */
void engineio_handle_aborted(void *route, struct http_exchange *exchange, enum http_abort reason,
                             int64_t now_ms)
{
    (void)route;
    struct exchange_owner *owner = http_exchange_context(exchange);
    if (owner)
        owner->aborted(owner, exchange, reason, now_ms);
}

/* ---- Other gateways ---- */

bool engineio_is_peer(struct engineio_server *server, struct http_exchange *exchange,
                      const struct http_request *request)
{
    struct bytes token;
    assert(server->peers.identity);
    server->stats.peer_requests++;
    if (http_request_field(request, PEER_TOKEN_FIELD, &token) &&
        peer_identity_knows(server->peers.identity, token))
        return true;
    server->stats.peer_refused++;
    http_exchange_refuse(exchange, 401, "not_a_peer");
    return false;
}
