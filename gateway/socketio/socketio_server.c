#include "socketio_server.h"

#include <assert.h>

#include <utlist.h>

#include "base64.h"
#include "mem.h"
#include "pack.h"
#include "websocket_frame.h"

struct socketio_connection;

struct socketio_socket {
    struct socketio_connection *connection;
    const char *name; /* of the namespace: the configuration's own string */
    void *context;    /* the application's */
    struct socketio_socket *prev, *next;
    bool accepted;
    bool awake;
    bool waiting; /* migrated here, and its application is not ready */
    bool gone;    /* its application has no more to do with it; freed when nobody is inside */
};

/* An Engine.IO session. */
struct socketio_connection {
    struct socketio_server *server;
    struct engineio_session *session;
    struct socketio_socket *sockets;
    struct socketio_decoder decoder;
    struct timer timer; /* to the first CONNECT, later to the last attachment */
    unsigned waiting;   /* sockets */
    unsigned refusals;  /* since then: */
    int64_t refusals_since_ms;
    bool closing;
};

struct socketio_server {
    struct socketio_config config;
    struct engineio_server *engineio;
    struct timer_wheel *wheel;
    struct socketio_stats stats;
    struct refusals *refusals; /* NULL: nobody counts them */
    struct buffer scratch;
};

/* ---- Sockets come and go ---- */

static struct socketio_socket *find_socket(struct socketio_connection *connection,
                                           struct bytes name)
{
    struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket)
        if (!socket->gone && bytes_equal_string(name, socket->name))
            return socket;
    return NULL;
}

static const char *find_namespace(const struct socketio_server *server, struct bytes name)
{
    for (const char *const *own = server->config.namespaces; *own; own++)
        if (bytes_equal_string(name, *own))
            return *own;
    return NULL;
}

static void remove_gone(struct socketio_connection *connection)
{
    struct socketio_socket *socket, *next;
    DL_FOREACH_SAFE(connection->sockets, socket, next) {
        if (!socket->gone)
            continue;
        DL_DELETE(connection->sockets, socket);
        free(socket);
    }
}

/* The application and the socket part; the memory goes when nobody can be inside. */
static void retire(struct socketio_socket *socket)
{
    assert(!socket->gone);
    socket->gone = true;
    socket->context = NULL;
    socket->connection->waiting -= socket->waiting;
    socket->waiting = false;
    socket->connection->server->stats.sockets--;
    engineio_session_wake(socket->connection->session);
}

/* ---- Sending ---- */

static struct buffer *begin_text(struct socketio_server *server)
{
    buffer_clear(&server->scratch);
    return &server->scratch;
}

static void send_text(struct socketio_connection *connection)
{
    struct bytes text = buffer_peek(&connection->server->scratch);
    engineio_session_send(connection->session, false, &text, 1);
}

static void send_attachments(struct socketio_connection *connection,
                             const struct bytes *attachments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        engineio_session_send(connection->session, true, &attachments[i], 1);
}

/* ---- Refusing ---- */

static void connection_tell(struct socketio_connection *connection, struct bytes name_space,
                            const char *word)
{
    auto_buffer struct buffer problem = {0};
    refusal_append_json(&problem, word, NULL);
    struct socketio_event event = {.name_space = name_space,
                                   .name = BYTES_LITERAL("error"),
                                   .arguments = buffer_peek(&problem)};
    socketio_append_event(begin_text(connection->server), &event);
    send_text(connection);
}

void socketio_socket_tell(struct socketio_socket *socket, const char *word)
{
    const struct socketio_connection *connection = socket->connection;
    assert(!socket->gone);
    /* Who polls may not have fetched the answer to CONNECT yet, and has no close frame to read. */
    if (socket->accepted || !engineio_session_is_websocket(connection->session))
        connection_tell(socket->connection, bytes_of_string(socket->name), word);
}

/* Who has joined nothing hears of it in a close frame, or, polling, in the main namespace. */
static void tell_anywhere(struct socketio_connection *connection, const char *word)
{
    const struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket) {
        if (!socket->gone && socket->accepted) {
            connection_tell(connection, bytes_of_string(socket->name), word);
            return;
        }
    }
    if (!engineio_session_is_websocket(connection->session))
        connection_tell(connection, BYTES_LITERAL("/"), word);
}

static void connection_note(const struct socketio_connection *connection, const char *word,
                            bool ends)
{
    refusals_note(connection->server->refusals,
                  &(struct refusal_note){.transport = "socketio", .word = word, .ends = ends});
}

static void violation(struct socketio_connection *connection, const char *word)
{
    if (connection->closing)
        return;
    connection->closing = true;
    connection->server->stats.violations++;
    connection_note(connection, word, true);
    tell_anywhere(connection, word);
    engineio_session_close_for(connection->session, WEBSOCKET_CLOSE_POLICY, word);
}

/* A token costs a signature, so nobody may try for ever. */
static void count_refusal(struct socketio_connection *connection)
{
    const struct socketio_server *server = connection->server;
    int64_t now_ms = server->wheel->now_ms;
    if (connection->refusals == 0 ||
        now_ms - connection->refusals_since_ms >= server->config.refusals_ms) {
        connection->refusals = 0;
        connection->refusals_since_ms = now_ms;
    }
    assert(connection->refusals < server->config.refusals || connection->closing);
    if (++connection->refusals >= server->config.refusals)
        violation(connection, "too_many_refusals");
}

void socketio_socket_count_refusal(struct socketio_socket *socket)
{
    assert(!socket->gone);
    count_refusal(socket->connection);
}

/* ---- Answers ---- */

void socketio_socket_accept(struct socketio_socket *socket, struct bytes sid, struct bytes pid)
{
    assert(!socket->accepted && !socket->gone);
    socket->accepted = true;
    socketio_append_connect(begin_text(socket->connection->server), bytes_of_string(socket->name),
                            sid, pid);
    send_text(socket->connection);
}

void socketio_writer_accept(struct socketio_socket *socket, struct engineio_writer *writer,
                            struct bytes sid, struct bytes pid)
{
    assert(!socket->accepted && !socket->gone);
    socket->accepted = true;
    struct buffer *out = begin_text(socket->connection->server);
    socketio_append_connect(out, bytes_of_string(socket->name), sid, pid);
    struct bytes text = buffer_peek(out);
    engineio_writer_text(writer, &text, 1);
}

static bool has_socket(const struct socketio_connection *connection)
{
    const struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket)
        if (!socket->gone)
            return true;
    return false;
}

void socketio_socket_refuse(struct socketio_socket *socket, struct bytes message, struct bytes data)
{
    assert(!socket->accepted && !socket->gone);
    socket->connection->server->stats.connects_refused++;
    socketio_append_connect_error(begin_text(socket->connection->server),
                                  bytes_of_string(socket->name), message, data);
    send_text(socket->connection);
    retire(socket);
    struct socketio_connection *connection = socket->connection;
    count_refusal(connection);
    /* In no namespace again, as at the beginning: it has as long to be let into one. */
    if (!has_socket(connection) && !connection->closing)
        timer_wheel_set(connection->server->wheel, &connection->timer,
                        connection->server->wheel->now_ms +
                            connection->server->config.connect_timeout_ms);
}

void socketio_socket_disconnect(struct socketio_socket *socket)
{
    assert(!socket->gone);
    socketio_append_disconnect(begin_text(socket->connection->server),
                               bytes_of_string(socket->name));
    send_text(socket->connection);
    retire(socket);
}

void socketio_socket_close_transport(struct socketio_socket *socket, unsigned code,
                                     const char *word)
{
    struct socketio_connection *connection = socket->connection;
    assert(!socket->gone && word);
    retire(socket);
    connection->closing = true;
    engineio_session_close_for(connection->session, code, word);
}

void socketio_socket_close_overflowed(struct socketio_socket *socket)
{
    struct socketio_connection *connection = socket->connection;
    retire(socket);
    connection->closing = true;
    engineio_session_overflow(connection->session);
}

void socketio_socket_emit(struct socketio_socket *socket, const struct socketio_event *event,
                          const struct bytes *attachments)
{
    struct socketio_event own = *event;
    assert(!socket->gone);
    own.name_space = bytes_of_string(socket->name);
    socketio_append_event(begin_text(socket->connection->server), &own);
    send_text(socket->connection);
    send_attachments(socket->connection, attachments, event->attachment_count);
}

void socketio_socket_ack(struct socketio_socket *socket, uint64_t ack_id, struct bytes arguments,
                         const struct bytes *attachments, uint32_t attachment_count)
{
    assert(!socket->gone);
    socketio_append_ack(begin_text(socket->connection->server), bytes_of_string(socket->name),
                        ack_id, arguments, attachment_count);
    send_text(socket->connection);
    send_attachments(socket->connection, attachments, attachment_count);
}

void socketio_socket_wake(struct socketio_socket *socket)
{
    assert(!socket->gone);
    socket->awake = true;
    engineio_session_wake(socket->connection->session);
}

/* ---- Packets ---- */

static struct socketio_socket *add_socket(struct socketio_connection *connection, const char *name)
{
    struct socketio_socket *socket = mem_new(struct socketio_socket);
    assert(!find_socket(connection, bytes_of_string(name)));
    socket->connection = connection;
    socket->name = name;
    DL_APPEND(connection->sockets, socket);
    connection->server->stats.sockets++;
    return socket;
}

static void take_connect(struct socketio_connection *connection,
                         const struct socketio_packet *packet, int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    assert(packet->type == SOCKETIO_CONNECT);
    if (find_socket(connection, packet->name_space)) {
        violation(connection, "connect_again");
        return;
    }
    const char *name = find_namespace(server, packet->name_space);
    if (!name) {
        server->stats.connects_refused++;
        connection_note(connection, "no_such_namespace", false);
        socketio_append_connect_error(begin_text(server), packet->name_space,
                                      BYTES_LITERAL("Invalid namespace"), bytes_of(NULL, 0));
        send_text(connection);
        count_refusal(connection);
        return;
    }
    timer_wheel_cancel(server->wheel, &connection->timer);
    struct socketio_socket *socket = add_socket(connection, name);
    server->stats.connects++;
    void *context =
        server->config.ops->connect(server->config.application, socket, packet->payload, now_ms);
    if (!socket->gone)
        socket->context = context;
}

static void take_disconnect(struct socketio_socket *socket, int64_t now_ms)
{
    struct socketio_server *server = socket->connection->server;
    void *context = socket->context;
    assert(!socket->gone);
    server->stats.disconnects++;
    retire(socket);
    server->config.ops->disconnected(context, SOCKETIO_DISCONNECT_CLIENT, ENGINEIO_CLOSE_CLIENT,
                                     now_ms);
}

static void take_packet(struct socketio_connection *connection,
                        const struct socketio_packet *packet, int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    if (packet->type == SOCKETIO_CONNECT) {
        take_connect(connection, packet, now_ms);
        return;
    }
    struct socketio_socket *socket = find_socket(connection, packet->name_space);
    if (!socket) {
        violation(connection, "namespace_not_joined");
        return;
    }
    switch (packet->type) {
    case SOCKETIO_DISCONNECT:
        take_disconnect(socket, now_ms);
        break;
    case SOCKETIO_EVENT:
    case SOCKETIO_BINARY_EVENT:
        server->stats.events++;
        server->config.ops->event(socket->context, packet, now_ms);
        break;
    case SOCKETIO_ACK:
    case SOCKETIO_BINARY_ACK:
        server->stats.acks++;
        server->config.ops->ack(socket->context, packet, now_ms);
        break;
    case SOCKETIO_CONNECT:
    case SOCKETIO_CONNECT_ERROR:
        violation(connection, "bad_packet");
        break;
    }
}

/* ---- Packets that are none ---- */

static void connection_refuse_connect(struct socketio_connection *connection,
                                      const struct socketio_packet *head, const char *word)
{
    struct socketio_server *server = connection->server;
    auto_buffer struct buffer data = {0};
    refusal_append_json(&data, word, NULL);
    server->stats.connects_refused++;
    socketio_append_connect_error(begin_text(server), head->name_space,
                                  bytes_of_string(refusal_message(word)), buffer_peek(&data));
    send_text(connection);
    count_refusal(connection);
}

static void connection_refuse_event(struct socketio_connection *connection,
                                    const struct socketio_packet *head, const char *word)
{
    auto_buffer struct buffer answer = {0};
    if (!head->has_ack_id) {
        connection_tell(connection, head->name_space, word);
        return;
    }
    refusal_append_answer(&answer, word, NULL, 0);
    socketio_append_ack(begin_text(connection->server), head->name_space, head->ack_id,
                        buffer_peek(&answer), 0);
    send_text(connection);
}

/* Whose head can be read, and whose JSON is nested too deep: a client may have such data in good
 * faith, and would come back with it. Attachments would follow a binary packet, as part of nothing.
 */
static void refuse_packet(struct socketio_connection *connection,
                          const struct socketio_packet *head)
{
    static const char word[] = "too_deep";
    bool joined = find_socket(connection, head->name_space) != NULL;
    if (head->type == SOCKETIO_CONNECT && !joined)
        connection_refuse_connect(connection, head, word);
    else if (head->type == SOCKETIO_EVENT && joined)
        connection_refuse_event(connection, head, word);
    else
        violation(connection, word);
    if (!connection->closing)
        connection_note(connection, word, false);
}

static void refuse_message(struct socketio_connection *connection, enum status status,
                           const struct socketio_packet *head)
{
    assert(status != STATUS_OK);
    if (status == STATUS_TOO_DEEP)
        refuse_packet(connection, head);
    else if (status == STATUS_INCOMPLETE)
        violation(connection, "namespace_not_joined");
    else
        violation(connection, status == STATUS_TOO_LARGE ? "too_large" : "bad_packet");
}

/* ---- The Engine.IO application ---- */

static void connection_timed_out(struct timer *timer, int64_t now_ms)
{
    struct socketio_connection *connection =
        (struct socketio_connection *)((char *)timer - offsetof(struct socketio_connection, timer));
    (void)now_ms;
    violation(connection, socketio_decoder_is_collecting(&connection->decoder) ? "message_timeout"
                                                                               : "connect_timeout");
}

static bool allow(void *application, const struct http_request *request, const char **message)
{
    struct socketio_server *server = application;
    return !server->config.ops->allow ||
           server->config.ops->allow(server->config.application, request, message);
}

static void *connection_opened(void *application, struct engineio_session *session, int64_t now_ms)
{
    struct socketio_server *server = application;
    struct socketio_connection *connection = mem_new(struct socketio_connection);
    connection->server = server;
    connection->session = session;
    connection->timer.fire = connection_timed_out;
    socketio_decoder_init(&connection->decoder, &server->config.limits);
    timer_wheel_set(server->wheel, &connection->timer, now_ms + server->config.connect_timeout_ms);
    return connection;
}

static void connection_message(void *context, struct bytes data, bool binary, int64_t now_ms)
{
    struct socketio_connection *connection = context;
    struct socketio_server *server = connection->server;
    if (connection->closing)
        return;
    bool was_collecting = socketio_decoder_is_collecting(&connection->decoder);
    struct socketio_packet packet;
    enum status status = binary ? socketio_decoder_binary(&connection->decoder, data, &packet)
                                : socketio_decoder_text(&connection->decoder, data, &packet);
    if (status == STATUS_OK) {
        if (was_collecting)
            timer_wheel_cancel(server->wheel, &connection->timer);
        take_packet(connection, &packet, now_ms);
    } else if (status != STATUS_INCOMPLETE || !connection->sockets) {
        refuse_message(connection, status, &packet);
    } else if (!was_collecting) {
        timer_wheel_set(server->wheel, &connection->timer,
                        now_ms + server->config.attachments_timeout_ms);
    }
    remove_gone(connection);
}

static bool connection_pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    struct socketio_connection *connection = context;
    bool more = false;
    struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket) {
        if (!socket->awake || socket->gone)
            continue;
        if (!engineio_writer_has_room(writer)) {
            more = true;
            break;
        }
        socket->awake = false;
        if (connection->server->config.ops->pull(socket->context, writer, now_ms) && !socket->gone)
            socket->awake = more = true;
    }
    remove_gone(connection);
    /* Several namespaces take turns: who was first is last next time. */
    if (more && connection->sockets && connection->sockets->next) {
        socket = connection->sockets;
        DL_DELETE(connection->sockets, socket);
        DL_APPEND(connection->sockets, socket);
    }
    return more;
}

static void end_connection(struct socketio_connection *connection, enum socketio_disconnect reason,
                           enum engineio_close close, int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    timer_wheel_cancel(server->wheel, &connection->timer);
    struct socketio_socket *socket, *next;
    DL_FOREACH_SAFE(connection->sockets, socket, next) {
        if (!socket->gone) {
            server->stats.sockets--;
            server->stats.disconnects++;
            socket->gone = true;
            server->config.ops->disconnected(socket->context, reason, close, now_ms);
        }
        free(socket);
    }
    socketio_decoder_deinit(&connection->decoder);
    free(connection);
}

static void connection_closed(void *context, enum engineio_close reason, int64_t now_ms)
{
    end_connection(context, SOCKETIO_DISCONNECT_TRANSPORT, reason, now_ms);
}

/* ---- To and from other gateways: each socket's name and state, then a packet that is not complete
 * ---- */

static void pack_decoder(const struct socketio_decoder *decoder, struct buffer *state)
{
    struct bytes text;
    const struct bytes *attachments;
    uint32_t count;
    if (!socketio_decoder_peek(decoder, &text, &attachments, &count))
        return;
    pack_bytes(state, text);
    for (uint32_t i = 0; i < count; i++)
        pack_bytes(state, attachments[i]);
}

static enum status pack_sockets(struct socketio_connection *connection,
                                struct engineio_writer *writer, struct buffer *state,
                                int64_t now_ms)
{
    const struct socketio_application_ops *ops = connection->server->config.ops;
    struct socketio_socket *socket;
    auto_buffer struct buffer own = {0};
    unsigned count = 0;
    DL_FOREACH(connection->sockets, socket)
        count += !socket->gone;
    pack_number(state, count);
    DL_FOREACH(connection->sockets, socket) {
        if (socket->gone)
            continue;
        buffer_clear(&own);
        enum status status = ops->migrate_out(socket->context, writer, &own, now_ms);
        if (status == STATUS_OK && !socket->accepted)
            status = STATUS_INCOMPLETE;
        if (status != STATUS_OK)
            return status;
        pack_bytes(state, bytes_of_string(socket->name));
        pack_bytes(state, buffer_peek(&own));
    }
    return STATUS_OK;
}

static enum status connection_migrate_out(void *context, struct engineio_writer *writer,
                                          struct buffer *state, int64_t now_ms)
{
    struct socketio_connection *connection = context;
    enum status status = pack_sockets(connection, writer, state, now_ms);
    remove_gone(connection);
    if (connection->closing)
        return STATUS_CLOSED;
    if (status != STATUS_OK)
        return status;
    /* Whether it has still to connect to a namespace, in time. */
    pack_number(state, timer_is_set(&connection->timer) &&
                           !socketio_decoder_is_collecting(&connection->decoder));
    pack_decoder(&connection->decoder, state);
    end_connection(connection, SOCKETIO_DISCONNECT_MOVED, ENGINEIO_CLOSE_SERVER, now_ms);
    return STATUS_OK;
}

static bool take_sockets(struct socketio_connection *connection, struct bytes *state,
                         int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    uint64_t count;
    if (!unpack_number(state, &count))
        return false;
    for (; count; count--) {
        struct bytes wanted, own;
        if (!unpack_bytes(state, &wanted) || !unpack_bytes(state, &own))
            return false;
        const char *name = find_namespace(server, wanted);
        if (!name || find_socket(connection, wanted))
            return false;
        struct socketio_socket *socket = add_socket(connection, name);
        socket->accepted = true;
        socket->waiting = true;
        connection->waiting++;
        void *made =
            server->config.ops->migrate_in(server->config.application, socket, own, now_ms);
        if (!socket->gone)
            socket->context = made;
    }
    return true;
}

static bool take_decoder(struct socketio_connection *connection, struct bytes *state,
                         int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    struct socketio_packet packet;
    struct bytes piece;
    uint64_t timed;
    if (!unpack_limited(state, 1, &timed))
        return false;
    if (!timed)
        timer_wheel_cancel(server->wheel, &connection->timer);
    if (state->size == 0)
        return true;
    if (!unpack_bytes(state, &piece) ||
        socketio_decoder_text(&connection->decoder, piece, &packet) != STATUS_INCOMPLETE)
        return false;
    while (state->size)
        if (!unpack_bytes(state, &piece) ||
            socketio_decoder_binary(&connection->decoder, piece, &packet) != STATUS_INCOMPLETE)
            return false;
    timer_wheel_set(server->wheel, &connection->timer,
                    now_ms + server->config.attachments_timeout_ms);
    return true;
}

static void *connection_migrate_in(void *application, struct engineio_session *session,
                                   struct bytes state, int64_t now_ms)
{
    struct socketio_connection *connection = connection_opened(application, session, now_ms);
    if (!take_sockets(connection, &state, now_ms) || !take_decoder(connection, &state, now_ms)) {
        connection_closed(connection, ENGINEIO_CLOSE_SERVER, now_ms);
        return NULL;
    }
    remove_gone(connection);
    if (connection->waiting == 0)
        engineio_session_listen(session);
    return connection;
}

void socketio_socket_continue(struct socketio_socket *socket)
{
    assert(socket->waiting);
    socket->waiting = false;
    if (--socket->connection->waiting == 0)
        engineio_session_listen(socket->connection->session);
}

/* As for one whose domain's queue of answers is full. */
static void connection_overflowed(void *context)
{
    struct socketio_connection *connection = context;
    tell_anywhere(connection, "too_many_answers");
}

static const struct engineio_application_ops staying_ops = {
    .allow = allow,
    .opened = connection_opened,
    .message = connection_message,
    .pull = connection_pull,
    .overflowed = connection_overflowed,
    .closed = connection_closed,
};

static const struct engineio_application_ops moving_ops = {
    .allow = allow,
    .opened = connection_opened,
    .message = connection_message,
    .pull = connection_pull,
    .overflowed = connection_overflowed,
    .migrate_out = connection_migrate_out,
    .migrate_in = connection_migrate_in,
    .closed = connection_closed,
};

/* ---- The server ---- */

struct socketio_server *socketio_server_new(const struct socketio_config *config,
                                            struct http_server *http, struct timer_wheel *wheel)
{
    assert(config->namespaces && config->ops);
    struct socketio_server *server = mem_new(struct socketio_server);
    server->config = *config;
    server->wheel = wheel;
    if (!server->config.connect_timeout_ms)
        server->config.connect_timeout_ms = 45000;
    if (!server->config.attachments_timeout_ms)
        server->config.attachments_timeout_ms = 30000;
    if (!server->config.refusals)
        server->config.refusals = 5;
    if (!server->config.refusals_ms)
        server->config.refusals_ms = 60000;
    server->refusals = http_server_refusals(http);
    server->config.engineio.ops = config->ops->migrate_out ? &moving_ops : &staying_ops;
    server->config.engineio.application = server;
    server->engineio = engineio_server_new(&server->config.engineio, http, wheel);
    return server;
}

void socketio_server_free(struct socketio_server *server)
{
    if (!server)
        return;
    engineio_server_free(server->engineio);
    buffer_deinit(&server->scratch);
    free(server);
}

struct engineio_server *socketio_engineio(struct socketio_server *server)
{
    return server->engineio;
}

const struct socketio_stats *socketio_server_stats(const struct socketio_server *server)
{
    return &server->stats;
}

void socketio_new_id(struct socketio_server *server, char id[SOCKETIO_ID_SIZE])
{
    uint8_t random[(SOCKETIO_ID_SIZE - 1) / 4 * 3];
    server->config.engineio.random(server->config.engineio.random_context, random, sizeof(random));
    struct buffer *out = begin_text(server);
    base64_encode(bytes_of(random, sizeof(random)), out);
    memcpy(id, buffer_peek(out).data, SOCKETIO_ID_SIZE - 1);
    id[SOCKETIO_ID_SIZE - 1] = '\0';
    for (char *c = id; *c; c++)
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
}

struct bytes socketio_socket_namespace(const struct socketio_socket *socket)
{
    return bytes_of_string(socket->name);
}

struct engineio_session *socketio_socket_session(const struct socketio_socket *socket)
{
    return socket->connection->session;
}
