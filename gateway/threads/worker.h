/* A thread that runs what blocks, one job after the other, so that the event loop never does. Not a
 * pool: who must not wait for somebody else's job has a worker of its own.
 *
 * A job goes to the thread and comes back: run() on the thread, done() on the loop, in order. Only
 * one side has it at any time, so jobs need no locks; the only lock is in here. */
#ifndef GATEWAY_THREADS_WORKER_H
#define GATEWAY_THREADS_WORKER_H

#include <stdbool.h>

#include "status.h"

struct worker;

/* Embedded in what it works on. */
struct worker_job {
    void (*run)(struct worker_job *job);  /* on the thread; may block for some seconds */
    void (*done)(struct worker_job *job); /* on the loop, from worker_collect(); may free the job */
    struct worker_job *next;
};

/* `wake_descriptor` is an eventfd of the caller, written when a job is done. */
enum status worker_open(int wake_descriptor, struct worker **worker,
                        struct error *error) MUST_CHECK;

/* Waits for the job that is being run. Jobs that were not collected are dropped: their owner frees
 * them. NULL is fine. */
void worker_close(struct worker *worker);

/* The job is the worker's until its done() is called. */
void worker_submit(struct worker *worker, struct worker_job *job);

/* Calls done() of what has been run since. */
void worker_collect(struct worker *worker);

/* True once worker_close() was called: a job that blocks in slices may stop early. Any thread. */
bool worker_is_closing(const struct worker *worker);

#endif
