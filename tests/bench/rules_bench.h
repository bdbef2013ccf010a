/* Rule sets and events for the scenario `rules`. */
#ifndef BENCH_RULES_BENCH_H
#define BENCH_RULES_BENCH_H

#include "buffer.h"

/* Appends `count` event patterns, one per line: those of a product with count / 20 tenants (at
 * least 5). The same seed gives the same text. */
void rules_bench_rules(struct buffer *out, unsigned count, unsigned seed);

/* Appends `count` task events of about 1 KB, one per line, of `tenants` tenants. */
void rules_bench_events(struct buffer *out, unsigned count, unsigned tenants, unsigned seed);

#endif
