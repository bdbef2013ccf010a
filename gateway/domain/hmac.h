/* HMAC-SHA-256 with a key that is prepared once: OpenSSL looks its algorithms up and derives the
 * pads anew for every HMAC(), which takes several times as long as hashing a short text. */
#ifndef GATEWAY_DOMAIN_HMAC_H
#define GATEWAY_DOMAIN_HMAC_H

#include "bytes.h"

enum { HMAC_BYTES = 32 };

struct hmac;

struct hmac *hmac_new(struct bytes key); /* of any length */
void hmac_free(struct hmac *hmac);       /* NULL is fine; what is left of the key is wiped */

void hmac_sign(struct hmac *hmac, struct bytes text, uint8_t mac[HMAC_BYTES]);

#endif
