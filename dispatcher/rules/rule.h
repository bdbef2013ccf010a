/* One rule of the rules file, read and checked: which events it is for is its pattern (matcher.h);
 * this is what it does. Not the doing, which is core/pipeline.h's. Read only; owned by its
 * rule_set. */
#ifndef DISPATCHER_RULES_RULE_H
#define DISPATCHER_RULES_RULE_H

#include "notification.h"
#include "payload.h"
#include "template.h"

enum {
    RULE_ROOMS_LIMIT = 32, /* room templates of one `notify` */
    RULE_NOTIFY_LIMIT = 8, /* `notify` entries of one rule */
    RULE_NAME_LIMIT = 100,
    RULE_TEXT_LIMIT = 4096, /* a template's source */
    RULE_TESTS_LIMIT = 100,
    RULE_DECISIONS_LIMIT = 16, /* of one review */
    RULE_DECISION_SIZE = 64,   /* bytes of a decision's name */
};

#define RULE_NONE UINT32_MAX

/* What becomes of a room, item, order, queue, reason or event's name whose template names a field that the event
 * lacks. */
enum rule_missing {
    RULE_MISSING_SKIP,        /* `skip`, the default: it is left out and counted */
    RULE_MISSING_SKIP_RULE,   /* `skip-rule`: the rule does nothing for this event; counted */
    RULE_MISSING_DEAD_LETTER, /* `dead-letter`: the event goes to the dead-letter topic */
};

/* A template may be NULL: not given. */
struct rule_notify {
    enum notification_type type; /* task.status, notification or custom */
    struct template **rooms;
    size_t room_count;
    struct template *item;  /* the key of what its rooms show from now on */
    bool removes_item;      /* they do not show it any more */
    struct template *order; /* a number or a time: what is older than the item's last is late */
    bool marks_late; /* what is late is told as such and without the item; else it is left out */
    struct template *title;
    struct template *body;
    struct template *severity;
    struct template *event;  /* of a custom one: its name; never NULL */
    struct payload *payload; /* of a custom one; NULL: the event's data */
};

struct rule_review {
    struct template *queue;  /* never NULL */
    struct template *reason; /* never NULL */
    struct template *priority;
    struct template *title;
    struct template *body;
    struct template *due;          /* a duration, from the event's time */
    struct template *item;         /* as of a notify; never removed by an alert */
    const struct bytes *decisions; /* what people may decide */
    size_t decision_count;         /* 0: approve and reject */
    bool self;                     /* the task's user may decide, too */
};

/* An event to try a rule on, and the notifications it must lead to (a JSON array; each member names
 * what it wants to see). */
struct rule_test {
    struct bytes name;
    struct bytes given;
    struct bytes expect;
    unsigned line;
    unsigned column;
};

struct rule {
    struct bytes name;
    struct bytes description;
    unsigned line; /* where it begins */
    unsigned column;
    struct bytes pattern; /* its `when`, as JSON; empty: not enabled */
    bool enabled;
    bool stop; /* after it matched, no later rule is asked */
    enum rule_missing missing;

    bool sampled;       /* only for a part of the events: those with rule_sample() below the rate */
    double sample_rate; /* 0 to 1 */
    struct template *sample_by; /* NULL: the event's id */
    struct bytes sample_salt;   /* the rule's name; in shadow, that of the rule it is tried for */

    /* In shadow, the name of the rule in whose place it is tried; empty: it is a new one. */
    struct bytes instead_of;
    uint32_t twin;  /* the index of that rule among those that act; RULE_NONE */
    uint32_t place; /* how many of those that act are asked before it; may be all */

    struct rule_notify *notify;
    size_t notify_count;
    struct rule_review *review; /* NULL: none */
    struct rule_test *tests;
    size_t test_count;

    /* A hash of what the file says that it does, whatever it is for: rules with one do the same. 0:
     * not known. */
    uint64_t action;
};

/* Whether a sampled rule is for this event: a stable hash of `subject` (the event's id, or the
 * sample's `by`), salted with the rule's name, so that two rules with one rate pick different
 * events; a rule that is tried in place of another picks those of the other. */
bool rule_samples(const struct rule *rule, struct bytes subject);

/* Reads `90s`, `15m`, `4h`, `2d`, `500ms`: at most ten years. */
bool rule_read_duration(struct bytes text, int64_t *duration_ms) MUST_CHECK;

#endif
