/* How a session opens: the hub's limit, the orders of the backend, quotas, its claims; where it goes
 * on, from a private id, a cursor or another gateway, or that it starts afresh; and that it waits
 * for its lanes.
 *
 * Whatever refuses it, it is a session from the first line on, and ends like any other: REFUSED is
 * a delivery of its stream. */
#include "catch_up.h"
#include "mem.h"
#include "membership.h"
#include "resume.h"
#include "session.h"
#include "session_rights.h"

/* Lanes that are read already need no answer of the source. */
static void start_in_open_lanes(struct session *session)
{
    for (unsigned i = 0; i < session->place_count; i++) {
        struct place *place = session_places(session)[i];
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

/* Counts it with its user and tenant; false: it is refused. Before its rooms are looked at, so that
 * what is refused here costs no lane. */
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
