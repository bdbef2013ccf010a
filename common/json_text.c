/* Strings of JSON: decoding, writing, finding by path, places for people. What is here works on
 * what the scanner has accepted, so that nothing is checked twice: each escape is whole, and each
 * digit is one.
 *
 * A lone surrogate (legal as an escape, by RFC 8259 section 8.2) is kept inside as three bytes in
 * the manner of UTF-8, and becomes an escape again when it is written. So a text goes through
 * unchanged, and what is written is always UTF-8. */
#include "json.h"

static unsigned hex_value(uint8_t byte)
{
    return byte <= '9' ? byte - 0x30u : (byte | 0x20u) - 'a' + 10u;
}

static unsigned hex_unit(const uint8_t *at)
{
    return hex_value(at[0]) << 12 | hex_value(at[1]) << 8 | hex_value(at[2]) << 4 |
           hex_value(at[3]);
}

/* Surrogates are encoded like any other code point of three bytes. */
static uint8_t *put_code_point(uint8_t *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (uint8_t)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (uint8_t)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (uint8_t)(0xe0 | code >> 12);
        } else {
            *out++ = (uint8_t)(0xf0 | code >> 18);
            *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (uint8_t)(0x80 | (code & 0x3f));
    return out;
}

/* The three others, \" \\ and \/, stand for themselves. */
static uint8_t simple_escape(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

/* The result is never longer than what it comes from, hence `out` may be the same memory. */
size_t json_unescape(struct bytes raw, uint8_t *out)
{
    if (raw.size == 0)
        return 0;
    const uint8_t *at = raw.data, *end = raw.data + raw.size;
    uint8_t *first = out;
    while (at < end) {
        const uint8_t *backslash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((backslash ? backslash : end) - at);
        memmove(out, at, plain);
        out += plain;
        at += plain;
        if (at == end)
            break;
        if (at[1] != 'u') {
            *out++ = simple_escape(at[1]);
            at += 2;
            continue;
        }
        unsigned code = hex_unit(at + 2);
        at += 6;
        if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
            unsigned low = hex_unit(at + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
        }
        out = put_code_point(out, code);
    }
    return (size_t)(out - first);
}

void json_unescape_append(struct bytes raw, struct buffer *out)
{
    if (raw.size == 0)
        return;
    uint8_t *to = buffer_reserve(out, raw.size);
    buffer_commit(out, json_unescape(raw, to));
}

/* Whether the bytes at `at` are a surrogate in the manner of UTF-8. */
static bool is_surrogate(const uint8_t *at, const uint8_t *end)
{
    return end - at >= 3 && at[0] == 0xed && at[1] >= 0xa0 && (at[2] & 0xc0) == 0x80;
}

/* The length of the escape written at `out` (6 bytes of room) for the character at `at`. */
static size_t write_escape(uint8_t *out, const uint8_t *at)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = "btn-fr"; /* from U+0008 */
    out[0] = '\\';
    if (*at == '"' || *at == '\\') {
        out[1] = *at;
        return 2;
    }
    if (*at >= 8 && *at <= 13 && *at != 11) {
        out[1] = (uint8_t)letters[*at - 8];
        return 2;
    }
    unsigned unit = *at;
    if (unit >= 0x80)
        unit = 0xd000u | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    out[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        out[2 + i] = (uint8_t)digits[unit >> (12 - 4 * i) & 15];
    return 6;
}

void json_write_escaped(struct buffer *out, struct bytes text)
{
    if (text.size == 0)
        return;
    const uint8_t *at = text.data, *end = text.data + text.size;
    while (at < end) {
        const uint8_t *plain = at;
        /* Runs are copied whole: most texts have nothing to escape. */
        while (at < end && *at >= 0x20 && *at != '"' && *at != '\\' && !is_surrogate(at, end))
            at++;
        if (at > plain)
            buffer_append(out, bytes_of(plain, (size_t)(at - plain)));
        if (at == end)
            break;
        buffer_commit(out, write_escape(buffer_reserve(out, 6), at));
        at += *at == 0xed ? 3 : 1;
    }
}

void json_write_string(struct buffer *out, struct bytes text)
{
    buffer_append_byte(out, '"');
    json_write_escaped(out, text);
    buffer_append_byte(out, '"');
}

void json_write_strings(struct buffer *out, const struct bytes *texts, size_t count)
{
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        json_write_string(out, texts[i]);
    }
    buffer_append_byte(out, ']');
}

/* Whether a key leads towards `path`: it is the whole of it (`rest` becomes empty with NULL data),
 * or its beginning up to a '.'. */
static bool key_leads(struct bytes key, struct bytes path, struct bytes *rest, bool *whole)
{
    if (!bytes_start_with(path, key))
        return false;
    *whole = path.size == key.size;
    if (*whole)
        return true;
    if (path.data[key.size] != '.')
        return false;
    *rest = bytes_skip(path, key.size + 1);
    return true;
}

/* Compares an escaped key without allocation: keys that cannot fit into the path are no match. */
static bool raw_key_leads(const struct json_scanner *scanner, struct bytes path, struct bytes *rest,
                          bool *whole)
{
    uint8_t decoded[512];
    if (!scanner->escaped)
        return key_leads(scanner->raw, path, rest, whole);
    if (scanner->raw.size > sizeof(decoded))
        return false;
    return key_leads(bytes_of(decoded, json_unescape(scanner->raw, decoded)), path, rest, whole);
}

/* The first that fits, in one pass and without a tree: of what a client sends, a member or two are
 * looked up. Keys may have dots of their own, so that "a.b" is found as {"a":{"b":1}} and as
 * {"a.b":1}: each open object remembers what of the path is left inside of it. */
enum status json_find(struct bytes document, struct bytes path, struct bytes *raw)
{
    /* rest[d] is what of the path is still to be found inside the open object of depth d. */
    struct bytes rest[64];
    struct json_scanner scanner;
    json_init(&scanner, document, JSON_DEPTH_MAX);
    enum json_token token = json_next(&scanner);
    if (token != JSON_OBJECT)
        return token == JSON_ERROR ? scanner.status : STATUS_NOT_FOUND;
    rest[1] = path;
    while ((token = json_next(&scanner)) != JSON_ERROR) {
        if (token == JSON_OBJECT_END && scanner.depth == 0)
            return STATUS_NOT_FOUND;
        if (token != JSON_KEY)
            continue;
        struct bytes after = {0};
        bool whole = false;
        bool leads = raw_key_leads(&scanner, rest[scanner.depth], &after, &whole);
        if (whole && leads) {
            if (json_value(&scanner, &after) == JSON_ERROR)
                break;
            *raw = after;
            return STATUS_OK;
        }
        unsigned depth = scanner.depth;
        /* A value that the path does not lead into is passed over whole; deeper than any path it is
         * too. */
        token = leads && depth + 1 < 64 ? json_next(&scanner) : json_value(&scanner, NULL);
        if (token == JSON_ERROR)
            break;
        if (scanner.depth == depth)
            continue;
        if (token == JSON_OBJECT)
            rest[scanner.depth] = after;
        else if (!json_skip_container(&scanner))
            break;
    }
    return scanner.status;
}

void json_line_column(struct bytes text, size_t offset, unsigned *line, unsigned *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < text.size; i++) {
        if (text.data[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((text.data[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}
