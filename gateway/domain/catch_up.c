/* Sessions below the head of a lane. A place is judged once, by what is known of the log then:
 * the first offset that is left, the lane's position, and what the ring holds.
 *
 *       first          ring.from             position
 *         |--- the log ---|------ the ring ------|
 *    lost | scan          | the ring             | live, or in doubt beyond
 *
 * The invariant of all that follows: a place is offered every record from place->next on, once,
 * or it is lost and its client is told so. Nothing is skipped silently. */
#include "catch_up.h"

#include "conflation.h"
#include "lane.h"
#include "membership.h"

enum {
    LOOKS_A_TURN = 1 << 16, /* at rings, by all sessions together: see ring_skip() */
    DOUBT_RETRY_MS = 500,
};

/* --- where a session stands ----------------------------------------------------------------- */

/* Either this gateway is behind others, or the log was cut: the broker's end tells. It is asked
 * once for all that are in doubt about the lane. */
static void doubt(struct place *place)
{
    struct lane *lane = place->lane;
    struct hub *hub = lane->hub;
    place_doubt(place);
    if (lane->in_doubt)
        return;
    lane->in_doubt = true;
    lane->doubt_until_ms = hub->now_ms + hub->config.truncation_confirm_ms;
    lane->doubt_due_ms = INT64_MAX;
    DL_APPEND2(hub->doubtful, lane, doubt_prev, doubt_next);
    hub->source_ops->ends(hub->source, lane);
}

static void doubt_no_more(struct lane *lane)
{
    assert(lane->in_doubt && lane->hub->doubtful);
    lane->in_doubt = false;
    DL_DELETE2(lane->hub->doubtful, lane, doubt_prev, doubt_next);
}

/* What waits for it to be at the head may have come to its end. */
static void go_live(struct place *place)
{
    place_go_live(place);
    history_search_caught_up(place);
}

/* Whether the ring's record there is the one that the cursor named. */
static bool is_same_in_ring(const struct place *place)
{
    assert(place->check && place->next > 0);
    const struct message *message = ring_get(&place->lane->ring, place->next - 1);
    return message && message->check == place->check;
}

void catch_up_start(struct place *place)
{
    assert(place->lane->open && place->state != PLACE_LIVE && !place->reader.reading);
    struct lane *lane = place->lane;
    session_places_changed(place->session);
    if (place->next > lane->position) {
        doubt(place);
        return;
    }
    if (place->next < lane->first) {
        place_lose(place, PLACE_RETENTION);
        return;
    }
    uint64_t owed = lane_bytes_of(lane, lane->position - place->next);
    /* The horizon is a limit of what may be read back for one client, so it does not count for
     * what the ring has. */
    if (owed > lane->hub->config.catch_up_bytes && place->next < lane->ring.from) {
        place_lose(place, PLACE_TOO_FAR);
        return;
    }
    if (place->check && place->next - 1 >= lane->ring.from && !is_same_in_ring(place)) {
        place_lose(place, PLACE_RECREATED);
        return;
    }
    /* The ring has just shown that it is the same; or retention has just removed the record, while
     * its successor is still there. */
    if (place->check && (place->next - 1 >= lane->ring.from || place->next - 1 < lane->first))
        place_verified(place);
    if (place->check || place->next < lane->ring.from) {
        place_await_scan(place);
        scan_want(lane);
    } else if (place->next >= lane->position) {
        go_live(place);
    } else {
        place_read_ring(place);
        session_wake(place->session);
    }
}

/* The broker's end shows whether the cursor is ahead of this gateway, or beyond the log. */
static void judge_by_end(struct place *place, int64_t end)
{
    struct lane *lane = place->lane;
    place_doubt_no_more(place);
    session_places_changed(place->session);
    if (place->next > end)
        place_lose(place, PLACE_TRUNCATED);
    else if (place->next <= lane->position) /* this gateway has come up meanwhile */
        catch_up_start(place);
    else if (place->check) /* judged when the record before it has arrived here */
        place_wait_ahead(place);
    else
        go_live(place); /* what lies below the cursor is skipped as it arrives */
}

void catch_up_ends(struct lane *lane, int64_t first, int64_t end)
{
    struct hub *hub = lane->hub;
    struct place *place, *next;
    lane->first = first;
    /* A broker that has just become leader may not know yet how far its log is replicated: its end
     * counts against a cursor only after a while. */
    bool believed = hub->now_ms >= lane->doubt_until_ms, left = false;
    DL_FOREACH_SAFE2(lane->doubtful_places, place, next, list_next) {
        hub->stats.steps++;
        if (place->next > end && !believed)
            left = true;
        else
            judge_by_end(place, end);
    }
    if (left)
        lane->doubt_due_ms = hub->now_ms + DOUBT_RETRY_MS;
    else if (lane->in_doubt)
        doubt_no_more(lane);
}

void catch_up_arrived(struct lane *lane)
{
    struct place *place;
    while ((place = place_take_arrived(lane))) {
        lane->hub->stats.steps++;
        catch_up_start(place);
    }
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
        place_advance(place, message->offset + 1);
        place_give(place, message);
    }
    return to;
}

/* One message at a time, and only when the session's queue is empty: what is behind needs no
 * memory, since its place says where it goes on. Looks are limited in each turn, over all
 * sessions, so that thousands of them that come back do not keep the loop from those at the
 * head. */
static struct message *next_from_ring(struct place *place)
{
    assert(place->next >= place->lane->ring.from && !place->check);
    struct lane *lane = place->lane;
    struct session *session = place->session;
    size_t index = ring_find(&lane->ring, place->next);
    for (; (index = pass_over_in_ring(place, index)) < lane->ring.count; index++) {
        if (lane->hub->looks_left == 0) {
            session_wake_again(session); /* goes on in the next turn */
            return NULL;
        }
        lane->hub->looks_left--;
        struct message *message = ring_at(&lane->ring, index);
        place_advance(place, message->offset + 1);
        /* Decoded here only to see whether it is wanted: the next session asks the same. */
        bool decoded = message->notification != NULL;
        bool wanted = wanted_by(session, lane, message);
        if (!decoded)
            decoded_keep(&lane->hub->decoded, message);
        if (wanted && !conflation_skips(place, message))
            return message_ref(message);
        lane->hub->stats.conflated += wanted;
        place_give(place, message);
    }
    go_live(place);
    return NULL;
}

/* Lanes are served in the order of the cursor, the first with something to give first. That is
 * fair enough, since a session is asked again until all of them are live. */
struct message *catch_up_next(struct session *session)
{
    assert(session->queue.count == 0);
    for (unsigned i = 0; i < session->place_count; i++) {
        struct place *place = session_places(session)[i];
        if (place->state == PLACE_SCANNING && !place->reader.reading)
            scan_want(place->lane);
        if (place->state != PLACE_BEHIND)
            continue;
        /* The ring has moved on while the client did not read. */
        if (place->next < place->lane->ring.from) {
            place_await_scan(place);
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
    if (lane->in_doubt)
        doubt_no_more(lane);
}

void catch_up_turn(struct hub *hub)
{
    hub->looks_left = LOOKS_A_TURN;
}

void catch_up_run(struct hub *hub)
{
    struct lane *lane, *next;
    DL_FOREACH_SAFE2(hub->doubtful, lane, next, doubt_next)
        if (hub->now_ms >= lane->doubt_due_ms) {
            lane->doubt_due_ms = INT64_MAX;
            hub->source_ops->ends(hub->source, lane);
        }
}

int64_t catch_up_deadline(const struct hub *hub)
{
    const struct lane *lane;
    int64_t deadline = INT64_MAX;
    DL_FOREACH2(hub->doubtful, lane, doubt_next)
        if (lane->doubt_due_ms < deadline)
            deadline = lane->doubt_due_ms;
    return deadline;
}
