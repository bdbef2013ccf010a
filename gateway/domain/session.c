/* The life of a session, and its stream: what a client is told, in the order in which it must be
 * told.
 *
 *    OPENING ----- all places known -----> OPEN ----- ended from here -----> ENDING
 *       |                                    |                                  |
 *       +--- refused --> ENDING              +--- the transport is gone --------+--> CLOSED
 *
 * OPENING gives nothing but a refusal. OPEN gives OPENED first, then what is queued, then what
 * is read from rings. ENDING gives CLOSE and nothing else. A CLOSED session is freed at the end
 * of the turn.
 *
 * A transport only writes what it is given. That CONNECT's answer comes before what was missed,
 * a history before its confirmation, and a cursor with whatever it covers, is decided here for
 * all of them, and checked by the simulation. */
#include "session.h"

#include <stdlib.h>

#include "catch_up.h"
#include "conflation.h"
#include "join.h"
#include "lane.h"
#include "mem.h"
#include "membership.h"
#include "refresh.h"
#include "resume.h"
#include "session_presence.h"
#include "session_rights.h"

static void tell_access(const struct session *session, const struct access_note *note)
{
    const struct access_port *port = &session->hub->config.access;
    if (port->told)
        port->told(port->context, note);
}

/* --- opening and ending --------------------------------------------------------------------- */

static void free_opening(struct session *session)
{
    if (!session->opening)
        return;
    free(session->opening->private_id);
    buffer_deinit(&session->opening->left);
    free(session->opening);
    session->opening = NULL;
}

void session_end(struct session *session, const char *reason, bool transient)
{
    if (session->state == SESSION_OPENING) {
        if (session->opening->refusal)
            return;
        session->opening->refusal = reason;
        /* Coming from another gateway, it believes to be connected: it must come by itself. */
        session->opening->refusal_transient = transient || session->opening->continued;
        session_wake(session);
        return;
    }
    if (session->state != SESSION_OPEN)
        return;
    /* What is queued is not given any more: the client has the cursor of what it was given, and
     * comes back with it. */
    session->end_reason = reason;
    session->state = SESSION_ENDING; /* first: leaving lanes below must tell the client nothing */
    /* Nobody is told that his joins are refused: CLOSE says it for all. */
    bool overflow = session->overflowed;
    session_clear_queue(session);
    session_forget_joins(session, bytes_of("", 0), true, NULL);
    session_detach_all(session);
    free_opening(session);
    struct control control = {.reason = reason, .transient = transient, .overflow = overflow};
    session->signaled = false; /* its transport hears of it even while it cannot write */
    session_push_control(session, ITEM_CLOSE, bytes_of("", 0), &control);
}

void session_end_overflowed(struct session *session)
{
    assert(session->overflowed);
    if (session->state != SESSION_OPEN)
        return;
    session->hub->stats.overflowed++;
    session_end(session, "too_many_answers", true);
}

/* A record that a cursor named and that is not compared yet counts as well: CONNECT's answer
 * says whether the client was recovered, and cannot be taken back. */
static bool still_opening(const struct session *session)
{
    for (unsigned i = 0; i < session->place_count; i++) {
        const struct place *place = session_places(session)[i];
        if (place->state == PLACE_OPENING || place->check)
            return true;
    }
    return false;
}

/* Its client is not told yet: that is the stream's, at the end of the turn. */
static void try_open(struct session *session)
{
    assert(session->state != SESSION_OPENING || session->opening);
    struct hub *hub = session->hub;
    if (session->state != SESSION_OPENING || session->opening->refusal || still_opening(session))
        return;
    joins_open_over(session);
    session->recovered = session->opening->resumed && !session->opening->continued;
    hub->stats.sessions_continued += session->opening->continued;
    session->state = SESSION_OPEN;
    hub->stats.sessions_opened++;
    hub->stats.sessions_recovered += session->recovered;
    hub->stats.sessions_not_recovered += session->opening->reason != NULL;
    session_wake(session);
}

void session_start_afresh(struct session *session, const char *reason)
{
    assert(session->state == SESSION_OPENING && reason);
    if (session->opening->continued) { /* its client believes to be connected: it must come back */
        session_detach_all(session);
        session_end(session, reason, true);
        return;
    }
    const char *problem = resume_afresh(session, reason);
    if (!problem)
        problem = session_admit(session);
    if (problem)
        session_end(session, problem, false);
    else
        try_open(session);
}

static const struct place *lost_place(const struct session *session)
{
    struct place *const *places = session_places(session);
    for (unsigned i = 0; i < session->place_count; i++)
        if (places[i]->state == PLACE_LOST)
            return places[i];
    return NULL;
}

/* One lost place is enough: a session that has a gap in one lane starts afresh in all, since its
 * client knows one state, not one for each lane. */
static void settle(struct session *session)
{
    const struct place *lost = lost_place(session);
    if (!lost) {
        try_open(session);
        return;
    }
    session->hub->stats.gaps++;
    if (session->state == SESSION_OPENING)
        session_start_afresh(session, place_loss_text(lost));
    else
        session_end(session, place_loss_text(lost), true);
    assert(!lost_place(session));
}

void session_settle_changed(struct hub *hub)
{
    struct session *session;
    while ((session = session_take_changed(hub)))
        settle(session);
}

void session_lane_opened(struct place *place)
{
    struct session *session = place->session;
    if (place->state == PLACE_OPENING && session->state == SESSION_OPENING &&
        session->opening->resumed) {
        catch_up_start(place);
        return;
    }
    if (place->state == PLACE_OPENING)
        place_open(place);
    session_answer_joins(place);
    session_places_changed(session);
}

/* --- the stream ----------------------------------------------------------------------------- */

/* By name, since the confirmation waited in the queue meanwhile. */
static void mark_told(struct session *session, struct bytes room)
{
    assert(room.size > 0 && room.size <= ROOM_NAME_LIMIT);
    for (unsigned i = 0; i < session->room_count; i++)
        if (bytes_equal(room_name_of(session->rooms[i].room), room) &&
            !session_room_is_held(session, i)) { /* it was left and is being joined again */
            session->rooms[i].told = true;
            session_presence_told(session, i);
        }
    session_rooms_changed(session);
}

static void give_opened(struct session *session, struct delivery *delivery)
{
    assert(session->state == SESSION_OPEN && session->opening);
    struct session_opening *opening = session->opening;
    for (unsigned i = 0; i < session->room_count; i++) {
        session->rooms[i].told = true;
        session_presence_told(session, i);
    }
    session_rooms_changed(session);
    delivery->kind = DELIVERY_OPENED;
    delivery->recovered = session->recovered;
    delivery->reason = opening->reason;
    delivery->public_id = session_public_id(session);
    /* Its client never knew that it was away: it gets no new id, and no cursor either. */
    delivery->continued = opening->continued;
    assert(!session->opened);
    session->opened = true;
    session->opened_ms = session->hub->now_ms;
    tell_access(session, &(struct access_note){.kind = ACCESS_OPENED,
                                               .session = session,
                                               .recovered = session->recovered,
                                               .rooms = session->room_count,
                                               .reason = opening->reason});
    if (session->hub->config.recovery && !opening->continued) {
        delivery->private_id = resume_private_id(session);
        delivery->cursor = resume_cursor(session);
    }
    if (opening->resumed && !opening->continued) /* the rights may have grown meanwhile */
        session_gain_rooms(session, buffer_peek(&opening->left));
    struct control live = {0};
    if (session->stale_lanes && !opening->was_stale)
        session_tell_stale(session);
    else if (!session->stale_lanes && opening->was_stale)
        session_push_control(session, ITEM_LIVE, bytes_of("", 0), &live);
    free_opening(session);
    session_ask_orders(session);
}

/* `place` is NULL if the session has left the lane. */
/* The body stays where it is until the next call: a transport copies it into its own buffer, or
 * hands it to the socket, before it asks again. */
static void give_body(struct session *session, struct place *place, struct message *message,
                      struct delivery *delivery)
{
    struct hub *hub = session->hub;
    session->progress_ms = hub->now_ms;
    /* The body before this one has been written by now. */
    if (hub->frame_is_lent)
        message_forget_frame(hub->delivered, hub->lent_slot);
    message_unref(hub->delivered);
    hub->delivered = message;
    /* A frame for somebody who catches up may be the only one of its message, and the ring has
     * no room for it, or has dropped the message: then it lives until the next call. */
    bool framed = message->frames[session->transport->slot] != NULL;
    delivery->body = message_frame(message, session->transport);
    hub->frame_is_lent = !framed && (!place || !lane_count_frame(place->lane, message));
    hub->lent_slot = session->transport->slot;
}

static void give_message(struct session *session, struct place *place, struct message *message,
                         struct delivery *delivery)
{
    assert(!place || place->lane->id == message->lane_id);
    if (place)
        place_give(place, message);
    assert(session->state == SESSION_OPEN); /* nothing but CLOSE is left of one that ends */
    session->hub->stats.deliveries++;
    session->given++;
    delivery->kind = DELIVERY_NOTIFICATION;
    give_body(session, place, message, delivery);
}

/* The client need not have it any more. */
static void pass_over_superseded(struct place *place, struct message *message)
{
    place_give(place, message);
    place->session->hub->stats.conflated++;
    message_unref(message);
}

/* By the lane's number: what is queued may be of a lane that is gone. */
static struct place *place_of(struct session *session, uint32_t lane_id)
{
    struct place *const *places = session_places(session);
    for (unsigned i = 0; i < session->place_count; i++)
        if (places[i]->lane->id == lane_id)
            return places[i];
    return NULL; /* it left the lane's last room meanwhile */
}

static const enum delivery_kind delivery_kinds[] = {
    [ITEM_JOINED] = DELIVERY_JOINED, [ITEM_JOIN_REFUSED] = DELIVERY_JOIN_REFUSED,
    [ITEM_LEFT] = DELIVERY_LEFT,     [ITEM_REFRESHED] = DELIVERY_REFRESHED,
    [ITEM_CURSOR] = DELIVERY_CURSOR, [ITEM_STALE] = DELIVERY_STALE,
    [ITEM_LIVE] = DELIVERY_LIVE,     [ITEM_CLOSE] = DELIVERY_CLOSE};

/* What lies below the end of the history has been given: the cursor that names the room says so. */
static void give_history_end(struct session *session, struct history *history,
                             struct delivery *delivery)
{
    struct place *place = place_of(session, history->lane_id);
    assert(session->histories > 0 && history->whole && history->count == 0);
    if (place)
        place_give_history(place, history->end);
    delivery->has_history = !history->is_state;
    delivery->has_state = history->is_state;
    delivery->history_count = history->found;
    delivery->history_complete = history->complete;
    if (history->is_state)
        delivery->since_ms = history->since_ms > 0 ? history->since_ms : 0;
    session->histories--;
    history_free(history);
}

static void give_room(struct session *session, const struct control *control,
                      struct delivery *delivery)
{
    assert(control->room_size <= ROOM_NAME_LIMIT);
    struct buffer *name = &session->hub->room_name;
    buffer_clear(name);
    buffer_append(name, bytes_of(control->room, control->room_size));
    delivery->room = buffer_peek(name);
    delivery->request = control->request;
}

/* From now on cursors do not name the room any more. */
static void give_lost(struct session *session, struct control *control)
{
    if (control->private_index >= 0) {
        session_mark_left(session, (size_t)control->private_index, LEFT_TOLD);
    } else {
        assert(session->untold_count > 0);
        DL_DELETE2(session->untold, control, untold_prev, untold_next);
        session->untold_count--;
    }
    session->rooms_changed = true;
}

static void give_control(struct session *session, enum item_kind kind, struct control *control,
                         struct delivery *delivery)
{
    give_room(session, control, delivery);
    if (kind == ITEM_JOINED) {
        mark_told(session, delivery->room);
        tell_access(session, &(struct access_note){.kind = ACCESS_JOINED,
                                                   .session = session,
                                                   .room = delivery->room});
    }
    if (control->lost)
        give_lost(session, control);
    if (control->left_out) /* behind the last one, cursors can be followed */
        session->rooms_changed = true;
    if (control->history)
        give_history_end(session, control->history, delivery);
    delivery->kind = delivery_kinds[kind];
    delivery->reason = control->reason;
    delivery->claim = session_claim_named_by(session, control->reason);
    delivery->transient = control->transient;
    delivery->overflow = control->overflow;
    if (kind == ITEM_STALE)
        delivery->since_ms = control->since_ms;
    delivery->retry_after_ms = control->retry_after_ms;
    free(control);
}

/* As many items as a step may have. */
static bool give_state(struct session *session, const struct control *control,
                       struct delivery *delivery)
{
    struct history *history = control->history;
    const struct place *place = place_of(session, history->lane_id);
    uint32_t given = history->step.item;
    if (!history_next_chunk(history, place ? place->lane : NULL, session->transport,
                            &delivery->first, &delivery->body))
        return false;
    session->hub->stats.state_items += history->step.item - given;
    give_room(session, control, delivery);
    session->progress_ms = session->hub->now_ms;
    delivery->kind = DELIVERY_STATE;
    return true;
}

/* A join's history comes before its confirmation. False: all of it was given. */
static bool give_history(struct session *session, const struct queue_item *item,
                         struct delivery *delivery)
{
    struct hub *hub = session->hub;
    if (item->kind != ITEM_JOINED || !item->control->history)
        return false;
    if (item->control->history->is_state)
        return give_state(session, item->control, delivery);
    struct message *message = history_take(item->control->history);
    if (!message)
        return false;
    give_room(session, item->control, delivery);
    give_body(session, place_of(session, message->lane_id), message, delivery);
    delivery->body =
        message_framed_notification(message, session->transport->slot, &delivery->event);
    message_forget_decoded(message);
    hub->stats.history_messages++;
    delivery->kind = DELIVERY_HISTORY;
    return true;
}

/* A cursor goes with whatever it covers, and only behind it. */
static void give_cursor(struct session *session, struct delivery *delivery)
{
    assert(session->state == SESSION_OPEN || delivery->kind == DELIVERY_CLOSE);
    if (session->hub->config.recovery && delivery->kind != DELIVERY_JOIN_REFUSED &&
        delivery->kind != DELIVERY_REFRESHED && delivery->kind != DELIVERY_CLOSE)
        delivery->cursor = resume_cursor(session);
}

/* Passed over here as well, what is out of date leaves nothing to give: the next one is looked
 * at. */
static bool next_from_queue(struct session *session, struct delivery *delivery)
{
    struct session_queue *queue = &session->queue;
    while (queue->count) {
        if (give_history(session, session_queue_first(queue), delivery))
            return true;
        struct queue_item item = session_queue_shift(queue);
        if (item.kind != ITEM_MESSAGE) {
            give_control(session, item.kind, item.control, delivery);
            return true;
        }
        struct place *place = place_of(session, item.message->lane_id);
        session->hub->stats.queued_messages--;
        if (place)
            place_unqueue(place);
        /* It was live when this was queued; if it has fallen behind since, what is out of date
         * may be passed over here as well. */
        if (!place || !conflation_skips(place, item.message)) {
            give_message(session, place, item.message, delivery);
            return true;
        }
        pass_over_superseded(place, item.message);
    }
    return false;
}

static bool give_refused(struct session *session, struct delivery *delivery)
{
    assert(session->opening && session->opening->refusal);
    delivery->kind = DELIVERY_REFUSED;
    delivery->reason = session->opening->refusal;
    delivery->claim = session_claim_named_by(session, delivery->reason);
    delivery->transient = session->opening->refusal_transient;
    delivery->retry_after_ms = session->opening->refusal_retry_ms;
    session->hub->stats.sessions_refused++;
    session->state = SESSION_ENDING;
    session_clear_queue(session);
    session_detach_all(session);
    return true;
}

bool session_next(struct session *session, struct delivery *delivery)
{
    *delivery = (struct delivery){0};
    /* Whatever else there is for it: it was not let in. */
    if (session->state == SESSION_OPENING && session->opening->refusal)
        return give_refused(session, delivery);
    if (session->state == SESSION_OPEN && session->opening) {
        give_opened(session, delivery);
        return true;
    }
    if (session->state == SESSION_OPEN || session->state == SESSION_ENDING) {
        if (next_from_queue(session, delivery)) {
            give_cursor(session, delivery);
            return true;
        }
        struct message *message = catch_up_next(session);
        if (message) {
            session->hub->stats.deliveries_caught_up++;
            give_message(session, place_of(session, message->lane_id), message, delivery);
            give_cursor(session, delivery);
            return true;
        }
        /* Behind all else: who is slow gets of presence the latest, and no more than that. */
        if (session_presence_next(session, delivery)) {
            give_cursor(session, delivery);
            return true;
        }
    }
    if (session->queue.capacity)
        session_queue_shrink(&session->queue);
    session->signaled = false;
    return false;
}

/* --- what it is, and its end ------------------------------------------------------------------ */

/* The one way out of every state. Its memory stays until the turn ends: the caller may be a
 * callback of its own transport. */
void session_close(struct session *session)
{
    struct hub *hub = session->hub;
    if (session->state == SESSION_CLOSED)
        return;
    if (session->opened)
        tell_access(session, &(struct access_note){.kind = ACCESS_CLOSED,
                                                   .session = session,
                                                   .rooms = session->room_count,
                                                   .reason = session->end_reason,
                                                   .notifications = session->given,
                                                   .lasted_ms = hub->now_ms - session->opened_ms});
    session_forget_joins(session, bytes_of("", 0), true, NULL);
    joins_open_over(session);
    session_clear_queue(session);
    session->state = SESSION_CLOSED; /* nothing below wakes it */
    session_detach_all(session);
    session_unlist(session);
    /* The slow walk stands here: it goes on at the next one. */
    if (hub->sweep == session)
        hub->sweep = session->next;
    session_dismiss(session);
    quota_leave(&session->quota);
    DL_DELETE(hub->sessions, session);
    DL_APPEND(hub->dying, session);
    hub->stats.sessions--;
    hub->stats.sessions_closed++;
}

void session_reap(struct session *session)
{
    assert(session->state == SESSION_CLOSED);
    assert(!session->joins.first && !session->changed && session->room_count == 0 &&
           session->place_count == 0 && session->queue.count == 0);
    free_opening(session);
    claims_free(session->claims);
    free(session->rooms);
    free(session->left);
    free(session->cursor_rooms);
    free(session);
}

bool session_has_ended(const struct session *session)
{
    return session->state == SESSION_ENDING && session->queue.count > 0;
}

bool session_is_behind(const struct session *session)
{
    assert(session->places_behind <= session->place_count);
    return session->places_behind > 0;
}
