/* A lane, whose first records are gone, and its state topic, of the room task:1. What the source is
 * asked is answered when a test says so. */
#ifndef TESTS_UNIT_DOMAIN_VIEWS_FIXTURE_H
#define TESTS_UNIT_DOMAIN_VIEWS_FIXTURE_H

#include "hand_source.h"
#include "hub_state.h"
#include "suite.h"
#include "views.h"

enum {
    SESSIONS = 4,
    ROWS_MOST = 2000,
    LANE_BEGINS = 5,
    IDLE_MS = 60000,
    OPEN_TIMEOUT_MS = 20000,
};

struct views_row {
    struct buffer value;
    struct buffer key;
    int64_t timestamp_ms;
    uint64_t layout;
};

struct views_world {
    struct hub *hub;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    struct hand_source source;
    struct views_row lane[ROWS_MOST], kept[ROWS_MOST]; /* kept: in the state topic */
    int64_t lane_end, kept_end;
    int64_t now_ms;
    struct session *sessions[SESSIONS];
    bool blocked[SESSIONS]; /* its client does not read */
    unsigned encoded;       /* notifications */
    /* What each was given since EXPECT() looked: "[x y ]" items by their ids, "!" before the first, "+"
     * joined with how many, "..." if that may not be all; "x" live; "-" refused. */
    char said[SESSIONS][4096];
};
extern struct views_world world;

#define EXPECT(who, text)                        \
    do {                                         \
        ck_assert_str_eq(world.said[who], text); \
        world.said[who][0] = '\0';               \
    } while (0)

/* The topic has items a and b, of which the lane knows nothing any more; session 0 is there. */
void world_begin(void);
void world_end(void);
const struct hub_stats *stats(void);
int64_t wall_ms(void);

/* A record, by its id, about an item: "a", or "-a", which takes it out. */
void write_lane(const char *id, const char *word);
void write_kept(const char *id, const char *word);
struct lane_record lane_record_at(int64_t offset, struct buffer *value);

/* A session, its question for the room's state, and all that the hub asks for that, answered. */
void connect_session(unsigned who);
void ask(unsigned who);
void ask_and_load(unsigned who);

/* The source answers, one by one: where topic and lane end, a record of the topic, that it is read. */
void answer_kept(int64_t first);
void answer_lane(int64_t end);
void fail_ends(enum status status);
void give_kept(int64_t offset);
void end_kept(enum status status);
/* All records that were asked for. */
void read_kept(void);
/* All that is asked, as it is. */
void load(void);

/* The hub's, so much later. */
void turn(int64_t later_ms);
/* Turns, with whatever is to be read back, until nothing is left to do. */
void rest(void);

/* As the transport does it: what the session has goes into `said`, if its client reads. */
void take(struct session *session, void *connection);
extern const struct transport_ops views_transport;

#endif
