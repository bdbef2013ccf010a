/* A gateway of several processes on one port: forks the workers, starts those anew that die,
 * passes signals on and ends when all have ended. One thread, which does nothing else. The
 * caller says what a worker does. */
#ifndef GATEWAY_WORKERS_SUPERVISOR_H
#define GATEWAY_WORKERS_SUPERVISOR_H

#include "gateway_settings.h"
#include "scoreboard.h"

struct supervisor_config {
    const struct gateway_settings *settings; /* of the whole: settings->workers of them */
    /* Runs in each worker, whose exit code it returns. Its arguments live until it returns. */
    int (*work)(void *context, const struct gateway_settings *settings,
                const struct scoreboard_slot *slot);
    void *context;
};

/* Returns the exit code of this process: in a worker that of work(), in the supervisor 0 if it was
 * asked to end and every worker ended in good order. No thread may have been started before. */
int supervisor_run(const struct supervisor_config *config);

/* How long to wait before a worker is started anew that has died `failures` times without having
 * lived for SUPERVISOR_HEALTHY_MS. */
enum { SUPERVISOR_HEALTHY_MS = 30000, SUPERVISOR_DELAY_MOST_MS = 10000 };
int64_t supervisor_delay_ms(unsigned failures);

#endif
