/* Array consistency: choosing one value for each condition of a conjunction so that no array
 * appears in the choice with two different elements.
 *
 * Depth first, in the order of paths. Options are the elements in which satisfying values lie,
 * ascending; elements are numbered so that those inside an element, and those of an array, are a
 * run, so a conflict skips a whole run at once. When a level has no option left, the search goes
 * back to the last level that took one away, not just to the one before: arrays that have nothing
 * to do with one another are not tried in all combinations. */
#include <assert.h>
#include <stdlib.h>

#include "matcher_private.h"

enum { LEVEL_MAX = 256 };

/* A set of levels. */
struct blame {
    uint64_t bits[LEVEL_MAX / 64];
};

struct level {
    uint32_t condition;
    struct span options; /* elements of satisfying values, ascending, in the scratch's options */
    struct span values;  /* if the condition may hold by absence: of all values, likewise */
};

/* What is chosen of an array. */
struct choice {
    uint32_t member; /* 0: nothing yet */
    uint32_t level;  /* that chose it */
};

struct search {
    const struct matcher *matcher;
    struct matcher_scratch *scratch;
    const struct element *members;
    const uint32_t *array_end;
    const struct level *levels;
    uint32_t level_count;
    struct choice *chosen;
};

static void blame_add(struct blame *blame, uint32_t level)
{
    assert(level < LEVEL_MAX);
    blame->bits[level / 64] |= (uint64_t)1 << (level % 64);
}

static bool blame_has(const struct blame *blame, uint32_t level)
{
    return blame->bits[level / 64] >> (level % 64) & 1;
}

static void blame_merge(struct blame *blame, const struct blame *other, uint32_t without)
{
    for (unsigned i = 0; i < LEVEL_MAX / 64; i++)
        blame->bits[i] |= other->bits[i];
    blame->bits[without / 64] &= ~((uint64_t)1 << (without % 64));
}

static void blame_before(struct blame *blame, uint32_t level)
{
    for (uint32_t i = 0; i < level; i++)
        blame_add(blame, i);
}

/* The outermost array around `member` of which another element is chosen; NULL: none. */
static const struct choice *conflict(const struct search *search, uint32_t member,
                                     uint32_t *element)
{
    const struct choice *found = NULL;
    for (; member != 0; member = search->members[member].parent) {
        const struct choice *choice = &search->chosen[search->members[member].array];
        if (choice->member != 0 && choice->member != member) {
            found = choice;
            *element = member;
        }
    }
    return found;
}

/* The index of the first option from `from` that is not below `member`. */
static uint32_t seek_option(const uint32_t *options, uint32_t from, uint32_t count, uint32_t member)
{
    uint32_t low = from, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (options[middle] < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first option from `from` that agrees with what is chosen; `count` if none. The levels that
 * ruled others out are blamed. */
static uint32_t next_option(const struct search *search, struct span span, uint32_t from,
                            struct blame *blame)
{
    const uint32_t *options = growing_numbers(&search->scratch->options) + span.first;
    while (from < span.count && spend(search->scratch, 1)) {
        uint32_t element = 0;
        const struct choice *choice = conflict(search, options[from], &element);
        if (!choice)
            return from;
        blame_add(blame, choice->level);
        /* Everything up to the chosen element, or to the end of the array, conflicts likewise. */
        uint32_t next = element < choice->member
                            ? choice->member
                            : search->array_end[search->members[element].array];
        from = seek_option(options, from + 1, span.count, next);
    }
    return span.count;
}

/* An array of which this level takes an element that an earlier one took already stays that
 * level's. */
static void choose(const struct search *search, uint32_t member, uint32_t level)
{
    for (; member != 0; member = search->members[member].parent) {
        struct choice *choice = &search->chosen[search->members[member].array];
        if (choice->member == 0)
            *choice = (struct choice){member, level};
    }
}

static void undo(const struct search *search, uint32_t member, uint32_t level)
{
    for (; member != 0; member = search->members[member].parent) {
        struct choice *choice = &search->chosen[search->members[member].array];
        if (choice->level == level)
            *choice = (struct choice){0};
    }
}

/* Whether the levels from `level` on can be satisfied; if not, `blame` gets the earlier levels
 * whose choices are to blame. */
static bool satisfy(const struct search *search, uint32_t level, struct blame *blame)
{
    assert(level <= search->level_count);
    if (level == search->level_count)
        return true;
    const struct level *here = &search->levels[level];
    struct blame mine = {{0}};
    uint32_t option = 0;
    while ((option = next_option(search, here->options, option, &mine)) < here->options.count) {
        uint32_t member = growing_numbers(&search->scratch->options)[here->options.first + option];
        struct blame below = {{0}};
        choose(search, member, level);
        bool satisfied = satisfy(search, level + 1, &below);
        undo(search, member, level);
        if (satisfied)
            return true;
        if (search->scratch->exhausted)
            return false;
        /* What failed below would fail with every option of this level. */
        if (!blame_has(&below, level)) {
            *blame = below; /* no other choice here would help */
            return false;
        }
        blame_merge(&mine, &below, level);
        option++;
    }
    if (search->matcher->conditions[here->condition].absent) {
        /* Absent if no value agrees with what is chosen so far. Other choices before might rule
         * more values out, so all of them are to blame for one that is left. */
        struct blame unused = {{0}};
        if (next_option(search, here->values, 0, &unused) == here->values.count &&
            !search->scratch->exhausted && satisfy(search, level + 1, &unused))
            return true;
        blame_before(&mine, level);
    }
    *blame = mine;
    return false;
}

/* Lists the elements of a field's values, only of those that satisfy the condition or of all:
 * ascending, each once. */
static struct span list_members(const struct matcher *matcher, struct matcher_scratch *scratch,
                                const struct condition *condition, bool all)
{
    struct growing *options = &scratch->options;
    uint32_t first = (uint32_t)options->count, last = 0;
    bool ascending = true;
    for (uint32_t i = first_value(scratch, condition->field); i != NONE;
         i = value_at(scratch, i)->next) {
        const struct value *value = value_at(scratch, i);
        if (!spend(scratch, residual_steps(condition, value)))
            break;
        if (!all && !condition_holds_for(matcher, scratch, condition, value))
            continue;
        if (options->count > first && value->member == last)
            continue;
        ascending = ascending && (options->count == first || value->member > last);
        last = value->member;
        growing_add_number(options, last);
    }
    uint32_t count = (uint32_t)options->count - first;
    if (!ascending) /* only where an event mixes arrays and objects or repeats keys */
        qsort(growing_numbers(options) + first, count, sizeof(uint32_t), order_numbers);
    return (struct span){first, count};
}

/* One level for each condition that is not satisfied whatever is chosen. */
static uint32_t make_levels(const struct matcher *matcher, struct matcher_scratch *scratch,
                            const struct conjunction *conjunction)
{
    scratch->options.count = 0;
    scratch->levels.count = 0;
    for (uint32_t i = 0; i < conjunction->conditions.count; i++) {
        uint32_t number = matcher->condition_lists[conjunction->conditions.first + i];
        const struct condition *condition = &matcher->conditions[number];
        /* A value outside all arrays is as good as any, unless an element chosen in its stead
         * would make another field absent. */
        bool without_values = first_value(scratch, condition->field) == NONE;
        if (condition_verdict(matcher, scratch, number) == VERDICT_FREE &&
            (!conjunction->absent || without_values))
            continue;
        struct level level = {.condition = number};
        level.options = list_members(matcher, scratch, condition, false);
        if (condition->absent)
            level.values = list_members(matcher, scratch, condition, true);
        *(struct level *)growing_add(&scratch->levels, sizeof(level)) = level;
    }
    assert(scratch->levels.count <= conjunction->conditions.count);
    return (uint32_t)scratch->levels.count;
}

/* Nothing is chosen of any array: every choice is undone, so that a search costs what it tries and
 * not what the event has. */
static struct choice *nothing_chosen(struct growing *chosen, size_t arrays)
{
    assert(chosen->count == 0); /* by array, not by count */
    size_t before = chosen->capacity;
    growing_reserve(chosen, arrays + 1, sizeof(struct choice));
    struct choice *choices = chosen->items;
    if (chosen->capacity > before)
        memset(choices + before, 0, (chosen->capacity - before) * sizeof(struct choice));
    return choices;
}

bool search_consistent(const struct matcher *matcher, struct matcher_scratch *scratch,
                       const struct conjunction *conjunction)
{
    size_t arrays = scratch->array_end.count;
    struct search search = {
        .matcher = matcher,
        .scratch = scratch,
        .members = scratch->members.items,
        .array_end = growing_numbers(&scratch->array_end),
        .level_count = make_levels(matcher, scratch, conjunction),
    };
    assert(search.level_count <= LEVEL_MAX);
    search.levels = scratch->levels.items;
    search.chosen = nothing_chosen(&scratch->chosen, arrays);
    struct blame blame = {{0}};
    return !scratch->exhausted && satisfy(&search, 0, &blame);
}
