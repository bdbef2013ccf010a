/* Which address a session is counted under, and that it is counted out exactly once: a place
 * knows its holder, and forgets it when it is left. The address is worked out before anything else
 * is known of the client; so this costs no token check, and a flood from one address ends here. */
#include "address_quotas.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"

enum { PREFIX_BYTES = 8 };

struct address_quotas {
    struct quotas *quotas;
    struct trusted_proxies trusted;
    struct address_quotas_stats stats;
};

struct address_quotas *address_quotas_new(const struct quotas_config *config,
                                          const struct trusted_proxies *trusted)
{
    assert(trusted->count <= TRUSTED_PROXIES_LIMIT);
    struct address_quotas *quotas = mem_new(struct address_quotas);
    quotas->quotas = quotas_new(config);
    quotas->trusted = *trusted;
    return quotas;
}

void address_quotas_free(struct address_quotas *quotas)
{
    if (!quotas)
        return;
    quotas_free(quotas->quotas);
    free(quotas);
}

const struct address_quotas_stats *address_quotas_stats(const struct address_quotas *quotas)
{
    return &quotas->stats;
}

/* False: a wire that has no address (tests, sockets of another family) is not counted. */
static bool judged_peer(const struct wire *wire, struct peer_address *peer)
{
    char text[WIRE_PEER_SIZE];
    wire->ops->peer(wire, text);
    text[strcspn(text, "%")] = '\0'; /* the interface of a link's own address */
    *peer = (struct peer_address){0};
    return peer_address_parse(text, peer);
}

/* The name under which the quotas count. For IPv6 that is the /64: one client has all of it. */
static struct bytes address_name(const struct peer_address *address)
{
    return bytes_of(address->ip,
                    peer_address_is_ipv4(address) ? sizeof(address->ip) : (size_t)PREFIX_BYTES);
}

/* A place is taken for the session that this request would open. If it opens none, the caller
 * leaves the place: else the address would be counted for ever. */
bool address_quotas_enter(struct address_quotas *quotas, const struct wire *wire,
                          const struct http_request *request, int64_t now_ms,
                          struct address_place *place, int64_t *retry_after_ms)
{
    struct peer_address peer;
    struct quota_refusal refusal;
    assert(!place->holder);
    if (!quotas || !judged_peer(wire, &peer))
        return true;
    struct peer_address client = client_address_of(request, &peer, &quotas->trusted);
    struct quota_owner owner = {.address = address_name(&client)};
    if (!quotas_enter(quotas->quotas, &owner, false, now_ms, &place->holder, &refusal)) {
        assert(refusal.scope == QUOTA_ADDRESS && refusal.retry_after_ms > 0);
        quotas->stats.refused[refusal.kind]++;
        *retry_after_ms = refusal.retry_after_ms;
        return false;
    }
    return true;
}

/* Every end of a session comes here, sometimes twice on its way. */
void address_place_leave(struct address_place *place)
{
    quota_leave(&place->holder);
}
