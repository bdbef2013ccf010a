/* One matcher of the distinct patterns of both sets. Besides, it names the members that say who an event
 * is, so that one that stands twice is seen, as a pipeline sees it.
 *
 *     set 0: a b c     set 1: a d c     distinct: a b c d
 *     rules of b: set 0 has 1           rules of d: set 1 has 1
 *
 * Invariant: what is answered is what pipeline.c decides of the event. What that could refuse an
 * event for is looked for here and left to it: the checks below follow process_record() there. */
#include "joint_matcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "lookup.h"
#include "mem.h"

/* Named though no rule names them; it holds for no event of which one would be taken by rules. */
static const char identities[] =
    "{\"id\":[\"\"],\"source\":[\"\"],\"tenantId\":[\"\"],\"projectId\":[\"\"],\"userId\":[\"\"],"
    "\"taskId\":[\"\"]}";

/* The rules of one set, by the number of their pattern: those of number n are rules[first[n]] to
 * rules[first[n + 1] - 1]. */
struct joint_side {
    const struct rule_set *set;
    uint32_t *first;
    uint32_t *rules;
    uint32_t *taken;
};

struct joint_matcher {
    struct pipeline_limits limits;
    struct matcher *matcher;
    struct matcher_scratch *scratch;
    struct joint_side sides[JOINT_SETS];
    struct buffer text; /* of an event that was not plain JSON */
};

/* --- Making ------------------------------------------------------------------------------------ */

/* Patterns that were added, to find one again. */
struct patterns {
    struct lookup found;
    struct matcher_builder *builder;
    struct known_pattern {
        struct bytes text;
        uint32_t number;
    } * known;
    uint32_t count;
};

static uint32_t add_pattern_once(struct patterns *patterns, struct bytes text)
{
    uint64_t hash = lookup_hash(&patterns->found, 0, text);
    const struct known_pattern *known;
    for (uint32_t at = 0; (known = lookup_next(&patterns->found, hash, &at));)
        if (bytes_equal(known->text, text))
            return known->number;
    unsigned number = 0;
    enum status status = matcher_builder_add(patterns->builder, text, &number, NULL);
    assert(status == STATUS_OK && number == patterns->count); /* its set has it */
    (void)status;
    struct known_pattern *added = &patterns->known[patterns->count++];
    *added = (struct known_pattern){.text = text, .number = number};
    lookup_add(&patterns->found, hash, added);
    return number;
}

/* Two passes: how many of each number, then which. */
static void sort_rules(struct joint_side *side, const uint32_t *numbers, uint32_t patterns)
{
    unsigned count = rule_set_count(side->set);
    side->first = mem_alloc((patterns + 2) * sizeof(uint32_t));
    side->rules = mem_alloc((count + 1) * sizeof(uint32_t));
    side->taken = mem_alloc((count + 1) * sizeof(uint32_t));
    for (unsigned i = 0; i < count; i++)
        if (numbers[i] != RULE_NONE)
            side->first[numbers[i] + 2]++;
    for (uint32_t n = 0; n < patterns; n++)
        side->first[n + 2] += side->first[n + 1];
    for (unsigned i = 0; i < count; i++)
        if (numbers[i] != RULE_NONE)
            side->rules[side->first[numbers[i] + 1]++] = i;
    assert(side->first[0] == 0 && side->first[patterns] <= count);
}

struct joint_matcher *joint_matcher_new(const struct pipeline_limits *limits,
                                        const struct rule_set *const sets[JOINT_SETS])
{
    struct joint_matcher *joint = mem_new(struct joint_matcher);
    struct patterns patterns = {.builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT)};
    uint32_t *numbers[JOINT_SETS];
    size_t most = 1;
    for (int k = 0; k < JOINT_SETS; k++)
        most += rule_set_count(sets[k]);
    patterns.known = mem_alloc(most * sizeof(*patterns.known));
    for (int k = 0; k < JOINT_SETS; k++) {
        unsigned count = rule_set_count(sets[k]);
        numbers[k] = mem_alloc((count + 1) * sizeof(uint32_t));
        for (unsigned i = 0; i < count; i++) {
            struct bytes text = rule_set_at(sets[k], i)->pattern;
            numbers[k][i] = text.size > 0 ? add_pattern_once(&patterns, text) : RULE_NONE;
        }
    }
    (void)add_pattern_once(&patterns, bytes_of_string(identities));
    joint->matcher = matcher_build(patterns.builder);
    for (int k = 0; k < JOINT_SETS; k++) {
        joint->sides[k].set = sets[k];
        sort_rules(&joint->sides[k], numbers[k], patterns.count);
        free(numbers[k]);
    }
    lookup_deinit(&patterns.found);
    free(patterns.known);
    joint->limits = *limits;
    struct matcher_limits of_matcher = pipeline_matcher_limits(limits);
    of_matcher.steps_max /= 2; /* near the limit, what each needs by itself decides */
    joint->scratch = matcher_scratch_new(&of_matcher);
    return joint;
}

void joint_matcher_free(struct joint_matcher *joint)
{
    if (!joint)
        return;
    matcher_free(joint->matcher);
    matcher_scratch_free(joint->scratch);
    buffer_deinit(&joint->text);
    for (int k = 0; k < JOINT_SETS; k++) {
        free(joint->sides[k].first);
        free(joint->sides[k].rules);
        free(joint->sides[k].taken);
    }
    free(joint);
}

/* --- Judging ----------------------------------------------------------------------------------- */

/* What a record may be refused for before it is read. */
static bool may_be_read(const struct joint_matcher *joint, const struct record *record)
{
    struct bytes hops;
    return record->has_value && !record->fault && record->value.size <= joint->limits.event_bytes &&
           !record_find_header(record, NOTIFICATION_HEADER_HOPS, &hops);
}

/* What an event may be refused for though its text is good: names that no client takes are spelled
 * with a backslash, and an id may be too long. */
static bool names_are_plain(struct bytes json)
{
    struct bytes id;
    if (memchr(json.data, '\\', json.size))
        return false;
    if (json.size <= EVENT_ID_LIMIT)
        return true;
    enum status status = json_find(json, BYTES_LITERAL("id"), &id);
    return status == STATUS_NOT_FOUND || (status == STATUS_OK && id.size <= EVENT_ID_LIMIT);
}

static int compare_taken(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* In the order of the file, up to one that stops. False: one of them samples. */
static bool select_taken(struct joint_side *side, const struct matcher_result *result,
                         struct taken_rules *taken)
{
    size_t count = 0;
    bool ascends = true;
    for (size_t i = 0; i < result->count; i++)
        for (uint32_t k = side->first[result->rules[i]]; k < side->first[result->rules[i] + 1];
             k++) {
            ascends &= count == 0 || side->taken[count - 1] < side->rules[k];
            side->taken[count++] = side->rules[k];
        }
    if (!ascends)
        qsort(side->taken, count, sizeof(uint32_t), compare_taken);
    *taken = (struct taken_rules){.rules = side->taken};
    while (taken->count < count) {
        const struct rule *rule = rule_set_at(side->set, side->taken[taken->count++]);
        if (rule->sampled)
            return false;
        if (rule->stop)
            break;
    }
    return true;
}

bool joint_matcher_judge(struct joint_matcher *joint, const struct record *record,
                         struct taken_rules taken[JOINT_SETS])
{
    struct bytes json;
    enum event_format format;
    struct matcher_result result;
    struct error error = {0};
    if (!may_be_read(joint, record) ||
        event_canonical(record, &joint->text, &json, &format, &error) != STATUS_OK ||
        !names_are_plain(json) ||
        matcher_match(joint->matcher, joint->scratch, json, &result, NULL) != STATUS_OK ||
        result.repeats_keys)
        return false;
    for (int k = 0; k < JOINT_SETS; k++)
        if (!select_taken(&joint->sides[k], &result, &taken[k]))
            return false;
    return true;
}
