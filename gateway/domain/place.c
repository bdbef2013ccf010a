/* The only writer of a place. What has happened is said by the callers' choice of function;
 * which change of state that is, and what must be true for it, stands here. */
#include "place.h"

#include <stddef.h>

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"
#include "scan.h"

/* From each state, to which. A place that is live falls behind before it reads back; one that is
 * lost is freed. */
static const bool allowed[PLACE_STATES][PLACE_STATES] = {
    [PLACE_OPENING] = {[PLACE_OPENING] = true,
                       [PLACE_LIVE] = true,
                       [PLACE_BEHIND] = true,
                       [PLACE_SCANNING] = true,
                       [PLACE_LOST] = true},
    [PLACE_LIVE] = {[PLACE_OPENING] = true, [PLACE_BEHIND] = true},
    [PLACE_BEHIND] = {[PLACE_OPENING] = true, [PLACE_LIVE] = true, [PLACE_SCANNING] = true},
    [PLACE_SCANNING] =
        {[PLACE_LIVE] = true, [PLACE_BEHIND] = true, [PLACE_SCANNING] = true, [PLACE_LOST] = true},
};

static bool is_behind(enum place_state state)
{
    return state == PLACE_BEHIND || state == PLACE_SCANNING;
}

/* A session is behind in one lane or in several. */
static void count_behind(struct session *session, bool was, bool is)
{
    assert(!was || session->places_behind > 0);
    bool counted = session->places_behind > 0;
    if (is && !was)
        session->places_behind++;
    if (was && !is)
        session->places_behind--;
    session->hub->stats.sessions_behind += session->places_behind > 0;
    session->hub->stats.sessions_behind -= counted;
}

static void move_to(struct place *place, enum place_state state)
{
    assert(place->state < PLACE_STATES && allowed[place->state][state]);
    assert(!place->doubtful && !place->is_ahead); /* whoever moved it has judged it */
    if (place->state == state)
        return;
    if (place->state == PLACE_SCANNING)
        scan_remove(place);
    count_behind(place->session, is_behind((enum place_state)place->state), is_behind(state));
    place->state = narrow_8(state);
    if (state == PLACE_SCANNING)
        scan_add(place);
}

/* --- its life ------------------------------------------------------------------------------- */

struct place *place_new(struct lane *lane, struct session *session, uint32_t queued)
{
    struct place *place = mem_new(struct place);
    place->lane = lane;
    place->session = session;
    place->state = lane->open ? PLACE_LIVE : PLACE_OPENING;
    place->next = lane->position;
    place->given = lane->head;
    /* Of its last stay in the lane some may still be queued: until they are given, its cursor
     * stays before them. */
    place->queued = queued;
    DL_APPEND2(lane->places, place, prev, next_in_lane);
    lane->place_count++;
    return place;
}

static void wait_no_more(struct place *place)
{
    if (!place->is_ahead)
        return;
    waits_remove(&place->lane->places_ahead, &place->ahead);
    place->is_ahead = false;
}

/* It waits for nothing any more. The caller sees to it that no join asks for it: joins are
 * answered. */
void place_free(struct place *place)
{
    assert(place->room_count == 0 && !place->joins && place->lane->place_count > 0);
    struct lane *lane = place->lane;
    if (place->doubtful)
        place_doubt_no_more(place);
    wait_no_more(place);
    if (place->state == PLACE_SCANNING)
        scan_remove(place);
    assert(!place->reader.reading);
    count_behind(place->session, is_behind((enum place_state)place->state), false);
    DL_DELETE2(lane->places, place, prev, next_in_lane);
    lane->place_count--;
    free(place);
}

/* --- where it begins ------------------------------------------------------------------------ */

void place_resume(struct place *place, struct position position)
{
    assert(position.next >= 0 && place->queued == 0);
    /* Of an open lane, a new place is live; this one is not until its cursor has been judged. */
    move_to(place, PLACE_OPENING);
    place->next = position.next;
    place->given = position;
    place->check = position.next > 0 ? position.check : 0; /* nothing lies before the first */
}

void place_open(struct place *place)
{
    assert(place->state == PLACE_OPENING && place->lane->open && !place->check);
    move_to(place, PLACE_LIVE);
    place->next = place->lane->position;
    place->given = place->lane->head;
}

/* Of a session that its client has not heard of: nothing was given, so nothing can be missed. */
void place_reopen(struct place *place)
{
    assert(place->queued == 0 && !place->lane->open);
    if (place->doubtful)
        place_doubt_no_more(place);
    wait_no_more(place);
    if (place->state != PLACE_OPENING)
        move_to(place, PLACE_OPENING);
}

void place_verified(struct place *place)
{
    assert(place->check);
    place->check = 0;
}

void place_doubt(struct place *place)
{
    assert(place->state == PLACE_OPENING && !place->is_ahead);
    assert(place->next > place->lane->position);
    if (place->doubtful)
        return;
    place->doubtful = true;
    DL_APPEND2(place->lane->doubtful_places, place, list_prev, list_next);
}

void place_doubt_no_more(struct place *place)
{
    assert(place->doubtful && place->state == PLACE_OPENING);
    place->doubtful = false;
    DL_DELETE2(place->lane->doubtful_places, place, list_prev, list_next);
}

void place_wait_ahead(struct place *place)
{
    assert(place->state == PLACE_OPENING && place->check && !place->doubtful && !place->is_ahead);
    place->is_ahead = true;
    place->ahead = (struct waiter){0};
    waits_add(&place->lane->places_ahead, &place->ahead, place->next);
}

struct place *place_take_arrived(struct lane *lane)
{
    struct waiter *ahead = waits_take(&lane->places_ahead, lane->position);
    if (!ahead)
        return NULL;
    struct place *place = (struct place *)((char *)ahead - offsetof(struct place, ahead));
    assert(place->state == PLACE_OPENING && place->lane == lane && place->is_ahead);
    place->is_ahead = false;
    return place;
}

/* --- how it gets on ------------------------------------------------------------------------- */

/* Also from a cursor ahead of this gateway: what lies below it is skipped as it arrives. */
void place_go_live(struct place *place)
{
    assert(!place->check);
    move_to(place, PLACE_LIVE);
    /* What lies below `live_from` it may have missed, so conflation counts there. */
    if (place->next < place->lane->position)
        place->next = place->lane->position;
    place->live_from = place->next;
}

void place_fall_behind(struct place *place, int64_t offset)
{
    assert(place->state == PLACE_LIVE && offset >= place->next);
    move_to(place, PLACE_BEHIND);
    place->next = offset;
}

void place_read_ring(struct place *place)
{
    assert(place->next >= place->lane->ring.from && !place->check);
    move_to(place, PLACE_BEHIND);
}

void place_await_scan(struct place *place)
{
    /* With a check, it is the record before `next` that is read first. */
    assert(place->check || place->next < place->lane->ring.from);
    move_to(place, PLACE_SCANNING);
}

void place_lose(struct place *place, enum place_loss loss)
{
    assert(loss <= PLACE_TRUNCATED);
    move_to(place, PLACE_LOST);
    place->loss = narrow_8(loss);
}

const char *place_loss_text(const struct place *place)
{
    static const char *const texts[] = {[PLACE_RETENTION] = "retention",
                                        [PLACE_TOO_FAR] = "too_far",
                                        [PLACE_RECREATED] = "recreated",
                                        [PLACE_TRUNCATED] = "truncated"};
    assert(place->state == PLACE_LOST);
    return texts[place->loss];
}

void place_advance(struct place *place, int64_t offset)
{
    assert(!place->check && place->state != PLACE_OPENING && place->state != PLACE_LOST);
    if (place->next < offset)
        place->next = offset;
}

void place_queue_cleared(struct place *place)
{
    place->queued = 0;
}

/* A session that was in the lane before may be further on already: then its place stays. */
void place_give_history(struct place *place, struct position end)
{
    /* A history was asked for in an open lane, and whoever is lost is told nothing more. */
    assert(place->state != PLACE_OPENING && place->state != PLACE_LOST);
    if (place->given.next < end.next)
        place->given = end;
}

/* --- what cursors say of it ----------------------------------------------------------------- */

/* The only answer to "where is this client?": cursors, migration and the slow walk ask here. */
struct position place_position(const struct place *place)
{
    assert(place->given.next >= 0);
    if (place->queued || place->state != PLACE_LIVE)
        return place->given;
    /* Nothing is owed: the session is as far as the lane, or further if its cursor was ahead of
     * this gateway. */
    return place->given.next > place->lane->position ? place->given : place->lane->head;
}

int64_t place_reach(const struct place *place)
{
    const struct lane *lane = place->lane;
    int64_t reach = place->next;
    if (place->state == PLACE_LIVE && lane->position > reach)
        reach = lane->position;
    /* Of a scan it has been offered all that was read, whether or not a record was for it. */
    if (place->reader.reading && !place->check && lane->scan.next > reach)
        reach = lane->scan.next;
    assert(reach >= place->next);
    return reach;
}

struct position place_reached(const struct place *place)
{
    const struct lane *lane = place->lane;
    int64_t reach = place_reach(place);
    size_t index = ring_find(&lane->ring, reach);
    if (place->state == PLACE_LIVE && lane->head.next <= reach)
        return lane->head;
    if (index > 0)
        return (struct position){ring_at(&lane->ring, index - 1)->offset + 1,
                                 ring_at(&lane->ring, index - 1)->check};
    return (struct position){.next = reach};
}

/* --- for membership.c ----------------------------------------------------------------------- */

void place_add_room(struct place *place)
{
    assert(place->state != PLACE_LOST);
    place->room_count++;
}

bool place_drop_room(struct place *place)
{
    assert(place->room_count > 0);
    return --place->room_count > 0;
}

void place_set_ordered(struct place *place, bool ordered)
{
    assert(place->room_count > 0); /* else it would stand in no cursor */
    place->ordered = ordered;
}
