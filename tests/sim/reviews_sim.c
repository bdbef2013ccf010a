/* Reviews in random worlds: dispatchers die and come back with what the changelog has, batches are
 * aborted and read again, owners move, and people claim, take over, release and decide against each
 * other by what their screens showed some time ago.
 *
 * Held against a model that reads the log once from its beginning, knowing nothing of batches:
 *
 *   - the updates in the lane are exactly those of the model, in its order, none twice;
 *   - of each review the versions are 1, 2, 3, ... and nothing follows its end;
 *   - what is decided has one decision, of the person who is told to have decided;
 *   - what is alive in the end is what the model has.
 *
 *   reviews_sim [--seed N] [--seeds COUNT] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"
#include "partition_state.h"
#include "pipeline.h"

enum { REVIEWS = 12, PEOPLE = 5, RECORDS = 400, TASKS = 6, CHANGES = 4000, TELLINGS = 4000 };

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

enum act { OPEN, CLOSE, CLAIM, TAKE, RELEASE, DECIDE };

struct logged {
    enum act act;
    unsigned review; /* of a closing: the task */
    unsigned person;
    uint32_t version;
    bool approves;
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

/* --- One dispatcher: the one that has the partition now --- */

static struct pipeline *pipeline;
static struct partition_state *state;
static const struct partition_state_settings remembers = {
    .review_window_ms = 1000, .review_tasks = TASKS, .reviews_per_task = REVIEWS};

static void restore(void)
{
    partition_state_free(state);
    state = partition_state_new(&remembers, 1);
    for (unsigned i = 0; i < world.change_count; i++) {
        const struct change *change = &world.changes[i];
        enum partition_state_record taken =
            partition_state_restore(state, bytes_of(change->key, change->key_size),
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
                                    "review.claim",  "review.release", "review.decide"};

/* A record as it stands in the log, judged. */
static void feed(const struct logged *logged, unsigned offset, struct batch *batch)
{
    char id[REVIEW_ID_SIZE + 1];
    char person[16];
    char json[400];
    struct decision decision;
    id_of(logged->review, id);
    snprintf(person, sizeof(person), "person%u", logged->person);
    if (logged->act == OPEN)
        snprintf(json, sizeof(json),
                 "{\"tenantId\":\"acme\",\"taskId\":\"t%u\",\"queue\":\"legal\",\"reason\":\"r\","
                 "\"rooms\":[\"review:legal\"],\"decisions\":[\"yes\",\"no\"],\"self\":false}",
                 logged->review % TASKS);
    else
        snprintf(json, sizeof(json),
                 "{\"review\":\"%s\",\"version\":%u,\"take\":%s,\"decision\":\"%s\"}", id,
                 (unsigned)logged->version, logged->act == TAKE ? "true" : "false",
                 logged->approves ? "yes" : "no");
    const struct record_header headers[] = {
        {BYTES_LITERAL("ce_type"), bytes_of_string(types[logged->act])},
        {BYTES_LITERAL("ce_id"), bytes_of_string(logged->act == OPEN ? id : "c")},
        {BYTES_LITERAL("ce_source"), BYTES_LITERAL("client/acme/x")},
        {BYTES_LITERAL("ce_tenantid"), BYTES_LITERAL("acme")},
        {BYTES_LITERAL("ce_userid"), bytes_of_string(person)},
        {BYTES_LITERAL("ce_room"), BYTES_LITERAL("review:legal")},
    };
    const struct record record = {.topic = BYTES_LITERAL("reviews.log"),
                                  .offset = offset,
                                  .timestamp_ms = 1772438516419,
                                  .key = bytes_of(id, REVIEW_HOME_SIZE),
                                  .has_key = true,
                                  .value = bytes_of_string(json),
                                  .has_value = true,
                                  .headers = headers,
                                  .header_count = sizeof(headers) / sizeof(headers[0])};
    pipeline_process(pipeline, state, &record, batch, &decision);
    CHECK(batch->counts.review_records[REVIEW_MALFORMED] == 0, "not understood: %s", json);
}

/* What a batch came to is there for everybody once it is committed. */
static void publish(const struct batch *batch)
{
    for (size_t i = 0; i < batch->output_count; i++) {
        const struct output *output = &batch->outputs[i];
        struct notification *view;
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
        notification_free(view);
    }
}

/* A batch of some records. It commits; or aborts; or its dispatcher dies before or after the
 * commit, or is fenced while another has the partition already. */
static void run_batch(void)
{
    struct batch batch = {0};
    unsigned count = 1 + pick(8);
    unsigned end = world.committed + count;
    if (end > world.log_count)
        end = world.log_count;
    for (unsigned i = world.committed; i < end; i++)
        feed(&world.log[i], i, &batch);
    world.written = 0;
    partition_state_flush(state, write_change, NULL);
    unsigned fate = pick(10);
    if (fate == 0) { /* aborted */
        partition_state_rollback(state);
    } else if (fate == 1) { /* dead, and its transaction with it */
        restore();
    } else {
        publish(&batch);
        world.change_count += world.written;
        world.committed = end;
        partition_state_commit(state);
        if (fate == 2) /* another has the partition from now on */
            restore();
    }
    if (pick(8) == 0)
        compact();
    batch_deinit(&batch);
}

/* --- People --- */

/* A screen shows what was told up to some time ago. */
static void command(void)
{
    struct logged *logged = &world.log[world.log_count];
    unsigned seen = world.told_count - (pick(3) ? 0 : pick(world.told_count + 1));
    unsigned review = pick(REVIEWS);
    uint32_t version = 1;
    for (unsigned i = 0; i < seen; i++)
        if (world.lane[i].review == review)
            version = world.lane[i].version;
    *logged = (struct logged){.act = (enum act)(CLAIM + pick(4)),
                              .review = review,
                              .person = pick(PEOPLE),
                              .version = version,
                              .approves = pick(2)};
    world.log_count++;
}

static void act(void)
{
    if (world.log_count >= RECORDS - PEOPLE)
        return;
    if (world.next_review < REVIEWS && pick(12) == 0)
        world.log[world.log_count++] = (struct logged){.act = OPEN, .review = world.next_review++};
    else if (pick(40) == 0)
        world.log[world.log_count++] = (struct logged){.act = CLOSE, .review = pick(TASKS)};
    else
        for (unsigned i = 0; i < 1 + pick(PEOPLE); i++) /* at one instant */
            command();
}

/* --- The model --- */

struct modelled {
    bool alive;
    uint32_t version;
    int holder; /* -1: nobody */
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
        expect(logged->review, ++review->version, "claimed", person);
    } else if (logged->act == RELEASE && review->holder == person) {
        review->holder = -1;
        expect(logged->review, ++review->version, "open", -1);
    } else if (logged->act == DECIDE && !others) {
        review->alive = false;
        expect(logged->review, ++review->version, "decided", person);
    }
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
            reviews[logged->review] = (struct modelled){.alive = true, .version = 1, .holder = -1};
            expect(logged->review, 1, "open", -1);
        } else if (logged->act == CLOSE) {
            model_closing(reviews, logged->review);
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
        const struct review *review = reviews_find(partition_state_reviews(state), review_id_of(i));
        CHECK((review != NULL) == reviews[i].alive, "review %u", i);
        CHECK(!review || review->status.version == reviews[i].version, "version of review %u", i);
        alive += reviews[i].alive;
    }
    CHECK(partition_state_living_count(state) == alive, "too many are remembered");
}

static void run(struct layout *layout, const struct rule_set *rules)
{
    const struct pipeline_settings settings = {.layout = layout,
                                               .limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .review_log = "reviews.log",
                                               .review_log_partitions = 1,
                                               .review_decisions_topic = "reviews.decisions"};
    memset(&world, 0, sizeof(world));
    random_state = seed * 0x9e3779b97f4a7c15 + 1;
    pipeline = pipeline_new(&settings);
    pipeline_use_rules(pipeline, rules);
    restore();
    for (unsigned turn = 0; turn < 300; turn++) {
        act();
        if (pick(2))
            run_batch();
    }
    while (world.committed < world.log_count)
        run_batch();
    check();
    restore(); /* whoever comes next knows the same */
    check();
    pipeline_free(pipeline);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'n'}, {0}};
    uint64_t first = 1, seeds = 300;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            first = strtoull(optarg, NULL, 10), seeds = 1;
        else if (option == 'n')
            seeds = strtoull(optarg, NULL, 10);
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
            rule_set_parse(BYTES_LITERAL("rules: []"), layout, &rules, &problems) == STATUS_OK;
    document_free(allow);
    if (!ready)
        return 2;
    unsigned long long updates = 0, decisions = 0;
    for (seed = first; seed < first + seeds; seed++) {
        run(layout, rules);
        updates += world.told_count;
        decisions += world.decision_count;
    }
    partition_state_free(state);
    rule_set_free(rules);
    layout_free(layout);
    printf("%llu worlds, %llu updates, %llu decisions\n", (unsigned long long)seeds, updates,
           decisions);
    return 0;
}
