/* How a session comes into rooms and leaves them by its client's wish. A join is decided here
 * and now: rights, limits, and where the room lies. What may have to be waited for is the room's
 * lane, and a history.
 *
 * The session is attached to the room at once, while the client is told only when the lane is
 * open: so nothing that is published after the answer can be missed. Every answer goes
 * through the session's queue and has its place in the stream. */
#include "join.h"

#include "lane.h"
#include "mem.h"
#include "membership.h"
#include "session_presence.h"
#include "session_rights.h"

/* --- joins that wait -------------------------------------------------------------------------- */

void session_answer_joins(struct place *place)
{
    struct pending_request *pending, *next;
    assert(place->state != PLACE_OPENING);
    DL_FOREACH_SAFE2(place->joins, pending, next, place_next) {
        place->lane->hub->stats.steps++;
        if (pending->search)
            history_search_start(pending->search);
        else
            joins_confirm(pending, NULL);
    }
}

/* Its search is the request's own and goes first, since it knows the request. */
static void give_up_join(struct pending_request *pending)
{
    struct history_search *search = pending->search;
    if (search) {
        joins_set_search(pending, NULL);
        history_search_free(search);
    }
    joins_remove(pending);
}

/* --- what transports ask ---------------------------------------------------------------------- */

static void refuse_join(struct session *session, struct bytes room, uint64_t request,
                        const char *reason, bool transient)
{
    assert(reason && request != 0);
    struct control control = {.request = request, .reason = reason, .transient = transient};
    /* As much of it as an answer may hold: a client that sends a megabyte is not sent it back. */
    if (room.size > ROOM_NAME_LIMIT)
        room.size = ROOM_NAME_LIMIT;
    session->hub->stats.joins_refused++;
    session_push_control(session, ITEM_JOIN_REFUSED, room, &control);
}

static void refuse_for_now(struct session *session, struct bytes room, uint64_t request,
                           int64_t retry_after_ms)
{
    assert(retry_after_ms > 0 && room.size <= ROOM_NAME_LIMIT);
    struct control control = {
        .request = request, .reason = "rate_limited", .retry_after_ms = retry_after_ms};
    session->hub->stats.joins_refused++;
    session_push_control(session, ITEM_JOIN_REFUSED, room, &control);
}

static bool asks_too_much(const struct session *session)
{
    /* Whole histories in the queue count as well: a client that asks and does not read would
     * else pile them up. */
    return session->joins.count + session->histories >= session->hub->config.pending_joins;
}

/* In the order of what a client can do about it: rights, then names, then limits. */
static const char *join_problem(struct session *session, const struct room_name *room,
                                struct lane_name *lane_name)
{
    assert(!session_is_in(session, room->name));
    if (!session_may_join(session, room->name))
        return "not_allowed";
    const char *problem = session_room_problem(session, room, lane_name);
    if (problem)
        return problem;
    if (!session_takes_room(session, room->name))
        return "too_many_rooms";
    if (asks_too_much(session))
        return "too_many_requests";
    return NULL;
}

struct join {
    uint64_t request;
    const struct history_request *history; /* NULL: none is wanted */
    bool presence;                         /* it wants to hear who is in the room */
    int64_t wall_ms;
};

static bool too_many_lanes(const struct session *session, struct lane *lane)
{
    return session->place_count >= session->hub->config.lanes_per_session &&
           !session_find_place(session, lane);
}

/* Its answer is JOINED, now or when its lane is open, behind its history if it wants one. */
static void settle_join(struct session *session, size_t index, const struct join *join)
{
    assert(index < session->room_count);
    struct room *room = session->rooms[index].room;
    struct place *place = session_room_place(&session->rooms[index]);
    bool opening = place->state == PLACE_OPENING;
    if (join->presence)
        session_want_presence(session, index);
    if (!join->history) /* what another join of the room would bring first, it does not wait for */
        session_room_live(session, room);
    if (!join->history && !opening) {
        struct control control = {.request = join->request};
        session_push_control(session, ITEM_JOINED, room_name_of(room), &control);
        return;
    }
    struct pending_request *pending = joins_add(session, place, room_name_of(room), join->request);
    if (!join->history)
        return;
    history_search_new(pending, room, join->history, join->wall_ms);
    if (!opening)
        history_search_start(pending->search);
}

void session_settle_gain(struct session *session, size_t index)
{
    settle_join(session, index, &(struct join){.request = 0});
}

/* Joining again changes nothing (hazards 7), but may bring a history. */
static void join_again(struct session *session, size_t index, const struct join *join)
{
    bool waits =
        join->history || session_room_place(&session->rooms[index])->state == PLACE_OPENING;
    if (waits && asks_too_much(session))
        refuse_join(session, room_name_of(session->rooms[index].room), join->request,
                    "too_many_requests", false);
    else
        settle_join(session, index, join);
}

/* NULL: what is asked for of the past may be had here, or nothing is. */
static const char *past_problem(const struct hub *hub, const struct history_request *history)
{
    if (!history)
        return NULL;
    if (history->state)
        return hub->config.state.items == 0 ? "no_state" : NULL;
    return hub->config.history.messages == 0 ? "no_history" : NULL;
}

/* Others would get less of the past if this one went on asking for what it does not read. */
static bool may_have_more_of_the_past(struct session *session, const struct join *join)
{
    enum history_limit limit = join->history ? history_share_full(session) : HISTORY_FITS;
    if (limit == HISTORY_FITS)
        return true;
    session->hub->stats.histories_refused[limit]++;
    return false;
}

static void request_join(struct session *session, struct bytes name, const struct join *join,
                         int64_t now_ms)
{
    struct hub *hub = session->hub;
    uint64_t request = join->request;
    struct room_name room;
    struct lane_name lane_name;
    assert(request != 0);
    if (session->state != SESSION_OPEN || session->overflowed)
        return;
    if (now_ms > hub->now_ms)
        hub->now_ms = now_ms;
    if (room_parse(name, &room, NULL) != STATUS_OK) {
        refuse_join(session, name, request, "bad_room", false);
        return;
    }
    int64_t retry_ms =
        session_spend(session, join->history ? QUOTA_HISTORIES : QUOTA_SUBSCRIBES, hub->now_ms);
    if (retry_ms > 0) {
        refuse_for_now(session, name, request, retry_ms);
        return;
    }
    const char *none = past_problem(hub, join->history);
    if (none) {
        refuse_join(session, name, request, none, false);
        return;
    }
    if (!may_have_more_of_the_past(session, join)) {
        refuse_join(session, name, request, "too_much_unread", true);
        return;
    }
    if (join->presence && !session_has_presence(session, name)) {
        refuse_join(session, name, request, "no_presence", false);
        return;
    }
    int index = session_find_room(session, name);
    if (index >= 0) {
        join_again(session, (size_t)index, join);
        return;
    }
    const char *problem = join_problem(session, &room, &lane_name);
    if (problem) {
        refuse_join(session, name, request, problem, false);
        return;
    }
    struct lane *lane = lane_get(hub, &lane_name);
    if (too_many_lanes(session, lane)) {
        refuse_join(session, name, request, "too_many_lanes", false);
        return;
    }
    /* First in the room, then all else: what arrives from now on is the session's. */
    session_attach(session, lane, lane_name_scope(&lane_name), name, -1);
    hub->stats.joins++;
    if (join->history)
        session_room_hold(session, session->room_count - 1u);
    settle_join(session, session->room_count - 1u, join);
}

void session_join(struct session *session, struct bytes room, uint64_t request, int64_t now_ms)
{
    struct join join = {.request = request};
    request_join(session, room, &join, now_ms);
}

void session_join_with_history(struct session *session, struct bytes room, uint64_t request,
                               const struct history_request *history, int64_t now_ms,
                               int64_t wall_ms)
{
    struct join join = {.request = request, .history = history, .wall_ms = wall_ms};
    request_join(session, room, &join, now_ms);
}

void session_join_with_presence(struct session *session, struct bytes room, uint64_t request,
                                const struct history_request *history, int64_t now_ms,
                                int64_t wall_ms)
{
    struct join join = {
        .request = request, .history = history, .presence = true, .wall_ms = wall_ms};
    request_join(session, room, &join, now_ms);
}

void session_forget_joins(struct session *session, struct bytes room, bool all, const char *reason)
{
    struct pending_request *pending, *next;
    DL_FOREACH_SAFE2(session->joins.first, pending, next, own_next) {
        struct bytes waiting = pending_room(pending);
        session->hub->stats.steps++;
        if (!all && !bytes_equal(waiting, room))
            continue;
        if (reason && pending->request) /* else nobody asked */
            refuse_join(session, waiting, pending->request, reason, false);
        give_up_join(pending);
    }
}

bool session_expire_join(struct pending_request *pending)
{
    assert(pending->place && pending->session->state == SESSION_OPEN);
    struct session *session = pending->session;
    auto_free char *copy = mem_string(pending_room(pending));
    struct bytes name = bytes_of(copy, pending->room_size);
    struct control control = {
        .request = pending->request, .reason = "unavailable", .transient = true};
    /* The client may have left the room and asked for it again meanwhile. */
    int index = session_find_room(session, name);
    /* Or only its history did not come: the session was in the room before. */
    bool joins = index < 0 || !pending->search || session_room_is_held(session, (size_t)index);
    give_up_join(pending);
    if (control.request == 0) /* as at connect: the client comes again, to all that it may have */
        return false;
    session->hub->stats.joins_refused++;
    session_push_control(session, ITEM_JOIN_REFUSED, name, &control);
    if (!joins)
        return true;
    session_forget_joins(session, name, false, "unavailable");
    index = session_find_room(session, name);
    if (index >= 0)
        session_detach_room(session, (size_t)index);
    return true;
}

void session_drop_room(struct session *session, size_t index, const char *reason)
{
    assert(index < session->room_count && reason);
    session_forget_joins(session, room_name_of(session->rooms[index].room), false, reason);
    session_detach_room(session, index);
}

/* Answered in any case, also for a room that it is not in: the client waits for an answer. */
void session_leave(struct session *session, struct bytes name, uint64_t request)
{
    if (session->state != SESSION_OPEN || session->overflowed)
        return;
    int index = session_find_room(session, name);
    struct control control = {.request = request, .reason = index < 0 ? "not_joined" : NULL};
    if (index >= 0) {
        if (session->rooms[index].private_index >= 0)
            session_mark_left(session, (size_t)session->rooms[index].private_index, LEFT_BY_WISH);
        session_drop_room(session, (size_t)index, "left");
        session->hub->stats.leaves++;
    }
    if (name.size > ROOM_NAME_LIMIT)
        name.size = ROOM_NAME_LIMIT;
    session_push_control(session, ITEM_LEFT, name, &control);
}
