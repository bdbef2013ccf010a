/* The port through which the hub reads lanes. Implemented over librdkafka in kafka/ and by an array
 * in the simulation. Calls return at once and answer later through hub.h, never from inside the
 * call. */
#ifndef GATEWAY_DOMAIN_LANE_SOURCE_H
#define GATEWAY_DOMAIN_LANE_SOURCE_H

#include "bytes.h"
#include "layout.h"
#include "status.h"

struct lane;

/* A lane as the source knows it: the hub's own handle is passed back with every answer. */
struct lane_source_ops {
    /* Resolve the lane's ends to numbers, then read it from its end: answered by hub_lane_opened()
     * or hub_lane_unavailable(), then hub_record() for each record. A topic that does not exist yet
     * is waited for. */
    void (*open)(void *source, struct lane *lane, const char *topic, int32_t partition);
    /* Stop reading; no answer may name the lane after this call. */
    void (*close)(void *source, struct lane *lane);
    /* Forget where the lane was read and do as open does. */
    void (*reopen)(void *source, struct lane *lane);
    /* Ask the broker for the lane's ends now: answered by hub_lane_ends(). */
    void (*ends)(void *source, struct lane *lane);
    /* Read [from, to) once, apart from the live reading: hub_scan_record() for each record, then
     * hub_scan_ended(). The source may pause when hub_scan_record() says so, and goes on when
     * scan_resume is called. One scan per lane at a time. */
    void (*scan)(void *source, struct lane *lane, int64_t from, int64_t to);
    void (*scan_resume)(void *source, struct lane *lane);
    /* Gives up a running scan; no further answer for it comes. */
    void (*scan_cancel)(void *source, struct lane *lane);

    /* Of lanes whose state is kept (state_load.h); not called if hub_config.state.bytes is 0. */

    /* Ask where the lane's state topic ends (`of_lane`: the lane itself), by its high watermark and
     * not by what readers can reach: answered by hub_state_ends(). */
    void (*state_ends)(void *source, struct lane *lane, bool of_lane, unsigned question);
    /* Read [from, to) of it once: hub_state_record() for each record, then hub_state_read(), when
     * the position is at `to`. One reading per lane at a time. */
    void (*state_read)(void *source, struct lane *lane, int64_t from, int64_t to);
    /* Gives both up; no further answer comes. */
    void (*state_cancel)(void *source, struct lane *lane);
};

/* Where a log begins and ends; of the lane, only its end is looked at. */
struct state_ends {
    unsigned question;
    enum status
        status; /* STATUS_OK; STATUS_UNAVAILABLE: not now; else there is no such topic, or it
                           is not read */
    int64_t first, end;
};

/* Why a record is passed over: nobody is given it, and it is counted. */
enum record_fault {
    RECORD_SOUND,
    RECORD_BAD_KEY,   /* none that a lane of the layout has: too long, or without a scope */
    RECORD_BAD_ROOMS, /* a header of rooms that is none, or names fewer than the value; too many */
    RECORD_BAD_VALUE, /* no notification */
    RECORD_FAULTS
};

/* A record of a fan-out topic, as somebody wrote it: nothing in it is taken for granted. Borrowed
 * during the call. */
struct lane_record {
    int64_t offset;
    int64_t timestamp_ms;
    struct bytes key;
    struct bytes value;
    struct bytes room_hashes; /* header: 8 bytes each, little endian */
    uint64_t layout;          /* header: layout_revision() of its producer; 0: not said */
    bool about_item;          /* header: it is about an item, which its value names */
};

#endif
