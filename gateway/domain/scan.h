/* The scan of a lane: one reading of the past, [from, until), shared by all that are behind the
 * lane's ring. Here are its state, who reads along, and what it keeps; when it starts, and what
 * its records bring, is read_back.c.
 *
 *      from                    next                 until = ring.from        the lane's position
 *       |---- has been read ----|---- is yet to come ----|------ the ring ------|
 *                  ^ a session that cannot take more leaves, and reads the next scan
 *
 * All who can take something start together, at the lowest offset that one of them needs. Nobody
 * joins in the middle: it would need the part before as well. The records go to the front of
 * the ring afterwards, as far as all lanes together may hold that, and stays for KEEP_MS:
 * clients of a gateway that died come back over seconds, and each would else want the same read
 * again.
 *
 * struct lane_scan, struct scans and place.reader are written by scan.c alone. */
#ifndef GATEWAY_DOMAIN_SCAN_H
#define GATEWAY_DOMAIN_SCAN_H

#include "cursor.h"
#include "ring.h"

struct conflation_table;
struct hub;
struct lane;
struct place;

/* What a place in PLACE_SCANNING is to the scan: place.reader. */
struct scan_reader {
    bool reading;         /* is offered what the running scan gives */
    bool full;            /* has had as much of it as its queue may hold */
    uint32_t check_index; /* in lane_scan.checks, while it reads with a check to be verified */
};

struct lane_scan {
    bool wanted;  /* sessions or histories wait for one; the lane is in scans.wanted */
    bool running; /* the source reads; the lane is in scans.running */
    bool paused;  /* the source waits: a queue is full, or nobody reads */
    bool served;  /* there were sessions that read when it began */
    bool useless; /* larger than histories may be: it is to be given up */
    bool keeps;   /* the lane is in scans.keeping: it may hold more than a ring's share */
    int64_t from;
    int64_t next; /* offset after the last record it gave */
    int64_t until;
    struct position last;    /* after the last record it gave; zero: it gave none */
    uint64_t bytes, records; /* so many it gave */
    uint64_t turn;           /* in which `kept` was settled */
    struct ring kept;        /* what it gave: [kept.from, next) */
    int64_t keeps_until_ms;  /* INT64_MAX: while it runs */
    int64_t retry_ms;        /* not before, after a failure */
    struct place *places;    /* DL list: all in PLACE_SCANNING; those that are full first */
    size_t readers;          /* of them, so many read along */
    /* Readers whose cursor is still to be verified, by offset; NULL: it has left. */
    struct place **checks;
    size_t check_count, check_at;
    struct conflation_table *last_messages; /* of the scan that runs */
    struct lane *prev, *next_lane;          /* in scans.wanted or .running */
    struct lane *keeps_prev, *keeps_next;   /* in scans.keeping */
};

/* Of all lanes. */
struct scans {
    struct lane *wanted;  /* DL list: lanes that want a scan, oldest first */
    struct lane *running; /* DL list */
    struct lane *keeping; /* DL list: lanes that hold, or are about to, what was read back */
    unsigned running_count;
};

/* --- who wants one --- */

/* The lane's next scan is asked for, unless it is, or one runs. */
void scan_want(struct lane *lane);
/* It is not waited for any more. */
void scan_unwant(struct lane *lane);
/* For place.c: the place came into PLACE_SCANNING, or goes out of it. */
void scan_add(struct place *place);
void scan_remove(struct place *place);
/* The first offset that a place needs: of the record that its cursor named, if that is not
 * verified. */
int64_t scan_first_needed(const struct place *place);
/* Places that did not read along, or left, and could do so now, get another scan. */
void scan_want_another(struct lane *lane);

/* --- while it runs --- */

/* All that can take something will read along: the lowest offset that they need; INT64_MAX: nobody
 * can. */
int64_t scan_gather(struct lane *lane);
/* The source is asked for [from, where the ring begins). */
void scan_begin(struct lane *lane, int64_t from);
/* The place does not read along any more. Nothing happens if it does not. Behind the last the scan
 * pauses. */
void scan_leave(struct place *place);
/* The place's queue has taken as much as it may: the scan pauses, and scan_take_full() gives the
 * place when transports have had their turn. */
void scan_fill(struct place *place);
struct place *scan_take_full(struct lane *lane);
void scan_unpause(struct lane *lane);
/* Takes the next place whose cursor names a record at or below `offset`, which the scan has come
 * to; NULL: none does. */
struct place *scan_take_check(struct lane *lane, int64_t offset);
/* The scan has given this message, whose reference it takes; `record_bytes`: of its value. */
void scan_note(struct lane *lane, struct message *message, size_t record_bytes);
/* All was read: the ring begins now where the scan did, unless it had to move on meanwhile. */
void scan_complete(struct lane *lane);
/* It failed: the next one starts a little later. */
void scan_failed(struct lane *lane);
/* It runs no more. Readers still stand there, and are to be asked where to go on. */
void scan_end(struct lane *lane);

/* --- what was read --- */

/* Nothing that it has read so far has been dropped for want of room. */
bool scan_keeps_all(const struct lane *lane);
/* Nor will be, if the rest is like what it has read: it is worth reading on even if nobody can take
 * it. */
bool scan_will_keep_all(const struct lane *lane);
/* Records of earlier scans give way to this scan's, if they leave that little. */
void scan_make_room(struct lane *lane);
/* The ring gives back what it holds beyond its share. */
void scan_keep_no_more(struct lane *lane);

#endif
