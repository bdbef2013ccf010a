/* What a session may do, by its claims and by the orders of the backend (orders.h) together:
 * whether it is let in, and which rooms are open to it. An order that closes a room stands above
 * one that opens it, and both above the policy. */
#include <stdlib.h>

#include "mem.h"
#include "session_rights.h"

/* --- what is said of it ----------------------------------------------------------------------- */

/* The token's own claims, not the session's: a fresh token may have another id. */
static void find_subjects(const struct session *session, const struct claims *claims,
                          struct orders_principal *principal, struct order_subjects *subjects)
{
    const struct policy *policy = session->hub->config.policy;
    struct buffer *id = &session->hub->public_id;
    buffer_clear(id);
    cursor_append_base64url(bytes_of(session->public_id, sizeof(session->public_id)), id);
    *principal = (struct orders_principal){.tenant = claims_tenant(claims),
                                           .user = claims_user(claims),
                                           .session = buffer_peek(id),
                                           .token = policy_token_id(policy, claims)};
    orders_find(session->hub->orders, principal, subjects);
}

/* A client that is not to know why is told what any other without the right is told. */
const char *session_verdict(const struct session *session, const struct claims *claims,
                            const struct order_subjects *subjects)
{
    const struct hub *hub = session->hub;
    enum orders_verdict found =
        orders_judge(subjects, policy_issued_ms(hub->config.policy, claims));
    if (found == ORDERS_ADMITS)
        return NULL;
    if (!hub->config.orders.tell)
        return "not_allowed";
    return found == ORDERS_DISCONNECTS ? "disconnected" : "token_revoked";
}

/* While it opens it is not a member yet, and its subjects are looked up; from then on it knows
 * them. */
static enum orders_room said_of(const struct session *session, struct bytes room)
{
    const struct orders *orders = session->hub->orders;
    struct orders_principal principal;
    struct order_subjects subjects;
    if (!orders || orders_count(orders) == 0)
        return ORDERS_ROOM_FREE;
    if (session->member)
        return orders_room_of(orders, &session->member->subjects, room);
    find_subjects(session, session->claims, &principal, &subjects);
    return orders_room_of(orders, &subjects, room);
}

bool session_is_kept_out(const struct session *session, struct bytes room)
{
    return said_of(session, room) == ORDERS_ROOM_CLOSED;
}

bool session_may_join(const struct session *session, struct bytes room)
{
    enum orders_room said = said_of(session, room);
    return said == ORDERS_ROOM_OPENED ||
           (said == ORDERS_ROOM_FREE &&
            policy_may_join(session->hub->config.policy, session->claims, room));
}

const char *session_token_problem(const struct session *session, const struct claims *claims)
{
    struct orders_principal principal;
    struct order_subjects subjects;
    if (!session->hub->orders)
        return NULL;
    find_subjects(session, claims, &principal, &subjects);
    const char *problem = session_verdict(session, claims, &subjects);
    session->hub->stats.kept_out += problem != NULL;
    return problem;
}

/* --- it comes and goes ------------------------------------------------------------------------ */

void session_dismiss(struct session *session)
{
    if (!session->member)
        return;
    orders_leave(session->hub->orders, session->member);
    free(session->member);
    session->member = NULL;
}

/* The topic has not been read to where it ended at the start: whoever is let in now might be one
 * that an order ended an hour ago. */
bool session_can_be_judged(const struct hub *hub)
{
    return !hub->orders || hub->orders_known;
}

const char *session_admit(struct session *session)
{
    struct hub *hub = session->hub;
    struct orders_principal principal;
    struct order_subjects subjects;
    assert(session->claims);
    if (!hub->orders)
        return NULL;
    session_dismiss(session);
    assert(hub->orders_known);
    find_subjects(session, session->claims, &principal, &subjects);
    const char *problem = session_verdict(session, session->claims, &subjects);
    if (problem) {
        hub->stats.kept_out++;
        return problem;
    }
    /* Apart from the session: most gateways take no orders. */
    session->member = mem_new(struct orders_member);
    session->member->session = session;
    orders_enter(hub->orders, session->member, &principal);
    return NULL;
}

void session_admit_token(struct session *session)
{
    struct orders_principal principal;
    struct order_subjects subjects;
    if (!session->member)
        return;
    find_subjects(session, session->claims, &principal, &subjects);
    assert(!session_verdict(session, session->claims, &subjects));
    orders_change_token(session->hub->orders, session->member, &principal);
}

/* Also if there are none any more: the one that opened a room may have been lifted just now. */
void session_ask_orders(struct session *session)
{
    if (session->member)
        orders_look_at(session->hub->orders, session->member);
}
