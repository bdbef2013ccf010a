/* OAUTHBEARER for a librdkafka without curl (Debian 12's): the token is fetched here, with libcurl,
 * and given to librdkafka.
 *
 * Threads: on_refresh() runs on librdkafka's background thread, once for each client, while the
 * client lives. Hence everything it needs travels as one text in the configuration, which
 * librdkafka copies and hands back: no pointer whose life somebody would have to watch. */
#include "kafka_oidc.h"

#include <assert.h>
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "clocks.h"
#include "log.h"
#include "mem.h"

static const char *const properties[] = {
    "sasl.oauthbearer.method", "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.scope"};

/* Asked of librdkafka itself, not of its version: distributions build it with and without curl. */
bool kafka_oidc_is_builtin(void)
{
    char text[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool builtin =
        rd_kafka_conf_set(conf, properties[0], "oidc", text, sizeof(text)) == RD_KAFKA_CONF_OK;
    rd_kafka_conf_destroy(conf);
    return builtin;
}

bool kafka_oidc_is_property(const char *name)
{
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        if (strcmp(name, properties[i]) == 0)
            return true;
    return false;
}

enum status kafka_oidc_check(const struct kafka_oidc *oidc, struct error *error)
{
    if (!oidc->client_id || !oidc->client_secret || !oidc->endpoint)
        return error_set(error, STATUS_INVALID,
                         "oidc needs sasl.oauthbearer.client.id, .client.secret and "
                         ".token.endpoint.url");
    /* A line end would move the credentials into another line of request_text(). */
    if ((strncasecmp(oidc->endpoint, "https://", 8) != 0 &&
         strncasecmp(oidc->endpoint, "http://", 7) != 0) ||
        strchr(oidc->endpoint, '\n'))
        return error_set(
            error, STATUS_INVALID,
            "sasl.oauthbearer.token.endpoint.url must begin with https:// (or http://)");
    /* Not safe beside other threads, hence here, before there are any. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(error, STATUS_INVALID, "libcurl cannot be used");
    return STATUS_OK;
}

/* --- What the background thread needs, as one text in sasl.oauthbearer.config ------------------- */

/* application/x-www-form-urlencoded (RFC 6749, appendix B). */
static void append_encoded(struct buffer *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            buffer_append_byte(out, (uint8_t)*text);
        else
            buffer_append_format(out, "%%%02X", (unsigned)(uint8_t)*text);
    }
}

/* Lines: the endpoint, the credentials, the form. */
enum { LINE_ENDPOINT, LINE_CREDENTIALS, LINE_FORM, LINES };

static char *request_text(const struct kafka_oidc *oidc)
{
    auto_buffer struct buffer text = {0};
    buffer_append_format(&text, "%s\n", oidc->endpoint);
    append_encoded(&text, oidc->client_id);
    buffer_append_byte(&text, ':');
    append_encoded(&text, oidc->client_secret);
    buffer_append_format(&text, "\ngrant_type=client_credentials");
    if (oidc->scope) {
        buffer_append_format(&text, "&scope=");
        append_encoded(&text, oidc->scope);
    }
    char *copy = mem_string(buffer_peek(&text));
    explicit_bzero(text.data, text.capacity);
    return copy;
}

/* --- Asking ------------------------------------------------------------------------------------ */

bool kafka_oidc_read_answer(struct bytes json, char **token, int64_t *lasts_s)
{
    json_t *answer = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(answer, "access_token"));
    json_int_t lasts = json_integer_value(json_object_get(answer, "expires_in"));
    bool good = text && *text && lasts > 0 && lasts <= INT32_MAX;
    if (good) {
        *token = mem_string(bytes_of_string(text));
        *lasts_s = lasts;
    }
    json_decref(answer);
    return good;
}

/* libcurl calls with `one` = 1, always. */
static size_t receive_answer(char *data, size_t one, size_t size, void *context)
{
    struct buffer *answer = context;
    if (buffer_size(answer) + size > KAFKA_OIDC_ANSWER_LIMIT)
        return 0; /* ends the transfer */
    buffer_append(answer, bytes_of(data, one * size));
    return size;
}

/* Every one counts: without CURLOPT_PROTOCOLS_STR a URL could name a file. */
static CURLcode prepare_token_request(CURL *request, char *lines[LINES], struct buffer *answer)
{
    CURLcode results[] = {
        curl_easy_setopt(request, CURLOPT_URL, lines[LINE_ENDPOINT]),
        curl_easy_setopt(request, CURLOPT_PROTOCOLS_STR, "http,https"),
        /* Without it libcurl's resolver may use SIGALRM, on a thread that is not ours to signal. */
        curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(request, CURLOPT_TIMEOUT_MS, (long)KAFKA_OIDC_TIMEOUT_MS),
        curl_easy_setopt(request, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC),
        curl_easy_setopt(request, CURLOPT_USERPWD, lines[LINE_CREDENTIALS]),
        curl_easy_setopt(request, CURLOPT_POSTFIELDS, lines[LINE_FORM]),
        curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, receive_answer),
        curl_easy_setopt(request, CURLOPT_WRITEDATA, answer),
    };
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] != CURLE_OK)
            return results[i];
    return CURLE_OK;
}

static enum status fetch_token(char *lines[LINES], char **token, int64_t *lasts_s,
                               struct error *error)
{
    auto_buffer struct buffer answer = {0};
    long code = 0;
    CURL *request = curl_easy_init();
    CURLcode result = request ? prepare_token_request(request, lines, &answer) : CURLE_FAILED_INIT;
    if (result == CURLE_OK)
        result = curl_easy_perform(request);
    if (result == CURLE_OK)
        result = curl_easy_getinfo(request, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(request);
    if (result != CURLE_OK)
        return error_set(error, STATUS_IO, "no answer of the token endpoint: %s",
                         curl_easy_strerror(result));
    /* The body is not repeated: some providers quote the request in it, and with it the secret. */
    if (code != 200)
        return error_set(error, STATUS_IO, "the token endpoint answered %ld", code);
    if (!kafka_oidc_read_answer(buffer_peek(&answer), token, lasts_s))
        return error_set(error, STATUS_IO,
                         "the token endpoint's answer has no access_token and expires_in");
    return STATUS_OK;
}

static enum status give_token(rd_kafka_t *client, char *lines[LINES], struct error *error)
{
    char *token = NULL, text[256] = "";
    int64_t lasts_s = 0;
    enum status status = fetch_token(lines, &token, &lasts_s, error);
    if (status != STATUS_OK)
        return status;
    assert(token && lasts_s > 0);
    /* Brokers take the principal from the token. */
    if (rd_kafka_oauthbearer_set_token(client, token, wall_ms() + lasts_s * 1000, "smartstack",
                                       NULL, 0, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR)
        status = error_set(error, STATUS_IO, "librdkafka does not take the token: %s", text);
    explicit_bzero(token, strlen(token));
    free(token);
    return status;
}

static void on_refresh(rd_kafka_t *client, const char *config, void *opaque)
{
    char *lines[LINES] = {0}, *text = mem_string(bytes_of_string(config)), *rest = text;
    struct error error;
    (void)opaque;
    size_t size = strlen(text);
    for (unsigned i = 0; i < LINES; i++)
        lines[i] = strsep(&rest, "\n");
    assert(lines[LINE_FORM] && !rest); /* by request_text() */
    if (give_token(client, lines, &error) != STATUS_OK) {
        log_warning("no token for Kafka", LOG_STRING("client", rd_kafka_name(client)),
                    LOG_STRING("error", error.text));
        rd_kafka_oauthbearer_set_token_failure(client, error.text);
    }
    explicit_bzero(text, size);
    free(text);
}

/* --- Configurations and clients ----------------------------------------------------------------- */

void kafka_oidc_configure(rd_kafka_conf_t *conf, const struct kafka_oidc *oidc)
{
    char *request = request_text(oidc), text[64];
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, "sasl.oauthbearer.config", request, text, sizeof(text));
    assert(result == RD_KAFKA_CONF_OK);
    (void)result;
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
    /* A queue of its own: otherwise the callback would wait in the main queue for a poll, and a
     * client that blocks in its first request polls nothing. */
    rd_kafka_conf_enable_sasl_queue(conf, 1);
    explicit_bzero(request, strlen(request));
    free(request);
}

rd_kafka_t *kafka_oidc_new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text,
                                  size_t size)
{
    rd_kafka_t *client = rd_kafka_new(type, conf, text, size);
    /* An error: it has no such queue, and needs none. */
    if (client)
        rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(client));
    return client;
}
