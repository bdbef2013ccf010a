/* An event in any format through the pipeline: whatever comes in, what goes out is a well-formed
 * notification whose JSON is valid, or one dead letter. The first byte says which headers the
 * record has. */
#include <stdlib.h>

#include "json.h"
#include "pipeline.h"

#define HEADER(name, value)                       \
    {                                             \
        BYTES_LITERAL(name), BYTES_LITERAL(value) \
    }

static const struct record_header header_sets[][6] = {
    {HEADER("hops", "1")},
    {HEADER("content-type", "application/cloudevents+json")},
    {HEADER("content-type", "application/protobuf")},
    {HEADER("content-type", "application/json"), HEADER("ce_specversion", "1.0"),
     HEADER("ce_id", "1"), HEADER("ce_source", "s"), HEADER("ce_type", "task.created"),
     HEADER("ce_tenantid", "t")},
    {HEADER("content-type", "text/plain"), HEADER("ce_specversion", "1.0"), HEADER("ce_id", "1"),
     HEADER("ce_source", "s"), HEADER("ce_type", "task.created"), HEADER("ce_tenantid", "t")},
};
static const size_t header_counts[] = {1, 1, 1, 6, 6};

static const char rules_text[] =
    "rules:\n"
    "  - {name: a, when: {event: [{exists: true}]}, rooms: ['task:{taskId}', 'user:{userId}', "
    "'tenant:{tenantId|t}']}\n"
    "  - {name: b, when: {data: [{exists: true}, {exists: false}]},\n"
    "     notify: {type: notification, rooms: ['user:{id|x}'], title: '{data.a}{id}', body: "
    "'{data}', state: {item: '{data.item|}{id}', remove: true}},\n"
    "     review: {queue: '{data.q|legal}', reason: '{time|r}', due: '{data.due|4h}', "
    "state: '{data.item}'}}\n"
    "  - {name: c, when: {data: [{exists: true}, {exists: false}]},\n"
    "     notify: [{type: custom, event: 'e{data.name}', rooms: ['user:{data.watchers}', "
    "'task:{data.list|x}'], state: '{data.item|}'},\n"
    "       {type: custom, event: made, rooms: ['tenant:{tenantId|t}'], data: {a: '{data.a}', b: "
    "['{data}', '{data.b|c}', 1], c: 'x {id}'}}]}\n";

static struct pipeline *open_pipeline(void)
{
    static struct pipeline *pipeline;
    struct document *allow = NULL;
    struct layout *layout = NULL;
    struct rule_set *rules = NULL;
    struct problems problems = {0};
    if (pipeline != NULL)
        return pipeline;
    if (document_parse(BYTES_LITERAL("{review: ['*']}"), NULL, &allow, NULL) != STATUS_OK)
        abort();
    const struct layout_source source = {.allow = document_root(allow)};
    if (layout_new(&source, &layout, &problems) != STATUS_OK ||
        rule_set_parse(bytes_of_string(rules_text), layout, &rules, &problems) != STATUS_OK)
        abort();
    document_free(allow);
    const struct pipeline_settings settings = {.layout = layout,
                                               .limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL,
                                               .keeps_items = true};
    pipeline = pipeline_new(&settings);
    pipeline_use_rules(pipeline, rules);
    return pipeline;
}

static void check_notification(struct bytes value)
{
    static struct buffer json;
    struct notification *notification = NULL;
    if (notification_decode(value, &notification) != STATUS_OK || notification->room_count == 0)
        abort();
    buffer_clear(&json);
    notification_to_json(notification, &json);
    if (json_validate(buffer_peek(&json), JSON_DEPTH_MAX, NULL) != STATUS_OK)
        abort();
    buffer_clear(&json);
    notification_argument_to_json(notification, &json);
    if (json_validate(buffer_peek(&json), JSON_DEPTH_MAX, NULL) != STATUS_OK ||
        notification_event(notification).size == 0)
        abort();
    notification_free(notification);
}

/* It says what the lane's record before it says, and whose rooms these are. */
static void check_item(const struct output *output, const struct output *lane)
{
    struct bytes scope;
    if (lane->kind != OUTPUT_NOTIFICATION || !bytes_equal(output->value, lane->value) ||
        output->partition != lane->partition || !notification_state_scope(output->key, &scope) ||
        !bytes_start_with(lane->key, scope))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct batch batch;
    struct decision decision;
    if (size == 0)
        return 0;
    size_t set = data[0] % (sizeof(header_counts) / sizeof(header_counts[0]));
    const struct record record = {.topic = BYTES_LITERAL("tasks.events"),
                                  .timestamp_ms = 1772438516419,
                                  .value = bytes_of(data + 1, size - 1),
                                  .has_value = true,
                                  .headers = header_sets[set],
                                  .header_count = header_counts[set]};
    batch_reset(&batch);
    pipeline_process(open_pipeline(), NULL, &record, &batch, &decision);
    batch_supersede_items(&batch, 1);
    for (size_t i = 0; i < batch.output_count; i++) {
        const struct output *output = &batch.outputs[i];
        if (output->kind == OUTPUT_NOTIFICATION) {
            if (decision.dead)
                abort();
            check_notification(output->value);
        }
        if (output->kind == OUTPUT_ITEM)
            check_item(output, &batch.outputs[i - 1]);
        if (output->kind == OUTPUT_AUDIT && json_validate(output->value, 10, NULL) != STATUS_OK)
            abort();
    }
    return 0;
}
