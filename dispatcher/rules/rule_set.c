/* A rules file as one immutable set: the rules, the fields that they read, and the matcher of their
 * patterns.
 *
 * The set is made whole or not at all. A file with any problem gives no set, so that what runs is
 * always a file that somebody wrote, and never the part of it that could be read. Reading goes on
 * after a problem only to tell the next one.
 *
 * Rules that are not enabled are read and checked like the others but are not in the matcher, so
 * there are two numberings: the place in the file (`index`), by which everything outside knows a
 * rule, and the matcher's number.
 *
 *     file      0: a     1: b (not enabled)     2: c
 *     matcher   0: a                            1: c
 *
 * Invariant: both ascend together, so what the matcher lists in its order is in the order of the
 * file. Nothing changes after the set is parsed: it may be read while the next one is made.
 *
 * Rules that are only tried (`shadow`) are in a set within the set: whoever does not ask for them
 * cannot meet them, and whatever their patterns and templates cost is not on the others' account. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "mem.h"
#include "rule_set_private.h"

#define NOT_ENABLED UINT32_MAX

enum { PATTERN_ERRORS_LIMIT = 16 /* told of one pattern */ };

static const struct document_limits file_limits = {
    .text_bytes = RULES_FILE_SIZE_LIMIT, .nodes = 4000000, .depth = 120};

/* Names, to find the rule of one. */
struct name_entry {
    UT_hash_handle hh;
    const struct rule *rule;
};

/* In whose place a rule is tried. It is asked where the other is, and samples the same events. */
static void find_twin(const struct rule_set *set, const struct name_entry *table, struct rule *rule,
                      struct problems *problems)
{
    const struct name_entry *found = NULL;
    if (rule->instead_of.size == 0)
        return;
    HASH_FIND(hh, table, rule->instead_of.data, rule->instead_of.size, found);
    if (!found || found->rule < set->rules || found->rule >= set->rules + set->count) {
        problems_add(problems, rule->line, rule->column,
                     "shadow names no rule that acts: there is none called %.*s",
                     BYTES_PRINT(rule->instead_of));
        return;
    }
    rule->twin = (uint32_t)(found->rule - set->rules);
    rule->place = rule->twin;
    rule->sample_salt = found->rule->name;
}

/* `rules`: all of the file, in its order. By a table, since there may be as many as RULES_LIMIT. */
static void check_rule_names(struct rule_set *set, struct rule *const *rules, size_t count,
                             struct problems *problems)
{
    struct name_entry *table = NULL;
    struct name_entry *entries = mem_alloc(count * sizeof(struct name_entry) + 1);
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = rules[i];
        struct name_entry *found = NULL;
        if (rule->name.size == 0)
            continue;
        HASH_FIND(hh, table, rule->name.data, rule->name.size, found);
        if (found) {
            problems_add(problems, rule->line, rule->column,
                         "a second rule called %.*s (the first is in line %u)",
                         BYTES_PRINT(rule->name), found->rule->line);
            continue;
        }
        entries[i].rule = rule;
        HASH_ADD_KEYPTR(hh, table, rule->name.data, rule->name.size, &entries[i]);
    }
    for (size_t i = 0; i < count; i++)
        find_twin(set, table, rules[i], problems);
    HASH_CLEAR(hh, table);
    free(entries);
}

/* A rule that is not enabled is checked as well, but not added: it must be right on the day when
 * it is switched on. It is checked by a builder of its own, which is thrown away. */
static enum status read_pattern(struct matcher_builder *builder, struct bytes json, bool enabled,
                                unsigned *number)
{
    if (enabled)
        return matcher_builder_add(builder, json, number, NULL);
    unsigned unused;
    const struct pattern_limits limits = PATTERN_LIMITS_DEFAULT;
    struct matcher_builder *checker = matcher_builder_new(&limits);
    enum status status = matcher_builder_add(checker, json, &unused, NULL);
    matcher_builder_free(checker);
    return status;
}

/* Tells all that is wrong with a pattern, where it stands in the document. The pattern is read a
 * second time, which tells more than the first error; a file with a mistake may take longer. */
static void tell_pattern(struct rule_reader *reader, struct bytes json,
                         const struct document_map *map)
{
    const struct pattern_limits limits = PATTERN_LIMITS_DEFAULT;
    struct pattern_error wrong[PATTERN_ERRORS_LIMIT];
    size_t count = pattern_check(json, &limits, wrong, PATTERN_ERRORS_LIMIT);
    assert(count > 0); /* adding it has failed */
    for (size_t i = 0; i < count; i++) {
        unsigned line;
        unsigned column;
        document_map_find(map, wrong[i].offset, &line, &column);
        problems_add(reader->problems, line, column, "when: %s", wrong[i].text);
    }
}

/* A key twice is legal in a pattern, and then the last one counts; nobody means that. */
static void refuse_duplicates(struct rule_reader *reader, const struct document_node *node)
{
    if (node->kind == DOCUMENT_MAPPING)
        document_check_keys(node, NULL, "when", reader->problems);
    for (size_t i = 0; i < node->count; i++)
        refuse_duplicates(reader, node->entries[i].value);
}

/* The pattern goes to the matcher as JSON text; where it is wrong, the document knows the place. */
static void add_pattern(struct rule_reader *reader, struct matcher_builder *builder,
                        const struct document_node *node, unsigned index)
{
    const struct document_node *when = document_find(node, "when");
    struct rule_set *set = reader->set;
    auto_buffer struct buffer json = {0};
    auto_document_map struct document_map map = {0};
    struct error error = {0};
    if (!when) {
        problems_add(reader->problems, node->line, node->column,
                     "a rule without `when` (an event pattern)");
        return;
    }
    refuse_duplicates(reader, when);
    if (document_emit_json(reader->document, when, &json, &map, &error) != STATUS_OK) {
        problems_add_error(reader->problems, &error);
        return;
    }
    unsigned number = NOT_ENABLED;
    if (read_pattern(builder, buffer_peek(&json), set->rules[index].enabled, &number) !=
        STATUS_OK) {
        tell_pattern(reader, buffer_peek(&json), &map);
        return;
    }
    assert(index < set->count && (number == NOT_ENABLED || number <= index));
    set->number_of_rule[index] = number;
    if (number == NOT_ENABLED)
        return;
    set->rule_of_number[number] = index;
    set->rules[index].pattern = arena_copy(&set->arena, buffer_peek(&json));
}

/* The node of the list, or NULL with at least one problem told. */
static const struct document_node *find_rules(struct rule_reader *reader,
                                              const struct document_node *root)
{
    struct problems *problems = reader->problems;
    static const char *const keys[] = {"version", "description", "rules", NULL};
    document_check_keys(root, keys, "a rules file", problems);
    if (root->kind != DOCUMENT_MAPPING)
        return NULL;
    const struct document_node *version = document_find(root, "version");
    int64_t number;
    if (version && (!document_read_integer(version, &number) || number != 1))
        problems_add(problems, version->line, version->column, "version is 1");
    const struct document_node *description = document_find(root, "description");
    if (description)
        rule_read_text(reader, description, "description", RULE_TEXT_LIMIT);
    const struct document_node *rules = document_find(root, "rules");
    if (!rules) {
        problems_add(problems, root->line, root->column, "a rules file has `rules`: a list");
    } else if (rules->kind != DOCUMENT_SEQUENCE) {
        problems_add(problems, rules->line, rules->column, "rules is a list, not %s",
                     document_kind_text(rules->kind));
        return NULL;
    } else if (rules->count > RULES_LIMIT) {
        problems_add(problems, rules->line, rules->column, "more than %d rules", RULES_LIMIT);
        return NULL;
    }
    return rules;
}

/* First of all fields, so that their slots are the constants EVENT_FIELD_..., and the pipeline
 * reads them without a look-up. */
static void add_event_fields(struct field_set *fields)
{
    static const char *const paths[] = {
#define X(name, path) path,
        EVENT_FIELDS(X)
#undef X
    };
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        unsigned slot = 0;
        enum status status = field_set_add(fields, bytes_of_string(paths[i]), &slot);
        assert(status == STATUS_OK && slot == i);
    }
}

static void make_room(struct rule_set *set, size_t count)
{
    assert(count <= RULES_LIMIT && !set->rules);
    set->rules = arena_alloc(&set->arena, count * sizeof(struct rule));
    set->number_of_rule = arena_raw(&set->arena, count * sizeof(uint32_t));
    set->rule_of_number = arena_raw(&set->arena, count * sizeof(uint32_t));
}

/* Into the reader's set. All rules are read whatever is wrong with those before: an operator mends a
 * file in one round. */
static struct rule *read_one(struct rule_reader *reader, struct matcher_builder *builder,
                             const struct document_node *node)
{
    struct rule_set *set = reader->set;
    unsigned index = set->count++;
    set->number_of_rule[index] = NOT_ENABLED;
    rule_read(reader, node, &set->rules[index]);
    if (node->kind == DOCUMENT_MAPPING)
        add_pattern(reader, builder, node, index);
    return &set->rules[index];
}

static size_t count_shadows(const struct document_node *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += rule_is_shadow(list->entries[i].value);
    return count;
}

static struct rule_set *rule_set_new(const char *revision)
{
    struct rule_set *set = mem_new(struct rule_set);
    memcpy(set->revision, revision, sizeof(set->revision));
    set->fields = field_set_new();
    add_event_fields(set->fields);
    return set;
}

/* Each into its set. The builders are freed by what is built of them, also with problems. */
static void read_rules(struct rule_reader *reader, const struct document_node *list)
{
    struct rule_set *set = reader->set;
    size_t shadow_count = count_shadows(list);
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    struct matcher_builder *tried = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    struct rule **rules = mem_alloc(list->count * sizeof(struct rule *) + 1);
    make_room(set, list->count - shadow_count);
    if (shadow_count > 0) {
        set->shadows = rule_set_new(set->revision);
        make_room(set->shadows, shadow_count);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct document_node *node = list->entries[i].value;
        bool is_shadow = rule_is_shadow(node);
        reader->set = is_shadow ? set->shadows : set;
        rules[i] = read_one(reader, is_shadow ? tried : builder, node);
        if (is_shadow)
            rules[i]->place = set->count;
    }
    reader->set = set;
    check_rule_names(set, rules, list->count, reader->problems);
    set->matcher = matcher_build(builder);
    if (set->shadows)
        set->shadows->matcher = matcher_build(tried);
    else
        matcher_builder_free(tried);
    free(rules);
    assert(matcher_rule_count(set->matcher) <= set->count);
}

/* The revision is a hash of the file's text: the same text is the same revision on every
 * dispatcher, and a notification says by which rules it was made. */
enum status rule_set_parse(struct bytes text, const struct layout *layout, struct rule_set **set,
                           struct problems *problems)
{
    struct document *document = NULL;
    struct error error = {0};
    if (document_parse(text, &file_limits, &document, &error) != STATUS_OK) {
        problems_add_error(problems, &error);
        return STATUS_INVALID;
    }
    size_t before = problems->count;
    char revision[sizeof(((struct rule_set *)NULL)->revision)];
    snprintf(revision, sizeof(revision), "%016" PRIx64,
             (uint64_t)XXH3_64bits(text.data, text.size));
    struct rule_set *made = rule_set_new(revision);
    struct rule_reader reader = {
        .set = made, .document = document, .layout = layout, .problems = problems};
    const struct document_node *list = find_rules(&reader, document_root(document));
    if (list)
        read_rules(&reader, list);
    document_free(document);
    if (problems->count > before) {
        rule_set_free(made);
        return STATUS_INVALID;
    }
    assert(made->matcher && made->fields);
    *set = made;
    return STATUS_OK;
}

/* Two partitions of the input have no order between them, so which of two states of one item
 * comes last would be chance, and another at each reading of the lane. */
static void warn_of_item(const struct rule *rule, const struct template *item,
                         struct problems *warnings)
{
    if (!item || template_names(item, EVENT_FIELD_TASK))
        return;
    problems_add(warnings, rule->line, rule->column,
                 "warning: rule %.*s: state %.*s does not name taskId: all events of an item must "
                 "come by one partition of the input",
                 BYTES_PRINT(rule->name), BYTES_PRINT(template_source(item)));
}

static void warn_of_stars(const struct rule *rule, struct problems *warnings)
{
    size_t stars = rule->enabled ? pattern_stars(rule->pattern) : 0;
    if (stars > PATTERN_PORTABLE_STARS)
        problems_add(warnings, rule->line, rule->column,
                     "warning: rule %.*s: %zu '*' in the wildcards of one field: EventBridge may "
                     "refuse more than %d as too complex",
                     BYTES_PRINT(rule->name), stars, PATTERN_PORTABLE_STARS);
}

void rule_set_warn(const struct rule_set *set, struct problems *warnings)
{
    for (unsigned i = 0; i < set->count; i++) {
        const struct rule *rule = &set->rules[i];
        warn_of_stars(rule, warnings);
        for (size_t k = 0; k < rule->notify_count; k++)
            warn_of_item(rule, rule->notify[k].item, warnings);
        if (rule->review)
            warn_of_item(rule, rule->review->item, warnings);
    }
    if (set->shadows)
        rule_set_warn(set->shadows, warnings);
}

/* A kind that is itself a template may be any. */
static uint64_t kind_of_room(const struct template *room, const struct layout *layout)
{
    struct bytes source = template_source(room);
    size_t size = 0;
    while (size < source.size && source.data[size] != ':' && source.data[size] != '{')
        size++;
    assert(size < source.size); /* a room without a colon was refused */
    return source.data[size] == '{' ? UINT64_MAX
                                    : layout_kind_bit(layout, bytes_of(source.data, size));
}

/* Where alerts go: draft.c. */
uint64_t rule_set_review_kinds(const struct layout *layout)
{
    static const char *const of_reviews[] = {"review", "task", "user"};
    uint64_t kinds = 0;
    for (size_t i = 0; i < sizeof(of_reviews) / sizeof(of_reviews[0]); i++)
        kinds |= layout_kind_bit(layout, bytes_of_string(of_reviews[i]));
    return kinds;
}

uint64_t rule_set_item_kinds(const struct rule_set *set, const struct layout *layout)
{
    uint64_t kinds = 0;
    for (unsigned i = 0; i < set->count; i++) {
        const struct rule *rule = &set->rules[i];
        if (!rule->enabled)
            continue;
        for (size_t k = 0; k < rule->notify_count; k++)
            for (size_t n = 0; rule->notify[k].item && n < rule->notify[k].room_count; n++)
                kinds |= kind_of_room(rule->notify[k].rooms[n], layout);
        if (rule->review && rule->review->item)
            kinds |= rule_set_review_kinds(layout);
    }
    return kinds;
}

/* Also of a set that was half read: what is not there yet is NULL or counts nothing. */
void rule_set_free(struct rule_set *set)
{
    if (!set)
        return;
    for (unsigned i = 0; i < set->count; i++)
        rule_deinit(&set->rules[i]);
    rule_set_free(set->shadows);
    field_set_free(set->fields);
    matcher_free(set->matcher);
    arena_deinit(&set->arena);
    free(set);
}

const struct rule_set *rule_set_shadows(const struct rule_set *set)
{
    return set->shadows;
}

struct bytes rule_set_revision(const struct rule_set *set)
{
    return bytes_of_string(set->revision);
}

unsigned rule_set_count(const struct rule_set *set)
{
    return set->count;
}

const struct rule *rule_set_at(const struct rule_set *set, unsigned index)
{
    assert(index < set->count);
    return &set->rules[index];
}

const struct field_set *rule_set_fields(const struct rule_set *set)
{
    return set->fields;
}

const struct matcher *rule_set_matcher(const struct rule_set *set)
{
    return set->matcher;
}

unsigned rule_set_rule_of(const struct rule_set *set, uint32_t matcher_number)
{
    assert(matcher_number < matcher_rule_count(set->matcher));
    return set->rule_of_number[matcher_number];
}

/* False: not enabled, so the matcher does not know the rule. */
bool rule_set_number_of(const struct rule_set *set, unsigned index, uint32_t *number)
{
    assert(index < set->count);
    if (set->number_of_rule[index] == NOT_ENABLED)
        return false;
    *number = set->number_of_rule[index];
    return true;
}

/* The salt is a name's hash, so that a rule's choice does not depend on where it stands. 53
 * bits of the hash are a double from 0 to below 1: a rate of 0 takes nothing, of 1 all. */
bool rule_samples(const struct rule *rule, struct bytes subject)
{
    assert(!rule->sampled || (rule->sample_rate >= 0 && rule->sample_rate <= 1));
    if (!rule->sampled)
        return true;
    XXH64_hash_t salt = XXH3_64bits(rule->sample_salt.data, rule->sample_salt.size);
    XXH64_hash_t hash = XXH3_64bits_withSeed(subject.data, subject.size, salt);
    return (double)(hash >> 11) * 0x1p-53 < rule->sample_rate;
}
