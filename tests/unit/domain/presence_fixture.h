/* The presence of one gateway, by hand: its topic, what others write there, what its seats are told.
 * Random worlds are in tests/sim/presence_sim.c. */
#ifndef TESTS_UNIT_DOMAIN_PRESENCE_FIXTURE_H
#define TESTS_UNIT_DOMAIN_PRESENCE_FIXTURE_H

#include "presence.h"
#include "suite.h"

enum { LINGER = 2000 };

struct presence_world {
    struct presence *presence;
    int64_t now_ms;
    struct presence_news news; /* that told() has told last */
    char own[80];              /* key of the own beat */
    /* What was read, for those who read it again. */
    struct {
        char *key, *value;
    } * topic;
    size_t topic_size, topic_space;
};
extern struct presence_world world;

/* A world of its own; world_end() frees it. The seats must have left. */
void world_begin(uint32_t users, uint64_t entries);
void world_begin_with(uint32_t users, uint64_t entries, uint64_t tenant_entries);
/* Small limits, and all others have been heard of. */
void world_begin_known(void);
void world_end(void);

/* A seat in task:1 of a tenant; a watcher's is told who else is there. */
struct presence_seat *enter(const char *scope, const char *user);
struct presence_seat *watcher(const char *scope, const char *user);
/* In another task's room. */
struct presence_seat *enter_task(const char *scope, size_t task, const char *user);
void leave(struct presence_seat *seat);

/* Runs it for so long. */
void pass(int64_t ms);

/* A record comes. Value NULL: a tombstone. */
void reads(const char *key, const char *value);
/* The worker `w` lives, and has this user in acme's task:1. */
void reads_another(const char *user);
/* One of the worker's, of a room. */
void reads_list(const char *worker, const char *scope, const char *room, const char *value);
/* Its own, come back. */
void beats(unsigned count);
/* Once more, what came then. */
void read_at(size_t offset);
/* There is one of its key behind it. */
bool is_compacted(size_t offset);

/* The news as JSON, or "": there are none. Until the next call. */
const char *told(struct presence_seat *seat);
/* key=value of what is written, all batches. Until the next call. */
const char *written(void);

#endif
