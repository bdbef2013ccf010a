/* Keys that signed tokens are checked with (JWS, RFC 7515; JWK sets, RFC 7517). The cryptography is
 * OpenSSL's. Not here: what a token's claims must say (token.h), where keys come from
 * (token_key_source.h).
 *
 * One set is for one algorithm, which the configuration pins: the algorithm a token names is
 * compared, never followed. So a public key cannot be taken for an HMAC secret, and `none` is
 * nothing. */
#ifndef GATEWAY_AUTH_TOKEN_KEYS_H
#define GATEWAY_AUTH_TOKEN_KEYS_H

#include "buffer.h"
#include "bytes.h"
#include "status.h"

enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256, TOKEN_EDDSA };

/* "HS256", "RS256", "ES256", "EdDSA"; NULL-terminated, in the order of the enum. */
extern const char *const token_algorithm_names[];

enum {
    TOKEN_BYTES_LIMIT = 8192,
    TOKEN_KEYS_LIMIT = 64,     /* of one set; more are left out */
    TOKEN_KEYS_TRIED = 4,      /* for one token, at most */
    TOKEN_SECRET_MINIMUM = 32, /* bytes, RFC 7518 section 3.2 */
    TOKEN_RSA_BITS_MINIMUM = 2048,
};

struct token_keys;

/* One key. STATUS_INVALID with the reason: too short, not PEM, a key of another algorithm. */
enum status token_keys_of_secret(struct bytes secret, struct token_keys **keys,
                                 struct error *error) MUST_CHECK;
/* A PEM public key or certificate. */
enum status token_keys_of_pem(enum token_algorithm algorithm, struct bytes pem,
                              struct token_keys **keys, struct error *error) MUST_CHECK;
/* The keys of a JWK set that are for this algorithm and for signatures; others are passed over.
 * STATUS_INVALID: not a JWK set, or none is left. */
enum status token_keys_of_jwks(enum token_algorithm algorithm, struct bytes json,
                               struct token_keys **keys, struct error *error) MUST_CHECK;
void token_keys_free(struct token_keys *keys);
size_t token_keys_count(const struct token_keys *keys);

/* Checks the signature of a compact token and replaces `payload` by its payload.
 *   STATUS_MALFORMED    not a token
 *   STATUS_TOO_LARGE    above TOKEN_BYTES_LIMIT
 *   STATUS_UNSUPPORTED  another algorithm, or a critical header we do not know
 *   STATUS_NOT_FOUND    no key of its name
 *   STATUS_DENIED       the signature is not that of the key
 *   STATUS_LIMIT        nor of the first TOKEN_KEYS_TRIED of the keys that may fit; there are more
 * A token that names no key may fit each; a key without a name fits any. The order is the set's. */
enum status token_keys_verify(const struct token_keys *keys, struct bytes token,
                              struct buffer *payload) MUST_CHECK;
/* The two JSON texts of a token as anybody may have written them: nothing is checked. STATUS_MALFORMED
 * or STATUS_TOO_LARGE as above. */
enum status token_keys_peek(struct bytes token, struct buffer *header,
                            struct buffer *payload) MUST_CHECK;

#endif
