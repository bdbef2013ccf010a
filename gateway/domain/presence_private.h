/* The data of presence, for its parts: presence.c (the log and its workers), presence_rooms.c (rooms,
 * their users and what is told of them), presence_guests.c (sessions here, and what is written of
 * them). */
#ifndef GATEWAY_DOMAIN_PRESENCE_PRIVATE_H
#define GATEWAY_DOMAIN_PRESENCE_PRIVATE_H

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mem.h"
#include "narrow.h"
#include "presence.h"

/* uthash's own function is not used: names come from outside, so keys are hashed with the seed. */
#define HASH_FUNCTION(key, size, value) (value) = presence_hash_is_needed
#include <uthash.h>
#include <utlist.h>

/* A name in a room, as lists of workers have it. */
struct presence_user {
    struct presence_room *room;
    uint32_t lists;     /* of live workers, that name it: if there are any it is in the room */
    uint32_t mentions;  /* all of them */
    bool told, touched; /* in the room, as was told last; in room->touched */
    struct presence_user *touched_prev, *touched_next;
    UT_hash_handle hh;
    uint8_t size;
    uint8_t name[];
};

/* A user with seats here, or who left a moment ago. */
struct presence_guest {
    struct presence_room *room;
    uint32_t seats; /* 0: in presence->lingering */
    int64_t until_ms;
    struct presence_guest *prev, *next; /* of the room's, by when they came */
    struct presence_guest *linger_prev, *linger_next;
    UT_hash_handle hh;
    uint8_t size;
    uint8_t name[];
};

struct presence_names {
    struct buffer packed; /* size, name of each */
    uint32_t count;
};

struct presence_room {
    struct presence_user *users;   /* by name */
    struct presence_guest *guests; /* by name */
    struct presence_guest *guest_list;
    uint32_t guest_count;
    uint32_t list_count;            /* lists that are about it */
    uint32_t told_count;            /* users that are told */
    uint64_t unnamed, told_unnamed; /* counted by live lists and not named; as told */
    struct presence_seat *watchers;
    uint32_t watcher_count;
    int64_t due_ms; /* it is not told before */
    bool newcomers; /* some of them wait for their first snapshot */
    struct presence_user *touched;
    uint64_t version; /* of what is told; from 2 on: none is next to 0 */
    struct presence_names joined, left;
    bool too_many; /* that came and went: who watches gets a snapshot */
    struct presence_names snapshot;
    uint64_t snapshot_version, json_version; /* 0: not made */
    bool snapshot_partly;                    /* made while presence_is_partly() */
    struct buffer json, snapshot_json;
    bool changed, dirty, unwritten, sent; /* in the lists of presence that are called so */
    bool logged;                          /* the log may hold a record of it, of this worker */
    bool sent_removal;                    /* what was sent is one without a value */
    struct presence_room *changed_prev, *changed_next, *dirty_prev, *dirty_next, *unwritten_prev,
        *unwritten_next;
    UT_hash_handle hh;
    uint16_t scope_size, name_size;
    uint8_t text[]; /* size of the scope, scope, name */
};

/* What a worker says of a room. */
struct presence_list {
    struct presence_room *room; /* its key in worker->lists */
    bool counts; /* its users are in the room: the worker was live when it was settled */
    uint64_t unnamed;
    struct presence_list *prev, *next; /* of the worker's that count, or do not */
    UT_hash_handle hh;
    uint32_t user_count;
    struct presence_user **users;
};

struct presence_worker {
    bool live;
    bool partly;                 /* some of its rooms are not known: there was no space */
    uint64_t seen;               /* beats of this one that had been read, when its last was */
    struct presence_list *lists; /* by room */
    struct presence_list *counting, *idle;
    struct presence_worker *prev, *next; /* by `seen` */
    bool settling;
    struct presence_worker *settling_prev, *settling_next;
    UT_hash_handle hh;
    size_t size;
    uint8_t id[];
};

struct presence {
    struct presence_config config;
    struct presence_stats stats;
    struct presence_room *rooms;
    struct presence_worker *self;
    struct presence_worker *workers;  /* by id, without self */
    struct presence_worker *by_seen;  /* the longest silent first */
    struct presence_worker *settling; /* some of their lists are to count, or not any more */
    uint64_t beats;                   /* of this one, read */
    uint32_t partly;                  /* workers that are */
    bool unknown;                     /* a worker was left out */
    uint64_t sweep_after;
    struct presence_room *changed, *dirty, *unwritten;
    struct presence_guest *lingering; /* in the order of their time */
    int64_t now_ms, tick_ms, beat_ms, write_ms;
    bool batch; /* records are on their way */
    uint32_t batch_size, sent_count;
    struct presence_room *sent[PRESENCE_WRITES_MOST]; /* of the batch */
    struct buffer sweep; /* keys to be removed: size (4 bytes), key of each */
    struct presence_space space;
    struct buffer key, value;
};

static inline struct bytes presence_scope_of(const struct presence_room *room)
{
    return bytes_of(room->text + sizeof(uint16_t), room->scope_size);
}

static inline struct bytes presence_name_of(const struct presence_room *room)
{
    return bytes_of(room->text + sizeof(uint16_t) + room->scope_size, room->name_size);
}

static inline unsigned presence_hash(const struct presence *presence, const void *key, size_t size)
{
    return (unsigned)XXH3_64bits_withSeed(key, size, presence->config.seed);
}

/* What the others write. */
static inline bool presence_knows(const struct presence *presence)
{
    return presence->beats >= PRESENCE_BEATS_KNOWN;
}

/* Of what others write something was not kept, in whatever room. */
static inline bool presence_is_partly(const struct presence *presence)
{
    return presence->unknown || presence->partly > 0;
}

/* presence_rooms.c */
struct presence_room *presence_room_get(struct presence *presence, struct bytes scope,
                                        struct bytes name);
struct presence_room *presence_room_find(struct presence *presence, struct bytes scope,
                                         struct bytes name);
/* Called when something that holds it has gone. */
void presence_room_release(struct presence *presence, struct presence_room *room);
void presence_room_changed(struct presence *presence, struct presence_room *room);
/* There is news for the seat. */
void presence_pend(struct presence *presence, struct presence_seat *seat);
/* Who watches any room gets a snapshot: what was told of all of them was not all. */
void presence_tell_anew(struct presence *presence);
/* What the worker says of the room from now on: `count` users, of which these are named. None: it
 * says nothing any more. */
void presence_list_set(struct presence *presence, struct presence_worker *worker,
                       struct presence_room *room, uint64_t count, const struct bytes *users,
                       uint32_t named);
struct presence_list *presence_list_find(const struct presence *presence,
                                         const struct presence_worker *worker,
                                         const struct presence_room *room);
/* Its users are in the room from now on, or are not. */
void presence_list_count(struct presence *presence, struct presence_worker *worker,
                         struct presence_list *list, bool counts);
/* Tells up to `most` of the rooms that have changed; whether there are more, and some of them may be
 * told by now. */
bool presence_tell(struct presence *presence, unsigned most);
void presence_names_clear(struct presence_names *names);

/* presence_guests.c */
void presence_guests_run(struct presence *presence);
/* This worker's own lists follow its guests, of up to `most` rooms. */
void presence_guests_settle(struct presence *presence, unsigned most);
/* Who is in the room here is written. */
void presence_room_unwritten(struct presence *presence, struct presence_room *room);
/* Of all rooms. */
void presence_guests_rewrite(struct presence *presence);
/* At the end: nothing is written any more. */
void presence_guests_forget(struct presence *presence);

#endif
