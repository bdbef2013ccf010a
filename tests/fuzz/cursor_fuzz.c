/* private_id_decode(), cursor_decode() and what reads their parts. The first byte of the input says
 * what the rest is: a text as a client may send it, which nobody of ours signed; or the content of
 * a private id or of a cursor, signed here, so that the readers behind the signature are reached
 * too. */
#include "cursor.h"

#include <assert.h>

#include "hmac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAC_BYTES = 8, VERSION = 1 };

static const uint8_t tag[CURSOR_TAG_BYTES] = {7};

static const struct cursor_keys *keys(void)
{
    static struct cursor_keys keys;
    const struct bytes secrets[] = {BYTES_LITERAL("new"), BYTES_LITERAL("old")};
    if (keys.count == 0)
        cursor_keys_init(&keys, secrets, 2);
    return &keys;
}

/* As text: the first `mac_size` bytes of the MAC of `prefix` and `content`, then `content`. */
static void sign(struct bytes prefix, struct bytes content, size_t mac_size, struct buffer *text)
{
    auto_buffer struct buffer covered = {0}, whole = {0};
    uint8_t mac[HMAC_BYTES];
    buffer_append(&covered, prefix);
    buffer_append(&covered, content);
    hmac_sign(keys()->keys[0].hmac, buffer_peek(&covered), mac);
    buffer_append(&whole, bytes_of(mac, mac_size));
    buffer_append(&whole, content);
    cursor_append_base64url(buffer_peek(&whole), text);
}

/* Every name that comes out is one, lost or not, and comes out again after it was packed. */
static void check_rooms(struct bytes rooms)
{
    uint8_t name[ROOM_NAME_LIMIT], again[ROOM_NAME_LIMIT];
    size_t size, again_size;
    while (cursor_take_lost_mark(&rooms), cursor_unpack_room(&rooms, name, &size)) {
        auto_buffer struct buffer packed = {0};
        struct room_name room;
        assert(room_parse(bytes_of(name, size), &room, NULL) == STATUS_OK);
        cursor_pack_room(&packed, bytes_of(name, size));
        struct bytes rest = buffer_peek(&packed);
        assert(cursor_unpack_room(&rest, again, &again_size) && rest.size == 0);
        assert(bytes_equal(bytes_of(name, size), bytes_of(again, again_size)));
    }
}

static void check_positions(struct bytes positions)
{
    struct position position;
    struct bytes before = positions;
    while (cursor_take_position(&positions, &position)) {
        assert(position.next >= 0 && positions.size < before.size);
        before = positions;
    }
    assert(positions.size == before.size);
}

static void check_private_id(struct bytes content)
{
    auto_buffer struct buffer text = {0}, space = {0}, again_space = {0}, again_text = {0};
    struct private_id id, again;
    sign(bytes_of(NULL, 0), content, CURSOR_TAG_BYTES, &text);
    if (private_id_decode(buffer_peek(&text), keys(), &space, &id) != STATUS_OK)
        return;
    check_rooms(id.rooms);
    check_positions(id.positions);
    struct private_id copy = id;
    private_id_encode(&copy, keys(), &again_text);
    assert(private_id_decode(buffer_peek(&again_text), keys(), &again_space, &again) == STATUS_OK);
    assert(bytes_equal(id.rooms, again.rooms) && bytes_equal(id.positions, again.positions));
    assert(id.principal == again.principal && id.layout_revision == again.layout_revision);
}

static void check_cursor(struct bytes content, struct bytes positions)
{
    auto_buffer struct buffer text = {0}, space = {0}, again_space = {0}, again_text = {0};
    struct cursor cursor, again;
    sign(bytes_of(tag, sizeof(tag)), content, MAC_BYTES, &text);
    cursor_append_positions_text(positions, &text);
    if (cursor_decode(buffer_peek(&text), tag, keys(), &space, &cursor) != STATUS_OK)
        return;
    assert(bytes_equal(cursor.positions, positions));
    check_rooms(cursor.joined);
    check_positions(cursor.positions);
    cursor_encode_rooms(&cursor, tag, keys(), &again_text);
    cursor_append_positions_text(cursor.positions, &again_text);
    assert(cursor_decode(buffer_peek(&again_text), tag, keys(), &again_space, &again) == STATUS_OK);
    assert(bytes_equal(cursor.left, again.left) && bytes_equal(cursor.joined, again.joined));
}

/* The head that every content has, so that the fuzzer need not guess the key's number. */
static void with_head(struct bytes rest, struct buffer *content)
{
    buffer_append_byte(content, VERSION);
    buffer_append_byte(content, keys()->keys[0].id);
    buffer_append(content, rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buffer struct buffer space = {0}, content = {0};
    struct private_id id;
    struct cursor cursor;
    if (size < 2)
        return 0;
    struct bytes rest = bytes_of(data + 1, size - 1);
    size_t cut = data[0] >> 2 < rest.size ? data[0] >> 2 : rest.size;
    switch (data[0] & 3) {
    case 0:
        assert(private_id_decode(rest, keys(), &space, &id) != STATUS_OK);
        assert(cursor_decode(rest, tag, keys(), &space, &cursor) != STATUS_OK);
        break;
    case 1:
        with_head(rest, &content);
        check_private_id(buffer_peek(&content));
        break;
    case 2:
        with_head(bytes_of(rest.data, cut), &content);
        check_cursor(buffer_peek(&content), bytes_skip(rest, cut));
        break;
    default:
        check_rooms(rest);
        check_positions(rest);
    }
    return 0;
}
