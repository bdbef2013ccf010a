/* What a fan-out server costs at least: epoll, send, librdkafka, and one frame per record that all
 * members share. It speaks just enough of Socket.IO for bench_load, checks nothing, and forgets
 * everything: no heartbeat, no cursor of its own, no slow clients.
 *
 *   bench_baseline --port P --brokers LIST --topic T --partition N --bytes B
 *                  [--certificate PEM --key PEM]
 *
 * B: what a delivery is to take on the wire (the gateway's figure), reached by padding. All that is
 * ready goes to a client in one writev; with a certificate, in one SSL_write of OpenSSL's. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BATCH = 1024, ROOMS = 1 << 16, CLIENTS = 1 << 16, IOVECS = 256 };

struct frame {
    size_t size;
    unsigned references;
    char data[];
};

struct client {
    SSL *ssl; /* NULL: plain */
    int upgraded;
    int pending_count, pending_capacity;
    struct frame **pending;
};

struct room {
    int *members;
    int count, capacity;
};

static struct client clients[CLIENTS];
static struct room rooms[ROOMS];
static int ready[CLIENTS], ready_count;
static size_t delivery_bytes = 400;
static SSL_CTX *tls; /* NULL: plain */

static void *grow(void *old, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return old;
    *capacity = *capacity ? 2 * *capacity : 4;
    void *memory = reallocarray(old, (size_t)*capacity, size);
    if (!memory)
        abort();
    return memory;
}

static void say(int fd, const void *data, size_t size)
{
    SSL *ssl = clients[fd].ssl;
    if ((ssl ? SSL_write(ssl, data, (int)size) : send(fd, data, size, MSG_NOSIGNAL)) < 0)
        perror("send");
}

/* As recv(); the handshake is answered here too. */
static ssize_t hear(int fd, char *out, size_t room)
{
    SSL *ssl = clients[fd].ssl;
    if (!ssl)
        return recv(fd, out, room, 0);
    int size = SSL_read(ssl, out, (int)room);
    if (size > 0)
        return size;
    errno = EAGAIN;
    return SSL_get_error(ssl, size) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* A small unmasked text frame. */
static void reply(int fd, const char *text)
{
    char frame[256];
    size_t size = strlen(text);
    assert(size < 126);
    frame[0] = (char)0x81;
    frame[1] = (char)size;
    memcpy(frame + 2, text, size);
    say(fd, frame, size + 2);
}

static void join(int fd, const char *text, const char *digits)
{
    char answer[64];
    unsigned number = (unsigned)strtoul(digits, NULL, 10);
    struct room *room = &rooms[number % ROOMS];
    room->members = grow(room->members, room->count, &room->capacity, sizeof(int));
    room->members[room->count++] = fd;
    snprintf(answer, sizeof(answer), "43%c[{\"ok\":true}]", text[2]);
    reply(fd, answer);
}

static void hear_text(int fd, const char *text)
{
    const char *mark = strstr(text, "bench-");
    if (strncmp(text, "40", 2) == 0)
        reply(fd, "40{\"sid\":\"baseline\"}");
    else if (strncmp(text, "42", 2) == 0 && mark)
        join(fd, text, mark + 6);
}

static void receive(int fd)
{
    char input[4096];
    ssize_t size = hear(fd, input, sizeof(input) - 1);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        SSL_free(clients[fd].ssl);
        clients[fd].ssl = NULL;
        close(fd);
        return;
    }
    input[size] = 0;
    if (!clients[fd].upgraded) {
        static const char head[] =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        clients[fd].upgraded = 1;
        say(fd, head, sizeof(head) - 1);
        reply(fd, "0{\"sid\":\"baseline\",\"upgrades\":[],\"pingInterval\":25000}");
        return;
    }
    /* Frames come whole, and the load generator masks with zeros: the text can be read in place. */
    for (size_t at = 0; at + 6 < (size_t)size;) {
        bool medium = (unsigned char)input[at + 1] == (0x80 | 126);
        size_t length =
            medium ? (size_t)((unsigned char)input[at + 2] << 8 | (unsigned char)input[at + 3])
                   : (unsigned char)input[at + 1] & 0x7fu;
        at += medium ? 8 : 6;
        hear_text(fd, input + at);
        at += length;
    }
}

/* The record's data, padded to the size of the gateway's deliveries. */
static struct frame *make_frame(const rd_kafka_message_t *record)
{
    const char *data = memmem(record->payload, record->len, "{\"b\":\"", 6);
    size_t data_size = data ? (size_t)((const char *)memchr(data, '}', record->len) - data) + 1 : 0;
    size_t head = 4, prefix = 16, size = delivery_bytes;
    if (size < head + prefix + data_size + 2)
        size = head + prefix + data_size + 2;
    struct frame *frame = malloc(sizeof(*frame) + size);
    if (!frame)
        abort();
    memset(frame->data, ' ', size);
    frame->data[0] = (char)0x81;
    frame->data[1] = 126;
    frame->data[2] = (char)((size - head) >> 8);
    frame->data[3] = (char)(size - head);
    memcpy(frame->data + head, "42[\"task.status\",", 16);
    if (data)
        memcpy(frame->data + head + prefix, data, data_size);
    memcpy(frame->data + size - 2, "\"]", 2);
    frame->size = size;
    frame->references = 1;
    return frame;
}

static void publish(const rd_kafka_message_t *record)
{
    const char *mark = memmem(record->payload, record->len, "bench-", 6);
    const char *room_mark = memmem(record->payload, record->len, "task:bench-", 11);
    if (!mark || !room_mark)
        return;
    struct room *room = &rooms[strtoul(room_mark + 11, NULL, 10) % ROOMS];
    if (room->count == 0)
        return;
    struct frame *frame = make_frame(record);
    for (int i = 0; i < room->count; i++) {
        struct client *client = &clients[room->members[i]];
        client->pending = grow(client->pending, client->pending_count, &client->pending_capacity,
                               sizeof(struct frame *));
        if (client->pending_count == 0)
            ready[ready_count++] = room->members[i];
        client->pending[client->pending_count++] = frame;
        frame->references++;
    }
    if (--frame->references == 0)
        free(frame);
}

static void write_encrypted(SSL *ssl, const struct iovec *vectors, int count)
{
    static char buffer[1 << 20];
    size_t size = 0;
    for (int i = 0; i < count && size + vectors[i].iov_len <= sizeof(buffer); i++) {
        memcpy(buffer + size, vectors[i].iov_base, vectors[i].iov_len);
        size += vectors[i].iov_len;
    }
    while (SSL_write(ssl, buffer, (int)size) <= 0)
        if (SSL_get_error(ssl, -1) != SSL_ERROR_WANT_WRITE)
            return;
}

static void write_all(int fd, struct iovec *vectors, int count)
{
    if (clients[fd].ssl) {
        write_encrypted(clients[fd].ssl, vectors, count);
        return;
    }
    while (count) {
        ssize_t sent = writev(fd, vectors, count);
        if (sent < 0 && errno != EAGAIN) {
            perror("writev");
            return;
        }
        for (; sent > 0 && count && (size_t)sent >= vectors->iov_len; count--)
            sent -= (ssize_t)(vectors++)->iov_len;
        if (sent > 0 && count) {
            vectors->iov_base = (char *)vectors->iov_base + sent;
            vectors->iov_len -= (size_t)sent;
        }
    }
}

static void flush_ready(void)
{
    struct iovec vectors[IOVECS];
    for (int i = 0; i < ready_count; i++) {
        struct client *client = &clients[ready[i]];
        for (int done = 0; done < client->pending_count;) {
            int count = 0;
            for (; count < IOVECS && done + count < client->pending_count; count++) {
                struct frame *frame = client->pending[done + count];
                vectors[count] = (struct iovec){frame->data, frame->size};
            }
            write_all(ready[i], vectors, count);
            done += count;
        }
        for (int k = 0; k < client->pending_count; k++)
            if (--client->pending[k]->references == 0)
                free(client->pending[k]);
        client->pending_count = 0;
    }
    ready_count = 0;
}

static void drain(rd_kafka_queue_t *queue, int event)
{
    rd_kafka_message_t *records[BATCH];
    uint64_t count;
    if (read(event, &count, sizeof(count)) < 0)
        perror("eventfd");
    ssize_t got;
    do {
        got = rd_kafka_consume_batch_queue(queue, 0, records, BATCH);
        for (ssize_t i = 0; i < got; i++) {
            if (!records[i]->err)
                publish(records[i]);
            rd_kafka_message_destroy(records[i]);
        }
        flush_ready();
    } while (got > 0);
}

static rd_kafka_queue_t *consume(const char *brokers, const char *topic, int partition, int event)
{
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof(error));
    rd_kafka_conf_set(conf, "group.id", "baseline", error, sizeof(error));
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", error, sizeof(error));
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
    int64_t low, high;
    if (!consumer ||
        rd_kafka_query_watermark_offsets(consumer, topic, partition, &low, &high, 10000)) {
        fprintf(stderr, "bench_baseline: no broker or topic\n");
        exit(EXIT_FAILURE);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = high;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, event, &one, sizeof(one));
    if (write(event, &one, sizeof(one)) < 0)
        perror("eventfd");
    return queue;
}

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4096)) {
        perror("bind");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static void accept_all(int listener, int epoll)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        if (tls) {
            clients[fd].ssl = SSL_new(tls);
            SSL_set_fd(clients[fd].ssl, fd);
            SSL_set_accept_state(clients[fd].ssl);
        }
    }
}

static void use_certificate(const char *certificate, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "bench_baseline: the certificate or its key is unusable\n");
        exit(EXIT_FAILURE);
    }
}

static void serve(int port, const char *brokers, const char *topic, int partition)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = listen_on(port), epoll = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK);
    rd_kafka_queue_t *queue = consume(brokers, topic, partition, event);
    struct epoll_event events[256] = {{.events = EPOLLIN, .data.fd = listener},
                                      {.events = EPOLLIN, .data.fd = event}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &events[1]);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        int got = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < got; i++)
            if (events[i].data.fd == listener)
                accept_all(listener, epoll);
            else if (events[i].data.fd == event)
                drain(queue, event);
            else
                receive(events[i].data.fd);
    }
}

int main(int count, char **arguments)
{
    static const struct option options[] = {{"port", 1, NULL, 'p'},  {"brokers", 1, NULL, 'b'},
                                            {"topic", 1, NULL, 't'}, {"partition", 1, NULL, 'n'},
                                            {"bytes", 1, NULL, 'B'}, {"certificate", 1, NULL, 'c'},
                                            {"key", 1, NULL, 'k'},   {0}};
    const char *brokers = "127.0.0.1:9092", *topic = "fanout.tenant", *certificate = NULL;
    const char *key = NULL;
    int port = 8080, partition = 0, option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
        switch (option) {
        case 'p':
            port = (int)strtol(optarg, NULL, 10);
            break;
        case 'b':
            brokers = optarg;
            break;
        case 't':
            topic = optarg;
            break;
        case 'n':
            partition = (int)strtol(optarg, NULL, 10);
            break;
        case 'B':
            delivery_bytes = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            certificate = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        default:
            return EXIT_FAILURE;
        }
    if (certificate)
        use_certificate(certificate, key);
    serve(port, brokers, topic, partition);
}
