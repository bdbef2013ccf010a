/* Matching: from the facts of an event's values down the tree to conjunctions, and from those that
 * hold to rules.
 *
 * The tree (matcher_index.c) only says which conjunctions may hold; each that is reached is still
 * checked as a whole. So a mistake in the tree's choices could cost time but not make a rule match,
 * and a conjunction that is reached on several ways is checked once.
 *
 * Invariant: a mark in the scratch is of this event if it holds the event's epoch, so nothing is
 * cleared between events. Bits of rules are the exception: they are zero before and after each
 * match.
 *
 * All work is counted where it is done (spend()); when the steps are used up every loop ends
 * soon, and the rule at hand is kept for the text of the error. */
#include <assert.h>
#include <stdlib.h>

#include "matcher_private.h"

struct match {
    const struct matcher *matcher;
    struct matcher_scratch *scratch;
};

/* A rule with several alternatives may be reached by each of them; the bit keeps it single. */
static void add_rules(const struct match *match, const struct conjunction *conjunction)
{
    assert(conjunction->rules.count > 0);
    for (uint32_t i = 0; i < conjunction->rules.count; i++) {
        uint32_t rule = match->matcher->rule_lists[conjunction->rules.first + i];
        uint64_t bit = (uint64_t)1 << (rule % 64);
        if (match->scratch->rule_bits[rule / 64] & bit)
            continue;
        match->scratch->rule_bits[rule / 64] |= bit;
        growing_add_number(&match->scratch->matched, rule);
    }
}

/* A rule that lies beyond a node; for the text of an error. */
static uint32_t rule_beyond(const struct matcher *matcher, uint32_t number)
{
    for (;;) {
        const struct tree_node *node = &matcher->nodes[number];
        if (node->conjunctions.count > 0) {
            uint32_t conjunction = matcher->conjunction_lists[node->conjunctions.first];
            return matcher->rule_lists[matcher->conjunctions[conjunction].rules.first];
        }
        assert(node->branches.count > 0); /* a node leads somewhere */
        const struct branch *branch = &matcher->branches[node->branches.first];
        number = branch->edges.count > 0    ? matcher->edges[branch->edges.first].node
                 : branch->ranges.count > 0 ? matcher->ranges[branch->ranges.first].node
                                            : matcher->guards[branch->guards.first].node;
    }
}

/* The steps are used up on the way to a node. */
static void blame_node(const struct match *match, uint32_t node)
{
    assert(match->scratch->exhausted);
    if (match->scratch->culprit == MATCHER_NO_RULE)
        match->scratch->culprit = rule_beyond(match->matcher, node);
}

/* The most selective condition first, so that most conjunctions end after one. Only those with a
 * condition that holds by an element of an array need the search: else each may take any of its
 * values. */
static void check_conditions(const struct match *match, const struct conjunction *conjunction)
{
    assert(conjunction->checks.count == conjunction->conditions.count);
    const struct matcher *matcher = match->matcher;
    struct matcher_scratch *scratch = match->scratch;
    bool bound = false;
    for (uint32_t i = 0; i < conjunction->checks.count; i++) {
        uint32_t condition = matcher->condition_lists[conjunction->checks.first + i];
        enum verdict verdict = condition_verdict(matcher, scratch, condition);
        if (verdict == VERDICT_NO)
            return;
        bound = bound || verdict == VERDICT_BOUND;
    }
    if (!bound || search_consistent(matcher, scratch, conjunction))
        add_rules(match, conjunction);
}

static void check_conjunction(const struct match *match, uint32_t number)
{
    assert(number < match->matcher->conjunction_count);
    const struct matcher *matcher = match->matcher;
    struct matcher_scratch *scratch = match->scratch;
    const struct conjunction *conjunction = &matcher->conjunctions[number];
    if (scratch->conjunction_marks[number] == scratch->epoch)
        return;
    scratch->conjunction_marks[number] = scratch->epoch;
    if (spend(scratch, 1))
        check_conditions(match, conjunction);
    if (scratch->exhausted && scratch->culprit == MATCHER_NO_RULE)
        scratch->culprit = matcher->rule_lists[conjunction->rules.first];
}

static void visit(const struct match *match, uint32_t number);

/* Follows the guards of a branch whose field has values. */
static void visit_guards(const struct match *match, const struct branch *branch)
{
    assert(branch->field < match->matcher->field_count);
    const struct matcher *matcher = match->matcher;
    struct matcher_scratch *scratch = match->scratch;
    const struct range_guard *ranges = matcher->ranges + branch->ranges.first;
    uint32_t index = branch->ranges.count > 0 ? first_value(scratch, branch->field) : NONE;
    for (; index != NONE; index = value_at(scratch, index)->next) {
        const struct value *value = value_at(scratch, index);
        uint32_t tried = 0;
        if (value->kind != VALUE_NUMBER)
            continue;
        /* Ascending by the lower bound, so those that begin above the value are not looked at. */
        for (; tried < branch->ranges.count && ranges[tried].low <= value->number; tried++)
            if (value->number <= ranges[tried].high)
                visit(match, ranges[tried].node);
        if (!spend(scratch, 1 + (uint64_t)tried)) {
            blame_node(match, ranges[0].node);
            return;
        }
    }
    for (uint32_t i = 0; i < branch->guards.count; i++) {
        const struct guard *guard = &matcher->guards[branch->guards.first + i];
        if (condition_verdict(matcher, scratch, guard->condition) != VERDICT_NO)
            visit(match, guard->node);
        if (scratch->exhausted) {
            blame_node(match, guard->node);
            return;
        }
    }
}

/* Halving: below the root a branch has few edges, and a table for each would be larger than all
 * of them. */
static uint32_t find_fact_edge(const struct matcher *matcher, struct span edges, uint32_t fact)
{
    uint32_t low = edges.first, high = edges.first + edges.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (matcher->edges[middle].fact < fact)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < edges.first + edges.count && matcher->edges[low].fact == fact)
        return matcher->edges[low].node;
    return NONE;
}

/* Without a value nothing below can hold: conditions that hold by absence are never a way down. */
static void visit_branch(const struct match *match, const struct branch *branch)
{
    struct matcher_scratch *scratch = match->scratch;
    uint32_t index = first_value(scratch, branch->field);
    if (index == NONE)
        return;
    for (; index != NONE && branch->edges.count > 0; index = value_at(scratch, index)->next) {
        struct span facts = value_at(scratch, index)->facts;
        if (!spend(scratch, facts.count)) {
            blame_node(match, match->matcher->edges[branch->edges.first].node);
            return;
        }
        for (uint32_t i = 0; i < facts.count; i++) {
            uint32_t fact = growing_numbers(&scratch->facts)[facts.first + i];
            uint32_t node = find_fact_edge(match->matcher, branch->edges, fact);
            if (node != NONE)
                visit(match, node);
        }
    }
    visit_guards(match, branch);
}

static void visit(const struct match *match, uint32_t number)
{
    assert(number < match->matcher->node_count);
    const struct matcher *matcher = match->matcher;
    if (match->scratch->node_marks[number] == match->scratch->epoch)
        return;
    match->scratch->node_marks[number] = match->scratch->epoch;
    const struct tree_node *node = &matcher->nodes[number];
    for (uint32_t i = 0; i < node->conjunctions.count; i++)
        check_conjunction(match, matcher->conjunction_lists[node->conjunctions.first + i]);
    for (uint32_t i = 0; i < node->branches.count; i++)
        visit_branch(match, &matcher->branches[node->branches.first + i]);
}

/* At the root every fact is an edge of its own, and only fields with values are looked at. */
static void visit_root(const struct match *match)
{
    assert(match->matcher->root < match->matcher->node_count);
    const struct matcher *matcher = match->matcher;
    const struct matcher_scratch *scratch = match->scratch;
    const struct tree_node *root = &matcher->nodes[matcher->root];
    for (uint32_t i = 0; i < root->conjunctions.count; i++)
        check_conjunction(match, matcher->conjunction_lists[root->conjunctions.first + i]);
    for (size_t i = 0; i < scratch->facts.count; i++) {
        uint32_t node = matcher->root_edges[growing_numbers(&scratch->facts)[i]];
        if (node != NONE)
            visit(match, node);
    }
    for (size_t i = 0; i < scratch->fields.count; i++) {
        uint32_t branch = matcher->root_branches[growing_numbers(&scratch->fields)[i]];
        if (branch != NONE)
            visit_guards(match, &matcher->branches[branch]);
    }
}

/* Sorts what matched and clears its bits. A few are sorted by insertion; of many, the bits are
 * in order already, and reading all words costs less than sorting. */
static void sort_matched(const struct matcher *matcher, struct matcher_scratch *scratch)
{
    uint32_t *rules = growing_numbers(&scratch->matched);
    size_t count = scratch->matched.count, words = (size_t)matcher->rule_count / 64 + 1;
    assert(count <= matcher->rule_count); /* each once */
    if (count > 16) {
        for (size_t word = 0; word < words; word++) {
            for (uint64_t bits = scratch->rule_bits[word]; bits; bits &= bits - 1)
                *rules++ = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
            scratch->rule_bits[word] = 0;
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t rule = rules[i];
        size_t place = i;
        for (; place > 0 && rules[place - 1] > rule; place--)
            rules[place] = rules[place - 1];
        rules[place] = rule;
        scratch->rule_bits[rule / 64] = 0;
    }
}

enum status matcher_error_steps(const struct matcher_scratch *scratch, struct matcher_error *error,
                                struct bytes event)
{
    assert(scratch->exhausted);
    if (error)
        *error = (struct matcher_error){.status = STATUS_LIMIT,
                                        .offset = event.size,
                                        .problem = "judging the event takes too many steps",
                                        .limit = MATCHER_LIMIT_STEPS,
                                        .rule = scratch->culprit};
    return STATUS_LIMIT;
}

/* A result is given only when all of the event was judged: half of the rules that match would be
 * taken for all of them. */
enum status matcher_match(const struct matcher *matcher, struct matcher_scratch *scratch,
                          struct bytes event, struct matcher_result *result,
                          struct matcher_error *error)
{
    enum status status = event_read(matcher, scratch, event, error);
    if (status)
        return status;
    const struct match match = {matcher, scratch};
    visit_root(&match);
    sort_matched(matcher, scratch);
    if (scratch->exhausted)
        return matcher_error_steps(scratch, error, event);
    *result = (struct matcher_result){.rules = growing_numbers(&scratch->matched),
                                      .count = scratch->matched.count,
                                      .repeats_keys = scratch->repeats_keys};
    return STATUS_OK;
}

unsigned matcher_rule_count(const struct matcher *matcher)
{
    return matcher->rule_count;
}

/* All that was compiled lies in one arena, patterns included. */
void matcher_free(struct matcher *matcher)
{
    if (!matcher)
        return;
    arena_deinit(&matcher->arena);
    free(matcher);
}
