/* What one more of something costs when there are many of it already:
 *   growth_bench WHAT COUNT     prepares COUNT of them, and does in measured() what is to be counted
 *   growth_bench --list         the names, and how often measured() does it for a COUNT of 1
 * Counted from outside, by instructions (scenario-growth): that needs no machine to itself. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "hand_source.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "partition_state.h"
#include "pipeline.h"
#include "policy.h"
#include "rule_set.h"

/* --- a gateway's hub ------------------------------------------------------------------------------ */

static struct {
    size_t count;
    struct layout *layout;
    struct policy *policy;
    struct hub *hub;
    struct hand_source source;
    struct session **sessions;
    struct partition_state *state;
    struct buffer text;
    struct rule_set *rules;
    struct pipeline *pipeline;
} bench;

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

/* Reads all there is, as a transport whose socket takes it. */
static void ready(struct session *session, void *connection)
{
    struct delivery delivery;
    (void)connection;
    while (session_next(session, &delivery))
        ;
}

static const struct transport_ops transport = {.name = "bench", .encode = encode, .ready = ready};

static struct document *parse(const char *yaml)
{
    struct document *document;
    if (document_parse(bytes_of_string(yaml), NULL, &document, NULL) != STATUS_OK)
        abort();
    return document;
}

/* One lane for all; its source has not answered. */
static void open_hub(void)
{
    auto_problems struct problems problems = {0};
    struct document *rooms = parse("user: {topic: t, key: \"{tenant}\", partitions: 1}\n"
                                   "task: {topic: t, key: \"{tenant}\", partitions: 1}");
    struct document *access = parse("connect: [\"user:{sub}\"]\njoin: [\"task:*\"]");
    struct layout_source source = {.rooms = document_root(rooms)};
    if (layout_new(&source, &bench.layout, &problems) != STATUS_OK ||
        policy_new(document_root(access), bench.layout, &bench.policy, &problems) != STATUS_OK)
        abort();
    document_free(rooms);
    document_free(access);
    struct hub_config config = hand_config(bench.layout, bench.policy);
    config.sessions = (unsigned)bench.count + 1;
    bench.hub = hub_new(&config, &hand_source_ops, &bench.source);
    bench.sessions = mem_resize(NULL, bench.count, sizeof(struct session *));
}

static void come(void)
{
    for (size_t i = 0; i < bench.count; i++) {
        char claims[96];
        (void)snprintf(claims, sizeof(claims), "{\"sub\":\"u%zu\",\"tenant\":\"t\"}", i);
        struct session_request request = {.transport = &transport,
                                          .claims = claims_of_text(bytes_of_string(claims))};
        memcpy(request.random, &i, sizeof(i));
        bench.sessions[i] = hub_open_session(bench.hub, &request);
        assert(bench.sessions[i]);
    }
}

static void settle(void)
{
    hand_open(&bench.source, bench.hub, 0, 0);
    while (hub_deadline_ms(bench.hub) <= 1)
        hub_run(bench.hub, 1);
    hub_run(bench.hub, 1);
}

static void join(void)
{
    for (size_t i = 0; i < bench.count; i++) {
        char room[32];
        (void)snprintf(room, sizeof(room), "task:%zu", i);
        session_join(bench.sessions[i], bytes_of_string(room), 1, 1);
    }
}

static void go(void)
{
    for (size_t i = 0; i < bench.count; i++)
        session_close(bench.sessions[i]);
    hub_run(bench.hub, 1);
}

static struct lane_record record_for(int64_t offset, struct buffer *value)
{
    char room[32];
    (void)snprintf(room, sizeof(room), "user:u%zu", (size_t)offset % bench.count);
    struct bytes rooms[] = {bytes_of_string(room)};
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .rooms = rooms,
                                        .room_count = 1,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.status = BYTES_LITERAL("x")}};
    notification_encode(&notification, value);
    return (struct lane_record){
        .offset = offset, .key = BYTES_LITERAL("t"), .value = buffer_peek(value)};
}

static void prepare_opened(void)
{
    open_hub();
    come();
    settle();
}

static void prepare_waiting(void)
{
    open_hub();
    come();
}

static void records(void)
{
    for (size_t i = 0; i < bench.count; i++) {
        struct buffer value = {0};
        struct lane_record record = record_for((int64_t)i, &value);
        hub_record(bench.hub, bench.source.lane, &record);
        buffer_deinit(&value);
        if (i % 100 == 99)
            hub_run(bench.hub, 1);
    }
}

/* --- a dispatcher --------------------------------------------------------------------------------- */

static struct fingerprint id_of(uint64_t number)
{
    return (struct fingerprint){.high = number * 0x9e3779b97f4a7c15u, .low = number};
}

static void open_reviews(void)
{
    for (size_t i = 0; i < bench.count; i++)
        if (!partition_state_open_review(bench.state, id_of(i), id_of(1), 0))
            abort();
}

static void prepare_reviews(void)
{
    const struct partition_state_settings settings = {.dedupe_window_ms = 1000,
                                                      .dedupe_entries = bench.count,
                                                      .review_window_ms = 1000,
                                                      .review_tasks = bench.count,
                                                      .reviews_per_task = 4};
    bench.state = partition_state_new(&settings, 0);
    open_reviews();
    partition_state_commit(bench.state);
}

/* In one batch, which is then undone. */
static void change_reviews(void)
{
    for (size_t i = 0; i < bench.count; i++)
        partition_state_close_reviews(bench.state, id_of(i));
    partition_state_rollback(bench.state);
}

static void take(void *context, struct bytes key, struct bytes value, bool has_value)
{
    (void)context, (void)key, (void)value, (void)has_value;
}

static void note_events(void)
{
    for (size_t i = 0; i < bench.count; i++)
        partition_state_note(bench.state, id_of(i), 0);
    partition_state_flush(bench.state, take, NULL);
    partition_state_commit(bench.state);
}

#define REVIEW                                                                                    \
    "{\"tenantId\":\"acme\",\"taskId\":\"42\",\"userId\":\"owner\",\"projectId\":\"p\",\"type\":" \
    "\"extraction\",\"queue\":\"legal\",\"reason\":\"confidence "                                 \
    "0.6\",\"priority\":\"normal\",\"title\":"                                                    \
    "\"Look at "                                                                                  \
    "42\",\"dueTime\":\"2026-03-02T08:01:56.419Z\",\"rule\":\"low-confidence\",\"rooms\":"        \
    "[\"review:legal\",\"task:42\",\"user:owner\"],\"decisions\":[\"approve\",\"reject\"],"       \
    "\"self\":"                                                                                   \
    "false}"

static struct partition_state *new_timed(void)
{
    const struct partition_state_settings settings = {.review_tasks = bench.count,
                                                      .reviews_per_task = 1};
    return partition_state_new(&settings, 0);
}

/* Not yet committed. The last that opens is due first. */
static void prepare_open(void)
{
    auto_problems struct problems problems = {0};
    const struct layout_source source = {0};
    if (layout_new(&source, &bench.layout, &problems) != STATUS_OK)
        abort();
    const struct pipeline_settings settings = {.layout = bench.layout,
                                               .limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit",
                                               .review_log = "reviews.log",
                                               .review_log_partitions = 8,
                                               .review_decisions_topic = "reviews.decisions",
                                               .review_times = {.fire = true}};
    bench.pipeline = pipeline_new(&settings);
    bench.state = new_timed();
    for (size_t i = 0; i < bench.count; i++)
        if (!reviews_open(partition_state_reviews(bench.state),
                          (struct review_id){.task = id_of(i), .instance = 1},
                          BYTES_LITERAL(REVIEW), (int64_t)(bench.count - i)))
            abort();
}

static void prepare_timers(void)
{
    prepare_open();
    partition_state_commit(bench.state);
}

static void fire_timers(void)
{
    static struct batch batch;
    for (size_t left = bench.count; left > 0;) {
        batch_reset(&batch);
        left -= pipeline_fire_timers(bench.pipeline, bench.state, INT64_MAX / 2,
                                     PIPELINE_TIMERS_PER_BATCH, &batch);
        partition_state_flush(bench.state, take, NULL);
        partition_state_commit(bench.state);
    }
}

static void restore_one(void *context, struct bytes key, struct bytes value, bool has_value)
{
    if (partition_state_restore(context, key, value, has_value) != PARTITION_STATE_TAKEN)
        abort();
}

/* By a new owner, from what the last one wrote. */
static void restore_reviews(void)
{
    struct partition_state *restored = new_timed();
    partition_state_flush(bench.state, restore_one, restored);
    if (partition_state_timed_count(restored) != bench.count)
        abort();
}

/* Rules of four fields each, that no other rule has. */
static void write_rules(void)
{
    buffer_append_string(&bench.text, "rules:\n");
    for (size_t i = 0; i < bench.count; i += 4)
        buffer_append_format(
            &bench.text,
            "  - {name: r%zu, when: {event: [\"e%zu\"]}, notify: {type: notification, rooms: "
            "[\"task:{taskId}\"], title: \"{data.a%zu}{data.b%zu}{data.c%zu}{data.d%zu}\"}}\n",
            i, i, i, i, i, i);
}

static void read_rules(void)
{
    auto_problems struct problems problems = {0};
    if (rule_set_parse(buffer_peek(&bench.text), NULL, &bench.rules, &problems) != STATUS_OK)
        abort();
}

static void prepare_events(void)
{
    auto_problems struct problems problems = {0};
    const struct layout_source source = {0};
    write_rules();
    read_rules();
    if (layout_new(&source, &bench.layout, &problems) != STATUS_OK)
        abort();
    const struct pipeline_settings settings = {.layout = bench.layout,
                                               .limits = PIPELINE_LIMITS_DEFAULT,
                                               .dead_letter_topic = "dead",
                                               .audit_topic = "audit"};
    bench.pipeline = pipeline_new(&settings);
    pipeline_use_rules(bench.pipeline, bench.rules);
}

/* Each matches one rule. */
static void process_events(void)
{
    static struct batch batch;
    struct decision decision;
    for (size_t i = 0; i < bench.count; i += 4) {
        char text[256];
        int size = snprintf(text, sizeof(text),
                            "{\"id\":\"i%zu\",\"event\":\"e%zu\",\"tenantId\":\"t\",\"taskId\":"
                            "\"k\",\"data\":{\"a%zu\":1}}",
                            i, i, i);
        const struct record record = {.topic = BYTES_LITERAL("tasks.events"),
                                      .timestamp_ms = 1,
                                      .value = bytes_of(text, (size_t)size),
                                      .has_value = true};
        batch_reset(&batch);
        pipeline_process(bench.pipeline, NULL, &record, &batch, &decision);
        assert(!decision.dead);
    }
}

/* --- what is measured ----------------------------------------------------------------------------- */

static const struct subject {
    const char *name;
    double times; /* that measured() does it, for a count of 1 */
    void (*prepare)(void);
    void (*act)(void);
} subjects[] = {
    {"sessions-opening", 1, prepare_waiting, settle},
    {"sessions-closing-unopened", 1, prepare_waiting, go},
    {"sessions-closing", 1, prepare_opened, go},
    {"rooms-joined", 1, prepare_opened, join},
    {"records-delivered", 1, prepare_opened, records},
    {"reviews-changed", 1, prepare_reviews, change_reviews},
    {"events-noted", 1, prepare_reviews, note_events},
    {"review-timers-fired", 1, prepare_timers, fire_timers},
    {"reviews-restored", 1, prepare_open, restore_reviews},
    {"rule-fields-read", 1, write_rules, read_rules},
    {"events-with-fields", 0.25, prepare_events, process_events},
};

/* Its instructions are counted, and no others. */
void measured(const struct subject *subject);
__attribute__((noinline)) void measured(const struct subject *subject)
{
    subject->act();
}

int main(int argc, char **argv)
{
    size_t known = sizeof(subjects) / sizeof(subjects[0]);
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        for (size_t i = 0; i < known; i++)
            printf("%s %g\n", subjects[i].name, subjects[i].times);
    for (size_t i = 0; argc == 3 && i < known; i++) {
        if (strcmp(argv[1], subjects[i].name) != 0)
            continue;
        bench.count = strtoul(argv[2], NULL, 10);
        subjects[i].prepare();
        measured(&subjects[i]);
        return EXIT_SUCCESS;
    }
    return argc == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
