/* Records of the topic of presence: what each gateway process says of itself. Not what follows
 * from them: presence.h.
 *
 *     key                               value
 *     ["<worker>"]                      {}                           a beat: the worker is there
 *     ["<worker>","<scope>","<room>"]   {"count":2,"users":["a","b"]}   who is in the room there
 *
 * A key without a value: that is over. A worker is a process of a gateway, from its start to its
 * end; a scope is what makes equal names of two tenants different rooms (layout.h). */
#ifndef GATEWAY_DOMAIN_PRESENCE_RECORD_H
#define GATEWAY_DOMAIN_PRESENCE_RECORD_H

#include "buffer.h"
#include "bytes.h"
#include "claims.h"
#include "layout.h"
#include "room.h"

enum {
    PRESENCE_WORKER_BYTES = 16,      /* random */
    PRESENCE_WORKER_TEXT_LIMIT = 64, /* as text, of whatever version wrote it */
    PRESENCE_USERS_MOST = 1000,      /* named in a record */
    PRESENCE_USER_LIMIT = CLAIMS_VALUE_LIMIT,
    PRESENCE_NAMES_BYTES = 64 * 1024, /* of users named in one that this program writes, and in what
                                       * a client is told; the others are counted */
    /* Each byte of a text may be an escape of six. */
    PRESENCE_KEY_LIMIT = 6 * (PRESENCE_WORKER_TEXT_LIMIT + LAYOUT_KEY_LIMIT + ROOM_NAME_LIMIT) + 16,
    PRESENCE_VALUE_LIMIT = PRESENCE_USERS_MOST * (6 * PRESENCE_USER_LIMIT + 3) + 64,
    /* The largest record that this program writes, with what Kafka puts around it. */
    PRESENCE_RECORD_BYTES =
        PRESENCE_KEY_LIMIT + 6 * PRESENCE_NAMES_BYTES + 3 * PRESENCE_USERS_MOST + 1024,
};

enum presence_fault { PRESENCE_SOUND, PRESENCE_FAULTY_KEY, PRESENCE_FAULTY_VALUE, PRESENCE_FAULTS };

/* A record that was read. Its texts lie in the space of presence_space. */
struct presence_record {
    struct bytes worker;
    bool is_beat;             /* else it is about a room: */
    struct bytes scope, room; /* scope may be empty */
    bool over;                /* it has no value */
    uint64_t count;           /* distinct users, at least user_count */
    uint32_t user_count;      /* named ones; none twice, as the writer says */
    const struct bytes *users;
};

/* Where a record's texts lie until the next one is read. Zeroed: empty. */
struct presence_space {
    struct buffer text;
    struct bytes *users;
    uint32_t capacity;
};
void presence_space_deinit(struct presence_space *space);

/* Everything is checked; what is written beside it, a later version may mean. `value` is not
 * looked at if it has none. */
enum presence_fault presence_record_read(struct bytes key, bool has_value, struct bytes value,
                                         struct presence_space *space,
                                         struct presence_record *record);

/* In the form in which they are compared, by compaction too. Scope and room: NULL for a beat. */
void presence_append_key(struct buffer *out, struct bytes worker, const struct bytes *scope,
                         const struct bytes *room);
void presence_append_beat(struct buffer *out);
/* One of a list's value: begin, each user, end. */
void presence_begin_list(struct buffer *out, uint64_t count);
void presence_append_user(struct buffer *out, struct bytes user);
void presence_end_list(struct buffer *out);

#endif
