/* A session's place in a lane: how far it has come, and how it gets on from there.
 *
 *                +---------------------------------------------------------------+
 *                |                                                               v
 *   OPENING -----+--> LIVE <----- reached the head ----- BEHIND <--- read --- SCANNING
 *      ^  |           |  |                               ^  |  ^                 ^
 *      |  |           |  +--------- queue full ----------+  |  |                 |
 *      |  |           |                                     +--|-- ring moved on +
 *      +--|- the log -+                                        |                 |
 *         |  broke                                             |                 |
 *         +------------- the cursor lies below the head -------+-----------------+
 *
 *   OPENING   where it stands is not known yet: the lane's end is asked for, or a cursor is judged
 *   LIVE      is offered each record as it arrives. Those below `next` are skipped: a cursor may be
 *             ahead of this gateway
 *   BEHIND    is offered nothing that arrives; catches up from the ring when its queue is empty
 *   SCANNING  needs what the ring no longer has: waits for the lane's scan, or reads along with it
 *   LOST      cannot go on: what it needs is gone. Until the end of the call, in which the session
 *             is given up or starts afresh (session_settle_changed())
 *
 * Read by anyone; written by place.c alone, which asserts each change of state against a table.
 * The functions below move a place; each is named after what has happened.
 * Where its messages come from is not here: hub_lanes.c, catch_up.c, read_back.c. */
#ifndef GATEWAY_DOMAIN_PLACE_H
#define GATEWAY_DOMAIN_PLACE_H

#include "cursor.h"
#include "message.h"
#include "scan.h"
#include "waits.h"

#include <assert.h>

struct lane;
struct session;
struct pending_request;

enum place_state {
    PLACE_OPENING,
    PLACE_LIVE,
    PLACE_BEHIND,
    PLACE_SCANNING,
    PLACE_LOST,
    PLACE_STATES
};

/* Why a place is lost. */
enum place_loss {
    PLACE_RETENTION, /* what it needs has been removed */
    PLACE_TOO_FAR,   /* beyond the horizon */
    PLACE_RECREATED, /* the record before it is another one now */
    PLACE_TRUNCATED, /* the log ends before it */
};

struct place {
    struct lane *lane;
    struct session *session;
    int64_t next;          /* the next offset it may be offered */
    struct position given; /* after the last record delivered to the transport or passed over */
    int64_t live_from;     /* what lies below it was missed, while behind */
    int64_t reported;      /* `next` in the last cursor given */
    uint32_t queued;       /* messages of this lane in the session's queue */
    uint32_t room_count;   /* rooms of the session in this lane: never 0 but at its ends */
    uint16_t check; /* of the record before `next` that a cursor named; 0: verified, or none */
    uint8_t state;
    uint8_t loss;  /* of PLACE_LOST */
    bool doubtful; /* the cursor lies beyond what this gateway has seen: the broker's end decides */
    bool ordered;  /* has its place in the order of cursors: session_rooms_changed() */
    bool is_ahead; /* `ahead` holds, and not the two beside it */
    struct scan_reader reader;
    struct pending_request *joins;     /* joins that wait for the lane; written by joins.c */
    struct place *prev, *next_in_lane; /* in lane->places */
    union {
        struct waiter ahead; /* in lane->places_ahead (PLACE_OPENING) */
        struct {
            /* In lane_scan.places (PLACE_SCANNING) or lane->doubtful_places (PLACE_OPENING). */
            struct place *list_prev, *list_next;
        };
    };
};

/* --- its life --- */

/* At the lane's head, or in PLACE_OPENING if that is not known. The caller lists it in the
 * session. */
struct place *place_new(struct lane *lane, struct session *session, uint32_t queued);
/* Wherever it stands: it leaves scan, doubt and waiting. No join may wait for it any more. */
void place_free(struct place *place);

/* --- where it begins --- */

/* As a cursor says, which is to be judged: catch_up_start(). Only of a place that has been made
 * just now. */
void place_resume(struct place *place, struct position position);
/* The lane is open, and the session has no cursor in it: at its head. */
void place_open(struct place *place);
/* The log broke before its client was let in: it begins again when the lane is open. */
void place_reopen(struct place *place);
/* The record before `next` is the one that the cursor named, or cannot be looked at any more. */
void place_verified(struct place *place);
/* The cursor is beyond what this gateway has read: either it is behind other gateways, or the
 * log was cut. The broker's end will tell. */
void place_doubt(struct place *place);
void place_doubt_no_more(struct place *place);
/* Until this gateway has read as far as the cursor; then place_take_arrived() gives it. */
void place_wait_ahead(struct place *place);
/* One for whom the lane's position has come far enough; NULL: there is none. */
struct place *place_take_arrived(struct lane *lane);

/* --- how it gets on --- */

/* It has all that has arrived: from here on it is offered what arrives. */
void place_go_live(struct place *place);
/* It was live, and could not take the record at this offset. */
void place_fall_behind(struct place *place, int64_t offset);
/* The ring has what it needs next. */
void place_read_ring(struct place *place);
/* The ring does not: it waits for the next scan. */
void place_await_scan(struct place *place);
/* What it needs is gone, or is not what it was. */
void place_lose(struct place *place, enum place_loss loss);
/* As clients and logs are told it. */
const char *place_loss_text(const struct place *place);

/* Nothing below `offset` is for it, or all of it was offered. */
void place_advance(struct place *place, int64_t offset);

/* The message has been queued for the session. */
static inline void place_queue(struct place *place, const struct message *message)
{
    assert(message->offset >= place->next && !place->check);
    place->queued++;
    place->next = message->offset + 1;
}

/* And taken out of the queue again. */
static inline void place_unqueue(struct place *place)
{
    assert(place->queued > 0);
    place->queued--;
}

/* The transport has it, or the client need not have it. */
static inline void place_give(struct place *place, const struct message *message)
{
    assert(message->offset < place->next);
    place->given = (struct position){message->offset + 1, message->check};
}

/* The session's queue is emptied. */
void place_queue_cleared(struct place *place);
/* A history that ends here has been given: the cursor covers it. */
void place_give_history(struct place *place, struct position end);

/* --- what cursors say of it --- */

/* What the client has: a cursor says that it goes on from here. */
struct position place_position(const struct place *place);
static inline void place_report(struct place *place, int64_t next)
{
    assert(next >= 0);
    place->reported = next;
}
/* What lies below it the session has been given, or its queue has it, or it has been passed over;
 * the rest will be offered to it. */
int64_t place_reach(const struct place *place);
/* The same with the check of the record before, as far as that is known. */
struct position place_reached(const struct place *place);

/* --- for membership.c --- */

void place_add_room(struct place *place);
/* False: that was the last one, and the place is to be freed. */
bool place_drop_room(struct place *place);
void place_set_ordered(struct place *place, bool ordered);

#endif
