/* The formats of the private id and the cursor. A change of one counts FORMAT_VERSION up:
 * clients hold these texts over releases, and an old text must be refused, not misread.
 *
 * What comes in was held by a client and is not trusted. A length is compared with what is left
 * before it is used, numbers have one form, and the MAC is compared in constant time before
 * anything is believed. */
#include "cursor.h"
#include "narrow.h"

#include <assert.h>
#include <openssl/crypto.h>

enum {
    FORMAT_VERSION = 1,
    CURSOR_MAC_BYTES = 8,
    ROOM_IS_UUID = 0x80,
    ROOM_KIND_SPELLED = 0,
    ROOM_LOST_MARK = 0x7f, /* no room begins with these */
    ROOM_PRESENCE_MARK = 0x7e,
    ROOM_KNOWN_PRESENCE_MARK = 0x7d,
    UUID_CHARACTERS = 36,
};

/* Kinds that are packed as a number. Part of the format: only ever append. */
static const char *const known_kinds[] = {"",        "task",   "user", "tenant",
                                          "project", "review", "team", "queue"};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648, section 5, without padding: the text stands in URLs and cookies of clients. */
void cursor_append_base64url(struct bytes bytes, struct buffer *text)
{
    uint8_t *out = buffer_reserve(text, bytes.size / 3 * 4 + 4);
    size_t length = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        out[length++] = (uint8_t)alphabet[group >> 18];
        out[length++] = (uint8_t)alphabet[group >> 12 & 63];
        if (left > 1)
            out[length++] = (uint8_t)alphabet[group >> 6 & 63];
        if (left > 2)
            out[length++] = (uint8_t)alphabet[group & 63];
    }
    buffer_commit(text, length);
}

/* The value of a character of base64url, -1: it is none. */
static int digit_of(uint8_t character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26;
    if (character >= '0' && character <= '9')
        return character - '0' + 52;
    if (character == '-')
        return 62;
    return character == '_' ? 63 : -1;
}

static bool decode_base64url(struct bytes text, struct buffer *out)
{
    if (text.size % 4 == 1)
        return false;
    assert(text.size <= CURSOR_TEXT_LIMIT); /* callers refuse longer ones unread */
    uint8_t *to = buffer_reserve(out, text.size / 4 * 3 + 3);
    size_t length = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            to[length++] = (uint8_t)(bits >> held);
        }
    }
    /* Else several texts would stand for one value, and a client could pass off one cursor as
     * many. */
    if (bits & ((1u << held) - 1)) /* one text per value */
        return false;
    buffer_commit(out, length);
    return true;
}

/* --- numbers -------------------------------------------------------------------------------- */

/* Seven bits a byte, the lowest first: offsets are small for long. */
static void cursor_append_varint(struct buffer *out, uint64_t value)
{
    while (value >= 0x80) {
        buffer_append_byte(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buffer_append_byte(out, (uint8_t)value);
}

static bool take_varint(struct bytes *rest, uint64_t *value)
{
    uint64_t result = 0;
    /* Nine bytes hold all that an offset may be; a tenth would overflow. */
    for (unsigned i = 0; i < rest->size && i < 9; i++) {
        result |= (uint64_t)(rest->data[i] & 0x7f) << (7 * i);
        if (!(rest->data[i] & 0x80)) {
            *value = result;
            *rest = bytes_skip(*rest, i + 1);
            return true;
        }
    }
    return false;
}

/* Every read of a text goes through here or take_varint(): nothing reads beyond what is left. */
static bool cursor_take(struct bytes *rest, size_t size, struct bytes *taken)
{
    if (rest->size < size)
        return false;
    *taken = bytes_of(rest->data, size);
    *rest = bytes_skip(*rest, size);
    return true;
}

/* Eight bytes, the lowest first, whatever machine wrote it: gateways of a fleet need not be
 * alike. */
static void append_uint64(struct buffer *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        buffer_append_byte(out, (uint8_t)(value >> (8 * i)));
}

static bool take_uint64(struct bytes *rest, uint64_t *value)
{
    struct bytes field;
    if (!cursor_take(rest, 8, &field))
        return false;
    *value = 0;
    for (int i = 0; i < 8; i++)
        *value |= (uint64_t)field.data[i] << (8 * i);
    return true;
}

/* --- keys ----------------------------------------------------------------------------------- */

/* HMAC as a key derivation with one block of output (RFC 5869, expand). */
static void derive(struct bytes key, struct bytes text, uint8_t mac[HMAC_BYTES])
{
    struct hmac *hmac = hmac_new(key);
    hmac_sign(hmac, text, mac);
    hmac_free(hmac);
}

void cursor_keys_init(struct cursor_keys *keys, const struct bytes *secrets, size_t count)
{
    static const uint8_t label[] = "smartstack cursor key 1";
    assert(count <= CURSOR_KEYS_LIMIT);
    keys->count = count;
    for (size_t i = 0; i < count; i++) {
        uint8_t secret[HMAC_BYTES], shown[HMAC_BYTES];
        /* A secret may also sign other things: what is derived from it under a label of its own
         * signs cursors alone. */
        derive(secrets[i], bytes_of(label, sizeof(label)), secret);
        keys->keys[i].hmac = hmac_new(bytes_of(secret, sizeof(secret)));
        /* One byte tells which key it was. Two keys may share it: then both are tried. */
        hmac_sign(keys->keys[i].hmac, bytes_of(label, 1), shown);
        keys->keys[i].id = shown[0];
        OPENSSL_cleanse(secret, sizeof(secret));
    }
}

void cursor_keys_deinit(struct cursor_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        hmac_free(keys->keys[i].hmac);
    keys->count = 0;
}

/* Any key of the configuration: while keys are exchanged, gateways sign with the new one and
 * still take the old. */
static bool verified(const struct cursor_keys *keys, uint8_t key_id, struct bytes content,
                     struct bytes mac)
{
    assert(mac.size <= HMAC_BYTES);
    for (size_t i = 0; i < keys->count; i++) {
        uint8_t expected[HMAC_BYTES];
        if (keys->keys[i].id != key_id)
            continue;
        hmac_sign(keys->keys[i].hmac, content, expected);
        if (CRYPTO_memcmp(expected, mac.data, mac.size) == 0)
            return true;
    }
    return false;
}

/* --- rooms ---------------------------------------------------------------------------------- */

static bool uuid_dash_at(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static int hex_of(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* In lower case with dashes, as nearly everybody writes them. Any other spelling is a text, so
 * that what is packed and unpacked is the same name, byte for byte. */
static bool parse_uuid(struct bytes text, uint8_t uuid[16])
{
    if (text.size != UUID_CHARACTERS)
        return false;
    size_t digits = 0;
    for (size_t i = 0; i < UUID_CHARACTERS; i++) {
        if (uuid_dash_at(i)) {
            if (text.data[i] != '-')
                return false;
            continue;
        }
        int digit = hex_of(text.data[i]);
        if (digit < 0)
            return false;
        uuid[digits / 2] = (uint8_t)(digits % 2 ? uuid[digits / 2] | digit : digit << 4);
        digits++;
    }
    return true;
}

static void format_uuid(const uint8_t uuid[16], uint8_t text[UUID_CHARACTERS])
{
    size_t digits = 0;
    for (size_t i = 0; i < UUID_CHARACTERS; i++) {
        if (uuid_dash_at(i)) {
            text[i] = '-';
            continue;
        }
        unsigned digit = digits % 2 ? uuid[digits / 2] & 15u : uuid[digits / 2] >> 4;
        text[i] = (uint8_t) "0123456789abcdef"[digit];
        digits++;
    }
}

/* Rooms stand in every cursor, and most keys are UUIDs: 17 bytes instead of 41. */
struct room_form {
    struct room_name room;
    unsigned kind;
    bool is_uuid;
    uint8_t uuid[16];
};

static void room_form_init(struct room_form *form, struct bytes name)
{
    enum status status = room_parse(name, &form->room, NULL);
    assert(status == STATUS_OK);
    form->kind = sizeof(known_kinds) / sizeof(known_kinds[0]) - 1;
    while (form->kind != ROOM_KIND_SPELLED &&
           !bytes_equal_string(form->room.kind, known_kinds[form->kind]))
        form->kind--;
    form->is_uuid = parse_uuid(form->room.key, form->uuid);
}

/* The inverse of cursor_unpack_room(), to the byte: rooms are compared by name when a client
 * comes back. */
void cursor_pack_room(struct buffer *out, struct bytes name)
{
    struct room_form form;
    room_form_init(&form, name);
    buffer_append_byte(out, (uint8_t)(form.kind | (form.is_uuid ? ROOM_IS_UUID : 0)));
    if (form.kind == ROOM_KIND_SPELLED) {
        buffer_append_byte(out, narrow_8(form.room.kind.size));
        buffer_append(out, form.room.kind);
    }
    if (form.is_uuid) {
        buffer_append(out, bytes_of(form.uuid, sizeof(form.uuid)));
    } else {
        buffer_append_byte(out, narrow_8(form.room.key.size));
        buffer_append(out, form.room.key);
    }
}

size_t cursor_room_size(struct bytes name)
{
    struct room_form form;
    room_form_init(&form, name);
    size_t kind = form.kind == ROOM_KIND_SPELLED ? 1 + form.room.kind.size : 0;
    size_t key = form.is_uuid ? sizeof(form.uuid) : 1 + form.room.key.size;
    assert(2 + kind + key <= CURSOR_ROOM_BYTES_MOST);
    return 1 + 1 + kind + key; /* mark, form */
}

/* A text behind its size, of up to 255 bytes; a room has fewer. */
static bool take_text(struct bytes *rest, struct bytes *text)
{
    struct bytes size;
    return cursor_take(rest, 1, &size) && cursor_take(rest, size.data[0], text);
}

/* On failure nothing is taken, and `name` may have been written to. */
bool cursor_unpack_room(struct bytes *rest, uint8_t *name, size_t *size)
{
    struct bytes left = *rest, form, kind, key;
    if (!cursor_take(&left, 1, &form))
        return false;
    unsigned kind_number = form.data[0] & (ROOM_IS_UUID - 1);
    if (kind_number >= sizeof(known_kinds) / sizeof(known_kinds[0]))
        return false;
    kind = bytes_of_string(known_kinds[kind_number]);
    if (kind_number == ROOM_KIND_SPELLED && !take_text(&left, &kind))
        return false;
    uint8_t uuid_text[UUID_CHARACTERS];
    if (form.data[0] & ROOM_IS_UUID) {
        struct bytes uuid;
        if (!cursor_take(&left, 16, &uuid))
            return false;
        format_uuid(uuid.data, uuid_text);
        key = bytes_of(uuid_text, sizeof(uuid_text));
    } else if (!take_text(&left, &key)) {
        return false;
    }
    if (key.size == 0 || kind.size + 1 + key.size > ROOM_NAME_LIMIT)
        return false;
    assert(kind.data && key.data);
    memcpy(name, kind.data, kind.size);
    name[kind.size] = ':';
    memcpy(name + kind.size + 1, key.data, key.size);
    struct room_name room;
    /* It was signed by a gateway, maybe of another release: what a room is may have changed. */
    if (room_parse(bytes_of(name, kind.size + 1 + key.size), &room, NULL) != STATUS_OK)
        return false;
    *size = kind.size + 1 + key.size;
    *rest = left;
    return true;
}

void cursor_append_lost_mark(struct buffer *out)
{
    static_assert(sizeof(known_kinds) / sizeof(known_kinds[0]) < ROOM_KNOWN_PRESENCE_MARK,
                  "it is no kind");
    buffer_append_byte(out, ROOM_LOST_MARK);
}

bool cursor_take_lost_mark(struct bytes *rest)
{
    if (rest->size == 0 || rest->data[0] != ROOM_LOST_MARK)
        return false;
    *rest = bytes_skip(*rest, 1);
    return true;
}

void cursor_append_presence_mark(struct buffer *out, bool known)
{
    buffer_append_byte(out, known ? ROOM_KNOWN_PRESENCE_MARK : ROOM_PRESENCE_MARK);
}

bool cursor_take_presence_mark(struct bytes *rest, bool *known)
{
    if (rest->size == 0 ||
        (rest->data[0] != ROOM_PRESENCE_MARK && rest->data[0] != ROOM_KNOWN_PRESENCE_MARK))
        return false;
    *known = rest->data[0] == ROOM_KNOWN_PRESENCE_MARK;
    *rest = bytes_skip(*rest, 1);
    return true;
}

/* --- positions ------------------------------------------------------------------------------ */

/* Two bytes of check are enough: it tells one log from another, and nobody gains anything by
 * guessing it. */
void cursor_append_position(struct buffer *out, struct position position)
{
    assert(position.next >= 0);
    cursor_append_varint(out, (uint64_t)position.next);
    buffer_append_byte(out, (uint8_t)position.check);
    buffer_append_byte(out, (uint8_t)(position.check >> 8));
}

bool cursor_take_position(struct bytes *rest, struct position *position)
{
    uint64_t next;
    struct bytes check, left = *rest;
    if (!take_varint(&left, &next) || next > INT64_MAX || !cursor_take(&left, 2, &check))
        return false;
    position->next = narrow_offset(next);
    position->check = (uint16_t)(check.data[0] | check.data[1] << 8);
    *rest = left;
    return true;
}

/* --- the private id ------------------------------------------------------------------------- */

/* The tag, its MAC, is part of what each cursor of the session signs: so a cursor belongs to one
 * private id. */
void private_id_encode(struct private_id *id, const struct cursor_keys *keys, struct buffer *text)
{
    auto_buffer struct buffer content = {0};
    auto_buffer struct buffer whole = {0};
    uint8_t mac[HMAC_BYTES];
    assert(keys->count > 0);
    buffer_append_byte(&content, FORMAT_VERSION);
    buffer_append_byte(&content, keys->keys[0].id);
    buffer_append(&content, bytes_of(id->session_id, sizeof(id->session_id)));
    buffer_append(&content, bytes_of(id->public_id, sizeof(id->public_id)));
    append_uint64(&content, id->principal);
    append_uint64(&content, id->layout_revision);
    cursor_append_varint(&content, id->rooms.size);
    buffer_append(&content, id->rooms);
    buffer_append(&content, id->positions);
    assert(id->rooms.size <= buffer_size(&content));
    hmac_sign(keys->keys[0].hmac, buffer_peek(&content), mac);
    memcpy(id->tag, mac, sizeof(id->tag));
    buffer_append(&whole, bytes_of(mac, CURSOR_TAG_BYTES));
    buffer_append(&whole, buffer_peek(&content));
    cursor_append_base64url(buffer_peek(&whole), text);
}

enum status private_id_decode(struct bytes text, const struct cursor_keys *keys,
                              struct buffer *space, struct private_id *id)
{
    struct bytes rest, mac, content, head, session_id, public_id;
    struct private_id result;
    uint64_t rooms_size;
    buffer_clear(space);
    if (text.size > CURSOR_TEXT_LIMIT || !decode_base64url(text, space))
        return STATUS_MALFORMED;
    rest = buffer_peek(space);
    if (!cursor_take(&rest, CURSOR_TAG_BYTES, &mac))
        return STATUS_MALFORMED;
    content = rest;
    if (!cursor_take(&rest, 2, &head) || head.data[0] != FORMAT_VERSION)
        return STATUS_MALFORMED;
    /* Before anything else of it is looked at: what follows was written by a gateway. */
    if (!verified(keys, head.data[1], content, mac))
        return STATUS_DENIED;
    if (!cursor_take(&rest, CURSOR_SESSION_ID_BYTES, &session_id) ||
        !cursor_take(&rest, CURSOR_PUBLIC_ID_BYTES, &public_id) ||
        !take_uint64(&rest, &result.principal) || !take_uint64(&rest, &result.layout_revision) ||
        !take_varint(&rest, &rooms_size) || !cursor_take(&rest, rooms_size, &result.rooms))
        return STATUS_MALFORMED;
    memcpy(result.session_id, session_id.data, session_id.size);
    memcpy(result.public_id, public_id.data, public_id.size);
    memcpy(result.tag, mac.data, mac.size);
    result.positions = rest;
    *id = result;
    return STATUS_OK;
}

/* --- the cursor ----------------------------------------------------------------------------- */

/* What the MAC covers: the private id, by its own MAC, and all but the positions. */
static void append_signed(struct buffer *out, const uint8_t tag[CURSOR_TAG_BYTES],
                          struct bytes content)
{
    buffer_append(out, bytes_of(tag, CURSOR_TAG_BYTES));
    buffer_append(out, content);
}

void cursor_encode_rooms(const struct cursor *cursor, const uint8_t tag[CURSOR_TAG_BYTES],
                         const struct cursor_keys *keys, struct buffer *text)
{
    auto_buffer struct buffer content = {0};
    auto_buffer struct buffer covered = {0};
    auto_buffer struct buffer whole = {0};
    uint8_t mac[HMAC_BYTES];
    assert(keys->count > 0);
    buffer_append_byte(&content, FORMAT_VERSION);
    buffer_append_byte(&content, keys->keys[0].id);
    cursor_append_varint(&content, cursor->left.size);
    assert(cursor->left.size <= CURSOR_TEXT_LIMIT);
    buffer_append(&content, cursor->left);
    buffer_append(&content, cursor->joined);
    append_signed(&covered, tag, buffer_peek(&content));
    hmac_sign(keys->keys[0].hmac, buffer_peek(&covered), mac);
    buffer_append(&whole, bytes_of(mac, CURSOR_MAC_BYTES));
    buffer_append(&whole, buffer_peek(&content));
    cursor_append_base64url(buffer_peek(&whole), text);
}

void cursor_append_positions_text(struct bytes positions, struct buffer *text)
{
    assert(buffer_size(text) > 0); /* the rooms stand before it */
    buffer_append_byte(text, '.');
    cursor_append_base64url(positions, text);
}

/* Rooms and positions are two texts with a dot between, since the first changes seldom and is
 * kept encoded. */
enum status cursor_decode(struct bytes text, const uint8_t tag[CURSOR_TAG_BYTES],
                          const struct cursor_keys *keys, struct buffer *space,
                          struct cursor *cursor)
{
    auto_buffer struct buffer covered = {0};
    struct bytes rest, mac, content, head;
    struct cursor result;
    uint64_t left_size;
    if (text.size > CURSOR_TEXT_LIMIT)
        return STATUS_TOO_LARGE;
    const uint8_t *dot = text.size ? memchr(text.data, '.', text.size) : NULL;
    if (!dot)
        return STATUS_MALFORMED;
    size_t rooms_characters = (size_t)(dot - text.data);
    buffer_clear(space);
    if (!decode_base64url(bytes_of(text.data, rooms_characters), space))
        return STATUS_MALFORMED;
    size_t rooms_size = buffer_size(space);
    if (!decode_base64url(bytes_skip(text, rooms_characters + 1), space))
        return STATUS_MALFORMED;
    rest = bytes_of(buffer_peek(space).data, rooms_size);
    /* Not covered by the MAC (see cursor.h): whoever invents positions gets no more of his own
     * rooms than the horizon allows. */
    result.positions = bytes_skip(buffer_peek(space), rooms_size);
    if (!cursor_take(&rest, CURSOR_MAC_BYTES, &mac))
        return STATUS_MALFORMED;
    content = rest;
    if (!cursor_take(&rest, 2, &head) || head.data[0] != FORMAT_VERSION ||
        !take_varint(&rest, &left_size) || !cursor_take(&rest, left_size, &result.left))
        return STATUS_MALFORMED;
    append_signed(&covered, tag, content);
    if (!verified(keys, head.data[1], buffer_peek(&covered), mac))
        return STATUS_DENIED;
    result.joined = rest;
    *cursor = result;
    return STATUS_OK;
}
