/* Batches of CloudEvents: one record, many events. */
#include "event_batch.h"

#include <stdio.h>

#include "dead_letter.h"
#include "pipeline_fixture.h"

#define BATCH "application/cloudevents-batch+json"
#define CLOUD(id, task)                                                                   \
    "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"s\",\"type\":\"task.done\"," \
    "\"subject\":\"" task "\",\"tenantid\":\"acme\",\"data\":{\"n\":1.50}}"

static const char rules[] =
    "rules: [{name: r, when: {event: [task.done]}, rooms: ['task:{taskId}']}]";

enum { EVENTS_MOST = 4, BYTES_MOST = 5000 };

/* What came of a record: a word for each of its events, " 1:task" or " 1!reason". `of_topic`: its topic's content
 * type, "" for none. */
static const char *feed_of_topic(struct fixture *fixture, const char *of_topic, const char *type,
                                 const char *value)
{
    static char words[4096];
    static const struct event_batch_limits limits = {BYTES_MOST, EVENTS_MOST};
    const struct record_header headers[] = {{BYTES_LITERAL("Content-Type"), bytes_of_string(type)},
                                            {BYTES_LITERAL("traceparent"), BYTES_LITERAL("00-t")}};
    const struct record record = {.topic = BYTES_LITERAL("tasks.events"),
                                  .partition = 3,
                                  .offset = fixture->offset++,
                                  .timestamp_ms = 1772438516419,
                                  .key = BYTES_LITERAL("k"),
                                  .has_key = true,
                                  .value = bytes_of_string(value),
                                  .has_value = true,
                                  .headers = headers,
                                  .header_count = 2,
                                  .content_type = bytes_of_string(of_topic)};
    struct event_batch events;
    size_t size = 0;
    words[0] = 0;
    batch_reset(&fixture->batch);
    event_batch_open(&events, &record, &limits, &fixture->batch.arena);
    while (event_batch_next(&events)) {
        struct notification *notification = NULL;
        pipeline_process(fixture->pipeline, fixture->state, &events.event, &fixture->batch,
                         &fixture->decision);
        const struct decision *decision = &fixture->decision;
        const char *sign = decision->dead        ? dead_reason_name(decision->reason)
                           : decision->duplicate ? "duplicate"
                           : decision->tombstone ? "none"
                                                 : NULL;
        if (!sign) {
            ck_assert_int_eq(
                notification_decode(fixture->batch.outputs[fixture->batch.output_count - 1].value,
                                    &notification),
                STATUS_OK);
            sign = (const char *)notification->rooms[0].data;
        }
        size += (size_t)snprintf(
            words + size, sizeof(words) - size, " %u%c%.*s", events.event.part,
            notification ? ':' : '!',
            notification ? (int)notification->rooms[0].size : (int)strlen(sign), sign);
        notification_free(notification);
    }
    return words;
}

static const char *feed(struct fixture *fixture, const char *type, const char *value)
{
    return feed_of_topic(fixture, "", type, value);
}

START_TEST(a_topic_of_batches)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    ck_assert_str_eq(
        feed_of_topic(&fixture, BATCH, "text/plain", "[" CLOUD("1", "a") "," CLOUD("2", "b") "]"),
        " 1:task:a 2:task:b");
    ck_assert_str_eq(feed_of_topic(&fixture, BATCH, "text/plain", CLOUD("3", "c")), " 0:task:c");
    ck_assert_str_eq(feed_of_topic(&fixture, BATCH, BATCH, "7"), " 0!malformed");
    ck_assert_str_eq(feed_of_topic(&fixture, "application/json", BATCH, "[" CLOUD("4", "d") "]"),
                     " 0!malformed");
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_record_that_is_no_batch_is_one_event)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    ck_assert_str_eq(feed(&fixture, "application/cloudevents+json", CLOUD("1", "a")), " 0:task:a");
    ck_assert_str_eq(feed(&fixture, "application/json", "[]"), " 0!malformed");
    ck_assert_str_eq(feed(&fixture, BATCH "; charset=latin1", "[]"), " 0!unsupported");
    fixture_close(&fixture);
}
END_TEST

START_TEST(each_event_of_a_batch_is_judged_in_order)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    ck_assert_str_eq(feed(&fixture, BATCH "; charset=UTF-8",
                          " [" CLOUD("1", "a") ",\n" CLOUD("2", "b") "," CLOUD("3", "a") "] "),
                     " 1:task:a 2:task:b 3:task:a");
    ck_assert_uint_eq(fixture.batch.output_count, 3);
    ck_assert_uint_eq(fixture.batch.counts.records, 3);
    ck_assert_uint_eq(fixture.batch.counts.formats[EVENT_CLOUD_BATCH], 3);
    for (size_t i = 0; i < 3; i++) {
        auto_buffer struct buffer json = {0};
        char id[32];
        snprintf(id, sizeof(id), "\"eventId\":\"%zu\"", i + 1);
        ASSERT_HAS(fixture_json(&fixture, i, &json), id);
        ASSERT_HAS(fixture_json(&fixture, i, &json), "\"data\":{\"n\":1.50}");
        ck_assert(
            bytes_equal_string(fixture_header(&fixture.batch.outputs[i], "traceparent"), "00-t"));
    }
    /* Behind Confluent's frame, and under the type without a suffix. */
    ck_assert_str_eq(feed(&fixture, "application/cloudevents-batch", "\x01ssssssssssssssss[]"),
                     " 0!none");
    fixture_close(&fixture);
}
END_TEST

/* What is wrong with one is no harm to the others: its letter is a record that holds it alone. */
START_TEST(one_that_cannot_be_processed_is_a_dead_letter_by_itself)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    ck_assert_str_eq(feed(&fixture, BATCH,
                          "[" CLOUD("1", "a") ",{\"specversion\":\"1.0\"} ,5," CLOUD("4", "b") "]"),
                     " 1:task:a 2!malformed 3!malformed 4:task:b");
    ck_assert_uint_eq(fixture.batch.output_count, 4);
    const struct output *letter = &fixture.batch.outputs[1];
    ck_assert_int_eq(letter->kind, OUTPUT_DEAD_LETTER);
    ck_assert(bytes_equal_string(letter->value, "{\"specversion\":\"1.0\"}"));
    ck_assert(bytes_equal_string(letter->key, "k"));
    ck_assert(
        bytes_equal_string(fixture_header(letter, "content-type"), "application/cloudevents+json"));
    ck_assert_uint_eq(fixture_header(letter, "Content-Type").size, 0);
    ck_assert(bytes_equal_string(fixture_header(letter, DEAD_LETTER_HEADER_PART), "2"));
    ck_assert(bytes_equal_string(fixture_header(letter, DEAD_LETTER_HEADER_OFFSET), "0"));
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_batch_that_is_none_is_one_dead_letter_of_the_whole_record)
{
    static const struct {
        const char *value;
        const char *expected;
    } cases[] = {{"", " 0!malformed"},
                 {"{}", " 0!malformed"},
                 {"[", " 0!malformed"},
                 {"[1,]", " 0!malformed"},
                 {"[" CLOUD("1", "a") "", " 0!malformed"},
                 {"[] []", " 0!malformed"},
                 {"[1,2,3,4,5]", " 0!limit"},
                 {"[]", " 0!none"}};
    struct fixture fixture;
    fixture_open(&fixture, rules);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_str_eq(feed(&fixture, BATCH, cases[i].value), cases[i].expected);
        if (!fixture.decision.dead)
            continue;
        ck_assert_uint_eq(fixture.batch.output_count, 1);
        ck_assert(bytes_equal_string(fixture.batch.outputs[0].value, cases[i].value));
        ck_assert(
            bytes_equal_string(fixture_header(&fixture.batch.outputs[0], "Content-Type"), BATCH));
    }
    ck_assert_uint_eq(fixture.batch.counts.tombstones, 1);
    auto_buffer struct buffer large = {0};
    buffer_append_format(&large, "[%0*d]%c", BYTES_MOST, 0, 0);
    const struct pipeline_settings settings = {
        .limits = {.event_bytes = BYTES_MOST, .notification_bytes = 9000},
        .dead_letter_topic = "d"};
    fixture_close(&fixture);
    fixture_open_with(&fixture, rules, &settings);
    ck_assert_str_eq(feed(&fixture, BATCH, (const char *)buffer_peek(&large).data), " 0!too-large");
    fixture_close(&fixture);
}
END_TEST

/* Twice in a batch, and the batch twice. */
START_TEST(an_event_of_a_batch_is_known_by_its_id)
{
    const struct partition_state_settings state = {.dedupe_window_ms = 600000,
                                                   .dedupe_entries = 100,
                                                   .review_window_ms = 1000,
                                                   .review_tasks = 10,
                                                   .reviews_per_task = 1};
    struct fixture fixture;
    fixture_open(&fixture, rules);
    fixture.state = partition_state_new(&state, 0);
    static const char batch[] = "[" CLOUD("1", "a") "," CLOUD("2", "b") "," CLOUD("1", "c") "]";
    ck_assert_str_eq(feed(&fixture, BATCH, batch), " 1:task:a 2:task:b 3!duplicate");
    ck_assert_str_eq(feed(&fixture, BATCH, batch), " 1!duplicate 2!duplicate 3!duplicate");
    ck_assert_str_eq(feed(&fixture, "application/cloudevents+json", CLOUD("2", "b")),
                     " 0!duplicate");
    fixture_close(&fixture);
}
END_TEST

/* Or two events would have one id, and so would their notifications. */
START_TEST(events_without_an_id_are_known_by_their_places)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    fixture_open(&fixture, rules);
    feed(&fixture, BATCH, "[" CLOUD("", "a") "," CLOUD("", "a") "]");
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"eventId\":\"tasks.events-3-0-1\"");
    ASSERT_HAS(fixture_json(&fixture, 1, &json), "\"eventId\":\"tasks.events-3-0-2\"");
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("event_batch", a_topic_of_batches, a_record_that_is_no_batch_is_one_event,
             each_event_of_a_batch_is_judged_in_order,
             one_that_cannot_be_processed_is_a_dead_letter_by_itself,
             a_batch_that_is_none_is_one_dead_letter_of_the_whole_record,
             an_event_of_a_batch_is_known_by_its_id, events_without_an_id_are_known_by_their_places)
