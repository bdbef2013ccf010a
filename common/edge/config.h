/* Settings: a table says what there is, a YAML file and the environment say what they are. Not for
 * values that change while running.
 *
 * A setting's path is where it stands in the file (`gateway.http.port`), its variable SMARTSTACK_ +
 * the path in upper case with _ for . (SMARTSTACK_GATEWAY_HTTP_PORT). The variable wins over the
 * file, the file over the default. Both programs read one file: a section of the other program (its
 * name is in config_request.foreign_sections) is left alone; any other unknown or duplicate key is
 * a problem with its place. An unknown SMARTSTACK_ variable is a warning only, since Kubernetes
 * makes such variables for every service. A variable of a SETTING_TREE holds YAML; of a
 * SETTING_LIST values separated by commas. A text that is empty is as if it were left out. */
#ifndef COMMON_EDGE_CONFIG_H
#define COMMON_EDGE_CONFIG_H

#include "document.h"
#include "problems.h"

enum setting_type {                   /* the target's type */
                    SETTING_STRING,   /* char *, owned by the config; NULL if unset and without
                                         default */
                    SETTING_SECRET,   /* the same; never shown in help or logs */
                    SETTING_BOOLEAN,  /* bool */
                    SETTING_INTEGER,  /* int64_t */
                    SETTING_NUMBER,   /* double */
                    SETTING_DURATION, /* int64_t, milliseconds; `500ms`, `10s`, `5m`, `2h`, `7d` */
                    SETTING_SIZE,   /* int64_t, bytes; `512`, `64KiB`, `1MiB`, `2GiB`, `64kB`, `1MB`
                                     */
                    SETTING_CHOICE, /* int: the index in `choices` */
                    SETTING_LIST,   /* struct config_list */
                    SETTING_TREE,   /* const struct document_node *; NULL if unset; its reader is
                                       program-specific */
};

enum { CONFIG_TEXT_MAX = 1000, CONFIG_SECRET_MAX = 64 * 1024 };

struct config_list {
    char **items;
    size_t count;
};

struct setting {
    const char *path;
    enum setting_type type;
    bool required;
    size_t offset;            /* of the target in the group's struct */
    const char *default_text; /* as in the file; NULL: none (zero, NULL) */
    /* INTEGER, NUMBER, DURATION (ms), SIZE (bytes), LIST (count): both 0: any. STRING and SECRET:
     * the longest, in bytes; 0: CONFIG_TEXT_MAX, CONFIG_SECRET_MAX. The code behind a setting
     * has a constant for what it can bear, which stands here. */
    int64_t minimum;
    int64_t maximum;
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *help;           /* one sentence or a few */
};

/* A table and the struct that it fills. */
struct config_group {
    const struct setting *settings;
    size_t count;
    void *target;
};

struct config_request {
    const char *file;   /* NULL: none */
    char **environment; /* environ; NULL: none */
    const struct config_group *groups;
    size_t group_count;
    const char *const *foreign_sections; /* NULL-terminated; may be NULL */
};

struct config;

/* Fills all targets (defaults first). Adds every problem; then STATUS_INVALID (STATUS_IO: the file
 * cannot be read) and *config is still set if the file was parsed, so that further sub-trees can be
 * checked in the same run; the caller frees it in any case. The config owns what targets point
 * to. */
enum status config_load(const struct config_request *request, struct config **config,
                        struct problems *problems) MUST_CHECK;
void config_free(struct config *config);

/* The root mapping of the file; NULL if there is none. */
const struct document_node *config_root(const struct config *config);

/* Unknown SMARTSTACK_ variables, to be logged. */
size_t config_warning_count(const struct config *config);
const char *config_warning_at(const struct config *config, size_t index);

/* Appends a list of all settings: path, variable, type, limits, default, help. */
void config_help(const struct config_group *groups, size_t group_count, struct buffer *out);

/* Appends the same as a JSON array, for programs: path, variable, type, required, default, minimum,
 * maximum (as numbers: milliseconds, bytes), choices, help. The others are
 * left out. */
void config_json(const struct config_group *groups, size_t group_count, struct buffer *out);

/* The variable of a path. */
void config_variable(const char *path, struct buffer *out);

/* Writes every problem to stderr as FILE:LINE:COLUMN: text. Returns the exit code: 0 if there is
 * none. */
int config_report(struct problems *problems, const char *file);

#endif
