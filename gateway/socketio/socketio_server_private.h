/* What the files of the Socket.IO server share. Not for others.
 *
 *   socketio_server.c       what Engine.IO tells, turns among namespaces
 *   socketio_packets.c      what a client sends
 *   socketio_socket.c       what the application says to a socket
 *   socketio_migration.c    a connection that goes on at another gateway
 *   socketio_connection.c   what all of them stand on: a connection and its sockets */
#ifndef GATEWAY_SOCKETIO_SOCKETIO_SERVER_PRIVATE_H
#define GATEWAY_SOCKETIO_SOCKETIO_SERVER_PRIVATE_H

#include "socketio_server.h"
#include "timer_wheel.h"

struct socketio_connection;

struct socketio_socket {
    struct socketio_connection *connection;
    const char *name; /* of the namespace: the configuration's own string */
    void *context;    /* the application's */
    struct socketio_socket *prev, *next;
    bool accepted;
    bool awake;
    bool waiting; /* migrated here, and its application is not ready */
    bool gone;    /* its application has no more to do with it; freed when nobody is inside */
};

/* An Engine.IO session. */
struct socketio_connection {
    struct socketio_server *server;
    struct engineio_session *session;
    struct socketio_socket *sockets;
    struct socketio_decoder decoder;
    struct timer timer; /* to the first CONNECT, later to the last attachment */
    unsigned waiting;   /* sockets */
    uint16_t refusals;  /* since refusals_since_ms */
    bool closing;
    int64_t refusals_since_ms;
};

struct socketio_server {
    struct socketio_config config;
    struct engineio_server *engineio;
    struct timer_wheel *wheel;
    struct socketio_stats stats;
    struct refusals *refusals; /* NULL: nobody counts them */
    struct buffer scratch;
};

/* socketio_connection.c */
/* engineio_application_ops.opened */
void *socketio_connection_new(void *application, struct engineio_session *session, int64_t now_ms);
/* Its sockets hear why; frees it. */
void socketio_connection_end(struct socketio_connection *connection,
                             enum socketio_disconnect reason, enum engineio_close close,
                             int64_t now_ms);
/* The configuration's own string; NULL: there is no such namespace. */
const char *socketio_find_namespace(const struct socketio_server *server, struct bytes name);
/* NULL: it has not joined this namespace. */
struct socketio_socket *socketio_connection_find(struct socketio_connection *connection,
                                                 struct bytes name);
bool socketio_connection_has_socket(const struct socketio_connection *connection);
/* `name`: of socketio_find_namespace(), not joined yet. */
struct socketio_socket *socketio_connection_add(struct socketio_connection *connection,
                                                const char *name);
/* The application and the socket part; the memory goes when nobody can be inside. */
void socketio_socket_retire(struct socketio_socket *socket);
/* Frees retired sockets. Not from inside a call of the application's. */
void socketio_connection_remove_gone(struct socketio_connection *connection);

/* Where a packet is put together; the next call takes it again. */
struct buffer *socketio_begin_text(struct socketio_server *server);
/* Sends what was put there. */
void socketio_connection_send(struct socketio_connection *connection);
void socketio_connection_send_attachments(struct socketio_connection *connection,
                                          const struct bytes *attachments, uint32_t count);
/* The event "error" in a namespace. */
void socketio_connection_tell(struct socketio_connection *connection, struct bytes name_space,
                              const char *word);
/* The same in some namespace that was joined. */
void socketio_connection_tell_anywhere(struct socketio_connection *connection, const char *word);
/* Counts a refusal. */
void socketio_connection_note(const struct socketio_connection *connection, const char *word,
                              bool ends);
/* Ends it for what its client sent. More than once is fine: the first word counts. */
void socketio_connection_violation(struct socketio_connection *connection, const char *word);
/* A CONNECT or a token was refused: one of so many that it may try. */
void socketio_connection_count_refusal(struct socketio_connection *connection);

/* socketio_packets.c */
void socketio_connection_take(struct socketio_connection *connection,
                              const struct socketio_packet *packet, int64_t now_ms);
/* What the decoder did not take; `head` counts if it is nested too deep. */
void socketio_connection_refuse_message(struct socketio_connection *connection, enum status status,
                                        const struct socketio_packet *head);

/* socketio_migration.c: engineio_application_ops.migrate_out and migrate_in */
enum status socketio_connection_migrate_out(void *context, struct engineio_writer *writer,
                                            struct buffer *state, int64_t now_ms);
void *socketio_connection_migrate_in(void *application, struct engineio_session *session,
                                     struct bytes state, int64_t now_ms);

#endif
