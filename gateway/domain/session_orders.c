/* Orders of the backend (orders.h), done to the sessions that they name, so many in each turn:
 * an order for a tenant may name thousands. What holds for a session that comes is
 * session_rights.c's.
 *
 * An order is looked at again whenever something that names the session changes, and what is to
 * be is worked out from all that is in force: so it does not matter in which order they come, or
 * whether one was applied before. */
#include "membership.h"
#include "refresh.h"
#include "session.h"
#include "session_rights.h"

enum { LOOKS_A_TURN = 1024 /* at sessions that orders name, and at their rooms */ };

/* --- what orders do to it --------------------------------------------------------------------- */

struct look {
    struct session *session;
    uint64_t rooms; /* that orders open */
};

/* One that cannot be given is told, unless as much waits for the client as its rooms are worth: who
 * is ended for what it was told would come back to the same. Behind the first that is too many
 * there is nothing to be done. */
static bool open_room(void *context, struct bytes room)
{
    struct look *look = context;
    struct session *session = look->session;
    const struct session_queue *queue = &session->queue;
    look->rooms++;
    if (session_is_in(session, room) || session_is_kept_out(session, room))
        return true;
    struct control control = {.reason = session_gain_room(session, room)};
    bool too_many = control.reason && strcmp(control.reason, "too_many_rooms") == 0;
    if (!control.reason)
        session->hub->stats.rooms_opened++;
    else if (too_many || queue->count - queue->messages < session->hub->config.rooms_per_session)
        session_push_control(session, ITEM_LEFT, room, &control);
    return !too_many && !session->overflowed;
}

/* How many rooms it has looked at. */
static uint64_t follow_orders(struct session *session)
{
    struct hub *hub = session->hub;
    struct look look = {.session = session, .rooms = session->room_count};
    assert(session->member);
    if (session_is_ending(session))
        return 0;
    const char *end = session_verdict(session, session->claims, &session->member->subjects);
    if (end) {
        /* Whose token is worth nothing any more may come back with another. */
        bool revoked = orders_judge(&session->member->subjects, INT64_MAX) == ORDERS_ADMITS;
        hub->stats.disconnected += !revoked;
        hub->stats.revoked += revoked;
        session_end(session, end, revoked && session->state == SESSION_OPEN);
        return 0;
    }
    if (session->state != SESSION_OPEN || session->opening)
        return 0; /* when its client has been told that it is open */
    uint64_t lost = hub->stats.rooms_lost;
    session_lose_rooms(session);
    hub->stats.rooms_closed += hub->stats.rooms_lost - lost;
    orders_new_rooms(hub->orders, session->member, open_room, &look);
    return look.rooms;
}

void session_orders_run(struct hub *hub)
{
    if (!hub->orders)
        return;
    orders_expire(hub->orders, hub->now_ms);
    hub->stats.orders_now = orders_count(hub->orders);
    for (uint64_t looks = 0; looks < LOOKS_A_TURN;) {
        const struct orders_member *member = orders_next(hub->orders);
        if (!member)
            break;
        looks += 1 + follow_orders(member->session);
        hub->stats.steps++;
    }
}

int64_t session_orders_deadline_ms(const struct hub *hub)
{
    if (!hub->orders)
        return INT64_MAX;
    return orders_has_next(hub->orders) ? hub->now_ms : orders_deadline_ms(hub->orders);
}

/* --- what comes from the topic ---------------------------------------------------------------- */

/* In the hub's time: when the order's time is over. Its own word counts as far as an order may
 * reach from when it was written; and who writes with a clock that is ahead writes now. */
static int64_t until_ms(const struct hub *hub, const struct order_arrival *arrival)
{
    int64_t written_ms = arrival->written_ms < 0 || arrival->written_ms > arrival->wall_ms
                             ? arrival->wall_ms
                             : arrival->written_ms;
    int64_t over_ms = written_ms + hub->config.orders.age_ms;
    if (arrival->order->expires_ms < over_ms)
        over_ms = arrival->order->expires_ms;
    return hub->now_ms + (over_ms - arrival->wall_ms);
}

enum status hub_order(struct hub *hub, const struct order_arrival *arrival, size_t *named)
{
    assert(hub->orders && order_check(arrival->order) == ORDER_SOUND);
    if (arrival->now_ms > hub->now_ms)
        hub->now_ms = arrival->now_ms;
    struct order order = *arrival->order;
    int64_t until = until_ms(hub, arrival);
    bool over = !order.lifted && until <= hub->now_ms;
    order.lifted = order.lifted || over; /* and with it what it has replaced */
    enum status status = orders_put(hub->orders, &order, until, named);
    if (status != STATUS_OK)
        return status;
    hub->stats.orders[order.kind] += !order.lifted;
    hub->stats.orders_lifted += order.lifted && !over;
    hub->stats.orders_over += over;
    hub->stats.orders_now = orders_count(hub->orders);
    return STATUS_OK;
}

void hub_orders_known(struct hub *hub)
{
    assert(hub->orders);
    hub->orders_known = true;
}
