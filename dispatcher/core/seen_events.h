/* The events that one input partition has had, each known by its fingerprint, so that one that
 * comes twice is processed once. Not their content, and not the form in which they are kept
 * (partition_state.h).
 *
 * Events are remembered in chunks: those of one commit are one chunk, written as one record of the
 * changelog and forgotten as one. So what a batch costs is its own events, however many are
 * remembered. */
#ifndef DISPATCHER_CORE_SEEN_EVENTS_H
#define DISPATCHER_CORE_SEEN_EVENTS_H

#include "fingerprint.h"

struct seen_events;

/* `window_ms`: for how long an event is known, by the time of records; 0: never. `most`: with more
 * events than that the oldest chunks go. */
struct seen_events *seen_events_new(int64_t window_ms, size_t most, uint64_t hash_seed);
void seen_events_free(struct seen_events *events);

/* Whether the event was noted less than the window before, or after, `time_ms`. */
bool seen_events_have(const struct seen_events *events, struct fingerprint event, int64_t time_ms);
void seen_events_note(struct seen_events *events, struct fingerprint event, int64_t time_ms);

/* Calls `emit` with what was noted since the last commit, as one chunk, and with a count of 0 for
 * each chunk that goes with this commit. */
typedef void seen_events_emit_fn(void *context, uint64_t chunk,
                                 const struct timed_fingerprint *events, size_t count);
void seen_events_flush(struct seen_events *events, seen_events_emit_fn *emit, void *context);

/* The flushed records are written; or they are not, and all is as at the last commit. */
void seen_events_commit(struct seen_events *events);
void seen_events_rollback(struct seen_events *events);

/* A chunk as it was emitted, in place of an earlier one with this number. Not between a change and
 * its commit. */
void seen_events_restore(struct seen_events *events, uint64_t chunk,
                         const struct timed_fingerprint *items, size_t count);

bool seen_events_are_changed(const struct seen_events *events);
size_t seen_events_count(const struct seen_events *events);

/* How many entries the longest look-up passes: what the seed keeps short. */
size_t seen_events_longest_chain(const struct seen_events *events);

#endif
