/* A session that goes on at another gateway, in the middle of its stream: what makes it there
 * what it was here. Used by upgrades of a long-polling session whose second connection meets
 * another gateway.
 *
 * Only what cannot be found out again is carried: claims, ids, rooms in their order, and where
 * it stands in each lane. Messages are not, since they are in Kafka; answers are not, so they
 * are given first. What arrives comes from a peer with the secret, and is checked all the same
 * as if it came from a client. */
#include <stdlib.h>

#include "lane.h"
#include "mem.h"
#include "membership.h"
#include "narrow.h"
#include "pack.h"
#include "resume.h"
#include "session_presence.h"
#include "session_rights.h"

enum { FORMAT_VERSION = 2 };

/* --- here --- */

/* Of what is queued, messages are in Kafka as well; all else is only here. */
static bool owes_answer(const struct session *session)
{
    const struct session_queue *queue = &session->queue;
    return session->opening || queue->count > queue->messages;
}

/* Messages that stand before the answer are given with it: the stream has one order. While a join is
 * under way, nothing is given: the session could not go behind it, and what was given would wait in
 * a transport's queue, beyond its limit. */
bool session_next_answer(struct session *session, struct delivery *delivery)
{
    if (session->joins.count == 0 && owes_answer(session) && session_next(session, delivery))
        return true;
    session_set_signaled(session, false); /* what comes from now on is told again */
    return false;
}

static void append_rooms(const struct session *session, struct buffer *state)
{
    pack_number(state, session->private_rooms);
    pack_bytes(state,
               bytes_of(session->left, session->left ? left_size(session->private_rooms) : 0));
    pack_number(state, session->room_count);
    for (unsigned i = 0; i < session->room_count; i++) {
        pack_bytes(state, room_name_of(session->rooms[i].room));
        /* 0: joined later, so that no number is below 0. */
        pack_number(state, (uint64_t)((int64_t)session->rooms[i].private_index + 1));
    }
}

static void append_places(const struct session *session, struct buffer *state)
{
    pack_number(state, session->place_count);
    for (unsigned i = 0; i < session->place_count; i++) {
        const struct place *place = session_places(session)[i];
        struct position position = place_position(place);
        assert(position.next >= 0 && place->reported >= 0);
        pack_number(state, (uint64_t)position.next);
        pack_number(state, position.check);
        pack_number(state, (uint64_t)place->reported);
    }
}

/* Nothing, if there are none: so gateways of before this go on with all sessions that do not want to
 * hear who is where. */
static void append_presence(const struct session *session, struct buffer *state)
{
    for (unsigned i = 0; i < session->room_count; i++)
        if (session->rooms[i].wants_presence)
            pack_number(state, i);
}

enum status session_migrate_out(const struct session *session, struct buffer *state)
{
    if (session->state != SESSION_OPEN && session->state != SESSION_OPENING)
        return STATUS_CLOSED;
    /* What the client has asked for here is answered here. */
    if (session->opening || session->joins.count || owes_answer(session))
        return STATUS_INCOMPLETE;
    assert(session->claims && !session->joins.first && !session->untold);
    auto_buffer struct buffer claims = {0};
    policy_write_claims(session->hub->config.policy, session->claims, &claims);
    pack_number(state, FORMAT_VERSION);
    pack_number(state, layout_revision(session->hub->config.layout));
    pack_bytes(state, buffer_peek(&claims));
    pack_bytes(state, bytes_of(session->tag, sizeof(session->tag)));
    pack_bytes(state, bytes_of(session->public_id, sizeof(session->public_id)));
    pack_number(state, session->stale_lanes > 0);
    append_rooms(session, state);
    append_places(session, state);
    append_presence(session, state);
    return STATUS_OK;
}

/* --- there --- */

static bool take_array(struct bytes *rest, uint8_t *out, size_t size)
{
    struct bytes taken;
    if (!unpack_bytes(rest, &taken) || taken.size != size)
        return false;
    memcpy(out, taken.data, size);
    return true;
}

static bool take_private_rooms(struct session *session, struct bytes *rest)
{
    uint64_t count;
    struct bytes left;
    if (!unpack_limited(rest, session->hub->config.rooms_per_session, &count) ||
        !unpack_bytes(rest, &left) || (left.size && left.size != left_size(count)))
        return false;
    session->private_rooms = narrow_16(count);
    if (left.size) {
        session->left = mem_alloc(left.size);
        memcpy(session->left, left.data, left.size);
    }
    return true;
}

/* Authorised again: the other gateway may have been configured otherwise. */
static bool take_room(struct session *session, struct bytes *rest)
{
    struct hub *hub = session->hub;
    struct room_owner owner = {session_tenant(session), session_user(session)};
    struct bytes name;
    struct room_name room;
    struct lane_name lane_name;
    uint64_t private_index;
    if (!unpack_bytes(rest, &name) ||
        !unpack_limited(rest, session->private_rooms, &private_index) ||
        room_parse(name, &room, NULL) != STATUS_OK || session_is_in(session, name) ||
        !session_may_join(session, name) ||
        layout_lane(hub->config.layout, &room, &owner, &lane_name, NULL) != STATUS_OK)
        return false;
    struct lane *lane = lane_get(hub, &lane_name);
    if (!session_find_place(session, lane) && session->place_count >= hub->config.lanes_per_session)
        return false;
    session_attach(session, lane, lane_name_scope(&lane_name), name, narrow_int(private_index) - 1);
    return true;
}

static bool take_place(struct place *place, struct bytes *rest)
{
    assert(place->queued == 0 && !place->check);
    uint64_t next, check, reported;
    if (!unpack_limited(rest, INT64_MAX, &next) || !unpack_limited(rest, UINT16_MAX, &check) ||
        !unpack_limited(rest, INT64_MAX, &reported))
        return false;
    /* Verified as in a cursor: the log may have been made again, and only one of the two gateways
     * know it. */
    place_resume(place, (struct position){narrow_offset(next), narrow_16(check)});
    place_report(place, narrow_offset(reported));
    return true;
}

static bool take_presence(struct session *session, struct bytes *rest)
{
    uint64_t index;
    while (rest->size) {
        if (!unpack_number(rest, &index) || index >= session->room_count)
            return false;
        session_want_presence(session, (size_t)index);
    }
    return true;
}

static bool take_rooms_and_places(struct session *session, struct bytes *rest)
{
    uint64_t count;
    if (!unpack_limited(rest, session->hub->config.rooms_per_session, &count))
        return false;
    for (; count; count--)
        if (!take_room(session, rest))
            return false;
    if (!unpack_number(rest, &count) || count != session->place_count)
        return false;
    for (unsigned i = 0; i < session->place_count; i++)
        if (!take_place(session_places(session)[i], rest))
            return false;
    return take_presence(session, rest);
}

bool session_migrate_in(struct session *session, struct bytes state)
{
    assert(session->state == SESSION_OPENING && !session->claims && session->room_count == 0);
    struct hub *hub = session->hub;
    uint64_t version, revision, stale;
    struct bytes claims;
    if (!unpack_number(&state, &version) || version != FORMAT_VERSION ||
        !unpack_number(&state, &revision) || revision != layout_revision(hub->config.layout) ||
        !unpack_bytes(&state, &claims) ||
        policy_claims(hub->config.policy, claims_of_text(claims), &session->claims) != STATUS_OK ||
        !take_array(&state, session->tag, sizeof(session->tag)) ||
        !take_array(&state, session->public_id, sizeof(session->public_id)) ||
        !unpack_limited(&state, 1, &stale) || !take_private_rooms(session, &state) ||
        !take_rooms_and_places(session, &state))
        return false;
    session->opening->continued = true;
    session->opening->resumed = true;
    session->opening->was_stale = stale;
    return true;
}
