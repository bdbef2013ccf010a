/* The raw WebSocket subprotocol "smartstack.v1.json": one JSON object per text message, in both
 * directions. Not a session: who may do what, and when, is decided elsewhere. The README of this
 * folder is its specification for authors of clients.
 *
 *      client                                              server
 *      {"type":"connect","id":1,"token":"...","session":"...","cursor":"..."}
 *                                  {"type":"welcome","id":1,"sid":"...","session":"...","recovered":true,...}
 *      {"type":"subscribe","id":2,"rooms":["task:42"]}
 *                                  {"type":"cursor","cursor":"..."}
 *                                  {"type":"ack","id":2}
 *                                  {"type":"notification","event":"task.status","data":{...},"cursor":"..."}
 *      {"type":"event","id":3,"event":"comment","data":{...}}
 *                                  {"type":"error","id":3,"error":{"code":"...","message":"..."}}
 *      {"type":"ping"}             {"type":"pong"}
 *
 * Payloads are checked and passed on as they came; unknown members are ignored. */
#ifndef GATEWAY_PROTOCOL_WS_JSON_H
#define GATEWAY_PROTOCOL_WS_JSON_H

#include "buffer.h"

#define WS_JSON_PROTOCOL "smartstack.v1.json"

enum ws_json_kind {
    WS_JSON_CONNECT, /* token, session, cursor, auth, heartbeat: all optional; a session resumes */
    WS_JSON_SUBSCRIBE,   /* rooms; since, last, state, presence are optional */
    WS_JSON_UNSUBSCRIBE, /* rooms */
    WS_JSON_EVENT,       /* event; data, eventId, room, traceparent, tracestate are optional */
    WS_JSON_TOKEN,       /* token */
    WS_JSON_PING,
    WS_JSON_PONG,
};

/* Shared; every maximum is inclusive. */
struct ws_json_limits {
    uint32_t json_depth; /* 1 to JSON_DEPTH_MAX; STATUS_TOO_DEEP beyond */
    uint32_t rooms;      /* of one message; STATUS_LIMIT beyond */
    uint32_t id_bytes;   /* STATUS_TOO_LARGE beyond */
};

/* A value; its slices are raw JSON borrowed from the text, empty if the member is absent. Strings
 * are in their quotes: ws_json_string() reads them. */
struct ws_json_message {
    enum ws_json_kind kind;
    struct bytes id; /* a string or a number, to be repeated in the answer as it is */
    struct bytes token;
    struct bytes session;
    struct bytes cursor;
    struct bytes auth; /* an object */
    struct bytes event;
    struct bytes data;
    struct bytes event_id;
    struct bytes room;
    struct bytes traceparent;
    struct bytes tracestate;
    bool heartbeat;
    bool presence;
    struct bytes since, last, state; /* any value */
    struct bytes rooms;              /* the strings of the array, for ws_json_next_room() */
    uint32_t room_count;
};

/* Reads one text message.
 *   STATUS_MALFORMED    not a JSON object, no type, a member of the wrong kind, one of the table
 *                       twice, or a required one missing
 *   STATUS_UNSUPPORTED  an unknown type: message->id is set nevertheless, for an answer
 *   STATUS_TOO_DEEP, STATUS_TOO_LARGE, STATUS_LIMIT  see ws_json_limits */
enum status ws_json_decode(struct bytes text, const struct ws_json_limits *limits,
                           struct ws_json_message *message) MUST_CHECK;

/* The text of a raw string that was checked: a slice of it, or, if it has escapes, of `scratch`,
 * which is cleared first. */
struct bytes ws_json_string(struct bytes raw, struct buffer *scratch);

/* Takes the next room off `rooms`. False if there is none left. */
bool ws_json_next_room(struct bytes *rooms, struct buffer *scratch, struct bytes *room);

/* ---- Writing. `id` is raw JSON as it came, or empty: none. Texts are escaped here. ---- */

/* Empty texts are left out. */
struct ws_json_welcome {
    struct bytes id;
    struct bytes sid;     /* the session's public name */
    struct bytes session; /* what resumes it */
    struct bytes cursor;
    struct bytes reason; /* why a session that was given did not resume */
    bool recovered;
    int64_t ping_interval_ms, ping_timeout_ms;
};
void ws_json_append_welcome(struct buffer *out, const struct ws_json_welcome *welcome);

/* data: raw JSON or empty. */
void ws_json_append_ack(struct buffer *out, struct bytes id, struct bytes data);
/* Of a subscription with a history. */
void ws_json_append_history_ack(struct buffer *out, struct bytes id, uint32_t count, bool complete);
/* Of one with state. */
void ws_json_append_state_ack(struct buffer *out, struct bytes id, uint32_t count, bool complete,
                              int64_t since_ms);
/* retry_after_s: when to try again; 0: nobody knows. */
void ws_json_append_error(struct buffer *out, struct bytes id, const char *code,
                          struct bytes message, int64_t retry_after_s);
/* `rooms`: raw JSON, an array that says which rooms were refused and why. */
void ws_json_append_rooms_error(struct buffer *out, struct bytes id, const char *code,
                                struct bytes message, int64_t retry_after_s, struct bytes rooms);
void ws_json_append_ping(struct buffer *out);
void ws_json_append_pong(struct buffer *out, struct bytes id);

/* What happens to a session by itself. Each ends with its cursor, unless that is empty. */
void ws_json_append_subscribed(struct buffer *out, struct bytes room, struct bytes cursor);
void ws_json_append_unsubscribed(struct buffer *out, struct bytes room, const char *reason,
                                 struct bytes cursor);
/* `news`: raw JSON, an object, whose members are the message's. */
void ws_json_append_presence(struct buffer *out, struct bytes news, struct bytes cursor);
void ws_json_append_stale(struct buffer *out, int64_t since_ms, struct bytes cursor);
void ws_json_append_live(struct buffer *out, struct bytes cursor);
void ws_json_append_token_expired(struct buffer *out, int64_t grace_ms);

/* A position of the client without an event: {"type":"cursor","cursor":"..."}. */
void ws_json_append_cursor(struct buffer *out, struct bytes cursor);

/* The part of a notification that all sessions share, up to the notification itself, which the
 * caller appends as raw JSON: {"type":"notification","event":"...","data":
 * ws_json_append_tail() ends it. */
void ws_json_begin_notification(struct buffer *out, struct bytes event);

/* One of a room's history: {"type":"history","room":"...","event":"...","data":...
 * The tail ends it likewise. */
void ws_json_append_history(struct buffer *out, struct bytes room, struct bytes event,
                            struct bytes data);

/* One item of a room's state: {"event":"...","data":...}, behind those that are in the list
 * already. */
void ws_json_append_item(struct buffer *list, struct bytes event, struct bytes data);
/* A chunk of it: {"type":"state","room":"...","first":...,"items":[...] */
void ws_json_append_state(struct buffer *out, struct bytes room, bool first, struct bytes items);

/* The session's own part and the end: ,"cursor":"..."}  or just  }. The cursor needs no escapes. */
void ws_json_append_tail(struct buffer *out, struct bytes cursor);
static inline size_t ws_json_tail_size(size_t cursor_size)
{
    return cursor_size ? cursor_size + 13 : 1;
}

#endif
