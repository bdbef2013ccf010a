/* The list of token sources, which is a tree in the file: each entry with its own keys and words.
 * Read by hand, since the table of settings knows single values only.
 *
 * What is read is copied: the configuration's document is not needed for it afterwards. */
#include "token_source_settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "claims.h"
#include "mem.h"

/* By number, so that reading and freeing are a loop each. */
enum text { ISSUER, AUDIENCE, SECRET, KEY_FILE, JWKS_FILE, JWKS_URL, TEXTS };

static const char *const text_names[TEXTS] = {
    [ISSUER] = "issuer",     [AUDIENCE] = "audience",   [SECRET] = "secret",
    [KEY_FILE] = "key_file", [JWKS_FILE] = "jwks_file", [JWKS_URL] = "jwks_url"};

enum { TEXT_MOST = 4096 };

/* Owns its texts; what token_source_settings_get() gives is borrowed from it. */
struct token_source_setting {
    char *texts[TEXTS]; /* NULL: not given */
    int algorithm;
    char **tenants;
    size_t tenant_count;
};

/* --- Reading ---------------------------------------------------------------------------------- */

/* Always false, so that a refusal is one statement. The value is not repeated: it may be a
 * secret. */
static bool add_problem(struct problems *problems, const struct document_node *node,
                        const char *what, const char *must)
{
    problems_add(problems, node->line, node->column, "gateway.token.sources: %s %s", what, must);
    return false;
}

static bool read_text(const struct document_node *node, const char *name, size_t most, char **text,
                      struct problems *problems)
{
    if (node->kind != DOCUMENT_STRING || node->text.size == 0 || node->text.size > most ||
        /* YAML can escape a NUL; what follows it would be cut off from a secret without a word. */
        memchr(node->text.data, '\0', node->text.size))
        return add_problem(problems, node, name, "must be a string that is not empty or too long");
    *text = mem_string(node->text);
    return true;
}

static bool read_algorithm(const struct document_node *node, int *algorithm,
                           struct problems *problems)
{
    for (int i = 0; token_algorithm_names[i]; i++) {
        if (node->kind == DOCUMENT_STRING &&
            bytes_equal_string(node->text, token_algorithm_names[i])) {
            *algorithm = i;
            return true;
        }
    }
    return add_problem(problems, node, "algorithm", "must be HS256, RS256, ES256 or EdDSA");
}

/* By the limit that claims have: a longer one could never be equal to a token's. */
static bool add_tenant(const struct document_node *node, struct token_source_setting *source,
                       struct problems *problems)
{
    char *tenant;
    if (!read_text(node, "a tenant", CLAIMS_VALUE_LIMIT, &tenant, problems))
        return false;
    source->tenants[source->tenant_count++] = tenant;
    return true;
}

/* One, or a sequence. An empty one would leave it open whether it is bound to none or to all. */
static bool read_tenants(const struct document_node *node, struct token_source_setting *source,
                         struct problems *problems)
{
    bool many = node->kind == DOCUMENT_SEQUENCE;
    if (many && (node->count == 0 || node->count > TOKEN_SOURCE_TENANTS_LIMIT))
        return add_problem(problems, node, "tenants", "must be one to 256 tenants");
    source->tenants = mem_resize(NULL, many ? node->count : 1, sizeof(*source->tenants));
    bool good = true;
    for (size_t i = 0; i < (many ? node->count : 1); i++)
        good = add_tenant(many ? node->entries[i].value : node, source, problems) && good;
    return good;
}

/* Reads on after a problem; what has been read of a refused entry is freed with all others. */
static bool read_source(const struct document_node *node, const char *what,
                        struct token_source_setting *source, struct problems *problems)
{
    static const char *const names[] = {"issuer",   "audience",  "secret",
                                        "key_file", "jwks_file", "jwks_url",
                                        "tenants",  "algorithm", NULL};
    const struct document_node *value;
    if (!document_check_keys(node, names, what, problems))
        return false;
    bool good = true;
    for (unsigned i = 0; i < TEXTS; i++)
        if ((value = document_find(node, text_names[i])) != NULL)
            good = read_text(value, text_names[i], TEXT_MOST, &source->texts[i], problems) && good;
    if ((value = document_find(node, "algorithm")) != NULL)
        good = read_algorithm(value, &source->algorithm, problems) && good;
    if ((value = document_find(node, "tenants")) != NULL)
        good = read_tenants(value, source, problems) && good;
    return good;
}

enum status token_source_settings_read(const struct document_node *node, int algorithm,
                                       struct token_source_settings *settings,
                                       struct problems *problems)
{
    assert(settings->count == 0 && algorithm >= 0);
    if (node->kind != DOCUMENT_SEQUENCE || node->count == 0 || node->count > TOKEN_SOURCES_LIMIT) {
        add_problem(problems, node, "it", "must be a sequence of one to 16 sources");
        return STATUS_INVALID;
    }
    bool good = true;
    settings->items = mem_resize(NULL, node->count, sizeof(*settings->items));
    for (size_t i = 0; i < node->count; i++) {
        char what[64];
        snprintf(what, sizeof(what), "gateway.token.sources[%zu]", i);
        /* What gateway.token says beside the list is the default for each entry. */
        settings->items[i] = (struct token_source_setting){.algorithm = algorithm};
        /* Counted before it is read: half of an entry is freed like a whole one. */
        settings->count++;
        good = read_source(node->entries[i].value, what, &settings->items[i], problems) && good;
    }
    return good ? STATUS_OK : STATUS_INVALID;
}

/* --- What came out ---------------------------------------------------------------------------- */

void token_source_settings_deinit(struct token_source_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        struct token_source_setting *source = &settings->items[i];
        for (unsigned j = 0; j < TEXTS; j++)
            free(source->texts[j]);
        for (size_t j = 0; j < source->tenant_count; j++)
            free(source->tenants[j]);
        free(source->tenants);
    }
    free(settings->items);
    *settings = (struct token_source_settings){0};
}

void token_source_settings_get(const struct token_source_settings *settings, size_t index,
                               struct token_source_config *config)
{
    assert(index < settings->count);
    const struct token_source_setting *source = &settings->items[index];
    *config =
        (struct token_source_config){.token = {.algorithm = (enum token_algorithm)source->algorithm,
                                               .secret = source->texts[SECRET],
                                               .key_file = source->texts[KEY_FILE],
                                               .jwks_file = source->texts[JWKS_FILE],
                                               .jwks_url = source->texts[JWKS_URL],
                                               .issuer = source->texts[ISSUER],
                                               .audience = source->texts[AUDIENCE]},
                                     .tenants = (const char *const *)source->tenants,
                                     .tenant_count = source->tenant_count};
}
