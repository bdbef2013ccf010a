/* The search for a history: what lies before a join. A client that joins a room may ask for the
 * room's last notifications, or those since a time, or the room's state, which is the last one of
 * each item; it gets them in order, then the join's confirmation, and then whatever is published,
 * without a gap and without one twice.
 *
 * A state is taken from the lane's view (views.h), if it has one: the room is held until view, lane
 * and session are at one place, and the list is given there and then. Else it is collected as any
 * history:
 *
 *   1 the room is joined but held: the session is given nothing of it yet
 *   2 what is asked for is collected, from the lane's ring or by its scan, up to where the session
 *     stands in the lane; only the last of it is kept (history.h)
 *   3 when the collecting has come to the session's place, and in that instant: the history goes
 *     into the session's queue, as one item with the confirmation, and the room is held no more
 *
 * So what lies below that place is history and what lies above it is live, whether the session
 * is at the head, behind, or ahead of this gateway. A room that the session is in already is not
 * held: its history then ends where the session stands, and what was given live before may be in
 * it again.
 *
 * The place goes into the cursor with the confirmation, not before: a connection that ends in
 * the middle of a history has lost the history and the join, and asks again.
 *
 * How far back it is looked grows in steps, so that what is near costs little. Timestamps are
 * the records'; those of several producers may be out of order by less than HISTORY_SKEW_MS. */
#ifndef GATEWAY_DOMAIN_HISTORY_SEARCH_H
#define GATEWAY_DOMAIN_HISTORY_SEARCH_H

#include "history.h"
#include "waits.h"

struct history_request;
struct history_search;
struct hub;
struct lane;
struct pending_request;
struct place;
struct room;
struct session;

enum { HISTORY_SKEW_MS = 10000 };

/* Where a search stands. */
enum search_state {
    SEARCH_OPENING, /* the lane's end is not known yet */
    SEARCH_READY,   /* to be looked at in this turn */
    SEARCH_SCAN,    /* waits for the lane's scan, or reads along with it */
    SEARCH_AHEAD,   /* the session's place lies beyond what this gateway has read */
    SEARCH_VIEW,    /* of a state: the lane's view is not exact yet */
    SEARCH_BEHIND,  /* of a state: it is, and the session's place lies before it */
};

/* Those of a lane. Read by anyone, written by history_search*.c. */
struct history_searches {
    struct history_search *all;      /* DL list */
    size_t readers;                  /* so many read along with the scan */
    struct waits ahead;              /* in SEARCH_AHEAD */
    struct history_search *for_view; /* DL list: in SEARCH_VIEW */
    /* Readers that wait for the first record at or after where they begin, by that; NULL: left */
    struct history_search **firsts;
    size_t first_count, first_at;
};

struct history_search {
    struct hub *hub;
    struct session *session;
    struct lane *lane;
    struct room *room;
    struct pending_request *pending; /* the join that it is for */
    struct history *history;         /* what has been found; owned until it is whole */
    uint32_t last;                   /* so many at most; of a state, items */
    int64_t since_ms;                /* of records; INT64_MIN: any */
    int64_t asked_ms;                /* wall clock */
    int64_t began_ms;                /* the same, by hub->now_ms */
    bool last_bound;                 /* that is the configured limit, not what was asked for */
    bool since_bound;                /* likewise */
    uint8_t state;
    bool reading;         /* along with the scan that runs */
    uint32_t first_index; /* in searches.firsts, while it reads and has not seen its first */
    bool shrinks;    /* records are larger than they were thought: it looks less far, not further */
    uint64_t span;   /* bytes that are looked through */
    bool begun;      /* with this span; the following hold */
    bool first_seen; /* the first record at or after `next` was looked at */
    bool reached;    /* nothing that was asked for lies before what is looked through */
    bool overflowed; /* more were found than `last` */
    bool cut;        /* some were left out for want of memory, or for their age */
    bool too_large;  /* likewise, for want of memory: to look further would not help */
    bool folding;    /* of a state: one of the room that is young enough was found */
    int64_t first_ms;                               /* when that first record was written */
    int64_t low, next;                              /* from where; the next offset to look at */
    struct waiter ahead;                            /* in searches.ahead */
    struct history_search *lane_prev, *lane_next;   /* in searches.all */
    struct history_search *room_prev, *room_next;   /* in room->searches */
    struct history_search *ready_prev, *ready_next; /* in hub->searches, or in searches.for_view */
};

/* --- for joins --- */

/* For a join that waits, which becomes `pending->search`. The session is a member of the room. */
void history_search_new(struct pending_request *pending, struct room *room,
                        const struct history_request *request, int64_t wall_ms);
/* The lane is open. */
void history_search_start(struct history_search *search);
/* The join is given up. NULL: nothing happens. */
void history_search_free(struct history_search *search);

/* --- for the lane's scan --- */

/* Those that need the scan which is about to begin will read along; the lowest offset that they
 * need, or INT64_MAX. */
int64_t history_search_gather(struct lane *lane);
/* A record of the scan, before it is offered to sessions: from a search's end on it may be
 * theirs. */
void history_search_scanned(struct lane *lane, struct message *message);
/* The scan has come to scan.next and is over. `useless`: it was larger than it may be. */
void history_search_scan_over(struct lane *lane, bool useless);

/* --- for the hub --- */

/* Looks on in rings, as far as this turn allows. */
void history_search_run(struct hub *hub);
/* The lane's position has grown. */
void history_search_arrived(struct lane *lane);
/* The lane's view is exact, or there is none now. */
void history_search_view_settled(struct lane *lane);
/* The place has come to the lane's head. */
void history_search_caught_up(const struct place *place);

#endif
