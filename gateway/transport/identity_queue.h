/* Asks who clients are at a steady pace: so many checks in a turn of the loop, the rest in later
 * turns, first come, first served. Implements identity.h over another implementation of it. A check
 * of a token may cost a millisecond, and thousands may come at once, in good faith or bad: those
 * who are connected get their turn in between. Not a judgement, and no limit per client
 * (socketio_server.h, websocket_adapter.h). */
#ifndef GATEWAY_TRANSPORT_IDENTITY_QUEUE_H
#define GATEWAY_TRANSPORT_IDENTITY_QUEUE_H

#include "identity.h"

struct identity_queue;

struct identity_queue_config {
    const struct identity_ops *ops; /* who is asked; borrowed, as the identifier */
    void *identifier;
    unsigned per_turn; /* at least 1 */
    unsigned waiting;  /* more are told `unavailable`, as trouble of ours */
    uint64_t bytes;    /* so much of what they bring is kept meanwhile; likewise */
};

struct identity_queue_stats {
    uint64_t deferred;       /* that had to wait for a later turn */
    uint64_t refused;        /* beyond the limit */
    uint64_t waiting, bytes; /* now */
};

struct identity_queue *identity_queue_new(const struct identity_queue_config *config);
/* Nobody may wait any more. NULL is fine. */
void identity_queue_free(struct identity_queue *queue);
/* The identifier is the queue. */
extern const struct identity_ops identity_queue_ops;
/* Once in each turn: asks about those who wait, and calls their decided(). */
void identity_queue_turn(struct identity_queue *queue);
/* INT64_MAX, or 0 if a turn is due at once. */
int64_t identity_queue_deadline_ms(const struct identity_queue *queue);
const struct identity_queue_stats *identity_queue_stats(const struct identity_queue *queue);

#endif
