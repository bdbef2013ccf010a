/* The input of a stateful target: each byte is an operation, or what it is done with. When it is
 * used up there are zeros. */
#ifndef TESTS_FUZZ_FUZZ_INPUT_H
#define TESTS_FUZZ_FUZZ_INPUT_H

#include "bytes.h"

static inline uint8_t fuzz_byte(struct bytes *input)
{
    if (input->size == 0)
        return 0;
    uint8_t byte = input->data[0];
    *input = bytes_skip(*input, 1);
    return byte;
}

/* Up to `most` bytes, as many as the next one says. */
static inline struct bytes fuzz_bytes(struct bytes *input, size_t most)
{
    size_t size = fuzz_byte(input) % (most + 1);
    if (size > input->size)
        size = input->size;
    struct bytes bytes = bytes_of(input->data, size);
    *input = bytes_skip(*input, size);
    return bytes;
}

/* One of an array. */
#define FUZZ_PICK(input, array) ((array)[fuzz_byte(input) % (sizeof(array) / sizeof((array)[0]))])

#endif
