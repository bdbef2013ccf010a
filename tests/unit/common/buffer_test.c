#include "buffer.h"

#include <stdlib.h>

#include "suite.h"

START_TEST(content_survives_growth_and_consumption)
{
    auto_buffer struct buffer buffer = {0};
    size_t written = 0, read = 0;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < round % 7; i++)
            buffer_append_byte(&buffer, (uint8_t)written++);
        size_t take = buffer_size(&buffer) / 3;
        struct bytes content = buffer_peek(&buffer);
        for (size_t i = 0; i < take; i++)
            ck_assert_uint_eq(content.data[i], (uint8_t)read++);
        buffer_consume(&buffer, take);
    }
    ck_assert_uint_eq(buffer_size(&buffer), written - read);
}
END_TEST

START_TEST(format_appends_without_its_terminator)
{
    auto_buffer struct buffer buffer = {0};
    buffer_append_string(&buffer, "a");
    buffer_append_format(&buffer, "%d-%s", 42, "x");
    ck_assert(bytes_equal_string(buffer_peek(&buffer), "a42-x"));
}
END_TEST

START_TEST(what_was_appended_last_can_be_taken_back)
{
    auto_buffer struct buffer buffer = {0};
    buffer_append_string(&buffer, "consumed");
    buffer_consume(&buffer, 3);
    buffer_append_string(&buffer, ", taken back");
    buffer_truncate(&buffer, 5);
    ck_assert(bytes_equal_string(buffer_peek(&buffer), "sumed"));
    buffer_truncate(&buffer, 0);
    ck_assert_uint_eq(buffer_size(&buffer), 0);
}
END_TEST

START_TEST(the_memory_can_be_taken)
{
    struct buffer buffer = {0};
    buffer_append_string(&buffer, "abc");
    char *content = buffer_take(&buffer);
    ck_assert_mem_eq(content, "abc", 3);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer_size(&buffer) + buffer.capacity, 0);
    free(content);
}
END_TEST

TEST_PROGRAM("buffer", content_survives_growth_and_consumption,
             format_appends_without_its_terminator, what_was_appended_last_can_be_taken_back,
             the_memory_can_be_taken)
