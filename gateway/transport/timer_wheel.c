/* A hierarchical timing wheel (Varghese and Lauck, scheme 7). Where a timer lies follows from the
 * highest group of six bits in which its deadline differs from `now`: so in each level only slots
 * behind the present one are filled, and the first filled slot of the lowest filled level is the
 * next event.
 *
 * A slot of a higher level is not fired but sorted again, into lower ones, when time reaches it:
 * each timer moves at most once per level. `filled` has a bit for each slot that has timers,
 * which makes the search for the next event a count of trailing zeros. A timer is in exactly one
 * list while it is set, and in none when its function runs. */
#include "timer_wheel.h"

#include <assert.h>

enum { LEVEL_BITS = 6, HORIZON_BITS = LEVEL_BITS * TIMER_WHEEL_LEVELS };

static void link_init(struct timer_link *head)
{
    head->next = head;
    head->previous = head;
}

static bool link_is_empty(const struct timer_link *head)
{
    return head->next == head;
}

/* Lists are rings with a head: neither end is a special case. */
static void link_append(struct timer_link *head, struct timer_link *link)
{
    assert(!link->next && !link->previous);
    link->next = head;
    link->previous = head->previous;
    head->previous->next = link;
    head->previous = link;
}

static struct timer *timer_of(struct timer_link *link)
{
    return (struct timer *)((char *)link - offsetof(struct timer, link));
}

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ms)
{
    assert(now_ms >= 0);
    *wheel = (struct timer_wheel){.now_ms = now_ms};
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++)
        for (int slot = 0; slot < TIMER_WHEEL_SLOTS; slot++)
            link_init(&wheel->slots[level][slot]);
    link_init(&wheel->due);
    link_init(&wheel->far);
}

/* In O(1): the level is the place of the highest bit that differs. */
static void timer_insert(struct timer_wheel *wheel, struct timer *timer)
{
    if (timer->deadline_ms <= wheel->now_ms) {
        link_append(&wheel->due, &timer->link);
        return;
    }
    uint64_t difference = (uint64_t)(timer->deadline_ms ^ wheel->now_ms);
    if (difference >> HORIZON_BITS) {
        link_append(&wheel->far, &timer->link);
        return;
    }
    int level = (63 - __builtin_clzll(difference)) / LEVEL_BITS;
    assert(level >= 0 && level < TIMER_WHEEL_LEVELS);
    int slot = (int)(timer->deadline_ms >> (LEVEL_BITS * level)) & (TIMER_WHEEL_SLOTS - 1);
    link_append(&wheel->slots[level][slot], &timer->link);
    wheel->filled[level] |= UINT64_C(1) << slot;
}

static void timer_detach(struct timer_wheel *wheel, struct timer *timer)
{
    struct timer_link *next = timer->link.next;
    assert(next && timer->link.previous);
    next->previous = timer->link.previous;
    timer->link.previous->next = next;
    timer->link = (struct timer_link){NULL, NULL};
    /* The last one of a slot: what is left is the slot's own head, and its address is its number.
     */
    uintptr_t offset = (uintptr_t)next - (uintptr_t)&wheel->slots[0][0];
    if (link_is_empty(next) && offset < sizeof(wheel->slots)) {
        size_t number = offset / sizeof(struct timer_link);
        wheel->filled[number / TIMER_WHEEL_SLOTS] &= ~(UINT64_C(1) << number % TIMER_WHEEL_SLOTS);
    }
}

void timer_wheel_set(struct timer_wheel *wheel, struct timer *timer, int64_t deadline_ms)
{
    assert(timer->fire && deadline_ms >= 0);
    if (timer_is_set(timer))
        timer_detach(wheel, timer);
    else
        wheel->count++;
    timer->deadline_ms = deadline_ms;
    timer_insert(wheel, timer);
}

void timer_wheel_cancel(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer_is_set(timer))
        return;
    assert(wheel->count > 0);
    timer_detach(wheel, timer);
    wheel->count--;
}

/* When the next filled slot begins, and its list; INT64_MAX: nothing is set. */
static int64_t next_event_ms(const struct timer_wheel *wheel, int *level_out, int *slot_out)
{
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        if (!wheel->filled[level])
            continue;
        int slot = __builtin_ctzll(wheel->filled[level]);
        int shift = LEVEL_BITS * (level + 1);
        *level_out = level;
        *slot_out = slot;
        return ((wheel->now_ms >> shift) << shift) | ((int64_t)slot << (LEVEL_BITS * level));
    }
    *level_out = TIMER_WHEEL_LEVELS;
    return link_is_empty(&wheel->far) ? INT64_MAX
                                      : ((wheel->now_ms >> HORIZON_BITS) + 1) << HORIZON_BITS;
}

/* Fires or moves on everything in a list that may change under it. */
static void run_list(struct timer_wheel *wheel, struct timer_link *list, int64_t now_ms)
{
    if (link_is_empty(list))
        return;
    /* The list is moved to a head on the stack: what its timers set while they run goes into the
     * list anew, and what they cancel leaves this one. */
    struct timer_link running = *list;
    running.next->previous = &running;
    running.previous->next = &running;
    link_init(list);
    while (!link_is_empty(&running)) {
        struct timer *timer = timer_of(running.next);
        timer_detach(wheel, timer);
        if (timer->deadline_ms > wheel->now_ms) {
            timer_insert(wheel, timer);
            continue;
        }
        assert(wheel->count > 0);
        wheel->count--;
        timer->fire(timer, now_ms);
    }
}

/* Goes from event to event, not from millisecond to millisecond: an idle gateway pays nothing for
 * the time in between. A timer that is set from inside a timer, and is due already, waits for the
 * next advance, so this ends. */
void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_ms)
{
    assert(now_ms >= wheel->now_ms);
    run_list(wheel, &wheel->due, now_ms);
    int level = 0, slot = 0;
    int64_t event_ms;
    while ((event_ms = next_event_ms(wheel, &level, &slot)) <= now_ms) {
        wheel->now_ms = event_ms;
        if (level == TIMER_WHEEL_LEVELS) {
            run_list(wheel, &wheel->far, now_ms);
            continue;
        }
        wheel->filled[level] &= ~(UINT64_C(1) << slot);
        run_list(wheel, &wheel->slots[level][slot], now_ms);
    }
    wheel->now_ms = now_ms;
}

/* The beginning of the next filled slot, which may lie before its first timer: then the wheel
 * advances once for nothing but sorting. */
int64_t timer_wheel_deadline_ms(const struct timer_wheel *wheel)
{
    if (!link_is_empty(&wheel->due))
        return wheel->now_ms;
    int level = 0, slot = 0;
    return next_event_ms(wheel, &level, &slot);
}
