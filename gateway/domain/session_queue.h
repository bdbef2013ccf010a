/* What waits for a session's transport, first in, first out: notifications, answers to its joins
 * and leaves, and what it is told. Bounded twice: messages by hub_config.queue_messages and
 * .queue_bytes, all else by .answers and .answer_bytes; the limits are judged in
 * session_output.c, which is who fills it.
 *
 * One item needs no memory of its own, and none stays when the queue is empty: most sessions
 * have nothing queued most of the time. */
#ifndef GATEWAY_DOMAIN_SESSION_QUEUE_H
#define GATEWAY_DOMAIN_SESSION_QUEUE_H

#include "history.h"
#include "message.h"

enum item_kind {
    ITEM_MESSAGE,
    ITEM_JOINED,
    ITEM_JOIN_REFUSED,
    ITEM_LEFT,
    ITEM_REFRESHED,
    ITEM_CURSOR,
    ITEM_STALE,
    ITEM_LIVE,
    ITEM_CLOSE
};

/* An item that is no message. */
struct control {
    uint64_t request;
    int64_t since_ms;
    int64_t retry_after_ms;
    const char *reason;
    struct history *history; /* JOINED: is given first; NULL: none was asked for. Owned */
    bool transient;
    bool overflow;         /* CLOSE: of answers */
    bool lost;             /* LEFT: by its rights; see session_tell_lost() */
    bool left_out;         /* LEFT: at connect, and first in the queue */
    int32_t private_index; /* of what is lost; -1: it is in session->untold */
    struct control *untold_prev, *untold_next;
    uint16_t room_size; /* up to ROOM_NAME_LIMIT */
    uint8_t room[];
};

struct queue_item {
    enum item_kind kind;
    union {
        struct message *message; /* a reference */
        struct control *control; /* owned */
    };
};

/* Zeroed: empty. Read by anyone, written by session_queue.c. */
struct session_queue {
    union {
        struct queue_item single;
        struct queue_item *items; /* circular, if there is `capacity`, a power of two */
    };
    uint32_t capacity, start, count; /* 1,060,000 items at most, by hub.h */
    uint32_t messages;
    size_t message_bytes;
    size_t answer_bytes; /* of all but messages */
};

/* Takes the item's reference, or its control. */
void session_queue_push(struct session_queue *queue, struct queue_item item);
/* The oldest, which is the caller's then. There is one. */
struct queue_item session_queue_shift(struct session_queue *queue);
/* The oldest, borrowed. There is one. */
const struct queue_item *session_queue_first(const struct session_queue *queue);
/* Queued messages of a lane: of a session that has left its last room there and comes back. */
uint32_t session_queue_count(struct session_queue *queue, uint32_t lane_id);
/* What an answer about a room of this name is counted as, in `answer_bytes`. */
size_t session_queue_answer_size(size_t room_size);
/* Frees all that is in it; it is empty then. */
void session_queue_clear(struct session_queue *queue);
/* Frees the messages in it; all else stays, in its order. */
void session_queue_drop_messages(struct session_queue *queue);
/* Gives memory back, if there is nothing in it. */
void session_queue_shrink(struct session_queue *queue);

#endif
