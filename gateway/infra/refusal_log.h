/* Says in the log why clients are refused: what ends a connection, or an attempt at one, at info,
 * what a client asked in vain at debug. Bounded as every line is (log.h), and nothing of what a
 * client sent. */
#ifndef GATEWAY_INFRA_REFUSAL_LOG_H
#define GATEWAY_INFRA_REFUSAL_LOG_H

#include "refusals.h"

/* refusals.told; the context is not looked at. */
void refusal_log(void *context, const struct refusal_note *note);

#endif
