#include "session_queue.h"

#include <stdlib.h>

#include "mem.h"
#include "suite.h"

static struct message *make_message(uint32_t lane_id, int64_t offset)
{
    struct lane_record record = {.offset = offset, .value = BYTES_LITERAL("a value")};
    return message_new(lane_id, &record, LANE_SCOPE_NONE, 10);
}

static void push_message(struct session_queue *queue, uint32_t lane_id, int64_t offset)
{
    session_queue_push(
        queue, (struct queue_item){.kind = ITEM_MESSAGE, .message = make_message(lane_id, offset)});
}

static void push_answer(struct session_queue *queue, uint64_t request, uint16_t room_size)
{
    struct control *control = mem_alloc(sizeof(*control) + room_size);
    control->request = request;
    control->room_size = room_size;
    session_queue_push(queue, (struct queue_item){.kind = ITEM_LEFT, .control = control});
}

/* Takes the oldest: its number, wherever that is kept. */
static int64_t take(struct session_queue *queue)
{
    struct queue_item item = session_queue_shift(queue);
    int64_t number =
        item.kind == ITEM_MESSAGE ? item.message->offset : (int64_t)item.control->request;
    if (item.kind == ITEM_MESSAGE)
        message_unref(item.message);
    else
        free(item.control);
    return number;
}

START_TEST(what_comes_first_goes_first_however_it_grows)
{
    struct session_queue queue = {0};
    int64_t in = 0, out = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < round % 9; i++, in++)
            if (in % 3)
                push_message(&queue, 1, in);
            else
                push_answer(&queue, (uint64_t)in, 5);
        for (int i = 0; i < round % 7 && queue.count; i++)
            ck_assert_int_eq(take(&queue), out++);
        ck_assert_uint_eq(queue.count, (size_t)(in - out));
    }
    while (queue.count)
        ck_assert_int_eq(take(&queue), out++);
    ck_assert_int_eq(in, out);
    session_queue_shrink(&queue);
}
END_TEST

START_TEST(messages_and_answers_are_counted_apart)
{
    struct session_queue queue = {0};
    push_message(&queue, 1, 1);
    size_t bytes = queue.message_bytes;
    ck_assert_uint_gt(bytes, 0);
    push_answer(&queue, 2, 30);
    push_message(&queue, 1, 3);
    ck_assert_uint_eq(queue.count, 3);
    ck_assert_uint_eq(queue.messages, 2);
    ck_assert_uint_eq(queue.message_bytes, 2 * bytes);
    ck_assert_uint_eq(queue.answer_bytes, session_queue_answer_size(30));
    (void)take(&queue);
    ck_assert_uint_eq(queue.message_bytes, bytes);
    (void)take(&queue);
    ck_assert_uint_eq(queue.answer_bytes, 0);
    session_queue_clear(&queue);
    ck_assert_uint_eq(queue.count + queue.messages + queue.message_bytes, 0);
}
END_TEST

START_TEST(messages_of_a_lane_are_found)
{
    struct session_queue queue = {0};
    ck_assert_uint_eq(session_queue_count(&queue, 1), 0);
    push_message(&queue, 1, 1);
    ck_assert_uint_eq(session_queue_count(&queue, 1), 1);
    push_message(&queue, 2, 2);
    push_answer(&queue, 3, 0);
    push_message(&queue, 1, 4);
    ck_assert_uint_eq(session_queue_count(&queue, 1), 2);
    ck_assert_uint_eq(session_queue_count(&queue, 2), 1);
    ck_assert_uint_eq(session_queue_count(&queue, 3), 0);
    session_queue_clear(&queue);
}
END_TEST

START_TEST(one_item_takes_no_memory_and_an_empty_queue_gives_it_back)
{
    struct session_queue queue = {0};
    push_message(&queue, 1, 1);
    ck_assert_uint_eq(queue.capacity, 0);
    push_message(&queue, 1, 2);
    ck_assert_uint_gt(queue.capacity, 0);
    session_queue_shrink(&queue); /* there is something in it */
    ck_assert_uint_gt(queue.capacity, 0);
    ck_assert_int_eq(session_queue_first(&queue)->message->offset, 1);
    session_queue_clear(&queue);
    ck_assert_uint_eq(queue.capacity, 0);
}
END_TEST

START_TEST(messages_are_dropped_and_answers_stay)
{
    struct session_queue queue = {0};
    push_message(&queue, 1, 1);
    session_queue_drop_messages(&queue); /* of the one slot */
    ck_assert_uint_eq(queue.count, 0);
    for (uint64_t i = 0; i < 20; i++)
        if (i % 3)
            push_message(&queue, 1, (int64_t)i);
        else
            push_answer(&queue, i, 5);
    session_queue_drop_messages(&queue);
    ck_assert_uint_eq(queue.count, 7);
    ck_assert_uint_eq(queue.answer_bytes, 7 * session_queue_answer_size(5));
    for (int64_t i = 0; i < 20; i += 3)
        ck_assert_int_eq(take(&queue), i);
    session_queue_shrink(&queue);
}
END_TEST

TEST_PROGRAM("session_queue", messages_are_dropped_and_answers_stay,
             what_comes_first_goes_first_however_it_grows, messages_and_answers_are_counted_apart,
             messages_of_a_lane_are_found,
             one_item_takes_no_memory_and_an_empty_queue_gives_it_back)
