/* The layout in use: which lane a room is in. Reading it from configuration is layout_read.c's
 * part, what follows from the whole of it layout_settle.c's; from then on it is never changed, so
 * that any thread may ask.
 *
 * The invariant: equal rooms of equal owners come to equal lanes in every process with this
 * revision. The dispatcher writes and the gateways read by it, with no word between them. */
#include "layout.h"

#include <assert.h>

#include "layout_private.h"
#include "mem.h"
#include "murmur2.h"

enum { TOPIC_VALUE_LIMIT = 64 };

/* HASH_CLEAR() frees uthash's table alone; its order of insertion still links the rules. */
static void rules_free(struct layout_rule **rules)
{
    struct layout_rule *rule = *rules, *next;
    HASH_CLEAR(hh, *rules);
    for (; rule; rule = next) {
        next = rule->hh.next;
        free(rule->name);
        layout_template_deinit(&rule->topic);
        layout_template_deinit(&rule->key);
        free(rule);
    }
}

static void allowed_free(struct layout_allowed **values)
{
    struct layout_allowed *value = *values, *next;
    HASH_CLEAR(hh, *values);
    for (; value; value = next) {
        next = value->hh.next;
        free(value->value);
        free(value);
    }
}

void layout_free(struct layout *layout)
{
    if (!layout)
        return;
    rules_free(&layout->kinds);
    rules_free(&layout->large_tenants);
    struct layout_allow *allow = layout->allow, *next;
    HASH_CLEAR(hh, layout->allow);
    for (; allow; allow = next) {
        next = allow->hh.next;
        allowed_free(&allow->exact);
        allowed_free(&allow->prefixes);
        free(allow->name);
        free(allow);
    }
    free(layout->topics);
    arena_deinit(&layout->names);
    free(layout);
}

/* Settled even if reading found problems: the operator is told about everything at once. */
enum status layout_new(const struct layout_source *source, struct layout **layout,
                       struct problems *problems)
{
    size_t before = problems->count + problems->omitted;
    struct layout *made = mem_new(struct layout);
    layout_read(made, source, problems);
    layout_settle(made, problems);
    if (problems->count + problems->omitted != before) {
        layout_free(made);
        return STATUS_INVALID;
    }
    *layout = made;
    return STATUS_OK;
}

/* What may stand in a topic name, but for the dot: the templates put dots between values, and a
 * value with one could pass for two. */
bool layout_value_valid(struct bytes value)
{
    if (value.size < 1 || value.size > TOPIC_VALUE_LIMIT)
        return false;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        bool letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
        if (!letter && !(byte >= '0' && byte <= '9') && byte != '-' && byte != '_')
            return false;
    }
    return true;
}

bool layout_value_allowed(const struct layout *layout, const char *name, struct bytes value)
{
    const struct layout_allow *allow = NULL;
    HASH_FIND_STR(layout->allow, name, allow);
    if (!allow || !layout_value_valid(value))
        return false;
    const struct layout_allowed *found = NULL;
    HASH_FIND(hh, allow->exact, value.data, value.size, found);
    if (found)
        return true;
    for (found = allow->prefixes; found; found = found->hh.next) {
        if (bytes_start_with(value, bytes_of_string(found->value)))
            return true;
    }
    return false;
}

static const struct layout_rule *rule_of(const struct layout *layout, struct bytes kind,
                                         struct bytes tenant)
{
    const struct layout_rule *rule = NULL, *large = NULL;
    HASH_FIND(hh, layout->kinds, kind.data, kind.size, rule);
    if (rule && tenant.size && layout_rule_gives_way(rule))
        HASH_FIND(hh, layout->large_tenants, tenant.data, tenant.size, large);
    return large ? large : rule;
}

/* The owner has what the room belongs to and the templates need, in valid syntax. */
static enum status check_owner(const struct layout_rule *rule, const struct layout_values *values,
                               struct error *error)
{
    static const enum layout_place places[] = {LAYOUT_PLACE_TENANT, LAYOUT_PLACE_USER};
    for (int i = 0; i < 2; i++) {
        struct bytes value = values->of[places[i]];
        /* The tenant is needed even where no template names it: write_key() puts it in front. */
        if (!((rule->topic.uses | rule->key.uses) & LAYOUT_USES(places[i])) &&
            (rule->shared || places[i] != LAYOUT_PLACE_TENANT))
            continue;
        if (value.size == 0)
            return error_set(error, STATUS_INVALID, "no %s, to whom rooms of this kind belong",
                             layout_place_text(places[i]));
        if (!room_key_valid(value))
            return error_set(error, STATUS_INVALID,
                             "a %s is 1 to %d bytes of UTF-8 without control characters",
                             layout_place_text(places[i]), ROOM_KEY_LIMIT);
    }
    return STATUS_OK;
}

/* Only what configuration names may enter a topic name: event data must not create topics. */
static enum status check_topic_values(const struct layout *layout, const struct layout_rule *rule,
                                      const struct layout_values *values, const char *kind,
                                      struct error *error)
{
    static const enum layout_place places[] = {LAYOUT_PLACE_KEY, LAYOUT_PLACE_TENANT,
                                               LAYOUT_PLACE_USER};
    for (int i = 0; i < 3; i++) {
        if (!(rule->topic.uses & LAYOUT_USES(places[i])))
            continue;
        const char *list = places[i] == LAYOUT_PLACE_KEY ? kind : layout_place_text(places[i]);
        if (!layout_value_allowed(layout, list, values->of[places[i]]))
            return error_set(error, STATUS_DENIED,
                             "\"%.*s\" may not enter a topic name: it is not among `allow.%s`",
                             BYTES_PRINT(values->of[places[i]]), list);
    }
    return STATUS_OK;
}

/* Whose rooms a lane holds, read from a record's key alone: the gateway hashes room names with it,
 * and it must not be able to differ from what the dispatcher has hashed. */
bool lane_scope_take(enum lane_scope rule, struct bytes key, struct bytes *scope)
{
    const uint8_t *separator = NULL;
    switch (rule) {
    case LANE_SCOPE_KEY:
        *scope = key;
        return true;
    case LANE_SCOPE_TENANT:
        separator = key.size ? memchr(key.data, LAYOUT_KEY_SEPARATOR, key.size) : NULL;
        *scope = bytes_of(key.data, separator ? (size_t)(separator - key.data) : 0);
        return separator != NULL;
    case LANE_SCOPE_NONE:
        *scope = bytes_of(key.data, 0);
        return true;
    }
    return false;
}

/* The record key, with the tenant in front of what does not hold it. False: it is too long. */
static bool write_key(const struct layout_rule *rule, const struct layout_values *values,
                      uint8_t key[LAYOUT_KEY_LIMIT], size_t *size)
{
    size_t front = 0, rest;
    if (!rule->shared && !layout_rule_tenant_keyed(rule)) {
        struct bytes tenant = values->of[LAYOUT_PLACE_TENANT];
        assert(tenant.size > 0 && tenant.size < LAYOUT_KEY_LIMIT);
        memcpy(key, tenant.data, tenant.size);
        key[tenant.size] = LAYOUT_KEY_SEPARATOR;
        front = tenant.size + 1;
    }
    if (!layout_template_expand(&rule->key, values, key + front, LAYOUT_KEY_LIMIT - front, &rest))
        return false;
    *size = front + rest;
    return true;
}

/* First what is missing, then what is not allowed: two mistakes, with a status each. */
enum status layout_lane(const struct layout *layout, const struct room_name *room,
                        const struct room_owner *owner, struct lane_name *lane, struct error *error)
{
    const struct layout_rule *rule = rule_of(layout, room->kind, owner->tenant);
    if (!rule)
        return error_set(error, STATUS_NOT_FOUND, "there are no rooms of kind \"%.*s\"",
                         BYTES_PRINT(room->kind));
    struct layout_values values = {.of = {[LAYOUT_PLACE_KIND] = room->kind,
                                          [LAYOUT_PLACE_KEY] = room->key,
                                          [LAYOUT_PLACE_ROOM] = room->name,
                                          [LAYOUT_PLACE_TENANT] = owner->tenant,
                                          [LAYOUT_PLACE_USER] = owner->user}};
    enum status status = check_owner(rule, &values, error);
    if (status == STATUS_OK)
        status = check_topic_values(layout, rule, &values, rule->name, error);
    if (status != STATUS_OK)
        return status;
    uint8_t topic[LAYOUT_TOPIC_LIMIT], key[LAYOUT_KEY_LIMIT];
    size_t topic_size, key_size;
    struct bytes scope;
    if (!layout_template_expand(&rule->topic, &values, topic, sizeof(topic), &topic_size))
        return error_set(error, STATUS_TOO_LARGE, "a topic name of more than %d characters",
                         LAYOUT_TOPIC_LIMIT);
    if (!write_key(rule, &values, key, &key_size))
        return error_set(error, STATUS_TOO_LARGE, "a record key of more than %d bytes",
                         LAYOUT_KEY_LIMIT);
    bool scoped = lane_scope_take(layout_rule_scope(rule), bytes_of(key, key_size), &scope);
    /* A wall between tenants: without a scope, equal names of two tenants would have one hash. */
    assert(scoped && (scope.size > 0 || rule->shared));
    /* Only now: a failed call leaves `lane` as it was. */
    memcpy(lane->topic, topic, topic_size);
    lane->topic[topic_size] = '\0';
    memcpy(lane->key, key, key_size);
    lane->key_size = (uint16_t)key_size;
    lane->scope_size = (uint16_t)scope.size;
    lane->scope = layout_rule_scope(rule);
    lane->partition_count = rule->partition_count;
    lane->partition = murmur2_partition(lane_name_key(lane), rule->partition_count);
    return STATUS_OK;
}

size_t layout_topic_count(const struct layout *layout)
{
    return layout->topic_count;
}

const struct layout_topic *layout_topic_at(const struct layout *layout, size_t index)
{
    assert(index < layout->topic_count);
    return &layout->topics[index];
}

/* Whether `name` is `pattern`, in which each `*` stands for the characters of a value. The usual
 * matching with one point to come back to: it is enough, since a later star can take whatever an
 * earlier one gives up, and it keeps the time quadratic at worst. */
static bool topic_matches(const char *pattern, struct bytes name)
{
    const char *star = NULL;
    size_t at = 0, resume = 0;
    while (at < name.size) {
        char byte = (char)name.data[at];
        if (*pattern == '*') {
            star = pattern++;
            resume = at;
        } else if (*pattern == byte) {
            pattern++;
            at++;
        } else if (star && name.data[resume] != '.') {
            /* A value has no dot, so neither has what a star stands for. */
            pattern = star + 1;
            at = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* An exact name wins over a pattern that fits it: it has been configured by name. Linear: asked
 * when a lane is opened, and not for each record. */
const struct layout_topic *layout_topic_find(const struct layout *layout, struct bytes name)
{
    const struct layout_topic *by_pattern = NULL;
    for (size_t i = 0; i < layout->topic_count; i++) {
        const struct layout_topic *topic = &layout->topics[i];
        if (bytes_equal_string(name, topic->name))
            return topic;
        if (topic->pattern && !by_pattern && topic_matches(topic->name, name))
            by_pattern = topic;
    }
    return by_pattern;
}

bool layout_has_kind(const struct layout *layout, struct bytes kind)
{
    const struct layout_rule *rule = NULL;
    HASH_FIND(hh, layout->kinds, kind.data, kind.size, rule);
    return rule != NULL;
}

uint64_t layout_kind_bit(const struct layout *layout, struct bytes kind)
{
    const struct layout_rule *rule = NULL;
    HASH_FIND(hh, layout->kinds, kind.data, kind.size, rule);
    assert(!rule || rule->number < LAYOUT_KINDS_LIMIT);
    return rule ? UINT64_C(1) << rule->number : 0;
}

uint64_t layout_revision(const struct layout *layout)
{
    return layout->revision;
}
