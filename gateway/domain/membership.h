/* Which rooms and lanes a session is in. Keeps three things of one mind: the session's list of
 * rooms, each room's list of members, and the session's places, one for each lane that one of
 * its rooms lies in.
 *
 * The order of session_places() is that of the cursor: lanes in the order in which rooms that
 * stand in cursors mention them first; then the others. */
#ifndef GATEWAY_DOMAIN_MEMBERSHIP_H
#define GATEWAY_DOMAIN_MEMBERSHIP_H

#include "hub_state.h"

struct place *session_find_place(const struct session *session, const struct lane *lane);
/* The index of the room of this name in session->rooms; -1: it is not in it. */
int session_find_room(const struct session *session, struct bytes name);

/* One room more, of this name, is within the limits: so many, and so long that private id and
 * cursor can name them all. */
bool session_takes_room(const struct session *session, struct bytes name);
/* Puts the session into a room whose lane is known; returns its place in the lane. It must not
 * be in the room yet. */
struct place *session_attach(struct session *session, struct lane *lane, struct bytes scope,
                             struct bytes name, int private_index);
/* Takes it out; no join of the room may wait any more. */
void session_detach_room(struct session *session, size_t index);
void session_detach_all(struct session *session);

/* Keeps back what the room gets from now on; or no more. */
void session_room_hold(struct session *session, size_t index);
void session_room_live(const struct session *session, const struct room *room);
bool session_room_is_held(const struct session *session, size_t index);

/* Which rooms stand in cursors has changed, or in which order. */
void session_rooms_changed(struct session *session);
/* A room of the private id is gone. */
void session_mark_left(struct session *session, size_t private_index, enum left left);

/* The lane of a room of the session's; NULL, or why it has none: no_such_room, or the words that
 * session_claim_named_by() knows. */
const char *session_room_problem(const struct session *session, const struct room_name *room,
                                 struct lane_name *lane_name);
/* The claim that the token lacks, for tenant_missing and user_missing; NULL for other words. */
const char *session_claim_named_by(const struct session *session, const char *reason);

#endif
