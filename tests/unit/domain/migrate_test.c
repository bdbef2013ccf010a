/* A session that goes on at another gateway: two hubs that read one log. */
#include <stdio.h>

#include "document.h"
#include "hand_source.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

enum { RECORDS = 16 };

struct gateway {
    struct hub *hub;
    struct hand_source source;
};

static struct gateway here, there;
static struct buffer records[RECORDS];
static int64_t end, now_ms;
static struct layout *layout;
static struct policy *policy;

/* ---- One lane in a log of arrays ---- */

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    (void)value;
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = 1,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(&records[offset])};
}

static void run(struct gateway *gateway)
{
    struct hand_source *source = &gateway->source;
    for (int turn = 0; turn < 4; turn++) {
        hand_open(source, gateway->hub, 0, end);
        if (source->asked_ends) {
            source->asked_ends = false;
            hub_lane_ends(gateway->hub, source->lane, 0, end);
        }
        hand_read_back(source, gateway->hub, 0, RECORDS, record_at);
        hub_run(gateway->hub, now_ms);
    }
}

static void publish(const char *text)
{
    struct bytes rooms[] = {BYTES_LITERAL("user:usr_1")};
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .time = BYTES_LITERAL("2026-01-01T00:00:00Z"),
                                        .rooms = rooms,
                                        .room_count = 1,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.status = bytes_of_string(text)}};
    ck_assert_int_lt(end, RECORDS);
    buffer_clear(&records[end]);
    notification_encode(&notification, &records[end++]);
    hand_arrive(&here.source, here.hub, end - 1, record_at);
    hand_arrive(&there.source, there.hub, end - 1, record_at);
}

/* ---- A transport that says what it is told ---- */

static char told[512];

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    struct bytes status = view->notification->task_status.status;
    ck_assert_int_eq(view->notification->type, NOTIFICATION_TASK_STATUS);
    ck_assert_uint_gt(status.size, 0);
    buffer_append_byte(out, status.data[0]);
    return (struct body_part){buffer_size(out) - 1, 1};
}

static void ready(struct session *session, void *connection)
{
    (void)session, (void)connection;
}

static const struct transport_ops transport = {.name = "test", .encode = encode, .ready = ready};

static const char *take(struct session *session)
{
    struct delivery delivery;
    told[0] = '\0';
    while (session_next(session, &delivery)) {
        size_t size = strlen(told);
        char *at = told + size;
        size_t room = sizeof(told) - size;
        if (delivery.kind == DELIVERY_NOTIFICATION)
            snprintf(at, room, "%.*s ", BYTES_PRINT(delivery.body));
        else if (delivery.kind == DELIVERY_OPENED)
            snprintf(at, room, "%s ", delivery.continued ? "continued" : "opened");
        else if (delivery.kind == DELIVERY_CLOSE || delivery.kind == DELIVERY_REFUSED)
            snprintf(at, room, "%s %s ", delivery.transient ? "away" : "refused", delivery.reason);
    }
    return told;
}

/* ---- The world ---- */

static struct document *parse(const char *yaml)
{
    struct document *document;
    struct error error;
    ck_assert_int_eq(document_parse(bytes_of_string(yaml), NULL, &document, &error), STATUS_OK);
    return document;
}

static void open_hub(struct gateway *gateway)
{
    struct hub_config config = hand_config(layout, policy);
    *gateway = (struct gateway){0};
    gateway->hub = hub_new(&config, &hand_source_ops, &gateway->source);
}

static struct session *open_session(struct gateway *gateway, struct bytes continued)
{
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .continued = continued,
        .now_ms = now_ms,
        .wall_ms = now_ms};
    struct session *session = hub_open_session(gateway->hub, &request);
    ck_assert_ptr_nonnull(session);
    run(gateway);
    return session;
}

/* A session here that was given a and b. */
static struct session *start(void)
{
    auto_problems struct problems problems = {0};
    struct document *rooms =
        parse("user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}");
    struct document *access = parse("connect: [\"user:{sub}\"]");
    struct layout_source source = {.rooms = document_root(rooms)};
    ck_assert_int_eq(layout_new(&source, &layout, &problems), STATUS_OK);
    ck_assert_int_eq(policy_new(document_root(access), layout, &policy, &problems), STATUS_OK);
    document_free(rooms);
    document_free(access);
    end = 0;
    now_ms = 1000;
    open_hub(&here);
    open_hub(&there);
    struct session *session = open_session(&here, bytes_of(NULL, 0));
    publish("a");
    publish("b");
    run(&here);
    ck_assert_str_eq(take(session), "opened a b ");
    return session;
}

static struct session *hand_over(struct session *session)
{
    struct buffer state = {0};
    ck_assert_int_eq(session_migrate_out(session, &state), STATUS_OK);
    session_close(session);
    run(&here);
    session = open_session(&there, buffer_peek(&state));
    buffer_deinit(&state);
    return session;
}

/* The topic is deleted and created again; neither gateway has noticed. */
static void create_again(void)
{
    end = 0;
}

static void stop(struct session *session)
{
    session_close(session);
    run(&there);
    hub_free(here.hub);
    hub_free(there.hub);
    policy_free(policy);
    layout_free(layout);
    for (size_t i = 0; i < RECORDS; i++)
        buffer_deinit(&records[i]);
}

/* ---- Tests ---- */

START_TEST(a_session_goes_on_where_its_lane_was_not_read_before)
{
    struct session *session = hand_over(start());
    ck_assert_str_eq(take(session), "continued ");
    publish("c");
    ck_assert_str_eq(take(session), "c ");
    stop(session);
}
END_TEST

START_TEST(what_was_published_on_the_way_follows)
{
    struct session *session = start();
    struct buffer state = {0};
    ck_assert_int_eq(session_migrate_out(session, &state), STATUS_OK);
    session_close(session);
    publish("c");
    session = open_session(&there, buffer_peek(&state));
    buffer_deinit(&state);
    publish("d");
    run(&there);
    ck_assert_str_eq(take(session), "continued c d ");
    stop(session);
}
END_TEST

START_TEST(a_log_that_was_made_again_on_the_way_is_noticed)
{
    struct session *session = start();
    create_again();
    publish("x");
    publish("y");
    publish("z");
    session = hand_over(session);
    ck_assert_str_eq(take(session), "away recreated ");
    stop(session);
}
END_TEST

START_TEST(a_log_that_was_made_again_and_is_shorter_as_yet_is_noticed)
{
    struct session *session = start();
    create_again();
    session = hand_over(session);
    publish("x");
    publish("y");
    publish("z");
    now_ms += 2000;
    run(&there);
    ck_assert_str_eq(take(session), "away recreated ");
    stop(session);
}
END_TEST

/* Opens it, lets it live for a while, and ends it: whatever the other gateway says, it goes on or
 * is sent away. */
static void try_state(struct bytes state)
{
    struct session *session = open_session(&there, state);
    if (!*take(session)) { /* it waits for a record that it says it has */
        now_ms += 200000;
        run(&there);
        ck_assert_str_ne(take(session), "");
    }
    session_close(session);
    run(&there);
    ck_assert_uint_eq(hub_stats(there.hub)->sessions, 0);
    ck_assert_uint_eq(hub_stats(there.hub)->rooms, 0);
}

START_TEST(whatever_another_gateway_says_is_checked)
{
    static const uint8_t others[] = {0, 1, 0x7f, 0x80, 0xff};
    struct session *session = start();
    struct buffer state = {0};
    ck_assert_int_eq(session_migrate_out(session, &state), STATUS_OK);
    session_close(session);
    run(&here);
    struct bytes whole = buffer_peek(&state);
    for (size_t size = 1; size < whole.size; size++)
        try_state(bytes_of(whole.data, size));
    uint8_t *changed = mem_alloc(whole.size);
    for (size_t i = 0; i < whole.size; i++)
        for (size_t j = 0; j < sizeof(others); j++) {
            memcpy(changed, whole.data, whole.size);
            changed[i] = others[j];
            try_state(bytes_of(changed, whole.size));
        }
    free(changed);
    session = open_session(&there, whole);
    buffer_deinit(&state);
    stop(session);
}
END_TEST

TEST_PROGRAM("hand_over", a_session_goes_on_where_its_lane_was_not_read_before,
             what_was_published_on_the_way_follows, a_log_that_was_made_again_on_the_way_is_noticed,
             a_log_that_was_made_again_and_is_shorter_as_yet_is_noticed,
             whatever_another_gateway_says_is_checked)
