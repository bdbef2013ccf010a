#include "metrics.h"

#include <stdio.h>

#include "suite.h"

static void renders(struct metrics *metrics, const char *expected)
{
    auto_buffer struct buffer out = {0};
    metrics_render(metrics, &out);
    buffer_append_byte(&out, '\0');
    ck_assert_str_eq((const char *)buffer_peek(&out).data, expected);
    metrics_free(metrics);
}

START_TEST(counters_and_gauges_stand_with_their_family)
{
    struct metrics *metrics = metrics_new();
    struct metric_counter *slow =
        metrics_counter(metrics, "closed_total", "Closed.", METRIC_LABELS("reason", "slow"));
    struct metric_gauge *sessions = metrics_gauge(metrics, "sessions", "Open now.", NULL, 1);
    struct metric_counter *gone = metrics_counter(
        metrics, "closed_total", "Closed.", METRIC_LABELS("reason", "gone", "transport", "sse"));
    metric_counter_add(slow, 3);
    metric_counter_add(gone, 1);
    metric_gauge_add(sessions, 5);
    metric_gauge_add(sessions, -7);
    ck_assert_ptr_eq(
        slow, metrics_counter(metrics, "closed_total", "Closed.", METRIC_LABELS("reason", "slow")));
    renders(metrics, "# HELP closed_total Closed.\n# TYPE closed_total counter\n"
                     "closed_total{reason=\"slow\"} 3\n"
                     "closed_total{reason=\"gone\",transport=\"sse\"} 1\n"
                     "# HELP sessions Open now.\n# TYPE sessions gauge\nsessions -2\n");
}
END_TEST

START_TEST(values_are_divided_exactly)
{
    struct metrics *metrics = metrics_new();
    metric_gauge_set(metrics_gauge(metrics, "a_seconds", "a", NULL, 1000), 1234);
    metric_gauge_set(metrics_gauge(metrics, "b_seconds", "b", NULL, 1000), -50);
    metric_gauge_set(metrics_gauge(metrics, "c_seconds", "c", NULL, 1000), 2000);
    metric_counter_mirror(metrics_counter_scaled(metrics, "d_total", "d", NULL, 1000000), 1500000);
    renders(metrics, "# HELP a_seconds a\n# TYPE a_seconds gauge\na_seconds 1.234\n"
                     "# HELP b_seconds b\n# TYPE b_seconds gauge\nb_seconds -0.05\n"
                     "# HELP c_seconds c\n# TYPE c_seconds gauge\nc_seconds 2\n"
                     "# HELP d_total d\n# TYPE d_total counter\nd_total 1.5\n");
}
END_TEST

START_TEST(texts_are_escaped)
{
    struct metrics *metrics = metrics_new();
    metrics_counter(metrics, "x_total", "a\\b\n\"c\"", METRIC_LABELS("label", "a\\b\n\"c\"\xFFü"));
    renders(metrics, "# HELP x_total a\\\\b\\n\"c\"\n# TYPE x_total counter\n"
                     "x_total{label=\"a\\\\b\\n\\\"c\\\"\xEF\xBF\xBDü\"} 0\n");
}
END_TEST

START_TEST(a_histogram_cumulates_its_buckets)
{
    static const uint64_t bounds[] = {100, 1000, 2500000};
    static const struct metric_buckets buckets = {bounds, 3, 1000000};
    static const uint64_t values[] = {0, 100, 101, 1000, 1001, 2500000, 2500001};
    struct metrics *metrics = metrics_new();
    struct metric_histogram *histogram = metrics_histogram(
        metrics, "wait_seconds", "Waited.", METRIC_LABELS("stage", "rules"), &buckets);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        metric_histogram_observe(histogram, values[i]);
    renders(metrics, "# HELP wait_seconds Waited.\n# TYPE wait_seconds histogram\n"
                     "wait_seconds_bucket{stage=\"rules\",le=\"0.0001\"} 2\n"
                     "wait_seconds_bucket{stage=\"rules\",le=\"0.001\"} 4\n"
                     "wait_seconds_bucket{stage=\"rules\",le=\"2.5\"} 6\n"
                     "wait_seconds_bucket{stage=\"rules\",le=\"+Inf\"} 7\n"
                     "wait_seconds_sum{stage=\"rules\"} 5.002203\n"
                     "wait_seconds_count{stage=\"rules\"} 7\n");
}
END_TEST

START_TEST(a_set_is_bounded_and_counts_the_rest_as_other)
{
    struct metrics *metrics = metrics_new();
    struct metric_counter_set *set =
        metrics_counter_set(metrics, "matched_total", "Matches.", "rule", 2);
    static const char *const names[] = {"a", "b", "c", "d", "a", "other"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        metric_counter_add(metric_counter_set_get(set, bytes_of_string(names[i])), 1);
    renders(metrics, "# HELP matched_total Matches.\n# TYPE matched_total counter\n"
                     "matched_total{rule=\"a\"} 2\nmatched_total{rule=\"b\"} 1\n"
                     "matched_total{rule=\"other\"} 3\n");
}
END_TEST

static void on_collect(void *context)
{
    metric_gauge_set(context, 42);
}

START_TEST(collectors_run_before_rendering)
{
    struct metrics *metrics = metrics_new();
    metrics_on_collect(metrics, on_collect, metrics_gauge(metrics, "g", "g", NULL, 1));
    renders(metrics, "# HELP g g\n# TYPE g gauge\ng 42\n");
}
END_TEST

TEST_PROGRAM("metrics", counters_and_gauges_stand_with_their_family, values_are_divided_exactly,
             texts_are_escaped, a_histogram_cumulates_its_buckets,
             a_set_is_bounded_and_counts_the_rest_as_other, collectors_run_before_rendering)
