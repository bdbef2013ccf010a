/* The orders of the backend (who is to be cut off, which rooms are closed to whom), read from one
 * partition of a compacted topic, from its beginning.
 *
 * A gateway is not ready until it knows them all: `target` is where the log ended when it was first
 * asked, and up to there nothing is told as news. An order that does not fit is not passed over, or
 * it would be forgotten for good: it is held, and with it all that follows, until the time of another
 * is over. Meanwhile no new clients are sent here.
 *
 * Threads: the loop; questions run on the worker, as rounds (kafka_ends.h). */
#include "kafka_orders.h"

#include <assert.h>

#include "event_descriptor.h"
#include "kafka_asker.h"
#include "kafka_ends.h"
#include "log.h"
#include "mem.h"
#include "stall.h"

enum {
    ORDERS_A_TURN = 500,
    ASK_AGAIN_MS = 1000, /* after something that did not work, and for an order that is too many */
    ORDERS_SHORT_MS = 5000, /* a log that ends before what was read is believed after so long: a new
                             * leader may know less of it for a moment */
};

#define REASON_PARTITIONS "more_than_one_partition"
#define REASON_FULL "more orders than control.orders"
#define REASON_READING "being read"

struct kafka_orders {
    struct kafka_orders_config config;
    struct kafka_asker asker;
    struct kafka_client live;
    struct kafka_ends_round *round; /* under way, or NULL */
    int64_t ask_ms;
    bool mock;
    bool asked;     /* the broker has answered */
    bool reading;   /* `live` is assigned the partition */
    bool renew;     /* it is to be replaced, once its messages are not looked at */
    int64_t target; /* where the log ended when it was read first; below 0: not known */
    bool known;     /* it was read that far */
    int64_t position;
    int64_t asked_position; /* when the question was asked */
    int64_t short_since_ms; /* the log has been said to end before it; 0: it does not */
    struct stall stall;
    rd_kafka_message_t *held; /* one too many */
    int64_t retry_ms;
    const char *trouble; /* NULL: none; static */
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

static bool take_order_record(struct kafka_orders *orders, const rd_kafka_message_t *message)
{
    struct lane_record view;
    struct order order;
    kafka_record_view(message, &view);
    struct order_record record = {
        .key = view.key, .value = view.value, .has_value = message->payload != NULL};
    enum order_fault fault = order_read(&record, &order);
    if (fault == ORDER_SOUND) {
        bool taken = take_order(orders, &order, view.timestamp_ms);
        order_deinit(&order);
        if (!taken)
            return false;
    } else {
        /* Passed over, not held: what nobody can read would stop this gateway for ever. */
        orders->stats.faulty[fault]++;
        log_warning("faulty order, passed over", LOG_STRING("reason", order_fault_text(fault)),
                    LOG_STRING("topic", orders->config.topic),
                    LOG_INTEGER("offset", message->offset), LOG_BYTES("key", view.key));
    }
    orders->stats.records++;
    orders->position = message->offset + 1;
    return true;
}

static void look_whether_known(struct kafka_orders *orders)
{
    if (orders->known || orders->target < 0 || orders->position < orders->target)
        return;
    orders->known = true;
    log_info("orders known", LOG_STRING("topic", orders->config.topic),
             LOG_INTEGER("position", orders->position),
             LOG_UNSIGNED("in_force", hub_stats(orders->config.hub)->orders_now));
    hub_orders_known(orders->config.hub);
}

/* False: it is held, and what follows waits. */
static bool take_order_message(struct kafka_orders *orders, const rd_kafka_message_t *message)
{
    /* An error of the client and not of the partition: the next round of questions will show it. */
    if (!message->rkt || !orders->reading)
        return true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return message->offset < orders->position || take_order_record(orders, message);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        /* The end moves on over what is no record: markers of transactions, and what was compacted
         * away. */
        if (message->offset > orders->position)
            orders->position = message->offset;
        return true;
    }
    log_warning("orders not read", LOG_STRING("topic", orders->config.topic),
                LOG_STRING("code", rd_kafka_err2name(message->err)));
    orders->renew = true;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        orders->position = -1; /* cut: from its beginning */
    return true;
}

static bool retry_held(struct kafka_orders *orders)
{
    if (!orders->held)
        return true;
    if (orders->now_ms < orders->retry_ms)
        return false;
    if (!take_order_message(orders, orders->held)) {
        orders->retry_ms = orders->now_ms + ASK_AGAIN_MS;
        return false;
    }
    rd_kafka_message_destroy(orders->held);
    orders->held = NULL;
    log_info("orders are read on", LOG_INTEGER("position", orders->position));
    return true;
}

static void hold(struct kafka_orders *orders, rd_kafka_message_t *message)
{
    assert(!orders->held);
    orders->held = message;
    orders->retry_ms = orders->now_ms + ASK_AGAIN_MS;
    log_error("there are as many orders as may be: not read further, nobody new is sent here",
              LOG_STRING("setting", "gateway.control.orders"),
              LOG_UNSIGNED("in_force", hub_stats(orders->config.hub)->orders_now),
              LOG_INTEGER("position", orders->position));
}

/* True: there may be more. */
static bool drain_orders(struct kafka_orders *orders)
{
    rd_kafka_message_t *message = NULL;
    unsigned left = ORDERS_A_TURN;
    if (!orders->live.handle || !retry_held(orders))
        return false;
    /* One at a time, so that nothing has to be given back when one is held. */
    for (; left > 0 && !orders->renew; left--) {
        if (rd_kafka_consume_batch_queue(orders->live.queue, 0, &message, 1) != 1)
            return false;
        if (!take_order_message(orders, message)) {
            hold(orders, message);
            return false;
        }
        rd_kafka_message_destroy(message);
    }
    return left == 0;
}

/* --- the consumer ----------------------------------------------------------------------------- */

static void stop_order_reading(struct kafka_orders *orders)
{
    if (orders->held)
        rd_kafka_message_destroy(orders->held); /* it comes again */
    orders->held = NULL;
    orders->reading = false;
    orders->renew = false;
    orders->stall = (struct stall){0};
    if (orders->live.handle)
        kafka_client_abandon(&orders->live);
    orders->ask_ms = orders->now_ms;
}

static void start_order_reading(struct kafka_orders *orders, int64_t first, int64_t end)
{
    struct kafka_client_options options = {.settings = orders->config.settings,
                                           .client_id = orders->config.client_id,
                                           .purpose = KAFKA_PURPOSE_LIVE,
                                           .mock = orders->mock,
                                           .wake_descriptor = orders->asker.descriptor};
    struct error error;
    assert(!orders->reading && !orders->live.handle && first <= end);
    if (kafka_client_open(&options, &orders->live, &error) != STATUS_OK) {
        log_error("orders not read", LOG_STRING("error", error.text));
        return;
    }
    /* The log does not go on where it was read: all of it again. */
    if (orders->position < first || orders->position > end) {
        orders->position = first;
        orders->stats.begun++;
    }
    if (orders->target < 0)
        orders->target = end;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, orders->config.topic, 0)->offset = orders->position;
    rd_kafka_resp_err_t code = rd_kafka_assign(orders->live.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    orders->reading = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!orders->reading)
        stop_order_reading(orders);
    event_descriptor_signal(orders->asker.descriptor); /* what came before is not told */
}

/* --- where the topic ends --------------------------------------------------------------------- */

static const char *trouble_of(const struct kafka_ends_request *answer)
{
    if (answer->status != STATUS_OK)
        return answer->reason;
    return answer->partitions == 1 ? NULL : REASON_PARTITIONS;
}

static void answered_orders(struct kafka_orders *orders, const struct kafka_ends_request *answer)
{
    /* Asked for one after the other (the end first): retention may have moved the beginning beyond
     * it. */
    int64_t first = answer->first, end = answer->end > first ? answer->end : first;
    const char *trouble = trouble_of(answer);
    if (trouble && trouble != orders->trouble)
        log_warning("orders not read", LOG_STRING("topic", orders->config.topic),
                    LOG_STRING("reason", trouble));
    orders->trouble = trouble;
    orders->ask_ms = orders->now_ms + (trouble ? ASK_AGAIN_MS : orders->config.probe_interval_ms);
    if (trouble)
        return;
    orders->asked = true;
    bool is_short = orders->asked_position > end;
    if (!is_short)
        orders->short_since_ms = 0;
    else if (orders->short_since_ms == 0)
        orders->short_since_ms = orders->now_ms;
    if (is_short && orders->now_ms - orders->short_since_ms < ORDERS_SHORT_MS) {
        orders->ask_ms = orders->now_ms + ASK_AGAIN_MS;
        return;
    }
    if (is_short && orders->reading) { /* made anew: asked at once, and read from its beginning */
        stop_order_reading(orders);
        return;
    }
    if (!orders->reading) {
        start_order_reading(orders, first, end);
    } else if (!orders->held && stall_look(&orders->stall, orders->position, end, orders->now_ms,
                                           orders->config.stall_ms)) {
        log_warning("orders stand still, reading them anew",
                    LOG_STRING("topic", orders->config.topic),
                    LOG_INTEGER("position", orders->position), LOG_INTEGER("end", end));
        stop_order_reading(orders);
    }
    if (orders->stall.since_ms != 0 && orders->ask_ms > orders->now_ms + ASK_AGAIN_MS)
        orders->ask_ms = orders->now_ms + ASK_AGAIN_MS;
}

static void orders_round_done(struct worker_job *job)
{
    struct kafka_ends_round *round = (struct kafka_ends_round *)job;
    struct kafka_orders *orders = round->owner;
    assert(orders->round == round && round->count == 1);
    orders->round = NULL;
    if (round->status == STATUS_OK && round->ask_mock)
        orders->mock = round->mock;
    answered_orders(orders, &round->requests[0]);
    kafka_ends_round_free(round);
}

static void ask_for_end(struct kafka_orders *orders)
{
    struct kafka_ends_round *round = kafka_ends_round_new(orders->asker.client.handle);
    round->job.done = orders_round_done;
    round->owner = orders;
    round->worker = orders->asker.worker;
    round->ask_mock = !orders->asked;
    orders->asked_position = orders->position;
    kafka_ends_add(round, orders->config.topic, 0)->partition_count = 1;
    orders->round = round;
    worker_submit(orders->asker.worker, &round->job);
}

/* --- life and turns --------------------------------------------------------------------------- */

enum status kafka_orders_open(const struct kafka_orders_config *config,
                              struct kafka_orders **orders, struct error *error)
{
    struct kafka_orders *made = mem_new(struct kafka_orders);
    made->config = *config;
    made->target = -1;
    made->position = -1;
    enum status status = kafka_asker_open(config->settings, config->client_id, &made->asker, error);
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
    kafka_asker_stop(&orders->asker);
    kafka_ends_round_free(orders->round);
    if (orders->held)
        rd_kafka_message_destroy(orders->held);
    kafka_client_close(&orders->live);
    kafka_asker_close(&orders->asker);
    free(orders);
}

int kafka_orders_descriptor(const struct kafka_orders *orders)
{
    return orders->asker.descriptor;
}

void kafka_orders_service(struct kafka_orders *orders, int64_t now_ms, int64_t wall_ms)
{
    orders->now_ms = now_ms;
    orders->wall_ms = wall_ms;
    event_descriptor_clear(orders->asker.descriptor);
    worker_collect(orders->asker.worker);
    bool more = drain_orders(orders);
    look_whether_known(orders);
    if (orders->renew)
        stop_order_reading(orders);
    if (!orders->round && orders->ask_ms <= now_ms)
        ask_for_end(orders);
    if (more)
        event_descriptor_signal(orders->asker.descriptor);
}

int64_t kafka_orders_deadline_ms(const struct kafka_orders *orders)
{
    int64_t deadline = orders->round ? INT64_MAX : orders->ask_ms;
    return orders->held && orders->retry_ms < deadline ? orders->retry_ms : deadline;
}

/* A broker that is away after all was known makes nobody unready: it is away for every gateway. */
bool kafka_orders_ready(const struct kafka_orders *orders, const char **detail)
{
    bool away = orders->trouble && strcmp(orders->trouble, KAFKA_ENDS_BROKER) == 0;
    *detail = orders->trouble ? orders->trouble
              : orders->held  ? REASON_FULL
              : orders->known ? NULL
                              : REASON_READING;
    return orders->known && !orders->held && (!orders->trouble || away);
}

const struct kafka_orders_stats *kafka_orders_stats(const struct kafka_orders *orders)
{
    return &orders->stats;
}
