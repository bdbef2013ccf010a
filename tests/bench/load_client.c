#include "load_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load_token.h"
#include "mem.h"

enum {
    BUFFER_BYTES = 1 << 20,
    EVENTS = 512,
    LATENCY_BUCKETS = 64 * 64, /* logarithmic: 64 steps per doubling */
    KEPT_BYTES = 512,          /* the longest private id or cursor */
    REST_KEPT_BYTES = 1024,    /* a larger buffer is given back when it is empty */
    RETURN_MS = 1000,
    RETURN_MAX_MS = 5000,
    LOOK_AWAY_US = 5000, /* how often it is looked who is to come back */
};

enum client_state {
    CLIENT_IDLE,
    CLIENT_CONNECTING,
    CLIENT_SHAKING, /* TLS */
    CLIENT_UPGRADING,
    CLIENT_OPENING,
    CLIENT_WAITING, /* for load_join() */
    CLIENT_JOINING,
    CLIENT_READY,
    CLIENT_AWAY, /* closed, and will be back */
    CLIENT_CLOSED
};

/* What the stock client keeps: pid from CONNECT, the last trailing string of an event. */
struct kept {
    char pid[KEPT_BYTES], cursor[KEPT_BYTES];
    uint64_t due_us; /* AWAY: when it comes back */
    unsigned attempts;
};

struct client {
    SSL *ssl; /* NULL: plain */
    int fd;
    uint8_t state, rooms_joined;
    bool stalled;
    uint32_t rest_size, rest_capacity;
    uint8_t *rest; /* an incomplete frame */
    uint32_t last[LOAD_ROOMS_LIMIT];
    uint64_t asked_us; /* when it asked for its rooms */
    struct kept *kept; /* NULL unless it is to keep something */
};

struct load {
    struct load_options options;
    struct load_counts counts;
    struct client *clients;
    unsigned started, connecting, away;
    bool returning;
    bool joining;     /* nobody waits for load_join() any more */
    uint64_t look_us; /* when it is looked for those who are away */
    uint32_t random;
    int epoll;
    SSL_CTX *tls; /* NULL: plain */
    uint8_t *buffer;
    uint64_t latencies[2][LATENCY_BUCKETS], latency_count[2];
    uint64_t joins[LATENCY_BUCKETS], join_count;
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
    if (options->tls)
        load->tls = SSL_CTX_new(TLS_client_method());
    if (load->tls)
        SSL_CTX_set_mode(load->tls, SSL_MODE_RELEASE_BUFFERS);
    return load;
}

void load_free(struct load *load)
{
    for (unsigned i = 0; i < load->started; i++) {
        if (load->clients[i].state < CLIENT_AWAY)
            close(load->clients[i].fd);
        SSL_free(load->clients[i].ssl);
        free(load->clients[i].rest);
        free(load->clients[i].kept);
    }
    SSL_CTX_free(load->tls);
    close(load->epoll);
    free(load->clients);
    free(load->buffer);
    free(load);
}

const struct load_counts *load_counts(const struct load *load)
{
    return &load->counts;
}

/* --- latencies --- */

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

static double percentile_us(const uint64_t buckets[LATENCY_BUCKETS], uint64_t count, double percent)
{
    uint64_t wanted = (uint64_t)((double)count * percent / 100), seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += buckets[i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return 0;
}

double load_latency(const struct load *load, double percent, bool stalled)
{
    return percentile_us(load->latencies[stalled], load->latency_count[stalled], percent);
}

double load_join_latency(const struct load *load, double percent)
{
    return percentile_us(load->joins, load->join_count, percent);
}

uint64_t load_latency_count(const struct load *load, bool stalled)
{
    return load->latency_count[stalled];
}

void load_reset_latencies(struct load *load)
{
    memset(load->latencies, 0, sizeof(load->latencies));
    memset(load->latency_count, 0, sizeof(load->latency_count));
}

/* --- sending --- */

/* The stock client's back-off: doubled each time, by up to a half more or less. */
static void go_away(struct load *load, struct client *client)
{
    unsigned attempt = client->kept->attempts < 3 ? client->kept->attempts : 3;
    uint64_t delay_ms = RETURN_MS << attempt;
    client->kept->attempts++;
    load->random = load->random * 1664525 + 1013904223;
    delay_ms = delay_ms / 2 + delay_ms * (load->random >> 8) / (1u << 24);
    client->kept->due_us = now_us() + 1000 * (delay_ms < RETURN_MAX_MS ? delay_ms : RETURN_MAX_MS);
    client->state = CLIENT_AWAY;
    load->away++;
}

static void end(struct load *load, struct client *client)
{
    if (client->state == CLIENT_READY)
        load->counts.ready--;
    else if (client->state == CLIENT_WAITING)
        load->counts.waiting--;
    else
        load->connecting--;
    close(client->fd);
    client->state = CLIENT_CLOSED;
    load->counts.closed++;
    if (load->returning && client->kept)
        go_away(load, client);
}

/* What a client says fits the socket's buffer. */
static void send_all(struct load *load, struct client *client, const void *data, size_t size)
{
    ssize_t sent = client->ssl ? SSL_write(client->ssl, data, (int)size)
                               : send(client->fd, data, size, MSG_NOSIGNAL);
    if (sent != (ssize_t)size)
        end(load, client);
}

/* As recv(): 0 at the end, -1 with errno. */
static ssize_t read_some(struct client *client, uint8_t *out, size_t room)
{
    if (!client->ssl)
        return recv(client->fd, out, room, 0);
    size_t size = 0, got;
    while (size < room && SSL_read_ex(client->ssl, out + size, room - size, &got))
        size += got; /* a record at a time */
    if (size)
        return (ssize_t)size;
    errno = EAGAIN;
    return SSL_get_error(client->ssl, 0) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* A masked text frame; the mask is zero, which is as good as any here. */
static void send_text(struct load *load, struct client *client, const char *text)
{
    uint8_t frame[2048];
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
    send_all(load, client, frame, head + size);
}

static void start(struct load *load, unsigned number)
{
    struct client *client = &load->clients[number];
    if (load->options.keep && !client->kept)
        client->kept = mem_new(struct kept);
    client->rest_size = 0;
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
    if (load->options.receive_buffer &&
        (!load->options.receive_first || number < load->options.receive_first))
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
    send_all(load, client, request, (size_t)size);
}

/* The connection is there, or the handshake got an answer. */
static void connected(struct load *load, struct client *client)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(client - load->clients)};
    if (!load->tls) {
        upgrade(load, client);
        return;
    }
    if (!client->ssl) {
        client->ssl = SSL_new(load->tls);
        SSL_set_fd(client->ssl, client->fd);
        epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
        client->state = CLIENT_SHAKING;
    }
    int done = SSL_connect(client->ssl);
    if (done == 1)
        upgrade(load, client);
    else if (SSL_get_error(client->ssl, done) != SSL_ERROR_WANT_READ)
        end(load, client);
}

/* --- receiving --- */

static unsigned room_of(const struct load *load, const struct client *client, unsigned index)
{
    unsigned number = (unsigned)(client - load->clients);
    return (number * load->options.rooms_each + index) % load->options.rooms;
}

static void check_joined(struct load *load, struct client *client)
{
    if (client->rooms_joined < load->options.rooms_each && load->options.protocol != LOAD_UPGRADE)
        return;
    if (client->asked_us)
        load->joins[bucket_of(now_us() - client->asked_us)]++;
    load->join_count += client->asked_us != 0;
    client->asked_us = 0;
    client->state = CLIENT_READY;
    load->connecting--;
    load->counts.ready++;
}

/* All at once, as an application does when it is connected: no emit waits for the other's ack. */
static void join_rooms(struct load *load, struct client *client)
{
    char text[256];
    const char *prefix = load->options.room_prefix;
    bool state = client < load->clients + load->options.state;
    client->state = CLIENT_JOINING;
    client->asked_us = now_us();
    for (unsigned i = client->rooms_joined;
         i < load->options.rooms_each && client->state == CLIENT_JOINING; i++) {
        unsigned id = i + 2u, room = room_of(load, client, i);
        if (load->options.protocol == LOAD_CENTRIFUGE)
            snprintf(text, sizeof(text), "{\"id\":%u,\"subscribe\":{\"channel\":\"%s%u\"}}", id,
                     prefix, room);
        else
            snprintf(text, sizeof(text), "42%u[\"subscribe\",{\"room\":\"%s%u\"}%s]", id, prefix,
                     room, state ? ",{\"state\":true}" : "");
        send_text(load, client, text);
    }
    if (client->state == CLIENT_JOINING)
        check_joined(load, client);
}

void load_join(struct load *load)
{
    load->joining = true;
    for (unsigned i = 0; i < load->started; i++)
        if (load->clients[i].state == CLIENT_WAITING) {
            load->counts.waiting--;
            load->connecting++;
            join_rooms(load, &load->clients[i]);
        }
}

static bool says(struct bytes text, const char *what)
{
    return memmem(text.data, text.size, what, strlen(what)) != NULL;
}

/* 43ID[{"ok":true,"state":{"count":3,"complete":true,"since":0}}] */
static void answered(struct load *load, struct client *client, struct bytes text)
{
    static const char count[] = "\"state\":{\"count\":";
    const uint8_t *mark = memmem(text.data, text.size, count, strlen(count));
    client->rooms_joined++;
    load->counts.refused += !says(text, "\"ok\":true");
    load->counts.states += mark != NULL;
    load->counts.complete_states += mark && says(text, "\"complete\":true");
    if (mark)
        load->counts.items_told += strtoul((const char *)mark + strlen(count), NULL, 10);
    check_joined(load, client);
}

/* 42["state",{"room":...,"first":true,"items":[...]}] */
static bool take_state(struct load *load, struct bytes text)
{
    static const char start[] = "42[\"state\",", item[] = "\"item\":{\"key\":";
    if (text.size < strlen(start) || memcmp(text.data, start, strlen(start)) != 0)
        return false;
    const uint8_t *at;
    while ((at = memmem(text.data, text.size, item, strlen(item)))) {
        load->counts.items_given++;
        text = bytes_skip(text, (size_t)(at - text.data) + strlen(item));
    }
    return true;
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

/* --- keeping and coming back --- */

static void keep_text(char out[KEPT_BYTES], struct bytes text)
{
    assert(text.size < KEPT_BYTES);
    memcpy(out, text.data, text.size);
    out[text.size] = 0;
}

/* Events end with the cursor: ..."]. */
static void keep_cursor(struct client *client, struct bytes text)
{
    if (text.size < 3 || text.data[text.size - 2] != '"')
        return;
    size_t last = text.size - 2;
    const uint8_t *first = memrchr(text.data, '"', last);
    if (first)
        keep_text(client->kept->cursor,
                  bytes_of(first + 1, (size_t)(text.data + last - first - 1)));
}

/* CONNECT was answered: 40{"sid":"...","pid":"..."}. The same pid: the session goes on. */
static void opened(struct load *load, struct client *client, struct bytes text)
{
    static const char name[] = "\"pid\":\"";
    struct kept *kept = client->kept;
    const uint8_t *mark = kept ? memmem(text.data, text.size, name, strlen(name)) : NULL;
    char pid[KEPT_BYTES] = "";
    if (mark) {
        struct bytes rest = bytes_skip(text, (size_t)(mark - text.data) + strlen(name));
        const uint8_t *close_quote = memchr(rest.data, '"', rest.size);
        keep_text(pid, bytes_of(rest.data, close_quote ? (size_t)(close_quote - rest.data) : 0));
    }
    bool back = kept && kept->pid[0], recovered = back && strcmp(kept->pid, pid) == 0;
    if (kept)
        kept->attempts = 0;
    load->counts.recovered += recovered;
    load->counts.fresh += back && !recovered;
    if (!recovered)
        client->rooms_joined = 0;
    if (kept)
        memcpy(kept->pid, pid, sizeof(pid));
    if (load->options.together && !load->joining) {
        client->state = CLIENT_WAITING;
        load->connecting--;
        load->counts.waiting++;
    } else {
        join_rooms(load, client);
    }
}

/* What a client presents that comes back, into the end of its CONNECT packet. */
static void add_return(const struct client *client, char *packet, size_t capacity)
{
    size_t size = strlen(packet);
    if (!client->kept || !client->kept->pid[0])
        return;
    assert(size > 0 && packet[size - 1] == '}');
    snprintf(packet + size - 1, capacity - size + 1, ",\"pid\":\"%s\",\"offset\":\"%s\"}",
             client->kept->pid, client->kept->cursor);
}

static int digit_of(char character)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = character ? strchr(digits, character) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The first position of a cursor: behind the point, base64url of a little-endian base-128 number.
 */
static int64_t position_in(const char *cursor)
{
    const char *at = strchr(cursor, '.');
    uint64_t value = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0, shift = 0;
    for (at = at ? at + 1 : ""; digit_of(*at) >= 0; at++) {
        bits = bits << 6 | (uint32_t)digit_of(*at);
        bit_count += 6;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        uint8_t byte = (uint8_t)(bits >> bit_count);
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80))
            return (int64_t)value;
    }
    return -1;
}

int64_t load_oldest_cursor(const struct load *load)
{
    int64_t oldest = INT64_MAX;
    for (unsigned i = 0; i < load->started; i++) {
        int64_t position = load->clients[i].kept ? position_in(load->clients[i].kept->cursor) : -1;
        if (position < oldest)
            oldest = position;
    }
    return oldest;
}

static void say_who(struct load *load, struct client *client)
{
    char claims[256], auth[1000], packet[1004 + 2 * KEPT_BYTES];
    const char *format = load->options.auth, *mark = strstr(format, "%u");
    if (mark)
        snprintf(claims, sizeof(claims), "%.*s%u%s", (int)(mark - format), format,
                 (unsigned)(client - load->clients), mark + 2);
    else
        snprintf(claims, sizeof(claims), "%s", format);
    if (load->options.secret)
        load_token(auth, sizeof(auth), load->options.secret, claims);
    snprintf(packet, sizeof(packet), "40%s", load->options.secret ? auth : claims);
    add_return(client, packet, sizeof(packet));
    client->state = CLIENT_OPENING;
    send_text(load, client, packet);
}

static void handle_packet(struct load *load, struct client *client, struct bytes text)
{
    if (text.size == 0)
        return;
    if (text.data[0] == '2') {
        load->counts.pings++;
        send_text(load, client, "3");
    } else if (text.data[0] == '0') {
        say_who(load, client);
    } else if (text.size > 1 && text.data[1] == '0') {
        opened(load, client, text);
    } else if (text.size > 1 && text.data[1] == '3') {
        answered(load, client, text);
    } else if (text.size > 1 && text.data[1] == '4') {
        fprintf(stderr, "refused: %.*s\n", BYTES_PRINT(text));
        end(load, client);
    } else if (text.size > 1 && text.data[1] == '2' && !take_state(load, text)) {
        delivered(load, client, text);
        if (client->kept)
            keep_cursor(client, text);
    }
}

/* One line of Centrifugo's protocol: a push, an answer, or {} for a ping. */
static void handle_line(struct load *load, struct client *client, struct bytes line)
{
    if (line.size == 2) {
        load->counts.pings++;
        send_text(load, client, "{}");
    } else if (line.size > 6 && memcmp(line.data, "{\"push", 6) == 0) {
        delivered(load, client, line);
    } else if (memmem(line.data, line.size, "\"error\"", 7)) {
        fprintf(stderr, "refused: %.*s\n", BYTES_PRINT(line));
        end(load, client);
    } else if (client->state == CLIENT_JOINING) {
        client->rooms_joined++;
        check_joined(load, client);
    } else {
        join_rooms(load, client);
    }
}

static void handle_text(struct load *load, struct client *client, struct bytes text)
{
    if (load->options.protocol == LOAD_SOCKETIO)
        handle_packet(load, client, text);
    else if (load->options.protocol == LOAD_CENTRIFUGE)
        while (text.size && client->state != CLIENT_CLOSED) {
            const uint8_t *end_of_line = memchr(text.data, '\n', text.size);
            size_t size = end_of_line ? (size_t)(end_of_line - text.data) : text.size;
            handle_line(load, client, bytes_of(text.data, size));
            text = bytes_skip(text, end_of_line ? size + 1 : size);
        }
}

/* The server's answer to the upgrade has come. */
static void upgraded(struct load *load, struct client *client)
{
    client->state = CLIENT_OPENING;
    if (load->options.protocol == LOAD_CENTRIFUGE)
        send_text(load, client, "{\"id\":1,\"connect\":{}}");
    else if (load->options.protocol == LOAD_UPGRADE)
        check_joined(load, client);
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
    if (rest.size) {
        memcpy(client->rest, rest.data, rest.size);
    } else if (client->rest_capacity > REST_KEPT_BYTES) {
        free(client->rest);
        client->rest = NULL;
        client->rest_capacity = 0;
    }
    client->rest_size = (uint32_t)rest.size;
}

static void receive(struct load *load, struct client *client)
{
    size_t kept = client->rest_size;
    if (kept)
        memcpy(load->buffer, client->rest, kept);
    ssize_t size = read_some(client, load->buffer + kept, BUFFER_BYTES - kept);
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
            upgraded(load, client);
    }
    while (client->state != CLIENT_UPGRADING && client->state < CLIENT_AWAY) {
        size_t used = take_frame(load, client, input);
        if (used == 0)
            break;
        input = bytes_skip(input, used);
    }
    keep(client, input);
}

static void bring_back(struct load *load)
{
    uint64_t now = now_us();
    load->look_us = now + LOOK_AWAY_US;
    for (unsigned i = 0; i < load->started && load->away; i++) {
        if (load->clients[i].state != CLIENT_AWAY || load->clients[i].kept->due_us > now)
            continue;
        load->away--;
        start(load, i);
    }
}

void load_return(struct load *load, const struct sockaddr_in *address)
{
    load->returning = true;
    load->options.address = *address;
}

void load_turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    while (load->started < load->options.clients && load->connecting < load->options.connecting)
        start(load, load->started++);
    if (load->away && now_us() >= load->look_us)
        bring_back(load);
    int count = epoll_wait(load->epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct client *client = &load->clients[events[i].data.u32];
        if (client->state >= CLIENT_AWAY)
            continue;
        if (client->state == CLIENT_SHAKING ||
            (client->state == CLIENT_CONNECTING && events[i].events & EPOLLOUT))
            connected(load, client);
        else
            do
                receive(load, client);
            while (client->state != CLIENT_CLOSED && client->ssl && SSL_pending(client->ssl));
    }
}

void load_stall(struct load *load, unsigned clients, bool stalled)
{
    for (unsigned i = 0; i < clients; i++) {
        struct epoll_event event = {.events = stalled ? 0 : EPOLLIN, .data.u32 = i};
        load->clients[i].stalled = true; /* its latencies are counted apart from now on */
        if (load->clients[i].state < CLIENT_AWAY)
            epoll_ctl(load->epoll, EPOLL_CTL_MOD, load->clients[i].fd, &event);
    }
}
