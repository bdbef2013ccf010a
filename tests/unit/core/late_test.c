/* Events out of order: which of their notifications are told, and with what. */
#include <stdio.h>

#include "pipeline_fixture.h"

static const struct partition_state_settings remembers = {
    .reviews_per_task = 1, .order_window_ms = 60000, .order_items = 100};

static const struct pipeline_settings audited = {.limits = PIPELINE_LIMITS_DEFAULT,
                                                 .dead_letter_topic = "dead",
                                                 .audit_topic = "audit",
                                                 .audit = AUDIT_ALL};

static void open_with_state(struct fixture *fixture, const char *rules,
                            const struct pipeline_settings *settings)
{
    fixture_open_with(fixture, rules, settings);
    fixture->state = partition_state_new(&remembers, 0);
}

static void open_ordered(struct fixture *fixture, const char *rules)
{
    const struct pipeline_settings settings = {.limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead"};
    open_with_state(fixture, rules, &settings);
}

/* An event of task 42, of this name and with these members more; how many notifications it made. */
static size_t tell(struct fixture *fixture, const char *name, const char *members)
{
    char text[512];
    snprintf(text, sizeof(text),
             "{\"event\":\"%s\",\"tenantId\":\"acme\",\"taskId\":\"42\",\"userId\":\"u\"%s%s}",
             name, *members ? "," : "", members);
    fixture_feed(fixture, text);
    return fixture->batch.output_count;
}

static uint64_t late(const struct fixture *fixture)
{
    return fixture->batch.counts.room_skips[ROOM_SKIP_LATE];
}

static void assert_skipped(const struct fixture *fixture, enum room_skip reason, const char *room,
                           const char *problem)
{
    ck_assert_uint_eq(fixture->decision.skipped_count, 1);
    const struct skipped_room *skipped = fixture->decision.skipped;
    ck_assert_int_eq(skipped->reason, reason);
    ck_assert_msg(bytes_equal_string(skipped->room, room), "%.*s", BYTES_PRINT(skipped->room));
    ck_assert_msg(bytes_equal_string(skipped->problem, problem), "%.*s",
                  BYTES_PRINT(skipped->problem));
}

static const char plain_rules[] =
    "rules:\n"
    "  - {name: show, when: {event: [a]}, notify: {rooms: ['task:{taskId}'], "
    "state: {item: '{taskId}', order: '{seq}'}}}\n"
    "  - {name: over, when: {event: [r]}, notify: {rooms: ['task:{taskId}'], "
    "state: {item: '{taskId}', order: '{seq}', remove: true}}}\n";

START_TEST(what_is_older_than_the_last_is_left_out)
{
    struct fixture fixture;
    open_ordered(&fixture, plain_rules);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 0);
    ck_assert_uint_eq(late(&fixture), 1);
    ck_assert_uint_eq(fixture.batch.counts.matched, 1);
    assert_skipped(&fixture, ROOM_SKIP_LATE, "42", "its order 4 is before 5, which was told");
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 1); /* what is equal is not late */
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":\"6\""), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 0);
    /* Another item, and an item of another tenant. */
    fixture_feed(&fixture, "{\"event\":\"a\",\"tenantId\":\"acme\",\"taskId\":\"43\",\"seq\":1}");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    fixture_feed(&fixture, "{\"event\":\"a\",\"tenantId\":\"globex\",\"taskId\":\"42\",\"seq\":1}");
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    /* Until its window has passed. */
    fixture.later_ms = remembers.order_window_ms;
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":1"), 1);
    fixture_close(&fixture);
}
END_TEST

/* A clock that is wrong makes an order wrong and the record's time as well. */
START_TEST(a_wrong_clock_counts_for_one_window)
{
    struct fixture fixture;
    open_ordered(&fixture, plain_rules);
    fixture_set_time(&fixture, 0);
    fixture.later_ms = INT64_C(365) * 86400000;
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":9000"), 1);
    fixture.later_ms = remembers.order_window_ms - 1;
    fixture_set_time(&fixture, fixture.later_ms);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":6"), 0);
    fixture.later_ms = remembers.order_window_ms;
    fixture_set_time(&fixture, fixture.later_ms);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":6"), 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_was_removed_does_not_come_back)
{
    struct fixture fixture;
    open_ordered(&fixture, plain_rules);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":1"), 1);
    ck_assert_uint_eq(tell(&fixture, "r", "\"seq\":5"), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 0);
    ck_assert_uint_eq(late(&fixture), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":6"), 1); /* begun again */
    ck_assert_uint_eq(tell(&fixture, "r", "\"seq\":5"), 0);
    fixture_close(&fixture);
}
END_TEST

START_TEST(times_are_orders_too)
{
    struct fixture fixture;
    open_ordered(&fixture, "rules: [{name: t, when: {event: [a]}, notify: {rooms: "
                           "['task:{taskId}'], state: {item: '{taskId}', order: '{at}'}}}]");
    ck_assert_uint_eq(tell(&fixture, "a", "\"at\":\"2026-03-02T09:00:00.002+01:00\""), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"at\":\"2026-03-02T08:00:00.001Z\""), 0);
    assert_skipped(&fixture, ROOM_SKIP_LATE, "42",
                   "its order 2026-03-02T08:00:00.001Z is before 2026-03-02T08:00:00.002Z, which "
                   "was told");
    ck_assert_uint_eq(tell(&fixture, "a", "\"at\":\"2026-03-02T08:00:00.003Z\""), 1);
    /* A number and a time have no order between them: the last one counts. */
    ck_assert_uint_eq(tell(&fixture, "a", "\"at\":7"), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"at\":6"), 0);
    ck_assert_uint_eq(tell(&fixture, "a", "\"at\":\"2026-03-02T08:00:00Z\""), 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(an_order_that_is_none_is_told_and_nothing_is_remembered)
{
    static const struct {
        const char *members;
        const char *problem;
    } cases[] = {
        {"", "the event has no seq"},
        {"\"seq\":null", "the event has no seq"},
        {"\"seq\":[9]", "the event has no seq"},
        {"\"seq\":\"\"", "it is neither a whole number of 64 bits nor a time (RFC 3339)"},
        {"\"seq\":9.5", "it is neither a whole number of 64 bits nor a time (RFC 3339)"},
        {"\"seq\":9e18", "it is neither a whole number of 64 bits nor a time (RFC 3339)"},
        {"\"seq\":9223372036854775808",
         "it is neither a whole number of 64 bits nor a time (RFC 3339)"},
        {"\"seq\":\"9\\u0000\"", "a field holds U+0000 or half a surrogate pair"},
    };
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    open_ordered(&fixture, plain_rules);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_uint_eq(tell(&fixture, "a", cases[i].members), 1);
        ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"item\":{\"key\":\"42\"}");
        ck_assert_uint_eq(fixture.batch.counts.room_skips[ROOM_SKIP_ORDER], 1);
        assert_skipped(&fixture, ROOM_SKIP_ORDER, "{seq}", cases[i].problem);
    }
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":1"), 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(missing_says_what_becomes_of_an_order)
{
    struct fixture fixture;
    open_ordered(&fixture,
                 "rules: [{name: t, missing: dead-letter, when: {event: [a]}, notify: "
                 "{rooms: ['task:{taskId}'], state: {item: '{taskId}', order: '{seq}'}}}]");
    tell(&fixture, "a", "");
    ck_assert(fixture.decision.dead);
    ck_assert_int_eq(fixture.decision.reason, DEAD_FIELD_MISSING);
    ASSERT_HAS(fixture.decision.problem, "needs seq");
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_is_late_is_marked_and_about_no_item)
{
    struct fixture fixture;
    auto_buffer struct buffer json = {0};
    open_with_state(&fixture,
                    "rules:\n"
                    "  - {name: m, when: {event: [a]}, notify: {rooms: ['task:{taskId}'], state: "
                    "{item: '{taskId}', order: '{seq}', late: mark, remove: true}}}\n"
                    "  - {name: n, when: {event: [a]}, rooms: ['task:{taskId}']}\n",
                    &audited);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 3);
    ck_assert_ptr_null(strstr(fixture_json(&fixture, 0, &json), "late"));
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 3);
    ck_assert_uint_eq(late(&fixture), 1);
    const char *text = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(text, "\"rules\":[\"m\"]");
    ASSERT_HAS(text, ",\"late\":true,\"taskStatus\":{");
    ck_assert_ptr_null(strstr(text, "\"item\""));
    ck_assert_uint_eq(fixture_header(&fixture.batch.outputs[0], "item").size, 0);
    /* Another notification than that of the rule which names no item. */
    ASSERT_HAS(fixture_json(&fixture, 1, &json), "\"rules\":[\"n\"]");
    ck_assert_ptr_null(strstr(fixture_json(&fixture, 1, &json), "late"));
    ck_assert(!bytes_equal(bytes_of(fixture.batch.outputs[0].value.data + 2, 32),
                           bytes_of(fixture.batch.outputs[1].value.data + 2, 32)));
    const struct bytes audit = fixture.batch.outputs[2].value;
    ck_assert(bytes_contain(audit,
                            "\"skipped\":[{\"rule\":\"m\",\"room\":\"42\",\"reason\":\"late\","
                            "\"problem\":\"its order 4 is before 5, which was told\"}]"));
    ck_assert(bytes_contain(audit, ",\"late\":true},{"));
    /* It is not remembered: what is between is late as well. */
    tell(&fixture, "a", "\"seq\":4");
    ck_assert_uint_eq(late(&fixture), 1);
    fixture_close(&fixture);
}
END_TEST

/* None of an event's notifications makes another one late, whatever their orders. */
START_TEST(the_notifications_of_an_event_are_judged_alike)
{
    struct fixture fixture;
    open_ordered(&fixture,
                 "rules:\n"
                 "  - {name: a, when: {event: [a]}, notify: {rooms: ['task:{taskId}'], state: "
                 "{item: '{taskId}', order: '{seq}'}}}\n"
                 "  - {name: b, when: {event: [a]}, notify: {type: notification, title: t, rooms: "
                 "['task:{taskId}'], state: {item: '{taskId}', order: '{other}'}}}\n"
                 "  - {name: c, when: {event: [a]}, notify: {rooms: ['user:{userId}'], state: "
                 "{item: '{taskId}', order: '{other}'}}}\n");
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5,\"other\":3"), 2);
    ck_assert_uint_eq(late(&fixture), 0);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5,\"other\":4"), 1); /* the greatest counts */
    ck_assert_uint_eq(late(&fixture), 2);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":1,\"other\":8"), 2);
    ck_assert_uint_eq(late(&fixture), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":7,\"other\":8"), 2);
    ck_assert_uint_eq(late(&fixture), 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(what_told_nobody_makes_nothing_late)
{
    struct fixture fixture;
    open_ordered(&fixture,
                 "rules:\n"
                 "  - {name: a, when: {event: [a]}, notify: {rooms: ['user:{data.who}'], state: "
                 "{item: '{taskId}', order: '{seq}'}}}\n"
                 "  - {name: b, missing: dead-letter, when: {event: [a], bad: [true]}, rooms: "
                 "['task:{data.none}']}\n");
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5,\"data\":{}"), 0); /* no room */
    tell(&fixture, "a", "\"seq\":6,\"bad\":true,\"data\":{\"who\":\"x\"}");
    ck_assert(fixture.decision.dead);
    ck_assert(!item_orders_are_changed(partition_state_orders(fixture.state)));
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4,\"data\":{\"who\":\"x\"}"), 1);
    fixture_close(&fixture);
}
END_TEST

/* A batch that was aborted is judged as before. */
START_TEST(what_was_rolled_back_makes_nothing_late)
{
    struct fixture fixture;
    open_ordered(&fixture, plain_rules);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":3"), 1);
    partition_state_commit(fixture.state);
    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 1);
        ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 0);
        ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":2"), 0);
        partition_state_rollback(fixture.state);
    }
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 1);
    fixture_close(&fixture);
}
END_TEST

START_TEST(without_an_order_nothing_is_late_or_kept)
{
    struct fixture fixture;
    open_ordered(&fixture, "rules: [{name: t, when: {event: [a]}, notify: {rooms: "
                           "['task:{taskId}'], state: '{taskId}'}}]");
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 1);
    ck_assert(!item_orders_are_changed(partition_state_orders(fixture.state)));
    fixture_close(&fixture);
    /* Nor without a memory. */
    fixture_open(&fixture, plain_rules);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":5"), 1);
    ck_assert_uint_eq(tell(&fixture, "a", "\"seq\":4"), 1);
    fixture_close(&fixture);
}
END_TEST

TEST_PROGRAM("late", what_is_older_than_the_last_is_left_out, a_wrong_clock_counts_for_one_window,
             what_was_removed_does_not_come_back, times_are_orders_too,
             an_order_that_is_none_is_told_and_nothing_is_remembered,
             missing_says_what_becomes_of_an_order, what_is_late_is_marked_and_about_no_item,
             the_notifications_of_an_event_are_judged_alike, what_told_nobody_makes_nothing_late,
             what_was_rolled_back_makes_nothing_late, without_an_order_nothing_is_late_or_kept)
