/* The data of presence, for its parts: presence.c (the log and its workers), presence_rooms.c (rooms,
 * their users and what is told of them), presence_guests.c (sessions here, and what is written of
 * them), presence_tenants.c (what the rooms of each tenant take). */
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

struct presence_tenant {
    uint64_t entries;   /* of other workers: lists about his rooms, and users in them */
    uint64_t partly_in; /* the reading in which something of it was left out; 0: none */
    uint32_t rooms;     /* 0: in presence->roomless */
    struct presence_room *unwritten; /* his; if there are any he is in presence->turns */
    struct presence_tenant *turn_prev, *turn_next;
    UT_hash_handle hh;
    uint16_t size;
    uint8_t name[];
};

struct presence_room {
    struct presence_tenant *tenant;
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
    bool snapshot_hazy;                      /* made while presence_is_hazy() */
    struct buffer json, snapshot_json;
    bool changed, dirty, hazy, sent; /* in the lists of presence that are called so */
    bool unwritten, again;           /* in its tenant's list; in presence->again */
    bool logged;                     /* the log may hold a record of it, of this worker */
    bool sent_removal;               /* what was sent is one without a value */
    int64_t written; /* where the last one lies that this worker knows to be there; -1: nowhere */
    struct presence_room *changed_prev, *changed_next, *dirty_prev, *dirty_next, *unwritten_prev,
        *unwritten_next, *hazy_prev, *hazy_next;
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
    uint64_t seen;               /* beats of this one that had been read, when its last was */
    struct presence_list *lists; /* by room */
    struct presence_list *counting, *idle;
    struct presence_worker *prev, *next; /* by `seen` */
    bool settling;                       /* in presence->settling, or in presence->ending */
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
    struct presence_worker *ending;   /* they are in no table any more, their lists go */
    struct presence_tenant *tenants, *turns, *roomless;
    uint64_t beats; /* of this one, read */
    uint64_t sweep_after;
    /* Readings of the whole log: the one under way, and the last that came to an end. What was left
     * out in an earlier one than that is known by now. */
    uint64_t reading, whole;
    uint64_t
        unknown_in;   /* the reading in which something was left out, of whatever tenant; 0: none */
    int64_t position; /* the next offset to be read for the first time */
    int64_t again_until; /* it is read again, up to there; 0: it is not */
    uint64_t again_from; /* beats: not before */
    bool wants_again;    /* what was left out might have space, if there is any left of all */
    bool again_due;
    bool left_out; /* since the reading began, some worker's records were */
    struct presence_room *changed, *dirty, *again, *hazy;
    uint32_t hazy_count,
        anew_left; /* of `hazy`; so many are looked at yet, whether they still are */
    struct presence_list *rewriting; /* of the own ones: it and those behind it are written again */
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

/* Some of his rooms are not known, or not all who are in them. */
static inline bool presence_tenant_is_partly(const struct presence *presence,
                                             const struct presence_tenant *tenant)
{
    return presence->unknown_in >= presence->whole || tenant->partly_in >= presence->whole;
}

/* Others may be in the room of whom this worker does not know. */
static inline bool presence_is_hazy(const struct presence *presence,
                                    const struct presence_room *room)
{
    return !presence_knows(presence) || presence_tenant_is_partly(presence, room->tenant);
}

/* What is read of it now is the past. */
static inline bool presence_room_is_read_again(const struct presence *presence,
                                               const struct presence_room *room)
{
    return presence->again_until > 0 && presence_tenant_is_partly(presence, room->tenant);
}

/* presence_tenants.c */
/* NULL: there are no rooms of his. */
struct presence_tenant *presence_tenant_find(const struct presence *presence, struct bytes scope);
/* For a room, that is new; and when it goes. */
struct presence_tenant *presence_tenant_hold(struct presence *presence, struct bytes scope);
void presence_tenant_release(struct presence *presence, struct presence_tenant *tenant);
/* A reading has come to its end. */
void presence_tenants_whole(struct presence *presence);
/* What is kept of others, about his rooms. */
void presence_tenant_count(struct presence *presence, struct presence_tenant *tenant, uint64_t more,
                           uint64_t less);
/* For so many entries in place of `before` of his there is space; NULL: he has none yet. If that is
 * not enough: of what. */
uint64_t presence_space(const struct presence *presence, const struct presence_tenant *tenant,
                        uint64_t before, enum presence_drop *short_of);
/* All tenants together leave some. */
bool presence_has_space_again(const struct presence *presence);
/* Rooms that are to be written: each tenant has one of his in turn. */
void presence_turn_add(struct presence *presence, struct presence_room *room);
void presence_turn_delete(struct presence *presence, struct presence_room *room);
/* Whose turn it is; NULL: nobody's. It stays in the list, and the next one is another tenant's. */
struct presence_room *presence_turn_next(struct presence *presence);

/* presence_rooms.c */
struct presence_room *presence_room_get(struct presence *presence, struct bytes scope,
                                        struct bytes name);
struct presence_room *presence_room_find(const struct presence *presence, struct bytes scope,
                                         struct bytes name);
/* Called when something that holds it has gone. */
void presence_room_release(struct presence *presence, struct presence_room *room);
void presence_room_changed(struct presence *presence, struct presence_room *room);
/* There is news for the seat. */
void presence_pend(struct presence *presence, struct presence_seat *seat);
/* Who watches a room of which was told what was not all gets a snapshot, if it is by now: looked for
 * by the calls that follow, among so many rooms each. */
void presence_tell_anew(struct presence *presence);
void presence_anew_run(struct presence *presence, unsigned most);
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
/* Guests whose time is over go, and own lists are written again: up to `most` of each. */
void presence_guests_run(struct presence *presence, unsigned most);
/* This worker's own lists follow its guests, of up to `most` rooms. */
void presence_guests_settle(struct presence *presence, unsigned most);
/* Who is in the room here is written. */
void presence_room_unwritten(struct presence *presence, struct presence_room *room);
/* Of all rooms: with the calls of presence_guests_run() that follow. */
void presence_guests_rewrite(struct presence *presence);
/* The record, read behind all that is known to be there of this worker, is not what it says of the
 * room, which may be NULL. */
bool presence_guests_differ(struct presence *presence, const struct presence_room *room,
                            const struct presence_record *record);
/* At the end: nothing is written any more. */
void presence_guests_forget(struct presence *presence);

#endif
