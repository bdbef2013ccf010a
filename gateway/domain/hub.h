/* The hub: lanes, rooms and sessions of one gateway process, and who gets what. Pure: bytes,
 * records and time come in, and sessions' deliveries go out. It never reads a clock, logs, blocks
 * or knows a socket or Kafka.
 *
 * A turn of the event loop: any number of calls below, then hub_run(), which tells transports which
 * sessions have deliveries. Answers to a transport never come from inside its own call.
 *
 * Not here: wire formats (protocol/), how bytes reach a client (transport/), how records arrive
 * (lane_source.h). */
#ifndef GATEWAY_DOMAIN_HUB_H
#define GATEWAY_DOMAIN_HUB_H

#include "access.h"
#include "bytes.h"
#include "claims.h"
#include "history_share.h"
#include "lane_source.h"
#include "layout.h"
#include "order.h"
#include "quotas.h"
#include "transport.h"

struct hub;
struct lane;
struct presence;
struct session;
struct policy;
struct conflation;

/* What a join may bring of the room's past; history.h. */
struct history_limits {
    uint32_t messages; /* of one history; 0: there are none */
    uint64_t bytes;    /* of the lane, that are looked through for one */
    int64_t age_ms;
    uint64_t buffered; /* of all histories, until they are given; of one, an eighth of it */
    uint64_t tenant_buffered, session_buffered; /* of all of one tenant, and of one session */
};

/* What a join may bring of the room's state; history.h. The bytes and age of a history hold for
 * a state that is read back. */
struct state_limits {
    uint32_t items;       /* of one room; 0: there is none */
    size_t chunk_bytes;   /* of items that are given in one step; a larger item is given alone */
    uint64_t bytes;       /* of all views of lanes; 0: there are none, and states are read back */
    int64_t retention_ms; /* so long an item is shown of which nothing more is told */
    int64_t idle_ms;      /* a view goes when nobody has asked for so long */
    uint64_t lane_bytes;  /* a lane whose log is whole and no longer than this is read back, since
                             that says all there is */
};

/* Orders of the backend; orders.h. */
struct orders_limits {
    size_t most;    /* in force at a time; 0: there are none, and nobody waits for them */
    int64_t age_ms; /* an order is in force for so long at most, from when it was written */
    bool tell;      /* whom an order ends or refuses hears of it; else `not_allowed` */
};

/* Who is in a room; presence.h. */
struct presence_limits {
    const char *const *kinds; /* of rooms that have it; borrowed for the hub's life */
    size_t kind_count;        /* 0: there is none */
    uint32_t users;           /* named for a room; the others are counted */
    uint64_t entries;         /* of other gateways: lists of rooms, and users in them */
    uint64_t tenant_entries;  /* of these, about the rooms of one tenant; above `users` */
    int64_t linger_ms;
    uint8_t worker[16]; /* random, of this process alone */
};

/* What the limits of hub_config may be: the ranges of settings are these. */
enum {
    HUB_QUEUE_MOST = 60000,            /* .queue_messages */
    HUB_ROOMS_MOST = 1000,             /* .rooms_per_session */
    HUB_ROOMS_OF_RECORD_MOST = 100000, /* .rooms_per_record */
    HUB_LANES_MOST = 100,              /* .lanes_per_session */
    HUB_JOINS_MOST = 1000,             /* .pending_joins */
    HUB_ANSWERS_LEAST = 1024,          /* .answers of a gateway: to as many rooms, and more */
    HUB_ANSWERS_MOST = 1000000,
    HUB_ANSWER_BYTES_LEAST = 512 * 1024, /* and .answer_bytes, whatever the rooms are called */
    HUB_KEYS_MOST = 4,
};

struct hub_config {
    const struct layout *layout;         /* borrowed for the hub's life */
    const struct policy *policy;         /* borrowed for the hub's life */
    const struct conflation *conflation; /* borrowed for the hub's life; NULL: none */
    size_t ring_bytes;                   /* recent records kept per lane */
    unsigned queue_messages; /* messages queued per session before it lives off its cursor */
    size_t
        queue_bytes;  /* the same in bytes of their records; 0: however large. One goes beyond it */
    unsigned answers; /* all else that is queued per session: answers to joins and leaves,
                                 and what it is told; beyond it, as beyond the bytes, it is ended with
                                 `too_many_answers`. At least rooms_per_session */
    size_t answer_bytes;
    unsigned rooms_per_session;
    unsigned rooms_per_record; /* a record that names more is passed over */
    unsigned lanes_per_session;
    unsigned sessions;       /* hard limit of open sessions */
    unsigned pending_joins;  /* per session */
    int64_t lane_linger_ms;  /* a lane without sessions is read on for so long */
    int64_t open_timeout_ms; /* a session or join whose lanes are not there by then is refused,
                                transiently */
    int64_t
        behind_timeout_ms; /* a session that makes no progress for so long while behind is closed */
    int64_t truncation_confirm_ms; /* a cursor beyond the broker's end is given up after so long */
    uint64_t
        cursor_lag_bytes;    /* a client whose cursor is further behind its lane gets a new one; at
                                  most half of catch_up_bytes counts */
    uint64_t catch_up_bytes; /* horizon: a cursor further behind than this gives a fresh session */
    unsigned scans;          /* concurrent scans */
    size_t read_back_bytes;  /* of what scans have read, kept for others, all lanes together */
    struct history_limits history;
    struct state_limits state;
    const struct quotas_config *quotas; /* copied, but for its seed; NULL: none */
    uint64_t hash_seed; /* random, of this process alone: where names from outside lie in tables */
    struct access_port access;
    struct orders_limits orders;
    struct presence_limits presence;
    bool recovery; /* hand out cursors and private ids */
    /* Secrets for cursors and private ids, newest first; copied. */
    struct bytes keys[HUB_KEYS_MOST];
    unsigned key_count; /* at least one if recovery is on */
};

/* What the hub counts; read by metrics. */
struct hub_stats {
    uint64_t sessions_opened, sessions_refused, sessions_recovered, sessions_not_recovered,
        sessions_continued, sessions_closed;
    uint64_t records, records_skipped, deliveries, deliveries_caught_up;
    uint64_t rooms_left_out;                      /* of those given at connect */
    uint64_t refreshed, rooms_lost, rooms_gained; /* claims replaced; by them, or at a return */
    uint64_t joins, joins_refused, leaves, behind_entered, behind_closed, scans, scan_records, gaps;
    uint64_t records_faulty[RECORD_FAULTS]; /* live, by a scan, or of a state
                                                      topic; by enum record_fault */
    uint64_t records_other_layout; /* live: their producer has another layout than this gateway */
    uint64_t conflated;
    uint64_t steps; /* elements that loops over sessions, joins and histories of others have seen */
    uint64_t quota_refused[QUOTA_SCOPES][QUOTA_KINDS];
    uint64_t orders[ORDER_KINDS], orders_lifted, orders_over; /* read; `over`: its time was */
    uint64_t disconnected, revoked, kept_out; /* sessions ended by orders, connects refused */
    uint64_t rooms_closed, rooms_opened;      /* of sessions, by orders */
    uint64_t overflowed; /* sessions ended for answers that they did not read */
    uint64_t histories, histories_incomplete, history_messages; /* asked for; cut off; given */
    uint64_t states, states_incomplete, state_items;            /* likewise */
    /* By what would have been too much: refused; cut off. */
    uint64_t histories_refused[HISTORY_LIMITS], histories_cut[HISTORY_LIMITS];
    uint64_t states_of_views, state_lists, state_chunks; /* of `states`; made of rooms; framed */
    uint64_t view_loads, views_failed, views_too_large;  /* begun; begun anew; did not fit */
    uint64_t sessions, rooms, lanes, lanes_open, ring_bytes, read_back_bytes, queued_messages,
        sessions_behind, histories_waiting, history_bytes, views, view_bytes, orders_now; /* now */
};

/* The source's ops and pointer are borrowed for the hub's life. */
struct hub *hub_new(const struct hub_config *config, const struct lane_source_ops *source_ops,
                    void *source);
/* Every session must have been closed. */
void hub_free(struct hub *hub);
const struct hub_stats *hub_stats(const struct hub *hub);
/* For who reads and writes its topic; NULL: there is none. */
struct presence *hub_presence(const struct hub *hub);

/* --- time ------------------------------------------------------------------------------------- */

/* The end of a turn: tells transports about ready sessions, expires what is due, reaps closed
 * sessions. `now_ms` is monotonic and never goes back. */
void hub_run(struct hub *hub, int64_t now_ms);
/* When hub_run() must be called at the latest; INT64_MAX: only when something happens. */
int64_t hub_deadline_ms(const struct hub *hub);

/* --- what transports call -------------------------------------------------------------------- */

struct session_request {
    const struct transport_ops *transport;
    void *connection;          /* handed to transport_ops.ready */
    struct claims_json claims; /* verified claims, a JSON object; copied */
    struct bytes private_id;   /* what the client presented to resume, or empty */
    struct bytes cursor;       /* likewise */
    struct bytes continued; /* what session_migrate_out() wrote elsewhere; then the three above are
                                not read. It goes on there or, if that cannot be, is refused,
                                transiently */
    uint8_t random[32];     /* for the new session's ids */
    int64_t now_ms;         /* monotonic */
    int64_t wall_ms;
};

/* Opens a session. Its rooms follow from the claims (policy.h) or, when it resumes, from its
 * cursor, authorised again. The stream's first delivery is OPENED or REFUSED. NULL only when the
 * configured number of sessions is reached. */
struct session *hub_open_session(struct hub *hub, const struct session_request *request);

/* The next step of the session's stream; false: none now. Marks it as given: what is asked from
 * here on comes after it. */
bool session_next(struct session *session, struct delivery *delivery);

/* Joins or leaves a room by name ("kind:key"). Answered in the stream under `request` (not 0):
 * JOINED, JOIN_REFUSED, LEFT. All that is published after the answer reaches the client. */
void session_join(struct session *session, struct bytes room, uint64_t request, int64_t now_ms);
void session_leave(struct session *session, struct bytes room, uint64_t request);

/* What a client wants of a room's past: the last so many, of those since a time, or both. Or the
 * room's state: the last notification of each item that was not taken out; then the others are as
 * zeroed, but since_ms INT64_MIN. */
struct history_request {
    int64_t since_ms; /* wall clock; INT64_MIN: any */
    uint32_t last;    /* 0: any number */
    bool state;
};
/* As session_join(), and also for a room that the session is in already: what lies before the
 * confirmation comes first, as HISTORY or STATE, within hub_config.history and .state. One that does not become
 * whole within open_timeout_ms is refused, transiently, and so is the join. */
void session_join_with_history(struct session *session, struct bytes room, uint64_t request,
                               const struct history_request *history, int64_t now_ms,
                               int64_t wall_ms);

/* As session_join(), or with a history as session_join_with_history(), and from the confirmation on
 * the session is told who is in the room, PRESENCE: first who is there, then who comes and goes.
 * Refused, `no_presence`: for rooms of this kind there is none, or the token names no user. */
void session_join_with_presence(struct session *session, struct bytes room, uint64_t request,
                                const struct history_request *history, int64_t now_ms,
                                int64_t wall_ms);

/* While it is held no PRESENCE is given: for a transport that would have to keep it back. What there
 * is to tell waits as for a client that is slow, and is given as one snapshot of each room. */
void session_hold_presence(struct session *session, bool held);

/* It was ended from here: nothing but CLOSE is left of its stream. */
bool session_has_ended(const struct session *session);

/* Whether the session is in the room. */
bool session_is_in(const struct session *session, struct bytes room);

/* Whether the session may send this event: as policy_may_send(). */
enum status session_may_send(const struct session *session, struct bytes event) MUST_CHECK;

/* Replaces the session's claims, a verified JSON object, by those of a fresh token; what is asked
 * from here on is judged by them. Answered in the stream under `request` (not 0): REFRESHED. Before
 * it comes LEFT (request 0, `not_allowed`) for each room that they do not open; from there on
 * nothing of these rooms is given. Rooms that they give at connect, and those before did not, are
 * joined: JOINED (request 0) as soon as their lanes are there; if they do not come, the session
 * ends, transiently. NULL; or the word for why nothing is changed, and not answered in the stream:
 * other_principal (of another tenant or user), bad_claims (as policy_claims()), not_connected. */
const char *session_refresh(struct session *session, struct claims_json claims, uint64_t request,
                            int64_t now_ms) MUST_CHECK;

/* Takes one of the quotas of its user and tenant, for what transports do themselves:
 * 0, or in how many milliseconds there will be one. Subscriptions, histories and states are the hub's. */
int64_t session_spend(const struct session *session, enum quota_kind kind,
                      int64_t now_ms) MUST_CHECK;

/* The transport lost or ended the session. Always safe, also from inside transport_ops.ready; the
 * session must not be used afterwards. */
void session_close(struct session *session);

/* --- on the way to another gateway */

/* While this gives deliveries, the client is owed answers, and session_migrate_out() would leave
 * them behind: as session_next(), but stops behind the last of them. False also while an answer
 * is not ready, or a join is under way; the session is woken when it is. */
bool session_next_answer(struct session *session, struct delivery *delivery);

/* Appends all that another gateway needs to go on where this stream stands. The session is then to
 * be closed here. STATUS_INCOMPLETE: an answer is owed, see above; STATUS_CLOSED: it is ending. */
enum status session_migrate_out(const struct session *session, struct buffer *state) MUST_CHECK;

/* For logs: tenant and user of the claims, borrowed. */
struct bytes session_user(const struct session *session);
struct bytes session_tenant(const struct session *session);
struct bytes session_public_id(const struct session *session);
const char *session_transport(const struct session *session); /* "socketio", "websocket", "sse" */

/* --- what the lane source calls -------------------------------------------------------------- */

/* The lane's first and end offset at this moment; reading starts at `end`. Also after a reopening
 * by the source. */
void hub_lane_opened(struct hub *hub, struct lane *lane, int64_t first, int64_t end);
/* Answer to lane_source_ops.ends. */
void hub_lane_ends(struct hub *hub, struct lane *lane, int64_t first, int64_t end);
/* The lane cannot be read now (topic missing, broker away); the source goes on trying. */
void hub_lane_unavailable(struct hub *hub, struct lane *lane, const char *reason, int64_t wall_ms);
/* A record, in the order of offsets. Gaps between offsets are normal (transaction markers). */
void hub_record(struct hub *hub, struct lane *lane, const struct lane_record *record);
/* Everything below `position` has been read (end of partition, control records). */
void hub_lane_position(struct hub *hub, struct lane *lane, int64_t position);
/* The log does not go back to where the lane was read (truncated, deleted and created again,
 * overtaken by retention): every session of the lane gets its declared answer. */
void hub_lane_broken(struct hub *hub, struct lane *lane, const char *reason);

/* --- what the reader of orders calls */

/* An order, as it was read. */
struct order_arrival {
    const struct order *order;
    int64_t written_ms;      /* the record's time, wall clock; below 0: it has none */
    int64_t now_ms, wall_ms; /* monotonic, and of clocks on walls */
};

/* In the order of the topic. Sessions that it names are ended, or leave and join rooms, in this
 * turn and the next ones, and who comes from here on is held to it: as he connects, returns,
 * moves here or brings a fresh token. `*named` is how many there are now. STATUS_LIMIT: there
 * are as many orders as may be; it is to be offered again. */
enum status hub_order(struct hub *hub, const struct order_arrival *arrival,
                      size_t *named) MUST_CHECK;
/* All orders that there were when the gateway began have been told. Until then nobody is let in. */
void hub_orders_known(struct hub *hub);

/* A record of a scan. False: pause, nobody can take more; lane_source_ops.scan_resume follows. */
bool hub_scan_record(struct hub *hub, struct lane *lane, const struct lane_record *record);
/* The scan reached its end (STATUS_OK) or cannot go on; `first` is the log's first offset now. */
void hub_scan_ended(struct hub *hub, struct lane *lane, enum status status, int64_t first);

/* --- of a lane's state topic */

/* Answers to lane_source_ops.state_ends and .state_read. */
void hub_state_ends(struct hub *hub, struct lane *lane, const struct state_ends *ends);
void hub_state_record(struct hub *hub, struct lane *lane, const struct lane_record *record);
/* STATUS_OK: all was read. Else what was read may have a hole, and is read again. */
void hub_state_read(struct hub *hub, struct lane *lane, enum status status);

#endif
