/* What a client sends: CONNECT and DISCONNECT, events and acks for the application; and what is
 * none of these, which is answered or ends the connection.
 *
 * The line between the two: what a client may send in good faith (a namespace that is not there,
 * JSON that is nested too deep) is answered, and the connection lives. What no correct client
 * sends ends it. */
#include <assert.h>

#include "socketio_server_private.h"

/* ---- Packets ---- */

/* Whether the namespace exists is known here, who the client is only to the application. A socket
 * that the application refuses from inside is gone when connect() returns. */
static void take_connect(struct socketio_connection *connection,
                         const struct socketio_packet *packet, int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    assert(packet->type == SOCKETIO_CONNECT);
    if (socketio_connection_find(connection, packet->name_space)) {
        socketio_connection_violation(connection, "connect_again");
        return;
    }
    const char *name = socketio_find_namespace(server, packet->name_space);
    if (!name) {
        server->stats.connects_refused++;
        socketio_connection_note(connection, "no_such_namespace", false);
        socketio_append_connect_error(socketio_begin_text(server), packet->name_space,
                                      BYTES_LITERAL("Invalid namespace"), bytes_of(NULL, 0));
        socketio_connection_send(connection);
        socketio_connection_count_refusal(connection);
        return;
    }
    timer_wheel_cancel(server->wheel, &connection->timer);
    struct socketio_socket *socket = socketio_connection_add(connection, name);
    server->stats.connects++;
    void *context =
        server->config.ops->connect(server->config.application, socket, packet->payload, now_ms);
    if (!socket->gone)
        socket->context = context;
}

/* The socket is retired first: what the application says in disconnected() goes to nobody. */
static void take_disconnect(struct socketio_socket *socket, int64_t now_ms)
{
    struct socketio_server *server = socket->connection->server;
    void *context = socket->context;
    assert(!socket->gone);
    server->stats.disconnects++;
    socketio_socket_retire(socket);
    server->config.ops->disconnected(context, SOCKETIO_DISCONNECT_CLIENT, ENGINEIO_CLOSE_CLIENT,
                                     now_ms);
}

/* Only CONNECT may name a namespace that is not joined. */
void socketio_connection_take(struct socketio_connection *connection,
                              const struct socketio_packet *packet, int64_t now_ms)
{
    struct socketio_server *server = connection->server;
    if (packet->type == SOCKETIO_CONNECT) {
        take_connect(connection, packet, now_ms);
        return;
    }
    struct socketio_socket *socket = socketio_connection_find(connection, packet->name_space);
    if (!socket) {
        socketio_connection_violation(connection, "namespace_not_joined");
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
        socketio_connection_violation(connection, "bad_packet");
        break;
    }
}

/* ---- Packets that are none ---- */

/* With the code and text of any refusal as `data`, where the stock client shows them. */
static void connection_refuse_connect(struct socketio_connection *connection,
                                      const struct socketio_packet *head, const char *word)
{
    struct socketio_server *server = connection->server;
    assert(!socketio_connection_find(connection, head->name_space));
    auto_buffer struct buffer data = {0};
    refusal_append_json(&data, word, NULL);
    server->stats.connects_refused++;
    socketio_append_connect_error(socketio_begin_text(server), head->name_space,
                                  bytes_of_string(refusal_message(word)), buffer_peek(&data));
    socketio_connection_send(connection);
    socketio_connection_count_refusal(connection);
}

/* By the ack, if one is asked for: then the client knows which event it was. */
static void connection_refuse_event(struct socketio_connection *connection,
                                    const struct socketio_packet *head, const char *word)
{
    auto_buffer struct buffer answer = {0};
    assert(socketio_connection_find(connection, head->name_space));
    if (!head->has_ack_id) {
        socketio_connection_tell(connection, head->name_space, word);
        return;
    }
    refusal_append_answer(&answer, word, NULL, 0);
    socketio_append_ack(socketio_begin_text(connection->server), head->name_space, head->ack_id,
                        buffer_peek(&answer), 0);
    socketio_connection_send(connection);
}

/* Whose head can be read, and whose JSON is nested too deep: a client may have such data in good
 * faith, and would come back with it. Attachments would follow a binary packet, as part of nothing.
 */
static void refuse_packet(struct socketio_connection *connection,
                          const struct socketio_packet *head)
{
    static const char word[] = "too_deep";
    bool joined = socketio_connection_find(connection, head->name_space) != NULL;
    if (head->type == SOCKETIO_CONNECT && !joined)
        connection_refuse_connect(connection, head, word);
    else if (head->type == SOCKETIO_EVENT && joined)
        connection_refuse_event(connection, head, word);
    else
        socketio_connection_violation(connection, word);
    if (!connection->closing)
        socketio_connection_note(connection, word, false);
}

/* INCOMPLETE: attachments, for a client that has joined nothing. */
void socketio_connection_refuse_message(struct socketio_connection *connection, enum status status,
                                        const struct socketio_packet *head)
{
    assert(status != STATUS_OK);
    if (status == STATUS_TOO_DEEP)
        refuse_packet(connection, head);
    else if (status == STATUS_INCOMPLETE)
        socketio_connection_violation(connection, "namespace_not_joined");
    else
        socketio_connection_violation(connection,
                                      status == STATUS_TOO_LARGE ? "too_large" : "bad_packet");
}
