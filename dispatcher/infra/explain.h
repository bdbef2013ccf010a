/* --explain: for one event, what became of each rule: that it matched, or the first condition that
 * failed. */
#ifndef DISPATCHER_INFRA_EXPLAIN_H
#define DISPATCHER_INFRA_EXPLAIN_H

#include <stdio.h>

#include "pipeline.h"

/* Reads one JSON event (all of `in`), writes one line per rule and one for the decision.
 * STATUS_MALFORMED: it is no event; a line says why. */
enum status explain(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules) MUST_CHECK;

#endif
