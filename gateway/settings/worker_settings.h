/* The settings of one worker process, made from those of the gateway: its share of what is limited
 * for all together, and what makes workers peers of each other. Not their life (supervisor.h). */
#ifndef GATEWAY_SETTINGS_WORKER_SETTINGS_H
#define GATEWAY_SETTINGS_WORKER_SETTINGS_H

#include "gateway_settings.h"

enum { WORKER_SECRET_SIZE = 65 };

/* What all workers of a gateway have in common. */
struct worker_common {
    uint16_t port;                         /* of clients, taken for all */
    uint16_t operations_port;              /* likewise */
    char peers_secret[WORKER_SECRET_SIZE]; /* random, used if none is configured */
    char recovery_key[WORKER_SECRET_SIZE]; /* likewise */
};

/* Worker `index` of whole->workers. Borrows from both, which must outlive it; it is not given to
 * gateway_settings_deinit(). */
struct gateway_settings worker_settings(const struct gateway_settings *whole,
                                        struct worker_common *common, unsigned index);

#endif
