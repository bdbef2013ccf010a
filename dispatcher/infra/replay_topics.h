/* What the input topics hold, judged by two rule sets (core/replay.h). Reads without joining a group
 * and commits nothing: dispatchers that run are not disturbed. */
#ifndef DISPATCHER_INFRA_REPLAY_TOPICS_H
#define DISPATCHER_INFRA_REPLAY_TOPICS_H

#include <signal.h>
#include <stdio.h>

#include "pipeline.h"
#include "settings.h"

struct replay_options {
    const struct settings *settings;
    const struct layout *layout;
    const struct kafka_settings *kafka;
    const struct rule_set *before;
    const struct rule_set *after;
    int64_t from_ms; /* by the records' times; INT64_MIN: from the beginning */
    int64_t to_ms;   /* up to the first record that is not before it, or the end of now */
    const volatile sig_atomic_t *stop;
};

/* Writes to `out` a line of JSON for each partition, with the offsets that were read, and then the
 * report. The same topics, offsets and rules give the same bytes. STATUS_UNAVAILABLE, and nothing is
 * written: not all of it can be read. */
enum status replay_topics(const struct replay_options *options, FILE *out,
                          struct error *error) MUST_CHECK;

#endif
