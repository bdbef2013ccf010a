/* The text format of Prometheus, version 0.0.4, line by line. Integers alone: values are counted in
 * small units, and the divisor puts the point in. So a counter of microseconds is exact for ever,
 * where a double of seconds would at some size stop growing. */
#include "metrics_private.h"

#include <assert.h>
#include <inttypes.h>

#include "unicode.h"

static bool is_name_byte(char byte, bool first)
{
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
    return letter || (!first && byte >= '0' && byte <= '9');
}

/* Names are our own constants: this is for asserts. */
bool metrics_text_name_valid(const char *name)
{
    for (size_t i = 0; name[i]; i++) {
        if (!is_name_byte(name[i], i == 0) && name[i] != ':')
            return false;
    }
    return *name != '\0';
}

/* Help escapes backslash and line feed; a label's value the quote as well. Prometheus drops a whole
 * scrape that is not UTF-8, and labels may have been chosen by customers: what is none is
 * replaced. */
static void append_escaped(struct bytes text, bool quotes, struct buffer *out)
{
    while (text.size) {
        uint32_t code;
        size_t size = unicode_decode(text, &code);
        if (size == 0)
            buffer_append_string(out, "\xEF\xBF\xBD");
        else if (code == '\n')
            buffer_append_string(out, "\\n");
        else if (code == '\\' || (quotes && code == '"'))
            buffer_append_format(out, "\\%c", (char)code);
        else
            buffer_append(out, bytes_of(text.data, size));
        text = bytes_skip(text, size ? size : 1);
    }
}

void metrics_text_head(const char *name, const char *help, const char *type, struct buffer *out)
{
    buffer_append_format(out, "# HELP %s ", name);
    append_escaped(bytes_of_string(help), false, out);
    buffer_append_format(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_text_label(const char *name, struct bytes value, struct buffer *out)
{
    assert(metrics_text_name_valid(name) && !strchr(name, ':') && strcmp(name, "le") != 0);
    buffer_append_format(out, "%s=\"", name);
    append_escaped(value, true, out);
    buffer_append_byte(out, '"');
}

void metrics_text_series(const char *name, const char *suffix, const char *labels,
                         struct buffer *out)
{
    if (*labels)
        buffer_append_format(out, "%s%s{%s} ", name, suffix, labels);
    else
        buffer_append_format(out, "%s%s ", name, suffix);
}

void metrics_text_number(int64_t value, uint32_t divisor, struct buffer *out)
{
    /* As unsigned, since INT64_MIN has no positive twin. */
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    buffer_append_format(out, "%s%" PRIu64, value < 0 ? "-" : "", size / divisor);
    uint64_t rest = size % divisor;
    if (rest)
        buffer_append_byte(out, '.');
    while (rest) {
        assert(divisor % 10 == 0);
        divisor /= 10;
        buffer_append_byte(out, (uint8_t)('0' + rest / divisor));
        rest %= divisor;
    }
}
