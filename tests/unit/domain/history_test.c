#include "history.h"

#include "hub_state.h"
#include "suite.h"

static struct hub hub;

static struct message *make_message(int64_t offset)
{
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    struct bytes room = BYTES_LITERAL("task:1");
    auto_buffer struct buffer value = {0};
    notification.rooms = &room;
    notification.room_count = 1;
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = offset, .value = buffer_peek(&value)};
    return message_new(1, &record, LANE_SCOPE_NONE, 10);
}

static void add(struct history *history, int64_t offset)
{
    struct message *message = make_message(offset);
    history_add(history, message);
    message_unref(message);
}

static int64_t take(struct history *history)
{
    struct message *message = history_take(history);
    ck_assert_ptr_nonnull(message);
    int64_t offset = message->offset;
    message_unref(message);
    return offset;
}

START_TEST(the_last_are_kept_in_order)
{
    struct history *history = history_new(&hub, 1);
    for (int64_t i = 0; i < 100; i++) {
        add(history, i);
        if (history->count > 20)
            history_drop_oldest(history);
    }
    history_set_whole(history, (struct position){100, 7}, false);
    ck_assert_uint_eq(history->found, 20);
    ck_assert_int_eq(history->end.next, 100);
    for (int64_t i = 80; i < 100; i++)
        ck_assert_int_eq(take(history), i);
    ck_assert_ptr_null(history_take(history));
    ck_assert_uint_eq(history->found, 20); /* what it had */
    history_free(history);
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
}
END_TEST

START_TEST(all_together_are_counted)
{
    struct history *one = history_new(&hub, 1), *other = history_new(&hub, 1);
    add(one, 1);
    size_t bytes = one->bytes;
    add(other, 2);
    add(other, 3);
    ck_assert_uint_eq(hub.stats.history_bytes, 3 * bytes);
    history_clear(one);
    ck_assert_uint_eq(hub.stats.history_bytes, 2 * bytes);
    history_free(one);
    history_free(other); /* with what was not given */
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
    history_free(NULL);
}
END_TEST

START_TEST(one_has_at_most_its_part_of_what_all_may_have)
{
    struct history *history = history_new(&hub, 1);
    add(history, 1);
    hub.config.history.buffered = 8 * history->bytes;
    ck_assert(!history_is_too_large(history));
    add(history, 2);
    ck_assert(history_is_too_large(history));
    history_drop_oldest(history);
    ck_assert(!history_is_too_large(history));
    history_free(history);
}
END_TEST

START_TEST(all_have_at_most_what_all_may_have)
{
    struct history *histories[9];
    for (int i = 0; i < 9; i++) {
        histories[i] = history_new(&hub, 1);
        add(histories[i], i);
        hub.config.history.buffered = 8 * histories[i]->bytes;
        ck_assert(history_is_too_large(histories[i]) == (i == 8));
    }
    for (int i = 0; i < 9; i++)
        history_free(histories[i]);
}
END_TEST

TEST_PROGRAM("history", the_last_are_kept_in_order, all_together_are_counted,
             one_has_at_most_its_part_of_what_all_may_have, all_have_at_most_what_all_may_have)
