/* The orders of the backend (who is to be cut off, which rooms are closed to whom), read into the hub.
 *
 * A gateway is not ready until it knows them all: up to where the log ended when it was first asked
 * nothing is told as news. An order that does not fit is not passed over, or it would be forgotten
 * for good: it is held, and with it all that follows, until the time of another is over. Meanwhile no
 * new clients are sent here. */
#include "kafka_orders.h"

#include <assert.h>

#include "kafka_log.h"
#include "log.h"
#include "mem.h"

#define REASON_FULL "more orders than control.orders"
#define REASON_READING "being read"

struct kafka_orders {
    struct kafka_orders_config config;
    struct kafka_log *log;
    bool known; /* and the hub was told */
    int64_t now_ms, wall_ms;
    struct kafka_orders_stats stats;
};

/* --- what comes ------------------------------------------------------------------------------- */

static void tell_order(const struct order *order, size_t named)
{
    log_info(order->lifted ? "order lifted" : "order",
             LOG_STRING("order", order->lifted && order_has_room(order->kind)
                                     ? ORDER_OF_ROOMS
                                     : order_kind_text(order->kind)),
             LOG_BYTES("tenant", order->tenant), LOG_STRING("by", order_scope_text(order->scope)),
             LOG_BYTES("id", order->id), LOG_BYTES("room", order->room),
             LOG_BYTES("reason", order->reason), LOG_UNSIGNED("sessions", named));
}

/* False: it is one too many. */
static bool take_order(struct kafka_orders *orders, const struct order *order, int64_t written_ms)
{
    size_t named;
    struct order_arrival arrival = {.order = order,
                                    .written_ms = written_ms,
                                    .now_ms = orders->now_ms,
                                    .wall_ms = orders->wall_ms};
    if (hub_order(orders->config.hub, &arrival, &named) != STATUS_OK)
        return false;
    if (orders->known) /* what was ordered before we began, the others have told */
        tell_order(order, named);
    return true;
}

static bool take_order_record(void *context, const struct lane_record *view, bool has_value)
{
    struct kafka_orders *orders = context;
    struct order order;
    struct order_record record = {.key = view->key, .value = view->value, .has_value = has_value};
    enum order_fault fault = order_read(&record, &order);
    if (fault == ORDER_SOUND) {
        bool taken = take_order(orders, &order, view->timestamp_ms);
        order_deinit(&order);
        if (!taken)
            return false;
    } else {
        /* Passed over, not held: what nobody can read would stop this gateway for ever. */
        orders->stats.faulty[fault]++;
        log_warning("faulty order, passed over", LOG_STRING("reason", order_fault_text(fault)),
                    LOG_STRING("topic", orders->config.topic), LOG_INTEGER("offset", view->offset),
                    LOG_BYTES("key", view->key));
    }
    orders->stats.records++;
    return true;
}

static void order_held(void *context)
{
    const struct kafka_orders *orders = context;
    log_error("there are as many orders as may be: not read further, nobody new is sent here",
              LOG_STRING("setting", "gateway.control.orders"),
              LOG_UNSIGNED("in_force", hub_stats(orders->config.hub)->orders_now),
              LOG_INTEGER("position", kafka_log_state(orders->log).position));
}

static void look_whether_known(struct kafka_orders *orders)
{
    struct kafka_log_state state = kafka_log_state(orders->log);
    if (orders->known || !state.known)
        return;
    orders->known = true;
    log_info("orders known", LOG_STRING("topic", orders->config.topic),
             LOG_INTEGER("position", state.position),
             LOG_UNSIGNED("in_force", hub_stats(orders->config.hub)->orders_now));
    hub_orders_known(orders->config.hub);
}

/* --- life and turns --------------------------------------------------------------------------- */

enum status kafka_orders_open(const struct kafka_orders_config *config,
                              struct kafka_orders **orders, struct error *error)
{
    static const struct kafka_log_ops ops = {.take = take_order_record, .held = order_held};
    struct kafka_orders *made = mem_new(struct kafka_orders);
    made->config = *config;
    struct kafka_log_config log = {.settings = config->settings,
                                   .client_id = config->client_id,
                                   .topic = config->topic,
                                   .ops = &ops,
                                   .context = made,
                                   .probe_interval_ms = config->probe_interval_ms,
                                   .stall_ms = config->stall_ms};
    enum status status = kafka_log_open(&log, &made->log, error);
    if (status == STATUS_OK)
        *orders = made;
    else
        free(made);
    return status;
}

void kafka_orders_close(struct kafka_orders *orders)
{
    if (!orders)
        return;
    kafka_log_close(orders->log);
    free(orders);
}

int kafka_orders_descriptor(const struct kafka_orders *orders)
{
    return kafka_log_descriptor(orders->log);
}

void kafka_orders_service(struct kafka_orders *orders, int64_t now_ms, int64_t wall_ms)
{
    orders->now_ms = now_ms;
    orders->wall_ms = wall_ms;
    kafka_log_service(orders->log, now_ms);
    orders->stats.begun = kafka_log_state(orders->log).begun;
    look_whether_known(orders);
}

int64_t kafka_orders_deadline_ms(const struct kafka_orders *orders)
{
    return kafka_log_deadline_ms(orders->log);
}

/* A broker that is away after all was known makes nobody unready: it is away for every gateway. */
bool kafka_orders_ready(const struct kafka_orders *orders, const char **detail)
{
    struct kafka_log_state state = kafka_log_state(orders->log);
    *detail = state.trouble   ? state.trouble
              : state.holds   ? REASON_FULL
              : orders->known ? NULL
                              : REASON_READING;
    return orders->known && !state.holds && (!state.trouble || state.broker_away);
}

const struct kafka_orders_stats *kafka_orders_stats(const struct kafka_orders *orders)
{
    return &orders->stats;
}
