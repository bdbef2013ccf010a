#include "cursor.h"

#include <stdio.h>

#include "hub.h"
#include "suite.h"

static struct cursor_keys keys_of(const char *newest, const char *older)
{
    struct bytes secrets[] = {bytes_of_string(newest), bytes_of_string(older)};
    struct cursor_keys keys;
    cursor_keys_init(&keys, secrets, older ? 2 : 1);
    return keys;
}

static void pack(struct buffer *out, const char *name)
{
    cursor_pack_room(out, bytes_of_string(name));
}

static void make_private_id(const struct cursor_keys *keys, struct buffer *text,
                            struct private_id *id)
{
    auto_buffer struct buffer rooms = {0};
    auto_buffer struct buffer positions = {0};
    pack(&rooms, "user:7");
    pack(&rooms, "tenant:acme");
    cursor_append_position(&positions, (struct position){4711, 0xbeef});
    *id = (struct private_id){.principal = 77, .layout_revision = 88};
    memset(id->public_id, 3, sizeof(id->public_id));
    id->rooms = buffer_peek(&rooms);
    id->positions = buffer_peek(&positions);
    private_id_encode(id, keys, text);
}

START_TEST(packed_rooms_come_back_by_name)
{
    static const char *const names[] = {"task:00112233-4455-6677-8899-aabbccddeeff",
                                        "task:00112233-4455-6677-8899-AABBCCDDEEFF",
                                        "task:42",
                                        "review:legal",
                                        "a-kind-of-our-own:with:colons",
                                        "user:Zo\xc3\xab"};
    auto_buffer struct buffer packed = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        pack(&packed, names[i]);
    struct bytes rest = buffer_peek(&packed);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint8_t name[ROOM_NAME_LIMIT];
        size_t size;
        ck_assert(cursor_unpack_room(&rest, name, &size));
        ck_assert(bytes_equal_string(bytes_of(name, size), names[i]));
    }
    ck_assert_uint_eq(rest.size, 0);
}
END_TEST

START_TEST(cut_or_wrong_packed_rooms_are_refused)
{
    auto_buffer struct buffer packed = {0};
    uint8_t name[ROOM_NAME_LIMIT];
    size_t size;
    pack(&packed, "a-kind-of-our-own:00112233-4455-6677-8899-aabbccddeeff");
    for (size_t cut = 1; cut < buffer_size(&packed); cut++) {
        struct bytes rest = bytes_of(buffer_peek(&packed).data, cut);
        ck_assert(!cursor_unpack_room(&rest, name, &size));
        ck_assert_uint_eq(rest.size, cut);
    }
    struct bytes bad_kind = BYTES_LITERAL("\x7f\x01x"), bad_key = BYTES_LITERAL("\x01\x01\x01");
    ck_assert(!cursor_unpack_room(&bad_kind, name, &size));
    ck_assert(!cursor_unpack_room(&bad_key, name, &size));
}
END_TEST

START_TEST(a_mark_tells_a_lost_room_from_one_that_was_joined)
{
    auto_buffer struct buffer packed = {0};
    uint8_t name[ROOM_NAME_LIMIT];
    size_t size;
    pack(&packed, "task:1");
    cursor_append_lost_mark(&packed);
    pack(&packed, "task:2");
    struct bytes rest = buffer_peek(&packed), empty = {0};
    ck_assert(!cursor_take_lost_mark(&rest));
    ck_assert(cursor_unpack_room(&rest, name, &size));
    ck_assert(!cursor_unpack_room(&rest, name, &size)); /* it is no room of an older gateway's */
    ck_assert(cursor_take_lost_mark(&rest));
    ck_assert(cursor_unpack_room(&rest, name, &size));
    ck_assert(bytes_equal_string(bytes_of(name, size), "task:2"));
    ck_assert(!cursor_take_lost_mark(&empty));
}
END_TEST

START_TEST(one_lane_and_four_joined_uuid_rooms_fit_128_characters)
{
    struct cursor_keys keys = keys_of("secret", NULL);
    static const uint8_t tag[CURSOR_TAG_BYTES] = {1};
    auto_buffer struct buffer joined = {0};
    auto_buffer struct buffer positions = {0};
    auto_buffer struct buffer text = {0};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "task:00112233-4455-6677-8899-aabbccddee%02x", i);
        pack(&joined, name);
    }
    cursor_append_position(&positions, (struct position){(int64_t)1 << 41, 0xffff});
    struct cursor cursor = {.joined = buffer_peek(&joined)};
    cursor_encode_rooms(&cursor, tag, &keys, &text);
    cursor_append_positions_text(buffer_peek(&positions), &text);
    ck_assert_uint_le(buffer_size(&text), 128);
    cursor_keys_deinit(&keys);
}
END_TEST

START_TEST(a_private_id_comes_back_and_older_keys_still_verify)
{
    struct cursor_keys old = keys_of("old", NULL), both = keys_of("new", "old");
    struct cursor_keys other = keys_of("other", NULL);
    auto_buffer struct buffer text = {0};
    auto_buffer struct buffer space = {0};
    struct private_id made, read;
    make_private_id(&old, &text, &made);
    ck_assert_int_eq(private_id_decode(buffer_peek(&text), &both, &space, &read), STATUS_OK);
    ck_assert_uint_eq(read.principal, 77);
    ck_assert_uint_eq(read.layout_revision, 88);
    ck_assert_mem_eq(read.tag, made.tag, sizeof(read.tag));
    struct position position;
    ck_assert(cursor_take_position(&read.positions, &position));
    ck_assert_int_eq(position.next, 4711);
    ck_assert_uint_eq(position.check, 0xbeef);
    ck_assert_int_eq(private_id_decode(buffer_peek(&text), &other, &space, &read), STATUS_DENIED);
    cursor_keys_deinit(&old);
    cursor_keys_deinit(&both);
    cursor_keys_deinit(&other);
}
END_TEST

START_TEST(every_changed_character_of_a_private_id_is_noticed)
{
    struct cursor_keys keys = keys_of("secret", NULL);
    auto_buffer struct buffer text = {0};
    auto_buffer struct buffer space = {0};
    struct private_id made, read;
    make_private_id(&keys, &text, &made);
    for (size_t i = 0; i < buffer_size(&text); i++) {
        uint8_t *character = &text.data[text.start + i], kept = *character;
        *character = kept == 'A' ? 'B' : 'A';
        ck_assert_int_ne(private_id_decode(buffer_peek(&text), &keys, &space, &read), STATUS_OK);
        *character = kept;
        ck_assert_int_ne(
            private_id_decode(bytes_of(buffer_peek(&text).data, i), &keys, &space, &read),
            STATUS_OK);
    }
    cursor_keys_deinit(&keys);
}
END_TEST

START_TEST(a_cursor_belongs_to_its_private_id_and_its_rooms_cannot_be_changed)
{
    struct cursor_keys keys = keys_of("secret", NULL);
    static const uint8_t mine[CURSOR_TAG_BYTES] = {1}, other[CURSOR_TAG_BYTES] = {2};
    auto_buffer struct buffer joined = {0};
    auto_buffer struct buffer positions = {0};
    auto_buffer struct buffer text = {0};
    auto_buffer struct buffer space = {0};
    struct cursor read;
    pack(&joined, "task:1");
    cursor_append_position(&positions, (struct position){5, 6});
    struct cursor cursor = {.left = BYTES_LITERAL("\x02"), .joined = buffer_peek(&joined)};
    cursor_encode_rooms(&cursor, mine, &keys, &text);
    size_t rooms = buffer_size(&text);
    cursor_append_positions_text(buffer_peek(&positions), &text);
    ck_assert_int_eq(cursor_decode(buffer_peek(&text), mine, &keys, &space, &read), STATUS_OK);
    ck_assert(bytes_equal(read.left, cursor.left));
    ck_assert(bytes_equal(read.joined, cursor.joined));
    ck_assert(bytes_equal(read.positions, buffer_peek(&positions)));
    ck_assert_int_eq(cursor_decode(buffer_peek(&text), other, &keys, &space, &read), STATUS_DENIED);
    for (size_t i = 0; i < rooms; i++) {
        uint8_t *character = &text.data[text.start + i], kept = *character;
        *character = kept == 'A' ? 'B' : 'A';
        ck_assert_int_ne(cursor_decode(buffer_peek(&text), mine, &keys, &space, &read), STATUS_OK);
        *character = kept;
    }
    cursor_keys_deinit(&keys);
}
END_TEST

START_TEST(the_size_of_a_room_is_that_of_its_packed_form_and_a_mark)
{
    static const char *const names[] = {"task:00112233-4455-6677-8899-aabbccddeeff", "task:42",
                                        "a-kind-of-our-own:with:colons",
                                        "a-kind-of-our-own:00112233-4455-6677-8899-aabbccddeeff"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        auto_buffer struct buffer packed = {0};
        cursor_append_lost_mark(&packed);
        pack(&packed, names[i]);
        ck_assert_uint_eq(cursor_room_size(bytes_of_string(names[i])), buffer_size(&packed));
    }
}
END_TEST

/* As many rooms as a session may have, of the longest names and all of them lost, and the largest
 * positions in as many lanes as there may be. */
static void append_the_most(struct buffer *rooms, struct buffer *positions)
{
    char name[ROOM_NAME_LIMIT + 1];
    size_t size = 0;
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(name), "k%0*u:%0*u", ROOM_KIND_LIMIT - 1, i, ROOM_KEY_LIMIT, i);
        size += cursor_room_size(bytes_of_string(name));
        if (size > CURSOR_ROOMS_LIMIT)
            break;
        cursor_append_lost_mark(rooms);
        pack(rooms, name);
    }
    while (buffer_size(rooms) < CURSOR_ROOMS_LIMIT)
        cursor_append_lost_mark(rooms);
    for (unsigned i = 0; i < HUB_LANES_MOST; i++)
        cursor_append_position(positions, (struct position){INT64_MAX, UINT16_MAX});
}

START_TEST(whatever_a_session_may_be_in_fits_its_private_id_and_its_cursor)
{
    struct cursor_keys keys = keys_of("secret", NULL);
    static const uint8_t left[HUB_ROOMS_MOST / 4];
    auto_buffer struct buffer rooms = {0};
    auto_buffer struct buffer positions = {0};
    auto_buffer struct buffer text = {0};
    auto_buffer struct buffer space = {0};
    append_the_most(&rooms, &positions);
    ck_assert_uint_eq(buffer_size(&positions), (size_t)HUB_LANES_MOST * CURSOR_POSITION_BYTES_MOST);
    struct private_id id = {.rooms = buffer_peek(&rooms), .positions = buffer_peek(&positions)};
    struct private_id id_read;
    private_id_encode(&id, &keys, &text);
    ck_assert_int_eq(private_id_decode(buffer_peek(&text), &keys, &space, &id_read), STATUS_OK);
    buffer_clear(&text);
    struct cursor read,
        cursor = {.left = bytes_of(left, sizeof(left)), .joined = buffer_peek(&rooms)};
    cursor_encode_rooms(&cursor, id.tag, &keys, &text);
    cursor_append_positions_text(buffer_peek(&positions), &text);
    ck_assert_int_eq(cursor_decode(buffer_peek(&text), id.tag, &keys, &space, &read), STATUS_OK);
    ck_assert(bytes_equal(read.joined, cursor.joined));
    ck_assert(bytes_equal(read.positions, buffer_peek(&positions)));
    cursor_keys_deinit(&keys);
}
END_TEST

START_TEST(a_text_beyond_the_limit_is_told_from_one_that_is_malformed)
{
    struct cursor_keys keys = keys_of("secret", NULL);
    static const uint8_t tag[CURSOR_TAG_BYTES];
    static uint8_t text[CURSOR_TEXT_LIMIT + 1];
    auto_buffer struct buffer space = {0};
    struct cursor read;
    memset(text, 'A', sizeof(text));
    ck_assert_int_eq(cursor_decode(bytes_of(text, sizeof(text)), tag, &keys, &space, &read),
                     STATUS_TOO_LARGE);
    ck_assert_int_eq(cursor_decode(bytes_of(text, sizeof(text) - 1), tag, &keys, &space, &read),
                     STATUS_MALFORMED);
    cursor_keys_deinit(&keys);
}
END_TEST

START_TEST(positions_beyond_their_type_are_refused)
{
    struct bytes endless = BYTES_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00");
    struct bytes cut = BYTES_LITERAL("\x05\x00");
    struct position position;
    ck_assert(!cursor_take_position(&endless, &position));
    ck_assert(!cursor_take_position(&cut, &position));
}
END_TEST

TEST_PROGRAM("cursor", packed_rooms_come_back_by_name, cut_or_wrong_packed_rooms_are_refused,
             a_mark_tells_a_lost_room_from_one_that_was_joined,
             one_lane_and_four_joined_uuid_rooms_fit_128_characters,
             a_private_id_comes_back_and_older_keys_still_verify,
             every_changed_character_of_a_private_id_is_noticed,
             a_cursor_belongs_to_its_private_id_and_its_rooms_cannot_be_changed,
             the_size_of_a_room_is_that_of_its_packed_form_and_a_mark,
             whatever_a_session_may_be_in_fits_its_private_id_and_its_cursor,
             a_text_beyond_the_limit_is_told_from_one_that_is_malformed,
             positions_beyond_their_type_are_refused)
