/* What clients say of the history or the state they want, as text: JSON values of a message's members,
 * or a query's parameters. Not the history itself (domain/history.h). */
#ifndef GATEWAY_TRANSPORT_HISTORY_OPTIONS_H
#define GATEWAY_TRANSPORT_HISTORY_OPTIONS_H

#include "hub.h"

/* Each may be in quotes, as JSON has it, and empty: not said. */
struct history_options {
    struct bytes since; /* milliseconds since 1970, or a date-time of RFC 3339 */
    struct bytes last;  /* a whole number from 1 on */
    struct bytes state; /* true, or 1 */
};

static inline bool history_options_said(const struct history_options *options)
{
    return options->since.size || options->last.size || options->state.size;
}

/* NULL; or the word by which it is refused: one of them cannot be read, none is said (bad_history),
 * or `state` beside others (bad_state). */
const char *history_options_read(const struct history_options *options,
                                 struct history_request *request) MUST_CHECK;

/* Whether a JSON object has any of these members. */
bool history_options_said_json(struct bytes object);

/* The same from a JSON object with these members. */
const char *history_options_read_json(struct bytes object,
                                      struct history_request *request) MUST_CHECK;

#endif
