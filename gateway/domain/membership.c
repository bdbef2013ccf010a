/* Three structures that must say the same: the rooms of a session, the members of a room, and
 * the places of a session. All changes go through session_attach() and detach_room().
 *
 * Both sides of a membership know where they stand in the other's array, so to leave a room
 * costs the same however many are in it: the last member takes the place that falls free. */
#include "membership.h"

#include <stdlib.h>

#include "lane.h"
#include "mem.h"
#include "narrow.h"
#include "session_presence.h"

/* --- where rooms of a session live ---------------------------------------------------------- */

static const char tenant_missing[] = "tenant_missing", user_missing[] = "user_missing";

/* The layout tells that an owner lacks something, and not what: with a tenant, whatever it is, it
 * would be content, or it is the user that is missing. */
static const char *owner_problem(const struct session *session, const struct room_name *room)
{
    struct room_owner with_tenant = {BYTES_LITERAL("-"), session_user(session)};
    struct lane_name lane_name;
    bool has_user = layout_lane(session->hub->config.layout, room, &with_tenant, &lane_name,
                                NULL) != STATUS_INVALID;
    return has_user ? tenant_missing : user_missing;
}

const char *session_room_problem(const struct session *session, const struct room_name *room,
                                 struct lane_name *lane_name)
{
    struct room_owner owner = {session_tenant(session), session_user(session)};
    enum status status = layout_lane(session->hub->config.layout, room, &owner, lane_name, NULL);
    if (status == STATUS_INVALID)
        return owner_problem(session, room);
    return status == STATUS_OK ? NULL : "no_such_room";
}

const char *session_claim_named_by(const struct session *session, const char *reason)
{
    const struct policy *policy = session->hub->config.policy;
    return reason == tenant_missing ? policy_tenant_claim(policy)
           : reason == user_missing ? policy_user_claim(policy)
                                    : NULL;
}

/* Rooms of the private id keep their index for the session's life: the client holds that text,
 * and cannot be given another one. */
void session_mark_left(struct session *session, size_t private_index, enum left left)
{
    assert(left != LEFT_NOT); /* what is given again is as if joined later */
    assert(private_index < session->private_rooms || session->state == SESSION_OPENING);
    if (!session->left)
        session->left = mem_alloc(left_size(session->private_rooms));
    size_t at = LEFT_BITS * private_index;
    uint8_t *byte = &session->left[at / 8];
    *byte = (uint8_t)((*byte & ~((unsigned)LEFT_TOLD << (at % 8))) | (unsigned)left << (at % 8));
}

/* --- rooms and lanes of a session ----------------------------------------------------------- */

struct place *session_find_place(const struct session *session, const struct lane *lane)
{
    struct place *const *places = session_places(session);
    for (unsigned i = 0; i < session->place_count; i++)
        if (places[i]->lane == lane)
            return places[i];
    return NULL;
}

static struct place **places_of(struct session *session)
{
    return session->place_count > 1 ? session->place_array : &session->single_place;
}

static void list_place(struct session *session, struct place *place)
{
    unsigned count = session->place_count;
    assert(count < HUB_LANES_MOST);
    if (count > 0) {
        struct place **array =
            mem_resize(count > 1 ? session->place_array : NULL, count + 1u, sizeof(struct place *));
        if (count == 1)
            array[0] = session->single_place;
        session->place_array = array;
    }
    session->place_count++;
    places_of(session)[count] = place;
}

static void unlist_place(struct session *session, const struct place *place)
{
    struct place **places = places_of(session);
    unsigned i = 0;
    while (places[i] != place)
        i++;
    assert(i < session->place_count);
    session->place_count--;
    memmove(&places[i], &places[i + 1], (session->place_count - i) * sizeof(places[0]));
    if (session->place_count != 1)
        return;
    session->single_place = places[0];
    free(places);
}

/* A lane that was about to be closed is read on. */
static struct place *add_place(struct session *session, struct lane *lane)
{
    assert(!session_find_place(session, lane));
    struct place *place = place_new(lane, session, session_queue_count(&session->queue, lane->id));
    if (lane->in_linger) {
        DL_DELETE(session->hub->lingering, lane);
        lane->in_linger = false;
    }
    if (lane->stale)
        session_lane_stale(session);
    list_place(session, place);
    return place;
}

/* The last one to leave does not close the lane: clients whose network flickers are back in a
 * second, and find it as it was. */
static void drop_place(struct place *place)
{
    struct session *session = place->session;
    struct lane *lane = place->lane;
    struct hub *hub = session->hub;
    unlist_place(session, place);
    place_free(place);
    if (lane->stale)
        session_lane_fresh(session);
    if (lane->place_count == 0) {
        lane->linger_until_ms = hub->now_ms + hub->config.lane_linger_ms;
        lane->in_linger = true;
        DL_APPEND(hub->lingering, lane);
    }
}

/* By walking: a session has few rooms, and is asked by its own client alone. */
int session_find_room(const struct session *session, struct bytes name)
{
    for (unsigned i = 0; i < session->room_count; i++)
        if (bytes_equal(room_name_of(session->rooms[i].room), name))
            return (int)i;
    return -1;
}

bool session_is_in(const struct session *session, struct bytes room)
{
    return session_find_room(session, room) >= 0;
}

/* Rooms that were lost stand in the cursor until the client was told, which has yet to read: there
 * are seldom any. Their size is taken as if spelled out. */
static size_t untold_size(const struct session *session)
{
    size_t size = 0;
    const struct control *untold;
    DL_FOREACH2(session->untold, untold, untold_next)
        size += untold->room_size + 3u;
    return size;
}

bool session_takes_room(const struct session *session, struct bytes name)
{
    const struct hub_config *config = &session->hub->config;
    if (session->room_count >= config->rooms_per_session)
        return false;
    return !config->recovery ||
           session->packed_rooms + untold_size(session) + cursor_room_size(name) <=
               CURSOR_ROOMS_LIMIT;
}

/* For one more member. */
static void make_room_for_one(struct room *room)
{
    if (room->count == 0 || room->count < room->capacity)
        return;
    uint32_t capacity = 2 * room->count;
    struct room_member *array =
        mem_resize(room->capacity ? room->array : NULL, capacity, sizeof(struct room_member));
    if (!room->capacity)
        array[0] = room->single;
    room->array = array;
    room->capacity = capacity;
}

struct place *session_attach(struct session *session, struct lane *lane, struct bytes scope,
                             struct bytes name, int private_index)
{
    assert(session->state == SESSION_OPENING || session->state == SESSION_OPEN);
    struct place *place = session_find_place(session, lane);
    if (!place)
        place = add_place(session, lane);
    place_add_room(place);
    struct room *room = room_get(lane, scope, name);
    make_room_for_one(room);
    if (session->room_count == session->room_capacity) {
        session->room_capacity =
            narrow_16(session->room_capacity ? 2u * session->room_capacity : 2);
        session->rooms =
            mem_resize(session->rooms, session->room_capacity, sizeof(struct session_room));
    }
    static_assert(CURSOR_ROOM_BYTES_MOST <= UINT8_MAX, "it is kept in a byte");
    assert(-1 <= private_index && private_index < HUB_ROOMS_MOST);
    uint8_t packed = narrow_8(cursor_room_size(name));
    session->packed_rooms += packed;
    session->rooms[session->room_count] = (struct session_room){
        .room = room,
        .member = room->count,
        .private_index = (int16_t)private_index, /* asserted above */
        .packed = packed,
    };
    room_members(room)[room->count] =
        (struct room_member){.place = place, .index = session->room_count};
    room->count++;
    session->room_count++;
    return place;
}

void session_room_hold(struct session *session, size_t index)
{
    assert(index < session->room_count);
    session_room_member(&session->rooms[index])->held = true;
}

/* By the room, not its index: between a join and its history the client may have left other
 * rooms. */
void session_room_live(const struct session *session, const struct room *room)
{
    for (size_t i = 0; i < session->room_count; i++)
        if (session->rooms[i].room == room)
            session_room_member(&session->rooms[i])->held = false;
}

bool session_room_is_held(const struct session *session, size_t index)
{
    assert(index < session->room_count);
    return session_room_member(&session->rooms[index])->held;
}

/* Puts the lanes of the rooms that are told (or not) behind the `ordered` first ones, in order of
 * first mention. Each lane has a room, so none is lost. */
static uint16_t order_lanes(struct session *session, uint16_t ordered, bool told)
{
    for (uint32_t i = 0; i < session->room_count && ordered < session->place_count; i++) {
        struct place *place = session_room_place(&session->rooms[i]);
        if (session->rooms[i].told != told || place->ordered)
            continue;
        place_set_ordered(place, true);
        places_of(session)[ordered++] = place;
    }
    return ordered;
}

/* The cursor's constant part is made anew when the next one is given, and with it the order of
 * places. */
void session_rooms_changed(struct session *session)
{
    session->rooms_changed = true;
    for (uint32_t i = 0; i < session->place_count; i++)
        place_set_ordered(session_places(session)[i], false);
    session->told_lanes = order_lanes(session, 0, true);
    uint32_t all = order_lanes(session, session->told_lanes, false);
    assert(all == session->place_count);
}

static void detach_room(struct session *session, size_t index)
{
    struct room *room = session->rooms[index].room;
    struct place *place = session_room_place(&session->rooms[index]);
    struct room_member *members = room_members(room);
    assert(place->session == session && place->lane == room->lane);
    session_presence_leave(session, &session->rooms[index]);
    /* The order of members means nothing, that of a session's rooms does: it is the cursor's. */
    struct room_member last = members[--room->count];
    uint32_t hole = session->rooms[index].member;
    if (hole != room->count) {
        members[hole] = last;
        last.place->session->rooms[last.index].member = hole;
    }
    assert(session->packed_rooms >= session->rooms[index].packed);
    session->packed_rooms -= session->rooms[index].packed;
    session->room_count--;
    memmove(&session->rooms[index], &session->rooms[index + 1],
            (session->room_count - index) * sizeof(session->rooms[0]));
    for (size_t i = index; i < session->room_count; i++)
        session_room_member(&session->rooms[i])->index = narrow_32(i);
    room_release(room);
    if (!place_drop_room(place))
        drop_place(place);
}

void session_detach_room(struct session *session, size_t index)
{
    assert(index < session->room_count);
    detach_room(session, index);
    session_rooms_changed(session);
}

void session_detach_all(struct session *session)
{
    while (session->room_count)
        detach_room(session, session->room_count - 1u);
    session_rooms_changed(session);
    assert(session->place_count == 0 && session->told_lanes == 0 && session->packed_rooms == 0);
}
