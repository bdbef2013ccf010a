/* Requests that wait for lanes: joins of an open session, and its opening. Each has a deadline,
 * and all of the hub are listed by that; a join is also listed in its session, in the order of
 * asking, and in the place that it waits for, so that nobody looks through those of others.
 *
 * Here are the lists alone, and the answer of a join that has come to its end; what a join needs
 * is decided in join.c, its history is sought in history_search.c. */
#ifndef GATEWAY_DOMAIN_JOINS_H
#define GATEWAY_DOMAIN_JOINS_H

#include "bytes.h"

struct history;
struct history_search;
struct place;
struct session;

/* Read by anyone, written by joins.c. */
struct pending_request {
    struct session *session;
    struct place *place;           /* that a join waits for; NULL: it is the session's opening */
    struct history_search *search; /* of the history that the join brings; NULL: none. Owned */
    uint64_t request;              /* 0: nobody asked, the rights have grown */
    int64_t deadline_ms;
    struct pending_request *prev, *next;             /* all of the hub, by deadline */
    struct pending_request *own_prev, *own_next;     /* of a join: in session->joins */
    struct pending_request *place_prev, *place_next; /* likewise: in place->joins */
    uint16_t room_size;
    uint8_t room[];
};

/* A session's: hub_config.pending_joins is the limit. Zeroed: none. */
struct joins {
    struct pending_request *first; /* DL list, oldest first */
    uint32_t count;
};

/* A join of the room waits for the place, open_timeout_ms at most. */
struct pending_request *joins_add(struct session *session, struct place *place, struct bytes room,
                                  uint64_t request);
/* And for a history, whose search the request owns; NULL: no more. */
void joins_set_search(struct pending_request *pending, struct history_search *search);
/* The join has taken effect: it is confirmed in the session's stream, after the history, if it has
 * one, whose owner that is. Frees `pending`. */
void joins_confirm(struct pending_request *pending, struct history *history);
/* Takes it out of all lists and frees it. Its search must be gone. */
void joins_remove(struct pending_request *pending);
struct bytes pending_room(const struct pending_request *pending);

/* The session's opening waits for its lanes, open_timeout_ms at most; or no more. */
void joins_expect_open(struct session *session);
void joins_open_over(struct session *session);

#endif
