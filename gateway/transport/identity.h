/* The port to whatever says who a client is (infra: tokens, development mode). Asked at connect and
 * when a client brings a fresh token. Not what it may do: that is the domain's policy. */
#ifndef GATEWAY_TRANSPORT_IDENTITY_H
#define GATEWAY_TRANSPORT_IDENTITY_H

#include "bytes.h"
#include "claims.h"

enum identity_verdict {
    IDENTITY_KNOWN,
    IDENTITY_REFUSED,   /* the client must bring something else */
    IDENTITY_TROUBLE,   /* ours: the client may come again as it is */
    IDENTITY_UNDECIDED, /* identity_waiter.decided will be called */
};

struct identity {
    const char *reason;        /* static word, unless KNOWN, e.g. token_expired */
    struct claims_json claims; /* KNOWN: borrowed during the call */
    int64_t expires_ms;        /* KNOWN: wall-clock; INT64_MAX: never */
};

struct identity_question {
    struct bytes token; /* from the auth payload or the Authorization field; may be empty */
    struct bytes auth;  /* the auth payload, raw JSON; may be empty */
};

/* Embedded by who waits. */
struct identity_waiter {
    void (*decided)(struct identity_waiter *waiter, enum identity_verdict verdict,
                    const struct identity *identity);
    void *pending; /* the implementation's */
    void *queued;  /* identity_queue.h's */
};

struct identity_ops {
    /* Fills `identity` unless UNDECIDED. decided() is never called from inside. */
    enum identity_verdict (*ask)(void *identifier, const struct identity_question *question,
                                 struct identity_waiter *waiter, struct identity *identity);
    /* The waiter goes; it was UNDECIDED and has not been told. */
    void (*cancel)(void *identifier, struct identity_waiter *waiter);
};

#endif
