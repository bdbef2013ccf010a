#include <stdio.h>
#include <stdlib.h>

#include "hub_state.h"
#include "suite.h"

enum { LIMIT = 20000, RECORDS_PER_TURN = 10 };

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static const struct transport_ops transport = {.name = "test", .encode = encode};

static struct message *make_in(int64_t offset, unsigned number)
{
    auto_buffer struct buffer value = {0};
    char name[16];
    struct bytes room = bytes_of(name, (size_t)snprintf(name, sizeof(name), "task:%u", number));
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = offset, .value = buffer_peek(&value)};
    struct message *message = message_new(1, &record, LANE_SCOPE_NONE, 10);
    ck_assert(message_decode(message));
    return message;
}

static struct message *make(int64_t offset)
{
    return make_in(offset, 1);
}

static size_t skip(const struct ring *ring, size_t index, size_t end,
                   const struct room_filter *filter)
{
    size_t looks = SIZE_MAX;
    return ring_skip(ring, index, end, filter, &looks);
}

static size_t bytes_of_ring(const struct ring *ring)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ring->count; i++)
        bytes += message_bytes(ring_at(ring, i));
    return bytes;
}

/* One that a turn pushes and drops again may be held elsewhere for long: of a decoded form nobody
 * there would know. */
START_TEST(dropped_within_a_turn_is_decoded_no_more)
{
    struct ring ring = {0};
    struct message *held = message_ref(make(0));
    ring_push(&ring, held, LIMIT);
    ck_assert_ptr_nonnull(held->notification);
    for (int64_t offset = 1; ring.from == 0; offset++)
        ring_push(&ring, make(offset), LIMIT);
    ck_assert_ptr_null(held->notification);
    message_unref(held);
    ring_clear(&ring, 0);
}
END_TEST

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
        ck_assert_uint_eq(skip(&ring, i, ring.count, &its), i);
        ck_assert_uint_eq(skip(&ring, i, ring.count, &many), i);
        ck_assert_uint_eq(skip(&ring, i, ring.count, &another), ring.count);
        ck_assert_uint_eq(ring_skip_back(&ring, i + 1, &its), i + 1);
        ck_assert_uint_eq(ring_skip_back(&ring, i + 1, &another), 0);
    }
    ck_assert_uint_eq(skip(&ring, 3, 10, &another), 10);
    ring_clear(&ring, 0);
}
END_TEST

/* What is in the ring of a room is met, one after the other, wherever the ring's ends lie. */
static void check_room(const struct ring *ring, unsigned room)
{
    struct message *its = make_in(0, room);
    uint64_t hash = its->room_hashes[0];
    struct room_filter filter = {0};
    room_filter_add(&filter, hash);
    message_unref(its);
    size_t met = 0;
    for (size_t i = 0; i < ring->count; i++) {
        if (ring_at(ring, i)->room_hashes[0] != hash)
            continue;
        while ((met = skip(ring, met, ring->count, &filter)) < i)
            met++;
        ck_assert_uint_eq(met++, i);
    }
}

START_TEST(blocks_hide_no_message)
{
    enum { ROOMS = 40, STEPS = 30 };
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct ring ring = {.from = 1000000};
        int64_t first = ring.from, next = ring.from;
        srand(seed);
        for (unsigned step = 0; step < STEPS; step++) {
            struct ring older = {0};
            unsigned count = (unsigned)rand() % 150;
            if (rand() % 4 == 0 && ring.from == first) {
                first -= count;
                older.from = first;
                for (unsigned i = 0; i < count; i++)
                    ring_push(&older, make_in(first + i, (unsigned)rand() % ROOMS), SIZE_MAX);
                ring_prepend(&ring, &older, SIZE_MAX);
            } else {
                size_t limit = rand() % 3 ? SIZE_MAX : LIMIT;
                for (unsigned i = 0; i < count; i++)
                    ring_push(&ring, make_in(next++, (unsigned)rand() % ROOMS), limit);
            }
            check_room(&ring, (unsigned)rand() % ROOMS);
        }
        ring_clear(&ring, 0);
    }
}
END_TEST

/* Few looks are enough for what is not there, and no more are taken than there are. */
START_TEST(looks_are_few_and_counted)
{
    struct ring ring = {0};
    for (int64_t i = 0; i < 6400; i++)
        ring_push(&ring, make_in(i, (unsigned)i % 1000), SIZE_MAX);
    struct message *foreign = make_in(0, 5000);
    struct room_filter filter = {0};
    room_filter_add(&filter, foreign->room_hashes[0]);
    size_t looks = ring.count / 4, index = 0;
    while ((index = ring_skip(&ring, index, ring.count, &filter, &looks)) < ring.count)
        index++; /* a room with the same marks */
    ck_assert_uint_gt(looks, 0);
    looks = 3;
    index = ring_skip(&ring, 0, ring.count, &filter, &looks);
    ck_assert_uint_eq(looks, 0);
    ck_assert_uint_le(index, (size_t)3 * RING_BLOCK);
    ck_assert_uint_eq(ring_skip(&ring, 7, ring.count, &filter, &looks), 7);
    message_unref(foreign);
    ring_clear(&ring, 0);
}
END_TEST

TEST_PROGRAM("ring", dropped_within_a_turn_is_decoded_no_more, frames_made_later_count,
             marks_tell_what_may_be_passed_over, blocks_hide_no_message, looks_are_few_and_counted)
