/* Whether a condition holds, by itself.
 *
 * A condition is a field and tests of which one must hold for one value. The verdict is kept for
 * the event: the tree asks for a guard, the checks of many conjunctions ask again. It says more
 * than yes and no, since a value inside an array holds only together with others of the same
 * element; that is put together in matcher_search.c. */
#include <assert.h>

#include "matcher_private.h"

/* Halves the list until a few are left, which are compared in a row: faster than halving to the end,
 * and most lists are that short. */
static bool list_has(const uint32_t *list, uint32_t count, uint32_t fact)
{
    while (count > 8) {
        uint32_t half = count / 2;
        if (list[half] <= fact) {
            list += half;
            count -= half;
        } else {
            count = half;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == fact)
            return true;
    return false;
}

/* Facts of a value are few, those that a condition wants may be thousands: each of the few is
 * looked for. */
static bool has_fact(const struct matcher *matcher, const struct matcher_scratch *scratch,
                     struct span wanted, const struct value *value)
{
    if (wanted.count == 0 || value->facts.count == 0)
        return false;
    const uint32_t *list = matcher->fact_lists + wanted.first;
    const uint32_t *facts = growing_numbers(&scratch->facts) + value->facts.first;
    for (uint32_t i = 0; i < value->facts.count; i++)
        if (list_has(list, wanted.count, facts[i]))
            return true;
    return false;
}

/* One residual that is not anything-but. */
static bool residual_holds(const struct test *test, const struct value *value)
{
    bool is_text = value->kind == VALUE_STRING;
    switch (test->kind) {
    case TEST_RANGE:
        return value->kind == VALUE_NUMBER && value->number >= test->low &&
               value->number <= test->high;
    case TEST_WILDCARD:
        return is_text && wildcard_match(&test->wildcard, value->text);
    case TEST_FOLD:
        return is_text && fold_match_front(&test->fold, value->text) == value->text.size;
    case TEST_FOLD_PREFIX:
        return is_text && fold_match_front(&test->fold, value->text) != SIZE_MAX;
    case TEST_FOLD_SUFFIX:
        return is_text && fold_match_back(&test->fold, value->text) != SIZE_MAX;
    case TEST_BUT:    /* excluded tests exclude nothing themselves */
    case TEST_ABSENT: /* not asked of a value */
    case TEST_TEXT:   /* facts, and so are those that follow */
    case TEST_BLOCK:
    case TEST_NUMBER:
    case TEST_SPELLING:
    case TEST_TRUE:
    case TEST_FALSE:
    case TEST_NULL:
    case TEST_PREFIX:
    case TEST_SUFFIX:
    case TEST_EXISTS:
        break;
    }
    assert(!"a residual test");
    return false;
}

/* Facts first: they are known already, while a residual goes over the value's text. */
bool condition_holds_for(const struct matcher *matcher, const struct matcher_scratch *scratch,
                         const struct condition *condition, const struct value *value)
{
    if (has_fact(matcher, scratch, condition->facts, value))
        return true;
    const struct residual *residuals = matcher->residuals + condition->residuals.first;
    for (uint32_t i = 0; i < condition->residuals.count; i++) {
        const struct residual *residual = &residuals[i];
        if (residual->test->kind != TEST_BUT) {
            if (residual_holds(residual->test, value))
                return true;
            continue;
        }
        bool excluded = has_fact(matcher, scratch, residual->facts, value);
        const struct residual *inner = matcher->residuals + residual->residuals.first;
        for (uint32_t k = 0; k < residual->residuals.count && !excluded; k++)
            excluded = residual_holds(inner[k].test, value);
        if (!excluded)
            return true;
    }
    return false;
}

/* FREE: it holds by a value outside all arrays (or by absence), whatever is chosen of arrays. BOUND:
 * it may hold, by an element that matcher_search.c has to choose. */
static enum verdict judge_residual(const struct matcher *matcher, struct matcher_scratch *scratch,
                                   const struct condition *condition)
{
    assert(condition->field < matcher->field_count);
    uint32_t index = first_value(scratch, condition->field);
    if (index == NONE)
        return condition->absent ? VERDICT_FREE : VERDICT_NO;
    enum verdict verdict = VERDICT_NO;
    bool all_inside = true; /* every value lies inside an array element */
    for (; index != NONE; index = value_at(scratch, index)->next) {
        const struct value *value = value_at(scratch, index);
        if (!spend(scratch, residual_steps(condition, value)))
            return VERDICT_NO;
        all_inside = all_inside && value->member != 0;
        /* Another element adds nothing now: which one is taken is for the search to say. */
        if (verdict == VERDICT_BOUND && value->member != 0)
            continue;
        if (!condition_holds_for(matcher, scratch, condition, value))
            continue;
        if (value->member == 0)
            return VERDICT_FREE;
        verdict = VERDICT_BOUND;
    }
    /* The choice of other elements may leave none of these values, and then the field is absent. */
    if (condition->absent && all_inside)
        verdict = VERDICT_BOUND;
    return verdict;
}

/* A verdict that was cut short by the limit is kept as NO, which no one uses: the event ends in
 * an error. */
enum verdict condition_verdict(const struct matcher *matcher, struct matcher_scratch *scratch,
                               uint32_t condition)
{
    assert(condition < matcher->condition_count && scratch->epoch > 0);
    uint32_t mark = scratch->condition_marks[condition];
    if (mark >> 2 == scratch->epoch)
        return mark & 3;
    enum verdict verdict = judge_residual(matcher, scratch, &matcher->conditions[condition]);
    scratch->condition_marks[condition] = scratch->epoch << 2 | verdict;
    return verdict;
}
