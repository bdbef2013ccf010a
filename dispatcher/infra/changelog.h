/* Reading one partition of the state topic from its beginning to its end: at least to where the
 * broker said, asked first, that it ends. So every transaction that was open then has ended.
 * Writing is the transaction's business (producer.h). Blocks. */
#ifndef DISPATCHER_INFRA_CHANGELOG_H
#define DISPATCHER_INFRA_CHANGELOG_H

#include <signal.h>

#include "bytes.h"
#include "kafka_settings.h"
#include "status.h"

struct changelog;

enum status changelog_open(const struct kafka_settings *kafka, const char *topic,
                           struct changelog **changelog, struct error *error) MUST_CHECK;
void changelog_close(struct changelog *changelog);

typedef void changelog_record_fn(void *context, struct bytes key, struct bytes value,
                                 bool has_value);

/* STATUS_UNAVAILABLE: not within the time, or told to stop; what was given so far is worth nothing.
 */
enum status changelog_read(struct changelog *changelog, int32_t partition, int timeout_ms,
                           const volatile sig_atomic_t *stop, changelog_record_fn *take,
                           void *context) MUST_CHECK;

#endif
