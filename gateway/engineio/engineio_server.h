/* Engine.IO v4, the server's side (engine.io-protocol, revision 4): sessions over long-polling and
 * WebSocket, upgrade, heartbeat, limits. Pure. Messages are opaque here: Socket.IO is the
 * application's (socketio_server.h), or any other.
 *
 * Outgoing messages come from two places. Single messages (an ack, a refusal) go to a
 * bounded queue per session. The stream is pulled: when a session can take more, the
 * application fills a shared buffer, and all that was ready goes out in one write, so that a
 * delivery costs no memory and no system call of its own. The queue goes first.
 *
 * Nothing is written from inside a call: engineio_server_turn(), at the end of each turn of the
 * loop, writes for all sessions that have something, and frees those that ended. */
#ifndef GATEWAY_ENGINEIO_ENGINEIO_SERVER_H
#define GATEWAY_ENGINEIO_ENGINEIO_SERVER_H

#include "buffer.h"
#include "http_server.h"
#include "peer_client.h"

struct engineio_server;
struct engineio_session;
struct engineio_writer;

enum engineio_close {
    ENGINEIO_CLOSE_CLIENT,       /* packet "1" */
    ENGINEIO_CLOSE_TRANSPORT,    /* the connection was lost, a poll was aborted */
    ENGINEIO_CLOSE_PING_TIMEOUT, /* */
    ENGINEIO_CLOSE_PROTOCOL,     /* something that must not be sent */
    ENGINEIO_CLOSE_OVERFLOW,     /* the session's queue is full */
    ENGINEIO_CLOSE_SERVER,       /* engineio_session_close() */
    ENGINEIO_CLOSE_COUNT
};

struct engineio_application_ops {
    /* Whether a handshake is let in; false: 403 with *message (static), if set. NULL: always. */
    bool (*allow)(void *application, const struct http_request *request, const char **message);
    /* A session begins. The result is handed to the calls below. */
    void *(*opened)(void *application, struct engineio_session *session, int64_t now_ms);
    /* A message; borrowed during the call. */
    void (*message)(void *connection, struct bytes data, bool binary, int64_t now_ms);
    /* Appends messages while the writer has room; returns whether there are more. Only after
     * engineio_session_wake(), and again after it returned true. */
    bool (*pull)(void *connection, struct engineio_writer *writer, int64_t now_ms);
    /* The session moves to another gateway: appends what is owed to the client and not yet said to
     * the writer, which has room, and what migrate_in() needs there to `state`. STATUS_OK: the
     * session is gone, and there is no further call. STATUS_INCOMPLETE: an answer is not ready yet;
     * called again after the session was woken or something was sent. Others: the session must end.
     * With it goes migrate_in(); both NULL: sessions stay where they are. */
    enum status (*migrate_out)(void *connection, struct engineio_writer *writer,
                               struct buffer *state, int64_t now_ms);
    /* A session that comes from another gateway, instead of opened(). Its messages are held
     * back until engineio_session_listen(). NULL: the state cannot be used here. */
    void *(*migrate_in)(void *application, struct engineio_session *session, struct bytes state,
                        int64_t now_ms);
    /* The last message is more than the queue may hold, and the session ends: a last thing
     * that is sent from here is taken all the same. NULL: there is none. */
    void (*overflowed)(void *connection);
    /* The last call; the session must not be used afterwards. Never from inside a call of the
     * application's. */
    void (*closed)(void *connection, enum engineio_close reason, int64_t now_ms);
};

struct engineio_config {
    const char *path; /* ends with '/' */
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint64_t max_payload_bytes; /* inclusive, of a POST body or a WebSocket message */
    uint32_t payload_packets;   /* most packets in one POST body; 0: 10,000 */
    uint32_t poll_packets;      /* most packets in a poll answer to any client but the stock ones:
                                   python-engineio takes 16; 0: no limit */
    size_t queue_bytes;         /* of a session's queue; beyond it the session is closed */
    size_t write_bytes; /* an answer or write is not filled beyond it, unless by a single message;
                           0: 64 KiB */
    int64_t upgrade_timeout_ms; /* 0: 10 s */
    int64_t close_timeout_ms;   /* how long a closed polling session waits for a poll to tell it to;
                                   0: 30 s */
    unsigned sessions;          /* 503 beyond; 0: no limit */
    bool no_polling, no_websocket;
    bool compress;          /* gzip poll answers from compress_bytes on */
    size_t compress_bytes;  /* 0: 1024 */
    const char *cookie;     /* name; NULL: none */
    const char *sid_prefix; /* of every sid, up to 44 characters of the URL alphabet; NULL: none */
    const struct http_cors *cors;
    const struct http_origins *origins; /* of pages that may connect; NULL: any */
    const char *const
        *handshake_fields; /* request fields kept with the session, NULL-terminated; NULL: none */
    const char *handshake_cookie; /* a cookie kept as a field of its own; NULL: none is */
    void (*random)(void *random_context, uint8_t *out, size_t size);
    void *random_context;
    const struct engineio_application_ops *ops;
    void *application;
};

struct engineio_stats {
    uint64_t opened, refused, upgrades, upgrades_failed;
    uint64_t closed[ENGINEIO_CLOSE_COUNT];
    uint64_t messages_in, bytes_in, messages_out, bytes_out, writes, polls, posts, polls_repeated;
    uint64_t forwards,
        forwards_failed; /* polls passed on to their gateway, and those it did not answer */
    uint64_t migrated_in, migrations_failed, migrated_out; /* upgrades across gateways */
    uint64_t peer_requests, peer_refused; /* asked by other gateways, and those without the token */
    uint64_t polling, websocket,
        remote_upgrades; /* now; remote_upgrades: see engineio_remote_upgrade.c */
};

/* The other gateways: a request may reach any of them, whoever has its session. Polls are passed
 * on, once; an upgrade takes the session over, so that no WebSocket is ever relayed. */
struct engineio_peers {
    const struct peer_identity *identity; /* borrowed; its prefix becomes that of every sid */
    struct peer_client *client;           /* borrowed */
    struct http_server *http; /* where the others ask this one; gets the routes /peer/... */
    int64_t timeout_ms; /* for an answer; below the ping timeout, so that a client hears of a lost
                           session in time */
};

/* Registers its path with the HTTP server. The configuration is copied, what it points to is
 * borrowed. */
struct engineio_server *engineio_server_new(const struct engineio_config *config,
                                            struct http_server *http, struct timer_wheel *wheel);
/* Ends all sessions. Before http_server_free(). NULL is fine. */
void engineio_server_free(struct engineio_server *server);
/* Before the first session. */
void engineio_server_set_peers(struct engineio_server *server, const struct engineio_peers *peers);
void engineio_server_turn(struct engineio_server *server, int64_t now_ms);
/* INT64_MAX, or 0 if a turn is due at once. */
int64_t engineio_server_deadline_ms(const struct engineio_server *server);
/* After a span in which this process could not run: deadlines have moved by it, but clients count
 * from the last ping that they got, so pings move back. */
void engineio_server_woke(struct engineio_server *server, int64_t span_ms, int64_t now_ms);
/* Handshakes are answered with 503 from now on. */
void engineio_server_drain(struct engineio_server *server);
/* engineio_session_close() of so many sessions, the oldest first: their clients come back,
 * elsewhere. Returns how many there were. */
unsigned engineio_server_send_away(struct engineio_server *server, unsigned count);
/* Polls of other gateways' sessions that are held here are answered soon, and come back elsewhere.
 */
void engineio_server_release_forwards(struct engineio_server *server);
const struct engineio_stats *engineio_server_stats(const struct engineio_server *server);

/* ---- Sessions ---- */

/* Queues a message; the parts are copied. A full queue closes the session. Ignored once it is
 * closing. */
void engineio_session_send(struct engineio_session *session, bool binary, const struct bytes *parts,
                           size_t count);
/* There is something to pull. */
void engineio_session_wake(struct engineio_session *session);
/* After migrate_in(): now its client is listened to. */
void engineio_session_listen(struct engineio_session *session);
/* Ends the session: what is queued still goes out, nothing more comes in or is pulled; `closed`
 * follows at the end of the turn. */
void engineio_session_close(struct engineio_session *session);
/* The same with a word for the client (refusals.h) and the close code that goes with it over
 * WebSocket; a polling client hears only what was sent before. The first word counts.
 * It is not counted here as a refusal: who gives it does that. */
void engineio_session_close_for(struct engineio_session *session, unsigned code, const char *word);

/* The same for a client that asks for more than it reads: a WebSocket ends with 1008 and
 * `too_many_answers`. */
void engineio_session_overflow(struct engineio_session *session);

enum { ENGINEIO_SID_SIZE = 68 }; /* with its NUL */
void engineio_session_sid(const struct engineio_session *session, char sid[ENGINEIO_SID_SIZE]);
bool engineio_session_is_websocket(const struct engineio_session *session);
/* Of the handshake request: its query, and the fields that the configuration names. Until
 * engineio_session_forget(). */
struct bytes engineio_session_query(const struct engineio_session *session);
/* Those fields, as http_request.fields. */
struct bytes engineio_session_fields(const struct engineio_session *session);
/* Frees the kept query and fields. */
void engineio_session_forget(struct engineio_session *session);

/* ---- Pulling ---- */

bool engineio_writer_has_room(const struct engineio_writer *writer);
/* One message of several parts. */
void engineio_writer_text(struct engineio_writer *writer, const struct bytes *parts, size_t count);
void engineio_writer_binary(struct engineio_writer *writer, struct bytes data);
/* What was written is large: to a socket nothing more goes with it, and the rest when the socket
 * takes more. What it does not take is copied, for this one client. Of a poll, the answer is one
 * copy in any case, and nothing changes. */
void engineio_writer_close(struct engineio_writer *writer);

#endif
