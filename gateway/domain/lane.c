/* Lanes and rooms as tables. A lane is opened by the first session that needs it and read on for
 * a while after the last has gone, since clients come back; a room lives as long as it has
 * members.
 *
 * Names come from outside, so tables are hashed with a seed that nobody knows, and rooms of one
 * hash are told apart by name: a client that finds two names of one hash gets two rooms. */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "conflation.h"
#include "mem.h"
#include "narrow.h"

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
    /* One limit for all lanes together, first come, first served: what is read back is a matter
     * of half a minute, and a fixed share would be too small for the one lane that needs it. */
    uint64_t others = hub->stats.read_back_bytes - lane->beyond;
    return others < hub->config.read_back_bytes ? (size_t)(hub->config.read_back_bytes - others)
                                                : 0;
}

static size_t less(size_t whole, size_t part)
{
    return whole > part ? whole - part : 0;
}

/* Of the scan's kept records or of the ring: what one takes of the common limit, the other does
 * not have. */
size_t lane_ring_limit(const struct lane *lane, const struct ring *ring)
{
    if (ring == &lane->scan.kept)
        return less(beyond_limit(lane), beyond_share(lane));
    if (!lane->scan.keeps)
        return lane->hub->config.ring_bytes;
    return lane->hub->config.ring_bytes + less(beyond_limit(lane), lane->scan.kept.bytes);
}

bool lane_count_frame(struct lane *lane, struct message *message)
{
    assert(lane->id == message->lane_id);
    /* What has just arrived is framed once for all who are live, however full the ring is: it is
     * counted, and the oldest make room, when the turn is over. */
    if (ring_is_unsettled(&lane->ring, message))
        return true;
    size_t before = lane->ring.bytes;
    struct ring *ring = ring_get(&lane->ring, message->offset) == message        ? &lane->ring
                        : ring_get(&lane->scan.kept, message->offset) == message ? &lane->scan.kept
                                                                                 : NULL;
    if (!ring)
        return false; /* nothing would count it, for as long as somebody holds the message */
    if (!ring_recount(ring, message, lane_ring_limit(lane, ring)))
        return false;
    lane->hub->stats.ring_bytes += lane->ring.bytes - before;
    lane_count_beyond(lane);
    return true;
}

uint64_t lane_bytes_of(const struct lane *lane, int64_t records)
{
    uint64_t bytes;
    assert(records >= 0);
    return __builtin_mul_overflow((uint64_t)records, lane->record_bytes, &bytes) ? UINT64_MAX
                                                                                 : bytes;
}

/* The only writer of the common sum: every change of a ring is followed by it. */
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
    /* A guess until records have come: it steers how far back to look. */
    lane->record_bytes = 512;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, hub->lanes, lane->topic, (size_t)size, hash, lane);
    hub->stats.lanes++;
    hub->source_ops->open(hub->source, lane, name->topic, name->partition);
    return lane;
}

void lane_free(struct lane *lane)
{
    struct hub *hub = lane->hub;
    assert(lane->place_count == 0 && !lane->places && lane->rooms.count == 0 &&
           !lane->searches.all);
    assert(!lane->scan.wanted && !lane->scan.running && !lane->scan.keeps && !lane->view.view);
    if (lane->in_linger)
        DL_DELETE(hub->lingering, lane);
    hub->source_ops->close(hub->source, lane);
    hub->stats.lanes--;
    hub->stats.lanes_open -= lane->open;
    hub->stats.ring_bytes -= lane->ring.bytes;
    HASH_DELETE(hh, hub->lanes, lane);
    assert(!lane->doubtful_places && !lane->in_doubt && !lane->scan.places);
    waits_deinit(&lane->places_ahead);
    waits_deinit(&lane->searches.ahead);
    ring_clear(&lane->ring, 0);
    lane_count_beyond(lane);
    conflation_table_free(&lane->last_messages);
    free(lane->topic);
    free(lane);
}

/* --- rooms ---------------------------------------------------------------------------------- */

struct room *room_find(struct lane *lane, uint64_t hash)
{
    return room_table_find(&lane->rooms, lane->hub->config.hash_seed, hash);
}

/* Of its hash, in the lane's table. */
static void set_first(struct lane *lane, struct room *room)
{
    room_table_set(&lane->rooms, lane->hub->config.hash_seed, room->hash, room);
}

static bool room_is(const struct room *room, struct bytes scope, struct bytes name)
{
    return bytes_equal(room_scope_of(room), scope) && bytes_equal(room_name_of(room), name);
}

/* Made with its first member: there is no list of rooms that exist, and a name costs nothing
 * until somebody is in it. */
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
        set_first(lane, room);
    }
    lane->hub->stats.rooms++;
    return room;
}

/* Called after each member that leaves. */
void room_release(struct room *room)
{
    struct lane *lane = room->lane;
    if (room->count)
        return;
    assert(!room->searches);
    struct room *first = room_find(lane, room->hash);
    if (first == room) {
        /* The table knows the first of a hash alone: the next one takes its place. */
        if (room->same_hash)
            set_first(lane, room->same_hash);
        else
            room_table_remove(&lane->rooms, lane->hub->config.hash_seed, room->hash);
    } else {
        while (first->same_hash != room)
            first = first->same_hash;
        assert(first->hash == room->hash);
        first->same_hash = room->same_hash;
    }
    lane->hub->stats.rooms--;
    if (room->capacity)
        free(room->array);
    free(room);
}

void lane_offer(struct lane *lane, struct message *message, place_fn offer)
{
    assert(message->lane_id == lane->id);
    for (unsigned i = 0; i < message->room_count; i++)
        for (struct room *room = room_find(lane, message->room_hashes[i]); room;
             room = room->same_hash) {
            /* Decoded here, at the first room of the record that somebody is in; a record for
             * nobody here never is. */
            if (!message_names_room(message, room_scope_of(room), room_name_of(room)))
                continue;
            const struct room_member *members = room_members(room);
            for (uint32_t j = 0; j < room->count; j++)
                if (!members[j].held)
                    offer(members[j].place, message);
        }
}
