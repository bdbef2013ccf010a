/* A world for the gateway's core: a broker that is an array, gateways that are hubs, clients that
 * behave as the stock one does, and a clock that only the simulation moves. Everything random comes
 * from one seed, so that a failing run replays.
 *
 *   sim_broker.c   lanes as arrays of records; each gateway's source: slow, bursty, away, killed
 *   sim_client.c   connect, take deliveries from a lossy wire, keep the cursor, check what comes
 *   sim_orders.c   what the backend orders, and that it is done
 *   sim_state.c    what a room shows, from the definition
 *   sim_kept.c     state topics: transactions over two logs, compaction, and how they are read
 *   sim_hostile.c  the one that does not: floods, forged and stolen cursors
 *   gateway_sim.c  faults, steps, invariants at rest */
#ifndef TESTS_SIM_SIM_WORLD_H
#define TESTS_SIM_SIM_WORLD_H

#include "buffer.h"
#include "conflation.h"
#include "hub.h"
#include "notification.h"
#include "policy.h"

enum {
    SIM_LANES = 6,
    SIM_GATEWAYS = 3,
    SIM_CLIENTS = 12,
    SIM_ROOMS = 24,
    SIM_WIRE = 64,
    SIM_INTRUDERS = 3,
    SIM_SECRET_SIZE = 1024,
    SIM_ORDERS = 400,
    SIM_ITEMS = 7,
    SIM_DISPATCHERS = 2,
    SIM_BATCH = 12,
};

/* --- randomness ------------------------------------------------------------------------------- */

struct sim_random {
    uint64_t state;
};
uint64_t sim_next(struct sim_random *random);
/* 0 .. below - 1 */
unsigned sim_below(struct sim_random *random, unsigned below);
/* True once in `n`. */
bool sim_once_in(struct sim_random *random, unsigned n);

/* --- the broker ------------------------------------------------------------------------------- */

struct sim_record {
    bool marker; /* takes an offset, is never delivered */
    bool alien;  /* a marker too: a record that no dispatcher of ours wrote */
    int64_t offset;
    int64_t timestamp_ms;
    uint8_t *value;
    size_t value_size;
    uint8_t hashes[8 * 4];
    size_t hash_size;
    char key[64];
    bool long_key; /* another, of any length */
    unsigned task;
    bool conflatable;
    unsigned item; /* 1 .. SIM_ITEMS; 0: about none */
    bool removed;
    unsigned room_count;
    unsigned rooms[3], sequences[3];
    uint8_t state_key[64]; /* of its record in the state topic */
    size_t state_key_size;
};

/* A record of a state topic: one of the lane once more. */
struct sim_kept_record {
    bool gone; /* a marker, aborted, or compacted */
    size_t of; /* index of the lane's */
};

/* The partition of a lane's state topic. */
struct sim_kept {
    bool exists;
    int64_t first;
    struct sim_kept_record *records;
    size_t count;
    int64_t open[SIM_DISPATCHERS]; /* where a dispatcher's transaction begins; -1: none is open */
};

struct sim_lane {
    char topic[64];
    int32_t partition;
    bool exists;
    unsigned generation; /* how often it was created again */
    int64_t first;
    struct sim_record *records;
    size_t count;                  /* the end offset */
    int64_t open[SIM_DISPATCHERS]; /* as of sim_kept */
    struct sim_kept kept;
};

/* Writes items of its own, as each has partitions of the input, in transactions. */
struct sim_dispatcher {
    bool open;
    bool aborts; /* the transaction that is open will: nobody will see its records */
    bool ending; /* markers of it are still to come, in each log at another time */
    struct {
        struct sim_lane *lane;
        size_t of;      /* index of the lane's record */
    } batch[SIM_BATCH]; /* about items, for state topics */
    unsigned count;
};

/* What a room must have delivered, in order. */
struct sim_room {
    char tenant[8]; /* empty: all tenants' */
    char user[8];   /* whose alone it is; empty: the tenant's */
    char name[48];
    struct sim_lane *lane;
    char key[64];
    char scope[16];
    unsigned published; /* sequence numbers 1.. */
};

/* One gateway's reading of one lane. */
struct sim_reading {
    struct lane *lane;
    struct sim_lane *log;
    unsigned generation;
    bool wanted; /* hub asked to open, not answered */
    bool reading;
    int64_t position;
    bool ends_wanted;
    bool scanning, scan_paused;
    int64_t scan_at, scan_until;
    bool state_asked, state_of_lane; /* where the state topic ends, or the lane */
    unsigned state_question;
    bool state_reading;
    int64_t state_at, state_until;
};

struct sim_gateway {
    struct sim_world *world;
    struct hub *hub;
    struct sim_reading readings[SIM_LANES];
    struct history_limits history;
    struct state_limits state;
    size_t order_position; /* of world->orders, read */
    size_t orders_known;   /* so many there were when it began */
    bool stopped;          /* SIGSTOP */
    bool stale;            /* has lost the broker */
};

/* --- clients ---------------------------------------------------------------------------------- */

struct sim_packet {
    enum delivery_kind kind;
    char *text; /* body, or room */
    char *room; /* of a history, or a state */
    char *cursor;
    char *private_id;
    const char *reason;
    uint64_t request; /* 0: nobody asked */
    bool recovered;
    bool has_history, has_state, history_complete;
    unsigned history_count;
    bool first;       /* of a state */
    int64_t since_ms; /* likewise */
    int64_t place;    /* of a history or state, below which it lies; else -1 */
};

/* A room's past that a client has asked for, as far as it has come. */
struct sim_history {
    bool asked;
    struct history_request request;
    unsigned count, first, final; /* sequence numbers */
    long long offset;             /* of the last */
    unsigned chunks;              /* of a state */
    unsigned items[SIM_ITEMS];    /* likewise: the sequence numbers */
};

/* What a client knows of a room it is in. */
struct sim_membership {
    bool joined;
    bool asked;
    bool leaving;     /* asked to leave, not answered */
    bool uncertain;   /* the answer to that was lost: it may or may not be a member */
    unsigned last;    /* sequence number last handled */
    unsigned at_most; /* the first to come is at most this */
    bool any;         /* `last` holds */
    bool past;        /* it was history: the cursor may never have seen a record */
    struct sim_history history;
};

/* One connection as its gateway sees it. The client may be gone without the gateway knowing. */
struct sim_connection {
    struct sim_client *client; /* NULL: gone, what is written is lost */
    struct sim_gateway *gateway;
    struct session *session;
    bool ready;
    bool opened;    /* it was let in */
    int64_t issued; /* its token was, in seconds */
    struct sim_packet wire[SIM_WIRE];
    unsigned wire_count;
    struct sim_connection *next;
};

struct sim_client {
    struct sim_world *world;
    unsigned number;
    char tenant[8], user[8];
    struct sim_connection *connection; /* NULL: not connected */
    unsigned blocked;                  /* steps in which its socket takes nothing */
    char *private_id, *cursor;
    struct sim_membership rooms[SIM_ROOMS]; /* as world->rooms */
    uint64_t next_request;
    bool opened;
    int64_t issued;  /* its token was, in seconds */
    bool legal;      /* its token names the review queue */
    bool refreshing; /* has brought a fresh token, which is not answered */
    bool settled;    /* has been told more than a fresh session's rooms that were left out */
    bool switched;   /* to another user, who must not get on with the session of the one before */
    int64_t lane_offset[SIM_LANES]; /* last handled, to see doubles across rooms */
};

/* A layout, and the rooms that there are in it. Both tenants have the same names. */
struct sim_plan {
    const char *layout;                         /* a preset */
    const char *rooms, *large_tenants, *access; /* YAML; NULL: nothing */
    const char *allow;                          /* likewise; NULL: the queues */
    bool has_tenant_rooms;
    bool has_shared_rooms; /* that are all tenants' */
    bool by_user;          /* each user has tasks of its own, of the same names */
};

/* --- orders of the backend -------------------------------------------------------------------- */

struct sim_order {
    enum order_kind kind;
    enum order_scope scope;
    bool lifted;
    bool compacted; /* away, since a later one has its key */
    char tenant[8], user[8], room[48];
    int64_t not_before, written_ms, until_ms;
};

/* --- the hostile one -------------------------------------------------------------------------- */

/* One of its sessions. */
struct sim_intruder {
    struct sim_gateway *gateway;
    struct session *session; /* NULL: none */
    unsigned until;          /* the step in which it leaves */
    bool reads;              /* now and then; else nothing */
};

struct sim_hostile {
    struct sim_world *world; /* NULL: there is none in this world */
    struct sim_random random;
    struct sim_intruder intruders[SIM_INTRUDERS];
    uint64_t requests;
};

struct sim_world {
    uint64_t seed;
    unsigned step;
    struct sim_random random;
    struct sim_random items; /* of what is published */
    struct sim_random kept;  /* of what happens to state topics */
    struct sim_dispatcher dispatchers[SIM_DISPATCHERS];
    int64_t now_ms;
    const struct sim_plan *plan;
    struct layout *layout;
    struct policy *policy;
    struct conflation *conflation; /* NULL in every other world */
    struct sim_lane lanes[SIM_LANES];
    unsigned lane_count;
    struct sim_room rooms[SIM_ROOMS];
    unsigned room_count;
    struct sim_gateway gateways[SIM_GATEWAYS];
    struct sim_client clients[SIM_CLIENTS];
    struct sim_connection *connections;
    struct sim_hostile hostile;
    struct sim_order orders[SIM_ORDERS];
    size_t order_count;
    bool has_orders;   /* in this world */
    bool every_layout; /* not only the first few */
    bool quiet;        /* no more faults: everything must come to rest */
    int trace;         /* the number of a client whose doings are printed; -1: none */
    bool gaps_allowed; /* retention or re-creation has happened: fresh sessions with a reason are
                          declared gaps */
    bool lanes_recreated;
    uint64_t published, handled, recovered, fresh, caught_up, scans, conflated;
    uint64_t histories, history_messages, histories_complete, refreshed, intrusions;
    uint64_t states, states_complete, states_of_views, views_loaded, views_checked;
    uint64_t ended_by_order, kept_out, rooms_closed;
};

/* Ends the program with seed and step. */
void sim_fail(const struct sim_world *world, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((noreturn));
/* A line about a client, if it is the traced one. */
void sim_trace(const struct sim_client *client, const char *format, ...) PRINTF_LIKE(2, 3);
#define SIM_CHECK(world, condition, ...)  \
    do {                                  \
        if (!(condition))                 \
            sim_fail(world, __VA_ARGS__); \
    } while (0)

void sim_broker_init(struct sim_world *world);
void sim_broker_deinit(struct sim_world *world);
void sim_publish(struct sim_world *world);
struct sim_lane *sim_lane_of(struct sim_world *world, const char *topic, int32_t partition);
/* A new record at the end of a lane. */
struct sim_record *sim_append(const struct sim_world *world, struct sim_lane *lane);
/* Whether a client that was behind need not get the room's notification of this number. */
bool sim_is_superseded(const struct sim_world *world, unsigned room, unsigned sequence);
/* When the room's notification was published; false: the log has it no more. */
bool sim_published_at(const struct sim_world *world, unsigned room, unsigned sequence,
                      int64_t *timestamp_ms);
void sim_lane_recreate(struct sim_world *world, struct sim_lane *lane);
void sim_gateway_start(struct sim_world *world, struct sim_gateway *gateway);
void sim_gateway_kill(struct sim_gateway *gateway);
void sim_gateway_step(struct sim_gateway *gateway);
/* Whether it has read all there is. */
bool sim_gateway_at_rest(const struct sim_gateway *gateway);

void sim_client_init(struct sim_world *world, unsigned number);
void sim_client_deinit(struct sim_client *client);
void sim_client_step(struct sim_client *client);
/* The connection is gone; what was in flight is lost. `told`: the gateway knows. */
void sim_client_cut(struct sim_client *client, bool told);
/* Gateways find out about connections that are gone. */
void sim_connections_reap(struct sim_world *world, const struct sim_gateway *gateway, bool all);
/* The backend orders something. */
void sim_order(struct sim_world *world);
/* The gateway reads some of the orders. */
void sim_orders_read(struct sim_gateway *gateway);
/* Fails unless what the gateway has read is done. */
void sim_orders_check(const struct sim_gateway *gateway);
/* Fails unless the client, which is ended or refused for this reason, was named by an order. */
void sim_orders_check_end(const struct sim_client *client, const char *reason);
/* What a record to be published by this dispatcher is about. */
void sim_state_choose_item(struct sim_world *world, struct sim_record *record, unsigned dispatcher);
/* Now and then: fails unless the view of a lane, if it has one that is exact, is the fold of it. */
void sim_state_check_view(const struct sim_gateway *gateway, const struct sim_reading *reading);

/* --- state topics, and the transactions that write them --- */

/* A dispatcher that may write, with a transaction open in the lane, where its next record will be;
 * -1: all are ending theirs. */
int sim_kept_begin(struct sim_world *world, struct sim_lane *lane);
/* That was the record: it is about an item. */
void sim_kept_note(struct sim_world *world, struct sim_lane *lane, unsigned dispatcher,
                   const struct notification *notification);
/* Transactions end, logs are compacted. */
void sim_kept_step(struct sim_world *world);
/* Below it, all that there is can be read: the last stable offset. */
int64_t sim_lane_stable(const struct sim_lane *lane);
/* The lane is deleted, and its state topic with it. */
void sim_kept_forget(struct sim_world *world, struct sim_lane *lane);
/* A gateway's source. */
void sim_kept_ask(struct sim_reading *reading, bool of_lane, unsigned question);
void sim_kept_read(struct sim_reading *reading, int64_t from, int64_t to);
void sim_kept_cancel(struct sim_reading *reading);
void sim_kept_step_reading(struct sim_gateway *gateway, struct sim_reading *reading);
/* Below which place the history lies that is next in the session's stream; -1: none is. */
int64_t sim_state_place(const struct session *session);
/* A chunk of a state has come. */
void sim_state_take(struct sim_client *client, unsigned room, const struct sim_packet *packet);
/* All of them have: fails unless that is what the room shows at the place. How many notifications
 * the room had there. */
unsigned sim_state_check(const struct sim_client *client, unsigned room,
                         const struct sim_history *history, const struct sim_packet *packet);
/* What the hostile client does in a step. */
void sim_hostile_step(struct sim_hostile *hostile);
/* It leaves this gateway; NULL: all of them. */
void sim_hostile_forget(struct sim_hostile *hostile, const struct sim_gateway *gateway);
/* Fails unless the client got everything it was promised. */
void sim_client_check_complete(const struct sim_client *client);

#endif
