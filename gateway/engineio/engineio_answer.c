/* Answers that are no packets: why a request is refused. Codes, words and the order of members
 * are those of the JavaScript server, since clients and their tests know them; which refusal it
 * was is counted by a word of ours, which says more. */
#include <assert.h>

#include "engineio_private.h"
#include "http_response.h"

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

/* The body has the members "code" and "message", in this order. */
static void answer_json(struct http_exchange *exchange, enum engineio_error error,
                        const char *message)
{
    struct buffer body = {0};
    assert(engineio_error_http_code(error) >= 400);
    engineio_append_error(&body, error, message);
    http_exchange_answer(exchange, &(struct http_answer){.code = engineio_error_http_code(error),
                                                         .content_type = "application/json",
                                                         .body = buffer_peek(&body)});
    buffer_deinit(&body);
}

void engineio_answer_error(struct http_exchange *exchange, enum engineio_error error,
                           const char *message)
{
    http_exchange_note_refusal(exchange, "engineio", error_word(error));
    answer_json(exchange, error, message);
}

void engineio_answer_problem(struct http_exchange *exchange, const char *word)
{
    assert(refusal_of(word) != REFUSAL_OTHER);
    http_exchange_note_refusal(exchange, "engineio", word);
    answer_json(exchange, ENGINEIO_ERROR_BAD_REQUEST, refusal_message(word));
}

void engineio_refuse(struct http_exchange *exchange, bool upgrade, enum engineio_error error,
                     const char *message)
{
    if (!upgrade) {
        engineio_answer_error(exchange, error, message);
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

/* Remote upgrades count: each becomes a session here, and would else find no room when its session
 * has left the gateway it came from. */
bool engineio_is_full(const struct engineio_server *server)
{
    return server->draining ||
           (server->config.sessions &&
            server->stats.polling + server->stats.websocket + server->stats.remote_upgrades >=
                server->config.sessions);
}

/* The connection ends with it, and the client is asked to come again, to whichever gateway it
 * finds. */
void engineio_refuse_full(struct engineio_server *server, struct http_exchange *exchange)
{
    struct http_field retry = http_field_of("Retry-After", "1");
    assert(engineio_is_full(server));
    server->stats.refused++;
    http_exchange_refuse_finally(exchange, 503, server->draining ? "ending" : "too_many_sessions",
                                 &retry);
}
