#include <stdio.h>

#include "mem.h"
#include "rule_set.h"
#include "rule_set_private.h"
#include "suite.h"

static const char good[] = "rules:\n"
                           "  - name: first\n"
                           "    description: the first\n"
                           "    when: {\"event\": [\"task.completed\"]}\n"
                           "    notify: {type: task.status, rooms: [\"task:{taskId}\"]}\n"
                           "    review: {queue: legal, reason: \"confidence {data.confidence}\", "
                           "priority: high, due: 4h}\n"
                           "  - name: second\n"
                           "    enabled: false\n"
                           "    stop: true\n"
                           "    when: {event: [{prefix: task.}]}\n"
                           "    rooms: ['user:{userId}']\n"
                           "    sample: 5%\n"
                           "  - name: third\n"
                           "    missing: dead-letter\n"
                           "    when: {event: [x]}\n"
                           "    notify:\n"
                           "      - {type: notification, rooms: ['user:{userId}'], title: '{type|a "
                           "task}', severity: info}\n"
                           "      - {rooms: ['tenant:{tenantId}']}\n"
                           "    sample: {rate: 0.5, by: '{taskId}'}\n";

static struct rule_set *parse(const char *text)
{
    struct rule_set *set = NULL;
    auto_problems struct problems problems = {0};
    auto_buffer struct buffer rendered = {0};
    enum status status = rule_set_parse(bytes_of_string(text), NULL, &set, &problems);
    problems_render(&problems, "rules", &rendered);
    ck_assert_msg(status == STATUS_OK, "%.*s", BYTES_PRINT(buffer_peek(&rendered)));
    return set;
}

START_TEST(every_key_has_its_effect)
{
    struct rule_set *set = parse(good);
    ck_assert_uint_eq(rule_set_count(set), 3);
    const struct rule *first = rule_set_at(set, 0);
    ck_assert(bytes_equal_string(first->name, "first"));
    ck_assert(bytes_equal_string(first->description, "the first"));
    ck_assert(first->enabled && !first->stop && !first->sampled);
    ck_assert_uint_eq(first->notify_count, 1);
    ck_assert_ptr_nonnull(first->review);
    ck_assert_uint_eq(first->line, 2);
    const struct rule *second = rule_set_at(set, 1);
    ck_assert(!second->enabled && second->stop && second->sampled);
    ck_assert_double_eq_tol(second->sample_rate, 0.05, 1e-12);
    const struct rule *third = rule_set_at(set, 2);
    ck_assert_int_eq(third->missing, RULE_MISSING_DEAD_LETTER);
    ck_assert_uint_eq(third->notify_count, 2);
    ck_assert_int_eq(third->notify[0].type, NOTIFICATION_CLIENT);
    ck_assert_int_eq(third->notify[1].type, NOTIFICATION_TASK_STATUS);
    ck_assert_ptr_nonnull(third->sample_by);
    uint32_t number;
    ck_assert(!rule_set_number_of(set, 1, &number));
    ck_assert(rule_set_number_of(set, 2, &number));
    ck_assert_uint_eq(number, 1);
    ck_assert_uint_eq(rule_set_rule_of(set, 1), 2);
    rule_set_free(set);
}
END_TEST

START_TEST(state_names_an_item)
{
    struct rule_set *set =
        parse("rules:\n"
              "  - name: a\n"
              "    when: {event: [x]}\n"
              "    notify:\n"
              "      - {rooms: ['task:{taskId}'], state: '{taskId}'}\n"
              "      - {rooms: ['task:{taskId}'], state: {item: 'of {taskId}'}}\n"
              "      - {rooms: ['task:{taskId}'], state: {item: '{taskId}', remove: true}}\n"
              "      - {rooms: ['task:{taskId}']}\n"
              "      - {rooms: ['a:b'], state: {item: '{taskId}', order: '{seq}'}}\n"
              "      - {rooms: ['a:b'], state: {item: '{taskId}', order: '{time}', late: drop}}\n"
              "      - {rooms: ['a:b'], state: {item: '{taskId}', order: '1{seq}', late: mark}}\n"
              "    review: {queue: legal, reason: r, state: 'review:{taskId}'}\n");
    const struct rule *rule = rule_set_at(set, 0);
    ck_assert(bytes_equal_string(template_source(rule->notify[0].item), "{taskId}"));
    ck_assert(bytes_equal_string(template_source(rule->notify[1].item), "of {taskId}"));
    ck_assert(!rule->notify[0].removes_item && !rule->notify[1].removes_item);
    ck_assert(rule->notify[2].removes_item);
    ck_assert_ptr_null(rule->notify[3].item);
    for (size_t i = 0; i < 4; i++)
        ck_assert(!rule->notify[i].order && !rule->notify[i].marks_late);
    ck_assert(bytes_equal_string(template_source(rule->notify[4].order), "{seq}"));
    ck_assert(rule->notify[5].order && rule->notify[6].order);
    ck_assert(!rule->notify[4].marks_late && !rule->notify[5].marks_late);
    ck_assert(rule->notify[6].marks_late);
    ck_assert(bytes_equal_string(template_source(rule->review->item), "review:{taskId}"));
    auto_problems struct problems warnings = {0};
    rule_set_warn(set, &warnings);
    ck_assert(problems_empty(&warnings));
    rule_set_free(set);
}
END_TEST

START_TEST(rules_know_which_kinds_of_rooms_they_tell_of_items)
{
    static const struct {
        const char *rule;
        const char *kinds[4]; /* NULL first: any */
    } cases[] = {
        {"rooms: ['task:{taskId}']", {""}},
        {"notify: {rooms: ['task:{taskId}', 'project:{projectId}'], state: '{taskId}'}",
         {"task", "project"}},
        {"notify: {rooms: ['{data.kind}:{taskId}'], state: '{taskId}'}", {NULL}},
        {"notify: {rooms: ['{room}'], state: '{taskId}'}", {NULL}},
        {"enabled: false\n    notify: {rooms: ['task:{taskId}'], state: '{taskId}'}", {""}},
        {"review: {queue: legal, reason: r}", {""}},
        {"review: {queue: legal, reason: r, state: '{taskId}'}", {"review", "task", "user"}},
    };
    struct layout *layout = NULL;
    auto_problems struct problems problems = {0};
    const struct layout_source source = {0};
    ck_assert_int_eq(layout_new(&source, &layout, &problems), STATUS_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[500];
        snprintf(text, sizeof(text), "rules:\n  - name: a\n    when: {event: [x]}\n    %s\n",
                 cases[i].rule);
        struct rule_set *set = parse(text);
        uint64_t expected = cases[i].kinds[0] ? 0 : UINT64_MAX;
        for (size_t k = 0; cases[i].kinds[k]; k++)
            expected |= layout_kind_bit(layout, bytes_of_string(cases[i].kinds[k]));
        ck_assert_uint_eq(rule_set_item_kinds(set, layout), expected);
        rule_set_free(set);
    }
    layout_free(layout);
}
END_TEST

/* What is warned of in a set, which ends with it; in `out`, which is the caller's. */
static const char *warnings_of(struct rule_set *set, struct buffer *out)
{
    auto_problems struct problems warnings = {0};
    rule_set_warn(set, &warnings);
    problems_render(&warnings, "rules", out);
    buffer_append_byte(out, 0);
    rule_set_free(set);
    return (const char *)buffer_peek(out).data;
}

START_TEST(an_item_of_several_partitions_is_warned_of)
{
    struct rule_set *set = parse("rules:\n"
                                 "  - name: a\n"
                                 "    when: {event: [x]}\n"
                                 "    notify: {rooms: ['task:{taskId}'], state: '{projectId}'}\n"
                                 "    review: {queue: legal, reason: r, state: '{{taskId}}'}\n");
    auto_buffer struct buffer rendered = {0};
    ck_assert_str_eq(
        warnings_of(set, &rendered),
        "rules:2:5: warning: rule a: state {projectId} does not name taskId: all events of an item "
        "must come by one partition of the input\n"
        "rules:2:5: warning: rule a: state {{taskId}} does not name taskId: all events of an item "
        "must come by one partition of the input\n");
}
END_TEST

START_TEST(wildcards_that_eventbridge_may_refuse_are_warned_of)
{
    struct rule_set *set =
        parse("rules:\n"
              "  - {name: seven, rooms: ['task:1'], when: {a: [{wildcard: "
              "'*a*b*c*d'}, {wildcard: '\\**e*f*'}],"
              " b: [{wildcard: '*'}]}}\n"
              "  - {name: off, enabled: false, rooms: ['task:1'], when: {a: [{wildcard:"
              " '*a*b*c*d*e*f*g*h'}]}}\n"
              "  - {name: eight, rooms: ['task:1'], when: {a: [{wildcard: "
              "'*a*b*c*d'}, {'anything-but': {wildcard:"
              " ['*e*', 'f*g*']}}]}}\n");
    auto_buffer struct buffer rendered = {0};
    ck_assert_str_eq(warnings_of(set, &rendered),
                     "rules:4:5: warning: rule eight: 8 '*' in the wildcards of one field: "
                     "EventBridge may refuse more than 7 as too complex\n");
}
END_TEST

START_TEST(the_revision_is_that_of_the_text)
{
    struct rule_set *a = parse(good);
    struct rule_set *b = parse(good);
    struct rule_set *c = parse("rules: []");
    ck_assert(bytes_equal(rule_set_revision(a), rule_set_revision(b)));
    ck_assert(!bytes_equal(rule_set_revision(a), rule_set_revision(c)));
    ck_assert_uint_eq(rule_set_revision(c).size, 16);
    rule_set_free(a);
    rule_set_free(b);
    rule_set_free(c);
}
END_TEST

/* Each problem must be told, in the line given, in one run. */
static void assert_problems(const char *text, const char *const *expected)
{
    struct rule_set *set = NULL;
    auto_problems struct problems problems = {0};
    auto_buffer struct buffer rendered = {0};
    ck_assert_int_eq(rule_set_parse(bytes_of_string(text), NULL, &set, &problems), STATUS_INVALID);
    ck_assert_ptr_null(set);
    problems_render(&problems, "rules", &rendered);
    buffer_append_byte(&rendered, 0);
    const char *all = (const char *)buffer_peek(&rendered).data;
    size_t count = 0;
    for (; expected[count] != NULL; count++)
        ck_assert_msg(strstr(all, expected[count]) != NULL, "%s is not in\n%s", expected[count],
                      all);
    ck_assert_msg(problems.count == count, "%zu problems:\n%s", problems.count, all);
}

START_TEST(every_problem_is_told_at_once_with_its_place)
{
    assert_problems("rules:\n"
                    "  - name: a\n"
                    "    when: {event: [{prefx: x}]}\n"
                    "    rooms: ['task:{taskId']\n"
                    "  - name: a\n"
                    "    when: {event: [x]}\n"
                    "    notify: {type: other, rooms: ['Task:1']}\n"
                    "    colour: red\n"
                    "  - when: {event: [x]}\n"
                    "    review: {reason: why, due: soon}\n"
                    "    stop: maybe\n"
                    "    sample: 200%\n"
                    "    missing: never\n"
                    "  - name: b\n"
                    "    rooms: []\n"
                    "  - {name: d, when: {event: [x]}, rooms: ['{room}', 'task{x}', '{x}{y}']}\n"
                    "  - name: c\n"
                    "    when: {event: [x]}\n"
                    "  - 5\n",
                    (const char *const[]){
                        "rules:3:", "rules:4:19: a room: `{` without",
                        "rules:5:5: a second rule called a", "rules:7:20: type is",
                        "rules:7:35: room Task:1", "rules:8:5", "rules:9:5: a rule without a name",
                        "rules:10:13: review without a queue", "rules:10:32: due is",
                        "rules:11:11: stop is true", "rules:12:13: sample", "rules:13:14: missing",
                        "rules:14:5: a rule without `when`", "rules:15:12: rooms is a list",
                        "rules:16:53: room task{x}", "rules:16:64: room {x}{y}",
                        "rules:17:5: a rule does something", "rules:19:5", NULL});
}
END_TEST

START_TEST(every_problem_of_a_shadow_is_told)
{
    assert_problems("rules:\n"
                    "  - {name: a, shadow: 5, when: {e: [x]}, rooms: ['a:b']}\n"
                    "  - {name: b, shadow: '', when: {e: [x]}, rooms: ['a:b']}\n"
                    "  - {name: c, shadow: nobody, when: {e: [x]}, rooms: ['a:b']}\n"
                    "  - {name: d, shadow: a, when: {e: [x]}, rooms: ['a:b']}\n"
                    "  - {name: d, when: {e: [{prefx: x}]}, rooms: ['a:b']}\n"
                    "  - {name: e, shadow: d, when: {e: [{prefx: x}]}, rooms: ['{']}\n",
                    (const char *const[]){
                        "rules:2:23: shadow is true, false or", "rules:3:23: shadow is true",
                        "rules:4:5: shadow names no rule that acts: there is none called nobody",
                        "rules:5:5: shadow names no rule that acts: there is none called a",
                        "rules:6:5: a second rule called d (the first is in line 5)", "rules:6:",
                        "rules:7:", "rules:7:", "rules:7:5: shadow names no rule", NULL});
}
END_TEST

START_TEST(every_problem_of_a_state_is_told)
{
    assert_problems("rules:\n"
                    "  - name: a\n"
                    "    when: {event: [x]}\n"
                    "    notify:\n"
                    "      - {rooms: ['a:b'], state: []}\n"
                    "      - {rooms: ['a:b'], state: {remove: true}}\n"
                    "      - {rooms: ['a:b'], state: {item: '{x', other: 1}}\n"
                    "      - {rooms: ['a:b'], state: {item: x, remove: 'yes'}}\n"
                    "      - {rooms: ['a:b'], state: ''}\n"
                    "    review: {queue: legal, reason: r, state: {item: x}}\n"
                    "  - name: b\n"
                    "    when: {event: [x]}\n"
                    "    review: {queue: legal, reason: r, decisions: [Approve], self: 'no'}\n"
                    "  - name: c\n"
                    "    when: {event: [x]}\n"
                    "    notify: {type: review.updated, rooms: ['a:b']}\n"
                    "    review: {queue: legal, reason: r, decisions: []}\n"
                    "  - name: d\n"
                    "    when: {event: [x]}\n"
                    "    notify:\n"
                    "      - {rooms: ['a:b'], state: {item: x, order: seq}}\n"
                    "      - {rooms: ['a:b'], state: {item: x, order: [1]}}\n"
                    "      - {rooms: ['a:b'], state: {item: x, order: '{seq}', late: maybe}}\n"
                    "      - {rooms: ['a:b'], state: {item: x, late: mark}}\n"
                    "      - {type: custom, event: e, rooms: ['a:b'], state: {item: x, order: "
                    "'{seq}', late: mark}}\n",
                    (const char *const[]){
                        "rules:5:33: an item is a text", "rules:6:33: state without an item",
                        "rules:7:41: an item: `{` without",
                        "rules:7:46: ", "rules:8:51: remove is true or false",
                        "rules:9:33: an item is named", "rules:10:46: an item is a text",
                        "rules:13:50: decisions is a list", "rules:13:67: self is true or false",
                        "rules:16:20: type is", "rules:17:50: decisions is a list",
                        "rules:21:50: order names a field", "rules:22:50: order is a text",
                        "rules:23:65: late is drop or mark", "rules:24:49: late without an order",
                        "rules:25:57: late: mark is not for", NULL});
}
END_TEST

START_TEST(every_problem_of_a_custom_event_is_told)
{
    assert_problems(
        "rules:\n"
        "  - name: a\n"
        "    when: {event: [x]}\n"
        "    notify:\n"
        "      - {type: custom, rooms: ['a:b']}\n"
        "      - {type: custom, rooms: ['a:b'], event: disconnect}\n"
        "      - {type: custom, rooms: ['a:b'], event: 'a \"{b}\"'}\n"
        "      - {type: custom, rooms: ['a:b'], event: [a]}\n"
        "      - {type: custom, rooms: ['a:b'], event: a, title: t}\n"
        "      - {rooms: ['a:b'], event: a, data: 5}\n"
        "      - {type: custom, rooms: ['a:b'], event: a, data: {a: ['{b'], c: 0x, c: .inf}}\n"
        "      - {type: custom, rooms: ['a:b'], event: a, data: [[[[[[[[[1]]]]]]]]]}\n"
        "  - {name: b, when: {event: [x]}, notify: {type: review.updated, rooms: ['a:b']}}\n",
        (const char *const[]){"rules:5:9: a custom one has an event",
                              "rules:6:47: event disconnect: an event of this name",
                              "rules:7:47: event a \"{b}\": ", "rules:8:47: event is a text",
                              "rules:9:9: title, body and severity", "rules:10:9: event and data",
                              "rules:11:62: data: `{` without", "rules:11:75: data: the key \"c\"",
                              "rules:11:78: ", "rules:12:64: data has at most 256 values, 8 deep",
                              "rules:13:50: type is task.status", NULL});
    auto_buffer struct buffer many = {0};
    buffer_append_string(&many, "rules: [{name: a, when: {e: [x]}, notify: {type: custom, rooms: "
                                "['a:b'], event: e, data: [");
    for (int i = 0; i < 256; i++)
        buffer_append_string(&many, "1,");
    buffer_append_string(&many, "]}}]");
    buffer_append_byte(&many, 0);
    assert_problems((const char *)buffer_peek(&many).data,
                    (const char *const[]){"data has at most 256 values", NULL});
}
END_TEST

START_TEST(every_problem_of_a_pattern_is_told_at_once)
{
    assert_problems(
        "rules:\n"
        "  - name: a\n"
        "    stop: true\n"
        "    when:\n"
        "      event: task.completed\n"
        "      type: {prefix: task.}\n"
        "      n: [1, {numeric: [\"<\"]}, 2, {prefx: x}]\n"
        "      deep: {er: [], good: [x], bad: {}}\n"
        "      $or: [{a: [{wildcard: \"**\"}]}, {b: 5}]\n"
        "      e: [x]\n"
        "      e: [y]\n"
        "      inner: {k: [1], k: [2]}\n",
        (const char *const[]){
            ("rules:5:14: when: a field takes a list of matchers or an object of fields: "
             "write [\"task.completed\"]"),
            ("rules:6:22: when: a field takes a list of matchers or an object of fields; a "
             "matcher stands in a list: [{\"prefix\": \"task.\"}]"),
            "rules:7:25: when: expected a number",
            "rules:7:36: when: there is no operator \"prefx\"", "rules:8:18: when: an empty list",
            "rules:8:38: when: an empty object", "rules:9:29: when: two '*' in a row",
            "rules:9:42: when: a field takes",
            "rules:11:7: when: the key \"e\" stands here twice (first in line 10)",
            "rules:12:23: when: the key \"k\" stands here twice", NULL});
}
END_TEST

START_TEST(a_tab_is_called_a_tab)
{
    assert_problems("rules:\n\t- name: a\n",
                    (const char *const[]){"rules:2:1: found character that "
                                          "cannot start any token",
                                          NULL});
    assert_problems("rules: # \xc3\xa9\n\t- name: a\n",
                    (const char *const[]){": a tab; YAML is indented with spaces", NULL});
}
END_TEST

START_TEST(a_file_that_is_no_rules_file_is_refused)
{
    static const char *const texts[] = {"",
                                        "5",
                                        "[]",
                                        "rules: 5",
                                        "rules:",
                                        "{}",
                                        "rules: [",
                                        "rules: []\nother: 1",
                                        "version: 2\nrules: []"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct rule_set *set = NULL;
        auto_problems struct problems problems = {0};
        ck_assert_msg(rule_set_parse(bytes_of_string(texts[i]), NULL, &set, &problems) ==
                          STATUS_INVALID,
                      "%s", texts[i]);
        ck_assert(!problems_empty(&problems));
    }
}
END_TEST

START_TEST(a_room_of_an_unknown_kind_is_refused)
{
    struct layout *layout = NULL;
    struct rule_set *set = NULL;
    auto_problems struct problems problems = {0};
    const struct layout_source source = {0};
    ck_assert_int_eq(layout_new(&source, &layout, &problems), STATUS_OK);
    ck_assert_int_eq(
        rule_set_parse(BYTES_LITERAL("rules: [{name: a, when: {e: [x]}, rooms: ['nobody:{x}']}]"),
                       layout, &set, &problems),
        STATUS_INVALID);
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_ptr_nonnull(strstr(problems.items[0].text, "nobody"));
    problems_deinit(&problems);
    problems = (struct problems){0};
    ck_assert_int_eq(
        rule_set_parse(
            BYTES_LITERAL("rules:\n"
                          "- {name: a, when: {e: [x]}, rooms: ['review:one']}\n"
                          "- {name: b, when: {e: [x]}, rooms: ['review:{x}']}\n"
                          "- {name: c, when: {e: [x]}, review: {queue: two, reason: r}}\n"),
            layout, &set, &problems),
        STATUS_INVALID);
    ck_assert_uint_eq(problems.count, 2);
    ck_assert_ptr_nonnull(strstr(problems.items[0].text, "review:one"));
    ck_assert_ptr_nonnull(strstr(problems.items[1].text, "review:two"));
    layout_free(layout);
}
END_TEST

START_TEST(durations_are_read)
{
    int64_t duration_ms = -1;
    ck_assert(rule_read_duration(BYTES_LITERAL("90s"), &duration_ms));
    ck_assert_int_eq(duration_ms, 90000);
    ck_assert(rule_read_duration(BYTES_LITERAL("2d"), &duration_ms));
    ck_assert_int_eq(duration_ms, INT64_C(2) * 86400000);
    ck_assert(rule_read_duration(BYTES_LITERAL("500ms"), &duration_ms));
    ck_assert_int_eq(duration_ms, 500);
    static const char *const bad[] = {
        "", "5", "m", "-5m", "5 m", "5M", "99999999999999999999s", "9999999999d"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!rule_read_duration(bytes_of_string(bad[i]), &duration_ms), "%s", bad[i]);
}
END_TEST

START_TEST(a_sample_is_stable_and_of_the_size_asked_for)
{
    struct rule rule = {.sample_salt = BYTES_LITERAL("a"), .sampled = true, .sample_rate = 0.05};
    struct rule other = {.sample_salt = BYTES_LITERAL("b"), .sampled = true, .sample_rate = 0.05};
    unsigned chosen = 0;
    unsigned both = 0;
    for (int i = 0; i < 20000; i++) {
        char id[16];
        int size = snprintf(id, sizeof(id), "event-%d", i);
        struct bytes subject = bytes_of(id, (size_t)size);
        bool picked = rule_samples(&rule, subject);
        ck_assert(picked == rule_samples(&rule, subject));
        chosen += picked;
        both += picked && rule_samples(&other, subject);
    }
    ck_assert_uint_gt(chosen, 800);
    ck_assert_uint_lt(chosen, 1200);
    ck_assert_uint_lt(both, 120); /* another rule picks others */
    rule.sample_rate = 0;
    ck_assert(!rule_samples(&rule, BYTES_LITERAL("x")));
    rule.sample_rate = 1;
    ck_assert(rule_samples(&rule, BYTES_LITERAL("x")));
}
END_TEST

/* What rules take beside their text, each with a template of its own. */
static size_t memory_of(unsigned count, size_t *text_size)
{
    auto_buffer struct buffer text = {0};
    auto_problems struct problems problems = {0};
    struct rule_set *set = NULL;
    buffer_append_string(&text, "rules: [");
    for (unsigned i = 0; i < count; i++)
        buffer_append_format(&text, "%s{name: r%u, when: {event: [e%u]}, rooms: ['task:{f%u}']}",
                             i == 0 ? "" : ",", i, i, i);
    buffer_append_string(&text, "]");
    *text_size = buffer_size(&text);
    ck_assert_int_eq(rule_set_parse(buffer_peek(&text), NULL, &set, &problems), STATUS_OK);
    size_t bytes = set->arena.total;
    rule_set_free(set);
    return bytes;
}

START_TEST(rules_take_memory_in_proportion_to_their_text)
{
    size_t few_text;
    size_t many_text;
    size_t few = memory_of(500, &few_text);
    size_t many = memory_of(5000, &many_text);
    ck_assert_msg(few < few_text * 30 && many < many_text * 30, "%zu of %zu, %zu of %zu", few,
                  few_text, many, many_text);
}
END_TEST

TEST_PROGRAM("rule_set", rules_know_which_kinds_of_rooms_they_tell_of_items, state_names_an_item,
             an_item_of_several_partitions_is_warned_of,
             wildcards_that_eventbridge_may_refuse_are_warned_of, every_problem_of_a_state_is_told,
             every_problem_of_a_shadow_is_told, every_problem_of_a_custom_event_is_told,
             every_problem_of_a_pattern_is_told_at_once, a_tab_is_called_a_tab,
             rules_take_memory_in_proportion_to_their_text, every_key_has_its_effect,
             the_revision_is_that_of_the_text, every_problem_is_told_at_once_with_its_place,
             a_file_that_is_no_rules_file_is_refused, a_room_of_an_unknown_kind_is_refused,
             durations_are_read, a_sample_is_stable_and_of_the_size_asked_for)
