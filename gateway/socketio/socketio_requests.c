/* What clients ask by events: rooms, a fresh token, and what is for the backend. Each is answered by its
 * ack if it wants one: at once if it is refused here, else when the session's stream comes to it, or
 * the broker has it.
 *
 * Arguments come from outside and are looked at where they are used; what has the wrong form is
 * `bad_request`, and ends nothing. */
#include <assert.h>
#include <stdlib.h>

#include "history_options.h"
#include "json.h"
#include "mem.h"
#include "socketio_adapter_private.h"

/* --- how it is written -------------------------------------------------------------------------- */

/* An event without an ack asks for no answer: the client hears only what went wrong. */
static uint64_t request_of(const struct socketio_packet *packet)
{
    return packet->has_ack_id ? packet->ack_id + 1 : REQUEST_SILENT;
}

static void socket_refuse_event(struct adapter_socket *socket, const struct socketio_packet *packet,
                                const char *problem)
{
    socketio_adapter_acknowledge(socket, request_of(packet), problem, 0);
}

/* The first argument: a string, or an object with a string member of this name. */
static bool text_argument(const struct socketio_packet *packet, const char *member,
                          struct buffer *out)
{
    struct bytes rest = packet->arguments, argument;
    buffer_clear(out);
    if (!socketio_next_argument(&rest, &argument))
        return false;
    if (argument.data[0] == '{' &&
        json_find(argument, bytes_of_string(member), &argument) != STATUS_OK)
        return false;
    if (argument.size < 2 || argument.data[0] != '"')
        return false;
    json_unescape_append(bytes_of(argument.data + 1, argument.size - 2), out);
    return true;
}

/* --- a fresh token ------------------------------------------------------------------------------ */

/* One at a time: a client that brings tokens faster than they are checked has to wait. */
static void refresh_token(struct adapter_socket *socket, const struct socketio_packet *packet)
{
    struct socketio_adapter *adapter = socket->adapter;
    struct identity identity = {0};
    assert(socket->session);
    if (socket->entrance) {
        socket_refuse_event(socket, packet, "too_many_requests");
        return;
    }
    if (!text_argument(packet, "token", &adapter->room)) {
        socket_refuse_event(socket, packet, "bad_request");
        return;
    }
    struct bytes rest = packet->arguments, argument;
    struct identity_question question = {.token = buffer_peek(&adapter->room)};
    if (socketio_next_argument(&rest, &argument) && argument.data[0] == '{')
        question.auth = argument;
    struct entrance *entrance = socketio_adapter_entrance_new(socket);
    entrance->fresh_token = true;
    entrance->request = request_of(packet);
    enum identity_verdict verdict = adapter->config.identity_ops->ask(
        adapter->config.identifier, &question, &entrance->waiter, &identity);
    if (verdict == IDENTITY_UNDECIDED) {
        socket->entrance = entrance;
        return;
    }
    free(entrance);
    socketio_adapter_answer_refresh(socket, request_of(packet), verdict, &identity);
}

/* --- events for the backend --------------------------------------------------------------------- */

/* The broker has it, or it is lost: the ack says which. */
static void sent_answered(struct sent_event *event, const char *problem)
{
    struct socketio_sent_event *sent = (struct socketio_sent_event *)event;
    assert(sent->socket->adapter->config.events);
    socketio_adapter_acknowledge(sent->socket, sent->request, problem, 0);
    free(sent);
}

/* A string member of the second argument. */
static struct bytes detail(struct bytes object, const char *name, struct buffer *space)
{
    struct bytes raw;
    buffer_clear(space);
    if (object.size == 0 || json_find(object, bytes_of_string(name), &raw) != STATUS_OK ||
        raw.size < 2 || raw.data[0] != '"')
        return bytes_of("", 0);
    json_unescape_append(bytes_of(raw.data + 1, raw.size - 2), space);
    return buffer_peek(space);
}

/* (payload, {id, room, traceparent, tracestate}), both of them optional */
static void send_event(struct adapter_socket *socket, const struct socketio_packet *packet,
                       int64_t now_ms)
{
    struct socketio_adapter *adapter = socket->adapter;
    struct buffer *space = adapter->details;
    struct bytes rest = packet->arguments, payload = bytes_of("", 0), about = bytes_of("", 0);
    assert(socket->session);
    if (packet->attachment_count > 0 ||
        (socketio_next_argument(&rest, &payload) && socketio_next_argument(&rest, &about) &&
         about.data[0] != '{')) {
        socket_refuse_event(socket, packet, "bad_request");
        return;
    }
    buffer_clear(&adapter->name);
    socketio_append_event_name(packet, &adapter->name);
    struct client_event event = {.name = buffer_peek(&adapter->name),
                                 .payload = payload,
                                 .id = detail(about, "id", &space[0]),
                                 .room = detail(about, "room", &space[1]),
                                 .traceparent = detail(about, "traceparent", &space[2]),
                                 .tracestate = detail(about, "tracestate", &space[3])};
    struct socketio_sent_event *sent = mem_new(struct socketio_sent_event);
    sent->event.answered = sent_answered;
    sent->socket = socket;
    sent->request = request_of(packet);
    const char *problem = client_events_send(adapter->config.events, &socket->sender,
                                             socket->session, &event, &sent->event, now_ms);
    if (!problem)
        return;
    socketio_adapter_acknowledge(socket, sent->request, problem, sent->event.retry_after_ms);
    free(sent);
}

/* --- rooms -------------------------------------------------------------------------------------- */

/* {presence: true}: to hear who is in the room. */
static bool wants_presence(struct bytes options)
{
    struct bytes value;
    return options.size > 0 && options.data[0] == '{' &&
           json_find(options, BYTES_LITERAL("presence"), &value) == STATUS_OK &&
           bytes_equal_string(value, "true");
}

/* (room, {since, last} | {state}, with presence | null ?): the room was put into adapter->room. */
static void subscribe(struct adapter_socket *socket, const struct socketio_packet *packet,
                      int64_t now_ms)
{
    struct bytes room = buffer_peek(&socket->adapter->room), rest = packet->arguments, options;
    struct history_request history;
    bool asked = socketio_next_argument(&rest, &options) &&
                 socketio_next_argument(&rest, &options) && !bytes_equal_string(options, "null");
    assert(socket->session);
    bool presence = asked && wants_presence(options);
    bool past = asked && (!presence || history_options_said_json(options));
    const char *problem = past ? history_options_read_json(options, &history) : NULL;
    if (problem)
        socket_refuse_event(socket, packet, problem);
    else if (presence)
        session_join_with_presence(socket->session, room, request_of(packet),
                                   past ? &history : NULL, now_ms, socket->adapter->wall_ms);
    else if (past)
        session_join_with_history(socket->session, room, request_of(packet), &history, now_ms,
                                  socket->adapter->wall_ms);
    else
        session_join(socket->session, room, request_of(packet), now_ms);
}

/* --- all ---------------------------------------------------------------------------------------- */

/* The client asks. Reserved names first; what is none of them is an event for the backend, and the
 * policy says whether there is such a one. */
void socketio_requests_take(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    struct adapter_socket *socket = context;
    struct socketio_adapter *adapter = socket->adapter;
    bool join = socketio_event_is(packet, "subscribe");
    if (!socket->session) {
        socket_refuse_event(socket, packet, "not_connected");
    } else if (join || socketio_event_is(packet, "unsubscribe")) {
        if (!text_argument(packet, "room", &adapter->room))
            socket_refuse_event(socket, packet, "bad_request");
        else if (join)
            subscribe(socket, packet, now_ms);
        else
            session_leave(socket->session, buffer_peek(&adapter->room), request_of(packet));
    } else if (socketio_event_is(packet, "token")) {
        refresh_token(socket, packet);
    } else if (adapter->config.events) {
        send_event(socket, packet, now_ms);
    } else {
        socket_refuse_event(socket, packet, "unknown_event");
    }
}
