/* A growing queue of messages that are counted twice: for the history, and for all histories of
 * the hub. Every way in and out goes through history_count_in() and history_count_out(), so the sums
 * cannot part.
 *
 * A state is folded first, and becomes such a queue when it is whole. Only messages are counted: of
 * an item there is little besides, and a limit of their own is on items. */
#include "history.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"

enum { SHARE = 8 }; /* one history holds at most this part of what all may */

struct history *history_new(struct hub *hub, uint32_t lane_id, bool is_state)
{
    struct history *history = mem_new(struct history);
    history->hub = hub;
    history->lane_id = lane_id;
    history->is_state = is_state;
    history->since_ms = INT64_MIN;
    return history;
}

static void history_count_in(struct history *history, const struct message *message)
{
    size_t bytes = message_record_bytes(message);
    history->bytes += bytes;
    history->hub->stats.history_bytes += bytes;
}

static void history_count_out(struct history *history, const struct message *message)
{
    size_t bytes = message_record_bytes(message);
    assert(history->bytes >= bytes && history->hub->stats.history_bytes >= bytes);
    history->bytes -= bytes;
    history->hub->stats.history_bytes -= bytes;
}

/* Its reference is the caller's. */
static struct message *shift(struct history *history)
{
    assert(history->count > 0 && history->count <= history->capacity);
    struct message *message = history->messages[history->start];
    history->start = (history->start + 1) & (history->capacity - 1);
    history->count--;
    history_count_out(history, message);
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

/* Its reference is the history's. */
static void push(struct history *history, struct message *message)
{
    if (history->count == history->capacity)
        grow_history(history);
    history->messages[(history->start + history->count++) & (history->capacity - 1)] = message;
}

/* What it had of the item, if anything, is not the newest any more. */
static void let_go(struct history *history, struct message *message)
{
    if (!message)
        return;
    history_count_out(history, message);
    message_unref(message);
}

static void fold_in(struct history *history, struct message *message)
{
    bool decoded = message_decode(message);
    assert(decoded);
    (void)decoded;
    const struct notification_item *item = &message->notification->item;
    if (item->key.size == 0)
        return;
    if (item->removed) {
        let_go(history, state_fold_remove(&history->fold, history->hub, item->key));
        return;
    }
    history_count_in(history, message);
    let_go(history, state_fold_put(&history->fold, history->hub, item->key, message));
}

void history_add(struct history *history, struct message *message)
{
    assert(!message->fault && !history->whole);
    if (history->is_state) {
        fold_in(history, message);
        return;
    }
    push(history, message_ref(message));
    history_count_in(history, message);
}

/* Out of the queue, or out of what is folded; its reference is the caller's. */
static struct message *take_oldest(struct history *history)
{
    assert(history_count(history) > 0);
    if (!history->is_state || history->whole)
        return shift(history);
    struct message *oldest = state_fold_take_oldest(&history->fold);
    history_count_out(history, oldest);
    return oldest;
}

/* The newest are what was asked for: "the last ten", or what is nearest to now. Of a state, all
 * that is left has changed later. */
void history_drop_oldest(struct history *history)
{
    assert(!history->whole); /* from then on, what it found is what is given */
    struct message *oldest = take_oldest(history);
    if (history->since_ms <= oldest->timestamp_ms)
        history->since_ms = history_after_ms(oldest->timestamp_ms);
    message_unref(oldest);
}

void history_clear(struct history *history)
{
    while (history_count(history))
        message_unref(take_oldest(history));
    history->since_ms = INT64_MIN;
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
void history_set_whole(struct history *history, struct position end, bool complete,
                       int64_t since_ms)
{
    struct message *oldest;
    assert(!history->whole && (!history->is_state || history->count == 0));
    while ((oldest = state_fold_take_oldest(&history->fold)))
        push(history, oldest); /* it stays counted */
    if (history->since_ms < since_ms)
        history->since_ms = since_ms;
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

struct message *history_next(const struct history *history)
{
    assert(history->whole);
    return history->count ? history->messages[history->start] : NULL;
}

/* A room without items has a chunk too: it says that there are none. */
bool history_begin_chunk(struct history *history, bool *first)
{
    assert(history->whole && history->is_state);
    *first = !history->begun;
    history->begun = true;
    return *first || history->count > 0;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    history_clear(history);
    free(history->messages);
    free(history);
}
