/* The command line of the embedded broker, and its list of topics. Not its behaviour. */
#ifndef DEPLOY_BROKER_OPTIONS_H
#define DEPLOY_BROKER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { BROKER_TOPICS_MAX = 4096, BROKER_TOPIC_NAME_MAX = 249, BROKER_PARTITIONS_MAX = 4096 };

struct broker_topic {
    char name[BROKER_TOPIC_NAME_MAX + 1];
    int partitions;
};

struct broker_options {
    uint16_t port;            /* 0: any */
    const char *address_file; /* borrowed from argv; NULL: none */
    struct broker_topic *topics;
    size_t topic_count;
    bool help;
};

/* Reads the command line, and the files that --topics names. On failure the error says which option
 * or which line is wrong. Release with broker_options_deinit in either case. */
enum status broker_options_init(struct broker_options *options, int argc, char **argv,
                                struct error *error) MUST_CHECK;

void broker_options_deinit(struct broker_options *options);

/* The text of --help. Static. */
const char *broker_options_usage(void);

#endif
