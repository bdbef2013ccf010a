/* The event loop: libwebsockets' own, with libev under it if there is, or poll(). One turn is:
 * sleep, call back for each descriptor, run the chores.
 *
 *     plan_sleep -> ev_run / lws_service -> chores -> reap_watches
 *                    |-> callbacks, and `between` if they take long
 *
 * The invariant: time stands still during a turn. It is read once, when it is first asked for, so
 * that all that happens in a turn happens at one moment. Only breathing and going to sleep look at
 * the true clock.
 *
 * Threads: one, which is also the one that takes signals. Others reach it through a descriptor that
 * it watches (threads/event_descriptor.h), and by nothing else. */
#include "lws_loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <ev.h>
#include <libwebsockets.h>

#include "clocks.h"
#include "log.h"
#include "mem.h"
#include "service_clock.h"

enum {
    GAP_LIMIT_DEFAULT_MS = 200,
    READ_BYTES_DEFAULT = 32 * 1024,
    BREATH_MS = 2,
};

struct lws_watch {
    struct lws_loop *loop;
    struct lws *wsi; /* NULL: libev's, or given up */
    ev_io io;
    void (*readable)(void *context, int64_t now_ms);
    void *context;
    struct lws_watch *next_dead;
};

struct lws_loop {
    struct lws_context *context;
    struct lws_vhost *watches;
    struct ev_loop *ev; /* NULL: poll */
    ev_timer timer;
    lws_sorted_usec_list_t sul;
    struct service_clock clock;
    bool stale; /* the clock must be read before it is used */
    bool stopped;
    struct lws_chore chores[LWS_LOOP_CHORES];
    size_t chore_count;
    void (*between)(void *context, int64_t now_ms);
    void *between_context;
    int64_t breath_ms; /* when `between` may be called: sockets get half of the time, or more */
    bool in_events;
    struct lws_watch *dead; /* unwatched; freed at the end of the turn */
    struct lws_watch *signals;
    int signal_descriptor;
    void (*received)(void *context, int signal);
    void *received_context;
};

/* A process that was stopped (SIGSTOP, a frozen container) wakes up with every deadline passed.
 * service_clock takes such gaps out: clients are not thrown out for our own absence. */
int64_t lws_loop_now_ms(struct lws_loop *loop)
{
    if (loop->stale) {
        loop->stale = false;
        uint64_t gaps = loop->clock.gaps;
        int64_t skew_ms = loop->clock.skew_ms;
        int64_t now_ms = monotonic_ms();
        loop->breath_ms = now_ms + BREATH_MS;
        service_clock_read(&loop->clock, now_ms);
        if (loop->clock.gaps != gaps)
            log_warning("process was stopped or starved; deadlines moved",
                        LOG_INTEGER("gap_ms", loop->clock.skew_ms - skew_ms));
    }
    return loop->clock.now_ms;
}

uint64_t lws_loop_gaps(const struct lws_loop *loop)
{
    return loop->clock.gaps;
}

int64_t lws_loop_stopped_ms(const struct lws_loop *loop)
{
    return loop->clock.skew_ms;
}

const char *lws_loop_backend(const struct lws_loop *loop)
{
    return loop->ev ? "libev" : "poll";
}

struct lws_context *lws_loop_context(struct lws_loop *loop)
{
    return loop->context;
}

/* ---- Watches ---- */

static int watch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t size)
{
    (void)user, (void)in, (void)size;
    struct lws_watch *watch = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (!watch)
        return 0;
    if (reason == LWS_CALLBACK_RAW_RX_FILE)
        watch->readable(watch->context, lws_loop_now_ms(watch->loop));
    /* libwebsockets has given the descriptor up by itself, as it does after an error on it. */
    else if (reason == LWS_CALLBACK_RAW_CLOSE_FILE)
        watch->wsi = NULL;
    return 0;
}

struct lws_watch *lws_loop_watch_listener(struct lws_loop *loop, int descriptor,
                                          void (*readable)(void *context, int64_t now_ms),
                                          void *context)
{
    /* libwebsockets closes what it adopts, so it gets a descriptor of its own. */
    int own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return NULL;
    struct lws_watch *watch = mem_new(struct lws_watch);
    *watch = (struct lws_watch){.loop = loop, .readable = readable, .context = context};
    lws_adopt_desc_t adoption = {
        .vh = loop->watches, .type = LWS_ADOPT_RAW_FILE_DESC, .vh_prot_name = "watch"};
    adoption.fd.filefd = own;
    adoption.opaque = watch;
    watch->wsi = lws_adopt_descriptor_vhost_via_info(&adoption);
    if (!watch->wsi) {
        free(watch);
        return NULL;
    }
    return watch;
}

static void watch_readable(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev, (void)events;
    const struct lws_watch *watch = io->data;
    watch->readable(watch->context, lws_loop_now_ms(watch->loop));
}

/* Without libwebsockets where that can be: after each event of its own it has the loop go round once
 * more, with a system call and all chores, and this is how notifications arrive. */
struct lws_watch *lws_loop_watch(struct lws_loop *loop, int descriptor,
                                 void (*readable)(void *context, int64_t now_ms), void *context)
{
    if (!loop->ev)
        return lws_loop_watch_listener(loop, descriptor, readable, context);
    struct lws_watch *watch = mem_new(struct lws_watch);
    *watch = (struct lws_watch){.loop = loop, .readable = readable, .context = context};
    ev_io_init(&watch->io, watch_readable, descriptor, EV_READ);
    watch->io.data = watch;
    ev_io_start(loop->ev, &watch->io);
    return watch;
}

void lws_loop_pause_watch(struct lws_watch *watch, bool paused)
{
    assert(!ev_is_active(&watch->io)); /* listeners are paused */
    if (watch->wsi)
        lws_rx_flow_control(watch->wsi, !paused);
}

/* Often called from inside of the watch's own callback: the rest is done at the end of the turn.
 * Until then the opaque pointer, which is NULL, keeps callbacks away. */
void lws_loop_unwatch(struct lws_watch *watch)
{
    if (!watch)
        return;
    struct lws_loop *loop = watch->loop;
    watch->next_dead = loop->dead;
    loop->dead = watch;
    if (ev_is_active(&watch->io))
        ev_io_stop(loop->ev, &watch->io);
    if (!watch->wsi)
        return;
    lws_rx_flow_control(watch->wsi, 0);
    lws_set_opaque_user_data(watch->wsi, NULL);
}

static void reap_watches(struct lws_loop *loop)
{
    while (loop->dead) {
        struct lws_watch *watch = loop->dead;
        loop->dead = watch->next_dead;
        if (watch->wsi)
            /* How libwebsockets is told from outside of a callback to close at once. */
            lws_set_timeout(watch->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
        free(watch);
    }
}

/* ---- Chores and turns ---- */

void lws_loop_add_chore(struct lws_loop *loop, const struct lws_chore *chore)
{
    assert(loop->chore_count < LWS_LOOP_CHORES);
    loop->chores[loop->chore_count++] = *chore;
}

void lws_loop_remove_chores(struct lws_loop *loop, const void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < loop->chore_count; i++)
        if (loop->chores[i].context != context)
            loop->chores[kept++] = loop->chores[i];
    loop->chore_count = kept;
}

void lws_loop_set_between(struct lws_loop *loop, void (*run)(void *context, int64_t now_ms),
                          void *context)
{
    loop->between = run;
    loop->between_context = context;
}

/* Called after each event: thousands of sockets that have something to say in one turn must not
 * hold up what is live. As much time as `between` has taken is then left to the sockets. */
void lws_loop_breathe(struct lws_loop *loop)
{
    int64_t begin_ms = monotonic_ms();
    if (!loop->in_events || !loop->between || begin_ms < loop->breath_ms)
        return;
    loop->in_events = false;
    loop->between(loop->between_context, lws_loop_now_ms(loop));
    loop->in_events = true;
    int64_t end_ms = monotonic_ms(), took_ms = end_ms - begin_ms;
    loop->breath_ms = end_ms + (took_ms > BREATH_MS ? took_ms : BREATH_MS);
}

/* A timer that does nothing: it ends ev_run(EVRUN_ONCE), and the chores see what is due. */
static void wake_ev(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev, (void)timer, (void)events;
}

/* One that is due already is called before poll(), which would then sleep all the same. */
static void wake_sul(lws_sorted_usec_list_t *sul)
{
    lws_cancel_service(lws_container_of(sul, struct lws_loop, sul)->context);
}

/* One timer for all that is ours. libwebsockets keeps its own timers in a sorted list, in which
 * setting one is linear in their number: for each connection would be quadratic for all. */
static void plan_sleep(struct lws_loop *loop)
{
    int64_t deadline_ms = INT64_MAX;
    for (size_t i = 0; i < loop->chore_count; i++) {
        const struct lws_chore *chore = &loop->chores[i];
        int64_t wanted_ms = chore->deadline_ms ? chore->deadline_ms(chore->context) : INT64_MAX;
        if (wanted_ms < deadline_ms)
            deadline_ms = wanted_ms;
    }
    service_clock_plan(&loop->clock, deadline_ms);
    int64_t sleep_ms = service_clock_sleep_ms(&loop->clock, monotonic_ms());
    if (loop->ev) {
        ev_timer_stop(loop->ev, &loop->timer);
        if (sleep_ms < 0)
            return;
        /* libev counts from the time at which its last turn began, which a long turn has left
         * behind. */
        ev_now_update(loop->ev);
        ev_timer_set(&loop->timer, (double)sleep_ms / 1000.0, 0.);
        ev_timer_start(loop->ev, &loop->timer);
        return;
    }
    if (sleep_ms < 0)
        lws_sul_cancel(&loop->sul);
    else
        lws_sul_schedule(loop->context, 0, &loop->sul, wake_sul,
                         sleep_ms ? sleep_ms * LWS_US_PER_MS : 1);
}

/* EVRUN_ONCE: one wait, then whatever is ready. lws_service(…, 0) is the same: despite its name the
 * 0 is not a timeout, since 3.2 it waits as long as its own timers allow. */
void lws_loop_run(struct lws_loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped) {
        plan_sleep(loop);
        loop->stale = loop->in_events = true;
        if (loop->ev)
            ev_run(loop->ev, EVRUN_ONCE);
        else
            lws_service(loop->context, 0);
        loop->in_events = false;
        int64_t now_ms = lws_loop_now_ms(loop);
        for (size_t i = 0; i < loop->chore_count; i++)
            loop->chores[i].run(loop->chores[i].context, now_ms);
        reap_watches(loop);
    }
}

void lws_loop_stop(struct lws_loop *loop)
{
    loop->stopped = true;
}

/* ---- Signals ---- */

static void read_signals(void *context, int64_t now_ms)
{
    (void)now_ms;
    struct lws_loop *loop = context;
    struct signalfd_siginfo info;
    while (read(loop->signal_descriptor, &info, sizeof(info)) == (ssize_t)sizeof(info))
        loop->received(loop->received_context, (int)info.ssi_signo);
}

enum status lws_loop_on_signal(struct lws_loop *loop, const int *signals,
                               void (*received)(void *context, int signal), void *context,
                               struct error *error)
{
    assert(!loop->signals);
    sigset_t set;
    sigemptyset(&set);
    for (; *signals; signals++)
        sigaddset(&set, *signals);
    /* Threads that are started from here on inherit it: a signal is nobody's but the
     * descriptor's. */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    loop->received = received;
    loop->received_context = context;
    loop->signal_descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (loop->signal_descriptor >= 0)
        loop->signals = lws_loop_watch(loop, loop->signal_descriptor, read_signals, loop);
    if (!loop->signals)
        return error_set(error, STATUS_IO, "cannot receive signals by a descriptor");
    return STATUS_OK;
}

/* ---- Construction ---- */

static void log_line(int level, const char *line)
{
    size_t size = strcspn(line, "\n");
    if (level == LLL_ERR)
        log_error("libwebsockets", LOG_BYTES("text", bytes_of(line, size)));
    else
        log_warning("libwebsockets", LOG_BYTES("text", bytes_of(line, size)));
}

/* The soft limit is low for the sake of select(), which is used nowhere here. No more is asked for
 * than is wanted: libwebsockets has tables with an entry for each descriptor that the limit allows,
 * and goes through one of them whenever a connection closes. */
static void limit_descriptors(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t most = limit.rlim_max < LWS_LOOP_DESCRIPTORS ? limit.rlim_max : LWS_LOOP_DESCRIPTORS;
    limit.rlim_cur = wanted && wanted < most ? wanted : most;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static struct lws_context *create_context(const struct lws_loop_config *config, struct ev_loop *ev)
{
    /* All zero: no keep-alive of libwebsockets' own, whose timers stand in one sorted list. */
    static const lws_retry_bo_t no_validity;
    void *loops[] = {ev};
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .pt_serv_buf_size = config->read_bytes ? config->read_bytes : READ_BYTES_DEFAULT,
        .retry_and_idle_policy = &no_validity,
        .gid = -1,
        .uid = -1,
    };
    if (config->tls)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    if (ev) {
        info.options |= LWS_SERVER_OPTION_LIBEV;
        info.foreign_loops = loops;
    }
    return lws_create_context(&info);
}

/* libwebsockets loads its libev plug-in by itself; Debian packages it apart. */
static enum status open_context(const struct lws_loop_config *config, struct lws_loop *loop,
                                struct error *error)
{
    loop->ev = config->poll ? NULL : ev_loop_new(EVFLAG_AUTO);
    if (loop->ev) {
        loop->context = create_context(config, loop->ev);
        if (loop->context)
            return STATUS_OK;
        ev_loop_destroy(loop->ev);
        loop->ev = NULL;
        log_warning("libwebsockets has no libev plug-in; poll() is used, which is slow beyond "
                    "1,000 connections",
                    LOG_STRING("package", "libwebsockets-evlib-ev"));
    }
    loop->context = create_context(config, NULL);
    if (!loop->context)
        return error_set(error, STATUS_FATAL, "libwebsockets could not be started");
    return STATUS_OK;
}

enum status lws_loop_new(const struct lws_loop_config *config, struct lws_loop **out,
                         struct error *error)
{
    static const struct lws_protocols protocols[] = {{.name = "watch", .callback = watch_callback},
                                                     {.name = NULL}};
    lws_set_log_level(LLL_ERR, log_line);
    limit_descriptors(config->descriptors);
    struct lws_loop *loop = mem_new(struct lws_loop);
    loop->signal_descriptor = -1;
    enum status status = open_context(config, loop, error);
    if (status != STATUS_OK) {
        free(loop);
        return status;
    }
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN, .vhost_name = "watches", .protocols = protocols};
    loop->watches = lws_create_vhost(loop->context, &info);
    if (!loop->watches) {
        lws_loop_free(loop);
        return error_set(error, STATUS_FATAL, "libwebsockets could not be started");
    }
    if (loop->ev)
        ev_timer_init(&loop->timer, wake_ev, 0., 0.);
    service_clock_init(&loop->clock, monotonic_ms(),
                       config->gap_limit_ms ? config->gap_limit_ms : GAP_LIMIT_DEFAULT_MS);
    *out = loop;
    return STATUS_OK;
}

/* The context first, then libev's loop: its destruction still stops watchers in there. */
void lws_loop_free(struct lws_loop *loop)
{
    if (!loop)
        return;
    if (loop->signals)
        lws_loop_unwatch(loop->signals);
    reap_watches(loop);
    if (loop->ev)
        ev_timer_stop(loop->ev, &loop->timer);
    else
        lws_sul_cancel(&loop->sul);
    lws_context_destroy(loop->context);
    if (loop->ev)
        ev_loop_destroy(loop->ev);
    if (loop->signal_descriptor >= 0)
        close(loop->signal_descriptor);
    free(loop);
}
