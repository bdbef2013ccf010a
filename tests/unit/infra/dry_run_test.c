#include "dry_run.h"

#include "pipeline_fixture.h"

/* What --explain writes of an event. */
static char *explain_event(const char *rules, struct bytes event,
                           const struct pipeline_settings *settings)
{
    struct fixture fixture;
    char *text = NULL;
    size_t size = 0;
    fixture_open_with(&fixture, rules, settings);
    FILE *in = fmemopen((void *)(uintptr_t)event.data, event.size, "r");
    FILE *out = open_memstream(&text, &size);
    ck_assert(in && out);
    enum status status = explain(in, out, &fixture.settings, fixture.rules);
    ck_assert(status == STATUS_OK || status == STATUS_MALFORMED);
    fclose(in);
    fclose(out);
    fixture_close(&fixture);
    return text;
}

/* Rules see an event in one form, whatever the record's is. */
START_TEST(what_was_judged_is_explained)
{
    static const struct {
        const char *event;
        const char *line;
    } cases[] = {
        {"{\"event\":\"a\",\"event\":\"b\"}", "r: event: wanted [\"a\"], there was \"b\"\n"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"b\"}",
         "r: event: wanted [\"a\"], there was \"b\"\n"},
        {"{\"event\":\"a\",\"id\":\"1\",\"id\":\"2\"}",
         "r: its pattern matches, but the event is a dead letter\n"},
    };
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = explain_event("rules: [{name: r, when: {event: [a]}, rooms: ['tenant:t']}]",
                                   bytes_of_string(cases[i].event), &settings);
        ASSERT_HAS(text, cases[i].line);
        free(text);
    }
}
END_TEST

START_TEST(what_the_limits_allow_is_explained)
{
    auto_buffer struct buffer event = {0};
    struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                         .dead_letter_topic = "dead"};
    const unsigned count = settings.limits.values + 1;
    settings.limits.values = 2 * count;
    buffer_append_string(&event, "{\"x\":[");
    for (unsigned i = 0; i < count; i++)
        buffer_append_string(&event, i == 0 ? "1" : ",1");
    buffer_append_string(&event, "]}");
    char *text = explain_event("rules: [{name: r, when: {x: [2]}, rooms: ['tenant:t']}]",
                               buffer_peek(&event), &settings);
    ASSERT_HAS(text, "r: x: wanted [2], there was 1, 1");
    free(text);
}
END_TEST

TEST_PROGRAM("dry_run", what_was_judged_is_explained, what_the_limits_allow_is_explained)
