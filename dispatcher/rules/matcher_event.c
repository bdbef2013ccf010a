/* Reading an event: one pass over its text, which checks all of it and keeps the values at the
 * paths that rules name, with the array elements they lie in.
 *
 *     {"a": [{"b": 1, "c": 2}, {"b": 3}]}       members  1: a[0]   2: a[1]
 *                                               values   a.b = 1 in 1, a.c = 2 in 1, a.b = 3 in 2
 *
 * Elements are numbered in the order of the text. So those inside an element, and those of one
 * array, are a run of numbers, which lets the search skip a whole array at once; array_end is where
 * the run ends.
 *
 * Invariant: the text of a value is borrowed from the event, or was decoded into the scratch;
 * both stay until the next event. Every limit is looked at after each step, so that what an
 * event may cost beyond it is one step. */
#include <assert.h>

#include "json.h"
#include "matcher_private.h"
#include "pattern_number.h"

/* An open container whose values matter. */
struct open_value {
    uint32_t node;   /* of the paths */
    uint32_t member; /* the innermost array element it lies in; for arrays: around the array */
    uint32_t array;  /* NONE: an object */
    uint32_t object; /* its number; 0: an array */
};

struct reader {
    const struct matcher *matcher;
    struct matcher_scratch *scratch;
    struct json_scanner scanner;
    struct open_value frames[JSON_DEPTH_MAX];
    unsigned depth; /* frames in use */
    uint32_t field; /* of the last value */
};

/* Values of one field are chained in the order of the text: explanations and searches go through
 * them, and elements of arrays come ascending. */
static void keep_value(struct reader *reader, enum json_token token, uint32_t field,
                       uint32_t member)
{
    struct matcher_scratch *scratch = reader->scratch;
    const struct field *owner = &reader->matcher->fields[field];
    reader->field = field;
    uint32_t index = (uint32_t)scratch->values.count;
    assert(field < reader->matcher->field_count);
    assert(scratch->text_size <= scratch->text_capacity / 2); /* the rest is for lower_value() */
    struct value *value = growing_add(&scratch->values, sizeof(*value));
    *value = (struct value){.text = reader->scanner.raw, .member = member, .next = NONE};
    if (token == JSON_STRING) {
        value->kind = VALUE_STRING;
        if (reader->scanner.escaped) {
            uint8_t *text = scratch->text + scratch->text_size;
            value->text = bytes_of(text, json_unescape(value->text, text));
            scratch->text_size += value->text.size;
        }
    } else if (token == JSON_NUMBER) {
        value->kind = VALUE_NUMBER;
        /* To find the nearest double costs; nobody may want it. */
        if (owner->has_ranges || owner->hashed[FACT_NUMBER])
            value->number = number_value(value->text);
    } else {
        value->kind = (uint8_t)(VALUE_TRUE + (token - JSON_TRUE));
    }
    facts_find(reader->matcher, scratch, owner, value);
    struct field_state *state = &scratch->field_states[field];
    if (state->epoch != scratch->epoch) {
        *state = (struct field_state){scratch->epoch, index, index};
        growing_add_number(&scratch->fields, field);
    } else {
        ((struct value *)scratch->values.items)[state->last].next = index;
        state->last = index;
    }
}

/* Its end is not known yet; 0 stands there until the bracket closes. */
static uint32_t new_array(struct matcher_scratch *scratch)
{
    growing_add_number(&scratch->array_end, 0);
    return (uint32_t)scratch->array_end.count - 1;
}

/* An array or object began as an element of the array in `frame`. */
static uint32_t new_member(struct matcher_scratch *scratch, const struct open_value *frame)
{
    assert(frame->array != NONE);
    uint32_t member = (uint32_t)scratch->members.count;
    *(struct element *)growing_add(&scratch->members, sizeof(struct element)) =
        (struct element){frame->member, frame->array};
    return member;
}

/* Takes the value whose first token was read, at a named node. False on an error. */
static bool take_value(struct reader *reader, enum json_token token, uint32_t node, uint32_t member)
{
    const struct path_node *path = &reader->matcher->path_nodes[node];
    /* No rule names anything inside: it is checked and skipped. An array is entered, as its
     * elements have the path of the array. */
    if (token == JSON_OBJECT && path->key_lengths == 0)
        return json_skip_container(&reader->scanner);
    if (token == JSON_OBJECT || token == JSON_ARRAY) {
        bool is_array = token == JSON_ARRAY;
        uint32_t array = is_array ? new_array(reader->scratch) : NONE;
        uint32_t object = is_array ? 0 : ++reader->scratch->object_count;
        assert(reader->depth < JSON_DEPTH_MAX);
        reader->frames[reader->depth++] = (struct open_value){node, member, array, object};
    } else if (path->field != NONE) {
        keep_value(reader, token, path->field, member);
    }
    return true;
}

/* Takes the next token inside an array. False on an error. */
static bool array_step(struct reader *reader, const struct open_value *frame)
{
    assert(frame->array != NONE && reader->depth > 0);
    enum json_token token = json_next(&reader->scanner);
    uint32_t member = frame->member;
    switch (token) {
    case JSON_ERROR:
    case JSON_END:
        return false;
    case JSON_ARRAY_END:
        assert(reader->depth > 0 && frame->array < reader->scratch->array_end.count);
        growing_numbers(&reader->scratch->array_end)[frame->array] =
            (uint32_t)reader->scratch->members.count;
        reader->depth--;
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
        member = new_member(reader->scratch, frame);
        break;
    case JSON_OBJECT_END:
    case JSON_KEY:
    case JSON_STRING:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return take_value(reader, token, frame->node, member);
}

/* Takes the next member of an object. False on an error. */
static bool object_step(struct reader *reader, const struct open_value *frame)
{
    assert(frame->array == NONE && reader->depth > 0);
    enum json_token token = json_next(&reader->scanner);
    if (token == JSON_ERROR)
        return false;
    if (token == JSON_OBJECT_END) {
        reader->depth--;
        return true;
    }
    /* A decoded key lies where the next text will be written: it is needed only for this step. */
    struct bytes key = reader->scanner.raw;
    if (reader->scanner.escaped) {
        uint8_t *text = reader->scratch->text + reader->scratch->text_size;
        key = bytes_of(text, json_unescape(key, text));
    }
    uint32_t node = paths_step(reader->matcher, frame->node, key);
    if (node == NONE)
        return json_value(&reader->scanner, NULL) != JSON_ERROR;
    uint32_t *last_object = &reader->scratch->path_objects[node];
    if (*last_object == frame->object)
        reader->scratch->repeats_keys = true;
    *last_object = frame->object;
    token = json_next(&reader->scanner);
    return token != JSON_ERROR && take_value(reader, token, node, frame->member);
}

/* All texts are static: an error lives longer than the event. */
static enum status refuse_text(struct matcher_error *error, enum status status, size_t offset,
                               const char *problem)
{
    if (error)
        *error = (struct matcher_error){
            .status = status, .offset = offset, .problem = problem, .rule = MATCHER_NO_RULE};
    return status;
}

/* A rule that names the field; for the text of an error. It goes through all conjunctions, which
 * is slow, once for an event that is refused. */
static uint32_t rule_naming(const struct matcher *matcher, uint32_t field)
{
    assert(field < matcher->field_count);
    for (uint32_t i = 0; i < matcher->conjunction_count; i++) {
        const struct conjunction *conjunction = &matcher->conjunctions[i];
        for (uint32_t k = 0; k < conjunction->conditions.count; k++) {
            uint32_t number = matcher->condition_lists[conjunction->conditions.first + k];
            if (matcher->conditions[number].field == field)
                return matcher->rule_lists[conjunction->rules.first];
        }
    }
    return MATCHER_NO_RULE;
}

/* The field at hand names a rule that wants it, for the operator: which rule makes this event
 * too costly. */
static enum status fail_at_limit(const struct reader *reader, struct bytes event,
                                 struct matcher_error *error)
{
    assert(reader->scratch->exhausted ||
           reader->scratch->values.count > reader->scratch->limits.values_max);
    uint32_t rule = rule_naming(reader->matcher, reader->field);
    if (reader->scratch->exhausted) {
        reader->scratch->culprit = rule;
        return matcher_error_steps(reader->scratch, error, event);
    }
    refuse_text(error, STATUS_LIMIT, json_position(&reader->scanner),
                "too many values at paths that rules name");
    if (error) {
        error->limit = MATCHER_LIMIT_VALUES;
        error->rule = rule;
    }
    return STATUS_LIMIT;
}

/* The size is checked before anything is prepared: room is made for twice the event. */
enum status event_read(const struct matcher *matcher, struct matcher_scratch *scratch,
                       struct bytes event, struct matcher_error *error)
{
    struct reader reader; /* not zeroed: the frames are large and written before they are read */
    const struct matcher_limits *limits = &scratch->limits;
    reader.matcher = matcher;
    reader.scratch = scratch;
    reader.depth = 0;
    reader.field = NONE;
    if (event.size > limits->event_size_max)
        return refuse_text(error, STATUS_TOO_LARGE, event.size, "the event is too large");
    scratch_begin(scratch, matcher, event);
    json_init(&reader.scanner, event, limits->event_depth_max);
    enum json_token token = json_next(&reader.scanner);
    if (token != JSON_OBJECT && token != JSON_ERROR)
        return refuse_text(error, STATUS_MALFORMED, reader.scanner.start,
                           "an event must be a JSON object");
    bool good = token == JSON_OBJECT;
    if (good)
        reader.frames[reader.depth++] = (struct open_value){0, 0, NONE, ++scratch->object_count};
    while (good && reader.depth > 0) {
        const struct open_value *frame = &reader.frames[reader.depth - 1];
        good = frame->array == NONE ? object_step(&reader, frame) : array_step(&reader, frame);
        if (scratch->values.count > limits->values_max || scratch->exhausted)
            return fail_at_limit(&reader, event, error);
    }
    if (!good || json_next(&reader.scanner) != JSON_END)
        return refuse_text(error, reader.scanner.status, reader.scanner.problem_offset,
                           reader.scanner.problem);
    return STATUS_OK;
}
