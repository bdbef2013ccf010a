/* --dry-run: rules tried without Kafka. One JSON event per line in; one JSON decision per line out:
 *   {"id":...,"matched":[rule names],"notifications":[...],"error":null or a text} */
#ifndef DISPATCHER_INFRA_DRY_RUN_H
#define DISPATCHER_INFRA_DRY_RUN_H

#include <stdio.h>

#include "pipeline.h"

/* Empty lines are skipped. STATUS_IO: the output cannot be written. */
enum status dry_run(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules) MUST_CHECK;

#endif
