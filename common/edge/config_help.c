/* The list of settings for --help. */
#include "config_internal.h"

enum { HELP_WIDTH = 90, HELP_INDENT = 6 };

/* Appends a paragraph, broken at blanks. */
static void append_wrapped(struct bytes text, struct buffer *out)
{
    size_t column = 0;
    while (text.size) {
        const uint8_t *blank = memchr(text.data, ' ', text.size);
        size_t size = blank ? (size_t)(blank - text.data) : text.size;
        if (column && column + 1 + size > HELP_WIDTH - HELP_INDENT) {
            buffer_append_byte(out, '\n');
            column = 0;
        }
        if (column == 0)
            buffer_append_format(out, "%*s", HELP_INDENT, "");
        else
            buffer_append_byte(out, ' ');
        buffer_append(out, bytes_of(text.data, size));
        column += size + 1;
        text = bytes_skip(text, blank ? size + 1 : size);
    }
    buffer_append_byte(out, '\n');
}

static void append_setting(const struct setting *setting, struct buffer *out)
{
    buffer_append_format(out, "  %s  ", setting->path);
    config_variable(setting->path, out);
    buffer_append_byte(out, '\n');
    append_wrapped(bytes_of_string(setting->help), out);
    auto_buffer struct buffer form = {0};
    config_describe(setting, &form);
    if (setting->required)
        buffer_append_string(&form, "; required");
    else if (setting->default_text && setting->type != SETTING_SECRET)
        buffer_append_format(&form, "; default %s",
                             *setting->default_text ? setting->default_text : "empty");
    append_wrapped(buffer_peek(&form), out);
}

void config_help(const struct config_group *groups, size_t group_count, struct buffer *out)
{
    buffer_append_string(
        out, "Settings, by their path in the file, with the variable that overrides it:\n\n");
    for (size_t i = 0; i < group_count; i++) {
        for (size_t j = 0; j < groups[i].count; j++)
            append_setting(&groups[i].settings[j], out);
    }
}
