/* The wildcard operator, as the literal texts between its stars.
 *
 *     "a*b*c"    pieces  a, b, c      a at the front, c at the end, b anywhere between
 *     "*"        pieces  "", ""
 *
 * Since '*' is the only thing that is not literal, no automaton is needed and nothing is tried
 * twice: if the middle pieces fit at all, they fit where each is first found after the one before.
 * "**" is refused: it says no more than one star.
 *
 * Invariant: there is one piece more than there are stars; only the first and the last may be
 * empty. */
#include "pattern_wildcard.h"

#include <assert.h>

/* All pieces lie in one copy of the text, without its backslashes. */
const char *wildcard_compile(struct bytes text, struct arena *arena, struct wildcard *wildcard)
{
    uint8_t *out = arena_alloc(arena, text.size);
    struct bytes *pieces = ARENA_ARRAY(arena, struct bytes, text.size + 1);
    size_t count = 0;
    pieces[0] = bytes_of(out, 0);
    bool after_star = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '*') {
            if (after_star)
                return "two '*' in a row";
            pieces[++count] = bytes_of(out, 0);
            after_star = true;
            continue;
        }
        after_star = false;
        if (byte == '\\') {
            if (++i == text.size || (text.data[i] != '*' && text.data[i] != '\\'))
                return "a backslash must stand before '*' or another backslash";
            byte = text.data[i];
        }
        *out++ = byte;
        pieces[count].size++;
    }
    assert(count <= text.size && (size_t)(out - pieces[0].data) <= text.size);
    *wildcard = (struct wildcard){pieces, count + 1};
    return NULL;
}

/* The ends are compared first: they are where they are, and most values fail there. */
bool wildcard_match(const struct wildcard *wildcard, struct bytes value)
{
    assert(wildcard->count >= 1);
    const struct bytes first = wildcard->pieces[0];
    const struct bytes last = wildcard->pieces[wildcard->count - 1];
    if (wildcard->count == 1)
        return bytes_equal(first, value);
    if (value.size < first.size + last.size || !bytes_start_with(value, first) ||
        memcmp(value.data + value.size - last.size, last.data, last.size) != 0)
        return false;
    struct bytes middle = bytes_of(value.data + first.size, value.size - first.size - last.size);
    /* The leftmost place of each piece leaves the most room for those after it. */
    for (size_t i = 1; i + 1 < wildcard->count; i++) {
        struct bytes piece = wildcard->pieces[i];
        const uint8_t *found = memmem(middle.data, middle.size, piece.data, piece.size);
        if (!found)
            return false;
        middle = bytes_skip(middle, (size_t)(found - middle.data) + piece.size);
    }
    return true;
}
