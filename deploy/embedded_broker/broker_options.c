#include "broker_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static const char usage_text[] =
    "usage: embedded_broker [--port P] [--topic NAME:PARTITIONS]... [--topics FILE]... "
    "[--address-file FILE]\n"
    "\n"
    "A Kafka broker for demonstrations and quick tests on one machine: librdkafka's mock cluster, "
    "one node, on\n"
    "127.0.0.1, in memory. Prints its bootstrap address on one line and serves until SIGTERM or "
    "SIGINT.\n"
    "\n"
    "  --port P                 listen on port P (default: any free port)\n"
    "  --topic NAME:PARTITIONS  create this topic; any other is made on first use, with 4 "
    "partitions\n"
    "  --topics FILE            create the topics of a file: NAME:PARTITIONS on each line, # "
    "begins a comment\n"
    "  --address-file FILE      write the bootstrap address to FILE as well, once it is served\n"
    "\n"
    "What it is not: nothing is stored on disk; a partition keeps 5 MiB or 100,000 batches; "
    "transactions are\n"
    "answered but not carried out (no isolation, no abort, no fencing, offsets in them are lost); "
    "topics cannot be\n"
    "created by a client, offsets not be found by time; consumer groups rebalance slowly.\n";

const char *broker_options_usage(void)
{
    return usage_text;
}

static bool number_of(const char *text, long low, long high, long *number)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high)
        return false;
    *number = value;
    return true;
}

/* Kafka's own rule for topic names. */
static bool name_is_legal(const char *name, size_t size)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return size > 0 && size <= BROKER_TOPIC_NAME_MAX && strspn(name, legal) >= size;
}

static enum status add_topic(struct broker_options *options, const char *text, unsigned line,
                             struct error *error)
{
    const char *colon = strrchr(text, ':');
    long partitions = 0;

    if (!colon || !name_is_legal(text, (size_t)(colon - text)) ||
        !number_of(colon + 1, 1, BROKER_PARTITIONS_MAX, &partitions))
        return error_set_at(error, line, 0, "\"%s\" is not NAME:PARTITIONS with 1 to %d partitions",
                            text, BROKER_PARTITIONS_MAX);
    if (options->topic_count == BROKER_TOPICS_MAX)
        return error_set_at(error, line, 0, "more than %d topics", BROKER_TOPICS_MAX);

    options->topics =
        mem_resize(options->topics, options->topic_count + 1, sizeof(*options->topics));
    struct broker_topic *topic = &options->topics[options->topic_count++];
    memset(topic, 0, sizeof(*topic));
    memcpy(topic->name, text, (size_t)(colon - text));
    topic->partitions = (int)partitions;
    return STATUS_OK;
}

static enum status add_topics_of_file(struct broker_options *options, const char *path,
                                      struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, STATUS_IO, "--topics %s: %s", path, strerror(errno));

    char text[512];
    enum status status = STATUS_OK;
    for (unsigned line = 1; status == STATUS_OK && fgets(text, sizeof(text), file); line++) {
        text[strcspn(text, "# \t\r\n")] = '\0';
        if (text[0] != '\0')
            status = add_topic(options, text, line, error);
    }
    (void)fclose(file);
    if (status != STATUS_OK) {
        struct error cause = *error;
        (void)error_set_at(error, cause.line, 0, "%.200s, line %u: %.250s", path, cause.line,
                           cause.text);
    }
    return status;
}

static enum status take_option(struct broker_options *options, int letter, struct error *error)
{
    long port = 0;
    switch (letter) {
    case 'p':
        if (!number_of(optarg, 1, UINT16_MAX, &port))
            return error_set(error, STATUS_INVALID, "--port %s: not a port (1 to 65535)", optarg);
        options->port = (uint16_t)port;
        return STATUS_OK;
    case 't':
        return add_topic(options, optarg, 0, error);
    case 'f':
        return add_topics_of_file(options, optarg, error);
    case 'a':
        options->address_file = optarg;
        return STATUS_OK;
    case 'h':
        options->help = true;
        return STATUS_OK;
    default:
        return error_set(error, STATUS_INVALID, "unknown or incomplete option; see --help");
    }
}

enum status broker_options_init(struct broker_options *options, int argc, char **argv,
                                struct error *error)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},   {"topic", required_argument, NULL, 't'},
        {"topics", required_argument, NULL, 'f'}, {"address-file", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    memset(options, 0, sizeof(*options));
    opterr = 0;
    for (;;) {
        int letter = getopt_long(argc, argv, "", known, NULL);
        if (letter == -1)
            break;
        enum status status = take_option(options, letter, error);
        if (status != STATUS_OK)
            return status;
    }
    if (optind < argc)
        return error_set(error, STATUS_INVALID, "unexpected argument \"%s\"; see --help",
                         argv[optind]);
    return STATUS_OK;
}

void broker_options_deinit(struct broker_options *options)
{
    free(options->topics);
    memset(options, 0, sizeof(*options));
}
