/* Reading dead letters back: what a letter says of itself, whether it is one that somebody asked
 * for, and how a person sees it.
 *
 * The dead-letter topic is open to whoever may write to it, so nothing here trusts a header: a
 * number that is none is "not said" (-1), a text is any bytes. What a letter does not say makes
 * it match fewer filters, never more. */
#include "dead_letter_filter.h"

#include <assert.h>
#include <inttypes.h>

#include "base64.h"
#include "dead_letter.h"
#include "instant.h"
#include "json.h"
#include "unicode.h"

/* Digits and nothing else, up to 18, which fit; -1: that is not what the header holds. */
static int64_t read_header_number(const struct record *record, const char *name)
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

/* Empty and absent are one here: a filter that names something matches neither. */
static struct bytes read_header_text(const struct record *record, const char *name)
{
    struct bytes value = bytes_of(NULL, 0);
    (void)record_find_header(record, name, &value);
    return value;
}

/* The time is that of the header, since the record's own timestamp changes when a letter is
 * copied to another topic; a letter without one came there some other way, and the record's has
 * to do. */
void dead_letter_read(const struct record *record, struct dead_letter_view *letter)
{
    int64_t attempts = read_header_number(record, DEAD_LETTER_HEADER_ATTEMPTS);
    int64_t time_ms = read_header_number(record, DEAD_LETTER_HEADER_TIME);
    *letter = (struct dead_letter_view){
        .reason = read_header_text(record, DEAD_LETTER_HEADER_REASON),
        .problem = read_header_text(record, DEAD_LETTER_HEADER_PROBLEM),
        .rule = read_header_text(record, DEAD_LETTER_HEADER_RULE),
        .topic = read_header_text(record, DEAD_LETTER_HEADER_TOPIC),
        .partition = read_header_number(record, DEAD_LETTER_HEADER_PARTITION),
        .offset = read_header_number(record, DEAD_LETTER_HEADER_OFFSET),
        .time_ms = time_ms >= 0 ? time_ms : record->timestamp_ms,
        .value_bytes = read_header_number(record, DEAD_LETTER_HEADER_CUT),
        .attempts = attempts < 0 ? 0 : (uint64_t)attempts,
    };
}

/* The times are half open, so that two runs over adjacent spans take each letter once. */
bool dead_letter_matches(const struct dead_letter_filter *filter, const struct record *record,
                         const struct dead_letter_view *letter)
{
    return (!filter->reason || bytes_equal_string(letter->reason, filter->reason)) &&
           (!filter->rule || bytes_equal_string(letter->rule, filter->rule)) &&
           (!filter->key || (record->has_key && bytes_equal_string(record->key, filter->key))) &&
           letter->time_ms >= filter->from_ms && letter->time_ms < filter->to_ms;
}

/* --- For people --- */

/* Bytes that are no UTF-8 cannot stand in JSON; an object in place of the string tells that
 * apart from a text that happens to look like base64. */
static void append_any(struct buffer *json, struct bytes value)
{
    if (unicode_is_valid(value)) {
        json_write_string(json, value);
        return;
    }
    buffer_append_string(json, "{\"base64\":\"");
    base64_encode(value, json);
    buffer_append_string(json, "\"}");
}

static void append_letter_text(struct buffer *json, const char *name, struct bytes text)
{
    assert(buffer_size(json) > 0); /* after the first member, which every letter has */
    if (text.size == 0)
        return;
    buffer_append_format(json, ",\"%s\":", name);
    append_any(json, text);
}

/* Headers are a list of pairs and not an object: Kafka lets a name stand twice, and their order
 * counts. */
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

/* "letter" is partition and offset, which names the record for good: it is what the redrive
 * takes back as an argument. */
void dead_letter_to_json(const struct record *record, const struct dead_letter_view *letter,
                         bool whole, struct buffer *json)
{
    char time[INSTANT_TEXT_SIZE];
    buffer_append_format(json, "{\"letter\":\"%" PRId32 ":%" PRId64 "\"", record->partition,
                         record->offset);
    if (instant_format(letter->time_ms, time))
        append_letter_text(json, "time", bytes_of_string(time));
    append_letter_text(json, "reason", letter->reason);
    append_letter_text(json, "rule", letter->rule);
    append_letter_text(json, "problem", letter->problem);
    if (record->has_key)
        append_letter_text(json, "key", record->key);
    append_letter_text(json, "topic", letter->topic);
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
