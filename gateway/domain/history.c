#include "history.h"

#include <stddef.h>
#include <stdlib.h>

#include "mem.h"
#include "narrow.h"

enum {
    LOOKS_A_TURN = 1 << 18, /* records of rings that all histories together look at in one turn */
    FIRST_STEP = 16,        /* the first look goes so many times less far than is allowed */
    NEXT_STEP = 4,
    SHARE = 8, /* one history holds at most this part of what all may */
};

/* --- the list --------------------------------------------------------------------------------- */

static struct message *history_shift(struct history *history)
{
    assert(history->count > 0 && history->count <= history->capacity);
    struct message *message = history->messages[history->start];
    size_t bytes = message_record_bytes(message);
    history->start = (history->start + 1) & (history->capacity - 1);
    history->count--;
    assert(history->bytes >= bytes && history->hub->stats.history_bytes >= bytes);
    history->bytes -= bytes;
    history->hub->stats.history_bytes -= bytes;
    return message;
}

static void history_clear(struct history *history)
{
    while (history->count)
        message_unref(history_shift(history));
}

static void history_grow(struct history *history)
{
    uint32_t capacity = history->capacity ? 2 * history->capacity : 8;
    struct message **messages = mem_alloc(capacity * sizeof(struct message *));
    for (uint32_t i = 0; i < history->count; i++)
        messages[i] = history->messages[(history->start + i) & (history->capacity - 1)];
    free(history->messages);
    history->messages = messages;
    history->capacity = capacity;
    history->start = 0;
}

static void history_push(struct history *history, struct message *message)
{
    assert(!message->fault && history->state != HISTORY_WHOLE);
    size_t bytes = message_record_bytes(message);
    if (history->count == history->capacity)
        history_grow(history);
    history->messages[(history->start + history->count++) & (history->capacity - 1)] =
        message_ref(message);
    history->bytes += bytes;
    history->hub->stats.history_bytes += bytes;
}

static bool holds_too_much(const struct history *history)
{
    const struct hub *hub = history->hub;
    return history->bytes > hub->config.history.buffered / SHARE ||
           hub->stats.history_bytes > hub->config.history.buffered;
}

/* One of the room. */
static void history_keep(struct history *history, struct message *message)
{
    assert(history->last > 0);
    if (message->timestamp_ms < history->since_ms) {
        history->cut = history->cut || history->since_bound;
        return;
    }
    history_push(history, message);
    if (history->count > history->last) {
        message_unref(history_shift(history));
        history->overflowed = true;
    }
    while (history->count && holds_too_much(history)) {
        message_unref(history_shift(history));
        history->cut = true;
    }
}

bool history_is_complete(const struct history *history)
{
    if (history->found == history->last && !history->last_bound)
        return true;
    if (history->cut || history->overflowed)
        return false;
    return history->low == 0 || (history->reached && !history->since_bound);
}

struct message *history_take(struct history *history)
{
    return history->count ? history_shift(history) : NULL;
}

/* --- its life --------------------------------------------------------------------------------- */

static void history_move(struct history *history, enum history_state state)
{
    assert(history->state != HISTORY_WHOLE);
    struct hub *hub = history->hub;
    if (history->state == HISTORY_READY)
        DL_DELETE2(hub->histories, history, prev, next_ready);
    if (history->state == HISTORY_AHEAD)
        waits_remove(&history->lane->histories_ahead, &history->ahead);
    history->state = narrow_8(state);
    if (state == HISTORY_READY)
        DL_APPEND2(hub->histories, history, prev, next_ready);
}

void history_ask(struct pending_request *pending, struct room *room,
                 const struct history_request *request, int64_t wall_ms)
{
    assert(pending->lane == room->lane && !pending->history);
    struct hub *hub = pending->session->hub;
    const struct history_limits *limits = &hub->config.history;
    struct history *history = mem_new(struct history);
    int64_t oldest_ms = limits->age_ms < wall_ms ? wall_ms - limits->age_ms : INT64_MIN;
    history->hub = hub;
    history->session = pending->session;
    history->lane = pending->lane;
    history->lane_id = pending->lane->id;
    history->room = room;
    history->pending = pending;
    history->last_bound = request->last == 0 || request->last > limits->messages;
    history->last = history->last_bound ? limits->messages : request->last;
    history->since_bound = request->since_ms < oldest_ms;
    history->since_ms = history->since_bound ? oldest_ms : request->since_ms;
    history->span = limits->bytes / FIRST_STEP;
    DL_APPEND2(history->lane->histories, history, lane_prev, lane_next);
    DL_APPEND2(room->histories, history, room_prev, room_next);
    hub->stats.histories++;
    hub->stats.histories_waiting++;
    pending->history = history;
}

void history_start(struct history *history)
{
    if (history->state == HISTORY_OPENING)
        history_move(history, HISTORY_READY);
}

static void get_off(struct history *history)
{
    struct lane_scan *scan = &history->lane->scan;
    if (!history->reading)
        return;
    assert(scan->history_readers > 0);
    if (!history->first_seen && history->first_index >= scan->first_at && scan->first_count > 0) {
        assert(scan->firsts[history->first_index] == history);
        scan->firsts[history->first_index] = NULL;
    }
    history->reading = false;
    scan->history_readers--;
}

/* It is whole, or given up. */
static void collect_no_more(struct history *history)
{
    if (history->state == HISTORY_WHOLE)
        return;
    get_off(history);
    history_move(history, HISTORY_WHOLE);
    DL_DELETE2(history->lane->histories, history, lane_prev, lane_next);
    DL_DELETE2(history->room->histories, history, room_prev, room_next);
    history->hub->stats.histories_waiting--;
    history->lane = NULL;
    history->room = NULL;
    history->pending = NULL;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    collect_no_more(history);
    history_clear(history);
    free(history->messages);
    free(history);
}

/* `end`: the session's place. */
static void history_finish(struct history *history, struct position end)
{
    assert(history->pending && history->pending->history == history);
    struct hub *hub = history->hub;
    struct pending_request *pending = history->pending;
    history->end = end;
    history->found = history->count;
    hub->stats.histories_incomplete += !history_is_complete(history);
    session_room_live(history->session, history->room);
    collect_no_more(history);
    session_answer_join(pending);
}

/* --- collecting ------------------------------------------------------------------------------- */

static bool is_older(const struct history *history, const struct message *message)
{
    return history->since_ms != INT64_MIN &&
           message->timestamp_ms < history->since_ms - HISTORY_SKEW_MS;
}

/* The first that is looked at is older than what was asked for: then what lies before it is too. */
static void look_at_first(struct history *history, const struct message *message)
{
    if (history->first_seen)
        return;
    history->first_seen = true;
    history->reached = history->reached || is_older(history, message);
}

static bool is_of_room(const struct room *room, struct message *message)
{
    for (unsigned i = 0; i < message->room_count; i++)
        if (message->room_hashes[i] == room->hash)
            return message_names_room(message, room_scope_of(room), room_name_of(room));
    return false;
}

static void history_spend(size_t *looks, size_t count)
{
    *looks -= *looks < count ? *looks : count;
}

/* Whether the ring, below `until`, has all that was asked for; `next` is then where that begins. */
static bool is_in_ring(struct history *history, int64_t until, size_t *looks)
{
    const struct ring *ring = &history->lane->ring;
    struct room_filter filter = {0};
    room_filter_add(&filter, history->room->hash);
    size_t index = ring_find(ring, until);
    uint32_t found = 0;
    while (found < history->last && (index = ring_skip_back(ring, index, &filter)) > 0) {
        struct message *message = ring_at(ring, --index);
        if (is_older(history, message))
            break;
        bool decoded = message->notification != NULL;
        found += message->timestamp_ms >= history->since_ms && is_of_room(history->room, message);
        if (!decoded)
            message_forget_decoded(message);
    }
    history_spend(looks, ring_find(ring, until) - index);
    if (found == history->last) {
        history->next = ring_at(ring, index)->offset;
        history->overflowed = history->last_bound; /* maybe: it is not looked for more */
        return true;
    }
    history->next = ring->from;
    history->reached = index < ring->count && is_older(history, ring_at(ring, index));
    return history->reached;
}

/* Where to look from, as far as the span goes. */
static void history_begin(struct history *history, int64_t until, size_t *looks)
{
    assert(until >= 0 && !history->reading);
    const struct lane *lane = history->lane;
    uint64_t records = history->span / (lane->record_bytes ? lane->record_bytes : 1) + 1;
    history_clear(history);
    history->begun = true;
    history->first_seen = history->reached = history->overflowed = history->cut = false;
    history->low = records < (uint64_t)until ? until - (int64_t)records : 0;
    if (history->low < lane->first)
        history->low = lane->first < until ? lane->first : until;
    if (lane->ring.from < until && is_in_ring(history, until, looks)) {
        history->low = history->next;
        return;
    }
    if (lane->ring.from < history->low) /* it costs nothing to look through the whole of it */
        history->low = lane->ring.from;
    history->next = history->low;
}

/* Retention has come past it. What was found lies before a gap. */
static void history_lose(struct history *history)
{
    assert(history->next < history->lane->first);
    history_clear(history);
    history->reached = false;
    history->low = history->next = history->lane->first;
}

/* All from `next` to below `until`, which the ring has. */
static void look_through_ring(struct history *history, int64_t until, size_t *looks)
{
    assert(history->next >= history->lane->ring.from && until <= history->lane->position);
    const struct ring *ring = &history->lane->ring;
    struct room_filter filter = {0};
    room_filter_add(&filter, history->room->hash);
    size_t index = ring_find(ring, history->next), end = ring_find(ring, until);
    size_t left = SIZE_MAX;
    if (index < end)
        look_at_first(history, ring_at(ring, index));
    for (; (index = ring_skip(ring, index, end, &filter, &left)) < end; index++) {
        struct message *message = ring_at(ring, index);
        bool decoded = message->notification != NULL;
        if (is_of_room(history->room, message))
            history_keep(history, message);
        if (!decoded)
            message_forget_decoded(message);
    }
    history_spend(looks, SIZE_MAX - left);
    history->next = until;
}

static bool look_further(struct history *history)
{
    uint64_t most = history->hub->config.history.bytes;
    if (history->shrinks || history->reached || history->span >= most ||
        history->count == history->last || history->low <= history->lane->first)
        return false;
    history->span = history->span < most / NEXT_STEP ? history->span * NEXT_STEP : most;
    history->begun = false;
    return true;
}

static void history_look(struct history *history, size_t *looks)
{
    assert(history->state == HISTORY_READY);
    struct lane *lane = history->lane;
    const struct place *place = session_find_place(history->session, lane);
    int64_t until = catch_up_reach(place);
    do {
        if (!history->begun)
            history_begin(history, until, looks);
        if (history->next < lane->first && history->next < lane->ring.from)
            history_lose(history);
        if (history->next < until && history->next < lane->ring.from) {
            history_move(history, HISTORY_SCAN);
            scan_want(lane);
            return;
        }
        int64_t read = until < lane->position ? until : lane->position;
        if (history->next < read)
            look_through_ring(history, read, looks);
        if (history->next < until) {
            history_move(history, HISTORY_AHEAD);
            waits_add(&lane->histories_ahead, &history->ahead, until);
            return;
        }
    } while (look_further(history));
    history_finish(history, catch_up_reached(place));
}

void history_run(struct hub *hub)
{
    size_t looks = LOOKS_A_TURN;
    while (hub->histories && looks)
        history_look(hub->histories, &looks);
}

void history_arrived(struct lane *lane)
{
    struct waiter *wait;
    while ((wait = waits_take(&lane->histories_ahead, lane->position))) {
        lane->hub->stats.steps++;
        history_move((struct history *)((char *)wait - offsetof(struct history, ahead)),
                     HISTORY_READY);
    }
}

/* --- on scans --------------------------------------------------------------------------------- */

static int histories_by_next(const void *a, const void *b)
{
    const struct history *const *left = a, *const *right = b;
    return ((*left)->next > (*right)->next) - ((*left)->next < (*right)->next);
}

/* Those that have not seen their first record, by where they begin. */
static void expect_firsts(struct lane *lane, size_t count)
{
    struct lane_scan *scan = &lane->scan;
    struct history *history;
    assert(!scan->firsts && scan->first_count == 0);
    if (count == 0)
        return;
    scan->firsts = mem_resize(NULL, count, sizeof(struct history *));
    DL_FOREACH2(lane->histories, history, lane_next)
        if (history->reading && !history->first_seen)
            scan->firsts[scan->first_count++] = history;
    assert(scan->first_count == count);
    qsort(scan->firsts, count, sizeof(struct history *), histories_by_next);
    for (size_t i = 0; i < count; i++)
        scan->firsts[i]->first_index = narrow_32(i);
}

int64_t history_join_scan(struct lane *lane)
{
    assert(!lane->scan.running && lane->scan.history_readers == 0);
    struct history *history;
    int64_t from = INT64_MAX;
    size_t firsts = 0;
    DL_FOREACH2(lane->histories, history, lane_next) {
        lane->hub->stats.steps++;
        if (history->state != HISTORY_SCAN)
            continue;
        if (history->next >= lane->ring.from) { /* the ring has grown backwards */
            history_move(history, HISTORY_READY);
            continue;
        }
        history->reading = true;
        lane->scan.history_readers++;
        firsts += !history->first_seen;
        if (history->next < from)
            from = history->next;
    }
    expect_firsts(lane, firsts);
    return from;
}

static void look_at_firsts(struct lane *lane, const struct message *message)
{
    struct lane_scan *scan = &lane->scan;
    for (; scan->first_at < scan->first_count; scan->first_at++) {
        struct history *history = scan->firsts[scan->first_at];
        if (history && history->next > message->offset)
            break;
        lane->hub->stats.steps++;
        if (history)
            look_at_first(history, message);
    }
}

static void history_offer(struct history *history, struct message *message)
{
    const struct lane *lane = history->lane;
    int64_t until = catch_up_reach(session_find_place(history->session, lane));
    struct position end = lane->scan.last; /* of the record before this one */
    if (!history->reading || message->offset < history->next)
        return;
    if (message->offset < until) {
        history_keep(history, message);
        history->next = message->offset + 1;
        return;
    }
    get_off(history); /* it is whole, or looks further back */
    history_move(history, HISTORY_READY);
    history->next = until;
    if (end.next == 0 || end.next > until)
        end = (struct position){.next = until};
    if (!look_further(history))
        history_finish(history, end);
}

void history_scanned(struct lane *lane, struct message *message)
{
    look_at_firsts(lane, message);
    if (!lane->histories)
        return;
    for (unsigned i = 0; i < message->room_count; i++)
        for (struct room *room = room_find(lane, message->room_hashes[i]); room;
             room = room->same_hash) {
            struct history *history, *next;
            if (!room->histories)
                continue;
            if (!message_names_room(message, room_scope_of(room), room_name_of(room)))
                continue;
            DL_FOREACH_SAFE2(room->histories, history, next, room_next)
                history_offer(history, message);
        }
}

void history_scan_over(struct lane *lane, bool useless)
{
    assert(lane->scan.running);
    struct history *history;
    DL_FOREACH2(lane->histories, history, lane_next) {
        lane->hub->stats.steps++;
        if (history->state != HISTORY_SCAN)
            continue;
        if (history->reading && history->next < lane->scan.next)
            history->next = lane->scan.next;
        if (history->reading && useless) {
            history->shrinks = true;
            history->span /= NEXT_STEP;
            history->begun = false;
        }
        get_off(history);
        history_move(history, HISTORY_READY);
    }
    assert(lane->scan.history_readers == 0);
    free(lane->scan.firsts);
    lane->scan.firsts = NULL;
    lane->scan.first_count = lane->scan.first_at = 0;
}
