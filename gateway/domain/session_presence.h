/* Sessions and presence (presence.h): who of them is in which room, and which of them hear of it.
 *
 * A session is there from when its client has been told that it is in the room until it leaves it,
 * if the room is of a kind that has presence and its token names a user. Whoever wants to hear
 * subscribes so; that he does is a wish that goes with the room, in cursors and to other
 * gateways, so that who comes back has a snapshot, without asking. Of what it has not been told
 * yet a session holds one mark for each of its rooms, however much happens there. */
#ifndef GATEWAY_DOMAIN_SESSION_PRESENCE_H
#define GATEWAY_DOMAIN_SESSION_PRESENCE_H

#include "presence.h"
#include "transport.h"

struct hub;
struct session;
struct session_room;

/* For presence_config.pending. */
void session_presence_pending(struct presence_seat *seat);

/* Whether who is in the room can be told to the session. */
bool session_has_presence(const struct session *session, struct bytes room);
/* Its client wants to hear who is in this room of its, from its confirmation on; it goes along in
 * its cursor. */
void session_want_presence(struct session *session, size_t index);
/* The client has been told that it is in this room of the session's. */
void session_presence_told(struct session *session, size_t index);
/* It leaves the room. */
void session_presence_leave(struct session *session, struct session_room *room);
/* The next news, if there are any. */
bool session_presence_next(struct session *session, struct delivery *delivery);

#endif
