/* A circular array with two filters beside it: a mark of two bits per room for each message, and
 * a set of rooms for each block of RING_BLOCK slots.
 *
 *    messages  | m | m | m | m | ...     slot = (start + index) & (capacity - 1)
 *    marks     | 2 bits of each room that the message names
 *    blocks    | ------- rooms of 64 slots ------- | ---
 *
 * Both only ever say "maybe": a mark or a set may hold rooms that are gone, never lack one that
 * is there. A block is made anew when its first slot is taken again, whichever end that is at. */
#include "ring.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"

enum { RING_MIN_CAPACITY = RING_BLOCK };

static size_t slot_of(const struct ring *ring, size_t index)
{
    assert(ring->capacity > 0 && index <= ring->capacity);
    return (ring->start + index) & (ring->capacity - 1);
}

struct message *ring_at(const struct ring *ring, size_t index)
{
    assert(index < ring->count);
    return ring->messages[slot_of(ring, index)];
}

/* Of a message with many rooms all bits may be set; then it is looked at each time, which is
 * what it would be without a mark. */
static uint64_t ring_mark_of(const struct message *message)
{
    uint64_t mark = 0;
    for (unsigned i = 0; i < message->room_count; i++)
        mark |= room_mark(message->room_hashes[i]);
    return mark;
}

/* Other bits of the hash than those of a mark, so that what one lets through by chance the other
 * may not. */
static void room_set_add(struct room_set *set, uint64_t hash)
{
    set->words[(hash >> 18) % ROOM_SET_WORDS] |= (uint64_t)1 << (hash >> 12 & 63);
}

static bool room_set_has(const struct room_set *set, uint64_t hash)
{
    return set->words[(hash >> 18) % ROOM_SET_WORDS] >> (hash >> 12 & 63) & 1;
}

void room_filter_add(struct room_filter *filter, uint64_t hash)
{
    if (filter->count < ROOM_FILTER_ROOMS) {
        filter->marks[filter->count] = room_mark(hash);
        filter->hashes[filter->count] = hash;
    }
    filter->count++;
    filter->any |= room_mark(hash);
}

static bool may_name(const struct ring *ring, size_t index, const struct room_filter *filter)
{
    uint64_t mark = ring->marks[slot_of(ring, index)];
    if (!(mark & filter->any))
        return false;
    /* Of many rooms only the bits together are kept: more are let through, none is missed. */
    for (unsigned i = 0; i < filter->count && filter->count <= ROOM_FILTER_ROOMS; i++)
        if ((mark & filter->marks[i]) == filter->marks[i])
            return true;
    return filter->count > ROOM_FILTER_ROOMS;
}

static bool block_may_name(const struct room_set *block, const struct room_filter *filter)
{
    assert(filter->count == 0 || filter->any);
    if (filter->count > ROOM_FILTER_ROOMS)
        return true;
    for (unsigned i = 0; i < filter->count; i++)
        if (room_set_has(block, filter->hashes[i]))
            return true;
    return false;
}

size_t ring_skip(const struct ring *ring, size_t index, size_t end,
                 const struct room_filter *filter, size_t *looks)
{
    assert(end <= ring->count);
    size_t block_end = index;
    while (*looks > 0 && index < end) {
        --*looks;
        /* At the beginning, and at each boundary of a block from there on. */
        if (index == block_end) {
            size_t slot = slot_of(ring, index);
            block_end += RING_BLOCK - slot % RING_BLOCK;
            if (!block_may_name(&ring->blocks[slot / RING_BLOCK], filter)) {
                index = block_end;
                continue;
            }
        }
        if (may_name(ring, index, filter))
            break;
        index++;
    }
    return index < end ? index : end;
}

/* Message by message: it goes back from the newest for the last few of a room, and is done soon. */
size_t ring_skip_back(const struct ring *ring, size_t index, const struct room_filter *filter)
{
    assert(index <= ring->count);
    while (index > 0 && !may_name(ring, index - 1, filter))
        index--;
    return index;
}

/* By halves: offsets are in order, and have gaps. */
size_t ring_find(const struct ring *ring, int64_t offset)
{
    size_t low = 0, high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* `from` moves behind it, not to the next one: offsets between two records are nobody's. */
static void ring_drop_oldest(struct ring *ring)
{
    struct message *message = ring_at(ring, 0);
    ring->from = message->offset + 1;
    assert(ring->bytes >= message->counted);
    ring->bytes -= message->counted;
    ring->start = (ring->start + 1) & (ring->capacity - 1);
    ring->count--;
    if (ring->unsettled > ring->count) { /* who holds it still counts no decoded form */
        ring->unsettled = ring->count;
        message_forget_decoded(message);
    }
    message_unref(message);
}

/* A block may hold the oldest messages and the newest. */
static void block_begin(struct ring *ring, size_t slot)
{
    struct room_set *block = &ring->blocks[slot / RING_BLOCK];
    *block = (struct room_set){0};
    for (size_t i = slot - slot % RING_BLOCK, end = i + RING_BLOCK; i < end; i++) {
        if (((i - ring->start) & (ring->capacity - 1)) >= ring->count)
            continue;
        for (unsigned j = 0; j < ring->messages[i]->room_count; j++)
            room_set_add(block, ring->messages[i]->room_hashes[j]);
    }
}

/* The reference is the ring's from here on. */
static void ring_put(struct ring *ring, size_t slot, struct message *message)
{
    assert(slot < ring->capacity && message->offset >= 0);
    ring->messages[slot] = message;
    ring->marks[slot] = ring_mark_of(message);
    for (unsigned i = 0; i < message->room_count; i++)
        room_set_add(&ring->blocks[slot / RING_BLOCK], message->room_hashes[i]);
}

/* Its blocks are made anew, and with that as exact as they can be. */
static void ring_grow(struct ring *ring)
{
    assert(ring->count == ring->capacity);
    struct ring old = *ring;
    ring->capacity = old.capacity ? 2 * old.capacity : RING_MIN_CAPACITY;
    ring->start = 0;
    ring->messages = mem_alloc(ring->capacity * sizeof(*ring->messages));
    ring->marks = mem_alloc(ring->capacity * sizeof(*ring->marks));
    ring->blocks = mem_alloc(ring->capacity / RING_BLOCK * sizeof(*ring->blocks));
    for (size_t i = 0; i < ring->count; i++)
        ring_put(ring, i, ring_at(&old, i));
    free(old.messages);
    free(old.marks);
    free(old.blocks);
}

void ring_push(struct ring *ring, struct message *message, size_t bytes_limit)
{
    assert(ring->count == 0 || ring_at(ring, ring->count - 1)->offset < message->offset);
    if (ring->count == ring->capacity)
        ring_grow(ring);
    size_t slot = slot_of(ring, ring->count);
    if (slot % RING_BLOCK == 0)
        block_begin(ring, slot);
    ring->count++;
    ring_put(ring, slot, message);
    ring->unsettled++;
    message->counted = message_bytes(message);
    ring->bytes += message->counted;
    ring_trim(ring, bytes_limit);
}

void ring_trim(struct ring *ring, size_t bytes_limit)
{
    /* The last one stays whatever its size: the ring must reach up to the lane's position. */
    while (ring->bytes > bytes_limit && ring->count > 1)
        ring_drop_oldest(ring);
}

void ring_prepend(struct ring *ring, struct ring *older, size_t bytes_limit)
{
    ring_settle(older);
    assert(older->count == 0 || ring->count == 0 ||
           ring_at(older, older->count - 1)->offset < ring_at(ring, 0)->offset);
    /* From the newest of them backwards, each in front of the one before. */
    for (size_t i = older->count; i-- > 0;) {
        if (ring->count == ring->capacity)
            ring_grow(ring);
        size_t slot = (ring->start - 1) & (ring->capacity - 1);
        if (slot % RING_BLOCK == RING_BLOCK - 1)
            block_begin(ring, slot);
        ring->start = slot;
        ring->count++;
        ring_put(ring, slot, ring_at(older, i));
    }
    ring->bytes += older->bytes;
    ring->from = older->from;
    free(older->messages);
    free(older->marks);
    free(older->blocks);
    *older = (struct ring){0};
    ring_trim(ring, bytes_limit);
}

/* A turn later, since transports frame what they take at the turn's end. Frames that are made
 * later, for those who catch up, are counted by ring_recount(). */
void ring_settle(struct ring *ring)
{
    assert(ring->unsettled <= ring->count);
    for (; ring->unsettled; ring->unsettled--) {
        struct message *message = ring_at(ring, ring->count - ring->unsettled);
        /* By now it was framed for everybody who is at the head. */
        message_forget_decoded(message);
        size_t bytes = message_bytes(message);
        ring->bytes += bytes - message->counted;
        message->counted = bytes;
    }
}

bool ring_is_unsettled(const struct ring *ring, const struct message *message)
{
    assert(ring->unsettled <= ring->count);
    return ring->unsettled > 0 &&
           message->offset >= ring_at(ring, ring->count - ring->unsettled)->offset;
}

bool ring_recount(struct ring *ring, struct message *message, size_t bytes_limit)
{
    size_t bytes = message_bytes(message);
    assert(ring->count > 0 && ring->bytes >= message->counted);
    if (bytes <= message->counted)
        return true;
    if (ring->bytes + bytes - message->counted > bytes_limit)
        return false;
    ring->bytes += bytes - message->counted;
    message->counted = bytes;
    return true;
}

void ring_clear(struct ring *ring, int64_t from)
{
    assert(from >= 0);
    while (ring->count)
        ring_drop_oldest(ring);
    free(ring->messages);
    free(ring->marks);
    free(ring->blocks);
    assert(ring->bytes == 0 && ring->unsettled == 0);
    *ring = (struct ring){.from = from};
}

struct message *ring_get(const struct ring *ring, int64_t offset)
{
    size_t index = ring_find(ring, offset);
    if (index == ring->count || ring_at(ring, index)->offset != offset)
        return NULL;
    return ring_at(ring, index);
}
