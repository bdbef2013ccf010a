/* What the files of the SSE adapter share. Not for others.
 *
 *   sse_adapter.c   events, streams, time
 *   sse_opening.c   from the request to the first event, or to the answer instead of a stream */
#ifndef GATEWAY_STREAMS_SSE_PRIVATE_H
#define GATEWAY_STREAMS_SSE_PRIVATE_H

#include "sse_adapter.h"

/* A private id is base64url: the first of these ends it. */
enum { ID_SEPARATOR = '.' };

struct sse_adapter {
    struct sse_adapter_config config;
    struct refusals *refusals; /* NULL: nobody counts them */
    struct wire_clients clients;
    struct buffer event, id; /* being written */
};

/* What only a client needs whose stream has not begun. */
struct sse_opening {
    struct buffer rooms; /* of the query: each its size in two bytes, and its name */
    unsigned joins_left;
    const char *refusal;       /* the first room that was refused */
    const char *refusal_claim; /* that it lacks; NULL: none */
    char *refused_room;
    char *sid;
    const char *reason;
    bool refusal_transient;
    bool recovered;
    bool begun;       /* the stream has, with histories: an answer instead of it is too late */
    bool has_history; /* the query asks for it */
    bool presence;    /* likewise: to hear who is in its rooms */
    bool history_asked, history_is_cut; /* for any room */
    struct history_request history;     /* of each room of the query */
    uint32_t history_count;             /* of all rooms */
    int64_t since_ms;                   /* of a state: the latest of any room */
    bool names_stream;                  /* it asked for text/event-stream by name */
    uint8_t minor_version;
    size_t field_count;
    struct http_field fields[HTTP_CORS_FIELDS]; /* of any answer */
};

struct sse_client {
    struct wire_client client; /* first */
    struct sse_adapter *adapter;
    struct sse_opening *opening; /* NULL: all rooms are joined, or the request is answered */
    struct timer timer;
    char *private_id;   /* begins every id; NULL: recovery is off */
    int64_t blocked_ms; /* since when it takes nothing, as far as was looked; 0: it does */
    bool chunked;
    bool spoken; /* something was written since the last beat */
};

static inline struct sse_client *client_of(struct wire_client *client)
{
    return (struct sse_client *)client;
}

/* The request may still be answered by something else than a stream. */
static inline bool sse_is_opening(const struct sse_client *client)
{
    return client->opening && !client->opening->begun;
}

/* sse_adapter.c */
extern const struct transport_ops sse_transport;
/* Appends what is one event, or a few lines, as a chunk of the body if it is chunked. */
void sse_append_parts(struct sse_client *client, struct buffer *out, struct bytes body,
                      struct bytes tail);
/* The JSON of an event of ours is put here; then the event is appended. */
struct buffer *sse_begin_data(struct sse_client *client);
void sse_append_event(struct sse_client *client, struct buffer *out, const char *name,
                      struct bytes cursor);
/* One that was framed already. */
void sse_append_session_event(struct sse_client *client, struct buffer *out, struct bytes body,
                              struct bytes cursor);
void sse_beat(struct timer *timer, int64_t now_ms);
void sse_set_timer(struct sse_client *client, int64_t deadline_ms);

/* sse_opening.c */
/* http_route.request */
void sse_handle_request(void *route, struct http_exchange *exchange,
                        const struct http_request *request, int64_t now_ms);
/* The session is open: its first delivery, and the answers to the joins that follow from it. */
void sse_take_opened(struct sse_client *client, const struct delivery *delivery,
                     struct buffer *out);
void sse_take_join(struct sse_client *client, const struct delivery *delivery, struct buffer *out);
void sse_take_history(struct sse_client *client, const struct delivery *delivery,
                      struct buffer *out);
/* Answers instead of the stream, and ends the client. claim: that is missing; NULL: none. */
void sse_refuse(struct sse_client *client, unsigned code, const char *problem, const char *claim);
/* The same for trouble of ours: it comes back by itself. */
void sse_send_away(struct sse_client *client, const char *problem);
/* Tells by the event `unavailable`, and ends the client: the stream has begun. */
void sse_end_telling(struct sse_client *client, struct buffer *out, const char *problem);
/* Counts it. */
void sse_note(const struct sse_client *client, const char *problem, const char *claim, bool ends);
void sse_opening_free(struct sse_client *client);

#endif
