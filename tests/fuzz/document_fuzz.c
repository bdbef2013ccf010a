/* document_parse() and what reads its trees: nothing faults, what can be emitted as JSON is JSON
 * and reads the same, every offset leads to a place, and a layout made of any tree gives valid
 * lanes. */
#include <assert.h>

#include "json.h"
#include "layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct document_limits limits = {.text_bytes = 1 << 16, .nodes = 5000, .depth = 50};

static void check_emission(const struct document *document)
{
    auto_buffer struct buffer first = {0}, second = {0};
    auto_document_map struct document_map map = {0};
    struct error error = {0};
    if (document_emit_json(document, document_root(document), &first, &map, &error) != STATUS_OK) {
        assert(error.line && error.column && buffer_size(&first) == 0);
        return;
    }
    struct bytes json = buffer_peek(&first);
    assert(json_validate(json, limits.depth + 1, NULL) == STATUS_OK);
    for (size_t offset = 0; offset < json.size; offset += 1 + json.size / 16) {
        unsigned line = 0, column = 0;
        document_map_find(&map, offset, &line, &column);
        assert(line && column);
    }
    /* Emission may write more than the text had (escapes), so it has limits of its own. In a list:
     * a scalar alone would be read as YAML, which folds line breaks that JSON does not know. */
    const struct document_limits wide = {.text_bytes = SIZE_MAX, .nodes = 5001, .depth = 51};
    auto_buffer struct buffer list = {0};
    buffer_append_byte(&list, '[');
    buffer_append(&list, json);
    buffer_append_byte(&list, ']');
    struct document *again = NULL;
    enum status status = document_parse(buffer_peek(&list), &wide, &again, &error);
    assert(status == STATUS_OK);
    status = document_emit_json(again, document_root(again), &second, NULL, &error);
    assert(status == STATUS_OK && bytes_equal(buffer_peek(&list), buffer_peek(&second)));
    document_free(again);
}

static void check_layout(const struct document_node *root)
{
    const struct document_node *preset = document_find(root, "layout");
    struct layout_source source = {.preset = preset ? preset->text : bytes_of(NULL, 0),
                                   .rooms = document_find(root, "rooms"),
                                   .large_tenants = document_find(root, "large_tenants"),
                                   .allow = document_find(root, "allow")};
    auto_problems struct problems problems = {0};
    struct layout *layout = NULL;
    if (layout_new(&source, &layout, &problems) != STATUS_OK) {
        assert(problems.count);
        return;
    }
    static const char *const names[] = {"task:1", "review:legal", "user:a"};
    const struct room_owner owner = {BYTES_LITERAL("acme"), BYTES_LITERAL("u")};
    for (int i = 0; i < 3; i++) {
        struct room_name room;
        struct lane_name lane;
        enum status status = room_parse(bytes_of_string(names[i]), &room, NULL);
        assert(status == STATUS_OK);
        if (layout_lane(layout, &room, &owner, &lane, NULL) != STATUS_OK)
            continue;
        const struct layout_topic *topic = layout_topic_find(layout, bytes_of_string(lane.topic));
        assert(topic && topic->partition_count == lane.partition_count);
        assert(topic->scope == lane.scope);
        assert(lane.partition >= 0 && lane.partition < lane.partition_count);
    }
    layout_free(layout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct document *document = NULL;
    struct error error = {0};
    if (document_parse(bytes_of(data, size), &limits, &document, &error) != STATUS_OK) {
        assert(error.status != STATUS_OK && error.text[0]);
        return 0;
    }
    check_emission(document);
    check_layout(document_root(document));
    document_free(document);
    return 0;
}
