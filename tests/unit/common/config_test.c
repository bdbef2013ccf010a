#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "mem.h"
#include "shared_config.h"
#include "suite.h"

struct sample {
    char *address;
    char *secret;
    bool fast;
    int64_t port;
    int64_t wait_ms;
    int64_t size_bytes;
    double ratio;
    int mode;
    struct config_list origins;
    const struct document_node *rules;
};

static const char *const modes[] = {"slow", "quick", NULL};

#define AT(member) .offset = offsetof(struct sample, member)
static const struct setting sample_settings[] = {
    {"gateway.http.address", SETTING_STRING, AT(address), "0.0.0.0", .help = "Where it listens."},
    {"gateway.http.port", SETTING_INTEGER, AT(port), "8080", 1, 65535, .help = "Its port."},
    {"gateway.secret", SETTING_SECRET, AT(secret), .help = "A key.", .required = true},
    {"gateway.fast", SETTING_BOOLEAN, AT(fast), "true", .help = "Whether it hurries."},
    {"gateway.wait", SETTING_DURATION, AT(wait_ms), "10s", 100, 60000, .help = "How long."},
    {"gateway.size", SETTING_SIZE, AT(size_bytes), "64KiB", 0, 1 << 20, .help = "How large."},
    {"gateway.ratio", SETTING_NUMBER, AT(ratio), "0.5", 0, 1, .help = "How much."},
    {"gateway.mode", SETTING_CHOICE, AT(mode), "quick", .choices = modes, .help = "How."},
    {"gateway.origins", SETTING_LIST, AT(origins), .minimum = 0, .maximum = 3, .help = "From."},
    {"gateway.rules", SETTING_TREE, AT(rules), .help = "What for."},
};
#undef AT

struct loaded {
    char file[40];
    struct sample sample;
    struct shared_config shared;
    struct config *config;
    struct problems problems;
    enum status status;
};

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

/* text NULL: no file. */
static void load(struct loaded *loaded, const char *text, char **environment)
{
    static const char *const foreign[] = {"dispatcher", NULL};
    *loaded = (struct loaded){.file = "/tmp/config_test.XXXXXX"};
    if (text) {
        int descriptor = mkstemp(loaded->file);
        ck_assert_int_ge(descriptor, 0);
        close(descriptor);
        write_text(loaded->file, text);
    }
    struct config_group groups[] = {
        shared_config_group(&loaded->shared),
        {sample_settings, sizeof(sample_settings) / sizeof(sample_settings[0]), &loaded->sample}};
    struct config_request request = {text ? loaded->file : NULL, environment, groups, 2, foreign};
    loaded->status = config_load(&request, &loaded->config, &loaded->problems);
    if (text)
        unlink(loaded->file);
}

static void drop(struct loaded *loaded)
{
    shared_config_deinit(&loaded->shared);
    config_free(loaded->config);
    problems_deinit(&loaded->problems);
}

static void told(struct loaded *loaded, const char *expected)
{
    auto_buffer struct buffer out = {0};
    problems_sort(&loaded->problems);
    problems_render(&loaded->problems, "F", &out);
    buffer_append_byte(&out, '\0');
    ck_assert_str_eq((const char *)buffer_peek(&out).data, expected);
}

START_TEST(defaults_then_file_then_environment)
{
    char *environment[] = {(char[]){"SMARTSTACK_GATEWAY_HTTP_PORT=9000"},
                           (char[]){"SMARTSTACK_GATEWAY_ORIGINS=https://a, https://b"},
                           (char[]){"SMARTSTACK_GATEWAY_RULES={x: [1]}"},
                           (char[]){"SMARTSTACK_LAYOUT=user"},
                           (char[]){"PATH=/bin"},
                           NULL};
    struct loaded loaded;
    load(&loaded,
         "gateway:\n  http: {port: 8000}\n  secret: s\n  wait: 1.5s\n  size: 1MiB\n  mode: slow\n"
         "  fast: false\n  ratio: .25\ndispatcher:\n  whatever: 1\n",
         environment);
    told(&loaded, "");
    ck_assert_int_eq(loaded.status, STATUS_OK);
    ck_assert_str_eq(loaded.sample.address, "0.0.0.0");
    ck_assert_int_eq(loaded.sample.port, 9000);
    ck_assert_str_eq(loaded.sample.secret, "s");
    ck_assert_int_eq(loaded.sample.wait_ms, 1500);
    ck_assert_int_eq(loaded.sample.size_bytes, 1 << 20);
    ck_assert_int_eq(loaded.sample.mode, 0);
    ck_assert(!loaded.sample.fast);
    ck_assert_double_eq(loaded.sample.ratio, 0.25);
    ck_assert_uint_eq(loaded.sample.origins.count, 2);
    ck_assert_str_eq(loaded.sample.origins.items[1], "https://b");
    ck_assert_ptr_nonnull(document_find(loaded.sample.rules, "x"));
    ck_assert_int_eq(loaded.shared.layout_preset, 1);
    ck_assert_uint_eq(config_warning_count(loaded.config), 0);
    drop(&loaded);
}
END_TEST

START_TEST(every_problem_is_told_at_once_in_its_place)
{
    char *environment[] = {(char[]){"SMARTSTACK_GATEWAY_FAST=maybe"}, NULL};
    struct loaded loaded;
    load(&loaded,
         "gateway:\n  http:\n    port: 0\n    prot: 1\n  secret: [a]\n  wait: 10\n  size: 2MiB\n"
         "  mode: fast\n  ratio: 1.5\n  origins: [a, b, c, d]\n  origins: a\n  fast: 1\nplanet: 1\n"
         "gateway.http.port: 1\n",
         environment);
    ck_assert_int_eq(loaded.status, STATUS_INVALID);
    told(&loaded,
         "SMARTSTACK_GATEWAY_FAST: expected true or false, not \"maybe\"\n"
         "F:3:11: gateway.http.port: expected a whole number from 1 to 65535, not \"0\"\n"
         "F:4:5: unknown setting \"prot\" in gateway.http; there are: address, port\n"
         "F:5:11: gateway.secret: expected a secret text, not a list\n"
         "F:6:9: gateway.wait: expected a duration such as 500ms, 10s, 5m, 2h or 7d from 100ms to "
         "1m, not \"10\"\n"
         "F:7:9: gateway.size: expected a size such as 512, 64KiB or 1MiB from 0B to 1MiB, not "
         "\"2MiB\"\n"
         "F:8:9: gateway.mode: expected one of slow or quick, not \"fast\"\n"
         "F:9:10: gateway.ratio: expected a number from 0 to 1, not \"1.5\"\n"
         "F:10:12: gateway.origins: expected a list of texts, its length from 0 to 3, not a list\n"
         "F:11:3: gateway: the key \"origins\" stands here twice (first in line 10)\n"
         "F:12:9: gateway.fast: expected true or false, not \"1\"\n"
         "F:13:1: unknown setting \"planet\"; there are: kafka, layout, rooms, large_tenants, "
         "allow, state, "
         "log, core_dumps, gateway\n"
         "F:14:1: unknown setting \"gateway.http.port\"; there are: kafka, layout, rooms, "
         "large_tenants, allow, state, log, core_dumps, gateway\n");
    drop(&loaded);
}
END_TEST

START_TEST(what_is_required_and_missing_is_told)
{
    struct loaded loaded;
    load(&loaded, NULL, NULL);
    told(&loaded, "gateway.secret (or SMARTSTACK_GATEWAY_SECRET) is required: A key.\n");
    drop(&loaded);
    load(&loaded, "gateway:\n  secret: ~\n", NULL);
    ck_assert_int_eq(loaded.status, STATUS_INVALID);
    drop(&loaded);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_or_parsed_is_told)
{
    struct sample sample = {0};
    struct config_group group = {sample_settings, 2, &sample};
    struct config_request request = {"/nonexistent/file.yaml", NULL, &group, 1, NULL};
    struct config *config = NULL;
    auto_problems struct problems problems = {0};
    ck_assert_int_eq(config_load(&request, &config, &problems), STATUS_IO);
    ck_assert_str_eq(problems.items[0].text, "/nonexistent/file.yaml: No such file or directory");
    config_free(config);
    struct loaded loaded;
    load(&loaded, "gateway: [\n", NULL);
    ck_assert_int_eq(loaded.status, STATUS_INVALID);
    ck_assert_uint_eq(loaded.problems.items[0].line, 2);
    drop(&loaded);
    load(&loaded, "[1]", NULL);
    ck_assert_int_eq(loaded.status, STATUS_INVALID);
    drop(&loaded);
}
END_TEST

START_TEST(secrets_come_from_files_and_are_not_repeated)
{
    char name[] = "/tmp/config_test.XXXXXX";
    int descriptor = mkstemp(name);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    write_text(name, "hunter2\n");
    char variable[100];
    snprintf(variable, sizeof(variable), "SMARTSTACK_GATEWAY_SECRET_FILE=%s", name);
    char *environment[] = {variable, NULL};
    struct loaded loaded;
    load(&loaded, NULL, environment);
    told(&loaded, "");
    ck_assert_str_eq(loaded.sample.secret, "hunter2");
    drop(&loaded);
    unlink(name);
    load(&loaded, NULL, environment);
    ck_assert(strstr(loaded.problems.items[0].text, "No such file") != NULL);
    drop(&loaded);
}
END_TEST

START_TEST(unknown_variables_are_warnings)
{
    char *environment[] = {(char[]){"SMARTSTACK_GATEWAY_SECRET=s"},
                           (char[]){"SMARTSTACK_GATEWAY_PORT=tcp://10.0.0.1:80"},
                           (char[]){"SMARTSTACK_DISPATCHER_BATCH=5"},
                           (char[]){"SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS=a:1"}, NULL};
    struct loaded loaded;
    load(&loaded, NULL, environment);
    ck_assert_int_eq(loaded.status, STATUS_OK);
    ck_assert_uint_eq(config_warning_count(loaded.config), 1);
    ck_assert_str_eq(config_warning_at(loaded.config, 0), "SMARTSTACK_GATEWAY_PORT");
    drop(&loaded);
}
END_TEST

START_TEST(a_tree_in_a_variable_is_told_by_the_variable)
{
    char *environment[] = {(char[]){"SMARTSTACK_GATEWAY_SECRET=s"},
                           (char[]){"SMARTSTACK_GATEWAY_RULES={x: ["},
                           (char[]){"SMARTSTACK_ROOMS={x: {colour: 1}}"},
                           (char[]){"SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS=a:1"}, NULL};
    struct loaded loaded;
    load(&loaded, NULL, environment);
    ck_assert(strstr(loaded.problems.items[0].text, "SMARTSTACK_GATEWAY_RULES, line ") != NULL);
    shared_config_finish(&loaded.shared, environment, &loaded.problems);
    ck_assert(strstr(loaded.problems.items[1].text, "rooms.x: unknown key \"colour\"") != NULL);
    ck_assert_uint_eq(loaded.problems.items[1].line, 0);
    drop(&loaded);
}
END_TEST

START_TEST(the_shared_part_makes_layout_and_kafka)
{
    struct loaded loaded;
    load(&loaded,
         "gateway: {secret: s}\nkafka:\n  bootstrap.servers: a:1\n"
         "rooms: {task: {partitions: 3}}\nallow: {review: [legal]}\nlog: {level: debug}\n",
         NULL);
    shared_config_finish(&loaded.shared, NULL, &loaded.problems);
    told(&loaded, "");
    ck_assert_int_eq(loaded.shared.log_level, LOG_LEVEL_DEBUG);
    ck_assert_uint_eq(layout_topic_count(loaded.shared.layout), 2);
    ck_assert_str_eq(
        kafka_settings_get(loaded.shared.kafka, KAFKA_ROLE_CONSUMER, "bootstrap.servers"), "a:1");
    drop(&loaded);
    load(&loaded, "gateway: {secret: s}\nkafka: {client.id: x}\n", NULL);
    shared_config_finish(&loaded.shared, NULL, &loaded.problems);
    ck_assert(strstr(loaded.problems.items[0].text, "bootstrap.servers") != NULL);
    drop(&loaded);
}
END_TEST

START_TEST(help_lists_every_setting)
{
    struct shared_config shared = {0};
    struct sample sample = {0};
    struct config_group groups[] = {
        shared_config_group(&shared),
        {sample_settings, sizeof(sample_settings) / sizeof(sample_settings[0]), &sample}};
    auto_buffer struct buffer out = {0};
    config_help(groups, 2, &out);
    buffer_append_byte(&out, '\0');
    const char *text = (const char *)buffer_peek(&out).data;
    ck_assert(strstr(text, "  gateway.http.port  SMARTSTACK_GATEWAY_HTTP_PORT\n"
                           "      Its port.\n"
                           "      a whole number from 1 to 65535; default 8080\n") != NULL);
    ck_assert(strstr(text, "one of slow or quick; default quick\n") != NULL);
    ck_assert(strstr(text, "SMARTSTACK_LOG_LEVEL") != NULL);
}
END_TEST

TEST_PROGRAM("config", defaults_then_file_then_environment,
             every_problem_is_told_at_once_in_its_place, what_is_required_and_missing_is_told,
             a_file_that_cannot_be_read_or_parsed_is_told,
             secrets_come_from_files_and_are_not_repeated, unknown_variables_are_warnings,
             a_tree_in_a_variable_is_told_by_the_variable, the_shared_part_makes_layout_and_kafka,
             help_lists_every_setting)
