/* What the hub's own files share. Nobody else includes this: transports and sources see hub.h.
 *
 *   lane.c       lanes: opening, ring, rooms, lingering
 *   membership.c the rooms and lanes of one session
 *   queue.c     what is queued for a session, and who must be told
 *   session.c    opening, the stream of deliveries, the end
 *   join.c       how it comes into a room and leaves it
 *   refresh.c    rights that change
 *   session_rights.c  what it may do, by its claims and by the backend's orders
 *   session_orders.c  what these orders do to it
 *   migrate.c  a session that goes on at another gateway
 *   resume.c     private ids and cursors: made, and followed back
 *   catch_up.c   sessions behind the head of a lane: where each stands, and from the ring
 *   scan.c       readings of the past that all who are behind the ring share
 *   history.c    what lies before a join, for those who ask for it
 *   conflation.c what a later message has made out of date for sessions that are behind
 *   hub.c        turns, records, time
 *
 * A session stands in each of its lanes in one of these ways:
 *
 *        opening --(lane opened)--> live <---(reached the head)--- behind <--> scanning
 *           \                        |                               ^           ^
 *            \                       +--(queue full)----------------+           |
 *             +--(resumed below the head)------------------------------(ring moved on)
 *
 *   opening   the lane's end is not known yet
 *   live      gets each record as it arrives. Records below `next` are skipped: a cursor may be
 * ahead of this gateway behind    gets nothing from arrivals; catches up from the ring when its
 * queue is empty scanning  needs what the ring no longer has: waits for, or rides on, the lane's
 * scan */
#ifndef GATEWAY_DOMAIN_HUB_STATE_H
#define GATEWAY_DOMAIN_HUB_STATE_H

#include "cursor.h"
#include "hub.h"
#include "message.h"
#include "policy.h"
#include "waits.h"

#include <assert.h>

/* uthash's own function is not used: names come from outside, so keys are hashed with the hub's seed
 * (hub_hash()). */
#define HASH_FUNCTION(key, size, value) (value) = hub_hash_is_needed
#include <utlist.h>
#include <xxhash.h>

#include <uthash.h>

struct room;
struct history;
struct conflation_table;
struct orders;
struct orders_member;
struct order_subjects;

/* --- lanes ---------------------------------------------------------------------------------- */

/* Recent records of a lane: all that lie in [from, the lane's position), oldest first. */
struct ring {
    struct message **messages; /* circular; capacity is a power of two */
    uint64_t *marks;           /* of each message, beside it: see room_mark() */
    struct room_set *blocks;   /* of RING_BLOCK slots each: the rooms that are named there */
    size_t capacity;
    size_t start;
    size_t count;
    size_t unsettled; /* so many of the newest may have grown since they were counted */
    size_t bytes;
    int64_t from;
};

struct lane_scan {
    bool wanted;  /* sessions wait for one; the lane is in the hub's queue */
    bool running; /* the source is at it; the lane is in the hub's list of scans */
    bool paused;  /* a rider's queue is full */
    int64_t from; /* where it began */
    int64_t next; /* offset after the last record it gave */
    int64_t until;
    uint64_t turn;        /* in which `kept` was settled */
    struct ring kept;     /* what it gave, for those who come meanwhile: [kept.from, next) */
    int64_t retry_ms;     /* not before, after a failure */
    struct place *places; /* DL list: all in PLACE_SCANNING; those that are full first */
    size_t readers;       /* of them, so many ride on it */
    size_t history_readers;
    struct place **checks; /* readers whose cursor is still to be verified, by offset; NULL: left */
    size_t check_count, check_at;
    /* Histories that wait for the first record at or after where they begin, by that; NULL: left */
    struct history **firsts;
    size_t first_count, first_at;
    bool served;                            /* there were readers when it began */
    uint64_t bytes, records;                /* so many it gave */
    bool useless;                           /* larger than histories may be: it is to be given up */
    struct position last;                   /* after the last record it gave */
    struct conflation_table *last_messages; /* of the scan that runs */
    struct lane *prev, *next_lane;          /* in the hub's queue or list of scans */
};

struct lane {
    struct hub *hub;
    char *topic; /* key of the hub's table, with the partition */
    int32_t partition;
    uint32_t id;
    enum lane_scope scope;
    bool open;
    bool in_linger;
    bool stale; /* the source says it cannot be read now */
    int64_t stale_since_ms;
    int64_t first;                /* the log's first offset when last told */
    int64_t position;             /* the next offset to arrive */
    struct position head;         /* after the last record seen */
    struct waits places_ahead;    /* cursors that wait for the position to reach them */
    struct waits histories_ahead; /* and histories */
    uint64_t record_bytes;        /* running mean of record sizes, for the horizon */
    struct ring ring;
    uint64_t ring_turn;                     /* the turn in which the ring was settled */
    struct conflation_table *last_messages; /* of the ring */
    struct room *rooms;                     /* by hash; rooms of one hash are chained */
    struct place *sessions;                 /* DL list */
    struct history *histories;              /* DL list: those that are not whole */
    unsigned session_count;
    int64_t linger_until_ms;
    struct lane_scan scan;
    bool keeps;             /* in the hub's list: may hold more than a ring's share */
    int64_t keeps_until_ms; /* INT64_MAX: while its scan runs */
    size_t beyond;          /* bytes it holds beyond that share */
    struct lane *keeps_prev, *keeps_next;
    struct place *doubtful_places; /* DL list */
    bool in_doubt; /* in the hub's list: sessions have cursors beyond this gateway's position */
    int64_t doubt_until_ms; /* then the broker's end is believed */
    int64_t doubt_due_ms;   /* when to ask again; INT64_MAX: asked */
    struct lane *doubt_prev, *doubt_next;
    struct lane *prev, *next; /* list of lingering lanes */
    UT_hash_handle hh;
};

struct room_member {
    struct session *session;
    uint32_t index; /* in session->rooms */
    bool held;      /* gets nothing yet: what lies before comes first (history.h) */
};

/* A room with members here. Its identity is lane, scope and name. */
struct room {
    uint64_t hash;
    struct lane *lane;
    struct room *same_hash;
    struct room_member *members;
    uint32_t count, capacity;
    struct history *histories; /* DL list: those that are not whole */
    uint16_t scope_size, name_size;
    UT_hash_handle hh;
    uint8_t text[]; /* scope, then name */
};

static inline struct bytes room_scope_of(const struct room *room)
{
    return bytes_of(room->text, room->scope_size);
}

static inline struct bytes room_name_of(const struct room *room)
{
    return bytes_of(room->text + room->scope_size, room->name_size);
}

struct lane *lane_get(struct hub *hub, const struct lane_name *name);
void lane_free(struct lane *lane);
struct room *room_get(struct lane *lane, struct bytes scope, struct bytes name);
/* The rooms of this hash, chained by same_hash; NULL if there is none. */
struct room *room_find(struct lane *lane, uint64_t hash);
/* Frees the room if it has no member left. */
void room_release(struct room *room);

/* Takes over the caller's reference. */
void ring_push(struct ring *ring, struct message *message, size_t bytes_limit);
/* For the messages that were pushed since the last call, when their turn is over: gives back their
 * decoded form, and counts them again, since they were framed meanwhile. */
void ring_settle(struct ring *ring);
/* The index of the first message at or after `offset`, up to ring->count. */
size_t ring_find(const struct ring *ring, int64_t offset);
struct message *ring_at(const struct ring *ring, size_t index);
/* Two bits for a room, by its hash. Those of all its rooms are a message's mark: rooms are looked
 * for without a look at the message. */
static inline uint64_t room_mark(uint64_t hash)
{
    return (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63);
}

enum {
    ROOM_FILTER_ROOMS = 8, /* of more, only their bits together are looked for */
    RING_BLOCK = 64,
    ROOM_SET_WORDS = 64,
};

/* The rooms of a block, by other bits of their hashes: most of a ring is passed over without a look
 * at the marks. */
struct room_set {
    uint64_t words[ROOM_SET_WORDS];
};

/* The rooms that are looked for. All zero: none. */
struct room_filter {
    uint64_t any;
    unsigned count;
    uint64_t marks[ROOM_FILTER_ROOMS];
    uint64_t hashes[ROOM_FILTER_ROOMS];
};
void room_filter_add(struct room_filter *filter, uint64_t hash);

/* The first index from `index` on, below `end`, whose message may name a room of the filter; `end`:
 * none does. Counts what it looks at, a message or a block of them, off `looks`, and stops when
 * there are none left. */
size_t ring_skip(const struct ring *ring, size_t index, size_t end,
                 const struct room_filter *filter, size_t *looks);
/* Backwards: the index behind the last one below `index` whose message may; 0: none does. */
size_t ring_skip_back(const struct ring *ring, size_t index, const struct room_filter *filter);
void ring_clear(struct ring *ring, int64_t from);
/* Moves all of `older`, which ends where `ring` begins, to its front; then drops as ring_push(). */
void ring_prepend(struct ring *ring, struct ring *older, size_t bytes_limit);
/* Drops the oldest down to the limit. */
void ring_trim(struct ring *ring, size_t bytes_limit);

/* What a ring of the lane, its own or its scan's, may hold now. */
size_t lane_ring_limit(const struct lane *lane, const struct ring *ring);
/* About so many bytes are so many records of the lane (not below 0). */
uint64_t lane_bytes_of(const struct lane *lane, int64_t records);
/* A message of the lane has been framed: a ring that holds it counts the frame. False: that would be
 * beyond its limit, so the frame must not stay. To drop records for it would be to drop those that
 * are wanted next. */
bool lane_count_frame(struct lane *lane, struct message *message);
/* A message was decoded for those who catch up. */
void hub_keep_decoded(struct hub *hub, struct message *message);
void hub_forget_decoded(struct hub *hub);
/* After a ring of the lane has changed. */
void lane_count_beyond(struct lane *lane);

/* --- sessions ------------------------------------------------------------------------------- */

enum place_state { PLACE_OPENING, PLACE_LIVE, PLACE_BEHIND, PLACE_SCANNING };

/* A session's place in one lane. */
struct place {
    struct lane *lane;
    struct session *session;
    int64_t next;          /* the next offset it may be offered */
    struct position given; /* after the last record delivered to the transport or passed over */
    int64_t live_from;     /* what lies below it was missed, while behind */
    uint16_t check;  /* of the record before `next` that a cursor named; 0: verified or nothing to
                        verify */
    uint32_t queued; /* messages of this lane in the queue */
    uint32_t room_count;
    uint8_t state;
    bool reading;  /* rides on the running scan */
    bool full;     /* has had as much of the scan as its queue may hold */
    bool doubtful; /* the cursor lies beyond what this gateway has seen: the broker's end decides */
    bool ordered;  /* by session_rooms_changed() */
    uint32_t check_index;              /* in scan.checks, if it is reading with a check */
    int64_t reported;                  /* `next` in the last cursor given */
    struct waiter ahead;               /* in lane->places_ahead */
    struct place *prev, *next_session; /* in lane->sessions */
    /* In scan.places (PLACE_SCANNING) or lane->doubtful_places (PLACE_OPENING). */
    struct place *list_prev, *list_next;
};

struct session_room {
    struct room *room;
    struct place *place;   /* in the room's lane */
    uint32_t member;       /* index in room->members */
    int32_t private_index; /* in the private id's list of rooms; -1: joined later */
    bool told;             /* the client knows (OPENED or JOINED was given): it stands in cursors */
};

enum item_kind {
    ITEM_MESSAGE,
    ITEM_JOINED,
    ITEM_JOIN_REFUSED,
    ITEM_LEFT,
    ITEM_REFRESHED,
    ITEM_CURSOR,
    ITEM_STALE,
    ITEM_LIVE,
    ITEM_CLOSE
};

struct control {
    uint64_t request;
    int64_t since_ms;
    int64_t retry_after_ms;
    const char *reason;
    struct history *history; /* JOINED: is given first; NULL: none was asked for. Owned */
    bool transient;
    bool overflow;         /* CLOSE: of answers */
    bool lost;             /* LEFT: by its rights; see session_tell_lost() */
    int32_t private_index; /* of what is lost; -1: it is in session->untold */
    struct control *untold_prev, *untold_next;
    uint16_t room_size; /* up to ROOM_NAME_LIMIT */
    uint8_t room[];
};

struct queue_item {
    enum item_kind kind;
    union {
        struct message *message;
        struct control *control;
    };
};

/* First in, first out; one item needs no memory of its own, and none stays when it is empty.
 * Messages are bounded by hub_config.queue_messages and .queue_bytes, all else by hub_config.answers and
 * .answer_bytes. */
struct session_queue {
    struct queue_item *items; /* circular; NULL: there is `single` */
    struct queue_item single;
    size_t capacity, start, count; /* of `items`; capacity is a power of two, or 0 */
    size_t messages, message_bytes;
    size_t answer_bytes; /* of all but messages */
};

enum session_state { SESSION_OPENING, SESSION_OPEN, SESSION_ENDING, SESSION_CLOSED };

/* A join or an opening that waits for lanes. */
struct pending_request {
    struct session *session;
    struct lane *lane;       /* of a join; NULL: the session's opening */
    struct history *history; /* that a join brings; NULL: none. Owned */
    uint64_t request;
    int64_t deadline_ms;
    struct pending_request *prev, *next;         /* all of the hub, by deadline */
    struct pending_request *own_prev, *own_next; /* of a join: the session's own, oldest first */
    uint16_t room_size;
    uint8_t room[];
};

struct session {
    struct hub *hub;
    const struct transport_ops *transport;
    void *connection;
    struct claims *claims;
    struct quota_holders quotas;
    struct orders_member *member; /* in hub->orders; NULL: not */
    struct place **places;      /* in order of first mention by `rooms`: the cursor relies on it */
    struct session_room *rooms; /* private id's rooms in its order, then joined ones in order */
    uint32_t place_count, room_count, room_capacity;
    uint32_t private_rooms; /* rooms in the private id */
    uint32_t pending_joins;
    uint32_t histories;  /* whole ones in the queue */
    uint32_t told_lanes; /* the first of `places`: those that stand in cursors */
    uint32_t stale_lanes;
    uint8_t state;
    bool overflowed;    /* more answers wait than may: it ends in this turn */
    bool signaled;      /* transport_ops.ready was called and it has not yet been told "none" */
    bool rooms_changed; /* cursor_rooms is out of date */
    bool recovered;
    bool opened;            /* its client was told so */
    const char *end_reason; /* why it was ended from here; NULL: it was not */
    int64_t opened_ms;
    uint64_t given; /* notifications */
    uint8_t *left;  /* `enum left` of each private room; see session_mark_left(). NULL: none */
    struct control
        *untold; /* DL list: LEFT of rooms that are lost, but for those of the private id */
    uint32_t untold_count;
    char *cursor_rooms;              /* text of the cursor's constant part */
    struct session_opening *opening; /* until OPENED was given */
    uint8_t tag[CURSOR_TAG_BYTES];
    uint8_t public_id[CURSOR_PUBLIC_ID_BYTES];
    struct pending_request *joins; /* DL list, oldest first: pending_joins of them */
    struct session_queue queue;
    int64_t progress_ms;         /* when it last took something, or fell behind */
    struct session *prev, *next; /* all sessions, or the dying */
    struct attention *listed;    /* to be told at the end of the turn; NULL: not */
    struct session *attention_prev, *attention_next;
};

/* What only an opening session needs. */
struct session_opening {
    char *private_id;    /* text the client came with, kept if it resumes */
    const char *reason;  /* why it could not resume */
    const char *refusal; /* instead of OPENED */
    bool refusal_transient;
    int64_t refusal_retry_ms; /* 0: the transport decides */
    struct buffer left; /* rooms of the private id that the client has left: size, name of each */
    uint8_t random[32];
    bool resumed;
    bool continued; /* from another gateway; `resumed` too */
    bool was_stale; /* continued: its client knows that the broker is away */
    struct pending_request *pending;
};

/* Offers a message to every member of its rooms, through `offer`, which is told the member's place
 * in the lane. */
typedef void (*place_fn)(struct place *place, struct message *message);
void lane_offer(struct lane *lane, struct message *message, place_fn offer);
/* False: the session is full, and has not taken it. */
bool session_offer(struct place *place, struct message *message);
/* As many messages, or bytes of them, are queued as may be. */
bool session_is_full(const struct session *session);
void session_wake(struct session *session);
void session_unlist(struct session *session);
/* What is no message is queued here. Takes over control->history. Beyond the limit it is dropped,
 * and the session ends with `too_many_answers` when the turn does. */
void session_push_control(struct session *session, enum item_kind kind, struct bytes room,
                          const struct control *control);
struct place *session_find_place(const struct session *session, const struct lane *lane);
void session_queue_push(struct session_queue *queue, struct queue_item item);
struct queue_item session_queue_shift(struct session_queue *queue);
/* There is one. */
const struct queue_item *session_queue_first(struct session_queue *queue);
void session_queue_deinit(struct session_queue *queue);
/* Queued messages of a lane: of a session that has left its last room there and comes back. */
uint32_t session_queue_count(struct session_queue *queue, uint32_t lane_id);
/* The rooms that stand in cursors have changed. */
void session_rooms_changed(struct session *session);
/* Attaches the session to a room whose lane is known; returns its place in the lane. */
struct place *session_attach(struct session *session, struct lane *lane, struct bytes scope,
                             struct bytes name, int private_index);
/* Keeps back what the room gets from now on; or no more. */
void session_room_hold(struct session *session, size_t index);
void session_room_live(const struct session *session, const struct room *room);
bool session_room_is_held(const struct session *session, size_t index);
/* The joins that waited for this lane are answered in their order, or get their history first. */
void session_answer_joins(struct session *session, struct lane *lane);
/* The join has taken effect: it is confirmed after its history, if it has one. Frees `pending`. */
void session_answer_join(struct pending_request *pending);
/* The pending joins of a room (`all`: of any) are given up; each is refused, unless `reason` is
 * NULL.
 */
void session_forget_joins(struct session *session, struct bytes room, bool all, const char *reason);
/* Its lane did not open, or its history did not come, in time: it is refused, and freed. */
void session_expire_join(struct pending_request *pending);
void session_detach_room(struct session *session, size_t index);
/* The session is out of the room, and its joins of it are refused with `reason`. */
void session_drop_room(struct session *session, size_t index, const char *reason);
/* The session was attached to a room that nobody asked for: it is told, when the lane is open. */
void session_settle_gain(struct session *session, size_t index);
/* Out of the rooms that it may not be in any more; its client is told. */
void session_lose_rooms(struct session *session);
/* Into a room that it is not in; told when the lane is open. NULL, or why it cannot be. */
const char *session_gain_room(struct session *session, struct bytes name);
/* Joins the rooms of connect that the session is not in, but for those that the client has left:
 * size and name of each. */
void session_gain_rooms(struct session *session, struct bytes left);

/* The session has lost a room with its rights (and is out of it, or never was in it here): the client
 * is told. Until that is given, cursors name the room as lost, so that whoever is cut off before is
 * told when it comes back. `private_index` as in session_room. */
void session_tell_lost(struct session *session, struct bytes name, int private_index);

/* Of a room in the private id: whether the session is in it still, has left it by the client's wish,
 * or by its rights, of which the client is yet to be told or has been. Part of the cursor's format. */
enum left { LEFT_NOT, LEFT_BY_WISH, LEFT_UNTOLD, LEFT_TOLD };
enum { LEFT_BITS = 2 };

static inline size_t left_size(size_t private_rooms)
{
    return (LEFT_BITS * private_rooms + 7) / 8;
}

static inline enum left left_of(struct bytes left, size_t private_index)
{
    size_t at = LEFT_BITS * private_index;
    return at / 8 < left.size ? (enum left)(left.data[at / 8] >> (at % 8) & LEFT_TOLD) : LEFT_NOT;
}

void session_mark_left(struct session *session, size_t private_index, enum left left);
void session_detach_all(struct session *session);
/* The lane of a room of the session's; NULL, or why it has none: no_such_room, or the words that
 * session_claim_named_by() knows. */
const char *session_room_problem(const struct session *session, const struct room_name *room,
                                 struct lane_name *lane_name);
/* The claim that the token lacks, for tenant_missing and user_missing; NULL for other words. */
const char *session_claim_named_by(const struct session *session, const char *reason);
/* Ends the session from our side: CLOSE, or REFUSED while it opens. */
void session_end(struct session *session, const char *reason, bool transient);
/* The same for one whose client asks and does not read. */
void session_end_overflowed(struct session *session);
void session_lane_opened(struct place *place);
/* Gives OPENED if nothing stands in its way any more. */
void session_try_open(struct session *session);
struct position session_position(const struct place *place);
void session_lane_stale(struct place *place);
void session_lane_live(struct place *place);
void session_opening_free(struct session *session);
void session_clear_queue(struct session *session);
void session_reap(struct session *session);
bool session_is_behind(const struct session *session);

/* It is ended or closed, or will not be let in. */
static inline bool session_is_ending(const struct session *session)
{
    return session->state == SESSION_OPENING
               ? session->opening->refusal != NULL
               : session->state == SESSION_ENDING || session->state == SESSION_CLOSED;
}

/* --- session_rights.c ----------------------------------------------------------------------- */

/* Puts the session under the orders of the backend, also once more after it has become another.
 * NULL; or why they do not let it in. */
const char *session_admit(struct session *session, bool *transient);
/* It is under no orders any more. */
void session_dismiss(struct session *session);
/* Why they do not let it bring these claims; NULL: they do. */
const char *session_token_problem(const struct session *session, const struct claims *claims);
/* Whether the session may be in the room: by its claims and by orders. */
bool session_may_join(const struct session *session, struct bytes room);
/* An order closes the room for it. */
bool session_is_kept_out(const struct session *session, struct bytes room);
/* NULL: they say nothing against these claims of its; or the word. */
const char *session_verdict(const struct session *session, const struct claims *claims,
                            const struct order_subjects *subjects);
/* What they want of it is done in the next turn: it ends, or leaves rooms and joins others. */
void session_ask_orders(struct session *session);

/* --- session_orders.c ----------------------------------------------------------------------- */

/* In each turn: those whom new orders name, so many at a time. */
void session_orders_run(struct hub *hub);
int64_t session_orders_deadline_ms(const struct hub *hub);

/* --- place.c -------------------------------------------------------------------------------- */

/* How a place may change is in a table there. */
void place_move(struct place *place, enum place_state state);

/* --- resume.c ------------------------------------------------------------------------------- */

/* Puts the session into the rooms of its cursor, or says why not. */
const char *resume_follow(struct session *session, const struct session_request *request);
/* Puts the session where another gateway has left it; false: that cannot be read or done here. */
bool session_migrate_in(struct session *session, struct bytes state);
/* Rooms from the claims; NULL or why not. */
const char *resume_fresh(struct session *session);
/* Leaves everything and starts as a new session, with `reason` for the client. */
void resume_give_up(struct session *session, const char *reason);
/* The cursor's text now, in the hub's scratch. */
struct bytes resume_cursor(struct session *session);
/* The private id's text for OPENED; made now if the session is new. In the hub's scratch. */
struct bytes resume_private_id(struct session *session);

/* --- catch_up.c ----------------------------------------------------------------------------- */

/* A session that cannot go on from its cursor: a fresh one if it is not open yet, else the client
 * must come back for one. */
void catch_up_give_up(struct place *place, const char *reason);
/* Finds out how a session that stands at place->next gets on: live, behind or scanning. */
void catch_up_start(struct place *place);
/* The next message from a ring for a session whose queue is empty; NULL: none now. One reference
 * is the caller's. */
struct message *catch_up_next(struct session *session);
/* A turn begins. */
void catch_up_turn(struct hub *hub);
/* After records arrived or queues were emptied. */
void catch_up_run(struct hub *hub);
/* The broker's ends, for cursors beyond the gateway's position. */
void catch_up_ends(struct lane *lane, int64_t first, int64_t end);
/* The lane's position has grown. */
void catch_up_arrived(struct lane *lane);
/* The session no longer stands in the lane. */
void catch_up_leave(struct place *place);
/* When catch_up_run() is due. */
int64_t catch_up_deadline(const struct hub *hub);
/* Ends whatever catches up on the lane. */
void catch_up_forget(struct lane *lane);
/* What lies below it the session has been given, or its queue has it, or it has been passed over;
 * the rest will be offered to it. */
int64_t catch_up_reach(const struct place *place);
/* The same with the check of the record before, as far as that is known. */
struct position catch_up_reached(const struct place *place);

/* --- scan.c --------------------------------------------------------------------------------- */

/* The lane wants one: who is behind its ring rides it, together. */
void scan_want(struct lane *lane);
/* A record of the lane's scan; false: pause. */
bool scan_record(struct lane *lane, const struct lane_record *record);
void scan_ended(struct lane *lane, enum status status, int64_t first);
/* Starts, resumes and cancels. */
void scan_run(struct hub *hub);
/* When scan_run() is due. */
int64_t scan_deadline(const struct hub *hub);
/* The session no longer stands in the lane. */
void scan_leave(struct place *place);
/* Its queue has taken as much as it may: whether it rides on is looked at after transports have. */
void scan_fill(struct place *place);
/* Ends whatever is read, and is kept of it. */
void scan_forget(struct lane *lane);

/* --- conflation.c --------------------------------------------------------------------------- */

/* A record that has been offered to its rooms, live (and goes into the ring) or by a scan: the
 * message before it of its task may now be out of date. */
void conflation_note(struct lane *lane, struct message *message);
void conflation_note_scanned(struct lane *lane, struct message *message);
/* The log, or the scan, has ended. */
void conflation_table_free(struct conflation_table **table);
/* Whether the session has missed the message and need not have it any more. */
bool conflation_skips(const struct place *place, const struct message *message);

/* --- the hub -------------------------------------------------------------------------------- */

/* Sessions that will be told, first come, first served. */
struct attention {
    struct session *first;
    uint64_t count;
};

enum { DECODED_MOST = 256, DECODED_BYTES = 1 << 20 };

/* The last messages that were decoded for those who catch up: the next one may want them as well.
 * Older ones give their decoded form back, which is several times as large as the rest. */
struct decoded_messages {
    struct message *items[DECODED_MOST]; /* circular; a reference each */
    size_t start, count, bytes;
};

struct hub {
    struct hub_config config;
    const struct lane_source_ops *source_ops;
    void *source;
    struct cursor_keys keys;
    struct quotas *quotas; /* NULL: there are no limits */
    struct orders *orders; /* NULL: none are taken */
    bool orders_known;     /* all that there were at the start */
    struct hub_stats stats;
    struct lane *lanes; /* by topic and partition */
    struct lane *lingering;
    struct lane *scan_queue; /* lanes that want a scan, oldest first */
    struct lane *scanning;   /* lanes whose scan runs */
    unsigned scans_running;
    struct lane *keeping;      /* lanes that hold, or are about to, what was read back */
    struct lane *doubtful;     /* lanes whose broker end is being asked for */
    struct history *histories; /* those that are to be looked at in this turn */
    struct session *sessions;
    struct session *dying;
    struct attention ready;   /* there is something for them */
    struct attention lookers; /* there may be, in a ring: so many a turn are told */
    struct pending_request *pending;
    struct session *sweep; /* where the slow walk over all sessions stands */
    uint32_t next_lane_id;
    size_t looks_left; /* see catch_up.c */
    uint64_t turn;
    int64_t now_ms;
    int64_t sweep_due_ms;
    unsigned depth; /* inside transport_ops.ready */
    struct buffer cursor_text;
    struct buffer positions;  /* scratch */
    struct buffer room_name;  /* the delivery's */
    struct buffer public_id;  /* the delivery's */
    struct buffer private_id; /* the delivery's */
    struct decoded_messages decoded;
    struct message *delivered; /* keeps a delivery's body alive until the next call */
    bool frame_is_lent;        /* `delivered` gives its frame back then: lent_slot */
    enum transport_slot lent_slot;
};

/* Of keys in the hub's tables. */
static inline unsigned hub_hash(const struct hub *hub, const void *key, size_t size)
{
    return (unsigned)XXH3_64bits_withSeed(key, size, hub->config.hash_seed);
}

#endif
