/* What notifications say of an event besides its names: texts, time, progress, trace.
 *
 * Clients are told something sensible of each event, so nothing here refuses one: what cannot be
 * read is left out, or the record's own stands in, and a remark says so once. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instant.h"
#include "pipeline_private.h"
#include "unicode.h"

/* Most fields are plain strings and are borrowed from the event. The others, also the few
 * strings with an escape, are made in the pipeline's text and copied, since the next call uses
 * that buffer again. */
struct bytes job_text(struct job *job, enum event_field field)
{
    assert(job->values && (unsigned)field < EVENT_FIELD_COUNT);
    const struct field_value *value = &job->values[field];
    if (value->kind == JSON_STRING && !value->escaped)
        return value->raw;
    struct buffer *text = &job->pipeline->text;
    buffer_clear(text);
    if (!field_value_text(value, text, NULL))
        return bytes_of(NULL, 0);
    return arena_copy(&job->batch->arena, buffer_peek(text));
}

/* Headers hold any bytes, and terminals obey some characters. */
const char *job_told(struct job *job, const char *text)
{
    struct bytes rest = bytes_of_string(text);
    size_t size = 0;
    uint8_t *told = arena_raw(&job->batch->arena, rest.size * UNICODE_ENCODED_LIMIT + 1);
    while (rest.size > 0) {
        uint32_t code;
        size_t step = unicode_decode(rest, &code);
        bool plain = step > 0 && code >= ' ' && (code < 0x7F || code > 0x9F);
        size += unicode_encode(plain ? code : UNICODE_REPLACEMENT, told + size);
        rest = bytes_skip(rest, step > 0 ? step : 1);
    }
    told[size] = 0;
    return (const char *)told;
}

static void remark(struct job *job, enum event_remark kind, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Only the first of a kind can be told, and each kind has one place where it arises, so a second
 * would be a mistake of ours. */
static void remark(struct job *job, enum event_remark kind, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert((unsigned)kind < EVENT_REMARK_COUNT && !job->decision->remarks[kind]);
    job->batch->counts.remarks[kind]++;
    job->decision->remarks[kind] = job_told(job, text);
}

/* A value for a text of ours: not too much of it. */
#define SHOWN(value) (int)unicode_cut((value)->raw, 60), (value)->raw.data

/* RFC 3339 first: only what is not that is guessed at (instant_guess()), so that no good time is
 * read in another way. */
static bool find_time(struct job *job, const struct field_value *value)
{
    if (value->kind == JSON_STRING) {
        job->time = job_text(job, EVENT_FIELD_TIME);
        if (instant_parse(job->time, &job->time_ms))
            return true;
        return instant_guess(job->time, &job->time_ms);
    }
    return value->kind == JSON_NUMBER && instant_guess(value->raw, &job->time_ms);
}

/* The event's own time, as it is spelled if that is RFC 3339; else the record's. */
void job_read_time(struct job *job)
{
    assert(job->values && job->time.size == 0);
    const struct field_value *value = &job->values[EVENT_FIELD_TIME];
    char text[INSTANT_TEXT_SIZE];
    int64_t exact_ms;
    if (find_time(job, value)) {
        job->has_time = true;
        if (value->kind == JSON_STRING && instant_parse(job->time, &exact_ms))
            return;
    } else {
        job->time_ms = job->record->timestamp_ms;
        if (value->kind != JSON_ERROR && value->kind != JSON_NULL)
            remark(job, REMARK_TIME, "time is no time, the record's is taken: %.*s", SHOWN(value));
    }
    job->time = bytes_of(NULL, 0);
    job->has_time = instant_format(job->time_ms, text);
    if (job->has_time)
        job->time = arena_copy(&job->batch->arena, bytes_of_string(text));
}

/* A percentage: a number, or a text of one, with or without %. The number goes through strtod(),
 * whose idea of a number is wider than ours: hexadecimal is ruled out by its letters, "inf" and
 * "nan" by their first one. */
static bool parse_progress(struct job *job, const struct field_value *value)
{
    struct bytes raw = value->raw;
    char text[64];
    char *end;
    if (value->kind == JSON_STRING && raw.size > 0 && raw.data[raw.size - 1] == '%')
        raw.size--;
    if ((value->kind != JSON_NUMBER && value->kind != JSON_STRING) || raw.size == 0 ||
        raw.size >= sizeof(text) ||
        (raw.data[0] != '-' && (raw.data[0] < '0' || raw.data[0] > '9')))
        return false;
    snprintf(text, sizeof(text), "%.*s", BYTES_PRINT(raw));
    job->progress = strtod(text, &end);
    return *end == 0 && job->progress >= 0 && job->progress <= 100 && !strpbrk(text, "xXpP");
}

/* `progress` at the top comes first; `data.progress` is where task runners that wrap a payload
 * of their own put it. One that is no percentage is left out and not guessed at: a client would
 * draw it. */
void job_read_progress(struct job *job)
{
    const struct field_value *value = &job->values[EVENT_FIELD_PROGRESS];
    if (value->kind == JSON_ERROR || value->kind == JSON_NULL)
        value = &job->values[EVENT_FIELD_DATA_PROGRESS];
    if (value->kind == JSON_ERROR || value->kind == JSON_NULL)
        return;
    job->has_progress = parse_progress(job, value);
    assert(!job->has_progress || (job->progress >= 0 && job->progress <= 100));
    if (!job->has_progress)
        remark(job, REMARK_PROGRESS, "progress is no percentage (0 to 100), it is left out: %.*s",
               SHOWN(value));
}

/* Text of others, from headers that nobody has checked: printable ASCII or nothing. */
static struct bytes printable(struct arena *arena, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return bytes_of(NULL, 0);
    return text.size == 0 ? text : arena_copy(arena, text);
}

/* W3C Trace Context: a header of the record counts before a field of the event, since producers'
 * instrumentation sets it without the application knowing. */
void job_read_trace(struct job *job)
{
    struct bytes parent;
    struct bytes state = bytes_of(NULL, 0);
    if (record_find_header(job->record, "traceparent", &parent)) {
        (void)record_find_header(job->record, "tracestate", &state);
    } else {
        parent = job_text(job, EVENT_FIELD_TRACEPARENT);
        state = job_text(job, EVENT_FIELD_TRACESTATE);
    }
    job->traceparent = printable(&job->batch->arena, parent);
    job->tracestate = printable(&job->batch->arena, state);
}
