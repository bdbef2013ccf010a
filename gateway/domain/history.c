/* A growing queue of messages that are counted twice: for the history, and for all histories of
 * the hub. Every way in and out goes through history_count_in() and history_count_out(), so the sums
 * cannot part.
 *
 * A state is folded first, and becomes a list when it is whole. While it is folded only messages are
 * counted: of an item there is little besides, and a limit of their own is on items. Then the list
 * counts the same. */
#include "history.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"

struct history *history_new(struct hub *hub, struct session *session, uint32_t lane_id,
                            bool is_state)
{
    struct history *history = mem_new(struct history);
    history->hub = hub;
    history->session = session;
    history->tenant = session ? history_share_hold(hub, session) : NULL;
    history->lane_id = lane_id;
    history->is_state = is_state;
    history->since_ms = INT64_MIN;
    return history;
}

/* As the list will count it. */
static size_t counted_bytes(const struct message *message)
{
    return message_record_bytes(message) + sizeof(struct message *);
}

static void history_count_in(struct history *history, const struct message *message)
{
    size_t bytes = counted_bytes(message);
    history->bytes += bytes;
    history->hub->stats.history_bytes += bytes;
    history_share_add(history->tenant, bytes);
    if (history->session)
        history->session->history_bytes += bytes;
}

static void history_count_out(struct history *history, const struct message *message)
{
    size_t bytes = counted_bytes(message);
    assert(history->bytes >= bytes && history->hub->stats.history_bytes >= bytes);
    history->bytes -= bytes;
    history->hub->stats.history_bytes -= bytes;
    history_share_take(history->tenant, bytes);
    if (history->session) {
        assert(history->session->history_bytes >= bytes);
        history->session->history_bytes -= bytes;
    }
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

enum history_limit history_limit_of(const struct history *history)
{
    const struct hub *hub = history->hub;
    assert(hub->stats.history_bytes >= history->bytes);
    if (history->bytes > hub->config.history.buffered / STATE_SHARE)
        return HISTORY_LIMIT_ONE;
    return history_share_limit(hub, history->session, history->tenant);
}

static void set_whole(struct history *history, struct position end, bool complete, uint32_t found)
{
    assert(!history->whole);
    history->whole = true;
    history->complete = complete;
    history->found = found;
    history->end = end;
}

/* From now on it waits in a session's queue, and its memory is held until the client reads. */
void history_set_whole(struct history *history, struct position end, bool complete,
                       int64_t since_ms)
{
    if (!history->is_state) {
        set_whole(history, end, complete, history->count);
        return;
    }
    uint32_t count = 0, most = history->fold.count;
    struct message **messages = most ? mem_alloc(most * sizeof(struct message *)) : NULL;
    while (history->fold.count) {
        messages[count] = state_fold_take_oldest(&history->fold);
        history_count_out(history, messages[count++]); /* the list counts it */
    }
    if (since_ms < history->since_ms)
        since_ms = history->since_ms;
    assert(history->bytes == 0 && count == most);
    struct state_list *list = state_list_new(history->hub, messages, count, since_ms, false);
    state_list_hold(list);
    history_set_list(history, list, end, complete, since_ms);
}

void history_set_list(struct history *history, struct state_list *list, struct position end,
                      bool complete, int64_t since_ms)
{
    assert(history->is_state && !history->list && history->fold.count == 0 && list->holders > 0);
    history->list = list;
    history->list_bytes = state_list_charge(list, history->tenant);
    if (history->session)
        history->session->history_bytes += history->list_bytes;
    history->since_ms = since_ms;
    set_whole(history, end, complete, list->count);
}

struct message *history_take(struct history *history)
{
    assert(history->whole && history->count <= history->found);
    return history->count ? shift(history) : NULL;
}

bool history_next_chunk(struct history *history, struct lane *lane,
                        const struct transport_ops *transport, bool *first, struct bytes *chunk)
{
    assert(history->whole && history->is_state);
    *first = !history->step.begun;
    return state_list_next(history->list, lane, transport, &history->step, chunk);
}

void history_free(struct history *history)
{
    if (!history)
        return;
    history_clear(history);
    if (history->session) {
        assert(history->session->history_bytes >= history->list_bytes);
        history->session->history_bytes -= history->list_bytes;
    }
    state_list_drop(history->list);
    history_share_drop(history->tenant);
    free(history->messages);
    free(history);
}
