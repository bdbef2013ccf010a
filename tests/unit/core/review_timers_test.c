/* Timers of reviews: which is first, by which clock, and what a fired one comes to when its record is
 * read. */
#include "deadlines.h"
#include "log_clock.h"
#include "review_fixture.h"

/* --- Which is first --- */

static unsigned random_state = 1;

static unsigned pick(unsigned below)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 16) % below;
}

/* Against a search of all, as they are added and taken from anywhere. */
START_TEST(the_first_deadline_is_found)
{
    enum { COUNT = 200, STEPS = 20000 };
    static struct deadline all[COUNT];
    struct deadlines deadlines = {0};
    ck_assert_ptr_null(deadlines_first(&deadlines));
    for (unsigned step = 0; step < STEPS; step++) {
        struct deadline *one = &all[pick(COUNT)];
        const struct deadline *first = NULL;
        size_t count = 0;
        if (one->place > 0) {
            deadlines_remove(&deadlines, one);
        } else {
            one->at_ms = pick(50); /* often the same */
            deadlines_add(&deadlines, one);
        }
        for (size_t i = 0; i < COUNT; i++) {
            count += all[i].place > 0;
            if (all[i].place > 0 && (!first || all[i].at_ms < first->at_ms))
                first = &all[i];
        }
        ck_assert_uint_eq(deadlines.count, count);
        ck_assert_int_eq(deadlines_first(&deadlines) ? deadlines_first(&deadlines)->at_ms : -1,
                         first ? first->at_ms : -1);
    }
    for (size_t i = 0; i < COUNT; i++)
        deadlines_remove(&deadlines, &all[i]); /* or is in none */
    deadlines_deinit(&deadlines);
}
END_TEST

START_TEST(the_clock_is_the_brokers)
{
    struct log_clock clock = {0};
    ck_assert_int_eq(log_clock_now(&clock, 1000), 0);
    ck_assert(!log_clock_agrees(&clock, 1000, 0));
    /* A record that was read may be old: it is a time before which it is not. */
    log_clock_see(&clock, 500000, 1000);
    ck_assert_int_eq(log_clock_now(&clock, 1500), 500500);
    ck_assert(!log_clock_agrees(&clock, 1500, 500500));
    log_clock_see(&clock, 400000, 1600);
    ck_assert_int_eq(log_clock_now(&clock, 1600), 500600);
    /* An answer is the time, also if it was believed to be later. */
    log_clock_set(&clock, 500100, 1700);
    ck_assert_int_eq(log_clock_now(&clock, 1800), 500200);
    log_clock_set(&clock, 0, 1800);
    ck_assert_int_eq(log_clock_now(&clock, 1800), 500200);
    ck_assert(log_clock_agrees(&clock, 1800, 500200 + LOG_CLOCK_TOLERANCE_MS));
    ck_assert(log_clock_agrees(&clock, 1800, 500200 - LOG_CLOCK_TOLERANCE_MS));
    ck_assert(!log_clock_agrees(&clock, 1800, 500201 + LOG_CLOCK_TOLERANCE_MS));
    ck_assert(!log_clock_agrees(&clock, 1800, 500199 - LOG_CLOCK_TOLERANCE_MS));
    /* Nothing overflows. */
    log_clock_set(&clock, INT64_MAX - 10, 0);
    ck_assert_int_eq(log_clock_now(&clock, INT64_MAX), INT64_MAX);
    ck_assert(!log_clock_agrees(&clock, INT64_MAX, INT64_MIN));
}
END_TEST

/* --- What a fired one comes to --- */

#define TIMED_RULES                                                                             \
    "rules:\n"                                                                                  \
    "  - name: doubt\n"                                                                         \
    "    when: {event: [task.completed]}\n"                                                     \
    "    review: {queue: '{data.queue}', reason: doubt, title: 'Look at {taskId}', due: 10s}\n" \
    "  - name: late\n"                                                                          \
    "    when: {event: [review.late], source: [reviews]}\n"                                     \
    "    notify: {type: notification, rooms: ['review:{data.queue}', 'user:{userId}'],"         \
    " title: '{data.title} is late, {data.times}: {data.by|nobody}'}\n"

enum { DUE_MS = 10000, CLAIM_MS = 3000, REMIND_MS = 5000 };

/* By the broker's clock: when each record of these tests is appended. */
static const int64_t begin_ms = 1772438516419;
static const struct review_times times = {
    .fire = true, .claim_ms = CLAIM_MS, .remind_ms = REMIND_MS, .reminders = 2};

static void open_timed(const char *task, char id[REVIEW_ID_SIZE + 1])
{
    static struct kept opening;
    char text[400];
    snprintf(text, sizeof(text),
             "{\"event\":\"task.completed\",\"id\":\"%s\",\"taskId\":\"%s\",\"tenantId\":\"acme\","
             "\"userId\":\"owner\",\"time\":\"2026-03-02T08:01:56.419Z\",\"data\":{\"queue\":"
             "\"legal\"}}",
             task, task);
    fixture_feed(&fixture, text);
    ck_assert_uint_eq(keep_openings(&opening, 1), 1);
    snprintf(id, REVIEW_ID_SIZE + 1, "%.*s", BYTES_PRINT(opening.headers[2].value));
    feed_log(&opening.record);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
}

/* How many fire so late after the beginning; the record of the first is kept. */
static size_t fire_at(int64_t after_ms, struct kept *kept)
{
    batch_reset(&fixture.batch);
    size_t count = pipeline_fire_timers(fixture.pipeline, home, begin_ms + after_ms,
                                        PIPELINE_TIMERS_PER_BATCH, &fixture.batch);
    ck_assert_uint_eq(fixture.batch.output_count, count);
    if (count > 0)
        ck_assert_uint_eq(keep_openings(kept, 1), 1);
    partition_state_commit(home);
    return count;
}

static void claim(const char *id, uint32_t version, const char *who)
{
    char command[300];
    snprintf(command, sizeof(command), "{\"review\":\"%s\",\"version\":%u,\"take\":true}", id,
             (unsigned)version);
    feed_command("review.claim", who, "review:legal", command);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
}

static struct bytes kept_header(const struct kept *kept, const char *name)
{
    struct bytes value = bytes_of(NULL, 0);
    (void)record_find_header(&kept->record, name, &value);
    return value;
}

START_TEST(a_late_review_is_an_event_for_rules)
{
    static struct kept late;
    auto_buffer struct buffer json = {0};
    char id[REVIEW_ID_SIZE + 1], text[REVIEW_ID_SIZE + 20];
    start_with(TIMED_RULES, &times);
    open_timed("42", id);
    ck_assert_int_eq(partition_state_deadline(home), begin_ms + DUE_MS);
    ck_assert_uint_eq(fire_at(DUE_MS - 1, &late), 0);
    ck_assert_uint_eq(fire_at(DUE_MS, &late), 1);
    ck_assert_uint_eq(fire_at(DUE_MS, &late), 0);
    ck_assert(bytes_equal(late.record.key, bytes_of(id, REVIEW_HOME_SIZE)));
    ck_assert(bytes_equal_string(kept_header(&late, "ce_type"), "review.late"));
    ck_assert(bytes_equal_string(kept_header(&late, "ce_taskid"), "42"));
    snprintf(text, sizeof(text), "%s.late.1", id);
    ck_assert(bytes_equal_string(kept_header(&late, "ce_id"), text));

    feed_log(&late.record);
    ck_assert_uint_eq(counted(REVIEW_ACCEPTED), 1);
    ck_assert_uint_eq(fixture.batch.counts.reviews_late, 1);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "\"title\":\"Look at 42 is late, 1: nobody\"");
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "review:legal");
    /* Who decides at this moment decides what he saw. */
    claim(id, 1, "ann");

    /* Twice more, each so long after the one before; then it is told no more. */
    ck_assert_uint_eq(fire_at(DUE_MS + REMIND_MS - 1, &late), 1); /* the claim is over, that is */
    ck_assert_uint_eq(fire_at(DUE_MS + REMIND_MS + 7, &late), 1);
    feed_log(&late.record);
    ASSERT_HAS(fixture_json(&fixture, 0, &json), "is late, 2: ann");
    ck_assert_uint_eq(fire_at(DUE_MS + 2 * REMIND_MS + 6, &late), 0);
    ck_assert_uint_eq(fire_at(DUE_MS + 2 * REMIND_MS + 7, &late), 1);
    ck_assert_uint_eq(partition_state_timed_count(home), 0);
    ck_assert_int_eq(partition_state_deadline(home), 0);
    finish();
}
END_TEST

START_TEST(a_claim_lapses_by_its_record_alone)
{
    static struct kept lapsed;
    auto_buffer struct buffer json = {0};
    char id[REVIEW_ID_SIZE + 1];
    start_with(TIMED_RULES, &times);
    open_timed("42", id);
    claim(id, 1, "ann");
    ck_assert_int_eq(partition_state_deadline(home), begin_ms + CLAIM_MS);
    fixture.later_ms = 2000;
    claim(id, 2, "bob"); /* a claim of his own, from its beginning */
    ck_assert_uint_eq(fire_at(CLAIM_MS, &lapsed), 0);
    ck_assert_uint_eq(fire_at(CLAIM_MS + 2000, &lapsed), 1);
    ck_assert(bytes_equal_string(kept_header(&lapsed, "ce_type"), "review.lapsed"));
    fixture.later_ms = 60000; /* it may be on its way for long: no command, and never void */
    pipeline_set_log_time(fixture.pipeline, begin_ms + 900000);
    feed_log(&lapsed.record);
    const char *update = fixture_json(&fixture, 0, &json);
    ASSERT_HAS(update, "\"version\":4");
    ASSERT_HAS(update, "\"state\":\"open\"");
    ck_assert_ptr_null(strstr(update, "bob"));
    ck_assert_uint_eq(fixture.batch.counts.reviews_lapsed, 1);
    feed_log(&lapsed.record);
    ck_assert_uint_eq(counted(REVIEW_STALE), 1);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_int_eq(partition_state_deadline(home), begin_ms + DUE_MS);
    finish();
}
END_TEST

/* What is in the log before the record counts before it, though the timer has fired. */
START_TEST(a_timer_that_comes_too_late_changes_nothing)
{
    static struct kept lapsed, late;
    char id[REVIEW_ID_SIZE + 1], command[300];
    start_with(TIMED_RULES, &times);
    open_timed("42", id);
    claim(id, 1, "ann");
    ck_assert_uint_eq(fire_at(CLAIM_MS, &lapsed), 1);
    claim(id, 2, "bob");
    feed_log(&lapsed.record);
    ck_assert_uint_eq(counted(REVIEW_STALE), 1);
    ck_assert_uint_eq(fire_at(CLAIM_MS, &late), 1); /* bob's, in this test at the same time */
    ck_assert_uint_eq(fire_at(DUE_MS, &late), 1);
    snprintf(command, sizeof(command), "{\"review\":\"%s\",\"version\":3,\"decision\":\"approve\"}",
             id);
    feed_command("review.decide", "bob", "review:legal", command);
    ck_assert_uint_eq(fixture.batch.counts.reviews_decided, 1);
    feed_log(&late.record);
    ck_assert_uint_eq(counted(REVIEW_UNKNOWN), 1);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    feed_log(&lapsed.record);
    ck_assert_uint_eq(counted(REVIEW_UNKNOWN), 1);
    ck_assert_uint_eq(partition_state_timed_count(home), 0);
    finish();
}
END_TEST

START_TEST(without_the_setting_nothing_happens_by_itself)
{
    char id[REVIEW_ID_SIZE + 1];
    start_with(TIMED_RULES, &(struct review_times){.claim_ms = CLAIM_MS});
    open_timed("42", id);
    claim(id, 1, "ann");
    ck_assert_int_eq(partition_state_deadline(home), 0);
    finish();
}
END_TEST

/* A rule may ask for a review because one is late, and that one is late, too. */
START_TEST(an_escalation_ends)
{
    static const char rules[] =
        TIMED_RULES "  - name: escalate\n"
                    "    when: {event: [review.late]}\n"
                    "    review: {queue: finance, reason: 'late {data.reason}', due: 1ms}\n";
    static struct kept kept;
    char id[REVIEW_ID_SIZE + 1];
    unsigned levels = 0;
    struct partition_state_settings many = remembers;
    many.reviews_per_task = 20;
    start_with(rules, &(struct review_times){.fire = true});
    partition_state_free(home);
    home = partition_state_new(&many, 2);
    open_timed("42", id);
    for (int64_t now_ms = DUE_MS; fire_at(now_ms, &kept) == 1; now_ms += 1000, levels++) {
        ck_assert_uint_lt(levels, 10);
        feed_log(&kept.record);
        if (fixture.batch.counts.dead[DEAD_LOOP] > 0)
            break;
        ck_assert_uint_eq(keep_openings(&kept, 1), 1);
        feed_log(&kept.record);
    }
    ck_assert_uint_eq(fixture.batch.counts.dead[DEAD_LOOP], 1);
    ck_assert_uint_eq(levels, 3); /* limits.hops */
    finish();
}
END_TEST

/* --- What is remembered --- */

static const struct partition_state_settings many = {
    .review_window_ms = 1000000, .review_tasks = 1000, .reviews_per_task = 2};

#define SUBJECT                                                                                    \
    "{\"taskId\":\"42\",\"queue\":\"legal\",\"rooms\":[\"review:legal\"],\"decisions\":[\"yes\"]," \
    "\"self\":false}"

static struct review_id id_of(uint64_t task)
{
    return (struct review_id){.task = {.high = task, .low = 7}, .instance = 1};
}

START_TEST(so_many_fire_in_a_batch_and_the_rest_in_the_next)
{
    enum { COUNT = 2 * PIPELINE_TIMERS_PER_BATCH + 30 };
    start_with(TIMED_RULES, &times);
    partition_state_free(home);
    home = partition_state_new(&many, 2);
    for (uint64_t i = 0; i < COUNT; i++)
        ck_assert(reviews_open(partition_state_reviews(home), id_of(i), BYTES_LITERAL(SUBJECT),
                               begin_ms + (int64_t)i));
    partition_state_commit(home);
    /* Undone, it is as if they had not fired. */
    ck_assert_uint_eq(pipeline_fire_timers(fixture.pipeline, home, begin_ms + COUNT,
                                           PIPELINE_TIMERS_PER_BATCH, &fixture.batch),
                      PIPELINE_TIMERS_PER_BATCH);
    partition_state_rollback(home);
    ck_assert_int_eq(partition_state_deadline(home), begin_ms);
    for (size_t left = COUNT, fired; left > 0; left -= fired) {
        batch_reset(&fixture.batch);
        fired = pipeline_fire_timers(fixture.pipeline, home, begin_ms + COUNT,
                                     PIPELINE_TIMERS_PER_BATCH, &fixture.batch);
        partition_state_commit(home);
        ck_assert_uint_eq(fired, left < 100 ? left : 100);
    }
    ck_assert_int_eq(partition_state_deadline(home), begin_ms + COUNT + REMIND_MS);
    finish();
}
END_TEST

struct change {
    uint8_t key[64];
    size_t key_size;
    uint8_t value[1000];
    size_t value_size;
};

static void keep_change(void *context, struct bytes key, struct bytes value, bool has_value)
{
    struct change *change = context;
    ck_assert(has_value);
    memcpy(change->key, key.data, key.size);
    memcpy(change->value, value.data, value.size);
    change->key_size = key.size;
    change->value_size = value.size;
}

/* A review, as it is kept. */
static struct change kept_of(int64_t late_ms, int64_t lapse_ms)
{
    struct change change = {0};
    struct partition_state *state = partition_state_new(&many, 2);
    struct reviews *reviews = partition_state_reviews(state);
    const struct review_status claimed = {
        .state = REVIEW_CLAIMED, .version = 2, .by = BYTES_LITERAL("ann")};
    ck_assert(reviews_open(reviews, id_of(1), BYTES_LITERAL(SUBJECT), late_ms));
    reviews_set(reviews, id_of(1), &claimed, lapse_ms);
    partition_state_flush(state, keep_change, &change);
    partition_state_free(state);
    return change;
}

static enum partition_state_record restore(struct partition_state *state,
                                           const struct change *change, size_t size)
{
    return partition_state_restore(state, bytes_of(change->key, change->key_size),
                                   bytes_of(change->value, size), true);
}

START_TEST(timers_are_restored_with_their_review)
{
    struct partition_state *state = partition_state_new(&many, 2);
    struct change change = kept_of(5000, 3000);
    ck_assert_int_eq(restore(state, &change, change.value_size), PARTITION_STATE_TAKEN);
    const struct review *review = reviews_find(partition_state_reviews(state), id_of(1));
    ck_assert_int_eq(review->timers.late_ms, 5000);
    ck_assert_int_eq(review->timers.lapse_ms, 3000);
    ck_assert_int_eq(partition_state_deadline(state), 3000);
    ck_assert_uint_eq(partition_state_timed_count(state), 1);
    /* Cut anywhere it is none, and leaves alone what is there. */
    for (size_t size = 0; size < change.value_size; size++)
        ck_assert_int_eq(restore(state, &change, size), PARTITION_STATE_MALFORMED);
    change.value[4] ^= 1; /* open, and a claim that ends */
    ck_assert_int_eq(restore(state, &change, change.value_size), PARTITION_STATE_MALFORMED);
    change.value[4] ^= 1 | 64; /* of a state that is not known */
    ck_assert_int_eq(restore(state, &change, change.value_size), PARTITION_STATE_MALFORMED);
    change.value[4] ^= 64;
    change.value[7 + 7] |= 0x80; /* before 1970 */
    ck_assert_int_eq(restore(state, &change, change.value_size), PARTITION_STATE_MALFORMED);
    ck_assert_int_eq(partition_state_deadline(state), 3000);

    /* Without timers a review is kept in the form that had none. */
    change = kept_of(0, 0);
    const uint8_t head[] = {2, 0, 0, 0, REVIEW_CLAIMED, 3, 0, 'a', 'n', 'n', '{'};
    ck_assert_mem_eq(change.value, head, sizeof(head));
    ck_assert_int_eq(restore(state, &change, change.value_size), PARTITION_STATE_TAKEN);
    ck_assert_uint_eq(partition_state_timed_count(state), 0);
    partition_state_free(state);
}
END_TEST

/* What a dispatcher writes to hear the time is nothing to whoever reads it. */
START_TEST(a_tick_is_passed_over)
{
    static struct kept tick;
    start_with(TIMED_RULES, &times);
    pipeline_ask_time(fixture.pipeline, 5, &fixture.batch);
    ck_assert_uint_eq(fixture.batch.output_count, 1);
    ck_assert_int_eq(fixture.batch.outputs[0].partition, 5);
    tick.record = (struct record){.has_value = true,
                                  .value = BYTES_LITERAL("{}"),
                                  .headers = fixture.batch.outputs[0].headers,
                                  .header_count = fixture.batch.outputs[0].header_count};
    memcpy(tick.headers, tick.record.headers,
           tick.record.header_count * sizeof(struct record_header));
    tick.record.headers = tick.headers;
    feed_log(&tick.record);
    ck_assert_uint_eq(fixture.batch.output_count, 0);
    ck_assert_uint_eq(counted(REVIEW_MALFORMED), 0);
    finish();
}
END_TEST

START_TEST(odd_timers_are_counted_and_passed_over)
{
    static const char *const odd[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"review\":\"%s\"}",
                                      "{\"review\":\"%s\",\"version\":0}",
                                      "{\"review\":\"%s\",\"version\":\"1\"}",
                                      "{\"review\":\"x\",\"version\":1}"};
    static const char *const types[] = {"review.late", "review.lapsed"};
    char id[REVIEW_ID_SIZE + 1], json[300];
    start_with(TIMED_RULES, &times);
    open_timed("42", id);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        for (size_t k = 0; k < 2; k++) {
            const char *mark = strstr(odd[i], "%s");
            snprintf(json, sizeof(json), "%.*s%s%s",
                     (int)(mark ? mark - odd[i] : (ptrdiff_t)strlen(odd[i])), odd[i],
                     mark ? id : "", mark ? mark + 2 : "");
            feed_command(types[k], "ann", "review:legal", json);
            ck_assert_msg(counted(REVIEW_MALFORMED) == 1, "%s: %s", types[k], json);
            ck_assert_uint_eq(fixture.batch.output_count, 0);
        }
    finish();
}
END_TEST

TEST_PROGRAM("review timers", the_first_deadline_is_found, the_clock_is_the_brokers,
             a_late_review_is_an_event_for_rules, a_claim_lapses_by_its_record_alone,
             a_timer_that_comes_too_late_changes_nothing,
             without_the_setting_nothing_happens_by_itself, an_escalation_ends,
             so_many_fire_in_a_batch_and_the_rest_in_the_next,
             timers_are_restored_with_their_review, a_tick_is_passed_over,
             odd_timers_are_counted_and_passed_over)
