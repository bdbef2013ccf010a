#include "rule_tests.h"

#include "pipeline_fixture.h"

#define RULE                                                                             \
    "rules:\n"                                                                           \
    "  - name: low\n"                                                                    \
    "    when: {event: [task.completed], data: {confidence: [{numeric: ['<', 0.8]}]}}\n" \
    "    rooms: ['task:{taskId}']\n"                                                     \
    "    sample: 0%\n"                                                                   \
    "    review: {queue: legal, reason: unsure}\n"                                       \
    "    tests:\n"                                                                       \
    "      - name: t\n"

#define GIVEN                                                                                  \
    "        given: {event: task.completed, taskId: '42', tenantId: acme, data: {confidence: " \
    "0.5}}\n"

/* The number of problems, the first one in `text`. */
static size_t run(const char *rules, struct buffer *text)
{
    struct fixture fixture;
    auto_problems struct problems problems = {0};
    fixture_open(&fixture, rules);
    ck_assert_uint_eq(rule_tests_run(fixture.rules, &fixture.settings, &problems), 1);
    buffer_clear(text);
    problems_render(&problems, "rules", text);
    buffer_append_byte(text, 0);
    fixture_close(&fixture);
    return problems.count;
}

START_TEST(what_is_as_expected_passes)
{
    auto_buffer struct buffer text = {0};
    ck_assert_uint_eq(
        run(RULE GIVEN
            "        expect:\n"
            "          - {type: task.status, rooms: ['task:42'], status: completed}\n"
            "          - {type: review.alert, queue: legal, reason: unsure,\n"
            "             rooms: ['review:legal', 'task:42'], data: {confidence: 0.50}}\n",
            &text),
        0);
    ck_assert_uint_eq(run(RULE "        given: {event: task.completed, data: {confidence: 0.8}}\n"
                               "        expect: []\n",
                          &text),
                      0);
}
END_TEST

#define ITEM_RULE                                                                      \
    "rules:\n"                                                                         \
    "  - name: low\n"                                                                  \
    "    when: {event: [task.completed]}\n"                                            \
    "    notify: [{rooms: ['task:{taskId}'], state: '{taskId}'},\n"                    \
    "      {rooms: ['tenant:{tenantId}'], state: {item: '{taskId}', remove: true}}]\n" \
    "    tests:\n"                                                                     \
    "      - name: t\n"

START_TEST(an_item_can_be_expected)
{
    auto_buffer struct buffer text = {0};
    ck_assert_uint_eq(
        run(ITEM_RULE GIVEN
            "        expect:\n"
            "          - {rooms: ['task:42'], item: {key: '42'}}\n"
            "          - {rooms: ['tenant:acme'], item: {key: '42', removed: true}}\n",
            &text),
        0);
    ck_assert_uint_eq(
        run(ITEM_RULE GIVEN "        expect: [{item: {key: '43'}}, {item: {key: '42'}}]\n", &text),
        2);
}
END_TEST

#define CUSTOM_RULE                                                                           \
    "rules:\n"                                                                                \
    "  - name: low\n"                                                                         \
    "    when: {event: [task.completed]}\n"                                                   \
    "    notify: [{type: custom, event: a.done, rooms: ['task:{taskId}'], data: {n: 1.0}},\n" \
    "      {type: custom, event: a.done, rooms: ['tenant:{tenantId}']}]\n"                    \
    "    tests:\n"                                                                            \
    "      - name: t\n"

START_TEST(a_custom_event_can_be_expected)
{
    auto_buffer struct buffer text = {0};
    ck_assert_uint_eq(run(CUSTOM_RULE GIVEN
                          "        expect:\n"
                          "          - {type: custom, event: a.done, rooms: ['task:42'], "
                          "data: {n: 1}}\n"
                          "          - {type: custom, event: a.done, rooms: ['tenant:acme'], "
                          "data: {confidence: 0.5}}\n",
                          &text),
                      0);
    ck_assert_uint_eq(run(CUSTOM_RULE GIVEN
                          "        expect: [{event: a.other}, {data: {confidence: 1}}]\n",
                          &text),
                      2);
}
END_TEST

START_TEST(what_is_otherwise_is_told_with_its_place)
{
    static const char *const cases[][2] = {
        {"        expect: []\n", "rules:8:9: rule low, test t: 2 notifications instead of 0"},
        {"        expect: [{}, {queue: other}]\n", "`queue` is not as expected"},
        {"        expect: [{rooms: ['task:43']}, {}]\n", "`rooms` is not as expected"},
        {"        expect: [{rooms: []}, {}]\n", "`rooms` is not as expected"},
        {"        expect: [{type: notification}, {}]\n", "`type` is not as expected"},
        {"        expect: [{data: {confidence: 0.51}}, {}]\n", "`data` is not as expected"},
        {"        expect: [{data: {}}, {}]\n", "`data` is not as expected"},
        {"        expect: [{nothing: 1}, {}]\n", "`nothing` is not as expected"},
        {"        expect: [5, {}]\n", "is a mapping"},
    };
    auto_buffer struct buffer text = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_buffer struct buffer rules = {0};
        buffer_append_string(&rules, RULE GIVEN);
        buffer_append_string(&rules, cases[i][0]);
        buffer_append_byte(&rules, 0);
        ck_assert_uint_eq(run((const char *)buffer_peek(&rules).data, &text), 1);
        ASSERT_HAS((const char *)buffer_peek(&text).data, cases[i][1]);
    }
}
END_TEST

TEST_PROGRAM("rule_tests", a_custom_event_can_be_expected, an_item_can_be_expected,
             what_is_as_expected_passes, what_is_otherwise_is_told_with_its_place)
