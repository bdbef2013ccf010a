#include "engineio_server.h"

#include <stdio.h>

#include "echo_application.h"
#include "engineio_private.h"
#include "suite.h"

/* One more WebSocket for the session is let in and closed: a client without a handler for refused
 * handshakes lives. */
static void second_is_closed(void)
{
    struct fake_wire *second = echo_open_probe();
    ck_assert(bytes_start_with(buffer_peek(&second->out), BYTES_LITERAL("HTTP/1.1 101")));
    ck_assert_str_eq(fake_frames(second), "<close 1008>");
    ck_assert(second->closed);
}

/* ---- Heartbeat ---- */

static void polling_heartbeat(void)
{
    echo_open_polling();
    for (int i = 0; i < 3; i++) {
        struct fake_wire *poll = fake_request("GET", echo.url, NULL);
        fake_pass(299);
        ck_assert_str_eq(fake_take(poll), "");
        fake_pass(1);
        ck_assert_str_eq(fake_answer(poll, 200), "2");
        fake_ask("POST", echo.url, "3", 200);
    }
    ck_assert_uint_eq(echo.closes, 0);
    fake_pass(499);
    ck_assert_uint_eq(echo.closes, 0);
    fake_pass(1);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_PING_TIMEOUT);
}

START_TEST(a_ping_comes_an_interval_after_the_pong_and_its_lack_ends_the_session){
    BOTH_FEEDS(polling_heartbeat())} END_TEST

    START_TEST(a_request_that_is_read_before_the_timer_fires_finds_the_session_dead)
{
    fake_start(&echo_ops, false);
    echo_open_polling();
    world.now_ms += 500; /* no turn in between */
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", echo.url);
    wire->wire.receiver_ops->bytes(wire->wire.receiver, bytes_of_string(text), world.now_ms);
    fake_answer(wire, 400);
    fake_stop();
}
END_TEST

START_TEST(pings_do_not_move_by_a_span_in_which_nothing_ran)
{
    fake_start(&echo_ops, false);
    echo.closes = 0;
    struct fake_wire *idle = echo_open_websocket(), *asked = echo_open_websocket();
    fake_pass(300);
    ck_assert_str_eq(fake_frames(idle), "2");
    ck_assert_str_eq(fake_frames(asked), "2");
    fake_frame(idle, "3");
    engineio_server_woke(world.engineio, 200, world.now_ms);
    fake_pass(99);
    ck_assert_str_eq(fake_frames(idle), "");
    fake_pass(1);
    ck_assert_str_eq(fake_frames(idle), "2");
    fake_frame(idle, "3");
    engineio_server_woke(world.engineio, 30000, world.now_ms);
    fake_pass(1);
    ck_assert_str_eq(fake_frames(idle), "2");
    ck_assert_str_eq(fake_frames(asked), ""); /* its pong is still awaited */
    fake_frame(idle, "3");
    fake_pass(99); /* 200 since its ping */
    ck_assert_uint_eq(echo.closes, 1);
    fake_stop();
}
END_TEST

START_TEST(the_first_other_packet_moves_the_deadline_of_a_pong_once)
{
    fake_start(&echo_ops, false);
    echo.closes = 0;
    struct fake_wire *wire = echo_open_websocket();
    fake_pass(300);
    ck_assert_str_eq(fake_frames(wire), "2");
    fake_pass(150);
    fake_frame(wire, "4a"); /* moved to 650 */
    fake_pass(150);
    fake_frame(wire, "4b"); /* not again */
    fake_pass(49);
    ck_assert_uint_eq(echo.closes, 0);
    fake_pass(1);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert(wire->closed);
    fake_stop();
}
END_TEST

START_TEST(a_held_poll_ends_with_a_close_packet_at_a_ping_timeout)
{
    fake_start(&echo_ops, false);
    echo_open_polling();
    fake_pass(300);
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "2");
    struct fake_wire *poll = fake_request("GET", echo.url, NULL);
    fake_pass(200);
    ck_assert_str_eq(fake_answer(poll, 200), "1");
    fake_stop();
}
END_TEST

/* ---- WebSocket ---- */

static void echo_over_websocket(void)
{
    struct fake_wire *wire = echo_open_websocket();
    fake_frame(wire, "4hello");
    fake_binary_frame(wire, BYTES_LITERAL("\1\2\3\4"));
    ck_assert_str_eq(fake_frames(wire), "4hello|<binary 4>");
    struct buffer ping = {0};
    fake_append_frame(&ping, 9, BYTES_LITERAL("hi"));
    fake_send(wire, buffer_peek(&ping));
    buffer_deinit(&ping);
    ck_assert_str_eq(fake_frames(wire), "<10 hi>");
    fake_frame(wire, "abc");
    ck_assert(wire->closed);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_PROTOCOL);
}

START_TEST(messages_are_echoed_over_websocket){BOTH_FEEDS(echo_over_websocket())} END_TEST

    START_TEST(frames_in_the_bytes_of_the_upgrade_request_are_not_lost){BOTH_FEEDS({
        struct buffer behind = {0};
        fake_append_frame(&behind, 1, BYTES_LITERAL("4early"));
        struct fake_wire *wire = fake_upgrade("/engine.io/?EIO=4&transport=websocket", &behind);
        ck_assert_ptr_nonnull(strstr(fake_frames(wire), "|4early"));
        buffer_deinit(&behind);
    })} END_TEST

    START_TEST(a_close_frame_is_answered_with_its_code){BOTH_FEEDS({
        struct fake_wire *wire = echo_open_websocket();
        struct buffer close = {0};
        fake_append_frame(&close, 8, BYTES_LITERAL("\x03\xe8"));
        fake_send(wire, buffer_peek(&close));
        buffer_deinit(&close);
        ck_assert_str_eq(fake_frames(wire), "<close 1000>");
        ck_assert(wire->closed && !wire->aborted);
        ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_TRANSPORT);
    })} END_TEST

    START_TEST(all_that_is_ready_goes_out_in_one_write_within_the_limit)
{
    fake_engineio.write_bytes = 10000;
    fake_start(&echo_ops, false);
    struct fake_wire *wire = echo_open_websocket();
    wire->writes = 0;
    echo.to_pull = 100;
    engineio_session_wake(echo.session);
    engineio_session_send(echo.session, false, &BYTES_LITERAL("first"), 1);
    fake_turn();
    ck_assert_uint_eq(wire->writes, 1);
    const char *frames = fake_frames(wire);
    ck_assert_int_eq(strncmp(frames, "4first|4n100|4n99|", 18), 0);
    ck_assert_str_eq(frames + strlen(frames) - 8, "|4n2|4n1");
    echo.to_pull = 30;
    echo.pull_size = 1000;
    wire->writes = 0;
    engineio_session_wake(echo.session);
    fake_turn();
    ck_assert_uint_eq(wire->writes, 3);
    fake_stop();
    fake_engineio.write_bytes = 0;
}
END_TEST

START_TEST(a_full_socket_is_left_alone_until_it_drains)
{
    fake_start(&echo_ops, false);
    struct fake_wire *wire = echo_open_websocket();
    wire->full = true;
    fake_frame(wire, "4one");
    ck_assert_str_eq(fake_frames(wire), "4one");
    fake_frame(wire, "4two");
    fake_frame(wire, "4three");
    ck_assert_str_eq(fake_frames(wire), "");
    ck_assert(wire->wanted);
    fake_drain(wire);
    ck_assert_str_eq(fake_frames(wire), "4two|4three");
    fake_stop();
}
END_TEST

START_TEST(a_full_queue_ends_the_session)
{
    fake_engineio.queue_bytes = 100;
    fake_start(&echo_ops, false);
    echo.closes = 0;
    struct fake_wire *wire = echo_open_websocket();
    wire->full = true;
    fake_frame(wire, "4one");
    for (int i = 0; i < 30; i++)
        if (!wire->closed)
            fake_frame(wire, "4more and more");
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_OVERFLOW);
    fake_drain(wire);
    ck_assert(wire->closed);
    fake_stop();
    fake_engineio.queue_bytes = 1 << 20;
}
END_TEST

/* ---- Upgrade ---- */

static void upgrade(void)
{
    echo_open_polling();
    struct fake_wire *held = fake_request("GET", echo.url, NULL);
    struct fake_wire *wire = echo_open_probe();
    fake_frame(wire, "2probe");
    ck_assert_str_eq(fake_frames(wire), "3probe");
    ck_assert_str_eq(fake_answer(held, 200), "6");
    struct fake_wire *late = fake_request("GET", echo.url, NULL);
    fake_pass(100);
    ck_assert_str_eq(fake_answer(late, 200), "6");
    fake_ask("POST", echo.url, "4while probing", 200);
    fake_frame(wire, "5");
    ck_assert_str_eq(fake_frames(wire), "4while probing");
    fake_ask("GET", echo.url, NULL, 400);
    second_is_closed();
    fake_frame(wire, "4alive");
    ck_assert_str_eq(fake_frames(wire), "4alive");
    ck_assert_uint_eq(engineio_server_stats(world.engineio)->upgrades, 1);
}

START_TEST(an_upgrade_moves_the_session_and_what_it_owes){BOTH_FEEDS(upgrade())} END_TEST

    /* A client that closes in the middle of the upgrade would get them twice. */
    START_TEST(no_message_is_polled_between_3probe_and_5){BOTH_FEEDS({
        echo_open_polling();
        struct fake_wire *wire = echo_open_probe();
        fake_ask("POST", echo.url, "4before", 200);
        ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "4before");
        fake_frame(wire, "2probe");
        ck_assert_str_eq(fake_frames(wire), "3probe");
        echo.to_pull = 1;
        engineio_session_wake(echo.session);
        fake_ask("POST", echo.url, "4one", 200);
        struct fake_wire *poll = fake_request("GET", echo.url, NULL);
        fake_pass(100);
        ck_assert_str_eq(fake_answer(poll, 200), "6");
        struct fake_wire *pinged = fake_request("GET", echo.url, NULL);
        fake_pass(20);
        fake_cut(wire); /* it comes to nothing */
        fake_turn();
        ck_assert_ptr_nonnull(strstr(fake_answer(pinged, 200), "4one"));
    })} END_TEST

    START_TEST(offered_subprotocols_and_base64_are_taken_as_by_the_javascript_server){BOTH_FEEDS({
        fake_fields = "Sec-WebSocket-Protocol: foo, bar\r\n";
        struct fake_wire *wire = fake_upgrade("/engine.io/?EIO=4&transport=websocket&b64=1", NULL);
        fake_fields = "";
        ck_assert_ptr_nonnull(
            memmem(wire->out.data, wire->out.end, "Sec-WebSocket-Protocol: foo\r\n", 29));
        fake_frames(wire);
        fake_frame(wire, "bAQIDBA==");
        ck_assert_str_eq(fake_frames(wire), "bAQIDBA==");
        fake_binary_frame(wire, BYTES_LITERAL("\1\2\3\4"));
        ck_assert_str_eq(fake_frames(wire), "bAQIDBA==");
        fake_fields = "Sec-WebSocket-Protocol: \"foo\"\r\n"; /* no token */
        wire = fake_upgrade("/engine.io/?EIO=4&transport=websocket", NULL);
        fake_fields = "";
        ck_assert_ptr_null(memmem(wire->out.data, wire->out.end, "Sec-WebSocket-Protocol", 22));
    })} END_TEST

    START_TEST(an_upgrade_to_something_else_is_left_alone)
{
    char sid[64];
    fake_start(&echo_ops, false);
    fake_fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n";
    ck_assert_uint_eq(strlen(fake_handshake(sid)), 20);
    fake_ask("GET", "/engine.io/?EIO=4&transport=websocket", NULL, 400);
    fake_fields = "";
    fake_stop();
}
END_TEST

static void abandoned_probes(void)
{
    echo_open_polling();
    struct fake_wire *wrong = echo_open_probe();
    fake_frame(wrong, "4hello");
    ck_assert(wrong->closed);
    struct fake_wire *lost = echo_open_probe();
    fake_frame(lost, "2probe");
    fake_cut(lost);
    struct fake_wire *second = echo_open_probe();
    second_is_closed();
    for (int i = 0; i < 20 && !second->closed; i++) {
        fake_ask("POST", echo.url, "3", 200);
        fake_pass(290);
    }
    for (int i = 0; i < 30; i++) {
        fake_ask("POST", echo.url, "3", 200);
        fake_pass(290);
    }
    ck_assert(second->closed);
    ck_assert_uint_eq(echo.closes, 0);
    fake_ask("POST", echo.url, "4alive", 200);
    ck_assert_ptr_nonnull(strstr(fake_ask("GET", echo.url, NULL, 200), "4alive"));
    struct fake_wire *at_last = echo_open_probe();
    fake_frame(at_last, "2probe");
    fake_frame(at_last, "5");
    fake_frame(at_last, "4new");
    ck_assert_ptr_nonnull(strstr(fake_frames(at_last), "4new"));
}

START_TEST(an_abandoned_probe_leaves_polling_alive){BOTH_FEEDS(abandoned_probes())} END_TEST

    START_TEST(a_ping_that_found_no_poll_goes_out_over_the_upgraded_websocket)
{
    fake_start(&echo_ops, false);
    echo.closes = 0;
    echo_open_polling();
    struct fake_wire *wire = echo_open_probe();
    fake_frame(wire, "2probe");
    fake_pass(310);
    fake_frame(wire, "5");
    ck_assert_str_eq(fake_frames(wire), "3probe|2");
    fake_frame(wire, "3");
    fake_pass(299);
    ck_assert_str_eq(fake_frames(wire), "");
    fake_stop();
}
END_TEST

START_TEST(a_session_that_ends_takes_its_probe_with_it)
{
    fake_start(&echo_ops, false);
    echo_open_polling();
    struct fake_wire *wire = echo_open_probe();
    fake_frame(wire, "2probe");
    fake_ask("POST", echo.url, "1", 200);
    ck_assert(wire->closed);
    fake_stop();
}
END_TEST

/* ---- Refusals ---- */

static void refusals(void)
{
    static const struct {
        const char *method, *target;
        const char *body;
    } cases[] = {
        {"GET", "/engine.io/", "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", "/engine.io/?transport=__proto__",
         "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", "/engine.io/?transport=POLLING", "{\"code\":0,\"message\":\"Transport unknown\"}"},
        {"GET", "/engine.io/?transport=polling&sid=nope",
         "{\"code\":1,\"message\":\"Session ID unknown\"}"},
        {"POST", "/engine.io/?transport=polling&sid=__proto__",
         "{\"code\":1,\"message\":\"Session ID unknown\"}"},
        {"POST", "/engine.io/?EIO=3&transport=polling",
         "{\"code\":2,\"message\":\"Bad handshake method\"}"},
        {"OPTIONS", "/engine.io/?EIO=4&transport=polling",
         "{\"code\":2,\"message\":\"Bad handshake method\"}"},
        {"GET", "/engine.io/?EIO=4&transport=websocket",
         "{\"code\":3,\"message\":\"Bad request\"}"},
        {"GET", "/engine.io/?EIO=3&transport=polling",
         "{\"code\":5,\"message\":\"Unsupported protocol version\"}"},
        {"GET", "/engine.io/?transport=polling",
         "{\"code\":5,\"message\":\"Unsupported protocol version\"}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_str_eq(fake_ask(cases[i].method, cases[i].target, NULL, 400), cases[i].body);
    echo_open_polling();
    char other[160];
    snprintf(other, sizeof(other), "/engine.io/?EIO=4&transport=websocket&sid=%s", echo.sid);
    fake_ask("GET", other, NULL, 400);
    snprintf(other, sizeof(other), "/engine.io/?EIO=3&transport=polling&sid=%s", echo.sid);
    fake_ask("GET", other, NULL, 400);
    fake_ask("PUT", echo.url, NULL, 400);
    ck_assert_uint_eq(echo.closes, 0);
    struct fake_wire *unknown =
        fake_upgrade("/engine.io/?EIO=4&transport=websocket&sid=nope", NULL);
    const char *text = fake_take(unknown);
    ck_assert_ptr_nonnull(strstr(text, "Connection: close"));
    ck_assert_ptr_nonnull(strstr(text, "\r\n\r\nSession ID unknown"));
    ck_assert(unknown->closed);
}

START_TEST(refusals_have_the_codes_and_the_order_of_the_javascript_server){
    BOTH_FEEDS(refusals())} END_TEST

    START_TEST(a_draining_server_takes_no_new_sessions)
{
    fake_start(&echo_ops, false);
    echo_open_polling();
    engineio_server_drain(world.engineio);
    fake_ask("GET", "/engine.io/?EIO=4&transport=polling", NULL, 503);
    fake_ask("POST", echo.url, "4old ones live", 200);
    fake_stop();
}
END_TEST

/* By which a load balancer may stick to the gateway; on the handshake's answer and no other. */
START_TEST(a_cookie_names_the_session_if_asked_for)
{
    fake_engineio.cookie = "io";
    fake_start(&echo_ops, false);
    struct fake_wire *wire = fake_request("GET", "/engine.io/?EIO=4&transport=polling", NULL);
    const char *text = fake_take(wire);
    const char *named = strstr(text, "Set-Cookie: io=");
    const char *body = strstr(text, "\"sid\":\"");
    ck_assert(named && body);
    ck_assert_int_eq(strncmp(named + 15, body + 7, SID_KEY_SIZE), 0);
    ck_assert_int_eq(strncmp(named + 15 + SID_KEY_SIZE, "; Path=/; HttpOnly; SameSite=Lax\r\n", 34),
                     0);
    snprintf(echo.url, sizeof(echo.url), "/engine.io/?EIO=4&transport=polling&sid=%.*s",
             SID_KEY_SIZE, body + 7);
    wire = fake_request("POST", echo.url, "4x");
    ck_assert_ptr_null(strstr(fake_take(wire), "Set-Cookie"));
    wire = fake_request("GET", echo.url, NULL);
    ck_assert_ptr_null(strstr(fake_take(wire), "Set-Cookie"));
    fake_upgrade("/engine.io/?EIO=4&transport=websocket", NULL);
    fake_stop();
    fake_engineio.cookie = NULL;
}
END_TEST

START_TEST(an_idle_websocket_session_is_small)
{
    /* With the socket's own part and the allocator's overhead this stays far below 3 KB for each of
     * 18,000. */
    ck_assert_uint_le(sizeof(struct engineio_session), 320);
    ck_assert_uint_le(sizeof(struct link), 192);
    fake_start(&echo_ops, false);
    struct fake_wire *wire = echo_open_websocket();
    fake_frame(wire, "4hello");
    ck_assert_uint_eq(echo.session->queue.capacity, 0);
    ck_assert_ptr_null(echo.session->polling);
    ck_assert_uint_eq(websocket_reader_memory(&echo.session->link->reader), 0);
    fake_stop();
}
END_TEST

TEST_PROGRAM("engineio_server",
             a_ping_comes_an_interval_after_the_pong_and_its_lack_ends_the_session,
             a_request_that_is_read_before_the_timer_fires_finds_the_session_dead,
             pings_do_not_move_by_a_span_in_which_nothing_ran,
             the_first_other_packet_moves_the_deadline_of_a_pong_once,
             a_held_poll_ends_with_a_close_packet_at_a_ping_timeout,
             messages_are_echoed_over_websocket,
             frames_in_the_bytes_of_the_upgrade_request_are_not_lost,
             a_close_frame_is_answered_with_its_code,
             all_that_is_ready_goes_out_in_one_write_within_the_limit,
             a_full_socket_is_left_alone_until_it_drains, a_full_queue_ends_the_session,
             an_upgrade_moves_the_session_and_what_it_owes,
             no_message_is_polled_between_3probe_and_5,
             offered_subprotocols_and_base64_are_taken_as_by_the_javascript_server,
             an_upgrade_to_something_else_is_left_alone, an_abandoned_probe_leaves_polling_alive,
             a_ping_that_found_no_poll_goes_out_over_the_upgraded_websocket,
             a_session_that_ends_takes_its_probe_with_it,
             refusals_have_the_codes_and_the_order_of_the_javascript_server,
             a_draining_server_takes_no_new_sessions, a_cookie_names_the_session_if_asked_for,
             an_idle_websocket_session_is_small)
