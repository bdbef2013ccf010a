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
    if (failed)
        (void)end_handle(ending);
    else
        pthread_detach(thread);
}
