/* A rules file, read and checked as a whole, with the matcher of all its patterns. Immutable: a
 * reload makes a new one. Not a file: whoever reads it passes the text. README.md has the form of
 * the file. */
#ifndef DISPATCHER_RULES_RULE_SET_H
#define DISPATCHER_RULES_RULE_SET_H

#include "event_fields.h"
#include "layout.h"
#include "matcher.h"
#include "problems.h"
#include "rule.h"

enum { RULES_LIMIT = 20000, RULES_FILE_SIZE_LIMIT = 32 * 1024 * 1024 };

struct rule_set;

/* Every problem is added, with line and column; then STATUS_INVALID and no set. `layout` (may be
 * NULL: not checked) says which kinds of room there are. Nothing is borrowed. The caller frees
 * *set. */
enum status rule_set_parse(struct bytes text, const struct layout *layout, struct rule_set **set,
                           struct problems *problems) MUST_CHECK;
void rule_set_free(struct rule_set *set);

/* 16 hexadecimal digits: a hash of the file's text. */
struct bytes rule_set_revision(const struct rule_set *set);

/* All rules, in the order of the file. */
unsigned rule_set_count(const struct rule_set *set);
const struct rule *rule_set_at(const struct rule_set *set, unsigned index);

/* The paths that templates name, and before them those of event_fields.h. */
const struct field_set *rule_set_fields(const struct rule_set *set);

/* The patterns of the enabled rules, and which rule a number of the matcher is. */
const struct matcher *rule_set_matcher(const struct rule_set *set);
unsigned rule_set_rule_of(const struct rule_set *set, uint32_t matcher_number);

/* The matcher's number of a rule; false: the rule is not enabled. */
bool rule_set_number_of(const struct rule_set *set, unsigned index, uint32_t *number);

#endif
