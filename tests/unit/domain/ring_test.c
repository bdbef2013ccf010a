#include <stdio.h>

#include "hub_state.h"
#include "suite.h"

enum { LIMIT = 20000, RECORDS_PER_TURN = 10 };

static void encode(const struct message_view *view, struct buffer *out)
{
    buffer_append(out, view->json);
}

static const struct transport_ops transport = {.name = "test", .encode = encode};

static struct message *make(int64_t offset)
{
    auto_buffer struct buffer value = {0};
    struct bytes room = BYTES_LITERAL("task:1");
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = offset, .value = buffer_peek(&value)};
    struct message *message = message_new(1, &record, true, 10);
    ck_assert(message_decode(message));
    return message;
}

static size_t bytes_of_ring(const struct ring *ring)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ring->count; i++)
        bytes += message_bytes(ring_at(ring, i));
    return bytes;
}

/* Messages are framed after they were pushed, at the end of the turn. */
START_TEST(frames_made_later_count)
{
    struct ring ring = {0};
    for (int64_t turn = 0; turn < 500; turn++) {
        ring_settle(&ring);
        ck_assert_uint_eq(ring.bytes, bytes_of_ring(&ring));
        for (int64_t i = 0; i < RECORDS_PER_TURN; i++)
            ring_push(&ring, make(turn * RECORDS_PER_TURN + i), LIMIT);
        for (size_t i = 0; i < ring.count; i++)
            message_frame(ring_at(&ring, i), &transport);
        ck_assert_uint_lt(bytes_of_ring(&ring), LIMIT + LIMIT / 2);
    }
    ring_clear(&ring, 0);
    ck_assert_uint_eq(ring.bytes, 0);
}
END_TEST

/* Marks stay beside their messages when the ring grows, drops, and is extended to the front. */
START_TEST(marks_tell_what_may_be_passed_over)
{
    struct ring ring = {.from = 100}, older = {0};
    for (int64_t i = 0; i < 100; i++) {
        ring_push(&older, make(i), (size_t)LIMIT * 100);
        ring_push(&ring, make(100 + i), (size_t)LIMIT * 100);
    }
    uint64_t hash = ring_at(&ring, 0)->room_hashes[0];
    struct room_filter its = {0}, another = {0}, many = {0};
    room_filter_add(&its, ~hash);
    room_filter_add(&its, hash);
    room_filter_add(&another, hash ^ 1); /* one bit in common */
    for (unsigned i = 0; i < ROOM_FILTER_ROOMS; i++)
        room_filter_add(&many, ~hash);
    room_filter_add(&many, hash);
    ring_prepend(&ring, &older, (size_t)LIMIT * 100);
    ck_assert_uint_eq(ring.count, 200);
    ck_assert_int_eq(ring.from, 0);
    ring_trim(&ring, ring.bytes / 2);
    for (size_t i = 0; i < ring.count; i++) {
        ck_assert_uint_eq(ring_skip(&ring, i, ring.count, &its), i);
        ck_assert_uint_eq(ring_skip(&ring, i, ring.count, &many), i);
        ck_assert_uint_eq(ring_skip(&ring, i, ring.count, &another), ring.count);
        ck_assert_uint_eq(ring_skip_back(&ring, i + 1, &its), i + 1);
        ck_assert_uint_eq(ring_skip_back(&ring, i + 1, &another), 0);
    }
    ck_assert_uint_eq(ring_skip(&ring, 3, 10, &another), 10);
    ring_clear(&ring, 0);
}
END_TEST

TEST_PROGRAM("ring", frames_made_later_count, marks_tell_what_may_be_passed_over)
