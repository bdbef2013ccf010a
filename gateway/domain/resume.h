/* Private ids and cursors: made for a session, and followed back by one that returns. Also where
 * a session begins that does not return, and one that comes from another gateway (migrate.c).
 * The texts themselves are cursor.h's. */
#ifndef GATEWAY_DOMAIN_RESUME_H
#define GATEWAY_DOMAIN_RESUME_H

#include "hub_state.h"

/* Puts the session into the rooms of its cursor; or says why not, and then it may stand in some of
 * them. */
const char *resume_follow(struct session *session, const struct session_request *request);
/* Puts the session where another gateway has left it; false: that cannot be read or done here, and
 * it may stand in some of its rooms. */
bool session_migrate_in(struct session *session, struct bytes state);
/* Leaves everything that resume_follow() has done, and starts in the rooms that the claims give,
 * with `reason` for the client; NULL, or why that cannot be. */
const char *resume_afresh(struct session *session, const char *reason);

/* The cursor's text now, in the hub's scratch. */
struct bytes resume_cursor(struct session *session);
/* The private id's text for OPENED; made now if the session is new. In the hub's scratch. */
struct bytes resume_private_id(struct session *session);

#endif
