/* What comes into a session's queue, and whose transport must be told at the end of the turn.
 * The only place where a session's queue is filled, so its limits hold here. session.c makes
 * deliveries of a queue's items. */
#ifndef GATEWAY_DOMAIN_SESSION_OUTPUT_H
#define GATEWAY_DOMAIN_SESSION_OUTPUT_H

#include "session_queue.h"

struct hub;
struct place;
struct session;

/* Sessions that will be told, first come, first served. Written by session_output.c. */
struct attention {
    struct session *first; /* DL list */
    uint64_t count;
};

/* False: the session is full, and has not taken it. */
bool session_offer(struct place *place, struct message *message);
/* All but messages is queued here. Takes control->history. Beyond the limit it is dropped, and
 * the session ends with `too_many_answers` when the turn does. */
void session_push_control(struct session *session, enum item_kind kind, struct bytes room,
                          const struct control *control);
/* The messages in the queue are dropped, and what it is told stays. */
void session_drop_messages(struct session *session);
/* All that is queued is dropped; the cursor goes on where the client has been given the last. */
void session_clear_queue(struct session *session);

/* A lane of the session cannot be read now, or can again: its client is told of the first, and
 * when the last is back. */
void session_lane_stale(struct session *session);
void session_lane_fresh(struct session *session);
/* Since when, of the lane that has been so for longest. */
void session_tell_stale(struct session *session);

/* There may be something for it: its transport is told when the turn ends, once. Nothing happens
 * for one that is told already, is opening or is closed. */
void session_wake(struct session *session);
/* From now on it is told again, although the transport has not been given all. */
void session_wake_again(struct session *session);
void session_unlist(struct session *session);

/* A place of the session has changed such that it may be opened now, or must be given up:
 * settled at the end of the call into the hub (session_settle_changed()), when nobody walks
 * through places. */
void session_places_changed(struct session *session);
/* The next of those; NULL: none. */
struct session *session_take_changed(struct hub *hub);

#endif
