/* The ring: the most recent messages of a lane, by offset, within a limit of bytes. A session
 * that is a little behind catches up from it; who needs older ones has Kafka (scan.h).
 *
 *      from                                  the lane's position
 *       |  m  m     m  m  m        m  m  m  |      offsets grow to the right; gaps are normal
 *          ^ oldest, dropped first       ^ pushed last
 *
 * It holds all messages of [from, position): what lies in it need not be asked of the broker.
 *
 * A ring is passed over in blocks: a session that comes back may find thousands of messages in
 * front of it, a handful of them its own. Beside each message stand two bits of its rooms'
 * hashes, beside each RING_BLOCK of them a set of other bits, so that most blocks cost one look.
 *
 * Not here: whose ring it is and how much it may hold; that is the lane's (lane.c) or the
 * scan's. */
#ifndef GATEWAY_DOMAIN_RING_H
#define GATEWAY_DOMAIN_RING_H

#include "message.h"

enum {
    ROOM_FILTER_ROOMS = 8, /* of more, only their bits together are looked for */
    RING_BLOCK = 64,
    ROOM_SET_WORDS = 64,
};

/* Zeroed: empty, from offset 0. Read by anyone, written by ring.c. */
struct ring {
    struct message **messages; /* circular; capacity is a power of two; a reference each */
    uint64_t *marks;           /* of each message, beside it: see room_mark() */
    struct room_set *blocks;   /* of RING_BLOCK slots each: the rooms that are named there */
    size_t capacity;
    size_t start;
    size_t count;
    size_t unsettled; /* so many of the newest may have grown since they were counted */
    size_t bytes;     /* the sum of message->counted */
    int64_t from;
};

/* The rooms of a block, by other bits of their hashes than a mark. */
struct room_set {
    uint64_t words[ROOM_SET_WORDS];
};

/* The rooms that are looked for. All zero: none. */
struct room_filter {
    uint64_t any;
    unsigned count;
    uint64_t marks[ROOM_FILTER_ROOMS];
    uint64_t hashes[ROOM_FILTER_ROOMS];
};

/* Two bits for a room, by its hash. Those of all its rooms are a message's mark: rooms are looked
 * for without a look at the message. */
static inline uint64_t room_mark(uint64_t hash)
{
    return (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63);
}

void room_filter_add(struct room_filter *filter, uint64_t hash);

/* Takes the caller's reference. The message is newer than all that are there; the oldest are
 * dropped down to the limit, but never the last one. */
void ring_push(struct ring *ring, struct message *message, size_t bytes_limit);
/* For the messages that were pushed since the last call, when their turn is over: gives back their
 * decoded form, and counts them again, since they were framed meanwhile. */
void ring_settle(struct ring *ring);
/* Whether a message of the ring was pushed since: then the next call counts its frames. */
bool ring_is_unsettled(const struct ring *ring, const struct message *message);
/* A message of the ring has grown, by a frame: counts it again. False: it would then be beyond the
 * limit, and nothing is changed; the frame must not stay. Records are not dropped for a frame: they
 * may be wanted next. */
bool ring_recount(struct ring *ring, struct message *message, size_t bytes_limit);
/* Moves all of `older`, which ends where `ring` begins, to its front; then drops as ring_push(). */
void ring_prepend(struct ring *ring, struct ring *older, size_t bytes_limit);
/* Drops the oldest down to the limit, but for the last one. */
void ring_trim(struct ring *ring, size_t bytes_limit);
/* Drops all; it is then empty, from this offset. */
void ring_clear(struct ring *ring, int64_t from);

/* The index of the first message at or after `offset`, up to ring->count. */
size_t ring_find(const struct ring *ring, int64_t offset);
struct message *ring_at(const struct ring *ring, size_t index);
/* The message of exactly this offset, borrowed; NULL: there is none. */
struct message *ring_get(const struct ring *ring, int64_t offset);

/* The first index from `index` on, below `end`, whose message may name a room of the filter; `end`:
 * none does. Counts what it looks at, a message or a block of them, off `looks`, and stops when
 * there are none left. */
size_t ring_skip(const struct ring *ring, size_t index, size_t end,
                 const struct room_filter *filter, size_t *looks);
/* Backwards: the index behind the last one below `index` whose message may; 0: none does. */
size_t ring_skip_back(const struct ring *ring, size_t index, const struct room_filter *filter);

#endif
