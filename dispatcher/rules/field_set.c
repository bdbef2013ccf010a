#include "field_set.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"

#define NO_NODE UINT16_MAX
#define NO_SLOT UINT32_MAX
#define PATH_SIZE_LIMIT 1000

/* A tree of path segments: children are a linked list, since an event's fields are few. */
struct node {
    struct bytes segment; /* owned; its data is freed with the set */
    uint16_t first_child;
    uint16_t next_sibling;
    uint32_t slot;
};

struct field_set {
    struct node *nodes;
    size_t node_count;
    unsigned slot_count;
};

static uint16_t add_node(struct field_set *set, struct bytes segment)
{
    set->nodes = (struct node *)mem_resize(set->nodes, set->node_count + 1, sizeof(struct node));
    set->nodes[set->node_count] = (struct node){
        .segment = bytes_of(mem_string(segment), segment.size),
        .first_child = NO_NODE,
        .next_sibling = NO_NODE,
        .slot = NO_SLOT,
    };
    return (uint16_t)set->node_count++;
}

struct field_set *field_set_new(void)
{
    struct field_set *set = mem_new(struct field_set);
    add_node(set, bytes_of(NULL, 0));
    return set;
}

void field_set_free(struct field_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->node_count; i++)
        free((void *)(uintptr_t)set->nodes[i].segment.data);
    free(set->nodes);
    free(set);
}

static uint16_t child_of(const struct field_set *set, uint16_t parent, struct bytes segment)
{
    uint16_t child = set->nodes[parent].first_child;
    while (child != NO_NODE && !bytes_equal(set->nodes[child].segment, segment))
        child = set->nodes[child].next_sibling;
    return child;
}

/* Splits the first segment off. False: that was the last. */
static bool split_segment(struct bytes *path, struct bytes *segment)
{
    const uint8_t *dot =
        path->size == 0 ? NULL : (const uint8_t *)memchr(path->data, '.', path->size);
    if (dot == NULL) {
        *segment = *path;
        return false;
    }
    *segment = bytes_of(path->data, (size_t)(dot - path->data));
    *path = bytes_skip(*path, segment->size + 1);
    return true;
}

enum status field_set_add(struct field_set *set, struct bytes path, unsigned *slot)
{
    if (path.size == 0 || path.size > PATH_SIZE_LIMIT)
        return STATUS_INVALID;
    if (set->node_count + path.size >= NO_NODE || set->slot_count == FIELD_SET_LIMIT)
        return STATUS_LIMIT;
    uint16_t at = 0;
    bool more;
    do {
        struct bytes segment;
        more = split_segment(&path, &segment);
        uint16_t child = child_of(set, at, segment);
        if (child == NO_NODE) {
            child = add_node(set, segment);
            set->nodes[child].next_sibling = set->nodes[at].first_child;
            set->nodes[at].first_child = child;
        }
        at = child;
    } while (more);
    if (set->nodes[at].slot == NO_SLOT)
        set->nodes[at].slot = set->slot_count++;
    *slot = set->nodes[at].slot;
    return STATUS_OK;
}

unsigned field_set_count(const struct field_set *set)
{
    return set->slot_count;
}

/* One pass: where it stands in the text, and the tree's node for each container open on the way. */
struct extraction {
    const struct field_set *set;
    struct json_scanner scanner;
    struct field_value *values;
    unsigned open;
    struct {
        uint16_t node;
        uint32_t slot; /* whose value this container is, or NO_SLOT */
        size_t start;  /* of the container's text */
        bool is_array;
    } path[FIELD_DEPTH_LIMIT];
};

static uint16_t node_of_key(const struct field_set *set, uint16_t at, struct bytes key)
{
    bool more;
    do {
        struct bytes segment;
        more = split_segment(&key, &segment);
        at = child_of(set, at, segment);
    } while (more && at != NO_NODE);
    return at;
}

static uint16_t node_of_token(const struct extraction *walk, uint16_t at)
{
    uint8_t decoded[PATH_SIZE_LIMIT];
    struct bytes key = walk->scanner.raw;
    if (walk->scanner.escaped) {
        if (key.size > sizeof(decoded))
            return NO_NODE;
        key = bytes_of(decoded, json_unescape(key, decoded));
    }
    return node_of_key(walk->set, at, key);
}

static bool wants(const struct extraction *walk, uint32_t slot)
{
    return slot != NO_SLOT && walk->values[slot].kind == JSON_ERROR;
}

static void take_scalar(struct extraction *walk, enum json_token token, uint16_t node)
{
    uint32_t slot = walk->set->nodes[node].slot;
    if (!wants(walk, slot))
        return;
    walk->values[slot] = (struct field_value){
        .kind = token, .raw = walk->scanner.raw, .escaped = walk->scanner.escaped};
}

/* Enters a container at `node`. `is_element`: it stands in an array, whose value was taken as a
 * whole. */
static bool enter(struct extraction *walk, enum json_token token, uint16_t node, bool is_element)
{
    if (walk->open == FIELD_DEPTH_LIMIT)
        return false;
    uint32_t slot = is_element ? NO_SLOT : walk->set->nodes[node].slot;
    walk->path[walk->open].node = node;
    walk->path[walk->open].slot = wants(walk, slot) ? slot : NO_SLOT;
    walk->path[walk->open].start = walk->scanner.start;
    walk->path[walk->open].is_array = token == JSON_ARRAY;
    walk->open++;
    return true;
}

static void leave(struct extraction *walk)
{
    walk->open--;
    uint32_t slot = walk->path[walk->open].slot;
    if (!wants(walk, slot))
        return;
    size_t start = walk->path[walk->open].start;
    walk->values[slot] = (struct field_value){
        .kind = walk->path[walk->open].is_array ? JSON_ARRAY : JSON_OBJECT,
        .raw = bytes_of(walk->scanner.text.data + start, json_position(&walk->scanner) - start)};
}

static bool step_value(struct extraction *walk, enum json_token token, uint16_t node,
                       bool is_element)
{
    bool is_container = token == JSON_OBJECT || token == JSON_ARRAY;
    const struct node *wanted = &walk->set->nodes[node];
    if (!is_container) {
        if (!is_element)
            take_scalar(walk, token, node);
        return true;
    }
    if (wanted->first_child == NO_NODE && (is_element || !wants(walk, wanted->slot)))
        return json_skip_container(&walk->scanner);
    if (wanted->first_child != NO_NODE)
        return enter(walk, token, node, is_element);
    size_t start = walk->scanner.start;
    if (!json_skip_container(&walk->scanner))
        return false;
    walk->values[wanted->slot] = (struct field_value){
        .kind = token,
        .raw = bytes_of(walk->scanner.text.data + start, json_position(&walk->scanner) - start)};
    return true;
}

/* One token inside the innermost open container. */
static bool step(struct extraction *walk, enum json_token token)
{
    uint16_t node = walk->path[walk->open - 1].node;
    if (token == JSON_ERROR || token == JSON_END)
        return false;
    if (token == JSON_OBJECT_END || token == JSON_ARRAY_END) {
        leave(walk);
        return true;
    }
    if (token != JSON_KEY)
        return step_value(walk, token, node, true);
    uint16_t child = node_of_token(walk, node);
    if (child == NO_NODE) {
        enum json_token value = json_value(&walk->scanner, NULL);
        return value != JSON_ERROR;
    }
    return step_value(walk, json_next(&walk->scanner), child, false);
}

enum status field_set_extract(const struct field_set *set, struct bytes json,
                              struct field_value *values)
{
    struct extraction walk;
    walk.set = set;
    walk.values = values;
    walk.open = 0;
    for (unsigned i = 0; i < set->slot_count; i++)
        values[i] = (struct field_value){.kind = JSON_ERROR};
    json_init(&walk.scanner, json, FIELD_DEPTH_LIMIT);
    walk.scanner.utf8_trusted = true;

    if (json_next(&walk.scanner) != JSON_OBJECT)
        return STATUS_MALFORMED;
    bool valid = enter(&walk, JSON_OBJECT, 0, true);
    while (valid && walk.open > 0)
        valid = step(&walk, json_next(&walk.scanner));
    if (!valid || json_next(&walk.scanner) != JSON_END)
        return walk.scanner.status == STATUS_OK ? STATUS_MALFORMED : walk.scanner.status;
    return STATUS_OK;
}

/* Text that protobuf and every client take: no NUL, no lone surrogate (as json_unescape() leaves
 * it: ED A0..BF xx). */
static void replace_unfit(struct buffer *out, size_t from)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    for (size_t i = from; i < out->end; i++) {
        if (out->data[i] == 0xED && out->end - i >= 3 && out->data[i + 1] >= 0xA0) {
            memcpy(out->data + i, replacement, 3);
        } else if (out->data[i] == 0) {
            buffer_reserve(out, 2);
            memmove(out->data + i + 3, out->data + i + 1, out->end - i - 1);
            memcpy(out->data + i, replacement, 3);
            buffer_commit(out, 2);
            i += 2;
        }
    }
}

bool field_value_text(const struct field_value *value, struct buffer *out)
{
    switch (value->kind) {
    case JSON_STRING:
        if (value->escaped) {
            size_t before = buffer_size(out);
            json_unescape_append(value->raw, out);
            replace_unfit(out, out->start + before);
        } else {
            buffer_append(out, value->raw);
        }
        return true;
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
        buffer_append(out, value->raw);
        return true;
    case JSON_ERROR:
    case JSON_END:
    case JSON_OBJECT:
    case JSON_OBJECT_END:
    case JSON_ARRAY:
    case JSON_ARRAY_END:
    case JSON_KEY:
    case JSON_NULL:
        break;
    }
    return false;
}
