/* What rule_set.c and rule_read.c share. Not for others. */
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
};

struct rule_reader {
    struct rule_set *set;
    const struct document *document;
    const struct layout *layout;
    struct problems *problems;
};

/* Reads one element of `rules` but for its `when`. Adds what is wrong to the problems. */
void rule_read(struct rule_reader *reader, const struct document_node *node, struct rule *rule);

/* A text of at most `limit` bytes, in the set's arena; empty, and a problem, if it is none. */
struct bytes rule_read_text(struct rule_reader *reader, const struct document_node *node,
                            const char *what, size_t limit);

/* A template, or NULL and a problem. */
struct template *rule_read_template(struct rule_reader *reader, const struct document_node *node,
                                    const char *what);

void rule_deinit(struct rule *rule);

#endif
