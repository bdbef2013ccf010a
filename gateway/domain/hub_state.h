/* The hub's state, for the domain's own files: transports and sources see hub.h.
 *
 *    hub ---- lanes, by name ------- rooms, by hash ---- members
 *     |         |  ring, scan, searches                     |
 *     |         +-- places <---------------------------+    |  index in the session's rooms
 *     |                                                |    v
 *     +------ sessions ---- queue, joins ---- places --+- rooms
 *
 * Each part of it has one owner, which alone writes it; everybody may read. `tests/check-source
 * owners` looks that it is so.
 *
 *   place.h          a session's place in a lane
 *   session_queue.h  what waits for a session's transport
 *   joins.h          requests that wait for lanes
 *   ring.h           a lane's recent messages
 *   scan.h           a lane's reading of the past
 *   history.h        what lies before a join, and history_search.h, which finds it
 *   state_fold.h     of each item the newest message
 *   view.h           what all rooms of a lane show, views.h, when that is known, and state_list.h,
 *                    what is given of it
 *   decoded.h        messages that were decoded not long ago
 *   waits.h          who waits for a lane's position
 *   room_table.h     the rooms of a lane by hash
 *   lane.h           lanes and rooms; membership.h, who is in them
 *
 * Calls go down only, so that nobody finds his own state half changed: hub*.c, session.c, join.c
 * and refresh.c decide; read_back.c, catch_up.c, history_search.c and resume.c move sessions
 * along; below stand those that hold state. The lower ones note or return what they notice. */
#ifndef GATEWAY_DOMAIN_HUB_STATE_H
#define GATEWAY_DOMAIN_HUB_STATE_H

#include "cursor.h"
#include "decoded.h"
#include "history_search.h"
#include "hub.h"
#include "joins.h"
#include "message.h"
#include "place.h"
#include "policy.h"
#include "presence.h"
#include "ring.h"
#include "room_table.h"
#include "scan.h"
#include "session_output.h"
#include "session_queue.h"
#include "views.h"
#include "waits.h"

#include <assert.h>

/* uthash's own function is not used: names come from outside, so keys are hashed with the hub's
 * seed (hub_hash()). */
#define HASH_FUNCTION(key, size, value) (value) = hub_hash_is_needed
#include <utlist.h>
#include <xxhash.h>

#include <uthash.h>

struct room;
struct conflation_table;
struct orders;
struct orders_member;

/* --- lanes ---------------------------------------------------------------------------------- */

struct lane {
    struct hub *hub;
    char *topic; /* key of the hub's table, with the partition */
    int32_t partition;
    uint32_t id; /* of this log of the lane; never used again */
    enum lane_scope scope;
    bool open;
    bool in_linger;
    bool stale; /* the source says it cannot be read now */
    int64_t stale_since_ms;
    int64_t first;         /* the log's first offset when last told */
    int64_t position;      /* the next offset to arrive */
    struct position head;  /* after the last record seen; no check: none was, since it was opened */
    uint64_t record_bytes; /* running mean of record sizes, for the horizon */
    uint64_t other_layout; /* of the last producer with another layout than ours; 0: none yet */
    struct ring ring;      /* all of [ring.from, position) */
    uint64_t ring_turn;    /* the turn in which the ring was settled */
    struct conflation_table *last_messages; /* of the ring */
    struct lane_scan scan;
    struct history_searches searches;
    struct lane_view view;
    size_t beyond;           /* bytes that it holds beyond a ring's share: lane_count_beyond() */
    struct room_table rooms; /* the first of each hash */
    /* Of place.c: */
    struct place *places; /* DL list */
    unsigned place_count;
    struct waits places_ahead;     /* cursors that wait for the position to reach them */
    struct place *doubtful_places; /* DL list: cursors beyond this gateway's position */
    /* Of catch_up.c: */
    bool in_doubt;          /* in hub->doubtful: there are, or were, doubtful places */
    int64_t doubt_until_ms; /* then the broker's end is believed */
    int64_t doubt_due_ms;   /* when to ask again; INT64_MAX: asked */
    struct lane *doubt_prev, *doubt_next;
    int64_t linger_until_ms;
    struct lane *prev, *next; /* list of lingering lanes */
    UT_hash_handle hh;
};

struct room_member {
    struct place *place; /* of the session, in the room's lane */
    uint32_t index;      /* in session->rooms */
    bool held;           /* gets nothing yet: what lies before comes first (history_search.h) */
};

/* A room with members here. Its identity is lane, scope and name. */
struct room {
    uint64_t hash;
    struct lane *lane;
    struct room *same_hash;
    union {
        struct room_member single; /* most rooms have one member, a user's own */
        struct room_member *array; /* if there is `capacity` */
    };
    uint32_t count, capacity;
    struct history_search *searches; /* DL list: of histories of the room */
    uint16_t scope_size, name_size;
    uint8_t text[]; /* scope, then name */
};

static inline struct room_member *room_members(struct room *room)
{
    assert(room->count <= (room->capacity ? room->capacity : 1));
    return room->capacity ? room->array : &room->single;
}

static inline struct bytes room_scope_of(const struct room *room)
{
    return bytes_of(room->text, room->scope_size);
}

static inline struct bytes room_name_of(const struct room *room)
{
    return bytes_of(room->text + room->scope_size, room->name_size);
}

/* --- sessions ------------------------------------------------------------------------------- */

struct session_room {
    struct room *room;
    uint32_t member;            /* index in room_members() */
    int16_t private_index;      /* in the private id's list of rooms; -1: joined later */
    uint8_t packed;             /* cursor_room_size() */
    bool told : 1;              /* the client knows (OPENED or JOINED was given): in cursors */
    bool wants_presence : 1;    /* the client wants to hear who is in it */
    struct presence_seat *seat; /* of session_presence.c; NULL: none */
};

static inline struct room_member *session_room_member(const struct session_room *own)
{
    assert(own->member < own->room->count);
    return &room_members(own->room)[own->member];
}

/* In the room's lane. */
static inline struct place *session_room_place(const struct session_room *own)
{
    return session_room_member(own)->place;
}

enum session_state { SESSION_OPENING, SESSION_OPEN, SESSION_ENDING, SESSION_CLOSED };

/* There are as many as clients. First what each delivery looks at. */
struct session {
    struct hub *hub;
    const struct transport_ops *transport;
    void *connection;
    union {                         /* session_places() */
        struct place *single_place; /* most sessions are in one lane */
        struct place **place_array; /* if there are more */
    };
    uint16_t place_count;
    uint16_t told_lanes;    /* the first of its places: those that stand in cursors */
    uint16_t places_behind; /* of its places: written by place.c */
    uint16_t stale_lanes;
    uint8_t state;
    bool overflowed;    /* more answers wait than may: it ends in this turn */
    bool signaled;      /* transport_ops.ready was called and it has not yet been told "none" */
    bool rooms_changed; /* cursor_rooms is out of date */
    bool recovered;
    bool changed;                    /* in hub->changed */
    bool opened;                     /* its client was told so */
    bool presence_held;              /* of presence it is given nothing yet */
    struct session_opening *opening; /* until OPENED was given */
    struct session_queue queue;
    char *cursor_rooms;                  /* text of the cursor's constant part */
    uint64_t given;                      /* notifications */
    int64_t progress_ms;                 /* when it last took something, or fell behind */
    struct presence_seat *presence_news; /* DL list: rooms of which it is to be told */
    struct attention *listed;            /* to be told at the end of the turn; NULL: not */
    struct session *attention_prev, *attention_next;

    struct claims *claims;
    struct quota *quota;
    struct orders_member *member; /* in hub->orders; NULL: not */
    struct session_room *rooms;   /* private id's rooms in its order, then joined ones in order */
    uint16_t room_count, room_capacity;
    uint16_t private_rooms; /* rooms in the private id */
    uint16_t histories;     /* whole ones in the queue */
    uint16_t untold_count;
    uint32_t packed_rooms;  /* bytes: of `packed` of all rooms */
    size_t history_bytes;   /* of all of its histories, those that are searched for too */
    struct control *untold; /* DL list: LEFT of lost rooms, but for those of the private id */
    uint8_t *left; /* `enum left` of each private room; see session_mark_left(). NULL: none */
    const char *end_reason; /* why it was ended from here; NULL: it was not */
    int64_t opened_ms;
    struct joins joins;
    struct session *prev, *next; /* all sessions, or the dying */
    struct session *changed_next;
    uint8_t tag[CURSOR_TAG_BYTES];
    uint8_t public_id[CURSOR_PUBLIC_ID_BYTES];
};

static_assert(HUB_LANES_MOST <= UINT16_MAX && 2 * HUB_ROOMS_MOST <= UINT16_MAX &&
                  HUB_JOINS_MOST <= UINT16_MAX && HUB_ROOMS_MOST <= INT16_MAX,
              "a session counts them in 16 bits");

/* Its `place_count` places, in order of first mention by `rooms`: the cursor relies on it. */
static inline struct place *const *session_places(const struct session *session)
{
    return session->place_count > 1 ? session->place_array : &session->single_place;
}

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

/* Of a room in the private id: whether the session is in it still, has left it by the client's
 * wish, or by its rights, of which the client is yet to be told or has been. Part of the
 * cursor's format. */
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

/* It is ended or closed, or will not be let in. */
static inline bool session_is_ending(const struct session *session)
{
    return session->state == SESSION_OPENING
               ? session->opening->refusal != NULL
               : session->state == SESSION_ENDING || session->state == SESSION_CLOSED;
}

/* --- the hub -------------------------------------------------------------------------------- */

struct hub {
    struct hub_config config;
    const struct lane_source_ops *source_ops;
    void *source;
    struct cursor_keys keys;
    struct quotas *quotas;              /* NULL: there are no limits */
    struct orders *orders;              /* NULL: none are taken */
    struct presence *presence;          /* NULL: there is none */
    struct presence_news presence_news; /* the delivery's */
    bool orders_known;                  /* all that there were at the start */
    struct hub_stats stats;
    struct lane *lanes; /* by topic and partition */
    struct lane *lingering;
    struct scans scans;
    struct lane *doubtful;                /* lanes whose broker end is being asked for */
    struct history_search *searches;      /* DL list: those that are to be looked at in this turn */
    struct history_share *history_shares; /* by tenant; of history_share.c */
    struct views views;
    struct state_list *state_lists; /* DL list: those that views keep, the oldest first */
    struct session *sessions;
    struct session *dying;
    struct attention ready;                 /* there is something for them */
    struct attention lookers;               /* there may be, in a ring: so many a turn are told */
    struct pending_request *pending;        /* DL list, by deadline */
    struct session *changed, *changed_last; /* their places have: session_places_changed() */
    struct session *sweep;                  /* where the slow walk over all sessions stands */
    uint32_t next_lane_id;
    size_t looks_left; /* see catch_up.c */
    uint64_t turn;
    int64_t now_ms;
    int64_t sweep_due_ms;
    unsigned depth; /* inside transport_ops.ready */
    struct buffer cursor_text;
    struct buffer positions;  /* scratch */
    struct buffer room_name;  /* the delivery's */
    struct buffer chunk;      /* of a state: the delivery's */
    struct buffer public_id;  /* the delivery's */
    struct buffer private_id; /* the delivery's */
    struct decoded_messages decoded;
    struct message *delivered; /* keeps a delivery's body alive until the next call */
    bool frame_is_lent;        /* `delivered` gives its frame back then: lent_slot */
    enum transport_slot lent_slot;
};

/* As many messages, or bytes of them, are queued for the session as may be. */
static inline bool session_is_full(const struct session *session)
{
    const struct hub_config *config = &session->hub->config;
    return session->queue.messages >= config->queue_messages ||
           (config->queue_bytes && session->queue.message_bytes >= config->queue_bytes);
}

/* Its transport has been told; or has been given all there was. */
static inline void session_set_signaled(struct session *session, bool signaled)
{
    assert(!signaled || !session->listed);
    session->signaled = signaled;
}

/* Of keys in the hub's tables. */
static inline unsigned hub_hash(const struct hub *hub, const void *key, size_t size)
{
    return (unsigned)XXH3_64bits_withSeed(key, size, hub->config.hash_seed);
}

#endif
