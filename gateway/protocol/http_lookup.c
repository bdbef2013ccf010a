/* Looking into a request head that has been parsed: fields, cookies, parameters of the query. By
 * walking the head each time and not by a table: two or three fields of a request are ever asked
 * for, and a table would cost every request.
 *
 * Nothing is copied; decoding goes into a buffer of the caller. */
#include "http_head.h"

#include "http_request.h"
#include <assert.h>

bool http_field_next(struct bytes *rest, struct http_field *field)
{
    if (rest->size == 0)
        return false;
    /* A CR stands nowhere but at the end of a line, or the reader had refused it. */
    const uint8_t *end = memchr(rest->data, '\r', rest->size);
    struct bytes line = bytes_of(rest->data, end ? (size_t)(end - rest->data) : rest->size);
    if (!http_head_parse_field(line, field))
        return false;
    *rest = end ? bytes_skip(*rest, line.size + 2) : bytes_skip(*rest, line.size);
    return true;
}

/* The first of that name. Where two would matter, http_request_count() tells. */
bool http_request_field(const struct http_request *request, const char *name, struct bytes *value)
{
    struct bytes rest = request->fields, wanted = bytes_of_string(name);
    struct http_field field;
    assert(wanted.size > 0);
    while (http_field_next(&rest, &field)) {
        if (http_equal_ignoring_case(field.name, wanted)) {
            *value = field.value;
            return true;
        }
    }
    return false;
}

size_t http_request_count(const struct http_request *request, const char *name)
{
    struct bytes rest = request->fields, wanted = bytes_of_string(name);
    struct http_field field;
    size_t count = 0;
    assert(wanted.size > 0);
    while (http_field_next(&rest, &field))
        count += http_equal_ignoring_case(field.name, wanted);
    return count;
}

/* Over all fields of that name: several are one list (RFC 9110, section 5.3). */
bool http_request_has_token(const struct http_request *request, const char *name, const char *token)
{
    struct bytes rest = request->fields, wanted = bytes_of_string(name), element;
    struct http_field field;
    assert(wanted.size > 0 && token[0]);
    while (http_field_next(&rest, &field)) {
        if (!http_equal_ignoring_case(field.name, wanted))
            continue;
        while (http_list_next(&field.value, &element))
            if (http_equal_ignoring_case(element, bytes_of_string(token)))
                return true;
    }
    return false;
}

/* Takes name=value off a list with this separator. */
static struct http_field take_pair(struct bytes *rest, char separator)
{
    const uint8_t *end = memchr(rest->data, separator, rest->size);
    struct bytes pair = bytes_of(rest->data, end ? (size_t)(end - rest->data) : rest->size);
    assert(rest->size > 0);
    *rest = bytes_skip(*rest, end ? pair.size + 1 : pair.size);
    const uint8_t *equals = pair.size ? memchr(pair.data, '=', pair.size) : NULL;
    size_t name_size = equals ? (size_t)(equals - pair.data) : pair.size;
    return (struct http_field){bytes_of(pair.data, name_size),
                               bytes_skip(pair, equals ? name_size + 1 : name_size)};
}

/* The first of a name: browsers send the one with the most specific path first. */
static bool find_cookie(struct bytes cookies, struct bytes wanted, struct bytes *value)
{
    assert(wanted.size > 0);
    while (cookies.size) {
        struct http_field pair = take_pair(&cookies, ';');
        struct bytes found = http_trim(pair.value);
        if (!bytes_equal(http_trim(pair.name), wanted))
            continue;
        /* Quotes may stand around a cookie's value and are not part of it (RFC 6265, section
         * 4.1.1). */
        if (found.size >= 2 && found.data[0] == '"' && found.data[found.size - 1] == '"')
            found = bytes_of(found.data + 1, found.size - 2);
        *value = found;
        return true;
    }
    return false;
}

bool http_request_cookie(const struct http_request *request, const char *name, struct bytes *value)
{
    struct bytes rest = request->fields;
    struct http_field field;
    while (http_field_next(&rest, &field))
        if (http_equal_ignoring_case(field.name, BYTES_LITERAL("cookie")) &&
            find_cookie(field.value, bytes_of_string(name), value))
            return true;
    return false;
}

/* Empty pairs are passed over: "a=1&&b=2" has two. */
bool http_query_next(struct bytes *rest, struct http_field *parameter)
{
    while (rest->size) {
        struct http_field found = take_pair(rest, '&');
        if (found.name.size || found.value.size) {
            *parameter = found;
            return true;
        }
    }
    return false;
}

static int hexadecimal(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Takes one decoded byte off the front; -1 if it is malformed. */
static int decode_byte(struct bytes *encoded, bool plus)
{
    uint8_t c = encoded->data[0];
    assert(encoded->size > 0);
    if (c == '%') {
        if (encoded->size < 3)
            return -1;
        int high = hexadecimal(encoded->data[1]), low = hexadecimal(encoded->data[2]);
        if (high < 0 || low < 0)
            return -1;
        *encoded = bytes_skip(*encoded, 3);
        return high << 4 | low;
    }
    *encoded = bytes_skip(*encoded, 1);
    return plus && c == '+' ? ' ' : c;
}

enum status http_percent_decode(struct bytes encoded, bool plus, struct buffer *out)
{
    /* It only shrinks. Committed at the end: a text that turns out to be malformed leaves
     * nothing. */
    uint8_t *place = buffer_reserve(out, encoded.size);
    size_t size = 0;
    while (encoded.size) {
        int byte = decode_byte(&encoded, plus);
        if (byte < 0)
            return STATUS_MALFORMED;
        place[size++] = (uint8_t)byte;
    }
    buffer_commit(out, size);
    return STATUS_OK;
}

/* Names may be encoded, too ("%74oken"), and are compared without a copy. */
static bool name_matches(struct bytes encoded, const char *name)
{
    while (encoded.size && *name) {
        int byte = decode_byte(&encoded, true);
        if (byte != (unsigned char)*name++)
            return false;
    }
    return encoded.size == 0 && *name == 0;
}

enum status http_query_parameter(struct bytes query, const char *name, struct buffer *scratch,
                                 struct bytes *value)
{
    struct http_field parameter;
    assert(name[0]);
    while (http_query_next(&query, &parameter)) {
        if (!name_matches(parameter.name, name))
            continue;
        struct bytes raw = parameter.value;
        /* The usual case, without a copy: tokens and ids have nothing to decode. */
        if (raw.size == 0 ||
            (!memchr(raw.data, '%', raw.size) && !memchr(raw.data, '+', raw.size))) {
            *value = raw;
            return STATUS_OK;
        }
        size_t before = buffer_size(scratch);
        enum status status = http_percent_decode(raw, true, scratch);
        if (status == STATUS_OK)
            *value = bytes_skip(buffer_peek(scratch), before);
        return status;
    }
    return STATUS_NOT_FOUND;
}
