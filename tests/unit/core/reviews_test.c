/* Reviews from their alert to the decision: the state machine, the records of the log, what is
 * remembered, and what the pipeline makes of each. */
#include "reviews.h"

#include <stdio.h>

#include "json.h"
#include "review_fixture.h"

/* --- The state machine --- */

#define ROOM BYTES_LITERAL("review:legal")

static struct review_subject subject_of(bool self)
{
    return (struct review_subject){
        .tenant = BYTES_LITERAL("acme"),
        .task = BYTES_LITERAL("42"),
        .user = BYTES_LITERAL("owner"),
        .queue = BYTES_LITERAL("legal"),
        .rooms = {ROOM, BYTES_LITERAL("task:42")},
        .room_count = 2,
        .decisions = {BYTES_LITERAL("approve"), BYTES_LITERAL("reject")},
        .decision_count = 2,
        .self = self,
    };
}

static struct review_command command_of(enum review_act act, const char *actor, uint32_t version)
{
    return (struct review_command){.act = act,
                                   .actor = bytes_of_string(actor),
                                   .version = version,
                                   .tenant = BYTES_LITERAL("acme"),
                                   .room = ROOM,
                                   .command = BYTES_LITERAL("c1"),
                                   .decision = BYTES_LITERAL("approve")};
}

START_TEST(a_command_is_accepted_by_version_and_state)
{
    static const struct {
        const char *by; /* NULL: open */
        enum review_act act;
        const char *actor;
        uint32_t version; /* the review's is 5 */
        bool take;
        enum review_outcome outcome;
        enum review_state state;
    } cases[] = {
        {NULL, REVIEW_CLAIM, "ann", 5, false, REVIEW_ACCEPTED, REVIEW_CLAIMED},
        {NULL, REVIEW_CLAIM, "ann", 4, false, REVIEW_STALE, REVIEW_OPEN},
        {NULL, REVIEW_CLAIM, "ann", 6, false, REVIEW_STALE, REVIEW_OPEN},
        {NULL, REVIEW_CLAIM, "owner", 5, false, REVIEW_REFUSED_OWN_TASK, REVIEW_OPEN},
        {NULL, REVIEW_RELEASE, "ann", 5, false, REVIEW_REFUSED_NOT_CLAIMED, REVIEW_OPEN},
        {NULL, REVIEW_DECIDE, "ann", 5, false, REVIEW_ACCEPTED, REVIEW_DECIDED},
        {NULL, REVIEW_DECIDE, "owner", 5, false, REVIEW_REFUSED_OWN_TASK, REVIEW_OPEN},
        {"ann", REVIEW_CLAIM, "ann", 5, false, REVIEW_REPEATED, REVIEW_CLAIMED},
        {"ann", REVIEW_CLAIM, "ann", 4, false, REVIEW_REPEATED, REVIEW_CLAIMED},
        {"ann", REVIEW_CLAIM, "ann", 3, false, REVIEW_STALE, REVIEW_CLAIMED},
        {"ann", REVIEW_CLAIM, "bob", 4, false, REVIEW_STALE, REVIEW_CLAIMED},
        {"ann", REVIEW_CLAIM, "bob", 4, true, REVIEW_STALE, REVIEW_CLAIMED},
        {"ann", REVIEW_CLAIM, "bob", 5, false, REVIEW_REFUSED_CLAIMED, REVIEW_CLAIMED},
        {"ann", REVIEW_CLAIM, "bob", 5, true, REVIEW_ACCEPTED, REVIEW_CLAIMED},
        {"ann", REVIEW_RELEASE, "bob", 5, true, REVIEW_REFUSED_CLAIMED, REVIEW_CLAIMED},
        {"ann", REVIEW_RELEASE, "ann", 5, false, REVIEW_ACCEPTED, REVIEW_OPEN},
        {"ann", REVIEW_RELEASE, "ann", 4, false, REVIEW_STALE, REVIEW_CLAIMED},
        {"ann", REVIEW_DECIDE, "bob", 5, true, REVIEW_REFUSED_CLAIMED, REVIEW_CLAIMED},
        {"ann", REVIEW_DECIDE, "ann", 5, false, REVIEW_ACCEPTED, REVIEW_DECIDED},
        {"ann", REVIEW_DECIDE, "ann", 4, false, REVIEW_STALE, REVIEW_CLAIMED},
    };
    const struct review_subject subject = subject_of(false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct review_status now = {.state = cases[i].by ? REVIEW_CLAIMED : REVIEW_OPEN,
                                          .version = 5,
                                          .by = bytes_of_string(cases[i].by)};
        struct review_command command = command_of(cases[i].act, cases[i].actor, cases[i].version);
        struct review_status after;
        command.take = cases[i].take;
        enum review_outcome outcome = review_judge(&now, &subject, &command, &after);
        ck_assert_msg(outcome == cases[i].outcome, "case %zu: %s", i, review_outcome_name(outcome));
        ck_assert_int_eq(after.state, cases[i].state);
        ck_assert_uint_eq(after.version, outcome == REVIEW_ACCEPTED ? 6 : 5);
        if (outcome == REVIEW_ACCEPTED && after.state != REVIEW_OPEN)
            ck_assert(bytes_equal_string(after.by, cases[i].actor));
        else if (after.state == REVIEW_OPEN)
            ck_assert_uint_eq(after.by.size, 0);
    }
}
END_TEST

START_TEST(who_may_not_command_changes_nothing)
{
    const struct review_status now = {.state = REVIEW_OPEN, .version = 1};
    struct review_subject subject = subject_of(false);
    struct review_status after;
    struct review_command command = command_of(REVIEW_DECIDE, "ann", 1);
    command.decision = BYTES_LITERAL("delete");
    ck_assert_int_eq(review_judge(&now, &subject, &command, &after), REVIEW_REFUSED_DECISION);
    command = command_of(REVIEW_DECIDE, "ann", 1);
    command.tenant = BYTES_LITERAL("other");
    ck_assert_int_eq(review_judge(&now, &subject, &command, &after), REVIEW_FOREIGN);
    command = command_of(REVIEW_DECIDE, "ann", 1);
    command.room = BYTES_LITERAL("task:42"); /* is told of it, and is not its queue's */
    ck_assert_int_eq(review_judge(&now, &subject, &command, &after), REVIEW_FOREIGN);
    command = command_of(REVIEW_DECIDE, "owner", 1);
    subject = subject_of(true);
    ck_assert_int_eq(review_judge(&now, &subject, &command, &after), REVIEW_ACCEPTED);
    const struct review_status last = {.state = REVIEW_OPEN, .version = UINT32_MAX - 1};
    command = command_of(REVIEW_CLAIM, "ann", UINT32_MAX - 1);
    ck_assert_int_eq(review_judge(&last, &subject, &command, &after), REVIEW_STALE);
}
END_TEST

/* --- What is remembered --- */

static struct review_id id_of(uint64_t task, uint64_t instance)
{
    return (struct review_id){.task = {.high = task, .low = ~task}, .instance = instance};
}

static unsigned emitted, forgotten;

static void count_emitted(void *context, struct review_id id, const struct review *review)
{
    (void)context;
    (void)id;
    emitted++;
    forgotten += review == NULL;
}

START_TEST(changes_are_undone_until_they_are_committed)
{
    const struct reviews_limits limits = {.tasks = 2, .per_task = 2};
    struct reviews *reviews = reviews_new(&limits, 7);
    const struct bytes text = BYTES_LITERAL("{}");
    struct review_status status = {
        .state = REVIEW_CLAIMED, .version = 2, .by = BYTES_LITERAL("ann")};
    ck_assert(reviews_open(reviews, id_of(1, 1), text, 0));
    ck_assert(reviews_open(reviews, id_of(1, 2), text, 0));
    ck_assert(!reviews_open(reviews, id_of(1, 3), text, 0)); /* of one task */
    ck_assert(reviews_open(reviews, id_of(2, 1), text, 0));
    ck_assert(!reviews_open(reviews, id_of(3, 1), text, 0)); /* tasks */
    reviews_commit(reviews);
    ck_assert(!reviews_are_changed(reviews));
    ck_assert_uint_eq(reviews_count(reviews), 3);

    reviews_set(reviews, id_of(1, 1), &status, 0);
    status = (struct review_status){.state = REVIEW_OPEN, .version = 3};
    reviews_set(reviews, id_of(1, 1), &status, 0);
    status = (struct review_status){.state = REVIEW_DECIDED, .version = 4};
    reviews_set(reviews, id_of(1, 1), &status, 0);
    ck_assert(reviews_open(reviews, id_of(1, 9), text, 0)); /* in the place that is free now */
    status.version = 2;
    reviews_set(reviews, id_of(1, 9), &status, 0); /* came and went */
    ck_assert_ptr_null(reviews_find(reviews, id_of(1, 1)));
    emitted = forgotten = 0;
    reviews_flush(reviews, count_emitted, NULL);
    ck_assert_uint_eq(emitted, 2);
    ck_assert_uint_eq(forgotten, 2);
    reviews_rollback(reviews);
    ck_assert(!reviews_are_changed(reviews));
    ck_assert_uint_eq(reviews_count(reviews), 3);
    ck_assert_uint_eq(reviews_find(reviews, id_of(1, 1))->status.version, 1);
    ck_assert_ptr_null(reviews_find(reviews, id_of(1, 9)));

    status = (struct review_status){.state = REVIEW_CLOSED, .version = 2};
    for (const struct review *review; (review = reviews_find_of_task(reviews, id_of(1, 0).task));)
        reviews_set(reviews, review->id, &status, 0);
    reviews_commit(reviews);
    ck_assert_uint_eq(reviews_count(reviews), 1);
    ck_assert_ptr_null(reviews_find_of_task(reviews, id_of(1, 0).task));
    reviews_free(reviews);
}
END_TEST

/* --- The pipeline --- */

START_TEST(a_review_lives_from_its_alert_to_the_decision)
{
    auto_buffer struct buffer json = {0};
    char id[REVIEW_ID_SIZE + 1];
    char command[300];
    start();
    open_one("42", "legal", id);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
    const char *update = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(update, "\"state\":\"open\"");
    ASSERT_HAS(update, "\"version\":1");
    ASSERT_HAS(update, "\"title\":\"Look at 42\"");
    ASSERT_HAS(update, "\"rooms\":[\"review:legal\"]");
    ASSERT_HAS(update, "\"decisions\":[\"approve\",\"reject\",\"edit\"]");
    ASSERT_HAS(update, id);
    ck_assert_int_eq(fixture.batch.outputs[1].kind, OUTPUT_ITEM);
    ASSERT_HAS(fixture_json(&fixture, 2, &json), "\"rooms\":[\"task:42\",\"user:owner\"]");

    snprintf(command, sizeof(command), "{\"review\":\"%s\",\"version\":1}", id);
    feed_command("review.claim", "ann", "review:legal", command);
    update = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(update, "\"state\":\"claimed\",\"by\":\"ann\",\"command\":\"command-1\"");
    ASSERT_HAS(update, "\"item\":{\"key\":\"");
    ASSERT_HAS(update, "\"decisions\":[\"approve\",");
    feed_command("review.claim", "bob", "review:legal", command);
    ck_assert_uint_eq(fixture.batch.output_count, 0); /* the winner's update is the answer */
    ck_assert_uint_eq(counted(REVIEW_STALE), 1);
    feed_command("review.claim", "ann", "review:legal", command);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_uint_eq(counted(REVIEW_REPEATED), 1);

    snprintf(command, sizeof(command), "{\"review\":\"%s\",\"version\":2,\"decision\":\"edit\"}",
             id);
    feed_command("review.decide", "bob", "review:legal", command);
    ck_assert_uint_eq(counted(REVIEW_REFUSED_CLAIMED), 1);
    ASSERT_HAS(fixture_json(&fixture, 0, &json),
               "\"command\":\"command-1\",\"by\":\"bob\",\"reason\":\"claimed\"");
    ck_assert_uint_eq(fixture.batch.counts.reviews_decided, 0);

    snprintf(
        command, sizeof(command),
        "{\"review\":\"%s\",\"version\":2,\"decision\":\"edit\",\"comment\":\"page \\\"3\\\"\","
        "\"data\":{\"a\":[1.10]}}",
        id);
    feed_command("review.decide", "ann", "review:legal", command);
    update = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(update, "\"removed\":true");
    ASSERT_HAS(update, "\"state\":\"decided\"");
    ASSERT_HAS(update, "\"decision\":\"edit\"");
    ck_assert_ptr_null(strstr(update, "decisions")); /* nothing may be decided any more */
    ck_assert_ptr_null(strstr(update, "page"));      /* stands in the decision alone */
    const struct output *decision = &fixture.batch.outputs[fixture.batch.output_count - 1];
    ck_assert_str_eq(decision->topic, "reviews.decisions");
    ck_assert(bytes_equal_string(decision->key, "42"));
    snprintf(command, sizeof(command), "%s.3", id);
    ck_assert(bytes_equal_string(fixture_header(decision, "ce_id"), command));
    ck_assert(bytes_equal_string(fixture_header(decision, "ce_userid"), "owner"));
    ck_assert(bytes_contain(decision->value,
                            "\"version\":3,\"decision\":\"edit\",\"comment\":\"page \\\"3\\\"\","
                            "\"by\":\"ann\",\"queue\":\"legal\""));
    ck_assert(bytes_contain(decision->value, "\"data\":{\"a\":[1.10]}"));
    ck_assert_uint_eq(partition_state_living_count(home), 0);
    feed_command("review.decide", "ann", "review:legal", "{}");
    ck_assert_uint_eq(counted(REVIEW_MALFORMED), 1);
    finish();
}
END_TEST

/* A batch of events is one record, and may open, close and open again. */
START_TEST(each_opening_in_a_record_is_a_review_of_its_own)
{
    char ids[2][REVIEW_ID_SIZE + 1];
    start();
    int64_t offset = fixture.offset;
    open_one("tsk_1", "legal", ids[0]);
    fixture_feed(&fixture, event("review.completed", "tsk_1", "{}"));
    static struct kept opening;
    fixture.offset = offset;
    fixture_feed(&fixture,
                 "{\"event\":\"task.completed\",\"id\":\"again\",\"taskId\":\"tsk_1\","
                 "\"tenantId\":\"acme\",\"userId\":\"owner\",\"data\":{\"queue\":\"legal\"}}");
    ck_assert_uint_eq(keep_openings(&opening, 1), 1);
    snprintf(ids[1], sizeof(ids[1]), "%.*s", BYTES_PRINT(opening.headers[2].value));
    ck_assert_str_ne(ids[0], ids[1]);
    finish();
}
END_TEST

START_TEST(the_backend_closes_what_is_open_of_its_task)
{
    static struct kept closing;
    char one[REVIEW_ID_SIZE + 1], two[REVIEW_ID_SIZE + 1], other[REVIEW_ID_SIZE + 1];
    auto_buffer struct buffer json = {0};
    start();
    open_one("42", "legal", one);
    open_one("42", "finance", two); /* another queue is another review */
    ck_assert_str_ne(one, two);
    ck_assert(memcmp(one, two, REVIEW_HOME_SIZE) == 0);
    open_one("43", "legal", other);
    ck_assert_uint_eq(partition_state_living_count(home), 3);
    fixture_feed(&fixture, event("review.completed", "42", "null"));
    ck_assert_uint_eq(keep_openings(&closing, 1), 1);
    feed_log(&closing.record);
    ck_assert_uint_eq(fixture.batch.counts.reviews_closed, 2);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"state\":\"closed\"");
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"removed\":true");
    ck_assert_uint_eq(partition_state_living_count(home), 1);
    feed_log(&closing.record);
    ck_assert_uint_eq(counted(REVIEW_UNKNOWN), 1);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    finish();
}
END_TEST

START_TEST(what_comes_late_or_from_elsewhere_is_void)
{
    char id[REVIEW_ID_SIZE + 1];
    char command[300];
    start();
    open_one("42", "legal", id);
    snprintf(command, sizeof(command), "{\"review\":\"%s\",\"version\":1}", id);
    feed_command("review.claim", "ann", "review:finance", command);
    ck_assert_uint_eq(counted(REVIEW_FOREIGN), 1);
    pipeline_set_log_time(fixture.pipeline, 1772438516419 + 30001);
    feed_command("review.claim", "ann", "review:legal", command);
    ck_assert_uint_eq(counted(REVIEW_VOID), 1);
    pipeline_set_log_time(fixture.pipeline, 1772438516419 + 30000);
    feed_command("review.claim", "ann", "review:legal", command);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
    /* An opening is what happened and not what somebody means: it is never late. */
    pipeline_set_log_time(fixture.pipeline, 1772438516419 + 1000000);
    char late[REVIEW_ID_SIZE + 1];
    open_one("43", "legal", late);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
    finish();
}
END_TEST

START_TEST(beyond_the_limits_an_alert_has_no_life)
{
    static char data[6000];
    char id[REVIEW_ID_SIZE + 1];
    auto_buffer struct buffer json = {0};
    struct kept none;
    start();
    open_one("1", "legal", id);
    open_one("2", "legal", id);
    open_one("3", "legal", id);
    ck_assert_uint_eq(counted(REVIEW_REFUSED_LIMIT), 1);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"reason\":\"limit\"");
    ck_assert_uint_eq(partition_state_living_count(home), 2);
    /* What it is about is longer than is kept of it. */
    memset(data, 'x', 5000);
    memcpy(data, "{\"queue\":\"legal\",\"why\":\"", 24);
    strcpy(data + 5000, "\"}");
    fixture_feed(&fixture, event("task.completed", "4", data));
    ck_assert_uint_eq(counted(REVIEW_REFUSED_LIMIT), 1);
    ck_assert_uint_eq(keep_openings(&none, 0), 0);
    ck_assert_ptr_null(strstr(fixture_json(&fixture, 0, &json), "reviewId"));
    /* Nobody could command it: its queue has no room. */
    fixture_feed(&fixture, event("task.completed", "5", "{\"queue\":\"nobody\"}"));
    ck_assert_uint_eq(keep_openings(&none, 0), 0);
    /* And without a log nothing has. */
    pipeline_keep_reviews(fixture.pipeline, false);
    fixture_feed(&fixture, event("task.completed", "6", "{\"queue\":\"legal\"}"));
    ck_assert_uint_eq(keep_openings(&none, 0), 0);
    fixture_feed(&fixture, event("review.completed", "6", "null"));
    ck_assert_uint_eq(keep_openings(&none, 0), 0);
    finish();
}
END_TEST

/* The topic is Kafka's: anything may stand in it. */
START_TEST(odd_records_of_the_log_are_counted_and_passed_over)
{
    static const struct {
        const char *type, *actor, *json;
    } cases[] = {
        {"review.nonsense", "ann", "{}"},
        {"review.opened", "ann", "{}"},
        {"review.closed", "ann", "{}"},
        {"review.claim", "", "{\"review\":\"%s\",\"version\":1}"},
        {"review.claim", "a\nb", "{\"review\":\"%s\",\"version\":1}"},
        {"review.claim", "ann", ""},
        {"review.claim", "ann", "[]"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":1} 1"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":0}"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":-1}"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":1.0}"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":4294967296}"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":\"1\"}"},
        {"review.claim", "ann", "{\"review\":\"%s\",\"version\":1,\"take\":1}"},
        {"review.claim", "ann", "{\"review\":\"%sx\",\"version\":1}"},
        {"review.claim", "ann", "{\"review\":7,\"version\":1}"},
        {"review.decide", "ann", "{\"review\":\"%s\",\"version\":1}"},
        {"review.decide", "ann", "{\"review\":\"%s\",\"version\":1,\"decision\":\"\\u0000\"}"},
    };
    char id[REVIEW_ID_SIZE + 1];
    static char json[REVIEW_COMMAND_LIMIT + 100];
    start();
    open_one("42", "legal", id);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *mark = strstr(cases[i].json, "%s");
        snprintf(json, sizeof(json), "%.*s%s%s",
                 (int)(mark ? mark - cases[i].json : (ptrdiff_t)strlen(cases[i].json)),
                 cases[i].json, mark ? id : "", mark ? mark + 2 : "");
        feed_command(cases[i].type, cases[i].actor, "review:legal", json);
        ck_assert_msg(counted(REVIEW_MALFORMED) == 1, "case %zu: %s", i, json);
        ck_assert_uint_eq(fixture.batch.output_count, 0);
    }
    snprintf(json, sizeof(json), "{\"review\":\"%s\",\"version\":1,\"comment\":\"", id);
    size_t size = strlen(json);
    memset(json + size, 'c', REVIEW_COMMAND_LIMIT - size - 1);
    strcpy(json + REVIEW_COMMAND_LIMIT - 1, "\"}"); /* one byte too many */
    feed_command("review.claim", "ann", "review:legal", json);
    ck_assert_uint_eq(counted(REVIEW_MALFORMED), 1);
    strcpy(json + REVIEW_COMMAND_LIMIT - 2, "\"}");
    feed_command("review.claim", "ann", "review:legal", json);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
    finish();
}
END_TEST

/* --- The changelog --- */

struct changelog {
    uint8_t keys[8][64];
    size_t key_sizes[8];
    uint8_t values[8][1000];
    size_t value_sizes[8];
    bool has_value[8];
    size_t count;
};

static void keep_change(void *context, struct bytes key, struct bytes value, bool has_value)
{
    struct changelog *log = context;
    ck_assert_uint_lt(log->count, 8);
    memcpy(log->keys[log->count], key.data, key.size);
    log->key_sizes[log->count] = key.size;
    if (value.size > 0)
        memcpy(log->values[log->count], value.data, value.size);
    log->value_sizes[log->count] = value.size;
    log->has_value[log->count++] = has_value;
}

START_TEST(a_review_is_restored_as_it_was)
{
    static struct changelog log;
    char id[REVIEW_ID_SIZE + 1];
    char command[300];
    struct review_id parsed;
    start();
    open_one("42", "legal", id);
    snprintf(command, sizeof(command), "{\"review\":\"%s\",\"version\":1}", id);
    feed_command("review.claim", "ann", "review:legal", command);
    partition_state_flush(home, keep_change, &log);
    partition_state_commit(home);
    ck_assert_uint_eq(log.count, 1);
    struct partition_state *later = partition_state_new(&remembers, 2);
    const struct bytes key = bytes_of(log.keys[0], log.key_sizes[0]);
    const struct bytes value = bytes_of(log.values[0], log.value_sizes[0]);
    ck_assert_int_eq(partition_state_restore(later, key, value, true), PARTITION_STATE_TAKEN);
    ck_assert(review_id_read(bytes_of_string(id), &parsed));
    const struct review *review = reviews_find(partition_state_reviews(later), parsed);
    ck_assert_ptr_nonnull(review);
    ck_assert_uint_eq(review->status.version, 2);
    ck_assert(bytes_equal_string(review->status.by, "ann"));
    /* Cut anywhere, or changed in its head, it is none or another sound one, and never a crash. */
    for (size_t size = 0; size < value.size; size++)
        ck_assert_int_eq(partition_state_restore(later, key, bytes_of(value.data, size), true),
                         PARTITION_STATE_MALFORMED);
    for (size_t i = 0; i < 8; i++) {
        log.values[0][i] ^= 0xff;
        (void)partition_state_restore(later, key, value, true);
        log.values[0][i] ^= 0xff;
    }
    ck_assert_int_eq(partition_state_restore(later, key, bytes_of(NULL, 0), false),
                     PARTITION_STATE_TAKEN);
    ck_assert_uint_eq(partition_state_living_count(later), 0);
    partition_state_free(later);
    finish();
}
END_TEST

TEST_PROGRAM("reviews", a_command_is_accepted_by_version_and_state,
             who_may_not_command_changes_nothing, changes_are_undone_until_they_are_committed,
             a_review_lives_from_its_alert_to_the_decision,
             each_opening_in_a_record_is_a_review_of_its_own,
             the_backend_closes_what_is_open_of_its_task, what_comes_late_or_from_elsewhere_is_void,
             beyond_the_limits_an_alert_has_no_life,
             odd_records_of_the_log_are_counted_and_passed_over, a_review_is_restored_as_it_was)
