/* The scanner: a state machine that gives one token for each call, and keeps its stack as a bit per
 * level (object or array), so that nothing is allocated and nesting costs nothing. All that is hot
 * is here; decoding and writing of strings is in json_text.c.
 *
 * The invariant: after an error there is only the error. `expect` is EXPECT_NOTHING then, no later
 * call moves, and the first problem is the one that is told.
 *
 * Everything hot is inlined into the calls that others make, each of which thereby has a copy of
 * the whole machine: a scalar is a few bytes, and a call would cost as much as reading it. */
#include "json.h"

#include <assert.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What the grammar allows next. */
enum {
    EXPECT_VALUE,
    EXPECT_FIRST_ELEMENT, /* value or ']' */
    EXPECT_FIRST_KEY,     /* key or '}' */
    EXPECT_NEXT,          /* ',' or the end of the container; the end of the text at depth 0 */
    EXPECT_NOTHING,       /* an error was reported */
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

void json_init(struct json_scanner *scanner, struct bytes text, unsigned depth_max)
{
    assert(depth_max >= 1 && depth_max <= JSON_DEPTH_MAX);
    static const uint8_t nothing = 0;
    *scanner = (struct json_scanner){
        .text = text.data ? text : bytes_of(&nothing, 0),
        .expect = EXPECT_VALUE,
        .depth_max = depth_max,
    };
    /* An empty text has an address too: pointers are compared and subtracted, which NULL does not
     * allow. */
    scanner->at = scanner->text.data;
}

/* Out of line, so that the paths without an error stay short. Only the first error is kept: what
 * follows is about a text that was misread already. */
static __attribute__((noinline, cold)) enum json_token
fail_at(struct json_scanner *scanner, const uint8_t *at, const char *problem)
{
    if (scanner->expect != EXPECT_NOTHING) {
        scanner->expect = EXPECT_NOTHING;
        scanner->status = STATUS_MALFORMED;
        scanner->problem = problem;
        scanner->problem_offset = (size_t)(at - scanner->text.data);
        scanner->at = at;
    }
    return JSON_ERROR;
}

ALWAYS_INLINE const uint8_t *text_end(const struct json_scanner *scanner)
{
    return scanner->text.data + scanner->text.size;
}

/* One comparison decides for compact JSON, which has no space at all. */
ALWAYS_INLINE const uint8_t *skip_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Length of the well-formed UTF-8 sequence at `at`, whose first byte is not ASCII; 0 if it is not
 * well-formed (Unicode 3.9, table 3-7). */
static size_t utf8_sequence(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = at[0];
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - at) < size)
        return 0;
    uint8_t low = 0x80, high = 0xbf;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

ALWAYS_INLINE bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\' && byte < 0x80;
}

/* The first byte from `at` that is a quote, a backslash, a control character or not ASCII. */
ALWAYS_INLINE const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    while (end - at >= 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Signed comparison: bytes from 0x80 are negative and so below the space as well. */
        __m128i special = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash)),
            _mm_cmplt_epi8(chunk, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask)
            return at + __builtin_ctz(mask);
        at += 16;
    }
#else
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
        /* May stop early on a byte that is fine, never late: the scalar loop decides. */
        uint64_t special = (quote - ones) & ~quote;
        special |= (backslash - ones) & ~backslash;
        special |= (word - ones * 0x20) & ~word;
        if ((special | word) & highs)
            break;
        at += 8;
    }
#endif
    while (at < end && is_plain(*at))
        at++;
    return at;
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* The byte after the escape at `at` (a backslash), or NULL with `at` unchanged. */
static const uint8_t *skip_escape(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2)
        return NULL;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 2;
    case 'u':
        if (end - at >= 6 && is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) && is_hex(at[5]))
            return at + 6;
        return NULL;
    default:
        return NULL;
    }
}

/* From the byte after the opening quote to the closing quote; NULL on an error. */
ALWAYS_INLINE const uint8_t *scan_string(struct json_scanner *scanner, const uint8_t *at,
                                         const uint8_t *end)
{
    bool escaped = false;
    for (;;) {
        at = skip_plain(at, end);
        if (at == end) {
            (void)fail_at(scanner, at, "the string is not closed");
            return NULL;
        }
        uint8_t byte = *at;
        if (byte == '"')
            break;
        if (byte == '\\') {
            const uint8_t *after = skip_escape(at, end);
            if (!after) {
                (void)fail_at(scanner, at, "not a valid escape");
                return NULL;
            }
            escaped = true;
            at = after;
        } else if (byte < 0x20) {
            (void)fail_at(scanner, at, "a control character in a string must be escaped");
            return NULL;
        } else if (scanner->utf8_trusted) {
            /* The text was read once already, strictly: the dispatcher's rules come after the
             * decoding. */
            at++;
        } else {
            size_t size = utf8_sequence(at, end);
            if (size == 0) {
                (void)fail_at(scanner, at, "not valid UTF-8");
                return NULL;
            }
            at += size;
        }
    }
    scanner->escaped = escaped;
    return at;
}

ALWAYS_INLINE bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') <= 9;
}

/* One or more digits; NULL if there is none. */
ALWAYS_INLINE const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *first = at;
    while (at < end && is_digit(*at))
        at++;
    return at == first ? NULL : at;
}

/* number = [ "-" ] int [ frac ] [ exp ]; NULL on an error. */
ALWAYS_INLINE const uint8_t *scan_number(struct json_scanner *scanner, const uint8_t *at,
                                         const uint8_t *end)
{
    if (*at == '-')
        at++;
    const uint8_t *next = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
    if (next && next < end && *next == '.') {
        at = next + 1;
        next = skip_digits(at, end);
    }
    if (next && next < end && (*next | 0x20) == 'e') {
        at = next + 1;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        next = skip_digits(at, end);
    }
    if (!next) {
        (void)fail_at(scanner, at, "a digit is missing in the number");
        return NULL;
    }
    /* Only behind a 0: any other row of digits would have been taken to its end. */
    if (next < end && is_digit(*next)) {
        (void)fail_at(scanner, next, "a number has no leading zeros");
        return NULL;
    }
    return next;
}

/* A container opens; its first byte is `at`. */
ALWAYS_INLINE enum json_token open_container(struct json_scanner *scanner, const uint8_t *at,
                                             enum json_token token)
{
    if (scanner->depth == scanner->depth_max) {
        (void)fail_at(scanner, at, "nested too deeply");
        scanner->status = STATUS_TOO_DEEP;
        return JSON_ERROR;
    }
    /* The stack: a bit for each level. */
    uint64_t bit = (uint64_t)1 << (scanner->depth % 64);
    uint64_t *word = &scanner->objects[scanner->depth / 64];
    *word = token == JSON_OBJECT ? *word | bit : *word & ~bit;
    scanner->depth++;
    scanner->expect = token == JSON_OBJECT ? EXPECT_FIRST_KEY : EXPECT_FIRST_ELEMENT;
    scanner->at = at + 1;
    scanner->raw = bytes_of(at, 1);
    return token;
}

ALWAYS_INLINE bool in_object(const struct json_scanner *scanner)
{
    unsigned level = scanner->depth - 1;
    return scanner->objects[level / 64] >> (level % 64) & 1;
}

/* The kind of bracket was checked by the caller, who has seen the bit of this level. */
ALWAYS_INLINE enum json_token close_container(struct json_scanner *scanner, const uint8_t *at,
                                              enum json_token token)
{
    scanner->depth--;
    scanner->expect = EXPECT_NEXT;
    scanner->start = (size_t)(at - scanner->text.data);
    scanner->at = at + 1;
    scanner->raw = bytes_of(at, 1);
    return token;
}

ALWAYS_INLINE enum json_token scalar(struct json_scanner *scanner, const uint8_t *first,
                                     const uint8_t *after, enum json_token token)
{
    scanner->raw = bytes_of(first, (size_t)(after - first));
    scanner->at = after;
    scanner->expect = EXPECT_NEXT;
    return token;
}

ALWAYS_INLINE enum json_token scan_literal(struct json_scanner *scanner, const uint8_t *at,
                                           struct bytes literal, enum json_token token)
{
    if ((size_t)(text_end(scanner) - at) < literal.size ||
        memcmp(at, literal.data, literal.size) != 0)
        return fail_at(scanner, at, "expected a value");
    return scalar(scanner, at, at + literal.size, token);
}

/* The value that starts at `at`, space already skipped. */
ALWAYS_INLINE enum json_token scan_value(struct json_scanner *scanner, const uint8_t *at,
                                         const uint8_t *end)
{
    if (at == end)
        return fail_at(scanner, at, "expected a value");
    scanner->start = (size_t)(at - scanner->text.data);
    const uint8_t *after;
    switch (*at) {
    case '"':
        after = scan_string(scanner, at + 1, end);
        if (!after)
            return JSON_ERROR;
        (void)scalar(scanner, at + 1, after, JSON_STRING);
        scanner->at = after + 1;
        return JSON_STRING;
    case '{':
        return open_container(scanner, at, JSON_OBJECT);
    case '[':
        return open_container(scanner, at, JSON_ARRAY);
    case 't':
        return scan_literal(scanner, at, BYTES_LITERAL("true"), JSON_TRUE);
    case 'f':
        return scan_literal(scanner, at, BYTES_LITERAL("false"), JSON_FALSE);
    case 'n':
        return scan_literal(scanner, at, BYTES_LITERAL("null"), JSON_NULL);
    default:
        if (*at != '-' && !is_digit(*at))
            return fail_at(scanner, at, "expected a value");
        after = scan_number(scanner, at, end);
        return after ? scalar(scanner, at, after, JSON_NUMBER) : JSON_ERROR;
    }
}

/* The key that starts at `at`, and its colon. */
ALWAYS_INLINE enum json_token scan_key(struct json_scanner *scanner, const uint8_t *at,
                                       const uint8_t *end)
{
    if (at == end || *at != '"')
        return fail_at(scanner, at, "expected a key in double quotes");
    const uint8_t *after = scan_string(scanner, at + 1, end);
    if (!after)
        return JSON_ERROR;
    const uint8_t *colon = skip_space(after + 1, end);
    if (colon == end || *colon != ':')
        return fail_at(scanner, colon, "expected ':'");
    scanner->start = (size_t)(at - scanner->text.data);
    scanner->raw = bytes_of(at + 1, (size_t)(after - at - 1));
    scanner->at = colon + 1;
    scanner->expect = EXPECT_VALUE;
    return JSON_KEY;
}

/* After a value: a comma and what follows it, or an end. */
ALWAYS_INLINE enum json_token scan_next(struct json_scanner *scanner, const uint8_t *at,
                                        const uint8_t *end)
{
    if (scanner->depth == 0) {
        if (at != end)
            return fail_at(scanner, at, "text after the value");
        scanner->at = at;
        return JSON_END;
    }
    bool object = in_object(scanner);
    if (at < end && *at == ',') {
        at = skip_space(at + 1, end);
        return object ? scan_key(scanner, at, end) : scan_value(scanner, at, end);
    }
    if (at < end && *at == (object ? '}' : ']'))
        return close_container(scanner, at, object ? JSON_OBJECT_END : JSON_ARRAY_END);
    return fail_at(scanner, at, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

ALWAYS_INLINE enum json_token step(struct json_scanner *scanner)
{
    const uint8_t *end = text_end(scanner);
    const uint8_t *at = skip_space(scanner->at, end);
    switch (scanner->expect) {
    case EXPECT_NEXT:
        return scan_next(scanner, at, end);
    case EXPECT_VALUE:
        return scan_value(scanner, at, end);
    case EXPECT_FIRST_KEY:
        if (at < end && *at == '}')
            return close_container(scanner, at, JSON_OBJECT_END);
        return scan_key(scanner, at, end);
    case EXPECT_FIRST_ELEMENT:
        if (at < end && *at == ']')
            return close_container(scanner, at, JSON_ARRAY_END);
        return scan_value(scanner, at, end);
    default:
        return JSON_ERROR;
    }
}

enum json_token json_next(struct json_scanner *scanner)
{
    return step(scanner);
}

/* By depth alone: brackets of the two kinds are kept apart by step(). */
bool json_skip_container(struct json_scanner *scanner)
{
    if (scanner->expect == EXPECT_NOTHING)
        return false;
    assert(scanner->depth > 0);
    unsigned outside = scanner->depth - 1;
    while (scanner->depth > outside)
        if (step(scanner) == JSON_ERROR)
            return false;
    return true;
}

enum json_token json_value(struct json_scanner *scanner, struct bytes *raw)
{
    enum json_token token = step(scanner);
    size_t start = scanner->start;
    if (token == JSON_OBJECT || token == JSON_ARRAY)
        if (!json_skip_container(scanner))
            return JSON_ERROR;
    if (raw && token != JSON_ERROR && token != JSON_END) {
        scanner->start = start;
        *raw = bytes_of(scanner->text.data + start, json_position(scanner) - start);
    }
    return token;
}

enum status json_validate(struct bytes text, unsigned depth_max, size_t *offset)
{
    struct json_scanner scanner;
    json_init(&scanner, text, depth_max);
    /* Both: a value, and nothing behind it. */
    if (json_value(&scanner, NULL) != JSON_ERROR && json_next(&scanner) == JSON_END)
        return STATUS_OK;
    if (offset)
        *offset = scanner.problem_offset;
    return scanner.status;
}
