#include "board.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clocks.h"

enum { STUCK_MS = 120000 };

static const char *const names[BOARD_CHECK_COUNT] = {
    [BOARD_KAFKA] = "kafka", [BOARD_TOPICS] = "topics", [BOARD_PRODUCER] = "producer",
    [BOARD_GROUP] = "group", [BOARD_RULES] = "rules",
};

void board_init(struct board *board)
{
    *board = (struct board){.alive_ms = monotonic_ms()};
    for (int i = 0; i < BOARD_CHECK_COUNT; i++)
        board->details[i] = "not yet";
}

bool board_fail(struct board *board, enum board_check check, const char *format, ...)
{
    char text[BOARD_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const char *before = board->details[check];
    if (before != NULL && strcmp(before, text) == 0)
        return false;
    char *place = board->texts[board->next++ % BOARD_TEXTS];
    memcpy(place, text, sizeof(text));
    __atomic_store_n(&board->details[check], place, __ATOMIC_RELEASE);
    return true;
}

void board_pass(struct board *board, enum board_check check)
{
    __atomic_store_n(&board->details[check], NULL, __ATOMIC_RELEASE);
}

void board_beat(struct board *board, int64_t now_ms)
{
    __atomic_store_n(&board->alive_ms, now_ms, __ATOMIC_RELAXED);
}

size_t board_ready(void *context, struct health_check *checks)
{
    const struct board *board = (const struct board *)context;
    for (int i = 0; i < BOARD_CHECK_COUNT; i++) {
        const char *detail = __atomic_load_n(&board->details[i], __ATOMIC_ACQUIRE);
        checks[i] =
            (struct health_check){.name = names[i], .healthy = detail == NULL, .detail = detail};
    }
    return BOARD_CHECK_COUNT;
}

size_t board_live(void *context, struct health_check *checks)
{
    const struct board *board = (const struct board *)context;
    int64_t silent_ms = monotonic_ms() - __atomic_load_n(&board->alive_ms, __ATOMIC_RELAXED);
    checks[0] = (struct health_check){.name = "loop", .healthy = silent_ms < STUCK_MS};
    return 1;
}
