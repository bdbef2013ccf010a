/* How a session id names its gateway: the address and port where that gateway listens for its
 * peers, sealed with the peers' shared secret, so that no client learns them, and nobody makes a
 * gateway connect to where he likes. Also the token by which peers know each other. Pure. Not the
 * connections (peer_client.h).
 *
 *      version and family | boot id | address and port, masked | MAC
 *                                                   21 bytes with IPv4, 33 with IPv6
 *
 * in the URL's base64 alphabet, without padding since the sizes are multiples of three. The mask is
 * HMAC-SHA256 of version and boot id, which is drawn anew at each start, under a key of its own;
 * the MAC is over all that stands before it. The newest secret seals, each of them opens: a new
 * secret is first added to all gateways as the last, then moved to the front, then the old one
 * goes. Ids of gateways before this form, which showed the address and signed it, are read too. */
#ifndef GATEWAY_TRANSPORT_PEER_SID_H
#define GATEWAY_TRANSPORT_PEER_SID_H

#include "bytes.h"
#include "status.h"

enum {
    PEER_SECRETS_LIMIT = 4,
    PEER_NETWORKS_LIMIT = 16,
    PEER_BOOT_BYTES = 6,
    PEER_PREFIX_SIZE = 45, /* with its NUL */
    PEER_TOKEN_SIZE = 65,  /* likewise */
    PEER_ADDRESS_TEXT_SIZE = 56,
};

/* IPv6, or IPv4 mapped into it (::ffff:a.b.c.d). Without padding: it may be compared and hashed as
 * bytes. */
struct peer_address {
    uint8_t ip[16];
    uint16_t port;
};

/* Addresses whose first `bits` bits are these. */
struct peer_network {
    uint8_t ip[16];
    uint8_t bits; /* of the mapped form */
};

struct peer_identity {
    struct peer_address own;
    struct peer_network networks[PEER_NETWORKS_LIMIT];
    size_t network_count;
    uint8_t keys[PEER_SECRETS_LIMIT][32];  /* of MACs */
    uint8_t masks[PEER_SECRETS_LIMIT][32]; /* keys of masks */
    char tokens[PEER_SECRETS_LIMIT]
               [PEER_TOKEN_SIZE]; /* the first is ours to show, all are accepted */
    size_t secret_count;
    char prefix[PEER_PREFIX_SIZE]; /* of this gateway's session ids */
};

/* "10.0.0.0/8", "fd00::/8", or a single address. */
bool peer_network_parse(const char *text, struct peer_network *network) MUST_CHECK;
/* A numeric address. The port is left alone. */
bool peer_address_parse(const char *text, struct peer_address *address) MUST_CHECK;
bool peer_network_has(const struct peer_network *network, const struct peer_address *address);
/* As opposed to IPv6. */
bool peer_address_is_ipv4(const struct peer_address *address);
enum { PEER_IP_TEXT_SIZE = 46 };
/* "10.0.0.7", "fd00::7" */
void peer_address_print_ip(const struct peer_address *address, char text[PEER_IP_TEXT_SIZE]);
/* "10.0.0.7:8081", "[fd00::7]:8081" */
void peer_address_print(const struct peer_address *address, char text[PEER_ADDRESS_TEXT_SIZE]);

/* Fills in what follows from own, networks and the secrets (newest first; 1 to PEER_SECRETS_LIMIT).
 */
void peer_identity_init(struct peer_identity *identity, const struct bytes *secrets, size_t count,
                        const uint8_t boot[PEER_BOOT_BYTES]);

/* The gateway of a session id.
 *   STATUS_NOT_FOUND  no prefix of a gateway, or this gateway's own address: of this boot, or of
 *                     one that is over
 *   STATUS_DENIED     not sealed by us, outside the networks, or with anything in it that no
 *                     session id has */
enum status peer_identity_locate(const struct peer_identity *identity, struct bytes sid,
                                 struct peer_address *address) MUST_CHECK;

/* Whether this is the token of a peer. Takes the same time for every token. */
bool peer_identity_knows(const struct peer_identity *identity, struct bytes token);

#endif
