/* Records of a lane that no dispatcher of ours wrote: each is counted and passed over, and what
 * follows it is delivered, live and read back. */
#include <stdio.h>

#include "from_yaml.h"
#include "hand_source.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

enum { LONG_KEY = 70000, ROOMS_MOST = 4 };

static struct {
    struct hub *hub;
    struct hand_source source;
    struct layout *layout;
    struct policy *policy;
    char cursor[1024], private_id[1024];
} world;

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void ready(struct session *session, void *connection)
{
    (void)session, (void)connection;
}

static const struct transport_ops transport = {.name = "test", .encode = encode, .ready = ready};

/* --- records --- */

static struct buffer sound, other_room, no_json, no_utf8, many_rooms, big;
static uint8_t long_key[LONG_KEY];
static const uint8_t hashes[8 * (ROOMS_MOST + 1)];

static void make(struct buffer *value, const char *room, unsigned rooms, const char *title,
                 struct bytes data)
{
    struct bytes list[64];
    for (unsigned i = 0; i < rooms; i++)
        list[i] = bytes_of_string(room);
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .time = BYTES_LITERAL("2026-01-01T00:00:00Z"),
                                        .rooms = list,
                                        .room_count = rooms,
                                        .type = NOTIFICATION_CLIENT,
                                        .client = {.title = bytes_of_string(title), .data = data}};
    buffer_clear(value);
    notification_encode(&notification, value);
}

static void make_values(void)
{
    static char long_text[1 << 20];
    memset(long_text, 'x', sizeof(long_text));
    memcpy(long_text, "\"", 1);
    memcpy(long_text + sizeof(long_text) - 1, "\"", 1);
    make(&sound, "user:usr_1", 1, "sound", BYTES_LITERAL("{\"n\":1}"));
    make(&other_room, "user:usr_2", 1, "sound", BYTES_LITERAL("{}"));
    make(&no_json, "user:usr_1", 1, "no json", BYTES_LITERAL("{\"n\":1}]"));
    make(&no_utf8, "user:usr_1", 1, "no \xc3( utf-8", BYTES_LITERAL("{}"));
    make(&many_rooms, "user:usr_1", ROOMS_MOST + 1, "many", BYTES_LITERAL("{}"));
    make(&big, "user:usr_1", 1, "big", bytes_of(long_text, sizeof(long_text)));
    memset(long_key, 'k', sizeof(long_key));
}

static void free_values(void)
{
    buffer_deinit(&sound);
    buffer_deinit(&other_room);
    buffer_deinit(&no_json);
    buffer_deinit(&no_utf8);
    buffer_deinit(&many_rooms);
    buffer_deinit(&big);
}

/* The user's room under the key of the tenant. */
static struct bytes user_header(void)
{
    static uint8_t header[8];
    uint64_t hash = room_hash(BYTES_LITERAL("acme"), BYTES_LITERAL("user:usr_1"));
    for (unsigned i = 0; i < 8; i++)
        header[i] = (uint8_t)(hash >> (8 * i));
    return bytes_of(header, 8);
}

struct bad {
    const char *what;
    enum record_fault fault;
    struct lane_record record; /* without its offset */
};

#define ACME BYTES_LITERAL("acme")
#define VALUE(buffer) buffer_peek(&(buffer))

static size_t bad_records(struct bad bad[16])
{
    size_t count = 0;
#define BAD(...) bad[count++] = (struct bad){__VA_ARGS__}
    BAD("a key of 70,000 bytes", RECORD_BAD_KEY,
        {.key = bytes_of(long_key, LONG_KEY), .value = VALUE(sound)});
    BAD("a key of one byte too many", RECORD_BAD_KEY,
        {.key = bytes_of(long_key, LAYOUT_KEY_LIMIT + 1), .value = VALUE(sound)});
    BAD("the longest key, which is another's", RECORD_SOUND,
        {.key = bytes_of(long_key, LAYOUT_KEY_LIMIT), .value = VALUE(sound)});
    BAD("no key", RECORD_SOUND, {.value = VALUE(sound)});
    BAD("a header of nine bytes", RECORD_BAD_ROOMS,
        {.key = ACME, .value = VALUE(sound), .room_hashes = bytes_of(hashes, 9)});
    BAD("a header of too many rooms", RECORD_BAD_ROOMS,
        {.key = ACME, .value = VALUE(sound), .room_hashes = bytes_of(hashes, sizeof(hashes))});
    BAD("too many rooms without a header", RECORD_BAD_ROOMS,
        {.key = ACME, .value = VALUE(many_rooms)});
    BAD("more rooms than its header", RECORD_BAD_ROOMS,
        {.key = ACME, .value = VALUE(many_rooms), .room_hashes = user_header()});
    BAD("a tombstone", RECORD_BAD_VALUE, {.key = ACME});
    BAD("a tombstone with rooms", RECORD_BAD_VALUE, {.key = ACME, .room_hashes = user_header()});
    BAD("a text", RECORD_BAD_VALUE, {.key = ACME, .value = BYTES_LITERAL("\x0a\xffhello")});
    BAD("data that is not JSON", RECORD_BAD_VALUE, {.key = ACME, .value = VALUE(no_json)});
    BAD("text that is not UTF-8", RECORD_BAD_VALUE,
        {.key = ACME, .value = VALUE(no_utf8), .room_hashes = user_header()});
    BAD("rooms of a header that the value does not name", RECORD_SOUND,
        {.key = ACME, .value = VALUE(other_room), .room_hashes = user_header()});
#undef BAD
    ck_assert_uint_le(count, 16);
    return count;
}

/* --- the world --- */

static void start_hub(void)
{
    struct hub_config config = hand_config(world.layout, world.policy);
    config.rooms_per_record = ROOMS_MOST;
    world.source = (struct hand_source){0};
    world.hub = hub_new(&config, &hand_source_ops, &world.source);
}

static void start(void)
{
    memset(&world, 0, sizeof(world));
    world.layout =
        layout_from_yaml("user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}", NULL);
    world.policy = policy_from_yaml("connect: [\"user:{sub}\"]");
    make_values();
    start_hub();
}

static void finish(struct session *session)
{
    session_close(session);
    hub_free(world.hub);
    layout_free(world.layout);
    policy_free(world.policy);
    free_values();
}

static struct session *open_session(int64_t end)
{
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .private_id = bytes_of_string(world.private_id),
        .cursor = bytes_of_string(world.cursor)};
    struct session *session = hub_open_session(world.hub, &request);
    ck_assert_ptr_nonnull(session);
    hand_open(&world.source, world.hub, 0, end);
    return session;
}

/* The notifications that there are now. */
static unsigned take(struct session *session)
{
    struct delivery delivery;
    unsigned taken = 0;
    hub_run(world.hub, 1);
    while (session_next(session, &delivery)) {
        taken += delivery.kind == DELIVERY_NOTIFICATION;
        if (delivery.private_id.size)
            snprintf(world.private_id, sizeof(world.private_id), "%.*s",
                     BYTES_PRINT(delivery.private_id));
        if (delivery.cursor.size)
            snprintf(world.cursor, sizeof(world.cursor), "%.*s", BYTES_PRINT(delivery.cursor));
        ck_assert_int_ne(delivery.kind, DELIVERY_CLOSE);
        ck_assert_int_ne(delivery.kind, DELIVERY_REFUSED);
    }
    return taken;
}

static uint64_t faulty(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < RECORD_FAULTS; i++)
        count += hub_stats(world.hub)->records_faulty[i];
    return count;
}

static struct lane_record sound_at(int64_t offset)
{
    return (struct lane_record){
        .offset = offset, .key = ACME, .value = VALUE(sound), .room_hashes = user_header()};
}

START_TEST(a_record_that_is_none_is_counted_and_passed_over)
{
    struct bad bad[16];
    start();
    size_t count = bad_records(bad);
    struct session *session = open_session(0);
    take(session);
    for (size_t i = 0; i < count; i++) {
        struct lane_record after = sound_at((int64_t)(2 * i + 1));
        uint64_t before = hub_stats(world.hub)->records_faulty[bad[i].fault], all = faulty();
        bad[i].record.offset = (int64_t)(2 * i);
        hub_record(world.hub, world.source.lane, &bad[i].record);
        ck_assert_msg(take(session) == 0, "%s was delivered", bad[i].what);
        uint64_t counted = hub_stats(world.hub)->records_faulty[bad[i].fault] - before;
        ck_assert_msg(counted == (bad[i].fault != RECORD_SOUND) && faulty() - all == counted,
                      "%s was counted %d times", bad[i].what, (int)counted);
        hub_record(world.hub, world.source.lane, &after);
        ck_assert_msg(take(session) == 1, "nothing follows %s", bad[i].what);
    }
    finish(session);
}
END_TEST

START_TEST(who_comes_back_over_such_records_gets_what_follows)
{
    struct bad bad[16];
    start();
    size_t count = bad_records(bad);
    struct session *session = open_session(0);
    take(session);
    struct lane_record first = sound_at(0), last = sound_at((int64_t)count + 1);
    hub_record(world.hub, world.source.lane, &first);
    ck_assert_uint_eq(take(session), 1);
    session_close(session);
    hub_free(world.hub);
    start_hub(); /* another gateway, which has read nothing */
    session = open_session((int64_t)count + 2);
    hub_run(world.hub, 1);
    ck_assert(world.source.scanning);
    ck_assert_int_eq(world.source.to, (int64_t)count + 2);
    hub_scan_record(world.hub, world.source.lane, &first);
    for (size_t i = 0; i < count; i++) {
        bad[i].record.offset = (int64_t)i + 1;
        hub_scan_record(world.hub, world.source.lane, &bad[i].record);
    }
    hub_scan_record(world.hub, world.source.lane, &last);
    hub_scan_ended(world.hub, world.source.lane, STATUS_OK, 0);
    ck_assert_uint_eq(take(session), 1);
    ck_assert_uint_ge(faulty(), 10);
    finish(session);
}
END_TEST

/* From the ring, a faulty record is passed over as well. */
START_TEST(a_slow_client_is_not_held_up)
{
    struct bad bad[16];
    start();
    size_t count = bad_records(bad);
    struct session *session = open_session(0);
    take(session);
    int64_t offset = 0;
    for (int i = 0; i < 40; i++) {
        struct lane_record record = sound_at(offset++);
        hub_record(world.hub, world.source.lane, &record);
        bad[(size_t)i % count].record.offset = offset++;
        hub_record(world.hub, world.source.lane, &bad[(size_t)i % count].record);
    }
    ck_assert_uint_eq(hub_stats(world.hub)->behind_entered, 1);
    ck_assert_uint_eq(take(session), 40);
    finish(session);
}
END_TEST

START_TEST(offsets_may_be_any)
{
    static const int64_t old[] = {-1, INT64_MIN, 0, 4, 5, INT64_MAX};
    start();
    struct session *session = open_session(5);
    take(session);
    struct lane_record record = sound_at(5);
    hub_record(world.hub, world.source.lane, &record);
    ck_assert_uint_eq(take(session), 1);
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
        record.offset = old[i];
        hub_record(world.hub, world.source.lane, &record);
        ck_assert_uint_eq(take(session), 0);
    }
    record.offset = INT64_C(1) << 60; /* what lies between was compacted, or never there */
    hub_record(world.hub, world.source.lane, &record);
    ck_assert_uint_eq(take(session), 1);
    hub_lane_position(world.hub, world.source.lane, -5);
    hub_lane_ends(world.hub, world.source.lane, -7, -9);
    hub_lane_position(world.hub, world.source.lane, INT64_MAX);
    ck_assert_uint_eq(take(session), 0);
    finish(session);
}
END_TEST

START_TEST(ends_below_zero_are_zero)
{
    start();
    struct session *session = open_session(-1001);
    take(session);
    struct lane_record record = sound_at(0);
    hub_record(world.hub, world.source.lane, &record);
    ck_assert_uint_eq(take(session), 1);
    finish(session);
}
END_TEST

/* A scan gives what it was asked for, or that is left out. */
START_TEST(a_scan_may_give_anything)
{
    static const int64_t odd[] = {-1, 0, 0, 3, 2, 11, 12, INT64_MAX, 9};
    start();
    struct session *session = open_session(0);
    take(session);
    session_close(session);
    hub_free(world.hub);
    start_hub();
    session = open_session(10);
    hub_run(world.hub, 1);
    ck_assert(world.source.scanning);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct lane_record record = sound_at(odd[i]);
        hub_scan_record(world.hub, world.source.lane, &record);
    }
    hub_scan_ended(world.hub, world.source.lane, STATUS_OK, -1);
    ck_assert_uint_eq(take(session), 3); /* 0, 3 and 9 */
    struct lane_record record = sound_at(10);
    hub_record(world.hub, world.source.lane, &record);
    ck_assert_uint_eq(take(session), 1);
    finish(session);
}
END_TEST

START_TEST(a_large_record_is_delivered)
{
    start();
    struct session *session = open_session(0);
    take(session);
    struct lane_record record = {.offset = 0, .key = ACME, .value = VALUE(big)};
    hub_record(world.hub, world.source.lane, &record);
    ck_assert_uint_eq(take(session), 1);
    finish(session);
}
END_TEST

/* The client is told, once for each revision, since what it is to get may stand elsewhere now. */
START_TEST(another_layout_ends_open_sessions_once)
{
    start();
    uint64_t ours = layout_revision(world.layout);
    struct session *session = open_session(0);
    take(session);
    int64_t offset = 0;
    for (; offset < 3; offset++) {
        struct lane_record record = sound_at(offset);
        record.layout = offset == 0 ? 0 : ours; /* not said, or ours: nothing happens */
        hub_record(world.hub, world.source.lane, &record);
        ck_assert_uint_eq(take(session), 1);
    }
    ck_assert_uint_eq(hub_stats(world.hub)->records_other_layout, 0);
    struct lane_record other = sound_at(offset++);
    other.layout = ours + 1;
    hub_record(world.hub, world.source.lane, &other);
    struct delivery delivery;
    hub_run(world.hub, 1);
    ck_assert(session_next(session, &delivery));
    ck_assert_int_eq(delivery.kind, DELIVERY_CLOSE);
    ck_assert_str_eq(delivery.reason, "layout");
    ck_assert(delivery.transient);
    session_close(session);
    session = open_session(offset); /* what comes back meanwhile stays */
    take(session);
    other.offset = offset;
    hub_record(world.hub, world.source.lane, &other);
    ck_assert_uint_eq(take(session), 1);
    ck_assert_uint_eq(hub_stats(world.hub)->records_other_layout, 2);
    finish(session);
}
END_TEST

TEST_PROGRAM("record", another_layout_ends_open_sessions_once,
             a_record_that_is_none_is_counted_and_passed_over,
             who_comes_back_over_such_records_gets_what_follows, a_slow_client_is_not_held_up,
             offsets_may_be_any, ends_below_zero_are_zero, a_scan_may_give_anything,
             a_large_record_is_delivered)
