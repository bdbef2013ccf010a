/* Facts of values: what a value is, as far as look-ups tell.
 *
 * Every test that a look-up can answer is a fact with a number: the same test of the same field in
 * a thousand rules is one fact, found once for a value. Three ways to find them:
 *
 *     hashed    text, folded text, number, spelling     one look-up in fact_slots
 *     nested    prefix, suffix, block                   a binary search, then up the parents
 *     single    true, false, null, exists               a number in the field
 *
 * A test that is none of these (a range, a wildcard inside a text, anything-but) is a residual, and
 * is put to each value by itself (matcher_condition.c).
 *
 * Invariant: a fact of a field is of this field alone. Facts of one value are a run of the
 * scratch's list. */
#include <assert.h>
#include <stdlib.h>

#include "matcher_hash.h"
#include "matcher_private.h"
#include "mem.h"
#include "pattern_number.h"

/* --- the table -------------------------------------------------------------------------- */

static uint32_t slot_hash(uint32_t field, enum fact_kind kind, struct bytes key, double number)
{
    if (kind == FACT_NUMBER)
        key = bytes_of(&number, sizeof(number));
    return hash_bytes(key, (uint64_t)field << 3 | (uint64_t)kind);
}

/* The slot of a fact, or the empty one where it belongs. It ends: the table is at most half full. */
static struct fact_slot *find_slot(const struct matcher *matcher, uint32_t field,
                                   enum fact_kind kind, struct bytes key, double number)
{
    uint32_t at = slot_hash(field, kind, key, number) & matcher->fact_slot_mask;
    for (;; at = (at + 1) & matcher->fact_slot_mask) {
        struct fact_slot *slot = &matcher->fact_slots[at];
        if (slot->fact == NONE)
            return slot;
        if (slot->field == field && slot->kind == kind && slot->number == number &&
            bytes_equal(slot->key, key))
            return slot;
    }
}

/* The table is made once, for all tests there are: rules are compiled together, so nothing has
 * to grow. */
void facts_init(struct matcher *matcher, size_t slots_needed)
{
    matcher->fact_slot_mask = hash_mask(slots_needed);
    assert(matcher->fact_slot_mask / 2 >= slots_needed / 2);
    matcher->fact_slots =
        ARENA_ARRAY(&matcher->arena, struct fact_slot, (size_t)matcher->fact_slot_mask + 1);
    for (uint32_t i = 0; i <= matcher->fact_slot_mask; i++)
        matcher->fact_slots[i].fact = NONE;
    for (uint32_t i = 0; i < matcher->field_count; i++) {
        struct field *field = &matcher->fields[i];
        field->literals[0] = field->literals[1] = field->literals[2] = NONE;
        field->exists = NONE;
    }
}

/* Without tolower(), which depends on the locale. */
static uint8_t ascii_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static struct bytes lower_copy(struct bytes text, struct arena *arena)
{
    uint8_t *copy = arena_alloc(arena, text.size);
    for (size_t i = 0; i < text.size; i++)
        copy[i] = ascii_lower(text.data[i]);
    return bytes_of(copy, text.size);
}

/* The number of a fact, the same for all rules that ask for it: what a value is found to be is found
 * once for all of them. */
static uint32_t intern(struct matcher *matcher, uint32_t field, enum fact_kind kind,
                       struct bytes key, double number)
{
    assert(field < matcher->field_count && kind < FACT_KIND_COUNT);
    struct fact_slot *slot = find_slot(matcher, field, kind, key, number);
    if (slot->fact == NONE)
        *slot = (struct fact_slot){matcher->fact_count++, field, kind, key, number};
    matcher->fields[field].hashed[kind] = true;
    return slot->fact;
}

/* Only ASCII: of other characters a text may appear in more ways than one lower case tells. */
static uint32_t intern_fold(struct matcher *matcher, uint32_t field, struct bytes text)
{
    if (!fold_is_ascii(text))
        return NONE;
    size_t *size_max = &matcher->fields[field].folded_size_max;
    if (text.size > *size_max)
        *size_max = text.size;
    return intern(matcher, field, FACT_FOLDED, lower_copy(text, &matcher->arena), 0);
}

/* These need no table: a field has at most one of each. */
static uint32_t intern_single(struct matcher *matcher, uint32_t *fact)
{
    assert(*fact == NONE || *fact < matcher->fact_count);
    if (*fact == NONE)
        *fact = matcher->fact_count++;
    return *fact;
}

/* Address and bits as a key. */
static struct bytes block_key(struct matcher *matcher, const struct test *test)
{
    uint8_t key[ADDRESS_SIZE + 1];
    assert(test->bits <= address_bits(&test->block));
    memcpy(key, test->block.data, ADDRESS_SIZE);
    key[ADDRESS_SIZE] = (uint8_t)test->bits;
    return arena_copy(&matcher->arena, bytes_of(key, sizeof(key)));
}

/* Most wildcards are a prefix, a suffix or plain text in disguise. */
static uint32_t intern_wildcard(struct matcher *matcher, uint32_t field,
                                const struct wildcard *wildcard)
{
    const struct bytes *pieces = wildcard->pieces;
    assert(wildcard->count >= 1);
    if (wildcard->count == 1)
        return intern(matcher, field, FACT_TEXT, pieces[0], 0);
    if (wildcard->count == 2 && pieces[1].size == 0)
        return intern(matcher, field, FACT_PREFIX, pieces[0], 0);
    if (wildcard->count == 2 && pieces[0].size == 0)
        return intern(matcher, field, FACT_SUFFIX, pieces[1], 0);
    return NONE;
}

/* NONE: no look-up tells; then the test is a residual, and condition_holds_for() has to know its
 * kind. */
uint32_t facts_intern(struct matcher *matcher, uint32_t field, const struct test *test)
{
    assert(field < matcher->field_count);
    struct field *owner = &matcher->fields[field];
    const struct bytes nothing = {0};
    switch (test->kind) {
    case TEST_TEXT:
        return intern(matcher, field, FACT_TEXT, test->text, 0);
    case TEST_NUMBER:
        return intern(matcher, field, FACT_NUMBER, nothing, test->low);
    case TEST_SPELLING:
        return intern(matcher, field, FACT_SPELLING, test->text, 0);
    case TEST_FOLD:
        return intern_fold(matcher, field, test->text);
    case TEST_TRUE:
    case TEST_FALSE:
    case TEST_NULL:
        return intern_single(matcher, &owner->literals[test->kind - TEST_TRUE]);
    case TEST_EXISTS:
        return intern_single(matcher, &owner->exists);
    case TEST_PREFIX:
        return intern(matcher, field, FACT_PREFIX, test->text, 0);
    case TEST_SUFFIX:
        return intern(matcher, field, FACT_SUFFIX, test->text, 0);
    case TEST_BLOCK:
        return intern(matcher, field, FACT_BLOCK, block_key(matcher, test), 0);
    case TEST_RANGE:
        owner->has_ranges = true;
        return NONE;
    case TEST_WILDCARD:
        return intern_wildcard(matcher, field, &test->wildcard);
    case TEST_FOLD_PREFIX:
    case TEST_FOLD_SUFFIX:
    case TEST_BUT:
    case TEST_ABSENT:
        break;
    }
    return NONE;
}

/* --- nests --------------------------------------------------------------------------------- */

/* A text stands directly before those that it is a prefix of. */
static int order_prefix(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* From the ends, so that those with a common end stand together, the shorter one first. */
static int order_suffix(struct bytes a, struct bytes b)
{
    size_t i = 0;
    for (; i < a.size && i < b.size; i++) {
        uint8_t byte_a = a.data[a.size - 1 - i], byte_b = b.data[b.size - 1 - i];
        if (byte_a != byte_b)
            return byte_a < byte_b ? -1 : 1;
    }
    return (a.size > b.size) - (a.size < b.size);
}

static int order_keys(enum fact_kind kind, struct bytes a, struct bytes b)
{
    return kind == FACT_SUFFIX ? order_suffix(a, b) : order_prefix(a, b);
}

static bool text_ends_with(struct bytes text, struct bytes end)
{
    return text.size >= end.size && bytes_equal(bytes_skip(text, text.size - end.size), end);
}

/* Whether a value lies in an item; a block's bits are ignored in the value. An address begins
 * with its kind (4 or 6), so an IPv4 block never contains an IPv6 address. */
static bool contains(enum fact_kind kind, struct bytes outer, struct bytes value)
{
    if (kind == FACT_PREFIX)
        return bytes_start_with(value, outer);
    if (kind == FACT_SUFFIX)
        return text_ends_with(value, outer);
    assert(kind == FACT_BLOCK && outer.size == ADDRESS_SIZE + 1 && value.size >= ADDRESS_SIZE);
    struct address block, address;
    memcpy(block.data, outer.data, ADDRESS_SIZE);
    memcpy(address.data, value.data, ADDRESS_SIZE);
    return address_in_block(&address, &block, outer.data[ADDRESS_SIZE]);
}

/* Equal keys do not occur: they are one slot. */
static int order_slots(const void *left, const void *right)
{
    const struct fact_slot *a = left, *b = right;
    if (a->field != b->field)
        return a->field < b->field ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return order_keys(a->kind, a->key, b->key);
}

/* Copies the slots of nested kinds in their order; returns how many. */
static size_t sorted_slots(const struct matcher *matcher, struct fact_slot **sorted)
{
    assert(matcher->fact_slot_mask > 0);
    size_t count = 0;
    *sorted = mem_resize(NULL, (size_t)matcher->fact_slot_mask + 1, sizeof(**sorted));
    for (uint32_t i = 0; i <= matcher->fact_slot_mask; i++) {
        const struct fact_slot *slot = &matcher->fact_slots[i];
        if (slot->fact != NONE && slot->kind >= FACT_NEST)
            (*sorted)[count++] = *slot;
    }
    if (count > 0)
        qsort(*sorted, count, sizeof(**sorted), order_slots);
    return count;
}

/* In order, what contains an item stands before it, and all that stands between them is in the same
 * one: so its parent is found by going up from the item before it. */
static void build_nests(struct matcher *matcher)
{
    auto_free struct fact_slot *slots = NULL;
    size_t count = sorted_slots(matcher, &slots);
    struct nest_item *items = ARENA_ARRAY(&matcher->arena, struct nest_item, count);
    matcher->nest_items = items;
    for (size_t i = 0; i < count; i++) {
        const struct fact_slot *slot = &slots[i];
        struct span *span = &matcher->fields[slot->field].nests[slot->kind - FACT_NEST];
        uint32_t parent = span->count > 0 ? (uint32_t)i - 1 : NONE;
        if (span->count++ == 0)
            span->first = (uint32_t)i;
        while (parent != NONE && !contains(slot->kind, items[parent].key, slot->key))
            parent = items[parent].parent;
        assert(parent == NONE || (parent >= span->first && parent < i));
        items[i] = (struct nest_item){slot->key, slot->fact, parent};
    }
}

/* A guess: the more different facts of a kind a field has, the rarer is each of them. */
static void guess_chances(struct matcher *matcher)
{
    float *chances = ARENA_ARRAY(&matcher->arena, float, matcher->fact_count);
    matcher->fact_chances = chances;
    auto_free uint32_t *counts =
        mem_alloc(((size_t)matcher->field_count + 1) * FACT_KIND_COUNT * sizeof(*counts));
    for (uint32_t i = 0; i <= matcher->fact_slot_mask; i++) {
        const struct fact_slot *slot = &matcher->fact_slots[i];
        if (slot->fact != NONE)
            counts[slot->field * FACT_KIND_COUNT + slot->kind]++;
    }
    for (uint32_t i = 0; i <= matcher->fact_slot_mask; i++) {
        const struct fact_slot *slot = &matcher->fact_slots[i];
        if (slot->fact == NONE)
            continue;
        uint32_t count = counts[slot->field * FACT_KIND_COUNT + slot->kind];
        assert(count >= 1 && slot->fact < matcher->fact_count);
        chances[slot->fact] = 1.0F / (float)(count < 2 ? 2 : count);
    }
    for (uint32_t i = 0; i < matcher->field_count; i++) {
        const struct field *field = &matcher->fields[i];
        for (unsigned literal = 0; literal < 3; literal++)
            if (field->literals[literal] != NONE)
                chances[field->literals[literal]] = 0.4F;
        if (field->exists != NONE)
            chances[field->exists] = 0.8F;
    }
}

void facts_finish(struct matcher *matcher)
{
    build_nests(matcher);
    guess_chances(matcher);
}

/* --- the facts of a value ------------------------------------------------------------------ */

static void add_fact(struct matcher_scratch *scratch, struct value *value, uint32_t fact)
{
    if (fact == NONE)
        return;
    growing_add_number(&scratch->facts, fact);
    value->facts.count++;
}

/* All items that contain the value are one item and its parents: a value costs one search and
 * the facts that it has, not the number of prefixes that rules name. */
static void find_nested(const struct matcher *matcher, struct matcher_scratch *scratch,
                        struct span items, enum fact_kind kind, struct value *value)
{
    assert(kind >= FACT_NEST && items.count > 0);
    /* The last item that is not after the value. */
    struct address address;
    uint8_t address_key[ADDRESS_SIZE + 1];
    struct bytes key = value->text;
    if (kind == FACT_BLOCK) {
        if (!address_parse(value->text, &address))
            return;
        memcpy(address_key, address.data, ADDRESS_SIZE);
        address_key[ADDRESS_SIZE] = 0xff; /* after every block that begins here */
        key = bytes_of(address_key, sizeof(address_key));
    }
    uint32_t low = items.first, high = items.first + items.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (order_keys(kind, matcher->nest_items[middle].key, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t item = low == items.first ? NONE : low - 1;
    while (item != NONE && !contains(kind, matcher->nest_items[item].key, key) && spend(scratch, 1))
        item = matcher->nest_items[item].parent;
    for (; item != NONE && spend(scratch, 1); item = matcher->nest_items[item].parent)
        add_fact(scratch, value, matcher->nest_items[item].fact);
}

/* Lower case is written behind the decoded strings, where scratch_begin() left room for it. */
static struct bytes lower_value(struct matcher_scratch *scratch, struct bytes text)
{
    assert(text.size <= scratch->text_capacity - scratch->text_size);
    uint8_t *out = scratch->text + scratch->text_size;
    for (size_t i = 0; i < text.size; i++)
        out[i] = ascii_lower(text.data[i]);
    return bytes_of(out, text.size);
}

/* A field is asked only for the kinds of facts that some rule wants of it. */
static void string_facts(const struct matcher *matcher, struct matcher_scratch *scratch,
                         const struct field *field, struct value *value)
{
    uint32_t number = (uint32_t)(field - matcher->fields);
    if (field->hashed[FACT_TEXT])
        add_fact(scratch, value, find_slot(matcher, number, FACT_TEXT, value->text, 0)->fact);
    /* A value that is longer than everything that is wanted is not written in lower case first. */
    if (field->hashed[FACT_FOLDED] && value->text.size <= field->folded_size_max) {
        struct bytes lower = lower_value(scratch, value->text);
        add_fact(scratch, value, find_slot(matcher, number, FACT_FOLDED, lower, 0)->fact);
    }
    for (unsigned i = 0; i < NEST_COUNT; i++)
        if (field->nests[i].count > 0)
            find_nested(matcher, scratch, field->nests[i], FACT_NEST + i, value);
}

/* 1.0 and 1e0 are one number, so numbers are compared as doubles, but only where the double
 * tells them apart from all others of their length (number_is_comparable()). */
static void number_facts(const struct matcher *matcher, struct matcher_scratch *scratch,
                         const struct field *field, struct value *value)
{
    uint32_t number = (uint32_t)(field - matcher->fields);
    const struct bytes nothing = {0};
    if (field->hashed[FACT_NUMBER]) {
        uint32_t fact = find_slot(matcher, number, FACT_NUMBER, nothing, value->number)->fact;
        if (fact != NONE && number_is_comparable(value->text, value->number))
            add_fact(scratch, value, fact);
    }
    /* A spelling in the table is of a number that is not comparable. */
    if (field->hashed[FACT_SPELLING])
        add_fact(scratch, value, find_slot(matcher, number, FACT_SPELLING, value->text, 0)->fact);
}

/* `exists` is a fact of any value, null as well: EventBridge has it so. */
void facts_find(const struct matcher *matcher, struct matcher_scratch *scratch,
                const struct field *field, struct value *value)
{
    value->facts = (struct span){(uint32_t)scratch->facts.count, 0};
    switch (value->kind) {
    case VALUE_STRING:
        string_facts(matcher, scratch, field, value);
        break;
    case VALUE_NUMBER:
        number_facts(matcher, scratch, field, value);
        break;
    default:
        add_fact(scratch, value, field->literals[value->kind - VALUE_TRUE]);
        break;
    }
    add_fact(scratch, value, field->exists);
    assert(value->facts.first + value->facts.count == scratch->facts.count);
}
