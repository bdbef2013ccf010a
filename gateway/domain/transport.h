/* The port between the domain and the ways of reaching a client. A transport (Socket.IO, raw
 * WebSocket, SSE, the simulation's fake) implements `struct transport_ops` and calls hub.h; the
 * domain never learns which one a session uses.
 *
 * Everything a client is told goes through one ordered stream per session: session_next() in hub.h.
 * So what comes before what (the CONNECT answer before missed notifications, a join's confirmation
 * before its ack) is decided in the domain, once. */
#ifndef GATEWAY_DOMAIN_TRANSPORT_H
#define GATEWAY_DOMAIN_TRANSPORT_H

#include "buffer.h"
#include "bytes.h"
#include "notification.h"
#include "status.h"

struct message;
struct presence_news;
struct session;

/* A message keeps one encoded body per slot, made at its first delivery over that transport and
 * shared by all sessions. */
enum transport_slot {
    TRANSPORT_SLOT_SOCKETIO,
    TRANSPORT_SLOT_WEBSOCKET_JSON,
    TRANSPORT_SLOT_WEBSOCKET_PROTOBUF,
    TRANSPORT_SLOT_SSE,
    TRANSPORT_SLOT_COUNT
};

/* What an encoder may use of a message. Borrowed, valid during the call. */
struct message_view {
    struct bytes event; /* the client-side event name, e.g. task.status */
    const struct notification *notification;
    struct bytes protobuf; /* the record's value as the dispatcher wrote it */
};

/* Where in a buffer the notification itself stands, JSON or protobuf: what is around it is the
 * transport's. Counted from the first byte of the buffer's content. */
struct body_part {
    size_t start, size;
};

/* Appends what is given under the event's name, as JSON. */
static inline struct body_part message_view_append_json(const struct message_view *view,
                                                        struct buffer *out)
{
    size_t start = buffer_size(out);
    notification_argument_to_json(view->notification, out);
    return (struct body_part){start, buffer_size(out) - start};
}

struct transport_ops {
    const char *name; /* for metrics and logs */
    enum transport_slot slot;

    /* Appends the part of an event that is the same for every session: called once per message and
     * slot, never per delivery. It is the memory of the frame that is appended to: JSON is written
     * there and not copied. */
    struct body_part (*encode)(const struct message_view *view, struct buffer *out);

    /* The session has deliveries. The transport calls session_next() until it gives none or the
     * wire takes no more; in the latter case it comes back to it when the wire is writable, without
     * being asked again. Called from hub_run() only, never from inside a call that the transport
     * made. The session may not be closed from inside this call other than by session_close(),
     * which is always safe. */
    void (*ready)(struct session *session, void *connection);

    /* Appends a notification as encode() wrote it, with its event's name, as one item of a list;
     * `list` is empty before the first. */
    void (*append_item)(struct buffer *list, struct bytes event, struct bytes notification);
};

enum delivery_kind {
    DELIVERY_OPENED,       /* first of every session that was let in */
    DELIVERY_REFUSED,      /* the session was not let in: CONNECT_ERROR. Last */
    DELIVERY_NOTIFICATION, /* a message for a room of the session */
    DELIVERY_HISTORY,      /* a message from before a join, whose answer follows */
    DELIVERY_STATE,        /* some of a room's items from before a join, whose answer follows; at
                              least one such step, also of a room without any */
    DELIVERY_JOINED,       /* answer to session_join(): tell the client the cursor first, then
                              acknowledge;       or a room that its rights have brought (request 0) */
    DELIVERY_JOIN_REFUSED, /* answer to session_join() */
    DELIVERY_LEFT, /* answer to session_leave(), or a room that was lost (request 0) with `reason`
                    */
    DELIVERY_REFRESHED, /* answer to session_refresh() */
    DELIVERY_PRESENCE,  /* who is in a room, or who came and went */
    DELIVERY_CURSOR,    /* nothing but a newer cursor, hidden from the application */
    DELIVERY_STALE,     /* the broker is away since `since_ms` */
    DELIVERY_LIVE,      /* the broker is back, nothing was lost */
    DELIVERY_CLOSE      /* the transport must end the session with `reason`. Last */
};

/* One step of a session's stream. Everything borrowed is valid until the next call to the hub. */
struct delivery {
    enum delivery_kind kind;
    struct bytes cursor; /* text that ends the event; empty for REFUSED, JOIN_REFUSED, REFRESHED and
                            CLOSE */
    struct bytes body;   /* NOTIFICATION: what transport_ops.encode made; HISTORY: the notification
                            in it; STATE: what .append_item made, maybe empty; PRESENCE: JSON */
    struct bytes room;   /* HISTORY, STATE, JOINED, JOIN_REFUSED, LEFT, PRESENCE */
    const struct presence_news *presence; /* PRESENCE: the same as values; presence.h */
    uint64_t
        request; /* HISTORY, STATE, JOINED, JOIN_REFUSED, LEFT, REFRESHED: the number given with
                         the request; 0 if nobody asked */
    struct bytes event;     /* HISTORY: its name */
    bool first;             /* STATE: of this answer */
    bool has_history;       /* JOINED: a history was asked for and has been given: */
    bool has_state;         /* or a state: */
    bool history_complete;  /* all that was asked for; else a limit or retention has cut it off */
    uint32_t history_count; /* so many notifications, or items */
    const char
        *reason; /* static, machine-readable word, e.g. "not_allowed"; NULL if there is none */
    const char *claim; /* REFUSED, JOIN_REFUSED: the claim that the token lacks; NULL: it is not
                          about one. Lives as long as the policy */
    struct bytes public_id;  /* OPENED: the client-visible session id (Socket.IO `sid`) */
    struct bytes private_id; /* OPENED: what the client must present to resume (Socket.IO `pid`);
                                empty: recovery is off */
    bool continued; /* OPENED: the session came from another gateway; its client is not told */
    bool recovered; /* OPENED: the ids are those the client came with and what it missed follows. If
                       false and `reason` is set, the client asked to resume and could not */
    bool transient; /* CLOSE, REFUSED: trouble of ours; the client must be able to reconnect by
                       itself (hazards 10) */
    bool overflow;  /* CLOSE: the client has asked and not read; reason `too_many_answers` */
    int64_t
        retry_after_ms; /* REFUSED, JOIN_REFUSED for `rate_limited`: when to try again; else 0 */
    int64_t since_ms;   /* STALE: wall-clock milliseconds. JOINED with a state: all items that have
                           changed since then are in it; 0: it is complete */
};

#endif
