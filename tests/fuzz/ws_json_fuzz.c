/* ws_json_decode(): every part of a message that was read is what it should be, and the rooms are
 * as many as were counted. */
#include <assert.h>

#include "json.h"
#include "ws_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ws_json_limits limits = {.json_depth = 20, .rooms = 8, .id_bytes = 16};

static void check_string(struct bytes raw)
{
    auto_buffer struct buffer scratch = {0};
    if (raw.size == 0)
        return;
    assert(raw.size >= 2 && raw.data[0] == '"' && raw.data[raw.size - 1] == '"');
    assert(json_validate(raw, 1, NULL) == STATUS_OK);
    assert(ws_json_string(raw, &scratch).size <= raw.size - 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_json_message message;
    if (ws_json_decode(bytes_of(data, size), &limits, &message))
        return 0;
    auto_buffer struct buffer scratch = {0}, answer = {0};
    struct bytes rest = message.rooms, room;
    uint32_t rooms = 0;
    while (ws_json_next_room(&rest, &scratch, &room))
        rooms++;
    assert(rooms == message.room_count && rooms <= limits.rooms);
    assert(message.id.size <= limits.id_bytes);
    check_string(message.token);
    check_string(message.cursor);
    check_string(message.event);
    assert(message.data.size == 0 ||
           json_validate(message.data, limits.json_depth, NULL) == STATUS_OK);
    ws_json_append_ack(&answer, message.id, message.data);
    assert(json_validate(buffer_peek(&answer), limits.json_depth + 1, NULL) == STATUS_OK);
    return 0;
}
