/* What the files of config.h share, and nobody else includes. */
#ifndef COMMON_EDGE_CONFIG_PRIVATE_H
#define COMMON_EDGE_CONFIG_PRIVATE_H

#include "arena.h"
#include "config.h"

struct config {
    struct arena arena; /* strings and lists */
    struct document *file;
    struct document **trees; /* of variables */
    size_t tree_count;
    const char **warnings;
    size_t warning_count;
    const struct setting **refused; /* given, but not fitting: not missing as well */
    size_t refused_count;
};

/* A value on its way into a setting. */
struct config_value {
    const struct document_node *node; /* of the file; NULL: `text` alone */
    struct bytes text;
    const char *source; /* what a problem calls it: the path, or the variable */
};

/* Checks and stores it; adds a problem if it does not fit. */
void config_apply(struct config *config, const struct setting *setting, void *target,
                  const struct config_value *value, struct problems *problems);

/* The longest text of a setting, in bytes. */
size_t config_text_limit(const struct setting *setting);

/* "a number from 1 to 65535": what fits. */
void config_describe(const struct setting *setting, struct buffer *out);

/* Applies SMARTSTACK_ variables. */
void config_apply_environment(struct config *config, const struct config_request *request,
                              struct problems *problems);

#endif
