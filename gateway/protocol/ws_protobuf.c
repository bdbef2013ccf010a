/* The protobuf form of our own protocol over WebSocket (proto/). Reading and answers use
 * protobuf-c; a notification, which is written thousands of times, is put together by hand from its
 * two parts:
 *
 *     ServerMessage:   field, length, Notification as it stands in Kafka     the body, once
 *                      field, length, cursor                                 the tail, each
 *
 * Protobuf's fields may stand in any order and be joined by putting them one behind the other: that
 * is what makes a message that is shared possible.
 *
 * Everything that is read lies in the caller's arena until his next message. */
#include "ws_protobuf.h"

#include <assert.h>

#include "client.pb-c.h"
#include "json.h"
#include "utf8.h"

/* Fields of ServerMessage that are written by hand; all of wire type 2 (length-delimited). */
enum {
    FIELD_CURSOR = 1,
    FIELD_NOTIFICATION = 4,
    FIELD_HISTORY = 13,
    FIELD_STATE = 15,
    WIRE_TYPE_LENGTH = 2
};
enum { HISTORY_FIELD_ROOM = 1, HISTORY_FIELD_NOTIFICATION = 2 };
enum { STATE_FIELD_ROOM = 1, STATE_FIELD_FIRST = 2, STATE_FIELD_NOTIFICATIONS = 3 };

/* --- reading ---------------------------------------------------------------------------------- */

static void *allocate(void *context, size_t size)
{
    return arena_raw(context, size);
}

static void protobuf_release(void *context, void *pointer)
{
    (void)context, (void)pointer; /* with the arena */
}

/* protobuf-c's strings end with a NUL; whether they are UTF-8 it does not look. */
static bool protobuf_read_text(const char *text, struct bytes *out)
{
    *out = bytes_of_string(text);
    return utf8_is_valid(*out);
}

static struct bytes read_bytes(const ProtobufCBinaryData *data)
{
    return bytes_of(data->data, data->len);
}

/* Empty, or one JSON value. */
static enum status read_json(const ProtobufCBinaryData *data, uint32_t depth, struct bytes *out)
{
    assert(depth > 0);
    *out = read_bytes(data);
    return out->size ? json_validate(*out, depth, NULL) : STATUS_OK;
}

/* protobuf-c has read all of them already: the size of a message is what bounds that. */
static enum status protobuf_read_rooms(char **rooms, size_t count, uint32_t most,
                                       struct ws_request *request)
{
    assert(most <= WS_ROOMS_MAX);
    if (count > most)
        return STATUS_LIMIT;
    for (size_t i = 0; i < count; i++)
        if (!protobuf_read_text(rooms[i], &request->rooms[i]))
            return STATUS_MALFORMED;
    request->room_count = (uint32_t)count;
    return count ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_subscribe(const Smartstack__V1__Subscribe *subscribe, uint32_t most,
                                  struct ws_request *request)
{
    request->kind = WS_REQUEST_SUBSCRIBE;
    /* proto3 cannot tell 0 from nothing: nobody asks for history since 1970. */
    request->has_history = subscribe->since || subscribe->last || subscribe->state;
    request->state = subscribe->state;
    if (subscribe->state && (subscribe->since || subscribe->last))
        request->bad_history = "bad_state";
    else if (subscribe->since < 0)
        request->bad_history = "bad_history";
    request->since_ms = subscribe->since ? subscribe->since : INT64_MIN;
    request->last = subscribe->last;
    request->presence = subscribe->presence;
    return protobuf_read_rooms(subscribe->rooms, subscribe->n_rooms, most, request);
}

static enum status protobuf_read_connect(const Smartstack__V1__Connect *connect, uint32_t depth,
                                         struct ws_request *request)
{
    request->kind = WS_REQUEST_CONNECT;
    request->heartbeat = connect->heartbeat;
    if (!protobuf_read_text(connect->token, &request->token) ||
        !protobuf_read_text(connect->session, &request->session) ||
        !protobuf_read_text(connect->cursor, &request->cursor))
        return STATUS_MALFORMED;
    return read_json(&connect->auth, depth, &request->auth);
}

static enum status protobuf_read_event(const Smartstack__V1__Event *event, uint32_t depth,
                                       struct ws_request *request)
{
    request->kind = WS_REQUEST_EVENT;
    if (!protobuf_read_text(event->event, &request->event) || request->event.size == 0 ||
        !protobuf_read_text(event->event_id, &request->event_id) ||
        !protobuf_read_text(event->room, &request->room) ||
        !protobuf_read_text(event->traceparent, &request->traceparent) ||
        !protobuf_read_text(event->tracestate, &request->tracestate))
        return STATUS_MALFORMED;
    return read_json(&event->data, depth, &request->data);
}

static enum status protobuf_read_content(const Smartstack__V1__ClientMessage *message,
                                         const struct ws_protobuf_limits *limits,
                                         struct ws_request *request)
{
    switch (message->content_case) {
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_CONNECT:
        return protobuf_read_connect(message->connect, limits->json_depth, request);
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_SUBSCRIBE:
        return read_subscribe(message->subscribe, limits->rooms, request);
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_UNSUBSCRIBE:
        request->kind = WS_REQUEST_UNSUBSCRIBE;
        return protobuf_read_rooms(message->unsubscribe->rooms, message->unsubscribe->n_rooms,
                                   limits->rooms, request);
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_EVENT:
        return protobuf_read_event(message->event, limits->json_depth, request);
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_TOKEN:
        request->kind = WS_REQUEST_TOKEN;
        return protobuf_read_text(message->token->token, &request->token) && request->token.size
                   ? STATUS_OK
                   : STATUS_MALFORMED;
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_PING:
        request->kind = WS_REQUEST_PING;
        return STATUS_OK;
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT_PONG:
        request->kind = WS_REQUEST_PONG;
        return STATUS_OK;
    case SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT__NOT_SET:
    case _SMARTSTACK__V1__CLIENT_MESSAGE__CONTENT__CASE_IS_INT_SIZE:
        return STATUS_UNSUPPORTED;
    }
    return STATUS_UNSUPPORTED;
}

enum status ws_protobuf_decode(struct bytes message, const struct ws_protobuf_limits *limits,
                               struct arena *arena, struct ws_request *request)
{
    assert(limits->rooms <= WS_ROOMS_MAX && limits->json_depth > 0);
    ProtobufCAllocator allocator = {allocate, protobuf_release, arena};
    arena_reset(arena);
    const Smartstack__V1__ClientMessage *unpacked =
        smartstack__v1__client_message__unpack(&allocator, message.size, message.data);
    if (!unpacked)
        return STATUS_MALFORMED;
    /* As bytes, since the JSON form's ids are texts, and all that is done with an id is to give it
     * back. */
    struct bytes id = {0};
    if (unpacked->id)
        id = arena_copy(arena, bytes_of(&unpacked->id, sizeof(unpacked->id)));
    *request = (struct ws_request){.id = id};
    return protobuf_read_content(unpacked, limits, request);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* protobuf-c wants a terminated string; the empty one is its own constant. */
static char *protobuf_text(struct arena *arena, struct bytes text)
{
    if (text.size == 0)
        return (char *)(uintptr_t)protobuf_c_empty_string;
    return (char *)(uintptr_t)arena_copy(arena, text).data;
}

static char *protobuf_word(struct arena *arena, const char *word)
{
    return protobuf_text(arena, bytes_of_string(word));
}

/* Back from the bytes that ws_protobuf_decode() has made of it, in this process and byte order. */
static uint64_t id_of(struct bytes id)
{
    uint64_t number = 0;
    assert(id.size == 0 || id.size == sizeof(number));
    if (id.size == sizeof(number))
        memcpy(&number, id.data, sizeof(number));
    return number;
}

static Smartstack__V1__Error *make_error(struct arena *arena, const struct ws_answer *answer)
{
    assert(answer->code && answer->refused_count <= WS_ROOMS_MAX);
    Smartstack__V1__Error *error = arena_alloc(arena, sizeof(*error));
    smartstack__v1__error__init(error);
    error->code = protobuf_word(arena, answer->code);
    error->message = protobuf_text(arena, answer->message);
    error->retry_after = answer->retry_after_s;
    error->n_rooms = answer->refused_count;
    error->rooms = arena_alloc(arena, (answer->refused_count + 1) * sizeof(error->rooms[0]));
    for (size_t i = 0; i < answer->refused_count; i++) {
        Smartstack__V1__RefusedRoom *room = arena_alloc(arena, sizeof(*room));
        smartstack__v1__refused_room__init(room);
        room->room = protobuf_text(arena, answer->refused[i].room);
        room->code = protobuf_word(arena, answer->refused[i].code);
        error->rooms[i] = room;
    }
    return error;
}

static Smartstack__V1__Welcome *make_welcome(struct arena *arena, const struct ws_answer *answer)
{
    assert(answer->kind == WS_ANSWER_WELCOME);
    Smartstack__V1__Welcome *welcome = arena_alloc(arena, sizeof(*welcome));
    smartstack__v1__welcome__init(welcome);
    welcome->sid = protobuf_text(arena, answer->sid);
    welcome->session = protobuf_text(arena, answer->session);
    welcome->recovered = answer->recovered;
    welcome->reason = protobuf_word(arena, answer->reason);
    welcome->ping_interval_ms = answer->ping_interval_ms;
    welcome->ping_timeout_ms = answer->ping_timeout_ms;
    return welcome;
}

static Smartstack__V1__Unsubscribed *make_unsubscribed(struct arena *arena,
                                                       const struct ws_answer *answer)
{
    assert(answer->kind == WS_ANSWER_UNSUBSCRIBED);
    Smartstack__V1__Unsubscribed *unsubscribed = arena_alloc(arena, sizeof(*unsubscribed));
    smartstack__v1__unsubscribed__init(unsubscribed);
    unsubscribed->room = protobuf_text(arena, answer->room);
    unsubscribed->reason = protobuf_word(arena, answer->reason);
    return unsubscribed;
}

/* Unpacks names: the size in a byte, and the name. */
static char **make_names(struct arena *arena, struct bytes packed, size_t *count)
{
    size_t found = 0;
    for (struct bytes rest = packed; rest.size; rest = bytes_skip(rest, 1u + rest.data[0]))
        found++;
    char **names = arena_alloc(arena, (found + 1) * sizeof(*names));
    *count = found;
    for (size_t i = 0; i < found; i++) {
        names[i] = protobuf_text(arena, bytes_of(packed.data + 1, packed.data[0]));
        packed = bytes_skip(packed, 1u + packed.data[0]);
    }
    assert(packed.size == 0);
    return names;
}

static Smartstack__V1__Presence *make_presence(struct arena *arena, const struct ws_answer *answer)
{
    const struct ws_presence *news = answer->presence;
    Smartstack__V1__Presence *presence = arena_alloc(arena, sizeof(*presence));
    Smartstack__V1__PresenceSnapshot *snapshot = arena_alloc(arena, sizeof(*snapshot));
    Smartstack__V1__PresenceChange *change = arena_alloc(arena, sizeof(*change));
    assert(answer->kind == WS_ANSWER_PRESENCE && news);
    smartstack__v1__presence__init(presence);
    smartstack__v1__presence_snapshot__init(snapshot);
    smartstack__v1__presence_change__init(change);
    presence->room = protobuf_text(arena, answer->room);
    presence->count = news->count;
    if (news->snapshot) {
        snapshot->users = make_names(arena, news->users, &snapshot->n_users);
        snapshot->complete = news->complete;
        presence->news_case = SMARTSTACK__V1__PRESENCE__NEWS_SNAPSHOT;
        presence->snapshot = snapshot;
    } else {
        change->joined = make_names(arena, news->joined, &change->n_joined);
        change->left = make_names(arena, news->left, &change->n_left);
        presence->news_case = SMARTSTACK__V1__PRESENCE__NEWS_CHANGE;
        presence->change = change;
    }
    return presence;
}

/* Sized first, so that it is written in place and not copied. */
static void append_packed(struct buffer *out, const Smartstack__V1__ServerMessage *message)
{
    size_t size = smartstack__v1__server_message__get_packed_size(message);
    buffer_commit(out, smartstack__v1__server_message__pack(message, buffer_reserve(out, size)));
}

/* Everything on the stack but the texts: protobuf-c reads pointers to structs, wherever they
 * are. */
void ws_protobuf_append(struct buffer *out, const struct ws_answer *answer)
{
    auto_arena struct arena arena = {0};
    Smartstack__V1__ServerMessage message = SMARTSTACK__V1__SERVER_MESSAGE__INIT;
    Smartstack__V1__Ack ack = SMARTSTACK__V1__ACK__INIT;
    Smartstack__V1__HistorySummary history = SMARTSTACK__V1__HISTORY_SUMMARY__INIT;
    Smartstack__V1__StateSummary state = SMARTSTACK__V1__STATE_SUMMARY__INIT;
    Smartstack__V1__Subscribed subscribed = SMARTSTACK__V1__SUBSCRIBED__INIT;
    Smartstack__V1__Stale stale = SMARTSTACK__V1__STALE__INIT;
    Smartstack__V1__Live live = SMARTSTACK__V1__LIVE__INIT;
    Smartstack__V1__TokenExpired expired = SMARTSTACK__V1__TOKEN_EXPIRED__INIT;
    Smartstack__V1__Ping ping = SMARTSTACK__V1__PING__INIT;
    Smartstack__V1__Pong pong = SMARTSTACK__V1__PONG__INIT;
    message.cursor = protobuf_text(&arena, answer->cursor);
    message.id = id_of(answer->id);
#define CONTENT(name, pointer)                                             \
    message.content_case = SMARTSTACK__V1__SERVER_MESSAGE__CONTENT_##name; \
    message.pointer
    switch (answer->kind) {
    case WS_ANSWER_WELCOME:
        CONTENT(WELCOME, welcome) = make_welcome(&arena, answer);
        break;
    case WS_ANSWER_CURSOR:
        break;
    case WS_ANSWER_ACK:
        history.count = state.count = answer->history_count;
        history.complete = state.complete = answer->history_complete;
        state.since = answer->since_ms;
        ack.history = answer->has_history ? &history : NULL;
        ack.state = answer->has_state ? &state : NULL;
        CONTENT(ACK, ack) = &ack;
        break;
    case WS_ANSWER_ERROR:
        CONTENT(ERROR, error) = make_error(&arena, answer);
        break;
    case WS_ANSWER_SUBSCRIBED:
        subscribed.room = protobuf_text(&arena, answer->room);
        CONTENT(SUBSCRIBED, subscribed) = &subscribed;
        break;
    case WS_ANSWER_UNSUBSCRIBED:
        CONTENT(UNSUBSCRIBED, unsubscribed) = make_unsubscribed(&arena, answer);
        break;
    case WS_ANSWER_PRESENCE:
        CONTENT(PRESENCE, presence) = make_presence(&arena, answer);
        break;
    case WS_ANSWER_STALE:
        stale.since = answer->since_ms;
        CONTENT(STALE, stale) = &stale;
        break;
    case WS_ANSWER_LIVE:
        CONTENT(LIVE, live) = &live;
        break;
    case WS_ANSWER_TOKEN_EXPIRED:
        expired.grace_ms = answer->grace_ms;
        CONTENT(TOKEN_EXPIRED, token_expired) = &expired;
        break;
    case WS_ANSWER_PING:
        CONTENT(PING, ping) = &ping;
        break;
    case WS_ANSWER_PONG:
        CONTENT(PONG, pong) = &pong;
        break;
    }
#undef CONTENT
    append_packed(out, &message);
}

/* --- a notification's two parts --------------------------------------------------------------- */

/* protobuf-c has these inside and does not give them out. */
static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >>= 7)
        size++;
    return size;
}

static void protobuf_append_varint(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buffer_append_byte(out, (uint8_t)(value | 0x80));
    buffer_append_byte(out, (uint8_t)value);
}

static void protobuf_append_field(struct buffer *out, unsigned field, struct bytes content)
{
    assert(field < 16); /* its key is one byte */
    buffer_append_byte(out, (uint8_t)(field << 3 | WIRE_TYPE_LENGTH));
    protobuf_append_varint(out, content.size);
    buffer_append(out, content);
}

void ws_protobuf_append_body(struct buffer *out, struct bytes notification)
{
    protobuf_append_field(out, FIELD_NOTIFICATION, notification);
}

static size_t field_size(size_t content_size)
{
    return 1 + varint_size(content_size) + content_size;
}

void ws_protobuf_append_history(struct buffer *out, struct bytes room, struct bytes notification)
{
    size_t size = field_size(room.size) + field_size(notification.size);
    buffer_append_byte(out, FIELD_HISTORY << 3 | WIRE_TYPE_LENGTH);
    protobuf_append_varint(out, size);
    protobuf_append_field(out, HISTORY_FIELD_ROOM, room);
    protobuf_append_field(out, HISTORY_FIELD_NOTIFICATION, notification);
}

void ws_protobuf_append_item(struct buffer *list, struct bytes notification)
{
    protobuf_append_field(list, STATE_FIELD_NOTIFICATIONS, notification);
}

void ws_protobuf_append_state(struct buffer *out, struct bytes room, bool first, struct bytes items)
{
    size_t size = field_size(room.size) + (first ? 2 : 0) + items.size;
    assert(items.size > 0 || first);
    buffer_append_byte(out, FIELD_STATE << 3 | WIRE_TYPE_LENGTH);
    protobuf_append_varint(out, size);
    protobuf_append_field(out, STATE_FIELD_ROOM, room);
    if (first) { /* a varint: 1 */
        buffer_append_byte(out, STATE_FIELD_FIRST << 3);
        buffer_append_byte(out, 1);
    }
    buffer_append(out, items);
}

void ws_protobuf_append_tail(struct buffer *out, struct bytes cursor)
{
    if (cursor.size)
        protobuf_append_field(out, FIELD_CURSOR, cursor);
}

size_t ws_protobuf_tail_size(size_t cursor_size)
{
    return cursor_size ? 1 + varint_size(cursor_size) + cursor_size : 0;
}
