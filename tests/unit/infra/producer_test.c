#include "producer.h"

#include <librdkafka/rdkafka_mock.h>

#include "suite.h"

static char *environment[] = {(char[]){"SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1"}, NULL};

/* What the open handle has of a property. */
static void get(const struct producer *producer, const char *name, char *value, size_t size)
{
    const rd_kafka_conf_t *conf = rd_kafka_conf(producer_client(producer));
    ck_assert_int_eq(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
}

/* Without a delivery callback a flush waits in slices of 10 ms; with the default back-off a
 * transaction that comes too soon waits for 100 ms. */
START_TEST(transactions_do_not_wait_for_clocks)
{
    char text[64] = "";
    struct error error;
    struct kafka_settings *settings = NULL;
    auto_problems struct problems problems = {0};
    ck_assert_int_eq(kafka_settings_new(NULL, environment, &settings, &problems), STATUS_OK);
    struct producer *producer =
        producer_new(&(struct producer_options){.kafka = settings, .transactional_id = "slot-0"});
    ck_assert_int_eq(producer_open(producer, 1, &error), STATUS_UNAVAILABLE);
    get(producer, "dr_msg_cb", text, sizeof(text));
    ck_assert_str_ne(text, "");
    get(producer, "retry.backoff.ms", text, sizeof(text));
    ck_assert_str_eq(text, "1");
    producer_free(producer);
    kafka_settings_free(settings);
}
END_TEST

static void send_refused(rd_kafka_resp_err_t code, struct producer_result *result)
{
    enum { PRODUCE = 0 };
    char *mock[] = {(char[]){"SMARTSTACK_KAFKA_TEST_MOCK_NUM_BROKERS=1"}, NULL};
    static const int sources[] = {0};
    const struct output output = {.topic = "lanes", .value = BYTES_LITERAL("x"), .has_value = true};
    struct error error;
    struct kafka_settings *settings = NULL;
    auto_problems struct problems problems = {0};
    ck_assert_int_eq(kafka_settings_new(NULL, mock, &settings, &problems), STATUS_OK);
    struct producer *producer = producer_new(&(struct producer_options){.kafka = settings});
    ck_assert_int_eq(producer_open(producer, 1000, &error), STATUS_OK);
    rd_kafka_mock_push_request_errors(rd_kafka_handle_mock_cluster(producer_client(producer)),
                                      PRODUCE, 1, code);
    producer_send(producer,
                  &(struct producer_batch){.outputs = &output, .sources = sources, .count = 1},
                  result);
    producer_free(producer);
    kafka_settings_free(settings);
}

START_TEST(a_record_is_blamed_for_what_it_is)
{
    struct producer_result result;
    send_refused(RD_KAFKA_RESP_ERR_INVALID_RECORD, &result);
    ck_assert_int_eq(result.outcome, PRODUCER_POISONED);
    ck_assert_int_eq(result.culprit, 0);
}
END_TEST

/* A dead letter would have the same time. */
START_TEST(a_record_is_not_blamed_for_the_clock)
{
    struct producer_result result;
    send_refused(RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, &result);
    ck_assert_int_eq(result.outcome, PRODUCER_AGAIN);
    ck_assert_int_eq(result.culprit, -1);
    ck_assert_msg(strstr(result.error.text, "clocks") != NULL, "%s", result.error.text);
}
END_TEST

/* The broker answers to the first batch when it has been given up: the answer must not be taken for
 * one to the next batch. */
START_TEST(nothing_of_a_batch_that_was_given_up_is_left)
{
    enum { PRODUCE = 0, LATE_MS = 60000 };
    char *mock[] = {(char[]){"SMARTSTACK_KAFKA_TEST_MOCK_NUM_BROKERS=1"}, NULL};
    static const int sources[] = {3, 4};
    static uint8_t large[2000000];
    const struct output outputs[] = {
        {.topic = "lanes", .value = BYTES_LITERAL("x"), .has_value = true},
        {.topic = "lanes", .value = bytes_of(large, sizeof(large)), .has_value = true},
    };
    struct producer_result result;
    struct error error;
    struct kafka_settings *settings = NULL;
    auto_problems struct problems problems = {0};
    ck_assert_int_eq(kafka_settings_new(NULL, mock, &settings, &problems), STATUS_OK);
    struct producer *producer =
        producer_new(&(struct producer_options){.kafka = settings, .flush_timeout_ms = 200});
    ck_assert_int_eq(producer_open(producer, 1000, &error), STATUS_OK);
    rd_kafka_mock_broker_push_request_error_rtts(
        rd_kafka_handle_mock_cluster(producer_client(producer)), 1, PRODUCE, 2,
        RD_KAFKA_RESP_ERR_INVALID_RECORD, LATE_MS, RD_KAFKA_RESP_ERR_INVALID_RECORD, LATE_MS);
    producer_send(producer,
                  &(struct producer_batch){.outputs = outputs, .sources = sources, .count = 1},
                  &result);
    ck_assert_int_eq(result.outcome, PRODUCER_AGAIN);
    ck_assert_int_eq(result.culprit, -1);
    ck_assert_int_eq(rd_kafka_outq_len(producer_client(producer)), 0);
    /* The second output is not even taken. */
    producer_send(producer,
                  &(struct producer_batch){.outputs = outputs, .sources = sources, .count = 2},
                  &result);
    ck_assert_int_eq(result.outcome, PRODUCER_POISONED);
    ck_assert_int_eq(result.culprit, 4);
    ck_assert_int_eq(rd_kafka_outq_len(producer_client(producer)), 0);
    producer_free(producer);
    kafka_settings_free(settings);
}
END_TEST

TEST_PROGRAM("producer", transactions_do_not_wait_for_clocks, a_record_is_blamed_for_what_it_is,
             a_record_is_not_blamed_for_the_clock, nothing_of_a_batch_that_was_given_up_is_left)
