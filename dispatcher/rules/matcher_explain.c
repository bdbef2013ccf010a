/* Why a rule does not match an event, for a person.
 *
 * Judges one rule by the same verdicts and the same search as matching does, but without the
 * tree: there is nothing to save for one rule, and an explanation that followed other code could
 * explain something else. Values come from events, so what is shown is cut in number and length. */
#include <assert.h>

#include "json.h"
#include "matcher_private.h"
#include "unicode.h"

enum {
    SHOWN_VALUES_MAX = 5,  /* of a field */
    SHOWN_BYTES_MAX = 200, /* of a value, or of what is wanted */
};

/* Appends text, cut between characters if it is long. */
static void append_cut(struct buffer *text, struct bytes shown)
{
    if (shown.size <= SHOWN_BYTES_MAX) {
        buffer_append(text, shown);
        return;
    }
    buffer_append(text, bytes_of(shown.data, unicode_cut(shown, SHOWN_BYTES_MAX)));
    buffer_append_string(text, "…");
}

/* Strings are written as JSON, so that "1" and 1 look different: that is often the reason. */
static void append_value(struct buffer *text, const struct value *value)
{
    if (value->kind != VALUE_STRING) {
        append_cut(text, value->text);
        return;
    }
    auto_buffer struct buffer string = {0};
    json_write_string(&string, value->text);
    append_cut(text, buffer_peek(&string));
}

/* The empty path is that of the key "", and must not look like nothing. */
static void append_path(struct buffer *text, struct bytes path)
{
    if (path.size == 0)
        buffer_append_string(text, "\"\"");
    json_write_escaped(text, path);
}

/* What was wanted is shown as the rule spells it, what was there as the event does. */
static void explain_condition(const struct matcher *matcher, const struct matcher_scratch *scratch,
                              const struct condition *condition, struct buffer *text)
{
    assert(condition->field < matcher->field_count);
    append_path(text, matcher->fields[condition->field].path);
    buffer_append_string(text, ": wanted ");
    append_cut(text, condition->source);
    uint32_t index = first_value(scratch, condition->field);
    buffer_append_string(text, index == NONE ? ", there was nothing" : ", there was ");
    for (unsigned shown = 0; index != NONE; shown++, index = value_at(scratch, index)->next) {
        if (shown > 0)
            buffer_append_string(text, ", ");
        if (shown == SHOWN_VALUES_MAX) {
            buffer_append_string(text, "…");
            break;
        }
        append_value(text, value_at(scratch, index));
    }
}

/* Every condition holds for some value, but not for values of the same array elements. */
static void explain_inconsistency(const struct matcher *matcher,
                                  const struct matcher_scratch *scratch,
                                  const struct conjunction *conjunction, struct buffer *text)
{
    buffer_append_string(text, "no single array element has all of ");
    bool first = true;
    for (uint32_t i = 0; i < conjunction->conditions.count; i++) {
        uint32_t number = matcher->condition_lists[conjunction->conditions.first + i];
        if ((scratch->condition_marks[number] & 3) != VERDICT_BOUND)
            continue;
        const struct condition *condition = &matcher->conditions[number];
        buffer_append_string(text, first ? "" : ", ");
        append_path(text, matcher->fields[condition->field].path);
        buffer_append_string(text, " ");
        append_cut(text, condition->source);
        first = false;
    }
}

/* How far a conjunction comes: the place of its first condition that fails, or how many it has. */
static uint32_t progress(const struct matcher *matcher, struct matcher_scratch *scratch,
                         const struct conjunction *conjunction)
{
    for (uint32_t i = 0; i < conjunction->conditions.count; i++) {
        uint32_t number = matcher->condition_lists[conjunction->conditions.first + i];
        if (condition_verdict(matcher, scratch, number) == VERDICT_NO)
            return i;
    }
    return conjunction->conditions.count;
}

/* The alternative of a rule to be told about, and how far it comes; false if the rule matches.
 * Of several alternatives a person wants to hear of the one that was nearly it: the one whose
 * conditions held furthest, in the order of their paths. */
static bool find_failure(const struct matcher *matcher, struct matcher_scratch *scratch,
                         struct span alternatives, uint32_t *best, uint32_t *best_progress)
{
    assert(alternatives.count > 0);
    for (uint32_t i = 0; i < alternatives.count && !scratch->exhausted; i++) {
        uint32_t number = matcher->rule_conjunction_lists[alternatives.first + i];
        const struct conjunction *conjunction = &matcher->conjunctions[number];
        uint32_t place = progress(matcher, scratch, conjunction);
        if (place == conjunction->conditions.count &&
            search_consistent(matcher, scratch, conjunction))
            return false;
        if (i == 0 || place > *best_progress) {
            *best = i;
            *best_progress = place;
        }
    }
    return true;
}

enum status matcher_explain(const struct matcher *matcher, struct matcher_scratch *scratch,
                            struct bytes event, unsigned rule, struct buffer *text,
                            struct matcher_error *error)
{
    assert(rule < matcher->rule_count);
    enum status status = event_read(matcher, scratch, event, error);
    if (status)
        return status;
    const struct span alternatives = matcher->rule_conjunctions[rule];
    uint32_t best = 0, place = 0;
    bool fails = find_failure(matcher, scratch, alternatives, &best, &place);
    if (scratch->exhausted) {
        scratch->culprit = rule;
        return matcher_error_steps(scratch, error, event);
    }
    if (!fails) {
        buffer_append_string(text, "matches");
        return STATUS_OK;
    }
    const struct conjunction *conjunction =
        &matcher->conjunctions[matcher->rule_conjunction_lists[alternatives.first + best]];
    assert(place <= conjunction->conditions.count);
    if (place == conjunction->conditions.count) {
        explain_inconsistency(matcher, scratch, conjunction, text);
    } else {
        uint32_t number = matcher->condition_lists[conjunction->conditions.first + place];
        explain_condition(matcher, scratch, &matcher->conditions[number], text);
    }
    if (alternatives.count > 1)
        buffer_append_format(text, " (the closest of %u alternatives)", alternatives.count);
    return STATUS_OK;
}
