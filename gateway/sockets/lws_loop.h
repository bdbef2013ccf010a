/* The event loop of the process: libwebsockets on libev, or on its own poll() where the plug-in is
 * missing. Descriptors of others (Kafka's event descriptor, signals), chores at the end of each
 * turn, and the service clock. Not the sockets of clients: see lws_server.h.
 *
 * A turn: read the clock, call back for what is ready, run the chores in the order in which they
 * were added, sleep until the earliest deadline that a chore names. Everything runs in the thread
 * that calls lws_loop_run(). */
#ifndef GATEWAY_SOCKETS_LWS_LOOP_H
#define GATEWAY_SOCKETS_LWS_LOOP_H

#include "bytes.h"
#include "status.h"

struct lws_loop;
struct lws_watch;
struct lws_context;

/* At most. Beyond 10 million libwebsockets falls back to 2,560; it also has tables of that size. */
enum { LWS_LOOP_DESCRIPTORS = 1024 * 1024 };

struct lws_loop_config {
    uint64_t descriptors; /* that the process will need; 0: as many as it may have */
    int64_t gap_limit_ms; /* service_clock.h; 0: 200 */
    uint32_t read_bytes;  /* most bytes read from a socket at once; 0: 32 KiB */
    bool poll;            /* do without libev */
    bool tls;             /* some server will use TLS */
};

/* Sets the limit of descriptors of the process to what it will need, or to what the hard limit and
 * libwebsockets allow if that is less. */
enum status lws_loop_new(const struct lws_loop_config *config, struct lws_loop **loop,
                         struct error *error) MUST_CHECK;
/* All servers and watches must have been closed. NULL is fine. */
void lws_loop_free(struct lws_loop *loop);

/* Returns when lws_loop_stop() was called, after the chores of that turn. May be called again. */
void lws_loop_run(struct lws_loop *loop);
void lws_loop_stop(struct lws_loop *loop);

/* Service time of this turn. */
int64_t lws_loop_now_ms(struct lws_loop *loop);
/* How often the process could not run for longer than the gap limit. */
uint64_t lws_loop_gaps(const struct lws_loop *loop);
/* How long all of them were. */
int64_t lws_loop_stopped_ms(const struct lws_loop *loop);
/* "libev" or "poll" */
const char *lws_loop_backend(const struct lws_loop *loop);

struct lws_chore {
    void (*run)(void *context, int64_t now_ms);
    int64_t (*deadline_ms)(
        void *context); /* in service time, INT64_MAX: none; the whole function may be NULL */
    void *context;
};

enum { LWS_LOOP_CHORES = 16 };

/* Copied. At most LWS_LOOP_CHORES. */
void lws_loop_add_chore(struct lws_loop *loop, const struct lws_chore *chore);
/* Called between the events of a turn that takes long: thousands of sockets may have something to
 * say in one. */
void lws_loop_set_between(struct lws_loop *loop, void (*run)(void *context, int64_t now_ms),
                          void *context);
/* Removes the chores of this context. Not from inside a chore. */
void lws_loop_remove_chores(struct lws_loop *loop, const void *context);

/* Calls back in each turn in which the descriptor is readable, until the callback has read it empty
 * or it is unwatched. The descriptor stays the caller's. NULL: no descriptor left. */
struct lws_watch *lws_loop_watch(struct lws_loop *loop, int descriptor,
                                 void (*readable)(void *context, int64_t now_ms), void *context);
/* The same for one whose callback makes connections: libwebsockets sees it too, and with it that
 * timers of theirs are to be set. */
struct lws_watch *lws_loop_watch_listener(struct lws_loop *loop, int descriptor,
                                          void (*readable)(void *context, int64_t now_ms),
                                          void *context);
/* Of a listener: not called back until it is resumed. */
void lws_loop_pause_watch(struct lws_watch *watch, bool paused);
/* Also from inside its own callback. NULL is fine. The descriptor must still be open. */
void lws_loop_unwatch(struct lws_watch *watch);

/* Blocks the signals in this thread (and in threads started later) and calls back for each. Once
 * per loop; `signals` ends with 0. */
enum status lws_loop_on_signal(struct lws_loop *loop, const int *signals,
                               void (*received)(void *context, int signal), void *context,
                               struct error *error) MUST_CHECK;

/* For lws_server.c only. */
struct lws_context *lws_loop_context(struct lws_loop *loop);
/* After each event of a socket, from no other place: whoever is called expects to be alone. */
void lws_loop_breathe(struct lws_loop *loop);

#endif
