#include <stdlib.h>

#include "history.h"
#include "mem.h"

/* --- opening and ending --------------------------------------------------------------------- */

void session_end(struct session *session, const char *reason, bool transient)
{
    if (session->state == SESSION_OPENING) {
        if (session->opening->refusal)
            return;
        session->opening->refusal = reason;
        session->opening->refusal_transient = transient;
        session_wake(session);
        return;
    }
    if (session->state != SESSION_OPEN)
        return;
    /* What is queued is not given any more: the client has the cursor of what it was given, and
     * comes back with it. */
    session->state = SESSION_ENDING; /* first: leaving lanes below must tell the client nothing */
    session_clear_outbox(session);
    session_forget_joins(session, bytes_of("", 0), true, NULL);
    session_detach_all(session);
    session_opening_free(session);
    struct control control = {.reason = reason, .transient = transient};
    session_push_control(session, ITEM_CLOSE, bytes_of("", 0), &control);
}

static bool still_opening(const struct session *session)
{
    for (unsigned i = 0; i < session->lane_count; i++)
        if (session->lanes[i]->state == LANE_OPENING || session->lanes[i]->check)
            return true;
    return false;
}

void session_try_open(struct session *session)
{
    struct hub *hub = session->hub;
    if (session->state != SESSION_OPENING || session->opening->refusal || still_opening(session))
        return;
    struct pending *pending = session->opening->pending;
    if (pending) {
        DL_DELETE(hub->pending, pending);
        free(pending);
        session->opening->pending = NULL;
    }
    session->recovered = session->opening->resumed && !session->opening->continued;
    hub->stats.sessions_continued += session->opening->continued;
    session->state = SESSION_OPEN;
    hub->stats.sessions_opened++;
    hub->stats.sessions_recovered += session->recovered;
    hub->stats.sessions_not_recovered += session->opening->reason != NULL;
    session_wake(session);
}

static void pending_join_free(struct pending *pending)
{
    struct session *session = pending->session;
    DL_DELETE(session->hub->pending, pending);
    free(pending);
    session->pending_joins--;
}

void session_answer_join(struct pending *pending)
{
    struct session *session = pending->session;
    struct control control = {.request = pending->request, .history = pending->history};
    session->histories += pending->history != NULL;
    session_push_control(session, ITEM_JOINED, bytes_of(pending->room, pending->room_size),
                         &control);
    pending_join_free(pending);
}

/* The joins that waited for this lane are answered in their order, or get their history first. */
static void answer_joins(struct session *session, struct lane *lane)
{
    struct pending *pending, *next;
    if (!session->pending_joins)
        return;
    DL_FOREACH_SAFE(session->hub->pending, pending, next) {
        if (pending->session != session || pending->lane != lane)
            continue;
        if (pending->history)
            history_start(pending->history);
        else
            session_answer_join(pending);
    }
}

void session_lane_opened(struct session_lane *place)
{
    struct session *session = place->session;
    struct lane *lane = place->lane;
    if (place->state == LANE_OPENING && session->state == SESSION_OPENING &&
        session->opening->resumed) {
        catch_up_start(place); /* may start the session afresh: `place` is not used again */
        return;
    }
    if (place->state == LANE_OPENING) {
        place->state = LANE_LIVE;
        place->next = lane->position;
        place->given = lane->head;
    }
    answer_joins(session, lane);
    session_try_open(session);
}

/* --- the stream ----------------------------------------------------------------------------- */

struct position session_position(const struct session_lane *place)
{
    if (place->queued || place->state != LANE_LIVE)
        return place->given;
    /* Nothing is owed: the session is as far as the lane, or further if its cursor was ahead of
     * this gateway. */
    return place->lane->head.next > place->given.next ? place->lane->head : place->given;
}

static void mark_told(struct session *session, struct bytes room)
{
    for (unsigned i = 0; i < session->room_count; i++)
        if (bytes_equal(room_name_of(session->rooms[i].room), room) &&
            !session_room_is_held(session, i)) /* it was left and is being joined again */
            session->rooms[i].told = true;
    session_rooms_changed(session);
}

static void tell_stale(struct session *session)
{
    struct control control = {0};
    for (unsigned i = 0; i < session->lane_count; i++) {
        const struct lane *lane = session->lanes[i]->lane;
        if (lane->stale && (!control.since_ms || lane->stale_since_ms < control.since_ms))
            control.since_ms = lane->stale_since_ms;
    }
    session_push_control(session, ITEM_STALE, bytes_of("", 0), &control);
}

void session_lane_stale(struct session_lane *place)
{
    if (place->session->stale_lanes++ == 0 && place->session->state == SESSION_OPEN &&
        !place->session->opening)
        tell_stale(place->session);
}

void session_lane_live(struct session_lane *place)
{
    struct control control = {0};
    assert(place->session->stale_lanes > 0);
    if (--place->session->stale_lanes == 0 && place->session->state == SESSION_OPEN &&
        !place->session->opening)
        session_push_control(place->session, ITEM_LIVE, bytes_of("", 0), &control);
}

void session_opening_free(struct session *session)
{
    if (!session->opening)
        return;
    free(session->opening->private_id);
    buffer_deinit(&session->opening->lost);
    free(session->opening);
    session->opening = NULL;
}

static void give_opened(struct session *session, struct delivery *delivery)
{
    struct opening *opening = session->opening;
    for (unsigned i = 0; i < session->room_count; i++)
        session->rooms[i].told = true;
    session_rooms_changed(session);
    delivery->kind = DELIVERY_OPENED;
    delivery->recovered = session->recovered;
    delivery->reason = opening->reason;
    delivery->public_id = session_public_id(session);
    delivery->continued = opening->continued;
    if (session->hub->config.recovery && !opening->continued) {
        delivery->private_id = resume_private_id(session);
        delivery->cursor = resume_cursor(session);
    }
    for (struct bytes rest = buffer_peek(&opening->lost); rest.size;) {
        struct control control = {.reason = "not_allowed"};
        struct bytes name = bytes_of(rest.data + 1, rest.data[0]);
        session_push_control(session, ITEM_LEFT, name, &control);
        rest = bytes_skip(rest, 1 + name.size);
    }
    struct control live = {0};
    if (session->stale_lanes && !opening->was_stale)
        tell_stale(session);
    else if (!session->stale_lanes && opening->was_stale)
        session_push_control(session, ITEM_LIVE, bytes_of("", 0), &live);
    session_opening_free(session);
}

static void give_body(struct session *session, struct message *message, struct delivery *delivery)
{
    struct hub *hub = session->hub;
    session->progress_ms = hub->now_ms;
    message_unref(hub->delivered);
    hub->delivered = message;
    delivery->body = message_frame(message, session->transport);
}

static void give_message(struct session *session, struct session_lane *place,
                         struct message *message, struct delivery *delivery)
{
    if (place)
        place->given = (struct position){message->offset + 1, message->check};
    session->hub->stats.deliveries++;
    delivery->kind = DELIVERY_NOTIFICATION;
    give_body(session, message, delivery);
}

/* The client need not have it any more. */
static void pass_over(struct session_lane *place, struct message *message)
{
    place->given = (struct position){message->offset + 1, message->check};
    place->session->hub->stats.conflated++;
    message_unref(message);
}

static struct session_lane *place_of_message(struct session *session, const struct message *message)
{
    for (unsigned i = 0; i < session->lane_count; i++)
        if (session->lanes[i]->lane->id == message->lane_id)
            return session->lanes[i];
    return NULL; /* it left the lane's last room meanwhile */
}

static const enum delivery_kind delivery_kinds[] = {
    [ITEM_JOINED] = DELIVERY_JOINED, [ITEM_JOIN_REFUSED] = DELIVERY_JOIN_REFUSED,
    [ITEM_LEFT] = DELIVERY_LEFT,     [ITEM_CURSOR] = DELIVERY_CURSOR,
    [ITEM_STALE] = DELIVERY_STALE,   [ITEM_LIVE] = DELIVERY_LIVE,
    [ITEM_CLOSE] = DELIVERY_CLOSE};

/* What lies below the end of the history has been given: the cursor that names the room says so. */
static void give_history_end(struct session *session, struct history *history,
                             struct delivery *delivery)
{
    for (unsigned i = 0; i < session->lane_count; i++) {
        struct session_lane *place = session->lanes[i];
        if (place->lane->id == history->lane_id && place->given.next < history->end.next)
            place->given = history->end;
    }
    delivery->has_history = true;
    delivery->history_count = history->found;
    delivery->history_complete = history_is_complete(history);
    session->histories--;
    history_free(history);
}

static void give_room(struct session *session, const struct control *control,
                      struct delivery *delivery)
{
    struct buffer *name = &session->hub->room_name;
    buffer_clear(name);
    buffer_append(name, bytes_of(control->room, control->room_size));
    delivery->room = buffer_peek(name);
    delivery->request = control->request;
}

static void give_control(struct session *session, enum item_kind kind, struct control *control,
                         struct delivery *delivery)
{
    give_room(session, control, delivery);
    if (kind == ITEM_JOINED)
        mark_told(session, delivery->room);
    if (control->history)
        give_history_end(session, control->history, delivery);
    delivery->kind = delivery_kinds[kind];
    delivery->reason = control->reason;
    delivery->transient = control->transient;
    delivery->since_ms = control->since_ms;
    free(control);
}

/* A join's history comes before its confirmation. False: all of it was given. */
static bool give_history(struct session *session, const struct item *item,
                         struct delivery *delivery)
{
    struct hub *hub = session->hub;
    if (item->kind != ITEM_JOINED || !item->control->history)
        return false;
    struct message *message = history_take(item->control->history);
    if (!message)
        return false;
    give_room(session, item->control, delivery);
    give_body(session, message, delivery);
    message_forget_decoded(message);
    hub->stats.history_messages++;
    delivery->kind = DELIVERY_HISTORY;
    return true;
}

static void give_cursor(struct session *session, struct delivery *delivery)
{
    assert(session->state == SESSION_OPEN || delivery->kind == DELIVERY_CLOSE);
    if (session->hub->config.recovery && delivery->kind != DELIVERY_JOIN_REFUSED &&
        delivery->kind != DELIVERY_CLOSE)
        delivery->cursor = resume_cursor(session);
}

static bool next_from_outbox(struct session *session, struct delivery *delivery)
{
    struct outbox *outbox = &session->outbox;
    while (outbox->count) {
        if (give_history(session, outbox_first(outbox), delivery))
            return true;
        struct item item = outbox_shift(outbox);
        if (item.kind != ITEM_MESSAGE) {
            give_control(session, item.kind, item.control, delivery);
            return true;
        }
        struct session_lane *place = place_of_message(session, item.message);
        session->hub->stats.outbox_messages--;
        if (place)
            place->queued--;
        if (!place || !conflation_skips(place, item.message)) {
            give_message(session, place, item.message, delivery);
            return true;
        }
        pass_over(place, item.message);
    }
    return false;
}

static bool refuse(struct session *session, struct delivery *delivery)
{
    delivery->kind = DELIVERY_REFUSED;
    delivery->reason = session->opening->refusal;
    delivery->transient = session->opening->refusal_transient;
    session->hub->stats.sessions_refused++;
    session->state = SESSION_ENDING;
    session_clear_outbox(session);
    session_detach_all(session);
    return true;
}

bool session_next(struct session *session, struct delivery *delivery)
{
    *delivery = (struct delivery){0};
    if (session->state == SESSION_OPENING && session->opening->refusal)
        return refuse(session, delivery);
    if (session->state == SESSION_OPEN && session->opening) {
        give_opened(session, delivery);
        return true;
    }
    if (session->state == SESSION_OPEN || session->state == SESSION_ENDING) {
        if (next_from_outbox(session, delivery)) {
            give_cursor(session, delivery);
            return true;
        }
        struct message *message = catch_up_next(session);
        if (message) {
            session->hub->stats.deliveries_caught_up++;
            give_message(session, place_of_message(session, message), message, delivery);
            give_cursor(session, delivery);
            return true;
        }
    }
    if (session->outbox.items && session->outbox.count == 0)
        outbox_deinit(&session->outbox);
    session->signaled = false;
    return false;
}

/* --- what transports ask -------------------------------------------------------------------- */

static void refuse_join(struct session *session, struct bytes room, uint64_t request,
                        const char *reason, bool transient)
{
    struct control control = {.request = request, .reason = reason, .transient = transient};
    if (room.size > ROOM_NAME_LIMIT)
        room.size = ROOM_NAME_LIMIT;
    session->hub->stats.joins_refused++;
    session_push_control(session, ITEM_JOIN_REFUSED, room, &control);
}

static int find_room(const struct session *session, struct bytes name)
{
    for (unsigned i = 0; i < session->room_count; i++)
        if (bytes_equal(room_name_of(session->rooms[i].room), name))
            return (int)i;
    return -1;
}

static struct pending *expect_join(struct session *session, struct lane *lane, struct bytes room,
                                   uint64_t request)
{
    struct hub *hub = session->hub;
    struct pending *pending = mem_alloc(sizeof(*pending) + room.size);
    pending->session = session;
    pending->lane = lane;
    pending->request = request;
    pending->deadline_ms = hub->now_ms + hub->config.open_timeout_ms;
    pending->room_size = (uint16_t)room.size;
    memcpy(pending->room, room.data, room.size);
    DL_APPEND(hub->pending, pending);
    session->pending_joins++;
    return pending;
}

static bool asks_too_much(const struct session *session)
{
    return session->pending_joins + session->histories >= session->hub->config.pending_joins;
}

static const char *join_problem(struct session *session, const struct room_name *room,
                                struct lane_name *lane_name)
{
    struct hub *hub = session->hub;
    struct room_owner owner = {session_tenant(session), session_user(session)};
    if (!policy_may_join(hub->config.policy, session->claims, room->name))
        return "not_allowed";
    if (layout_lane(hub->config.layout, room, &owner, lane_name, NULL) != STATUS_OK)
        return "no_such_room";
    if (session->room_count >= hub->config.rooms_per_session)
        return "too_many_rooms";
    if (asks_too_much(session))
        return "too_many_requests";
    return NULL;
}

struct join {
    uint64_t request;
    const struct history_request *history; /* NULL: none is wanted */
    int64_t wall_ms;
};

static bool too_many_lanes(const struct session *session, struct lane *lane)
{
    return session->lane_count >= session->hub->config.lanes_per_session &&
           !session_find_lane(session, lane);
}

/* The session is in the room: what the join still waits for, or its answer. */
static void settle_join(struct session *session, size_t index, const struct join *join)
{
    struct room *room = session->rooms[index].room;
    struct lane *lane = room->lane;
    bool opening = session_find_lane(session, lane)->state == LANE_OPENING;
    if (!join->history) /* what another join of the room would bring first, it does not wait for */
        session_room_live(session, room);
    if (!join->history && !opening) {
        struct control control = {.request = join->request};
        session_push_control(session, ITEM_JOINED, room_name_of(room), &control);
        return;
    }
    struct pending *pending = expect_join(session, lane, room_name_of(room), join->request);
    if (!join->history)
        return;
    history_ask(pending, room, join->history, join->wall_ms);
    if (!opening)
        history_start(pending->history);
}

/* Joining again changes nothing (hazards 7), but may bring a history. */
static void join_again(struct session *session, size_t index, const struct join *join)
{
    const struct lane *lane = session->rooms[index].room->lane;
    bool waits = join->history || session_find_lane(session, lane)->state == LANE_OPENING;
    if (waits && asks_too_much(session))
        refuse_join(session, room_name_of(session->rooms[index].room), join->request,
                    "too_many_requests", false);
    else
        settle_join(session, index, join);
}

static void ask_to_join(struct session *session, struct bytes name, const struct join *join,
                        int64_t now_ms)
{
    struct hub *hub = session->hub;
    uint64_t request = join->request;
    struct room_name room;
    struct lane_name lane_name;
    assert(request != 0);
    if (session->state != SESSION_OPEN)
        return;
    if (now_ms > hub->now_ms)
        hub->now_ms = now_ms;
    if (room_parse(name, &room, NULL) != STATUS_OK) {
        refuse_join(session, name, request, "bad_room", false);
        return;
    }
    if (join->history && hub->config.history.messages == 0) {
        refuse_join(session, name, request, "no_history", false);
        return;
    }
    int index = find_room(session, name);
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
    session_attach(session, lane, lane_name_scope(&lane_name), name, -1);
    hub->stats.joins++;
    if (join->history)
        session_room_hold(session, session->room_count - 1u);
    settle_join(session, session->room_count - 1u, join);
}

void session_join(struct session *session, struct bytes room, uint64_t request, int64_t now_ms)
{
    struct join join = {.request = request};
    ask_to_join(session, room, &join, now_ms);
}

void session_join_with_history(struct session *session, struct bytes room, uint64_t request,
                               const struct history_request *history, int64_t now_ms,
                               int64_t wall_ms)
{
    struct join join = {.request = request, .history = history, .wall_ms = wall_ms};
    ask_to_join(session, room, &join, now_ms);
}

void session_forget_joins(struct session *session, struct bytes room, bool all, const char *reason)
{
    struct pending *pending, *next;
    if (!session->pending_joins)
        return;
    DL_FOREACH_SAFE(session->hub->pending, pending, next) {
        struct bytes waiting = bytes_of(pending->room, pending->room_size);
        if (pending->session != session || !pending->lane || (!all && !bytes_equal(waiting, room)))
            continue;
        if (reason)
            refuse_join(session, waiting, pending->request, reason, false);
        history_free(pending->history);
        pending_join_free(pending);
    }
}

void session_leave(struct session *session, struct bytes name, uint64_t request)
{
    if (session->state != SESSION_OPEN)
        return;
    int index = find_room(session, name);
    struct control control = {.request = request, .reason = index < 0 ? "not_joined" : NULL};
    if (index >= 0) {
        int private_index = session->rooms[index].private_index;
        if (private_index >= 0) {
            if (!session->left)
                session->left = mem_alloc((session->private_rooms + 7u) / 8);
            session->left[private_index / 8] |= (uint8_t)(1u << (private_index % 8));
        }
        session_forget_joins(session, name, false, "left");
        session_detach_room(session, (size_t)index);
        session->hub->stats.leaves++;
    }
    if (name.size > ROOM_NAME_LIMIT)
        name.size = ROOM_NAME_LIMIT;
    session_push_control(session, ITEM_LEFT, name, &control);
}

void session_close(struct session *session)
{
    struct hub *hub = session->hub;
    if (session->state == SESSION_CLOSED)
        return;
    session_forget_joins(session, bytes_of("", 0), true, NULL);
    if (session->opening && session->opening->pending) {
        DL_DELETE(hub->pending, session->opening->pending);
        free(session->opening->pending);
        session->opening->pending = NULL;
    }
    session_clear_outbox(session);
    session->state = SESSION_CLOSED; /* nothing below wakes it */
    session_detach_all(session);
    session_unlist(session);
    if (hub->sweep == session)
        hub->sweep = session->next;
    DL_DELETE(hub->sessions, session);
    DL_APPEND(hub->dying, session);
    hub->stats.sessions--;
    hub->stats.sessions_closed++;
}

void session_reap(struct session *session)
{
    assert(session->state == SESSION_CLOSED);
    session_opening_free(session);
    claims_free(session->claims);
    free(session->rooms);
    free(session->lanes);
    free(session->left);
    free(session->cursor_rooms);
    free(session);
}

struct bytes session_user(const struct session *session)
{
    return session->claims ? claims_user(session->claims) : bytes_of("", 0);
}

struct bytes session_tenant(const struct session *session)
{
    return session->claims ? claims_tenant(session->claims) : bytes_of("", 0);
}

bool session_is_in(const struct session *session, struct bytes room)
{
    for (unsigned i = 0; i < session->room_count; i++)
        if (bytes_equal(room_name_of(session->rooms[i].room), room))
            return true;
    return false;
}

enum status session_may_send(const struct session *session, struct bytes event)
{
    return session->claims ? policy_may_send(session->hub->config.policy, session->claims, event)
                           : STATUS_DENIED;
}

bool session_is_of(const struct session *session, struct bytes json)
{
    struct claims *claims;
    if (!session->claims || policy_claims(session->hub->config.policy, json, &claims) != STATUS_OK)
        return false;
    bool same = bytes_equal(claims_tenant(claims), session_tenant(session)) &&
                bytes_equal(claims_user(claims), session_user(session));
    claims_free(claims);
    return same;
}

struct bytes session_public_id(const struct session *session)
{
    struct buffer *text = &session->hub->public_id;
    buffer_clear(text);
    cursor_append_base64url(bytes_of(session->public_id, sizeof(session->public_id)), text);
    return buffer_peek(text);
}
