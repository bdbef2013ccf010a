#include "dry_run.h"

#include <assert.h>
#include <stdlib.h>

#include "json.h"
#include "mem.h"

static void append_made(const struct batch *batch, size_t first, struct buffer *line)
{
    bool some = false;
    for (size_t i = first; i < batch->output_count; i++) {
        struct notification *notification = NULL;
        if (batch->outputs[i].kind != OUTPUT_NOTIFICATION)
            continue;
        enum status status = notification_decode(batch->outputs[i].value, &notification);
        assert(status == STATUS_OK);
        if (some)
            buffer_append_byte(line, ',');
        notification_to_json(notification, line);
        notification_free(notification);
        some = true;
    }
}

static void append_decision(const struct decision *decision, const struct rule_set *rules,
                            const struct batch *batch, struct buffer *line)
{
    buffer_append_string(line, "{\"id\":");
    json_write_string(line, decision->event_id);
    buffer_append_string(line, ",\"matched\":[");
    for (size_t i = 0; i < decision->rule_count; i++) {
        if (i > 0)
            buffer_append_byte(line, ',');
        json_write_string(line, rule_set_at(rules, decision->rules[i])->name);
    }
    buffer_append_string(line, "],\"notifications\":[");
    append_made(batch, decision->first_output, line);
    buffer_append_string(line, "],\"skipped\":");
    decision_skipped_json(decision, rules, line);
    buffer_append_string(line, ",\"remarks\":");
    decision_remarks_json(decision, line);
    buffer_append_string(line, ",\"error\":");
    if (decision->dead) {
        auto_buffer struct buffer text = {0};
        buffer_append_format(&text, "%s: %s", dead_reason_name(decision->reason),
                             decision->problem);
        json_write_string(line, buffer_peek(&text));
    } else {
        buffer_append_string(line, "null");
    }
    buffer_append_string(line, "}\n");
}

enum status dry_run(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules)
{
    struct pipeline *pipeline = pipeline_new(settings);
    struct batch batch = {0};
    auto_buffer struct buffer line = {0};
    char *text = NULL;
    size_t capacity = 0;
    ssize_t size;
    int64_t number = 0;
    pipeline_use_rules(pipeline, rules);
    while ((size = getline(&text, &capacity, in)) >= 0) {
        struct decision decision;
        struct record record = {.topic = BYTES_LITERAL("stdin"),
                                .offset = number++,
                                .timestamp_ms = -1,
                                .value = bytes_of(text, (size_t)size),
                                .has_value = true};
        while (record.value.size > 0 &&
               (text[record.value.size - 1] == '\n' || text[record.value.size - 1] == '\r'))
            record.value.size--;
        if (record.value.size == 0)
            continue;
        batch_reset(&batch);
        buffer_clear(&line);
        pipeline_process(pipeline, NULL, &record, &batch, &decision);
        append_decision(&decision, rules, &batch, &line);
        fwrite(line.data, 1, line.end, out);
    }
    free(text);
    batch_deinit(&batch);
    pipeline_free(pipeline);
    return fflush(out) == 0 && !ferror(out) ? STATUS_OK : STATUS_IO;
}
