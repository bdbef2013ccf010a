/* What the log says of clients: a line for each session that opens, joins a room, or closes, at info;
 * and why clients are refused: what ends a connection, or an attempt at one, at info, what a client
 * asked in vain at debug. Bounded as every line is (log.h: so many in ten seconds of each kind, and
 * the next one says how many were left out), and nothing of what a client sent. */
#ifndef GATEWAY_INFRA_CLIENT_LOG_H
#define GATEWAY_INFRA_CLIENT_LOG_H

#include "access.h"
#include "refusals.h"

/* access_port.told; the context is not looked at. */
void client_log_access(void *context, const struct access_note *note);
/* refusals.told; likewise. */
void client_log_refusal(void *context, const struct refusal_note *note);

#endif
