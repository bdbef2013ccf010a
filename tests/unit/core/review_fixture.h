/* Reviews under test: an event leads to a record for the log, which whoever has its home reads. */
#ifndef TESTS_UNIT_CORE_REVIEW_FIXTURE_H
#define TESTS_UNIT_CORE_REVIEW_FIXTURE_H

#include <stdio.h>

#include "pipeline_fixture.h"

#define RULES                                                                                    \
    "rules:\n"                                                                                   \
    "  - name: doubt\n"                                                                          \
    "    when: {event: [task.completed]}\n"                                                      \
    "    review: {queue: '{data.queue}', reason: '{data.why|doubt}', title: 'Look at {taskId}'," \
    " priority: high, decisions: [approve, reject, edit]}\n"

static const struct pipeline_settings review_settings = {
    .limits = PIPELINE_LIMITS_DEFAULT,
    .dead_letter_topic = "tasks.dead-letter",
    .audit_topic = "tasks.audit",
    .review_closed_by = (const char *const[]){"review.completed"},
    .review_closed_by_count = 1,
    .review_log = "reviews.log",
    .review_log_partitions = 8,
    .review_decisions_topic = "reviews.decisions",
    .keeps_items = true};

static const struct partition_state_settings remembers = {
    .review_window_ms = 1000000, .review_tasks = 2, .reviews_per_task = 2};

/* The input's partition is in fixture.state; the log's is here. */
static struct partition_state *home;
static struct fixture fixture;

static inline void start_with(const char *rules, const struct review_times *times)
{
    struct pipeline_settings settings = review_settings;
    settings.review_times = *times;
    fixture_open_with(&fixture, rules, &settings);
    fixture.state = partition_state_new(&remembers, 1);
    home = partition_state_new(&remembers, 2);
}

static inline void start(void)
{
    start_with(RULES, &(struct review_times){0});
}

static inline void finish(void)
{
    partition_state_free(home);
    fixture_close(&fixture);
}

static const char *event(const char *name, const char *task, const char *data)
{
    static char text[6000];
    int size = snprintf(text, sizeof(text),
                        "{\"event\":\"%s\",\"id\":\"%u\",\"taskId\":\"%s\",\"tenantId\":\"acme\","
                        "\"userId\":\"owner\",\"data\":%s}",
                        name, (unsigned)fixture.offset, task, data);
    ck_assert_int_lt(size, (int)sizeof(text));
    return text;
}

/* A record for the log that the last event has led to, which outlives its batch. */
struct kept {
    struct record record;
    struct record_header headers[12];
    char texts[13][600];
    char value[5000];
};

static inline struct bytes keep_text(char *place, size_t size, struct bytes text)
{
    ck_assert_uint_lt(text.size, size);
    memcpy(place, text.data, text.size);
    return bytes_of(place, text.size);
}

static inline size_t keep_openings(struct kept *kept, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture.batch.output_count; i++) {
        const struct output *output = &fixture.batch.outputs[i];
        if (output->kind != OUTPUT_REVIEW)
            continue;
        ck_assert_str_eq(output->topic, "reviews.log");
        ck_assert_int_eq(output->partition_count, 8);
        ck_assert_uint_lt(count, most);
        struct kept *one = &kept[count++];
        one->record = (struct record){.has_key = true, .has_value = true, .headers = one->headers};
        one->record.key = keep_text(one->texts[12], sizeof(one->texts[12]), output->key);
        one->record.value = keep_text(one->value, sizeof(one->value), output->value);
        one->record.header_count = output->header_count;
        for (size_t k = 0; k < output->header_count; k++) {
            one->headers[k].name = output->headers[k].name; /* static */
            one->headers[k].value =
                keep_text(one->texts[k], sizeof(one->texts[k]), output->headers[k].value);
        }
    }
    return count;
}

/* The owner of the log's partition reads it. */
static inline void feed_log(const struct record *given)
{
    struct record record = *given;
    record.topic = BYTES_LITERAL("reviews.log");
    record.partition = 5;
    record.offset = fixture.offset++;
    record.timestamp_ms = 1772438516419 + fixture.later_ms;
    batch_reset(&fixture.batch);
    pipeline_process(fixture.pipeline, home, &record, &fixture.batch, &fixture.decision);
}

static inline void feed_command(const char *type, const char *actor, const char *room,
                                const char *json)
{
    const struct record_header headers[] = {
        {BYTES_LITERAL("ce_type"), bytes_of_string(type)},
        {BYTES_LITERAL("ce_id"), BYTES_LITERAL("command-1")},
        {BYTES_LITERAL("ce_source"), BYTES_LITERAL("client/acme/x")},
        {BYTES_LITERAL("ce_tenantid"), BYTES_LITERAL("acme")},
        {BYTES_LITERAL("ce_userid"), bytes_of_string(actor)},
        {BYTES_LITERAL("ce_room"), bytes_of_string(room)},
    };
    const struct record record = {.has_value = true,
                                  .value = bytes_of_string(json),
                                  .headers = headers,
                                  .header_count = sizeof(headers) / sizeof(headers[0])};
    feed_log(&record);
}

static inline uint64_t counted(enum review_outcome outcome)
{
    return fixture.batch.counts.review_records[outcome];
}

/* Opens a review of this task; `id` is its name. */
static inline void open_one(const char *task, const char *queue, char id[REVIEW_ID_SIZE + 1])
{
    static struct kept opening;
    auto_buffer struct buffer json = {0};
    char data[100];
    snprintf(data, sizeof(data), "{\"queue\":\"%s\"}", queue);
    fixture_feed(&fixture, event("task.completed", task, data));
    ck_assert_uint_eq(keep_openings(&opening, 1), 1);
    snprintf(id, REVIEW_ID_SIZE + 1, "%.*s", BYTES_PRINT(opening.headers[2].value));
    ASSERT_HAS(fixture_json(&fixture, 0, &json), id); /* the alert names it */
    feed_log(&opening.record);
}

#endif
