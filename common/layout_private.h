/* What the files of layout.h share, and nobody else includes. */
#ifndef COMMON_LAYOUT_PRIVATE_H
#define COMMON_LAYOUT_PRIVATE_H

#include <uthash.h>

#include "arena.h"
#include "layout_template.h"

/* Where the rooms of a kind live, or those of a large tenant. */
struct layout_rule {
    char *name; /* the kind, or the tenant */
    struct layout_template topic;
    struct layout_template key;
    int32_t partition_count; /* 0 while it is not yet decided */
    bool shared;             /* its rooms belong to no tenant */
    bool configured;         /* not from the preset alone */
    unsigned number;         /* of a kind: below LAYOUT_KINDS_LIMIT */
    unsigned line;
    unsigned column;
    UT_hash_handle hh;
};

struct layout_allowed {
    char *value; /* of a pattern without its `*` */
    UT_hash_handle hh;
};

/* The values that may enter a topic name, of one kind (or tenant, or user). */
struct layout_allow {
    char *name;
    struct layout_allowed *exact;
    struct layout_allowed *prefixes;
    UT_hash_handle hh;
};

struct layout {
    struct layout_rule *kinds;
    struct layout_rule *large_tenants;
    struct layout_allow *allow;
    struct layout_topic *topics; /* sorted by name */
    size_t topic_count;
    uint64_t revision;
    struct arena names; /* of topics */
};

/* The key is made from the room, not from whose it is. */
static inline bool layout_rule_room_keyed(const struct layout_rule *rule)
{
    return rule->key.uses & (LAYOUT_USES(LAYOUT_PLACE_ROOM) | LAYOUT_USES(LAYOUT_PLACE_KIND) |
                             LAYOUT_USES(LAYOUT_PLACE_KEY));
}

static inline bool layout_rule_tenant_keyed(const struct layout_rule *rule)
{
    return rule->key.uses & LAYOUT_USES(LAYOUT_PLACE_TENANT);
}

/* A large tenant has its own topic for kinds keyed by tenant. Not for those with {key} in their
 * topic: these are spread over topics already. */
static inline bool layout_rule_gives_way(const struct layout_rule *rule)
{
    return layout_rule_tenant_keyed(rule) && !(rule->topic.uses & LAYOUT_USES(LAYOUT_PLACE_KEY));
}

static inline enum lane_scope layout_rule_scope(const struct layout_rule *rule)
{
    if (!layout_rule_room_keyed(rule))
        return LANE_SCOPE_KEY;
    return rule->shared ? LANE_SCOPE_NONE : LANE_SCOPE_TENANT;
}

/* 1 to 64 of A-Z a-z 0-9 - _. */
bool layout_value_valid(struct bytes value);
bool layout_value_allowed(const struct layout *layout, const char *name, struct bytes value);

/* Fills kinds, large_tenants and allow from configuration. */
void layout_read(struct layout *layout, const struct layout_source *source,
                 struct problems *problems);

/* Decides partition counts, fills topics, checks what may not coincide, computes the revision. */
void layout_settle(struct layout *layout, struct problems *problems);

#endif
