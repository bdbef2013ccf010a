/* Ending a handle of librdkafka without waiting for it. rd_kafka_destroy() waits for the handle's
 * threads, and with a connection on which nobody answers they were seen to take ten seconds. */
#ifndef COMMON_EDGE_KAFKA_END_H
#define COMMON_EDGE_KAFKA_END_H

#include <librdkafka/rdkafka.h>

enum { KAFKA_ENDS_MOST = 4 };

/* Handles whose end is under way. A caller that replaces handles again and again
 * stops at KAFKA_ENDS_MOST. Any thread. */
unsigned kafka_ends_pending(void);

/* rd_kafka_destroy_flags() on a thread of its own, which the end of the process does not wait for.
 * The caller has let go of the handle's queues, and no callback of it may need what the caller
 * frees. */
void kafka_end_later(rd_kafka_t *client, int flags);

#endif
