/* The compiled form of all patterns and the scratch of one event. Internal to matcher*.c.
 *
 *   event text -> values of named fields -> facts of each value -> tree -> conjunctions -> rules
 *                 (matcher_event.c)         (matcher_facts.c)     (matcher.c, built by
 *                                                                  matcher_index.c)
 *
 * A field is a path that some rule names. A condition is a field and its matchers; equal ones are
 * one. A conjunction is an alternative of a pattern: conditions of which all must hold; equal ones
 * are one. A fact is something of one value that a lookup can tell: it equals this text, has this
 * prefix, lies in this block. Facts belong to one field. */
#ifndef DISPATCHER_RULES_MATCHER_PRIVATE_H
#define DISPATCHER_RULES_MATCHER_PRIVATE_H

#include "matcher.h"
#include "pattern_model.h"

#define NONE UINT32_MAX

/* An array that grows by doubling; the element type is the user's to know. */
struct growing {
    void *items;
    size_t count;
    size_t capacity;
};

void growing_reserve(struct growing *growing, size_t count, size_t element_size);

/* Room for one more element. */
static inline void *growing_add(struct growing *growing, size_t element_size)
{
    if (growing->count == growing->capacity)
        growing_reserve(growing, growing->count + 1, element_size);
    return (uint8_t *)growing->items + element_size * growing->count++;
}

static inline void growing_add_number(struct growing *growing, uint32_t number)
{
    *(uint32_t *)growing_add(growing, sizeof(number)) = number;
}

static inline void growing_add_pointer(struct growing *growing, void *pointer)
{
    *(void **)growing_add(growing, sizeof(pointer)) = pointer;
}

/* Moves the content into an arena and leaves an empty array. */
void *growing_keep(struct growing *growing, size_t element_size, struct arena *arena);

static inline uint32_t *growing_numbers(const struct growing *growing)
{
    return growing->items;
}

/* For qsort(): ascending. */
static inline int order_numbers(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* A run of some table's elements. */
struct span {
    uint32_t first;
    uint32_t count;
};

/* --- paths --------------------------------------------------------------------------------- */

struct path_node {
    uint32_t field;       /* NONE: no rule names this path itself */
    uint64_t key_lengths; /* bit min(length, 63) for each key that leads on; 0: a leaf */
    bool deep;            /* a child leads on, so that a key "a.b" may lead there in one step */
};

struct path_edge {
    uint32_t parent; /* NONE: an empty slot */
    uint32_t child;
    struct bytes key;
};

/* --- facts --------------------------------------------------------------------------------- */

enum fact_kind {
    /* Found by hashing. */
    FACT_TEXT,
    FACT_FOLDED, /* ASCII text in lower case */
    FACT_NUMBER,
    FACT_SPELLING,
    /* Found by order: see struct nest_item. */
    FACT_PREFIX,
    FACT_SUFFIX, /* compared from the end */
    FACT_BLOCK,
    FACT_KIND_COUNT,
    FACT_NEST = FACT_PREFIX, /* the first of these */
    NEST_COUNT = FACT_KIND_COUNT - FACT_NEST,
};

struct fact_slot {
    uint32_t fact; /* NONE: an empty slot */
    uint32_t field;
    enum fact_kind kind;
    struct bytes key; /* FACT_NUMBER: none, the number decides; FACT_BLOCK: address and bits */
    double number;
};

/* Any two prefixes (or suffixes, or blocks) are apart or one contains the other. So those that
 * contain a value are the last one that is not after it in their order, or its parents. */
struct nest_item {
    struct bytes key; /* as in struct fact_slot */
    uint32_t fact;
    uint32_t parent; /* the smallest that contains this one; NONE */
};

struct field {
    struct bytes path;
    bool hashed[FACT_KIND_COUNT]; /* the kinds of hashed facts that it has */
    size_t folded_size_max;
    struct span nests[NEST_COUNT]; /* by kind, less FACT_NEST */
    uint32_t literals[3];          /* facts: true, false, null */
    uint32_t exists;               /* fact: any value */
    bool has_ranges;
};

/* --- conditions ---------------------------------------------------------------------------- */

/* A test that no lookup answers. Of an anything-but, what it excludes is split likewise. */
struct residual {
    const struct test *test;
    struct span facts;     /* TEST_BUT: in fact_lists */
    struct span residuals; /* TEST_BUT */
};

struct condition {
    uint32_t field;
    struct span facts;     /* in fact_lists, ascending: any of them suffices */
    struct span residuals; /* or any of these */
    bool absent;           /* or that there is no value */
    struct bytes source;
};

struct conjunction {
    struct span conditions; /* in condition_lists, in the order of their paths */
    struct span checks;     /* the same in the order of checking: the most selective first */
    struct span rules;      /* in rule_lists, ascending */
    bool absent;            /* one of the conditions may hold by absence */
};

/* --- the tree ------------------------------------------------------------------------------ */

/* A number in [low, high] leads to a node. */
struct range_guard {
    double low;
    double high;
    uint32_t node;
};

/* A condition that holds leads to a node. */
struct guard {
    uint32_t condition;
    uint32_t node;
};

/* A fact leads to a node. */
struct fact_edge {
    uint32_t fact;
    uint32_t node;
};

/* What the values of one field decide at a node. */
struct branch {
    uint32_t field;
    struct span edges;  /* ascending by fact; at the root: in root_edges instead */
    struct span ranges; /* ascending by low */
    struct span guards;
};

/* At a node, every condition on the way to it holds. */
struct tree_node {
    struct span conjunctions; /* in conjunction_lists: to be checked */
    struct span branches;
};

struct matcher {
    struct arena arena;
    unsigned rule_count;
    struct path_node *path_nodes; /* 0: the root */
    uint32_t path_node_count;
    struct path_edge *path_edges; /* open addressing */
    uint32_t path_edge_mask;
    struct field *fields;
    uint32_t field_count;
    struct fact_slot *fact_slots; /* open addressing */
    uint32_t fact_slot_mask;
    uint32_t fact_count; /* all facts: hashed, nested, literals, exists */
    float *fact_chances; /* of each fact: a guess how often a value has it */
    struct nest_item *nest_items;
    uint32_t *fact_lists;
    struct residual *residuals;
    struct condition *conditions;
    uint32_t condition_count;
    uint32_t *condition_lists;
    struct conjunction *conjunctions;
    uint32_t conjunction_count;
    uint32_t *rule_lists;
    struct span *rule_conjunctions; /* of each rule, in rule_conjunction_lists */
    uint32_t *rule_conjunction_lists;
    struct tree_node *nodes;
    uint32_t node_count;
    struct branch *branches;
    struct fact_edge *edges;
    struct range_guard *ranges;
    struct guard *guards;
    uint32_t *conjunction_lists;
    uint32_t root;
    uint32_t *root_edges;    /* of each fact: the node it leads to from the root, or NONE */
    uint32_t *root_branches; /* of each field: its branch at the root, or NONE */
};

/* --- the scratch --------------------------------------------------------------------------- */

enum value_kind {
    VALUE_STRING,
    VALUE_NUMBER,
    VALUE_TRUE,
    VALUE_FALSE,
    VALUE_NULL,
};

/* A value at a named path. */
struct value {
    struct bytes text; /* strings: decoded; others: as spelled */
    double number;
    struct span facts; /* in the scratch's facts */
    uint32_t member;   /* the innermost array element it lies in, not counting itself; 0: none */
    uint32_t next;     /* of the same field, in the order of the text; NONE */
    uint8_t kind;      /* enum value_kind */
};

/* An element, itself an array or object, of an array. Elements are numbered from 1 as they begin,
 * so that those inside an element follow it, up to the array's end. */
struct element {
    uint32_t parent; /* the element around it; 0: none */
    uint32_t array;
};

/* What is known of a field in this event. */
struct field_state {
    uint32_t epoch;
    uint32_t first;
    uint32_t last;
};

/* Whether a condition holds by itself. */
enum verdict {
    VERDICT_NO,
    VERDICT_FREE,  /* whatever is chosen for other conditions */
    VERDICT_BOUND, /* only by values inside array elements, or depending on what is chosen */
};

struct matcher_scratch {
    struct matcher_limits limits;
    uint32_t epoch;           /* of the event; a mark of another epoch is void */
    struct growing values;    /* struct value */
    struct growing facts;     /* uint32_t */
    struct growing members;   /* struct element; [0] is no element */
    struct growing array_end; /* uint32_t, by array: the first member after it */
    struct growing fields;    /* uint32_t: fields with values */
    struct growing matched;   /* uint32_t: rules */
    struct growing options;   /* uint32_t: members, for the search */
    struct growing levels;    /* for the search */
    struct growing chosen;    /* by array, for the search; all zero between two searches */
    uint8_t *text;            /* decoded strings */
    size_t text_size;
    size_t text_capacity;
    struct field_state *field_states;
    uint32_t *condition_marks;   /* epoch << 2 | verdict */
    uint32_t *conjunction_marks; /* epoch: was checked */
    uint32_t *node_marks;        /* epoch: was visited */
    uint32_t *path_objects;      /* of each path node: the object whose key led to it last */
    uint64_t *rule_bits;
    size_t field_capacity, condition_capacity, conjunction_capacity, node_capacity, rule_capacity,
        path_capacity;
    uint32_t object_count; /* objects entered, of all events: their names in path_objects */
    bool repeats_keys;
    uint64_t steps;
    bool exhausted;   /* steps_max is reached */
    uint32_t culprit; /* then: the rule at hand, MATCHER_NO_RULE until it is known */
};

/* --- between the files --------------------------------------------------------------------- */

/* matcher_facts.c, while compiling: makes room for so many calls; the fact that a test asks for,
 * made if new, NONE if lookups cannot tell; what is to be done after the last of them. */
void facts_init(struct matcher *matcher, size_t tests);
uint32_t facts_intern(struct matcher *matcher, uint32_t field, const struct test *test);
void facts_finish(struct matcher *matcher);

/* The facts of a value of the event. */
void facts_find(const struct matcher *matcher, struct matcher_scratch *scratch,
                const struct field *field, struct value *value);

/* matcher_path.c: the tree of all fields' paths; the node that a key leads to, or NONE. */
void paths_build(struct matcher *matcher);
uint32_t paths_step(const struct matcher *matcher, uint32_t node, struct bytes key);

/* matcher_index.c: fills the checks of the conjunctions, which go behind their conditions in
 * `condition_lists`, and the tree. */
void index_build(struct matcher *matcher, struct growing *condition_lists);

/* matcher_event.c: reads the values of named fields; checks all of the text. */
enum status event_read(const struct matcher *matcher, struct matcher_scratch *scratch,
                       struct bytes event, struct matcher_error *error) MUST_CHECK;

/* matcher_condition.c */
bool condition_holds_for(const struct matcher *matcher, const struct matcher_scratch *scratch,
                         const struct condition *condition, const struct value *value);
enum verdict condition_verdict(const struct matcher *matcher, struct matcher_scratch *scratch,
                               uint32_t condition);

/* matcher_search.c: whether one value for each condition can be chosen so that no array appears
 * with two elements. */
bool search_consistent(const struct matcher *matcher, struct matcher_scratch *scratch,
                       const struct conjunction *conjunction);

/* matcher.c: fills `error` (may be NULL) when steps_max is reached, and returns its status. */
enum status matcher_error_steps(const struct matcher_scratch *scratch, struct matcher_error *error,
                                struct bytes event);

/* matcher_scratch.c: readies the scratch for an event of a matcher. */
void scratch_begin(struct matcher_scratch *scratch, const struct matcher *matcher,
                   struct bytes event);

static inline const struct value *value_at(const struct matcher_scratch *scratch, uint32_t index)
{
    return (const struct value *)scratch->values.items + index;
}

/* The first value of a field in this event, or NONE. */
static inline uint32_t first_value(const struct matcher_scratch *scratch, uint32_t field)
{
    const struct field_state *state = &scratch->field_states[field];
    return state->epoch == scratch->epoch ? state->first : NONE;
}

/* Counts work; false once there has been too much for one event. */
static inline bool spend(struct matcher_scratch *scratch, uint64_t steps)
{
    scratch->steps += steps;
    if (scratch->steps > scratch->limits.steps_max)
        scratch->exhausted = true;
    return !scratch->exhausted;
}

/* What it costs to put a value to tests that no lookup answers. */
static inline uint64_t residual_steps(const struct condition *condition, const struct value *value)
{
    uint64_t each = 1 + (value->kind == VALUE_STRING ? value->text.size / 64 : 0);
    return 1 + condition->residuals.count * each;
}

#endif
