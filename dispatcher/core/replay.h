/* Other rules, tried on events that were: for each rule, on how many of them it does more, less or
 * something else than before. Nothing is produced, and nothing is remembered: an event that comes
 * twice is judged twice, and a review that is open is asked for again.
 *
 *   more      it takes the event under the new rules alone
 *   less      under the old rules alone
 *   changed   under both, but what it alone makes of the event is not the same
 *
 * Rules are the same if they have one name. Which rule takes an event depends on all rules before
 * it (`stop`) and on its sample; what it makes of one is looked at as if it were alone, so a rule is
 * not changed by another that adds rooms to the same notification. Pure: the report depends on the
 * events and the rules alone, in whatever order the events of several partitions come. */
#ifndef DISPATCHER_CORE_REPLAY_H
#define DISPATCHER_CORE_REPLAY_H

#include "event_batch.h"
#include "pipeline.h"

enum { REPLAY_SAMPLES_MOST = 5 }; /* events of each rule and verdict: those with the least places */

struct replay;

/* Settings, layout and rules must outlive it. */
struct replay *replay_new(const struct pipeline_settings *settings, const struct rule_set *before,
                          const struct rule_set *after);
void replay_free(struct replay *replay);

/* Judges the events of a record, which is not kept. */
void replay_record(struct replay *replay, const struct record *record);

uint64_t replay_event_count(const struct replay *replay);

/* Appends a line of JSON for the whole, and one for each rule: those of the new file in its order,
 * then those that are gone. */
void replay_report(const struct replay *replay, struct buffer *out);

#endif
