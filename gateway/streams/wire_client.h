/* A client that has a connection, and in it a session, of its own: what a raw WebSocket and an SSE
 * stream share. Who it is, its session, its token's expiry, and when and how much is written to it.
 * Not a protocol: how a step looks on the wire, and what a client may ask, is its adapter's
 * (wire_client_ops). Not for Socket.IO, where a connection carries several sessions.
 *
 * Nothing is written from inside a call. Single messages go to the client's
 * queue; the stream is pulled. wire_clients_turn(), at the end of each turn of the loop,
 * writes both for everyone who has something, in one write and at most write_bytes at a time, and
 * frees who is gone. */
#ifndef GATEWAY_STREAMS_WIRE_CLIENT_H
#define GATEWAY_STREAMS_WIRE_CLIENT_H

#include "address_quotas.h"
#include "buffer.h"
#include "hub.h"
#include "identity.h"
#include "token_expiry.h"
#include "wire.h"

struct wire_client;

struct wire_client_ops {
    /* Appends a step of the session's stream, as frames. May end the client. */
    void (*deliver)(struct wire_client *client, const struct delivery *delivery,
                    struct buffer *out);
    /* Asked before each write: false keeps the stream's steps back in the client's `held`, which
     * goes first once it is true. NULL: always. */
    bool (*may_write)(const struct wire_client *client);
    /* It has no session: nobody knows it, or there is no room. Must end the client. */
    void (*refused)(struct wire_client *client, const char *reason, bool transient);
    /* The answer to wire_client_refresh(), if it is refused; else it is in the stream: REFRESHED.
     * transient: the problem is ours. May end the client. */
    void (*refresh_refused)(struct wire_client *client, const char *problem, bool transient);
    /* Its token has expired: tell it. After expiry_grace_ms without another: end it. */
    void (*expired)(struct wire_client *client);
    void (*expiry_over)(struct wire_client *client);
    /* The gateway ends: must end the client, so that it comes back elsewhere. */
    void (*going_away)(struct wire_client *client);
    /* Bytes of the peer; borrowed. */
    void (*bytes)(struct wire_client *client, struct bytes bytes, int64_t now_ms);
    /* The last call: frees the client, of which it is the first member. */
    void (*freed)(struct wire_client *client);
};

struct wire_clients_config {
    struct hub *hub; /* borrowed, as all that follows */
    const struct identity_ops *identity_ops;
    void *identifier;
    struct timer_wheel *wheel;
    void (*random)(void *random_context, uint8_t *out, size_t size);
    void *random_context;
    size_t write_bytes; /* a write is not filled beyond it, unless by a single step */
    int64_t expiry_grace_ms;
};

struct wire_client_stats {
    uint64_t opened, refused, closed;   /* connections; refused: before there was a session */
    uint64_t messages_in, messages_out; /* messages_out: steps of streams */
    uint64_t writes, expired, refreshed, violations;
    uint64_t connections; /* now */
};

/* All clients of one adapter. The fields are for wire_client.c, but for `stats`. */
struct wire_clients {
    struct wire_clients_config config;
    const struct wire_client_ops *ops;
    struct wire_client_stats stats;
    struct wire_client *clients; /* DL list */
    struct wire_client *dirty;
    struct wire_client **dirty_tail;
    struct wire_client *dead;
    struct buffer out;
    int64_t now_ms, wall_ms;
    bool draining;
};

/* Embedded as the first member. The fields are private, but for those that say so. */
struct wire_client {
    struct wire_clients *clients;   /* read by anyone */
    struct wire *wire;              /* NULL: gone */
    struct session *session;        /* read by anyone; NULL: none yet, or none any more */
    struct wire_question *question; /* who it is, is being found out */
    const struct transport_ops *transport;
    struct buffer queue, held;
    struct token_expiry expiry;
    struct address_place place;
    struct wire_client *prev, *next, *next_dirty;
    bool dirty, awake, ending, dead;
};

/* In place. `ops` is borrowed. */
void wire_clients_init(struct wire_clients *clients, const struct wire_clients_config *config,
                       const struct wire_client_ops *ops);
/* Ends all, at once. */
void wire_clients_deinit(struct wire_clients *clients);
/* Wall-clock and monotonic time of this turn. */
void wire_clients_set_time(struct wire_clients *clients, int64_t now_ms, int64_t wall_ms);
void wire_clients_turn(struct wire_clients *clients);
/* INT64_MAX, or 0 if a turn is due at once. */
int64_t wire_clients_deadline_ms(const struct wire_clients *clients);
/* The adapter must refuse clients that come from now on. */
void wire_clients_refuse(struct wire_clients *clients);
/* Sends so many away, those first who have been here longest; returns how many there were. */
unsigned wire_clients_send_away(struct wire_clients *clients, unsigned count);

/* A zeroed client gets its wire, and the place with its address, which it leaves at its end. */
void wire_client_open(struct wire_client *client, struct wire_clients *clients, struct wire *wire,
                      const struct address_place *place);
/* Asks who it is and opens its session; `private_id` and `cursor` to resume, or empty. Once. */
void wire_client_identify(struct wire_client *client, const struct identity_question *question,
                          struct bytes private_id, struct bytes cursor);
/* It is being found out. */
static inline bool wire_client_is_asking(const struct wire_client *client)
{
    return client->question != NULL;
}
/* A fresh token for an open session; not while another is being asked. The answer follows, a
 * refusal maybe from inside. */
void wire_client_refresh(struct wire_client *client, const struct identity_question *question);
/* Where to append what is to be written soon. The caller bounds it. */
struct buffer *wire_client_queue(struct wire_client *client);
/* Something has changed that lets it write. */
void wire_client_wake(struct wire_client *client);
/* What is queued (and, from inside deliver(), what was appended) still goes out if the wire takes
 * it; then the connection ends. The session is closed at once. */
void wire_client_end(struct wire_client *client);
static inline bool wire_client_is_open(const struct wire_client *client)
{
    return client->wire && !client->ending;
}

#endif
