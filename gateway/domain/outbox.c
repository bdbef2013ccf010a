#include <stdlib.h>

#include "history.h"
#include "mem.h"
#include "narrow.h"

/* --- outbox --------------------------------------------------------------------------------- */

static void outbox_check(const struct outbox *outbox)
{
    assert((outbox->capacity & (outbox->capacity - 1)) == 0 || !outbox->items);
    assert(outbox->items ? outbox->start < outbox->capacity && outbox->count <= outbox->capacity
                         : outbox->count <= 1);
    assert(outbox->messages <= outbox->count);
    assert(!outbox->messages == !outbox->message_bytes);
}

static struct item *outbox_item(struct outbox *outbox, size_t index)
{
    assert(index < outbox->count);
    return outbox->items ? &outbox->items[(outbox->start + index) & (outbox->capacity - 1)]
                         : &outbox->single;
}

static void outbox_grow(struct outbox *outbox)
{
    size_t capacity = outbox->items ? 2 * outbox->capacity : 4;
    assert(capacity > outbox->count);
    struct item *items = mem_resize(NULL, capacity, sizeof(*items));
    for (size_t i = 0; i < outbox->count; i++)
        items[i] = *outbox_item(outbox, i);
    free(outbox->items);
    outbox->items = items;
    outbox->capacity = capacity;
    outbox->start = 0;
}

static size_t answer_size(size_t room_size)
{
    return sizeof(struct item) + sizeof(struct control) + room_size;
}

void outbox_push(struct outbox *outbox, struct item item)
{
    if (outbox->count && (!outbox->items || outbox->count == outbox->capacity))
        outbox_grow(outbox);
    outbox->count++;
    *outbox_item(outbox, outbox->count - 1) = item;
    if (item.kind == ITEM_MESSAGE) {
        outbox->messages++;
        outbox->message_bytes += message_record_bytes(item.message);
    } else {
        outbox->answer_bytes += answer_size(item.control->room_size);
    }
    outbox_check(outbox);
}

struct item outbox_shift(struct outbox *outbox)
{
    struct item item = *outbox_item(outbox, 0);
    if (outbox->items)
        outbox->start = (outbox->start + 1) & (outbox->capacity - 1);
    outbox->count--;
    if (item.kind == ITEM_MESSAGE) {
        outbox->messages--;
        outbox->message_bytes -= message_record_bytes(item.message);
    } else {
        outbox->answer_bytes -= answer_size(item.control->room_size);
    }
    outbox_check(outbox);
    return item;
}

const struct item *outbox_first(struct outbox *outbox)
{
    return outbox_item(outbox, 0);
}

uint32_t outbox_count(struct outbox *outbox, uint32_t lane_id)
{
    uint32_t count = 0;
    for (size_t i = 0; i < outbox->count; i++) {
        const struct item *item = outbox_item(outbox, i);
        count += item->kind == ITEM_MESSAGE && item->message->lane_id == lane_id;
    }
    return count;
}

static void item_free(struct item *item)
{
    if (item->kind == ITEM_MESSAGE) {
        message_unref(item->message);
        return;
    }
    history_free(item->control->history);
    free(item->control);
}

void outbox_deinit(struct outbox *outbox)
{
    while (outbox->count) {
        struct item item = outbox_shift(outbox);
        item_free(&item);
    }
    assert(outbox->messages == 0 && outbox->answer_bytes == 0);
    free(outbox->items);
    *outbox = (struct outbox){0};
}

void session_clear_outbox(struct session *session)
{
    session->hub->stats.outbox_messages -= session->outbox.messages;
    outbox_deinit(&session->outbox);
    session->histories = 0;
    for (unsigned i = 0; i < session->lane_count; i++)
        session->lanes[i]->queued = 0;
}

/* --- who must be told ----------------------------------------------------------------------- */

/* Whether all it can do is look through a ring. */
static bool only_looks(const struct session *session)
{
    return session->state == SESSION_OPEN && !session->opening && session->outbox.count == 0;
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

static bool has_room_for_answer(const struct session *session, size_t room_size)
{
    const struct outbox *outbox = &session->outbox;
    const struct hub_config *config = &session->hub->config;
    return outbox->count - outbox->messages < config->answers &&
           outbox->answer_bytes + answer_size(room_size) <= config->answer_bytes;
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
    if (kind != ITEM_CLOSE && (session->overflowed || !has_room_for_answer(session, room.size))) {
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
    outbox_push(&session->outbox, (struct item){.kind = kind, .control = copy});
    session_wake(session);
}

bool session_is_full(const struct session *session)
{
    const struct hub_config *config = &session->hub->config;
    return session->outbox.messages >= config->outbox_messages ||
           (config->outbox_bytes && session->outbox.message_bytes >= config->outbox_bytes);
}

bool session_offer(struct session_lane *place, struct message *message)
{
    assert(place->lane->id == message->lane_id && !message->fault);
    struct session *session = place->session;
    struct outbox *outbox = &session->outbox;
    assert(message->offset >= place->next);
    if (session_is_full(session))
        return false;
    outbox_push(outbox, (struct item){.kind = ITEM_MESSAGE, .message = message_ref(message)});
    session->hub->stats.outbox_messages++;
    place->queued++;
    place->next = message->offset + 1;
    session_wake(session);
    return true;
}

bool session_is_behind(const struct session *session)
{
    for (unsigned i = 0; i < session->lane_count; i++)
        if (session->lanes[i]->state == LANE_BEHIND || session->lanes[i]->state == LANE_SCANNING)
            return true;
    return false;
}
