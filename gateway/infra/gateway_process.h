/* A whole gateway: every part made from the settings, wired, run and ended. Their work
 * is their own business; the order in which they come and go is decided here. */
#ifndef GATEWAY_INFRA_GATEWAY_PROCESS_H
#define GATEWAY_INFRA_GATEWAY_PROCESS_H

#include "gateway_settings.h"
#include "scoreboard.h"
#include "shared_config.h"

struct gateway_process;

/* The settings are borrowed until it is closed; so is `slot`, if it is one worker of several, else
 * NULL. On failure `error` is what a person must read: the port is in use, a key cannot be read. An
 * unreachable broker is no failure: /readyz tells. */
enum status gateway_process_open(const struct gateway_settings *settings,
                                 const struct shared_config *shared,
                                 const struct scoreboard_slot *slot,
                                 struct gateway_process **process, struct error *error) MUST_CHECK;

/* Until SIGTERM or SIGINT, and then until clients have been sent away, at most
 * settings->shutdown_timeout_ms. SIGHUP reads the certificate again. A worker of several takes
 * SIGTERM only once: see supervisor.h. */
void gateway_process_run(struct gateway_process *process);

/* NULL is fine. */
void gateway_process_close(struct gateway_process *process);

#endif
