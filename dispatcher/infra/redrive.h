/* Dead letters: told, and sent back to the topics they came from, once each, in transactions.
 *
 * The group of its own has read what is not pending any more. A letter that is not meant now, or was
 * sent too often already, is put behind the others again in the transaction that passes over it, so
 * that it stays pending; its time stays with it. Letters that arrive meanwhile are left for the next
 * time; those without their value (it was too large) cannot be sent and are counted. */
#ifndef DISPATCHER_INFRA_REDRIVE_H
#define DISPATCHER_INFRA_REDRIVE_H

#include <signal.h>

#include "dead_letter_filter.h"
#include "settings.h"

struct redrive_options {
    const struct settings *settings;
    const struct kafka_settings *kafka;
    const volatile sig_atomic_t *stop;
    struct dead_letter_filter filter;
    bool all;           /* letters_list(): also those that are not pending */
    bool whole;         /* letters_list(): with headers and values */
    bool only_sendable; /* letters_list(): only what redrive() would send */
};

/* Logs what it did. STATUS_UNAVAILABLE or STATUS_FATAL: `error` says why; what was sent is not sent
 * again next time. */
enum status redrive(const struct redrive_options *options, struct error *error) MUST_CHECK;

/* Writes the letters to stdout, a JSON object a line (dead_letter_to_json()). Changes nothing. */
enum status letters_list(const struct redrive_options *options, struct error *error) MUST_CHECK;

#endif
