/* What the joint matcher says is what a pipeline of each set decides; and it does say it of plain
 * events. */
#include "joint_matcher.h"

#include <stdio.h>
#include <stdlib.h>

#include "pipeline_fixture.h"

static struct {
    struct fixture sides[JOINT_SETS];
    struct joint_matcher *joint;
} trial;

static void begin(const char *before, const char *after)
{
    fixture_open(&trial.sides[0], before);
    fixture_open(&trial.sides[1], after);
    for (int k = 0; k < JOINT_SETS; k++)
        pipeline_judge_only(trial.sides[k].pipeline);
    trial.joint = joint_matcher_new(
        &trial.sides[0].settings.limits,
        (const struct rule_set *const[]){trial.sides[0].rules, trial.sides[1].rules});
}

static void end(void)
{
    joint_matcher_free(trial.joint);
    fixture_close(&trial.sides[0]);
    fixture_close(&trial.sides[1]);
}

/* Whether it was sure; then both sides must say the same. */
static bool is_sure(const struct record *record)
{
    struct taken_rules taken[JOINT_SETS];
    bool sure = joint_matcher_judge(trial.joint, record, taken);
    for (int k = 0; sure && k < JOINT_SETS; k++) {
        struct fixture *side = &trial.sides[k];
        batch_reset(&side->batch);
        pipeline_process(side->pipeline, NULL, record, &side->batch, &side->decision);
        ck_assert_msg(!side->decision.dead, "%.*s", BYTES_PRINT(record->value));
        ck_assert_msg(side->decision.rule_count == taken[k].count, "%.*s",
                      BYTES_PRINT(record->value));
        for (size_t i = 0; i < taken[k].count; i++)
            ck_assert_uint_eq(side->decision.rules[i], taken[k].rules[i]);
    }
    return sure;
}

static bool is_sure_of(const char *event)
{
    const struct record record = {.topic = BYTES_LITERAL("in"),
                                  .timestamp_ms = 1,
                                  .value = bytes_of_string(event),
                                  .has_value = true};
    return is_sure(&record);
}

#define ROOMS "rooms: ['task:{taskId}']}\n"

START_TEST(what_a_pipeline_might_refuse_is_left_to_it)
{
    static const char *const plain[] = {
        "{\"event\":\"x\"}",
        "{\"event\":\"y\",\"n\":[1,2],\"id\":7}",
        "{}",
        "{\"other\":1,\"other\":2}",
    };
    static const char *const others[] = {
        "nonsense",
        "[]",
        "{\"event\":\"x\",\"event\":\"y\"}",
        "{\"id\":\"a\",\"id\":\"b\"}",
        "{\"taskId\":1,\"taskId\":2,\"event\":\"x\"}",
        "{\"tenantId\":\"\\u0000\"}",
        "{\"\\u0069d\":\"a\"}",
        "{\"event\":\"x\"} ,",
        "{\"event\":\"\xff\"}",
    };
    static const struct record_header hops = {BYTES_LITERAL("hops"), BYTES_LITERAL("9")};
    char text[EVENT_ID_LIMIT + 100];
    begin("rules:\n  - {name: a, when: {event: [x, y]}, " ROOMS,
          "rules:\n  - {name: a, when: {n: [1]}, " ROOMS);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        ck_assert_msg(is_sure_of(plain[i]), "%s", plain[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_msg(!is_sure_of(others[i]), "%s", others[i]);
    snprintf(text, sizeof(text), "{\"event\":\"x\",\"id\":\"%0*d\"}", EVENT_ID_LIMIT + 1, 1);
    ck_assert(!is_sure_of(text));
    snprintf(text, sizeof(text), "{\"event\":\"x\",\"text\":\"%0*d\",\"id\":1}", EVENT_ID_LIMIT, 1);
    ck_assert(is_sure_of(text));
    struct record record = {.topic = BYTES_LITERAL("in"),
                            .value = BYTES_LITERAL("{\"event\":\"x\"}"),
                            .has_value = true};
    ck_assert(is_sure(&record));
    record.headers = &hops, record.header_count = 1;
    ck_assert(!is_sure(&record));
    record.headers = NULL, record.header_count = 0, record.has_value = false;
    ck_assert(!is_sure(&record));
    end();
}
END_TEST

/* The same patterns in another order, twice in one file, behind one that stops, in rules that are
 * off, and in those that sample. */
START_TEST(shared_patterns_lead_to_the_rules_of_each)
{
    begin("rules:\n"
          "  - {name: a, when: {event: [x]}, " ROOMS "  - {name: b, when: {event: [y]}, " ROOMS
          "  - {name: c, when: {event: [x]}, " ROOMS "  - {name: d, when: {n: [1]}, stop: true}\n"
          "  - {name: e, when: {event: [{exists: true}]}, " ROOMS,
          "rules:\n"
          "  - {name: e, when: {event: [{exists: true}]}, " ROOMS
          "  - {name: off, enabled: false, when: {event: [x]}, " ROOMS
          "  - {name: d, when: {n: [1]}, " ROOMS "  - {name: a, when: {event: [x]}, stop: true}\n"
          "  - {name: s, when: {n: [2]}, sample: 50%, " ROOMS
          "  - {name: z, when: {n: [1]}, " ROOMS);
    ck_assert(is_sure_of("{\"event\":\"x\"}"));
    ck_assert_uint_eq(trial.sides[0].decision.rule_count, 3);
    ck_assert_uint_eq(trial.sides[1].decision.rule_count, 2);
    ck_assert(is_sure_of("{\"event\":\"x\",\"n\":1}"));
    ck_assert_uint_eq(trial.sides[0].decision.rule_count, 3);
    ck_assert_uint_eq(trial.sides[1].decision.rule_count, 3);
    ck_assert(is_sure_of("{\"event\":\"x\",\"n\":2}")); /* stopped before the one that samples */
    ck_assert(!is_sure_of("{\"event\":\"y\",\"n\":2}"));
    ck_assert(is_sure_of("{\"n\":1}"));
    end();
}
END_TEST

static const char *one_of(const char *const *texts, size_t count)
{
    return texts[(size_t)rand() % count];
}
#define ONE_OF(texts) one_of((texts), sizeof(texts) / sizeof((texts)[0]))

static const char *random_rules(struct buffer *text)
{
    static const char *const patterns[] = {
        "event: [x]",
        "event: [y]",
        "event: [{prefix: x}]",
        "n: [{numeric: ['>', 1]}]",
        "d: {k: [x, y]}",
        "d: {k: [{exists: false}]}",
        "taskId: [x], event: [x]",
        "id: ['1']",
        "event: [{anything-but: x}]",
    };
    static const char *const more[] = {
        "", "", "", "", ", stop: true", ", enabled: false", ", sample: 50%"};
    buffer_clear(text);
    buffer_append_string(text, "rules:\n");
    for (int i = 0, count = 1 + rand() % 6; i < count; i++)
        buffer_append_format(text, "  - {name: r%d, when: {%s}%s, rooms: ['task:{taskId}']}\n", i,
                             ONE_OF(patterns), ONE_OF(more));
    buffer_append_byte(text, 0);
    return (const char *)buffer_peek(text).data;
}

static const char *random_event(struct buffer *text)
{
    static const char *const members[] = {
        "\"event\":\"x\"",          "\"event\":\"y\"",
        "\"event\":[\"x\",\"z\"]",  "\"n\":2",
        "\"n\":[0,{\"k\":3}]",      "\"d\":{\"k\":\"x\"}",
        "\"d\":[{\"k\":\"y\"},{}]", "\"d.k\":\"y\"",
        "\"taskId\":\"x\"",         "\"id\":\"1\"",
        "\"id\":\"\\\"\"",          "\"other\":null",
        "\"tenantId\":{\"a\":1}",   "\"id\":[]",
    };
    buffer_clear(text);
    for (int i = 0, count = rand() % 6; i < count; i++)
        buffer_append_format(text, "%s%s", i > 0 ? "," : "{", ONE_OF(members));
    buffer_append_string(text, buffer_size(text) > 0 ? "}" : "{}");
    buffer_append_byte(text, 0);
    return (const char *)buffer_peek(text).data;
}

START_TEST(it_never_says_what_a_pipeline_would_not)
{
    auto_buffer struct buffer before = {0}, after = {0}, event = {0};
    size_t sure = 0;
    enum { FILES = 100, EVENTS = 100 };
    srand(20);
    for (int i = 0; i < FILES; i++) {
        begin(random_rules(&before), random_rules(&after));
        for (int k = 0; k < EVENTS; k++)
            sure += is_sure_of(random_event(&event));
        end();
    }
    ck_assert_uint_gt(sure, FILES * EVENTS / 4);
}
END_TEST

TEST_PROGRAM("joint matcher", what_a_pipeline_might_refuse_is_left_to_it,
             shared_patterns_lead_to_the_rules_of_each, it_never_says_what_a_pipeline_would_not)
