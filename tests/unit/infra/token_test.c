/* Claims and the rotation of keys. The world here: a file, and an HTTP server of one answer. */
#include "token.h"

#include <arpa/inet.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base64.h"
#include "mem.h"
#include "suite.h"
#include "token_keys.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define SECRET_TWO "fedcba9876543210fedcba9876543210"
#define WALL_MS INT64_C(1700000000000)

static const struct token_config base_config = {.algorithm = TOKEN_HS256,
                                                .secret = SECRET,
                                                .leeway_ms = 5000,
                                                .refresh_ms = 3600000,
                                                .refetch_ms = 10000,
                                                .waiting = 2,
                                                .checks_per_turn = 1};

static char *sign(const char *claims, const char *secret, const char *key_name)
{
    jwt_t *token;
    ck_assert_int_eq(jwt_new(&token), 0);
    ck_assert_int_eq(jwt_add_grants_json(token, claims), 0);
    if (key_name)
        jwt_add_header(token, "kid", key_name);
    ck_assert_int_eq(
        jwt_set_alg(token, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)), 0);
    char *text = jwt_encode_str(token);
    jwt_free(token);
    return text;
}

static enum token_verdict verdict_on(const struct token_config *config, const char *claims)
{
    struct token_verifier *verifier;
    struct error error;
    struct token_content content = {0};
    ck_assert_int_eq(token_verifier_open(config, &verifier, &error), STATUS_OK);
    char *token = sign(claims, SECRET, NULL);
    enum token_verdict verdict = token_verify(verifier, bytes_of_string(token), WALL_MS, &content);
    ck_assert_int_eq(verdict == TOKEN_VALID, content.claims.parsed != NULL);
    free(token);
    token_verifier_close(verifier);
    return verdict;
}

START_TEST(time_issuer_and_audience_are_checked)
{
    struct token_config strict = base_config;
    strict.issuer = "https://issuer";
    strict.audience = "gateway";
    static const struct {
        const char *claims;
        enum token_verdict loose, strict;
    } cases[] = {
        {"{\"exp\":1700000001,\"iss\":\"https://issuer\",\"aud\":\"gateway\"}", TOKEN_VALID,
         TOKEN_VALID},
        {"{\"exp\":1700000001,\"iss\":\"https://issuer\",\"aud\":[\"x\",\"gateway\"]}", TOKEN_VALID,
         TOKEN_VALID},
        {"{\"exp\":1699999996}", TOKEN_VALID, TOKEN_ISSUER},
        {"{\"exp\":1699999995}", TOKEN_EXPIRED, TOKEN_EXPIRED},
        {"{\"exp\":1.7e9}", TOKEN_VALID, TOKEN_ISSUER},
        {"{\"exp\":\"1700000001\"}", TOKEN_MALFORMED, TOKEN_MALFORMED},
        {"{\"exp\":1e300}", TOKEN_MALFORMED, TOKEN_MALFORMED},
        {"{\"sub\":\"u\"}", TOKEN_ENDLESS, TOKEN_ENDLESS},
        {"{\"exp\":1700000001,\"nbf\":1700000005}", TOKEN_VALID, TOKEN_ISSUER},
        {"{\"exp\":1700000009,\"nbf\":1700000006}", TOKEN_NOT_YET, TOKEN_NOT_YET},
        {"{\"exp\":1700000009,\"nbf\":[]}", TOKEN_MALFORMED, TOKEN_MALFORMED},
        {"{\"exp\":1700000001,\"iss\":\"https://issuer/\",\"aud\":\"gateway\"}", TOKEN_VALID,
         TOKEN_ISSUER},
        {"{\"exp\":1700000001,\"iss\":[\"https://issuer\"],\"aud\":\"gateway\"}", TOKEN_VALID,
         TOKEN_ISSUER},
        {"{\"exp\":1700000001,\"iss\":\"https://issuer\",\"aud\":\"gateway2\"}", TOKEN_VALID,
         TOKEN_AUDIENCE},
        {"{\"exp\":1700000001,\"iss\":\"https://issuer\",\"aud\":[7]}", TOKEN_VALID,
         TOKEN_AUDIENCE},
        {"{\"exp\":1700000001,\"iss\":\"https://issuer\"}", TOKEN_VALID, TOKEN_AUDIENCE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(verdict_on(&base_config, cases[i].claims) == cases[i].loose, "%s",
                      cases[i].claims);
        ck_assert_msg(verdict_on(&strict, cases[i].claims) == cases[i].strict, "%s",
                      cases[i].claims);
    }
    struct token_config endless = base_config;
    endless.allow_endless = true;
    ck_assert_int_eq(verdict_on(&endless, "{\"sub\":\"u\"}"), TOKEN_VALID);
}
END_TEST

START_TEST(contradictory_configuration_is_refused)
{
    struct token_verifier *verifier = NULL;
    struct error error;
    struct token_config config = base_config;
    config.key_file = "/nowhere";
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_INVALID);
    config.secret = NULL;
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_INVALID);
    config.algorithm = TOKEN_RS256;
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_IO);
    ck_assert(strstr(error.text, "/nowhere"));
    config.key_file = NULL;
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_INVALID);
    config.secret = SECRET;
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_INVALID);
    ck_assert_ptr_null(verifier);
}
END_TEST

/* --- Rotation --- */

struct wait_result {
    struct token_waiter waiter;
    int calls;
    enum token_verdict verdict;
    char user[100];
};

static void decided(struct token_waiter *waiter, enum token_verdict verdict,
                    const struct token_content *content)
{
    struct wait_result *result = (struct wait_result *)waiter;
    result->calls++;
    result->verdict = verdict;
    if (!content)
        return;
    static const char *const names[] = {"tenant", "sub"};
    struct claims *claims;
    ck_assert_int_eq(claims_pack(names, 2, content->claims, &claims), STATUS_OK);
    snprintf(result->user, sizeof(result->user), "%.*s", BYTES_PRINT(claims_user(claims)));
    claims_free(claims);
}

static void service_until(struct token_verifier *verifier, const int *calls, int64_t now_ms)
{
    struct timespec start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        struct pollfd descriptor = {.fd = token_verifier_descriptor(verifier), .events = POLLIN};
        poll(&descriptor, 1, 20);
        token_verifier_service(verifier, now_ms, WALL_MS);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (*calls == 0 && now.tv_sec - start.tv_sec < 10);
    ck_assert_int_eq(*calls, 1);
}

static void write_set(const char *path, const char *const *secrets)
{
    FILE *file = fopen(path, "w");
    fprintf(file, "{\"keys\":[");
    for (int i = 0; secrets[i]; i++) {
        struct buffer text = {0};
        base64_encode(bytes_of_string(secrets[i]), &text);
        int size = (int)buffer_size(&text) - 1; /* 32 bytes: one '=' */
        fprintf(file, "%s{\"kty\":\"oct\",\"kid\":\"%d\",\"k\":\"%.*s\"}", i ? "," : "", i, size,
                (const char *)buffer_peek(&text).data);
        buffer_deinit(&text);
    }
    fprintf(file, "]}");
    fclose(file);
}

START_TEST(an_unknown_key_is_read_again_but_not_often)
{
    char path[] = "/tmp/token-test-XXXXXX";
    close(mkstemp(path));
    write_set(path, (const char *const[]){SECRET, NULL});
    struct token_config config = base_config;
    config.secret = NULL;
    config.jwks_file = path;
    struct token_verifier *verifier;
    struct error error;
    struct token_content content;
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_OK);
    token_verifier_service(verifier, 100000, WALL_MS);
    char *old = sign("{\"exp\":1700000001,\"sub\":\"a\"}", SECRET, "0");
    char *new = sign("{\"exp\":1700000001,\"sub\":\"b\"}", SECRET_TWO, "1");
    ck_assert_int_eq(token_verify(verifier, bytes_of_string(old), WALL_MS, &content), TOKEN_VALID);
    write_set(path, (const char *const[]){SECRET, SECRET_TWO, NULL});
    ck_assert_int_eq(token_verify(verifier, bytes_of_string(new), WALL_MS, &content),
                     TOKEN_UNDECIDED);
    struct wait_result waiting = {.waiter = {.decided = decided}};
    struct wait_result cancelled = {.waiter = {.decided = decided}};
    struct wait_result excess = {.waiter = {.decided = decided}};
    ck_assert(token_wait(verifier, &waiting.waiter, bytes_of_string(new)));
    ck_assert(token_wait(verifier, &cancelled.waiter, bytes_of_string(new)));
    ck_assert(!token_wait(verifier, &excess.waiter, bytes_of_string(new)));
    token_wait_cancel(verifier, &cancelled.waiter);
    token_wait_cancel(verifier, &cancelled.waiter);
    service_until(verifier, &waiting.calls, 100000);
    ck_assert_int_eq(waiting.verdict, TOKEN_VALID);
    ck_assert_str_eq(waiting.user, "b");
    ck_assert_int_eq(cancelled.calls, 0);

    /* A key that is in no set: that is told when the set may be read again, and has been. */
    char *stray = sign("{\"exp\":1700000001}", SECRET_TWO, "9");
    ck_assert_int_eq(token_verify(verifier, bytes_of_string(stray), WALL_MS, &content),
                     TOKEN_UNDECIDED);
    struct wait_result lost = {.waiter = {.decided = decided}};
    unlink(path); /* keys that cannot be read again stay in force */
    ck_assert(token_wait(verifier, &lost.waiter, bytes_of_string(stray)));
    token_verifier_service(verifier, 105000, WALL_MS);
    ck_assert_int_eq(token_verifier_deadline_ms(verifier), 110000);
    ck_assert_int_eq(lost.calls, 0);
    service_until(verifier, &lost.calls, 111000);
    ck_assert_int_eq(lost.verdict, TOKEN_KEY_UNKNOWN);
    ck_assert_int_eq(token_verify(verifier, bytes_of_string(new), WALL_MS, &content), TOKEN_VALID);
    ck_assert_uint_eq(token_stats(verifier)->read_failures, 1);
    free(old);
    free(new);
    free(stray);
    token_verifier_close(verifier);
}
END_TEST

struct web {
    pthread_t thread;
    int listener;
    const char *answer;
};

static void *serve_once(void *context)
{
    const struct web *web = context;
    char request[2000];
    int client = accept(web->listener, NULL, NULL);
    ssize_t got = read(client, request, sizeof(request));
    char head[200];
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                        strlen(web->answer));
    if (got > 0 && write(client, head, (size_t)size) == size &&
        write(client, web->answer, strlen(web->answer)) < 0)
        perror("write");
    close(client);
    return NULL;
}

static void open_web(struct web *web, char url[60])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    web->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(web->listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(web->listener, 1), 0);
    getsockname(web->listener, (struct sockaddr *)&address, &size);
    snprintf(url, 60, "http://127.0.0.1:%d/keys", ntohs(address.sin_port));
}

START_TEST(keys_of_a_url_are_awaited)
{
    char url[60];
    struct web web = {.answer = "{\"keys\":[{\"kty\":\"oct\",\"k\":"
                                "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}]}"};
    open_web(&web, url);
    struct token_config config = base_config;
    config.secret = NULL;
    config.jwks_url = url;
    struct token_verifier *verifier;
    struct error error;
    struct token_content content;
    const char *detail;
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_OK);
    ck_assert(!token_verifier_ready(verifier, &detail));
    char *token = sign("{\"exp\":1700000001,\"sub\":\"a\"}", SECRET, NULL);
    ck_assert_int_eq(token_verify(verifier, bytes_of_string(token), WALL_MS, &content),
                     TOKEN_UNDECIDED);
    static const uint8_t endless[TOKEN_BYTES_LIMIT + 1]; /* does not wait */
    ck_assert_int_eq(token_verify(verifier, bytes_of(endless, sizeof(endless)), WALL_MS, &content),
                     TOKEN_MALFORMED);
    struct wait_result waiting = {.waiter = {.decided = decided}},
                       second = {.waiter = {.decided = decided}};
    ck_assert(token_wait(verifier, &waiting.waiter, bytes_of_string(token)));
    ck_assert(token_wait(verifier, &second.waiter, bytes_of_string(token)));
    pthread_create(&web.thread, NULL, serve_once, &web);
    service_until(verifier, &waiting.calls, 1000);
    pthread_join(web.thread, NULL);
    ck_assert_int_eq(waiting.verdict, TOKEN_VALID);
    ck_assert_int_eq(second.calls, 0); /* one check a turn */
    service_until(verifier, &second.calls, 1000);
    ck_assert_int_eq(second.verdict, TOKEN_VALID);
    ck_assert(token_verifier_ready(verifier, &detail));
    token_verifier_close(verifier);
    close(web.listener);

    /* Nobody answers: transient trouble, not a refusal. */
    ck_assert_int_eq(token_verifier_open(&config, &verifier, &error), STATUS_OK);
    struct wait_result lost = {.waiter = {.decided = decided}};
    ck_assert(token_wait(verifier, &lost.waiter, bytes_of_string(token)));
    service_until(verifier, &lost.calls, 1000);
    ck_assert_int_eq(lost.verdict, TOKEN_NO_KEYS);
    free(token);
    token_verifier_close(verifier);
}
END_TEST

TEST_PROGRAM("token", time_issuer_and_audience_are_checked, contradictory_configuration_is_refused,
             an_unknown_key_is_read_again_but_not_often, keys_of_a_url_are_awaited)
