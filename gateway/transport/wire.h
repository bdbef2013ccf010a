/* One byte-stream connection as the transports see it: five verbs down, three calls up. Implemented
 * over libwebsockets in sockets/lws_server and by an array in tests and simulation. Not a socket: no
 * descriptor, TLS or event loop shows here.
 *
 * Rules of the port:
 *  - No verb calls up from inside itself. Its news (the socket is broken) comes later,
 *    as `closed`.
 *  - write() takes everything. The wire keeps the part that the socket does not take, and
 *    `writable` is false until it has gone; nobody writes then. So this part is bounded by the
 *    largest single write, and that bound is the writer's.
 *  - While bytes are kept the wire may stop reading, so a peer that sends without reading blocks
 *    itself.
 *  - close() ends the wire for the receiver: it hears nothing more and must not use the wire again.
 *    `closed` comes only if the peer or the world ended the connection, and is then the last call.
 *  - The receiver may be replaced at any time by wire_attach(), from inside an upward call too. */
#ifndef GATEWAY_TRANSPORT_WIRE_H
#define GATEWAY_TRANSPORT_WIRE_H

#include "bytes.h"

struct wire;

enum wire_end {
    WIRE_FLUSH, /* what was written still goes out, within the implementation's time limit */
    WIRE_ABORT, /* at once */
};

enum { WIRE_PEER_SIZE = 64 }; /* an address as text, with its NUL */

struct wire_ops {
    /* Sends as much as the socket takes and keeps the rest. Only while wire->writable. */
    void (*write)(struct wire *wire, struct bytes bytes);
    /* Calls `writable` once: when kept bytes have gone, or else in a later turn (a writer that
     * takes breath). */
    void (*want_writable)(struct wire *wire);
    void (*close)(struct wire *wire, enum wire_end how);
    /* The peer's address without port, for logs and limits; "" if unknown. */
    void (*peer)(const struct wire *wire, char text[WIRE_PEER_SIZE]);
};

/* Time is monotonic, in milliseconds, and does not go back. */
struct wire_receiver_ops {
    void (*bytes)(void *receiver, struct bytes bytes,
                  int64_t now_ms); /* never empty; borrowed during the call */
    void (*writable)(void *receiver, int64_t now_ms);
    void (*closed)(void *receiver, int64_t now_ms);
};

/* The head of every implementation. */
struct wire {
    const struct wire_ops *ops;
    const struct wire_receiver_ops *receiver_ops;
    void *receiver;
    bool writable; /* nothing is kept; written by the implementation only */
    bool secure;   /* TLS */
};

/* Who hears of new connections; must attach a receiver or close the wire before it returns. */
struct wire_acceptor {
    void (*opened)(void *acceptor, struct wire *wire, int64_t now_ms);
    void *acceptor;
};

static inline void wire_attach(struct wire *wire, const struct wire_receiver_ops *ops,
                               void *receiver)
{
    wire->receiver_ops = ops;
    wire->receiver = receiver;
}

static inline void wire_write(struct wire *wire, struct bytes bytes)
{
    wire->ops->write(wire, bytes);
}

static inline void wire_want_writable(struct wire *wire)
{
    wire->ops->want_writable(wire);
}

static inline void wire_close(struct wire *wire, enum wire_end how)
{
    wire->ops->close(wire, how);
}

#endif
