/* Where keys come from: a file, or a provider's URL, by libcurl. Both block; token.c calls them at
 * the start or on its worker. A failed reading leaves `out` as it was. */
#include "token_key_reader.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Not safe beside other threads: before the first worker. */
void token_key_reader_prepare(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum status token_key_read_file(const char *path, struct buffer *out, struct error *error)
{
    /* "e": closed on exec. Not by its size: a key may come from a pipe. */
    FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set(error, STATUS_IO, "%s: %s", path, strerror(errno));
    struct buffer content = {0};
    size_t size;
    do {
        size = fread(buffer_reserve(&content, 4096), 1, 4096, file);
        buffer_commit(&content, size);
    } while (size > 0 && buffer_size(&content) <= TOKEN_KEY_READ_LIMIT);
    enum status status = STATUS_OK;
    if (ferror(file))
        status = error_set(error, STATUS_IO, "%s: cannot be read", path);
    else if (buffer_size(&content) > TOKEN_KEY_READ_LIMIT)
        status = error_set(error, STATUS_TOO_LARGE, "%s: more than 1 MiB", path);
    fclose(file);
    if (status == STATUS_OK) {
        buffer_clear(out);
        buffer_append(out, buffer_peek(&content));
    }
    buffer_deinit(&content);
    return status;
}

/* libcurl calls with `one` = 1, always. The limit is checked as it comes: a length that is
 * announced may be a lie. */
static size_t receive(char *data, size_t one, size_t size, void *context)
{
    struct buffer *content = context;
    if (buffer_size(content) + size > TOKEN_KEY_READ_LIMIT)
        return 0; /* ends the transfer */
    buffer_append(content, bytes_of(data, one * size));
    return size;
}

/* Every one counts: without CURLOPT_PROTOCOLS_STR a URL could name a file. */
static CURLcode prepare(CURL *request, const char *url, char *why, struct buffer *content)
{
    CURLcode results[] = {
        curl_easy_setopt(request, CURLOPT_ERRORBUFFER, why),
        curl_easy_setopt(request, CURLOPT_URL, url),
        curl_easy_setopt(request, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(request, CURLOPT_TIMEOUT_MS, (long)TOKEN_KEY_READ_TIMEOUT_MS),
        curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, receive),
        curl_easy_setopt(request, CURLOPT_WRITEDATA, content),
    };
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] != CURLE_OK)
            return results[i];
    return CURLE_OK;
}

enum status token_key_read_url(const char *url, struct buffer *out, struct error *error)
{
    CURL *request = curl_easy_init();
    if (!request)
        return error_set(error, STATUS_IO, "%s: no memory for a request", url);
    struct buffer content = {0};
    char why[CURL_ERROR_SIZE] = "";
    long code = 0;
    CURLcode result = prepare(request, url, why, &content);
    if (result == CURLE_OK)
        result = curl_easy_perform(request);
    if (result == CURLE_OK)
        result = curl_easy_getinfo(request, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(request);
    enum status status = STATUS_OK;
    if (result != CURLE_OK)
        status =
            error_set(error, STATUS_IO, "%s: %s", url, *why ? why : curl_easy_strerror(result));
    /* Redirects are not followed, either: the operator has said which host is to be believed. */
    else if (code != 200)
        status = error_set(error, STATUS_IO, "%s: answered %ld", url, code);
    if (status == STATUS_OK) {
        buffer_clear(out);
        buffer_append(out, buffer_peek(&content));
    }
    buffer_deinit(&content);
    return status;
}
