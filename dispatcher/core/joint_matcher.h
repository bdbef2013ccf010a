/* Which rules of two rule sets take an event, in one pass over its text: patterns that both have are
 * judged once. Only where that is sure to be what a pipeline of each says; else nothing is said. */
#ifndef DISPATCHER_CORE_JOINT_MATCHER_H
#define DISPATCHER_CORE_JOINT_MATCHER_H

#include "pipeline.h"

enum { JOINT_SETS = 2 };

struct joint_matcher;

/* The sets must outlive it. */
struct joint_matcher *joint_matcher_new(const struct pipeline_limits *limits,
                                        const struct rule_set *const sets[JOINT_SETS]);
void joint_matcher_free(struct joint_matcher *joint);

/* Indexes of rules, ascending; borrowed until the next event. */
struct taken_rules {
    const uint32_t *rules;
    size_t count;
};

/* False: it is no plain event, or its rules sample, or it is near a limit: each set is to be asked by
 * itself. */
bool joint_matcher_judge(struct joint_matcher *joint, const struct record *record,
                         struct taken_rules taken[JOINT_SETS]);

#endif
