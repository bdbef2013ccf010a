/* http_reader_next() and the look-ups: what is read from a stream does not depend on how it was
 * cut, and no limit is exceeded. The first byte of the input chooses the pieces. */
#include <assert.h>

#include "http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = {
    .request_line_bytes = 100, .head_bytes = 400, .field_count = 8, .body_bytes = 50};

static void look_up(const struct http_request *request, struct buffer *out)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes value;
    struct bytes rest = request->fields;
    struct http_field field;
    size_t count = 0;
    while (http_field_next(&rest, &field)) {
        assert(field.name.size > 0);
        assert(field.value.size == 0 || !memchr(field.value.data, '\r', field.value.size));
        count++;
    }
    assert(rest.size == 0 && count <= limits.field_count);
    if (http_request_field(request, "host", &value))
        buffer_append(out, value);
    if (http_request_cookie(request, "token", &value))
        buffer_append(out, value);
    if (http_request_has_token(request, "connection", "close"))
        assert(!request->keep_alive);
    static const char *const names[] = {"sid", "transport", "a"};
    for (size_t i = 0; i < 3; i++)
        if (http_query_parameter(request->query, names[i], &scratch, &value) == STATUS_OK)
            buffer_append(out, value);
}

static void check_head(const struct http_request *request, struct buffer *out)
{
    assert(request->target.size <= limits.request_line_bytes);
    assert(request->path.size > 0 &&
           (request->path.data[0] == '/' || bytes_equal_string(request->path, "*")));
    assert(!request->chunked || request->content_length == 0);
    assert(request->minor_version == 1 || (!request->chunked && !request->upgrade));
    for (size_t i = 0; i < request->target.size; i++)
        assert(request->target.data[i] > ' ' && request->target.data[i] < 0x7f);
    buffer_append_format(out, "\n%.*s %.*s %d%d%d%d %llu ", BYTES_PRINT(request->method_name),
                         BYTES_PRINT(request->target), request->keep_alive, request->upgrade,
                         request->expect_continue, request->chunked,
                         (unsigned long long)request->content_length);
    look_up(request, out);
    buffer_append_string(out, "\n");
}

/* `discard`: bodies over the limit are dropped, up to a bound. */
static void transcribe(struct bytes input, size_t piece, bool discard, struct buffer *out)
{
    struct http_reader reader;
    struct http_item item;
    enum status status = STATUS_INCOMPLETE;
    size_t body = 0;
    http_reader_init(&reader, &limits);
    while (input.size && status == STATUS_INCOMPLETE) {
        struct bytes part = bytes_of(input.data, piece < input.size ? piece : input.size);
        input = bytes_skip(input, part.size);
        http_reader_feed(&reader, part);
        while ((status = http_reader_next(&reader, &item)) != STATUS_INCOMPLETE) {
            if (status == STATUS_TOO_LARGE && http_reader_answer(&reader) == 413 && discard) {
                discard = false;
                http_reader_discard(&reader, 100);
                buffer_append_string(out, "[discard]");
                continue;
            }
            if (status)
                break;
            if (item.kind == HTTP_ITEM_HEAD) {
                body = 0;
                check_head(&item.request, out);
            } else if (item.kind == HTTP_ITEM_BODY) {
                assert(item.body.size > 0);
                body += item.body.size;
                assert(body <= limits.body_bytes);
                buffer_append(out, item.body);
            } else {
                buffer_append_string(out, "[end]");
            }
        }
    }
    if (status != STATUS_INCOMPLETE) {
        assert(http_reader_answer(&reader) >= 400);
        buffer_append_format(out, "[error %u]", http_reader_answer(&reader));
    } else if (http_reader_is_idle(&reader)) {
        assert(reader.input.data == NULL);
    }
    http_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    auto_buffer struct buffer whole = {0}, pieces = {0};
    struct bytes input = bytes_of(data + 1, size - 1);
    bool discard = data[0] & 0x80;
    transcribe(input, SIZE_MAX, discard, &whole);
    transcribe(input, 1 + (data[0] & 0x1f), discard, &pieces);
    assert(bytes_equal(buffer_peek(&whole), buffer_peek(&pieces)));
    return 0;
}
