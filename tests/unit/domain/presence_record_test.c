/* Records of the topic of presence: what is read, and what is refused. */
#include "presence_record.h"

#include "suite.h"

static struct presence_space space;
static struct presence_record record;

static enum presence_fault read_record(const char *key, const char *value)
{
    return presence_record_read(bytes_of_string(key), value != NULL, bytes_of_string(value), &space,
                                &record);
}

START_TEST(a_list_is_read_as_it_was_written)
{
    auto_buffer struct buffer key = {0}, value = {0};
    struct bytes scope = BYTES_LITERAL("a\"c\\me"), room = BYTES_LITERAL("task:\xc3\xa4 1");
    presence_append_key(&key, BYTES_LITERAL("w1"), &scope, &room);
    presence_begin_list(&value, 3);
    presence_append_user(&value, BYTES_LITERAL("ann"));
    presence_append_user(&value, BYTES_LITERAL("b\"ob"));
    presence_end_list(&value);
    ck_assert_int_eq(
        presence_record_read(buffer_peek(&key), true, buffer_peek(&value), &space, &record),
        PRESENCE_SOUND);
    ck_assert(!record.is_beat && !record.over);
    ck_assert(bytes_equal_string(record.worker, "w1"));
    ck_assert(bytes_equal(record.scope, scope));
    ck_assert(bytes_equal(record.room, room));
    ck_assert_uint_eq(record.count, 3);
    ck_assert_uint_eq(record.user_count, 2);
    ck_assert(bytes_equal_string(record.users[0], "ann"));
    ck_assert(bytes_equal_string(record.users[1], "b\"ob"));
    presence_space_deinit(&space);
}
END_TEST

START_TEST(a_beat_and_an_end)
{
    ck_assert_int_eq(read_record("[\"w1\"]", "{}"), PRESENCE_SOUND);
    ck_assert(record.is_beat && !record.over);
    ck_assert_int_eq(read_record("[\"w1\"]", NULL), PRESENCE_SOUND);
    ck_assert(record.is_beat && record.over);
    ck_assert_int_eq(read_record("[\"w1\",\"\",\"task:1\"]", NULL), PRESENCE_SOUND);
    ck_assert(!record.is_beat && record.over && record.scope.size == 0);
    presence_space_deinit(&space);
}
END_TEST

START_TEST(what_a_later_version_adds_is_passed_over)
{
    ck_assert_int_eq(read_record("[\"w\",\"a\",\"task:1\"]",
                                 " {\"since\":{\"x\":[1]},\"users\":[\"u\"],\"count\":1} "),
                     PRESENCE_SOUND);
    ck_assert_uint_eq(record.user_count, 1);
    presence_space_deinit(&space);
}
END_TEST

START_TEST(keys_that_are_none)
{
    static const char *const keys[] = {"",
                                       "[]",
                                       "w",
                                       "[\"\"]",
                                       "[\"w\",\"a\"]",
                                       "[\"w\",\"a\",\"task:1\",\"x\"]",
                                       "[\"w\",\"a\",\"no room\"]",
                                       "[\"w\",\"a\",\"\"]",
                                       "[\"w\",1,\"task:1\"]",
                                       "[ \"w\"]",      /* another spelling */
                                       "[\"\\u0077\"]", /* likewise */
                                       "[\"w\"]x"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        ck_assert_msg(read_record(keys[i], "{}") == PRESENCE_FAULTY_KEY, "%s", keys[i]);
    char large[PRESENCE_WORKER_TEXT_LIMIT + 6] = "[\"";
    memset(large + 2, 'w', PRESENCE_WORKER_TEXT_LIMIT + 1);
    memcpy(large + 3 + PRESENCE_WORKER_TEXT_LIMIT, "\"]", 3);
    ck_assert_int_eq(read_record(large, "{}"), PRESENCE_FAULTY_KEY);
    presence_space_deinit(&space);
}
END_TEST

START_TEST(values_that_are_none)
{
    static const char *const values[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"count\":1}",
                                         "{\"users\":[\"a\"]}",
                                         "{\"count\":0,\"users\":[]}",
                                         "{\"count\":1,\"users\":[\"a\",\"b\"]}",
                                         "{\"count\":-1,\"users\":[]}",
                                         "{\"count\":1.5,\"users\":[]}",
                                         "{\"count\":99999999999999999999,\"users\":[]}",
                                         "{\"count\":2,\"users\":[\"a\",7]}",
                                         "{\"count\":2,\"users\":[\"\"]}",
                                         "{\"count\":1,\"users\":[\"a\\u0000\"]}",
                                         "{\"count\":1,\"users\":[\"\\ud800\"]}",
                                         "{\"count\":1,\"users\":[\"\xc3(\"]}",
                                         "{\"count\":1,\"users\":[\"a\"],\"count\":1}",
                                         "{\"count\":1,\"users\":[\"a\"]"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ck_assert_msg(read_record("[\"w\",\"a\",\"task:1\"]", values[i]) == PRESENCE_FAULTY_VALUE,
                      "%s", values[i]);
    presence_space_deinit(&space);
}
END_TEST

START_TEST(no_more_users_than_may_be_named)
{
    auto_buffer struct buffer value = {0};
    presence_begin_list(&value, PRESENCE_USERS_MOST + 1);
    for (unsigned i = 0; i < PRESENCE_USERS_MOST; i++)
        presence_append_user(&value, BYTES_LITERAL("u"));
    struct bytes full = buffer_peek(&value);
    auto_buffer struct buffer sound = {0};
    buffer_append(&sound, full);
    presence_end_list(&sound);
    struct bytes key = BYTES_LITERAL("[\"w\",\"a\",\"task:1\"]");
    ck_assert_int_eq(presence_record_read(key, true, buffer_peek(&sound), &space, &record),
                     PRESENCE_SOUND);
    presence_append_user(&value, BYTES_LITERAL("u"));
    presence_end_list(&value);
    ck_assert_int_eq(presence_record_read(key, true, buffer_peek(&value), &space, &record),
                     PRESENCE_FAULTY_VALUE);
    presence_space_deinit(&space);
}
END_TEST

TEST_PROGRAM("presence_record", a_list_is_read_as_it_was_written, a_beat_and_an_end,
             what_a_later_version_adds_is_passed_over, keys_that_are_none, values_that_are_none,
             no_more_users_than_may_be_named)
