/* What follows from the rules of a layout: partition counts, the topics there can be, what may not
 * coincide, and the revision.
 *
 * The invariant that it defends: a topic has one way to make keys. Two kinds may share a topic, and
 * by that an order, only if their keys are made alike; otherwise a gateway that reads the topic
 * could not tell from a key whose record it is. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "buffer.h"
#include "layout_private.h"
#include "mem.h"

/* How record keys are made from what is configured; part of the revision. 2: with the tenant. */
enum { KEY_FORMAT = 2 };

/* A topic that a rule can come to. */
struct candidate {
    const char *name; /* in layout->names; `*` for any value */
    bool pattern;
    const struct layout_rule *rule;
};

struct candidates {
    struct candidate *items;
    size_t count;
    size_t capacity;
};

/* One kind's statement is good for all kinds in the same topic. */
static int32_t stated_count(const struct layout *layout, const char *topic)
{
    for (const struct layout_rule *rule = layout->kinds; rule; rule = rule->hh.next) {
        if (rule->partition_count && strcmp(rule->topic.text, topic) == 0)
            return rule->partition_count;
    }
    return 0;
}

static void decide_partition_counts(struct layout *layout)
{
    struct layout_rule *rule;
    for (rule = layout->kinds; rule; rule = rule->hh.next) {
        if (!rule->partition_count)
            rule->partition_count = stated_count(layout, rule->topic.text);
        if (!rule->partition_count)
            rule->partition_count =
                /* A topic for each key is a small one, and its records are wanted in one order. */
                rule->topic.uses & LAYOUT_USES(LAYOUT_PLACE_KEY) ? 1 : LAYOUT_PARTITIONS_DEFAULT;
    }
    for (rule = layout->large_tenants; rule; rule = rule->hh.next) {
        if (!rule->partition_count)
            rule->partition_count = LAYOUT_PARTITIONS_DEFAULT;
    }
}

/* The list of values for a placeholder of a rule's topic; NULL: there is none. */
static const struct layout_allow *
values_for(const struct layout *layout, const struct layout_rule *rule, enum layout_place place)
{
    const char *name = place == LAYOUT_PLACE_KEY ? rule->name : layout_place_text(place);
    const struct layout_allow *allow = NULL;
    HASH_FIND_STR(layout->allow, name, allow);
    return allow;
}

/* One way to fill the placeholders, as far as fill_place() has come. */
struct filling {
    struct layout *layout;
    const struct layout_rule *rule;
    struct candidates *candidates;
    struct problems *problems;
    struct layout_values values;
    bool pattern;
};

static void add_candidate(struct filling *filling)
{
    uint8_t name[LAYOUT_TOPIC_LIMIT];
    size_t size;
    const struct layout_rule *rule = filling->rule;
    struct candidates *all = filling->candidates;
    if (!layout_template_expand(&rule->topic, &filling->values, name, sizeof(name), &size)) {
        problems_add(filling->problems, rule->line, rule->column,
                     "%s: a topic name of more than %d characters", rule->name, LAYOUT_TOPIC_LIMIT);
        return;
    }
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 64;
        all->items = mem_resize(all->items, all->capacity, sizeof(*all->items));
    }
    struct bytes copy = arena_copy(&filling->layout->names, bytes_of(name, size));
    all->items[all->count++] =
        (struct candidate){(const char *)copy.data, filling->pattern, filling->rule};
}

/* Fills the placeholders one after another, in all ways, up to the limit. Recursion is as deep as
 * there are placeholders: three. */
static void fill_place(struct filling *filling, enum layout_place place)
{
    if (filling->candidates->count > LAYOUT_TOPICS_LIMIT)
        return;
    if (place == LAYOUT_PLACE_COUNT) {
        add_candidate(filling);
        return;
    }
    if (!(filling->rule->topic.uses & LAYOUT_USES(place))) {
        fill_place(filling, place + 1);
        return;
    }
    const struct layout_allow *allow = values_for(filling->layout, filling->rule, place);
    if (!allow) {
        /* A kind whose list of values is missing could have no rooms. The preset has such a kind,
         * for those who want it. */
        if (filling->rule->configured)
            problems_add(filling->problems, filling->rule->line, filling->rule->column,
                         "%s: the topic holds {%s}, but `allow.%s` names no values",
                         filling->rule->name, layout_place_text(place),
                         place == LAYOUT_PLACE_KEY ? filling->rule->name
                                                   : layout_place_text(place));
        return;
    }
    const struct layout_allowed *value;
    for (value = allow->exact; value; value = value->hh.next) {
        filling->values.of[place] = bytes_of_string(value->value);
        fill_place(filling, place + 1);
    }
    bool outer = filling->pattern;
    for (value = allow->prefixes; value; value = value->hh.next) {
        char text[80];
        /* The star stays in the name: nobody but topic_matches() and can_coincide() reads it. */
        snprintf(text, sizeof(text), "%s*", value->value);
        filling->values.of[place] = bytes_of_string(text);
        filling->pattern = true;
        fill_place(filling, place + 1);
        filling->pattern = outer;
    }
}

/* Bounded while they are made, and not after: three placeholders with ten thousand values each
 * would be 10^12. */
static void collect_candidates(struct layout *layout, const struct layout_rule *rules,
                               struct candidates *candidates, struct problems *problems)
{
    for (const struct layout_rule *rule = rules; rule; rule = rule->hh.next) {
        struct filling filling = {
            .layout = layout, .rule = rule, .candidates = candidates, .problems = problems};
        fill_place(&filling, LAYOUT_PLACE_KEY);
    }
    if (candidates->count > LAYOUT_TOPICS_LIMIT) {
        candidates->count = 0;
        problems_add(problems, 0, 0, "the layout comes to more than %d topics",
                     LAYOUT_TOPICS_LIMIT);
    }
}

/* Whether some name fits both, at least one of which is a pattern. On the safe side: it looks only
 * at what stands before the first and after the last `*`. */
static bool can_coincide(const char *a, const char *b)
{
    size_t before_a = strcspn(a, "*"), before_b = strcspn(b, "*");
    size_t before = before_a < before_b ? before_a : before_b;
    if (strncmp(a, b, before) != 0)
        return false;
    size_t size_a = strlen(a), size_b = strlen(b);
    if ((!strchr(a, '*') && size_a < before_b) || (!strchr(b, '*') && size_b < before_a))
        return false;
    while (size_a && size_b && a[size_a - 1] != '*' && b[size_b - 1] != '*') {
        if (a[--size_a] != b[--size_b])
            return false;
    }
    return true;
}

static bool is_large_tenant(const struct layout *layout, const struct layout_rule *rule)
{
    const struct layout_rule *found = NULL;
    HASH_FIND_STR(layout->large_tenants, rule->name, found);
    return found == rule;
}

/* The place that is told is the later one in the file: the earlier rule was there first. */
static void check_pair(const struct layout *layout, const struct candidate *a,
                       const struct candidate *b, struct problems *problems)
{
    const struct layout_rule *at = b->rule->line > a->rule->line ? b->rule : a->rule;
    if (is_large_tenant(layout, a->rule) || is_large_tenant(layout, b->rule))
        problems_add(problems, at->line, at->column,
                     "%s and %s share the topic %s: a large tenant has a topic of its own",
                     a->rule->name, b->rule->name, b->name);
    else if (strcmp(a->rule->key.text, b->rule->key.text) != 0)
        problems_add(problems, at->line, at->column,
                     "%s and %s share the topic %s but have different keys, %s and %s",
                     a->rule->name, b->rule->name, b->name, a->rule->key.text, b->rule->key.text);
    else if (a->rule->shared != b->rule->shared)
        problems_add(problems, at->line, at->column,
                     "%s and %s share the topic %s but only %s is shared by tenants", a->rule->name,
                     b->rule->name, b->name, a->rule->shared ? a->rule->name : b->rule->name);
    else if (a->rule->partition_count != b->rule->partition_count)
        problems_add(problems, at->line, at->column,
                     "%s and %s share the topic %s but have different partition counts, %d and %d",
                     a->rule->name, b->rule->name, b->name, a->rule->partition_count,
                     b->rule->partition_count);
}

/* Candidates are sorted: equal names side by side. */
static void check_coincidence(const struct layout *layout, const struct candidates *candidates,
                              struct problems *problems)
{
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *a = &candidates->items[i];
        const struct candidate *next = i + 1 < candidates->count ? a + 1 : NULL;
        if (next && strcmp(a->name, next->name) == 0 && a->rule != next->rule)
            check_pair(layout, a, next, problems);
        for (size_t j = 0; a->pattern && j < candidates->count; j++) {
            const struct candidate *b = &candidates->items[j];
            /* Two patterns meet once, equal names have met above. */
            if (a->rule == b->rule || (b->pattern && j < i) || strcmp(a->name, b->name) == 0)
                continue;
            if (can_coincide(a->name, b->name))
                check_pair(layout, a, b, problems);
        }
    }
}

static void tell_state_topic(const struct candidate *lane, const struct candidate *of,
                             const char *topic, struct problems *problems)
{
    problems_add(problems, lane->rule->line, lane->rule->column,
                 "%s: in the topic %s the state of %s is kept", lane->rule->name, topic, of->name);
}

/* Whose state is kept in the topic `name`, which ends like one. */
static void check_literal(const struct candidates *candidates, const struct candidate *lane,
                          struct problems *problems)
{
    char before[LAYOUT_TOPIC_LIMIT + 1];
    snprintf(before, sizeof(before), "%.*s",
             (int)(strlen(lane->name) - strlen(LAYOUT_STATE_SUFFIX)), lane->name);
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *of = &candidates->items[i];
        bool meet = of->pattern ? can_coincide(before, of->name) : strcmp(before, of->name) == 0;
        if (lane->rule == of->rule || !meet)
            continue;
        tell_state_topic(lane, of, lane->name, problems);
        return;
    }
}

/* Whether a pattern fits the topic of a state. */
static void check_pattern(const struct candidates *candidates, const struct candidate *lane,
                          struct problems *problems)
{
    char state[LAYOUT_TOPIC_LIMIT + sizeof(LAYOUT_STATE_SUFFIX)];
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *of = &candidates->items[i];
        if (lane->rule == of->rule)
            continue;
        snprintf(state, sizeof(state), "%s" LAYOUT_STATE_SUFFIX, of->name);
        if (!can_coincide(lane->name, state))
            continue;
        tell_state_topic(lane, of, state, problems);
        return;
    }
}

/* Records of a lane and of a state in one topic could not be told apart. On the safe side, as
 * can_coincide() is. */
static void check_states(const struct candidates *candidates, struct problems *problems)
{
    const size_t suffix = strlen(LAYOUT_STATE_SUFFIX);
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *lane = &candidates->items[i];
        size_t size = strlen(lane->name);
        if (lane->pattern)
            check_pattern(candidates, lane, problems);
        else if (size > suffix && strcmp(lane->name + size - suffix, LAYOUT_STATE_SUFFIX) == 0)
            check_literal(candidates, lane, problems);
    }
}

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static void number_kinds(struct layout *layout)
{
    unsigned number = 0;
    for (struct layout_rule *rule = layout->kinds; rule; rule = rule->hh.next)
        rule->number = number++;
    assert(number <= LAYOUT_KINDS_LIMIT);
}

/* A bit for each kind whose rooms the rule decides about: its own, or those of a tenant that
 * give way. */
static uint64_t kinds_of(const struct layout *layout, const struct layout_rule *rule)
{
    uint64_t kinds = 0;
    if (!is_large_tenant(layout, rule))
        return UINT64_C(1) << rule->number;
    for (const struct layout_rule *kind = layout->kinds; kind; kind = kind->hh.next)
        if (layout_rule_gives_way(kind))
            kinds |= UINT64_C(1) << kind->number;
    return kinds;
}

/* One of each name: where several rules come to one, check_pair() has seen that they agree. */
static void fill_topics(struct layout *layout, const struct candidates *candidates)
{
    layout->topics = mem_resize(NULL, candidates->count, sizeof(*layout->topics));
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *item = &candidates->items[i];
        if (i && strcmp(item->name, item[-1].name) == 0) {
            layout->topics[layout->topic_count - 1].kinds |= kinds_of(layout, item->rule);
            continue;
        }
        layout->topics[layout->topic_count++] =
            (struct layout_topic){.name = item->name,
                                  .partition_count = item->rule->partition_count,
                                  .pattern = item->pattern,
                                  .scope = layout_rule_scope(item->rule),
                                  .kinds = kinds_of(layout, item->rule)};
    }
}

/* By name: the order in which a file has them means nothing, and two files that say the same must
 * come to the same revision. */
static int compare_rules(const void *left, const void *right)
{
    const struct layout_rule *a = *(const struct layout_rule *const *)left;
    const struct layout_rule *b = *(const struct layout_rule *const *)right;
    return strcmp(a->name, b->name);
}

/* Appends the rules by name, each text with its NUL, so that no two sets look alike. */
static void append_canonical(const struct layout_rule *rules, struct buffer *out)
{
    size_t count = HASH_COUNT(rules);
    const struct layout_rule **sorted = mem_resize(NULL, count, sizeof(*sorted));
    size_t at = 0;
    for (const struct layout_rule *rule = rules; rule; rule = rule->hh.next)
        sorted[at++] = rule;
    if (count)
        qsort(sorted, count, sizeof(*sorted), compare_rules);
    buffer_append_format(out, "%zu", count);
    for (size_t i = 0; i < count; i++) {
        const char *texts[] = {sorted[i]->name, sorted[i]->topic.text, sorted[i]->key.text};
        for (int j = 0; j < 3; j++)
            buffer_append(out, bytes_of(texts[j], strlen(texts[j]) + 1));
        buffer_append_format(out, "%d%s", sorted[i]->partition_count,
                             sorted[i]->shared ? " shared" : "");
        buffer_append_byte(out, '\0');
    }
    free(sorted);
}

void layout_settle(struct layout *layout, struct problems *problems)
{
    decide_partition_counts(layout);
    number_kinds(layout);
    struct candidates candidates = {0};
    collect_candidates(layout, layout->kinds, &candidates, problems);
    collect_candidates(layout, layout->large_tenants, &candidates, problems);
    if (candidates.count)
        qsort(candidates.items, candidates.count, sizeof(*candidates.items), compare_candidates);
    check_coincidence(layout, &candidates, problems);
    check_states(&candidates, problems);
    fill_topics(layout, &candidates);
    free(candidates.items);
    auto_buffer struct buffer canonical = {0};
    buffer_append_format(&canonical, "%d:", KEY_FORMAT);
    append_canonical(layout->kinds, &canonical);
    append_canonical(layout->large_tenants, &canonical);
    struct bytes text = buffer_peek(&canonical);
    layout->revision = XXH3_64bits(text.data, text.size);
    /* 0 is for records that state none. */
    if (layout->revision == 0)
        layout->revision = 1;
}
