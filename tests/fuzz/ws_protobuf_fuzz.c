/* ws_protobuf_decode(): every part of a message that was read is what it should be; and a
 * notification of any bytes comes back out of its two parts. */
#include <assert.h>

#include "client.pb-c.h"
#include "json.h"
#include "utf8.h"
#include "ws_protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ws_protobuf_limits limits = {.rooms = 8, .json_depth = 20};

static void check_request(struct bytes input)
{
    static struct ws_request request;
    auto_arena struct arena arena = {0};
    auto_buffer struct buffer answer = {0};
    enum status status = ws_protobuf_decode(input, &limits, &arena, &request);
    if (status != STATUS_OK && status != STATUS_UNSUPPORTED)
        return;
    assert(request.id.size == 0 || request.id.size == sizeof(uint64_t));
    assert(request.room_count <= limits.rooms);
    for (uint32_t i = 0; i < request.room_count; i++)
        assert(utf8_is_valid(request.rooms[i]));
    assert(utf8_is_valid(request.token) && utf8_is_valid(request.event));
    assert(!request.data.size || json_validate(request.data, limits.json_depth, NULL) == STATUS_OK);
    assert(!request.auth.size || json_validate(request.auth, limits.json_depth, NULL) == STATUS_OK);
    ws_protobuf_append(&answer, &(struct ws_answer){.kind = WS_ANSWER_ACK, .id = request.id});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    auto_buffer struct buffer out = {0};
    check_request(input);
    ws_protobuf_append_body(&out, input);
    size_t body = buffer_size(&out);
    ws_protobuf_append_tail(&out, BYTES_LITERAL("cursor"));
    assert(buffer_size(&out) - body == ws_protobuf_tail_size(6));
    Smartstack__V1__ServerMessage *message =
        smartstack__v1__server_message__unpack(NULL, buffer_size(&out), buffer_peek(&out).data);
    assert(message && strcmp(message->cursor, "cursor") == 0);
    assert(bytes_equal(bytes_of(message->notification.data, message->notification.len), input));
    smartstack__v1__server_message__free_unpacked(message, NULL);
    return 0;
}
