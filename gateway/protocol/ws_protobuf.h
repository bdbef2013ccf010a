/* The raw WebSocket subprotocol "smartstack.v1.protobuf": one ClientMessage or ServerMessage
 * (proto/client.proto) per binary message. Says the same as ws_json.h. Not a session.
 *
 * A ServerMessage with a notification is written in two parts: fields may come in any order, so the
 * notification is the part that all sessions share and the cursor behind it the session's own. */
#ifndef GATEWAY_PROTOCOL_WS_PROTOBUF_H
#define GATEWAY_PROTOCOL_WS_PROTOBUF_H

#include "arena.h"
#include "buffer.h"
#include "ws_message.h"

#define WS_PROTOBUF_PROTOCOL "smartstack.v1.protobuf"

struct ws_protobuf_limits {
    uint32_t rooms;      /* of one message, at most WS_ROOMS_MAX; STATUS_LIMIT beyond */
    uint32_t json_depth; /* of `data` and `auth`, which must be JSON; STATUS_TOO_DEEP beyond */
};

/* Reads one binary message. The request borrows from `arena`, which is reset first.
 *   STATUS_MALFORMED    not a ClientMessage, text that is not UTF-8, a required field is empty
 *   STATUS_UNSUPPORTED  no content that this build knows: request->id is set nevertheless */
enum status ws_protobuf_decode(struct bytes message, const struct ws_protobuf_limits *limits,
                               struct arena *arena, struct ws_request *request) MUST_CHECK;

/* Appends a ServerMessage. */
void ws_protobuf_append(struct buffer *out, const struct ws_answer *answer);

/* The part of a notification that all sessions share; `notification` is the record's value. */
void ws_protobuf_append_body(struct buffer *out, struct bytes notification);
/* The same as part of a room's history. */
void ws_protobuf_append_history(struct buffer *out, struct bytes room, struct bytes notification);
/* The same as one item of a room's state, behind those that are in the list already. */
void ws_protobuf_append_item(struct buffer *list, struct bytes notification);
/* A chunk of it. */
void ws_protobuf_append_state(struct buffer *out, struct bytes room, bool first,
                              struct bytes items);
/* The session's own part. An empty cursor adds nothing. */
void ws_protobuf_append_tail(struct buffer *out, struct bytes cursor);
size_t ws_protobuf_tail_size(size_t cursor_size);

#endif
