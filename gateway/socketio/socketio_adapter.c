/* The domain's sessions as Socket.IO sockets: who a client is, and how it
 * ends. What it is told is socketio_stream.c.
 *
 * A socket is born when its client connects to a namespace. While it is being found out who the
 * client is it has an `entrance` and no session; then a session, for good. It is freed in one
 * place, socket_free(), by whoever ends it: the caller of any function here that may end a socket
 * does not look at it again.
 *
 * Requests carry the client's ack id through the domain and back, as a number plus one, since
 * the domain takes zero for nobody who waits. */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "http_token.h"
#include "json.h"
#include "mem.h"
#include "socketio_adapter_private.h"
#include "websocket_frame.h"

/* --- ends ------------------------------------------------------------------------------------- */

/* Takes the socket out of everything that could still call it: the timer, the question who it is,
 * events on their way, the session. The Socket.IO socket is not its own to free. */
static void socket_free(struct adapter_socket *socket)
{
    struct socketio_adapter *adapter = socket->adapter;
    timer_wheel_cancel(adapter->config.wheel, &socket->expiry.timer);
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

void socketio_adapter_note(const struct adapter_socket *socket, const char *reason,
                           const char *claim, bool ends)
{
    assert(reason);
    struct refusal_note note = {
        .transport = "socketio", .word = reason, .claim = claim, .ends = ends};
    if (socket->session) {
        note.user = session_user(socket->session);
        note.tenant = session_tenant(socket->session);
        note.session = session_public_id(socket->session);
    }
    refusals_note(socket->adapter->config.refusals, &note);
}

/* CONNECT_ERROR: the client stays away until its page connects again, so never for trouble of
 * ours. */
static void socket_refuse_connect(struct adapter_socket *socket, const char *reason,
                                  const char *claim)
{
    auto_buffer struct buffer data = {0};
    auto_buffer struct buffer message = {0};
    refusal_append_json(&data, reason, claim);
    refusal_append_message(&message, reason, claim);
    socketio_socket_refuse(socket->socket, buffer_peek(&message), buffer_peek(&data));
}

void socketio_adapter_turn_away(struct adapter_socket *socket, const char *reason,
                                const char *claim, bool transient)
{
    assert(reason);
    socketio_adapter_note(socket, reason, claim, true);
    if (transient)
        socketio_socket_close_transport(socket->socket, WEBSOCKET_CLOSE_TRY_AGAIN, reason);
    else
        socket_refuse_connect(socket, reason, claim);
    socket_free(socket);
}

void socketio_adapter_end(struct adapter_socket *socket, const char *reason, bool transient)
{
    assert(socket->session && reason);
    socketio_adapter_note(socket, reason, NULL, true);
    socketio_socket_tell(socket->socket, reason);
    if (transient)
        socketio_socket_close_transport(socket->socket, WEBSOCKET_CLOSE_TRY_AGAIN, reason);
    else
        socketio_socket_disconnect(socket->socket);
    socket_free(socket);
}

void socketio_adapter_end_overflowed(struct adapter_socket *socket, const char *reason)
{
    assert(socket->session && reason);
    socketio_socket_tell(socket->socket, reason);
    socketio_socket_close_overflowed(socket->socket);
    socket_free(socket);
}

/* --- who it is -------------------------------------------------------------------------------- */

static struct token_times socketio_token_times(const struct socketio_adapter *adapter)
{
    return (struct token_times){.wheel = adapter->config.wheel,
                                .grace_ms = adapter->config.expiry_grace_ms,
                                .now_ms = adapter->now_ms,
                                .wall_ms = adapter->wall_ms};
}

/* If the time of grace passes too, the stock client returns with a fresh token by its auth
 * function. */
static void socket_expire(struct timer *timer, int64_t now_ms)
{
    struct adapter_socket *socket =
        (struct adapter_socket *)((char *)timer - offsetof(struct adapter_socket, expiry.timer));
    struct socketio_adapter *adapter = socket->adapter;
    struct token_times times = socketio_token_times(adapter);
    assert(socket->session);
    times.now_ms = now_ms;
    if (token_expiry_is_over(&socket->expiry, &times)) {
        socketio_adapter_end(socket, "token_expired", true);
        return;
    }
    char arguments[64];
    snprintf(arguments, sizeof(arguments), "{\"graceMs\":%lld}",
             (long long)adapter->config.expiry_grace_ms);
    struct socketio_event event = {.name = BYTES_LITERAL("token_expired"),
                                   .arguments = bytes_of_string(arguments)};
    adapter->stats.expired++;
    socketio_socket_emit(socket->socket, &event, NULL);
}

/* It is known who the client is. From here on the session speaks for itself: its stream begins with
 * the answer to CONNECT. */
static void socket_enter(struct adapter_socket *socket, const struct identity *identity,
                         struct bytes private_id, struct bytes cursor)
{
    struct socketio_adapter *adapter = socket->adapter;
    struct session_request request = {
        .transport = &socketio_stream_transport,
        .connection = socket,
        .claims = identity->claims,
        .private_id = private_id,
        .cursor = cursor,
        .now_ms = adapter->now_ms,
        .wall_ms = adapter->wall_ms,
    };
    assert(!socket->session);
    adapter->config.random(adapter->config.random_context, request.random, sizeof(request.random));
    socket->session = hub_open_session(adapter->config.hub, &request);
    if (!socket->session) {
        socketio_adapter_turn_away(socket, "too_many_sessions", NULL, true);
        return;
    }
    struct token_times times = socketio_token_times(adapter);
    token_expiry_set(&socket->expiry, &times, identity->expires_ms);
    engineio_session_forget(socketio_socket_session(socket->socket));
}

/* retry_after_ms: with a problem that will be over then; 0: nobody knows. */
void socketio_adapter_acknowledge(struct adapter_socket *socket, uint64_t request,
                                  const char *problem, int64_t retry_after_ms)
{
    struct buffer *text = &socket->adapter->text;
    assert(request > 0);
    if (problem)
        socketio_adapter_note(socket, problem, NULL, false);
    if (request == REQUEST_SILENT)
        return;
    buffer_clear(text);
    if (problem)
        refusal_append_answer(text, problem, NULL, retry_after_ms);
    else
        buffer_append_string(text, "{\"ok\":true}");
    socketio_socket_ack(socket->socket, request - 1, buffer_peek(text), NULL, 0);
}

/* A refused token does not end the session, which has one that holds; but each counts, since each
 * costs a signature. */
void socketio_adapter_answer_refresh(struct adapter_socket *socket, uint64_t request,
                                     enum identity_verdict verdict, const struct identity *identity)
{
    struct token_times times = socketio_token_times(socket->adapter);
    const char *problem =
        token_expiry_refresh(&socket->expiry, &times, socket->session, request, verdict, identity);
    if (problem) {
        socketio_adapter_acknowledge(socket, request, problem, 0);
        if (verdict == IDENTITY_REFUSED)
            socketio_socket_count_refusal(socket->socket);
        return;
    }
    socket->adapter->stats.refreshed++;
}

/* The answer to whom the client is. The question is freed first, as the answer may end the
 * socket. */
static void socket_identity_decided(struct identity_waiter *waiter, enum identity_verdict verdict,
                                    const struct identity *identity)
{
    struct entrance *entrance =
        (struct entrance *)((char *)waiter - offsetof(struct entrance, waiter));
    struct adapter_socket *socket = entrance->socket;
    auto_free char *private_id = entrance->private_id;
    auto_free char *cursor = entrance->cursor;
    bool refresh = entrance->fresh_token;
    uint64_t request = entrance->request;
    assert(socket->entrance == entrance);
    assert(verdict != IDENTITY_UNDECIDED);
    socket->entrance = NULL;
    free(entrance);
    if (refresh)
        socketio_adapter_answer_refresh(socket, request, verdict, identity);
    else if (verdict == IDENTITY_KNOWN)
        socket_enter(socket, identity, bytes_of_string(private_id), bytes_of_string(cursor));
    else
        socketio_adapter_turn_away(socket, identity->reason, NULL, verdict == IDENTITY_TROUBLE);
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

/* What the handshake brought: clients that can set its fields need no auth payload, and pages that
 * have a cookie need not see the token. */
static struct bytes handshake_token(const struct adapter_socket *socket)
{
    const char *cookie = socket->adapter->config.cookie;
    struct engineio_session *session = socketio_socket_session(socket->socket);
    struct http_request kept = {.fields = engineio_session_fields(session)};
    struct bytes value, token;
    if (kept.fields.size == 0)
        return bytes_of("", 0);
    if (http_request_field(&kept, "authorization", &value) && http_token_of_field(value, &token))
        return token;
    return cookie && http_request_cookie(&kept, cookie, &token) ? token : bytes_of("", 0);
}

/* It belongs to the socket only once the answer is not given at once. */
struct entrance *socketio_adapter_entrance_new(struct adapter_socket *socket)
{
    assert(!socket->entrance);
    struct entrance *entrance = mem_new(struct entrance);
    entrance->waiter.decided = socket_identity_decided;
    entrance->socket = socket;
    return entrance;
}

/* The answer may come at once, or in a later turn; both ways lead through the same three ends. */
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
    socket->expiry.timer.fire = socket_expire;
    struct bytes private_id = auth_member(auth, "pid"), cursor = auth_member(auth, "offset");
    struct identity_question question = {.token = auth_member(auth, "token"), .auth = auth};
    if (question.token.size == 0)
        question.token = handshake_token(socket);
    entrance = socketio_adapter_entrance_new(socket);
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
        socket_enter(socket, &identity, private_id, cursor);
    else
        socketio_adapter_turn_away(socket, identity.reason, NULL, verdict == IDENTITY_TROUBLE);
    return socket; /* nobody looks at it if it was turned away */
}

/* --- to and from other gateways: until when the token holds, and the session ------------------ */

/* What is on its way to the backend, or being asked about the client, is waited for: its answer
 * comes here. */
static enum status socket_migrate_out(void *context, struct engineio_writer *writer,
                                      struct buffer *state, int64_t now_ms)
{
    struct adapter_socket *socket = context;
    struct delivery delivery;
    if (!socket->session || socket->entrance || socket->sender.pending)
        return STATUS_INCOMPLETE;
    while (session_next_answer(socket->session, &delivery))
        if (!socketio_stream_write(socket, writer, &delivery))
            return STATUS_CLOSED;
    assert(!socket->entrance && !socket->sender.pending);
    struct token_times times = socketio_token_times(socket->adapter);
    times.now_ms = now_ms;
    token_expiry_pack(&socket->expiry, &times, state);
    return session_migrate_out(socket->session, state);
}

/* As connect_socket(), but the client was let in at another gateway: its claims come with its
 * session. */
static void *socket_migrate_in(void *application, struct socketio_socket *handle,
                               struct bytes state, int64_t now_ms)
{
    struct socketio_adapter *adapter = application;
    struct adapter_socket *socket = mem_new(struct adapter_socket);
    struct session_request request = {
        .transport = &socketio_stream_transport,
        .connection = socket,
        .now_ms = now_ms,
        .wall_ms = adapter->wall_ms,
    };
    struct token_times times = socketio_token_times(adapter);
    socket->adapter = adapter;
    socket->socket = handle;
    socket->expiry.timer.fire = socket_expire;
    if (token_expiry_unpack(&socket->expiry, &times, &state) && state.size) {
        request.continued = state;
        socket->session = hub_open_session(adapter->config.hub, &request);
    }
    if (!socket->session)
        socketio_adapter_turn_away(socket, "cannot_continue", NULL, true);
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
    .event = socketio_requests_take,
    .ack = ack,
    .pull = socketio_stream_pull,
    .migrate_out = socket_migrate_out,
    .migrate_in = socket_migrate_in,
    .disconnected = disconnected,
};

/* --- the adapter ------------------------------------------------------------------------------ */

struct socketio_adapter *socketio_adapter_new(const struct socketio_adapter_config *config)
{
    struct socketio_adapter *adapter = mem_new(struct socketio_adapter);
    assert(config->hub && config->identity_ops && config->random);
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

/* Once in a turn: all that happens in it happens at one time. */
void socketio_adapter_set_time(struct socketio_adapter *adapter, int64_t now_ms, int64_t wall_ms)
{
    assert(now_ms >= adapter->now_ms);
    adapter->now_ms = now_ms;
    adapter->wall_ms = wall_ms;
}

const struct socketio_adapter_stats *socketio_adapter_stats(const struct socketio_adapter *adapter)
{
    return &adapter->stats;
}
