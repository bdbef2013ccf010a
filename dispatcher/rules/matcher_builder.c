/* From patterns to conditions and conjunctions, each once; then the compiled form of all of them.
 *
 * While rules are added everything is interned: a field, a condition or a conjunction that was seen
 * before gets its old number, and a rule becomes a list of conjunctions. A thousand rules that all
 * ask for one tenant have one condition for it. Compiling turns tests into facts (matcher_facts.c),
 * lays the lists out as arrays and builds the tree.
 *
 * Invariant: numbers count from 0 without a gap, in the order in which things were first seen,
 * and index the arrays of the matcher. A pattern that is refused has changed nothing: it is read
 * whole before any of it is interned. */
#include <assert.h>
#include <stdlib.h>

#include <uthash.h>

#include "json.h"
#include "matcher_private.h"
#include "mem.h"

struct field_entry {
    UT_hash_handle hh;
    struct bytes path;
    uint32_t number;
};

struct condition_entry {
    UT_hash_handle hh;
    uint32_t field;
    uint32_t number;
    const struct leaf *leaf;
};

struct conjunction_entry {
    UT_hash_handle hh;
    uint32_t number;
    struct span conditions;
    struct growing rules; /* uint32_t */
};

struct matcher_builder {
    struct pattern_limits limits;
    struct arena arena; /* of all that is not counted below; the matcher takes it over */
    struct field_entry *field_table;
    struct condition_entry *condition_table;
    struct conjunction_entry *conjunction_table;
    struct growing fields;            /* struct field_entry * */
    struct growing conditions;        /* struct condition_entry * */
    struct growing conjunctions;      /* struct conjunction_entry * */
    struct growing condition_lists;   /* uint32_t */
    struct growing rule_spans;        /* struct span of rule_conjunctions */
    struct growing rule_conjunctions; /* uint32_t */
};

#define ITEM(growing, type, index) (((type *)(growing).items)[index])

/* More than 256 fields in one pattern would not fit the arrays and sets of levels that have room
 * for them (matcher_search.c). */
struct matcher_builder *matcher_builder_new(const struct pattern_limits *limits)
{
    assert(limits->fields_max >= 1 && limits->fields_max <= 256);
    assert(limits->depth_max >= 1 && limits->depth_max <= JSON_DEPTH_MAX);
    struct matcher_builder *builder = mem_new(struct matcher_builder);
    builder->limits = *limits;
    return builder;
}

void matcher_builder_free(struct matcher_builder *builder)
{
    if (!builder)
        return;
    for (size_t i = 0; i < builder->conjunctions.count; i++)
        free(ITEM(builder->conjunctions, struct conjunction_entry *, i)->rules.items);
    HASH_CLEAR(hh, builder->field_table);
    HASH_CLEAR(hh, builder->condition_table);
    HASH_CLEAR(hh, builder->conjunction_table);
    free(builder->fields.items);
    free(builder->conditions.items);
    free(builder->conjunctions.items);
    free(builder->condition_lists.items);
    free(builder->rule_spans.items);
    free(builder->rule_conjunctions.items);
    arena_deinit(&builder->arena);
    free(builder);
}

/* Fields, conditions and conjunctions that several rules share are one: an event is asked once, and
 * what a rule costs that says what others say is its entry in a list. */
static uint32_t intern_field(struct matcher_builder *builder, struct bytes path)
{
    struct field_entry *entry = NULL;
    HASH_FIND(hh, builder->field_table, path.data, path.size, entry);
    if (entry)
        return entry->number;
    entry = arena_alloc(&builder->arena, sizeof(*entry));
    entry->path = path;
    entry->number = (uint32_t)builder->fields.count;
    HASH_ADD_KEYPTR(hh, builder->field_table, entry->path.data, entry->path.size, entry);
    growing_add_pointer(&builder->fields, entry);
    return entry->number;
}

/* A condition's key: its field's number and the source of the leaf. */
static uint32_t intern_condition(struct matcher_builder *builder, const struct leaf *leaf)
{
    assert(leaf->source.size > 0);
    uint32_t field = intern_field(builder, leaf->path);
    size_t size = sizeof(field) + leaf->source.size;
    uint8_t *key = arena_alloc(&builder->arena, size);
    memcpy(key, &field, sizeof(field));
    memcpy(key + sizeof(field), leaf->source.data, leaf->source.size);
    struct condition_entry *entry = NULL;
    HASH_FIND(hh, builder->condition_table, key, size, entry);
    if (entry)
        return entry->number;
    entry = arena_alloc(&builder->arena, sizeof(*entry));
    entry->field = field;
    entry->number = (uint32_t)builder->conditions.count;
    entry->leaf = leaf;
    HASH_ADD_KEYPTR(hh, builder->condition_table, key, size, entry);
    growing_add_pointer(&builder->conditions, entry);
    return entry->number;
}

/* The conditions of an alternative come in the order of their paths, so equal ones have equal keys. */
static struct conjunction_entry *intern_conjunction(struct matcher_builder *builder,
                                                    const uint32_t *conditions, size_t count)
{
    assert(count > 0);
    struct conjunction_entry *entry = NULL;
    HASH_FIND(hh, builder->conjunction_table, conditions, count * sizeof(uint32_t), entry);
    if (entry)
        return entry;
    entry = arena_alloc(&builder->arena, sizeof(*entry));
    entry->number = (uint32_t)builder->conjunctions.count;
    entry->conditions = (struct span){(uint32_t)builder->condition_lists.count, (uint32_t)count};
    for (size_t i = 0; i < count; i++)
        growing_add_number(&builder->condition_lists, conditions[i]);
    struct bytes key = arena_copy(&builder->arena, bytes_of(conditions, count * sizeof(uint32_t)));
    HASH_ADD_KEYPTR(hh, builder->conjunction_table, key.data, key.size, entry);
    growing_add_pointer(&builder->conjunctions, entry);
    return entry;
}

/* Alternatives of one pattern are read with indexes of leaves; each leaf is interned when the
 * first alternative with it is met. */
enum status matcher_builder_add(struct matcher_builder *builder, struct bytes pattern_json,
                                unsigned *rule, struct pattern_error *error)
{
    struct pattern pattern;
    enum status status =
        pattern_read(pattern_json, &builder->limits, &builder->arena, &pattern, error);
    if (status)
        return status;
    uint32_t number = (uint32_t)builder->rule_spans.count;
    auto_free uint32_t *of_leaf = mem_resize(NULL, pattern.leaf_count, sizeof(uint32_t));
    for (size_t i = 0; i < pattern.leaf_count; i++)
        of_leaf[i] = NONE;
    struct span span = {(uint32_t)builder->rule_conjunctions.count, 0};
    for (size_t i = 0; i < pattern.alternative_count; i++) {
        const struct alternative *alternative = &pattern.alternatives[i];
        uint32_t conditions[256];
        assert(alternative->leaf_count <= sizeof(conditions) / sizeof(conditions[0]));
        for (size_t k = 0; k < alternative->leaf_count; k++) {
            uint32_t leaf = alternative->leaves[k];
            /* A leaf that was replaced in every alternative never gets here. */
            if (of_leaf[leaf] == NONE)
                of_leaf[leaf] = intern_condition(builder, &pattern.leaves[leaf]);
            conditions[k] = of_leaf[leaf];
        }
        struct conjunction_entry *entry =
            intern_conjunction(builder, conditions, alternative->leaf_count);
        size_t rules = entry->rules.count;
        if (rules > 0 && growing_numbers(&entry->rules)[rules - 1] == number)
            continue; /* the same alternative twice */
        growing_add_number(&entry->rules, number);
        growing_add_number(&builder->rule_conjunctions, entry->number);
        span.count++;
    }
    assert(span.first + span.count == builder->rule_conjunctions.count);
    *(struct span *)growing_add(&builder->rule_spans, sizeof(span)) = span;
    *rule = number;
    return STATUS_OK;
}

/* --- compiling ----------------------------------------------------------------------------- */

/* Grown lists on their way into the matcher's arena. */
struct lists {
    struct growing facts;     /* uint32_t */
    struct growing residuals; /* struct residual */
    struct growing rules;     /* uint32_t */
};

/* Splits tests into facts, which are listed, ascending, and residuals. `rest` gets the latter. */
static struct span split_tests(struct matcher *matcher, struct lists *lists, uint32_t field,
                               struct bytes tests, struct growing *rest)
{
    assert(tests.size % sizeof(struct test) == 0);
    const struct test *all = (const struct test *)(const void *)tests.data;
    struct span facts = {(uint32_t)lists->facts.count, 0};
    for (size_t i = 0; i < tests.size / sizeof(*all); i++) {
        if (all[i].kind == TEST_ABSENT)
            continue;
        uint32_t fact = facts_intern(matcher, field, &all[i]);
        if (fact == NONE) {
            *(struct residual *)growing_add(rest, sizeof(struct residual)) =
                (struct residual){.test = &all[i]};
        } else {
            growing_add_number(&lists->facts, fact);
            facts.count++;
        }
    }
    if (facts.count > 1)
        qsort(growing_numbers(&lists->facts) + facts.first, facts.count, sizeof(uint32_t),
              order_numbers);
    return facts;
}

/* Residuals of one condition stand together, after those of what it excludes. */
static struct span keep_residuals(struct lists *lists, struct growing *rest)
{
    struct span span = {(uint32_t)lists->residuals.count, (uint32_t)rest->count};
    for (size_t i = 0; i < rest->count; i++)
        *(struct residual *)growing_add(&lists->residuals, sizeof(struct residual)) =
            ITEM(*rest, struct residual, i);
    assert(lists->residuals.count == span.first + span.count);
    free(rest->items);
    return span;
}

/* Any of the tests suffices, so they may be tried in any order: those that a look-up answers,
 * then the others. An anything-but is taken apart in the same way, for what it excludes. */
static void compile_condition(struct matcher *matcher, struct lists *lists,
                              const struct condition_entry *entry)
{
    assert(entry->number < matcher->condition_count && entry->field < matcher->field_count);
    struct condition *condition = &matcher->conditions[entry->number];
    const struct leaf *leaf = entry->leaf;
    struct growing rest = {0};
    condition->field = entry->field;
    condition->source = leaf->source;
    condition->facts =
        split_tests(matcher, lists, entry->field,
                    bytes_of(leaf->tests, leaf->test_count * sizeof(*leaf->tests)), &rest);
    for (size_t i = 0; i < leaf->test_count; i++)
        condition->absent = condition->absent || leaf->tests[i].kind == TEST_ABSENT;
    for (size_t i = 0; i < rest.count; i++) {
        struct residual *residual = &ITEM(rest, struct residual, i);
        const struct test *test = residual->test;
        struct growing inner = {0};
        if (test->kind != TEST_BUT)
            continue;
        residual->facts =
            split_tests(matcher, lists, entry->field,
                        bytes_of(test->excluded, test->excluded_count * sizeof(*test)), &inner);
        residual->residuals = keep_residuals(lists, &inner);
    }
    condition->residuals = keep_residuals(lists, &rest);
}

/* An upper bound of the facts, for the size of their table: it cannot grow once slots are handed
 * out. */
static size_t count_tests(const struct matcher_builder *builder)
{
    size_t count = 0;
    for (size_t i = 0; i < builder->conditions.count; i++) {
        const struct leaf *leaf = ITEM(builder->conditions, struct condition_entry *, i)->leaf;
        for (size_t k = 0; k < leaf->test_count; k++)
            count += 1 + leaf->tests[k].excluded_count;
    }
    return count;
}

static void compile_conditions(struct matcher *matcher, const struct matcher_builder *builder,
                               struct lists *lists)
{
    matcher->field_count = (uint32_t)builder->fields.count;
    matcher->fields = ARENA_ARRAY(&matcher->arena, struct field, matcher->field_count);
    for (uint32_t i = 0; i < matcher->field_count; i++)
        matcher->fields[i].path = ITEM(builder->fields, struct field_entry *, i)->path;
    paths_build(matcher);
    facts_init(matcher, count_tests(builder));
    matcher->condition_count = (uint32_t)builder->conditions.count;
    matcher->conditions = ARENA_ARRAY(&matcher->arena, struct condition, matcher->condition_count);
    for (uint32_t i = 0; i < matcher->condition_count; i++)
        compile_condition(matcher, lists, ITEM(builder->conditions, struct condition_entry *, i));
    facts_finish(matcher);
}

/* The rules of a conjunction are ascending, since rules are added in their order and each adds
 * itself once. */
static void compile_conjunctions(struct matcher *matcher, const struct matcher_builder *builder,
                                 struct lists *lists)
{
    const struct growing *conjunctions = &builder->conjunctions;
    matcher->conjunction_count = (uint32_t)conjunctions->count;
    matcher->conjunctions =
        ARENA_ARRAY(&matcher->arena, struct conjunction, matcher->conjunction_count);
    for (uint32_t i = 0; i < matcher->conjunction_count; i++) {
        const struct conjunction_entry *entry = ITEM(*conjunctions, struct conjunction_entry *, i);
        struct conjunction *conjunction = &matcher->conjunctions[i];
        assert(entry->number == i && entry->rules.count > 0);
        conjunction->conditions = entry->conditions;
        conjunction->rules =
            (struct span){(uint32_t)lists->rules.count, (uint32_t)entry->rules.count};
        for (size_t k = 0; k < entry->rules.count; k++)
            growing_add_number(&lists->rules, growing_numbers(&entry->rules)[k]);
        for (uint32_t k = 0; k < entry->conditions.count; k++) {
            uint32_t condition =
                growing_numbers(&builder->condition_lists)[entry->conditions.first + k];
            conjunction->absent = conjunction->absent || matcher->conditions[condition].absent;
        }
    }
}

/* The arena is handed over first: what was interned lies in it and is used by the matcher as it
 * is. */
struct matcher *matcher_build(struct matcher_builder *builder)
{
    struct lists lists = {{0}, {0}, {0}};
    struct matcher *matcher = mem_new(struct matcher);
    matcher->arena = builder->arena;
    builder->arena = (struct arena){0};
    matcher->rule_count = (unsigned)builder->rule_spans.count;
    compile_conditions(matcher, builder, &lists);
    compile_conjunctions(matcher, builder, &lists);
    matcher->fact_lists = growing_keep(&lists.facts, sizeof(uint32_t), &matcher->arena);
    matcher->residuals = growing_keep(&lists.residuals, sizeof(struct residual), &matcher->arena);
    matcher->rule_lists = growing_keep(&lists.rules, sizeof(uint32_t), &matcher->arena);
    index_build(matcher, &builder->condition_lists);
    assert(matcher->node_count > 0); /* the root, also of no rules */
    matcher->condition_lists =
        growing_keep(&builder->condition_lists, sizeof(uint32_t), &matcher->arena);
    matcher->rule_conjunctions =
        growing_keep(&builder->rule_spans, sizeof(struct span), &matcher->arena);
    matcher->rule_conjunction_lists =
        growing_keep(&builder->rule_conjunctions, sizeof(uint32_t), &matcher->arena);
    matcher_builder_free(builder); /* its entries lie in the arena, which lives on */
    return matcher;
}
