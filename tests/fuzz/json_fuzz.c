/* The scanner on any text: token by token, value by value and whole it must come to one verdict,
 * give slices that lie in the text, and strings that survive decoding and writing. */
#include <assert.h>

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(struct bytes raw)
{
    auto_buffer struct buffer decoded = {0}, written = {0}, again = {0};
    json_unescape_append(raw, &decoded);
    assert(buffer_size(&decoded) <= raw.size);
    json_write_string(&written, buffer_peek(&decoded));
    struct bytes text = buffer_peek(&written);
    assert(json_validate(text, 1, NULL) == STATUS_OK);
    json_unescape_append(bytes_of(text.data + 1, text.size - 2), &again);
    assert(bytes_equal(buffer_peek(&again), buffer_peek(&decoded)));
}

static enum json_token scan_tokens(struct json_scanner *scanner)
{
    const uint8_t *first = scanner->text.data, *end = first + scanner->text.size;
    size_t position = 0;
    enum json_token token;
    do {
        token = json_next(scanner);
        assert(json_position(scanner) >= position && scanner->depth <= scanner->depth_max);
        position = json_position(scanner);
        if (token == JSON_ERROR || token == JSON_END)
            continue;
        assert(scanner->raw.data >= first && scanner->raw.data + scanner->raw.size <= end);
        if (token == JSON_STRING || token == JSON_KEY)
            check_string(scanner->raw);
    } while (token != JSON_ERROR && token != JSON_END);
    return token;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size), raw = {0};
    struct json_scanner tokens, values;
    size_t offset = 0;
    json_init(&tokens, text, 20);
    enum json_token last = scan_tokens(&tokens);
    enum status status = json_validate(text, 20, &offset);
    assert((status == STATUS_OK) == (last == JSON_END));
    if (last == JSON_ERROR) {
        assert(status == tokens.status && offset == tokens.problem_offset && offset <= size);
        assert(tokens.problem && json_next(&tokens) == JSON_ERROR);
    }
    unsigned line = 0, column = 0;
    json_line_column(text, offset, &line, &column);
    assert(line >= 1 && column >= 1);
    json_init(&values, text, 20);
    if (json_next(&values) == JSON_ARRAY)
        while ((last = json_value(&values, &raw)) != JSON_ARRAY_END && last != JSON_ERROR)
            assert(json_validate(raw, 20, NULL) == STATUS_OK);
    if (json_find(text, BYTES_LITERAL("a.b"), &raw) == STATUS_OK)
        assert(json_validate(raw, JSON_DEPTH_MAX, NULL) == STATUS_OK);
    return 0;
}
