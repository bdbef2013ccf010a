/* The end of a gateway that has clients: first a grace in which load balancers hear that it is not
 * ready, then clients are sent away at a pace, so that the others are not run over, then what is
 * left is closed.
 *
 *     NONE -> GRACE ------> MOVING ----------> LEAVING -> (the loop stops)
 *             not ready,    so many a second,  no clients: connections only
 *             all served    at last all
 *
 * The invariant: it ends by until_ms, whatever clients do. Nobody is lost by it: each client that
 * is sent away has its cursor, and goes on elsewhere. */
#include "gateway_drain.h"

#include <assert.h>
#include <limits.h>

#include "log.h"

enum {
    STEP_MS = 20,
    CREDIT_STEPS = 5, /* the pace holds within so many steps */
    FORCE_SHARE = 5, /* of the limit, one part in so many is left to those who are sent away late */
};

/* In thousandths of a client: at 10 a second, a step of 20 ms is worth a fifth of one. What was not
 * used for long is not saved up: a pace that catches up is none. */
unsigned drain_pace_take(struct drain_pace *pace, int64_t now_ms)
{
    int64_t most = (int64_t)pace->per_second * STEP_MS * CREDIT_STEPS;
    if (pace->per_second == 0)
        return UINT_MAX;
    pace->credit += (now_ms - pace->last_ms) * pace->per_second;
    pace->last_ms = now_ms;
    /* The slowest pace still has room for one whole client. */
    if (most < 1000)
        most = 1000;
    if (pace->credit > most)
        pace->credit = most;
    unsigned count = (unsigned)(pace->credit / 1000);
    pace->credit %= 1000;
    return count;
}

/* Sessions, and not connections: a client of long-polling has none between two polls. */
static uint64_t count_clients(const struct gateway_drain *drain)
{
    const struct engineio_stats *stats = engineio_server_stats(drain->engineio);
    uint64_t count = stats->polling + stats->websocket;
    for (size_t i = 0; i < drain->stream_count; i++)
        count += drain->streams[i]->stats.connections;
    return count;
}

static void send_away(struct gateway_drain *drain, unsigned count)
{
    unsigned sent = engineio_server_send_away(drain->engineio, count);
    for (size_t i = 0; i < drain->stream_count; i++)
        sent += wire_clients_send_away(drain->streams[i], count - sent);
}

/* Not earlier: clients of long-polling need new connections to the very end, to be told. */
static void drain_next(struct gateway_drain *drain)
{
    drain->state = DRAIN_LEAVING;
    lws_server_stop_accepting(drain->sockets);
    http_server_drain(drain->http);
    engineio_server_release_forwards(drain->engineio);
}

void gateway_drain_begin(struct gateway_drain *drain, int64_t now_ms)
{
    assert(drain->state == DRAIN_NONE);
    drain->state = DRAIN_GRACE;
    drain->until_ms = now_ms + drain->limit_ms;
    /* From here on without a pace: better all at once than cut off. */
    drain->force_ms = drain->until_ms - drain->limit_ms / FORCE_SHARE;
    drain->grace_until_ms = now_ms + drain->grace_ms;
    if (drain->grace_until_ms > drain->force_ms)
        drain->grace_until_ms = drain->force_ms;
    /* No new sessions from now on; those that are here go on. */
    engineio_server_drain(drain->engineio);
    for (size_t i = 0; i < drain->stream_count; i++)
        wire_clients_refuse(drain->streams[i]);
}

bool gateway_drain_run(struct gateway_drain *drain, int64_t now_ms)
{
    if (drain->state == DRAIN_NONE)
        return false;
    uint64_t clients = count_clients(drain);
    if (drain->state == DRAIN_GRACE && now_ms >= drain->grace_until_ms) {
        drain->state = DRAIN_MOVING;
        drain->pace.last_ms = now_ms - STEP_MS;
        log_info("sending clients away", LOG_UNSIGNED("clients", clients));
    }
    if (drain->state == DRAIN_MOVING && clients > 0)
        send_away(drain,
                  now_ms >= drain->force_ms ? UINT_MAX : drain_pace_take(&drain->pace, now_ms));
    if (drain->state != DRAIN_LEAVING && clients == 0)
        drain_next(drain);
    return now_ms >= drain->until_ms ||
           (drain->state == DRAIN_LEAVING && lws_server_stats(drain->sockets)->connections == 0);
}

int64_t gateway_drain_deadline_ms(const struct gateway_drain *drain)
{
    int64_t now_ms = drain->pace.last_ms;
    switch (drain->state) {
    case DRAIN_NONE:
        return INT64_MAX;
    case DRAIN_GRACE:
        return drain->grace_until_ms;
    case DRAIN_MOVING:
        return drain->pace.per_second && now_ms + STEP_MS < drain->until_ms ? now_ms + STEP_MS
                                                                            : drain->until_ms;
    case DRAIN_LEAVING:
        return drain->until_ms;
    }
    return INT64_MAX;
}
