#include "websocket_adapter.h"

#include <stdio.h>

#include "adapter_fixture.h"
#include "client.pb-c.h"
#include "suite.h"
#include "websocket_frame.h"

#define JSON_FIELD "Sec-WebSocket-Protocol: other, smartstack.v1.json\r\n"
#define PROTOBUF_FIELD "Sec-WebSocket-Protocol: smartstack.v1.protobuf\r\n"
#define WELCOME                                                                              \
    "{\"type\":\"welcome\",\"sid\":\"<sid>\",\"session\":\"<session>\",\"recovered\":false," \
    "\"pingIntervalMs\":300,\"pingTimeoutMs\":200,\"cursor\":\"<cursor>\"}"

static struct fake_wire *open_websocket(const char *protocol)
{
    fake_fields = protocol;
    struct fake_wire *wire = fake_upgrade("/ws", NULL);
    fake_fields = "";
    ck_assert_int_eq(strncmp((const char *)wire->out.data, "HTTP/1.1 101", 12), 0);
    return wire;
}

static const char *frames(struct fake_wire *wire)
{
    static char text[sizeof(world.text)];
    strcpy(text, fake_frames(wire));
    return fixture_mask(text);
}

static struct fake_wire *open_connected(void)
{
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    fake_frame(wire, "{\"type\":\"connect\",\"token\":\"good\"}");
    fake_turn();
    ck_assert_str_eq(frames(wire), WELCOME);
    return wire;
}

static const struct wire_client_stats *stats(void)
{
    return &websocket_adapter_clients(fixture.websocket)->stats;
}

/* --- the golden conversation */

static void replace(char *line, size_t size, const char *word, const char *value)
{
    char *at = strstr(line, word);
    if (!at)
        return;
    auto_buffer struct buffer text = {0};
    buffer_append_format(&text, "%.*s%s%s", (int)(at - line), line, value, at + strlen(word));
    ck_assert_uint_lt(buffer_size(&text), size);
    memcpy(line, text.data, buffer_size(&text));
    line[buffer_size(&text)] = '\0';
}

static void happen(struct fake_wire **wire, const char *what)
{
    char room[64];
    char key[8];
    char event[32];
    if (sscanf(what, "emit %31s to %63s", event, room) == 2) {
        fixture_emit(room, event);
        return;
    }
    if (sscanf(what, "publish %63s about %7s", room, key) == 2) {
        fixture_publish_item(room, key, false);
        return;
    }
    if (sscanf(what, "publish %63s without %7s", room, key) == 2) {
        fixture_publish_item(room, key, true);
        return;
    }
    if (sscanf(what, "publish %63s", room) == 1) {
        fixture_publish(room, true);
    } else if (strcmp(what, "stale") == 0 || strcmp(what, "live") == 0) {
        fixture_set_stale(what[0] == 's');
    } else {
        ck_assert_str_eq(what, "reconnect");
        fake_cut(*wire);
        *wire = open_websocket(JSON_FIELD);
    }
}

static void check_heard(struct fake_wire *wire, const struct buffer *expected, unsigned line)
{
    char text[16384] = "", close[32];
    ck_assert_uint_lt(buffer_size(expected), sizeof(text));
    memcpy(text, expected->data, buffer_size(expected));
    for (unsigned code;
         sscanf(strstr(text, "close ") ? strstr(text, "close ") : "", "close %u", &code) == 1;) {
        snprintf(close, sizeof(close), "close %u", code);
        char frame[40];
        snprintf(frame, sizeof(frame), "<shut %u>", code);
        replace(text, sizeof(text), close, frame);
    }
    replace(text, sizeof(text), "<shut", "<close");
    const char *heard = frames(wire);
    ck_assert_msg(strcmp(heard, text) == 0, "line %u:\n%s\ninstead of\n%s", line, heard, text);
}

static void converse(bool byte_by_byte)
{
    char line[4096];
    unsigned number = 0;
    struct buffer expected = {0};
    fixture_start(byte_by_byte);
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    FILE *file = fopen("tests/golden/smartstack-v1-json.txt", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        number++;
        if (line[0] == '<') {
            if (buffer_size(&expected))
                buffer_append_byte(&expected, '|');
            buffer_append_string(&expected, line + 2);
        } else if (line[0] == '>' || line[0] == '!') {
            if (expected.data)
                check_heard(wire, &expected, number);
            buffer_clear(&expected);
            buffer_append_string(&expected, "");
            replace(line, sizeof(line), "<session>", fixture_session);
            replace(line, sizeof(line), "<cursor>", fixture_cursor);
            if (line[0] == '!')
                happen(&wire, line + 2);
            else
                fake_frame(wire, line + 2);
            fake_turn();
        }
    }
    check_heard(wire, &expected, number);
    ck_assert_uint_gt(number, 50);
    fclose(file);
    buffer_deinit(&expected);
    fixture_stop();
}

START_TEST(the_golden_conversation_is_held)
{
    converse(false);
    converse(true);
}
END_TEST

/* --- protobuf says the same */

static void send_message(struct fake_wire *wire, const Smartstack__V1__ClientMessage *message)
{
    uint8_t packed[512];
    ck_assert_uint_lt(smartstack__v1__client_message__get_packed_size(message), sizeof(packed));
    size_t size = smartstack__v1__client_message__pack(message, packed);
    fake_binary_frame(wire, bytes_of(packed, size));
    fake_turn();
}

/* Takes the next frame; the caller frees the message. */
static Smartstack__V1__ServerMessage *take_server_message(struct fake_wire *wire)
{
    struct bytes rest = buffer_peek(&wire->out);
    if (bytes_start_with(rest, BYTES_LITERAL("HTTP/1.1"))) {
        const uint8_t *end = memmem(rest.data, rest.size, "\r\n\r\n", 4);
        buffer_consume(&wire->out, (size_t)(end - rest.data) + 4);
        rest = buffer_peek(&wire->out);
    }
    ck_assert_uint_ge(rest.size, 2);
    ck_assert_int_eq(rest.data[0], 0x80 | WEBSOCKET_BINARY);
    size_t size = rest.data[1], header = 2;
    if (size == 126) {
        size = (size_t)rest.data[2] << 8 | rest.data[3];
        header = 4;
    }
    Smartstack__V1__ServerMessage *message =
        smartstack__v1__server_message__unpack(NULL, size, rest.data + header);
    ck_assert_ptr_nonnull(message);
    buffer_consume(&wire->out, header + size);
    return message;
}

static void release(Smartstack__V1__ServerMessage *message)
{
    smartstack__v1__server_message__free_unpacked(message, NULL);
}

START_TEST(protobuf_says_the_same)
{
    fixture_start(false);
    struct fake_wire *wire = open_websocket(PROTOBUF_FIELD);
    Smartstack__V1__ClientMessage request = SMARTSTACK__V1__CLIENT_MESSAGE__INIT;
    Smartstack__V1__Connect connect = SMARTSTACK__V1__CONNECT__INIT;
    char token[] = "good", task[] = "task:42", secret[] = "secret:1", *rooms[] = {task, secret};
    connect.token = token;
    request.id = 70000;
    request.content_case = SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_CONNECT;
    request.connect = &connect;
    send_message(wire, &request);
    Smartstack__V1__ServerMessage *answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_WELCOME);
    ck_assert_uint_eq(answer->id, 70000);
    ck_assert_uint_eq(strlen(answer->welcome->sid), 20);
    ck_assert(!answer->welcome->recovered && answer->welcome->session[0] && answer->cursor[0]);
    release(answer);

    Smartstack__V1__Subscribe subscribe = SMARTSTACK__V1__SUBSCRIBE__INIT;
    subscribe.rooms = rooms;
    subscribe.n_rooms = 2;
    request.content_case = SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_SUBSCRIBE;
    request.subscribe = &subscribe;
    send_message(wire, &request);
    answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT__NOT_SET);
    ck_assert(answer->cursor[0]);
    release(answer);
    answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_ERROR);
    ck_assert_uint_eq(answer->error->n_rooms, 1);
    ck_assert_str_eq(answer->error->rooms[0]->room, "secret:1");
    ck_assert_str_eq(answer->error->rooms[0]->code, "not_allowed");
    release(answer);

    fixture_publish("task:43", true);
    char past[] = "task:43";
    rooms[0] = past;
    subscribe.n_rooms = 1;
    subscribe.last = 2;
    send_message(wire, &request);
    answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_HISTORY);
    ck_assert_str_eq(answer->history->room, "task:43");
    ck_assert_ptr_nonnull(memmem(answer->history->notification.data,
                                 answer->history->notification.len, "{\"n\":1}", 7));
    ck_assert(answer->cursor[0]);
    release(answer);
    release(take_server_message(wire)); /* the cursor */
    answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_ACK);
    ck_assert(answer->ack->history->count == 1 && answer->ack->history->complete);
    release(answer);
    subscribe.since = -1;
    send_message(wire, &request);
    answer = take_server_message(wire);
    ck_assert_str_eq(answer->error->code, "bad_history");
    release(answer);

    fixture_publish_item("task:43", "a", false);
    release(take_server_message(wire)); /* it is in the room */
    subscribe.since = subscribe.last = 0;
    subscribe.state = true;
    size_t writes = wire->writes;
    send_message(wire, &request);
    answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_STATE);
    ck_assert_str_eq(answer->state->room, "task:43");
    ck_assert(answer->state->first && answer->state->n_notifications == 1);
    ck_assert_ptr_nonnull(memmem(answer->state->notifications[0].data,
                                 answer->state->notifications[0].len, "{\"n\":2}", 7));
    ck_assert(answer->cursor[0]);
    release(answer);
    release(take_server_message(wire)); /* the cursor */
    answer = take_server_message(wire);
    ck_assert(!answer->ack->history && answer->ack->state->count == 1 &&
              answer->ack->state->complete && answer->ack->state->since == 0);
    release(answer);
    ck_assert_uint_eq(wire->writes, writes + 2); /* of a state one event a write */
    subscribe.last = 1;
    send_message(wire, &request);
    answer = take_server_message(wire);
    ck_assert_str_eq(answer->error->code, "bad_state");
    release(answer);

    fixture_publish("task:42", true);
    answer = take_server_message(wire);
    ck_assert_int_eq(answer->content_case, SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_NOTIFICATION);
    ck_assert_ptr_nonnull(
        memmem(answer->notification.data, answer->notification.len, "{\"n\":3}", 7));
    ck_assert(answer->cursor[0]);
    release(answer);

    request.content_case = SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT__NOT_SET;
    send_message(wire, &request);
    answer = take_server_message(wire);
    ck_assert_str_eq(answer->error->code, "unknown_message");
    ck_assert_uint_eq(answer->id, 70000);
    release(answer);
    fake_frame(wire, "text");
    ck_assert_str_eq(fake_frames(wire), "<close 1003>");
    fixture_stop();
}
END_TEST

START_TEST(tokens_are_not_tried_for_ever)
{
    fixture_start(false);
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    fake_frame(wire, "{\"type\":\"connect\",\"token\":\"good\"}");
    fake_turn();
    fake_frames(wire);
    fake_frame(wire, "{\"type\":\"token\",\"token\":\"trouble\"}"); /* ours: not counted */
    for (int i = 0; i < 2; i++)
        fake_frame(wire, "{\"type\":\"token\",\"token\":\"bad\"}");
    ck_assert(!wire->closed);
    fake_frames(wire);
    fake_frame(wire, "{\"type\":\"token\",\"token\":\"bad\"}");
    fake_turn();
    ck_assert_str_eq(fake_frames(wire),
                     "{\"type\":\"error\",\"error\":{\"code\":\"token_invalid\",\"message\":"
                     "\"refused\"}}|<close 1008>");
    fixture_stop();
}
END_TEST

/* --- what must not be sent */

static void expect_end(const char *protocol, const char *text, const char *heard)
{
    struct fake_wire *wire = open_websocket(protocol);
    if (text)
        fake_frame(wire, text);
    else
        fake_binary_frame(wire, BYTES_LITERAL("\xff\xff"));
    fake_turn();
    ck_assert_str_eq(fake_frames(wire), heard);
    ck_assert(wire->closed && !wire->aborted);
}

START_TEST(what_must_not_be_sent_ends_the_connection)
{
    static char large[5000];
    fixture_start(false);
    memset(large, ' ', sizeof(large) - 1);
    expect_end(JSON_FIELD, "{\"type\":\"subscribe\",\"rooms\":[\"task:1\"]}", "<close 1008>");
    expect_end(JSON_FIELD, "nonsense", "<close 1007>");
    expect_end(JSON_FIELD, "{\"type\":\"connect\",\"token\":1}", "<close 1007>");
    expect_end(JSON_FIELD, NULL, "<close 1003>");
    expect_end(JSON_FIELD, large, "<close 1009>");
    expect_end(PROTOBUF_FIELD, NULL, "<close 1007>");
    expect_end(PROTOBUF_FIELD, "{}", "<close 1003>");
    ck_assert_uint_eq(stats()->violations, 7);
    fake_ask("GET", "/ws", NULL, 400);
    struct fake_wire *wire = fake_upgrade("/ws", NULL);
    ck_assert_ptr_nonnull(strstr(fake_take(wire), "HTTP/1.1 400"));
    fixture_stop();
}
END_TEST

START_TEST(answers_that_nobody_takes_end_the_connection)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    wire->full = true;
    for (int i = 0; i < 1000 && !wire->closed; i++)
        fake_frame(wire, "{\"type\":\"ping\"}");
    ck_assert(wire->closed);
    fixture_stop();
}
END_TEST

START_TEST(more_answers_at_once_than_may_wait_end_the_connection)
{
    fixture_hub.answers = 16;
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    auto_buffer struct buffer at_once = {0};
    for (int i = 0; i < 3; i++)
        fake_append_frame(
            &at_once, WEBSOCKET_TEXT,
            BYTES_LITERAL("{\"type\":\"unsubscribe\",\"id\":1,\"rooms\":[\"task:1\","
                          "\"task:2\",\"task:3\",\"task:4\",\"task:5\",\"task:6\"]}"));
    fake_send(wire, buffer_peek(&at_once));
    ck_assert_str_eq(fake_frames(wire), "<close 1008>");
    ck_assert(wire->closed);
    ck_assert_uint_eq(hub_stats(fixture.hub)->overflowed, 1);
    ck_assert_uint_eq(hub_stats(fixture.hub)->sessions, 0);
    ck_assert_uint_eq(stats()->violations, 1);
    fixture_stop();
}
END_TEST

START_TEST(subscriptions_that_wait_are_bounded)
{
    fixture_start(false);
    fixture.review_closed = true;
    struct fake_wire *wire = open_connected();
    auto_buffer struct buffer frames_at_once = {0};
    for (int i = 0; i < 5; i++)
        fake_append_frame(
            &frames_at_once, WEBSOCKET_TEXT,
            BYTES_LITERAL("{\"type\":\"subscribe\",\"id\":1,\"rooms\":[\"review:legal\"]}"));
    fake_send(wire, buffer_peek(&frames_at_once));
    ck_assert_ptr_nonnull(strstr(frames(wire), "\"too_many_requests\""));
    fixture_stop();
}
END_TEST

START_TEST(a_second_subscription_waits_for_the_lane_as_the_first_does)
{
    fixture_start(false);
    fixture.review_closed = true;
    struct fake_wire *wire = open_connected();
    fake_frame(wire, "{\"type\":\"subscribe\",\"id\":1,\"rooms\":[\"review:legal\"]}");
    fake_frame(wire, "{\"type\":\"subscribe\",\"id\":2,\"rooms\":[\"review:legal\"]}");
    fake_turn();
    ck_assert_str_eq(frames(wire), "");
    fixture.review_closed = false;
    fake_turn();
    ck_assert_str_eq(frames(wire),
                     "{\"type\":\"cursor\",\"cursor\":\"<cursor>\"}|{\"type\":\"ack\",\"id\":1}|"
                     "{\"type\":\"cursor\",\"cursor\":\"<same cursor>\"}|"
                     "{\"type\":\"ack\",\"id\":2}");
    fixture_stop();
}
END_TEST

/* --- time */

START_TEST(who_does_not_say_hello_is_closed)
{
    fixture_start(false);
    struct fake_wire *silent = open_websocket(JSON_FIELD);
    struct fake_wire *late = open_websocket(JSON_FIELD);
    fake_frame(late, "{\"type\":\"connect\",\"token\":\"late\"}");
    fake_pass(900);
    ck_assert_str_eq(fake_frames(silent), "");
    fake_pass(200);
    ck_assert_str_eq(fake_frames(silent), "<close 1008>");
    ck_assert_str_eq(fake_frames(late), "<close 1013>");
    ck_assert_ptr_null(fixture.asked);
    fixture_stop();
}
END_TEST

START_TEST(the_heart_beats_by_frames_and_by_messages)
{
    fixture_start(false);
    struct fake_wire *dead = open_connected(), *alive = open_connected();
    struct fake_wire *wordy = open_websocket(JSON_FIELD);
    fake_frame(wordy, "{\"type\":\"connect\",\"token\":\"good\",\"heartbeat\":true}");
    fake_turn();
    ck_assert_str_eq(frames(wordy), WELCOME);
    for (int beat = 0; beat < 3; beat++) {
        fake_pass(beat ? 500 : 310);
        ck_assert_str_eq(fake_frames(alive), "<9 >");
        ck_assert_str_eq(fake_frames(wordy), "{\"type\":\"ping\"}");
        struct buffer pong = {0};
        fake_append_frame(&pong, WEBSOCKET_PONG, bytes_of("", 0));
        fake_send(alive, buffer_peek(&pong));
        buffer_deinit(&pong);
        fake_frame(wordy, "{\"type\":\"pong\"}");
    }
    ck_assert_str_eq(fake_frames(dead), "<9 >|<close 1013>");
    ck_assert(!alive->closed && !wordy->closed);
    fixture_stop();
}
END_TEST

START_TEST(a_message_that_does_not_become_whole_is_not_waited_for)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    struct buffer frame = {0};
    fake_append_frame(&frame, WEBSOCKET_TEXT, BYTES_LITERAL("{\"type\":\"ping\"}"));
    for (size_t i = 0; i < 20 && !wire->closed; i++) {
        fake_send(wire, bytes_of(frame.data + i, 1));
        fake_pass(100);
    }
    buffer_deinit(&frame);
    ck_assert_str_eq(fake_frames(wire), "<9 >|<close 1008>");
    fixture_stop();
}
END_TEST

START_TEST(an_expired_token_is_told_and_may_be_refreshed)
{
    fixture_start(false);
    struct fake_wire *lazy = open_websocket(JSON_FIELD), *keen = open_websocket(JSON_FIELD);
    fake_frame(lazy, "{\"type\":\"connect\",\"token\":\"soon\",\"heartbeat\":true}");
    fake_frame(keen, "{\"type\":\"connect\",\"token\":\"soon\",\"heartbeat\":true}");
    fake_pass(290);
    fake_frames(lazy);
    fake_frames(keen);
    for (int i = 0; i < 8; i++) {
        fake_pass(100);
        fake_frame(lazy, "{\"type\":\"pong\"}");
        fake_frame(keen, "{\"type\":\"pong\"}");
    }
    ck_assert_ptr_nonnull(
        strstr(fake_frames(lazy), "{\"type\":\"token_expired\",\"graceMs\":500}"));
    fake_frames(keen);
    fake_frame(keen, "{\"type\":\"token\",\"id\":1,\"token\":\"late\"}");
    fake_frame(keen, "{\"type\":\"token\",\"id\":2,\"token\":\"good\"}");
    fixture_decide(true);
    ck_assert_str_eq(fake_frames(keen),
                     "{\"type\":\"error\",\"id\":2,\"error\":{\"code\":\"too_many_requests\","
                     "\"message\":\"too many requests of this session are not answered "
                     "yet\"}}|{\"type\":\"ack\",\"id\":1}");
    for (int i = 0; i < 6; i++) {
        fake_pass(100);
        if (!lazy->closed)
            fake_frame(lazy, "{\"type\":\"pong\"}");
        fake_frame(keen, "{\"type\":\"pong\"}");
    }
    ck_assert_ptr_nonnull(strstr(fake_frames(lazy), "<close 4401>"));
    ck_assert(!keen->closed);
    ck_assert_uint_eq(stats()->expired, 2);
    ck_assert_uint_eq(stats()->refreshed, 1);
    fixture_stop();
}
END_TEST

#define TOLD(type, room, more) \
    "{\"type\":\"" type "\",\"room\":\"" room "\"" more ",\"cursor\":\"<cursor>\"}"
#define LOST(room) TOLD("unsubscribed", room, ",\"reason\":\"not_allowed\"")
#define GIVEN(room) TOLD("subscribed", room, "")
#define ACK "{\"type\":\"ack\",\"id\":1}"

/* Down, up, sideways: what the token takes is told before its answer, and each word has a cursor of its
 * own, which names what is still to be told. */
START_TEST(a_fresh_token_takes_and_gives_rooms)
{
    static const char *const refreshes[][2] = {
        {"teams-a", LOST("team:b") "|" ACK},
        {"teams-ab", GIVEN("team:b") "|" ACK},
        {"teams-bc", LOST("team:a") "|" GIVEN("team:c") "|" ACK},
        {"teams-bc", ACK},
        {"teams-", LOST("team:b") "|" LOST("team:c") "|" ACK},
    };
    fixture_start(false);
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    fake_frame(wire, "{\"type\":\"connect\",\"token\":\"teams-ab\"}");
    fake_turn();
    fake_frames(wire);
    for (size_t i = 0; i < sizeof(refreshes) / sizeof(refreshes[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "{\"type\":\"token\",\"id\":1,\"token\":\"%s\"}",
                 refreshes[i][0]);
        fake_frame(wire, text);
        fake_turn();
        ck_assert_str_eq(frames(wire), refreshes[i][1]);
    }
    fixture_publish("team:a", true);
    ck_assert_str_eq(frames(wire), "");
    fake_frame(wire, "{\"type\":\"token\",\"id\":2,\"token\":\"other\"}");
    fake_turn();
    ck_assert_ptr_nonnull(strstr(frames(wire), "\"code\":\"other_principal\""));
    fixture_stop();
}
END_TEST

/* --- who it is */

START_TEST(who_it_is_may_be_found_out_later)
{
    fixture_start(false);
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    fake_frame(wire, "{\"type\":\"connect\",\"token\":\"late\"}");
    fake_frame(wire, "{\"type\":\"subscribe\",\"id\":1,\"rooms\":[\"task:1\"]}");
    ck_assert_str_eq(fake_frames(wire),
                     "{\"type\":\"error\",\"id\":1,\"error\":{\"code\":"
                     "\"not_connected\",\"message\":\"the session is not open yet\"}}");
    fixture_decide(true);
    ck_assert_str_eq(frames(wire), WELCOME);
    struct fake_wire *gone = open_websocket(JSON_FIELD);
    fake_frame(gone, "{\"type\":\"connect\",\"token\":\"late\"}");
    fake_cut(gone);
    ck_assert_ptr_null(fixture.asked);
    struct fake_wire *trouble = open_websocket(JSON_FIELD);
    fake_frame(trouble, "{\"type\":\"connect\",\"token\":\"trouble\"}");
    ck_assert_str_eq(fake_frames(trouble), "{\"type\":\"error\",\"error\":{\"code\":\"no_keys\","
                                           "\"message\":\"refused\"}}|<close 1013>");
    fixture_stop();
}
END_TEST

START_TEST(a_token_may_come_with_the_request)
{
    fixture_websocket.query_token = true;
    fixture_start(false);
    fake_fields = JSON_FIELD "Authorization: Bearer good\r\n";
    struct fake_wire *by_field = fake_upgrade("/ws", NULL);
    fake_fields = JSON_FIELD;
    struct fake_wire *by_query = fake_upgrade("/ws?token=go%6Fd", NULL);
    fake_frame(by_field, "{\"type\":\"connect\"}");
    fake_frame(by_query, "{\"type\":\"connect\"}");
    fake_turn();
    ck_assert_str_eq(frames(by_field), WELCOME);
    ck_assert_str_eq(frames(by_query), WELCOME);
    fixture_stop();
}
END_TEST

START_TEST(sessions_beyond_the_limit_are_sent_away_for_another_try)
{
    fixture_hub.sessions = 1;
    fixture_start(false);
    open_connected();
    struct fake_wire *second = open_websocket(JSON_FIELD);
    fake_frame(second, "{\"type\":\"connect\",\"token\":\"good\"}");
    ck_assert_ptr_nonnull(strstr(fake_frames(second), "too_many_sessions"));
    ck_assert(second->closed);
    ck_assert_uint_eq(hub_stats(fixture.hub)->sessions_refused, 1);
    fixture_stop();
}
END_TEST

START_TEST(lanes_that_do_not_open_are_trouble_of_ours)
{
    fixture_websocket.hello_timeout_ms = 5000;
    fixture_start(false);
    fixture.all_closed = true;
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    fake_frame(wire, "{\"type\":\"connect\",\"token\":\"good\"}");
    fake_pass(1500);
    ck_assert_str_eq(fake_frames(wire),
                     "{\"type\":\"error\",\"error\":{\"code\":\"unavailable\","
                     "\"message\":\"not possible now: try again\"}}|<close 1013>");
    fixture_stop();
}
END_TEST

/* --- writing */

static unsigned count_notifications(struct fake_wire *wire, unsigned already)
{
    const char *text = fake_frames(wire);
    for (const char *at = text; (at = strstr(at, "{\"n\":"));) {
        unsigned n = 0;
        ck_assert_int_eq(sscanf(at, "{\"n\":%u}", &n), 1);
        ck_assert_uint_eq(n, ++already);
        at++;
    }
    return already;
}

START_TEST(all_that_is_ready_goes_out_in_one_write)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    size_t writes = wire->writes;
    for (int i = 0; i < 10; i++)
        fixture_publish("user:usr_1", false);
    fake_frame(wire, "{\"type\":\"ping\"}");
    fake_turn();
    ck_assert_uint_eq(wire->writes, writes + 1);
    ck_assert_uint_eq(count_notifications(wire, 0), 10);
    fixture_stop();
}
END_TEST

START_TEST(a_slow_client_gets_everything_in_order)
{
    unsigned got = 0;
    fixture_websocket.ping_interval_ms = 100000;
    fixture_hub.ring_bytes = 4096; /* most must be read back from the log */
    fixture_start(false);
    struct fake_wire *wire = open_websocket(JSON_FIELD);
    fake_frame(wire, "{\"type\":\"connect\",\"token\":\"good\"}");
    fake_turn();
    fake_frames(wire);
    for (int i = 0; i < 1000; i++) {
        wire->full = i % 100 != 99;
        fixture_publish("user:usr_1", true);
        if (i % 100 == 99) {
            ck_assert_uint_lt(buffer_size(&wire->out), 64 * 1024 + 1024);
            got = count_notifications(wire, got);
            fake_drain(wire);
        }
    }
    ck_assert_uint_gt(hub_stats(fixture.hub)->behind_entered, 0);
    for (int i = 0; i < 50; i++) {
        fake_pass(10);
        got = count_notifications(wire, got);
        if (!wire->wire.writable)
            fake_drain(wire);
    }
    ck_assert_uint_eq(got, 1000);
    ck_assert_uint_gt(hub_stats(fixture.hub)->scans, 0);
    fixture_stop();
}
END_TEST

START_TEST(slow_is_not_dead_until_the_limit)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    wire->full = true;
    fixture_publish("user:usr_1", true);
    ck_assert(!wire->wire.writable);
    fake_pass(2000);
    ck_assert(!wire->closed);
    fake_pass(800);
    ck_assert(wire->closed);
    fixture_stop();
}
END_TEST

START_TEST(draining_sends_everyone_on)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected(), *fresh = open_websocket(JSON_FIELD);
    wire_clients_refuse(websocket_adapter_clients(fixture.websocket));
    wire_clients_send_away(websocket_adapter_clients(fixture.websocket), 1000);
    fake_turn();
    ck_assert_str_eq(fake_frames(wire), "<close 1012>");
    ck_assert_str_eq(fake_frames(fresh), "<close 1012>");
    fake_fields = JSON_FIELD;
    struct fake_wire *late = fake_upgrade("/ws", NULL);
    ck_assert_ptr_nonnull(strstr(fake_take(late), "HTTP/1.1 503"));
    fixture_stop();
}
END_TEST

START_TEST(a_close_is_answered)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    struct buffer frame = {0};
    fake_append_frame(&frame, WEBSOCKET_CLOSE,
                      BYTES_LITERAL("\x03\xe8"
                                    "bye"));
    fake_send(wire, buffer_peek(&frame));
    buffer_deinit(&frame);
    ck_assert_str_eq(fake_frames(wire), "<close 1000>");
    ck_assert(wire->closed);
    fixture_stop();
}
END_TEST

TEST_PROGRAM("websocket_adapter", tokens_are_not_tried_for_ever, the_golden_conversation_is_held,
             protobuf_says_the_same, what_must_not_be_sent_ends_the_connection,
             answers_that_nobody_takes_end_the_connection,
             more_answers_at_once_than_may_wait_end_the_connection,
             subscriptions_that_wait_are_bounded,
             a_second_subscription_waits_for_the_lane_as_the_first_does,
             who_does_not_say_hello_is_closed, the_heart_beats_by_frames_and_by_messages,
             a_message_that_does_not_become_whole_is_not_waited_for,
             an_expired_token_is_told_and_may_be_refreshed, a_fresh_token_takes_and_gives_rooms,
             who_it_is_may_be_found_out_later, a_token_may_come_with_the_request,
             sessions_beyond_the_limit_are_sent_away_for_another_try,
             lanes_that_do_not_open_are_trouble_of_ours, all_that_is_ready_goes_out_in_one_write,
             a_slow_client_gets_everything_in_order, slow_is_not_dead_until_the_limit,
             draining_sends_everyone_on, a_close_is_answered)
