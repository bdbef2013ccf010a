/* Wires made of arrays, with two ends each: one is a server's or a gateway's that dials, the other
 * is another gateway's or, for a client's connection, whoever calls the functions below. What is
 * written lies there until the next move, so that nobody is called from inside his own call.
 * Not a socket, and not a client: what a client says is its caller's (hostile_client_fuzz.c,
 * hostile_witness.c). */
#ifndef TESTS_FUZZ_HOSTILE_WIRES_H
#define TESTS_FUZZ_HOSTILE_WIRES_H

#include "buffer.h"
#include "http_server.h"
#include "wire.h"

struct hostile_wire {
    struct wire wire;           /* first */
    struct hostile_wire *other; /* the far end; NULL: a client's, or gone */
    unsigned gateway;           /* that holds this end */
    struct buffer in;           /* on its way to the receiver here, from the far end */
    struct buffer out;          /* a client's connection: what the client may read */
    bool client;                /* its far end is a client */
    bool full;                  /* the client does not read: the next write is kept */
    bool wanted;                /* `writable` is to be called */
    bool closed;                /* by the receiver here, or told to it */
    bool cut;                   /* the receiver is to hear that the peer is gone */
    bool dialing;
    bool owned; /* somebody outside holds it: stays until it is let go */
    struct hostile_wire *prev, *next;
};

/* A client's connection, given to the server that listens there. Held by the caller until
 * hostile_wire_let_go(). */
struct hostile_wire *hostile_wire_open(struct http_server *http, unsigned gateway, int64_t now_ms);
/* A gateway's connection to another; NULL: nobody answers there. */
struct hostile_wire *hostile_wire_dial(unsigned from, struct http_server *to, unsigned gateway,
                                       int64_t now_ms);
/* Gives the bytes to the receiver, in pieces of `step` bytes. */
void hostile_wire_send(struct hostile_wire *wire, struct bytes bytes, size_t step, int64_t now_ms);
/* The client reads, or reads again. */
void hostile_wire_drain(struct hostile_wire *wire);
/* The client is gone, and nobody outside holds the wire any more. */
void hostile_wire_let_go(struct hostile_wire *wire);
/* All wires between this gateway and the others break: it has died. */
void hostile_wires_break(unsigned gateway);

/* Whether something moved: until nothing does, the world is not at rest. */
bool hostile_wires_move(int64_t now_ms);
/* Asserts that all are closed, and frees them. */
void hostile_wires_free(void);

#endif
