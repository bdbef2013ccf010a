/* A strict RFC 8259 pull scanner over bytes that are all there. Not a document: it builds nothing,
 * allocates nothing and copies nothing; every slice it gives is borrowed from the text. Duplicate
 * keys are legal and all reported; an escaped lone surrogate is legal (section 8.2); a byte order
 * mark, raw control characters, comments, trailing commas and text after the value are not.
 *
 *     struct json_scanner scanner;
 *     json_init(&scanner, text, 100);
 *     if (json_next(&scanner) == JSON_ARRAY)
 *         while ((token = json_value(&scanner, &raw)) != JSON_ARRAY_END && token != JSON_ERROR)
 *             ...raw is one element, whole...
 *     if (json_next(&scanner) != JSON_END)
 *         ...scanner.problem at byte scanner.problem_offset...
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "buffer.h"
#include "bytes.h"
#include "status.h"

enum json_token {
    JSON_ERROR, /* stays so: every later call returns it again */
    JSON_END,   /* the text holds one whole value and nothing after it */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY, /* the colon is consumed; its value comes next */
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

/* The deepest nesting any caller may allow. */
enum { JSON_DEPTH_MAX = 512 };

struct json_scanner {
    /* Of the last token: its text without quotes for keys and strings, where it starts (the quote),
     * and whether `raw` holds escapes, so that it must be decoded before it is compared. */
    struct bytes raw;
    size_t start;
    bool escaped;
    bool utf8_trusted; /* set after json_init(): the text is known to be valid UTF-8 */
    uint8_t expect;    /* private */
    unsigned depth;    /* containers open now */
    unsigned depth_max;
    const uint8_t *at; /* private: next byte */
    struct bytes text;
    /* Of the first error: STATUS_MALFORMED or STATUS_TOO_DEEP, a static text, and the byte. */
    enum status status;
    const char *problem;
    size_t problem_offset;
    uint64_t objects[JSON_DEPTH_MAX / 64]; /* private: a bit per level, set in an object */
};

/* `depth_max` is 1 to JSON_DEPTH_MAX: the containers that may be open at once. */
void json_init(struct json_scanner *scanner, struct bytes text, unsigned depth_max);

/* The next token. */
enum json_token json_next(struct json_scanner *scanner);

/* Reads one whole value, checking all of it, and returns its first token; `raw` (may be NULL) gets
 * its text, quotes and brackets included. At the end of a container or of the text it is
 * json_next(). Not to be called where a key is due: it then returns JSON_KEY. */
enum json_token json_value(struct json_scanner *scanner, struct bytes *raw);

/* After JSON_OBJECT or JSON_ARRAY: reads on to the end of that container, checking all of it.
 * False on an error. */
bool json_skip_container(struct json_scanner *scanner) MUST_CHECK;

/* Offset of the byte after the last token. */
static inline size_t json_position(const struct json_scanner *scanner)
{
    return (size_t)(scanner->at - scanner->text.data);
}

/* STATUS_OK if the text is one valid JSON value; otherwise `offset` (may be NULL) is the byte that
 * is wrong. */
enum status json_validate(struct bytes text, unsigned depth_max, size_t *offset) MUST_CHECK;

/* The first value at a path of object keys joined by '.', in the spelling {"a":{"b":1}} or
 * {"a.b":1} or any mixture; arrays are not entered. `raw` as json_value() gives it. Stops reading
 * when found, so it is no validation; keys that are written with escapes and longer than 512 bytes
 * are passed over, and so is what lies deeper than 63 objects. STATUS_NOT_FOUND, or the scanner's
 * status. */
enum status json_find(struct bytes document, struct bytes path, struct bytes *raw) MUST_CHECK;

/* Decodes the inside of a valid JSON string into `out`, which has room for `raw.size` bytes and may
 * be `raw.data`, and returns the number of bytes written. Escaped surrogate pairs become UTF-8; a
 * lone surrogate becomes its three bytes in the manner of UTF-8 (WTF-8), so that it equals itself
 * and nothing else. */
size_t json_unescape(struct bytes raw, uint8_t *out);

/* The same, appended to a buffer. */
void json_unescape_append(struct bytes raw, struct buffer *out);

/* Appends text (UTF-8 or WTF-8) as a JSON string with its quotes. Quote, backslash, control
 * characters and lone surrogates are escaped; everything else passes through. */
void json_write_string(struct buffer *out, struct bytes text);

/* The same of several, as an array. */
void json_write_strings(struct buffer *out, const struct bytes *texts, size_t count);

/* The same without quotes. */
void json_write_escaped(struct buffer *out, struct bytes text);

/* 1-based line and column (in code points, as an editor counts them) of a byte offset, for messages
 * to people. Lines end with LF. */
void json_line_column(struct bytes text, size_t offset, unsigned *line, unsigned *column);

#endif
