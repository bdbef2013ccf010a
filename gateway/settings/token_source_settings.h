/* `gateway.token.sources`: who may sign tokens, side by side (token_sources.h). */
#ifndef GATEWAY_SETTINGS_TOKEN_SOURCE_SETTINGS_H
#define GATEWAY_SETTINGS_TOKEN_SOURCE_SETTINGS_H

#include "document.h"
#include "token_sources.h"

struct token_source_setting;

/* A zeroed struct is empty. */
struct token_source_settings {
    struct token_source_setting *items;
    size_t count;
};

/* Adds a problem for all that is no source: kinds of values, unknown keys, too many of something.
 * What a source needs to be one is not judged. `algorithm`: of those that name none. STATUS_INVALID:
 * there was a problem. */
enum status token_source_settings_read(const struct document_node *node, int algorithm,
                                       struct token_source_settings *settings,
                                       struct problems *problems) MUST_CHECK;
void token_source_settings_deinit(struct token_source_settings *settings);

/* Keys, algorithm, issuer, audience and tenants of one; all else is zero. Borrows. */
void token_source_settings_get(const struct token_source_settings *settings, size_t index,
                               struct token_source_config *config);

#endif
