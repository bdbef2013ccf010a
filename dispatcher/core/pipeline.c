/* One record from its bytes to its outputs.
 *
 *     record -> JSON text -> which rules match -> fields -> seen before? -> rules that are asked
 *              (event.c)    (matcher)            (field_set)  (state)          |
 *     audit <- state <- notifications <- drafts <------------------------------+
 *    (audit.c)         (draft.c)
 *
 * Each step may end it: as a tombstone, a duplicate, or a dead letter. A dead letter takes back the
 * outputs of its record, and nothing of it is remembered, so that it may come again when it is
 * repaired. Therefore the state is asked first and told last.
 *
 * Invariant: what comes out depends on the record, the rules, the settings and the state alone.
 * Everything that the pipeline keeps between records (buffers, tables, the seed of their hashes)
 * is memory and not knowledge, or a batch that is done again after an abort would come out
 * differently. */
#include <assert.h>
#include <stdlib.h>

#include "event_keys.h"
#include "mem.h"
#include "pipeline_private.h"

/* The matcher gets a larger limit than the record: an event that was protobuf or a CloudEvent
 * grows when it becomes JSON, and it was measured as a record already. */
struct matcher_limits pipeline_matcher_limits(const struct pipeline_limits *limits)
{
    return (struct matcher_limits){
        .event_size_max = limits->event_bytes + limits->event_bytes / 2 + 1024,
        .event_depth_max = FIELD_DEPTH_LIMIT,
        .values_max = limits->values,
        .steps_max = limits->steps,
    };
}

struct pipeline *pipeline_new(const struct pipeline_settings *settings)
{
    struct pipeline *pipeline = mem_new(struct pipeline);
    struct matcher_limits limits = pipeline_matcher_limits(&settings->limits);
    assert(settings->limits.hops <= PIPELINE_HOPS_MAX);
    assert(!settings->review_log ||
           (settings->review_decisions_topic && settings->review_log_partitions > 0));
    pipeline->settings = *settings;
    pipeline->keeps_reviews = settings->review_log != NULL;
    pipeline->scratch = matcher_scratch_new(&limits);
    pipeline->fingerprinter = fingerprinter_new();
    pipeline->drafts.seed = settings->hash_seed;
    pipeline->rooms.seed = settings->hash_seed;
    pipeline->lanes.seed = settings->hash_seed;
    pipeline->keys.seed = settings->hash_seed;
    return pipeline;
}

/* The rules are not the pipeline's: whoever gave them frees them. */
void pipeline_free(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    matcher_scratch_free(pipeline->scratch);
    fingerprinter_free(pipeline->fingerprinter);
    field_values_deinit(&pipeline->values);
    lookup_deinit(&pipeline->drafts);
    lookup_deinit(&pipeline->rooms);
    lookup_deinit(&pipeline->lanes);
    lookup_deinit(&pipeline->keys);
    buffer_deinit(&pipeline->last_keys);
    buffer_deinit(&pipeline->event_text);
    buffer_deinit(&pipeline->text);
    free(pipeline);
}

void pipeline_use_rules(struct pipeline *pipeline, const struct rule_set *rules)
{
    pipeline->rules = rules;
    pipeline->asks_one = false;
}

void pipeline_judge_only(struct pipeline *pipeline)
{
    pipeline->judges_only = true;
}

void pipeline_ask_only(struct pipeline *pipeline, unsigned rule)
{
    assert(pipeline->rules && rule < rule_set_count(pipeline->rules));
    pipeline->asks_one = true;
    pipeline->only = rule;
}

const struct rule_set *pipeline_rules(const struct pipeline *pipeline)
{
    return pipeline->rules;
}

/* How often dispatchers have handled what led to this record: an event that rules send round in a
 * circle ends as a dead letter instead of going on for ever. */
static unsigned hops_of(const struct record *record)
{
    struct bytes value;
    if (!record_find_header(record, NOTIFICATION_HEADER_HOPS, &value) || value.size == 0)
        return 0;
    unsigned hops = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9' || hops > 9)
            return 9; /* not ours, but somebody counts */
        hops = hops * 10 + (value.data[i] - '0');
    }
    assert(hops <= 99);
    return hops;
}

/* The rules that are asked for this event, in the order of the file: those whose patterns matched,
 * as long as none of them says stop, and as far as they sample it. */
static void select_rules(struct job *job, const struct matcher_result *result)
{
    struct pipeline *pipeline = job->pipeline;
    struct decision *decision = job->decision;
    uint32_t *selected = arena_raw(&job->batch->arena, result->count * sizeof(uint32_t));
    assert(job->event_id.size > 0 && job->values);
    decision->rules = selected;
    for (size_t i = 0; i < result->count; i++) {
        assert(i == 0 || result->rules[i - 1] < result->rules[i]);
        unsigned index = rule_set_rule_of(pipeline->rules, result->rules[i]);
        const struct rule *rule = rule_set_at(pipeline->rules, index);
        struct bytes subject = job->event_id;
        if (pipeline->asks_one && index != pipeline->only)
            continue;
        if (rule->sampled && rule->sample_by) {
            buffer_clear(&pipeline->text);
            (void)template_render(rule->sample_by, job->values, &pipeline->text);
            subject = buffer_peek(&pipeline->text);
        }
        /* A rule that does not sample the event does not stop it either: for this event it is
         * not there. */
        if (!pipeline->asks_one && !rule_samples(rule, subject))
            continue;
        selected[decision->rule_count++] = index;
        batch_add_match(job->batch, index);
        if (rule->stop)
            break;
    }
}

/* The event's own id; without one, where it came from. */
static bool read_event_id(struct job *job)
{
    struct bytes id = job_text(job, EVENT_FIELD_ID);
    if (id.size > EVENT_ID_LIMIT) {
        job_make_dead_letter(job, DEAD_LIMIT, "the event's id is longer than 512 bytes");
        return false;
    }
    job->event_id = id.size > 0 ? arena_copy(&job->batch->arena, id) : job_origin(job);
    job->decision->event_id = job->event_id;
    job->has_own_id = id.size > 0;
    return true;
}

/* Of tenant, source and id: what makes two events one. A source that is not a text does not count.
 * Sources count by themselves: of two tenants they may be the same. */
static struct fingerprint event_fingerprint(struct job *job)
{
    bool has_source = job->values[EVENT_FIELD_SOURCE].kind == JSON_STRING;
    const struct bytes parts[] = {
        job->owner.tenant, has_source ? job_text(job, EVENT_FIELD_SOURCE) : bytes_of(NULL, 0),
        job->event_id};
    assert(job->event_id.size > 0);
    return fingerprint_of(job->pipeline->fingerprinter, parts, 3);
}

/* Only an id of its own tells that an event comes again: one made from a place is of one record,
 * and that is read again only when nothing of it was committed. */
static bool is_duplicate(struct job *job)
{
    assert(!job->decision->dead);
    if (!job->state || !job->has_own_id ||
        !partition_state_has_seen(job->state, event_fingerprint(job), job->recorded_ms))
        return false;
    job->decision->duplicate = true;
    job->batch->counts.duplicates++;
    return true;
}

/* Only what was processed: a dead letter may come again, repaired or under other rules. */
static void remember_event(struct job *job)
{
    assert(job->event_id.size > 0);
    if (!job->state || job->decision->dead)
        return;
    if (job->has_own_id)
        partition_state_note(job->state, event_fingerprint(job), job->recorded_ms);
    review_remember(job);
    draft_remember_orders(job);
}

/* From here on rules act. The rule at hand is kept in `blamed`, so that a dead letter names the
 * rule that an operator has to look at; once all rules are through, nobody is to blame but a
 * notification's own rules. */
static void notify(struct job *job)
{
    const struct decision *decision = job->decision;
    assert(!decision->dead && !job->drafts);
    job_read_time(job);
    job_read_progress(job);
    job_read_trace(job);
    for (size_t i = 0; i < decision->rule_count; i++) {
        const struct rule *rule = rule_set_at(job->pipeline->rules, decision->rules[i]);
        job->rule = decision->rules[i];
        job->blamed = rule->name;
        switch (draft_apply(job, rule)) {
        case DRAFT_DONE:
            job->blamed = bytes_of(NULL, 0);
            break;
        case DRAFT_FIELD_MISSING:
            job_make_dead_letter_format(
                job, DEAD_FIELD_MISSING, "rule %.*s needs %.*s, which the event does not have",
                BYTES_PRINT(rule->name), BYTES_PRINT(draft_missing_field(job, rule)));
            return;
        case DRAFT_TOO_MANY_ROOMS:
            job_make_dead_letter_format(
                job, DEAD_LIMIT,
                "more than %u rooms (dispatcher.limits.rooms_per_event), at rule %.*s",
                job->pipeline->settings.limits.rooms_per_event, BYTES_PRINT(rule->name));
            return;
        case DRAFT_LIST_TOO_LONG:
            job_make_dead_letter_format(job, DEAD_LIMIT,
                                        "rooms of a list with more than %u elements "
                                        "(dispatcher.limits.rooms_per_list), at rule %.*s",
                                        job->pipeline->settings.limits.rooms_per_list,
                                        BYTES_PRINT(rule->name));
            return;
        case DRAFT_TOO_LARGE:
            job_make_size_letter(job, rule->name);
            return;
        }
    }
    review_check(job);
    const struct draft *large = draft_finish(job);
    if (!large)
        return;
    job->blamed = large->rules->name;
    job_make_size_letter(job, large->rules->name);
}

/* All that is wrong with the text itself is found here, by the only pass that reads every byte
 * of it. */
static bool match_rules(struct job *job, struct bytes json, struct matcher_result *result)
{
    struct pipeline *pipeline = job->pipeline;
    struct matcher_error error;
    enum status status =
        matcher_match(rule_set_matcher(pipeline->rules), pipeline->scratch, json, result, &error);
    if (status == STATUS_OK)
        return true;
    if (error.limit != MATCHER_LIMIT_NONE)
        job_make_limit_letter(job, &error);
    else
        job_make_dead_letter_format(job, dead_reason_of(status), "%s at byte %zu", error.problem,
                                    error.offset);
    return false;
}

/* Members that say who or what an event is about. */
static const struct {
    enum event_field field;
    const char *name;
} identities[] = {
    {EVENT_FIELD_ID, "id"},           {EVENT_FIELD_SOURCE, "source"},
    {EVENT_FIELD_TENANT, "tenantId"}, {EVENT_FIELD_PROJECT, "projectId"},
    {EVENT_FIELD_USER, "userId"},     {EVENT_FIELD_TASK, "taskId"},
};
enum { IDENTITY_COUNT = sizeof(identities) / sizeof(identities[0]) };

/* Which rules match, and the values of the fields. */
static bool read_once(struct job *job, struct bytes json, struct matcher_result *result)
{
    assert(!job->decision->dead);
    struct pipeline *pipeline = job->pipeline;
    job->decision->judged = json;
    if (!match_rules(job, json, result))
        return false;
    if (field_set_extract(rule_set_fields(pipeline->rules), json, &pipeline->values) != STATUS_OK) {
        job_make_dead_letter(job, DEAD_MALFORMED, "not one valid JSON object");
        return false;
    }
    job->values = pipeline->values.items;
    return true;
}

/* An event that has a key twice is read again without what the last one replaces. */
static bool read_event_fields(struct job *job, struct bytes json, struct matcher_result *result)
{
    struct pipeline *pipeline = job->pipeline;
    const char *names[IDENTITY_COUNT + 1] = {NULL};
    struct error error = {0};
    if (!read_once(job, json, result))
        return false;
    if (!result->repeats_keys && !pipeline->values.repeats_keys)
        return true;
    for (size_t i = 0; i < IDENTITY_COUNT; i++)
        names[i] = identities[i].name;
    buffer_clear(&pipeline->last_keys);
    enum status status =
        event_keep_last_keys(json, names, &pipeline->keys, &pipeline->last_keys, &error);
    if (status != STATUS_OK) {
        job_make_dead_letter(job, dead_reason_of(status), error.text);
        return false;
    }
    if (!read_once(job, buffer_peek(&pipeline->last_keys), result))
        return false;
    assert(!result->repeats_keys && !pipeline->values.repeats_keys);
    return true;
}

/* Texts that no client takes would be replaced, so that different ones become the same name. */
static bool check_event_names(struct job *job)
{
    assert(job->values);
    struct buffer *text = &job->pipeline->text;
    for (size_t i = 0; i < IDENTITY_COUNT; i++) {
        const struct field_value *value = &job->values[identities[i].field];
        bool unfit = false;
        if (value->kind != JSON_STRING || !value->escaped)
            continue;
        buffer_clear(text);
        if (field_value_text(value, text, &unfit) && unfit) {
            job_make_dead_letter_format(job, DEAD_MALFORMED,
                                        "%s holds U+0000 or half a surrogate pair",
                                        identities[i].name);
            return false;
        }
    }
    return true;
}

static void process_record(struct job *job)
{
    assert(!job->decision->dead && !job->values);
    struct pipeline *pipeline = job->pipeline;
    const struct pipeline_limits *limits = &pipeline->settings.limits;
    const struct record *record = job->record;
    struct bytes json;
    enum event_format format;
    struct error error = {0};
    struct matcher_result result;

    if (event_is_tombstone(record)) {
        job->batch->counts.tombstones++;
        job->decision->tombstone = true;
        job->decision->event_id = job_origin(job);
        return;
    }
    /* Cheap refusals first: a record that is too large, or goes in circles, is not even looked
     * into. */
    if (record->value.size > limits->event_bytes) {
        job_make_dead_letter_format(
            job, DEAD_TOO_LARGE,
            "the record has %zu bytes, the limit is %zu (dispatcher.limits.event_size)",
            record->value.size, limits->event_bytes);
        return;
    }
    if (record->fault) {
        job_make_dead_letter(job, dead_reason_of(record->fault->status), record->fault->text);
        return;
    }
    job->hops = hops_of(record);
    if (job->hops > limits->hops) {
        job_make_dead_letter_format(
            job, DEAD_LOOP,
            "it has been through dispatchers %u times, the limit is %u (dispatcher.limits.hops)",
            job->hops, limits->hops);
        return;
    }
    enum status status = event_canonical(record, &pipeline->event_text, &json, &format, &error);
    if (status != STATUS_OK) {
        job_make_dead_letter(job, dead_reason_of(status), error.text);
        return;
    }
    job->batch->counts.formats[record->part > 0 ? EVENT_CLOUD_BATCH : format]++;
    if (!read_event_fields(job, json, &result) || !check_event_names(job))
        return;
    job->owner.tenant = job_text(job, EVENT_FIELD_TENANT);
    job->owner.user = job_text(job, EVENT_FIELD_USER);
    job->task_id = job_text(job, EVENT_FIELD_TASK);
    /* A duplicate is known by its id and owner alone: rules may have changed since it was first
     * seen, and it must not be judged by both. */
    if (!read_event_id(job) || is_duplicate(job))
        return;
    select_rules(job, &result);
    if (pipeline->judges_only)
        return;
    if (job->decision->rule_count > 0) {
        job->batch->counts.matched++;
        notify(job);
    }
    remember_event(job);
}

/* One producer's clock that is a year ahead would make all that is remembered old, and keep what it
 * told for a year. */
static int64_t recorded_time(const struct pipeline *pipeline, const struct record *record)
{
    bool is_ahead = pipeline->now_ms > 0 && record->timestamp_ms > pipeline->now_ms;
    return is_ahead ? pipeline->now_ms : record->timestamp_ms;
}

static bool is_of_review_log(const struct pipeline *pipeline, const struct record *record)
{
    return pipeline->settings.review_log &&
           bytes_equal_string(record->topic, pipeline->settings.review_log);
}

/* The audit comes last and always: it tells of dead letters too. (The log of reviews is its own
 * audit, but for what rules make of it.) */
void pipeline_process(struct pipeline *pipeline, struct partition_state *state,
                      const struct record *record, struct batch *batch, struct decision *decision)
{
    assert(pipeline->rules);
    *decision = (struct decision){.first_output = batch->output_count};
    struct job job = {
        .pipeline = pipeline,
        .state = state,
        .record = record,
        .recorded_ms = recorded_time(pipeline, record),
        .batch = batch,
        .decision = decision,
        .counts_before = batch->counts,
    };
    job.published_end = &job.published;
    job.drafts_end = &job.drafts;
    job.skipped_end = &decision->skipped;
    lookup_clear(&pipeline->drafts);
    lookup_clear(&pipeline->rooms);
    lookup_clear(&pipeline->lanes);
    batch->counts.records++;
    if (is_of_review_log(pipeline, record)) {
        decision->event_id = job_origin(&job);
        if (!review_log_process(&job))
            return;
        decision->event_id = bytes_of(NULL, 0);
    }
    process_record(&job);
    audit_add(&job);
}

/* The batch that held the record's outputs was aborted and is done again with this letter in
 * their place. It has no audit: no decision took effect. */
void pipeline_reject(struct pipeline *pipeline, const struct record *record, const char *problem,
                     struct batch *batch)
{
    assert(pipeline->rules && problem);
    struct decision decision = {.first_output = batch->output_count};
    struct job job = {
        .pipeline = pipeline,
        .record = record,
        .batch = batch,
        .decision = &decision,
        .counts_before = batch->counts,
    };
    batch->counts.records++;
    if (is_of_review_log(pipeline, record))
        batch->counts.review_records[REVIEW_MALFORMED]++;
    else
        job_make_dead_letter(&job, DEAD_REJECTED, problem);
}

void pipeline_keep_reviews(struct pipeline *pipeline, bool keep)
{
    pipeline->keeps_reviews = keep && pipeline->settings.review_log;
}

void pipeline_set_time(struct pipeline *pipeline, int64_t now_ms)
{
    pipeline->now_ms = now_ms;
}

void pipeline_set_log_time(struct pipeline *pipeline, int64_t now_ms)
{
    pipeline->log_now_ms = now_ms;
}

void pipeline_keep_items(struct pipeline *pipeline, bool keep)
{
    pipeline->settings.keeps_items = keep;
}

struct keeper {
    const char *topic;
    int32_t partition;
    struct batch *batch;
};

/* Into the changelog's partition of the same number, so that whoever is assigned the input
 * partition knows where its state is. */
static void keep_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    const struct keeper *keeper = context;
    assert(keeper->partition >= 0);
    struct output *output = batch_add(keeper->batch);
    output->kind = OUTPUT_STATE;
    output->topic = keeper->topic;
    output->partition = keeper->partition;
    output->partition_count = keeper->partition + 1;
    output->key = arena_copy(&keeper->batch->arena, key);
    output->has_key = true;
    output->has_value = has_value;
    if (has_value)
        output->value = arena_copy(&keeper->batch->arena, value);
}

void pipeline_flush_state(struct partition_state *state, const char *topic, int32_t partition,
                          struct batch *batch)
{
    struct keeper keeper = {.topic = topic, .partition = partition, .batch = batch};
    partition_state_flush(state, keep_record, &keeper);
}
