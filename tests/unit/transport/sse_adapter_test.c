#include "sse_adapter.h"

#include <stdio.h>

#include "adapter_fixture.h"
#include "presence.h"
#include "suite.h"

#define STREAM "Accept: text/event-stream\r\n"
#define GOOD STREAM "Authorization: Bearer good\r\n"

static struct fake_wire *ask(const char *target, const char *fields)
{
    fake_fields = fields;
    struct fake_wire *wire = fake_request("GET", target, NULL);
    fake_fields = "";
    return wire;
}

/* What came, without the head and the chunks around it, masked. */
static const char *stream(struct fake_wire *wire)
{
    static char text[sizeof(world.text)];
    const char *rest = fake_take(wire), *head = strstr(rest, "\r\n\r\n");
    size_t size = 0;
    if (strncmp(rest, "HTTP/1.1 200", 12) == 0)
        rest = head + 4;
    while (*rest) {
        unsigned chunk = 0;
        int used = 0;
        ck_assert_msg(sscanf(rest, "%x\r\n%n", &chunk, &used) == 1, "no chunk: %s", rest);
        memcpy(text + size, rest + used, chunk);
        size += chunk;
        ck_assert_int_eq(strncmp(rest + used + chunk, "\r\n", 2), 0);
        rest += used + (int)chunk + 2;
    }
    text[size] = '\0';
    return fixture_mask(text);
}

/* Behind "retry: N" and its empty line, which every stream begins with. */
static const char *behind_retry(const char *text)
{
    unsigned retry_ms = 0;
    int used = 0;
    ck_assert_int_eq(sscanf(text, "retry: %u\n\n%n", &retry_ms, &used), 1);
    ck_assert_uint_ge(retry_ms, 1000);
    ck_assert_uint_le(retry_ms, 3000);
    return text + used;
}

#define NOTIFICATION(room, n)                                            \
    "event: task.status\ndata: "                                         \
    "{\"id\":\"n\",\"time\":\"2026-01-01T00:00:00Z\",\"rooms\":[\"" room \
    "\"],\"taskStatus\":{\"status\":\"progress\",\"data\":{\"n\":" n "}}}\nid: <id>\n\n"
#define SESSION(recovered) \
    "event: session\ndata: {\"sid\":\"<sid>\",\"recovered\":" recovered "}\nid: <id>\n\n"

static struct fake_wire *open_stream(const char *target)
{
    struct fake_wire *wire = ask(target, GOOD);
    ck_assert_str_eq(behind_retry(stream(wire)), SESSION("false"));
    return wire;
}

START_TEST(a_stream_says_what_happens)
{
    fixture_start(false);
    struct fake_wire *wire = ask("/sse?room=task:42&room=task%3A43&x=1", GOOD);
    ck_assert_ptr_nonnull(
        strstr((const char *)wire->out.data, "Content-Type: text/event-stream; charset=utf-8\r\n"));
    ck_assert_ptr_nonnull(strstr((const char *)wire->out.data, "Transfer-Encoding: chunked\r\n"));
    ck_assert_str_eq(behind_retry(stream(wire)), SESSION("false"));
    fixture_publish("task:42", true);
    ck_assert_str_eq(stream(wire), NOTIFICATION("task:42", "1"));
    fixture_publish("task:44", true);
    ck_assert_str_eq(stream(wire), "");
    fixture_publish("task:43", false);
    fixture_publish("user:usr_1", true);
    ck_assert_str_eq(stream(wire), NOTIFICATION("task:43", "3") NOTIFICATION("user:usr_1", "4"));
    fixture_set_stale(true);
    ck_assert_str_eq(stream(wire), "event: stale\ndata: {\"since\":1000}\nid: <same id>\n\n");
    fixture_set_stale(false);
    ck_assert_str_eq(stream(wire), "event: live\ndata: {}\nid: <same id>\n\n");
    fixture_stop();
}
END_TEST

START_TEST(an_old_client_gets_the_stream_without_chunks)
{
    fixture_start(true);
    struct fake_wire *wire = fake_open();
    fake_send(wire, BYTES_LITERAL("GET /sse HTTP/1.0\r\nAuthorization: bearer good\r\n\r\n"));
    const char *text = fake_take(wire);
    ck_assert_ptr_null(strstr(text, "chunked"));
    ck_assert_ptr_nonnull(strstr(text, "\n\nevent: session\ndata: {"));
    fixture_stop();
}
END_TEST

static void expect_refusal(const char *target, const char *fields, unsigned code, const char *word)
{
    struct fake_wire *wire = ask(target, fields);
    fake_turn();
    const char *body = fake_answer(wire, code);
    char expected[128];
    snprintf(expected, sizeof(expected), "{\"error\":{\"code\":\"%s\"", word);
    ck_assert_msg(strncmp(body, expected, strlen(expected)) == 0, "%s: %s", target, body);
    if (!wire->closed)
        fake_cut(wire);
}

START_TEST(refusals_are_answers_before_the_stream)
{
    fixture_start(false);
    expect_refusal("/sse", STREAM, 401, "token_missing");
    expect_refusal("/sse", STREAM "Authorization: Bearer bad\r\n", 401, "token_invalid");
    expect_refusal("/sse?room=task:1&room=secret:1", GOOD, 403, "not_allowed");
    expect_refusal("/sse?room=nowhere:1", GOOD, 404, "no_such_room");
    expect_refusal("/sse?room=nonsense", GOOD, 400, "bad_room");
    expect_refusal("/sse?room=", GOOD, 400, "bad_room");
    expect_refusal("/sse?room=%zz", GOOD, 400, "bad_request");
    expect_refusal("/sse?room=task:1&room=task:2&room=task:3&room=task:4&room=task:5&room=task:6"
                   "&room=task:7&room=task:8&room=task:9",
                   GOOD, 400, "too_many_rooms");
    expect_refusal("/sse", "Accept: application/json\r\nAuthorization: Bearer good\r\n", 406,
                   "not_acceptable");
    fake_fields = GOOD;
    ck_assert_ptr_nonnull(strstr(fake_ask("POST", "/sse", "x", 405), "method"));
    ck_assert_uint_eq(hub_stats(fixture.hub)->sessions, 0);
    fixture_stop();
}
END_TEST

START_TEST(cookies_and_origins_are_as_configured)
{
    static const char *const origins[] = {"https://app.example", NULL};
    static const struct http_cors cors = {.origins = origins, .credentials = true};
    fixture_sse.cookie = "tok";
    fixture_sse.cors = &cors;
    fixture_start(false);
    struct fake_wire *wire =
        ask("/sse", STREAM "Cookie: a=b; tok=good\r\nOrigin: https://app.example\r\n");
    const char *text = fake_take(wire);
    ck_assert_int_eq(strncmp(text, "HTTP/1.1 200", 12), 0);
    ck_assert_ptr_nonnull(strstr(text, "Access-Control-Allow-Origin: https://app.example\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Access-Control-Allow-Credentials: true\r\n"));
    wire = ask("/sse?room=secret:1", STREAM "Cookie: tok=good\r\nOrigin: https://app.example\r\n");
    fake_turn();
    text = fake_take(wire);
    ck_assert_int_eq(strncmp(text, "HTTP/1.1 403", 12), 0);
    ck_assert_ptr_nonnull(strstr(text, "Access-Control-Allow-Origin: https://app.example\r\n"));
    fixture_stop();
}
END_TEST

START_TEST(the_last_id_resumes)
{
    char fields[4096];
    fixture_start(false);
    struct fake_wire *wire = open_stream("/sse?room=task:42");
    fixture_publish("task:42", true);
    ck_assert_str_eq(stream(wire), NOTIFICATION("task:42", "1"));
    snprintf(fields, sizeof(fields), GOOD "Last-Event-ID: %s\r\n", fixture_id);
    fake_cut(wire);
    fixture_publish("task:42", true);
    fixture_publish("user:usr_1", true);
    wire = ask("/sse?room=task:42", fields);
    ck_assert_str_eq(behind_retry(stream(wire)),
                     SESSION("true") NOTIFICATION("task:42", "2") NOTIFICATION("user:usr_1", "3"));
    fake_cut(wire);
    wire = ask("/sse?room=task:42", GOOD "Last-Event-ID: rubbish.x\r\n");
    const char *text = behind_retry(stream(wire));
    ck_assert_ptr_nonnull(strstr(text, "\"recovered\":false,\"reason\":\""));
    fixture_stop();
}
END_TEST

START_TEST(what_comes_before_all_rooms_are_joined_is_kept_back)
{
    fixture_start(false);
    fixture.review_closed = true;
    struct fake_wire *wire = ask("/sse?room=task:42&room=review:legal", GOOD);
    fixture_publish("task:42", true);
    fixture_publish("user:usr_1", true);
    ck_assert_str_eq(fake_take(wire), "");
    fixture.review_closed = false;
    fake_turn();
    ck_assert_str_eq(behind_retry(stream(wire)),
                     NOTIFICATION("task:42", "1") NOTIFICATION("user:usr_1", "2") SESSION("false"));
    fixture_stop();
}
END_TEST

/* Who is in the rooms that are joined already is told behind it, however much that is: it is more than
 * may be kept back. */
START_TEST(presence_comes_behind_the_session_event)
{
    static const char *const kinds[] = {"task", "review"};
    fixture_hub.presence = (struct presence_limits){
        .kinds = kinds, .kind_count = 2, .users = 100, .entries = 1000, .tenant_entries = 1000};
    fixture_sse.clients.write_bytes = 512;
    fixture_start(false);
    struct presence *presence = hub_presence(fixture.hub);
    char name[] = "somebody-with-a-long-name-000";
    struct presence_seat *seats[60];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name + sizeof(name) - 4, 4, "%03u", i);
        seats[i] = presence_enter(presence, BYTES_LITERAL("acme"), BYTES_LITERAL("task:42"),
                                  bytes_of_string(name), NULL);
    }
    fixture.review_closed = true;
    struct fake_wire *wire = ask("/sse?room=task:42&room=review:legal&presence=1", GOOD);
    fake_pass(300);
    ck_assert_str_eq(fake_take(wire), "");
    fixture.review_closed = false;
    fake_turn();
    fake_pass(1000);
    const char *text = stream(wire);
    const char *session = strstr(text, "event: session\n");
    const char *news = strstr(text, "event: presence\n");
    ck_assert_msg(session && news && session < news, "%s", text);
    ck_assert(strstr(news, "\"count\":61"));
    for (unsigned i = 0; i < 60; i++)
        presence_leave(presence, seats[i], 0);
    fixture_stop();
}
END_TEST

#define PAST(room, n)                                                                  \
    "event: history\ndata: {\"room\":\"" room "\",\"event\":\"task.status\",\"data\":" \
    "{\"id\":\"n\",\"time\":\"2026-01-01T00:00:00Z\",\"rooms\":[\"" room               \
    "\"],\"taskStatus\":{\"status\":\"progress\",\"data\":{\"n\":" n "}}}}\nid: <id>\n\n"
#define SESSION_WITH(recovered, count, complete)                        \
    "event: session\ndata: {\"sid\":\"<sid>\",\"recovered\":" recovered \
    ",\"history\":{\"count\":" count ",\"complete\":" complete "}}\nid: <id>\n\n"

START_TEST(history_comes_before_the_session_event)
{
    char fields[4096];
    fixture_start(false);
    struct fake_wire *other = open_stream("/sse");
    fixture_publish("task:42", true);
    fixture_publish("task:42", true);
    fixture_publish("task:43", true);
    struct fake_wire *wire = ask("/sse?room=task:42&room=task:43&last=1", GOOD);
    ck_assert_str_eq(behind_retry(stream(wire)),
                     PAST("task:42", "2") PAST("task:43", "3") SESSION_WITH("false", "2", "true"));
    fixture_publish("task:42", true);
    ck_assert_str_eq(stream(wire), NOTIFICATION("task:42", "4"));
    snprintf(fields, sizeof(fields), GOOD "Last-Event-ID: %s\r\n", fixture_id);
    fake_cut(wire);
    fixture_publish("task:43", true);
    wire = ask("/sse?room=task:42&room=task:43&last=1", fields); /* it has it */
    ck_assert_str_eq(behind_retry(stream(wire)), SESSION("true") NOTIFICATION("task:43", "5"));
    fake_cut(wire);
    fake_cut(other);
    expect_refusal("/sse?room=task:42&last=0", GOOD, 400, "bad_history");
    expect_refusal("/sse?room=task:42&since=2026-13-01T00:00:00Z", GOOD, 400, "bad_history");
    expect_refusal("/sse?room=task:42&room=secret:1&last=1", GOOD, 403, "not_allowed");
    fixture_stop();
}
END_TEST

#define ITEM(room, n, item)                                                                \
    "{\"event\":\"task.status\",\"data\":{\"id\":\"n\",\"time\":\"2026-01-01T00:00:00Z\"," \
    "\"rooms\":[\"" room "\"],\"item\":{\"key\":\"" item                                   \
    "\"},\"taskStatus\":{\"status\":\"progress\",\"data\":{\"n\":" n "}}}}"
#define STATE(room, items)                                                                   \
    "event: state\ndata: {\"room\":\"" room "\",\"first\":true,\"items\":[" items "]}\nid: " \
    "<id>\n\n"

START_TEST(state_comes_before_the_session_event_and_not_again_on_return)
{
    char fields[4096];
    fixture_start(false);
    struct fake_wire *other = open_stream("/sse");
    fixture_publish_item("task:42", "a", false);
    fixture_publish_item("task:42", "b", false);
    fixture_publish_item("task:42", "a", true);
    struct fake_wire *wire = ask("/sse?room=task:42&room=task:43&state=1", GOOD);
    ck_assert_str_eq(
        behind_retry(stream(wire)),
        STATE("task:42", ITEM("task:42", "2", "b")) STATE(
            "task:43", "") "event: session\ndata: {\"sid\":\"<sid>\",\"recovered\":false,\"state\":"
                           "{\"count\":1,\"complete\":true,\"since\":0}}\nid: <id>\n\n");
    fixture_publish("task:42", true);
    ck_assert_str_eq(stream(wire), NOTIFICATION("task:42", "4"));
    snprintf(fields, sizeof(fields), GOOD "Last-Event-ID: %s\r\n", fixture_id);
    fake_cut(wire);
    fixture_publish("task:43", true);
    wire = ask("/sse?room=task:42&room=task:43&state=1", fields); /* it has it */
    ck_assert_str_eq(behind_retry(stream(wire)), SESSION("true") NOTIFICATION("task:43", "5"));
    fake_cut(wire);
    fake_cut(other);
    expect_refusal("/sse?room=task:42&state=1&last=1", GOOD, 400, "bad_state");
    expect_refusal("/sse?room=task:42&state=2", GOOD, 400, "bad_state");
    expect_refusal("/sse?room=task:42&room=secret:1&state=true", GOOD, 403, "not_allowed");
    fixture_stop();
}
END_TEST

START_TEST(a_lane_that_does_not_open_ends_a_stream_that_has_begun)
{
    fixture_start(false);
    fixture.review_closed = true;
    fixture_publish("task:42", true);
    struct fake_wire *wire = ask("/sse?room=task:42&room=review:legal&last=1", GOOD);
    ck_assert_str_eq(behind_retry(stream(wire)), PAST("task:42", "1"));
    ck_assert(!wire->closed);
    fake_pass(1500);
    ck_assert_ptr_nonnull(
        strstr(fake_take(wire), "event: unavailable\ndata: {\"error\":{\"code\":"));
    ck_assert(wire->closed);
    fixture_stop();
}
END_TEST

START_TEST(trouble_of_ours_sends_an_event_source_round_again)
{
    fixture_start(false);
    fixture.all_closed = true;
    struct fake_wire *wire = ask("/sse", GOOD);
    struct fake_wire *plain = ask("/sse", "Authorization: Bearer good\r\n");
    struct fake_wire *trouble = ask("/sse", STREAM "Authorization: Bearer trouble\r\n");
    fake_pass(1500);
    ck_assert_ptr_nonnull(strstr(fake_answer(plain, 503), "\"unavailable\""));
    ck_assert_str_eq(behind_retry(fake_answer(wire, 200)),
                     "event: unavailable\ndata: {\"error\":{\"code\":\"unavailable\","
                     "\"message\":\"not possible now: try again\"}}\n\n");
    ck_assert_ptr_nonnull(strstr(fake_answer(trouble, 200), "\"no_keys\""));
    ck_assert(wire->closed && plain->closed && trouble->closed);
    fixture_stop();
}
END_TEST

START_TEST(a_room_whose_lane_does_not_open_is_trouble_of_ours)
{
    fixture_start(false);
    fixture.review_closed = true;
    struct fake_wire *wire = ask("/sse?room=review:legal", GOOD);
    fake_pass(1500);
    ck_assert_ptr_nonnull(strstr(fake_answer(wire, 200), "event: unavailable\n"));
    fixture_stop();
}
END_TEST

START_TEST(an_idle_stream_has_a_heart)
{
    fixture_start(false);
    struct fake_wire *wire = open_stream("/sse");
    fake_pass(700);
    ck_assert_str_eq(stream(wire), ":\n\n"); /* not where something was said meanwhile */
    fixture_publish("user:usr_1", true);
    fake_pass(290);
    ck_assert_str_eq(stream(wire), NOTIFICATION("user:usr_1", "1"));
    fake_pass(300);
    ck_assert_str_eq(stream(wire), ":\n\n");
    fixture_stop();
}
END_TEST

START_TEST(a_hidden_cursor_is_a_bare_id)
{
    fixture_start(false);
    struct fake_wire *wire = open_stream("/sse");
    for (int i = 0; i < 200; i++)
        fixture_publish("task:other", true);
    fake_pass(30000);
    const char *text = stream(wire);
    ck_assert_msg(strstr(text, "id: <id>\n\n") != NULL, "%s", text);
    ck_assert_ptr_null(strstr(text, "data:"));
    fixture_stop();
}
END_TEST

START_TEST(a_slow_stream_gets_everything_in_order_and_a_stuck_one_ends)
{
    unsigned got = 0;
    fixture_hub.ring_bytes = 4096;
    fixture_start(false);
    struct fake_wire *wire = open_stream("/sse");
    wire->full = true;
    for (int i = 0; i < 500; i++)
        fixture_publish("user:usr_1", true);
    for (int i = 0; i < 50; i++) {
        const char *text = fake_take(wire);
        ck_assert_uint_lt(strlen(text), 64 * 1024 + 1024);
        for (const char *at = text; (at = strstr(at, "{\"n\":")); at++) {
            unsigned n = 0;
            ck_assert_int_eq(sscanf(at, "{\"n\":%u}", &n), 1);
            ck_assert_uint_eq(n, ++got);
        }
        fake_drain(wire);
        wire->full = true;
        fake_pass(10);
    }
    ck_assert_uint_eq(got, 500);
    fixture_publish("user:usr_1", true);
    fake_pass(1500);
    ck_assert(!wire->closed);
    fake_pass(1500);
    ck_assert(wire->closed);
    fixture_stop();
}
END_TEST

START_TEST(an_expired_token_is_told_and_ends_the_stream)
{
    fixture_start(false);
    struct fake_wire *wire = ask("/sse", STREAM "Authorization: Bearer soon\r\n");
    fake_pass(900);
    stream(wire);
    fake_pass(200);
    ck_assert_ptr_nonnull(
        strstr(stream(wire), "event: token_expired\ndata: {\"graceMs\":500}\n\n"));
    fake_pass(500);
    ck_assert_ptr_nonnull(strstr(fake_take(wire), "0\r\n\r\n"));
    ck_assert(wire->closed);
    fixture_stop();
}
END_TEST

START_TEST(who_it_is_may_be_found_out_later)
{
    fixture_start(false);
    struct fake_wire *wire = ask("/sse", STREAM "Authorization: Bearer late\r\n");
    ck_assert_str_eq(fake_take(wire), "");
    fixture_decide(true);
    ck_assert_str_eq(behind_retry(stream(wire)), SESSION("false"));
    struct fake_wire *gone = ask("/sse", STREAM "Authorization: Bearer late\r\n");
    fake_cut(gone);
    ck_assert_ptr_null(fixture.asked);
    struct fake_wire *waiting = ask("/sse", STREAM "Authorization: Bearer late\r\n");
    fake_pass(3500);
    ck_assert_ptr_nonnull(strstr(fake_answer(waiting, 200), "event: unavailable\n"));
    ck_assert_ptr_null(fixture.asked);
    fixture_stop();
}
END_TEST

START_TEST(draining_ends_streams_so_that_they_come_back)
{
    fixture_start(false);
    struct fake_wire *wire = open_stream("/sse");
    struct fake_wire *waiting = ask("/sse", STREAM "Authorization: Bearer late\r\n");
    wire_clients_refuse(sse_adapter_clients(fixture.sse));
    wire_clients_send_away(sse_adapter_clients(fixture.sse), 1000);
    fake_turn();
    ck_assert_str_eq(fake_take(wire), "0\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(fake_answer(waiting, 200), "event: unavailable\n"));
    ck_assert(wire->closed && waiting->closed);
    struct fake_wire *late = ask("/sse", GOOD);
    ck_assert_ptr_nonnull(strstr(fake_answer(late, 200), "\"ending\""));
    fixture_stop();
}
END_TEST

#define ROOM(event, room, more) "event: " event "\ndata: {\"room\":\"" room "\"" more "}\n"

/* A stream brings its token when it comes back: down, up, sideways. */
START_TEST(rights_are_those_of_the_token_at_the_return)
{
    static const char *const returns[][2] = {
        {"teams-a", ROOM("unsubscribed", "team:b", ",\"reason\":\"not_allowed\"")},
        {"teams-a", ""},
        {"teams-ab", ROOM("subscribed", "team:b", "")},
        {"teams-bc", ROOM("subscribed", "team:c", "")},
        {"teams-c", ROOM("unsubscribed", "team:b", ",\"reason\":\"not_allowed\"")},
    };
    char fields[2300];
    fixture_start(false);
    struct fake_wire *wire = ask("/sse", STREAM "Authorization: Bearer teams-ab\r\n");
    ck_assert_str_eq(behind_retry(stream(wire)), SESSION("false"));
    for (size_t i = 0; i < sizeof(returns) / sizeof(returns[0]); i++) {
        fake_cut(wire);
        snprintf(fields, sizeof(fields), STREAM "Authorization: Bearer %s\r\nLast-Event-ID: %s\r\n",
                 returns[i][0], fixture_id);
        wire = ask("/sse", fields);
        fake_turn();
        const char *told = behind_retry(stream(wire));
        ck_assert_ptr_nonnull(strstr(told, "\"recovered\":true"));
        ck_assert_msg(strstr(told, returns[i][1]) != NULL, "%s", told);
        ck_assert_int_eq(strstr(told, "subscribed") != NULL, *returns[i][1] != '\0');
    }
    fixture_stop();
}
END_TEST

TEST_PROGRAM("sse_adapter", rights_are_those_of_the_token_at_the_return, a_stream_says_what_happens,
             an_old_client_gets_the_stream_without_chunks, refusals_are_answers_before_the_stream,
             cookies_and_origins_are_as_configured, the_last_id_resumes,
             what_comes_before_all_rooms_are_joined_is_kept_back,
             history_comes_before_the_session_event, presence_comes_behind_the_session_event,
             state_comes_before_the_session_event_and_not_again_on_return,
             a_lane_that_does_not_open_ends_a_stream_that_has_begun,
             trouble_of_ours_sends_an_event_source_round_again,
             a_room_whose_lane_does_not_open_is_trouble_of_ours, an_idle_stream_has_a_heart,
             a_hidden_cursor_is_a_bare_id,
             a_slow_stream_gets_everything_in_order_and_a_stuck_one_ends,
             an_expired_token_is_told_and_ends_the_stream, who_it_is_may_be_found_out_later,
             draining_ends_streams_so_that_they_come_back)
