/* Ends of librdkafka's handles that nobody waits for. rd_kafka_destroy() joins the handle's
 * threads, and one of these may sit in a system call on a connection that has died silently.
 *
 * The invariant: `pending` counts the threads that are on their way, so that who replaces handles
 * again and again can stop. A process that is told to end does not wait for them: exit() takes them
 * along. */
#include "kafka_end.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "mem.h"

struct ending {
    rd_kafka_t *client;
    int flags;
};

static atomic_uint pending;

unsigned kafka_ends_pending(void)
{
    return atomic_load(&pending);
}

static void *end_handle(void *context)
{
    struct ending *ending = context;
    rd_kafka_destroy_flags(ending->client, ending->flags);
    free(ending);
    unsigned before = atomic_fetch_sub(&pending, 1);
    assert(before > 0);
    return NULL;
}

void kafka_end_later(rd_kafka_t *client, int flags)
{
    struct ending *ending = mem_new(struct ending);
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    assert(client);
    *ending = (struct ending){.client = client, .flags = flags};
    atomic_fetch_add(&pending, 1);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, end_handle, ending);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* No thread to be had: waiting is better than a handle that stays. */
    if (failed)
        (void)end_handle(ending);
    else
        pthread_detach(thread);
}
