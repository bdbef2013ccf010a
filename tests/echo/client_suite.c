/* What socket.io-client's own tests talk to: namespaces with and without refusal, events of every
 * shape, the handshake as the application sees it, and a client that comes back with its ids.
 *
 * Recovery here is exact and small: a socket's state is kept for a while after its transport is
 * lost; a client that had every numbered event gets its ids back, any other a fresh start. Nothing
 * is replayed, since nothing is sent to a socket that is away. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "echo.h"
#include "json.h"
#include "mem.h"

enum { PASTS = 64, OFFSET_SIZE = 24 };

struct past {
    char pid[SOCKETIO_ID_SIZE];
    char sid[SOCKETIO_ID_SIZE];
    uint64_t events; /* numbered ones */
};

struct client {
    struct socketio_socket *socket;
    struct past ids;
    uint64_t acks_asked;
    bool got_first;  /* abuff1, blob1 */
    bool got_second; /* blob2 */
};

/* Those that are away; the oldest gives way. */
static struct past pasts[PASTS];
static size_t next_past;

/* ---- Handshake ---- */

static void append_query(struct buffer *out, struct bytes query)
{
    auto_buffer struct buffer text = {0};
    struct http_field parameter;
    const char *separator = "";
    buffer_append_byte(out, '{');
    while (http_query_next(&query, &parameter)) {
        buffer_append_string(out, separator);
        separator = ",";
        buffer_clear(&text);
        if (http_percent_decode(parameter.name, true, &text) != STATUS_OK)
            buffer_clear(&text);
        json_write_string(out, buffer_peek(&text));
        buffer_append_byte(out, ':');
        buffer_clear(&text);
        if (http_percent_decode(parameter.value, true, &text) != STATUS_OK)
            buffer_clear(&text);
        json_write_string(out, buffer_peek(&text));
    }
    buffer_append_byte(out, '}');
}

static void append_handshake(struct buffer *out, const struct socketio_socket *socket,
                             struct bytes auth)
{
    const struct engineio_session *session = socketio_socket_session(socket);
    struct bytes fields = engineio_session_fields(session);
    struct http_field field;
    const char *separator = "";
    buffer_append_string(out, "{\"headers\":{");
    while (http_field_next(&fields, &field)) {
        buffer_append_string(out, separator);
        separator = ",";
        json_write_string(out, field.name);
        buffer_append_byte(out, ':');
        json_write_string(out, field.value);
    }
    buffer_append_string(out, "},\"secure\":false,\"query\":");
    append_query(out, engineio_session_query(session));
    buffer_append_string(out, ",\"auth\":");
    buffer_append(out, auth.size ? auth : BYTES_LITERAL("{}"));
    buffer_append_byte(out, '}');
}

/* ---- Sending ---- */

static void emit(struct client *client, const char *name, struct bytes arguments)
{
    char offset[OFFSET_SIZE];
    snprintf(offset, sizeof(offset), "%llu", (unsigned long long)++client->ids.events);
    struct socketio_event event = {
        .name = bytes_of_string(name), .arguments = arguments, .cursor = bytes_of_string(offset)};
    socketio_socket_emit(client->socket, &event, NULL);
}

static void emit_text(struct client *client, const char *name, const char *json)
{
    emit(client, name, bytes_of_string(json));
}

static void emit_binary(struct client *client, const char *name)
{
    static const struct bytes attachment = {(const uint8_t *)"asdfasdf", 8};
    char offset[OFFSET_SIZE];
    snprintf(offset, sizeof(offset), "%llu", (unsigned long long)++client->ids.events);
    struct socketio_event event = {.name = bytes_of_string(name),
                                   .arguments = BYTES_LITERAL("{\"_placeholder\":true,\"num\":0}"),
                                   .cursor = bytes_of_string(offset),
                                   .attachment_count = 1};
    socketio_socket_emit(client->socket, &event, &attachment);
}

static void acknowledge(struct client *client, const struct socketio_packet *packet,
                        struct bytes arguments)
{
    if (packet->has_ack_id)
        socketio_socket_ack(client->socket, packet->ack_id, arguments, NULL, 0);
}

static void append_date(struct buffer *out)
{
    char text[40];
    time_t now = time(NULL);
    struct tm parts;
    strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%S.000Z\"", gmtime_r(&now, &parts));
    buffer_append_string(out, text);
}

/* ---- What came ---- */

/* An attachment and nothing else, or one in the field "message" between two texts. */
static bool is_binary(const struct socketio_packet *packet)
{
    return packet->attachment_count == 1 && packet->argument_count >= 1 &&
           bytes_start_with(packet->arguments, BYTES_LITERAL("{\"_placeholder\":true,\"num\":0}"));
}

static bool is_mixed(const struct socketio_packet *packet)
{
    struct bytes hello, message, goodbye;
    return packet->attachment_count == 1 &&
           json_find(packet->arguments, BYTES_LITERAL("hello"), &hello) == STATUS_OK &&
           json_find(packet->arguments, BYTES_LITERAL("message"), &message) == STATUS_OK &&
           json_find(packet->arguments, BYTES_LITERAL("goodbye"), &goodbye) == STATUS_OK &&
           bytes_equal(hello, BYTES_LITERAL("\"lol\"")) &&
           bytes_equal(goodbye, BYTES_LITERAL("\"gotcha\"")) &&
           bytes_equal(message, BYTES_LITERAL("{\"_placeholder\":true,\"num\":0}"));
}

/* ---- Events ---- */

typedef void handler(struct client *client, const struct socketio_packet *packet);

static void on_hi(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    emit_text(client, "hi", "");
}

static void on_echo(struct client *client, const struct socketio_packet *packet)
{
    struct bytes rest = packet->arguments, first;
    if (packet->has_ack_id && socketio_next_argument(&rest, &first))
        socketio_socket_ack(client->socket, packet->ack_id, first, packet->attachments,
                            packet->attachment_count);
}

static void on_ack(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    /* Without a number: a client keeps none from an event that asks for an acknowledgement. */
    struct socketio_event event = {
        .name = BYTES_LITERAL("ack"), .has_ack_id = true, .ack_id = client->acks_asked++};
    socketio_socket_emit(client->socket, &event, NULL);
}

static void on_get_ack_date(struct client *client, const struct socketio_packet *packet)
{
    auto_buffer struct buffer date = {0};
    append_date(&date);
    acknowledge(client, packet, buffer_peek(&date));
}

static void on_get_date(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    auto_buffer struct buffer date = {0};
    append_date(&date);
    emit(client, "takeDate", buffer_peek(&date));
}

static void on_get_date_object(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    auto_buffer struct buffer object = {0};
    buffer_append_string(&object, "{\"date\":");
    append_date(&object);
    buffer_append_byte(&object, '}');
    emit(client, "takeDateObj", buffer_peek(&object));
}

static void on_get_utf8(struct client *client, const struct socketio_packet *packet)
{
    static const char *const texts[] = {"\"てすと\"", "\"Я Б Г Д Ж Й\"", "\"Ä ä Ü ü ß\"",
                                        "\"utf8 — string\"", "\"utf8 — string\""};
    (void)packet;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        emit_text(client, "takeUtf8", texts[i]);
}

static void on_false(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    emit_text(client, "false", "false");
}

static void on_doge(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    emit_binary(client, "doge");
}

static void on_get_binary(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    emit_binary(client, "takebin");
}

static void on_buffer(struct client *client, const struct socketio_packet *packet)
{
    if (is_binary(packet))
        emit_text(client, "buffack", "");
}

static void on_mixed_buffer(struct client *client, const struct socketio_packet *packet)
{
    if (is_mixed(packet))
        emit_text(client, "jsonbuff-ack", "");
}

static void on_first(struct client *client, const struct socketio_packet *packet)
{
    client->got_first = is_binary(packet);
}

static void on_buffer_second(struct client *client, const struct socketio_packet *packet)
{
    (void)packet;
    if (client->got_first)
        emit_text(client, "abuff2-ack", "");
}

static void on_blob(struct client *client, const struct socketio_packet *packet)
{
    if (is_binary(packet))
        emit_text(client, "back", "");
}

static void on_mixed_blob(struct client *client, const struct socketio_packet *packet)
{
    if (is_mixed(packet))
        emit_text(client, "jsonblob-ack", "");
}

static void on_blob_second(struct client *client, const struct socketio_packet *packet)
{
    client->got_second =
        client->got_first && bytes_equal(packet->arguments, BYTES_LITERAL("\"second\""));
}

static void on_blob_third(struct client *client, const struct socketio_packet *packet)
{
    if (is_binary(packet) && client->got_second)
        emit_text(client, "blob3-ack", "");
}

static void on_get_handshake(struct client *client, const struct socketio_packet *packet)
{
    auto_buffer struct buffer handshake = {0};
    append_handshake(&handshake, client->socket, bytes_of(NULL, 0));
    acknowledge(client, packet, buffer_peek(&handshake));
}

static void on_get_id(struct client *client, const struct socketio_packet *packet)
{
    auto_buffer struct buffer id = {0};
    json_write_string(&id, bytes_of_string(client->ids.sid));
    acknowledge(client, packet, buffer_peek(&id));
}

static const struct {
    const char *name;
    handler *handle;
} handlers[] = {
    {"hi", on_hi},
    {"echo", on_echo},
    {"ack", on_ack},
    {"getAckDate", on_get_ack_date},
    {"getDate", on_get_date},
    {"getDateObj", on_get_date_object},
    {"getUtf8", on_get_utf8},
    {"false", on_false},
    {"doge", on_doge},
    {"getbin", on_get_binary},
    {"buffa", on_buffer},
    {"jsonbuff", on_mixed_buffer},
    {"abuff1", on_first},
    {"abuff2", on_buffer_second},
    {"blob", on_blob},
    {"jsonblob", on_mixed_blob},
    {"blob1", on_first},
    {"blob2", on_blob_second},
    {"blob3", on_blob_third},
    {"getHandshake", on_get_handshake},
    {"getId", on_get_id},
};

static void client_event(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)now_ms;
    struct client *client = context;
    bool main_namespace =
        bytes_equal(socketio_socket_namespace(client->socket), BYTES_LITERAL("/"));
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        if (socketio_event_is(packet, handlers[i].name) &&
            (main_namespace || handlers[i].handle == on_get_id))
            handlers[i].handle(client, packet);
}

static void client_ack(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)now_ms;
    struct client *client = context;
    if (packet->ack_id < client->acks_asked &&
        bytes_equal(packet->arguments, BYTES_LITERAL("5,{\"test\":true}")))
        emit_text(client, "got it", "");
}

/* ---- Connecting ---- */

static bool client_allow(void *application, const struct http_request *request,
                         const char **message)
{
    (void)application, (void)request, (void)message;
    /* Longer than a client with a connect timeout of no time at all waits. The whole server waits;
     * it is a test's. */
    static const struct timespec delay = {.tv_nsec = 10000000};
    nanosleep(&delay, NULL);
    return true;
}

/* A text of the client's auth, without escapes. */
static struct bytes auth_text(struct bytes auth, struct bytes key)
{
    struct bytes raw;
    if (auth.size == 0 || json_find(auth, key, &raw) != STATUS_OK || raw.size < 2 ||
        raw.data[0] != '"')
        return bytes_of(NULL, 0);
    return bytes_of(raw.data + 1, raw.size - 2);
}

static bool recover(struct client *client, struct bytes auth)
{
    struct bytes pid = auth_text(auth, BYTES_LITERAL("pid"));
    struct bytes offset = auth_text(auth, BYTES_LITERAL("offset"));
    for (size_t i = 0; pid.size && offset.size && i < PASTS; i++) {
        char expected[OFFSET_SIZE];
        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)pasts[i].events);
        if (!bytes_equal_string(pid, pasts[i].pid) || !bytes_equal_string(offset, expected))
            continue;
        client->ids = pasts[i];
        pasts[i] = (struct past){0};
        return true;
    }
    return false;
}

static const char *refusal(const struct socketio_socket *socket)
{
    struct bytes name = socketio_socket_namespace(socket);
    auto_buffer struct buffer scratch = {0};
    struct bytes value;
    if (bytes_equal(name, BYTES_LITERAL("/no")))
        return "Auth failed (custom namespace)";
    if (bytes_equal(name, BYTES_LITERAL("/")) &&
        http_query_parameter(engineio_session_query(socketio_socket_session(socket)), "fail",
                             &scratch, &value) == STATUS_OK &&
        value.size)
        return "Auth failed (main namespace)";
    return NULL;
}

static void *client_connect(void *application, struct socketio_socket *socket, struct bytes auth,
                            int64_t now_ms)
{
    (void)application, (void)now_ms;
    const char *message = refusal(socket);
    if (message) {
        socketio_socket_refuse(socket, bytes_of_string(message), bytes_of(NULL, 0));
        return NULL;
    }
    struct client *client = mem_new(struct client);
    client->socket = socket;
    if (!recover(client, auth)) {
        socketio_new_id(echo_server, client->ids.pid);
        socketio_new_id(echo_server, client->ids.sid);
    }
    socketio_socket_accept(socket, bytes_of_string(client->ids.sid),
                           bytes_of_string(client->ids.pid));
    if (bytes_equal(socketio_socket_namespace(socket), BYTES_LITERAL("/abc"))) {
        auto_buffer struct buffer handshake = {0};
        append_handshake(&handshake, socket, auth);
        emit(client, "handshake", buffer_peek(&handshake));
    }
    return client;
}

static bool client_pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    (void)context, (void)writer, (void)now_ms;
    return false;
}

static void client_disconnected(void *context, enum socketio_disconnect reason,
                                enum engineio_close close, int64_t now_ms)
{
    (void)close, (void)now_ms;
    struct client *client = context;
    if (reason == SOCKETIO_DISCONNECT_TRANSPORT) /* a client that left on purpose has no past */
        pasts[next_past++ % PASTS] = client->ids;
    free(client);
}

static const struct socketio_application_ops client_suite_ops = {
    .allow = client_allow,
    .connect = client_connect,
    .event = client_event,
    .ack = client_ack,
    .pull = client_pull,
    .disconnected = client_disconnected,
};

static const char *const client_namespaces[] = {
    "/", "/foo", "/timeout_socket", "/valid", "/asd", "/abc", "/no", NULL};

const struct echo_application echo_client_suite = {&client_suite_ops, client_namespaces};
