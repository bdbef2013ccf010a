#include "load_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"

enum {
    BUFFER_BYTES = 1 << 20,
    EVENTS = 512,
    LATENCY_BUCKETS = 64 * 64, /* logarithmic: 64 steps per doubling */
};

enum client_state {
    CLIENT_IDLE,
    CLIENT_CONNECTING,
    CLIENT_UPGRADING,
    CLIENT_OPENING,
    CLIENT_JOINING,
    CLIENT_READY,
    CLIENT_CLOSED
};

struct client {
    int fd;
    uint8_t state, rooms_joined;
    bool stalled;
    uint32_t rest_size, rest_capacity;
    uint8_t *rest; /* an incomplete frame */
    uint32_t last[LOAD_ROOMS_LIMIT];
};

struct load {
    struct load_options options;
    struct load_counts counts;
    struct client *clients;
    unsigned started, connecting;
    int epoll;
    uint8_t *buffer;
    uint64_t latencies[2][LATENCY_BUCKETS], latency_count[2];
};

static uint64_t now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

struct load *load_new(const struct load_options *options)
{
    struct rlimit limit;
    struct load *load = mem_new(struct load);
    assert(options->rooms_each <= LOAD_ROOMS_LIMIT);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    load->options = *options;
    load->clients = mem_alloc(options->clients * sizeof(struct client));
    load->buffer = mem_alloc(BUFFER_BYTES);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    return load;
}

void load_free(struct load *load)
{
    for (unsigned i = 0; i < load->started; i++) {
        if (load->clients[i].state != CLIENT_CLOSED)
            close(load->clients[i].fd);
        free(load->clients[i].rest);
    }
    close(load->epoll);
    free(load->clients);
    free(load->buffer);
    free(load);
}

const struct load_counts *load_counts(const struct load *load)
{
    return &load->counts;
}

/* --- latencies ---------------------------------------------------------------------------------
 */

static unsigned bucket_of(uint64_t us)
{
    if (us < 64)
        return (unsigned)us;
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    return (power - 5) * 64 + (unsigned)(us >> (power - 6) & 63);
}

static double bucket_us(unsigned bucket)
{
    if (bucket < 64)
        return bucket;
    unsigned power = bucket / 64 + 5;
    return (double)((uint64_t)(64 + bucket % 64) << (power - 6));
}

double load_latency(const struct load *load, double percent, bool stalled)
{
    uint64_t wanted = (uint64_t)((double)load->latency_count[stalled] * percent / 100), seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += load->latencies[stalled][i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return 0;
}

void load_reset_latencies(struct load *load)
{
    memset(load->latencies, 0, sizeof(load->latencies));
    memset(load->latency_count, 0, sizeof(load->latency_count));
}

/* --- sending -----------------------------------------------------------------------------------
 */

static void end(struct load *load, struct client *client)
{
    if (client->state == CLIENT_READY)
        load->counts.ready--;
    else
        load->connecting--;
    close(client->fd);
    client->state = CLIENT_CLOSED;
    load->counts.closed++;
}

/* A masked text frame; the mask is zero, which is as good as any here. */
static void send_text(struct load *load, struct client *client, const char *text)
{
    uint8_t frame[1024];
    size_t size = strlen(text), head = size < 126 ? 6 : 8;
    assert(size + 8 < sizeof(frame));
    frame[0] = 0x81;
    frame[1] = (uint8_t)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        frame[2] = (uint8_t)(size >> 8);
        frame[3] = (uint8_t)size;
    }
    memset(frame + head - 4, 0, 4);
    memcpy(frame + head, text, size);
    if (send(client->fd, frame, head + size, MSG_NOSIGNAL) != (ssize_t)(head + size))
        end(load, client);
}

static void start(struct load *load)
{
    unsigned number = load->started++;
    struct client *client = &load->clients[number];
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        perror("socket");
        exit(EXIT_FAILURE);
    }
    int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000100u + 1 + number % 200)};
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (load->options.receive_buffer)
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &load->options.receive_buffer, sizeof(int));
    if (bind(client->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
        perror("bind");
    client->state = CLIENT_CONNECTING;
    load->connecting++;
    if (connect(client->fd, (const struct sockaddr *)&load->options.address,
                sizeof(load->options.address)) < 0 &&
        errno != EINPROGRESS)
        perror("connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = number};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event);
}

static void upgrade(struct load *load, struct client *client)
{
    char request[512];
    int size =
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                 load->options.path);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(client - load->clients)};
    epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
    client->state = CLIENT_UPGRADING;
    if (send(client->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        end(load, client);
}

/* --- receiving ---------------------------------------------------------------------------------
 */

static unsigned room_of(const struct load *load, const struct client *client, unsigned index)
{
    unsigned number = (unsigned)(client - load->clients);
    return (number * load->options.rooms_each + index) % load->options.rooms;
}

static void join_next(struct load *load, struct client *client)
{
    char text[256];
    if (client->rooms_joined == load->options.rooms_each) {
        client->state = CLIENT_READY;
        load->connecting--;
        load->counts.ready++;
        return;
    }
    client->state = CLIENT_JOINING;
    snprintf(text, sizeof(text), "42%u[\"subscribe\",{\"room\":\"%s%u\"}]", client->rooms_joined,
             load->options.room_prefix, room_of(load, client, client->rooms_joined));
    send_text(load, client, text);
}

/* The payload says "b":"ROOM:SEQUENCE:MICROSECONDS". */
static void delivered(struct load *load, struct client *client, struct bytes text)
{
    const char *mark = memmem(text.data, text.size, "\"b\":\"", 5);
    if (!mark)
        return; /* an event that is not the benchmark's */
    char *at;
    unsigned room = (unsigned)strtoul(mark + 5, &at, 10);
    uint32_t sequence = (uint32_t)strtoul(at + 1, &at, 10);
    uint64_t sent = strtoull(at + 1, &at, 10), now = now_us();
    unsigned index = 0;
    while (index < load->options.rooms_each && room_of(load, client, index) != room)
        index++;
    if (index == load->options.rooms_each) {
        load->counts.wrong_room++;
        return;
    }
    if (sequence <= client->last[index]) {
        load->counts.doubled++;
        return;
    }
    load->counts.lost += sequence - client->last[index] - 1;
    client->last[index] = sequence;
    load->counts.deliveries++;
    load->counts.cursors += text.data[text.size - 2] == '"';
    load->latencies[client->stalled][bucket_of(now > sent ? now - sent : 0)]++;
    load->latency_count[client->stalled]++;
}

static void handle_text(struct load *load, struct client *client, struct bytes text)
{
    char packet[512];
    if (text.size == 0)
        return;
    if (text.data[0] == '2') {
        load->counts.pings++;
        send_text(load, client, "3");
    } else if (text.data[0] == '0') {
        const char *auth = load->options.auth, *mark = strstr(auth, "%u");
        size_t before = mark ? (size_t)(mark - auth) : strlen(auth);
        if (mark)
            snprintf(packet, sizeof(packet), "40%.*s%u%s", (int)before, auth,
                     (unsigned)(client - load->clients), mark + 2);
        else
            snprintf(packet, sizeof(packet), "40%s", auth);
        client->state = CLIENT_OPENING;
        send_text(load, client, packet);
    } else if (text.size > 1 && text.data[1] == '0') {
        join_next(load, client);
    } else if (text.size > 1 && text.data[1] == '3') {
        client->rooms_joined++;
        join_next(load, client);
    } else if (text.size > 1 && text.data[1] == '4') {
        fprintf(stderr, "refused: %.*s\n", BYTES_PRINT(text));
        end(load, client);
    } else if (text.size > 1 && text.data[1] == '2') {
        delivered(load, client, text);
    }
}

/* One frame off the front; 0: incomplete. */
static size_t take_frame(struct load *load, struct client *client, struct bytes input)
{
    size_t head = 2, size;
    if (input.size < 2)
        return 0;
    size = input.data[1] & 0x7f;
    if (size == 126) {
        if (input.size < 4)
            return 0;
        size = (size_t)input.data[2] << 8 | input.data[3];
        head = 4;
    } else if (size == 127) {
        if (input.size < 10)
            return 0;
        size = 0;
        for (int i = 2; i < 10; i++)
            size = size << 8 | input.data[i];
        head = 10;
    }
    if (input.size < head + size)
        return 0;
    if ((input.data[0] & 15) == 8)
        end(load, client);
    else
        handle_text(load, client, bytes_of(input.data + head, size));
    return head + size;
}

static void keep(struct client *client, struct bytes rest)
{
    if (rest.size > client->rest_capacity) {
        client->rest_capacity = (uint32_t)(2 * rest.size);
        client->rest = mem_resize(client->rest, client->rest_capacity, 1);
    }
    if (rest.size)
        memcpy(client->rest, rest.data, rest.size);
    client->rest_size = (uint32_t)rest.size;
}

static void receive(struct load *load, struct client *client)
{
    size_t kept = client->rest_size;
    if (kept)
        memcpy(load->buffer, client->rest, kept);
    ssize_t size = recv(client->fd, load->buffer + kept, BUFFER_BYTES - kept, 0);
    if (size <= 0) {
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            end(load, client);
        return;
    }
    load->counts.bytes_received += (uint64_t)size;
    struct bytes input = bytes_of(load->buffer, kept + (size_t)size);
    if (client->state == CLIENT_UPGRADING) {
        const uint8_t *head = memmem(input.data, input.size, "\r\n\r\n", 4);
        if (head)
            input = bytes_skip(input, (size_t)(head - input.data) + 4);
        if (head && memcmp(load->buffer, "HTTP/1.1 101", 12) != 0) {
            fprintf(stderr, "%.*s\n", (int)(head - load->buffer), (const char *)load->buffer);
            end(load, client);
            return;
        }
        if (head)
            client->state = CLIENT_OPENING;
    }
    while (client->state != CLIENT_UPGRADING && client->state != CLIENT_CLOSED) {
        size_t used = take_frame(load, client, input);
        if (used == 0)
            break;
        input = bytes_skip(input, used);
    }
    keep(client, input);
}

void load_turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    while (load->started < load->options.clients && load->connecting < load->options.connecting)
        start(load);
    int count = epoll_wait(load->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct client *client = &load->clients[events[i].data.u32];
        if (client->state == CLIENT_CLOSED)
            continue;
        if (client->state == CLIENT_CONNECTING && events[i].events & EPOLLOUT)
            upgrade(load, client);
        else
            receive(load, client);
    }
}

void load_stall(struct load *load, unsigned clients, bool stalled)
{
    for (unsigned i = 0; i < clients; i++) {
        struct epoll_event event = {.events = stalled ? 0 : EPOLLIN, .data.u32 = i};
        load->clients[i].stalled = true; /* its latencies are counted apart from now on */
        if (load->clients[i].state != CLIENT_CLOSED)
            epoll_ctl(load->epoll, EPOLL_CTL_MOD, load->clients[i].fd, &event);
    }
}
