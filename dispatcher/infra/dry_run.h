/* Rules tried without Kafka: --dry-run and --explain. Not the tests that stand in a rules file
 * (rule_tests.h). */
#ifndef DISPATCHER_INFRA_DRY_RUN_H
#define DISPATCHER_INFRA_DRY_RUN_H

#include <stdio.h>

#include "pipeline.h"

/* --dry-run: one JSON event per line in; one JSON decision per line out:
 *   {"id":...,"matched":[rule names],"notifications":[...],"shadow":{rule: verdict},"error":null or a text}
 * Empty lines are skipped. STATUS_IO: the output cannot be written. */
enum status dry_run(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules) MUST_CHECK;

/* --explain: reads one JSON event (all of `in`), writes one line per rule (that it matched, or the
 * first condition that failed) and one for the decision. STATUS_MALFORMED: it is no event; a line
 * says why. */
enum status explain(FILE *in, FILE *out, const struct pipeline_settings *settings,
                    const struct rule_set *rules) MUST_CHECK;

#endif
