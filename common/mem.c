#include "mem.h"

#include <stdint.h>
#include <stdio.h>

static void die_of_exhaustion(void)
{
    fputs("out of memory\n", stderr);
    abort();
}

void *mem_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        die_of_exhaustion();
    return memory;
}

void *mem_resize(void *old, size_t count, size_t size)
{
    void *memory = reallocarray(old, count ? count : 1, size ? size : 1);
    if (!memory)
        die_of_exhaustion();
    return memory;
}

char *mem_string(struct bytes bytes)
{
    char *copy = mem_alloc(bytes.size + 1);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}

void mem_free_pointer(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
