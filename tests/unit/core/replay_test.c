/* Two rule sets on the same events. */
#include "replay.h"

#include <stdio.h>

#include "pipeline_fixture.h"

#define HEAD "rules:\n"
#define DONE "when: {event: [task.done]}"
#define ALL "when: {event: [{prefix: task.}]}"

static struct rule_set *read_rules(struct layout *layout, const char *text)
{
    struct rule_set *rules = NULL;
    auto_problems struct problems problems = {0};
    auto_buffer struct buffer told = {0};
    enum status status = rule_set_parse(bytes_of_string(text), layout, &rules, &problems);
    problems_render(&problems, "rules", &told);
    ck_assert_msg(status == STATUS_OK, "%.*s", BYTES_PRINT(buffer_peek(&told)));
    return rules;
}

static void judge(struct replay *replay, int32_t partition, int64_t offset, const char *event)
{
    const struct record record = {.topic = BYTES_LITERAL("in"),
                                  .partition = partition,
                                  .offset = offset,
                                  .timestamp_ms = 1,
                                  .value = bytes_of_string(event),
                                  .has_value = true};
    replay_record(replay, &record);
}

#define EVENT(name, n)                                                                    \
    "{\"id\":\"e" #n "\",\"event\":\"task." name "\",\"tenantId\":\"t\",\"taskId\":\"" #n \
    "\",\"data\":{\"n\":" #n "}}"

struct trial {
    struct layout *layout;
    struct rule_set *before, *after;
    struct replay *replay;
};

static void begin(struct trial *trial, const char *before, const char *after)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .audit = AUDIT_ALL};
    auto_problems struct problems problems = {0};
    const struct layout_source source = {0};
    ck_assert_int_eq(layout_new(&source, &trial->layout, &problems), STATUS_OK);
    trial->before = read_rules(trial->layout, before);
    trial->after = read_rules(trial->layout, after);
    struct pipeline_settings own = settings;
    own.layout = trial->layout;
    trial->replay = replay_new(&own, trial->before, trial->after);
}

/* The report, in `out`. */
static const char *finish(struct trial *trial, struct buffer *out)
{
    buffer_clear(out);
    replay_report(trial->replay, out);
    buffer_append_byte(out, 0);
    replay_free(trial->replay);
    rule_set_free(trial->before);
    rule_set_free(trial->after);
    layout_free(trial->layout);
    return (const char *)buffer_peek(out).data;
}

static const char before_rules[] =
    HEAD "  - {name: same, " ALL ", rooms: ['task:{taskId}']}\n"
         "  - {name: wider, " DONE ", rooms: ['task:{taskId}']}\n"
         "  - {name: narrower, " ALL ", rooms: ['task:{taskId}']}\n"
         "  - {name: other, " DONE ", rooms: ['task:{taskId}']}\n"
         "  - {name: spelled, " DONE ", notify: {rooms: ['task:{taskId}'], type: task.status}}\n"
         "  - {name: gone, " DONE ", rooms: ['tenant:{tenantId}']}\n";
static const char after_rules[] =
    HEAD "  - {name: same, " ALL ", rooms: ['task:{taskId}']}\n"
         "  - {name: new, " DONE ", rooms: ['user:u']}\n"
         "  - {name: wider, " ALL ", rooms: ['task:{taskId}']}\n"
         "  - {name: narrower, " DONE ", rooms: ['task:{taskId}']}\n"
         "  - {name: other, " DONE ", rooms: ['tenant:{tenantId}']}\n"
         "  - {name: spelled, " DONE ", notify: {type: task.status, rooms: ['task:{taskId}']}}\n";

START_TEST(each_rule_is_told_what_it_does_more_less_and_otherwise)
{
    struct trial trial;
    auto_buffer struct buffer out = {0};
    begin(&trial, before_rules, after_rules);
    judge(trial.replay, 0, 0, EVENT("done", 1));
    judge(trial.replay, 0, 1, EVENT("open", 2));
    judge(trial.replay, 1, 7, EVENT("done", 3));
    judge(trial.replay, 1, 8, "nonsense");
    ck_assert_uint_eq(replay_event_count(trial.replay), 4);
    const char *text = finish(&trial, &out);
    ASSERT_HAS(text, "{\"events\":4,\"revision\":{\"before\":\"");
    ASSERT_HAS(text, "\"dead\":{\"before\":1,\"after\":1}}\n");
#define NONE "\"samples\":{\"more\":[],\"less\":[],\"changed\":[]}}\n"
#define AT(partition, offset, id) \
    "{\"topic\":\"in\",\"partition\":" #partition ",\"offset\":" #offset ",\"event\":\"" id "\"}"
    ASSERT_HAS(
        text,
        "{\"rule\":\"same\",\"before\":3,\"after\":3,\"more\":0,\"less\":0,\"changed\":0," NONE);
    ASSERT_HAS(text,
               "{\"rule\":\"new\",\"before\":null,\"after\":2,\"more\":2,\"less\":0,\"changed\":0,"
               "\"samples\":{\"more\":[" AT(0, 0, "e1") "," AT(1, 7, "e3") "],");
    ASSERT_HAS(text,
               "{\"rule\":\"wider\",\"before\":2,\"after\":3,\"more\":1,\"less\":0,\"changed\":0,"
               "\"samples\":{\"more\":[" AT(0, 1, "e2") "],\"less\":[],\"changed\":[]}}");
    ASSERT_HAS(
        text, "{\"rule\":\"narrower\",\"before\":3,\"after\":2,\"more\":0,\"less\":1,\"changed\":0,"
              "\"samples\":{\"more\":[],\"less\":[" AT(0, 1, "e2") "],");
    ASSERT_HAS(text,
               "{\"rule\":\"other\",\"before\":2,\"after\":2,\"more\":0,\"less\":0,\"changed\":2,"
               "\"samples\":{\"more\":[],\"less\":[],\"changed\":[" AT(0, 0, "e1") ",");
    ASSERT_HAS(
        text,
        "{\"rule\":\"spelled\",\"before\":2,\"after\":2,\"more\":0,\"less\":0,\"changed\":0," NONE);
    ASSERT_HAS(
        text,
        "{\"rule\":\"gone\",\"before\":2,\"after\":null,\"more\":0,\"less\":2,\"changed\":0,");
}
END_TEST

/* A rule that adds rooms to a notification that others share is no change of the others; one that
 * stops later ones is. */
START_TEST(a_rule_is_looked_at_alone_but_taken_in_turn)
{
    struct trial trial;
    auto_buffer struct buffer out = {0};
    begin(&trial,
          HEAD "  - {name: a, " DONE ", rooms: ['task:{taskId}']}\n"
               "  - {name: b, " DONE ", rooms: ['tenant:t']}\n",
          HEAD "  - {name: more, " DONE ", rooms: ['user:u']}\n"
               "  - {name: a, " DONE ", stop: true, rooms: ['task:{taskId}']}\n"
               "  - {name: b, " DONE ", rooms: ['tenant:t']}\n");
    judge(trial.replay, 0, 0, EVENT("done", 1));
    const char *text = finish(&trial, &out);
    ASSERT_HAS(text,
               "{\"rule\":\"a\",\"before\":1,\"after\":1,\"more\":0,\"less\":0,\"changed\":0,");
    ASSERT_HAS(text,
               "{\"rule\":\"b\",\"before\":1,\"after\":0,\"more\":0,\"less\":1,\"changed\":0,");
}
END_TEST

/* By the places of the events, whichever comes first; the fewest of each. */
START_TEST(the_order_of_partitions_makes_no_difference)
{
    auto_buffer struct buffer first = {0}, second = {0};
    struct trial trial;
    enum { PARTITIONS = 3, EACH = 4 };
    for (int way = 0; way < 2; way++) {
        begin(&trial, before_rules, after_rules);
        for (int i = 0; i < PARTITIONS * EACH; i++) {
            char event[200];
            int32_t partition = way == 0 ? i / EACH : PARTITIONS - 1 - i % PARTITIONS;
            int64_t offset = way == 0 ? i % EACH : i / PARTITIONS;
            snprintf(event, sizeof(event),
                     "{\"event\":\"task.done\",\"tenantId\":\"t\",\"taskId\":\"%d-%d\"}",
                     (int)partition, (int)offset);
            judge(trial.replay, partition, offset, event);
        }
        (void)finish(&trial, way == 0 ? &first : &second);
    }
    ck_assert(bytes_equal(buffer_peek(&first), buffer_peek(&second)));
    ASSERT_HAS((const char *)buffer_peek(&first).data,
               "[" AT(0, 0, "in-0-0") "," AT(0, 1, "in-0-1") "," AT(0, 2, "in-0-2") "," AT(
                   0, 3, "in-0-3") "," AT(1, 0, "in-1-0") "]");
}
END_TEST

START_TEST(events_of_a_batch_are_told_by_their_part)
{
    static const struct record_header type = {BYTES_LITERAL("content-type"),
                                              BYTES_LITERAL("application/cloudevents-batch+json")};
    struct trial trial;
    auto_buffer struct buffer out = {0};
    begin(&trial, HEAD "  - {name: a, when: {event: [x]}, rooms: ['tenant:t']}\n",
          HEAD "  - {name: a, " DONE ", rooms: ['tenant:t']}\n");
    const struct record record = {
        .topic = BYTES_LITERAL("in"),
        .value = BYTES_LITERAL(
            "[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"other\"},"
            "{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"s\",\"type\":\"task.done\"}]"),
        .has_value = true,
        .headers = &type,
        .header_count = 1};
    replay_record(trial.replay, &record);
    ASSERT_HAS(finish(&trial, &out), "\"more\":[{\"topic\":\"in\",\"partition\":0,\"offset\":0,"
                                     "\"part\":2,\"event\":\"2\"}]");
}
END_TEST

TEST_PROGRAM("replay", each_rule_is_told_what_it_does_more_less_and_otherwise,
             a_rule_is_looked_at_alone_but_taken_in_turn,
             the_order_of_partitions_makes_no_difference, events_of_a_batch_are_told_by_their_part)
