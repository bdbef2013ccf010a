/* When a gateway is alive and when it is ready: the two questions of an orchestrator, which do
 * different things with the answers. Not alive: it is killed. Not ready: it is sent nobody new.
 *
 * So alive says nothing of the broker, or an outage of Kafka would restart every gateway and throw
 * out every client; that is asked of readiness, and there, too, with care (check_self()).
 *
 * Threads: the loop answers, so that an answer alone is a sign of life. */
#include <stdio.h>

#include "clocks.h"
#include "gateway_process_private.h"

/* What this process says of itself. In a gateway of several, each one's result stands on the
 * scoreboard. */
static size_t check_self(const struct gateway_process *process, struct health_check *checks)
{
    size_t count = 0;
    struct health_check *check = &checks[count++];
    *check = (struct health_check){.name = "kafka"};
    /* Away, it is so for all gateways: none of them unready, or polls would reach nobody. */
    check->healthy = kafka_source_ready(process->kafka, &check->detail) ||
                     kafka_source_was_reached(process->kafka);
    if (process->orders) {
        check = &checks[count++];
        *check = (struct health_check){.name = "control"};
        check->healthy = kafka_orders_ready(process->orders, &check->detail);
    }
    if (process->tokens) {
        check = &checks[count++];
        *check = (struct health_check){.name = "tokens"};
        check->healthy = token_sources_ready(process->tokens, &check->detail);
    }
    /* Full is not ready: a load balancer has others. */
    if (process->sockets) {
        check = &checks[count++];
        *check = (struct health_check){.name = "connections",
                                       .healthy = !lws_server_is_full(process->sockets)};
        check->detail = check->healthy ? NULL : "as many as there may be";
    }
    check = &checks[count++];
    *check =
        (struct health_check){.name = "gateway",
                              .healthy = !gateway_drain_is_on(&process->drain),
                              .detail = gateway_drain_is_on(&process->drain) ? "ending" : NULL};
    return count;
}

void gateway_health_tell(const struct gateway_process *process)
{
    struct health_check checks[OPERATIONS_CHECKS_LIMIT];
    bool ready = true;
    size_t count = check_self(process, checks);
    for (size_t i = 0; i < count; i++)
        ready = ready && checks[i].healthy;
    gateway_metrics_tell(process->metrics, ready);
}

/* A worker that is being started again is missed by nobody: the others take its connections. One
 * that hangs keeps them waiting. */
static size_t check_workers(struct gateway_process *process, bool ready, struct health_check *check)
{
    if (!process->slot)
        return 0;
    struct scoreboard_state state = scoreboard_look(process->slot->scoreboard, monotonic_ms());
    char *detail = process->workers_detail;
    *check = (struct health_check){.name = "workers", .healthy = true, .detail = detail};
    snprintf(detail, WORKERS_DETAIL_SIZE, "%u of %u", state.up,
             scoreboard_count(process->slot->scoreboard));
    if (state.first_lazy >= 0) {
        check->healthy = false;
        snprintf(detail, WORKERS_DETAIL_SIZE, "worker %d does not answer", state.first_lazy);
    } else if (ready && state.first_unready >= 0) {
        check->healthy = false;
        snprintf(detail, WORKERS_DETAIL_SIZE, "worker %d is not ready", state.first_unready);
    }
    return 1;
}

size_t gateway_health_ready(void *context, struct health_check *checks)
{
    struct gateway_process *process = context;
    gateway_health_tell(process);
    size_t count = check_self(process, checks);
    return count + check_workers(process, true, &checks[count]);
}

size_t gateway_health_live(void *context, struct health_check *checks)
{
    return check_workers(context, false, checks);
}
