/* A pipeline of their own judges the rules in shadow, within limits of its own: what they cost cannot
 * make a dead letter of the event. It gets the text that the others were judged on. Only where a rule and
 * its twin both take the event, and say something else in the file, is made what each would do.
 *
 * Invariant: both lists of rules that take an event ascend, as the matcher's do. */
#include "shadow.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"
#include "outcome.h"

/* Shadows of one rule: heads by the rule's index, the others by their own. */
struct shadow {
    const struct rule_set *rules; /* that act */
    const struct rule_set *tried;
    struct pipeline *judge;
    struct outcome_maker *actor; /* what a rule that acts makes of an event */
    struct outcome_maker *maker; /* what one in shadow would */
    struct batch batch;
    uint32_t *first; /* of each rule that acts: the first in its shadow, or RULE_NONE */
    uint32_t *next;  /* of each in shadow: the next of the same rule */
};

static void link_twins(struct shadow *shadow)
{
    unsigned count = rule_set_count(shadow->rules);
    unsigned tried = rule_set_count(shadow->tried);
    shadow->first = mem_resize(NULL, count + 1, sizeof(uint32_t));
    shadow->next = mem_resize(NULL, tried, sizeof(uint32_t));
    for (unsigned i = 0; i < count; i++)
        shadow->first[i] = RULE_NONE;
    for (unsigned i = tried; i-- > 0;) {
        const struct rule *rule = rule_set_at(shadow->tried, i);
        shadow->next[i] = RULE_NONE;
        if (rule->twin == RULE_NONE || !rule->enabled)
            continue;
        assert(rule->twin < count && rule->place == rule->twin);
        shadow->next[i] = shadow->first[rule->twin];
        shadow->first[rule->twin] = i;
    }
}

/* What comes to rules from the log of reviews is an event like others here. */
struct shadow *shadow_new(const struct pipeline_settings *settings, const struct rule_set *rules)
{
    const struct rule_set *tried = rule_set_shadows(rules);
    if (!tried)
        return NULL;
    struct shadow *shadow = mem_new(struct shadow);
    struct pipeline_settings quiet = *settings;
    quiet.audit = AUDIT_OFF;
    quiet.review_log = NULL;
    /* As large as a text may be that was judged: one that was made of a smaller record. */
    quiet.limits.event_bytes = pipeline_matcher_limits(&settings->limits).event_size_max;
    *shadow = (struct shadow){.rules = rules,
                              .tried = tried,
                              .judge = pipeline_new(&quiet),
                              .actor = outcome_maker_new(&quiet, rules),
                              .maker = outcome_maker_new(&quiet, tried)};
    pipeline_use_rules(shadow->judge, tried);
    pipeline_judge_only(shadow->judge);
    link_twins(shadow);
    return shadow;
}

void shadow_free(struct shadow *shadow)
{
    if (!shadow)
        return;
    pipeline_free(shadow->judge);
    outcome_maker_free(shadow->actor);
    outcome_maker_free(shadow->maker);
    batch_deinit(&shadow->batch);
    free(shadow->first);
    free(shadow->next);
    free(shadow);
}

static int compare_indexes(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static bool takes(const struct decision *decision, uint32_t rule)
{
    return decision->rule_count > 0 &&
           bsearch(&rule, decision->rules, decision->rule_count, sizeof(uint32_t), compare_indexes);
}

/* The last rule that is asked: the one that stops the others, if one does. */
static uint32_t last_asked(const struct shadow *shadow, const struct decision *decision)
{
    uint32_t last = decision->rule_count > 0 ? decision->rules[decision->rule_count - 1] : 0;
    bool stops = decision->rule_count > 0 && rule_set_at(shadow->rules, last)->stop;
    return stops ? last : RULE_NONE;
}

static enum shadow_verdict verdict_of(struct shadow *shadow, uint32_t index,
                                      const struct record *event, const struct decision *decision)
{
    const struct rule *rule = rule_set_at(shadow->tried, index);
    bool has_twin = rule->twin != RULE_NONE && takes(decision, rule->twin);
    if (has_twin && !outcome_may_differ(rule, rule_set_at(shadow->rules, rule->twin)))
        return SHADOW_SAME;
    struct outcome would = outcome_make(shadow->maker, index, event);
    if (would.dead)
        return SHADOW_DEAD; /* what the other takes is no dead letter, or we were not here */
    if (!has_twin)
        return SHADOW_MORE;
    struct outcome does = outcome_make(shadow->actor, rule->twin, event);
    return bytes_equal(would.text, does.text) ? SHADOW_SAME : SHADOW_CHANGED;
}

/* The text that the others were judged on, whatever the record's format. */
static struct record event_of(const struct record *record, const struct decision *decision)
{
    return (struct record){.topic = record->topic,
                           .partition = record->partition,
                           .offset = record->offset,
                           .part = record->part,
                           .timestamp_ms = record->timestamp_ms,
                           .value = decision->judged,
                           .has_value = true};
}

void shadow_judge(struct shadow *shadow, const struct record *record,
                  const struct decision *decision, struct batch *batch)
{
    struct decision tried;
    if (!shadow || decision->dead || decision->duplicate || decision->judged.size == 0)
        return;
    const struct record event = event_of(record, decision);
    uint32_t last = last_asked(shadow, decision);
    batch_reset(&shadow->batch);
    pipeline_process(shadow->judge, NULL, &event, &shadow->batch, &tried);
    if (tried.dead) {
        batch->counts.shadow_unjudged++;
        return;
    }
    for (size_t i = 0; i < tried.rule_count; i++)
        if (rule_set_at(shadow->tried, tried.rules[i])->place <= last)
            batch_add_finding(batch, tried.rules[i],
                              verdict_of(shadow, tried.rules[i], &event, decision));
    for (size_t i = 0; i < decision->rule_count; i++)
        for (uint32_t k = shadow->first[decision->rules[i]]; k != RULE_NONE; k = shadow->next[k])
            if (!takes(&tried, k))
                batch_add_finding(batch, k, SHADOW_LESS);
}
