#include <stdlib.h>

#include "history.h"
#include "mem.h"
#include "narrow.h"

enum {
    SCAN_RETRY_MS = 1000,
    KEEP_MS = 30000, /* what was read back stays for others: they come back within seconds */
};

/* --- what scans have read ------------------------------------------------------------------- */

static void keep_read_back(struct lane *lane)
{
    lane->keeps_until_ms = INT64_MAX;
    if (lane->keeps)
        return;
    lane->keeps = true;
    DL_APPEND2(lane->hub->keeping, lane, keeps_prev, keeps_next);
}

/* The ring gives back what it holds beyond its share. */
static void give_back(struct lane *lane)
{
    struct hub *hub = lane->hub;
    size_t bytes = lane->ring.bytes;
    ring_trim(&lane->ring, hub->config.ring_bytes);
    hub->stats.ring_bytes -= bytes - lane->ring.bytes;
    lane_count_beyond(lane);
}

static void keep_read_back_no_more(struct lane *lane)
{
    if (!lane->keeps)
        return;
    lane->keeps = false;
    DL_DELETE2(lane->hub->keeping, lane, keeps_prev, keeps_next);
    give_back(lane);
}

/* What earlier scans have read gives way to what is read now, if it leaves that little: a scan that
 * can keep nothing ends whenever its readers' sockets block, and begins again, a record further. */
static void make_room(struct lane *lane)
{
    if (lane->beyond > lane_ring_limit(lane, &lane->scan.kept))
        give_back(lane);
}

/* The ring begins where the scan ended, unless it had to move on: then the scan was for its readers
 * only. */
static void extend_ring(struct lane *lane)
{
    assert(lane->keeps && lane->scan.next == lane->scan.until);
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

void scan_want(struct lane *lane)
{
    if (lane->scan.wanted || lane->scan.running)
        return;
    lane->scan.wanted = true;
    DL_APPEND2(lane->hub->scan_queue, lane, scan.prev, scan.next_lane);
}

static bool can_read(const struct place *place)
{
    const struct session *session = place->session;
    return place->state == PLACE_SCANNING && (place->check || !session_is_full(session));
}

static int64_t first_needed(const struct place *place)
{
    return place->check ? place->next - 1 : place->next;
}

static int places_by_next(const void *a, const void *b)
{
    const struct place *const *left = a, *const *right = b;
    return ((*left)->next > (*right)->next) - ((*left)->next < (*right)->next);
}

/* Who did not ride, or got off, and could ride now, gets another. */
static void want_another(struct lane *lane)
{
    struct place *place;
    DL_FOREACH2(lane->scan.places, place, list_next) {
        lane->hub->stats.steps++;
        if (!can_read(place))
            continue;
        scan_want(lane);
        return;
    }
}

static void scan_over(struct lane *lane)
{
    assert(lane->scan.running && lane->hub->scans_running > 0);
    struct hub *hub = lane->hub;
    history_scan_over(lane, lane->scan.useless);
    DL_DELETE2(hub->scanning, lane, scan.prev, scan.next_lane);
    hub->scans_running--;
    lane->scan.running = false;
    lane->scan.paused = false;
    lane->scan.useless = false;
    lane->scan.served = false;
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
    struct place *place, *next;
    DL_FOREACH_SAFE2(lane->scan.places, place, next, list_next) {
        lane->hub->stats.steps++;
        if (first_needed(place) >= lane->ring.from)
            catch_up_start(place);
    }
}

/* Boards who can ride and starts at the hindmost. */
static void scan_start(struct lane *lane)
{
    assert(!lane->scan.running && !lane->scan.wanted && lane->scan.readers == 0);
    struct hub *hub = lane->hub;
    struct lane_scan *scan = &lane->scan;
    struct place *place;
    size_t checks = 0;
    make_room(lane);
    release_covered(lane);
    int64_t from = history_join_scan(lane);
    DL_FOREACH2(lane->scan.places, place, list_next) {
        hub->stats.steps++;
        if (!can_read(place))
            continue;
        place->reading = true;
        scan->readers++;
        checks += place->check != 0;
        if (first_needed(place) < from)
            from = first_needed(place);
    }
    if (from == INT64_MAX)
        return;
    if (checks) {
        scan->checks = mem_resize(NULL, checks, sizeof(struct place *));
        DL_FOREACH2(lane->scan.places, place, list_next)
            if (place->reading && place->check)
                scan->checks[scan->check_count++] = place;
        qsort(scan->checks, scan->check_count, sizeof(struct place *), places_by_next);
        for (size_t i = 0; i < scan->check_count; i++)
            scan->checks[i]->check_index = narrow_32(i);
    }
    keep_read_back(lane);
    scan->running = true;
    scan->served = scan->readers > 0;
    scan->from = scan->next = scan->kept.from = from;
    scan->until = lane->ring.from;
    assert(from < scan->until);
    DL_APPEND2(hub->scanning, lane, scan.prev, scan.next_lane);
    hub->scans_running++;
    hub->stats.scans++;
    hub->source_ops->scan(hub->source, lane, from, scan->until);
}

void scan_leave(struct place *place)
{
    struct lane_scan *scan = &place->lane->scan;
    if (!place->reading)
        return;
    assert(place->state == PLACE_SCANNING && scan->readers > 0);
    if (place->check && place->check_index >= scan->check_at && scan->check_count > 0) {
        assert(scan->checks[place->check_index] == place);
        scan->checks[place->check_index] = NULL;
    }
    place->reading = false;
    scan->readers--;
}

void scan_fill(struct place *place)
{
    assert(place->state == PLACE_SCANNING);
    struct lane_scan *scan = &place->lane->scan;
    if (place->full)
        return;
    place->full = true;
    DL_DELETE2(scan->places, place, list_prev, list_next);
    DL_PREPEND2(scan->places, place, list_prev, list_next);
    scan->paused = true;
}

/* Gets off where the scan stands now. */
static void stop_reading(struct place *place)
{
    assert(place->reading);
    scan_leave(place);
    if (place->next < place->lane->scan.next && !place->check)
        place->next = place->lane->scan.next;
}

/* Riders whose last record should have come by now, or is `record` with this check. */
static void verify_readers(struct lane *lane, int64_t offset, uint16_t check)
{
    struct lane_scan *scan = &lane->scan;
    while (scan->check_at < scan->check_count) {
        struct place *place = scan->checks[scan->check_at];
        if (place && place->next - 1 > offset)
            break;
        scan->check_at++;
        if (!place)
            continue;
        if (place->next - 1 == offset && place->check == check) {
            place->check = 0;
            session_try_open(place->session);
        } else {
            catch_up_give_up(place, "recreated");
        }
    }
}

static void offer_to_reader(struct place *place, struct message *message)
{
    assert(place->lane->scan.running);
    if (!place->reading || place->check || message->offset < place->next)
        return;
    if (session_offer(place, message)) {
        place->lane->hub->stats.deliveries_caught_up++;
        if (session_is_full(place->session))
            scan_fill(place);
        return;
    }
    place->next = message->offset; /* boards the next scan here */
    scan_leave(place);
}

/* Histories may not look through more than a limit, in bytes, but can only say where to begin in
 * offsets: records that are larger than was thought are noticed here. */
static void measure(struct lane *lane, size_t record_bytes)
{
    assert(lane->scan.running);
    struct lane_scan *scan = &lane->scan;
    scan->bytes += record_bytes;
    scan->records++;
    if (scan->served || scan->useless || scan->bytes <= 2 * lane->hub->config.history.bytes)
        return;
    lane->record_bytes = scan->bytes / scan->records;
    scan->useless = scan->paused = true;
}

bool scan_record(struct lane *lane, const struct lane_record *record)
{
    struct lane_scan *scan = &lane->scan;
    struct hub *hub = lane->hub;
    if (!scan->running || record->offset < scan->next || record->offset >= scan->until)
        return !scan->paused;
    hub->stats.scan_records++;
    struct message *message =
        message_new(lane->id, record, lane->scope, hub->config.rooms_per_record);
    verify_readers(lane, record->offset, message->check);
    history_scanned(lane, message);
    lane_offer(lane, message, offer_to_reader);
    conflation_note_scanned(lane, message);
    hub->stats.records_faulty[message->fault] += message->fault != RECORD_SOUND;
    hub_keep_decoded(hub, message);
    scan->next = record->offset + 1;
    scan->last = (struct position){scan->next, message->check};
    measure(lane, record->value.size);
    bool all = keeps_all(lane);
    if (scan->turn != hub->turn) {
        scan->turn = hub->turn;
        ring_settle(&scan->kept);
    }
    ring_push(&scan->kept, message, lane_ring_limit(lane, &scan->kept));
    lane_count_beyond(lane);
    if (all && !keeps_all(lane))
        scan->paused = true; /* whether to go on depends on its readers from here on */
    return !scan->paused;
}

void scan_ended(struct lane *lane, enum status status, int64_t first)
{
    struct place *place, *next;
    if (!lane->scan.running)
        return;
    bool overtaken = first > lane->first; /* by retention: what is left can be had at once */
    lane->first = first;
    if (status == STATUS_OK) {
        verify_readers(lane, INT64_MAX - 1, 0);
        lane->scan.next = lane->scan.until;
        extend_ring(lane);
    } else if (!overtaken) {
        lane->scan.retry_ms = lane->hub->now_ms + SCAN_RETRY_MS;
    }
    scan_over(lane);
    DL_FOREACH_SAFE2(lane->scan.places, place, next, list_next) {
        lane->hub->stats.steps++;
        if (!place->reading)
            continue;
        stop_reading(place);
        catch_up_start(place);
    }
    release_covered(lane);
    want_another(lane);
}

/* After transports have taken what they could: who is still full has a blocked socket and leaves.
 * Without readers a scan goes on as long as all that it reads is kept: they will be served from
 * that. */
static void go_on(struct lane *lane)
{
    assert(lane->scan.running);
    struct hub *hub = lane->hub;
    struct lane_scan *scan = &lane->scan;
    for (struct place *place; (place = scan->places) && place->full;) {
        hub->stats.steps++;
        place->full = false;
        DL_DELETE2(scan->places, place, list_prev, list_next);
        DL_APPEND2(scan->places, place, list_prev, list_next);
        if (place->reading && session_is_full(place->session))
            stop_reading(place);
    }
    scan->paused = false;
    bool needed =
        scan->readers || scan->history_readers || (lane->session_count && keeps_all(lane));
    if (needed && !lane->scan.useless) {
        hub->source_ops->scan_resume(hub->source, lane);
        return;
    }
    hub->source_ops->scan_cancel(hub->source, lane);
    scan_over(lane);
    want_another(lane);
}

void scan_forget(struct lane *lane)
{
    struct hub *hub = lane->hub;
    if (lane->scan.running) {
        hub->source_ops->scan_cancel(hub->source, lane);
        scan_over(lane);
    }
    if (lane->scan.wanted)
        DL_DELETE2(hub->scan_queue, lane, scan.prev, scan.next_lane);
    lane->scan.wanted = false;
    keep_read_back_no_more(lane);
}

void scan_run(struct hub *hub)
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
            keep_read_back_no_more(lane);
}

int64_t scan_deadline(const struct hub *hub)
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
    return deadline;
}
