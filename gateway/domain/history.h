/* A history: messages of a room's past, oldest first, collected for one join (history_search.h)
 * and then given before its confirmation, from the session's queue.
 *
 * It is open while it is collected, then whole, and from then on it only shrinks. Bounded in
 * bytes, its own and those of all together (hub_config.history.buffered). Not here: what belongs
 * to it, and where that is found. */
#ifndef GATEWAY_DOMAIN_HISTORY_H
#define GATEWAY_DOMAIN_HISTORY_H

#include "cursor.h"
#include "message.h"

struct hub;

/* Read by anyone, written by history.c. */
struct history {
    struct hub *hub;
    struct message **messages; /* circular; capacity is a power of two; a reference each */
    uint32_t capacity, start, count;
    size_t bytes; /* of their records; hub_stats.history_bytes is the sum of all */
    /* When it is whole: */
    bool whole;
    bool complete;       /* it is all that was asked for */
    uint32_t lane_id;    /* the session may have left the lane meanwhile */
    uint32_t found;      /* how many it had */
    struct position end; /* the session's place: all below was looked through */
};

struct history *history_new(struct hub *hub, uint32_t lane_id);
/* With what was not given. NULL: nothing happens. */
void history_free(struct history *history);

/* Adds a newer one, with a reference of its own. */
void history_add(struct history *history, struct message *message);
void history_drop_oldest(struct history *history);
void history_clear(struct history *history);
/* It, or all histories together, have more than they may. */
bool history_is_too_large(const struct history *history);
void history_set_whole(struct history *history, struct position end, bool complete);

/* The next one to be given, whose reference is then the caller's; NULL: all were. */
struct message *history_take(struct history *history);

#endif
