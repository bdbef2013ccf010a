/* Memory that is there: these calls abort the process on exhaustion, so that no caller has an error
 * path for it. */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stddef.h>
#include <stdlib.h>

#include "bytes.h"

/* `size` bytes, zeroed. The caller frees them with free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Grows or shrinks `old` (may be NULL) to `count` elements of `size` bytes; new space is not
 * zeroed. The product is checked for overflow. */
void *mem_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/* A NUL-terminated copy that the caller frees. */
char *mem_string(struct bytes bytes) __attribute__((malloc, returns_nonnull));

/* One zeroed object of a type. */
#define mem_new(type) ((type *)mem_alloc(sizeof(type)))

void mem_free_pointer(void *pointer_to_pointer);
/* auto_free char *text = ...; is freed when it leaves its scope. */
#define auto_free __attribute__((cleanup(mem_free_pointer)))

#endif
