/* Rules tried on events from a file, with nothing that is produced: for authors of rules and for
 * tests in their pipelines. The same pipeline judges as in production, so it cannot say anything
 * else; only nothing is remembered, and so there are no duplicates and no open reviews. The exception
 * is the order of items: with which one they were told by the lines before. */
#include "dry_run.h"

#include <assert.h>
#include <stdlib.h>

#include "json.h"
#include "mem.h"
#include "shadow.h"

enum { ITEMS_REMEMBERED = 100000 };

/* --- Decisions of many events --- */

/* Decoded from what would be produced and not taken from drafts: a person sees what a gateway
 * sees. */
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

/* {"rule": verdict, ...}: how those in shadow differ. */
static void append_findings(const struct batch *batch, const struct rule_set *rules,
                            struct buffer *line)
{
    buffer_append_byte(line, '{');
    for (size_t i = 0; i < batch->finding_count; i++) {
        if (i > 0)
            buffer_append_byte(line, ',');
        json_write_string(line,
                          rule_set_at(rule_set_shadows(rules), batch->findings[i].rule)->name);
        buffer_append_format(line, ":\"%s\"", shadow_verdict_name(batch->findings[i].verdict));
    }
    buffer_append_byte(line, '}');
}

/* Every line has every member, so that scripts need not ask for what is there. */
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
    buffer_append_string(line, ",\"shadow\":");
    append_findings(batch, rules, line);
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

static void forget_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    (void)context;
    (void)key;
    (void)value;
    (void)has_value;
}

/* Events have no time but their own: the output must be the same tomorrow. Empty lines are
 * passed over but counted, so that ids that are made from a place name the line. */
enum status dry_run(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules)
{
    const struct partition_state_settings remembers = {
        .reviews_per_task = 1, .order_window_ms = INT64_MAX, .order_items = ITEMS_REMEMBERED};
    struct pipeline *pipeline = pipeline_new(settings);
    struct shadow *shadow = shadow_new(settings, rules);
    struct partition_state *state = partition_state_new(&remembers, 0);
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
        pipeline_process(pipeline, state, &record, &batch, &decision);
        partition_state_flush(state, forget_record, NULL);
        partition_state_commit(state);
        shadow_judge(shadow, &record, &decision, &batch);
        append_decision(&decision, rules, &batch, &line);
        fwrite(line.data, 1, line.end, out);
    }
    free(text);
    batch_deinit(&batch);
    partition_state_free(state);
    shadow_free(shadow);
    pipeline_free(pipeline);
    return fflush(out) == 0 && !ferror(out) ? STATUS_OK : STATUS_IO;
}

/* --- One event, rule by rule --- */

/* One event may span lines here, as a person has it in an editor. */
static void read_input(FILE *in, struct buffer *text)
{
    size_t count;
    while ((count = fread(buffer_reserve(text, 65536), 1, 65536, in)) > 0)
        buffer_commit(text, count);
}

static bool was_asked(const struct decision *decision, unsigned index)
{
    for (size_t i = 0; i < decision->rule_count; i++)
        if (decision->rules[i] == index)
            return true;
    return false;
}

/* Why a rule whose pattern matches was not asked. */
static const char *why_not(const struct rule_set *rules, const struct decision *decision,
                           unsigned index)
{
    if (decision->rule_count == 0 && decision->dead)
        return "its pattern matches, but the event is a dead letter";
    for (size_t i = 0; i < decision->rule_count; i++)
        if (decision->rules[i] < index && rule_set_at(rules, decision->rules[i])->stop)
            return "its pattern matches, but an earlier rule stops";
    return "its pattern matches, but its sample leaves this event out";
}

/* Asks the matcher again, about the text that was judged and within the same limits, for what the
 * decision does not say: a rule that matched may not have been asked, since one before it stops or
 * it samples. */
static void explain_rule(const struct rule_set *rules, unsigned index,
                         const struct decision *decision, struct matcher_scratch *scratch,
                         FILE *out)
{
    const struct rule *rule = rule_set_at(rules, index);
    auto_buffer struct buffer line = {0};
    uint32_t number;
    if (!rule_set_number_of(rules, index, &number)) {
        buffer_append_string(&line, "not enabled");
    } else if (was_asked(decision, index)) {
        buffer_append_string(&line, "matches");
    } else {
        struct matcher_result result;
        bool matches = false;
        if (matcher_match(rule_set_matcher(rules), scratch, decision->judged, &result, NULL) ==
            STATUS_OK)
            for (size_t i = 0; i < result.count; i++)
                matches = matches || result.rules[i] == number;
        if (matches)
            buffer_append_string(&line, why_not(rules, decision, index));
        else if (matcher_explain(rule_set_matcher(rules), scratch, decision->judged, number, &line,
                                 NULL) != STATUS_OK)
            buffer_append_string(&line, "cannot be judged");
    }
    fprintf(out, "%.*s: %.*s\n", BYTES_PRINT(rule->name), BYTES_PRINT(buffer_peek(&line)));
}

/* How a rule in shadow differs; or what its pattern has to say about the event. */
static void explain_shadow(const struct rule_set *tried, unsigned index, const struct batch *batch,
                           const struct decision *decision, struct matcher_scratch *scratch,
                           FILE *out)
{
    auto_buffer struct buffer line = {0};
    uint32_t number;
    for (size_t i = 0; i < batch->finding_count && buffer_size(&line) == 0; i++)
        if (batch->findings[i].rule == index)
            buffer_append_string(&line, shadow_verdict_name(batch->findings[i].verdict));
    if (buffer_size(&line) == 0 && !rule_set_number_of(tried, index, &number)) {
        buffer_append_string(&line, "not enabled");
    } else if (buffer_size(&line) == 0) {
        buffer_append_string(&line, "not asked, or: ");
        if (matcher_explain(rule_set_matcher(tried), scratch, decision->judged, number, &line,
                            NULL) != STATUS_OK)
            buffer_append_string(&line, "cannot be judged");
    }
    fprintf(out, "%.*s: in shadow: %.*s\n", BYTES_PRINT(rule_set_at(tried, index)->name),
            BYTES_PRINT(buffer_peek(&line)));
}

static void explain_skipped(const struct rule_set *rules, const struct decision *decision,
                            FILE *out)
{
    size_t told = 0;
    for (const struct skipped_room *skipped = decision->skipped; skipped;
         skipped = skipped->next, told++)
        fprintf(out, "   %.*s: %.*s is left out, %s: %.*s\n",
                BYTES_PRINT(rule_set_at(rules, skipped->rule)->name), BYTES_PRINT(skipped->room),
                room_skip_name(skipped->reason), BYTES_PRINT(skipped->problem));
    if (decision->skipped_count > told)
        fprintf(out, "   and %zu more\n", decision->skipped_count - told);
}

static void explain_items(const struct batch *batch, FILE *out)
{
    for (size_t i = 0; i < batch->output_count; i++) {
        struct notification *notification = NULL;
        if (batch->outputs[i].kind != OUTPUT_NOTIFICATION)
            continue;
        enum status status = notification_decode(batch->outputs[i].value, &notification);
        assert(status == STATUS_OK);
        for (size_t k = 0; notification->item.key.size > 0 && k < notification->room_count; k++)
            fprintf(out, "   %.*s: item %.*s is %s\n", BYTES_PRINT(notification->rooms[k]),
                    BYTES_PRINT(notification->item.key),
                    notification->item.removed ? "removed" : "shown");
        notification_free(notification);
    }
}

/* The result tells a script whether the event would be processed; that no rule matches is no
 * failure. */
enum status explain(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules)
{
    auto_buffer struct buffer text = {0};
    struct batch batch = {0};
    struct decision decision;
    struct matcher_limits limits = pipeline_matcher_limits(&settings->limits);
    read_input(in, &text);
    const struct record record = {.topic = BYTES_LITERAL("stdin"),
                                  .timestamp_ms = -1,
                                  .value = buffer_peek(&text),
                                  .has_value = true};
    struct pipeline *pipeline = pipeline_new(settings);
    struct matcher_scratch *scratch = matcher_scratch_new(&limits);
    pipeline_use_rules(pipeline, rules);
    pipeline_process(pipeline, NULL, &record, &batch, &decision);
    for (unsigned i = 0; i < rule_set_count(rules); i++)
        explain_rule(rules, i, &decision, scratch, out);
    struct shadow *shadow = shadow_new(settings, rules);
    const struct rule_set *tried = rule_set_shadows(rules);
    shadow_judge(shadow, &record, &decision, &batch);
    for (unsigned i = 0; tried && i < rule_set_count(tried); i++)
        explain_shadow(tried, i, &batch, &decision, scratch, out);
    shadow_free(shadow);
    explain_skipped(rules, &decision, out);
    for (int i = 0; i < EVENT_REMARK_COUNT; i++)
        if (decision.remarks[i])
            fprintf(out, "   %s\n", decision.remarks[i]);
    explain_items(&batch, out);
    bool dead = decision.dead;
    if (dead)
        fprintf(out, "=> dead letter, %s: %s\n", dead_reason_name(decision.reason),
                decision.problem);
    else
        fprintf(out, "=> %zu rules match, %zu notifications\n", decision.rule_count,
                batch.output_count);
    matcher_scratch_free(scratch);
    pipeline_free(pipeline);
    batch_deinit(&batch);
    return dead ? STATUS_MALFORMED : STATUS_OK;
}
