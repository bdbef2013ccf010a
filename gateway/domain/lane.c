#include <stdio.h>
#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"

enum { RING_MIN_CAPACITY = RING_BLOCK };

/* --- the ring ------------------------------------------------------------------------------- */

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

static uint64_t ring_mark_of(const struct message *message)
{
    uint64_t mark = 0;
    for (unsigned i = 0; i < message->room_count; i++)
        mark |= room_mark(message->room_hashes[i]);
    return mark;
}

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
    for (unsigned i = 0; i < filter->count && filter->count <= ROOM_FILTER_ROOMS; i++)
        if ((mark & filter->marks[i]) == filter->marks[i])
            return true;
    return filter->count > ROOM_FILTER_ROOMS;
}

static bool block_may_name(const struct room_set *block, const struct room_filter *filter)
{
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

size_t ring_skip_back(const struct ring *ring, size_t index, const struct room_filter *filter)
{
    assert(index <= ring->count);
    while (index > 0 && !may_name(ring, index - 1, filter))
        index--;
    return index;
}

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

static void ring_drop_oldest(struct ring *ring)
{
    struct message *message = ring_at(ring, 0);
    ring->from = message->offset + 1;
    assert(ring->bytes >= message->counted);
    ring->bytes -= message->counted;
    ring->start = (ring->start + 1) & (ring->capacity - 1);
    ring->count--;
    if (ring->unsettled > ring->count)
        ring->unsettled = ring->count;
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

static void ring_put(struct ring *ring, size_t slot, struct message *message)
{
    ring->messages[slot] = message;
    ring->marks[slot] = ring_mark_of(message);
    for (unsigned i = 0; i < message->room_count; i++)
        room_set_add(&ring->blocks[slot / RING_BLOCK], message->room_hashes[i]);
}

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
    while (ring->bytes > bytes_limit && ring->count > 1)
        ring_drop_oldest(ring);
}

void ring_prepend(struct ring *ring, struct ring *older, size_t bytes_limit)
{
    ring_settle(older);
    assert(older->count == 0 || ring->count == 0 ||
           ring_at(older, older->count - 1)->offset < ring_at(ring, 0)->offset);
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

void ring_settle(struct ring *ring)
{
    assert(ring->unsettled <= ring->count);
    for (; ring->unsettled; ring->unsettled--) {
        struct message *message = ring_at(ring, ring->count - ring->unsettled);
        message_forget_decoded(message);
        size_t bytes = message_bytes(message);
        ring->bytes += bytes - message->counted;
        message->counted = bytes;
    }
}

void ring_clear(struct ring *ring, int64_t from)
{
    while (ring->count)
        ring_drop_oldest(ring);
    free(ring->messages);
    free(ring->marks);
    free(ring->blocks);
    assert(ring->bytes == 0 && ring->unsettled == 0);
    *ring = (struct ring){.from = from};
}

/* --- what was read back --------------------------------------------------------------------- */

static size_t beyond_share(const struct lane *lane)
{
    size_t share = lane->hub->config.ring_bytes;
    return lane->ring.bytes > share ? lane->ring.bytes - share : 0;
}

/* What the lane may hold beyond the ring's share, as far as others leave it. */
static size_t beyond_limit(const struct lane *lane)
{
    const struct hub *hub = lane->hub;
    assert(hub->stats.read_back_bytes >= lane->beyond);
    uint64_t others = hub->stats.read_back_bytes - lane->beyond;
    return others < hub->config.read_back_bytes ? (size_t)(hub->config.read_back_bytes - others)
                                                : 0;
}

static size_t less(size_t whole, size_t part)
{
    return whole > part ? whole - part : 0;
}

size_t lane_ring_limit(const struct lane *lane, const struct ring *ring)
{
    if (ring == &lane->scan.kept)
        return less(beyond_limit(lane), beyond_share(lane));
    if (!lane->keeps)
        return lane->hub->config.ring_bytes;
    return lane->hub->config.ring_bytes + less(beyond_limit(lane), lane->scan.kept.bytes);
}

static bool ring_holds(const struct ring *ring, const struct message *message)
{
    size_t index = ring_find(ring, message->offset);
    return index < ring->count && ring_at(ring, index) == message;
}

bool lane_count_frame(struct lane *lane, struct message *message)
{
    size_t bytes = message_bytes(message), before = lane->ring.bytes;
    struct ring *ring = ring_holds(&lane->ring, message)        ? &lane->ring
                        : ring_holds(&lane->scan.kept, message) ? &lane->scan.kept
                                                                : NULL;
    if (!ring || bytes <= message->counted)
        return true;
    if (ring->bytes + bytes - message->counted > lane_ring_limit(lane, ring))
        return false;
    ring->bytes += bytes - message->counted;
    message->counted = bytes;
    lane->hub->stats.ring_bytes += lane->ring.bytes - before;
    lane_count_beyond(lane);
    return true;
}

void hub_forget_decoded(struct hub *hub)
{
    struct decoded_messages *decoded = &hub->decoded;
    assert(decoded->count > 0);
    struct message *oldest = decoded->items[decoded->start];
    decoded->start = (decoded->start + 1) % DECODED_MOST;
    decoded->count--;
    decoded->bytes -= message_record_bytes(oldest);
    message_forget_decoded(oldest);
    message_unref(oldest);
}

void hub_keep_decoded(struct hub *hub, struct message *message)
{
    assert(hub->decoded.count <= DECODED_MOST);
    struct decoded_messages *decoded = &hub->decoded;
    if (!message->notification)
        return;
    if (decoded->count == DECODED_MOST)
        hub_forget_decoded(hub);
    decoded->items[(decoded->start + decoded->count++) % DECODED_MOST] = message_ref(message);
    decoded->bytes += message_record_bytes(message);
    while (decoded->bytes > DECODED_BYTES && decoded->count > 1)
        hub_forget_decoded(hub);
}

uint64_t lane_bytes_of(const struct lane *lane, int64_t records)
{
    uint64_t bytes;
    assert(records >= 0);
    return __builtin_mul_overflow((uint64_t)records, lane->record_bytes, &bytes) ? UINT64_MAX
                                                                                 : bytes;
}

void lane_count_beyond(struct lane *lane)
{
    assert(lane->hub->stats.read_back_bytes >= lane->beyond);
    size_t beyond = beyond_share(lane) + lane->scan.kept.bytes;
    lane->hub->stats.read_back_bytes += beyond - lane->beyond;
    lane->beyond = beyond;
}

/* --- lanes ---------------------------------------------------------------------------------- */

struct lane *lane_get(struct hub *hub, const struct lane_name *name)
{
    char key[LAYOUT_TOPIC_LIMIT + 16];
    int size = snprintf(key, sizeof(key), "%s/%d", name->topic, (int)name->partition);
    struct lane *lane;
    unsigned hash = hub_hash(hub, key, (size_t)size);
    HASH_FIND_BYHASHVALUE(hh, hub->lanes, key, (size_t)size, hash, lane);
    if (lane)
        return lane;
    lane = mem_new(struct lane);
    lane->hub = hub;
    lane->id = ++hub->next_lane_id;
    lane->topic = mem_string(bytes_of(key, (size_t)size));
    lane->partition = name->partition;
    lane->scope = name->scope;
    lane->record_bytes = 512;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, hub->lanes, lane->topic, (size_t)size, hash, lane);
    hub->stats.lanes++;
    hub->source_ops->open(hub->source, lane, name->topic, name->partition);
    return lane;
}

void lane_free(struct lane *lane)
{
    struct hub *hub = lane->hub;
    assert(lane->session_count == 0 && !lane->rooms && !lane->histories);
    assert(!lane->scan.wanted && !lane->scan.running && !lane->keeps);
    if (lane->in_linger)
        DL_DELETE(hub->lingering, lane);
    hub->source_ops->close(hub->source, lane);
    hub->stats.lanes--;
    hub->stats.lanes_open -= lane->open;
    hub->stats.ring_bytes -= lane->ring.bytes;
    HASH_DELETE(hh, hub->lanes, lane);
    assert(!lane->doubtful_places && !lane->scan.places);
    waits_deinit(&lane->places_ahead);
    waits_deinit(&lane->histories_ahead);
    ring_clear(&lane->ring, 0);
    lane_count_beyond(lane);
    conflation_table_free(&lane->last_messages);
    free(lane->topic);
    free(lane);
}

/* --- rooms ---------------------------------------------------------------------------------- */

struct room *room_find(struct lane *lane, uint64_t hash)
{
    struct room *room;
    HASH_FIND_BYHASHVALUE(hh, lane->rooms, &hash, sizeof(hash),
                          hub_hash(lane->hub, &hash, sizeof(hash)), room);
    return room;
}

/* Of its hash, in the lane's table. */
static void add_first(struct lane *lane, struct room *room)
{
    HASH_ADD_BYHASHVALUE(hh, lane->rooms, hash, sizeof(room->hash),
                         hub_hash(lane->hub, &room->hash, sizeof(room->hash)), room);
}

static bool room_is(const struct room *room, struct bytes scope, struct bytes name)
{
    return bytes_equal(room_scope_of(room), scope) && bytes_equal(room_name_of(room), name);
}

struct room *room_get(struct lane *lane, struct bytes scope, struct bytes name)
{
    assert(scope.size <= LAYOUT_KEY_LIMIT && name.size > 0 && name.size <= ROOM_NAME_LIMIT);
    uint64_t hash = room_hash(scope, name);
    struct room *first = room_find(lane, hash);
    for (struct room *room = first; room; room = room->same_hash)
        if (room_is(room, scope, name))
            return room;
    struct room *room = mem_alloc(sizeof(*room) + scope.size + name.size);
    room->hash = hash;
    room->lane = lane;
    room->scope_size = narrow_16(scope.size);
    room->name_size = narrow_16(name.size);
    if (scope.size)
        memcpy(room->text, scope.data, scope.size);
    memcpy(room->text + scope.size, name.data, name.size);
    if (first) {
        room->same_hash = first->same_hash;
        first->same_hash = room;
    } else {
        add_first(lane, room);
    }
    lane->hub->stats.rooms++;
    return room;
}

void room_release(struct room *room)
{
    struct lane *lane = room->lane;
    if (room->count)
        return;
    assert(!room->histories);
    struct room *first = room_find(lane, room->hash);
    if (first == room) {
        HASH_DELETE(hh, lane->rooms, room);
        if (room->same_hash)
            add_first(lane, room->same_hash);
    } else {
        while (first->same_hash != room)
            first = first->same_hash;
        assert(first->hash == room->hash);
        first->same_hash = room->same_hash;
    }
    lane->hub->stats.rooms--;
    free(room->members);
    free(room);
}

void lane_offer(struct lane *lane, struct message *message, place_fn offer)
{
    for (unsigned i = 0; i < message->room_count; i++)
        for (struct room *room = room_find(lane, message->room_hashes[i]); room;
             room = room->same_hash) {
            if (!message_names_room(message, room_scope_of(room), room_name_of(room)))
                continue;
            for (uint32_t j = 0; j < room->count; j++)
                if (!room->members[j].held)
                    offer(session_find_place(room->members[j].session, lane), message);
        }
}
