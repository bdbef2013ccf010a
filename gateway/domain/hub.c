/* The hub, made and ended, and its turn. Each call from outside (hub_open.c, hub_lanes.c,
 * session.c) does what it must at once and notes what follows for sessions: whose place has changed
 * is settled at the end of the call, whose transport must hear of something is told in hub_run().
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
#include "hub_private.h"
#include "join.h"
#include "lane.h"
#include "mem.h"
#include "orders.h"
#include "read_back.h"
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
    /* Else who hears nothing for long could not come back, whatever it has missed. */
    if (hub->config.cursor_lag_bytes > config->catch_up_bytes / 2)
        hub->config.cursor_lag_bytes = config->catch_up_bytes / 2;
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

static void free_lanes(struct hub *hub)
{
    struct lane *lane, *next;
    HASH_ITER(hh, hub->lanes, lane, next) {
        hub_stop_lane(lane);
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
        hub_stop_lane(lane);
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
        const struct place *place = session_places(session)[i];
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
