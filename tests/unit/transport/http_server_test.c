#include "http_server.h"

#include <stdio.h>

#include "fake_wire.h"
#include "suite.h"

/* ---- A route that holds what it is asked until the test answers ---- */

static struct http_exchange *held;
static unsigned requests, bodies, aborts;
static enum http_abort last_abort;
static char last_body[256];

static void hold(void *route, struct http_exchange *exchange, const struct http_request *request,
                 int64_t now_ms)
{
    (void)route, (void)now_ms;
    requests++;
    if (bytes_equal(request->path, BYTES_LITERAL("/hold/now"))) {
        http_exchange_answer(exchange,
                             &(struct http_answer){.code = 200, .body = BYTES_LITERAL("now")});
        return;
    }
    held = exchange;
}

static void take_body(void *route, struct http_exchange *exchange, struct bytes body,
                      int64_t now_ms)
{
    (void)route, (void)now_ms, (void)exchange;
    bodies++;
    snprintf(last_body, sizeof(last_body), "%.*s", BYTES_PRINT(body));
}

static void aborted(void *route, struct http_exchange *exchange, enum http_abort reason,
                    int64_t now_ms)
{
    (void)route, (void)now_ms;
    ck_assert_ptr_eq(exchange, held);
    held = NULL;
    aborts++;
    last_abort = reason;
}

static void *opened(void *application, struct engineio_session *session, int64_t now_ms)
{
    (void)application, (void)now_ms;
    return session;
}

static const struct engineio_application_ops no_application = {.opened = opened};

static void start(bool byte_by_byte)
{
    static const char *const origins[] = {"https://a.test", "https://b.test", NULL};
    static const struct http_cors cors = {.origins = origins, .credentials = true};
    fake_start(&no_application, byte_by_byte);
    http_server_add_route(world.http, &(struct http_route){.path = "/hold/",
                                                           .body_bytes = 100,
                                                           .request = hold,
                                                           .body = take_body,
                                                           .aborted = aborted});
    http_server_add_route(
        world.http, &(struct http_route){.path = "/hold/cors/", .cors = &cors, .request = hold});
    static const struct http_origins listed = {.listed = origins};
    http_server_add_route(
        world.http,
        &(struct http_route){.path = "/hold/listed/", .origins = &listed, .request = hold});
    static const struct http_origins loopback = {.listed = origins, .loopback = true};
    http_server_add_route(
        world.http,
        &(struct http_route){.path = "/hold/local/", .origins = &loopback, .request = hold});
    held = NULL;
    requests = bodies = aborts = 0;
}

static void send(struct fake_wire *wire, const char *text)
{
    fake_send(wire, bytes_of_string(text));
    fake_turn();
}

static void answer_held(const char *body)
{
    struct http_exchange *exchange = held;
    held = NULL;
    http_exchange_answer(exchange,
                         &(struct http_answer){.code = 200, .body = bytes_of_string(body)});
    fake_turn();
}

#define BOTH_FEEDS(...)                                \
    for (int bytewise = 0; bytewise < 2; bytewise++) { \
        start(bytewise);                               \
        __VA_ARGS__                                    \
        fake_stop();                                   \
    }

START_TEST(pipelined_requests_are_answered_in_order_one_at_a_time){BOTH_FEEDS({
    struct fake_wire *wire = fake_open();
    send(wire, "GET /hold/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /hold/now HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /hold/3 HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_uint_eq(requests, 1);
    answer_held("first");
    ck_assert_uint_eq(requests, 3);
    answer_held("third");
    const char *text = fake_take(wire);
    const char *first = strstr(text, "first"), *second = strstr(text, "now"),
               *third = strstr(text, "third");
    ck_assert(first && first < second && second < third);
    ck_assert(!wire->closed);
})} END_TEST

    START_TEST(too_much_behind_an_unanswered_request_closes_the_connection)
{
    start(false);
    struct fake_wire *wire = fake_open();
    send(wire, "GET /hold/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    char filler[3000];
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    send(wire, filler);
    ck_assert(!wire->closed);
    send(wire, filler);
    ck_assert(wire->closed && wire->aborted);
    ck_assert_uint_eq(aborts, 1);
    fake_stop();
}
END_TEST

START_TEST(bodies_are_collected_and_bounded_by_their_route){BOTH_FEEDS({
    struct fake_wire *wire = fake_open();
    send(wire, "POST /hold/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
               "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    ck_assert_str_eq(last_body, "abcde");
    answer_held("ok");
    fake_answer(wire, 200);
    send(wire, "POST /hold/ HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n");
    fake_answer(wire, 413);
    ck_assert(wire->closed && !wire->aborted);
    ck_assert_int_eq(last_abort, HTTP_ABORT_REFUSED);
    ck_assert_uint_eq(bodies, 1);
})} END_TEST

    START_TEST(an_answer_before_the_body_drops_the_body_and_keeps_the_connection){BOTH_FEEDS({
        struct fake_wire *wire = fake_open();
        send(wire, "POST /hold/now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
                   "GET /hold/now HTTP/1.1\r\nHost: x\r\n\r\n");
        ck_assert_uint_eq(requests, 2);
        ck_assert_uint_eq(bodies, 0);
        ck_assert(!wire->closed);
    })} END_TEST

    START_TEST(what_has_come_of_a_dropped_body_is_no_part_of_the_next)
{
    for (int taken = 0; taken < 2; taken++) {
        start(false);
        struct fake_wire *wire = fake_open();
        if (taken) { /* by a route that takes none: refused once it is whole */
            send(wire, "POST /hold/cors/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        } else { /* answered while the rest of it is still to come */
            send(wire, "GET /hold/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
            answer_held("early");
            send(wire, "de");
        }
        send(wire, "POST /hold/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
        ck_assert_uint_eq(bodies, 1);
        ck_assert_str_eq(last_body, "ok");
        answer_held("");
        fake_stop();
    }
}
END_TEST

START_TEST(slow_heads_and_bodies_meet_an_absolute_deadline)
{
    start(false);
    struct fake_wire *head = fake_open();
    for (int i = 0; i < 9; i++) {
        send(head, i ? "a" : "GET /");
        fake_pass(1000);
    }
    ck_assert(!head->closed);
    fake_pass(1001);
    fake_answer(head, 408);
    ck_assert(head->closed);
    struct fake_wire *body = fake_open();
    send(body, "POST /hold/ HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n");
    for (int i = 0; i < 19; i++) {
        send(body, "x");
        fake_pass(1000);
    }
    ck_assert(!body->closed);
    fake_pass(1001);
    fake_answer(body, 408);
    ck_assert(body->closed);
    ck_assert_int_eq(last_abort, HTTP_ABORT_REFUSED);
    struct fake_wire *silent = fake_open();
    fake_pass(10000);
    ck_assert(silent->closed);
    ck_assert_str_eq(fake_take(silent), "");
    fake_stop();
}
END_TEST

START_TEST(an_idle_connection_is_closed_after_its_time)
{
    start(false);
    struct fake_wire *wire = fake_open();
    send(wire, "GET /hold/now HTTP/1.1\r\nHost: x\r\n\r\n");
    fake_pass(59999);
    ck_assert(!wire->closed);
    fake_pass(1);
    ck_assert(wire->closed && !wire->aborted);
    fake_stop();
}
END_TEST

START_TEST(what_is_no_request_is_refused_and_closed)
{
    static const struct {
        const char *text;
        unsigned code;
    } cases[] = {
        {"HELLO\r\n\r\n", 400},
        {"GET /x HTTP/1.1\r\n\r\n", 400},
        {"GET /x HTTP/2.5\r\nHost: x\r\n\r\n", 505},
        {"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        BOTH_FEEDS({
            struct fake_wire *wire = fake_open();
            send(wire, cases[i].text);
            fake_answer(wire, cases[i].code);
            ck_assert(wire->closed && !wire->aborted);
        })
    start(false);
    struct fake_wire *wire = fake_open();
    struct buffer long_line = {0};
    buffer_append_string(&long_line, "GET /");
    for (int i = 0; i < 9000; i++)
        buffer_append_byte(&long_line, 'a');
    fake_send(wire, buffer_peek(&long_line));
    fake_answer(wire, 414);
    buffer_deinit(&long_line);
    fake_stop();
}
END_TEST

START_TEST(a_client_that_leaves_before_the_answer_is_told_to_the_route){BOTH_FEEDS({
    struct fake_wire *wire = fake_open();
    send(wire, "GET /hold/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    fake_cut(wire);
    ck_assert_uint_eq(aborts, 1);
    ck_assert_int_eq(last_abort, HTTP_ABORT_CLOSED);
})} END_TEST

    START_TEST(http_1_0_and_close_end_the_connection_after_the_answer){BOTH_FEEDS({
        struct fake_wire *old = fake_open();
        send(old, "GET /hold/now HTTP/1.0\r\n\r\n");
        fake_answer(old, 200);
        ck_assert(old->closed && !old->aborted);
        struct fake_wire *last = fake_open();
        send(last, "GET /hold/now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        ck_assert_ptr_nonnull(strstr(fake_take(last), "Connection: close"));
        ck_assert(last->closed);
    })} END_TEST

    START_TEST(the_client_is_told_to_go_on_with_its_body)
{
    start(false);
    struct fake_wire *wire = fake_open();
    send(wire,
         "POST /hold/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    ck_assert_str_eq(fake_take(wire), "HTTP/1.1 100 Continue\r\n\r\n");
    send(wire, "ok");
    answer_held("done");
    fake_answer(wire, 200);
    fake_stop();
}
END_TEST

START_TEST(cross_origin_rules_are_on_preflights_answers_and_errors){BOTH_FEEDS({
    struct fake_wire *wire = fake_open();
    send(wire,
         "OPTIONS /hold/cors/now HTTP/1.1\r\nHost: x\r\nOrigin: https://b.test\r\n"
         "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-a, x-b\r\n\r\n");
    const char *text = fake_take(wire);
    ck_assert_int_eq(strncmp(text, "HTTP/1.1 204 ", 13), 0);
    ck_assert_ptr_nonnull(strstr(text, "Access-Control-Allow-Origin: https://b.test\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Access-Control-Allow-Headers: x-a, x-b\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Vary: Origin, Access-Control-Request-Headers\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Access-Control-Allow-Credentials: true\r\n"));
    ck_assert_uint_eq(requests, 0);
    send(wire, "GET /hold/cors/x HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.test\r\n\r\n");
    answer_held("x");
    text = fake_take(wire);
    ck_assert_ptr_null(strstr(text, "Allow-Origin"));
    ck_assert_ptr_nonnull(strstr(text, "Vary: Origin\r\n"));
})} END_TEST

    static bool is_admitted(const char *path, const char *origin)
{
    char text[256];
    unsigned before = requests;
    struct fake_wire *wire = fake_open();
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: Own.test:81\r\n%s\r\n", path, origin);
    send(wire, text);
    bool admitted = requests > before;
    if (admitted)
        answer_held("x");
    else
        ck_assert_ptr_nonnull(strstr(fake_answer(wire, 403), "\"code\":\"origin_not_allowed\""));
    fake_cut(wire);
    return admitted;
}

START_TEST(pages_of_other_origins_are_refused)
{
    static const struct {
        const char *field;
        bool listed, local;
    } cases[] = {
        {"", true, true}, /* no page */
        {"Origin: https://b.test\r\n", true, true},
        {"Origin: https://B.test\r\n", false, false},
        {"Origin: https://evil.test\r\n", false, false},
        {"Origin: null\r\n", false, false},
        {"Origin: https://b.test\r\nOrigin: https://a.test\r\n", false, false},
        {"Origin: https://own.test:81\r\n", true, false}, /* the page that comes from here */
        {"Origin: https://own.test\r\n", false, false},
        {"Origin: http://localhost:3000\r\n", false, true},
        {"Origin: http://127.0.0.1\r\n", false, true},
        {"Origin: http://[::1]:8080\r\n", false, true},
        {"Origin: http://localhost.evil.test\r\n", false, false},
        {"Origin: http://127.0.0.1.evil.test:80\r\n", false, false},
    };
    start(false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(is_admitted("/hold/listed/", cases[i].field) == cases[i].listed, "listed: %s",
                      cases[i].field);
        ck_assert_msg(is_admitted("/hold/local/", cases[i].field) == cases[i].local, "local: %s",
                      cases[i].field);
    }
    fake_stop();
}
END_TEST

START_TEST(a_blocked_wire_takes_no_further_request)
{
    start(false);
    struct fake_wire *wire = fake_open();
    wire->full = true;
    send(wire, "GET /hold/now HTTP/1.1\r\nHost: x\r\n\r\n");
    send(wire, "GET /hold/now HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_uint_eq(requests, 1);
    fake_drain(wire);
    ck_assert_uint_eq(requests, 2);
    fake_stop();
}
END_TEST

START_TEST(draining_closes_idle_connections_and_those_that_are_answered)
{
    start(false);
    struct fake_wire *idle = fake_open();
    send(idle, "GET /hold/now HTTP/1.1\r\nHost: x\r\n\r\n");
    struct fake_wire *busy = fake_open();
    send(busy, "GET /hold/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    http_server_drain(world.http);
    ck_assert(idle->closed && !busy->closed);
    answer_held("bye");
    ck_assert(busy->closed && !busy->aborted);
    fake_stop();
}
END_TEST

TEST_PROGRAM("http_server", pipelined_requests_are_answered_in_order_one_at_a_time,
             too_much_behind_an_unanswered_request_closes_the_connection,
             bodies_are_collected_and_bounded_by_their_route,
             an_answer_before_the_body_drops_the_body_and_keeps_the_connection,
             what_has_come_of_a_dropped_body_is_no_part_of_the_next,
             slow_heads_and_bodies_meet_an_absolute_deadline,
             an_idle_connection_is_closed_after_its_time, what_is_no_request_is_refused_and_closed,
             a_client_that_leaves_before_the_answer_is_told_to_the_route,
             http_1_0_and_close_end_the_connection_after_the_answer,
             the_client_is_told_to_go_on_with_its_body,
             cross_origin_rules_are_on_preflights_answers_and_errors,
             pages_of_other_origins_are_refused, a_blocked_wire_takes_no_further_request,
             draining_closes_idle_connections_and_those_that_are_answered)
