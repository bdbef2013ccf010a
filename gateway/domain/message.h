/* One record of a lane as the gateway keeps it: raw, decoded only when a local room is named, and
 * framed at most once per transport. Shared by reference: the lane's ring and sessions' queues
 * hold it. Not what goes over a wire: that is the frame plus the session's own cursor. */
#ifndef GATEWAY_DOMAIN_MESSAGE_H
#define GATEWAY_DOMAIN_MESSAGE_H

#include "lane_source.h"
#include "layout.h"
#include "notification.h"
#include "transport.h"

struct message {
    unsigned references;
    uint32_t lane_id; /* of the hub, never reused */
    int64_t offset;
    int64_t timestamp_ms;
    uint16_t check; /* of the record; in cursors. Never 0 */
    uint8_t fault;  /* enum record_fault, as far as is known: message_decode() looks at the value */
    uint32_t room_count;
    uint32_t scope_size;
    size_t value_size;
    size_t counted;   /* what a ring has counted for it */
    bool conflatable; /* as configured; set by conflation_note() */
    bool superseded;  /* a later one of its task says all that it says to its rooms */
    uint32_t view_id; /* of the view that has counted it last; written by view.c, as what follows */
    uint32_t shown;   /* so many items of that view have it */
    struct notification *notification; /* NULL until decoded; borrows from the value */
    struct transport_frame *frames[TRANSPORT_SLOT_COUNT];
    uint64_t room_hashes[]; /* room_count of them, then the scope of the rooms, then the value */
};

/* A copy of the record with one reference, which the caller owns. `rule` says what of the record's
 * key is its rooms' scope; a key without one is a fault, and so are more rooms than `rooms_limit`.
 * Of a record that has a fault, nothing is kept but where it stands. */
struct message *message_new(uint32_t lane_id, const struct lane_record *record,
                            enum lane_scope rule, unsigned rooms_limit);
struct message *message_ref(struct message *message);
void message_unref(struct message *message);

/* Memory it takes now, frames included; without its decoded form, which does not stay. */
size_t message_bytes(const struct message *message);
/* Without frames: the same as long as it lives. */
size_t message_record_bytes(const struct message *message);

/* Whose its rooms are; borrowed. */
struct bytes message_rooms_scope(const struct message *message);

/* The value decoded, at the first call; false if it cannot be. */
bool message_decode(struct message *message);

/* Gives the decoded form back: it is as large as many a record, and hardly ever needed again once
 * the message was framed. message_decode() makes it anew. */
void message_forget_decoded(struct message *message);

/* Likewise for a frame, which must not be borrowed by anyone. */
void message_forget_frame(struct message *message, enum transport_slot slot);

/* Whether the notification names the room: the header's hash is only a filter. Decodes. */
bool message_names_room(struct message *message, struct bytes scope, struct bytes name);

/* The body for a transport, made at the first call for its slot. message_decode() was true. */
struct bytes message_frame(struct message *message, const struct transport_ops *transport);

/* Of a body that message_frame() has made: the notification itself, and its event's name, which
 * lives as long as the message. */
struct bytes message_framed_notification(const struct message *message, enum transport_slot slot,
                                         struct bytes *event);

#endif
