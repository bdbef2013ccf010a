/* Socket.IO v5, the server's side (socket.io-protocol, revision 5), over engineio_server:
 * namespaces, CONNECT and its answer, events and acks both ways, attachments, and what ends a
 * connection. Payloads pass through as they came. Not here: what events mean; that is the
 * application's, be it the gateway's adapter or an echo.
 *
 * A violation ends the connection; before that the client gets the event "error" {code,
 * message} (refusals.h), and over WebSocket a close frame with the same code as its reason. JSON
 * that is nested too deep ends nothing: it is answered, by the ack if the client wants one, else by
 * that event, or by CONNECT_ERROR. */
#ifndef GATEWAY_SOCKETIO_SOCKETIO_SERVER_H
#define GATEWAY_SOCKETIO_SOCKETIO_SERVER_H

#include "engineio_server.h"
#include "socketio_packet.h"

struct socketio_server;
struct socketio_socket; /* one client in one namespace */

enum socketio_disconnect {
    SOCKETIO_DISCONNECT_MOVED,  /* the session goes on at another gateway: the client is not told */
    SOCKETIO_DISCONNECT_CLIENT, /* the client left the namespace: it will not come back by itself */
    SOCKETIO_DISCONNECT_TRANSPORT, /* the connection ended, whatever the reason */
};

/* `socket` below is what connect() returned. A socket may be disconnected from inside any of these
 * calls. */
struct socketio_application_ops {
    /* See engineio_application_ops. May be NULL. */
    bool (*allow)(void *application, const struct http_request *request, const char **message);
    /* A client asks to be let into a configured namespace; `auth` is its raw JSON, or empty.
     * Answered by socketio_socket_accept(), socketio_writer_accept() or socketio_socket_refuse(),
     * now or later. */
    void *(*connect)(void *application, struct socketio_socket *socket, struct bytes auth,
                     int64_t now_ms);
    /* EVENT or BINARY_EVENT; may come before the answer to connect(). Borrowed during the call. */
    void (*event)(void *socket, const struct socketio_packet *packet, int64_t now_ms);
    /* ACK or BINARY_ACK, asked for or not. */
    void (*ack)(void *socket, const struct socketio_packet *packet, int64_t now_ms);
    /* After socketio_socket_wake(): append packets while the writer has room; returns whether there
     * are more. */
    bool (*pull)(void *socket, struct engineio_writer *writer, int64_t now_ms);
    /* The socket's session moves to another gateway: as engineio_application_ops.migrate_out, but the
     * socket stays until disconnected(SOCKETIO_DISCONNECT_MOVED). Both may be NULL. */
    enum status (*migrate_out)(void *socket, struct engineio_writer *writer, struct buffer *state,
                               int64_t now_ms);
    /* A socket that comes from another gateway, accepted there, instead of connect(). Answered by
     * socketio_socket_continue(), now or later. */
    void *(*migrate_in)(void *application, struct socketio_socket *socket, struct bytes state,
                        int64_t now_ms);
    /* The last call, unless the application itself refused or disconnected the socket: then there
     * is none. */
    void (*disconnected)(void *socket, enum socketio_disconnect reason, enum engineio_close close,
                         int64_t now_ms);
};

struct socketio_config {
    struct engineio_config engineio; /* its ops and application are set by this module */
    const char *const *namespaces;   /* "/", "/custom", NULL */
    struct socketio_limits limits;
    int64_t connect_timeout_ms; /* to the first CONNECT, and from a refusal to the next; 0: 45 s */
    int64_t attachments_timeout_ms; /* for all attachments of a packet to come; 0: 30 s */
    unsigned refusals;   /* so many CONNECTs and tokens of one connection may be refused within
                            refusals_ms, then it is closed; 0: 5 */
    int64_t refusals_ms; /* 0: 60 s */
    const struct socketio_application_ops *ops;
    void *application;
};

struct socketio_stats {
    uint64_t connects, connects_refused, disconnects, events, acks, violations;
    uint64_t sockets; /* now */
};

/* The configuration's pointers are borrowed. Turns, draining and counters of the lower layer:
 * socketio_engineio(). */
struct socketio_server *socketio_server_new(const struct socketio_config *config,
                                            struct http_server *http, struct timer_wheel *wheel);
void socketio_server_free(struct socketio_server *server);
struct engineio_server *socketio_engineio(struct socketio_server *server);
const struct socketio_stats *socketio_server_stats(const struct socketio_server *server);

enum { SOCKETIO_ID_SIZE = 21 }; /* with its NUL */
/* A fresh random id, for a public `sid`. */
void socketio_new_id(struct socketio_server *server, char id[SOCKETIO_ID_SIZE]);

/* ---- Sockets ---- */

struct bytes socketio_socket_namespace(const struct socketio_socket *socket);
struct engineio_session *socketio_socket_session(const struct socketio_socket *socket);

/* pid: empty if recovery is off. */
void socketio_socket_accept(struct socketio_socket *socket, struct bytes sid, struct bytes pid);
/* Answers migrate_in(): the client is listened to once all its sockets are there. */
void socketio_socket_continue(struct socketio_socket *socket);
/* CONNECT_ERROR; the socket is gone. data: raw JSON or empty. */
void socketio_socket_refuse(struct socketio_socket *socket, struct bytes message,
                            struct bytes data);
/* Leaves the namespace with a DISCONNECT packet, after which a client stays away; the socket is
 * gone. */
void socketio_socket_disconnect(struct socketio_socket *socket);
/* Ends the whole connection, after which a client comes back; the socket is gone for its
 * application, which hears nothing more of it. The queue still goes out; then the client is
 * told why, as engineio_session_close_for() does it. */
void socketio_socket_close_transport(struct socketio_socket *socket, unsigned code,
                                     const char *word);
/* The same, as beyond engineio_config.queue_bytes: it asks for more than it reads. */
void socketio_socket_close_overflowed(struct socketio_socket *socket);
/* The event "error" {code, message}: why what follows happens. Over WebSocket a socket that has
 * not been accepted gets none: it has the close frame. */
void socketio_socket_tell(struct socketio_socket *socket, const char *word);
/* A token of an accepted socket's was refused: counts as a CONNECT that was. May end the
 * connection. */
void socketio_socket_count_refusal(struct socketio_socket *socket);

/* `event->name_space` is set by the call. event->attachment_count attachments follow the packet. */
void socketio_socket_emit(struct socketio_socket *socket, const struct socketio_event *event,
                          const struct bytes *attachments);
/* Arguments: raw JSON without brackets. */
void socketio_socket_ack(struct socketio_socket *socket, uint64_t ack_id, struct bytes arguments,
                         const struct bytes *attachments, uint32_t attachment_count);
void socketio_socket_wake(struct socketio_socket *socket);

/* Inside pull(): the same as accept, in the stream. */
void socketio_writer_accept(struct socketio_socket *socket, struct engineio_writer *writer,
                            struct bytes sid, struct bytes pid);

#endif
