/* The event pattern language once more, as plainly as it can be written: no index, no sharing, no
 * skipping, its own number, address and case rules. Slow, and independent of the code it is to
 * check. Only for valid patterns, whose keys and letters are few and known to it. */
#ifndef TESTS_PATTERN_NAIVE_H
#define TESTS_PATTERN_NAIVE_H

#include "bytes.h"

/* Whether a valid event matches a valid pattern. */
bool naive_match(struct bytes pattern, struct bytes event);

#endif
