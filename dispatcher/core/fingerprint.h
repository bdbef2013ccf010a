/* 128 bits by which an event, a task or a review is known again, in memory and in the changelog.
 *
 * The first half of SHA-256 over all parts, each with its size before it: whoever chooses the parts
 * can neither make two fingerprints meet nor make parts run into one another. The same in every
 * process and version, so that what one dispatcher remembered another knows. */
#ifndef DISPATCHER_CORE_FINGERPRINT_H
#define DISPATCHER_CORE_FINGERPRINT_H

#include "bytes.h"

struct fingerprint {
    uint64_t high;
    uint64_t low;
};

/* Makes fingerprints; keeps what OpenSSL would look up anew for each. */
struct fingerprinter;
struct fingerprinter *fingerprinter_new(void);
void fingerprinter_free(struct fingerprinter *fingerprinter);

struct fingerprint fingerprint_of(struct fingerprinter *fingerprinter, const struct bytes *parts,
                                  size_t count);

/* One that was met, and when: by the time of records, in milliseconds since 1970. */
struct timed_fingerprint {
    struct fingerprint id;
    int64_t time_ms;
};

/* For hash tables. Those who choose what is fingerprinted do not know the seed. */
unsigned fingerprint_hash(struct fingerprint fingerprint, uint64_t seed);

static inline bool fingerprint_equal(struct fingerprint a, struct fingerprint b)
{
    return a.high == b.high && a.low == b.low;
}

#endif
