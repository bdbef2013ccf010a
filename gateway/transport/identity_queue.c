/* A queue in front of whoever judges tokens. A question is asked at once while this turn has checks
 * left and nobody waits; else it is copied, since its texts are the caller's, and asked in a later
 * turn. So the order of questions is the order of answers that the judge gives at once, and no
 * client passes another.
 *
 * The waiter's `queued` says where it is: set, it stands here; not set, the judge has it. */
#include "identity_queue.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "mem.h"

/* A question whose turn has not come. */
struct queued {
    struct identity_waiter *waiter;
    char *token, *auth;
    size_t token_size, auth_size;
    struct queued *prev, *next;
};

struct identity_queue {
    struct identity_queue_config config;
    struct identity_queue_stats stats;
    struct queued *first; /* DL list, oldest first */
    unsigned left;        /* checks of this turn */
};

/* Beyond the limits the client is told that this is trouble of ours: it may come again as it is,
 * and should not throw its token away. */
static enum identity_verdict defer(struct identity_queue *queue,
                                   const struct identity_question *question,
                                   struct identity_waiter *waiter, struct identity *identity)
{
    uint64_t bytes = question->token.size + question->auth.size;
    if (queue->stats.waiting >= queue->config.waiting ||
        bytes > queue->config.bytes - queue->stats.bytes) {
        queue->stats.refused++;
        *identity = (struct identity){.reason = "unavailable"};
        return IDENTITY_TROUBLE;
    }
    struct queued *queued = mem_new(struct queued);
    queued->waiter = waiter;
    queued->token = mem_string(question->token);
    queued->token_size = question->token.size;
    queued->auth = mem_string(question->auth);
    queued->auth_size = question->auth.size;
    DL_APPEND(queue->first, queued);
    queue->stats.waiting++;
    queue->stats.bytes += bytes;
    assert(queue->stats.bytes <= queue->config.bytes);
    queue->stats.deferred++;
    waiter->queued = queued;
    return IDENTITY_UNDECIDED;
}

static enum identity_verdict queue_ask(void *identifier, const struct identity_question *question,
                                       struct identity_waiter *waiter, struct identity *identity)
{
    struct identity_queue *queue = identifier;
    const struct identity_queue_config *config = &queue->config;
    assert(!waiter->queued);
    if (queue->left == 0 || queue->first) /* nobody is overtaken */
        return defer(queue, question, waiter, identity);
    queue->left--;
    return config->ops->ask(config->identifier, question, waiter, identity);
}

/* Out of the queue; its texts are still to be freed. */
static void take_out(struct identity_queue *queue, struct queued *queued)
{
    assert(queue->stats.waiting > 0 && queued->waiter->queued == queued);
    queued->waiter->queued = NULL;
    DL_DELETE(queue->first, queued);
    queue->stats.waiting--;
    queue->stats.bytes -= queued->token_size + queued->auth_size;
    assert(queue->first || queue->stats.bytes == 0);
}

static void queued_free(struct queued *queued)
{
    free(queued->token);
    free(queued->auth);
    free(queued);
}

/* The waiter goes: it is taken out here, or the judge is told. */
static void queue_cancel(void *identifier, struct identity_waiter *waiter)
{
    struct identity_queue *queue = identifier;
    struct queued *queued = waiter->queued;
    if (!queued) {
        queue->config.ops->cancel(queue->config.identifier, waiter);
        return;
    }
    take_out(queue, queued);
    queued_free(queued);
}

const struct identity_ops identity_queue_ops = {.ask = queue_ask, .cancel = queue_cancel};

/* A question leaves the queue before it is asked: decided() may end other clients, and so cancel
 * what waits here. */
void identity_queue_turn(struct identity_queue *queue)
{
    const struct identity_queue_config *config = &queue->config;
    for (queue->left = config->per_turn; queue->left && queue->first; queue->left--) {
        struct queued *queued = queue->first;
        struct identity_waiter *waiter = queued->waiter;
        struct identity_question question = {
            .token = bytes_of(queued->token, queued->token_size),
            .auth = bytes_of(queued->auth, queued->auth_size),
        };
        struct identity identity = {0};
        take_out(queue, queued);
        enum identity_verdict verdict =
            config->ops->ask(config->identifier, &question, waiter, &identity);
        if (verdict != IDENTITY_UNDECIDED)
            waiter->decided(waiter, verdict, &identity); /* may cancel others that wait here */
        queued_free(queued);
    }
}

int64_t identity_queue_deadline_ms(const struct identity_queue *queue)
{
    return queue->first ? 0 : INT64_MAX;
}

const struct identity_queue_stats *identity_queue_stats(const struct identity_queue *queue)
{
    return &queue->stats;
}

struct identity_queue *identity_queue_new(const struct identity_queue_config *config)
{
    assert(config->ops && config->per_turn > 0);
    struct identity_queue *queue = mem_new(struct identity_queue);
    queue->config = *config;
    queue->left = config->per_turn;
    return queue;
}

void identity_queue_free(struct identity_queue *queue)
{
    assert(!queue || !queue->first);
    free(queue);
}
