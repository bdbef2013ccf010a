/* The settings that both programs read from the same file: kafka, layout, log. Not those of one
 * program: they have tables of their own.
 *
 *   struct shared_config shared = {0};
 *   struct config_group groups[] = {shared_config_group(&shared), {own settings}};
 *   config_load(...);
 *   shared_config_finish(&shared, environ, problems);
 *
 * The latter even if the load has found problems, so that all of them are reported at once. */
#ifndef COMMON_EDGE_SHARED_CONFIG_H
#define COMMON_EDGE_SHARED_CONFIG_H

#include "config.h"
#include "kafka_settings.h"
#include "layout.h"
#include "log.h"

struct shared_config {
    int layout_preset;
    const struct document_node *rooms_node;
    const struct document_node *large_tenants_node;
    const struct document_node *allow_node;
    const struct document_node *kafka_node;
    int64_t state_retention_ms; /* 0: no state is kept beyond the lanes */
    bool core_dumps;
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */

    struct layout *layout;        /* made by shared_config_finish */
    struct kafka_settings *kafka; /* made by shared_config_finish */
};

struct config_group shared_config_group(struct shared_config *shared);

/* Makes layout and kafka from the nodes, adding problems. `environment` has SMARTSTACK_KAFKA_
 * variables. */
void shared_config_finish(struct shared_config *shared, char **environment,
                          struct problems *problems);
void shared_config_deinit(struct shared_config *shared);

#endif
