/* Points in time as RFC 3339 text and as milliseconds since 1970 (UTC). Not a clock. */
#ifndef COMMON_INSTANT_H
#define COMMON_INSTANT_H

#include "bytes.h"
#include "status.h"

enum { INSTANT_TEXT_SIZE = 25 }; /* 2026-03-02T08:01:56.419Z and a NUL */

/* Reads a date-time of RFC 3339, 5.6. Finer than a millisecond is cut off; a leap second is the
 * second after it. */
bool instant_parse(struct bytes text, int64_t *instant_ms) MUST_CHECK;

/* Reads what is plainly a time though it is not RFC 3339: a date-time without an offset (then it is
 * UTC) or with one without a colon, a space for the T; or digits, perhaps with a fraction, which
 * are seconds since 1970 if they are 10^8 to 10^11, and milliseconds from there to 10^14 (1973 to
 * 5138).
 */
bool instant_guess(struct bytes text, int64_t *instant_ms) MUST_CHECK;

/* Writes 2026-03-02T08:01:56.419Z. False (and nothing written): before 1970 or after 9999. */
bool instant_format(int64_t instant_ms, char text[INSTANT_TEXT_SIZE]) MUST_CHECK;

#endif
