/* By the pipeline itself, which is asked for the one rule. What is compared is decoded from what would
 * be produced, so that whatever clients can tell apart is told apart. */
#include "outcome.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "mem.h"

struct outcome_maker {
    struct pipeline *pipeline;
    struct batch batch;
    struct buffer text;
};

struct outcome_maker *outcome_maker_new(const struct pipeline_settings *settings,
                                        const struct rule_set *rules)
{
    struct outcome_maker *maker = mem_new(struct outcome_maker);
    struct pipeline_settings quiet = *settings;
    quiet.audit = AUDIT_OFF;
    quiet.keeps_items = false;
    maker->pipeline = pipeline_new(&quiet);
    pipeline_use_rules(maker->pipeline, rules);
    return maker;
}

void outcome_maker_free(struct outcome_maker *maker)
{
    if (!maker)
        return;
    pipeline_free(maker->pipeline);
    batch_deinit(&maker->batch);
    buffer_deinit(&maker->text);
    free(maker);
}

static void append_notification(struct outcome_maker *maker, const struct output *output)
{
    struct notification *notification = NULL;
    enum status status = notification_decode(output->value, &notification);
    assert(status == STATUS_OK);
    (void)status;
    notification->rules_revision = bytes_of(NULL, 0);
    notification->rule_count = 0;
    if (notification->type == NOTIFICATION_REVIEW_ALERT)
        notification->review.rule = bytes_of(NULL, 0);
    buffer_append_format(&maker->text, "%s %" PRId32 " ", output->topic, output->partition);
    notification_to_json(notification, &maker->text);
    notification_free(notification);
}

struct outcome outcome_make(struct outcome_maker *maker, uint32_t rule, const struct record *record)
{
    struct decision decision;
    batch_reset(&maker->batch);
    buffer_clear(&maker->text);
    pipeline_ask_only(maker->pipeline, rule);
    pipeline_process(maker->pipeline, NULL, record, &maker->batch, &decision);
    if (decision.dead)
        buffer_append_string(&maker->text, dead_reason_name(decision.reason));
    for (size_t i = 0; i < maker->batch.output_count; i++)
        if (maker->batch.outputs[i].kind == OUTPUT_NOTIFICATION)
            append_notification(maker, &maker->batch.outputs[i]);
    return (struct outcome){.text = buffer_peek(&maker->text), .dead = decision.dead};
}

/* Rules that are written alike do alike. */
bool outcome_may_differ(const struct rule *a, const struct rule *b)
{
    return a->action != b->action || a->action == 0;
}
