/* The port through which transports learn who a client is. Implemented over tokens in infra/, and
 * by a table in tests. Not what a client may do: that is the policy's. */
#ifndef GATEWAY_TRANSPORT_AUTHENTICATOR_H
#define GATEWAY_TRANSPORT_AUTHENTICATOR_H

#include "bytes.h"

/* What a client presents. Everything borrowed for the call; empty: not presented. */
struct credentials {
    struct bytes token; /* a bare token: CONNECT's auth.token, a query parameter, a cookie */
    struct bytes authorization; /* the Authorization field, e.g. "Bearer ..." */
    struct bytes object; /* CONNECT's auth, a JSON object: who it says it is, for development */
};

struct identity {
    bool accepted;
    const char *reason; /* not accepted: a static word such as token_expired */
    bool transient; /* not accepted for trouble of ours: close the transport, do not refuse (hazards
                       10) */
    struct bytes claims; /* accepted: a JSON object, borrowed until the next call */
    int64_t expires_ms;  /* accepted: wall-clock end of the token; INT64_MAX: never */
};

/* Embedded in whoever waits for an answer; zeroed: not waiting. */
struct authentication {
    void (*answered)(struct authentication *authentication, const struct identity *identity);
    void *pending; /* the authenticator's */
};

struct authenticator {
    /* True: *identity is the answer. False: keys are being fetched; authentication->answered() is
     * called once, later, unless it is cancelled before. The credentials are copied if needed. */
    bool (*begin)(void *authenticator, const struct credentials *credentials,
                  struct authentication *authentication, struct identity *identity);
    /* Not waiting any more; of one that is not waiting, nothing. */
    void (*cancel)(void *authenticator, struct authentication *authentication);
    void *context; /* the first argument of both */
};

#endif
