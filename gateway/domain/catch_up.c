#include <stddef.h>
#include <stdlib.h>

#include "history.h"
#include "mem.h"

enum {
    LOOKS_A_TURN = 1 << 16, /* at rings, by all sessions together: see ring_skip() */
    DOUBT_RETRY_MS = 500,
};

/* --- where a session stands ----------------------------------------------------------------- */

void catch_up_give_up(struct place *place, const char *reason)
{
    assert(place->session->state != SESSION_CLOSED);
    struct session *session = place->session;
    session->hub->stats.gaps++;
    if (session->state == SESSION_OPENING)
        resume_give_up(session, reason);
    else
        session_end(session, reason, true);
}

int64_t catch_up_reach(const struct place *place)
{
    const struct lane *lane = place->lane;
    int64_t reach = place->next;
    if (place->state == PLACE_LIVE && lane->position > reach)
        reach = lane->position;
    if (place->reading && !place->check && lane->scan.next > reach)
        reach = lane->scan.next;
    assert(reach >= place->next);
    return reach;
}

struct position catch_up_reached(const struct place *place)
{
    const struct lane *lane = place->lane;
    int64_t reach = catch_up_reach(place);
    size_t index = ring_find(&lane->ring, reach);
    if (place->state == PLACE_LIVE && lane->head.next <= reach)
        return lane->head;
    if (index > 0)
        return (struct position){ring_at(&lane->ring, index - 1)->offset + 1,
                                 ring_at(&lane->ring, index - 1)->check};
    return (struct position){.next = reach};
}

static void set_live(struct place *place)
{
    struct lane *lane = place->lane;
    place_move(place, PLACE_LIVE);
    if (place->next < lane->position)
        place->next = lane->position;
    assert(!place->check && !place->doubtful);
    place->live_from = place->next;
}

/* The cursor is beyond what this gateway has read: either it is behind others, or the log was cut.
 * The broker knows. */
static void doubt(struct place *place)
{
    struct lane *lane = place->lane;
    struct hub *hub = lane->hub;
    assert(place->state == PLACE_OPENING && !wait_is_set(&place->ahead));
    if (!place->doubtful)
        DL_APPEND2(lane->doubtful_places, place, list_prev, list_next);
    place->doubtful = true;
    if (lane->in_doubt)
        return;
    lane->in_doubt = true;
    lane->doubt_until_ms = hub->now_ms + hub->config.truncation_confirm_ms;
    lane->doubt_due_ms = INT64_MAX;
    DL_APPEND2(hub->doubtful, lane, doubt_prev, doubt_next);
    hub->source_ops->ends(hub->source, lane);
}

static void doubt_no_more(struct place *place)
{
    assert(place->doubtful);
    place->doubtful = false;
    DL_DELETE2(place->lane->doubtful_places, place, list_prev, list_next);
}

void catch_up_leave(struct place *place)
{
    struct lane *lane = place->lane;
    if (place->doubtful)
        doubt_no_more(place);
    waits_remove(&lane->places_ahead, &place->ahead);
    if (place->state == PLACE_SCANNING)
        place_move(place, PLACE_BEHIND);
    assert(!place->reading);
}

/* Compares the cursor's last record with the ring's. False: they differ. `place->check` is cleared
 * once verified. */
static bool verify_in_ring(struct place *place)
{
    assert(place->check && place->next > 0);
    const struct ring *ring = &place->lane->ring;
    size_t index = ring_find(ring, place->next - 1);
    if (index == ring->count || ring_at(ring, index)->offset != place->next - 1 ||
        ring_at(ring, index)->check != place->check)
        return false;
    place->check = 0;
    return true;
}

void catch_up_start(struct place *place)
{
    assert(place->lane->open && place->state != PLACE_LIVE && !place->reading);
    struct lane *lane = place->lane;
    struct hub *hub = lane->hub;
    if (place->next > lane->position) {
        doubt(place);
        return;
    }
    if (place->next < lane->first) {
        catch_up_give_up(place, "retention");
        return;
    }
    uint64_t owed = lane_bytes_of(lane, lane->position - place->next);
    if (owed > hub->config.catch_up_bytes && place->next < lane->ring.from) {
        catch_up_give_up(place, "too_far");
        return;
    }
    if (place->check && place->next - 1 >= lane->ring.from && !verify_in_ring(place)) {
        catch_up_give_up(place, "recreated");
        return;
    }
    if (place->check && place->next - 1 < lane->first)
        place->check = 0; /* the record has just been removed; its successor is still there */
    if (place->check || place->next < lane->ring.from) {
        place_move(place, PLACE_SCANNING);
        scan_want(lane);
    } else if (place->next >= lane->position) {
        set_live(place);
    } else {
        place_move(place, PLACE_BEHIND);
        session_wake(place->session);
    }
    session_try_open(place->session);
}

void catch_up_ends(struct lane *lane, int64_t first, int64_t end)
{
    struct hub *hub = lane->hub;
    struct place *place, *next;
    lane->first = first;
    bool believed = hub->now_ms >= lane->doubt_until_ms, left = false;
    DL_FOREACH_SAFE2(lane->doubtful_places, place, next, list_next) {
        hub->stats.steps++;
        if (place->next > end && !believed) {
            left = true;
            continue;
        }
        doubt_no_more(place);
        if (place->next > end)
            catch_up_give_up(place, "truncated");
        else if (place->next <= lane->position) /* this gateway has come up meanwhile */
            catch_up_start(place);
        else if (place->check) /* judged when the record before it has arrived here */
            waits_add(&lane->places_ahead, &place->ahead, place->next);
        else {
            place_move(place, PLACE_LIVE); /* what lies below the cursor is skipped as it arrives */
            session_try_open(place->session);
        }
    }
    if (left) {
        lane->doubt_due_ms = hub->now_ms + DOUBT_RETRY_MS;
    } else if (lane->in_doubt) {
        lane->in_doubt = false;
        DL_DELETE2(hub->doubtful, lane, doubt_prev, doubt_next);
    }
}

static struct place *place_of_waiter(struct waiter *ahead)
{
    return (struct place *)((char *)ahead - offsetof(struct place, ahead));
}

void catch_up_arrived(struct lane *lane)
{
    struct waiter *wait;
    while ((wait = waits_take(&lane->places_ahead, lane->position))) {
        lane->hub->stats.steps++;
        assert(place_of_waiter(wait)->state == PLACE_OPENING && !place_of_waiter(wait)->doubtful);
        catch_up_start(place_of_waiter(wait));
    }
    if (waits_reach(&lane->histories_ahead, lane->position))
        history_arrived(lane);
}

/* --- from the ring -------------------------------------------------------------------------- */

static bool wanted_by(const struct session *session, const struct lane *lane,
                      struct message *message)
{
    for (unsigned i = 0; i < message->room_count; i++)
        for (unsigned j = 0; j < session->room_count; j++) {
            const struct room *room = session->rooms[j].room;
            if (room->hash == message->room_hashes[i] && room->lane == lane &&
                !session_room_is_held(session, j) &&
                message_names_room(message, room_scope_of(room), room_name_of(room)))
                return true;
        }
    return false;
}

/* Passes over what names no room of the session, as far as this turn allows. */
static size_t pass_over_in_ring(struct place *place, size_t index)
{
    assert(place->state == PLACE_BEHIND && index <= place->lane->ring.count);
    struct lane *lane = place->lane;
    const struct session *session = place->session;
    const struct ring *ring = &lane->ring;
    struct room_filter filter = {0};
    for (unsigned i = 0; i < session->room_count; i++)
        room_filter_add(&filter, session->rooms[i].room->hash);
    size_t to = ring_skip(ring, index, ring->count, &filter, &lane->hub->looks_left);
    if (to > index) {
        const struct message *message = ring_at(ring, to - 1);
        place->next = message->offset + 1;
        place->given = (struct position){message->offset + 1, message->check};
    }
    return to;
}

static struct message *next_from_ring(struct place *place)
{
    assert(place->next >= place->lane->ring.from && !place->check);
    struct lane *lane = place->lane;
    struct session *session = place->session;
    size_t index = ring_find(&lane->ring, place->next);
    for (; (index = pass_over_in_ring(place, index)) < lane->ring.count; index++) {
        if (lane->hub->looks_left == 0) {
            session->signaled = false;
            session_wake(session); /* goes on in the next turn */
            return NULL;
        }
        lane->hub->looks_left--;
        struct message *message = ring_at(&lane->ring, index);
        place->next = message->offset + 1;
        bool decoded = message->notification != NULL;
        bool wanted = wanted_by(session, lane, message);
        if (!decoded)
            hub_keep_decoded(lane->hub, message);
        if (wanted && !conflation_skips(place, message))
            return message_ref(message);
        lane->hub->stats.conflated += wanted;
        place->given = (struct position){message->offset + 1, message->check};
    }
    set_live(place);
    return NULL;
}

struct message *catch_up_next(struct session *session)
{
    assert(session->queue.count == 0);
    for (unsigned i = 0; i < session->place_count; i++) {
        struct place *place = session->places[i];
        if (place->state == PLACE_SCANNING && !place->reading)
            scan_want(place->lane);
        if (place->state != PLACE_BEHIND)
            continue;
        if (place->next < place->lane->ring.from) {
            place_move(place, PLACE_SCANNING);
            scan_want(place->lane);
            continue;
        }
        struct message *message = next_from_ring(place);
        if (message)
            return message;
    }
    return NULL;
}

void catch_up_forget(struct lane *lane)
{
    scan_forget(lane);
    assert(!lane->in_doubt || lane->hub->doubtful);
    if (lane->in_doubt)
        DL_DELETE2(lane->hub->doubtful, lane, doubt_prev, doubt_next);
    lane->in_doubt = false;
}

void catch_up_turn(struct hub *hub)
{
    hub->looks_left = LOOKS_A_TURN;
}

void catch_up_run(struct hub *hub)
{
    struct lane *lane, *next;
    scan_run(hub);
    DL_FOREACH_SAFE2(hub->doubtful, lane, next, doubt_next)
        if (hub->now_ms >= lane->doubt_due_ms) {
            lane->doubt_due_ms = INT64_MAX;
            hub->source_ops->ends(hub->source, lane);
        }
}

int64_t catch_up_deadline(const struct hub *hub)
{
    const struct lane *lane;
    int64_t deadline = scan_deadline(hub);
    DL_FOREACH2(hub->doubtful, lane, doubt_next)
        if (lane->doubt_due_ms < deadline)
            deadline = lane->doubt_due_ms;
    return deadline;
}
