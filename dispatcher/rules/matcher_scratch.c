/* The scratch: what one event needs, kept from event to event.
 *
 * Matching allocates nothing once the scratch has grown to what events need. Arrays by rule, field
 * or condition are as large as those of the largest matcher so far, and are not cleared between
 * events: what is in them counts only with the mark of the present event (epoch). So the cost of an
 * event does not grow with the number of rules through the clearing either.
 *
 * Invariant: between two events rule_bits and `chosen` are all zero, and no mark has the epoch
 * that comes next. */
#include <assert.h>
#include <stdlib.h>

#include "json.h"
#include "matcher_private.h"
#include "mem.h"

/* Doubles, so that adding costs the same on average however many there are. */
void growing_reserve(struct growing *growing, size_t count, size_t element_size)
{
    if (count <= growing->capacity)
        return;
    assert(element_size > 0 && growing->count <= growing->capacity);
    size_t capacity = growing->capacity ? growing->capacity : 16;
    while (capacity < count)
        capacity *= 2;
    growing->items = mem_resize(growing->items, capacity, element_size);
    growing->capacity = capacity;
}

void *growing_keep(struct growing *growing, size_t element_size, struct arena *arena)
{
    assert(growing->count <= growing->capacity);
    size_t size = growing->count * element_size;
    void *kept = arena_alloc(arena, size);
    if (size > 0)
        memcpy(kept, growing->items, size);
    free(growing->items);
    *growing = (struct growing){0};
    return kept;
}

/* Nothing is allocated for the limits: they say how far it may grow. */
struct matcher_scratch *matcher_scratch_new(const struct matcher_limits *limits)
{
    assert(limits->event_depth_max >= 1 && limits->event_depth_max <= JSON_DEPTH_MAX);
    assert(limits->event_size_max < UINT32_MAX / 4);
    struct matcher_scratch *scratch = mem_new(struct matcher_scratch);
    scratch->limits = *limits;
    return scratch;
}

void matcher_scratch_free(struct matcher_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->values.items);
    free(scratch->facts.items);
    free(scratch->members.items);
    free(scratch->array_end.items);
    free(scratch->fields.items);
    free(scratch->matched.items);
    free(scratch->options.items);
    free(scratch->levels.items);
    free(scratch->chosen.items);
    free(scratch->text);
    free(scratch->field_states);
    free(scratch->condition_marks);
    free(scratch->conjunction_marks);
    free(scratch->node_marks);
    free(scratch->path_objects);
    free(scratch->rule_bits);
    free(scratch);
}

/* Makes a zeroed array hold `count` elements; new ones are zero. */
static void *widen(void *array, size_t *capacity, size_t count, size_t element_size)
{
    assert(*capacity == 0 || array);
    if (count <= *capacity)
        return array;
    uint8_t *wider = mem_resize(array, count, element_size);
    memset(wider + *capacity * element_size, 0, (count - *capacity) * element_size);
    *capacity = count;
    return wider;
}

/* The marks of two bits beside the epoch leave it 30. When these are used up all marks are void
 * at once: one event in a thousand million pays for it. */
static void next_epoch(struct matcher_scratch *scratch)
{
    if (++scratch->epoch < UINT32_C(1) << 30)
        return;
    memset(scratch->field_states, 0, scratch->field_capacity * sizeof(struct field_state));
    memset(scratch->condition_marks, 0, scratch->condition_capacity * sizeof(uint32_t));
    memset(scratch->conjunction_marks, 0, scratch->conjunction_capacity * sizeof(uint32_t));
    memset(scratch->node_marks, 0, scratch->node_capacity * sizeof(uint32_t));
    scratch->epoch = 1;
}

/* The matcher may be another one than for the last event, with more of everything: rules were
 * loaded anew. */
void scratch_begin(struct matcher_scratch *scratch, const struct matcher *matcher,
                   struct bytes event)
{
    scratch->field_states = widen(scratch->field_states, &scratch->field_capacity,
                                  matcher->field_count, sizeof(struct field_state));
    scratch->condition_marks = widen(scratch->condition_marks, &scratch->condition_capacity,
                                     matcher->condition_count, sizeof(uint32_t));
    scratch->conjunction_marks = widen(scratch->conjunction_marks, &scratch->conjunction_capacity,
                                       matcher->conjunction_count, sizeof(uint32_t));
    scratch->node_marks =
        widen(scratch->node_marks, &scratch->node_capacity, matcher->node_count, sizeof(uint32_t));
    scratch->rule_bits = widen(scratch->rule_bits, &scratch->rule_capacity,
                               (size_t)matcher->rule_count / 64 + 1, sizeof(uint64_t));
    scratch->path_objects = widen(scratch->path_objects, &scratch->path_capacity,
                                  matcher->path_node_count, sizeof(uint32_t));
    next_epoch(scratch);
    /* An event enters at most one object for each of its bytes. */
    if (scratch->object_count > UINT32_MAX - event.size) {
        memset(scratch->path_objects, 0, scratch->path_capacity * sizeof(uint32_t));
        scratch->object_count = 0;
    }
    /* Decoded strings are no longer than the event, nor is one of them in lower case. */
    if (scratch->text_capacity < 2 * event.size) {
        scratch->text_capacity = 2 * event.size;
        scratch->text = mem_resize(scratch->text, scratch->text_capacity, 1);
    }
    /* What an event left behind is forgotten by its counts; the memory stays. */
    assert(scratch->epoch > 0 && scratch->text_capacity >= 2 * event.size);
    scratch->text_size = 0;
    scratch->values.count = 0;
    scratch->facts.count = 0;
    scratch->members.count = 0;
    scratch->array_end.count = 0;
    scratch->fields.count = 0;
    scratch->matched.count = 0;
    scratch->steps = 0;
    scratch->exhausted = false;
    scratch->repeats_keys = false;
    scratch->culprit = MATCHER_NO_RULE;
    /* Element 0 stands for "in no array"; it is nobody's parent, and loops over parents end at
     * it. */
    *(struct element *)growing_add(&scratch->members, sizeof(struct element)) =
        (struct element){0, NONE};
}
