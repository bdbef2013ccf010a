/* How a session comes into a room and leaves it: what transports ask for (session_join(),
 * session_leave() of hub.h), and what changed rights bring (refresh.c). The joins that wait are
 * listed in joins.h. */
#ifndef GATEWAY_DOMAIN_JOIN_H
#define GATEWAY_DOMAIN_JOIN_H

#include "hub_state.h"

/* The joins that waited for this lane are answered in their order, or get their history first. */
void session_answer_joins(struct place *place);
/* The pending joins of a room (`all`: of any) are given up; each is refused, unless `reason` is
 * NULL. */
void session_forget_joins(struct session *session, struct bytes room, bool all, const char *reason);
/* Its lane did not open, or its history did not come, in time: it is refused, and freed. False:
 * nobody had asked for it; the session is to be ended. */
bool session_expire_join(struct pending_request *pending) MUST_CHECK;
/* The session is out of the room, and its joins of it are refused with `reason`. */
void session_drop_room(struct session *session, size_t index, const char *reason);
/* The session was attached to a room that nobody asked for: it is told, when the lane is open. */
void session_settle_gain(struct session *session, size_t index);
#endif
