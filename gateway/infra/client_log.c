/* What clients do, as lines of the log: who came, what they joined, why they were refused. The
 * domain and the transports tell of it as notes (access_note, refusal_note) and know no log; here
 * it becomes lines.
 *
 * Never tokens, payloads or names of events: ids of user, tenant, session and room, and our own
 * words. These lines are what an operator gives to a customer who asks "why was I thrown out". */
#include "client_log.h"

#include "hub.h"
#include "log.h"
#include "wire.h"

static const char *or_nothing(const char *text)
{
    return text ? text : "";
}

void client_log_access(void *context, const struct access_note *note)
{
    (void)context;
    /* Before anything is put together: while thousands connect, a line that is not written must
     * cost nothing. */
    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    const struct log_field session = LOG_BYTES("session", session_public_id(note->session));
    const struct log_field tenant = LOG_BYTES("tenant", session_tenant(note->session));
    const struct log_field user = LOG_BYTES("user", session_user(note->session));
    const struct log_field transport = LOG_STRING("transport", session_transport(note->session));
    switch (note->kind) {
    case ACCESS_OPENED:
        log_info("session opened", session, tenant, user, transport,
                 LOG_BOOLEAN("recovered", note->recovered), LOG_UNSIGNED("rooms", note->rooms),
                 LOG_STRING("reason", or_nothing(note->reason)));
        break;
    case ACCESS_JOINED:
        log_info("room joined", session, tenant, user, transport, LOG_BYTES("room", note->room));
        break;
    case ACCESS_CLOSED:
        log_info("session closed", session, tenant, user, transport,
                 /* No reason of ours: the client has closed, or its connection broke. */
                 LOG_STRING("reason", note->reason ? note->reason : "client_gone"),
                 LOG_UNSIGNED("notifications", note->notifications),
                 LOG_UNSIGNED("rooms", note->rooms), LOG_INTEGER("lasted_ms", note->lasted_ms));
        break;
    }
}

/* The address costs a system call, and so is asked for only if it is written. */
static void peer_of(const struct refusal_note *note, char text[WIRE_PEER_SIZE])
{
    text[0] = '\0';
    if (note->wire)
        note->wire->ops->peer(note->wire, text);
}

void client_log_refusal(void *context, const struct refusal_note *note)
{
    (void)context;
    if (!log_enabled(note->ends ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG))
        return;
    char peer[WIRE_PEER_SIZE];
    peer_of(note, peer);
    const struct log_field reason = LOG_STRING("reason", note->word);
    const struct log_field transport = LOG_STRING("transport", note->transport);
    const struct log_field claim = LOG_STRING("claim", note->claim ? note->claim : "");
    const struct log_field tenant = LOG_BYTES("tenant", note->tenant);
    const struct log_field user = LOG_BYTES("user", note->user);
    const struct log_field session = LOG_BYTES("session", note->session);
    const struct log_field address = LOG_STRING("peer", peer);
    if (note->ends)
        log_info("client refused", reason, transport, claim, tenant, user, session, address);
    else
        log_debug("request refused", reason, transport, claim, tenant, user, session, address);
}
