/* Plain scalars: their kind by the YAML 1.2 core schema, and the values of numbers.
 *
 * Most people know YAML 1.1, in which `010` is eight, `1_000` a thousand and `yes` true. The kinds
 * are 1.2's. But where both read a number and differ, nothing is taken at all when its value is
 * asked for as JSON: of two readings, one would be silently wrong. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "document_private.h"
#include "mem.h"

static size_t count_digits(struct bytes text, size_t at)
{
    while (at < text.size && byte_is_digit(text.data[at]))
        at++;
    return at;
}

static bool is_one_of(struct bytes text, const char *const *words)
{
    for (; *words; words++) {
        if (bytes_equal_string(text, *words))
            return true;
    }
    return false;
}

static bool all_in(struct bytes text, const char *set)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' || !strchr(set, text.data[i]))
            return false;
    }
    return text.size > 0;
}

/* 0x1f, 0o17; the core schema has no sign here. */
static bool is_radix(struct bytes text)
{
    if (bytes_start_with(text, BYTES_LITERAL("0x")))
        return all_in(bytes_skip(text, 2), "0123456789abcdefABCDEF");
    return bytes_start_with(text, BYTES_LITERAL("0o")) && all_in(bytes_skip(text, 2), "01234567");
}

/* A number for YAML 1.1 only: binary, or with underscores. */
static bool is_legacy(struct bytes unsigned_text)
{
    if (bytes_start_with(unsigned_text, BYTES_LITERAL("0b")))
        return all_in(bytes_skip(unsigned_text, 2), "01_");
    if (bytes_start_with(unsigned_text, BYTES_LITERAL("0x")))
        return all_in(bytes_skip(unsigned_text, 2), "0123456789abcdefABCDEF_");
    return unsigned_text.size && byte_is_digit(unsigned_text.data[0]) &&
           memchr(unsigned_text.data, '_', unsigned_text.size) &&
           all_in(unsigned_text, "0123456789_.");
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
 *
 * `regular` is what JSON would take as well, letter for letter. A leading zero is told apart, since
 * it is a number here, octal in YAML 1.1, and perhaps a telephone number in the mind of the
 * author. */
static enum document_number decimal_form(struct bytes text, bool has_plus)
{
    size_t start = text.size && text.data[0] == '-' ? 1 : 0;
    size_t whole = count_digits(text, start);
    bool regular = !has_plus && whole > start;
    size_t at = whole;
    if (at < text.size && text.data[at] == '.') {
        at = count_digits(text, at + 1);
        if (at == whole + 1 && whole == start)
            return DOCUMENT_NUMBER_NONE;
        regular = regular && at > whole + 1;
    } else if (whole == start) {
        return DOCUMENT_NUMBER_NONE;
    }
    if (at < text.size && (text.data[at] | 0x20) == 'e') {
        at++;
        if (at < text.size && (text.data[at] == '+' || text.data[at] == '-'))
            at++;
        size_t exponent = at;
        at = count_digits(text, at);
        if (at == exponent)
            return DOCUMENT_NUMBER_NONE;
    }
    if (at != text.size)
        return DOCUMENT_NUMBER_NONE;
    if (whole - start > 1 && text.data[start] == '0')
        return DOCUMENT_NUMBER_LEADING_ZERO;
    return regular ? DOCUMENT_NUMBER_JSON : DOCUMENT_NUMBER_DECIMAL;
}

enum document_number document_number_form(struct bytes spelling)
{
    static const char *const special[] = {".inf",  ".Inf",  ".INF",  "-.inf", "-.Inf",
                                          "-.INF", "+.inf", "+.Inf", "+.INF", ".nan",
                                          ".NaN",  ".NAN",  NULL};
    if (is_one_of(spelling, special))
        return DOCUMENT_NUMBER_SPECIAL;
    if (is_radix(spelling))
        return DOCUMENT_NUMBER_RADIX;
    bool has_plus = spelling.size && spelling.data[0] == '+';
    enum document_number form = DOCUMENT_NUMBER_NONE;
    /* decimal_form() takes a minus by itself: "+-1" must not get there. */
    if (!has_plus || (spelling.size > 1 && spelling.data[1] != '-'))
        form = decimal_form(has_plus ? bytes_skip(spelling, 1) : spelling, has_plus);
    if (form != DOCUMENT_NUMBER_NONE)
        return form;
    bool has_sign = has_plus || (spelling.size && spelling.data[0] == '-');
    return is_legacy(has_sign ? bytes_skip(spelling, 1) : spelling) ? DOCUMENT_NUMBER_LEGACY
                                                                    : DOCUMENT_NUMBER_NONE;
}

/* `yes`, `on` and `1_000` are texts here, as in YAML 1.2. */
enum document_kind document_plain_kind(struct bytes spelling, bool *boolean)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    *boolean = is_one_of(spelling, trues);
    if (*boolean || is_one_of(spelling, falses))
        return DOCUMENT_BOOLEAN;
    if (is_one_of(spelling, nulls))
        return DOCUMENT_NULL;
    enum document_number form = document_number_form(spelling);
    return form == DOCUMENT_NUMBER_NONE || form == DOCUMENT_NUMBER_LEGACY ? DOCUMENT_STRING
                                                                          : DOCUMENT_NUMBER;
}

/* The value of a DOCUMENT_NUMBER_RADIX, if it fits. */
static bool read_radix(struct bytes spelling, uint64_t *value)
{
    auto_free char *text = mem_string(bytes_skip(spelling, 2));
    errno = 0;
    unsigned long long read = strtoull(text, NULL, spelling.data[1] == 'x' ? 16 : 8);
    if (errno)
        return false;
    *value = read;
    return true;
}

/* Also 1e3 and 5.0, which people write: exact as long as a double is. */
bool document_read_integer(const struct document_node *node, int64_t *value)
{
    if (node->kind != DOCUMENT_NUMBER)
        return false;
    if (document_number_form(node->text) == DOCUMENT_NUMBER_RADIX) {
        uint64_t read;
        if (!read_radix(node->text, &read) || read > INT64_MAX)
            return false;
        *value = (int64_t)read;
        return true;
    }
    auto_free char *text = mem_string(node->text);
    char *end;
    errno = 0;
    long long read = strtoll(text, &end, 10);
    /* Digits alone: what lies beyond 64 bits is refused, and must not be tried as a double, which
     * would round it. */
    if (*end == '\0') {
        if (errno)
            return false;
        *value = read;
        return true;
    }
    const double exact = 9007199254740992.0; /* 2^53 */
    double number;
    if (!document_read_number(node, &number) || fabs(number) > exact || number != trunc(number))
        return false;
    *value = (int64_t)number;
    return true;
}

bool document_read_number(const struct document_node *node, double *value)
{
    if (node->kind != DOCUMENT_NUMBER)
        return false;
    enum document_number form = document_number_form(node->text);
    if (form == DOCUMENT_NUMBER_SPECIAL)
        return false;
    if (form == DOCUMENT_NUMBER_RADIX) {
        uint64_t read;
        if (!read_radix(node->text, &read))
            return false;
        *value = (double)read;
        return true;
    }
    auto_free char *text = mem_string(node->text);
    double read = strtod(text, NULL);
    /* 1e999 is a number for YAML and for strtod() infinite: no value of ours is. */
    if (!isfinite(read))
        return false;
    *value = read;
    return true;
}

/* +1 1, .8 0.8, 1. 1.0, 1.e3 1.0e3 */
static void emit_decimal(struct bytes spelling, struct buffer *out)
{
    size_t at = 0;
    if (spelling.data[0] == '+' || spelling.data[0] == '-') {
        at = 1;
        if (spelling.data[0] == '-')
            buffer_append_byte(out, '-');
    }
    if (spelling.data[at] == '.')
        buffer_append_byte(out, '0');
    for (; at < spelling.size; at++) {
        buffer_append_byte(out, spelling.data[at]);
        if (spelling.data[at] == '.' &&
            (at + 1 == spelling.size || !byte_is_digit(spelling.data[at + 1])))
            buffer_append_byte(out, '0');
    }
}

static enum status refuse_scalar(const struct document_node *node, const char *why,
                                 struct error *error)
{
    return error_set_at(error, node->line, node->column, "%.*s %s",
                        (int)(node->text.size < 60 ? node->text.size : 60),
                        (const char *)node->text.data, why);
}

enum status document_emit_number(const struct document_node *node, struct buffer *out,
                                 struct error *error)
{
    uint64_t value;
    switch (document_number_form(node->text)) {
    case DOCUMENT_NUMBER_JSON:
        buffer_append(out, node->text);
        return STATUS_OK;
    case DOCUMENT_NUMBER_DECIMAL:
        emit_decimal(node->text, out);
        return STATUS_OK;
    case DOCUMENT_NUMBER_RADIX:
        if (!read_radix(node->text, &value))
            return refuse_scalar(node, "does not fit into 64 bits", error);
        buffer_append_format(out, "%llu", (unsigned long long)value);
        return STATUS_OK;
    case DOCUMENT_NUMBER_LEADING_ZERO:
        return refuse_scalar(
            node, "has leading zeros: write the number without them, or quote the text", error);
    case DOCUMENT_NUMBER_SPECIAL:
        return refuse_scalar(node, "is no JSON number: quote it if it is a text", error);
    case DOCUMENT_NUMBER_LEGACY:
        return refuse_scalar(
            node,
            "is a text in YAML 1.2 but was a number in YAML 1.1: quote it, or write the "
            "number in digits",
            error);
    case DOCUMENT_NUMBER_NONE:
        break;
    }
    assert(false);
    return STATUS_INVALID;
}
