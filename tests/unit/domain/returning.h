/* A client that comes back, and the gateways that it finds: what it is told is kept in words, and what
 * it needs to continue. Gateways come one after another, each with its own configuration, on one lane
 * that outlives them (hand_source.h). */
#ifndef TESTS_UNIT_DOMAIN_RETURNING_H
#define TESTS_UNIT_DOMAIN_RETURNING_H

#include "hand_source.h"

enum {
    HORIZON = 20000,     /* bytes, farther than which nothing is read back */
    LINGER_MS = 60000,   /* for which a lane without sessions is read on */
    RECORD = 100,        /* bytes of a body, at least */
    TEXT_BYTES = 1 << 16 /* more than any text of ours */
};

struct returning_world {
    struct hub *hub;
    struct hand_source source;
    struct session *session; /* the client's newest */
    int64_t end, now_ms;     /* of the log; of the hub */
    unsigned rooms;          /* of a session; 0: as many as hand_config() lets it */
    uint64_t lag;            /* cursor_lag_bytes; 0: far below the horizon */
    int takes; /* deliveries that the client still gets before it is cut off; -1: any number */
    const struct quotas_config *quotas;
    bool presence; /* tasks and users have it */
    /* What it continues with, and what it was told since it came or the test emptied this:
     * "recovered; left task:1: not_allowed; ". */
    char private_id[TEXT_BYTES], cursor[TEXT_BYTES], told[TEXT_BYTES];
};
extern struct returning_world world;

/* An empty log, and a client that has never been there and takes everything. */
void world_reset(void);

/* --- gateways */

struct gateway {
    struct layout *layout;
    struct policy *policy;
};

/* With `world.rooms`, `world.lag` and `world.quotas`. NULL: the default layout; the policy of hand_policy(). */
void gateway_start(struct gateway *gateway, const char *rooms_yaml, const char *access_yaml);

/* Closes the session that the client has, too. */
void gateway_end(struct gateway *gateway);

/* A new world, a gateway in it, and `acme` connected. */
void world_begin(struct gateway *gateway, const char *access_yaml);

/* Answers what the hub has asked, and lets so much time pass. */
void world_turn(int64_t later_ms);

/* A record of another room, or another tenant, than its header says. */
struct forged {
    const char *key;
    const char *room; /* whose hash, with acme's, stands in the header */
};

/* So many records for a room of acme; `forged` may be NULL. */
void world_publish_forged(unsigned count, const char *room_name, const struct forged *forged);
void world_publish(unsigned count, const char *room_name);

/* --- the client */

extern const char acme[];       /* claims: usr_1 of the tenant acme */
extern const char access_all[]; /* a policy: all tasks and projects may be joined */

/* Comes with the private id and the cursor that it has, if any; client_connect() waits for the answer
 * too. Sessions that it had live on. */
void client_open(const char *claims);
void client_connect(const char *claims);

/* Ends the session, and takes everything from now on. */
void client_cut_off(void);

void client_join(const char *room, uint64_t request);

/* Reads what waits, as far as `world.takes` lets it. */
void client_take(void);

#endif
