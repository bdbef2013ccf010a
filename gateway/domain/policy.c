/* Who may be in which room, and who may send which event, by the claims of a token. All that is not
 * allowed is denied: there is no rule that takes away, so their order means nothing and a rule
 * more never closes a room. */
#include "json.h"
#include "mem.h"
#include "narrow.h"
#include "policy_parts.h"
#include "room.h"

static void conditions_deinit(struct policy_conditions *conditions)
{
    for (size_t i = 0; i < conditions->count; i++) {
        struct policy_condition *condition = &conditions->items[i];
        for (size_t j = 0; j < condition->count; j++)
            free(condition->values[j]);
        free(condition->values);
    }
}

void policy_join_rule_deinit(struct policy_join_rule *rule)
{
    policy_template_deinit(&rule->room);
    conditions_deinit(&rule->conditions);
    *rule = (struct policy_join_rule){0};
}

void policy_event_rule_deinit(struct policy_event_rule *rule)
{
    free(rule->name);
    conditions_deinit(&rule->conditions);
    *rule = (struct policy_event_rule){0};
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->connect_count; i++)
        policy_template_deinit(&policy->connect[i]);
    for (size_t i = 0; i < policy->join_count; i++)
        policy_join_rule_deinit(&policy->join[i]);
    for (size_t i = 0; i < policy->event_count; i++)
        policy_event_rule_deinit(&policy->events[i]);
    policy_names_deinit(&policy->names);
    free(policy);
}

const char *policy_tenant_claim(const struct policy *policy)
{
    assert(policy->names.count > CLAIMS_FIELD_TENANT);
    return policy->names.items[CLAIMS_FIELD_TENANT];
}

const char *policy_user_claim(const struct policy *policy)
{
    assert(policy->names.count > CLAIMS_FIELD_USER);
    return policy->names.items[CLAIMS_FIELD_USER];
}

/* Of several the first, in the order of the token; empty: there is none. */
static struct bytes first_value(const struct claims *claims, unsigned field)
{
    size_t position = 0;
    struct bytes value;
    return claims_next(claims, field, &position, &value) ? value : bytes_of("", 0);
}

/* Of an array of ids the first: a token has one. */
struct bytes policy_token_id(const struct policy *policy, const struct claims *claims)
{
    return first_value(claims, policy->token_field);
}

int64_t policy_issued_ms(const struct policy *policy, const struct claims *claims)
{
    enum { DIGITS = 15, SECOND_MS = 1000 };
    struct bytes text = first_value(claims, policy->issued_field);
    int64_t seconds = 0;
    /* A token that does not say when it was issued is as old as can be: an order against old
     * tokens takes it in. */
    if (text.size == 0 || text.size > DIGITS)
        return INT64_MIN;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return INT64_MIN; /* before 1970, or no time at all */
        seconds = 10 * seconds + (text.data[i] - '0');
    }
    return seconds * SECOND_MS;
}

size_t policy_connect_count(const struct policy *policy)
{
    return policy->connect_count;
}

enum status policy_claims(const struct policy *policy, struct claims_json json,
                          struct claims **claims)
{
    return claims_pack((const char *const *)policy->names.items, policy->names.count, json, claims);
}

/* As an object that policy_claims() reads to the same claims, for another gateway. Each value in
 * an array: one or several are the same to it. */
void policy_write_claims(const struct policy *policy, const struct claims *claims,
                         struct buffer *out)
{
    bool first = true;
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < policy->names.count; i++) {
        size_t position = 0;
        struct bytes value;
        if (!claims_next(claims, narrow_32(i), &position, &value))
            continue;
        buffer_append_string(out, first ? "" : ",");
        first = false;
        json_write_string(out, bytes_of_string(policy->names.items[i]));
        buffer_append_string(out, ":[");
        json_write_string(out, value);
        while (claims_next(claims, narrow_32(i), &position, &value)) {
            buffer_append_byte(out, ',');
            json_write_string(out, value);
        }
        buffer_append_byte(out, ']');
    }
    buffer_append_byte(out, '}');
}

void policy_connect_rooms(const struct policy *policy, const struct claims *claims,
                          policy_room_fn *each, void *context)
{
    /* Several claims with several values each multiply: the product is bounded, not only its
     * factors. */
    unsigned budget = POLICY_CONNECT_ROOMS_LIMIT;
    for (size_t i = 0; i < policy->connect_count; i++)
        policy_template_expand(&policy->connect[i], claims, &budget, each, context);
}

/* One of the token's values is one of the condition's. */
static bool condition_holds(const struct policy_condition *condition, const struct claims *claims)
{
    size_t position = 0;
    struct bytes value;
    assert(condition->count > 0); /* else it would hold never, and the file was refused */
    while (claims_next(claims, condition->field, &position, &value))
        for (size_t i = 0; i < condition->count; i++)
            if (bytes_equal_string(value, condition->values[i]))
                return true;
    return false;
}

/* All of them: several of one rule are joined by "and", several rules by "or". */
static bool conditions_hold(const struct policy_conditions *conditions, const struct claims *claims)
{
    for (size_t i = 0; i < conditions->count; i++)
        if (!condition_holds(&conditions->items[i], claims))
            return false;
    return true;
}

bool policy_gives(const struct policy *policy, const struct claims *claims, struct bytes room)
{
    assert(policy->connect_count <= POLICY_TEMPLATES_LIMIT);
    for (size_t i = 0; i < policy->connect_count; i++)
        if (policy_template_match(&policy->connect[i], claims, room))
            return true;
    return false;
}

bool policy_may_join(const struct policy *policy, const struct claims *claims, struct bytes room)
{
    /* A name that is no room is open to nobody, whatever a template with `*` would say. */
    struct room_name parsed;
    if (room_parse(room, &parsed, NULL) != STATUS_OK)
        return false;
    for (size_t i = 0; i < policy->join_count; i++)
        if (conditions_hold(&policy->join[i].conditions, claims) &&
            policy_template_match(&policy->join[i].room, claims, room))
            return true;
    /* What is given at connect may be joined again after it was left. */
    return policy_gives(policy, claims, room);
}

bool policy_has_events(const struct policy *policy)
{
    return policy->event_count > 0;
}

/* `order.*` names every event that begins so. */
static bool is_named(const struct policy_event_rule *rule, struct bytes name)
{
    struct bytes own = bytes_of_string(rule->name);
    return rule->open ? bytes_start_with(name, own) : bytes_equal(name, own);
}

enum status policy_may_send(const struct policy *policy, const struct claims *claims,
                            struct bytes name)
{
    assert(policy->event_count <= POLICY_TEMPLATES_LIMIT);
    /* No such event is told apart from one that this token may not send: what events there are
     * is no secret, and a client with a misspelled name would look for its rights. */
    enum status status = STATUS_NOT_FOUND;
    for (size_t i = 0; i < policy->event_count; i++) {
        if (!is_named(&policy->events[i], name))
            continue;
        if (conditions_hold(&policy->events[i].conditions, claims))
            return STATUS_OK;
        status = STATUS_DENIED;
    }
    return status;
}
