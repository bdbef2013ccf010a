/* Paths as a tree of keys. A path is its keys joined by '.', and {"a":{"b":1}} names the same as
 * {"a.b":1}, so no key of the tree holds a '.', and a key of an event that does is several steps.
 *
 * Most keys of an event are on no path at all, and that must cost next to nothing: a node knows the
 * lengths of the keys that lead on, and a key of another length is not even hashed.
 *
 * Invariant: edges are in one open-addressing table that is at most half full and never changes
 * after it is built, so a search for what is not there ends at an empty slot. */
#include <assert.h>

#include "matcher_hash.h"
#include "matcher_private.h"

/* The hash is salted with the parent: the same key below many parents lies in many places. */
static uint32_t *find_slot_child(const struct matcher *matcher, uint32_t parent, struct bytes key,
                                 uint32_t *slot)
{
    uint32_t at = hash_bytes(key, parent) & matcher->path_edge_mask;
    for (;; at = (at + 1) & matcher->path_edge_mask) {
        struct path_edge *edge = &matcher->path_edges[at];
        if (edge->parent == NONE) {
            *slot = at;
            return NULL;
        }
        if (edge->parent == parent && bytes_equal(edge->key, key))
            return &edge->child;
    }
}

/* All keys of 63 bytes and more share the last bit. */
static inline uint64_t length_bit(struct bytes key)
{
    return (uint64_t)1 << (key.size < 63 ? key.size : 63);
}

/* The bit says no for sure, and yes perhaps. */
static uint32_t step_whole(const struct matcher *matcher, uint32_t node, struct bytes key)
{
    if (!(matcher->path_nodes[node].key_lengths & length_bit(key)))
        return NONE;
    uint32_t slot = 0;
    const uint32_t *child = find_slot_child(matcher, node, key, &slot);
    return child ? *child : NONE;
}

/* The first part of a key up to a '.', which is removed from `rest` with it; false at the end. */
static bool next_part(struct bytes *rest, struct bytes *part, bool *more)
{
    if (!*more)
        return false;
    const uint8_t *dot = rest->size ? memchr(rest->data, '.', rest->size) : NULL;
    *more = dot != NULL;
    *part = dot ? bytes_of(rest->data, (size_t)(dot - rest->data)) : *rest;
    if (dot)
        *rest = bytes_skip(*rest, part->size + 1);
    return true;
}

/* {"a":{"b":1}} and {"a.b":1} have the same path. A key is looked for as a whole first; only where a
 * child leads on may a key with dots be several steps at once. */
uint32_t paths_step(const struct matcher *matcher, uint32_t node, struct bytes key)
{
    uint32_t child = step_whole(matcher, node, key);
    if (child != NONE || !matcher->path_nodes[node].deep)
        return child;
    if (key.size == 0 || !memchr(key.data, '.', key.size))
        return NONE;
    struct bytes part;
    for (bool more = true; node != NONE && next_part(&key, &part, &more);)
        node = step_whole(matcher, node, part);
    return node;
}

/* Keys are borrowed from the paths, which lie in the arena of the matcher. */
static uint32_t add_path_child(struct matcher *matcher, uint32_t *node_count, uint32_t parent,
                               struct bytes key)
{
    assert(key.size == 0 || !memchr(key.data, '.', key.size));
    uint32_t slot = 0;
    const uint32_t *child = find_slot_child(matcher, parent, key, &slot);
    if (child)
        return *child;
    assert(parent < *node_count && matcher->path_edges[slot].parent == NONE);
    uint32_t node = (*node_count)++;
    matcher->path_nodes[node].field = NONE;
    matcher->path_nodes[parent].key_lengths |= length_bit(key);
    matcher->path_edges[slot] = (struct path_edge){parent, node, key};
    return node;
}

/* The parts are counted first, so that the tables have their size from the start. */
void paths_build(struct matcher *matcher)
{
    size_t parts = 0;
    for (uint32_t i = 0; i < matcher->field_count; i++) {
        struct bytes rest = matcher->fields[i].path, part;
        for (bool more = true; next_part(&rest, &part, &more);)
            parts++;
    }
    matcher->path_nodes = ARENA_ARRAY(&matcher->arena, struct path_node, parts + 1);
    matcher->path_nodes[0].field = NONE;
    matcher->path_edge_mask = hash_mask(parts);
    matcher->path_edges =
        ARENA_ARRAY(&matcher->arena, struct path_edge, (size_t)matcher->path_edge_mask + 1);
    for (uint32_t i = 0; i <= matcher->path_edge_mask; i++)
        matcher->path_edges[i].parent = NONE;
    uint32_t node_count = 1;
    for (uint32_t i = 0; i < matcher->field_count; i++) {
        struct bytes rest = matcher->fields[i].path, part;
        uint32_t node = 0, parent = NONE;
        for (bool more = true; next_part(&rest, &part, &more);) {
            if (parent != NONE)
                matcher->path_nodes[parent].deep = true;
            parent = node;
            node = add_path_child(matcher, &node_count, node, part);
        }
        assert(node > 0 && matcher->path_nodes[node].field == NONE); /* paths are different */
        matcher->path_nodes[node].field = i;
    }
    assert(node_count <= parts + 1);
    matcher->path_node_count = node_count;
}
