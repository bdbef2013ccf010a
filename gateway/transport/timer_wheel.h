/* Deadlines of many connections: add, move and cancel in O(1), exact to the millisecond. A
 * hierarchical wheel of five levels of 64 slots (64^5 ms are 12 days; later deadlines wait in a
 * list and move in). Not a clock: the owner says what time it is and asks when it is needed
 * next. */
#ifndef GATEWAY_TRANSPORT_TIMER_WHEEL_H
#define GATEWAY_TRANSPORT_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMER_WHEEL_LEVELS = 5, TIMER_WHEEL_SLOTS = 64 };

struct timer_link {
    struct timer_link *next;
    struct timer_link *previous;
};

struct timer;
/* Called by timer_wheel_advance(); the timer is no longer set, may be set again or freed. `now_ms`
 * may be later than the deadline. */
typedef void timer_fn(struct timer *timer, int64_t now_ms);

/* Embedded in what it belongs to; zeroed: not set. */
struct timer {
    struct timer_link link;
    int64_t deadline_ms;
    timer_fn *fire;
};

struct timer_wheel {
    int64_t now_ms; /* all deadlines up to here have fired, but for those in `due` */
    uint64_t filled[TIMER_WHEEL_LEVELS];
    struct timer_link slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
    struct timer_link due;
    struct timer_link far; /* beyond this turn of the last level */
    size_t count;
};

/* In place: the slots hold pointers to themselves, so the wheel must not move. */
void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ms);

/* Sets or moves the timer. A deadline in the past fires at the next advance. */
void timer_wheel_set(struct timer_wheel *wheel, struct timer *timer, int64_t deadline_ms);
/* A timer that is not set is left alone. */
void timer_wheel_cancel(struct timer_wheel *wheel, struct timer *timer);

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->link.next != NULL;
}

/* Fires what is due, in the order of deadlines. Not from inside a timer. */
void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_ms);

/* When to advance next: never later than the earliest deadline, sometimes before it; INT64_MAX:
 * nothing is set. */
int64_t timer_wheel_deadline_ms(const struct timer_wheel *wheel);

#endif
