/* Two queues and a thread. The mutex guards the queues alone and is never held while a job runs, so
 * that the loop, which takes it too, waits for a few instructions at most.
 *
 *     loop: submit -> todo -> (thread: run) -> run -> loop: collect, done
 *
 * The invariant: a job is in one queue, or with the thread, or its owner's. Nothing of it is
 * touched by two sides. */
#include "worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "event_descriptor.h"
#include "mem.h"

struct job_queue {
    struct worker_job *first;
    struct worker_job **last;
};

struct worker {
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the queues */
    pthread_cond_t wanted;
    struct job_queue todo;
    struct job_queue run;
    atomic_bool closing;
    int wake_descriptor;
};

static void queue_init(struct job_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct job_queue *queue, struct worker_job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

/* With the mutex, like queue_push(). */
static struct worker_job *queue_pop(struct job_queue *queue)
{
    struct worker_job *job = queue->first;
    if (!job)
        return NULL;
    queue->first = job->next;
    if (!queue->first)
        queue->last = &queue->first;
    return job;
}

static void *run_jobs(void *context)
{
    struct worker *worker = context;
    pthread_mutex_lock(&worker->mutex);
    while (!atomic_load(&worker->closing)) {
        struct worker_job *job = queue_pop(&worker->todo);
        if (!job) {
            pthread_cond_wait(&worker->wanted, &worker->mutex);
            continue;
        }
        pthread_mutex_unlock(&worker->mutex);
        job->run(job);
        pthread_mutex_lock(&worker->mutex);
        queue_push(&worker->run, job);
        event_descriptor_signal(worker->wake_descriptor);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

enum status worker_open(int wake_descriptor, struct worker **worker, struct error *error)
{
    struct worker *made = mem_new(struct worker);
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->wanted, NULL);
    queue_init(&made->todo);
    queue_init(&made->run);
    made->wake_descriptor = wake_descriptor;

    /* Signals are the loop's. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&made->thread, NULL, run_jobs, made);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        pthread_cond_destroy(&made->wanted);
        pthread_mutex_destroy(&made->mutex);
        free(made);
        return error_set(error, STATUS_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
    }
    *worker = made;
    return STATUS_OK;
}

/* From the loop. The owner of jobs frees them after this, and not before: one of them may be
 * running. The run queue is dropped and not collected: done() would tell those who are ending as
 * well. */
void worker_close(struct worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->mutex);
    /* Under the mutex, or the thread could go to sleep between its look and the signal. */
    atomic_store(&worker->closing, true);
    pthread_cond_signal(&worker->wanted);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->wanted);
    pthread_mutex_destroy(&worker->mutex);
    free(worker);
}

void worker_submit(struct worker *worker, struct worker_job *job)
{
    pthread_mutex_lock(&worker->mutex);
    queue_push(&worker->todo, job);
    pthread_cond_signal(&worker->wanted);
    pthread_mutex_unlock(&worker->mutex);
}

/* One at a time: done() may submit again, and so must find the mutex free. */
void worker_collect(struct worker *worker)
{
    for (;;) {
        pthread_mutex_lock(&worker->mutex);
        struct worker_job *job = queue_pop(&worker->run);
        pthread_mutex_unlock(&worker->mutex);
        if (!job)
            return;
        job->done(job);
    }
}

bool worker_is_closing(const struct worker *worker)
{
    return atomic_load(&worker->closing);
}
