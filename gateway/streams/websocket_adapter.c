/* Raw WebSocket connections: the upgrade, frames, the heart, and their ends. What clients ask is
 * websocket_requests.c, what they are told websocket_stream.c, and in which form websocket_codec.c.
 *
 *      HELLO --connect--> OPENING --the session's first step--> OPEN --> ended
 *
 * One timer follows the phases: a deadline for `connect`, one for the session, then the beat: a
 * ping, and a sign of life before the next. Any byte is a sign of life. */
#include "websocket_adapter.h"

#include <assert.h>
#include <stdlib.h>

#include "http_response.h"
#include "http_token.h"
#include "mem.h"
#include "websocket_private.h"

/* --- the heart -------------------------------------------------------------------------------- */

/* As a message for clients that cannot see control frames (browsers), else as a control frame. */
static void send_beat(struct websocket_client *client, int64_t now_ms)
{
    assert(!client->beat && client->phase == PHASE_OPEN);
    client->beat = true;
    client->heard = false;
    client->beat_ms = now_ms;
    if (client->heartbeat)
        websocket_answer(client, &(struct ws_answer){.kind = WS_ANSWER_PING});
    else
        websocket_append_frame(wire_client_queue(&client->client), WEBSOCKET_PING,
                               bytes_of(NULL, 0));
    websocket_set_timer(client, now_ms + client->adapter->config.ping_timeout_ms);
}

/* A client that is slow to take what it was sent is not heard either, as the wire does not read
 * meanwhile. */
static bool may_be_slow(const struct websocket_client *client, int64_t now_ms)
{
    assert(client->beat);
    return !client->client.wire->writable &&
           now_ms - client->beat_ms < client->adapter->config.write_timeout_ms;
}

/* A message that never becomes whole is ended here, too: the beat is the only time that passes
 * while a client sends a fragment now and then. */
static void heart_beat(struct websocket_client *client, int64_t now_ms)
{
    const struct websocket_adapter_config *config = &client->adapter->config;
    assert(client->phase == PHASE_OPEN);
    if (client->inside_ms && now_ms - client->inside_ms > config->message_timeout_ms) {
        websocket_end_violation(client, WEBSOCKET_CLOSE_POLICY, "message_timeout");
    } else if (!client->beat) {
        send_beat(client, now_ms);
    } else if (client->heard) {
        client->beat = false;
        websocket_set_timer(client, now_ms + config->ping_interval_ms);
    } else if (may_be_slow(client, now_ms)) {
        websocket_set_timer(client, now_ms + config->ping_timeout_ms);
    } else {
        websocket_end(client, WEBSOCKET_CLOSE_TRY_AGAIN, "ping_timeout");
    }
}

/* What the deadline was for follows from the phase. */
static void timer_fired(struct timer *timer, int64_t now_ms)
{
    struct websocket_client *client =
        (struct websocket_client *)((char *)timer - offsetof(struct websocket_client, timer));
    if (!wire_client_is_open(&client->client))
        return;
    switch ((enum websocket_phase)client->phase) {
    case PHASE_HELLO:
        websocket_end_violation(client, WEBSOCKET_CLOSE_POLICY, "hello_timeout");
        break;
    case PHASE_OPENING:
        websocket_end(client, WEBSOCKET_CLOSE_TRY_AGAIN, "unavailable");
        break;
    case PHASE_OPEN:
        heart_beat(client, now_ms);
        break;
    }
}

/* --- frames ----------------------------------------------------------------------------------- */

/* What a client may send in good faith and is answered; NULL: it must not be sent, and ends the
 * connection. */
static const char *decode_problem(enum status status)
{
    return status == STATUS_UNSUPPORTED ? "unknown_message"
           : status == STATUS_LIMIT     ? "too_many_rooms"
           : status == STATUS_TOO_DEEP  ? "too_deep"
           : status == STATUS_TOO_LARGE ? "too_large"
                                        : NULL;
}

/* Answers that the client does not read are looked at before its next request is: it cannot fill
 * this process by asking. */
static void websocket_take_message(struct websocket_client *client,
                                   const struct websocket_item *item, int64_t now_ms)
{
    struct websocket_adapter *adapter = client->adapter;
    struct ws_request *request = &adapter->request;
    assert(item->opcode == WEBSOCKET_TEXT || item->opcode == WEBSOCKET_BINARY);
    adapter->clients.stats.messages_in++;
    if (item->opcode != client->codec->opcode) {
        websocket_end_violation(client, WEBSOCKET_CLOSE_UNSUPPORTED_DATA, "wrong_kind_of_message");
        return;
    }
    if (buffer_size(&client->client.queue) > adapter->config.queue_bytes) {
        websocket_end_violation(client, WEBSOCKET_CLOSE_POLICY, "too_many_answers");
        return;
    }
    request->id = bytes_of(NULL, 0);
    enum status status =
        client->codec->decode(item->payload, &adapter->limits, &adapter->scratch, request);
    const char *problem = decode_problem(status);
    if (status == STATUS_OK)
        websocket_take_request(client, request, now_ms);
    else if (problem)
        websocket_answer_request(client, request->id, problem);
    else
        websocket_end_violation(client, WEBSOCKET_CLOSE_INVALID_TEXT, "bad_message");
}

/* A pong needs no handling: its bytes were a sign of life when they came. */
static void websocket_take_item(struct websocket_client *client, const struct websocket_item *item,
                                int64_t now_ms)
{
    switch (item->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        websocket_take_message(client, item, now_ms);
        break;
    case WEBSOCKET_PING:
        if (buffer_size(&client->client.queue) <= client->adapter->config.queue_bytes)
            websocket_append_frame(wire_client_queue(&client->client), WEBSOCKET_PONG,
                                   item->payload);
        break;
    case WEBSOCKET_CLOSE:
        websocket_end(client, item->close_code, "");
        break;
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION:
        break;
    }
}

static void websocket_fail(struct websocket_client *client)
{
    unsigned code = websocket_reader_close_code(&client->reader);
    assert(websocket_close_code_is_valid(code));
    websocket_end_violation(client, code, refusal_of_frame(code));
}

/* Any of the frames may end the client; the memory stays until the end of the turn. `inside_ms` is
 * when a message began that is not whole yet. */
static void websocket_bytes(struct wire_client *base, struct bytes bytes, int64_t now_ms)
{
    struct websocket_client *client = client_of(base);
    client->heard = true;
    while (wire_client_is_open(base)) {
        struct websocket_item item;
        enum status status = websocket_reader_next(&client->reader, &bytes, &item);
        if (status == STATUS_INCOMPLETE) {
            bool inside = websocket_reader_is_inside(&client->reader);
            client->inside_ms = !inside ? 0 : client->inside_ms ? client->inside_ms : now_ms;
            return;
        }
        client->inside_ms = 0;
        if (status == STATUS_OK)
            websocket_take_item(client, &item, now_ms);
        else
            websocket_fail(client);
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

/* The error that answers `connect` says why; the close code whether to come back. */
static void websocket_refused(struct wire_client *base, const char *reason, bool transient)
{
    assert(!base->session);
    websocket_turn_away(client_of(base), wire_client_queue(base),
                        transient ? WEBSOCKET_CLOSE_TRY_AGAIN : WEBSOCKET_CLOSE_UNAUTHORIZED,
                        &(struct delivery){.reason = reason});
}

/* The client has expiry_grace_ms to bring a fresh token, by a message. */
static void websocket_expired(struct wire_client *base)
{
    assert(base->session);
    websocket_answer(client_of(base),
                     &(struct ws_answer){.kind = WS_ANSWER_TOKEN_EXPIRED,
                                         .grace_ms = base->clients->config.expiry_grace_ms});
}

/* 4401: come back with another token. */
static void websocket_expiry_over(struct wire_client *base)
{
    websocket_end(client_of(base), WEBSOCKET_CLOSE_UNAUTHORIZED, "token_expired");
}

/* 1012: come back at once, as you are. */
static void websocket_going_away(struct wire_client *base)
{
    assert(wire_client_is_open(base));
    websocket_end(client_of(base), WEBSOCKET_CLOSE_SERVICE_RESTART, "restart");
}

/* The last call of wire_client.c: nothing points to the client any more but its timer and its
 * requests. */
static void websocket_freed(struct wire_client *base)
{
    struct websocket_client *client = client_of(base);
    assert(base->dead && !base->session);
    timer_wheel_cancel(client->adapter->config.clients.wheel, &client->timer);
    websocket_forget_requests(client);
    websocket_reader_deinit(&client->reader);
    buffer_deinit(&client->id);
    buffer_deinit(&client->cursor);
    free(client->token);
    free(client);
}

static const struct wire_client_ops client_ops = {
    .deliver = websocket_deliver,
    .refused = websocket_refused,
    .refresh_refused = websocket_refresh_refused,
    .expired = websocket_expired,
    .expiry_over = websocket_expiry_over,
    .going_away = websocket_going_away,
    .bytes = websocket_bytes,
    .freed = websocket_freed,
};

/* --- the upgrade ------------------------------------------------------------------------------ */

/* The gateway's preference among what the client offers. */
static const struct websocket_codec *choose_codec(const struct http_request *request)
{
    for (size_t i = 0; i < WEBSOCKET_CODECS; i++)
        if (websocket_offers_protocol(request, websocket_codecs[i].protocol))
            return &websocket_codecs[i];
    return NULL;
}

/* The 101 is in adapter->text. Bytes that came behind the request are frames already. */
static void websocket_open_client(struct websocket_adapter *adapter, struct http_exchange *exchange,
                                  const struct websocket_codec *codec,
                                  const struct address_place *place, char *token, int64_t now_ms)
{
    struct websocket_client *client = mem_new(struct websocket_client);
    struct buffer rest = {0};
    assert(codec);
    client->adapter = adapter;
    client->codec = codec;
    client->token = token;
    client->client.transport = &websocket_transports[codec - websocket_codecs];
    client->timer.fire = timer_fired;
    websocket_reader_init(&client->reader, adapter->config.message_bytes);
    wire_client_open(&client->client, &adapter->clients, http_exchange_take(exchange, 101, &rest),
                     place);
    if (client->client.wire->writable)
        wire_write(client->client.wire, buffer_peek(&adapter->text));
    websocket_set_timer(client, now_ms + adapter->config.hello_timeout_ms);
    if (buffer_size(&rest))
        websocket_bytes(&client->client, buffer_peek(&rest), now_ms);
    buffer_deinit(&rest);
}

/* The address's quota comes last: it takes a place, which only a client gives back. */
static void websocket_handle_upgrade(void *route, struct http_exchange *exchange,
                                     const struct http_request *request, int64_t now_ms)
{
    struct websocket_adapter *adapter = route;
    struct bytes key;
    enum status status = websocket_check_handshake(request, &key);
    const struct websocket_codec *codec = choose_codec(request);
    struct http_field version = http_field_of("Sec-WebSocket-Version", "13");
    struct http_field retry = http_field_of("Retry-After", "1");
    struct address_place place = {0};
    if (status == STATUS_UNSUPPORTED) {
        http_exchange_refuse_finally(exchange, 426, "bad_handshake", &version);
    } else if (status != STATUS_OK) {
        http_exchange_refuse_finally(exchange, 400, "bad_handshake", NULL);
    } else if (!codec) {
        http_exchange_refuse_finally(exchange, 400, "subprotocol", NULL);
    } else if (adapter->clients.draining) {
        http_exchange_refuse_finally(exchange, 503, "ending", &retry);
    } else if (http_exchange_admit(exchange, request, now_ms, &place)) {
        char *token = http_token_find(request, adapter->config.query_token ? "token" : NULL,
                                      adapter->config.cookie);
        buffer_clear(&adapter->text);
        websocket_append_handshake(&adapter->text, key, bytes_of_string(codec->protocol), NULL, 0);
        websocket_open_client(adapter, exchange, codec, &place, token, now_ms);
    }
}

/* --- the adapter ------------------------------------------------------------------------------ */

struct websocket_adapter *websocket_adapter_new(const struct websocket_adapter_config *config,
                                                struct http_server *http)
{
    assert(config->rooms > 0 && config->rooms <= WS_ROOMS_MAX && config->requests > 0);
    struct websocket_adapter *adapter = mem_new(struct websocket_adapter);
    adapter->config = *config;
    if (!adapter->config.refusals)
        adapter->config.refusals = 5;
    if (!adapter->config.refusals_ms)
        adapter->config.refusals_ms = 60000;
    adapter->limits = (struct websocket_codec_limits){config->rooms, config->json_depth};
    adapter->refusals = http_server_refusals(http);
    wire_clients_init(&adapter->clients, &config->clients, &client_ops);
    http_server_add_route(http, &(struct http_route){.path = config->path,
                                                     .origins = config->origins,
                                                     .request = websocket_handle_upgrade,
                                                     .route = adapter});
    return adapter;
}

void websocket_adapter_free(struct websocket_adapter *adapter)
{
    if (!adapter)
        return;
    wire_clients_deinit(&adapter->clients);
    arena_deinit(&adapter->scratch.arena);
    buffer_deinit(&adapter->scratch.text);
    buffer_deinit(&adapter->text);
    free(adapter);
}

struct wire_clients *websocket_adapter_clients(struct websocket_adapter *adapter)
{
    return adapter ? &adapter->clients : NULL;
}
