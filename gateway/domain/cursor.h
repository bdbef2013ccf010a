/* The two texts by which a client finds its way back: the private id, made once when a session
 * opens, and the cursor, which ends every event. Pure codecs: who may be in which room is
 * decided anew by the policy, and where a lane stands by its log.
 *
 *   private id   who: session, public id, a hash of the principal; the layout's revision, the
 *                rooms given at connect and the positions then. Signed (HMAC-SHA-256, 16 bytes).
 *                The client must get back the identical text to see itself recovered, so it is
 *                never made again.
 *   cursor       what changed since: rooms of the private id that were left, rooms joined later (by
 *                name, packed), rooms that were lost of which the client is yet to be told, and for
 *                each lane the position. Its MAC (8 bytes) covers the private id and the rooms.
 *                Positions are free: an older one costs no more than the configured horizon, and a
 *                newer one only the client's own messages.
 *
 * Lanes are not named: they follow from the rooms (in order of first mention) by the layout.
 * Rooms are packed: one byte of kind and form, 16 bytes for a key that is a UUID in its usual
 * spelling, else length and text. Any of several keys verifies, the newest signs. */
#ifndef GATEWAY_DOMAIN_CURSOR_H
#define GATEWAY_DOMAIN_CURSOR_H

#include "buffer.h"
#include "bytes.h"
#include "hmac.h"
#include "room.h"
#include "status.h"

enum {
    CURSOR_KEYS_LIMIT = 4,
    CURSOR_TAG_BYTES = 16,
    CURSOR_PUBLIC_ID_BYTES = 15,
    CURSOR_PUBLIC_ID_CHARACTERS = 20,
    CURSOR_SESSION_ID_BYTES = 16,
    CURSOR_TEXT_LIMIT = 16384, /* longer texts are refused unread */
    /* Of a session's rooms, packed, those it has lost and their marks included: so no text that is
     * given is longer than the limit, whatever its rooms and positions. */
    CURSOR_ROOMS_LIMIT = 10240,
    /* A mark, the form, kind and key behind their sizes. */
    CURSOR_ROOM_BYTES_MOST = 1 + 1 + 1 + ROOM_KIND_LIMIT + 1 + ROOM_KEY_LIMIT,
    CURSOR_POSITION_BYTES_MOST = 9 + 2,
};

struct cursor_key {
    uint8_t id;
    struct hmac *hmac;
};

struct cursor_keys {
    size_t count;
    struct cursor_key keys[CURSOR_KEYS_LIMIT]; /* newest first */
};

/* Derives keys from secrets of any length, newest first. */
void cursor_keys_init(struct cursor_keys *keys, const struct bytes *secrets, size_t count);
void cursor_keys_deinit(struct cursor_keys *keys);

/* Where a session stands in a lane: the offset after the last record it has dealt with, and that
 * record's check (0: there is none to verify). */
struct position {
    int64_t next;
    uint16_t check;
};

/* --- rooms ------------------------------------------------------------------------------------ */

/* Appends a room's packed form. */
void cursor_pack_room(struct buffer *out, struct bytes name);
/* What the room counts towards CURSOR_ROOMS_LIMIT: its packed form and a mark. */
size_t cursor_room_size(struct bytes name);
/* Takes the next room off `rest` into `name` (ROOM_NAME_LIMIT bytes); false at the end or if it is
 * malformed (then rest->size > 0). */
bool cursor_unpack_room(struct bytes *rest, uint8_t *name, size_t *size);
/* A mark before a room of cursor.joined: the session was in it, has lost it with its rights, and
 * the client is yet to be told. Such a room has no lane. */
void cursor_append_lost_mark(struct buffer *out);
/* False, and nothing is taken: what follows is no such mark. */
bool cursor_take_lost_mark(struct bytes *rest);

/* A mark before a room of cursor.joined: its client wants to hear who is in it (session_presence.h).
 * Of a room of the private id (`known`) it is all that the entry says. */
void cursor_append_presence_mark(struct buffer *out, bool known);
/* False, and nothing is taken: what follows is no such mark. */
bool cursor_take_presence_mark(struct bytes *rest, bool *known);

/* --- positions -------------------------------------------------------------------------------- */

void cursor_append_position(struct buffer *out, struct position position);
bool cursor_take_position(struct bytes *rest, struct position *position);

/* --- the private id --------------------------------------------------------------------------- */

struct private_id {
    uint8_t session_id[CURSOR_SESSION_ID_BYTES];
    uint8_t public_id[CURSOR_PUBLIC_ID_BYTES];
    uint64_t principal;
    uint64_t layout_revision;
    struct bytes rooms;     /* packed, or a lost mark and then them: see resume.c */
    struct bytes positions; /* one for each lane of the rooms */
    uint8_t tag[CURSOR_TAG_BYTES];
};

/* Appends the text and sets `id->tag`. */
void private_id_encode(struct private_id *id, const struct cursor_keys *keys, struct buffer *text);
/* `space` receives what `id` borrows. STATUS_MALFORMED; STATUS_DENIED: no key of ours signed it. */
enum status private_id_decode(struct bytes text, const struct cursor_keys *keys,
                              struct buffer *space, struct private_id *id) MUST_CHECK;

/* --- the cursor ------------------------------------------------------------------------------- */

struct cursor {
    struct bytes left;   /* which of the private id's rooms are gone, and how (session_mark_left) */
    struct bytes joined; /* packed rooms, in order */
    struct bytes
        positions; /* one for each lane of what remains and was joined, in order of first mention */
};

/* The part that changes only with the rooms, as text; the positions' text follows it
 * (cursor_append_positions_text). */
void cursor_encode_rooms(const struct cursor *cursor, const uint8_t tag[CURSOR_TAG_BYTES],
                         const struct cursor_keys *keys, struct buffer *text);
/* Appends the separator and the positions in binary form as text. */
void cursor_append_positions_text(struct bytes positions, struct buffer *text);
/* STATUS_TOO_LARGE: beyond CURSOR_TEXT_LIMIT. STATUS_MALFORMED. STATUS_DENIED: made for another
 * private id, or by nobody of ours. */
enum status cursor_decode(struct bytes text, const uint8_t tag[CURSOR_TAG_BYTES],
                          const struct cursor_keys *keys, struct buffer *space,
                          struct cursor *cursor) MUST_CHECK;

/* Appends bytes as base64url without padding. */
void cursor_append_base64url(struct bytes bytes, struct buffer *text);

#endif
