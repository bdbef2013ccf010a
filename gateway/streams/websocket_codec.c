/* The two subprotocols behind one set of verbs, so that the rest of the adapter does not know
 * which one a client speaks. Decoding brings both to a ws_request; texts without escapes stay
 * slices of the message, others are copied to the arena, which lives until the next message. */
#include "websocket_codec.h"

#include <assert.h>

#include "history_options.h"
#include "json.h"
#include "ws_json.h"
#include "ws_protobuf.h"

enum { ID_BYTES = 64 };

/* --- smartstack.v1.json ----------------------------------------------------------------------- */

static const enum ws_request_kind kinds[] = {
    [WS_JSON_CONNECT] = WS_REQUEST_CONNECT,
    [WS_JSON_SUBSCRIBE] = WS_REQUEST_SUBSCRIBE,
    [WS_JSON_UNSUBSCRIBE] = WS_REQUEST_UNSUBSCRIBE,
    [WS_JSON_EVENT] = WS_REQUEST_EVENT,
    [WS_JSON_TOKEN] = WS_REQUEST_TOKEN,
    [WS_JSON_PING] = WS_REQUEST_PING,
    [WS_JSON_PONG] = WS_REQUEST_PONG,
};

/* A string's text; without escapes a slice of the message. */
static struct bytes codec_read_text(struct bytes raw, struct websocket_scratch *scratch)
{
    struct bytes text = ws_json_string(raw, &scratch->text);
    bool borrowed = text.size && text.data >= raw.data && text.data < raw.data + raw.size;
    assert(!borrowed || text.size <= raw.size);
    return borrowed || text.size == 0 ? text : arena_copy(&scratch->arena, text);
}

/* At most WS_ROOMS_MAX: the decoder has refused a message with more. */
static void codec_read_rooms(struct bytes rooms, struct websocket_scratch *scratch,
                             struct ws_request *request)
{
    struct bytes room, all = rooms;
    request->room_count = 0;
    while (ws_json_next_room(&rooms, &scratch->text, &room)) {
        bool borrowed = room.data >= all.data && room.data < all.data + all.size;
        assert(request->room_count < WS_ROOMS_MAX);
        request->rooms[request->room_count++] =
            borrowed || room.size == 0 ? room : arena_copy(&scratch->arena, room);
    }
}

/* What cannot be read is no error of the message: the request is answered, by its id. */
static void codec_read_history(const struct ws_json_message *found, struct ws_request *request)
{
    const struct history_options options = {found->since, found->last, found->state};
    struct history_request history = {0};
    assert(request->room_count <= WS_ROOMS_MAX);
    request->has_history = history_options_said(&options);
    request->bad_history = request->has_history ? history_options_read(&options, &history) : NULL;
    request->since_ms = history.since_ms;
    request->last = history.last;
    request->state = history.state;
}

/* The id is read even from a message that is not known, so that its refusal can be matched. */
static enum status decode_json(struct bytes message, const struct websocket_codec_limits *limits,
                               struct websocket_scratch *scratch, struct ws_request *request)
{
    const struct ws_json_limits json_limits = {
        .json_depth = limits->json_depth, .rooms = limits->rooms, .id_bytes = ID_BYTES};
    struct ws_json_message found;
    enum status status = ws_json_decode(message, &json_limits, &found);
    if (status == STATUS_UNSUPPORTED)
        request->id = found.id;
    if (status != STATUS_OK)
        return status;
    arena_reset(&scratch->arena);
    assert(found.kind < sizeof(kinds) / sizeof(kinds[0]));
    request->kind = kinds[found.kind];
    request->heartbeat = found.heartbeat;
    request->presence = found.presence;
    request->id = found.id;
    request->token = codec_read_text(found.token, scratch);
    request->session = codec_read_text(found.session, scratch);
    request->cursor = codec_read_text(found.cursor, scratch);
    request->auth = found.auth;
    request->event = codec_read_text(found.event, scratch);
    request->data = found.data;
    request->event_id = codec_read_text(found.event_id, scratch);
    request->room = codec_read_text(found.room, scratch);
    request->traceparent = codec_read_text(found.traceparent, scratch);
    request->tracestate = codec_read_text(found.tracestate, scratch);
    codec_read_rooms(found.rooms, scratch, request);
    codec_read_history(&found, request);
    return STATUS_OK;
}

/* With the rooms that were refused, if the request was for several. */
static void append_error(struct buffer *out, const struct ws_answer *answer)
{
    assert(answer->code && (answer->refused_count == 0 || answer->refused));
    if (answer->refused_count == 0) {
        ws_json_append_error(out, answer->id, answer->code, answer->message, answer->retry_after_s);
        return;
    }
    auto_buffer struct buffer rooms = {0};
    for (size_t i = 0; i < answer->refused_count; i++) {
        buffer_append_string(&rooms, i ? ",{\"room\":" : "[{\"room\":");
        json_write_string(&rooms, answer->refused[i].room);
        buffer_append_format(&rooms, ",\"code\":\"%s\"}", answer->refused[i].code);
    }
    buffer_append_byte(&rooms, ']');
    ws_json_append_rooms_error(out, answer->id, answer->code, answer->message,
                               answer->retry_after_s, buffer_peek(&rooms));
}

/* One case for each kind of answer: the compiler names the one that is missing. */
static void append_json(struct buffer *out, const struct ws_answer *answer)
{
    const struct ws_json_welcome welcome = {.id = answer->id,
                                            .sid = answer->sid,
                                            .session = answer->session,
                                            .cursor = answer->cursor,
                                            .reason = bytes_of_string(answer->reason),
                                            .recovered = answer->recovered,
                                            .ping_interval_ms = answer->ping_interval_ms,
                                            .ping_timeout_ms = answer->ping_timeout_ms};
    switch (answer->kind) {
    case WS_ANSWER_WELCOME:
        ws_json_append_welcome(out, &welcome);
        break;
    case WS_ANSWER_CURSOR:
        ws_json_append_cursor(out, answer->cursor);
        break;
    case WS_ANSWER_ACK:
        if (answer->has_history)
            ws_json_append_history_ack(out, answer->id, answer->history_count,
                                       answer->history_complete);
        else if (answer->has_state)
            ws_json_append_state_ack(out, answer->id, answer->history_count,
                                     answer->history_complete, answer->since_ms);
        else
            ws_json_append_ack(out, answer->id, bytes_of(NULL, 0));
        break;
    case WS_ANSWER_ERROR:
        append_error(out, answer);
        break;
    case WS_ANSWER_SUBSCRIBED:
        ws_json_append_subscribed(out, answer->room, answer->cursor);
        break;
    case WS_ANSWER_UNSUBSCRIBED:
        ws_json_append_unsubscribed(out, answer->room, answer->reason, answer->cursor);
        break;
    case WS_ANSWER_PRESENCE:
        ws_json_append_presence(out, answer->data, answer->cursor);
        break;
    case WS_ANSWER_STALE:
        ws_json_append_stale(out, answer->since_ms, answer->cursor);
        break;
    case WS_ANSWER_LIVE:
        ws_json_append_live(out, answer->cursor);
        break;
    case WS_ANSWER_TOKEN_EXPIRED:
        ws_json_append_token_expired(out, answer->grace_ms);
        break;
    case WS_ANSWER_PING:
        ws_json_append_ping(out);
        break;
    case WS_ANSWER_PONG:
        ws_json_append_pong(out, answer->id);
        break;
    }
}

static struct body_part codec_encode_json(const struct message_view *view, struct buffer *out)
{
    ws_json_begin_notification(out, view->event);
    return message_view_append_json(view, out);
}

/* --- smartstack.v1.protobuf ------------------------------------------------------------------- */

static enum status decode_protobuf(struct bytes message,
                                   const struct websocket_codec_limits *limits,
                                   struct websocket_scratch *scratch, struct ws_request *request)
{
    const struct ws_protobuf_limits own = {.rooms = limits->rooms,
                                           .json_depth = limits->json_depth};
    return ws_protobuf_decode(message, &own, &scratch->arena, request);
}

/* The record's value ends the body. */
static struct body_part codec_encode_protobuf(const struct message_view *view, struct buffer *out)
{
    ws_protobuf_append_body(out, view->protobuf);
    assert(buffer_size(out) > view->protobuf.size);
    return (struct body_part){buffer_size(out) - view->protobuf.size, view->protobuf.size};
}

/* What kind of event it is, the notification says itself. */
static void append_history_protobuf(struct buffer *out, struct bytes room, struct bytes event,
                                    struct bytes notification)
{
    (void)event;
    ws_protobuf_append_history(out, room, notification);
}

static void append_item_protobuf(struct buffer *list, struct bytes event, struct bytes notification)
{
    (void)event;
    ws_protobuf_append_item(list, notification);
}

const struct websocket_codec websocket_codecs[WEBSOCKET_CODECS] = {
    {.protocol = WS_JSON_PROTOCOL,
     .opcode = WEBSOCKET_TEXT,
     .slot = TRANSPORT_SLOT_WEBSOCKET_JSON,
     .decode = decode_json,
     .append = append_json,
     .encode = codec_encode_json,
     .append_history = ws_json_append_history,
     .append_item = ws_json_append_item,
     .append_state = ws_json_append_state,
     .append_tail = ws_json_append_tail,
     .tail_size = ws_json_tail_size},
    {.protocol = WS_PROTOBUF_PROTOCOL,
     .opcode = WEBSOCKET_BINARY,
     .slot = TRANSPORT_SLOT_WEBSOCKET_PROTOBUF,
     .decode = decode_protobuf,
     .append = ws_protobuf_append,
     .encode = codec_encode_protobuf,
     .append_history = append_history_protobuf,
     .append_item = append_item_protobuf,
     .append_state = ws_protobuf_append_state,
     .append_tail = ws_protobuf_append_tail,
     .tail_size = ws_protobuf_tail_size},
};
