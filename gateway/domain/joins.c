/* Three lists and a queue's worth of care: a request stands in the hub's list by its deadline,
 * in its session's and in its place's, and leaves all of them in one function. */
#include "joins.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"
#include "session_output.h"

/* All wait equally long, so that the list is by deadline if each goes to its end. */
static void expect(struct session *session, struct pending_request *pending)
{
    struct hub *hub = session->hub;
    pending->session = session;
    pending->deadline_ms = hub->now_ms + hub->config.open_timeout_ms;
    assert(!hub->pending || hub->pending->prev->deadline_ms <= pending->deadline_ms);
    DL_APPEND(hub->pending, pending);
}

/* Its order in the session's list is that of asking, and answers of one lane come in that order. */
struct pending_request *joins_add(struct session *session, struct place *place, struct bytes room,
                                  uint64_t request)
{
    assert(session->state == SESSION_OPEN && room.size > 0 && room.size <= ROOM_NAME_LIMIT);
    struct pending_request *pending = mem_alloc(sizeof(*pending) + room.size);
    pending->place = place;
    pending->request = request;
    pending->room_size = narrow_16(room.size);
    memcpy(pending->room, room.data, room.size);
    expect(session, pending);
    DL_APPEND2(session->joins.first, pending, own_prev, own_next);
    DL_APPEND2(place->joins, pending, place_prev, place_next);
    session->joins.count++;
    return pending;
}

void joins_set_search(struct pending_request *pending, struct history_search *search)
{
    assert(pending->place && !pending->search != !search);
    pending->search = search;
}

void joins_remove(struct pending_request *pending)
{
    struct session *session = pending->session;
    assert(pending->place && !pending->search && session->joins.count > 0);
    DL_DELETE(session->hub->pending, pending);
    DL_DELETE2(session->joins.first, pending, own_prev, own_next);
    DL_DELETE2(pending->place->joins, pending, place_prev, place_next);
    free(pending);
    session->joins.count--;
    assert(!session->joins.first == (session->joins.count == 0));
}

/* The confirmation is queued before the request is gone: if the queue has no room for it, that
 * is noted in the session, which ends, and nobody waits for this join any more. */
void joins_confirm(struct pending_request *pending, struct history *history)
{
    struct control control = {.request = pending->request, .history = history};
    session_push_control(pending->session, ITEM_JOINED, pending_room(pending), &control);
    joins_remove(pending);
}

struct bytes pending_room(const struct pending_request *pending)
{
    assert(pending->place);
    return bytes_of(pending->room, pending->room_size);
}

void joins_expect_open(struct session *session)
{
    assert(session->opening && !session->opening->pending);
    struct pending_request *pending = mem_new(struct pending_request);
    expect(session, pending);
    session->opening->pending = pending;
}

/* Opened, refused or closed: whichever comes first. */
void joins_open_over(struct session *session)
{
    struct pending_request *pending = session->opening ? session->opening->pending : NULL;
    if (!pending)
        return;
    assert(!pending->place && pending->session == session);
    DL_DELETE(session->hub->pending, pending);
    free(pending);
    session->opening->pending = NULL;
}
