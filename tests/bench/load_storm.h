/* A storm: all clients of a server that is killed come back at another one, as the stock client
 * does, while a backlog of notifications has been written that none has seen.
 *
 * Prints {"state":"ready"} when all are connected and waits for SIGUSR1; then produces at `rate`
 * for `before_s`, kills the server (`pid`) and prints {"state":"killed"}, produces `backlog`
 * notifications at once and goes on at `rate` until all are connected again; prints
 * {"state":"recovered"} when each has all that it is owed, and what it found as one line. */
#ifndef TESTS_BENCH_LOAD_STORM_H
#define TESTS_BENCH_LOAD_STORM_H

#include "load_producer.h"

/* Sets up SIGUSR1; before anything that may take long. */
void load_signal_init(void);
/* Whether SIGUSR1 has come since the last call. */
bool load_signal_take(void);
void load_say(const char *state);

int load_storm(const struct plan *plan);

#endif
