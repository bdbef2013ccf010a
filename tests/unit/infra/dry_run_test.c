#include "dry_run.h"

#include "pipeline_fixture.h"

typedef enum status try_fn(FILE *in, FILE *out, const struct pipeline_settings *settings,
                           const struct rule_set *rules);

/* What --explain or --dry-run writes of an event, or of several. */
static char *try_events(try_fn *try, const char *rules, struct bytes event,
                        const struct pipeline_settings *settings)
{
    struct fixture fixture;
    char *text = NULL;
    size_t size = 0;
    fixture_open_with(&fixture, rules, settings);
    FILE *in = fmemopen((void *)(uintptr_t)event.data, event.size, "r");
    FILE *out = open_memstream(&text, &size);
    ck_assert(in && out);
    enum status status = try(in, out, &fixture.settings, fixture.rules);
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
        char *text =
            try_events(explain, "rules: [{name: r, when: {event: [a]}, rooms: ['tenant:t']}]",
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
    char *text = try_events(explain, "rules: [{name: r, when: {x: [2]}, rooms: ['tenant:t']}]",
                            buffer_peek(&event), &settings);
    ASSERT_HAS(text, "r: x: wanted [2], there was 1, 1");
    free(text);
}
END_TEST

/* Each line is an event behind those before it. */
START_TEST(what_is_late_is_told)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead"};
    char *text = try_events(
        dry_run,
        "rules: [{name: r, when: {event: [a]}, notify: {rooms: ['task:{taskId}'], state: "
        "{item: '{taskId}', order: '{seq}'}}}]",
        BYTES_LITERAL("{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\",\"seq\":2}\n"
                      "{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\",\"seq\":1}\n"
                      "{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\"}\n"),
        &settings);
    const char *second = strchr(text, '\n') + 1;
    const char *third = strchr(second, '\n') + 1;
    ASSERT_HAS(text, "\"notifications\":[{\"id\":");
    ASSERT_HAS(
        second,
        "\"matched\":[\"r\"],\"notifications\":[],\"skipped\":[{\"rule\":\"r\",\"room\":\"1\","
        "\"reason\":\"late\",\"problem\":\"its order 1 is before 2, which was told\"}]");
    ASSERT_HAS(third, "\"item\":{\"key\":\"1\"}");
    ASSERT_HAS(third, "\"room\":\"{seq}\",\"reason\":\"no-order\"");
    free(text);
}
END_TEST

TEST_PROGRAM("dry_run", what_was_judged_is_explained, what_the_limits_allow_is_explained,
             what_is_late_is_told)
