/* What the dispatcher says of itself on /livez and /readyz: written by the main thread, read by the
 * HTTP server's. Not a log. */
#ifndef DISPATCHER_INFRA_BOARD_H
#define DISPATCHER_INFRA_BOARD_H

#include "health.h"
#include "status.h"

enum board_check { BOARD_KAFKA, BOARD_TOPICS, BOARD_PRODUCER, BOARD_GROUP, BOARD_RULES };
enum { BOARD_CHECK_COUNT = 5, BOARD_TEXTS = 64, BOARD_TEXT_SIZE = 400 };

struct board {
    const char *details[BOARD_CHECK_COUNT]; /* NULL: healthy */
    char texts[BOARD_TEXTS]
              [BOARD_TEXT_SIZE]; /* used in turn, so that one that is being read stays as it is */
    unsigned next;
    int64_t alive_ms; /* when the main loop last came round, by the monotonic clock */
};

void board_init(struct board *board);

/* A check is not healthy, and why. The same text as before changes nothing. Returns whether it
 * changed. */
bool board_fail(struct board *board, enum board_check check, const char *format, ...)
    PRINTF_LIKE(3, 4);
void board_pass(struct board *board, enum board_check check);

void board_beat(struct board *board, int64_t now_ms);

/* For health_http_options; `context` is the board. Live: the main loop came round in the last two
 * minutes. */
size_t board_ready(void *context, struct health_check *checks);
size_t board_live(void *context, struct health_check *checks);

#endif
