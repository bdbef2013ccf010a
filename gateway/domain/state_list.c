/* Two owners, of whom one may outlive the other: sessions that are still reading it, and the view
 * that gives it to the next one. Whoever goes last frees it. Each counts what it holds in the sum
 * that its own limit is about, so a list that both have is counted twice: rather too much memory
 * than too little. */
#include "state_list.h"

#include <stdlib.h>

#include "hub_state.h"
#include "lane.h"
#include "mem.h"

struct state_list *state_list_new(struct hub *hub, struct message **messages, uint32_t count,
                                  int64_t since_ms, bool of_view)
{
    struct state_list *list = mem_new(struct state_list);
    assert(messages || count == 0);
    list->hub = hub;
    list->messages = messages;
    list->count = count;
    list->since_ms = since_ms;
    list->of_view = of_view;
    list->oldest_ms = INT64_MAX;
    list->own_bytes = count * sizeof(struct message *);
    for (uint32_t i = 0; i < count; i++) {
        list->message_bytes += message_record_bytes(messages[i]);
        if (messages[i]->timestamp_ms < list->oldest_ms)
            list->oldest_ms = messages[i]->timestamp_ms;
    }
    hub->stats.state_lists++;
    return list;
}

static void free_if_alone(struct state_list *list)
{
    if (list->holders || list->kept_at)
        return;
    for (uint32_t i = 0; i < list->count; i++)
        message_unref(list->messages[i]);
    for (size_t slot = 0; slot < TRANSPORT_SLOT_COUNT; slot++) {
        for (uint32_t i = 0; i < list->frames[slot].count; i++)
            free(list->frames[slot].chunks[i].data);
        free(list->frames[slot].chunks);
    }
    free(list->messages);
    free(list);
}

static size_t held_bytes(const struct state_list *list)
{
    return list->message_bytes + list->own_bytes;
}

void state_list_hold(struct state_list *list)
{
    if (list->holders++ == 0)
        list->hub->stats.history_bytes += held_bytes(list);
}

size_t state_list_charge(struct state_list *list, struct history_share *tenant)
{
    assert(list->holders > 0);
    if (!list->payer) {
        list->payer = history_share_hold_again(tenant);
        history_share_add(list->payer, held_bytes(list));
    }
    return held_bytes(list);
}

static void leave_uncounted(struct state_list *list)
{
    assert(list->holders == 0 && list->hub->stats.history_bytes >= held_bytes(list));
    list->hub->stats.history_bytes -= held_bytes(list);
    history_share_take(list->payer, held_bytes(list));
    history_share_drop(list->payer);
    list->payer = NULL;
}

void state_list_drop(struct state_list *list)
{
    if (!list)
        return;
    assert(list->holders > 0);
    if (--list->holders == 0)
        leave_uncounted(list);
    free_if_alone(list);
}

size_t state_list_room(const struct hub *hub)
{
    uint64_t most = hub->config.history.buffered, held = hub->stats.history_bytes;
    uint64_t left = held < most ? most - held : 0;
    return left < most / STATE_SHARE ? (size_t)left : (size_t)(most / STATE_SHARE);
}

/* --- what a view keeps ------------------------------------------------------------------------ */

void state_list_keep(struct state_list *list, struct state_list **at)
{
    assert(list->of_view && !list->kept_at && !*at);
    struct hub *hub = list->hub;
    *at = list;
    list->kept_at = at;
    hub->stats.view_bytes += list->own_bytes;
    DL_APPEND(hub->state_lists, list);
}

void state_list_forget(struct state_list *list)
{
    struct hub *hub = list->hub;
    assert(list->kept_at && *list->kept_at == list && hub->stats.view_bytes >= list->own_bytes);
    *list->kept_at = NULL;
    list->kept_at = NULL;
    hub->stats.view_bytes -= list->own_bytes;
    DL_DELETE(hub->state_lists, list);
    free_if_alone(list);
}

void state_list_make_room(struct hub *hub)
{
    while (hub->state_lists && hub->stats.view_bytes > hub->config.state.bytes)
        state_list_forget(hub->state_lists);
}

/* --- chunks ----------------------------------------------------------------------------------- */

/* Copied: the frame itself stays only where the lane's ring has room for it. Of those that a view
 * shows the chunk is what is kept. */
static void append_list_item(const struct state_list *list, struct lane *lane,
                             const struct transport_ops *transport, struct message *message)
{
    bool framed = message->frames[transport->slot] != NULL;
    struct bytes event;
    message_frame(message, transport);
    struct bytes notification = message_framed_notification(message, transport->slot, &event);
    transport->append_item(&list->hub->chunk, event, notification);
    if (!framed && (list->of_view || !lane || !lane_count_frame(lane, message)))
        message_forget_frame(message, transport->slot);
    message_forget_decoded(message);
}

/* The index of the item behind it. */
static uint32_t make_chunk(const struct state_list *list, struct lane *lane,
                           const struct transport_ops *transport, uint32_t item)
{
    struct buffer *chunk = &list->hub->chunk;
    buffer_clear(chunk);
    for (; item < list->count; item++) {
        size_t before = buffer_size(chunk);
        append_list_item(list, lane, transport, list->messages[item]);
        if (before && buffer_size(chunk) > list->hub->config.state.chunk_bytes) {
            buffer_truncate(chunk, before);
            break;
        }
    }
    list->hub->stats.state_chunks++;
    return item;
}

/* For the next one who comes to it, if both who count it have room for it. */
static bool may_keep_chunk(const struct state_list *list, size_t size)
{
    const struct hub *hub = list->hub;
    assert(list->holders > 0);
    return list->kept_at && hub->stats.history_bytes + size <= hub->config.history.buffered &&
           hub->stats.view_bytes + size <= hub->config.state.bytes;
}

static void keep_chunk(struct state_list *list, struct state_frames *frames, struct bytes body,
                       uint32_t next)
{
    struct state_chunk chunk = {.size = body.size, .next = next};
    if (body.size) {
        chunk.data = mem_alloc(body.size);
        memcpy(chunk.data, body.data, body.size);
    }
    frames->chunks = mem_resize(frames->chunks, frames->count + 1, sizeof(chunk));
    frames->chunks[frames->count++] = chunk;
    list->own_bytes += sizeof(chunk) + body.size;
    list->hub->stats.history_bytes += sizeof(chunk) + body.size;
    history_share_add(list->payer, sizeof(chunk) + body.size);
    list->hub->stats.view_bytes += sizeof(chunk) + body.size;
}

bool state_list_next(struct state_list *list, struct lane *lane,
                     const struct transport_ops *transport, struct state_step *step,
                     struct bytes *chunk)
{
    struct state_frames *frames = &list->frames[transport->slot];
    assert(list->holders > 0 && step->item <= list->count);
    if (step->begun && step->item == list->count)
        return false;
    step->begun = true;
    if (step->chunk < frames->count) {
        const struct state_chunk *kept = &frames->chunks[step->chunk++];
        assert(kept->next >= step->item && kept->next <= list->count);
        step->item = kept->next;
        *chunk = bytes_of(kept->data, kept->size);
        return true;
    }
    step->item = make_chunk(list, lane, transport, step->item);
    *chunk = buffer_peek(&list->hub->chunk);
    if (step->chunk == frames->count &&
        may_keep_chunk(list, sizeof(struct state_chunk) + chunk->size))
        keep_chunk(list, frames, *chunk, step->item);
    step->chunk++;
    return true;
}
