#include "echo.h"
#include "mem.h"

struct socketio_server *echo_server;

/* ---- Engine.IO ---- */

static void *echo_opened(void *application, struct engineio_session *session, int64_t now_ms)
{
    (void)application, (void)now_ms;
    return session;
}

static void echo_message(void *connection, struct bytes data, bool binary, int64_t now_ms)
{
    (void)now_ms;
    engineio_session_send(connection, binary, &data, 1);
}

static bool echo_pull(void *connection, struct engineio_writer *writer, int64_t now_ms)
{
    (void)connection, (void)writer, (void)now_ms;
    return false;
}

static void echo_closed(void *connection, enum engineio_close reason, int64_t now_ms)
{
    (void)connection, (void)reason, (void)now_ms;
}

const struct engineio_application_ops echo_engineio = {
    .opened = echo_opened,
    .message = echo_message,
    .pull = echo_pull,
    .closed = echo_closed,
};

/* ---- Socket.IO ---- */

static void *suite_connect(void *application, struct socketio_socket *socket, struct bytes auth,
                           int64_t now_ms)
{
    (void)application, (void)now_ms;
    char id[SOCKETIO_ID_SIZE];
    socketio_new_id(echo_server, id);
    socketio_socket_accept(socket, bytes_of_string(id), bytes_of(NULL, 0));
    struct socketio_event event = {.name = BYTES_LITERAL("auth"),
                                   .arguments = auth.size ? auth : BYTES_LITERAL("{}")};
    socketio_socket_emit(socket, &event, NULL);
    return socket;
}

static void suite_event(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)now_ms;
    struct socketio_socket *socket = context;
    if (socketio_event_is(packet, "message")) {
        struct socketio_event event = {.name = BYTES_LITERAL("message-back"),
                                       .arguments = packet->arguments,
                                       .attachment_count = packet->attachment_count};
        socketio_socket_emit(socket, &event, packet->attachments);
    } else if (socketio_event_is(packet, "message-with-ack") && packet->has_ack_id) {
        socketio_socket_ack(socket, packet->ack_id, packet->arguments, packet->attachments,
                            packet->attachment_count);
    }
}

static void suite_ack(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)context, (void)packet, (void)now_ms;
}

static bool suite_pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    (void)context, (void)writer, (void)now_ms;
    return false;
}

static void suite_disconnected(void *context, enum socketio_disconnect reason,
                               enum engineio_close close, int64_t now_ms)
{
    (void)context, (void)reason, (void)close, (void)now_ms;
}

static const struct socketio_application_ops suite_ops = {
    .connect = suite_connect,
    .event = suite_event,
    .ack = suite_ack,
    .pull = suite_pull,
    .disconnected = suite_disconnected,
};

static const char *const suite_namespaces[] = {"/", "/custom", NULL};

const struct echo_application echo_suites = {&suite_ops, suite_namespaces};
