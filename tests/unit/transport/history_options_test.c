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
        enum status status = history_options_read(bytes_of_string(cases[i].since),
                                                  bytes_of_string(cases[i].last), &request);
        ck_assert_msg((status == STATUS_OK) == cases[i].good, "%s %s", cases[i].since,
                      cases[i].last);
        if (!cases[i].good)
            continue;
        ck_assert_int_eq(request.since_ms, cases[i].since_ms);
        ck_assert_uint_eq(request.last, cases[i].count);
    }
}
END_TEST

START_TEST(an_object_says_both)
{
    struct history_request request;
    ck_assert(history_options_read_json(BYTES_LITERAL("{\"last\":3,\"x\":1,\"since\":7}"),
                                        &request) == STATUS_OK);
    ck_assert(request.last == 3 && request.since_ms == 7);
    ck_assert(history_options_read_json(BYTES_LITERAL("{}"), &request) == STATUS_INVALID);
    ck_assert(history_options_read_json(BYTES_LITERAL("[3]"), &request) == STATUS_INVALID);
    ck_assert(history_options_read_json(BYTES_LITERAL("3"), &request) == STATUS_INVALID);
}
END_TEST

TEST_PROGRAM("history_options", times_and_numbers_are_read, an_object_says_both)
