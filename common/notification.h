/* A notification and its three forms: the record that stands in a lane (protobuf value and
 * headers), the view the programs use, and the JSON clients get. Pure: not a transport, not a lane,
 * not a decision.
 *
 * proto/notification.proto says what each field means. A view borrows everything it points to. */
#ifndef COMMON_NOTIFICATION_H
#define COMMON_NOTIFICATION_H

#include "buffer.h"
#include "bytes.h"
#include "status.h"

/* A kind, and its name: in the `notify:` of a rule, in headers and metrics, and, but for custom
 * events, the name of the event that clients know it by. */
#define NOTIFICATION_TYPES(X)                        \
    X(NOTIFICATION_TASK_STATUS, "task.status")       \
    X(NOTIFICATION_CLIENT, "notification")           \
    X(NOTIFICATION_REVIEW_ALERT, "review.alert")     \
    X(NOTIFICATION_REVIEW_UPDATED, "review.updated") \
    X(NOTIFICATION_REVIEW_REFUSED, "review.refused") \
    X(NOTIFICATION_CUSTOM, "custom")

enum notification_type {
#define X(name, text) name,
    NOTIFICATION_TYPES(X)
#undef X
};

#define NOTIFICATION_TYPE_COUNT 6

/* "task.status", "notification", "custom" ... Static. */
const char *notification_type_name(enum notification_type type);

/* The other way round; false (and `type` untouched) for any other name. */
bool notification_type_named(struct bytes name, enum notification_type *type);

enum { NOTIFICATION_EVENT_LIMIT = 100 /* bytes */ };

/* Why a custom event may not have this name, for a person (static); NULL: it may. Names are UTF-8
 * without control characters, quotation marks and backslashes, so that they stand in JSON and in
 * an event stream as they are; and none that clients or we give a meaning of their own. */
const char *notification_event_problem(struct bytes name);

struct task_status_update {
    struct bytes event;
    struct bytes task_id;
    struct bytes type;
    struct bytes status;
    struct bytes priority;
    struct bytes project_id;
    struct bytes user_id;
    struct bytes tenant_id;
    bool has_progress;
    double progress;   /* percent; finite */
    struct bytes data; /* JSON text, or empty: none */
};

struct client_notification {
    struct bytes title;
    struct bytes body;
    struct bytes severity;
    struct bytes task_id;
    struct bytes data; /* JSON text, or empty: none */
};

struct review_alert {
    struct bytes queue;
    struct bytes reason;
    struct bytes priority;
    struct bytes title;
    struct bytes body;
    struct bytes task_id;
    struct bytes due_time;
    struct bytes rule;
    struct bytes data; /* JSON text, or empty: none */
    struct bytes tenant_id;
    struct bytes project_id;
    struct bytes user_id;
    struct bytes type;
    struct bytes event;
    struct bytes review_id;
};

struct review_update {
    struct bytes id;
    uint32_t version;
    struct bytes state;
    struct bytes by;
    struct bytes command;
    struct bytes decision;
    struct bytes queue;
    struct bytes reason;
    struct bytes priority;
    struct bytes title;
    struct bytes task_id;
    struct bytes due_time;
    struct bytes tenant_id;
    struct bytes project_id;
    struct bytes user_id;
    struct bytes type;
    struct bytes decisions; /* JSON text, or empty: none */
};

struct review_refusal {
    struct bytes id;
    struct bytes command;
    struct bytes by;
    struct bytes reason;
    struct bytes task_id;
};

/* An event of the application's own. */
struct custom_event {
    struct bytes event;   /* its name: notification_event_problem() has none */
    struct bytes task_id; /* empty: about no task */
    struct bytes data;    /* JSON text, or empty: null */
};

enum { NOTIFICATION_ITEM_KEY_LIMIT = 256 /* bytes */ };

/* What the notification's rooms show from now on. */
struct notification_item {
    struct bytes key; /* empty: it is about no item, and nothing is kept of it */
    bool removed;     /* they do not show it any more */
};

/* Text fields are UTF-8 without NUL. */
struct notification {
    struct bytes id;
    struct bytes time;
    const struct bytes *rooms;
    size_t room_count;
    struct bytes event_id;
    const struct bytes *rules;
    size_t rule_count;
    struct bytes rules_revision;
    struct bytes traceparent;
    struct bytes tracestate;
    struct notification_item item;
    bool late; /* older than what its item was told with; it has none, so that nothing goes back */
    enum notification_type type; /* which member of the union holds */
    union {
        struct task_status_update task_status;
        struct client_notification client;
        struct review_alert review;
        struct review_update review_update;
        struct review_refusal review_refusal;
        struct custom_event custom;
    };
};

/* The event that clients know it by; borrowed from it, or static. */
struct bytes notification_event(const struct notification *notification);

/* --- Value: protobuf --- */

/* Appends the record's value. */
void notification_encode(const struct notification *notification, struct buffer *value);

/* Decodes a record's value. The result borrows from `value`, which must outlive it; the caller
 * frees it with notification_free(). Fails with STATUS_MALFORMED (not a Notification, or one with
 * text that is not UTF-8 or data that is not JSON, which could not be written as JSON, an item
 * whose key is longer than its limit, or a custom event whose name may not be) or
 * STATUS_UNSUPPORTED (a kind of content that this build does not know: skip and count it). Limits are the caller's: it takes 16 bytes for each room and
 * rule, and a constant. */
enum status notification_decode(struct bytes value, struct notification **notification) MUST_CHECK;

/* How many rooms a value names, without decoding it; false: it is malformed. It may be malformed in
 * another way still. */
bool notification_count_rooms(struct bytes value, size_t *count) MUST_CHECK;

/* Frees what notification_decode() made; NULL is fine. Never for a notification made in another
 * way. */
void notification_free(struct notification *notification);

/* --- Headers: enough to skip a record without decoding its value --- */

#define NOTIFICATION_HEADER_CONTENT_TYPE "content-type" /* application/protobuf */
#define NOTIFICATION_HEADER_TYPE "type"                 /* notification_type_name() */
#define NOTIFICATION_HEADER_ROOMS \
    "rooms" /* room_hash() of each room, 8 bytes each, little endian, in order */
#define NOTIFICATION_HEADER_LAYOUT \
    "layout" /* layout_revision() of the producer: 8 bytes, little endian */
#define NOTIFICATION_HEADER_HOPS \
    "hops" /* how often dispatchers have handled what led to it, in decimal */
#define NOTIFICATION_HEADER_ITEM \
    "item" /* of one that is about an item: notification_item_hash() of its key, 8 bytes, \
              little endian; then a byte: 1 if it is removed, else 0 */

#define NOTIFICATION_HEADERS_MAX 6

enum { NOTIFICATION_HEADER_ITEM_SIZE = 9 };

/* What the headers say. Views borrow. */
struct notification_envelope {
    bool has_type;
    enum notification_type type;
    struct bytes room_hashes; /* 8 bytes each, little endian; empty: not said, look at the value;
                                 of another size: not well formed, the reader counts it */
    uint64_t layout;          /* layout_revision(); 0: not said */
    unsigned hops;
    uint64_t item_hash; /* notification_item_hash(); 0: about no item */
    bool item_removed;
};

struct notification_header {
    const char *name;
    struct bytes value;
};

/* By which a reader that keeps the last notification of each item knows it again without decoding
 * the value. The same on every machine, never 0. Of one room, two keys with one hash would be one
 * item: by accident as good as never, and who chooses keys so harms but its own tenant's. */
uint64_t notification_item_hash(struct bytes key);

/* Appends one room's hash to what will be `room_hashes`. */
void notification_append_room_hash(struct buffer *room_hashes, uint64_t hash);

struct notification_headers {
    struct notification_header items[NOTIFICATION_HEADERS_MAX];
    size_t count;
    uint8_t layout[8]; /* the items borrow both: do not copy this struct */
    uint8_t item[NOTIFICATION_HEADER_ITEM_SIZE];
};

/* Fills `headers`. The values borrow from it, from what the envelope borrows, and from static
 * texts. `hops` above 9 is written as 9. */
void notification_headers_encode(const struct notification_envelope *envelope,
                                 struct notification_headers *headers);

/* Takes in one header of a record: start from a zeroed envelope and offer each. Names that are
 * not ours change nothing, nor do values that are not well formed, but for `rooms`. The value is
 * borrowed. */
void notification_header_decode(struct notification_envelope *envelope, struct bytes name,
                                struct bytes value);

static inline size_t notification_room_hash_count(const struct notification_envelope *envelope)
{
    return envelope->room_hashes.size / 8;
}

/* The hash of the room at `index`, which must be below the count. */
uint64_t notification_room_hash(const struct notification_envelope *envelope, size_t index);

/* --- Key of a record in a state topic (layout.h) --- */

/* Appends what compaction goes by: a later record of the same scope, item and rooms takes the
 * place of this one. With other rooms it has another key, and each room goes by the order of the
 * log. Sizes of 4 bytes, little endian, stand before scope and item; behind them 16 bytes, a
 * hash of the rooms in order. The notification is about an item. */
void notification_state_key(const struct notification *notification, struct bytes scope,
                            struct buffer *key);

/* The scope of the rooms, as the lane's record has it in its key; borrowed. False: no such key. */
bool notification_state_scope(struct bytes key, struct bytes *scope) MUST_CHECK;

/* --- JSON: what clients get --- */

/* Appends the proto3 JSON mapping: lowerCamelCase names, empty fields left out, data embedded
 * byte for byte, no white space of its own:
 *   {"id":...,"time":...,"rooms":[...],"eventId":...,"rules":[...],"rulesRevision":...,"traceparent":...,
 *    "tracestate":...,"item":{"key":...,"removed":true},"late":true,"taskStatus":{...}}
 * `data` must be one valid JSON value: the dispatcher lets nothing else in. */
void notification_to_json(const struct notification *notification, struct buffer *json);

/* Appends what a client is given under the event's name: of a custom event its data (null if it
 * has none), of any other notification_to_json(). */
void notification_argument_to_json(const struct notification *notification, struct buffer *json);

#endif
