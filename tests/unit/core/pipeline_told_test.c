/* What is told of an event and its decision: remarks, rooms left out, the audit. */
#include <stdio.h>

#include "pipeline_common.h"
#include "unicode.h"

START_TEST(times_and_percentages_are_taken_where_they_are_plain_else_told)
{
    static const struct {
        const char *member;
        const char *shown; /* in the notification; begins with ! if it must not be there */
        const char *remark;
    } cases[] = {
        {"\"time\":1772438516419", "\"time\":\"2026-03-02T08:01:56.419Z\"", NULL},
        {"\"time\":\"1772438516\"", "\"time\":\"2026-03-02T08:01:56.000Z\"", NULL},
        {"\"time\":\"2026-03-02T08:01:56\"", "\"time\":\"2026-03-02T08:01:56.000Z\"", NULL},
        {"\"time\":\"2026-03-02T09:01:56+01:00\"", "\"time\":\"2026-03-02T09:01:56+01:00\"", NULL},
        {"\"time\":\"soon\"", "\"time\":\"2026-03-02T08:01:56.419Z\"",
         "the record's is taken: soon"},
        {"\"time\":[1]", "\"time\":\"2026-03-02T08:01:56.419Z\"", "the record's is taken"},
        {"\"time\":null", "\"time\":\"2026-03-02T08:01:56.419Z\"", NULL},
        {"\"progress\":40.5", "\"progress\":40.5", NULL},
        {"\"progress\":\"42\"", "\"progress\":42", NULL},
        {"\"progress\":\"42.5%\"", "\"progress\":42.5", NULL},
        {"\"data\":{\"progress\":\"7\"}", "\"progress\":7,", NULL},
        {"\"progress\":140", "!progress",
         "progress is no percentage (0 to 100), it is left out: 140"},
        {"\"progress\":-1", "!progress", "progress is no percentage"},
        {"\"progress\":\"half\"", "!progress", "progress is no percentage"},
        {"\"progress\":\"0x10\"", "!progress", "progress is no percentage"},
        {"\"progress\":1e999", "!progress", "progress is no percentage"},
    };
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    char text[256];
    fixture_open(&fixture, "rules: [{name: r, when: {event: [a]}, rooms: ['task:{taskId}']}]");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{\"event\":\"a\",\"tenantId\":\"t\",\"taskId\":\"1\",%s}",
                 cases[i].member);
        fixture_feed(&fixture, text);
        ck_assert(!fixture.decision.dead);
        const char *shown = fixture_json(&fixture, 0, &json);
        if (cases[i].shown[0] == '!')
            ck_assert_msg(strstr(shown, cases[i].shown + 1) == NULL, "%s", shown);
        else
            ASSERT_HAS(shown, cases[i].shown);
        const char *time = fixture.decision.remarks[REMARK_TIME];
        const char *remark = time != NULL ? time : fixture.decision.remarks[REMARK_PROGRESS];
        ck_assert_msg((remark != NULL) == (cases[i].remark != NULL), "%s", text);
        if (remark != NULL)
            ASSERT_HAS(remark, cases[i].remark);
        ck_assert_uint_eq(fixture.batch.counts.remarks[REMARK_TIME] +
                              fixture.batch.counts.remarks[REMARK_PROGRESS],
                          remark != NULL);
    }
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_is_left_out_is_told_with_its_reason)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(
        &fixture,
        "rules:\n"
        "  - {name: typo, when: {event: [a]}, rooms: ['task:{taskID}', 'task:{taskId}']}\n"
        "  - {name: alert, when: {event: [a]}, review: {queue: '{data.team}', reason: r}}\n");
    fixture_feed(&fixture, "{\"event\":\"a\",\"taskId\":\"1\"}");
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.decision.skipped_count, 3);
    decision_skipped_json(&fixture.decision, fixture.rules, &json);
    buffer_append_byte(&json, 0);
    ck_assert_str_eq((const char *)buffer_peek(&json).data,
                     "[{\"rule\":\"typo\",\"room\":\"task:{taskID}\",\"reason\":\"field-missing\","
                     "\"problem\":\"the event has no taskID\"},"
                     "{\"rule\":\"typo\",\"room\":\"task:1\",\"reason\":\"no-owner\","
                     "\"problem\":\"no tenant, to whom rooms of this kind belong (tenantId or "
                     "userId of the event)\"},"
                     "{\"rule\":\"alert\",\"room\":\"{data.team}\",\"reason\":\"field-missing\","
                     "\"problem\":\"the event has no data.team\"}]");
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_is_told_of_an_event_is_bounded)
{
    struct fixture fixture;
    auto_buffer struct buffer rules_text = {0};
    auto_buffer struct buffer json = {0};
    buffer_append_string(&rules_text, "rules: [");
    for (int i = 0; i < 100; i++)
        buffer_append_format(&rules_text, "%s{name: r%d, when: {event: [a]}, rooms: ['task:{x}']}",
                             i == 0 ? "" : ",", i);
    buffer_append_string(&rules_text, "]");
    buffer_append_byte(&rules_text, 0);
    fixture_open(&fixture, (const char *)buffer_peek(&rules_text).data);
    fixture_feed(&fixture, "{\"event\":\"a\"}");
    ck_assert_uint_eq(fixture.decision.skipped_count, 100);
    decision_skipped_json(&fixture.decision, fixture.rules, &json);
    ck_assert(bytes_contain(buffer_peek(&json), ",{\"more\":80}]"));
    ck_assert_uint_lt(buffer_size(&json), 3000);
    fixture_close(&fixture);
}
END_TEST

START_TEST(every_decision_can_be_audited)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL};
    struct fixture fixture;
    fixture_open_with(&fixture, review_rules, &settings);
    fixture.state = partition_state_new(&remembered, 0);
    fixture_feed(&fixture, event);
    struct bytes audit = audit_of(&fixture);
    ck_assert(bytes_contain(
        audit,
        "{\"eventId\":\"e1\",\"time\":\"2026-03-02T08:01:56.419Z\",\"taskId\":\"42\",\"tenantId\":"
        "\"acme\",\"origin\":{\"topic\":\"tasks.events\",\"partition\":3,\"offset\":0}"));
    ck_assert(bytes_contain(
        audit, "\"outcome\":\"matched\",\"rules\":[\"r\"],\"reviews\":[{\"queue\":\"legal\","
               "\"reason\":\"confidence 0.50\"}],\"notifications\":[{\"id\":\""));
    ck_assert(bytes_equal_string(fixture.batch.outputs[2].key, "42"));
    fixture_feed(&fixture, event);
    ck_assert(bytes_contain(audit_of(&fixture), "\"outcome\":\"duplicate\",\"rules\":[]"));
    ck_assert(
        bytes_contain(audit_of(&fixture), "\"taskId\":\"42\",\"tenantId\":\"acme\",\"origin\""));
    fixture_feed(&fixture, "{\"event\":\"other\"}");
    ck_assert(bytes_contain(audit_of(&fixture), "\"outcome\":\"unmatched\""));
    fixture_feed(&fixture, "{");
    ck_assert(bytes_contain(audit_of(&fixture), "\"outcome\":\"dead-letter\""));
    ck_assert(bytes_contain(audit_of(&fixture), "\"reason\":\"malformed\",\"problem\":\""));
    fixture_close(&fixture);
}
END_TEST

#define NINE "123456789"
#define FIFTY_NINE NINE " " NINE " " NINE " " NINE " " NINE " " NINE

/* Whatever an event holds and wherever its texts are cut: what is told of it is UTF-8. */
START_TEST(what_is_told_of_an_event_is_utf8)
{
    static const struct {
        const char *type;
        const char *event;
        const char *told;
    } cases[] = {
        {"application/json", "{\"event\":\"a\",\"time\":\"" FIFTY_NINE "\u00e9\"}",
         "is taken: " FIFTY_NINE "\"}"},
        {"application/json", "{\"event\":\"a\",\"progress\":\"" FIFTY_NINE "\u00e9\"}",
         "is left out: " FIFTY_NINE "\"}"},
        {"image/\xff\xe9\x1b[2J", "", "content type image/\ufffd\ufffd\ufffd[2J is not an event"},
        {"text/plain; charset=\xe9", "", "charset=\ufffd: only UTF-8 is read"},
        {"application/cloudevents+json",
         "{\"specversion\":\"2" NINE NINE "\u00e9\",\"id\":\"1\","
         "\"source\":\"s\",\"type\":\"t\"}",
         "of version 2" NINE NINE "\""},
    };
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL};
    struct fixture fixture;
    fixture_open_with(&fixture, "rules: [{name: r, when: {event: [a]}, rooms: ['tenant:t']}]",
                      &settings);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct record_header type = {BYTES_LITERAL("content-type"),
                                           bytes_of_string(cases[i].type)};
        struct record record = {.value = bytes_of_string(cases[i].event),
                                .has_value = true,
                                .headers = &type,
                                .header_count = 1};
        fixture_feed_record(&fixture, &record);
        ck_assert_msg(unicode_is_valid(audit_of(&fixture)), "%zu", i);
        ck_assert_msg(bytes_contain(audit_of(&fixture), cases[i].told), "%zu: %.*s", i,
                      BYTES_PRINT(audit_of(&fixture)));
    }
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("pipeline_told", times_and_percentages_are_taken_where_they_are_plain_else_told,
             what_is_left_out_is_told_with_its_reason, what_is_told_of_an_event_is_bounded,
             every_decision_can_be_audited, what_is_told_of_an_event_is_utf8)
