/* --redrive: sends dead letters back to the topics they came from, once, in transactions. Those
 * that arrive while it runs are left for the next time; those without their value (it was too
 * large) cannot be sent and are counted. */
#ifndef DISPATCHER_INFRA_REDRIVE_H
#define DISPATCHER_INFRA_REDRIVE_H

#include <signal.h>

#include "settings.h"

struct redrive_options {
    const struct settings *settings;
    const struct kafka_settings *kafka;
    const volatile sig_atomic_t *stop;
};

/* Logs what it did. STATUS_UNAVAILABLE or STATUS_FATAL: `error` says why; what was sent is not sent
 * again next time. */
enum status redrive(const struct redrive_options *options, struct error *error) MUST_CHECK;

#endif
