/* What clients say of the history they want, as text: JSON values of a message's members, or a
 * query's parameters. Not the history itself (domain/history.h). */
#ifndef GATEWAY_TRANSPORT_HISTORY_OPTIONS_H
#define GATEWAY_TRANSPORT_HISTORY_OPTIONS_H

#include "hub.h"

/* The code of the answer to what cannot be read. */
#define HISTORY_OPTIONS_BAD "bad_history"

/* `since`: milliseconds since 1970, or a date-time of RFC 3339; `last`: a whole number from 1 on;
 * each may be in quotes, as JSON has it, and empty: not said. STATUS_INVALID: one of them is none
 * of that, or neither is said. */
enum status history_options_read(struct bytes since, struct bytes last,
                                 struct history_request *request) MUST_CHECK;

/* Whether a JSON object has any of these members. */
bool history_options_said_json(struct bytes object);

/* The same from a JSON object with these members. */
enum status history_options_read_json(struct bytes object,
                                      struct history_request *request) MUST_CHECK;

#endif
