/* Where rooms live: from a room and whose it is to its lane (topic, record key, partition), as
 * configured. Both programs read the same configuration and so agree. Not a client of Kafka: topics
 * are created and checked elsewhere.
 *
 *     layout: tenant            # a preset: tenant (default), user, none
 *     rooms:                    # adds to the preset's kinds, changes them, or removes one
 *       task:   {topic: fanout.tenant, key: "{tenant}", partitions: 8}
 *       review: {topic: "fanout.review.{key}", key: "{tenant}"}
 *       news:   {topic: fanout.news, shared: true}
 *       project: null
 *     large_tenants:            # for this tenant, the kinds whose key is {tenant} live there, but
 *                               # for those with {key} in their topic: they have topics of their
 * own acme: {topic: fanout.acme, partitions: 32, key: "{room}"} allow:                    # the
 * values that may enter a topic name review: [legal, fraud, "team-*"]
 *
 * Topic templates hold {kind}, {key}, {tenant}, {user}. A value enters only if it is 1 to 64 of
 * A-Z, a-z, 0-9, - and _, and `allow` names it: {key} under the room's kind, {tenant} under
 * `tenant`, {user} under `user`. A `*` at the end of an allowed value stands for any rest: whoever
 * writes the events then decides how many topics there are.
 *
 * Key templates hold either at most one of {tenant}, {user}, or any of {room}, {kind}, {key};
 * without one: {room}. Kinds whose topics can coincide have one key template, one partition count
 * and are all `shared` or none; none may be where another's state is. Partition counts are
 * configuration, not asked from the broker: without `partitions`, that of another kind with the
 * same topic, else 1 if the topic template holds {key}, else 8.
 *
 * A room's identity is its topic, its scope and its name. A room is its tenant's: two tenants'
 * rooms of one name are two rooms. Where the key template does not hold {tenant}, the record key
 * begins with the tenant and LAYOUT_KEY_SEPARATOR all the same. Only a kind that is configured as
 * `shared` has rooms that belong to no tenant: whoever may join them, of any tenant, gets what any
 * tenant's events bring to them.
 *
 * The scope is the front of the record key: all of it where the key says whose the room is
 * ({tenant}, {user}, or no placeholder); the tenant where the rest is made from the room, since
 * one record, with one key, may name several rooms of its lane; nothing where such a kind is
 * shared. */
#ifndef COMMON_LAYOUT_H
#define COMMON_LAYOUT_H

#include "document.h"
#include "problems.h"
#include "room.h"

/* The state of the lanes of a topic is kept in a topic of this name behind its own, in the
 * partition of the same number: the lanes' records once more that are about an item, compacted. */
#define LAYOUT_STATE_SUFFIX ".state"

enum {
    KAFKA_TOPIC_LIMIT = 249, /* what Kafka takes */
    LAYOUT_TOPIC_LIMIT = KAFKA_TOPIC_LIMIT - (sizeof(LAYOUT_STATE_SUFFIX) - 1),
    LAYOUT_KEY_LIMIT = 512,
    LAYOUT_PARTITIONS_LIMIT = 10000,
    LAYOUT_KINDS_LIMIT = 64,
    LAYOUT_TOPICS_LIMIT = 4096, /* topics and patterns that a layout can come to */
    LAYOUT_PARTITIONS_DEFAULT = 8,
    /* Between the tenant and the rest of a record key: no tenant, user or room holds it. */
    LAYOUT_KEY_SEPARATOR = 0x1F,
};

struct layout;

/* What configuration says; nodes may be NULL. */
struct layout_source {
    struct bytes preset; /* empty: tenant */
    const struct document_node *rooms;
    const struct document_node *large_tenants;
    const struct document_node *allow;
};

/* Every problem is added, with its place; then STATUS_INVALID and no layout. Nothing is borrowed.
 * The caller frees *layout. */
enum status layout_new(const struct layout_source *source, struct layout **layout,
                       struct problems *problems) MUST_CHECK;
void layout_free(struct layout *layout);

/* Whose a room is: from an event, or from a session's claims. Empty: unknown. */
struct room_owner {
    struct bytes tenant;
    struct bytes user;
};

/* How much of a record key is the scope of its rooms. */
enum lane_scope {
    LANE_SCOPE_KEY,    /* all of it */
    LANE_SCOPE_TENANT, /* what stands before LAYOUT_KEY_SEPARATOR */
    LANE_SCOPE_NONE,   /* nothing: the rooms are shared and the key is made from them */
};

/* The salt of room_hash() and the second part of a room's identity: the front of a record's key.
 * False: the key has none, no room of this layout has such a key. */
bool lane_scope_take(enum lane_scope rule, struct bytes key, struct bytes *scope) MUST_CHECK;

struct lane_name {
    char topic[LAYOUT_TOPIC_LIMIT + 1];
    uint8_t key[LAYOUT_KEY_LIMIT]; /* the record key */
    uint16_t key_size;
    uint16_t scope_size; /* so much of the key is the scope */
    enum lane_scope scope;
    int32_t partition;
    int32_t partition_count;
};

static inline struct bytes lane_name_key(const struct lane_name *lane)
{
    return bytes_of(lane->key, lane->key_size);
}

/* As lane_scope_take() gives it for the key. */
static inline struct bytes lane_name_scope(const struct lane_name *lane)
{
    return bytes_of(lane->key, lane->scope_size);
}

/* Two rooms are in one lane. */
static inline bool lane_name_same(const struct lane_name *a, const struct lane_name *b)
{
    return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

/* The lane of a room. No allocation. Fails (error may be NULL) with STATUS_NOT_FOUND: no such kind;
 * STATUS_INVALID: the owner lacks the tenant or user that the room belongs to, or has one of
 * invalid syntax; STATUS_DENIED: a value that may not enter a topic name; STATUS_TOO_LARGE. */
enum status layout_lane(const struct layout *layout, const struct room_name *room,
                        const struct room_owner *owner, struct lane_name *lane,
                        struct error *error) MUST_CHECK;

struct layout_topic {
    const char *name; /* if pattern: `*` stands for a value, once or several times */
    int32_t partition_count;
    bool pattern;
    enum lane_scope scope;
    uint64_t kinds; /* whose rooms can live there: layout_kind_bit() of each */
};

/* All topics and patterns, sorted by name. The dispatcher creates the former at its start, those of
 * a pattern when first needed. */
size_t layout_topic_count(const struct layout *layout);
const struct layout_topic *layout_topic_at(const struct layout *layout, size_t index);
/* What a topic of this name must be, or NULL. */
const struct layout_topic *layout_topic_find(const struct layout *layout, struct bytes name);

bool layout_has_kind(const struct layout *layout, struct bytes kind);

/* One bit for each kind; 0: there is no such kind. */
uint64_t layout_kind_bit(const struct layout *layout, struct bytes kind);

/* A hash of what decides where rooms live (kinds, templates, counts, what is shared, large tenants;
 * not `allow`),
 * the same for equal layouts however they are written. In record headers and cursors; zero never.
 */
uint64_t layout_revision(const struct layout *layout);

#endif
