#include "pattern_naive.h"

#include <arpa/inet.h>
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "mem.h"

/* --- a document ---------------------------------------------------------------------------- */

struct node {
    enum json_token kind; /* JSON_OBJECT … JSON_NULL */
    char *text;           /* strings decoded, numbers as spelled */
    char **keys;          /* of an object */
    struct node **items;  /* of an object or array */
    size_t count;
};

static struct node *read_node(struct json_scanner *scanner, enum json_token token)
{
    struct node *node = mem_new(struct node);
    node->kind = token;
    if (token == JSON_STRING) {
        node->text = mem_alloc(scanner->raw.size + 1);
        (void)json_unescape(scanner->raw, (uint8_t *)node->text);
    } else if (token == JSON_NUMBER) {
        node->text = mem_string(scanner->raw);
    }
    if (token != JSON_OBJECT && token != JSON_ARRAY)
        return node;
    for (;;) {
        token = json_next(scanner);
        assert(token != JSON_ERROR);
        if (token == JSON_OBJECT_END || token == JSON_ARRAY_END)
            return node;
        node->keys = mem_resize(node->keys, node->count + 1, sizeof(void *));
        node->items = mem_resize(node->items, node->count + 1, sizeof(void *));
        node->keys[node->count] = NULL;
        if (token == JSON_KEY) {
            node->keys[node->count] = mem_alloc(scanner->raw.size + 1);
            (void)json_unescape(scanner->raw, (uint8_t *)node->keys[node->count]);
            token = json_next(scanner);
        }
        node->items[node->count++] = read_node(scanner, token);
    }
}

static struct node *read_text(struct bytes text)
{
    struct json_scanner scanner;
    json_init(&scanner, text, JSON_DEPTH_MAX);
    return read_node(&scanner, json_next(&scanner));
}

static void free_node(struct node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        free(node->keys[i]);
        free_node(node->items[i]);
    }
    free(node->keys);
    free(node->items);
    free(node->text);
    free(node);
}

/* --- the event, flat ----------------------------------------------------------------------- */

enum { DEPTH_MAX = 64, VALUES_MAX = 4096, FIELDS_MAX = 64, ALTERNATIVES_MAX = 1000 };

struct membership {
    int arrays[DEPTH_MAX], indexes[DEPTH_MAX];
    size_t count;
};

struct flat {
    char path[512];
    const struct node *node;
    struct membership membership;
};

static struct flat values[VALUES_MAX];
static size_t value_count;
static int array_count;

static void join(char *out, size_t size, const char *path, const char *key, bool root)
{
    int length = snprintf(out, size, "%s%s%s", path, root ? "" : ".", key);
    assert(length >= 0 && (size_t)length < size);
}

static void flatten(const struct node *node, const char *path, bool root,
                    const struct membership *membership)
{
    int array = node->kind == JSON_ARRAY ? array_count++ : -1;
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        char inner[512];
        struct membership within = *membership;
        bool container = item->kind == JSON_OBJECT || item->kind == JSON_ARRAY;
        if (node->kind == JSON_OBJECT) {
            join(inner, sizeof(inner), path, node->keys[i], root);
        } else {
            join(inner, sizeof(inner), path, "", true);
            if (container) {
                assert(within.count < DEPTH_MAX);
                within.arrays[within.count] = array;
                within.indexes[within.count++] = (int)i;
            }
        }
        if (container) {
            flatten(item, inner, false, &within);
            continue;
        }
        assert(value_count < VALUES_MAX);
        struct flat *value = &values[value_count++];
        join(value->path, sizeof(value->path), inner, "", true);
        value->node = item;
        value->membership = within;
    }
}

/* --- numbers ------------------------------------------------------------------------------- */

/* "digits e exponent" of a literal without zeros at either end of the digits. */
static void normalize(const char *literal, char *out, size_t size)
{
    char digits[1200];
    size_t count = 0;
    long exponent = 0;
    bool fraction = false;
    const char *at = literal + (*literal == '-');
    for (; *at && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        exponent -= fraction;
        digits[count++] = *at;
    }
    if (*at)
        exponent += strtol(at + 1, NULL, 10);
    while (count > 0 && digits[count - 1] == '0') {
        count--;
        exponent++;
    }
    size_t zeros = 0;
    while (zeros < count && digits[zeros] == '0')
        zeros++;
    if (zeros == count)
        (void)snprintf(out, size, "0");
    else
        (void)snprintf(out, size, "%.*se%ld", (int)(count - zeros), digits + zeros, exponent);
}

static bool comparable(const char *literal)
{
    char wanted[1300], shortest[64], normal[1300];
    double value = fabs(strtod(literal, NULL));
    normalize(literal, wanted, sizeof(wanted));
    if (strcmp(wanted, "0") == 0)
        return true;
    if (isinf(value) || value == 0)
        return false;
    for (int precision = 1; precision <= 17; precision++) {
        (void)snprintf(shortest, sizeof(shortest), "%.*e", precision - 1, value);
        if (strtod(shortest, NULL) == value)
            break;
    }
    normalize(shortest, normal, sizeof(normal));
    return strcmp(normal, wanted) == 0;
}

static bool same_number(const char *a, const char *b)
{
    if (comparable(a) && comparable(b))
        return strtod(a, NULL) == strtod(b, NULL);
    return strcmp(a, b) == 0;
}

/* --- strings ------------------------------------------------------------------------------- */

static bool parse_address(const char *text, unsigned char *out, int *family)
{
    for (*family = AF_INET;; *family = AF_INET6) {
        if (inet_pton(*family, text, out) == 1)
            return true;
        if (*family == AF_INET6)
            return false;
    }
}

static bool in_block(const char *block, const char *text)
{
    unsigned char network[16] = {0}, address[16] = {0};
    int family = 0, other = 0;
    char *copy = mem_string(bytes_of_string(block));
    char *slash = strchr(copy, '/');
    unsigned bits = 128;
    if (slash) {
        *slash = '\0';
        bits = (unsigned)atoi(slash + 1);
    }
    bool good = parse_address(copy, network, &family) && parse_address(text, address, &other);
    free(copy);
    if (!good || family != other)
        return false;
    for (unsigned i = 0; i < bits && i < (family == AF_INET ? 32 : 128); i++)
        if ((network[i / 8] ^ address[i / 8]) & (0x80 >> i % 8))
            return false;
    return true;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *text, const char *suffix)
{
    size_t size = strlen(text), end = strlen(suffix);
    return size >= end && strcmp(text + size - end, suffix) == 0;
}

/* How each character may appear: ASCII letters, and the few others that the generator knows. */
static const char *const folds[][3] = {
    {"ß", "ß", "SS"}, {"é", "é", "É"}, {"É", "é", "É"}, {"σ", "σ", "Σ"},  {"ς", "ς", "Σ"},
    {"Σ", "σ", "Σ"},  {"ı", "ı", "I"}, {"İ", "i̇", "İ"}, {"ﬁ", "ﬁ", "FI"}, {"😀", "😀", "😀"},
};

static bool fold_front(const char *pattern, const char *text, bool whole)
{
    if (!*pattern)
        return !whole || !*text;
    for (size_t i = 0; i < sizeof(folds) / sizeof(folds[0]); i++)
        for (size_t way = 1; way < 3 && starts(pattern, folds[i][0]); way++)
            if (starts(text, folds[i][way]) &&
                fold_front(pattern + strlen(folds[i][0]), text + strlen(folds[i][way]), whole))
                return true;
    char letter = *pattern;
    char upper = (char)(letter >= 'a' && letter <= 'z' ? letter - 32 : letter);
    char lower = (char)(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
    return (*text == upper || *text == lower) && fold_front(pattern + 1, text + 1, whole);
}

static bool fold_back(const char *pattern, const char *text)
{
    for (;; text++) {
        if (fold_front(pattern, text, true))
            return true;
        if (!*text)
            return false;
    }
}

static bool wild(const char *pattern, const char *text)
{
    if (!*pattern)
        return !*text;
    if (*pattern == '*')
        return wild(pattern + 1, text) || (*text && wild(pattern, text + 1));
    if (*pattern == '\\')
        pattern++;
    return *pattern == *text && wild(pattern + 1, text + 1);
}

/* --- matchers ------------------------------------------------------------------------------ */

static bool operator_holds(const char *name, const struct node *operand, const char *text)
{
    if (operand->kind == JSON_OBJECT && strcmp(name, "prefix") == 0)
        return fold_front(operand->items[0]->text, text, false);
    if (operand->kind == JSON_OBJECT)
        return fold_back(operand->items[0]->text, text);
    if (strcmp(name, "prefix") == 0)
        return starts(text, operand->text);
    if (strcmp(name, "suffix") == 0)
        return ends(text, operand->text);
    if (strcmp(name, "equals-ignore-case") == 0)
        return fold_front(operand->text, text, true);
    if (strcmp(name, "wildcard") == 0)
        return wild(operand->text, text);
    if (strcmp(name, "cidr") == 0)
        return in_block(operand->text, text);
    assert(strcmp(name, "exactly") == 0);
    return strcmp(operand->text, text) == 0;
}

static bool numeric_holds(const struct node *operand, const char *literal)
{
    double value = strtod(literal, NULL);
    if (isinf(value))
        return false;
    for (size_t i = 0; i < operand->count; i += 2) {
        const char *comparison = operand->items[i]->text;
        double bound = strtod(operand->items[i + 1]->text, NULL);
        bool holds = strcmp(comparison, "<") == 0    ? value < bound
                     : strcmp(comparison, "<=") == 0 ? value <= bound
                     : strcmp(comparison, ">") == 0  ? value > bound
                     : strcmp(comparison, ">=") == 0
                         ? value >= bound
                         : same_number(literal, operand->items[i + 1]->text);
        if (!holds)
            return false;
    }
    return true;
}

static bool excluded(const struct node *operand, const struct node *value)
{
    if (operand->kind == JSON_ARRAY) {
        for (size_t i = 0; i < operand->count; i++)
            if (excluded(operand->items[i], value))
                return true;
        return false;
    }
    if (operand->kind == JSON_NUMBER)
        return value->kind == JSON_NUMBER && comparable(value->text) &&
               same_number(operand->text, value->text);
    if (operand->kind == JSON_STRING)
        return value->kind == JSON_STRING && strcmp(operand->text, value->text) == 0;
    const struct node *inner = operand->items[0];
    if (value->kind != JSON_STRING)
        return false;
    if (inner->kind == JSON_STRING)
        return operator_holds(operand->keys[0], inner, value->text);
    for (size_t i = 0; i < inner->count; i++)
        if (operator_holds(operand->keys[0], inner->items[i], value->text))
            return true;
    return false;
}

static bool is_absence(const struct node *matcher)
{
    return matcher->kind == JSON_OBJECT && strcmp(matcher->keys[0], "exists") == 0 &&
           matcher->items[0]->kind == JSON_FALSE;
}

static bool holds_for(const struct node *matcher, const struct node *value)
{
    if (matcher->kind != JSON_OBJECT) {
        unsigned char unused[16];
        int family = 0;
        if (matcher->kind != value->kind)
            return false;
        if (matcher->kind == JSON_NUMBER)
            return same_number(matcher->text, value->text);
        if (matcher->kind != JSON_STRING)
            return true;
        return parse_address(matcher->text, unused, &family)
                   ? in_block(matcher->text, value->text)
                   : strcmp(matcher->text, value->text) == 0;
    }
    const char *name = matcher->keys[0];
    const struct node *operand = matcher->items[0];
    if (strcmp(name, "exists") == 0)
        return operand->kind == JSON_TRUE;
    if (strcmp(name, "anything-but") == 0)
        return !excluded(operand, value);
    if (strcmp(name, "numeric") == 0)
        return value->kind == JSON_NUMBER && numeric_holds(operand, value->text);
    return value->kind == JSON_STRING && operator_holds(name, operand, value->text);
}

/* --- the pattern --------------------------------------------------------------------------- */

struct pattern_field {
    char path[512];
    const struct node *leaf;
};

struct alternative {
    struct pattern_field fields[FIELDS_MAX];
    size_t count;
};

struct alternatives {
    struct alternative *items;
    size_t count;
};

static void set_field(struct alternative *alternative, const char *path, const struct node *leaf)
{
    size_t i = 0;
    while (i < alternative->count && strcmp(alternative->fields[i].path, path) != 0)
        i++;
    assert(i < FIELDS_MAX);
    join(alternative->fields[i].path, sizeof(alternative->fields[i].path), path, "", true);
    alternative->fields[i].leaf = leaf;
    if (i == alternative->count)
        alternative->count++;
}

static struct alternatives copy_of(struct alternatives from)
{
    assert(from.count > 0);
    struct alternatives copy = {mem_resize(NULL, from.count, sizeof(struct alternative)),
                                from.count};
    memcpy(copy.items, from.items, from.count * sizeof(struct alternative));
    return copy;
}

/* Moves `more` behind `all`. */
static void append(struct alternatives *all, struct alternatives more)
{
    assert(more.count > 0 && all->count + more.count <= ALTERNATIVES_MAX);
    all->items = mem_resize(all->items, all->count + more.count, sizeof(struct alternative));
    memcpy(all->items + all->count, more.items, more.count * sizeof(struct alternative));
    all->count += more.count;
    free(more.items);
}

static struct alternatives expand(struct alternatives from, const struct node *object,
                                  const char *path, bool root)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct node *item = object->items[i];
        char inner[512];
        if (strcmp(object->keys[i], "$or") == 0) {
            struct alternatives all = {0};
            for (size_t branch = 0; branch < item->count; branch++)
                append(&all, expand(copy_of(from), item->items[branch], path, root));
            free(from.items);
            from = all;
            continue;
        }
        join(inner, sizeof(inner), path, object->keys[i], root);
        if (item->kind == JSON_OBJECT)
            from = expand(from, item, inner, false);
        else
            for (size_t k = 0; k < from.count; k++)
                set_field(&from.items[k], inner, item);
    }
    return from;
}

static bool consistent(const struct membership *a, const struct membership *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            if (a->arrays[i] == b->arrays[k] && a->indexes[i] != b->indexes[k])
                return false;
    return true;
}

static const struct flat *chosen[FIELDS_MAX];

static bool agrees(const struct flat *value, size_t chosen_count)
{
    for (size_t i = 0; i < chosen_count; i++)
        if (chosen[i] && !consistent(&value->membership, &chosen[i]->membership))
            return false;
    return true;
}

static bool choose(const struct alternative *alternative, size_t field)
{
    if (field == alternative->count)
        return true;
    const struct pattern_field *here = &alternative->fields[field];
    for (size_t m = 0; m < here->leaf->count; m++) {
        const struct node *matcher = here->leaf->items[m];
        bool absent = true;
        for (size_t i = 0; i < value_count; i++) {
            const struct flat *value = &values[i];
            if (strcmp(value->path, here->path) != 0 || !agrees(value, field))
                continue;
            absent = false;
            if (is_absence(matcher) || !holds_for(matcher, value->node))
                continue;
            chosen[field] = value;
            if (choose(alternative, field + 1))
                return true;
        }
        chosen[field] = NULL;
        if (is_absence(matcher) && absent && choose(alternative, field + 1))
            return true;
    }
    return false;
}

static int order_fields(const void *a, const void *b)
{
    return strcmp(((const struct pattern_field *)a)->path, ((const struct pattern_field *)b)->path);
}

bool naive_match(struct bytes pattern, struct bytes event)
{
    struct node *rule = read_text(pattern), *document = read_text(event);
    struct membership none = {0};
    value_count = 0;
    array_count = 0;
    flatten(document, "", true, &none);
    struct alternatives alternatives = {mem_new(struct alternative), 1};
    alternatives = expand(alternatives, rule, "", true);
    bool matched = false;
    for (size_t i = 0; i < alternatives.count && !matched; i++) {
        struct alternative *alternative = &alternatives.items[i];
        qsort(alternative->fields, alternative->count, sizeof(struct pattern_field), order_fields);
        matched = choose(alternative, 0);
    }
    free(alternatives.items);
    free_node(rule);
    free_node(document);
    return matched;
}
