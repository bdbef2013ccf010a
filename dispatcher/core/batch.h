/* What comes of a run of records: the records to produce and what to count, in one arena that is
 * reset with it. Not a transaction: whoever produces it decides whether it happened. */
#ifndef DISPATCHER_CORE_BATCH_H
#define DISPATCHER_CORE_BATCH_H

#include "arena.h"
#include "event.h"
#include "lookup.h"
#include "notification.h"
#include "review_judge.h"

enum output_kind {
    OUTPUT_NOTIFICATION,
    OUTPUT_DEAD_LETTER,
    OUTPUT_AUDIT,
    OUTPUT_STATE,  /* of ours: what was seen, which reviews are open */
    OUTPUT_ITEM,   /* a notification once more, in the state topic of its lane */
    OUTPUT_REVIEW, /* to the log of reviews, or a decision */
};
enum { OUTPUT_KIND_COUNT = 6 };

/* A record to produce. Memory is the batch's, or that of the consumed record. */
struct output {
    enum output_kind kind;
    const char *topic;
    int32_t partition;       /* below 0: by the key, as Kafka's clients do it */
    int32_t partition_count; /* of the topic, if it is a fan-out topic; else 0 */
    struct bytes key;
    bool has_key;
    struct bytes value;
    bool has_value;
    const struct record_header *headers;
    size_t header_count;
    bool superseded; /* of an item: a later one of the batch says all that it says; not produced */
};

/* Why a record was not processed: the name in the dead letter's header and in metrics. */
#define DEAD_REASONS(X)                    \
    X(DEAD_MALFORMED, "malformed")         \
    X(DEAD_UNSUPPORTED, "unsupported")     \
    X(DEAD_TOO_LARGE, "too-large")         \
    X(DEAD_LIMIT, "limit")                 \
    X(DEAD_LOOP, "loop")                   \
    X(DEAD_FIELD_MISSING, "field-missing") \
    X(DEAD_REJECTED, "rejected")

enum dead_reason {
#define X(name, text) name,
    DEAD_REASONS(X)
#undef X
        DEAD_REASON_COUNT
};

const char *dead_reason_name(enum dead_reason reason);

/* Why a room that a rule names was left out, or a custom event with all its rooms; or that an item
 * was, and its rooms got the notification without it; or an order, and they got it all the same.
 * What is late is left out with all its rooms, or without its item, as the rule says. */
#define ROOM_SKIPS(X)                           \
    X(ROOM_SKIP_FIELD_MISSING, "field-missing") \
    X(ROOM_SKIP_INVALID, "invalid-name")        \
    X(ROOM_SKIP_NO_OWNER, "no-owner")           \
    X(ROOM_SKIP_UNKNOWN_KIND, "unknown-kind")   \
    X(ROOM_SKIP_DENIED, "denied")               \
    X(ROOM_SKIP_EVENT, "invalid-event")         \
    X(ROOM_SKIP_ITEM, "no-item")                \
    X(ROOM_SKIP_ORDER, "no-order")              \
    X(ROOM_SKIP_LATE, "late")

enum room_skip {
#define X(name, text) name,
    ROOM_SKIPS(X)
#undef X
        ROOM_SKIP_COUNT
};

const char *room_skip_name(enum room_skip skip);

enum { ROOM_SKIPS_TOLD = 20 }; /* of one event; more are only counted */

/* A room (or a review by its queue, or an item) that a rule named and no notification got. */
struct skipped_room {
    const struct skipped_room *next;
    uint32_t rule; /* its index */
    enum room_skip reason;
    struct bytes room;    /* its name; if a field is missing, and of an item or order, the template;
                             of a custom event, the event's name; of what is late, the item */
    struct bytes problem; /* for a person */
};

/* What of an event was not what it says it is, and was replaced or left out. */
#define EVENT_REMARKS(X)   \
    X(REMARK_TIME, "time") \
    X(REMARK_PROGRESS, "progress")

enum event_remark {
#define X(name, text) name,
    EVENT_REMARKS(X)
#undef X
        EVENT_REMARK_COUNT
};

const char *event_remark_name(enum event_remark remark);

/* How a rule in shadow differs about an event from the one in whose place it is tried: shadow.h. */
#define SHADOW_VERDICTS(X)       \
    X(SHADOW_SAME, "same")       \
    X(SHADOW_CHANGED, "changed") \
    X(SHADOW_MORE, "more")       \
    X(SHADOW_LESS, "less")       \
    X(SHADOW_DEAD, "dead")

enum shadow_verdict {
#define X(name, text) name,
    SHADOW_VERDICTS(X)
#undef X
        SHADOW_VERDICT_COUNT
};

const char *shadow_verdict_name(enum shadow_verdict verdict);

struct shadow_finding {
    uint32_t rule; /* its index among those in shadow */
    enum shadow_verdict verdict;
};

struct batch_counts {
    uint64_t records;
    uint64_t tombstones; /* records that are no events */
    uint64_t remarks[EVENT_REMARK_COUNT];
    uint64_t formats[EVENT_FORMAT_COUNT];
    uint64_t matched;              /* events that at least one rule matched */
    uint64_t duplicates;           /* events dropped because they were seen before */
    uint64_t reviews_open;         /* alerts left out because such a review is open already */
    uint64_t reviews_unremembered; /* beyond the limit of the state: their alerts may be repeated */
    uint64_t notifications[NOTIFICATION_TYPE_COUNT];
    uint64_t dead[DEAD_REASON_COUNT];
    uint64_t room_skips[ROOM_SKIP_COUNT];
    uint64_t review_records[REVIEW_OUTCOME_COUNT]; /* of the log of reviews */
    uint64_t reviews_opened;
    uint64_t reviews_decided;
    uint64_t reviews_closed;     /* by the backend */
    uint64_t reviews_late;       /* told to be */
    uint64_t reviews_lapsed;     /* claims that are over */
    uint64_t items;              /* records for state topics */
    uint64_t items_superseded;   /* and those that a later one of the batch left out */
    uint64_t orders_crowded_out; /* items whose order is forgotten for want of room */
    uint64_t shadow_unjudged;    /* events that the rules in shadow could not be judged on */
};

struct batch {
    struct arena arena;
    struct output *outputs; /* in the order in which they are to be produced */
    size_t output_count;
    size_t output_capacity;
    uint32_t *rule_matches; /* rule indexes, one for each match */
    size_t rule_match_count;
    size_t rule_match_capacity;
    struct shadow_finding *findings;
    size_t finding_count;
    size_t finding_capacity;
    struct lookup items; /* of batch_supersede_items(): the last output of each key */
    struct batch_counts counts;
};

/* A zeroed struct is an empty batch. */
void batch_reset(struct batch *batch);
void batch_deinit(struct batch *batch);

/* A zeroed output at the end. The pointer is good until the next call. */
struct output *batch_add(struct batch *batch);
void batch_add_match(struct batch *batch, uint32_t rule);
void batch_add_finding(struct batch *batch, uint32_t rule, enum shadow_verdict verdict);

/* Marks what a later record of the batch makes needless in state topics. Once, after the last record
 * of a batch. The seed is random, of this process alone: keys come from events. */
void batch_supersede_items(struct batch *batch, uint64_t hash_seed);

#endif
