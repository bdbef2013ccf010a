/* The dispatcher at work: reads a batch, has the pipeline judge it, sends what comes of it, again
 * and again. Owns the Kafka clients. Not the rules themselves.
 *
 * A batch that is not committed is given back: its partitions are read again from their committed
 * offsets. A batch that a record may have spoiled is halved, down to the one record, which then
 * goes to the dead-letter topic.
 *
 *     start: broker -> producer -> topics -> group   each tried until it works or `stop` is set
 *     loop:  collect -> judge -> topics -> send -> count
 */
#ifndef DISPATCHER_INFRA_RUNNER_H
#define DISPATCHER_INFRA_RUNNER_H

#include <signal.h>

#include "dispatcher_health.h"
#include "dispatcher_metrics.h"
#include "rules_file.h"
#include "settings.h"

struct runner_options {
    const struct settings *settings;
    const struct layout *layout;
    const struct kafka_settings *kafka;
    int64_t state_retention_ms; /* 0: no state topics */
    struct rules_file *rules;
    struct dispatcher_metrics *metrics;
    struct dispatcher_health *health;
    const volatile sig_atomic_t *stop; /* set by a signal: finish the batch and return */
    volatile sig_atomic_t *reload;     /* set by a signal: read the rules again; cleared */
};

/* Returns when told to stop: STATUS_OK; or STATUS_FATAL: `error` says why it cannot go on. */
enum status runner_run(const struct runner_options *options, struct error *error) MUST_CHECK;

#endif
