/* Room names, `kind:key`. Not where a room lives: that is layout.h.
 *
 *   kind   1 to 32 of a-z, 0-9, - and _, beginning with a letter
 *   key    1 to 200 bytes of UTF-8 without control characters (C0, DEL, C1); it may hold colons
 */
#ifndef COMMON_ROOM_H
#define COMMON_ROOM_H

#include "bytes.h"
#include "status.h"

enum {
    ROOM_KIND_LIMIT = 32,
    ROOM_KEY_LIMIT = 200,
    ROOM_NAME_LIMIT = ROOM_KIND_LIMIT + 1 + ROOM_KEY_LIMIT,
};

struct room_name {
    struct bytes name; /* all of it */
    struct bytes kind;
    struct bytes key;
};

/* Splits and checks; borrows from `name`. STATUS_INVALID (error may be NULL, says what is wrong
 * with it). */
enum status room_parse(struct bytes name, struct room_name *room, struct error *error) MUST_CHECK;

bool room_kind_valid(struct bytes kind);
/* Also the syntax of tenants and users. */
bool room_key_valid(struct bytes key);

/* The 64-bit hash by which a record header names a room: a filter only, names decide. Salted by the
 * room's scope (struct lane_name), so that tenants cannot aim at each other's rooms by accident.
 * The same on every machine and in every program: it is part of the wire format. */
uint64_t room_hash(struct bytes scope, struct bytes name);

#endif
