/* The last messages that were decoded for sessions that catch up: the next session may want them as
 * well. A decoded form takes some hundred bytes beside the record and 16 for each room and rule that
 * it names, so only so many are kept. */
#ifndef GATEWAY_DOMAIN_DECODED_H
#define GATEWAY_DOMAIN_DECODED_H

#include "message.h"

enum { DECODED_MOST = 256, DECODED_BYTES = 1 << 18 };

/* Zeroed: none. Read by anyone, written by decoded.c. */
struct decoded_messages {
    struct message *items[DECODED_MOST]; /* circular; a reference each */
    size_t start, count;
    size_t bytes; /* of their records: more than DECODED_BYTES only if there is but one */
};

/* Keeps the message if it is decoded; the oldest give their decoded form back, and can be decoded
 * again. */
void decoded_keep(struct decoded_messages *decoded, struct message *message);
void decoded_clear(struct decoded_messages *decoded);

#endif
