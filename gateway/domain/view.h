/* What all rooms of a lane show at the lane's position: of each item of each room the newest message,
 * folded once for all who will ask. First of the lane's state topic and of the lane at once, then of
 * the lane alone; when that is exact is decided in views.h.
 *
 * Two logs meet in it, and offsets of one say nothing of the other. The rule: what the lane says of
 * an item, from where the view began, is newer than all that the state topic says of it. So records
 * of the lane are folded as they arrive, while the topic is read, and an item that they have touched
 * is theirs: the topic changes it no more, not even one that they took out. Nothing that arrives
 * meanwhile has to be kept elsewhere.
 *
 *      room ---- kept:  items of the topic, in its order ---> live: items of the lane, in its order
 *
 * What one record costs is the rooms that it names, however many items there are. Not here: limits of
 * bytes, what is read and when (views.h). */
#ifndef GATEWAY_DOMAIN_VIEW_H
#define GATEWAY_DOMAIN_VIEW_H

#include "state_list.h"

struct hub;
struct view_item;
struct view_room;

/* Read by anyone, written by view.c. */
struct view {
    struct hub *hub;
    uint32_t id; /* of the hub's views: message.view_id */
    bool loading;
    bool retired;
    bool has_kept;             /* the topic has said from when on it knows */
    struct view_room *rooms;   /* by scope and name */
    struct view_item *items;   /* by room and key */
    struct view_item *changed; /* DL list: all of them, in order of change */
    struct view_item *gone;    /* DL list: taken out by the lane, while the topic is read */
    size_t bytes;              /* all it takes; part of hub_stats.view_bytes */
    int64_t since_ms;          /* all that has changed since is in it, as far as the topic goes */
    int64_t kept_from;         /* what the topic says below this offset does not count */
    struct view *next;         /* in hub->views.retired */
};

/* Empty, and loading; `id` is no other view's. Until the topic has said something, it knows what
 * changes from `now_ms` on, wall clock. */
struct view *view_new(struct hub *hub, uint32_t id, int64_t now_ms);
/* The topic has been read: the lane alone is folded from now on. */
void view_set_loaded(struct view *view);

/* A record of the state topic. Written before `oldest_ms`, it says only that the item is not shown. */
void view_fold_kept(struct view *view, struct message *message, int64_t oldest_ms);
/* One of another layout, whose rooms may have been elsewhere: all that was said before, up to
 * `offset`, does not count, and a room may have changed unseen until it was written. */
void view_cut_kept(struct view *view, int64_t offset, int64_t written_ms);
/* A record of the lane, in its order. It stays decoded for those who will frame it: the ring, into
 * which it is pushed next, forgets that form. */
void view_fold_lane(struct view *view, struct message *message);

/* What the room shows, without what has not changed since `oldest_ms`; held for the caller. As much
 * as lists may take: of more the newest. */
struct state_list *view_list(struct view *view, struct bytes scope, struct bytes name,
                             int64_t oldest_ms);
/* Some of the items that have not changed since then are gone. */
void view_expire(struct view *view, int64_t oldest_ms);

/* It is not shown any more, and not counted; to be freed in steps. */
void view_retire(struct view *view);
/* Frees one item, or one room, of a view that is retired. False: that was the last, and the view is
 * freed, too. */
bool view_free_one(struct view *view);

#endif
