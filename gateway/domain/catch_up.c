#include <stdlib.h>

#include "history.h"
#include "mem.h"

enum {
    LOOKS_A_TURN = 1 << 18, /* records of rings that all sessions together pass over in one turn */
    SCAN_RETRY_MS = 1000,
    KEEP_MS = 30000, /* what was read back stays for others: they come back within seconds */
    DOUBT_RETRY_MS = 500,
};

/* --- where a session stands ----------------------------------------------------------------- */

/* A session that cannot go on from its cursor: a fresh one if it is not open yet, else the client
 * must come back for one. */
static void give_up(struct session_lane *place, const char *reason)
{
    struct session *session = place->session;
    session->hub->stats.gaps++;
    if (session->state == SESSION_OPENING)
        resume_give_up(session, reason);
    else
        session_end(session, reason, true);
}

void catch_up_want_scan(struct lane *lane)
{
    if (lane->scan.wanted || lane->scan.running)
        return;
    lane->scan.wanted = true;
    DL_APPEND2(lane->hub->scan_queue, lane, scan.prev, scan.next_lane);
}

int64_t catch_up_reach(const struct session_lane *place)
{
    const struct lane *lane = place->lane;
    int64_t reach = place->next;
    if (place->state == LANE_LIVE && lane->position > reach)
        reach = lane->position;
    if (place->aboard && !place->check && lane->scan.next > reach)
        reach = lane->scan.next;
    return reach;
}

struct position catch_up_reached(const struct session_lane *place)
{
    const struct lane *lane = place->lane;
    int64_t reach = catch_up_reach(place);
    size_t index = ring_find(&lane->ring, reach);
    if (place->state == LANE_LIVE && lane->head.next <= reach)
        return lane->head;
    if (index > 0)
        return (struct position){ring_at(&lane->ring, index - 1)->offset + 1,
                                 ring_at(&lane->ring, index - 1)->check};
    return (struct position){.next = reach};
}

static void set_live(struct session_lane *place)
{
    struct lane *lane = place->lane;
    place->state = LANE_LIVE;
    if (place->next < lane->position)
        place->next = lane->position;
    place->live_from = place->next;
}

/* The cursor is beyond what this gateway has read: either it is behind others, or the log was cut.
 * The broker knows. */
static void doubt(struct session_lane *place)
{
    struct lane *lane = place->lane;
    struct hub *hub = lane->hub;
    place->doubtful = true;
    if (lane->in_doubt)
        return;
    lane->in_doubt = true;
    lane->doubt_until_ms = hub->now_ms + hub->config.truncation_confirm_ms;
    lane->doubt_due_ms = INT64_MAX;
    DL_APPEND2(hub->doubtful, lane, doubt_prev, doubt_next);
    hub->source_ops->ends(hub->source, lane);
}

/* Compares the cursor's last record with the ring's. False: they differ. `place->check` is cleared
 * once verified. */
static bool verify_in_ring(struct session_lane *place)
{
    const struct ring *ring = &place->lane->ring;
    size_t index = ring_find(ring, place->next - 1);
    if (index == ring->count || ring_at(ring, index)->offset != place->next - 1 ||
        ring_at(ring, index)->check != place->check)
        return false;
    place->check = 0;
    return true;
}

void catch_up_start(struct session_lane *place)
{
    struct lane *lane = place->lane;
    struct hub *hub = lane->hub;
    if (place->next > lane->position) {
        doubt(place);
        return;
    }
    if (place->next < lane->first) {
        give_up(place, "retention");
        return;
    }
    uint64_t owed = (uint64_t)(lane->position - place->next) * lane->record_bytes;
    if (owed > hub->config.catch_up_bytes && place->next < lane->ring.from) {
        give_up(place, "too_far");
        return;
    }
    if (place->check && place->next - 1 >= lane->ring.from && !verify_in_ring(place)) {
        give_up(place, "recreated");
        return;
    }
    if (place->check && place->next - 1 < lane->first)
        place->check = 0; /* the record has just been removed; its successor is still there */
    if (place->check || place->next < lane->ring.from) {
        place->state = LANE_SCANNING;
        catch_up_want_scan(lane);
    } else if (place->next >= lane->position) {
        set_live(place);
    } else {
        place->state = LANE_BEHIND;
        session_wake(place->session);
    }
    session_try_open(place->session);
}

void catch_up_ends(struct lane *lane, int64_t first, int64_t end)
{
    struct hub *hub = lane->hub;
    struct session_lane *place, *next;
    lane->first = first;
    bool believed = hub->now_ms >= lane->doubt_until_ms, left = false;
    DL_FOREACH_SAFE2(lane->sessions, place, next, next_session) {
        if (!place->doubtful)
            continue;
        if (place->next > end && !believed) {
            left = true;
            continue;
        }
        place->doubtful = false;
        if (place->next > end) {
            give_up(place, "truncated");
            continue;
        }
        if (place->next <= lane->position) { /* this gateway has come up meanwhile */
            catch_up_start(place);
            continue;
        }
        if (place->check) { /* judged when the record before it has arrived here */
            if (lane->awaited > place->next)
                lane->awaited = place->next;
            continue;
        }
        place->state = LANE_LIVE; /* what lies below the cursor is skipped as it arrives */
        session_try_open(place->session);
    }
    if (left) {
        lane->doubt_due_ms = hub->now_ms + DOUBT_RETRY_MS;
    } else if (lane->in_doubt) {
        lane->in_doubt = false;
        DL_DELETE2(hub->doubtful, lane, doubt_prev, doubt_next);
    }
}

void catch_up_arrived(struct lane *lane)
{
    struct session_lane *place, *next;
    int64_t awaited = INT64_MAX;
    lane->awaited = INT64_MAX;
    DL_FOREACH_SAFE2(lane->sessions, place, next, next_session) {
        if (place->state != LANE_OPENING || place->doubtful)
            continue;
        if (place->next <= lane->position)
            catch_up_start(place);
        else if (place->next < awaited)
            awaited = place->next;
    }
    lane->awaited = awaited;
    awaited = history_arrived(lane);
    if (lane->awaited > awaited)
        lane->awaited = awaited;
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
static size_t pass_over(struct session_lane *place, size_t index)
{
    struct lane *lane = place->lane;
    const struct session *session = place->session;
    const struct ring *ring = &lane->ring;
    size_t left = ring->count - index, looks = lane->hub->looks_left;
    struct room_filter filter = {0};
    for (unsigned i = 0; i < session->room_count; i++)
        room_filter_add(&filter, session->rooms[i].room->hash);
    size_t to = ring_skip(ring, index, index + (left < looks ? left : looks), &filter);
    lane->hub->looks_left -= (unsigned)(to - index);
    if (to > index) {
        const struct message *message = ring_at(ring, to - 1);
        place->next = message->offset + 1;
        place->given = (struct position){message->offset + 1, message->check};
    }
    return to;
}

static struct message *next_from_ring(struct session_lane *place)
{
    struct lane *lane = place->lane;
    struct session *session = place->session;
    size_t index = ring_find(&lane->ring, place->next);
    for (; (index = pass_over(place, index)) < lane->ring.count; index++) {
        if (lane->hub->looks_left == 0) {
            session->signaled = false;
            session_wake(session); /* goes on in the next turn */
            return NULL;
        }
        lane->hub->looks_left--;
        struct message *message = ring_at(&lane->ring, index);
        place->next = message->offset + 1;
        bool wanted = wanted_by(session, lane, message);
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
    for (unsigned i = 0; i < session->lane_count; i++) {
        struct session_lane *place = session->lanes[i];
        if (place->state == LANE_SCANNING && !place->aboard)
            catch_up_want_scan(place->lane);
        if (place->state != LANE_BEHIND)
            continue;
        if (place->next < place->lane->ring.from) {
            place->state = LANE_SCANNING;
            catch_up_want_scan(place->lane);
            continue;
        }
        struct message *message = next_from_ring(place);
        if (message)
            return message;
    }
    return NULL;
}

/* --- what scans have read ------------------------------------------------------------------- */

static void keep(struct lane *lane)
{
    lane->keeps_until_ms = INT64_MAX;
    if (lane->keeps)
        return;
    lane->keeps = true;
    DL_APPEND2(lane->hub->keeping, lane, keeps_prev, keeps_next);
}

static void keep_no_more(struct lane *lane)
{
    struct hub *hub = lane->hub;
    size_t bytes = lane->ring.bytes;
    if (!lane->keeps)
        return;
    lane->keeps = false;
    DL_DELETE2(hub->keeping, lane, keeps_prev, keeps_next);
    ring_trim(&lane->ring, hub->config.ring_bytes);
    hub->stats.ring_bytes -= bytes - lane->ring.bytes;
    lane_count_beyond(lane);
}

/* The ring begins where the scan ended, unless it had to move on: then the scan was for its riders
 * only. */
static void extend_ring(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct ring *kept = &lane->scan.kept;
    size_t bytes = lane->ring.bytes;
    if (lane->ring.from != lane->scan.until)
        return;
    ring_prepend(&lane->ring, kept, lane_ring_limit(lane, &lane->ring) + kept->bytes);
    hub->stats.ring_bytes += lane->ring.bytes - bytes;
    lane_count_beyond(lane);
}

static bool keeps_all(const struct lane *lane)
{
    return lane->scan.kept.from == lane->scan.from;
}

/* --- scans ---------------------------------------------------------------------------------- */

static bool can_board(const struct session_lane *place)
{
    const struct session *session = place->session;
    return place->state == LANE_SCANNING &&
           (place->check || session->outbox.messages < session->hub->config.outbox_messages);
}

static int64_t first_needed(const struct session_lane *place)
{
    return place->check ? place->next - 1 : place->next;
}

static int by_next(const void *a, const void *b)
{
    const struct session_lane *const *left = a, *const *right = b;
    return ((*left)->next > (*right)->next) - ((*left)->next < (*right)->next);
}

/* Who did not ride, or got off, and could ride now, gets another. */
static void want_another(struct lane *lane)
{
    struct session_lane *place;
    DL_FOREACH2(lane->sessions, place, next_session)
        if (can_board(place)) {
            catch_up_want_scan(lane);
            return;
        }
}

static void scan_over(struct lane *lane)
{
    struct hub *hub = lane->hub;
    history_scan_over(lane, lane->scan.useless);
    DL_DELETE2(hub->scanning, lane, scan.prev, scan.next_lane);
    hub->scans_running--;
    lane->scan.running = false;
    lane->scan.paused = false;
    lane->scan.useless = false;
    lane->scan.riders = 0;
    lane->scan.bytes = lane->scan.records = 0;
    lane->scan.last = (struct position){0};
    free(lane->scan.checks);
    lane->scan.checks = NULL;
    lane->scan.check_count = 0;
    lane->scan.check_at = 0;
    ring_clear(&lane->scan.kept, 0);
    lane_count_beyond(lane);
    lane->keeps_until_ms = hub->now_ms + KEEP_MS;
    conflation_table_free(&lane->scan.last_messages);
}

/* Who got off at the ring's edge needs no scan any more. */
static void release_covered(struct lane *lane)
{
    struct session_lane *place, *next;
    DL_FOREACH_SAFE2(lane->sessions, place, next, next_session)
        if (place->state == LANE_SCANNING && first_needed(place) >= lane->ring.from)
            catch_up_start(place);
}

/* Boards who can ride and starts at the hindmost. */
static void scan_start(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct scan *scan = &lane->scan;
    struct session_lane *place;
    unsigned riders = 0, checks = 0;
    release_covered(lane);
    int64_t from = history_board(lane);
    DL_FOREACH2(lane->sessions, place, next_session) {
        if (!can_board(place))
            continue;
        place->aboard = true;
        riders++;
        checks += place->check != 0;
        if (first_needed(place) < from)
            from = first_needed(place);
    }
    if (from == INT64_MAX)
        return;
    if (checks) {
        scan->checks = mem_resize(NULL, checks, sizeof(struct session_lane *));
        DL_FOREACH2(lane->sessions, place, next_session)
            if (place->aboard && place->check)
                scan->checks[scan->check_count++] = place;
        qsort(scan->checks, scan->check_count, sizeof(struct session_lane *), by_next);
    }
    keep(lane);
    scan->running = true;
    scan->riders = riders;
    scan->from = scan->next = scan->kept.from = from;
    scan->until = lane->ring.from;
    assert(from < scan->until);
    DL_APPEND2(hub->scanning, lane, scan.prev, scan.next_lane);
    hub->scans_running++;
    hub->stats.scans++;
    hub->source_ops->scan(hub->source, lane, from, scan->until);
}

void catch_up_leave(struct session_lane *place)
{
    struct scan *scan = &place->lane->scan;
    if (place->aboard && place->check)
        for (size_t i = scan->check_at; i < scan->check_count; i++)
            if (scan->checks[i] == place)
                scan->checks[i] = NULL;
    place->aboard = false;
}

/* Gets off where the scan stands now. */
static void alight(struct session_lane *place)
{
    catch_up_leave(place);
    if (place->next < place->lane->scan.next && !place->check)
        place->next = place->lane->scan.next;
}

/* Riders whose last record should have come by now, or is `record` with this check. */
static void verify_riders(struct lane *lane, int64_t offset, uint16_t check)
{
    struct scan *scan = &lane->scan;
    while (scan->check_at < scan->check_count) {
        struct session_lane *place = scan->checks[scan->check_at];
        if (place && place->next - 1 > offset)
            break;
        scan->check_at++;
        if (!place)
            continue;
        if (place->next - 1 == offset && place->check == check) {
            place->check = 0;
            session_try_open(place->session);
        } else {
            place->aboard = false;
            give_up(place, "recreated");
        }
    }
}

static void offer_to_rider(struct session_lane *place, struct message *message)
{
    if (!place->aboard || place->check || message->offset < place->next)
        return;
    if (session_offer(place, message)) {
        place->lane->hub->stats.deliveries_caught_up++;
        if (place->session->outbox.messages >= place->lane->hub->config.outbox_messages)
            place->lane->scan.paused = true;
        return;
    }
    place->next = message->offset; /* boards the next scan here */
    place->aboard = false;
}

/* Histories may not look through more than a limit, in bytes, but can only say where to begin in
 * offsets: records that are larger than was thought are noticed here. */
static void measure(struct lane *lane, size_t record_bytes)
{
    struct scan *scan = &lane->scan;
    scan->bytes += record_bytes;
    scan->records++;
    if (scan->riders || scan->useless || scan->bytes <= 2 * lane->hub->config.history.bytes)
        return;
    lane->record_bytes = scan->bytes / scan->records;
    scan->useless = scan->paused = true;
}

bool catch_up_record(struct lane *lane, const struct lane_record *record)
{
    struct scan *scan = &lane->scan;
    struct hub *hub = lane->hub;
    if (!scan->running || record->offset < scan->next)
        return !scan->paused;
    hub->stats.scan_records++;
    struct message *message =
        message_new(lane->id, record, lane->room_keyed, hub->config.rooms_per_record);
    verify_riders(lane, record->offset, message->check);
    bool decoded = history_scanned(lane, message);
    lane_offer(lane, message, offer_to_rider);
    conflation_note_scanned(lane, message);
    if (decoded)
        message_forget_decoded(message);
    scan->next = record->offset + 1;
    scan->last = (struct position){scan->next, message->check};
    measure(lane, record->value.size);
    bool all = keeps_all(lane);
    ring_push(&scan->kept, message, lane_ring_limit(lane, &scan->kept));
    lane_count_beyond(lane);
    if (all && !keeps_all(lane))
        scan->paused = true; /* whether to go on depends on its riders from here on */
    return !scan->paused;
}

void catch_up_scan_ended(struct lane *lane, enum status status, int64_t first)
{
    struct session_lane *place, *next;
    if (!lane->scan.running)
        return;
    bool overtaken = first > lane->first; /* by retention: what is left can be had at once */
    lane->first = first;
    if (status == STATUS_OK) {
        verify_riders(lane, INT64_MAX - 1, 0);
        lane->scan.next = lane->scan.until;
        extend_ring(lane);
    } else if (!overtaken) {
        lane->scan.retry_ms = lane->hub->now_ms + SCAN_RETRY_MS;
    }
    scan_over(lane);
    DL_FOREACH_SAFE2(lane->sessions, place, next, next_session) {
        if (!place->aboard)
            continue;
        alight(place);
        catch_up_start(place);
    }
    release_covered(lane);
    want_another(lane);
}

/* After transports have taken what they could: who is still full has a blocked socket and leaves.
 * Without riders a scan goes on as long as all that it reads is kept: they will be served from
 * that. */
static void go_on(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct session_lane *place;
    unsigned riders = 0;
    DL_FOREACH2(lane->sessions, place, next_session) {
        if (!place->aboard)
            continue;
        if (place->session->outbox.messages >= hub->config.outbox_messages)
            alight(place);
        else
            riders++;
    }
    lane->scan.paused = false;
    bool needed = riders || history_rides(lane) || (lane->session_count && keeps_all(lane));
    if (needed && !lane->scan.useless) {
        hub->source_ops->scan_resume(hub->source, lane);
        return;
    }
    hub->source_ops->scan_cancel(hub->source, lane);
    scan_over(lane);
    want_another(lane);
}

void catch_up_forget(struct lane *lane)
{
    struct hub *hub = lane->hub;
    if (lane->scan.running) {
        hub->source_ops->scan_cancel(hub->source, lane);
        scan_over(lane);
    }
    if (lane->scan.wanted)
        DL_DELETE2(hub->scan_queue, lane, scan.prev, scan.next_lane);
    lane->scan.wanted = false;
    keep_no_more(lane);
    if (lane->in_doubt)
        DL_DELETE2(hub->doubtful, lane, doubt_prev, doubt_next);
    lane->in_doubt = false;
}

void catch_up_turn(struct hub *hub)
{
    hub->looks_left = LOOKS_A_TURN;
}

void catch_up_run(struct hub *hub)
{
    struct lane *lane, *next;
    DL_FOREACH_SAFE2(hub->scanning, lane, next, scan.next_lane)
        if (lane->scan.paused || lane->session_count == 0)
            go_on(lane);
    DL_FOREACH_SAFE2(hub->scan_queue, lane, next, scan.next_lane) {
        if (hub->scans_running >= hub->config.scans)
            break;
        if (hub->now_ms < lane->scan.retry_ms)
            continue;
        DL_DELETE2(hub->scan_queue, lane, scan.prev, scan.next_lane);
        lane->scan.wanted = false;
        if (lane->open)
            scan_start(lane);
    }
    DL_FOREACH_SAFE2(hub->keeping, lane, next, keeps_next)
        if (hub->now_ms >= lane->keeps_until_ms)
            keep_no_more(lane);
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
    if (hub->scans_running < hub->config.scans)
        DL_FOREACH2(hub->scan_queue, lane, scan.next_lane)
            if (lane->scan.retry_ms < deadline)
                deadline = lane->scan.retry_ms;
    DL_FOREACH2(hub->scanning, lane, scan.next_lane)
        if (lane->scan.paused)
            return 0;
    DL_FOREACH2(hub->keeping, lane, keeps_next)
        if (lane->keeps_until_ms < deadline)
            deadline = lane->keeps_until_ms;
    DL_FOREACH2(hub->doubtful, lane, doubt_next)
        if (lane->doubt_due_ms < deadline)
            deadline = lane->doubt_due_ms;
    return deadline;
}
