/* A line for each session that opens, joins a room, or closes: who, for how long, how much. At info,
 * so many in ten seconds of each kind (log.h); the next line says how many were left out. */
#ifndef GATEWAY_INFRA_ACCESS_LOG_H
#define GATEWAY_INFRA_ACCESS_LOG_H

#include "access.h"

/* access_port.told; the context is not looked at. */
void access_log(void *context, const struct access_note *note);

#endif
