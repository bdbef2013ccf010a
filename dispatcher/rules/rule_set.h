/* A rules file, read and checked as a whole, with the matcher of all its patterns. Immutable: a
 * reload makes a new one. Not a file: whoever reads it passes the text. dispatcher/README.md has
 * the form of the file. */
#ifndef DISPATCHER_RULES_RULE_SET_H
#define DISPATCHER_RULES_RULE_SET_H

#include "layout.h"
#include "matcher.h"
#include "problems.h"
#include "rule.h"

enum { RULES_LIMIT = 20000, RULES_FILE_SIZE_LIMIT = 32 * 1024 * 1024 };

/* The fields of an event that have a meaning for the dispatcher itself, whatever the rules name.
 * They are the first slots of a rule set's field_set, in this order. */
#define EVENT_FIELDS(X)                           \
    X(EVENT_FIELD_ID, "id")                       \
    X(EVENT_FIELD_EVENT, "event")                 \
    X(EVENT_FIELD_TIME, "time")                   \
    X(EVENT_FIELD_SOURCE, "source")               \
    X(EVENT_FIELD_TENANT, "tenantId")             \
    X(EVENT_FIELD_PROJECT, "projectId")           \
    X(EVENT_FIELD_USER, "userId")                 \
    X(EVENT_FIELD_TASK, "taskId")                 \
    X(EVENT_FIELD_TYPE, "type")                   \
    X(EVENT_FIELD_PRIORITY, "priority")           \
    X(EVENT_FIELD_STATUS, "status")               \
    X(EVENT_FIELD_PROGRESS, "progress")           \
    X(EVENT_FIELD_DATA, "data")                   \
    X(EVENT_FIELD_DATA_PROGRESS, "data.progress") \
    X(EVENT_FIELD_TRACEPARENT, "traceparent")     \
    X(EVENT_FIELD_TRACESTATE, "tracestate")

enum event_field {
#define X(name, path) name,
    EVENT_FIELDS(X)
#undef X
        EVENT_FIELD_COUNT
};

struct rule_set;

/* Every problem is added, with line and column; then STATUS_INVALID and no set. `layout` (may be
 * NULL: not checked) says which kinds of room there are. Nothing is borrowed. The caller frees
 * *set. */
enum status rule_set_parse(struct bytes text, const struct layout *layout, struct rule_set **set,
                           struct problems *problems) MUST_CHECK;
void rule_set_free(struct rule_set *set);

/* Rules that are tried beside those that act (`shadow` in the file) are a set of their own, with
 * its own matcher and fields, so that they change nothing for the others; NULL: there are none. All
 * that is said of a set is said of those that act. Borrowed. */
const struct rule_set *rule_set_shadows(const struct rule_set *set);

/* Adds what is likely not meant, though it can be: an item whose events may come by several
 * partitions of the input, which is keyed by task, and wildcards that EventBridge may refuse. */
void rule_set_warn(const struct rule_set *set, struct problems *warnings);

/* The kinds of rooms that enabled rules tell of items: a bit each, as layout_kind_bit() has
 * them. */
uint64_t rule_set_item_kinds(const struct rule_set *set, const struct layout *layout);

/* The kinds of the rooms that alerts go to. */
uint64_t rule_set_review_kinds(const struct layout *layout);

/* 16 hexadecimal digits: a hash of the file's text. */
struct bytes rule_set_revision(const struct rule_set *set);

/* All rules that act, in the order of the file. */
unsigned rule_set_count(const struct rule_set *set);
const struct rule *rule_set_at(const struct rule_set *set, unsigned index);

/* The paths that templates name, and before them those of EVENT_FIELDS. */
const struct field_set *rule_set_fields(const struct rule_set *set);

/* The patterns of the enabled rules, and which rule a number of the matcher is. */
const struct matcher *rule_set_matcher(const struct rule_set *set);
unsigned rule_set_rule_of(const struct rule_set *set, uint32_t matcher_number);

/* The matcher's number of a rule; false: the rule is not enabled. */
bool rule_set_number_of(const struct rule_set *set, unsigned index, uint32_t *number);

#endif
