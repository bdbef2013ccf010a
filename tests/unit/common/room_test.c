#include "room.h"

#include "suite.h"

static bool accepts(const char *name)
{
    struct room_name room;
    return room_parse(bytes_of_string(name), &room, NULL) == STATUS_OK;
}

START_TEST(a_name_is_split_at_its_first_colon)
{
    struct room_name room;
    ck_assert_int_eq(room_parse(BYTES_LITERAL("task:a:b"), &room, NULL), STATUS_OK);
    ck_assert(bytes_equal_string(room.kind, "task"));
    ck_assert(bytes_equal_string(room.key, "a:b"));
    ck_assert(bytes_equal_string(room.name, "task:a:b"));
}
END_TEST

START_TEST(names_outside_of_the_syntax_are_refused)
{
    static const char *const good[] = {
        "t:1", "review:legal", "a-b_9:x", "user:größe 東京 😀", "user:joe@example.com", "t::", NULL};
    static const char *const bad[] = {
        "",        "task",           ":1",         "task:",  "Task:1",     "1task:1",
        "ta sk:1", "t\xC3\xA4:1",    "t:a\nb",     "t:\x7F", "t:\xC2\x80", "t:\xFF",
        "t:\xC3",  "t:\xED\xA0\x80", "t:\xC0\x80", NULL};
    for (int i = 0; good[i]; i++)
        ck_assert_msg(accepts(good[i]), "%s", good[i]);
    for (int i = 0; bad[i]; i++)
        ck_assert_msg(!accepts(bad[i]), "%s", bad[i]);
    struct room_name room;
    struct error error = {0};
    ck_assert_int_eq(room_parse(BYTES_LITERAL("t:a\0b"), &room, &error), STATUS_INVALID);
    ck_assert(strstr(error.text, "control") != NULL);
}
END_TEST

START_TEST(sizes_have_limits)
{
    char name[ROOM_NAME_LIMIT + 2];
    memset(name, 'k', sizeof(name));
    struct room_name room;
    for (size_t kind = ROOM_KIND_LIMIT; kind <= ROOM_KIND_LIMIT + 1; kind++) {
        memset(name, 'k', sizeof(name));
        name[kind] = ':';
        ck_assert_int_eq(room_parse(bytes_of(name, kind + 2), &room, NULL),
                         kind == ROOM_KIND_LIMIT ? STATUS_OK : STATUS_INVALID);
    }
    memset(name, 'k', sizeof(name));
    name[1] = ':';
    ck_assert_int_eq(room_parse(bytes_of(name, 2 + ROOM_KEY_LIMIT), &room, NULL), STATUS_OK);
    ck_assert_int_eq(room_parse(bytes_of(name, 3 + ROOM_KEY_LIMIT), &room, NULL), STATUS_INVALID);
}
END_TEST

/* Records carry these: they may never change. */
START_TEST(hashes_are_part_of_the_wire_format)
{
    ck_assert_uint_eq(room_hash(BYTES_LITERAL("acme"), BYTES_LITERAL("task:42")),
                      UINT64_C(0x744b072dd9b38cfb));
    ck_assert_uint_eq(room_hash(BYTES_LITERAL(""), BYTES_LITERAL("review:legal")),
                      UINT64_C(0x251196618c1b9b7b));
    ck_assert_uint_ne(room_hash(BYTES_LITERAL("acme"), BYTES_LITERAL("task:42")),
                      room_hash(BYTES_LITERAL("globex"), BYTES_LITERAL("task:42")));
}
END_TEST

TEST_PROGRAM("room", a_name_is_split_at_its_first_colon, names_outside_of_the_syntax_are_refused,
             sizes_have_limits, hashes_are_part_of_the_wire_format)
