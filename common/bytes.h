/* A borrowed run of bytes. Not a string: it may hold NUL and has no terminator. Its maker owns
 * what it points to. */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* may be NULL only if size is 0 */
    size_t size;         /* in bytes */
};

/* A string literal or array as bytes, without its terminating NUL. */
#define BYTES_LITERAL(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

/* printf("%.*s", BYTES_PRINT(b)) */
#define BYTES_PRINT(b) (int)(b).size, (const char *)(b).data

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){(const uint8_t *)data, size};
}

/* The characters of a NUL-terminated string, borrowed. NULL gives no bytes. */
static inline struct bytes bytes_of_string(const char *string)
{
    return bytes_of(string, string ? strlen(string) : 0);
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool bytes_equal_string(struct bytes a, const char *string)
{
    return bytes_equal(a, bytes_of_string(string));
}

static inline bool bytes_start_with(struct bytes whole, struct bytes prefix)
{
    return whole.size >= prefix.size &&
           (prefix.size == 0 || memcmp(whole.data, prefix.data, prefix.size) == 0);
}

/* What follows the first `count` bytes; count must not exceed the size. */
static inline struct bytes bytes_skip(struct bytes whole, size_t count)
{
    return bytes_of(count ? whole.data + count : whole.data, whole.size - count);
}

/* The `size` low bytes of a number, at most 8, the lowest first. */
static inline void bytes_write_little_endian(uint8_t *place, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        place[i] = (uint8_t)(number >> (8 * i));
}

static inline uint64_t bytes_read_little_endian(const uint8_t *place, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number |= (uint64_t)place[i] << (8 * i);
    return number;
}

static inline bool byte_is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

#endif
