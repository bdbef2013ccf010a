#include "state_list.h"

#include <stdio.h>

#include "hub_state.h"
#include "mem.h"
#include "suite.h"

static struct hub hub;
static unsigned encoded;

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    size_t start = buffer_size(out);
    buffer_append(out, view->notification->item.key);
    encoded++;
    return (struct body_part){start, buffer_size(out) - start};
}

static void append_item(struct buffer *list, struct bytes event, struct bytes notification)
{
    (void)event;
    if (buffer_size(list))
        buffer_append_byte(list, ' ');
    buffer_append(list, notification);
}

static const struct transport_ops sse = {
    .slot = TRANSPORT_SLOT_SSE, .encode = encode, .append_item = append_item};
static const struct transport_ops websocket = {
    .slot = TRANSPORT_SLOT_WEBSOCKET_JSON, .encode = encode, .append_item = append_item};

static struct message *make_message(unsigned number)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "item-%u", number);
    struct bytes room = BYTES_LITERAL("task:1");
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .item.key = bytes_of(text, (size_t)size),
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    auto_buffer struct buffer value = {0};
    notification_encode(&notification, &value);
    struct lane_record record = {
        .offset = number, .timestamp_ms = 100 - number, .value = buffer_peek(&value)};
    return message_new(1, &record, LANE_SCOPE_NONE, 10);
}

static struct state_list *make_list(unsigned count)
{
    struct message **messages = mem_alloc(count * sizeof(struct message *));
    for (unsigned i = 0; i < count; i++)
        messages[i] = make_message(i + 1);
    return state_list_new(&hub, messages, count, INT64_MIN, true);
}

static void begin_world(void)
{
    memset(&hub, 0, sizeof(hub));
    hub.config.history.buffered = hub.config.state.bytes = 1 << 20;
    hub.config.state.chunk_bytes = 15; /* two items */
    encoded = 0;
}

static void end_world(void)
{
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
    ck_assert_uint_eq(hub.stats.view_bytes, 0);
    ck_assert_ptr_null(hub.state_lists);
    buffer_deinit(&hub.chunk);
}

/* What one who begins gets of it, chunks in brackets. */
static const char *take_all(struct state_list *list, const struct transport_ops *transport)
{
    static char told[256];
    struct state_step step = {0};
    struct bytes chunk;
    int size = 0;
    while (state_list_next(list, NULL, transport, &step, &chunk))
        size += snprintf(told + size, sizeof(told) - (size_t)size, "[%.*s]", BYTES_PRINT(chunk));
    ck_assert_uint_eq(step.item, list->count);
    return told;
}

START_TEST(it_is_framed_once_for_each_transport)
{
    begin_world();
    struct state_list *list = make_list(5), *kept = NULL;
    state_list_keep(list, &kept);
    ck_assert_ptr_eq(kept, list);
    for (unsigned i = 0; i < 100; i++) {
        state_list_hold(list);
        ck_assert_str_eq(take_all(list, &sse), "[item-1 item-2][item-3 item-4][item-5]");
    }
    ck_assert_uint_eq(encoded, 7); /* who does not fit into a chunk is framed again for the next */
    ck_assert_uint_eq(hub.stats.state_chunks, 3);
    ck_assert_str_eq(take_all(list, &websocket), "[item-1 item-2][item-3 item-4][item-5]");
    ck_assert_uint_eq(hub.stats.state_chunks, 6);
    for (uint32_t i = 0; i < list->count; i++) /* the chunk is what is kept */
        ck_assert_ptr_null(list->messages[i]->frames[TRANSPORT_SLOT_SSE]);
    for (unsigned i = 0; i < 100; i++)
        state_list_drop(list);
    state_list_forget(kept);
    ck_assert_ptr_null(kept);
    end_world();
}
END_TEST

START_TEST(it_is_counted_once_whatever_the_number_of_holders)
{
    begin_world();
    struct state_list *list = make_list(3), *kept = NULL;
    state_list_keep(list, &kept);
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
    size_t own = list->own_bytes;
    ck_assert_uint_eq(hub.stats.view_bytes, own);
    state_list_hold(list);
    ck_assert_uint_eq(hub.stats.history_bytes, list->message_bytes + own);
    state_list_hold(list);
    take_all(list, &sse);
    ck_assert_uint_gt(list->own_bytes, own);
    ck_assert_uint_eq(hub.stats.history_bytes, list->message_bytes + list->own_bytes);
    ck_assert_uint_eq(hub.stats.view_bytes, list->own_bytes);
    state_list_drop(list);
    ck_assert_uint_eq(hub.stats.history_bytes, list->message_bytes + list->own_bytes);
    state_list_forget(list); /* the room has changed; one still reads what it was */
    ck_assert_uint_eq(hub.stats.view_bytes, 0);
    ck_assert_str_eq(take_all(list, &sse), "[item-1 item-2][item-3]");
    state_list_drop(list);
    state_list_drop(NULL);
    end_world();
}
END_TEST

START_TEST(without_room_for_its_chunks_each_frames_its_own)
{
    begin_world();
    struct state_list *list = make_list(3), *kept = NULL;
    state_list_keep(list, &kept);
    state_list_hold(list);
    hub.config.history.buffered = hub.stats.history_bytes + 10;
    for (unsigned i = 0; i < 2; i++)
        ck_assert_str_eq(take_all(list, &sse), "[item-1 item-2][item-3]");
    hub.config.history.buffered = 1 << 20;
    hub.config.state.bytes = hub.stats.view_bytes + 10;
    ck_assert_str_eq(take_all(list, &sse), "[item-1 item-2][item-3]");
    ck_assert_uint_eq(hub.stats.state_chunks, 6);
    ck_assert_uint_le(hub.stats.view_bytes, hub.config.state.bytes);
    hub.config.state.bytes = 1 << 20; /* in the middle of it there is room again */
    struct state_step step = {0};
    struct bytes chunk;
    ck_assert(state_list_next(list, NULL, &sse, &step, &chunk));
    hub.config.state.bytes = 0;
    ck_assert(state_list_next(list, NULL, &sse, &step, &chunk));
    ck_assert(bytes_equal_string(chunk, "item-3"));
    ck_assert(!state_list_next(list, NULL, &sse, &step, &chunk));
    ck_assert_str_eq(take_all(list, &sse), "[item-1 item-2][item-3]");
    state_list_drop(list);
    state_list_forget(kept);
    end_world();
}
END_TEST

START_TEST(what_was_kept_first_makes_room)
{
    begin_world();
    struct state_list *lists[4] = {0};
    for (unsigned i = 0; i < 4; i++)
        state_list_keep(make_list(i + 1), &lists[i]);
    hub.config.state.bytes = lists[2]->own_bytes + lists[3]->own_bytes;
    state_list_make_room(&hub);
    ck_assert(!lists[0] && !lists[1] && lists[2] && lists[3]);
    hub.config.state.bytes = 0;
    state_list_make_room(&hub);
    ck_assert(!lists[2] && !lists[3]);
    end_world();
}
END_TEST

START_TEST(one_without_items_has_a_chunk)
{
    begin_world();
    struct state_list *list = state_list_new(&hub, NULL, 0, 7, false);
    state_list_hold(list);
    ck_assert_int_eq(list->oldest_ms, INT64_MAX);
    ck_assert_str_eq(take_all(list, &sse), "[]");
    state_list_drop(list);
    list = make_list(3);
    ck_assert_int_eq(list->oldest_ms, 97);
    state_list_hold(list);
    state_list_drop(list);
    end_world();
}
END_TEST

START_TEST(a_list_has_an_eighth_of_what_all_may_have)
{
    begin_world();
    ck_assert_uint_eq(state_list_room(&hub), (1 << 20) / 8);
    hub.stats.history_bytes = (1 << 20) - 1000;
    ck_assert_uint_eq(state_list_room(&hub), 1000);
    hub.stats.history_bytes = 2 << 20;
    ck_assert_uint_eq(state_list_room(&hub), 0);
    hub.stats.history_bytes = 0;
    end_world();
}
END_TEST

TEST_PROGRAM("state_list", it_is_framed_once_for_each_transport,
             it_is_counted_once_whatever_the_number_of_holders,
             without_room_for_its_chunks_each_frames_its_own, what_was_kept_first_makes_room,
             one_without_items_has_a_chunk, a_list_has_an_eighth_of_what_all_may_have)
