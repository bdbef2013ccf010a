/* Rules in shadow: what is told of them, and that nothing comes of them. */
#include "shadow.h"

#include <stdio.h>

#include "pipeline_fixture.h"

#define EVENT(name, n)                                                                     \
    "{\"id\":\"e" #n "\",\"event\":\"task." name "\",\"tenantId\":\"t\",\"userId\":\"u\"," \
    "\"taskId\":\"" #n "\",\"data\":{\"n\":" #n "}}"

#define ALL "when: {event: [{prefix: task.}]}"
#define DONE "when: {event: [task.done]}"

/* What was found of the event, as "rule=verdict rule=verdict". */
static const char *found(struct fixture *fixture, struct shadow *shadow, const char *event)
{
    static char text[400];
    const struct record record = {.topic = BYTES_LITERAL("in"),
                                  .offset = fixture->offset++,
                                  .timestamp_ms = 1,
                                  .value = bytes_of_string(event),
                                  .has_value = true};
    size_t size = 0;
    batch_reset(&fixture->batch);
    pipeline_process(fixture->pipeline, fixture->state, &record, &fixture->batch,
                     &fixture->decision);
    size_t outputs = fixture->batch.output_count;
    shadow_judge(shadow, &record, &fixture->decision, &fixture->batch);
    ck_assert_uint_eq(fixture->batch.output_count, outputs);
    text[0] = 0;
    for (size_t i = 0; i < fixture->batch.finding_count; i++) {
        const struct shadow_finding *finding = &fixture->batch.findings[i];
        const struct rule *rule = rule_set_at(rule_set_shadows(fixture->rules), finding->rule);
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s=%s", i > 0 ? " " : "",
                                 BYTES_PRINT(rule->name), shadow_verdict_name(finding->verdict));
    }
    return text;
}

static struct shadow *open_shadow(struct fixture *fixture, const char *rules)
{
    fixture_open(fixture, rules);
    return shadow_new(&fixture->settings, fixture->rules);
}

START_TEST(each_rule_in_shadow_is_told_how_it_differs)
{
    struct fixture fixture;
    struct shadow *shadow = open_shadow(
        &fixture,
        "rules:\n"
        "  - {name: new, shadow: true, " DONE ", rooms: ['user:{userId}']}\n"
        "  - {name: a, " ALL ", rooms: ['task:{taskId}']}\n"
        "  - {name: b, " DONE ", rooms: ['tenant:{tenantId}']}\n"
        "  - {name: a-alike, shadow: a, " ALL ", notify: {rooms: ['task:{taskId}']}}\n"
        "  - {name: a-less, shadow: a, " DONE ", rooms: ['task:{taskId}']}\n"
        "  - {name: a-else, shadow: a, " ALL ", rooms: ['user:{data.n}']}\n"
        "  - {name: b-more, shadow: b, " ALL ", rooms: ['tenant:{tenantId}']}\n"
        "  - {name: off, shadow: b, enabled: false, " ALL ", rooms: ['tenant:{tenantId}']}\n");
    ck_assert_uint_eq(rule_set_count(fixture.rules), 2);
    ck_assert_uint_eq(rule_set_count(rule_set_shadows(fixture.rules)), 6);
    ck_assert_str_eq(found(&fixture, shadow, EVENT("done", 1)),
                     "new=more a-alike=same a-less=same a-else=changed b-more=same");
    ck_assert_uint_eq(fixture.decision.rule_count, 2);
    ck_assert_str_eq(found(&fixture, shadow, EVENT("open", 2)),
                     "a-alike=same a-else=changed b-more=more a-less=less");
    ck_assert_uint_eq(fixture.decision.rule_count, 1);
    ck_assert_str_eq(found(&fixture, shadow, "{\"event\":\"other\"}"), "");
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

/* One by its own place, one by that of its twin; and neither ends anything. */
START_TEST(a_rule_that_stops_stops_what_is_tried_behind_it)
{
    struct fixture fixture;
    struct shadow *shadow = open_shadow(
        &fixture, "rules:\n"
                  "  - {name: before, shadow: true, " ALL ", stop: true, rooms: ['user:x']}\n"
                  "  - {name: a, " DONE ", stop: true, rooms: ['task:{taskId}']}\n"
                  "  - {name: behind, shadow: true, " ALL ", rooms: ['user:x']}\n"
                  "  - {name: b, " ALL ", rooms: ['task:{taskId}']}\n"
                  "  - {name: a-2, shadow: a, " ALL ", rooms: ['task:{taskId}']}\n"
                  "  - {name: b-2, shadow: b, " ALL ", rooms: ['task:{taskId}']}\n");
    ck_assert_str_eq(found(&fixture, shadow, EVENT("done", 1)), "before=more a-2=same");
    ck_assert_uint_eq(fixture.decision.rule_count, 1);
    ck_assert_str_eq(found(&fixture, shadow, EVENT("open", 2)),
                     "before=more behind=more a-2=more b-2=same");
    ck_assert_uint_eq(fixture.decision.rule_count, 1);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

/* Reviews, names of rules in alerts, and what would have been a dead letter. */
START_TEST(nothing_comes_of_what_is_in_shadow)
{
    struct fixture fixture;
    struct shadow *shadow = open_shadow(
        &fixture, "rules:\n"
                  "  - {name: a, " DONE ", review: {queue: legal, reason: r}}\n"
                  "  - {name: same, shadow: a, " DONE
                  ", review: {reason: r, queue: legal, priority: normal}}\n"
                  "  - {name: other, shadow: a, " DONE ", review: {queue: finance, reason: r}}\n"
                  "  - {name: needs, shadow: true, " DONE
                  ", rooms: ['task:{nothing}'], missing: dead-letter}\n"
                  "  - {name: skips, shadow: true, " DONE ", rooms: ['task:{nothing}']}\n");
    ck_assert_str_eq(found(&fixture, shadow, EVENT("done", 1)),
                     "same=same other=changed needs=dead skips=more");
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.decision.skipped_count, 0);
    for (int i = 0; i < DEAD_REASON_COUNT; i++)
        ck_assert_uint_eq(fixture.batch.counts.dead[i], 0);
    for (int i = 0; i < ROOM_SKIP_COUNT; i++)
        ck_assert_uint_eq(fixture.batch.counts.room_skips[i], 0);
    ck_assert_str_eq(found(&fixture, shadow, "nonsense"), "");
    ck_assert(fixture.decision.dead);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

/* Their patterns cost on an account of their own, and name fields that the others do not. */
START_TEST(what_those_in_shadow_cost_kills_no_event)
{
    struct fixture fixture;
    struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                         .dead_letter_topic = "dead"};
    settings.limits.values = 3;
    fixture_open_with(&fixture,
                      "rules:\n"
                      "  - {name: a, when: {event: [x]}, rooms: ['tenant:t']}\n"
                      "  - {name: b, shadow: true, when: {n: [1]}, rooms: ['tenant:t']}\n",
                      &settings);
    struct shadow *shadow = shadow_new(&fixture.settings, fixture.rules);
    const char *event = "{\"event\":\"x\",\"tenantId\":\"t\",\"n\":[1,2,3,4,5]}";
    ck_assert_str_eq(found(&fixture, shadow, event), "");
    ck_assert(!fixture.decision.dead);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ck_assert_uint_eq(fixture.batch.counts.shadow_unjudged, 1);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

/* Whatever the form of the record: what is judged is the text that rules see. */
START_TEST(events_of_every_form_are_judged)
{
    static const struct record_header headers[] = {
        {BYTES_LITERAL("ce_specversion"), BYTES_LITERAL("1.0")},
        {BYTES_LITERAL("ce_id"), BYTES_LITERAL("1")},
        {BYTES_LITERAL("ce_source"), BYTES_LITERAL("s")},
        {BYTES_LITERAL("ce_type"), BYTES_LITERAL("task.done")},
        {BYTES_LITERAL("ce_tenantid"), BYTES_LITERAL("t")}};
    const struct record record = {.topic = BYTES_LITERAL("in"),
                                  .headers = headers,
                                  .header_count = sizeof(headers) / sizeof(headers[0])};
    struct fixture fixture;
    struct shadow *shadow =
        open_shadow(&fixture, "rules:\n"
                              "  - {name: a, " DONE ", rooms: ['tenant:{tenantId}']}\n"
                              "  - {name: a-2, shadow: a, " ALL ", rooms: ['tenant:t']}\n");
    pipeline_process(fixture.pipeline, NULL, &record, &fixture.batch, &fixture.decision);
    shadow_judge(shadow, &record, &fixture.decision, &fixture.batch);
    ck_assert_uint_eq(fixture.batch.finding_count, 1);
    ck_assert_int_eq(fixture.batch.findings[0].verdict, SHADOW_SAME);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

/* An event that comes again was told of: it is not counted twice. */
START_TEST(what_was_seen_before_is_not_looked_at)
{
    const struct partition_state_settings remembers = {
        .dedupe_window_ms = 1000000, .dedupe_entries = 10, .reviews_per_task = 1};
    struct fixture fixture;
    struct shadow *shadow =
        open_shadow(&fixture, "rules: [{name: a, shadow: true, " DONE ", rooms: ['tenant:t']}]\n");
    fixture.state = partition_state_new(&remembers, 0);
    ck_assert_str_eq(found(&fixture, shadow, EVENT("done", 1)), "a=more");
    ck_assert_str_eq(found(&fixture, shadow, EVENT("done", 1)), "");
    ck_assert(fixture.decision.duplicate);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

/* Half of the events, the same ones as its twin; another name would pick others. */
START_TEST(a_twin_samples_the_same_events)
{
    struct fixture fixture;
    struct shadow *shadow = open_shadow(
        &fixture, "rules:\n"
                  "  - {name: a, " ALL ", sample: 50%, rooms: ['tenant:t']}\n"
                  "  - {name: a-2, shadow: a, " ALL ", sample: 50%, rooms: ['tenant:t']}\n"
                  "  - {name: free, shadow: true, " ALL ", sample: 50%, rooms: ['tenant:t']}\n");
    size_t together = 0;
    size_t apart = 0;
    for (int i = 0; i < 100; i++) {
        char event[100];
        snprintf(event, sizeof(event), "{\"id\":\"%d\",\"event\":\"task.x\",\"tenantId\":\"t\"}",
                 i);
        const char *text = found(&fixture, shadow, event);
        bool taken = fixture.decision.rule_count > 0;
        ck_assert(taken == (strstr(text, "a-2=same") != NULL));
        ck_assert(!strstr(text, "a-2=more") && !strstr(text, "a-2=less"));
        together += taken;
        apart += taken != (strstr(text, "free=more") != NULL);
    }
    ck_assert(together > 25 && together < 75 && apart > 25);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

START_TEST(without_any_there_is_nothing_to_do)
{
    struct fixture fixture;
    struct shadow *shadow =
        open_shadow(&fixture, "rules: [{name: a, shadow: false, " DONE ", rooms: ['tenant:t']}]\n");
    ck_assert(!shadow && !rule_set_shadows(fixture.rules));
    ck_assert_str_eq(found(&fixture, shadow, EVENT("done", 1)), "");
    ck_assert_uint_eq(fixture.decision.rule_count, 1);
    shadow_free(shadow);
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("shadow", each_rule_in_shadow_is_told_how_it_differs,
             a_rule_that_stops_stops_what_is_tried_behind_it, nothing_comes_of_what_is_in_shadow,
             what_those_in_shadow_cost_kills_no_event, events_of_every_form_are_judged,
             what_was_seen_before_is_not_looked_at, a_twin_samples_the_same_events,
             without_any_there_is_nothing_to_do)
