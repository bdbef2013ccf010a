/* A source's tokens: signature, time, issuer, audience, and the reading of its keys. token_keys.c
 * has the cryptography; what is here is when a token is good, and when there is nothing yet to
 * judge it by.
 *
 *     no keys --- the first set is read ---> keys --- refresh, or a key is missed ---> reading
 *        |- tokens wait                       ^                                          |
 *                                             |--------- new keys, or the old ones ------|
 *
 * The invariant: a verdict is final but for TOKEN_UNDECIDED. A token that names a key we do not
 * have is undecided until the set has been read once more, since providers rotate keys without a
 * word; a reading is begun at most every `refetch_ms`, so that invented key names cost one request
 * now and then.
 *
 * Threads: the loop; a set is read on the worker, into `reading`, which is the worker's until
 * reading_done(). */
#include "token.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <unistd.h>
#include <utlist.h>

#include "buffer.h"
#include "event_descriptor.h"
#include "log.h"
#include "mem.h"
#include "token_key_reader.h"
#include "worker.h"

/* A JWK set being read. */
struct key_reading {
    struct worker_job job;
    struct token_verifier *verifier;
    struct token_keys *keys; /* what came out; NULL: failed */
    struct error error;
};

struct token_verifier {
    struct token_config config;
    int descriptor;
    struct worker *worker; /* NULL: the key never changes */
    struct key_reading reading;
    bool is_reading;
    struct token_keys *keys; /* NULL: not read yet */
    int64_t read_ms;         /* when reading last began */
    int64_t refresh_ms;      /* when it begins again */
    bool key_missed;         /* a token named a key that is not there */
    int64_t now_ms;
    struct buffer payload;
    json_t *claims; /* what stood in it; NULL: nothing */
    struct token_waiter *waiters;
    struct token_stats stats;
};

const char *token_verdict_text(enum token_verdict verdict)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TOKEN_VERDICTS(X)
#undef X
    };
    return texts[verdict];
}

/* --- Claims ----------------------------------------------------------------------------------- */

/* NumericDate, RFC 7519 section 2, in milliseconds. False: there is none, or it is not a number. */
static bool read_date(const json_t *claims, const char *name, int64_t *time_ms)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);
    /* Larger numbers are no dates, and their milliseconds would not be exact in a double. */
    if (!json_is_number(value) || !(fabs(seconds) < 1e12))
        return false;
    *time_ms = (int64_t)(seconds * 1000);
    return true;
}

/* A text or a list of texts (RFC 7519, section 4.1.3). */
bool token_names_audience(const json_t *audience, const char *wanted)
{
    if (json_is_string(audience))
        return strcmp(json_string_value(audience), wanted) == 0;
    for (size_t i = 0; i < json_array_size(audience); i++) {
        const char *one = json_string_value(json_array_get(audience, i));
        if (one && strcmp(one, wanted) == 0)
            return true;
    }
    return false;
}

static enum token_verdict judge_time(const struct token_config *config, const json_t *claims,
                                     int64_t wall_ms, int64_t *expires_ms)
{
    int64_t not_before_ms;
    *expires_ms = INT64_MAX;
    if (json_object_get(claims, "exp")) {
        if (!read_date(claims, "exp", expires_ms))
            return TOKEN_MALFORMED;
        if (wall_ms >= *expires_ms + config->leeway_ms)
            return TOKEN_EXPIRED;
    } else if (!config->allow_endless) {
        return TOKEN_ENDLESS;
    }
    if (!json_object_get(claims, "nbf"))
        return TOKEN_VALID;
    if (!read_date(claims, "nbf", &not_before_ms))
        return TOKEN_MALFORMED;
    return wall_ms < not_before_ms - config->leeway_ms ? TOKEN_NOT_YET : TOKEN_VALID;
}

static enum token_verdict judge_claims(const struct token_config *config, const json_t *claims,
                                       int64_t wall_ms, int64_t *expires_ms)
{
    enum token_verdict verdict = TOKEN_MALFORMED;
    if (json_is_object(claims))
        verdict = judge_time(config, claims, wall_ms, expires_ms);
    if (verdict == TOKEN_VALID && config->issuer) {
        const char *issuer = json_string_value(json_object_get(claims, "iss"));
        if (!issuer || strcmp(issuer, config->issuer) != 0)
            verdict = TOKEN_ISSUER;
    }
    if (verdict == TOKEN_VALID && config->audience &&
        !token_names_audience(json_object_get(claims, "aud"), config->audience))
        verdict = TOKEN_AUDIENCE;
    return verdict;
}

/* The last token's, which the session's claims are made of next. Of two claims of one name, another
 * reader may take the other. */
static const json_t *parse_payload(struct token_verifier *verifier)
{
    struct bytes text = buffer_peek(&verifier->payload);
    json_decref(verifier->claims);
    verifier->claims = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    return verifier->claims;
}

/* --- Verdicts --------------------------------------------------------------------------------- */

static enum token_verdict judge_token(struct token_verifier *verifier, struct bytes token,
                                      int64_t wall_ms, struct token_content *content)
{
    if (token.size == 0)
        return TOKEN_MISSING;
    if (token.size >
        TOKEN_BYTES_LIMIT) /* before it may wait for keys: who waits is counted, not weighed */
        return TOKEN_MALFORMED;
    if (!verifier->keys)
        return TOKEN_UNDECIDED;
    /* Signature first: no claim is judged before it is known whose it is. */
    switch ((int)token_keys_verify(verifier->keys, token, &verifier->payload)) {
    case STATUS_OK:
        break;
    case STATUS_UNSUPPORTED:
        return TOKEN_ALGORITHM;
    case STATUS_DENIED:
        return TOKEN_SIGNATURE;
    case STATUS_LIMIT:
        return TOKEN_KEY_UNNAMED;
    case STATUS_NOT_FOUND:
        /* Not refused while the set may not be read again yet: that might be a new key's first
         * user, and the stock client does not come back from a refusal. */
        return verifier->worker ? TOKEN_UNDECIDED : TOKEN_KEY_UNKNOWN;
    default:
        return TOKEN_MALFORMED;
    }
    int64_t expires_ms = INT64_MAX;
    enum token_verdict verdict =
        judge_claims(&verifier->config, parse_payload(verifier), wall_ms, &expires_ms);
    if (verdict == TOKEN_VALID)
        *content = (struct token_content){{.parsed = verifier->claims}, expires_ms};
    return verdict;
}

/* Undecided ones are counted when they are decided: each token once. */
static void count(struct token_verifier *verifier, enum token_verdict verdict)
{
    if (verdict == TOKEN_VALID)
        verifier->stats.valid++;
    else if (verdict != TOKEN_UNDECIDED)
        verifier->stats.refused++;
}

enum token_verdict token_verify(struct token_verifier *verifier, struct bytes token,
                                int64_t wall_ms, struct token_content *content)
{
    enum token_verdict verdict = judge_token(verifier, token, wall_ms, content);
    if (verdict == TOKEN_UNDECIDED && verifier->keys && !verifier->is_reading) {
        verifier->key_missed = true;
        event_descriptor_signal(verifier->descriptor);
    }
    count(verifier, verdict);
    return verdict;
}

bool token_wait(struct token_verifier *verifier, struct token_waiter *waiter, struct bytes token)
{
    if (verifier->stats.waiting >= verifier->config.waiting)
        return false;
    /* A copy: the request that it came in is gone by then. */
    waiter->token = mem_string(token);
    waiter->due = false;
    DL_APPEND(verifier->waiters, waiter);
    verifier->stats.waiting++;
    return true;
}

static void stop_waiting(struct token_verifier *verifier, struct token_waiter *waiter)
{
    DL_DELETE(verifier->waiters, waiter);
    verifier->stats.waiting--;
    free(waiter->token);
    waiter->token = NULL;
}

void token_wait_cancel(struct token_verifier *verifier, struct token_waiter *waiter)
{
    if (waiter->token)
        stop_waiting(verifier, waiter);
}

/* Also after a failed reading: those that wait hear of it now, and not at the next one. Later ones
 * wait for that. */
static void waiters_due(struct token_verifier *verifier)
{
    struct token_waiter *waiter;
    DL_FOREACH(verifier->waiters, waiter)
        waiter->due = true;
}

/* Signatures cost, and the loop has others to serve: some now, the rest in turns to come. Those that
 * are due came first. */
static void decide_waiters(struct token_verifier *verifier, int64_t wall_ms)
{
    unsigned left = verifier->config.checks_per_turn;
    while (verifier->waiters && verifier->waiters->due) {
        if (left-- == 0) {
            event_descriptor_signal(verifier->descriptor);
            return;
        }
        struct token_waiter *waiter = verifier->waiters;
        struct token_content content;
        enum token_verdict verdict =
            judge_token(verifier, bytes_of_string(waiter->token), wall_ms, &content);
        if (verdict == TOKEN_UNDECIDED)
            verdict = verifier->keys ? TOKEN_KEY_UNKNOWN : TOKEN_NO_KEYS;
        count(verifier, verdict);
        stop_waiting(verifier, waiter);
        waiter->decided(waiter, verdict, verdict == TOKEN_VALID ? &content : NULL);
    }
}

/* --- Keys ------------------------------------------------------------------------------------- */

static enum status read_set(const struct token_config *config, struct token_keys **keys,
                            struct error *error)
{
    auto_buffer struct buffer text = {0};
    enum status status = config->jwks_url ? token_key_read_url(config->jwks_url, &text, error)
                                          : token_key_read_file(config->jwks_file, &text, error);
    return status == STATUS_OK
               ? token_keys_of_jwks(config->algorithm, buffer_peek(&text), keys, error)
               : status;
}

static void run_reading(struct worker_job *job)
{
    struct key_reading *reading = (struct key_reading *)job;
    reading->keys = NULL;
    /* On the worker: `config` is never written again, and nothing else of the verifier may be
     * looked at. */
    if (read_set(&reading->verifier->config, &reading->keys, &reading->error) != STATUS_OK)
        assert(!reading->keys);
}

/* Keys that cannot be read again stay in force. */
static void reading_done(struct worker_job *job)
{
    struct token_verifier *verifier = ((struct key_reading *)job)->verifier;
    struct key_reading *reading = &verifier->reading;
    verifier->is_reading = false;
    verifier->key_missed = false;
    verifier->stats.reads++;
    if (reading->keys) {
        token_keys_free(verifier->keys);
        verifier->keys = reading->keys;
        reading->keys = NULL;
        verifier->refresh_ms = verifier->now_ms + verifier->config.refresh_ms;
        log_info("token keys read", LOG_UNSIGNED("keys", token_keys_count(verifier->keys)));
        return;
    }
    verifier->stats.read_failures++;
    verifier->refresh_ms = verifier->now_ms + verifier->config.refetch_ms;
    log_warning("token keys not read", LOG_STRING("error", reading->error.text),
                LOG_BOOLEAN("older_keys_in_force", verifier->keys != NULL));
}

/* When the set is read again: for a missed key not sooner than `refetch` after the last time. */
static int64_t next_reading_ms(const struct token_verifier *verifier)
{
    int64_t again_ms = verifier->read_ms + verifier->config.refetch_ms;
    return verifier->key_missed && again_ms < verifier->refresh_ms ? again_ms
                                                                   : verifier->refresh_ms;
}

/* One at a time: the job is a member of the verifier. */
static void start_reading(struct token_verifier *verifier)
{
    verifier->is_reading = true;
    verifier->read_ms = verifier->now_ms;
    verifier->reading.job.run = run_reading;
    verifier->reading.job.done = reading_done;
    verifier->reading.verifier = verifier;
    worker_submit(verifier->worker, &verifier->reading.job);
}

static enum status read_first_keys(const struct token_config *config, struct token_keys **keys,
                                   struct error *error)
{
    auto_buffer struct buffer text = {0};
    if (config->secret)
        return token_keys_of_secret(bytes_of_string(config->secret), keys, error);
    if (config->jwks_file)
        return read_set(config, keys, error);
    if (config->jwks_url)
        return STATUS_OK;
    enum status status = token_key_read_file(config->key_file, &text, error);
    return status == STATUS_OK
               ? token_keys_of_pem(config->algorithm, buffer_peek(&text), keys, error)
               : status;
}

enum status token_keys_try(const struct token_config *config, struct error *error)
{
    struct token_keys *keys = NULL;
    enum status status = read_first_keys(config, &keys, error);
    token_keys_free(keys);
    return status;
}

enum status token_verifier_open(const struct token_config *config, struct token_verifier **verifier,
                                struct error *error)
{
    if (!!config->secret + !!config->key_file + !!config->jwks_file + !!config->jwks_url != 1)
        return error_set(error, STATUS_INVALID,
                         "exactly one of secret, key_file, jwks_file and jwks_url is needed");
    if ((config->algorithm == TOKEN_HS256 && config->key_file) ||
        (config->algorithm != TOKEN_HS256 && config->secret))
        return error_set(error, STATUS_INVALID,
                         "a secret is for HS256 and a key file for the other algorithms");
    token_key_reader_prepare();
    assert(config->checks_per_turn > 0);
    struct token_verifier *made = mem_new(struct token_verifier);
    made->config = *config;
    /* From a URL the first reading comes at once, but not here: a provider that is down must not
     * keep the gateway from starting. */
    made->refresh_ms = config->jwks_url ? 0 : config->refresh_ms;
    enum status status = read_first_keys(config, &made->keys, error);
    if (status != STATUS_OK)
        goto failed;
    status = event_descriptor_open(&made->descriptor, error);
    if (status != STATUS_OK)
        goto failed;
    if (config->jwks_file || config->jwks_url)
        status = worker_open(made->descriptor, &made->worker, error);
    if (status != STATUS_OK)
        goto failed_worker;
    event_descriptor_signal(made->descriptor);
    *verifier = made;
    return STATUS_OK;

failed_worker:
    close(made->descriptor);
failed:
    token_keys_free(made->keys);
    free(made);
    return status;
}

/* The worker first: it may be filling reading.keys, which nobody has collected then. */
void token_verifier_close(struct token_verifier *verifier)
{
    if (!verifier)
        return;
    assert(!verifier->waiters);
    worker_close(verifier->worker);
    token_keys_free(verifier->reading.keys);
    token_keys_free(verifier->keys);
    buffer_deinit(&verifier->payload);
    json_decref(verifier->claims);
    close(verifier->descriptor);
    free(verifier);
}

int token_verifier_descriptor(const struct token_verifier *verifier)
{
    return verifier->descriptor;
}

void token_verifier_service(struct token_verifier *verifier, int64_t now_ms, int64_t wall_ms)
{
    verifier->now_ms = now_ms;
    event_descriptor_clear(verifier->descriptor);
    if (!verifier->worker)
        return;
    bool was_reading = verifier->is_reading;
    worker_collect(verifier->worker);
    if (was_reading && !verifier->is_reading)
        waiters_due(verifier);
    decide_waiters(verifier, wall_ms);
    if (!verifier->is_reading && now_ms >= next_reading_ms(verifier))
        start_reading(verifier);
}

int64_t token_verifier_deadline_ms(const struct token_verifier *verifier)
{
    return verifier->worker && !verifier->is_reading ? next_reading_ms(verifier) : INT64_MAX;
}

void token_verifier_reread(struct token_verifier *verifier)
{
    verifier->refresh_ms = INT64_MIN;
    event_descriptor_signal(verifier->descriptor);
}

bool token_verifier_ready(const struct token_verifier *verifier, const char **detail)
{
    *detail = verifier->keys ? "keys read" : "keys not read yet";
    return verifier->keys != NULL;
}

const struct token_stats *token_stats(const struct token_verifier *verifier)
{
    return &verifier->stats;
}
