/* Collects what a join asks for of a room's past (the header says how that fits into the
 * stream).
 *
 *      low          next                      until: the session's place
 *       |--- looked through ---|--- yet to be looked at ---|
 *       ^ as far back as `span` allows
 *
 * It begins a short way back, since most clients want the last few, and looks further in steps
 * if that was not enough. Each step reads everything anew from its beginning: a history is a
 * list from one offset to another, and pieces put together would have to be compared.
 *
 * In the ring, only messages whose bits name the room are touched. Before the ring, it reads
 * along with the lane's scan, so that however many join at once, the broker is asked once. */
#include "history_search_private.h"

#include <stddef.h>
#include <stdlib.h>

#include "hub_state.h"
#include "joins.h"
#include "lane.h"
#include "mem.h"
#include "membership.h"
#include "narrow.h"
#include "scan.h"

enum {
    LOOKS_A_TURN = 1 << 18, /* records of rings that all searches together look at in one turn */
    BYTES_A_LOOK = 16,      /* of what is decoded, so many bytes are a look more */
    FIRST_STEP = 16,        /* the first look goes so many times less far than is allowed */
};

/* --- what is found ---------------------------------------------------------------------------- */

/* One of the room. Only the last of them are kept: how many there will be is not known before
 * the end of the search. */
void search_keep(struct history_search *search, struct message *message)
{
    assert(search->last > 0);
    /* Not wanted. But if the limit of age is what cut it off, the client is to know that there
     * was more. */
    struct history *history = search->history;
    if (message->timestamp_ms < search->since_ms && !search->folding) {
        if (search->since_bound && (!history->is_state || message->notification->item.key.size))
            search->cut = true;
        return;
    }
    /* A state is all from one place on: were one left out in the middle, for a clock that goes
     * wrong, what it has changed or taken out would be shown as it was before. */
    search->folding = history->is_state;
    history_add(history, message);
    if (history_count(history) > search->last) {
        history_drop_oldest(history);
        search->overflowed = true;
    }
    enum history_limit limit;
    while (history_count(history) && (limit = history_limit_of(history)) != HISTORY_FITS) {
        search->hub->stats.histories_cut[limit] += !search->too_large;
        history_drop_oldest(history);
        search->cut = search->too_large = true;
    }
}

/* Whether what was found is all that was asked for. */
static bool found_all(const struct history_search *search)
{
    if (history_count(search->history) == search->last && !search->last_bound)
        return true;
    if (search->cut || search->overflowed)
        return false;
    /* From the log's beginning there is nothing more. And when a message older than asked for
     * was seen, what lies before it is older too, as far as HISTORY_SKEW_MS goes. */
    return search->low == 0 || (search->reached && !search->since_bound);
}

/* --- its life --------------------------------------------------------------------------------- */

static void leave_list(struct history_search *search)
{
    struct lane *lane = search->lane;
    if (search->state == SEARCH_READY)
        DL_DELETE2(search->hub->searches, search, ready_prev, ready_next);
    if (search->state == SEARCH_VIEW)
        DL_DELETE2(lane->searches.for_view, search, ready_prev, ready_next);
    if (search->state == SEARCH_AHEAD)
        waits_remove(&lane->searches.ahead, &search->ahead);
}

void search_move(struct history_search *search, enum search_state state)
{
    assert(search->state <= SEARCH_BEHIND && !search->reading);
    struct hub *hub = search->hub;
    leave_list(search);
    search->state = narrow_8(state);
    if (state == SEARCH_READY)
        DL_APPEND2(hub->searches, search, ready_prev, ready_next);
    if (state == SEARCH_VIEW)
        DL_APPEND2(search->lane->searches.for_view, search, ready_prev, ready_next);
}

void history_search_new(struct pending_request *pending, struct room *room,
                        const struct history_request *request, int64_t wall_ms)
{
    assert(pending->place->lane == room->lane && !pending->search);
    struct hub *hub = pending->session->hub;
    const struct history_limits *limits = &hub->config.history;
    struct history_search *search = mem_new(struct history_search);
    int64_t oldest_ms = limits->age_ms < wall_ms ? wall_ms - limits->age_ms : INT64_MIN;
    search->hub = hub;
    search->session = pending->session;
    search->lane = room->lane;
    search->history = history_new(hub, search->session, room->lane->id, request->state);
    search->room = room;
    search->pending = pending;
    search->asked_ms = wall_ms;
    search->began_ms = hub->now_ms;
    uint32_t most = request->state ? hub->config.state.items : limits->messages;
    search->last_bound = request->last == 0 || request->last > most;
    search->last = search->last_bound ? most : request->last;
    search->since_bound = request->since_ms < oldest_ms;
    search->since_ms = search->since_bound ? oldest_ms : request->since_ms;
    search->span = limits->bytes / FIRST_STEP;
    DL_APPEND2(search->lane->searches.all, search, lane_prev, lane_next);
    DL_APPEND2(room->searches, search, room_prev, room_next);
    hub->stats.histories += !request->state;
    hub->stats.states += request->state;
    hub->stats.histories_waiting++;
    joins_set_search(pending, search);
}

void history_search_start(struct history_search *search)
{
    if (search->state == SEARCH_OPENING)
        search_move(search, SEARCH_READY);
}

void search_leave_scan(struct history_search *search)
{
    struct history_searches *searches = &search->lane->searches;
    if (!search->reading)
        return;
    assert(searches->readers > 0);
    if (!search->first_seen && search->first_index >= searches->first_at &&
        searches->first_count > 0) {
        assert(searches->firsts[search->first_index] == search);
        searches->firsts[search->first_index] = NULL;
    }
    search->reading = false;
    searches->readers--;
}

void history_search_free(struct history_search *search)
{
    if (!search)
        return;
    search_leave_scan(search);
    leave_list(search);
    DL_DELETE2(search->lane->searches.all, search, lane_prev, lane_next);
    DL_DELETE2(search->room->searches, search, room_prev, room_next);
    assert(search->hub->stats.histories_waiting > 0);
    search->hub->stats.histories_waiting--;
    history_free(search->history);
    free(search);
}

/* Of a state: all items that have changed since then were looked at, as exactly as the clocks of
 * those who wrote it. */
static int64_t looked_since(const struct history_search *search)
{
    int64_t since_ms = search->since_ms;
    int64_t first_ms = search->first_seen ? search->first_ms : search_wall_ms(search);
    /* Of the same millisecond there may be others before it. */
    return search->low > 0 && first_ms >= since_ms ? history_after_ms(first_ms) : since_ms;
}

/* In one step, so that nothing comes between: the history ends at the session's place, the room is
 * live from there, and the join is confirmed behind the history. */
static void search_give(struct history_search *search)
{
    assert(search->pending->search == search && !search->reading && search->history->whole);
    struct hub *hub = search->hub;
    struct pending_request *pending = search->pending;
    struct history *history = search->history;
    if (history->is_state)
        hub->stats.states_incomplete += !history->complete;
    else
        hub->stats.histories_incomplete += !history->complete;
    session_room_live(search->session, search->room);
    search->history = NULL;
    joins_set_search(pending, NULL);
    history_search_free(search);
    joins_confirm(pending, history);
}

void search_finish(struct history_search *search, struct position end)
{
    bool complete = found_all(search);
    history_set_whole(search->history, end, complete, complete ? INT64_MIN : looked_since(search));
    search_give(search);
}

/* --- collecting ------------------------------------------------------------------------------- */

/* The client has seen more than this gateway: its cursor came from one that is ahead. */
static void wait_ahead(struct history_search *search, int64_t until)
{
    search_move(search, SEARCH_AHEAD);
    waits_add(&search->lane->searches.ahead, &search->ahead, until);
}

static bool is_older(const struct history_search *search, const struct message *message)
{
    return search->since_ms != INT64_MIN &&
           message->timestamp_ms < search->since_ms - HISTORY_SKEW_MS;
}

/* The first that is looked at is older than what was asked for: then what lies before it is too. */
void search_look_at_first(struct history_search *search, const struct message *message)
{
    if (search->first_seen)
        return;
    search->first_seen = true;
    search->first_ms = message->timestamp_ms;
    search->reached = search->reached || is_older(search, message);
}

static bool is_of_room(const struct room *room, struct message *message)
{
    /* The hash is only a filter: names decide. */
    for (unsigned i = 0; i < message->room_count; i++)
        if (message->room_hashes[i] == room->hash)
            return message_names_room(message, room_scope_of(room), room_name_of(room));
    return false;
}

/* Whether the ring, below `until`, has all that was asked for; `next` is then where that begins. */
static bool is_in_ring(struct history_search *search, int64_t until, size_t *looks)
{
    const struct ring *ring = &search->lane->ring;
    struct room_filter filter = {0};
    room_filter_add(&filter, search->room->hash);
    size_t index = ring_find(ring, until);
    uint32_t found = 0;
    while (found < search->last && (index = ring_skip_back(ring, index, &filter)) > 0) {
        struct message *message = ring_at(ring, --index);
        if (is_older(search, message))
            break;
        bool decoded = message->notification != NULL;
        /* Backwards, until there are enough: from where they begin, they are then collected
         * forwards as from anywhere else. */
        found += message->timestamp_ms >= search->since_ms && is_of_room(search->room, message);
        if (!decoded)
            message_forget_decoded(message);
    }
    search_spend(looks, ring_find(ring, until) - index);
    if (found == search->last) {
        search->next = ring_at(ring, index)->offset;
        search->overflowed = search->last_bound; /* maybe: it is not looked for more */
        return true;
    }
    search->next = ring->from;
    search->reached = index < ring->count && is_older(search, ring_at(ring, index));
    return search->reached;
}

/* How many messages of a room make its items is not known before they are folded: all of the ring
 * is looked through, and that is enough if it begins before what may be asked for. */
static bool state_is_in_ring(struct history_search *search)
{
    const struct ring *ring = &search->lane->ring;
    search->next = ring->from;
    search->reached = ring->count > 0 && is_older(search, ring_at(ring, 0));
    return search->reached;
}

/* Where to look from, as far as the span goes. */
static void search_begin(struct history_search *search, int64_t until, size_t *looks)
{
    assert(until >= 0 && !search->reading);
    const struct lane *lane = search->lane;
    /* Bytes are what reading costs, offsets are what can be asked for: the lane's mean size of a
     * record makes one of the other. Where that was wrong by far, the scan notices (scan.c). */
    uint64_t records = search->span / (lane->record_bytes ? lane->record_bytes : 1) + 1;
    history_clear(search->history);
    search->begun = true;
    search->first_seen = search->reached = search->overflowed = search->cut = false;
    search->folding = false;
    search->low = records < (uint64_t)until ? until - (int64_t)records : 0;
    if (search->low < lane->first)
        search->low = lane->first < until ? lane->first : until;
    if (lane->ring.from < until &&
        (search->history->is_state ? state_is_in_ring(search) : is_in_ring(search, until, looks))) {
        search->low = search->next;
        return;
    }
    if (lane->ring.from < search->low) /* it costs nothing to look through the whole of it */
        search->low = lane->ring.from;
    search->next = search->low;
}

/* Retention has come past it. What was found lies before a gap. */
static void lose_found(struct history_search *search)
{
    assert(search->next < search->lane->first);
    history_clear(search->history);
    search->reached = search->first_seen = search->folding = false;
    search->low = search->next = search->lane->first;
}

/* From `next` towards `until`, up to which the ring has all, as far as this turn allows. */
static void look_through_ring(struct history_search *search, int64_t until, size_t *looks)
{
    assert(search->next >= search->lane->ring.from && until <= search->lane->position);
    const struct ring *ring = &search->lane->ring;
    struct room_filter filter = {0};
    room_filter_add(&filter, search->room->hash);
    size_t index = ring_find(ring, search->next), end = ring_find(ring, until);
    if (index < end)
        search_look_at_first(search, ring_at(ring, index));
    while (*looks && (index = ring_skip(ring, index, end, &filter, looks)) < end) {
        struct message *message = ring_at(ring, index++);
        bool decoded = message->notification != NULL;
        if (is_of_room(search->room, message))
            search_keep(search, message);
        if (!decoded)
            message_forget_decoded(message);
        search_spend(looks, LOOKS_TO_DECODE + message_record_bytes(message) / BYTES_A_LOOK);
    }
    search->next = index < end ? ring_at(ring, index)->offset : until;
}

bool search_look_further(struct history_search *search)
{
    uint64_t most = search->hub->config.history.bytes;
    /* It has all it may have, or there is nothing more, or it has learnt that it reads too much. */
    if (search->shrinks || search->reached || search->span >= most || search->overflowed ||
        search->too_large || history_count(search->history) == search->last ||
        search->low <= search->lane->first)
        return false;
    search->span = search->span < most / NEXT_STEP ? search->span * NEXT_STEP : most;
    search->begun = false;
    return true;
}

static void search_look(struct history_search *search, size_t *looks)
{
    assert(search->state == SEARCH_READY);
    struct lane *lane = search->lane;
    const struct place *place = search->pending->place;
    int64_t until = place_reach(place);
    enum search_state state = SEARCH_READY;
    if (search_of_view(search, &state, looks)) {
        if (state == SEARCH_READY)
            search_give(search);
        else if (state == SEARCH_AHEAD)
            wait_ahead(search, until);
        else
            search_move(search, state);
        return;
    }
    do {
        if (!search->begun)
            search_begin(search, until, looks);
        /* The ring may hold what the broker has removed already. */
        if (search->next < lane->first && search->next < lane->ring.from)
            lose_found(search);
        if (search->next < until && search->next < lane->ring.from) {
            search_move(search, SEARCH_SCAN);
            scan_want(lane);
            return;
        }
        int64_t read = until < lane->position ? until : lane->position;
        if (search->next < read)
            look_through_ring(search, read, looks);
        if (search->next < read)
            return;                 /* and goes on in the next turn */
        if (search->next < until) { /* the rest of it is still to arrive here */
            wait_ahead(search, until);
            return;
        }
    } while (search_look_further(search));
    search_finish(search, place_reached(place));
}

void history_search_run(struct hub *hub)
{
    size_t looks = LOOKS_A_TURN;
    while (hub->searches && looks)
        search_look(hub->searches, &looks);
}

void history_search_arrived(struct lane *lane)
{
    struct waiter *wait;
    while ((wait = waits_take(&lane->searches.ahead, lane->position))) {
        lane->hub->stats.steps++;
        search_move(
            (struct history_search *)((char *)wait - offsetof(struct history_search, ahead)),
            SEARCH_READY);
    }
}

/* Each asks for the view again. */
void history_search_view_settled(struct lane *lane)
{
    struct history_search *search, *next;
    DL_FOREACH_SAFE2(lane->searches.for_view, search, next, ready_next) {
        lane->hub->stats.steps++;
        search_move(search, SEARCH_READY);
    }
}

void history_search_caught_up(const struct place *place)
{
    struct pending_request *pending;
    assert(place->state == PLACE_LIVE);
    DL_FOREACH2(place->joins, pending, place_next)
        if (pending->search && pending->search->state == SEARCH_BEHIND)
            search_move(pending->search, SEARCH_READY);
}
