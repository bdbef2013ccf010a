#include "identity_queue.h"

#include <stdlib.h>

#include "suite.h"

/* --- somebody who knows each token, and writes down which were asked about */

static char asked[64], decided_for[64];
static bool undecided; /* from now on */
static struct identity_waiter *cancelled;

static enum identity_verdict ask(void *identifier, const struct identity_question *question,
                                 struct identity_waiter *waiter, struct identity *identity)
{
    (void)identifier, (void)waiter;
    strncat(asked, (const char *)question->token.data, question->token.size);
    *identity = (struct identity){.claims = claims_of_text(question->auth)};
    return undecided ? IDENTITY_UNDECIDED : IDENTITY_KNOWN;
}

static void cancel(void *identifier, struct identity_waiter *waiter)
{
    (void)identifier;
    cancelled = waiter;
}

static const struct identity_ops ops = {.ask = ask, .cancel = cancel};

/* --- clients */

struct client {
    struct identity_waiter waiter; /* first */
    char name;
};

static void decided(struct identity_waiter *waiter, enum identity_verdict verdict,
                    const struct identity *identity)
{
    ck_assert_int_eq(verdict, IDENTITY_KNOWN);
    ck_assert(bytes_equal_string(identity->claims.text, "{}"));
    strncat(decided_for, &((struct client *)waiter)->name, 1);
}

static struct identity_queue *queue;
static struct client clients[6];

static enum identity_verdict ask_about(unsigned number)
{
    struct identity identity = {0};
    char token[] = {(char)('a' + number)};
    clients[number] = (struct client){.waiter = {.decided = decided}, .name = token[0]};
    struct identity_question question = {.token = bytes_of(token, 1), .auth = BYTES_LITERAL("{}")};
    enum identity_verdict verdict =
        identity_queue_ops.ask(queue, &question, &clients[number].waiter, &identity);
    if (verdict == IDENTITY_TROUBLE)
        ck_assert_str_eq(identity.reason, "unavailable");
    return verdict;
}

static void start(void)
{
    asked[0] = decided_for[0] = '\0';
    undecided = false;
    cancelled = NULL;
    queue = identity_queue_new(
        &(struct identity_queue_config){.ops = &ops, .per_turn = 2, .waiting = 3, .bytes = 1000});
}

START_TEST(so_many_are_asked_about_in_a_turn_and_nobody_is_overtaken)
{
    start();
    ck_assert_int_eq(ask_about(0), IDENTITY_KNOWN);
    ck_assert_int_eq(ask_about(1), IDENTITY_KNOWN);
    ck_assert(identity_queue_deadline_ms(queue) == INT64_MAX);
    for (unsigned i = 2; i < 5; i++)
        ck_assert_int_eq(ask_about(i), IDENTITY_UNDECIDED);
    ck_assert_int_eq(ask_about(5), IDENTITY_TROUBLE); /* more than may wait */
    ck_assert_str_eq(asked, "ab");
    ck_assert(identity_queue_deadline_ms(queue) == 0);
    identity_queue_turn(queue);
    ck_assert_str_eq(asked, "abcd");
    ck_assert_int_eq(ask_about(5), IDENTITY_UNDECIDED);
    identity_queue_turn(queue);
    ck_assert_str_eq(decided_for, "cdef");
    ck_assert_uint_eq(identity_queue_stats(queue)->waiting, 0);
    ck_assert_uint_eq(identity_queue_stats(queue)->deferred, 4);
    ck_assert_uint_eq(identity_queue_stats(queue)->refused, 1);
    identity_queue_turn(queue);
    ck_assert_int_eq(ask_about(0), IDENTITY_KNOWN);
    identity_queue_free(queue);
}
END_TEST

START_TEST(what_waits_is_bounded_by_bytes)
{
    static char large[998];
    struct client client = {.waiter = {.decided = decided}};
    struct identity identity;
    struct identity_question question = {.token = bytes_of(large, sizeof(large))};
    start();
    for (unsigned i = 0; i < 3; i++)
        (void)ask_about(i); /* three bytes of the third wait */
    ck_assert_uint_eq(identity_queue_stats(queue)->bytes, 3);
    ck_assert_int_eq(identity_queue_ops.ask(queue, &question, &client.waiter, &identity),
                     IDENTITY_TROUBLE);
    identity_queue_turn(queue);
    ck_assert_uint_eq(identity_queue_stats(queue)->bytes, 0);
    identity_queue_free(queue);
}
END_TEST

START_TEST(who_goes_is_not_asked_about)
{
    start();
    for (unsigned i = 0; i < 4; i++)
        (void)ask_about(i);
    identity_queue_ops.cancel(queue, &clients[2].waiter);
    ck_assert_ptr_null(cancelled);
    undecided = true;
    identity_queue_turn(queue);
    ck_assert_str_eq(asked, "abd");
    ck_assert_str_eq(decided_for, "");
    identity_queue_ops.cancel(queue, &clients[3].waiter); /* it is not ours any more */
    ck_assert_ptr_eq(cancelled, &clients[3].waiter);
    identity_queue_free(queue);
}
END_TEST

TEST_PROGRAM("identity_queue", so_many_are_asked_about_in_a_turn_and_nobody_is_overtaken,
             what_waits_is_bounded_by_bytes, who_goes_is_not_asked_about)
