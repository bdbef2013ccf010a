#include "websocket_adapter.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "http_response.h"
#include "http_token.h"
#include "mem.h"
#include "websocket_codec.h"

struct websocket_adapter {
    struct websocket_adapter_config config;
    struct websocket_codec_limits limits;
    struct http_server *http;
    struct wire_clients clients;
    struct websocket_scratch scratch;
    struct ws_request request; /* the one being handled */
    struct buffer text;        /* the answer being written */
};

/* A subscribe or unsubscribe that is not answered yet. All its rooms bear its number. */
struct pending {
    struct pending *prev, *next;
    uint64_t number;
    uint32_t left;
    uint32_t refused_count;
    struct ws_refused_room *refused; /* room_count of them; their rooms are ours */
    struct bytes id;
    uint8_t id_text[];
};

/*   HELLO --connect--> OPENING --OPENED--> OPEN: beat, then wait for a sign of life, and again */
enum phase { PHASE_HELLO, PHASE_OPENING, PHASE_OPEN };

struct websocket_client {
    struct wire_client client; /* first */
    struct websocket_adapter *adapter;
    const struct websocket_codec *codec;
    struct websocket_reader reader;
    struct timer timer;
    struct pending *pending; /* DL list, oldest first */
    unsigned pending_count;
    uint64_t last_number;
    char *token;          /* came with the HTTP request; until connect */
    struct buffer id;     /* of the connect, or of the token that is being checked */
    struct buffer cursor; /* names a room, and the client has not been told it yet */
    int64_t beat_ms;      /* when the last ping was sent */
    int64_t inside_ms;    /* when the message began that is not whole yet; 0: none */
    uint8_t phase;
    bool heartbeat; /* beats are messages */
    bool beat;      /* a sign of life is due */
    bool heard;     /* something came since the beat */
};

static struct websocket_client *client_of(struct wire_client *client)
{
    return (struct websocket_client *)client;
}

/* --- what goes out ---------------------------------------------------------------------------- */

static void say(struct websocket_client *client, struct buffer *out, const struct ws_answer *answer)
{
    struct buffer *text = &client->adapter->text;
    buffer_clear(text);
    client->codec->append(text, answer);
    websocket_append_frame(out, client->codec->opcode, buffer_peek(text));
    if (answer->cursor.size)
        buffer_deinit(&client->cursor); /* this one is newer */
}

static void answer(struct websocket_client *client, const struct ws_answer *answer)
{
    say(client, wire_client_queue(&client->client), answer);
}

/* The client asked for something; without an id it only hears what went wrong. */
static void answer_request(struct websocket_client *client, struct bytes id, const char *problem)
{
    if (problem)
        answer(client, &(struct ws_answer){.kind = WS_ANSWER_ERROR, .id = id, .code = problem});
    else if (id.size)
        answer(client, &(struct ws_answer){.kind = WS_ANSWER_ACK, .id = id});
}

static void end_into(struct websocket_client *client, struct buffer *out, unsigned code,
                     const char *reason)
{
    websocket_append_close(out, code, reason);
    timer_wheel_cancel(client->adapter->config.clients.wheel, &client->timer);
    wire_client_end(&client->client);
}

static void end(struct websocket_client *client, unsigned code, const char *reason)
{
    end_into(client, wire_client_queue(&client->client), code, reason);
}

static void end_violation(struct websocket_client *client, unsigned code, const char *reason)
{
    client->adapter->clients.stats.violations++;
    end(client, code, reason);
}

/* --- the heart -------------------------------------------------------------------------------- */

static void set_timer(struct websocket_client *client, int64_t deadline_ms)
{
    timer_wheel_set(client->adapter->config.clients.wheel, &client->timer, deadline_ms);
}

static void send_beat(struct websocket_client *client, int64_t now_ms)
{
    client->beat = true;
    client->heard = false;
    client->beat_ms = now_ms;
    if (client->heartbeat)
        answer(client, &(struct ws_answer){.kind = WS_ANSWER_PING});
    else
        websocket_append_frame(wire_client_queue(&client->client), WEBSOCKET_PING,
                               bytes_of(NULL, 0));
    set_timer(client, now_ms + client->adapter->config.ping_timeout_ms);
}

/* A client that is slow to take what it was sent is not heard either, as the wire does not read
 * meanwhile. */
static bool may_be_slow(const struct websocket_client *client, int64_t now_ms)
{
    return !client->client.wire->writable &&
           now_ms - client->beat_ms < client->adapter->config.write_timeout_ms;
}

static void beat(struct websocket_client *client, int64_t now_ms)
{
    const struct websocket_adapter_config *config = &client->adapter->config;
    if (client->inside_ms && now_ms - client->inside_ms > config->message_timeout_ms) {
        end_violation(client, WEBSOCKET_CLOSE_POLICY, "message_timeout");
    } else if (!client->beat) {
        send_beat(client, now_ms);
    } else if (client->heard) {
        client->beat = false;
        set_timer(client, now_ms + config->ping_interval_ms);
    } else if (may_be_slow(client, now_ms)) {
        set_timer(client, now_ms + config->ping_timeout_ms);
    } else {
        end(client, WEBSOCKET_CLOSE_TRY_AGAIN, "ping_timeout");
    }
}

static void timer_fired(struct timer *timer, int64_t now_ms)
{
    struct websocket_client *client =
        (struct websocket_client *)((char *)timer - offsetof(struct websocket_client, timer));
    if (!wire_client_is_open(&client->client))
        return;
    switch ((enum phase)client->phase) {
    case PHASE_HELLO:
        end_violation(client, WEBSOCKET_CLOSE_POLICY, "hello_timeout");
        break;
    case PHASE_OPENING:
        end(client, WEBSOCKET_CLOSE_TRY_AGAIN, "unavailable");
        break;
    case PHASE_OPEN:
        beat(client, now_ms);
        break;
    }
}

/* --- the stream ------------------------------------------------------------------------------- */

static void pending_free(struct websocket_client *client, struct pending *pending)
{
    for (uint32_t i = 0; i < pending->refused_count; i++)
        free((void *)(uintptr_t)pending->refused[i].room.data);
    DL_DELETE(client->pending, pending);
    client->pending_count--;
    free(pending->refused);
    free(pending);
}

static struct pending *pending_find(struct websocket_client *client, uint64_t number)
{
    struct pending *pending;
    DL_SEARCH_SCALAR(client->pending, pending, number, number);
    return pending;
}

static void note_refusal(struct pending *pending, const struct delivery *delivery)
{
    struct ws_refused_room *refused = &pending->refused[pending->refused_count++];
    refused->room = bytes_of(mem_string(delivery->room), delivery->room.size);
    refused->code = delivery->reason;
}

/* The cursor that knows the room comes before the answer (hazards: an answer whose cursor the
 * client does not have loses the room). One for all rooms of the request. */
static void answer_pending(struct websocket_client *client, const struct delivery *delivery,
                           struct buffer *out)
{
    struct pending *pending = pending_find(client, delivery->request);
    assert(pending && pending->left > 0);
    if (delivery->reason)
        note_refusal(pending, delivery);
    if (delivery->cursor.size) {
        buffer_clear(&client->cursor);
        buffer_append(&client->cursor, delivery->cursor);
    }
    if (--pending->left)
        return;
    if (buffer_size(&client->cursor)) {
        struct buffer cursor = client->cursor;
        client->cursor = (struct buffer){0};
        say(client, out,
            &(struct ws_answer){.kind = WS_ANSWER_CURSOR, .cursor = buffer_peek(&cursor)});
        buffer_deinit(&cursor);
    }
    struct ws_answer last = {.kind = WS_ANSWER_ACK, .id = pending->id};
    if (pending->refused_count) {
        last.kind = WS_ANSWER_ERROR;
        last.code = pending->refused[0].code;
        last.refused = pending->refused;
        last.refused_count = pending->refused_count;
    }
    if (last.kind == WS_ANSWER_ERROR || pending->id.size)
        say(client, out, &last);
    pending_free(client, pending);
}

static void welcome(struct websocket_client *client, const struct delivery *delivery,
                    struct buffer *out)
{
    const struct websocket_adapter_config *config = &client->adapter->config;
    struct ws_answer answer = {.kind = WS_ANSWER_WELCOME,
                               .id = buffer_peek(&client->id),
                               .cursor = delivery->cursor,
                               .sid = delivery->public_id,
                               .session = delivery->private_id,
                               .recovered = delivery->recovered,
                               .reason = delivery->recovered ? NULL : delivery->reason,
                               .ping_interval_ms = config->ping_interval_ms,
                               .ping_timeout_ms = config->ping_timeout_ms};
    client->phase = PHASE_OPEN;
    set_timer(client, client->client.clients->now_ms + config->ping_interval_ms);
    say(client, out, &answer);
    buffer_deinit(&client->id);
}

static void write_notification(struct websocket_client *client, const struct delivery *delivery,
                               struct buffer *out)
{
    const struct websocket_codec *codec = client->codec;
    websocket_append_header(out, codec->opcode,
                            delivery->body.size + codec->tail_size(delivery->cursor.size));
    buffer_append(out, delivery->body);
    codec->append_tail(out, delivery->cursor);
    if (delivery->cursor.size)
        buffer_deinit(&client->cursor);
}

static void turn_away(struct websocket_client *client, struct buffer *out, unsigned code,
                      const char *reason)
{
    say(client, out,
        &(struct ws_answer){
            .kind = WS_ANSWER_ERROR, .id = buffer_peek(&client->id), .code = reason});
    end_into(client, out, code, reason);
}

static void deliver(struct wire_client *base, const struct delivery *delivery, struct buffer *out)
{
    struct websocket_client *client = client_of(base);
    unsigned code = delivery->transient ? WEBSOCKET_CLOSE_TRY_AGAIN : WEBSOCKET_CLOSE_FORBIDDEN;
    struct ws_answer answer = {.cursor = delivery->cursor,
                               .room = delivery->room,
                               .reason = delivery->reason,
                               .since_ms = delivery->since_ms};
    switch (delivery->kind) {
    case DELIVERY_OPENED:
        welcome(client, delivery, out);
        return;
    case DELIVERY_NOTIFICATION:
        write_notification(client, delivery, out);
        return;
    case DELIVERY_JOINED:
    case DELIVERY_JOIN_REFUSED:
        answer_pending(client, delivery, out);
        return;
    case DELIVERY_LEFT:
        if (delivery->request) {
            answer_pending(client, delivery, out);
            return;
        }
        answer.kind = WS_ANSWER_UNSUBSCRIBED;
        break;
    case DELIVERY_CURSOR:
        answer.kind = WS_ANSWER_CURSOR;
        break;
    case DELIVERY_STALE:
        answer.kind = WS_ANSWER_STALE;
        break;
    case DELIVERY_LIVE:
        answer.kind = WS_ANSWER_LIVE;
        break;
    case DELIVERY_REFUSED:
        turn_away(client, out, code, delivery->reason);
        return;
    case DELIVERY_CLOSE:
        end_into(client, out, code, delivery->reason);
        return;
    }
    say(client, out, &answer);
}

static void ready(struct session *session, void *connection)
{
    (void)session;
    wire_client_wake(connection);
}

static const struct transport_ops transports[WEBSOCKET_CODECS];

/* --- what clients ask ------------------------------------------------------------------------- */

static void ask_connect(struct websocket_client *client, const struct ws_request *request)
{
    struct identity_question question = {.token = request->token, .auth = request->auth};
    auto_free char *token = client->token;
    client->token = NULL;
    if (question.token.size == 0)
        question.token = bytes_of_string(token);
    client->phase = PHASE_OPENING;
    client->heartbeat = request->heartbeat;
    buffer_append(&client->id, request->id);
    wire_client_identify(&client->client, &question, request->session, request->cursor);
}

static void ask_rooms(struct websocket_client *client, const struct ws_request *request,
                      int64_t now_ms)
{
    bool join = request->kind == WS_REQUEST_SUBSCRIBE;
    if (client->pending_count >= client->adapter->config.requests) {
        answer_request(client, request->id, "too_many_requests");
        return;
    }
    struct pending *pending = mem_alloc(sizeof(*pending) + request->id.size);
    pending->number = ++client->last_number;
    pending->left = request->room_count;
    pending->refused = mem_alloc(request->room_count * sizeof(*pending->refused));
    pending->id = bytes_of(pending->id_text, request->id.size);
    if (request->id.size)
        memcpy(pending->id_text, request->id.data, request->id.size);
    DL_APPEND(client->pending, pending);
    client->pending_count++;
    for (uint32_t i = 0; i < request->room_count; i++) {
        if (join)
            session_join(client->client.session, request->rooms[i], pending->number, now_ms);
        else
            session_leave(client->client.session, request->rooms[i], pending->number);
    }
}

static void ask_token(struct websocket_client *client, const struct ws_request *request)
{
    if (wire_client_is_asking(&client->client)) {
        answer_request(client, request->id, "too_many_requests");
        return;
    }
    struct identity_question question = {.token = request->token, .auth = request->auth};
    buffer_append(&client->id, request->id);
    wire_client_refresh(&client->client, &question);
}

static void refreshed(struct wire_client *base, const char *problem)
{
    struct websocket_client *client = client_of(base);
    answer_request(client, buffer_peek(&client->id), problem);
    buffer_deinit(&client->id);
}

static void ask(struct websocket_client *client, const struct ws_request *request, int64_t now_ms)
{
    switch (request->kind) {
    case WS_REQUEST_CONNECT:
        answer_request(client, request->id, "already_connected");
        break;
    case WS_REQUEST_SUBSCRIBE:
    case WS_REQUEST_UNSUBSCRIBE:
        ask_rooms(client, request, now_ms);
        break;
    case WS_REQUEST_EVENT:
        answer_request(client, request->id, "unknown_event");
        break;
    case WS_REQUEST_TOKEN:
        ask_token(client, request);
        break;
    case WS_REQUEST_PING:
        answer(client, &(struct ws_answer){.kind = WS_ANSWER_PONG, .id = request->id});
        break;
    case WS_REQUEST_PONG:
        break;
    }
}

static void take_request(struct websocket_client *client, const struct ws_request *request,
                         int64_t now_ms)
{
    if (client->phase == PHASE_OPEN)
        ask(client, request, now_ms);
    else if (request->kind == WS_REQUEST_PING)
        answer(client, &(struct ws_answer){.kind = WS_ANSWER_PONG, .id = request->id});
    else if (client->phase == PHASE_OPENING)
        answer_request(client, request->id, "not_connected");
    else if (request->kind == WS_REQUEST_CONNECT)
        ask_connect(client, request);
    else
        end_violation(client, WEBSOCKET_CLOSE_POLICY, "connect_first");
}

/* --- frames ----------------------------------------------------------------------------------- */

static const char *decode_problem(enum status status)
{
    return status == STATUS_UNSUPPORTED ? "unknown_message"
           : status == STATUS_LIMIT     ? "too_many_rooms"
           : status == STATUS_TOO_DEEP  ? "too_deep"
           : status == STATUS_TOO_LARGE ? "too_large"
                                        : NULL;
}

static void take_message(struct websocket_client *client, const struct websocket_item *item,
                         int64_t now_ms)
{
    struct websocket_adapter *adapter = client->adapter;
    struct ws_request *request = &adapter->request;
    adapter->clients.stats.messages_in++;
    if (item->opcode != client->codec->opcode) {
        end_violation(client, WEBSOCKET_CLOSE_UNSUPPORTED_DATA, "wrong_kind_of_message");
        return;
    }
    if (buffer_size(&client->client.queue) > adapter->config.queue_bytes) {
        end_violation(client, WEBSOCKET_CLOSE_POLICY, "too_many_answers");
        return;
    }
    request->id = bytes_of(NULL, 0);
    enum status status =
        client->codec->decode(item->payload, &adapter->limits, &adapter->scratch, request);
    const char *problem = decode_problem(status);
    if (status == STATUS_OK)
        take_request(client, request, now_ms);
    else if (problem)
        answer_request(client, request->id, problem);
    else
        end_violation(client, WEBSOCKET_CLOSE_INVALID_TEXT, "bad_message");
}

static void take_item(struct websocket_client *client, const struct websocket_item *item,
                      int64_t now_ms)
{
    switch (item->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        take_message(client, item, now_ms);
        break;
    case WEBSOCKET_PING:
        if (buffer_size(&client->client.queue) <= client->adapter->config.queue_bytes)
            websocket_append_frame(wire_client_queue(&client->client), WEBSOCKET_PONG,
                                   item->payload);
        break;
    case WEBSOCKET_CLOSE:
        end(client, item->close_code, "");
        break;
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION:
        break;
    }
}

static void take_bytes(struct wire_client *base, struct bytes bytes, int64_t now_ms)
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
            take_item(client, &item, now_ms);
        else
            end_violation(client, websocket_reader_close_code(&client->reader), "bad_frame");
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

static void refused(struct wire_client *base, const char *reason, bool transient)
{
    turn_away(client_of(base), wire_client_queue(base),
              transient ? WEBSOCKET_CLOSE_TRY_AGAIN : WEBSOCKET_CLOSE_UNAUTHORIZED, reason);
}

static void expired(struct wire_client *base)
{
    answer(client_of(base), &(struct ws_answer){.kind = WS_ANSWER_TOKEN_EXPIRED,
                                                .grace_ms = base->clients->config.expiry_grace_ms});
}

static void expiry_over(struct wire_client *base)
{
    end(client_of(base), WEBSOCKET_CLOSE_UNAUTHORIZED, "token_expired");
}

static void going_away(struct wire_client *base)
{
    end(client_of(base), WEBSOCKET_CLOSE_SERVICE_RESTART, "restart");
}

static void freed(struct wire_client *base)
{
    struct websocket_client *client = client_of(base);
    struct pending *pending, *next;
    timer_wheel_cancel(client->adapter->config.clients.wheel, &client->timer);
    DL_FOREACH_SAFE(client->pending, pending, next)
        pending_free(client, pending);
    websocket_reader_deinit(&client->reader);
    buffer_deinit(&client->id);
    buffer_deinit(&client->cursor);
    free(client->token);
    free(client);
}

static const struct wire_client_ops client_ops = {
    .deliver = deliver,
    .refused = refused,
    .refreshed = refreshed,
    .expired = expired,
    .expiry_over = expiry_over,
    .going_away = going_away,
    .bytes = take_bytes,
    .freed = freed,
};

/* --- the upgrade ------------------------------------------------------------------------------ */

static void refuse_upgrade(struct http_exchange *exchange, unsigned code, const char *text)
{
    struct http_field fields[] = {
        http_field_of(code == 503 ? "Retry-After" : "Sec-WebSocket-Version",
                      code == 503 ? "1" : "13"),
    };
    http_exchange_answer(exchange, &(struct http_answer){.code = code,
                                                         .content_type = "text/plain",
                                                         .fields = fields,
                                                         .field_count = code != 400,
                                                         .body = bytes_of_string(text),
                                                         .close = true});
}

static const struct websocket_codec *choose_codec(const struct http_request *request)
{
    for (size_t i = 0; i < WEBSOCKET_CODECS; i++)
        if (websocket_offers_protocol(request, websocket_codecs[i].protocol))
            return &websocket_codecs[i];
    return NULL;
}

static void open_client(struct websocket_adapter *adapter, struct http_exchange *exchange,
                        const struct websocket_codec *codec, char *token, int64_t now_ms)
{
    struct websocket_client *client = mem_new(struct websocket_client);
    struct buffer rest = {0};
    client->adapter = adapter;
    client->codec = codec;
    client->token = token;
    client->client.transport = &transports[codec - websocket_codecs];
    client->timer.fire = timer_fired;
    websocket_reader_init(&client->reader, adapter->config.message_bytes);
    wire_client_open(&client->client, &adapter->clients, http_exchange_take(exchange, &rest));
    if (client->client.wire->writable)
        wire_write(client->client.wire, buffer_peek(&adapter->text));
    set_timer(client, now_ms + adapter->config.hello_timeout_ms);
    if (buffer_size(&rest))
        take_bytes(&client->client, buffer_peek(&rest), now_ms);
    buffer_deinit(&rest);
}

static void handle_request(void *route, struct http_exchange *exchange,
                           const struct http_request *request, int64_t now_ms)
{
    struct websocket_adapter *adapter = route;
    struct bytes key;
    enum status status = websocket_check_handshake(request, &key);
    const struct websocket_codec *codec = choose_codec(request);
    if (status == STATUS_UNSUPPORTED) {
        refuse_upgrade(exchange, 426, "WebSocket version 13 is needed\n");
    } else if (status != STATUS_OK) {
        refuse_upgrade(exchange, 400, "a WebSocket handshake is needed\n");
    } else if (!codec) {
        refuse_upgrade(exchange, 400,
                       "a subprotocol is needed: smartstack.v1.json or smartstack.v1.protobuf\n");
    } else if (adapter->clients.draining) {
        refuse_upgrade(exchange, 503, "ending\n");
    } else {
        char *token = http_token_find(request, adapter->config.query_token ? "token" : NULL, NULL);
        buffer_clear(&adapter->text);
        websocket_append_handshake(&adapter->text, key, codec->protocol, NULL, 0);
        open_client(adapter, exchange, codec, token, now_ms);
    }
}

/* --- the adapter ------------------------------------------------------------------------------ */

static void encode_json(const struct message_view *view, struct buffer *out)
{
    websocket_codecs[0].encode(view, out);
}

static void encode_protobuf(const struct message_view *view, struct buffer *out)
{
    websocket_codecs[1].encode(view, out);
}

static const struct transport_ops transports[WEBSOCKET_CODECS] = {
    {.name = "websocket-json",
     .slot = TRANSPORT_SLOT_WEBSOCKET_JSON,
     .encode = encode_json,
     .ready = ready},
    {.name = "websocket-protobuf",
     .slot = TRANSPORT_SLOT_WEBSOCKET_PROTOBUF,
     .encode = encode_protobuf,
     .ready = ready},
};

struct websocket_adapter *websocket_adapter_new(const struct websocket_adapter_config *config,
                                                struct http_server *http)
{
    assert(config->rooms > 0 && config->rooms <= WS_ROOMS_MAX && config->requests > 0);
    struct websocket_adapter *adapter = mem_new(struct websocket_adapter);
    adapter->config = *config;
    adapter->limits = (struct websocket_codec_limits){config->rooms, config->json_depth};
    wire_clients_init(&adapter->clients, &config->clients, &client_ops);
    http_server_add_route(
        http,
        &(struct http_route){.path = config->path, .request = handle_request, .route = adapter});
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
