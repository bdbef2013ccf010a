/* The sample: 200 events, 22 rules, and which rules match which event. */
#include <stdio.h>

#include "json.h"
#include "pipeline_fixture.h"

static void read_file(const char *path, struct buffer *text)
{
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    size_t count;
    while ((count = fread(buffer_reserve(text, 65536), 1, 65536, file)) > 0)
        buffer_commit(text, count);
    fclose(file);
}

static bool take_line(struct bytes *text, struct bytes *line)
{
    if (text->size == 0)
        return false;
    const uint8_t *end = (const uint8_t *)memchr(text->data, '\n', text->size);
    size_t size = end == NULL ? text->size : (size_t)(end - text->data);
    *line = bytes_of(text->data, size);
    *text = bytes_skip(*text, end == NULL ? size : size + 1);
    return true;
}

START_TEST(the_sample_gives_exactly_the_expected_matches)
{
    auto_buffer struct buffer rules = {0};
    auto_buffer struct buffer events = {0};
    auto_buffer struct buffer expected = {0};
    read_file("tests/data/sample/rules.yaml", &rules);
    read_file("tests/data/sample/events.jsonl", &events);
    read_file("tests/data/sample/expected.jsonl", &expected);
    buffer_append_byte(&rules, 0);

    struct fixture fixture;
    fixture_open(&fixture, (const char *)buffer_peek(&rules).data);
    struct bytes event_text = buffer_peek(&events);
    struct bytes expected_text = buffer_peek(&expected);
    struct bytes event;
    struct bytes wanted;
    size_t count = 0;
    while (take_line(&event_text, &event)) {
        auto_buffer struct buffer got = {0};
        ck_assert(take_line(&expected_text, &wanted));
        struct record record = {.value = event, .has_value = true};
        fixture_feed_record(&fixture, &record);
        ck_assert(!fixture.decision.dead);
        buffer_append_string(&got, "{\"id\":");
        json_write_string(&got, fixture.decision.event_id);
        buffer_append_string(&got, ",\"rules\":[");
        for (size_t i = 0; i < fixture.decision.rule_count; i++) {
            if (i > 0)
                buffer_append_byte(&got, ',');
            json_write_string(&got, rule_set_at(fixture.rules, fixture.decision.rules[i])->name);
        }
        buffer_append_string(&got, "]}");
        ck_assert_msg(bytes_equal(buffer_peek(&got), wanted), "%.*s instead of %.*s",
                      BYTES_PRINT(buffer_peek(&got)), BYTES_PRINT(wanted));
        count++;
    }
    ck_assert_uint_eq(count, 200);
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("sample", the_sample_gives_exactly_the_expected_matches)
