/* The life of a client whose connection is its session.
 *
 *      opened --> asking who it is --> session --> ending --> gone --> freed
 *         |              |                |           |
 *         '--------------'----------------'-----------'--> gone: the peer or the world closed it
 *
 * `ending`: the session is closed, what is queued still goes out, then the wire is closed.
 * `dead` (gone): the wire is not ours any more; the memory stays until the end of the turn,
 * since calls of this turn may still be on the stack. Everything that changes a client marks it
 * dirty; the turn writes and frees. */
#include "wire_client.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include <utlist.h>

#include "mem.h"

enum { REFRESH_REQUEST = 1 }; /* there is one at a time */

/* Until it is known who the client is. */
struct wire_question {
    struct identity_waiter waiter;
    struct wire_client *client;
    char *private_id, *cursor;
    bool refresh;
};

/* --- who it is -------------------------------------------------------------------------------- */

/* In the order in which they were marked. Twice is once. */
static void mark_dirty(struct wire_client *client)
{
    struct wire_clients *clients = client->clients;
    if (client->dirty)
        return;
    client->dirty = true;
    client->next_dirty = NULL;
    *clients->dirty_tail = client;
    clients->dirty_tail = &client->next_dirty;
}

static struct token_times wire_token_times(const struct wire_clients *clients)
{
    return (struct token_times){.wheel = clients->config.wheel,
                                .grace_ms = clients->config.expiry_grace_ms,
                                .now_ms = clients->now_ms,
                                .wall_ms = clients->wall_ms};
}

static void client_expire(struct timer *timer, int64_t now_ms)
{
    struct wire_client *client =
        (struct wire_client *)((char *)timer - offsetof(struct wire_client, expiry.timer));
    struct wire_clients *clients = client->clients;
    struct token_times times = wire_token_times(clients);
    assert(client->session);
    times.now_ms = now_ms;
    if (token_expiry_is_over(&client->expiry, &times)) {
        clients->ops->expiry_over(client);
        return;
    }
    clients->stats.expired++;
    clients->ops->expired(client);
}

/* The adapter must end the client: it says in its protocol why. */
static void client_refuse(struct wire_client *client, const char *reason, bool transient)
{
    client->clients->stats.refused++;
    client->clients->ops->refused(client, reason, transient);
    assert(client->ending || !client->wire);
}

/* It is known who it is. From here on the session speaks, by its stream. */
static void client_enter(struct wire_client *client, const struct identity *identity,
                         struct bytes private_id, struct bytes cursor)
{
    struct wire_clients *clients = client->clients;
    struct session_request request = {
        .transport = client->transport,
        .connection = client,
        .claims = identity->claims,
        .private_id = private_id,
        .cursor = cursor,
        .now_ms = clients->now_ms,
        .wall_ms = clients->wall_ms,
    };
    assert(!client->session);
    clients->config.random(clients->config.random_context, request.random, sizeof(request.random));
    client->session = hub_open_session(clients->config.hub, &request);
    if (!client->session) {
        client_refuse(client, "too_many_sessions", true);
        return;
    }
    struct token_times times = wire_token_times(clients);
    client->expiry.timer.fire = client_expire;
    token_expiry_set(&client->expiry, &times, identity->expires_ms);
}

/* A refused token does not end the session, which has one that holds. */
static void client_answer_refresh(struct wire_client *client, enum identity_verdict verdict,
                                  const struct identity *identity)
{
    struct token_times times = wire_token_times(client->clients);
    const char *problem = token_expiry_refresh(&client->expiry, &times, client->session,
                                               REFRESH_REQUEST, verdict, identity);
    if (problem)
        client->clients->ops->refresh_refused(client, problem, verdict == IDENTITY_TROUBLE);
    else
        client->clients->stats.refreshed++;
}

static void question_free(struct wire_question *question)
{
    free(question->private_id);
    free(question->cursor);
    free(question);
}

/* At once or later, the same three ways on; the question is freed by whichever it is. */
static void question_decided(struct wire_question *question, enum identity_verdict verdict,
                             const struct identity *identity)
{
    struct wire_client *client = question->client;
    if (question->refresh)
        client_answer_refresh(client, verdict, identity);
    else if (verdict == IDENTITY_KNOWN)
        client_enter(client, identity, bytes_of_string(question->private_id),
                     bytes_of_string(question->cursor));
    else
        client_refuse(client, identity->reason, verdict == IDENTITY_TROUBLE);
    question_free(question);
}

static void client_identity_decided(struct identity_waiter *waiter, enum identity_verdict verdict,
                                    const struct identity *identity)
{
    struct wire_question *question =
        (struct wire_question *)((char *)waiter - offsetof(struct wire_question, waiter));
    assert(question->client->question == question);
    question->client->question = NULL;
    question_decided(question, verdict, identity);
}

/* Only a question that is not answered at once becomes the client's. */
static void client_ask(struct wire_question *question, const struct identity_question *about)
{
    const struct wire_clients_config *config = &question->client->clients->config;
    struct identity identity = {0};
    assert(!question->client->question);
    question->waiter.decided = client_identity_decided;
    enum identity_verdict verdict =
        config->identity_ops->ask(config->identifier, about, &question->waiter, &identity);
    if (verdict == IDENTITY_UNDECIDED)
        question->client->question = question;
    else
        question_decided(question, verdict, &identity);
}

/* Private id and cursor are copied: the answer may come in a later turn, and the request is gone
 * then. */
void wire_client_identify(struct wire_client *client, const struct identity_question *about,
                          struct bytes private_id, struct bytes cursor)
{
    assert(!client->session && !client->question && client->transport);
    struct wire_question *question = mem_new(struct wire_question);
    question->client = client;
    question->private_id = mem_string(private_id);
    question->cursor = mem_string(cursor);
    client_ask(question, about);
}

void wire_client_refresh(struct wire_client *client, const struct identity_question *about)
{
    assert(client->session && !client->question);
    struct wire_question *question = mem_new(struct wire_question);
    question->client = client;
    question->refresh = true;
    client_ask(question, about);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Nothing happens to it any more; what is queued may still go out. */
static void client_release(struct wire_client *client)
{
    struct wire_clients *clients = client->clients;
    timer_wheel_cancel(clients->config.wheel, &client->expiry.timer);
    if (client->question) {
        clients->config.identity_ops->cancel(clients->config.identifier, &client->question->waiter);
        question_free(client->question);
        client->question = NULL;
    }
    if (client->session)
        session_close(client->session);
    client->session = NULL;
    client->awake = false;
}

/* Freed at the end of the turn. */
static void client_gone(struct wire_client *client)
{
    if (client->dead)
        return;
    client_release(client);
    client->dead = true;
    address_place_leave(&client->place);
    client->wire = NULL;
    client->clients->stats.closed++;
    client->clients->stats.connections--;
    mark_dirty(client);
}

/* Twice is once: deliver() may end a client that was ending already. The session is closed at once,
 * so the domain has nobody to offer notifications to. */
void wire_client_end(struct wire_client *client)
{
    if (client->ending || client->dead)
        return;
    client->ending = true;
    client_release(client);
    mark_dirty(client);
}

/* Their number was counted down when they went; here only memory goes. */
static void free_gone_clients(struct wire_clients *clients)
{
    while (clients->dead) {
        struct wire_client *client = clients->dead;
        assert(client->dead && !client->session && !client->wire);
        clients->dead = client->next_dirty;
        DL_DELETE(clients->clients, client);
        buffer_deinit(&client->queue);
        buffer_deinit(&client->held);
        clients->ops->freed(client);
    }
}

/* --- the wire --------------------------------------------------------------------------------- */

/* What comes behind the client's end is not looked at. */
static void client_bytes(void *receiver, struct bytes bytes, int64_t now_ms)
{
    struct wire_client *client = receiver;
    if (!client->ending)
        client->clients->ops->bytes(client, bytes, now_ms);
}

/* A mark only: writing waits for the end of the turn, when all is there that this turn brings. */
static void client_writable(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    mark_dirty(receiver);
}

/* The peer or the world ended it: what was queued has nowhere to go. */
static void client_closed(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    client_gone(receiver);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = client_bytes,
    .writable = client_writable,
    .closed = client_closed,
};

/* --- writing ---------------------------------------------------------------------------------- */

/* An adapter may hold its stream back: SSE does, until the answer is decided. */
static bool client_may_write(const struct wire_client *client)
{
    const struct wire_client_ops *ops = client->clients->ops;
    return !ops->may_write || ops->may_write(client);
}

static void move_buffer(struct buffer *from, struct buffer *to)
{
    assert(from != to);
    if (buffer_size(from))
        buffer_append(to, buffer_peek(from));
    buffer_deinit(from); /* who has nothing to say keeps no memory */
}

/* At most write_bytes at a time, so that clients take turns, and of a state one step: what the
 * socket does not take is copied, and thousands may open one room at once. What is not pulled stays
 * in the ring of its lane or in Kafka. */
static void client_pull(struct wire_client *client, struct buffer *out)
{
    struct wire_clients *clients = client->clients;
    struct delivery delivery;
    while (client->session && buffer_size(out) < clients->config.write_bytes) {
        if (!session_next(client->session, &delivery)) {
            client->awake = false;
            return;
        }
        clients->stats.messages_out++;
        clients->ops->deliver(client, &delivery, out);
        if (delivery.kind == DELIVERY_STATE && out != &client->held)
            return;
    }
}

/* What was written still goes out, within the wire's time limit. */
static void client_finish(struct wire_client *client)
{
    assert(client->ending && client->wire);
    wire_close(client->wire, WIRE_FLUSH);
    client_gone(client);
}

/* What the stream says before it may be written is kept: few steps, and bounded by write_bytes. */
static bool client_hold_back(struct wire_client *client)
{
    if (client->awake && !client->ending)
        client_pull(client, &client->held);
    return !client->ending && !client_may_write(client);
}

/* Answers, what was held back, then the stream: all in one write. */
static void client_flush(struct wire_client *client)
{
    struct wire_clients *clients = client->clients;
    struct buffer *out = &clients->out;
    assert(client->wire && !client->dead);
    if (!client->wire->writable) {
        if (client->ending)
            client_finish(client); /* its last words are lost: it has not taken what came before */
        else
            wire_want_writable(client->wire);
        return;
    }
    if (clients->ops->may_write && !client_may_write(client) && client_hold_back(client))
        return;
    buffer_clear(out);
    move_buffer(&client->queue, out);
    move_buffer(&client->held, out);
    if (client->awake)
        client_pull(client, out);
    if (buffer_size(out)) {
        clients->stats.writes++;
        wire_write(client->wire, buffer_peek(out));
    }
    if (client->ending)
        client_finish(client);
    else if (client->awake)
        wire_want_writable(client->wire);
}

/* The list is taken off before it is walked: what is marked from inside a call has its turn in the
 * next round of the loop, which follows at once. */
void wire_clients_turn(struct wire_clients *clients)
{
    struct wire_client *list = clients->dirty;
    clients->dirty = NULL;
    clients->dirty_tail = &clients->dirty;
    while (list) {
        struct wire_client *client = list;
        list = client->next_dirty;
        client->dirty = false;
        if (!client->dead)
            client_flush(client);
        else {
            client->next_dirty = clients->dead;
            clients->dead = client;
        }
    }
    /* A client that died in this turn is dirty again, and not freed twice. */
    free_gone_clients(clients);
}

int64_t wire_clients_deadline_ms(const struct wire_clients *clients)
{
    return clients->dirty ? 0 : INT64_MAX;
}

/* --- what adapters call ----------------------------------------------------------------------- */

/* Every client is in the list from here until it is freed. */
void wire_client_open(struct wire_client *client, struct wire_clients *clients, struct wire *wire,
                      const struct address_place *place)
{
    assert(!client->wire);
    client->clients = clients;
    client->wire = wire;
    client->place = *place;
    clients->stats.opened++;
    clients->stats.connections++;
    DL_APPEND(clients->clients, client);
    wire_attach(wire, &receiver_ops, client);
}

/* Marks the client: what is appended goes out at the end of the turn. */
struct buffer *wire_client_queue(struct wire_client *client)
{
    assert(!client->dead);
    mark_dirty(client);
    return &client->queue;
}

void wire_client_wake(struct wire_client *client)
{
    client->awake = true;
    mark_dirty(client);
}

void wire_clients_init(struct wire_clients *clients, const struct wire_clients_config *config,
                       const struct wire_client_ops *ops)
{
    assert(config->write_bytes > 0 && ops->deliver && ops->freed);
    *clients = (struct wire_clients){.config = *config, .ops = ops};
    clients->dirty_tail = &clients->dirty;
}

/* Clients that still write are cut off after what the wire has taken. */
void wire_clients_deinit(struct wire_clients *clients)
{
    struct wire_client *client, *next;
    DL_FOREACH_SAFE(clients->clients, client, next) {
        if (client->dead)
            continue;
        wire_close(client->wire, WIRE_FLUSH);
        client_gone(client);
    }
    wire_clients_turn(clients);
    assert(!clients->clients);
    buffer_deinit(&clients->out);
}

void wire_clients_set_time(struct wire_clients *clients, int64_t now_ms, int64_t wall_ms)
{
    assert(now_ms >= clients->now_ms);
    clients->now_ms = now_ms;
    clients->wall_ms = wall_ms;
}

void wire_clients_refuse(struct wire_clients *clients)
{
    clients->draining = true;
}

/* The oldest first. The adapter says in its protocol that they should come back. */
unsigned wire_clients_send_away(struct wire_clients *clients, unsigned count)
{
    struct wire_client *client, *next;
    unsigned sent = 0;
    DL_FOREACH_SAFE(clients->clients, client, next) {
        if (sent == count)
            break;
        if (!wire_client_is_open(client))
            continue;
        clients->ops->going_away(client);
        sent++;
    }
    return sent;
}
