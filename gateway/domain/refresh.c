/* Rights that change while a session lives: by a fresh token, by orders, or between two
 * connections. Rooms are lost first, then gained: a token with other rooms must not meet the
 * limit of rooms by those that it takes away.
 *
 * A client is told of each room that it loses, in its stream behind what it was still owed;
 * until it has been told, its cursor says so (session_tell_lost()). */
#include "refresh.h"

#include "join.h"
#include "lane.h"
#include "membership.h"
#include "session_rights.h"

static const char not_allowed[] = "not_allowed";

/* --- what is lost ----------------------------------------------------------------------------- */

void session_tell_lost(struct session *session, struct bytes name, int private_index)
{
    assert(!session_is_in(session, name));
    struct control control = {.reason = not_allowed, .lost = true, .private_index = private_index};
    if (private_index >= 0)
        session_mark_left(session, (size_t)private_index, LEFT_UNTOLD);
    session_push_control(session, ITEM_LEFT, name, &control);
}

static void lose_room(struct session *session, size_t index)
{
    struct bytes name = room_name_of(session->rooms[index].room);
    int private_index = session->rooms[index].private_index;
    uint8_t text[ROOM_NAME_LIMIT];
    assert(name.size <= sizeof(text));
    memcpy(text, name.data, name.size);
    name.data = text; /* the room may be gone in a moment */
    session_drop_room(session, index, not_allowed);
    session->hub->stats.rooms_lost++;
    session_tell_lost(session, name, private_index);
}

/* What is queued was owed before, and is given before the client is told; nothing of these rooms
 * is queued after it. */
void session_lose_rooms(struct session *session)
{
    for (size_t i = 0; i < session->room_count;) {
        if (session_may_join(session, room_name_of(session->rooms[i].room)))
            i++;
        else
            lose_room(session, i);
    }
}

/* --- what is given ---------------------------------------------------------------------------- */

struct gain {
    struct session *session;
    const struct claims *before; /* what they gave, the client has or has left; NULL: see `left` */
    struct bytes left;           /* rooms that the client has left: size and name of each */
};

static bool has_left(const struct gain *gain, struct bytes name)
{
    if (gain->before)
        return policy_gives(gain->session->hub->config.policy, gain->before, name);
    for (struct bytes rest = gain->left; rest.size; rest = bytes_skip(rest, 1u + rest.data[0]))
        if (bytes_equal(bytes_of(rest.data + 1, rest.data[0]), name))
            return true;
    return false;
}

const char *session_gain_room(struct session *session, struct bytes name)
{
    const struct hub_config *config = &session->hub->config;
    struct room_name room;
    struct lane_name lane_name;
    assert(!session_is_in(session, name));
    if (room_parse(name, &room, NULL) != STATUS_OK)
        return "bad_room";
    const char *problem = session_room_problem(session, &room, &lane_name);
    if (problem)
        return problem;
    if (!session_takes_room(session, name))
        return "too_many_rooms";
    struct lane *lane = lane_get(session->hub, &lane_name);
    if (session->place_count >= config->lanes_per_session && !session_find_place(session, lane))
        return "too_many_lanes";
    session_attach(session, lane, lane_name_scope(&lane_name), name, -1);
    session->hub->stats.rooms_gained++;
    session_settle_gain(session, session->room_count - 1u);
    return NULL;
}

/* Room for room, as at connect; what cannot be given is left out. */
static void gain_room(void *context, struct bytes name)
{
    struct gain *gain = context;
    struct session *session = gain->session;
    if (session_is_in(session, name) || has_left(gain, name) || session_is_kept_out(session, name))
        return;
    (void)session_gain_room(session, name);
}

void session_gain_rooms(struct session *session, struct bytes left)
{
    struct gain gain = {.session = session, .left = left};
    assert(session->state == SESSION_OPEN);
    policy_connect_rooms(session->hub->config.policy, session->claims, gain_room, &gain);
}

/* --- a fresh token ---------------------------------------------------------------------------- */

static bool is_same_principal(const struct claims *a, const struct claims *b)
{
    return bytes_equal(claims_tenant(a), claims_tenant(b)) &&
           bytes_equal(claims_user(a), claims_user(b));
}

const char *session_refresh(struct session *session, struct claims_json json, uint64_t request,
                            int64_t now_ms)
{
    struct hub *hub = session->hub;
    struct claims *claims;
    struct control control = {.request = request};
    assert(request != 0);
    if (session->state != SESSION_OPEN || session->opening || session->overflowed)
        return "not_connected";
    if (policy_claims(hub->config.policy, json, &claims) != STATUS_OK)
        return "bad_claims";
    if (!is_same_principal(claims, session->claims)) {
        claims_free(claims);
        return "other_principal";
    }
    const char *problem = session_token_problem(session, claims);
    if (problem) {
        claims_free(claims);
        return problem;
    }
    if (now_ms > hub->now_ms)
        hub->now_ms = now_ms;
    struct gain gain = {.session = session, .before = session->claims};
    session->claims = claims;
    session_admit_token(session);
    session_lose_rooms(session);
    policy_connect_rooms(hub->config.policy, claims, gain_room, &gain);
    session_ask_orders(session);
    claims_free((struct claims *)(uintptr_t)gain.before);
    hub->stats.refreshed++;
    session_push_control(session, ITEM_REFRESHED, bytes_of("", 0), &control);
    return NULL;
}
