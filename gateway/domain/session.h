/* The life of a session: opening, its stream of deliveries, its end. Transports call it
 * by hub.h. */
#ifndef GATEWAY_DOMAIN_SESSION_H
#define GATEWAY_DOMAIN_SESSION_H

#include "hub_state.h"

/* The lane of this place has been opened by the source. */
void session_lane_opened(struct place *place);
/* Opens or gives up those whose places have changed in this call into the hub. */
void session_settle_changed(struct hub *hub);
/* It cannot go on from its cursor: it starts as a new session, with `reason` for the client. */
void session_start_afresh(struct session *session, const char *reason);
/* Ends the session from our side: CLOSE, or REFUSED while it opens. */
void session_end(struct session *session, const char *reason, bool transient);
/* The same for one whose client asks and does not read. */
void session_end_overflowed(struct session *session);
bool session_is_behind(const struct session *session);
/* Frees one that has been closed, at the end of the turn: nobody may be in the middle of it. */
void session_reap(struct session *session);

#endif
