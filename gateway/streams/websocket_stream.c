/* What clients of raw WebSocket are told: answers, and the steps of the session's stream.
 *
 * A notification's frame has its body from the ring, made once for all clients, and a tail with
 * the cursor, which is the client's own. A cursor that names a new room is told before the
 * request for the room is answered, once for all rooms of a request: a client that has the
 * answer and not the cursor would lose the room on its way back. */
#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "mem.h"
#include "presence.h"
#include "websocket_private.h"

/* With whom it was, as far as that is known: the log tells users and tenants apart. */
static void websocket_note(const struct websocket_client *client, const char *word,
                           const char *claim, bool ends)
{
    assert(word);
    struct refusal_note refusal = {.transport = "websocket",
                                   .word = word,
                                   .claim = claim,
                                   .ends = ends,
                                   .wire = client->client.wire};
    const struct session *session = client->client.session;
    if (session) {
        refusal.user = session_user(session);
        refusal.tenant = session_tenant(session);
        refusal.session = session_public_id(session);
    }
    refusals_note(client->adapter->refusals, &refusal);
}

/* --- what goes out ---------------------------------------------------------------------------- */

/* Any message that carries a cursor makes one that waits superfluous. */
static void say(struct websocket_client *client, struct buffer *out, const struct ws_answer *answer)
{
    struct buffer *text = &client->adapter->text;
    assert((answer->kind == WS_ANSWER_ERROR) == (answer->code != NULL));
    assert((answer->kind == WS_ANSWER_ERROR) == (answer->message.size > 0));
    buffer_clear(text);
    client->codec->append(text, answer);
    websocket_append_frame(out, client->codec->opcode, buffer_peek(text));
    if (answer->cursor.size)
        buffer_deinit(&client->cursor); /* this one is newer */
}

/* Queued for the end of the turn: several answers go out in one write. */
void websocket_answer(struct websocket_client *client, const struct ws_answer *answer)
{
    say(client, wire_client_queue(&client->client), answer);
}

/* Rounded up: a client that waits so long is not too early. */
static int64_t seconds_of(int64_t ms)
{
    assert(ms >= 0);
    return (ms + 999) / 1000;
}

void websocket_refuse_request(struct websocket_client *client, struct bytes id, const char *problem,
                              int64_t retry_after_ms)
{
    assert(problem && retry_after_ms >= 0);
    websocket_note(client, problem, NULL, false);
    websocket_answer(client,
                     &(struct ws_answer){.kind = WS_ANSWER_ERROR,
                                         .id = id,
                                         .code = problem,
                                         .message = bytes_of_string(refusal_message(problem)),
                                         .retry_after_s = seconds_of(retry_after_ms)});
}

/* The client asked for something; without an id it only hears what went wrong. */
void websocket_answer_request(struct websocket_client *client, struct bytes id, const char *problem)
{
    if (problem)
        websocket_refuse_request(client, id, problem, 0);
    else if (id.size)
        websocket_answer(client, &(struct ws_answer){.kind = WS_ANSWER_ACK, .id = id});
}

/* The close frame is the last thing the client gets, behind whatever `out` holds already. */
static void websocket_end_into(struct websocket_client *client, struct buffer *out, unsigned code,
                               const char *reason)
{
    assert(reason);
    if (reason[0])
        websocket_note(client, reason, NULL, true);
    websocket_append_close(out, code, reason);
    timer_wheel_cancel(client->adapter->config.clients.wheel, &client->timer);
    wire_client_end(&client->client);
}

/* Behind what is queued already: the client still reads what came of its requests. */
void websocket_end(struct websocket_client *client, unsigned code, const char *reason)
{
    websocket_end_into(client, wire_client_queue(&client->client), code, reason);
}

void websocket_set_timer(struct websocket_client *client, int64_t deadline_ms)
{
    timer_wheel_set(client->adapter->config.clients.wheel, &client->timer, deadline_ms);
}

/* What no correct client sends is counted apart: much of it means an attack or a bug in a
 * client. */
void websocket_end_violation(struct websocket_client *client, unsigned code, const char *reason)
{
    client->adapter->clients.stats.violations++;
    websocket_end(client, code, reason);
}

/* --- the stream ------------------------------------------------------------------------------- */

/* Few are pending (websocket.pending_requests): the list is walked. */
static struct websocket_pending *pending_find(struct websocket_client *client, uint64_t number)
{
    struct websocket_pending *pending;
    DL_SEARCH_SCALAR(client->pending, pending, number, number);
    return pending;
}

/* The first refusal decides the answer's code; each of them is listed. */
static void note_refusal(struct websocket_pending *pending, const struct delivery *delivery)
{
    assert(pending->left > 0);
    struct ws_refused_room *refused = &pending->refused[pending->refused_count++];
    if (pending->refused_count == 1)
        pending->claim = delivery->claim;
    refused->room = bytes_of(mem_string(delivery->room), delivery->room.size);
    refused->code = delivery->reason;
}

/* The cursor that knows the room comes before the answer (hazards: an answer whose cursor the
 * client does not have loses the room). One for all rooms of the request. */
static void answer_pending(struct websocket_client *client, const struct delivery *delivery,
                           struct buffer *out)
{
    struct websocket_pending *pending = pending_find(client, delivery->request);
    assert(pending && pending->left > 0);
    if (delivery->reason)
        note_refusal(pending, delivery);
    if (delivery->retry_after_ms > pending->retry_after_ms)
        pending->retry_after_ms = delivery->retry_after_ms;
    if (delivery->has_history || delivery->has_state) {
        pending->history_count += delivery->history_count;
        pending->history_is_cut = pending->history_is_cut || !delivery->history_complete;
    }
    if (delivery->has_state && delivery->since_ms > pending->since_ms)
        pending->since_ms = delivery->since_ms;
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
    auto_buffer struct buffer message = {0};
    struct ws_answer last = {.kind = WS_ANSWER_ACK,
                             .id = pending->id,
                             .has_history = pending->has_history,
                             .has_state = pending->has_state,
                             .since_ms = pending->since_ms,
                             .history_count = pending->history_count,
                             .history_complete = !pending->history_is_cut};
    if (pending->refused_count) {
        last.kind = WS_ANSWER_ERROR;
        last.code = pending->refused[0].code;
        refusal_append_message(&message, last.code, pending->claim);
        last.message = buffer_peek(&message);
        websocket_note(client, last.code, pending->claim, false);
        last.retry_after_s = seconds_of(pending->retry_after_ms);
        last.refused = pending->refused;
        last.refused_count = pending->refused_count;
    }
    if (last.kind == WS_ANSWER_ERROR || pending->id.size)
        say(client, out, &last);
    pending_free(client, pending);
}

/* The session has taken the fresh token. */
static void acknowledge_refresh(struct websocket_client *client, struct buffer *out)
{
    assert(client->refreshing);
    client->refreshing = false;
    if (buffer_size(&client->id))
        say(client, out,
            &(struct ws_answer){.kind = WS_ANSWER_ACK, .id = buffer_peek(&client->id)});
    buffer_deinit(&client->id);
}

/* The first step of a session: from here on the client may ask. */
static void websocket_send_welcome(struct websocket_client *client, const struct delivery *delivery,
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
    assert(client->phase == PHASE_OPENING);
    client->phase = PHASE_OPEN;
    websocket_set_timer(client, client->client.clients->now_ms + config->ping_interval_ms);
    say(client, out, &answer);
    buffer_deinit(&client->id);
}

/* On the way of every notification to every client: a header, the shared body, the tail. */
static void write_notification(struct websocket_client *client, const struct delivery *delivery,
                               struct buffer *out)
{
    const struct websocket_codec *codec = client->codec;
    assert(delivery->body.size > 0);
    websocket_append_header(out, codec->opcode,
                            delivery->body.size + codec->tail_size(delivery->cursor.size));
    buffer_append(out, delivery->body);
    codec->append_tail(out, delivery->cursor);
    if (delivery->cursor.size)
        buffer_deinit(&client->cursor);
}

/* Rare, and framed for this client alone: the body names the room it was asked for. */
static void websocket_write_history(struct websocket_client *client,
                                    const struct delivery *delivery, struct buffer *out)
{
    const struct websocket_codec *codec = client->codec;
    struct buffer *text = &client->adapter->text;
    assert(delivery->room.size > 0 && (delivery->body.size > 0 || delivery->first));
    buffer_clear(text);
    if (delivery->kind == DELIVERY_STATE)
        codec->append_state(text, delivery->room, delivery->first, delivery->body);
    else
        codec->append_history(text, delivery->room, delivery->event, delivery->body);
    codec->append_tail(text, delivery->cursor);
    websocket_append_frame(out, codec->opcode, buffer_peek(text));
    if (delivery->cursor.size)
        buffer_deinit(&client->cursor);
}

/* An error that answers `connect`, then the end: clients that see no close code read why. */
void websocket_turn_away(struct websocket_client *client, struct buffer *out, unsigned code,
                         const struct delivery *refusal)
{
    auto_buffer struct buffer message = {0};
    assert(refusal->reason);
    refusal_append_message(&message, refusal->reason, refusal->claim);
    say(client, out,
        &(struct ws_answer){.kind = WS_ANSWER_ERROR,
                            .id = buffer_peek(&client->id),
                            .code = refusal->reason,
                            .message = buffer_peek(&message),
                            .retry_after_s = seconds_of(refusal->retry_after_ms)});
    websocket_end_into(client, out, code, refusal->reason);
}

static struct ws_presence presence_of(const struct delivery *delivery)
{
    const struct presence_news *news = delivery->presence;
    return (struct ws_presence){.users = news->users,
                                .joined = news->joined,
                                .left = news->left,
                                .count = news->count,
                                .snapshot = news->snapshot,
                                .complete = news->complete};
}

/* One step of the stream. A step with a request number answers a request of the client's; without
 * one it happened to the session, by its claims or by the policy. */
void websocket_deliver(struct wire_client *base, const struct delivery *delivery,
                       struct buffer *out)
{
    struct websocket_client *client = client_of(base);
    unsigned code = delivery->overflow    ? WEBSOCKET_CLOSE_POLICY
                    : delivery->transient ? WEBSOCKET_CLOSE_TRY_AGAIN
                                          : WEBSOCKET_CLOSE_FORBIDDEN;
    struct ws_answer answer = {.cursor = delivery->cursor,
                               .room = delivery->room,
                               .reason = delivery->reason,
                               .since_ms = delivery->since_ms};
    struct ws_presence presence;
    switch (delivery->kind) {
    case DELIVERY_OPENED:
        websocket_send_welcome(client, delivery, out);
        return;
    case DELIVERY_NOTIFICATION:
        write_notification(client, delivery, out);
        return;
    case DELIVERY_HISTORY:
    case DELIVERY_STATE:
        websocket_write_history(client, delivery, out);
        return;
    case DELIVERY_JOINED:
    case DELIVERY_JOIN_REFUSED:
        if (delivery->request) {
            answer_pending(client, delivery, out);
            return;
        }
        answer.kind = WS_ANSWER_SUBSCRIBED;
        break;
    case DELIVERY_REFRESHED:
        acknowledge_refresh(client, out);
        return;
    case DELIVERY_LEFT:
        if (delivery->request) {
            answer_pending(client, delivery, out);
            return;
        }
        if (delivery->reason)
            websocket_note(client, delivery->reason, NULL, false);
        answer.kind = WS_ANSWER_UNSUBSCRIBED;
        break;
    case DELIVERY_PRESENCE:
        answer.kind = WS_ANSWER_PRESENCE;
        answer.data = delivery->body;
        presence = presence_of(delivery);
        answer.presence = &presence;
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
        websocket_turn_away(client, out, code, delivery);
        return;
    case DELIVERY_CLOSE:
        client->adapter->clients.stats.violations += delivery->overflow;
        websocket_end_into(client, out, code, delivery->reason);
        return;
    }
    say(client, out, &answer);
}

/* Nothing is written from here: the stream is pulled at the end of the turn. */
static void websocket_ready(struct session *session, void *connection)
{
    (void)session;
    wire_client_wake(connection);
}

/* Once per message and subprotocol; the tail with the cursor is each client's own. */
static struct body_part websocket_encode_json(const struct message_view *view, struct buffer *out)
{
    return websocket_codecs[0].encode(view, out);
}

static struct body_part websocket_encode_protobuf(const struct message_view *view,
                                                  struct buffer *out)
{
    return websocket_codecs[1].encode(view, out);
}

static void websocket_append_item_json(struct buffer *list, struct bytes event,
                                       struct bytes notification)
{
    websocket_codecs[0].append_item(list, event, notification);
}

static void websocket_append_item_protobuf(struct buffer *list, struct bytes event,
                                           struct bytes notification)
{
    websocket_codecs[1].append_item(list, event, notification);
}

const struct transport_ops websocket_transports[WEBSOCKET_CODECS] = {
    {.name = "websocket-json",
     .slot = TRANSPORT_SLOT_WEBSOCKET_JSON,
     .encode = websocket_encode_json,
     .ready = websocket_ready,
     .append_item = websocket_append_item_json},
    {.name = "websocket-protobuf",
     .slot = TRANSPORT_SLOT_WEBSOCKET_PROTOBUF,
     .encode = websocket_encode_protobuf,
     .ready = websocket_ready,
     .append_item = websocket_append_item_protobuf},
};
