/* Who is no member of the group any more commits nothing: the dispatcher's producer on a real broker,
 * SMARTSTACK_TEST_KAFKA (host:port), whose topics input and output have a partition each.
 *
 * A timer is due for each who believes to have the partition, and no record has to be read for it. So
 * what is sent for one must be refused of those who have it no more, in each of the ways in which
 * librdkafka and the broker would take it. */
#include <stdio.h>
#include <stdlib.h>

#include "consumer.h"
#include "producer.h"
#include "suite.h"

static char bootstrap[100];
static char *environment[] = {bootstrap, NULL};
static struct kafka_settings *settings;
static const char *const topics[] = {"input"};
enum { PATIENCE_MS = 120000, STEP_MS = 100 };

static void open_settings(void)
{
    auto_problems struct problems problems = {0};
    const char *address = getenv("SMARTSTACK_TEST_KAFKA");
    ck_assert_msg(address, "SMARTSTACK_TEST_KAFKA is not set");
    snprintf(bootstrap, sizeof(bootstrap), "SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS=%s", address);
    ck_assert_int_eq(kafka_settings_new(NULL, environment, &settings, &problems), STATUS_OK);
}

/* --- Members --- */

static void assigned(void *context, rd_kafka_topic_partition_list_t *partitions)
{
    (void)partitions;
    (*(unsigned *)context)++;
}

static void revoked(void *context, const rd_kafka_topic_partition_list_t *partitions, bool lost)
{
    (void)context;
    (void)partitions;
    (void)lost;
}

static struct consumer *join(const char *group, const char *instance, unsigned *joined)
{
    struct consumer *consumer = NULL;
    struct error error;
    const struct consumer_options options = {
        .kafka = settings,
        .group = group,
        .instance = instance,
        .topics = topics,
        .topic_count = 1,
        .events = {.assigned = assigned, .revoked = revoked, .context = joined}};
    *joined = 0;
    ck_assert_int_eq(consumer_open(&options, &consumer, &error), STATUS_OK);
    ck_assert_int_eq(consumer_join(consumer, &error), STATUS_OK);
    return consumer;
}

/* Until it has the partition. */
static void wait_for(struct consumer *consumer, const unsigned *joined)
{
    for (unsigned i = 0; *joined == 0 && i < PATIENCE_MS / STEP_MS; i++) {
        rd_kafka_message_t *message = consumer_poll(consumer, STEP_MS);
        if (message)
            rd_kafka_message_destroy(message);
    }
    ck_assert_uint_eq(*joined, 1);
}

/* --- Transactions --- */

static struct producer *open_producer(const char *name)
{
    struct error error = {0};
    struct producer *producer =
        producer_new(&(struct producer_options){.kafka = settings, .transactional_id = name});
    enum status status = STATUS_UNAVAILABLE;
    for (unsigned i = 0; i < 60 && status == STATUS_UNAVAILABLE; i++)
        status = producer_open(producer, 2000, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.text);
    return producer;
}

enum { NO_OFFSET = -2 }; /* a list without any */

/* One record, with the offset of the partition. */
static enum producer_outcome send_record(struct producer *producer, rd_kafka_t *consumer,
                                         int64_t offset)
{
    static const int sources[] = {-1};
    const struct output output = {
        .topic = "output", .value = BYTES_LITERAL("x"), .has_value = true};
    struct producer_result result;
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    if (offset != NO_OFFSET)
        rd_kafka_topic_partition_list_add(offsets, "input", 0)->offset = offset;
    producer_send(producer,
                  &(struct producer_batch){.outputs = &output,
                                           .sources = sources,
                                           .count = 1,
                                           .offsets = offsets,
                                           .consumer = consumer},
                  &result);
    rd_kafka_topic_partition_list_destroy(offsets);
    return result.outcome;
}

/* How many were committed, by whomever. */
static unsigned committed(void)
{
    unsigned count = 0;
    bool ended = false;
    rd_kafka_conf_t *conf = kafka_settings_conf(settings, KAFKA_ROLE_CONSUMER, "test");
    char text[200];
    ck_assert_int_eq(rd_kafka_conf_set(conf, "group.id", "reader", text, sizeof(text)), 0);
    ck_assert_int_eq(rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof(text)),
                     0);
    ck_assert_int_eq(
        rd_kafka_conf_set(conf, "isolation.level", "read_committed", text, sizeof(text)), 0);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    ck_assert_msg(reader, "%s", text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "output", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    ck_assert_int_eq(rd_kafka_assign(reader, list), 0);
    for (unsigned i = 0; !ended && i < PATIENCE_MS / STEP_MS; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, STEP_MS);
        if (!message)
            continue;
        count += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        ended = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        rd_kafka_message_destroy(message);
    }
    ck_assert(ended);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return count;
}

/* --- What is taken, and what is not --- */

/* The offset is that which is committed: it may be sent once more, and as often as timers fire. */
START_TEST(who_has_the_partition_sends_without_having_read)
{
    unsigned joined;
    int64_t appended_ms, heard_ms;
    struct consumer *one = join("group-1", "one", &joined);
    struct producer *producer = open_producer("group-1-one");
    wait_for(one, &joined);
    unsigned before = committed();
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(send_record(producer, consumer_client(one), 0), PRODUCER_DONE);
    ck_assert_uint_eq(committed(), before + 2);
    /* The topic has LogAppendTime: the broker has said what time it is. */
    ck_assert(producer_appended(producer, &appended_ms, &heard_ms));
    ck_assert_int_gt(appended_ms, 1700000000000);
    ck_assert_int_gt(heard_ms, 0);
    producer_free(producer);
    consumer_close(one);
}
END_TEST

/* librdkafka sends nothing for a list without an offset, and says that it did. */
START_TEST(a_list_without_an_offset_commits_nothing)
{
    unsigned joined, joined_later;
    struct consumer *one = join("group-2", "one", &joined);
    struct producer *producer = open_producer("group-2-one");
    wait_for(one, &joined);
    consumer_abandon(one);
    struct consumer *two = join("group-2", "two", &joined_later);
    wait_for(two, &joined_later); /* it has what was the other's */
    one = join("group-2", "one", &joined);
    unsigned before = committed();
    ck_assert_int_ne(send_record(producer, consumer_client(one), NO_OFFSET), PRODUCER_DONE);
    ck_assert_int_ne(send_record(producer, consumer_client(one), RD_KAFKA_OFFSET_INVALID),
                     PRODUCER_DONE);
    /* Nor of the one that has it: nothing would show that it has. */
    ck_assert_int_ne(send_record(producer, consumer_client(two), NO_OFFSET), PRODUCER_DONE);
    ck_assert_uint_eq(committed(), before);
    producer_free(producer);
    consumer_close(one);
    consumer_close(two);
}
END_TEST

/* The broker asks nothing of a group's name alone. */
START_TEST(metadata_without_a_member_commits_nothing)
{
    unsigned joined;
    char text[200];
    struct consumer *one = join("group-3", "one", &joined);
    struct producer *producer = open_producer("group-3-two");
    rd_kafka_conf_t *conf = kafka_settings_conf(settings, KAFKA_ROLE_CONSUMER, "test");
    ck_assert_int_eq(rd_kafka_conf_set(conf, "group.id", "group-3", text, sizeof(text)), 0);
    rd_kafka_t *nobody = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    ck_assert_msg(nobody, "%s", text);
    wait_for(one, &joined);
    unsigned before = committed();
    ck_assert_int_ne(send_record(producer, nobody, 0), PRODUCER_DONE);
    ck_assert_uint_eq(committed(), before);
    rd_kafka_destroy(nobody);
    producer_free(producer);
    consumer_close(one);
}
END_TEST

/* Another came under its name and has its partition; its own client may not have heard yet. */
START_TEST(a_member_that_was_replaced_commits_nothing)
{
    unsigned joined, joined_later;
    struct consumer *one = join("group-4", "one", &joined);
    struct producer *producer = open_producer("group-4-one");
    wait_for(one, &joined);
    ck_assert_int_eq(send_record(producer, consumer_client(one), 0), PRODUCER_DONE);
    struct consumer *two = join("group-4", "one", &joined_later);
    wait_for(two, &joined_later);
    unsigned before = committed();
    ck_assert_int_ne(send_record(producer, consumer_client(one), 0), PRODUCER_DONE);
    ck_assert_uint_eq(committed(), before);
    producer_free(producer);
    consumer_abandon(one);
    consumer_close(two);
    kafka_settings_free(settings);
}
END_TEST

START_TEST(the_broker_is_there)
{
    open_settings();
}
END_TEST

TEST_PROGRAM("producer_fence", the_broker_is_there, who_has_the_partition_sends_without_having_read,
             a_list_without_an_offset_commits_nothing, metadata_without_a_member_commits_nothing,
             a_member_that_was_replaced_commits_nothing)
