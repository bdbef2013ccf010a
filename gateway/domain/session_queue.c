#include <stdlib.h>

#include "history.h"
#include "mem.h"
#include "narrow.h"

/* --- queue --------------------------------------------------------------------------------- */

static void session_queue_check(const struct session_queue *queue)
{
    assert((queue->capacity & (queue->capacity - 1)) == 0 || !queue->items);
    assert(queue->items ? queue->start < queue->capacity && queue->count <= queue->capacity
                        : queue->count <= 1);
    assert(queue->messages <= queue->count);
    assert(!queue->messages == !queue->message_bytes);
}

static struct queue_item *session_queue_item(struct session_queue *queue, size_t index)
{
    assert(index < queue->count);
    return queue->items ? &queue->items[(queue->start + index) & (queue->capacity - 1)]
                        : &queue->single;
}

static void session_queue_grow(struct session_queue *queue)
{
    size_t capacity = queue->items ? 2 * queue->capacity : 4;
    assert(capacity > queue->count);
    struct queue_item *items = mem_resize(NULL, capacity, sizeof(*items));
    for (size_t i = 0; i < queue->count; i++)
        items[i] = *session_queue_item(queue, i);
    free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->start = 0;
}

static size_t answer_size(size_t room_size)
{
    return sizeof(struct queue_item) + sizeof(struct control) + room_size;
}

void session_queue_push(struct session_queue *queue, struct queue_item item)
{
    if (queue->count && (!queue->items || queue->count == queue->capacity))
        session_queue_grow(queue);
    queue->count++;
    *session_queue_item(queue, queue->count - 1) = item;
    if (item.kind == ITEM_MESSAGE) {
        queue->messages++;
        queue->message_bytes += message_record_bytes(item.message);
    } else {
        queue->answer_bytes += answer_size(item.control->room_size);
    }
    session_queue_check(queue);
}

struct queue_item session_queue_shift(struct session_queue *queue)
{
    struct queue_item item = *session_queue_item(queue, 0);
    if (queue->items)
        queue->start = (queue->start + 1) & (queue->capacity - 1);
    queue->count--;
    if (item.kind == ITEM_MESSAGE) {
        queue->messages--;
        queue->message_bytes -= message_record_bytes(item.message);
    } else {
        queue->answer_bytes -= answer_size(item.control->room_size);
    }
    session_queue_check(queue);
    return item;
}

const struct queue_item *session_queue_first(struct session_queue *queue)
{
    return session_queue_item(queue, 0);
}

uint32_t session_queue_count(struct session_queue *queue, uint32_t lane_id)
{
    uint32_t count = 0;
    for (size_t i = 0; i < queue->count; i++) {
        const struct queue_item *item = session_queue_item(queue, i);
        count += item->kind == ITEM_MESSAGE && item->message->lane_id == lane_id;
    }
    return count;
}

static void item_free(struct queue_item *item)
{
    if (item->kind == ITEM_MESSAGE) {
        message_unref(item->message);
        return;
    }
    history_free(item->control->history);
    free(item->control);
}

void session_queue_deinit(struct session_queue *queue)
{
    while (queue->count) {
        struct queue_item item = session_queue_shift(queue);
        item_free(&item);
    }
    assert(queue->messages == 0 && queue->answer_bytes == 0);
    free(queue->items);
    *queue = (struct session_queue){0};
}

void session_clear_queue(struct session *session)
{
    session->hub->stats.queued_messages -= session->queue.messages;
    session_queue_deinit(&session->queue);
    session->untold = NULL; /* it was in there */
    session->untold_count = 0;
    session->histories = 0;
    for (unsigned i = 0; i < session->place_count; i++)
        session->places[i]->queued = 0;
}

/* --- who must be told ----------------------------------------------------------------------- */

/* Whether all it can do is look through a ring. */
static bool only_looks(const struct session *session)
{
    return session->state == SESSION_OPEN && !session->opening && session->queue.count == 0;
}

void session_wake(struct session *session)
{
    assert(session->listed != &session->hub->ready || !session->signaled);
    struct hub *hub = session->hub;
    struct attention *list = only_looks(session) ? &hub->lookers : &hub->ready;
    if (session->listed == list || session->listed == &hub->ready || session->signaled ||
        session->state == SESSION_CLOSED ||
        (session->state == SESSION_OPENING && !session->opening->refusal))
        return;
    session_unlist(session);
    session->listed = list;
    list->count++;
    DL_APPEND2(list->first, session, attention_prev, attention_next);
}

void session_unlist(struct session *session)
{
    struct attention *list = session->listed;
    if (!list)
        return;
    session->listed = NULL;
    list->count--;
    DL_DELETE2(list->first, session, attention_prev, attention_next);
}

static bool is_untold(const struct control *control)
{
    return control->lost && control->private_index < 0;
}

static bool has_room_for_answer(const struct session *session, const struct control *control,
                                size_t room_size)
{
    const struct session_queue *queue = &session->queue;
    const struct hub_config *config = &session->hub->config;
    return queue->count - queue->messages < config->answers &&
           queue->answer_bytes + answer_size(room_size) <= config->answer_bytes &&
           (!is_untold(control) || session->untold_count < config->rooms_per_session);
}

/* It is told although it was told before: until now there was something to write, from now on it
 * is over. */
static void overflow(struct session *session)
{
    session->overflowed = true;
    session->signaled = false;
    session_wake(session);
}

void session_push_control(struct session *session, enum item_kind kind, struct bytes room,
                          const struct control *control)
{
    assert(room.size <= ROOM_NAME_LIMIT);
    if (kind != ITEM_CLOSE &&
        (session->overflowed || !has_room_for_answer(session, control, room.size))) {
        history_free(control->history);
        overflow(session);
        return;
    }
    struct control *copy = mem_alloc(sizeof(*copy) + room.size);
    *copy = *control;
    copy->room_size = narrow_16(room.size);
    if (room.size)
        memcpy(copy->room, room.data, room.size);
    session->histories += control->history != NULL;
    if (is_untold(copy)) {
        DL_APPEND2(session->untold, copy, untold_prev, untold_next);
        session->untold_count++;
    }
    session_queue_push(&session->queue, (struct queue_item){.kind = kind, .control = copy});
    session_wake(session);
}

bool session_is_full(const struct session *session)
{
    const struct hub_config *config = &session->hub->config;
    return session->queue.messages >= config->queue_messages ||
           (config->queue_bytes && session->queue.message_bytes >= config->queue_bytes);
}

bool session_offer(struct place *place, struct message *message)
{
    assert(place->lane->id == message->lane_id && !message->fault);
    struct session *session = place->session;
    struct session_queue *queue = &session->queue;
    assert(message->offset >= place->next);
    if (session_is_full(session))
        return false;
    session_queue_push(queue,
                       (struct queue_item){.kind = ITEM_MESSAGE, .message = message_ref(message)});
    session->hub->stats.queued_messages++;
    place->queued++;
    place->next = message->offset + 1;
    session_wake(session);
    return true;
}

bool session_is_behind(const struct session *session)
{
    for (unsigned i = 0; i < session->place_count; i++)
        if (session->places[i]->state == PLACE_BEHIND ||
            session->places[i]->state == PLACE_SCANNING)
            return true;
    return false;
}
