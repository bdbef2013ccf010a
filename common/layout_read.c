/* From configuration to the rules of a layout, with every problem in its place: a reading goes on
 * after a fault, since an operator wants to mend a file in one go.
 *
 * What can be judged of one rule is judged here; what needs all of them (two kinds in one topic) is
 * layout_settle.c's. A rule that is refused is not in the layout at all, so that nothing later
 * stumbles over half of one. */
#include <stdio.h>

#include "layout_private.h"
#include "mem.h"

enum { LARGE_TENANTS_LIMIT = 1000, ALLOWED_LIMIT = 10000 };

/* What a layout begins with, before the file says anything. In `tenant` everything of a tenant is
 * in one lane, and so in one order; in `user` each user has his own, and a busy user holds up
 * nobody else. */
struct preset_rule {
    const char *preset;
    const char *kind;
    const char *topic;
    const char *key;
};

static const struct preset_rule preset_rules[] = {
    {"tenant", "tenant", "fanout.tenant", "{tenant}"},
    {"tenant", "project", "fanout.tenant", "{tenant}"},
    {"tenant", "user", "fanout.tenant", "{tenant}"},
    {"tenant", "task", "fanout.tenant", "{tenant}"},
    {"tenant", "review", "fanout.review.{key}", "{tenant}"},
    {"user", "user", "fanout.user", "{user}"},
    {"user", "task", "fanout.user", "{user}"},
    {"user", "review", "fanout.review.{key}", "{tenant}"},
};

/* A mapping of the configuration that describes one rule. */
struct rule_text {
    struct bytes topic; /* empty: not given */
    struct bytes key;
    int64_t partition_count; /* 0: not given */
    bool shared;
    const struct document_node *node;
    const char *what; /* for problems */
};

static void layout_problem(struct problems *problems, const struct document_node *node,
                           const char *what, const char *text)
{
    problems_add(problems, node->line, node->column, "%s: %s", what, text);
}

/* Topic templates know their kind: {kind} is written out. */
static void append_with_kind(struct buffer *out, struct bytes text, const char *kind)
{
    struct bytes place = BYTES_LITERAL("{kind}");
    while (text.size) {
        if (kind && bytes_start_with(text, place)) {
            buffer_append_string(out, kind);
            text = bytes_skip(text, place.size);
        } else {
            buffer_append_byte(out, text.data[0]);
            text = bytes_skip(text, 1);
        }
    }
}

/* A topic that began with a value could come to the name of any other topic, "__consumer_offsets"
 * among them. */
static const char *topic_fault(const struct layout_template *topic, bool literal_only)
{
    if (topic->uses & LAYOUT_USES(LAYOUT_PLACE_ROOM))
        return "a topic name cannot hold {room}, because of its colon: write {kind}.{key}";
    if (literal_only && topic->uses)
        return "the topic of a large tenant holds no placeholders";
    if (topic->parts[0].place != LAYOUT_PLACE_LITERAL)
        return "a topic name begins with literal text";
    if (strncmp(topic->text, "__", 2) == 0 || strcmp(topic->text, ".") == 0 ||
        strcmp(topic->text, "..") == 0)
        return "this name is reserved by Kafka";
    /* The literal parts; values are judged when they are listed under `allow` (add_allowed). */
    for (size_t i = 0; i < topic->count; i++) {
        struct bytes text = topic->parts[i].literal;
        for (size_t at = 0; at < text.size; at++) {
            struct bytes byte = bytes_of(text.data + at, 1);
            if (!layout_value_valid(byte) && text.data[at] != '.')
                return "a topic name is made of A-Z, a-z, 0-9, ., - and _";
        }
    }
    return NULL;
}

/* Two owners must never have one key: a lane is walled by it. "a" and "bc" of two places would be
 * "abc", like "ab" and "c". */
static const char *key_fault(const struct layout_template *key)
{
    const unsigned room = LAYOUT_USES(LAYOUT_PLACE_ROOM) | LAYOUT_USES(LAYOUT_PLACE_KIND) |
                          LAYOUT_USES(LAYOUT_PLACE_KEY);
    const unsigned tenant = LAYOUT_USES(LAYOUT_PLACE_TENANT), user = LAYOUT_USES(LAYOUT_PLACE_USER);
    if ((key->uses & tenant) && (key->uses & user))
        return "a key holds {tenant} or {user}, not both: two owners could have the same key";
    if ((key->uses & (tenant | user)) && (key->uses & room))
        return "a key is made from the owner ({tenant} or {user}) or from the room ({room}, "
               "{kind}, "
               "{key}), not from both";
    if (!room_key_valid(bytes_of_string(key->text)))
        return "a key is at most 200 bytes of UTF-8 without control characters";
    return NULL;
}

static const char *shared_fault(const struct layout_rule *rule)
{
    if (rule->shared && ((rule->topic.uses | rule->key.uses) & LAYOUT_USES(LAYOUT_PLACE_TENANT)))
        return "what is shared by tenants holds {tenant} neither in its topic nor in its key";
    return NULL;
}

static void add_layout_rule(struct layout_rule **rules, const char *name,
                            const struct rule_text *text, bool is_kind, struct problems *problems)
{
    unsigned line = text->node ? text->node->line : 0;
    unsigned column = text->node ? text->node->column : 0;
    struct layout_rule *rule = mem_new(struct layout_rule);
    auto_buffer struct buffer topic = {0};
    append_with_kind(&topic, text->topic, is_kind ? name : NULL);
    struct bytes key = text->key.size ? text->key : BYTES_LITERAL("{room}");
    struct error error;
    const char *fault = NULL;
    if (layout_template_init(&rule->topic, buffer_peek(&topic), &error) != STATUS_OK ||
        layout_template_init(&rule->key, key, &error) != STATUS_OK)
        fault = error.text;
    if (!fault)
        fault = topic_fault(&rule->topic, !is_kind);
    if (!fault)
        fault = key_fault(&rule->key);
    rule->shared = text->shared;
    if (!fault)
        fault = shared_fault(rule);
    if (fault) {
        problems_add(problems, line, column, "%s: %s", text->what, fault);
        layout_template_deinit(&rule->topic);
        layout_template_deinit(&rule->key);
        free(rule);
        return;
    }
    rule->name = mem_string(bytes_of_string(name));
    rule->partition_count = (int32_t)text->partition_count;
    /* A preset's rule that comes to nothing (review without a list of queues) is no fault of the
     * file. */
    rule->configured = text->node != NULL;
    rule->line = line;
    rule->column = column;
    HASH_ADD_KEYPTR(hh, *rules, rule->name, strlen(rule->name), rule);
}

static void remove_rule(struct layout_rule **rules, const char *name)
{
    struct layout_rule *rule = NULL;
    HASH_FIND_STR(*rules, name, rule);
    if (!rule)
        return;
    HASH_DEL(*rules, rule);
    layout_template_deinit(&rule->topic);
    layout_template_deinit(&rule->key);
    free(rule->name);
    free(rule);
}

static bool read_string(const struct document_node *node, const char *key, struct rule_text *text,
                        struct bytes *value, struct problems *problems)
{
    const struct document_node *found = document_find(node, key);
    if (!found)
        return true;
    if (found->kind == DOCUMENT_STRING && found->text.size) {
        *value = found->text;
        return true;
    }
    problems_add(problems, found->line, found->column, "%s.%s: expected a text, not %s", text->what,
                 key, found->text.size ? document_kind_text(found->kind) : "nothing");
    return false;
}

static bool read_shared(const struct document_node *node, struct rule_text *text,
                        struct problems *problems)
{
    const struct document_node *shared = document_find(node, "shared");
    if (!shared)
        return true;
    text->shared = shared->kind == DOCUMENT_BOOLEAN && shared->boolean;
    if (shared->kind == DOCUMENT_BOOLEAN)
        return true;
    problems_add(problems, shared->line, shared->column, "%s.shared: expected true or false",
                 text->what);
    return false;
}

/* Reads {topic, key, partitions} and, of a kind, {shared}. */
static bool read_rule_text(const struct document_node *node, bool is_kind, struct rule_text *text,
                           struct problems *problems)
{
    static const char *const names[] = {"topic", "key", "partitions", "shared", NULL};
    static const char *const tenant_names[] = {"topic", "key", "partitions", NULL};
    if (!document_check_keys(node, is_kind ? names : tenant_names, text->what, problems))
        return false;
    bool good = read_string(node, "topic", text, &text->topic, problems);
    good = read_string(node, "key", text, &text->key, problems) && good;
    good = read_shared(node, text, problems) && good;
    const struct document_node *count = document_find(node, "partitions");
    if (count && (!document_read_integer(count, &text->partition_count) ||
                  text->partition_count < 1 || text->partition_count > LAYOUT_PARTITIONS_LIMIT)) {
        problems_add(problems, count->line, count->column,
                     "%s.partitions: expected a number from 1 to %d", text->what,
                     LAYOUT_PARTITIONS_LIMIT);
        good = false;
    }
    return good;
}

static void read_kind(struct layout *layout, const struct document_entry *entry,
                      struct problems *problems)
{
    char what[ROOM_KIND_LIMIT + 8];
    auto_free char *kind = mem_string(entry->key->text);
    if (!room_kind_valid(entry->key->text)) {
        layout_problem(problems, entry->key, "rooms",
                       "a kind is 1 to 32 of a-z, 0-9, - and _, beginning with a letter");
        return;
    }
    snprintf(what, sizeof(what), "rooms.%s", kind);
    /* `kind: null` is how a file takes away what its preset has. */
    if (entry->value->kind == DOCUMENT_NULL) {
        remove_rule(&layout->kinds, kind);
        return;
    }
    struct rule_text text = {.node = entry->value, .what = what};
    if (!read_rule_text(entry->value, true, &text, problems))
        return;
    /* A file may change a part of what the preset says about a kind, and leave the rest. */
    struct layout_rule *preset = NULL;
    HASH_FIND_STR(layout->kinds, kind, preset);
    auto_free char *topic = NULL, *key = NULL;
    if (text.topic.size == 0 && preset) {
        /* What is not said is as in the preset; what is shared has no tenant in its key. */
        topic = mem_string(bytes_of_string(preset->topic.text));
        text.topic = bytes_of_string(topic);
        if (text.key.size == 0 && !(text.shared && layout_rule_tenant_keyed(preset))) {
            key = mem_string(bytes_of_string(preset->key.text));
            text.key = bytes_of_string(key);
        }
    }
    if (text.topic.size == 0) {
        layout_problem(problems, entry->value, what, "has no topic");
        return;
    }
    remove_rule(&layout->kinds, kind);
    if (HASH_COUNT(layout->kinds) == LAYOUT_KINDS_LIMIT)
        layout_problem(problems, entry->key, what, "too many kinds");
    else
        add_layout_rule(&layout->kinds, kind, &text, true, problems);
}

/* A tenant so busy that it needs a topic of its own, by name: what others read then has none of
 * it. */
static void read_large_tenant(struct layout *layout, const struct document_entry *entry,
                              struct problems *problems)
{
    char what[ROOM_KEY_LIMIT + 16];
    auto_free char *tenant = mem_string(entry->key->text);
    if (!room_key_valid(entry->key->text)) {
        layout_problem(problems, entry->key, "large_tenants",
                       "a tenant is 1 to 200 bytes of UTF-8 without control characters");
        return;
    }
    snprintf(what, sizeof(what), "large_tenants.%s", tenant);
    struct rule_text text = {.node = entry->value, .what = what};
    if (!read_rule_text(entry->value, false, &text, problems))
        return;
    if (text.topic.size == 0)
        layout_problem(problems, entry->value, what, "has no topic");
    else if (HASH_COUNT(layout->large_tenants) == LARGE_TENANTS_LIMIT)
        layout_problem(problems, entry->key, what, "too many large tenants");
    else
        add_layout_rule(&layout->large_tenants, tenant, &text, false, problems);
}

/* A trailing `*` is for values that do not exist yet. The topics are then found by pattern, as they
 * appear in the cluster; they are still made by an operator, never by an event. */
static void add_allowed(struct layout_allow *allow, const struct document_node *node,
                        const char *what, struct problems *problems)
{
    struct bytes text = node->text;
    bool pattern = node->kind == DOCUMENT_STRING && text.size && text.data[text.size - 1] == '*';
    struct bytes value = pattern ? bytes_of(text.data, text.size - 1) : text;
    bool scalar = node->kind != DOCUMENT_SEQUENCE && node->kind != DOCUMENT_MAPPING;
    if (!scalar || !(layout_value_valid(value) || (pattern && value.size == 0))) {
        layout_problem(problems, node, what,
                       "a value is 1 to 64 of A-Z, a-z, 0-9, - and _, and may end with *");
        return;
    }
    struct layout_allowed **set = pattern ? &allow->prefixes : &allow->exact;
    struct layout_allowed *found = NULL;
    HASH_FIND(hh, *set, value.data, value.size, found);
    if (found || HASH_COUNT(*set) == ALLOWED_LIMIT) {
        layout_problem(problems, node, what,
                       found ? "this value stands here twice" : "too many values");
        return;
    }
    found = mem_new(struct layout_allowed);
    found->value = mem_string(value);
    HASH_ADD_KEYPTR(hh, *set, found->value, value.size, found);
}

static void read_allow(struct layout *layout, const struct document_entry *entry,
                       struct problems *problems)
{
    char what[ROOM_KIND_LIMIT + 8];
    const struct layout_rule *rule = NULL;
    struct bytes name = entry->key->text;
    HASH_FIND(hh, layout->kinds, name.data, name.size, rule);
    if (!rule && !bytes_equal_string(name, "tenant") && !bytes_equal_string(name, "user")) {
        layout_problem(problems, entry->key, "allow",
                       "this is neither a kind of room, nor tenant, nor user");
        return;
    }
    struct layout_allow *allow = mem_new(struct layout_allow);
    allow->name = mem_string(name);
    HASH_ADD_KEYPTR(hh, layout->allow, allow->name, name.size, allow);
    snprintf(what, sizeof(what), "allow.%s", allow->name);
    const struct document_node *list = entry->value;
    if (list->kind != DOCUMENT_SEQUENCE) {
        layout_problem(problems, list, what, "expected a list of values");
        return;
    }
    for (size_t i = 0; i < list->count; i++)
        add_allowed(allow, list->entries[i].value, what, problems);
}

/* Reads each entry of a mapping whose keys are names; an absent or null one has none. */
static void read_each(struct layout *layout, const struct document_node *mapping, const char *what,
                      struct problems *problems,
                      void (*read)(struct layout *, const struct document_entry *,
                                   struct problems *))
{
    if (!mapping || mapping->kind == DOCUMENT_NULL ||
        !document_check_keys(mapping, NULL, what, problems))
        return;
    for (size_t i = 0; i < mapping->count; i++)
        read(layout, &mapping->entries[i], problems);
}

/* In this order: the preset, what the file says over it, and only then the lists of values, which
 * may be named after kinds that the file has added. */
void layout_read(struct layout *layout, const struct layout_source *source,
                 struct problems *problems)
{
    struct bytes preset = source->preset.size ? source->preset : BYTES_LITERAL("tenant");
    /* An unknown preset leaves no kinds, and problems about `allow` may follow from that alone. */
    bool known = bytes_equal_string(preset, "none");
    for (size_t i = 0; i < sizeof(preset_rules) / sizeof(preset_rules[0]); i++) {
        const struct preset_rule *rule = &preset_rules[i];
        if (!bytes_equal_string(preset, rule->preset))
            continue;
        known = true;
        struct rule_text text = {.topic = bytes_of_string(rule->topic),
                                 .key = bytes_of_string(rule->key),
                                 .what = rule->kind};
        add_layout_rule(&layout->kinds, rule->kind, &text, true, problems);
    }
    if (!known)
        problems_add(problems, 0, 0, "layout: expected tenant, user or none, not \"%.*s\"",
                     BYTES_PRINT(preset));
    read_each(layout, source->rooms, "rooms", problems, read_kind);
    read_each(layout, source->large_tenants, "large_tenants", problems, read_large_tenant);
    read_each(layout, source->allow, "allow", problems, read_allow);
}
