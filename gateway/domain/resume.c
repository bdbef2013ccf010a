/* How a client finds its way back. The private id says who it was and which rooms it had at
 * connect, the cursor what has changed since and where it stood; both are walked together, room
 * for room, and each room is authorised anew by the token that was brought now.
 *
 * A way back is followed whole or not at all. If anything of it cannot be, the session starts
 * afresh, with the reason, and the client knows that it may have missed something. */
#include "resume.h"

#include <stdlib.h>

#include "lane.h"
#include "mem.h"
#include "membership.h"
#include "narrow.h"
#include "refresh.h"
#include "session_presence.h"
#include "session_rights.h"

/* Who the session is, as far as coming back is concerned. */
static uint64_t principal_of(const struct session *session)
{
    assert(session->claims);
    auto_buffer struct buffer text = {0};
    struct bytes tenant = session_tenant(session), user = session_user(session);
    /* With its length, so that no two pairs of tenant and user make one text. */
    buffer_append_format(&text, "%zu:", tenant.size);
    buffer_append(&text, tenant);
    buffer_append(&text, user);
    return XXH3_64bits(buffer_peek(&text).data, buffer_size(&text));
}

/* --- a new session -------------------------------------------------------------------------- */

struct fresh {
    struct session *session;
    const char *problem; /* with the token as such: the session is refused */
};

/* One room of the configuration's that cannot be given is told, and keeps nobody away: a client
 * that is refused at connect does not come back. */
static void leave_out(struct session *session, struct bytes name, const char *reason)
{
    struct control control = {.reason = reason, .left_out = true};
    assert(session->state == SESSION_OPENING && session->queue.messages == 0);
    session->hub->stats.rooms_left_out++;
    if (session->queue.count < session->hub->config.rooms_per_session) /* of many, the first */
        session_push_control(session, ITEM_LEFT, name, &control);
}

static void join_at_connect(void *context, struct bytes name)
{
    struct fresh *fresh = context;
    struct session *session = fresh->session;
    const struct hub_config *config = &session->hub->config;
    struct room_name room;
    struct lane_name lane_name;
    if (fresh->problem || room_parse(name, &room, NULL) != STATUS_OK)
        return;
    if (session_is_in(session, name))
        return;
    const char *problem = session_room_problem(session, &room, &lane_name);
    if (problem && session_claim_named_by(session, problem)) {
        fresh->problem = problem;
        return;
    }
    if (!problem && session_is_kept_out(session, name))
        problem = "not_allowed";
    if (!problem && !session_takes_room(session, name))
        problem = "too_many_rooms";
    struct lane *lane = problem ? NULL : lane_get(session->hub, &lane_name);
    if (lane && session->place_count >= config->lanes_per_session &&
        !session_find_place(session, lane))
        problem = "too_many_lanes";
    if (problem)
        leave_out(session, name, problem);
    else
        session_attach(session, lane, lane_name_scope(&lane_name), name,
                       narrow_int(session->room_count));
}

/* The new public id comes first: orders of the backend may name it. */
static const char *join_rooms_of_claims(struct session *session)
{
    assert(session->room_count == 0 && session->claims);
    struct fresh fresh = {.session = session};
    session_dismiss(session);
    memcpy(session->public_id, session->opening->random, CURSOR_PUBLIC_ID_BYTES);
    policy_connect_rooms(session->hub->config.policy, session->claims, join_at_connect, &fresh);
    session->private_rooms = session->room_count;
    return fresh.problem;
}

const char *resume_afresh(struct session *session, const char *reason)
{
    struct session_opening *opening = session->opening;
    assert(session->state == SESSION_OPENING && !opening->continued);
    opening->resumed = false;
    opening->reason = reason;
    free(opening->private_id);
    opening->private_id = NULL;
    buffer_clear(&opening->left);
    free(session->left);
    session->left = NULL;
    session_clear_queue(session); /* it may hold what was lost on the way */
    session_detach_all(session);
    return join_rooms_of_claims(session);
}

/* --- the way back --------------------------------------------------------------------------- */

/* Walks the rooms of a private id and its cursor, and the lanes they mention. */
struct cursor_walk {
    struct session *session;
    struct bytes positions; /* not yet taken */
    struct walked_lane {
        struct lane_name name;
        struct position position;
    } * lanes;
    unsigned lane_count;
    unsigned rooms;
    unsigned lost; /* but for those of the private id */
};

static const struct walked_lane *walk_lane(struct cursor_walk *walk, const struct lane_name *name)
{
    for (unsigned i = 0; i < walk->lane_count; i++)
        if (lane_name_same(&walk->lanes[i].name, name))
            return &walk->lanes[i];
    struct position position;
    /* Positions come in the order in which rooms mention lanes first. */
    if (walk->lane_count >= walk->session->hub->config.lanes_per_session ||
        !cursor_take_position(&walk->positions, &position))
        return NULL;
    walk->lanes = mem_resize(walk->lanes, walk->lane_count + 1u, sizeof(*walk->lanes));
    walk->lanes[walk->lane_count] = (struct walked_lane){*name, position};
    return &walk->lanes[walk->lane_count++];
}

/* Told before all that lanes may bring. If that is more than it may be told, it starts afresh: it
 * would be ended for it, and come back to the same. */
static bool walk_lost(struct cursor_walk *walk, struct bytes name, int private_index)
{
    struct session *session = walk->session;
    if (private_index < 0 && ++walk->lost > session->hub->config.rooms_per_session)
        return false;
    if (!session_is_in(session, name)) /* else it is signed twice over: the room counts */
        session_tell_lost(session, name, private_index);
    return !session->overflowed;
}

/* Rooms are authorised again, by the claims presented now. */
static bool walk_room(struct cursor_walk *walk, struct bytes name, int private_index)
{
    struct session *session = walk->session;
    struct hub *hub = session->hub;
    struct room_owner owner = {session_tenant(session), session_user(session)};
    struct room_name room;
    struct lane_name lane_name;
    if (++walk->rooms > hub->config.rooms_per_session ||
        room_parse(name, &room, NULL) != STATUS_OK ||
        layout_lane(hub->config.layout, &room, &owner, &lane_name, NULL) != STATUS_OK)
        return false;
    const struct walked_lane *walked = walk_lane(walk, &lane_name);
    if (!walked)
        return false;
    if (!session_may_join(session, name))
        return walk_lost(walk, name, private_index);
    struct lane *lane = lane_get(hub, &lane_name);
    bool known = session_find_place(session, lane) != NULL;
    struct place *place =
        session_attach(session, lane, lane_name_scope(&lane_name), name, private_index);
    if (!known)
        place_resume(place, walked->position);
    return true;
}

/* The session was not in it any more; what was lost may be given again. */
static bool walk_past(struct cursor_walk *walk, struct bytes name, int private_index,
                      enum left left)
{
    struct session *session = walk->session;
    assert(left != LEFT_NOT && private_index >= 0);
    if (left == LEFT_UNTOLD)
        return walk_lost(walk, name, private_index);
    session_mark_left(session, (size_t)private_index, left);
    if (left == LEFT_BY_WISH) {
        buffer_append_byte(&session->opening->left, narrow_8(name.size));
        buffer_append(&session->opening->left, name);
    }
    return true;
}

static bool walk_private(struct cursor_walk *walk, struct bytes name, int private_index,
                         enum left left)
{
    return left == LEFT_NOT ? walk_room(walk, name, private_index)
                            : walk_past(walk, name, private_index, left);
}

/* One of those that were joined, lost, or of which the client wants to hear who is there. */
static bool walk_joined(struct cursor_walk *walk, struct bytes *rest)
{
    uint8_t name[ROOM_NAME_LIMIT];
    size_t size;
    bool known = false, lost = cursor_take_lost_mark(rest);
    bool presence = !lost && cursor_take_presence_mark(rest, &known);
    if (!cursor_unpack_room(rest, name, &size))
        return false;
    struct bytes room = bytes_of(name, size);
    if (lost)
        return walk_lost(walk, room, -1);
    if (!known && !walk_room(walk, room, -1))
        return false;
    int index = presence ? session_find_room(walk->session, room) : -1;
    if (index >= 0) /* else it is not allowed any more */
        session_want_presence(walk->session, (size_t)index);
    return true;
}

static bool walk_all(struct cursor_walk *walk, struct bytes private_rooms,
                     const struct cursor *cursor)
{
    struct session *session = walk->session;
    uint8_t name[ROOM_NAME_LIMIT];
    size_t size;
    unsigned index = 0, limit = session->hub->config.rooms_per_session;
    assert(!session->left && session->private_rooms == 0);
    session->left = mem_alloc(left_size(limit));
    for (struct bytes rest = private_rooms; rest.size; index++) {
        if (index >= limit || !cursor_unpack_room(&rest, name, &size) ||
            !walk_private(walk, bytes_of(name, size), narrow_int(index),
                          left_of(cursor->left, index)))
            return false;
    }
    session->private_rooms = narrow_16(index);
    for (struct bytes rest = cursor->joined; rest.size;)
        if (!walk_joined(walk, &rest))
            return false;
    return walk->positions.size == 0;
}

const char *resume_follow(struct session *session, const struct session_request *request)
{
    assert(session->opening && !session->opening->resumed && session->room_count == 0);
    struct hub *hub = session->hub;
    auto_buffer struct buffer id_space = {0};
    auto_buffer struct buffer cursor_space = {0};
    struct private_id id;
    if (private_id_decode(request->private_id, &hub->keys, &id_space, &id) != STATUS_OK)
        return "unknown_session";
    if (id.principal != principal_of(session))
        return "other_principal";
    if (id.layout_revision != layout_revision(hub->config.layout))
        return "layout";
    struct cursor cursor;
    enum status status = cursor_decode(request->cursor, id.tag, &hub->keys, &cursor_space, &cursor);
    /* It may be this session's, and what it says is not known: neither its rooms nor how far it
     * came. */
    if (status == STATUS_TOO_LARGE)
        return "unknown_session";
    /* A cursor that was made for another private id says nothing; then the id's own positions count
     * (hazards 5). */
    bool needs_cursor = cursor_take_lost_mark(&id.rooms); /* see owes_left_out() */
    if (status != STATUS_OK) {
        if (needs_cursor)
            return "unknown_session";
        cursor = (struct cursor){.positions = id.positions};
    }
    memcpy(session->public_id, id.public_id, sizeof(session->public_id));
    struct cursor_walk walk = {.session = session, .positions = cursor.positions};
    bool followed = walk_all(&walk, id.rooms, &cursor);
    free(walk.lanes);
    if (!followed)
        return "unknown_session";
    memcpy(session->tag, id.tag, sizeof(session->tag));
    session->opening->private_id = mem_string(request->private_id);
    session->opening->resumed = true;
    return NULL;
}

/* --- what the client carries ---------------------------------------------------------------- */

/* What is given here is what the slow walk compares with, to see whether the client's cursor has
 * grown old. */
static void append_positions(struct session *session, struct buffer *out)
{
    assert(session->told_lanes <= session->place_count);
    for (unsigned i = 0; i < session->told_lanes; i++) {
        struct position position = place_position(session_places(session)[i]);
        place_report(session_places(session)[i], position.next);
        cursor_append_position(out, position);
    }
}

/* The client takes itself to be in the rooms of connect until it was told of those that were left
 * out, all of them at the head of its queue. Until then it is given nothing else, and what it has
 * to come back with leads to a fresh session: a private id that counts with a cursor alone, and
 * cursors with a mark of no room, which cannot be followed. */
static bool owes_left_out(const struct session *session)
{
    if (session->queue.count == 0)
        return false;
    const struct queue_item *first = session_queue_first(&session->queue);
    return first->kind == ITEM_LEFT && first->control->left_out;
}

struct bytes resume_private_id(struct session *session)
{
    assert(session->opening);
    struct hub *hub = session->hub;
    buffer_clear(&hub->private_id);
    /* The stock client sees itself recovered if it gets back the very text that it has sent. */
    if (session->opening->private_id) {
        buffer_append_string(&hub->private_id, session->opening->private_id);
        return buffer_peek(&hub->private_id);
    }
    auto_buffer struct buffer rooms = {0};
    struct private_id id = {.principal = principal_of(session),
                            .layout_revision = layout_revision(hub->config.layout)};
    if (owes_left_out(session))
        cursor_append_lost_mark(&rooms);
    for (unsigned i = 0; i < session->room_count; i++)
        if (session->rooms[i].private_index >= 0)
            cursor_pack_room(&rooms, room_name_of(session->rooms[i].room));
    buffer_clear(&hub->positions);
    append_positions(session, &hub->positions);
    memcpy(id.public_id, session->public_id, sizeof(id.public_id));
    memcpy(id.session_id, session->opening->random + CURSOR_PUBLIC_ID_BYTES, sizeof(id.session_id));
    id.rooms = buffer_peek(&rooms);
    id.positions = buffer_peek(&hub->positions);
    private_id_encode(&id, &hub->keys, &hub->private_id);
    memcpy(session->tag, id.tag, sizeof(session->tag));
    return buffer_peek(&hub->private_id);
}

/* Before base64url, which makes 4 characters of 3 bytes: what else than rooms stands in a text. */
enum {
    POSITIONS_BYTES_MOST = HUB_LANES_MOST * CURSOR_POSITION_BYTES_MOST,
    LEFT_BYTES_MOST = (LEFT_BITS * HUB_ROOMS_MOST + 7) / 8,
    TEXT_BYTES = CURSOR_TEXT_LIMIT / 4 * 3,
    TEXT_HEAD_BYTES_MOST = 128,
};
static_assert(TEXT_HEAD_BYTES_MOST + LEFT_BYTES_MOST + CURSOR_ROOMS_LIMIT + POSITIONS_BYTES_MOST <=
                  TEXT_BYTES,
              "whatever a session is given, it can come back with");

static void encode_rooms(struct session *session)
{
    assert(session->hub->config.recovery && session->hub->keys.count > 0);
    auto_buffer struct buffer joined = {0};
    auto_buffer struct buffer text = {0};
    for (unsigned i = 0; i < session->room_count; i++) {
        const struct session_room *own = &session->rooms[i];
        bool known = own->private_index >= 0;
        if (!own->told || (known && !own->wants_presence))
            continue;
        if (own->wants_presence)
            cursor_append_presence_mark(&joined, known);
        cursor_pack_room(&joined, room_name_of(own->room));
    }
    const struct control *untold;
    DL_FOREACH2(session->untold, untold, untold_next) {
        cursor_append_lost_mark(&joined);
        cursor_pack_room(&joined, bytes_of(untold->room, untold->room_size));
    }
    if (owes_left_out(session))
        cursor_append_lost_mark(&joined);
    struct cursor cursor = {.joined = buffer_peek(&joined)};
    if (session->left)
        cursor.left = bytes_of(session->left, left_size(session->private_rooms));
    cursor_encode_rooms(&cursor, session->tag, &session->hub->keys, &text);
    free(session->cursor_rooms);
    session->cursor_rooms = mem_string(buffer_peek(&text));
    session->rooms_changed = false;
}

struct bytes resume_cursor(struct session *session)
{
    struct hub *hub = session->hub;
    /* Per delivery only the positions are written: rooms change seldom, and signing them is what
     * costs. */
    if (session->rooms_changed || !session->cursor_rooms)
        encode_rooms(session);
    buffer_clear(&hub->positions);
    append_positions(session, &hub->positions);
    buffer_clear(&hub->cursor_text);
    buffer_append_string(&hub->cursor_text, session->cursor_rooms);
    cursor_append_positions_text(buffer_peek(&hub->positions), &hub->cursor_text);
    return buffer_peek(&hub->cursor_text);
}
