/* Histories: what lies before a join. A client that joins a room may ask for the room's last
 * notifications, or those since a time; it gets them in order, then the join's confirmation, and
 * then whatever is published, without a gap and without one twice. Part of the hub's own files
 * (hub_state.h).
 *
 *   1 the room is joined but held: the session is given nothing of it yet
 *   2 what is asked for is collected, from the lane's ring or by its scan, up to where the session
 *     stands in the lane; only the last of it is kept, in a list of the history's own
 *   3 when the collecting has come to the session's place, and in that instant: the list goes into
 *     the session's queue, as one item with the confirmation, and the room is held no more
 *
 * So what lies below that place is history and what lies above it is live, whether the session is
 * at the head, behind, or ahead of this gateway. A room that the session is in already is not held:
 * its history then ends where the session stands, and what was given live before may be in it
 * again.
 *
 * The place goes into the cursor with the confirmation, not before: a connection that ends in the
 * middle of a history has lost the history and the join, and asks again.
 *
 * How far back it is looked grows in steps, so that what is near costs little. Timestamps are the
 * records'; those of several producers may be out of order by less than HISTORY_SKEW_MS. */
#ifndef GATEWAY_DOMAIN_HISTORY_H
#define GATEWAY_DOMAIN_HISTORY_H

#include "hub_state.h"

enum { HISTORY_SKEW_MS = 10000 };

/* Where a history that is not whole yet stands. */
enum history_state {
    HISTORY_OPENING, /* the lane's end is not known yet */
    HISTORY_READY,   /* to be looked at in this turn */
    HISTORY_SCAN,    /* waits for, or rides on, the lane's scan */
    HISTORY_AHEAD,   /* the session's place lies beyond what this gateway has read */
    HISTORY_WHOLE,   /* in the session's queue */
};

struct history {
    struct hub *hub;
    struct session *session;
    struct lane *lane;
    struct room *room;
    struct pending_request *pending; /* NULL: whole */
    uint32_t lane_id;
    uint32_t last;    /* so many at most */
    int64_t since_ms; /* of records; INT64_MIN: any */
    bool last_bound;  /* that is the configured limit, not what was asked for */
    bool since_bound; /* likewise */
    uint8_t state;
    bool reading;         /* rides on the scan that runs */
    uint32_t first_index; /* in scan.firsts, if it is reading and not first_seen */
    bool begun;           /* the following hold */
    bool first_seen;      /* the first record at or after `next` was looked at */
    bool reached;         /* nothing that was asked for lies before what is looked through */
    bool overflowed;      /* more were found than `last` */
    bool cut;             /* some were left out for want of memory */
    bool shrinks;  /* records are larger than they were thought: it looks less far, not further */
    uint64_t span; /* bytes that are looked through */
    struct waiter ahead; /* in lane->histories_ahead: HISTORY_AHEAD */
    int64_t low, next;   /* from where; the next offset to look at */
    struct position end;
    struct message **messages; /* circular; capacity is a power of two */
    uint32_t capacity, start, count;
    uint32_t found; /* when it became whole */
    size_t bytes;
    struct history *lane_prev, *lane_next; /* all of the lane that are not whole */
    struct history *room_prev, *room_next; /* of those, the room's */
    struct history *prev, *next_ready;     /* the hub's list of those that are ready */
};

/* --- for joins (join.c) */

/* For a join that waits: `pending` gets its history. The session is a member of the room. */
void history_ask(struct pending_request *pending, struct room *room,
                 const struct history_request *request, int64_t wall_ms);
/* The lane is open. */
void history_start(struct history *history);
void history_free(struct history *history);

/* The next one to be given, whose reference is then the caller's; NULL: all were. */
struct message *history_take(struct history *history);
/* Whether it is all that was asked for. */
bool history_is_complete(const struct history *history);

/* --- for scans (scan.c) */

/* Those that need the scan which is about to begin go reading; the lowest offset that they need, or
 * INT64_MAX. */
int64_t history_join_scan(struct lane *lane);
/* A record of the scan, before it is offered to sessions: from a history's end on it may be theirs. */
void history_scanned(struct lane *lane, struct message *message);
/* The scan has come to scan.next and is over. `useless`: it was larger than it may be. */
void history_scan_over(struct lane *lane, bool useless);

/* --- for the hub */

void history_run(struct hub *hub);
/* The lane's position has reached what some wait for. */
void history_arrived(struct lane *lane);

#endif
