/* What history_search*.c have in common, and nobody else calls. */
#ifndef GATEWAY_DOMAIN_HISTORY_SEARCH_PRIVATE_H
#define GATEWAY_DOMAIN_HISTORY_SEARCH_PRIVATE_H

#include "history_search.h"

enum {
    LOOKS_TO_DECODE = 64, /* what a record that may be the room's costs, beside its look */
    NEXT_STEP = 4,        /* a span is so many times the one before */
};

/* Of the looks of this turn, down to 0. */
static inline void search_spend(size_t *looks, size_t count)
{
    *looks -= *looks < count ? *looks : count;
}

/* --- history_search.c --- */

/* Not to SEARCH_AHEAD, which has an offset. */
void search_move(struct history_search *search, enum search_state state);
/* A message of the room, in the order of the log. */
void search_keep(struct history_search *search, struct message *message);
/* The first record at or after where it begins, of whatever room; later ones change nothing. */
void search_look_at_first(struct history_search *search, const struct message *message);
/* It does not read along any more. */
void search_leave_scan(struct history_search *search);
/* All of its span was looked through. True: it begins anew, with a longer one. */
bool search_look_further(struct history_search *search);
/* What was found is given, and the search is over: freed. */
void search_finish(struct history_search *search, struct position end);

/* --- history_search_view.c --- */

/* The wall clock now, as far as the asker's said what it was. */
int64_t search_wall_ms(const struct history_search *search);
/* Of a state: SEARCH_READY, and its history is whole; or for what it is to wait. False: there is no
 * view, and it is to be collected. */
bool search_of_view(struct history_search *search, enum search_state *state,
                    size_t *looks) MUST_CHECK;

#endif
