#include "decoded.h"

#include <string.h>

#include "notification.h"
#include "suite.h"

enum { SMALL = 10, LARGE = 8000, MANY = 400 };

static struct decoded_messages decoded;

static struct message *make_message(int64_t offset, size_t size)
{
    static char text[LARGE];
    struct bytes room = BYTES_LITERAL("task:1");
    memset(text, 'x', sizeof(text));
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.status = bytes_of(text, size)}};
    auto_buffer struct buffer value = {0};
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = offset, .value = buffer_peek(&value)};
    struct message *message = message_new(1, &record, LANE_SCOPE_NONE, 10);
    ck_assert(message_decode(message));
    return message;
}

static void free_all(struct message *messages[MANY])
{
    decoded_clear(&decoded);
    ck_assert_uint_eq(decoded.count + decoded.bytes, 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_null(messages[i]->notification);
        message_unref(messages[i]);
    }
}

START_TEST(the_last_are_kept_and_older_ones_can_be_decoded_again)
{
    struct message *messages[MANY];
    for (int i = 0; i < MANY; i++) {
        messages[i] = make_message(i, SMALL);
        decoded_keep(&decoded, messages[i]);
    }
    ck_assert_uint_eq(decoded.count, DECODED_MOST);
    for (int i = 0; i < MANY; i++)
        ck_assert((messages[i]->notification != NULL) == (i >= MANY - DECODED_MOST));
    ck_assert(message_decode(messages[0]));
    decoded_keep(&decoded, messages[0]);
    ck_assert_uint_eq(decoded.count, DECODED_MOST);
    free_all(messages);
}
END_TEST

START_TEST(large_ones_are_fewer)
{
    struct message *messages[MANY];
    for (int i = 0; i < MANY; i++) {
        messages[i] = make_message(i, LARGE);
        decoded_keep(&decoded, messages[i]);
        ck_assert_uint_le(decoded.bytes, DECODED_BYTES);
    }
    ck_assert_uint_lt(decoded.count, DECODED_MOST);
    ck_assert_uint_gt(decoded.count, DECODED_BYTES / (2 * LARGE));
    free_all(messages);
}
END_TEST

START_TEST(what_is_not_decoded_is_not_kept)
{
    struct message *message = make_message(1, SMALL);
    message_forget_decoded(message);
    decoded_keep(&decoded, message);
    ck_assert_uint_eq(decoded.count, 0);
    message_unref(message);
}
END_TEST

TEST_PROGRAM("decoded", the_last_are_kept_and_older_ones_can_be_decoded_again, large_ones_are_fewer,
             what_is_not_decoded_is_not_kept)
