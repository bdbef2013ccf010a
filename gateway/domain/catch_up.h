/* Sessions below the head of a lane: where each stands when its lane is known, and how it comes
 * to the head through the ring. read_back.c gives what the ring no longer has. */
#ifndef GATEWAY_DOMAIN_CATCH_UP_H
#define GATEWAY_DOMAIN_CATCH_UP_H

#include "hub_state.h"

/* Finds out how a place gets on from place->next, in an open lane: live, behind or scanning; in
 * doubt, if the broker must be asked; or lost. The session is noted: session_places_changed(). */
void catch_up_start(struct place *place);
/* The next message from a ring for a session whose queue is empty; NULL: none now. One reference is
 * the caller's. */
struct message *catch_up_next(struct session *session);
/* The broker's ends, for cursors beyond the gateway's position. */
void catch_up_ends(struct lane *lane, int64_t first, int64_t end);
/* The lane's position has grown: cursors that it has reached are judged. */
void catch_up_arrived(struct lane *lane);
/* Nobody is in doubt about the lane any more: it breaks, or is closed. */
void catch_up_forget(struct lane *lane);

/* A turn begins, with as many looks at rings as one may take. */
void catch_up_turn(struct hub *hub);
/* Asks for ends again, where the broker may have been behind. */
void catch_up_run(struct hub *hub);
/* When catch_up_run() is due. */
int64_t catch_up_deadline(const struct hub *hub);

#endif
