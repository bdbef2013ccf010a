/* A pipeline under test: rules as text, events as text, decisions as something to compare. */
#ifndef TESTS_UNIT_CORE_PIPELINE_FIXTURE_H
#define TESTS_UNIT_CORE_PIPELINE_FIXTURE_H

#include "mem.h"
#include "pipeline.h"
#include "suite.h"

struct fixture {
    struct layout *layout;
    struct rule_set *rules;
    struct pipeline *pipeline;
    struct batch batch;
    struct decision decision;
    struct pipeline_settings settings;
    struct partition_state *state; /* NULL unless the test sets it */
    int64_t offset;
    int64_t later_ms; /* how much later than the first the record is */
};

/* The default layout, where the queues legal and quality may be in topic names. */
static inline void fixture_open_with(struct fixture *fixture, const char *rules,
                                     const struct pipeline_settings *settings)
{
    struct document *allow = NULL;
    auto_problems struct problems problems = {0};
    auto_buffer struct buffer text = {0};
    *fixture = (struct fixture){.settings = *settings};
    ck_assert_int_eq(
        document_parse(BYTES_LITERAL("{review: [legal, quality, compliance, finance]}"), NULL,
                       &allow, NULL),
        STATUS_OK);
    const struct layout_source source = {.allow = document_root(allow)};
    ck_assert_int_eq(layout_new(&source, &fixture->layout, &problems), STATUS_OK);
    document_free(allow);
    enum status status =
        rule_set_parse(bytes_of_string(rules), fixture->layout, &fixture->rules, &problems);
    problems_render(&problems, "rules", &text);
    ck_assert_msg(status == STATUS_OK, "%.*s", BYTES_PRINT(buffer_peek(&text)));
    fixture->settings.layout = fixture->layout;
    fixture->pipeline = pipeline_new(&fixture->settings);
    pipeline_use_rules(fixture->pipeline, fixture->rules);
}

static inline void fixture_open(struct fixture *fixture, const char *rules)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "tasks.dead-letter",
                                               .audit_topic = "tasks.audit"};
    fixture_open_with(fixture, rules, &settings);
}

static inline void fixture_close(struct fixture *fixture)
{
    pipeline_free(fixture->pipeline);
    partition_state_free(fixture->state);
    rule_set_free(fixture->rules);
    layout_free(fixture->layout);
    batch_deinit(&fixture->batch);
}

#define FIXTURE_BEGAN_MS (INT64_C(1772438516419)) /* the time of the first record */

/* It is so much later than the time of the first record. */
static inline void fixture_set_time(struct fixture *fixture, int64_t later_ms)
{
    pipeline_set_time(fixture->pipeline, FIXTURE_BEGAN_MS + later_ms);
}

/* Judges a record; the batch holds only what came of it. */
static inline void fixture_feed_record(struct fixture *fixture, struct record *record)
{
    record->topic = BYTES_LITERAL("tasks.events");
    record->partition = 3;
    record->offset = fixture->offset++;
    record->timestamp_ms = FIXTURE_BEGAN_MS + fixture->later_ms;
    batch_reset(&fixture->batch);
    pipeline_process(fixture->pipeline, fixture->state, record, &fixture->batch,
                     &fixture->decision);
}

static inline void fixture_feed(struct fixture *fixture, const char *event)
{
    struct record record = {.value = bytes_of_string(event), .has_value = true};
    fixture_feed_record(fixture, &record);
}

static inline bool bytes_contain(struct bytes whole, const char *part)
{
    return memmem(whole.data, whole.size, part, strlen(part)) != NULL;
}

/* The notification at an index as JSON, appended with a NUL to `json`, which is cleared first. */
static inline const char *fixture_json(struct fixture *fixture, size_t index, struct buffer *json)
{
    struct notification *notification = NULL;
    ck_assert_uint_lt(index, fixture->batch.output_count);
    ck_assert_int_eq(fixture->batch.outputs[index].kind, OUTPUT_NOTIFICATION);
    ck_assert_int_eq(notification_decode(fixture->batch.outputs[index].value, &notification),
                     STATUS_OK);
    buffer_clear(json);
    notification_to_json(notification, json);
    buffer_append_byte(json, 0);
    notification_free(notification);
    return (const char *)buffer_peek(json).data;
}

#define ASSERT_HAS(text, part) \
    ck_assert_msg(strstr((text), (part)) != NULL, "%s is not in\n%s", (part), (text))

static inline struct bytes fixture_header(const struct output *output, const char *name)
{
    for (size_t i = 0; i < output->header_count; i++)
        if (bytes_equal_string(output->headers[i].name, name))
            return output->headers[i].value;
    return bytes_of(NULL, 0);
}

#endif
