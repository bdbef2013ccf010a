#include "lws_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "lws_loop.h"
#include "mem.h"
#include "suite.h"

/* ---- A receiver that notes what it hears ---- */

struct peer {
    struct wire *wire;
    struct buffer in;
    unsigned writables;
    bool closed;
};

static struct lws_loop *loop;
static struct lws_server *server;
static struct peer peer;
static bool refuse_all;
static int64_t receive_ms; /* how long it takes to receive something */
static int64_t stop_ms;
static unsigned turns;

static void receive(void *receiver, struct bytes bytes, int64_t now_ms)
{
    (void)now_ms;
    struct peer *self = receiver;
    buffer_append(&self->in, bytes);
    struct timespec pause = {.tv_nsec = receive_ms * 1000000};
    nanosleep(&pause, NULL);
}

static void writable(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    ((struct peer *)receiver)->writables++;
}

static void closed(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    ((struct peer *)receiver)->closed = true;
    ((struct peer *)receiver)->wire = NULL;
}

static const struct wire_receiver_ops receiver_ops = {receive, writable, closed};

static void opened(void *acceptor, struct wire *wire, int64_t now_ms)
{
    (void)acceptor, (void)now_ms;
    if (refuse_all) {
        wire_close(wire, WIRE_ABORT);
        return;
    }
    peer.wire = wire;
    wire_attach(wire, &receiver_ops, &peer);
}

/* ---- The loop, for some milliseconds at a time ---- */

static void run_chore(void *context, int64_t now_ms)
{
    (void)context;
    turns++;
    if (now_ms >= stop_ms)
        lws_loop_stop(loop);
}

static int64_t chore_deadline(void *context)
{
    (void)context;
    return stop_ms;
}

static void run_for(int64_t ms)
{
    stop_ms = lws_loop_now_ms(loop) + ms;
    turns = 0;
    lws_loop_run(loop);
}

static void start_paced(bool poll_loop, unsigned connections, unsigned accepts_per_second)
{
    struct error error;
    struct lws_loop_config loop_config = {.poll = poll_loop, .gap_limit_ms = 60000};
    ck_assert_int_eq(lws_loop_new(&loop_config, &loop, &error), STATUS_OK);
    lws_loop_add_chore(loop, &(struct lws_chore){run_chore, chore_deadline, &turns});
    struct lws_server_config config = {.address = "127.0.0.1",
                                       .connections = connections,
                                       .accepts_per_second = accepts_per_second,
                                       .linger_ms = 300,
                                       .send_buffer_bytes = 32768,
                                       .acceptor = {opened, NULL}};
    ck_assert_msg(lws_server_open(loop, &config, &server, &error) == STATUS_OK, "%s", error.text);
    peer = (struct peer){0};
    refuse_all = false;
    receive_ms = 0;
}

static void start(bool poll_loop, unsigned connections)
{
    start_paced(poll_loop, connections, 0);
}

static void stop(void)
{
    lws_server_close(server);
    lws_loop_free(loop);
    buffer_deinit(&peer.in);
}

static int connect_client(void)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(lws_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int size = 16384;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    fcntl(client, F_SETFL, O_NONBLOCK);
    return client;
}

/* Reads what is there; returns whether the end was reached. */
static bool read_client(int client, struct buffer *out)
{
    for (;;) {
        uint8_t *space = buffer_reserve(out, 65536);
        ssize_t got = read(client, space, 65536);
        if (got <= 0)
            return got == 0;
        buffer_commit(out, (size_t)got);
    }
}

#define BOTH_LOOPS(...)                                   \
    for (int poll_loop = 0; poll_loop < 2; poll_loop++) { \
        start(poll_loop, 0);                              \
        __VA_ARGS__                                       \
        stop();                                           \
    }

START_TEST(bytes_come_and_go_and_the_peers_end_is_told){BOTH_LOOPS({
    struct buffer got = {0};
    int client = connect_client();
    ck_assert_int_eq(write(client, "hello", 5), 5);
    run_for(50);
    ck_assert(bytes_equal_string(buffer_peek(&peer.in), "hello"));
    char address[WIRE_PEER_SIZE];
    peer.wire->ops->peer(peer.wire, address);
    ck_assert_str_eq(address, "127.0.0.1");
    wire_write(peer.wire, BYTES_LITERAL("world"));
    ck_assert(peer.wire->writable);
    run_for(20);
    ck_assert(!read_client(client, &got));
    ck_assert(bytes_equal_string(buffer_peek(&got), "world"));
    close(client);
    run_for(50);
    ck_assert(peer.closed);
    ck_assert_uint_eq(lws_server_stats(server)->connections, 0);
    buffer_deinit(&got);
})} END_TEST

    START_TEST(what_the_socket_does_not_take_is_kept_and_a_silent_reader_costs_no_turns)
{
    /* Less than the kernel would take of it (2.6 MB on a loopback) if it were let. */
    enum { SIZE = 1000000 };
    BOTH_LOOPS({
        struct buffer got = {0};
        int client = connect_client();
        run_for(20);
        uint8_t *large = mem_alloc(SIZE);
        for (size_t i = 0; i < SIZE; i++)
            large[i] = (uint8_t)(i * 7 + i / 1000);
        wire_write(peer.wire, bytes_of(large, SIZE));
        ck_assert(!peer.wire->writable);
        wire_want_writable(peer.wire);
        ck_assert_int_eq(write(client, "x", 1), 1); /* it sends, but does not read */
        run_for(200);
        ck_assert_uint_lt(turns, 20);
        ck_assert_uint_eq(peer.writables, 0);
        for (int i = 0; i < 2000 && buffer_size(&got) < SIZE; i++) {
            read_client(client, &got);
            run_for(1);
        }
        ck_assert(bytes_equal(buffer_peek(&got), bytes_of(large, SIZE)));
        run_for(20);
        ck_assert_uint_eq(peer.writables, 1);
        ck_assert(peer.wire->writable);
        ck_assert(bytes_equal_string(buffer_peek(&peer.in), "x"));
        free(large);
        close(client);
        run_for(50);
        ck_assert(peer.closed);
        buffer_deinit(&got);
    })
}
END_TEST

START_TEST(a_flushing_close_delivers_everything_although_the_peer_still_sends)
{
    enum { SIZE = 1000000 };
    BOTH_LOOPS({
        struct buffer got = {0};
        int client = connect_client();
        run_for(20);
        uint8_t *large = mem_alloc(SIZE);
        wire_write(peer.wire, bytes_of(large, SIZE));
        wire_close(peer.wire, WIRE_FLUSH);
        bool ended = false;
        for (int i = 0; i < 1000 && !ended; i++) {
            (void)!write(client, "more", 4);
            ended = read_client(client, &got);
            run_for(1);
        }
        ck_assert_uint_eq(buffer_size(&got), SIZE);
        ck_assert(ended && !peer.closed);
        close(client);
        run_for(50);
        ck_assert_uint_eq(lws_server_stats(server)->connections, 0);
        free(large);
        buffer_deinit(&got);
    })
}
END_TEST

START_TEST(a_close_that_the_peer_does_not_answer_ends_after_the_linger_time){BOTH_LOOPS({
    int client = connect_client();
    run_for(20);
    wire_close(peer.wire, WIRE_FLUSH);
    run_for(200);
    ck_assert_uint_eq(lws_server_stats(server)->connections, 1);
    run_for(200);
    ck_assert_uint_eq(lws_server_stats(server)->connections, 0);
    close(client);
})} END_TEST

    START_TEST(connections_beyond_the_limit_are_turned_away)
{
    start(false, 1);
    struct buffer got = {0};
    int first = connect_client();
    run_for(20);
    int second = connect_client();
    run_for(20);
    ck_assert(read_client(second, &got));
    ck_assert(bytes_start_with(buffer_peek(&got), BYTES_LITERAL("HTTP/1.1 503 ")));
    ck_assert_uint_eq(lws_server_stats(server)->refused, 1);
    close(first);
    run_for(20);
    int third = connect_client();
    run_for(20);
    ck_assert_uint_eq(lws_server_stats(server)->connections, 1);
    close(second);
    close(third);
    buffer_deinit(&got);
    stop();
}
END_TEST

START_TEST(a_wire_may_be_refused_as_it_opens_and_a_server_may_end_with_open_ones)
{
    start(false, 0);
    refuse_all = true;
    int refused = connect_client();
    run_for(30);
    struct buffer got = {0};
    ck_assert(read_client(refused, &got) || buffer_size(&got) == 0);
    refuse_all = false;
    int client = connect_client();
    run_for(20);
    lws_server_stop_accepting(server);
    ck_assert_ptr_nonnull(peer.wire);
    stop();
    ck_assert(peer.closed);
    close(client);
    close(refused);
    buffer_deinit(&got);
}
END_TEST

START_TEST(a_port_in_use_is_a_clear_error)
{
    start(false, 0);
    struct lws_server *second;
    struct error error;
    struct lws_server_config config = {
        .address = "127.0.0.1", .port = lws_server_port(server), .acceptor = {opened, NULL}};
    ck_assert_int_eq(lws_server_open(loop, &config, &second, &error), STATUS_EXISTS);
    ck_assert_ptr_nonnull(strstr(error.text, "in use"));
    stop();
}
END_TEST

/* ---- Watches and signals ---- */

static int event_descriptor;
static unsigned events;
static struct lws_watch *watch;
static int last_signal;

static void take_event(void *context, int64_t now_ms)
{
    (void)context, (void)now_ms;
    uint64_t value;
    ck_assert_int_eq(read(event_descriptor, &value, sizeof(value)), (ssize_t)sizeof(value));
    if (++events == 2) {
        lws_loop_unwatch(watch);
        watch = NULL;
    }
}

static void take_signal(void *context, int signal)
{
    (void)context;
    last_signal = signal;
}

static void count_event(void *context, int64_t now_ms)
{
    (void)now_ms;
    uint64_t value;
    const int *descriptor = context;
    ck_assert_int_eq(read(*descriptor, &value, sizeof(value)), (ssize_t)sizeof(value));
    events++;
}

/* One for it, and one in which the time is over; libwebsockets would go round once more. */
START_TEST(an_event_of_a_watch_is_one_turn)
{
    enum { EVENTS = 10 };
    uint64_t one = 1;
    unsigned all_turns = 0;
    start(false, 0);
    if (strcmp(lws_loop_backend(loop), "libev") == 0) {
        int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        struct lws_watch *counted = lws_loop_watch(loop, descriptor, count_event, &descriptor);
        run_for(20);
        events = 0;
        for (int i = 0; i < EVENTS; i++) {
            ck_assert_int_eq(write(descriptor, &one, sizeof(one)), (ssize_t)sizeof(one));
            run_for(5);
            all_turns += turns;
        }
        ck_assert_uint_eq(events, EVENTS);
        ck_assert_uint_lt(all_turns, 5 * EVENTS / 2);
        lws_loop_unwatch(counted);
        close(descriptor);
    }
    stop();
}
END_TEST

START_TEST(descriptors_and_signals_wake_the_loop){BOTH_LOOPS({
    static const int signals[] = {SIGUSR1, 0};
    struct error error;
    events = 0;
    event_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    watch = lws_loop_watch(loop, event_descriptor, take_event, NULL);
    ck_assert_ptr_nonnull(watch);
    uint64_t one = 1;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(write(event_descriptor, &one, sizeof(one)), (ssize_t)sizeof(one));
        run_for(20);
    }
    ck_assert_uint_eq(events, 2);
    ck_assert_int_eq(lws_loop_on_signal(loop, signals, take_signal, NULL, &error), STATUS_OK);
    last_signal = 0;
    kill(getpid(), SIGUSR1);
    run_for(20);
    ck_assert_int_eq(last_signal, SIGUSR1);
    close(event_descriptor);
})} END_TEST

    static unsigned betweens;

static void count_between(void *context, int64_t now_ms)
{
    (void)context, (void)now_ms;
    betweens++;
}

START_TEST(a_long_turn_is_interrupted_between_its_events){BOTH_LOOPS({
    enum { CLIENTS = 8 };
    int clients[CLIENTS];
    lws_loop_set_between(loop, count_between, NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_client();
    run_for(20);
    receive_ms = 3;
    betweens = 0;
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(write(clients[i], "x", 1), 1);
    run_for(20);
    ck_assert_uint_eq(buffer_size(&peer.in), CLIENTS);
    ck_assert_uint_ge(betweens, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
})} END_TEST

    START_TEST(connections_are_accepted_at_a_pace)
{
    enum { CLIENTS = 20, PER_SECOND = 50 };
    for (int poll_loop = 0; poll_loop < 2; poll_loop++) {
        int clients[CLIENTS];
        start_paced(poll_loop, 0, PER_SECOND);
        int64_t begin_ms = lws_loop_now_ms(loop);
        for (int i = 0; i < CLIENTS; i++)
            clients[i] = connect_client();
        while (lws_server_stats(server)->accepted < CLIENTS)
            run_for(5);
        /* A hundredth of a second may have been saved up. */
        ck_assert_int_ge(lws_loop_now_ms(loop) - begin_ms, (CLIENTS - 2) * 1000 / PER_SECOND);
        ck_assert_uint_gt(lws_server_stats(server)->held_back, 0);
        for (int i = 0; i < CLIENTS; i++)
            close(clients[i]);
        run_for(20);
        stop();
    }
}
END_TEST

START_TEST(the_limit_of_descriptors_is_what_was_asked_for_if_there_are_so_many)
{
    struct rlimit before, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlim_t most = before.rlim_max < LWS_LOOP_DESCRIPTORS ? before.rlim_max : LWS_LOOP_DESCRIPTORS;
    ck_assert_uint_gt(most, 700);
    const struct {
        uint64_t wanted, got;
    } cases[] = {{700, 700}, {most - 1, most - 1}, {UINT64_MAX, most}, {600, 600}, {0, most}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error error;
        struct lws_loop_config config = {.descriptors = cases[i].wanted};
        ck_assert_int_eq(lws_loop_new(&config, &loop, &error), STATUS_OK);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_uint_eq(limit.rlim_cur, cases[i].got);
        ck_assert_uint_eq(limit.rlim_max, before.rlim_max);
        lws_loop_free(loop);
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

TEST_PROGRAM("lws_server", bytes_come_and_go_and_the_peers_end_is_told,
             what_the_socket_does_not_take_is_kept_and_a_silent_reader_costs_no_turns,
             a_flushing_close_delivers_everything_although_the_peer_still_sends,
             a_close_that_the_peer_does_not_answer_ends_after_the_linger_time,
             connections_beyond_the_limit_are_turned_away,
             a_wire_may_be_refused_as_it_opens_and_a_server_may_end_with_open_ones,
             a_port_in_use_is_a_clear_error, a_long_turn_is_interrupted_between_its_events,
             connections_are_accepted_at_a_pace, an_event_of_a_watch_is_one_turn,
             descriptors_and_signals_wake_the_loop,
             the_limit_of_descriptors_is_what_was_asked_for_if_there_are_so_many)
