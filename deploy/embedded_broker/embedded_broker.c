/* embedded_broker: librdkafka's mock cluster as a program of its own, so that the product can be
 * tried where there is neither Java nor Docker. In memory, one node, no transactions; --help has
 * the whole list. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker_options.h"
#include "fixed_port.h"

enum { EXIT_USAGE = 2 };

static enum status create_topics(rd_kafka_mock_cluster_t *cluster,
                                 const struct broker_options *options, struct error *error)
{
    for (size_t i = 0; i < options->topic_count; i++) {
        const struct broker_topic *topic = &options->topics[i];
        rd_kafka_resp_err_t code =
            rd_kafka_mock_topic_create(cluster, topic->name, topic->partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_set(error, STATUS_INVALID, "topic %s: %s", topic->name,
                             rd_kafka_err2str(code));
    }
    return STATUS_OK;
}

static enum status write_address(const char *path, const char *address, struct error *error)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return error_set(error, STATUS_IO, "--address-file %s: %s", path, strerror(errno));
    bool written = fprintf(file, "%s\n", address) > 0;
    if (fclose(file) != 0 || !written)
        return error_set(error, STATUS_IO, "--address-file %s: cannot write", path);
    return STATUS_OK;
}

/* Serves until a signal of `ending` arrives; the cluster works in a thread of librdkafka's. */
static enum status serve(rd_kafka_t *handle, const struct broker_options *options,
                         const sigset_t *ending, struct error *error)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(handle, 1);
    if (!cluster)
        return error_set(error, STATUS_FATAL, "the mock cluster did not start");

    const char *address = rd_kafka_mock_cluster_bootstraps(cluster);
    enum status status = create_topics(cluster, options, error);
    if (status == STATUS_OK && options->address_file)
        status = write_address(options->address_file, address, error);
    if (status == STATUS_OK) {
        (void)fprintf(stderr,
                      "embedded broker: in memory, one node, no transactions; not for real data\n");
        printf("%s\n", address);
        (void)fflush(stdout);
        int signal_number = 0;
        (void)sigwait(ending, &signal_number);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    return status;
}

static enum status run(const struct broker_options *options, struct error *error)
{
    /* Blocked before librdkafka makes its threads, which inherit the mask: only sigwait sees them.
     */
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ending, NULL);

    enum status status = fixed_port_set(options->port, error);
    if (status != STATUS_OK)
        return status;

    /* Warnings only: librdkafka would remark that this handle has no broker to connect to. */
    char text[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(settings, "log_level", "4", text, sizeof(text));
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof(text));
    if (!handle) {
        rd_kafka_conf_destroy(settings);
        return error_set(error, STATUS_FATAL, "librdkafka: %s", text);
    }
    status = serve(handle, options, &ending, error);
    rd_kafka_destroy(handle);
    return status;
}

int main(int argc, char **argv)
{
    struct broker_options options;
    struct error error = {0};
    enum status status = broker_options_init(&options, argc, argv, &error);
    int code = EXIT_USAGE;

    if (status == STATUS_OK && options.help) {
        (void)fputs(broker_options_usage(), stdout);
        code = EXIT_SUCCESS;
    } else if (status == STATUS_OK) {
        status = run(&options, &error);
        code = status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (status != STATUS_OK)
        (void)fprintf(stderr, "embedded_broker: %s\n", error.text);
    broker_options_deinit(&options);
    return code;
}
