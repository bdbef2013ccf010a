#include "producer.h"

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

TEST_PROGRAM("producer", transactions_do_not_wait_for_clocks)
