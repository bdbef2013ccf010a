/* What is asked of the Engine.IO server over long-polling. */
#include <stdio.h>

#include "echo_application.h"
#include "engineio_private.h"
#include "suite.h"

static void echo_over_polling(void)
{
    echo_open_polling();
    ck_assert_str_eq(fake_ask("POST", echo.url,
                              "4test1\x1e"
                              "4test2\x1e"
                              "bAQIDBA==",
                              200),
                     "ok");
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "4test1\x1e"
                                                           "4test2\x1e"
                                                           "bAQIDBA==");
    struct fake_wire *poll = fake_request("GET", echo.url, NULL);
    ck_assert_str_eq(fake_take(poll), "");
    ck_assert_str_eq(fake_ask("POST", echo.url, "4later", 200), "ok");
    ck_assert_str_eq(fake_answer(poll, 200), "4later");
}

START_TEST(messages_are_echoed_over_polling_in_one_payload){
    BOTH_FEEDS(echo_over_polling())} END_TEST

    static void aborted_poll(void)
{
    echo_open_polling();
    struct fake_wire *poll = fake_request("GET", echo.url, NULL);
    fake_cut(poll);
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_TRANSPORT);
}

START_TEST(an_aborted_poll_ends_the_session){BOTH_FEEDS(aborted_poll())} END_TEST

    static void half_sent_post(void)
{
    echo_open_polling();
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4half",
             echo.url);
    fake_send(wire, bytes_of_string(text));
    ck_assert_uint_eq(echo.closes, 0);
    fake_cut(wire);
    ck_assert_uint_eq(echo.closes, 1);
}

START_TEST(a_half_sent_post_ends_the_session){BOTH_FEEDS(half_sent_post())} END_TEST

    static void overlapping_polls(void)
{
    echo_open_polling();
    struct fake_wire *first = fake_request("GET", echo.url, NULL);
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_str_eq(fake_answer(first, 200), "1");
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_PROTOCOL);
}

START_TEST(overlapping_polls_are_both_answered_and_end_the_session){
    BOTH_FEEDS(overlapping_polls())} END_TEST

    static void overlapping_posts(void)
{
    echo_open_polling();
    struct fake_wire *first = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4half",
             echo.url);
    fake_send(first, bytes_of_string(text));
    fake_ask("POST", echo.url, "4b", 400);
    fake_answer(first, 400);
    ck_assert_uint_eq(echo.closes, 1);
}

START_TEST(overlapping_posts_are_both_answered_and_end_the_session){
    BOTH_FEEDS(overlapping_posts())} END_TEST

    static void repeated_requests(void)
{
    echo_open_polling();
    char marked[160];
    snprintf(marked, sizeof(marked), "%s&t=a1", echo.url);
    fake_ask("POST", marked, "4one", 200);
    fake_ask("POST", marked, "4one", 200);
    ck_assert_str_eq(fake_ask("GET", marked, NULL, 200), "4one");
    fake_ask("POST", echo.url, "4two", 200);
    ck_assert_str_eq(fake_ask("GET", marked, NULL, 200), "4one");
    snprintf(marked, sizeof(marked), "%s&t=a2", echo.url);
    ck_assert_str_eq(fake_ask("GET", marked, NULL, 200), "4two");
    struct fake_wire *held = fake_request("GET", echo.url, NULL);
    ck_assert_str_eq(fake_take(held), "");
    /* Clients draw their marks: another body with the mark of the one before is another. */
    fake_ask("POST", marked, "4three", 200);
    ck_assert_str_eq(fake_answer(held, 200), "4three");
    fake_ask("POST", marked, "4four!", 200);
    fake_ask("POST", marked, "4four!", 200);
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "4four!");
    ck_assert_uint_eq(echo.closes, 0);
}

START_TEST(a_request_that_a_balancer_repeats_is_answered_alike_and_done_once){
    BOTH_FEEDS(repeated_requests())} END_TEST

    static char marked_url[160];

static const char *marked(const char *mark)
{
    snprintf(marked_url, sizeof(marked_url), "%s&t=%s", echo.url, mark);
    return marked_url;
}

START_TEST(a_poll_that_was_cut_may_come_again_for_a_while)
{
    fake_engineio.ping_interval_ms = 25000;
    BOTH_FEEDS({
        echo_open_polling();
        fake_cut(fake_request("GET", marked("a1"), NULL));
        ck_assert_uint_eq(echo.closes, 0);
        fake_ask("POST", echo.url, "4x", 200);
        fake_pass(1000);
        ck_assert_str_eq(fake_ask("GET", marked("a1"), NULL, 200), "4x");
        struct fake_wire *held = fake_request("GET", marked("a2"), NULL);
        fake_pass(2000);
        ck_assert_uint_eq(echo.closes, 0);
        ck_assert_str_eq(fake_take(held), "");
    });
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(a_poll_that_was_cut_and_does_not_come_again_ends_the_session)
{
    fake_engineio.ping_interval_ms = 25000;
    BOTH_FEEDS({
        echo_open_polling();
        fake_cut(fake_request("GET", marked("a1"), NULL));
        fake_pass(1499);
        ck_assert_uint_eq(echo.closes, 0);
        fake_pass(2);
        ck_assert_uint_eq(echo.closes, 1);
        ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_TRANSPORT);
        fake_ask("GET", marked("a1"), NULL, 400);
    });
    fake_engineio.ping_interval_ms = 300;
}
END_TEST

START_TEST(another_poll_than_the_one_that_was_cut_ends_the_session){BOTH_FEEDS({
    echo_open_polling();
    fake_cut(fake_request("GET", marked("a1"), NULL));
    fake_ask("GET", marked("a2"), NULL, 400);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_TRANSPORT);
})} END_TEST

    START_TEST(a_closing_session_waits_for_a_poll_that_was_cut_no_longer)
{
    fake_engineio.ping_interval_ms = 25000;
    fake_start(&echo_ops, false);
    echo.closes = 0;
    echo_open_polling();
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
    fake_start(&echo_ops, false);
    echo.closes = 0;
    echo_open_polling();
    char marked[160];
    snprintf(marked, sizeof(marked), "%s&t=a1", echo.url);
    struct fake_wire *first = fake_request("GET", marked, NULL);
    struct fake_wire *second = fake_request("GET", marked, NULL);
    ck_assert(first->closed && first->aborted);
    fake_ask("POST", echo.url, "4x", 200);
    ck_assert_str_eq(fake_answer(second, 200), "4x");
    ck_assert_uint_eq(echo.closes, 0);
    fake_stop();
}
END_TEST

static void payload_limits(void)
{
    echo_open_polling();
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1333334\r\n\r\n",
             echo.url);
    fake_send(wire, bytes_of_string(text));
    ck_assert_ptr_nonnull(strstr(fake_answer(wire, 413), "\"code\":\"too_large\""));
    ck_assert_uint_eq(echo.closes, 0);
    fake_ask("POST", echo.url, "4still here", 200);
    fake_ask("POST", echo.url, "abc", 400);
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_PROTOCOL);
}

START_TEST(attachments_may_exceed_the_limit_by_the_clients_own_rounding)
{
    static char body[1300006];
    fake_start(&echo_ops, false);
    echo.closes = 0;
    echo_open_polling();
    memset(body, 'A', sizeof(body) - 1);
    memcpy(body,
           "4x\x1e"
           "b",
           4);
    body[1300004] = '\0';
    ck_assert_str_eq(fake_ask("POST", echo.url, body, 200), "ok");
    body[3] = '4';
    fake_ask("POST", echo.url, body, 413);
    body[1000001] = '\0';
    fake_ask("POST", echo.url, body, 413);
    ck_assert_uint_eq(echo.closes, 0);
    fake_ask("POST", echo.url, "4alive", 200);
    fake_stop();
}
END_TEST

START_TEST(a_body_too_large_is_refused_alone_but_a_malformed_one_ends_the_session){
    BOTH_FEEDS(payload_limits())} END_TEST

    static void client_closes(void)
{
    echo_open_polling();
    struct fake_wire *poll = fake_request("GET", echo.url, NULL);
    fake_ask("POST", echo.url, "1", 200);
    ck_assert_str_eq(fake_answer(poll, 200), "6");
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_CLIENT);
}

START_TEST(a_close_packet_releases_the_poll_with_a_noop){BOTH_FEEDS(client_closes())} END_TEST

    /* Sent before the close packet, on another connection, and read behind it. */
    static void client_closes_first(void)
{
    echo.closes = 0;
    echo_open_polling();
    fake_ask("POST", echo.url,
             "4unwanted\x1e"
             "1",
             200);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_int_eq(echo.last_close, ENGINEIO_CLOSE_CLIENT);
    fake_ask("POST", echo.url, "4late", 400);
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "6");
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_uint_eq(echo.closes, 1);
}

START_TEST(a_poll_that_is_read_behind_the_close_packet_gets_its_noop){
    BOTH_FEEDS(client_closes_first())} END_TEST

    static void client_is_gone(void)
{
    echo.closes = 0;
    echo_open_polling();
    fake_ask("POST", echo.url, "1", 200);
    fake_pass(150);
    fake_ask("GET", echo.url, NULL, 400);
    ck_assert_ptr_null(world.engineio->sessions);
    ck_assert_uint_eq(world.engineio->stats.polling, 0);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_uint_eq(world.engineio->stats.closed[ENGINEIO_CLOSE_CLIENT], 1);
}

START_TEST(a_session_that_its_client_closed_is_soon_forgotten){
    BOTH_FEEDS(client_is_gone())} END_TEST

    static void server_closes(void)
{
    echo_open_polling();
    fake_ask("POST", echo.url,
             "4before\x1e"
             "4close\x1e"
             "4after",
             200);
    ck_assert_uint_eq(echo.closes, 1);
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "4before");
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "6\x1e"
                                                           "1");
    fake_ask("GET", echo.url, NULL, 400);
    echo_open_polling();
    struct fake_wire *poll = fake_request("GET", echo.url, NULL);
    fake_ask("POST", echo.url, "4close", 200);
    ck_assert_str_eq(fake_answer(poll, 200), "1");
    fake_ask("GET", echo.url, NULL, 400);
    echo_open_polling();
    fake_ask("POST", echo.url, "4close", 200);
    fake_pass(30001);
    fake_ask("GET", echo.url, NULL, 400);
}

START_TEST(a_close_by_the_server_never_shares_a_payload_with_messages){
    BOTH_FEEDS(server_closes())} END_TEST

    START_TEST(a_poll_answer_holds_no_more_packets_than_configured)
{
    fake_engineio.poll_packets = 16;
    fake_start(&echo_ops, false);
    echo_open_polling();
    echo.to_pull = 20;
    engineio_session_wake(echo.session);
    fake_turn();
    const char *body = fake_ask("GET", echo.url, NULL, 200);
    size_t packets = 1;
    for (const char *c = body; *c; c++)
        packets += *c == 0x1e;
    ck_assert_uint_eq(packets, 16);
    ck_assert_str_eq(fake_ask("GET", echo.url, NULL, 200), "4n4\x1e"
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
    fake_start(&echo_ops, false);
    echo_open_polling();
    echo.to_pull = 1;
    echo.pull_size = 4000;
    engineio_session_wake(echo.session);
    struct fake_wire *wire = fake_open();
    char text[256];
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n",
             echo.url);
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
        fake_start(&echo_ops, false);
        echo_open_polling();
        for (int posts = 1; posts >= 0; posts--) {
            struct fake_wire *wire = fake_open();
            auto_buffer struct buffer text = {0};
            buffer_append_format(&text, "%s %s HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\n",
                                 posts ? "POST" : "GET", echo.url, agents[i]);
            buffer_append_string(&text, posts ? "Content-Length: 2\r\n\r\n4x" : "\r\n");
            fake_send(wire, buffer_peek(&text));
            ck_assert_ptr_nonnull(strstr(fake_take(wire), "X-XSS-Protection: 0\r\n"));
        }
        struct fake_wire *other = fake_request("POST", echo.url, "4x");
        ck_assert_ptr_null(strstr(fake_take(other), "X-XSS"));
        fake_stop();
    }
}
END_TEST

TEST_PROGRAM("engineio_polling", messages_are_echoed_over_polling_in_one_payload,
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
             old_browsers_are_told_not_to_look_for_scripts)
