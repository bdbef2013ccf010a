/* What /readyz and /livez tell. The loop writes, the HTTP thread reads, and neither waits for the
 * other.
 *
 * Invariant: a reader sees a check's detail whole. Each failure is written into the next of a
 * ring of texts and only then published by its pointer; a text is used again after HEALTH_TEXTS
 * other failures, by when its reader has long finished. */
#include "dispatcher_health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clocks.h"

enum { STUCK_MS = 120000 };

static const char *const names[DISPATCHER_CHECK_COUNT] = {
    [DISPATCHER_CHECK_KAFKA] = "kafka",       [DISPATCHER_CHECK_TOPICS] = "topics",
    [DISPATCHER_CHECK_PRODUCER] = "producer", [DISPATCHER_CHECK_GROUP] = "group",
    [DISPATCHER_CHECK_RULES] = "rules",
};

/* Nothing is ready before it was shown to be: a probe that comes early gets "not yet". */
void dispatcher_health_init(struct dispatcher_health *health)
{
    *health = (struct dispatcher_health){.alive_ms = monotonic_ms()};
    for (int i = 0; i < DISPATCHER_CHECK_COUNT; i++)
        health->details[i] = "not yet";
}

/* True only when the text has changed, so that whoever waits logs it once and not at each
 * attempt. */
bool dispatcher_health_fail(struct dispatcher_health *health, enum dispatcher_check check,
                            const char *format, ...)
{
    char text[HEALTH_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const char *before = health->details[check];
    if (before && strcmp(before, text) == 0)
        return false;
    char *place = health->texts[health->next++ % HEALTH_TEXTS];
    memcpy(place, text, sizeof(text));
    __atomic_store_n(&health->details[check], place, __ATOMIC_RELEASE);
    return true;
}

void dispatcher_health_pass(struct dispatcher_health *health, enum dispatcher_check check)
{
    __atomic_store_n(&health->details[check], NULL, __ATOMIC_RELEASE);
}

void dispatcher_health_alive(struct dispatcher_health *health, int64_t now_ms)
{
    __atomic_store_n(&health->alive_ms, now_ms, __ATOMIC_RELAXED);
}

size_t dispatcher_health_ready(void *context, struct health_check *checks)
{
    const struct dispatcher_health *health = context;
    for (int i = 0; i < DISPATCHER_CHECK_COUNT; i++) {
        const char *detail = __atomic_load_n(&health->details[i], __ATOMIC_ACQUIRE);
        checks[i] = (struct health_check){.name = names[i], .healthy = !detail, .detail = detail};
    }
    return DISPATCHER_CHECK_COUNT;
}

/* Dead is a loop that has not come round for two minutes, longer than the calls within it
 * are to take. Waiting for a broker is not being dead: a restart would not bring it back. */
size_t dispatcher_health_live(void *context, struct health_check *checks)
{
    const struct dispatcher_health *health = context;
    int64_t silent_ms = monotonic_ms() - __atomic_load_n(&health->alive_ms, __ATOMIC_RELAXED);
    checks[0] = (struct health_check){.name = "loop", .healthy = silent_ms < STUCK_MS};
    return 1;
}
