/* Which events of clients go out, and what their senders hear. The outlet here is an array; the
 * session is what the hub would say of it. */
#include "client_events.h"

#include <stdio.h>

#include "mem.h"
#include "policy.h"
#include "review_command.h"
#include "review_id.h"
#include "suite.h"

/* --- What the hub says of the session */

struct session {
    const char *user;   /* NULL: u1 */
    const char *tenant; /* NULL: acme */
};

enum status session_may_send(const struct session *session, struct bytes event)
{
    (void)session;
    if (bytes_equal_string(event, "task.cancel") || bytes_equal_string(event, "review.claim") ||
        bytes_equal_string(event, "review.decide"))
        return STATUS_OK;
    return bytes_equal_string(event, "review.done") ? STATUS_DENIED : STATUS_NOT_FOUND;
}

bool session_is_in(const struct session *session, struct bytes room)
{
    (void)session;
    return bytes_equal_string(room, "task:42") || bytes_equal_string(room, "review:legal");
}

static int64_t quota_wait_ms;

int64_t session_spend(const struct session *session, enum quota_kind kind, int64_t now_ms)
{
    (void)session, (void)now_ms;
    ck_assert_int_eq(kind, QUOTA_EVENTS);
    return quota_wait_ms;
}

struct bytes session_user(const struct session *session)
{
    return bytes_of_string(session->user ? session->user : "u1");
}

struct bytes session_tenant(const struct session *session)
{
    return bytes_of_string(session->tenant ? session->tenant : "acme");
}

struct bytes session_public_id(const struct session *session)
{
    (void)session;
    return BYTES_LITERAL("SID");
}

/* --- An outlet */

static struct {
    struct outlet_waiter *waiters[100];
    char ids[100][40];
    char last[300];
    char source[100];
    char home[100];
    unsigned count;
    enum status answer;
    unsigned forgotten;
} outlet;

static enum status take(void *context, const struct outlet_record *record,
                        struct outlet_waiter *waiter)
{
    (void)context;
    if (outlet.answer != STATUS_OK)
        return outlet.answer;
    snprintf(outlet.last, sizeof(outlet.last), "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s",
             BYTES_PRINT(record->event), BYTES_PRINT(record->payload), BYTES_PRINT(record->user),
             BYTES_PRINT(record->tenant), BYTES_PRINT(record->session), BYTES_PRINT(record->room),
             BYTES_PRINT(record->traceparent));
    snprintf(outlet.home, sizeof(outlet.home), "%.*s", BYTES_PRINT(record->review_home));
    snprintf(outlet.source, sizeof(outlet.source), "%.*s", BYTES_PRINT(record->source));
    snprintf(outlet.ids[outlet.count], sizeof(outlet.ids[0]), "%.*s", BYTES_PRINT(record->id));
    outlet.waiters[outlet.count++] = waiter;
    return STATUS_OK;
}

static void forget(void *context, struct outlet_waiter *waiter)
{
    (void)context, (void)waiter;
    outlet.forgotten++;
}

static const struct outlet_ops outlet_ops = {.send = take, .forget = forget};

static void fill(void *context, uint8_t *out, size_t size)
{
    static uint8_t next;
    (void)context;
    memset(out, ++next, size);
}

/* --- The sender */

static struct session session;
static struct event_sender sender;
static struct client_events *events;
static unsigned answers;
static const char *last_problem;

static void answered(struct sent_event *sent, const char *problem)
{
    answers++;
    last_problem = problem;
    free(sent);
}

static void start(unsigned pending)
{
    struct client_events_config config = {.outlet_ops = &outlet_ops,
                                          .payload_bytes = 10,
                                          .pending = pending,
                                          .rate = 10,
                                          .burst = 5,
                                          .random = fill};
    memset(&outlet, 0, sizeof(outlet));
    memset(&sender, 0, sizeof(sender));
    answers = 0;
    events = client_events_new(&config);
}

static int64_t retry_after_ms; /* of the last one */

static const char *send_at(const struct client_event *event, int64_t now_ms)
{
    struct sent_event *sent = mem_new(struct sent_event);
    sent->answered = answered;
    const char *problem = client_events_send(events, &sender, &session, event, sent, now_ms);
    retry_after_ms = sent->retry_after_ms;
    if (problem)
        free(sent);
    return problem ? problem : "sent";
}

static const struct client_event cancel = {.name = BYTES_LITERAL("task.cancel")};

START_TEST(an_event_goes_out_with_whose_it_is_and_is_answered)
{
    start(10);
    struct client_event event = {.name = BYTES_LITERAL("task.cancel"),
                                 .payload = BYTES_LITERAL("{\"a\":1}"),
                                 .id = BYTES_LITERAL("id-1"),
                                 .room = BYTES_LITERAL("task:42"),
                                 .traceparent = BYTES_LITERAL("00-1-2-3")};
    ck_assert_str_eq(send_at(&event, 0), "sent");
    ck_assert_str_eq(outlet.last, "task.cancel|{\"a\":1}|u1|acme|SID|task:42|00-1-2-3");
    ck_assert_str_eq(outlet.ids[0], "id-1");
    ck_assert_uint_eq(answers, 0);
    outlet.waiters[0]->done(outlet.waiters[0], STATUS_OK);
    ck_assert_uint_eq(answers, 1);
    ck_assert_ptr_null(last_problem);
    ck_assert_uint_eq(sender.pending, 0);
    ck_assert_str_eq(send_at(&cancel, 0), "sent");
    ck_assert_str_eq(outlet.last, "task.cancel|null|u1|acme|SID||");
    ck_assert_uint_eq(strlen(outlet.ids[1]), 32);
    outlet.waiters[1]->done(outlet.waiters[1], STATUS_UNAVAILABLE);
    ck_assert_str_eq(last_problem, "unavailable");
    ck_assert_uint_eq(client_events_stats(events)->acknowledged, 1);
    ck_assert_uint_eq(client_events_stats(events)->failed, 1);
    client_events_free(events);
}
END_TEST

START_TEST(what_may_not_be_sent_is_refused_with_a_word)
{
    static const struct {
        struct client_event event;
        const char *problem;
    } cases[] = {
        {{.name = BYTES_LITERAL("nonsense")}, "unknown_event"},
        {{.name = BYTES_LITERAL("review.done")}, "not_allowed"},
        {{.name = BYTES_LITERAL("task.cancel"), .room = BYTES_LITERAL("task:43")}, "not_allowed"},
        {{.name = BYTES_LITERAL("task.cancel"), .payload = BYTES_LITERAL("\"123456789\"")},
         "too_large"},
        {{.name = BYTES_LITERAL("task.cancel"), .id = BYTES_LITERAL("a\nb")}, "bad_request"},
        {{.name = BYTES_LITERAL("task.cancel"), .traceparent = BYTES_LITERAL("a\r\nb")},
         "bad_request"},
    };
    start(10);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_str_eq(send_at(&cases[i].event, 0), cases[i].problem);
    ck_assert_uint_eq(outlet.count, 0);
    outlet.answer = STATUS_LIMIT;
    ck_assert_str_eq(send_at(&cancel, 0), "unavailable");
    ck_assert_uint_eq(sender.pending, 0);
    client_events_free(events);
}
END_TEST

START_TEST(a_burst_passes_and_then_the_rate_holds)
{
    start(100);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(send_at(&cancel, 1000), "sent");
    ck_assert_int_eq(retry_after_ms, 0);
    ck_assert_str_eq(send_at(&cancel, 1000), "rate_limited");
    ck_assert_int_eq(retry_after_ms, 100);
    ck_assert_str_eq(send_at(&cancel, 1099), "rate_limited");
    ck_assert_str_eq(send_at(&cancel, 1100), "sent"); /* 10 a second */
    ck_assert_str_eq(send_at(&cancel, 1150), "rate_limited");
    ck_assert_int_eq(retry_after_ms, 50);
    ck_assert_str_eq(send_at(&cancel, 1200), "sent");
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(send_at(&cancel, 1000000), "sent");
    ck_assert_str_eq(send_at(&cancel, 1000000), "rate_limited");
    quota_wait_ms = 700; /* of all sessions of the user */
    ck_assert_str_eq(send_at(&cancel, 2000000), "rate_limited");
    ck_assert_int_eq(retry_after_ms, 700);
    quota_wait_ms = 0;
    ck_assert_str_eq(send_at(&cancel, 2000000), "sent");
    for (unsigned i = 0; i < outlet.count; i++)
        outlet.waiters[i]->done(outlet.waiters[i], STATUS_OK);
    ck_assert_uint_eq(answers, outlet.count);
    client_events_free(events);
}
END_TEST

START_TEST(a_session_has_few_on_their_way_and_takes_them_back_when_it_ends)
{
    start(2);
    ck_assert_str_eq(send_at(&cancel, 0), "sent");
    ck_assert_str_eq(send_at(&cancel, 0), "sent");
    ck_assert_str_eq(send_at(&cancel, 0), "too_many_requests");
    outlet.waiters[0]->done(outlet.waiters[0], STATUS_OK);
    ck_assert_str_eq(send_at(&cancel, 0), "sent");
    unsigned taken = 0;
    struct sent_event *sent;
    while ((sent = client_events_take(&sender))) {
        free(sent);
        taken++;
    }
    ck_assert_uint_eq(taken, 2);
    ck_assert_uint_eq(outlet.forgotten, 2);
    ck_assert_uint_eq(answers, 1);
    client_events_free(events);
}
END_TEST

START_TEST(without_an_outlet_no_event_is_known)
{
    start(2);
    struct client_events_config config = {.random = fill};
    client_events_free(events);
    events = client_events_new(&config);
    ck_assert_str_eq(send_at(&cancel, 0), "unknown_event");
    client_events_free(events);
}
END_TEST

/* Names, ids and whose it is become headers of a record, and stand in logs. */
START_TEST(what_becomes_a_header_is_plain_and_short)
{
    static char long_name[POLICY_EVENT_NAME_LIMIT + 2];
    static const struct bytes names[] = {
        BYTES_LITERAL(""),          BYTES_LITERAL("task.\r\ncancel"),
        BYTES_LITERAL("task\x1b["), BYTES_LITERAL("task\0cancel"),
        BYTES_LITERAL("\xff"),      BYTES_LITERAL("\xc2\x85")};
    start(10);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct client_event named = {.name = names[i]};
        ck_assert_str_eq(send_at(&named, 0), "bad_event_name");
        struct client_event identified = {.name = cancel.name, .id = names[i]};
        ck_assert_str_eq(send_at(&identified, 0), names[i].size ? "bad_request" : "sent");
    }
    memset(long_name, 'a', sizeof(long_name) - 1);
    struct client_event named = {.name = bytes_of_string(long_name)};
    ck_assert_str_eq(send_at(&named, 0), "bad_event_name");
    named.name.size--;
    ck_assert_str_eq(send_at(&named, 0), "unknown_event");
    session.user = "u\n1";
    ck_assert_str_eq(send_at(&cancel, 0), "bad_claims");
    session.user = NULL;
    ck_assert_uint_eq(client_events_stats(events)->refused_malformed, 13);
    while (sender.sent)
        free(client_events_take(&sender));
    client_events_free(events);
}
END_TEST

/* No two people have one source, and none has a backend's: the ids of each are his own. */
START_TEST(a_source_is_a_persons)
{
    static const struct {
        struct session session;
        const char *source;
    } cases[] = {
        {{NULL, NULL}, "client/acme/u1"},
        {{"b/c", "a"}, "client/a/b%2Fc"},
        {{"c", "a/b"}, "client/a%2Fb/c"},
        {{"100% \xc3\xa9~", "a-b_c.d"}, "client/a-b_c.d/100%25%20%C3%A9~"},
        {{"", ""}, "client///SID"},
    };
    start(100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        session = cases[i].session;
        ck_assert_str_eq(send_at(&cancel, (int64_t)i * 1000), "sent");
        ck_assert_str_eq(outlet.source, cases[i].source);
    }
    session = (struct session){0};
    while (sender.sent)
        free(client_events_take(&sender));
    client_events_free(events);
}
END_TEST

#define HOME "0123456789abcdef0123456789abcdef"
#define REVIEW HOME "-0123456789abcdef"

static void start_with_review_log(void)
{
    start(100);
    const struct client_events_config config = {.outlet_ops = &outlet_ops,
                                                .payload_bytes = 100000,
                                                .has_review_log = true,
                                                .pending = 100,
                                                .rate = 10,
                                                .burst = 100,
                                                .random = fill};
    client_events_free(events);
    events = client_events_new(&config);
}

/* What no dispatcher could read would be answered, and nobody would ever hear of it again. */
START_TEST(a_command_that_nobody_could_read_is_refused)
{
#define ABOUT "{\"review\":\"" REVIEW "\",\"version\":1"
    static const struct {
        const char *name, *payload, *problem;
    } cases[] = {
        {"review.claim", "{\"review\":\"" REVIEW "\",\"version\":0}", "bad_request"},
        {"review.claim", "{\"review\":\"" REVIEW "\",\"version\":1.5}", "bad_request"},
        {"review.claim", "{\"review\":\"" REVIEW "\",\"version\":4294967296}", "bad_request"},
        {"review.claim", ABOUT ",\"take\":\"yes\"}", "bad_request"},
        {"review.claim", ABOUT ",\"take\":true}", "sent"},
        {"review.decide", ABOUT "}", "bad_request"},
        {"review.decide", ABOUT ",\"decision\":\"\"}", "bad_request"},
        {"review.decide", ABOUT ",\"decision\":null}", "bad_request"},
        {"review.decide", ABOUT ",\"decision\":\"approve\",\"comment\":null}", "bad_request"},
        {"review.decide", ABOUT ",\"decision\":\"approve\",\"comment\":\"a\\u0000\"}",
         "bad_request"},
        {"review.decide", ABOUT ",\"decision\":\"approve\",\"comment\":\"\"} ", "sent"},
        {"review.decide", ABOUT ",\"decision\":\"approve\",\"data\":[null,{\"a\":1}]}", "sent"},
        {"review.decide", ABOUT ",\"decision\":\"approve\"", "bad_request"},
    };
    start_with_review_log();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct client_event command = {.name = bytes_of_string(cases[i].name),
                                             .room = BYTES_LITERAL("review:legal"),
                                             .payload = bytes_of_string(cases[i].payload)};
        const char *problem = send_at(&command, 0);
        ck_assert_msg(strcmp(problem, cases[i].problem) == 0, "case %zu: %s", i, problem);
    }
    /* Nor could a review be had by nobody. */
    session = (struct session){.user = ""};
    const struct client_event claim = {.name = BYTES_LITERAL("review.claim"),
                                       .room = BYTES_LITERAL("review:legal"),
                                       .payload = BYTES_LITERAL(ABOUT "}")};
    ck_assert_str_eq(send_at(&claim, 0), "not_allowed");
    session = (struct session){0};
    while (sender.sent)
        free(client_events_take(&sender));
    client_events_free(events);
#undef ABOUT
}
END_TEST

/* The queue's reviewers command, by the review's home; a payload without a review or a version is no
 * command. */
START_TEST(a_command_about_a_review_goes_to_their_log)
{
    static char large[REVIEW_COMMAND_LIMIT + 100];
    static const struct {
        const char *room, *payload, *problem;
    } cases[] = {
        {"review:legal", "{\"review\":\"" REVIEW "\",\"version\":1}", "sent"},
        {"review:finance", "{\"review\":\"" REVIEW "\",\"version\":1}", "not_allowed"},
        {"task:42", "{\"review\":\"" REVIEW "\",\"version\":1}", "not_allowed"},
        {"", "{\"review\":\"" REVIEW "\",\"version\":1}", "not_allowed"},
        {"review:legal", "{\"review\":\"" REVIEW "\"}", "bad_request"},
        {"review:legal", "{\"review\":\"" REVIEW "\",\"version\":\"1\"}", "bad_request"},
        {"review:legal", "{\"review\":\"" HOME "-0123456789abcdeF\",\"version\":1}", "bad_request"},
        {"review:legal", "{\"review\":7,\"version\":1}", "bad_request"},
        {"review:legal", "[1]", "bad_request"},
        {"review:legal", "", "bad_request"},
        {"review:legal", large, "too_large"},
    };
    start_with_review_log();
    memset(large, ' ', REVIEW_COMMAND_LIMIT + 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct client_event claim = {.name = BYTES_LITERAL("review.claim"),
                                           .room = bytes_of_string(cases[i].room),
                                           .payload = bytes_of_string(cases[i].payload)};
        ck_assert_msg(strcmp(send_at(&claim, 0), cases[i].problem) == 0, "case %zu", i);
    }
    ck_assert_str_eq(outlet.home, HOME);
    ck_assert_str_eq(send_at(&cancel, 0), "sent");
    ck_assert_str_eq(outlet.home, "");
    while (sender.sent)
        free(client_events_take(&sender));
    client_events_free(events);
    /* Without a log it is an event like others. */
    start(100);
    const struct client_event claim = {.name = BYTES_LITERAL("review.claim")};
    ck_assert_str_eq(send_at(&claim, 0), "sent");
    ck_assert_str_eq(outlet.home, "");
    free(client_events_take(&sender));
    client_events_free(events);
}
END_TEST

TEST_PROGRAM("client_events", a_command_about_a_review_goes_to_their_log,
             a_command_that_nobody_could_read_is_refused, a_source_is_a_persons,
             what_becomes_a_header_is_plain_and_short,
             an_event_goes_out_with_whose_it_is_and_is_answered,
             what_may_not_be_sent_is_refused_with_a_word, a_burst_passes_and_then_the_rate_holds,
             a_session_has_few_on_their_way_and_takes_them_back_when_it_ends,
             without_an_outlet_no_event_is_known)
