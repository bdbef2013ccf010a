/* Settings from SMARTSTACK_ variables: how containers are configured. A variable's name is made
 * from the setting's path and compared; there is no way back from it, since "_" stands for both "."
 * and itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_private.h"
#include "mem.h"

enum { SECRET_FILE_LIMIT = 64 << 10 };

/* One variable. */
struct variable {
    struct bytes name;
    struct bytes text;
};

/* How a variable's name relates to a setting's. */
enum relation { RELATION_NONE, RELATION_SAME, RELATION_FILE, RELATION_INSIDE };

static enum relation relate(const struct setting *setting, struct bytes name)
{
    auto_buffer struct buffer buffer = {0};
    config_variable(setting->path, &buffer);
    struct bytes own = buffer_peek(&buffer);
    if (!bytes_start_with(name, own))
        return RELATION_NONE;
    struct bytes rest = bytes_skip(name, own.size);
    if (rest.size == 0)
        return RELATION_SAME;
    if (setting->type == SETTING_SECRET && bytes_equal_string(rest, "_FILE"))
        return RELATION_FILE;
    /* SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS is inside of `kafka`: kafka_settings.c reads it. */
    return setting->type == SETTING_TREE && rest.data[0] == '_' ? RELATION_INSIDE : RELATION_NONE;
}

/* A secret that the environment names by file, as container platforms mount them; a line end at its
 * end does not belong to it. */
static void apply_file(struct config *config, const struct setting *setting, void *target,
                       const struct variable *variable, struct problems *problems)
{
    auto_free char *source = mem_string(variable->name);
    auto_free char *name = mem_string(variable->text);
    auto_buffer struct buffer text = {0};
    FILE *file = fopen(name, "rb");
    if (!file) {
        problems_add(problems, 0, 0, "%s: %s: %s", source, name, strerror(errno));
        return;
    }
    size_t got = fread(buffer_reserve(&text, SECRET_FILE_LIMIT), 1, SECRET_FILE_LIMIT, file);
    buffer_commit(&text, got);
    bool failed = ferror(file);
    (void)fclose(file);
    struct bytes content = buffer_peek(&text);
    while (content.size &&
           (content.data[content.size - 1] == '\n' || content.data[content.size - 1] == '\r'))
        content.size--;
    if (failed || got == SECRET_FILE_LIMIT) {
        problems_add(problems, 0, 0, "%s: %s cannot be read or is too large", source, name);
        return;
    }
    struct config_value value = {NULL, content, source};
    config_apply(config, setting, target, &value, problems);
    /* The arena's copy stays as long as the setting is in use; this one need not. */
    explicit_bzero(text.data, text.capacity);
}

static void apply_variable(struct config *config, const struct setting *setting, void *target,
                           const struct variable *variable, struct problems *problems)
{
    auto_free char *source = mem_string(variable->name);
    struct config_value value = {NULL, variable->text, source};
    config_apply(config, setting, target, &value, problems);
}

/* By its section's name: SMARTSTACK_DISPATCHER_... is the dispatcher's business, whatever
 * follows. */
static bool is_foreign_variable(const struct config_request *request, struct bytes name)
{
    for (const char *const *section = request->foreign_sections; section && *section; section++) {
        auto_buffer struct buffer prefix = {0};
        config_variable(*section, &prefix);
        buffer_append_byte(&prefix, '_');
        if (bytes_start_with(name, buffer_peek(&prefix)))
            return true;
    }
    return false;
}

/* A warning and no refusal: Kubernetes puts variables named after services into each container, and
 * a service may be called smartstack. */
static void warn(struct config *config, struct bytes name)
{
    config->warnings =
        mem_resize(config->warnings, config->warning_count + 1, sizeof(*config->warnings));
    config->warnings[config->warning_count++] = (const char *)arena_copy(&config->arena, name).data;
}

static void read_environment_variable(struct config *config, const struct config_request *request,
                                      const struct variable *variable, struct problems *problems)
{
    bool known = is_foreign_variable(request, variable->name);
    for (size_t i = 0; i < request->group_count; i++) {
        const struct config_group *group = &request->groups[i];
        for (size_t j = 0; j < group->count; j++) {
            const struct setting *setting = &group->settings[j];
            void *target = (char *)group->target + setting->offset;
            enum relation relation = relate(setting, variable->name);
            known = known || relation != RELATION_NONE;
            if (relation == RELATION_SAME)
                apply_variable(config, setting, target, variable, problems);
            else if (relation == RELATION_FILE)
                apply_file(config, setting, target, variable, problems);
        }
    }
    if (!known)
        warn(config, variable->name);
}

void config_apply_environment(struct config *config, const struct config_request *request,
                              struct problems *problems)
{
    for (char **entry = request->environment; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (!equals || strncmp(*entry, "SMARTSTACK_", 11) != 0)
            continue;
        struct variable variable = {bytes_of(*entry, (size_t)(equals - *entry)),
                                    bytes_of_string(equals + 1)};
        read_environment_variable(config, request, &variable, problems);
    }
}
