/* Rules in shadow (`shadow` in the rules file): judged on every event that comes, and nothing comes of
 * them. What is told is how they differ from the rule in whose place they are tried:
 *
 *   same      both take the event, and each alone makes the same of it
 *   changed   both take it, and what each alone makes of it is not the same
 *   more      only the one in shadow takes it; so does one that is tried in nobody's place
 *   less      only the other takes it
 *   dead      the one in shadow would make a dead letter of it; the other would not
 *
 * Each is asked where the other is in the file, or where it stands itself: an event that a rule before
 * it stops does not come to it. It ends nothing itself. As in replay.h, outcomes are those of a rule
 * alone and without memory; an event that was seen before, or is a dead letter, is not looked at. Pure. */
#ifndef DISPATCHER_CORE_SHADOW_H
#define DISPATCHER_CORE_SHADOW_H

#include "pipeline.h"

struct shadow;

/* NULL: no rule is in shadow. Settings, layout and rules must outlive it. */
struct shadow *shadow_new(const struct pipeline_settings *settings, const struct rule_set *rules);
void shadow_free(struct shadow *shadow);

/* After pipeline_process() by the same rules, with its decision. Adds findings to the batch, at most one
 * for each rule in shadow. NULL is fine. */
void shadow_judge(struct shadow *shadow, const struct record *record,
                  const struct decision *decision, struct batch *batch);

#endif
