#include "transcript.h"

#include <check.h>
#include <stdio.h>

#include "mem.h"

char *transcript_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    auto_buffer struct buffer text = {0};
    size_t size;
    do {
        size = fread(buffer_reserve(&text, 65536), 1, 65536, file);
        buffer_commit(&text, size);
    } while (size);
    fclose(file);
    return mem_string(buffer_peek(&text));
}

static struct bytes take_line(struct bytes *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    ck_assert_msg(end != NULL, "a transcript ends within a line");
    struct bytes line = bytes_of(text->data, (size_t)(end - text->data));
    *text = bytes_skip(*text, line.size + 1);
    return line;
}

/* The lines of the block that begins with the text; its kind is what stands behind the fence. */
static struct bytes take_block(struct bytes *text, struct bytes *kind)
{
    struct bytes line = take_line(text);
    ck_assert_msg(bytes_start_with(line, BYTES_LITERAL("```")), "no block: %.*s",
                  BYTES_PRINT(line));
    *kind = bytes_skip(line, 3);
    struct bytes content = bytes_of(text->data, 0);
    for (;;) {
        line = take_line(text);
        if (bytes_equal_string(line, "```"))
            return content;
        content.size = (size_t)(text->data - content.data);
    }
}

static unsigned digit(uint8_t c)
{
    return c <= '9' ? c - (unsigned)'0' : c - 'a' + 10u;
}

static void unescape(struct bytes text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '\n')
            continue;
        if (c != '\\') {
            buffer_append_byte(out, c);
            continue;
        }
        c = text.data[++i];
        if (c == 'x') {
            buffer_append_byte(out,
                               (uint8_t)(digit(text.data[i + 1]) << 4 | digit(text.data[i + 2])));
            i += 2;
        } else {
            buffer_append_byte(out, c == 'r' ? '\r' : c == 'n' ? '\n' : '\\');
        }
    }
}

void transcript_escape(struct buffer *out, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = bytes.data[i];
        if (c == '\r' || c == '\n')
            buffer_append_string(out, c == '\r' ? "\\r" : "\\n");
        else if (c == '\\')
            buffer_append_string(out, "\\\\");
        else if (c >= ' ' && c < 0x7f)
            buffer_append_byte(out, c);
        else
            buffer_append_format(out, "\\x%02x", c);
    }
}

bool transcript_next(struct bytes *text, struct section *section)
{
    struct bytes line, kind;
    do {
        if (text->size == 0)
            return false;
        line = take_line(text);
    } while (!bytes_start_with(line, BYTES_LITERAL("## ")));
    section->title = bytes_skip(line, 3);
    take_line(text);
    buffer_clear(&section->bytes);
    unescape(take_block(text, &section->kind), &section->bytes);
    take_line(text);
    section->packets = take_block(text, &kind);
    ck_assert(bytes_equal_string(kind, "packets"));
    return true;
}
