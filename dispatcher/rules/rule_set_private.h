/* What rule_set.c and those that read its rules share: rule_read.c, rule_notify.c, rule_values.c,
 * payload.c. Not for others. */
#ifndef DISPATCHER_RULES_RULE_SET_PRIVATE_H
#define DISPATCHER_RULES_RULE_SET_PRIVATE_H

#include "arena.h"
#include "rule_set.h"

struct rule_set {
    char revision[17];
    struct arena arena; /* of rules, their texts and arrays */
    struct rule *rules;
    unsigned count;
    struct field_set *fields;
    struct matcher *matcher;
    uint32_t *rule_of_number;
    uint32_t *number_of_rule; /* UINT32_MAX: not enabled */
    struct rule_set *shadows; /* NULL: none */
};

struct rule_reader {
    struct rule_set *set; /* into which the rule at hand is read */
    const struct document *document;
    const struct layout *layout;
    struct problems *problems;
};

/* Whether an element of `rules` is one that is only tried. */
bool rule_is_shadow(const struct document_node *node);

/* Reads one element of `rules` but for its `when`. Adds what is wrong to the problems. */
void rule_read(struct rule_reader *reader, const struct document_node *node, struct rule *rule);

/* Its `notify` and `rooms`. */
void rule_read_notifies(struct rule_reader *reader, const struct document_node *node,
                        struct rule *rule);

/* Adds a problem at the node. */
void rule_complain(struct rule_reader *reader, const struct document_node *node, const char *text);

/* A text of at most `limit` bytes, in the set's arena; empty, and a problem, if it is none. */
struct bytes rule_read_text(struct rule_reader *reader, const struct document_node *node,
                            const char *what, size_t limit);

/* A template, or NULL and a problem. */
struct template *rule_read_template(struct rule_reader *reader, const struct document_node *node,
                                    const char *what);

/* That of a mapping's key; also NULL, and no problem, if the key is not there. */
struct template *rule_find_template(struct rule_reader *reader, const struct document_node *mapping,
                                    const char *key, const char *what);
/* One that names an item. */
struct template *rule_read_item(struct rule_reader *reader, const struct document_node *node);

/* `otherwise`, if the key is not there or, a problem, not a boolean's. */
bool rule_read_boolean(struct rule_reader *reader, const struct document_node *mapping,
                       const char *key, bool otherwise);

/* A room of this name, the same for every event, has a lane; or else a problem. */
void rule_check_lane(struct rule_reader *reader, const struct document_node *node,
                     struct bytes name);

void rule_deinit(struct rule *rule);

#endif
