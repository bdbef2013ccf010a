/* `gateway --control ORDER`: an order of the backend, written by hand. */
#ifndef GATEWAY_INFRA_ORDER_COMMAND_H
#define GATEWAY_INFRA_ORDER_COMMAND_H

#include "gateway_settings.h"
#include "shared_config.h"

/* As they stand on the command line; NULL: not there. */
struct order_arguments {
    const char *order; /* disconnect, not_before, leave, join; or create: the topic */
    const char *tenant, *user, *session, *token, *room, *reason;
    const char *not_before; /* RFC 3339, or `now` */
    const char *expires;    /* RFC 3339, or 30s, 15m, 24h, 7d from now */
    bool lift;              /* the order is taken back */
    bool dry_run;           /* shown, not written */
};

/* Whether anything of it stands there. */
bool order_arguments_any(const struct order_arguments *arguments);

/* Writes it, and says so on stdout. The exit code: 0; 1: it could not be written; 2: what is asked for
 * makes no order. */
int order_command(const struct order_arguments *arguments, const struct gateway_settings *settings,
                  const struct shared_config *shared);

#endif
