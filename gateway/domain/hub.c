#include <stdlib.h>

#include "history.h"
#include "mem.h"
#include "orders.h"

_Static_assert((int)HUB_KEYS_MOST == (int)CURSOR_KEYS_LIMIT, "all keys verify cursors");

enum {
    SWEEP_PERIOD_MS = 1000,
    LOOKERS_A_TURN = 16, /* a scan's end may make thousands of them */
    SWEEP_ROUNDS = 10,   /* periods in which every session is looked at once */
};

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
    cursor_keys_init(&hub->keys, config->keys, config->key_count);
    return hub;
}

static void free_lanes(struct hub *hub)
{
    struct lane *lane, *next;
    HASH_ITER(hh, hub->lanes, lane, next) {
        catch_up_forget(lane);
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
    while (hub->decoded.count)
        hub_forget_decoded(hub);
    message_unref(hub->delivered);
    quotas_free(hub->quotas);
    orders_free(hub->orders);
    cursor_keys_deinit(&hub->keys);
    buffer_deinit(&hub->cursor_text);
    buffer_deinit(&hub->positions);
    buffer_deinit(&hub->room_name);
    buffer_deinit(&hub->public_id);
    buffer_deinit(&hub->private_id);
    free(hub);
}

const struct hub_stats *hub_stats(const struct hub *hub)
{
    return &hub->stats;
}

/* --- opening -------------------------------------------------------------------------------- */

static void expect_open(struct session *session)
{
    assert(session->opening && !session->opening->pending);
    struct hub *hub = session->hub;
    struct pending_request *pending = mem_new(struct pending_request);
    pending->session = session;
    pending->deadline_ms = hub->now_ms + hub->config.open_timeout_ms;
    DL_APPEND(hub->pending, pending);
    session->opening->pending = pending;
}

/* Lanes that are read already need no answer of the source. */
static void start_in_open_lanes(struct session *session)
{
    for (unsigned i = 0; i < session->place_count; i++) {
        struct place *place = session->places[i];
        if (place->state != PLACE_OPENING || !place->lane->open || place->doubtful)
            continue;
        catch_up_start(place);
        if (!session->opening || !session->opening->resumed)
            return; /* it gave up and has started afresh */
    }
}

/* Counts it with its user and tenant; false: it is refused. */
static bool enter_quotas(struct session *session, const struct session_request *request)
{
    struct hub *hub = session->hub;
    struct quota_owner owner = {.tenant = session_tenant(session), .user = session_user(session)};
    struct quota_refusal refusal;
    if (!hub->quotas || quotas_enter(hub->quotas, &owner, request->continued.size > 0, hub->now_ms,
                                     &session->quotas, &refusal))
        return true;
    hub->stats.quota_refused[refusal.scope][refusal.kind]++;
    session->opening->refusal_retry_ms = refusal.retry_after_ms;
    session_end(session, "rate_limited", true);
    return false;
}

static bool is_admitted(struct session *session)
{
    bool transient;
    const char *problem = session_admit(session, &transient);
    if (problem)
        session_end(session, problem, transient);
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
    if (!is_admitted(session))
        return;
    expect_open(session);
    start_in_open_lanes(session);
    session_try_open(session);
}

struct session *hub_open_session(struct hub *hub, const struct session_request *request)
{
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
    DL_APPEND(hub->sessions, session);
    hub->stats.sessions++;
    if (request->continued.size) {
        continue_session(session, request);
        return session;
    }
    if (policy_claims(hub->config.policy, request->claims, &session->claims) != STATUS_OK) {
        session_end(session, "bad_claims", false);
        return session;
    }
    if (!enter_quotas(session, request))
        return session;
    const char *problem = NULL;
    if (hub->config.recovery && request->private_id.size)
        session->opening->reason = resume_follow(session, request);
    if (!session->opening->resumed) {
        session_detach_all(session);
        free(session->left);
        session->left = NULL;
        session_clear_queue(session);
        buffer_clear(&session->opening->left);
        problem = resume_fresh(session);
    }
    if (problem) {
        session_end(session, problem, false);
        return session;
    }
    if (!is_admitted(session))
        return session;
    expect_open(session);
    if (session->opening->resumed)
        start_in_open_lanes(session);
    session_try_open(session);
    return session;
}

/* --- records -------------------------------------------------------------------------------- */

/* What a broker calls an offset: none is below 0, and cursors hold no such. */
static int64_t offset_of(int64_t offset)
{
    return offset < 0 ? 0 : offset;
}

static void lane_alive(struct lane *lane)
{
    struct place *place;
    if (!lane->stale)
        return;
    lane->stale = false;
    DL_FOREACH2(lane->sessions, place, next_session)
        session_lane_live(place);
}

void hub_lane_opened(struct hub *hub, struct lane *lane, int64_t first, int64_t end)
{
    struct place *place, *next;
    end = offset_of(end);
    lane->first = offset_of(first);
    lane_alive(lane);
    if (lane->open) {
        if (end < lane->position)
            hub_lane_broken(hub, lane, "truncated");
        return;
    }
    lane->open = true;
    assert(lane->places_ahead.count == 0 && lane->histories_ahead.count == 0);
    lane->position = end;
    lane->head = (struct position){.next = end};
    ring_clear(&lane->ring, end);
    hub->stats.lanes_open++;
    DL_FOREACH_SAFE2(lane->sessions, place, next, next_session)
        session_lane_opened(place);
}

void hub_lane_ends(struct hub *hub, struct lane *lane, int64_t first, int64_t end)
{
    (void)hub;
    catch_up_ends(lane, offset_of(first), offset_of(end));
}

void hub_lane_unavailable(struct hub *hub, struct lane *lane, const char *reason, int64_t wall_ms)
{
    struct place *place;
    (void)hub, (void)reason;
    if (!lane->open || lane->stale)
        return;
    lane->stale = true;
    lane->stale_since_ms = wall_ms;
    DL_FOREACH2(lane->sessions, place, next_session)
        session_lane_stale(place);
}

static void offer_live(struct place *place, struct message *message)
{
    assert(place->lane->id == message->lane_id);
    if (place->state != PLACE_LIVE || message->offset < place->next)
        return;
    if (session_offer(place, message))
        return;
    place_move(place, PLACE_BEHIND);
    place->next = message->offset;
    place->session->progress_ms = place->lane->hub->now_ms;
    place->lane->hub->stats.behind_entered++;
}

void hub_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    lane_alive(lane);
    if (!lane->open || record->offset < lane->position || record->offset == INT64_MAX)
        return;
    hub->stats.records++;
    struct message *message =
        message_new(lane->id, record, lane->scope, hub->config.rooms_per_record);
    lane->record_bytes = (7 * lane->record_bytes + record->value.size + 1) / 8;
    size_t ring_bytes = lane->ring.bytes;
    if (lane->ring_turn != hub->turn) {
        lane->ring_turn = hub->turn;
        ring_settle(&lane->ring);
    }
    uint64_t queued = hub->stats.queued_messages;
    lane_offer(lane, message, offer_live);
    conflation_note(lane, message);
    hub->stats.records_skipped += hub->stats.queued_messages == queued;
    hub->stats.records_faulty[message->fault] += message->fault != RECORD_SOUND;
    lane->position = record->offset + 1;
    lane->head = (struct position){lane->position, message->check};
    ring_push(&lane->ring, message, lane_ring_limit(lane, &lane->ring));
    assert(ring_at(&lane->ring, lane->ring.count - 1)->offset + 1 == lane->position);
    hub->stats.ring_bytes += lane->ring.bytes - ring_bytes;
    if (lane->keeps)
        lane_count_beyond(lane);
    catch_up_arrived(lane);
}

void hub_lane_position(struct hub *hub, struct lane *lane, int64_t position)
{
    (void)hub;
    lane_alive(lane);
    if (lane->open && position > lane->position)
        lane->position = position;
    catch_up_arrived(lane);
}

/* A session that is not let in yet: what is queued for it is of the old log. */
static void leave_broken_lane(struct place *place, const char *reason)
{
    assert(place->session->state == SESSION_OPENING);
    struct session *session = place->session;
    if (session->opening->resumed) {
        resume_give_up(session, reason);
        return;
    }
    session_clear_queue(session);
    catch_up_leave(place);
    place_move(place, PLACE_OPENING);
}

void hub_lane_broken(struct hub *hub, struct lane *lane, const char *reason)
{
    struct place *place, *next;
    if (!lane->open)
        return;
    catch_up_forget(lane);
    lane->open = false;
    hub->stats.lanes_open--;
    hub->stats.ring_bytes -= lane->ring.bytes;
    ring_clear(&lane->ring, 0);
    lane_count_beyond(lane);
    conflation_table_free(&lane->last_messages);
    DL_FOREACH_SAFE2(lane->sessions, place, next, next_session) {
        struct session *session = place->session;
        if (session->state == SESSION_OPENING) {
            leave_broken_lane(place, reason);
            continue;
        }
        hub->stats.gaps++;
        session_end(session, reason, true);
    }
    assert(!lane->scan.running && !lane->keeps && !lane->in_doubt);
    lane->position = 0;
    lane->head = (struct position){0};
    hub->source_ops->reopen(hub->source, lane);
}

bool hub_scan_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    (void)hub;
    return scan_record(lane, record);
}

void hub_scan_ended(struct hub *hub, struct lane *lane, enum status status, int64_t first)
{
    (void)hub;
    scan_ended(lane, status, offset_of(first));
}

/* --- time ----------------------------------------------------------------------------------- */

static void expire_pending(struct hub *hub)
{
    while (hub->pending && hub->pending->deadline_ms <= hub->now_ms) {
        struct pending_request *pending = hub->pending;
        if (pending->lane) {
            session_expire_join(pending);
            continue;
        }
        DL_DELETE(hub->pending, pending);
        pending->session->opening->pending = NULL;
        session_end(pending->session, "unavailable", true);
        free(pending);
    }
}

/* Who is woken meanwhile waits for the next turn. */
static void tell_listed(struct attention *list, uint64_t most)
{
    for (uint64_t left = list->count < most ? list->count : most; left && list->first; left--) {
        struct session *session = list->first;
        if (session->overflowed)
            session_end_overflowed(session);
        assert(session->listed == list && session->state != SESSION_CLOSED);
        session_unlist(session);
        session->signaled = true;
        session->transport->ready(session, session->connection);
    }
}

static void tell_sessions(struct hub *hub)
{
    hub->depth++;
    tell_listed(&hub->ready, UINT64_MAX);
    tell_listed(&hub->lookers, LOOKERS_A_TURN);
    hub->depth--;
}

static void close_lingering(struct hub *hub)
{
    while (hub->lingering && hub->lingering->linger_until_ms <= hub->now_ms) {
        struct lane *lane = hub->lingering;
        assert(lane->in_linger && lane->session_count == 0);
        catch_up_forget(lane);
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
        int64_t records = session_position(place).next - place->reported;
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
    sweep(hub);
    history_run(hub);
    tell_sessions(hub);
    catch_up_run(hub);
    close_lingering(hub);
    reap_sessions(hub);
}

int64_t hub_deadline_ms(const struct hub *hub)
{
    int64_t deadline = catch_up_deadline(hub);
    if (hub->ready.first || hub->lookers.first || hub->dying || hub->histories)
        return hub->now_ms;
    if (session_orders_deadline_ms(hub) < deadline)
        deadline = session_orders_deadline_ms(hub);
    if (hub->pending && hub->pending->deadline_ms < deadline)
        deadline = hub->pending->deadline_ms;
    if (hub->lingering && hub->lingering->linger_until_ms < deadline)
        deadline = hub->lingering->linger_until_ms;
    if (hub->sessions && hub->sweep_due_ms < deadline)
        deadline = hub->sweep_due_ms;
    return deadline;
}
