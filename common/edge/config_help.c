/* The list of settings, for people (--help) and for programs (--settings-json). Made from the same
 * table that values are read by, so that what is told and what is taken cannot part. Tools and
 * tests read the second form. */
#include <inttypes.h>

#include "config_private.h"
#include "json.h"

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
    /* A secret's default would be printed in everybody's terminal. */
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

/* --- For programs ----------------------------------------------------------------------------- */

/* For programs, and so never changed; people read type_text() of config_value.c. */
static const char *type_name(enum setting_type type)
{
    static const char *const names[] = {
        [SETTING_STRING] = "string",   [SETTING_SECRET] = "secret", [SETTING_BOOLEAN] = "boolean",
        [SETTING_INTEGER] = "integer", [SETTING_NUMBER] = "number", [SETTING_DURATION] = "duration",
        [SETTING_SIZE] = "size",       [SETTING_CHOICE] = "choice", [SETTING_LIST] = "list",
        [SETTING_TREE] = "tree"};
    return names[type];
}

static void append_help_text(const char *name, const char *text, struct buffer *out)
{
    buffer_append_format(out, ",\"%s\":", name);
    json_write_string(out, bytes_of_string(text));
}

static void append_choices(const char *const *choices, struct buffer *out)
{
    buffer_append_string(out, ",\"choices\":");
    for (size_t i = 0; choices[i]; i++) {
        buffer_append_byte(out, i == 0 ? '[' : ',');
        json_write_string(out, bytes_of_string(choices[i]));
    }
    buffer_append_byte(out, ']');
}

static void append_range(const struct setting *setting, struct buffer *out)
{
    bool text = setting->type == SETTING_STRING || setting->type == SETTING_SECRET;
    if (text)
        buffer_append_format(out, ",\"maximum\":%zu", config_text_limit(setting));
    else if (setting->minimum != 0 || setting->maximum != 0)
        buffer_append_format(out, ",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64, setting->minimum,
                             setting->maximum);
}

static void append_object(const struct setting *setting, struct buffer *out)
{
    auto_buffer struct buffer variable = {0};
    config_variable(setting->path, &variable);
    buffer_append_string(out, "{\"path\":");
    json_write_string(out, bytes_of_string(setting->path));
    buffer_append_string(out, ",\"variable\":");
    json_write_string(out, buffer_peek(&variable));
    append_help_text("type", type_name(setting->type), out);
    if (setting->required)
        buffer_append_string(out, ",\"required\":true");
    if (setting->default_text)
        append_help_text("default", setting->default_text, out);
    append_range(setting, out);
    if (setting->type == SETTING_CHOICE)
        append_choices(setting->choices, out);
    append_help_text("help", setting->help, out);
    buffer_append_byte(out, '}');
}

void config_json(const struct config_group *groups, size_t group_count, struct buffer *out)
{
    size_t written = 0;
    for (size_t i = 0; i < group_count; i++) {
        for (size_t j = 0; j < groups[i].count; j++) {
            buffer_append_string(out, written++ == 0 ? "[\n" : ",\n");
            append_object(&groups[i].settings[j], out);
        }
    }
    buffer_append_string(out, "\n]\n");
}
