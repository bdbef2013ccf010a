/* Sealing and opening the front of a session id (the form stands in the header).
 *
 * Sealing happens once, at the start: the prefix is the same for all sessions of a gateway.
 * Opening happens for each request that names a session nobody here has, and so for whatever a
 * stranger sends: it checks the size, the MAC under each secret, and only then looks at the
 * address, which must lie in a network of gateways. Nothing in a session id is believed before
 * its MAC is. */
#include "peer_sid.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"

enum {
    FORMAT_IPV4 = 0x24,
    FORMAT_IPV6 = 0x26,
    FORMAT_SHOWN_IPV4 = 0x14, /* format, address, port, boot id, MAC: all but the MAC readable */
    FORMAT_SHOWN_IPV6 = 0x16,
    MAC_BYTES = 8,
    DIGEST_BYTES = 32,
    PLACE_BYTES_LIMIT = 16 + 2, /* address and port */
    PACKED_BYTES_LIMIT = 33
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* IPv4 is kept in its mapped form, so that one comparison and one hash serve both families. */
bool peer_address_is_ipv4(const struct peer_address *address)
{
    return memcmp(address->ip, mapped, sizeof(mapped)) == 0;
}

/* ---- Addresses ---- */

bool peer_address_parse(const char *text, struct peer_address *address)
{
    uint8_t ip[16];
    memcpy(ip, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, text, ip + sizeof(mapped)) != 1 && inet_pton(AF_INET6, text, ip) != 1)
        return false;
    memcpy(address->ip, ip, sizeof(ip));
    return true;
}

bool peer_network_parse(const char *text, struct peer_network *network)
{
    char head[PEER_ADDRESS_TEXT_SIZE];
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    struct peer_address address;
    if (size >= sizeof(head))
        return false;
    memcpy(head, text, size);
    head[size] = '\0';
    if (!peer_address_parse(head, &address))
        return false;
    unsigned long most = strchr(head, ':') ? 128 : 32, bits = most;
    if (slash) {
        char *end;
        bits = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || *end != '\0' || bits > most)
            return false;
    }
    assert(bits <= most);
    memcpy(network->ip, address.ip, sizeof(network->ip));
    network->bits = (uint8_t)(bits + 128 - most);
    return true;
}

bool peer_network_has(const struct peer_network *network, const struct peer_address *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    assert(network->bits <= 128);
    if (memcmp(network->ip, address->ip, whole) != 0)
        return false;
    return rest == 0 || ((network->ip[whole] ^ address->ip[whole]) >> (8 - rest)) == 0;
}

void peer_address_print_ip(const struct peer_address *address, char text[PEER_IP_TEXT_SIZE])
{
    bool four = peer_address_is_ipv4(address);
    const uint8_t *ip = four ? address->ip + sizeof(mapped) : address->ip;
    text[0] = '\0';
    (void)inet_ntop(four ? AF_INET : AF_INET6, ip, text, PEER_IP_TEXT_SIZE);
}

void peer_address_print(const struct peer_address *address, char text[PEER_ADDRESS_TEXT_SIZE])
{
    char ip[PEER_IP_TEXT_SIZE];
    bool four = peer_address_is_ipv4(address);
    peer_address_print_ip(address, ip);
    snprintf(text, PEER_ADDRESS_TEXT_SIZE, "%s%s%s:%u", four ? "" : "[", ip, four ? "" : "]",
             (unsigned)address->port);
}

/* ---- Signing ---- */

/* HMAC-SHA256. libcrypto fails only without memory, which ends the process anyway. */
static void digest(struct bytes key, struct bytes data, uint8_t out[DIGEST_BYTES])
{
    unsigned size = 0;
    const uint8_t *made =
        HMAC(EVP_sha256(), key.data, (int)key.size, data.data, data.size, out, &size);
    assert(made && size == DIGEST_BYTES);
    (void)made;
}

/* Eight bytes of MAC are enough: a forger has to ask a gateway for each guess, and what he would
 * win is a request to an address inside the networks. */
static void sign_place(const uint8_t key[DIGEST_BYTES], struct bytes packed, uint8_t mac[MAC_BYTES])
{
    uint8_t whole[DIGEST_BYTES];
    digest(bytes_of(key, DIGEST_BYTES), packed, whole);
    memcpy(mac, whole, MAC_BYTES);
}

/* Each use has a key of its own, derived from the secret by a name, so that what is learned of one
 * tells nothing of another. */
static void add_secret(struct peer_identity *identity, struct bytes secret)
{
    uint8_t shown[DIGEST_BYTES];
    assert(identity->secret_count < PEER_SECRETS_LIMIT);
    size_t at = identity->secret_count++;
    digest(secret, BYTES_LITERAL("smartstack session id"), identity->keys[at]);
    digest(secret, BYTES_LITERAL("smartstack session id mask"), identity->masks[at]);
    digest(secret, BYTES_LITERAL("smartstack peer token"), shown);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(&identity->tokens[at][2 * i], 3, "%02x", shown[i]);
}

/* Masks a place, or takes the mask off. `head`: format and boot id. */
static void mask(const uint8_t key[DIGEST_BYTES], const uint8_t head[1 + PEER_BOOT_BYTES],
                 uint8_t *place, size_t size)
{
    uint8_t stream[DIGEST_BYTES];
    assert(size <= PLACE_BYTES_LIMIT);
    digest(bytes_of(key, DIGEST_BYTES), bytes_of(head, 1 + PEER_BOOT_BYTES), stream);
    for (size_t i = 0; i < size; i++)
        place[i] ^= stream[i];
}

/* Address and port in network order; IPv4 in its short form. */
static size_t pack_place(const struct peer_address *address, uint8_t place[PLACE_BYTES_LIMIT])
{
    size_t ip = peer_address_is_ipv4(address) ? 4 : 16;
    memcpy(place, address->ip + sizeof(address->ip) - ip, ip);
    place[ip] = (uint8_t)(address->port >> 8);
    place[ip + 1] = (uint8_t)address->port;
    return ip + 2;
}

static void unpack_place(const uint8_t *place, size_t size, struct peer_address *address)
{
    size_t ip = size - 2;
    assert(ip == 4 || ip == 16);
    memcpy(address->ip, mapped, sizeof(mapped));
    memcpy(address->ip + sizeof(address->ip) - ip, place, ip);
    address->port = (uint16_t)(place[ip] << 8 | place[ip + 1]);
}

/* The newest secret seals: that is the first one. */
static void make_prefix(struct peer_identity *identity, const uint8_t boot[PEER_BOOT_BYTES])
{
    uint8_t head[1 + PEER_BOOT_BYTES], place[PLACE_BYTES_LIMIT], mac[MAC_BYTES];
    auto_buffer struct buffer packed = {0};
    auto_buffer struct buffer text = {0};
    size_t size = pack_place(&identity->own, place);
    head[0] = peer_address_is_ipv4(&identity->own) ? FORMAT_IPV4 : FORMAT_IPV6;
    memcpy(head + 1, boot, PEER_BOOT_BYTES);
    mask(identity->masks[0], head, place, size);
    buffer_append(&packed, bytes_of(head, sizeof(head)));
    buffer_append(&packed, bytes_of(place, size));
    sign_place(identity->keys[0], buffer_peek(&packed), mac);
    buffer_append(&packed, bytes_of(mac, sizeof(mac)));
    assert(buffer_size(&packed) % 3 == 0);
    base64_encode_url(buffer_peek(&packed), &text);
    assert(buffer_size(&text) < PEER_PREFIX_SIZE);
    memcpy(identity->prefix, buffer_peek(&text).data, buffer_size(&text));
    identity->prefix[buffer_size(&text)] = '\0';
}

/* At the start, once: what is derived from the secrets is kept, the secrets themselves are not. */
void peer_identity_init(struct peer_identity *identity, const struct bytes *secrets, size_t count,
                        const uint8_t boot[PEER_BOOT_BYTES])
{
    assert(count > 0 && count <= PEER_SECRETS_LIMIT);
    identity->secret_count = 0;
    for (size_t i = 0; i < count; i++)
        add_secret(identity, secrets[i]);
    make_prefix(identity, boot);
}

/* ---- Reading ---- */

static bool is_shown(uint8_t format)
{
    return format == FORMAT_SHOWN_IPV4 || format == FORMAT_SHOWN_IPV6;
}

/* 0: no format of ours. */
static size_t place_size(uint8_t format)
{
    if (format == FORMAT_IPV4 || format == FORMAT_SHOWN_IPV4)
        return 4 + 2;
    return format == FORMAT_IPV6 || format == FORMAT_SHOWN_IPV6 ? 16 + 2 : 0;
}

static size_t packed_size(uint8_t format)
{
    size_t place = place_size(format);
    return place ? 1 + PEER_BOOT_BYTES + place + MAC_BYTES : 0;
}

/* Ids travel on in requests to peers. */
static bool is_plain(struct bytes sid)
{
    for (size_t i = 0; i < sid.size; i++)
        if (!isalnum(sid.data[i]) && sid.data[i] != '-' && sid.data[i] != '_')
            return false;
    return true;
}

/* The packed form out of the front of a session id; 0: none is there. */
static size_t unpack(struct bytes sid, uint8_t packed[PACKED_BYTES_LIMIT])
{
    char text[PEER_PREFIX_SIZE];
    size_t size = sid.size < PEER_PREFIX_SIZE - 1 ? sid.size : PEER_PREFIX_SIZE - 1;
    auto_buffer struct buffer out = {0};
    for (size_t i = 0; i < size; i++) {
        char c = (char)sid.data[i];
        text[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    if (size < 4 || base64_decode(bytes_of(text, 4), &out) != STATUS_OK)
        return 0;
    size_t wanted = packed_size(buffer_peek(&out).data[0]);
    assert(wanted <= PACKED_BYTES_LIMIT);
    assert(wanted % 3 == 0);
    buffer_clear(&out);
    if (wanted == 0 || size < wanted / 3 * 4 ||
        base64_decode(bytes_of(text, wanted / 3 * 4), &out) != STATUS_OK ||
        buffer_size(&out) != wanted)
        return 0;
    memcpy(packed, buffer_peek(&out).data, wanted);
    return wanted;
}

/* Whose key it is; secret_count: nobody's. All are tried, whichever it is. */
static size_t signer_of(const struct peer_identity *identity, struct bytes packed,
                        const uint8_t mac[MAC_BYTES])
{
    size_t signer = identity->secret_count;
    assert(signer > 0 && signer <= PEER_SECRETS_LIMIT);
    for (size_t i = 0; i < identity->secret_count; i++) {
        uint8_t own[MAC_BYTES];
        sign_place(identity->keys[i], packed, own);
        if (CRYPTO_memcmp(own, mac, MAC_BYTES) == 0)
            signer = i;
    }
    return signer;
}

enum status peer_identity_locate(const struct peer_identity *identity, struct bytes sid,
                                 struct peer_address *address)
{
    uint8_t packed[PACKED_BYTES_LIMIT];
    size_t size = unpack(sid, packed);
    if (size == 0)
        return STATUS_NOT_FOUND;
    if (!is_plain(sid))
        return STATUS_DENIED;
    assert(size > MAC_BYTES);
    size -= MAC_BYTES;
    size_t signer = signer_of(identity, bytes_of(packed, size), packed + size);
    if (signer == identity->secret_count)
        return STATUS_DENIED;
    struct peer_address found;
    bool shown = is_shown(packed[0]);
    uint8_t *place = packed + 1 + (shown ? 0 : PEER_BOOT_BYTES);
    if (!shown)
        mask(identity->masks[signer], packed, place, place_size(packed[0]));
    assert(place_size(packed[0]) > 0);
    unpack_place(place, place_size(packed[0]), &found);
    /* Our own address, and the session is not here: it ended, or an earlier process of this address
     * had it. Asking ourselves would be a loop. */
    if (memcmp(found.ip, identity->own.ip, sizeof(found.ip)) == 0 &&
        found.port == identity->own.port)
        return STATUS_NOT_FOUND;
    for (size_t i = 0; i < identity->network_count; i++) {
        if (peer_network_has(&identity->networks[i], &found)) {
            *address = found;
            return STATUS_OK;
        }
    }
    return STATUS_DENIED;
}

/* Every token is compared, and in constant time: how long it takes tells nothing of any. */
bool peer_identity_knows(const struct peer_identity *identity, struct bytes token)
{
    bool known = false;
    if (token.size != PEER_TOKEN_SIZE - 1)
        return false;
    for (size_t i = 0; i < identity->secret_count; i++)
        known |= CRYPTO_memcmp(token.data, identity->tokens[i], token.size) == 0;
    return known;
}
