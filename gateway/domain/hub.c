/* The hub's calls, and its turn. Each call from outside does what it must at once and notes what
 * follows for sessions: whose place has changed is settled at the end of the call, whose
 * transport must hear of something is told in hub_run().
 *
 * So no function of the hub finds a session half-way changed by another, a transport's callback
 * may call the hub as it likes, and everything that is ready for a client in a turn goes out in
 * one write.
 *
 * A turn: what is due by time, orders, a share of the slow walk, histories, then the transports,
 * then what they have left behind. The dead are freed last, when nobody is in the middle of
 * them. */
#include <stdlib.h>

#include "catch_up.h"
#include "conflation.h"
#include "join.h"
#include "lane.h"
#include "mem.h"
#include "membership.h"
#include "orders.h"
#include "read_back.h"
#include "resume.h"
#include "session.h"
#include "session_presence.h"
#include "session_rights.h"

_Static_assert((int)HUB_KEYS_MOST == (int)CURSOR_KEYS_LIMIT, "all keys verify cursors");

enum {
    SWEEP_PERIOD_MS = 1000,
    LOOKERS_A_TURN = 16, /* a scan's end may make thousands of them */
    SWEEP_ROUNDS = 10,   /* periods in which every session is looked at once */
};

static struct presence *new_presence(const struct hub_config *config)
{
    struct presence_config presence = {.seed = config->hash_seed,
                                       .users = config->presence.users,
                                       .entries = config->presence.entries,
                                       .tenant_entries = config->presence.tenant_entries,
                                       .linger_ms = config->presence.linger_ms,
                                       .pending = session_presence_pending};
    static_assert(sizeof(presence.worker) == sizeof(config->presence.worker), "one is the other");
    memcpy(presence.worker, config->presence.worker, sizeof(presence.worker));
    return presence_new(&presence);
}

struct hub *hub_new(const struct hub_config *config, const struct lane_source_ops *source_ops,
                    void *source)
{
    struct hub *hub = mem_new(struct hub);
    assert(config->queue_messages > 0 && config->queue_messages <= HUB_QUEUE_MOST);
    assert(config->rooms_per_session > 0 && config->rooms_per_session <= HUB_ROOMS_MOST);
    assert(config->lanes_per_session > 0 && config->lanes_per_session <= HUB_LANES_MOST);
    assert(config->pending_joins <= HUB_JOINS_MOST);
    /* What a session is told at its beginning, of rooms that it may not have any more, fits. */
    assert(config->answers >= config->rooms_per_session && config->answers <= HUB_ANSWERS_MOST);
    assert(config->answer_bytes > 0);
    assert(config->rooms_per_record > 0 && config->rooms_per_record <= HUB_ROOMS_OF_RECORD_MOST);
    assert((!config->recovery || config->key_count > 0) && config->key_count <= HUB_KEYS_MOST);
    hub->config = *config;
    hub->source_ops = source_ops;
    hub->source = source;
    if (config->quotas) {
        struct quotas_config quotas = *config->quotas;
        quotas.seed = config->hash_seed;
        hub->quotas = quotas_new(&quotas);
        hub->config.quotas = NULL;
    }
    if (config->orders.most > 0)
        hub->orders = orders_new(
            &(struct orders_config){.most = config->orders.most, .seed = config->hash_seed});
    if (config->presence.kind_count > 0)
        hub->presence = new_presence(config);
    cursor_keys_init(&hub->keys, config->keys, config->key_count);
    return hub;
}

/* Everything under way for the lane is over. */
static void stop_lane(struct lane *lane)
{
    read_back_forget(lane);
    catch_up_forget(lane);
    views_forget(lane);
    assert(!lane->view.view && !lane->scan.running && !lane->scan.keeps && !lane->in_doubt);
}

static void free_lanes(struct hub *hub)
{
    struct lane *lane, *next;
    HASH_ITER(hh, hub->lanes, lane, next) {
        stop_lane(lane);
        lane_free(lane);
    }
}

static void reap_sessions(struct hub *hub)
{
    struct session *session, *next;
    DL_FOREACH_SAFE(hub->dying, session, next) {
        DL_DELETE(hub->dying, session);
        session_reap(session);
    }
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    assert(!hub->sessions);
    reap_sessions(hub);
    free_lanes(hub);
    views_deinit(hub);
    decoded_clear(&hub->decoded);
    message_unref(hub->delivered);
    quotas_free(hub->quotas);
    orders_free(hub->orders);
    presence_free(hub->presence);
    cursor_keys_deinit(&hub->keys);
    buffer_deinit(&hub->cursor_text);
    buffer_deinit(&hub->positions);
    buffer_deinit(&hub->room_name);
    buffer_deinit(&hub->chunk);
    buffer_deinit(&hub->public_id);
    buffer_deinit(&hub->private_id);
    free(hub);
}

const struct hub_stats *hub_stats(const struct hub *hub)
{
    return &hub->stats;
}

struct presence *hub_presence(const struct hub *hub)
{
    return hub->presence;
}

/* --- opening -------------------------------------------------------------------------------- */

/* Lanes that are read already need no answer of the source. */
static void start_in_open_lanes(struct session *session)
{
    for (unsigned i = 0; i < session->place_count; i++) {
        struct place *place = session->places[i];
        if (place->state == PLACE_OPENING && place->lane->open)
            catch_up_start(place);
    }
}

/* All that it needs has been asked for: it opens when that is there, which may be now. */
static void await_places(struct session *session)
{
    joins_expect_open(session);
    if (session->opening->resumed)
        start_in_open_lanes(session);
    session_places_changed(session);
    session_settle_changed(session->hub);
}

/* Counts it with its user and tenant; false: it is refused. */
/* Before its rooms are looked at: what is refused here costs no lane. */
static bool enter_quotas(struct session *session, const struct session_request *request)
{
    struct hub *hub = session->hub;
    struct quota_owner owner = {.tenant = session_tenant(session), .user = session_user(session)};
    struct quota_refusal refusal;
    if (!hub->quotas || quotas_enter(hub->quotas, &owner, request->continued.size > 0, hub->now_ms,
                                     &session->quota, &refusal))
        return true;
    hub->stats.quota_refused[refusal.scope][refusal.kind]++;
    session->opening->refusal_retry_ms = refusal.retry_after_ms;
    session_end(session, "rate_limited", true);
    return false;
}

static bool is_admitted(struct session *session)
{
    const char *problem = session_admit(session);
    if (problem)
        session_end(session, problem, false);
    return !problem;
}

static void continue_session(struct session *session, const struct session_request *request)
{
    assert(session->opening && !session->claims);
    if (!session_migrate_in(session, request->continued)) {
        session_detach_all(session);
        session_end(session, "cannot_continue", true);
        return;
    }
    bool enters = enter_quotas(session, request);
    assert(enters);
    (void)enters;
    if (is_admitted(session))
        await_places(session);
}

/* What orders refuse costs no lane; those for a session are asked when it is known which one it is. */
static void begin_session(struct session *session, const struct session_request *request)
{
    struct hub *hub = session->hub;
    assert(session->opening && !session->claims);
    if (policy_claims(hub->config.policy, request->claims, &session->claims) != STATUS_OK) {
        session_end(session, "bad_claims", false);
        return;
    }
    if (!enter_quotas(session, request))
        return;
    const char *reason = NULL, *problem = session_token_problem(session, session->claims);
    if (!problem && hub->config.recovery && request->private_id.size)
        reason = resume_follow(session, request);
    if (!problem && !session->opening->resumed)
        problem = resume_afresh(session, reason);
    if (problem)
        session_end(session, problem, false);
    else if (is_admitted(session))
        await_places(session);
}

struct session *hub_open_session(struct hub *hub, const struct session_request *request)
{
    /* The only refusal without a stream: a session for it is what there is no room for. */
    if (hub->stats.sessions >= hub->config.sessions) {
        hub->stats.sessions_refused++;
        return NULL;
    }
    if (request->now_ms > hub->now_ms)
        hub->now_ms = request->now_ms;
    struct session *session = mem_new(struct session);
    session->hub = hub;
    session->transport = request->transport;
    session->connection = request->connection;
    session->progress_ms = hub->now_ms;
    session->opening = mem_new(struct session_opening);
    memcpy(session->opening->random, request->random, sizeof(request->random));
    /* From here on it ends like any other, by its stream: REFUSED is a delivery. */
    DL_APPEND(hub->sessions, session);
    hub->stats.sessions++;
    if (!session_can_be_judged(hub))
        session_end(session, "unavailable", true);
    else if (request->continued.size)
        continue_session(session, request);
    else
        begin_session(session, request);
    return session;
}

/* --- records -------------------------------------------------------------------------------- */

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
    stop_lane(lane);
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

/* --- time ----------------------------------------------------------------------------------- */

/* All wait equally long, so the list is in order of time. */
static void expire_pending(struct hub *hub)
{
    while (hub->pending && hub->pending->deadline_ms <= hub->now_ms) {
        struct pending_request *pending = hub->pending;
        struct session *session = pending->session;
        if (!pending->place)
            joins_open_over(session);
        else if (session_expire_join(pending))
            continue;
        session_end(session, "unavailable", true);
    }
}

/* Sessions that are woken meanwhile wait for the next turn. */
static void tell_listed(struct attention *list, uint64_t most)
{
    /* Counted before: a session that is woken by what this one does waits for the next turn, so
     * the loop ends. */
    for (uint64_t left = list->count < most ? list->count : most; left && list->first; left--) {
        struct session *session = list->first;
        if (session->overflowed)
            session_end_overflowed(session);
        assert(session->listed == list && session->state != SESSION_CLOSED);
        session_unlist(session);
        session_set_signaled(session, true);
        session->transport->ready(session, session->connection);
    }
}

static void tell_sessions(struct hub *hub)
{
    hub->depth++;
    tell_listed(&hub->ready, UINT64_MAX);
    /* Those that only have a ring to look through, a few at a time: each may look at thousands
     * of records. */
    tell_listed(&hub->lookers, LOOKERS_A_TURN);
    hub->depth--;
}

/* Likewise in order: each lane lingers as long as any other. */
static void close_lingering(struct hub *hub)
{
    while (hub->lingering && hub->lingering->linger_until_ms <= hub->now_ms) {
        struct lane *lane = hub->lingering;
        assert(lane->in_linger && lane->place_count == 0);
        stop_lane(lane);
        lane_free(lane);
    }
}

static void look_at(struct session *session)
{
    assert(session->told_lanes <= session->place_count);
    struct hub *hub = session->hub;
    if (session->state != SESSION_OPEN || session->opening)
        return;
    if (session_is_behind(session)) {
        if (hub->now_ms - session->progress_ms > hub->config.behind_timeout_ms) {
            hub->stats.behind_closed++;
            session_end(session, "too_slow", true);
        }
        return;
    }
    if (!hub->config.recovery || session->queue.count)
        return;
    for (unsigned i = 0; i < session->told_lanes; i++) {
        const struct place *place = session->places[i];
        /* Nothing was for it, while the lane went on: its client's cursor grows old, and one day
         * it would be beyond the horizon. A cursor alone keeps it fresh. */
        int64_t records = place_position(place).next - place->reported;
        if (records > 0 && lane_bytes_of(place->lane, records) > hub->config.cursor_lag_bytes) {
            struct control control = {0};
            session_push_control(session, ITEM_CURSOR, bytes_of("", 0), &control);
            return;
        }
    }
}

/* A slow walk over all sessions, a share of them every period. */
static void sweep(struct hub *hub)
{
    if (hub->now_ms < hub->sweep_due_ms)
        return;
    hub->sweep_due_ms = hub->now_ms + SWEEP_PERIOD_MS;
    /* What is not worth a timer for each session: to be behind for too long, or to hold an old
     * cursor. All of them come up once in SWEEP_ROUNDS periods. */
    for (uint64_t i = 0; i < hub->stats.sessions / SWEEP_ROUNDS + 1; i++) {
        if (!hub->sweep)
            hub->sweep = hub->sessions;
        if (!hub->sweep)
            return;
        struct session *session = hub->sweep;
        hub->sweep = session->next;
        look_at(session);
    }
}

void hub_run(struct hub *hub, int64_t now_ms)
{
    assert(hub->depth == 0);
    hub->turn++;
    if (now_ms > hub->now_ms)
        hub->now_ms = now_ms;
    catch_up_turn(hub);
    expire_pending(hub);
    session_orders_run(hub);
    if (hub->presence)
        presence_run(hub->presence, hub->now_ms);
    sweep(hub);
    views_run(hub);
    history_search_run(hub);
    assert(!hub->changed); /* transports find every session as it stands */
    tell_sessions(hub);
    read_back_run(hub);
    catch_up_run(hub);
    session_settle_changed(hub);
    close_lingering(hub);
    reap_sessions(hub);
}

int64_t hub_deadline_ms(const struct hub *hub)
{
    int64_t deadline = read_back_deadline(hub), doubts = catch_up_deadline(hub);
    if (hub->ready.first || hub->lookers.first || hub->dying || hub->searches)
        return hub->now_ms;
    if (doubts < deadline)
        deadline = doubts;
    if (views_deadline_ms(hub) < deadline)
        deadline = views_deadline_ms(hub);
    if (session_orders_deadline_ms(hub) < deadline)
        deadline = session_orders_deadline_ms(hub);
    if (hub->presence && presence_deadline_ms(hub->presence) < deadline)
        deadline = presence_deadline_ms(hub->presence);
    if (hub->pending && hub->pending->deadline_ms < deadline)
        deadline = hub->pending->deadline_ms;
    if (hub->lingering && hub->lingering->linger_until_ms < deadline)
        deadline = hub->lingering->linger_until_ms;
    if (hub->sessions && hub->sweep_due_ms < deadline)
        deadline = hub->sweep_due_ms;
    return deadline;
}
