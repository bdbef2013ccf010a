/* What one rule alone makes of an event, as if there were no others and nothing were remembered: to
 * compare rules by what they do. Not a notification: nobody is told. */
#ifndef DISPATCHER_CORE_OUTCOME_H
#define DISPATCHER_CORE_OUTCOME_H

#include "pipeline.h"

struct outcome_maker;

/* Settings, layout and rules must outlive it. */
struct outcome_maker *outcome_maker_new(const struct pipeline_settings *settings,
                                        const struct rule_set *rules);
void outcome_maker_free(struct outcome_maker *maker);

struct outcome {
    /* All that its notifications say and where they go, but for the names of rules and the
     * revision; of a dead letter, its reason. Borrowed until the maker's next. */
    struct bytes text;
    bool dead; /* the event would become a dead letter */
};

/* `rule`: its index; it must match the event. */
struct outcome outcome_make(struct outcome_maker *maker, uint32_t rule,
                            const struct record *record);

/* False: whatever the event, the two make the same of it. */
bool outcome_may_differ(const struct rule *a, const struct rule *b);

#endif
