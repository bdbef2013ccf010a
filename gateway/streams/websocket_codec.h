/* The subprotocols of the raw WebSocket adapter, by one set of verbs: how requests are read,
 * answers written and notifications framed. Not the codecs themselves (ws_json.h, ws_protobuf.h),
 * and nothing of a session. Private to the adapter. */
#ifndef GATEWAY_STREAMS_WEBSOCKET_CODEC_H
#define GATEWAY_STREAMS_WEBSOCKET_CODEC_H

#include "arena.h"
#include "transport.h"
#include "websocket_frame.h"
#include "ws_message.h"

struct websocket_codec_limits {
    uint32_t rooms; /* of one message, at most WS_ROOMS_MAX */
    uint32_t json_depth;
};

/* What requests borrow from, until the next is read. Zeroed: empty. */
struct websocket_scratch {
    struct arena arena;
    struct buffer text;
};

struct websocket_codec {
    const char *protocol;
    enum websocket_opcode opcode; /* of its messages, both ways */
    enum transport_slot slot;
    /* Reads a message. STATUS_UNSUPPORTED: an unknown one, request->id is set. */
    enum status (*decode)(struct bytes message, const struct websocket_codec_limits *limits,
                          struct websocket_scratch *scratch, struct ws_request *request) MUST_CHECK;
    void (*append)(struct buffer *out, const struct ws_answer *answer);
    /* transport_ops.encode */
    struct body_part (*encode)(const struct message_view *view, struct buffer *out);
    /* A notification as encode() wrote it, as part of a room's history; append_tail() completes it
     * as any other. */
    void (*append_history)(struct buffer *out, struct bytes room, struct bytes event,
                           struct bytes notification);
    /* transport_ops.append_item */
    void (*append_item)(struct buffer *list, struct bytes event, struct bytes notification);
    /* A chunk of a room's state from a list of such items; append_tail() completes it likewise. */
    void (*append_state)(struct buffer *out, struct bytes room, bool first, struct bytes items);
    void (*append_tail)(struct buffer *out, struct bytes cursor);
    size_t (*tail_size)(size_t cursor_size);
};

/* By preference of the gateway, the first first. */
enum { WEBSOCKET_CODECS = 2 };
extern const struct websocket_codec websocket_codecs[WEBSOCKET_CODECS];

#endif
