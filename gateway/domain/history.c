/* A growing queue of messages that are counted twice: for the history, and for all histories of
 * the hub. Every way in and out goes through history_add() and shift(), so the sums cannot part. */
#include "history.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"

enum { SHARE = 8 }; /* one history holds at most this part of what all may */

struct history *history_new(struct hub *hub, uint32_t lane_id)
{
    struct history *history = mem_new(struct history);
    history->hub = hub;
    history->lane_id = lane_id;
    return history;
}

/* Its reference is the caller's. */
static struct message *shift(struct history *history)
{
    assert(history->count > 0 && history->count <= history->capacity);
    struct message *message = history->messages[history->start];
    size_t bytes = message_record_bytes(message);
    history->start = (history->start + 1) & (history->capacity - 1);
    history->count--;
    assert(history->bytes >= bytes && history->hub->stats.history_bytes >= bytes);
    history->bytes -= bytes;
    history->hub->stats.history_bytes -= bytes;
    return message;
}

/* Small at first: most histories are the last few of a quiet room. */
static void grow_history(struct history *history)
{
    assert(history->count == history->capacity);
    uint32_t capacity = history->capacity ? 2 * history->capacity : 8;
    struct message **messages = mem_alloc(capacity * sizeof(struct message *));
    for (uint32_t i = 0; i < history->count; i++)
        messages[i] = history->messages[(history->start + i) & (history->capacity - 1)];
    free(history->messages);
    history->messages = messages;
    history->capacity = capacity;
    history->start = 0;
}

void history_add(struct history *history, struct message *message)
{
    assert(!message->fault && !history->whole);
    size_t bytes = message_record_bytes(message);
    if (history->count == history->capacity)
        grow_history(history);
    history->messages[(history->start + history->count++) & (history->capacity - 1)] =
        message_ref(message);
    history->bytes += bytes;
    history->hub->stats.history_bytes += bytes;
}

/* The newest are what was asked for: "the last ten", or what is nearest to now. */
void history_drop_oldest(struct history *history)
{
    assert(!history->whole); /* from then on, what it found is what is given */
    message_unref(shift(history));
}

void history_clear(struct history *history)
{
    while (history->count)
        message_unref(shift(history));
    assert(history->bytes == 0);
}

bool history_is_too_large(const struct history *history)
{
    const struct hub *hub = history->hub;
    assert(hub->stats.history_bytes >= history->bytes);
    /* The part of one is limited as well, or the first to ask for much would leave nothing for
     * others. */
    return history->bytes > hub->config.history.buffered / SHARE ||
           hub->stats.history_bytes > hub->config.history.buffered;
}

/* From now on it waits in a session's queue, and its memory is held until the client reads. */
void history_set_whole(struct history *history, struct position end, bool complete)
{
    assert(!history->whole);
    history->whole = true;
    history->complete = complete;
    history->found = history->count;
    history->end = end;
}

struct message *history_take(struct history *history)
{
    assert(history->whole && history->count <= history->found);
    return history->count ? shift(history) : NULL;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    history_clear(history);
    free(history->messages);
    free(history);
}
