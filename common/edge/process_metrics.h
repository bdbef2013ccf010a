/* The metrics that every process has, under the names that dashboards know, read from the system
 * when metrics are rendered. */
#ifndef COMMON_EDGE_PROCESS_METRICS_H
#define COMMON_EDGE_PROCESS_METRICS_H

#include "metrics.h"

/* Registers process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds,
 * process_start_time_seconds, log_lines_suppressed_total and build_info{version}. Once per
 * process. */
void process_metrics_register(struct metrics *metrics, const char *version);

#endif
