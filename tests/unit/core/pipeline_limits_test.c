/* What is refused, and how much one event may cost. */
#include "dead_letter.h"
#include "pipeline_common.h"
#include "pipeline_private.h"

START_TEST(what_cannot_be_processed_becomes_a_dead_letter)
{
    static const struct record_header headers[] = {
        {BYTES_LITERAL("mine"), BYTES_LITERAL("kept")},
        {BYTES_LITERAL("dead-letter-reason"), BYTES_LITERAL("an old one")},
    };
    struct fixture fixture;
    fixture_open(&fixture, rules);
    struct record record = {.value = BYTES_LITERAL("{\"event\":"),
                            .has_value = true,
                            .key = BYTES_LITERAL("k"),
                            .has_key = true,
                            .headers = headers,
                            .header_count = 2};
    fixture_feed_record(&fixture, &record);
    ck_assert(fixture.decision.dead);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    const struct output *output = &fixture.batch.outputs[0];
    ck_assert_str_eq(output->topic, "tasks.dead-letter");
    ck_assert(bytes_equal(output->value, record.value));
    ck_assert(bytes_equal(output->key, record.key));
    ck_assert(bytes_equal_string(fixture_header(output, "mine"), "kept"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_REASON), "malformed"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_TOPIC), "tasks.events"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_PARTITION), "3"));
    ck_assert(bytes_equal_string(fixture_header(output, DEAD_LETTER_HEADER_OFFSET), "0"));
    ck_assert_uint_eq(fixture_header(output, DEAD_LETTER_HEADER_RULES).size, 16);
    ck_assert_uint_gt(fixture_header(output, DEAD_LETTER_HEADER_PROBLEM).size, 0);
    fixture_close(&fixture);
}
END_TEST

START_TEST(malformed_events_are_dead_letters)
{
    static const char *const texts[] = {
        "", "1", "[]", "{\"a\":1}x", "{\"a\":\"\xff\"}", "{\"a\":01}", "{'a':1}"};
    struct fixture fixture;
    fixture_open(&fixture, rules);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fixture_feed(&fixture, texts[i]);
        ck_assert_msg(fixture.decision.dead && fixture.decision.reason == DEAD_MALFORMED, "%s",
                      texts[i]);
    }
    auto_buffer struct buffer deep = {0};
    for (int i = 0; i < 101; i++)
        buffer_append_string(&deep, "{\"a\":");
    buffer_append_byte(&deep, '1');
    for (int i = 0; i < 101; i++)
        buffer_append_byte(&deep, '}');
    buffer_append_byte(&deep, 0);
    fixture_feed(&fixture, (const char *)buffer_peek(&deep).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    fixture_close(&fixture);
}
END_TEST

START_TEST(limits_have_their_answers)
{
    const struct pipeline_settings settings = {
        .limits = {.event_bytes = 600, .notification_bytes = 600, .rooms_per_event = 2, .hops = 1},
        .dead_letter_topic = "dead"};
    static const struct record_header twice[] = {{BYTES_LITERAL("hops"), BYTES_LITERAL("2")}};
    struct fixture fixture;
    fixture_open_with(&fixture, rules, &settings);
    fixture_feed(&fixture, event); /* three rooms */
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    ck_assert_uint_eq(fixture.batch.output_count, 1);

    struct record record = {.value =
                                BYTES_LITERAL("{\"event\":\"task.failed\",\"tenantId\":\"t\"}"),
                            .has_value = true,
                            .headers = twice,
                            .header_count = 1};
    fixture_feed_record(&fixture, &record);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LOOP);

    auto_buffer struct buffer large = {0};
    buffer_append_string(&large, "{\"event\":\"task.failed\",\"tenantId\":\"t\",\"data\":\"");
    while (buffer_size(&large) < 550)
        buffer_append_byte(&large, 'x');
    auto_buffer struct buffer larger = {0};
    buffer_append(&larger, buffer_peek(&large));
    buffer_append_format(&larger, "%0200d\"}%c", 0, 0);
    buffer_append_format(&large, "\"}%c", 0);
    fixture_feed(&fixture, (const char *)buffer_peek(&large).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_LIMIT);
    fixture_feed(&fixture, (const char *)buffer_peek(&larger).data);
    ck_assert(fixture.decision.dead && fixture.decision.reason == DEAD_TOO_LARGE);
    ck_assert(!fixture.batch.outputs[0].has_value);
    ck_assert(bytes_equal_string(fixture_header(&fixture.batch.outputs[0], DEAD_LETTER_HEADER_CUT),
                                 "752"));
    fixture_close(&fixture);
}
END_TEST

START_TEST(a_rejected_record_is_a_dead_letter_with_its_problem)
{
    struct fixture fixture;
    fixture_open(&fixture, rules);
    struct record record = {
        .topic = BYTES_LITERAL("t"), .value = BYTES_LITERAL("{}"), .has_value = true};
    pipeline_reject(fixture.pipeline, &record, "broker says no", &fixture.batch);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ck_assert(bytes_equal_string(
        fixture_header(&fixture.batch.outputs[0], DEAD_LETTER_HEADER_PROBLEM), "broker says no"));
    ck_assert_uint_eq(fixture.batch.counts.dead[DEAD_REJECTED], 1);
    fixture_close(&fixture);
}
END_TEST

/* Rules that each ask for a room, or for a review, of their own: the whole costs in proportion. */
static uint64_t steps_of_rules(unsigned rule_count, const char *form)
{
    struct fixture fixture;
    auto_buffer struct buffer text = {0};
    struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                         .dead_letter_topic = "dead"};
    settings.limits.rooms_per_event = 10000;
    settings.limits.notification_bytes = 10 << 20;
    buffer_append_string(&text, "rules: [");
    for (unsigned i = 0; i < rule_count; i++) {
        buffer_append_format(&text, "%s{name: r%u, when: {event: [a]}, ", i == 0 ? "" : ",", i);
        for (const char *at = form; *at != 0; at++)
            if (*at == '#')
                buffer_append_format(&text, "%u", i);
            else
                buffer_append_byte(&text, (uint8_t)*at);
        buffer_append_byte(&text, '}');
    }
    buffer_append_string(&text, "]");
    buffer_append_byte(&text, 0);
    fixture_open_with(&fixture, (const char *)buffer_peek(&text).data, &settings);
    fixture_feed(&fixture, "{\"event\":\"a\",\"tenantId\":\"t\"}");
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.decision.rule_count, rule_count);
    uint64_t steps = fixture.pipeline->drafts.steps + fixture.pipeline->rooms.steps +
                     fixture.pipeline->lanes.steps;
    fixture_close(&fixture);
    return steps;
}

START_TEST(rules_that_match_cost_in_proportion)
{
    static const char *const forms[] = {"rooms: ['task:#']", "review: {queue: legal, reason: r#}"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t few = steps_of_rules(100, forms[i]);
        uint64_t many = steps_of_rules(2000, forms[i]);
        ck_assert_msg(many < 40 * few && many < 2000UL * 30, "%s: %lu, then %lu", forms[i],
                      (unsigned long)few, (unsigned long)many);
    }
}
END_TEST

static uint64_t steps_of_repetitions(unsigned count)
{
    struct fixture fixture;
    auto_buffer struct buffer text = {0};
    fixture_open(&fixture, rules);
    buffer_append_string(&text, "{\"event\":\"task.started\"");
    for (unsigned i = 0; i < count; i++)
        buffer_append_string(&text, ",\"time\":1");
    buffer_append_string(&text, "}");
    buffer_append_byte(&text, 0);
    fixture_feed(&fixture, (const char *)buffer_peek(&text).data);
    ck_assert(!fixture.decision.dead);
    uint64_t steps = fixture.pipeline->keys.steps;
    fixture_close(&fixture);
    return steps;
}

START_TEST(a_key_that_is_repeated_costs_in_proportion)
{
    uint64_t few = steps_of_repetitions(100);
    uint64_t many = steps_of_repetitions(2000);
    ck_assert_msg(few >= 100 && many < 40 * few, "%lu, then %lu", (unsigned long)few,
                  (unsigned long)many);
}
END_TEST

/* The problem of the dead letter that an event became. */
static const char *problem_of(struct fixture *fixture, const char *rules_text,
                              struct buffer *event_text, const struct pipeline_limits *limits)
{
    const struct pipeline_settings settings = {.limits = *limits, .dead_letter_topic = "dead"};
    buffer_append_byte(event_text, 0);
    fixture_open_with(fixture, rules_text, &settings);
    fixture_feed(fixture, (const char *)buffer_peek(event_text).data);
    return fixture->decision.dead ? fixture->decision.problem : "";
}

START_TEST(a_dead_letter_names_the_limit_and_the_rule)
{
    static const char *const texts[] = {
        "rules: [{name: plain, when: {event: [b]}, stop: true},"
        "        {name: big, when: {n: [{numeric: ['>', 5]}]}, stop: true}]",
        "rules: [{name: plain, when: {event: [b]}, stop: true},"
        "        {name: big, when: {n: [{wildcard: 'a*b*c'}]}, stop: true}]",
        "rules: [{name: plain, when: {event: [b]}, stop: true},"
        "        {name: big, when: {n: [{anything-but: [0, 1, 2, 3, 4, 5, 6, 7]}]}, stop: true}]",
    };
    for (size_t i = 0; i < 6; i++) {
        struct fixture fixture;
        auto_buffer struct buffer event_text = {0};
        struct pipeline_limits limits = PIPELINE_LIMITS_DEFAULT;
        bool values = i >= 3;
        if (values)
            limits.values = 50;
        else
            limits.steps = 50;
        buffer_append_string(&event_text, "{\"n\":[");
        for (int n = 0; n < 100; n++)
            buffer_append_format(&event_text, "%s%d", n == 0 ? "" : ",", n % 8);
        buffer_append_string(&event_text, "],\"x\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}");
        const char *problem = problem_of(&fixture, texts[i % 3], &event_text, &limits);
        ASSERT_HAS(problem, values ? "dispatcher.limits.values" : "dispatcher.limits.steps");
        ASSERT_HAS(problem, "at rule big");
        ASSERT_HAS(problem, "50");
        fixture_close(&fixture);
    }
}
END_TEST

/* What rules and events of a normal size need is within the defaults. */
START_TEST(the_defaults_hold_many_ranges_and_many_wildcards)
{
    const struct pipeline_limits limits = PIPELINE_LIMITS_DEFAULT;
    for (int kind = 0; kind < 2; kind++) {
        struct fixture fixture;
        auto_buffer struct buffer rules_text = {0};
        auto_buffer struct buffer event_text = {0};
        int rule_count = kind == 0 ? 1000 : 3000;
        buffer_append_string(&rules_text, "rules: [");
        for (int i = 0; i < rule_count; i++)
            buffer_append_format(&rules_text,
                                 kind == 0 ? "%s{name: r%d, stop: true, when: {lines: {price: "
                                             "[{numeric: ['>=', %d, '<', 5000]}]}}}"
                                           : "%s{name: r%d, stop: true, when: {files: [{wildcard: "
                                             "'*/report-%d-*.pdf'}]}}",
                                 i == 0 ? "" : ",", i, i);
        buffer_append_string(&rules_text, "]");
        buffer_append_byte(&rules_text, 0);
        buffer_append_string(&event_text, kind == 0 ? "{\"lines\":[" : "{\"files\":[");
        for (int i = 0; i < (kind == 0 ? 200 : 50); i++)
            buffer_append_format(&event_text,
                                 kind == 0 ? "%s{\"price\":%d.5,\"quantity\":1}"
                                           : "%s\"/archive/2026/report-%d-of-the-year.pdf\"",
                                 i == 0 ? "" : ",", kind == 0 ? 500 + i * 10 : i);
        buffer_append_string(&event_text, "]}");
        const char *problem =
            problem_of(&fixture, (const char *)buffer_peek(&rules_text).data, &event_text, &limits);
        ck_assert_str_eq(problem, "");
        ck_assert_uint_ge(fixture.decision.rule_count, 1);
        fixture_close(&fixture);
    }
}
END_TEST

TEST_PROGRAM("pipeline_limits", what_cannot_be_processed_becomes_a_dead_letter,
             malformed_events_are_dead_letters, limits_have_their_answers,
             a_rejected_record_is_a_dead_letter_with_its_problem,
             rules_that_match_cost_in_proportion, a_key_that_is_repeated_costs_in_proportion,
             a_dead_letter_names_the_limit_and_the_rule,
             the_defaults_hold_many_ranges_and_many_wildcards)
