/* What clients and gateway say to each other over a raw WebSocket, whatever the subprotocol: values
 * of messages, which ws_json.h and ws_protobuf.h read and write. Not a session, and no bytes.
 *
 * The README of this folder says what each message means. */
#ifndef GATEWAY_PROTOCOL_WS_MESSAGE_H
#define GATEWAY_PROTOCOL_WS_MESSAGE_H

#include "bytes.h"
#include "status.h"

enum { WS_ROOMS_MAX = 256 }; /* of one message, whatever is configured */

enum ws_request_kind {
    WS_REQUEST_CONNECT,
    WS_REQUEST_SUBSCRIBE,
    WS_REQUEST_UNSUBSCRIBE,
    WS_REQUEST_EVENT,
    WS_REQUEST_TOKEN,
    WS_REQUEST_PING,
    WS_REQUEST_PONG,
};

/* From the client. Borrows from the message and from what its reader was given as scratch. */
struct ws_request {
    enum ws_request_kind kind;
    bool heartbeat;
    struct bytes id; /* opaque, to be handed back in the answer; empty: none */
    struct bytes token, session, cursor;
    struct bytes auth; /* raw JSON */
    struct bytes event;
    struct bytes data; /* raw JSON */
    struct bytes event_id, room, traceparent, tracestate;
    bool has_history;        /* SUBSCRIBE: wants one, or the state */
    const char *bad_history; /* the word by which it is refused; NULL: it is well */
    int64_t since_ms;        /* INT64_MIN: any time */
    uint32_t last;           /* 0: any number */
    bool state;
    bool presence; /* SUBSCRIBE: wants to hear who is in the rooms */
    uint32_t room_count;
    struct bytes rooms[WS_ROOMS_MAX];
};

enum ws_answer_kind {
    WS_ANSWER_WELCOME,
    WS_ANSWER_CURSOR,
    WS_ANSWER_ACK,
    WS_ANSWER_ERROR,
    WS_ANSWER_SUBSCRIBED,
    WS_ANSWER_UNSUBSCRIBED,
    WS_ANSWER_PRESENCE,
    WS_ANSWER_STALE,
    WS_ANSWER_LIVE,
    WS_ANSWER_TOKEN_EXPIRED,
    WS_ANSWER_PING,
    WS_ANSWER_PONG,
};

/* Who is in a room, or, of changes, who came and who went. Names are packed: the size in a byte, and
 * the name. */
struct ws_presence {
    struct bytes users, joined, left;
    uint64_t count;
    bool snapshot, complete;
};

struct ws_refused_room {
    struct bytes room;
    const char *code;
};

/* From the gateway, notifications excepted: those are a shared body and a tail. What is empty is
 * left out. */
struct ws_answer {
    enum ws_answer_kind kind;
    bool recovered;  /* WELCOME */
    struct bytes id; /* as it came */
    struct bytes cursor;
    struct bytes sid, session;             /* WELCOME */
    struct bytes room;                     /* SUBSCRIBED, UNSUBSCRIBED */
    const char *reason;                    /* WELCOME, UNSUBSCRIBED */
    const char *code;                      /* ERROR */
    struct bytes message;                  /* ERROR: what the code says to a person */
    const struct ws_refused_room *refused; /* ERROR */
    size_t refused_count;
    int64_t ping_interval_ms, ping_timeout_ms; /* WELCOME */
    int64_t retry_after_s;                     /* ERROR; 0: not known */
    int64_t since_ms;                          /* STALE; ACK with state */
    int64_t grace_ms;                          /* TOKEN_EXPIRED */
    struct bytes data;                         /* PRESENCE: raw JSON, an object */
    const struct ws_presence *presence;        /* PRESENCE: the same as values */
    bool has_history, has_state;               /* ACK; at most one of them: */
    bool history_complete;
    uint32_t history_count;
};

#endif
