/* What the files of the Engine.IO server share. Not for others.
 *
 *      handshake (GET)                           handshake (upgrade request)
 *            |                                              |
 *            v                                              v
 *         POLLING ------ probe, then "5" on a link ---> WEBSOCKET
 *            |                                              |
 *            '------ close() ------> CLOSING <--------------'
 *                                       |  its queue is flushed, then "1" or a close frame
 *                                       v
 *      any -- connection lost, ------> DEAD: out of the table, freed at the end of the turn
 *             timeout, violation */
#ifndef GATEWAY_ENGINEIO_ENGINEIO_PRIVATE_H
#define GATEWAY_ENGINEIO_ENGINEIO_PRIVATE_H

#include <uthash.h>

#include "engineio_packet.h"
#include "engineio_server.h"
#include "peer_client.h"
#include "timer_wheel.h"
#include "websocket_frame.h"
#include "wire.h"

/* Kept beside a POST's body of what a client says while its session moves. */
enum { HELD_SLACK = 65536 };

enum { SID_KEY_SIZE = 20, T_SIZE = 32, REMOTE_PROBE_SIZE = 17 };

enum engineio_session_state { SESSION_OPEN, SESSION_CLOSING, SESSION_DEAD };

enum heartbeat { HEARTBEAT_WAIT_PING, HEARTBEAT_WAIT_PONG };

/* The value of the `t` parameter, by which a repeated request is known. */
struct request_mark {
    uint8_t size; /* 0: the request had none, or one too long to be a client's */
    char text[T_SIZE];
};

/* What the context of an exchange points to: whose it is. */
struct exchange_owner {
    void (*body)(struct exchange_owner *owner, struct http_exchange *exchange, struct bytes body,
                 int64_t now_ms);
    void (*aborted)(struct exchange_owner *owner, struct http_exchange *exchange,
                    enum http_abort reason, int64_t now_ms);
};

/* What only a polling session needs; freed by the upgrade. */
struct polling {
    struct exchange_owner owner;          /* first: of get and post */
    struct http_exchange *get;            /* held until there is something to say */
    struct http_exchange *post;           /* its body is being read */
    struct http_exchange *take;           /* another gateway waits for the session */
    char remote_probe[REMOTE_PROBE_SIZE]; /* what names the probe at another gateway; "": none */
    struct request_mark get_mark, post_mark;
    struct request_mark last_get_mark, last_post_mark;
    uint64_t last_post_digest;
    struct buffer last_body; /* of the last answer, until a GET with another mark comes */
    struct link *probe;
    struct timer upgrade_timer;
    struct timer noop_timer;
    struct timer cut_timer; /* set: the connection of the last poll was lost before its answer */
    struct engineio_session *session;
    bool gzip; /* the held GET accepts it */
    bool old_browser;
    bool stock_client;
    bool probed;    /* "3probe" was sent: no poll is held for long */
    bool release;   /* answer the held poll with a noop if there is nothing else */
    bool told_noop; /* closing without a poll: the next one gets a noop first */
};

static inline bool polling_is_probed(const struct polling *polling)
{
    return polling->probe || polling->remote_probe[0];
}

/* A WebSocket: a session's transport, or a probe beside a polling session. */
struct link {
    struct wire *wire; /* NULL: closed */
    struct engineio_server *server;
    struct engineio_session *session;
    struct link *next_dead;
    struct websocket_reader reader;
    struct buffer held; /* came while the session was deaf */
    bool base64;        /* binary messages go out as text */
    bool probing;
    bool greeted; /* probing: "2probe" has come */
};

struct engineio_session {
    UT_hash_handle hh;
    struct engineio_server *server;
    void *connection; /* the application's */
    struct polling *polling;
    struct link *link;
    struct engineio_session *next_dirty;
    struct timer timer;
    struct buffer queue;
    char *handshake; /* query, then fields */
    struct address_place place;
    const char *word; /* why it ends, for the client; NULL: what the reason comes to */
    uint32_t query_size;
    uint32_t fields_size;
    uint32_t queue_brought; /* bytes that came from another gateway, beside the queue's limit */
    char key[SID_KEY_SIZE];
    uint16_t close_code; /* over WebSocket, with `word`; 0: what the reason comes to */
    uint8_t state;
    uint8_t heartbeat;
    uint8_t close_reason;
    bool last_word;   /* the application may queue one more thing, beyond the limit */
    bool told_closed; /* the application has had its last call */
    bool noted;       /* why it ends has been counted */
    bool dirty;
    bool awake;     /* the application has something to pull */
    bool ping_due;  /* "2" is to be sent */
    bool deaf;      /* migrated here, and its application is not ready to listen */
    bool refreshed; /* the pong's deadline was moved once */
};

struct engineio_server {
    struct engineio_config config;
    struct http_server *http;
    struct timer_wheel *wheel;
    struct engineio_session *sessions; /* by key */
    struct engineio_session *dirty;
    struct engineio_session **dirty_tail;
    struct engineio_session *dead;
    struct link *dead_links;
    struct engineio_stats stats;
    struct buffer scratch; /* what is being written */
    struct buffer decoded; /* base64 */
    struct poll_compressor *compressor;
    uint64_t poll_bytes; /* of a POST's body */
    struct engineio_peers peers;
    struct forward *forwards;               /* requests that other gateways have to answer */
    struct remote_upgrade *remote_upgrades; /* probes for sessions of other gateways */
    struct peer_notice *notices;
    bool draining;
};

struct engineio_writer {
    struct engineio_server *server;
    struct buffer *out;
    size_t start;
    size_t limit;
    uint32_t packets;
    uint32_t packets_most;
    struct buffer *queue; /* not NULL: entries of a session's queue are made, in the form of none */
    bool websocket;
    bool base64; /* over WebSocket: no binary frames */
};

/* engineio_session.c */
struct engineio_session *engineio_session_open(struct engineio_server *server,
                                               const struct http_request *request, int64_t now_ms);
/* A session that is in the table and does nothing yet; `key`: SID_KEY_SIZE characters. */
struct engineio_session *engineio_session_new(struct engineio_server *server, const char *key);
/* Frees all that carries the session; the application is not told. */
void engineio_session_vanish(struct engineio_session *session, int64_t now_ms);
/* How long until the next ping, at the latest. */
int64_t engineio_session_ping_in_ms(const struct engineio_session *session, int64_t now_ms);
void engineio_session_plan_ping_in(struct engineio_session *session, int64_t in_ms, int64_t now_ms);
struct engineio_session *engineio_session_find(struct engineio_server *server, struct bytes sid);
void engineio_session_append_open(struct engineio_session *session, bool websocket,
                                  struct buffer *out);
/* A packet from the client. Returns false if the session is no longer open. */
bool engineio_session_take(struct engineio_session *session, const struct engineio_packet *packet,
                           int64_t now_ms);
/* Ends the session and what carries it, at once. Not from inside a call of the application's. */
void engineio_session_end(struct engineio_session *session, enum engineio_close reason,
                          int64_t now_ms);
void engineio_session_mark_dirty(struct engineio_session *session);
/* Ends the session for what its client sent; the code is that of a close frame. */
void engineio_session_fail(struct engineio_session *session, unsigned code, const char *word,
                           int64_t now_ms);
/* The last answer or write of a closing session is out. */
void engineio_session_finish(struct engineio_session *session, int64_t now_ms);
/* Its client closed it while no poll was held: one may be on its way that was sent before. */
bool engineio_session_is_left(const struct engineio_session *session);
void engineio_session_tell_closed(struct engineio_session *session, int64_t now_ms);

enum { SESSION_COOKIE_SIZE = 192 };
/* The value of Set-Cookie; NULL: cookies are off. */
const char *engineio_session_cookie(const struct engineio_session *session,
                                    char cookie[SESSION_COOKIE_SIZE]);

/* engineio_writer.c */
enum queue_kind { QUEUE_TEXT, QUEUE_BINARY, QUEUE_WEBSOCKET_PONG };
void queue_append(struct buffer *queue, enum queue_kind kind, const struct bytes *parts,
                  size_t count);
/* The queue in a form that another gateway reads; false: it is none. */
void queue_pack(const struct buffer *queue, struct buffer *out);
bool queue_unpack(struct bytes packed, struct buffer *queue);
/* Moves entries from the queue to the writer while there is room. */
void queue_write(struct buffer *queue, struct engineio_writer *writer);
void writer_packet(struct engineio_writer *writer, enum engineio_packet_type type);
/* A due ping. Between "3probe" and "5" a poll gets no more: a client that closes meanwhile hands what
 * it polled to nobody, or to its handlers after the end, and would get it again when it is back. */
void engineio_session_fill_ping(struct engineio_session *session, struct engineio_writer *writer);
/* Everything that an open session can say now: a due ping, the queue, what is pulled. */
void engineio_session_fill(struct engineio_session *session, struct engineio_writer *writer,
                           int64_t now_ms);

/* engineio_polling.c */
void polling_attach(struct engineio_session *session);
void polling_request(struct engineio_session *session, struct http_exchange *exchange,
                     const struct http_request *request, int64_t now_ms);
void polling_flush(struct engineio_session *session, int64_t now_ms);
/* Answers what is outstanding, because the session ends, and frees the struct: a held GET gets this
 * packet; or an error, if it is ENGINEIO_UPGRADE: the session has moved to a WebSocket. */
void polling_detach(struct engineio_session *session, enum engineio_packet_type last);

/* engineio_websocket.c */
void engineio_websocket_request(struct engineio_server *server, struct engineio_session *session,
                                struct http_exchange *exchange, const struct http_request *request,
                                int64_t now_ms);
/* What an upgrade request asks for; borrows from it. */
struct upgrade_wish {
    struct bytes key;
    struct bytes protocol; /* the first that is offered, which is taken, as by the JavaScript
                              server; empty: none is */
    bool base64;           /* b64=1: binary messages as text */
};
/* Reads an upgrade request; false: it is refused. */
bool engineio_read_wish(struct http_exchange *exchange, const struct http_request *request,
                        struct upgrade_wish *wish);
/* Answers 101. The bytes behind the request are moved to `rest`. */
struct wire *engineio_welcome(struct engineio_server *server, struct http_exchange *exchange,
                              const struct upgrade_wish *wish, struct buffer *rest);
/* Makes a wire the session's, with its reader. */
struct link *link_of_wire(struct engineio_session *session, struct wire *wire,
                          const struct websocket_reader *reader, bool base64);
/* Messages that came while the session was deaf. */
void link_hear_held(struct link *link, int64_t now_ms);
void link_flush(struct link *link, int64_t now_ms);
/* Sends a close frame if it can, and closes the wire. The link is freed at the end of the turn.
 * word: NULL: none. */
void link_close(struct link *link, unsigned code, const char *word);

/* engineio_peers.c */
/* A request for a session that may be another gateway's: passed on, or refused. */
void forward_request(struct engineio_server *server, struct http_exchange *exchange,
                     const struct http_request *request, struct bytes sid);
void forwards_free(struct engineio_server *server);
/* Tells another gateway something whose answer means nothing. */
void peer_notice_send(struct engineio_server *server, const struct peer_address *address,
                      const char *path, struct bytes query);

/* engineio_remote_upgrade.c */
/* An upgrade request for a session that may be another gateway's. */
void remote_upgrade_request(struct engineio_server *server, struct http_exchange *exchange,
                            const struct http_request *request, struct bytes sid, int64_t now_ms);
void remote_upgrades_free(struct engineio_server *server);

/* engineio_migration.c */
/* The routes by which other gateways probe and take sessions. */
void migration_add_routes(struct engineio_server *server);
/* Gives the session to who waits for it, if it can be given now. */
void engineio_migrate_out(struct engineio_session *session, int64_t now_ms);
/* A WebSocket that is to be a session's. */
struct taken_wire {
    struct wire *wire;
    const struct websocket_reader *reader; /* is copied */
    const struct address_place *place;     /* likewise */
    bool base64;
};
/* The session of `sid`, with this WebSocket; false: the state is none, or no use here. */
bool engineio_migrate_in(struct engineio_server *server, struct bytes sid, struct bytes state,
                         struct taken_wire taken, int64_t now_ms);

/* engineio_request.c */
struct request_parameters {
    bool websocket;                   /* transport=websocket */
    bool known;                       /* the transport is one of ours */
    bool version_fits;                /* EIO=4 */
    bool names_session;               /* sid is there and not empty */
    struct engineio_session *session; /* NULL: not here, or not any more */
    struct buffer sid;                /* the caller deinits it */
};
struct request_parameters engineio_read_parameters(struct engineio_server *server,
                                                   const struct http_request *request,
                                                   int64_t now_ms);
bool engineio_fits_session(const struct request_parameters *parameters, bool upgrade);
/* http_route.body and http_route.aborted: for the owner of the exchange. */
void engineio_handle_body(void *route, struct http_exchange *exchange, struct bytes body,
                          int64_t now_ms);
void engineio_handle_aborted(void *route, struct http_exchange *exchange, enum http_abort reason,
                             int64_t now_ms);
/* Refuses who does not know the shared secret. */
bool engineio_is_peer(struct engineio_server *server, struct http_exchange *exchange,
                      const struct http_request *request);

/* engineio_answer.c */
void engineio_answer_error(struct http_exchange *exchange, enum engineio_error error,
                           const char *message);
/* A bad request (400, code 3) that says in which way. */
void engineio_answer_problem(struct http_exchange *exchange, const char *word);
/* upgrade: in the words in which the JavaScript server refuses a WebSocket. */
void engineio_refuse(struct http_exchange *exchange, bool upgrade, enum engineio_error error,
                     const char *message);
/* Whether no further session is let in. */
bool engineio_is_full(const struct engineio_server *server);
void engineio_refuse_full(struct engineio_server *server, struct http_exchange *exchange);

/* poll_compressor.c */
struct poll_compressor *poll_compressor_new(void);
void poll_compressor_free(struct poll_compressor *compressor);
/* The gzip form, borrowed until the next call. */
struct bytes poll_compressor_run(struct poll_compressor *compressor, struct bytes body);

#endif
