/* What may be the name of a room. Both programs ask here, and so does everything that takes a room
 * from outside: a room that the dispatcher writes and no client can name would be a notification
 * for nobody.
 *
 * The invariant: a struct room_name is valid in all its parts, which nobody checks again. Kinds are
 * what configuration names and metrics have as labels, hence their small alphabet; keys are the
 * customer's, hence almost everything. */
#include "room.h"

#include <xxhash.h>

#include "unicode.h"

bool room_kind_valid(struct bytes kind)
{
    if (kind.size < 1 || kind.size > ROOM_KIND_LIMIT || kind.data[0] < 'a' || kind.data[0] > 'z')
        return false;
    for (size_t i = 1; i < kind.size; i++) {
        uint8_t byte = kind.data[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '-' &&
            byte != '_')
            return false;
    }
    return true;
}

/* Control characters of both sets are refused: a key comes back in logs, in cursors, and in record
 * keys, where LAYOUT_KEY_SEPARATOR is one of them. Colons are fine: the first one ends the kind. */
bool room_key_valid(struct bytes key)
{
    if (key.size < 1 || key.size > ROOM_KEY_LIMIT)
        return false;
    while (key.size) {
        uint32_t code;
        size_t size = unicode_decode(key, &code);
        if (size == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0))
            return false;
        key = bytes_skip(key, size);
    }
    return true;
}

enum status room_parse(struct bytes name, struct room_name *room, struct error *error)
{
    if (name.size > ROOM_NAME_LIMIT)
        return error_set(error, STATUS_INVALID, "a room name has at most %d bytes, not %zu",
                         ROOM_NAME_LIMIT, name.size);
    const uint8_t *colon = name.size ? memchr(name.data, ':', name.size) : NULL;
    if (!colon)
        return error_set(error, STATUS_INVALID, "a room name is kind:key");
    struct bytes kind = bytes_of(name.data, (size_t)(colon - name.data));
    struct bytes key = bytes_skip(name, kind.size + 1);
    if (!room_kind_valid(kind))
        return error_set(error, STATUS_INVALID,
                         "a room's kind is 1 to %d of a-z, 0-9, - and _, beginning with a letter",
                         ROOM_KIND_LIMIT);
    if (!room_key_valid(key))
        return error_set(error, STATUS_INVALID,
                         "a room's key is 1 to %d bytes of UTF-8 without control characters",
                         ROOM_KEY_LIMIT);
    *room = (struct room_name){name, kind, key};
    return STATUS_OK;
}

/* By this hash a gateway passes over records whose rooms nobody here is in. It stands in record
 * headers, so that seed and function are part of the format between the programs. The scope seeds
 * it: equal names of two tenants differ. */
uint64_t room_hash(struct bytes scope, struct bytes name)
{
    return XXH3_64bits_withSeed(name.data, name.size, XXH3_64bits(scope.data, scope.size));
}
