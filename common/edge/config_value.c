/* From texts to typed values of settings. A value comes as a node of the file, whose quotes say
 * whether a text was meant, or as the text of a variable or a default, which has no quotes to tell.
 *
 * The invariant: a value that does not fit changes nothing, and is told with what would fit. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_private.h"
#include "mem.h"

struct unit {
    const char *name;
    int64_t size;
};

static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static const struct unit size_units[] = {{"B", 1},           {"kB", 1000},     {"MB", 1000000},
                                         {"GB", 1000000000}, {"KiB", 1 << 10}, {"MiB", 1 << 20},
                                         {"GiB", 1 << 30},   {NULL, 0}};

/* `1.5s`: a decimal number and a unit; without a unit only if `bare` allows it. */
static bool read_quantity(struct bytes text, const struct unit *units, bool bare, int64_t *value)
{
    auto_free char *copy = mem_string(text);
    size_t digits = strspn(copy, "0123456789.");
    char *end;
    double number = strtod(copy, &end);
    if (digits == 0 || end != copy + digits || !isfinite(number))
        return false;
    const char *name = end + strspn(end, " ");
    int64_t factor = *name == '\0' && (bare || number == 0) ? 1 : 0;
    for (; !factor && units->name; units++) {
        if (strcmp(units->name, name) == 0)
            factor = units->size;
    }
    double product = number * (double)factor;
    /* Below 2^53, so that the double is exact; and no parts of a millisecond or a byte. */
    if (!factor || product > 9e15 || product != trunc(product))
        return false;
    *value = (int64_t)product;
    return true;
}

/* In the largest unit that divides it. */
static void append_quantity(int64_t value, const struct unit *units, struct buffer *out)
{
    const struct unit *best = units;
    for (; units->name; units++) {
        if (value && value % units->size == 0 && units->size > best->size)
            best = units;
    }
    buffer_append_format(out, "%lld%s", (long long)(value / best->size), best->name);
}

static void append_bound(const struct setting *setting, int64_t value, struct buffer *out)
{
    if (setting->type == SETTING_DURATION)
        append_quantity(value, duration_units, out);
    else if (setting->type == SETTING_SIZE)
        append_quantity(value, size_units, out);
    else
        buffer_append_format(out, "%lld", (long long)value);
}

/* These stand in refusals, behind "expected". */
static const char *type_text(enum setting_type type)
{
    switch (type) {
    case SETTING_STRING:
        return "a text";
    case SETTING_SECRET:
        return "a secret text";
    case SETTING_BOOLEAN:
        return "true or false";
    case SETTING_INTEGER:
        return "a whole number";
    case SETTING_NUMBER:
        return "a number";
    case SETTING_DURATION:
        return "a duration such as 500ms, 10s, 5m, 2h or 7d";
    case SETTING_SIZE:
        return "a size such as 512, 64KiB or 1MiB";
    case SETTING_CHOICE:
        return "one of ";
    case SETTING_LIST:
        return "a list of texts";
    case SETTING_TREE:
        return "a mapping or a list";
    }
    return "";
}

static bool is_text_setting(const struct setting *setting)
{
    return setting->type == SETTING_STRING || setting->type == SETTING_SECRET;
}

size_t config_text_limit(const struct setting *setting)
{
    assert(is_text_setting(setting) && setting->maximum >= 0);
    if (setting->maximum > 0)
        return (size_t)setting->maximum;
    return setting->type == SETTING_SECRET ? CONFIG_SECRET_MAX : CONFIG_TEXT_MAX;
}

void config_describe(const struct setting *setting, struct buffer *out)
{
    buffer_append_string(out, type_text(setting->type));
    for (size_t i = 0; setting->type == SETTING_CHOICE && setting->choices[i]; i++)
        buffer_append_format(out, "%s%s",
                             i == 0                    ? ""
                             : setting->choices[i + 1] ? ", "
                                                       : " or ",
                             setting->choices[i]);
    if (is_text_setting(setting) && setting->maximum > 0)
        buffer_append_format(out, " of up to %zu bytes", config_text_limit(setting));
    if (is_text_setting(setting) || (setting->minimum == 0 && setting->maximum == 0))
        return;
    buffer_append_string(out, setting->type == SETTING_LIST ? ", its length from " : " from ");
    append_bound(setting, setting->minimum, out);
    buffer_append_string(out, " to ");
    append_bound(setting, setting->maximum, out);
}

/* Both bounds 0: the setting has none. */
static bool in_range(const struct setting *setting, double value)
{
    return (setting->minimum == 0 && setting->maximum == 0) ||
           (value >= (double)setting->minimum && value <= (double)setting->maximum);
}

/* A text as a node, for those that read nodes. */
static struct document_node as_node(const struct config_value *value)
{
    if (value->node)
        return *value->node;
    struct document_node node = {.kind = DOCUMENT_NUMBER, .text = value->text};
    /* strtod() would take "inf" and "nan" as well, and both are words for a limit that is none. */
    static const char allowed[] = "0123456789+-.eExXabcdefABCDEFo";
    bool plausible = value->text.size > 0;
    for (size_t i = 0; plausible && i < value->text.size; i++)
        plausible = value->text.data[i] && strchr(allowed, value->text.data[i]);
    if (!plausible)
        node.kind = DOCUMENT_STRING;
    return node;
}

/* true and false alone: what yes and 1 mean depends on whom one asks. */
static bool store_boolean(const struct config_value *value, bool *target)
{
    bool is_true = bytes_equal_string(value->text, "true");
    /* `"false"` in quotes is a text, and a text that is not empty would be true elsewhere. */
    bool quoted = value->node && value->node->kind != DOCUMENT_BOOLEAN;
    if (value->node && !quoted)
        is_true = value->node->boolean;
    else if (quoted || (!is_true && !bytes_equal_string(value->text, "false")))
        return false;
    *target = is_true;
    return true;
}

/* Durations in milliseconds, sizes in bytes: units are for people alone. */
static bool store_integer(const struct setting *setting, const struct config_value *value,
                          int64_t *target)
{
    int64_t read = 0;
    bool good = false;
    struct document_node node = as_node(value);
    if (setting->type == SETTING_INTEGER)
        good = document_read_integer(&node, &read);
    else if (setting->type == SETTING_DURATION)
        good = read_quantity(value->text, duration_units, false, &read);
    else
        good = read_quantity(value->text, size_units, true, &read);
    if (!good || !in_range(setting, (double)read))
        return false;
    *target = read;
    return true;
}

static bool store_number(const struct setting *setting, const struct config_value *value,
                         double *target)
{
    double read;
    struct document_node node = as_node(value);
    if (!document_read_number(&node, &read) || !in_range(setting, read))
        return false;
    *target = read;
    return true;
}

static bool store_choice(const struct setting *setting, struct bytes text, int *target)
{
    for (int i = 0; setting->choices[i]; i++) {
        if (bytes_equal_string(text, setting->choices[i])) {
            *target = i;
            return true;
        }
    }
    return false;
}

/* Values live as long as the configuration, wherever they came from. */
static char *keep_text(struct config *config, struct bytes text)
{
    struct bytes copy = arena_copy(&config->arena, text);
    char *kept;
    memcpy(&kept, &copy.data, sizeof(kept)); /* the arena's memory may be written */
    return kept;
}

static bool is_scalar(const struct document_node *node)
{
    return node->kind != DOCUMENT_MAPPING && node->kind != DOCUMENT_SEQUENCE;
}

/* The values between commas, without the blanks around them. */
static size_t split_list(struct config *config, struct bytes text, char **items)
{
    size_t count = 0;
    while (text.size) {
        const uint8_t *comma = memchr(text.data, ',', text.size);
        size_t size = comma ? (size_t)(comma - text.data) : text.size;
        struct bytes item = bytes_of(text.data, size);
        text = bytes_skip(text, comma ? size + 1 : size);
        while (item.size && item.data[0] == ' ')
            item = bytes_skip(item, 1);
        while (item.size && item.data[item.size - 1] == ' ')
            item.size--;
        if (item.size)
            items[count++] = keep_text(config, item);
    }
    return count;
}

/* From a sequence, from one value, or, in a variable, from values with commas between them. */
static bool store_list(struct config *config, const struct setting *setting,
                       const struct config_value *value, struct config_list *target)
{
    const struct document_node *node = value->node;
    bool sequence = node && node->kind == DOCUMENT_SEQUENCE;
    /* At worst each byte is a value: the array is made once, and never too small. */
    size_t most = sequence ? node->count : value->text.size + 1;
    struct config_list list = {.items =
                                   arena_alloc(&config->arena, (most + 1) * sizeof(*list.items))};
    for (size_t i = 0; sequence && i < node->count; i++) {
        const struct document_node *item = node->entries[i].value;
        if (!is_scalar(item) || item->kind == DOCUMENT_NULL)
            return false;
        list.items[list.count++] = keep_text(config, item->text);
    }
    if (!sequence && node && is_scalar(node))
        list.items[list.count++] = keep_text(config, node->text);
    else if (!sequence && !node)
        list.count = split_list(config, value->text, list.items);
    if ((node && node->kind == DOCUMENT_MAPPING) || !in_range(setting, (double)list.count))
        return false;
    *target = list;
    return true;
}

/* The caller keeps a pointer into the document, which is therefore kept as long as the
 * configuration. */
static bool store_tree(struct config *config, const struct config_value *value,
                       const struct document_node **target, struct problems *problems)
{
    if (value->node) {
        *target = value->node;
        return true;
    }
    struct document *document;
    struct error error;
    /* The place is told in words: it is one of the variable's text, not of the file. */
    if (document_parse(value->text, NULL, &document, &error) != STATUS_OK) {
        problems_add(problems, 0, 0, "%s, line %u, column %u: %s", value->source, error.line,
                     error.column, error.text);
        return true;
    }
    document_forget_places(document);
    config->trees = mem_resize(config->trees, config->tree_count + 1, sizeof(*config->trees));
    config->trees[config->tree_count++] = document;
    *target = document_root(document);
    return true;
}

/* The target's type follows from the setting's: offsetof() cannot check that, so that a row and its
 * field have to be changed together. */
static bool store(struct config *config, const struct setting *setting, void *target,
                  const struct config_value *value)
{
    switch (setting->type) {
    case SETTING_STRING:
    case SETTING_SECRET:
        if (value->text.size > config_text_limit(setting) ||
            /* A text in C would end there, and a secret be shorter than its author thinks. */
            memchr(value->text.data, '\0', value->text.size))
            return false;
        *(char **)target = keep_text(config, value->text);
        return true;
    case SETTING_BOOLEAN:
        return store_boolean(value, target);
    case SETTING_INTEGER:
    case SETTING_DURATION:
    case SETTING_SIZE:
        return store_integer(setting, value, target);
    case SETTING_NUMBER:
        return store_number(setting, value, target);
    case SETTING_CHOICE:
        return store_choice(setting, value->text, target);
    case SETTING_LIST:
        return store_list(config, setting, value, target);
    case SETTING_TREE:
        break;
    }
    return false;
}

/* What was given, so that a slip is seen; a secret's value never is. */
static void append_given(const struct setting *setting, const struct config_value *value,
                         struct buffer *out)
{
    if (value->node && !is_scalar(value->node)) {
        buffer_append_format(out, ", not %s", document_kind_text(value->node->kind));
    } else if (is_text_setting(setting) && value->text.size > config_text_limit(setting)) {
        buffer_append_format(out, ", not one of %zu bytes (at most %zu)", value->text.size,
                             config_text_limit(setting));
    } else if (setting->type != SETTING_SECRET) {
        size_t size = value->text.size < 60 ? value->text.size : 60;
        buffer_append_format(out, ", not \"%.*s\"", (int)size, (const char *)value->text.data);
    }
}

/* --- Placeholders that nobody has replaced --- */

/* The `${NAME}`, `${NAME:-default}` that the text begins with; 0: none. */
static size_t placeholder_at(struct bytes text)
{
    if (!bytes_start_with(text, BYTES_LITERAL("${")))
        return 0;
    size_t at = 2;
    while (at < text.size &&
           (text.data[at] == '_' || (text.data[at] >= '0' && text.data[at] <= '9') ||
            ((text.data[at] | 0x20) >= 'a' && (text.data[at] | 0x20) <= 'z')))
        at++;
    if (at == 2 || at == text.size || !strchr(":-?}", text.data[at]))
        return 0;
    const uint8_t *end = memchr(text.data + at, '}', text.size - at);
    return end ? (size_t)(end - text.data) + 1 : 0;
}

/* A secret may hold anything, so that only one that is nothing else counts. */
static struct bytes find_placeholder(struct bytes text, bool whole)
{
    for (struct bytes rest = text; rest.size; rest = bytes_skip(rest, 1)) {
        size_t size = placeholder_at(rest);
        if (size && (!whole || size == text.size))
            return bytes_of(rest.data, size);
        if (whole)
            break;
    }
    return (struct bytes){0};
}

static void tell_placeholder(struct bytes text, bool whole, const char *source,
                             const struct document_node *node, struct problems *problems)
{
    struct bytes found = find_placeholder(text, whole);
    if (found.size)
        problems_add(problems, node ? node->line : 0, node ? node->column : 0,
                     "%s: %.*s stands there as it is: nothing replaces variables here. Leave the "
                     "setting out and set its own SMARTSTACK_ variable",
                     source, (int)(found.size < 60 ? found.size : 60), (const char *)found.data);
}

/* Recursion is as deep as documents may be. */
static void check_value_placeholders(const struct document_node *node, bool whole,
                                     const char *source, struct problems *problems)
{
    if (is_scalar(node))
        tell_placeholder(node->text, whole, source, node, problems);
    for (size_t i = 0; !is_scalar(node) && i < node->count; i++)
        check_value_placeholders(node->entries[i].value, whole, source, problems);
}

void config_apply(struct config *config, const struct setting *setting, void *target,
                  const struct config_value *value, struct problems *problems)
{
    /* Nothing written is nothing said: the default stays. */
    if ((value->node && value->node->kind == DOCUMENT_NULL) ||
        (is_text_setting(setting) && value->text.size == 0 &&
         (!value->node || is_scalar(value->node))))
        return;
    /* Trees have passwords among their values. */
    bool whole = setting->type == SETTING_SECRET || setting->type == SETTING_TREE;
    if (value->node)
        check_value_placeholders(value->node, whole, value->source, problems);
    else
        tell_placeholder(value->text, whole, value->source, NULL, problems);
    if (setting->type == SETTING_TREE) {
        (void)store_tree(config, value, target, problems);
        return;
    }
    bool fits = !value->node || is_scalar(value->node) || setting->type == SETTING_LIST;
    if (fits && store(config, setting, target, value))
        return;
    config->refused =
        mem_resize(config->refused, config->refused_count + 1, sizeof(*config->refused));
    config->refused[config->refused_count++] = setting;
    auto_buffer struct buffer text = {0};
    buffer_append_format(&text, "%s: expected ", value->source);
    config_describe(setting, &text);
    append_given(setting, value, &text);
    problems_add(problems, value->node ? value->node->line : 0,
                 value->node ? value->node->column : 0, "%.*s", BYTES_PRINT(buffer_peek(&text)));
}
