/* A growing row of bytes: filled at the end, consumed at the start, without moving what lies
 * between.
 *
 *    data          start              end            capacity
 *     |- consumed -|----- content -----|---- free -----|
 *
 * Invariant: start <= end <= capacity; all are 0 before the first byte. Addresses hold until the
 * next call that may grow it, which is every call that appends. */
#include "buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

enum { BUFFER_MIN_CAPACITY = 256 };

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

/* No arithmetic on the null pointer of a buffer that was never filled. */
static uint8_t *free_part(const struct buffer *buffer)
{
    return buffer->end ? buffer->data + buffer->end : buffer->data;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    assert(buffer->start <= buffer->end && buffer->end <= buffer->capacity);
    if (buffer->capacity - buffer->end >= size)
        return free_part(buffer);
    size_t content = buffer_size(buffer);
    /* Moving is cheaper than growing, but only here: it costs once per filling, and not once per
     * consuming. */
    if (buffer->start) {
        memmove(buffer->data, buffer->data + buffer->start, content);
        buffer->start = 0;
        buffer->end = content;
    }
    if (buffer->capacity - content < size) {
        assert(size <= SIZE_MAX / 4 && content <= SIZE_MAX / 4);
        size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_MIN_CAPACITY;
        while (capacity - content < size)
            capacity *= 2;
        buffer->data = mem_resize(buffer->data, capacity, 1);
        buffer->capacity = capacity;
    }
    return free_part(buffer);
}

void buffer_commit(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

/* Cutting leaves the memory where it is, as a rule. */
void *buffer_take(struct buffer *buffer)
{
    assert(buffer->start == 0 && buffer->end > 0);
    void *content = mem_resize(buffer->data, buffer->end, 1);
    *buffer = (struct buffer){0};
    return content;
}

void buffer_append(struct buffer *buffer, struct bytes bytes)
{
    if (bytes.size == 0)
        return;
    memcpy(buffer_reserve(buffer, bytes.size), bytes.data, bytes.size);
    buffer->end += bytes.size;
}

void buffer_append_string(struct buffer *buffer, const char *string)
{
    buffer_append(buffer, bytes_of_string(string));
}

void buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    *buffer_reserve(buffer, 1) = byte;
    buffer->end++;
}

/* Twice through the format: a guess that fits would be faster, but nothing that is done per message
 * is formatted. */
void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    assert(size >= 0);
    va_start(list, format);
    vsnprintf((char *)buffer_reserve(buffer, (size_t)size + 1), (size_t)size + 1, format, list);
    va_end(list);
    buffer->end += (size_t)size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    /* An empty buffer starts afresh, so that a queue that is drained regularly never grows. */
    buffer->start += size;
    if (buffer->start == buffer->end)
        buffer_clear(buffer);
}

void buffer_truncate(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    buffer->end = buffer->start + size;
}
