/* Checks of a mapping's keys: those that stand there twice, and those that nobody knows. YAML
 * forbids the first and libyaml does not look; the second is nearly always a slip of the pen, which
 * would otherwise show as a setting without effect.
 *
 * By sorting and not by comparing each with each: a list of tenants has thousands. */
#include <stdlib.h>

#include "document.h"
#include "mem.h"

static int compare_keys(const void *left, const void *right)
{
    const struct document_node *a = *(const struct document_node *const *)left;
    const struct document_node *b = *(const struct document_node *const *)right;
    size_t common = a->text.size < b->text.size ? a->text.size : b->text.size;
    int order = common ? memcmp(a->text.data, b->text.data, common) : 0;
    if (order)
        return order;
    if (a->text.size != b->text.size)
        return a->text.size < b->text.size ? -1 : 1;
    /* Equal keys in the order of the text. */
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* The keys, equal ones side by side. The caller frees the array. */
static const struct document_node **sorted_keys(const struct document_node *mapping)
{
    const struct document_node **keys = mem_resize(NULL, mapping->count, sizeof(*keys));
    for (size_t i = 0; i < mapping->count; i++)
        keys[i] = mapping->entries[i].key;
    qsort(keys, mapping->count, sizeof(*keys), compare_keys);
    return keys;
}

const struct document_node *document_find_duplicate(const struct document_node *mapping)
{
    if (mapping->kind != DOCUMENT_MAPPING || mapping->count < 2)
        return NULL;
    const struct document_node **keys = sorted_keys(mapping);
    const struct document_node *found = NULL;
    for (size_t i = 1; i < mapping->count; i++) {
        if (!bytes_equal(keys[i - 1]->text, keys[i]->text))
            continue;
        /* The first one in the file, and not in the alphabet: it is where the author looks. */
        if (!found || keys[i]->line < found->line ||
            (keys[i]->line == found->line && keys[i]->column < found->column))
            found = keys[i];
    }
    free(keys);
    return found;
}

static bool is_among(struct bytes key, const char *const *names)
{
    for (; *names; names++) {
        if (bytes_equal_string(key, *names))
            return true;
    }
    return false;
}

/* "a, b or c" */
static void append_names(struct buffer *out, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        buffer_append_format(out, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    buffer_append_byte(out, '\0');
}

bool document_check_keys(const struct document_node *mapping, const char *const *names,
                         const char *what, struct problems *problems)
{
    if (mapping->kind != DOCUMENT_MAPPING) {
        problems_add(problems, mapping->line, mapping->column, "%s: expected a mapping, not %s",
                     what, document_kind_text(mapping->kind));
        return false;
    }
    bool good = true;
    auto_buffer struct buffer expected = {0};
    for (size_t i = 0; names && i < mapping->count; i++) {
        const struct document_node *key = mapping->entries[i].key;
        if (is_among(key->text, names))
            continue;
        if (buffer_size(&expected) == 0)
            append_names(&expected, names);
        problems_add(problems, key->line, key->column, "%s: unknown key \"%.*s\"; expected %s",
                     what, (int)(key->text.size < 100 ? key->text.size : 100),
                     (const char *)key->text.data, (const char *)buffer_peek(&expected).data);
        good = false;
    }
    const struct document_node **keys = sorted_keys(mapping);
    for (size_t i = 1; i < mapping->count; i++) {
        if (!bytes_equal(keys[i - 1]->text, keys[i]->text))
            continue;
        problems_add(problems, keys[i]->line, keys[i]->column,
                     "%s: the key \"%.*s\" stands here twice (first in line %u)", what,
                     (int)(keys[i]->text.size < 100 ? keys[i]->text.size : 100),
                     (const char *)keys[i]->text.data, keys[i - 1]->line);
        good = false;
    }
    free(keys);
    return good;
}
