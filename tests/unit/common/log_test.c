#include "log.h"

#include <stdio.h>
#include <unistd.h>

#include "json.h"
#include "suite.h"

static int pipe_ends[2];

static void start(enum log_format format, enum log_level level, uint32_t burst)
{
    ck_assert_int_eq(pipe(pipe_ends), 0);
    struct log_options options = {"tester", level, format, burst, pipe_ends[1]};
    log_configure(&options);
}

/* What was logged since start(), as text in `out`. */
static const char *finish(char *out, size_t size)
{
    close(pipe_ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used + 1 < size && (got = read(pipe_ends[0], out + used, size - 1 - used)) > 0)
        used += (size_t)got;
    out[used] = '\0';
    close(pipe_ends[0]);
    return out;
}

static void is_one_json_line(const char *text)
{
    size_t size = strlen(text);
    ck_assert(size && text[size - 1] == '\n');
    size_t offset = 0;
    ck_assert_msg(json_validate(bytes_of(text, size), 4, &offset) == STATUS_OK, "%zu: %s", offset,
                  text);
}

START_TEST(a_line_is_json_with_its_fields)
{
    char out[LOG_LINE_LIMIT * 2];
    start(LOG_FORMAT_AUTO, LOG_LEVEL_INFO, 0);
    log_info("session closed", LOG_STRING("sid", "a\"\\\n\x01ü"), LOG_INTEGER("sessions", -3),
             LOG_UNSIGNED("bytes", UINT64_MAX), LOG_BOOLEAN("clean", true),
             LOG_NUMBER("ratio", 0.25), LOG_NUMBER("none", 0.0 / 0.0), LOG_STRING("null", NULL));
    finish(out, sizeof(out));
    is_one_json_line(out);
    ck_assert_msg(strstr(out, "Z\",\"level\":\"info\",\"program\":\"tester\",\"message\":\"session "
                              "closed\",\"sid\":\"a\\\"\\\\\\n\\u0001ü\",\"sessions\":-3,\"bytes\":"
                              "18446744073709551615,\"clean\":true,\"ratio\":0.25,\"none\":null,"
                              "\"null\":\"\"}\n"),
                  "%s", out);
}
END_TEST

START_TEST(passwords_in_urls_are_not_written)
{
    static const enum log_format formats[] = {LOG_FORMAT_JSON, LOG_FORMAT_TEXT};
    for (int i = 0; i < 2; i++) {
        char out[LOG_LINE_LIMIT];
        start(formats[i], LOG_LEVEL_INFO, 0);
        log_info("keys not read", LOG_STRING("url", "https://user:hunter2@host/keys"),
                 LOG_STRING("error", "https://user:hunter2@host/keys: answered 500"));
        finish(out, sizeof(out));
        ck_assert_msg(!strstr(out, "hunter2") && !strstr(out, "user"), "%s", out);
        ck_assert_msg(strstr(out, "https://***@host/keys: answered 500"), "%s", out);
    }
}
END_TEST

START_TEST(a_message_may_stand_alone_and_levels_hold_back)
{
    char out[LOG_LINE_LIMIT];
    start(LOG_FORMAT_JSON, LOG_LEVEL_WARNING, 0);
    log_info("unseen");
    ck_assert_str_eq(finish(out, sizeof(out)), "");
    start(LOG_FORMAT_JSON, LOG_LEVEL_WARNING, 0);
    log_warning("seen");
    is_one_json_line(finish(out, sizeof(out)));
}
END_TEST

START_TEST(text_lines_are_for_people)
{
    char out[LOG_LINE_LIMIT];
    start(LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, 0);
    log_debug("lane opened", LOG_STRING("lane", "fanout.tenant/3"), LOG_STRING("why", "a b\n\x1b["),
              LOG_STRING("empty", ""));
    finish(out, sizeof(out));
    ck_assert_msg(strstr(out, "Z debug   lane opened lane=fanout.tenant/3 why=\"a b\\n\\u001b[\" "
                              "empty=\"\"\n"),
                  "%s", out);
}
END_TEST

START_TEST(whatever_is_logged_the_line_is_valid_and_bounded)
{
    char out[LOG_LINE_LIMIT * 2], value[4000];
    for (unsigned seed = 1; seed <= 300; seed++) {
        unsigned state = seed;
        for (size_t i = 0; i < sizeof(value); i++)
            value[i] = (char)(rand_r(&state) % (seed % 2 ? 256 : 32));
        struct bytes bytes = bytes_of(value, (size_t)rand_r(&state) % sizeof(value));
        start(LOG_FORMAT_JSON, LOG_LEVEL_INFO, 1000);
        log_info("random", LOG_BYTES("a", bytes), LOG_BYTES("b", bytes), LOG_BYTES("c", bytes),
                 LOG_BYTES("d", bytes), LOG_BYTES("e", bytes), LOG_BYTES("f", bytes),
                 LOG_BYTES("g", bytes), LOG_BYTES("h", bytes), LOG_BYTES("i", bytes));
        finish(out, sizeof(out));
        ck_assert_uint_le(strlen(out), LOG_LINE_LIMIT);
        is_one_json_line(out);
    }
}
END_TEST

START_TEST(a_call_site_is_limited_and_says_what_it_left_out)
{
    char out[LOG_LINE_LIMIT];
    uint64_t before = log_suppressed_total();
    start(LOG_FORMAT_JSON, LOG_LEVEL_INFO, 3);
    for (int i = 0; i < 50; i++)
        log_info("often", LOG_INTEGER("i", i));
    log_info("elsewhere");
    finish(out, sizeof(out));
    int lines = 0;
    for (const char *at = out; (at = strchr(at, '\n')); at++)
        lines++;
    /* The 10 seconds of the limit may have turned over once meanwhile. */
    ck_assert(lines == 4 || lines == 7);
    ck_assert_uint_ge(log_suppressed_total() - before, 44);
    ck_assert_ptr_nonnull(strstr(out, "elsewhere"));
    start(LOG_FORMAT_JSON, LOG_LEVEL_INFO, 3);
    struct log_site site = {.window = 1, .written = 3, .suppressed = 7};
    log_write(&site, LOG_LEVEL_INFO, "again", NULL, 0);
    ck_assert_ptr_nonnull(strstr(finish(out, sizeof(out)), "\"suppressed\":7"));
}
END_TEST

TEST_PROGRAM("log", a_line_is_json_with_its_fields, passwords_in_urls_are_not_written,
             a_message_may_stand_alone_and_levels_hold_back, text_lines_are_for_people,
             whatever_is_logged_the_line_is_valid_and_bounded,
             a_call_site_is_limited_and_says_what_it_left_out)
