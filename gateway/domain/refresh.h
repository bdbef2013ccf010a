/* Rights that change while a session lives: rooms that it loses and gains with a fresh token
 * (session_refresh() of hub.h), by orders (session_orders.c), or between two connections. */
#ifndef GATEWAY_DOMAIN_REFRESH_H
#define GATEWAY_DOMAIN_REFRESH_H

#include "hub_state.h"

/* Out of the rooms that it may not be in any more; its client is told. */
void session_lose_rooms(struct session *session);
/* The session has lost a room with its rights (and is out of it, or never was in it here): the
 * client is told. Until that is given, cursors name the room as lost, so that whoever is cut off
 * before is told when it comes back. `private_index` as in session_room. */
void session_tell_lost(struct session *session, struct bytes name, int private_index);
/* Into a room that it is not in; told when the lane is open. NULL, or why it cannot be. */
const char *session_gain_room(struct session *session, struct bytes name);
/* Joins the rooms of connect that the session is not in, but for those that the client has left:
 * size and name of each. */
void session_gain_rooms(struct session *session, struct bytes left);

#endif
