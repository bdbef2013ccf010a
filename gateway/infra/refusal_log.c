#include "refusal_log.h"

#include "log.h"
#include "wire.h"

/* The address costs a system call, and so is asked for only if it is written. */
static void peer_of(const struct refusal_note *note, char text[WIRE_PEER_SIZE])
{
    text[0] = '\0';
    if (note->wire)
        note->wire->ops->peer(note->wire, text);
}

void refusal_log(void *context, const struct refusal_note *note)
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
