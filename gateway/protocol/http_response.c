/* Answers, written in one go: what of a head is ours, in one order, and then what the caller adds.
 * Nobody else writes a status line.
 *
 * The invariant: no value can end its line. The asserts are right, because callers pass constants
 * of theirs, numbers, or texts that were checked with http_value_is_safe() where they came in. */
#include "http_response.h"

#include <assert.h>
#include <stdio.h>

const char *http_reason(unsigned code)
{
    static const struct {
        unsigned code;
        const char *text;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].code == code)
            return reasons[i].text;
    /* The phrase means nothing to clients (RFC 9112, section 4); a code of an adapter may be a new
     * one. */
    return "Unknown";
}

/* No control character but the tab: the rest of what is not ASCII is obs-text and harmless. */
bool http_value_is_safe(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if ((value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return true;
}

static void append_head_field(struct buffer *out, struct bytes name, struct bytes value)
{
    assert(http_value_is_safe(name) && http_value_is_safe(value));
    buffer_append(out, name);
    buffer_append(out, BYTES_LITERAL(": "));
    buffer_append(out, value);
    buffer_append(out, BYTES_LITERAL("\r\n"));
}

/* How the body ends, said once: a length beside a coding would be refused by every careful
 * reader. */
static void append_framing(struct buffer *out, const struct http_response *response)
{
    switch (response->framing) {
    case HTTP_FRAMING_LENGTH:
        buffer_append_format(out, "Content-Length: %llu\r\n",
                             (unsigned long long)response->content_length);
        break;
    case HTTP_FRAMING_CHUNKED:
        assert(response->minor_version == 1);
        buffer_append_string(out, "Transfer-Encoding: chunked\r\n");
        break;
    /* The end of the connection is the end of the body: says "Connection: close", below. */
    case HTTP_FRAMING_CLOSE:
    case HTTP_FRAMING_NONE:
        break;
    }
}

void http_response_write_head(struct buffer *out, const struct http_response *response,
                              const struct http_field *fields, size_t field_count)
{
    assert(response->code >= 100 && response->code <= 999);
    /* Also to a client of 1.0: the version is what we speak (RFC 9110, section 6.2). */
    buffer_append_format(out, "HTTP/1.1 %u %s\r\n", response->code, http_reason(response->code));
    if (response->date)
        append_head_field(out, BYTES_LITERAL("Date"), bytes_of_string(response->date));
    if (response->content_type)
        append_head_field(out, BYTES_LITERAL("Content-Type"),
                          bytes_of_string(response->content_type));
    append_framing(out, response);
    if (response->close || response->framing == HTTP_FRAMING_CLOSE)
        buffer_append_string(out, "Connection: close\r\n");
    /* Of 1.0 connections close unless both sides say otherwise. */
    else if (response->minor_version == 0 && response->code >= 200)
        buffer_append_string(out, "Connection: keep-alive\r\n");
    for (size_t i = 0; i < field_count; i++)
        append_head_field(out, fields[i].name, fields[i].value);
    buffer_append(out, BYTES_LITERAL("\r\n"));
}

/* The framing is decided here, since the body is at hand: whatever the caller has set is not looked
 * at. */
void http_response_write(struct buffer *out, const struct http_response *response,
                         const struct http_field *fields, size_t field_count, struct bytes body)
{
    struct http_response with_length = *response;
    with_length.framing = HTTP_FRAMING_LENGTH;
    with_length.content_length = body.size;
    http_response_write_head(out, &with_length, fields, field_count);
    buffer_append(out, body);
}

/* A chunk of no bytes would be the last one. */
void http_response_begin_chunk(struct buffer *out, size_t size)
{
    assert(size > 0);
    buffer_append_format(out, "%zx\r\n", size);
}

void http_response_end_chunk(struct buffer *out)
{
    buffer_append(out, BYTES_LITERAL("\r\n"));
}

void http_response_write_chunk(struct buffer *out, struct bytes bytes)
{
    if (bytes.size == 0)
        return;
    http_response_begin_chunk(out, bytes.size);
    buffer_append(out, bytes);
    http_response_end_chunk(out);
}

void http_response_write_last_chunk(struct buffer *out)
{
    buffer_append(out, BYTES_LITERAL("0\r\n\r\n"));
}

/* Without a date or any field: it is not the answer yet. */
void http_response_write_continue(struct buffer *out)
{
    buffer_append(out, BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Civil date from days since 1970-01-01, in the proleptic Gregorian calendar: years are counted
 * from March so that the leap day comes last. */
static void civil_date(int64_t days, int *year, int *month, int *day)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

void http_date(int64_t unix_seconds, char out[HTTP_DATE_SIZE])
{
    /* 1970-01-01 was a Thursday. strftime() would write in the language of the process. */
    static const char weekdays[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    assert(unix_seconds >= 0 && unix_seconds < INT64_C(253402300800));
    int64_t days = unix_seconds / 86400;
    unsigned second = (unsigned)(unix_seconds % 86400);
    int year, month, day;
    civil_date(days, &year, &month, &day);
    char text[64];
    int size = snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02u:%02u:%02u GMT",
                        &weekdays[days % 7 * 3], day, &months[3 * (size_t)(month - 1)], year,
                        second / 3600, second / 60 % 60, second % 60);
    assert(size == HTTP_DATE_SIZE - 1);
    memcpy(out, text, HTTP_DATE_SIZE);
}
