/* How many sessions clients of one address may have and open, judged before anything is known of
 * them but the head of their request. The counting is the domain's (quotas.h); this says which
 * address it is, and gives each session its place. IPv6 is counted by /64: who has one has all of
 * its addresses. */
#ifndef GATEWAY_HTTP_ADDRESS_QUOTAS_H
#define GATEWAY_HTTP_ADDRESS_QUOTAS_H

#include "client_address.h"
#include "quotas.h"
#include "wire.h"

struct address_quotas;

struct address_quotas_stats {
    uint64_t refused[QUOTA_KINDS];
};

/* One session's. Zeroed: it is counted nowhere. */
struct address_place {
    struct quota *holder;
};

/* Both are copied. */
struct address_quotas *address_quotas_new(const struct quotas_config *config,
                                          const struct trusted_proxies *trusted);
/* Every place must have been left. NULL is fine. */
void address_quotas_free(struct address_quotas *quotas);
const struct address_quotas_stats *address_quotas_stats(const struct address_quotas *quotas);

/* A request over `wire` would open a session. False: not now, `place` is untouched. A wire that
 * knows no address is held to no limit; so are all if `quotas` is NULL. */
bool address_quotas_enter(struct address_quotas *quotas, const struct wire *wire,
                          const struct http_request *request, int64_t now_ms,
                          struct address_place *place, int64_t *retry_after_ms) MUST_CHECK;
/* The session is over; more than once is fine. */
void address_place_leave(struct address_place *place);

#endif
