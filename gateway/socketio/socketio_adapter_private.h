/* What the files of the Socket.IO adapter share. Not for others.
 *
 *   socketio_adapter.c    who clients are, ends
 *   socketio_requests.c   what they ask
 *   socketio_stream.c     what they are told */
#ifndef GATEWAY_SOCKETIO_SOCKETIO_ADAPTER_PRIVATE_H
#define GATEWAY_SOCKETIO_SOCKETIO_ADAPTER_PRIVATE_H

#include "socketio_adapter.h"
#include "token_expiry.h"

#define REQUEST_SILENT \
    UINT64_MAX /* the client wants no ack; else the request is its ack id plus one */

struct socketio_adapter {
    struct socketio_adapter_config config;
    struct socketio_adapter_stats stats;
    int64_t now_ms, wall_ms;
    struct buffer head, text, room;
    struct buffer name, details[4]; /* of an event to the backend */
};

/* Until it is known who the client is. */
struct entrance {
    struct identity_waiter waiter;
    struct adapter_socket *socket;
    char *private_id, *cursor;
    bool fresh_token; /* brought by an open session */
    uint64_t request;
};

/* A client in a namespace. */
struct adapter_socket {
    struct socketio_adapter *adapter;
    struct socketio_socket *socket;
    struct session *session;   /* NULL while it is not known who it is */
    struct entrance *entrance; /* a question is under way */
    struct event_sender sender;
    struct token_expiry expiry;
};

/* A client's event on its way to the backend. */
struct socketio_sent_event {
    struct sent_event event;
    struct adapter_socket *socket;
    uint64_t request;
};

/* Trouble of ours closes the transport, after which the stock client comes back; CONNECT_ERROR and
 * DISCONNECT would keep it away (hazards 10). The client is told the reason first. The socket is
 * freed. claim: NULL, or the one that is missing. */
void socketio_adapter_turn_away(struct adapter_socket *socket, const char *reason,
                                const char *claim, bool transient);
void socketio_adapter_end(struct adapter_socket *socket, const char *reason, bool transient);
/* A request was refused: counted. */
void socketio_adapter_note(const struct adapter_socket *socket, const char *reason,
                           const char *claim, bool ends);
/* It has asked for more than it reads. */
void socketio_adapter_end_overflowed(struct adapter_socket *socket, const char *reason);

/* Answers a request; problem NULL: it was done. retry_after_ms: when a problem will be over; 0: nobody
 * knows. */
void socketio_adapter_acknowledge(struct adapter_socket *socket, uint64_t request,
                                  const char *problem, int64_t retry_after_ms);
/* Not the socket's yet: it is, if the answer is not given at once. */
struct entrance *socketio_adapter_entrance_new(struct adapter_socket *socket);
/* What a fresh token came to, once it is known whose it is. */
void socketio_adapter_answer_refresh(struct adapter_socket *socket, uint64_t request,
                                     enum identity_verdict verdict,
                                     const struct identity *identity);

/* socketio_requests.c: socketio_application_ops.event */
void socketio_requests_take(void *context, const struct socketio_packet *packet, int64_t now_ms);

/* socketio_stream.c */
/* For sessions, and socketio_application_ops.pull. */
extern const struct transport_ops socketio_stream_transport;
/* False: the socket is gone. */
bool socketio_stream_write(struct adapter_socket *socket, struct engineio_writer *writer,
                           const struct delivery *delivery);
bool socketio_stream_pull(void *context, struct engineio_writer *writer, int64_t now_ms);

#endif
