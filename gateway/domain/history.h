/* A history: messages of a room's past, oldest first, collected for one join (history_search.h)
 * and then given before its confirmation, from the session's queue. Or the room's state: of its past
 * the newest message of each item, which then is a list (state_list.h), or a list that a view has.
 *
 * It is open while it is collected, then whole, and from then on it only shrinks. Bounded in
 * bytes, its own and those of all together, of a tenant's and of a session's (history_share.h). Not
 * here: what belongs to it, and where that is found. */
#ifndef GATEWAY_DOMAIN_HISTORY_H
#define GATEWAY_DOMAIN_HISTORY_H

#include "cursor.h"
#include "history_share.h"
#include "message.h"
#include "state_fold.h"
#include "state_list.h"

struct hub;
struct lane;

/* Read by anyone, written by history.c. */
struct history {
    struct hub *hub;
    struct session *session;      /* whose it is; NULL: nobody's */
    struct history_share *tenant; /* held; NULL: it has none */
    bool is_state;
    struct state_fold fold;    /* of a state, until it is whole: what will be its list */
    struct state_list *list;   /* of a state that is whole; held */
    struct state_step step;    /* how much of it was given */
    struct message **messages; /* circular; capacity is a power of two; a reference each */
    uint32_t capacity, start, count;
    size_t bytes;      /* of their records; hub_stats.history_bytes is the sum of all */
    size_t list_bytes; /* what the list had when it came: counted for the session */
    int64_t since_ms;  /* of a state: all items that have changed since are in it, as far as was
                         looked; wall clock, INT64_MIN: of any time */
    uint32_t lane_id;  /* the session may have left the lane meanwhile */
    /* When it is whole: */
    bool whole;
    bool complete;       /* it is all that was asked for */
    uint32_t found;      /* how many it had */
    struct position end; /* the session's place: all below was looked through */
};

/* For the session, which outlives it; NULL: for nobody. */
struct history *history_new(struct hub *hub, struct session *session, uint32_t lane_id,
                            bool is_state);
/* With what was not given. NULL: nothing happens. */
void history_free(struct history *history);

/* The first time that is later. A record's time is whatever somebody wrote. */
static inline int64_t history_after_ms(int64_t time_ms)
{
    return time_ms < INT64_MAX ? time_ms + 1 : time_ms;
}

/* How many messages it has now: of a state, items. */
static inline uint32_t history_count(const struct history *history)
{
    return history->is_state && !history->whole ? history->fold.count : history->count;
}

/* Adds a newer one, with a reference of its own. To a state: it is its item's from now on, or takes
 * the item out; about no item, it changes nothing. It is decoded, and is again if need be. */
void history_add(struct history *history, struct message *message);
/* There is one. */
void history_drop_oldest(struct history *history);
void history_clear(struct history *history);
/* It, or histories together, have more than they may. */
enum history_limit history_limit_of(const struct history *history);
/* Of a state: it was looked from `since_ms` on. */
void history_set_whole(struct history *history, struct position end, bool complete,
                       int64_t since_ms);
/* The same for a state of which nothing was collected: this is it, and `list` is held already. */
void history_set_list(struct history *history, struct state_list *list, struct position end,
                      bool complete, int64_t since_ms);

/* The next one to be given, whose reference is then the caller's; NULL: all were. */
struct message *history_take(struct history *history);
/* The next chunk of a state; see state_list_next(). `first`: nothing was given before. */
bool history_next_chunk(struct history *history, struct lane *lane,
                        const struct transport_ops *transport, bool *first,
                        struct bytes *chunk) MUST_CHECK;

#endif
