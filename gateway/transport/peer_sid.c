#include "peer_sid.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"

enum {
    FORMAT_IPV4 = 0x14,
    FORMAT_IPV6 = 0x16,
    MAC_BYTES = 8,
    DIGEST_BYTES = 32,
    PACKED_BYTES_LIMIT = 33
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct peer_address *address)
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
    memcpy(network->ip, address.ip, sizeof(network->ip));
    network->bits = (uint8_t)(bits + 128 - most);
    return true;
}

bool peer_network_has(const struct peer_network *network, const struct peer_address *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->ip, address->ip, whole) != 0)
        return false;
    return rest == 0 || ((network->ip[whole] ^ address->ip[whole]) >> (8 - rest)) == 0;
}

void peer_address_print_ip(const struct peer_address *address, char text[PEER_IP_TEXT_SIZE])
{
    bool four = is_ipv4(address);
    const uint8_t *ip = four ? address->ip + sizeof(mapped) : address->ip;
    text[0] = '\0';
    (void)inet_ntop(four ? AF_INET : AF_INET6, ip, text, PEER_IP_TEXT_SIZE);
}

void peer_address_print(const struct peer_address *address, char text[PEER_ADDRESS_TEXT_SIZE])
{
    char ip[PEER_IP_TEXT_SIZE];
    bool four = is_ipv4(address);
    peer_address_print_ip(address, ip);
    snprintf(text, PEER_ADDRESS_TEXT_SIZE, "%s%s%s:%u", four ? "" : "[", ip, four ? "" : "]",
             (unsigned)address->port);
}

/* ---- Signing ---- */

static void digest(struct bytes key, struct bytes data, uint8_t out[DIGEST_BYTES])
{
    unsigned size = 0;
    const uint8_t *made =
        HMAC(EVP_sha256(), key.data, (int)key.size, data.data, data.size, out, &size);
    assert(made && size == DIGEST_BYTES);
    (void)made;
}

static void sign(const uint8_t key[DIGEST_BYTES], struct bytes packed, uint8_t mac[MAC_BYTES])
{
    uint8_t whole[DIGEST_BYTES];
    digest(bytes_of(key, DIGEST_BYTES), packed, whole);
    memcpy(mac, whole, MAC_BYTES);
}

static void add_secret(struct peer_identity *identity, struct bytes secret)
{
    uint8_t shown[DIGEST_BYTES];
    size_t at = identity->secret_count++;
    digest(secret, BYTES_LITERAL("smartstack session id"), identity->keys[at]);
    digest(secret, BYTES_LITERAL("smartstack peer token"), shown);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(&identity->tokens[at][2 * i], 3, "%02x", shown[i]);
}

static void make_prefix(struct peer_identity *identity, const uint8_t boot[PEER_BOOT_BYTES])
{
    const struct peer_address *own = &identity->own;
    auto_buffer struct buffer packed = {0};
    auto_buffer struct buffer text = {0};
    uint8_t mac[MAC_BYTES];
    bool four = is_ipv4(own);
    buffer_append_byte(&packed, four ? FORMAT_IPV4 : FORMAT_IPV6);
    buffer_append(&packed, four ? bytes_of(own->ip + sizeof(mapped), 4) : bytes_of(own->ip, 16));
    buffer_append_byte(&packed, (uint8_t)(own->port >> 8));
    buffer_append_byte(&packed, (uint8_t)own->port);
    buffer_append(&packed, bytes_of(boot, PEER_BOOT_BYTES));
    sign(identity->keys[0], buffer_peek(&packed), mac);
    buffer_append(&packed, bytes_of(mac, sizeof(mac)));
    base64_encode(buffer_peek(&packed), &text);
    assert(buffer_size(&text) < PEER_PREFIX_SIZE);
    memcpy(identity->prefix, buffer_peek(&text).data, buffer_size(&text));
    identity->prefix[buffer_size(&text)] = '\0';
    for (char *c = identity->prefix; *c; c++)
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
}

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

static size_t packed_size(uint8_t format)
{
    if (format == FORMAT_IPV4)
        return 1 + 4 + 2 + PEER_BOOT_BYTES + MAC_BYTES;
    return format == FORMAT_IPV6 ? 1 + 16 + 2 + PEER_BOOT_BYTES + MAC_BYTES : 0;
}

/* The packed form out of the front of a session id; 0: none is there. */
static size_t unpack(struct bytes sid, uint8_t packed[PACKED_BYTES_LIMIT])
{
    char text[PEER_PREFIX_SIZE];
    size_t size = sid.size < PEER_PREFIX_SIZE - 1 ? sid.size : PEER_PREFIX_SIZE - 1;
    auto_buffer struct buffer out = {0};
    for (size_t i = 0; i < size; i++) {
        char c = (char)sid.data[i];
        if (c == '+' || c == '/')
            return 0;
        text[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    if (size < 4 || base64_decode(bytes_of(text, 4), &out) != STATUS_OK)
        return 0;
    size_t wanted = packed_size(buffer_peek(&out).data[0]);
    buffer_clear(&out);
    if (wanted == 0 || size < wanted / 3 * 4 ||
        base64_decode(bytes_of(text, wanted / 3 * 4), &out) != STATUS_OK ||
        buffer_size(&out) != wanted)
        return 0;
    memcpy(packed, buffer_peek(&out).data, wanted);
    return wanted;
}

static bool is_signed(const struct peer_identity *identity, struct bytes packed,
                      const uint8_t mac[MAC_BYTES])
{
    bool valid = false;
    for (size_t i = 0; i < identity->secret_count; i++) {
        uint8_t own[MAC_BYTES];
        sign(identity->keys[i], packed, own);
        valid |= CRYPTO_memcmp(own, mac, MAC_BYTES) == 0;
    }
    return valid;
}

enum status peer_identity_locate(const struct peer_identity *identity, struct bytes sid,
                                 struct peer_address *address)
{
    uint8_t packed[PACKED_BYTES_LIMIT];
    size_t size = unpack(sid, packed);
    if (size == 0)
        return STATUS_NOT_FOUND;
    size -= MAC_BYTES;
    if (!is_signed(identity, bytes_of(packed, size), packed + size))
        return STATUS_DENIED;
    struct peer_address found;
    size_t ip = packed[0] == FORMAT_IPV4 ? 4 : 16;
    memcpy(found.ip, mapped, sizeof(mapped));
    memcpy(found.ip + sizeof(found.ip) - ip, packed + 1, ip);
    found.port = (uint16_t)(packed[1 + ip] << 8 | packed[2 + ip]);
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

bool peer_identity_knows(const struct peer_identity *identity, struct bytes token)
{
    bool known = false;
    if (token.size != PEER_TOKEN_SIZE - 1)
        return false;
    for (size_t i = 0; i < identity->secret_count; i++)
        known |= CRYPTO_memcmp(token.data, identity->tokens[i], token.size) == 0;
    return known;
}
