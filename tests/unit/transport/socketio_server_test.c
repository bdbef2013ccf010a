#include "socketio_server.h"

#include <stdio.h>

#include "fake_wire.h"
#include "suite.h"

/* ---- An application like the suites': echoes, acknowledges, refuses on request ---- */

static struct socketio_socket *last_socket;
static unsigned connects, disconnects, acks;
static enum socketio_disconnect last_reason;
static bool answer_later;
static unsigned to_pull;
static struct refusals refusals;

static void accept_socket(struct socketio_socket *socket)
{
    char id[SOCKETIO_ID_SIZE];
    socketio_new_id(world.socketio, id);
    socketio_socket_accept(socket, bytes_of_string("SID"), bytes_of(NULL, 0));
}

static void *connect(void *application, struct socketio_socket *socket, struct bytes auth,
                     int64_t now_ms)
{
    (void)application, (void)now_ms;
    connects++;
    last_socket = socket;
    if (bytes_equal(auth, BYTES_LITERAL("{\"no\":1}")))
        socketio_socket_refuse(socket, BYTES_LITERAL("go away"), BYTES_LITERAL("{\"code\":7}"));
    else if (!answer_later)
        accept_socket(socket);
    return socket;
}

static void event(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)now_ms;
    struct socketio_socket *socket = context;
    if (socketio_event_is(packet, "leave")) {
        socketio_socket_disconnect(socket);
    } else if (socketio_event_is(packet, "hang up")) {
        socketio_socket_close_transport(socket, 1013, "unavailable");
    } else if (packet->has_ack_id) {
        socketio_socket_ack(socket, packet->ack_id, packet->arguments, packet->attachments,
                            packet->attachment_count);
    } else {
        struct socketio_event back = {.name = BYTES_LITERAL("back"),
                                      .arguments = packet->arguments,
                                      .attachment_count = packet->attachment_count};
        socketio_socket_emit(socket, &back, packet->attachments);
    }
}

static void ack(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)context, (void)packet, (void)now_ms;
    acks++;
}

static bool pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    (void)now_ms;
    struct bytes text = socketio_socket_namespace(context);
    for (; to_pull && engineio_writer_has_room(writer); to_pull--)
        engineio_writer_text(writer, &text, 1);
    return to_pull > 0;
}

static void disconnected(void *context, enum socketio_disconnect reason, enum engineio_close close,
                         int64_t now_ms)
{
    (void)context, (void)close, (void)now_ms;
    disconnects++;
    last_reason = reason;
}

static const struct socketio_application_ops ops = {
    .connect = connect, .event = event, .ack = ack, .pull = pull, .disconnected = disconnected};

static void start(bool byte_by_byte)
{
    static const char *const names[] = {"/", "/custom", NULL};
    fake_engineio.path = "/socket.io/";
    fake_socketio.namespaces = names;
    fake_socketio.ops = &ops;
    refusals = (struct refusals){0};
    fake_http.refusals = &refusals;
    fake_start(NULL, byte_by_byte);
    connects = disconnects = acks = to_pull = 0;
    answer_later = false;
}

static struct fake_wire *open_websocket(void)
{
    struct fake_wire *wire = fake_upgrade("/socket.io/?EIO=4&transport=websocket", NULL);
    ck_assert_int_eq(strncmp(fake_frames(wire), "0{", 2), 0);
    return wire;
}

static struct fake_wire *open_connected(void)
{
    struct fake_wire *wire = open_websocket();
    fake_frame(wire, "40");
    ck_assert_str_eq(fake_frames(wire), "40{\"sid\":\"SID\"}");
    return wire;
}

/* The connection was closed with 1008 and this reason, and the client was told that before. */
static void expect_close(struct fake_wire *wire, const char *told, const char *reason)
{
    char expected[512];
    struct bytes out = buffer_peek(&wire->out);
    ck_assert_msg(memmem(out.data, out.size, reason, strlen(reason)), "%s", reason);
    ck_assert_uint_eq(fake_http.refusals->counts[refusal_of(reason)], 1);
    snprintf(expected, sizeof(expected), "%s<close 1008>", told);
    ck_assert_str_eq(fake_frames(wire), expected);
}

#define BOTH_FEEDS(...)                                \
    for (int bytewise = 0; bytewise < 2; bytewise++) { \
        start(bytewise);                               \
        __VA_ARGS__                                    \
        fake_stop();                                   \
    }

START_TEST(namespaces_are_joined_left_and_refused)
{
    BOTH_FEEDS({
        struct fake_wire *wire = open_connected();
        fake_frame(wire, "40/custom,{\"a\":1}");
        ck_assert_str_eq(fake_frames(wire), "40/custom,{\"sid\":\"SID\"}");
        fake_frame(wire, "40/random");
        ck_assert_str_eq(fake_frames(wire), "44/random,{\"message\":\"Invalid namespace\"}");
        fake_frame(wire, "40/custom?x=1,");
        ck_assert_str_eq(fake_frames(wire), "44/custom?x=1,{\"message\":\"Invalid namespace\"}");
        fake_frame(wire, "41/custom");
        ck_assert_uint_eq(disconnects, 1);
        ck_assert_int_eq(last_reason, SOCKETIO_DISCONNECT_CLIENT);
        fake_frame(wire, "42[\"x\",1]");
        ck_assert_str_eq(fake_frames(wire), "42[\"back\",1]");
        fake_frame(wire, "40/custom,{\"no\":1}");
        ck_assert_str_eq(fake_frames(wire),
                         "44/custom,{\"message\":\"go away\",\"data\":{\"code\":7}}");
        fake_frame(wire, "40/custom,");
        ck_assert_str_eq(fake_frames(wire), "40/custom,{\"sid\":\"SID\"}");
        ck_assert_uint_eq(disconnects, 1);
        ck_assert_uint_eq(socketio_server_stats(world.socketio)->sockets, 2);
    })
    ck_assert_uint_eq(disconnects, 3);
}
END_TEST

START_TEST(payloads_and_attachments_come_back_as_they_were){BOTH_FEEDS({
    struct fake_wire *wire = open_connected();
    fake_frame(wire, "42[\"m\",1,\"2\",{\"3\":[true], \"\\u00e9\":12345678901234567890}]");
    ck_assert_str_eq(fake_frames(wire),
                     "42[\"back\",1,\"2\",{\"3\":[true], \"\\u00e9\":12345678901234567890}]");
    fake_frame(wire, "42456[\"m\",1,[2]]");
    ck_assert_str_eq(fake_frames(wire), "43456[1,[2]]");
    fake_frame(wire,
               "452-[\"m\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    fake_binary_frame(wire, BYTES_LITERAL("\1\2\3"));
    ck_assert_str_eq(fake_frames(wire), "");
    fake_binary_frame(wire, BYTES_LITERAL("\1"));
    ck_assert_str_eq(
        fake_frames(wire),
        "452-[\"back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]"
        "|<binary 3>|<binary 1>");
    fake_frame(wire, "437[]");
    ck_assert_uint_eq(acks, 1);
})} END_TEST

    START_TEST(violations_close_the_connection)
{
    static const char *const early[][2] = {
        {"42[\"x\"]", "namespace_not_joined"},
        {"41", "namespace_not_joined"},
        {"43", "bad_packet"},
        {"4abc", "bad_packet"},
        {"4", "bad_packet"},
        {"451-[\"x\",{\"_placeholder\":true,\"num\":0}]", "namespace_not_joined"}};
    static const char *const late[][2] = {{"40", "connect_again"},
                                          {"42{}", "bad_packet"},
                                          {"42[]", "bad_packet"},
                                          {"42abc[\"x\"]", "bad_packet"},
                                          {"44{\"message\":\"x\"}", "bad_packet"},
                                          {"42/custom,[\"x\"]", "namespace_not_joined"},
                                          {"4abc", "bad_packet"},
                                          {"47[\"x\"]", "bad_packet"},
                                          {"42[\"connect\"]", "bad_packet"},
                                          {"42[\"disconnecting\"]", "bad_packet"},
                                          {"450-[\"x\"]", "bad_packet"},
                                          {"4511-[\"x\"]", "bad_packet"},
                                          {"41{\"a\":1}", "bad_packet"},
                                          {"40null", "bad_packet"}};
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
            start(bytewise);
            struct fake_wire *wire = open_websocket();
            fake_frame(wire, early[i][0]);
            ck_assert_msg(wire->closed, "%s", early[i][0]);
            expect_close(wire, "", early[i][1]);
            fake_stop();
        }
        for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
            char told[256];
            start(bytewise);
            struct fake_wire *wire = open_connected();
            fake_frame(wire, late[i][0]);
            ck_assert_msg(wire->closed, "%s", late[i][0]);
            snprintf(told, sizeof(told), "42[\"error\",{\"code\":\"%s\",\"message\":\"%s\"}]|",
                     late[i][1], refusal_message(late[i][1]));
            expect_close(wire, told, late[i][1]);
            ck_assert_uint_eq(disconnects, 1);
            ck_assert_int_eq(last_reason, SOCKETIO_DISCONNECT_TRANSPORT);
            fake_stop();
        }
    }
}
END_TEST

/* Clients may have such data in good faith: they are told, and stay. */
START_TEST(json_that_is_nested_too_deep_is_refused_and_ends_nothing)
{
    char text[512], deep[256];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = '\0';
    BOTH_FEEDS({
        struct fake_wire *wire = open_websocket();
        snprintf(text, sizeof(text), "40{\"a\":%s}", deep);
        fake_frame(wire, text);
        ck_assert_str_eq(
            fake_frames(wire),
            "44{\"message\":\"JSON nested deeper than a client may send\",\"data\":{\"code\":"
            "\"too_deep\",\"message\":\"JSON nested deeper than a client may send\"}}");
        fake_frame(wire, "40");
        fake_frames(wire);
        snprintf(text, sizeof(text), "42[\"x\",%s]", deep);
        fake_frame(wire, text);
        ck_assert_str_eq(fake_frames(wire),
                         "42[\"error\",{\"code\":\"too_deep\",\"message\":\"JSON nested deeper "
                         "than a client may send\"}]");
        snprintf(text, sizeof(text), "427[\"x\",%s]", deep);
        fake_frame(wire, text);
        ck_assert_str_eq(fake_frames(wire),
                         "437[{\"ok\":false,\"error\":{\"code\":\"too_deep\",\"message\":"
                         "\"JSON nested deeper than a client may send\"}}]");
        fake_frame(wire, "42[\"x\",1]");
        ck_assert_str_eq(fake_frames(wire), "42[\"back\",1]");
        snprintf(text, sizeof(text), "451-[\"x\",%s]", deep);
        fake_frame(wire, text); /* an attachment would follow it */
        ck_assert(wire->closed);
        ck_assert_uint_eq(fake_http.refusals->counts[REFUSAL_too_deep], 4);
    })
}
END_TEST

START_TEST(who_is_refused_again_and_again_is_closed)
{
    fake_socketio.refusals = 3;
    fake_socketio.refusals_ms = 500;
    BOTH_FEEDS({
        struct fake_wire *wire = open_websocket();
        for (int i = 0; i < 2; i++)
            fake_frame(wire, "40{\"no\":1}");
        ck_assert(!wire->closed);
        for (int i = 0; i < 2; i++) { /* refusals are forgotten */
            fake_pass(295);
            fake_frame(wire, "3");
        }
        fake_frame(wire, "40{\"no\":1}");
        fake_frame(wire, "40/random,");
        ck_assert(!wire->closed);
        fake_frames(wire);
        fake_frame(wire, "40{\"no\":1}");
        ck_assert(wire->closed);
        expect_close(wire, "44{\"message\":\"go away\",\"data\":{\"code\":7}}|",
                     "too_many_refusals");
    })
    fake_socketio.refusals = 0;
    fake_socketio.refusals_ms = 0;
}
END_TEST

START_TEST(text_among_attachments_and_attachments_without_a_header_are_violations){BOTH_FEEDS({
    struct fake_wire *wire = open_connected();
    fake_frame(wire, "451-[\"x\",{\"_placeholder\":true,\"num\":0}]");
    fake_frame(wire, "42[\"x\"]");
    ck_assert(wire->closed);
    wire = open_connected();
    fake_binary_frame(wire, BYTES_LITERAL("x"));
    ck_assert(wire->closed);
})} END_TEST

    START_TEST(attachments_that_do_not_come_end_the_connection)
{
    start(false);
    struct fake_wire *wire = open_connected();
    fake_frame(wire, "451-[\"x\",{\"_placeholder\":true,\"num\":0}]");
    fake_pass(99);
    ck_assert(!wire->closed);
    fake_pass(2);
    ck_assert(wire->closed);
    fake_stop();
}
END_TEST

START_TEST(a_client_that_joins_nothing_is_let_go)
{
    start(false);
    fake_engineio.ping_interval_ms = 25000;
    fake_stop();
    start(false);
    struct fake_wire *wire = open_websocket();
    fake_pass(999);
    ck_assert(!wire->closed);
    fake_pass(1);
    ck_assert(wire->closed);
    struct fake_wire *joined = open_connected();
    fake_pass(5000);
    ck_assert(!joined->closed);
    fake_stop();
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(a_client_that_is_refused_everywhere_is_let_go)
{
    fake_engineio.ping_interval_ms = 25000;
    start(false);
    struct fake_wire *wire = open_websocket();
    fake_pass(900);
    fake_frame(wire, "40{\"no\":1}");
    fake_frame(wire, "40/custom,{\"no\":1}");
    fake_pass(900); /* time for another token */
    fake_frame(wire, "40");
    fake_frame(wire, "40/custom,{\"no\":1}");
    fake_pass(5000);
    ck_assert(!wire->closed);
    struct fake_wire *refused = open_websocket();
    fake_frame(refused, "40{\"no\":1}");
    fake_pass(999);
    ck_assert(!refused->closed);
    fake_pass(1);
    ck_assert(refused->closed);
    fake_stop();
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(an_answer_may_come_later_and_events_may_come_before_it){BOTH_FEEDS({
    answer_later = true;
    struct fake_wire *wire = open_websocket();
    fake_frame(wire, "40");
    ck_assert_str_eq(fake_frames(wire), "");
    fake_frame(wire, "42[\"x\"]");
    ck_assert_str_eq(fake_frames(wire), "42[\"back\"]");
    accept_socket(last_socket);
    fake_turn();
    ck_assert_str_eq(fake_frames(wire), "40{\"sid\":\"SID\"}");
    fake_frame(wire, "40");
    ck_assert(wire->closed);
})} END_TEST

    START_TEST(the_application_may_end_a_socket_from_inside_an_event){BOTH_FEEDS({
        struct fake_wire *wire = open_connected();
        fake_frame(wire, "40/custom,");
        fake_frames(wire);
        fake_frame(wire, "42/custom,[\"leave\"]");
        ck_assert_str_eq(fake_frames(wire), "41/custom,");
        ck_assert_uint_eq(disconnects, 0);
        fake_frame(wire, "42[\"hang up\"]");
        ck_assert(wire->closed && !wire->aborted);
        ck_assert_uint_eq(disconnects, 0);
        ck_assert_uint_eq(socketio_server_stats(world.socketio)->sockets, 0);
    })} END_TEST

    START_TEST(what_is_pulled_follows_what_is_queued)
{
    start(false);
    struct fake_wire *wire = open_connected();
    to_pull = 3;
    socketio_socket_wake(last_socket);
    struct socketio_event own = {.name = BYTES_LITERAL("first"), .arguments = BYTES_LITERAL("1")};
    socketio_socket_emit(last_socket, &own, NULL);
    wire->writes = 0;
    fake_turn();
    ck_assert_str_eq(fake_frames(wire), "42[\"first\",1]|4/|4/|4/");
    ck_assert_uint_eq(wire->writes, 1);
    fake_stop();
}
END_TEST

START_TEST(a_violation_over_polling_is_an_orderly_close){BOTH_FEEDS({
    char sid[64], url[128];
    snprintf(url, sizeof(url), "/socket.io/?EIO=4&transport=polling&sid=%s", fake_handshake(sid));
    struct fake_wire *poll = fake_request("GET", url, NULL);
    fake_ask("POST", url, "42[\"early\"]", 200);
    ck_assert_str_eq(fake_answer(poll, 200),
                     "42[\"error\",{\"code\":\"namespace_not_joined\",\"message\":\"a packet for "
                     "a namespace that is not joined\"}]");
    ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "1");
    fake_ask("GET", url, NULL, 400);
    snprintf(url, sizeof(url), "/socket.io/?EIO=4&transport=polling&sid=%s", fake_handshake(sid));
    ck_assert_str_eq(fake_ask("POST", url,
                              "40\x1e"
                              "40",
                              200),
                     "ok");
    ck_assert_str_eq(fake_ask("GET", url, NULL, 200),
                     "40{\"sid\":\"SID\"}\x1e"
                     "42[\"error\",{\"code\":\"connect_again\",\"message\":\"the namespace is "
                     "joined already\"}]");
    ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "6\x1e"
                                                      "1");
    fake_ask("GET", url, NULL, 400);
})} END_TEST

    TEST_PROGRAM("socketio_server", namespaces_are_joined_left_and_refused,
                 payloads_and_attachments_come_back_as_they_were, violations_close_the_connection,
                 json_that_is_nested_too_deep_is_refused_and_ends_nothing,
                 who_is_refused_again_and_again_is_closed,
                 text_among_attachments_and_attachments_without_a_header_are_violations,
                 attachments_that_do_not_come_end_the_connection,
                 a_client_that_joins_nothing_is_let_go,
                 a_client_that_is_refused_everywhere_is_let_go,
                 an_answer_may_come_later_and_events_may_come_before_it,
                 the_application_may_end_a_socket_from_inside_an_event,
                 what_is_pulled_follows_what_is_queued,
                 a_violation_over_polling_is_an_orderly_close)
