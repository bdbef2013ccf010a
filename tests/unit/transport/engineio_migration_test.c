/* A session's way from the gateway that has it to the one that its upgrade reaches. */
#include <stdio.h>

#include "fake_peers.h"
#include "pack.h"
#include "socketio_server.h"
#include "suite.h"

/* ---- An application that echoes, and says what it is told of moving ---- */

static struct socketio_socket *last_socket;
static unsigned connects, taken, disconnects, moved;
static bool busy, spoiled, later, hoard;
static const char *owed;       /* said before the session moves */
static const char *more_there; /* said at its new gateway, before the queue has gone */

static void *connect(void *application, struct socketio_socket *socket, struct bytes auth,
                     int64_t now_ms)
{
    (void)application, (void)auth, (void)now_ms;
    connects++;
    last_socket = socket;
    socketio_socket_accept(socket, BYTES_LITERAL("SID"), bytes_of(NULL, 0));
    return socket;
}

static void event(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    struct socketio_socket *socket = context;
    struct socketio_event back = {.name = BYTES_LITERAL("back"),
                                  .arguments = packet->arguments,
                                  .attachment_count = packet->attachment_count};
    (void)now_ms;
    if (packet->has_ack_id)
        socketio_socket_ack(socket, packet->ack_id, packet->arguments, NULL, 0);
    else
        socketio_socket_emit(socket, &back, packet->attachments);
}

static void ack(void *context, const struct socketio_packet *packet, int64_t now_ms)
{
    (void)context, (void)packet, (void)now_ms;
}

static bool pull(void *context, struct engineio_writer *writer, int64_t now_ms)
{
    (void)context, (void)writer, (void)now_ms;
    return false;
}

static enum status migrate_out(void *context, struct engineio_writer *writer, struct buffer *state,
                               int64_t now_ms)
{
    (void)context, (void)now_ms;
    if (hoard) {
        static uint8_t much[16384];
        struct bytes text = bytes_of(much, sizeof(much));
        engineio_writer_text(writer, &text, 1);
    }
    if (busy)
        return STATUS_INCOMPLETE;
    if (owed) {
        struct bytes text = bytes_of_string(owed);
        engineio_writer_text(writer, &text, 1);
        owed = NULL;
    }
    buffer_append_string(state, spoiled ? "spoiled" : "state");
    return STATUS_OK;
}

static void *migrate_in(void *application, struct socketio_socket *socket, struct bytes state,
                        int64_t now_ms)
{
    (void)application, (void)now_ms;
    taken++;
    last_socket = socket;
    if (more_there) {
        struct bytes text = bytes_of_string(more_there);
        engineio_session_send(socketio_socket_session(socket), false, &text, 1);
    }
    if (bytes_equal_string(state, "spoiled"))
        socketio_socket_close_transport(socket, 1013, "unavailable");
    else if (!later)
        socketio_socket_continue(socket);
    return socket;
}

static void disconnected(void *context, enum socketio_disconnect reason, enum engineio_close close,
                         int64_t now_ms)
{
    (void)context, (void)close, (void)now_ms;
    if (reason == SOCKETIO_DISCONNECT_MOVED)
        moved++;
    else
        disconnects++;
}

static const struct socketio_application_ops ops = {.connect = connect,
                                                    .event = event,
                                                    .ack = ack,
                                                    .pull = pull,
                                                    .migrate_out = migrate_out,
                                                    .migrate_in = migrate_in,
                                                    .disconnected = disconnected};

static void start(bool byte_by_byte)
{
    static const char *const names[] = {"/", "/custom", NULL};
    fake_engineio.path = "/socket.io/";
    fake_socketio.namespaces = names;
    fake_socketio.ops = &ops;
    fake_peers_start(NULL, byte_by_byte);
    connects = taken = disconnects = moved = 0;
    busy = spoiled = later = hoard = false;
    owed = more_there = NULL;
}

#define BOTH_FEEDS(...)                                \
    for (int bytewise = 0; bytewise < 2; bytewise++) { \
        start(bytewise);                               \
        __VA_ARGS__                                    \
        fake_peers_stop();                             \
    }

static char url[192], upgrade_url[192];

/* A session of gateway 0 that is connected to "/". */
static void open_connected(void)
{
    char sid[64];
    fake_at(0);
    fake_handshake(sid);
    snprintf(url, sizeof(url), "/socket.io/?EIO=4&transport=polling&sid=%s", sid);
    snprintf(upgrade_url, sizeof(upgrade_url), "/socket.io/?EIO=4&transport=websocket&sid=%s", sid);
    fake_ask("POST", url, "40", 200);
    ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "40{\"sid\":\"SID\"}");
}

/* Up to "3probe", at gateway 1. */
static struct fake_wire *open_probed(void)
{
    fake_at(1);
    struct fake_wire *wire = fake_upgrade(upgrade_url, NULL);
    ck_assert_str_eq(fake_frames(wire), "");
    fake_frame(wire, "2probe");
    ck_assert_str_eq(fake_frames(wire), "3probe");
    return wire;
}

static const struct engineio_stats *stats_of(unsigned gateway)
{
    return engineio_server_stats(gateways[gateway].engineio);
}

static void expect_gone(unsigned gateway)
{
    fake_at(gateway);
    ck_assert_str_eq(fake_ask("GET", url, NULL, 400),
                     "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

/* ---- Tests ---- */

START_TEST(an_upgrade_takes_its_session_along){BOTH_FEEDS({
    open_connected();
    fake_at(2);
    struct fake_wire *poll = fake_request("GET", url, NULL);
    struct fake_wire *wire = open_probed();
    ck_assert_str_eq(fake_answer(poll, 200), "6");
    fake_frame(wire, "5");
    ck_assert_uint_eq(taken, 1);
    ck_assert_uint_eq(moved, 1);
    fake_frame(wire, "42[\"x\",1]");
    ck_assert_str_eq(fake_frames(wire), "42[\"back\",1]");
    for (unsigned i = 0; i < FAKE_GATEWAYS; i++)
        expect_gone(i);
    ck_assert_uint_eq(stats_of(0)->polling + stats_of(0)->websocket, 0);
    ck_assert_uint_eq(stats_of(0)->migrated_out, 1);
    ck_assert_uint_eq(stats_of(1)->websocket, 1);
    ck_assert_uint_eq(stats_of(1)->migrated_in, 1);
    ck_assert_uint_eq(socketio_server_stats(gateways[0].socketio)->sockets, 0);
    ck_assert_uint_eq(socketio_server_stats(gateways[1].socketio)->sockets, 1);
    /* It lives on by its own heartbeat, whatever becomes of its first gateway. */
    fake_kill(0);
    for (int i = 0; i < 3; i++) {
        fake_pass(300);
        ck_assert_str_eq(fake_frames(wire), "2");
        fake_frame(wire, "3");
    }
    ck_assert_uint_eq(disconnects, 0);
    ck_assert(!wire->closed);
    fake_cut(wire);
    ck_assert_uint_eq(disconnects, 1);
})} END_TEST

    START_TEST(what_is_said_during_the_probe_comes_once_and_in_order){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        fake_at(2);
        fake_ask("POST", url,
                 "42[\"x\",1]\x1e"
                 "427[\"x\",2]",
                 200);
        struct fake_wire *poll = fake_request("GET", url, NULL);
        fake_pass(31);
        ck_assert_str_eq(fake_answer(poll, 200), "6"); /* else it may come twice */
        fake_ask("POST", url,
                 "42[\"x\",3]\x1e"
                 "428[\"x\",4]",
                 200);
        ck_assert_str_eq(fake_frames(wire), "");
        fake_frame(wire, "5");
        ck_assert_str_eq(fake_frames(wire), "42[\"back\",1]|437[2]|42[\"back\",3]|438[4]");
        ck_assert_uint_eq(disconnects, 0);
    })} END_TEST

    START_TEST(polls_are_released_until_the_session_moves){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        for (unsigned i = 0; i < FAKE_GATEWAYS; i++) {
            fake_at(i);
            struct fake_wire *poll = fake_request("GET", url, NULL);
            fake_pass(31);
            ck_assert_str_eq(fake_answer(poll, 200), "6");
        }
        fake_frame(wire, "5");
        ck_assert_uint_eq(taken, 1);
    })} END_TEST

    START_TEST(a_half_received_event_is_completed_over_the_websocket){BOTH_FEEDS({
        open_connected();
        fake_at(2);
        fake_ask(
            "POST", url,
            "452-[\"m\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\x1e"
            "bAQIDBA==",
            200);
        struct fake_wire *wire = open_probed();
        fake_frame(wire, "5");
        ck_assert_str_eq(fake_frames(wire), "");
        fake_binary_frame(wire, BYTES_LITERAL("\1\2\3"));
        ck_assert_str_eq(fake_frames(wire),
                         "452-[\"back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,"
                         "\"num\":1}]|<binary 4>|<binary 3>");
        /* One that is never completed ends as it would at home. */
        fake_frame(wire, "451-[\"m\",{\"_placeholder\":true,\"num\":0}]");
        fake_pass(101);
        ck_assert(wire->closed);
    })} END_TEST

    START_TEST(what_is_under_way_is_waited_for_and_the_client_meanwhile_held_back){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        busy = later = true;
        struct buffer behind = {0};
        fake_append_frame(&behind, 1, BYTES_LITERAL("5"));
        fake_append_frame(&behind, 1, BYTES_LITERAL("42[\"x\",1]"));
        fake_append_frame(&behind, 1, BYTES_LITERAL("42[\"x\",2]"));
        fake_send(wire, buffer_peek(&behind));
        buffer_deinit(&behind);
        ck_assert_uint_eq(taken, 0);
        fake_pass(50);
        busy = false;
        owed = "3[\"owed\"]";
        struct bytes answer = BYTES_LITERAL("2[\"answer\"]");
        engineio_session_send(socketio_socket_session(last_socket), false, &answer, 1);
        fake_turn();
        ck_assert_uint_eq(taken, 1);
        ck_assert_str_eq(fake_frames(wire), "42[\"answer\"]|43[\"owed\"]");
        fake_frame(wire, "42[\"x\",3]");
        ck_assert_str_eq(fake_frames(wire), "");
        socketio_socket_continue(last_socket);
        fake_turn();
        ck_assert_str_eq(fake_frames(wire), "42[\"back\",1]|42[\"back\",2]|42[\"back\",3]");
    })} END_TEST

    START_TEST(what_does_not_end_is_not_waited_for_longer_than_configured){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        busy = true;
        fake_frame(wire, "5");
        fake_pass(99);
        ck_assert(!wire->closed);
        fake_pass(2);
        ck_assert(wire->closed); /* the client comes back and continues from its cursor */
        ck_assert_uint_eq(disconnects, 1);
        ck_assert_uint_eq(taken, 0);
        expect_gone(0);
    })} END_TEST

    /* The answers are all put into the queue, which is bounded by what it still listens to. */
    START_TEST(who_asks_on_without_end_while_it_is_held_back_is_ended){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        busy = true;
        fake_frame(wire, "5");
        hoard = true; /* from now on each call adds to the queue */
        for (int i = 0; i < 100 && stats_of(0)->closed[ENGINEIO_CLOSE_OVERFLOW] == 0; i++) {
            fake_at(0);
            struct fake_wire *post = fake_request("POST", url, "42[\"x\",1]");
            fake_turn();
            fake_cut(post);
        }
        ck_assert_uint_eq(stats_of(0)->closed[ENGINEIO_CLOSE_OVERFLOW], 1);
        fake_turn();
        ck_assert(wire->closed);
        ck_assert_uint_eq(disconnects, 1);
    })} END_TEST

    /* As a state may be. It is no fault of the client's that it came here unread. */
    START_TEST(more_than_a_queue_holds_may_come_along)
{
    enum { LIMIT = 16384, MUCH = 20000 };
    static char much[MUCH + 1];
    memset(much, '4', MUCH);
    fake_engineio.queue_bytes = LIMIT;
    BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        owed = much;
        more_there = "2[\"more\"]";
        fake_frame(wire, "5");
        ck_assert_uint_eq(taken, 1);
        const char *frames = fake_frames(wire);
        ck_assert_uint_eq(strspn(frames, "4"), 1 + MUCH);
        ck_assert_str_eq(frames + 1 + MUCH, "|42[\"more\"]");
        /* Once it has gone, the limit is the old one. */
        struct bytes third = bytes_of(much, MUCH / 3);
        for (int i = 0; i < 3; i++)
            engineio_session_send(socketio_socket_session(last_socket), false, &third, 1);
        fake_turn();
        ck_assert_uint_eq(stats_of(1)->closed[ENGINEIO_CLOSE_OVERFLOW], 1);
    })
    fake_engineio.queue_bytes = 1 << 20;
}
END_TEST

START_TEST(every_namespace_moves){BOTH_FEEDS({
    open_connected();
    fake_ask("POST", url, "40/custom,", 200);
    fake_ask("GET", url, NULL, 200);
    struct fake_wire *wire = open_probed();
    fake_frame(wire, "5");
    ck_assert_uint_eq(taken, 2);
    fake_frame(wire, "42/custom,[\"x\",1]");
    fake_frame(wire, "42[\"x\",2]");
    ck_assert_str_eq(fake_frames(wire), "42/custom,[\"back\",1]|42[\"back\",2]");
})} END_TEST

    START_TEST(a_client_without_a_namespace_moves_and_connects_later){BOTH_FEEDS({
        char sid[64];
        fake_at(0);
        snprintf(upgrade_url, sizeof(upgrade_url), "/socket.io/?EIO=4&transport=websocket&sid=%s",
                 fake_handshake(sid));
        struct fake_wire *wire = open_probed();
        fake_frame(wire, "5");
        fake_frame(wire, "40");
        ck_assert_str_eq(fake_frames(wire), "40{\"sid\":\"SID\"}");
        ck_assert_uint_eq(taken, 0);
    })} END_TEST

    START_TEST(a_ping_that_was_sent_by_polling_is_sent_again){BOTH_FEEDS({
        open_connected();
        struct fake_wire *poll = fake_request("GET", url, NULL);
        fake_pass(301);
        ck_assert_str_eq(fake_answer(poll, 200), "2");
        struct fake_wire *wire = open_probed();
        fake_frame(wire, "5");
        ck_assert_str_eq(fake_frames(wire), "2");
        fake_frame(wire, "3");
        fake_frame(wire, "3"); /* to each of them */
        fake_pass(299);
        ck_assert_str_eq(fake_frames(wire), "");
        fake_pass(2);
        ck_assert_str_eq(fake_frames(wire), "2");
    })} END_TEST

    START_TEST(a_probe_that_comes_to_nothing_leaves_polling_alone){BOTH_FEEDS({
        open_connected();
        fake_cut(open_probed());
        fake_at(2);
        struct fake_wire *poll = fake_request("GET", url, NULL);
        fake_pass(50);
        ck_assert_str_eq(fake_take(poll), "");
        fake_ask("POST", url, "42[\"x\",1]", 200);
        ck_assert_str_eq(fake_answer(poll, 200), "42[\"back\",1]");
        struct fake_wire *wire = open_probed();
        fake_frame(wire, "no 5");
        ck_assert(wire->closed);
        fake_at(1);
        wire = fake_upgrade(upgrade_url, NULL);
        fake_frame(wire, "no probe");
        ck_assert(wire->closed);
        wire = open_probed();
        fake_frame(wire, "5");
        ck_assert_uint_eq(taken, 1);
        ck_assert_uint_eq(disconnects, 0);
        ck_assert_uint_eq(stats_of(1)->migrations_failed, 3);
    })} END_TEST

    START_TEST(a_probe_that_is_not_finished_in_time_is_forgotten_on_both_sides)
{
    fake_engineio.upgrade_timeout_ms = 150;
    BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        fake_pass(151);
        ck_assert(wire->closed);
        struct fake_wire *poll = fake_request("GET", url, NULL);
        fake_pass(50);
        ck_assert_str_eq(fake_take(poll), "");
        ck_assert_uint_eq(disconnects, 0);
    })
    fake_engineio.upgrade_timeout_ms = 0;
}
END_TEST

START_TEST(one_upgrade_at_a_time){BOTH_FEEDS({
    open_connected();
    struct fake_wire *wire = open_probed();
    fake_at(2);
    struct fake_wire *second = fake_upgrade(upgrade_url, NULL);
    fake_frame(second, "2probe");
    ck_assert(second->closed);
    fake_at(0);
    second = fake_upgrade(upgrade_url, NULL);
    ck_assert_str_eq(fake_frames(second), "<close 1008>");
    ck_assert(second->closed);
    fake_frame(wire, "5");
    ck_assert_uint_eq(taken, 1);
    fake_at(2);
    second = fake_upgrade(upgrade_url, NULL);
    fake_frame(second, "2probe");
    ck_assert(second->closed);
    fake_frame(wire, "42[\"x\"]");
    ck_assert_str_eq(fake_frames(wire), "42[\"back\"]");
    /* And one at home keeps others away. */
    open_connected();
    struct fake_wire *home = fake_upgrade(upgrade_url, NULL);
    fake_at(1);
    second = fake_upgrade(upgrade_url, NULL);
    fake_frame(second, "2probe");
    ck_assert(second->closed);
    ck_assert(!home->closed);
})} END_TEST

    START_TEST(a_gateway_may_die_at_any_moment_of_it){BOTH_FEEDS({
        for (int moment = 0; moment < 4; moment++) {
            open_connected();
            fake_at(1);
            struct fake_wire *wire = fake_upgrade(upgrade_url, NULL);
            gateways[0].stopped = moment == 1;
            if (moment >= 1)
                fake_frame(wire, "2probe");
            busy = moment == 3;
            if (moment == 3)
                fake_frame(wire, "5");
            gateways[0].stopped = false;
            fake_kill(0);
            busy = false;
            if (moment == 0)
                fake_frame(wire, "2probe");
            if (moment == 2)
                fake_frame(wire, "5");
            ck_assert(wire->closed);
            ck_assert_uint_eq(taken, 0);
            fake_boot(0);
        }
        ck_assert_uint_eq(stats_of(1)->websocket, 0);
    })} END_TEST

    START_TEST(a_client_that_goes_while_its_session_is_fetched_is_gone){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        busy = true;
        fake_frame(wire, "5");
        fake_cut(wire);
        ck_assert_uint_eq(disconnects, 1);
        ck_assert_uint_eq(taken, 0);
        expect_gone(2);
        /* In the moment in which it arrives. */
        busy = false;
        open_connected();
        wire = open_probed();
        later = true;
        fake_frame(wire, "5");
        ck_assert_uint_eq(taken, 1);
        fake_cut(wire);
        ck_assert_uint_eq(disconnects, 2);
        ck_assert_uint_eq(stats_of(1)->websocket, 0);
    })} END_TEST

    START_TEST(a_session_that_cannot_go_on_ends_without_a_word){BOTH_FEEDS({
        open_connected();
        struct fake_wire *wire = open_probed();
        spoiled = true;
        fake_frame(wire, "5");
        ck_assert(wire->closed);
        ck_assert_ptr_null(strstr(fake_frames(wire), "41"));
        ck_assert_uint_eq(stats_of(1)->websocket, 0);
        expect_gone(0);
    })} END_TEST

    START_TEST(a_full_gateway_takes_nobody_over){BOTH_FEEDS({
        open_connected();
        engineio_server_drain(gateways[1].engineio);
        fake_at(1);
        fake_answer(fake_upgrade(upgrade_url, NULL), 503);
        fake_ask("POST", url, "42[\"x\"]", 200);
        ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "42[\"back\"]");
        /* But one that ends gives them away. */
        engineio_server_drain(gateways[0].engineio);
        fake_at(2);
        struct fake_wire *wire = fake_upgrade(upgrade_url, NULL);
        fake_frame(wire, "2probe");
        fake_frame(wire, "5");
        ck_assert_uint_eq(taken, 1);
    })} END_TEST

    TEST_PROGRAM("engineio_migration", an_upgrade_takes_its_session_along,
                 what_is_said_during_the_probe_comes_once_and_in_order,
                 polls_are_released_until_the_session_moves,
                 a_half_received_event_is_completed_over_the_websocket,
                 what_is_under_way_is_waited_for_and_the_client_meanwhile_held_back,
                 who_asks_on_without_end_while_it_is_held_back_is_ended,
                 more_than_a_queue_holds_may_come_along,
                 what_does_not_end_is_not_waited_for_longer_than_configured, every_namespace_moves,
                 a_client_without_a_namespace_moves_and_connects_later,
                 a_ping_that_was_sent_by_polling_is_sent_again,
                 a_probe_that_comes_to_nothing_leaves_polling_alone,
                 a_probe_that_is_not_finished_in_time_is_forgotten_on_both_sides,
                 one_upgrade_at_a_time, a_gateway_may_die_at_any_moment_of_it,
                 a_client_that_goes_while_its_session_is_fetched_is_gone,
                 a_session_that_cannot_go_on_ends_without_a_word, a_full_gateway_takes_nobody_over)
