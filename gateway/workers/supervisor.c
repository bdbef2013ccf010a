/* Processes and not threads: a crash takes a part of the clients and not all, and the gateway stays
 * a program of one thread. The supervisor opens no connection and reads nothing from outside, so
 * that it is what does not crash.
 *
 * The invariant: it has no threads, neither before it forks nor after. So a child of fork() is a
 * whole process, which may go on to do anything.
 *
 * It sleeps in sigwaitinfo(): signals are its only events, and blocked everywhere else. */
#include "supervisor.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clocks.h"
#include "log.h"
#include "lws_server.h"
#include "worker_settings.h"

enum {
    DELAY_FIRST_MS = 100,
    END_GRACE_MS = 5000, /* beyond the time that workers have for their own end */
    SECRET_BYTES = (WORKER_SECRET_SIZE - 1) / 2,
};

struct worker_child {
    pid_t pid; /* 0: is not running */
    int64_t started_ms;
    int64_t start_ms; /* if it is not running: when it is started */
    unsigned failures;
};

struct supervisor {
    const struct supervisor_config *config;
    struct worker_common common;
    struct scoreboard *scoreboard;
    sigset_t signals; /* waited for */
    int ports[2];     /* descriptors that keep ports ours: of clients, of operations */
    unsigned count;
    bool settled; /* every worker has been up once */
    bool ending;
    bool failed;
    int64_t end_ms; /* ending: when patience is over */
    struct worker_child children[GATEWAY_WORKERS_LIMIT];
};

/* Doubles: a worker that dies of its configuration or its broker must not make a busy machine of
 * it. */
int64_t supervisor_delay_ms(unsigned failures)
{
    int64_t delay_ms = DELAY_FIRST_MS;
    while (failures-- > 0 && delay_ms < SUPERVISOR_DELAY_MOST_MS)
        delay_ms *= 2;
    return delay_ms < SUPERVISOR_DELAY_MOST_MS ? delay_ms : SUPERVISOR_DELAY_MOST_MS;
}

static struct scoreboard_slot child_slot(const struct supervisor *supervisor, unsigned index)
{
    return (struct scoreboard_slot){.scoreboard = supervisor->scoreboard, .index = index};
}

/* ---- Ending ---- */

static void tell_all(const struct supervisor *supervisor, int signal)
{
    for (unsigned i = 0; i < supervisor->count; i++)
        if (supervisor->children[i].pid)
            kill(supervisor->children[i].pid, signal);
}

/* Workers take SIGTERM once, however often it comes (a supervisor of processes may send it to all
 * of a group), and SIGINT, which only comes from here, for at once. */
static void end_all(struct supervisor *supervisor)
{
    tell_all(supervisor, supervisor->ending ? SIGINT : SIGTERM);
    if (supervisor->ending)
        return;
    supervisor->ending = true;
    supervisor->end_ms =
        monotonic_ms() + supervisor->config->settings->shutdown_timeout_ms + END_GRACE_MS;
}

static unsigned count_running(const struct supervisor *supervisor)
{
    unsigned count = 0;
    for (unsigned i = 0; i < supervisor->count; i++)
        count += supervisor->children[i].pid != 0;
    return count;
}

/* ---- Starting ---- */

static void release_ports(struct supervisor *supervisor)
{
    for (size_t i = 0; i < sizeof(supervisor->ports) / sizeof(supervisor->ports[0]); i++) {
        if (supervisor->ports[i] >= 0)
            close(supervisor->ports[i]);
        supervisor->ports[i] = -1;
    }
}

/* In the new process. */
static int worker_process(struct supervisor *supervisor, unsigned index, pid_t parent)
{
    const struct supervisor_config *config = supervisor->config;
    sigset_t child;
    /* Signals of a terminal go to the supervisor, which passes them on; without it, no worker. */
    (void)setpgid(0, 0);
    /* The second look: the parent may have died before the first call. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return EXIT_FAILURE;
    release_ports(supervisor);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &child, NULL);
    struct gateway_settings settings =
        worker_settings(config->settings, &supervisor->common, index);
    struct scoreboard_slot slot = child_slot(supervisor, index);
    return config->work(config->context, &settings, &slot);
}

/* Returns -1 in the supervisor, the exit code in a worker that has ended. */
static int start_worker(struct supervisor *supervisor, unsigned index)
{
    struct worker_child *child = &supervisor->children[index];
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        return worker_process(supervisor, index, parent);
    child->started_ms = monotonic_ms();
    if (pid < 0) {
        log_error("cannot start a worker", LOG_UNSIGNED("worker", index),
                  LOG_STRING("error", strerror(errno)));
        child->start_ms = child->started_ms + supervisor_delay_ms(child->failures++);
        return -1;
    }
    child->pid = pid;
    return -1;
}

static int start_due(struct supervisor *supervisor)
{
    int code = -1;
    int64_t now_ms = monotonic_ms();
    /* `code` of 0 or more: this is the worker, which has already ended; it must start nobody. */
    for (unsigned i = 0; i < supervisor->count && code < 0 && !supervisor->ending; i++)
        if (!supervisor->children[i].pid && supervisor->children[i].start_ms <= now_ms)
            code = start_worker(supervisor, i);
    return code;
}

/* ---- What happens ---- */

static bool is_settled(const struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->count; i++) {
        struct scoreboard_slot slot = child_slot(supervisor, i);
        if (!scoreboard_is_up(&slot))
            return false;
    }
    return true;
}

static void plan_restart(struct supervisor *supervisor, unsigned index, int status)
{
    struct worker_child *child = &supervisor->children[index];
    int64_t now_ms = monotonic_ms();
    if (now_ms - child->started_ms >= SUPERVISOR_HEALTHY_MS)
        child->failures = 0;
    int64_t delay_ms = supervisor_delay_ms(child->failures++);
    child->start_ms = now_ms + delay_ms;
    log_error("a worker died, it is started again", LOG_UNSIGNED("worker", index),
              LOG_INTEGER("code", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
              LOG_INTEGER("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
              LOG_INTEGER("delay_ms", delay_ms));
}

static void worker_ended(struct supervisor *supervisor, unsigned index, int status)
{
    struct scoreboard_slot slot = child_slot(supervisor, index);
    bool was_up = scoreboard_is_up(&slot);
    scoreboard_gone(&slot);
    supervisor->children[index].pid = 0;
    if (supervisor->ending) {
        supervisor->failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    } else if (!supervisor->settled && !was_up) {
        /* As a gateway without workers would: it has said what is wrong. */
        supervisor->failed = true;
        end_all(supervisor);
    } else {
        plan_restart(supervisor, index, status);
    }
}

static void reap_workers(struct supervisor *supervisor)
{
    int status;
    /* Before the reaping, which takes the dead off the board. */
    supervisor->settled |= is_settled(supervisor);
    /* Signals of a kind are merged while they are blocked: one SIGCHLD may stand for several. */
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < supervisor->count; i++)
            if (supervisor->children[i].pid == pid)
                worker_ended(supervisor, i, status);
}

/* Until a signal, or until something is due. */
static int wait_for_signal(const struct supervisor *supervisor)
{
    int64_t now_ms = monotonic_ms(), until_ms = supervisor->ending ? supervisor->end_ms : INT64_MAX;
    for (unsigned i = 0; i < supervisor->count && !supervisor->ending; i++)
        if (!supervisor->children[i].pid && supervisor->children[i].start_ms < until_ms)
            until_ms = supervisor->children[i].start_ms;
    if (until_ms == INT64_MAX)
        return sigwaitinfo(&supervisor->signals, NULL);
    int64_t wait_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    return sigtimedwait(&supervisor->signals, NULL, &wait);
}

static int supervise(struct supervisor *supervisor)
{
    int code = start_due(supervisor);
    while (code < 0 && (!supervisor->ending || count_running(supervisor) > 0)) {
        int signal = wait_for_signal(supervisor);
        if (signal == SIGHUP) {
            tell_all(supervisor, SIGHUP);
        } else if (signal == SIGTERM || signal == SIGINT) {
            end_all(supervisor);
        } else if (supervisor->ending && monotonic_ms() >= supervisor->end_ms) {
            /* Killed once; what a kernel does not end, nobody does. */
            supervisor->end_ms = INT64_MAX;
            log_error("workers did not end in time");
            tell_all(supervisor, SIGKILL);
        }
        reap_workers(supervisor);
        code = start_due(supervisor);
    }
    if (code >= 0)
        return code;
    return supervisor->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Beginning ---- */

static void make_secret(char text[WORKER_SECRET_SIZE])
{
    uint8_t secret[SECRET_BYTES];
    ssize_t got = getrandom(secret, sizeof(secret), 0);
    assert(got == sizeof(secret)); /* so few bytes come at once */
    (void)got;
    for (size_t i = 0; i < sizeof(secret); i++)
        snprintf(&text[2 * i], 3, "%02x", secret[i]);
}

static enum status take_ports(struct supervisor *supervisor, struct error *error)
{
    const struct gateway_settings *settings = supervisor->config->settings;
    struct worker_common *common = &supervisor->common;
    const struct lws_server_config clients = {.address = settings->address,
                                              .port = (uint16_t)settings->port,
                                              .share_port = settings->share_port};
    const struct lws_server_config operations = {.address = settings->operations_address,
                                                 .port = (uint16_t)settings->operations_port};
    supervisor->ports[1] = -1;
    supervisor->ports[0] = lws_server_reserve(&clients, &common->port, error);
    if (supervisor->ports[0] >= 0)
        supervisor->ports[1] = lws_server_reserve(&operations, &common->operations_port, error);
    return supervisor->ports[1] < 0 ? STATUS_IO : STATUS_OK;
}

static void block_signals(struct supervisor *supervisor)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigemptyset(&supervisor->signals);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&supervisor->signals, signals[i]);
    sigprocmask(SIG_BLOCK, &supervisor->signals, NULL);
}

int supervisor_run(const struct supervisor_config *config)
{
    struct supervisor supervisor = {.config = config, .count = (unsigned)config->settings->workers};
    struct error error;
    assert(supervisor.count > 0 && supervisor.count <= GATEWAY_WORKERS_LIMIT);
    if (take_ports(&supervisor, &error) != STATUS_OK) {
        release_ports(&supervisor);
        log_error("cannot start", LOG_STRING("error", error.text));
        return EXIT_FAILURE;
    }
    /* For this run alone: by them workers know each other, and read each other's cursors. A worker
     * takes what is configured instead, if anything is. */
    make_secret(supervisor.common.peers_secret);
    make_secret(supervisor.common.recovery_key);
    supervisor.scoreboard = scoreboard_new(supervisor.count);
    block_signals(&supervisor);
    int code = supervisor.scoreboard ? supervise(&supervisor) : EXIT_FAILURE;
    scoreboard_free(supervisor.scoreboard);
    release_ports(&supervisor);
    return code;
}
