/* An Engine.IO session as Socket.IO sees it: its sockets, one in each namespace that it has joined,
 * what is said to it as a whole, and what ends it.
 *
 * An application may end a socket from inside any call of its own. So an end only marks it (`gone`)
 * and takes it from the application; it stays in the list until remove_gone(), at the end of each
 * call from below, when nobody walks the list. Every search passes over what is gone.
 *
 * One timer serves two purposes that exclude each other: until the first CONNECT it waits for
 * that, later for the attachments of a packet. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include <utlist.h>

#include "mem.h"
#include "socketio_server_private.h"
#include "websocket_frame.h"

/* ---- Sockets come and go ---- */

/* A client has few namespaces, mostly one: the list is walked. */
struct socketio_socket *socketio_connection_find(struct socketio_connection *connection,
                                                 struct bytes name)
{
    struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket)
        if (!socket->gone && bytes_equal_string(name, socket->name))
            return socket;
    return NULL;
}

/* Namespaces are configured: one that a client makes up costs no memory. */
const char *socketio_find_namespace(const struct socketio_server *server, struct bytes name)
{
    for (const char *const *own = server->config.namespaces; *own; own++)
        if (bytes_equal_string(name, *own))
            return *own;
    return NULL;
}

bool socketio_connection_has_socket(const struct socketio_connection *connection)
{
    const struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket)
        if (!socket->gone)
            return true;
    return false;
}

struct socketio_socket *socketio_connection_add(struct socketio_connection *connection,
                                                const char *name)
{
    struct socketio_socket *socket = mem_new(struct socketio_socket);
    assert(!socketio_connection_find(connection, bytes_of_string(name)));
    assert(socketio_find_namespace(connection->server, bytes_of_string(name)) == name);
    socket->connection = connection;
    socket->name = name;
    DL_APPEND(connection->sockets, socket);
    connection->server->stats.sockets++;
    return socket;
}

/* The application and the socket part; the memory goes when nobody can be inside. */
void socketio_socket_retire(struct socketio_socket *socket)
{
    assert(!socket->gone);
    assert(socket->connection->waiting >= socket->waiting &&
           socket->connection->server->stats.sockets > 0);
    socket->gone = true;
    socket->context = NULL;
    socket->connection->waiting -= socket->waiting;
    socket->waiting = false;
    socket->connection->server->stats.sockets--;
    engineio_session_wake(socket->connection->session);
}

/* Called last by whatever was called from below. */
void socketio_connection_remove_gone(struct socketio_connection *connection)
{
    struct socketio_socket *socket, *next;
    DL_FOREACH_SAFE(connection->sockets, socket, next) {
        if (!socket->gone)
            continue;
        assert(!socket->context && !socket->waiting);
        DL_DELETE(connection->sockets, socket);
        free(socket);
    }
}

/* ---- Sending ---- */

/* One buffer of the server for all: a packet is put together and queued before the next one
 * begins. */
struct buffer *socketio_begin_text(struct socketio_server *server)
{
    buffer_clear(&server->scratch);
    return &server->scratch;
}

void socketio_connection_send(struct socketio_connection *connection)
{
    struct bytes text = buffer_peek(&connection->server->scratch);
    assert(text.size > 0);
    engineio_session_send(connection->session, false, &text, 1);
}

/* Behind their packet and in its order: between them the client takes no other packet. */
void socketio_connection_send_attachments(struct socketio_connection *connection,
                                          const struct bytes *attachments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        engineio_session_send(connection->session, true, &attachments[i], 1);
}

/* ---- Refusing ---- */

/* The event "error": the stock client hands it to the page as any other event. */
void socketio_connection_tell(struct socketio_connection *connection, struct bytes name_space,
                              const char *word)
{
    auto_buffer struct buffer problem = {0};
    refusal_append_json(&problem, word, NULL);
    struct socketio_event event = {.name_space = name_space,
                                   .name = BYTES_LITERAL("error"),
                                   .arguments = buffer_peek(&problem)};
    socketio_append_event(socketio_begin_text(connection->server), &event);
    socketio_connection_send(connection);
}

/* A client that has joined nothing hears of it in a close frame, or, polling, in the main
 * namespace. */
void socketio_connection_tell_anywhere(struct socketio_connection *connection, const char *word)
{
    const struct socketio_socket *socket;
    DL_FOREACH(connection->sockets, socket) {
        if (!socket->gone && socket->accepted) {
            socketio_connection_tell(connection, bytes_of_string(socket->name), word);
            return;
        }
    }
    if (!engineio_session_is_websocket(connection->session))
        socketio_connection_tell(connection, BYTES_LITERAL("/"), word);
}

void socketio_connection_note(const struct socketio_connection *connection, const char *word,
                              bool ends)
{
    assert(word);
    refusals_note(connection->server->refusals,
                  &(struct refusal_note){.transport = "socketio", .word = word, .ends = ends});
}

/* The client sent what must not be sent. It is told twice, as an event and as the reason of the close
 * frame: the stock client shows its page only the first, and logs of proxies only the second. */
void socketio_connection_violation(struct socketio_connection *connection, const char *word)
{
    if (connection->closing)
        return;
    connection->closing = true;
    assert(word);
    connection->server->stats.violations++;
    socketio_connection_note(connection, word, true);
    socketio_connection_tell_anywhere(connection, word);
    engineio_session_close_for(connection->session, WEBSOCKET_CLOSE_POLICY, word);
}

/* A token costs a signature, so nobody may try for ever. */
void socketio_connection_count_refusal(struct socketio_connection *connection)
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
        socketio_connection_violation(connection, "too_many_refusals");
}

/* ---- Beginning and end ---- */

/* The decoder says which of the two deadlines it was. */
static void connection_timed_out(struct timer *timer, int64_t now_ms)
{
    struct socketio_connection *connection =
        (struct socketio_connection *)((char *)timer - offsetof(struct socketio_connection, timer));
    (void)now_ms;
    socketio_connection_violation(connection, socketio_decoder_is_collecting(&connection->decoder)
                                                  ? "message_timeout"
                                                  : "connect_timeout");
}

/* The session is a client's, but nobody in any namespace yet: it has a limited time to become
 * one. */
void *socketio_connection_new(void *application, struct engineio_session *session, int64_t now_ms)
{
    struct socketio_server *server = application;
    assert(session);
    struct socketio_connection *connection = mem_new(struct socketio_connection);
    connection->server = server;
    connection->session = session;
    connection->timer.fire = connection_timed_out;
    socketio_decoder_init(&connection->decoder, &server->config.limits);
    timer_wheel_set(server->wheel, &connection->timer, now_ms + server->config.connect_timeout_ms);
    return connection;
}

/* The last call from below. No remove_gone() here: every socket goes, and applications that answer
 * from inside find `gone` set. */
void socketio_connection_end(struct socketio_connection *connection,
                             enum socketio_disconnect reason, enum engineio_close close,
                             int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    timer_wheel_cancel(server->wheel, &connection->timer);
    struct socketio_socket *socket, *next;
    DL_FOREACH_SAFE(connection->sockets, socket, next) {
        if (!socket->gone) {
            assert(server->stats.sockets > 0);
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
