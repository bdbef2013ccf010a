#include "socketio_adapter.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "history_options.h"
#include "json.h"
#include "mem.h"
#include "pack.h"
#include "room.h"

#define REQUEST_SILENT \
    UINT64_MAX /* the client wants no ack; else the request is its ack id plus one */

struct socketio_adapter {
    struct socketio_adapter_config config;
    struct socketio_adapter_stats stats;
    int64_t now_ms, wall_ms;
    struct buffer head, text, room;
    struct buffer name, details[4]; /* of an event to the backend */
};

/* Until it is known who the client is. */
struct entrance {
    struct identity_waiter waiter;
    struct adapter_socket *socket;
    char *private_id, *cursor;
    bool fresh_token; /* brought by an open session */
    uint64_t request;
};

/* A client in a namespace. */
struct adapter_socket {
    struct socketio_adapter *adapter;
    struct socketio_socket *socket;
    struct session *session;   /* NULL while it is not known who it is */
    struct entrance *entrance; /* a question is under way */
    struct event_sender sender;
    struct timer expiry;
    int64_t expires_ms; /* wall clock; INT64_MAX: never */
    bool expired;
};

/* A client's event on its way to the backend. */
struct sent {
    struct sent_event event;
    struct adapter_socket *socket;
    uint64_t request;
};

/* --- what goes out -----------------------------------------------------------------------------
 */

/* "2" or "2/admin,": the packet type and the namespace. */
static struct bytes packet_head(struct adapter_socket *socket, const struct socketio_packet *packet)
{
    struct buffer *head = &socket->adapter->head;
    struct socketio_packet own = *packet;
    own.name_space = socketio_socket_namespace(socket->socket);
    buffer_clear(head);
    socketio_append_head(head, &own);
    return buffer_peek(head);
}

/* An event whose arguments are `body` ("name",...) and, as the last, the cursor. */
static void write_event(struct adapter_socket *socket, struct engineio_writer *writer,
                        struct bytes body, struct bytes cursor)
{
    static const struct socketio_packet event = {.type = SOCKETIO_EVENT};
    struct bytes parts[] = {
        packet_head(socket, &event), BYTES_LITERAL("["), body, BYTES_LITERAL(",\""), cursor,
        BYTES_LITERAL("\"]")};
    if (cursor.size == 0) {
        parts[3] = BYTES_LITERAL("]");
        parts[5] = bytes_of("", 0);
    }
    engineio_writer_text(writer, parts, 6);
}

/* The answer to what `delivery` is about. */
static void write_ack(struct adapter_socket *socket, struct engineio_writer *writer,
                      const struct delivery *delivery)
{
    uint64_t request = delivery->request;
    const char *problem = delivery->reason;
    if (request == REQUEST_SILENT || request == 0)
        return;
    struct buffer *text = &socket->adapter->text;
    struct socketio_packet ack = {.type = SOCKETIO_ACK, .has_ack_id = true, .ack_id = request - 1};
    buffer_clear(text);
    if (problem)
        buffer_append_format(text,
                             "[{\"ok\":false,\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}]",
                             problem, problem);
    else if (delivery->has_history)
        buffer_append_format(text, "[{\"ok\":true,\"history\":{\"count\":%u,\"complete\":%s}}]",
                             delivery->history_count,
                             delivery->history_complete ? "true" : "false");
    else
        buffer_append_string(text, "[{\"ok\":true}]");
    struct bytes parts[] = {packet_head(socket, &ack), buffer_peek(text)};
    engineio_writer_text(writer, parts, 2);
}

/* One from before a join: the event `history`, whose argument says what it was. The body is
 * "name",{notification}. */
static void write_history(struct adapter_socket *socket, struct engineio_writer *writer,
                          const struct delivery *delivery)
{
    struct buffer *head = &socket->adapter->text;
    const uint8_t *comma = memchr(delivery->body.data, ',', delivery->body.size);
    assert(comma);
    size_t name = (size_t)(comma - delivery->body.data);
    buffer_clear(head);
    buffer_append_string(head, "\"history\",{\"room\":");
    json_write_string(head, delivery->room);
    buffer_append_string(head, ",\"event\":");
    buffer_append(head, bytes_of(delivery->body.data, name));
    buffer_append_string(head, ",\"data\":");
    buffer_append(head, bytes_skip(delivery->body, name + 1));
    buffer_append_byte(head, '}');
    write_event(socket, writer, buffer_peek(head), delivery->cursor);
}

/* "subscribed",{"room":"task:42"} */
static struct bytes room_body(struct socketio_adapter *adapter, const char *event,
                              const struct delivery *delivery)
{
    struct buffer *text = &adapter->text;
    buffer_clear(text);
    buffer_append_format(text, "\"%s\",{\"room\":", event);
    json_write_string(text, delivery->room);
    if (delivery->reason)
        buffer_append_format(text, ",\"reason\":\"%s\"", delivery->reason);
    buffer_append_byte(text, '}');
    return buffer_peek(text);
}

static struct bytes format_body(struct socketio_adapter *adapter, const char *format, ...)
    PRINTF_LIKE(2, 3);
static struct bytes format_body(struct socketio_adapter *adapter, const char *format, ...)
{
    char text[160];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    buffer_clear(&adapter->text);
    buffer_append_string(&adapter->text, text);
    return buffer_peek(&adapter->text);
}

static void write_opened(struct adapter_socket *socket, struct engineio_writer *writer,
                         const struct delivery *delivery)
{
    if (delivery->continued) {
        socketio_socket_continue(socket->socket);
        return;
    }
    socketio_writer_accept(socket->socket, writer, delivery->public_id, delivery->private_id);
    if (!delivery->recovered && delivery->reason)
        write_event(socket, writer,
                    format_body(socket->adapter,
                                "\"session\",{\"recovered\":false,\"reason\":\"%s\"}",
                                delivery->reason),
                    delivery->cursor);
}

/* --- ends --------------------------------------------------------------------------------------
 */

static void socket_free(struct adapter_socket *socket)
{
    struct socketio_adapter *adapter = socket->adapter;
    timer_wheel_cancel(adapter->config.wheel, &socket->expiry);
    if (socket->entrance) {
        adapter->config.identity_ops->cancel(adapter->config.identifier, &socket->entrance->waiter);
        free(socket->entrance->private_id);
        free(socket->entrance->cursor);
        free(socket->entrance);
    }
    struct sent_event *sent;
    while ((sent = client_events_take(&socket->sender)))
        free(sent);
    if (socket->session)
        session_close(socket->session);
    free(socket);
}

/* Trouble of ours closes the transport, after which the stock client comes back; CONNECT_ERROR and
 * DISCONNECT would keep it away (hazards 10). */
static void turn_away(struct adapter_socket *socket, const char *reason, bool transient)
{
    if (transient) {
        socketio_socket_close_transport(socket->socket);
    } else {
        struct buffer *text = &socket->adapter->text;
        buffer_clear(text);
        buffer_append_format(text, "{\"code\":\"%s\"}", reason);
        socketio_socket_refuse(socket->socket, bytes_of_string(reason), buffer_peek(text));
    }
    socket_free(socket);
}

static void end_session(struct adapter_socket *socket, bool transient)
{
    if (transient)
        socketio_socket_close_transport(socket->socket);
    else
        socketio_socket_disconnect(socket->socket);
    socket_free(socket);
}

/* --- the stream --------------------------------------------------------------------------------
 */

/* False: the socket is gone. */
static bool write_delivery(struct adapter_socket *socket, struct engineio_writer *writer,
                           const struct delivery *delivery)
{
    struct socketio_adapter *adapter = socket->adapter;
    switch (delivery->kind) {
    case DELIVERY_OPENED:
        write_opened(socket, writer, delivery);
        break;
    case DELIVERY_NOTIFICATION:
        write_event(socket, writer, delivery->body, delivery->cursor);
        break;
    case DELIVERY_HISTORY:
        write_history(socket, writer, delivery);
        break;
    case DELIVERY_JOINED: /* the cursor that names the room goes first (hazards 2) */
        write_event(socket, writer, room_body(adapter, "subscribed", delivery), delivery->cursor);
        write_ack(socket, writer, delivery);
        break;
    case DELIVERY_JOIN_REFUSED:
        write_ack(socket, writer, delivery);
        break;
    case DELIVERY_LEFT:
        write_event(socket, writer, room_body(adapter, "unsubscribed", delivery), delivery->cursor);
        write_ack(socket, writer, delivery);
        break;
    case DELIVERY_CURSOR:
        write_event(socket, writer, BYTES_LITERAL("\"cursor\""), delivery->cursor);
        break;
    case DELIVERY_STALE:
        write_event(
            socket, writer,
            format_body(adapter, "\"stale\",{\"since\":%lld}", (long long)delivery->since_ms),
            delivery->cursor);
        break;
    case DELIVERY_LIVE:
        write_event(socket, writer, BYTES_LITERAL("\"live\",{}"), delivery->cursor);
        break;
    case DELIVERY_REFUSED:
        turn_away(socket, delivery->reason, delivery->transient);
        return false;
    case DELIVERY_CLOSE:
        end_session(socket, delivery->transient);
        return false;
    }
    return true;
}

static bool pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    struct adapter_socket *socket = context;
    struct delivery delivery;
    (void)now_ms;
    if (!socket->session)
        return false;
    while (engineio_writer_has_room(writer)) {
        if (!session_next(socket->session, &delivery))
            return false;
        if (!write_delivery(socket, writer, &delivery))
            return false;
    }
    return true;
}

static void ready(struct session *session, void *connection)
{
    struct adapter_socket *socket = connection;
    assert(socket->session == session);
    socketio_socket_wake(socket->socket);
}

/* "name",{notification} */
static void encode(const struct message_view *view, struct buffer *out)
{
    buffer_append_byte(out, '"');
    buffer_append(out, view->event);
    buffer_append_string(out, "\",");
    buffer_append(out, view->json);
}

static const struct transport_ops adapter_transport = {
    .name = "socketio", .slot = TRANSPORT_SLOT_SOCKETIO, .encode = encode, .ready = ready};

/* --- who it is ---------------------------------------------------------------------------------
 */

static void expire(struct timer *timer, int64_t now_ms)
{
    struct adapter_socket *socket =
        (struct adapter_socket *)((char *)timer - offsetof(struct adapter_socket, expiry));
    struct socketio_adapter *adapter = socket->adapter;
    if (socket->expired) { /* nobody brought a fresh token: the stock client returns with one by its
                              auth function */
        end_session(socket, true);
        return;
    }
    char arguments[64];
    snprintf(arguments, sizeof(arguments), "{\"graceMs\":%lld}",
             (long long)adapter->config.expiry_grace_ms);
    struct socketio_event event = {.name = BYTES_LITERAL("token_expired"),
                                   .arguments = bytes_of_string(arguments)};
    socket->expired = true;
    adapter->stats.expired++;
    socketio_socket_emit(socket->socket, &event, NULL);
    timer_wheel_set(adapter->config.wheel, &socket->expiry,
                    now_ms + adapter->config.expiry_grace_ms);
}

static void set_expiry(struct adapter_socket *socket, int64_t expires_ms)
{
    struct socketio_adapter *adapter = socket->adapter;
    socket->expired = false;
    socket->expires_ms = expires_ms;
    timer_wheel_cancel(adapter->config.wheel, &socket->expiry);
    if (expires_ms == INT64_MAX)
        return;
    int64_t left = expires_ms > adapter->wall_ms ? expires_ms - adapter->wall_ms : 0;
    socket->expiry.fire = expire;
    timer_wheel_set(adapter->config.wheel, &socket->expiry, adapter->now_ms + left);
}

static void enter(struct adapter_socket *socket, const struct identity *identity,
                  struct bytes private_id, struct bytes cursor)
{
    struct socketio_adapter *adapter = socket->adapter;
    struct session_request request = {
        .transport = &adapter_transport,
        .connection = socket,
        .claims = identity->claims,
        .private_id = private_id,
        .cursor = cursor,
        .now_ms = adapter->now_ms,
        .wall_ms = adapter->wall_ms,
    };
    adapter->config.random(adapter->config.random_context, request.random, sizeof(request.random));
    socket->session = hub_open_session(adapter->config.hub, &request);
    if (!socket->session) {
        turn_away(socket, "too_many_sessions", true);
        return;
    }
    set_expiry(socket, identity->expires_ms);
    engineio_session_forget(socketio_socket_session(socket->socket));
}

static void acknowledge(struct adapter_socket *socket, uint64_t request, const char *problem)
{
    struct buffer *text = &socket->adapter->text;
    if (request == REQUEST_SILENT)
        return;
    buffer_clear(text);
    if (problem)
        buffer_append_format(text, "{\"ok\":false,\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
                             problem, problem);
    else
        buffer_append_string(text, "{\"ok\":true}");
    socketio_socket_ack(socket->socket, request - 1, buffer_peek(text), NULL, 0);
}

static void answer_refresh(struct adapter_socket *socket, uint64_t request,
                           enum identity_verdict verdict, const struct identity *identity)
{
    const char *problem = verdict == IDENTITY_KNOWN ? NULL : identity->reason;
    if (!problem && !session_is_of(socket->session, identity->claims))
        problem = "other_principal";
    if (!problem) {
        socket->adapter->stats.refreshed++;
        set_expiry(socket, identity->expires_ms);
    }
    acknowledge(socket, request, problem);
}

static void decided(struct identity_waiter *waiter, enum identity_verdict verdict,
                    const struct identity *identity)
{
    struct entrance *entrance =
        (struct entrance *)((char *)waiter - offsetof(struct entrance, waiter));
    struct adapter_socket *socket = entrance->socket;
    auto_free char *private_id = entrance->private_id;
    auto_free char *cursor = entrance->cursor;
    bool refresh = entrance->fresh_token;
    uint64_t request = entrance->request;
    socket->entrance = NULL;
    free(entrance);
    if (refresh)
        answer_refresh(socket, request, verdict, identity);
    else if (verdict == IDENTITY_KNOWN)
        enter(socket, identity, bytes_of_string(private_id), bytes_of_string(cursor));
    else
        turn_away(socket, identity->reason, verdict == IDENTITY_TROUBLE);
}

/* A string member of the auth payload, without its quotes; escapes do not occur in what we ask for.
 */
static struct bytes auth_member(struct bytes auth, const char *name)
{
    struct bytes raw;
    if (auth.size == 0 || json_find(auth, bytes_of_string(name), &raw) != STATUS_OK ||
        raw.size < 2 || raw.data[0] != '"' || memchr(raw.data, '\\', raw.size))
        return bytes_of("", 0);
    return bytes_of(raw.data + 1, raw.size - 2);
}

static struct bytes bearer_token(struct adapter_socket *socket)
{
    static const char scheme[] = "bearer ";
    struct bytes value;
    if (!engineio_session_field(socketio_socket_session(socket->socket), "authorization", &value) ||
        value.size < sizeof(scheme) ||
        strncasecmp((const char *)value.data, scheme, sizeof(scheme) - 1) != 0)
        return bytes_of("", 0);
    return bytes_skip(value, sizeof(scheme) - 1);
}

static struct entrance *entrance_new(struct adapter_socket *socket)
{
    struct entrance *entrance = mem_new(struct entrance);
    entrance->waiter.decided = decided;
    entrance->socket = socket;
    return entrance;
}

static void *connect_socket(void *application, struct socketio_socket *handle, struct bytes auth,
                            int64_t now_ms)
{
    struct socketio_adapter *adapter = application;
    struct adapter_socket *socket = mem_new(struct adapter_socket);
    struct entrance *entrance;
    struct identity identity = {0};
    (void)now_ms;
    socket->adapter = adapter;
    socket->socket = handle;
    struct bytes private_id = auth_member(auth, "pid"), cursor = auth_member(auth, "offset");
    struct identity_question question = {.token = auth_member(auth, "token"), .auth = auth};
    if (question.token.size == 0)
        question.token = bearer_token(socket);
    entrance = entrance_new(socket);
    enum identity_verdict verdict = adapter->config.identity_ops->ask(
        adapter->config.identifier, &question, &entrance->waiter, &identity);
    if (verdict == IDENTITY_UNDECIDED) {
        socket->entrance = entrance;
        entrance->private_id = mem_string(private_id);
        entrance->cursor = mem_string(cursor);
        return socket;
    }
    free(entrance);
    if (verdict == IDENTITY_KNOWN)
        enter(socket, &identity, private_id, cursor);
    else
        turn_away(socket, identity.reason, verdict == IDENTITY_TROUBLE);
    return socket; /* nobody looks at it if it was turned away */
}

/* --- what clients ask --------------------------------------------------------------------------
 */

static uint64_t request_of(const struct socketio_packet *packet)
{
    return packet->has_ack_id ? packet->ack_id + 1 : REQUEST_SILENT;
}

static void refuse_event(struct adapter_socket *socket, const struct socketio_packet *packet,
                         const char *problem)
{
    acknowledge(socket, request_of(packet), problem);
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

static void refresh_token(struct adapter_socket *socket, const struct socketio_packet *packet)
{
    struct socketio_adapter *adapter = socket->adapter;
    struct identity identity = {0};
    if (socket->entrance) {
        refuse_event(socket, packet, "too_many_requests");
        return;
    }
    if (!text_argument(packet, "token", &adapter->room)) {
        refuse_event(socket, packet, "bad_request");
        return;
    }
    struct bytes rest = packet->arguments, argument;
    struct identity_question question = {.token = buffer_peek(&adapter->room)};
    if (socketio_next_argument(&rest, &argument) && argument.data[0] == '{')
        question.auth = argument;
    struct entrance *entrance = entrance_new(socket);
    entrance->fresh_token = true;
    entrance->request = request_of(packet);
    enum identity_verdict verdict = adapter->config.identity_ops->ask(
        adapter->config.identifier, &question, &entrance->waiter, &identity);
    if (verdict == IDENTITY_UNDECIDED) {
        socket->entrance = entrance;
        return;
    }
    free(entrance);
    answer_refresh(socket, request_of(packet), verdict, &identity);
}

static void sent_answered(struct sent_event *event, const char *problem)
{
    struct sent *sent = (struct sent *)event;
    acknowledge(sent->socket, sent->request, problem);
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
static const char *send_event(struct adapter_socket *socket, const struct socketio_packet *packet,
                              int64_t now_ms)
{
    struct socketio_adapter *adapter = socket->adapter;
    struct buffer *space = adapter->details;
    struct bytes rest = packet->arguments, payload = bytes_of("", 0), about = bytes_of("", 0);
    if (packet->attachment_count > 0)
        return "bad_request";
    if (socketio_next_argument(&rest, &payload) && socketio_next_argument(&rest, &about) &&
        about.data[0] != '{')
        return "bad_request";
    buffer_clear(&adapter->name);
    socketio_append_event_name(packet, &adapter->name);
    struct client_event event = {.name = buffer_peek(&adapter->name),
                                 .payload = payload,
                                 .id = detail(about, "id", &space[0]),
                                 .room = detail(about, "room", &space[1]),
                                 .traceparent = detail(about, "traceparent", &space[2]),
                                 .tracestate = detail(about, "tracestate", &space[3])};
    struct sent *sent = mem_new(struct sent);
    sent->event.answered = sent_answered;
    sent->socket = socket;
    sent->request = request_of(packet);
    const char *problem = client_events_send(adapter->config.events, &socket->sender,
                                             socket->session, &event, &sent->event, now_ms);
    if (problem)
        free(sent);
    return problem;
}

/* (room, {since, last}?): the room was put into adapter->room. */
static void subscribe(struct adapter_socket *socket, const struct socketio_packet *packet,
                      int64_t now_ms)
{
    struct bytes room = buffer_peek(&socket->adapter->room), rest = packet->arguments, options;
    struct history_request history;
    bool asked = socketio_next_argument(&rest, &options) &&
                 socketio_next_argument(&rest, &options) && !bytes_equal_string(options, "null");
    if (!asked)
        session_join(socket->session, room, request_of(packet), now_ms);
    else if (history_options_read_json(options, &history) == STATUS_OK)
        session_join_with_history(socket->session, room, request_of(packet), &history, now_ms,
                                  socket->adapter->wall_ms);
    else
        refuse_event(socket, packet, HISTORY_OPTIONS_BAD);
}

static void event(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    struct adapter_socket *socket = context;
    struct socketio_adapter *adapter = socket->adapter;
    bool join = socketio_event_is(packet, "subscribe");
    if (!socket->session) {
        refuse_event(socket, packet, "not_connected");
    } else if (join || socketio_event_is(packet, "unsubscribe")) {
        if (!text_argument(packet, "room", &adapter->room))
            refuse_event(socket, packet, "bad_request");
        else if (join)
            subscribe(socket, packet, now_ms);
        else
            session_leave(socket->session, buffer_peek(&adapter->room), request_of(packet));
    } else if (socketio_event_is(packet, "token")) {
        refresh_token(socket, packet);
    } else {
        const char *problem =
            adapter->config.events ? send_event(socket, packet, now_ms) : "unknown_event";
        if (problem)
            refuse_event(socket, packet, problem);
    }
}

/* --- to and from other gateways: until when the token holds, and the session ---------------------
 */

/* What is on its way to the backend, or being asked about the client, is waited for: its answer
 * comes here. */
static enum status hand_over(void *context, struct engineio_writer *writer, struct buffer *state,
                             int64_t now_ms)
{
    struct adapter_socket *socket = context;
    struct delivery delivery;
    if (!socket->session || socket->entrance || socket->sender.pending)
        return STATUS_INCOMPLETE;
    while (session_next_answer(socket->session, &delivery))
        if (!write_delivery(socket, writer, &delivery))
            return STATUS_CLOSED;
    int64_t left_ms = socket->expired ? socket->expiry.deadline_ms - now_ms : 0;
    pack_number(state, (uint64_t)socket->expires_ms);
    pack_number(state, socket->expired);
    pack_number(state, (uint64_t)(left_ms > 0 ? left_ms : 0));
    return session_hand_over(socket->session, state);
}

static bool take_expiry(struct adapter_socket *socket, struct bytes *state)
{
    struct socketio_adapter *adapter = socket->adapter;
    uint64_t expires_ms, expired, left_ms;
    if (!unpack_limited(state, INT64_MAX, &expires_ms) || !unpack_limited(state, 1, &expired) ||
        !unpack_limited(state, (uint64_t)adapter->config.expiry_grace_ms, &left_ms))
        return false;
    set_expiry(socket, (int64_t)expires_ms);
    if (!expired)
        return true;
    socket->expired = true;
    socket->expiry.fire = expire;
    timer_wheel_set(adapter->config.wheel, &socket->expiry, adapter->now_ms + (int64_t)left_ms);
    return true;
}

static void *take_over(void *application, struct socketio_socket *handle, struct bytes state,
                       int64_t now_ms)
{
    struct socketio_adapter *adapter = application;
    struct adapter_socket *socket = mem_new(struct adapter_socket);
    struct session_request request = {
        .transport = &adapter_transport,
        .connection = socket,
        .now_ms = now_ms,
        .wall_ms = adapter->wall_ms,
    };
    socket->adapter = adapter;
    socket->socket = handle;
    if (take_expiry(socket, &state) && state.size) {
        request.continued = state;
        socket->session = hub_open_session(adapter->config.hub, &request);
    }
    if (!socket->session)
        turn_away(socket, "cannot_continue", true);
    return socket; /* nobody looks at it if it was turned away */
}

/* We ask for none: an unsolicited one is legal and means nothing. */
static void ack(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)context, (void)packet, (void)now_ms;
}

static void disconnected(void *context, enum socketio_disconnect reason, enum engineio_close close,
                         int64_t now_ms)
{
    (void)reason, (void)close, (void)now_ms;
    socket_free(context);
}

const struct socketio_application_ops socketio_adapter_ops = {
    .connect = connect_socket,
    .event = event,
    .ack = ack,
    .pull = pull,
    .hand_over = hand_over,
    .take_over = take_over,
    .disconnected = disconnected,
};

/* --- the adapter -------------------------------------------------------------------------------
 */

struct socketio_adapter *socketio_adapter_new(const struct socketio_adapter_config *config)
{
    struct socketio_adapter *adapter = mem_new(struct socketio_adapter);
    adapter->config = *config;
    return adapter;
}

void socketio_adapter_free(struct socketio_adapter *adapter)
{
    if (!adapter)
        return;
    buffer_deinit(&adapter->head);
    buffer_deinit(&adapter->text);
    buffer_deinit(&adapter->room);
    buffer_deinit(&adapter->name);
    for (size_t i = 0; i < sizeof(adapter->details) / sizeof(adapter->details[0]); i++)
        buffer_deinit(&adapter->details[i]);
    free(adapter);
}

void socketio_adapter_set_time(struct socketio_adapter *adapter, int64_t now_ms, int64_t wall_ms)
{
    adapter->now_ms = now_ms;
    adapter->wall_ms = wall_ms;
}

const struct socketio_adapter_stats *socketio_adapter_stats(const struct socketio_adapter *adapter)
{
    return &adapter->stats;
}
