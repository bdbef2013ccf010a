/* What comes into a session's queue, and who is told of it. Limits are judged before anything is
 * queued: a message that does not fit leaves the place where it is, an answer that does not fit
 * ends the session, since the client would wait for it in vain.
 *
 * A session is told once, until its transport has taken everything: `signaled` is set when it is
 * told, and reset when session_next() has nothing more. */
#include "session_output.h"

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"

/* --- what comes into the queue -------------------------------------------------------------- */

static bool is_untold(const struct control *control)
{
    return control->lost && control->private_index < 0;
}

static bool has_room_for_answer(const struct session *session, const struct control *control,
                                size_t room_size)
{
    const struct session_queue *queue = &session->queue;
    const struct hub_config *config = &session->hub->config;
    return queue->count - queue->messages < config->answers &&
           queue->answer_bytes + session_queue_answer_size(room_size) <= config->answer_bytes &&
           (!is_untold(control) || session->untold_count < config->rooms_per_session);
}

/* It is told although it was told before: until now there was something to write, from now on it
 * is over. */
static void overflow(struct session *session)
{
    session->overflowed = true;
    session->signaled = false;
    session_wake(session);
}

void session_push_control(struct session *session, enum item_kind kind, struct bytes room,
                          const struct control *control)
{
    assert(kind != ITEM_MESSAGE && room.size <= ROOM_NAME_LIMIT);
    assert(!control->history || (kind == ITEM_JOINED && control->history->whole));
    if (kind != ITEM_CLOSE &&
        (session->overflowed || !has_room_for_answer(session, control, room.size))) {
        history_free(control->history);
        overflow(session);
        return;
    }
    struct control *copy = mem_alloc(sizeof(*copy) + room.size);
    *copy = *control;
    copy->room_size = narrow_16(room.size);
    if (room.size)
        memcpy(copy->room, room.data, room.size);
    if (control->history)
        session->histories++;
    if (is_untold(copy)) {
        DL_APPEND2(session->untold, copy, untold_prev, untold_next);
        session->untold_count++;
    }
    session_queue_push(&session->queue, (struct queue_item){.kind = kind, .control = copy});
    session_wake(session);
}

bool session_offer(struct place *place, struct message *message)
{
    assert(place->lane->id == message->lane_id && !message->fault);
    struct session *session = place->session;
    /* Full or not is asked before: one message may go beyond the bytes, so that a large one is
     * given at all. */
    if (session_is_full(session))
        return false;
    session_queue_push(&session->queue,
                       (struct queue_item){.kind = ITEM_MESSAGE, .message = message_ref(message)});
    session->hub->stats.queued_messages++;
    place_queue(place, message);
    session_wake(session);
    return true;
}

void session_drop_messages(struct session *session)
{
    assert(session->hub->stats.queued_messages >= session->queue.messages);
    session->hub->stats.queued_messages -= session->queue.messages;
    session_queue_drop_messages(&session->queue);
    for (unsigned i = 0; i < session->place_count; i++)
        place_queue_cleared(session_places(session)[i]);
}

void session_clear_queue(struct session *session)
{
    session_drop_messages(session);
    session_queue_clear(&session->queue);
    session->untold = NULL; /* it was in there */
    session->untold_count = 0;
    session->histories = 0;
    session->overflowed = false;
}

/* --- lanes that cannot be read -------------------------------------------------------------- */

/* While it opens, what it is told first says how its lanes are (session.c). */
static bool hears_of_lanes(const struct session *session)
{
    return session->state == SESSION_OPEN && !session->opening;
}

void session_tell_stale(struct session *session)
{
    struct control control = {0};
    assert(session->stale_lanes > 0);
    for (unsigned i = 0; i < session->place_count; i++) {
        const struct lane *lane = session_places(session)[i]->lane;
        if (lane->stale && (!control.since_ms || lane->stale_since_ms < control.since_ms))
            control.since_ms = lane->stale_since_ms;
    }
    session_push_control(session, ITEM_STALE, bytes_of("", 0), &control);
}

void session_lane_stale(struct session *session)
{
    session->stale_lanes++;
    if (session->stale_lanes == 1 && hears_of_lanes(session))
        session_tell_stale(session);
}

void session_lane_fresh(struct session *session)
{
    assert(session->stale_lanes > 0);
    session->stale_lanes--;
    if (session->stale_lanes == 0 && hears_of_lanes(session))
        session_push_control(session, ITEM_LIVE, bytes_of("", 0), &(struct control){0});
}

/* --- who must be told ----------------------------------------------------------------------- */

/* Whether all it can do is look through a ring. Such sessions are told apart: the end of a scan
 * may make thousands of them, and each may look through a whole ring. */
static bool only_looks(const struct session *session)
{
    return session->state == SESSION_OPEN && !session->opening && session->queue.count == 0 &&
           !session->presence_news;
}

void session_wake(struct session *session)
{
    assert(session->listed != &session->hub->ready || !session->signaled);
    struct hub *hub = session->hub;
    struct attention *list = only_looks(session) ? &hub->lookers : &hub->ready;
    /* What has something to give does not go back to those that only look. */
    if (session->listed == list || session->listed == &hub->ready || session->signaled ||
        session->state == SESSION_CLOSED ||
        (session->state == SESSION_OPENING && !session->opening->refusal))
        return;
    session_unlist(session);
    session->listed = list;
    list->count++;
    DL_APPEND2(list->first, session, attention_prev, attention_next);
}

void session_wake_again(struct session *session)
{
    assert(session->state != SESSION_CLOSED);
    session->signaled = false;
    session_wake(session);
}

void session_unlist(struct session *session)
{
    struct attention *list = session->listed;
    if (!list)
        return;
    assert(list->count > 0);
    session->listed = NULL;
    list->count--;
    DL_DELETE2(list->first, session, attention_prev, attention_next);
}

/* --- whose places have changed -------------------------------------------------------------- */

void session_places_changed(struct session *session)
{
    struct hub *hub = session->hub;
    assert(session->state != SESSION_CLOSED);
    if (session->changed)
        return;
    session->changed = true;
    /* First come, first served, as lanes list them: sessions open in the order in which they
     * came. */
    session->changed_next = NULL;
    if (hub->changed_last)
        hub->changed_last->changed_next = session;
    else
        hub->changed = session;
    hub->changed_last = session;
}

struct session *session_take_changed(struct hub *hub)
{
    struct session *session = hub->changed;
    if (!session)
        return NULL;
    assert(session->changed && hub->changed_last);
    session->changed = false;
    hub->changed = session->changed_next;
    if (!hub->changed)
        hub->changed_last = NULL;
    return session;
}
