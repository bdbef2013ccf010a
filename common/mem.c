/* Memory, or the end of the process. A server that has no memory left cannot do anything sensible
 * about it in the middle of a delivery, and error paths that nobody ever runs are where the faults
 * are. Memory is bounded by limits on what clients and records may hold (they are checked where
 * these come in), not by malloc().
 *
 * The invariant: what is returned is never NULL, so that NULL can mean "there is none" everywhere
 * else. */
#include "mem.h"

#include <stdint.h>
#include <stdio.h>

/* Not the log: it would allocate. fputs() on stderr, which has no buffer, does not. */
static void die_of_exhaustion(void)
{
    fputs("out of memory\n", stderr);
    abort();
}

/* Never of 0 bytes: malloc(0) may be NULL. */
void *mem_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        die_of_exhaustion();
    return memory;
}

/* reallocarray() refuses a product that overflows; a multiplication at the caller's would wrap and
 * give too little. */
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
