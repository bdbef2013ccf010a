/* Loading: defaults, then the file, then the environment, each written over what was there. A value
 * goes straight into the caller's struct at the offset that its setting names, so that nothing in
 * the programs asks for a setting by its name.
 *
 * The invariant: problems never stop a load. An operator hears of all that is wrong at once, and a
 * refused value leaves the default in its place, so that a setting is never half of two. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_private.h"
#include "mem.h"
#include "url.h"

enum { FILE_LIMIT = 4 << 20, PATH_LIMIT = 200 };

/* One run over the file. */
struct config_walk {
    struct config *config;
    const struct config_request *request;
    struct problems *problems;
};

void config_free(struct config *config)
{
    if (!config)
        return;
    /* Settings that are trees point into these documents: whoever reads them is done with it by
     * now. */
    document_free(config->file);
    for (size_t i = 0; i < config->tree_count; i++)
        document_free(config->trees[i]);
    free(config->trees);
    free(config->warnings);
    free(config->refused);
    arena_deinit(&config->arena);
    free(config);
}

const struct document_node *config_root(const struct config *config)
{
    return config->file ? document_root(config->file) : NULL;
}

size_t config_warning_count(const struct config *config)
{
    return config->warning_count;
}

const char *config_warning_at(const struct config *config, size_t index)
{
    assert(index < config->warning_count);
    return config->warnings[index];
}

void config_variable(const char *path, struct buffer *out)
{
    buffer_append_string(out, "SMARTSTACK_");
    for (; *path; path++) {
        bool letter = *path >= 'a' && *path <= 'z';
        buffer_append_byte(out, (uint8_t)(letter ? *path - 'a' + 'A' : *path == '.' ? '_' : *path));
    }
}

/* By reading and not by the file's size: a configuration may be a pipe, <(...) of a shell. */
static enum status read_config_file(const char *name, struct buffer *out, struct error *error)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return error_set(error, STATUS_IO, "%s: %s", name, strerror(errno));
    size_t got;
    do {
        got = fread(buffer_reserve(out, 65536), 1, 65536, file);
        buffer_commit(out, got);
    } while (got && buffer_size(out) <= FILE_LIMIT);
    bool failed = ferror(file);
    /* fclose() may change errno. */
    int reason = errno;
    (void)fclose(file);
    if (failed)
        return error_set(error, STATUS_IO, "%s: %s", name, strerror(reason));
    if (buffer_size(out) > FILE_LIMIT)
        return error_set(error, STATUS_IO, "%s: larger than %d bytes", name, FILE_LIMIT);
    return STATUS_OK;
}

/* Linear in settings, for each key of a file: a few hundred comparisons, once. */
static const struct setting *setting_at(const struct config_request *request, const char *path,
                                        void **target)
{
    for (size_t i = 0; i < request->group_count; i++) {
        const struct config_group *group = &request->groups[i];
        for (size_t j = 0; j < group->count; j++) {
            if (strcmp(group->settings[j].path, path) == 0) {
                *target = (char *)group->target + group->settings[j].offset;
                return &group->settings[j];
            }
        }
    }
    return NULL;
}

/* The part of a setting's path that follows `prefix` and its dot ("" has none); NULL: not below. */
static const char *below(const struct setting *setting, const char *prefix)
{
    size_t size = strlen(prefix);
    if (size == 0)
        return setting->path;
    return strncmp(setting->path, prefix, size) == 0 && setting->path[size] == '.'
               ? setting->path + size + 1
               : NULL;
}

/* There is no table of sections: one exists as long as a setting stands in it. */
static bool is_section(const struct config_request *request, const char *path)
{
    for (size_t i = 0; i < request->group_count; i++) {
        for (size_t j = 0; j < request->groups[i].count; j++) {
            if (below(&request->groups[i].settings[j], path))
                return true;
        }
    }
    return false;
}

/* One file serves both programs. What the other one's section holds is its own to judge. */
static bool is_foreign_section(const struct config_request *request, const char *path)
{
    for (const char *const *name = request->foreign_sections; name && *name; name++) {
        if (strcmp(*name, path) == 0)
            return true;
    }
    return false;
}

/* Appends the keys that a section may have, each once, settings being grouped by section. */
static void append_keys(const struct config_request *request, const char *section,
                        struct buffer *out)
{
    struct bytes last = {0};
    for (size_t i = 0; i < request->group_count; i++) {
        for (size_t j = 0; j < request->groups[i].count; j++) {
            const char *rest = below(&request->groups[i].settings[j], section);
            if (!rest)
                continue;
            struct bytes key = bytes_of(rest, strcspn(rest, "."));
            if (bytes_equal(key, last))
                continue;
            buffer_append_string(out, last.size ? ", " : "");
            buffer_append(out, key);
            last = key;
        }
    }
}

static void unknown_key(struct config_walk *walk, const struct document_node *key,
                        const char *section)
{
    auto_buffer struct buffer known = {0};
    append_keys(walk->request, section, &known);
    problems_add(walk->problems, key->line, key->column,
                 "unknown setting \"%.*s\"%s%s; there are: %.*s",
                 (int)(key->text.size < 60 ? key->text.size : 60), (const char *)key->text.data,
                 *section ? " in " : "", section, BYTES_PRINT(buffer_peek(&known)));
}

static void read_config_section(struct config_walk *walk, const struct document_node *mapping,
                                const char *section);

static void read_config_entry(struct config_walk *walk, const struct document_entry *entry,
                              const char *section)
{
    char path[PATH_LIMIT];
    if (memchr(entry->key->text.data, '.', entry->key->text.size)) {
        unknown_key(walk, entry->key, section); /* sections are nested, not spelled out */
        return;
    }
    int size = snprintf(path, sizeof(path), "%s%s%.*s", section, *section ? "." : "",
                        entry->key->text.size < PATH_LIMIT ? (int)entry->key->text.size : 0,
                        (const char *)entry->key->text.data);
    void *target;
    const struct setting *setting = NULL;
    /* A path that is too long is no setting of ours, whatever it says: unknown_key() tells it. */
    if (size < PATH_LIMIT)
        setting = setting_at(walk->request, path, &target);
    if (setting) {
        struct config_value value = {entry->value, entry->value->text, path};
        config_apply(walk->config, setting, target, &value, walk->problems);
    } else if (size < PATH_LIMIT && is_section(walk->request, path)) {
        read_config_section(walk, entry->value, path);
    } else if (*section || !is_foreign_section(walk->request, path)) {
        unknown_key(walk, entry->key, section);
    }
}

/* Recursion is as deep as the paths of settings. */
static void read_config_section(struct config_walk *walk, const struct document_node *mapping,
                                const char *section)
{
    if (mapping->kind == DOCUMENT_NULL)
        return;
    (void)document_check_keys(mapping, NULL, *section ? section : "the file", walk->problems);
    for (size_t i = 0; mapping->kind == DOCUMENT_MAPPING && i < mapping->count; i++)
        read_config_entry(walk, &mapping->entries[i], section);
}

/* By the same way as everything else: a default is a text, checked and read like an operator's. */
static void apply_defaults(struct config *config, const struct config_request *request,
                           struct problems *problems)
{
    for (size_t i = 0; i < request->group_count; i++) {
        const struct config_group *group = &request->groups[i];
        for (size_t j = 0; j < group->count; j++) {
            const struct setting *setting = &group->settings[j];
            if (!setting->default_text)
                continue;
            struct config_value value = {NULL, bytes_of_string(setting->default_text),
                                         setting->path};
            config_apply(config, setting, (char *)group->target + setting->offset, &value,
                         problems);
        }
    }
}

static bool is_set(const struct setting *setting, const void *target)
{
    if (setting->type == SETTING_LIST)
        return ((const struct config_list *)target)->count > 0;
    return *(void *const *)target != NULL;
}

/* A setting that is there but wrong has been told already: "is required" would mislead. */
static bool was_refused(const struct config *config, const struct setting *setting)
{
    for (size_t i = 0; i < config->refused_count; i++) {
        if (config->refused[i] == setting)
            return true;
    }
    return false;
}

/* Texts, lists and trees; everything else that is required has a value by default. */
static void check_required(const struct config *config, const struct config_request *request,
                           struct problems *problems)
{
    for (size_t i = 0; i < request->group_count; i++) {
        const struct config_group *group = &request->groups[i];
        for (size_t j = 0; j < group->count; j++) {
            const struct setting *setting = &group->settings[j];
            if (!setting->required || was_refused(config, setting) ||
                is_set(setting, (char *)group->target + setting->offset))
                continue;
            auto_buffer struct buffer variable = {0};
            config_variable(setting->path, &variable);
            problems_add(problems, 0, 0, "%s (or %.*s) is required: %s", setting->path,
                         BYTES_PRINT(buffer_peek(&variable)), setting->help);
        }
    }
}

enum status config_load(const struct config_request *request, struct config **config,
                        struct problems *problems)
{
    size_t before = problems->count + problems->omitted;
    struct config *made = mem_new(struct config);
    *config = made;
    apply_defaults(made, request, problems);
    /* Our table's fault, and so found by the first test that loads anything. */
    assert(problems->count + problems->omitted == before); /* a default that does not fit */
    enum status status = STATUS_OK;
    if (request->file) {
        auto_buffer struct buffer text = {0};
        struct error error;
        status = read_config_file(request->file, &text, &error);
        if (status == STATUS_OK)
            status = document_parse(buffer_peek(&text), NULL, &made->file, &error);
        if (status != STATUS_OK)
            problems_add_error(problems, &error);
    }
    if (made->file) {
        struct config_walk walk = {made, request, problems};
        read_config_section(&walk, document_root(made->file), "");
    }
    /* Also when the file is broken: an operator wants to hear of both. */
    config_apply_environment(made, request, problems);
    if (status == STATUS_OK)
        check_required(made, request, problems);
    if (status == STATUS_IO)
        return status;
    return problems->count + problems->omitted == before ? STATUS_OK : STATUS_INVALID;
}

/* Redacted as a whole: values are quoted in problems, and the URL of a broker may have a
 * password. */
int config_report(struct problems *problems, const char *file)
{
    auto_buffer struct buffer text = {0};
    auto_buffer struct buffer redacted = {0};
    problems_sort(problems);
    problems_render(problems, file, &text);
    url_redact(buffer_peek(&text), &redacted);
    struct bytes lines = buffer_peek(&redacted);
    if (lines.size)
        (void)fwrite(lines.data, 1, lines.size, stderr);
    return problems_empty(problems) ? 0 : 1;
}
