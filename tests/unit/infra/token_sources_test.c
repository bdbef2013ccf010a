/* Several who sign tokens, side by side: each token is judged by one, and by no other's key. */
#include "token_sources.h"

#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <unistd.h>

#include "mem.h"
#include "suite.h"

#define SECRET_A "0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210"
#define WALL_MS INT64_C(1700000000000)

static const char *const acme[] = {"acme"}, *const two[] = {"globex", "initech"};

static struct token_source_config source_of(const char *issuer, const char *audience,
                                            const char *secret)
{
    return (struct token_source_config){.token = {.algorithm = TOKEN_HS256,
                                                  .secret = secret,
                                                  .issuer = issuer,
                                                  .audience = audience,
                                                  .allow_endless = true,
                                                  .waiting = 2,
                                                  .checks_per_turn = 1}};
}

static char *sign(jwt_alg_t algorithm, const char *claims, const char *key)
{
    jwt_t *token;
    ck_assert_int_eq(jwt_new(&token), 0);
    ck_assert_int_eq(jwt_add_grants_json(token, claims), 0);
    ck_assert_int_eq(
        jwt_set_alg(token, algorithm, (const unsigned char *)key, key ? (int)strlen(key) : 0), 0);
    char *text = jwt_encode_str(token);
    jwt_free(token);
    return text;
}

static struct token_sources *open_sources(const struct token_source_config *configs, size_t count)
{
    struct token_sources *sources = NULL;
    struct error error;
    ck_assert_int_eq(token_sources_open(configs, count, &sources, &error), STATUS_OK);
    return sources;
}

static enum token_verdict judge_text(struct token_sources *sources, const char *text)
{
    enum token_verdict verdict;
    struct token_content content;
    struct token_verifier *verifier =
        token_sources_select(sources, bytes_of_string(text), &verdict);
    return verifier ? token_verify(verifier, bytes_of_string(text), WALL_MS, &content) : verdict;
}

static enum token_verdict judge(struct token_sources *sources, jwt_alg_t algorithm,
                                const char *claims, const char *key)
{
    char *text = sign(algorithm, claims, key);
    enum token_verdict verdict = judge_text(sources, text);
    free(text);
    return verdict;
}

START_TEST(a_token_is_judged_by_its_issuers_key_alone)
{
    struct token_source_config configs[] = {source_of("a", NULL, SECRET_A),
                                            source_of("b", NULL, SECRET_B)};
    struct token_sources *sources = open_sources(configs, 2);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\"}", SECRET_A), TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"b\"}", SECRET_B), TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"b\"}", SECRET_A), TOKEN_SIGNATURE);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\"}", SECRET_B), TOKEN_SIGNATURE);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"c\"}", SECRET_A), TOKEN_ISSUER);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{}", SECRET_A), TOKEN_ISSUER);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":[\"a\"]}", SECRET_A), TOKEN_ISSUER);
    ck_assert_int_eq(judge(sources, JWT_ALG_NONE, "{\"iss\":\"a\"}", NULL), TOKEN_ALGORITHM);
    ck_assert_int_eq(judge_text(sources, ""), TOKEN_MISSING);
    ck_assert_int_eq(judge_text(sources, "a.b"), TOKEN_MALFORMED);
    /* {"alg":"HS256"}, {"iss":"a","iss":"b"} */
    ck_assert_int_eq(judge_text(sources, "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIiwiaXNzIjoiYiJ9.AA"),
                     TOKEN_MALFORMED);
    struct token_stats stats = token_sources_stats(sources);
    ck_assert_uint_eq(stats.valid, 2);
    ck_assert_uint_eq(stats.refused, 9);
    token_sources_close(sources);
}
END_TEST

/* A key pair; the public half as PEM in a file, whose text is a string too. */
static void make_rsa(char path[], char *private_pem, char *public_pem, size_t size)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *out = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    int length = BIO_read(out, private_pem, (int)size - 1);
    ck_assert_int_gt(length, 0);
    private_pem[length] = '\0';
    BIO_free(out);
    out = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(out, key), 1);
    length = BIO_read(out, public_pem, (int)size - 1);
    ck_assert_int_gt(length, 0);
    public_pem[length] = '\0';
    BIO_free(out);
    EVP_PKEY_free(key);
    int file = mkstemp(path);
    ck_assert_int_eq((int)write(file, public_pem, (size_t)length), length);
    close(file);
}

/* The public key, which all know, as the secret of an HMAC, with the issuer's name. */
START_TEST(no_algorithm_is_taken_for_another)
{
    char path[] = "/tmp/token-sources-XXXXXX", private_pem[4096], public_pem[4096];
    make_rsa(path, private_pem, public_pem, sizeof(public_pem));
    struct token_source_config configs[] = {source_of("a", NULL, SECRET_A),
                                            source_of("b", NULL, NULL), source_of("a", NULL, NULL)};
    configs[1].token.algorithm = configs[2].token.algorithm = TOKEN_RS256;
    configs[1].token.key_file = configs[2].token.key_file = path;
    struct token_sources *sources = open_sources(configs, 3);
    ck_assert_int_eq(judge(sources, JWT_ALG_RS256, "{\"iss\":\"b\"}", private_pem), TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_RS256, "{\"iss\":\"a\"}", private_pem), TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\"}", SECRET_A), TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"b\"}", public_pem), TOKEN_ALGORITHM);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\"}", public_pem), TOKEN_SIGNATURE);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS384, "{\"iss\":\"a\"}", SECRET_A), TOKEN_ALGORITHM);
    ck_assert_int_eq(judge(sources, JWT_ALG_NONE, "{\"iss\":\"b\"}", NULL), TOKEN_ALGORITHM);
    token_sources_close(sources);
    unlink(path);
}
END_TEST

START_TEST(an_audience_selects_among_sources_of_one_issuer)
{
    struct token_source_config configs[] = {source_of("a", "x", SECRET_A),
                                            source_of("a", "y", SECRET_B)};
    struct token_sources *sources = open_sources(configs, 2);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\",\"aud\":\"x\"}", SECRET_A),
                     TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\",\"aud\":[\"y\"]}", SECRET_B),
                     TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\",\"aud\":\"y\"}", SECRET_A),
                     TOKEN_SIGNATURE);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\",\"aud\":\"z\"}", SECRET_A),
                     TOKEN_AUDIENCE);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\"}", SECRET_B), TOKEN_SIGNATURE);
    token_sources_close(sources);

    /* One that asks for none has the rest, wherever it stands. */
    configs[0].token.audience = NULL;
    sources = open_sources(configs, 2);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\",\"aud\":\"y\"}", SECRET_B),
                     TOKEN_VALID);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{\"iss\":\"a\",\"aud\":\"z\"}", SECRET_A),
                     TOKEN_VALID);
    token_sources_close(sources);
}
END_TEST

static bool may_name(struct token_sources *sources, const char *issuer, const char *tenant)
{
    char claims[64];
    enum token_verdict verdict;
    snprintf(claims, sizeof(claims), "{\"iss\":\"%s\"}", issuer);
    char *text = sign(JWT_ALG_HS256, claims, SECRET_A);
    struct token_verifier *verifier =
        token_sources_select(sources, bytes_of_string(text), &verdict);
    free(text);
    return token_sources_may_name(sources, verifier, bytes_of_string(tenant));
}

START_TEST(a_tenant_is_that_of_the_sources_that_are_bound_to_it)
{
    struct token_source_config configs[] = {
        source_of("a", NULL, SECRET_A), source_of("b", NULL, SECRET_A),
        source_of("c", NULL, SECRET_A), source_of("d", NULL, SECRET_A)};
    configs[0].tenants = acme, configs[0].tenant_count = 1;
    configs[1].tenants = two, configs[1].tenant_count = 2;
    configs[2].tenants = acme, configs[2].tenant_count = 1;
    struct token_sources *sources = open_sources(configs, 4);
    static const struct {
        const char *issuer, *tenant;
        bool may;
    } cases[] = {
        {"a", "acme", true},    {"a", "globex", false}, {"a", "", false},
        {"a", "Acme", false},   {"b", "globex", true},  {"b", "initech", true},
        {"b", "acme", false},   {"c", "acme", true},  /* two may share one */
        {"d", "hooli", true},   {"d", "acme", false}, /* another's, though d is not bound */
        {"d", "initech", false}};
    ck_assert(token_sources_are_bound(sources));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(may_name(sources, cases[i].issuer, cases[i].tenant) == cases[i].may,
                      "%s for %s", cases[i].issuer, cases[i].tenant);
    token_sources_close(sources);
    sources = open_sources(configs + 3, 1);
    ck_assert(!token_sources_are_bound(sources));
    token_sources_close(sources);
}
END_TEST

START_TEST(sources_that_could_be_mistaken_are_refused)
{
    struct token_source_config configs[TOKEN_SOURCES_LIMIT + 1];
    struct token_sources *sources = NULL;
    struct error error;
    for (size_t i = 0; i <= TOKEN_SOURCES_LIMIT; i++)
        configs[i] = source_of("a", NULL, SECRET_A);
    ck_assert_int_eq(token_sources_open(configs, 0, &sources, &error), STATUS_INVALID);
    ck_assert_int_eq(token_sources_open(configs, TOKEN_SOURCES_LIMIT + 1, &sources, &error),
                     STATUS_INVALID);
    ck_assert_int_eq(token_sources_open(configs, 2, &sources, &error), STATUS_INVALID);
    configs[1].token.issuer = NULL;
    ck_assert_int_eq(token_sources_open(configs, 2, &sources, &error), STATUS_INVALID);
    configs[1] = source_of("b", NULL, "short");
    ck_assert_int_eq(token_sources_open(configs, 2, &sources, &error), STATUS_INVALID);
    ck_assert_ptr_null(sources);
    configs[0].token.issuer =
        NULL; /* one alone needs none, and its token need not be looked into */
    sources = open_sources(configs, 1);
    ck_assert_int_eq(judge(sources, JWT_ALG_HS256, "{}", SECRET_A), TOKEN_VALID);
    token_sources_close(sources);
}
END_TEST

TEST_PROGRAM("token_sources", a_token_is_judged_by_its_issuers_key_alone,
             no_algorithm_is_taken_for_another, an_audience_selects_among_sources_of_one_issuer,
             a_tenant_is_that_of_the_sources_that_are_bound_to_it,
             sources_that_could_be_mistaken_are_refused)
