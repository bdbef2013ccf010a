/* Comparing without regard to case, the way event patterns do it: the pattern is turned into the
 * spellings that each of its characters may have, and a text is compared with these.
 *
 * The text is not folded: that would be the wrong question, since the pattern decides
 * (pattern_fold.h), and would have to decode every value. Spellings are bytes, so a value is
 * compared without being decoded.
 *
 * Invariant: the spellings of one character never begin or end with one another (the generator
 * of the table checks it), so the first that fits is the only one and nothing has to be tried
 * again. */
#include "pattern_fold.h"

#include <assert.h>

/* Decodes one code point of UTF-8 or WTF-8 that is known to be well-formed: the JSON scanner has
 * checked it, and a lone surrogate from an escape has three bytes like its neighbours. */
static uint32_t code_point(const uint8_t *at, size_t *size)
{
    if (at[0] < 0x80) {
        *size = 1;
        return at[0];
    }
    if (at[0] < 0xe0) {
        *size = 2;
        return (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
    }
    if (at[0] < 0xf0) {
        *size = 3;
        return (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    }
    *size = 4;
    return (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 | (at[3] & 0x3fu);
}

static struct bytes encode_character(uint32_t code, struct arena *arena)
{
    assert(code < 0x110000);
    uint8_t text[4];
    size_t size = 0;
    if (code < 0x80) {
        text[size++] = (uint8_t)code;
    } else if (code < 0x800) {
        text[size++] = (uint8_t)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        text[size++] = (uint8_t)(0xe0 | code >> 12);
        text[size++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    } else {
        text[size++] = (uint8_t)(0xf0 | code >> 18);
        text[size++] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        text[size++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    }
    if (code >= 0x80)
        text[size++] = (uint8_t)(0x80 | (code & 0x3f));
    return arena_copy(arena, bytes_of(text, size));
}

/* From the front: a rules file is read rarely, and its texts are short. */
static const struct fold_range *find_range(uint32_t code)
{
    for (size_t i = 0; i < fold_range_count; i++) {
        const struct fold_range *range = &fold_ranges[i];
        if (code >= range->first && code <= range->last && (code - range->first) % range->step == 0)
            return range;
    }
    return NULL;
}

/* Characters whose other case is several characters, such as the sharp s. */
static const struct fold_special *find_special(uint32_t code)
{
    for (size_t i = 0; i < fold_special_count; i++)
        if (fold_specials[i].code == code)
            return &fold_specials[i];
    return NULL;
}

/* Most characters are their own lower or upper case: a spelling that is there already is not
 * added. */
static void add_way(struct fold_character *character, struct bytes way)
{
    assert(character->count < sizeof(character->ways) / sizeof(character->ways[0]));
    for (unsigned i = 0; i < character->count; i++)
        if (bytes_equal(character->ways[i], way))
            return;
    character->ways[character->count++] = way;
}

struct fold fold_compile(struct bytes text, struct arena *arena)
{
    struct fold fold = {.characters = ARENA_ARRAY(arena, struct fold_character, text.size)};
    for (size_t at = 0, size; at < text.size; at += size) {
        struct fold_character *character = &fold.characters[fold.count++];
        assert(fold.count <= text.size);
        uint32_t code = code_point(text.data + at, &size);
        add_way(character, arena_copy(arena, bytes_of(text.data + at, size)));
        const struct fold_special *special = find_special(code);
        const struct fold_range *range = find_range(code);
        if (special) {
            add_way(character, bytes_of_string(special->lower));
            add_way(character, bytes_of_string(special->upper));
        } else if (range) {
            add_way(character, encode_character(code + (uint32_t)range->lower, arena));
            add_way(character, encode_character(code + (uint32_t)range->upper, arena));
        }
    }
    return fold;
}

/* The first spelling that fits is taken, and needs no second thought (see above). */
size_t fold_match_front(const struct fold *fold, struct bytes text)
{
    size_t used = 0;
    for (size_t i = 0; i < fold->count; i++) {
        const struct fold_character *character = &fold->characters[i];
        unsigned way = 0;
        while (way < character->count &&
               !bytes_start_with(bytes_skip(text, used), character->ways[way]))
            way++;
        if (way == character->count)
            return SIZE_MAX;
        used += character->ways[way].size;
    }
    assert(used <= text.size);
    return used;
}

static bool ends_with(struct bytes whole, struct bytes end)
{
    return whole.size >= end.size &&
           memcmp(whole.data + whole.size - end.size, end.data, end.size) == 0;
}

/* From the last character on, since a suffix may begin anywhere. */
size_t fold_match_back(const struct fold *fold, struct bytes text)
{
    size_t used = 0;
    for (size_t i = fold->count; i-- > 0;) {
        const struct fold_character *character = &fold->characters[i];
        unsigned way = 0;
        while (way < character->count &&
               !ends_with(bytes_of(text.data, text.size - used), character->ways[way]))
            way++;
        if (way == character->count)
            return SIZE_MAX;
        used += character->ways[way].size;
    }
    assert(used <= text.size);
    return used;
}

/* Then a look-up of the text in lower case answers (FACT_FOLDED), and this file is not asked at
 * all. Of other characters not all have one lower case. */
bool fold_is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}
