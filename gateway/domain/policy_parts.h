/* What the policy's own files share. Nobody else includes this.
 *
 *   policy_template.c  a template of rooms
 *   policy_read.c      from the configuration to rules
 *   policy.c           rules applied to claims */
#ifndef GATEWAY_DOMAIN_POLICY_PARTS_H
#define GATEWAY_DOMAIN_POLICY_PARTS_H

#include "policy.h"
#include "policy_template.h"

struct policy_condition {
    unsigned field;
    char **values;
    size_t count;
};

/* All must hold. */
struct policy_conditions {
    struct policy_condition items[POLICY_CONDITIONS_LIMIT];
    size_t count;
};

struct policy_join_rule {
    struct policy_template room;
    struct policy_conditions conditions;
};

struct policy_event_rule {
    char *name; /* without `*` */
    bool open;  /* ended with `*` */
    struct policy_conditions conditions;
};

struct policy {
    const struct layout *layout; /* while it is made: what templates are checked against */
    struct policy_names names;
    unsigned token_field, issued_field; /* of `jti` and `iat` */
    struct policy_template connect[POLICY_TEMPLATES_LIMIT];
    size_t connect_count;
    struct policy_join_rule join[POLICY_TEMPLATES_LIMIT];
    size_t join_count;
    struct policy_event_rule events[POLICY_TEMPLATES_LIMIT];
    size_t event_count;
};

void policy_join_rule_deinit(struct policy_join_rule *rule);
void policy_event_rule_deinit(struct policy_event_rule *rule);

#endif
