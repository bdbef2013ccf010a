/* Keys of one algorithm, and whether a token was signed with one of them (JWS compact form, RFC
 * 7515). OpenSSL does the cryptography; we decide what is let in front of it.
 *
 * The invariant: the algorithm is the configuration's, never the token's. A token that says another
 * one is refused before any key is looked at; so neither "none" nor a public key taken for an HMAC
 * secret can get through. */
#include "token_keys.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base64.h"
#include "hmac.h"
#include "mem.h"

const char *const token_algorithm_names[] = {"HS256", "RS256", "ES256", "EdDSA", NULL};

#define P256_BYTES ((size_t)32)
enum { ED25519_BYTES = 32, JWKS_BYTES_LIMIT = 1 << 20 };

struct token_key {
    char *name;       /* kid; NULL: none */
    EVP_PKEY *public; /* RS256, ES256, EdDSA */
    struct hmac *hmac;
};

struct token_keys {
    enum token_algorithm algorithm;
    struct token_key items[TOKEN_KEYS_LIMIT];
    size_t count;
};

static void key_deinit(struct token_key *key)
{
    free(key->name);
    EVP_PKEY_free(key->public);
    hmac_free(key->hmac);
}

void token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        key_deinit(&keys->items[i]);
    free(keys);
}

size_t token_keys_count(const struct token_keys *keys)
{
    return keys->count;
}

/* JWS has no padding and its own two letters. Others are refused: a token has one spelling. */
static enum status base64url_decode(struct bytes text, struct buffer *out)
{
    auto_buffer struct buffer standard = {0};
    uint8_t *to = buffer_reserve(&standard, text.size + 3);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '+' || c == '/' || c == '=')
            return STATUS_MALFORMED;
        to[size++] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    while (size % 4 != 0)
        to[size++] = '=';
    buffer_commit(&standard, size);
    return base64_decode(buffer_peek(&standard), out);
}

/* --- Making keys ------------------------------------------------------------------------------ */

/* Asked of the key as OpenSSL has read it, not of what the file said about it. */
static const char *why_unfit(enum token_algorithm algorithm, const EVP_PKEY *key)
{
    char curve[32] = "";
    switch (algorithm) {
    case TOKEN_RS256:
        if (!EVP_PKEY_is_a(key, "RSA"))
            return "not an RSA key";
        if (EVP_PKEY_get_bits(key) < TOKEN_RSA_BITS_MINIMUM)
            return "an RSA key of less than 2048 bits";
        return NULL;
    case TOKEN_ES256:
        if (!EVP_PKEY_is_a(key, "EC") ||
            !EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) ||
            strcmp(curve, SN_X9_62_prime256v1) != 0)
            return "not a key of the curve P-256";
        return NULL;
    case TOKEN_EDDSA:
        return EVP_PKEY_is_a(key, "ED25519") ? NULL : "not an Ed25519 key";
    case TOKEN_HS256:
        break;
    }
    return "HS256 needs a secret, not a public key";
}

/* A short secret can be found from a single token, without asking us even once. */
enum status token_keys_of_secret(struct bytes secret, struct token_keys **keys, struct error *error)
{
    if (secret.size < TOKEN_SECRET_MINIMUM)
        return error_set(error, STATUS_INVALID, "the secret for HS256 needs at least %d bytes",
                         TOKEN_SECRET_MINIMUM);
    struct token_keys *made = mem_new(struct token_keys);
    made->algorithm = TOKEN_HS256;
    made->count = 1;
    made->items[0].hmac = hmac_new(secret);
    *keys = made;
    return STATUS_OK;
}

static EVP_PKEY *read_pem(struct bytes pem)
{
    if (pem.size > JWKS_BYTES_LIMIT)
        return NULL;
    /* A certificate will do: operators have those at hand. Its dates and issuer mean nothing
     * here. */
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    if (!key) {
        (void)BIO_reset(bio);
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        key = certificate ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

enum status token_keys_of_pem(enum token_algorithm algorithm, struct bytes pem,
                              struct token_keys **keys, struct error *error)
{
    EVP_PKEY *key = read_pem(pem);
    if (!key)
        return error_set(error, STATUS_INVALID, "not a PEM public key or certificate");
    const char *unfit = why_unfit(algorithm, key);
    if (unfit) {
        EVP_PKEY_free(key);
        return error_set(error, STATUS_INVALID, "not for %s: %s", token_algorithm_names[algorithm],
                         unfit);
    }
    struct token_keys *made = mem_new(struct token_keys);
    made->algorithm = algorithm;
    made->count = 1;
    made->items[0].public = key;
    *keys = made;
    return STATUS_OK;
}

/* --- JWK, RFC 7517 and 7518 section 6 --------------------------------------------------------- */

static bool member_is_text(const json_t *jwk, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(jwk, name));
    return value && strcmp(value, text) == 0;
}

/* False: absent or not base64url. */
static bool read_key_number(const json_t *jwk, const char *name, struct buffer *out)
{
    const char *text = json_string_value(json_object_get(jwk, name));
    buffer_clear(out);
    return text && base64url_decode(bytes_of_string(text), out) == STATUS_OK &&
           buffer_size(out) > 0;
}

/* NULL for whatever OpenSSL does not like: a set of keys is the provider's, and one odd key in it
 * must not spoil the others. */
static EVP_PKEY *key_of_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *read_rsa(const json_t *jwk)
{
    auto_buffer struct buffer n = {0};
    auto_buffer struct buffer e = {0};
    if (!member_is_text(jwk, "kty", "RSA") || !read_key_number(jwk, "n", &n) ||
        !read_key_number(jwk, "e", &e))
        return NULL;
    BIGNUM *modulus = BN_bin2bn(buffer_peek(&n).data, (int)buffer_size(&n), NULL);
    BIGNUM *exponent = BN_bin2bn(buffer_peek(&e).data, (int)buffer_size(&e), NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = key_of_params("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *read_p256(const json_t *jwk)
{
    auto_buffer struct buffer x = {0};
    auto_buffer struct buffer y = {0};
    if (!member_is_text(jwk, "kty", "EC") || !member_is_text(jwk, "crv", "P-256") ||
        !read_key_number(jwk, "x", &x) || !read_key_number(jwk, "y", &y) ||
        buffer_size(&x) != P256_BYTES || buffer_size(&y) != P256_BYTES)
        return NULL;
    /* SEC 1, section 2.3.3. OpenSSL checks that the point is on the curve when it makes the key. */
    uint8_t point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, buffer_peek(&x).data, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, buffer_peek(&y).data, P256_BYTES);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1,
                                        0) &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
        key = key_of_params("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* RFC 8037: the key is the 32 bytes themselves. */
static EVP_PKEY *read_ed25519(const json_t *jwk)
{
    auto_buffer struct buffer x = {0};
    if (!member_is_text(jwk, "kty", "OKP") || !member_is_text(jwk, "crv", "Ed25519") ||
        !read_key_number(jwk, "x", &x) || buffer_size(&x) != ED25519_BYTES)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, buffer_peek(&x).data, ED25519_BYTES);
}

static bool read_oct(const json_t *jwk, struct token_key *key)
{
    auto_buffer struct buffer secret = {0};
    if (member_is_text(jwk, "kty", "oct") && read_key_number(jwk, "k", &secret) &&
        buffer_size(&secret) >= TOKEN_SECRET_MINIMUM)
        key->hmac = hmac_new(buffer_peek(&secret));
    /* Decoded key material does not stay in freed memory. */
    if (secret.data)
        OPENSSL_cleanse(secret.data, secret.capacity);
    return key->hmac != NULL;
}

/* False for keys that are for something else: a set usually has several kinds, and one for
 * encryption. */
static bool read_jwk(enum token_algorithm algorithm, const json_t *jwk, struct token_key *key)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *named = json_object_get(jwk, "alg");
    if ((use && !member_is_text(jwk, "use", "sig")) ||
        (named && !member_is_text(jwk, "alg", token_algorithm_names[algorithm])))
        return false;
    switch (algorithm) {
    case TOKEN_HS256:
        return read_oct(jwk, key);
    case TOKEN_RS256:
        key->public = read_rsa(jwk);
        break;
    case TOKEN_ES256:
        key->public = read_p256(jwk);
        break;
    case TOKEN_EDDSA:
        key->public = read_ed25519(jwk);
        break;
    }
    if (key->public && why_unfit(algorithm, key->public)) {
        EVP_PKEY_free(key->public);
        key->public = NULL;
    }
    ERR_clear_error();
    return key->public != NULL;
}

enum status token_keys_of_jwks(enum token_algorithm algorithm, struct bytes json,
                               struct token_keys **keys, struct error *error)
{
    if (json.size > JWKS_BYTES_LIMIT)
        return error_set(error, STATUS_INVALID, "a JWK set of more than 1 MiB");
    /* Duplicates are let pass here: the set is the provider's, who is believed anyway. */
    json_t *root = json_loadb((const char *)json.data, json.size, 0, NULL);
    const json_t *list = json_object_get(root, "keys");
    if (!json_is_array(list)) {
        json_decref(root);
        return error_set(error, STATUS_INVALID, "not a JWK set");
    }
    struct token_keys *made = mem_new(struct token_keys);
    made->algorithm = algorithm;
    for (size_t i = 0; i < json_array_size(list) && made->count < TOKEN_KEYS_LIMIT; i++) {
        const json_t *jwk = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(jwk, "kid"));
        struct token_key key = {0};
        if (read_jwk(algorithm, jwk, &key)) {
            key.name = name ? mem_string(bytes_of_string(name)) : NULL;
            made->items[made->count++] = key;
        } else {
            key_deinit(&key);
        }
    }
    json_decref(root);
    if (made->count == 0) {
        token_keys_free(made);
        return error_set(error, STATUS_INVALID, "the JWK set has no key for %s",
                         token_algorithm_names[algorithm]);
    }
    *keys = made;
    return STATUS_OK;
}

/* --- Checking tokens -------------------------------------------------------------------------- */

struct parts {
    struct bytes header;
    struct bytes payload;
    struct bytes signature;
    struct bytes signed_text; /* header.payload */
};

/* Exactly two dots. The signature may be empty here and is then refused like any other wrong one;
 * JWE has four dots and is none of ours. */
static bool split(struct bytes token, struct parts *parts)
{
    const uint8_t *first = memchr(token.data, '.', token.size);
    if (!first)
        return false;
    parts->header = bytes_of(token.data, (size_t)(first - token.data));
    struct bytes rest = bytes_skip(token, parts->header.size + 1);
    const uint8_t *second = rest.size ? memchr(rest.data, '.', rest.size) : NULL;
    if (!second)
        return false;
    parts->payload = bytes_of(rest.data, (size_t)(second - rest.data));
    parts->signature = bytes_skip(rest, parts->payload.size + 1);
    parts->signed_text = bytes_of(token.data, parts->header.size + 1 + parts->payload.size);
    return parts->header.size > 0 && parts->payload.size > 0 &&
           !memchr(parts->signature.data, '.', parts->signature.size);
}

/* Compared in constant time: how far a guess is right must not be measurable. */
static bool hmac_holds(const struct token_key *key, struct bytes text, struct bytes signature)
{
    uint8_t mac[HMAC_BYTES];
    hmac_sign(key->hmac, text, mac);
    return signature.size == sizeof(mac) && CRYPTO_memcmp(mac, signature.data, sizeof(mac)) == 0;
}

/* JWS has r and s side by side (RFC 7518 section 3.4), OpenSSL wants them in DER. */
static bool der_of_p256(struct bytes signature, struct buffer *der)
{
    if (signature.size != 2 * P256_BYTES)
        return false;
    ECDSA_SIG *numbers = ECDSA_SIG_new();
    /* Takes both numbers. */
    ECDSA_SIG_set0(numbers, BN_bin2bn(signature.data, P256_BYTES, NULL),
                   BN_bin2bn(signature.data + P256_BYTES, P256_BYTES, NULL));
    uint8_t *encoded = NULL;
    int size = i2d_ECDSA_SIG(numbers, &encoded);
    ECDSA_SIG_free(numbers);
    if (size <= 0)
        return false;
    buffer_append(der, bytes_of(encoded, (size_t)size));
    OPENSSL_free(encoded);
    return true;
}

/* Ed25519 hashes by itself, hence without a digest; and OpenSSL verifies it in one call only. */
static bool signature_holds(enum token_algorithm algorithm, const struct token_key *key,
                            struct bytes text, struct bytes signature)
{
    auto_buffer struct buffer der = {0};
    if (algorithm == TOKEN_HS256)
        return hmac_holds(key, text, signature);
    if (algorithm == TOKEN_ES256) {
        if (!der_of_p256(signature, &der))
            return false;
        signature = buffer_peek(&der);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = algorithm == TOKEN_EDDSA ? NULL : EVP_sha256();
    bool holds =
        EVP_DigestVerifyInit(context, NULL, digest, NULL, key->public) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return holds;
}

/* Of the header only three members count. jwk, jku and x5u, by which a token would bring its own
 * key, are not looked at. */
static enum status check_header(const struct token_keys *keys, struct bytes text, char **key_name)
{
    auto_buffer struct buffer decoded = {0};
    if (base64url_decode(text, &decoded) != STATUS_OK)
        return STATUS_MALFORMED;
    struct bytes json = buffer_peek(&decoded);
    json_t *header = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, NULL);
    enum status status = STATUS_OK;
    const json_t *name = json_object_get(header, "kid");
    if (!json_is_object(header) || (name && !json_is_string(name)))
        status = STATUS_MALFORMED;
    else if (!member_is_text(header, "alg", token_algorithm_names[keys->algorithm]) ||
             /* "crit" names what must be understood (RFC 7515, section 4.1.11): we know no
              * extension. */
             json_object_get(header, "crit"))
        status = STATUS_UNSUPPORTED;
    else if (name)
        *key_name = mem_string(bytes_of_string(json_string_value(name)));
    json_decref(header);
    return status;
}

/* All keys of the set are of the one algorithm. A wrong signature costs as many checks as there are
 * keys that may fit, and anybody can send one. */
static enum status try_keys(const struct token_keys *keys, const char *key_name,
                            const struct parts *parts, struct bytes signature)
{
    enum status status = STATUS_NOT_FOUND;
    unsigned tried = 0;
    for (size_t i = 0; i < keys->count; i++) {
        const struct token_key *key = &keys->items[i];
        /* A key without a name fits every token, and a token without one every key. */
        if (key_name && key->name && strcmp(key_name, key->name) != 0)
            continue;
        if (tried++ == TOKEN_KEYS_TRIED)
            return STATUS_LIMIT;
        if (signature_holds(keys->algorithm, key, parts->signed_text, signature))
            return STATUS_OK;
        status = STATUS_DENIED;
    }
    return status;
}

/* Nothing of it is proved: only to choose whose keys are to prove it. */
enum status token_keys_peek(struct bytes token, struct buffer *header, struct buffer *payload)
{
    struct parts parts;
    if (token.size > TOKEN_BYTES_LIMIT)
        return STATUS_TOO_LARGE;
    if (token.size == 0 || !split(token, &parts) ||
        base64url_decode(parts.header, header) != STATUS_OK ||
        base64url_decode(parts.payload, payload) != STATUS_OK)
        return STATUS_MALFORMED;
    return STATUS_OK;
}

enum status token_keys_verify(const struct token_keys *keys, struct bytes token,
                              struct buffer *payload)
{
    struct parts parts;
    if (token.size > TOKEN_BYTES_LIMIT)
        return STATUS_TOO_LARGE;
    if (token.size == 0 || !split(token, &parts))
        return STATUS_MALFORMED;
    auto_free char *key_name = NULL;
    enum status status = check_header(keys, parts.header, &key_name);
    if (status != STATUS_OK)
        return status;
    auto_buffer struct buffer signature = {0};
    auto_buffer struct buffer decoded = {0};
    if (base64url_decode(parts.signature, &signature) != STATUS_OK ||
        base64url_decode(parts.payload, &decoded) != STATUS_OK)
        return STATUS_MALFORMED;
    /* The payload is handed out only after this. */
    status = try_keys(keys, key_name, &parts, buffer_peek(&signature));
    if (status != STATUS_OK)
        return status;
    buffer_clear(payload);
    buffer_append(payload, buffer_peek(&decoded));
    return STATUS_OK;
}
