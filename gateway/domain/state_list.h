/* What a room shows at a place in its lane: the messages of its items, in the order in which they
 * have changed. It is made once and never changes, so that all who ask before the room does share
 * it, each at a step of his own. It is given in chunks, which are framed once for each transport
 * and kept as far as memory allows.
 *
 * It lives as long as a session holds it, or the view that has made it keeps it (view.h). What
 * sessions hold is counted as histories are (hub_stats.history_bytes), once whatever their number;
 * what a view keeps it for, its frames, as the view is (hub_stats.view_bytes).
 *
 * Not here: which items those are. */
#ifndef GATEWAY_DOMAIN_STATE_LIST_H
#define GATEWAY_DOMAIN_STATE_LIST_H

#include "message.h"

struct history_share;
struct hub;
struct lane;

enum { STATE_SHARE = 8 }; /* one list, or history, holds at most this part of what all may */

/* Some items as a transport has framed them. */
struct state_chunk {
    uint8_t *data;
    size_t size;
    uint32_t next; /* index of the item behind it */
};

struct state_frames {
    struct state_chunk *chunks;
    uint32_t count;
};

/* Where in a list somebody stands. Zeroed: before the first. */
struct state_step {
    uint32_t item, chunk;
    bool begun; /* the first was given */
};

/* Read by anyone, written by state_list.c. */
struct state_list {
    struct hub *hub;
    struct message **messages; /* a reference each */
    uint32_t count;
    uint32_t holders;
    struct history_share *payer; /* of whom it is counted while it is held; NULL: of nobody */
    bool of_view;                /* its messages are in no ring, or not for long */
    struct state_list **kept_at; /* where the view keeps it; NULL: it does not */
    size_t message_bytes;        /* of records */
    size_t own_bytes;            /* beside them, chunks included */
    int64_t oldest_ms;           /* of its messages; INT64_MAX: it has none */
    int64_t since_ms;            /* all that has changed since is in it, as far as was known */
    struct state_frames frames[TRANSPORT_SLOT_COUNT];
    struct state_list *prev, *next; /* in hub->state_lists, if it is kept */
};

/* The memory is taken, with the references in it; NULL: none. Nobody holds it yet. `of_view`: the
 * messages live as long as a view shows them, and so no frame may stay with them. */
struct state_list *state_list_new(struct hub *hub, struct message **messages, uint32_t count,
                                  int64_t since_ms, bool of_view);

/* For a session, which is counted. */
void state_list_hold(struct state_list *list);
/* It is held for a session of this tenant, NULL: of none. The first one's counts it until nobody
 * holds it any more. Its bytes. */
size_t state_list_charge(struct state_list *list, struct history_share *tenant);
/* No more; if nobody keeps it, it is freed. NULL: nothing happens. */
void state_list_drop(struct state_list *list);

/* What lists that sessions hold may still take, of one and of all together. */
size_t state_list_room(const struct hub *hub);

/* For a view, which has made it: there are its list and the pointer to it, `*at`, until it is
 * forgotten. */
void state_list_keep(struct state_list *list, struct state_list **at);
/* The pointer is NULL from now on; if nobody holds it, it is freed. */
void state_list_forget(struct state_list *list);
/* Those that were kept first, until there is nothing to be kept, or views are within their limit. */
void state_list_make_room(struct hub *hub);

/* The next chunk, as transport_ops.append_item() makes it, at least one item if there is one;
 * borrowed until the next call to the hub. `lane`, if the session is in it still, may keep frames in
 * its ring. There is always a first chunk. False: all were given. */
bool state_list_next(struct state_list *list, struct lane *lane,
                     const struct transport_ops *transport, struct state_step *step,
                     struct bytes *chunk) MUST_CHECK;

#endif
