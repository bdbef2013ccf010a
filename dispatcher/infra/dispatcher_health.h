/* What the dispatcher says of itself on /livez and /readyz: written by the main thread, read by the
 * HTTP server's. Not a log. */
#ifndef DISPATCHER_INFRA_DISPATCHER_HEALTH_H
#define DISPATCHER_INFRA_DISPATCHER_HEALTH_H

#include "health.h"
#include "status.h"

enum dispatcher_check {
    DISPATCHER_CHECK_KAFKA,
    DISPATCHER_CHECK_TOPICS,
    DISPATCHER_CHECK_PRODUCER,
    DISPATCHER_CHECK_GROUP,
    DISPATCHER_CHECK_RULES
};
enum { DISPATCHER_CHECK_COUNT = 5, HEALTH_TEXTS = 64, HEALTH_TEXT_SIZE = 400 };

struct dispatcher_health {
    const char *details[DISPATCHER_CHECK_COUNT]; /* NULL: healthy */
    char texts[HEALTH_TEXTS]
              [HEALTH_TEXT_SIZE]; /* used in turn, so that one that is being read stays as it is */
    unsigned next;
    int64_t alive_ms; /* when the main loop last came round, by the monotonic clock */
};

void dispatcher_health_init(struct dispatcher_health *health);

/* A check is not healthy, and why. The same text as before changes nothing. Returns whether it
 * changed. */
bool dispatcher_health_fail(struct dispatcher_health *health, enum dispatcher_check check,
                            const char *format, ...) PRINTF_LIKE(3, 4);
void dispatcher_health_pass(struct dispatcher_health *health, enum dispatcher_check check);

void dispatcher_health_alive(struct dispatcher_health *health, int64_t now_ms);

/* For health_http_options; `context` is the health. Live: the main loop came round in the last two
 * minutes. */
size_t dispatcher_health_ready(void *context, struct health_check *checks);
size_t dispatcher_health_live(void *context, struct health_check *checks);

#endif
