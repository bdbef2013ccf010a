/* Records that the CloudEvents SDKs for JavaScript, Java and Python and Confluent's serialisers made
 * (tests/tools/event_vectors), and what these read back: the event is the same. */
#include <stdio.h>

#include "arena.h"
#include "base64.h"
#include "event.h"
#include "json.h"
#include "mem.h"
#include "suite.h"

enum { HEADERS_MAX = 32 };

static struct bytes member(struct bytes object, const char *name)
{
    struct bytes raw = bytes_of(NULL, 0);
    if (json_find(object, bytes_of_string(name), &raw) != STATUS_OK)
        return bytes_of(NULL, 0);
    return raw;
}

/* What a JSON string holds, in the arena. */
static struct bytes string_of(struct arena *arena, struct bytes raw)
{
    ck_assert(raw.size >= 2 && raw.data[0] == '"');
    uint8_t *text = (uint8_t *)arena_raw(arena, raw.size);
    return bytes_of(text, json_unescape(bytes_of(raw.data + 1, raw.size - 2), text));
}

static size_t read_headers(struct arena *arena, struct bytes line, struct record_header *headers)
{
    struct json_scanner scanner;
    struct bytes pair[2];
    size_t count = 0;
    json_init(&scanner, member(line, "headers"), 10);
    ck_assert_int_eq(json_next(&scanner), JSON_ARRAY);
    while (json_next(&scanner) == JSON_ARRAY) {
        ck_assert_uint_lt(count, HEADERS_MAX);
        for (size_t i = 0; i < 2; i++) {
            ck_assert_int_eq(json_value(&scanner, &pair[i]), JSON_STRING);
            pair[i] = string_of(arena, pair[i]);
        }
        headers[count++] = (struct record_header){pair[0], pair[1]};
        ck_assert_int_eq(json_next(&scanner), JSON_ARRAY_END);
    }
    return count;
}

static bool same_text(struct bytes a, struct bytes b)
{
    auto_buffer struct buffer one = {0};
    auto_buffer struct buffer other = {0};
    json_unescape_append(a, &one);
    json_unescape_append(b, &other);
    return bytes_equal(buffer_peek(&one), buffer_peek(&other));
}

/* The same value, however it is spelled; members in the same order. */
static bool same_value(struct bytes a, struct bytes b)
{
    struct json_scanner left;
    struct json_scanner right;
    enum json_token token;
    json_init(&left, a, 100);
    json_init(&right, b, 100);
    while ((token = json_next(&left)) == json_next(&right)) {
        if (token == JSON_END || token == JSON_ERROR)
            return token == JSON_END;
        if (token == JSON_NUMBER &&
            strtod((const char *)left.raw.data, NULL) != strtod((const char *)right.raw.data, NULL))
            return false;
        if ((token == JSON_STRING || token == JSON_KEY) && !same_text(left.raw, right.raw))
            return false;
    }
    return false;
}

static void assert_same_event(struct bytes line, struct bytes json, struct bytes expected)
{
    struct json_scanner scanner;
    json_init(&scanner, expected, 100);
    ck_assert_int_eq(json_next(&scanner), JSON_OBJECT);
    while (json_next(&scanner) == JSON_KEY) {
        char name[64];
        struct bytes wanted;
        snprintf(name, sizeof(name), "%.*s", BYTES_PRINT(scanner.raw));
        json_value(&scanner, &wanted);
        ck_assert_msg(same_value(member(json, name), wanted), "%s: %.*s\nof %.*s\nin %.*s", name,
                      BYTES_PRINT(wanted), BYTES_PRINT(json), BYTES_PRINT(line));
    }
    if (member(expected, "data").data == NULL)
        ck_assert_msg(member(json, "data").data == NULL, "%.*s", BYTES_PRINT(line));
}

static void check_vector(struct bytes line)
{
    auto_arena struct arena arena = {0};
    auto_buffer struct buffer value = {0};
    auto_buffer struct buffer scratch = {0};
    struct record_header headers[HEADERS_MAX];
    struct record record = {.topic = BYTES_LITERAL("tasks.events"), .headers = headers};
    struct bytes encoded = member(line, "value");
    struct bytes json;
    enum event_format format;
    struct error error = {0};
    record.header_count = read_headers(&arena, line, headers);
    record.has_value = !bytes_equal_string(encoded, "null");
    if (record.has_value)
        ck_assert_int_eq(base64_decode(string_of(&arena, encoded), &value), STATUS_OK);
    record.value = buffer_peek(&value);
    ck_assert(!event_is_tombstone(&record));
    ck_assert_msg(event_canonical(&record, &scratch, &json, &format, &error) == STATUS_OK,
                  "%s: %.*s", error.text, BYTES_PRINT(line));
    ck_assert_msg(json_validate(json, 100, NULL) == STATUS_OK, "%.*s", BYTES_PRINT(json));
    assert_same_event(line, json, member(line, "expect"));
}

START_TEST(events_of_official_sdks_are_what_these_read_back)
{
    FILE *file = fopen("tests/data/events/vectors.jsonl", "rb");
    char *line = NULL;
    size_t capacity = 0;
    size_t count = 0;
    ck_assert_msg(file != NULL, "tests/data/events/vectors.jsonl");
    for (ssize_t size; (size = getline(&line, &capacity, file)) > 0; count++)
        check_vector(bytes_of(line, (size_t)size));
    free(line);
    (void)fclose(file);
    ck_assert_uint_ge(count, 400);
}
END_TEST

TEST_PROGRAM("event vectors", events_of_official_sdks_are_what_these_read_back)
