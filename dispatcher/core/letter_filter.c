#include "letter_filter.h"

#include <inttypes.h>

#include "base64.h"
#include "dead_letter.h"
#include "instant.h"
#include "json.h"
#include "unicode.h"

/* Digits and nothing else, up to 18; -1: that is not what the header holds. */
static int64_t read_number(const struct record *record, const char *name)
{
    struct bytes value;
    int64_t number = 0;
    if (!record_find_header(record, name, &value) || value.size == 0 || value.size > 18)
        return -1;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -1;
        number = number * 10 + (value.data[i] - '0');
    }
    return number;
}

static struct bytes read_text(const struct record *record, const char *name)
{
    struct bytes value = bytes_of(NULL, 0);
    (void)record_find_header(record, name, &value);
    return value;
}

void letter_read(const struct record *record, struct letter *letter)
{
    int64_t attempts = read_number(record, DEAD_LETTER_HEADER_ATTEMPTS);
    int64_t time_ms = read_number(record, DEAD_LETTER_HEADER_TIME);
    *letter = (struct letter){
        .reason = read_text(record, DEAD_LETTER_HEADER_REASON),
        .problem = read_text(record, DEAD_LETTER_HEADER_PROBLEM),
        .rule = read_text(record, DEAD_LETTER_HEADER_RULE),
        .topic = read_text(record, DEAD_LETTER_HEADER_TOPIC),
        .partition = read_number(record, DEAD_LETTER_HEADER_PARTITION),
        .offset = read_number(record, DEAD_LETTER_HEADER_OFFSET),
        .time_ms = time_ms >= 0 ? time_ms : record->timestamp_ms,
        .value_bytes = read_number(record, DEAD_LETTER_HEADER_CUT),
        .attempts = attempts < 0 ? 0 : (uint64_t)attempts,
    };
}

bool letter_matches(const struct letter_filter *filter, const struct record *record,
                    const struct letter *letter)
{
    return (filter->reason == NULL || bytes_equal_string(letter->reason, filter->reason)) &&
           (filter->rule == NULL || bytes_equal_string(letter->rule, filter->rule)) &&
           (filter->key == NULL ||
            (record->has_key && bytes_equal_string(record->key, filter->key))) &&
           letter->time_ms >= filter->from_ms && letter->time_ms < filter->to_ms;
}

/* --- For people --- */

static bool is_utf8(struct bytes text)
{
    uint32_t code;
    while (text.size > 0) {
        size_t size = unicode_decode(text, &code);
        if (size == 0)
            return false;
        text = bytes_skip(text, size);
    }
    return true;
}

static void append_any(struct buffer *json, struct bytes value)
{
    if (is_utf8(value)) {
        json_write_string(json, value);
        return;
    }
    buffer_append_string(json, "{\"base64\":\"");
    base64_encode(value, json);
    buffer_append_string(json, "\"}");
}

static void append_text(struct buffer *json, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    buffer_append_format(json, ",\"%s\":", name);
    append_any(json, text);
}

static void append_whole(struct buffer *json, const struct record *record)
{
    buffer_append_string(json, ",\"headers\":[");
    for (size_t i = 0; i < record->header_count; i++) {
        buffer_append_string(json, i == 0 ? "[" : ",[");
        append_any(json, record->headers[i].name);
        buffer_append_byte(json, ',');
        append_any(json, record->headers[i].value);
        buffer_append_byte(json, ']');
    }
    buffer_append_string(json, "],\"value\":");
    if (record->has_value)
        append_any(json, record->value);
    else
        buffer_append_string(json, "null");
}

void letter_to_json(const struct record *record, const struct letter *letter, bool whole,
                    struct buffer *json)
{
    char time[INSTANT_TEXT_SIZE];
    buffer_append_format(json, "{\"letter\":\"%" PRId32 ":%" PRId64 "\"", record->partition,
                         record->offset);
    if (instant_format(letter->time_ms, time))
        append_text(json, "time", bytes_of_string(time));
    append_text(json, "reason", letter->reason);
    append_text(json, "rule", letter->rule);
    append_text(json, "problem", letter->problem);
    if (record->has_key)
        append_text(json, "key", record->key);
    append_text(json, "topic", letter->topic);
    buffer_append_format(json, ",\"partition\":%" PRId64 ",\"offset\":%" PRId64, letter->partition,
                         letter->offset);
    if (letter->attempts > 0)
        buffer_append_format(json, ",\"attempts\":%" PRIu64, letter->attempts);
    if (letter->value_bytes >= 0)
        buffer_append_format(json, ",\"valueBytes\":%" PRId64, letter->value_bytes);
    if (whole)
        append_whole(json, record);
    buffer_append_byte(json, '}');
}
