/* The policy out of the configuration. Every problem is told with its line, all of them in one
 * go, and a policy with any is refused: half a policy would be another one.
 *
 * What the configuration cannot mean is refused, not interpreted: a kind of room that the layout
 * does not have, a condition that cannot hold, an event that is the gateway's own. */
#include <assert.h>
#include <stdio.h>

#include "mem.h"
#include "policy_parts.h"
#include "room.h"

/* --- Reading the configuration --------------------------------------------------------------- */

static void policy_problem_at(struct problems *problems, const struct document_node *node,
                              const char *text)
{
    problems_add(problems, node->line, node->column, "%s", text);
}

/* Claims are kept by number: each name that the configuration uses gets one, in order. */
static bool read_claim_name(struct policy *policy, const struct document_node *node,
                            const char *name, struct problems *problems)
{
    unsigned field;
    struct error error;
    struct bytes text = bytes_of_string(name);
    if (node && node->kind != DOCUMENT_NULL) {
        if (node->kind != DOCUMENT_STRING) {
            policy_problem_at(problems, node, "the name of a claim must be a string");
            return false;
        }
        text = node->text;
    }
    if (policy_names_add(&policy->names, text, &field, &error) == STATUS_OK)
        return true;
    assert(node); /* the defaults are good names */
    policy_problem_at(problems, node, error.text);
    return false;
}

/* The user's and the tenant's claims are fields 0 and 1 whatever they are called. */
static void read_identity_claims(struct policy *policy, const struct document_node *node,
                                 struct problems *problems)
{
    const struct document_node *tenant = node ? document_find(node, "tenant_claim") : NULL;
    const struct document_node *user = node ? document_find(node, "user_claim") : NULL;
    bool fine = read_claim_name(policy, tenant, "tenant", problems);
    fine = read_claim_name(policy, user, "sub", problems) && fine;
    if (!fine || policy->names.count == 2)
        return;
    assert(node); /* the defaults differ */
    policy_problem_at(problems, user ? user : node,
                      "tenant_claim and user_claim must be different claims");
}

/* Whether the layout has rooms of this kind and, of a room that is the same for every token, this
 * room. */
static enum status check_layout(const struct layout *layout, const struct policy_template *template,
                                struct error *error)
{
    /* Of somebody who has both a tenant and a user: whether a given token has them is seen then. */
    static const struct room_owner owner = {BYTES_LITERAL("x"), BYTES_LITERAL("x")};
    struct bytes kind = policy_template_kind(template);
    struct room_name room;
    struct lane_name lane;
    if (!layout)
        return STATUS_OK;
    if (!layout_has_kind(layout, kind))
        return error_set(error, STATUS_NOT_FOUND, "the layout has no rooms of kind \"%.*s\"",
                         BYTES_PRINT(kind));
    /* Which room it will be, the token says. */
    if (template->count > 1 || template->open)
        return STATUS_OK;
    if (room_parse(template->pieces[0].literal, &room, error) != STATUS_OK)
        return STATUS_INVALID;
    return layout_lane(layout, &room, &owner, &lane, error);
}

/* Left as it was on failure, for the next one to be read into. */
static bool add_template(struct policy *policy, const struct document_node *node, bool may_be_open,
                         struct policy_template *template, struct problems *problems)
{
    struct error error;
    if (node->kind != DOCUMENT_STRING) {
        policy_problem_at(problems, node, "a template of a room must be a string");
        return false;
    }
    if (policy_template_init(template, node->text, may_be_open, &policy->names, &error) !=
        STATUS_OK) {
        policy_problem_at(problems, node, error.text);
        return false;
    }
    if (check_layout(policy->layout, template, &error) == STATUS_OK)
        return true;
    problems_add(problems, node->line, node->column, "%.*s: %s", BYTES_PRINT(node->text),
                 error.text);
    policy_template_deinit(template);
    return false;
}

/* Limits hold before anything is read: a policy is held in arrays of fixed size. */
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

/* No `*` here: what is given at connect must be rooms that can be named. */
static void read_connect_rooms(struct policy *policy, const struct document_node *node,
                               struct problems *problems)
{
    if (!is_list(node, POLICY_TEMPLATES_LIMIT, "connect", problems))
        return;
    for (size_t i = 0; i < node->count; i++)
        if (add_template(policy, node->entries[i].value, false,
                         &policy->connect[policy->connect_count], problems))
            policy->connect_count++;
}

/* As text, since claims are kept as text: 1, "1" and true, "true" are the same to a condition. */
static bool add_value(struct policy_condition *condition, const struct document_node *node,
                      struct problems *problems)
{
    if (node->kind != DOCUMENT_STRING && node->kind != DOCUMENT_BOOLEAN &&
        node->kind != DOCUMENT_NUMBER) {
        policy_problem_at(problems, node,
                          "the value of a claim must be a string, a number or a boolean");
        return false;
    }
    struct bytes text = node->text;
    if (node->kind == DOCUMENT_BOOLEAN)
        text = bytes_of_string(node->boolean ? "true" : "false");
    condition->values[condition->count++] = mem_string(text);
    return true;
}

/* One value may stand without brackets. */
static bool read_values(struct policy_condition *condition, const struct document_node *node,
                        struct problems *problems)
{
    if (node->kind != DOCUMENT_SEQUENCE) {
        condition->values = mem_resize(NULL, 1, sizeof(*condition->values));
        return add_value(condition, node, problems);
    }
    if (!is_list(node, POLICY_CONDITION_VALUES_LIMIT, "the values of a claim", problems))
        return false;
    if (node->count == 0) {
        policy_problem_at(problems, node, "a condition without values holds never");
        return false;
    }
    condition->values = mem_resize(NULL, node->count, sizeof(*condition->values));
    bool fine = true;
    for (size_t i = 0; i < node->count; i++)
        fine = add_value(condition, node->entries[i].value, problems) && fine;
    return fine;
}

/* Goes on after a problem, so that all are told at once; the rule is dropped in the end. */
static bool read_conditions(struct policy *policy, struct policy_conditions *conditions,
                            const struct document_node *node, struct problems *problems)
{
    if (!node)
        return true;
    if (!document_check_keys(node, NULL, "if", problems))
        return false;
    if (node->count > POLICY_CONDITIONS_LIMIT) {
        policy_problem_at(problems, node, "too many conditions");
        return false;
    }
    bool fine = true;
    for (size_t i = 0; i < node->count; i++) {
        struct policy_condition *condition = &conditions->items[conditions->count++];
        const struct document_node *name = node->entries[i].key;
        struct error error;
        if (policy_names_add(&policy->names, name->text, &condition->field, &error) != STATUS_OK) {
            policy_problem_at(problems, name, error.text);
            fine = false;
        }
        fine = read_values(condition, node->entries[i].value, problems) && fine;
    }
    return fine;
}

/* A text alone is a rule without conditions. */
static bool read_join_rule(struct policy *policy, struct policy_join_rule *rule,
                           const struct document_node *node, struct problems *problems)
{
    static const char *const keys[] = {"room", "if", NULL};
    if (node->kind != DOCUMENT_MAPPING)
        return add_template(policy, node, true, &rule->room, problems);
    if (!document_check_keys(node, keys, "a rule of join", problems))
        return false;
    const struct document_node *room = document_find(node, "room");
    if (!room) {
        policy_problem_at(problems, node, "a rule of join needs a room");
        return false;
    }
    bool fine = add_template(policy, room, true, &rule->room, problems);
    return read_conditions(policy, &rule->conditions, document_find(node, "if"), problems) && fine;
}

/* A rule with a problem leaves no trace in the policy, so that what is reported next is not a
 * consequence of it. */
static void read_join(struct policy *policy, const struct document_node *node,
                      struct problems *problems)
{
    if (!is_list(node, POLICY_TEMPLATES_LIMIT, "join", problems))
        return;
    for (size_t i = 0; i < node->count; i++) {
        struct policy_join_rule *rule = &policy->join[policy->join_count];
        if (read_join_rule(policy, rule, node->entries[i].value, problems))
            policy->join_count++;
        else
            policy_join_rule_deinit(rule);
    }
}

/* What the gateway itself understands from clients, or the client library keeps for itself. */
static bool is_reserved_claim(const char *name)
{
    static const char *const names[] = {"subscribe",     "unsubscribe", "token",
                                        "connect",       "disconnect",  "connect_error",
                                        "disconnecting", "newListener", "removeListener"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* The text is a pattern if it ends with `*`, as rooms are. */
static bool read_event_name(struct policy_event_rule *rule, const struct document_node *node,
                            struct problems *problems)
{
    struct bytes text = node->text;
    if (node->kind != DOCUMENT_STRING || text.size > POLICY_EVENT_NAME_LIMIT ||
        !room_key_valid(text)) {
        problems_add(problems, node->line, node->column,
                     "the name of an event must be 1 to %d bytes of text", POLICY_EVENT_NAME_LIMIT);
        return false;
    }
    rule->open = text.data[text.size - 1] == '*';
    text.size -= rule->open;
    if (text.size > 0 && memchr(text.data, '*', text.size)) {
        policy_problem_at(problems, node, "`*` only at the end");
        return false;
    }
    rule->name = mem_string(text);
    if (!is_reserved_claim(rule->name))
        return true;
    policy_problem_at(problems, node, "this event is the gateway's own");
    return false;
}

/* As a rule of join, with an event for the room. */
static bool read_event_rule(struct policy *policy, struct policy_event_rule *rule,
                            const struct document_node *node, struct problems *problems)
{
    static const char *const keys[] = {"event", "if", NULL};
    if (node->kind != DOCUMENT_MAPPING)
        return read_event_name(rule, node, problems);
    if (!document_check_keys(node, keys, "a rule of events", problems))
        return false;
    const struct document_node *name = document_find(node, "event");
    if (!name) {
        policy_problem_at(problems, node, "a rule of events needs an event");
        return false;
    }
    bool fine = read_event_name(rule, name, problems);
    return read_conditions(policy, &rule->conditions, document_find(node, "if"), problems) && fine;
}

static void read_send_rules(struct policy *policy, const struct document_node *node,
                            struct problems *problems)
{
    if (!is_list(node, POLICY_TEMPLATES_LIMIT, "events", problems))
        return;
    for (size_t i = 0; i < node->count; i++) {
        struct policy_event_rule *rule = &policy->events[policy->event_count];
        if (read_event_rule(policy, rule, node->entries[i].value, problems))
            policy->event_count++;
        else
            policy_event_rule_deinit(rule);
    }
}

/* --- Defaults -------------------------------------------------------------------------------- */

/* A layout need not have these kinds: then nothing is given by default. */
static void add_default_connect(struct policy *policy, const char *kind, const char *claim)
{
    char text[ROOM_NAME_LIMIT];
    int size = snprintf(text, sizeof(text), "%s:{%s}", kind, claim);
    assert(policy->connect_count < POLICY_TEMPLATES_LIMIT);
    struct policy_template *template = &policy->connect[policy->connect_count];
    if (policy->layout && !layout_has_kind(policy->layout, bytes_of_string(kind)))
        return;
    if (policy_template_init(template, bytes_of(text, (size_t)size), false, &policy->names, NULL) ==
        STATUS_OK)
        policy->connect_count++;
}

/* The least that is of use: what concerns the user, and what the token's issuer has named. Who
 * reads a whole project or tenant is a decision that somebody writes down. */
static void set_default_connect(struct policy *policy)
{
    add_default_connect(policy, "user", policy->names.items[CLAIMS_FIELD_USER]);
    add_default_connect(policy, "review", "reviewQueues");
}

/* A gateway to which nobody may listen is a mistake, and would look like a broken one. */
static void check_use(const struct policy *policy, const struct document_node *node,
                      struct problems *problems)
{
    if (policy->connect_count + policy->join_count == 0)
        problems_add(problems, node ? node->line : 0, node ? node->column : 0,
                     "access: no room is open to anybody: `connect` and `join` say which are");
}

/* What orders of the backend go by, last: the configuration's own names have their limit. */
static void name_token_claims(struct policy *policy)
{
    policy->names.reserved = 0;
    enum status status =
        policy_names_add(&policy->names, BYTES_LITERAL("jti"), &policy->token_field, NULL);
    if (status == STATUS_OK)
        status =
            policy_names_add(&policy->names, BYTES_LITERAL("iat"), &policy->issued_field, NULL);
    assert(status == STATUS_OK); /* places were kept for them */
    (void)status;
}

enum status policy_new(const struct document_node *node, const struct layout *layout,
                       struct policy **policy, struct problems *problems)
{
    static const char *const keys[] = {"tenant_claim", "user_claim", "connect",
                                       "join",         "events",     NULL};
    if (node && node->kind == DOCUMENT_NULL)
        node = NULL;
    if (node && !document_check_keys(node, keys, "access", problems))
        return STATUS_INVALID;
    size_t found_before = problems->count + problems->omitted;
    struct policy *made = mem_new(struct policy);
    made->layout = layout;
    made->names.reserved = CLAIMS_NAMES_RESERVED;
    read_identity_claims(made, node, problems);
    const struct document_node *connect = node ? document_find(node, "connect") : NULL;
    const struct document_node *join = node ? document_find(node, "join") : NULL;
    if (connect)
        read_connect_rooms(made, connect, problems);
    else if (made->names.count == 2)
        set_default_connect(made);
    if (join)
        read_join(made, join, problems);
    const struct document_node *events = node ? document_find(node, "events") : NULL;
    if (events)
        read_send_rules(made, events, problems);
    if (problems->count + problems->omitted == found_before)
        check_use(made, node, problems);
    made->layout = NULL;
    if (problems->count + problems->omitted > found_before) {
        policy_free(made);
        return STATUS_INVALID;
    }
    name_token_claims(made);
    *policy = made;
    return STATUS_OK;
}
