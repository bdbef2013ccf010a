/* Numbers and runs of bytes, one behind the other: the form in which gateways hand sessions to each
 * other. Not a format for clients or for Kafka. Reading checks every size. */
#ifndef COMMON_PACK_H
#define COMMON_PACK_H

#include "buffer.h"

/* Seven bits a byte, the lowest first; the last byte is below 128. */
static inline void pack_number(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buffer_append_byte(out, (uint8_t)(value | 0x80));
    buffer_append_byte(out, (uint8_t)value);
}

/* The size, then the bytes. */
static inline void pack_bytes(struct buffer *out, struct bytes bytes)
{
    pack_number(out, bytes.size);
    buffer_append(out, bytes);
}

/* Takes a number off the front of *rest. False: it is not one, and *rest is as it was. */
static inline bool unpack_number(struct bytes *rest, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < rest->size && i < 10; i++) {
        result |= (uint64_t)(rest->data[i] & 0x7f) << (7 * i);
        if (rest->data[i] & 0x80)
            continue;
        *value = result;
        *rest = bytes_skip(*rest, i + 1);
        return true;
    }
    return false;
}

/* Takes bytes off, borrowed from *rest. */
static inline bool unpack_bytes(struct bytes *rest, struct bytes *bytes)
{
    struct bytes after = *rest;
    uint64_t size;
    if (!unpack_number(&after, &size) || size > after.size)
        return false;
    *bytes = bytes_of(after.data, (size_t)size);
    *rest = bytes_skip(after, (size_t)size);
    return true;
}

/* A number that must not be above `most`. */
static inline bool unpack_limited(struct bytes *rest, uint64_t most, uint64_t *value)
{
    struct bytes after = *rest;
    uint64_t number;
    if (!unpack_number(&after, &number) || number > most)
        return false;
    *value = number;
    *rest = after;
    return true;
}

#endif
