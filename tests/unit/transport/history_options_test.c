#include "history_options.h"

#include "suite.h"

static const struct {
    const char *since, *last;
    bool good;
    int64_t since_ms;
    uint32_t count;
} cases[] = {
    {"", "10", true, INT64_MIN, 10},
    {"", "\"10\"", true, INT64_MIN, 10},
    {"1767225600000", "", true, 1767225600000, 0},
    {"1767225600000.25", "5", true, 1767225600000, 5},
    {"\"2026-01-01T00:00:00Z\"", "5", true, 1767225600000, 5},
    {"2026-01-01T01:00:00+01:00", "", true, 1767225600000, 0},
    {"0", "", true, 0, 0},
    {"", "99999999999999999999999", true, INT64_MIN, UINT32_MAX},
    {"99999999999999999999999", "", true, INT64_MAX, 0},
    {"", "", false, 0, 0},
    {"", "0", false, 0, 0},
    {"", "-1", false, 0, 0},
    {"", "1.5", false, 0, 0},
    {"", "1e3", false, 0, 0},
    {"", "null", false, 0, 0},
    {"", "[1]", false, 0, 0},
    {"-1", "", false, 0, 0},
    {"1e3", "", false, 0, 0},
    {"1.", "", false, 0, 0},
    {".5", "", false, 0, 0},
    {"\"\"", "", false, 0, 0},
    {"\"yesterday\"", "1", false, 0, 0},
    {"true", "1", false, 0, 0},
};

START_TEST(times_and_numbers_are_read)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct history_request request;
        struct history_options options = {.since = bytes_of_string(cases[i].since),
                                          .last = bytes_of_string(cases[i].last)};
        const char *problem = history_options_read(&options, &request);
        ck_assert_msg(!problem == cases[i].good, "%s %s", cases[i].since, cases[i].last);
        if (problem) {
            ck_assert_str_eq(problem, "bad_history");
            continue;
        }
        ck_assert(!request.state);
        ck_assert_int_eq(request.since_ms, cases[i].since_ms);
        ck_assert_uint_eq(request.last, cases[i].count);
    }
}
END_TEST

/* The problem, "": there is none. */
static const char *read_json(const char *object, struct history_request *request)
{
    const char *problem = history_options_read_json(bytes_of_string(object), request);
    return problem ? problem : "";
}

START_TEST(an_object_says_both)
{
    struct history_request request;
    ck_assert_str_eq(read_json("{\"last\":3,\"x\":1,\"since\":7}", &request), "");
    ck_assert(request.last == 3 && request.since_ms == 7);
    ck_assert_str_eq(read_json("{}", &request), "bad_history");
    ck_assert_str_eq(read_json("[3]", &request), "bad_history");
    ck_assert_str_eq(read_json("3", &request), "bad_history");
}
END_TEST

START_TEST(a_state_is_asked_for_alone)
{
    static const char *const bad[] = {"{\"state\":true,\"last\":3}",
                                      "{\"since\":7,\"state\":true}",
                                      "{\"state\":false}",
                                      "{\"state\":null}",
                                      "{\"state\":2}",
                                      "{\"state\":\"\"}",
                                      "{\"state\":{\"room\":true}}"};
    static const char *const good[] = {"{\"state\":true}", "{\"x\":1,\"state\":\"true\"}",
                                       "{\"state\":1}"};
    struct history_request request;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_str_eq(read_json(bad[i], &request), "bad_state");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_str_eq(read_json(good[i], &request), "");
        ck_assert(request.state && request.last == 0 && request.since_ms == INT64_MIN);
    }
}
END_TEST

TEST_PROGRAM("history_options", times_and_numbers_are_read, an_object_says_both,
             a_state_is_asked_for_alone)
