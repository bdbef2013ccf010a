#include "engineio_server.h"

#include <stdio.h>

#include "engineio_private.h"
#include "fake_wire.h"
#include "suite.h"

/* ---- An echo that can also be made to stream and to close ---- */

struct echo {
    struct engineio_session *session;
    unsigned to_pull;
    size_t pull_size;
};

static struct echo echo;
static enum engineio_close last_close;
static unsigned closes;

static void *opened(void *application, struct engineio_session *session, int64_t now_ms)
{
    (void)application, (void)now_ms;
    echo = (struct echo){.session = session};
    return session;
}

static void message(void *connection, struct bytes data, bool binary, int64_t now_ms)
{
    (void)now_ms;
    if (bytes_equal(data, BYTES_LITERAL("close")))
        engineio_session_close(connection);
    else
        engineio_session_send(connection, binary, &data, 1);
}

static bool pull(void *connection, struct engineio_writer *writer, int64_t now_ms)
{
    (void)connection, (void)now_ms;
    static uint8_t filler[8192];
    memset(filler, 'x', sizeof(filler));
    while (echo.to_pull && engineio_writer_has_room(writer)) {
        char number[16];
        snprintf(number, sizeof(number), "n%u", echo.to_pull--);
        struct bytes parts[] = {bytes_of_string(number), bytes_of(filler, echo.pull_size)};
        engineio_writer_text(writer, parts, 2);
    }
    return echo.to_pull > 0;
}

static void closed(void *connection, enum engineio_close reason, int64_t now_ms)
{
    (void)connection, (void)now_ms;
    last_close = reason;
    closes++;
}

static const struct engineio_application_ops ops = {
    .opened = opened, .message = message, .pull = pull, .closed = closed};

#define BOTH_FEEDS(body)                               \
    for (int bytewise = 0; bytewise < 2; bytewise++) { \
        fake_start(&ops, bytewise);                    \
        closes = 0;                                    \
        body;                                          \
        fake_stop();                                   \
    }

static char sid[64];
static char session_url[128];

static void open_polling(void)
{
    snprintf(session_url, sizeof(session_url), "/engine.io/?EIO=4&transport=polling&sid=%s",
             fake_handshake(sid));
}

static struct fake_wire *open_websocket(void)
{
    struct fake_wire *wire = fake_upgrade("/engine.io/?EIO=4&transport=websocket", NULL);
    const char *frames = fake_frames(wire);
    ck_assert_msg(strncmp(frames, "0{\"sid\":\"", 9) == 0, "%s", frames);
    ck_assert_ptr_nonnull(strstr(frames, "\"upgrades\":[]"));
    return wire;
}

static struct fake_wire *open_probe(void)
{
    char target[160];
    snprintf(target, sizeof(target), "/engine.io/?EIO=4&transport=websocket&sid=%s", sid);
    return fake_upgrade(target, NULL);
}

/* One more WebSocket for the session is let in and closed: a client without a handler for refused
 * handshakes lives. */
static void second_is_closed(void)
{
    struct fake_wire *second = open_probe();
    ck_assert(bytes_start_with(buffer_peek(&second->out), BYTES_LITERAL("HTTP/1.1 101")));
    ck_assert_str_eq(fake_frames(second), "<close 1005>");
    ck_assert(second->closed);
}

/* ---- Polling ---- */

static void echo_over_polling(void)
{
    open_polling();
    ck_assert_str_eq(fake_ask("POST", session_url,
                              "4test1\x1e"
                              "4test2\x1e"
                              "bAQIDBA==",
                              200),
                     "ok");
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "4test1\x1e"
                                                              "4test2\x1e"
                                                              "bAQIDBA==");
    struct fake_wire *poll = fake_request("GET", session_url, NULL);
    ck_assert_str_eq(fake_take(poll), "");
    ck_assert_str_eq(fake_ask("POST", session_url, "4later", 200), "ok");
    ck_assert_str_eq(fake_answer(poll, 200), "4later");
}

START_TEST(messages_are_echoed_over_polling_in_one_payload){
    BOTH_FEEDS(echo_over_polling())} END_TEST

    static void aborted_poll(void)
{
    open_polling();
    struct fake_wire *poll = fake_request("GET", session_url, NULL);
    fake_cut(poll);
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_uint_eq(closes, 1);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_TRANSPORT);
}

START_TEST(an_aborted_poll_ends_the_session){BOTH_FEEDS(aborted_poll())} END_TEST

    static void half_sent_post(void)
{
    open_polling();
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4half",
             session_url);
    fake_send(wire, bytes_of_string(text));
    ck_assert_uint_eq(closes, 0);
    fake_cut(wire);
    ck_assert_uint_eq(closes, 1);
}

START_TEST(a_half_sent_post_ends_the_session){BOTH_FEEDS(half_sent_post())} END_TEST

    static void overlapping_polls(void)
{
    open_polling();
    struct fake_wire *first = fake_request("GET", session_url, NULL);
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_str_eq(fake_answer(first, 200), "1");
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_PROTOCOL);
}

START_TEST(overlapping_polls_are_both_answered_and_end_the_session){
    BOTH_FEEDS(overlapping_polls())} END_TEST

    static void overlapping_posts(void)
{
    open_polling();
    struct fake_wire *first = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4half",
             session_url);
    fake_send(first, bytes_of_string(text));
    fake_ask("POST", session_url, "4b", 400);
    fake_answer(first, 400);
    ck_assert_uint_eq(closes, 1);
}

START_TEST(overlapping_posts_are_both_answered_and_end_the_session){
    BOTH_FEEDS(overlapping_posts())} END_TEST

    static void repeated_requests(void)
{
    open_polling();
    char marked[160];
    snprintf(marked, sizeof(marked), "%s&t=a1", session_url);
    fake_ask("POST", marked, "4one", 200);
    fake_ask("POST", marked, "4one", 200);
    ck_assert_str_eq(fake_ask("GET", marked, NULL, 200), "4one");
    fake_ask("POST", session_url, "4two", 200);
    ck_assert_str_eq(fake_ask("GET", marked, NULL, 200), "4one");
    snprintf(marked, sizeof(marked), "%s&t=a2", session_url);
    ck_assert_str_eq(fake_ask("GET", marked, NULL, 200), "4two");
    struct fake_wire *held = fake_request("GET", session_url, NULL);
    ck_assert_str_eq(fake_take(held), "");
    /* Clients draw their marks: another body with the mark of the one before is another. */
    fake_ask("POST", marked, "4three", 200);
    ck_assert_str_eq(fake_answer(held, 200), "4three");
    fake_ask("POST", marked, "4four!", 200);
    fake_ask("POST", marked, "4four!", 200);
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "4four!");
    ck_assert_uint_eq(closes, 0);
}

START_TEST(a_request_that_a_balancer_repeats_is_answered_alike_and_done_once){
    BOTH_FEEDS(repeated_requests())} END_TEST

    static char marked_url[160];

static const char *marked(const char *mark)
{
    snprintf(marked_url, sizeof(marked_url), "%s&t=%s", session_url, mark);
    return marked_url;
}

START_TEST(a_poll_that_was_cut_may_come_again_for_a_while)
{
    fake_engineio.ping_interval_ms = 25000;
    BOTH_FEEDS({
        open_polling();
        fake_cut(fake_request("GET", marked("a1"), NULL));
        ck_assert_uint_eq(closes, 0);
        fake_ask("POST", session_url, "4x", 200);
        fake_pass(1000);
        ck_assert_str_eq(fake_ask("GET", marked("a1"), NULL, 200), "4x");
        struct fake_wire *held = fake_request("GET", marked("a2"), NULL);
        fake_pass(2000);
        ck_assert_uint_eq(closes, 0);
        ck_assert_str_eq(fake_take(held), "");
    });
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(a_poll_that_was_cut_and_does_not_come_again_ends_the_session)
{
    fake_engineio.ping_interval_ms = 25000;
    BOTH_FEEDS({
        open_polling();
        fake_cut(fake_request("GET", marked("a1"), NULL));
        fake_pass(1499);
        ck_assert_uint_eq(closes, 0);
        fake_pass(2);
        ck_assert_uint_eq(closes, 1);
        ck_assert_int_eq(last_close, ENGINEIO_CLOSE_TRANSPORT);
        fake_ask("GET", marked("a1"), NULL, 400);
    });
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(another_poll_than_the_one_that_was_cut_ends_the_session){BOTH_FEEDS({
    open_polling();
    fake_cut(fake_request("GET", marked("a1"), NULL));
    fake_ask("GET", marked("a2"), NULL, 400);
    ck_assert_uint_eq(closes, 1);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_TRANSPORT);
})} END_TEST

    START_TEST(a_closing_session_waits_for_a_poll_that_was_cut_no_longer)
{
    fake_engineio.ping_interval_ms = 25000;
    fake_start(&ops, false);
    closes = 0;
    open_polling();
    fake_cut(fake_request("GET", marked("a1"), NULL));
    engineio_session_close(echo.session);
    fake_pass(1501);
    ck_assert_uint_eq(engineio_server_stats(world.engineio)->polling, 0);
    fake_stop();
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(a_held_poll_that_is_sent_again_moves_to_its_new_connection)
{
    fake_start(&ops, false);
    closes = 0;
    open_polling();
    char marked[160];
    snprintf(marked, sizeof(marked), "%s&t=a1", session_url);
    struct fake_wire *first = fake_request("GET", marked, NULL);
    struct fake_wire *second = fake_request("GET", marked, NULL);
    ck_assert(first->closed && first->aborted);
    fake_ask("POST", session_url, "4x", 200);
    ck_assert_str_eq(fake_answer(second, 200), "4x");
    ck_assert_uint_eq(closes, 0);
    fake_stop();
}
END_TEST

static void payload_limits(void)
{
    open_polling();
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1333334\r\n\r\n",
             session_url);
    fake_send(wire, bytes_of_string(text));
    ck_assert_str_eq(fake_answer(wire, 413), "");
    ck_assert_uint_eq(closes, 0);
    fake_ask("POST", session_url, "4still here", 200);
    fake_ask("POST", session_url, "abc", 400);
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_PROTOCOL);
}

START_TEST(attachments_may_exceed_the_limit_by_the_clients_own_rounding)
{
    static char body[1300006];
    fake_start(&ops, false);
    closes = 0;
    open_polling();
    memset(body, 'A', sizeof(body) - 1);
    memcpy(body,
           "4x\x1e"
           "b",
           4);
    body[1300004] = '\0';
    ck_assert_str_eq(fake_ask("POST", session_url, body, 200), "ok");
    body[3] = '4';
    fake_ask("POST", session_url, body, 413);
    body[1000001] = '\0';
    fake_ask("POST", session_url, body, 413);
    ck_assert_uint_eq(closes, 0);
    fake_ask("POST", session_url, "4alive", 200);
    fake_stop();
}
END_TEST

START_TEST(a_body_too_large_is_refused_alone_but_a_malformed_one_ends_the_session){
    BOTH_FEEDS(payload_limits())} END_TEST

    static void client_closes(void)
{
    open_polling();
    struct fake_wire *poll = fake_request("GET", session_url, NULL);
    fake_ask("POST", session_url, "1", 200);
    ck_assert_str_eq(fake_answer(poll, 200), "6");
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_CLIENT);
}

START_TEST(a_close_packet_releases_the_poll_with_a_noop){BOTH_FEEDS(client_closes())} END_TEST

    /* Sent before the close packet, on another connection, and read behind it. */
    static void client_closes_first(void)
{
    closes = 0;
    open_polling();
    fake_ask("POST", session_url,
             "4unwanted\x1e"
             "1",
             200);
    ck_assert_uint_eq(closes, 1);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_CLIENT);
    fake_ask("POST", session_url, "4late", 400);
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "6");
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_uint_eq(closes, 1);
}

START_TEST(a_poll_that_is_read_behind_the_close_packet_gets_its_noop){
    BOTH_FEEDS(client_closes_first())} END_TEST

    static void client_is_gone(void)
{
    closes = 0;
    open_polling();
    fake_ask("POST", session_url, "1", 200);
    fake_pass(150);
    fake_ask("GET", session_url, NULL, 400);
    ck_assert_ptr_null(world.engineio->sessions);
    ck_assert_uint_eq(world.engineio->stats.polling, 0);
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(world.engineio->stats.closed[ENGINEIO_CLOSE_CLIENT], 1);
}

START_TEST(a_session_that_its_client_closed_is_soon_forgotten){
    BOTH_FEEDS(client_is_gone())} END_TEST

    static void server_closes(void)
{
    open_polling();
    fake_ask("POST", session_url,
             "4before\x1e"
             "4close\x1e"
             "4after",
             200);
    ck_assert_uint_eq(closes, 1);
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "4before");
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "6\x1e"
                                                              "1");
    fake_ask("GET", session_url, NULL, 400);
    open_polling();
    struct fake_wire *poll = fake_request("GET", session_url, NULL);
    fake_ask("POST", session_url, "4close", 200);
    ck_assert_str_eq(fake_answer(poll, 200), "1");
    fake_ask("GET", session_url, NULL, 400);
    open_polling();
    fake_ask("POST", session_url, "4close", 200);
    fake_pass(30001);
    fake_ask("GET", session_url, NULL, 400);
}

START_TEST(a_close_by_the_server_never_shares_a_payload_with_messages){
    BOTH_FEEDS(server_closes())} END_TEST

    START_TEST(a_poll_answer_holds_no_more_packets_than_configured)
{
    fake_engineio.poll_packets = 16;
    fake_start(&ops, false);
    open_polling();
    echo.to_pull = 20;
    engineio_session_wake(echo.session);
    fake_turn();
    const char *body = fake_ask("GET", session_url, NULL, 200);
    size_t packets = 1;
    for (const char *c = body; *c; c++)
        packets += *c == 0x1e;
    ck_assert_uint_eq(packets, 16);
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "4n4\x1e"
                                                              "4n3\x1e"
                                                              "4n2\x1e"
                                                              "4n1");
    fake_stop();
    fake_engineio.poll_packets = 0;
}
END_TEST

START_TEST(large_poll_answers_are_compressed_if_asked_for)
{
    fake_engineio.compress = true;
    fake_start(&ops, false);
    open_polling();
    echo.to_pull = 1;
    echo.pull_size = 4000;
    engineio_session_wake(echo.session);
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n",
             session_url);
    fake_send(wire, bytes_of_string(text));
    size_t size = buffer_size(&wire->out);
    ck_assert_ptr_nonnull(strstr(fake_take(wire), "Content-Encoding: gzip"));
    ck_assert_uint_lt(size, 1000);
    fake_stop();
    fake_engineio.compress = false;
}
END_TEST

START_TEST(old_browsers_are_told_not_to_look_for_scripts)
{
    static const char *const agents[] = {"Mozilla/4.0 (compatible;MSIE 8.0)",
                                         "Mozilla/5.0 (Trident/7.0; rv:11.0) like Gecko"};
    for (size_t i = 0; i < sizeof(agents) / sizeof(agents[0]); i++) {
        fake_start(&ops, false);
        open_polling();
        for (int posts = 1; posts >= 0; posts--) {
            struct fake_wire *wire = fake_open();
            auto_buffer struct buffer text = {0};
            buffer_append_format(&text, "%s %s HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\n",
                                 posts ? "POST" : "GET", session_url, agents[i]);
            buffer_append_string(&text, posts ? "Content-Length: 2\r\n\r\n4x" : "\r\n");
            fake_send(wire, buffer_peek(&text));
            ck_assert_ptr_nonnull(strstr(fake_take(wire), "X-XSS-Protection: 0\r\n"));
        }
        struct fake_wire *other = fake_request("POST", session_url, "4x");
        ck_assert_ptr_null(strstr(fake_take(other), "X-XSS"));
        fake_stop();
    }
}
END_TEST

/* ---- Heartbeat ---- */

static void polling_heartbeat(void)
{
    open_polling();
    for (int i = 0; i < 3; i++) {
        struct fake_wire *poll = fake_request("GET", session_url, NULL);
        fake_pass(299);
        ck_assert_str_eq(fake_take(poll), "");
        fake_pass(1);
        ck_assert_str_eq(fake_answer(poll, 200), "2");
        fake_ask("POST", session_url, "3", 200);
    }
    ck_assert_uint_eq(closes, 0);
    fake_pass(499);
    ck_assert_uint_eq(closes, 0);
    fake_pass(1);
    ck_assert_uint_eq(closes, 1);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_PING_TIMEOUT);
}

START_TEST(a_ping_comes_an_interval_after_the_pong_and_its_lack_ends_the_session){
    BOTH_FEEDS(polling_heartbeat())} END_TEST

    START_TEST(a_request_that_is_read_before_the_timer_fires_finds_the_session_dead)
{
    fake_start(&ops, false);
    open_polling();
    world.now_ms += 500; /* no turn in between */
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", session_url);
    wire->wire.receiver_ops->bytes(wire->wire.receiver, bytes_of_string(text), world.now_ms);
    fake_answer(wire, 400);
    fake_stop();
}
END_TEST

START_TEST(pings_do_not_move_by_a_span_in_which_nothing_ran)
{
    fake_start(&ops, false);
    closes = 0;
    struct fake_wire *idle = open_websocket(), *asked = open_websocket();
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
    ck_assert_uint_eq(closes, 1);
    fake_stop();
}
END_TEST

START_TEST(the_first_other_packet_moves_the_deadline_of_a_pong_once)
{
    fake_start(&ops, false);
    closes = 0;
    struct fake_wire *wire = open_websocket();
    fake_pass(300);
    ck_assert_str_eq(fake_frames(wire), "2");
    fake_pass(150);
    fake_frame(wire, "4a"); /* moved to 650 */
    fake_pass(150);
    fake_frame(wire, "4b"); /* not again */
    fake_pass(49);
    ck_assert_uint_eq(closes, 0);
    fake_pass(1);
    ck_assert_uint_eq(closes, 1);
    ck_assert(wire->closed);
    fake_stop();
}
END_TEST

START_TEST(a_held_poll_ends_with_a_close_packet_at_a_ping_timeout)
{
    fake_start(&ops, false);
    open_polling();
    fake_pass(300);
    ck_assert_str_eq(fake_ask("GET", session_url, NULL, 200), "2");
    struct fake_wire *poll = fake_request("GET", session_url, NULL);
    fake_pass(200);
    ck_assert_str_eq(fake_answer(poll, 200), "1");
    fake_stop();
}
END_TEST

/* ---- WebSocket ---- */

static void echo_over_websocket(void)
{
    struct fake_wire *wire = open_websocket();
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
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_PROTOCOL);
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
        struct fake_wire *wire = open_websocket();
        struct buffer close = {0};
        fake_append_frame(&close, 8, BYTES_LITERAL("\x03\xe8"));
        fake_send(wire, buffer_peek(&close));
        buffer_deinit(&close);
        ck_assert_str_eq(fake_frames(wire), "<close 1000>");
        ck_assert(wire->closed && !wire->aborted);
        ck_assert_int_eq(last_close, ENGINEIO_CLOSE_TRANSPORT);
    })} END_TEST

    START_TEST(all_that_is_ready_goes_out_in_one_write_within_the_limit)
{
    fake_engineio.write_bytes = 10000;
    fake_start(&ops, false);
    struct fake_wire *wire = open_websocket();
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
    fake_start(&ops, false);
    struct fake_wire *wire = open_websocket();
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
    fake_start(&ops, false);
    closes = 0;
    struct fake_wire *wire = open_websocket();
    wire->full = true;
    fake_frame(wire, "4one");
    for (int i = 0; i < 30; i++)
        if (!wire->closed)
            fake_frame(wire, "4more and more");
    ck_assert_uint_eq(closes, 1);
    ck_assert_int_eq(last_close, ENGINEIO_CLOSE_OVERFLOW);
    fake_drain(wire);
    ck_assert(wire->closed);
    fake_stop();
    fake_engineio.queue_bytes = 1 << 20;
}
END_TEST

/* ---- Upgrade ---- */

static void upgrade(void)
{
    open_polling();
    struct fake_wire *held = fake_request("GET", session_url, NULL);
    struct fake_wire *wire = open_probe();
    fake_frame(wire, "2probe");
    ck_assert_str_eq(fake_frames(wire), "3probe");
    ck_assert_str_eq(fake_answer(held, 200), "6");
    struct fake_wire *late = fake_request("GET", session_url, NULL);
    fake_pass(100);
    ck_assert_str_eq(fake_answer(late, 200), "6");
    fake_ask("POST", session_url, "4while probing", 200);
    fake_frame(wire, "5");
    ck_assert_str_eq(fake_frames(wire), "4while probing");
    fake_ask("GET", session_url, NULL, 400);
    second_is_closed();
    fake_frame(wire, "4alive");
    ck_assert_str_eq(fake_frames(wire), "4alive");
    ck_assert_uint_eq(engineio_server_stats(world.engineio)->upgrades, 1);
}

START_TEST(an_upgrade_moves_the_session_and_what_it_owes){BOTH_FEEDS(upgrade())} END_TEST

    static void abandoned_probes(void)
{
    open_polling();
    struct fake_wire *wrong = open_probe();
    fake_frame(wrong, "4hello");
    ck_assert(wrong->closed);
    struct fake_wire *lost = open_probe();
    fake_frame(lost, "2probe");
    fake_cut(lost);
    struct fake_wire *second = open_probe();
    second_is_closed();
    for (int i = 0; i < 20 && !second->closed; i++) {
        fake_ask("POST", session_url, "3", 200);
        fake_pass(290);
    }
    for (int i = 0; i < 30; i++) {
        fake_ask("POST", session_url, "3", 200);
        fake_pass(290);
    }
    ck_assert(second->closed);
    ck_assert_uint_eq(closes, 0);
    fake_ask("POST", session_url, "4alive", 200);
    ck_assert_ptr_nonnull(strstr(fake_ask("GET", session_url, NULL, 200), "4alive"));
    struct fake_wire *at_last = open_probe();
    fake_frame(at_last, "2probe");
    fake_frame(at_last, "5");
    fake_frame(at_last, "4new");
    ck_assert_ptr_nonnull(strstr(fake_frames(at_last), "4new"));
}

START_TEST(an_abandoned_probe_leaves_polling_alive){BOTH_FEEDS(abandoned_probes())} END_TEST

    START_TEST(a_ping_that_found_no_poll_goes_out_over_the_upgraded_websocket)
{
    fake_start(&ops, false);
    closes = 0;
    open_polling();
    struct fake_wire *wire = open_probe();
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
    fake_start(&ops, false);
    open_polling();
    struct fake_wire *wire = open_probe();
    fake_frame(wire, "2probe");
    fake_ask("POST", session_url, "1", 200);
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
    open_polling();
    char other[160];
    snprintf(other, sizeof(other), "/engine.io/?EIO=4&transport=websocket&sid=%s", sid);
    fake_ask("GET", other, NULL, 400);
    snprintf(other, sizeof(other), "/engine.io/?EIO=3&transport=polling&sid=%s", sid);
    fake_ask("GET", other, NULL, 400);
    fake_ask("PUT", session_url, NULL, 400);
    ck_assert_uint_eq(closes, 0);
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
    fake_start(&ops, false);
    open_polling();
    engineio_server_drain(world.engineio);
    fake_ask("GET", "/engine.io/?EIO=4&transport=polling", NULL, 503);
    fake_ask("POST", session_url, "4old ones live", 200);
    fake_stop();
}
END_TEST

/* By which a load balancer may stick to the gateway; on the handshake's answer and no other. */
START_TEST(a_cookie_names_the_session_if_asked_for)
{
    fake_engineio.cookie = "io";
    fake_start(&ops, false);
    struct fake_wire *wire = fake_request("GET", "/engine.io/?EIO=4&transport=polling", NULL);
    const char *text = fake_take(wire);
    const char *named = strstr(text, "Set-Cookie: io=");
    const char *body = strstr(text, "\"sid\":\"");
    ck_assert(named && body);
    ck_assert_int_eq(strncmp(named + 15, body + 7, SID_KEY_SIZE), 0);
    ck_assert_int_eq(strncmp(named + 15 + SID_KEY_SIZE, "; Path=/; HttpOnly; SameSite=Lax\r\n", 34),
                     0);
    snprintf(session_url, sizeof(session_url), "/engine.io/?EIO=4&transport=polling&sid=%.*s",
             SID_KEY_SIZE, body + 7);
    wire = fake_request("POST", session_url, "4x");
    ck_assert_ptr_null(strstr(fake_take(wire), "Set-Cookie"));
    wire = fake_request("GET", session_url, NULL);
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
    fake_start(&ops, false);
    struct fake_wire *wire = open_websocket();
    fake_frame(wire, "4hello");
    ck_assert_uint_eq(echo.session->queue.capacity, 0);
    ck_assert_ptr_null(echo.session->polling);
    ck_assert_uint_eq(websocket_reader_memory(&echo.session->link->reader), 0);
    fake_stop();
}
END_TEST

TEST_PROGRAM("engineio_server", messages_are_echoed_over_polling_in_one_payload,
             an_aborted_poll_ends_the_session, a_half_sent_post_ends_the_session,
             overlapping_polls_are_both_answered_and_end_the_session,
             overlapping_posts_are_both_answered_and_end_the_session,
             a_request_that_a_balancer_repeats_is_answered_alike_and_done_once,
             a_held_poll_that_is_sent_again_moves_to_its_new_connection,
             a_poll_that_was_cut_may_come_again_for_a_while,
             a_poll_that_was_cut_and_does_not_come_again_ends_the_session,
             another_poll_than_the_one_that_was_cut_ends_the_session,
             a_closing_session_waits_for_a_poll_that_was_cut_no_longer,
             attachments_may_exceed_the_limit_by_the_clients_own_rounding,
             a_body_too_large_is_refused_alone_but_a_malformed_one_ends_the_session,
             a_close_packet_releases_the_poll_with_a_noop,
             a_poll_that_is_read_behind_the_close_packet_gets_its_noop,
             a_session_that_its_client_closed_is_soon_forgotten,
             a_close_by_the_server_never_shares_a_payload_with_messages,
             a_poll_answer_holds_no_more_packets_than_configured,
             large_poll_answers_are_compressed_if_asked_for,
             old_browsers_are_told_not_to_look_for_scripts,
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
             an_upgrade_moves_the_session_and_what_it_owes, an_abandoned_probe_leaves_polling_alive,
             a_ping_that_found_no_poll_goes_out_over_the_upgraded_websocket,
             a_session_that_ends_takes_its_probe_with_it,
             refusals_have_the_codes_and_the_order_of_the_javascript_server,
             a_draining_server_takes_no_new_sessions, a_cookie_names_the_session_if_asked_for,
             an_idle_websocket_session_is_small)
