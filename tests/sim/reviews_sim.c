/* Reviews in random worlds: dispatchers die and come back with what the changelog has, batches are
 * aborted and read again, owners move and do not know it, clocks are wrong, time passes while nobody
 * is there, and people claim, take over, release and decide against each other by what their screens
 * showed some time ago.
 *
 * Held against a model that reads the log once from its beginning, knowing nothing of batches:
 *
 *   - the updates in the lane are exactly those of the model, in its order, none twice;
 *   - of each review the versions are 1, 2, 3, ... and nothing follows its end;
 *   - what is decided has one decision, of the person who is told to have decided;
 *   - what is alive in the end is what the model has;
 *   - a claim that lasts too long, and a review that is not decided when it is due, have one record of
 *     the log each (the review one more for each reminder), never before their time, and rules are
 *     told of each that the review lived to see, once;
 *   - nobody whose clock is wrong writes one.
 *
 *   reviews_sim [--seed N] [--seeds COUNT] [--unfenced]    unfenced: the broker takes what an owner
 *                                                          sends who is none any more: this fails */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "instant.h"
#include "log_clock.h"
#include "mem.h"
#include "partition_state.h"
#include "pipeline.h"

enum {
    REVIEWS = 12,
    PEOPLE = 5,
    COMMANDS = 400,
    RECORDS = 2000,
    TASKS = 6,
    CHANGES = 12000,
    TELLINGS = 4000,
    CLAIM_MS = 20000,
    REMIND_MS = 30000,
    REMINDERS = 2,
    LATE_MOST = 1 + REMINDERS
};
static const int64_t begin_ms = 1772438516419;

static bool unfenced;

static uint64_t seed;
static uint64_t random_state;

static unsigned pick(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % below;
}

#define CHECK(condition, ...)                                         \
    do {                                                              \
        if (!(condition)) {                                           \
            fprintf(stderr, "seed=%llu: ", (unsigned long long)seed); \
            fprintf(stderr, __VA_ARGS__);                             \
            fprintf(stderr, " (%s)\n", #condition);                   \
            exit(1);                                                  \
        }                                                             \
    } while (0)

/* --- The log, the lane, the changelog: what a broker has --- */

enum act { OPEN, CLOSE, CLAIM, TAKE, RELEASE, DECIDE, LATE, LAPSE, TICK };

struct logged {
    enum act act;
    unsigned review; /* of a closing: the task */
    unsigned person;
    uint32_t version;
    bool approves;
    int64_t appended_ms;
    int64_t due_ms;  /* of an opening; 0: never */
    unsigned late;   /* the first, the second ... */
    char value[700]; /* of a timer */
};

struct told {
    unsigned review;
    uint32_t version;
    char state[16];
    char by[16];
};

struct change {
    uint8_t key[64];
    size_t key_size;
    uint8_t value[600];
    size_t value_size;
    bool has_value;
};

static struct world {
    struct logged log[RECORDS];
    unsigned log_count;
    unsigned committed; /* offset */
    struct told lane[TELLINGS];
    unsigned told_count;
    struct told decisions[REVIEWS];
    unsigned decision_count;
    struct change changes[CHANGES];
    unsigned change_count;
    unsigned written; /* changes of the batch at hand, behind those that are committed */
    unsigned next_review;
    int64_t now_ms;      /* by the broker */
    unsigned generation; /* of the group: who has the partition is of the last one */
    unsigned late_told[REVIEWS][1 + LATE_MOST]; /* what rules were told */
} world;

static struct review_id review_id_of(unsigned review)
{
    return (struct review_id){.task = {.high = review % TASKS + 1, .low = 7}, .instance = review};
}

static void id_of(unsigned review, char text[REVIEW_ID_SIZE + 1])
{
    review_id_write(review_id_of(review), text);
}

static unsigned review_of(struct bytes id)
{
    struct review_id parsed;
    bool sound = review_id_read(id, &parsed);
    CHECK(sound && parsed.instance < REVIEWS, "an id that nobody gave");
    return (unsigned)parsed.instance;
}

static void copy_text(char text[16], struct bytes from)
{
    CHECK(from.size < 16, "a text of ours");
    if (from.size > 0)
        memcpy(text, from.data, from.size);
    text[from.size] = 0;
}

/* Written at its end, as what was committed is. */
static struct logged *append(void)
{
    CHECK(world.log_count < RECORDS, "too small");
    struct logged *logged = &world.log[world.log_count++];
    *logged = (struct logged){.appended_ms = world.now_ms};
    return logged;
}

/* --- Dispatchers: the one that has the partition now, and one that had it --- */

struct owner {
    struct partition_state *state;
    unsigned generation;
    struct log_clock clock;
    int64_t ahead_ms;   /* its wall clock, of the broker's */
    int64_t started_ms; /* its monotonic clock is 0 */
};

static struct pipeline *pipeline;
static struct owner owner, zombie;
static const struct partition_state_settings remembers = {
    .review_window_ms = 1000, .review_tasks = TASKS, .reviews_per_task = REVIEWS};

static int64_t monotonic(const struct owner *one)
{
    return world.now_ms - one->started_ms;
}

/* Another has the partition: maybe on another machine. */
static void restore(void)
{
    partition_state_free(owner.state);
    owner = (struct owner){.state = partition_state_new(&remembers, 1),
                           .generation = ++world.generation,
                           .ahead_ms = (int64_t)pick(4000) - 2000,
                           .started_ms = world.now_ms - pick(100000)};
    if (pick(8) == 0)
        owner.ahead_ms = pick(2) ? 60000 : -60000;
    for (unsigned i = 0; i < world.change_count; i++) {
        const struct change *change = &world.changes[i];
        enum partition_state_record taken =
            partition_state_restore(owner.state, bytes_of(change->key, change->key_size),
                                    bytes_of(change->value, change->value_size), change->has_value);
        CHECK(taken == PARTITION_STATE_TAKEN, "a record of the changelog is none");
    }
}

static void write_change(void *context, struct bytes key, struct bytes value, bool has_value)
{
    struct change *change = &world.changes[world.change_count + world.written++];
    (void)context;
    CHECK(world.change_count + world.written < CHANGES, "too small");
    CHECK(key.size <= sizeof(change->key) && value.size <= sizeof(change->value), "too small");
    memcpy(change->key, key.data, key.size);
    change->key_size = key.size;
    if (value.size > 0)
        memcpy(change->value, value.data, value.size);
    change->value_size = value.size;
    change->has_value = has_value;
}

/* Leaves the last of each key, as Kafka may at any time. */
static void compact(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < world.change_count; i++) {
        bool later = false;
        for (unsigned k = i + 1; k < world.change_count && !later; k++)
            later =
                world.changes[i].key_size == world.changes[k].key_size &&
                memcmp(world.changes[i].key, world.changes[k].key, world.changes[i].key_size) == 0;
        if (!later)
            world.changes[kept++] = world.changes[i];
    }
    world.change_count = kept;
}

static const char *const types[] = {"review.opened", "review.closed",  "review.claim",
                                    "review.claim",  "review.release", "review.decide",
                                    "review.late",   "review.lapsed",  "review.tick"};

/* A record as it stands in the log, judged. */
static void feed(const struct logged *logged, unsigned offset, struct batch *batch)
{
    char id[REVIEW_ID_SIZE + 1];
    char person[16];
    char json[800];
    char event_id[80] = "c";
    char due[INSTANT_TEXT_SIZE] = "";
    struct decision decision;
    id_of(logged->review, id);
    snprintf(person, sizeof(person), "person%u", logged->person);
    if (logged->act == OPEN) {
        (void)!instant_format(logged->due_ms, due);
        snprintf(event_id, sizeof(event_id), "%s", id);
        snprintf(json, sizeof(json),
                 "{\"tenantId\":\"acme\",\"taskId\":\"t%u\",\"queue\":\"legal\",\"reason\":\"r\","
                 "\"dueTime\":\"%s\",\"rooms\":[\"review:legal\"],\"decisions\":[\"yes\",\"no\"],"
                 "\"self\":false}",
                 logged->review % TASKS, logged->due_ms > 0 ? due : "");
    } else if (logged->act >= LATE) {
        snprintf(event_id, sizeof(event_id), "%s.late.%u", id, logged->late);
        snprintf(json, sizeof(json), "%s", logged->value);
    } else {
        snprintf(json, sizeof(json),
                 "{\"review\":\"%s\",\"version\":%u,\"take\":%s,\"decision\":\"%s\"}", id,
                 (unsigned)logged->version, logged->act == TAKE ? "true" : "false",
                 logged->approves ? "yes" : "no");
    }
    const struct record_header headers[] = {
        {BYTES_LITERAL("ce_type"), bytes_of_string(types[logged->act])},
        {BYTES_LITERAL("ce_specversion"), BYTES_LITERAL("1.0")},
        {BYTES_LITERAL("ce_id"), bytes_of_string(event_id)},
        {BYTES_LITERAL("ce_source"), BYTES_LITERAL("x")},
        {BYTES_LITERAL("ce_tenantid"), BYTES_LITERAL("acme")},
        {BYTES_LITERAL("ce_userid"), bytes_of_string(person)},
        {BYTES_LITERAL("ce_room"), BYTES_LITERAL("review:legal")},
    };
    const struct record record = {.topic = BYTES_LITERAL("reviews.log"),
                                  .offset = offset,
                                  .timestamp_ms = logged->appended_ms,
                                  .key = bytes_of(id, REVIEW_HOME_SIZE),
                                  .has_key = true,
                                  .value = bytes_of_string(json),
                                  .has_value = true,
                                  .headers = headers,
                                  .header_count = sizeof(headers) / sizeof(headers[0])};
    pipeline_process(pipeline, owner.state, &record, batch, &decision);
    log_clock_see(&owner.clock, logged->appended_ms, monotonic(&owner));
    CHECK(batch->counts.review_records[REVIEW_MALFORMED] == 0, "not understood: %s", json);
}

static struct bytes header_of(const struct output *output, const char *name)
{
    for (size_t i = 0; i < output->header_count; i++)
        if (bytes_equal_string(output->headers[i].name, name))
            return output->headers[i].value;
    CHECK(false, "no %s", name);
}

/* A number at the end of an id. */
static unsigned number_of(struct bytes id)
{
    CHECK(id.size > 2 && id.data[id.size - 2] == '.', "an id of a timer");
    return (unsigned)(id.data[id.size - 1] - '0');
}

/* A timer, or a tick, in the log. */
static void publish_timer(const struct output *output)
{
    struct logged *logged = append();
    struct bytes type = header_of(output, "ce_type");
    logged->act = bytes_equal_string(type, "review.tick")   ? TICK
                  : bytes_equal_string(type, "review.late") ? LATE
                                                            : LAPSE;
    CHECK(output->value.size < sizeof(logged->value), "too small");
    memcpy(logged->value, output->value.data, output->value.size);
    if (logged->act == TICK)
        return;
    const uint8_t *version = memmem(output->value.data, output->value.size, "\"version\":", 10);
    CHECK(version, "a timer without a version");
    logged->version = (uint32_t)strtoul((const char *)version + 10, NULL, 10);
    struct bytes id = header_of(output, "ce_id");
    logged->review = review_of(bytes_of(id.data, REVIEW_ID_SIZE));
    if (logged->act == LATE)
        logged->late = number_of(id);
}

/* What a batch came to is there for everybody once it is committed. */
static void publish(const struct batch *batch)
{
    for (size_t i = 0; i < batch->output_count; i++) {
        const struct output *output = &batch->outputs[i];
        struct notification *view;
        if (output->kind == OUTPUT_REVIEW && strcmp(output->topic, "reviews.log") == 0) {
            publish_timer(output);
            continue;
        }
        if (output->kind == OUTPUT_REVIEW) {
            CHECK(world.decision_count < REVIEWS, "more decisions than reviews");
            struct told *told = &world.decisions[world.decision_count++];
            for (size_t k = 0; k < output->header_count; k++)
                if (bytes_equal_string(output->headers[k].name, "ce_id"))
                    told->review =
                        review_of(bytes_of(output->headers[k].value.data, REVIEW_ID_SIZE));
            const uint8_t *by = memmem(output->value.data, output->value.size, "person", 6);
            CHECK(by, "a decision of nobody");
            copy_text(told->by, bytes_of(by, 7));
        }
        if (output->kind != OUTPUT_NOTIFICATION)
            continue;
        CHECK(notification_decode(output->value, &view) == STATUS_OK, "not a notification");
        if (view->type == NOTIFICATION_REVIEW_UPDATED) {
            CHECK(world.told_count < TELLINGS, "too small");
            struct told *told = &world.lane[world.told_count++];
            told->review = review_of(view->review_update.id);
            told->version = view->review_update.version;
            copy_text(told->state, view->review_update.state);
            copy_text(told->by, view->review_update.by);
        }
        if (view->type == NOTIFICATION_CLIENT) {
            unsigned late = number_of(view->event_id);
            CHECK(late >= 1 && late <= LATE_MOST, "told too often");
            world.late_told[review_of(bytes_of(view->event_id.data, REVIEW_ID_SIZE))][late]++;
        }
        notification_free(view);
    }
}

/* What the runner does about timers (runner_timers.c): those that are due, or the question what time
 * it is. */
static bool fire(struct owner *one, struct batch *batch)
{
    int64_t wall_ms = world.now_ms + one->ahead_ms;
    int64_t now_ms = log_clock_now(&one->clock, monotonic(one));
    int64_t first_ms = partition_state_deadline(one->state);
    if (first_ms == 0)
        return false;
    if (log_clock_agrees(&one->clock, monotonic(one), wall_ms)) {
        size_t count = pipeline_fire_timers(pipeline, one->state, now_ms, 1 + pick(4), batch);
        CHECK(count == 0 || (one->ahead_ms < 6000 && one->ahead_ms > -6000),
              "fired by a clock that is wrong");
        return false;
    }
    if (first_ms > now_ms && first_ms > wall_ms)
        return false;
    pipeline_ask_time(pipeline, 0, batch);
    return true;
}

/* It had the partition, and has not heard that another has it: its timers are overdue as well. What it
 * sends has an offset, in the name of the member that it was. */
static void run_zombie(void)
{
    struct batch batch = {0};
    if (!zombie.state)
        return;
    (void)fire(&zombie, &batch);
    if (batch.output_count > 0 && unfenced) {
        publish(&batch);
        partition_state_commit(zombie.state);
    } else {
        CHECK(zombie.generation < world.generation, "not a zombie");
        partition_state_rollback(zombie.state);
    }
    batch_deinit(&batch);
}

/* Its next owner begins with what is committed; the last may live on. */
static void move(void)
{
    if (pick(2)) {
        partition_state_free(zombie.state);
        zombie = owner;
        owner.state = NULL;
    }
    restore();
}

/* A batch of some records. It commits; or aborts; or its dispatcher dies before or after the
 * commit, or is fenced while another has the partition already. */
static void run_batch(void)
{
    struct batch batch = {0};
    unsigned count = pick(9);
    unsigned end = world.committed + count;
    if (end > world.log_count)
        end = world.log_count;
    for (unsigned i = world.committed; i < end; i++)
        feed(&world.log[i], i, &batch);
    bool asks = fire(&owner, &batch);
    world.written = 0;
    partition_state_flush(owner.state, write_change, NULL);
    unsigned fate = pick(10);
    if (fate == 0) { /* aborted */
        partition_state_rollback(owner.state);
    } else if (fate == 1) { /* dead, and its transaction with it */
        restore();
    } else {
        publish(&batch);
        world.change_count += world.written;
        world.committed = end;
        partition_state_commit(owner.state);
        if (asks)
            log_clock_set(&owner.clock, world.now_ms, monotonic(&owner));
        if (fate == 2) /* another has the partition from now on */
            move();
    }
    if (pick(8) == 0)
        compact();
    batch_deinit(&batch);
}

/* --- People --- */

/* A screen shows what was told up to some time ago. */
static void command(void)
{
    struct logged *logged = append();
    unsigned seen = world.told_count - (pick(3) ? 0 : pick(world.told_count + 1));
    unsigned review = pick(REVIEWS);
    uint32_t version = 1;
    for (unsigned i = 0; i < seen; i++)
        if (world.lane[i].review == review)
            version = world.lane[i].version;
    logged->act = (enum act)(CLAIM + pick(4));
    logged->review = review;
    logged->person = pick(PEOPLE);
    logged->version = version;
    logged->approves = pick(2);
}

static void act(void)
{
    if (world.log_count >= COMMANDS)
        return;
    if (world.next_review < REVIEWS && pick(12) == 0) {
        struct logged *logged = append();
        logged->act = OPEN;
        logged->review = world.next_review++;
        logged->due_ms = pick(4) ? world.now_ms + pick(60000) - 5000 : 0;
    } else if (pick(40) == 0) {
        struct logged *logged = append();
        logged->act = CLOSE;
        logged->review = pick(TASKS);
    } else {
        for (unsigned i = 0; i < 1 + pick(PEOPLE); i++) /* at one instant */
            command();
    }
}

/* --- The model --- */

struct modelled {
    bool alive;
    uint32_t version;
    int holder;         /* -1: nobody */
    int64_t claimed_ms; /* when his claim began */
    int64_t due_ms;     /* when it is told to be late next; 0: no more */
    unsigned fired;     /* so often it was */
    unsigned late_told; /* and rules were told */
    uint32_t lapsed;    /* the last claim of which the end was written */
};

static unsigned expected; /* of the lane: so many were right */

static void expect(unsigned review, uint32_t version, const char *told_state, int by)
{
    char person[24] = "";
    CHECK(expected < world.told_count, "review %u, version %u was not told", review, version);
    const struct told *told = &world.lane[expected++];
    if (by >= 0)
        snprintf(person, sizeof(person), "person%d", by);
    CHECK(told->review == review && told->version == version &&
              strcmp(told->state, told_state) == 0 && strcmp(told->by, person) == 0,
          "told of %u: %u %s by %s; it is %u: %u %s by %s", told->review, told->version,
          told->state, told->by, review, version, told_state, person);
}

static void model_command(struct modelled *review, const struct logged *logged)
{
    int person = (int)logged->person;
    bool others = review->holder >= 0 && review->holder != person;
    if (!review->alive || logged->version != review->version)
        return;
    if ((logged->act == CLAIM && review->holder < 0) ||
        (logged->act == TAKE && review->holder != person)) {
        review->holder = person;
        review->claimed_ms = logged->appended_ms;
        expect(logged->review, ++review->version, "claimed", person);
    } else if (logged->act == RELEASE && review->holder == person) {
        review->holder = -1;
        expect(logged->review, ++review->version, "open", -1);
    } else if (logged->act == DECIDE && !others) {
        review->alive = false;
        expect(logged->review, ++review->version, "decided", person);
    }
}

/* Of each review one after the other, and none before its time. */
static void model_late(struct modelled *review, const struct logged *logged)
{
    CHECK(logged->late == review->fired + 1, "review %u: late for the %u. time, after %u",
          logged->review, logged->late, review->fired);
    CHECK(review->due_ms > 0 && logged->appended_ms >= review->due_ms,
          "review %u is told to be late before it is", logged->review);
    review->fired++;
    review->due_ms = review->fired < LATE_MOST ? logged->appended_ms + REMIND_MS : 0;
    review->late_told += review->alive;
}

/* Of each claim once. It ends what it names, if that is still so where it stands in the log. */
static void model_lapse(struct modelled *review, const struct logged *logged)
{
    CHECK(logged->version > review->lapsed, "review %u: a claim ends twice", logged->review);
    review->lapsed = logged->version;
    if (!review->alive || review->holder < 0 || logged->version != review->version)
        return;
    CHECK(logged->appended_ms >= review->claimed_ms + CLAIM_MS, "a claim of review %u ends early",
          logged->review);
    review->holder = -1;
    expect(logged->review, ++review->version, "open", -1);
}

/* A task's reviews are closed in the order in which they have last changed, which is the table's
 * affair: the model takes whatever order is told. */
static void model_closing(struct modelled *reviews, unsigned task)
{
    unsigned left = 0;
    for (unsigned i = 0; i < REVIEWS; i++)
        left += reviews[i].alive && i % TASKS == task;
    for (; left > 0; left--) {
        CHECK(expected < world.told_count, "a closing was not told");
        unsigned review = world.lane[expected].review;
        CHECK(review % TASKS == task && reviews[review].alive, "closed: another's");
        reviews[review].alive = false;
        expect(review, ++reviews[review].version, "closed", -1);
    }
}

static void check(void)
{
    struct modelled reviews[REVIEWS] = {0};
    unsigned decided = 0;
    size_t alive = 0;
    expected = 0;
    for (unsigned i = 0; i < world.log_count; i++) {
        const struct logged *logged = &world.log[i];
        if (logged->act == OPEN) {
            reviews[logged->review] = (struct modelled){
                .alive = true, .version = 1, .holder = -1, .due_ms = logged->due_ms};
            expect(logged->review, 1, "open", -1);
        } else if (logged->act == CLOSE) {
            model_closing(reviews, logged->review);
        } else if (logged->act == LATE) {
            model_late(&reviews[logged->review], logged);
        } else if (logged->act == LAPSE) {
            model_lapse(&reviews[logged->review], logged);
        } else if (logged->act == TICK) {
            continue;
        } else {
            model_command(&reviews[logged->review], logged);
        }
    }
    CHECK(expected == world.told_count, "%u updates beyond what the log says",
          world.told_count - expected);
    for (unsigned i = 0; i < world.told_count; i++) {
        const struct told *told = &world.lane[i];
        if (strcmp(told->state, "decided") != 0)
            continue;
        unsigned decisions = 0;
        for (unsigned k = 0; k < world.decision_count; k++)
            decisions += world.decisions[k].review == told->review &&
                         strcmp(world.decisions[k].by, told->by) == 0;
        CHECK(decisions == 1, "review %u has %u decisions", told->review, decisions);
        decided++;
    }
    CHECK(decided == world.decision_count, "decisions that nobody was told of");
    for (unsigned i = 0; i < REVIEWS; i++) {
        const struct review *review =
            reviews_find(partition_state_reviews(owner.state), review_id_of(i));
        unsigned told_late = 0;
        CHECK((review != NULL) == reviews[i].alive, "review %u", i);
        CHECK(!review || review->status.version == reviews[i].version, "version of review %u", i);
        alive += reviews[i].alive;
        /* Much time has passed. */
        CHECK(!reviews[i].alive || (reviews[i].due_ms == 0 && reviews[i].holder < 0),
              "a timer of review %u has not fired", i);
        for (unsigned late = 1; late <= LATE_MOST; late++)
            told_late += world.late_told[i][late];
        CHECK(told_late == reviews[i].late_told,
              "rules were told %u times that review %u is late, not %u", told_late, i,
              reviews[i].late_told);
    }
    CHECK(partition_state_living_count(owner.state) == alive, "too many are remembered");
}

#define RULES                            \
    "rules:\n"                           \
    "  - name: late\n"                   \
    "    when: {event: [review.late]}\n" \
    "    notify: {type: notification, rooms: ['review:{data.queue}'], title: 'late'}\n"

static void run(struct layout *layout, const struct rule_set *rules)
{
    const struct pipeline_settings settings = {
        .layout = layout,
        .limits = PIPELINE_LIMITS_DEFAULT,
        .dead_letter_topic = "dead",
        .audit_topic = "audit",
        .review_log = "reviews.log",
        .review_log_partitions = 1,
        .review_decisions_topic = "reviews.decisions",
        .review_times = {
            .fire = true, .claim_ms = CLAIM_MS, .remind_ms = REMIND_MS, .reminders = REMINDERS}};
    memset(&world, 0, sizeof(world));
    world.now_ms = begin_ms;
    random_state = seed * 0x9e3779b97f4a7c15 + 1;
    pipeline = pipeline_new(&settings);
    pipeline_use_rules(pipeline, rules);
    restore();
    for (unsigned turn = 0; turn < 300; turn++) {
        world.now_ms += pick(20) ? pick(2000) : pick(100000);
        act();
        if (pick(2))
            run_batch();
        if (pick(4) == 0)
            run_zombie();
    }
    /* Owners whose clocks are right come, and time passes. */
    for (unsigned turn = 0; turn < 400; turn++) {
        world.now_ms += 5000;
        owner.ahead_ms = 0;
        run_batch();
        run_zombie();
    }
    CHECK(world.committed == world.log_count, "the log is not read to its end");
    check();
    restore(); /* whoever comes next knows the same */
    check();
    partition_state_free(zombie.state);
    zombie = (struct owner){0};
    pipeline_free(pipeline);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"unfenced", no_argument, NULL, 'u'},
                                            {0}};
    uint64_t first = 1, seeds = 300;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            first = strtoull(optarg, NULL, 10), seeds = 1;
        else if (option == 'n')
            seeds = strtoull(optarg, NULL, 10);
        else if (option == 'u')
            unfenced = true;
        else
            return 2;
    }
    struct document *allow = NULL;
    struct layout *layout = NULL;
    struct rule_set *rules = NULL;
    auto_problems struct problems problems = {0};
    bool ready =
        document_parse(BYTES_LITERAL("{review: [legal]}"), NULL, &allow, NULL) == STATUS_OK;
    const struct layout_source source = {.allow = document_root(allow)};
    ready = ready && layout_new(&source, &layout, &problems) == STATUS_OK &&
            rule_set_parse(BYTES_LITERAL(RULES), layout, &rules, &problems) == STATUS_OK;
    document_free(allow);
    if (!ready)
        return 2;
    unsigned long long updates = 0, decisions = 0, timers = 0;
    for (seed = first; seed < first + seeds; seed++) {
        run(layout, rules);
        updates += world.told_count;
        decisions += world.decision_count;
        for (unsigned i = 0; i < world.log_count; i++)
            timers += world.log[i].act == LATE || world.log[i].act == LAPSE;
    }
    partition_state_free(owner.state);
    rule_set_free(rules);
    layout_free(layout);
    printf("%llu worlds, %llu updates, %llu decisions, %llu timers\n", (unsigned long long)seeds,
           updates, decisions, timers);
    return 0;
}
