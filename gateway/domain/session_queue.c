/* A queue that starts with one slot of its own. Most sessions have at most one item at a time,
 * and there are as many queues as clients. */
#include "session_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"

/* After each change: the two kinds of memory, and the two sums, belong together. */
static void check_session_queue(const struct session_queue *queue)
{
    assert((queue->capacity & (queue->capacity - 1)) == 0);
    assert(queue->capacity ? queue->start < queue->capacity && queue->count <= queue->capacity
                           : queue->count <= 1);
    assert(queue->messages <= queue->count);
    assert(!queue->messages == !queue->message_bytes);
}

static struct queue_item *slot_in(struct session_queue *queue, uint32_t index)
{
    assert(queue->capacity ? index < queue->capacity : index == 0);
    return queue->capacity ? &queue->items[(queue->start + index) & (queue->capacity - 1)]
                           : &queue->single;
}

/* From the slot of its own to four, then doubled; put in order, so that the oldest stands first.
 * It may hold as much as hub_config allows and is not limited here: what is beyond a limit is
 * never pushed. */
static void grow_queue(struct session_queue *queue)
{
    uint32_t capacity = queue->capacity ? 2 * queue->capacity : 4;
    assert(capacity > queue->count);
    struct queue_item *items = mem_resize(NULL, capacity, sizeof(*items));
    for (uint32_t i = 0; i < queue->count; i++)
        items[i] = *slot_in(queue, i);
    if (queue->capacity)
        free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->start = 0;
}

size_t session_queue_answer_size(size_t room_size)
{
    return sizeof(struct queue_item) + sizeof(struct control) + room_size;
}

/* With what it is, for the limits: messages and all else are bounded apart. */
static void count_in(struct session_queue *queue, const struct queue_item *item)
{
    queue->count++;
    if (item->kind == ITEM_MESSAGE) {
        queue->messages++;
        queue->message_bytes += message_record_bytes(item->message);
    } else {
        queue->answer_bytes += session_queue_answer_size(item->control->room_size);
    }
}

static void count_out(struct session_queue *queue, const struct queue_item *item)
{
    assert(queue->count > 0);
    queue->count--;
    if (item->kind == ITEM_MESSAGE) {
        queue->messages--;
        queue->message_bytes -= message_record_bytes(item->message);
    } else {
        queue->answer_bytes -= session_queue_answer_size(item->control->room_size);
    }
}

void session_queue_push(struct session_queue *queue, struct queue_item item)
{
    if (queue->count && (!queue->capacity || queue->count == queue->capacity))
        grow_queue(queue);
    *slot_in(queue, queue->count) = item;
    count_in(queue, &item);
    check_session_queue(queue);
}

/* The item goes, and its memory stays for the next: session_queue_shrink() gives it back when
 * the transport has taken everything. */
struct queue_item session_queue_shift(struct session_queue *queue)
{
    struct queue_item item = *session_queue_first(queue);
    count_out(queue, &item);
    if (queue->capacity)
        queue->start = (queue->start + 1) & (queue->capacity - 1);
    check_session_queue(queue);
    return item;
}

const struct queue_item *session_queue_first(const struct session_queue *queue)
{
    assert(queue->count > 0);
    return queue->capacity ? &queue->items[queue->start] : &queue->single;
}

/* A walk over the whole queue, which is bounded: it happens when a session comes into a lane,
 * not when something is delivered. */
uint32_t session_queue_count(struct session_queue *queue, uint32_t lane_id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct queue_item *item = slot_in(queue, i);
        count += item->kind == ITEM_MESSAGE && item->message->lane_id == lane_id;
    }
    return count;
}

/* What was not given: nobody else knows of the control, or of the history that it brings. */
static void free_item(struct queue_item *item)
{
    if (item->kind == ITEM_MESSAGE) {
        message_unref(item->message);
        return;
    }
    assert(!item->control->history || item->kind == ITEM_JOINED);
    history_free(item->control->history);
    free(item->control);
}

void session_queue_clear(struct session_queue *queue)
{
    while (queue->count) {
        struct queue_item item = session_queue_shift(queue);
        free_item(&item);
    }
    assert(queue->messages == 0 && queue->message_bytes == 0 && queue->answer_bytes == 0);
    session_queue_shrink(queue);
}

/* All goes once around: what stays keeps its order. */
void session_queue_drop_messages(struct session_queue *queue)
{
    for (size_t left = queue->count; left; left--) {
        struct queue_item item = session_queue_shift(queue);
        if (item.kind == ITEM_MESSAGE)
            free_item(&item);
        else
            session_queue_push(queue, item);
    }
    assert(queue->messages == 0 && queue->message_bytes == 0);
    session_queue_shrink(queue);
}

void session_queue_shrink(struct session_queue *queue)
{
    if (queue->count || !queue->capacity)
        return;
    free(queue->items);
    *queue = (struct session_queue){0};
}
