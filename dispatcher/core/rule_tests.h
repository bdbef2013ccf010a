/* The tests that stand beside a rule: an event is given, and what the rule makes of it must be what
 * is expected. Not tests of this program.
 *
 * A rule that is enabled is tried alone, without sampling, and without state. Each expected
 * notification is a mapping; what it names must be so, what it doesn't name may be anything:
 *
 *     tests:
 *       - name: a sure one passes
 *         given: {"event": "task.completed", "data": {"confidence": 0.95}}
 *         expect: []
 *       - given: {"event": "task.completed", "taskId": "42", "tenantId": "acme",
 *                 "data": {"confidence": 0.5}}
 *         expect:
 *           - {type: task.status, rooms: ["task:42"]}
 *           - {type: review.alert, queue: legal, rooms: ["review:legal", "task:42"]}
 *
 * Notifications of one kind that go to several lanes count as one, with the rooms of all. */
#ifndef DISPATCHER_CORE_RULE_TESTS_H
#define DISPATCHER_CORE_RULE_TESTS_H

#include "pipeline.h"

/* Runs all tests; each that fails is a problem with the test's place. Returns how many there were.
 */
size_t rule_tests_run(const struct rule_set *rules, const struct pipeline_settings *settings,
                      struct problems *problems);

#endif
