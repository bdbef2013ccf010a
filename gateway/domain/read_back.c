/* What happens with a lane's scan (scan.h): when it starts, what each record means for those who
 * read along, and where they go on when it ends, is paused for too long, or fails.
 *
 * For each record: cursors that name it are verified first, then histories look at it, then
 * sessions are offered it. In this order, since a place that turns out to belong to another log
 * must get nothing of this one, and a history ends where the session's part begins. */
#include "read_back.h"

#include "catch_up.h"
#include "conflation.h"
#include "lane.h"

/* --- start ---------------------------------------------------------------------------------- */

/* Places that left at the ring's edge need no scan any more. */
static void release_covered(struct lane *lane)
{
    struct place *place, *next;
    assert(!lane->scan.running);
    DL_FOREACH_SAFE2(lane->scan.places, place, next, list_next) {
        lane->hub->stats.steps++;
        if (scan_first_needed(place) >= lane->ring.from)
            catch_up_start(place);
    }
}

/* Starts at the lowest offset that a session or a history needs. */
static void start_scan(struct lane *lane)
{
    assert(lane->open && !lane->scan.running);
    scan_make_room(lane);
    release_covered(lane);
    int64_t for_histories = history_search_gather(lane), for_sessions = scan_gather(lane);
    int64_t from = for_histories < for_sessions ? for_histories : for_sessions;
    if (from < INT64_MAX)
        scan_begin(lane, from);
}

/* --- its records ---------------------------------------------------------------------------- */

/* Readers whose cursor names a record up to this one: it has come with this check, or is not
 * there any more. */
static void verify_readers(struct lane *lane, int64_t offset, uint16_t check)
{
    struct place *place;
    while ((place = scan_take_check(lane, offset))) {
        session_places_changed(place->session);
        if (place->next - 1 == offset && place->check == check)
            place_verified(place);
        else
            place_lose(place, PLACE_RECREATED);
    }
}

static void offer_to_reader(struct place *place, struct message *message)
{
    assert(place->lane->scan.running);
    if (!place->reader.reading || place->check || message->offset < place->next)
        return;
    if (session_offer(place, message)) {
        place->lane->hub->stats.deliveries_caught_up++;
        if (session_is_full(place->session))
            scan_fill(place);
        return;
    }
    place_advance(place, message->offset); /* where it reads the next scan */
    scan_leave(place);
}

bool read_back_record(struct lane *lane, const struct lane_record *record)
{
    struct lane_scan *scan = &lane->scan;
    struct hub *hub = lane->hub;
    if (!scan->running || record->offset < scan->next || record->offset >= scan->until)
        return !scan->paused;
    hub->stats.scan_records++;
    struct message *message =
        message_new(lane->id, record, lane->scope, hub->config.rooms_per_record);
    verify_readers(lane, record->offset, message->check);
    history_search_scanned(lane, message);
    lane_offer(lane, message, offer_to_reader);
    conflation_note_scanned(lane, message);
    hub->stats.records_faulty[message->fault] += message->fault != RECORD_SOUND;
    decoded_keep(&hub->decoded, message);
    scan_note(lane, message, record->value.size);
    return !scan->paused;
}

/* --- its end -------------------------------------------------------------------------------- */

/* The scan runs no more; its readers stay marked, for the caller to say where each goes on. */
static void end_scan(struct lane *lane)
{
    assert(lane->scan.running);
    history_search_scan_over(lane, lane->scan.useless);
    scan_end(lane);
}

/* Does not read along any more, and has had all that the scan has given. */
static void stop_reading(struct place *place)
{
    assert(place->reader.reading);
    scan_leave(place);
    if (!place->check)
        place_advance(place, place->lane->scan.next);
}

void read_back_ended(struct lane *lane, enum status status, int64_t first)
{
    struct place *place, *next;
    if (!lane->scan.running)
        return;
    bool overtaken = first > lane->first; /* by retention: what is left can be had at once */
    lane->first = first;
    if (status == STATUS_OK) {
        /* All that the log has there has come: a cursor whose record did not is of another log. */
        verify_readers(lane, INT64_MAX - 1, 0);
        scan_complete(lane);
    } else if (!overtaken) {
        scan_failed(lane);
    }
    end_scan(lane);
    DL_FOREACH_SAFE2(lane->scan.places, place, next, list_next) {
        lane->hub->stats.steps++;
        if (!place->reader.reading)
            continue;
        stop_reading(place);
        catch_up_start(place);
    }
    assert(lane->scan.readers == 0);
    release_covered(lane);
    scan_want_another(lane);
}

/* After transports have taken what they could: a session that is still full has a blocked socket
 * and leaves. Without readers a scan goes on if all that it reads is kept, to its end: they will be
 * served from that. Else it would be read for nothing, and again for each filling of a queue. */
static void go_on(struct lane *lane)
{
    assert(lane->scan.running);
    struct hub *hub = lane->hub;
    struct lane_scan *scan = &lane->scan;
    for (struct place *place; (place = scan_take_full(lane));) {
        hub->stats.steps++;
        if (place->reader.reading && session_is_full(place->session))
            stop_reading(place);
    }
    scan_unpause(lane);
    bool needed =
        scan->readers || lane->searches.readers || (lane->place_count && scan_will_keep_all(lane));
    if (needed && !scan->useless) {
        hub->source_ops->scan_resume(hub->source, lane);
        return;
    }
    hub->source_ops->scan_cancel(hub->source, lane);
    end_scan(lane);
    scan_want_another(lane);
}

void read_back_forget(struct lane *lane)
{
    struct hub *hub = lane->hub;
    if (lane->scan.running) {
        hub->source_ops->scan_cancel(hub->source, lane);
        end_scan(lane);
    }
    scan_unwant(lane);
    scan_keep_no_more(lane);
}

/* --- time ----------------------------------------------------------------------------------- */

void read_back_run(struct hub *hub)
{
    struct lane *lane, *next;
    DL_FOREACH_SAFE2(hub->scans.running, lane, next, scan.next_lane)
        if (lane->scan.paused || lane->place_count == 0)
            go_on(lane);
    DL_FOREACH_SAFE2(hub->scans.wanted, lane, next, scan.next_lane) {
        if (hub->scans.running_count >= hub->config.scans)
            break;
        /* Others need not wait for one that has failed. */
        if (hub->now_ms < lane->scan.retry_ms)
            continue;
        scan_unwant(lane);
        if (lane->open)
            start_scan(lane);
    }
    DL_FOREACH_SAFE2(hub->scans.keeping, lane, next, scan.keeps_next)
        if (hub->now_ms >= lane->scan.keeps_until_ms)
            scan_keep_no_more(lane);
}

int64_t read_back_deadline(const struct hub *hub)
{
    const struct lane *lane;
    int64_t deadline = INT64_MAX;
    if (hub->scans.running_count < hub->config.scans)
        DL_FOREACH2(hub->scans.wanted, lane, scan.next_lane)
            if (lane->scan.retry_ms < deadline)
                deadline = lane->scan.retry_ms;
    DL_FOREACH2(hub->scans.running, lane, scan.next_lane)
        if (lane->scan.paused)
            return 0;
    DL_FOREACH2(hub->scans.keeping, lane, scan.keeps_next)
        if (lane->scan.keeps_until_ms < deadline)
            deadline = lane->scan.keeps_until_ms;
    return deadline;
}
