/* Presence: which users are in a room, over all gateways. Pure: what comes from the topic, from
 * sessions here and from the clock is passed in; records for the topic and news for those who watch
 * a room are asked for.
 *
 *      sessions here --- seats --> guests --> own list ---+--> records
 *                                                         |
 *      records of others --> workers, each with its lists-+--> room: its users --> news --> seats
 *
 * Each process of a gateway, a *worker*, writes for each room who is there through it, and a beat
 * every PRESENCE_BEAT_MS. The topic is one partition, compacted, read from its beginning by each.
 *
 * What holds, and tests/sim/presence_sim.c looks for:
 *
 *  1. In a room are the users of this worker's own list and of those of all live workers. A worker
 *     is live while fewer than PRESENCE_BEATS_MISSED beats *of this one* lie in the log behind its
 *     last, which itself lies behind the first of this one. So it is a matter of the log's order
 *     alone: a broker that is away, or a reader that was stopped for an hour, makes nobody leave.
 *  2. Once nothing happens any more, and those who are gone have missed their beats, all live
 *     workers know the same users: those with a seat somewhere.
 *  3. Who has a seat all the time, at whatever gateways, with pauses shorter than `linger_ms`, is
 *     not told to have left, unless one of these gateways was stopped, killed, or cut off.
 *  4. What a seat has been told, snapshot and changes together, is what the room held when it was
 *     told last.
 *  5. Once those who are gone have been swept, the log holds, compacted, a beat for each live worker
 *     and a record for each of its rooms with somebody in it, as it is.
 *  6. What is left out for lack of space is of the tenant whose share is full. Once there is space
 *     again it is known, when the log has been read again; until then no snapshot of the tenant's
 *     rooms says that it is complete.
 *
 * A worker that was stopped is back with its next beat, with what it last wrote. One that was
 * stopped for so long that its records were removed finds that in the log, and writes them again.
 * What a worker has missed for longer than the topic keeps tombstones (delete.retention.ms) it
 * does not know. */
#ifndef GATEWAY_DOMAIN_PRESENCE_H
#define GATEWAY_DOMAIN_PRESENCE_H

#include "presence_record.h"

struct presence;

enum {
    PRESENCE_BEAT_MS = 1000,     /* the same for all gateways: no setting */
    PRESENCE_BEATS_MISSED = 6,   /* from here on a worker is gone */
    PRESENCE_BEATS_KNOWN = 3,    /* of this one: by then each of the others has had one */
    PRESENCE_SWEEP_AFTER = 60,   /* beats: then its records are removed; each of the others waits so
                                 * long, and up to as long again, so that one comes first */
    PRESENCE_TICK_MS = 150,      /* changes are collected for so long before they are told */
    PRESENCE_MORE_MS = 10,       /* what was too much for one turn is gone on with */
    PRESENCE_WATCHERS_A_MS = 10, /* a room with 10,000 who watch is told once a second */
    PRESENCE_WRITE_MS = 150,     /* and before they are written */
    PRESENCE_WRITES_MOST = 500,  /* records at a time */
    PRESENCE_WORKERS_MOST = 4096,
    PRESENCE_AGAIN_BEATS = 60, /* of this one, from one reading of all the log again to the next */
};

struct presence_seat;

struct presence_config {
    uint8_t worker[PRESENCE_WORKER_BYTES]; /* random, of this process alone */
    uint64_t seed;                         /* random: where names lie in tables */
    /* Named for a room, by a worker and in a snapshot, if they are not above PRESENCE_NAMES_BYTES;
     * the others are counted. */
    uint32_t users;
    uint64_t entries;        /* of other workers: so many lists and users in them are kept */
    uint64_t tenant_entries; /* of these, about rooms of one tenant */
    int64_t linger_ms;       /* who has left is there for so long yet */
    /* There is news for the seat: presence_next_news() is to be called, now or later. Not from in
     * here. */
    void (*pending)(struct presence_seat *seat);
};

enum presence_drop {
    PRESENCE_DROP_ENTRIES, /* more of others than .entries */
    PRESENCE_DROP_TENANT,  /* more about one tenant's rooms than .tenant_entries */
    PRESENCE_DROP_WORKERS, /* more that live than PRESENCE_WORKERS_MOST */
    PRESENCE_DROPS
};

struct presence_stats {
    uint64_t rooms, users, workers, entries; /* now: known; in rooms; live, this one
                                                too; of others, as in .entries */
    uint64_t read, written, faulty[PRESENCE_FAULTS], dropped[PRESENCE_DROPS];
    uint64_t joined, left, snapshots, changes; /* told of rooms; given to seats */
    uint64_t unwritten;                        /* now: rooms of which something is to be written */
    uint64_t swept;                            /* records of others that this one removed */
    uint64_t steps; /* elements that loops over users, rooms and seats have looked at */
};

/* The configuration is copied. */
struct presence *presence_new(const struct presence_config *config);
/* Every seat must have been left. NULL is fine. */
void presence_free(struct presence *presence);
const struct presence_stats *presence_stats(const struct presence *presence);

/* --- sessions here ---------------------------------------------------------------------------- */

/* A session in a room. `owner` and the links are the caller's. */
struct presence_seat {
    struct presence_room *room;
    struct presence_guest *guest;
    void *owner;
    bool watches, pending;
    uint64_t seen;                             /* version of the room that it was told; 0: none */
    struct presence_seat *prev, *next;         /* of the room's that watch */
    struct presence_seat *own_prev, *own_next; /* the caller's: of those with news */
};

/* The user of a session comes into a room. A user may have several seats in it. The caller frees
 * the seat by presence_leave(). */
struct presence_seat *presence_enter(struct presence *presence, struct bytes scope,
                                     struct bytes room, struct bytes user, void *owner);
void presence_leave(struct presence *presence, struct presence_seat *seat, int64_t now_ms);
/* From here on it is told who comes and goes, and first who is there: also if it watches already.
 */
void presence_watch(struct presence *presence, struct presence_seat *seat);

struct presence_news {
    struct bytes room;
    bool snapshot;
    /* Names, for presence_next_name(): of a snapshot who is there; else who came and who went. */
    struct bytes users, joined, left;
    uint64_t
        count; /* users in the room; those that no list names are counted once for each worker */
    bool complete;     /* SNAPSHOT: all are named, and what the other gateways say is known */
    struct bytes json; /* {"room":...,"users":[...],"count":...,"complete":...} or
                          {"room":...,"joined":[...],"left":[...],"count":...} */
};
/* What the seat has not been told, as one: all changes since, or who is there if it has missed
 * some. It is not pending then. Valid until the next call. */
void presence_next_news(struct presence *presence, struct presence_seat *seat,
                        struct presence_news *news);
/* Takes the next name; false: there is none left. */
bool presence_next_name(struct bytes *names, struct bytes *name);

/* --- the topic -------------------------------------------------------------------------------- */

/* A record of it, of this worker too, in the order of offsets. */
void presence_read(struct presence *presence, int64_t offset, struct bytes key, bool has_value,
                   struct bytes value);
/* True, once: there is space again for what was left out, and the log is to be read from its
 * beginning to where it was, and on. It is the same log: presence_log_begins() is not called. */
bool presence_wants_log(struct presence *presence);
/* It is not the log that it was: made anew, or cut. What others wrote is forgotten, and what this
 * one has to say is written again. */
void presence_log_begins(struct presence *presence);
/* What others write is known. */
bool presence_is_known(const struct presence *presence);

struct presence_write {
    struct bytes key, value;
    bool has_value;
    uint32_t number; /* for presence_landed(); PRESENCE_NO_NUMBER: it is not wanted */
};
#define PRESENCE_NO_NUMBER UINT32_MAX

/* The next record to be written; false: none now. For each of a batch, of PRESENCE_WRITES_MOST; then
 * nothing more is given until presence_written(). Valid until the next call. */
bool presence_next_write(struct presence *presence, int64_t now_ms, struct presence_write *write);
/* Where in the log the broker has put this one of the batch. So it is noticed if what was given up
 * as lost, and written again, arrives behind it all the same. */
void presence_landed(struct presence *presence, uint32_t number, int64_t offset);
/* The batch is in the log, or not all of it is: then what this worker has to say is written again.
 */
void presence_written(struct presence *presence, bool all, int64_t now_ms);
int64_t presence_write_deadline_ms(const struct presence *presence);

/* --- time ------------------------------------------------------------------------------------- */

/* Collects what has changed, and tells seats. */
void presence_run(struct presence *presence, int64_t now_ms);
int64_t presence_deadline_ms(const struct presence *presence);

#endif
