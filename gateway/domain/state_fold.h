/* The state of a room while it is collected: of each item the newest message, in the order in which
 * the items have changed. Messages are put in in the order of their lane, which is the only order
 * that there is: no version is compared. An item that was taken out is gone, and is put in anew if
 * it comes again.
 *
 * The invariant: however many of the oldest are taken, what is left are the items that have changed
 * last of all that were ever put in. So a limit leaves out what has not changed for longest.
 *
 * What it costs does not depend on how many items there are. Keys are compared whole, since they
 * come from outside: two items never become one. Not here: limits, bytes, and what is said of what
 * was left out (history.h). */
#ifndef GATEWAY_DOMAIN_STATE_FOLD_H
#define GATEWAY_DOMAIN_STATE_FOLD_H

#include "message.h"

struct hub;
struct state_item;

/* Zeroed: empty. Read by anyone, written by state_fold.c. */
struct state_fold {
    struct state_item *items; /* by key, and by when they have changed: the oldest first */
    uint32_t count;
};

/* The item's newest message, with a reference of the fold's own. Those below give away the reference
 * of a message that the fold had, or NULL: this one the message before it. */
struct message *state_fold_put(struct state_fold *fold, const struct hub *hub, struct bytes key,
                               struct message *message);
/* The item is gone. */
struct message *state_fold_remove(struct state_fold *fold, const struct hub *hub, struct bytes key);
/* The one that has not changed for longest is gone. */
struct message *state_fold_take_oldest(struct state_fold *fold);

#endif
