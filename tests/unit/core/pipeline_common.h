/* The event, the rules and the readers that tests of the pipeline have in common. */
#ifndef TESTS_UNIT_CORE_PIPELINE_COMMON_H
#define TESTS_UNIT_CORE_PIPELINE_COMMON_H

#include "json.h"
#include "pipeline_fixture.h"

#define EVENT_START                                                                      \
    "{\"id\":\"e1\",\"event\":\"task.completed\",\"time\":\"2026-03-02T08:01:56.419Z\"," \
    "\"tenantId\":\"acme\",\"projectId\":\"p1\",\"userId\":\"u1\",\"taskId\":\"42\","    \
    "\"type\":\"ocr\",\"priority\":\"low\""

static const char event[] = EVENT_START ",\"data\":{\"confidence\":0.50,\"progress\":100}}";

static const char rules[] =
    "rules:\n"
    "  - {name: a, when: {event: [{prefix: task.}]}, rooms: ['task:{taskId}', 'user:{userId}']}\n"
    "  - {name: b, when: {event: [task.completed]}, rooms: ['user:{userId}', "
    "'project:{projectId}']}\n"
    "  - {name: c, when: {event: [task.failed]}, rooms: ['tenant:{tenantId}']}\n";

static const char review_rules[] = "rules:\n"
                                   "  - name: r\n"
                                   "    when: {event: [task.completed]}\n"
                                   "    review: {queue: legal, reason: 'confidence "
                                   "{data.confidence}', due: 4h, title: '{type}'}\n";

static const struct partition_state_settings remembered = {.dedupe_window_ms = 60000,
                                                           .dedupe_entries = 1000,
                                                           .review_window_ms = 3600000,
                                                           .review_tasks = 100,
                                                           .reviews_per_task = 16};

/* The last output, which is the audit. */
static inline struct bytes audit_of(const struct fixture *fixture)
{
    const struct output *output = &fixture->batch.outputs[fixture->batch.output_count - 1];
    ck_assert_uint_gt(fixture->batch.output_count, 0);
    ck_assert_int_eq(output->kind, OUTPUT_AUDIT);
    ck_assert_int_eq(json_validate(output->value, 10, NULL), STATUS_OK);
    return output->value;
}

#endif
