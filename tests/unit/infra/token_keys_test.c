/* Signatures: the examples of the RFCs, tokens that libjwt made, and what attackers try. */
#include "token_keys.h"

#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base64.h"
#include "mem.h"
#include "suite.h"

#define HS_KEY \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC_PAYLOAD                                                                                \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define SECRET "0123456789abcdef0123456789abcdef"

static struct token_keys *keys_of_jwks(enum token_algorithm algorithm, const char *json)
{
    struct token_keys *keys = NULL;
    struct error error = {0};
    enum status status = token_keys_of_jwks(algorithm, bytes_of_string(json), &keys, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.text);
    return keys;
}

static enum status verify(const struct token_keys *keys, const char *token)
{
    struct buffer payload = {0};
    enum status status = token_keys_verify(keys, bytes_of_string(token), &payload);
    ck_assert(status == STATUS_OK || buffer_size(&payload) == 0);
    buffer_deinit(&payload);
    return status;
}

START_TEST(the_examples_of_the_rfcs_hold)
{
    /* RFC 7515, A.1 */
    struct token_keys *keys =
        keys_of_jwks(TOKEN_HS256, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"" HS_KEY "\"}]}");
    ck_assert_int_eq(verify(keys, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_PAYLOAD
                                  ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                     STATUS_OK);
    ck_assert_int_eq(verify(keys, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_PAYLOAD
                                  ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXj"),
                     STATUS_DENIED);
    ck_assert_int_eq(verify(keys, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_PAYLOAD
                                  ".cBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                     STATUS_DENIED);
    token_keys_free(keys);
    /* RFC 7515, A.3 */
    keys = keys_of_jwks(TOKEN_ES256, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                                     "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}");
    ck_assert_int_eq(verify(keys,
                            "eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD
                            ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
                            "pmWQxfKTUJqPP3-Kg6NU1Q"),
                     STATUS_OK);
    token_keys_free(keys);
    /* RFC 8037, A.4 */
    keys = keys_of_jwks(TOKEN_EDDSA, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                                     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}");
    ck_assert_int_eq(verify(keys, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                                  "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5"
                                  "BhVsPt9g7sVvpAr_MuM0KAg"),
                     STATUS_OK);
    ck_assert_int_eq(verify(keys, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmh."
                                  "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5"
                                  "BhVsPt9g7sVvpAr_MuM0KAg"),
                     STATUS_DENIED);
    token_keys_free(keys);
}
END_TEST

/* --- Keys made here --- */

static struct bytes pem_of(EVP_PKEY *key, bool private, BIO **bio)
{
    char *data;
    *bio = BIO_new(BIO_s_mem());
    ck_assert(private ? PEM_write_bio_PrivateKey(*bio, key, NULL, NULL, 0, NULL, NULL)
                      : PEM_write_bio_PUBKEY(*bio, key));
    long size = BIO_get_mem_data(*bio, &data);
    return bytes_of(data, (size_t)size);
}

/* A token by libjwt: "sub" is u1. */
static char *sign(jwt_alg_t algorithm, struct bytes key, const char *key_name)
{
    jwt_t *token;
    ck_assert_int_eq(jwt_new(&token), 0);
    jwt_add_grant(token, "sub", "u1");
    if (key_name)
        jwt_add_header(token, "kid", key_name);
    ck_assert_int_eq(jwt_set_alg(token, algorithm, key.data, (int)key.size), 0);
    char *text = jwt_encode_str(token);
    ck_assert_ptr_nonnull(text);
    jwt_free(token);
    return text;
}

static void check_libjwt(enum token_algorithm algorithm, jwt_alg_t jwt_algorithm, EVP_PKEY *key)
{
    BIO *public;
    BIO *private;
    struct bytes public_pem = pem_of(key, false, &public);
    struct bytes private_pem = pem_of(key, true, &private);
    struct token_keys *keys;
    struct error error;
    ck_assert_int_eq(token_keys_of_pem(algorithm, public_pem, &keys, &error), STATUS_OK);
    for (int i = 0; i < 20; i++) { /* r and s of ES256 are now and then a byte shorter */
        char *token = sign(jwt_algorithm, private_pem, NULL);
        ck_assert_int_eq(verify(keys, token), STATUS_OK);
        free(token);
    }
    /* The public key as an HMAC secret: the old attack. */
    char *forged = sign(JWT_ALG_HS256, public_pem, NULL);
    ck_assert_int_eq(verify(keys, forged), STATUS_UNSUPPORTED);
    free(forged);
    token_keys_free(keys);
    BIO_free(public);
    BIO_free(private);
    EVP_PKEY_free(key);
}

START_TEST(tokens_of_another_library_hold)
{
    check_libjwt(TOKEN_RS256, JWT_ALG_RS256, EVP_RSA_gen(2048));
    check_libjwt(TOKEN_ES256, JWT_ALG_ES256, EVP_EC_gen("P-256"));
    struct token_keys *keys;
    struct error error;
    ck_assert_int_eq(token_keys_of_secret(BYTES_LITERAL(SECRET), &keys, &error), STATUS_OK);
    char *token = sign(JWT_ALG_HS256, BYTES_LITERAL(SECRET), "any");
    ck_assert_int_eq(verify(keys, token), STATUS_OK);
    free(token);
    token = sign(JWT_ALG_HS512, BYTES_LITERAL(SECRET), NULL);
    ck_assert_int_eq(verify(keys, token), STATUS_UNSUPPORTED);
    free(token);
    token = sign(JWT_ALG_HS256, BYTES_LITERAL("another secret, as long as ours."), NULL);
    ck_assert_int_eq(verify(keys, token), STATUS_DENIED);
    free(token);
    token_keys_free(keys);
}
END_TEST

static void append_base64url(struct buffer *out, struct bytes bytes)
{
    struct buffer text = {0};
    base64_encode(bytes, &text);
    struct bytes standard = buffer_peek(&text);
    for (size_t i = 0; i < standard.size && standard.data[i] != '='; i++) {
        uint8_t c = standard.data[i];
        buffer_append_byte(out, c == '+' ? '-' : c == '/' ? '_' : c);
    }
    buffer_deinit(&text);
}

static void append_rsa_jwk(struct buffer *out, const EVP_PKEY *key, const char *name)
{
    const char *const params[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E};
    buffer_append_format(out, "{\"kty\":\"RSA\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\"%s\"",
                         name);
    for (int i = 0; i < 2; i++) {
        BIGNUM *number = NULL;
        uint8_t bytes[512];
        ck_assert(EVP_PKEY_get_bn_param(key, params[i], &number));
        int size = BN_bn2bin(number, bytes);
        BN_free(number);
        buffer_append_format(out, ",\"%s\":\"", i ? "e" : "n");
        append_base64url(out, bytes_of(bytes, (size_t)size));
        buffer_append_string(out, "\"");
    }
    buffer_append_string(out, "}");
}

START_TEST(a_key_is_found_by_its_name)
{
    EVP_PKEY *one = EVP_RSA_gen(2048);
    EVP_PKEY *two = EVP_RSA_gen(2048);
    struct buffer set = {0};
    buffer_append_string(&set, "{\"keys\":[{\"kty\":\"EC\"},{\"kty\":\"RSA\",\"use\":\"enc\"},7,");
    append_rsa_jwk(&set, one, "one");
    buffer_append_string(&set, ",");
    append_rsa_jwk(&set, two, "two");
    buffer_append_string(&set, "]}");
    buffer_append_byte(&set, 0);
    struct token_keys *keys = keys_of_jwks(TOKEN_RS256, (const char *)buffer_peek(&set).data);
    ck_assert_uint_eq(token_keys_count(keys), 2);
    BIO *bio;
    struct bytes pem = pem_of(two, true, &bio);
    const struct {
        const char *name;
        enum status status;
    } cases[] = {
        {"two", STATUS_OK}, {NULL, STATUS_OK}, {"one", STATUS_DENIED}, {"three", STATUS_NOT_FOUND}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *token = sign(JWT_ALG_RS256, pem, cases[i].name);
        ck_assert_int_eq(verify(keys, token), cases[i].status);
        free(token);
    }
    token_keys_free(keys);
    BIO_free(bio);
    EVP_PKEY_free(one);
    EVP_PKEY_free(two);
    buffer_deinit(&set);
}
END_TEST

START_TEST(few_keys_are_tried_for_a_token_that_names_none)
{
    struct buffer set = {0};
    buffer_append_string(&set, "{\"keys\":[");
    for (int i = 0; i < TOKEN_KEYS_LIMIT; i++) {
        char secret[33];
        buffer_append_format(&set, "%s{\"kty\":\"oct\",\"kid\":\"key-%d\",\"k\":\"", i ? "," : "",
                             i);
        snprintf(secret, sizeof(secret), "%032d", i);
        append_base64url(&set, bytes_of_string(secret));
        buffer_append_string(&set, "\"}");
    }
    buffer_append_string(&set, "]}");
    buffer_append_byte(&set, 0);
    struct token_keys *keys = keys_of_jwks(TOKEN_HS256, (const char *)buffer_peek(&set).data);
    ck_assert_uint_eq(token_keys_count(keys), TOKEN_KEYS_LIMIT);
    const struct {
        int key;
        const char *name;
        enum status status;
    } cases[] = {{0, NULL, STATUS_OK},
                 {TOKEN_KEYS_TRIED - 1, NULL, STATUS_OK},
                 {TOKEN_KEYS_TRIED, NULL, STATUS_LIMIT},
                 {TOKEN_KEYS_LIMIT - 1, NULL, STATUS_LIMIT},
                 {TOKEN_KEYS_LIMIT - 1, "key-63", STATUS_OK},
                 {1, "key-63", STATUS_DENIED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char secret[33];
        snprintf(secret, sizeof(secret), "%032d", cases[i].key);
        char *token = sign(JWT_ALG_HS256, bytes_of_string(secret), cases[i].name);
        ck_assert_msg(verify(keys, token) == cases[i].status, "case %zu", i);
        free(token);
    }
    token_keys_free(keys);
    buffer_deinit(&set);
}
END_TEST

/* header and payload as text, signed with SECRET */
static char *sign_text(const char *header, const char *payload)
{
    struct buffer token = {0};
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t size = 0;
    append_base64url(&token, bytes_of_string(header));
    buffer_append_byte(&token, '.');
    append_base64url(&token, bytes_of_string(payload));
    struct bytes text = buffer_peek(&token);
    ck_assert_ptr_nonnull(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, SECRET, sizeof(SECRET) - 1,
                                    text.data, text.size, mac, sizeof(mac), &size));
    buffer_append_byte(&token, '.');
    append_base64url(&token, bytes_of(mac, size));
    char *result = mem_string(buffer_peek(&token));
    buffer_deinit(&token);
    return result;
}

START_TEST(headers_that_lie_are_refused)
{
    static const struct {
        const char *header;
        enum status status;
    } cases[] = {
        {"{\"alg\":\"HS256\"}", STATUS_OK},
        {"{\"alg\":\"none\"}", STATUS_UNSUPPORTED},
        {"{\"alg\":\"hs256\"}", STATUS_UNSUPPORTED},
        {"{\"alg\":\"RS256\"}", STATUS_UNSUPPORTED},
        {"{\"alg\":256}", STATUS_UNSUPPORTED},
        {"{}", STATUS_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", STATUS_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}", STATUS_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":7}", STATUS_MALFORMED},
        {"[]", STATUS_MALFORMED},
        {"HS256", STATUS_MALFORMED},
    };
    struct token_keys *keys;
    struct error error;
    ck_assert_int_eq(token_keys_of_secret(BYTES_LITERAL(SECRET), &keys, &error), STATUS_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *token = sign_text(cases[i].header, "{}");
        ck_assert_msg(verify(keys, token) == cases[i].status, "%s", cases[i].header);
        free(token);
    }
    token_keys_free(keys);
}
END_TEST

START_TEST(what_is_no_token_is_malformed)
{
    static const char *const texts[] = {
        "",     ".",        "..",    "...",     "a.b.c.d", "a.b",        "a..c",
        ".b.c", "eyJ.eyJ.", "=.=.=", "a b.c.d", "+.b.c",   "e30.e30.e30"};
    struct token_keys *keys;
    struct error error;
    ck_assert_int_eq(token_keys_of_secret(BYTES_LITERAL(SECRET), &keys, &error), STATUS_OK);
    for (size_t i = 0; i + 1 < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_msg(verify(keys, texts[i]) == STATUS_MALFORMED, "%s", texts[i]);
    ck_assert_int_eq(verify(keys, "e30.e30.e30"), STATUS_UNSUPPORTED);
    char *none = mem_string(BYTES_LITERAL("eyJhbGciOiJub25lIn0.e30."));
    ck_assert_int_eq(verify(keys, none), STATUS_UNSUPPORTED);
    free(none);
    struct buffer huge = {0};
    for (int i = 0; i <= TOKEN_BYTES_LIMIT; i++)
        buffer_append_byte(&huge, 'a');
    struct buffer payload = {0};
    ck_assert_int_eq(token_keys_verify(keys, buffer_peek(&huge), &payload), STATUS_TOO_LARGE);
    buffer_deinit(&huge);
    /* A whole token, cut at every place. */
    char *token = sign_text("{\"alg\":\"HS256\"}", "{\"sub\":\"u1\"}");
    for (size_t size = 0; size < strlen(token); size++)
        ck_assert_int_ne(token_keys_verify(keys, bytes_of(token, size), &payload), STATUS_OK);
    ck_assert_int_eq(token_keys_verify(keys, bytes_of_string(token), &payload), STATUS_OK);
    ck_assert(bytes_equal_string(buffer_peek(&payload), "{\"sub\":\"u1\"}"));
    buffer_deinit(&payload);
    free(token);
    token_keys_free(keys);
}
END_TEST

static void check_refused(enum token_algorithm algorithm, EVP_PKEY *key, const char *part)
{
    BIO *bio;
    struct bytes pem = pem_of(key, false, &bio);
    struct token_keys *keys = NULL;
    struct error error;
    ck_assert_int_eq(token_keys_of_pem(algorithm, pem, &keys, &error), STATUS_INVALID);
    ck_assert_ptr_null(keys);
    ck_assert_msg(strstr(error.text, part), "%s", error.text);
    BIO_free(bio);
    EVP_PKEY_free(key);
}

START_TEST(weak_or_foreign_keys_are_refused_with_a_reason)
{
    struct token_keys *keys = NULL;
    struct error error;
    check_refused(TOKEN_RS256, EVP_RSA_gen(1024), "less than 2048");
    check_refused(TOKEN_RS256, EVP_EC_gen("P-256"), "not an RSA key");
    check_refused(TOKEN_ES256, EVP_EC_gen("P-384"), "P-256");
    check_refused(TOKEN_EDDSA, EVP_EC_gen("P-256"), "Ed25519");
    check_refused(TOKEN_HS256, EVP_RSA_gen(2048), "secret");
    ck_assert_int_eq(token_keys_of_secret(BYTES_LITERAL("short"), &keys, &error), STATUS_INVALID);
    ck_assert_int_eq(token_keys_of_pem(TOKEN_RS256, BYTES_LITERAL("no PEM"), &keys, &error),
                     STATUS_INVALID);
    ck_assert_int_eq(token_keys_of_jwks(TOKEN_RS256, BYTES_LITERAL("{\"keys\":{}}"), &keys, &error),
                     STATUS_INVALID);
    ck_assert_int_eq(token_keys_of_jwks(TOKEN_RS256, BYTES_LITERAL("{\"keys\":[]}"), &keys, &error),
                     STATUS_INVALID);
    static const char bad_point[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                                    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                    "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}";
    ck_assert_int_eq(token_keys_of_jwks(TOKEN_ES256, bytes_of_string(bad_point), &keys, &error),
                     STATUS_INVALID);
    ck_assert_ptr_null(keys);
}
END_TEST

TEST_PROGRAM("token_keys", the_examples_of_the_rfcs_hold, tokens_of_another_library_hold,
             a_key_is_found_by_its_name, few_keys_are_tried_for_a_token_that_names_none,
             headers_that_lie_are_refused, what_is_no_token_is_malformed,
             weak_or_foreign_keys_are_refused_with_a_reason)
