/* What lanes bring: that they are open, that they cannot be read or broke, records, positions,
 * scans, state topics. Each is dealt with at once, as far as the lane's own state goes; places that
 * have changed by it are settled at the end of the call. */
#include "catch_up.h"
#include "conflation.h"
#include "hub_private.h"
#include "lane.h"
#include "read_back.h"
#include "session.h"

/* Everything under way for the lane is over. */
void hub_stop_lane(struct lane *lane)
{
    read_back_forget(lane);
    catch_up_forget(lane);
    views_forget(lane);
    assert(!lane->view.view && !lane->scan.running && !lane->scan.keeps && !lane->in_doubt);
}

/* What a broker calls an offset: none is below 0, and cursors hold no such. */
static int64_t offset_of(int64_t offset)
{
    return offset < 0 ? 0 : offset;
}

/* Anything that comes from a lane shows that it can be read again. */
static void lane_alive(struct lane *lane)
{
    const struct place *place;
    if (!lane->stale)
        return;
    lane->stale = false;
    DL_FOREACH2(lane->places, place, next_in_lane)
        session_lane_fresh(place->session);
}

void hub_lane_opened(struct hub *hub, struct lane *lane, int64_t first, int64_t end)
{
    struct place *place;
    end = offset_of(end);
    lane->first = offset_of(first);
    lane_alive(lane);
    /* The source has opened it anew, after the broker was away. If the log ends before what was
     * read, it is not the log that it was. */
    if (lane->open) {
        views_forget(lane);
        history_search_view_settled(lane);
        if (end < lane->position)
            hub_lane_broken(hub, lane, "truncated");
        return;
    }
    lane->open = true;
    assert(lane->places_ahead.count == 0 && lane->searches.ahead.count == 0);
    lane->position = end;
    lane->head = (struct position){.next = end};
    ring_clear(&lane->ring, end);
    hub->stats.lanes_open++;
    DL_FOREACH2(lane->places, place, next_in_lane)
        session_lane_opened(place);
    session_settle_changed(hub);
}

void hub_lane_ends(struct hub *hub, struct lane *lane, int64_t first, int64_t end)
{
    catch_up_ends(lane, offset_of(first), offset_of(end));
    session_settle_changed(hub);
}

void hub_lane_unavailable(struct hub *hub, struct lane *lane, const char *reason, int64_t wall_ms)
{
    const struct place *place;
    (void)hub, (void)reason;
    if (!lane->open || lane->stale)
        return;
    lane->stale = true;
    lane->stale_since_ms = wall_ms;
    DL_FOREACH2(lane->places, place, next_in_lane)
        session_lane_stale(place->session);
}

/* What a session cannot take is not lost and not queued elsewhere: it keeps its place, and
 * catches up from there. */
static void offer_live(struct place *place, struct message *message)
{
    assert(place->lane->id == message->lane_id);
    if (place->state != PLACE_LIVE || message->offset < place->next)
        return;
    if (session_offer(place, message))
        return;
    place_fall_behind(place, message->offset);
    /* From now on it must make progress, or it is ended as too slow. */
    place->session->progress_ms = place->lane->hub->now_ms;
    place->lane->hub->stats.behind_entered++;
}

/* The position has grown: who waits for it? Asked for each record, and hardly ever is it anybody. */
static void arrived(struct lane *lane)
{
    assert(lane->position >= lane->head.next || !lane->open);
    if (waits_reach(&lane->places_ahead, lane->position))
        catch_up_arrived(lane);
    if (waits_reach(&lane->searches.ahead, lane->position))
        history_search_arrived(lane);
    if (views_position(lane))
        history_search_view_settled(lane);
    if (lane->hub->changed)
        session_settle_changed(lane->hub);
}

/* Where its producer has another layout, what concerns rooms of this lane may stand in another one
 * from here on. Sessions that are open cannot know: each is ended, so that its client reads its
 * state anew and comes back, perhaps to a gateway that has the new layout. Once for each revision:
 * while the two differ, this gateway can do no more. */
static void note_layout(struct hub *hub, struct lane *lane, uint64_t layout)
{
    struct place *place, *next;
    if (layout == 0 || layout == layout_revision(hub->config.layout))
        return;
    hub->stats.records_other_layout++;
    if (lane->other_layout == layout)
        return;
    lane->other_layout = layout;
    DL_FOREACH_SAFE2(lane->places, place, next, next_in_lane) {
        if (place->session->state != SESSION_OPEN)
            continue;
        hub->stats.gaps++;
        session_end(place->session, "layout", true);
    }
}

void hub_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    lane_alive(lane);
    /* A record below the position has been dealt with: a source that reopens may repeat some. At
     * the largest offset there would be no next one. */
    if (!lane->open || record->offset < lane->position || record->offset == INT64_MAX)
        return;
    hub->stats.records++;
    struct message *message =
        message_new(lane->id, record, lane->scope, hub->config.rooms_per_record);
    /* A running mean over about eight records: it steers how far to look back, and is no
     * account. */
    lane->record_bytes = (7 * lane->record_bytes + record->value.size + 1) / 8;
    size_t ring_bytes = lane->ring.bytes;
    if (lane->ring_turn != hub->turn) {
        lane->ring_turn = hub->turn;
        ring_settle(&lane->ring);
    }
    /* Fan-out. What follows is done once for the record, whatever the number of members. */
    uint64_t queued = hub->stats.queued_messages;
    lane_offer(lane, message, offer_live);
    conflation_note(lane, message);
    if (views_record(lane, message, record->about_item))
        history_search_view_settled(lane);
    hub->stats.records_skipped += hub->stats.queued_messages == queued;
    hub->stats.records_faulty[message->fault] += message->fault != RECORD_SOUND;
    lane->position = record->offset + 1;
    lane->head = (struct position){lane->position, message->check};
    ring_push(&lane->ring, message, lane_ring_limit(lane, &lane->ring));
    assert(ring_at(&lane->ring, lane->ring.count - 1)->offset + 1 == lane->position);
    hub->stats.ring_bytes += lane->ring.bytes - ring_bytes;
    if (lane->scan.keeps)
        lane_count_beyond(lane);
    note_layout(hub, lane, record->layout);
    arrived(lane);
}

/* A lane may go on without records for anybody: aborted transactions, markers. */
void hub_lane_position(struct hub *hub, struct lane *lane, int64_t position)
{
    assert(lane->hub == hub);
    lane_alive(lane);
    if (lane->open && position > lane->position)
        lane->position = position;
    arrived(lane);
}

void hub_state_ends(struct hub *hub, struct lane *lane, const struct state_ends *ends)
{
    assert(lane->hub == hub);
    if (views_ends(lane, ends))
        history_search_view_settled(lane);
}

void hub_state_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    assert(lane->hub == hub);
    if (views_kept_record(lane, record))
        history_search_view_settled(lane);
}

void hub_state_read(struct hub *hub, struct lane *lane, enum status status)
{
    assert(lane->hub == hub);
    if (views_kept_read(lane, status))
        history_search_view_settled(lane);
}

/* A session that is not let in yet: messages that are queued for it may be of the old log. What it
 * is told of rooms that were left out stays first in its queue: else it would take itself to be in
 * them. The walk comes by once more at one that starts afresh, since it is in the lane anew. */
static void leave_broken_lane(struct place *place, const char *reason)
{
    assert(place->session->state == SESSION_OPENING);
    struct session *session = place->session;
    if (session->opening->resumed) {
        session_start_afresh(session, reason);
        return;
    }
    session_drop_messages(session);
    place_reopen(place);
}

void hub_lane_broken(struct hub *hub, struct lane *lane, const char *reason)
{
    struct place *place, *next;
    if (!lane->open)
        return;
    hub_stop_lane(lane);
    lane->open = false;
    hub->stats.lanes_open--;
    hub->stats.ring_bytes -= lane->ring.bytes;
    ring_clear(&lane->ring, 0);
    lane_count_beyond(lane);
    conflation_table_free(&lane->last_messages);
    /* A client that was given something of the old log must come back with its cursor and is told
     * why; a session that nobody was told of yet begins anew by itself. */
    DL_FOREACH_SAFE2(lane->places, place, next, next_in_lane) {
        struct session *session = place->session;
        if (session->state == SESSION_OPENING) {
            leave_broken_lane(place, reason);
            continue;
        }
        hub->stats.gaps++;
        session_end(session, reason, true);
    }
    assert(!hub->changed && !lane->doubtful_places && lane->places_ahead.count == 0);
    lane->position = 0;
    lane->head = (struct position){0};
    /* It is another log from here on: what is queued yet, for a session that was not in the lane
     * just now and may come back to it, says nothing of where the session stands. */
    lane->id = ++hub->next_lane_id;
    hub->source_ops->reopen(hub->source, lane);
}

bool hub_scan_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    bool more = read_back_record(lane, record);
    session_settle_changed(hub);
    return more;
}

void hub_scan_ended(struct hub *hub, struct lane *lane, enum status status, int64_t first)
{
    read_back_ended(lane, status, offset_of(first));
    session_settle_changed(hub);
}
