/* Which address a request comes from: the connection's, or what proxies say of it that are trusted.
 * Pure. Not what an address may ask for (address_quotas.h).
 *
 * Each proxy adds, on the right, whom it has heard. So the client is the first from the right that
 * is no trusted proxy, and what stands left of it anybody may have written: it is not believed. */
#ifndef GATEWAY_HTTP_CLIENT_ADDRESS_H
#define GATEWAY_HTTP_CLIENT_ADDRESS_H

#include "http_request.h"
#include "peer_sid.h"

enum { TRUSTED_PROXIES_LIMIT = 16 };

/* Zeroed: nobody is trusted. */
struct trusted_proxies {
    struct peer_network networks[TRUSTED_PROXIES_LIMIT];
    size_t count;
};

/* By X-Forwarded-For or Forwarded (RFC 7239), if `peer` is trusted; its port is 0 then. `peer`, if
 * there is neither field, or both (a proxy writes one of them, and the other is the client's), if
 * they name nobody but trusted proxies, or if what should be the client is no address. */
struct peer_address client_address_of(const struct http_request *request,
                                      const struct peer_address *peer,
                                      const struct trusted_proxies *trusted);

#endif
