/* The lane source on a broker, with a hub that only writes down what it is told. Without
 * SMARTSTACK_TEST_KAFKA (host:port of a real broker) it runs on librdkafka's mock cluster, in this
 * process; what the mock cannot do is then passed over. SMARTSTACK_TEST_KAFKA_RESTART is a command
 * that restarts the real broker. */
#include "kafka_source.h"

#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"
#include "suite.h"

/* --- A hub that writes down --- */

struct lane {
    char topic[80];
    unsigned opened, unavailable, broken, ends, scans_ended;
    bool alive;
    char reason[40];
    int64_t first, end, position, next;
    bool out_of_order;
    int64_t *offsets;
    size_t count, capacity;
    int64_t *scanned;
    size_t scanned_count, scanned_capacity;
    size_t pause_every; /* scanned records after which the scan is paused; 0: never */
    bool paused;
    enum status scan_status;
    int64_t scan_first;
    struct state_ends state_ends; /* the last answer */
    unsigned state_answers, state_reads;
    enum status state_status;
    int64_t *kept; /* offsets read of its state topic */
    size_t kept_count, kept_capacity;
    struct kafka_source *source;
};

struct hub {
    int unused;
};

static void add_offset(int64_t **offsets, size_t *count, size_t *capacity, int64_t offset)
{
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 1024;
        *offsets = mem_resize(*offsets, *capacity, sizeof(**offsets));
    }
    (*offsets)[(*count)++] = offset;
}

void hub_lane_opened(struct hub *hub, struct lane *lane, int64_t first, int64_t end)
{
    (void)hub;
    lane->opened++;
    lane->alive = true;
    lane->first = first;
    lane->end = lane->position = lane->next = end;
}

void hub_lane_ends(struct hub *hub, struct lane *lane, int64_t first, int64_t end)
{
    (void)hub;
    lane->ends++;
    lane->first = first;
    lane->end = end;
}

void hub_lane_unavailable(struct hub *hub, struct lane *lane, const char *reason, int64_t wall_ms)
{
    (void)hub;
    ck_assert_int_gt(wall_ms, 0);
    lane->unavailable++;
    lane->alive = false;
    snprintf(lane->reason, sizeof(lane->reason), "%s", reason);
}

void hub_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    (void)hub;
    lane->alive = true;
    lane->out_of_order = lane->out_of_order || record->offset < lane->next;
    lane->next = record->offset + 1;
    lane->position = lane->next;
    ck_assert_uint_eq(record->room_hashes.size, 8);
    ck_assert_uint_eq(record->layout, bytes_read_little_endian(BYTES_LITERAL("12345678").data, 8));
    ck_assert(bytes_equal_string(record->key, "acme"));
    ck_assert_int_gt(record->timestamp_ms, 0);
    add_offset(&lane->offsets, &lane->count, &lane->capacity, record->offset);
}

void hub_lane_position(struct hub *hub, struct lane *lane, int64_t position)
{
    (void)hub;
    lane->alive = true;
    ck_assert_int_ge(position, lane->position);
    lane->position = position;
}

void hub_lane_broken(struct hub *hub, struct lane *lane, const char *reason)
{
    (void)hub;
    lane->broken++;
    lane->alive = false;
    snprintf(lane->reason, sizeof(lane->reason), "%s", reason);
    kafka_source_ops.reopen(lane->source, lane);
}

bool hub_scan_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    (void)hub;
    ck_assert(!lane->paused);
    add_offset(&lane->scanned, &lane->scanned_count, &lane->scanned_capacity, record->offset);
    lane->paused = lane->pause_every && lane->scanned_count % lane->pause_every == 0;
    return !lane->paused;
}

void hub_scan_ended(struct hub *hub, struct lane *lane, enum status status, int64_t first)
{
    (void)hub;
    lane->scans_ended++;
    lane->scan_status = status;
    lane->scan_first = first;
}

void hub_state_ends(struct hub *hub, struct lane *lane, const struct state_ends *ends)
{
    (void)hub;
    lane->state_answers++;
    lane->state_ends = *ends;
}

void hub_state_record(struct hub *hub, struct lane *lane, const struct lane_record *record)
{
    (void)hub;
    add_offset(&lane->kept, &lane->kept_count, &lane->kept_capacity, record->offset);
}

void hub_state_read(struct hub *hub, struct lane *lane, enum status status)
{
    (void)hub;
    lane->state_reads++;
    lane->state_status = status;
}

/* --- The world --- */

static struct {
    char broker[120];
    bool real;
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *mock; /* lives in the producer */
    struct document *layout_document;
    struct layout *layout;
    struct kafka_settings *settings;
    struct kafka_source *source;
    struct hub hub;
    unsigned topics;
    unsigned long_turns; /* in which the source kept its caller */
} world;

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum { LONG_TURN_MS = 150 };

static void pump_once(int64_t most_ms)
{
    int64_t now = clock_ms(CLOCK_MONOTONIC);
    int64_t wait = kafka_source_deadline_ms(world.source) - now;
    wait = wait < 0 ? 0 : wait > most_ms ? most_ms : wait;
    struct pollfd descriptor = {.fd = kafka_source_descriptor(world.source), .events = POLLIN};
    poll(&descriptor, 1, (int)wait);
    int64_t began = clock_ms(CLOCK_MONOTONIC);
    kafka_source_service(world.source, began, clock_ms(CLOCK_REALTIME));
    world.long_turns += clock_ms(CLOCK_MONOTONIC) - began >= LONG_TURN_MS;
}

/* A limit ends what will not come; it is no measure, and has room for a busy machine. */
enum { PATIENCE = 9 };
#define PUMP_UNTIL(condition, limit_ms)                                              \
    do {                                                                             \
        int64_t until_ = clock_ms(CLOCK_MONOTONIC) + PATIENCE * (int64_t)(limit_ms); \
        while (!(condition) && clock_ms(CLOCK_MONOTONIC) < until_)                   \
            pump_once(20);                                                           \
        ck_assert_msg(condition, "not within %d ms: %s", limit_ms, #condition);      \
    } while (0)

static void pump_for(int64_t duration_ms)
{
    int64_t until = clock_ms(CLOCK_MONOTONIC) + duration_ms;
    while (clock_ms(CLOCK_MONOTONIC) < until)
        pump_once(20);
}

static rd_kafka_t *new_producer(const char *transactional_id)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[200];
    if (world.real)
        rd_kafka_conf_set(conf, "bootstrap.servers", world.broker, text, sizeof(text));
    else
        rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "0", text, sizeof(text));
    rd_kafka_conf_set(conf, "topic.metadata.refresh.fast.interval.ms", "50", text, sizeof(text));
    if (transactional_id)
        rd_kafka_conf_set(conf, "transactional.id", transactional_id, text, sizeof(text));
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    ck_assert_msg(producer != NULL, "%s", text);
    return producer;
}

static void read_layout(void)
{
    static const char yaml[] = "rooms:\n"
                               "  task: {topic: few, key: \"{tenant}\", partitions: 64}\n";
    struct error error;
    struct problems problems = {0};
    ck_assert_int_eq(document_parse(bytes_of_string(yaml), NULL, &world.layout_document, &error),
                     STATUS_OK);
    struct layout_source from = {.preset = BYTES_LITERAL("none"),
                                 .rooms =
                                     document_find(document_root(world.layout_document), "rooms")};
    ck_assert_msg(layout_new(&from, &world.layout, &problems) == STATUS_OK, "%s",
                  problems.count ? problems.items[0].text : "?");
}

static void open_world(void)
{
    const char *broker = getenv("SMARTSTACK_TEST_KAFKA");
    world.real = broker && *broker;
    snprintf(world.broker, sizeof(world.broker), "%s", world.real ? broker : "");
    world.producer = new_producer(NULL);
    if (!world.real) {
        world.mock = rd_kafka_handle_mock_cluster(world.producer);
        snprintf(world.broker, sizeof(world.broker), "%s",
                 rd_kafka_mock_cluster_bootstraps(world.mock));
    }
    read_layout();
    char yaml[200];
    snprintf(yaml, sizeof(yaml), "{\"bootstrap.servers\": \"%s\"}", world.broker);
    struct document *document;
    struct error error;
    struct problems problems = {0};
    ck_assert_int_eq(document_parse(bytes_of_string(yaml), NULL, &document, &error), STATUS_OK);
    ck_assert_int_eq(kafka_settings_new(document_root(document), NULL, &world.settings, &problems),
                     STATUS_OK);
    document_free(document);
    struct kafka_source_config config = {.settings = world.settings,
                                         .layout = world.layout,
                                         .client_id = "test",
                                         .scans = 2,
                                         .records_per_turn = 100,
                                         .probe_interval_ms = 1000,
                                         .stall_ms = 5000};
    ck_assert_int_eq(kafka_source_open(&config, &world.source, &error), STATUS_OK);
    kafka_source_attach(world.source, &world.hub);
}

static void close_world(void)
{
    kafka_source_close(world.source);
    kafka_settings_free(world.settings);
    layout_free(world.layout);
    document_free(world.layout_document);
    rd_kafka_destroy(world.producer);
    memset(&world, 0, sizeof(world));
}

static void admin(bool create, const char *topic, int partitions)
{
    char text[200];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(world.producer);
    if (create) {
        rd_kafka_NewTopic_t *wanted =
            rd_kafka_NewTopic_new(topic, partitions, 1, text, sizeof(text));
        rd_kafka_CreateTopics(world.producer, &wanted, 1, NULL, queue);
        rd_kafka_NewTopic_destroy(wanted);
    } else {
        rd_kafka_DeleteTopic_t *unwanted = rd_kafka_DeleteTopic_new(topic);
        rd_kafka_DeleteTopics(world.producer, &unwanted, 1, NULL, queue);
        rd_kafka_DeleteTopic_destroy(unwanted);
    }
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 15000);
    ck_assert_ptr_nonnull(event);
    ck_assert_msg(!rd_kafka_event_error(event), "%s", rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
}

static void create_topic(const char *topic, int partitions)
{
    if (world.real)
        admin(true, topic, partitions);
    else
        ck_assert_int_eq(rd_kafka_mock_topic_create(world.mock, topic, partitions, 1), 0);
}

static void delete_records(const char *topic, int64_t before)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(world.producer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = before;
    rd_kafka_DeleteRecords_t *unwanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(world.producer, &unwanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 15000);
    ck_assert(event && !rd_kafka_event_error(event));
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(unwanted);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
}

static void lane_init(struct lane *lane)
{
    *lane = (struct lane){.source = world.source};
    snprintf(lane->topic, sizeof(lane->topic), "lane-%d-%u-%ld", (int)getpid(), world.topics++,
             (long)time(NULL));
}

static void lane_deinit(struct lane *lane)
{
    free(lane->offsets);
    free(lane->scanned);
    free(lane->kept);
}

static void open_lane(struct lane *lane)
{
    kafka_source_ops.open(world.source, lane, lane->topic, 0);
}

static void close_lane(struct lane *lane)
{
    kafka_source_ops.close(world.source, lane);
    pump_once(0);
    lane_deinit(lane);
}

static void produce_one(rd_kafka_t *producer, const char *topic)
{
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("acme", 4),
            RD_KAFKA_V_VALUE((void *)(uintptr_t) "value", 5),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADER("rooms", "abcdefgh", 8),
            RD_KAFKA_V_HEADER("layout", "12345678", 8),
            RD_KAFKA_V_HEADER("type", "task.status", 11), RD_KAFKA_V_HEADER("other", "x", 1),
            RD_KAFKA_V_END);
        rd_kafka_poll(producer, code ? 10 : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    ck_assert_int_eq(code, 0);
}

static void produce(const char *topic, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        produce_one(world.producer, topic);
    ck_assert_int_eq(rd_kafka_flush(world.producer, 15000), 0);
}

struct production {
    pthread_t thread;
    const char *topic;
    unsigned count;
};

static void *produce_steadily(void *context)
{
    const struct production *production = context;
    for (unsigned i = 0; i < production->count; i++) {
        produce_one(world.producer, production->topic);
        if (i % 4 == 3)
            usleep(1000);
    }
    rd_kafka_flush(world.producer, 15000);
    return NULL;
}

static void check_run(const int64_t *offsets, size_t count, int64_t from, int64_t to)
{
    ck_assert_uint_eq(count, to - from);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(offsets[i], from + (int64_t)i);
}

/* --- Live --- */

START_TEST(what_is_produced_around_the_opening_is_seen_from_the_end_on)
{
    open_world();
    for (int round = 0; round < 5; round++) {
        struct lane lane;
        lane_init(&lane);
        create_topic(lane.topic, 1);
        struct production production = {.topic = lane.topic, .count = 2000};
        pthread_create(&production.thread, NULL, produce_steadily, &production);
        pump_for((int64_t)round * 80);
        open_lane(&lane);
        PUMP_UNTIL(lane.opened == 1, 10000);
        PUMP_UNTIL(lane.next == 2000, 20000);
        pthread_join(production.thread, NULL);
        pump_for(100);
        check_run(lane.offsets, lane.count, lane.end, 2000);
        ck_assert(!lane.out_of_order);
        PUMP_UNTIL(lane.position == 2000, 5000);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

START_TEST(a_topic_created_late_is_waited_for)
{
    struct lane lane;
    open_world();
    if (world.real) { /* the mock makes topics when asked about them */
        lane_init(&lane);
        open_lane(&lane);
        PUMP_UNTIL(lane.unavailable == 1, 10000);
        ck_assert_str_eq(lane.reason, "topic_missing");
        pump_for(1500);
        ck_assert_uint_eq(lane.unavailable, 1);
        create_topic(lane.topic, 1);
        PUMP_UNTIL(lane.opened == 1, 5000);
        produce(lane.topic, 10);
        PUMP_UNTIL(lane.count == 10, 5000);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

START_TEST(fewer_partitions_than_configured_is_no_lane)
{
    struct lane lane;
    open_world();
    lane_init(&lane);
    strcpy(lane.topic, "few");
    if (!world.real || getenv("SMARTSTACK_TEST_KAFKA_FRESH")) {
        create_topic("few", 2);
        open_lane(&lane);
        PUMP_UNTIL(lane.unavailable == 1, 10000);
        ck_assert_str_eq(lane.reason, "too_few_partitions");
        ck_assert_uint_eq(lane.opened, 0);
        kafka_source_ops.close(world.source, &lane);
    }
    lane_deinit(&lane);
    close_world();
}
END_TEST

START_TEST(a_lane_closed_and_opened_again_starts_at_the_new_end)
{
    struct lane lane;
    struct lane again;
    open_world();
    lane_init(&lane);
    create_topic(lane.topic, 1);
    open_lane(&lane);
    PUMP_UNTIL(lane.opened == 1, 10000);
    produce(lane.topic, 500);
    PUMP_UNTIL(lane.count >= 100, 10000);
    again = (struct lane){.source = world.source};
    strcpy(again.topic, lane.topic);
    kafka_source_ops.close(world.source, &lane);
    open_lane(&again);
    size_t seen = lane.count;
    PUMP_UNTIL(again.opened == 1, 10000);
    ck_assert_int_eq(again.end, 500);
    produce(lane.topic, 20);
    PUMP_UNTIL(again.count == 20, 10000);
    check_run(again.offsets, again.count, 500, 520);
    ck_assert_uint_eq(lane.count, seen);
    kafka_source_ops.ends(world.source, &again);
    PUMP_UNTIL(again.ends == 1, 5000);
    ck_assert_int_eq(again.first, 0);
    ck_assert_int_eq(again.end, 520);
    lane_deinit(&lane);
    close_lane(&again);
    close_world();
}
END_TEST

START_TEST(aborted_transactions_leave_a_position_and_no_record)
{
    struct lane lane;
    open_world();
    if (world.real) {
        lane_init(&lane);
        create_topic(lane.topic, 1);
        open_lane(&lane);
        PUMP_UNTIL(lane.opened == 1, 10000);
        rd_kafka_t *producer = new_producer(lane.topic);
        ck_assert_ptr_null(rd_kafka_init_transactions(producer, 15000));
        for (int i = 0; i < 4; i++) {
            ck_assert_ptr_null(rd_kafka_begin_transaction(producer));
            for (int j = 0; j < 5; j++)
                produce_one(producer, lane.topic);
            rd_kafka_flush(producer, 15000); /* an abort drops what was not sent */
            ck_assert_ptr_null(i % 2 ? rd_kafka_abort_transaction(producer, 15000)
                                     : rd_kafka_commit_transaction(producer, 15000));
        }
        /* 5 records and a marker each: 0-4, (5), 6-10 aborted, (11), 12-16, (17), 18-22 aborted,
         * (23) */
        PUMP_UNTIL(lane.position == 24, 10000);
        ck_assert_uint_eq(lane.count, 10);
        ck_assert_int_eq(lane.offsets[4], 4);
        ck_assert_int_eq(lane.offsets[5], 12);
        kafka_source_ops.scan(world.source, &lane, 5, 24);
        PUMP_UNTIL(lane.scans_ended == 1, 10000);
        ck_assert_int_eq(lane.scan_status, STATUS_OK);
        check_run(lane.scanned, lane.scanned_count, 12, 17);
        rd_kafka_destroy(producer);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

/* --- State topics --- */

static void ask_ends(struct lane *lane, bool of_lane, unsigned question)
{
    unsigned before = lane->state_answers;
    kafka_source_ops.state_ends(world.source, lane, of_lane, question);
    PUMP_UNTIL(lane->state_answers == before + 1, 10000);
    ck_assert_uint_eq(lane->state_ends.question, question);
}

/* A transaction that is open lies below the end, of which every other handle is told that it lies
 * beyond it; what is read stops before it, and goes on when it is over. */
static void look_at_open_transaction(struct lane *lane, const char *kept)
{
    rd_kafka_t *producer = new_producer(lane->topic);
    ck_assert_ptr_null(rd_kafka_init_transactions(producer, 15000));
    ck_assert_ptr_null(rd_kafka_begin_transaction(producer));
    for (int i = 0; i < 2; i++) {
        produce_one(producer, kept);
        produce_one(producer, lane->topic);
    }
    rd_kafka_flush(producer, 15000);
    ask_ends(lane, false, 7);
    ck_assert_int_eq(lane->state_ends.status, STATUS_OK);
    ck_assert_int_eq(lane->state_ends.first, 0);
    ck_assert_int_eq(lane->state_ends.end, 5);
    ask_ends(lane, true, 8);
    ck_assert_int_eq(lane->state_ends.end, 2);
    kafka_source_ops.state_read(world.source, lane, 0, 5);
    PUMP_UNTIL(lane->kept_count == 3, 10000);
    pump_for(500);
    ck_assert_uint_eq(lane->state_reads, 0);
    ck_assert_uint_eq(lane->kept_count, 3);
    ck_assert_ptr_null(rd_kafka_commit_transaction(producer, 15000));
    PUMP_UNTIL(lane->state_reads == 1, 10000);
    ck_assert_int_eq(lane->state_status, STATUS_OK);
    check_run(lane->kept, lane->kept_count, 0, 5);
    rd_kafka_destroy(producer);
}

START_TEST(state_topics_end_where_the_last_record_was_written)
{
    struct lane lane;
    char kept[100];
    open_world();
    lane_init(&lane);
    snprintf(kept, sizeof(kept), "%s.state", lane.topic);
    create_topic(lane.topic, 1);
    open_lane(&lane);
    PUMP_UNTIL(lane.opened == 1, 10000);
    ask_ends(&lane, false, 1); /* there is none; the embedded broker is not even asked */
    ck_assert_int_eq(lane.state_ends.status, STATUS_NOT_FOUND);
    if (world.real) {
        create_topic(kept, 1);
        produce(kept, 3);
        look_at_open_transaction(&lane, kept);
        delete_records(kept, 2);
        kafka_source_ops.state_read(world.source, &lane, 0, 5);
        PUMP_UNTIL(lane.state_reads == 2, 10000);
        ck_assert_int_eq(lane.state_status, STATUS_EXPIRED);
        ask_ends(&lane, false, 9);
        ck_assert_int_eq(lane.state_ends.first, 2);
        kafka_source_ops.state_read(world.source, &lane, 2, 5);
    }
    unsigned answers = lane.state_answers;
    if (world.real)
        kafka_source_ops.state_cancel(world.source, &lane);
    kafka_source_ops.state_ends(world.source, &lane, false, 10);
    kafka_source_ops.state_cancel(world.source, &lane);
    pump_for(300);
    ck_assert_uint_eq(lane.state_answers, answers); /* it was taken back */
    ck_assert_uint_le(lane.state_reads, 2);
    close_lane(&lane);
    close_world();
}
END_TEST

/* --- Scans --- */

START_TEST(scans_give_their_range_once_in_order_with_pauses)
{
    struct lane lanes[4];
    open_world();
    for (int i = 0; i < 4; i++) {
        lane_init(&lanes[i]);
        create_topic(lanes[i].topic, 1);
        produce(lanes[i].topic, 3000);
        open_lane(&lanes[i]);
        PUMP_UNTIL(lanes[i].opened == 1, 10000);
        ck_assert_int_eq(lanes[i].end, 3000);
    }
    for (int i = 0; i < 4; i++) {
        lanes[i].pause_every = (size_t)i * 100;
        kafka_source_ops.scan(world.source, &lanes[i], (int64_t)i * 10, 3000 - i);
    }
    int64_t until = clock_ms(CLOCK_MONOTONIC) + 20000;
    unsigned ended = 0;
    while (ended < 4 && clock_ms(CLOCK_MONOTONIC) < until) {
        pump_once(20);
        ended = 0;
        for (int i = 0; i < 4; i++) {
            ended += lanes[i].scans_ended;
            if (lanes[i].paused) {
                lanes[i].paused = false;
                kafka_source_ops.scan_resume(world.source, &lanes[i]);
            }
        }
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(lanes[i].scans_ended, 1);
        ck_assert_int_eq(lanes[i].scan_status, STATUS_OK);
        check_run(lanes[i].scanned, lanes[i].scanned_count, (int64_t)i * 10, 3000 - i);
        close_lane(&lanes[i]);
    }
    close_world();
}
END_TEST

START_TEST(a_cancelled_scan_does_not_disturb_the_next)
{
    struct lane lane;
    open_world();
    lane_init(&lane);
    create_topic(lane.topic, 1);
    produce(lane.topic, 5000);
    open_lane(&lane);
    PUMP_UNTIL(lane.opened == 1, 10000);
    for (int round = 0; round < 6; round++) {
        lane.scanned_count = 0;
        kafka_source_ops.scan(world.source, &lane, 3000 - round * 500, 5000);
        size_t wanted = (size_t)round * 300;
        PUMP_UNTIL(lane.scanned_count >= wanted, 10000);
        kafka_source_ops.scan_cancel(world.source, &lane);
        size_t seen = lane.scanned_count;
        pump_once(0);
        ck_assert_uint_eq(lane.scanned_count, seen);
        for (size_t i = 0; i < seen; i++)
            ck_assert_int_eq(lane.scanned[i], 3000 - round * 500 + (int64_t)i);
    }
    ck_assert_uint_eq(lane.scans_ended, 0);
    lane.scanned_count = 0;
    kafka_source_ops.scan(world.source, &lane, 10, 4990);
    PUMP_UNTIL(lane.scans_ended == 1, 10000);
    check_run(lane.scanned, lane.scanned_count, 10, 4990);
    close_lane(&lane);
    close_world();
}
END_TEST

START_TEST(a_scan_of_what_retention_removed_says_where_the_log_begins)
{
    struct lane lane;
    open_world();
    if (world.real) {
        lane_init(&lane);
        create_topic(lane.topic, 1);
        produce(lane.topic, 100);
        open_lane(&lane);
        PUMP_UNTIL(lane.opened == 1, 10000);
        delete_records(lane.topic, 60);
        kafka_source_ops.scan(world.source, &lane, 10, 100);
        PUMP_UNTIL(lane.scans_ended == 1, 10000);
        ck_assert_int_eq(lane.scan_status, STATUS_EXPIRED);
        ck_assert_int_eq(lane.scan_first, 60);
        ck_assert_uint_eq(lane.scanned_count, 0);
        kafka_source_ops.scan(world.source, &lane, 60, 100);
        PUMP_UNTIL(lane.scans_ended == 2, 10000);
        ck_assert_int_eq(lane.scan_status, STATUS_OK);
        check_run(lane.scanned, lane.scanned_count, 60, 100);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

/* --- Trouble --- */

START_TEST(a_deleted_and_created_topic_breaks_its_lane)
{
    struct lane lane;
    open_world();
    if (world.real) {
        lane_init(&lane);
        create_topic(lane.topic, 1);
        produce(lane.topic, 100);
        open_lane(&lane);
        PUMP_UNTIL(lane.position == 100 && lane.opened == 1, 10000);
        admin(false, lane.topic, 0);
        pump_for(500);
        create_topic(lane.topic, 1);
        produce(lane.topic, 5);
        PUMP_UNTIL(lane.broken == 1 && lane.opened == 2, 60000);
        int64_t end = lane.end;
        produce(lane.topic, 5);
        PUMP_UNTIL(lane.next == end + 5, 10000);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

START_TEST(a_topic_that_comes_back_longer_breaks_its_lane_too)
{
    struct lane lane;
    open_world();
    if (world.real) {
        lane_init(&lane);
        create_topic(lane.topic, 1);
        produce(lane.topic, 10);
        open_lane(&lane);
        PUMP_UNTIL(lane.position == 10 && lane.opened == 1, 10000);
        admin(false, lane.topic, 0);
        int64_t deleted = clock_ms(CLOCK_MONOTONIC);
        PUMP_UNTIL(lane.unavailable == 1, 60000);
        printf("noticed after %d ms\n", (int)(clock_ms(CLOCK_MONOTONIC) - deleted));
        pump_for(4000);
        create_topic(lane.topic, 1);
        produce(lane.topic, 50);
        PUMP_UNTIL(lane.broken == 1 && lane.opened == 2, 60000);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

static void stop_and_start_broker(struct lane *lane)
{
    const char *command = getenv("SMARTSTACK_TEST_KAFKA_RESTART");
    if (world.real) {
        ck_assert_int_eq(system(command), 0);
        return;
    }
    rd_kafka_mock_broker_set_down(world.mock, 1);
    PUMP_UNTIL(!lane->alive, 15000);
    const char *detail;
    ck_assert(!kafka_source_ready(world.source, &detail));
    rd_kafka_mock_broker_set_up(world.mock, 1);
}

START_TEST(reading_goes_on_after_the_broker_was_away)
{
    struct lane lane;
    open_world();
    lane_init(&lane);
    if (!world.real || getenv("SMARTSTACK_TEST_KAFKA_RESTART")) {
        create_topic(lane.topic, 1);
        produce(lane.topic, 50);
        open_lane(&lane);
        PUMP_UNTIL(lane.opened == 1, 10000);
        produce(lane.topic, 50);
        PUMP_UNTIL(lane.count == 50, 10000);
        stop_and_start_broker(&lane);
        produce(lane.topic, 50);
        PUMP_UNTIL(lane.count == 100 && lane.alive, 30000);
        check_run(lane.offsets, lane.count, 50, 150);
        const char *detail;
        PUMP_UNTIL(kafka_source_ready(world.source, &detail), 10000);
        ck_assert_uint_eq(lane.broken, 0);
        ck_assert_uint_eq(lane.opened, 1);
        kafka_source_ops.close(world.source, &lane);
    }
    lane_deinit(&lane);
    close_world();
}
END_TEST

/* One by one, they would take as many round trips as there are topics. */
START_TEST(many_topics_are_asked_about_at_once)
{
    enum { TOPICS = 60, TRIP_MS = 100 };
    struct lane lanes[TOPICS];
    open_world();
    if (!world.real) {
        for (int i = 0; i < TOPICS; i++) {
            lane_init(&lanes[i]);
            create_topic(lanes[i].topic, 1);
        }
        open_lane(&lanes[0]);
        PUMP_UNTIL(lanes[0].opened == 1, 10000);
        rd_kafka_mock_broker_set_rtt(world.mock, 1, TRIP_MS);
        int64_t began = clock_ms(CLOCK_MONOTONIC);
        for (int i = 1; i < TOPICS; i++)
            open_lane(&lanes[i]);
        PUMP_UNTIL(lanes[TOPICS - 1].opened == 1, 20000);
        ck_assert_int_lt(clock_ms(CLOCK_MONOTONIC) - began, TOPICS * TRIP_MS / 2);
        rd_kafka_mock_broker_set_rtt(world.mock, 1, 0);
        for (int i = 0; i < TOPICS; i++)
            close_lane(&lanes[i]);
    }
    close_world();
}
END_TEST

START_TEST(many_lanes_open_at_once)
{
    enum { LANES = 200 };
    static struct lane lanes[LANES];
    open_world();
    char topic[80];
    snprintf(topic, sizeof(topic), "wide-%d-%ld", (int)getpid(), (long)time(NULL));
    create_topic(topic, LANES);
    int64_t started = clock_ms(CLOCK_MONOTONIC);
    for (int i = 0; i < LANES; i++) {
        lanes[i] = (struct lane){.source = world.source};
        kafka_source_ops.open(world.source, &lanes[i], topic, i);
    }
    PUMP_UNTIL(kafka_source_stats(world.source)->reading == LANES, 20000);
    printf("%d lanes opened in %d ms\n", LANES, (int)(clock_ms(CLOCK_MONOTONIC) - started));
    for (int i = 0; i < LANES; i++)
        kafka_source_ops.close(world.source, &lanes[i]);
    ck_assert_uint_eq(kafka_source_stats(world.source)->reading, 0);
    ck_assert_uint_eq(kafka_source_stats(world.source)->lanes, 0);
    close_world();
}
END_TEST

/* Nothing that waits for the broker keeps the loop, however long the broker takes. */
START_TEST(a_slow_broker_does_not_keep_the_loop)
{
    enum { ASKED = 8 };
    struct lane lane;
    open_world();
    if (!world.real) {
        lane_init(&lane);
        create_topic(lane.topic, 1);
        rd_kafka_mock_broker_set_rtt(world.mock, 1, 2 * LONG_TURN_MS);
        world.long_turns = 0;
        open_lane(&lane);
        PUMP_UNTIL(lane.opened == 1, 15000);
        for (unsigned i = 1; i <= ASKED; i++) {
            kafka_source_ops.ends(world.source, &lane);
            PUMP_UNTIL(lane.ends == i, 10000);
        }
        /* One or two may be the machine's. */
        ck_assert_uint_lt(world.long_turns, ASKED / 2);
        close_lane(&lane);
    }
    close_world();
}
END_TEST

TEST_PROGRAM("kafka_source", what_is_produced_around_the_opening_is_seen_from_the_end_on,
             a_topic_created_late_is_waited_for, fewer_partitions_than_configured_is_no_lane,
             a_lane_closed_and_opened_again_starts_at_the_new_end,
             aborted_transactions_leave_a_position_and_no_record,
             state_topics_end_where_the_last_record_was_written,
             scans_give_their_range_once_in_order_with_pauses,
             a_cancelled_scan_does_not_disturb_the_next,
             a_scan_of_what_retention_removed_says_where_the_log_begins,
             a_deleted_and_created_topic_breaks_its_lane,
             a_topic_that_comes_back_longer_breaks_its_lane_too,
             reading_goes_on_after_the_broker_was_away, many_topics_are_asked_about_at_once,
             many_lanes_open_at_once, a_slow_broker_does_not_keep_the_loop)
