#include <stdio.h>
#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"

enum { RING_MIN_CAPACITY = 16 };

/* --- the ring ------------------------------------------------------------------------------- */

struct message *ring_at(const struct ring *ring, size_t index)
{
    assert(index < ring->count);
    return ring->messages[(ring->start + index) & (ring->capacity - 1)];
}

static uint64_t mark_of(const struct message *message)
{
    uint64_t mark = 0;
    for (unsigned i = 0; i < message->room_count; i++)
        mark |= room_mark(message->room_hashes[i]);
    return mark;
}

void room_filter_add(struct room_filter *filter, uint64_t hash)
{
    if (filter->count < ROOM_FILTER_ROOMS)
        filter->marks[filter->count] = room_mark(hash);
    filter->count++;
    filter->any |= room_mark(hash);
}

static bool may_name(const struct ring *ring, size_t index, const struct room_filter *filter)
{
    uint64_t mark = ring->marks[(ring->start + index) & (ring->capacity - 1)];
    if (!(mark & filter->any))
        return false;
    for (unsigned i = 0; i < filter->count && filter->count <= ROOM_FILTER_ROOMS; i++)
        if ((mark & filter->marks[i]) == filter->marks[i])
            return true;
    return filter->count > ROOM_FILTER_ROOMS;
}

size_t ring_skip(const struct ring *ring, size_t index, size_t end,
                 const struct room_filter *filter)
{
    assert(end <= ring->count);
    while (index < end && !may_name(ring, index, filter))
        index++;
    return index;
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
    ring->bytes -= message->counted;
    ring->start = (ring->start + 1) & (ring->capacity - 1);
    ring->count--;
    if (ring->unsettled > ring->count)
        ring->unsettled = ring->count;
    message_unref(message);
}

static void ring_grow(struct ring *ring)
{
    size_t capacity = ring->capacity ? 2 * ring->capacity : RING_MIN_CAPACITY;
    struct message **messages = mem_alloc(capacity * sizeof(*messages));
    uint64_t *marks = mem_alloc(capacity * sizeof(*marks));
    for (size_t i = 0; i < ring->count; i++) {
        messages[i] = ring_at(ring, i);
        marks[i] = ring->marks[(ring->start + i) & (ring->capacity - 1)];
    }
    free(ring->messages);
    free(ring->marks);
    ring->messages = messages;
    ring->marks = marks;
    ring->capacity = capacity;
    ring->start = 0;
}

void ring_push(struct ring *ring, struct message *message, size_t bytes_limit)
{
    assert(ring->count == 0 || ring_at(ring, ring->count - 1)->offset < message->offset);
    if (ring->count == ring->capacity)
        ring_grow(ring);
    size_t slot = (ring->start + ring->count++) & (ring->capacity - 1);
    ring->messages[slot] = message;
    ring->marks[slot] = mark_of(message);
    ring->unsettled++;
    message->counted = (uint32_t)message_bytes(message);
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
    for (size_t i = older->count; i-- > 0;) {
        if (ring->count == ring->capacity)
            ring_grow(ring);
        ring->start = (ring->start - 1) & (ring->capacity - 1);
        ring->messages[ring->start] = ring_at(older, i);
        ring->marks[ring->start] = mark_of(ring_at(older, i));
        ring->count++;
    }
    ring->bytes += older->bytes;
    ring->from = older->from;
    free(older->messages);
    free(older->marks);
    *older = (struct ring){0};
    ring_trim(ring, bytes_limit);
}

void ring_settle(struct ring *ring)
{
    for (; ring->unsettled; ring->unsettled--) {
        struct message *message = ring_at(ring, ring->count - ring->unsettled);
        message_forget_decoded(message);
        uint32_t bytes = (uint32_t)message_bytes(message);
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
    *ring = (struct ring){.from = from};
}

/* --- what was read back --------------------------------------------------------------------- */

static size_t beyond_share(const struct lane *lane)
{
    size_t share = lane->hub->config.ring_bytes;
    return lane->ring.bytes > share ? lane->ring.bytes - share : 0;
}

size_t lane_ring_limit(const struct lane *lane, const struct ring *ring)
{
    const struct hub *hub = lane->hub;
    uint64_t used = hub->stats.read_back_bytes, limit = hub->config.read_back_bytes;
    size_t free_bytes = used < limit ? (size_t)(limit - used) : 0;
    if (ring == &lane->scan.kept)
        return ring->bytes + free_bytes;
    if (!lane->keeps)
        return hub->config.ring_bytes;
    return hub->config.ring_bytes + beyond_share(lane) + free_bytes;
}

void lane_count_beyond(struct lane *lane)
{
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
    HASH_FIND(hh, hub->lanes, key, (size_t)size, lane);
    if (lane)
        return lane;
    lane = mem_new(struct lane);
    lane->hub = hub;
    lane->id = ++hub->next_lane_id;
    lane->topic = mem_string(bytes_of(key, (size_t)size));
    lane->partition = name->partition;
    lane->room_keyed = name->room_keyed;
    lane->awaited = INT64_MAX;
    lane->record_bytes = 512;
    HASH_ADD_KEYPTR(hh, hub->lanes, lane->topic, (size_t)size, lane);
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
    HASH_FIND(hh, lane->rooms, &hash, sizeof(hash), room);
    return room;
}

static bool room_is(const struct room *room, struct bytes scope, struct bytes name)
{
    return bytes_equal(room_scope_of(room), scope) && bytes_equal(room_name_of(room), name);
}

struct room *room_get(struct lane *lane, struct bytes scope, struct bytes name)
{
    uint64_t hash = room_hash(scope, name);
    struct room *first = room_find(lane, hash);
    for (struct room *room = first; room; room = room->same_hash)
        if (room_is(room, scope, name))
            return room;
    struct room *room = mem_alloc(sizeof(*room) + scope.size + name.size);
    room->hash = hash;
    room->lane = lane;
    room->scope_size = (uint16_t)scope.size;
    room->name_size = (uint16_t)name.size;
    if (scope.size)
        memcpy(room->text, scope.data, scope.size);
    memcpy(room->text + scope.size, name.data, name.size);
    if (first) {
        room->same_hash = first->same_hash;
        first->same_hash = room;
    } else {
        HASH_ADD(hh, lane->rooms, hash, sizeof(room->hash), room);
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
            HASH_ADD(hh, lane->rooms, hash, sizeof(room->hash), room->same_hash);
    } else {
        while (first->same_hash != room)
            first = first->same_hash;
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
                    offer(session_find_lane(room->members[j].session, lane), message);
        }
}
