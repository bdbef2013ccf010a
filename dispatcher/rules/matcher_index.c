/* The tree that keeps the cost of an event from growing with the number of rules.
 *
 *     root -- tenant = acme  ---> node -- type = a ---> node: check 17, 31
 *       |                           |---- type = b ---> node: check 5
 *       |-- tenant = other ---> node: check 2, 8
 *       |-- amount in [10, 20] -> node: check 40        (range)
 *       |-- anything-but ...  --> node: check 12        (guard)
 *
 * Of the conjunctions at a node, each goes down by the condition that is likely to hold for the
 * fewest: by its facts, if it has only facts, so that a value leads there by one look-up; else as a
 * guard, a condition that is judged once for all that share it. What is left over is checked one by
 * one.
 *
 * Invariant: a conjunction that holds for an event is at some node that the event reaches, since
 * each step down is by a condition of its own that holds then. Only the cost depends on the
 * choices made here, never the answer; so they may be guesses. */
#include <assert.h>
#include <stdlib.h>

#include "matcher_private.h"
#include "mem.h"

enum {
    CHECKED_MAX = 4,     /* so few conjunctions at a node are just checked */
    DEPTH_MAX = 4,       /* of the tree */
    COPIES_MAX = 256,    /* of a conjunction: it goes down by each fact of a condition */
    INNER_FACTS_MAX = 8, /* of a condition that is a way down below the root */
    CONDITIONS_MAX = 64, /* of a conjunction that can be ways down: bits of struct entrant */
};

/* A conjunction at a node, and its conditions that hold there (bits by place in its checks). */
struct entrant {
    uint32_t conjunction;
    uint32_t copies; /* at least so many nodes have it */
    uint64_t used;
};

enum way_kind { WAY_FACT, WAY_RANGE, WAY_GUARD };

/* A way down for one conjunction; equal ways share a node. */
struct way {
    enum way_kind kind;
    uint32_t field;
    uint32_t key; /* a fact or a condition */
    double low;   /* WAY_RANGE */
    struct entrant entrant;
};

struct indexer {
    struct matcher *matcher;
    struct growing *condition_lists;
    uint32_t *fact_counts;      /* conjunctions at the node at hand that ask for a fact */
    uint32_t *condition_counts; /* or for a condition */
    struct growing nodes;
    struct growing branches;
    struct growing edges;
    struct growing ranges;
    struct growing guards;
    struct growing conjunctions;
};

/* Conditions are named by their place among the conjunction's checks, so that a set of them is
 * 64 bits. */
static uint32_t check_of(const struct indexer *indexer, uint32_t conjunction, uint32_t place)
{
    const struct conjunction *owner = &indexer->matcher->conjunctions[conjunction];
    assert(place < owner->checks.count);
    return growing_numbers(indexer->condition_lists)[owner->checks.first + place];
}

/* Conditions beyond the bits of an entrant are checked at the end like any other; they are just
 * no way down. */
static uint32_t check_count(const struct indexer *indexer, uint32_t conjunction)
{
    uint32_t count = indexer->matcher->conjunctions[conjunction].checks.count;
    return count < CONDITIONS_MAX ? count : CONDITIONS_MAX;
}

/* Adds `step` to the counts of all that the entrants' open conditions ask for. */
static void count_wishes(struct indexer *indexer, const struct entrant *entrants, size_t count,
                         int step)
{
    assert(step == 1 || step == -1);
    const struct matcher *matcher = indexer->matcher;
    for (size_t i = 0; i < count; i++)
        for (uint32_t place = 0; place < check_count(indexer, entrants[i].conjunction); place++) {
            if (entrants[i].used >> place & 1)
                continue;
            /* Counts are of one node: they are added when it is begun and taken back when its
             * ways are chosen, so that two arrays serve the whole tree. */
            uint32_t number = check_of(indexer, entrants[i].conjunction, place);
            const struct condition *condition = &matcher->conditions[number];
            indexer->condition_counts[number] += (uint32_t)step;
            for (uint32_t k = 0; k < condition->facts.count; k++)
                indexer->fact_counts[matcher->fact_lists[condition->facts.first + k]] +=
                    (uint32_t)step;
        }
}

/* Ranges are so common that they have edges of their own, sorted by their lower bound: a value
 * is compared with those that begin at or below it, without a verdict for each. */
static bool is_range(const struct matcher *matcher, const struct condition *condition)
{
    return condition->facts.count == 0 && condition->residuals.count == 1 && !condition->absent &&
           matcher->residuals[condition->residuals.first].test->kind == TEST_RANGE;
}

/* How many facts a condition may have to be a way down for a conjunction; else it is a guard. A
 * condition with many facts copies the conjunction into as many nodes. All its copies together
 * are limited, or a few rules with long lists would make a tree of millions of nodes. */
static uint32_t facts_max(const struct entrant *entrant, unsigned depth)
{
    assert(entrant->copies >= 1 && entrant->copies <= COPIES_MAX);
    uint32_t copies = COPIES_MAX / entrant->copies;
    return depth > 0 && copies > INNER_FACTS_MAX ? INNER_FACTS_MAX : copies;
}

/* What going down by a condition costs: the chance that it leads to a node, times those there. */
static float way_cost(const struct indexer *indexer, uint32_t number, uint32_t most_facts)
{
    assert(!indexer->matcher->conditions[number].absent);
    const struct matcher *matcher = indexer->matcher;
    const struct condition *condition = &matcher->conditions[number];
    float shared = (float)indexer->condition_counts[number];
    if (is_range(matcher, condition))
        return 0.1F + 0.4F * shared;
    if (condition->residuals.count > 0 || condition->facts.count > most_facts)
        return 1.0F + 0.6F * shared;
    float cost = 0;
    for (uint32_t i = 0; i < condition->facts.count; i++) {
        uint32_t fact = matcher->fact_lists[condition->facts.first + i];
        cost += matcher->fact_chances[fact] * (float)indexer->fact_counts[fact];
    }
    return cost;
}

/* The place of the best condition to go down by; CONDITIONS_MAX: better to check it here. */
static uint32_t choose_way(const struct indexer *indexer, const struct entrant *entrant,
                           size_t count, unsigned depth)
{
    assert(count > 0);
    uint32_t best = CONDITIONS_MAX;
    /* At the root a guard also saves all work on fields that an event lacks. */
    float best_cost = depth == 0 ? (float)UINT32_MAX : 0.5F * (float)count;
    for (uint32_t place = 0; place < check_count(indexer, entrant->conjunction); place++) {
        uint32_t number = check_of(indexer, entrant->conjunction, place);
        if ((entrant->used >> place & 1) || indexer->matcher->conditions[number].absent)
            continue;
        float cost = way_cost(indexer, number, facts_max(entrant, depth));
        if (cost < best_cost) {
            best = place;
            best_cost = cost;
        }
    }
    return best;
}

/* One way for each fact of the condition: any of them suffices, so an event may come by any. */
static void add_ways(const struct indexer *indexer, const struct entrant *entrant, uint32_t place,
                     unsigned depth, struct growing *ways)
{
    const struct matcher *matcher = indexer->matcher;
    uint32_t number = check_of(indexer, entrant->conjunction, place);
    const struct condition *condition = &matcher->conditions[number];
    struct way way = {.kind = WAY_GUARD, .field = condition->field, .key = number};
    assert(place < CONDITIONS_MAX && !(entrant->used >> place & 1));
    assert(!condition->absent); /* it may hold where there is no value to go down by */
    way.entrant = *entrant;
    way.entrant.used |= (uint64_t)1 << place;
    if (condition->residuals.count > 0 || condition->facts.count > facts_max(entrant, depth)) {
        if (is_range(matcher, condition)) {
            way.kind = WAY_RANGE;
            way.low = matcher->residuals[condition->residuals.first].test->low;
        }
        *(struct way *)growing_add(ways, sizeof(way)) = way;
        return;
    }
    way.kind = WAY_FACT;
    way.entrant.copies *= condition->facts.count;
    for (uint32_t i = 0; i < condition->facts.count; i++) {
        way.key = matcher->fact_lists[condition->facts.first + i];
        if (i > 0 && way.key == matcher->fact_lists[condition->facts.first + i - 1])
            continue;
        *(struct way *)growing_add(ways, sizeof(way)) = way;
    }
}

/* By field first: the ways of a field become one branch. Equal ways stand together. */
static int order_ways(const void *left, const void *right)
{
    const struct way *a = left, *b = right;
    if (a->field != b->field)
        return a->field < b->field ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->low < b->low || a->low > b->low)
        return a->low < b->low ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->entrant.conjunction > b->entrant.conjunction) -
           (a->entrant.conjunction < b->entrant.conjunction);
}

static uint32_t build_node(struct indexer *indexer, const struct entrant *entrants, size_t count,
                           unsigned depth);

/* The child node of the ways from `ways` on that are equal; returns how many they are. */
static size_t build_child(struct indexer *indexer, const struct way *ways, size_t count,
                          unsigned depth, uint32_t *node)
{
    size_t same = 1;
    while (same < count && ways[same].field == ways[0].field && ways[same].kind == ways[0].kind &&
           ways[same].key == ways[0].key)
        same++;
    auto_free struct entrant *entrants = mem_resize(NULL, same, sizeof(*entrants));
    for (size_t i = 0; i < same; i++)
        entrants[i] = ways[i].entrant;
    assert(depth < DEPTH_MAX);
    *node = build_node(indexer, entrants, same, depth + 1);
    return same;
}

static void add_edge(struct indexer *indexer, struct branch *branch, const struct way *way,
                     uint32_t node)
{
    assert(branch->field == way->field);
    const struct matcher *matcher = indexer->matcher;
    if (way->kind == WAY_FACT) {
        *(struct fact_edge *)growing_add(&indexer->edges, sizeof(struct fact_edge)) =
            (struct fact_edge){way->key, node};
        branch->edges.count++;
    } else if (way->kind == WAY_RANGE) {
        const struct condition *condition = &matcher->conditions[way->key];
        const struct test *test = matcher->residuals[condition->residuals.first].test;
        *(struct range_guard *)growing_add(&indexer->ranges, sizeof(struct range_guard)) =
            (struct range_guard){test->low, test->high, node};
        branch->ranges.count++;
    } else {
        *(struct guard *)growing_add(&indexer->guards, sizeof(struct guard)) =
            (struct guard){way->key, node};
        branch->guards.count++;
    }
}

/* Makes the branches of a node from its ways, sorted; their children are built before, so that the
 * edges of a branch stand together. */
static struct span build_branches(struct indexer *indexer, struct growing *ways, unsigned depth)
{
    const struct way *all = ways->items;
    struct growing firsts = {0}, children = {0}, branches = {0}; /* by distinct way */
    /* A child adds edges of its own while it is built: those of this node are added when all
     * children are there. */
    uint32_t child = 0;
    for (size_t i = 0; i < ways->count;) {
        growing_add_number(&firsts, (uint32_t)i);
        i += build_child(indexer, all + i, ways->count - i, depth, &child);
        growing_add_number(&children, child);
    }
    assert(firsts.count == children.count);
    struct branch *branch = NULL;
    for (size_t i = 0; i < firsts.count; i++) {
        const struct way *way = &all[growing_numbers(&firsts)[i]];
        if (!branch || branch->field != way->field) {
            branch = growing_add(&branches, sizeof(*branch));
            *branch = (struct branch){.field = way->field,
                                      .edges.first = (uint32_t)indexer->edges.count,
                                      .ranges.first = (uint32_t)indexer->ranges.count,
                                      .guards.first = (uint32_t)indexer->guards.count};
        }
        add_edge(indexer, branch, way, growing_numbers(&children)[i]);
    }
    struct span span = {(uint32_t)indexer->branches.count, (uint32_t)branches.count};
    for (size_t i = 0; i < branches.count; i++)
        *(struct branch *)growing_add(&indexer->branches, sizeof(struct branch)) =
            ((struct branch *)branches.items)[i];
    free(firsts.items);
    free(children.items);
    free(branches.items);
    return span;
}

/* A small node is not split: to check four conjunctions costs less than to look for the right
 * one. The root is always split, since an event has few of the fields that rules name. */
static uint32_t build_node(struct indexer *indexer, const struct entrant *entrants, size_t count,
                           unsigned depth)
{
    assert(depth <= DEPTH_MAX);
    struct growing ways = {0}, left = {0};
    bool split = depth == 0 || (count > CHECKED_MAX && depth < DEPTH_MAX);
    if (split)
        count_wishes(indexer, entrants, count, 1);
    for (size_t i = 0; i < count; i++) {
        uint32_t place = split ? choose_way(indexer, &entrants[i], count, depth) : CONDITIONS_MAX;
        if (place < CONDITIONS_MAX)
            add_ways(indexer, &entrants[i], place, depth, &ways);
        else
            growing_add_number(&left, entrants[i].conjunction);
    }
    if (split)
        count_wishes(indexer, entrants, count, -1);
    if (ways.count > 0)
        qsort(ways.items, ways.count, sizeof(struct way), order_ways);
    struct tree_node node = {.branches = build_branches(indexer, &ways, depth)};
    node.conjunctions = (struct span){(uint32_t)indexer->conjunctions.count, (uint32_t)left.count};
    for (size_t i = 0; i < left.count; i++)
        growing_add_number(&indexer->conjunctions, growing_numbers(&left)[i]);
    free(ways.items);
    free(left.items);
    uint32_t number = (uint32_t)indexer->nodes.count;
    *(struct tree_node *)growing_add(&indexer->nodes, sizeof(node)) = node;
    return number;
}

/* A guess at how likely a condition is to hold, to check the unlikely first. */
static float condition_chance(const struct matcher *matcher, const struct condition *condition)
{
    float chance = condition->absent ? 0.5F : 0;
    for (uint32_t i = 0; i < condition->facts.count; i++)
        chance += matcher->fact_chances[matcher->fact_lists[condition->facts.first + i]];
    for (uint32_t i = 0; i < condition->residuals.count; i++) {
        const struct residual *residual = &matcher->residuals[condition->residuals.first + i];
        chance += residual->test->kind == TEST_BUT ? 0.9F : 0.4F;
    }
    return chance;
}

struct check {
    uint32_t condition;
    float chance;
};

/* Equal chances are ordered by number, so that one rules file always gives one tree. */
static int order_checks(const void *left, const void *right)
{
    const struct check *a = left, *b = right;
    if (a->chance < b->chance || a->chance > b->chance)
        return a->chance < b->chance ? -1 : 1;
    return (a->condition > b->condition) - (a->condition < b->condition);
}

/* Lists each conjunction's conditions in the order of checking. The order of their paths is kept
 * as well (`conditions`): explanations and the search go by it. */
static void order_conjunctions(struct indexer *indexer)
{
    struct matcher *matcher = indexer->matcher;
    for (uint32_t i = 0; i < matcher->conjunction_count; i++) {
        struct conjunction *conjunction = &matcher->conjunctions[i];
        struct check checks[256];
        uint32_t count = conjunction->conditions.count;
        assert(count <= sizeof(checks) / sizeof(checks[0]));
        for (uint32_t k = 0; k < count; k++) {
            checks[k].condition =
                growing_numbers(indexer->condition_lists)[conjunction->conditions.first + k];
            checks[k].chance = condition_chance(matcher, &matcher->conditions[checks[k].condition]);
        }
        qsort(checks, count, sizeof(checks[0]), order_checks);
        conjunction->checks = (struct span){(uint32_t)indexer->condition_lists->count, count};
        for (uint32_t k = 0; k < count; k++)
            growing_add_number(indexer->condition_lists, checks[k].condition);
    }
}

/* The root's edges as one array by fact, its branches as one by field. Every event comes through
 * the root with all its facts, so there a fact must lead down without a search. */
static void spread_root(struct indexer *indexer)
{
    struct matcher *matcher = indexer->matcher;
    const struct tree_node *root = &matcher->nodes[matcher->root];
    matcher->root_edges = ARENA_ARRAY(&matcher->arena, uint32_t, matcher->fact_count);
    matcher->root_branches = ARENA_ARRAY(&matcher->arena, uint32_t, matcher->field_count);
    for (uint32_t i = 0; i < matcher->fact_count; i++)
        matcher->root_edges[i] = NONE;
    for (uint32_t i = 0; i < matcher->field_count; i++)
        matcher->root_branches[i] = NONE;
    for (uint32_t i = 0; i < root->branches.count; i++) {
        const struct branch *branch = &matcher->branches[root->branches.first + i];
        if (branch->ranges.count > 0 || branch->guards.count > 0)
            matcher->root_branches[branch->field] = root->branches.first + i;
        for (uint32_t k = 0; k < branch->edges.count; k++) {
            const struct fact_edge *edge = &matcher->edges[branch->edges.first + k];
            assert(edge->fact < matcher->fact_count && matcher->root_edges[edge->fact] == NONE);
            matcher->root_edges[edge->fact] = edge->node;
        }
    }
}

void index_build(struct matcher *matcher, struct growing *condition_lists)
{
    struct indexer indexer = {.matcher = matcher, .condition_lists = condition_lists};
    order_conjunctions(&indexer);
    indexer.fact_counts = mem_alloc(((size_t)matcher->fact_count + 1) * sizeof(uint32_t));
    indexer.condition_counts = mem_alloc(((size_t)matcher->condition_count + 1) * sizeof(uint32_t));
    size_t count = matcher->conjunction_count;
    struct entrant *entrants = mem_alloc((count + 1) * sizeof(*entrants));
    for (uint32_t i = 0; i < count; i++)
        entrants[i] = (struct entrant){.conjunction = i, .copies = 1};
    matcher->root = build_node(&indexer, entrants, count, 0);
    free(entrants);
    free(indexer.fact_counts);
    free(indexer.condition_counts);
    matcher->node_count = (uint32_t)indexer.nodes.count;
    assert(matcher->root + 1 == matcher->node_count); /* children come before their parents */
    matcher->nodes = growing_keep(&indexer.nodes, sizeof(struct tree_node), &matcher->arena);
    matcher->branches = growing_keep(&indexer.branches, sizeof(struct branch), &matcher->arena);
    matcher->edges = growing_keep(&indexer.edges, sizeof(struct fact_edge), &matcher->arena);
    matcher->ranges = growing_keep(&indexer.ranges, sizeof(struct range_guard), &matcher->arena);
    matcher->guards = growing_keep(&indexer.guards, sizeof(struct guard), &matcher->arena);
    matcher->conjunction_lists =
        growing_keep(&indexer.conjunctions, sizeof(uint32_t), &matcher->arena);
    spread_root(&indexer);
}
