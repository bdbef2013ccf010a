#include "ws_protobuf.h"

#include "client.pb-c.h"
#include "suite.h"

static const struct ws_protobuf_limits limits = {.rooms = 3, .json_depth = 4};
static struct ws_request request;
static struct arena arena;

static enum status decode(const Smartstack__V1__ClientMessage *message)
{
    static uint8_t packed[1024];
    ck_assert_uint_le(smartstack__v1__client_message__get_packed_size(message), sizeof(packed));
    size_t size = smartstack__v1__client_message__pack(message, packed);
    return ws_protobuf_decode(bytes_of(packed, size), &limits, &arena, &request);
}

#define MESSAGE(name, member)                                                                \
    {                                                                                        \
        PROTOBUF_C_MESSAGE_INIT(&smartstack__v1__client_message__descriptor),                \
            .id = 7, .content_case = SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_##name, .member \
    }

START_TEST(requests_are_read)
{
    char token[] = "t", session[] = "s", cursor[] = "c", auth[] = "{\"user\":\"u\"}";
    Smartstack__V1__Connect connect = SMARTSTACK__V1__CONNECT__INIT;
    connect.token = token;
    connect.session = session;
    connect.cursor = cursor;
    connect.heartbeat = true;
    connect.auth = (ProtobufCBinaryData){sizeof(auth) - 1, (uint8_t *)auth};
    Smartstack__V1__ClientMessage message = MESSAGE(CONNECT, connect = &connect);
    ck_assert_int_eq(decode(&message), STATUS_OK);
    ck_assert_int_eq(request.kind, WS_REQUEST_CONNECT);
    ck_assert(bytes_equal_string(request.token, "t") && bytes_equal_string(request.session, "s"));
    ck_assert(bytes_equal_string(request.cursor, "c") && request.heartbeat);
    ck_assert(bytes_equal_string(request.auth, auth));
    ck_assert_uint_eq(request.id.size, 8);

    char room[] = "task:42", name[] = "say", data[] = "{\"n\":1}", id[] = "e1";
    char *rooms[] = {room, room, room, room};
    Smartstack__V1__Subscribe subscribe = SMARTSTACK__V1__SUBSCRIBE__INIT;
    subscribe.rooms = rooms;
    subscribe.n_rooms = 3;
    message = (Smartstack__V1__ClientMessage)MESSAGE(SUBSCRIBE, subscribe = &subscribe);
    ck_assert_int_eq(decode(&message), STATUS_OK);
    ck_assert_uint_eq(request.room_count, 3);
    ck_assert(bytes_equal_string(request.rooms[2], "task:42"));
    ck_assert_uint_eq(request.token.size, 0);
    subscribe.n_rooms = 4;
    ck_assert_int_eq(decode(&message), STATUS_LIMIT);
    subscribe.n_rooms = 0;
    ck_assert_int_eq(decode(&message), STATUS_MALFORMED);

    Smartstack__V1__Event event = SMARTSTACK__V1__EVENT__INIT;
    event.event = name;
    event.event_id = id;
    event.room = room;
    event.data = (ProtobufCBinaryData){sizeof(data) - 1, (uint8_t *)data};
    message = (Smartstack__V1__ClientMessage)MESSAGE(EVENT, event = &event);
    ck_assert_int_eq(decode(&message), STATUS_OK);
    ck_assert(bytes_equal_string(request.event, "say") && bytes_equal_string(request.data, data));
    ck_assert(bytes_equal_string(request.event_id, "e1") &&
              bytes_equal_string(request.room, "task:42"));
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
    char bad[] = "task:\xff", broken[] = "{", deep[] = "[[[[[]]]]]", name[] = "say";
    char *rooms[] = {bad};
    Smartstack__V1__Unsubscribe unsubscribe = SMARTSTACK__V1__UNSUBSCRIBE__INIT;
    unsubscribe.rooms = rooms;
    unsubscribe.n_rooms = 1;
    Smartstack__V1__ClientMessage message = MESSAGE(UNSUBSCRIBE, unsubscribe = &unsubscribe);
    ck_assert_int_eq(decode(&message), STATUS_MALFORMED);
    Smartstack__V1__Event event = SMARTSTACK__V1__EVENT__INIT;
    message = (Smartstack__V1__ClientMessage)MESSAGE(EVENT, event = &event);
    ck_assert_int_eq(decode(&message), STATUS_MALFORMED);
    event.event = name;
    event.data = (ProtobufCBinaryData){1, (uint8_t *)broken};
    ck_assert_int_eq(decode(&message), STATUS_MALFORMED);
    event.data = (ProtobufCBinaryData){sizeof(deep) - 1, (uint8_t *)deep};
    ck_assert_int_eq(decode(&message), STATUS_TOO_DEEP);
    Smartstack__V1__Token token = SMARTSTACK__V1__TOKEN__INIT;
    message = (Smartstack__V1__ClientMessage)MESSAGE(TOKEN, token = &token);
    ck_assert_int_eq(decode(&message), STATUS_MALFORMED);
    ck_assert_int_eq(
        ws_protobuf_decode(BYTES_LITERAL("\x08\x07\x7a\x01x"), &limits, &arena, &request),
        STATUS_UNSUPPORTED);
    ck_assert_uint_eq(request.id.size, 8);
    ck_assert_int_eq(ws_protobuf_decode(BYTES_LITERAL("\xff"), &limits, &arena, &request),
                     STATUS_MALFORMED);
    arena_deinit(&arena);
}
END_TEST

/* The caller frees it. */
static Smartstack__V1__ServerMessage *unpack(struct buffer *out)
{
    Smartstack__V1__ServerMessage *message =
        smartstack__v1__server_message__unpack(NULL, buffer_size(out), buffer_peek(out).data);
    ck_assert_ptr_nonnull(message);
    buffer_clear(out);
    return message;
}

START_TEST(a_notification_is_its_bytes_and_a_cursor)
{
    static uint8_t large[300];
    static const size_t sizes[] = {1, 127, 128, 300};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        auto_buffer struct buffer out = {0};
        struct bytes part = bytes_of(large, sizes[i]);
        memset(large, 'c', sizeof(large));
        ws_protobuf_append_body(&out, part);
        size_t body = buffer_size(&out);
        ws_protobuf_append_tail(&out, part);
        ck_assert_uint_eq(buffer_size(&out) - body, ws_protobuf_tail_size(part.size));
        Smartstack__V1__ServerMessage *message = unpack(&out);
        ck_assert_uint_eq(message->notification.len, part.size);
        ck_assert_uint_eq(strlen(message->cursor), part.size);
        smartstack__v1__server_message__free_unpacked(message, NULL);
        auto_buffer struct buffer past = {0};
        ws_protobuf_append_body(&out, part);
        ws_protobuf_append_history(&past, part, part);
        ws_protobuf_append_tail(&past, part);
        buffer_clear(&out);
        message = unpack(&past);
        ck_assert_uint_eq(message->history->notification.len, part.size);
        ck_assert_uint_eq(strlen(message->history->room), part.size);
        ck_assert_uint_eq(strlen(message->cursor), part.size);
        smartstack__v1__server_message__free_unpacked(message, NULL);
        auto_buffer struct buffer list = {0};
        for (unsigned j = 0; j < 2; j++)
            ws_protobuf_append_item(&list, part);
        ws_protobuf_append_state(&past, part, true, buffer_peek(&list));
        ws_protobuf_append_tail(&past, part);
        message = unpack(&past);
        ck_assert(message->state->first && message->state->n_notifications == 2);
        ck_assert_uint_eq(message->state->notifications[1].len, part.size);
        ck_assert_uint_eq(strlen(message->state->room), part.size);
        ck_assert_uint_eq(strlen(message->cursor), part.size);
        smartstack__v1__server_message__free_unpacked(message, NULL);
    }
    auto_buffer struct buffer none = {0};
    ws_protobuf_append_tail(&none, bytes_of(NULL, 0));
    ck_assert_uint_eq(buffer_size(&none), ws_protobuf_tail_size(0));
}
END_TEST

START_TEST(answers_say_what_they_were_given)
{
    auto_buffer struct buffer out = {0};
    uint64_t id = 1234567890123;
    const struct ws_refused_room refused[] = {{BYTES_LITERAL("a:1"), "not_allowed"},
                                              {BYTES_LITERAL("b"), "bad_room"}};
    struct ws_answer answer = {.kind = WS_ANSWER_ERROR,
                               .id = bytes_of(&id, sizeof(id)),
                               .code = "not_allowed",
                               .refused = refused,
                               .refused_count = 2};
    ws_protobuf_append(&out, &answer);
    Smartstack__V1__ServerMessage *message = unpack(&out);
    ck_assert_uint_eq(message->id, id);
    ck_assert_str_eq(message->error->code, "not_allowed");
    ck_assert_uint_eq(message->error->n_rooms, 2);
    ck_assert_str_eq(message->error->rooms[1]->code, "bad_room");
    smartstack__v1__server_message__free_unpacked(message, NULL);

    answer = (struct ws_answer){.kind = WS_ANSWER_WELCOME,
                                .sid = BYTES_LITERAL("sid"),
                                .session = BYTES_LITERAL("session"),
                                .cursor = BYTES_LITERAL("cursor"),
                                .reason = "too_far",
                                .ping_interval_ms = 1,
                                .ping_timeout_ms = 2};
    ws_protobuf_append(&out, &answer);
    message = unpack(&out);
    ck_assert_str_eq(message->welcome->session, "session");
    ck_assert_str_eq(message->welcome->reason, "too_far");
    ck_assert_str_eq(message->cursor, "cursor");
    ck_assert(!message->welcome->recovered && message->welcome->ping_timeout_ms == 2);
    smartstack__v1__server_message__free_unpacked(message, NULL);

    static const Smartstack__V1__ServerMessage__ContentCase cases[] = {
        [WS_ANSWER_CURSOR] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT__NOT_SET,
        [WS_ANSWER_ACK] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_ACK,
        [WS_ANSWER_ERROR] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_ERROR,
        [WS_ANSWER_SUBSCRIBED] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_SUBSCRIBED,
        [WS_ANSWER_UNSUBSCRIBED] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_UNSUBSCRIBED,
        [WS_ANSWER_PRESENCE] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_PRESENCE,
        [WS_ANSWER_STALE] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_STALE,
        [WS_ANSWER_LIVE] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_LIVE,
        [WS_ANSWER_TOKEN_EXPIRED] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_TOKEN_EXPIRED,
        [WS_ANSWER_PING] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_PING,
        [WS_ANSWER_PONG] = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_PONG,
    };
    const struct ws_presence nobody = {0};
    for (int kind = WS_ANSWER_CURSOR; kind <= WS_ANSWER_PONG; kind++) {
        answer = (struct ws_answer){.kind = (enum ws_answer_kind)kind,
                                    .code = "word",
                                    .cursor = BYTES_LITERAL("c"),
                                    .room = BYTES_LITERAL("a:1"),
                                    .since_ms = 5,
                                    .presence = &nobody,
                                    .grace_ms = 6};
        ws_protobuf_append(&out, &answer);
        message = unpack(&out);
        ck_assert_int_eq(message->content_case, cases[kind]);
        ck_assert_str_eq(message->cursor, "c");
        ck_assert(kind != WS_ANSWER_STALE || message->stale->since == 5);
        ck_assert(kind != WS_ANSWER_TOKEN_EXPIRED || message->token_expired->grace_ms == 6);
        smartstack__v1__server_message__free_unpacked(message, NULL);
    }
}
END_TEST

START_TEST(who_is_in_a_room)
{
    auto_buffer struct buffer out = {0};
    const struct ws_presence snapshot = {
        .users = BYTES_LITERAL("\3ann\2bo"), .count = 3, .snapshot = true, .complete = true};
    const struct ws_presence change = {.joined = BYTES_LITERAL("\1c"), .count = 4};
    struct ws_answer answer = {
        .kind = WS_ANSWER_PRESENCE, .room = BYTES_LITERAL("a:1"), .presence = &snapshot};
    ws_protobuf_append(&out, &answer);
    Smartstack__V1__ServerMessage *message = unpack(&out);
    const Smartstack__V1__Presence *presence = message->presence;
    ck_assert_str_eq(presence->room, "a:1");
    ck_assert_uint_eq(presence->count, 3);
    ck_assert_int_eq(presence->news_case, SMARTSTACK__V1__PRESENCE__NEWS_SNAPSHOT);
    ck_assert_uint_eq(presence->snapshot->n_users, 2);
    ck_assert_str_eq(presence->snapshot->users[0], "ann");
    ck_assert_str_eq(presence->snapshot->users[1], "bo");
    ck_assert(presence->snapshot->complete);
    smartstack__v1__server_message__free_unpacked(message, NULL);
    answer.presence = &change;
    ws_protobuf_append(&out, &answer);
    message = unpack(&out);
    ck_assert_int_eq(message->presence->news_case, SMARTSTACK__V1__PRESENCE__NEWS_CHANGE);
    ck_assert_uint_eq(message->presence->change->n_joined, 1);
    ck_assert_str_eq(message->presence->change->joined[0], "c");
    ck_assert_uint_eq(message->presence->change->n_left, 0);
    smartstack__v1__server_message__free_unpacked(message, NULL);
}
END_TEST

TEST_PROGRAM("ws_protobuf", requests_are_read, what_is_no_request_is_refused,
             a_notification_is_its_bytes_and_a_cursor, answers_say_what_they_were_given,
             who_is_in_a_room)
