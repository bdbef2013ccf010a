/* Lanes and rooms of a hub: opened when the first session needs them, and gone when nobody does.
 * A room's identity is its lane, scope and name; it lives as long as it has members.
 *
 * Here is also what a lane may hold in memory: its ring a share (hub_config.ring_bytes), and
 * beyond that what was read back, all lanes together hub_config.read_back_bytes. */
#ifndef GATEWAY_DOMAIN_LANE_H
#define GATEWAY_DOMAIN_LANE_H

#include "hub_state.h"

/* The lane of this name; the source is asked to open it if it is new. */
struct lane *lane_get(struct hub *hub, const struct lane_name *name);
/* Nobody may stand in it, nor anything be under way. */
void lane_free(struct lane *lane);

struct room *room_get(struct lane *lane, struct bytes scope, struct bytes name);
/* The rooms of this hash, chained by same_hash; NULL if there is none. */
struct room *room_find(struct lane *lane, uint64_t hash);
/* Frees the room if it has no member left. */
void room_release(struct room *room);

/* Offers a message to every member of its rooms, through `offer`, which is told the member's place
 * in the lane; a session that is in several of the rooms, several times. */
typedef void (*place_fn)(struct place *place, struct message *message);
void lane_offer(struct lane *lane, struct message *message, place_fn offer);

/* What a ring of the lane, its own or its scan's, may hold now. */
size_t lane_ring_limit(const struct lane *lane, const struct ring *ring);
/* About so many bytes are so many records of the lane (not below 0). */
uint64_t lane_bytes_of(const struct lane *lane, int64_t records);
/* A message of the lane has been framed: a ring that holds it counts the frame, of one that has
 * arrived in this turn when that is over. False: that would be beyond its limit, or no ring holds
 * it, so the frame must not stay. */
bool lane_count_frame(struct lane *lane, struct message *message);
/* After a ring of the lane has changed. */
void lane_count_beyond(struct lane *lane);

#endif
