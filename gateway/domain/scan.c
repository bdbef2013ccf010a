/* The state of a lane's scan, changed only here. Lists are kept such that nothing looks at all
 * places where a few would do: cursors to be verified are sorted once, and whoever is full
 * stands in front. */
#include "scan.h"

#include <stdlib.h>

#include "conflation.h"
#include "hub_state.h"
#include "lane.h"
#include "mem.h"
#include "narrow.h"

enum {
    SCAN_RETRY_MS = 1000,
    KEEP_MS = 30000,
};

/* --- who wants one -------------------------------------------------------------------------- */

void scan_want(struct lane *lane)
{
    if (lane->scan.wanted || lane->scan.running)
        return;
    lane->scan.wanted = true;
    DL_APPEND2(lane->hub->scans.wanted, lane, scan.prev, scan.next_lane);
}

void scan_unwant(struct lane *lane)
{
    assert(!lane->scan.wanted || !lane->scan.running); /* one pair of links for both lists */
    if (!lane->scan.wanted)
        return;
    lane->scan.wanted = false;
    DL_DELETE2(lane->hub->scans.wanted, lane, scan.prev, scan.next_lane);
}

void scan_add(struct place *place)
{
    assert(place->state == PLACE_SCANNING && !place->reader.reading && !place->reader.full);
    DL_APPEND2(place->lane->scan.places, place, list_prev, list_next);
}

void scan_remove(struct place *place)
{
    assert(place->state == PLACE_SCANNING);
    scan_leave(place);
    place->reader.full = false;
    DL_DELETE2(place->lane->scan.places, place, list_prev, list_next);
}

int64_t scan_first_needed(const struct place *place)
{
    assert(!place->check || place->next > 0);
    return place->check ? place->next - 1 : place->next;
}

static bool can_read(const struct place *place)
{
    /* To verify a cursor needs no room in the queue. */
    return place->state == PLACE_SCANNING && (place->check || !session_is_full(place->session));
}

/* One is enough to want it, so it stops at the first; the scan then takes all who can. */
void scan_want_another(struct lane *lane)
{
    const struct place *place;
    assert(!lane->scan.running);
    DL_FOREACH2(lane->scan.places, place, list_next) {
        lane->hub->stats.steps++;
        if (!can_read(place))
            continue;
        scan_want(lane);
        return;
    }
}

/* --- who reads along ------------------------------------------------------------------------ */

static int places_by_next(const void *a, const void *b)
{
    const struct place *const *left = a, *const *right = b;
    return ((*left)->next > (*right)->next) - ((*left)->next < (*right)->next);
}

/* Sorted once, so that each record of the scan costs one look at the nearest of them. */
static void list_checks(struct lane *lane, size_t count)
{
    struct lane_scan *scan = &lane->scan;
    struct place *place;
    assert(!scan->checks && scan->check_count == 0 && scan->check_at == 0);
    if (count == 0)
        return;
    scan->checks = mem_resize(NULL, count, sizeof(struct place *));
    DL_FOREACH2(scan->places, place, list_next)
        if (place->reader.reading && place->check)
            scan->checks[scan->check_count++] = place;
    assert(scan->check_count == count);
    qsort(scan->checks, count, sizeof(struct place *), places_by_next);
    for (size_t i = 0; i < count; i++)
        scan->checks[i]->reader.check_index = narrow_32(i);
}

/* Called once for a scan, when it starts: whoever comes later waits for the next. */
int64_t scan_gather(struct lane *lane)
{
    struct lane_scan *scan = &lane->scan;
    assert(!scan->running && !scan->wanted && scan->readers == 0);
    struct place *place;
    int64_t from = INT64_MAX;
    size_t checks = 0;
    DL_FOREACH2(scan->places, place, list_next) {
        lane->hub->stats.steps++;
        if (!can_read(place))
            continue;
        place->reader.reading = true;
        scan->readers++;
        checks += place->check != 0;
        if (scan_first_needed(place) < from)
            from = scan_first_needed(place);
    }
    list_checks(lane, checks);
    return from;
}

/* Its slot among those to be verified is emptied, not closed up: others know their index. Behind the
 * last who leaves the scan pauses: whether it is worth going on is to be decided. */
void scan_leave(struct place *place)
{
    struct lane_scan *scan = &place->lane->scan;
    if (!place->reader.reading)
        return;
    assert(place->state == PLACE_SCANNING && scan->readers > 0);
    uint32_t index = place->reader.check_index;
    if (place->check && index >= scan->check_at && scan->check_count > 0) {
        assert(scan->checks[index] == place);
        scan->checks[index] = NULL;
    }
    place->reader.reading = false;
    scan->readers--;
    scan->paused = scan->paused || (scan->running && scan->readers == 0);
}

/* Those without a record at their offset have been passed by: the caller compares. */
struct place *scan_take_check(struct lane *lane, int64_t offset)
{
    struct lane_scan *scan = &lane->scan;
    assert(scan->check_at <= scan->check_count);
    while (scan->check_at < scan->check_count) {
        struct place *place = scan->checks[scan->check_at];
        if (place && place->next - 1 > offset)
            return NULL;
        scan->check_at++;
        if (place)
            return place;
    }
    return NULL;
}

/* --- a pause -------------------------------------------------------------------------------- */

void scan_fill(struct place *place)
{
    assert(place->state == PLACE_SCANNING && place->reader.reading);
    struct lane_scan *scan = &place->lane->scan;
    if (place->reader.full)
        return;
    place->reader.full = true;
    /* To the front: the end of the pause looks at these, however many others there are. */
    DL_DELETE2(scan->places, place, list_prev, list_next);
    DL_PREPEND2(scan->places, place, list_prev, list_next);
    scan->paused = true;
}

struct place *scan_take_full(struct lane *lane)
{
    struct lane_scan *scan = &lane->scan;
    struct place *place = scan->places;
    if (!place || !place->reader.full)
        return NULL;
    assert(scan->running);
    place->reader.full = false;
    DL_DELETE2(scan->places, place, list_prev, list_next);
    DL_APPEND2(scan->places, place, list_prev, list_next);
    return place;
}

void scan_unpause(struct lane *lane)
{
    assert(lane->scan.running && (!lane->scan.places || !lane->scan.places->reader.full));
    lane->scan.paused = false;
}

/* --- its life ------------------------------------------------------------------------------- */

static void keep(struct lane *lane)
{
    lane->scan.keeps_until_ms = INT64_MAX;
    if (lane->scan.keeps)
        return;
    lane->scan.keeps = true;
    DL_APPEND2(lane->hub->scans.keeping, lane, scan.keeps_prev, scan.keeps_next);
}

void scan_begin(struct lane *lane, int64_t from)
{
    struct hub *hub = lane->hub;
    struct lane_scan *scan = &lane->scan;
    assert(!scan->running && !scan->wanted && from < lane->ring.from);
    keep(lane);
    scan->running = true;
    scan->served = scan->readers > 0;
    scan->from = scan->next = from;
    scan->until = lane->ring.from;
    ring_clear(&scan->kept, from);
    DL_APPEND2(hub->scans.running, lane, scan.prev, scan.next_lane);
    hub->scans.running_count++;
    hub->stats.scans++;
    hub->source_ops->scan(hub->source, lane, from, scan->until);
}

/* Histories may not look through more than a limit, in bytes, but can only say where to begin in
 * offsets: records that are larger than was thought are noticed here. */
static void measure(struct lane *lane, size_t record_bytes)
{
    struct lane_scan *scan = &lane->scan;
    scan->bytes += record_bytes;
    scan->records++;
    if (scan->served || scan->useless || scan->bytes <= 2 * lane->hub->config.history.bytes)
        return;
    lane->record_bytes = scan->bytes / scan->records;
    scan->useless = scan->paused = true;
}

/* Kept for those who come after the scan, and for its own readers whose sockets block now. */
void scan_note(struct lane *lane, struct message *message, size_t record_bytes)
{
    struct lane_scan *scan = &lane->scan;
    assert(scan->running && message->offset >= scan->next && message->offset < scan->until);
    scan->next = message->offset + 1;
    scan->last = (struct position){scan->next, message->check};
    measure(lane, record_bytes);
    bool all = scan_keeps_all(lane);
    if (scan->turn != lane->hub->turn) {
        scan->turn = lane->hub->turn;
        ring_settle(&scan->kept);
    }
    ring_push(&scan->kept, message, lane_ring_limit(lane, &scan->kept));
    lane_count_beyond(lane);
    if (all && !scan_keeps_all(lane))
        scan->paused = true; /* whether to go on depends on its readers from here on */
}

/* The ring begins where the scan ended, unless it had to move on: then the scan was for its readers
 * only. */
static void extend_ring(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct ring *kept = &lane->scan.kept;
    size_t bytes = lane->ring.bytes;
    assert(lane->scan.keeps);
    /* The ring must stay without gaps. */
    if (lane->ring.from != lane->scan.until)
        return;
    /* More than its share for now: it gives that back after KEEP_MS. */
    ring_prepend(&lane->ring, kept, lane_ring_limit(lane, &lane->ring) + kept->bytes);
    hub->stats.ring_bytes += lane->ring.bytes - bytes;
    lane_count_beyond(lane);
}

/* Offsets between the last record and the end are nobody's: what the broker left out there are
 * markers of transactions. */
void scan_complete(struct lane *lane)
{
    struct lane_scan *scan = &lane->scan;
    assert(scan->running && scan->next <= scan->until);
    scan->next = scan->until; /* nothing is left between: transaction markers, say */
    extend_ring(lane);
    /* The lane was opened at its end, and has read nothing since: so what is before the end is this. */
    if (!lane->head.check && scan->last.check)
        lane->head = scan->last;
    assert(lane->head.next <= lane->position);
}

/* The broker is away, or the partition moves: a second later it may be well again. */
void scan_failed(struct lane *lane)
{
    assert(lane->scan.running);
    lane->scan.retry_ms = lane->hub->now_ms + SCAN_RETRY_MS;
}

/* Records that were kept and did not go to the ring are dropped. */
void scan_end(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct lane_scan *scan = &lane->scan;
    assert(scan->running && hub->scans.running_count > 0);
    DL_DELETE2(hub->scans.running, lane, scan.prev, scan.next_lane);
    hub->scans.running_count--;
    scan->running = scan->paused = scan->useless = scan->served = false;
    scan->bytes = scan->records = 0;
    scan->last = (struct position){0};
    free(scan->checks);
    scan->checks = NULL;
    scan->check_count = scan->check_at = 0;
    ring_clear(&scan->kept, 0);
    lane_count_beyond(lane);
    scan->keeps_until_ms = hub->now_ms + KEEP_MS;
    conflation_table_free(&scan->last_messages);
}

/* --- what was read -------------------------------------------------------------------------- */

bool scan_keeps_all(const struct lane *lane)
{
    assert(lane->scan.kept.from >= lane->scan.from);
    return lane->scan.kept.from == lane->scan.from;
}

/* Measured in what its records take here, frames and the gaps between offsets included, which the
 * lane's mean size of a record does not know. */
bool scan_will_keep_all(const struct lane *lane)
{
    const struct lane_scan *scan = &lane->scan;
    assert(scan->running && scan->from <= scan->next && scan->next <= scan->until);
    if (!scan_keeps_all(lane) || scan->next == scan->from)
        return scan_keeps_all(lane);
    uint64_t per_offset = scan->kept.bytes / (uint64_t)(scan->next - scan->from), rest;
    size_t limit = lane_ring_limit(lane, &scan->kept);
    return scan->kept.bytes <= limit &&
           !__builtin_mul_overflow(per_offset, (uint64_t)(scan->until - scan->next), &rest) &&
           rest <= limit - scan->kept.bytes;
}

/* Down to the share that any lane's ring may have. */
static void give_back(struct lane *lane)
{
    struct hub *hub = lane->hub;
    size_t bytes = lane->ring.bytes;
    ring_trim(&lane->ring, hub->config.ring_bytes);
    assert(lane->ring.bytes <= bytes && hub->stats.ring_bytes >= bytes - lane->ring.bytes);
    hub->stats.ring_bytes -= bytes - lane->ring.bytes;
    lane_count_beyond(lane);
}

/* A scan that can keep nothing ends whenever its readers' sockets block, and begins again, a record
 * further. */
void scan_make_room(struct lane *lane)
{
    assert(!lane->scan.running);
    if (lane->beyond > lane_ring_limit(lane, &lane->scan.kept))
        give_back(lane);
}

void scan_keep_no_more(struct lane *lane)
{
    assert(!lane->scan.running);
    if (!lane->scan.keeps)
        return;
    lane->scan.keeps = false;
    DL_DELETE2(lane->hub->scans.keeping, lane, scan.keeps_prev, scan.keeps_next);
    give_back(lane);
}
