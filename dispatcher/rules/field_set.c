/* The fields that somebody wants, and their values in one event.
 *
 * The paths are a tree of segments; one pass over the text walks it along with the open containers,
 * and what is not on a wanted path is skipped without being looked at. So an event costs its own
 * size, however many fields the rules name, and a field costs nothing in an event that lacks it.
 *
 *     paths  a.b, a.c, d            nodes  0 (root) -a-> 1 -b-> 2 (slot 0)
 *                                                        -c-> 3 (slot 1)
 *                                                -d-> 4 (slot 2)
 *
 * Invariant: the slot of a path never changes once it is given out, so templates keep slots and
 * not paths. Of an event, `filled` lists exactly the slots that have a value; all others say
 * JSON_ERROR. */
#include "field_set.h"

#include <assert.h>
#include <stdlib.h>

#include "arena.h"
#include "matcher_hash.h"
#include "mem.h"

#define NO_NODE UINT32_MAX
#define NO_SLOT UINT32_MAX

/* A tree of path segments: a node for each path and each beginning of one. */
struct node {
    uint32_t slot;
    bool has_children;
};

/* From a node by a segment to a node. */
struct edge {
    uint32_t parent;
    uint32_t child; /* NO_NODE: an empty place */
    struct bytes segment;
};

struct field_set {
    struct arena arena; /* of the segments */
    struct node *nodes; /* 0: the root */
    uint32_t node_count;
    uint32_t node_capacity;
    struct edge *edges; /* open addressing, at most half full */
    uint32_t edge_mask;
    unsigned slot_count;
};

/* Nodes move when they grow, so they are named by number. */
static uint32_t add_node(struct field_set *set)
{
    assert(set->node_count <= set->node_capacity);
    if (set->node_count == set->node_capacity) {
        set->node_capacity = set->node_capacity == 0 ? 16 : set->node_capacity * 2;
        set->nodes = mem_resize(set->nodes, set->node_capacity, sizeof(struct node));
    }
    set->nodes[set->node_count] = (struct node){.slot = NO_SLOT};
    return set->node_count++;
}

/* Not zeroed but marked: node 0 is the root, so zero cannot mean that there is no edge. */
static void make_table(struct field_set *set, uint32_t mask)
{
    assert((mask & (mask + 1)) == 0); /* a power of two less one */
    set->edge_mask = mask;
    set->edges = mem_resize(NULL, (size_t)mask + 1, sizeof(struct edge));
    for (size_t i = 0; i <= mask; i++)
        set->edges[i].child = NO_NODE;
}

struct field_set *field_set_new(void)
{
    struct field_set *set = mem_new(struct field_set);
    add_node(set);
    make_table(set, 31);
    return set;
}

void field_set_free(struct field_set *set)
{
    if (!set)
        return;
    arena_deinit(&set->arena);
    free(set->nodes);
    free(set->edges);
    free(set);
}

/* The place of an edge in the table, or the empty one where it belongs. `steps` counts. */
static struct edge *find_segment(const struct field_set *set, uint32_t parent, struct bytes segment,
                                 size_t *steps)
{
    uint32_t at = hash_bytes(segment, parent) & set->edge_mask;
    for (;; at = (at + 1) & set->edge_mask) {
        struct edge *edge = &set->edges[at];
        ++*steps;
        if (edge->child == NO_NODE ||
            (edge->parent == parent && bytes_equal(edge->segment, segment)))
            return edge;
    }
}

/* The hash is not kept: a rules file is read rarely, and an edge stays small. */
static void grow_table(struct field_set *set)
{
    assert(set->edge_mask < UINT32_MAX / 4);
    struct edge *old = set->edges;
    uint32_t old_mask = set->edge_mask;
    size_t steps = 0;
    make_table(set, old_mask * 2 + 1);
    for (size_t i = 0; i <= old_mask; i++)
        if (old[i].child != NO_NODE)
            *find_segment(set, old[i].parent, old[i].segment, &steps) = old[i];
    free(old);
}

/* Splits the first segment off. False: that was the last. */
static bool split_segment(struct bytes *path, struct bytes *segment)
{
    const uint8_t *dot = path->size == 0 ? NULL : memchr(path->data, '.', path->size);
    if (!dot) {
        *segment = *path;
        return false;
    }
    *segment = bytes_of(path->data, (size_t)(dot - path->data));
    *path = bytes_skip(*path, segment->size + 1);
    return true;
}

/* The segment is copied, since paths are borrowed from the text of a rule. */
static uint32_t add_segment(struct field_set *set, uint32_t parent, struct bytes segment)
{
    size_t steps = 0;
    struct edge *edge = find_segment(set, parent, segment, &steps);
    if (edge->child != NO_NODE)
        return edge->child;
    assert(parent < set->node_count);
    uint32_t child = add_node(set);
    *edge = (struct edge){parent, child, arena_copy(&set->arena, segment)};
    set->nodes[parent].has_children = true;
    if ((size_t)set->node_count * 2 > set->edge_mask)
        grow_table(set);
    return child;
}

/* Equal paths share a slot, so what many rules name is read once. */
enum status field_set_add(struct field_set *set, struct bytes path, unsigned *slot)
{
    if (path.size == 0 || path.size > FIELD_PATH_LIMIT)
        return STATUS_INVALID;
    assert(set->node_count < NO_NODE / 4); /* a rules file has 32 MiB at most */
    uint32_t at = 0;
    bool more;
    do {
        struct bytes segment;
        more = split_segment(&path, &segment);
        at = add_segment(set, at, segment);
    } while (more);
    if (set->nodes[at].slot == NO_SLOT)
        set->nodes[at].slot = set->slot_count++;
    *slot = set->nodes[at].slot;
    assert(*slot < set->slot_count);
    return STATUS_OK;
}

unsigned field_set_count(const struct field_set *set)
{
    return set->slot_count;
}

/* --- Values --- */

void field_values_deinit(struct field_values *values)
{
    free(values->items);
    free(values->filled);
    free(values->objects);
    *values = (struct field_values){0};
}

/* Only what the last event had is cleared, so that an event costs what it holds. */
static void clear_values(struct field_values *values, const struct field_set *set)
{
    for (size_t i = 0; i < values->filled_count; i++)
        values->items[values->filled[i]].kind = JSON_ERROR;
    values->filled_count = 0;
    values->steps = 0;
    values->repeats_keys = false;
    /* Another rule set may have more paths. The numbers begin anew, and zero is no object. */
    if (values->object_capacity < set->node_count) {
        values->objects = mem_resize(values->objects, set->node_count, sizeof(uint32_t));
        memset(values->objects, 0, set->node_count * sizeof(uint32_t));
        values->object_capacity = set->node_count;
        values->object_count = 0;
    }
    if (values->object_count > UINT32_MAX / 2) { /* more than one event can enter */
        memset(values->objects, 0, values->object_capacity * sizeof(uint32_t));
        values->object_count = 0;
    }
    if (values->capacity >= set->slot_count)
        return;
    values->items = mem_resize(values->items, set->slot_count, sizeof(struct field_value));
    values->filled = mem_resize(values->filled, set->slot_count, sizeof(uint32_t));
    for (; values->capacity < set->slot_count; values->capacity++)
        values->items[values->capacity] = (struct field_value){.kind = JSON_ERROR};
}

/* Only the first value counts; keys that stand twice are seen by matcher_event.c, and
 * event_keep_last_keys() has cut the earlier ones out before. */
static void fill_value(struct field_values *values, uint32_t slot, struct field_value value)
{
    assert(values->items[slot].kind == JSON_ERROR && value.kind != JSON_ERROR);
    values->items[slot] = value;
    values->filled[values->filled_count++] = slot;
}

/* One pass: where it stands in the text, and the tree's node for each container open on the way. */
struct extraction {
    const struct field_set *set;
    struct json_scanner scanner;
    struct field_values *values;
    unsigned open;
    struct {
        uint32_t node;
        uint32_t slot; /* whose value this container is, or NO_SLOT */
        size_t start;  /* of the container's text */
        bool is_array;
        uint32_t object; /* its number; of an array: 0 */
    } path[FIELD_DEPTH_LIMIT];
};

/* A node without children needs no look-up, and most are leaves. */
static uint32_t child_of(struct extraction *walk, uint32_t parent, struct bytes segment)
{
    if (!walk->set->nodes[parent].has_children)
        return NO_NODE;
    return find_segment(walk->set, parent, segment, &walk->values->steps)->child;
}

/* A key of the event may hold dots: {"a.b":1} names what {"a":{"b":1}} names. */
static uint32_t node_of_key(struct extraction *walk, uint32_t at, struct bytes key)
{
    bool more;
    do {
        struct bytes segment;
        more = split_segment(&key, &segment);
        at = child_of(walk, at, segment);
    } while (more && at != NO_NODE);
    return at;
}

/* A key that is longer than any path, even if every character of it is an escape, cannot be
 * wanted. */
static uint32_t node_of_token(struct extraction *walk, uint32_t at)
{
    uint8_t decoded[FIELD_PATH_LIMIT * 6];
    struct bytes key = walk->scanner.raw;
    if (walk->scanner.escaped) {
        if (key.size > sizeof(decoded))
            return NO_NODE;
        key = bytes_of(decoded, json_unescape(key, decoded));
    }
    return node_of_key(walk, at, key);
}

/* The first value at a path is its value: {"a":{"b":1},"a.b":2} has a.b = 1. */
static bool wants(const struct extraction *walk, uint32_t slot)
{
    return slot != NO_SLOT && walk->values->items[slot].kind == JSON_ERROR;
}

/* A string stays as it is spelled; field_value_text() decodes it if somebody asks. */
static void take_scalar(struct extraction *walk, enum json_token token, uint32_t node)
{
    uint32_t slot = walk->set->nodes[node].slot;
    if (!wants(walk, slot))
        return;
    fill_value(walk->values, slot,
               (struct field_value){
                   .kind = token, .raw = walk->scanner.raw, .escaped = walk->scanner.escaped});
}

/* Enters a container at `node`. `is_element`: it stands in an array, whose value was taken as a
 * whole. */
static bool enter_value(struct extraction *walk, enum json_token token, uint32_t node,
                        bool is_element)
{
    assert(token == JSON_OBJECT || token == JSON_ARRAY);
    if (walk->open == FIELD_DEPTH_LIMIT)
        return false;
    uint32_t slot = is_element ? NO_SLOT : walk->set->nodes[node].slot;
    walk->path[walk->open].node = node;
    walk->path[walk->open].slot = wants(walk, slot) ? slot : NO_SLOT;
    walk->path[walk->open].start = walk->scanner.start;
    walk->path[walk->open].is_array = token == JSON_ARRAY;
    walk->path[walk->open].object = token == JSON_ARRAY ? 0 : ++walk->values->object_count;
    walk->open++;
    return true;
}

/* A container that is wanted as a whole and has wanted fields inside is only known now: its text
 * ends here. */
static void leave_value(struct extraction *walk)
{
    assert(walk->open > 0);
    walk->open--;
    uint32_t slot = walk->path[walk->open].slot;
    if (!wants(walk, slot))
        return;
    size_t start = walk->path[walk->open].start;
    fill_value(
        walk->values, slot,
        (struct field_value){.kind = walk->path[walk->open].is_array ? JSON_ARRAY : JSON_OBJECT,
                             .raw = bytes_of(walk->scanner.text.data + start,
                                             json_position(&walk->scanner) - start)});
}

/* A container is entered only for what is wanted inside; else the scanner skips it, which checks
 * it but keeps nothing. */
static bool step_value(struct extraction *walk, enum json_token token, uint32_t node,
                       bool is_element)
{
    assert(node < walk->set->node_count);
    bool is_container = token == JSON_OBJECT || token == JSON_ARRAY;
    const struct node *wanted = &walk->set->nodes[node];
    if (!is_container) {
        if (!is_element)
            take_scalar(walk, token, node);
        return true;
    }
    if (!wanted->has_children && (is_element || !wants(walk, wanted->slot)))
        return json_skip_container(&walk->scanner);
    if (wanted->has_children)
        return enter_value(walk, token, node, is_element);
    size_t start = walk->scanner.start;
    if (!json_skip_container(&walk->scanner))
        return false;
    fill_value(walk->values, wanted->slot,
               (struct field_value){.kind = token,
                                    .raw = bytes_of(walk->scanner.text.data + start,
                                                    json_position(&walk->scanner) - start)});
    return true;
}

/* One token inside the innermost open container. */
static bool extract_token(struct extraction *walk, enum json_token token)
{
    assert(walk->open > 0);
    uint32_t node = walk->path[walk->open - 1].node;
    walk->values->steps++;
    if (token == JSON_ERROR || token == JSON_END)
        return false;
    if (token == JSON_OBJECT_END || token == JSON_ARRAY_END) {
        leave_value(walk);
        return true;
    }
    if (token != JSON_KEY)
        return step_value(walk, token, node, true);
    uint32_t child = node_of_token(walk, node);
    if (child == NO_NODE) {
        enum json_token value = json_value(&walk->scanner, NULL);
        return value != JSON_ERROR;
    }
    /* The same key of the same object a second time: `objects` names the object that was at this
     * path last. */
    uint32_t object = walk->path[walk->open - 1].object;
    walk->values->repeats_keys |= walk->values->objects[child] == object;
    walk->values->objects[child] = object;
    enum json_token value = json_next(&walk->scanner);
    return value != JSON_ERROR && step_value(walk, value, child, false);
}

/* The whole text is checked, also what nobody wants: what follows relies on it. UTF-8 is not
 * checked again, since the matcher has done so. */
enum status field_set_extract(const struct field_set *set, struct bytes json,
                              struct field_values *values)
{
    struct extraction walk;
    walk.set = set;
    walk.values = values;
    walk.open = 0;
    clear_values(values, set);
    assert(values->capacity >= set->slot_count && values->object_capacity >= set->node_count);
    json_init(&walk.scanner, json, FIELD_DEPTH_LIMIT);
    walk.scanner.utf8_trusted = true;

    if (json_next(&walk.scanner) != JSON_OBJECT)
        return STATUS_MALFORMED;
    bool valid = enter_value(&walk, JSON_OBJECT, 0, true);
    while (valid && walk.open > 0)
        valid = extract_token(&walk, json_next(&walk.scanner));
    if (!valid || json_next(&walk.scanner) != JSON_END)
        return walk.scanner.status == STATUS_OK ? STATUS_MALFORMED : walk.scanner.status;
    return STATUS_OK;
}

/* Text that protobuf and every client take: no NUL, no lone surrogate (as json_unescape() leaves
 * it: ED A0..BF xx). */
static bool replace_unfit(struct buffer *out, size_t from)
{
    assert(from <= out->end);
    bool replaced = false;
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    for (size_t i = from; i < out->end; i++) {
        if (out->data[i] == 0xED && out->end - i >= 3 && out->data[i + 1] >= 0xA0) {
            memcpy(out->data + i, replacement, 3);
            replaced = true;
        } else if (out->data[i] == 0) {
            /* One byte becomes three, in place: a NUL in a name is so rare that moving the rest is
             * no matter. */
            buffer_reserve(out, 2);
            memmove(out->data + i + 3, out->data + i + 1, out->end - i - 1);
            memcpy(out->data + i, replacement, 3);
            buffer_commit(out, 2);
            i += 2;
            replaced = true;
        }
    }
    return replaced;
}

/* Only what has one obvious text. A list or an object in a room's name would be a mistake, so it
 * counts as missing. */
bool field_value_text(const struct field_value *value, struct buffer *out, bool *unfit)
{
    switch (value->kind) {
    case JSON_STRING:
        if (value->escaped) {
            size_t before = buffer_size(out);
            json_unescape_append(value->raw, out);
            if (replace_unfit(out, out->start + before) && unfit)
                *unfit = true;
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
