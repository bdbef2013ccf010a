/* Loading what the rooms of a lane show from the lane's state topic (layout.h), so that from some
 * place on it is exactly the fold of the lane: when which log is read, from where, and how far. Not
 * what is folded, nor who reads.
 *
 * The state topic holds the lane's records about items once more, of the same transactions. But the
 * two logs become visible at different times, and the state topic is compacted at any. So it is read
 * once, and then the lane is followed:
 *
 *      begin      the lane has been read up to L0; keep what follows
 *        v
 *      ASKS_KEPT  where does the state topic end? W
 *        v
 *      READS_KEPT fold it from its first record until the position is at W or beyond
 *        v
 *      ASKS_LANE  where does the lane end? M
 *        v
 *      FOLLOWS    fold the lane from L0
 *        v        its position is at M or beyond
 *      EXACT      the fold is that of the lane at its position, here and at every later place
 *
 * What is visible of the lane below L0 has its record in the state topic below W, since the
 * transaction had written both. What was read of the state topic has its record in the lane below M,
 * likewise. What lies between L0 and M may be folded a second time, in order, and the last one wins.
 *
 * The invariant: W was asked for after L0 was known, and M after W was reached; an answer to an
 * earlier question is refused by its number. Both are high watermarks: the last stable offset of a
 * log may be below a record whose other half is visible already, for as long as the broker takes. */
#ifndef GATEWAY_DOMAIN_STATE_LOAD_H
#define GATEWAY_DOMAIN_STATE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

enum state_load_phase {
    STATE_LOAD_NONE,
    STATE_LOAD_ASKS_KEPT,
    STATE_LOAD_READS_KEPT,
    STATE_LOAD_ASKS_LANE,
    STATE_LOAD_FOLLOWS,
    STATE_LOAD_EXACT,
};

/* Zeroed: none. Read by anyone, written by state_load.c. */
struct state_load {
    enum state_load_phase phase;
    unsigned question;     /* the number of the last one; goes with its answer */
    int64_t kept_position; /* what is read of the state topic next */
    int64_t kept_end;      /* W */
    int64_t lane_position; /* what is folded of the lane next: L0 until it is followed */
    int64_t lane_end;      /* M */
};

/* From the beginning, whatever was under way: what was folded is to be forgotten. `lane_position` is
 * what is read of the lane next: all below it is visible. Ask for the state topic's ends then. */
void state_load_begin(struct state_load *load, int64_t lane_position);

/* It is over, and there is none. */
void state_load_stop(struct state_load *load);

/* The state topic's first offset and its high watermark: STATE_LOAD_READS_KEPT, or at once
 * STATE_LOAD_ASKS_LANE if it holds nothing. False: to another question, nothing has changed. */
bool state_load_kept_ends(struct state_load *load, unsigned question, int64_t first, int64_t end);

/* The state topic has been read, and folded, up to this position; one that is not beyond the last
 * changes nothing. In STATE_LOAD_READS_KEPT. At W: STATE_LOAD_ASKS_LANE. */
void state_load_kept_read(struct state_load *load, int64_t position);

/* The lane's high watermark: STATE_LOAD_FOLLOWS, or at once STATE_LOAD_EXACT. False: as above. */
bool state_load_lane_end(struct state_load *load, unsigned question, int64_t end);

/* The lane has been folded up to this position, all of it from `lane_position`. In
 * STATE_LOAD_FOLLOWS or STATE_LOAD_EXACT. */
void state_load_lane_read(struct state_load *load, int64_t position);

#endif
