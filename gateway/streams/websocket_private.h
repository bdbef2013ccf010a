/* What the files of the raw WebSocket adapter share. Not for others.
 *
 *   websocket_adapter.c   upgrades, frames, the heart, ends
 *   websocket_requests.c  what clients ask
 *   websocket_stream.c    what they are told
 *   websocket_codec.c     in which subprotocol */
#ifndef GATEWAY_STREAMS_WEBSOCKET_PRIVATE_H
#define GATEWAY_STREAMS_WEBSOCKET_PRIVATE_H

#include "websocket_adapter.h"
#include "websocket_codec.h"

struct websocket_adapter {
    struct websocket_adapter_config config;
    struct websocket_codec_limits limits;
    struct refusals *refusals; /* NULL: nobody counts them */
    struct wire_clients clients;
    struct websocket_scratch scratch;
    struct ws_request request; /* the one being handled */
    struct buffer text;        /* the answer being written */
};

/* A subscribe or unsubscribe that is not answered yet. All its rooms bear its number. */
struct websocket_pending {
    struct websocket_pending *prev, *next;
    uint64_t number;
    uint32_t left;
    uint32_t refused_count;
    const char *claim;               /* that the first refused room lacks; NULL: none */
    int64_t retry_after_ms;          /* the longest of any room */
    bool has_history, has_state;     /* asked for */
    bool history_is_cut;             /* of any room */
    uint32_t history_count;          /* of all rooms */
    int64_t since_ms;                /* of a state: the latest of any room */
    struct ws_refused_room *refused; /* room_count of them; their rooms are ours */
    struct bytes id;
    uint8_t id_text[];
};

/*   HELLO --connect--> OPENING --OPENED--> OPEN: beat, then wait for a sign of life, and again */
enum websocket_phase { PHASE_HELLO, PHASE_OPENING, PHASE_OPEN };

struct websocket_client {
    struct wire_client client; /* first */
    struct websocket_adapter *adapter;
    const struct websocket_codec *codec;
    struct websocket_reader reader;
    struct timer timer;
    struct websocket_pending *pending; /* DL list, oldest first */
    unsigned pending_count;
    uint64_t last_number;
    char *token;      /* came with the HTTP request; until connect */
    struct buffer id; /* of the connect, or of the token that is being checked */
    struct event_sender sender;
    struct buffer cursor; /* names a room, and the client has not been told it yet */
    int64_t beat_ms;      /* when the last ping was sent */
    unsigned refusals;    /* tokens, since then: */
    int64_t refusals_since_ms;
    int64_t inside_ms; /* when the message began that is not whole yet; 0: none */
    uint8_t phase;
    bool heartbeat;  /* beats are messages */
    bool beat;       /* a sign of life is due */
    bool heard;      /* something came since the beat */
    bool refreshing; /* a token was brought, and is not answered */
};

static inline struct websocket_client *client_of(struct wire_client *client)
{
    return (struct websocket_client *)client;
}

/* websocket_stream.c */
extern const struct transport_ops websocket_transports[WEBSOCKET_CODECS]; /* by codec */
/* wire_client_ops.deliver */
void websocket_deliver(struct wire_client *client, const struct delivery *delivery,
                       struct buffer *out);
void websocket_answer(struct websocket_client *client, const struct ws_answer *answer);
/* The client asked for something; without an id it only hears what went wrong. */
void websocket_answer_request(struct websocket_client *client, struct bytes id,
                              const char *problem);
/* It is refused; retry_after_ms: when it may be asked again; 0: nobody knows. */
void websocket_refuse_request(struct websocket_client *client, struct bytes id, const char *problem,
                              int64_t retry_after_ms);
/* The error that answers `connect`, and the end. Of the delivery count its reason, the claim that is missing,
 * and when to try again. */
void websocket_turn_away(struct websocket_client *client, struct buffer *out, unsigned code,
                         const struct delivery *refusal);
/* "": the client has closed it. */
void websocket_end(struct websocket_client *client, unsigned code, const char *reason);
/* For what must not be sent. */
void websocket_end_violation(struct websocket_client *client, unsigned code, const char *reason);
void websocket_set_timer(struct websocket_client *client, int64_t deadline_ms);

/* websocket_requests.c */
void websocket_take_request(struct websocket_client *client, const struct ws_request *request,
                            int64_t now_ms);
/* wire_client_ops.refresh_refused */
void websocket_refresh_refused(struct wire_client *client, const char *problem, bool transient);
/* Nobody waits for these answers any more. */
void websocket_forget_requests(struct websocket_client *client);
void pending_free(struct websocket_client *client, struct websocket_pending *pending);

#endif
