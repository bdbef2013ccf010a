/* A growable run of bytes that its owner fills from the front and may consume from the front.
 *
 *      data            start                 end              capacity
 *       |   consumed     |      content       |      free        |
 *
 * A zeroed struct is an empty buffer. Growth aborts on exhaustion (mem.h); limits are the caller's:
 * check before appending. */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include "bytes.h"
#include "status.h"

struct buffer {
    uint8_t *data;
    size_t start;
    size_t end;
    size_t capacity;
};

/* Frees the memory and leaves an empty buffer. */
void buffer_deinit(struct buffer *buffer);
#define auto_buffer __attribute__((cleanup(buffer_deinit)))

/* Drops the content, keeps the memory. */
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->start = 0;
    buffer->end = 0;
}

static inline size_t buffer_size(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* The content, borrowed until the next call that changes the buffer. */
static inline struct bytes buffer_peek(const struct buffer *buffer)
{
    /* No arithmetic on the null pointer of a buffer that was never filled. */
    return bytes_of(buffer->start ? buffer->data + buffer->start : buffer->data,
                    buffer_size(buffer));
}

/* Room for at least `size` more bytes; returns where they go. Commit them with buffer_commit(). */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_commit(struct buffer *buffer, size_t size);

/* The content's memory, cut to its size, which the caller frees with free(); the buffer is empty
 * afterwards. Of a buffer that has a content of which nothing was consumed. */
void *buffer_take(struct buffer *buffer) __attribute__((returns_nonnull));

void buffer_append(struct buffer *buffer, struct bytes bytes);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_byte(struct buffer *buffer, uint8_t byte);
void buffer_append_format(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* Removes all behind the first `size` bytes, of which there are so many. */
void buffer_truncate(struct buffer *buffer, size_t size);

/* Removes `size` bytes (at most the content) from the front. */
void buffer_consume(struct buffer *buffer, size_t size);

#endif
