/* The honest clients beside a hostile one, one of each transport, at gateway 0: each is in the room
 * HOSTILE_WITNESS_ROOM, answers pings, and must get every notification of the room once, in order
 * and at once, and never lose its connection. */
#ifndef TESTS_FUZZ_HOSTILE_WITNESS_H
#define TESTS_FUZZ_HOSTILE_WITNESS_H

#include <stdbool.h>

/* Connects them; they hold a place in the world until hostile_witnesses_leave(). */
void hostile_witnesses_enter(void);
/* Reads what came; true: one of them answered something, so the world is to run again. */
bool hostile_witnesses_read(void);
/* Asserts that they have got everything. */
void hostile_witnesses_check(void);
void hostile_witnesses_leave(void);

#endif
