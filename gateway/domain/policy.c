#include "policy.h"

#include <assert.h>
#include <stdio.h>

#include "mem.h"
#include "policy_template.h"
#include "room.h"

struct condition {
    unsigned field;
    char **values;
    size_t count;
};

struct rule {
    struct policy_template room;
    struct condition conditions[POLICY_CONDITIONS_LIMIT];
    size_t condition_count;
};

struct policy {
    struct policy_names names;
    struct policy_template connect[POLICY_TEMPLATES_LIMIT];
    size_t connect_count;
    struct rule join[POLICY_TEMPLATES_LIMIT];
    size_t join_count;
};

/* --- Reading the configuration
 * ---------------------------------------------------------------------------- */

static void problem_at(struct problems *problems, const struct document_node *node,
                       const char *text)
{
    problems_add(problems, node->line, node->column, "%s", text);
}

static bool read_claim_name(struct policy *policy, const struct document_node *node,
                            const char *name, struct problems *problems)
{
    unsigned field;
    struct error error;
    struct bytes text = bytes_of_string(name);
    if (node && node->kind != DOCUMENT_NULL) {
        if (node->kind != DOCUMENT_STRING) {
            problem_at(problems, node, "the name of a claim must be a string");
            return false;
        }
        text = node->text;
    }
    if (policy_names_add(&policy->names, text, &field, &error) == STATUS_OK)
        return true;
    assert(node); /* the defaults are good names */
    problem_at(problems, node, error.text);
    return false;
}

/* The user's and the tenant's claims are fields 0 and 1 whatever they are called. */
static void read_identity(struct policy *policy, const struct document_node *node,
                          struct problems *problems)
{
    const struct document_node *tenant = node ? document_find(node, "tenant_claim") : NULL;
    const struct document_node *user = node ? document_find(node, "user_claim") : NULL;
    bool fine = read_claim_name(policy, tenant, "tenant", problems);
    fine = read_claim_name(policy, user, "sub", problems) && fine;
    if (!fine || policy->names.count == 2)
        return;
    assert(node); /* the defaults differ */
    problem_at(problems, user ? user : node,
               "tenant_claim and user_claim must be different claims");
}

static bool add_template(struct policy *policy, const struct document_node *node, bool may_be_open,
                         struct policy_template *template, struct problems *problems)
{
    struct error error;
    if (node->kind != DOCUMENT_STRING) {
        problem_at(problems, node, "a template of a room must be a string");
        return false;
    }
    if (policy_template_init(template, node->text, may_be_open, &policy->names, &error) ==
        STATUS_OK)
        return true;
    problem_at(problems, node, error.text);
    return false;
}

static bool is_list(const struct document_node *node, size_t limit, const char *what,
                    struct problems *problems)
{
    if (node->kind != DOCUMENT_SEQUENCE) {
        problems_add(problems, node->line, node->column, "%s must be a sequence", what);
        return false;
    }
    if (node->count > limit) {
        problems_add(problems, node->line, node->column, "%s has more than %zu elements", what,
                     limit);
        return false;
    }
    return true;
}

static void read_connect(struct policy *policy, const struct document_node *node,
                         struct problems *problems)
{
    if (!is_list(node, POLICY_TEMPLATES_LIMIT, "connect", problems))
        return;
    for (size_t i = 0; i < node->count; i++)
        if (add_template(policy, node->entries[i].value, false,
                         &policy->connect[policy->connect_count], problems))
            policy->connect_count++;
}

static bool add_value(struct condition *condition, const struct document_node *node,
                      struct problems *problems)
{
    if (node->kind != DOCUMENT_STRING && node->kind != DOCUMENT_BOOLEAN &&
        node->kind != DOCUMENT_NUMBER) {
        problem_at(problems, node, "the value of a claim must be a string, a number or a boolean");
        return false;
    }
    struct bytes text = node->text;
    if (node->kind == DOCUMENT_BOOLEAN)
        text = bytes_of_string(node->boolean ? "true" : "false");
    condition->values[condition->count++] = mem_string(text);
    return true;
}

static bool read_values(struct condition *condition, const struct document_node *node,
                        struct problems *problems)
{
    if (node->kind != DOCUMENT_SEQUENCE) {
        condition->values = mem_resize(NULL, 1, sizeof(*condition->values));
        return add_value(condition, node, problems);
    }
    if (!is_list(node, POLICY_CONDITION_VALUES_LIMIT, "the values of a claim", problems))
        return false;
    if (node->count == 0) {
        problem_at(problems, node, "a condition without values holds never");
        return false;
    }
    condition->values = mem_resize(NULL, node->count, sizeof(*condition->values));
    bool fine = true;
    for (size_t i = 0; i < node->count; i++)
        fine = add_value(condition, node->entries[i].value, problems) && fine;
    return fine;
}

static bool read_conditions(struct policy *policy, struct rule *rule,
                            const struct document_node *node, struct problems *problems)
{
    if (!document_check_keys(node, NULL, "if", problems))
        return false;
    if (node->count > POLICY_CONDITIONS_LIMIT) {
        problem_at(problems, node, "too many conditions");
        return false;
    }
    bool fine = true;
    for (size_t i = 0; i < node->count; i++) {
        struct condition *condition = &rule->conditions[rule->condition_count++];
        const struct document_node *name = node->entries[i].key;
        struct error error;
        if (policy_names_add(&policy->names, name->text, &condition->field, &error) != STATUS_OK) {
            problem_at(problems, name, error.text);
            fine = false;
        }
        fine = read_values(condition, node->entries[i].value, problems) && fine;
    }
    return fine;
}

static void rule_deinit(struct rule *rule)
{
    policy_template_deinit(&rule->room);
    for (size_t i = 0; i < rule->condition_count; i++) {
        struct condition *condition = &rule->conditions[i];
        for (size_t j = 0; j < condition->count; j++)
            free(condition->values[j]);
        free(condition->values);
    }
    *rule = (struct rule){0};
}

static bool read_rule(struct policy *policy, struct rule *rule, const struct document_node *node,
                      struct problems *problems)
{
    static const char *const keys[] = {"room", "if", NULL};
    if (node->kind != DOCUMENT_MAPPING)
        return add_template(policy, node, true, &rule->room, problems);
    if (!document_check_keys(node, keys, "a rule of join", problems))
        return false;
    const struct document_node *room = document_find(node, "room");
    const struct document_node *conditions = document_find(node, "if");
    if (!room) {
        problem_at(problems, node, "a rule of join needs a room");
        return false;
    }
    bool fine = add_template(policy, room, true, &rule->room, problems);
    return (!conditions || read_conditions(policy, rule, conditions, problems)) && fine;
}

static void read_join(struct policy *policy, const struct document_node *node,
                      struct problems *problems)
{
    if (!is_list(node, POLICY_TEMPLATES_LIMIT, "join", problems))
        return;
    for (size_t i = 0; i < node->count; i++) {
        struct rule *rule = &policy->join[policy->join_count];
        if (read_rule(policy, rule, node->entries[i].value, problems))
            policy->join_count++;
        else
            rule_deinit(rule);
    }
}

/* --- Defaults
 * --------------------------------------------------------------------------------------------- */

static void add_default_connect(struct policy *policy, const char *kind, const char *claim)
{
    char text[ROOM_NAME_LIMIT];
    int size = snprintf(text, sizeof(text), "%s:{%s}", kind, claim);
    struct policy_template *template = &policy->connect[policy->connect_count];
    if (policy_template_init(template, bytes_of(text, (size_t)size), false, &policy->names, NULL) ==
        STATUS_OK)
        policy->connect_count++;
}

static void set_default_connect(struct policy *policy)
{
    add_default_connect(policy, "user", policy->names.items[CLAIMS_FIELD_USER]);
    add_default_connect(policy, "tenant", policy->names.items[CLAIMS_FIELD_TENANT]);
    add_default_connect(policy, "review", "reviewQueues");
}

static void set_default_join(struct policy *policy)
{
    static const char *const rooms[] = {"task:*", "project:*"};
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        struct policy_template *template = &policy->join[policy->join_count].room;
        if (policy_template_init(template, bytes_of_string(rooms[i]), true, &policy->names, NULL) ==
            STATUS_OK)
            policy->join_count++;
    }
}

enum status policy_new(const struct document_node *node, struct policy **policy,
                       struct problems *problems)
{
    static const char *const keys[] = {"tenant_claim", "user_claim", "connect", "join", NULL};
    if (node && node->kind == DOCUMENT_NULL)
        node = NULL;
    if (node && !document_check_keys(node, keys, "access", problems))
        return STATUS_INVALID;
    size_t found_before = problems->count + problems->omitted;
    struct policy *made = mem_new(struct policy);
    read_identity(made, node, problems);
    const struct document_node *connect = node ? document_find(node, "connect") : NULL;
    const struct document_node *join = node ? document_find(node, "join") : NULL;
    if (connect)
        read_connect(made, connect, problems);
    else if (made->names.count == 2)
        set_default_connect(made);
    if (join)
        read_join(made, join, problems);
    else
        set_default_join(made);
    if (problems->count + problems->omitted > found_before) {
        policy_free(made);
        return STATUS_INVALID;
    }
    *policy = made;
    return STATUS_OK;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->connect_count; i++)
        policy_template_deinit(&policy->connect[i]);
    for (size_t i = 0; i < policy->join_count; i++)
        rule_deinit(&policy->join[i]);
    policy_names_deinit(&policy->names);
    free(policy);
}

/* --- Use
 * --------------------------------------------------------------------------------------------------
 */

const char *policy_tenant_claim(const struct policy *policy)
{
    return policy->names.items[CLAIMS_FIELD_TENANT];
}

const char *policy_user_claim(const struct policy *policy)
{
    return policy->names.items[CLAIMS_FIELD_USER];
}

enum status policy_claims(const struct policy *policy, struct bytes json, struct claims **claims)
{
    return claims_pack((const char *const *)policy->names.items, policy->names.count, json, claims);
}

void policy_connect_rooms(const struct policy *policy, const struct claims *claims,
                          policy_room_fn *each, void *context)
{
    unsigned budget = POLICY_CONNECT_ROOMS_LIMIT;
    for (size_t i = 0; i < policy->connect_count; i++)
        policy_template_expand(&policy->connect[i], claims, &budget, each, context);
}

static bool condition_holds(const struct condition *condition, const struct claims *claims)
{
    size_t position = 0;
    struct bytes value;
    while (claims_next(claims, condition->field, &position, &value))
        for (size_t i = 0; i < condition->count; i++)
            if (bytes_equal_string(value, condition->values[i]))
                return true;
    return false;
}

static bool rule_allows(const struct rule *rule, const struct claims *claims, struct bytes room)
{
    for (size_t i = 0; i < rule->condition_count; i++)
        if (!condition_holds(&rule->conditions[i], claims))
            return false;
    return policy_template_match(&rule->room, claims, room);
}

bool policy_may_join(const struct policy *policy, const struct claims *claims, struct bytes room)
{
    struct room_name parsed;
    if (room_parse(room, &parsed, NULL) != STATUS_OK)
        return false;
    for (size_t i = 0; i < policy->join_count; i++)
        if (rule_allows(&policy->join[i], claims, room))
            return true;
    for (size_t i = 0; i < policy->connect_count; i++)
        if (policy_template_match(&policy->connect[i], claims, room))
            return true;
    return false;
}
