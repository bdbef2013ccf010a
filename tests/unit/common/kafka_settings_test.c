#include "kafka_settings.h"

#include "kafka_oidc.h"
#include "mem.h"
#include "suite.h"

static struct document *document;

static struct kafka_settings *make(const char *text, char **environment, struct problems *problems)
{
    struct error error;
    struct kafka_settings *settings = NULL;
    ck_assert_int_eq(document_parse(bytes_of_string(text), NULL, &document, &error), STATUS_OK);
    enum status status =
        kafka_settings_new(document_root(document), environment, &settings, problems);
    ck_assert_int_eq(status == STATUS_OK, settings != NULL);
    ck_assert_int_eq(status == STATUS_OK, problems_empty(problems));
    document_free(document);
    return settings;
}

static void has(const rd_kafka_conf_t *conf, const char *name, const char *expected)
{
    char value[256] = "";
    size_t size = sizeof(value);
    ck_assert_int_eq(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    ck_assert_str_eq(value, expected);
}

START_TEST(properties_pass_through_over_the_defaults_of_a_role)
{
    char *environment[] = {(char[]){"SMARTSTACK_KAFKA_SECURITY_PROTOCOL=plaintext"},
                           (char[]){"SMARTSTACK_KAFKA_CONSUMER_FETCH_WAIT_MAX_MS=20"},
                           (char[]){"SMARTSTACK_GATEWAY_HTTP_PORT=1"}, NULL};
    auto_problems struct problems problems = {0};
    struct kafka_settings *settings =
        make("bootstrap.servers: a:1,b:2\nsecurity.protocol: ssl\nsocket.keepalive.enable: false\n"
             "consumer: {fetch.wait.max.ms: 100, fetch.min.bytes: 1}\nproducer: {linger.ms: 2}\n",
             environment, &problems);
    ck_assert(problems_empty(&problems));
    rd_kafka_conf_t *conf = kafka_settings_conf(settings, KAFKA_ROLE_CONSUMER, "tester");
    has(conf, "bootstrap.servers", "a:1,b:2");
    has(conf, "security.protocol", "plaintext");
    has(conf, "socket.keepalive.enable", "false");
    has(conf, "fetch.wait.max.ms", "20");
    has(conf, "isolation.level", "read_committed");
    has(conf, "auto.offset.reset", "error");
    has(conf, "enable.auto.commit", "false");
    has(conf, "client.id", "tester");
    rd_kafka_conf_destroy(conf);
    conf = kafka_settings_conf(settings, KAFKA_ROLE_TRANSACTIONAL_PRODUCER, "tester");
    has(conf, "linger.ms", "2");
    has(conf, "enable.idempotence", "true");
    has(conf, "transaction.timeout.ms", "10000");
    has(conf, "fetch.wait.max.ms", "500");
    rd_kafka_conf_destroy(conf);
    ck_assert_str_eq(kafka_settings_get(settings, KAFKA_ROLE_PRODUCER, "linger.ms"), "2");
    ck_assert_ptr_null(kafka_settings_get(settings, KAFKA_ROLE_ADMIN, "linger.ms"));
    kafka_settings_free(settings);
}
END_TEST

/* Both programs must notice a broker that is back, or silent, equally soon. */
START_TEST(every_role_finds_a_broker_that_is_back_within_a_second)
{
    auto_problems struct problems problems = {0};
    struct kafka_settings *settings = make("bootstrap.servers: a:1\n", NULL, &problems);
    for (int role = KAFKA_ROLE_CONSUMER; role <= KAFKA_ROLE_ADMIN; role++) {
        rd_kafka_conf_t *conf = kafka_settings_conf(settings, (enum kafka_role)role, "tester");
        has(conf, "reconnect.backoff.max.ms", "1000");
        has(conf, "socket.connection.setup.timeout.ms", "10000");
        has(conf, "socket.keepalive.enable", "true");
        has(conf, "log.connection.close", "false");
        bool produces = role != KAFKA_ROLE_CONSUMER && role != KAFKA_ROLE_ADMIN;
        has(conf, "socket.timeout.ms", produces ? "60000" : "10000");
        rd_kafka_conf_destroy(conf);
    }
    kafka_settings_free(settings);
}
END_TEST

/* librdkafka refuses a socket's time that is longer than the transaction's. */
START_TEST(a_transaction_may_be_given_less_time)
{
    auto_problems struct problems problems = {0};
    char text[256] = "";
    struct kafka_settings *settings =
        make("bootstrap.servers: 127.0.0.1:1\nproducer: {transaction.timeout.ms: 2000}\n"
             "reconnect.backoff.max.ms: 300\nlog_level: 0\n",
             NULL, &problems);
    rd_kafka_conf_t *conf =
        kafka_settings_conf(settings, KAFKA_ROLE_TRANSACTIONAL_PRODUCER, "tester");
    has(conf, "reconnect.backoff.max.ms", "300");
    kafka_conf_set(conf, "transactional.id", "tester-0");
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    ck_assert_msg(client != NULL, "%s", text);
    rd_kafka_destroy(client);
    kafka_settings_free(settings);
}
END_TEST

START_TEST(what_librdkafka_refuses_is_told_in_its_place)
{
    char *environment[] = {(char[]){"SMARTSTACK_KAFKA_PLANET=1"}, NULL};
    auto_problems struct problems problems = {0};
    ck_assert_ptr_null(make("bootstrap.servers: a:1\ncolour: blue\nconsumer:\n"
                            "  fetch.wait.max.ms: soon\nacks: [1]\nproducer: 1\n",
                            environment, &problems));
    problems_sort(&problems);
    auto_buffer struct buffer out = {0};
    problems_render(&problems, "F", &out);
    buffer_append_byte(&out, '\0');
    const char *text = (const char *)buffer_peek(&out).data;
    ck_assert_msg(strstr(text, "SMARTSTACK_KAFKA_ variables: planet: librdkafka has no such"), "%s",
                  text);
    ck_assert_msg(strstr(text, "F:2:1: kafka: colour: librdkafka has no such property"), "%s",
                  text);
    ck_assert_msg(strstr(text, "F:4:3: kafka.consumer: fetch.wait.max.ms: "), "%s", text);
    ck_assert_msg(strstr(text, "F:5:7: kafka.acks: expected a value, not a list"), "%s", text);
    ck_assert_msg(strstr(text, "F:6:11: kafka.producer: expected a mapping"), "%s", text);
}
END_TEST

START_TEST(secrets_are_not_repeated)
{
    auto_problems struct problems problems = {0};
    ck_assert_ptr_null(make("ssl.key.pem: hunter2\nssl.ca.pem: hunter2\n"
                            "ssl.key.password: hunter2\nsecurity.protocol: hunter3\n",
                            NULL, &problems));
    for (size_t i = 0; i < problems.count; i++)
        ck_assert(!strstr(problems.items[i].text, "hunter2"));
}
END_TEST

START_TEST(the_mock_cluster_is_recognised)
{
    auto_problems struct problems problems = {0};
    struct kafka_settings *settings = make("log_level: 3\n", NULL, &problems);
    rd_kafka_conf_t *conf = kafka_settings_conf(settings, KAFKA_ROLE_PRODUCER, "tester");
    kafka_conf_set(conf, "test.mock.num.brokers", "1");
    char text[256];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    ck_assert_ptr_nonnull(client);
    bool mock = false;
    ck_assert_int_eq(kafka_is_mock(client, 10000, &mock), STATUS_OK);
    ck_assert(mock);
    rd_kafka_destroy(client);
    kafka_settings_free(settings);
}
END_TEST

START_TEST(a_cluster_that_does_not_answer_is_unavailable)
{
    auto_problems struct problems problems = {0};
    struct kafka_settings *settings =
        make("bootstrap.servers: 127.0.0.1:1\nlog_level: 0\n", NULL, &problems);
    char text[256];
    rd_kafka_t *client =
        rd_kafka_new(RD_KAFKA_PRODUCER, kafka_settings_conf(settings, KAFKA_ROLE_ADMIN, "tester"),
                     text, sizeof(text));
    ck_assert_ptr_nonnull(client);
    bool mock = false;
    ck_assert_int_eq(kafka_is_mock(client, 100, &mock), STATUS_UNAVAILABLE);
    rd_kafka_destroy(client);
    kafka_settings_free(settings);
}
END_TEST

#define OIDC "sasl.mechanism: OAUTHBEARER\nsasl.oauthbearer.method: oidc\n"
#define CLIENT OIDC "sasl.oauthbearer.client.id: me\nsasl.oauthbearer.client.secret: mine\n"
#define ENDPOINT(url) "sasl.oauthbearer.token.endpoint.url: " url "\n"

static void oidc_is(const char *text, bool good)
{
    auto_problems struct problems problems = {0};
    struct kafka_settings *settings = make(text, NULL, &problems);
    ck_assert_msg(good == (settings != NULL), "%s", text);
    kafka_settings_free(settings);
}

START_TEST(tokens_of_a_provider_need_all_that_gets_them)
{
    oidc_is(CLIENT ENDPOINT("https://id.example/token"), true);
    if (kafka_oidc_is_builtin()) /* it judges the rest by itself, when a client is made */
        return;
    oidc_is(OIDC "sasl.oauthbearer.client.id: me\n" ENDPOINT("https://id.example/token"), false);
    oidc_is(CLIENT, false);
    oidc_is(CLIENT ENDPOINT("file:///etc/passwd"), false);
    oidc_is(CLIENT ENDPOINT("https://id.example/token") "sasl.oauthbearer.config: x\n", false);
    oidc_is("consumer: {sasl.oauthbearer.method: oidc}", false); /* it is for all clients */
}
END_TEST

START_TEST(a_providers_answer_is_read_or_refused)
{
    static const char *const refused[] = {
        "",
        "[]",
        "{}",
        "{\"access_token\":\"a\"}",
        "{\"expires_in\":10}",
        "{\"access_token\":\"\",\"expires_in\":10}",
        "{\"access_token\":7,\"expires_in\":10}",
        "{\"access_token\":\"a\",\"expires_in\":0}",
        "{\"access_token\":\"a\",\"expires_in\":1e99}",
        "{\"access_token\":\"a\",\"expires_in\":9223372036854775807}",
        "{\"access_token\":\"a\",\"access_token\":\"b\",\"expires_in\":1}"};
    char *token;
    int64_t lasts_s;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        ck_assert_msg(!kafka_oidc_read_answer(bytes_of_string(refused[i]), &token, &lasts_s), "%s",
                      refused[i]);
    struct bytes good = BYTES_LITERAL("{\"access_token\":\"a.b\",\"expires_in\":300}");
    ck_assert(kafka_oidc_read_answer(good, &token, &lasts_s));
    ck_assert_str_eq(token, "a.b");
    ck_assert_int_eq(lasts_s, 300);
    free(token);
}
END_TEST

TEST_PROGRAM("kafka_settings", properties_pass_through_over_the_defaults_of_a_role,
             every_role_finds_a_broker_that_is_back_within_a_second,
             a_transaction_may_be_given_less_time, what_librdkafka_refuses_is_told_in_its_place,
             secrets_are_not_repeated, the_mock_cluster_is_recognised,
             a_cluster_that_does_not_answer_is_unavailable,
             tokens_of_a_provider_need_all_that_gets_them, a_providers_answer_is_read_or_refused)
