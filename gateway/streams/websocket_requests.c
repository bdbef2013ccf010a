/* What clients of raw WebSocket ask. Each request has an id of the client's, under which it is
 * answered, maybe much later and in another order; requests for rooms have a number of ours as
 * well, by which the session's stream says which of them a step belongs to.
 *
 * A request that waits is bounded in number, and freed by its last answer or by the client's
 * end, whichever is first. */
#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "mem.h"
#include "websocket_private.h"

/* A client's event on its way to the backend. */
struct websocket_sent_event {
    struct sent_event event;
    struct websocket_client *client;
    struct buffer id;
};

/* The names of refused rooms are copies: the request they came in is long gone. */
void pending_free(struct websocket_client *client, struct websocket_pending *pending)
{
    assert(client->pending_count > 0);
    for (uint32_t i = 0; i < pending->refused_count; i++)
        free((void *)(uintptr_t)pending->refused[i].room.data);
    DL_DELETE(client->pending, pending);
    client->pending_count--;
    free(pending->refused);
    free(pending);
}

/* A token of the message counts before one that came with the HTTP request: browsers cannot set fields
 * of that. */
static void handle_connect(struct websocket_client *client, const struct ws_request *request)
{
    struct identity_question question = {.token = request->token, .auth = request->auth};
    auto_free char *token = client->token;
    assert(client->phase == PHASE_HELLO && !client->client.session);
    client->token = NULL;
    if (question.token.size == 0)
        question.token = bytes_of_string(token);
    client->phase = PHASE_OPENING;
    client->heartbeat = request->heartbeat;
    buffer_append(&client->id, request->id);
    wire_client_identify(&client->client, &question, request->session, request->cursor);
}

/* One request for several rooms has one answer, when the last of them has its own. The rooms may
 * lie in several lanes, so that may take a while. */
static void handle_rooms(struct websocket_client *client, const struct ws_request *request,
                         int64_t now_ms)
{
    bool join = request->kind == WS_REQUEST_SUBSCRIBE;
    assert(client->client.session && request->room_count <= WS_ROOMS_MAX);
    if (client->pending_count >= client->adapter->config.requests) {
        websocket_answer_request(client, request->id, "too_many_requests");
        return;
    }
    if (join && request->bad_history) {
        websocket_answer_request(client, request->id, request->bad_history);
        return;
    }
    struct history_request history = {
        .since_ms = request->since_ms, .last = request->last, .state = request->state};
    bool asks = join && request->has_history;
    struct websocket_pending *pending = mem_alloc(sizeof(*pending) + request->id.size);
    pending->number = ++client->last_number;
    pending->left = request->room_count;
    pending->has_history = asks && !request->state;
    pending->has_state = asks && request->state;
    pending->refused = mem_alloc(request->room_count * sizeof(*pending->refused));
    pending->id = bytes_of(pending->id_text, request->id.size);
    if (request->id.size)
        memcpy(pending->id_text, request->id.data, request->id.size);
    DL_APPEND(client->pending, pending);
    client->pending_count++;
    for (uint32_t i = 0; i < request->room_count; i++) {
        if (join && request->presence)
            session_join_with_presence(client->client.session, request->rooms[i], pending->number,
                                       asks ? &history : NULL, now_ms,
                                       client->client.clients->wall_ms);
        else if (asks)
            session_join_with_history(client->client.session, request->rooms[i], pending->number,
                                      &history, now_ms, client->client.clients->wall_ms);
        else if (join)
            session_join(client->client.session, request->rooms[i], pending->number, now_ms);
        else
            session_leave(client->client.session, request->rooms[i], pending->number);
    }
}

/* One at a time, as for the other transports. */
static void handle_token(struct websocket_client *client, const struct ws_request *request)
{
    if (client->refreshing) {
        websocket_answer_request(client, request->id, "too_many_requests");
        return;
    }
    struct identity_question question = {.token = request->token, .auth = request->auth};
    client->refreshing = true;
    buffer_append(&client->id, request->id);
    wire_client_refresh(&client->client, &question);
}

/* A token costs a signature, so nobody may try for ever. */
static bool has_tried_enough(struct websocket_client *client)
{
    const struct websocket_adapter_config *config = &client->adapter->config;
    int64_t now_ms = client->client.clients->now_ms;
    if (client->refusals == 0 || now_ms - client->refusals_since_ms >= config->refusals_ms) {
        client->refusals = 0;
        client->refusals_since_ms = now_ms;
    }
    assert(client->refusals < config->refusals);
    return ++client->refusals >= config->refusals;
}

/* The old token still holds: the session goes on, unless this was one try too many. */
void websocket_refresh_refused(struct wire_client *base, const char *problem, bool transient)
{
    struct websocket_client *client = client_of(base);
    assert(client->refreshing);
    client->refreshing = false;
    websocket_answer_request(client, buffer_peek(&client->id), problem);
    buffer_deinit(&client->id);
    if (!transient && has_tried_enough(client))
        websocket_end_violation(client, WEBSOCKET_CLOSE_POLICY, "too_many_refusals");
}

static void sent_free(struct websocket_sent_event *sent)
{
    buffer_deinit(&sent->id);
    free(sent);
}

/* The broker has it, or it is lost. */
static void event_answered(struct sent_event *event, const char *problem)
{
    struct websocket_sent_event *sent = (struct websocket_sent_event *)event;
    websocket_answer_request(sent->client, buffer_peek(&sent->id), problem);
    sent_free(sent);
}

/* `sent` waits for the broker's answer; if the event is refused at once it is not used. */
static void handle_event(struct websocket_client *client, const struct ws_request *request,
                         int64_t now_ms)
{
    struct client_events *events = client->adapter->config.events;
    const struct client_event event = {.name = request->event,
                                       .payload = request->data,
                                       .id = request->event_id,
                                       .room = request->room,
                                       .traceparent = request->traceparent,
                                       .tracestate = request->tracestate};
    struct websocket_sent_event *sent = mem_new(struct websocket_sent_event);
    sent->event.answered = event_answered;
    sent->client = client;
    buffer_append(&sent->id, request->id);
    const char *problem = events
                              ? client_events_send(events, &client->sender, client->client.session,
                                                   &event, &sent->event, now_ms)
                              : "unknown_event";
    if (!problem)
        return;
    websocket_refuse_request(client, request->id, problem, sent->event.retry_after_ms);
    sent_free(sent);
}

/* The client is gone: nobody hears these answers. Events go their way. */
void websocket_forget_requests(struct websocket_client *client)
{
    struct websocket_pending *pending, *next;
    struct sent_event *event;
    DL_FOREACH_SAFE(client->pending, pending, next)
        pending_free(client, pending);
    while ((event = client_events_take(&client->sender)))
        sent_free((struct websocket_sent_event *)event);
}

/* One case for each kind of request: the compiler names the one that is missing. */
static void handle_open_request(struct websocket_client *client, const struct ws_request *request,
                                int64_t now_ms)
{
    assert(client->phase == PHASE_OPEN && client->client.session);
    switch (request->kind) {
    case WS_REQUEST_CONNECT:
        websocket_answer_request(client, request->id, "already_connected");
        break;
    case WS_REQUEST_SUBSCRIBE:
    case WS_REQUEST_UNSUBSCRIBE:
        handle_rooms(client, request, now_ms);
        break;
    case WS_REQUEST_EVENT:
        handle_event(client, request, now_ms);
        break;
    case WS_REQUEST_TOKEN:
        handle_token(client, request);
        break;
    case WS_REQUEST_PING:
        websocket_answer(client, &(struct ws_answer){.kind = WS_ANSWER_PONG, .id = request->id});
        break;
    case WS_REQUEST_PONG:
        break;
    }
}

/* Before `connect` only a ping is answered; what else comes first is no client of this protocol. */
void websocket_take_request(struct websocket_client *client, const struct ws_request *request,
                            int64_t now_ms)
{
    if (client->phase == PHASE_OPEN)
        handle_open_request(client, request, now_ms);
    else if (request->kind == WS_REQUEST_PING)
        websocket_answer(client, &(struct ws_answer){.kind = WS_ANSWER_PONG, .id = request->id});
    else if (client->phase == PHASE_OPENING)
        websocket_answer_request(client, request->id, "not_connected");
    else if (request->kind == WS_REQUEST_CONNECT)
        handle_connect(client, request);
    else
        websocket_end_violation(client, WEBSOCKET_CLOSE_POLICY, "connect_first");
}
